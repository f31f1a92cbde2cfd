//! Stages, requests and transfers, from the pipeline's own logs.
//!
//! Takes records of every generation and gives one set of tables. Every derived figure that the logs print is
//! recomputed by the pipeline's own formula ([`CheckRow`]); where it differs, or means something else than its name says,
//! there is a [`FlagRow`]. Reads nothing and prints nothing.

mod check;
mod diffusion;
mod edges;
mod events;
mod flags;
mod merge;
mod percentiles;
mod recompute;
mod requests;
mod rows;
mod spans;
mod sums;
mod totals;

use serde::{Serialize, Serializer};

use crate::model::log::PipelineLog;

pub use edges::TransferSource;
pub use flags::FlagKind;
pub use percentiles::RequestTime;
pub use requests::{QueueSource, SpanKind, SpanPlacement};
pub use rows::{
    CensusRow, CheckRow, DiffusionRow, FlagRow, LogRow, PercentileRow, ProblemRow, ProfilerRow,
    RequestRow, RequestStageRow, StageRow, StageWaitRow, StartupRow, SummaryRow, ThroughputRow,
    TransferRow, WaterfallRow,
};
pub use spans::{SpanSource, StageSpan};

/// A console log, with the files that the pipeline named after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunRow {
    /// Name of the log that the others are named after.
    pub name: String,
    /// Indices of its logs.
    pub logs: Vec<usize>,
}

/// Everything that the logs tell, in the order of the machine output.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct StageReport {
    /// Runs, in order of first appearance; the machine output names them.
    #[serde(serialize_with = "names")]
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
    pub waterfall: Vec<WaterfallRow>,
    /// When each stage worked for each request.
    #[serde(skip)]
    pub spans: Vec<StageSpan>,
    /// Stages.
    pub stages: Vec<StageRow>,
    /// Transfers by edge.
    pub transfers: Vec<TransferRow>,
    /// Diffusion requests.
    pub diffusion: Vec<DiffusionRow>,
    /// Start-up.
    pub startup: Vec<StartupRow>,
    /// Waiting for shared memory.
    pub waits: Vec<StageWaitRow>,
    /// The profiler.
    pub profiler: Vec<ProfilerRow>,
    /// vLLM's throughput lines.
    pub throughput: Vec<ThroughputRow>,
    /// Warnings and errors.
    pub problems: Vec<ProblemRow>,
    /// Figures to be read with care.
    pub flags: Vec<FlagRow>,
    /// Every recomputed figure.
    pub checks: Vec<CheckRow>,
    /// Lines by class.
    pub census: Vec<CensusRow>,
}

fn names<S: Serializer>(runs: &[RunRow], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(runs.iter().map(|run| &run.name))
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
        self.transfers.extend(edges::rows_of(index, &sums.edges, edges));
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
