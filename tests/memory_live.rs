//! Memory at its peak and by iteration: sums to what torch's own allocator said, and a small case that a person can add up.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;
mod program;

use program::omni_trace;
use serde_json::{Value, json};

fn analyzed(path: &str) -> Value {
    let tables = "memory,memory_peak,memory_iterations,memory_line";
    let output = omni_trace(&["analyze", path, "--format", "json", "--table", tables]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn sum(rows: &Value, key: &str) -> i64 {
    rows.as_array().unwrap().iter().filter_map(|row| row[key].as_i64()).sum()
}

#[test]
fn the_peak_is_that_of_torch_and_its_parts_sum_to_it() {
    let Some(shared) = common::shared_traces() else { return };
    let trace = |kind| shared.join(format!("own/h100_graphs/memory_steady.{kind}"));
    let said: Value =
        serde_json::from_reader(std::fs::File::open(trace("key_averages.json")).unwrap()).unwrap();
    let report = analyzed(trace("pt.trace.json.gz").to_str().unwrap());
    let most = said["extra"]["max_memory_allocated"].as_i64().unwrap();
    let device =
        report["memory"].as_array().unwrap().iter().find(|row| row["place"] == "device").unwrap();
    assert_eq!(device["allocated_peak_bytes"], most);
    assert_eq!(sum(&report["memory_peak"], "bytes"), most);
    assert!(report["memory_peak"].as_array().unwrap().len() > 5, "operators are named");
    // A step keeps its loss, 2048 by 8000 floats, which goes before the next one begins.
    let steps = report["memory_iterations"].as_array().unwrap();
    assert_eq!(steps.len(), 4);
    let growth: Vec<i64> =
        steps.iter().map(|step| step["growth_bytes"].as_i64().unwrap()).collect();
    assert_eq!(growth, [2048 * 8000 * 4; 4]);
    assert!(steps.iter().all(|step| step["begin_bytes"] == said["extra"]["base_allocated"]));
    let peaks = steps.iter().map(|step| step["peak_bytes"].as_i64().unwrap());
    assert_eq!(peaks.max(), Some(most));
    let line = report["memory_line"].as_array().unwrap();
    assert_eq!(line.len(), 240);
    let levels = line.iter().map(|part| part["allocated_bytes"].as_i64().unwrap());
    assert_eq!(levels.max(), Some(most));
    assert_eq!(line[0]["allocated_bytes"], said["extra"]["base_allocated"]);
    let held = line.iter().filter_map(|part| part["reserved_bytes"].as_i64());
    assert_eq!(held.max(), said["extra"]["max_memory_reserved"].as_i64());
}

/// A `[memory]` event.
fn span(cat: &str, name: &str, ts: f64, dur: f64) -> Value {
    json!({"ph": "X", "cat": cat, "name": name, "pid": 1, "tid": 1, "ts": ts, "dur": dur, "args": {}})
}

fn memory(ts: f64, bytes: i64, address: u64, total: i64) -> Value {
    json!({"ph": "i", "cat": "cpu_instant_event", "s": "t", "name": "[memory]", "pid": 1, "tid": 1, "ts": ts, "args": {
        "Total Reserved": 4096, "Total Allocated": total, "Bytes": bytes, "Device Id": 0, "Device Type": 1, "Addr": address}})
}

#[test]
fn what_is_alive_belongs_to_who_allocated_it() {
    let trace = json!({"schemaVersion": 1, "traceEvents": [
        span("Trace", "PyTorch Profiler (0)", 0.0, 100.0),
        span("user_annotation", "ProfilerStep#1", 10.0, 30.0),
        span("user_annotation", "ProfilerStep#2", 50.0, 30.0),
        span("python_function", "nn.Module: Linear_0", 11.0, 20.0),
        span("cpu_op", "aten::mm", 12.0, 10.0),
        span("cpu_op", "aten::empty", 13.0, 2.0),
        span("cuda_runtime", "cudaMalloc", 14.2, 0.5),
        span("cpu_op", "aten::add", 52.0, 10.0),
        // 1000 bytes were there; 100 and 200 come, 50 of the 1000 go, 100 go, 400 come: 1450 at most.
        memory(14.0, 100, 1, 1100),
        memory(18.0, 200, 2, 1300),
        memory(30.0, -50, 9, 1250),
        memory(38.0, -100, 1, 1150),
        memory(55.0, 300, 3, 1450),
        memory(70.0, -300, 3, 1150),
    ]});
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.pt.trace.json");
    std::fs::write(&path, trace.to_string()).unwrap();
    let report = analyzed(path.to_str().unwrap());
    // Each part of the window has the most that was allocated in it, by a plain look at the events.
    let totals = [(14, 1100), (18, 1300), (30, 1250), (38, 1150), (55, 1450), (70, 1150)];
    for part in report["memory_line"].as_array().unwrap() {
        let from = part["start_ns"].as_i64().unwrap();
        let to = from + part["dur_ns"].as_i64().unwrap();
        let before = totals.iter().rev().find(|(at, _)| at * 1_000 < from);
        let before = before.map_or(1000, |&(_, bytes)| bytes);
        let inside = totals.iter().filter(|(at, _)| (from..=to).contains(&(at * 1_000)));
        let expected = inside.map(|&(_, bytes)| bytes).chain([before]).max();
        assert_eq!(part["allocated_bytes"].as_i64(), expected, "{part}");
    }
    let rows = report["memory_peak"].as_array().unwrap();
    let brief: Vec<Value> = rows
        .iter()
        .map(|row| json!([row["bytes"], row["allocations"], row["operator"], row["module"]]))
        .collect();
    let expected = json!([
        [950, null, null, null],
        [300, 1, "aten::add", null],
        [200, 1, "aten::mm", "nn.Module: Linear_0"],
    ]);
    assert_eq!(Value::from(brief), expected);
    let steps = report["memory_iterations"].as_array().unwrap().iter();
    let keys = [
        "begin_bytes",
        "peak_bytes",
        "end_bytes",
        "growth_bytes",
        "allocations",
        "releases",
        "stalls",
        "stall_ns",
    ];
    let brief: Vec<Value> =
        steps.map(|row| keys.map(|key| row[key].clone()).to_vec().into()).collect();
    let expected =
        json!([[1000, 1300, 1150, 150, 2, 2, 1, 500], [1150, 1450, 1150, 0, 1, 1, 0, 0]]);
    assert_eq!(Value::from(brief), expected);
}

/// The same operators with and without memory and shapes: what was not recorded is not told of, and the tables say why.
#[test]
fn what_was_not_recorded_is_not_told_of() {
    let folder = tempfile::tempdir().unwrap();
    let said = |with: &[Value]| {
        let mut events = vec![
            span("Trace", "PyTorch Profiler (0)", 0.0, 100.0),
            span("cpu_op", "aten::mm", 12.0, 10.0),
        ];
        events.extend_from_slice(with);
        let path = folder.path().join("a.pt.trace.json");
        std::fs::write(&path, json!({"traceEvents": events}).to_string()).unwrap();
        let report = analyzed(path.to_str().unwrap());
        (report["verdict"].to_string(), report["memory_peak"].clone())
    };
    let (sentences, peak) = said(&[]);
    assert!(
        !sentences.contains("memory were allocated") && !sentences.contains("roof"),
        "{sentences}"
    );
    assert_eq!(peak, json!([]));
    let (sentences, peak) = said(&[memory(14.0, 100, 1, 1100)]);
    assert!(sentences.contains("memory were allocated"), "{sentences}");
    assert_eq!(peak.as_array().unwrap().len(), 2);
}

/// The cache of keys and values and weights apart, by the functions around their allocations.
#[test]
fn the_cache_and_weights_are_told_apart() {
    let trace = json!({"traceEvents": [
        span("Trace", "PyTorch Profiler (0)", 0.0, 100.0),
        span("python_function", "vllm/v1/worker/gpu_model_runner.py(2000): load_model", 1.0, 20.0),
        span("cpu_op", "aten::empty", 2.0, 2.0),
        span("python_function", "vllm/v1/worker/gpu_model_runner.py(3000): initialize_kv_cache", 30.0, 20.0),
        span("cpu_op", "aten::zeros", 31.0, 2.0),
        // It reads the cache's size, and allocates something else.
        span("python_function", "vllm/v1/worker/gpu_model_runner.py(3500): get_kv_cache_spec", 60.0, 20.0),
        span("cpu_op", "aten::empty", 61.0, 2.0),
        memory(3.0, 700, 1, 1700),
        memory(32.0, 2000, 2, 3700),
        memory(62.0, 30, 3, 3730),
    ]});
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.pt.trace.json");
    std::fs::write(&path, trace.to_string()).unwrap();
    let report = analyzed(path.to_str().unwrap());
    let rows = report["memory_purposes"].as_array().unwrap().iter();
    let brief: Vec<Value> = rows.map(|row| json!([row["purpose"], row["bytes"]])).collect();
    assert_eq!(
        brief,
        [json!(["kv_cache", 2000]), json!(["weights", 700]), json!(["unknown", 1030])]
    );
    let sentences = report["verdict"].to_string();
    assert!(sentences.contains("is the cache of keys and values"), "{sentences}");
}
