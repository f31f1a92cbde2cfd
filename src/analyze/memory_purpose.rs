//! What memory is for at its peak, by the functions around its allocations.

use std::collections::BTreeMap;

use super::base::TimeBase;
use super::memory_events::{MemoryEvents, MemorySource};
use super::memory_live::at_peak;
use super::memory_owner::{NOBODY, Purpose};
use super::percent;
use crate::schema::tables;

tables! {
    /// The memory of one device that is for one thing, when its allocator holds the most.
    MemoryPurposeRow: "memory_purposes", "What memory is for", "What is memory for when the most is allocated: weights, the cache of keys and values, …?", groups 2, on Use 9, shown Request, carried whole {
        input: usize, Count, All, "#", "number of the input";
        device: Option<u32>, Count, All, "device", "device index";
        purpose: Purpose, Text, All / Subject, "for", "what it is for, by the functions around the allocation; unknown where no name tells, and for what was allocated before the first event by nobody that is known";
        bytes: u64, Bytes, All, "bytes", "bytes that are alive at the peak; the rows of a device and a source sum to its peak";
        peak_pct: Option<f64>, Percent, All, "of peak", "of the peak";
        source: MemorySource, Text, All, "source", "memory events of the trace, or a snapshot of torch's allocator";
    }
}

/// What the memory of every device is for at its peak.
pub fn memory_purposes(events: &MemoryEvents, base: &TimeBase) -> Vec<MemoryPurposeRow> {
    let mut rows = Vec::new();
    for memory in &events.devices {
        let Some((peak, alive)) = at_peak(memory) else { continue };
        let seen_bytes = alive.values().fold(0_i64, |sum, one| sum.saturating_add(one.0));
        let earlier = (NOBODY, peak.saturating_sub(seen_bytes));
        let parts = alive.into_iter().map(|(owner, (bytes, _))| (owner, bytes));
        let mut sums: BTreeMap<Purpose, i64> = BTreeMap::new();
        for (owner, bytes) in parts.chain([earlier]) {
            let sum = sums.entry(events.owners.get(owner).purpose).or_default();
            *sum = sum.saturating_add(bytes);
        }
        let told = sums.into_iter().filter_map(|(purpose, bytes)| {
            Some((purpose, u64::try_from(bytes).ok().filter(|&bytes| bytes > 0)?))
        });
        rows.extend(told.map(|(purpose, bytes)| MemoryPurposeRow {
            input: base.input,
            device: memory.device,
            purpose,
            bytes,
            peak_pct: percent(bytes as i64, peak),
            source: memory.source,
        }));
    }
    rows
}
