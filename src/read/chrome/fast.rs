//! The fast event parser: one pass over well-formed JSON, giving spans.
//!
//! It understands every valid event object with keys in any order and any whitespace, and refuses ([`Odd`]) rather than
//! guesses: whatever it refuses goes to [`super::tolerant`]. It never allocates but for the reused argument list.

use super::event::{RawEvent, RawValue};

/// Why an event was not parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The text ends inside the event.
    Incomplete,
    /// The text is not what the parser understands.
    Odd,
}

use Refusal::{Incomplete, Odd};

/// Parses the object at `at` (which must be its `{`). Gives the position after its `}`.
#[inline]
pub(crate) fn parse_event<'a>(
    text: &'a [u8],
    at: usize,
    event: &mut RawEvent<'a>,
) -> Result<usize, Refusal> {
    event.clear();
    let mut at = at + 1;
    loop {
        at = skip_space(text, at);
        match text.get(at) {
            Some(b'"') => {}
            Some(b',') => {
                at += 1;
                continue;
            }
            Some(b'}') => return Ok(at + 1),
            Some(_) => return Err(Odd),
            None => return Err(Incomplete),
        }
        let key_end = string_end(text, at)?;
        let key = &text[at + 1..key_end - 1];
        at = value_start(text, key_end)?;
        if key == b"args" && text[at] == b'{' {
            at = parse_args(text, at, &mut event.args)?;
        } else {
            let end = value_end(text, at)?;
            event.set(key, RawValue(&text[at..end]));
            at = end;
        }
        at = after_value(text, at)?;
    }
}

/// Parses the `args` object at `at`. Gives the position after its `}`.
fn parse_args<'a>(
    text: &'a [u8],
    at: usize,
    args: &mut Vec<(&'a [u8], RawValue<'a>)>,
) -> Result<usize, Refusal> {
    let mut at = at + 1;
    loop {
        at = skip_space(text, at);
        match text.get(at) {
            Some(b'"') => {}
            Some(b',') => {
                at += 1;
                continue;
            }
            Some(b'}') => return Ok(at + 1),
            Some(_) => return Err(Odd),
            None => return Err(Incomplete),
        }
        let key_end = string_end(text, at)?;
        let key = &text[at + 1..key_end - 1];
        at = value_start(text, key_end)?;
        let end = value_end(text, at)?;
        args.push((key, RawValue(&text[at..end])));
        at = after_value(text, end)?;
    }
}

/// From after a key to its value: the position of the value's first byte.
#[inline]
fn value_start(text: &[u8], at: usize) -> Result<usize, Refusal> {
    let at = skip_space(text, at);
    match text.get(at) {
        Some(b':') => {}
        Some(_) => return Err(Odd),
        None => return Err(Incomplete),
    }
    let at = skip_space(text, at + 1);
    if at < text.len() { Ok(at) } else { Err(Incomplete) }
}

/// A value must be followed by `,` or a closing brace.
#[inline]
fn after_value(text: &[u8], at: usize) -> Result<usize, Refusal> {
    let at = skip_space(text, at);
    match text.get(at) {
        Some(b',' | b'}') => Ok(at),
        Some(_) => Err(Odd),
        None => Err(Incomplete),
    }
}

/// The end of the value at `at`.
#[inline]
pub(crate) fn value_end(text: &[u8], at: usize) -> Result<usize, Refusal> {
    match text[at] {
        b'"' => string_end(text, at),
        b'[' | b'{' => nested_end(text, at),
        b',' | b'}' | b']' | b':' => Err(Odd),
        _ => scalar_end(text, at),
    }
}

/// How many of the bytes of `word` are digits before the first that is not, in little-endian order.
#[inline]
fn leading_digits(word: u64) -> usize {
    let value = word ^ (ONES * u64::from(b'0'));
    // The high bit of a byte is set where its value is 10 or more; the sum cannot carry into the next byte.
    let others = (((value & !HIGHS) + ONES * (0x80 - 10)) | value) & HIGHS;
    (others.trailing_zeros() / 8) as usize
}

/// The end of a number or a bare word. Bare words such as `NaN` pass: their meaning is decided later. Digits go by eight.
#[inline]
fn scalar_end(text: &[u8], at: usize) -> Result<usize, Refusal> {
    let mut end = at;
    while let Some(word) = text.get(end..).and_then(|rest| rest.first_chunk::<8>()) {
        let n_digits = leading_digits(u64::from_le_bytes(*word));
        end += n_digits;
        if n_digits < 8 {
            if word[n_digits] != b'.' {
                break;
            }
            end += 1;
        }
    }
    while let Some(&b) = text.get(end) {
        match b {
            b',' | b'}' | b']' | b' ' | b'\n' | b'\r' | b'\t' => return Ok(end),
            b'"' | b'{' | b'[' | b':' => return Err(Odd),
            _ => end += 1,
        }
    }
    Err(Incomplete)
}

