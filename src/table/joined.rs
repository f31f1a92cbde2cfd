//! Logs beside traces: where each log stands in Unix time, each stage and each request against what its traces did,
//! and transfers between stages beside the traces' copies.

use serde::Serialize;

use super::rows::{AsCell as _, rows};
use super::stages::TransferRow;
use super::{Cell, Column, Table, TableRow, Unit};
use crate::analyze::joined::{
    Charge, EdgeSide, Joined, LogClock, RequestShare, StageShare, TracedEdge,
};

/// A log's clock with the log's path.
pub struct NamedClock<'a> {
    clock: &'a LogClock,
    path: String,
}

/// What `part` says of a charge that may be missing.
fn of(charge: Option<&Charge>, part: fn(&Charge) -> i64) -> Option<i64> {
    charge.map(part)
}

fn side<T>(side: Option<&EdgeSide>, part: impl Fn(&EdgeSide) -> T) -> Option<T> {
    side.map(part)
}

/// `#0, #2`.
fn inputs_of(side: Option<&EdgeSide>) -> Vec<String> {
    side.map_or_else(Vec::new, |side| side.inputs.iter().map(|n| format!("#{n}")).collect())
}

rows! {
    /// Where one log stands in Unix time.
    LogClockRow of NamedClock<'_> as one, groups 0 {
        log: usize, Count, "log", "number of the log", one.clock.log;
        spans: u64, Count, "spans", "stages' work for requests that it tells the end of", one.clock.n_spans;
        placed_by: &'static str, Text, "placed by", "unix_time, given, profiler, overlap, or none: not placed", one.clock.source.as_str();
        zone: Option<String>, Text, "zone", "zone of its wall clock", one.clock.offset.map(|offset| offset.zone());
        zone_ns: Option<i64>, Ns, "ahead of UTC", "what its wall clock is ahead of UTC", one.clock.offset.map(|offset| offset.zone_ns);
        year: Option<i32>, Text, "year", "year of its first line, where the log does not tell it", one.clock.offset.and_then(|offset| offset.year);
        error_ns: Option<i64>, Ns, "±", "how far a span may be off: half of what the lines' times leave off", one.clock.error_ns;
        evidence: String, Text, "why", "what was seen, or why it is not placed", one.clock.evidence.clone();
        path: String, Text, "path", "path as given or found", one.path.clone();
    }

    /// One stage of one run against one of its inputs.
    JoinedStageRow of StageShare as row, groups 2 {
        run: usize, Count, "run", "number of the run", row.run;
        stage: Option<u32>, Count, "stage", "stage index", row.stage;
        input: Option<usize>, Count, "#", "number of the input; none where no input is the stage's", row.input;
        matched_by: Option<&'static str>, Text, "matched by", "stage, process, file or only_stage: what tells that the input is the stage's", row.by.map(|by| by.as_str());
        spans: u64, Count, "requests", "requests that it generated for, by the log", row.n_spans;
        spans_in_window: u64, Count, "recorded", "of them, at least partly inside the recorded window", row.n_in_window;
        generation_ns: i64, Ns, "generation", "sum of the generation times that the log gives", row.generation_ns;
        window_ns: Option<i64>, Ns, "window", "the recorded window", row.window_ns;
        in_window_ns: Option<i64>, Ns, "in window", "generation inside the window, requests at the same time counted once", of(row.inside.as_ref(), |c| c.in_window_ns);
        kernel_busy_ns: Option<i64>, Ns, "kernel busy", "of it, a kernel ran (union over devices)", row.inside.as_ref().and_then(|c| c.kernel_busy_ns);
        wait_no_kernel_ns: Option<i64>, Ns, "waited, no kernel", "of it, a work thread waited for another process and no kernel ran", of(row.inside.as_ref(), |c| c.wait_no_kernel_ns);
        host_ns: Option<i64>, Ns, "host only", "of it, a work thread was busy, none waited and no kernel ran", of(row.inside.as_ref(), |c| c.host_ns);
        rest_ns: Option<i64>, Ns, "rest", "of it, none of these: copies, synchronizing, other waits, unexplained", of(row.inside.as_ref(), |c| c.rest_ns);
        ipc_wait_ns: Option<i64>, Ns, "IPC wait", "IPC wait in it, kernels or not", row.inside.as_ref().and_then(|c| c.ipc_wait_ns);
        outside_kernel_busy_ns: Option<i64>, Ns, "kernels else", "kernel busy in the window while no request was generated for", row.outside.as_ref().and_then(|c| c.kernel_busy_ns);
        outside_ipc_wait_ns: Option<i64>, Ns, "IPC wait else", "IPC wait in the window while no request was generated for", row.outside.as_ref().and_then(|c| c.ipc_wait_ns);
    }

    /// One stage's work for one request against one input.
    JoinedRequestRow of RequestShare as row, groups 2 {
        run: usize, Count, "run", "number of the run", row.span.run;
        request: String, Text, "request", "request id; empty where the log counts calls only", row.span.request.clone();
        stage: Option<u32>, Count, "stage", "stage index", row.span.stage;
        pass: u32, Count, "pass", "1, or more for further passes through the stage", row.span.instance;
        input: usize, Count, "#", "number of the input", row.input;
        start_ns: i64, Ns, "start", "start of generation, since the first recorded window began", row.start_ns;
        start_unix_ns: i64, Count, "start (Unix)", "the same as Unix time", row.start_unix_ns;
        error_ns: i64, Ns, "±", "how far the span may be off, in both directions", row.error_ns;
        generation_ns: i64, Ns, "generation", "generation time by the log", row.dur_ns;
        in_window_ns: i64, Ns, "in window", "of it, inside the recorded window", row.charge.in_window_ns;
        outside_ns: i64, Ns, "outside", "of it, not recorded", row.outside_ns;
        in_window_is_sure: bool, Text, "sure", "whether any place that the error allows gives the same part", row.is_sure;
        kernel_busy_ns: Option<i64>, Ns, "kernel busy", "in the window: a kernel ran (union over devices)", row.charge.kernel_busy_ns;
        wait_no_kernel_ns: i64, Ns, "waited, no kernel", "in the window: a work thread waited for another process and no kernel ran", row.charge.wait_no_kernel_ns;
        host_ns: i64, Ns, "host only", "in the window: a work thread was busy, none waited and no kernel ran", row.charge.host_ns;
        rest_ns: i64, Ns, "rest", "in the window: none of these", row.charge.rest_ns;
        ipc_wait_ns: Option<i64>, Ns, "IPC wait", "IPC wait in the window, kernels or not", row.charge.ipc_wait_ns;
        matched_by: &'static str, Text, "matched by", "what tells that the input is the stage's", row.by.as_str();
        placed_by: &'static str, Text, "end by", "what tells when it ended: orchestrator, record, request_end or unix_time", row.span.source.as_str();
        log: usize, Count, "log", "number of the log", row.span.log;
        line: u64, Count, "line", "line that tells the end", row.span.line;
    }

    /// What the traces of an edge's two stages saw while these generated.
    TracedSideRow of TracedSide<'_> as one, groups 3 {
        run: usize, Count, "run", "number of the run", one.edge.edge.run;
        from_stage: u32, Count, "from", "sending stage", one.edge.edge.from;
        to_stage: u32, Count, "to", "receiving stage", one.edge.edge.to;
        side: &'static str, Text, "side", "sender or receiver", one.name;
        inputs: Vec<String>, Text, "#", "numbers of its inputs", inputs_of(one.seen);
        generation_ns: Option<i64>, Ns, "recorded", "recorded time in which the stage generated, over its inputs", side(one.seen, |s| s.generation_ns);
        direction: &'static str, Text, "copies", "direction of the copies that are counted", one.direction;
        copies: Option<u64>, Count, "count", "copies of that direction while it generated, by the traces", side(one.seen, |s| s.n_copies);
        copies_without_bytes: Option<u64>, Count, "no size", "of them, how many state no size", side(one.seen, |s| s.n_without_bytes);
        copy_bytes: Option<u64>, Bytes, "bytes", "bytes of the others", one.seen.and_then(|s| s.bytes);
        copy_ns: Option<i64>, Ns, "time", "sum of the copies' durations", side(one.seen, |s| s.sum_ns);
        copy_gb_per_s: Option<f64>, Rate, "GB/s", "bytes over the time of the copies that state them, gigabytes of 10^9 a second", one.seen.and_then(EdgeSide::gb_per_s);
        handoffs: Option<u64>, Count, "hand-offs", "annotations of a hand-off while it generated", side(one.seen, |s| s.n_handoffs);
        handoff_ns: Option<i64>, Ns, "hand-off time", "sum of their durations", side(one.seen, |s| s.handoff_ns);
    }
}

