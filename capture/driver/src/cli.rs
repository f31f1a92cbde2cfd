//! Runs the command line: decides between pipeline, server and program, reports, gives the exit code.
//!
//! Exit codes: 0 everything asked for is there; 1 something is missing and the rest was kept; 2 an error; 130 interrupted.

use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use anyhow::{Context, bail};
use clap::{CommandFactory, FromArgMatches};
use serde_json::{Map, Value};

use crate::args::DriveCli;
use crate::builtin;
use crate::collect::{self, Found, State};
use crate::http::{Failure, Server};
use crate::launch::{self, Settings};
use crate::pipeline;
use crate::server::{self, Driven, Request, Start, Stop};
use crate::workload::{Workload, WorkloadEnd};

const DONE: i32 = 0;
const INCOMPLETE: i32 = 1;
const FAILED: i32 = 2;
const INTERRUPTED: i32 = 130;

/// What came of a capture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Captured {
    /// The exit code.
    pub code: i32,
    /// What there is to look at.
    pub left: Left,
}

/// What a capture left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Left {
    /// Nothing, or nothing that is known.
    Nothing,
    /// The directory of a pipeline's capture, with its manifest.
    Pipeline(PathBuf),
    /// Complete traces of a server or a program.
    Traces(Vec<PathBuf>),
}

impl Captured {
    fn nothing(code: i32) -> Self {
        Self { code, left: Left::Nothing }
    }
}

/// Runs `omni-trace capture` with the arguments after its name. `more_help` is shown below the help.
pub fn dispatch(args: &[OsString], more_help: &str) -> Captured {
    let named = builtin::named(args);
    if named.is_some() {
        say(builtin::NOTE);
    }
    let args = named.as_deref().unwrap_or(args);
    let ours = args.iter().take_while(|arg| *arg != "--");
    let pipeline = ours.into_iter().any(|arg| builtin::is_option(arg, "--pipeline"));
    let watch = match Watch::start() {
        Ok(watch) => watch,
        Err(error) => return Captured::nothing(fail(&format!("{error:#}"))),
    };
    let result = match pipeline {
        true => pipeline::run(args, &watch.wishes),
        false => {
            let name = OsString::from("omni-trace capture");
            let command = DriveCli::command().after_help(more_help.to_owned());
            let parsed = command
                .try_get_matches_from(std::iter::once(&name).chain(args))
                .and_then(|matches| DriveCli::from_arg_matches(&matches));
            match parsed {
                Ok(cli) => run(&cli, &watch.wishes),
                Err(error) => {
                    // A closed pipe is no error.
                    error.print().ok();
                    return Captured::nothing(error.exit_code());
                }
            }
        }
    };
    result.unwrap_or_else(|error| Captured::nothing(fail(&format!("{error:#}"))))
}

/// Drives a server or a program.
pub fn run(cli: &DriveCli, interrupts: &AtomicUsize) -> anyhow::Result<Captured> {
    match (&cli.server, cli.command.is_empty()) {
        (Some(url), _) => drive_server(cli, url, interrupts),
        (None, false) => run_program(cli, interrupts),
        (None, true) => {
            bail!("nothing to capture is named\ngive --pipeline NAME, --server URL, or -- CMD")
        }
    }
}

/// Counts the user's wishes to end while a capture runs; afterwards signals do again what they usually do.
struct Watch {
    wishes: Arc<AtomicUsize>,
    is_over: Arc<AtomicBool>,
}

impl Watch {
    fn start() -> anyhow::Result<Self> {
        use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
        let watch = Self { wishes: Arc::default(), is_over: Arc::default() };
        let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM, SIGHUP])
            .context("cannot watch for signals")?;
        let (wishes, is_over) = (Arc::clone(&watch.wishes), Arc::clone(&watch.is_over));
        std::thread::Builder::new()
            .name("signals".into())
            .spawn(move || {
                for signal in signals.forever() {
                    if is_over.load(Ordering::Relaxed) {
                        // Ends the process.
                        signal_hook::low_level::emulate_default_handler(signal).ok();
                    }
                    wishes.fetch_add(1, Ordering::Relaxed);
                }
            })
            .context("cannot watch for signals")?;
        Ok(watch)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}

