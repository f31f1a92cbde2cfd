//! Bytes to blocks of events: one thread inflates and cuts, all give the events to sinks ([`super::crew`]), the caller joins in order.
//! Of a large gzip member the others decode pieces, too ([`super::spread`]).
//!
//! Blocks are cut where an event plausibly starts, at positions that depend on the bytes alone. A walk says
//! whether its block ended between two events; where it did not, the rest is joined with the next block and read again
//! ([`super::joiner`]), so that a wrong guess costs time and never changes the result. This is the only place that starts
//! threads for reading.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{Builder, Scope, ScopedJoinHandle};

use super::block_text::{Text, Texts};
use super::chrome::boundary::last_event_start;
use super::chrome::document::{Around, Entrance, Found};
use super::chrome::meta;
use super::chrome::walk::Sink;
use super::crew::{Block, Crew, Out, Parser, hands};
use super::deflate::Mark;
use super::joiner::Joiner;
use super::room::{Closes, Room};
use super::source::StreamEnd;
use super::text::TextStream;
use super::{Progress, ReadError, ReadOptions, kinds};
use crate::diag::Reporter;
use crate::diag::timings::timed;
use crate::model::limits::{
    BLOCK_BYTES, BLOCKS_IN_FLIGHT_PER_THREAD, MAX_BLOCK_BYTES, MAX_RUBBLE_BYTES,
    SPREAD_FROM_THREADS,
};
use crate::store::Layout;

/// What the cutter learned.
pub(super) struct CutEnd {
    pub(super) json_bytes: u64,
    pub(super) stream: StreamEnd,
    pub(super) reporter: Reporter,
    pub(super) marks: Vec<Mark>,
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
    around: Around,
    reporter: Reporter,
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
    /// Places to begin at when the file is read again, where its events are one array.
    pub(super) marks: Vec<Mark>,
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
        let stream = TextStream::open(path, Arc::clone(progress))?;
        let (head, around, reporter) = <(Head, Around, Reporter)>::default();
        let (text, offset) = (Vec::new(), 0);
        let path = path.to_owned();
        let mut opened = Self { path, stream, head, around, reporter, text, offset };
        opened.read_head()?;
        Ok(opened)
    }

    /// Notes places to begin at when the file is read again.
    pub(super) fn keep_marks(&mut self) {
        self.stream.keep_marks();
    }

    /// Takes the checksums of what is compressed to be right, which were when the file was read before.
    #[cfg(feature = "program")]
    pub(super) fn trust_sums(&mut self) {
        self.stream.trust_sums();
    }

    /// Reads up to the event array.
    fn read_head(&mut self) -> Result<(), ReadError> {
        let Self { path, stream, head, around, reporter, text, offset } = self;
        let mut first_bytes = Vec::new();
        loop {
            let wanted = text.len().max(1 << 16);
            let n = stream
                .append(text, wanted)
                .map_err(|source| ReadError::Io { path: path.clone(), source })?;
            if first_bytes.is_empty() {
                first_bytes.extend_from_slice(&text[..text.len().min(64)]);
            }
            if *offset == 0
                && let Some(what) = kinds::other_kind(text)
            {
                return Err(ReadError::OtherKind { path: path.clone(), what });
            }
            match around.read(text, *offset, n == 0, reporter) {
                Found::Events(start) => {
                    text.drain(..start);
                    *offset += start as u64;
                    head.layout = meta::layout(&first_bytes, text);
                    head.is_bare_array = around.entrance == Entrance::Bare;
                    head.entries = std::mem::take(&mut around.entries);
                    return Ok(());
                }
                Found::More(_) if n == 0 => return Err(nothing_found(path, around, stream)),
                Found::More(at) => {
                    text.drain(..at);
                    *offset += at as u64;
                }
            }
            if around.is_rubble_only() && *offset > MAX_RUBBLE_BYTES {
                return Err(nothing_found(path, around, stream));
            }
        }
    }

    /// Gives every block to a sink, with `options.threads` threads, and what they become to `take`, in order.
    pub(super) fn run<S: Sink>(
        self,
        options: &ReadOptions,
        make: &impl MakeSink<S>,
        take: Take<'_, S::Output>,
    ) -> Result<Finished, PassError> {
        let Self { path, mut stream, head, around, reporter, text, offset } = self;
        let n_threads = options.threads.max(1);
        let tolerant_only = options.force_slow_path;
        let (hands, tasks) = hands(n_threads);
        let texts = Texts::default();
        let room = Room::new(n_threads * (1 + BLOCKS_IN_FLIGHT_PER_THREAD));
        let no_thread = |source| ReadError::NoThread { path: path.clone(), source };
        let (cut, joined) = std::thread::scope(|scope| -> Result<_, ReadError> {
            let (path, texts, room) = (&path, &texts, &room);
            let parser = Parser { make, tolerant_only };
            let Crew { out, more, in_order } = Crew::new(n_threads, tasks, parser, room);
            let cut = move || {
                if at_once(n_threads) >= SPREAD_FROM_THREADS {
                    stream.spread(hands, offset);
                } else {
                    drop(hands);
                }
                let cut = cut_blocks(path, stream, (text.into(), offset), &out, texts);
                out.read_rest();
                cut
            };
            let cutter = start(scope, cut).map_err(no_thread)?;
            for (reader, works) in more {
                // Fewer readers read the same.
                if start(scope, move || reader.read_all(works)).is_err() {
                    break;
                }
            }
            let mut joiner = Joiner::new(make, take, texts, tolerant_only, (around, reporter));
            let closes = Closes(room);
            let joined = joiner.join(in_order, room).map(|()| joiner);
            drop(closes);
            Ok((cutter.join(), joined))
        })?;
        let cut = cut.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        joined.and_then(|joiner| joiner.finish(cut, head)).map_err(PassError::Take)
    }
}

