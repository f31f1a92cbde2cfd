//! The text of blocks, in memory that is used again: what a block leaves behind takes the text of a later one, without being given
//! back to the system and without being cleared.
//!
//! Knows nothing of what the text is.

use std::io;
use std::ops::Deref;

use crate::model::Spare;

/// Text at the start of a piece of memory; what stands behind it was left there and means nothing.
#[derive(Debug, Default)]
pub(super) struct Text {
    memory: Vec<u8>,
    len: usize,
}

impl Deref for Text {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.memory[..self.len]
    }
}

impl From<Vec<u8>> for Text {
    fn from(memory: Vec<u8>) -> Self {
        Self { len: memory.len(), memory }
    }
}

impl Text {
    /// Appends what a source writes into up to `limit` bytes; it sees what stands before. Gives how many.
    pub(super) fn fill(
        &mut self,
        limit: usize,
        source: impl FnOnce(&[u8], &mut [u8]) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let end = self.len + limit;
        if self.memory.len() < end {
            self.memory.resize(end, 0);
        }
        let (before, place) = self.memory[..end].split_at_mut(self.len);
        let n = source(before, place)?;
        self.len += n;
        Ok(n)
    }

    /// Lets something append that wants a vector.
    pub(super) fn grow<T>(&mut self, append: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        self.memory.truncate(self.len);
        let given = append(&mut self.memory);
        self.len = self.memory.len();
        given
    }

    /// Appends bytes.
    pub(super) fn extend_from_slice(&mut self, more: &[u8]) {
        let end = self.len + more.len();
        match self.memory.get_mut(self.len..end) {
            Some(place) => {
                place.copy_from_slice(more);
                self.len = end;
            }
            None => self.grow(|memory| memory.extend_from_slice(more)),
        }
    }

    /// Leaves the first bytes.
    pub(super) fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// Takes the first bytes away.
    pub(super) fn remove_start(&mut self, n: usize) {
        self.memory.copy_within(n..self.len, 0);
        self.len -= n;
    }
}

/// Memory that waits for the text of another block.
#[derive(Debug, Default)]
pub(super) struct Texts(Spare<Text>);

impl Texts {
    /// An empty text.
    pub(super) fn take(&self) -> Text {
        let mut text = self.0.take().unwrap_or_default();
        text.truncate(0);
        text
    }

    /// Keeps the memory of a text that is done with.
    pub(super) fn give(&self, text: Text) {
        if !text.memory.is_empty() {
            self.0.give(text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Text, Texts};

    #[test]
    fn what_was_left_in_the_memory_is_never_seen() {
        let texts = Texts::default();
        let mut text = Text::from(b"left behind".to_vec());
        text.remove_start(5);
        assert_eq!(&*text, b"behind");
        texts.give(text);
        let mut text = texts.take();
        assert_eq!(&*text, b"");
        let source = |before: &[u8], place: &mut [u8]| {
            assert_eq!(before, b"");
            place[..2].copy_from_slice(b"ab");
            Ok(2)
        };
        assert_eq!(text.fill(4, source).expect("a source without errors"), 2);
        text.extend_from_slice(b"cd");
        assert_eq!(&*text, b"abcd");
        text.truncate(3);
        text.grow(|memory| memory.extend_from_slice(b"efghijklmnop"));
        assert_eq!(&*text, b"abcefghijklmnop");
    }
}
