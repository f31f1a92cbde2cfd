//! What stands in for what was not named: this directory for a path, a name for an output; and what is said of a directory
//! that holds nothing of the kind.

use std::path::{Path, PathBuf};

use super::run::Hinted;
use crate::read::logs::discover_logs;
use crate::read::{Inputs, ReadError, discover};

/// This directory.
const HERE: &str = ".";

/// The inputs that paths name; those of this directory where none is named. `none` says what is there instead.
pub(super) fn found(
    paths: &[PathBuf],
    discover: impl Fn(&[PathBuf]) -> Result<Inputs, ReadError>,
    none: impl Fn(&Path) -> Hinted,
) -> anyhow::Result<Inputs> {
    let here = [PathBuf::from(HERE)];
    let named = if paths.is_empty() { &here[..] } else { paths };
    let mut inputs = match discover(named) {
        Err(ReadError::NothingFound { path }) => return Err(none(&path).into()),
        other => other?,
    };
    if paths.is_empty() {
        let skipped = inputs.skipped.iter_mut().map(|(path, _)| path);
        inputs.paths.iter_mut().chain(skipped).for_each(|path| {
            if let Ok(plain) = path.strip_prefix(HERE) {
                *path = plain.to_owned();
            }
        });
    }
    Ok(inputs)
}

/// What is said of a directory without a trace.
pub(super) fn no_traces(path: &Path) -> Hinted {
    let what = format!("no trace found in {}", shown(path));
    let logs = discover_logs(&[path.to_owned()]).map_or(0, |logs| logs.paths.len());
    let hint = match logs {
        0 if is_here(path) => {
            "name a file or a directory, or record a trace: `omni-trace capture --stages 1`"
                .to_owned()
        }
        0 => "name the files, or check the profiler's output directory (`torch_profiler_dir`)"
            .to_owned(),
        n => format!(
            "it holds {}; `omni-trace stages{}` reads {}",
            counted(n, "log"),
            argument(path),
            them(n)
        ),
    };
    Hinted { what, hint }
}

/// What is said of a directory without a log.
pub(super) fn no_logs(path: &Path) -> Hinted {
    let what = format!("no log (*.log, *.jsonl) found in {}", shown(path));
    let traces = discover(&[path.to_owned()]).map_or(0, |traces| traces.paths.len());
    let hint = match traces {
        0 => "name the console log of the server, or the pipeline's *.stats.jsonl files".to_owned(),
        n => format!(
            "it holds {}; `omni-trace analyze{}` reads {}",
            counted(n, "trace"),
            argument(path),
            them(n)
        ),
    };
    Hinted { what, hint }
}

fn is_here(path: &Path) -> bool {
    path == Path::new(HERE)
}

fn shown(path: &Path) -> String {
    if is_here(path) {
        return "this directory".to_owned();
    }
    format!("directory {}", path.display())
}

/// The path as an argument; none where it is this directory.
fn argument(path: &Path) -> String {
    if is_here(path) { String::new() } else { format!(" {}", path.display()) }
}

fn them(n: usize) -> &'static str {
    if n == 1 { "it" } else { "them" }
}

fn counted(n: usize, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}

/// The output that was named, or the name that stands in for one, where that is free.
///
/// # Errors
///
/// A name nobody gave that is taken.
pub(super) fn output_or(
    named: Option<&Path>,
    is_forced: bool,
    default: impl FnOnce() -> PathBuf,
) -> anyhow::Result<PathBuf> {
    if let Some(path) = named {
        return Ok(path.to_owned());
    }
    let path = default();
    refuse_taken(&path, is_forced)?;
    Ok(path)
}

/// # Errors
///
/// Something is there, and it is not to be written over.
pub(super) fn refuse_taken(path: &Path, is_forced: bool) -> anyhow::Result<()> {
    if is_forced || path.symlink_metadata().is_err() {
        return Ok(());
    }
    let what = format!("{} is there already, and no -o was given", path.display());
    let hint = "name another with -o, or write over it with --force".to_owned();
    Err(Hinted { what, hint }.into())
}
