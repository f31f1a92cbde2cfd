//! Long work: on a thread of its own, while Python's lock is free and its signals are heeded.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::thread::Builder;
use std::time::Duration;

use omni_trace::read::Progress;
use pyo3::prelude::*;

/// How often signals are looked for and progress is told.
const TICK: Duration = Duration::from_millis(50);

/// Does some work and gives what came of it. An interruption ends reading at once and is raised; an analysis that is under
/// way runs out, and nobody hears of it.
pub(crate) fn watched<T: Send + 'static>(
    py: Python<'_>,
    progress: &Arc<Progress>,
    show: Option<&Py<PyAny>>,
    work: impl FnOnce() -> T + Send + 'static,
) -> PyResult<T> {
    let (done, mut waiting) = sync_channel(1);
    // Nobody may be there to take the result, after an interruption.
    let worker = Builder::new().spawn(move || drop(done.send(work())))?;
    loop {
        let received;
        (received, waiting) = py.detach(move || (waiting.recv_timeout(TICK), waiting));
        match received {
            Ok(result) => return Ok(result),
            Err(RecvTimeoutError::Timeout) => {
                let told = py.check_signals().and_then(|()| tell(py, progress, show));
                told.inspect_err(|_| progress.cancel())?;
            }
            Err(RecvTimeoutError::Disconnected) => match worker.join() {
                Err(panic) => resume_unwind(panic),
                Ok(()) => unreachable!("a worker that ends well has sent its result"),
            },
        }
    }
}

fn tell(py: Python<'_>, progress: &Progress, show: Option<&Py<PyAny>>) -> PyResult<()> {
    let Some(show) = show else { return Ok(()) };
    show.call1(py, (progress.file_bytes(), progress.json_bytes()))?;
    Ok(())
}
