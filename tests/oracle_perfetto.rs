//! What is written as Perfetto protobuf, as the `perfetto` package's own definitions read it.
//!
//! Perfetto's own importer is asked in `tests/perfetto_page.rs`. What stands here and in `tests/merge.rs` holds the rules that its
//! statistics count: begins and ends match, slices of a track nest, tracks are described.
//!
//! `tests/oracle/make_venv.sh` makes the Python environment; without it these tests say that they were skipped.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;
mod program;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use omni_trace::read::{ReadOptions, read_input};
use omni_trace::store::FlowPhase;
use program::omni_trace;
use serde_json::Value;

/// The Python that has the package.
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn python() -> Option<PathBuf> {
    let python = common::cache()?.join("omni-trace-oracle/bin/python");
    if python.exists() {
        return Some(python);
    }
    assert!(std::env::var_os("CI").is_none(), "under CI tests/oracle/make_venv.sh must have run");
    eprintln!(
        "SKIPPED: no Python with the `perfetto` package; tests/oracle/make_venv.sh makes one"
    );
    None
}

fn ask(python: &Path, args: &[&str]) -> Value {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle/pftrace.py");
    let output = Command::new(python).arg(script).args(args).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn the_schema_has_perfettos_numbers() {
    let Some(python) = python() else { return };
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("proto/perfetto.proto");
    let fields = ask(&python, &["--fields", schema.to_str().unwrap()]);
    let fields = fields.as_object().unwrap();
    assert!(fields.len() > 90);
    for (field, numbers) in fields {
        // Two deprecated names are gone from the package's definitions; old traces still carry their numbers.
        let is_gone = field.starts_with("TrackEvent.") && field.ends_with("_old");
        // Extensions come in packages of their own; torch's writer has their numbers by hand.
        let is_extension = ["compute_kernels", "compute_arg_names", "gpu_correlation"]
            .iter()
            .any(|name| field.ends_with(name))
            || field.starts_with("GpuCorrelation.");
        let is_absent = numbers[1].is_null() && (is_gone || is_extension);
        assert!(is_absent || numbers[0] == numbers[1], "{field}: {numbers}");
    }
}

/// The sum of the correlations of the events of some names, as a trace's JSON has them.
fn correlations_of(path: &Path, names: &[&str]) -> u128 {
    let file = std::fs::File::open(path).unwrap();
    let trace: Value = serde_json::from_reader(flate2::read::MultiGzDecoder::new(file)).unwrap();
    let events = trace["traceEvents"].as_array().unwrap().iter();
    let of_names = events.filter(|event| names.contains(&event["name"].as_str().unwrap_or("")));
    of_names.map(|event| u128::from(event["args"]["correlation"].as_u64().unwrap_or(0))).sum()
}

#[test]
fn every_small_trace_is_read_alike() {
    let Some(python) = python() else { return };
    let dir = tempfile::tempdir().unwrap();
    let mut n_slices = 0;
    for path in common::real_traces() {
        if std::fs::metadata(&path).unwrap().len() > 1_200_000 {
            continue;
        }
        let out = dir.path().join("out.pftrace");
        let output =
            omni_trace(&["merge", path.to_str().unwrap(), "-o", out.to_str().unwrap(), "-q"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let view = ask(&python, &[out.to_str().unwrap()]);
        assert_eq!(view["broken"], Value::Array(Vec::new()), "{}", path.display());
        let store =
            read_input(&path, &ReadOptions { threads: 2, ..ReadOptions::default() }).unwrap().store;
        let mut ours: BTreeMap<(String, String), (u64, i64)> = BTreeMap::new();
        let mut correlations = 0_u128;
        for slice in 0..store.slices.len() {
            let key = (store.category(slice).to_owned(), store.name(slice).to_owned());
            let row = ours.entry(key).or_default();
            row.0 += 1;
            row.1 += store.slices.dur_ns(slice);
            correlations += u128::from(store.correlation(slice).unwrap_or(0));
        }
        n_slices += store.slices.len();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let theirs: BTreeMap<(String, String), (u64, i64)> = view["rows"]
            .as_array()
            .unwrap()
            .iter()
            .map(|r| ((text(&r[0]), text(&r[1])), (r[2].as_u64().unwrap(), r[3].as_i64().unwrap())))
            .collect();
        assert_eq!(ours, theirs, "{}", path.display());
        // Marks on MTIA's devices are no device activity to us, so that nothing keeps the call that made them.
        if path.to_string_lossy().contains("mtia_inference") {
            correlations += correlations_of(&path, &["event_record", "event_wait"]);
        }
        // torch_npu writes no correlations: which call started what is told by arrows alone, and these are compared below.
        if path.file_name().is_some_and(|name| name == "trace_view.json") {
            assert!(view["correlations"] == 0 && correlations > 0, "{}", path.display());
        } else {
            let theirs = view["correlations"].as_u64().map(u128::from);
            assert_eq!(theirs, Some(correlations), "{}", path.display());
        }
        for (phase, name) in [(FlowPhase::Start, "s"), (FlowPhase::Finish, "f")] {
            let n = store.flows.iter().filter(|flow| flow.phase == phase).count() as u64;
            assert_eq!(view["phases"][name].as_u64().unwrap_or(0), n, "{}", path.display());
        }
    }
    assert!(n_slices > 10_000);
}

/// Cases `torch_pftrace`: what torch's own writer gives, by the package's definitions.
#[test]
fn torchs_own_traces_are_read_alike() {
    let (Some(python), Some(cases)) = (python(), common::shared_cases()) else { return };
    for name in ["torch_order", "sorted", "kernel"] {
        let path = cases.join(format!("torch_pftrace/{name}.pftrace"));
        let view = ask(&python, &[path.to_str().unwrap()]);
        assert_eq!(view["broken"], Value::Array(Vec::new()));
        let store = read_input(&path, &ReadOptions::default()).unwrap().store;
        let on_device: Vec<usize> = store.device_rows.iter().map(|r| r.slice as usize).collect();
        let stages = view["stages"].as_array().unwrap();
        assert_eq!(on_device.len(), stages.len(), "{name}");
        for (&slice, stage) in on_device.iter().zip(stages) {
            let correlation = stage[5]["correlation"].as_str().unwrap();
            assert_eq!(store.slices.ts_ns[slice], stage[3].as_i64().unwrap());
            assert_eq!(store.slices.dur_ns(slice), stage[4].as_i64().unwrap());
            assert_eq!(store.correlation(slice), correlation.parse().ok());
        }
        let host = (0..store.slices.len()).filter(|slice| !on_device.contains(slice));
        let mut ours: Vec<(String, i64)> =
            host.map(|slice| (store.name(slice).to_owned(), store.slices.dur_ns(slice))).collect();
        ours.sort();
        let rows = view["rows"].as_array().unwrap().iter();
        let theirs: Vec<(String, i64)> =
            rows.map(|r| (r[1].as_str().unwrap().to_owned(), r[3].as_i64().unwrap())).collect();
        assert_eq!(ours, theirs, "{name}");
    }
}

/// The fixture of other writers' features is what the package's own definitions give.
#[test]
fn the_foreign_fixture_is_as_generated() {
    let Some(python) = python() else { return };
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("foreign.pftrace");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let script = root.join("fixtures/tools/perfetto_foreign.py");
    let output = Command::new(python).arg(script).arg(&out).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // Deflated bytes may differ between versions of zlib; what is read from them may not.
    let read = |path: &Path| {
        let slim = dir.path().join("slim.json");
        let args =
            ["slim", path.to_str().unwrap(), "--keep-waits", "-q", "-o", slim.to_str().unwrap()];
        assert!(omni_trace(&args).status.success());
        std::fs::read_to_string(slim).unwrap()
    };
    assert_eq!(read(&out), read(&root.join("fixtures/perfetto_foreign/foreign.pftrace")));
}
