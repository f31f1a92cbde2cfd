//! When each stage worked for each request: spans of generation on the clock that the log was written by.
//!
//! A log tells how long a stage generated, and a line tells when it was over. How good that is depends on the line, and
//! every span says which it was. Nothing here knows a trace.

use std::collections::BTreeSet;

use crate::model::log::{DiffusionStep, Format, PipelineLog, Record, StageRequest};

use super::WaterfallRow;
use super::merge::{Run, Spot};
use super::requests::SpanKind;
use crate::schema::words;

words! {
    /// What tells when a span ended.
    SpanSource {
        /// The orchestrator's lines: handed to the stage, on its way, and not later than the line about the output.
        Orchestrator "orchestrator",
        /// The line of the stage's own record, which is written when it is done.
        Record "record",
        /// The request's records come together at its end: its parts are laid end to end before it, so that overlap of
        /// stages is not shown.
        RequestEnd "request_end",
        /// A Unix time in the record itself.
        UnixTime "unix_time",
    }
}

/// One stage's generation for one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StageSpan {
    /// Index of the run.
    pub run: usize,
    /// Index of the log whose line tells the end.
    pub log: usize,
    /// Line of it, from 1.
    pub line: u64,
    /// Request id; empty where the log counts calls only.
    pub request: String,
    /// Stage index; `None` where the record names a process only.
    pub stage: Option<u32>,
    /// 1, or 2 and more for further passes.
    pub instance: u32,
    /// Process id that the record itself gives.
    pub pid: Option<u32>,
    /// Start, on the log's wall clock, or Unix time with [`SpanSource::UnixTime`].
    pub start_ns: i64,
    /// End, likewise, as the line gives it.
    pub end_ns: i64,
    /// What the line's time leaves off: the span lies up to this much later.
    pub resolution_ns: i64,
    /// How far the line of entering and the line of leaving the stage put it apart: the orchestrator notices an end
    /// when it looks, which can be long after it.
    pub slack_ns: i64,
    /// What tells the end.
    pub source: SpanSource,
}

/// The spans of one request's passes through the stages. `drawn` is its waterfall.
pub(super) fn of_request(
    index: usize,
    run: &Run,
    passes: &[&(Spot, StageRequest)],
    drawn: &[WaterfallRow],
) -> Vec<StageSpan> {
    let by_moves: Vec<Option<Spot>> =
        passes.iter().map(|pass| left(run, &pass.1, passes)).collect();
    let is_own_line =
        passes.iter().all(|(_, record)| record.format == Format::Dictionary) || passes.len() == 1;
    let source = match () {
        () if by_moves.iter().all(Option::is_some) => SpanSource::Orchestrator,
        () if is_own_line => SpanSource::Record,
        () => return before_the_end(index, passes, drawn),
    };
    let spans = passes.iter().zip(by_moves).filter_map(|((own, record), left)| {
        let spot = left.unwrap_or(*own);
        let (end_ns, generation) = (spot.wall_ns?, record.generation?.ns.max(0));
        let latest_ns = end_ns.saturating_sub(generation);
        let (start_ns, slack_ns) = match source {
            SpanSource::Orchestrator => between(run, record, latest_ns),
            _ => (latest_ns, 0),
        };
        let end_ns = start_ns.saturating_add(generation);
        Some(StageSpan { slack_ns, ..span(index, spot, record, source, start_ns, end_ns) })
    });
    spans.collect()
}

/// The orchestrator's line about the stage's output; of several passes through a stage it tells the last one only.
fn left(run: &Run, record: &StageRequest, passes: &[&(Spot, StageRequest)]) -> Option<Spot> {
    let is_single = passes.iter().filter(|(_, other)| other.stage == record.stage).count() == 1;
    let moves = run.moves.get(&(record.request.clone(), record.stage))?;
    moves.left_at.filter(|_| is_single)
}

/// When generation began, and how far that may be off: after the request was handed to the stage, was on its way and
/// was unpacked, but not later than the line about its end allows. Where the way is not known, as late as that.
fn between(run: &Run, record: &StageRequest, latest_ns: i64) -> (i64, i64) {
    let moves = run.moves.get(&(record.request.clone(), record.stage));
    let Some(entered_ns) = moves.and_then(|moves| moves.entered_ns) else { return (latest_ns, 0) };
    // Nothing is handed to the first stage: its line of entering comes before the input is even made.
    let way = record.rx_in_flight.map(|d| d.ns.max(0)).filter(|_| record.stage > 0);
    let unpacking = record.rx_decode.map_or(0, |d| d.ns.max(0));
    let earliest_ns = entered_ns.saturating_add(way.unwrap_or(0)).saturating_add(unpacking);
    let slack_ns = latest_ns.saturating_sub(earliest_ns).max(0);
    let start_ns = if way.is_some() { earliest_ns.min(latest_ns) } else { latest_ns };
    (start_ns, slack_ns)
}

fn before_the_end(
    index: usize,
    passes: &[&(Spot, StageRequest)],
    drawn: &[WaterfallRow],
) -> Vec<StageSpan> {
    let timed = passes.iter().map(|(spot, _)| *spot).filter(|spot| spot.wall_ns.is_some());
    let Some(last) = timed.max_by_key(|spot| (spot.wall_ns, spot.line)) else { return Vec::new() };
    let whole_ns = drawn.iter().map(|span| span.start_ns + span.dur_ns).max().unwrap_or(0);
    let start_ns = last.wall_ns.unwrap_or(0).saturating_sub(whole_ns);
    let mut parts = drawn.iter().filter(|span| span.kind == SpanKind::Generation).peekable();
    let spans = passes.iter().filter_map(|(_, record)| {
        let part = parts.next_if(|part| part.stage == record.stage)?;
        let start = start_ns.saturating_add(part.start_ns);
        let source = SpanSource::RequestEnd;
        Some(span(index, last, record, source, start, start.saturating_add(part.dur_ns)))
    });
    spans.collect()
}

fn span(
    run: usize,
    spot: Spot,
    record: &StageRequest,
    source: SpanSource,
    start_ns: i64,
    end_ns: i64,
) -> StageSpan {
    StageSpan {
        run,
        log: spot.log,
        line: spot.line,
        request: record.request.clone(),
        stage: Some(record.stage),
        instance: record.instance,
        pid: None,
        start_ns,
        end_ns,
        resolution_ns: spot.resolution_ns,
        slack_ns: 0,
        source,
    }
}

/// The calls of diffusion engines whose records give a Unix time. A call that the console log repeats counts once.
pub(super) fn of_diffusion(index: usize, logs: &[&PipelineLog], run: &Run) -> Vec<StageSpan> {
    let mut seen = BTreeSet::new();
    let mut spans = Vec::new();
    for &log in &run.logs {
        for entry in &logs[log].entries {
            let Record::Diffusion(event) = &entry.record else { continue };
            let is_end = matches!(event.step, DiffusionStep::Finished | DiffusionStep::Metrics);
            let (Some(end_ns), Some(dur), true) = (event.unix_ns, event.dur, is_end) else {
                continue;
            };
            if !seen.insert((event.pid, end_ns)) {
                continue;
            }
            spans.push(StageSpan {
                run: index,
                log,
                line: entry.line,
                request: String::new(),
                stage: None,
                instance: 1,
                pid: event.pid,
                start_ns: end_ns.saturating_sub(dur.ns.max(0)),
                end_ns,
                resolution_ns: 0,
                slack_ns: 0,
                source: SpanSource::UnixTime,
            });
        }
    }
    spans
}
