//! Sums over the requests of a run, computed once: a run can have as many summaries as requests, each held against them.

use std::collections::BTreeMap;

use crate::model::log::Quantity;

use super::check::sum;
use super::edges::{EdgeSums, sums_of};
use super::merge::Run;

/// Tokens of one stage.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct StageTokens {
    pub(super) made: i64,
    pub(super) taken: i64,
}

/// The sums of a run.
#[derive(Debug, Default)]
pub(super) struct RunSums {
    /// Requests with an end-to-end time.
    pub(super) n_timed: usize,
    /// Sum of these times, added in order of appearance.
    pub(super) e2e: Option<Quantity>,
    pub(super) e2e_ns: i64,
    /// Tokens that all stages made.
    pub(super) made: i64,
    pub(super) stages: BTreeMap<u32, StageTokens>,
    pub(super) edges: BTreeMap<(u32, u32), EdgeSums>,
}

impl RunSums {
    pub(super) fn of(run: &Run) -> Self {
        let times = || run.order.iter().filter_map(|request| run.requests.get(request)?.1.e2e);
        let mut sums = Self {
            n_timed: times().count(),
            e2e: sum(times().map(|d| d.ms)),
            e2e_ns: times().fold(0, |sum, d| sum.saturating_add(d.ns)),
            edges: sums_of(run),
            ..Self::default()
        };
        for (_, record) in run.stage_requests.values() {
            let (made, taken) = (record.tokens_out.unwrap_or(0), record.tokens_in.unwrap_or(0));
            let stage = sums.stages.entry(record.stage).or_default();
            stage.made = stage.made.saturating_add(made);
            stage.taken = stage.taken.saturating_add(taken);
            sums.made = sums.made.saturating_add(made);
        }
        sums
    }

    /// Whether as many requests have an end-to-end time as a summary counts.
    pub(super) fn covers(&self, requests: Option<i64>) -> bool {
        i64::try_from(self.n_timed).ok() == requests
    }
}
