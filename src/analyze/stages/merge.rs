//! Gathers what several records, and several logs of one run, say about the same request, stage and transfer.
//!
//! A run is a console log with the files that the pipeline named after it. Where two prints of one figure differ only
//! in rounding the finer one is kept; where they contradict each other the first is kept and the conflict is reported.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::log::{
    Entry, Format, LogDuration, OrchestratorStep, PipelineLog, Quantity, Record, RequestTotals,
    StageRequest, Timing, TimingSpan, Transfer,
};

/// Where a record stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spot {
    pub(super) log: usize,
    pub(super) line: u64,
    /// Time of the line, on the log's wall clock.
    pub(super) wall_ns: Option<i64>,
    /// What the time leaves off.
    pub(super) resolution_ns: i64,
}

impl Spot {
    fn of(log: usize, entry: &Entry) -> Self {
        let Entry { line, wall_ns, resolution_ns, .. } = *entry;
        Self { log, line, wall_ns, resolution_ns }
    }
}

/// Two prints of one figure that cannot be the same value.
#[derive(Clone, Debug)]
pub(super) struct Conflict {
    pub(super) spot: Spot,
    pub(super) subject: String,
    pub(super) field: &'static str,
    pub(super) kept: f64,
    pub(super) other: f64,
}

/// When the orchestrator moved a request, on the log's wall clock in nanoseconds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Moves {
    pub(super) entered_ns: Option<i64>,
    pub(super) left_ns: Option<i64>,
    /// Where `left_ns` comes from.
    pub(super) left_at: Option<Spot>,
}

/// Everything about one run.
#[derive(Debug, Default)]
pub(super) struct Run {
    /// Name: that of the log without the pipeline's endings.
    pub(super) name: String,
    /// Indices of its logs.
    pub(super) logs: Vec<usize>,
    /// By request, stage and instance.
    pub(super) stage_requests: BTreeMap<(String, u32, u32), (Spot, StageRequest)>,
    /// By request and edge.
    pub(super) transfers: BTreeMap<(String, u32, u32), (Spot, Transfer)>,
    /// By request.
    pub(super) requests: BTreeMap<String, (Spot, RequestTotals)>,
    /// By request and stage.
    pub(super) moves: BTreeMap<(String, u32), Moves>,
    /// Requests in order of appearance.
    pub(super) order: Vec<String>,
    pub(super) conflicts: Vec<Conflict>,
    known: BTreeSet<String>,
}

/// Endings that the pipeline puts behind the name of its log file.
const ENDINGS: [&str; 2] = [".orchestrator.stats.jsonl", ".overall.stats.jsonl"];

/// The name of the run that a log belongs to.
fn run_name(name: &str) -> &str {
    let plain = name.strip_suffix(".gz").or_else(|| name.strip_suffix(".zst")).unwrap_or(name);
    for ending in ENDINGS {
        if let Some(base) = plain.strip_suffix(ending) {
            return base;
        }
    }
    let stage = plain.strip_suffix(".stats.jsonl").or_else(|| plain.strip_suffix(".log"));
    match stage.and_then(|rest| rest.rsplit_once(".stage")) {
        Some((base, digits)) if digits.bytes().all(|b| b.is_ascii_digit()) => base,
        _ => plain,
    }
}

/// Gathers the logs into runs, in order of first appearance.
pub(super) fn runs_of(logs: &[&PipelineLog]) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for (index, log) in logs.iter().enumerate() {
        let name = run_name(&log.name);
        let at = runs.iter().position(|run| run.name == name).unwrap_or_else(|| {
            runs.push(Run { name: name.to_owned(), ..Run::default() });
            runs.len() - 1
        });
        runs[at].logs.push(index);
        runs[at].take(index, log);
    }
    for run in &mut runs {
        run.transfers_from_receivers();
        run.fill_from_timing(logs);
    }
    runs
}

impl Run {
    fn take(&mut self, log: usize, records: &PipelineLog) {
        for entry in &records.entries {
            let spot = Spot::of(log, entry);
            match &entry.record {
                Record::StageRequest(record) => self.stage_request(spot, record),
                Record::Transfer(record) => self.transfer(spot, record),
                Record::Request(record) => self.request(spot, record),
                Record::Orchestrator(event) => {
                    if let (Some(request), Some(stage)) = (&event.request, event.stage) {
                        self.moved(event.step, request, stage, spot);
                    }
                }
                _ => {}
            }
        }
    }

    /// `[OmniTiming]` lines tell in hundredths of a second what the tables tell better: they are used only where a log
    /// holds nothing else about the request.
    fn fill_from_timing(&mut self, logs: &[&PipelineLog]) {
        for &log in &self.logs.clone() {
            for entry in &logs[log].entries {
                if let Record::Timing(timing) = &entry.record {
                    self.timing(Spot::of(log, entry), timing);
                }
            }
        }
    }

