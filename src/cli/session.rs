//! What every command does around its work: threads before it, and what is said of lost data after it.

use std::sync::OnceLock;

use super::reading::Sorting;
use super::run::{Hinted, Outcome, say};
use crate::diag::{Reporter, Severity};

/// Runs the work of a command on as many threads as were asked for: those of the program, which readers use as well.
pub(super) fn in_pool<T: Send>(
    threads: usize,
    work: impl FnOnce() -> anyhow::Result<T> + Send,
) -> anyhow::Result<T> {
    static POOL: OnceLock<Result<(), String>> = OnceLock::new();
    let pool = POOL.get_or_init(|| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build_global();
        pool.map_err(|error| error.to_string())
    });
    if let Err(error) = pool {
        let what = format!("cannot start the analysis threads: {error}");
        let hint = "ask for fewer with --threads".to_owned();
        return Err(Hinted { what, hint }.into());
    }
    work()
}

/// How a run over some inputs ended: lost data is an error under `--strict`, and is said with `warning` where the result
/// does not say it.
pub(super) fn outcome<'a>(
    manner: Sorting,
    mut diags: impl Iterator<Item = &'a Reporter>,
    warning: Option<&str>,
) -> Outcome {
    outcome_of(manner, diags.any(|diag| diag.worst() >= Some(Severity::DataLoss)), warning)
}

/// The same where it is known whether data was lost.
pub(super) fn outcome_of(manner: Sorting, is_lossy: bool, warning: Option<&str>) -> Outcome {
    if is_lossy && manner.is_strict {
        return Outcome::DataLost;
    }
    if let Some(warning) = warning.filter(|_| is_lossy && !manner.is_quiet) {
        say(&format!("warning: {warning}"));
    }
    Outcome::Done
}
