//! Damage that is planted into real traces is found, and what is undamaged is not suspected.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;
mod program;

use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::Path;

use program::omni_trace;
use serde_json::{Value, json};

/// The checks of an input's panel that put its figures in doubt, as `inputs.trust` names them.
fn doubts(path: &Path) -> BTreeSet<String> {
    let args = ["analyze", path.to_str().unwrap(), "-q", "--format", "json"];
    let output = omni_trace(&args);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    let cautions = json["verdict"].to_string();
    let mut found = BTreeSet::new();
    for input in json["inputs"].as_array().unwrap() {
        let trust = input["trust"].as_str().unwrap_or_default();
        let Some((_, names)) = trust.split_once(", in doubt: ") else { continue };
        found.extend(names.split(", ").map(str::to_owned));
    }
    assert!(found.is_empty() || cautions.contains("caution"), "{}: {cautions}", path.display());
    found
}

/// Checks whose finding is no damage: the trace as its writer made it.
const KNOWN: &[(&str, &str, &str)] = &[
    (
        "py_pipe_tp2/stage_1_llm_1790000500_rank0",
        "device_work_missing",
        "three waits of 1.1 to 1.9 ms for nothing recorded",
    ),
    (
        "h100_graphs/small_graph_capture",
        "device_work_missing",
        "the kernels of the capture are not recorded",
    ),
    (
        "py_pipe_max_iters/stage_2_llm_1790000100_rank0",
        "empty_start",
        "the stage got work 2.4 s after the profiler started",
    ),
    ("a100_rank", "empty_start", "the publisher kept a sample of the events"),
    ("dlrm_8rank/worker", "activity_without_launch", "64 activities of two ranks have no call"),
    ("h100_qwen", "activity_without_launch", "509 of 1707 activities have no call"),
    ("mi300_resnet_rccl", "activity_without_launch", "968 of 3653 activities have no call"),
    ("kineto_2021", "activity_without_launch", "765 of 9927 activities have no call"),
    (
        "ascend/trace_view",
        "causality",
        "the device's clock is ahead: 217 of 274 arrows from host to device point back in the file, by up to 18.75 us",
    ),
    ("mtia_inference", "activity_without_launch", "the writer gives no correlations"),
];

#[test]
fn undamaged_traces_are_not_suspected() {
    let (mut unexpected, mut seen) = (Vec::new(), BTreeSet::new());
    let paths = common::real_traces();
    for path in &paths {
        let text = path.display().to_string();
        for doubt in doubts(path) {
            let is_known = |known: &(&str, &str, &str)| text.contains(known.0) && doubt == known.1;
            match KNOWN.iter().position(is_known) {
                Some(known) => drop(seen.insert(known)),
                None => unexpected.push(format!("{text}: {doubt}")),
            }
        }
    }
    assert!(unexpected.is_empty(), "{unexpected:#?}");
    let unseen: Vec<_> = (0..KNOWN.len()).filter(|n| !seen.contains(n)).map(|n| KNOWN[n]).collect();
    assert!(paths.is_empty() || unseen.is_empty(), "no exceptions any more: {unseen:#?}");
}

#[test]
fn case_51_kernels_before_their_launch() {
    let Some(dir) = common::shared_cases() else { return };
    let path = dir.join("51_kernels_before_launch.json");
    assert!(doubts(&path).contains("causality"));
    let output = omni_trace(&["analyze", path.to_str().unwrap(), "--format", "json"]);
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    let rows = json["trust"].as_array().unwrap();
    let row = rows.iter().find(|row| row["check"] == "causality").unwrap();
    assert_eq!((&row["count"], &row["of"]), (&5.into(), &5.into()));
    assert_eq!(row["effect_ns"], 5 * 40_000);
}

fn read(path: &Path) -> Value {
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).unwrap();
    if path.extension().is_some_and(|end| end == "gz") {
        flate2::read::MultiGzDecoder::new(file).read_to_end(&mut bytes).unwrap();
    } else {
        { file }.read_to_end(&mut bytes).unwrap();
    }
    serde_json::from_slice(&bytes).unwrap()
}

fn category(event: &Value) -> &str {
    event["cat"].as_str().unwrap_or_default()
}

