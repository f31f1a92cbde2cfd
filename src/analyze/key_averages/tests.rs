//! Small hand-made traces, one rule each.

use super::{
    Choice, DeviceType, KeyAverages, KeyAveragesConfig, key_averages, key_averages_excluding,
};
use crate::diag::Reporter;
use crate::store::{ChunkBuilder, DeviceRow, Layout, SliceRow, Store, TraceMeta, TrackId};

struct Event {
    category: &'static str,
    name: &'static str,
    tid: i128,
    interval: (i64, i64),
    correlation: Option<u64>,
    external_id: Option<u64>,
}

fn event(category: &'static str, name: &'static str, tid: i128, interval: (i64, i64)) -> Event {
    Event { category, name, tid, interval, correlation: None, external_id: None }
}

impl Event {
    fn ids(self, correlation: u64, external_id: u64) -> Self {
        let external_id = (external_id != 0).then_some(external_id);
        Self { correlation: Some(correlation), external_id, ..self }
    }
}

fn store_of(events: &[Event], layout: Layout) -> Store {
    let mut builder = ChunkBuilder::default();
    for e in events {
        let on_device = ["kernel", "gpu_memcpy", "gpu_user_annotation"].contains(&e.category);
        let pid = match e.category {
            "overhead" => -1,
            _ if on_device => 0,
            _ => 100,
        };
        let track = builder.track(TrackId::Int(pid), TrackId::Int(e.tid));
        let name = builder.string(e.name);
        let category = builder.string(e.category);
        let slice = builder.slice(SliceRow {
            ts_ns: e.interval.0,
            dur_ns: e.interval.1 - e.interval.0,
            name,
            category,
            track,
            id_a: e.correlation,
            id_b: e.external_id,
        });
        if on_device {
            let row = DeviceRow { slice, device: Some(0), stream: Some(7), config: None };
            builder.device_row(row, None);
        }
    }
    let meta = TraceMeta { base_time_ns: Some(1), layout, ..TraceMeta::default() };
    Store::build(vec![builder.finish()], meta, &mut Reporter::default())
}

/// (count, self cpu, cpu total, self device, device total) of a row.
fn cells(table: &KeyAverages, name: &str, device: DeviceType) -> [i64; 5] {
    let row = table.rows.iter().find(|r| r.name == name && r.device_type == device);
    let row = row.unwrap_or_else(|| panic!("no row {name}: {:?}", table.rows));
    let count = row.count as i64;
    [count, row.self_cpu_ns, row.cpu_total_ns, row.self_device_ns, row.device_total_ns]
}

fn averages(events: &[Event]) -> KeyAverages {
    key_averages(&store_of(events, Layout::KinetoOld), &KeyAveragesConfig::default())
}

#[test]
fn kernels_belong_to_the_operator_and_to_all_above() {
    let table = averages(&[
        event("user_annotation", "step", 100, (0, 100)).ids(0, 1),
        event("cpu_op", "mm", 100, (10, 50)).ids(0, 2),
        event("cuda_runtime", "cudaLaunchKernel", 100, (20, 30)).ids(9, 2),
        event("kernel", "gemm", 7, (200, 260)).ids(9, 2),
        event("gpu_user_annotation", "step", 7, (199, 261)).ids(1, 1),
    ]);
    assert_eq!(cells(&table, "mm", DeviceType::Cpu), [1, 30, 40, 60, 60]);
    assert_eq!(cells(&table, "step", DeviceType::Cpu), [1, 60, 100, 0, 60]);
    assert_eq!(cells(&table, "gemm", DeviceType::Device), [1, 0, 0, 60, 60]);
    assert_eq!(cells(&table, "step", DeviceType::Device), [1, 0, 0, 60, 60]);
    assert_eq!((table.self_cpu_ns, table.self_device_ns), (100, 60));
}

#[test]
fn an_only_child_of_the_same_name_is_folded_with_its_kernels() {
    let table = averages(&[
        event("cpu_op", "to", 100, (0, 100)).ids(0, 1),
        event("cpu_op", "to", 100, (10, 90)).ids(0, 2),
        event("cpu_op", "copy", 100, (20, 60)).ids(0, 3),
        event("kernel", "k", 7, (200, 207)).ids(5, 2),
    ]);
    assert_eq!(cells(&table, "to", DeviceType::Cpu), [1, 60, 100, 7, 7]);
    assert_eq!(cells(&table, "copy", DeviceType::Cpu), [1, 40, 40, 0, 0]);
    let two = averages(&[
        event("cpu_op", "to", 100, (0, 100)),
        event("cpu_op", "to", 100, (10, 20)),
        event("cpu_op", "to", 100, (30, 40)),
    ]);
    assert_eq!(cells(&two, "to", DeviceType::Cpu), [3, 100, 120, 0, 0]);
}

