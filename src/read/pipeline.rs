//! Bytes to blocks of events: one thread inflates and cuts, workers give the events to sinks, the caller joins in order.
//!
//! Blocks are cut where an event plausibly starts, at positions that depend on the bytes alone. A worker's walk says
//! whether its block ended between two events; where it did not, the rest is joined with the next block and read again,
//! so that a wrong guess costs time and never changes the result. This is the only place that starts threads for
//! reading.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use super::chrome::boundary::{last_event_start, next_event_start};
use super::chrome::document::{self, Opening, Stop};
use super::chrome::meta;
use super::chrome::walk::{BlockEnd, Sink, walk};
use super::source::StreamEnd;
use super::text::TextStream;
use super::{Progress, ReadError, ReadOptions, kinds};
use crate::diag::{IssueKind, Reporter};
use crate::model::limits::{BLOCK_BYTES, BLOCKS_IN_FLIGHT_PER_WORKER, MAX_EVENT_BYTES};
use crate::store::Layout;

/// A piece of the event array.
struct Block {
    number: u64,
    /// Offset of the first byte in the decompressed input.
    offset: u64,
    text: Vec<u8>,
}

/// A block that was read.
struct Parsed<O> {
    block: Block,
    output: O,
    reporter: Reporter,
    end: BlockEnd,
}

/// What the cutter learned.
struct CutEnd {
    json_bytes: u64,
    stream: StreamEnd,
    reporter: Reporter,
}

/// What stands around the events.
#[derive(Debug, Default)]
pub(super) struct Head {
    /// Top-level members as (key, JSON text), in file order.
    pub(super) entries: Vec<(String, String)>,
    pub(super) layout: Layout,
    pub(super) is_bare_array: bool,
}

/// An input of which everything before the events was read.
pub(super) struct Opened {
    path: PathBuf,
    stream: TextStream,
    pub(super) head: Head,
    /// The first text after the `[` of the events.
    text: Vec<u8>,
    offset: u64,
}

/// An input that was gone through.
pub(super) struct Finished {
    pub(super) head: Head,
    pub(super) reporter: Reporter,
    pub(super) json_bytes: u64,
    /// Whether the events end before their array does.
    pub(super) truncated: bool,
}

/// Makes the sink of the block that starts at an offset.
pub(super) trait MakeSink<S>: Fn(u64) -> S + Sync {}

impl<S, F: Fn(u64) -> S + Sync> MakeSink<S> for F {}

/// Takes what the block at an offset became; blocks come in order. An error ends the reading.
pub(super) type Take<'a, O> = &'a mut dyn FnMut(u64, O) -> io::Result<()>;

/// Why going through an input ended early.
#[derive(Debug)]
pub(super) enum PassError {
    /// The input cannot be read.
    Read(ReadError),
    /// Whoever takes the results gave up.
    Take(io::Error),
}

impl From<ReadError> for PassError {
    fn from(error: ReadError) -> Self {
        Self::Read(error)
    }
}

impl Opened {
    /// Opens an input and reads up to its events.
    pub(super) fn new(path: &Path, progress: &Arc<Progress>) -> Result<Self, ReadError> {
        let mut stream = TextStream::open(path, Arc::clone(progress))?;
        let (head, text, offset) = read_head(path, &mut stream)?;
        Ok(Self { path: path.to_owned(), stream, head, text, offset })
    }

    /// Gives every block to a sink, with `options.threads` workers, and what they become to `take`, in order.
    pub(super) fn run<S: Sink>(
        self,
        options: &ReadOptions,
        make: &impl MakeSink<S>,
        take: Take<'_, S::Output>,
    ) -> Result<Finished, PassError> {
        let Self { path, stream, head, text, offset } = self;
        let n_workers = options.threads.max(1);
        let tolerant_only = options.force_slow_path;
        let (to_workers, blocks) = sync_channel(n_workers * BLOCKS_IN_FLIGHT_PER_WORKER);
        // The workers alone own the receiver, so that the cutter stops when they do.
        let blocks = Arc::new(Mutex::new(blocks));
        let (results, parsed) = sync_channel(n_workers * BLOCKS_IN_FLIGHT_PER_WORKER);
        let (cut, joined) = std::thread::scope(|scope| {
            let path = &path;
            let cutter = scope.spawn(move || cut_blocks(path, stream, text, offset, &to_workers));
            for _ in 0..n_workers {
                let (results, blocks) = (results.clone(), Arc::clone(&blocks));
                scope.spawn(move || parse_blocks(&blocks, &results, tolerant_only, make));
            }
            drop((results, blocks));
            let mut joiner = Joiner::new(make, take, tolerant_only);
            let joined = joiner.join(parsed).map(|()| joiner);
            (cutter.join(), joined)
        });
        let cut = cut.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        joined.and_then(|joiner| joiner.finish(cut, head)).map_err(PassError::Take)
    }
}

