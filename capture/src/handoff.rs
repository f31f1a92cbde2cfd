//! Hand-overs between stages: waiting for a message or for room, with the gate and the abort flag looked at meanwhile.
//!
//! Adds to [`crate::ring`] what a stage sees of it: annotations, measured times, and an end when the capture ends.

use std::time::Instant;

use omni_trace_driver::gate::{Action, Moment};

use crate::board::{Activity, Board};
use crate::error::CaptureError;
use crate::ffi::Range;
use crate::plan::Waits;
use crate::recorder::{Recorder, ns, unix_ns};
use crate::report::{Report, Transfer};
use crate::ring::{Phase, Reader, Turn, Waiter, Writer};
use crate::wire::{self, Message};

/// What a worker needs while it waits.
pub struct Desk<'a> {
    /// Its recorder.
    pub recorder: &'a mut Recorder,
    /// The capture's board.
    pub board: &'a Board,
    /// The worker's number on the board.
    pub index: usize,
    /// How much of the waiting is recorded.
    pub waits: Waits,
    /// Takes reports.
    pub report: &'a mut dyn FnMut(Report),
}

impl Desk<'_> {
    /// Waits for the next message of an edge.
    pub fn receive(
        &mut self,
        reader: &mut Reader,
        from: Option<u32>,
        to: Option<u32>,
    ) -> Result<(Message, Transfer), CaptureError> {
        let mut bytes = Vec::new();
        self.wait("shm_broadcast: dequeue", |turn, on_spin| {
            if reader.try_read(&mut bytes) {
                return Turn::Ready;
            }
            // What is there was read; Ready only means that there is more of it.
            reader.wait(turn, on_spin);
            if reader.try_read(&mut bytes) { Turn::Ready } else { Turn::Tick }
        })?;
        let arrived_unix_ns = unix_ns();
        let span = self.recorder.span("shm_broadcast: deserialize");
        let began = Instant::now();
        let message = wire::decode(&bytes)?;
        let decode_ns = ns(began);
        drop(span);
        let (request, in_flight_ns) = match &message {
            Message::Request(r) => (r.id.clone(), arrived_unix_ns.saturating_sub(r.sent_unix_ns)),
            Message::End => (String::new(), 0),
        };
        let transfer =
            Transfer { from, to, request, bytes: bytes.len() as u64, ns: decode_ns, in_flight_ns };
        Ok((message, transfer))
    }

    /// Writes a message to an edge.
    pub fn send(&mut self, writer: &mut Writer, message: &Message) -> Result<u64, CaptureError> {
        let span = self.recorder.span("shm_broadcast: serialize");
        let bytes = wire::encode(message)?;
        drop(span);
        let mut done = 0;
        self.wait("shm_broadcast: enqueue", |turn, on_spin| {
            if writer.try_write(&bytes, &mut done) {
                return Turn::Ready;
            }
            writer.wait(turn, on_spin);
            if writer.try_write(&bytes, &mut done) { Turn::Ready } else { Turn::Tick }
        })?;
        Ok(bytes.len() as u64)
    }

    /// Waits until `attempt` is ready, under a span that never crosses the begin or the end of a window.
    fn wait(
        &mut self,
        name: &str,
        mut attempt: impl FnMut(&Waiter, &mut dyn FnMut()) -> Turn,
    ) -> Result<(), CaptureError> {
        self.board.set(self.index, Activity::Waiting);
        let waiter = Waiter::new();
        loop {
            let reports = self.recorder.settle(Moment::Waiting)?;
            reports.into_iter().for_each(&mut *self.report);
            let action = self.wait_within(name, &waiter, &mut attempt)?;
            match action {
                None => return Ok(()),
                Some(action) => {
                    self.recorder.perform(action)?.into_iter().for_each(&mut *self.report);
                }
            }
        }
    }

    /// Waits under one span; ends early, without the span, when the gate wants something.
    fn wait_within(
        &mut self,
        name: &str,
        waiter: &Waiter,
        attempt: &mut dyn FnMut(&Waiter, &mut dyn FnMut()) -> Turn,
    ) -> Result<Option<Action>, CaptureError> {
        let recorded = self.waits != Waits::None;
        let _outer = recorded.then(|| self.recorder.span(name)).flatten();
        let full = self.waits == Waits::Full && self.recorder.gate().is_recording();
        let mut spin = || drop(Range::new("sched_yield"));
        let mut nothing = || {};
        let mut phase: Option<(Phase, Option<Range>)> = None;
        loop {
            let now = waiter.phase();
            if phase.as_ref().is_none_or(|(was, _)| *was != now) {
                // The old part ends before the new one begins.
                drop(phase.take());
                let part = match now {
                    Phase::Spinning => "shm_broadcast: spin",
                    Phase::Blocked => "shm_broadcast: poll",
                };
                let span = recorded.then(|| self.recorder.span(part)).flatten();
                phase = Some((now, span));
            }
            let on_spin: &mut dyn FnMut() = if full { &mut spin } else { &mut nothing };
            if attempt(waiter, on_spin) == Turn::Ready {
                return Ok(None);
            }
            self.board.beat(self.index);
            if self.board.aborted() {
                return Err(CaptureError::Aborted);
            }
            let action = self.recorder.poll(Moment::Waiting);
            if action != Action::None {
                return Ok(Some(action));
            }
        }
    }
}