/// The position after the closing quote of the string whose opening quote is at `at`.
#[inline]
pub(crate) fn string_end(text: &[u8], at: usize) -> Result<usize, Refusal> {
    let mut at = at + 1;
    loop {
        at = find_quote_or_backslash(text, at).ok_or(Incomplete)?;
        if text[at] == b'"' {
            return Ok(at + 1);
        }
        at += 2;
    }
}

const ONES: u64 = u64::from_ne_bytes([1; 8]);
const HIGHS: u64 = u64::from_ne_bytes([0x80; 8]);

/// Bytes of `word` that equal `byte`, marked by their high bit; exact up to the first match, in little-endian order.
#[inline]
fn equal_bytes(word: u64, byte: u8) -> u64 {
    let x = word ^ (ONES * u64::from(byte));
    x.wrapping_sub(ONES) & !x & HIGHS
}

/// Position of the first `"` or `\` at or after `at`: eight bytes at a time, as most strings of a trace are short.
#[inline]
fn find_quote_or_backslash(text: &[u8], at: usize) -> Option<usize> {
    let mut rest = text.get(at..)?;
    let mut base = at;
    while let Some((word, tail)) = rest.split_first_chunk::<8>() {
        let word = u64::from_le_bytes(*word);
        let found = equal_bytes(word, b'"') | equal_bytes(word, b'\\');
        if found != 0 {
            return Some(base + (found.trailing_zeros() / 8) as usize);
        }
        rest = tail;
        base += 8;
    }
    rest.iter().position(|&b| b == b'"' || b == b'\\').map(|i| base + i)
}

/// The end of the array or object at `at`: brackets balanced, strings skipped.
fn nested_end(text: &[u8], at: usize) -> Result<usize, Refusal> {
    let mut depth = 0_usize;
    let mut at = at;
    while let Some(&b) = text.get(at) {
        match b {
            b'"' => {
                at = string_end(text, at)?;
                continue;
            }
            b'[' | b'{' => depth += 1,
            b']' | b'}' => {
                depth -= 1;
                if depth == 0 {
                    return Ok(at + 1);
                }
            }
            _ => {}
        }
        at += 1;
    }
    Err(Incomplete)
}

/// The first byte at or after `at` that is not JSON whitespace.
#[inline]
pub(crate) fn skip_space(text: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\n' | b'\r' | b'\t') = text.get(at) {
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::{Refusal, parse_event};
    use crate::read::chrome::event::{RawEvent, RawValue};

    fn parse(text: &str) -> Result<(usize, RawEvent<'_>), Refusal> {
        let mut event = RawEvent::default();
        parse_event(text.as_bytes(), 0, &mut event).map(|end| (end, event))
    }

    #[test]
    fn spans_of_a_kineto_event() {
        let text = r#"{ "ph": "X", "name": "a \"b\"",
            "ts": 1.500 , "args": {"Input Dims": [[1, "}"], []], "k": {"x": "]"}, "":2}, "dur":2} tail"#;
        let (end, event) = parse(text).unwrap();
        assert_eq!(&text[end..], " tail");
        assert_eq!(event.name, RawValue(br#""a \"b\"""#));
        assert_eq!((event.ts, event.dur), (RawValue(b"1.500"), RawValue(b"2")));
        assert_eq!(event.arg(b"Input Dims"), Some(RawValue(br#"[[1, "}"], []]"#)));
        assert_eq!(event.arg(b""), Some(RawValue(b"2")));
    }

    #[test]
    fn every_cut_is_incomplete() {
        let text = r#"{"ph":"X","name":"a\"b","args":{"x":[1,"y"]},"ts":1}"#;
        for cut in 1..text.len() {
            assert_eq!(parse(&text[..cut]).err(), Some(Refusal::Incomplete), "{cut}");
        }
    }

    #[test]
    fn unescaped_quotes_are_refused() {
        assert_eq!(parse(r#"{"name": "a " b", "ts": 1}"#).err(), Some(Refusal::Odd));
        assert_eq!(parse(r#"{"name" 1}"#).err(), Some(Refusal::Odd));
    }
}