/// One side of an edge.
pub struct TracedSide<'a> {
    edge: &'a TracedEdge,
    name: &'static str,
    direction: &'static str,
    seen: Option<&'a EdgeSide>,
}

/// Logs and traces of one run, as the machine output gives them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct JoinedRows {
    /// Where each log stands in Unix time.
    pub log_clocks: Vec<LogClockRow>,
    /// Each stage against its inputs.
    pub joined_stages: Vec<JoinedStageRow>,
    /// Each request in each stage against its inputs.
    pub joined_requests: Vec<JoinedRequestRow>,
    /// Transfers between stages.
    pub stage_transfers: Vec<TransferRow>,
    /// What the traces saw of them.
    pub traced_transfers: Vec<TracedSideRow>,
}

impl JoinedRows {
    /// The rows; `paths` are those of the logs.
    pub fn of(joined: &Joined, paths: &[String]) -> Self {
        let named = |clock| NamedClock { clock, path: path_of(clock, paths) };
        let sides = joined.edges.iter().flat_map(|edge| {
            let (sender, receiver) = (edge.sender.as_ref(), edge.receiver.as_ref());
            [("sender", "DtoH", sender), ("receiver", "HtoD", receiver)]
                .map(|(name, direction, seen)| TracedSide { edge, name, direction, seen })
        });
        Self {
            log_clocks: joined.clocks.iter().map(|c| LogClockRow::from(&named(c))).collect(),
            joined_stages: joined.stages.iter().map(JoinedStageRow::from).collect(),
            joined_requests: joined.requests.iter().map(JoinedRequestRow::from).collect(),
            stage_transfers: joined
                .edges
                .iter()
                .map(|edge| TransferRow::from(&edge.edge))
                .collect(),
            traced_transfers: sides.map(|side| TracedSideRow::from(&side)).collect(),
        }
    }
}

