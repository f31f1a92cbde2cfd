//! What the allocators held at most.

use serde::Serialize;

use super::bandwidth::OfInput;
use super::rows::{AsCell as _, rows};
use super::{Cell, Column, Table, TableRow, Unit};
use crate::analyze::memory::MemoryUse;

rows! {
    /// The memory of one device of one input.
    MemoryRow of OfInput<MemoryUse> as of, groups 1 {
        input: usize, Count, "#", "number of the input", of.input;
        device: Option<u32>, Count, "device", "device index; none for the host", of.row.device;
        allocated_peak_bytes: Option<u64>, Bytes, "allocated", "most that was allocated after an allocation or release", of.row.allocated_peak_bytes;
        reserved_peak_bytes: Option<u64>, Bytes, "reserved", "most that the allocator had reserved", of.row.reserved_peak_bytes;
        peak_at_ns: Option<i64>, Ns, "peak at", "when the most was first allocated, after the start of the window", of.row.peak_at_ns;
        out_of_memory: u64, Count, "out of memory", "allocations that failed", of.row.out_of_memory;
        place: &'static str, Text, "memory", "host or device; unknown where the event names no known type", of.row.place.as_str();
        events: u64, Count, "events", "allocations and releases", of.row.n_events;
    }
}

impl MemoryRow {
    /// The row of an input's device.
    pub fn of(input: usize, row: MemoryUse) -> Self {
        Self::from(&OfInput { input, row })
    }
}

/// The memory of all inputs.
pub(super) fn memory_table(rows: &[MemoryRow]) -> Table {
    let table = Table::of("memory", "Memory", rows);
    if rows.is_empty() { table.with_note(NOT_RECORDED) } else { table }
}

const NOT_RECORDED: &str =
    "no [memory] event was recorded; torch.profiler writes them with profile_memory=True";
