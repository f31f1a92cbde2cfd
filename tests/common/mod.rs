//! Where the real traces lie.

use std::path::{Path, PathBuf};

/// The folder of real traces beside the repository, or where `OMNI_TRACE_SHARED` says.
///
/// Prints that the test is skipped and gives `None` where it is missing; fails where it is missing under `CI=true`.
pub fn shared_traces() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let shared = std::env::var_os("OMNI_TRACE_SHARED").map_or(beside, PathBuf::from);
    let traces = shared.join("traces");
    if traces.is_dir() {
        return Some(traces);
    }
    let is_ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
    assert!(!is_ci, "the real traces are missing at {}", traces.display());
    println!("skipped: the real traces are missing at {}", traces.display());
    None
}