fn is_activity(event: &Value) -> bool {
    event["ph"] == "X" && ["kernel", "gpu_memcpy", "gpu_memset"].contains(&category(event))
}

fn is_on_device(event: &Value) -> bool {
    is_activity(event) || ["gpu_user_annotation", "cuda_sync"].contains(&category(event))
}

fn us(event: &Value, key: &str) -> f64 {
    event[key].as_f64().unwrap_or_default()
}

fn is_op(event: &Value) -> bool {
    event["ph"] == "X" && category(event) == "cpu_op"
}

fn moved(events: &mut [Value], to: impl Fn(f64) -> f64) {
    for event in events.iter_mut().filter(|event| is_on_device(event)) {
        event["ts"] = json!(to(us(event, "ts")));
    }
}

fn first_us(events: &[Value]) -> f64 {
    let times = events.iter().filter(|event| is_activity(event)).map(|event| us(event, "ts"));
    times.fold(f64::INFINITY, f64::min)
}

fn rotate_correlations(events: &mut [Value]) {
    let mut at: Vec<usize> = (0..events.len()).filter(|&i| is_activity(&events[i])).collect();
    at.sort_by(|&a, &b| us(&events[a], "ts").total_cmp(&us(&events[b], "ts")));
    let ids: Vec<Value> = at.iter().map(|&i| events[i]["args"]["correlation"].clone()).collect();
    for (n, &i) in at.iter().enumerate() {
        events[i]["args"]["correlation"] = ids[(n + 1) % ids.len()].clone();
    }
}

/// Leaves out every second operator.
fn lose_operators(events: &mut Vec<Value>) {
    let mut n = 0;
    events.retain(|event| {
        n += usize::from(is_op(event));
        !is_op(event) || n % 2 == 0
    });
}

/// Leaves out launches with what they started, but for one in twenty.
fn lose_launches(events: &mut Vec<Value>) {
    let ids = |event: &Value| event["args"]["correlation"].as_u64().unwrap_or(0);
    let lost: BTreeSet<u64> = events
        .iter()
        .filter(|e| category(e) == "kernel")
        .map(ids)
        .filter(|id| id % 20 != 0)
        .collect();
    events.retain(|event| event["ph"] != "X" || !lost.contains(&ids(event)));
}

fn begin_window_early(events: &mut [Value]) {
    for event in events.iter_mut().filter(|event| category(event) == "Trace") {
        event["ts"] = json!(us(event, "ts") - 2e6);
        event["dur"] = json!(us(event, "dur") + 2e6);
    }
}

fn scale(events: &mut [Value], factor: f64, which: impl Fn(&Value) -> bool) {
    for event in events.iter_mut().filter(|event| which(event)) {
        event["dur"] = json!(us(event, "dur") * factor);
    }
}

type Plant = (&'static str, &'static str, fn(&mut Vec<Value>));

/// What is planted, which check finds it, how it is done.
const PLANTS: &[Plant] = &[
    ("device 20 µs early", "causality", |events| moved(events, |ts| ts - 20.0)),
    ("device 1 ms early", "causality", |events| moved(events, |ts| ts - 1000.0)),
    ("drift of -5 %", "causality", |events| {
        let first = first_us(events);
        moved(events, |ts| first + (ts - first) * 0.95);
    }),
    ("correlations rotated", "link_mismatch", |events| rotate_correlations(events)),
    ("operators duplicated", "duplicates", |events| {
        let ops: Vec<Value> = events.iter().filter(|event| is_op(event)).cloned().collect();
        events.extend(ops);
    }),
    ("operators lost", "operator_missing", lose_operators),
    ("the whole file twice", "duplicates", |events| {
        let all = events.clone();
        events.extend(all);
    }),
    ("durations × 10", "stream_overlap", |events| scale(events, 10.0, is_activity)),
    ("a window that begins 2 s early", "empty_start", |events| begin_window_early(events)),
];

const TRACES: &[&str] = &[
    "own/h100/py_llm/llm_eager.pt.trace.json.gz",
    "own/h100_graphs/small_eager_modules.pt.trace.json.gz",
    "own/h200_pairs/decode_eager.pt.trace.json.gz",
    "own/h200_pairs/item_per_layer_A.pt.trace.json.gz",
    "public/h100_bert/gaunernst_bert-small-uncased__1016001.json.gz",
];

