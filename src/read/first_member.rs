//! The first gzip member of a file, read by the decoders of our own ([`super::deflate`]) where nothing about it is odd.
//!
//! Whatever is wrong with it is not told here: the one who asks begins again with the reader that knows ([`super::gzip`]).

use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;

use super::Progress;
use super::deflate::{Inflater, Mark, Marks};
use super::file_at::read_at;
use super::spread::Sums;
use crate::model::limits::STRETCH_BYTES;

/// Why a member cannot be read here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Odd;

/// Checksum and length behind a member.
pub(super) const TRAILER_BYTES: usize = 8;

/// Bytes of the file that one thread reads at a time.
pub(super) const READ_BYTES: usize = 1 << 16;

/// A member that is read.
pub(super) trait FirstMember {
    /// Writes text to the start of `out`. Gives how much: less than there is room for where the member ended.
    ///
    /// What was given is what the library gives, and behind it either comes more text or the end of a whole member. `before` is the
    /// text before it of which nobody gives the sum yet.
    ///
    /// # Errors
    ///
    /// Where anything is odd.
    fn fill(&mut self, before: &[u8], out: &mut [u8]) -> Result<usize, Odd>;

    /// Who takes the sums of text that was given, if anybody does.
    fn sums(&self) -> Option<Sums>;

    /// Bytes of text that were given.
    fn n_text(&self) -> u64;

    /// Bytes of the file, from its start on, that were counted as read.
    fn n_counted(&self) -> u64;

    /// Offset in the file of the checksum, where all text was given.
    fn trailer(&self) -> u64;

    /// Notes places from which on it can be inflated, as far as it is not read yet, and its start.
    fn keep_marks(&mut self);

    /// Those places, where they were noted.
    fn take_marks(&mut self) -> Vec<Mark>;

    /// Takes the checksum to be right, where that spares work.
    #[cfg(feature = "program")]
    fn trust_sums(&mut self) {}
}

/// Bytes of a file that are counted as they are taken.
pub(super) struct Counted {
    pub(super) progress: Arc<Progress>,
    /// How many were counted.
    pub(super) n: u64,
}

impl Counted {
    /// Counts up to a bit of the file.
    pub(super) fn up_to(&mut self, bit: u64) {
        let new = (bit / 8).saturating_sub(self.n);
        self.n += new;
        self.progress.add_file_bytes(new);
    }
}

/// Whether these are the checksum, if there is one, and the length that stand at an offset of a file.
pub(super) fn is_trailer(
    file: &File,
    offset: u64,
    crc: Option<crc32fast::Hasher>,
    n_text: u64,
) -> bool {
    let mut trailer = [0; TRAILER_BYTES];
    let n = read_at(file, &mut trailer, offset);
    let (sum, length) = trailer.split_at(TRAILER_BYTES / 2);
    n.is_ok_and(|n| n == TRAILER_BYTES)
        && crc.is_none_or(|crc| sum == crc.finalize().to_le_bytes())
        && length == (n_text as u32).to_le_bytes()
}

/// A member that one thread reads.
pub(super) struct Straight {
    file: Arc<File>,
    /// Offset of the stream.
    start: u64,
    inflater: Inflater,
    /// `None` where it is known to be right.
    crc: Option<crc32fast::Hasher>,
    n_text: u64,
    counted: Counted,
}

impl Straight {
    /// Begins with the deflate stream at an offset of a file.
    ///
    /// # Errors
    ///
    /// Where the file cannot be read.
    pub(super) fn new(file: Arc<File>, start: u64, progress: Arc<Progress>) -> io::Result<Self> {
        let mut inflater = Inflater::new(READ_BYTES);
        inflater.begin(&*file, &Mark::start(start))?;
        let (crc, counted) = (Some(crc32fast::Hasher::new()), Counted { progress, n: 0 });
        Ok(Self { file, start, inflater, crc, n_text: 0, counted })
    }
}

impl FirstMember for Straight {
    fn fill(&mut self, _: &[u8], out: &mut [u8]) -> Result<usize, Odd> {
        if self.counted.progress.is_cancelled() {
            return Err(Odd);
        }
        let filled = self.inflater.fill(&*self.file, out).ok_or(Odd)?;
        self.crc.iter_mut().for_each(|crc| crc.update(&out[..filled]));
        self.n_text += filled as u64;
        self.counted.up_to(self.inflater.end());
        let is_right = || is_trailer(&self.file, self.trailer(), self.crc.clone(), self.n_text);
        if self.inflater.is_done() && !is_right() {
            return Err(Odd);
        }
        Ok(filled)
    }

    fn sums(&self) -> Option<Sums> {
        None
    }

    fn keep_marks(&mut self) {
        self.inflater.keep_marks(Marks::new(self.start, STRETCH_BYTES));
    }

    fn take_marks(&mut self) -> Vec<Mark> {
        self.inflater.take_marks().map(Marks::into_all).unwrap_or_default()
    }

    fn n_text(&self) -> u64 {
        self.n_text
    }

    fn n_counted(&self) -> u64 {
        self.counted.n
    }

    fn trailer(&self) -> u64 {
        self.inflater.end().div_ceil(8)
    }

    #[cfg(feature = "program")]
    fn trust_sums(&mut self) {
        self.crc = None;
    }
}

/// A file from an offset on, wherever others read in it.
pub(super) struct FileFrom {
    pub(super) file: Arc<File>,
    pub(super) offset: u64,
}

impl Read for FileFrom {
    /// Reads all that there is room for but at the end.
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let n = read_at(&self.file, into, self.offset)?;
        self.offset += n as u64;
        Ok(n)
    }
}
