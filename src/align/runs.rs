//! Which inputs are of one run: the same job, or recorded at the same time by different ranks.
//!
//! Inputs whose times are relative to nothing known cannot be shown to be apart; they are of one run unless two claim to
//! be the same rank. Whose job ids differ is never of one run.

use std::collections::BTreeSet;

use super::clocks::ClockBase;
use super::identity::{Claim, claim_of};
use super::pairing::TOGETHER_NS;
use super::{AlignInput, AlignMode, align_clocks, matched};
use crate::store::Store;

/// Keys of metadata that number a job, in lower case without separators.
const JOB_KEYS: [&str; 6] =
    ["jobid", "slurmjobid", "runid", "grouptraceid", "requestgrouptraceid", "mastjobid"];

/// Clocks of one cluster that nobody sets differ by less than this; profiles of one job hours later do not.
const MAX_CLOCK_OFFSET_NS: i64 = 60_000_000_000;

/// Collectives that must agree before clocks are said to be apart instead of runs.
const FEWEST_AGREEING: usize = 3;

/// Inputs of which each is of the same run as another.
#[derive(Clone, Debug)]
struct Run {
    members: Vec<usize>,
    claims: BTreeSet<Claim>,
    jobs: BTreeSet<String>,
}

impl Run {
    /// Whether two can be one: no rank twice, no two jobs.
    fn may_join(&self, other: &Self) -> bool {
        self.claims.is_disjoint(&other.claims)
            && (self.jobs.is_empty() || other.jobs.is_empty() || self.jobs == other.jobs)
    }
}

