//! The tolerant event parser: what the fast one refuses.
//!
//! First the event is taken as valid JSON and given to `serde_json`. Where that fails it is read with repair: a quote
//! closes a string only where what follows makes sense after a string, so that names with unescaped quotes, as torch
//! wrote them until 2026, come out whole. It works on one event at a time and never looks at what an event means.

use std::borrow::Cow;

use serde_json::value::RawValue as JsonText;

use super::event::{RawEvent, RawValue};
use super::fast::{self, Refusal, skip_space};
use Refusal::{Incomplete, Odd};

/// How an event was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// It was valid JSON.
    Valid,
    /// It was not, and was repaired.
    Repaired,
}

/// Reads an event that is no valid JSON. The text should end where the next event starts, so that no repair can take that
/// for a part of this one. Bytes of zero say that what stands before and behind them may be of two events: such are
/// refused.
pub(crate) fn parse_repaired<'a>(
    text: &'a [u8],
    at: usize,
    event: &mut RawEvent<'a>,
) -> Result<usize, Refusal> {
    let end = match parse_repairing(text, at, Backslash::Escapes, event) {
        Err(_) if memchr::memmem::find(&text[at..], b"\\\"").is_some() => {
            parse_repairing(text, at, Backslash::MayEnd, event)?
        }
        other => other?,
    };
    if memchr::memchr(0, &text[at..end]).is_some() { Err(Odd) } else { Ok(end) }
}

/// Reads the event with `serde_json`. Gives the position after its `}`. Bytes that are no UTF-8 are, as to the fast parser, a part of
/// the text or the key that they stand in.
pub(crate) fn parse_valid<'a>(
    text: &'a [u8],
    at: usize,
    event: &mut RawEvent<'a>,
) -> Result<usize, Refusal> {
    let end = fast::value_end(text, at)?;
    let object = as_text(&text[at..end]);
    let original = |part: &str| {
        let from = at + part.as_ptr().addr() - object.as_ptr().addr();
        &text[from..from + part.len()]
    };
    let members: Members<'_> = serde_json::from_str(&object).map_err(|_| Odd)?;
    event.clear();
    for (key, value) in members.0 {
        let value = value.get();
        if key == "args" && value.starts_with('{') {
            let args: Members<'_> = serde_json::from_str(value).map_err(|_| Odd)?;
            for (key, value) in args.0 {
                event.args.push((original(key), RawValue(original(value.get()))));
            }
        } else {
            event.set(original(key), RawValue(original(value)));
        }
    }
    Ok(end)
}

/// As UTF-8 of the same length: with a `?` for each byte that is none.
fn as_text(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => bytes
            .utf8_chunks()
            .flat_map(|chunk| [chunk.valid(), &"???"[..chunk.invalid().len()]])
            .collect(),
    }
}

/// The members of an object in order, repeated keys kept, values as text.
struct Members<'a>(Vec<(&'a str, &'a JsonText)>);

impl<'de: 'a, 'a> serde::Deserialize<'de> for Members<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(
                self,
                mut map: A,
            ) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry::<&'de str, &'de JsonText>()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Visitor)
    }
}

/// What a backslash before a quote is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Backslash {
    /// An escape, as it should be.
    Escapes,
    /// The last character of its string where something fitting follows: a Windows path, written without escapes.
    MayEnd,
}

/// Reads the event with repair. Of two phases or times one belongs to another event.
fn parse_repairing<'a>(
    text: &'a [u8],
    at: usize,
    backslash: Backslash,
    event: &mut RawEvent<'a>,
) -> Result<usize, Refusal> {
    event.clear();
    let mut args = Vec::new();
    let repair = Repair { text, backslash };
    let end = repair.members(at, &mut |key, value_at, value_end| {
        if key == b"args" && text[value_at] == b'{' {
            args.clear();
            repair.members(value_at, &mut |key, from, to| {
                args.push((key, RawValue(&text[from..to])));
                Ok(())
            })?;
        } else {
            let is_second =
                key == b"ph" && !event.ph.is_absent() || key == b"ts" && !event.ts.is_absent();
            if is_second {
                return Err(Odd);
            }
            event.set(key, RawValue(&text[value_at..value_end]));
        }
        Ok(())
    })?;
    event.args = args;
    if event.ph.is_absent() { Err(Odd) } else { Ok(end) }
}

/// What a value stands in: decides what may follow it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum In {
    Object,
    Array,
}

/// Reads values of a text with repair.
#[derive(Clone, Copy)]
struct Repair<'a> {
    text: &'a [u8],
    backslash: Backslash,
}

