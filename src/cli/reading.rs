//! Reading the inputs of a command: progress shown, what is no trace left out where others are.

use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::here;
use super::plan::CommonPlan;
use super::progress::ProgressDisplay;
use super::run::say_later;
use crate::align::refine_identity;
use crate::diag::{IssueKind, Reporter};
use crate::files;
use crate::read::logs::{LogInput, discover_logs, read_log};
use crate::read::{Input, Inputs, ReadError, discover, is_not_a_rank, read_each, with_snapshots};

/// Whether files of another kind are an error, and whether to say that they are left out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sorting {
    /// Files of another kind are an error.
    pub(super) is_strict: bool,
    /// Nothing is said.
    pub(super) is_quiet: bool,
}

impl Sorting {
    /// What was given, where files of another kind among others are left out, said, and noted with the first that stays:
    /// a shell's `*` names tables and logs beside traces. A file on its own is not left out, nor is anything that cannot
    /// be read.
    pub(super) fn sorted<T>(
        self,
        results: Vec<Result<Vec<T>, ReadError>>,
        reporter: impl Fn(&mut T) -> &mut Reporter,
    ) -> Result<Vec<T>, ReadError> {
        let leaves_out = !self.is_strict && results.iter().any(Result::is_ok);
        let (mut kept, mut left_out) = (Vec::new(), Vec::new());
        for result in results {
            match result {
                Ok(read) => kept.extend(read),
                Err(error) if leaves_out && error.is_of_another_kind() => left_out.push(error),
                Err(error) => return Err(error),
            }
        }
        if !self.is_quiet {
            left_out.iter().for_each(|error| say_later(format!("note: left out: {error}")));
        }
        if let (Some(first), count @ 1..) = (kept.first_mut(), left_out.len()) {
            let names: Vec<_> =
                left_out.into_iter().map(|error| file_name(&error.into_path())).collect();
            reporter(first).add(IssueKind::LeftOut, count as u64, None, Some(names.join(", ")));
        }
        Ok(kept)
    }
}

/// The name of a file without its folder.
fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

/// The traces that a command is to read, which nothing may write over from now on.
pub(super) fn find_traces(paths: &[PathBuf]) -> anyhow::Result<Inputs> {
    here::found(paths, discover, here::no_traces).map(protected)
}

/// The logs that a command is to read, which nothing may write over from now on.
pub(super) fn find_logs(paths: &[PathBuf]) -> anyhow::Result<Inputs> {
    here::found(paths, discover_logs, here::no_logs).map(protected)
}

/// Keeps inputs from being written over.
pub(super) fn protected(inputs: Inputs) -> Inputs {
    files::protect_found(&inputs);
    inputs
}

/// Reads the traces of a command.
pub(super) fn read_traces(inputs: &Inputs, common: &CommonPlan) -> anyhow::Result<Vec<Input>> {
    say_skipped(inputs, common.is_quiet);
    let results = {
        let progress = &common.progress;
        let _display = ProgressDisplay::start(progress, &inputs.paths, common.is_quiet);
        read_each(&inputs.paths, &common.read, progress, common.sidecars.as_ref())
    };
    let mut read = common.sorting().sorted(results, |input: &mut Input| &mut input.diag)?;
    for input in &mut read {
        input.identity = refine_identity(&input.path, &input.identity, &input.store, &[]);
    }
    note_not_ranks(inputs, &mut read);
    Ok(with_snapshots(read))
}

/// Notes with the first input what profilers wrote beside the traces.
fn note_not_ranks(inputs: &Inputs, read: &mut [Input]) {
    let not_ranks = inputs.skipped.iter().filter(|(_, why)| is_not_a_rank(why));
    let names: Vec<String> = not_ranks.map(|(path, _)| file_name(path)).collect();
    if let (Some(first), count @ 1..) = (read.first_mut(), names.len()) {
        first.diag.add(IssueKind::NotARank, count as u64, None, Some(names.join(", ")));
    }
}

/// Files that are left out for one reason and named each.
const N_NAMED: usize = 4;

/// Says which files are not read, and why: one line for each reason, after the result.
pub(super) fn say_skipped(inputs: &Inputs, is_quiet: bool) {
    let mut reasons: Vec<(&str, Vec<String>)> = Vec::new();
    for (path, why) in inputs.skipped.iter().filter(|_| !is_quiet) {
        let path = path.display().to_string();
        match reasons.iter_mut().find(|(known, _)| *known == why.as_ref()) {
            Some((_, paths)) => paths.push(path),
            None => reasons.push((why.as_ref(), vec![path])),
        }
    }
    for (why, paths) in reasons {
        let n_more = paths.len().saturating_sub(N_NAMED);
        let mut names = paths[..paths.len() - n_more].join(", ");
        if n_more > 0 {
            names += &format!(" and {n_more} more");
        }
        say_later(match paths.len() {
            1 => format!("note: {names} is left out: {why}"),
            _ => format!("note: {names} are left out, each because {why}"),
        });
    }
}

/// Reads logs.
pub(super) fn read_logs(inputs: &Inputs, common: &CommonPlan) -> anyhow::Result<Vec<LogInput>> {
    say_skipped(inputs, common.is_quiet);
    let results = {
        let progress = &common.progress;
        let _display = ProgressDisplay::start(progress, &inputs.paths, common.is_quiet);
        let read = |path: &PathBuf| read_log(path, progress).map(|log| vec![log]);
        inputs.paths.par_iter().map(read).collect()
    };
    Ok(common.sorting().sorted(results, |log| &mut log.diag)?)
}
