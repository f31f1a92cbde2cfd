//! What the allocators of each device held at most, and which allocations failed, by the `[memory]` events of a profile
//! that was asked to record memory.
//!
//! Every event states the totals of its device after it, so that the peak is the largest total of an event. What was
//! held before the first event and changed without one nobody saw.

use std::collections::BTreeMap;

use super::base::TimeBase;
use crate::schema::{tables, words};
use crate::store::{self, Store};

words! {
    /// Where memory lies.
    MemoryPlace {
        /// In the host.
        Host "host",
        /// In a device.
        Device "device",
        /// The event names no device type that is known.
        Unknown "unknown",
    }
}

impl MemoryPlace {
    /// The place of a device type as c10 numbers it.
    pub(super) fn of(device_type: Option<i64>) -> Self {
        match device_type {
            Some(0 | 2 | 5) => Self::Host,
            Some(1 | 6 | 12 | 20) => Self::Device,
            _ => Self::Unknown,
        }
    }
}

tables! {
    /// The memory of one device of one input, or of the host.
    MemoryRow: "memory", "Memory", "How much memory did the allocators hold at most?", groups 1, on Kernels 3, carried whole {
        input: usize, Count, All, "#", "number of the input";
        device: Option<u32>, Count, All, "device", "device index; none for the host";
        allocated_peak_bytes: Option<u64>, Bytes, All, "allocated", "most that was allocated after an allocation or release";
        reserved_peak_bytes: Option<u64>, Bytes, All, "reserved", "most that the allocator had reserved";
        peak_at_ns: Option<i64>, Ns, All, "peak at", "when the most was first allocated, after the start of the window";
        out_of_memory: u64, Count, All, "out of memory", "allocations that failed";
        place: MemoryPlace, Text, All, "memory", "host or device; unknown where the event names no known type";
        events: u64, Count, All, "events", "allocations and releases";
    }
}

impl MemoryRow {
    fn none(input: usize, place: MemoryPlace, device: Option<u32>) -> Self {
        Self {
            input,
            place,
            device,
            allocated_peak_bytes: None,
            reserved_peak_bytes: None,
            peak_at_ns: None,
            out_of_memory: 0,
            events: 0,
        }
    }

    fn add(&mut self, row: &store::MemoryRow, at_ns: i64) {
        self.events += 1;
        self.reserved_peak_bytes = self.reserved_peak_bytes.max(row.total_reserved);
        let is_higher = row.total_allocated > self.allocated_peak_bytes;
        let is_earlier = row.total_allocated.is_some()
            && row.total_allocated == self.allocated_peak_bytes
            && self.peak_at_ns.is_some_and(|peak_ns| at_ns < peak_ns);
        if is_higher || is_earlier {
            self.allocated_peak_bytes = row.total_allocated;
            self.peak_at_ns = Some(at_ns);
        }
    }
}

/// The memory of every place with an event, the host first; of a part of the window only the events in it.
pub fn memory(store: &Store, base: &TimeBase) -> Vec<MemoryRow> {
    let windows = &base.windows;
    let mut found: BTreeMap<(MemoryPlace, Option<u32>), MemoryRow> = BTreeMap::new();
    let (event, failure) = (store.strings.find("[memory]"), store.strings.find("[OutOfMemory]"));
    for row in &store.memory {
        let instant = &store.instants[row.instant as usize];
        let is_outside =
            instant.ts_ns < windows.file.start_ns || instant.ts_ns > windows.file.end_ns;
        if windows.is_clipped && is_outside {
            continue;
        }
        let (is_event, is_failure) = (Some(instant.name) == event, Some(instant.name) == failure);
        if !is_event && !is_failure {
            continue;
        }
        let place = MemoryPlace::of(row.device_type);
        let device = row.device.and_then(|device| u32::try_from(device).ok());
        let device = device.filter(|_| place != MemoryPlace::Host);
        let held = found
            .entry((place, device))
            .or_insert_with(|| MemoryRow::none(base.input, place, device));
        if is_failure {
            held.out_of_memory += 1;
        } else {
            held.add(row, instant.ts_ns.saturating_sub(windows.file.start_ns));
        }
    }
    found.into_values().collect()
}
