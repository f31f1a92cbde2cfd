//! Times that writers leave out or get wrong: frames without an end, begin events without an end, events without a start,
//! windows. Each test names the case that it is about.

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

/// The machine output of `analyze` for a file.
fn analyze(path: &Path, args: &[&str]) -> Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_omni-trace"));
    let output = command.arg("analyze").arg(path).args(["--format", "json", "--quiet"]).args(args);
    let output = output.output().expect("the program runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("the machine output is JSON")
}

/// The machine output for events.
fn analyze_events(name: &str, events: &[Value], args: &[&str]) -> Value {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("times_{name}.json"));
    let text = json!({ "schemaVersion": 1, "traceEvents": events }).to_string();
    std::fs::write(&path, text).expect("the folder for tests can be written");
    analyze(&path, args)
}

/// A case of the shared folder; `None`, said aloud, where there is none.
fn case(name: &str) -> Option<PathBuf> {
    let traces = common::shared_traces()?;
    Some(traces.with_file_name("cases").join(name))
}

/// A complete event on thread 500; times in microseconds.
fn event(category: &str, name: &str, ts: f64, dur: f64) -> Value {
    json!({ "ph": "X", "cat": category, "name": name, "pid": 500, "tid": 500, "ts": ts, "dur": dur })
}

/// An event of another phase.
fn edge(phase: &str, name: &str, ts: f64) -> Value {
    json!({ "ph": phase, "cat": "cpu_op", "name": name, "pid": 500, "tid": 500, "ts": ts })
}

/// A kernel on stream 7 of device 0 with its launch on thread 500.
fn launched(correlation: u64, call_ts: f64, ts: f64, dur: f64) -> [Value; 2] {
    let args = json!({ "correlation": correlation, "device": 0, "stream": 7 });
    let mut call = event("cuda_runtime", "cudaLaunchKernel", call_ts, 5.0);
    call["args"] = json!({ "correlation": correlation });
    let kernel = json!({
        "ph": "X", "cat": "kernel", "name": "gemm", "pid": 0, "tid": 7, "ts": ts, "dur": dur, "args": args
    });
    [call, kernel]
}

fn check<'a>(report: &'a Value, name: &str) -> &'a Value {
    let rows = report["trust"].as_array().expect("the panel is a list");
    rows.iter().find(|row| row["check"] == name).expect("the check is in the panel")
}

fn class_ns(report: &Value, class: &str) -> i64 {
    let classes = report["threads"][0]["classes"].as_array().expect("classes are a list");
    let row = classes.iter().find(|row| row["class"] == class).expect("the class is there");
    row["ns"].as_i64().unwrap_or(0)
}

fn has_caution(report: &Value, words: &str) -> bool {
    let rows = report["verdict"].as_array().expect("the verdict is a list");
    rows.iter().any(|row| row["tone"] == "caution" && row["sentence"].to_string().contains(words))
}

fn row<'a>(report: &'a Value, table: &str, name: &str) -> &'a Value {
    let rows = report[table].as_array().expect("a table is a list");
    rows.iter().find(|row| row["name"] == name).unwrap_or(&Value::Null)
}

#[test]
fn case_31b_one_unclosed_acquire_waits_as_long_as_its_caller() {
    let Some(path) = case("31b_one_unclosed_acquire.json") else { return };
    let report = analyze(&path, &[]);
    assert_eq!(class_ns(&report, "other_wait"), 100_000);
    assert_eq!(report["breakdown"][0]["waiting_ns"], 100_000);
    assert_eq!(report["threads"][0]["window_ns"], 100_000_000);
    assert_eq!(check(&report, "unclosed_frames")["count"], 1);
    assert_eq!(check(&report, "unclosed_frames")["effect_ns"], 98_800_000);
    assert!(has_caution(&report, "without a recorded end"));
}

#[test]
fn case_31_c_frames_never_closed_wait_ten_times_100_us_and_no_self_time_is_negative() {
    let Some(path) = case("31_c_frames_never_closed.json") else { return };
    let report = analyze(&path, &[]);
    assert_eq!(class_ns(&report, "other_wait"), 10 * 100_000);
    assert_eq!(check(&report, "unclosed_frames")["count"], 20);
    let rows = report["key_averages"].as_array().expect("the table is a list");
    assert!(rows.iter().all(|row| row["self_cpu_ns"].as_i64() >= Some(0)), "{rows:#?}");
    assert_eq!(report["inputs"][0]["trust"], "complete, 1 notice");
}

