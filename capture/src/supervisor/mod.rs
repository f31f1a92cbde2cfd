//! The supervisor: starts a process for each rank of each stage, feeds requests, collects reports, cleans up.
//!
//! Whatever happens to a worker, or to the user's patience, it ends with no process, no shared memory and no half file
//! left, and with a manifest that says what happened. It runs no model.

mod orchestrator;
mod process;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use crate::board::{Activity, Board};
use crate::error::CaptureError;
use crate::output::manifest::{self, About, Outcome, WorkerResult};
use crate::plan::Plan;
use crate::recorder::unix_ns;
use crate::report::Report;
use orchestrator::Orchestrator;
use process::{Crew, News};

pub use process::WORKER_ARG;

/// Longest pause between two looks at rings and processes.
const TICK: Duration = Duration::from_millis(1);
/// How long workers may take to end after they were asked to, saving what they have.
const GRACE: Duration = Duration::from_secs(60);
/// Between two looks at the workers' progress.
const PROGRESS_EVERY: Duration = Duration::from_millis(200);

/// What came of a capture.
#[derive(Debug)]
pub struct Finished {
    /// The judgement.
    pub outcome: Outcome,
    /// Each worker's part.
    pub results: Vec<WorkerResult>,
    /// What is missing and what else there is to say.
    pub notes: Vec<String>,
    /// Requests served.
    pub requests: u64,
}

impl Finished {
    fn lacks(&mut self, note: String) {
        self.notes.push(note);
        if self.outcome == Outcome::Complete {
            self.outcome = Outcome::Incomplete;
        }
    }
}

/// Runs a plan. `interrupts` counts the user's wishes to end: one ends in order, two at once.
pub fn run(
    plan: &Plan,
    mut notes: Vec<String>,
    interrupts: &Arc<AtomicUsize>,
) -> Result<Finished, CaptureError> {
    let scratch = plan.out_dir.join(format!(".partial-{}", std::process::id()));
    let failed = |source| CaptureError::File { path: scratch.clone(), source };
    std::fs::create_dir_all(&scratch).map_err(failed)?;
    let outcome = run_in(plan, &scratch, &mut notes, interrupts);
    // Workers are gone by now; what they had not finished goes too.
    std::fs::remove_dir_all(&scratch).map_err(failed)?;
    let (mut orchestrator, results) = outcome?;
    let interrupted = interrupts.load(Ordering::Relaxed) > 0;
    let judged = manifest::outcome(plan, &results, interrupted);
    for result in &results {
        notes.extend(manifest::missing(&plan.stages[result.stage as usize], result));
    }
    let finished_unix_ns = unix_ns();
    let requests = orchestrator.requests_done();
    let mut finished = Finished { outcome: judged, results, notes, requests };
    // Traces that are whole are kept and told of, also where the disk has no room for more.
    let files = orchestrator.write_logs(plan).unwrap_or_else(|error| {
        finished.lacks(format!("the logs could not all be written: {error}"));
        Vec::new()
    });
    let (outcome, notes) = (finished.outcome, finished.notes.clone());
    let about = About { outcome, finished_unix_ns, requests, notes, files };
    if let Err(error) = manifest::write(plan, &finished.results, about) {
        finished.lacks(format!("the manifest could not be written: {error}"));
    }
    Ok(finished)
}

fn run_in(
    plan: &Plan,
    scratch: &Path,
    notes: &mut Vec<String>,
    interrupts: &Arc<AtomicUsize>,
) -> Result<(Orchestrator, Vec<WorkerResult>), CaptureError> {
    let workers = plan.workers();
    let board = Board::create(workers.len()).map_err(CaptureError::system("status board"))?;
    let (orchestrator, edges) = Orchestrator::new(plan)?;
    let crew = Crew::start(plan, scratch, &board, &edges)?;
    // The workers have inherited the rings between stages; the supervisor needs only its own.
    drop(edges);
    let mut watch = Watch {
        plan,
        board,
        crew,
        orchestrator,
        interrupts: Arc::clone(interrupts),
        aborted: None,
        ready: 0,
        open_gates: workers
            .iter()
            .filter(|(stage, _)| plan.stages[*stage as usize].gate.is_some())
            .count(),
        progress: vec![(u64::MAX, Instant::now()); workers.len()],
        looked: Instant::now(),
    };
    watch.until_all_ended(notes)?;
    Ok((watch.orchestrator, watch.crew.into_results()))
}

struct Watch<'a> {
    plan: &'a Plan,
    board: Board,
    crew: Crew,
    orchestrator: Orchestrator,
    interrupts: Arc<AtomicUsize>,
    aborted: Option<Instant>,
    ready: usize,
    open_gates: usize,
    progress: Vec<(u64, Instant)>,
    looked: Instant,
}

