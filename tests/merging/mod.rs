//! Running `merge` and taking apart what it wrote.

use std::path::Path;
use std::sync::Arc;

use omni_trace::read::{Input, Progress, ReadOptions, read_input, read_inputs};

use crate::program::omni_trace;

pub(crate) fn options() -> ReadOptions {
    ReadOptions { threads: 2, ..ReadOptions::default() }
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Merges and gives the machine output of the report.
pub(crate) fn merge(paths: &[&Path], out: &Path, flags: &[&str]) -> serde_json::Value {
    let mut args = vec!["merge"];
    args.extend(paths.iter().map(|path| text(path)));
    args.extend(["-o", text(out), "--format", "json"]);
    args.extend(flags);
    let output = omni_trace(&args);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

pub(crate) fn parts(path: &Path) -> Vec<Input> {
    read_inputs(&[path.to_owned()], &options(), &Arc::new(Progress::default())).unwrap()
}

/// Every part of a merged file is its input again: every event, name, time, id, argument that is kept, and metadata.
pub(crate) fn assert_parts_are(paths: &[&Path], merged: &Path) {
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
