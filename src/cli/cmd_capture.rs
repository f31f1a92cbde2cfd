//! `omni-trace capture`: the producer, in packages of its own, and what follows a capture.
//!
//! The driver drives servers and programs, and runs `omni-trace-capture` for pipelines, so that this program never links
//! libtorch. When that has ended, the profiler tables are made from its traces, and the analysis where it is asked for.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Arg, ArgAction, Command, CommandFactory as _};
use omni_trace_driver::args::DriveCli;
use omni_trace_driver::cli::{Captured, Left, dispatch};

use super::args::CaptureArgs;
use super::cmd_report::ReportPlan;
use super::plan::AnalyzePlan;
use super::profiler_tables;
use super::run::{Hinted, say, say_error};
use super::{cmd_analyze, cmd_report};

/// Exit code of an interrupted capture.
const INTERRUPTED: i32 = 130;
/// Exit code of an error.
const FAILED: i32 = 2;

const ANALYZE: &str = "--analyze";
const REPORT: &str = "--report";
const HELP: &str = "\
And of the analyzer:
      --analyze       Show what `omni-trace analyze` says of the capture
      --report <DIR>  Write what `omni-trace report` says of the capture: a page and its figures";

/// What can be typed after `capture`: the driver's arguments and the analyzer's.
pub(super) fn definition() -> Command {
    let analyze = Arg::new("analyze").long("analyze").action(ArgAction::SetTrue);
    let report = Arg::new("report").long("report").value_name("DIR");
    DriveCli::command()
        .name("capture")
        .arg(analyze.help("Show what `omni-trace analyze` says of the capture"))
        .arg(
            report
                .help("Write what `omni-trace report` says of the capture: a page and its figures"),
        )
}

/// Shows how to capture.
pub(super) fn show_help() {
    dispatch(&["--help".into()], HELP);
}

/// Runs the command and gives its exit code.
pub(super) fn run(args: &CaptureArgs) -> i32 {
    let (arguments, after) = match After::split(&args.arguments) {
        Ok(found) => found,
        Err(error) => {
            say_error(&error);
            return FAILED;
        }
    };
    let Captured { mut code, left } = dispatch(&arguments, HELP);
    let (paths, logs) = match left {
        Left::Nothing => return code,
        Left::Pipeline(dir) => {
            let tables = profiler_tables::write(&dir);
            code = code.max(tables.code);
            if tables.n_traces == 0 {
                if code == 0 {
                    say(&format!("next: omni-trace stages {}", dir.display()));
                }
                return code;
            }
            (vec![dir.clone()], vec![dir])
        }
        Left::Traces(paths) => (paths, Vec::new()),
    };
    if after == After::default() || code == INTERRUPTED {
        let shown: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
        say(&format!("next: omni-trace analyze {}", shown.join(" ")));
        return code;
    }
    match after.run(&paths, logs) {
        Ok(()) => code,
        Err(error) => {
            say_error(&error);
            code.max(FAILED)
        }
    }
}

/// What is to follow a capture.
#[derive(Debug, Default, PartialEq, Eq)]
struct After {
    is_analyzed: bool,
    /// Folder of the report.
    report: Option<PathBuf>,
}

impl After {
    /// The producer's arguments, and what is to follow. What comes after `--` is a command of the user's.
    fn split(arguments: &[OsString]) -> anyhow::Result<(Vec<OsString>, Self)> {
        let n_ours = arguments.iter().position(|word| word == "--").unwrap_or(arguments.len());
        let (ours, command) = arguments.split_at(n_ours);
        let (mut rest, mut after) = (Vec::new(), Self::default());
        let mut words = ours.iter();
        while let Some(word) = words.next() {
            let text = word.to_string_lossy();
            if word == ANALYZE {
                after.is_analyzed = true;
            } else if word == REPORT {
                let folder = words.next().filter(|word| !word.to_string_lossy().starts_with('-'));
                after.report = Some(folder.ok_or_else(no_folder)?.into());
            } else if let Some(folder) = text.strip_prefix("--report=") {
                after.report = Some(folder.into());
            } else {
                rest.push(word.clone());
            }
        }
        rest.extend_from_slice(command);
        Ok((rest, after))
    }

    /// Does what is to follow, with the traces and logs that a capture left.
    fn run(self, paths: &[PathBuf], logs: Vec<PathBuf>) -> anyhow::Result<()> {
        if self.is_analyzed {
            cmd_analyze::run_plan(&AnalyzePlan::plain(paths, false)?)?;
        }
        if let Some(folder) = self.report {
            cmd_report::run_plan(&ReportPlan::plain(paths, logs, folder)?)?;
        }
        Ok(())
    }
}

fn no_folder() -> Hinted {
    let what = "--report needs a folder to write to".to_owned();
    Hinted { what, hint: "for example `--report capture-report`".to_owned() }
}
