//! What the critical path takes for what was waited for where the trace does not say it: threads of the autograd engine,
//! branches of a graph on one stream, events of streams. Each with a near miss.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod program;

use program::omni_trace;
use serde_json::{Value, json};

/// An event of a thread; times in microseconds.
fn host(cat: &str, name: &str, tid: u64, (start, end): (u64, u64), correlation: u64) -> Value {
    json!({"ph": "X", "cat": cat, "name": name, "pid": 10, "tid": tid, "ts": 1000 + start, "dur": end - start,
        "args": {"correlation": correlation}})
}

fn kernel(name: &str, stream: u64, (start, end): (u64, u64), correlation: u64) -> Value {
    json!({"ph": "X", "cat": "kernel", "name": name, "pid": 0, "tid": stream, "ts": 1000 + start, "dur": end - start,
        "args": {"correlation": correlation, "device": 0, "stream": stream}})
}

/// The time on the path, in microseconds, of a class, kernel, operator or edge kind.
fn on_path(events: &[Value]) -> impl Fn(&str, &str) -> i64 + use<> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("trace.json");
    let trace = json!({"schemaVersion": 1, "deviceProperties": [{"id": 0, "name": "test"}],
        "baseTimeNanoseconds": 1_790_000_000_000_000_000_u64, "traceEvents": events});
    std::fs::write(&path, trace.to_string()).unwrap();
    let output = omni_trace(&["critical-path", "--format", "json", path.to_str().unwrap()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let rows = report["critical_path"].as_array().unwrap().clone();
    move |by, name| {
        let row = rows.iter().find(|row| row["by"] == by && row["name"] == name);
        row.map_or(0, |row| row["ns"].as_i64().unwrap() / 1000)
    }
}

/// `backward()` on the main thread, the work of it on another, and what the main thread does meanwhile.
fn backward(meanwhile: (u64, u64)) -> Vec<Value> {
    vec![
        host("cpu_op", "aten::forward", 1, (200, 3000), 0),
        host("user_annotation", "## backward ##", 1, (3000, 5000), 0),
        host("cpu_op", "AccumulateGrad", 1, meanwhile, 0),
        host("cpu_op", "aten::optimizer", 1, (5000, 6000), 0),
        host("cpu_op", "aten::before", 2, (0, 100), 0),
        host("cpu_op", "aten::backward", 2, (3100, 4900), 0),
    ]
}

#[test]
fn backward_is_waited_for_while_its_caller_adds_up_few_gradients() {
    let ns = on_path(&backward((4000, 4010)));
    assert_eq!(ns("operator", "aten::backward"), 1800);
    assert_eq!(ns("operator", "aten::forward"), 2800);
    assert_eq!(ns("operator", "aten::optimizer"), 1000);
    assert_eq!(ns("class", "thread_hand_over"), 200);
    assert_eq!(ns("class", "unattributed"), 0);
    assert_eq!(ns("operator", "aten::before"), 0);
}

#[test]
fn a_thread_that_works_itself_waits_for_no_other() {
    let ns = on_path(&backward((3500, 4500)));
    assert_eq!(ns("operator", "aten::backward"), 0);
    assert_eq!(ns("operator", "AccumulateGrad"), 1000);
    assert_eq!(ns("class", "thread_hand_over"), 0);
}

/// A graph of which two kernels follow a third one, and one waits for both.
fn graph(branch: (u64, u64)) -> Vec<Value> {
    vec![
        host("cuda_runtime", "cudaGraphLaunch", 1, (0, 10), 1),
        kernel("first", 7, (20, 1020), 1),
        kernel("short", 7, (1021, 1100), 1),
        kernel("branch", 7, branch, 1),
        host("cuda_runtime", "cudaDeviceSynchronize", 1, (15, 1500), 2),
    ]
}

#[test]
fn a_branch_of_a_graph_follows_what_had_ended_when_it_began() {
    let ns = on_path(&graph((1030, 1490)));
    assert_eq!(ns("kernel", "first"), 1000);
    assert_eq!(ns("kernel", "short"), 0);
    assert_eq!(ns("kernel", "branch"), 460);
    assert_eq!(ns("class", "stream_gap"), 10);
    assert_eq!(ns("class", "launch_latency"), 20);
}

#[test]
fn a_branch_beside_all_of_its_graph_follows_the_launch() {
    let mut events = graph((530, 1490));
    events[1] = kernel("first", 7, (20, 1480), 1);
    events[2] = kernel("short", 7, (30, 1470), 1);
    let ns = on_path(&events);
    assert_eq!(ns("kernel", "first") + ns("kernel", "short"), 0);
    assert_eq!(ns("class", "launch_latency"), 530);
}

/// A stream that waits for an event of which the trace does not say where it was recorded.
fn stream_wait(begin: u64) -> Vec<Value> {
    let end = begin + 100;
    vec![
        host("cuda_runtime", "cudaLaunchKernel", 1, (0, 5), 1),
        host("cuda_runtime", "cudaLaunchKernel", 1, (5, 10), 2),
        host("cuda_runtime", "cudaStreamWaitEvent", 1, (10, 12), 3),
        host("cuda_runtime", "cudaLaunchKernel", 1, (12, 17), 4),
        host("cuda_runtime", "cudaDeviceSynchronize", 1, (20, end + 5), 5),
        kernel("long", 9, (8, 5000), 1),
        kernel("short", 8, (15, 50), 2),
        kernel("waits", 7, (begin, end), 4),
    ]
}

#[test]
fn a_stream_waits_for_what_ended_just_before_rather_than_what_was_launched_last() {
    let ns = on_path(&stream_wait(5005));
    assert_eq!(ns("kernel", "long"), 4992);
    assert_eq!(ns("kernel", "short"), 0);
    assert_eq!(ns("edge", "stream_wait"), 5);
}

#[test]
fn what_ended_long_before_explains_no_wait_of_a_stream() {
    let ns = on_path(&stream_wait(5100));
    assert_eq!(ns("kernel", "long"), 0);
    assert_eq!(ns("kernel", "short"), 35);
}