impl Watch<'_> {
    fn until_all_ended(&mut self, notes: &mut Vec<String>) -> Result<(), CaptureError> {
        while self.crew.running() > 0 {
            match self.crew.news(TICK) {
                Ok(news) => self.take(news, notes)?,
                Err(RecvTimeoutError::Timeout) => {}
                // Every reader thread is gone, so every worker's output has ended.
                Err(RecvTimeoutError::Disconnected) => break,
            }
            // Drain what else has come before looking at rings.
            while let Ok(news) = self.crew.news(Duration::ZERO) {
                self.take(news, notes)?;
            }
            if self.all_are_ready() && self.aborted.is_none() {
                self.orchestrator.turn(self.open_gates == 0)?;
            }
            self.look_at_interrupts(notes);
            self.look_at_progress(notes);
        }
        Ok(())
    }

    fn all_are_ready(&self) -> bool {
        self.ready == self.progress.len()
    }

    fn take(&mut self, news: News, notes: &mut Vec<String>) -> Result<(), CaptureError> {
        let (worker, report) = match news {
            News::Report(worker, report) => (worker, report),
            News::Ended(worker) => {
                self.crew.reap(worker, self.aborted.is_some());
                if let Some(why) = self.crew.ended_badly(worker) {
                    self.abort(&why, notes);
                }
                return Ok(());
            }
        };
        let stage = self.crew.stage_of(worker);
        match &report {
            Report::Ready { note, .. } => {
                notes.extend(note.iter().cloned());
                self.ready += 1;
                if self.all_are_ready() {
                    self.orchestrator.begin(unix_ns());
                    self.crew.go();
                    // Waiting for the others was no progress, and is over.
                    self.progress.fill((u64::MAX, Instant::now()));
                }
            }
            Report::GateClosed => self.open_gates = self.open_gates.saturating_sub(1),
            Report::Sent(_) | Report::Received(_) | Report::Served(_) => {
                self.orchestrator.take(stage, &report);
            }
            Report::Window(_)
            | Report::WindowLost { .. }
            | Report::Done(_)
            | Report::Failed { .. } => {}
        }
        if let (Report::Ready { .. }, 0) = (&report, self.crew.rank_of(worker)) {
            self.orchestrator.loaded(stage, self.crew.pid_of(worker), self.plan);
        }
        self.crew.note(worker, report);
        Ok(())
    }

    /// Asks everyone to end, keeping what they have.
    fn abort(&mut self, why: &str, notes: &mut Vec<String>) {
        if self.aborted.is_none() {
            notes.push(why.to_owned());
            self.aborted = Some(Instant::now());
            self.board.abort();
            // Those that wait for the begin go on, see the request, and end.
            self.crew.go();
        }
    }

    fn look_at_interrupts(&mut self, notes: &mut Vec<String>) {
        let wishes = self.interrupts.load(Ordering::Relaxed);
        if wishes > 0 && self.aborted.is_none() {
            self.abort("interrupted", notes);
        }
        let out_of_patience = self.aborted.is_some_and(|since| since.elapsed() > GRACE);
        if wishes > 1 || out_of_patience {
            self.crew.kill_all();
        }
    }

    /// A worker without any progress for too long is hung. One that waits for another looks around all the time, which
    /// is progress; of one that writes a trace, using the processor is.
    fn look_at_progress(&mut self, notes: &mut Vec<String>) {
        if self.looked.elapsed() < PROGRESS_EVERY {
            return;
        }
        self.looked = Instant::now();
        let limit = Duration::from_secs(self.plan.stage_timeout_s);
        let all_are_ready = self.all_are_ready();
        for worker in 0..self.progress.len() {
            let (activity, mut steps) = self.board.get(worker);
            if activity == Activity::Saving {
                // Stopping the profiler and writing its trace are calls of libtorch that may take minutes and say nothing.
                steps += self.crew.cpu_ticks(worker);
            }
            let (seen, since) = &mut self.progress[worker];
            if *seen != steps {
                (*seen, *since) = (steps, Instant::now());
            }
            // Before all are ready, a worker that has built its model waits for the others, and sleeps.
            let sleeps = self.crew.is_ready(worker) && !all_are_ready;
            let is_over = activity == Activity::Done || !self.crew.is_running(worker);
            if sleeps || is_over || since.elapsed() < limit {
                continue;
            }
            let why = format!("no progress for {} s while {}", limit.as_secs(), activity.as_str());
            self.crew.kill_as_hung(worker, &why);
            let why = self.crew.ended_badly(worker).unwrap_or(why);
            self.abort(&why, notes);
        }
    }
}

/// The line for people about each worker's end, where it is not in order.
pub fn describe(result: &WorkerResult, plan: &Plan) -> Option<String> {
    let stage = &plan.stages[result.stage as usize];
    result.end.describe(&format!("stage {} ({}) rank {}", stage.id, stage.name, result.rank))
}
