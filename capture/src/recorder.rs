//! One worker's recorder: asks the gate, drives the profiler, times iterations, turns each window into a trace file.
//!
//! The only place where gate and profiler meet. It must not know what an iteration computes.

use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use omni_trace_driver::gate::{Action, Gate, Moment, Reading, StopReason};
use serde_json::{Value, json};

use crate::error::CaptureError;
use crate::ffi::{self, Range};
use crate::output::{names, trace_file};
use crate::profiler::{Profiler, RecordFlags};
use crate::report::{Report, Timing, Window};

/// Who records, for names and metadata.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The stage's number.
    pub stage: u32,
    /// The stage's name.
    pub name: String,
    /// The stage's kind.
    pub kind: String,
    /// The worker's rank in the stage.
    pub rank: u32,
    /// Ranks of the stage.
    pub world_size: u32,
    /// CUDA device, if any.
    pub cuda: Option<usize>,
    /// `gloo`, `nccl` or none.
    pub backend: Option<&'static str>,
    /// Where traces go.
    pub out_dir: PathBuf,
    /// Where files are in the making; also the working directory.
    pub scratch: PathBuf,
    /// Start of the capture, seconds since the Unix epoch.
    pub capture_unix_s: u64,
    /// Name of the pipeline.
    pub pipeline: String,
}

