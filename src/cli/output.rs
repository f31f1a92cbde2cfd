//! Where results go: standard output, or a file that appears whole or not at all.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::files::AtomicFile;
use anyhow::Context as _;

/// The destination of a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// Standard output.
    Stdout,
    /// A file.
    File(PathBuf),
}

impl Target {
    /// Writes the whole result.
    pub(super) fn write(&self, bytes: &[u8]) -> anyhow::Result<()> {
        match self {
            Self::Stdout => write_stdout(bytes).context("cannot write to standard output"),
            Self::File(path) => {
                write_file(path, bytes).with_context(|| format!("cannot write {}", path.display()))
            }
        }
    }
}

/// A reader that closed the pipe has seen what it wanted: that is success.
fn write_stdout(bytes: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

fn write_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = AtomicFile::create(path)?;
    file.write_all(bytes)?;
    file.finish()?;
    Ok(())
}
