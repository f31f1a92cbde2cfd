//! The tables of a store and how to ask them.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::{
    ArgumentRow, CollectiveRow, CompactColumn, CopyRow, DeviceRow, EventNumbers, LaunchConfig,
    MemoryRow, ModuleRow, OpRow, Repairs, Shapes, StrId, Strings, SyncRow,
};
use crate::model::{EventKind, named};

/// A pid or tid: traces write numbers or strings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TrackId<S = StrId> {
    /// A number.
    Int(i128),
    /// A string, `"Spans"` for example.
    Text(S),
}

impl<S> TrackId<S> {
    /// The number, where it is one.
    pub fn as_int(&self) -> Option<i128> {
        match self {
            Self::Int(v) => Some(*v),
            Self::Text(_) => None,
        }
    }

    /// The same with another number of its text.
    pub(super) fn renamed<T>(self, string: impl FnOnce(S) -> T) -> TrackId<T> {
        match self {
            Self::Int(v) => TrackId::Int(v),
            Self::Text(s) => TrackId::Text(string(s)),
        }
    }
}

/// One (pid, tid) of the trace and the slices on it.
#[derive(Clone, Debug, PartialEq)]
pub struct Track {
    /// Process id; the device index for device tracks.
    pub pid: TrackId,
    /// Thread id; the stream for device tracks.
    pub tid: TrackId,
    /// `process_name`, the last one written.
    pub process_name: Option<StrId>,
    /// `process_labels`.
    pub process_labels: Option<StrId>,
    /// `thread_name`.
    pub thread_name: Option<StrId>,
    /// The track's slices, a range of the slice columns.
    pub slices: Range<usize>,
}

/// The columns of all complete events, grouped by track, each track sorted by (start, end descending, file order).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Slices {
    /// Start in nanoseconds: relative to [`TraceMeta::base_time_ns`] where the trace has one, else as written.
    pub ts_ns: Vec<i64>,
    pub(super) dur_ns: CompactColumn,
    /// Name.
    pub name: Vec<StrId>,
    pub(super) category: Vec<u8>,
    pub(super) id_a: CompactColumn,
    pub(super) id_b: CompactColumn,
    /// Number of each slice's event in the file; empty unless it was asked for.
    pub(super) event: Vec<u32>,
}

impl Slices {
    /// Number of the slice's event among all events of the file, from 0 (of a begin/end pair that of the begin); `None`
    /// unless the reader was asked to keep it.
    #[inline]
    pub fn event_number(&self, slice: usize) -> Option<u32> {
        self.event.get(slice).copied()
    }

    /// Number of slices.
    pub fn len(&self) -> usize {
        self.ts_ns.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ts_ns.is_empty()
    }

    /// Duration in nanoseconds, never negative.
    #[inline]
    pub fn dur_ns(&self, slice: usize) -> i64 {
        self.dur_ns.get(slice).unwrap_or(0) as i64
    }

    /// The durations that 32 bits do not hold (4.3 s and more), in nanoseconds.
    pub fn long_durations_ns(&self) -> impl Iterator<Item = i64> + '_ {
        self.dur_ns.parts().1.iter().map(|&(_, ns)| ns as i64)
    }

    /// End in nanoseconds.
    #[inline]
    pub fn end_ns(&self, slice: usize) -> i64 {
        self.ts_ns[slice].saturating_add(self.dur_ns(slice))
    }
}

named! {
    /// Phase of a flow event.
    FlowPhase {
        /// `s`
        Start "start",
        /// `t`
        Step "step",
        /// `f`
        Finish "finish",
    }
}

/// One end of an arrow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow<S = StrId, T = u32> {
    /// Time in nanoseconds.
    pub ts_ns: i64,
    /// Index into [`Store::tracks`].
    pub track: T,
    /// Category: ids of different categories are unrelated.
    pub category: S,
    /// Flow id within its category.
    pub id: u64,
    /// Start, step or finish.
    pub phase: FlowPhase,
}

impl<S: Copy, T: Copy> Flow<S, T> {
    /// The same with other numbers of texts and tracks.
    pub(super) fn renamed<R, U>(
        self,
        string: impl Fn(S) -> R,
        track: impl Fn(T) -> U,
    ) -> Flow<R, U> {
        let Self { ts_ns, id, phase, .. } = self;
        Flow { ts_ns, track: track(self.track), category: string(self.category), id, phase }
    }
}

/// One sample of a counter series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Counter<S = StrId, T = u32> {
    /// Time in nanoseconds.
    pub ts_ns: i64,
    /// Index into [`Store::tracks`].
    pub track: T,
    /// Counter name.
    pub name: S,
    /// Series within the counter (the key in `args`).
    pub series: S,
    /// Value, in the counter's own unit.
    pub value: f64,
}

impl<S: Copy, T: Copy> Counter<S, T> {
    /// The same with other numbers of texts and tracks.
    pub(super) fn renamed<R, U>(
        self,
        string: impl Fn(S) -> R,
        track: impl Fn(T) -> U,
    ) -> Counter<R, U> {
        let Self { ts_ns, value, .. } = self;
        let (name, series) = (string(self.name), string(self.series));
        Counter { ts_ns, track: track(self.track), name, series, value }
    }
}

