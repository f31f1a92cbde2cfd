//! From arguments to an exit code.

use std::io::{self, Write as _};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::args::{Args, Command};
use super::{
    cmd_analyze, cmd_bandwidth, cmd_cache, cmd_capture, cmd_causal, cmd_check, cmd_completions,
    cmd_diff, cmd_export, cmd_man, cmd_merge, cmd_reduce, cmd_report, cmd_schema, cmd_slim,
    cmd_stages, help, memory,
};
use crate::diag::timings;
use crate::read::ReadError;
use crate::schema::written::visible;

/// The variable that, set to anything, has a run say how long its steps took.
const TIMINGS: &str = "OMNI_TRACE_TIMINGS";

/// How a run ended. Every command gives one, or an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Done.
    Done,
    /// Done, and a gate or a check found what it looks for.
    Found,
    /// Done, but data of the input was lost and `--strict` was given.
    DataLost,
    /// Not done: an error, which standard error says.
    Failed,
    /// What a capture says of itself; it has codes of its own (130 when interrupted).
    Captured(u8),
}

impl Outcome {
    /// The exit code: 0 done, 1 a gate or a check found something, 2 an error or data lost under `--strict`.
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Found => 1,
            Self::DataLost | Self::Failed => 2,
            Self::Captured(code) => code,
        }
    }
}

/// Runs a command; what is said of how it ended is said.
pub(super) fn run(args: &Args) -> Outcome {
    let asked = std::env::var_os(TIMINGS).is_some_and(|value| !value.is_empty());
    if asked {
        timings::start();
    }
    let outcome = run_command(args);
    if asked {
        say_timings();
    }
    outcome
}

fn run_command(args: &Args) -> Outcome {
    let result = memory::watch(args.max_memory).and_then(|()| result_of(&args.command));
    say_kept();
    let outcome = result.unwrap_or_else(|error| {
        say_error(&error);
        Outcome::Failed
    });
    if outcome == Outcome::DataLost {
        say(&format!("error: {LOST}"));
        say(&format!("hint: {LOST_HINT}"));
    }
    outcome
}

fn result_of(command: &Command) -> anyhow::Result<Outcome> {
    match command {
        Command::Analyze(analyze) => cmd_analyze::run(analyze),
        Command::Merge(merge) => cmd_merge::run(merge),
        Command::Slim(slim) => cmd_slim::run(slim),
        Command::Bandwidth(bandwidth) => cmd_bandwidth::run(bandwidth),
        Command::Check(check) => cmd_check::run(check),
        Command::Stages(stages) => cmd_stages::run(stages),
        Command::Report(report) => cmd_report::run(report),
        Command::Reduce(reduce) => cmd_reduce::run(reduce),
        Command::Diff(diff) => cmd_diff::run(diff),
        Command::CriticalPath(path) => cmd_causal::critical_path(path),
        Command::WhatIf(what_if) => cmd_causal::what_if(what_if),
        Command::Query(query) => cmd_export::query(query),
        Command::Export(export) => cmd_export::run(export),
        Command::Schema(schema) => cmd_schema::run(schema),
        Command::Cache(cache) => cmd_cache::run(cache),
        Command::Completions(completions) => cmd_completions::run(completions),
        Command::Man(man) => cmd_man::run(man),
        Command::Help(topic) => help::run(topic),
        Command::Capture(capture) => Ok(captured(cmd_capture::run(capture))),
    }
}

/// What is said where data was lost that was not to be.
pub(super) const LOST: &str = "data of the input was lost, and --strict is set";
/// What to do about it.
pub(super) const LOST_HINT: &str =
    "the issues in the output say what was lost and where; leave out --strict to accept it";
/// Says how long the steps took, all threads together, and when they ran.
fn say_timings() {
    say(&format!("{:>9} {:>9} {:>9} {:>8}  step", "busy ms", "from ms", "to ms", "times"));
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    for ((part, step), timing) in timings::timings() {
        let between = if part.is_empty() { "" } else { ": " };
        let (busy, from, to) = (ms(timing.busy), ms(timing.first), ms(timing.last));
        say(&format!("{busy:9.1} {from:9.1} {to:9.1} {:8}  {part}{between}{step}", timing.count));
    }
}

/// Says what failed and what to do.
pub(super) fn say_error(error: &anyhow::Error) {
    say(&format!("error: {}", message(error)));
    if let Some(hint) = hint(error) {
        say(&format!("hint: {hint}"));
    }
}

/// The exit code of a capture; one that no program can give is a failure.
fn captured(code: i32) -> Outcome {
    Outcome::Captured(u8::try_from(code).unwrap_or(1))
}

/// What failed. Errors of reading name their cause themselves; of others the causes follow.
pub(super) fn message(error: &anyhow::Error) -> String {
    match error.downcast_ref::<ReadError>() {
        Some(read) => read.to_string(),
        None => format!("{error:#}"),
    }
}

/// What the user can do about an error, where it is known.
pub(super) fn hint(error: &anyhow::Error) -> Option<String> {
    if let Some(read) = error.downcast_ref::<ReadError>() {
        return Some(read.hint().to_owned());
    }
    if let Some(hinted) = error.downcast_ref::<Hinted>() {
        return Some(hinted.hint.clone());
    }
    error.chain().filter_map(|cause| cause.downcast_ref()).find_map(io_hint).map(str::to_owned)
}

/// What to do about a file that cannot be written.
fn io_hint(error: &io::Error) -> Option<&'static str> {
    match error.kind() {
        _ if is_disk_full(error) => Some(DISK_FULL_HINT),
        io::ErrorKind::NotFound => Some("make the folder first, or check its name"),
        io::ErrorKind::IsADirectory => Some("it is a directory: name a file in it"),
        io::ErrorKind::NotADirectory => Some("a part of the path is a file: name another"),
        io::ErrorKind::PermissionDenied => Some("name a place that you may write to"),
        _ => None,
    }
}

/// What to do where a disk is full.
pub(super) const DISK_FULL_HINT: &str = "free some space, or write to another disk";

/// Whether there was no room for what was written.
pub(super) fn is_disk_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// An error of the command line with its own hint.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub(super) struct Hinted {
    /// What failed.
    pub(super) what: String,
    /// What to do.
    pub(super) hint: String,
}

/// Lines that come after the result.
static LATER: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Keeps a line for standard error until the result is out: what matters little does not stand on top of it.
pub(super) fn say_later(line: String) {
    LATER.lock().unwrap_or_else(PoisonError::into_inner).push(line);
}

/// Says what was kept.
fn say_kept() {
    let lines = std::mem::take(&mut *LATER.lock().unwrap_or_else(PoisonError::into_inner));
    lines.iter().for_each(|line| say(line));
}

/// Writes a message to standard error; there is nobody to tell where that fails. Names in it cannot move the cursor.
pub(super) fn say(message: &str) {
    message.split('\n').for_each(|line| say_rendered(&visible(line)));
}

/// Writes a line that was rendered, colours and all.
pub(super) fn say_rendered(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::{Outcome, captured};

    #[test]
    fn exit_codes_are_those_of_the_help() {
        let all = [Outcome::Done, Outcome::Found, Outcome::DataLost, Outcome::Failed];
        assert_eq!(all.map(Outcome::code), [0, 1, 2, 2]);
        assert_eq!([captured(130), captured(-1)].map(Outcome::code), [130, 1]);
    }
}