/// Inflates and cuts into blocks.
fn cut_blocks(
    path: &Path,
    mut stream: TextStream,
    mut text: Vec<u8>,
    mut offset: u64,
    to_workers: &SyncSender<Block>,
) -> Result<CutEnd, ReadError> {
    let fail = |source: io::Error| ReadError::Io { path: path.to_owned(), source };
    let mut number = 0;
    loop {
        let wanted = BLOCK_BYTES.saturating_sub(text.len()).max(BLOCK_BYTES / 8);
        let is_end = stream.append(&mut text, wanted).map_err(fail)? == 0;
        let cut =
            if is_end { Some(text.len()) } else { last_event_start(&text).filter(|&at| at > 0) };
        let Some(cut) = cut else { continue };
        if !is_end && text.len() < BLOCK_BYTES {
            continue;
        }
        let mut rest = Vec::with_capacity(BLOCK_BYTES + BLOCK_BYTES / 8);
        rest.extend_from_slice(&text[cut..]);
        text.truncate(cut);
        let block = Block { number, offset, text: std::mem::replace(&mut text, rest) };
        offset += cut as u64;
        number += 1;
        // The receiver goes away when a worker panicked or the results are no longer taken; both are reported there.
        if to_workers.send(block).is_err() || is_end {
            let reporter = stream.take_reporter();
            return Ok(CutEnd { json_bytes: offset, stream: stream.end().clone(), reporter });
        }
    }
}

/// Reads up to the event array. Gives the head, the text from there on, and its offset.
fn read_head(path: &Path, stream: &mut TextStream) -> Result<(Head, Vec<u8>, u64), ReadError> {
    let mut text = Vec::new();
    let mut head = Head::default();
    let mut wanted = 1 << 16;
    let mut at = None;
    loop {
        let n = stream
            .append(&mut text, wanted)
            .map_err(|source| ReadError::Io { path: path.to_owned(), source })?;
        wanted = text.len().max(1 << 16);
        if at.is_none()
            && let Some(what) = kinds::other_kind(&text)
        {
            return Err(ReadError::OtherKind { path: path.to_owned(), what });
        }
        let start = match (at, document::opening(&text)) {
            (Some(at), _) => at,
            (None, Opening::Object(start)) => start,
            (None, Opening::Array(start)) => {
                head.is_bare_array = true;
                return Ok(with_layout(head, &text, start));
            }
            (None, Opening::Nothing) if n > 0 => continue,
            (None, Opening::Nothing | Opening::NotJson) => {
                return Err(not_json(path, &text, stream));
            }
        };
        match document::members(&text, start, &mut head.entries) {
            Stop::ArrayStart(start) => return Ok(with_layout(head, &text, start)),
            Stop::Incomplete(stopped) if n > 0 => at = Some(stopped),
            Stop::Odd(stopped) => match document::next_member(&text, stopped) {
                Some(next) if n > 0 => at = Some(next),
                _ => return Err(no_events(path, "damaged before its events", stream)),
            },
            Stop::Incomplete(_) => {
                return Err(no_events(path, "it ends before its events begin", stream));
            }
            Stop::End(_) => {
                return Err(no_events(path, "it has no `traceEvents` array", stream));
            }
        }
    }
}

fn with_layout(mut head: Head, text: &[u8], start: usize) -> (Head, Vec<u8>, u64) {
    head.layout = meta::layout(&text[..start], &text[start..]);
    (head, text[start..].to_vec(), start as u64)
}

