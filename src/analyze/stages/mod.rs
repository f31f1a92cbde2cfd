//! Stages, requests and transfers, from the pipeline's own logs.
//!
//! Takes records of every generation and gives one set of tables. Every derived figure that the logs print is
//! recomputed by the pipeline's own formula ([`Check`]); where it differs, or means something else than its name says,
//! there is a [`Flag`]. Reads nothing and prints nothing.

mod check;
mod diffusion;
mod edges;
mod events;
mod flags;
mod merge;
mod percentiles;
mod recompute;
mod requests;
mod spans;
mod sums;
mod totals;

use crate::model::log::{Gravity, LineKind, PipelineLog};

pub use check::Check;
pub use diffusion::DiffusionRow;
pub use edges::{EdgeRow, EdgeSource};
pub use events::{ProfilerRow, StartupRow, ThroughputRow, WaitRow};
pub use flags::{Flag, FlagKind};
pub use percentiles::{PercentileRow, RequestTime};
pub use requests::{Placement, QueueSource, RequestRow, RequestStageRow, SpanKind, WaterfallSpan};
pub use spans::{SpanSource, StageSpan};
pub use totals::{StageRow, SummaryRow};

/// A console log, with the files that the pipeline named after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunRow {
    /// Name of the log that the others are named after.
    pub name: String,
    /// Indices of its logs.
    pub logs: Vec<usize>,
}

/// Lines of one class in one log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CensusRow {
    /// Index of the log.
    pub log: usize,
    /// What became of them.
    pub kind: LineKind,
    /// Class; of unknown lines the source file, or `text`.
    pub class: String,
    /// How many.
    pub lines: u64,
    /// Line number of the first one, from 1.
    pub first_line: u64,
    /// The first one, cut.
    pub sample: String,
}

/// Warnings and errors of one log that say the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProblemRow {
    /// Index of the log.
    pub log: usize,
    /// How bad.
    pub gravity: Gravity,
    /// How often.
    pub count: u64,
    /// Line of the first one, from 1.
    pub first_line: u64,
    /// Time of the first dated one since the log's first line that has one.
    pub first_at_ns: Option<i64>,
    /// Time of the last dated one.
    pub last_at_ns: Option<i64>,
    /// The first process; empty where no line names one.
    pub process: String,
    /// How many processes.
    pub processes: u64,
    /// Source file and line.
    pub source: String,
    /// What it says.
    pub text: String,
}

/// Everything that the logs tell.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StageReport {
    /// Runs, in order of first appearance.
    pub runs: Vec<RunRow>,
    /// Summaries of runs.
    pub summaries: Vec<SummaryRow>,
    /// Requests, in order of first appearance.
    pub requests: Vec<RequestRow>,
    /// How their times spread.
    pub percentiles: Vec<PercentileRow>,
    /// Requests by stage.
    pub request_stages: Vec<RequestStageRow>,
    /// Waterfalls of the requests.
    pub waterfall: Vec<WaterfallSpan>,
    /// When each stage worked for each request.
    pub spans: Vec<StageSpan>,
    /// Stages.
    pub stages: Vec<StageRow>,
    /// Transfers by edge.
    pub edges: Vec<EdgeRow>,
    /// Diffusion requests.
    pub diffusion: Vec<DiffusionRow>,
    /// Start-up.
    pub startup: Vec<StartupRow>,
    /// Waiting for shared memory.
    pub waits: Vec<WaitRow>,
    /// The profiler.
    pub profiler: Vec<ProfilerRow>,
    /// vLLM's throughput lines.
    pub throughput: Vec<ThroughputRow>,
    /// Every recomputed figure.
    pub checks: Vec<Check>,
    /// Figures to be read with care.
    pub flags: Vec<Flag>,
    /// Lines by class.
    pub census: Vec<CensusRow>,
    /// Warnings and errors.
    pub problems: Vec<ProblemRow>,
}

/// Analyzes logs together. Logs of one run must have the names that the pipeline gave them to be taken as one run.
pub fn analyze_stages(logs: &[&PipelineLog]) -> StageReport {
    let events = events::events_of(logs);
    let mut report = StageReport {
        startup: events.startup,
        waits: events.waits,
        profiler: events.profiler,
        throughput: events.throughput,
        census: census_of(logs),
        problems: problems_of(logs),
        ..StageReport::default()
    };
    for (index, run) in merge::runs_of(logs).into_iter().enumerate() {
        report.add_run(index, logs, run);
    }
    report
}

impl StageReport {
    fn add_run(&mut self, index: usize, logs: &[&PipelineLog], run: merge::Run) {
        let summaries = totals::summaries_of(logs, &run);
        let sums = sums::RunSums::of(&run);
        // Of several summaries the last one covers the most.
        let last = summaries.last().map(|(.., summary)| *summary);
        let stages = last.map_or(&[][..], |summary| &summary.stages);
        let edges = last.map_or(&[][..], |summary| &summary.transfers);
        let tables = requests::tables_of(index, &run);
        let batches = totals::batches_of(&run);
        self.stages.extend(totals::stage_rows(index, &tables.stages, &batches, stages));
        self.edges.extend(edges::rows_of(index, &sums.edges, edges));
        self.summaries
            .extend(summaries.iter().map(|found| totals::summary_row(index, &sums, *found)));
        let diffusion = diffusion::rows_of(index, logs, &run);
        let spread = percentiles::rows_of(index, &tables.requests, &tables.stages, &diffusion);
        self.percentiles.extend(spread);
        self.diffusion.extend(diffusion);
        self.requests.extend(tables.requests);
        self.request_stages.extend(tables.stages);
        self.waterfall.extend(tables.waterfall);
        self.spans.extend(tables.spans);
        self.spans.extend(spans::of_diffusion(index, logs, &run));
        let checks = recompute::checks_of(logs, &run, &sums);
        self.flags.extend(flags::flags_of(logs, &run, &sums, &summaries, &checks));
        self.checks.extend(checks);
        self.runs.push(RunRow { name: run.name, logs: run.logs });
    }
}

fn census_of(logs: &[&PipelineLog]) -> Vec<CensusRow> {
    let rows = logs.iter().enumerate().flat_map(|(log, found)| {
        found.census.classes().map(move |(class, count)| CensusRow {
            log,
            kind: count.kind,
            class: class.to_owned(),
            lines: count.lines,
            first_line: count.first_line,
            sample: count.sample.clone(),
        })
    });
    rows.collect()
}

fn problems_of(logs: &[&PipelineLog]) -> Vec<ProblemRow> {
    let rows = logs.iter().enumerate().flat_map(|(log, found)| {
        let at_ns = |wall_ns: Option<i64>| Some(wall_ns? - found.first_wall_ns?);
        found.problems.iter().map(move |problem| ProblemRow {
            log,
            gravity: problem.gravity,
            count: problem.count,
            first_line: problem.first_line,
            first_at_ns: at_ns(problem.first_wall_ns),
            last_at_ns: at_ns(problem.last_wall_ns),
            process: found.process_label(problem.processes.first().copied()),
            processes: problem.processes.len() as u64,
            source: problem.source.clone(),
            text: problem.text.clone(),
        })
    });
    rows.collect()
}
