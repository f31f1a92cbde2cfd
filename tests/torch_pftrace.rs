//! Perfetto traces of torch's own writer: all begins, then all ends, unsorted; work of devices as render stages.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;
mod program;

use std::collections::BTreeMap;
use std::path::Path;

use common::Random;
use omni_trace::read::{ReadOptions, read_input};
use omni_trace_proto::perfetto::gpu_render_stage_event::{
    ComputeKernelLaunch, Dim3, ExtraComputeArg, ExtraData,
};
use omni_trace_proto::perfetto::{
    ClockSnapshot, DebugAnnotation, EventCategory, EventName, GpuCorrelation, GpuCounterDescriptor,
    GpuCounterEvent, GpuRenderStageEvent, InternedComputeArgName, InternedComputeKernel,
    InternedData, InternedGpuCounterDescriptor, InternedGpuRenderStageSpecification,
    ProcessDescriptor, ThreadDescriptor, Trace, TracePacket, TrackDescriptor, TrackEvent,
    clock_snapshot::Clock, gpu_counter_descriptor::GpuCounterSpec, gpu_counter_event::GpuCounter,
};
use omni_trace_proto::prost::Message as _;
use program::omni_trace;
use serde_json::{Value, json};

const BASE_NS: u64 = 1_790_000_000_000_000_000;

