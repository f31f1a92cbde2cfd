//! Logs that lie in a directory of traces: the pipeline's own, its JSON lines, a server's console log. They are of the same
//! run, and are joined unless that is refused.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;

use super::reading::protected;
use crate::model::limits::MAX_LOG_BESIDE_BYTES;
use crate::read::logs::{LogInput, is_log_name, read_log};
use crate::read::{Inputs, Progress};

/// The logs beside the traces of the directories that were named; where no path was, of this one. A file that was named
/// brings no log with it.
pub(super) fn logs_beside(paths: &[PathBuf], traces: &Inputs) -> Inputs {
    let here = [PathBuf::from(".")];
    let named = if paths.is_empty() { &here[..] } else { paths };
    let mut folders: BTreeSet<PathBuf> = BTreeSet::new();
    for folder in named.iter().filter(|path| path.is_dir()) {
        folders.insert(plain(folder));
        let inside = traces.paths.iter().filter_map(|trace| trace.parent());
        folders.extend(inside.map(plain).filter(|inside| inside.starts_with(plain(folder))));
    }
    let found: BTreeSet<PathBuf> = folders.iter().flat_map(|folder| logs_in(folder)).collect();
    protected(Inputs { paths: found.into_iter().collect(), skipped: Vec::new() })
}

/// A folder without `./` before it.
fn plain(folder: &Path) -> PathBuf {
    folder.strip_prefix(".").unwrap_or(folder).to_owned()
}

/// The logs of a folder, those of its folders not. What cannot be listed has none; large ones are for who names them.
fn logs_in(folder: &Path) -> Vec<PathBuf> {
    let at = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let entries = std::fs::read_dir(at).into_iter().flatten().flatten();
    let is_small = |path: &Path| {
        std::fs::metadata(path).is_ok_and(|m| m.is_file() && m.len() <= MAX_LOG_BESIDE_BYTES)
    };
    entries
        .filter(|entry| is_log_name(&entry.file_name().to_string_lossy()))
        .map(|entry| folder.join(entry.file_name()))
        .filter(|path| is_small(path))
        .collect()
}

/// Reads logs that nobody named: those that tell something, in order. What cannot be read, or is another program's, is none.
pub(super) fn read_beside(inputs: &Inputs) -> Vec<LogInput> {
    let progress = Arc::new(Progress::default());
    let read = |path: &PathBuf| read_log(path, &progress).ok();
    let logs: Vec<Option<LogInput>> = inputs.paths.par_iter().map(read).collect();
    logs.into_iter().flatten().filter(|log| !log.log.entries.is_empty()).collect()
}