fn planted(path: &Path, plant: impl Fn(&mut Vec<Value>)) -> BTreeSet<String> {
    let mut trace = read(path);
    let mut events = trace["traceEvents"].as_array().unwrap().clone();
    plant(&mut events);
    trace["traceEvents"] = Value::Array(events);
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("planted.json");
    std::fs::write(&out, serde_json::to_vec(&trace).unwrap()).unwrap();
    doubts(&out)
}

#[test]
fn what_is_planted_is_found() {
    let Some(root) = common::shared_traces() else { return };
    let mut missed = Vec::new();
    for trace in TRACES {
        let path = root.join(trace);
        assert!(planted(&path, |_| ()).is_empty(), "{trace} as it is");
        for (what, check, plant) in PLANTS {
            let found = planted(&path, plant);
            if !found.contains(*check) {
                missed.push(format!("{trace}: {what} is not found by {check}, but {found:?}"));
            }
        }
    }
    assert!(missed.is_empty(), "{missed:#?}");
}

/// As [`lose_launches`], and with them the arrows between the two.
fn lose_launches_and_arrows(events: &mut Vec<Value>) {
    lose_launches(events);
    events.retain(|event| category(event) != "ac2g");
}

/// Damage that shows in some traces only: a slow drift where the run is long and the device waits for the host, lost work
/// where the host waits for it or where annotations stand on the device, throughput where something is copied.
#[test]
fn what_shows_in_some_traces_is_found_there() {
    let Some(root) = common::shared_traces() else { return };
    let found = |trace: &str, plant: Plant| {
        let found = planted(&root.join(trace), plant.2);
        assert!(
            found.contains(plant.1),
            "{trace}: {} is not found by {}, but {found:?}",
            plant.0,
            plant.1
        );
    };
    let drift: Plant = ("drift of -1000 ppm", "causality", |events| {
        let first = first_us(events);
        moved(events, |ts| first + (ts - first) * 0.999);
    });
    // Not where no activity follows its launch closely enough: one bert run and graphs, whose figures change by 1.5 % at most.
    for trace in &TRACES[..4] {
        found(trace, drift);
    }
    let lost: Plant = ("launches and kernels lost together", "device_work_missing", lose_launches);
    found("own/h200_pairs/device_bound_spin_A.pt.trace.json.gz", lost);
    let bare = ("launches, kernels and arrows lost together", "launches_missing");
    for trace in TRACES {
        found(trace, ("launches and kernels lost together", "launches_missing", lose_launches));
        found(trace, (bare.0, bare.1, lose_launches_and_arrows));
    }
    let fast: Plant = ("copies a thousand times faster", "impossible_throughput", |events| {
        scale(events, 0.001, |event| category(event) == "gpu_memcpy");
    });
    let with_copies =
        ["own/h200_pairs/ddp_even_rank0.pt.trace.json.gz", TRACES[0], TRACES[3], TRACES[4]];
    for trace in with_copies {
        found(trace, fast);
    }
}

