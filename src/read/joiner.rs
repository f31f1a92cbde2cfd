//! Blocks that were read apart, put together in order: wrong cuts are mended, and what stands around the events is read.
//!
//! A block was read as if it began between two events. Where it did not, because the block before ended inside an event,
//! or because the events had ended, its text is read again here, with what was left before it.

use std::io;

use super::block_text::{Text, Texts};
use super::chrome::document::{Around, Found};
use super::chrome::walk::{BlockEnd, How, Sink};
use super::crew::{Given, InOrder, Parsed, parse_text};
use super::pipeline::{CutEnd, Finished, Head, MakeSink, Take};
use super::room::Room;
use super::source::StreamEnd;
use crate::diag::timings::timed;
use crate::diag::{IssueKind, Reporter};
use crate::model::limits::MAX_EVENT_BYTES;

/// Whether the text that comes next is of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Events,
    Around,
}

/// Events that stand behind the end of the trace.
#[derive(Clone, Copy, Debug, Default)]
struct Behind {
    n_events: u64,
    n_bytes: u64,
    first_offset: Option<u64>,
    /// Where those begin that are read now.
    since: Option<u64>,
}

/// Text of which the start is dealt with piece by piece. Moving what is left costs each byte a few copies, however many the
/// pieces.
#[derive(Debug, Default)]
struct Rest {
    text: Text,
    start: usize,
}

impl Rest {
    /// The text behind its first `n` bytes.
    fn behind(text: Text, n: usize) -> Self {
        Self { text, start: n }
    }

    fn bytes(&self) -> &[u8] {
        &self.text[self.start..]
    }

    fn len(&self) -> usize {
        self.text.len() - self.start
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Passes over the first bytes.
    fn pass(&mut self, n: usize) {
        self.start += n;
        if self.start >= self.text.len() / 2 {
            self.text.remove_start(self.start);
            self.start = 0;
        }
    }

    /// Appends text. Gives memory that is free now.
    fn extend(&mut self, more: Text) -> Text {
        if self.is_empty() {
            return std::mem::replace(self, Self::behind(more, 0)).text;
        }
        self.text.extend_from_slice(&more);
        more
    }
}

/// Puts the results in order.
pub(super) struct Joiner<'t, S: Sink, M> {
    make: &'t M,
    take: Take<'t, S::Output>,
    texts: &'t Texts,
    reporter: Reporter,
    around: Around,
    place: Place,
    /// Text that is not dealt with: the start of an event that its block did not hold whole, or what stands around events.
    rest: Rest,
    /// Its offset, and so that of the next block where there is none.
    offset: u64,
    /// Bytes of it that were looked at and are of an event that goes on.
    tried: usize,
    /// Bytes of it that make another attempt worth while.
    wanted: usize,
    behind: Behind,
    /// Whether events were come upon once.
    is_one_array: bool,
    tolerant_only: bool,
}

impl<'t, S: Sink, M: MakeSink<S>> Joiner<'t, S, M> {
    pub(super) fn new(
        make: &'t M,
        take: Take<'t, S::Output>,
        texts: &'t Texts,
        tolerant_only: bool,
        (around, reporter): (Around, Reporter),
    ) -> Self {
        let (place, behind) = (Place::Events, Behind::default());
        let (rest, offset, tried, wanted) = (Rest::default(), 0, 0, 0);
        Self {
            make,
            take,
            texts,
            reporter,
            around,
            place,
            rest,
            offset,
            tried,
            wanted,
            behind,
            is_one_array: true,
            tolerant_only,
        }
    }

    /// Joins blocks until there are no more; each that is joined leaves a room.
    pub(super) fn join(&mut self, mut blocks: InOrder<'_, S, M>, room: &Room) -> io::Result<()> {
        while let Some(parsed) = blocks.next() {
            timed("read: join", || self.add(parsed))?;
            room.leave();
        }
        Ok(())
    }

    /// Takes the next block. What it gave counts only if the one before ended between two events.
    fn add(&mut self, parsed: Parsed<S::Output>) -> io::Result<()> {
        let Parsed { block, given } = parsed;
        if self.place == Place::Events && self.rest.is_empty() {
            self.offset = block.offset;
            self.texts.give(self.rest.extend(block.text));
            return self.take(given).and_then(|()| self.go_on(false));
        }
        if self.rest.is_empty() {
            self.offset = block.offset;
        }
        self.texts.give(self.rest.extend(block.text));
        if self.rest.len() < self.wanted { Ok(()) } else { self.go_on(false) }
    }

