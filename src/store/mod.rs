//! The columnar, immutable event store of one input.
//!
//! Readers fill a [`ChunkBuilder`] per block of input; a [`StoreBuilder`] joins the chunks, and nothing changes a store
//! afterwards. Slices (complete events) are grouped by track and, within a track, sorted by start ascending, end
//! descending, file order: the order that nesting needs. What only some kinds of event have (launch configuration, bytes,
//! collectives, shapes) lives in side tables that name their slice.
//!
//! Nothing here knows a file format, and nothing here analyses.

mod asyncs;
mod build;
mod chunk;
mod classify;
mod clip;
mod column;
mod details;
mod edges;
mod flow_links;
mod kept;
mod losses;
mod of_kind;
mod order;
mod parts;
mod repairs;
mod snapshot;
mod strings;
mod tables;
mod writers;

pub use build::StoreBuilder;
pub use chunk::{AsyncEdge, Chunk, ChunkBuilder, LocalTrack, SliceRow, SpareChunks};
pub(crate) use column::CompactColumn;
pub use details::{
    Argument, ArgumentRow, AsideRow, CollectiveRow, CopyRow, DeviceRow, EventNumbers, Keep,
    LaunchConfig, MemoryRow, ModuleRow, OpRow, Shapes, SyncRow,
};
pub use kept::{Bytes, Section, Sections};
pub use losses::{LOSSES_KEY, carry_losses, report_losses, report_own_losses};
pub use parts::{
    ADDED_KEY, BASE_KEY, LANES_KEY, LAYOUT_KEY, ORIGINAL_KEY, PARTS_KEY, PERFETTO_METADATA, Part,
    PartProcess, PartThread, SHIFT_KEY, SLIM_KEY, UNITS_KEY, parts_of,
};
pub use repairs::Repairs;
pub use snapshot::{
    Action, AllocatorEvent, AllocatorSettings, Annotation, Block, BlockState, CallFrame,
    DeviceHistory, Segment, Snapshot,
};
pub use strings::{LocalStr, StrId, Strings};
pub use tables::{
    Counter, CounterUnit, DeviceProperties, Distributed, Flow, FlowPhase, Instant, Layout, Slices,
    Store, TraceMeta, Track, TrackId,
};
