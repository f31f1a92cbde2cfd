//! What the tests share: where the real traces are.

use std::path::{Path, PathBuf};

/// The folder of real traces beside the project; `None`, said aloud, where it is not there. Under CI it must be.
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
pub(crate) fn shared_traces() -> Option<PathBuf> {
    let root = std::env::var_os("OMNI_TRACE_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    let traces = root.join("traces");
    if traces.is_dir() {
        return Some(traces);
    }
    assert!(
        std::env::var_os("CI").is_none(),
        "under CI the real traces must be at {}",
        traces.display()
    );
    eprintln!("SKIPPED: no real traces at {}", traces.display());
    None
}
