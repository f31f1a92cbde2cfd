//! What pipeline logs tell: the machine output of `stages`, and its tables for people.

use std::collections::BTreeMap;

use serde::Serialize;

use super::verdict::{VerdictRow, verdict_of_logs, verdict_view};
use super::{Bar, Cell, Column, IssueRow, SCHEMA_VERSION, Table, Unit};
use crate::analyze::stages::{LogRow, SpanKind, StageReport, ThroughputRow, WaterfallRow};
use crate::schema::{self, Source};

/// The machine output of `stages`. The order of the fields is the contract; fields are only ever added.
#[derive(Clone, Debug, Default, Serialize)]
pub struct StagesReport {
    /// Version of the machine output.
    pub schema_version: u32,
    /// `stages`.
    pub command: &'static str,
    /// The logs.
    pub logs: Vec<LogRow>,
    /// What they tell.
    #[serde(flatten)]
    pub found: StageReport,
    /// What was odd or lost.
    pub issues: Vec<IssueRow>,
    /// What the figures come to.
    pub verdict: Vec<VerdictRow>,
}

impl StagesReport {
    /// The report of some logs.
    pub fn of(found: StageReport, logs: Vec<LogRow>, issues: Vec<IssueRow>) -> Self {
        let verdict = Vec::new();
        let report = Self {
            schema_version: SCHEMA_VERSION,
            command: "stages",
            logs,
            found,
            issues,
            verdict,
        };
        let verdict = VerdictRow::of(verdict_of_logs(&report).into_iter().collect());
        Self { verdict, ..report }
    }

    /// Every table, in order.
    pub fn tables(&self) -> Vec<Source<'_>> {
        let found = &self.found;
        vec![
            Source::of(&self.verdict),
            Source::of(&self.logs),
            Source::of(&found.summaries),
            Source::of(&found.requests),
            Source::of(&found.percentiles),
            Source::of(&found.request_stages),
            Source::of(&found.waterfall),
            Source::of(&found.stages),
            Source::of(&found.transfers).with(|table| table.with_note(MBIT_NOTE)),
            Source::of(&found.diffusion),
            Source::of(&found.startup),
            Source::of(&found.waits),
            Source::of(&found.profiler),
            Source::of(&found.throughput).with(|table| self.with_throughput(table)),
            Source::of(&found.problems),
            Source::of(&found.flags).with(|table| table.with_note(self.checked())),
            Source::of(&found.checks),
            Source::of(&found.census),
            Source::of(&self.issues),
        ]
    }

    /// The table of a key as people see it; the waterfall with a bar for every span.
    pub fn view(&self, source: &Source<'_>) -> Table {
        match source.key {
            "verdict" => verdict_view(&self.verdict),
            "waterfall" => waterfall_chart(&self.found.waterfall),
            _ => Table::view(&source.table()),
        }
    }

    /// The throughput lines, with each engine's in one sentence.
    fn with_throughput(&self, table: schema::Table) -> schema::Table {
        let mut engines: BTreeMap<(usize, u32), Vec<&ThroughputRow>> = BTreeMap::new();
        for row in &self.found.throughput {
            engines.entry((row.log, row.engine)).or_default().push(row);
        }
        let several = engines.into_iter().filter(|(_, lines)| lines.len() > 1);
        several.fold(table, |table, ((log, engine), lines)| {
            table.with_note(throughput_sentence(log, engine, &lines))
        })
    }

    /// How many printed figures were recomputed, and how many agree.
    fn checked(&self) -> String {
        let checks = &self.found.checks;
        let agree = checks.iter().filter(|check| check.agrees).count();
        if checks.is_empty() {
            return "these logs print no figure that can be recomputed".to_owned();
        }
        let all = checks.len();
        format!("{all} printed figures were recomputed; {agree} agree to their printed digits")
    }
}

/// What the rates of transfers are.
pub(super) const MBIT_NOTE: &str = "Mbit/s are megabits of 10^6 a second, as the pipeline counts; GB/s are gigabytes of 10^9 a second; rx is decode time, not wire time";

/// The lines of one engine in a sentence: what they reach at most.
fn throughput_sentence(log: usize, engine: u32, lines: &[&ThroughputRow]) -> String {
    let most = |value: fn(&ThroughputRow) -> Option<f64>| {
        lines.iter().filter_map(|row| value(row)).reduce(f64::max)
    };
    let most_requests =
        |value: fn(&ThroughputRow) -> Option<i64>| lines.iter().filter_map(|row| value(row)).max();
    let parts = [
        most(|row| row.prompt_tokens_per_s).map(|rate| format!("{rate} prompt tokens/s")),
        most(|row| row.generation_tokens_per_s).map(|rate| format!("{rate} made tokens/s")),
        most_requests(|row| row.running).map(|n| format!("{n} running")),
        most_requests(|row| row.waiting).map(|n| format!("{n} waiting")),
        most(|row| row.kv_cache_pct).map(|share| format!("{share} % of the KV cache")),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    format!("log {log}, engine {engine}: {} lines, at most {}", lines.len(), parts.join(", "))
}

/// The waterfalls for people: every span with a bar on its request's time line.
pub fn waterfall_chart(rows: &[WaterfallRow]) -> Table {
    let mut table = Table::of(rows);
    let doc = "the request's time from left to right: ▒ transfer, · waiting for the next stage, ░ queue, █ generation, - other";
    table.columns.push(Column::new("time line", "bar", Unit::Text, doc));
    let mut cells = table.rows.iter_mut();
    // The spans of a request stand together.
    for own in rows.chunk_by(|a, b| a.run == b.run && a.request == b.request) {
        let whole_ns = own.iter().map(|span| span.start_ns + span.dur_ns).max().unwrap_or(0);
        for (row, cells) in own.iter().zip(&mut cells) {
            cells.push(Cell::Bar(bar(row, whole_ns)));
        }
    }
    table.with_note(
        "▒ transfer, · waiting for the next stage, ░ queue, █ generation, - what no line tells",
    )
}

fn bar(row: &WaterfallRow, whole_ns: i64) -> Bar {
    let mark = match row.kind {
        SpanKind::Generation => '█',
        SpanKind::Queue => '░',
        SpanKind::Transfer => '▒',
        SpanKind::NextStage => '·',
        SpanKind::Other => '-',
    };
    Bar { start_ns: row.start_ns, end_ns: row.start_ns + row.dur_ns, whole_ns, mark }
}
