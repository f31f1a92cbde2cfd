//! Events that are written alike: what stands between their values repeats, byte for byte.
//!
//! A profiler writes every event of a kind by the same format string, so that most of an event's text can be compared
//! with the one before it instead of being scanned. A template is what an event parsed by [`super::fast`] looks like with
//! its values taken out, but for phase, category, process and thread, which rarely change. Where the text between the values
//! is the same and each value is one value, the fast parser would have found the same spans, so that templates change how
//! long reading takes and nothing else. They are forgotten with the block.

use std::ops::Range;

use super::event::{RawEvent, RawValue};
use super::fast::{self, Refusal};

/// Templates that are kept at once.
const MAX_TEMPLATES: usize = 8;

/// Longest text between two values, and most values, of an event worth a template.
const MAX_LITERAL_BYTES: usize = 4096;
const MAX_PARTS: usize = 64;

/// Templates that may be made in vain before a block is read without them. An event that fits gives one back.
const PATIENCE: u32 = 64;

/// Where a value belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Slot {
    Ph,
    Cat,
    Name,
    Pid,
    Tid,
    Ts,
    Dur,
    Id,
    /// An argument; its key lies at this range of the literal before the value.
    Arg(Range<usize>),
    /// A member of another key, likewise.
    Other(Range<usize>),
}

impl Slot {
    /// Whether values of this kind are compared as a part of the literal.
    fn is_fixed(&self) -> bool {
        matches!(self, Self::Ph | Self::Cat | Self::Pid | Self::Tid)
    }
}

/// A literal and the value after it.
#[derive(Debug, PartialEq, Eq)]
struct Part {
    literal: Vec<u8>,
    /// Values inside the literal.
    fixed: Vec<(Slot, Range<usize>)>,
    /// `None` for the text after the last value.
    slot: Option<Slot>,
}

/// What events of one kind look like.
#[derive(Debug, PartialEq, Eq)]
struct Template {
    parts: Vec<Part>,
}

/// A value of a parsed event and where it stands, counted from the event's start.
struct Span {
    slot: Slot,
    value: Range<usize>,
}

impl Template {
    /// The template of an event that the fast parser found in `text`; `None` where it is not worth one.
    fn of(text: &[u8], event: &RawEvent<'_>) -> Option<Self> {
        let spans = spans(text, event)?;
        let mut parts = Vec::with_capacity(spans.len() + 1);
        let mut start = 0;
        let mut fixed = Vec::new();
        for Span { slot, value } in spans {
            if slot.is_fixed() {
                fixed.push((slot, value.start - start..value.end - start));
                continue;
            }
            let slot = match slot {
                Slot::Arg(key) => Slot::Arg(key.start.checked_sub(start)?..key.end - start),
                Slot::Other(key) => Slot::Other(key.start.checked_sub(start)?..key.end - start),
                slot => slot,
            };
            let literal = text[start..value.start].to_vec();
            parts.push(Part { literal, fixed: std::mem::take(&mut fixed), slot: Some(slot) });
            start = value.end;
        }
        parts.push(Part { literal: text[start..].to_vec(), fixed, slot: None });
        let is_small = parts.len() <= MAX_PARTS
            && parts.iter().all(|part| part.literal.len() <= MAX_LITERAL_BYTES);
        is_small.then_some(Self { parts })
    }

    /// Parses an event that looks like this. Gives the position after it.
    #[inline]
    fn parse<'a>(&self, text: &'a [u8], at: usize, event: &mut RawEvent<'a>) -> Option<usize> {
        event.clear();
        let mut at = at;
        for part in &self.parts {
            let here = text.get(at..at + part.literal.len())?;
            if here != part.literal {
                return None;
            }
            for (slot, range) in &part.fixed {
                set(event, slot, here, RawValue(&here[range.clone()]));
            }
            at += here.len();
            let Some(slot) = &part.slot else { return Some(at) };
            text.get(at)?;
            let end = fast::value_end(text, at).ok()?;
            set(event, slot, here, RawValue(&text[at..end]));
            at = end;
        }
        None
    }
}

#[inline]
fn set<'a>(event: &mut RawEvent<'a>, slot: &Slot, literal: &'a [u8], value: RawValue<'a>) {
    match slot {
        Slot::Ph => event.ph = value,
        Slot::Cat => event.cat = value,
        Slot::Name => event.name = value,
        Slot::Pid => event.pid = value,
        Slot::Tid => event.tid = value,
        Slot::Ts => event.ts = value,
        Slot::Dur => event.dur = value,
        Slot::Id => event.id = value,
        Slot::Arg(key) => event.args.push((&literal[key.clone()], value)),
        Slot::Other(key) => event.others.push((&literal[key.clone()], value)),
    }
}

