//! Events that are written alike: what stands between their values repeats, byte for byte.
//!
//! A profiler writes every event of a kind by the same format string, so that most of an event's text can be compared
//! with the one before it instead of being scanned. A template is what an event parsed by [`super::fast`] looks like with
//! its values taken out, but for phase, category, process and thread, which rarely change. Where the text between the values
//! is the same and each value is one value, the fast parser would have found the same spans, so that templates change how
//! long reading takes and nothing else. They are forgotten with the block.

use super::event::{Alike, RawEvent, RawValue};
use super::fast::{self, Refusal};
use super::repeats::Repeats;
use super::same::is_same;
use crate::model::{Number, number_at};
use crate::read::lengths;

/// Templates that are kept at once.
pub(super) const MAX_TEMPLATES: usize = 8;

/// Longest text between two values, and most values, of an event worth a template.
const MAX_LITERAL_BYTES: usize = 4096;
const MAX_PARTS: usize = 64;

/// The place of a template among those that are kept; it is taken by the next of the same.
#[inline]
pub(super) fn place_of(template: u32) -> usize {
    template as usize % MAX_TEMPLATES
}

/// Templates that may be made in vain before a block is read without them. An event that fits gives one back.
const PATIENCE: u32 = 64;

/// Where a value belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slot<'a> {
    Ph,
    Cat,
    Name,
    Pid,
    Tid,
    Ts,
    Dur,
    Id,
    /// An argument of this key.
    Arg(&'a [u8]),
    /// A member of another key.
    Other(&'a [u8]),
}

impl Slot<'_> {
    /// Whether values of this kind are compared as a part of the literal.
    fn is_fixed(self) -> bool {
        matches!(self, Self::Ph | Self::Cat | Self::Pid | Self::Tid)
    }
}

/// A literal and the value after it.
#[derive(Debug, PartialEq, Eq)]
struct Part<'a> {
    literal: &'a [u8],
    /// `None` for the text after the last value.
    slot: Option<Slot<'a>>,
}

/// What events of one kind look like. Texts are those of the event that it was learned from.
#[derive(Debug, PartialEq, Eq)]
struct Template<'a> {
    parts: Vec<Part<'a>>,
    ph: RawValue<'a>,
    cat: RawValue<'a>,
    pid: RawValue<'a>,
    tid: RawValue<'a>,
}

/// The value of a slot: where it stands in the text, and the number that it is, if it is a plain one.
#[derive(Clone, Copy, Debug)]
struct Value {
    start: usize,
    end: usize,
    number: Option<Number>,
}

/// A value of a parsed event and where it stands.
struct Span<'a> {
    slot: Slot<'a>,
    value: &'a [u8],
}

impl<'a> Template<'a> {
    /// The template of an event that the fast parser found in `text`; `None` where it is not worth one.
    fn of(text: &'a [u8], event: &RawEvent<'a>) -> Option<Self> {
        let spans = spans(event)?;
        let mut parts = Vec::with_capacity(spans.len() + 1);
        let mut start = 0;
        for Span { slot, value } in spans.into_iter().filter(|span| !span.slot.is_fixed()) {
            let at = value.as_ptr().addr() - text.as_ptr().addr();
            if let Slot::Arg(key) | Slot::Other(key) = slot {
                // The key has to be a part of the literal.
                (key.as_ptr().addr() - text.as_ptr().addr()).checked_sub(start)?;
            }
            parts.push(Part { literal: &text[start..at], slot: Some(slot) });
            start = at + value.len();
        }
        parts.push(Part { literal: &text[start..], slot: None });
        let is_small = parts.len() <= MAX_PARTS
            && parts.iter().all(|part| part.literal.len() <= MAX_LITERAL_BYTES);
        let RawEvent { ph, cat, pid, tid, .. } = *event;
        is_small.then_some(Self { parts, ph, cat, pid, tid })
    }

    /// Finds the values of an event that looks like this. Gives the position after it.
    #[inline]
    fn parse(
        &self,
        text: &'a [u8],
        at: usize,
        names: &mut Repeats<'a>,
        values: &mut Vec<Value>,
    ) -> Option<usize> {
        let (first, others) = self.parts.split_first()?;
        let mut at = after(text, at, first.literal)?;
        values.clear();
        let mut slot = first.slot;
        for part in others {
            let value = match slot? {
                Slot::Name => {
                    Value { start: at, end: names.value_end(text, at).ok()?, number: None }
                }
                _ => value_at(text, at, part.literal)?,
            };
            values.push(value);
            at = after(text, value.end, part.literal)?;
            slot = part.slot;
        }
        Some(at)
    }

    /// The slots of its values.
    fn slots(&self) -> impl Iterator<Item = Slot<'a>> + '_ {
        self.parts.iter().filter_map(|part| part.slot)
    }
}

