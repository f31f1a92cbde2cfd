//! Inputs analyzed, each on its own and all together, and the report of it.

use std::collections::BTreeSet;

use rayon::prelude::*;

use super::one_input::{across, compared};
use super::{InputAnswers, Question, inputs as rows, joined_with};
use crate::align::Together;
use crate::analyze::blame::Blame;
use crate::analyze::clock::PlacementRow;
use crate::analyze::components::merge_components;
use crate::analyze::joined::{JoinConfig, Joined};
use crate::analyze::kernel_classes::kernel_classes;
use crate::analyze::kernels::{
    ActivityDurations, StreamRow, kernel_rows, merge_durations, streams,
};
use crate::analyze::launch_delays::{LaunchRow, launch_delays};
use crate::analyze::modules::{LayerRow, NnModuleRow, modules};
use crate::analyze::roofline::{RooflineRow, UtilizationRow, roofline};
use crate::analyze::timeline::Class;
use crate::analyze::trust::{TrustLine, trust};
use crate::analyze::window::Windows;
use crate::diag::Reporter;
use crate::diag::timings::timed;
use crate::model::Role;
use crate::read::Input;
use crate::read::logs::LogInput;
use crate::schema::Row as _;
use crate::table::verdict::{VerdictRow, verdict};
use crate::table::{
    AnalyzeReport, BreakdownRow, ComponentRow, DeviceRow, ExcludedRow, IterationRow,
    IterationSummaryRow, KeyAverageRow, RunRow, SCHEMA_VERSION, ThreadRow, TrustRow,
    merge_key_averages,
};

/// What all analyses said.
pub struct Answers {
    /// Of each input.
    pub results: Vec<InputAnswers>,
    /// What the inputs are to each other: runs, shared collectives, clocks.
    pub together: Together,
    /// Of all of them; `None` for a single one, and where no table shows it.
    pub across: Option<Blame>,
    /// The logs joined with the inputs; `None` where no logs were given.
    pub joined: Option<Joined>,
    /// What was odd or lost in each input, with what the analyses found worth knowing.
    pub diags: Vec<Reporter>,
    /// The checks of each input.
    panels: Vec<Vec<TrustLine>>,
}

impl Answers {
    /// Asks every analysis that the plan needs, and notes in the inputs' issues what was found odd.
    pub fn of(question: &Question, inputs: &[Input]) -> Self {
        let results: Vec<InputAnswers> = inputs
            .par_iter()
            .enumerate()
            .map(|(i, input)| InputAnswers::of(question, i, input))
            .collect();
        let bases: Vec<_> = results.iter().map(|one| &one.base).collect();
        let together =
            timed("analyze: match inputs", || compared(inputs, &bases, question.is_one_run));
        let across = across(question, inputs, &bases, &together);
        let panels = inputs
            .par_iter()
            .zip(&results)
            .map(|(input, results)| {
                timed("analyze: trust", || trust(&input.store, &results.base, &input.diag))
            })
            .collect();
        let with_findings = |(input, results): (_, &InputAnswers)| {
            rows::with_findings(input, &results.base, results.key_averages.as_ref())
        };
        let diags = inputs.iter().zip(&results).map(with_findings).collect();
        Self { results, together, across, joined: None, panels, diags }
    }

    /// The windows of the inputs.
    pub fn windows(&self) -> impl Iterator<Item = &Windows> {
        self.results.iter().map(|one| &one.base.windows)
    }

    /// With the logs of the same run, joined with the inputs.
    #[must_use]
    pub fn with_logs(mut self, inputs: &[Input], logs: &[LogInput], config: JoinConfig) -> Self {
        let bases: Vec<_> = self.results.iter().map(|one| &one.base).collect();
        self.joined = Some(joined_with(inputs, &bases, &self.together, logs, config));
        self
    }

    /// The results as one report, in the order of the inputs.
    pub fn into_report(self, question: &Question, inputs: &[Input]) -> AnalyzeReport {
        let runs = self.together.runs;
        let mut report = report(question, inputs, (self.results, &self.diags), &runs);
        for (number, lines) in self.panels.iter().enumerate() {
            report.trust.extend(lines.iter().map(|line| TrustRow::of(number, line)));
            let doubts: Vec<&str> = lines
                .iter()
                .filter(|line| line.is_doubt())
                .map(|line| line.kind.as_str())
                .collect();
            if !doubts.is_empty() {
                report.inputs[number].trust += &format!(", in doubt: {}", doubts.join(", "));
            }
        }
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
            ..report
        };
        if question.needs(&[VerdictRow::SPEC]) {
            report.verdict = VerdictRow::of(timed("analyze: verdict", || verdict(&report)));
        }
        report
    }
}