fn not_json(path: &Path, text: &[u8], stream: &TextStream) -> ReadError {
    let path = path.to_owned();
    if text.trim_ascii().is_empty() {
        return match stream.end() {
            StreamEnd::Truncated => {
                ReadError::Compression { path, what: "the stream ends before any text".to_owned() }
            }
            StreamEnd::Corrupt(what) => ReadError::Compression { path, what: what.clone() },
            _ => ReadError::Empty { path },
        };
    }
    let offset = text.len() - text.trim_ascii_start().len();
    let start = &text[offset..text.len().min(offset + 24)];
    let start = String::from_utf8_lossy(start).escape_debug().to_string();
    ReadError::NotJson { path, start, offset: offset as u64 }
}

fn no_events(path: &Path, what: &str, stream: &TextStream) -> ReadError {
    let what = match stream.end() {
        StreamEnd::Truncated => format!("{what} (the compressed stream ends early)"),
        StreamEnd::Corrupt(error) => format!("{what} (the compressed stream is damaged: {error})"),
        _ => what.to_owned(),
    };
    ReadError::NotATrace { path: path.to_owned(), what }
}

/// One worker: blocks in, results out, until there are no more.
fn parse_blocks<S: Sink>(
    blocks: &Mutex<Receiver<Block>>,
    results: &SyncSender<Parsed<S::Output>>,
    tolerant_only: bool,
    make: &impl MakeSink<S>,
) {
    loop {
        let block = blocks.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(block) = block else { return };
        if results.send(parse_block(block, tolerant_only, make)).is_err() {
            return;
        }
    }
}

fn parse_block<S: Sink>(
    block: Block,
    tolerant_only: bool,
    make: &impl MakeSink<S>,
) -> Parsed<S::Output> {
    let mut sink = make(block.offset);
    let end = walk(&block.text, block.offset, tolerant_only, &mut sink);
    let (output, reporter) = sink.finish();
    Parsed { block, output, reporter, end }
}

/// Puts the results in order and mends wrong cuts.
struct Joiner<'t, S: Sink, M> {
    make: &'t M,
    take: Take<'t, S::Output>,
    reporter: Reporter,
    /// Text from the start of an event that its block did not hold whole, with its offset.
    carry: Option<(u64, Vec<u8>)>,
    /// Text after the event array, once its end was seen, with its offset.
    tail: Option<(u64, Vec<u8>)>,
    tolerant_only: bool,
}

impl<'t, S: Sink, M: MakeSink<S>> Joiner<'t, S, M> {
    fn new(make: &'t M, take: Take<'t, S::Output>, tolerant_only: bool) -> Self {
        let reporter = Reporter::default();
        Self { make, take, reporter, carry: None, tail: None, tolerant_only }
    }

    fn join(&mut self, parsed: Receiver<Parsed<S::Output>>) -> io::Result<()> {
        let mut waiting = BTreeMap::new();
        let mut next = 0;
        for result in parsed {
            waiting.insert(result.block.number, result);
            while let Some(result) = waiting.remove(&next) {
                self.add(result)?;
                next += 1;
            }
        }
        Ok(())
    }

    /// Takes the next block. What it gave counts only if the one before ended cleanly.
    fn add(&mut self, parsed: Parsed<S::Output>) -> io::Result<()> {
        if let Some((_, tail)) = &mut self.tail {
            tail.extend_from_slice(&parsed.block.text);
            return Ok(());
        }
        let parsed = match self.carry.take() {
            None => parsed,
            Some((offset, mut text)) => {
                text.extend_from_slice(&parsed.block.text);
                self.drop_oversized(offset, &mut text);
                let block = Block { number: 0, offset, text };
                parse_block(block, self.tolerant_only, self.make)
            }
        };
        (self.take)(parsed.block.offset, parsed.output)?;
        self.reporter.merge(parsed.reporter);
        let Block { offset, text, .. } = parsed.block;
        match parsed.end {
            BlockEnd::Clean => {}
            BlockEnd::Partial(at) => self.carry = Some((offset + at as u64, text[at..].to_vec())),
            BlockEnd::ArrayEnd(at) => self.tail = Some((offset + at as u64, text[at..].to_vec())),
        }
        Ok(())
    }

