//! What the logs tell, table by table: the rows that the analysis answers in, and their columns.

use super::{FlagKind, QueueSource, RequestTime, SpanKind, SpanPlacement, TransferSource};
use crate::model::log::{Gravity, LineKind, Meaning, ProfilerStep, StartupStep};
use crate::schema::tables;

tables! {
    /// One log.
    LogRow: "logs", "Logs", "Which logs were read, and what became of their lines?", groups 0 {
        log: usize, Count, All, "#", "number of the log in the other tables";
        bytes: Option<u64>, Bytes, All, "file", "size of the file as stored";
        text_bytes: u64, Bytes, All, "text", "size of the text after decompression";
        records: u64, Count, All, "records", "records of every kind";
        processes: u64, Count, All, "processes", "processes that its lines name";
        recognized_lines: u64, Count, All, "recognized", "lines that became records or belong to one";
        ignored_lines: u64, Count, All, "ignored", "lines of a known class that says nothing here";
        unknown_lines: u64, Count, All, "unknown", "lines of no known class; `--table census` shows them";
        path: String, Text, All / Subject, "path", "path as given or found";
    }

    /// One summary of a run.
    SummaryRow: "summaries", "Summaries", "What do the logs' own summaries of a run say?", groups 1 {
        run: usize, Count, All, "run", "number of the run";
        line: u64, Count, All, "line", "line of the log";
        requests: Option<i64>, Count, All, "requests", "requests that ended";
        wall_ns: Option<i64>, Ns, All, "wall", "from the first request to the last end";
        sum_ns: Option<i64>, Ns, All, "sum", "sum of the requests' end-to-end times";
        mean_request_ns: Option<i64>, Ns, All, "mean request", "sum over requests: the mean time of a request";
        wall_per_request_ns: Option<i64>, Ns, All, "wall/request", "wall time over requests";
        tokens: Option<i64>, Count, All, "tokens", "tokens as the summary counts them";
        tokens_per_wall_s: Option<f64>, Rate, All, "tokens/s", "tokens over wall time";
        averages_of: Meaning, Text, All, "its averages", "what the summary's own averages are over";
    }

    /// One request.
    RequestRow: "requests", "Requests", "How long did each request take, and in what?", groups 1, on Stages 4 {
        run: usize, Count, All, "run", "number of the run";
        e2e_ns: Option<i64>, Ns, All, "end to end", "end-to-end time";
        e2e_is_logged: bool, Text, Room, "logged", "whether the pipeline logs it; else it is by the orchestrator's lines";
        generation_ns: Option<i64>, Ns, All, "generation", "sum of the stages' generation times";
        queue_ns: Option<i64>, Ns, All, "queue", "sum of what is known of waiting";
        transfers_ns: Option<i64>, Ns, All, "transfers", "sum of the transfers' times";
        first_token_ns: Option<i64>, Ns, Room, "first token", "from entering stage 0 to the first token of any stage: the entry into its stage and what the engine logs; none where no line tells one of them";
        first_output_ns: Option<i64>, Ns, Room, "first output", "from entering stage 0 to the first output of the last stage: its first token, or its end where it makes no tokens";
        next_stage_ns: Option<i64>, Ns, All, "next stage", "from the end of a stage to the entry into the next, less the transfer; none where no line tells when";
        preprocess_ns: Option<i64>, Ns, Room, "prepare", "time to prepare the input";
        other_ns: Option<i64>, Ns, All, "other", "end to end less all of these: what no line tells; below zero where stages worked at once";
        tokens_in: Option<i64>, Count, All, "tokens in", "tokens that entered stage 0";
        tokens_out: Option<i64>, Count, All, "tokens out", "tokens that all stages made";
        stages: u32, Count, All, "stages", "stages that it went through";
        request: String, Text, All / Subject, "request", "request id";
    }

    /// How one time spreads over the requests of a run.
    PercentileRow: "percentiles", "Percentiles over requests", "How do the times of requests spread?", groups 2, on Stages 5 {
        run: usize, Count, All, "run", "number of the run";
        stage: Option<u32>, Count, All, "stage", "stage; none of whole requests";
        time: RequestTime, Text, All, "time", "end_to_end, prepare, queue, first_token, first_output, between_tokens, per_token, generation, transfers; of diffusion requests step and diffusion, the whole";
        count: u64, Count, All, "count", "requests that have it, in a stage passes";
        mean_ns: i64, Ns, All, "mean", "sum over count";
        p50_ns: i64, Ns, All, "p50", "median";
        p90_ns: i64, Ns, All, "p90", "90 of 100 take no longer";
        p95_ns: i64, Ns, All, "p95", "95 of 100 take no longer";
        p99_ns: i64, Ns, All, "p99", "99 of 100 take no longer";
        max_ns: i64, Ns, All, "max", "the longest";
    }

    /// One request in one stage.
    RequestStageRow: "request_stages", "Requests by stage", "What did each request spend in each stage?", groups 2, on Stages 6 {
        run: usize, Count, All, "run", "number of the run";
        request: String, Text, All, "request", "request id";
        stage: u32, Count, All, "stage", "stage index";
        instance: u32, Count, Room, "pass", "1, or more for further passes through the stage";
        queue_ns: Option<i64>, Ns, All, "queue", "waiting before generation";
        queue_source: Option<QueueSource>, Text, Request, "queue by", "logged, or residence: what the orchestrator's lines leave over";
        generation_ns: Option<i64>, Ns, All, "generation", "generation time of the batch";
        batch_size: Option<i64>, Count, Room, "batch", "requests in the batch";
        tokens_in: Option<i64>, Count, All, "tokens in", "tokens that entered";
        tokens_out: Option<i64>, Count, All, "tokens out", "tokens that were made";
        tokens_per_s: Option<f64>, Rate, All, "tokens/s", "tokens made over generation time";
        first_token_ns: Option<i64>, Ns, Room, "first token", "time to the first token, as the engine logs it; none of a stage that makes none";
        between_tokens_ns: Option<i64>, Ns, Room, "between tokens", "mean time between tokens, as the engine logs it";
        per_token_ns: Option<i64>, Ns, Room, "per token", "time for each token after the first, as the engine logs it";
        residence_ns: Option<i64>, Ns, All, "in stage", "from entering to leaving by the orchestrator's lines";
        rx_bytes: Option<i64>, Bytes, Request, "received", "bytes received";
        rx_decode_ns: Option<i64>, Ns, Request, "decode", "time to decode what was received";
        rx_in_flight_ns: Option<i64>, Ns, Request, "in flight", "time on the way";
    }

    /// One span of a waterfall.
    WaterfallRow: "waterfall", "Waterfall", "When was each request where?", groups 2, on Stages 7 {
        run: usize, Count, All, "run", "number of the run";
        request: String, Text, All, "request", "request id";
        stage: u32, Count, All, "stage", "stage; of a transfer the receiving one";
        kind: SpanKind, Text, All, "part", "transfer, queue or generation";
        start_ns: i64, Ns, All, "start", "since the request entered stage 0";
        dur_ns: i64, Ns, All, "time", "length";
        placed_by: SpanPlacement, Text, All, "placed by", "times of the log, or durations laid end to end";
    }

    /// One stage.
    StageRow: "stages", "Stages", "What did each stage do?", groups 1, on Stages 8 {
        run: usize, Count, All, "run", "number of the run";
        stage: u32, Count, All, "stage", "stage index";
        requests: Option<i64>, Count, All, "requests", "requests";
        generation_ns: Option<i64>, Ns, All, "generation", "sum of generation times, a batch counted once";
        generation_max_ns: Option<i64>, Ns, All, "longest", "longest generation time";
        queue_ns: Option<i64>, Ns, All, "queue", "sum of waiting, where known";
        wall_ns: Option<i64>, Ns, Room, "wall", "last output less first input";
        tokens_in: Option<i64>, Count, All, "tokens in", "tokens that entered";
        tokens_out: Option<i64>, Count, All, "tokens out", "tokens that were made";
        tokens_per_s: Option<f64>, Rate, All, "tokens/s", "tokens made over generation time";
        tokens_per_wall_s: Option<f64>, Rate, Room, "tokens/wall s", "tokens made over wall time";
    }

    /// One edge.
    TransferRow: "transfers", "Transfers between stages", "What moved between stages, and how fast?", groups 1, on Copies 4 {
        run: usize, Count, All, "run", "number of the run";
        from_stage: u32, Count, All, "from", "sending stage";
        to_stage: u32, Count, All, "to", "receiving stage";
        samples: Option<i64>, Count, All, "sends", "sends";
        bytes: Option<i64>, Bytes, All, "sent", "bytes sent";
        tx_ns: Option<i64>, Ns, All, "tx", "time to send";
        in_flight_ns: Option<i64>, Ns, All, "in flight", "time on the way";
        rx_ns: Option<i64>, Ns, All, "rx", "time to decode at the receiver: not wire time";
        total_ns: Option<i64>, Ns, All, "total", "tx, in flight and rx";
        tx_mbit_per_s: Option<f64>, Rate, Room, "tx Mbit/s", "bytes sent over tx, megabits of 10^6 a second";
        rx_mbit_per_s: Option<f64>, Rate, Room, "rx Mbit/s", "bytes received over rx, megabits of 10^6 a second";
        total_mbit_per_s: Option<f64>, Rate, Room, "total Mbit/s", "bytes sent over total, megabits of 10^6 a second";
        tx_gb_per_s: Option<f64>, Rate, All, "tx GB/s", "bytes sent over tx, gigabytes of 10^9 a second";
        rx_gb_per_s: Option<f64>, Rate, All, "rx GB/s", "bytes received over rx, gigabytes of 10^9 a second";
        total_gb_per_s: Option<f64>, Rate, All, "total GB/s", "bytes sent over total, gigabytes of 10^9 a second";
        rx_samples: Option<i64>, Count, Request, "receives", "receives";
        rx_bytes: Option<i64>, Bytes, Request, "received", "bytes received";
        source: TransferSource, Text, All, "by", "summary of the run, or transfers of its requests";
    }

    /// One diffusion request.
    #[derive(Default)]
    DiffusionRow: "diffusion", "Diffusion", "What are diffusion requests made of?", groups 1 {
        run: usize, Count, All, "run", "number of the run";
        load_ns: Option<i64>, Ns, All, "load", "time to build the engine, before the first request";
        queue_ns: Option<i64>, Ns, All, "queue", "waiting in the scheduler's queue";
        preprocess_ns: Option<i64>, Ns, All, "prepare", "preparing the input";
        engine_ns: Option<i64>, Ns, All, "engine", "time in the engine, queue included where the log includes it";
        steps: Option<i64>, Count, All, "steps", "denoising steps";
        step_ns: Option<i64>, Ns, All, "per step", "engine time less queue, over the steps: encoding and decoding are in it";
        decode_ns: Option<i64>, Ns, All, "decode", "decoding the latents";
        postprocess_ns: Option<i64>, Ns, All, "finish", "preparing the output";
        total_ns: Option<i64>, Ns, All, "total", "the whole request";
        height: Option<i64>, Count, All, "height", "image height in pixels";
        width: Option<i64>, Count, All, "width", "image width in pixels";
        process: String, Text, All, "process", "process";
        model: Option<String>, Text, All, "model", "model or pipeline class";
        request: String, Text, All / Subject, "request", "request id; empty where the log counts calls only";
    }

    /// One step of starting up.
    StartupRow: "startup", "Start-up", "What did starting up take?", groups 1, shown Folded {
        log: usize, Count, All, "#", "number of the log";
        at_ns: Option<i64>, Ns, All, "at", "since the log's first dated line";
        step: StartupStep, Text, All, "step", "what happened";
        took_ns: Option<i64>, Ns, All, "took", "how long it took, where the line says so";
        stage: Option<u32>, Count, All, "stage", "stage, where the line names one";
        memory_gib: Option<f64>, Rate, All, "GiB", "memory, where the line gives it";
        process: String, Text, All, "process", "process";
        line: u64, Count, All, "line", "line of the log";
        detail: String, Text, All / Last, "words", "the line's own words";
    }

    /// One complaint that the shared-memory queue found no free block.
    StageWaitRow: "waits", "Waiting for a shared-memory block", "Who waited for a free block of shared memory?", groups 1 {
        log: usize, Count, All, "#", "number of the log";
        at_ns: Option<i64>, Ns, All, "at", "since the log's first dated line";
        waited_ns: i64, Ns, All, "waited", "since the last complaint of the process";
        nth: u64, Count, All, "nth", "how often the process has complained so far";
        waited_so_far_ns: i64, Ns, All, "so far", "sum of its waits so far";
        process: String, Text, All, "process", "process that waits";
        line: u64, Count, All, "line", "line of the log";
    }

    /// One step of the profiler.
    ProfilerRow: "profiler", "Profiler", "When was the profiler started and stopped, and what did it write?", groups 1, shown Folded {
        log: usize, Count, All, "#", "number of the log";
        at_ns: Option<i64>, Ns, All, "at", "since the log's first dated line";
        step: ProfilerStep, Text, All, "step", "what happened";
        stage: Option<u32>, Count, All, "stage", "stage, where the line names one";
        rank: Option<u32>, Count, All, "rank", "rank, where the line names one";
        process: String, Text, All, "process", "process";
        line: u64, Count, All, "line", "line of the log";
        paths: Vec<String>, Text, Request, "files", "files or directories that the line names";
        detail: String, Text, All / Last, "words", "the line's own words";
    }

    /// One throughput line.
    ThroughputRow: "throughput", "Throughput", "What throughput does vLLM print?", groups 1, shown Folded {
        log: usize, Count, All, "#", "number of the log";
        at_ns: Option<i64>, Ns, All, "at", "since the log's first dated line";
        engine: u32, Count, All, "engine", "engine index";
        prompt_tokens_per_s: Option<f64>, Rate, All, "prompt tokens/s", "prompt tokens a second, as printed";
        generation_tokens_per_s: Option<f64>, Rate, All, "made tokens/s", "generated tokens a second, as printed";
        running: Option<i64>, Count, All, "running", "requests that run";
        waiting: Option<i64>, Count, All, "waiting", "requests that wait";
        line: u64, Count, All, "line", "line of the log";
        kv_cache_pct: Option<f64>, Percent, All, "KV cache", "share of the key-value cache in use, as printed";
        prefix_hit_pct: Option<f64>, Percent, All, "prefix hits", "share of prompt tokens that the prefix cache served, as printed";
    }

    /// Warnings and errors that say the same.
    ProblemRow: "problems", "Warnings and errors", "What do the logs complain of?", groups 1 {
        log: usize, Count, All, "#", "number of the log";
        gravity: Gravity, Text, All, "level", "warning, error or critical; a traceback is an error";
        count: u64, Count, All, "count", "how often, numbers and identifiers aside";
        first_line: u64, Count, All, "line", "line of the first one";
        first_at_ns: Option<i64>, Ns, All, "first at", "time of the first dated one since the log's first dated line";
        last_at_ns: Option<i64>, Ns, All, "last at", "time of the last dated one";
        process: String, Text, All, "first process", "the first process that complains so";
        processes: u64, Count, All, "processes", "how many processes complain so, of those that name themselves";
        source: String, Text, All, "source", "source file and line; of a traceback its innermost frame";
        text: String, Prose, All / Last, "message", "the first one, cut; of a traceback the exception";
    }

    /// One recomputed figure.
    CheckRow: "checks", "Recomputed figures", "Do the printed figures follow from the others?", groups 1, shown Request {
        log: usize, Count, All, "#", "number of the log";
        line: u64, Count, All, "line", "line of the record";
        subject: String, Text, All, "of", "request, stage, edge or summary";
        field: &'static str, Text, All, "field", "name of the figure";
        printed: f64, Rate, All, "printed", "the figure as printed";
        recomputed: f64, Rate, All, "recomputed", "the figure by its formula";
        low: f64, Rate, All, "least", "least value that the inputs' rounding allows";
        high: f64, Rate, All, "greatest", "greatest value that the inputs' rounding allows";
        agrees: bool, Text, All, "agrees", "whether the printed figure can be one of these";
        formula: &'static str, Text, All / Last, "formula", "the formula, in the pipeline's field names";
    }

    /// One figure to be read with care.
    FlagRow: "flags", "To be read with care", "Which printed figures mean something else than their name says?", groups 1, shown Always {
        log: usize, Count, All, "#", "number of the log";
        line: u64, Count, Room, "line", "line of the record";
        kind: FlagKind, Text, Room, "kind", "what it is about";
        subject: String, Text, All, "of", "request, stage, edge or summary";
        message: String, Prose, All / Last, "remark", "the remark";
    }

    /// Lines of one class.
    CensusRow: "census", "Lines by class", "Which lines were understood?", groups 2, shown Request {
        log: usize, Count, All, "#", "number of the log";
        kind: LineKind, Text, All, "kind", "recognized, ignored or unknown";
        class: String, Text, All, "class", "class; of unknown lines the source file, or text";
        lines: u64, Count, All, "lines", "how many";
        first_line: u64, Count, All, "first line", "line number of the first one";
        sample: String, Text, All / Last, "sample", "the first one, cut";
    }
}
