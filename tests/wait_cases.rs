//! Waiting on small inputs whose right values a person can add up: cases 26, 60, 60b and 61.

mod common;
mod program;

use program::omni_trace;
use serde_json::Value;

fn analyze(case: &str, more: &[&str]) -> Option<Value> {
    let path = common::shared_cases()?.join(case);
    let path = path.to_string_lossy().into_owned();
    let mut args = vec!["analyze", path.as_str(), "--format", "json", "--quiet"];
    args.extend(more);
    let output = omni_trace(&args);
    assert!(output.status.success(), "{case}");
    Some(serde_json::from_slice(&output.stdout).expect("the machine output is JSON"))
}

/// Time of a class of the only work thread.
fn class_ns(report: &Value, class: &str) -> i64 {
    let threads = report["threads"].as_array().expect("threads");
    assert_eq!(threads.len(), 1);
    let classes = threads[0]["classes"].as_array().expect("classes");
    let row = classes.iter().find(|row| row["class"] == class);
    row.and_then(|row| row["ns"].as_i64()).unwrap_or(0)
}

/// Name, count and sum of the waits of a class, the largest first.
fn waits<'a>(report: &'a Value, class: &str) -> Vec<(&'a str, u64, i64)> {
    let rows = report["waits"].as_array().expect("waits");
    let rows = rows.iter().filter(|row| row["class"] == class);
    rows.map(|row| {
        let number = |key: &str| row[key].as_i64().expect("an integer");
        (row["name"].as_str().expect("a name"), number("count") as u64, number("sum_ns"))
    })
    .collect()
}

#[test]
fn synchronizing_calls_inside_operators_are_waits_60() {
    let Some(report) = analyze("60_item_sync.json", &[]) else { return };
    assert_eq!(class_ns(&report, "gpu_sync"), 1_800_000);
    let expected = [
        ("cudaStreamSynchronize", 3, 1_710_000),
        ("aten::_local_scalar_dense", 3, 54_000),
        ("cudaMemcpyAsync", 3, 30_000),
        ("aten::item", 3, 6_000),
    ];
    assert_eq!(waits(&report, "gpu_sync"), expected);
}

#[test]
fn the_same_calls_without_operators_60b() {
    let Some(report) = analyze("60b_plain_sync.json", &[]) else { return };
    assert_eq!(class_ns(&report, "gpu_sync"), 1_740_000);
    let expected = [("cudaStreamSynchronize", 3, 1_710_000), ("cudaMemcpyAsync", 3, 30_000)];
    assert_eq!(waits(&report, "gpu_sync"), expected);
}

#[test]
fn an_item_of_a_tensor_on_the_host_waits_for_nothing_61() {
    let Some(report) = analyze("61_item_on_cpu_tensor.json", &[]) else { return };
    assert_eq!(class_ns(&report, "gpu_sync"), 0);
    assert_eq!(waits(&report, "gpu_sync"), []);
    assert!(class_ns(&report, "cpu_op") > 300_000);
}

/// 4 × 50 ms under the annotation of a DataLoader with worker processes: waiting for another process.
#[test]
fn a_dataloader_waits_for_its_workers_26() {
    let Some(report) = analyze("26_dataloader_wait.json", &[]) else { return };
    assert_eq!(class_ns(&report, "ipc_wait"), 200_000_000);
    let name = "enumerate(DataLoader)#_MultiProcessingDataLoaderIter.__next__";
    assert_eq!(waits(&report, "ipc_wait"), [(name, 4, 200_000_000)]);
    let idle = &report["devices"][0];
    let causes = idle["idle_by_cause"].as_array().expect("causes");
    let ipc = causes.iter().find(|row| row["cause"] == "ipc_wait").expect("a cause");
    assert_eq!(ipc["ns"], 200_000_000);
    assert!((206_000_000..208_000_000).contains(&idle["idle_ns"].as_i64().expect("idle time")));
    let Some(left) = analyze("26_dataloader_wait.json", &["--exclude-ipc-wait"]) else { return };
    assert_eq!(left["totals"]["excluded_ipc_wait_ns"], 200_000_000);
}

/// Ranges in which a thread ran nothing that is recorded: waiting, with a row, and no wait for another process.
#[test]
fn a_long_range_without_anything_inside_is_waiting() {
    let Some(traces) = common::shared_traces() else { return };
    for (trace, range) in [("host_sleep_A", "detokenize"), ("ddp_late_rank1", "load_batch")] {
        let path = traces.join(format!("own/h200_pairs/{trace}.pt.trace.json.gz"));
        let path = path.to_string_lossy().into_owned();
        let of = |more: &[&str]| {
            let mut args = vec!["analyze", path.as_str(), "--format", "json", "--quiet"];
            args.extend(more);
            let output = omni_trace(&args);
            serde_json::from_slice::<Value>(&output.stdout).expect("the machine output is JSON")
        };
        let report = of(&[]);
        let rows = waits(&report, "other_wait");
        let row = rows.iter().find(|row| row.0 == range).expect("it has a row");
        assert!(row.2 > 20_000_000, "{trace}: {row:?}");
        assert_eq!(waits(&report, "ipc_wait"), []);
        let left = of(&["--exclude-ipc-wait"]);
        assert_eq!(left["totals"]["excluded_ns"], 0);
        assert_eq!(waits(&left, "other_wait"), rows);
    }
}
