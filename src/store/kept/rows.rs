//! Which fields the rows of the side tables have, in the order of their words.

use super::words::{Packed, Packer, Unpacker, Word, packed};
use crate::store::{
    CollectiveRow, CopyRow, Counter, DeviceRow, Flow, FlowPhase, Instant, LaunchConfig, MemoryRow,
    ModuleRow, OpRow, Shapes, StrId, SyncRow, Track, TrackId,
};

packed! {
    Track {
        pid: TrackId, tid: TrackId, process_name: Option<StrId>, process_labels: Option<StrId>, thread_name: Option<StrId>,
        slices: std::ops::Range<usize>,
    }
    DeviceRow { slice: u32, device: Option<u32>, stream: Option<u32>, config: Option<u32> }
    SyncRow {
        slice: u32, is_stream_wait: bool, record_correlation: Option<u64>, on_stream: Option<u32>,
    }
    LaunchConfig {
        grid: [u32; 3], block: [u32; 3], registers: Option<u32>, shared_bytes: Option<u32>, occupancy_milli_pct: Option<u32>,
    }
    CopyRow { slice: u32, bytes: u64, from_device: Option<u32>, to_device: Option<u32> }
    CollectiveRow {
        slice: u32, name: StrId, dtype: Option<StrId>, in_elements: Option<u64>, out_elements: Option<u64>,
        group_size: Option<u32>, group_name: Option<StrId>, group_description: Option<StrId>, group_ranks: Option<StrId>,
        in_split: Option<StrId>, out_split: Option<StrId>, rank: Option<u32>, src_rank: Option<u32>, dst_rank: Option<u32>,
        seq: Option<u64>, comms_id: Option<StrId>,
    }
    OpRow {
        slice: u32, shapes: Option<u32>, forward_thread: Option<u32>, stack: Option<StrId>, modules: Option<StrId>,
    }
    Shapes { dims: Option<StrId>, types: Option<StrId>, strides: Option<StrId>, concrete: Option<StrId> }
    ModuleRow { slice: u32, module_id: u64 }
    Flow { ts_ns: i64, track: u32, category: StrId, id: u64, phase: FlowPhase }
    Counter { ts_ns: i64, track: u32, name: StrId, series: StrId, value: f64 }
    Instant { ts_ns: i64, track: u32, name: StrId, category: Option<StrId> }
    MemoryRow {
        instant: u32, bytes: i64, device_type: Option<i64>, device: Option<i64>, address: Option<u64>,
        total_allocated: Option<u64>, total_reserved: Option<u64>,
    }
}
