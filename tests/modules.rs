//! Modules and layers, in frames and through CUDA graphs: a replayed graph must say what the eager run says.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;
mod program;

use std::collections::BTreeMap;

use program::{omni_trace, root};
use serde_json::Value;

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