/// The values of an event in the order of its text; `None` where a later event of the same text between the values could
/// be another one: `args` that are no object, as an object's members would be arguments.
fn spans(text: &[u8], event: &RawEvent<'_>) -> Option<Vec<Span>> {
    let range = |part: &[u8]| {
        let start = part.as_ptr() as usize - text.as_ptr() as usize;
        start..start + part.len()
    };
    let fields = [
        (Slot::Ph, event.ph),
        (Slot::Cat, event.cat),
        (Slot::Name, event.name),
        (Slot::Pid, event.pid),
        (Slot::Tid, event.tid),
        (Slot::Ts, event.ts),
        (Slot::Dur, event.dur),
        (Slot::Id, event.id),
    ];
    let mut spans = Vec::with_capacity(fields.len() + event.args.len() + event.others.len());
    for (slot, value) in fields {
        if !value.is_absent() {
            spans.push(Span { slot, value: range(value.0) });
        }
    }
    for &(key, value) in &event.args {
        spans.push(Span { slot: Slot::Arg(range(key)), value: range(value.0) });
    }
    for &(key, value) in &event.others {
        if key == b"args" {
            return None;
        }
        spans.push(Span { slot: Slot::Other(range(key)), value: range(value.0) });
    }
    spans.sort_unstable_by_key(|span| span.value.start);
    Some(spans)
}

/// A template and the one that the event after it was like, the last time.
#[derive(Debug)]
struct Known {
    template: Template,
    next: usize,
}

/// Parses the events of one block, one after the other.
#[derive(Debug)]
pub(crate) struct Templates {
    known: Vec<Known>,
    /// That of the event before.
    last: usize,
    /// Where a new template goes when there is no more room.
    oldest: usize,
    patience: u32,
}

impl Default for Templates {
    fn default() -> Self {
        Self { known: Vec::new(), last: 0, oldest: 0, patience: PATIENCE }
    }
}

