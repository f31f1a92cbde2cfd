//! What the tests share: the program, the fixtures, and where the real traces are.

#![allow(dead_code, clippy::allow_attributes, reason = "each test uses its part of this")]

#[path = "../../../tests/common/mod.rs"]
pub(crate) mod shared;

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
