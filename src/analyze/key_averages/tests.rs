//! Small hand-made traces, one rule each.

use proptest::prelude::*;

use super::{
    Choice, DeviceType, KeyAverages, KeyAveragesConfig, LinkSource, PIECE_SLICES, in_pieces,
    key_averages, key_averages_excluding,
};
use crate::diag::Reporter;
use crate::store::{ChunkBuilder, DeviceRow, Layout, SliceRow, Store, TraceMeta, TrackId};

#[derive(Debug)]
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
    store_with(events, TraceMeta { base_time_ns: Some(1), layout, ..TraceMeta::default() })
}

fn store_with(events: &[Event], meta: TraceMeta) -> Store {
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
    Store::build(vec![builder.finish()], meta, &mut Reporter::default())
}

/// (count, self cpu, cpu total, self device, device total) of a row.
fn cells(table: &KeyAverages, name: &str, device: DeviceType) -> [i64; 5] {
    let row = table.rows.iter().find(|r| r.name == name && r.device_type == device);
    let row = row.unwrap_or_else(|| panic!("no row {name}: {:?}", table.rows));
    let count = row.count as i64;
    [
        count,
        row.self_cpu_ns,
        row.cpu_total_ns,
        row.self_device_ns.unwrap_or(0),
        row.device_total_ns.unwrap_or(0),
    ]
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

/// Writers of 2021 to February 2024: `External id` of calls and device events is their correlation.
#[test]
fn operators_are_told_by_nesting_where_ids_are_correlations() {
    let events = [
        event("cpu_op", "outer", 100, (0, 100)).ids(0, 1),
        event("cpu_op", "inner", 100, (10, 50)).ids(0, 2),
        event("cuda_runtime", "cudaLaunchKernel", 100, (20, 30)).ids(901, 901),
        event("cuda_runtime", "cudaLaunchKernel", 100, (60, 70)).ids(902, 902),
        event("cpu_op", "other thread", 101, (0, 100)).ids(0, 3),
        event("cuda_runtime", "cudaMemsetAsync", 101, (5, 15)).ids(903, 903),
        event("cuda_runtime", "cudaLaunchKernel", 101, (200, 210)).ids(1, 1),
        event("kernel", "a", 7, (200, 207)).ids(901, 901),
        event("kernel", "b", 7, (300, 311)).ids(902, 902),
        event("kernel", "c", 7, (400, 413)).ids(903, 903),
        // The correlation of a call outside operators is the id of one elsewhere.
        event("kernel", "d", 7, (500, 517)).ids(1, 1),
        // No call.
        event("kernel", "e", 7, (600, 619)).ids(904, 904),
    ];
    for base_time_ns in [None, Some(1)] {
        let meta = TraceMeta { base_time_ns, ..TraceMeta::default() };
        let table = key_averages(&store_with(&events, meta), &KeyAveragesConfig::default());
        assert_eq!((table.link_source, table.n_without_call), (LinkSource::Nesting, 1));
        assert_eq!(cells(&table, "inner", DeviceType::Cpu), [1, 30, 40, 7, 7]);
        assert_eq!(cells(&table, "outer", DeviceType::Cpu), [1, 50, 100, 11, 18]);
        assert_eq!(cells(&table, "other thread", DeviceType::Cpu), [1, 90, 100, 13, 13]);
        assert_eq!(cells(&table, "cudaLaunchKernel", DeviceType::Cpu), [3, 30, 30, 0, 0]);
    }
}

/// Writers of February to October 2024 put its correlation only on what no operator launched.
#[test]
fn an_unlinked_event_is_not_linked_by_chance() {
    let table = averages(&[
        event("cpu_op", "linked", 100, (0, 100)).ids(0, 1),
        event("cuda_runtime", "cudaLaunchKernel", 100, (20, 30)).ids(50, 1),
        event("kernel", "a", 7, (200, 207)).ids(50, 1),
        event("cpu_op", "its own", 100, (110, 120)).ids(0, 60),
        event("cuda_runtime", "cudaLaunchKernel", 100, (112, 115)).ids(60, 60),
        event("kernel", "b", 7, (300, 311)).ids(60, 60),
        event("cpu_op", "elsewhere", 100, (130, 140)).ids(0, 70),
        event("cuda_runtime", "cudaGraphLaunch", 100, (150, 160)).ids(70, 70),
        event("kernel", "c", 7, (400, 413)).ids(70, 70),
    ]);
    assert_eq!(table.link_source, LinkSource::ExternalId);
    assert_eq!(cells(&table, "linked", DeviceType::Cpu), [1, 90, 100, 7, 7]);
    assert_eq!(cells(&table, "its own", DeviceType::Cpu), [1, 7, 10, 11, 11]);
    assert_eq!(cells(&table, "elsewhere", DeviceType::Cpu), [1, 10, 10, 0, 0]);
}

#[test]
fn unknown_device_time_is_not_zero() {
    let mut events = vec![
        event("cpu_op", "mm", 100, (0, 100)).ids(0, 1),
        event("kernel", "a", 7, (200, 207)),
        event("cuda_runtime", "cudaLaunchKernel", 200, (20, 30)).ids(50, 0),
        event("kernel", "b", 7, (300, 311)).ids(50, 0),
    ];
    let table = averages(&events);
    assert_eq!(table.link_source, LinkSource::NotRecorded);
    for row in &table.rows {
        assert_eq!(row.self_device_ns.is_some(), row.device_type == DeviceType::Device, "{row:?}");
    }
    // A launch beside the operators of its thread is known to be in none.
    events.push(event("cuda_runtime", "cudaGraphLaunch", 100, (120, 130)).ids(51, 0));
    events.push(event("kernel", "c", 7, (400, 413)).ids(51, 0));
    let table = averages(&events);
    assert_eq!(table.link_source, LinkSource::ExternalId);
    assert_eq!(cells(&table, "mm", DeviceType::Cpu), [1, 90, 100, 0, 0]);
}

/// The margin of an annotation's span on a device, in every way that writers drew it.
#[test]
fn a_span_on_a_device_is_as_long_as_what_it_holds() {
    for (early_ns, late_ns) in [(1, 1), (1_000, 500), (1_000, 0), (1, 0), (0, 0)] {
        for base_time_ns in [None, Some(1)] {
            let events = [
                event("gpu_user_annotation", "step", 7, (20_000 - early_ns, 33_000 + late_ns)),
                event("kernel", "a", 7, (20_000, 27_000)),
                event("kernel", "b", 7, (28_000, 33_000)),
                event("kernel", "c", 7, (50_000, 60_000)),
            ];
            let meta = TraceMeta { base_time_ns, ..TraceMeta::default() };
            let table = key_averages(&store_with(&events, meta), &KeyAveragesConfig::default());
            let row = cells(&table, "step", DeviceType::Device);
            assert_eq!(row, [1, 0, 0, 13_000, 13_000], "{early_ns} {late_ns}");
        }
    }
}

/// An asynchronous range ends elsewhere: what its thread does meanwhile is not inside it.
#[test]
fn nothing_is_excluded_of_an_asynchronous_range() {
    let events = [
        event("user_annotation", "nccl:all_reduce", 100, (0, 100)),
        event("cuda_runtime", "cudaLaunchKernel", 100, (10, 60)),
    ];
    let store = store_of(&events, Layout::KinetoOld);
    let inside = |slice: usize| if slice == 1 { 50 } else { 50.min(store.slices.dur_ns(slice)) };
    let config = KeyAveragesConfig::default();
    let table = key_averages_excluding(&store, &config, Some(&inside));
    assert_eq!(cells(&table, "nccl:all_reduce", DeviceType::Cpu), [1, 0, 100, 0, 0]);
    assert_eq!((table.self_cpu_ns, table.excluded_self_cpu_ns), (0, 50));
}

/// An event of one of several kinds: nested, crossing, moved to another thread, ending elsewhere, on a device.
fn any_event() -> impl Strategy<Value = Event> {
    let kinds = prop::sample::select(vec![
        ("cpu_op", "mm"),
        ("cpu_op", "to"),
        ("user_annotation", "step"),
        ("user_annotation", "nccl:all_reduce"),
        ("python_function", "f.py(1): f"),
        ("cuda_runtime", "cudaLaunchKernel"),
        ("cuda_runtime", "cudaDeviceSynchronize"),
        ("overhead", "Buffer Flush"),
        ("kernel", "gemm"),
    ]);
    (kinds, 100..103_i128, 0..400_i64, 0..30_i64, 0..20_u64).prop_map(
        |((category, name), tid, start, dur, id)| {
            event(category, name, tid, (start, start + dur)).ids(id, id / 2)
        },
    )
}

proptest! {
    #[test]
    fn pieces_of_a_thread_sum_up_to_it(
        events in prop::collection::vec(any_event(), 1..120),
        python in any::<bool>(),
        piece_slices in 1..20_usize,
    ) {
        let store = store_of(&events, Layout::KinetoOld);
        let python_rows = if python { Choice::Yes } else { Choice::No };
        let config = KeyAveragesConfig { python_rows, ..KeyAveragesConfig::default() };
        let excluded = |slice: usize| store.slices.dur_ns(slice) / 3;
        let whole = in_pieces(&store, &config, Some(&excluded), PIECE_SLICES);
        prop_assert_eq!(in_pieces(&store, &config, Some(&excluded), piece_slices), whole);
    }
}