    fn timing(&mut self, spot: Spot, timing: &Timing) {
        self.seen(&timing.request);
        if !self.requests.contains_key(&timing.request) {
            self.request(spot, &totals_of(timing));
        }
        for span in &timing.stages {
            let key = (timing.request.clone(), span.stage, 1);
            let record = || (spot, stage_of(&timing.request, span));
            self.stage_requests.entry(key).or_insert_with(record);
        }
    }

    fn seen(&mut self, request: &str) {
        if !self.known.contains(request) {
            self.known.insert(request.to_owned());
            self.order.push(request.to_owned());
        }
    }

    /// The transfers of a request, by edge.
    pub(super) fn transfers_of<'a>(
        &'a self,
        request: &'a str,
    ) -> impl Iterator<Item = &'a Transfer> {
        let from = (request.to_owned(), 0, 0);
        let own = self.transfers.range(from..).take_while(move |((r, ..), _)| r == request);
        own.map(|(_, (_, transfer))| transfer)
    }

    fn stage_request(&mut self, spot: Spot, new: &StageRequest) {
        self.seen(&new.request);
        let key = (new.request.clone(), new.stage, new.instance);
        let Some((_, old)) = self.stage_requests.get_mut(&key) else {
            self.stage_requests.insert(key, (spot, new.clone()));
            return;
        };
        let subject = format!("request {} stage {}", new.request, new.stage);
        let mut fill = Fill { spot, subject, conflicts: &mut self.conflicts };
        fill.integer("batch_id", &mut old.batch_id, new.batch_id);
        fill.integer("batch_size", &mut old.batch_size, new.batch_size);
        fill.integer("num_tokens_in", &mut old.tokens_in, new.tokens_in);
        fill.integer("num_tokens_out", &mut old.tokens_out, new.tokens_out);
        fill.integer("rx_transfer_bytes", &mut old.rx_bytes, new.rx_bytes);
        fill.duration("stage_gen_time_ms", &mut old.generation, new.generation);
        fill.duration("rx_decode_time_ms", &mut old.rx_decode, new.rx_decode);
        fill.duration("rx_in_flight_time_ms", &mut old.rx_in_flight, new.rx_in_flight);
        for field in &new.other {
            if !old.other.iter().any(|known| known.name == field.name) {
                old.other.push(field.clone());
            }
        }
    }

    fn transfer(&mut self, spot: Spot, new: &Transfer) {
        self.seen(&new.request);
        let key = (new.request.clone(), new.from, new.to);
        let Some((_, old)) = self.transfers.get_mut(&key) else {
            self.transfers.insert(key, (spot, new.clone()));
            return;
        };
        let subject = format!("request {} edge {}->{}", new.request, new.from, new.to);
        let mut fill = Fill { spot, subject, conflicts: &mut self.conflicts };
        fill.quantity("size_bytes", &mut old.bytes, new.bytes);
        fill.quantity("rx_bytes", &mut old.rx_bytes, new.rx_bytes);
        fill.duration("tx_time_ms", &mut old.tx, new.tx);
        fill.duration("in_flight_time_ms", &mut old.in_flight, new.in_flight);
        fill.duration("rx_decode_time_ms", &mut old.rx, new.rx);
        fill.duration("total_time_ms", &mut old.total, new.total);
        old.used_shm = old.used_shm.or(new.used_shm);
    }

    fn request(&mut self, spot: Spot, new: &RequestTotals) {
        self.seen(&new.request);
        let Some((_, old)) = self.requests.get_mut(&new.request) else {
            self.requests.insert(new.request.clone(), (spot, new.clone()));
            return;
        };
        let subject = format!("request {}", new.request);
        let mut fill = Fill { spot, subject, conflicts: &mut self.conflicts };
        fill.duration("e2e_time_ms", &mut old.e2e, new.e2e);
        fill.integer("e2e_total_tokens", &mut old.tokens, new.tokens);
        fill.duration("transfers_total_time_ms", &mut old.transfers, new.transfers);
        fill.quantity("transfers_total_bytes", &mut old.transfer_bytes, new.transfer_bytes);
        fill.duration("input_preprocess_time_ms", &mut old.preprocess, new.preprocess);
        fill.duration("engine_pipeline_time_ms", &mut old.engine, new.engine);
        old.final_stage = old.final_stage.or(new.final_stage);
    }

    fn moved(&mut self, step: OrchestratorStep, request: &str, stage: u32, spot: Spot) {
        self.seen(request);
        let moves = self.moves.entry((request.to_owned(), stage)).or_default();
        match step {
            OrchestratorStep::Enqueued | OrchestratorStep::Forwarded => {
                moves.entered_ns = moves.entered_ns.or(spot.wall_ns);
            }
            OrchestratorStep::StageCompleted if spot.wall_ns.is_some() => {
                (moves.left_ns, moves.left_at) = (spot.wall_ns, Some(spot));
            }
            _ => {}
        }
    }

    /// A stage's record tells the receiving side of its input. The pipeline takes the stage before as the sender, and
    /// so does this where no transfer into the stage is recorded.
    fn transfers_from_receivers(&mut self) {
        let received: Vec<(Spot, Transfer)> = self
            .stage_requests
            .values()
            .filter(|(_, record)| record.stage > 0 && record.rx_bytes.is_some())
            .map(|(spot, record)| (*spot, receiving_side(record)))
            .collect();
        for (spot, side) in received {
            let sender = self.transfers_of(&side.request).find(|t| t.to == side.to);
            let from = sender.map_or(side.from, |t| t.from);
            self.transfer(spot, &Transfer { from, ..side });
        }
        for ((request, stage, _), (_, record)) in &mut self.stage_requests {
            let from = (request.clone(), 0, 0);
            let mut own = self.transfers.range(from..).take_while(|((r, ..), _)| r == request);
            let own = own.find(|((.., to), _)| to == stage);
            if let Some((_, (_, transfer))) = own {
                record.rx_in_flight = record.rx_in_flight.or(transfer.in_flight);
                record.rx_decode = record.rx_decode.or(transfer.rx);
            }
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "sizes of transfers are far below 2^53")]
fn receiving_side(record: &StageRequest) -> Transfer {
    Transfer {
        format: record.format,
        from: record.stage - 1,
        to: record.stage,
        request: record.request.clone(),
        bytes: None,
        rx_bytes: record.rx_bytes.map(|bytes| Quantity::exact(bytes as f64)),
        tx: None,
        in_flight: record.rx_in_flight,
        rx: record.rx_decode,
        total: None,
        tx_mbps: None,
        ms_per_kib: None,
        used_shm: None,
    }
}

