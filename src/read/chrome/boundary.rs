//! Where an event plausibly starts: for cutting blocks without parsing, and for finding the way again after damage.
//!
//! A guess here never decides what is read: the walk over a block checks that the block ended where an event ended, and
//! a wrong cut is mended by joining the blocks (see [`crate::read::pipeline`]).

use super::fast::skip_space;

/// Keys an event object may start with.
const FIRST_KEYS: [&[u8]; 12] =
    [b"ph", b"name", b"cat", b"pid", b"tid", b"ts", b"dur", b"args", b"id", b"s", b"bp", b"cname"];

/// Position of the last plausible event start in `text`, where one is there.
pub(crate) fn last_event_start(text: &[u8]) -> Option<usize> {
    memchr::memrchr_iter(b'{', text)
        .find(|&at| follows_event(text, at) && first_key(text, at).is_some())
}

/// Position of the first plausible event start at or after `from`.
pub(crate) fn next_event_start(text: &[u8], from: usize) -> Option<usize> {
    starts(text, from).find(|&at| first_key(text, at).is_some())
}

/// As [`next_event_start`], but only events whose first key is `ph`, as Kineto writes most.
pub(crate) fn next_sure_event_start(text: &[u8], from: usize) -> Option<usize> {
    starts(text, from).find(|&at| first_key(text, at) == Some(b"ph"))
}

fn starts(text: &[u8], from: usize) -> impl Iterator<Item = usize> {
    let from = from.min(text.len());
    memchr::memchr_iter(b'{', &text[from..])
        .map(move |i| from + i)
        .filter(|&at| follows_event(text, at))
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
    use super::{last_event_start, next_event_start, next_sure_event_start};

    #[test]
    fn finds_starts_of_every_layout() {
        for text in [
            "x  },\n  {\n    \"ph\": \"X\"",
            "x},{\"ph\":\"X\"",
            "x}, {\"ph\": \"X\"",
            "x},\n{\"ph\":\"X\"",
        ] {
            let at = text.rfind('{');
            assert_eq!(last_event_start(text.as_bytes()), at, "{text}");
            assert_eq!(next_event_start(text.as_bytes(), 1), at, "{text}");
            assert_eq!(next_sure_event_start(text.as_bytes(), 1), at, "{text}");
        }
    }

    #[test]
    fn inner_objects_are_not_events() {
        assert_eq!(last_event_start(br#"{"ph":"X","args":{"a":1}"#), None);
        assert_eq!(last_event_start(br#"},{"a":1"#), None);
        assert_eq!(next_sure_event_start(br#"},{"name":1"#, 0), None);
    }
}
