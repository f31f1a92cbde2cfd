//! `omni-trace stages`: read the logs, gather what they tell, show it.

use std::path::{Path, PathBuf};

use super::args_stages::StagesArgs;
use super::figures::FigurePlan;
use super::guard;
use super::pages;
use super::plan::CommonPlan;
use super::reading::{find_logs, read_logs};
use super::run::{Outcome, say};
use super::session::{in_pool, outcome};
use super::tables::{TableChoice, rendered};
use crate::analyze::stages::RequestRow;
use crate::ask::stages_report;
use crate::model::log::PipelineLog;
use crate::read::Inputs;
use crate::schema::{Row as _, Source};
use crate::table::figure::stages_figures;
use crate::table::page::Page;
use crate::table::verdict::verdict_summary;
use crate::table::{Table, over_inputs};

/// Runs the command.
pub(super) fn run(args: &StagesArgs) -> anyhow::Result<Outcome> {
    let plan = StagesPlan::of(args)?;
    in_pool(plan.common.read.threads, || run_plan(&plan, args.html.as_deref()))
}

/// What `stages` will do.
pub(super) struct StagesPlan {
    pub(super) common: CommonPlan,
    pub(super) inputs: Inputs,
    choice: TableChoice,
    figures: Option<FigurePlan>,
}

impl StagesPlan {
    pub(super) fn of(args: &StagesArgs) -> anyhow::Result<Self> {
        let common = CommonPlan::of(&args.common);
        let choice = TableChoice::of(&common, &args.table, RequestRow::SPEC, args.top)?;
        let figures = FigurePlan::of(&args.figures)?;
        let inputs = find_logs(&args.paths)?;
        guard::claim_results(args.common.output.as_deref(), args.html.as_deref(), &args.figures)?;
        Ok(Self { common, inputs, choice, figures })
    }
}

fn run_plan(plan: &StagesPlan, html: Option<&Path>) -> anyhow::Result<Outcome> {
    let inputs = read_logs(&plan.inputs, &plan.common)?;
    let report = stages_report(&inputs);
    if let Some(path) = html {
        let logs = plan.inputs.paths.iter().map(PathBuf::as_path);
        pages::write(path, Page::of_stages(&report), &[], logs)?;
    }
    if let Some(figures) = &plan.figures {
        figures.write(&stages_figures(&report), plan.common.is_quiet)?;
    }
    let cut = |table: Table| match table.key {
        "issues" if plan.choice.is_default() => over_inputs::together(table, inputs.len()),
        "verdict" => verdict_summary(table),
        "logs" | "issues" => table,
        _ => table.for_people().top(plan.choice.top()),
    };
    let view = |source: &Source<'_>| report.view(source);
    let text = rendered(&plan.common, &plan.choice, &report, &report.tables(), view, cut)?;
    plan.common.target.write(text.as_bytes())?;
    let says_nothing = |log: &PipelineLog| log.entries.is_empty() && log.problems.is_empty();
    let is_empty = inputs.iter().all(|input| says_nothing(&input.log));
    if is_empty && !plan.common.is_quiet {
        say("warning: nothing in these logs tells of requests, stages or profiling");
        say("hint: give the console log of the server, or the pipeline's *.stats.jsonl files");
    }
    let warning = (!plan.choice.is_default())
        .then_some("records of the logs were lost; `--table issues` says what");
    Ok(outcome(plan.common.sorting(), inputs.iter().map(|input| &input.diag), warning))
}
