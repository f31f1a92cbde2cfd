//! The orchestrator's part of the supervisor: sends requests, takes results, keeps the pipeline's logs.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::CaptureError;
use crate::model;
use crate::output::diffusion_log::DiffusionLog;
use crate::output::pipeline_log::PipelineLog;
use crate::output::stats::Stats;
use crate::plan::{Edge, ModelSpec, Plan};
use crate::recorder::{host_name, unix_ns};
use crate::report::Report;
use crate::ring::{Reader, Writer};
use crate::wire::{self, Message, Request};

struct Entry {
    writer: Writer,
    spec: ModelSpec,
    // Messages to write, each with how much of it is written.
    queue: Vec<(Vec<u8>, usize)>,
}

struct Exit {
    reader: Reader,
    stage: u32,
    partial: Vec<u8>,
    taken: BTreeSet<String>,
}

/// See the module's documentation.
pub(super) struct Orchestrator {
    entries: Vec<Entry>,
    exits: Vec<Exit>,
    // Rings between stages, held until the workers have inherited them.
    prompt_tokens: i64,
    wanted: Option<u32>,
    in_flight: u32,
    sent: u32,
    ended: bool,
    seeded: BTreeMap<String, u64>,
    stats: Stats,
    log: PipelineLog,
    diffusion: BTreeMap<u32, DiffusionLog>,
    n_stages: usize,
    trace_id: String,
}

/// The rings of a plan, as the workers are told of them. Dropping it closes the supervisor's side of those between stages.
pub(super) struct Edges {
    list: Vec<Edge>,
    _between: Vec<Writer>,
}

impl std::ops::Deref for Edges {
    type Target = [Edge];

    fn deref(&self) -> &[Edge] {
        &self.list
    }
}

impl Orchestrator {
    /// Creates every ring of the plan.
    pub(super) fn new(plan: &Plan) -> Result<(Self, Edges), CaptureError> {
        let ring = CaptureError::system;
        let mut edges = Edges { list: Vec::new(), _between: Vec::new() };
        let (mut entries, mut exits) = (Vec::new(), Vec::new());
        for stage in &plan.stages {
            let shape = plan.ring_shape(stage.ranks as usize);
            if stage.from.is_empty() {
                let writer = Writer::create(shape).map_err(ring("ring for requests"))?;
                edges.list.push(Edge {
                    from: None,
                    to: Some(stage.id),
                    fd: writer.raw_fd(),
                    shape,
                });
                entries.push(Entry { writer, spec: stage.model.clone(), queue: Vec::new() });
            }
            for from in &stage.from {
                let between = Writer::create(shape).map_err(ring("ring between stages"))?;
                let (from, to, fd) = (Some(*from), Some(stage.id), between.raw_fd());
                edges.list.push(Edge { from, to, fd, shape });
                edges._between.push(between);
            }
        }
        for stage in plan.finals() {
            let shape = plan.ring_shape(1);
            let reader = Reader::create(shape, 0).map_err(ring("ring for results"))?;
            edges.list.push(Edge { from: Some(stage.id), to: None, fd: reader.raw_fd(), shape });
            let (partial, taken) = (Vec::new(), BTreeSet::new());
            exits.push(Exit { reader, stage: stage.id, partial, taken });
        }
        tch::manual_seed(plan.seed);
        let orchestrator = Self {
            entries,
            exits,
            prompt_tokens: plan.prompt_tokens,
            wanted: plan.requests,
            in_flight: plan.in_flight,
            sent: 0,
            ended: false,
            seeded: BTreeMap::new(),
            stats: Stats::new(plan.started_unix_ns),
            log: PipelineLog::new(std::process::id()),
            diffusion: BTreeMap::new(),
            n_stages: plan.stages.len(),
            trace_id: plan.trace_id.to_lowercase(),
        };
        Ok((orchestrator, edges))
    }

    /// All workers are ready: the clock of the run starts.
    pub(super) fn begin(&mut self, now_unix_ns: u64) {
        self.stats = Stats::new(now_unix_ns);
        self.log.orchestrator(now_unix_ns, "generate() called");
        let wanted = self.wanted.map_or_else(|| "?".to_owned(), |n| n.to_string());
        let text =
            format!("Entering scheduling loop: total_requests={wanted}, stages={}", self.n_stages);
        self.log.orchestrator(now_unix_ns, &text);
    }

    /// A stage's leading worker is ready.
    pub(super) fn loaded(&mut self, stage: u32, pid: u32, plan: &Plan) {
        let now = unix_ns();
        if let Some(ModelSpec::Diffusion { image, steps, .. }) =
            plan.stages.get(stage as usize).map(|s| &s.model)
        {
            let mut log = DiffusionLog::new(pid, host_name(), *image, *steps);
            log.loaded(now, now.saturating_sub(plan.started_unix_ns));
            self.diffusion.insert(stage, log);
        }
    }

    /// Requests that left the pipeline.
    pub(super) fn requests_done(&self) -> u64 {
        self.stats.requests_done()
    }

