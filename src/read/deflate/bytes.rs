//! Bytes of a deflate stream, some at a time.

use std::fs::File;
use std::io;

use super::decode::Stop;
use crate::read::file_at::read_at;

/// Zeros behind the last byte of a file, which the decoder may look at.
pub(super) const PADDING: usize = 64;

/// Where bytes are read from.
pub(in crate::read) trait ReadAt {
    /// Reads at an offset: all that there is room for but at the end.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize>;
}

impl ReadAt for File {
    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        read_at(self, into, offset)
    }
}

#[cfg(feature = "rooms")]
impl ReadAt for [u8] {
    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        let rest = &self[self.len().min(offset as usize)..];
        let n = rest.len().min(into.len());
        into[..n].copy_from_slice(&rest[..n]);
        Ok(n)
    }
}

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

impl Bytes {
    /// Reads so many from a bit on.
    ///
    /// # Errors
    ///
    /// Where the file cannot be read.
    pub(super) fn read(
        &mut self,
        file: &(impl ReadAt + ?Sized),
        from: u64,
        n: usize,
    ) -> io::Result<()> {
        self.start = from / 8;
        self.bytes.resize(n + PADDING, 0);
        let room = &mut self.bytes[..n];
        self.n = file.read_at(room, self.start)?;
        self.is_end = self.n < room.len();
        self.bytes[self.n..][..PADDING].fill(0);
        Ok(())
    }

    /// What the decoder may look at.
    pub(super) fn seen(&self) -> &[u8] {
        &self.bytes[..self.n + if self.is_end { PADDING } else { 0 }]
    }

    /// A bit of the file as one of these bytes.
    pub(super) fn bit(&self, position: u64) -> usize {
        let bit = position.saturating_sub(self.start * 8);
        usize::try_from(bit).map_or(usize::MAX, |bit| bit.min(self.seen().len() * 8))
    }

    /// The bit of the file that a bit of these bytes is.
    pub(super) fn position(&self, bit: usize) -> u64 {
        self.start * 8 + bit as u64
    }

    /// Whether the file ends before what stopped at a bit could be decoded.
    pub(super) fn is_cut(&self, stop: Stop, end: usize) -> bool {
        self.is_end && (stop == Stop::Input || end > self.n * 8)
    }
}