#[test]
fn a_begin_event_without_an_end_ends_with_the_event_around_it() {
    let events = [
        edge("B", "outer", 0.0),
        edge("B", "acquire", 10.0),
        edge("E", "outer", 20.0),
        edge("B", "other", 30.0),
        edge("E", "other", 40.0),
        edge("E", "nothing", 41.0),
        event("cpu_op", "last", 50.0, 50.0),
        edge("B", "open at the end", 60.0),
    ];
    let report = analyze_events("begins", &events, &[]);
    let total = |name: &str| row(&report, "key_averages", name)["cpu_total_ns"].as_i64();
    assert_eq!(total("outer"), Some(20_000));
    assert_eq!(total("acquire"), Some(10_000));
    assert_eq!(total("other"), Some(10_000));
    assert_eq!(total("open at the end"), Some(40_000));
    assert_eq!(check(&report, "open_begins")["count"], 2);
    assert_eq!(check(&report, "open_begins")["effect_ns"], 50_000);
    assert!(has_caution(&report, "a begin event without an end"));
    let issues = report["issues"].as_array().expect("issues are a list");
    let lost: Vec<&Value> = issues.iter().filter(|one| one["severity"] == "data_loss").collect();
    assert_eq!(
        (lost.len(), &lost[0]["kind"], &lost[0]["count"]),
        (1, &json!("unmatched_begin"), &json!(1))
    );
}

#[test]
fn case_30_half_at_ts_zero_is_left_out_of_the_window() {
    let Some(path) = case("30_half_at_ts_zero.json") else { return };
    let report = analyze(&path, &[]);
    let device = &report["devices"][0];
    assert_eq!((&device["busy_ns"], &device["window_ns"]), (&json!(800_000), &json!(4_100_000)));
    assert_eq!(check(&report, "untimed_events")["count"], 60);
    let activity = check(&report, "untimed_activity");
    assert_eq!((&activity["count"], &activity["of"]), (&json!(20), &json!(40)));
    assert!(has_caution(&report, "have no usable start"));
}

#[test]
fn case_08b_kernels_at_ts_zero_with_span_leave_the_busy_time_to_the_others() {
    let Some(path) = case("08b_kernels_at_ts_zero_with_span.json") else { return };
    let report = analyze(&path, &[]);
    let device = &report["devices"][0];
    assert_eq!((&device["busy_ns"], &device["window_ns"]), (&json!(280_000), &json!(1_200_000)));
    assert_eq!(check(&report, "untimed_activity")["count"], 3);
    assert_eq!(check(&report, "untimed_activity")["of"], 10);
}

#[test]
fn times_that_count_from_the_first_event_are_times() {
    let events = [event("cpu_op", "first", 0.0, 10.0), event("cpu_op", "second", 500.0, 10.0)];
    let report = analyze_events("from_first", &events, &[]);
    assert_eq!(report["inputs"][0]["window_ns"], 510_000);
    assert_eq!(check(&report, "untimed_events")["count"], 0);
}

#[test]
fn the_window_is_the_span_of_the_profiler_alone() {
    let mut events = vec![
        event("Trace", "PyTorch Profiler (0)", 1_000.0, 1_000.0),
        event("Trace", "GPU: PyTorch Profiler (0)", 1_200.0, 128_000.0),
        event("Trace", "Another span (0)", 10.0, 5.0),
        event("cpu_op", "aten::mm", 1_100.0, 100.0),
    ];
    let report = analyze_events("spans", &events, &[]);
    assert_eq!(report["inputs"][0]["window_ns"], 1_000_000);
    // A second profile in the file that was never closed: its duration is nothing that was measured.
    events.push(event("Trace", "PyTorch Profiler (1)", 1_500.0, 9_000_000.0));
    events.push(event("Trace", "PyTorch Profiler (2)", 1_600.0, -1_790_857_026_000_000.0));
    let report = analyze_events("open_span", &events, &[]);
    assert_eq!(report["inputs"][0]["window_ns"], 1_000_000);
    let closed = [
        event("Trace", "PyTorch Profiler (0)", 1_000.0, 1_000.0),
        event("Trace", "PyTorch Profiler (1)", 5_000.0, 1_000.0),
        event("cpu_op", "aten::mm", 1_100.0, 100.0),
        event("cpu_op", "aten::mm", 5_100.0, 100.0),
    ];
    let report = analyze_events("two_spans", &closed, &[]);
    assert_eq!(report["inputs"][0]["window_ns"], 5_000_000);
}