    /// One look at the rings: takes results, sends what is due. `recorded` says that every gate is closed.
    pub(super) fn turn(&mut self, recorded: bool) -> Result<(), CaptureError> {
        self.take_results()?;
        let enough = match self.wanted {
            Some(wanted) => self.sent >= wanted,
            None => recorded,
        };
        if enough && !self.ended {
            self.ended = true;
            let end = wire::encode(&Message::End)?;
            self.entries.iter_mut().for_each(|entry| entry.queue.push((end.clone(), 0)));
        }
        while !self.ended && self.seeded.len() < self.in_flight as usize {
            if self.wanted.is_some_and(|wanted| self.sent >= wanted) {
                break;
            }
            self.seed_one()?;
        }
        for entry in &mut self.entries {
            while let Some((message, done)) = entry.queue.first_mut() {
                if !entry.writer.try_write(message, done) {
                    break;
                }
                entry.queue.remove(0);
            }
        }
        Ok(())
    }

    fn seed_one(&mut self) -> Result<(), CaptureError> {
        let id = format!("{}_{}-{:08x}", self.sent, &self.trace_id[..8], self.sent);
        self.sent += 1;
        let now = unix_ns();
        for entry in &mut self.entries {
            let tensors = model::request_inputs(&entry.spec, self.prompt_tokens);
            let request = Request { id: id.clone(), sent_unix_ns: now, tensors };
            entry.queue.push((wire::encode(&Message::Request(request))?, 0));
        }
        self.log.orchestrator(now, &format!("Enqueued request {id} to stage-0"));
        self.seeded.insert(id, now);
        Ok(())
    }

    fn take_results(&mut self) -> Result<(), CaptureError> {
        for exit in &mut self.exits {
            while exit.reader.try_read(&mut exit.partial) {
                let message = wire::decode(&std::mem::take(&mut exit.partial))?;
                if let Message::Request(request) = message {
                    exit.taken.insert(request.id);
                }
            }
        }
        // A request is done when every final stage has given its result.
        let Some((first, others)) = self.exits.split_first() else { return Ok(()) };
        let done: Vec<String> = first
            .taken
            .iter()
            .filter(|id| others.iter().all(|exit| exit.taken.contains(*id)))
            .cloned()
            .collect();
        for id in done {
            let stage = self.exits.last().map_or(0, |exit| exit.stage);
            for exit in &mut self.exits {
                exit.taken.remove(&id);
            }
            self.finish(&id, stage);
        }
        Ok(())
    }

    fn finish(&mut self, id: &str, stage: u32) {
        let now = unix_ns();
        let seeded = self.seeded.remove(id).unwrap_or(now);
        let (e2e, overall) = self.stats.finished(id, stage, seeded, now);
        self.log.json("orchestrator", &e2e);
        self.log.json("overall", &overall);
        self.log.orchestrator(now, &format!("Request {id} finalized at stage-{stage}"));
        let wanted = self.wanted.unwrap_or(self.sent);
        let done = self.stats.requests_done();
        self.log.orchestrator(now, &format!("Request {id} fully completed ({done}/{wanted})"));
    }

    /// Keeps what a worker of `stage` reported.
    pub(super) fn take(&mut self, stage: u32, report: &Report) {
        let now = unix_ns();
        match report {
            Report::Sent(transfer) => {
                if let Some(line) = self.stats.sent(transfer) {
                    self.log.json("orchestrator", &line);
                }
                if let Some(to) = transfer.to {
                    let text = format!("Forwarded request {} to stage-{to}", transfer.request);
                    self.log.orchestrator(now, &text);
                }
            }
            Report::Received(transfer) => {
                for line in self.stats.received(transfer) {
                    self.log.json("orchestrator", &line);
                }
            }
            Report::Served(served) => {
                let (metrics, lines) = self.stats.served(stage, served);
                self.log.stage_metrics(now, stage, &served.request, &metrics);
                let text = format!(
                    "Stage-{stage} completed request {}; forwarding or finalizing",
                    served.request
                );
                self.log.orchestrator(now, &text);
                for line in &lines {
                    self.log.json(&format!("stage{stage}"), line);
                }
                if let Some(log) = self.diffusion.get_mut(&stage) {
                    log.served(served, served.start_unix_ns + served.gen_ns);
                }
            }
            _ => {}
        }
    }

    /// Writes the logs; gives their names and kinds.
    pub(super) fn write_logs(
        &mut self,
        plan: &Plan,
    ) -> Result<Vec<(String, &'static str)>, CaptureError> {
        let failed = |source| CaptureError::File { path: plan.out_dir.clone(), source };
        let now = unix_ns();
        if self.stats.requests_done() > 0 && self.seeded.is_empty() {
            self.log.orchestrator(now, "All requests completed");
        }
        let last = self.exits.last().map_or(0, |exit| exit.stage);
        self.log.summary(now, &self.stats.summary(last));
        let mut files = self.log.write(&plan.out_dir).map_err(failed)?;
        for log in self.diffusion.values() {
            let seconds = plan.started_unix_ns / 1_000_000_000;
            files.push((log.write(&plan.out_dir, seconds).map_err(failed)?, "diffusion_stats"));
        }
        Ok(files)
    }
}
