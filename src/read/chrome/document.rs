//! What stands around the events: the top-level members before and after the event array.

use super::event::key_text;
use super::fast::{Refusal, skip_space, string_end, value_end};

/// Where reading the members of the top-level object stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// After the `[` of an event array.
    ArrayStart(usize),
    /// After the `}` of the object, or the end of the text after a bare array.
    End(usize),
    /// The text ended first; reading can go on from this position with more text.
    Incomplete(usize),
    /// This is not JSON as it should be here.
    Odd(usize),
}

/// How a document starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opening {
    /// An object: its members start here.
    Object(usize),
    /// A bare array: its events start here.
    Array(usize),
    /// Only whitespace so far.
    Nothing,
    /// Neither.
    NotJson,
}

/// What the text opens with, a byte order mark aside.
pub(crate) fn opening(text: &[u8]) -> Opening {
    let skipped = if text.starts_with(b"\xEF\xBB\xBF") { 3 } else { 0 };
    let at = skip_space(text, skipped);
    match text.get(at) {
        Some(b'{') => Opening::Object(at + 1),
        Some(b'[') => Opening::Array(at + 1),
        None => Opening::Nothing,
        Some(_) => Opening::NotJson,
    }
}

/// Reads members from `at` on and adds them to `entries` as (key, JSON text), up to an event array.
pub(crate) fn members(text: &[u8], at: usize, entries: &mut Vec<(String, String)>) -> Stop {
    let mut at = at;
    loop {
        at = skip_space(text, at);
        match text.get(at) {
            Some(b',') => at += 1,
            Some(b'}') => return Stop::End(at + 1),
            Some(b'"') => match member(text, at) {
                Ok(Member::Events(start)) => return Stop::ArrayStart(start),
                Ok(Member::Other { key, value, end }) => {
                    entries.push((key, value));
                    at = end;
                }
                Err(Refusal::Incomplete) => return Stop::Incomplete(at),
                Err(Refusal::Odd) => return Stop::Odd(at),
            },
            Some(_) => return Stop::Odd(at),
            None => return Stop::Incomplete(at),
        }
    }
}

/// The next line that plausibly starts a member, after damage at `at`.
pub(crate) fn next_member(text: &[u8], at: usize) -> Option<usize> {
    memchr::memchr_iter(b'\n', text.get(at..)?).map(|i| at + i + 1).find_map(|line| {
        let quote = skip_space(text, line);
        (text.get(quote) == Some(&b'"')).then_some(())?;
        let after = skip_space(text, string_end(text, quote).ok()?);
        (text.get(after) == Some(&b':')).then_some(quote)
    })
}

enum Member {
    Events(usize),
    Other { key: String, value: String, end: usize },
}

fn member(text: &[u8], at: usize) -> Result<Member, Refusal> {
    let key_end = string_end(text, at)?;
    let key = &text[at + 1..key_end - 1];
    let colon = skip_space(text, key_end);
    match text.get(colon) {
        Some(b':') => {}
        Some(_) => return Err(Refusal::Odd),
        None => return Err(Refusal::Incomplete),
    }
    let start = skip_space(text, colon + 1);
    match text.get(start) {
        None => return Err(Refusal::Incomplete),
        Some(b'[') if key == b"traceEvents" => return Ok(Member::Events(start + 1)),
        Some(_) => {}
    }
    let end = value_end(text, start)?;
    let after = skip_space(text, end);
    if !matches!(text.get(after), None | Some(b',' | b'}')) {
        return Err(Refusal::Odd);
    }
    let value = String::from_utf8_lossy(&text[start..end]).into_owned();
    Ok(Member::Other { key: key_text(key).0.into_owned(), value, end })
}

#[cfg(test)]
mod tests {
    use super::{Opening, Stop, members, next_member, opening};

    #[test]
    fn members_up_to_the_events() {
        let text = br#" { "schemaVersion": 1, "d": {"a": "}"}, "traceEvents": [ {"#;
        let Opening::Object(at) = opening(text) else { panic!() };
        let mut entries = Vec::new();
        assert_eq!(members(text, at, &mut entries), Stop::ArrayStart(text.len() - 2));
        assert_eq!(entries[1], ("d".to_owned(), r#"{"a": "}"}"#.to_owned()));
        for cut in at + 1..text.len() - 3 {
            assert!(matches!(members(&text[..cut], at, &mut Vec::new()), Stop::Incomplete(_)));
        }
    }

    #[test]
    fn damage_after_the_events_is_stepped_over() {
        let text = b",\n \"ERROR\": [\"a \"b c\"],\n  \"traceName\": \"x\"\n}";
        let mut entries = Vec::new();
        let (Stop::Odd(at) | Stop::Incomplete(at)) = members(text, 0, &mut entries) else {
            panic!()
        };
        let next = next_member(text, at).unwrap();
        assert!(matches!(members(text, next, &mut entries), Stop::End(_)));
        assert_eq!(entries, [("traceName".to_owned(), "\"x\"".to_owned())]);
    }
}
