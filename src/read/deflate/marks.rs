//! Places in a stream from which on it can be inflated without what stands before, as whoever inflates it notes them.

use super::expand::WINDOW;

/// A place in a stream that lies in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    /// The bit of the file where a block begins.
    pub(in crate::read) bit: u64,
    /// How much text comes before.
    pub(in crate::read) offset: u64,
    /// The end of that, as much as may be copied.
    pub(super) window: Box<[u8]>,
}

impl Mark {
    /// The start of a stream at an offset of a file.
    pub(in crate::read) fn start(at: u64) -> Self {
        Self { bit: at * 8, offset: 0, window: Box::default() }
    }
}

/// Places that are noted, not too near to each other. Of blocks that begin in one piece of text the last is: text that is wanted apart
/// begins where a piece does.
pub(in crate::read) struct Marks {
    noted: Vec<Mark>,
    /// The last block of the piece that is made now.
    last: Option<Mark>,
    /// Text from one to the next, at least.
    step: u64,
}

impl Marks {
    /// None yet but the start of a stream at an offset of a file.
    pub(in crate::read) fn new(start: u64, step: u64) -> Self {
        Self { noted: vec![Mark::start(start)], last: None, step }
    }

    /// The bit of the file from which on blocks are wanted behind so much text; `None` where it is too near.
    pub(in crate::read) fn next(&self, offset: u64) -> Option<u64> {
        let is_far = self.noted.last().is_none_or(|noted| offset - noted.offset >= self.step);
        is_far.then(|| self.last.as_ref().map_or(0, |last| last.bit + 1))
    }

    /// Takes a block that is wanted, behind text that ends so.
    pub(in crate::read) fn take(&mut self, (bit, offset): (u64, u64), before: &[u8]) {
        let window = before[before.len().saturating_sub(WINDOW)..].into();
        self.last = Some(Mark { bit, offset, window });
    }

    /// Notes the last block of a piece that is made.
    pub(in crate::read) fn end_piece(&mut self) {
        self.noted.extend(self.last.take());
    }

    /// All that were noted, in order.
    pub(in crate::read) fn into_all(self) -> Vec<Mark> {
        self.noted
    }
}
