//! The fast event parser: one pass over well-formed JSON, giving spans.
//!
//! It understands every valid event object with keys in any order and any whitespace, and refuses ([`Odd`]) rather than
//! guesses: whatever it refuses goes to [`super::tolerant`]. It never allocates but for the reused argument list.

use super::event::{RawEvent, RawValue};
use crate::model::limits::MAX_JSON_DEPTH;
use crate::model::{HIGHS, ONES};

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

/// How many of the bytes of `word` are of a plain number, before the first that is not, in little-endian order: digits, `-`, `.`
/// and the `/` between them.
#[inline]
fn leading_number_bytes(word: u64) -> usize {
    // A byte below borrows from those behind it, which do not matter any more.
    let value = word.wrapping_sub(ONES * u64::from(b'-'));
    let most = u64::from(b'9' - b'-');
    // The high bit of a byte is set where its value is above; the sum cannot carry into the next byte.
    let others = (((value & !HIGHS) + ONES * (0x80 - 1 - most)) | value) & HIGHS;
    (others.trailing_zeros() / 8) as usize
}

/// The end of the bytes of a plain number at `at`. `None` where there are none, or they come near the end of the text. What the
/// next byte is, is for the caller to see.
#[inline]
fn plain_number_end(text: &[u8], at: usize) -> Option<usize> {
    let mut end = at;
    loop {
        let word = text.get(end..)?.first_chunk::<8>()?;
        let n = leading_number_bytes(u64::from_le_bytes(*word));
        end += n;
        if n < 8 {
            return (end > at).then_some(end);
        }
    }
}

/// The end of a number or a bare word. Bare words such as `NaN` pass: their meaning is decided later. Plain numbers go by eight.
#[inline]
fn scalar_end(text: &[u8], at: usize) -> Result<usize, Refusal> {
    let mut end = plain_number_end(text, at).unwrap_or(at);
    while let Some(&b) = text.get(end) {
        match b {
            b',' | b'}' | b']' | b' ' | b'\n' | b'\r' | b'\t' => return Ok(end),
            b'"' | b'{' | b'[' | b':' => return Err(Odd),
            _ => end += 1,
        }
    }
    Err(Incomplete)
}

/// The position after the closing quote of the string whose opening quote is at `at`. A raw control byte, which no JSON
/// string has, is refused: it stands where damage turned text between strings into strings.
#[inline]
pub(crate) fn string_end(text: &[u8], at: usize) -> Result<usize, Refusal> {
    let mut at = at + 1;
    loop {
        at = find_special(text, at).ok_or(Incomplete)?;
        match text[at] {
            b'"' => return Ok(at + 1),
            b'\\' => at += 2,
            _ => return Err(Odd),
        }
    }
}

/// Bytes of `word` that equal `byte`, marked by their high bit; exact up to the first match, in little-endian order.
#[inline]
fn equal_bytes(word: u64, byte: u8) -> u64 {
    let x = word ^ (ONES * u64::from(byte));
    x.wrapping_sub(ONES) & !x & HIGHS
}

/// Position of the first `"`, `\` or control byte at or after `at`: eight bytes at a time, as most strings of a trace are
/// short.
#[inline]
fn find_special(text: &[u8], at: usize) -> Option<usize> {
    let mut rest = text.get(at..)?;
    let mut base = at;
    while let Some((word, tail)) = rest.split_first_chunk::<8>() {
        let word = u64::from_le_bytes(*word);
        let control = word.wrapping_sub(ONES * 0x20) & !word & HIGHS;
        let found = equal_bytes(word, b'"') | equal_bytes(word, b'\\') | control;
        if found != 0 {
            return Some(base + (found.trailing_zeros() / 8) as usize);
        }
        rest = tail;
        base += 8;
    }
    rest.iter().position(|&b| b == b'"' || b == b'\\' || b < 0x20).map(|i| base + i)
}

/// The brackets that are open: a bit each, set for an object.
#[derive(Default)]
struct Open {
    bits: [u64; MAX_JSON_DEPTH / 64],
    depth: usize,
}

impl Open {
    fn push(&mut self, is_object: bool) -> Result<(), Refusal> {
        let word = self.bits.get_mut(self.depth / 64).ok_or(Odd)?;
        let bit = 1 << (self.depth % 64);
        *word = if is_object { *word | bit } else { *word & !bit };
        self.depth += 1;
        Ok(())
    }

    fn in_object(&self) -> bool {
        let last = self.depth - 1;
        self.bits[last / 64] >> (last % 64) & 1 == 1
    }
}