#[test]
fn an_iteration_is_no_longer_than_the_window() {
    let events = [
        event("Trace", "PyTorch Profiler (0)", 1_000.0, 355_000.0),
        event("user_annotation", "ProfilerStep#3", 2_000.0, 13_300_000.0),
        event("cpu_op", "aten::mm", 3_000.0, 100.0),
    ];
    let report = analyze_events("long_iteration", &events, &[]);
    assert_eq!(report["iterations"][0]["cpu_ns"], 354_000_000);
    assert_eq!(check(&report, "beyond_window")["count"], 1);
    assert_eq!(check(&report, "beyond_window")["effect_ns"], 12_946_000_000_i64);
    assert!(has_caution(&report, "ends after the profiled window"));
}

#[test]
fn a_part_of_the_window_without_kernels_knows_the_launching_thread() {
    let mut events = vec![
        event("Trace", "PyTorch Profiler (0)", 0.0, 10_000.0),
        event("python_function", "multiprocessing/connection.py(1): recv", 0.0, 5_000.0),
        event("cpu_op", "aten::mm", 5_000.0, 4_000.0),
    ];
    events.extend(launched(1, 6_000.0, 7_000.0, 1_000.0));
    let cause = |report: &Value, name: &str| {
        let causes = report["devices"][0]["idle_by_cause"].as_array().cloned().expect("causes");
        causes.iter().find(|row| row["cause"] == name).and_then(|row| row["ns"].as_i64())
    };
    let part = |window: &str| analyze_events("part", &events, &["--window", window]);
    let first = part("..4ms");
    assert_eq!(cause(&first, "ipc_wait"), Some(4_000_000));
    assert_eq!(cause(&first, "not_recorded"), Some(0));
    assert_eq!(cause(&part("8500us.."), "cpu_op"), Some(500_000));
    // The causes of parts sum to those of the whole.
    let whole = analyze_events("part", &events, &[]);
    for name in ["ipc_wait", "cpu_op", "runtime", "not_recorded"] {
        let parts =
            ["..4ms", "4ms..7500us", "7500us.."].map(|w| cause(&part(w), name).unwrap_or(0));
        assert_eq!(cause(&whole, name).unwrap_or(0), parts.iter().sum::<i64>(), "{name}");
    }
}

#[test]
fn a_bare_zero_is_a_window_offset() {
    let events = [event("cpu_op", "aten::mm", 0.0, 9_000.0)];
    let report = analyze_events("bare_zero", &events, &["--window", "0..4ms"]);
    assert_eq!(report["inputs"][0]["window_ns"], 4_000_000);
}

#[test]
fn thread_rows_obey_top() {
    let thread = |tid: u64| json!({ "ph": "X", "cat": "cpu_op", "name": "op", "pid": 500, "tid": tid, "ts": 0, "dur": 5 });
    let events: Vec<Value> = (1..=30).map(thread).collect();
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("times_top.json");
    std::fs::write(&path, json!({ "traceEvents": events }).to_string()).expect("written");
    let mut command = Command::new(env!("CARGO_BIN_EXE_omni-trace"));
    command.arg("analyze").arg(&path).args(["--table", "threads", "--top", "3"]);
    let text = String::from_utf8(command.output().expect("it runs").stdout).expect("text");
    assert_eq!(text.lines().filter(|line| line.contains(" cpu_op ")).count(), 3, "{text}");
    assert!(text.contains("27 more rows; --top 0 shows all"), "{text}");
}

