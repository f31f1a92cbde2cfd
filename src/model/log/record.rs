//! What log lines say, in one shape for every generation of the pipeline's output.
//!
//! A field that the line does not give is `None`: not recorded is never zero. Generations are described where they are
//! parsed; [`Format`] says which one a record came from.

use super::event::{DiffusionEvent, EngineThroughput, ProfilerEvent, StartupEvent};
use super::number::{LogDuration, Quantity};
use crate::model::named;

/// How a record was written. The order is the age of the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Format {
    /// `[StageMetrics]`, `[Summary]` with one-line Python dictionaries (before 2025-12-26).
    Dictionary,
    /// A line of a `*.stats.jsonl` file (before 2025-12-26).
    JsonLine,
    /// A dictionary printed over several lines by `pprint.pformat` (2025-12-26 to vLLM-Omni 0.14).
    PrettyDictionary,
    /// A PrettyTable block, or the dictionary of the same names (vLLM-Omni 0.16 and later).
    Table,
    /// An `[OmniTiming]` line (vLLM-Omni 0.20 and later).
    TimingLine,
    /// A plain console line.
    Console,
}

/// One record of a pipeline log.
#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    /// A step of the orchestrator.
    Orchestrator(OrchestratorEvent),
    /// One request in one stage.
    StageRequest(Box<StageRequest>),
    /// A stage's running totals.
    StageRunning(StageRunning),
    /// One batch of a stage.
    StageBatch(StageBatch),
    /// One transfer between stages, or one side of it.
    Transfer(Transfer),
    /// One request from end to end.
    Request(RequestTotals),
    /// The summary of a run.
    Summary(Box<Summary>),
    /// An `[OmniTiming]` line.
    Timing(Timing),
    /// A step of a diffusion engine.
    Diffusion(DiffusionEvent),
    /// A step of starting up.
    Startup(StartupEvent),
    /// `No available shared memory broadcast block found in N seconds`, with the N.
    ShmWait(LogDuration),
    /// A step of the profiler.
    Profiler(ProfilerEvent),
    /// vLLM's periodic throughput line.
    Throughput(EngineThroughput),
}

/// What the orchestrator did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum OrchestratorStep {
    /// `generate()` was called.
    Called,
    /// The requests are about to enter stage 0.
    Seeding,
    /// A request was put into a stage's queue.
    Enqueued,
    /// The scheduling loop began.
    LoopStarted,
    /// A stage's output arrived.
    StageCompleted,
    /// A stage's output is a final one.
    Finalized,
    /// A request was sent to the next stage.
    Forwarded,
    /// A request went through its last stage.
    Completed,
    /// All requests are done.
    AllCompleted,
    /// Anything else that the orchestrator says.
    Other,
}

/// A step of the orchestrator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrchestratorEvent {
    /// What it did.
    pub step: OrchestratorStep,
    /// The request.
    pub request: Option<String>,
    /// The stage: of `Enqueued` and `Forwarded` the one entered.
    pub stage: Option<u32>,
}

/// A further field of a record, under its own name.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// Name as the log gives it, unit suffix included.
    pub name: String,
    /// Value.
    pub value: FieldValue,
}

/// The value of a further field.
#[derive(Clone, Debug, PartialEq)]
pub enum FieldValue {
    /// Names that end in `_ms` or `_s` (but not `_per_s`).
    Duration(LogDuration),
    /// Any other number.
    Number(Quantity),
    /// Any other text.
    Text(String),
}

/// One request in one stage.
#[derive(Clone, Debug, PartialEq)]
pub struct StageRequest {
    /// How it was written.
    pub format: Format,
    /// Stage index.
    pub stage: u32,
    /// 1 for the request's first pass through the stage, 2 for a second column of that stage, and so on.
    pub instance: u32,
    /// Request id.
    pub request: String,
    /// Batch counter of the stage.
    pub batch_id: Option<i64>,
    /// Requests in the batch.
    pub batch_size: Option<i64>,
    /// Tokens that entered.
    pub tokens_in: Option<i64>,
    /// Tokens that were made.
    pub tokens_out: Option<i64>,
    /// `stage_gen_time_ms`: the time the stage took for the batch.
    pub generation: Option<LogDuration>,
    /// Bytes received from the stage before.
    pub rx_bytes: Option<i64>,
    /// Time to decode what was received: not wire time.
    pub rx_decode: Option<LogDuration>,
    /// Time between the sender's end and the receiver's begin.
    pub rx_in_flight: Option<LogDuration>,
    /// Printed tokens per second.
    pub tokens_per_s: Option<Quantity>,
    /// Printed receive rate in megabits of 10^6 a second.
    pub rx_mbps: Option<Quantity>,
    /// Everything else that the record gives.
    pub other: Vec<Field>,
}

/// A stage's running totals (`stage_running_avg`).
#[derive(Clone, Debug, PartialEq)]
pub struct StageRunning {
    /// Stage index.
    pub stage: u32,
    /// Tokens so far.
    pub tokens: Option<i64>,
    /// Generation time so far.
    pub generation: Option<LogDuration>,
    /// Printed tokens per second.
    pub tokens_per_s: Option<Quantity>,
}

/// One batch of a stage (`stage_batch_stats`).
#[derive(Clone, Debug, PartialEq)]
pub struct StageBatch {
    /// Stage index.
    pub stage: u32,
    /// Requests in it.
    pub size: Option<i64>,
    /// Generation time.
    pub generation: Option<LogDuration>,
    /// The requests.
    pub requests: Vec<String>,
}

