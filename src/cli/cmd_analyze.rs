//! `omni-trace analyze`: read the inputs, ask every analysis, show the answers.

use std::sync::Arc;

use anyhow::Context as _;
use rayon::prelude::*;

use super::args::{AnalyzeArgs, Format};
use super::plan::AnalyzePlan;
use super::progress::ProgressDisplay;
use super::rows;
use super::run::{Outcome, say};
use crate::analyze::kernels::{activity_durations, activity_stats, merge_durations};
use crate::diag::Severity;
use crate::read::{Input, Progress, read_inputs};
use crate::render::{csv, json, markdown, text};
use crate::table::{AnalyzeReport, KernelRow, SCHEMA_VERSION, Table};

/// Runs the command.
pub(super) fn run(args: &AnalyzeArgs) -> anyhow::Result<Outcome> {
    let plan = AnalyzePlan::of(args)?;
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(plan.common.read.threads)
        .build()
        .context("cannot start the analysis threads")?;
    pool.install(|| run_plan(&plan))
}

fn run_plan(plan: &AnalyzePlan) -> anyhow::Result<Outcome> {
    let inputs = read(plan)?;
    let report = analyze(plan, &inputs);
    plan.common.target.write(rendered(plan, &report)?.as_bytes())?;
    let is_lossy = inputs.iter().any(|input| input.diag.worst() >= Some(Severity::DataLoss));
    if is_lossy && plan.common.is_strict {
        return Ok(Outcome::DataLost);
    }
    if is_lossy && !plan.common.is_quiet && !plan.shows("issues") {
        say("warning: data of the input was lost; `--table issues` says what");
    }
    Ok(Outcome::Done)
}

fn read(plan: &AnalyzePlan) -> anyhow::Result<Vec<Input>> {
    if !plan.common.is_quiet {
        for (path, why) in &plan.inputs.skipped {
            say(&format!("note: {} is left out: {why}", path.display()));
        }
    }
    let progress = Arc::new(Progress::default());
    let _display = ProgressDisplay::start(&progress, &plan.inputs.paths, plan.common.is_quiet);
    Ok(read_inputs(&plan.inputs.paths, &plan.common.read, &progress)?)
}

/// Every analysis over every input, as rows.
fn analyze(_plan: &AnalyzePlan, inputs: &[Input]) -> AnalyzeReport {
    let durations: Vec<_> =
        inputs.par_iter().map(|input| activity_durations(&input.store)).collect();
    let kernels = activity_stats(&merge_durations(durations));
    let mut report = AnalyzeReport {
        schema_version: SCHEMA_VERSION,
        command: "analyze",
        kernels: kernels.into_iter().map(KernelRow::from).collect(),
        ..AnalyzeReport::default()
    };
    for (number, input) in inputs.iter().enumerate() {
        report.inputs.push(rows::input(number, input));
        report.issues.extend(rows::issues(number, &input.diag));
    }
    report
}

fn rendered(plan: &AnalyzePlan, report: &AnalyzeReport) -> anyhow::Result<String> {
    if plan.common.format == Format::Json {
        return Ok(json::document(report)?);
    }
    let tables = report.tables(|name| plan.shows_name(name));
    let shown = tables.into_iter().filter(|table| plan.shows(table.key));
    let texts: Vec<String> = match plan.common.format {
        Format::Csv => shown.map(|table| csv::table(&table)).collect(),
        Format::Md => {
            shown.map(|table| for_people(plan, table)).map(|t| markdown::table(&t)).collect()
        }
        _ => shown.map(|table| text::table(&for_people(plan, table), plan.common.style)).collect(),
    };
    Ok(texts.join("\n"))
}

/// A table with as many rows as a person asked for; inputs and issues are never cut.
fn for_people(plan: &AnalyzePlan, table: Table) -> Table {
    match table.key {
        "inputs" | "issues" | "devices" | "threads" => table,
        _ => table.top(plan.top),
    }
}
