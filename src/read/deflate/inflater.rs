//! A stream inflated by one thread, into whatever place there is.
//!
//! Text is made where it is wanted as soon as all that it may refer to stands there, too. What comes first in a place, and at its end, is made
//! in a room of its own, behind a copy of what came before.

use std::io;

use super::bytes::{Bytes, ReadAt};
use super::decode::{Decoder, Stop};
use super::expand::WINDOW;
use super::joined::Joined;
use super::marks::{Mark, Marks};
use super::straight::{ROOM, Straight};

/// A stream that is inflated.
pub(in crate::read) struct Inflater {
    decoder: Box<Decoder>,
    joined: Box<Joined>,
    bytes: Bytes,
    /// Bytes that are read at a time.
    n_at_once: usize,
    /// The bit of the file that comes next.
    end: u64,
    is_over: bool,
    /// Text that was given, up to [`WINDOW`] of it, and what was made behind it.
    room: Vec<u8>,
    n_given: usize,
    n_made: usize,
    /// All text up to the end of what was made.
    n_text: u64,
    /// Places to begin at later, where somebody wants them.
    marks: Option<Marks>,
}

impl Inflater {
    /// One that reads so many bytes at a time, once it is begun.
    pub(in crate::read) fn new(n_at_once: usize) -> Self {
        Self {
            decoder: Box::new(Decoder::new()),
            joined: Box::new(Joined::new()),
            bytes: Bytes::default(),
            n_at_once,
            end: 0,
            is_over: true,
            room: vec![0; 2 * WINDOW + ROOM],
            n_given: 0,
            n_made: 0,
            n_text: 0,
            marks: None,
        }
    }

    /// Begins at a place in a file.
    ///
    /// # Errors
    ///
    /// Where the file cannot be read.
    pub(in crate::read) fn begin(
        &mut self,
        file: &(impl ReadAt + ?Sized),
        mark: &Mark,
    ) -> io::Result<()> {
        self.decoder.restart();
        (self.end, self.n_text, self.is_over) = (mark.bit, mark.offset, false);
        let n_before = mark.window.len();
        self.room[..n_before].copy_from_slice(&mark.window);
        (self.n_given, self.n_made) = (n_before, n_before);
        self.bytes.read(file, self.end, self.n_at_once)
    }

    /// Notes places to begin at later, from where it stands on.
    pub(in crate::read) fn keep_marks(&mut self, marks: Marks) {
        self.marks = Some(marks);
    }

    /// Those places.
    pub(in crate::read) fn take_marks(&mut self) -> Option<Marks> {
        self.marks.take()
    }

    /// Writes text to the start of `out`. Gives how much: less than there is room for where the stream ended. `None` where anything is
    /// odd.
    ///
    /// Behind what was given there is more text, or the end of the stream.
    pub(in crate::read) fn fill(
        &mut self,
        file: &(impl ReadAt + ?Sized),
        out: &mut [u8],
    ) -> Option<usize> {
        let mut filled = 0;
        loop {
            filled += self.give(&mut out[filled..]);
            if self.is_over || self.n_given < self.n_made {
                self.marks.iter_mut().for_each(Marks::end_piece);
                return Some(filled);
            }
            let n_left = out.len() - filled;
            if filled >= WINDOW && n_left >= ROOM {
                filled = self.make(file, out, filled)?;
                self.room[..WINDOW].copy_from_slice(&out[filled - WINDOW..filled]);
                (self.n_given, self.n_made) = (WINDOW, WINDOW);
            } else {
                let to_window = WINDOW.checked_sub(filled).filter(|&n| n > 0).unwrap_or(n_left);
                self.make_apart(file, n_left.min(to_window))?;
            }
        }
    }

    /// Whether all text was given.
    pub(in crate::read) fn is_done(&self) -> bool {
        self.is_over && self.n_given == self.n_made
    }

    /// The bit of the file where it stands.
    pub(in crate::read) fn end(&self) -> u64 {
        self.end
    }

    /// Gives what was made apart.
    fn give(&mut self, out: &mut [u8]) -> usize {
        let made = &self.room[self.n_given..self.n_made];
        let n = made.len().min(out.len());
        out[..n].copy_from_slice(&made[..n]);
        self.n_given += n;
        n
    }

    /// Makes more than `n` bytes of text apart, or all that there is. All that was made there was given.
    fn make_apart(&mut self, file: &(impl ReadAt + ?Sized), n: usize) -> Option<()> {
        if self.n_made + n + ROOM > self.room.len() {
            self.room.copy_within(self.n_made - WINDOW..self.n_made, 0);
            (self.n_given, self.n_made) = (WINDOW, WINDOW);
        }
        let mut room = std::mem::take(&mut self.room);
        let made = self.make(file, &mut room[..self.n_made + n + ROOM], self.n_made);
        self.room = room;
        self.n_made = made?;
        Some(())
    }

    /// Makes text behind the first `at` bytes of a place, until there is no room for a step or the stream ended. Gives where it ends.
    fn make(&mut self, file: &(impl ReadAt + ?Sized), text: &mut [u8], at: usize) -> Option<usize> {
        let before = self.n_text - at as u64;
        let mut straight = Straight { joined: &mut self.joined, text, at };
        loop {
            let from = self.bytes.bit(self.end);
            let wanted = self.marks.as_ref().and_then(|marks| marks.next(self.n_text));
            let until = wanted.map_or(usize::MAX, |bit| self.bytes.bit(bit));
            let (stop, end) = self.decoder.run(self.bytes.seen(), from, until, &mut straight);
            if self.bytes.is_cut(stop, end) {
                return None;
            }
            // What does not even begin in so much is nothing.
            let is_none = end < 8 && stop == Stop::Input;
            self.end = self.bytes.position(end);
            self.n_text = before + straight.at as u64;
            match (stop, &mut self.marks) {
                (Stop::Input, _) if !is_none => {
                    self.bytes.read(file, self.end, self.n_at_once).ok()?;
                }
                (Stop::Boundary, Some(marks)) => {
                    marks.take((self.end, self.n_text), &straight.text[..straight.at]);
                }
                (Stop::Full, _) => return Some(straight.at),
                (Stop::End, _) => {
                    self.is_over = true;
                    return Some(straight.at);
                }
                (Stop::Input | Stop::Boundary | Stop::Broken, _) => return None,
            }
        }
    }
}
