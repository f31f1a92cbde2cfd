//! Requests, what each spent in each stage, and its waterfall.

use crate::model::log::{FieldValue, LogDuration, StageRequest};

use super::merge::{Moves, Run, Spot};
use super::spans::{self, StageSpan};
use super::{RequestRow, RequestStageRow, WaterfallRow};
use crate::schema::words;

words! {
    /// How a waiting time is known.
    QueueSource {
        /// The pipeline logs it.
        Logged "logged",
        /// Time between the orchestrator's lines, less generation, decode and in-flight time: the orchestrator's own
        /// polling is in it.
        Residence "residence",
    }
}

words! {
    /// What a span of a waterfall is.
    SpanKind {
        /// Data on the way into the stage, as the pipeline logs it.
        Transfer "transfer",
        /// From the previous stage's end to the entry into this stage, less the transfer.
        NextStage "next_stage",
        /// In the stage, before generation: waiting as the logs tell it.
        Queue "queue",
        /// In the stage, before generation, and no line tells what.
        Other "other",
        /// Generation.
        Generation "generation",
    }
}

words! {
    /// How a span's place in time is known.
    SpanPlacement {
        /// By the times of the orchestrator's lines.
        Times "times",
        /// By durations alone: the parts are laid end to end, in the order of the stages, so overlap of stages is not
        /// shown.
        Durations "durations",
    }
}

/// The rows of a run's requests.
#[derive(Debug, Default)]
pub(super) struct RequestTables {
    pub(super) requests: Vec<RequestRow>,
    pub(super) stages: Vec<RequestStageRow>,
    pub(super) waterfall: Vec<WaterfallRow>,
    pub(super) spans: Vec<StageSpan>,
}

/// The rows of every request of a run, in order of appearance.
pub(super) fn tables_of(index: usize, run: &Run) -> RequestTables {
    let mut out = RequestTables::default();
    for request in &run.order {
        let passes: Vec<&(Spot, StageRequest)> = run
            .stage_requests
            .range((request.clone(), 0, 0)..)
            .take_while(|((r, ..), _)| r == request)
            .map(|(_, pass)| pass)
            .collect();
        let stages: Vec<RequestStageRow> =
            passes.iter().map(|(_, record)| stage_row(index, run, record)).collect();
        let drawn = waterfall(index, run, request, &stages);
        out.spans.extend(spans::of_request(index, run, &passes, &drawn));
        out.requests.push(request_row(index, run, request, &stages, &drawn));
        out.waterfall.extend(drawn);
        out.stages.extend(stages);
    }
    out
}

fn moves(run: &Run, request: &str, stage: u32) -> Moves {
    run.moves.get(&(request.to_owned(), stage)).copied().unwrap_or_default()
}

fn residence_ns(moves: Moves) -> Option<i64> {
    Some(moves.left_ns? - moves.entered_ns?)
}

fn ns(duration: Option<LogDuration>) -> Option<i64> {
    duration.map(|duration| duration.ns)
}

/// A further field of a stage's record that is a duration.
pub(super) fn other_duration(record: &StageRequest, names: &[&str]) -> Option<LogDuration> {
    let field = record.other.iter().find(|field| names.contains(&field.name.as_str()))?;
    match &field.value {
        FieldValue::Duration(duration) => Some(*duration),
        _ => None,
    }
}

/// Names under which the pipeline logs waiting before a stage runs.
pub(super) const QUEUE_FIELDS: &[&str] =
    &["scheduler_queue_wait_s", "scheduler_queue_wait_ms", "stage_queue_wait_time_ms"];

fn stage_row(run_index: usize, run: &Run, record: &StageRequest) -> RequestStageRow {
    let residence = residence_ns(moves(run, &record.request, record.stage));
    let logged = ns(other_duration(record, QUEUE_FIELDS));
    let by_residence = || residence_queue(run, record, residence?);
    // The engine writes 0 where it made no tokens.
    let token_time = |name| ns(other_duration(record, &[name])).filter(|&ns| ns > 0);
    let queue_ns = logged.or_else(by_residence);
    let source = if logged.is_some() { QueueSource::Logged } else { QueueSource::Residence };
    RequestStageRow {
        run: run_index,
        request: record.request.clone(),
        stage: record.stage,
        instance: record.instance,
        tokens_in: record.tokens_in,
        tokens_out: record.tokens_out,
        generation_ns: ns(record.generation),
        batch_size: record.batch_size,
        tokens_per_s: tokens_per_s(record),
        queue_ns,
        queue_source: queue_ns.map(|_| source),
        residence_ns: residence,
        first_token_ns: token_time("vllm_ttft_ms"),
        between_tokens_ns: token_time("vllm_itl_ms"),
        per_token_ns: token_time("vllm_tpot_ms"),
        rx_bytes: record.rx_bytes,
        rx_decode_ns: ns(record.rx_decode),
        rx_in_flight_ns: ns(record.rx_in_flight),
    }
}

