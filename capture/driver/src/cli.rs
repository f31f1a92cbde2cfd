//! Runs the command line: decides between pipeline, server and program, reports, gives the exit code.
//!
//! Exit codes: 0 everything asked for is there; 1 something is missing and the rest was kept; 2 an error; 130 interrupted.

use std::ffi::OsString;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, bail};
use clap::Parser;
use serde_json::{Map, Value};

use crate::args::DriveCli;
use crate::collect::{self, Found, State};
use crate::http::Server;
use crate::launch::{self, Settings};
use crate::locate;
use crate::server::{self, Driven, Request, Start, Stop};
use crate::workload::{Workload, WorkloadEnd};

const DONE: i32 = 0;
const INCOMPLETE: i32 = 1;
const FAILED: i32 = 2;
const INTERRUPTED: i32 = 130;

/// Runs `omni-trace capture` with the arguments after its name. Does not return when a pipeline is run: the process
/// becomes `omni-trace-capture`.
pub fn dispatch(args: &[OsString]) -> i32 {
    let ours = args.iter().take_while(|arg| *arg != "--");
    let pipeline = ours
        .into_iter()
        .any(|arg| arg == "--pipeline" || arg.to_string_lossy().starts_with("--pipeline="));
    let result = match pipeline {
        true => exec_capture(args).map(|never| match never {}),
        false => {
            let name = OsString::from("omni-trace capture");
            match DriveCli::try_parse_from(std::iter::once(&name).chain(args)) {
                Ok(cli) => run(&cli),
                Err(error) => {
                    // A closed pipe is no error.
                    error.print().ok();
                    return error.exit_code();
                }
            }
        }
    };
    result.unwrap_or_else(|error| {
        say(&format!("error: {error:#}"));
        FAILED
    })
}

fn exec_capture(args: &[OsString]) -> anyhow::Result<std::convert::Infallible> {
    let located = locate::locate(|name| std::env::var_os(name))?;
    let mut command = Command::new(&located.program);
    command.args(args);
    if let Some(path) = located.library_path {
        command.env("LD_LIBRARY_PATH", path);
    }
    Err(command.exec()).with_context(|| format!("cannot run {}", located.program.display()))
}

/// Drives a server or a program.
pub fn run(cli: &DriveCli) -> anyhow::Result<i32> {
    let interrupts = watch_signals()?;
    match (&cli.server, cli.command.is_empty()) {
        (Some(url), _) => drive_server(cli, url, &interrupts),
        (None, false) => run_program(cli, &interrupts),
        (None, true) => bail!("nothing to capture: give --pipeline, --server URL, or -- CMD"),
    }
}

/// Counts the user's wishes to end. The handlers only add to a number.
fn watch_signals() -> anyhow::Result<Arc<AtomicUsize>> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    let interrupts = Arc::new(AtomicUsize::new(0));
    let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM, SIGHUP])
        .context("cannot watch for signals")?;
    let counted = Arc::clone(&interrupts);
    std::thread::Builder::new()
        .name("signals".into())
        .spawn(move || {
            for _ in signals.forever() {
                counted.fetch_add(1, Ordering::Relaxed);
            }
        })
        .context("cannot watch for signals")?;
    Ok(interrupts)
}

fn drive_server(cli: &DriveCli, url: &str, interrupts: &AtomicUsize) -> anyhow::Result<i32> {
    let workload = match (cli.command.is_empty(), cli.duration) {
        (false, None) => Workload::Command { line: cli.command.clone(), env: Vec::new() },
        (true, Some(duration)) => Workload::Time(duration),
        (false, Some(_)) => bail!("--for and a command exclude each other"),
        (true, None) => bail!("give the workload as -- CMD, or a time with --for 10s"),
    };
    let request = Request {
        stages: cli.stages.clone(),
        max_iters: cli.max_iters,
        delay_iters: cli.delay_iters,
        prefix: cli.prefix.clone(),
        stop_timeout: cli.stop_timeout,
    };
    let before = cli.trace_dir.as_deref().map(look).transpose()?;
    let address = Server::new(url);
    let driven = server::drive(&address, &request, workload, interrupts, &mut |text| say(text));
    driven.notes.iter().for_each(|note| say(&format!("note: {note}")));
    let mut code = judge(&driven, address.base());
    let stopped = matches!(driven.stop, Some(Stop::Stopped(_) | Stop::StoppedElsewhere(_)));
    match (&cli.trace_dir, &before) {
        (Some(dir), Some(before)) if stopped => {
            code = code.max(collect_traces(cli, dir, before, interrupts)?);
        }
        (None, _) if stopped => {
            say(
                "note: the traces are in the server's profiler directory; --trace-dir DIR collects them",
            );
        }
        _ => {}
    }
    Ok(if interrupts.load(Ordering::Relaxed) > 0 { INTERRUPTED } else { code })
}

