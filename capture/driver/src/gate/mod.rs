//! The gate: when does a window of recording open, and when does it close.
//!
//! A pure state machine over iterations and a clock that the caller reads. It starts no profiler, knows no torch
//! and never sleeps: the caller performs what [`Gate::poll`] answers and reports finished iterations.
//!
//! ```text
//! Waiting --(delay + warm-up iterations done)--> Recording --(limit)--> Waiting (next window) or Closed
//!    `-- Prepare, some iterations ahead                `-- Stop, right after the limiting iteration
//! ```

mod per_stage;

use serde::{Deserialize, Serialize};

pub use per_stage::{PerStage, PerStageError};

/// How many iterations ahead the profiler is prepared when the delay leaves room for it.
///
/// Preparing attaches to the device; measured on an H100 the iteration after it takes 4 ms longer, so it must not be
/// the last one before the window.
pub const PREPARE_AHEAD_ITERS: u64 = 2;

/// What one stage's gate was asked to do. Iterations are counted from 0 at the start of each cycle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateSettings {
    /// Iterations skipped before anything else.
    pub delay_iters: u64,
    /// Iterations run with the profiler prepared and nothing kept, after the delay.
    pub warmup_iters: u64,
    /// Iterations recorded in a window; `None` records until another limit or the end.
    pub max_iters: Option<u64>,
    /// Longest window in nanoseconds; an iteration in progress is finished first.
    pub max_window_ns: Option<u64>,
    /// Host events (ops and annotations) after which the window closes, at the next iteration or wait.
    pub max_events: Option<u64>,
    /// Windows recorded one after the other; each goes through delay and warm-up again.
    pub windows: u32,
    /// Open a window only when an iteration begins, never while waiting for one.
    pub open_at_iteration: bool,
}

impl Default for GateSettings {
    fn default() -> Self {
        Self {
            delay_iters: 0,
            warmup_iters: 0,
            max_iters: None,
            max_window_ns: None,
            max_events: None,
            windows: 1,
            open_at_iteration: false,
        }
    }
}

impl GateSettings {
    /// Whether the gate closes by itself at some point, given enough iterations.
    pub fn is_bounded(&self) -> bool {
        self.max_iters.is_some() || self.max_window_ns.is_some() || self.max_events.is_some()
    }

    /// Iterations, from the start of a cycle, until its window is complete; `None` without an iteration limit.
    pub fn iters_per_window(&self) -> Option<u64> {
        self.max_iters.map(|n| self.delay_iters.saturating_add(self.warmup_iters).saturating_add(n))
    }
}

/// Why a window was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// The asked number of iterations has finished.
    MaxIterations,
    /// The time limit passed.
    MaxSeconds,
    /// The event limit was reached.
    MaxEvents,
    /// The pipeline ended first.
    EndOfInput,
    /// The capture was interrupted, or another stage failed.
    Interrupted,
}

impl StopReason {
    /// The name used in metadata and manifests.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MaxIterations => "max_iterations",
            Self::MaxSeconds => "max_seconds",
            Self::MaxEvents => "max_events",
            Self::EndOfInput => "end_of_input",
            Self::Interrupted => "interrupted",
        }
    }
}

/// What the caller has to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Nothing; go on.
    None,
    /// Prepare the profiler: a window is a few iterations ahead.
    Prepare,
    /// Start recording.
    Start,
    /// Wait for the device, stop recording and keep the window.
    Stop(StopReason),
}

/// Where the caller stands when it asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Waiting for input.
    Waiting,
    /// About to run an iteration.
    BeforeIteration,
    /// Between iterations, right after one has finished.
    AfterIteration,
}

/// The readings a decision needs.
#[derive(Debug, Clone, Copy, Default)]
pub struct Reading {
    /// A monotonic clock in nanoseconds.
    pub now_ns: u64,
    /// Host events recorded in the window so far, where the caller counts them.
    pub events: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting { done: u64, prepared: bool },
    Recording { done: u64, since_ns: u64 },
    Closed,
}

