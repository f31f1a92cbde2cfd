//! Many inputs without their events, answered together: clocks from collectives first, then everything across inputs,
//! and one report.

use std::collections::BTreeSet;
use std::path::Path;

use super::digest::Sums;
use super::inputs as rows;
use super::{Digest, Question};
use crate::align::{Clocks, Together};
use crate::analyze::across::Across;
use crate::analyze::blame::{Blame, blame};
use crate::analyze::clock::{PlacementRow, TimedInput, together};
use crate::analyze::comm_waits::comm_waits;
use crate::analyze::components::merge_components;
use crate::analyze::joined::Joined;
use crate::analyze::kernel_classes::kernel_classes;
use crate::analyze::kernel_origins::{KernelOrigin, merge_origins};
use crate::analyze::kernels::{ActivityDurations, kernel_rows, merge_durations};
use crate::analyze::percent;
use crate::analyze::ranks::{
    FunctionSpreadRow, RankInput, RankRow, Ranks, SlowLinkRow, SlowRankRow, SpreadRow,
};
use crate::analyze::timeline::Class;
use crate::diag::timings::timed;
use crate::model::{Identity, Role};
use crate::schema::{Row as _, Spec};
use crate::table::verdict::{VerdictRow, verdict};
use crate::table::{
    AnalyzeReport, ComponentRow, DeviceRow, KernelRow, KeyAverageRow, RunRow, SCHEMA_VERSION,
    merge_key_averages,
};

/// Tables that many ranks fill.
pub(super) const OF_RANKS: [&Spec; 5] =
    [RankRow::SPEC, SpreadRow::SPEC, FunctionSpreadRow::SPEC, SlowRankRow::SPEC, SlowLinkRow::SPEC];

/// Tables that these are made from.
pub(super) const RANKS_OF: [&Spec; 3] = [DeviceRow::SPEC, KernelRow::SPEC, KeyAverageRow::SPEC];

/// What is compared of an input: its path, who wrote it, what is told of it.
pub(super) type Part<'a> = (&'a Path, &'a Identity, &'a Across);

fn timed_inputs<'a>(parts: &[Part<'a>]) -> Vec<TimedInput<'a>> {
    let timed = |&(path, identity, across): &Part<'a>| TimedInput { path, identity, across };
    parts.iter().map(timed).collect()
}

