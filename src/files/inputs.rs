//! What this process reads and must not write over. Files are told apart by identity: links, hard links and other spellings
//! are the same file.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::read::{FileId, Inputs, MERGED_COPY, NOT_A_TRACE, SLIM_COPY};

static INPUTS: Mutex<BTreeMap<FileId, PathBuf>> = Mutex::new(BTreeMap::new());

/// Keeps files from being written over, from now on. What is no regular file cannot be.
pub fn protect<'a>(inputs: impl IntoIterator<Item = &'a Path>) {
    let mut known = INPUTS.lock().unwrap_or_else(PoisonError::into_inner);
    for path in inputs {
        if let Some(id) = FileId::of(path) {
            known.entry(id).or_insert_with(|| path.to_owned());
        }
    }
}

/// Keeps inputs from being written over: those that are read, and those that are left out in favour of another.
/// Slimmed and merged copies are results, made from what is read.
pub fn protect_found(inputs: &Inputs) {
    /// Why a file is left out that a result may replace.
    const NOT_INPUTS: [&str; 3] = [NOT_A_TRACE, SLIM_COPY, MERGED_COPY];
    let left_out = inputs.skipped.iter().filter(|(_, why)| !NOT_INPUTS.contains(&why.as_ref()));
    let all = inputs.paths.iter().chain(left_out.map(|(path, _)| path));
    protect(all.map(PathBuf::as_path));
}

/// The input that a path leads to, where it leads to one.
pub fn input_at(path: &Path) -> Option<PathBuf> {
    let known = INPUTS.lock().unwrap_or_else(PoisonError::into_inner);
    known.get(&FileId::of(path)?).cloned()
}

/// # Errors
///
/// A file to be written is an input.
pub(super) fn refuse(target: &Path) -> io::Result<()> {
    match input_at(target) {
        None => Ok(()),
        Some(input) => {
            Err(io::Error::other(format!("it is the input {}; name another", input.display())))
        }
    }
}