/// The row of a check in the panel.
fn checked(path: &Path, check: &str) -> Value {
    let output = omni_trace(&["analyze", path.to_str().unwrap(), "-q", "--format", "json"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut rows = json["trust"].as_array().unwrap().iter();
    rows.find(|row| row["check"] == check).unwrap().clone()
}

/// Operators lost where no device activity tells: the profiler numbers what it records, so that gaps show.
#[test]
fn operators_lost_on_a_cpu_are_found_by_their_numbers() {
    let Some(root) = common::shared_traces() else { return };
    for trace in ["own/torch_cpu/with_stack/trace.json", "own/torch_cpu/profile_memory/trace.json"]
    {
        let path = root.join(trace);
        assert!(planted(&path, |_| ()).is_empty(), "{trace} as it is");
        assert!(planted(&path, lose_operators).contains("events_missing"), "{trace}");
        // What is left out knowingly is not missed, also after merging.
        let dir = tempfile::tempdir().unwrap();
        let (slim, merged) = (dir.path().join("slim.json"), dir.path().join("merged.json"));
        let run = |args: &[&str]| assert!(omni_trace(args).status.success(), "{args:?}");
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        run(&["slim", &text(&path), "-o", &text(&slim), "-q", "--drop", "cpu_op"]);
        assert_eq!(checked(&slim, "events_missing")["count"], Value::Null, "{trace}");
        assert!(doubts(&slim).is_empty(), "{trace}");
        run(&["merge", &text(&slim), "-o", &text(&merged), "-q"]);
        assert_eq!(checked(&merged, "events_missing")["count"], Value::Null, "{trace}");
        run(&["merge", &text(&path), "-o", &text(&merged), "-q"]);
        assert_eq!(checked(&merged, "events_missing")["count"], 0, "{trace}");
        run(&["slim", &text(&merged), "-o", &text(&slim), "-q", "--drop", "cpu_op"]);
        assert_eq!(checked(&slim, "events_missing")["count"], Value::Null, "{trace}");
    }
}

/// A trace of one stream that waits for events: (name of the call that records, its start, its correlation), and (start of
/// the wait, the correlation that it names).
fn waits_for_events(records: &[(&str, u32, u32)], waits: &[(u32, i64)]) -> tempfile::TempDir {
    let mut events = Vec::new();
    for (name, ts, correlation) in records {
        events.push(json!({"ph": "X", "cat": "cuda_runtime", "name": name, "pid": 1, "tid": 1, "ts": ts, "dur": 2,
            "args": {"correlation": correlation}}));
    }
    for (ts, record) in waits {
        events.push(json!({"ph": "X", "cat": "cuda_sync", "name": "Stream Wait Event", "pid": 0, "tid": 7, "ts": ts,
            "dur": 1, "args": {"cuda_sync_kind": "Stream Wait Event", "stream": 7, "device": 0, "correlation": 900,
            "wait_on_stream": 20, "wait_on_cuda_event_record_corr_id": record}}));
    }
    let dir = tempfile::tempdir().unwrap();
    let trace = json!({"schemaVersion": 1, "traceEvents": events});
    std::fs::write(dir.path().join("trace.json"), trace.to_string()).unwrap();
    dir
}

/// The last two rules of torch's validator, with what calls of other makers are called; what was recorded before the first
/// call of the file is not in it, and no fault.
#[test]
fn streams_wait_for_what_was_recorded_before() {
    let counts = |records: &[(&str, u32, u32)], waits: &[(u32, i64)]| {
        let dir = waits_for_events(records, waits);
        let path = dir.path().join("trace.json");
        ["wait_record", "wait_in_past"].map(|check| {
            let row = checked(&path, check);
            (row["count"].as_u64(), row["of"].as_u64())
        })
    };
    for name in ["cudaEventRecord", "cudaEventRecordWithFlags", "cuEventRecord", "hipEventRecord"] {
        let records = [(name, 10, 5), (name, 50, 6)];
        let found = counts(&records, &[(20, 5), (30, 6), (60, 6), (70, -1)]);
        assert_eq!(found, [(Some(1), Some(4)), (Some(1), Some(3))], "{name}");
    }
    let records =
        [("cudaLaunchKernel", 1, 4), ("cudaEventRecord", 10, 5), ("cudaEventRecord", 50, 9)];
    let found = counts(&records, &[(20, 3), (21, 5), (22, 7)]);
    assert_eq!(found[1], (Some(1), Some(2)), "3 was before the file, 7 is lost from it");
    assert_eq!(counts(&records, &[]), [(None, Some(0)), (None, Some(0))], "nothing to tell from");
    let Some(root) = common::shared_traces() else { return };
    for (trace, count, of) in [
        ("own/h100_graphs/stream_events.pt.trace.json.gz", 18, 18),
        ("public/cuda_event_sync/event_sync_trace.json.gz", 1, 4),
        ("public/kineto_docs/before_fix_trace.json", 2, 2),
    ] {
        let row = checked(&root.join(trace), "wait_record");
        assert_eq!((&row["count"], &row["of"]), (&count.into(), &of.into()), "{trace}");
    }
}
