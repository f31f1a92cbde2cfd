//! The manifest: what was asked for, what came of it, and every file with its checksum.
//!
//! `manifest.pb` (protobuf) and `manifest.json`, field by field the same.

use std::io;

use omni_trace_proto::capture::{CaptureManifest, File, Gate, Stage, Window, Worker};
use prost::Message;

use super::trace_file::{checksum, write_whole};
use crate::plan::{Plan, StagePlan};
use crate::report::{self, Timing};

/// The manifest's name as JSON.
pub const JSON_NAME: &str = "manifest.json";
/// The manifest's name as protobuf.
pub const PROTO_NAME: &str = "manifest.pb";

/// How one worker ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// In order.
    Done,
    /// With an error of its own.
    Failed(String),
    /// By a signal or without a word.
    Died(String),
    /// Killed, because it made no progress.
    Hung(String),
    /// Ended early because the capture was.
    Interrupted,
    /// Could not be started.
    NotStarted(String),
}

impl End {
    /// The line for people about a worker that did not end in order.
    pub fn describe(&self, place: &str) -> Option<String> {
        match self {
            Self::Done => None,
            Self::Failed(why) => Some(format!("{place} failed: {why}")),
            Self::Died(why) => Some(format!("{place} died: {why}")),
            Self::Hung(why) => Some(format!("{place} hung: {why}")),
            Self::Interrupted => Some(format!("{place} was ended early")),
            Self::NotStarted(why) => Some(format!("{place} did not start: {why}")),
        }
    }

    fn words(&self) -> (&'static str, &str) {
        match self {
            Self::Done => ("done", ""),
            Self::Failed(why) => ("failed", why),
            Self::Died(why) => ("died", why),
            Self::Hung(why) => ("hung", why),
            Self::Interrupted => ("interrupted", ""),
            Self::NotStarted(why) => ("not_started", why),
        }
    }
}

/// What is known of one worker at the end.
#[derive(Debug, Clone)]
pub struct WorkerResult {
    /// Its stage.
    pub stage: u32,
    /// Its rank.
    pub rank: u32,
    /// Its process; 0 when it never was.
    pub pid: u32,
    /// Where it ran.
    pub device: String,
    /// Weights of its model.
    pub parameters: u64,
    /// How it ended.
    pub end: End,
    /// Its windows, in order.
    pub windows: Vec<report::Window>,
    /// Windows that gave no trace, with the reason.
    pub lost: Vec<(u32, String)>,
    /// What iterations took.
    pub timing: Timing,
}

/// How the capture as a whole came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Every window that was asked for is there, and every worker ended in order.
    Complete,
    /// Some traces are there.
    Incomplete,
    /// No trace is there although some were asked for, or nothing ran.
    Failed,
    /// Ended by the user.
    Interrupted,
}

impl Outcome {
    /// The word in the manifest.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Incomplete => "incomplete",
            Self::Failed => "failed",
            Self::Interrupted => "interrupted",
        }
    }
}

/// Whether a worker's windows are all there, as its gate asked; else what is missing.
pub fn missing(stage: &StagePlan, result: &WorkerResult) -> Option<String> {
    let gate = stage.gate.as_ref()?;
    let place = format!("stage {} ({}) rank {}", stage.id, stage.name, result.rank);
    if let Some((index, why)) = result.lost.first() {
        return Some(format!("{place}: the trace of window {index} was lost: {why}"));
    }
    if result.windows.len() < gate.windows as usize {
        return Some(format!(
            "{place}: {} of {} windows recorded",
            result.windows.len(),
            gate.windows
        ));
    }
    let short = result.windows.iter().find(|window| {
        let by_end = matches!(window.reason.as_str(), "end_of_input" | "interrupted");
        by_end && gate.max_iters.is_some_and(|max| window.iterations < max)
    })?;
    let (got, max) = (short.iterations, gate.max_iters.unwrap_or(0));
    Some(format!(
        "{place}: window {} has {got} of {max} iterations: {}",
        short.index,
        short.reason.as_str()
    ))
}

/// Judges the whole.
pub fn outcome(plan: &Plan, results: &[WorkerResult], interrupted: bool) -> Outcome {
    let in_order = results.iter().all(|r| r.end == End::Done);
    let whole = results.iter().all(|r| missing(&plan.stages[r.stage as usize], r).is_none());
    let any = results.iter().any(|r| !r.windows.is_empty());
    match (interrupted, in_order && whole, any) {
        (true, ..) => Outcome::Interrupted,
        (_, true, _) => Outcome::Complete,
        (_, _, true) => Outcome::Incomplete,
        _ => Outcome::Failed,
    }
}