/// An instant event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instant<S = StrId, T = u32> {
    /// Time in nanoseconds.
    pub ts_ns: i64,
    /// Index into [`Store::tracks`].
    pub track: T,
    /// Name.
    pub name: S,
    /// Category, where it has one.
    pub category: Option<S>,
}

impl<S: Copy, T: Copy> Instant<S, T> {
    /// The same with other numbers of texts and tracks.
    pub(super) fn renamed<R, U>(
        self,
        string: impl Fn(S) -> R,
        track: impl Fn(T) -> U,
    ) -> Instant<R, U> {
        let (name, category) = (string(self.name), self.category.map(&string));
        Instant { ts_ns: self.ts_ns, track: track(self.track), name, category }
    }
}

/// Which writer laid the file out; decides which rules of torch's own table applied.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub enum Layout {
    /// Not one of the known layouts: re-dumped, or not Kineto's.
    #[default]
    Unknown,
    /// Kineto's C++ writer as in torch 2.11 and before: several keys a line, metadata events at the end.
    KinetoOld,
    /// Kineto's C++ writer as in torch 2.13 and 2.14: one key a line, metadata events first.
    KinetoNew,
    /// The compact Python exporter of torch 2.15: one event a line.
    TorchCompact,
}

/// `distributedInfo`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Distributed {
    /// `backend`.
    pub backend: Option<String>,
    /// `rank`: the global rank.
    pub rank: Option<u32>,
    /// `world_size`.
    pub world_size: Option<u32>,
    /// `nccl_version`.
    pub nccl_version: Option<String>,
}

/// One entry of `deviceProperties`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceProperties {
    /// Device index.
    pub id: u32,
    /// Marketing name, `NVIDIA H100 80GB HBM3` for example.
    pub name: String,
    /// Memory in bytes.
    pub total_memory_bytes: Option<u64>,
    /// Streaming multiprocessors.
    pub n_sms: Option<u32>,
}

/// What a trace says of a counter beside its samples.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CounterUnit {
    /// The counter's name.
    pub counter: String,
    /// What its values are in: `W`, `B/s`, `%`.
    pub unit: Option<String>,
    /// What it is about: `memory`, `compute`.
    pub group: Option<String>,
}

/// What a trace says about itself outside its events.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceMeta {
    /// `baseTimeNanoseconds`: Unix time of ts 0. `None` where timestamps are absolute or unrelated to wall time.
    pub base_time_ns: Option<i64>,
    /// `distributedInfo`.
    pub distributed: Option<Distributed>,
    /// `deviceProperties`.
    pub devices: Vec<DeviceProperties>,
    /// [`UNITS_KEY`].
    #[serde(default)]
    pub counter_units: Vec<CounterUnit>,
    /// Layout of the writer.
    pub layout: Layout,
    /// Every top-level key with its JSON text, in file order, without `traceEvents`.
    pub entries: Vec<(String, String)>,
    /// Whether the file ended before its events did.
    pub truncated: bool,
    /// Whether a `Record Window End` mark was seen.
    pub has_window_end: bool,
}

impl TraceMeta {
    /// The marketing name of a device; `None` where none is stated.
    pub fn device_name(&self, device: Option<u32>) -> Option<&str> {
        let known = self.devices.iter().find(|known| Some(known.id) == device)?;
        Some(known.name.as_str()).filter(|name| !name.is_empty())
    }

    /// What is said of a counter.
    pub fn counter_unit(&self, counter: &str) -> Option<&CounterUnit> {
        self.counter_units.iter().find(|known| known.counter == counter)
    }

    /// The JSON text of a top-level key; the last one where it is repeated.
    pub fn entry(&self, key: &str) -> Option<&str> {
        self.entries.iter().rev().find(|(k, _)| k == key).map(|(_, v)| v.as_str())
    }
}

/// Everything one input holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Store {
    /// All strings.
    pub strings: Strings,
    /// What the trace says about itself.
    pub meta: TraceMeta,
    /// Categories by number, with their kinds.
    pub categories: Vec<(StrId, EventKind)>,
    /// Tracks, by (pid, tid): numbers first.
    pub tracks: Vec<Track>,
    /// Complete events.
    pub slices: Slices,
    /// Where device events ran.
    pub device_rows: Vec<DeviceRow>,
    /// What waits for events wait for.
    pub syncs: Vec<SyncRow>,
    /// Distinct launch configurations.
    pub launch_configs: Vec<LaunchConfig>,
    /// Copies and memsets with sizes.
    pub copies: Vec<CopyRow>,
    /// Collectives.
    pub collectives: Vec<CollectiveRow>,
    /// Operators that recorded more than time.
    pub ops: Vec<OpRow>,
    /// Distinct recorded inputs.
    pub shapes: Vec<Shapes>,
    /// `nn.Module` frames.
    pub modules: Vec<ModuleRow>,
    /// The arguments of every slice; `None` unless the reader was asked to keep them.
    pub arguments: Option<Vec<ArgumentRow>>,
    /// Flow ends, by (category, id, time).
    pub flows: Vec<Flow>,
    /// Counter samples, by time.
    pub counters: Vec<Counter>,
    /// Instants, by time.
    pub instants: Vec<Instant>,
    /// Memory instants, by instant.
    pub memory: Vec<MemoryRow>,
    /// Events read, of every phase.
    pub n_events: u64,
    /// The numbers that the writer gave to events of the host, of the whole input.
    pub event_numbers: EventNumbers,
    /// What was taken for times that the input lacks.
    pub repairs: Repairs,
}

