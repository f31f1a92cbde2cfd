//! Logs beside traces, table by table: the rows that the analysis answers in, and their columns.

use super::clocks::ClockSource;
use super::stage_inputs::MatchedBy;
use crate::analyze::stages::SpanSource;
use crate::schema::{tables, words};

words! {
    /// A side of a transfer.
    Side {
        /// The stage that hands over.
        Sender "sender",
        /// The stage that takes.
        Receiver "receiver",
    }
}

tables! {
    /// Where one log stands in Unix time.
    LogClockRow: "log_clocks", "Logs on the time line", "Where does each log stand in time, and how is that known?", groups 0, on Stages 3 {
        log: usize, Count, All, "log", "number of the log";
        spans: u64, Count, All, "spans", "stages' work for requests that it tells the end of";
        placed_by: ClockSource, Text, All, "placed by", "unix_time, given, profiler, overlap, or none: not placed";
        zone: Option<String>, Text, All, "zone", "zone of its wall clock";
        zone_ns: Option<i64>, Ns, Request, "ahead of UTC", "what its wall clock is ahead of UTC";
        year: Option<i32>, Text, All, "year", "year of its first line, where the log does not tell it";
        error_ns: Option<i64>, Ns, All, "±", "how far a span may be off at most: half of what the lines' times leave off, and how late the orchestrator notices an end";
        evidence: String, Text, All, "why", "what was seen, or why it is not placed";
        path: String, Text, All / Subject, "path", "path as given or found";
    }

    /// One stage of one run against one of its inputs.
    #[derive(Default)]
    JoinedStageRow: "joined_stages", "Generation of each stage against its traces", "What did each stage's devices and threads do while it generated?", groups 2, on Stages 1 {
        run: usize, Count, All, "run", "number of the run";
        stage: Option<u32>, Count, All, "stage", "stage index";
        input: Option<usize>, Count, All, "#", "number of the input; none where no input is the stage's";
        matched_by: Option<MatchedBy>, Text, Room, "matched by", "stage, process, file or only_stage: what tells that the input is the stage's";
        spans: u64, Count, Room, "requests", "requests that it generated for, by the log";
        spans_in_window: u64, Count, Room, "recorded", "of them, at least partly inside the recorded window";
        generation_ns: i64, Ns, All, "generation", "sum of the generation times that the log gives";
        window_ns: Option<i64>, Ns, Room, "window", "the recorded window";
        in_window_ns: Option<i64>, Ns, All, "in window", "generation inside the window, requests at the same time counted once";
        kernel_busy_ns: Option<i64>, Ns, All, "kernel busy", "of it, a kernel ran (union over devices)";
        wait_no_kernel_ns: Option<i64>, Ns, All, "waited, no kernel", "of it, a work thread waited for another process and no kernel ran";
        host_ns: Option<i64>, Ns, All, "host only", "of it, a work thread was busy, none waited and no kernel ran";
        rest_ns: Option<i64>, Ns, All, "rest", "of it, none of these: copies, synchronizing, other waits, unexplained";
        ipc_wait_ns: Option<i64>, Ns, All, "IPC wait", "IPC wait in it, kernels or not";
        outside_kernel_busy_ns: Option<i64>, Ns, All, "kernels else", "kernel busy in the window while no request was generated for";
        outside_ipc_wait_ns: Option<i64>, Ns, All, "IPC wait else", "IPC wait in the window while no request was generated for";
    }

    /// One stage's work for one request against one input.
    JoinedRequestRow: "joined_requests", "Requests by stage against the traces", "What did each stage do for each request?", groups 2, on Stages 2 {
        run: usize, Count, All, "run", "number of the run";
        request: String, Text, All, "request", "request id; empty where the log counts calls only";
        stage: Option<u32>, Count, All, "stage", "stage index";
        pass: u32, Count, Room, "pass", "1, or more for further passes through the stage";
        input: usize, Count, All, "#", "number of the input";
        start_ns: i64, Ns, All, "start", "start of generation, since the first recorded window began";
        start_unix_ns: i64, Count, Request, "start (Unix)", "the same as Unix time";
        error_ns: i64, Ns, All, "±", "how far the span may be off, in both directions";
        generation_ns: i64, Ns, All, "generation", "generation time by the log";
        in_window_ns: i64, Ns, All, "in window", "of it, inside the recorded window";
        outside_ns: i64, Ns, Room, "outside", "of it, not recorded";
        in_window_is_sure: bool, Text, Room, "sure", "whether any place that the error allows gives the same part";
        kernel_busy_ns: Option<i64>, Ns, All, "kernel busy", "in the window: a kernel ran (union over devices)";
        wait_no_kernel_ns: i64, Ns, All, "waited, no kernel", "in the window: a work thread waited for another process and no kernel ran";
        host_ns: i64, Ns, All, "host only", "in the window: a work thread was busy, none waited and no kernel ran";
        rest_ns: i64, Ns, All, "rest", "in the window: none of these";
        ipc_wait_ns: Option<i64>, Ns, Room, "IPC wait", "IPC wait in the window, kernels or not";
        matched_by: MatchedBy, Text, Request, "matched by", "what tells that the input is the stage's";
        placed_by: SpanSource, Text, Room, "end by", "what tells when it ended: orchestrator, record, request_end or unix_time";
        log: usize, Count, Request, "log", "number of the log";
        line: u64, Count, Request, "line", "line that tells the end";
    }

    /// What the traces of an edge's two stages saw while these generated.
    TracedSideRow: "traced_transfers", "What the traces saw while these stages generated", "What did the traces see of the transfers between stages?", groups 3, on Copies 5 {
        run: usize, Count, All, "run", "number of the run";
        from_stage: u32, Count, All, "from", "sending stage";
        to_stage: u32, Count, All, "to", "receiving stage";
        side: Side, Text, All, "side", "sender or receiver";
        inputs: Vec<String>, Text, All, "#", "numbers of its inputs";
        generation_ns: Option<i64>, Ns, All, "recorded", "recorded time in which the stage generated, over its inputs";
        direction: &'static str, Text, All, "copies", "direction of the copies that are counted";
        copies: Option<u64>, Count, All, "count", "copies of that direction while it generated, by the traces";
        copies_without_bytes: Option<u64>, Count, Room, "no size", "of them, how many state no size";
        copy_bytes: Option<u64>, Bytes, All, "bytes", "bytes of the others";
        copy_ns: Option<i64>, Ns, All, "time", "sum of the copies' durations";
        copy_gb_per_s: Option<f64>, Rate, All, "GB/s", "bytes over the time of the copies that state them, gigabytes of 10^9 a second";
        handoffs: Option<u64>, Count, All, "hand-offs", "annotations of a hand-off while it generated";
        handoff_ns: Option<i64>, Ns, All, "hand-off time", "sum of their durations";
    }
}
