//! What the tests share: where the real traces are.

#![allow(dead_code, clippy::allow_attributes, reason = "each test uses its part of this")]

use std::path::{Path, PathBuf};

/// Pseudo-random numbers from a seed, the same everywhere (Marsaglia's `xorshift64`).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `n`, 0 where `n` is.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % n.max(1)
    }
}

/// A folder of what is shared beside the project; `None`, said aloud, where it is not there. Under CI it must be.
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn shared(folder: &str) -> Option<PathBuf> {
    let root = std::env::var_os("OMNI_TRACE_SHARED")
        .map_or_else(|| workspace().join("../shared"), PathBuf::from);
    let folder = root.join(folder);
    if folder.is_dir() {
        return Some(folder);
    }
    assert!(std::env::var_os("CI").is_none(), "under CI there must be {}", folder.display());
    eprintln!("SKIPPED: there is no {}", folder.display());
    None
}

/// The root of the repository, from whichever package's tests this is asked.
fn workspace() -> &'static Path {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let is_root = |folder: &&Path| folder.join("Cargo.lock").is_file();
    package.ancestors().find(is_root).unwrap_or(package)
}

/// The user's cache folder, in which scripts keep what tests need; `None` where the system names none.
pub(crate) fn cache() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")))
}

/// The real traces.
pub(crate) fn shared_traces() -> Option<PathBuf> {
    shared("traces")
}

/// Small inputs with their right answers.
pub(crate) fn shared_cases() -> Option<PathBuf> {
    shared("cases")
}

/// Every real trace.
pub(crate) fn real_traces() -> Vec<PathBuf> {
    let Some(root) = shared_traces() else { return Vec::new() };
    let mut found = Vec::new();
    list(&root, &mut found);
    found.sort();
    assert!(found.len() > 60, "only {} traces found", found.len());
    found
}

fn list(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in dir.read_dir().expect("the folder of real traces can be listed") {
        let path = entry.expect("the folder of real traces can be listed").path();
        let name = path
            .file_name()
            .expect("the folder of real traces can be listed")
            .to_string_lossy()
            .into_owned();
        if path.is_dir() {
            list(&path, found);
        } else if is_trace(&name, &path) {
            found.push(path);
        }
    }
}

fn is_trace(name: &str, path: &Path) -> bool {
    let is_json = name.ends_with(".json") || name.ends_with(".json.gz");
    let is_table = ["key_averages", "events.json", "meta.json", "summary", "nccl_events"]
        .iter()
        .any(|part| name.contains(part));
    is_json && (!is_table || path.components().any(|c| c.as_os_str() == "cuda_event_sync"))
}