impl Store {
    /// Kind of a slice.
    #[inline]
    pub fn kind(&self, slice: usize) -> EventKind {
        self.categories[self.slices.category[slice] as usize].1
    }

    /// Number of a slice's category in [`Self::categories`].
    #[inline]
    pub fn category_number(&self, slice: usize) -> usize {
        usize::from(self.slices.category[slice])
    }

    /// Category string of a slice.
    pub fn category(&self, slice: usize) -> &str {
        self.strings.get(self.categories[self.slices.category[slice] as usize].0)
    }

    /// Name of a slice.
    pub fn name(&self, slice: usize) -> &str {
        self.strings.get(self.slices.name[slice])
    }

    /// `args.correlation` of an API call or device event.
    pub fn correlation(&self, slice: usize) -> Option<u64> {
        let kind = self.kind(slice);
        (kind.is_api_call() || kind.is_on_device()).then(|| self.slices.id_a.get(slice)).flatten()
    }

    /// `args["External id"]`: the operator's own id, or that of the operator a call or device event belongs to.
    pub fn external_id(&self, slice: usize) -> Option<u64> {
        match self.kind(slice) {
            EventKind::PythonFunction => None,
            _ => self.slices.id_b.get(slice),
        }
    }

    /// `Sequence number` of an operator in an autograd pair.
    pub fn sequence_number(&self, slice: usize) -> Option<u64> {
        matches!(self.kind(slice), EventKind::CpuOp | EventKind::UserAnnotation)
            .then(|| self.slices.id_a.get(slice))
            .flatten()
    }

    /// `Python id` of a Python frame.
    pub fn python_id(&self, slice: usize) -> Option<u64> {
        (self.kind(slice) == EventKind::PythonFunction)
            .then(|| self.slices.id_a.get(slice))
            .flatten()
    }

    /// `Python parent id` of a Python frame.
    pub fn python_parent_id(&self, slice: usize) -> Option<u64> {
        (self.kind(slice) == EventKind::PythonFunction)
            .then(|| self.slices.id_b.get(slice))
            .flatten()
    }

    /// The track of a (pid, tid), where there is one.
    pub fn track_number(&self, pid: TrackId, tid: TrackId) -> Option<usize> {
        self.tracks.binary_search_by_key(&(pid, tid), |track| (track.pid, track.tid)).ok()
    }

    /// The track of a slice, by binary search.
    pub fn track_of(&self, slice: usize) -> usize {
        self.tracks.partition_point(|track| track.slices.end <= slice)
    }

    /// The device row of a slice.
    pub fn device_row(&self, slice: usize) -> Option<&DeviceRow> {
        find_row(&self.device_rows, slice, |row| row.slice)
    }

    /// The copy row of a slice.
    pub fn copy_row(&self, slice: usize) -> Option<&CopyRow> {
        find_row(&self.copies, slice, |row| row.slice)
    }

    /// The collective row of a slice.
    pub fn collective_row(&self, slice: usize) -> Option<&CollectiveRow> {
        find_row(&self.collectives, slice, |row| row.slice)
    }

    /// The operator row of a slice.
    pub fn op_row(&self, slice: usize) -> Option<&OpRow> {
        find_row(&self.ops, slice, |row| row.slice)
    }

    /// `Python module id` of the frame of an `nn.Module`.
    pub fn module_id(&self, slice: usize) -> Option<u64> {
        find_row(&self.modules, slice, |row| row.slice).map(|row| row.module_id)
    }

    /// The recorded inputs of a slice.
    pub fn shapes_of(&self, slice: usize) -> Option<&Shapes> {
        self.op_row(slice)?.shapes.map(|shapes| &self.shapes[shapes as usize])
    }

    /// Text of a pid or tid as a table shows it.
    pub fn track_id_text(&self, id: &TrackId) -> String {
        match id {
            TrackId::Int(v) => v.to_string(),
            TrackId::Text(s) => self.strings.get(*s).to_owned(),
        }
    }
}

/// The row of a slice in a side table sorted by slice.
fn find_row<T>(rows: &[T], slice: usize, slice_of: impl Fn(&T) -> u32) -> Option<&T> {
    rows.binary_search_by_key(&(slice as u32), slice_of).ok().map(|i| &rows[i])
}
