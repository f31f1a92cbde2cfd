//! Memory of blocks that were written, for the blocks after them: it is neither given back to the system nor cleared between.

use std::sync::{Mutex, PoisonError};

use super::gzip::BlockCompressor;

/// Things of one kind that wait to be used again.
#[derive(Debug)]
pub(super) struct Spare<T> {
    free: Mutex<Vec<T>>,
}

impl<T> Default for Spare<T> {
    fn default() -> Self {
        Self { free: Mutex::new(Vec::new()) }
    }
}

impl<T> Spare<T> {
    /// One of them, where one is free.
    pub(super) fn take(&self) -> Option<T> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    /// Keeps one that is done with.
    pub(super) fn give(&self, one: T) {
        self.free.lock().unwrap_or_else(PoisonError::into_inner).push(one);
    }
}

/// What the blocks of all sources of a file are written with.
#[derive(Default)]
pub(super) struct Spares {
    /// Memory for text, of which what it holds means nothing.
    pub(super) texts: Spare<Vec<u8>>,
    /// The same for compressed text.
    pub(super) compressed: Spare<Vec<u8>>,
    pub(super) compressors: Spare<BlockCompressor>,
}

#[cfg(test)]
mod tests {
    use super::Spare;

    #[test]
    fn what_was_given_is_taken_once() {
        let spare = Spare::default();
        assert_eq!(spare.take(), None);
        spare.give(7);
        assert_eq!((spare.take(), spare.take()), (Some(7), None));
    }
}