impl Templates {
    /// What [`fast::parse_event`] gives, sooner where the event is written like one before it.
    #[inline]
    pub(crate) fn parse_event<'a>(
        &mut self,
        text: &'a [u8],
        at: usize,
        event: &mut RawEvent<'a>,
    ) -> Result<usize, Refusal> {
        if self.patience == 0 {
            return fast::parse_event(text, at, event);
        }
        if let Some(end) = self.parse_alike(text, at, event) {
            self.patience = PATIENCE.min(self.patience + 1);
            return Ok(end);
        }
        let end = fast::parse_event(text, at, event)?;
        self.learn(&text[at..end], event);
        Ok(end)
    }

    /// Tries the template that is expected, then the others.
    #[inline]
    fn parse_alike<'a>(
        &mut self,
        text: &'a [u8],
        at: usize,
        event: &mut RawEvent<'a>,
    ) -> Option<usize> {
        let expected = self.known.get(self.last)?.next;
        if let Some(end) = self.known.get(expected)?.template.parse(text, at, event) {
            self.last = expected;
            return Some(end);
        }
        let mut others = (0..self.known.len()).filter(|&number| number != expected);
        let (number, end) = others.find_map(|number| {
            Some((number, self.known[number].template.parse(text, at, event)?))
        })?;
        self.follow(number);
        Some(end)
    }

    /// Remembers which template came after the last one.
    fn follow(&mut self, number: usize) {
        self.known[self.last].next = number;
        self.last = number;
    }

    #[cold]
    fn learn(&mut self, text: &[u8], event: &RawEvent<'_>) {
        self.patience -= 1;
        let Some(template) = Template::of(text, event) else { return };
        let number = if self.known.len() < MAX_TEMPLATES {
            self.known.push(Known { template, next: self.known.len() });
            self.known.len() - 1
        } else {
            let number = self.oldest;
            self.oldest = (self.oldest + 1) % MAX_TEMPLATES;
            self.known[number] = Known { template, next: number };
            number
        };
        self.follow(number);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{PATIENCE, Templates};
    use crate::read::chrome::event::RawEvent;
    use crate::read::chrome::fast;

    /// Parses a text of events, each followed by a comma, both ways. Gives how many the templates knew.
    fn both_ways(text: &[u8]) -> usize {
        let mut templates = Templates::default();
        let (mut alike, mut plain) = (RawEvent::default(), RawEvent::default());
        let (mut at, mut n_known) = (0, 0);
        while at < text.len() {
            let known = templates.parse_alike(text, at, &mut alike);
            n_known += usize::from(known.is_some());
            let expected = fast::parse_event(text, at, &mut plain);
            let found = match known {
                Some(end) => Ok(end),
                None => templates.parse_event(text, at, &mut alike),
            };
            assert_eq!(found, expected, "{}", String::from_utf8_lossy(&text[at..]));
            let Ok(end) = expected else { return n_known };
            assert_eq!(alike, plain);
            at = end + 1;
        }
        n_known
    }

    #[test]
    fn events_written_alike_are_known() {
        let event = |i: usize| {
            let name = ["a", "b \\\" c", "}", ""][i % 4];
            format!(
                "{{\n \"ph\": \"X\", \"cat\": \"c\", \"name\": \"{name}\", \"pid\": 1, \"tid\": 2,\n \"ts\": {i}.5, \
                 \"args\": {{ \"k\": [{i}, {{}}], \"Python id\": {i} }}\n}},"
            )
        };
        let text: String = (0..100).map(event).collect();
        assert_eq!(both_ways(text.as_bytes()), 99);
    }

    #[test]
    fn kinds_in_turn_are_known() {
        let event = |i: usize| match i % 3 {
            0 => format!("{{\"ph\": \"X\", \"name\": \"k\", \"ts\": {i}, \"args\": {{}}}},"),
            1 => format!("{{\"ph\": \"s\", \"id\": {i}, \"ts\": {i}}},"),
            _ => format!("{{\"ph\": \"f\", \"id\": {i}, \"ts\": {i}, \"bp\": \"e\"}},"),
        };
        let text: String = (0..99).map(event).collect();
        assert_eq!(both_ways(text.as_bytes()), 96);
    }

    #[test]
    fn what_looks_alike_and_is_not_is_parsed_anew() {
        for text in [
            r#"{"ph":"X","args":1},{"ph":"X","args":{"a":2}},{"ph":"X","args":1},"#,
            r#"{"ts":1,"ts":2},{"ts":1,"ts":3},{"ts":4,"ts":5},"#,
            r#"{"args":{"a":1},"args":{"b":2}},{"args":{"a":1},"args":{"b":3}},"#,
            r#"{"ts":1},{"ts":"1"},{"ts":[1]},{"ts":{"a":1}},{"ts":NaN},{"ts":-1.5e3},{"ts":12x},"#,
            r#"{"ts":1},{"ts":1"},"#,
            r#"{"ts":1},{"ts":},"#,
            r#"{"ts":1},{"ts":1"#,
            r#"{"ts":1},{"ts":"#,
            r#"{},{},{ },"#,
        ] {
            both_ways(text.as_bytes());
        }
    }

    #[test]
    fn patience_ends_where_no_event_is_like_another() {
        let text: String = (0..PATIENCE + 1).map(|i| format!("{{\"k{i}\": 1}},")).collect();
        let mut templates = Templates::default();
        let mut event = RawEvent::default();
        let mut at = 0;
        while at < text.len() {
            at = templates.parse_event(text.as_bytes(), at, &mut event).unwrap() + 1;
        }
        assert_eq!(templates.patience, 0);
    }

    proptest! {
        /// Whatever the events look like and however they are damaged, both ways find the same.
        #[test]
        fn templates_change_nothing(
            kinds in prop::collection::vec((0..6_usize, 0..1000_u32), 1..40),
            damage in prop::option::of((0..4000_usize, any::<u8>())),
        ) {
            let mut text = String::new();
            for (kind, n) in kinds {
                text += &match kind {
                    0 => format!("{{\"ph\": \"X\", \"cat\": \"a\", \"name\": \"n{n}\", \"ts\": {n}.{n}, \"dur\": {n}}},"),
                    1 => format!("{{\"ph\": \"X\", \"cat\": \"a\", \"name\": \"n{n}\", \"ts\": {n}, \"args\": {{\"x\": {n}, \"y\": \"{n}\"}}}},"),
                    2 => format!("{{\"ph\": \"i\", \"s\": \"t\", \"pid\": {}, \"args\": {n}}},", n % 3),
                    3 => format!("{{\"ph\": \"i\", \"s\": \"t\", \"pid\": {}, \"args\": {{\"a\": [{n}, \"]\"]}}}},", n % 3),
                    4 => format!("{{ \"ts\": \"{n}\\\"\", \"name\": \"\\\\\" , \"id\": \"0x{n:x}\"}},"),
                    _ => format!("{{\"n{}\": {n}e-{n}, \"ph\": null}},", n % 20),
                };
            }
            let mut bytes = text.into_bytes();
            if let Some((at, byte)) = damage {
                let len = bytes.len();
                bytes[at % len] = byte;
            }
            both_ways(&bytes);
        }
    }
}
