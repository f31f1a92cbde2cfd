//! Memory of blocks that were written, for the blocks after them: it is neither given back to the system nor cleared between.

use super::gzip::BlockCompressor;
use crate::model::Spare;
use crate::model::limits::BLOCK_BYTES;

/// What the blocks of all sources of a file are written with.
#[derive(Default)]
pub(super) struct Spares {
    texts: Spare<Vec<u8>>,
    /// Memory for compressed text, of which what it holds means nothing.
    pub(super) compressed: Spare<Vec<u8>>,
    pub(super) compressors: Spare<BlockCompressor>,
}

impl Spares {
    /// Memory for the text of a block.
    pub(super) fn text(&self) -> Vec<u8> {
        // A little more than a block of input, which is rarely exceeded.
        let mut text = self.texts.take().unwrap_or_else(|| Vec::with_capacity(BLOCK_BYTES * 9 / 8));
        text.clear();
        text
    }

    /// Keeps the memory of a text that is done with, if it has any.
    pub(super) fn give_text(&self, text: Vec<u8>) {
        if text.capacity() > 0 {
            self.texts.give(text);
        }
    }
}
