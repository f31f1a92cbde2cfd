//! The tolerant event parser: what the fast one refuses.
//!
//! First the event is taken as valid JSON and given to `serde_json`. Where that fails it is read with repair: a quote
//! closes a string only where what follows makes sense after a string, so that names with unescaped quotes, as torch
//! wrote them until 2026, come out whole. It works on one event at a time and never looks at what an event means.

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

/// Parses the object at `at` (which must be its `{`). Gives the position after its `}`.
pub(crate) fn parse_event<'a>(
    text: &'a [u8],
    at: usize,
    event: &mut RawEvent<'a>,
) -> Result<(usize, Reading), Refusal> {
    if let Some(end) = parse_valid(text, at, event) {
        return Ok((end, Reading::Valid));
    }
    let end = parse_repairing(text, at, event)?;
    Ok((end, Reading::Repaired))
}

/// Reads the event with `serde_json`; `None` where it is not valid.
fn parse_valid<'a>(text: &'a [u8], at: usize, event: &mut RawEvent<'a>) -> Option<usize> {
    let end = fast::value_end(text, at).ok()?;
    let object = std::str::from_utf8(&text[at..end]).ok()?;
    let members: Members<'a> = serde_json::from_str(object).ok()?;
    event.clear();
    for (key, value) in members.0 {
        let value = value.get();
        if key == "args" && value.starts_with('{') {
            let args: Members<'a> = serde_json::from_str(value).ok()?;
            for (key, value) in args.0 {
                event.args.push((key.as_bytes(), RawValue(value.get().as_bytes())));
            }
        } else {
            event.set(key.as_bytes(), RawValue(value.as_bytes()));
        }
    }
    Some(end)
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

/// Reads the event with repair.
fn parse_repairing<'a>(
    text: &'a [u8],
    at: usize,
    event: &mut RawEvent<'a>,
) -> Result<usize, Refusal> {
    event.clear();
    let mut args = Vec::new();
    let end = members(text, at, &mut |key, value_at, value_end| {
        if key == b"args" && text[value_at] == b'{' {
            args.clear();
            members(text, value_at, &mut |key, from, to| {
                args.push((key, RawValue(&text[from..to])));
                Ok(())
            })?;
        } else {
            event.set(key, RawValue(&text[value_at..value_end]));
        }
        Ok(())
    })?;
    event.args = args;
    if event.ph.is_absent() { Err(Odd) } else { Ok(end) }
}

/// Visits the members of the object at `at`: key, start and end of the value. Gives the position after its `}`.
fn members<'a>(
    text: &'a [u8],
    at: usize,
    visit: &mut dyn FnMut(&'a [u8], usize, usize) -> Result<(), Refusal>,
) -> Result<usize, Refusal> {
    let mut at = at + 1;
    loop {
        at = skip_space(text, at);
        match text.get(at).ok_or(Incomplete)? {
            b',' => {
                at += 1;
                continue;
            }
            b'}' => return Ok(at + 1),
            b'"' => {}
            _ => return Err(Odd),
        }
        let key_end = fast::string_end(text, at)?;
        let key = &text[at + 1..key_end - 1];
        at = skip_space(text, key_end);
        if *text.get(at).ok_or(Incomplete)? != b':' {
            return Err(Odd);
        }
        at = skip_space(text, at + 1);
        let end = value_end(text, at, 0, In::Object)?;
        visit(key, at, end)?;
        at = end;
    }
}

/// What a value stands in: decides what may follow it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum In {
    Object,
    Array,
}

/// The end of the value at `at`, strings read with repair.
fn value_end(text: &[u8], at: usize, depth: usize, inside: In) -> Result<usize, Refusal> {
    if depth > crate::model::limits::MAX_JSON_DEPTH {
        return Err(Odd);
    }
    match text.get(at).ok_or(Incomplete)? {
        b'"' => repaired_string_end(text, at, inside),
        b'{' => members_end(text, at, depth),
        b'[' => elements_end(text, at, depth),
        b',' | b'}' | b']' | b':' => Err(Odd),
        _ => {
            let is_end = |b: &u8| matches!(b, b',' | b'}' | b']' | b'\n' | b'\r');
            let len = text[at..].iter().position(is_end).ok_or(Incomplete)?;
            // A form feed is trimmed and yet no space of JSON: what is left may be nothing, which is no value.
            let word = text[at..at + len].trim_ascii_end();
            if word.is_empty() { Err(Odd) } else { Ok(at + word.len()) }
        }
    }
}

