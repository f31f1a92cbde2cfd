//! The history of torch's allocator, played again: how much was allocated and reserved after each thing that it did.
//!
//! Events tell what was asked for, and counters of torch (`max_memory_allocated`) what blocks took: more, because sizes are
//! rounded up, and because the rest of a free block is not split off where it is small. So blocks are laid out again by the
//! allocator's rules: a block begins where the event says, has the room up to the next block or the end of its segment, and
//! is split as torch splits (`DeviceCachingAllocator::should_split` of `c10/cuda/CUDACachingAllocator.cpp`). What was there
//! before the first event is what is there at the end and was not allocated since, and what was released without having been
//! allocated. The state that the snapshot ends with settles the sums: where the history does not lead to it, they are shifted to
//! end there, and the result is not exact.

use super::intervals::Span;
use super::memory_events::{DeviceMemory, Event, MemorySource};
use super::memory_layout::{Layout, at_end};
use super::memory_owner::NOBODY;
use crate::store::{Action, AllocatorEvent, DeviceHistory, Snapshot};

/// What a snapshot tells of a device besides its events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    /// Whether the history leads to the state that the snapshot ends with.
    pub(super) is_exact: bool,
    /// How much more blocks may have taken that were there before the first event, whose rest nobody saw.
    pub(super) unknown_bytes: i64,
    /// How often the allocator got memory of the device.
    pub(super) segment_allocs: u64,
    /// How often it gave some back.
    pub(super) segment_frees: u64,
    /// How often it gave memory back to make room for an allocation.
    pub(super) retries: u64,
    /// How often it had nothing to give.
    pub(super) out_of_memory: u64,
    /// The largest allocation that failed.
    pub(super) failed_bytes: Option<u64>,
    /// Not allocated at the peak, and in segments of which something is: it cannot be given back. `None` of segments that grow.
    pub(super) split_bytes: Option<i64>,
}

/// How times and stacks of a snapshot are to be taken.
pub(super) struct Reading<'a> {
    pub(super) snapshot: &'a Snapshot,
    /// Owners by stack.
    pub(super) owners: Vec<u32>,
    /// When times begin, in Unix time.
    pub(super) zero_ns: i64,
    /// What is looked at; `None` for everything.
    pub(super) part: Option<Span>,
}

impl Reading<'_> {
    pub(super) fn owner(&self, stack: Option<u32>) -> u32 {
        let owner = stack.and_then(|stack| self.owners.get(stack as usize));
        owner.copied().unwrap_or(NOBODY)
    }

    /// Whether a stack is known, and is not that of a program that empties the cache itself.
    fn is_unasked(&self, stack: Option<u32>) -> bool {
        let asks = |name: &str| name == "empty_cache" || name.contains("emptyCache");
        stack.is_some_and(|stack| !self.snapshot.frames_of(stack).any(|one| asks(&one.name)))
    }
}

/// The memory of one device by its history.
pub(super) fn replayed(history: &DeviceHistory, reading: &Reading<'_>) -> DeviceMemory {
    let mut layout = Layout::before(history, reading);
    let (mut told, mut events, mut earlier) = (Told::default(), Vec::new(), None);
    told.unknown_bytes = layout.unknown_bytes();
    let (mut most, mut makes_room) = (i64::MIN, false);
    for one in &history.events {
        let at_ns = one.at_ns.saturating_sub(reading.zero_ns);
        let is_before = reading.part.is_some_and(|part| at_ns < part.start_ns);
        let is_inside = !is_before && reading.part.is_none_or(|part| at_ns <= part.end_ns);
        if !is_before && earlier.is_none() {
            earlier = Some(layout.alive());
        }
        if is_inside {
            makes_room = told.count(one, makes_room, reading);
        }
        let owner = reading.owner(one.stack);
        let Some(bytes) = layout.play(one, owner).filter(|_| is_inside) else { continue };
        if layout.allocated > most {
            most = layout.allocated;
            told.split_bytes = layout.split();
        }
        let address = Some(one.address);
        let (total, reserved) = (Some(layout.allocated), Some(layout.reserved));
        events.push(Event { at_ns, bytes, address, total, reserved, owner });
    }
    let (allocated, reserved) = at_end(history);
    told.is_exact = layout.is_sound && (allocated, reserved) == (layout.allocated, layout.reserved);
    let shift = allocated.saturating_sub(layout.allocated);
    for event in events.iter_mut().filter(|_| shift != 0) {
        event.total = event.total.map(|total| total.saturating_add(shift));
    }
    events.sort_by_key(|event| event.at_ns);
    DeviceMemory {
        source: MemorySource::Snapshot,
        device: Some(history.device),
        events,
        earlier: earlier.unwrap_or_else(|| layout.alive()),
        told: Some(told),
    }
}