/// Takes a member: key, start and end of its value.
type Visit<'v, 'a> = &'v mut dyn FnMut(&'a [u8], usize, usize) -> Result<(), Refusal>;

impl<'a> Repair<'a> {
    /// The byte at `at`.
    fn byte(self, at: usize) -> Result<u8, Refusal> {
        self.text.get(at).copied().ok_or(Incomplete)
    }

    fn skip_space(self, at: usize) -> usize {
        skip_space(self.text, at)
    }

    /// Visits the members of the object at `at`. Gives the position after its `}`.
    fn members(self, at: usize, visit: Visit<'_, 'a>) -> Result<usize, Refusal> {
        let mut at = at + 1;
        loop {
            at = self.skip_space(at);
            match self.byte(at)? {
                b',' => {
                    at += 1;
                    continue;
                }
                b'}' => return Ok(at + 1),
                b'"' => {}
                _ => return Err(Odd),
            }
            let key_end = fast::string_end(self.text, at)?;
            let key = &self.text[at + 1..key_end - 1];
            at = self.value_start(key_end)?;
            let end = self.value_end(at, 0, In::Object)?;
            visit(key, at, end)?;
            at = end;
        }
    }

    /// From after a key to its value.
    fn value_start(self, at: usize) -> Result<usize, Refusal> {
        let colon = self.skip_space(at);
        if self.byte(colon)? == b':' { Ok(self.skip_space(colon + 1)) } else { Err(Odd) }
    }

    /// The end of the value at `at`, strings read with repair.
    fn value_end(self, at: usize, depth: usize, inside: In) -> Result<usize, Refusal> {
        if depth > crate::model::limits::MAX_JSON_DEPTH {
            return Err(Odd);
        }
        match self.byte(at)? {
            b'"' => self.string_end(at, inside),
            b'{' => self.members_end(at, depth),
            b'[' => self.elements_end(at, depth),
            b',' | b'}' | b']' | b':' => Err(Odd),
            _ => {
                let is_end = |b: &u8| matches!(b, b',' | b'}' | b']' | b'\n' | b'\r');
                let len = self.text[at..].iter().position(is_end).ok_or(Incomplete)?;
                // A form feed is trimmed and yet no space of JSON: what is left may be nothing, which is no value.
                let word = self.text[at..at + len].trim_ascii_end();
                if word.is_empty() { Err(Odd) } else { Ok(at + word.len()) }
            }
        }
    }

    fn members_end(self, at: usize, depth: usize) -> Result<usize, Refusal> {
        let mut at = at + 1;
        loop {
            at = self.skip_space(at);
            match self.byte(at)? {
                b',' => at += 1,
                b'}' => return Ok(at + 1),
                b'"' => {
                    let start = self.value_start(fast::string_end(self.text, at)?)?;
                    at = self.value_end(start, depth + 1, In::Object)?;
                }
                _ => return Err(Odd),
            }
        }
    }

    fn elements_end(self, at: usize, depth: usize) -> Result<usize, Refusal> {
        let mut at = at + 1;
        loop {
            at = self.skip_space(at);
            match self.byte(at)? {
                b',' => at += 1,
                b']' => return Ok(at + 1),
                _ => at = self.value_end(at, depth + 1, In::Array)?,
            }
        }
    }

    /// The end of a string value that may hold unescaped quotes: the first quote after which something fitting stands.
    fn string_end(self, at: usize, inside: In) -> Result<usize, Refusal> {
        let mut at = at + 1;
        loop {
            let found = memchr::memchr2(b'"', b'\\', &self.text[at..]).ok_or(Incomplete)? + at;
            if self.text[found] == b'\\' {
                let may_end = self.backslash == Backslash::MayEnd
                    && self.text.get(found + 1) == Some(&b'"')
                    && self.closes(found + 2, inside)?;
                if may_end {
                    return Ok(found + 2);
                }
                at = (found + 2).min(self.text.len());
                continue;
            }
            if self.closes(found + 1, inside)? {
                return Ok(found + 1);
            }
            // Names with quotes of their own stand on one line; what goes over several is text between strings.
            if self.text[at..found].contains(&b'\n') {
                return Err(Odd);
            }
            at = found + 1;
        }
    }

