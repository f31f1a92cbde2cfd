//! Through the events of one block.

use super::boundary::{count_starts, next_event, next_event_array, next_whole_event};
use super::event::RawEvent;
use super::fast::{Refusal, skip_space};
use super::template::{Repeated, Templates};
use super::tolerant::{self, Reading};
use crate::diag::{IssueKind, Reporter};
use crate::model::limits::MAX_EVENT_BYTES;

/// What is done with the events of one block.
pub(crate) trait Sink: Send {
    /// What a block becomes.
    type Output: Send;

    /// Takes an event that starts at byte `offset` of the decompressed input.
    fn event(&mut self, event: &RawEvent<'_>, offset: u64, reading: Reading);

    /// Takes an event that is written like one before it, if all that it says is known from that and its numbers. Otherwise
    /// [`Self::event`] gets it.
    #[inline]
    fn repeated(&mut self, _: &Repeated<'_, '_>) -> bool {
        false
    }

    /// Asked before anything else: whether nothing of the block need be read. The sink has taken note of all its events then.
    #[cfg(feature = "program")]
    fn passes_all(&mut self) -> bool {
        false
    }

    /// Asked where an event starts, with the text from there on: how many bytes it takes, where it need not be read.
    fn steps_over(&mut self, _rest: &[u8]) -> Option<usize> {
        None
    }

    /// Takes note that something was passed over that became no event.
    fn passed_over(&mut self) {}

    /// Where damage is counted.
    fn reporter(&mut self) -> &mut Reporter;

    /// What the block became.
    fn finish(self) -> (Self::Output, Reporter);
}

/// How a block ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BlockEnd {
    /// Between two events.
    Clean,
    /// Inside the event that starts at this position.
    Partial(usize),
    /// With the array: the position after its `]`.
    ArrayEnd(usize),
}

/// How a block is gone through.
#[derive(Clone, Copy, Debug)]
pub(crate) struct How {
    /// Only the tolerant parser is used.
    pub(crate) tolerant_only: bool,
    /// No text follows: what is not whole here never will be.
    pub(crate) is_last: bool,
}

/// What going through a block came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Walked {
    pub(crate) end: BlockEnd,
    /// Events that the sink got.
    pub(crate) n_events: u64,
}

/// Gives the events of `text`, which lies inside the event array, to a sink. `base` is its offset in the decompressed input.
pub(crate) fn walk<S: Sink>(text: &[u8], base: u64, how: How, sink: &mut S) -> Walked {
    let mut event = RawEvent::default();
    let mut templates = Templates::default();
    let mut damage = Damage::new(text, base, how.is_last);
    let mut at = 0;
    let mut n_events = 0;
    let end = loop {
        at = skip_space(text, at);
        match text.get(at) {
            None => break BlockEnd::Clean,
            Some(b',') => at += 1,
            Some(b']') if ends_array(text, at) => break BlockEnd::ArrayEnd(at + 1),
            Some(b'{') => {
                if let Some(n) = sink.steps_over(&text[at..]) {
                    (at, n_events) = (at + n, n_events + 1);
                    continue;
                }
                let found = if how.tolerant_only { None } else { templates.find(text, at) };
                if let Some(end) = found.filter(|&end| end - at <= MAX_EVENT_BYTES)
                    && sink.repeated(&templates.found(text, end - at))
                {
                    (at, n_events) = (end, n_events + 1);
                    continue;
                }
                let parsed = if how.tolerant_only {
                    tolerant::parse_valid(text, at, &mut event)
                } else {
                    templates.parse_event(text, at, found, &mut event)
                };
                let step = match parsed {
                    Ok(end) if event.ph.is_absent() => damage.without_phase(at, end, &event, sink),
                    Ok(end) => Step::Take(end, Reading::Valid),
                    Err(refusal) => damage.mend(at, refusal, &mut event, sink),
                };
                match step {
                    Step::Take(end, _) if end - at > MAX_EVENT_BYTES => {
                        sink.reporter().at(IssueKind::OversizedEvent, base + at as u64);
                        sink.passed_over();
                        at = end;
                    }
                    Step::Take(end, reading) => {
                        event.len = end - at;
                        sink.event(&event, base + at as u64, reading);
                        n_events += 1;
                        at = end;
                    }
                    Step::Skip(to) => {
                        sink.passed_over();
                        at = to;
                    }
                    Step::Partial => break BlockEnd::Partial(at),
                }
            }
            Some(_) => {
                sink.passed_over();
                at = damage.skip(at, sink.reporter());
            }
        }
    };
    Walked { end, n_events }
}

