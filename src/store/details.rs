//! Side tables: what only some kinds of slice have. Each row names its slice; rows are sorted by slice in the store.
//!
//! In a chunk `slice` is the index within the chunk, and strings are of the chunk ([`super::LocalStr`]);
//! [`super::StoreBuilder`] rewrites both.

use serde::{Deserialize, Serialize};

use super::StrId;

/// Where a device event ran: one row for every kernel, copy, memset, sync and device annotation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DeviceRow {
    /// The slice.
    pub slice: u32,
    /// Device index from `args.device`, else the numeric pid. `None` where neither is there.
    pub device: Option<u32>,
    /// Stream from `args.stream`, else the numeric tid.
    pub stream: Option<u32>,
    /// Index into [`super::Store::launch_configs`], for kernels that state one.
    pub config: Option<u32>,
}

/// What a wait for an event says that it waits for: one row for every `Stream Wait Event` and `Event Sync`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SyncRow {
    /// The slice.
    pub slice: u32,
    /// Whether a stream waits (`Stream Wait Event`), not the host (`Event Sync`).
    pub is_stream_wait: bool,
    /// `wait_on_cuda_event_record_corr_id`: correlation of the call that recorded the event. `None` where it is missing or
    /// negative, which is how writers say that they do not know.
    pub record_correlation: Option<u64>,
    /// `wait_on_stream`: the stream on which the event was recorded.
    pub on_stream: Option<u32>,
}

/// How many events of the host carry a number of their own (`Ev Idx`), and the largest: a profiler numbers all that it
/// records from 0, so that what is missing between shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventNumbers {
    /// Operators, annotations, Python frames and memory events with a number.
    pub count: u64,
    /// The largest number; `None` where there is none.
    pub last: Option<u64>,
}

impl EventNumbers {
    /// Counts one event, with its number.
    #[inline]
    pub(super) fn add(&mut self, number: u64) {
        self.count += 1;
        self.last = self.last.max(Some(number));
    }

    /// Adds those of another part of the input.
    pub(super) fn join(&mut self, other: Self) {
        self.count += other.count;
        self.last = self.last.max(other.last);
    }

    /// Numbers up to the largest that no event has, at least: numbers that are there twice hide as many.
    pub fn missing(&self) -> Option<u64> {
        self.last.map(|last| last.saturating_add(1).saturating_sub(self.count))
    }
}

/// How a kernel was launched; equal configurations are stored once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LaunchConfig {
    /// Grid dimensions in blocks.
    pub grid: [u32; 3],
    /// Block dimensions in threads.
    pub block: [u32; 3],
    /// Registers per thread.
    pub registers: Option<u32>,
    /// Shared memory per block in bytes, static and dynamic.
    pub shared_bytes: Option<u32>,
    /// `est. achieved occupancy %` in thousandths of a percent.
    pub occupancy_milli_pct: Option<u32>,
}

/// A copy or memset that states its size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CopyRow {
    /// The slice.
    pub slice: u32,
    /// Bytes moved. A copy without a size has no row.
    pub bytes: u64,
    /// Source device of a peer copy.
    pub from_device: Option<u32>,
    /// Destination device of a peer copy.
    pub to_device: Option<u32>,
}

/// A collective's arguments, on a kernel or on `record_param_comms`. Texts are as written by the trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CollectiveRow<S = StrId> {
    /// The slice.
    pub slice: u32,
    /// `Collective name`.
    pub name: S,
    /// `dtype`, a c10 scalar type name.
    pub dtype: Option<S>,
    /// `In msg nelems`: elements, per rank.
    pub in_elements: Option<u64>,
    /// `Out msg nelems`: elements, per rank.
    pub out_elements: Option<u64>,
    /// `Group size`: ranks of the process group.
    pub group_size: Option<u32>,
    /// `Process Group Name`.
    pub group_name: Option<S>,
    /// `Process Group Description`.
    pub group_description: Option<S>,
    /// `Process Group Ranks`, possibly cut short by the writer.
    pub group_ranks: Option<S>,
    /// `In split size`, possibly cut short.
    pub in_split: Option<S>,
    /// `Out split size`, possibly cut short.
    pub out_split: Option<S>,
    /// `Rank` in the group.
    pub rank: Option<u32>,
    /// `Src Rank` of a point-to-point operation.
    pub src_rank: Option<u32>,
    /// `Dst Rank` of a point-to-point operation.
    pub dst_rank: Option<u32>,
    /// `Seq`: number of the collective in its group.
    pub seq: Option<u64>,
    /// `Comms Id`.
    pub comms_id: Option<S>,
}

impl<S: Copy> CollectiveRow<S> {
    /// The same with other numbers of slices and texts.
    pub(super) fn renamed<T>(&self, slice: u32, string: impl Fn(S) -> T) -> CollectiveRow<T> {
        CollectiveRow {
            slice,
            name: string(self.name),
            dtype: self.dtype.map(&string),
            in_elements: self.in_elements,
            out_elements: self.out_elements,
            group_size: self.group_size,
            group_name: self.group_name.map(&string),
            group_description: self.group_description.map(&string),
            group_ranks: self.group_ranks.map(&string),
            in_split: self.in_split.map(&string),
            out_split: self.out_split.map(&string),
            rank: self.rank,
            src_rank: self.src_rank,
            dst_rank: self.dst_rank,
            seq: self.seq,
            comms_id: self.comms_id.map(&string),
        }
    }
}

