//! Random traces: the one-pass tree against torch's own loops over explicit parents.
//!
//! Intervals nest, cross, touch, coincide and are empty; calls are linked, unlinked or falsely correlated; overhead and
//! kernels lie anywhere; few names, so that folding and rows of several threads happen all the time.

use omni_trace::analyze::key_averages::{
    Choice, DeviceType, KeyAveragesConfig, LinkSource, key_averages, torch_times,
};
use omni_trace::diag::Reporter;
use omni_trace::store::{ChunkBuilder, DeviceRow, Layout, SliceRow, Store, TraceMeta, TrackId};
use proptest::prelude::*;

#[derive(Clone, Debug)]
struct Event {
    category: &'static str,
    name: &'static str,
    thread: i128,
    start_ns: i64,
    dur_ns: i64,
    correlation: u64,
    external_id: u64,
}

fn event() -> impl Strategy<Value = Event> {
    let category = prop::sample::select(vec![
        "cpu_op",
        "cpu_op",
        "cpu_op",
        "user_annotation",
        "python_function",
        "cuda_runtime",
        "overhead",
        "kernel",
        "gpu_user_annotation",
    ]);
    let name = prop::sample::select(vec!["a", "b", "nccl:all_reduce", "ProfilerStep#1"]);
    (category, name, 1..4_i128, 0..40_i64, 0..20_i64, 0..12_u64, 0..12_u64).prop_map(
        |(category, name, thread, start_ns, dur_ns, correlation, external_id)| Event {
            category,
            name,
            thread,
            start_ns,
            dur_ns,
            correlation,
            external_id,
        },
    )
}

/// Events in the order of torch's files: what it recorded itself, then what the device's profiler gave.
fn store_of(events: &[Event]) -> Store {
    let mut builder = ChunkBuilder::default();
    let is_call = |event: &Event| ["cuda_runtime", "overhead"].contains(&event.category);
    let (calls, recorded): (Vec<&Event>, Vec<&Event>) = events.iter().partition(|e| is_call(e));
    for event in recorded.into_iter().chain(calls) {
        let on_device = ["kernel", "gpu_user_annotation"].contains(&event.category);
        let pid = match event.category {
            "overhead" => -1,
            _ if on_device => 0,
            _ => 1,
        };
        let track = builder.track(TrackId::Int(pid), TrackId::Int(event.thread));
        let name = builder.string(event.name);
        let category = builder.string(event.category);
        let slice = builder.slice(SliceRow {
            ts_ns: event.start_ns,
            dur_ns: event.dur_ns,
            name,
            category,
            track,
            id_a: Some(event.correlation),
            id_b: Some(event.external_id),
        });
        if on_device {
            let row = DeviceRow { slice, device: Some(0), stream: None, config: None };
            builder.device_row(row, None);
        }
    }
    let meta =
        TraceMeta { base_time_ns: Some(1), layout: Layout::KinetoOld, ..TraceMeta::default() };
    Store::build(vec![builder.finish()], meta, &mut Reporter::default())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_tree_equals_torchs_own_loops(
        events in prop::collection::vec(event(), 0..60),
        python in any::<bool>(),
        compat in any::<bool>(),
    ) {
        let choice = |yes: bool| if yes { Choice::Yes } else { Choice::No };
        let store = store_of(&events);
        let config = KeyAveragesConfig {
            python_rows: choice(python),
            torch_compat: choice(compat),
            ..KeyAveragesConfig::default()
        };
        let table = key_averages(&store, &config);
        let times = torch_times(&store, &config, &table);
        for (row, times) in table.rows.iter().zip(&times) {
            let ns = |us: f64| (us * 1_000.0).round() as i64;
            prop_assert_eq!(row.self_cpu_ns, ns(times.self_cpu_us), "{:?}", row);
            prop_assert_eq!(row.cpu_total_ns, ns(times.cpu_total_us), "{:?}", row);
            let device = [row.self_device_ns, row.device_total_ns];
            if device == [None, None] {
                // Where nothing tells what launched a kernel, torch's loops still sum what has an operator's number by chance.
                let is_host = row.device_type == DeviceType::Cpu;
                prop_assert!(is_host && table.link_source == LinkSource::NotRecorded, "{:?}", row);
                continue;
            }
            let times = [times.self_device_us, times.device_total_us].map(|us| Some(ns(us)));
            prop_assert_eq!(device, times, "{:?}", row);
        }
    }
}
