//! Device time of operators where `External id` is the correlation (writers of 2021 to February 2024): by correlation
//! to the call, and by the innermost operator that contains the call on its thread, against a plain reading of the JSON.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use omni_trace::analyze::base::{TimeBase, TimeConfig};
use omni_trace::analyze::exclude::exclusion;
use omni_trace::analyze::key_averages::{
    Choice, DeviceType, KeyAverages, KeyAveragesConfig, LinkSource, key_averages,
    key_averages_excluding,
};
use omni_trace::analyze::timeline::Class;
use omni_trace::read::{ReadOptions, read_input};
use serde_json::Value;

/// A complete event of the plain reading.
struct Event {
    category: String,
    name: String,
    thread: (String, String),
    start_ns: i64,
    end_ns: i64,
    correlation: Option<i64>,
}

fn plain_events(path: &Path) -> Vec<Event> {
    let bytes = std::fs::read(path).unwrap();
    let mut text = String::new();
    match path.extension().is_some_and(|end| end == "gz") {
        true => {
            flate2::read::MultiGzDecoder::new(&bytes[..]).read_to_string(&mut text).unwrap();
        }
        false => text = String::from_utf8(bytes).unwrap(),
    }
    let json: Value = serde_json::from_str(&text).unwrap();
    let events = json.get("traceEvents").unwrap_or(&json).as_array().unwrap();
    events.iter().filter(|event| event["ph"] == "X").map(plain_event).collect()
}

fn plain_event(event: &Value) -> Event {
    // All traces of this kind have whole microseconds.
    let ns = |key: &str| {
        let us = event[key].as_f64().unwrap();
        assert!(us.fract() == 0.0 && us.abs() < 9e15, "{event}");
        us as i64 * 1_000
    };
    Event {
        category: event["cat"].as_str().unwrap_or("").to_owned(),
        name: event["name"].as_str().unwrap().to_owned(),
        thread: (event["pid"].to_string(), event["tid"].to_string()),
        start_ns: ns("ts"),
        end_ns: ns("ts") + ns("dur"),
        correlation: event["args"]["correlation"].as_i64(),
    }
}

/// Device time by the name of the innermost operator around the launch; nothing is fast here.
fn device_time_by_operator(events: &[Event]) -> BTreeMap<&str, i64> {
    let is_activity = |e: &&Event| ["kernel", "gpu_memcpy", "gpu_memset"].contains(&&*e.category);
    let mut sums = BTreeMap::new();
    for activity in events.iter().filter(is_activity) {
        let call = events
            .iter()
            .find(|e| e.category == "cuda_runtime" && e.correlation == activity.correlation);
        let Some(call) = call else { continue };
        let innermost = events
            .iter()
            .filter(|op| op.category == "cpu_op" && op.thread == call.thread)
            .filter(|op| op.start_ns <= call.start_ns && op.end_ns >= call.end_ns)
            .max_by_key(|op| (op.start_ns, -op.end_ns));
        if let Some(op) = innermost {
            *sums.entry(op.name.as_str()).or_default() += activity.end_ns - activity.start_ns;
        }
    }
    sums
}

fn host_device_time(table: &KeyAverages) -> BTreeMap<&str, i64> {
    let rows = table.rows.iter().filter(|r| r.device_type == DeviceType::Cpu);
    rows.map(|r| (r.name.as_str(), r.self_device_ns.unwrap_or(0)))
        .filter(|one| one.1 != 0)
        .collect()
}

#[test]
fn correlation_and_nesting_give_what_a_plain_reading_gives() {
    let Some(traces) = common::shared_traces() else { return };
    let public = traces.join("public");
    let mut n = 0;
    for path in common::real_traces() {
        let is_of_kind = ["a100_rank", "dlrm_8rank"]
            .iter()
            .any(|kind| path.starts_with(&public) && path.to_string_lossy().contains(kind));
        if !is_of_kind {
            continue;
        }
        let events = plain_events(&path);
        let store = read_input(&path, &ReadOptions::default()).unwrap().store;
        for torch_compat in [Choice::Auto, Choice::Yes, Choice::No] {
            let config = KeyAveragesConfig { torch_compat, ..KeyAveragesConfig::default() };
            let table = key_averages(&store, &config);
            assert_eq!(table.link_source, LinkSource::Nesting, "{}", path.display());
            let expected = device_time_by_operator(&events);
            assert!(expected.len() > 20 && expected.contains_key("record_param_comms"));
            assert_eq!(host_device_time(&table), expected, "{}", path.display());
        }
        n += 1;
    }
    assert_eq!(n, 10);
}

/// Calls stay on their thread, so that what is excluded of a thread is never more than the row had.
#[test]
fn no_row_is_negative_without_unattributed_time() {
    let Some(_) = common::shared_traces() else { return };
    for path in common::real_traces() {
        let shown = path.to_string_lossy().into_owned();
        if !["a100_rank", "dlrm_8rank", "kineto_2021"].iter().any(|kind| shown.contains(kind)) {
            continue;
        }
        let store = read_input(&path, &ReadOptions::default()).unwrap().store;
        let base = TimeBase::new(&store, &TimeConfig::default());
        let out = exclusion(&store, &base, &[Class::Unattributed]);
        let table = key_averages_excluding(
            &store,
            &KeyAveragesConfig::default(),
            Some(&|slice| out.of_row(&store, slice)),
        );
        for row in &table.rows {
            assert!(row.self_cpu_ns >= 0, "{shown}: {row:?}");
        }
    }
}
