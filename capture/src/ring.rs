//! A shared-memory broadcast ring: one writer, several readers, each message to all of them.
//!
//! Works as vLLM's `shm_broadcast` does: fixed chunks with a written flag and one read flag a reader; a side that has
//! to wait spins for a while, then blocks (here on a futex) and re-checks now and then. It moves bytes and must not
//! know what they mean; waiting in the large (gates, aborts, annotations) is `handoff`'s.

use std::io;
use std::os::fd::RawFd;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::ffi::{SharedMemory, futex_wait, futex_wake_all};

/// Counts chunks published; readers block on it.
const PUBLISHED: usize = 0;
/// Counts chunks read; the writer blocks on it. A cache line away from the other.
const CONSUMED: usize = 64;
const CHUNKS_START: usize = 128;

// A chunk's header: flags and sizes as words, then one read flag a reader.
const WRITTEN: usize = 0;
const LEN: usize = 4;
const MORE: usize = 8;
const READ_FLAGS: usize = 12;
const ALIGN: usize = 64;

/// Spinning before blocking, as in vLLM.
pub const BUSY_LOOP: Duration = Duration::from_secs(1);
/// Longest a spinning side goes without looking at gates and aborts.
const SPIN_TICK: Duration = Duration::from_micros(500);
/// Longest a blocked side sleeps without looking at gates and aborts.
const BLOCK_TICK: Duration = Duration::from_millis(20);
/// Spins between two readings of the clock.
const SPINS_PER_CLOCK: u32 = 16;

/// The shape of a ring; both sides must agree on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RingShape {
    /// Payload bytes of a chunk; longer messages take several chunks.
    pub chunk_bytes: usize,
    /// Chunks in the ring.
    pub chunks: usize,
    /// Readers; each gets every message.
    pub readers: usize,
}

impl RingShape {
    fn header(self) -> usize {
        (READ_FLAGS + 4 * self.readers).next_multiple_of(ALIGN)
    }

    fn stride(self) -> usize {
        self.header() + self.chunk_bytes.next_multiple_of(ALIGN)
    }

    /// Bytes of shared memory it takes.
    pub fn bytes(self) -> usize {
        CHUNKS_START + self.chunks * self.stride()
    }

    fn chunk(self, index: usize) -> usize {
        CHUNKS_START + (index % self.chunks) * self.stride()
    }
}

/// How a turn of waiting ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// There is something to do.
    Ready,
    /// Nothing yet: look at gates and aborts, then wait again.
    Tick,
}

/// What a waiting side does at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Yields in a loop.
    Spinning,
    /// Sleeps until woken.
    Blocked,
}

/// The state of one wait: spins first, blocks later.
#[derive(Debug)]
pub struct Waiter {
    since: Instant,
}

impl Waiter {
    /// A wait that begins now.
    pub fn new() -> Self {
        Self { since: Instant::now() }
    }

    /// What the next turn will do.
    pub fn phase(&self) -> Phase {
        if self.since.elapsed() < BUSY_LOOP { Phase::Spinning } else { Phase::Blocked }
    }

    fn turn(
        &self,
        memory: &SharedMemory,
        word: usize,
        ready: impl Fn() -> bool,
        mut on_spin: impl FnMut(),
    ) -> Turn {
        let word = memory.word(word);
        if self.phase() == Phase::Blocked {
            let seen = word.load(Acquire);
            if !ready() {
                futex_wait(word, seen, BLOCK_TICK);
            }
            return if ready() { Turn::Ready } else { Turn::Tick };
        }
        let began = Instant::now();
        loop {
            for _ in 0..SPINS_PER_CLOCK {
                if ready() {
                    return Turn::Ready;
                }
                on_spin();
                std::thread::yield_now();
            }
            if began.elapsed() >= SPIN_TICK {
                return Turn::Tick;
            }
        }
    }
}

impl Default for Waiter {
    fn default() -> Self {
        Self::new()
    }
}

/// The writing side.
#[derive(Debug)]
pub struct Writer {
    memory: SharedMemory,
    shape: RingShape,
    next: usize,
}

impl Writer {
    /// Creates the ring's memory and its writing side.
    pub fn create(shape: RingShape) -> io::Result<Self> {
        let memory = SharedMemory::create("omni-trace-ring", shape.bytes())?;
        Ok(Self { memory, shape, next: 0 })
    }

    /// The writing side over memory that the parent created.
    pub fn open(fd: RawFd, shape: RingShape) -> io::Result<Self> {
        Ok(Self { memory: SharedMemory::open(fd, shape.bytes())?, shape, next: 0 })
    }

    /// The descriptor to pass to the readers.
    pub fn raw_fd(&self) -> RawFd {
        self.memory.raw_fd()
    }

    fn can_write(&self) -> bool {
        let chunk = self.shape.chunk(self.next);
        self.memory.word(chunk + WRITTEN).load(Acquire) == 0
            || (0..self.shape.readers)
                .all(|r| self.memory.word(chunk + READ_FLAGS + 4 * r).load(Acquire) == 1)
    }

