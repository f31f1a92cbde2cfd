//! Launch statistics and queues of real traces, against a plain reading of their JSON; and that a model run eagerly is
//! bound by its host where the same model as a graph is not.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;
mod program;

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;

use program::omni_trace;
use serde_json::Value;

fn analyzed(path: &Path) -> Value {
    let tables = "launches,launch_stats,queue_depth,queue_over_time";
    let path = path.to_str().unwrap();
    let output = omni_trace(&["analyze", path, "--format", "json", "--table", tables]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The events of a trace, as JSON.
fn events(path: &Path) -> Vec<Value> {
    let mut text = String::new();
    let file = std::fs::File::open(path).unwrap();
    flate2::read::MultiGzDecoder::new(file).read_to_string(&mut text).unwrap();
    let mut trace: Value = serde_json::from_str(&text).unwrap();
    match trace["traceEvents"].take() {
        Value::Array(events) => events,
        other => panic!("{other} is no list"),
    }
}

/// One event with a duration.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
struct Plain {
    start: i64,
    end: i64,
}

fn plain(event: &Value) -> Plain {
    let ns = |key: &str| (event[key].as_f64().unwrap() * 1000.0).round() as i64;
    Plain { start: ns("ts"), end: ns("ts") + ns("dur") }
}

/// What a plain reading says of one name: started, sum from call to begin, sum of queue waits.
type Sums = BTreeMap<String, (u64, i64, i64)>;
/// And of a stream: launches, most outstanding, sum of the counts after each change.
type Queues = BTreeMap<(u64, u64), (u64, i64, i64)>;

/// Its time, its correlation, its name.
type Activity = (Plain, u64, String);

fn read_plainly(path: &Path) -> (Sums, Queues) {
    let events = events(path);
    let of = |cats: &'static [&str]| {
        events.iter().filter(move |event| {
            event["ph"] == "X" && event["cat"].as_str().is_some_and(|cat| cats.contains(&cat))
        })
    };
    let mut calls: BTreeMap<u64, Plain> = BTreeMap::new();
    for event in of(&["cuda_runtime", "cuda_driver"]) {
        let Some(id) = event["args"]["correlation"].as_u64().filter(|&id| id != 0) else {
            continue;
        };
        let call = calls.entry(id).or_insert_with(|| plain(event));
        if plain(event).start < call.start {
            *call = plain(event);
        }
    }
    let number = |event: &Value, key: &str| event["args"][key].as_u64().unwrap();
    let mut streams: BTreeMap<(u64, u64), Vec<Activity>> = BTreeMap::new();
    for event in of(&["kernel", "gpu_memcpy", "gpu_memset"]) {
        let stream = (number(event, "device"), number(event, "stream"));
        let name = event["name"].as_str().unwrap().to_owned();
        let one = (plain(event), number(event, "correlation"), name);
        streams.entry(stream).or_default().push(one);
    }
    let (mut sums, mut queues) = (Sums::new(), Queues::new());
    let mut seen: Vec<(i64, u64)> = Vec::new();
    for all in streams.values() {
        for (at, id, name) in all {
            let Some(call) = calls.get(id) else { continue };
            let before = all.iter().filter(|(other, ..)| other.start < at.start);
            let free = before.map(|(other, ..)| other.end).max().unwrap_or(i64::MIN);
            let sum = sums.entry(name.clone()).or_default();
            sum.0 += 1;
            sum.1 += at.start - call.start;
            sum.2 += (at.start - call.end.max(free)).max(0);
            seen.push((at.start, *id));
        }
    }
    for (&stream, all) in &streams {
        let mut steps: Vec<(i64, i64)> = Vec::new();
        for (at, id, _) in all {
            let is_first = !seen.iter().any(|&(start, other)| other == *id && start < at.start);
            if let Some(call) = calls.get(id).filter(|_| is_first) {
                steps.push((call.start, -1));
                steps.push((at.start.max(call.start), 1));
            }
        }
        steps.sort_unstable();
        let queue = queues.entry(stream).or_default();
        let mut depth = 0;
        for (_, less) in steps {
            depth -= less;
            queue.0 += u64::from(less < 0);
            queue.1 = queue.1.max(depth);
            queue.2 += depth;
        }
    }
    (sums, queues)
}

const TRACES: [&str; 4] = [
    "own/h100/py_llm/llm_eager.pt.trace.json.gz",
    "own/h100/py_llm/llm_cudagraph.pt.trace.json.gz",
    "own/h100/py_nccl_x2/nccl_overlap_ddp_rank0.pt.trace.json.gz",
    "own/h200_pairs/two_streams_A.pt.trace.json.gz",
];

#[test]
fn sums_are_those_of_a_plain_reading() {
    let Some(shared) = common::shared_traces() else { return };
    for name in TRACES {
        let path = shared.join(name);
        let (sums, queues) = read_plainly(&path);
        let report = analyzed(&path);
        let rows = |key: &str| report[key].as_array().unwrap().clone();
        let stats = rows("launch_stats");
        let of = |by: &str| stats.iter().filter(|row| row["by"] == by).collect::<Vec<_>>();
        let kernels = of("kernel");
        assert_eq!(kernels.len(), sums.len(), "{name}");
        for row in &kernels {
            let sum = sums[row["name"].as_str().unwrap()];
            let ints = |key: &str| row[key].as_i64().unwrap();
            let found =
                (row["count"].as_u64().unwrap(), ints("total_sum_ns"), ints("queue_sum_ns"));
            // The plain reading has times as floating-point numbers: each may be a nanosecond off.
            let off = 4 * sum.0 as i64;
            let is_near = |a: i64, b: i64| (a - b).abs() <= off;
            assert_eq!(found.0, sum.0, "{name}: {}", row["name"]);
            assert!(
                is_near(found.1, sum.1) && is_near(found.2, sum.2),
                "{name}: {found:?} {sum:?}"
            );
        }
        for key in ["count", "calls", "total_sum_ns", "host_ns", "launch_ns"] {
            let sum =
                |rows: &[&Value]| rows.iter().map(|row| row[key].as_i64().unwrap()).sum::<i64>();
            assert_eq!(sum(&kernels), sum(&of("operator")), "{name}: {key}");
        }
        let depth = rows("queue_depth");
        assert!(!depth.is_empty() && depth.len() <= queues.len(), "{name}");
        for row in depth {
            let stream = (row["device"].as_u64().unwrap(), row["stream"].as_u64().unwrap());
            let (launches, most, sum) = queues[&stream];
            assert_eq!(
                (row["launches"].as_u64(), row["most"].as_i64()),
                (Some(launches), Some(most))
            );
            let mean = row["change_mean"].as_f64().unwrap();
            assert!((mean - sum as f64 / (2 * launches) as f64).abs() < 1e-9, "{name}: {row}");
            let slots = rows("queue_over_time");
            let own = slots.iter().filter(|slot| slot["stream"] == row["stream"]);
            let empty: i64 = own.map(|slot| slot["empty_ns"].as_i64().unwrap()).sum();
            assert_eq!(row["empty_ns"], empty, "{name}");
        }
    }
}

#[test]
fn a_graph_takes_the_host_off_the_path() {
    let Some(shared) = common::shared_traces() else { return };
    let decode = |kind: &str| {
        let name = format!("own/h200_pairs/decode_{kind}.pt.trace.json.gz");
        let report = analyzed(&shared.join(name));
        let mut rows = report["launch_stats"].as_array().unwrap().clone();
        rows.retain(|row| row["by"] == "iteration");
        assert!(rows.len() > 3, "{kind}");
        rows
    };
    let share = |rows: &[Value], bound: &str| {
        rows.iter().filter(|row| row["bound"] == bound).count() as f64 / rows.len() as f64
    };
    let (eager, graph) = (decode("eager"), decode("graph"));
    assert!(share(&eager, "host_bound") > 0.9 && share(&graph, "device_bound") > 0.9);
    let per_call = |rows: &[Value]| {
        let sum = |key: &str| rows.iter().map(|row| row[key].as_f64().unwrap()).sum::<f64>();
        sum("count") / sum("calls")
    };
    assert!(per_call(&eager) < 1.01 && per_call(&graph) > 5.0);
}
