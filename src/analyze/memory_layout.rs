//! How torch's allocator lays out memory: which block an allocation gets, by the rules of `DeviceCachingAllocator`
//! (`round_size`, `should_split` and what calls them in `c10/cuda/CUDACachingAllocator.cpp`).

use std::collections::{BTreeMap, HashSet};

use super::memory_events::Earlier;
use super::memory_history::Reading;
use crate::store::{Action, AllocatorEvent, AllocatorSettings, BlockState, DeviceHistory};

/// Sizes are multiples of it (`kMinBlockSize`).
const GRAIN: u64 = 512;

/// Up to this size blocks are of the pool of small ones (`kSmallSize`); rests of large blocks up to it are not split off.
const SMALL: u64 = 1 << 20;

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
pub(super) struct Layout<'a> {
    settings: &'a AllocatorSettings,
    /// By address; of segments that grow they say nothing.
    segments: BTreeMap<u64, Extent>,
    blocks: BTreeMap<u64, Taken>,
    pub(super) allocated: i64,
    pub(super) reserved: i64,
    /// Not taken in segments of which something is.
    rest: u128,
    /// Whether everything fits.
    pub(super) is_sound: bool,
}

impl<'a> Layout<'a> {
    /// How it was before the first event.
    pub(super) fn before(history: &DeviceHistory, reading: &Reading<'a>) -> Self {
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
    pub(super) fn alive(&self) -> Vec<Earlier> {
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
    pub(super) fn unknown_bytes(&self) -> i64 {
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
    pub(super) fn play(&mut self, one: &AllocatorEvent, owner: u32) -> Option<i64> {
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
        self.rest -= u128::from(rest(extent));
        extent.taken = taken(extent.taken);
        self.is_sound &= extent.taken <= extent.bytes;
        self.rest += u128::from(rest(extent));
    }

    /// What is free in segments that cannot be given back.
    pub(super) fn split(&self) -> Option<i64> {
        let rest = i64::try_from(self.rest).unwrap_or(i64::MAX);
        (!self.settings.is_expandable).then_some(rest)
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

fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// A size as the allocator rounds it.
fn rounded(bytes: u64) -> u64 {
    bytes.max(1).div_ceil(GRAIN).saturating_mul(GRAIN)
}

/// What is allocated and reserved when the snapshot is made.
pub(super) fn at_end(history: &DeviceHistory) -> (i64, i64) {
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
