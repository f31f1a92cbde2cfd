//! `omni-trace analyze`: read the inputs, ask every analysis, show the answers.

use std::sync::Arc;

use anyhow::Context as _;
use rayon::prelude::*;

use super::args::{AnalyzeArgs, Format};
use super::plan::AnalyzePlan;
use super::progress::ProgressDisplay;
use super::rows;
use super::run::{Outcome, say};
use crate::analyze::base::TimeBase;
use crate::analyze::devices::{DeviceTime, devices};
use crate::analyze::idle::{DeviceIdle, idle};
use crate::analyze::kernels::{
    ActivityDurations, activity_durations, activity_stats, merge_durations,
};
use crate::analyze::key_averages::{KeyAverages, key_averages, torch_times};
use crate::analyze::threads::{Threads, threads};
use crate::analyze::window::Windows;
use crate::diag::Severity;
use crate::read::{Input, Progress, read_inputs};
use crate::render::torch_table::{TorchTableOptions, torch_table};
use crate::render::{csv, json, markdown, text};
use crate::table::torch::TorchTable;
use crate::table::{
    AnalyzeReport, DeviceRow, KernelRow, KeyAverageRow, SCHEMA_VERSION, Table, ThreadRow, WaitRow,
    merge_key_averages,
};

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
    let mut inputs = read(plan)?;
    let results: Vec<Results> = inputs.par_iter().map(|input| Results::of(plan, input)).collect();
    for (input, results) in inputs.iter_mut().zip(&results) {
        rows::note_findings(input, &results.windows, &results.devices, &results.key_averages);
        if input.store.slices.is_empty() && !plan.common.is_quiet {
            say(&format!("warning: {} holds no event with a duration", input.path.display()));
            say("hint: the profiler may have been stopped before anything ran; widen its range");
        }
    }
    let output = if plan.is_torch_layout {
        torch_layout(plan, &inputs, &results)
    } else {
        rendered(plan, &report(plan, &inputs, results))?
    };
    plan.common.target.write(output.as_bytes())?;
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

/// What the analyses say about one input.
struct Results {
    windows: Windows,
    devices: Vec<DeviceTime>,
    idle: Vec<DeviceIdle>,
    threads: Threads,
    key_averages: KeyAverages,
    durations: ActivityDurations,
}

impl Results {
    fn of(plan: &AnalyzePlan, input: &Input) -> Self {
        let store = &input.store;
        let base = TimeBase::new(store, &plan.time);
        let window = base.windows.file;
        let part = base.windows.is_clipped.then(|| store.clipped(window.start_ns, window.end_ns));
        let part = part.as_ref().unwrap_or(store);
        Self {
            devices: devices(store, &base),
            idle: idle(store, &base),
            threads: threads(store, &base, &plan.time.rules),
            key_averages: key_averages(part, &plan.key_averages),
            durations: activity_durations(part),
            windows: base.windows,
        }
    }
}

/// The results of all inputs as one report, in the order of the inputs.
fn report(plan: &AnalyzePlan, inputs: &[Input], results: Vec<Results>) -> AnalyzeReport {
    let mut report = AnalyzeReport {
        schema_version: SCHEMA_VERSION,
        command: "analyze",
        totals: rows::totals(results.iter().map(|r| (&r.key_averages, &r.threads))),
        ..AnalyzeReport::default()
    };
    let mut key_averages = Vec::new();
    let mut durations = Vec::new();
    for (number, (input, results)) in inputs.iter().zip(results).enumerate() {
        report.inputs.push(rows::input(number, input, &results.windows));
        report.threads.extend(results.threads.threads.iter().map(|t| ThreadRow::of(number, t)));
        let devices = results.devices.iter().zip(&results.idle);
        report.devices.extend(devices.map(|(time, idle)| DeviceRow::of(number, time, idle)));
        report.waits.extend(results.threads.waits.iter().map(|w| WaitRow::of(number, w)));
        report.issues.extend(rows::issues(number, &input.diag));
        let rows = results.key_averages.rows.into_iter().map(KeyAverageRow::from);
        key_averages.push(rows.collect());
        durations.push(results.durations);
    }
    report.key_averages = merge_key_averages(key_averages);
    rows::sort_key_averages(&mut report.key_averages, plan.sort);
    report.key_averages.retain(|row| plan.shows_name(&row.name));
    let kernels = activity_stats(&merge_durations(durations)).into_iter().map(KernelRow::from);
    report.kernels = kernels.collect();
    report
}

/// Torch's own table of every input, under its path where there are several.
fn torch_layout(plan: &AnalyzePlan, inputs: &[Input], results: &[Results]) -> String {
    let mut out = String::new();
    for (input, results) in inputs.iter().zip(results) {
        let averages = &results.key_averages;
        let times = torch_times(&input.store, &plan.key_averages, averages);
        let table = TorchTable::new(averages, &times, rows::device_label(&input.store));
        let has_device = averages.rows.iter().any(|row| row.self_device_ns > 0);
        let options = TorchTableOptions {
            sort_by: rows::torch_sort(plan.sort, has_device),
            row_limit: Some(plan.top),
            ..TorchTableOptions::default()
        };
        if inputs.len() > 1 {
            out.push_str(&format!("# {}\n", input.path.display()));
        }
        out.push_str(&torch_table(&table, &options));
        out.push('\n');
    }
    out
}

fn rendered(plan: &AnalyzePlan, report: &AnalyzeReport) -> anyhow::Result<String> {
    if plan.common.format == Format::Json {
        return Ok(json::document(report)?);
    }
    let tables = report.tables(|name| plan.shows_name(name));
    let shown = tables.into_iter().filter(|table| is_shown(plan, table));
    let texts: Vec<String> = match plan.common.format {
        Format::Csv => shown.map(|table| csv::table(&table)).collect(),
        Format::Md => {
            shown.map(|table| for_people(plan, table)).map(|t| markdown::table(&t)).collect()
        }
        _ => shown.map(|table| text::table(&for_people(plan, table), plan.common.style)).collect(),
    };
    Ok(texts.join("\n"))
}

/// Whether a table is shown: one that was asked for always, one without rows only where that is news.
fn is_shown(plan: &AnalyzePlan, table: &Table) -> bool {
    let is_news = matches!(table.key, "devices" | "issues");
    plan.shows(table.key) && (!plan.tables.is_empty() || !table.rows.is_empty() || is_news)
}

/// A table with as many rows as a person asked for; inputs and issues are never cut.
fn for_people(plan: &AnalyzePlan, table: Table) -> Table {
    match table.key {
        "inputs" | "issues" | "devices" | "idle" | "threads" => table,
        _ => table.top(plan.top),
    }
}