/// Says how start, workload and stop came out; the exit code that follows.
fn judge(driven: &Driven, base: &str) -> i32 {
    let code = match &driven.start {
        Start::Started => DONE,
        Start::Off => fail(&format!("{base} has no /start_profile")),
        Start::AlreadyStarted(text) => fail(&format!(
            "{base}: the profiler was started already, by somebody else, and is left alone: {text}"
        )),
        Start::Rejected(status, text) => fail(&format!("{base}: start refused ({status}): {text}")),
        Start::NoAnswer(failure) => fail(&format!("{base}: cannot start the profiler: {failure}")),
    };
    let workload = match &driven.workload {
        None | Some(WorkloadEnd::Done) => DONE,
        Some(WorkloadEnd::Interrupted) => warn("the workload was interrupted"),
        Some(WorkloadEnd::Failed(code)) => warn(&format!("the workload ended with code {code}")),
        Some(WorkloadEnd::Killed(signal)) => {
            warn(&format!("the workload was killed by signal {signal}"))
        }
        Some(WorkloadEnd::NotStarted(why)) => warn(&format!("the workload did not run: {why}")),
    };
    let stop = match &driven.stop {
        None => DONE,
        Some(Stop::Stopped(took)) => {
            say(&format!("profiler stopped after {:.1} s", took.as_secs_f64()));
            DONE
        }
        Some(Stop::StoppedElsewhere(text)) => {
            warn(&format!("the profiler had been stopped by somebody else: {text}"))
        }
        Some(Stop::Rejected(status, text)) => {
            fail(&format!("{base}: stop refused ({status}): {text}"))
        }
        Some(Stop::NoAnswer(failure)) => {
            fail(&format!("{base}: no answer to the stop: {failure}; the profiler may still run"))
        }
        Some(Stop::Abandoned(after)) => fail(&format!(
            "gave up waiting for the stop after {:.0} s; the server may still be writing",
            after.as_secs_f64()
        )),
    };
    code.max(workload).max(stop)
}

fn run_program(cli: &DriveCli, interrupts: &AtomicUsize) -> anyhow::Result<i32> {
    let dir = match &cli.trace_dir {
        Some(dir) => dir.clone(),
        None => PathBuf::from(format!("omni-trace-traces-{}", std::process::id())),
    };
    std::fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
    let dir = std::path::absolute(&dir)?;
    let settings = Settings {
        trace_dir: dir.display().to_string(),
        max_iters: cli.max_iters,
        delay_iters: cli.delay_iters,
        extra: extra_settings(cli.profiler_config.as_deref())?,
    };
    if !cli.stages.is_empty() {
        say(
            "note: the stages of a program are chosen by its own start_profile(stages=…); --stages has no effect on it",
        );
    }
    let before = look(&dir)?;
    let prepared = launch::prepare(&cli.command, &settings, cli.inject, || {
        launch::installed_version(&cli.command)
    });
    prepared.notes.iter().for_each(|note| say(&format!("note: {note}")));
    let end = Workload::Command { line: prepared.line, env: prepared.env }.run(interrupts);
    let code = match &end {
        WorkloadEnd::Done => DONE,
        WorkloadEnd::Interrupted => INTERRUPTED,
        WorkloadEnd::Failed(code) => warn(&format!("the program ended with code {code}")),
        WorkloadEnd::Killed(signal) => warn(&format!("the program was killed by signal {signal}")),
        WorkloadEnd::NotStarted(why) => return Ok(fail(&format!("cannot run {why}"))),
    };
    let collected = collect_traces(cli, &dir, &before, interrupts)?;
    Ok(code.max(collected))
}

fn extra_settings(json: Option<&str>) -> anyhow::Result<Map<String, Value>> {
    let Some(json) = json else { return Ok(Map::new()) };
    match serde_json::from_str(json).context("cannot read --profiler-config")? {
        Value::Object(map) => Ok(map),
        other => bail!("--profiler-config has to be an object, not {other}"),
    }
}

fn look(dir: &Path) -> anyhow::Result<collect::Snapshot> {
    collect::snapshot(dir).with_context(|| format!("cannot read {}", dir.display()))
}

/// Waits for the traces and reports each; the exit code that follows.
fn collect_traces(
    cli: &DriveCli,
    dir: &Path,
    before: &collect::Snapshot,
    interrupts: &AtomicUsize,
) -> anyhow::Result<i32> {
    let earlier = interrupts.load(Ordering::Relaxed);
    let give_up = || interrupts.load(Ordering::Relaxed) > earlier;
    let found =
        collect::wait_for_new(dir, before, cli.expect, cli.trace_timeout, &give_up, &mut |text| {
            say(text);
        })
        .with_context(|| format!("cannot read {}", dir.display()))?;
    found.iter().for_each(report_trace);
    let whole = found.iter().filter(|f| f.state == State::Complete).count();
    if whole == 0 {
        return Ok(fail(&format!("no complete trace appeared in {}", dir.display())));
    }
    say(&format!("next: omni-trace analyze {}", dir.display()));
    Ok(if whole == found.len() && whole >= cli.expect { DONE } else { INCOMPLETE })
}

fn report_trace(trace: &Found) {
    let path = trace.path.display();
    let line = match &trace.state {
        State::Complete => format!("{path} ({} bytes)", trace.bytes),
        State::Partial => format!("{path} ({} bytes): incomplete", trace.bytes),
        State::Damaged(why) => format!("{path} ({} bytes): damaged: {why}", trace.bytes),
    };
    // A closed pipe is no error.
    writeln!(std::io::stdout(), "{line}").ok();
}

fn fail(text: &str) -> i32 {
    say(&format!("error: {text}"));
    FAILED
}

fn warn(text: &str) -> i32 {
    say(&format!("warning: {text}"));
    INCOMPLETE
}

fn say(text: &str) {
    // A closed pipe is no error.
    writeln!(std::io::stderr(), "{text}").ok();
}
