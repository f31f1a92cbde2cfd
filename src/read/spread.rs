//! One gzip member inflated by many threads.
//!
//! Any of them decodes pieces of the compressed bytes ([`super::deflate`]), each from the first block that it finds in its piece. The
//! text is made here, in order, and only of pieces that begin where the one before ended; what lies between is decoded here. So
//! the text is right whatever was found.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel, sync_channel};

use super::Progress;
use super::deflate::{Bytes, Expander, Mark, Marks, Piece, Stop};
use super::first_member::{Counted, FirstMember, Odd, is_trailer};
use crate::diag::timings::timed;
use crate::model::Spare;
use crate::model::limits::{PIECE_BYTES, STRETCH_BYTES};

/// Work that any thread may do.
pub(super) type Task = Box<dyn FnOnce() + Send>;

/// Threads that do tasks.
pub(super) struct Hands {
    /// How many there are.
    pub(super) n: usize,
    /// Gives them a task; gives it back where there is nobody.
    pub(super) give: Box<dyn Fn(Task) -> Result<(), Task> + Send>,
    /// Does one task that nobody has begun. Gives whether there was one.
    pub(super) help: Box<dyn Fn() -> bool + Send>,
}

/// Takes the checksums of text that was given away, from whoever looks at it next: with them the member's is made.
#[derive(Clone)]
pub(super) struct Sums(Sender<(u64, crc32fast::Hasher, usize)>);

impl Sums {
    /// Takes text that begins at an offset.
    pub(super) fn add(self, offset: u64, text: &[u8]) {
        let mut crc = crc32fast::Hasher::new();
        timed("read: checksum", || crc.update(text));
        // The receiver is gone where the member was left to another reader.
        let _ = self.0.send((offset, crc, text.len()));
    }
}

/// Pieces that may begin nowhere beside those that begin where they should.
const MAX_MISSED: u64 = 8;

/// Pieces that are decoded before they are wanted, at most: a third as many threads decode as fast as one makes text of it.
const MAX_AHEAD: usize = 12;

/// Bytes that are passed over at a time.
const SKIPPED_BYTES: u64 = 1 << 20;

/// What waits to be used again.
#[derive(Default)]
struct Spares {
    pieces: Spare<Piece>,
    bytes: Spare<Bytes>,
}

/// A piece that somebody decodes.
struct Ahead {
    /// The bit where it ends and the next one begins.
    until: u64,
    decoded: Receiver<io::Result<Piece>>,
}

/// A member that is read.
pub(super) struct Spread {
    file: Arc<File>,
    file_bytes: u64,
    /// Offset of the stream.
    start: u64,
    hands: Hands,
    spare: Arc<Spares>,
    ahead: VecDeque<Ahead>,
    /// The bit where the next piece begins that nobody decodes yet.
    next: u64,
    /// The first of those that are decoded, with the bit where it was to end.
    front: Option<(Piece, u64)>,
    /// The piece whose text comes next, or of which there is no more.
    now: Piece,
    expander: Expander,
    /// Checksum of the first text, and how much of it there is; the sums of what follows come from others.
    crc: crc32fast::Hasher,
    n_summed: u64,
    sums: (Sums, Receiver<(u64, crc32fast::Hasher, usize)>),
    n_text: u64,
    /// Whether a block begins with the tokens that come next.
    begins_block: bool,
    /// Places to begin at later, where somebody wants them.
    marks: Option<Marks>,
    n_met: u64,
    n_missed: u64,
    counted: Counted,
}

impl Spread {
    /// Begins with the deflate stream at an offset of a file of so many bytes, of which some were counted as read.
    pub(super) fn new(
        (file, file_bytes): (Arc<File>, u64),
        (start, n_counted): (u64, u64),
        progress: Arc<Progress>,
        hands: Hands,
    ) -> Self {
        let (to, sums) = channel();
        let sums = (Sums(to), sums);
        let mut now = Piece::new();
        now.begin(start * 8);
        Self {
            file,
            file_bytes,
            start,
            hands,
            spare: Arc::default(),
            ahead: VecDeque::new(),
            next: (start + PIECE_BYTES as u64) * 8,
            front: None,
            now,
            expander: Expander::default(),
            crc: crc32fast::Hasher::new(),
            n_summed: 0,
            sums,
            n_text: 0,
            begins_block: false,
            marks: None,
            n_met: 0,
            n_missed: 0,
            counted: Counted { progress, n: n_counted },
        }
    }

