//! Names that would move a cursor, turn the direction of writing or run as a formula, and durations whose sums would wrap.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod program;

use std::path::{Path, PathBuf};

use program::{omni_trace, root};
use serde_json::{Value, json};

/// Names that a spreadsheet would take for formulas, and what else may stand in a name.
const NAMES: [&str; 8] = [
    "=HYPERLINK(1)",
    "+cmd",
    "-2+3",
    "@SUM(A1)",
    "\t=1",
    "\u{1b}[2Jgone",
    "a\u{202e}b\u{2066}c",
    "plain",
];

fn trace_of(folder: &Path, durations: &[u64]) -> PathBuf {
    let event = |(i, name): (usize, &&str)| {
        let dur = durations[i % durations.len()];
        json!({"ph": "X", "cat": "cpu_op", "name": name, "pid": 1, "tid": 1, "ts": 10 * i, "dur": dur})
    };
    let events: Vec<Value> = NAMES.iter().enumerate().map(event).collect();
    let path = folder.join("t.json");
    std::fs::write(&path, json!({"traceEvents": events}).to_string()).unwrap();
    path
}

fn printed(args: &[&str]) -> String {
    let output = omni_trace(args);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn no_cell_of_csv_is_a_formula_and_raw_names_stay() {
    let folder = tempfile::tempdir().unwrap();
    let path = trace_of(folder.path(), &[5]);
    let csv = ["analyze", path.to_str().unwrap(), "--format", "csv", "--table", "key_averages"];
    let neutral = printed(&csv);
    for name in &NAMES[..5] {
        assert!(neutral.contains(&format!("'{name}")), "{name:?} in {neutral}");
    }
    assert!(neutral.contains("plain") && !neutral.contains("'plain"), "{neutral}");
    let raw = printed(&[&csv[..], &["--csv-raw"]].concat());
    assert_eq!(
        raw,
        neutral
            .replace("'=", "=")
            .replace("'+", "+")
            .replace("'-", "-")
            .replace("'@", "@")
            .replace("'\t", "\t")
    );
    let columns = printed(&["schema"]);
    assert!(columns.contains("--csv-raw"), "{columns}");
}

#[test]
fn what_people_read_holds_no_control_characters() {
    let folder = tempfile::tempdir().unwrap();
    let path = trace_of(folder.path(), &[5]);
    for format in ["text", "md"] {
        let text = printed(&["analyze", path.to_str().unwrap(), "--format", format, "--top", "0"]);
        let odd = text.chars().find(|c| c.is_control() && *c != '\n');
        assert_eq!(odd, None, "{format}");
        assert!(!text.contains(['\u{202e}', '\u{2066}']), "{format}");
        assert!(text.contains("u{1b}") && text.contains("u{202e}"), "{text}");
    }
}

#[cfg(unix)]
#[test]
fn messages_hold_no_control_characters() {
    let folder = tempfile::tempdir().unwrap();
    let odd = folder.path().join("a\u{1b}[31m\u{202e}.json");
    std::fs::write(&odd, "no trace \u{1b}[2J").unwrap();
    let name = odd.to_str().unwrap();
    let sound = trace_of(folder.path(), &[5]);
    let all: [&[&str]; 4] = [
        &["analyze", name],
        &["check", name, "--need", "kernels"],
        &["merge", name, sound.to_str().unwrap(), "-o", "-"],
        &["stages", "/no/such\u{1b}[1mfile"],
    ];
    for args in all {
        let said = String::from_utf8(omni_trace(args).stderr).unwrap();
        assert!(said.contains("u{1b}"), "{args:?}: {said}");
        assert!(!said.contains(['\u{1b}', '\u{202e}']), "{args:?}: {said}");
    }
}

/// Every negative number of the machine output's durations.
fn negative(value: &Value, key: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => members.iter().for_each(|(k, v)| negative(v, k, found)),
        Value::Array(items) => items.iter().for_each(|item| negative(item, key, found)),
        Value::Number(n) if key.ends_with("_ns") && n.as_f64() < Some(0.0) => {
            found.push(format!("{key} {n}"));
        }
        _ => {}
    }
}

#[test]
fn sums_of_durations_do_not_wrap_and_that_is_said() {
    let folder = tempfile::tempdir().unwrap();
    // In microseconds; each of them fits 64 bits of nanoseconds, two together do not.
    let path = trace_of(folder.path(), &[9_000_000_000_000_000, 5]);
    let mut paths = vec![path];
    let shared = root().join("../shared/cases/broken/sum_wrap.json");
    if shared.exists() {
        paths.push(shared);
    } else {
        println!("skipped: no shared cases beside the checkout");
    }
    for path in paths {
        for command in ["analyze", "bandwidth", "check"] {
            let text = printed(&[command, path.to_str().unwrap(), "--format", "json", "-q"]);
            let report: Value = serde_json::from_str(&text).unwrap();
            let mut found = Vec::new();
            negative(&report, "", &mut found);
            assert!(found.is_empty(), "{command} {}: {found:?}", path.display());
            let issues = report["issues"].as_array().unwrap();
            let is_said = issues.iter().any(|issue| issue["kind"] == "sum_overflow");
            assert!(is_said, "{command} {}: {issues:?}", path.display());
            if command != "check" {
                assert!(report["inputs"][0]["trust"].as_str().unwrap().contains("DATA LOST"));
            }
        }
    }
}