/// Nanoseconds since the Unix epoch.
pub fn unix_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// Whole nanoseconds of a duration.
pub fn ns(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

#[derive(Debug)]
struct Open {
    started: Instant,
    start_unix_ns: u64,
    first_iteration: u64,
    prepare_ns: u64,
    start_ns: u64,
}

/// See the module's documentation.
#[derive(Debug)]
pub struct Recorder {
    identity: Identity,
    gate: Gate,
    profiler: Profiler,
    flags: RecordFlags,
    clock: Instant,
    open: Option<Open>,
    prepare_ns: u64,
    prepared_once: bool,
    windows: u32,
    closed_reported: bool,
    iterations: u64,
    before_ns: Vec<u64>,
    after_ns: Vec<u64>,
    recorded_ns: Vec<u64>,
    spent_ns: u64,
}

impl Recorder {
    /// A recorder for one worker. `gate` is closed when the stage is not recorded.
    pub fn new(identity: Identity, gate: Gate, flags: RecordFlags, trace_id: String) -> Self {
        let count_events = gate.settings().max_events.is_some();
        let profiler = Profiler::new(identity.cuda.is_some(), flags, trace_id, count_events);
        let closed_reported = gate.is_closed();
        Self {
            identity,
            gate,
            profiler,
            flags,
            clock: Instant::now(),
            open: None,
            prepare_ns: 0,
            prepared_once: false,
            windows: 0,
            closed_reported,
            iterations: 0,
            before_ns: Vec::new(),
            after_ns: Vec::new(),
            recorded_ns: Vec::new(),
            spent_ns: 0,
        }
    }

    /// The gate, to look at.
    pub fn gate(&self) -> &Gate {
        &self.gate
    }

    /// Iterations run so far.
    pub fn iterations(&self) -> u64 {
        self.iterations
    }

    /// A span, if a window is open; no cost otherwise.
    pub fn span(&self, name: &str) -> Option<Range> {
        self.open.is_some().then(|| Range::new(name))
    }

    /// What the gate wants at this moment. Anything but [`Action::None`] has to be passed to [`Self::perform`], with
    /// no span open on this thread.
    pub fn poll(&mut self, moment: Moment) -> Action {
        let reading = Reading { now_ns: ns(self.clock), events: self.profiler.events() };
        self.gate.poll(moment, reading)
    }

    /// Does what the gate wants until it wants nothing more; gives what there is to report.
    pub fn settle(&mut self, moment: Moment) -> Result<Vec<Report>, CaptureError> {
        let mut reports = Vec::new();
        loop {
            let action = self.poll(moment);
            if action == Action::None {
                return Ok(reports);
            }
            reports.extend(self.perform(action)?);
        }
    }

    /// Does one thing that the gate asked for.
    pub fn perform(&mut self, action: Action) -> Result<Vec<Report>, CaptureError> {
        let began = Instant::now();
        let reports = self.act(action);
        self.spent_ns += ns(began);
        reports
    }

    /// Time spent in the profiler and in writing traces so far, in nanoseconds: no part of any iteration.
    pub fn spent_ns(&self) -> u64 {
        self.spent_ns
    }

    fn act(&mut self, action: Action) -> Result<Vec<Report>, CaptureError> {
        match action {
            Action::None => Ok(Vec::new()),
            Action::Prepare => {
                let began = Instant::now();
                self.profiler.prepare()?;
                self.prepare_ns = ns(began);
                self.prepared_once = true;
                Ok(Vec::new())
            }
            Action::Start => self.start().map(|()| Vec::new()),
            Action::Stop(reason) => self.stop(reason),
        }
    }

    /// Runs one iteration under its annotation; the gate is asked before and after.
    pub fn iteration<T>(
        &mut self,
        name: &str,
        body: impl FnOnce(&Self) -> Result<T, CaptureError>,
    ) -> Result<(T, Vec<Report>), CaptureError> {
        let mut reports = self.settle(Moment::BeforeIteration)?;
        let began = Instant::now();
        let span = self.span(name);
        let result = body(self);
        drop(span);
        let took = ns(began);
        let value = result?;
        match (&self.open, self.prepared_once) {
            (Some(_), _) => self.recorded_ns.push(took),
            (None, false) => self.before_ns.push(took),
            (None, true) if self.gate.is_closed() => self.after_ns.push(took),
            // Prepared and not recording: neither the one nor the other.
            (None, true) => {}
        }
        self.iterations += 1;
        self.gate.iteration_done();
        reports.extend(self.settle(Moment::AfterIteration)?);
        Ok((value, reports))
    }

    /// Closes an open window because nothing more comes, and says what the iterations took.
    pub fn finish(&mut self, reason: StopReason) -> Result<(Vec<Report>, Timing), CaptureError> {
        let action = self.gate.finish(reason);
        let mut reports = self.perform(action)?;
        reports.extend(self.closed_report());
        let timing = Timing {
            iterations: self.iterations,
            recorded: self.recorded_ns.len() as u64,
            first_recorded_ns: self.recorded_ns.first().copied().unwrap_or(0),
            unrecorded_median_ns: median(&mut self.before_ns),
            after_median_ns: median(&mut self.after_ns),
            recorded_median_ns: median(&mut self.recorded_ns),
        };
        Ok((reports, timing))
    }

    fn sync(&self) -> Result<(), CaptureError> {
        match self.identity.cuda {
            Some(device) => Ok(ffi::cuda_sync(device)?),
            None => Ok(()),
        }
    }

    fn start(&mut self) -> Result<(), CaptureError> {
        // What was launched before is not part of the window.
        self.sync()?;
        let began = Instant::now();
        self.profiler.start()?;
        let start_ns = ns(began);
        self.open = Some(Open {
            started: Instant::now(),
            start_unix_ns: unix_ns(),
            first_iteration: self.iterations,
            prepare_ns: self.prepare_ns,
            start_ns,
        });
        for (key, value) in self.metadata() {
            self.profiler.metadata(key, &value)?;
        }
        Ok(())
    }

    fn metadata(&self) -> Vec<(&'static str, Value)> {
        let id = &self.identity;
        let mut entries: Vec<(&'static str, Value)> =
            self.flags.metadata().map(|(key, _)| (key, json!(1))).collect();
        entries.extend([
            ("distributedInfo", self.distributed_info()),
            ("host_name", json!(host_name())),
            ("torch_version", json!(ffi::torch_version())),
            ("omni_trace_capture_version", json!(env!("CARGO_PKG_VERSION"))),
            (
                "stage",
                json!({"id": id.stage, "name": id.name, "kind": id.kind, "pipeline": id.pipeline}),
            ),
            ("gate", json!({"settings": self.gate.settings(), "window": self.windows})),
        ]);
        entries
    }

    /// As Python's profiler describes the group of a process.
    fn distributed_info(&self) -> Value {
        let id = &self.identity;
        let mut info = json!({"backend": id.backend, "rank": id.rank, "world_size": id.world_size});
        if let (Some(backend), Some(map)) = (id.backend, info.as_object_mut()) {
            let ranks: Vec<u32> = (0..id.world_size).collect();
            let device = if id.cuda.is_some() { "cuda" } else { "cpu" };
            map.insert("pg_count".into(), json!(1));
            let config = json!([{
                "pg_name": "0", "pg_desc": "stage", "backend_config": format!("{device}:{backend}"),
                "pg_size": id.world_size, "ranks": ranks,
            }]);
            map.insert("pg_config".into(), config);
        }
        info
    }

    fn stop(&mut self, reason: StopReason) -> Result<Vec<Report>, CaptureError> {
        let Some(open) = self.open.take() else { return Ok(Vec::new()) };
        // Kernels of the last iteration belong to the window: nothing is dropped at its end.
        self.sync()?;
        let window_ns = ns(open.started);
        let recorded = self.iterations - open.first_iteration;
        let outcome = json!({"reason": reason.as_str(), "iterations": recorded, "first_iteration": open.first_iteration});
        self.profiler.metadata("gate_outcome", &outcome)?;
        let began = Instant::now();
        let events = self.profiler.stop(self.gate.is_closed())?;
        let stop_ns = ns(began);
        let index = self.windows;
        self.windows += 1;
        let mut report = match self.save(&open) {
            Ok((file, written, save_ns)) => vec![Report::Window(Box::new(Window {
                index,
                reason,
                first_iteration: open.first_iteration,
                iterations: recorded,
                events,
                file,
                bytes: written.bytes,
                json_bytes: written.json_bytes,
                sha256: written.sha256,
                start_unix_ns: open.start_unix_ns,
                window_ns,
                prepare_ns: open.prepare_ns,
                start_ns: open.start_ns,
                stop_ns,
                save_ns,
            }))],
            Err(error) => vec![Report::WindowLost { index, error: error.to_string() }],
        };
        report.extend(self.closed_report());
        Ok(report)
    }

    fn closed_report(&mut self) -> Option<Report> {
        let first_time = self.gate.is_closed()
            && !std::mem::replace(&mut self.closed_reported, self.gate.is_closed());
        first_time.then_some(Report::GateClosed)
    }

    fn save(&mut self, open: &Open) -> Result<(String, trace_file::Written, u64), CaptureError> {
        let began = Instant::now();
        let id = &self.identity;
        let name = names::trace_name(
            id.stage,
            &id.kind,
            id.rank,
            std::process::id(),
            id.capture_unix_s,
            open.start_unix_ns,
        );
        // The path given to libtorch becomes the trace's name: relative to the working directory, it is a clean one.
        let json_name = name.strip_suffix(".gz").unwrap_or(&name);
        self.profiler.save(json_name)?;
        let json = id.scratch.join(json_name);
        let target = id.out_dir.join(&name);
        let written = trace_file::finish(&json, &id.scratch, &target)
            .map_err(|source| CaptureError::File { path: target, source })?;
        Ok((name, written, ns(began)))
    }
}

/// The machine's name.
pub fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// The working directory of a worker inside the capture's scratch directory.
pub fn scratch_dir(scratch_root: &Path, stage: u32, rank: u32) -> PathBuf {
    scratch_root.join(format!("stage_{stage}_rank{rank}"))
}

fn median(values: &mut [u64]) -> u64 {
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use omni_trace_driver::gate::GateSettings;

    use super::*;

    /// One per cent of an iteration of a millisecond.
    const LIMIT_NS: u64 = 10_000;

    #[test]
    fn an_iteration_that_is_not_recorded_costs_next_to_nothing() {
        let identity = Identity {
            stage: 0,
            name: "a".into(),
            kind: "llm".into(),
            rank: 0,
            world_size: 1,
            cuda: None,
            backend: None,
            out_dir: PathBuf::new(),
            scratch: PathBuf::new(),
            capture_unix_s: 0,
            pipeline: "p".into(),
        };
        let waiting =
            GateSettings { delay_iters: u64::MAX, max_iters: Some(1), ..Default::default() };
        for gate in [Gate::closed(), Gate::new(waiting)] {
            let flags = RecordFlags::default();
            let mut recorder = Recorder::new(identity.clone(), gate, flags, String::new());
            let (began, n) = (Instant::now(), 100_000);
            for i in 0..n {
                let name = format!("execute_context_0(0)_generation_1({i})");
                recorder.iteration(&name, |r| Ok(r.span("forward").is_none())).unwrap();
            }
            let each = ns(began) / n;
            println!("an unrecorded iteration costs {each} ns");
            assert!(each < LIMIT_NS, "{each} ns");
        }
    }
}
