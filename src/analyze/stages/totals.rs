//! Stages and summaries of a run.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::log::{LogDuration, Meaning, PipelineLog, Record, StageTotals, Summary};

use super::check::{count, per_second, sum};
use super::merge::Run;

use super::sums::RunSums;
use super::{RequestStageRow, StageRow, SummaryRow};

/// A summary with the log and the line that it stands on.
pub(super) type FoundSummary<'a> = (usize, u64, &'a Summary);

/// The summaries of a run; a second print of the same one is left out.
pub(super) fn summaries_of<'a>(logs: &[&'a PipelineLog], run: &Run) -> Vec<FoundSummary<'a>> {
    let mut found = Summaries::default();
    for &log in &run.logs {
        for entry in &logs[log].entries {
            if let Record::Summary(summary) = &entry.record {
                found.add((log, entry.line, summary));
            }
        }
    }
    found.rows
}

/// The summaries so far, findable by what two prints of one share: a server prints one for each request.
#[derive(Default)]
struct Summaries<'a> {
    rows: Vec<FoundSummary<'a>>,
    /// By requests, meaning and wall time: the index of the first with these.
    known: BTreeMap<(Option<i64>, Meaning, i64), usize>,
    /// The coarsest rounding of a wall time so far, in nanoseconds.
    coarsest_ns: i64,
}

impl<'a> Summaries<'a> {
    fn add(&mut self, new: FoundSummary<'a>) {
        let summary = new.2;
        let Some(wall) = summary.wall else {
            self.rows.push(new);
            return;
        };
        self.coarsest_ns = self.coarsest_ns.max(rounding_ns(wall));
        // One more on either side: the nanoseconds are rounded, too.
        let reach = rounding_ns(wall).saturating_add(self.coarsest_ns).saturating_add(1);
        let key = |ns: i64| (summary.requests, summary.meaning, ns);
        let near = key(wall.ns.saturating_sub(reach))..=key(wall.ns.saturating_add(reach));
        let same = self.known.range(near).map(|(_, &at)| at);
        match same.filter(|&at| is_same(self.rows[at].2, summary)).min() {
            Some(at) if is_finer(summary, self.rows[at].2) => {
                self.rows[at] = new;
                self.known.entry(key(wall.ns)).or_insert(at);
            }
            Some(_) => {}
            None => {
                self.known.insert(key(wall.ns), self.rows.len());
                self.rows.push(new);
            }
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "half a printed digit is far below 2^63 ns")]
fn rounding_ns(wall: LogDuration) -> i64 {
    (wall.ms.rounding * 1e6).ceil() as i64
}

fn is_same(a: &Summary, b: &Summary) -> bool {
    let (Some(x), Some(y)) = (a.wall, b.wall) else { return false };
    a.requests == b.requests && a.meaning == b.meaning && x.ms.agrees_with(y.ms)
}

fn is_finer(a: &Summary, b: &Summary) -> bool {
    let rounding = |s: &Summary| s.wall.map_or(f64::INFINITY, |d| d.ms.rounding);
    rounding(a) < rounding(b)
}

/// A summary as a row.
pub(super) fn summary_row(
    index: usize,
    sums: &RunSums,
    (_, line, s): FoundSummary<'_>,
) -> SummaryRow {
    let wall_ns = s.wall.map(|d| d.ns);
    let sum_ns = s.sum.map(|d| d.ns).or_else(|| sums.covers(s.requests).then_some(sums.e2e_ns));
    let per_request = |ns: Option<i64>| Some(divide(ns?, s.requests.filter(|n| *n > 0)?));
    SummaryRow {
        run: index,
        line,
        averages_of: s.meaning,
        requests: s.requests,
        wall_ns,
        sum_ns,
        tokens: s.tokens,
        mean_request_ns: per_request(sum_ns),
        wall_per_request_ns: per_request(wall_ns),
        tokens_per_wall_s: rate(s.tokens, s.wall),
    }
}

/// Rounded to the nearest nanosecond.
fn divide(ns: i64, by: i64) -> i64 {
    (ns + by / 2) / by
}

fn rate(tokens: Option<i64>, time: Option<LogDuration>) -> Option<f64> {
    Some(per_second(count(tokens)?.value, time?.ms.value))
}

/// The stages of a run, from its requests and its summary.
pub(super) fn stage_rows(
    index: usize,
    rows: &[RequestStageRow],
    batches: &Batches,
    summary: &[StageTotals],
) -> Vec<StageRow> {
    let seen = rows.iter().map(|row| row.stage).chain(summary.iter().map(|s| s.stage));
    let stages: BTreeSet<u32> = seen.collect();
    stages.into_iter().map(|stage| stage_row(index, stage, rows, batches, summary)).collect()
}

/// Generation time by stage and batch: requests of one batch share it.
pub(super) type Batches = BTreeMap<u32, Vec<LogDuration>>;

/// The generation times of a run's stages, each batch once.
pub(super) fn batches_of(run: &Run) -> Batches {
    let mut seen = BTreeSet::new();
    let mut out = Batches::new();
    for (_, record) in run.stage_requests.values() {
        let is_shared = record.batch_size.is_some_and(|size| size > 1);
        let is_counted = match record.batch_id {
            Some(batch) if is_shared => !seen.insert((record.stage, batch)),
            _ => false,
        };
        if let (Some(generation), false) = (record.generation, is_counted) {
            out.entry(record.stage).or_default().push(generation);
        }
    }
    out
}

fn stage_row(
    run: usize,
    stage: u32,
    rows: &[RequestStageRow],
    batches: &Batches,
    summary: &[StageTotals],
) -> StageRow {
    let own = || rows.iter().filter(|row| row.stage == stage);
    let total =
        |part: fn(&RequestStageRow) -> Option<i64>| own().filter_map(part).reduce(|a, b| a + b);
    let totals = summary.iter().find(|s| s.stage == stage);
    let requests: BTreeSet<&str> = own().map(|row| row.request.as_str()).collect();
    let generations = batches.get(&stage).map_or(&[][..], Vec::as_slice);
    let generation_ns = generations.iter().map(|d| d.ns).reduce(|a, b| a + b);
    let tokens_out = total(|row| row.tokens_out);
    let wall = totals.and_then(|s| s.wall);
    StageRow {
        run,
        stage,
        requests: i64::try_from(requests.len())
            .ok()
            .filter(|n| *n > 0)
            .or_else(|| totals.and_then(|s| s.requests)),
        tokens_in: total(|row| row.tokens_in),
        tokens_out,
        generation_ns,
        generation_max_ns: generations.iter().map(|d| d.ns).max(),
        queue_ns: total(|row| row.queue_ns),
        wall_ns: wall.map(|d| d.ns),
        tokens_per_s: count(tokens_out)
            .zip(sum(generations.iter().map(|d| d.ms)))
            .map(|(tokens, generation)| per_second(tokens.value, generation.value)),
        tokens_per_wall_s: rate(tokens_out, wall),
    }
}
