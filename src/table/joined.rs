//! Logs beside traces for people: sentences under the tables, and what lies outside of the recorded windows counted only.

use super::Table;
use crate::analyze::joined::{JoinedRequestRow, JoinedStageRow, LogClockRow, TracedSideRow};
use crate::analyze::stages::TransferRow;
use crate::schema::{self, Source};

/// How logs came on the traces' time line.
pub(super) fn log_clocks(rows: &[LogClockRow]) -> Source<'_> {
    Source::of(rows)
}

/// Each stage's generation time against what its inputs did.
pub(super) fn joined_stages(rows: &[JoinedStageRow]) -> Source<'_> {
    Source::of(rows).with(|table| with_notes(table, rows))
}

fn with_notes(table: schema::Table, rows: &[JoinedStageRow]) -> schema::Table {
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
const LATE: &str = "kernels else: in the window while no request was generated for by the log; spans may lie earlier or later by ±";

const PARTS: &str = "in window = kernel busy + waited, no kernel + host only + rest; requests at the same time are counted once";

/// Each request's generation in each stage against what its inputs did.
pub(super) fn joined_requests(rows: &[JoinedRequestRow]) -> Source<'_> {
    Source::of(rows)
}

/// The same for people: what lies outside of the recorded windows is counted only.
pub fn joined_request_summary(rows: &[JoinedRequestRow]) -> Table {
    let recorded = || rows.iter().filter(|row| row.in_window_ns > 0);
    let mut table = Table::of(recorded());
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

/// Transfers between stages, by the logs.
pub(super) fn stage_transfers(rows: &[TransferRow]) -> Source<'_> {
    let named = Source::of(rows).named("stage_transfers", "Transfers between stages, by the logs");
    named.with(
        |table| if rows.is_empty() { table } else { table.with_note(super::stages::MBIT_NOTE) },
    )
}

/// What the traces saw while stages handed over.
pub(super) fn traced_transfers(rows: &[TracedSideRow]) -> Source<'_> {
    Source::of(rows).with(|table| if rows.is_empty() { table } else { table.with_note(TRACED) })
}

const TRACED: &str = "all copies of the direction while the stage generated, not only those of the transfer; GB/s are gigabytes of 10^9 a second";