/// One stage's gate.
#[derive(Debug, Clone)]
pub struct Gate {
    settings: GateSettings,
    state: State,
    windows_closed: u32,
}

impl Gate {
    /// A gate at the start of its first cycle. No windows means closed from the start.
    pub fn new(settings: GateSettings) -> Self {
        let state = match settings.windows {
            0 => State::Closed,
            _ => State::Waiting { done: 0, prepared: false },
        };
        Self { settings, state, windows_closed: 0 }
    }

    /// A gate that never opens: for stages that were not asked for.
    pub fn closed() -> Self {
        Self::new(GateSettings { windows: 0, ..GateSettings::default() })
    }

    /// The settings it was made from.
    pub fn settings(&self) -> &GateSettings {
        &self.settings
    }

    /// Whether a window is open.
    pub fn is_recording(&self) -> bool {
        matches!(self.state, State::Recording { .. })
    }

    /// Whether all windows are done.
    pub fn is_closed(&self) -> bool {
        self.state == State::Closed
    }

    /// Windows that were opened and closed.
    pub fn windows_closed(&self) -> u32 {
        self.windows_closed
    }

    /// Iterations recorded in the open window; 0 when none is open.
    pub fn recorded_iters(&self) -> u64 {
        match self.state {
            State::Recording { done, .. } => done,
            _ => 0,
        }
    }

    /// Counts one finished iteration. Poll afterwards, with [`Moment::AfterIteration`].
    pub fn iteration_done(&mut self) {
        match &mut self.state {
            State::Waiting { done, .. } | State::Recording { done, .. } => *done += 1,
            State::Closed => {}
        }
    }

    /// What to do now. Ask again until it answers [`Action::None`]: a closing window may be followed by the next.
    pub fn poll(&mut self, moment: Moment, reading: Reading) -> Action {
        match self.state {
            State::Closed => Action::None,
            State::Waiting { done, prepared } => self.poll_waiting(moment, reading, done, prepared),
            State::Recording { done, since_ns } => {
                match self.limit_reached(done, since_ns, reading) {
                    Some(reason) => self.close(reason),
                    None => Action::None,
                }
            }
        }
    }

    /// Closes an open window because nothing more will come. Later polls answer [`Action::None`].
    pub fn finish(&mut self, reason: StopReason) -> Action {
        let action = match self.state {
            State::Recording { .. } => self.close(reason),
            _ => Action::None,
        };
        self.state = State::Closed;
        action
    }

    fn poll_waiting(
        &mut self,
        moment: Moment,
        reading: Reading,
        done: u64,
        prepared: bool,
    ) -> Action {
        let start_at = self.settings.delay_iters.saturating_add(self.settings.warmup_iters);
        let ahead =
            self.settings.warmup_iters.max(PREPARE_AHEAD_ITERS.min(self.settings.delay_iters));
        if !prepared && done >= start_at.saturating_sub(ahead) {
            self.state = State::Waiting { done, prepared: true };
            return Action::Prepare;
        }
        let may_open = moment == Moment::BeforeIteration || !self.settings.open_at_iteration;
        if done >= start_at && may_open {
            self.state = State::Recording { done: 0, since_ns: reading.now_ns };
            return Action::Start;
        }
        Action::None
    }

    fn limit_reached(&self, done: u64, since_ns: u64, reading: Reading) -> Option<StopReason> {
        let over = |limit: Option<u64>, value: u64| limit.is_some_and(|limit| value >= limit);
        if over(self.settings.max_iters, done) {
            return Some(StopReason::MaxIterations);
        }
        if over(self.settings.max_window_ns, reading.now_ns.saturating_sub(since_ns)) {
            return Some(StopReason::MaxSeconds);
        }
        over(self.settings.max_events, reading.events).then_some(StopReason::MaxEvents)
    }

    fn close(&mut self, reason: StopReason) -> Action {
        self.windows_closed += 1;
        self.state = match self.windows_closed >= self.settings.windows {
            true => State::Closed,
            false => State::Waiting { done: 0, prepared: false },
        };
        Action::Stop(reason)
    }
}

#[cfg(test)]
mod tests;
