//! `omni-trace stages`: read the logs, gather what they tell, show it.

use anyhow::Context as _;
use rayon::prelude::*;

use super::args::{Format, StagesArgs, StagesTable};
use super::plan::CommonPlan;
use super::rows;
use super::run::{Hinted, Outcome, say};
use crate::analyze::stages::analyze_stages;
use crate::diag::Severity;
use crate::model::log::LineKind;
use crate::read::logs::{LogInput, discover_logs, read_log};
use crate::render::{csv, json, markdown, text};
use crate::table::Table;
use crate::table::stages::{LogFacts, StagesReport, waterfall_chart};

/// Runs the command.
pub(super) fn run(args: &StagesArgs) -> anyhow::Result<Outcome> {
    let plan = StagesPlan::of(args)?;
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(plan.common.read.threads)
        .build()
        .context("cannot start the analysis threads")?;
    pool.install(|| run_plan(&plan))
}

/// What `stages` will do.
struct StagesPlan {
    common: CommonPlan,
    paths: Vec<std::path::PathBuf>,
    /// Keys of the tables to show; empty for those that have rows.
    tables: Vec<&'static str>,
    /// Rows of a table for people.
    top: usize,
}

impl StagesPlan {
    fn of(args: &StagesArgs) -> anyhow::Result<Self> {
        let common = CommonPlan::of(&args.common);
        let mut tables: Vec<&'static str> = args.table.iter().map(|key| key.key()).collect();
        if common.format == Format::Csv {
            if tables.is_empty() {
                tables.push(StagesTable::Requests.key());
            }
            if tables.len() > 1 {
                let what = "a CSV file holds one table".to_owned();
                let hint = "name one with --table, or take --format json".to_owned();
                return Err(Hinted { what, hint }.into());
            }
        }
        let top = if args.top == 0 { usize::MAX } else { args.top };
        Ok(Self { common, paths: discover_logs(&args.paths)?, tables, top })
    }

    /// Whether a table is shown: by name, else where it has rows or a verdict and is not for looking things up.
    fn shows(&self, table: &Table) -> bool {
        if !self.tables.is_empty() {
            return self.tables.contains(&table.key);
        }
        let is_reference = matches!(table.key, "checks" | "census");
        !is_reference && (!table.rows.is_empty() || table.key == "flags")
    }
}

fn run_plan(plan: &StagesPlan) -> anyhow::Result<Outcome> {
    let inputs: Vec<LogInput> =
        plan.paths.par_iter().map(|path| read_log(path)).collect::<Result<_, _>>()?;
    let logs: Vec<_> = inputs.iter().map(|input| &input.log).collect();
    let found = analyze_stages(&logs);
    let facts: Vec<LogFacts> = inputs.iter().enumerate().map(facts).collect();
    let issues =
        inputs.iter().enumerate().flat_map(|(number, input)| rows::issues(number, &input.diag));
    let report = StagesReport::of(&found, &facts, issues.collect());
    plan.common.target.write(rendered(plan, &report)?.as_bytes())?;
    let is_empty = inputs.iter().all(|input| input.log.entries.is_empty());
    if is_empty && !plan.common.is_quiet {
        say("warning: nothing in these logs tells of requests, stages or profiling");
        say("hint: give the console log of the server, or the pipeline's *.stats.jsonl files");
    }
    let is_lossy = inputs.iter().any(|input| input.diag.worst() >= Some(Severity::DataLoss));
    if is_lossy && plan.common.is_strict {
        return Ok(Outcome::DataLost);
    }
    if is_lossy && !plan.common.is_quiet && !plan.tables.is_empty() {
        say("warning: records of the logs were lost; `--table issues` says what");
    }
    Ok(Outcome::Done)
}

fn facts((number, input): (usize, &LogInput)) -> LogFacts {
    let lines = |kind| input.log.census.lines(kind);
    LogFacts {
        path: input.path.display().to_string(),
        bytes: input.bytes,
        text_bytes: input.text_bytes,
        records: input.log.entries.len() as u64,
        processes: input.log.processes.len() as u64,
        recognized: lines(LineKind::Recognized),
        ignored: lines(LineKind::Ignored),
        unknown: lines(LineKind::Unknown),
        number,
    }
}

fn rendered(plan: &StagesPlan, report: &StagesReport) -> anyhow::Result<String> {
    if plan.common.format == Format::Json {
        return Ok(json::document(report)?);
    }
    let shown = report.tables().into_iter().filter(|table| plan.shows(table));
    let for_people = |table: Table| match table.key {
        "waterfall" => waterfall_chart(&report.waterfall).top(plan.top),
        _ => table.top(plan.top),
    };
    let texts: Vec<String> = match plan.common.format {
        Format::Csv => shown.map(|table| csv::table(&table)).collect(),
        Format::Md => shown.map(|table| markdown::table(&for_people(table))).collect(),
        _ => shown.map(|table| text::table(&for_people(table), plan.common.style)).collect(),
    };
    Ok(texts.join("\n"))
}