    /// Whether what stands at `at` can follow a string that is a value.
    fn closes(self, at: usize, inside: In) -> Result<bool, Refusal> {
        let at = self.skip_space(at);
        match (self.byte(at)?, inside) {
            (b'}', In::Object) | (b']', In::Array) => {
                let next = self.skip_space(at + 1);
                Ok(matches!(self.text.get(next), None | Some(b',' | b'}' | b']')))
            }
            (b',', In::Object) => self.is_key(self.skip_space(at + 1)),
            (b',', In::Array) => {
                let next = self.byte(self.skip_space(at + 1))?;
                Ok(matches!(next, b'"' | b'[' | b'{' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n'))
            }
            _ => Ok(false),
        }
    }

    /// Whether a key with its colon stands at `at`.
    fn is_key(self, at: usize) -> Result<bool, Refusal> {
        if self.byte(at)? != b'"' {
            return Ok(false);
        }
        match fast::string_end(self.text, at) {
            Ok(end) => Ok(self.byte(self.skip_space(end))? == b':'),
            Err(Odd) => Ok(false),
            Err(Incomplete) => Err(Incomplete),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Reading, parse_repaired, parse_valid};
    use crate::read::chrome::event::{RawEvent, RawValue};
    use crate::read::chrome::fast;

    fn parse(text: &str) -> Option<(RawEvent<'_>, Reading)> {
        let mut event = RawEvent::default();
        if parse_valid(text.as_bytes(), 0, &mut event).is_ok() {
            return Some((event, Reading::Valid));
        }
        parse_repaired(text.as_bytes(), 0, &mut event).ok()?;
        Some((event, Reading::Repaired))
    }

    #[test]
    fn valid_events_read_as_by_the_fast_parser() {
        let text = r#"{"ph":"X","name":"a\"b","args":{"x":[1,"y"],"x":2},"ts":1,"ts":2}"#;
        let mut by_fast = RawEvent::default();
        fast::parse_event(text.as_bytes(), 0, &mut by_fast).unwrap();
        assert_eq!(parse(text), Some((by_fast, Reading::Valid)));
    }

    #[test]
    fn bytes_that_are_no_utf_8_are_read_as_by_the_fast_parser() {
        let text = b"{\"ph\":\"X\",\"ph\xf5\":\"B\",\"name\":\"\xe2\x82\",\"args\":{\"\xf0\x9f\x98\":[\"\xff\"],\"\xc3\xa9\":1},\"ts\":1}";
        let (mut by_fast, mut by_serde) = (RawEvent::default(), RawEvent::default());
        let end = fast::parse_event(text, 0, &mut by_fast);
        assert_eq!(parse_valid(text, 0, &mut by_serde), end);
        assert_eq!(by_serde, by_fast);
        assert_eq!(by_serde.name, RawValue(b"\"\xe2\x82\""));
        // Where no text stands they are no value.
        let mut event = RawEvent::default();
        assert!(parse_valid(b"{\"ph\":\"X\",\"ts\":\xf5}", 0, &mut event).is_err());
    }

    #[test]
    fn a_form_feed_is_no_value() {
        for text in
            ["{\"ph\":\"X\",\"args\":{\"x\":[\u{c}]}}", "{\"ph\":\"X\",\"ts\":\u{c},\"dur\":1}"]
        {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn unescaped_quotes_in_names_and_arguments() {
        let text = r#"{"ph": "X", "name": "quote " in, "two", name {"device": "cpu"}", "pid": 1,
            "args": {"kwargs": "{/"BLOCK/": 12}", "list": ["a "b" c", 1], "nan": NaN}}"#;
        let (event, reading) = parse(text).unwrap();
        assert_eq!(reading, Reading::Repaired);
        assert_eq!(event.name.inner(), br#"quote " in, "two", name {"device": "cpu"}"#);
        assert_eq!(event.pid, RawValue(b"1"));
        assert_eq!(event.arg(b"kwargs").unwrap().inner(), br#"{/"BLOCK/": 12}"#);
        assert_eq!(event.arg(b"list").unwrap().0, br#"["a "b" c", 1]"#);
        assert_eq!(event.arg(b"nan").unwrap().0, b"NaN");
    }

    #[test]
    fn names_that_end_with_a_backslash() {
        let text = r#"{"ph": "X", "name": "C:\dir\", "ts": 1, "args": {"a": "b\"c", "d": "e\"}}"#;
        let (event, reading) = parse(text).unwrap();
        assert_eq!(reading, Reading::Repaired);
        assert_eq!((event.name.inner(), event.ts.0), (&br"C:\dir\"[..], &b"1"[..]));
        assert_eq!(event.arg(b"d").unwrap().0, br#""e\""#);
    }

    #[test]
    fn what_belongs_to_two_events_is_refused() {
        for text in [
            r#"{"ph":"X","name":"a " b","ts":1,"ph":"X","name":"c","ts":2}"#,
            "{\"ph\":\"X\",\"name\":\"a\0\0b\",\"ts\":2}",
            "{\"ph\":\"X\",\"name\":\"a,\n\"ts\":2},\n\"x\":\"b\"}",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
