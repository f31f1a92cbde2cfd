//! What the allocators held at most.

use super::bandwidth::OfInput;
use super::rows::rows;
use crate::analyze::memory::MemoryUse;
use crate::schema::Source;

rows! {
    /// The memory of one device of one input.
    MemoryRow of OfInput<MemoryUse> as of: "memory", "Memory", "How much memory did the allocators hold at most?", groups 1 {
        input: usize, Count, All, "#", "number of the input", of.input;
        device: Option<u32>, Count, All, "device", "device index; none for the host", of.row.device;
        allocated_peak_bytes: Option<u64>, Bytes, All, "allocated", "most that was allocated after an allocation or release", of.row.allocated_peak_bytes;
        reserved_peak_bytes: Option<u64>, Bytes, All, "reserved", "most that the allocator had reserved", of.row.reserved_peak_bytes;
        peak_at_ns: Option<i64>, Ns, All, "peak at", "when the most was first allocated, after the start of the window", of.row.peak_at_ns;
        out_of_memory: u64, Count, All, "out of memory", "allocations that failed", of.row.out_of_memory;
        place: &'static str, Text, All, "memory", "host or device; unknown where the event names no known type", of.row.place.as_str();
        events: u64, Count, All, "events", "allocations and releases", of.row.n_events;
    }
}

impl MemoryRow {
    /// The row of an input's device.
    pub fn of(input: usize, row: MemoryUse) -> Self {
        Self::from(&OfInput { input, row })
    }
}

/// The memory of all inputs.
pub(super) fn memory(rows: &[MemoryRow]) -> Source<'_> {
    Source::of(rows).with(|table| match table.n_rows {
        0 => table.with_note(NOT_RECORDED),
        _ => table,
    })
}

const NOT_RECORDED: &str =
    "no [memory] event was recorded; torch.profiler writes them with profile_memory=True";
