//! What every command does around its work: threads before it, and what is said of lost data after it.

use anyhow::Context as _;

use super::reading::Sorting;
use super::run::{Outcome, say};
use crate::diag::{Reporter, Severity};

/// Runs the work of a command on as many threads as were asked for.
pub(super) fn in_pool<T: Send>(
    threads: usize,
    work: impl FnOnce() -> anyhow::Result<T> + Send,
) -> anyhow::Result<T> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    pool.context("cannot start the analysis threads")?.install(work)
}

/// How a run over some inputs ended: lost data is an error under `--strict`, and is said with `warning` where the result
/// does not say it.
pub(super) fn outcome<'a>(
    manner: Sorting,
    mut diags: impl Iterator<Item = &'a Reporter>,
    warning: Option<&str>,
) -> Outcome {
    let is_lossy = diags.any(|diag| diag.worst() >= Some(Severity::DataLoss));
    if is_lossy && manner.is_strict {
        return Outcome::DataLost;
    }
    if let Some(warning) = warning.filter(|_| is_lossy && !manner.is_quiet) {
        say(&format!("warning: {warning}"));
    }
    Outcome::Done
}
