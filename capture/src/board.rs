//! The status board: shared memory in which workers say what they are doing and the supervisor says "stop".
//!
//! Tells a hung stage from those that wait for it: these go on looking. It must not carry data.

use std::io;
use std::os::fd::RawFd;
use std::sync::atomic::Ordering::Relaxed;

use crate::ffi::SharedMemory;

const ABORT: usize = 0;
const SLOTS_START: usize = 64;
const SLOT_BYTES: usize = 64;
const ACTIVITY: usize = 0;
const STEPS: usize = 8;

/// What a worker is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activity {
    /// Loading libtorch, building its model.
    Starting,
    /// Waiting for input or for room in the next ring.
    Waiting,
    /// Running an iteration.
    Iterating,
    /// Writing a trace.
    Saving,
    /// Finished.
    Done,
}

impl Activity {
    const ALL: [Self; 5] =
        [Self::Starting, Self::Waiting, Self::Iterating, Self::Saving, Self::Done];

    /// A word for messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Waiting => "waiting",
            Self::Iterating => "in an iteration",
            Self::Saving => "writing a trace",
            Self::Done => "done",
        }
    }
}

/// The board of one capture.
#[derive(Debug)]
pub struct Board {
    memory: SharedMemory,
}

impl Board {
    fn bytes(workers: usize) -> usize {
        SLOTS_START + workers * SLOT_BYTES
    }

    /// A new board.
    pub fn create(workers: usize) -> io::Result<Self> {
        Ok(Self { memory: SharedMemory::create("omni-trace-board", Self::bytes(workers))? })
    }

    /// The board that the parent created.
    pub fn open(fd: RawFd, workers: usize) -> io::Result<Self> {
        Ok(Self { memory: SharedMemory::open(fd, Self::bytes(workers))? })
    }

    /// The descriptor to pass to workers.
    pub fn raw_fd(&self) -> RawFd {
        self.memory.raw_fd()
    }

    /// Asks every worker to end.
    pub fn abort(&self) {
        self.memory.word(ABORT).store(1, Relaxed);
    }

    /// Whether workers are asked to end.
    pub fn aborted(&self) -> bool {
        self.memory.word(ABORT).load(Relaxed) != 0
    }

    /// Says what a worker does now, and counts it as progress.
    pub fn set(&self, worker: usize, activity: Activity) {
        let slot = SLOTS_START + worker * SLOT_BYTES;
        self.memory.word(slot + ACTIVITY).store(activity as u32, Relaxed);
        self.beat(worker);
    }

    /// Says that a worker goes on with what it does. Waiting is a loop too: one that says nothing is stopped.
    pub fn beat(&self, worker: usize) {
        self.memory.word64(SLOTS_START + worker * SLOT_BYTES + STEPS).fetch_add(1, Relaxed);
    }

    /// What a worker does, and a number that changes with its progress.
    pub fn get(&self, worker: usize) -> (Activity, u64) {
        let slot = SLOTS_START + worker * SLOT_BYTES;
        let code = self.memory.word(slot + ACTIVITY).load(Relaxed) as usize;
        let activity = Activity::ALL.get(code).copied().unwrap_or(Activity::Starting);
        (activity, self.memory.word64(slot + STEPS).load(Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_activity_and_progress() {
        let board = Board::create(2).unwrap();
        assert_eq!(board.get(1), (Activity::Starting, 0));
        board.set(1, Activity::Iterating);
        assert_eq!(board.get(1), (Activity::Iterating, 1));
        board.beat(1);
        assert_eq!(board.get(1), (Activity::Iterating, 2));
        assert_eq!(board.get(0), (Activity::Starting, 0));
        assert!(!board.aborted());
        board.abort();
        assert!(board.aborted());
    }
}
