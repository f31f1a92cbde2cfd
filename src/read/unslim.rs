//! Events of a trace that was written anew under its own pids, back to what they were.
//!
//! Viewers need its overlapping slices on threads that it never had, and its times near their base. Top-level members say
//! both, [`LANES_KEY`] and [`SHIFT_KEY`]; whoever reads it here gets threads, times and base as they were.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;

use super::chrome::event::{Alike, RawEvent, RawValue};
use super::chrome::template::Repeated;
use super::chrome::tolerant::Reading;
use super::chrome::walk::Sink;
use crate::diag::Reporter;
use crate::model::time::write_us;
use crate::store::{ADDED_KEY, BASE_KEY, LANES_KEY, PartThread, SHIFT_KEY};

/// What a trace gave anew.
#[derive(Debug, Default)]
pub(super) struct Anew {
    /// Threads by tid, as its text.
    threads: BTreeMap<Vec<u8>, Vec<Was>>,
    /// What was added to every timestamp.
    shift_ns: i64,
}

/// What a tid was in one process, both as JSON.
#[derive(Debug)]
struct Was {
    pid: Vec<u8>,
    tid: Vec<u8>,
}

impl Anew {
    /// Takes its members out of the top-level ones, and gives the base of times its former value.
    pub(super) fn take(entries: &mut Vec<(String, String)>) -> Self {
        let mut anew = Self::default();
        anew.add_threads(take_member(entries, LANES_KEY).unwrap_or_default());
        let Some(shift_ns) = take_member(entries, SHIFT_KEY) else { return anew };
        anew.shift_ns = shift_ns;
        for (_, base) in entries.iter_mut().filter(|(key, _)| key == BASE_KEY) {
            if let Ok(base_ns) = base.parse::<i64>() {
                *base = base_ns.saturating_add(shift_ns).to_string();
            }
        }
        anew
    }

    fn add_threads(&mut self, threads: Vec<PartThread>) {
        for thread in threads {
            let was = Was {
                pid: thread.pid.to_string().into_bytes(),
                tid: thread.of.get().as_bytes().to_vec(),
            };
            self.threads.entry(thread.tid.to_string().into_bytes()).or_default().push(was);
        }
    }

    /// Whether events are what they were.
    pub(super) fn is_nothing(&self) -> bool {
        self.threads.is_empty() && self.shift_ns == 0
    }

    fn original(&self, event: &RawEvent<'_>) -> Option<RawValue<'_>> {
        let by_pid = self.threads.get(event.tid.0)?;
        by_pid.iter().find(|was| was.pid == event.pid.0).map(|was| RawValue(&was.tid))
    }
}

/// Takes a top-level member out, where it is what it should be.
fn take_member<T: DeserializeOwned>(entries: &mut Vec<(String, String)>, key: &str) -> Option<T> {
    let at = entries.iter().position(|(known, _)| known == key)?;
    let value = serde_json::from_str(&entries[at].1).ok()?;
    entries.remove(at);
    Some(value)
}

/// Gives a sink the events with the tids and times that they had.
pub(super) struct Former<'a, S> {
    anew: &'a Anew,
    sink: S,
    /// The former time of the event, as text.
    ts: Vec<u8>,
}

impl<'a, S> Former<'a, S> {
    pub(super) fn new(anew: &'a Anew, sink: S) -> Self {
        Self { anew, sink, ts: Vec::new() }
    }
}

impl<S: Sink> Sink for Former<'_, S> {
    type Output = S::Output;

    fn event(&mut self, event: &RawEvent<'_>, offset: u64, reading: Reading) {
        if self.anew.is_nothing() {
            return self.sink.event(event, offset, reading);
        }
        let is_metadata = event.ph.inner() == b"M";
        if is_metadata && event.arg(ADDED_KEY.as_bytes()).is_some() {
            return;
        }
        let tid = self.anew.original(event);
        // Metadata has no time: what some writers give it stays.
        let is_shifted = self.anew.shift_ns != 0 && !is_metadata;
        let ts_ns = event.ts.as_ns().filter(|_| is_shifted);
        if tid.is_none() && ts_ns.is_none() {
            return self.sink.event(event, offset, reading);
        }
        let alike = Alike::default();
        let mut former = RawEvent { tid: tid.unwrap_or(event.tid), alike, ..event.clone() };
        if let Some(ts_ns) = ts_ns {
            self.ts.clear();
            write_us(ts_ns.wrapping_sub(self.anew.shift_ns), &mut self.ts);
            former.ts = RawValue(&self.ts);
        }
        self.sink.event(&former, offset, reading);
    }

    #[inline]
    fn repeated(&mut self, event: &Repeated<'_, '_>) -> bool {
        self.anew.is_nothing() && self.sink.repeated(event)
    }

    #[cfg(feature = "program")]
    fn passes_all(&mut self) -> bool {
        self.sink.passes_all()
    }

    fn steps_over(&mut self, rest: &[u8]) -> Option<usize> {
        self.sink.steps_over(rest)
    }

    fn reporter(&mut self) -> &mut Reporter {
        self.sink.reporter()
    }

    fn finish(self) -> (S::Output, Reporter) {
        self.sink.finish()
    }
}
