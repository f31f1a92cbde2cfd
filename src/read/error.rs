//! What keeps an input from being read at all, in words that say what to do.

use std::io;
use std::path::{Path, PathBuf};

use crate::model::limits::MAX_LOG_GAP_BYTES;

/// Why an input could not be read. Damage inside a readable input is no error: it is counted in the input's reporter.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file cannot be opened or read.
    #[error("cannot read {path}: {source}")]
    Io {
        /// The input.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The system has no thread to read it with.
    #[error("no thread can be started to read {path}: {source}")]
    NoThread {
        /// The input.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// There is not a byte in it.
    #[error("{path} is empty")]
    Empty {
        /// The input.
        path: PathBuf,
    },
    /// A directory in which nothing is a trace.
    #[error("no trace found in directory {path}")]
    NothingFound {
        /// The directory.
        path: PathBuf,
    },
    /// The content is of a kind that is not read.
    #[error("{path} is {what}, which is not read")]
    Unsupported {
        /// The input.
        path: PathBuf,
        /// What it is.
        what: &'static str,
        /// What to do.
        hint: &'static str,
    },
    /// The content is not JSON.
    #[error("{path} is not a trace: it starts with `{start}`, at byte {offset}")]
    NotJson {
        /// The input.
        path: PathBuf,
        /// The first characters.
        start: String,
        /// Where they are, in the decompressed input.
        offset: u64,
    },
    /// JSON without events.
    #[error("{path} is JSON, but no trace: {what}")]
    NotATrace {
        /// The input.
        path: PathBuf,
        /// What is missing.
        what: String,
    },
    /// A log whose lines do not end.
    #[error("{path} is no log: {} MiB of it are without the end of a line", MAX_LOG_GAP_BYTES >> 20)]
    NoLines {
        /// The input.
        path: PathBuf,
    },
    /// What profilers write beside traces.
    #[error("{path} is {what}, not a trace")]
    OtherKind {
        /// The input.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// A pickle that is damaged, or none that snapshots are.
    #[error("{path} cannot be read as a memory snapshot: {what}")]
    BadSnapshot {
        /// The input.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// More than can be numbered.
    #[error("{path} is too large: {what}")]
    TooLarge {
        /// The input.
        path: PathBuf,
        /// What is too much.
        what: String,
    },
    /// A trace where a log is wanted.
    #[error("{path} is a trace, not a log")]
    NotALog {
        /// The input.
        path: PathBuf,
    },
    /// The compressed stream holds nothing readable.
    #[error("{path} cannot be decompressed: {what}")]
    Compression {
        /// The input.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
}

impl ReadError {
    fn path_mut(&mut self) -> &mut PathBuf {
        match self {
            Self::Io { path, .. }
            | Self::NoThread { path, .. }
            | Self::Empty { path }
            | Self::NothingFound { path }
            | Self::Unsupported { path, .. }
            | Self::NotJson { path, .. }
            | Self::NotATrace { path, .. }
            | Self::OtherKind { path, .. }
            | Self::NotALog { path }
            | Self::NoLines { path }
            | Self::BadSnapshot { path, .. }
            | Self::TooLarge { path, .. }
            | Self::Compression { path, .. } => path,
        }
    }

    /// The input.
    pub fn path(&self) -> &Path {
        match self {
            Self::Io { path, .. }
            | Self::NoThread { path, .. }
            | Self::Empty { path }
            | Self::NothingFound { path }
            | Self::Unsupported { path, .. }
            | Self::NotJson { path, .. }
            | Self::NotATrace { path, .. }
            | Self::OtherKind { path, .. }
            | Self::NotALog { path }
            | Self::NoLines { path }
            | Self::BadSnapshot { path, .. }
            | Self::TooLarge { path, .. }
            | Self::Compression { path, .. } => path,
        }
    }

    /// The same of another path: of standard input, where a copy of it was read.
    #[must_use]
    pub fn renamed(mut self, to: &Path) -> Self {
        to.clone_into(self.path_mut());
        self
    }

    /// The input.
    pub fn into_path(mut self) -> PathBuf {
        std::mem::take(self.path_mut())
    }

    /// Whether it is a sound file of another kind than was asked for, or an empty one.
    pub fn is_of_another_kind(&self) -> bool {
        match self {
            Self::Empty { .. }
            | Self::NotJson { .. }
            | Self::NotATrace { .. }
            | Self::OtherKind { .. }
            | Self::NotALog { .. }
            | Self::BadSnapshot { .. }
            | Self::NoLines { .. } => true,
            Self::Io { .. }
            | Self::NoThread { .. }
            | Self::NothingFound { .. }
            | Self::Unsupported { .. }
            | Self::TooLarge { .. }
            | Self::Compression { .. } => false,
        }
    }

    /// What the user can do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                "check the path; a trace that is still being written may get its name only at the end"
            }
            Self::Io { .. } => "check the permissions, and that the disk or mount is there",
            Self::NoThread { .. } => {
                "raise the limit of processes (`ulimit -u`) or of memory (`ulimit -v`), or give `--threads 1`"
            }
            Self::Empty { path } if path.as_os_str() == "-" => {
                "`-` is standard input: let a command write a trace into it, or name a file"
            }
            Self::Empty { .. } => {
                "the profiler may still be writing, or was stopped before it wrote; look for a `.tmp` beside it"
            }
            Self::NothingFound { .. } => {
                "name the files, or check the profiler's output directory (`torch_profiler_dir`)"
            }
            Self::Unsupported { hint, .. } => hint,
            Self::NotJson { .. } => {
                "give a Kineto or Chrome trace: `.json`, `.json.gz` or `.json.zst`; `omni-trace stages` reads logs"
            }
            Self::NotATrace { .. } => {
                "a trace has a `traceEvents` array, or is an array of events; tables and logs are not traces"
            }
            Self::OtherKind { .. } => {
                "give the trace of the same profile: it has a `traceEvents` array"
            }
            Self::BadSnapshot { .. } => {
                "write it with `torch.cuda.memory._dump_snapshot(path)`, and copy all of it"
            }
            Self::TooLarge { .. } => {
                "capture fewer iterations, or one file for each rank and stage"
            }
            Self::NoLines { .. } => "give text, with a line for each message",
            Self::NotALog { .. } => {
                "give traces to `omni-trace analyze`; it takes logs beside them with `--logs`"
            }
            Self::Compression { .. } => {
                "the file may be half copied: compare its size with the original"
            }
        }
    }
}