#[test]
fn case_07_kernel_overruns_stream_is_named_with_both_figures() {
    let Some(path) = case("07_kernel_overruns_stream.json") else { return };
    let report = analyze(&path, &[]);
    let device = &report["devices"][0];
    assert_eq!(device["overrun_name"], "fmha_bwd");
    assert_eq!((&device["n_overruns"], &device["overrun_ns"]), (&json!(1), &json!(1_599_900_000)));
    assert_eq!(device["kernel_sum_cut_ns"], 1_240_000);
    assert_eq!(device["kernel_busy_cut_ns"], 1_240_000);
    assert_eq!(check(&report, "stream_overrun")["effect_ns"], 1_599_900_000);
    assert!(has_caution(&report, "fmha_bwd"));
}

#[test]
fn kernels_launched_ahead_of_their_dependency_overlap_soundly() {
    let mut events = Vec::new();
    for i in 0..20_u32 {
        let start = f64::from(i) * 100.0;
        events.extend(launched(u64::from(i) + 1, start, start + 10.0, 150.0));
    }
    let report = analyze_events("ahead", &events, &[]);
    assert_eq!(report["devices"][0]["n_overruns"], 0);
    assert_eq!(report["devices"][0]["kernel_sum_cut_ns"], report["devices"][0]["kernel_sum_ns"]);
    assert!(report["devices"][0]["n_overlaps"].as_u64() > Some(0));
}

/// A cold start of 10 ms: a first launch of 4 ms with loading and the profiler's buffers inside, a `cudaFree` of 0.9 ms.
fn cold_start() -> Vec<Value> {
    let overhead = |name: &str, ts: f64, dur: f64| json!({ "ph": "X", "cat": "overhead", "name": name, "pid": -1, "tid": 0, "ts": ts, "dur": dur });
    let mut events = vec![
        event("Trace", "PyTorch Profiler (0)", 0.0, 10_000.0),
        event("cpu_op", "aten::mm", 1_000.0, 5_500.0),
        event("cuda_runtime", "cudaFree", 1_100.0, 900.0),
        overhead("Activity Buffer Request", 2_100.0, 1_500.0),
        overhead("Runtime Triggered Module Loading", 4_000.0, 500.0),
    ];
    events.extend(launched(1, 2_000.0, 6_200.0, 100.0));
    events[5]["dur"] = json!(4_000.0);
    for i in 2..8_u32 {
        let start = 7_000.0 + f64::from(i) * 100.0;
        events.extend(launched(u64::from(i), start, start + 20.0, 50.0));
    }
    events
}

#[test]
fn what_lies_before_the_first_device_activity_is_said_with_its_one_time_costs() {
    let report = analyze_events("cold_start", &cold_start(), &[]);
    let rows = report["startup"].as_array().expect("a table is a list");
    let cost = |name: &str| {
        let row = rows.iter().find(|row| row["cost"] == name).unwrap_or(&Value::Null);
        (row["ns"].as_i64(), row["before_device_ns"].as_i64(), row["count"].as_u64())
    };
    assert_eq!(cost("before_device"), (Some(6_200_000), Some(6_200_000), None));
    assert_eq!(cost("profiler"), (Some(1_500_000), Some(1_500_000), Some(1)));
    assert_eq!(cost("module_loading"), (Some(500_000), Some(500_000), Some(1)));
    assert_eq!(cost("allocation").0, Some(900_000));
    // The first launch is what is left of its call: 4 ms less the profiler and the loading inside.
    assert_eq!(cost("first_launch").0, Some(2_000_000));
    assert_eq!(class_ns(&report, "profiler"), 1_500_000);
    assert!(has_caution(&report, "lies before the first device activity"));
    let of_part = analyze_events("cold_start", &cold_start(), &["--window", "..5ms"]);
    assert_eq!(of_part["startup"], json!([]), "a part of the window has no start of its own");
}

#[test]
fn the_buffers_of_the_profiler_are_not_the_operators() {
    let report = analyze_events("buffers", &cold_start(), &[]);
    let mm = row(&report, "components", "aten::mm");
    assert_eq!((&mm["total_ns"], &mm["profiler_ns"]), (&json!(5_500_000), &json!(1_500_000)));
    assert_eq!((&mm["launch_ns"], &mm["module_loading_ns"]), (&json!(2_900_000), &json!(500_000)));
    let causes = report["devices"][0]["idle_by_cause"].as_array().expect("causes are a list");
    let cause = causes.iter().find(|row| row["cause"] == "profiler").expect("the cause is there");
    assert_eq!(cause["ns"], 1_500_000);
}
