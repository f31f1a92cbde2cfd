//! Events of lanes back to the thread that they were of.
//!
//! A trace that was written anew under its own pids has its overlapping slices on threads that it never had, and says so in
//! the top-level member [`LANES_KEY`]; whoever reads it here gets the threads as they were.

use std::collections::BTreeMap;

use super::chrome::event::{RawEvent, RawValue};
use super::chrome::tolerant::Reading;
use super::chrome::walk::Sink;
use crate::diag::Reporter;
use crate::store::{ADDED_KEY, LANES_KEY, PartThread};

/// The tids that a trace gave anew.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    /// By tid, as its text.
    threads: BTreeMap<Vec<u8>, Vec<Was>>,
}

/// What a tid was in one process, both as JSON.
#[derive(Debug)]
struct Was {
    pid: Vec<u8>,
    tid: Vec<u8>,
}

impl Lanes {
    /// Takes the member out of the top-level members.
    pub(super) fn take(entries: &mut Vec<(String, String)>) -> Self {
        let mut lanes = Self::default();
        entries.retain(|(key, text)| {
            let threads: Option<Vec<PartThread>> =
                if key == LANES_KEY { serde_json::from_str(text).ok() } else { None };
            let Some(threads) = threads else { return true };
            for thread in threads {
                let was = Was {
                    pid: thread.pid.to_string().into_bytes(),
                    tid: thread.of.get().as_bytes().to_vec(),
                };
                lanes.threads.entry(thread.tid.to_string().into_bytes()).or_default().push(was);
            }
            false
        });
        lanes
    }

    fn original(&self, event: &RawEvent<'_>) -> Option<RawValue<'_>> {
        let by_pid = self.threads.get(event.tid.0)?;
        by_pid.iter().find(|was| was.pid == event.pid.0).map(|was| RawValue(&was.tid))
    }
}

/// Gives a sink the events with the tids that they had.
pub(super) struct Joined<'l, S> {
    lanes: &'l Lanes,
    sink: S,
}

impl<'l, S> Joined<'l, S> {
    pub(super) fn new(lanes: &'l Lanes, sink: S) -> Self {
        Self { lanes, sink }
    }
}

impl<S: Sink> Sink for Joined<'_, S> {
    type Output = S::Output;

    fn event(&mut self, event: &RawEvent<'_>, offset: u64, reading: Reading) {
        if self.lanes.threads.is_empty() {
            return self.sink.event(event, offset, reading);
        }
        if event.ph.inner() == b"M" && event.arg(ADDED_KEY.as_bytes()).is_some() {
            return;
        }
        match self.lanes.original(event) {
            Some(tid) => {
                let original = RawEvent { tid, ..event.clone() };
                self.sink.event(&original, offset, reading);
            }
            None => self.sink.event(event, offset, reading),
        }
    }

    fn reporter(&mut self) -> &mut Reporter {
        self.sink.reporter()
    }

    fn finish(self) -> (S::Output, Reporter) {
        self.sink.finish()
    }
}
