//! Modules and layers, in frames and through CUDA graphs: a replayed graph must say what the eager run says.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;
mod program;

use std::collections::BTreeMap;
use std::io::Read as _;

use program::{omni_trace, root};
use serde_json::{Value, json};

fn analyzed(args: &[&str]) -> Value {
    let output = omni_trace(
        &[&["analyze", "--format", "json", "--table", "modules,layers,kernels"], args].concat(),
    );
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Rows of one input.
fn of<'a>(report: &'a Value, table: &str, input: u64) -> Vec<&'a Value> {
    let rows = report[table].as_array().unwrap().iter();
    rows.filter(|row| row["input"] == input).collect()
}

/// Kernels of a step by module, and the rungs that say so.
fn by_module(report: &Value, input: u64, steps: u64) -> (BTreeMap<String, u64>, Vec<String>) {
    let mut kernels = BTreeMap::new();
    let mut rungs = Vec::new();
    for row in of(report, "modules", input) {
        let count = row["kernels"].as_u64().unwrap();
        if count > 0 {
            assert_eq!(count % steps, 0, "{row}");
            *kernels.entry(row["module"].as_str().unwrap_or("outside").to_owned()).or_default() +=
                count / steps;
            rungs.push(row["rung"].as_str().unwrap().to_owned());
        }
    }
    rungs.sort();
    rungs.dedup();
    (kernels, rungs)
}

/// The same model eagerly, captured and replayed: folder, files, steps of the eager run and of the replay.
fn sets() -> Vec<(String, [String; 3], [u64; 2])> {
    let own = root().join("fixtures/roofline").to_str().unwrap().to_owned();
    let own_files = ["llama_decode", "llama_graph_capture", "llama_graph_replay"]
        .map(|n| format!("{own}/{n}.json.gz"));
    let mut sets = vec![("llama".to_owned(), own_files, [3, 6])];
    if let Some(shared) = common::shared_traces() {
        let files = ["small_eager_modules", "small_graph_capture", "small_graph_replay"];
        let path = |n| shared.join(format!("own/h100_graphs/{n}.pt.trace.json.gz"));
        let files = files.map(|n| path(n).to_str().unwrap().to_owned());
        sets.push(("small".to_owned(), files, [4, 12]));
    }
    sets
}

#[test]
fn a_replayed_graph_has_the_modules_of_the_eager_run() {
    for (name, [eager, _, replay], [eager_steps, replay_steps]) in sets() {
        let report = analyzed(&[&replay, &eager]);
        let (expected, rungs) = by_module(&report, 1, eager_steps);
        assert!(expected.len() > 5, "{name}: {expected:?}");
        assert!(rungs.contains(&"frame".to_owned()), "{name}: {rungs:?}");
        let (found, rungs) = by_module(&report, 0, replay_steps);
        assert_eq!(found, expected, "{name}");
        assert_eq!(rungs, ["sequence"], "{name}");
    }
}

#[test]
fn a_recorded_capture_tells_the_same() {
    for (name, [eager, capture, replay], [eager_steps, replay_steps]) in sets() {
        let (expected, _) = by_module(&analyzed(&[&eager]), 0, eager_steps);
        let (found, rungs) = by_module(&analyzed(&[&replay, &capture]), 0, replay_steps);
        assert_eq!(found, expected, "{name}");
        assert_eq!(rungs, ["capture"], "{name}");
    }
}