/// The value that a literal is to follow, if it is one.
#[inline]
fn value_at(text: &[u8], at: usize, literal: &[u8]) -> Option<Value> {
    // A literal begins with what may follow a value, so that a number ends before it.
    if let Some((number, end)) = number_at(text, at)
        && text.get(end) == literal.first()
    {
        return Some(Value { start: at, end, number: Some(number) });
    }
    text.get(at)?;
    Some(Value { start: at, end: fast::value_end(text, at).ok()?, number: None })
}

/// The position after a literal at `at`, where it stands there.
#[inline]
fn after(text: &[u8], at: usize, literal: &[u8]) -> Option<usize> {
    let end = at + literal.len();
    is_same(text.get(at..end)?, literal).then_some(end)
}

#[inline]
fn set<'a>(event: &mut RawEvent<'a>, slot: Slot<'a>, value: RawValue<'a>) {
    match slot {
        Slot::Ph => event.ph = value,
        Slot::Cat => event.cat = value,
        Slot::Name => event.name = value,
        Slot::Pid => event.pid = value,
        Slot::Tid => event.tid = value,
        Slot::Ts => event.ts = value,
        Slot::Dur => event.dur = value,
        Slot::Id => event.id = value,
        Slot::Arg(key) => event.args.push((key, value)),
        Slot::Other(key) => event.others.push((key, value)),
    }
}

/// The values of an event in the order of its text; `None` where a later event of the same text between the values could
/// be another one: `args` that are no object, as an object's members would be arguments.
fn spans<'a>(event: &RawEvent<'a>) -> Option<Vec<Span<'a>>> {
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
            spans.push(Span { slot, value: value.0 });
        }
    }
    for &(key, value) in &event.args {
        spans.push(Span { slot: Slot::Arg(key), value: value.0 });
    }
    for &(key, value) in &event.others {
        if key == b"args" {
            return None;
        }
        spans.push(Span { slot: Slot::Other(key), value: value.0 });
    }
    spans.sort_unstable_by_key(|span| span.value.as_ptr().addr());
    Some(spans)
}

/// A template and the one that the event after it was like, the last time.
#[derive(Debug)]
struct Known<'a> {
    template: Template<'a>,
    /// No other template of the block has or had it. Its place is the rest of it by [`MAX_TEMPLATES`].
    number: u32,
    has_name: bool,
    next: usize,
}

/// An event that is written like one before it.
pub(crate) struct Repeated<'t, 'a> {
    text: &'a [u8],
    template: &'t Template<'a>,
    values: &'t [Value],
    alike: Alike,
    len: usize,
}

impl<'a> Repeated<'_, 'a> {
    /// What it repeats.
    #[inline]
    pub(in crate::read) fn alike(&self) -> Alike {
        self.alike
    }

    /// What it is.
    #[inline]
    pub(in crate::read) fn known(&self) -> lengths::Known<'a> {
        let Template { cat, ph, .. } = self.template;
        lengths::Known { cat: cat.inner(), ph: ph.inner(), len: self.len }
    }

    /// Where its values belong, in the order of the text; those that are not a part of what it repeats.
    pub(super) fn slots(&self) -> impl Iterator<Item = Slot<'a>> + '_ {
        self.template.slots()
    }

    /// The value of a slot, by its place in that order, if it is a plain number.
    #[inline]
    pub(super) fn number(&self, place: usize) -> Option<Number> {
        self.values.get(place)?.number
    }

    /// The event as its spans.
    fn fill(&self, event: &mut RawEvent<'a>) {
        event.clear();
        let Template { ph, cat, pid, tid, .. } = *self.template;
        (event.ph, event.cat, event.pid, event.tid) = (ph, cat, pid, tid);
        for (slot, value) in self.slots().zip(self.values) {
            set(event, slot, RawValue(&self.text[value.start..value.end]));
        }
    }
}

/// Parses the events of one block, one after the other.
#[derive(Debug)]
pub(crate) struct Templates<'a> {
    known: Vec<Known<'a>>,
    names: Repeats<'a>,
    /// That of the event before.
    last: usize,
    patience: u32,
    n_learned: u32,
    /// Of the event that was found last.
    values: Vec<Value>,
}

impl Default for Templates<'_> {
    fn default() -> Self {
        Self {
            known: Vec::new(),
            names: Repeats::default(),
            last: 0,
            patience: PATIENCE,
            n_learned: 0,
            values: Vec::with_capacity(MAX_PARTS),
        }
    }
}

impl<'a> Templates<'a> {
    /// Looks for an event that is written like one before it. Gives the position after it.
    #[inline]
    pub(crate) fn find(&mut self, text: &'a [u8], at: usize) -> Option<usize> {
        if self.patience == 0 {
            return None;
        }
        let end = self.find_alike(text, at)?;
        self.patience = PATIENCE.min(self.patience + 1);
        Some(end)
    }

    /// The event that was found last, of so many bytes.
    #[inline]
    pub(crate) fn found(&self, text: &'a [u8], len: usize) -> Repeated<'_, 'a> {
        let Known { template, number, has_name, .. } = &self.known[self.last];
        let name = self.names.last_number().filter(|_| *has_name);
        let alike = Alike { template: Some(*number), name };
        Repeated { text, template, values: &self.values, alike, len }
    }