    /// Gives up on an event beyond the limit: blanks it up to the next plausible one.
    fn drop_oversized(&mut self, offset: u64, text: &mut [u8]) {
        if text.len() > MAX_EVENT_BYTES {
            self.reporter.at(IssueKind::OversizedEvent, offset);
            let end = next_event_start(text, 1).unwrap_or(text.len());
            text[..end].fill(b' ');
        }
    }

    /// Reads what stands after the events.
    fn finish(mut self, cut: CutEnd, mut head: Head) -> io::Result<Finished> {
        let CutEnd { json_bytes, stream, reporter } = cut;
        self.reporter.merge(reporter);
        let mut truncated = false;
        if let Some((offset, text)) = self.carry.take() {
            truncated = true;
            let detail = format!("the last event is cut off after {} bytes", text.len());
            self.reporter.with_detail(IssueKind::TruncatedFile, Some(offset), detail);
        }
        match self.tail.take() {
            Some((offset, text)) => self.read_tail(offset, &text, &mut head)?,
            None if truncated || head.is_bare_array => {}
            None => {
                truncated = true;
                let detail = "the event array has no end";
                self.reporter.with_detail(IssueKind::TruncatedFile, Some(json_bytes), detail);
            }
        }
        note_stream_end(&stream, json_bytes, &mut self.reporter);
        truncated |= matches!(stream, StreamEnd::Truncated | StreamEnd::Corrupt(_));
        Ok(Finished { head, reporter: self.reporter, json_bytes, truncated })
    }

    /// Reads the members after the event array; further event arrays and documents are read as part of this trace.
    fn read_tail(&mut self, offset: u64, text: &[u8], head: &mut Head) -> io::Result<()> {
        let mut at = 0;
        let mut is_inside = !head.is_bare_array;
        loop {
            let stop = if is_inside {
                document::members(text, at, &mut head.entries)
            } else {
                Stop::End(at)
            };
            match stop {
                Stop::End(end) | Stop::Incomplete(end) if text[end..].trim_ascii().is_empty() => {
                    return Ok(());
                }
                Stop::End(end) => match document::opening(&text[end..]) {
                    Opening::Object(start) => {
                        self.reporter.at(IssueKind::SeveralDocuments, offset + end as u64);
                        (at, is_inside) = (end + start, true);
                    }
                    Opening::Array(start) => {
                        self.reporter.at(IssueKind::SeveralDocuments, offset + end as u64);
                        (at, is_inside) = (self.read_array(offset, text, end + start)?, false);
                    }
                    _ => {
                        self.reporter.at(IssueKind::GarbageAfterEvents, offset + end as u64);
                        return Ok(());
                    }
                },
                Stop::ArrayStart(start) => at = self.read_array(offset, text, start)?,
                Stop::Odd(stopped) | Stop::Incomplete(stopped) => {
                    self.reporter.at(IssueKind::GarbageAfterEvents, offset + stopped as u64);
                    match document::next_member(text, stopped) {
                        Some(next) => at = next,
                        None => return Ok(()),
                    }
                }
            }
        }
    }

    /// Reads a further event array inside the tail. Gives the position after it.
    fn read_array(&mut self, offset: u64, text: &[u8], start: usize) -> io::Result<usize> {
        let base = offset + start as u64;
        let mut sink = (self.make)(base);
        let end = walk(&text[start..], base, self.tolerant_only, &mut sink);
        let (output, reporter) = sink.finish();
        (self.take)(base, output)?;
        self.reporter.merge(reporter);
        Ok(match end {
            BlockEnd::ArrayEnd(at) => start + at,
            BlockEnd::Clean => text.len(),
            BlockEnd::Partial(at) => {
                self.reporter.at(IssueKind::TruncatedFile, base + at as u64);
                text.len()
            }
        })
    }
}

fn note_stream_end(stream: &StreamEnd, json_bytes: u64, reporter: &mut Reporter) {
    match stream {
        StreamEnd::Complete => {}
        StreamEnd::Truncated => reporter.at(IssueKind::TruncatedGzip, json_bytes),
        StreamEnd::Corrupt(what) => {
            reporter.with_detail(IssueKind::CorruptGzip, Some(json_bytes), what.as_str());
        }
        StreamEnd::TrailingBytes => reporter.at(IssueKind::TrailingBytes, json_bytes),
    }
}