/// What else the manifest says.
#[derive(Debug, Clone)]
pub struct About {
    /// The outcome.
    pub outcome: Outcome,
    /// End, in nanoseconds since the Unix epoch.
    pub finished_unix_ns: u64,
    /// Requests served.
    pub requests: u64,
    /// For people.
    pub notes: Vec<String>,
    /// Logs and statistics written, with their kinds.
    pub files: Vec<(String, &'static str)>,
}

/// Writes both forms.
pub fn write(plan: &Plan, results: &[WorkerResult], about: About) -> io::Result<()> {
    let mut files = Vec::new();
    for window in results.iter().flat_map(|r| &r.windows) {
        files.push(File {
            path: window.file.clone(),
            kind: "trace".into(),
            bytes: window.bytes,
            sha256: window.sha256.clone(),
            json_bytes: window.json_bytes,
        });
    }
    for (path, kind) in about.files {
        let (sha256, bytes) = checksum(&plan.out_dir.join(&path))?;
        files.push(File { path, kind: kind.into(), bytes, sha256, json_bytes: 0 });
    }
    let manifest = CaptureManifest {
        schema_version: 1,
        trace_id: plan.trace_id.clone(),
        pipeline: plan.pipeline.clone(),
        started_unix_ns: plan.started_unix_ns,
        finished_unix_ns: about.finished_unix_ns,
        host: crate::recorder::host_name(),
        capture_version: env!("CARGO_PKG_VERSION").into(),
        torch_version: crate::ffi::torch_version(),
        outcome: about.outcome.as_str().into(),
        stages: plan.stages.iter().map(|stage| stage_entry(stage, results)).collect(),
        files,
        command: std::env::args().collect(),
        notes: about.notes,
        requests: about.requests,
    };
    write_whole(&plan.out_dir.join(PROTO_NAME), &manifest.encode_to_vec())?;
    let json = serde_json::to_vec_pretty(&manifest).map_err(io::Error::other)?;
    write_whole(&plan.out_dir.join(JSON_NAME), &json)
}

fn stage_entry(stage: &StagePlan, results: &[WorkerResult]) -> Stage {
    Stage {
        id: stage.id,
        name: stage.name.clone(),
        kind: stage.kind.clone(),
        from: stage.from.clone(),
        gate: stage.gate.as_ref().map(|gate| Gate {
            delay_iters: gate.delay_iters,
            warmup_iters: gate.warmup_iters,
            max_iters: gate.max_iters,
            max_window_ns: gate.max_window_ns,
            max_events: gate.max_events,
            windows: gate.windows,
        }),
        workers: results.iter().filter(|r| r.stage == stage.id).map(worker_entry).collect(),
    }
}

fn worker_entry(result: &WorkerResult) -> Worker {
    let (outcome, error) = result.end.words();
    let lost = result.lost.iter().map(|(index, why)| Window {
        index: *index,
        reason: "lost".into(),
        error: why.clone(),
        ..Window::default()
    });
    Worker {
        rank: result.rank,
        pid: result.pid,
        device: result.device.clone(),
        parameters: result.parameters,
        outcome: outcome.into(),
        error: error.into(),
        windows: result.windows.iter().map(window_entry).chain(lost).collect(),
        iterations: result.timing.iterations,
        recorded_iterations: result.timing.recorded,
        unrecorded_median_ns: result.timing.unrecorded_median_ns,
        after_median_ns: result.timing.after_median_ns,
        recorded_median_ns: result.timing.recorded_median_ns,
        first_recorded_ns: result.timing.first_recorded_ns,
    }
}

fn window_entry(window: &report::Window) -> Window {
    Window {
        index: window.index,
        reason: window.reason.as_str().into(),
        first_iteration: window.first_iteration,
        iterations: window.iterations,
        events: window.events,
        file: window.file.clone(),
        start_unix_ns: window.start_unix_ns,
        window_ns: window.window_ns,
        prepare_ns: window.prepare_ns,
        start_ns: window.start_ns,
        stop_ns: window.stop_ns,
        save_ns: window.save_ns,
        error: String::new(),
    }
}
