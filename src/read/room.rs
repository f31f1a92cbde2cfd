//! How many blocks may be on the way from where they are cut to where they are joined.
//!
//! Where a worker is not run for a while, what others have read behind its block waits for it, without an end if nobody stopped.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Places for things on the way.
#[derive(Debug)]
pub(super) struct Room {
    /// Places that are left; `None` once nothing arrives any more.
    left: Mutex<Option<usize>>,
    changed: Condvar,
}

/// Whether there was a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entered {
    Yes,
    IsFull,
    IsClosed,
}

/// Closes a room when it goes out of scope, also in a panic: held by those without whom nothing arrives.
pub(super) struct Closes<'r>(pub(super) &'r Room);

impl Room {
    pub(super) fn new(n_places: usize) -> Self {
        Self { left: Mutex::new(Some(n_places)), changed: Condvar::new() }
    }

    /// Takes a place where there is one.
    pub(super) fn enter(&self) -> Entered {
        match &mut *self.left() {
            None => Entered::IsClosed,
            Some(0) => Entered::IsFull,
            Some(left) => {
                *left -= 1;
                Entered::Yes
            }
        }
    }

    /// Waits for a place, or for the end.
    pub(super) fn wait(&self) {
        drop(self.changed.wait_while(self.left(), |left| *left == Some(0)));
    }

    /// Gives a place back.
    pub(super) fn leave(&self) {
        let mut left = self.left();
        *left = left.map(|n| n + 1);
        self.changed.notify_one();
    }

    fn left(&self) -> MutexGuard<'_, Option<usize>> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Closes<'_> {
    fn drop(&mut self) {
        *self.0.left() = None;
        self.0.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{TryRecvError, channel};
    use std::time::Duration;

    use super::{Closes, Entered, Room};

    #[test]
    fn who_waits_is_told_of_a_place() {
        let room = Room::new(2);
        let entered = [room.enter(), room.enter(), room.enter()];
        assert_eq!(entered, [Entered::Yes, Entered::Yes, Entered::IsFull]);
        let (waited, seen) = channel();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                room.wait();
                waited.send(room.enter()).unwrap();
            });
            std::thread::sleep(Duration::from_millis(20));
            assert_eq!(seen.try_recv(), Err(TryRecvError::Empty));
            room.leave();
            assert_eq!(seen.recv(), Ok(Entered::Yes));
        });
    }

    #[test]
    fn nobody_waits_in_a_closed_room() {
        let room = Room::new(0);
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| room.wait());
            let panics = scope.spawn(|| {
                let _closes = Closes(&room);
                panic!("a worker that panics");
            });
            assert!(panics.join().is_err());
            waits.join().unwrap();
        });
        assert_eq!(room.enter(), Entered::IsClosed);
    }
}
