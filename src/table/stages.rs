//! What pipeline logs tell, as tables: the machine output of `stages` and its columns, each defined once.

use std::collections::BTreeMap;

use serde::Serialize;

use super::rows::{AsCell as _, Prose, rows};
use super::{Bar, Cell, Column, IssueRow, SCHEMA_VERSION, Table, TableRow, Unit};
use crate::analyze::stages as found;
use crate::model::log::Meaning;

/// What is known of a log file itself.
#[derive(Clone, Debug, Default)]
pub struct LogFacts {
    /// Path as given or found.
    pub path: String,
    /// Size of the file.
    pub bytes: Option<u64>,
    /// Size of the text.
    pub text_bytes: u64,
    /// Records.
    pub records: u64,
    /// Processes.
    pub processes: u64,
    /// Lines that became records, or belong to one.
    pub recognized: u64,
    /// Lines known and ignored.
    pub ignored: u64,
    /// Lines of no known class.
    pub unknown: u64,
    /// Number of the log.
    pub number: usize,
}

rows! {
    /// One log.
    LogRow of LogFacts as log, groups 0 {
        log: usize, Count, "#", "number of the log in the other tables", log.number;
        bytes: Option<u64>, Bytes, "file", "size of the file as stored", log.bytes;
        text_bytes: u64, Bytes, "text", "size of the text after decompression", log.text_bytes;
        records: u64, Count, "records", "records of every kind", log.records;
        processes: u64, Count, "processes", "processes that its lines name", log.processes;
        recognized_lines: u64, Count, "recognized", "lines that became records or belong to one", log.recognized;
        ignored_lines: u64, Count, "ignored", "lines of a known class that says nothing here", log.ignored;
        unknown_lines: u64, Count, "unknown", "lines of no known class; `--table census` shows them", log.unknown;
        path: String, Text, "path", "path as given or found", log.path.clone();
    }

    /// One summary of a run.
    SummaryRow of found::SummaryRow as row, groups 1 {
        run: usize, Count, "run", "number of the run", row.run;
        line: u64, Count, "line", "line of the log", row.line;
        requests: Option<i64>, Count, "requests", "requests that ended", row.requests;
        wall_ns: Option<i64>, Ns, "wall", "from the first request to the last end", row.wall_ns;
        sum_ns: Option<i64>, Ns, "sum", "sum of the requests' end-to-end times", row.sum_ns;
        mean_request_ns: Option<i64>, Ns, "mean request", "sum over requests: the mean time of a request", row.mean_request_ns;
        wall_per_request_ns: Option<i64>, Ns, "wall/request", "wall time over requests", row.wall_per_request_ns;
        tokens: Option<i64>, Count, "tokens", "tokens as the summary counts them", row.tokens;
        tokens_per_wall_s: Option<f64>, Rate, "tokens/s", "tokens over wall time", row.tokens_per_wall_s;
        averages_of: &'static str, Text, "its averages", "what the summary's own averages are over", match row.meaning {
            Meaning::SumOfRequests => "sum_of_requests",
            Meaning::WallTime => "wall_time",
        };
    }

    /// One request.
    RequestRow of found::RequestRow as row, groups 1 {
        run: usize, Count, "run", "number of the run", row.run;
        e2e_ns: Option<i64>, Ns, "end to end", "end-to-end time", row.e2e_ns;
        e2e_is_logged: bool, Text, "logged", "whether the pipeline logs it; else it is by the orchestrator's lines", row.e2e_is_logged;
        generation_ns: Option<i64>, Ns, "generation", "sum of the stages' generation times", row.generation_ns;
        queue_ns: Option<i64>, Ns, "queue", "sum of what is known of waiting", row.queue_ns;
        transfers_ns: Option<i64>, Ns, "transfers", "sum of the transfers' times", row.transfers_ns;
        preprocess_ns: Option<i64>, Ns, "prepare", "time to prepare the input", row.preprocess_ns;
        tokens_in: Option<i64>, Count, "tokens in", "tokens that entered stage 0", row.tokens_in;
        tokens_out: Option<i64>, Count, "tokens out", "tokens that all stages made", row.tokens_out;
        stages: u32, Count, "stages", "stages that it went through", row.stages;
        request: String, Text, "request", "request id", row.request.clone();
    }

    /// How one time spreads over the requests of a run.
    PercentileRow of found::PercentileRow as row, groups 2 {
        run: usize, Count, "run", "number of the run", row.run;
        stage: Option<u32>, Count, "stage", "stage; none of whole requests", row.stage;
        time: &'static str, Text, "time", "end_to_end, prepare, queue, first_token, generation, transfers; of diffusion requests step and diffusion, the whole", row.time.as_str();
        count: u64, Count, "count", "requests that have it, in a stage passes", row.spread.count;
        mean_ns: i64, Ns, "mean", "sum over count", row.spread.mean_ns;
        p50_ns: i64, Ns, "p50", "median", row.spread.p50_ns;
        p90_ns: i64, Ns, "p90", "90 of 100 take no longer", row.spread.p90_ns;
        p95_ns: i64, Ns, "p95", "95 of 100 take no longer", row.spread.p95_ns;
        p99_ns: i64, Ns, "p99", "99 of 100 take no longer", row.spread.p99_ns;
        max_ns: i64, Ns, "max", "the longest", row.spread.max_ns;
    }

    /// One request in one stage.
    RequestStageRow of found::RequestStageRow as row, groups 2 {
        run: usize, Count, "run", "number of the run", row.run;
        request: String, Text, "request", "request id", row.request.clone();
        stage: u32, Count, "stage", "stage index", row.stage;
        instance: u32, Count, "pass", "1, or more for further passes through the stage", row.instance;
        queue_ns: Option<i64>, Ns, "queue", "waiting before generation", row.queue_ns;
        queue_source: Option<&'static str>, Text, "queue by", "logged, or residence: what the orchestrator's lines leave over", row.queue_source.map(|s| s.as_str());
        generation_ns: Option<i64>, Ns, "generation", "generation time of the batch", row.generation_ns;
        batch_size: Option<i64>, Count, "batch", "requests in the batch", row.batch_size;
        tokens_in: Option<i64>, Count, "tokens in", "tokens that entered", row.tokens_in;
        tokens_out: Option<i64>, Count, "tokens out", "tokens that were made", row.tokens_out;
        tokens_per_s: Option<f64>, Rate, "tokens/s", "tokens made over generation time", row.tokens_per_s;
        first_token_ns: Option<i64>, Ns, "first token", "time to the first token", row.first_token_ns;
        residence_ns: Option<i64>, Ns, "in stage", "from entering to leaving by the orchestrator's lines", row.residence_ns;
        rx_bytes: Option<i64>, Bytes, "received", "bytes received", row.rx_bytes;
        rx_decode_ns: Option<i64>, Ns, "decode", "time to decode what was received", row.rx_decode_ns;
        rx_in_flight_ns: Option<i64>, Ns, "in flight", "time on the way", row.rx_in_flight_ns;
    }

    /// One span of a waterfall.
    WaterfallRow of found::WaterfallSpan as row, groups 2 {
        run: usize, Count, "run", "number of the run", row.run;
        request: String, Text, "request", "request id", row.request.clone();
        stage: u32, Count, "stage", "stage; of a transfer the receiving one", row.stage;
        kind: &'static str, Text, "part", "transfer, queue or generation", row.kind.as_str();
        start_ns: i64, Ns, "start", "since the request entered stage 0", row.start_ns;
        dur_ns: i64, Ns, "time", "length", row.dur_ns;
        placed_by: &'static str, Text, "placed by", "times of the log, or durations laid end to end", row.placement.as_str();
    }

    /// One stage.
    StageRow of found::StageRow as row, groups 1 {
        run: usize, Count, "run", "number of the run", row.run;
        stage: u32, Count, "stage", "stage index", row.stage;
        requests: Option<i64>, Count, "requests", "requests", row.requests;
        generation_ns: Option<i64>, Ns, "generation", "sum of generation times, a batch counted once", row.generation_ns;
        generation_max_ns: Option<i64>, Ns, "longest", "longest generation time", row.generation_max_ns;
        queue_ns: Option<i64>, Ns, "queue", "sum of waiting, where known", row.queue_ns;
        wall_ns: Option<i64>, Ns, "wall", "last output less first input", row.wall_ns;
        tokens_in: Option<i64>, Count, "tokens in", "tokens that entered", row.tokens_in;
        tokens_out: Option<i64>, Count, "tokens out", "tokens that were made", row.tokens_out;
        tokens_per_s: Option<f64>, Rate, "tokens/s", "tokens made over generation time", row.tokens_per_s;
        tokens_per_wall_s: Option<f64>, Rate, "tokens/wall s", "tokens made over wall time", row.tokens_per_wall_s;
    }

    /// One edge.
    TransferRow of found::EdgeRow as row, groups 1 {
        run: usize, Count, "run", "number of the run", row.run;
        from_stage: u32, Count, "from", "sending stage", row.from;
        to_stage: u32, Count, "to", "receiving stage", row.to;
        samples: Option<i64>, Count, "sends", "sends", row.samples;
        bytes: Option<i64>, Bytes, "sent", "bytes sent", row.bytes;
        tx_ns: Option<i64>, Ns, "tx", "time to send", row.tx_ns;
        in_flight_ns: Option<i64>, Ns, "in flight", "time on the way", row.in_flight_ns;
        rx_ns: Option<i64>, Ns, "rx", "time to decode at the receiver: not wire time", row.rx_ns;
        total_ns: Option<i64>, Ns, "total", "tx, in flight and rx", row.total_ns;
        tx_mbit_per_s: Option<f64>, Rate, "tx Mbit/s", "bytes sent over tx, megabits of 10^6 a second", row.tx_mbps;
        rx_mbit_per_s: Option<f64>, Rate, "rx Mbit/s", "bytes received over rx, megabits of 10^6 a second", row.rx_mbps;
        total_mbit_per_s: Option<f64>, Rate, "total Mbit/s", "bytes sent over total, megabits of 10^6 a second", row.total_mbps;
        tx_gb_per_s: Option<f64>, Rate, "tx GB/s", "bytes sent over tx, gigabytes of 10^9 a second", row.tx_gb_per_s;
        rx_gb_per_s: Option<f64>, Rate, "rx GB/s", "bytes received over rx, gigabytes of 10^9 a second", row.rx_gb_per_s;
        total_gb_per_s: Option<f64>, Rate, "total GB/s", "bytes sent over total, gigabytes of 10^9 a second", row.total_gb_per_s;
        rx_samples: Option<i64>, Count, "receives", "receives", row.rx_samples;
        rx_bytes: Option<i64>, Bytes, "received", "bytes received", row.rx_bytes;
        source: &'static str, Text, "by", "summary of the run, or transfers of its requests", row.source.as_str();
    }

    /// One diffusion request.
    DiffusionRow of found::DiffusionRow as row, groups 1 {
        run: usize, Count, "run", "number of the run", row.run;
        load_ns: Option<i64>, Ns, "load", "time to build the engine, before the first request", row.load_ns;
        queue_ns: Option<i64>, Ns, "queue", "waiting in the scheduler's queue", row.queue_ns;
        preprocess_ns: Option<i64>, Ns, "prepare", "preparing the input", row.preprocess_ns;
        engine_ns: Option<i64>, Ns, "engine", "time in the engine, queue included where the log includes it", row.engine_ns;
        steps: Option<i64>, Count, "steps", "denoising steps", row.steps;
        step_ns: Option<i64>, Ns, "per step", "engine time less queue, over the steps: encoding and decoding are in it", row.step_ns;
        decode_ns: Option<i64>, Ns, "decode", "decoding the latents", row.decode_ns;
        postprocess_ns: Option<i64>, Ns, "finish", "preparing the output", row.postprocess_ns;
        total_ns: Option<i64>, Ns, "total", "the whole request", row.total_ns;
        height: Option<i64>, Count, "height", "image height in pixels", row.height_width.map(|(h, _)| h);
        width: Option<i64>, Count, "width", "image width in pixels", row.height_width.map(|(_, w)| w);
        process: String, Text, "process", "process", row.process.clone();
        model: Option<String>, Text, "model", "model or pipeline class", row.model.clone();
        request: String, Text, "request", "request id; empty where the log counts calls only", row.request.clone();
    }

    /// One step of starting up.
    StartupRow of found::StartupRow as row, groups 1 {
        log: usize, Count, "#", "number of the log", row.log;
        at_ns: Option<i64>, Ns, "at", "since the log's first dated line", row.at_ns;
        step: &'static str, Text, "step", "what happened", row.step.as_str();
        took_ns: Option<i64>, Ns, "took", "how long it took, where the line says so", row.dur_ns;
        stage: Option<u32>, Count, "stage", "stage, where the line names one", row.stage;
        memory_gib: Option<f64>, Rate, "GiB", "memory, where the line gives it", row.gib;
        process: String, Text, "process", "process", row.process.clone();
        line: u64, Count, "line", "line of the log", row.line;
        detail: String, Text, "words", "the line's own words", row.detail.clone();
    }

    /// One complaint that the shared-memory queue found no free block.
    StageWaitRow of found::WaitRow as row, groups 1 {
        log: usize, Count, "#", "number of the log", row.log;
        at_ns: Option<i64>, Ns, "at", "since the log's first dated line", row.at_ns;
        waited_ns: i64, Ns, "waited", "since the last complaint of the process", row.waited_ns;
        nth: u64, Count, "nth", "how often the process has complained so far", row.nth;
        waited_so_far_ns: i64, Ns, "so far", "sum of its waits so far", row.waited_so_far_ns;
        process: String, Text, "process", "process that waits", row.process.clone();
        line: u64, Count, "line", "line of the log", row.line;
    }

    /// One step of the profiler.
    ProfilerRow of found::ProfilerRow as row, groups 1 {
        log: usize, Count, "#", "number of the log", row.log;
        at_ns: Option<i64>, Ns, "at", "since the log's first dated line", row.at_ns;
        step: &'static str, Text, "step", "what happened", row.step.as_str();
        stage: Option<u32>, Count, "stage", "stage, where the line names one", row.stage;
        rank: Option<u32>, Count, "rank", "rank, where the line names one", row.rank;
        process: String, Text, "process", "process", row.process.clone();
        line: u64, Count, "line", "line of the log", row.line;
        paths: Vec<String>, Text, "files", "files or directories that the line names", row.paths.clone();
        detail: String, Text, "words", "the line's own words", row.detail.clone();
    }

    /// One throughput line.
    ThroughputRow of found::ThroughputRow as row, groups 1 {
        log: usize, Count, "#", "number of the log", row.log;
        at_ns: Option<i64>, Ns, "at", "since the log's first dated line", row.at_ns;
        engine: u32, Count, "engine", "engine index", row.engine;
        prompt_tokens_per_s: Option<f64>, Rate, "prompt tokens/s", "prompt tokens a second, as printed", row.prompt_tokens_per_s;
        generation_tokens_per_s: Option<f64>, Rate, "made tokens/s", "generated tokens a second, as printed", row.generation_tokens_per_s;
        running: Option<i64>, Count, "running", "requests that run", row.running;
        waiting: Option<i64>, Count, "waiting", "requests that wait", row.waiting;
        line: u64, Count, "line", "line of the log", row.line;
        kv_cache_pct: Option<f64>, Percent, "KV cache", "share of the key-value cache in use, as printed", row.kv_cache_pct;
        prefix_hit_pct: Option<f64>, Percent, "prefix hits", "share of prompt tokens that the prefix cache served, as printed", row.prefix_hit_pct;
    }

    /// Warnings and errors that say the same.
    ProblemRow of found::ProblemRow as row, groups 1 {
        log: usize, Count, "#", "number of the log", row.log;
        gravity: &'static str, Text, "level", "warning, error or critical; a traceback is an error", row.gravity.as_str();
        count: u64, Count, "count", "how often, numbers and identifiers aside", row.count;
        first_line: u64, Count, "line", "line of the first one", row.first_line;
        first_at_ns: Option<i64>, Ns, "first at", "time of the first dated one since the log's first dated line", row.first_at_ns;
        last_at_ns: Option<i64>, Ns, "last at", "time of the last dated one", row.last_at_ns;
        process: String, Text, "first process", "the first process that complains so", row.process.clone();
        processes: u64, Count, "processes", "how many processes complain so, of those that name themselves", row.processes;
        source: String, Text, "source", "source file and line; of a traceback its innermost frame", row.source.clone();
        text: Prose, Text, "message", "the first one, cut; of a traceback the exception", Prose(row.text.clone());
    }

    /// One recomputed figure.
    CheckRow of found::Check as row, groups 1 {
        log: usize, Count, "#", "number of the log", row.log;
        line: u64, Count, "line", "line of the record", row.line;
        subject: String, Text, "of", "request, stage, edge or summary", row.subject.clone();
        field: &'static str, Text, "field", "name of the figure", row.field;
        printed: f64, Rate, "printed", "the figure as printed", row.printed.value;
        recomputed: f64, Rate, "recomputed", "the figure by its formula", row.recomputed;
        low: f64, Rate, "least", "least value that the inputs' rounding allows", row.low;
        high: f64, Rate, "greatest", "greatest value that the inputs' rounding allows", row.high;
        agrees: bool, Text, "agrees", "whether the printed figure can be one of these", row.agrees;
        formula: &'static str, Text, "formula", "the formula, in the pipeline's field names", row.formula;
    }

    /// One figure to be read with care.
    FlagRow of found::Flag as row, groups 1 {
        log: usize, Count, "#", "number of the log", row.log;
        line: u64, Count, "line", "line of the record", row.line;
        kind: &'static str, Text, "kind", "what it is about", row.kind.as_str();
        subject: String, Text, "of", "request, stage, edge or summary", row.subject.clone();
        message: Prose, Text, "remark", "the remark", Prose(row.message.clone());
    }

    /// Lines of one class.
    CensusRow of found::CensusRow as row, groups 2 {
        log: usize, Count, "#", "number of the log", row.log;
        kind: &'static str, Text, "kind", "recognized, ignored or unknown", row.kind.as_str();
        class: String, Text, "class", "class; of unknown lines the source file, or text", row.class.clone();
        lines: u64, Count, "lines", "how many", row.lines;
        first_line: u64, Count, "first line", "line number of the first one", row.first_line;
        sample: String, Text, "sample", "the first one, cut", row.sample.clone();
    }
}

