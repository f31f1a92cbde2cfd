//! Merging: what comes out is what went in, to the nanosecond, and an independent reader accepts it.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;
mod program;

use std::path::Path;
use std::sync::Arc;

use omni_trace::read::{Input, Progress, ReadOptions, read_input, read_inputs};
use program::omni_trace;

fn options() -> ReadOptions {
    ReadOptions { threads: 2, force_slow_path: false }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Merges and gives the machine output of the report.
fn merge(paths: &[&Path], out: &Path, flags: &[&str]) -> serde_json::Value {
    let mut args = vec!["merge"];
    args.extend(paths.iter().map(|path| text(path)));
    args.extend(["-o", text(out), "--format", "json"]);
    args.extend(flags);
    let output = omni_trace(&args);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn parts(path: &Path) -> Vec<Input> {
    read_inputs(&[path.to_owned()], &options(), &Arc::new(Progress::default())).unwrap()
}

/// Every part of a merged file is its input again: every event, name, time, id, argument that is kept, and metadata.
fn assert_parts_are(paths: &[&Path], merged: &Path) {
    let parts = parts(merged);
    assert_eq!(parts.len(), paths.len());
    for part in parts {
        let of = part.merged_from.as_deref().unwrap();
        let original = read_input(Path::new(of), &options()).unwrap();
        assert!(paths.contains(&Path::new(of)));
        let (a, b) = (&original.store, &part.store);
        assert_eq!(a.meta, b.meta, "{of}");
        assert_eq!(a.n_events, b.n_events, "{of}");
        assert_eq!(a.tracks, b.tracks, "{of}");
        assert!(a == b, "{of}");
    }
}

#[test]
fn every_real_trace_survives() {
    let dir = tempfile::tempdir().unwrap();
    for path in common::real_traces() {
        if std::fs::metadata(&path).unwrap().len() > 3_000_000 {
            continue;
        }
        let out = dir.path().join("out.json.gz");
        merge(&[&path], &out, &[]);
        assert_parts_are(&[&path], &out);
    }
}
