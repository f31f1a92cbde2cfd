//! How far reading has come: counters that a display may look at while others read, and a word to stop.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Bytes read so far, over all inputs of a run.
#[derive(Debug, Default)]
pub struct Progress {
    file_bytes: AtomicU64,
    json_bytes: AtomicU64,
    is_cancelled: AtomicBool,
}

impl Progress {
    /// Bytes of the files themselves (compressed, where they are).
    pub fn file_bytes(&self) -> u64 {
        self.file_bytes.load(Ordering::Relaxed)
    }

    /// Bytes of decompressed text.
    pub fn json_bytes(&self) -> u64 {
        self.json_bytes.load(Ordering::Relaxed)
    }

    /// Ends the reading: whoever wants further bytes of a file gets an error instead.
    pub fn cancel(&self) {
        self.is_cancelled.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.is_cancelled.load(Ordering::Relaxed)
    }

    pub(super) fn add_file_bytes(&self, n: u64) {
        self.file_bytes.fetch_add(n, Ordering::Relaxed);
    }

    /// Counts bytes no longer, which are read again.
    pub(super) fn forget_file_bytes(&self, n: u64) {
        self.file_bytes.fetch_sub(n, Ordering::Relaxed);
    }

    pub(super) fn add_json_bytes(&self, n: u64) {
        self.json_bytes.fetch_add(n, Ordering::Relaxed);
    }
}
