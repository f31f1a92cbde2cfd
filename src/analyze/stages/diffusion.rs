//! Diffusion requests: load, preparation, denoising steps, decoding.

use crate::model::log::{
    DiffusionEvent, DiffusionStep, LogDuration, PipelineLog, Record, StageRequest,
};

use super::DiffusionRow;
use super::merge::Run;
use super::recompute::other;
use super::requests::{QUEUE_FIELDS, other_duration};

/// The diffusion requests of a run: those with records of their own, then those of diffusion stages.
pub(super) fn rows_of(index: usize, logs: &[&PipelineLog], run: &Run) -> Vec<DiffusionRow> {
    let mut rows = Vec::new();
    for &log in &run.logs {
        rows.extend(from_events(index, logs[log]));
    }
    let passes = run.stage_requests.values().map(|(_, record)| record);
    rows.extend(passes.filter_map(|record| from_stage(index, record)));
    rows
}

/// What has been told of a call that goes on.
struct Call {
    key: (bool, u32),
    row: DiffusionRow,
    is_finished: bool,
}

/// Calls of one process follow each other; a process is told apart by its prefix, or by the pid in its JSON lines.
fn from_events(index: usize, log: &PipelineLog) -> Vec<DiffusionRow> {
    let mut open: Vec<Call> = Vec::new();
    let mut rows = Vec::new();
    for entry in &log.entries {
        let Record::Diffusion(event) = &entry.record else { continue };
        if matches!(event.step, DiffusionStep::Forward | DiffusionStep::CallerTotal) {
            continue;
        }
        let key = match event.pid {
            Some(pid) => (true, pid),
            None => (false, entry.process.map_or(0, |process| process + 1)),
        };
        let process =
            event.pid.map_or_else(|| log.process_label(entry.process), |pid| format!("pid {pid}"));
        let at = open.iter().position(|call| call.key == key).unwrap_or_else(|| {
            let row = DiffusionRow { run: index, process, ..DiffusionRow::default() };
            open.push(Call { key, row, is_finished: false });
            open.len() - 1
        });
        if let Some(done) = open[at].take(event) {
            rows.push(done);
        }
    }
    rows.extend(open.into_iter().filter(|call| !call.row.is_empty()).map(|call| call.row.done()));
    rows
}

impl Call {
    /// Takes an event; gives the row of the call before, when this event begins the next one.
    fn take(&mut self, event: &DiffusionEvent) -> Option<DiffusionRow> {
        // A call is over when the next one's first event comes after its end.
        let begins = matches!(event.step, DiffusionStep::Preprocessed | DiffusionStep::Loaded)
            || event.step == DiffusionStep::Scheduled && event.pid.is_some();
        let done = (begins && self.is_finished).then(|| self.next_row());
        let row = &mut self.row;
        let ns = |d: Option<LogDuration>| d.map(|d| d.ns);
        row.steps = row.steps.or(event.steps);
        if row.height.is_none() {
            (row.height, row.width) = event.height_width.unzip();
        }
        row.model = row.model.take().or_else(|| event.name.clone());
        match event.step {
            DiffusionStep::Loaded => row.load_ns = ns(event.dur),
            DiffusionStep::Preprocessed => row.preprocess_ns = ns(event.dur),
            DiffusionStep::Postprocessed => row.postprocess_ns = ns(event.dur),
            DiffusionStep::Finished | DiffusionStep::Metrics => {
                row.engine_ns = ns(event.engine).or(row.engine_ns);
                // The metrics line repeats the total with every digit.
                row.total_ns = ns(event.dur).or(row.total_ns);
                self.is_finished = true;
            }
            _ => {}
        }
        done
    }

    fn next_row(&mut self) -> DiffusionRow {
        self.is_finished = false;
        let next = DiffusionRow {
            run: self.row.run,
            process: self.row.process.clone(),
            model: self.row.model.clone(),
            ..DiffusionRow::default()
        };
        std::mem::replace(&mut self.row, next).done()
    }
}

impl DiffusionRow {
    fn is_empty(&self) -> bool {
        let parts = [self.load_ns, self.preprocess_ns, self.engine_ns, self.total_ns, self.steps];
        parts.iter().all(Option::is_none)
    }

    /// With the time per step.
    fn done(mut self) -> Self {
        let net = || Some(self.engine_ns? - self.queue_ns.unwrap_or(0));
        self.step_ns = net().zip(self.steps.filter(|n| *n > 0)).map(|(ns, n)| (ns + n / 2) / n);
        self
    }
}

/// A stage's record that tells of denoising.
fn from_stage(index: usize, record: &StageRequest) -> Option<DiffusionRow> {
    let duration = |names: &[&str]| other_duration(record, names).map(|d| d.ns);
    let engine = duration(&["diffusion_engine_exec_time_s", "diffusion_engine_exec_time_ms"]);
    let steps = other(record, "num_inference_steps").map(|q| whole(q.value)).filter(|n| *n > 0);
    if engine.is_none() && steps.is_none() {
        return None;
    }
    let side = |name| other(record, name).map(|q| whole(q.value));
    let (height, width) = side("height").zip(side("width")).unzip();
    let row = DiffusionRow {
        run: index,
        request: record.request.clone(),
        process: String::new(),
        model: None,
        load_ns: None,
        queue_ns: duration(QUEUE_FIELDS),
        preprocess_ns: duration(&["preprocess_time_s", "preprocess_time_ms"]),
        engine_ns: engine,
        step_ns: None,
        steps,
        decode_ns: duration(&["vae_decode_time_s", "vae_decode_time_ms"]),
        postprocess_ns: duration(&["postprocess_time_s", "postprocess_time_ms"]),
        total_ns: record.generation.map(|d| d.ns),
        height,
        width,
    };
    Some(row.done())
}

#[expect(clippy::cast_possible_truncation, reason = "steps and pixels are small whole numbers")]
fn whole(value: f64) -> i64 {
    value.round() as i64
}
