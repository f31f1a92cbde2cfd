//! A second pass over one large gzip member by many threads, each of which inflates stretches of it and reads their events.
//!
//! The first pass noted places from which on it can be inflated ([`Mark`]) and where the blocks begin. With both no
//! thread has to inflate for the others, nor what stands behind the last block of a stretch of which anything is wanted. Only files of which all is as it should be are read so; whatever is odd by now is an error.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::sync::{Mutex, PoisonError};

use super::chrome::walk::{How, Sink};
use super::crew::give_text;
use super::deflate::{Inflater, Mark};
use super::first_member::READ_BYTES;
use super::pipeline::{MakeSink, PassError, Take, start};
use super::{Progress, ReadError, ReadOptions};
use crate::diag::timings::timed;
use crate::model::limits::{BLOCK_BYTES, STRETCHES_AHEAD};

/// Text behind the start of the last block that is looked at, at most.
const MAX_LAST_BYTES: u64 = 4 * BLOCK_BYTES as u64;

/// Some blocks that follow each other, and the place behind which their text is made.
#[derive(Clone, Debug)]
pub(super) struct Stretch<'a> {
    mark: &'a Mark,
    /// Offset and length of each.
    blocks: Vec<(u64, usize)>,
    /// Bytes of the file from this place to the next.
    file_bytes: u64,
}

/// The blocks that begin at some offsets of a text of so many bytes, by the places behind which they can be read. `None` where they
/// cannot.
pub(super) fn stretches(
    offsets: impl Iterator<Item = u64>,
    marks: &[Mark],
    n_text: u64,
) -> Option<Vec<Stretch<'_>>> {
    let mut ends = marks.iter().skip(1).map(|mark| mark.bit);
    let mut stretches: Vec<Stretch<'_>> = Vec::new();
    for mark in marks {
        let file_bytes = (ends.next().unwrap_or(mark.bit) - mark.bit) / 8;
        stretches.push(Stretch { mark, blocks: Vec::new(), file_bytes });
    }
    let mut offsets = offsets.peekable();
    while let Some(offset) = offsets.next() {
        let end = offsets.peek().copied();
        let len = end.unwrap_or(n_text).checked_sub(offset)?;
        if end.is_none() && len > MAX_LAST_BYTES {
            return None;
        }
        let at = marks.partition_point(|mark| mark.offset <= offset).checked_sub(1)?;
        stretches[at].blocks.push((offset, usize::try_from(len).ok()?));
    }
    Some(stretches)
}

/// Gives every block to a sink, with `options.threads` threads, and what they become to `take`, in order.
pub(super) fn run<S: Sink>(
    path: &Path,
    stretches: &[Stretch<'_>],
    (options, progress): (&ReadOptions, &Progress),
    make: &impl MakeSink<S>,
    take: Take<'_, S::Output>,
) -> Result<(), PassError> {
    let fail = |source| ReadError::Io { path: path.to_owned(), source };
    let file = File::open(path).map_err(fail)?;
    let n_ahead = options.threads + STRETCHES_AHEAD;
    let (to_workers, wanted) = channel();
    let wanted = Mutex::new(wanted);
    let (results, read) = sync_channel(n_ahead);
    // The receiver is here, so that sending cannot fail.
    (0..n_ahead).for_each(|number| _ = to_workers.send(number));
    let reading = Reading { file: &file, stretches, wanted: &wanted, options, progress };
    std::thread::scope(|scope| {
        // Whoever takes no more ends the workers.
        let (to_workers, read) = (to_workers, read);
        for i in 0..options.threads {
            let results = results.clone();
            match start(scope, move || reading.work(&results, make)) {
                Ok(_) => {}
                Err(source) if i == 0 => {
                    return Err(ReadError::NoThread { path: path.to_owned(), source }.into());
                }
                // Fewer workers read the same.
                Err(_) => break,
            }
        }
        drop(results);
        let (mut waiting, mut next) = (BTreeMap::new(), 0);
        while next < stretches.len() {
            let received = timed("read: wait for stretches", || read.recv());
            // Whoever panicked says why when the scope ends.
            let Ok((number, outputs)) = received else { return Ok(()) };
            waiting.insert(number, outputs);
            while let Some(outputs) = waiting.remove(&next) {
                let outputs: Vec<S::Output> = io::Result::map_err(outputs, fail)?;
                for (output, &(offset, _)) in outputs.into_iter().zip(&stretches[next].blocks) {
                    take(offset, output).map_err(PassError::Take)?;
                }
                let _ = to_workers.send(next + n_ahead);
                next += 1;
            }
        }
        Ok(())
    })
}

/// What the workers share.
#[derive(Clone, Copy)]
struct Reading<'a> {
    file: &'a File,
    stretches: &'a [Stretch<'a>],
    /// Numbers of the stretches that are to be read.
    wanted: &'a Mutex<Receiver<usize>>,
    options: &'a ReadOptions,
    progress: &'a Progress,
}

