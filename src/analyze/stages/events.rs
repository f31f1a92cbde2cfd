//! Start-up, waiting, profiler and throughput lines, in the order of the log.

use std::collections::BTreeMap;

use super::{ProfilerRow, StageWaitRow, StartupRow, ThroughputRow};
use crate::model::log::{EngineThroughput, Entry, PipelineLog, Record};

/// The events of all logs.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Events {
    pub(super) startup: Vec<StartupRow>,
    pub(super) waits: Vec<StageWaitRow>,
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

fn throughput_row(
    (log, line, at_ns): (usize, u64, Option<i64>),
    event: &EngineThroughput,
) -> ThroughputRow {
    ThroughputRow {
        log,
        line,
        at_ns,
        engine: event.engine,
        prompt_tokens_per_s: event.prompt_tokens_per_s.map(|q| q.value),
        generation_tokens_per_s: event.generation_tokens_per_s.map(|q| q.value),
        running: event.running,
        waiting: event.waiting,
        kv_cache_pct: event.kv_cache_pct.map(|q| q.value),
        prefix_hit_pct: event.prefix_hit_pct.map(|q| q.value),
    }
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
                took_ns: event.dur.map(|d| d.ns),
                memory_gib: event.gib.map(|gib| gib.value),
                detail: event.detail.clone(),
            }),
            Record::ShmWait(wait) => {
                let (nth, so_far) = waits.entry(entry.process).or_default();
                (*nth, *so_far) = (*nth + 1, *so_far + wait.ns);
                self.waits.push(StageWaitRow {
                    log: index,
                    line,
                    process,
                    at_ns,
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
            Record::Throughput(event) => {
                self.throughput.push(throughput_row((index, line, at_ns), event));
            }
            _ => {}
        }
    }
}
