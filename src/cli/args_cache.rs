//! `--cache`, and what can be typed after `cache`.

use std::ffi::OsString;

use clap::{Args as ClapArgs, ValueEnum};

use super::run::say_later;
use crate::read::Sidecars;

/// What is kept of the traces that are read.
#[derive(Clone, Debug, Default, ClapArgs)]
pub(super) struct CacheArgs {
    /// Where to keep what was read of a trace, so that the next command need not read it again: a folder, `off`, or `auto` for the
    /// user's cache directory and traces that take long to read. Answers are never kept. `omni-trace cache` shows what is there.
    /// Default: the variable OMNI_TRACE_CACHE, or auto.
    #[arg(long, value_name = "auto|off|DIR")]
    pub(super) cache: Option<OsString>,
}

impl CacheArgs {
    /// The sidecars that were asked for. A folder that was named and cannot be had is said: nothing is kept then.
    pub(super) fn sidecars(&self, is_quiet: bool) -> Option<Sidecars> {
        let sidecars = Sidecars::asked(self.cache.as_deref())?;
        if let Some(Err(error)) = self.cache.as_ref().map(|_| sidecars.prepare())
            && !is_quiet
        {
            let folder = sidecars.folder().display();
            say_later(format!("note: nothing is kept in {folder}: {error}"));
        }
        Some(sidecars)
    }
}

/// What was read of traces and kept for the next command: what is there, or `cache clean`.
///
/// A trace's store is kept in the user's cache directory, about an eighth as large as its JSON, and used as long as the trace is
/// the same file: its size, times, inode and hashes of its head, its tail and 64 places between them. Not seen is a change in
/// place of the same length, outside of these, that leaves the file's time of change as it was, for which the clock must be set
/// back. All together take 4 GiB at most: those that were used longest ago go first.
#[derive(Debug, ClapArgs)]
pub(super) struct CacheCommandArgs {
    /// What to do.
    #[arg(value_name = "ACTION", default_value = "list")]
    pub(super) action: CacheAction,

    #[command(flatten)]
    pub(super) cache: CacheArgs,
}

/// What can be done with what is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum CacheAction {
    /// Show it.
    List,
    /// Remove it.
    Clean,
}