/// What the blocks of a stretch became.
type Outputs<T> = (usize, io::Result<Vec<T>>);

impl Reading<'_> {
    /// One worker: numbers in, results out, until there are no more.
    fn work<S: Sink>(&self, results: &SyncSender<Outputs<S::Output>>, make: &impl MakeSink<S>) {
        let mut inflater = Inflater::new(READ_BYTES);
        let mut text = Vec::new();
        loop {
            let receive = || self.wanted.lock().unwrap_or_else(PoisonError::into_inner).recv();
            let Ok(number) = timed("read: workers idle", receive) else { return };
            let Some(stretch) = self.stretches.get(number) else { continue };
            let _fails = FailsInPanic { number, results };
            let outputs = self.read(stretch, (&mut inflater, &mut text), make);
            let sent = timed("read: workers blocked", || results.send((number, outputs)));
            if sent.is_err() {
                return;
            }
        }
    }

    fn read<S: Sink>(
        &self,
        stretch: &Stretch<'_>,
        (inflater, text): (&mut Inflater, &mut Vec<u8>),
        make: &impl MakeSink<S>,
    ) -> io::Result<Vec<S::Output>> {
        let pass = |&(offset, len)| Block::new(offset, len, make(offset));
        let blocks = || stretch.blocks.iter().map(pass).collect::<Vec<_>>();
        let blocks = timed("read: pass over", blocks);
        // Behind the last one that is read nothing need be inflated.
        let n_inflated = blocks.iter().rposition(|block| !block.is_passed).map_or(0, |at| at + 1);
        if n_inflated > 0 {
            inflater.begin(self.file, stretch.mark)?;
            self.fill((blocks[0].offset - stretch.mark.offset) as usize, inflater, text)?;
        }
        let how = How { tolerant_only: self.options.force_slow_path, is_last: false };
        let mut outputs = Vec::with_capacity(blocks.len());
        for (i, block) in blocks.into_iter().enumerate() {
            if self.progress.is_cancelled() {
                return Err(io::ErrorKind::Interrupted.into());
            }
            let (len, mut own) = (block.len, &[][..]);
            if i < n_inflated {
                own = timed("read: inflate", || self.fill(len, inflater, text))?;
            }
            outputs.push(block.read(own, how));
            self.progress.add_json_bytes(len as u64);
        }
        self.progress.add_file_bytes(stretch.file_bytes);
        Ok(outputs)
    }

    /// The next bytes of the text, in memory that is used again.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or is another one by now.
    fn fill<'t>(
        &self,
        len: usize,
        inflater: &mut Inflater,
        memory: &'t mut Vec<u8>,
    ) -> io::Result<&'t [u8]> {
        if memory.len() < len {
            memory.resize(len, 0);
        }
        let text = &mut memory[..len];
        let other = || io::Error::other("it changed while it was read");
        inflater.fill(self.file, text).filter(|&n| n == len).ok_or_else(other)?;
        Ok(text)
    }
}

/// A block of a stretch.
struct Block<S> {
    offset: u64,
    len: usize,
    sink: S,
    /// Whether nothing of it need be read.
    is_passed: bool,
}

impl<S: Sink> Block<S> {
    fn new(offset: u64, len: usize, mut sink: S) -> Self {
        Self { offset, len, is_passed: sink.passes_all(), sink }
    }

    /// What it becomes; its text is of no account where it is passed.
    fn read(self, text: &[u8], how: How) -> S::Output {
        if self.is_passed {
            return self.sink.finish().0;
        }
        timed("read: parse", || give_text(text, self.offset, how, self.sink)).output
    }
}

/// Sends an error in the place of a result when its thread panics, so that nobody waits for that.
struct FailsInPanic<'r, T> {
    number: usize,
    results: &'r SyncSender<Outputs<T>>,
}

impl<T> Drop for FailsInPanic<'_, T> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let _ = self.results.send((self.number, Err(io::Error::other("a thread panicked"))));
        }
    }
}