/// The machine output of `stages`. The order of the fields is the contract; fields are only ever added.
#[derive(Clone, Debug, Default, Serialize)]
pub struct StagesReport {
    /// Version of the machine output.
    pub schema_version: u32,
    /// `stages`.
    pub command: &'static str,
    /// The logs.
    pub logs: Vec<LogRow>,
    /// Names of the runs: a console log with the files that the pipeline named after it.
    pub runs: Vec<String>,
    /// Summaries.
    pub summaries: Vec<SummaryRow>,
    /// Requests.
    pub requests: Vec<RequestRow>,
    /// How their times spread.
    pub percentiles: Vec<PercentileRow>,
    /// Requests by stage.
    pub request_stages: Vec<RequestStageRow>,
    /// Waterfalls.
    pub waterfall: Vec<WaterfallRow>,
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
    /// What was odd or lost.
    pub issues: Vec<IssueRow>,
}

fn all<'a, S: 'a, R: From<&'a S>>(rows: &'a [S]) -> Vec<R> {
    rows.iter().map(R::from).collect()
}

impl StagesReport {
    /// The report of some logs.
    pub fn of(report: &found::StageReport, logs: &[LogFacts], issues: Vec<IssueRow>) -> Self {
        Self {
            schema_version: SCHEMA_VERSION,
            command: "stages",
            logs: all(logs),
            runs: report.runs.iter().map(|run| run.name.clone()).collect(),
            summaries: all(&report.summaries),
            requests: all(&report.requests),
            percentiles: all(&report.percentiles),
            request_stages: all(&report.request_stages),
            waterfall: all(&report.waterfall),
            stages: all(&report.stages),
            transfers: all(&report.edges),
            diffusion: all(&report.diffusion),
            startup: all(&report.startup),
            waits: all(&report.waits),
            profiler: all(&report.profiler),
            throughput: all(&report.throughput),
            problems: all(&report.problems),
            flags: all(&report.flags),
            checks: all(&report.checks),
            census: all(&report.census),
            issues,
        }
    }

