//! A piece of a deflate stream that lies in a file: found, and decoded as far as this goes without what comes before it.

use std::fs::File;
use std::io;

use super::bytes::Bytes;
use super::decode::{Decoder, Stop};
use super::search::find_block;
use super::tokens::Tokens;
use crate::model::limits::PIECE_BYTES;

/// Bytes behind a piece in which the block may end that is cut by its end.
const BEHIND: usize = PIECE_BYTES / 2;

/// So many tokens are decoded only from where a stream really is.
const SURE_TOKENS: usize = 1 << 10;

/// What was decoded of a stream.
#[derive(Debug)]
pub(in crate::read) struct Piece {
    pub(in crate::read) tokens: Tokens,
    decoder: Box<Decoder>,
    /// The bit of the file where it begins; `None` where nothing was found.
    pub(in crate::read) start: Option<u64>,
    /// The bit where it ends.
    pub(in crate::read) end: u64,
    pub(in crate::read) stop: Stop,
}

impl Piece {
    pub(in crate::read) fn new() -> Self {
        let decoder = Box::new(Decoder::new());
        Self { tokens: Tokens::default(), decoder, start: None, end: 0, stop: Stop::Boundary }
    }

    /// Whether it ends between two blocks.
    pub(in crate::read) fn is_between(&self) -> bool {
        self.decoder.is_between()
    }

    /// Begins at the start of a stream.
    pub(in crate::read) fn begin(&mut self, at: u64) {
        (self.start, self.end, self.stop) = (Some(at), at, Stop::Boundary);
        self.tokens.clear();
        self.decoder.restart();
    }

    /// Looks for a block from a bit of the file on and before `until`, and decodes up to the first one that begins there or behind.
    ///
    /// # Errors
    ///
    /// Where the file cannot be read.
    pub(in crate::read) fn find(
        &mut self,
        file: &File,
        bytes: &mut Bytes,
        from: u64,
        until: u64,
    ) -> io::Result<()> {
        bytes.read(file, from, PIECE_BYTES + BEHIND)?;
        let end = bytes.bit(until);
        let mut at = bytes.bit(from);
        self.start = None;
        while let Some(found) = find_block(bytes.seen(), at, end, self.decoder.codes()) {
            self.begin(bytes.position(found));
            self.decode(bytes, until);
            if self.stop != Stop::Broken || self.tokens.tokens.len() >= SURE_TOKENS {
                return Ok(());
            }
            self.start = None;
            at = found + 1;
        }
        Ok(())
    }

    /// Decodes on from where it ended, instead of what it held.
    ///
    /// # Errors
    ///
    /// Where the file cannot be read.
    pub(in crate::read) fn go_on(
        &mut self,
        file: &File,
        bytes: &mut Bytes,
        until: u64,
    ) -> io::Result<()> {
        bytes.read(file, self.end, PIECE_BYTES + BEHIND)?;
        self.start = Some(self.end);
        self.decode(bytes, until);
        Ok(())
    }

    fn decode(&mut self, bytes: &Bytes, until: u64) {
        self.tokens.clear();
        let from = bytes.bit(self.end);
        let (stop, end) = self.decoder.run(bytes.seen(), from, bytes.bit(until), &mut self.tokens);
        self.end = bytes.position(end);
        // A block that does not even begin in so much is none.
        let is_none = end == from && stop == Stop::Input;
        self.stop = if is_none || bytes.is_cut(stop, end) { Stop::Broken } else { stop };
    }
}
