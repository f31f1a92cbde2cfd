//! Every real trace, against a plain reading by Python's `json`: events, and count and duration of every name.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use omni_trace::model::EventKind;
use omni_trace::read::{ReadOptions, read_input};
use omni_trace::store::Store;
use rayon::prelude::*;
use serde_json::Value;

/// Traces that Python cannot read, with the reason.
const NOT_JSON: [(&str, &str); 1] =
    [("odd_names", "torch wrote a name with an unescaped quote: the file is invalid JSON")];

type Rows = BTreeMap<(String, String), (u64, i64)>;

fn our_rows(store: &Store) -> Rows {
    let mut rows = Rows::new();
    for slice in 0..store.slices.len() {
        let key = (store.category(slice).to_owned(), store.name(slice).to_owned());
        let row = rows.entry(key).or_default();
        row.0 += 1;
        row.1 += store.slices.dur_ns(slice);
    }
    rows
}

fn python_view(path: &Path) -> Value {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle/plain_json.py");
    let output = Command::new("python3").arg(script).arg(path).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{}: {errors}", path.display());
    serde_json::from_slice(&output.stdout).unwrap()
}

fn python_rows(view: &Value) -> Rows {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let rows = view["rows"].as_array().unwrap().iter();
    rows.map(|r| ((text(&r[0]), text(&r[1])), (r[2].as_u64().unwrap(), r[3].as_i64().unwrap())))
        .collect()
}

#[test]
fn every_trace_reads_as_python_reads_it() {
    let traces = common::real_traces();
    if Command::new("python3").arg("--version").output().is_err() {
        assert!(std::env::var_os("CI").is_none(), "under CI python3 must be there");
        eprintln!("SKIPPED: no python3");
        return;
    }
    let compared: Vec<(u64, u64)> = traces
        .par_iter()
        .filter(|path| !NOT_JSON.iter().any(|(name, _)| path.to_string_lossy().contains(name)))
        .map(|path| {
            let store = read_input(path, &ReadOptions { threads: 1, ..ReadOptions::default() })
                .unwrap()
                .store;
            let view = python_view(path);
            assert_eq!(view["events"].as_u64(), Some(store.n_events), "{}", path.display());
            // Begin and end pairs become slices here and stay two events there.
            if view["phases"].get("B").is_none() {
                assert_eq!(our_rows(&store), python_rows(&view), "{}", path.display());
            }
            let kernels = (0..store.slices.len()).filter(|&i| store.kind(i) == EventKind::Kernel);
            (store.n_events, kernels.count() as u64)
        })
        .collect();
    let sum = |f: fn(&(u64, u64)) -> u64| compared.iter().map(f).sum::<u64>();
    eprintln!("{} traces, {} events, {} kernels equal", compared.len(), sum(|c| c.0), sum(|c| c.1));
}
