//! `omni-trace capture`: the producer, in packages of its own, and what follows a capture.
//!
//! The driver drives servers and programs, and runs `omni-trace-capture` for pipelines, so that this program never links
//! libtorch. When that has ended, the profiler tables are made from its traces, and the analysis where it is asked for.

use std::ffi::OsString;

use omni_trace_driver::cli::{Captured, Left, dispatch};

use super::args::{AnalyzeArgs, CaptureArgs};
use super::cmd_analyze;
use super::profiler_tables;
use super::run::{say, say_error};

/// Exit code of an interrupted capture.
const INTERRUPTED: i32 = 130;
/// Exit code of an error.
const FAILED: i32 = 2;

const ANALYZE: &str = "--analyze";
const HELP: &str = "\
And of the analyzer:
      --analyze  Show what `omni-trace analyze` says of the capture";

/// Runs the command and gives its exit code.
pub(super) fn run(args: &CaptureArgs) -> i32 {
    let (arguments, is_analyzed) = split(&args.arguments);
    let Captured { mut code, left } = dispatch(&arguments, HELP);
    let paths = match left {
        Left::Nothing => return code,
        Left::Pipeline(dir) => {
            code = code.max(profiler_tables::write(&dir));
            vec![dir]
        }
        Left::Traces(paths) => paths,
    };
    let shown = paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(" ");
    if !is_analyzed || code == INTERRUPTED {
        say(&format!("next: omni-trace analyze {shown}"));
        return code;
    }
    match AnalyzeArgs::of(paths, &[]).and_then(|args| cmd_analyze::run(&args)) {
        Ok(_) => code,
        Err(error) => {
            say_error(&error);
            code.max(FAILED)
        }
    }
}

/// The producer's arguments, and whether the analysis is asked for. What comes after `--` is a command of the user's.
fn split(arguments: &[OsString]) -> (Vec<OsString>, bool) {
    let n_ours = arguments.iter().position(|word| word == "--").unwrap_or(arguments.len());
    let (ours, command) = arguments.split_at(n_ours);
    let rest = ours.iter().filter(|word| *word != ANALYZE).chain(command).cloned().collect();
    (rest, ours.iter().any(|word| word == ANALYZE))
}
