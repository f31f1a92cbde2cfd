//! What the allocators of each device held at most, and which allocations failed, by the `[memory]` events of a profile
//! that was asked to record memory.
//!
//! Every event states the totals of its device after it, so that the peak is the largest total of an event. What was
//! held before the first event and changed without one nobody saw.

use std::collections::BTreeMap;

use super::window::Windows;
use crate::store::{MemoryRow, Store};

/// Where memory lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MemoryPlace {
    /// In the host.
    Host,
    /// In a device.
    Device,
    /// The event names no device type that is known.
    Unknown,
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

    /// The name in tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Device => "device",
            Self::Unknown => "unknown",
        }
    }
}

/// The memory of one device or of the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryUse {
    /// Where it lies.
    pub place: MemoryPlace,
    /// Device index; `None` for the host.
    pub device: Option<u32>,
    /// Most that was allocated after an event; `None` where no event states it.
    pub allocated_peak_bytes: Option<u64>,
    /// Most that the allocator had reserved after an event; `None` where no event states it.
    pub reserved_peak_bytes: Option<u64>,
    /// When the peak of what was allocated was first reached, after the start of the window.
    pub peak_at_ns: Option<i64>,
    /// Allocations that failed.
    pub out_of_memory: u64,
    /// Allocations and releases.
    pub n_events: u64,
}

impl MemoryUse {
    fn none(place: MemoryPlace, device: Option<u32>) -> Self {
        Self {
            place,
            device,
            allocated_peak_bytes: None,
            reserved_peak_bytes: None,
            peak_at_ns: None,
            out_of_memory: 0,
            n_events: 0,
        }
    }

    fn add(&mut self, row: &MemoryRow, at_ns: i64) {
        self.n_events += 1;
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
pub fn memory(store: &Store, windows: &Windows) -> Vec<MemoryUse> {
    let mut found: BTreeMap<(MemoryPlace, Option<u32>), MemoryUse> = BTreeMap::new();
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
        let held = found.entry((place, device)).or_insert_with(|| MemoryUse::none(place, device));
        if is_failure {
            held.out_of_memory += 1;
        } else {
            held.add(row, instant.ts_ns.saturating_sub(windows.file.start_ns));
        }
    }
    found.into_values().collect()
}
