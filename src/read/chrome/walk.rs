//! Through the events of one block.

use super::boundary::{next_event_start, next_sure_event_start};
use super::event::RawEvent;
use super::fast::{Refusal, skip_space};
use super::template::Templates;
use super::tolerant::{self, Reading};
use crate::diag::{IssueKind, Reporter};

/// What is done with the events of one block.
pub(crate) trait Sink: Send {
    /// What a block becomes.
    type Output: Send;

    /// Takes an event that starts at byte `offset` of the decompressed input.
    fn event(&mut self, event: &RawEvent<'_>, offset: u64, reading: Reading);

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

/// Gives the events of `text`, which lies inside the event array, to a sink. `base` is its offset in the decompressed input.
pub(crate) fn walk<S: Sink>(text: &[u8], base: u64, tolerant_only: bool, sink: &mut S) -> BlockEnd {
    let mut event = RawEvent::default();
    let mut templates = Templates::default();
    let mut at = 0;
    loop {
        at = skip_space(text, at);
        match text.get(at) {
            None => return BlockEnd::Clean,
            Some(b',') => at += 1,
            Some(b']') if ends_array(text, at) => return BlockEnd::ArrayEnd(at + 1),
            Some(b'{') => {
                let parsed = if tolerant_only {
                    Err(Refusal::Odd)
                } else {
                    templates.parse_event(text, at, &mut event)
                };
                let offset = base + at as u64;
                let next = match parsed {
                    Ok(end) => Step::To(end, Reading::Valid),
                    Err(_) => parse_tolerant(text, at, offset, tolerant_only, &mut event, sink),
                };
                match next {
                    Step::To(end, reading) => {
                        event.len = end - at;
                        sink.event(&event, offset, reading);
                        at = end;
                    }
                    Step::Skip(to) => at = to,
                    Step::Partial => return BlockEnd::Partial(at),
                }
            }
            Some(_) => at = skip_damage(text, at, base + at as u64, sink.reporter()),
        }
    }
}

/// What to do at an event.
enum Step {
    /// It was read; the next one starts at or after this position.
    To(usize, Reading),
    /// It was not readable and is counted; go on here.
    Skip(usize),
    /// The block ends inside it.
    Partial,
}

fn parse_tolerant<'a, S: Sink>(
    text: &'a [u8],
    at: usize,
    offset: u64,
    tolerant_only: bool,
    event: &mut RawEvent<'a>,
    sink: &mut S,
) -> Step {
    match tolerant::parse_event(text, at, event) {
        Ok((end, reading)) => {
            if reading == Reading::Repaired {
                sink.reporter().at(IssueKind::RepairedEvent, offset);
            } else if !tolerant_only {
                sink.reporter().at(IssueKind::SlowPath, offset);
            }
            Step::To(end, reading)
        }
        Err(Refusal::Odd) => Step::Skip(skip_damage(text, at, offset, sink.reporter())),
        Err(Refusal::Incomplete) => match next_sure_event_start(text, at + 1) {
            Some(next) => {
                sink.reporter().at(IssueKind::UnreadableEvent, offset);
                Step::Skip(next)
            }
            None => Step::Partial,
        },
    }
}

/// Counts what cannot be read at `at` and gives the position of the next plausible event.
fn skip_damage(text: &[u8], at: usize, offset: u64, reporter: &mut Reporter) -> usize {
    let shown = &text[at..text.len().min(at + 60)];
    let detail = format!("`{}`", String::from_utf8_lossy(shown).escape_debug());
    reporter.with_detail(IssueKind::UnreadableEvent, Some(offset), detail);
    next_event_start(text, at + 1).unwrap_or(text.len())
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