/// One transfer of one request between two stages, or the side of it that the record tells.
#[derive(Clone, Debug, PartialEq)]
pub struct Transfer {
    /// How it was written.
    pub format: Format,
    /// Sending stage.
    pub from: u32,
    /// Receiving stage.
    pub to: u32,
    /// Request id.
    pub request: String,
    /// Bytes sent.
    pub bytes: Option<Quantity>,
    /// Bytes received.
    pub rx_bytes: Option<Quantity>,
    /// Time to send.
    pub tx: Option<LogDuration>,
    /// Time on the way.
    pub in_flight: Option<LogDuration>,
    /// Time to decode at the receiver.
    pub rx: Option<LogDuration>,
    /// Printed sum of the three.
    pub total: Option<LogDuration>,
    /// Printed send rate in megabits of 10^6 a second.
    pub tx_mbps: Option<Quantity>,
    /// Printed milliseconds per KiB: of receiving, or of the whole where `total` is given.
    pub ms_per_kib: Option<Quantity>,
    /// Whether it went through shared memory.
    pub used_shm: Option<bool>,
}

/// One request from end to end.
#[derive(Clone, Debug, PartialEq)]
pub struct RequestTotals {
    /// How it was written.
    pub format: Format,
    /// Request id.
    pub request: String,
    /// End-to-end time.
    pub e2e: Option<LogDuration>,
    /// Tokens: in generation 0 those of the final stage's output, later stage 0's input plus every stage's output.
    pub tokens: Option<i64>,
    /// Printed milliseconds per token.
    pub ms_per_token: Option<Quantity>,
    /// Printed sum of the transfers' times.
    pub transfers: Option<LogDuration>,
    /// Printed sum of the transfers' bytes.
    pub transfer_bytes: Option<Quantity>,
    /// Time to prepare the input.
    pub preprocess: Option<LogDuration>,
    /// Time in the engine pipeline.
    pub engine: Option<LogDuration>,
    /// The stage whose output ends the request.
    pub final_stage: Option<u32>,
}

named! {
    /// What a summary's averages mean.
    Meaning {
        /// Generations 0 and 1: averages are over the sum of the requests' times.
        SumOfRequests "sum_of_requests",
        /// Generation 2: averages are over wall time.
        WallTime "wall_time",
    }
}

/// The summary of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// How it was written.
    pub format: Format,
    /// What its averages mean, by the names of its fields.
    pub meaning: Meaning,
    /// Requests that ended.
    pub requests: Option<i64>,
    /// Wall time from the first request to the last end.
    pub wall: Option<LogDuration>,
    /// Sum of the requests' end-to-end times.
    pub sum: Option<LogDuration>,
    /// Tokens.
    pub tokens: Option<i64>,
    /// Printed average time per request.
    pub avg_request_ms: Option<Quantity>,
    /// Printed tokens per second.
    pub avg_tokens_per_s: Option<Quantity>,
    /// Input preparation of the run.
    pub preprocess: Option<LogDuration>,
    /// Per stage.
    pub stages: Vec<StageTotals>,
    /// Per edge.
    pub transfers: Vec<TransferTotals>,
}

/// One stage in a summary.
#[derive(Clone, Debug, PartialEq)]
pub struct StageTotals {
    /// Stage index.
    pub stage: u32,
    /// Requests.
    pub requests: Option<i64>,
    /// Tokens: from generation 1 on the input tokens of stage 0 are counted too.
    pub tokens: Option<i64>,
    /// Last output less first input of the stage: wall time, not the sum of generation times.
    pub wall: Option<LogDuration>,
    /// Printed `wall / requests`.
    pub avg_request_ms: Option<Quantity>,
    /// Printed `tokens / wall`.
    pub avg_tokens_per_s: Option<Quantity>,
}

/// One edge in a summary.
#[derive(Clone, Debug, PartialEq)]
pub struct TransferTotals {
    /// Sending stage.
    pub from: u32,
    /// Receiving stage.
    pub to: u32,
    /// Sends.
    pub samples: Option<i64>,
    /// Bytes sent.
    pub bytes: Option<i64>,
    /// Time to send.
    pub tx: Option<LogDuration>,
    /// Printed send rate, Mbit/s.
    pub tx_mbps: Option<Quantity>,
    /// Receives.
    pub rx_samples: Option<i64>,
    /// Bytes received.
    pub rx_bytes: Option<i64>,
    /// Time to decode.
    pub rx: Option<LogDuration>,
    /// Printed receive rate, Mbit/s.
    pub rx_mbps: Option<Quantity>,
    /// Transfers of which both sides are known.
    pub total_samples: Option<i64>,
    /// Sum of send, in-flight and decode time.
    pub total: Option<LogDuration>,
    /// Printed rate of the whole: bytes sent over `total`, Mbit/s.
    pub total_mbps: Option<Quantity>,
}

/// One part of an `[OmniTiming]` line.
#[derive(Clone, Debug, PartialEq)]
pub struct TimingSpan {
    /// The stage, or the sending stage.
    pub stage: u32,
    /// The receiving stage of a transfer.
    pub to: Option<u32>,
    /// Name of the stage, where given.
    pub name: Option<String>,
    /// Time.
    pub dur: LogDuration,
}

/// An `[OmniTiming]` line.
#[derive(Clone, Debug, PartialEq)]
pub struct Timing {
    /// Request id.
    pub request: String,
    /// End-to-end time.
    pub total: Option<LogDuration>,
    /// Input preparation.
    pub preprocess: Option<LogDuration>,
    /// Engine pipeline.
    pub engine: Option<LogDuration>,
    /// Stages.
    pub stages: Vec<TimingSpan>,
    /// Transfers.
    pub transfers: Vec<TimingSpan>,
    /// Handoffs between stages (later versions).
    pub handoffs: Vec<TimingSpan>,
    /// Conversion of text-stage output into diffusion input.
    pub ar2diffusion: Option<LogDuration>,
}