    /// Every table, in order.
    pub fn tables(&self) -> Vec<Table> {
        vec![
            Table::of("logs", "Logs", &self.logs),
            Table::of("summaries", "Summaries", &self.summaries),
            Table::of("requests", "Requests", &self.requests),
            Table::of("percentiles", "Percentiles over requests", &self.percentiles),
            Table::of("request_stages", "Requests by stage", &self.request_stages),
            Table::of("waterfall", "Waterfall", &self.waterfall),
            Table::of("stages", "Stages", &self.stages),
            Table::of("transfers", "Transfers between stages", &self.transfers)
                .with_note(MBIT_NOTE),
            Table::of("diffusion", "Diffusion", &self.diffusion),
            Table::of("startup", "Start-up", &self.startup),
            Table::of("waits", "Waiting for a shared-memory block", &self.waits),
            Table::of("profiler", "Profiler", &self.profiler),
            self.throughput_table(),
            Table::of("problems", "Warnings and errors", &self.problems),
            Table::of("flags", "To be read with care", &self.flags).with_note(self.checked()),
            Table::of("checks", "Recomputed figures", &self.checks),
            Table::of("census", "Lines by class", &self.census),
            Table::of("issues", "Issues", &self.issues),
        ]
    }

    /// The throughput lines, with each engine's in one sentence.
    fn throughput_table(&self) -> Table {
        let mut engines: BTreeMap<(usize, u32), Vec<&ThroughputRow>> = BTreeMap::new();
        for row in &self.throughput {
            engines.entry((row.log, row.engine)).or_default().push(row);
        }
        let table = Table::of("throughput", "Throughput", &self.throughput);
        let several = engines.into_iter().filter(|(_, lines)| lines.len() > 1);
        several.fold(table, |table, ((log, engine), lines)| {
            table.with_note(throughput_sentence(log, engine, &lines))
        })
    }

