//! Sessions of libtorch's profiler: prepare, start, stop, save, in that order and no other.
//!
//! Wraps [`crate::ffi`] so that no call can come out of turn (libtorch crashes on a start without a prepare).
//! It must not decide when to record; that is the gate's.

use serde::{Deserialize, Serialize};

use crate::ffi::{self, TorchError};

/// What is recorded besides names and times.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordFlags {
    /// Shapes and types of op inputs.
    pub shapes: bool,
    /// Allocations and frees, as instants.
    pub memory: bool,
    /// Estimated floating point operations.
    pub flops: bool,
    /// CUDA synchronization events.
    pub sync_events: bool,
    /// Ops of all threads, not only of the one that runs the stage.
    pub all_threads: bool,
}

impl RecordFlags {
    fn bits(self) -> u32 {
        let bit = |on: bool, bit: u32| if on { bit } else { 0 };
        bit(self.shapes, ffi::SHAPES)
            | bit(self.memory, ffi::MEMORY)
            | bit(self.flops, ffi::FLOPS)
            | bit(self.sync_events, ffi::SYNC_EVENTS)
            | bit(self.all_threads, ffi::ALL_THREADS)
    }

    /// The top-level keys that Python's profiler adds for the same settings.
    pub fn metadata(self) -> impl Iterator<Item = (&'static str, &'static str)> {
        [
            ("record_shapes", self.shapes),
            ("profile_memory", self.memory),
            ("with_flops", self.flops),
        ]
        .into_iter()
        .filter_map(|(key, on)| on.then_some((key, "1")))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Idle,
    Prepared,
    Recording,
    Stopped,
}

/// The profiler of this process, driven from one thread.
#[derive(Debug)]
pub struct Profiler {
    cuda: bool,
    flags: RecordFlags,
    trace_id: String,
    count_events: bool,
    may_detach: bool,
    state: State,
}

impl Profiler {
    /// A profiler for the host and, with `cuda`, for the devices. `trace_id` is 32 hexadecimal digits.
    pub fn new(cuda: bool, flags: RecordFlags, trace_id: String, count_events: bool) -> Self {
        // A user who has set this has a reason.
        let may_detach = std::env::var_os("TEARDOWN_CUPTI").is_none();
        Self { cuda, flags, trace_id, count_events, may_detach, state: State::Idle }
    }

    /// Attaches to the devices, without recording. Takes some 20 ms the first time on a GPU.
    pub fn prepare(&mut self) -> Result<(), TorchError> {
        self.expect(State::Idle, "prepare")?;
        ffi::prepare(self.cuda, self.flags.bits(), &self.trace_id)?;
        self.state = State::Prepared;
        Ok(())
    }

    /// Starts recording.
    pub fn start(&mut self) -> Result<(), TorchError> {
        self.expect(State::Prepared, "start")?;
        ffi::start(self.cuda, self.flags.bits(), &self.trace_id)?;
        self.state = State::Recording;
        if self.count_events {
            ffi::count_events(true)?;
        }
        Ok(())
    }

    /// Adds a top-level key to the trace.
    pub fn metadata(&self, key: &str, value: &serde_json::Value) -> Result<(), TorchError> {
        self.expect(State::Recording, "add metadata to")?;
        ffi::metadata(key, &value.to_string())
    }

    /// Host events since the start; 0 unless they are counted.
    pub fn events(&self) -> u64 {
        if self.count_events { ffi::events_counted() } else { 0 }
    }

    /// Stops recording; gives the number of events that libtorch kept. After the `last` one it lets go of the devices.
    pub fn stop(&mut self, last: bool) -> Result<u64, TorchError> {
        self.expect(State::Recording, "stop")?;
        if self.cuda && self.may_detach {
            ffi::detach_after_stop(last)?;
        }
        if self.count_events {
            ffi::count_events(false)?;
        }
        // Whatever comes of it, the recording is over.
        self.state = State::Idle;
        let events = ffi::stop()?;
        self.state = State::Stopped;
        Ok(events)
    }

    /// Writes the stopped recording as plain JSON.
    pub fn save(&mut self, path: &str) -> Result<(), TorchError> {
        self.expect(State::Stopped, "save")?;
        self.state = State::Idle;
        ffi::save(path)
    }

    fn expect(&self, state: State, verb: &str) -> Result<(), TorchError> {
        if self.state == state {
            return Ok(());
        }
        Err(TorchError(format!("cannot {verb} a profiler that is {:?}", self.state).to_lowercase()))
    }
}