/// Recorded inputs of an operator; equal ones are stored once. Texts are the JSON as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Shapes<S = StrId> {
    /// `Input Dims`.
    pub dims: Option<S>,
    /// `Input type`.
    pub types: Option<S>,
    /// `Input Strides`.
    pub strides: Option<S>,
    /// `Concrete Inputs`.
    pub concrete: Option<S>,
}

impl<S: Copy> Shapes<S> {
    /// The same with other numbers of texts.
    pub(super) fn renamed<T>(self, string: impl Fn(S) -> T) -> Shapes<T> {
        Shapes {
            dims: self.dims.map(&string),
            types: self.types.map(&string),
            strides: self.strides.map(&string),
            concrete: self.concrete.map(&string),
        }
    }
}

/// What an operator recorded beyond its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpRow<S = StrId> {
    /// The slice.
    pub slice: u32,
    /// Index into [`super::Store::shapes`].
    pub shapes: Option<u32>,
    /// `Fwd thread id`: thread of the forward operator of an autograd pair.
    pub forward_thread: Option<u32>,
    /// `Call stack`, frames joined by `;`.
    pub stack: Option<S>,
    /// `Module Hierarchy`.
    pub modules: Option<S>,
}

impl<S: Copy> OpRow<S> {
    /// The same with other numbers of slices, shapes and texts.
    pub(super) fn renamed<T>(
        self,
        slice: u32,
        shapes: Option<u32>,
        string: impl Fn(S) -> T,
    ) -> OpRow<T> {
        OpRow {
            slice,
            shapes,
            forward_thread: self.forward_thread,
            stack: self.stack.map(&string),
            modules: self.modules.map(&string),
        }
    }
}

/// What an event of a category that says nothing states in its arguments: used once the names of processes tell which
/// of them are activity of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AsideRow<S = StrId> {
    /// The slice.
    pub slice: u32,
    /// Device number.
    pub device: Option<u32>,
    /// Stream or queue.
    pub stream: Option<u32>,
    /// Bytes moved.
    pub bytes: Option<u64>,
    /// `Task Type`, as Ascend has it.
    pub task: Option<S>,
}

impl<S: Copy> AsideRow<S> {
    /// Nothing stated of a slice.
    pub(crate) fn nothing(slice: u32) -> Self {
        Self { slice, device: None, stream: None, bytes: None, task: None }
    }

    /// The same with other numbers of slices and texts.
    pub(super) fn renamed<T>(self, slice: u32, string: impl Fn(S) -> T) -> AsideRow<T> {
        let Self { device, stream, bytes, task, .. } = self;
        AsideRow { slice, device, stream, bytes, task: task.map(string) }
    }
}

/// What a store keeps only where it is asked to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keep {
    /// Where in the file each slice stood: four bytes an event more.
    pub order: bool,
    /// The arguments of every slice: 16 bytes an argument, and its text.
    pub arguments: bool,
}

/// The value of an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Argument<S = StrId> {
    /// A whole number.
    Number(i64),
    /// A text, or the JSON of anything else.
    Text(S),
}

/// One argument of a slice, kept where the reader was asked to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArgumentRow<S = StrId> {
    /// The slice.
    pub slice: u32,
    /// Its name.
    pub key: S,
    /// Its value.
    pub value: Argument<S>,
}

impl<S: Copy> ArgumentRow<S> {
    /// The same with other numbers of slices and texts.
    pub(super) fn renamed<T>(self, slice: u32, string: impl Fn(S) -> T) -> ArgumentRow<T> {
        let value = match self.value {
            Argument::Text(text) => Argument::Text(string(text)),
            Argument::Number(number) => Argument::Number(number),
        };
        ArgumentRow { slice, key: string(self.key), value }
    }
}

/// The `Python module id` of an `nn.Module` frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModuleRow {
    /// The slice.
    pub slice: u32,
    /// `Python module id`.
    pub module_id: u64,
}

/// A `[memory]` or `[OutOfMemory]` instant. `instant` is an index into [`super::Store::instants`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryRow {
    /// The instant.
    pub instant: u32,
    /// `Bytes`: positive for an allocation, negative for a release.
    pub bytes: i64,
    /// `Device Type` as c10 numbers it (0 CPU, 1 CUDA).
    pub device_type: Option<i64>,
    /// `Device Id`, -1 for the host.
    pub device: Option<i64>,
    /// `Addr`.
    pub address: Option<u64>,
    /// `Total Allocated` in bytes after this.
    pub total_allocated: Option<u64>,
    /// `Total Reserved` in bytes after this.
    pub total_reserved: Option<u64>,
}
