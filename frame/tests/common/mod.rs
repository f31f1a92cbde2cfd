//! What the tests share: the program, the fixtures, and where the real traces are.

#![allow(dead_code, clippy::allow_attributes, reason = "each test uses its part of this")]

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The program, with some arguments, in the root of the repository.
pub(crate) fn program<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_omni-trace-query"));
    command.args(arguments).current_dir(root());
    command
}

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Runs `query` and gives what it printed; it has to succeed.
pub(crate) fn query(arguments: &[&str]) -> String {
    let output = run(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", err(&output));
    String::from_utf8(output.stdout).expect("text is UTF-8")
}

/// Runs `query`.
pub(crate) fn run(arguments: &[&str]) -> Output {
    program(["query"].iter().chain(arguments)).output().expect("the program starts")
}

/// What was said on standard error.
pub(crate) fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The real traces beside the repository; `None`, said aloud, where they are not there. Under CI they must be.
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
pub(crate) fn shared_traces() -> Option<PathBuf> {
    let root = std::env::var_os("OMNI_TRACE_SHARED")
        .map_or_else(|| root().join("../shared"), PathBuf::from);
    let folder = root.join("traces");
    if folder.is_dir() {
        return Some(folder);
    }
    assert!(std::env::var_os("CI").is_none(), "under CI there must be {}", folder.display());
    eprintln!("SKIPPED: there is no {}", folder.display());
    None
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
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            list(&path, found);
        } else if is_trace(&name, &path) {
            found.push(path);
        }
    }
}

fn is_trace(name: &str, path: &Path) -> bool {
    let is_json = name.ends_with(".json") || name.ends_with(".json.gz");
    let tables = ["key_averages", "events.json", "meta.json", "summary", "nccl_events"];
    let is_table = tables.iter().any(|part| name.contains(part));
    is_json && (!is_table || path.components().any(|c| c.as_os_str() == "cuda_event_sync"))
}