    /// How many printed figures were recomputed, and how many agree.
    fn checked(&self) -> String {
        let agree = self.checks.iter().filter(|check| check.agrees).count();
        let all = self.checks.len();
        if all == 0 {
            return "these logs print no figure that can be recomputed".to_owned();
        }
        format!("{all} printed figures were recomputed; {agree} agree to their printed digits")
    }
}

/// Columns that people seldom need, by table.
pub const DETAILS: [(&str, &[&str]); 3] = [
    ("request_stages", &["queue_source", "rx_bytes", "rx_decode_ns", "rx_in_flight_ns"]),
    ("transfers", &["rx_samples", "rx_bytes"]),
    ("profiler", &["paths"]),
];

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
    let mut table = Table::of("waterfall", "Waterfall", rows);
    let doc = "the request's time from left to right: · transfer, ░ queue, █ generation";
    table.columns.push(Column::new("time line", "bar", Unit::Text, doc));
    let mut cells = table.rows.iter_mut();
    // The spans of a request stand together.
    for own in rows.chunk_by(|a, b| a.run == b.run && a.request == b.request) {
        let whole_ns = own.iter().map(|span| span.start_ns + span.dur_ns).max().unwrap_or(0);
        for (row, cells) in own.iter().zip(&mut cells) {
            cells.push(Cell::Bar(bar(row, whole_ns)));
        }
    }
    table.with_note("· transfer, ░ queue, █ generation")
}

fn bar(row: &WaterfallRow, whole_ns: i64) -> Bar {
    let mark = match row.kind {
        "generation" => '█',
        "queue" => '░',
        _ => '·',
    };
    Bar { start_ns: row.start_ns, end_ns: row.start_ns + row.dur_ns, whole_ns, mark }
}
