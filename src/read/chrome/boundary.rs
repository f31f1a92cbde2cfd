//! Where an event plausibly starts: for cutting blocks without parsing, and for finding the way again after damage.
//!
//! A guess here never decides what is read: the walk over a block checks that the block ended where an event ended, and
//! a wrong cut is mended by joining the blocks (see [`crate::read::joiner`]).

use std::ops::Range;

use super::event::RawEvent;
use super::fast::{self, skip_space};

/// Keys an event object may start with.
const FIRST_KEYS: [&[u8]; 12] =
    [b"ph", b"name", b"cat", b"pid", b"tid", b"ts", b"dur", b"args", b"id", b"s", b"bp", b"cname"];

/// The member that every event has.
const PHASE_KEY: &[u8] = b"\"ph\"";

/// The member that holds the events.
const EVENTS_KEY: &[u8] = b"\"traceEvents\"";

/// Position of the last plausible event start at or after `from`, where one is there.
pub(crate) fn last_event_start(text: &[u8], from: usize) -> Option<usize> {
    memchr::memrchr_iter(b'{', &text[from..])
        .map(|i| from + i)
        .find(|&at| follows_event(text, at) && first_key(text, at).is_some())
}

/// Position at or after `from` where a whole event stands, whatever is before it.
pub(crate) fn next_whole_event(text: &[u8], from: usize) -> Option<usize> {
    before_phases(text, from).find(|&at| is_whole_event(text, at))
}

/// As [`next_whole_event`], or where an event surely starts, whole or not: after `},` and with `ph` as its first key, as
/// Kineto writes most.
pub(crate) fn next_event(text: &[u8], from: usize) -> Option<usize> {
    before_phases(text, from).find(|&at| {
        first_key(text, at) == Some(b"ph") && follows_event(text, at) || is_whole_event(text, at)
    })
}

/// How many events plausibly start in a part of the text.
pub(crate) fn count_starts(text: &[u8], part: Range<usize>) -> u64 {
    let is_start = |at: &usize| first_key(text, *at).is_some() && follows_event(text, *at);
    objects(&text[..part.end], part.start).filter(is_start).count() as u64
}

/// Whether the text from `at` on is an event that says what it is and when: valid up to its end, with a phase and a time.
/// Only metadata needs no time.
pub(crate) fn is_whole_event(text: &[u8], at: usize) -> bool {
    let mut event = RawEvent::default();
    fast::parse_event(text, at, &mut event).is_ok() && is_event(&event)
}

/// Whether what was read as an object is an event.
pub(crate) fn is_event(event: &RawEvent<'_>) -> bool {
    match event.ph.inner() {
        b"M" => true,
        [_] => event.ts.as_ns().is_some(),
        _ => false,
    }
}

/// Position after the next `"traceEvents": [` at or after `from`.
pub(crate) fn next_event_array(text: &[u8], from: usize) -> Option<usize> {
    memchr::memmem::find_iter(text.get(from..)?, EVENTS_KEY).find_map(|i| {
        let colon = skip_space(text, from + i + EVENTS_KEY.len());
        let bracket = skip_space(text, colon + 1);
        (text.get(colon) == Some(&b':') && text.get(bracket) == Some(&b'[')).then_some(bracket + 1)
    })
}

/// Where objects start behind which a phase stands: without one none is an event, however deep it is nested.
fn before_phases(text: &[u8], from: usize) -> impl Iterator<Item = usize> {
    let last = memchr::memmem::rfind(text, PHASE_KEY).unwrap_or(0);
    objects(text, from).take_while(move |&at| at < last)
}

/// Where objects that are not empty start.
fn objects(text: &[u8], from: usize) -> impl Iterator<Item = usize> {
    let from = from.min(text.len());
    memchr::memchr_iter(b'{', &text[from..])
        .map(move |i| from + i)
        .filter(|&at| text.get(skip_space(text, at + 1)) == Some(&b'"'))
}

/// Whether `},` stands before `at`.
fn follows_event(text: &[u8], at: usize) -> bool {
    let before = text[..at].trim_ascii_end();
    before.strip_suffix(b",").is_some_and(|before| before.trim_ascii_end().ends_with(b"}"))
}

/// The first key of the object at `at`, where it is one of an event and has its colon.
fn first_key(text: &[u8], at: usize) -> Option<&'static [u8]> {
    let quote = skip_space(text, at + 1);
    let key = text.get(quote..)?.strip_prefix(b"\"")?;
    let known = FIRST_KEYS
        .iter()
        .find(|known| key.strip_prefix(**known).is_some_and(|after| after.starts_with(b"\"")))?;
    let colon = skip_space(text, quote + known.len() + 2);
    (text.get(colon) == Some(&b':')).then_some(*known)
}

#[cfg(test)]
mod tests {
    use super::{last_event_start, next_event, next_event_array, next_whole_event};

    #[test]
    fn finds_starts_of_every_layout() {
        for text in [
            "x  },\n  {\n    \"ph\": \"X\"",
            "x},{\"ph\":\"X\"",
            "x}, {\"ph\": \"X\"",
            "x},\n{\"ph\":\"X\"",
        ] {
            let at = text.rfind('{');
            assert_eq!(last_event_start(text.as_bytes(), 0), at, "{text}");
            assert_eq!(last_event_start(text.as_bytes(), at.unwrap()), at, "{text}");
            assert_eq!(next_event(text.as_bytes(), 1), at, "{text}");
            assert_eq!(next_whole_event(text.as_bytes(), 1), None, "{text}");
        }
    }

    #[test]
    fn inner_objects_are_not_events() {
        assert_eq!(last_event_start(br#"{"ph":"X","args":{"a":1}"#, 0), None);
        assert_eq!(last_event_start(br#"},{"a":1"#, 0), None);
        assert_eq!(next_event(br#"},{"name":1}"#, 0), None);
        assert_eq!(next_event(br#"[{"name":"a","ph":"X"}]"#, 0), None);
    }

    #[test]
    fn whole_events_are_found_whatever_stands_before() {
        let text = br#""x\0{"name":"a","ph":"X","ts":1,"args":{"d":[1]}}"#;
        assert_eq!(next_whole_event(text, 0), Some(4));
        assert_eq!(next_whole_event(&text[..text.len() - 1], 0), None);
        assert_eq!(next_event(br#"x{"ph":"M","args":{}}"#, 0), Some(1));
    }

    #[test]
    fn event_arrays_are_found_in_rubble() {
        assert_eq!(next_event_array(br#"x "traceEvents", "traceEvents" : [{"#, 0), Some(34));
        assert_eq!(next_event_array(br#""traceEvents": {"#, 0), None);
    }
}