/// What to do at an event.
enum Step {
    /// It was read; the next one starts at or after this position.
    Take(usize, Reading),
    /// It holds nothing, or was not readable and is counted; go on here.
    Skip(usize),
    /// The block ends inside it.
    Partial,
}

/// Finds the way on after damage. Every byte is searched once for where the next event starts, however many are damaged.
struct Damage<'a> {
    text: &'a [u8],
    base: u64,
    is_last: bool,
    /// What [`next_event`] and [`next_whole_event`] found last.
    next: Search,
    next_whole: Search,
}

/// A search through the text for the next of a kind, remembered: from where it was made, and what it found.
#[derive(Clone, Copy, Default)]
struct Search(Option<(usize, Option<usize>)>);

impl Search {
    /// What `find` gives from a position on.
    fn next(&mut self, from: usize, find: impl Fn(usize) -> Option<usize>) -> Option<usize> {
        match self.0 {
            Some((searched, found)) if searched <= from && found.is_none_or(|at| from <= at) => {
                found
            }
            _ => {
                let found = find(from);
                self.0 = Some((from, found));
                found
            }
        }
    }
}

impl<'a> Damage<'a> {
    fn new(text: &'a [u8], base: u64, is_last: bool) -> Self {
        Self { text, base, is_last, next: Search::default(), next_whole: Search::default() }
    }

    /// Reads the damaged event at `at` with repair, up to where the next one starts, or counts it.
    fn mend<S: Sink>(
        &mut self,
        at: usize,
        refusal: Refusal,
        event: &mut RawEvent<'a>,
        sink: &mut S,
    ) -> Step {
        // An event that the text ends inside of is whole with the text that follows, unless another whole event stands in
        // it.
        let may_go_on = refusal == Refusal::Incomplete && !self.is_last;
        let text = self.text;
        if may_go_on && self.next_whole.next(at + 1, |from| next_whole_event(text, from)).is_none()
        {
            return Step::Partial;
        }
        let next = self.next_event(at + 1);
        match tolerant::parse_repaired(&text[..next.unwrap_or(text.len())], at, event) {
            Ok(end) => {
                sink.reporter().at(IssueKind::RepairedEvent, self.base + at as u64);
                Step::Take(end, Reading::Repaired)
            }
            Err(Refusal::Incomplete) if next.is_none() => Step::Partial,
            Err(_) => Step::Skip(self.skip(at, sink.reporter())),
        }
    }

    /// An object without a phase: an empty one is nothing; one that is a whole trace is gone into, for its events; any
    /// other is for the sink to judge.
    fn without_phase<S: Sink>(
        &mut self,
        at: usize,
        end: usize,
        event: &RawEvent<'_>,
        sink: &mut S,
    ) -> Step {
        if *event == (RawEvent { alike: event.alike, ..RawEvent::default() }) {
            return Step::Skip(end);
        }
        match next_event_array(&self.text[..end], at) {
            Some(start) => {
                sink.reporter().at(IssueKind::SeveralDocuments, self.base + at as u64);
                Step::Skip(start)
            }
            None => Step::Take(end, Reading::Valid),
        }
    }

    /// Counts what cannot be read at `at`, an event for every start of one in it, and gives where to go on.
    fn skip(&mut self, at: usize, reporter: &mut Reporter) -> usize {
        let next = self.next_event(at + 1).unwrap_or(self.text.len());
        let n_lost = 1 + count_starts(self.text, at + 1..next);
        let is_first = reporter.count(IssueKind::UnreadableEvent) == 0;
        let detail = is_first.then(|| {
            let shown = &self.text[at..next.min(at + 60)];
            format!("`{}`", String::from_utf8_lossy(shown).escape_debug())
        });
        let counted = (n_lost, (next - at) as u64);
        let offset = self.base + at as u64;
        reporter.passed_over(IssueKind::UnreadableEvent, counted, offset, detail);
        next
    }

    /// Where the next event surely starts at or after `from`, whole or not.
    fn next_event(&mut self, from: usize) -> Option<usize> {
        self.next.next(from, |from| next_event(self.text, from))
    }
}

/// Whether the `]` at `at` closes the array: what follows is the end, a further member, or the end of the object.
fn ends_array(text: &[u8], at: usize) -> bool {
    let next = skip_space(text, at + 1);
    match text.get(next) {
        None | Some(b'}') => true,
        Some(b',') => matches!(text.get(skip_space(text, next + 1)), None | Some(b'"')),
        Some(_) => false,
    }
}