    /// What [`fast::parse_event`] gives, sooner where the event was found. What it repeats is told in it.
    #[inline]
    pub(crate) fn parse_event(
        &mut self,
        text: &'a [u8],
        at: usize,
        found: Option<usize>,
        event: &mut RawEvent<'a>,
    ) -> Result<usize, Refusal> {
        if let Some(end) = found {
            let found = self.found(text, end - at);
            found.fill(event);
            event.alike = found.alike;
            return Ok(end);
        }
        let end = fast::parse_event(text, at, event)?;
        if self.patience > 0 {
            self.learn(&text[at..end], event);
        }
        Ok(end)
    }

    /// Tries the template that is expected, then the others.
    #[inline]
    fn find_alike(&mut self, text: &'a [u8], at: usize) -> Option<usize> {
        let expected = self.known.get(self.last)?.next;
        let before = self.names.last_number();
        let (names, values) = (&mut self.names, &mut self.values);
        if let Some(end) = self.known.get(expected)?.template.parse(text, at, names, values) {
            self.last = expected;
            return Some(end);
        }
        let mut others = (0..self.known.len()).filter(|&number| number != expected);
        let found = others.find_map(|number| {
            // Another template may have passed over the name.
            names.go_on_behind(before);
            Some((number, self.known[number].template.parse(text, at, names, values)?))
        });
        let Some((number, end)) = found else {
            names.go_on_behind(before);
            return None;
        };
        self.follow(number);
        Some(end)
    }

    /// Remembers which template came after the last one.
    fn follow(&mut self, number: usize) {
        self.known[self.last].next = number;
        self.last = number;
    }

    #[cold]
    fn learn(&mut self, text: &'a [u8], event: &RawEvent<'a>) {
        self.patience -= 1;
        let Some(template) = Template::of(text, event) else { return };
        let number = self.n_learned;
        self.n_learned += 1;
        let place = place_of(number);
        let has_name = !event.name.is_absent();
        let known = Known { template, number, has_name, next: place };
        match self.known.get_mut(place) {
            Some(oldest) => *oldest = known,
            None => self.known.push(known),
        }
        self.follow(place);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::{PATIENCE, Repeated, Templates};
    use crate::model::Number;
    use crate::read::chrome::event::{Alike, RawEvent, RawValue};
    use crate::read::chrome::fast;

    /// What numbers of templates and names stand for.
    #[derive(Default)]
    struct Holds<'a> {
        templates: BTreeMap<u32, [Vec<&'a [u8]>; 2]>,
        names: BTreeMap<u32, &'a [u8]>,
    }

    impl<'a> Holds<'a> {
        /// Two events of one number have in common what the number says.
        fn check(&mut self, event: &RawEvent<'a>, alike: Alike) {
            let fixed = [event.ph, event.cat, event.pid, event.tid].map(|value| value.0).to_vec();
            let keys = event.args.iter().map(|&(key, _)| key).collect();
            if let Some(number) = alike.template {
                let common = [fixed, keys];
                assert_eq!(*self.templates.entry(number).or_insert_with(|| common.clone()), common);
            }
            if let Some(number) = alike.name {
                assert_eq!(*self.names.entry(number).or_insert(event.name.0), event.name.0);
            }
        }
    }

    /// The numbers of slots are what their text says.
    fn check_numbers(found: &Repeated<'_, '_>) {
        for (place, value) in found.values.iter().enumerate() {
            let text = RawValue(&found.text[value.start..value.end]);
            match found.number(place) {
                Some(Number::Whole(number)) => {
                    assert_eq!(text.as_u64(), Some(number));
                    assert_eq!(text.as_ns(), Some(number as i64 * 1000));
                }
                Some(Number::Thousandths(number)) => {
                    assert_eq!(text.as_ns(), Some(number as i64));
                    assert!(text.0.contains(&b'.'));
                }
                None => {}
            }
        }
    }

    /// Parses a text of events, each followed by a comma, both ways. Gives how many the templates knew.
    fn both_ways(text: &[u8]) -> usize {
        let mut templates = Templates::default();
        let (mut alike, mut plain) = (RawEvent::default(), RawEvent::default());
        let (mut at, mut n_known) = (0, 0);
        let mut holds = Holds::default();
        while at < text.len() {
            let end = templates.find(text, at);
            if let Some(end) = end {
                check_numbers(&templates.found(text, end - at));
            }
            let found = templates.parse_event(text, at, end, &mut alike);
            let repeats = std::mem::take(&mut alike.alike);
            assert_eq!(repeats.template.is_some(), end.is_some());
            n_known += usize::from(end.is_some());
            let expected = fast::parse_event(text, at, &mut plain);
            assert_eq!(found, expected, "{}", String::from_utf8_lossy(&text[at..]));
            let Ok(end) = expected else { return n_known };
            assert_eq!(alike, plain);
            holds.check(&alike, repeats);
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
            let found = templates.find(text.as_bytes(), at);
            at = templates.parse_event(text.as_bytes(), at, found, &mut event).unwrap() + 1;
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