/// What is left of the time in the stage. The orchestrator's lines tell milliseconds, so a remainder within two of
/// them below zero is zero; further below, the parts overlap and nothing is known.
fn residence_queue(run: &Run, record: &StageRequest, residence: i64) -> Option<i64> {
    let moves = moves(run, &record.request, record.stage);
    let is_whole_second = |at: Option<i64>| at.is_none_or(|at| at % 1_000_000_000 == 0);
    if is_whole_second(moves.entered_ns) && is_whole_second(moves.left_ns) {
        return None;
    }
    let known = [record.generation?.ns, ns(record.rx_decode).unwrap_or(0)];
    let on_the_way = ns(record.rx_in_flight).unwrap_or(0);
    let rest = residence - known.iter().sum::<i64>() - on_the_way;
    (rest >= -2_000_000).then(|| rest.max(0))
}

fn tokens_per_s(record: &StageRequest) -> Option<f64> {
    let tokens = super::check::count(record.tokens_out)?;
    Some(super::check::per_second(tokens.value, record.generation?.ms.value))
}

/// A sum of what is recorded; `None` where nothing is.
fn known_sum(parts: impl Iterator<Item = Option<i64>>) -> Option<i64> {
    parts.flatten().reduce(|a, b| a + b)
}

fn request_row(
    run_index: usize,
    run: &Run,
    request: &str,
    stages: &[RequestStageRow],
    drawn: &[WaterfallRow],
) -> RequestRow {
    let totals = run.requests.get(request).map(|(_, totals)| totals);
    let start = moves(run, request, 0).entered_ns;
    let end = run
        .moves
        .range((request.to_owned(), 0)..)
        .take_while(|((r, _), _)| r == request)
        .filter_map(|(_, moves)| moves.left_ns)
        .max();
    let by_times = || Some(end? - start?);
    let logged = totals.and_then(|totals| ns(totals.e2e));
    let transfer_times: Vec<Option<i64>> = run.transfers_of(request).map(transfer_ns).collect();
    let transfers_ns = totals
        .and_then(|totals| ns(totals.transfers))
        .or_else(|| (!transfer_times.is_empty()).then(|| transfer_times.into_iter().sum())?);
    let preprocess_ns = totals.and_then(|totals| ns(totals.preprocess));
    let e2e_ns = logged.or_else(by_times);
    let generation_ns = known_sum(stages.iter().map(|row| row.generation_ns));
    let queue_ns = known_sum(stages.iter().map(|row| row.queue_ns));
    // A generation time that is logged with its queue inside has it once.
    let queue_inside: i64 =
        stages.iter().map(|row| row.generation_ns.map_or(0, |ns| ns - net_of_queue(ns, row))).sum();
    let between = drawn.iter().filter(|span| span.kind == SpanKind::NextStage);
    let is_placed = drawn.iter().any(|span| span.placed_by == SpanPlacement::Times);
    let next_stage_ns = is_placed.then(|| between.map(|span| span.dur_ns).sum::<i64>());
    let parts = [generation_ns, queue_ns, transfers_ns, preprocess_ns, next_stage_ns];
    let known_ns = parts.into_iter().flatten().sum::<i64>() - queue_inside;
    RequestRow {
        run: run_index,
        request: request.to_owned(),
        e2e_ns,
        e2e_is_logged: logged.is_some(),
        tokens_in: stages.iter().filter(|row| row.stage == 0).find_map(|row| row.tokens_in),
        tokens_out: known_sum(stages.iter().map(|row| row.tokens_out)),
        generation_ns,
        queue_ns,
        transfers_ns,
        preprocess_ns,
        first_token_ns: first_token_ns(run, stages),
        first_output_ns: first_output_ns(run, stages),
        next_stage_ns,
        other_ns: e2e_ns.map(|e2e_ns| e2e_ns - known_ns),
        stages: u32::try_from(stages.len()).unwrap_or(u32::MAX),
    }
}

/// When a request entered a stage, since it entered the first.
fn entered_after_ns(run: &Run, row: &RequestStageRow) -> Option<i64> {
    if row.stage == 0 {
        return Some(0);
    }
    let entered = |stage| moves(run, &row.request, stage).entered_ns;
    Some(entered(row.stage)? - entered(0)?)
}

/// From the entry into the pipeline to the first token that a stage makes.
fn first_token_ns(run: &Run, stages: &[RequestStageRow]) -> Option<i64> {
    let makes_tokens = stages.iter().filter(|row| row.first_token_ns.is_some());
    let first = makes_tokens.min_by_key(|row| (row.stage, row.instance))?;
    Some(entered_after_ns(run, first)? + first.first_token_ns?)
}

