//! Finds and runs `omni-trace-query`, which links polars, so that this program stays small and starts at once.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Context as _;
use omni_trace_driver::locate::on_path;

use super::run::{Hinted, Outcome};

/// Names the program directly.
const PROGRAM_VAR: &str = "OMNI_TRACE_QUERY";
/// The program's name.
const PROGRAM: &str = "omni-trace-query";

/// What installs it.
const INSTALL: &str = "cargo install --locked --path frame";

/// Runs it in this program's place.
///
/// # Errors
///
/// Where it is nowhere, or does not start.
pub(super) fn run(arguments: impl IntoIterator<Item = OsString>) -> anyhow::Result<Outcome> {
    let program = locate()?;
    let mut command = Command::new(&program);
    command.args(arguments);
    replace(&mut command).with_context(|| format!("cannot run {}", program.display()))
}

/// Signals, standard streams and the exit code are the program's own from here on.
#[cfg(unix)]
fn replace(command: &mut Command) -> std::io::Result<Outcome> {
    Err(std::os::unix::process::CommandExt::exec(command))
}

#[cfg(not(unix))]
fn replace(command: &mut Command) -> std::io::Result<Outcome> {
    let code = command.status()?.code().unwrap_or(2);
    Ok(Outcome::Captured(u8::try_from(code).unwrap_or(2)))
}

/// By the variable, beside this program, or on `PATH`.
fn locate() -> anyhow::Result<PathBuf> {
    if let Some(named) = env::var_os(PROGRAM_VAR) {
        let path = PathBuf::from(named);
        let what = format!("{PROGRAM_VAR}={}: no such file", path.display());
        let hint = format!("unset it, or name the program {PROGRAM}");
        return path.is_file().then_some(path).ok_or_else(|| Hinted { what, hint }.into());
    }
    let beside = env::current_exe().ok().map(|exe| exe.with_file_name(PROGRAM));
    let found = beside.filter(|path| path.is_file()).or_else(|| on_path(PROGRAM));
    found.ok_or_else(|| {
        let what = format!("SQL, Parquet and Arrow need the program {PROGRAM}, which is not beside this one, not on PATH and not named by {PROGRAM_VAR}");
        let hint = format!("install it from a checkout of omni-trace, once: `{INSTALL}`");
        Hinted { what, hint }.into()
    })
}
