//! What can go wrong in a worker or in the supervisor.

use std::io;
use std::path::PathBuf;

use crate::ffi::TorchError;
use crate::wire::WireError;

/// An error of a capture.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// libtorch refused something.
    #[error(transparent)]
    Torch(#[from] TorchError),
    /// An operation of a model failed.
    #[error("tensor operation: {0}")]
    Tensor(#[from] tch::TchError),
    /// A message between stages is damaged.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// A file could not be written or read.
    #[error("{path}: {source}", path = path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Processes or shared memory could not be had.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// The plan does not hold together.
    #[error("{0}")]
    Plan(String),
    /// Another stage, or the user, ended the capture.
    #[error("ended before its time: the capture was interrupted or another stage failed")]
    Aborted,
    /// A stage misbehaved.
    #[error("{0}")]
    Stage(String),
}

impl CaptureError {
    /// A [`CaptureError::System`] about `what`.
    pub fn system(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::System { what, source }
    }
}