/// The results of the inputs as one report, in the order of the inputs.
fn report(
    question: &Question,
    inputs: &[Input],
    (results, diags): (Vec<InputAnswers>, &[Reporter]),
    runs: &[u32],
) -> AnalyzeReport {
    let summed = SummedRuns::of(inputs, runs);
    let mut report = AnalyzeReport {
        schema_version: SCHEMA_VERSION,
        command: "analyze",
        totals: rows::totals((0..results.len()).filter(|&i| summed.is_in(i)).map(|i| &results[i])),
        runs: summed.rows(&results),
        excluded_classes: question.excluded.iter().map(|class| class.as_str()).collect(),
        ..AnalyzeReport::default()
    };
    if question.needs(&[NnModuleRow::SPEC, LayerRow::SPEC]) {
        let stores = inputs.iter().map(|input| &input.store);
        let seen: Vec<_> = stores.zip(results.iter().map(|one| &one.base)).collect();
        let found = modules(&seen);
        (report.modules, report.layers) = (found.modules, found.layers);
    }
    let mut parts: Vec<RunParts> = Vec::new();
    parts.resize_with(report.runs.len(), RunParts::default);
    for (number, (input, mut results)) in inputs.iter().zip(results).enumerate() {
        add_input(&mut report, number, (input, &diags[number]), &results);
        let activity = std::mem::take(&mut results.activity).into_iter();
        report.activity.extend(activity.filter(|row| question.shows_name(&row.name)));
        if question.needs(&[LaunchRow::SPEC]) {
            report.launches.extend(launch_delays(&input.store, &results.base));
        }
        if question.needs(&[RooflineRow::SPEC, UtilizationRow::SPEC]) {
            let InputAnswers { base, iterations, .. } = &results;
            let found = roofline(&input.store, base, iterations, &question.roofline);
            report.roofline.extend(found.rows);
            report.utilization.extend(found.utilization);
        }
        if question.needs(&[StreamRow::SPEC]) {
            report.streams.extend(streams(&input.store, &results.base));
        }
        if let Some(row) = report.inputs.last_mut() {
            row.run = runs[number];
        }
        if summed.is_in(number) {
            parts[runs[number] as usize].add(results);
        }
    }
    for (run, parts) in (0..).zip(parts) {
        parts.sum_into(run, &mut report);
    }
    report.kernel_classes = kernel_classes(&report.kernels);
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
    report
}

/// Which inputs are summed: the ranks of each run. A front end runs no part of the model; it is summed only where there
/// is nothing else.
struct SummedRuns<'a> {
    inputs: &'a [Input],
    runs: &'a [u32],
    has_rank: bool,
}

impl<'a> SummedRuns<'a> {
    fn of(inputs: &'a [Input], runs: &'a [u32]) -> Self {
        let has_rank = inputs.iter().any(|input| input.identity.role == Role::Worker);
        Self { inputs, runs, has_rank }
    }

    fn is_in(&self, input: usize) -> bool {
        !self.has_rank || self.inputs[input].identity.role == Role::Worker
    }

    /// The runs with their inputs and totals.
    fn rows(&self, results: &[InputAnswers]) -> Vec<RunRow> {
        let n_runs = self.runs.iter().max().map_or(0, |&last| last + 1);
        let row = |run: u32| {
            let of_run = |&i: &usize| self.runs[i] == run;
            let inputs: Vec<usize> = (0..results.len()).filter(of_run).collect();
            let (summed, not_summed) = inputs.iter().partition(|&&i| self.is_in(i));
            let summed: Vec<usize> = summed;
            let totals = rows::totals(summed.iter().map(|&i| &results[i]));
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
    components: Vec<Vec<ComponentRow>>,
    recorded: BTreeSet<Class>,
}

impl RunParts {
    fn add(&mut self, results: InputAnswers) {
        let rows = results.key_averages.into_iter().flat_map(|averages| averages.rows);
        self.key_averages.push(rows.map(KeyAverageRow::from).collect());
        self.durations.push(results.durations);
        self.components.push(results.components);
        self.recorded.extend(results.recorded);
    }

    fn sum_into(self, run: u32, report: &mut AnalyzeReport) {
        let rows = merge_key_averages(self.key_averages).into_iter();
        report.key_averages.extend(rows.map(|row| KeyAverageRow { run, ..row }));
        report.kernels.extend(kernel_rows(run, merge_durations(self.durations)));
        let components = merge_components(self.components).into_iter().map(|mut row| {
            row.forget(|class| self.recorded.contains(&class));
            ComponentRow { run, ..row }
        });
        report.components.extend(components);
    }
}

/// Adds the rows that belong to one input.
fn add_input(
    report: &mut AnalyzeReport,
    number: usize,
    (input, diag): (&Input, &Reporter),
    results: &InputAnswers,
) {
    let windows = &results.base.windows;
    let threads = &results.threads;
    report.inputs.push(rows::input(number, input, diag, windows));
    report.threads.extend(threads.threads.iter().map(|t| ThreadRow::of(number, t)));
    report.breakdown.extend(BreakdownRow::of(number, threads));
    if let Some(exclusion) = &results.exclusion {
        report.excluded.extend(ExcludedRow::of(number, threads, exclusion));
    }
    let devices = results.devices.iter().zip(&results.idle);
    report.devices.extend(
        devices.map(|(row, idle)| DeviceRow { idle_by_cause: idle.rows(number), ..row.clone() }),
    );
    let start_ns = windows.file.start_ns;
    report.startup.extend_from_slice(&results.startup);
    report.idle_gaps.extend(results.idle.iter().flat_map(|idle| &idle.largest).cloned());
    report.waits.extend_from_slice(&threads.waits);
    for row in &results.iterations.rows {
        let track = &input.store.tracks[row.track];
        let ids = [&track.pid, &track.tid].map(|id| input.store.track_id_text(id));
        report.iterations.push(IterationRow::of(number, (&ids[0], &ids[1]), start_ns, row));
    }
    let phases = results.iterations.phases.iter();
    report
        .iteration_summary
        .extend(phases.flat_map(|phase| IterationSummaryRow::of(number, phase)));
    report.memory.extend_from_slice(&results.memory);
    report.issues.extend(rows::issues(number, diag));
}