#[test]
fn without_either_the_repetition_tells_the_layers() {
    for (name, [eager, _, replay], [eager_steps, replay_steps]) in sets() {
        let layers = |path: &str, steps: u64| -> BTreeMap<u64, u64> {
            let report = analyzed(&[path]);
            let rows = of(&report, "layers", 0).into_iter();
            rows.filter_map(|row| {
                Some((row["layer"].as_u64()?, row["kernels"].as_u64().unwrap() / steps))
            })
            .collect()
        };
        let (found, expected) = (layers(&replay, replay_steps), layers(&eager, eager_steps));
        assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>(), "{name}");
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn modules_and_layers_hold_all_kernels() {
    for (_, files, _) in sets() {
        for path in &files {
            let report = analyzed(&[path]);
            let sum = |table: &str, key: &str| -> i64 {
                let rows = report[table].as_array().unwrap().iter();
                rows.filter(|row| row["category"].is_null() || row["category"] == "kernel")
                    .map(|row| row[key].as_i64().unwrap())
                    .sum()
            };
            for table in ["modules", "layers"] {
                if !report[table].as_array().unwrap().is_empty() {
                    assert_eq!(sum(table, "device_ns"), sum("kernels", "sum_ns"), "{path} {table}");
                }
            }
        }
    }
}

/// Two modules with a kernel each, and a graph of the same kernels replayed outside of them.
fn eager_and_replayed() -> Value {
    let span = |(cat, name): (&str, &str), ts: u32, dur: u32, args: Value| json!({"ph": "X", "cat": cat, "name": name, "pid": 1, "tid": 1, "ts": ts, "dur": dur, "args": args});
    let call = |name: &str, ts: u32, correlation: u32| {
        span(("cuda_runtime", name), ts, 1, json!({"correlation": correlation}))
    };
    let kernel = |name: &str, ts: u32, correlation: u32| {
        let args = json!({"device": 0, "stream": 7, "correlation": correlation});
        let mut kernel = span(("kernel", name), ts, 1, args);
        kernel["pid"] = json!(0);
        kernel
    };
    let mut events = vec![call("cudaGraphLaunch", 40, 9)];
    for (n, name) in [(0_u32, "first"), (1, "second")] {
        let frame = ("python_function", &*format!("nn.Module: Linear_{n}"));
        events.push(span(frame, 10 * n, 8, json!({"Python id": n + 1})));
        events.push(call("cudaLaunchKernel", 10 * n + 2, n + 1));
        events.push(kernel(name, 10 * n + 4, n + 1));
        events.push(kernel(name, 50 + 10 * n, 9));
    }
    json!({"schemaVersion": 1, "traceEvents": events})
}

#[test]
fn a_replay_beside_the_eager_run_has_its_modules() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("both.pt.trace.json");
    std::fs::write(&path, eager_and_replayed().to_string()).unwrap();
    let report = analyzed(&[path.to_str().unwrap()]);
    let rows = of(&report, "modules", 0).into_iter();
    let mut found: Vec<_> =
        rows.map(|row| json!([row["module"], row["rung"], row["kernels"]])).collect();
    found.sort_by_key(ToString::to_string);
    let of = |module: &str, rung: &str| json!([module, rung, 1]);
    let expected = [
        of("Linear_0", "frame"),
        of("Linear_0", "sequence"),
        of("Linear_1", "frame"),
        of("Linear_1", "sequence"),
    ];
    assert_eq!(found, expected);
}

/// What a plain reading takes of an event with a length.
struct Span<'a> {
    event: &'a Value,
    tid: &'a Value,
    from: f64,
    to: f64,
}

fn spans<'a>(events: &'a [Value]) -> Vec<Span<'a>> {
    let span = |event: &'a Value| {
        let from = event["ts"].as_f64()?;
        let to = from + event["dur"].as_f64()?;
        Some(Span { event, tid: &event["tid"], from, to })
    };
    events.iter().filter_map(span).collect()
}

fn module_name<'a>(span: &Span<'a>) -> Option<&'a str> {
    span.event["name"].as_str()?.strip_prefix("nn.Module: ")
}

/// Thread of the forward operator and number of the node, of an operator of the backward pass.
fn node(event: &Value) -> Option<(u64, u64)> {
    let thread = event["args"]["Fwd thread id"].as_u64().filter(|&thread| thread > 0)?;
    Some((thread, event["args"]["Sequence number"].as_u64()?))
}

