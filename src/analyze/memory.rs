//! What the allocators of each device held at most, and which allocations failed, by the `[memory]` events of a profile
//! that was asked to record memory, or by a snapshot of torch's allocator.
//!
//! Every event states the totals of its device after it, so that the peak is the largest total of an event. What was
//! held before the first event and changed without one nobody saw. Of a snapshot the totals are made ([`super::memory_history`]).

use std::collections::BTreeMap;

use super::base::TimeBase;
use super::memory_events::{DeviceMemory, Event, MemoryEvents, MemorySource};
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
        begin_bytes: Option<u64>, Bytes, All, "at begin", "allocated before the first allocation or release";
        end_bytes: Option<u64>, Bytes, All, "at end", "allocated after the last one";
        segment_allocs: Option<u64>, Count, All, "segments taken", "how often the allocator took memory of the device (cudaMalloc); of a snapshot alone, like the three that follow";
        segment_frees: Option<u64>, Count, All, "segments given back", "how often it gave some back (cudaFree)";
        retries: Option<u64>, Count, All, "retries", "how often it gave memory back to make room for an allocation, and nobody had asked for that";
        split_bytes: Option<u64>, Bytes, All, "split", "not allocated at the peak, in segments of which something is: reserved, and not to be given back; none where segments grow";
        failed_bytes: Option<u64>, Bytes, All, "failed", "the largest allocation that failed";
        source: MemorySource, Text, All, "source", "memory events of the trace, or a snapshot of torch's allocator";
    }
}

impl MemoryRow {
    /// Of a place of which nothing is known.
    pub(crate) fn none(input: usize, place: MemoryPlace, device: Option<u32>) -> Self {
        Self {
            input,
            place,
            device,
            allocated_peak_bytes: None,
            reserved_peak_bytes: None,
            peak_at_ns: None,
            out_of_memory: 0,
            events: 0,
            begin_bytes: None,
            end_bytes: None,
            segment_allocs: None,
            segment_frees: None,
            retries: None,
            split_bytes: None,
            failed_bytes: None,
            source: MemorySource::Trace,
        }
    }

    fn add(&mut self, row: &store::MemoryRow, at_ns: i64) {
        if self.events == 0 {
            self.begin_bytes = row.total_allocated.and_then(|total| before(total, row.bytes));
        }
        self.end_bytes = row.total_allocated.or(self.end_bytes);
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

    /// What a snapshot tells of a device.
    fn of_snapshot(memory: &DeviceMemory, base: &TimeBase) -> Option<Self> {
        let told = memory.told.as_ref()?;
        let events = &memory.events;
        let size = |bytes: Option<i64>| bytes.and_then(|bytes| u64::try_from(bytes).ok());
        let most = |one: fn(&Event) -> Option<i64>| events.iter().filter_map(one).max();
        let peak = most(|event| event.total);
        let at_peak = events.iter().find(|event| peak.is_some() && event.total == peak);
        let start_ns = base.windows.file.start_ns;
        let first = events.first().and_then(|event| event.total?.checked_sub(event.bytes));
        Some(Self {
            allocated_peak_bytes: size(peak),
            reserved_peak_bytes: size(most(|event| event.reserved)),
            peak_at_ns: at_peak.map(|event| event.at_ns.saturating_sub(start_ns)),
            out_of_memory: told.out_of_memory,
            events: events.iter().filter(|event| event.bytes != 0).count() as u64,
            begin_bytes: size(first),
            end_bytes: size(events.last().and_then(|event| event.total)),
            segment_allocs: Some(told.segment_allocs),
            segment_frees: Some(told.segment_frees),
            retries: Some(told.retries),
            split_bytes: size(told.split_bytes),
            failed_bytes: told.failed_bytes,
            source: MemorySource::Snapshot,
            ..Self::none(base.input, MemoryPlace::Device, memory.device)
        })
    }
}

/// What was allocated before an event after which it was so much.
fn before(total: u64, bytes: i64) -> Option<u64> {
    u64::try_from(i64::try_from(total).ok()?.checked_sub(bytes)?).ok()
}

/// The memory of every place with an event, the host first; of a part of the window only the events in it. What a snapshot
/// tells of a device comes behind.
pub fn memory(events: &MemoryEvents, store: &Store, base: &TimeBase) -> Vec<MemoryRow> {
    let mut rows = memory_of_trace(store, base);
    rows.extend(events.devices.iter().filter_map(|one| MemoryRow::of_snapshot(one, base)));
    rows
}

/// What the events of a trace tell alone.
pub(super) fn memory_of_trace(store: &Store, base: &TimeBase) -> Vec<MemoryRow> {
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
            let bytes = u64::try_from(row.bytes).ok().filter(|&bytes| bytes > 0);
            held.failed_bytes = held.failed_bytes.max(bytes);
        } else {
            held.add(row, instant.ts_ns.saturating_sub(windows.file.start_ns));
        }
    }
    found.into_values().collect()
}
