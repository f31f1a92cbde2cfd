//! Memory that waits to be used again: it is neither given back to the system nor cleared between, which would bring it back page by
//! page.

use std::sync::{Mutex, PoisonError};

/// Things of one kind that wait to be used again, by any thread.
#[derive(Debug)]
pub(crate) struct Spare<T> {
    free: Mutex<Vec<T>>,
}

impl<T> Default for Spare<T> {
    fn default() -> Self {
        Self { free: Mutex::new(Vec::new()) }
    }
}

impl<T> Spare<T> {
    /// One of them, where one is free.
    pub(crate) fn take(&self) -> Option<T> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    /// Keeps one that is done with.
    pub(crate) fn give(&self, one: T) {
        self.free.lock().unwrap_or_else(PoisonError::into_inner).push(one);
    }
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
