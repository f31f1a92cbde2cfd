//! Inputs analyzed, each on its own and all together, and the report of it: what `analyze` and `report` share.
//!
//! Nothing here reads a file or prints.

use std::collections::BTreeSet;

use rayon::prelude::*;

use super::plan::AnalyzePlan;
use super::results::{Results, across};
use super::rows;
use crate::analyze::blame::Blame;
use crate::analyze::components::merge_components;
use crate::analyze::joined::Joined;
use crate::analyze::kernels::{activity_stats, merge_durations};
use crate::analyze::trust::{TrustLine, trust};
use crate::read::Input;
use crate::read::logs::LogInput;
use crate::table::verdict::{VerdictRow, verdict};
use crate::table::{
    Across, ActivityRow, AnalyzeReport, BreakdownRow, ComponentRow, DeviceRow, ExcludedRow, GapRow,
    IterationRow, IterationSummaryRow, KernelRow, KeyAverageRow, SCHEMA_VERSION, StartupRow,
    ThreadRow, TrustRow, WaitRow, merge_key_averages,
};

/// What all analyses said.
pub(super) struct Analyzed {
    /// Of each input.
    pub(super) results: Vec<Results>,
    /// Of all of them; `None` for a single one, and where no table shows it.
    pub(super) across: Option<Blame>,
    /// The logs joined with the inputs; `None` where no logs were given.
    pub(super) joined: Option<Joined>,
    /// The checks of each input.
    panels: Vec<Vec<TrustLine>>,
}

impl Analyzed {
    /// Asks every analysis that the plan needs, and notes in the inputs' issues what was found odd.
    pub(super) fn of(plan: &AnalyzePlan, inputs: &mut [Input]) -> Self {
        let results: Vec<Results> =
            inputs.par_iter().map(|input| Results::of(plan, input)).collect();
        let across = across(plan, inputs, &results);
        let panels = inputs
            .par_iter()
            .zip(&results)
            .map(|(input, results)| trust(&input.store, &results.base, &input.diag))
            .collect();
        for (input, results) in inputs.iter_mut().zip(&results) {
            rows::note_findings(input, &results.base, results.key_averages.as_ref());
        }
        Self { results, across, joined: None, panels }
    }

    /// With the logs that the plan names, joined with the inputs.
    pub(super) fn with_logs(
        mut self,
        plan: &AnalyzePlan,
        inputs: &[Input],
        logs: &[LogInput],
    ) -> Self {
        let bases: Vec<_> = self.results.iter().map(|one| &one.base).collect();
        let join = plan.logs.as_ref();
        self.joined = join.map(|join| join.join(inputs, &bases, logs, plan.common.is_quiet));
        self
    }

    /// The results as one report, in the order of the inputs.
    pub(super) fn into_report(self, plan: &AnalyzePlan, inputs: &[Input]) -> AnalyzeReport {
        let mut report = report(plan, inputs, self.results);
        for (number, lines) in self.panels.iter().enumerate() {
            report.trust.extend(lines.iter().map(|line| TrustRow::of(number, line)));
        }
        let Across { placements, clocks, blame, stragglers } =
            self.across.as_ref().map(Across::from).unwrap_or_default();
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
        if plan.needs(&["verdict"]) {
            report.verdict = VerdictRow::of(verdict(&report));
        }
        report
    }
}

/// The results of the inputs as one report, in the order of the inputs.
fn report(plan: &AnalyzePlan, inputs: &[Input], results: Vec<Results>) -> AnalyzeReport {
    let mut report = AnalyzeReport {
        schema_version: SCHEMA_VERSION,
        command: "analyze",
        totals: rows::totals(&results),
        excluded_classes: plan.excluded.iter().map(|class| class.as_str()).collect(),
        ..AnalyzeReport::default()
    };
    let mut key_averages = Vec::new();
    let mut durations = Vec::new();
    let mut components = Vec::new();
    let mut recorded = BTreeSet::new();
    for (number, (input, results)) in inputs.iter().zip(results).enumerate() {
        add_input(&mut report, number, input, &results);
        let rows = results.key_averages.into_iter().flat_map(|averages| averages.rows);
        key_averages.push(rows.map(KeyAverageRow::from).collect());
        durations.push(results.durations);
        let activity = results.activity.into_iter().map(|one| ActivityRow::of(number, one));
        report.activity.extend(activity.filter(|row| plan.shows_name(&row.name)));
        components.push(results.components);
        recorded.extend(results.recorded);
    }
    report.key_averages = merge_key_averages(key_averages);
    if !plan.excluded.is_empty() {
        let n_rows = report.key_averages.len();
        report.key_averages.retain(|row| !row.is_gone());
        report.totals.excluded_rows = Some((n_rows - report.key_averages.len()) as u64);
    }
    rows::sort_key_averages(&mut report.key_averages, plan.sort);
    report.key_averages.retain(|row| plan.shows_name(&row.name));
    let kernels = activity_stats(&merge_durations(durations)).into_iter().map(KernelRow::from);
    report.kernels = kernels.collect();
    let is_recorded = |class| recorded.contains(&class);
    let components = merge_components(components).into_iter();
    report.components = components.map(|one| ComponentRow::of(one, is_recorded)).collect();
    report
}

/// Adds the rows that belong to one input.
fn add_input(report: &mut AnalyzeReport, number: usize, input: &Input, results: &Results) {
    let windows = &results.base.windows;
    let threads = &results.threads;
    report.inputs.push(rows::input(number, input, windows));
    report.threads.extend(threads.threads.iter().map(|t| ThreadRow::of(number, t)));
    report.breakdown.extend(BreakdownRow::of(number, threads));
    if let Some(exclusion) = &results.exclusion {
        report.excluded.extend(ExcludedRow::of(number, threads, exclusion));
    }
    let devices = results.devices.iter().zip(&results.idle);
    report.devices.extend(devices.map(|(time, idle)| DeviceRow::of(number, time, idle)));
    let start_ns = windows.file.start_ns;
    report.startup.extend(results.startup.iter().flat_map(|one| StartupRow::of(number, one)));
    for idle in &results.idle {
        let gaps = idle.largest.iter();
        report.idle_gaps.extend(gaps.map(|gap| GapRow::of(number, idle.device, start_ns, gap)));
    }
    report.waits.extend(threads.waits.iter().map(|w| WaitRow::of(number, w)));
    for row in &results.iterations.rows {
        let track = &input.store.tracks[row.track];
        let ids = [&track.pid, &track.tid].map(|id| input.store.track_id_text(id));
        report.iterations.push(IterationRow::of(number, (&ids[0], &ids[1]), start_ns, row));
    }
    let phases = results.iterations.phases.iter();
    report
        .iteration_summary
        .extend(phases.flat_map(|phase| IterationSummaryRow::of(number, phase)));
    report.issues.extend(rows::issues(number, &input.diag));
}