impl Told {
    /// Counts what changes what the allocator has of the device. `makes_room`: whether it has just given memory back, and
    /// nobody asked for that; gives the same for what follows.
    fn count(&mut self, one: &AllocatorEvent, makes_room: bool, reading: &Reading<'_>) -> bool {
        match one.action {
            Action::SegmentFree | Action::SegmentUnmap => {
                self.segment_frees += 1;
                return reading.is_unasked(one.stack);
            }
            Action::SegmentAlloc | Action::SegmentMap => self.segment_allocs += 1,
            Action::OutOfMemory => {
                self.out_of_memory += 1;
                self.failed_bytes = self.failed_bytes.max(Some(one.bytes));
            }
            _ => return false,
        }
        self.retries += u64::from(makes_room);
        false
    }
}

#[cfg(test)]
mod tests {
    use super::{DeviceMemory, Reading, replayed};
    use crate::analyze::intervals::Span;
    use crate::store::{
        Action, AllocatorEvent, AllocatorSettings, Block, BlockState, DeviceHistory, Segment,
        Snapshot,
    };

    const MIB: u64 = 1 << 20;

    /// Events one nanosecond apart.
    fn events(all: &[(Action, u64, u64)]) -> Vec<AllocatorEvent> {
        let event = |(at_ns, &(action, address, bytes)): (i64, &(Action, u64, u64))| {
            AllocatorEvent { action, address, bytes, at_ns, stack: None }
        };
        (0..).zip(all).map(event).collect()
    }

    /// A segment with what is allocated at its end: offsets and sizes.
    fn segment(address: u64, bytes: u64, allocated: &[(u64, u64)]) -> Segment {
        let block = |&(at, bytes): &(u64, u64)| Block {
            address: address + at,
            bytes,
            state: BlockState::Allocated,
            stack: None,
        };
        Segment { address, bytes, blocks: allocated.iter().map(block).collect() }
    }

    fn played(
        segments: Vec<Segment>,
        all: &[(Action, u64, u64)],
        settings: AllocatorSettings,
        part: Option<Span>,
    ) -> DeviceMemory {
        let snapshot = Snapshot { settings, ..Snapshot::default() };
        let reading = Reading { snapshot: &snapshot, owners: Vec::new(), zero_ns: 0, part };
        let history = DeviceHistory { device: 0, events: events(all), segments };
        replayed(&history, &reading)
    }

    fn plain(segments: Vec<Segment>, all: &[(Action, u64, u64)]) -> DeviceMemory {
        played(segments, all, AllocatorSettings::default(), None)
    }

    fn totals(memory: &DeviceMemory) -> Vec<i64> {
        memory.events.iter().filter_map(|event| event.total).collect()
    }

    fn mib(n: f64) -> i64 {
        (n * MIB as f64) as i64
    }

    use Action::{Alloc, FreeCompleted, FreeRequested, SegmentAlloc, SegmentFree};

