//! The bytes of an input as they lie in the file, with a look ahead.
//!
//! Files are read and not mapped: one that is cut short meanwhile then ends early instead of ending the program.

use std::io::{self, BufRead, Read};
use std::sync::Arc;

use super::Progress;

/// Bytes read at a time, and as far as one can look ahead.
pub(super) const LOOK_AHEAD: usize = 1 << 18;

/// Bytes that were taken and can be gone back to.
const KEPT: usize = 1 << 16;

/// Bytes of a file, counted as they are taken.
pub(super) struct Raw {
    inner: Box<dyn Read + Send>,
    progress: Arc<Progress>,
    buffer: Vec<u8>,
    at: usize,
    /// Offset in the file of the next byte.
    offset: u64,
    is_end: bool,
}

impl Raw {
    pub(super) fn new(inner: Box<dyn Read + Send>, progress: Arc<Progress>) -> Self {
        Self { inner, progress, buffer: Vec::new(), at: 0, offset: 0, is_end: false }
    }

    /// Goes on at an offset as if all before had been taken, each piece whole before the next was read. `from` gives the file from an
    /// offset on.
    pub(super) fn at<R: Read + Send + 'static>(
        offset: u64,
        from: impl FnOnce(u64) -> R,
        progress: Arc<Progress>,
    ) -> io::Result<Self> {
        let n_first = (KEPT + LOOK_AHEAD) as u64;
        let n_gone = offset.saturating_sub(n_first).next_multiple_of(LOOK_AHEAD as u64);
        let mut raw = Self::new(Box::new(from(n_gone)), progress);
        let seen = raw.peek(1)?.len();
        raw.at = seen.min((offset - n_gone) as usize);
        raw.offset = n_gone + raw.at as u64;
        Ok(raw)
    }

    /// The next bytes without taking them: `n` at least, up to [`LOOK_AHEAD`], where the file has as many.
    pub(super) fn peek(&mut self, n: usize) -> io::Result<&[u8]> {
        while !self.is_end && self.buffer.len() - self.at < n.min(LOOK_AHEAD) {
            let gone = self.at.saturating_sub(KEPT);
            self.buffer.drain(..gone);
            self.at -= gone;
            let filled = self.buffer.len();
            self.buffer.resize(KEPT + LOOK_AHEAD, 0);
            let read = read_some(&mut self.inner, &self.progress, &mut self.buffer[filled..]);
            self.buffer.truncate(filled + *read.as_ref().unwrap_or(&0));
            self.is_end = read? == 0;
        }
        Ok(&self.buffer[self.at..])
    }

    /// Takes bytes that were looked at.
    pub(super) fn skip(&mut self, n: usize) {
        self.at += n;
        self.taken(n);
    }

    /// How many bytes can be gone back.
    pub(super) fn n_kept(&self) -> usize {
        self.at
    }

    /// What is known of the file from `n` bytes back on.
    pub(super) fn back(&self, n: usize) -> &[u8] {
        &self.buffer[self.at - n..]
    }

    /// Goes back, by [`Raw::n_kept`] bytes at most.
    pub(super) fn go_back(&mut self, n: usize) {
        self.at -= n;
        self.offset -= n as u64;
    }

    /// Offset in the file of the next byte.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    fn taken(&mut self, n: usize) {
        self.offset += n as u64;
        self.progress.add_file_bytes(n as u64);
    }
}

/// Reads something; an interrupted call is made again. Nothing is read for somebody who no longer wants it.
fn read_some(reader: &mut impl Read, progress: &Progress, into: &mut [u8]) -> io::Result<usize> {
    loop {
        if progress.is_cancelled() {
            return Err(io::Error::other("reading was cancelled"));
        }
        match reader.read(into) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

impl Read for Raw {
    /// What was looked at comes first; then the file is read into `into` itself.
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let n = if self.at < self.buffer.len() || into.len() < LOOK_AHEAD {
            let ahead = self.peek(1)?;
            let n = ahead.len().min(into.len());
            into[..n].copy_from_slice(&ahead[..n]);
            self.at += n;
            n
        } else {
            read_some(&mut self.inner, &self.progress, into)?
        };
        self.taken(n);
        Ok(n)
    }
}

impl BufRead for Raw {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.peek(1)
    }

    fn consume(&mut self, n: usize) {
        self.skip(n);
    }
}
