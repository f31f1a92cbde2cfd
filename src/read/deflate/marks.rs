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

/// Places that are noted, not too near to each other.
pub(in crate::read) struct Marks {
    noted: Vec<Mark>,
    /// Text from one to the next, at least: some, because there are blocks without any.
    step: u64,
}

impl Marks {
    /// None yet but the start of a stream at an offset of a file.
    pub(in crate::read) fn new(start: u64, step: u64) -> Self {
        Self { noted: vec![Mark::start(start)], step }
    }

    /// Whether a block that begins behind so much text is to be noted.
    pub(in crate::read) fn is_next(&self, offset: u64) -> bool {
        self.noted.last().is_none_or(|last| offset - last.offset >= self.step)
    }

    /// Notes a block behind text that ends so.
    pub(in crate::read) fn note(&mut self, (bit, offset): (u64, u64), before: &[u8]) {
        let window = before[before.len().saturating_sub(WINDOW)..].into();
        self.noted.push(Mark { bit, offset, window });
    }

    /// All of them, in order.
    pub(in crate::read) fn into_all(self) -> Vec<Mark> {
        self.noted
    }
}
