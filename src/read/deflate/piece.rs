//! A piece of a deflate stream that lies in a file: found, and decoded as far as this goes without what comes before it.

use std::fs::File;
use std::io;

use super::decode::{Decoder, Stop};
use super::search::find_block;
use super::tokens::Tokens;
use crate::model::limits::PIECE_BYTES;
use crate::read::file_at::read_at;

/// Bytes behind a piece in which the block may end that is cut by its end.
const BEHIND: usize = PIECE_BYTES / 2;

/// Zeros behind the last byte of a file, which the decoder may look at.
pub(super) const PADDING: usize = 64;

/// So many tokens are decoded only from where a stream really is.
const SURE_TOKENS: usize = 1 << 10;

/// Bytes of a file.
#[derive(Debug, Default)]
pub(in crate::read) struct Bytes {
    bytes: Vec<u8>,
    /// Offset in the file of the first.
    start: u64,
    /// How many of them are the file's.
    n: usize,
    is_end: bool,
}

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

impl Bytes {
    /// Reads what a piece wants from a bit on.
    fn read(&mut self, file: &File, from: u64) -> io::Result<()> {
        self.start = from / 8;
        self.bytes.resize(PIECE_BYTES + BEHIND + PADDING, 0);
        let room = &mut self.bytes[..PIECE_BYTES + BEHIND];
        self.n = read_at(file, room, self.start)?;
        self.is_end = self.n < room.len();
        self.bytes[self.n..][..PADDING].fill(0);
        Ok(())
    }

    /// What the decoder may look at.
    fn seen(&self) -> &[u8] {
        &self.bytes[..self.n + if self.is_end { PADDING } else { 0 }]
    }

    /// A bit of the file as one of these bytes.
    fn bit(&self, position: u64) -> usize {
        let bit = position.saturating_sub(self.start * 8);
        usize::try_from(bit).map_or(usize::MAX, |bit| bit.min(self.seen().len() * 8))
    }
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
        bytes.read(file, from)?;
        let end = bytes.bit(until);
        let mut at = bytes.bit(from);
        self.start = None;
        while let Some(found) = find_block(bytes.seen(), at, end, self.decoder.codes()) {
            self.begin(bytes.start * 8 + found as u64);
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
        bytes.read(file, self.end)?;
        self.start = Some(self.end);
        self.decode(bytes, until);
        Ok(())
    }

    fn decode(&mut self, bytes: &Bytes, until: u64) {
        self.tokens.clear();
        let from = bytes.bit(self.end);
        let (stop, end) = self.decoder.run(bytes.seen(), from, bytes.bit(until), &mut self.tokens);
        self.end = bytes.start * 8 + end as u64;
        let is_cut = bytes.is_end && (stop == Stop::Input || end > bytes.n * 8);
        // A block that does not even begin in so much is none.
        self.stop = if is_cut || end == from && stop == Stop::Input { Stop::Broken } else { stop };
    }
}