fn path_of(clock: &LogClock, paths: &[String]) -> String {
    paths.get(clock.log).cloned().unwrap_or_default()
}

/// How logs came on the traces' time line.
pub fn log_clock_table(rows: &[LogClockRow]) -> Table {
    Table::of("log_clocks", "Logs on the time line", rows)
}

/// Each stage's generation time against what its inputs did.
pub fn joined_stage_table(rows: &[JoinedStageRow]) -> Table {
    let table = Table::of("joined_stages", "Generation of each stage against its traces", rows);
    let is_missing = |row: &&JoinedStageRow| row.input.is_none();
    let missing: Vec<String> =
        rows.iter().filter(is_missing).filter_map(|row| row.stage).map(|s| s.to_string()).collect();
    let table = if missing.is_empty() {
        table
    } else {
        table.with_note(format!("no input is of stage {}", missing.join(", ")))
    };
    let is_late = |row: &JoinedStageRow| {
        row.spans_in_window > 0 && row.outside_kernel_busy_ns.is_some_and(|ns| ns > 0)
    };
    let has_late = rows.iter().any(is_late);
    let table = if rows.is_empty() { table } else { table.with_note(PARTS) };
    if has_late { table.with_note(LATE) } else { table }
}

/// What kernels outside of every span mean.
const LATE: &str = "kernels else: in the window while no request was generated for by the log; a line comes after what it \
                    tells of, so that the work may have been earlier";

const PARTS: &str = "in window = kernel busy + waited, no kernel + host only + rest; requests at the same time are counted once";

/// Each request's generation in each stage against what its inputs did.
pub fn joined_request_table(rows: &[JoinedRequestRow]) -> Table {
    Table::of("joined_requests", "Requests by stage against the traces", rows)
}

/// The same for people: what lies outside of the recorded windows is counted only.
pub fn joined_request_summary(rows: &[JoinedRequestRow]) -> Table {
    let recorded = || rows.iter().filter(|row| row.in_window_ns > 0);
    let table = Table::of("joined_requests", "Requests by stage against the traces", recorded());
    let mut table = without(table, &["start_unix_ns", "log", "line", "matched_by"]);
    let n_outside = rows.len() - recorded().count();
    if n_outside > 0 && n_outside == rows.len() {
        table = table.with_note(format!("none of {n_outside} lies inside of a recorded window"));
    } else if n_outside > 0 {
        table = table.with_note(format!("{n_outside} more lie outside of the recorded windows"));
    }
    let n_unsure = recorded().filter(|row| !row.in_window_is_sure).count();
    if n_unsure > 0 {
        table = table.with_note(format!(
            "{n_unsure} may lie further in or out of the window: the log's times are not exact enough"
        ));
    }
    table
}

/// Where logs stand, for people.
pub fn log_clock_summary(rows: &[LogClockRow]) -> Table {
    without(log_clock_table(rows), &["zone_ns"])
}

/// Transfers between stages, by the logs.
pub fn stage_transfer_table(rows: &[TransferRow]) -> Table {
    let table = Table::of("stage_transfers", "Transfers between stages, by the logs", rows);
    if rows.is_empty() { table } else { table.with_note(super::stages::MBIT_NOTE) }
}

/// What the traces saw while stages handed over.
pub fn traced_transfer_table(rows: &[TracedSideRow]) -> Table {
    let table =
        Table::of("traced_transfers", "What the traces saw while these stages generated", rows);
    if rows.is_empty() { table } else { table.with_note(TRACED) }
}

const TRACED: &str = "all copies of the direction while the stage generated, not only those of the transfer; GB/s are gigabytes of 10^9 a second";

/// A table for people, without the columns that only machines use.
fn without(mut table: Table, keys: &[&str]) -> Table {
    let kept: Vec<bool> = table.columns.iter().map(|column| !keys.contains(&column.key)).collect();
    table.keep_columns_where(&kept);
    table
}