fn totals_of(timing: &Timing) -> RequestTotals {
    RequestTotals {
        format: Format::TimingLine,
        request: timing.request.clone(),
        e2e: timing.total,
        tokens: None,
        ms_per_token: None,
        transfers: None,
        transfer_bytes: None,
        preprocess: timing.preprocess,
        engine: timing.engine,
        final_stage: None,
    }
}

fn stage_of(request: &str, span: &TimingSpan) -> StageRequest {
    StageRequest {
        format: Format::TimingLine,
        stage: span.stage,
        instance: 1,
        request: request.to_owned(),
        batch_id: None,
        batch_size: None,
        tokens_in: None,
        tokens_out: None,
        generation: Some(span.dur),
        rx_bytes: None,
        rx_decode: None,
        rx_in_flight: None,
        tokens_per_s: None,
        rx_mbps: None,
        other: Vec::new(),
    }
}

/// Fills what is missing and compares what is there.
struct Fill<'a> {
    spot: Spot,
    subject: String,
    conflicts: &'a mut Vec<Conflict>,
}

impl Fill<'_> {
    fn compare(&mut self, field: &'static str, kept: Quantity, other: Quantity) {
        if !kept.agrees_with(other) {
            let subject = self.subject.clone();
            let (kept, other) = (kept.value, other.value);
            self.conflicts.push(Conflict { spot: self.spot, subject, field, kept, other });
        }
    }

    fn integer(&mut self, field: &'static str, old: &mut Option<i64>, new: Option<i64>) {
        if let (Some(kept), Some(other)) = (super::check::count(*old), super::check::count(new)) {
            self.compare(field, kept, other);
        }
        *old = old.or(new);
    }

    fn quantity(&mut self, field: &'static str, old: &mut Option<Quantity>, new: Option<Quantity>) {
        if let (Some(kept), Some(other)) = (*old, new) {
            self.compare(field, kept, other);
            if other.rounding < kept.rounding && kept.agrees_with(other) {
                *old = new;
            }
        }
        *old = old.or(new);
    }

    fn duration(
        &mut self,
        field: &'static str,
        old: &mut Option<LogDuration>,
        new: Option<LogDuration>,
    ) {
        if let (Some(kept), Some(other)) = (*old, new) {
            self.compare(field, kept.ms, other.ms);
            if kept.ms.agrees_with(other.ms) {
                *old = Some(kept.finer(other));
            }
        }
        *old = old.or(new);
    }
}

#[cfg(test)]
mod tests {
    use super::run_name;

    #[test]
    fn files_of_one_run_share_its_name() {
        for name in [
            "a/p.log",
            "a/p.log.orchestrator.stats.jsonl",
            "a/p.log.overall.stats.jsonl.gz",
            "a/p.log.stage2.stats.jsonl",
            "a/p.log.stage0.log",
        ] {
            assert_eq!(run_name(name), "a/p.log", "{name}");
        }
        assert_eq!(run_name("a/other.log"), "a/other.log");
        assert_eq!(run_name("-"), "-");
    }
}