/// What inputs are to each other.
pub(super) fn compare(parts: &[Part<'_>], is_one_run: bool) -> Together {
    together(&timed_inputs(parts), is_one_run)
}

/// The figures across inputs; `None` for a single one.
pub(super) fn blame_of(parts: &[Part<'_>], together: &Together) -> Option<Blame> {
    (parts.len() > 1).then(|| blame(&timed_inputs(parts), together))
}

/// Inputs without their events, compared.
pub struct Reduced {
    pub(super) digests: Vec<Digest>,
    pub(super) together: Together,
    /// The figures across inputs; `None` for a single one.
    pub across: Option<Blame>,
    pub(super) joined: Option<Joined>,
    /// What all ranks told of each other, where one alone is left.
    pub(super) among: Option<Ranks>,
}

impl Reduced {
    /// Compares inputs of which every table was asked.
    pub fn of(question: &Question, digests: Vec<Digest>) -> Self {
        let parts: Vec<Part<'_>> = digests.iter().map(Digest::part).collect();
        let together = timed("reduce: match inputs", || compare(&parts, question.is_one_run));
        let across = timed("reduce: across inputs", || blame_of(&parts, &together));
        Self { digests, together, across, joined: None, among: None }
    }

    /// One rank alone, which stays held against all.
    ///
    /// # Errors
    ///
    /// There is no such rank: those that there are, in order.
    pub fn only(self, question: &Question, rank: u32) -> Result<Self, Vec<u32>> {
        let rank_of = |one: &Digest| one.identity.any_rank();
        let mut ranks = self.ranks(question);
        let is_kept = |one: &Digest| rank_of(one) == Some(rank);
        let numbers: Vec<usize> =
            (0..self.digests.len()).filter(|&i| is_kept(&self.digests[i])).collect();
        if numbers.is_empty() {
            let known: BTreeSet<u32> = self.digests.iter().filter_map(rank_of).collect();
            return Err(known.into_iter().collect());
        }
        ranks.keep(&numbers);
        let own = self.digests.into_iter().filter(is_kept).collect();
        let own = Self::of(question, super::partial::renumbered(question, own));
        Ok(Self { among: Some(ranks), ..own })
    }

    /// Where their clocks stand.
    pub fn clocks(&self) -> Clocks {
        let inputs = self.digests.iter().map(|one| (one.path.as_path(), &one.identity));
        Clocks::of(&self.together.alignment, inputs)
    }

    /// The inputs.
    pub fn digests(&self) -> &[Digest] {
        &self.digests
    }

    /// What many ranks tell of each other.
    fn ranks(&self, question: &Question) -> Ranks {
        if let Some(among) = &self.among {
            return among.clone();
        }
        if self.digests.len() < 2 || !question.needs(&OF_RANKS) {
            return Ranks::default();
        }
        let inputs: Vec<RankInput<'_>> = self.digests.iter().map(Digest::rank).collect();
        timed("reduce: ranks", || Ranks::of(&inputs, &self.together))
    }

    /// One report, in the order of the inputs.
    pub fn into_report(self, question: &Question) -> AnalyzeReport {
        let parts: Vec<Part<'_>> = self.digests.iter().map(Digest::part).collect();
        let inputs = timed_inputs(&parts);
        let (ranks, waits) = rayon::join(
            || self.ranks(question),
            || timed("reduce: waits", || comm_waits(&inputs, &self.together.matched)),
        );
        let runs = self.together.runs;
        let mut report = timed("reduce: rows and sums", || report(question, self.digests, &runs));
        add_comm_waits(&mut report, &waits);
        let across = self.across.unwrap_or_default();
        let placed = across.placed.iter().zip(&runs).enumerate();
        let placements = placed.map(|(i, (placed, &run))| PlacementRow::of(i, placed, run));
        let placements = placements.collect();
        let Blame { clocks, rows: blame, stragglers, .. } = across;
        let Joined { log_clocks, joined_stages, joined_requests, .. } =
            self.joined.unwrap_or_default();
        let mut report = AnalyzeReport {
            placements,
            clocks,
            blame,
            stragglers,
            log_clocks,
            joined_stages,
            joined_requests,
            ranks: ranks.ranks,
            rank_spread: ranks.spread,
            rank_functions: ranks.functions,
            slow_ranks: ranks.slow,
            slow_links: ranks.links,
            ..report
        };
        if question.needs(&[VerdictRow::SPEC]) {
            report.verdict = VerdictRow::of(timed("analyze: verdict", || verdict(&report)));
        }
        report
    }
}

/// Adds to each device how long it waited for other ranks. What an input with several devices shares is of none of them alone.
fn add_comm_waits(report: &mut AnalyzeReport, waits: &[Option<i64>]) {
    for rows in report.devices.chunk_by_mut(|a, b| a.input == b.input) {
        if let [row] = rows {
            row.comm_wait_ns = waits[row.input];
            row.comm_wait_pct = row.comm_wait_ns.and_then(|ns| percent(ns, row.comm_busy_ns));
        }
    }
}

/// The results of the inputs as one report, in the order of the inputs.
fn report(question: &Question, digests: Vec<Digest>, runs: &[u32]) -> AnalyzeReport {
    let summed = SummedRuns::of(&digests, runs);
    let is_summed: Vec<bool> = (0..digests.len()).map(|i| summed.is_in(i)).collect();
    let all = digests.iter().zip(&is_summed).filter(|(_, is_summed)| **is_summed);
    let mut report = AnalyzeReport {
        schema_version: SCHEMA_VERSION,
        command: "analyze",
        totals: rows::sum(all.map(|(one, _)| &one.sums.totals)),
        runs: summed.rows(),
        excluded_classes: question.excluded.clone(),
        ..AnalyzeReport::default()
    };
    let mut parts: Vec<RunParts> = Vec::new();
    parts.resize_with(report.runs.len(), RunParts::default);
    for (number, mut digest) in digests.into_iter().enumerate() {
        digest.add_rows(runs[number], &mut report);
        if is_summed[number] {
            parts[runs[number] as usize].add(digest.sums);
        }
    }
    for (run, parts) in (0..).zip(parts) {
        parts.sum_into(run, &mut report);
    }
    report.kernel_classes = kernel_classes(&report.kernels);
    show_names(question, &mut report);
    report
}

/// Leaves out what is not shown, and orders the profiler table.
fn show_names(question: &Question, report: &mut AnalyzeReport) {
    report.activity.retain(|row| question.shows_name(&row.name));
    report.streams.retain(|row| question.shows_name(&row.name));
    report.launches.retain(|row| question.shows_name(&row.name));
    if !question.excluded.is_empty() {
        let n_rows = report.key_averages.len();
        report.key_averages.retain(|row| !row.is_gone());
        report.totals.excluded_rows = Some((n_rows - report.key_averages.len()) as u64);
    }
    rows::sort_key_averages(&mut report.key_averages, question.sort);
    report.key_averages.retain(|row| question.shows_name(&row.name));
    let runs = &report.runs;
    report.key_averages.iter_mut().for_each(|row| row.set_shares(&runs[row.run as usize].totals));
}

/// Which inputs are summed: the ranks of each run. A front end runs no part of the model; it is summed only where there
/// is nothing else.
struct SummedRuns<'a> {
    digests: &'a [Digest],
    runs: &'a [u32],
    has_rank: bool,
}

impl<'a> SummedRuns<'a> {
    fn of(digests: &'a [Digest], runs: &'a [u32]) -> Self {
        let has_rank = digests.iter().any(|one| one.identity.role == Role::Worker);
        Self { digests, runs, has_rank }
    }

    fn is_in(&self, input: usize) -> bool {
        !self.has_rank || self.digests[input].identity.role == Role::Worker
    }

    /// The runs with their inputs and totals.
    fn rows(&self) -> Vec<RunRow> {
        let n_runs = self.runs.iter().max().map_or(0, |&last| last + 1);
        let row = |run: u32| {
            let of_run = |&i: &usize| self.runs[i] == run;
            let inputs: Vec<usize> = (0..self.digests.len()).filter(of_run).collect();
            let (summed, not_summed) = inputs.iter().partition(|&&i| self.is_in(i));
            let summed: Vec<usize> = summed;
            let totals = rows::sum(summed.iter().map(|&i| &self.digests[i].sums.totals));
            RunRow::of(run, inputs, not_summed, totals)
        };
        (0..n_runs).map(row).collect()
    }
}

/// What is summed over the ranks of one run.
#[derive(Default)]
struct RunParts {
    key_averages: Vec<Vec<KeyAverageRow>>,
    durations: Vec<ActivityDurations>,
    origins: Vec<KernelOrigin>,
    components: Vec<Vec<ComponentRow>>,
    recorded: BTreeSet<Class>,
}

impl RunParts {
    fn add(&mut self, sums: Sums) {
        self.key_averages.push(sums.key_averages);
        self.durations.push(sums.durations);
        self.origins.extend(sums.origins);
        self.components.push(sums.components);
        self.recorded.extend(sums.recorded);
    }

    fn sum_into(self, run: u32, report: &mut AnalyzeReport) {
        let Self { key_averages, durations, origins, components, recorded } = self;
        let kernels = || {
            let (durations, origins) =
                rayon::join(|| merge_durations(durations), || merge_origins(origins));
            kernel_rows(run, durations, &origins)
        };
        let (key_averages, (kernels, components)) = rayon::join(
            || merge_key_averages(key_averages),
            || rayon::join(kernels, || merge_components(components)),
        );
        let rows = key_averages.into_iter();
        report.key_averages.extend(rows.map(|row| KeyAverageRow { run, ..row }));
        report.kernels.extend(kernels);
        let components = components.into_iter().map(|mut row| {
            row.forget(|class| recorded.contains(&class));
            ComponentRow { run, ..row }
        });
        report.components.extend(components);
    }
}
