//! From arguments to an exit code.

use std::io::{self, Write as _};
use std::process::ExitCode;

use super::args::{Args, Command};
use super::{
    cmd_analyze, cmd_bandwidth, cmd_capture, cmd_merge, cmd_report, cmd_schema, cmd_slim,
    cmd_stages,
};
use crate::read::ReadError;

/// How a run ended, where it did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Done.
    Done,
    /// Done, but data of the input was lost and `--strict` was given.
    DataLost,
}

/// Runs a command and gives the exit code: 0 done, 1 a gate found something, 2 an error or data lost under `--strict`.
pub fn run(args: &Args) -> ExitCode {
    let result = match &args.command {
        Command::Analyze(analyze) => cmd_analyze::run(analyze),
        Command::Merge(merge) => cmd_merge::run(merge),
        Command::Slim(slim) => cmd_slim::run(slim),
        Command::Bandwidth(bandwidth) => cmd_bandwidth::run(bandwidth),
        Command::Stages(stages) => cmd_stages::run(stages),
        Command::Report(report) => cmd_report::run(report),
        Command::Schema(schema) => cmd_schema::run(schema),
        Command::Capture(capture) => return exit_code(cmd_capture::run(capture)),
    };
    match result {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::DataLost) => {
            say("error: data of the input was lost, and --strict is set");
            say(
                "hint: the issues in the output say what was lost and where; leave out --strict to accept it",
            );
            ExitCode::from(2)
        }
        Err(error) => {
            say_error(&error);
            ExitCode::from(2)
        }
    }
}

/// Says what failed and what to do.
pub(super) fn say_error(error: &anyhow::Error) {
    say(&format!("error: {}", message(error)));
    if let Some(hint) = hint(error) {
        say(&format!("hint: {hint}"));
    }
}

/// An exit code of the producer, which has some of its own (130 when interrupted).
fn exit_code(code: i32) -> ExitCode {
    u8::try_from(code).map_or(ExitCode::FAILURE, ExitCode::from)
}

/// What failed. Errors of reading name their cause themselves; of others the causes follow.
fn message(error: &anyhow::Error) -> String {
    match error.downcast_ref::<ReadError>() {
        Some(read) => read.to_string(),
        None => format!("{error:#}"),
    }
}

/// What the user can do about an error, where it is known.
fn hint(error: &anyhow::Error) -> Option<String> {
    if let Some(read) = error.downcast_ref::<ReadError>() {
        return Some(read.hint().to_owned());
    }
    if let Some(hinted) = error.downcast_ref::<Hinted>() {
        return Some(hinted.hint.clone());
    }
    let is_full = error.chain().filter_map(|cause| cause.downcast_ref()).any(is_disk_full);
    is_full.then(|| DISK_FULL_HINT.to_owned())
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

/// Writes a line to standard error; there is nobody to tell where that fails.
pub(super) fn say(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}