fn analyzed(path: &Path) -> Value {
    let output = omni_trace(&["analyze", path.to_str().unwrap(), "--format", "json"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn cases_torch_order_and_sorted_are_the_same() {
    let Some(dir) = common::shared_cases() else { return };
    let [torch, sorted] = ["torch_order", "sorted"].map(|name| {
        let json = analyzed(&dir.join(format!("torch_pftrace/{name}.pftrace")));
        let rows = json["key_averages"].as_array().unwrap().iter();
        rows.map(|r| (r["name"].as_str().unwrap().to_owned(), r["self_cpu_ns"].as_i64().unwrap()))
            .collect::<BTreeMap<_, _>>()
    });
    assert_eq!(torch, sorted);
    let expected = [("op_a", 1000), ("op_b", 1000), ("op_c", 500)];
    assert_eq!(torch, expected.map(|(name, ns)| (name.to_owned(), ns)).into());
}

#[test]
fn case_kernel_has_one_kernel() {
    let Some(dir) = common::shared_cases() else { return };
    let path = dir.join("torch_pftrace/kernel.pftrace");
    let json = analyzed(&path);
    let kernels = json["kernels"].as_array().unwrap();
    assert_eq!(kernels.len(), 1);
    let row = &kernels[0];
    assert_eq!(
        (&row["name"], &row["count"], &row["sum_ns"]),
        (&"my_kernel".into(), &1.into(), &700.into())
    );
    let store = read_input(&path, &ReadOptions::default()).unwrap().store;
    let row = store.device_rows[0];
    assert_eq!((row.device, row.stream), (Some(0), Some(7)));
    assert_eq!(store.correlation(row.slice as usize), Some(42));
}

// What torch's writer makes of a small run: two operators, two launches, a kernel, a copy, an annotation, a synchronization,
// overhead, a counter.

fn annotation(name: &str, value: i64) -> DebugAnnotation {
    DebugAnnotation {
        name: Some(name.into()),
        int_value: Some(value),
        ..DebugAnnotation::default()
    }
}

fn text(name: &str, value: &str) -> DebugAnnotation {
    let string_value = Some(value.to_owned());
    DebugAnnotation { name: Some(name.into()), string_value, ..DebugAnnotation::default() }
}

fn packet(time_ns: Option<u64>) -> TracePacket {
    TracePacket {
        timestamp: time_ns.map(|ns| BASE_NS + ns),
        trusted_packet_sequence_id: Some(1),
        sequence_flags: time_ns.map(|_| 2),
        ..TracePacket::default()
    }
}

fn process(uuid: u64, pid: i32, name: &str) -> TracePacket {
    let process = ProcessDescriptor {
        pid: Some(pid),
        process_name: Some(name.into()),
        ..ProcessDescriptor::default()
    };
    TracePacket {
        track_descriptor: Some(TrackDescriptor {
            uuid: Some(uuid),
            process: Some(process),
            ..TrackDescriptor::default()
        }),
        ..TracePacket::default()
    }
}

fn thread(uuid: u64, parent: u64, pid: i32, tid: i64, name: &str) -> TracePacket {
    let thread = ThreadDescriptor {
        pid: Some(pid),
        tid: Some(tid),
        thread_name: Some(name.into()),
        ..ThreadDescriptor::default()
    };
    TracePacket {
        track_descriptor: Some(TrackDescriptor {
            uuid: Some(uuid),
            parent_uuid: Some(parent),
            thread: Some(thread),
            ..TrackDescriptor::default()
        }),
        ..TracePacket::default()
    }
}

/// A slice: track, start, end, name, category (0 for none), what it started, arguments.
struct Slice(u64, u64, u64, u64, u64, Vec<u64>, Vec<DebugAnnotation>);

/// All begins, then all ends, as torch writes each of its groups.
fn group(slices: Vec<Slice>, into: &mut Vec<TracePacket>) {
    for Slice(track, start, _, name, category, stages, arguments) in &slices {
        let launch = (!stages.is_empty())
            .then(|| GpuCorrelation { render_stage_submission_event_ids: stages.clone() });
        let event = TrackEvent {
            r#type: Some(1),
            track_uuid: Some(*track),
            name_iid: Some(*name),
            category_iids: Some(*category).filter(|&iid| iid > 0).into_iter().collect(),
            debug_annotations: arguments.clone(),
            gpu_correlation: launch,
            ..TrackEvent::default()
        };
        into.push(TracePacket { track_event: Some(event), ..packet(Some(*start)) });
    }
    for Slice(track, _, end, ..) in slices {
        let event =
            TrackEvent { r#type: Some(2), track_uuid: Some(track), ..TrackEvent::default() };
        let flags = None;
        into.push(TracePacket {
            track_event: Some(event),
            sequence_flags: flags,
            ..packet(Some(end))
        });
    }
}

/// A counter: number, name, units above and below the line, groups.
type Described<'a> = (u32, &'a str, &'a [i32], &'a [i32], &'a [i32]);

fn interned() -> TracePacket {
    let names = [
        "aten::mm",
        "aten::copy_",
        "step",
        "cudaLaunchKernel",
        "cudaMemcpyAsync",
        "Stream Sync",
        "Buffer Flush",
        "gemm",
        "cudaStreamSynchronize",
    ];
    let stages = ["Kernel", "Memcpy", "Memset", "Annotation", "[7] stream 7", "[20] DP"];
    let numbered = |n: usize| Some(n as u64 + 1);
    let event_names = names.iter().enumerate();
    // Watts of the system; bytes by second, of memory and compute; one that says nothing.
    let specs: [Described<'_>; 3] = [
        (0, "Power (W)", &[29], &[], &[1]),
        (1, "Traffic", &[7], &[22], &[5, 6]),
        (2, "Cycles", &[], &[], &[]),
    ];
    let specs = specs.map(|(id, name, above, below, groups)| GpuCounterSpec {
        counter_id: Some(id),
        name: Some(name.into()),
        numerator_units: above.into(),
        denominator_units: below.into(),
        groups: groups.into(),
    });
    TracePacket {
        sequence_flags: Some(1),
        interned_data: Some(InternedData {
            event_names: event_names
                .map(|(n, name)| EventName { iid: numbered(n), name: Some((*name).into()) })
                .collect(),
            event_categories: ["cpu_op", "cuda_runtime", "user_annotation"]
                .iter()
                .enumerate()
                .map(|(n, name)| EventCategory { iid: numbered(n), name: Some((*name).into()) })
                .collect(),
            gpu_specifications: stages
                .iter()
                .enumerate()
                .map(|(n, name)| InternedGpuRenderStageSpecification {
                    iid: numbered(n),
                    name: Some((*name).into()),
                    category: Some(if n == 0 { 2 } else { 0 }),
                    ..InternedGpuRenderStageSpecification::default()
                })
                .collect(),
            gpu_counter_descriptors: vec![InternedGpuCounterDescriptor {
                iid: Some(1),
                gpu_id: Some(1),
                counter_descriptor: Some(GpuCounterDescriptor { specs: specs.into() }),
            }],
            compute_kernels: vec![InternedComputeKernel {
                iid: Some(1),
                demangled_name: Some("gemm".into()),
                ..InternedComputeKernel::default()
            }],
            compute_arg_names: vec![InternedComputeArgName {
                iid: Some(1),
                name: Some("registers_per_thread".into()),
            }],
            ..InternedData::default()
        }),
        ..packet(None)
    }
}

fn extra(data: &[(&str, &str)]) -> Vec<ExtraData> {
    let pair = |(name, value): &(&str, &str)| ExtraData {
        name: Some((*name).into()),
        value: Some((*value).into()),
    };
    data.iter().map(pair).collect()
}

/// Work of device 1: start, length, kind, queue, number, arguments.
fn stage(
    start: u64,
    dur: u64,
    kind: u64,
    queue: u64,
    id: u64,
    data: &[(&str, &str)],
) -> TracePacket {
    let is_kernel = kind == 1;
    let launch = ComputeKernelLaunch {
        grid_size: Some(Dim3 { x: Some(4), y: Some(2), z: Some(1) }),
        workgroup_size: Some(Dim3 { x: Some(128), y: Some(1), z: Some(1) }),
        args: vec![ExtraComputeArg {
            name_iid: Some(1),
            uint_value: Some(40),
            ..ExtraComputeArg::default()
        }],
    };
    let event = GpuRenderStageEvent {
        event_id: Some(id),
        duration: Some(dur),
        gpu_id: Some(1),
        hw_queue_iid: Some(queue),
        stage_iid: Some(kind),
        name_iid: match kind {
            1 => Some(8),
            4 => Some(3),
            _ => None,
        },
        kernel_iid: is_kernel.then_some(1),
        launch: is_kernel.then_some(launch),
        extra_data: extra(data),
        ..GpuRenderStageEvent::default()
    };
    TracePacket { gpu_render_stage_event: Some(event), ..packet(Some(start)) }
}

fn sample(time: u64, id: u32, value: f64) -> TracePacket {
    let counter = GpuCounter { counter_id: Some(id), double_value: Some(value), int_value: None };
    TracePacket {
        gpu_counter_event: Some(GpuCounterEvent {
            counter_descriptor_iid: Some(1),
            counters: vec![counter],
            ..GpuCounterEvent::default()
        }),
        ..packet(Some(time))
    }
}

/// The packets; the first `n` must come before the others.
fn run() -> (Vec<TracePacket>, usize) {
    let clock =
        |clock_id| Clock { clock_id: Some(clock_id), timestamp: Some(BASE_NS), ..Clock::default() };
    let snapshot = ClockSnapshot { clocks: vec![clock(6), clock(1)], ..ClockSnapshot::default() };
    let first = vec![interned()];
    let n_first = first.len();
    let mut packets = first;
    packets.push(TracePacket { clock_snapshot: Some(snapshot), ..packet(None) });
    packets.push(process(1, 100, "python"));
    packets.push(thread(2, 1, 100, 101, "main"));
    packets.push(process(3, i32::MAX, "Overhead"));
    packets.push(thread(4, 3, i32::MAX, 0, "Overhead"));
    packets.push(process(5, 1, "GPU 1"));
    packets.push(thread(6, 5, 1, 7, "stream 7"));
    let op = |id| vec![annotation("External id", id), annotation("Ev Idx", id)];
    group(
        vec![
            Slice(2, 1_000, 9_000, 1, 1, vec![], op(1)),
            Slice(2, 9_000, 12_000, 2, 1, vec![], op(2)),
            Slice(2, 500, 20_000, 3, 3, vec![], op(3)),
        ],
        &mut packets,
    );
    let call = |correlation| vec![annotation("cbid", 211), annotation("correlation", correlation)];
    group(
        vec![
            Slice(2, 3_000, 4_000, 4, 2, vec![70], call(41)),
            Slice(2, 9_500, 10_000, 5, 2, vec![71], call(42)),
            Slice(2, 13_000, 18_000, 9, 2, vec![], call(43)),
        ],
        &mut packets,
    );
    group(vec![Slice(4, 2_000, 2_500, 7, 0, vec![], vec![])], &mut packets);
    let sync = vec![annotation("stream", 7), text("cuda_sync_kind", "Stream Sync")];
    group(vec![Slice(6, 16_000, 17_000, 6, 0, vec![], sync)], &mut packets);
    packets.push(stage(4_500, 6_000, 1, 5, 70, &[("device id", "1"), ("stream id", "7")]));
    let copied = [("device id", "1"), ("stream id", "7"), ("correlation", "42"), ("bytes", "4096")];
    packets.push(stage(12_000, 4_000, 2, 6, 71, &copied));
    packets.push(stage(4_500, 11_500, 4, 5, 72, &[("stream id", "7")]));
    packets.push(sample(3_000, 0, 312.5));
    packets.push(sample(4_500, 1, 9000.0));
    packets.push(sample(4_500, 2, 7.0));
    (packets, n_first)
}

/// What a store holds, whatever the order of its rows.
fn contents(packets: &[TracePacket]) -> (Vec<String>, Value) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run.pftrace");
    std::fs::write(&path, Trace { packet: packets.to_vec() }.encode_to_vec()).unwrap();
    let out = dir.path().join("slim.json");
    let args = ["slim", path.to_str().unwrap(), "--keep-waits", "-q", "-o", out.to_str().unwrap()];
    assert!(omni_trace(&args).status.success());
    let mut lines: Vec<String> = std::fs::read_to_string(&out)
        .unwrap()
        .lines()
        .map(|line| line.trim_end_matches(',').to_owned())
        .collect();
    lines.sort();
    let mut json = analyzed(&path);
    for input in json["inputs"].as_array_mut().unwrap() {
        input["path"] = Value::Null;
    }
    // Where the first of a kind stands depends on the order.
    for issue in json["issues"].as_array_mut().unwrap() {
        issue["first_offset"] = Value::Null;
    }
    (lines, json)
}

#[test]
fn a_run_of_torch_is_read() {
    let (packets, _) = run();
    let (lines, json) = contents(&packets);
    let find = |part: &str| lines.iter().filter(|line| line.contains(part)).collect::<Vec<_>>();
    assert_eq!(find(&format!("\"baseTimeNanoseconds\": {BASE_NS}")).len(), 1, "{lines:#?}");
    let kernel = find("\"cat\":\"kernel\"");
    assert_eq!(kernel.len(), 1, "{lines:#?}");
    for part in [
        "\"name\":\"gemm\",\"pid\":1,\"tid\":7,",
        "\"dur\":6.000",
        "\"device\":1,\"stream\":7",
        "\"grid\":[4, 2, 1],\"block\":[128, 1, 1]",
        "\"registers per thread\":40",
        "\"correlation\":41",
    ] {
        assert!(kernel[0].contains(part), "{part} in {kernel:?}");
    }
    let copy = find("\"cat\":\"gpu_memcpy\"");
    assert!(copy[0].contains("\"pid\":1,\"tid\":20,") && copy[0].contains("\"bytes\":4096"));
    assert_eq!(find("\"cat\":\"gpu_user_annotation\"").len(), 1);
    assert_eq!(find("\"cat\":\"overhead\"").len(), 1);
    assert_eq!(find("\"cat\":\"cuda_sync\"").len(), 1);
    assert_eq!(find("\"ph\":\"C\"").len(), 3);
    let units = [
        ("Power (W)", json!("W"), json!("system")),
        ("Traffic", json!("B/s"), json!("memory, compute")),
        ("Cycles", Value::Null, Value::Null),
    ];
    for (counter, unit, group) in units {
        let rows = json["counters"].as_array().unwrap().iter();
        let own: Vec<&Value> = rows.filter(|row| row["counter"] == counter).collect();
        assert!(!own.is_empty(), "{counter}");
        assert!(own.iter().all(|row| row["unit"] == unit && row["group"] == group), "{own:?}");
    }
    let of = |name: &str| {
        let rows = json["key_averages"].as_array().unwrap();
        rows.iter().find(|row| row["name"] == name && row["device_type"] == "cpu").unwrap().clone()
    };
    assert_eq!(of("aten::mm")["cpu_total_ns"], 8_000);
    assert_eq!(of("aten::copy_")["cpu_total_ns"], 3_000);
    assert_eq!(json["devices"][0]["kernel_busy_ns"], 6_000);
    assert_eq!(json["devices"][0]["memcpy_busy_ns"], 4_000);
}

#[test]
fn any_order_that_interns_before_use_gives_the_same_store() {
    let (packets, n_first) = run();
    let expected = contents(&packets);
    let mut random = Random::new(1);
    for round in 0..40 {
        let mut shuffled = packets.clone();
        for i in (n_first + 1..shuffled.len()).rev() {
            let j = n_first + random.below(i + 1 - n_first);
            shuffled.swap(i, j);
        }
        let found = contents(&shuffled);
        assert_eq!(found.0, expected.0, "round {round}");
        assert_eq!(found.1, expected.1, "round {round}");
    }
    let mut sorted = packets.clone();
    sorted[n_first..].sort_by_key(|packet| {
        let is_begin = packet.track_event.as_ref().is_some_and(|event| event.r#type() == 1);
        (packet.timestamp.unwrap_or(0), is_begin)
    });
    assert_eq!(contents(&sorted), expected);
}

#[test]
fn what_is_not_understood_is_said() {
    let (mut packets, _) = run();
    packets.retain(|packet| packet.gpu_render_stage_event.is_none());
    let mut bytes = Trace { packet: packets }.encode_to_vec();
    // A packet with a field 65 (calls of Vulkan) of two bytes.
    bytes.extend_from_slice(&[0x0a, 5, 0x8a, 4, 2, 8, 1]);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("unknown.pftrace");
    std::fs::write(&path, &bytes).unwrap();
    let json = analyzed(&path);
    let issues = json["issues"].as_array().unwrap();
    let of = |kind: &str| issues.iter().find(|issue| issue["kind"] == kind);
    let found = of("unread_activity").unwrap();
    assert_eq!((&found["count"], &found["severity"]), (&1.into(), &"data_loss".into()));
    assert!(found["message"].as_str().unwrap().contains("Vulkan calls"));
    let verdict = json["verdict"].to_string();
    assert!(!verdict.contains("No device activity was recorded"), "{verdict}");
    assert!(verdict.contains("No device activity was read"), "{verdict}");
}

#[test]
fn units_of_counter_tracks_stay_with_what_is_written_of_them() {
    use omni_trace_proto::perfetto::{CounterDescriptor, TrackDescriptor};
    let (mut packets, _) = run();
    let track = |uuid: u64, name: &str, counter: CounterDescriptor| TracePacket {
        track_descriptor: Some(TrackDescriptor {
            uuid: Some(uuid),
            parent_uuid: Some(1),
            name: Some(name.into()),
            counter: Some(counter),
            ..TrackDescriptor::default()
        }),
        ..packet(None)
    };
    packets.push(track(
        80,
        "Heap",
        CounterDescriptor { unit: Some(3), ..CounterDescriptor::default() },
    ));
    let named =
        CounterDescriptor { unit_name: Some("requests".into()), ..CounterDescriptor::default() };
    packets.push(track(81, "Queue", named));
    for (uuid, value) in [(80, 512), (81, 3)] {
        packets.push(TracePacket {
            track_event: Some(TrackEvent {
                r#type: Some(4),
                track_uuid: Some(uuid),
                counter_value: Some(value),
                ..TrackEvent::default()
            }),
            ..packet(Some(5_000))
        });
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run.pftrace");
    std::fs::write(&path, Trace { packet: packets }.encode_to_vec()).unwrap();
    let slim = dir.path().join("slim.json");
    let args = ["slim", path.to_str().unwrap(), "--keep-waits", "-q", "-o", slim.to_str().unwrap()];
    assert!(omni_trace(&args).status.success());
    for path in [path, slim] {
        let json = analyzed(&path);
        let units = |counter: &str| {
            let rows = json["counters"].as_array().unwrap().iter();
            let own = rows.filter(|row| row["counter"] == counter && row["scope"] == "window");
            own.map(|row| row["unit"].clone()).collect::<Vec<_>>()
        };
        assert_eq!(units("Heap"), [json!("B")], "{}", path.display());
        assert_eq!(units("Queue"), [json!("requests")], "{}", path.display());
        assert_eq!(units("Traffic"), [json!("B/s")], "{}", path.display());
    }
}