/// The number of the run of each input, from 0 in the order of the inputs.
pub fn runs(inputs: &[AlignInput<'_>]) -> Vec<u32> {
    let jobs: Vec<Option<String>> = inputs.iter().map(|input| input.digest.job.clone()).collect();
    let windows: Vec<Option<(i64, i64)>> = inputs.iter().map(unix_window).collect();
    if let Some(runs) = agreed(inputs, &jobs, &windows) {
        return runs;
    }
    let mut edges = Vec::new();
    for a in 0..inputs.len() {
        for b in a + 1..inputs.len() {
            let is_same_job = jobs[a].is_some() && jobs[a] == jobs[b];
            let overlap_ns = overlap(windows[a], windows[b]);
            if is_same_job || overlap_ns.is_none_or(|ns| ns > 0) {
                let is_beside = inputs[a].path.parent() == inputs[b].path.parent();
                let weight = overlap_ns.unwrap_or(0);
                edges.push((!is_same_job, !is_beside, std::cmp::Reverse(weight), a, b));
            }
        }
    }
    edges.sort_unstable();
    let mut grouped = Grouped::new(inputs, &jobs);
    edges.into_iter().for_each(|(_, _, _, a, b)| grouped.join(a, b));
    grouped.join_by_collectives(inputs);
    grouped.numbers()
}

/// The runs where all inputs could be of one: no rank twice, no two jobs. Which of them to join first is then no matter, so that
/// a chain through those that overlap does for all pairs, of which thousands of ranks have millions. `None` where the chain
/// does not hold all of them: then every pair is looked at.
fn agreed(
    inputs: &[AlignInput<'_>],
    jobs: &[Option<String>],
    windows: &[Option<(i64, i64)>],
) -> Option<Vec<u32>> {
    let mut claims = BTreeSet::new();
    let claimed = inputs.iter().filter_map(|one| claim_of(one.identity));
    let is_alone = claimed.into_iter().all(|claim| claims.insert(claim));
    let known: BTreeSet<&String> = jobs.iter().flatten().collect();
    let mut spans: Vec<(i64, i64)> = windows.iter().copied().flatten().collect();
    spans.sort_unstable();
    let mut reach_ns = spans.first()?.1;
    let is_chained = spans.iter().all(|&(start_ns, end_ns)| {
        let is_inside = start_ns < reach_ns && start_ns < end_ns;
        reach_ns = reach_ns.max(end_ns);
        is_inside
    });
    (is_alone && known.len() < 2 && is_chained).then(|| vec![0; inputs.len()])
}

/// Inputs in runs, while these are joined.
struct Grouped {
    runs: Vec<Option<Run>>,
    run_of: Vec<usize>,
}

impl Grouped {
    fn new(inputs: &[AlignInput<'_>], jobs: &[Option<String>]) -> Self {
        let alone = |(number, input): (usize, &AlignInput<'_>)| {
            Some(Run {
                members: vec![number],
                claims: claim_of(input.identity).into_iter().collect(),
                jobs: jobs[number].clone().into_iter().collect(),
            })
        };
        let runs = inputs.iter().enumerate().map(alone).collect();
        Self { runs, run_of: (0..inputs.len()).collect() }
    }

    fn may_join(&self, a: usize, b: usize) -> bool {
        let (a, b) = (&self.runs[self.run_of[a]], &self.runs[self.run_of[b]]);
        a.as_ref().zip(b.as_ref()).is_some_and(|(a, b)| a.may_join(b))
    }

    /// Makes the runs of two inputs one, where they can be.
    fn join(&mut self, a: usize, b: usize) {
        let (to, from) = (self.run_of[a].min(self.run_of[b]), self.run_of[a].max(self.run_of[b]));
        if to == from || !self.may_join(a, b) {
            return;
        }
        let Some(gone) = self.runs[from].take() else { return };
        gone.members.iter().for_each(|&member| self.run_of[member] = to);
        if let Some(kept) = &mut self.runs[to] {
            kept.members.extend(gone.members);
            kept.claims.extend(gone.claims);
            kept.jobs.extend(gone.jobs);
        }
    }

    /// Ranks whose clocks are so far apart that their windows do not meet may still share collectives, which then agree
    /// on one offset.
    fn join_by_collectives(&mut self, inputs: &[AlignInput<'_>]) {
        for b in 1..inputs.len() {
            for a in 0..b {
                if self.run_of[a] != self.run_of[b]
                    && self.may_join(a, b)
                    && agree(&inputs[a], &inputs[b])
                {
                    self.join(a, b);
                }
            }
        }
    }

    /// The runs numbered in the order of their first inputs.
    fn numbers(&self) -> Vec<u32> {
        let mut seen: Vec<usize> = Vec::new();
        let number = |&run: &usize| {
            let found = seen.iter().position(|&known| known == run).unwrap_or_else(|| {
                seen.push(run);
                seen.len() - 1
            });
            found as u32
        };
        self.run_of.iter().map(number).collect()
    }
}

/// Whether collectives of two inputs agree on how far the clocks are apart, and that is no further than clocks are.
fn agree(a: &AlignInput<'_>, b: &AlignInput<'_>) -> bool {
    if !a.digest.communicates() || !b.digest.communicates() {
        return false;
    }
    let both = [AlignInput { run: 0, ..*a }, AlignInput { run: 0, ..*b }];
    let alignment = align_clocks(&both, &matched(&both), AlignMode::Collectives);
    alignment.inputs.iter().filter_map(|clock| clock.estimate).any(|found| {
        found.n_matched - found.n_dropped >= FEWEST_AGREEING
            && found.error_ns <= TOGETHER_NS
            && found.offset_ns.saturating_abs() <= MAX_CLOCK_OFFSET_NS
    })
}

/// The job that a trace says it is of.
pub(super) fn job_of(store: &Store) -> Option<String> {
    let plain = |key: &str| super::operation::plain(key);
    let is_job = |key: &str| JOB_KEYS.contains(&plain(key).as_str());
    let found = store.meta.entries.iter().find(|(key, _)| is_job(key));
    let text = found.map(|(_, text)| text.trim().trim_matches('"').to_owned())?;
    (!text.is_empty() && text != "null").then_some(text)
}

/// The window in Unix time, where that is known.
fn unix_window(input: &AlignInput<'_>) -> Option<(i64, i64)> {
    let (start_ns, end_ns) = input.window_ns?;
    let base_ns = match input.digest.base {
        ClockBase::Stated(ns) => ns,
        ClockBase::Absolute => 0,
        ClockBase::Unknown => return None,
    };
    Some((start_ns.saturating_add(base_ns), end_ns.saturating_add(base_ns)))
}

/// For how long two windows overlap, 0 where they do not; `None` where that cannot be told.
fn overlap(a: Option<(i64, i64)>, b: Option<(i64, i64)>) -> Option<i64> {
    let ((a_start, a_end), (b_start, b_end)) = a.zip(b)?;
    Some(a_end.min(b_end).saturating_sub(a_start.max(b_start)).max(0))
}