fn members_end(text: &[u8], at: usize, depth: usize) -> Result<usize, Refusal> {
    let mut at = at + 1;
    loop {
        at = skip_space(text, at);
        match text.get(at).ok_or(Incomplete)? {
            b',' => at += 1,
            b'}' => return Ok(at + 1),
            b'"' => {
                at = skip_space(text, fast::string_end(text, at)?);
                if *text.get(at).ok_or(Incomplete)? != b':' {
                    return Err(Odd);
                }
                at = value_end(text, skip_space(text, at + 1), depth + 1, In::Object)?;
            }
            _ => return Err(Odd),
        }
    }
}

fn elements_end(text: &[u8], at: usize, depth: usize) -> Result<usize, Refusal> {
    let mut at = at + 1;
    loop {
        at = skip_space(text, at);
        match text.get(at).ok_or(Incomplete)? {
            b',' => at += 1,
            b']' => return Ok(at + 1),
            _ => at = value_end(text, at, depth + 1, In::Array)?,
        }
    }
}

/// The end of a string value that may hold unescaped quotes: the first quote after which something fitting stands.
fn repaired_string_end(text: &[u8], at: usize, inside: In) -> Result<usize, Refusal> {
    let mut at = at + 1;
    loop {
        let found = memchr::memchr2(b'"', b'\\', &text[at..]).ok_or(Incomplete)? + at;
        if text[found] == b'\\' {
            at = (found + 2).min(text.len());
            continue;
        }
        if closes(text, found + 1, inside)? {
            return Ok(found + 1);
        }
        at = found + 1;
    }
}

/// Whether what stands at `at` can follow a string that is a value.
fn closes(text: &[u8], at: usize, inside: In) -> Result<bool, Refusal> {
    let at = skip_space(text, at);
    match (text.get(at).ok_or(Incomplete)?, inside) {
        (b'}', In::Object) | (b']', In::Array) => {
            let next = skip_space(text, at + 1);
            Ok(matches!(text.get(next), None | Some(b',' | b'}' | b']')))
        }
        (b',', In::Object) => is_key(text, skip_space(text, at + 1)),
        (b',', In::Array) => {
            let next = text.get(skip_space(text, at + 1)).ok_or(Incomplete)?;
            Ok(matches!(next, b'"' | b'[' | b'{' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n'))
        }
        _ => Ok(false),
    }
}

/// Whether a key with its colon stands at `at`.
fn is_key(text: &[u8], at: usize) -> Result<bool, Refusal> {
    if *text.get(at).ok_or(Incomplete)? != b'"' {
        return Ok(false);
    }
    let after = skip_space(text, fast::string_end(text, at)?);
    Ok(*text.get(after).ok_or(Incomplete)? == b':')
}

#[cfg(test)]
mod tests {
    use super::{Reading, parse_event};
    use crate::read::chrome::event::{RawEvent, RawValue};
    use crate::read::chrome::fast;

    fn parse(text: &str) -> Option<(RawEvent<'_>, Reading)> {
        let mut event = RawEvent::default();
        let (_, reading) = parse_event(text.as_bytes(), 0, &mut event).ok()?;
        Some((event, reading))
    }

    #[test]
    fn valid_events_read_as_by_the_fast_parser() {
        let text = r#"{"ph":"X","name":"a\"b","args":{"x":[1,"y"],"x":2},"ts":1,"ts":2}"#;
        let mut by_fast = RawEvent::default();
        fast::parse_event(text.as_bytes(), 0, &mut by_fast).unwrap();
        assert_eq!(parse(text), Some((by_fast, Reading::Valid)));
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
}
