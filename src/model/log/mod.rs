//! The vocabulary of pipeline logs: what a line says, when, by whom, and how sure its figures are.
//!
//! Plain data over `std`. The records are the same for every generation of the pipeline's output; the reader of logs
//! makes them, the analyses of stages use them. Nothing here reads, computes or prints.

mod census;
mod event;
mod number;
mod problem;
mod record;
mod time;

pub use census::{Census, ClassCount, LineKind};
pub use event::{
    DiffusionEvent, DiffusionStep, EngineThroughput, ProfilerEvent, ProfilerStep, StartupEvent,
    StartupStep,
};
pub use number::{LogDuration, Quantity};
pub use problem::{Gravity, Problem};
pub use record::{
    Field, FieldValue, Format, Meaning, OrchestratorEvent, OrchestratorStep, Record, RequestTotals,
    StageBatch, StageRequest, StageRunning, StageTotals, Summary, Timing, TimingSpan, Transfer,
    TransferTotals,
};
pub use time::{ASSUMED_YEAR, LogTime, civil_ns, in_year, minute_of, year_of};

/// A process that writes into a log, as its line prefix names it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Process {
    /// Name in the prefix (`Worker_TP0`, `EngineCore_DP0`, `APIServer`, `Stage-0`); empty where only a pid is given.
    pub name: String,
    /// Process id, where the line gives one.
    pub pid: Option<u32>,
}

impl Process {
    /// `Worker_TP0 pid 22443`, `pid 17815`, `Stage-0`.
    pub fn label(&self) -> String {
        match (self.name.is_empty(), self.pid) {
            (true, Some(pid)) => format!("pid {pid}"),
            (false, Some(pid)) => format!("{} pid {pid}", self.name),
            (_, None) => self.name.clone(),
        }
    }
}

/// One record of a log.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Line number of its first line, from 1.
    pub line: u64,
    /// Offset of its first line in the decompressed log, in bytes.
    pub offset: u64,
    /// Index into [`PipelineLog::processes`]; `None` where the line names no process.
    pub process: Option<u32>,
    /// Time of its first line on the log's own wall clock; see [`PipelineLog::year`].
    pub wall_ns: Option<i64>,
    /// What its time leaves off: the line was written at `wall_ns` or less than this much later.
    pub resolution_ns: i64,
    /// What it says.
    pub record: Record,
}

/// Everything that was read from one log.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PipelineLog {
    /// Name of the log, for messages.
    pub name: String,
    /// The processes, in order of first appearance.
    pub processes: Vec<Process>,
    /// The records, in file order.
    pub entries: Vec<Entry>,
    /// Lines by class.
    pub census: Census,
    /// Warnings, errors and tracebacks, the gravest first, then by line.
    pub problems: Vec<Problem>,
    /// Year of the first dated line. `None` where no line tells one (vLLM's own header has none): then `wall_ns` is
    /// counted from [`ASSUMED_YEAR`] on, and only differences of it mean anything.
    pub year: Option<i32>,
    /// Wall-clock time of the first line that has a time.
    pub first_wall_ns: Option<i64>,
}

impl PipelineLog {
    /// The label of an entry's process, empty where it has none.
    pub fn process_label(&self, process: Option<u32>) -> String {
        process
            .and_then(|index| self.processes.get(index as usize))
            .map(Process::label)
            .unwrap_or_default()
    }
}
