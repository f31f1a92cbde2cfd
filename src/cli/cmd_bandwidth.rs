//! `omni-trace bandwidth`: read the inputs, account for copies and collectives, show them.

use std::path::Path;

use rayon::prelude::*;

use super::args::RuleArgs;
use super::args_bandwidth::BandwidthArgs;
use super::figures::FigurePlan;
use super::guard;
use super::interval::refuse_outside;
use super::log_plan::{LogPlan, warn_of_logs};
use super::pages;
use super::plan::{CommonPlan, peaks_of};
use super::reading::{find_traces, read_traces};
use super::run::Outcome;
use super::session::{in_pool, outcome};
use super::tables::{TableChoice, rendered};
use crate::analyze::base::{TimeBase, TimeConfig};
use crate::analyze::copies::CopiesConfig;
use crate::analyze::window::WindowConfig;
use crate::ask::{bandwidth_report, compared, joined_with};
use crate::read::logs::LogInput;
use crate::read::{Input, Inputs};
use crate::schema::{Row as _, Source};
use crate::table::figure::bandwidth_figures;
use crate::table::page::Page;
use crate::table::{BandwidthReport, CopyRow, Table, over_inputs};

/// What `bandwidth` will do.
pub(super) struct BandwidthPlan {
    pub(super) common: CommonPlan,
    pub(super) inputs: Inputs,
    choice: TableChoice,
    pub(super) copies: CopiesPlan,
    figures: Option<FigurePlan>,
}

/// What is asked of copies and collectives.
#[derive(Default)]
pub(super) struct CopiesPlan {
    pub(super) time: TimeConfig,
    pub(super) copies: CopiesConfig,
    pub(super) logs: Option<LogPlan>,
    /// Whether all inputs are of one run, whatever they say.
    pub(super) is_one_run: bool,
    /// The interval that was asked for.
    pub(super) window: Option<WindowConfig>,
}

/// Runs the command.
pub(super) fn run(args: &BandwidthArgs) -> anyhow::Result<Outcome> {
    let plan = BandwidthPlan::of(args)?;
    in_pool(plan.common.read.threads, || run_plan(&plan, args.html.as_deref()))
}

impl BandwidthPlan {
    pub(super) fn of(args: &BandwidthArgs) -> anyhow::Result<Self> {
        let common = CommonPlan::of(&args.common).kept(&args.cache);
        let choice = TableChoice::of(&common, &args.table, CopyRow::SPEC, args.top)?;
        let peaks = peaks_of(args.peak.as_deref())?;
        let rules = RuleArgs { wait_rules: None, comm_rules: args.comm_rules.clone() };
        let inputs = find_traces(&args.paths)?;
        let logs = LogPlan::of(&args.logs, &args.paths, &inputs)?;
        let time = rules.time_config(args.window)?;
        guard::claim_results(args.common.output.as_deref(), args.html.as_deref(), &args.figures)?;
        Ok(Self {
            common,
            inputs,
            choice,
            copies: CopiesPlan {
                time,
                copies: CopiesConfig { peaks },
                logs,
                is_one_run: args.runs.one_run,
                window: args.window,
            },
            figures: FigurePlan::of(&args.figures)?,
        })
    }
}

impl CopiesPlan {
    /// What the inputs answer, with the logs that the plan names; what is missing from them is said.
    pub(super) fn report(
        &self,
        common: &CommonPlan,
        inputs: &[Input],
        logs: &[LogInput],
    ) -> anyhow::Result<BandwidthReport> {
        let bases: Vec<TimeBase> = inputs
            .par_iter()
            .enumerate()
            .map(|(i, input)| TimeBase::new(&input.store, &self.time).numbered(i))
            .collect();
        refuse_outside(self.window, bases.iter().map(|base| base.windows.whole))?;
        let bases: Vec<&TimeBase> = bases.iter().collect();
        let together = compared(inputs, &bases, self.is_one_run);
        let mut report = bandwidth_report(&self.copies, inputs, &bases, &together);
        if let Some(join) = self.logs.as_ref().filter(|join| join.joins(logs)) {
            let joined = joined_with(inputs, &bases, &together, logs, join.config());
            warn_of_logs(&joined, logs, join.tone(), common.is_quiet);
            report.add_joined(joined);
        }
        Ok(report)
    }
}

fn run_plan(plan: &BandwidthPlan, html: Option<&Path>) -> anyhow::Result<Outcome> {
    let inputs = read_traces(&plan.inputs, &plan.common)?;
    let logs = LogPlan::read(plan.copies.logs.as_ref(), &plan.common)?;
    let report = plan.copies.report(&plan.common, &inputs, &logs)?;
    if let Some(path) = html {
        pages::write(
            path,
            Page::of_bandwidth(&report),
            &inputs,
            logs.iter().map(|log| log.path.as_path()),
        )?;
    }
    if let Some(figures) = &plan.figures {
        figures.write(&bandwidth_figures(&report), plan.common.is_quiet)?;
    }
    let cut = |table: Table| match table.key {
        "issues" if plan.choice.is_default() => over_inputs::together(table, inputs.len()),
        "inputs" | "issues" => table,
        "directions" | "log_clocks" => table.for_people(),
        _ => table.for_people().top(plan.choice.top()),
    };
    let view = |source: &Source<'_>| report.view(source);
    let text = rendered(&plan.common, &plan.choice, &report, &report.tables(), view, cut)?;
    plan.common.target.write(text.as_bytes())?;
    let warning = (!plan.choice.is_default())
        .then_some("data of the input was lost; `--table issues` says what");
    Ok(outcome(plan.common.sorting(), inputs.iter().map(|input| &input.diag), warning))
}
