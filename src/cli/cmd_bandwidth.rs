//! `omni-trace bandwidth`: read the inputs, account for copies and collectives, show them.

use std::path::Path;

use rayon::prelude::*;

use super::args_bandwidth::BandwidthArgs;
use super::figures::FigurePlan;
use super::guard;
use super::joining::LogPlan;
use super::pages;
use super::plan::{CommonPlan, window_config};
use super::reading::{find_traces, read_traces};
use super::results::compared;
use super::rows;
use super::rule_files::COMM_RULES;
use super::run::{Hinted, Outcome};
use super::session::{in_pool, outcome};
use super::tables::{TableChoice, rendered};
use crate::align::Together;
use crate::analyze::base::{TimeBase, TimeConfig};
use crate::analyze::collectives::{CollectiveInput, collectives};
use crate::analyze::copies::{CopiesConfig, copies};
use crate::analyze::peaks::PeakOverrides;
use crate::read::{Input, Inputs};
use crate::schema::{Row as _, Source};
use crate::table::figure::bandwidth_figures;
use crate::table::page::Page;
use crate::table::{BandwidthReport, CopyRow, InputRow, Table, over_inputs};

/// What `bandwidth` will do.
struct BandwidthPlan {
    common: CommonPlan,
    inputs: Inputs,
    choice: TableChoice,
    time: TimeConfig,
    copies: CopiesConfig,
    logs: Option<LogPlan>,
    figures: Option<FigurePlan>,
    /// Whether all inputs are of one run, whatever they say.
    is_one_run: bool,
}

/// Runs the command.
pub(super) fn run(args: &BandwidthArgs) -> anyhow::Result<Outcome> {
    let plan = BandwidthPlan::of(args)?;
    in_pool(plan.common.read.threads, || run_plan(&plan, args.html.as_deref()))
}

impl BandwidthPlan {
    fn of(args: &BandwidthArgs) -> anyhow::Result<Self> {
        let common = CommonPlan::of(&args.common);
        let choice = TableChoice::of(&common, &args.table, CopyRow::SPEC, args.top)?;
        let peaks = args.peak.as_deref().map_or(Ok(PeakOverrides::default()), PeakOverrides::parse);
        let peaks = peaks.map_err(|what| Hinted {
            what: format!("--peak: {what}"),
            hint: "write it as host=63,peer=450,memory=3350, in GB/s".to_owned(),
        })?;
        let inputs = find_traces(&args.paths)?;
        let logs = LogPlan::of(&args.logs)?;
        let comm_rules = COMM_RULES.of(args.comm_rules.as_deref())?.1;
        guard::claim_results(args.common.output.as_deref(), args.html.as_deref(), &args.figures)?;
        Ok(Self {
            common,
            inputs,
            choice,
            time: TimeConfig {
                window: window_config(args.window),
                comm_rules,
                ..TimeConfig::default()
            },
            copies: CopiesConfig { peaks },
            logs,
            figures: FigurePlan::of(&args.figures)?,
            is_one_run: args.runs.one_run,
        })
    }
}

fn run_plan(plan: &BandwidthPlan, html: Option<&Path>) -> anyhow::Result<Outcome> {
    let inputs = read_traces(&plan.inputs, &plan.common)?;
    let logs = LogPlan::read(plan.logs.as_ref(), &plan.common)?;
    let bases: Vec<TimeBase> =
        inputs.par_iter().map(|input| TimeBase::new(&input.store, &plan.time)).collect();
    let bases: Vec<&TimeBase> = bases.iter().collect();
    let together = compared(&inputs, &bases, plan.is_one_run);
    let mut report = report(&plan.copies, &inputs, &bases, &together);
    if let Some(join) = &plan.logs {
        report.add_joined(join.join(&inputs, &bases, &together, &logs, plan.common.is_quiet));
    }
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

/// What is known of the transfers of some inputs with their time bases.
pub(super) fn report(
    config: &CopiesConfig,
    inputs: &[Input],
    bases: &[&TimeBase],
    together: &Together,
) -> BandwidthReport {
    let mut report = BandwidthReport::new();
    for (number, (input, base)) in inputs.iter().zip(bases).enumerate() {
        let copies = copies(&input.store, base, config);
        let mut diag = input.diag.clone();
        copies.report_above_peak(&mut diag);
        let row = rows::input(number, input, &base.windows);
        report.inputs.push(InputRow { run: together.runs[number], ..row });
        report.add_copies(number, copies);
        report.issues.extend(rows::issues(number, &diag));
    }
    let all: Vec<CollectiveInput<'_>> = inputs
        .iter()
        .zip(bases)
        .map(|(input, base)| CollectiveInput {
            store: &input.store,
            base,
            stage: input.identity.stage,
            rank: input.identity.rank,
        })
        .collect();
    report.add_collectives(&collectives(&all, &together.matched));
    report
}