    /// Writes as many chunks of `message` as there is room for, from `*done` on; true when all of it is written.
    pub fn try_write(&mut self, message: &[u8], done: &mut usize) -> bool {
        while self.can_write() {
            let part = &message[*done..(*done + self.shape.chunk_bytes).min(message.len())];
            *done += part.len();
            let more = *done < message.len();
            let chunk = self.shape.chunk(self.next);
            let memory = &self.memory;
            memory.word(chunk + WRITTEN).store(0, Relaxed);
            for r in 0..self.shape.readers {
                memory.word(chunk + READ_FLAGS + 4 * r).store(0, Relaxed);
            }
            memory.word(chunk + LEN).store(part.len() as u32, Relaxed);
            memory.word(chunk + MORE).store(more.into(), Relaxed);
            memory.write(chunk + self.shape.header(), part);
            memory.word(chunk + WRITTEN).store(1, Release);
            self.next += 1;
            let published = memory.word(PUBLISHED);
            published.fetch_add(1, Release);
            futex_wake_all(published);
            if !more {
                return true;
            }
        }
        false
    }

    /// Waits a little for room.
    pub fn wait(&self, waiter: &Waiter, on_spin: impl FnMut()) -> Turn {
        waiter.turn(&self.memory, CONSUMED, || self.can_write(), on_spin)
    }
}

/// One reading side.
#[derive(Debug)]
pub struct Reader {
    memory: SharedMemory,
    shape: RingShape,
    index: usize,
    next: usize,
}

impl Reader {
    /// Reader number `index` over memory that the parent created.
    pub fn open(fd: RawFd, shape: RingShape, index: usize) -> io::Result<Self> {
        Ok(Self { memory: SharedMemory::open(fd, shape.bytes())?, shape, index, next: 0 })
    }

    /// Creates the ring's memory and reader number `index`.
    pub fn create(shape: RingShape, index: usize) -> io::Result<Self> {
        let memory = SharedMemory::create("omni-trace-ring", shape.bytes())?;
        Ok(Self { memory, shape, index, next: 0 })
    }

    /// The descriptor to pass to the other sides.
    pub fn raw_fd(&self) -> RawFd {
        self.memory.raw_fd()
    }

    fn can_read(&self) -> bool {
        let chunk = self.shape.chunk(self.next);
        self.memory.word(chunk + WRITTEN).load(Acquire) == 1
            && self.memory.word(chunk + READ_FLAGS + 4 * self.index).load(Acquire) == 0
    }

    /// Appends the chunks that are there to `message`; true when the message is complete.
    pub fn try_read(&mut self, message: &mut Vec<u8>) -> bool {
        while self.can_read() {
            let chunk = self.shape.chunk(self.next);
            let memory = &self.memory;
            let len = memory.word(chunk + LEN).load(Relaxed) as usize;
            let more = memory.word(chunk + MORE).load(Relaxed) != 0;
            let start = message.len();
            message.resize(start + len.min(self.shape.chunk_bytes), 0);
            memory.read(chunk + self.shape.header(), &mut message[start..]);
            memory.word(chunk + READ_FLAGS + 4 * self.index).store(1, Release);
            self.next += 1;
            let consumed = memory.word(CONSUMED);
            consumed.fetch_add(1, Release);
            futex_wake_all(consumed);
            if !more {
                return true;
            }
        }
        false
    }

    /// Waits a little for a chunk.
    pub fn wait(&self, waiter: &Waiter, on_spin: impl FnMut()) -> Turn {
        waiter.turn(&self.memory, PUBLISHED, || self.can_read(), on_spin)
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::RawFd;

    use super::*;

    fn duplicate(fd: RawFd) -> RawFd {
        use std::os::fd::IntoRawFd;
        std::fs::File::open(format!("/proc/self/fd/{fd}"))
            .map(|_| {
                std::fs::OpenOptions::new()
                    .read(true)
                    .write(true)
                    .open(format!("/proc/self/fd/{fd}"))
                    .unwrap()
                    .into_raw_fd()
            })
            .unwrap()
    }

    #[test]
    fn every_reader_gets_every_message_whole_and_in_order() {
        let shape = RingShape { chunk_bytes: 100, chunks: 3, readers: 2 };
        let mut writer = Writer::create(shape).unwrap();
        let readers: Vec<_> = (0..2)
            .map(|i| Reader::open(duplicate(writer.raw_fd()), shape, i).unwrap())
            .map(|mut reader| {
                std::thread::spawn(move || {
                    for n in 0..50u8 {
                        let (mut message, waiter) = (Vec::new(), Waiter::new());
                        while !reader.try_read(&mut message) {
                            reader.wait(&waiter, || {});
                        }
                        assert_eq!(message, vec![n; usize::from(n) * 7]);
                    }
                })
            })
            .collect();
        for n in 0..50u8 {
            let (mut done, waiter) = (0, Waiter::new());
            while !writer.try_write(&vec![n; usize::from(n) * 7], &mut done) {
                writer.wait(&waiter, || {});
            }
        }
        readers.into_iter().for_each(|r| r.join().unwrap());
    }

    #[test]
    fn a_full_ring_refuses_and_a_wait_ticks() {
        let shape = RingShape { chunk_bytes: 8, chunks: 2, readers: 1 };
        let mut writer = Writer::create(shape).unwrap();
        let mut done = 0;
        assert!(!writer.try_write(&[1; 20], &mut done));
        assert_eq!(done, 16);
        let mut spins = 0;
        assert_eq!(writer.wait(&Waiter::new(), || spins += 1), Turn::Tick);
        assert!(spins >= SPINS_PER_CLOCK);
        let mut reader = Reader::open(duplicate(writer.raw_fd()), shape, 0).unwrap();
        let mut message = Vec::new();
        assert!(!reader.try_read(&mut message));
        assert!(writer.try_write(&[1; 20], &mut done));
        assert!(reader.try_read(&mut message));
        assert_eq!(message, [1; 20]);
    }
}
