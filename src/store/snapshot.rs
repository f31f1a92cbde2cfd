//! What torch's caching allocator writes of itself (`torch.cuda.memory._dump_snapshot`): how its memory lies when it is asked,
//! and the last things it did before.

/// A snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// The devices with memory or a history, by index.
    pub devices: Vec<DeviceHistory>,
    /// Distinct call stacks, as indices into `frames`, the innermost first.
    pub stacks: Vec<Vec<u32>>,
    /// Distinct frames.
    pub frames: Vec<CallFrame>,
    /// What ranges of the profiler were open, as far as they ended.
    pub annotations: Vec<Annotation>,
    /// How the allocator was set.
    pub settings: AllocatorSettings,
}

/// A range of the profiler (`record_function`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Annotation {
    /// Index of the device that was the current one.
    pub device: u32,
    /// Its name.
    pub name: String,
    /// When it began, in Unix time.
    pub start_ns: i64,
    /// When it ended.
    pub end_ns: i64,
}

/// A frame of a call stack: of Python, or of C++ where these were recorded.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct CallFrame {
    /// The function.
    pub name: String,
    /// Its file; `??` or nothing for most of C++.
    pub file: String,
    /// The line; 0 for C++.
    pub line: u64,
}

/// What the allocator of one device holds, and what it did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeviceHistory {
    /// Device index.
    pub device: u32,
    /// What it did, in order; the oldest is gone where there was more than was to be kept.
    pub events: Vec<AllocatorEvent>,
    /// The memory it has of the device when it is asked.
    pub segments: Vec<Segment>,
}

/// What the allocator did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Gave memory to somebody.
    Alloc,
    /// Got memory back; kernels of other streams may still use it.
    FreeRequested,
    /// Can give that memory away again.
    FreeCompleted,
    /// Got memory of the device (`cudaMalloc`).
    SegmentAlloc,
    /// Gave memory back to the device (`cudaFree`).
    SegmentFree,
    /// Got memory of the device at the end of a segment that can grow.
    SegmentMap,
    /// Gave such memory back.
    SegmentUnmap,
    /// Had nothing to give.
    OutOfMemory,
    /// Anything else: that a snapshot was made.
    Other,
}

/// One thing that the allocator did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AllocatorEvent {
    /// What.
    pub action: Action,
    /// Where.
    pub address: u64,
    /// How much: of an allocation what was asked for, not what it took.
    pub bytes: u64,
    /// When, in Unix time.
    pub at_ns: i64,
    /// Number of the call stack; `None` where none was recorded.
    pub stack: Option<u32>,
}

/// A piece of memory of the device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Segment {
    /// Where it begins.
    pub address: u64,
    /// How large it is.
    pub bytes: u64,
    /// Its blocks, in order.
    pub blocks: Vec<Block>,
}

/// A part of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// Where it begins.
    pub address: u64,
    /// How large it is.
    pub bytes: u64,
    /// Who has it.
    pub state: BlockState,
    /// Number of the call stack that it was allocated from; `None` where none was recorded.
    pub stack: Option<u32>,
}

/// Who has a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockState {
    /// Somebody.
    Allocated,
    /// Nobody any more, but kernels of other streams may still use it.
    PendingFree,
    /// The allocator.
    Inactive,
}

/// How the allocator was set, where that changes how large blocks are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AllocatorSettings {
    /// Whether segments grow (`expandable_segments`).
    pub is_expandable: bool,
    /// Blocks from this size on are not split (`max_split_size`); `None` for no limit.
    pub max_split_bytes: Option<u64>,
    /// Whether sizes are rounded to divisions of powers of two (`roundup_power2_divisions`).
    pub rounds_to_powers: bool,
}

impl Snapshot {
    /// From the first to the last event of all devices, in Unix time; `None` without events.
    pub fn span_ns(&self) -> Option<(i64, i64)> {
        let times = || self.devices.iter().flat_map(|device| &device.events).map(|one| one.at_ns);
        Some((times().min()?, times().max()?))
    }

    /// The frames of a stack, the innermost first.
    pub fn frames_of(&self, stack: u32) -> impl DoubleEndedIterator<Item = &CallFrame> {
        let stack = self.stacks.get(stack as usize).map(Vec::as_slice).unwrap_or_default();
        stack.iter().filter_map(|&frame| self.frames.get(frame as usize))
    }
}