    /// Passes over text that was read otherwise, up to `end`; the sum of what begins at `summed` comes from others.
    pub(super) fn skip(&mut self, end: u64, summed: u64) -> Result<(), Odd> {
        let mut passed = vec![0; SKIPPED_BYTES as usize];
        while self.n_text < end {
            let n = (end - self.n_text).min(SKIPPED_BYTES) as usize;
            let n_own = summed.saturating_sub(self.n_text).min(n as u64);
            if self.expand(&mut passed[..n])? < n {
                return Err(Odd);
            }
            self.crc.update(&passed[..n_own as usize]);
            self.n_summed += n_own;
        }
        Ok(())
    }

    fn expand(&mut self, out: &mut [u8]) -> Result<usize, Odd> {
        let mut filled = 0;
        while filled < out.len() && self.has_more()? {
            if std::mem::take(&mut self.begins_block) {
                self.mark(&out[..filled]);
            }
            let expand = || self.expander.expand(&self.now.tokens, out, filled);
            filled = timed("read: expand", expand).ok_or(Odd)?;
        }
        self.marks.iter_mut().for_each(Marks::end_piece);
        self.expander.keep(&out[..filled]);
        self.n_text += filled as u64;
        Ok(filled)
    }

    /// Notes that a block begins behind so much of a place that is filled.
    fn mark(&mut self, text: &[u8]) {
        let (Some(marks), Some(bit)) = (&mut self.marks, self.now.start) else { return };
        let offset = self.n_text + text.len() as u64;
        if marks.next(offset).is_some() {
            marks.take((bit, offset), &self.expander.window_behind(text));
        }
    }

    /// Whether the checksum and the length behind the member are those of its text, of which these pieces are the last.
    fn is_right(&mut self, before: &[u8], last: &[u8]) -> bool {
        let Some(mut crc) = self.sum_of_given() else { return false };
        crc.update(before);
        crc.update(last);
        let n_text = self.n_summed + (before.len() + last.len()) as u64;
        n_text == self.n_text && is_trailer(&self.file, self.trailer(), Some(crc), n_text)
    }

    /// Sum of all that others give the sums of, once they have done so.
    fn sum_of_given(&mut self) -> Option<crc32fast::Hasher> {
        // None comes any more when all who had something to sum are done.
        let (to, sums) = channel();
        let (_, sums) = std::mem::replace(&mut self.sums, (Sums(to), sums));
        let mut sums: Vec<_> = timed("read: wait for checksums", || sums.iter().collect());
        sums.sort_by_key(|&(offset, ..)| offset);
        for (offset, crc, n) in sums {
            if offset != self.n_summed {
                return None;
            }
            self.crc.combine(&crc);
            self.n_summed += n as u64;
        }
        Some(self.crc.clone())
    }

    /// Goes on to tokens that have text. Gives whether there are any.
    fn has_more(&mut self) -> Result<bool, Odd> {
        while self.expander.is_done(&self.now.tokens) {
            if self.now.stop == Stop::End {
                return Ok(false);
            }
            let is_between = self.now.is_between();
            self.next_piece()?;
            self.begins_block = is_between;
            self.expander.start();
            self.counted.up_to(self.now.end);
            if self.now.stop == Stop::Broken || self.counted.progress.is_cancelled() {
                return Err(Odd);
            }
        }
        Ok(true)
    }

