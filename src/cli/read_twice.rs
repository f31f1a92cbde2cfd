//! Standard input and pipes for commands that read twice: kept in a file that has no name, so that it is gone when it is
//! closed.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::run::{Hinted, say};
use crate::files::spill_file;
use crate::read::ReadError;

/// An input that can be read again.
pub(super) struct Spooled {
    /// As named by the user.
    shown: PathBuf,
    /// What to open; the same but for standard input and pipes.
    path: PathBuf,
    /// Holds what has no name.
    _file: Option<File>,
}

impl Spooled {
    /// Inputs as they are; standard input and pipes are copied to a file beside `output`, or where temporary files go.
    pub(super) fn all(
        paths: &[PathBuf],
        output: &Path,
        is_quiet: bool,
    ) -> anyhow::Result<Vec<Self>> {
        paths.iter().map(|path| Self::of(path, output, is_quiet)).collect()
    }

    fn of(path: &Path, output: &Path, is_quiet: bool) -> anyhow::Result<Self> {
        let is_stdin = path == Path::new("-");
        if !is_stdin && !is_pipe(path) {
            return Ok(Self { shown: path.to_owned(), path: path.to_owned(), _file: None });
        }
        let what = if is_stdin {
            "standard input".to_owned()
        } else {
            format!("the pipe {}", path.display())
        };
        if !is_quiet {
            say(&format!(
                "note: {what} is read twice: it is kept in a temporary file until the end"
            ));
        }
        let target = beside(output);
        let folder = target.parent().unwrap_or(Path::new(".")).display().to_string();
        let fail = |error: io::Error| {
            let what = format!("cannot keep {what} in a temporary file in '{folder}': {error}");
            let hint = "free some space there, or write the input to a file and name that";
            Hinted { what, hint: hint.to_owned() }
        };
        let mut file = spill_file(&target).map_err(fail)?;
        if is_stdin {
            io::copy(&mut io::stdin().lock(), &mut file).map_err(fail)?;
        } else {
            let mut pipe = File::open(path)
                .map_err(|source| ReadError::Io { path: path.to_owned(), source })?;
            io::copy(&mut pipe, &mut file).map_err(fail)?;
        }
        let kept = reopening(&file).ok_or_else(|| {
            let what = format!("{what} cannot be read twice on this system");
            Hinted { what, hint: "write it to a file first".to_owned() }
        })?;
        Ok(Self { shown: path.to_owned(), path: kept, _file: Some(file) })
    }

    /// Bytes that are no file, under a name.
    ///
    /// # Errors
    ///
    /// No room where `output` goes.
    pub(super) fn holding(name: &str, bytes: &[u8], output: &Path) -> anyhow::Result<Self> {
        let target = beside(output);
        let fail = |error: io::Error| {
            let folder = target.parent().unwrap_or(Path::new(".")).display();
            let what = format!("cannot keep {name} in a temporary file in '{folder}': {error}");
            Hinted { what, hint: "free some space there".to_owned() }
        };
        let mut file = spill_file(&target).map_err(fail)?;
        io::Write::write_all(&mut file, bytes).map_err(fail)?;
        let kept = reopening(&file).ok_or_else(|| {
            let what = format!("{name} cannot be kept in a file without a name on this system");
            Hinted { what, hint: "leave it out".to_owned() }
        })?;
        Ok(Self { shown: name.into(), path: kept, _file: Some(file) })
    }

    /// What to open.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// What to call it.
    pub(super) fn shown(&self) -> &Path {
        &self.shown
    }
}

/// Where temporary files of an output go.
fn beside(output: &Path) -> PathBuf {
    let is_stdout = output == Path::new("-");
    if is_stdout { std::env::temp_dir().join("-") } else { output.to_owned() }
}

/// Whether a path leads to a pipe, which gives its bytes once.
fn is_pipe(path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt as _;
        std::fs::metadata(path).is_ok_and(|metadata| metadata.file_type().is_fifo())
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        false
    }
}

/// A path that opens an open file from its start, whether or not it has a name.
fn reopening(file: &File) -> Option<PathBuf> {
    #[cfg(unix)]
    {
        use std::os::fd::AsRawFd as _;
        let path = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
        path.exists().then_some(path)
    }
    #[cfg(not(unix))]
    {
        let _ = file;
        None
    }
}