/// From the entry into the pipeline to the first output of its last stage.
fn first_output_ns(run: &Run, stages: &[RequestStageRow]) -> Option<i64> {
    let last = stages.iter().max_by_key(|row| (row.stage, std::cmp::Reverse(row.instance)))?;
    let within = last.first_token_ns.or(last.residence_ns)?;
    Some(entered_after_ns(run, last)? + within)
}

/// The whole of a transfer: as logged, or the sum of its parts where all are known.
pub(super) fn transfer_ns(transfer: &crate::model::log::Transfer) -> Option<i64> {
    let parts = || Some(transfer.tx?.ns + transfer.in_flight?.ns + transfer.rx?.ns);
    ns(transfer.total).or_else(parts)
}

fn waterfall(
    run_index: usize,
    run: &Run,
    request: &str,
    stages: &[RequestStageRow],
) -> Vec<WaterfallRow> {
    let start = moves(run, request, 0).entered_ns;
    let is_placed = |row: &RequestStageRow| {
        let moves = moves(run, request, row.stage);
        moves.entered_ns.is_some() && moves.left_ns.is_some()
    };
    let mut pen = Pen { run: run_index, request, spans: Vec::new() };
    match start {
        Some(start) if stages.iter().all(is_placed) => by_times(run, start, stages, &mut pen),
        _ => by_durations(run, stages, &mut pen),
    }
    pen.spans
}

struct Pen<'a> {
    run: usize,
    request: &'a str,
    spans: Vec<WaterfallRow>,
}

impl Pen<'_> {
    fn draw(
        &mut self,
        stage: u32,
        kind: SpanKind,
        start_ns: i64,
        end_ns: i64,
        place: SpanPlacement,
    ) {
        if end_ns > start_ns {
            self.spans.push(WaterfallRow {
                run: self.run,
                request: self.request.to_owned(),
                stage,
                kind,
                start_ns,
                dur_ns: end_ns - start_ns,
                placed_by: place,
            });
        }
    }
}

/// Generation ends when the stage's output arrives. What lies between the previous stage's end and it is first the transfer
/// into the stage, until the entry into the stage waiting for it, then the queue, and then what no line tells.
fn by_times(run: &Run, start: i64, stages: &[RequestStageRow], pen: &mut Pen<'_>) {
    let mut previous_end = None;
    for row in stages {
        let moves = moves(run, &row.request, row.stage);
        let (Some(entered), Some(left)) = (moves.entered_ns, moves.left_ns) else { continue };
        let (entered, left) = (entered - start, left - start);
        let generation = row.generation_ns.map_or(0, |ns| net_of_queue(ns, row));
        let begin = left - generation.min(left - entered).max(0);
        let into = run.transfers_of(&row.request).find(|t| t.to == row.stage).and_then(transfer_ns);
        let after = previous_end.unwrap_or(entered).min(begin);
        let there =
            (after + into.filter(|_| previous_end.is_some()).unwrap_or(0).max(0)).min(begin);
        let in_queue = there.max(entered.min(begin));
        let out_of_queue = (in_queue + row.queue_ns.unwrap_or(0).max(0)).min(begin);
        for (kind, from, to) in [
            (SpanKind::Transfer, after, there),
            (SpanKind::NextStage, there, in_queue),
            (SpanKind::Queue, in_queue, out_of_queue),
            (SpanKind::Other, out_of_queue, begin),
            (SpanKind::Generation, begin, left),
        ] {
            pen.draw(row.stage, kind, from, to, SpanPlacement::Times);
        }
        previous_end = Some(left);
    }
}

fn by_durations(run: &Run, stages: &[RequestStageRow], pen: &mut Pen<'_>) {
    let mut now = 0;
    for row in stages {
        let into = run.transfers_of(&row.request).find(|t| t.to == row.stage);
        let into = into.and_then(transfer_ns);
        let parts = [
            (SpanKind::Transfer, into),
            (SpanKind::Queue, row.queue_ns),
            (SpanKind::Generation, row.generation_ns.map(|ns| net_of_queue(ns, row))),
        ];
        for (kind, ns) in parts {
            let end = now + ns.unwrap_or(0).max(0);
            pen.draw(row.stage, kind, now, end, SpanPlacement::Durations);
            now = end;
        }
    }
}

/// A diffusion stage's logged generation time holds its queue wait: it is drawn once.
fn net_of_queue(generation: i64, row: &RequestStageRow) -> i64 {
    match (row.queue_source, row.queue_ns) {
        (Some(QueueSource::Logged), Some(queue)) if queue <= generation => generation - queue,
        _ => generation,
    }
}
