//! Runs the built program, in the repository root, without a terminal, with lines of any length.

use std::path::Path;
use std::process::{Command, Output};

/// The repository root.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// What a run with these arguments gave.
pub(crate) fn omni_trace(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_omni-trace"))
        .args(args)
        .current_dir(root())
        .env("COLUMNS", "60000")
        .output()
        .expect("the program was built with this test")
}
