//! Start-up, waiting, profiler and throughput lines, in the order of the log.

use std::collections::BTreeMap;

use crate::model::log::{Entry, PipelineLog, ProfilerStep, Record, StartupStep};

/// One step of starting up.
#[derive(Clone, Debug, PartialEq)]
pub struct StartupRow {
    /// Index of the log.
    pub log: usize,
    /// Line, from 1.
    pub line: u64,
    /// Process.
    pub process: String,
    /// Time since the log's first line that has one.
    pub at_ns: Option<i64>,
    /// What happened.
    pub step: StartupStep,
    /// Stage, where the line names one.
    pub stage: Option<u32>,
    /// How long it took, where the line says so.
    pub dur_ns: Option<i64>,
    /// Memory in GiB, where the line gives it.
    pub gib: Option<f64>,
    /// The line's own words.
    pub detail: String,
}

/// One complaint that the shared-memory queue found no free block.
#[derive(Clone, Debug, PartialEq)]
pub struct WaitRow {
    /// Index of the log.
    pub log: usize,
    /// Line, from 1.
    pub line: u64,
    /// Process that waits.
    pub process: String,
    /// Time since the log's first line that has one.
    pub at_ns: Option<i64>,
    /// Time on the log's wall clock.
    pub wall_ns: Option<i64>,
    /// How long it had waited since its last complaint.
    pub waited_ns: i64,
    /// How often this process has complained so far, this one included.
    pub nth: u64,
    /// Sum of its waits so far, this one included.
    pub waited_so_far_ns: i64,
}

/// One step of the profiler.
#[derive(Clone, Debug, PartialEq)]
pub struct ProfilerRow {
    /// Index of the log.
    pub log: usize,
    /// Line, from 1.
    pub line: u64,
    /// Process.
    pub process: String,
    /// Time since the log's first line that has one.
    pub at_ns: Option<i64>,
    /// What happened.
    pub step: ProfilerStep,
    /// Stage, where the line names one.
    pub stage: Option<u32>,
    /// Rank, where the line names one.
    pub rank: Option<u32>,
    /// Files or directories that the line names.
    pub paths: Vec<String>,
    /// The line's own words.
    pub detail: String,
}

/// One throughput line of vLLM.
#[derive(Clone, Debug, PartialEq)]
pub struct ThroughputRow {
    /// Index of the log.
    pub log: usize,
    /// Line, from 1.
    pub line: u64,
    /// Time since the log's first line that has one.
    pub at_ns: Option<i64>,
    /// Engine index.
    pub engine: u32,
    /// Prompt tokens a second.
    pub prompt_tokens_per_s: Option<f64>,
    /// Generated tokens a second.
    pub generation_tokens_per_s: Option<f64>,
    /// Requests that run.
    pub running: Option<i64>,
    /// Requests that wait.
    pub waiting: Option<i64>,
    /// Share of the key-value cache that is in use, in percent.
    pub kv_cache_pct: Option<f64>,
    /// Share of prompt tokens that the prefix cache served, in percent.
    pub prefix_hit_pct: Option<f64>,
}

/// The events of all logs.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Events {
    pub(super) startup: Vec<StartupRow>,
    pub(super) waits: Vec<WaitRow>,
    pub(super) profiler: Vec<ProfilerRow>,
    pub(super) throughput: Vec<ThroughputRow>,
}

/// Gathers the events of the logs.
pub(super) fn events_of(logs: &[&PipelineLog]) -> Events {
    let mut out = Events::default();
    for (index, log) in logs.iter().enumerate() {
        let mut waits = BTreeMap::new();
        for entry in &log.entries {
            out.take(index, log, entry, &mut waits);
        }
    }
    out
}

/// Time since the first dated line of the log.
fn at_ns(log: &PipelineLog, entry: &Entry) -> Option<i64> {
    Some(entry.wall_ns? - log.first_wall_ns?)
}

impl Events {
    fn take(
        &mut self,
        index: usize,
        log: &PipelineLog,
        entry: &Entry,
        waits: &mut BTreeMap<Option<u32>, (u64, i64)>,
    ) {
        let process = log.process_label(entry.process);
        let at_ns = at_ns(log, entry);
        let line = entry.line;
        match &entry.record {
            Record::Startup(event) => self.startup.push(StartupRow {
                log: index,
                line,
                process,
                at_ns,
                step: event.step,
                stage: event.stage,
                dur_ns: event.dur.map(|d| d.ns),
                gib: event.gib.map(|gib| gib.value),
                detail: event.detail.clone(),
            }),
            Record::ShmWait(wait) => {
                let (nth, so_far) = waits.entry(entry.process).or_default();
                (*nth, *so_far) = (*nth + 1, *so_far + wait.ns);
                self.waits.push(WaitRow {
                    log: index,
                    line,
                    process,
                    at_ns,
                    wall_ns: entry.wall_ns,
                    waited_ns: wait.ns,
                    nth: *nth,
                    waited_so_far_ns: *so_far,
                });
            }
            Record::Profiler(event) => self.profiler.push(ProfilerRow {
                log: index,
                line,
                process,
                at_ns,
                step: event.step,
                stage: event.stage,
                rank: event.rank,
                paths: event.paths.clone(),
                detail: event.detail.clone(),
            }),
            Record::Throughput(event) => self.throughput.push(ThroughputRow {
                log: index,
                line,
                at_ns,
                engine: event.engine,
                prompt_tokens_per_s: event.prompt_tokens_per_s.map(|q| q.value),
                generation_tokens_per_s: event.generation_tokens_per_s.map(|q| q.value),
                running: event.running,
                waiting: event.waiting,
                kv_cache_pct: event.kv_cache_pct.map(|q| q.value),
                prefix_hit_pct: event.prefix_hit_pct.map(|q| q.value),
            }),
            _ => {}
        }
    }
}
