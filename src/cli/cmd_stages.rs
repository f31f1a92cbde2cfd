//! `omni-trace stages`: read the logs, gather what they tell, show it.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::args_stages::{StagesArgs, StagesTable};
use super::figures::FigurePlan;
use super::guard::{self, Output};
use super::pages;
use super::plan::CommonPlan;
use super::reading::{find_logs, read_logs};
use super::rows;
use super::run::{Outcome, say};
use super::tables::{TableChoice, rendered};
use crate::analyze::stages::{LogRow, analyze_stages};
use crate::diag::Severity;
use crate::model::log::{LineKind, PipelineLog};
use crate::read::Inputs;
use crate::read::logs::LogInput;
use crate::schema::Source;
use crate::table::figure::stages_figures;
use crate::table::over_inputs;
use crate::table::page::Page;
use crate::table::stages::StagesReport;

/// Runs the command.
pub(super) fn run(args: &StagesArgs) -> anyhow::Result<Outcome> {
    let plan = StagesPlan::of(args)?;
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(plan.common.read.threads)
        .build()
        .context("cannot start the analysis threads")?;
    pool.install(|| run_plan(&plan, args.html.as_deref()))
}

/// What `stages` will do.
struct StagesPlan {
    common: CommonPlan,
    inputs: Inputs,
    choice: TableChoice,
    figures: Option<FigurePlan>,
}

impl StagesPlan {
    fn of(args: &StagesArgs) -> anyhow::Result<Self> {
        let common = CommonPlan::of(&args.common);
        let choice = TableChoice::of(&common, &args.table, &StagesTable::Requests, args.top)?;
        let figures = FigurePlan::of(&args.figures)?;
        let inputs = find_logs(&args.paths)?;
        guard::claim([
            Output::of("-o", args.common.output.as_deref()),
            Output::of("--html", args.html.as_deref()),
            Output::of("--png", args.figures.png.as_deref()),
        ])?;
        Ok(Self { common, inputs, choice, figures })
    }
}

fn run_plan(plan: &StagesPlan, html: Option<&Path>) -> anyhow::Result<Outcome> {
    let inputs = read_logs(&plan.inputs, plan.common.sorting())?;
    let report = report(&inputs);
    if let Some(path) = html {
        let logs = plan.inputs.paths.iter().map(PathBuf::as_path);
        pages::write(path, Page::of_stages(&report), &[], logs)?;
    }
    if let Some(figures) = &plan.figures {
        figures.write(&stages_figures(&report), plan.common.is_quiet)?;
    }
    let view = |source: &Source<'_>| match (source.key, report.view(source)) {
        ("issues", table) if plan.choice.is_default() => over_inputs::together(table, inputs.len()),
        ("logs" | "issues", table) => table,
        (_, table) => table.for_people().top(plan.choice.top()),
    };
    let text = rendered(&plan.common, &plan.choice, &report, &report.tables(), view)?;
    plan.common.target.write(text.as_bytes())?;
    let says_nothing = |log: &PipelineLog| log.entries.is_empty() && log.problems.is_empty();
    let is_empty = inputs.iter().all(|input| says_nothing(&input.log));
    if is_empty && !plan.common.is_quiet {
        say("warning: nothing in these logs tells of requests, stages or profiling");
        say("hint: give the console log of the server, or the pipeline's *.stats.jsonl files");
    }
    let is_lossy = inputs.iter().any(|input| input.diag.worst() >= Some(Severity::DataLoss));
    if is_lossy && plan.common.is_strict {
        return Ok(Outcome::DataLost);
    }
    if is_lossy && !plan.common.is_quiet && !plan.choice.is_default() {
        say("warning: records of the logs were lost; `--table issues` says what");
    }
    Ok(Outcome::Done)
}

/// What some logs tell.
pub(super) fn report(inputs: &[LogInput]) -> StagesReport {
    let logs: Vec<_> = inputs.iter().map(|input| &input.log).collect();
    let rows: Vec<LogRow> = inputs.iter().enumerate().map(log_row).collect();
    let issues =
        inputs.iter().enumerate().flat_map(|(number, input)| rows::issues(number, &input.diag));
    StagesReport::of(analyze_stages(&logs), rows, issues.collect())
}

fn log_row((number, input): (usize, &LogInput)) -> LogRow {
    let lines = |kind| input.log.census.lines(kind);
    LogRow {
        log: number,
        bytes: input.bytes,
        text_bytes: input.text_bytes,
        records: input.log.entries.len() as u64,
        processes: input.log.processes.len() as u64,
        recognized_lines: lines(LineKind::Recognized),
        ignored_lines: lines(LineKind::Ignored),
        unknown_lines: lines(LineKind::Unknown),
        path: input.path.display().to_string(),
    }
}
