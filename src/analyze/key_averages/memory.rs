//! Memory columns: what was allocated and released between start and end of an event.
//!
//! Torch's rule (`MemRecordsAcc.in_interval`) takes every memory record of any thread from the event's start to its
//! end, both included; records that lie in no host event are rows of their own. Nothing here knows nesting.

use super::super::memory::MemoryPlace;
use super::rows::{Class, First, Names, Sums};
use crate::store::{MemoryRow, Store};

/// Allocations of host and device memory, summed up to each record.
pub(super) struct MemoryIndex {
    ts_ns: Vec<i64>,
    /// (host, device) bytes of all records before each one; one longer than `ts_ns`.
    before: Vec<[i64; 2]>,
    /// `[OutOfMemory]` records.
    out_of_memory: Vec<(i64, [i64; 2])>,
    /// Whether the profile was asked to record memory.
    is_asked: bool,
}

impl MemoryIndex {
    pub(super) fn new(store: &Store, names: &Names) -> Self {
        let mut index = Self {
            ts_ns: Vec::new(),
            before: vec![[0, 0]],
            out_of_memory: Vec::new(),
            is_asked: store.meta.entry("profile_memory") == Some("1"),
        };
        for row in &store.memory {
            let instant = &store.instants[row.instant as usize];
            let bytes = host_and_device(row);
            if Some(instant.name) == names.memory {
                let last = index.before[index.ts_ns.len()];
                index.ts_ns.push(instant.ts_ns);
                index.before.push([last[0] + bytes[0], last[1] + bytes[1]]);
            } else if Some(instant.name) == names.out_of_memory {
                index.out_of_memory.push((instant.ts_ns, bytes));
            }
        }
        index
    }

    pub(super) fn is_recorded(&self) -> bool {
        self.is_asked || !self.ts_ns.is_empty() || !self.out_of_memory.is_empty()
    }

    /// Number of memory records.
    pub(super) fn len(&self) -> usize {
        self.ts_ns.len()
    }

    /// (host, device) bytes from `start_ns` to `end_ns`; notes the records as lying in an event.
    pub(super) fn inside(&self, start_ns: i64, end_ns: i64, seen: &mut [i32]) -> [i64; 2] {
        if self.ts_ns.is_empty() {
            return [0, 0];
        }
        let first = self.ts_ns.partition_point(|&ts| ts < start_ns);
        let end = self.ts_ns.partition_point(|&ts| ts <= end_ns).max(first);
        seen[first] += 1;
        seen[end] -= 1;
        [0, 1].map(|kind| self.before[end][kind] - self.before[first][kind])
    }

    /// Adds the rows of the records that lie in no host event, and of those of failed allocations.
    pub(super) fn add_top_level(&self, sums: &mut Sums, names: &Names) {
        let mut depth = 0;
        for record in 0..self.ts_ns.len() {
            depth += sums.memory_seen[record];
            if depth == 0
                && let Some(name) = names.memory
            {
                let bytes = [0, 1].map(|k| self.before[record + 1][k] - self.before[record][k]);
                sums.add_memory(name, bytes, First::at_instant(self.ts_ns[record]));
            }
        }
        for &(ts_ns, bytes) in &self.out_of_memory {
            if let Some(name) = names.out_of_memory {
                sums.add_memory(name, bytes, First::at_instant(ts_ns));
            }
        }
    }
}

impl Sums {
    fn add_memory(&mut self, name: crate::store::StrId, bytes: [i64; 2], first: First) {
        let row = self.counted_as((name, Class::Cpu), first);
        for (kind, bytes) in bytes.into_iter().enumerate() {
            row.memory[kind] += bytes;
            row.self_memory[kind] += bytes;
        }
    }
}

/// The bytes of a record as host and as device memory, by c10's number of the device type.
fn host_and_device(row: &MemoryRow) -> [i64; 2] {
    match MemoryPlace::of(row.device_type) {
        MemoryPlace::Host => [row.bytes, 0],
        MemoryPlace::Device => [0, row.bytes],
        MemoryPlace::Unknown => [0, 0],
    }
}