    #[test]
    fn large_blocks_keep_rests_that_are_small() {
        let at = 64 * MIB;
        // Of 20 MiB 12 are split off; 7.5 of the 8 behind them are not.
        let all = [
            (SegmentAlloc, at, 20 * MIB),
            (Alloc, at, 12 * MIB),
            (Alloc, at + 12 * MIB, 15 * MIB / 2),
            (FreeRequested, at + 12 * MIB, 15 * MIB / 2),
            (FreeCompleted, at + 12 * MIB, 15 * MIB / 2),
            // A rest of 1 MiB and 512 bytes is split off.
            (Alloc, at + 12 * MIB, 7 * MIB - 512),
        ];
        let end = segment(at, 20 * MIB, &[(0, 12 * MIB), (12 * MIB, 7 * MIB - 512)]);
        let memory = plain(vec![end.clone()], &all);
        let last = mib(19.0) - 512;
        assert_eq!(totals(&memory), [0, mib(12.0), mib(20.0), mib(12.0), last]);
        let told = memory.told.unwrap();
        assert!(told.is_exact && told.unknown_bytes == 0);
        // At the peak nothing is left of the segment.
        assert_eq!((told.split_bytes, told.segment_allocs), (Some(0), 1));
        // With segments that grow, and where large blocks are not split, blocks are others.
        let grows = AllocatorSettings { is_expandable: true, ..AllocatorSettings::default() };
        assert_eq!(totals(&played(vec![end.clone()], &all, grows, None))[2], mib(19.5));
        let whole =
            AllocatorSettings { max_split_bytes: Some(12 * MIB), ..AllocatorSettings::default() };
        assert!(!played(vec![end], &all, whole, None).told.unwrap().is_exact);
    }

    #[test]
    fn small_blocks_are_rounded_and_always_split() {
        let at = 2 * MIB;
        let all = [(SegmentAlloc, at, 2 * MIB), (Alloc, at, 1), (Alloc, at + 512, MIB)];
        let end = segment(at, 2 * MIB, &[(0, 512), (512, MIB)]);
        let memory = plain(vec![end], &all);
        assert_eq!(totals(&memory), [0, 512, 512 + mib(1.0)]);
        assert_eq!(memory.told.unwrap().split_bytes, Some(mib(1.0) - 512));
    }

    /// What was there before is what stays without having come, and what goes.
    #[test]
    fn what_was_there_before_is_known() {
        let at = 64 * MIB;
        let all = [(FreeRequested, at + 4 * MIB, 3 * MIB), (Alloc, at + 8 * MIB, 2 * MIB)];
        let end = segment(at, 40 * MIB, &[(0, 4 * MIB), (8 * MIB, 2 * MIB)]);
        let memory = plain(vec![end], &all);
        assert_eq!(totals(&memory), [mib(4.0), mib(6.0)]);
        let earlier: Vec<(u64, i64)> =
            memory.earlier.iter().map(|one| (one.address, one.bytes)).collect();
        assert_eq!(earlier, [(at, mib(4.0)), (at + 4 * MIB, mib(3.0))]);
        // Behind the 3 MiB that go there was room: they may have taken up to one more.
        let told = memory.told.unwrap();
        assert_eq!((told.is_exact, told.unknown_bytes), (true, mib(1.0)));
    }

    /// A history with a gap is shifted to end with what the snapshot has.
    #[test]
    fn gaps_are_told_and_the_end_holds() {
        let at = 64 * MIB;
        let all = [(Alloc, at, 2 * MIB), (Alloc, at, 4 * MIB), (Alloc, at + 8 * MIB, 2 * MIB)];
        let end = segment(at, 40 * MIB, &[(0, 4 * MIB), (8 * MIB, 2 * MIB)]);
        let memory = plain(vec![end], &all);
        assert_eq!(totals(&memory).last(), Some(&mib(6.0)));
        assert!(!memory.told.unwrap().is_exact);
    }

    /// Of a part of the time, what came before it is there when it begins.
    #[test]
    fn a_part_begins_with_what_came_before() {
        let at = 64 * MIB;
        let all = [
            (SegmentAlloc, at, 20 * MIB),
            (Alloc, at, 2 * MIB),
            (Alloc, at + 2 * MIB, 3 * MIB),
            (FreeRequested, at, 2 * MIB),
            (SegmentFree, at + 100 * MIB, 2 * MIB),
        ];
        let end = segment(at, 20 * MIB, &[(2 * MIB, 3 * MIB)]);
        let part = Some(Span::new(2, 3));
        let memory = played(vec![end], &all, AllocatorSettings::default(), part);
        assert_eq!(totals(&memory), [mib(5.0), mib(3.0)]);
        assert_eq!(memory.earlier.len(), 1);
        let told = memory.told.unwrap();
        assert_eq!((told.segment_allocs, told.segment_frees), (0, 0));
    }
}