/// The end of the array or object at `at`. Each token must stand where it may: were strings only skipped by their quotes,
/// one damaged byte would make strings of what stands between them, and whole events part of the value.
fn nested_end(text: &[u8], at: usize) -> Result<usize, Refusal> {
    let mut open = Open::default();
    let mut at = at;
    loop {
        match *text.get(at).ok_or(Incomplete)? {
            bracket @ (b'[' | b'{') => {
                open.push(bracket == b'{')?;
                at += 1;
            }
            b'"' => at = string_end(text, at)?,
            b',' | b'}' | b']' | b':' => return Err(Odd),
            _ => at = scalar_end(text, at)?,
        }
        at = next_value(text, at, &mut open)?;
        if open.depth == 0 {
            return Ok(at);
        }
    }
}

/// From after a value or an opening bracket to the next value, over commas, closing brackets and a key; to after the last
/// bracket where nothing is open any more. As elsewhere here a comma too many is no matter.
#[inline]
fn next_value(text: &[u8], at: usize, open: &mut Open) -> Result<usize, Refusal> {
    let mut at = at;
    let mut may_follow = matches!(text[at - 1], b'[' | b'{');
    loop {
        at = skip_space(text, at);
        match *text.get(at).ok_or(Incomplete)? {
            b',' => {
                may_follow = true;
                at += 1;
            }
            bracket @ (b']' | b'}') => {
                if open.in_object() != (bracket == b'}') {
                    return Err(Odd);
                }
                at += 1;
                open.depth -= 1;
                if open.depth == 0 {
                    return Ok(at);
                }
                may_follow = false;
            }
            _ if !may_follow => return Err(Odd),
            b'"' if open.in_object() => return value_start(text, string_end(text, at)?),
            _ if open.in_object() => return Err(Odd),
            _ => return Ok(at),
        }
    }
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
    use super::{Refusal, parse_event, scalar_end};
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

    /// The end of a scalar, byte by byte.
    fn plain_scalar_end(text: &[u8]) -> Result<usize, Refusal> {
        for (at, b) in text.iter().enumerate() {
            match b {
                b',' | b'}' | b']' | b' ' | b'\n' | b'\r' | b'\t' => return Ok(at),
                b'"' | b'{' | b'[' | b':' => return Err(Refusal::Odd),
                _ => {}
            }
        }
        Err(Refusal::Incomplete)
    }

    #[test]
    fn scalars_end_at_the_same_byte_by_eight_as_one_by_one() {
        for number in
            ["", "7", "-1.5", "4446268522022.402", "1234567", "12345678", "1/2", "NaN", "1e-3"]
        {
            for byte in 0..=u8::MAX {
                for tail in ["", "9", ",\n  \"dur\": 17.5, ", "0123456789]"] {
                    let text = [number.as_bytes(), &[byte], tail.as_bytes()].concat();
                    let text = text.as_slice();
                    assert_eq!(scalar_end(text, 0), plain_scalar_end(text), "{text:?}");
                }
            }
        }
    }

    #[test]
    fn every_cut_is_incomplete() {
        let text = r#"{"ph":"X","name":"a\"b","args":{"x":[1,"y"]},"ts":1}"#;
        for cut in 1..text.len() {
            assert_eq!(parse(&text[..cut]).err(), Some(Refusal::Incomplete), "{cut}");
        }
    }

    #[test]
    fn nothing_out_of_place_is_taken_for_a_value() {
        for text in [
            r#"{"d":[[1],[2id": 0, "S": 4}}},"#,
            r#"{"d":[1},"x":2}"#,
            r#"{"d":{"a":1]}"#,
            r#"{"d":["a" "b"]}"#,
            r#"{"d":["a"1]}"#,
            r#"{"d":{"a" 1}}"#,
            r#"{"d":{1:2}}"#,
            "{\"d\":\"a\nb\"}",
            "{\"d\":[\"a\0b\"]}",
        ] {
            assert_eq!(parse(text).err(), Some(Refusal::Odd), "{text}");
        }
        let deep = format!("{{\"d\":{}1{}}}", "[".repeat(257), "]".repeat(257));
        assert_eq!(parse(&deep).err(), Some(Refusal::Odd));
        for text in [
            r#"{"d":[[],{},[{}],{"a":[1,2,{"b":{}}]},"x",null,-1.5e3,NaN]}"#,
            r#"{"d":[1,,2,],"e":{"a":1,},"f":{,}}"#,
            "{\"d\" : [ 1 ,\n { \"a\" : [ ] } ] }",
        ] {
            assert_eq!(parse(text).map(|(end, _)| end), Ok(text.len()), "{text}");
        }
    }

    #[test]
    fn unescaped_quotes_are_refused() {
        assert_eq!(parse(r#"{"name": "a " b", "ts": 1}"#).err(), Some(Refusal::Odd));
        assert_eq!(parse(r#"{"name" 1}"#).err(), Some(Refusal::Odd));
    }
}