fn drive_server(cli: &DriveCli, url: &str, interrupts: &AtomicUsize) -> anyhow::Result<Captured> {
    let workload = match (cli.command.is_empty(), cli.duration) {
        (false, None) => Workload::Command { line: cli.command.clone(), env: Vec::new() },
        (true, Some(duration)) => Workload::Time(duration),
        (false, Some(_)) => bail!("--for and a command exclude each other\nleave one of them out"),
        (true, None) => bail!("no workload is named\ngive it as -- CMD, or a time with --for 10s"),
    };
    let request = Request {
        stages: cli.stages.clone(),
        max_iters: cli.max_iters,
        delay_iters: cli.delay_iters,
        prefix: cli.prefix.clone(),
        start_timeout: cli.start_timeout,
        stop_timeout: cli.stop_timeout,
    };
    let before = cli.trace_dir.as_deref().map(look).transpose()?;
    let address = Server::new(url);
    let driven = server::drive(&address, &request, workload, interrupts, &mut |text| say(text));
    let mut captured = Captured::nothing(judge(&driven, address.base()));
    let stopped = matches!(driven.stop, Some(Stop::Stopped(_) | Stop::StoppedElsewhere(_)));
    match (&cli.trace_dir, &before) {
        (Some(dir), Some(before)) if stopped => {
            let collected = collect_traces(cli, dir, before, interrupts)?;
            captured = Captured { code: captured.code.max(collected.code), ..collected };
        }
        (None, _) if stopped => {
            say(
                "note: the traces are in the server's profiler directory; --trace-dir DIR collects them",
            );
        }
        _ => {}
    }
    if interrupts.load(Ordering::Relaxed) > 0 {
        captured.code = INTERRUPTED;
    }
    Ok(captured)
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
        Start::Abandoned(after) => fail(&format!(
            "gave up waiting for the start after {:.0} s; the profiler may start yet",
            after.as_secs_f64()
        )),
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
        Some(Stop::NoAnswer(Failure::Refused)) => fail(&format!(
            "{base}: nobody listens there any more: the server ended before its profiler was stopped"
        )),
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

fn run_program(cli: &DriveCli, interrupts: &AtomicUsize) -> anyhow::Result<Captured> {
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
        WorkloadEnd::NotStarted(why) => {
            return Ok(Captured::nothing(fail(&format!("cannot run {why}"))));
        }
    };
    let collected = collect_traces(cli, &dir, &before, interrupts)?;
    Ok(Captured { code: code.max(collected.code), ..collected })
}

fn extra_settings(json: Option<&str>) -> anyhow::Result<Map<String, Value>> {
    let Some(json) = json else { return Ok(Map::new()) };
    match serde_json::from_str(json).context("cannot read --profiler-config")? {
        Value::Object(map) => Ok(map),
        other => bail!(
            "--profiler-config has to be an object, not {other}\nfor example '{{\"with_stack\": true}}'"
        ),
    }
}

fn look(dir: &Path) -> anyhow::Result<collect::Snapshot> {
    collect::snapshot(dir).with_context(|| format!("cannot read {}", dir.display()))
}

/// Waits for the traces and reports each; the exit code that follows, and those that are complete.
fn collect_traces(
    cli: &DriveCli,
    dir: &Path,
    before: &collect::Snapshot,
    interrupts: &AtomicUsize,
) -> anyhow::Result<Captured> {
    let earlier = interrupts.load(Ordering::Relaxed);
    let give_up = || interrupts.load(Ordering::Relaxed) > earlier;
    let found =
        collect::wait_for_new(dir, before, cli.expect, cli.trace_timeout, &give_up, &mut |text| {
            say(text);
        })
        .with_context(|| format!("cannot read {}", dir.display()))?;
    found.iter().for_each(report_trace);
    let n_found = found.len();
    let whole: Vec<PathBuf> =
        found.into_iter().filter(|f| f.state == State::Complete).map(|f| f.path).collect();
    if whole.is_empty() {
        if n_found == 0 && cli.server.is_some() {
            say(&format!("note: {}", where_traces_may_be(dir, &cli.stages)));
        }
        let text = format!("no complete trace appeared in {}", dir.display());
        return Ok(Captured::nothing(fail(&text)));
    }
    let is_all = whole.len() == n_found && whole.len() >= cli.expect;
    let code = if is_all { DONE } else { INCOMPLETE };
    Ok(Captured { code, left: Left::Traces(whole) })
}

/// What to look at where a server has answered well and written nothing.
fn where_traces_may_be(dir: &Path, stages: &[u32]) -> String {
    let dir = format!("is {} the server's profiler directory, and on this machine?", dir.display());
    match stages {
        [] => dir,
        // vLLM-Omni 0.30 answers 200 for a stage that it does not have.
        _ => {
            let stages: Vec<String> = stages.iter().map(u32::to_string).collect();
            format!("{dir} Does the server have stage {}?", stages.join(", "))
        }
    }
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

/// Says an error; what to do stands in its second line, where it is known.
fn fail(text: &str) -> i32 {
    let (what, hint) = text.split_once('\n').unwrap_or((text, ""));
    say(&format!("error: {what}"));
    if !hint.is_empty() {
        say(&format!("hint: {hint}"));
    }
    FAILED
}

fn warn(text: &str) -> i32 {
    say(&format!("warning: {text}"));
    INCOMPLETE
}

fn say(text: &str) {
    // A closed pipe is no error.
    writeln!(std::io::stderr(), "{}", visible(text)).ok();
}

/// Text in which what a server or a program said cannot move the cursor or turn the direction of writing.
fn visible(text: &str) -> String {
    let is_hidden = |c: char| {
        let turns = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        (c.is_control() && c != '\n') || turns
    };
    let shown = |c: char| if is_hidden(c) { c.escape_default().to_string() } else { c.into() };
    text.chars().map(shown).collect()
}
