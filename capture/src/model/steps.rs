//! What a model sees of the outside while it serves a request: iterations and spans.

use crate::board::{Activity, Board};
use crate::error::CaptureError;
use crate::ffi::Range;
use crate::plan::{Fault, FaultKind};
use crate::recorder::Recorder;
use crate::report::Report;

/// Runs iterations: recorded and counted, or, when a model is warmed, neither.
pub enum Steps<'a> {
    /// Iterations that nobody counts.
    Warm,
    /// Iterations of a served request.
    Counted {
        /// Counts and records them.
        recorder: &'a mut Recorder,
        /// Where progress is shown.
        board: &'a Board,
        /// The worker's number on the board.
        index: usize,
        /// A fault to provoke in this worker.
        fault: Option<Fault>,
        /// Takes reports.
        report: &'a mut dyn FnMut(Report),
    },
}

impl std::fmt::Debug for Steps<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Warm => "Steps::Warm",
            Self::Counted { .. } => "Steps::Counted",
        })
    }
}

/// Inside an iteration.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    recorder: Option<&'a Recorder>,
}

impl Context<'_> {
    /// A span, when a window is open.
    pub fn span(&self, name: &str) -> Option<Range> {
        self.recorder.and_then(|recorder| recorder.span(name))
    }
}

impl Steps<'_> {
    /// Runs one iteration under its annotation.
    pub fn run<T>(
        &mut self,
        name: &str,
        body: impl FnOnce(Context<'_>) -> Result<T, CaptureError>,
    ) -> Result<T, CaptureError> {
        match self {
            Self::Warm => body(Context { recorder: None }),
            Self::Counted { recorder, board, index, fault, report } => {
                if board.aborted() {
                    return Err(CaptureError::Aborted);
                }
                let due = fault.filter(|fault| fault.iteration == recorder.iterations());
                board.set(*index, Activity::Iterating);
                let (value, reports) = recorder.iteration(name, |recorder| {
                    due.map_or(Ok(()), |fault| provoke(fault.kind))?;
                    body(Context { recorder: Some(recorder) })
                })?;
                reports.into_iter().for_each(&mut **report);
                Ok(value)
            }
        }
    }

    /// The context outside of iterations.
    pub fn context(&self) -> Context<'_> {
        match self {
            Self::Warm => Context { recorder: None },
            Self::Counted { recorder, .. } => Context { recorder: Some(recorder) },
        }
    }
}

fn provoke(kind: FaultKind) -> Result<(), CaptureError> {
    match kind {
        FaultKind::Fail => Err(CaptureError::Stage("failed on purpose (--fault)".into())),
        FaultKind::Die => std::process::abort(),
        FaultKind::Hang => loop {
            std::thread::park();
        },
    }
}