    /// Takes the piece that comes next, or decodes what comes before it.
    fn next_piece(&mut self) -> Result<(), Odd> {
        loop {
            let here = self.now.end;
            let Some((piece, until)) = self.take_front()? else { return self.go_on(u64::MAX) };
            match piece.start {
                _ if until <= here => {
                    self.spare.pieces.give(piece);
                    self.n_missed += 1;
                    if self.n_missed > MAX_MISSED + self.n_met {
                        return Err(Odd);
                    }
                }
                Some(start) if start == here && self.now.is_between() => {
                    self.n_met += 1;
                    self.spare.pieces.give(std::mem::replace(&mut self.now, piece));
                    return Ok(());
                }
                start => {
                    self.front = Some((piece, until));
                    return self.go_on(start.filter(|&start| start > here).unwrap_or(until));
                }
            }
        }
    }

    /// Decodes from where the text ends up to the first block that begins at a bit or behind it.
    fn go_on(&mut self, until: u64) -> Result<(), Odd> {
        let mut bytes = self.spare.bytes.take().unwrap_or_default();
        let went_on = timed("read: decode", || self.now.go_on(&self.file, &mut bytes, until));
        self.spare.bytes.give(bytes);
        went_on.map_err(|_| Odd)
    }

    /// The first of the pieces that others decode, and the bit where it was to end.
    fn take_front(&mut self) -> Result<Option<(Piece, u64)>, Odd> {
        if let Some(front) = self.front.take() {
            return Ok(Some(front));
        }
        self.give_tasks();
        let Some(Ahead { until, decoded }) = self.ahead.pop_front() else { return Ok(None) };
        let decoded = self.wait_for(&decoded)?;
        // Whoever cannot read the file: the other reader meets it as well.
        Ok(Some((decoded.map_err(|_| Odd)?, until)))
    }

    /// What others decode; does what they have not begun meanwhile. Odd where whoever had it went away.
    fn wait_for(&self, decoded: &Receiver<io::Result<Piece>>) -> Result<io::Result<Piece>, Odd> {
        loop {
            match decoded.try_recv() {
                Err(TryRecvError::Empty) if (self.hands.help)() => {}
                Err(TryRecvError::Empty) => {
                    return timed("read: wait for decoding", || decoded.recv()).map_err(|_| Odd);
                }
                done => return done.map_err(|_| Odd),
            }
        }
    }

    fn give_tasks(&mut self) {
        while self.ahead.len() < self.hands.n.min(MAX_AHEAD) && self.next < self.file_bytes * 8 {
            let (from, until) = (self.next, self.next + PIECE_BYTES as u64 * 8);
            let (file, spare) = (Arc::clone(&self.file), Arc::clone(&self.spare));
            let (to, decoded) = sync_channel(1);
            let task: Task = Box::new(move || {
                let mut piece = spare.pieces.take().unwrap_or_else(Piece::new);
                let mut bytes = spare.bytes.take().unwrap_or_default();
                let find = || piece.find(&file, &mut bytes, from, until);
                let found = timed("read: decode ahead", find);
                spare.bytes.give(bytes);
                // The receiver is gone where nobody reads on.
                let _ = to.send(found.map(|()| piece));
            });
            if let Err(task) = (self.hands.give)(task) {
                task();
            }
            self.next = until;
            self.ahead.push_back(Ahead { until, decoded });
        }
    }
}

impl FirstMember for Spread {
    fn fill(&mut self, before: &[u8], out: &mut [u8]) -> Result<usize, Odd> {
        let filled = self.expand(out)?;
        // What is wrong right behind the text is found now, before it is given away.
        if !self.has_more()? && !self.is_right(before, &out[..filled]) {
            return Err(Odd);
        }
        Ok(filled)
    }

    fn sums(&self) -> Option<Sums> {
        Some(self.sums.0.clone())
    }

    fn keep_marks(&mut self) {
        self.marks = Some(Marks::new(self.start, STRETCH_BYTES));
    }

    fn take_marks(&mut self) -> Vec<Mark> {
        self.marks.take().map(Marks::into_all).unwrap_or_default()
    }

    fn n_text(&self) -> u64 {
        self.n_text
    }

    fn n_counted(&self) -> u64 {
        self.counted.n
    }

    fn trailer(&self) -> u64 {
        self.now.end.div_ceil(8)
    }
}

#[cfg(test)]
mod tests;