#[test]
fn unlinked_calls_count_on_the_thread_that_stopped_the_profiler() {
    let table = averages(&[
        event("cpu_op", "work", 100, (0, 100)).ids(0, 1),
        event("cuda_runtime", "cudaDeviceSynchronize", 100, (110, 120)).ids(50, 0),
        event("cuda_runtime", "cudaEventQuery", 652_076_736, (10, 15)).ids(51, 0),
        event("overhead", "Buffer Flush", 0, (40, 60)),
    ]);
    assert_eq!(cells(&table, "work", DeviceType::Cpu), [1, 75, 100, 0, 0]);
    assert_eq!(cells(&table, "cudaEventQuery", DeviceType::Cpu), [1, 5, 5, 0, 0]);
}

#[test]
fn overhead_and_false_correlations_take_kernels_again_only_in_compat() {
    let events = || {
        [
            event("cpu_op", "mm", 100, (0, 100)).ids(0, 7),
            event("overhead", "Lazy Function Loading", 0, (10, 20)),
            event("cuda_runtime", "cudaEventQuery", 100, (110, 115)).ids(7, 0),
            event("kernel", "gemm", 7, (200, 230)).ids(9, 7),
        ]
    };
    let old = averages(&events());
    assert!(old.torch_compat);
    assert_eq!(cells(&old, "Lazy Function Loading", DeviceType::Cpu), [1, 10, 10, 30, 30]);
    assert_eq!(cells(&old, "cudaEventQuery", DeviceType::Cpu), [1, 5, 5, 30, 30]);
    assert_eq!(cells(&old, "mm", DeviceType::Cpu), [1, 90, 100, 30, 60]);
    let store = store_of(&events(), Layout::KinetoOld);
    let config = KeyAveragesConfig { torch_compat: Choice::No, ..KeyAveragesConfig::default() };
    let new = key_averages(&store, &config);
    assert_eq!(cells(&new, "Lazy Function Loading", DeviceType::Cpu), [1, 10, 10, 0, 0]);
    assert_eq!(cells(&new, "cudaEventQuery", DeviceType::Cpu), [1, 5, 5, 0, 0]);
    assert_eq!(cells(&new, "mm", DeviceType::Cpu), [1, 90, 100, 30, 30]);
    assert_eq!(old.self_device_ns, new.self_device_ns);
}

#[test]
fn collectives_are_outside_the_nesting_and_steps_are_one_row() {
    let table = averages(&[
        event("user_annotation", "ProfilerStep#3", 100, (0, 100)),
        event("user_annotation", "nccl:all_reduce", 100, (10, 20)),
        event("user_annotation", "ProfilerStep#4", 100, (100, 150)),
        event("cpu_op", "aten::is_leaf", 100, (120, 130)),
    ]);
    assert_eq!(cells(&table, "nccl:all_reduce", DeviceType::Cpu), [1, 0, 10, 0, 0]);
    assert_eq!(cells(&table, "ProfilerStep*", DeviceType::Cpu), [2, 150, 150, 0, 0]);
    assert_eq!(table.rows.len(), 2);
}

#[test]
fn python_frames_are_rows_where_the_writer_had_them() {
    let events = [
        event("python_function", "f.py(1): f", 100, (0, 100)),
        event("cpu_op", "mm", 100, (10, 50)),
    ];
    let new = key_averages(&store_of(&events, Layout::KinetoNew), &KeyAveragesConfig::default());
    assert!(new.python_rows);
    assert_eq!(cells(&new, "f.py(1): f", DeviceType::Cpu), [1, 60, 100, 0, 0]);
    let old = key_averages(&store_of(&events, Layout::KinetoOld), &KeyAveragesConfig::default());
    assert_eq!(old.rows.len(), 1);
    let asked = KeyAveragesConfig { python_rows: Choice::Yes, ..KeyAveragesConfig::default() };
    assert_eq!(key_averages(&store_of(&events, Layout::KinetoOld), &asked).rows, new.rows);
}

#[test]
fn a_total_loses_exactly_what_is_excluded_inside_it() {
    let events = [event("cpu_op", "outer", 100, (0, 100)), event("cpu_op", "inner", 100, (10, 60))];
    let store = store_of(&events, Layout::KinetoOld);
    // 40..80 is a wait: 40 ns of it in the outer event, 20 ns in the inner.
    let overlap = |slice: usize| {
        let (start, end) = (store.slices.ts_ns[slice], store.slices.end_ns(slice));
        (end.min(80) - start.max(40)).max(0)
    };
    let config = KeyAveragesConfig::default();
    let table = key_averages_excluding(&store, &config, Some(&overlap));
    assert_eq!(cells(&table, "outer", DeviceType::Cpu), [1, 30, 60, 0, 0]);
    assert_eq!(cells(&table, "inner", DeviceType::Cpu), [1, 30, 30, 0, 0]);
    assert_eq!((table.self_cpu_ns, table.excluded_self_cpu_ns), (60, 40));
}
