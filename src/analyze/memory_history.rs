//! The history of torch's allocator, played again: how much was allocated and reserved after each thing that it did.
//!
//! Events tell what was asked for, and counters of torch (`max_memory_allocated`) what blocks took: more, because sizes are
//! rounded up, and because the rest of a free block is not split off where it is small. So blocks are laid out again by the
//! allocator's rules: a block begins where the event says, has the room up to the next block or the end of its segment, and
//! is split as torch splits (`DeviceCachingAllocator::should_split` of `c10/cuda/CUDACachingAllocator.cpp`). What was there
//! before the first event is what is there at the end and was not allocated since, and what was released without having been
//! allocated. The state that the snapshot ends with settles the sums: where the history does not lead to it, they are shifted to
//! end there, and the result is not exact.

use std::collections::{BTreeMap, HashSet};

use super::intervals::Span;
use super::memory_events::{DeviceMemory, Earlier, Event, MemorySource};
use super::memory_owner::NOBODY;
use crate::store::{
    Action, AllocatorEvent, AllocatorSettings, BlockState, DeviceHistory, Snapshot,
};

/// Sizes are multiples of it (`kMinBlockSize`).
const GRAIN: u64 = 512;

/// Up to this size blocks are of the pool of small ones (`kSmallSize`); rests of large blocks up to it are not split off.
const SMALL: u64 = 1 << 20;

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
    fn owner(&self, stack: Option<u32>) -> u32 {
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

fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// A size as the allocator rounds it.
fn rounded(bytes: u64) -> u64 {
    bytes.max(1).div_ceil(GRAIN).saturating_mul(GRAIN)
}

/// What is allocated and reserved when the snapshot is made.
fn at_end(history: &DeviceHistory) -> (i64, i64) {
    let blocks = history.segments.iter().flat_map(|segment| &segment.blocks);
    let allocated = blocks.filter(|block| block.state == BlockState::Allocated);
    let sum = |sum: i64, bytes: u64| sum.saturating_add(signed(bytes));
    (
        allocated.map(|block| block.bytes).fold(0, sum),
        history.segments.iter().map(|segment| segment.bytes).fold(0, sum),
    )
}

/// A block that was allocated before the first event.
#[derive(Clone, Copy, Debug)]
struct Known {
    bytes: u64,
    stack: Option<u32>,
    /// Whether it is known as it was asked for alone.
    is_rounded: bool,
}

/// The blocks that were allocated before the first event, by address.
fn before(history: &DeviceHistory) -> BTreeMap<u64, Known> {
    let mut found = BTreeMap::new();
    let mut allocated: HashSet<u64> = HashSet::new();
    for one in &history.events {
        match one.action {
            Action::Alloc => {
                allocated.insert(one.address);
            }
            Action::FreeRequested if !allocated.remove(&one.address) => {
                let bytes = rounded(one.bytes);
                found.insert(one.address, Known { bytes, stack: None, is_rounded: true });
            }
            _ => {}
        }
    }
    let blocks = history.segments.iter().flat_map(|segment| &segment.blocks);
    for block in blocks.filter(|block| block.state == BlockState::Allocated) {
        if !allocated.contains(&block.address) {
            let (bytes, stack) = (block.bytes, block.stack);
            found.insert(block.address, Known { bytes, stack, is_rounded: false });
        }
    }
    found
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

/// A segment, with what blocks take of it.
#[derive(Clone, Copy, Debug)]
struct Extent {
    bytes: u64,
    taken: u64,
}

/// A block that is not free: its size, and whether somebody has it still.
#[derive(Clone, Copy, Debug)]
struct Taken {
    bytes: u64,
    owner: u32,
    is_allocated: bool,
    /// Whether it is known as it was asked for alone.
    is_rounded: bool,
}

/// How the memory of a device is laid out.
struct Layout<'a> {
    settings: &'a AllocatorSettings,
    /// By address; of segments that grow they say nothing.
    segments: BTreeMap<u64, Extent>,
    blocks: BTreeMap<u64, Taken>,
    allocated: i64,
    reserved: i64,
    /// Not taken in segments of which something is.
    rest: u64,
    /// Whether everything fits.
    is_sound: bool,
}

impl<'a> Layout<'a> {
    /// How it was before the first event.
    fn before(history: &DeviceHistory, reading: &Reading<'a>) -> Self {
        let settings = &reading.snapshot.settings;
        let segments = history.segments.iter().map(|one| (one.address, one.bytes));
        let mut segments: BTreeMap<u64, u64> = segments.collect();
        let mut reserved = at_end(history).1;
        for one in history.events.iter().rev() {
            match one.action {
                Action::SegmentAlloc => {
                    segments.remove(&one.address);
                }
                Action::SegmentFree => {
                    segments.insert(one.address, one.bytes);
                }
                _ => {}
            }
            reserved = reserved.saturating_sub(reserved_by(one));
        }
        let extent = |(address, bytes)| (address, Extent { bytes, taken: 0 });
        let mut layout = Self {
            settings,
            segments: segments.into_iter().map(extent).collect(),
            blocks: BTreeMap::new(),
            allocated: 0,
            reserved,
            rest: 0,
            is_sound: !settings.rounds_to_powers,
        };
        for (address, one) in before(history) {
            let (bytes, is_rounded) = (one.bytes, one.is_rounded);
            let owner = reading.owner(one.stack);
            layout.take(address, Taken { bytes, owner, is_allocated: true, is_rounded });
        }
        layout
    }

    /// What somebody has.
    fn alive(&self) -> Vec<Earlier> {
        let alive = self.blocks.iter().filter(|(_, block)| block.is_allocated);
        let earlier = |(&address, block): (&u64, &Taken)| Earlier {
            address,
            bytes: signed(block.bytes),
            owner: block.owner,
        };
        alive.map(earlier).collect()
    }

    /// How much more the large blocks may take whose rest was not seen: the room behind each, as far as it would not have
    /// been split off.
    fn unknown_bytes(&self) -> i64 {
        if self.settings.is_expandable {
            return 0;
        }
        let unseen = self.blocks.iter().filter(|(_, one)| one.is_rounded && one.bytes > SMALL);
        let rest = |(&address, one): (&u64, &Taken)| self.room(address, one.bytes).min(SMALL);
        signed(unseen.map(rest).fold(0, u64::saturating_add))
    }

    /// The room behind a block, up to the next one or the end of its segment.
    fn room(&self, address: u64, bytes: u64) -> u64 {
        let Some((&start, extent)) = self.segments.range(..=address).next_back() else { return 0 };
        let end = start.saturating_add(extent.bytes);
        let next = self.blocks.range(address.saturating_add(1)..).next();
        let end = next.map_or(end, |(&next, _)| end.min(next));
        end.saturating_sub(address).saturating_sub(bytes)
    }

    /// Plays one thing that the allocator did. Gives what it allocated, less what was released; `None` of what changes nothing.
    fn play(&mut self, one: &AllocatorEvent, owner: u32) -> Option<i64> {
        match one.action {
            Action::Alloc => {
                let bytes = self.block_size(one.address, one.bytes);
                let block = Taken { bytes, owner, is_allocated: true, is_rounded: false };
                self.take(one.address, block);
                Some(signed(bytes))
            }
            Action::FreeRequested => {
                let block = self.blocks.get_mut(&one.address).filter(|block| block.is_allocated);
                let bytes = match block {
                    Some(block) => {
                        block.is_allocated = false;
                        signed(block.bytes)
                    }
                    None => {
                        self.is_sound = false;
                        return None;
                    }
                };
                self.allocated = self.allocated.saturating_sub(bytes);
                Some(-bytes)
            }
            Action::FreeCompleted => {
                self.give(one.address);
                None
            }
            Action::SegmentAlloc | Action::SegmentMap => {
                let extent = Extent { bytes: one.bytes, taken: 0 };
                if one.action == Action::SegmentAlloc {
                    self.segments.insert(one.address, extent);
                }
                self.reserved = self.reserved.saturating_add(reserved_by(one));
                Some(0)
            }
            Action::SegmentFree | Action::SegmentUnmap => {
                if let Some(extent) = self.segments.remove(&one.address) {
                    self.is_sound &= extent.taken == 0;
                }
                self.reserved = self.reserved.saturating_add(reserved_by(one));
                Some(0)
            }
            Action::OutOfMemory | Action::Other => None,
        }
    }

    /// How large the block is that an allocation of so many bytes gets at an address.
    fn block_size(&self, address: u64, asked: u64) -> u64 {
        let bytes = rounded(asked);
        if self.settings.is_expandable {
            return bytes;
        }
        let rest = self.room(address, bytes);
        let can_split = self.settings.max_split_bytes.is_none_or(|most| bytes < most);
        let is_split = match bytes <= SMALL {
            true => rest >= GRAIN,
            false => can_split && rest > SMALL,
        };
        if is_split { bytes } else { bytes + rest }
    }

    fn take(&mut self, address: u64, block: Taken) {
        let bytes = block.bytes;
        self.is_sound &= self.blocks.insert(address, block).is_none();
        self.allocated = self.allocated.saturating_add(signed(bytes));
        self.change(address, |taken| taken.saturating_add(bytes));
    }

    fn give(&mut self, address: u64) {
        if let Some(block) = self.blocks.remove(&address) {
            self.change(address, |taken| taken.saturating_sub(block.bytes));
        }
    }

    /// Changes what is taken of the segment at an address.
    fn change(&mut self, address: u64, taken: impl FnOnce(u64) -> u64) {
        if self.settings.is_expandable {
            return;
        }
        let found = self.segments.range_mut(..=address).next_back();
        let Some((_, extent)) = found else {
            self.is_sound = false;
            return;
        };
        self.rest -= rest(extent);
        extent.taken = taken(extent.taken);
        self.is_sound &= extent.taken <= extent.bytes;
        self.rest += rest(extent);
    }

    /// What is free in segments that cannot be given back.
    fn split(&self) -> Option<i64> {
        (!self.settings.is_expandable).then(|| signed(self.rest))
    }
}

/// What is not taken of a segment of which something is.
fn rest(extent: &Extent) -> u64 {
    if extent.taken == 0 { 0 } else { extent.bytes.saturating_sub(extent.taken) }
}

/// What an event takes from the device, less what it gives back.
fn reserved_by(one: &AllocatorEvent) -> i64 {
    match one.action {
        Action::SegmentAlloc | Action::SegmentMap => signed(one.bytes),
        Action::SegmentFree | Action::SegmentUnmap => -signed(one.bytes),
        _ => 0,
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