    /// Takes what the text became, and keeps what it did not hold whole.
    fn take(&mut self, given: Given<S::Output>) -> io::Result<()> {
        let Given { output, reporter, walked } = given;
        let offset = self.offset;
        (self.take)(offset, output)?;
        self.reporter.merge(reporter);
        if self.behind.since.is_some() {
            self.behind.n_events += walked.n_events;
        }
        let end = match walked.end {
            BlockEnd::Clean => self.rest.len(),
            BlockEnd::Partial(at) => at,
            BlockEnd::ArrayEnd(at) => {
                self.place = Place::Around;
                self.around.leave_events();
                self.end_behind(offset + at as u64);
                at
            }
        };
        self.rest.pass(end);
        self.offset = offset + end as u64;
        // An event that goes over many blocks is not read again with each of them.
        self.tried = if matches!(walked.end, BlockEnd::Partial(_)) { self.rest.len() } else { 0 };
        self.wanted = (2 * self.tried).min(MAX_EVENT_BYTES + 1);
        Ok(())
    }

    /// Reads on in what is left, as far as it goes.
    fn go_on(&mut self, is_last: bool) -> io::Result<()> {
        loop {
            if self.rest.is_empty() && !is_last {
                return Ok(());
            }
            match self.place {
                Place::Around => match self.read_around(is_last) {
                    Found::Events(_) => {}
                    Found::More(_) => return Ok(()),
                },
                Place::Events if self.tried > MAX_EVENT_BYTES => self.leave_event(),
                Place::Events if self.rest.len() < self.wanted && !is_last => return Ok(()),
                Place::Events if self.rest.is_empty() => return Ok(()),
                Place::Events => {
                    let how = How { tolerant_only: self.tolerant_only, is_last };
                    let given = parse_text(self.rest.bytes(), self.offset, how, self.make);
                    self.take(given)?;
                    if is_last && self.place == Place::Events {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Reads what stands around the events, up to the next ones.
    fn read_around(&mut self, is_last: bool) -> Found {
        let text = self.rest.bytes();
        let found = self.around.read(text, self.offset, is_last, &mut self.reporter);
        let (Found::Events(at) | Found::More(at)) = found;
        self.rest.pass(at);
        self.offset += at as u64;
        match found {
            Found::Events(_) => {
                self.is_one_array = false;
                (self.place, self.tried, self.wanted) = (Place::Events, 0, 0);
                if let Some(offset) = self.around.take_behind() {
                    self.behind.since = Some(offset);
                    self.behind.first_offset.get_or_insert(offset);
                }
            }
            // What is incomplete is not read again with each block.
            Found::More(_) => self.wanted = 2 * self.rest.len(),
        }
        found
    }

    /// Gives up on an event beyond the limit.
    fn leave_event(&mut self) {
        self.reporter.at(IssueKind::OversizedEvent, self.offset);
        self.around.leave_event(self.offset);
        self.rest.pass(1);
        self.offset += 1;
        (self.place, self.tried, self.wanted) = (Place::Around, 0, 0);
    }

    fn end_behind(&mut self, offset: u64) {
        if let Some(since) = self.behind.since.take() {
            self.behind.n_bytes += offset - since;
        }
    }

    /// Reads what is left at the end of the input.
    pub(super) fn finish(mut self, cut: CutEnd, mut head: Head) -> io::Result<Finished> {
        let CutEnd { json_bytes, stream, reporter, mut marks } = cut;
        self.reporter.merge(reporter);
        self.go_on(true)?;
        if self.place == Place::Around {
            self.around.finish(self.rest.bytes(), self.offset, &mut self.reporter);
        }
        self.end_behind(json_bytes);
        self.note_behind(json_bytes);
        let mut truncated = false;
        if self.place == Place::Events {
            truncated = self.note_end_of_events(json_bytes, head.is_bare_array);
        }
        if self.place == Place::Events || !self.is_one_array {
            marks.clear();
        }
        note_stream_end(&stream, json_bytes, &mut self.reporter);
        truncated |= matches!(stream, StreamEnd::Truncated | StreamEnd::Corrupt(_));
        head.entries.append(&mut self.around.entries);
        Ok(Finished { head, reporter: self.reporter, json_bytes, truncated, marks })
    }

    /// The input ended among the events. A bare array needs no end.
    fn note_end_of_events(&mut self, json_bytes: u64, is_bare: bool) -> bool {
        if self.rest.is_empty() && is_bare {
            return false;
        }
        let (offset, detail) = if self.rest.is_empty() {
            (json_bytes, "the event array has no end".to_owned())
        } else {
            (self.offset, format!("the last event is cut off after {} bytes", self.rest.len()))
        };
        let counted = (1, self.rest.len() as u64);
        self.reporter.passed_over(IssueKind::TruncatedFile, counted, offset, Some(detail));
        true
    }

    fn note_behind(&mut self, json_bytes: u64) {
        let Behind { n_events, n_bytes, first_offset: Some(_), .. } = self.behind else { return };
        let events =
            if n_events == 1 { "1 event".to_owned() } else { format!("{n_events} events") };
        let pct = n_bytes * 100 / json_bytes.max(1);
        let detail = format!("{events} in {n_bytes} bytes ({pct} % of the text)");
        let kind = IssueKind::EventsBehindEnd;
        self.reporter.add(kind, n_events.max(1), self.behind.first_offset, Some(detail));
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