/// How many of some threads run at once.
pub(super) fn at_once(n: usize) -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).min(n)
}

/// Starts a thread of a scope. A system that has no more of them says so.
pub(super) fn start<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    work: impl FnOnce() -> T + Send + 'scope,
) -> io::Result<ScopedJoinHandle<'scope, T>> {
    Builder::new().spawn_scoped(scope, work)
}

/// Inflates and cuts into blocks.
fn cut_blocks<S: Sink, M: MakeSink<S>>(
    path: &Path,
    mut stream: TextStream,
    (mut text, mut offset): (Text, u64),
    out: &Out<'_, S, M>,
    texts: &Texts,
) -> Result<CutEnd, ReadError> {
    let fail = |source: io::Error| ReadError::Io { path: path.to_owned(), source };
    let mut number = 0;
    // Up to here no event starts.
    let mut searched = 0;
    loop {
        let wanted = BLOCK_BYTES.saturating_sub(text.len()).max(BLOCK_BYTES / 8);
        let is_end = timed("read: inflate", || stream.fill(&mut text, wanted)).map_err(fail)? == 0;
        if !is_end && text.len() < BLOCK_BYTES {
            continue;
        }
        let found = timed("read: find the cut", || last_event_start(&text, searched));
        let cut = match found.filter(|&at| at > 0) {
            _ if is_end => text.len(),
            Some(at) => at,
            None if text.len() >= MAX_BLOCK_BYTES => text.len(),
            None => {
                // The start of an event may be cut by the end of this text.
                searched = text.len().saturating_sub(MAX_START_BYTES);
                continue;
            }
        };
        let mut rest = texts.take();
        rest.extend_from_slice(&text[cut..]);
        text.truncate(cut);
        let (text_of_block, sums) = (std::mem::replace(&mut text, rest), stream.sums());
        let block = Block { number, offset, text: text_of_block, sums };
        offset += cut as u64;
        number += 1;
        searched = 0;
        if !out.put(block) || is_end {
            let (reporter, marks) = (stream.take_reporter(), stream.take_marks());
            return Ok(CutEnd {
                json_bytes: offset,
                stream: stream.end().clone(),
                reporter,
                marks,
            });
        }
    }
}

/// Bytes in which the bracket, the first key and the colon of an event stand.
const MAX_START_BYTES: usize = 256;

/// Why an input without events is no trace.
fn nothing_found(path: &Path, around: &Around, stream: &TextStream) -> ReadError {
    if around.has_document {
        return no_events(path, around.what_is_missing(), stream);
    }
    let path = path.to_owned();
    match (&around.first_rubble, stream.end()) {
        (Some((offset, start)), _) => {
            let start = String::from_utf8_lossy(start).escape_debug().to_string();
            ReadError::NotJson { path, start, offset: *offset }
        }
        (None, StreamEnd::Truncated) => {
            ReadError::Compression { path, what: "the stream ends before any text".to_owned() }
        }
        (None, StreamEnd::Corrupt(what)) => ReadError::Compression { path, what: what.clone() },
        (None, _) => ReadError::Empty { path },
    }
}

fn no_events(path: &Path, what: &str, stream: &TextStream) -> ReadError {
    let what = match stream.end() {
        StreamEnd::Truncated => format!("{what} (the compressed stream ends early)"),
        StreamEnd::Corrupt(error) => format!("{what} (the compressed stream is damaged: {error})"),
        _ => what.to_owned(),
    };
    ReadError::NotATrace { path: path.to_owned(), what }
}