/// Kernels and their time in ns by module, and whether by the backward pass, as the events have it one by one.
fn plain(events: &[Value]) -> BTreeMap<(String, bool), (u64, i64)> {
    let all = spans(events);
    let around = |tid: &Value, from: f64, to: f64| {
        let mut around: Vec<&Span<'_>> =
            all.iter().filter(|one| one.tid == tid && one.from <= from && one.to >= to).collect();
        around.sort_by(|a, b| a.from.total_cmp(&b.from).then(b.to.total_cmp(&a.to)));
        around
    };
    let path = |around: &[&Span<'_>]| {
        let names: Vec<&str> = around.iter().filter_map(|one| module_name(one)).collect();
        (!names.is_empty()).then(|| names.join("/"))
    };
    let arrows = |phase: &str| {
        let is_one = |event: &&Value| event["cat"] == "fwdbwd" && event["ph"] == phase;
        events.iter().filter(is_one).collect::<Vec<_>>()
    };
    let (starts, ends) = (arrows("s"), arrows("f"));
    let mut modules: BTreeMap<(u64, u64), Option<String>> = BTreeMap::new();
    for end in ends {
        let start = starts.iter().find(|start| start["id"] == end["id"]).unwrap();
        let at = start["ts"].as_f64().unwrap();
        let module = path(&around(&start["tid"], at, at));
        let bound = all.iter().filter(|one| *one.tid == end["tid"] && end["ts"] == one.event["ts"]);
        modules.extend(bound.filter_map(|one| Some((node(one.event)?, module.clone()))));
    }
    let calls: BTreeMap<u64, &Span<'_>> = all
        .iter()
        .filter(|one| matches!(one.event["cat"].as_str(), Some("cuda_runtime" | "cuda_driver")))
        .filter_map(|one| Some((one.event["args"]["correlation"].as_u64()?, one)))
        .collect();
    let mut found: BTreeMap<(String, bool), (u64, i64)> = BTreeMap::new();
    for kernel in all.iter().filter(|one| one.event["cat"] == "kernel") {
        let correlation = kernel.event["args"]["correlation"].as_u64().unwrap();
        let Some(call) = calls.get(&correlation) else { continue };
        let around = around(call.tid, call.from, call.to);
        let is_told = |one: &&&Span<'_>| module_name(one).is_some() || node(one.event).is_some();
        let Some(inner) = around.iter().rev().find(is_told) else { continue };
        let of_node = node(inner.event).and_then(|node| modules.get(&node).cloned().flatten());
        let is_backward = of_node.is_some();
        let Some(module) = of_node.or_else(|| path(&around)) else { continue };
        let sum = found.entry((module, is_backward)).or_default();
        sum.0 += 1;
        sum.1 += (kernel.event["dur"].as_f64().unwrap() * 1e3).round() as i64;
    }
    found
}

fn read_events(path: &std::path::Path) -> Vec<Value> {
    let mut text = String::new();
    let file = std::fs::File::open(path).unwrap();
    flate2::read::GzDecoder::new(file).read_to_string(&mut text).unwrap();
    let trace: Value = serde_json::from_str(&text).unwrap();
    trace["traceEvents"].as_array().unwrap().clone()
}

/// The rows of frames and of backward passes.
fn told(report: &Value) -> BTreeMap<(String, bool), (u64, i64)> {
    let rows = of(report, "modules", 0).into_iter().filter(|row| row["kernels"] != 0);
    let mut found: BTreeMap<(String, bool), (u64, i64)> = BTreeMap::new();
    for row in rows.filter(|row| matches!(row["rung"].as_str(), Some("frame" | "backward"))) {
        let key = (row["module"].as_str().unwrap().to_owned(), row["rung"] == "backward");
        let sum = found.entry(key).or_default();
        sum.0 += row["kernels"].as_u64().unwrap();
        sum.1 += row["device_ns"].as_i64().unwrap();
    }
    found
}

#[test]
fn backward_belongs_to_the_module_of_its_forward_operator() {
    let Some(shared) = common::shared_traces() else { return };
    for (name, at_least) in [
        ("own/h100_graphs/memory_steady.pt.trace.json.gz", 200),
        ("own/h100/py_nccl_x2/nccl_overlap_ddp_rank1.pt.trace.json.gz", 50),
        // With recomputation: frames inside the backward pass.
        ("public/mi300_resnet_rccl/resnet_act_checkpoint.json.gz", 500),
    ] {
        let path = shared.join(name);
        let expected = plain(&read_events(&path));
        let found = told(&analyzed(&[path.to_str().unwrap()]));
        let backward: u64 =
            found.iter().filter(|((_, is_backward), _)| *is_backward).map(|(_, sum)| sum.0).sum();
        assert!(backward >= at_least, "{name}: {backward}");
        assert_eq!(found, expected, "{name}");
    }
}

/// Two modules forward, one after the other, on thread 1 (and `second` forward on a thread of its own), and their backward
/// on thread 9, each with one kernel: of 1 and 2 µs forward, 10 and 20 µs backward.
fn with_backward(arrows: bool, second: u64) -> Value {
    let mut events = Vec::new();
    let mut launched = 0;
    let mut add = |tid: u64, ts: f64, name: &str, args: Value, kernel_us: f64| {
        launched += 1;
        let span = |cat: &str, name: &str, tid: u64, ts: f64, dur: f64, args: Value| json!({"ph": "X", "cat": cat, "name": name, "pid": 1, "tid": tid, "ts": ts, "dur": dur, "args": args});
        let of_kernel = json!({"device": 0, "stream": 7, "correlation": launched});
        let mut kernel =
            span("kernel", "k", 7, 200.0 + 30.0 * f64::from(launched), kernel_us, of_kernel);
        kernel["pid"] = json!(0);
        let call = json!({"correlation": launched});
        [
            span("cpu_op", name, tid, ts, 6.0, args),
            span("cuda_runtime", "cudaLaunchKernel", tid, ts + 2.0, 1.0, call),
            kernel,
        ]
    };
    let frame = |tid: u64, name: &str, ts: f64| json!({"ph": "X", "cat": "python_function", "name": name, "pid": 1, "tid": tid, "ts": ts, "dur": 8.0, "args": {"Python id": ts}});
    for (n, tid) in [(0_u32, 1), (1, second)] {
        let at = f64::from(n) * 10.0;
        events.push(frame(tid, &format!("nn.Module: Linear_{n}"), at));
        let forward = json!({"Sequence number": 40 + n, "Fwd thread id": 0});
        events.extend(add(tid, at + 1.0, "aten::addmm", forward, f64::from(n + 1)));
        let back = 60.0 - at;
        let backward = json!({"Sequence number": 40 + n, "Fwd thread id": 1});
        events.extend(add(9, back, "AddmmBackward0", backward, f64::from(10 * (n + 1))));
        if arrows {
            for (phase, tid, ts) in [("s", tid, at + 1.0), ("f", 9, back)] {
                events.push(json!({"ph": phase, "id": n + 1, "pid": 1, "tid": tid, "ts": ts, "cat": "fwdbwd", "name": "fwdbwd", "bp": "e"}));
            }
        }
    }
    json!({"schemaVersion": 1, "traceEvents": events})
}

#[test]
fn arrows_tell_of_backward_and_numbers_where_one_thread_runs_forward() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("backward.pt.trace.json");
    let of = |trace: Value| {
        std::fs::write(&path, trace.to_string()).unwrap();
        told(&analyzed(&[path.to_str().unwrap()]))
    };
    let row =
        |n: u32, is_backward, us: i64| ((format!("Linear_{n}"), is_backward), (1, us * 1_000));
    let forward = [row(0, false, 1), row(1, false, 2)];
    let both =
        BTreeMap::from([row(0, false, 1), row(1, false, 2), row(0, true, 10), row(1, true, 20)]);
    assert_eq!(of(with_backward(true, 1)), both);
    assert_eq!(of(with_backward(false, 1)), both);
    assert_eq!(of(with_backward(true, 2)), both);
    // Threads count apart: without arrows nothing tells whose number it is.
    assert_eq!(of(with_backward(false, 2)), BTreeMap::from(forward));
}
