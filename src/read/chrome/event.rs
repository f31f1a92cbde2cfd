//! One event as spans of its own text: what both the fast and the tolerant parser produce.

use std::borrow::Cow;

use crate::model::number_of_digits;
use crate::model::time::ns_from_us_text;

/// A JSON value as its text, quotes included for strings. `EMPTY` where the key was absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RawValue<'a>(pub(crate) &'a [u8]);

impl<'a> RawValue<'a> {
    /// Whether the key was absent.
    pub(crate) fn is_absent(self) -> bool {
        self.0.is_empty()
    }

    /// Whether it is a string.
    pub(crate) fn is_string(self) -> bool {
        self.0.first() == Some(&b'"')
    }

    /// The bytes between the quotes, escapes untouched; of anything else its text.
    pub(crate) fn inner(self) -> &'a [u8] {
        match self.0 {
            [b'"', inner @ .., b'"'] => inner,
            other => other,
        }
    }

    /// The text of a string with escapes decoded, or the JSON text of anything else. The flag tells whether invalid
    /// UTF-8 was replaced.
    pub(crate) fn text(self) -> (Cow<'a, str>, bool) {
        let inner = self.inner();
        if !self.is_string() || memchr::memchr(b'\\', inner).is_none() {
            return lossy(inner);
        }
        let (decoded, bad) = unescape(inner);
        (Cow::Owned(decoded), bad)
    }

    /// An unsigned integer, also where it is written as a string or with a zero fraction.
    #[inline]
    pub(crate) fn as_u64(self) -> Option<u64> {
        number_of_digits(self.0).or_else(|| self.other_u64())
    }

    /// The same of what is not 1 to 16 digits.
    fn other_u64(self) -> Option<u64> {
        let text = self.inner();
        if text.is_empty() || text.len() > 24 {
            return None;
        }
        let mut value = 0_u64;
        for (i, &b) in text.iter().enumerate() {
            match b {
                b'0'..=b'9' => {
                    value = value.checked_mul(10)?.checked_add(u64::from(b - b'0'))?;
                }
                b'.' if i > 0 && text[i + 1..].iter().all(|&z| z == b'0') => return Some(value),
                _ => return None,
            }
        }
        Some(value)
    }

    /// An unsigned integer of 32 bits.
    pub(crate) fn as_u32(self) -> Option<u32> {
        u32::try_from(self.as_u64()?).ok()
    }

    /// A signed integer.
    pub(crate) fn as_i64(self) -> Option<i64> {
        std::str::from_utf8(self.inner()).ok()?.parse().ok()
    }

    /// A pid or tid that is a number, also where it is written as a string: `"123"` is the thread 123.
    pub(crate) fn as_track_number(self) -> Option<i128> {
        let text = std::str::from_utf8(self.inner()).ok()?;
        let number: i128 = text.parse().ok()?;
        let is_plain = !self.is_string() || number.to_string() == text;
        is_plain.then_some(number)
    }

    /// A finite number.
    pub(crate) fn as_f64(self) -> Option<f64> {
        let value: f64 = std::str::from_utf8(self.inner()).ok()?.trim().parse().ok()?;
        value.is_finite().then_some(value)
    }

    /// Microseconds as nanoseconds, also where they are written as a string.
    #[inline]
    pub(crate) fn as_ns(self) -> Option<i64> {
        ns_from_us_text(if self.is_string() { self.inner() } else { self.0 })
    }
}

/// An event as spans of its text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RawEvent<'a> {
    pub(crate) ph: RawValue<'a>,
    pub(crate) cat: RawValue<'a>,
    pub(crate) name: RawValue<'a>,
    pub(crate) pid: RawValue<'a>,
    pub(crate) tid: RawValue<'a>,
    pub(crate) ts: RawValue<'a>,
    pub(crate) dur: RawValue<'a>,
    pub(crate) id: RawValue<'a>,
    /// Keys (without quotes, escapes untouched) and values of `args`, in order.
    pub(crate) args: Vec<(&'a [u8], RawValue<'a>)>,
    /// Top-level members of any other key, in order.
    pub(crate) others: Vec<(&'a [u8], RawValue<'a>)>,
    /// Bytes of the whole event in its file; set by the walk.
    pub(crate) len: usize,
    /// What the event repeats of those before it; set by the walk.
    pub(crate) alike: Alike,
}

/// What the text of an event repeats of events before it in the same walk, so that what they were understood as need not be
/// found again. Whoever changes an event has to leave this empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Alike {
    /// Events of one number have the same phase, category, process and thread, byte for byte, and the same keys in the same
    /// order.
    pub(crate) template: Option<u32>,
    /// Events of one number have the same name, byte for byte. Numbers count from 0.
    pub(crate) name: Option<u32>,
}

impl<'a> RawEvent<'a> {
    /// Forgets everything, keeping the allocation.
    pub(crate) fn clear(&mut self) {
        let (args, others) = (std::mem::take(&mut self.args), std::mem::take(&mut self.others));
        *self = Self { args, others, ..Self::default() };
        self.args.clear();
        self.others.clear();
    }

    /// Sets a top-level key. Of a repeated key the last value counts.
    #[inline]
    pub(crate) fn set(&mut self, key: &'a [u8], value: RawValue<'a>) {
        match key {
            b"ph" => self.ph = value,
            b"cat" => self.cat = value,
            b"name" => self.name = value,
            b"pid" => self.pid = value,
            b"tid" => self.tid = value,
            b"ts" => self.ts = value,
            b"dur" => self.dur = value,
            b"id" => self.id = value,
            _ => self.others.push((key, value)),
        }
    }

    /// The value of an argument; the last one where it is repeated.
    pub(crate) fn arg(&self, key: &[u8]) -> Option<RawValue<'a>> {
        self.args.iter().rev().find(|(k, _)| *k == key).map(|&(_, v)| v)
    }
}

/// The text of a key, escapes decoded.
pub(crate) fn key_text(key: &[u8]) -> (Cow<'_, str>, bool) {
    if memchr::memchr(b'\\', key).is_none() {
        return lossy(key);
    }
    let (decoded, bad) = unescape(key);
    (Cow::Owned(decoded), bad)
}

fn lossy(bytes: &[u8]) -> (Cow<'_, str>, bool) {
    match std::str::from_utf8(bytes) {
        Ok(text) => (Cow::Borrowed(text), false),
        Err(_) => (String::from_utf8_lossy(bytes), true),
    }
}

/// Decodes JSON escapes. Unknown escapes keep their backslash; lone surrogates become U+FFFD.
fn unescape(bytes: &[u8]) -> (String, bool) {
    let mut out: Vec<u8> = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        out.extend_from_slice(&rest[..at]);
        rest = &rest[at + 1..];
        let Some(&escape) = rest.first() else {
            out.push(b'\\');
            break;
        };
        rest = &rest[1..];
        match escape {
            b'"' | b'\\' | b'/' => out.push(escape),
            b'b' => out.push(8),
            b'f' => out.push(12),
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            b'u' => rest = push_unicode(&mut out, rest),
            other => out.extend_from_slice(&[b'\\', other]),
        }
    }
    out.extend_from_slice(rest);
    match String::from_utf8(out) {
        Ok(text) => (text, false),
        Err(error) => (String::from_utf8_lossy(error.as_bytes()).into_owned(), true),
    }
}

/// The UTF-16 unit that the four hex digits after a `\u` give.
pub(crate) fn utf16_unit(text: &[u8]) -> Option<u32> {
    let hex = text.get(..4)?;
    hex.iter().all(u8::is_ascii_hexdigit).then_some(())?;
    u32::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok()
}

/// The character of an escape from after its `\u`, and what is left: two halves of a surrogate pair are one, a lone half is
/// the replacement character. `None` where no four hex digits follow.
pub(crate) fn escaped_char(rest: &[u8]) -> Option<(char, &[u8])> {
    let high = utf16_unit(rest)?;
    let mut left = &rest[4..];
    let mut code = high;
    if (0xD800..0xDC00).contains(&high)
        && let Some(low) = left.strip_prefix(b"\\u").and_then(utf16_unit)
        && (0xDC00..0xE000).contains(&low)
    {
        code = 0x1_0000 + ((high - 0xD800) << 10) + (low - 0xDC00);
        left = &left[6..];
    }
    Some((char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER), left))
}

/// Decodes what follows `\u`; gives what is left.
fn push_unicode<'a>(out: &mut Vec<u8>, rest: &'a [u8]) -> &'a [u8] {
    let Some((character, left)) = escaped_char(rest) else {
        out.extend_from_slice(b"\\u");
        return rest;
    };
    out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    left
}

#[cfg(test)]
mod tests {
    use super::RawValue;

    #[test]
    fn strings_decode() {
        let text = |s: &'static str| RawValue(s.as_bytes()).text().0.into_owned();
        assert_eq!(text(r#""a\"b\\c\/d\n\u00e9\ud83d\ude00""#), "a\"b\\c/d\né😀");
        assert_eq!(text(r#""lone \ud83d end""#), "lone \u{FFFD} end");
        assert_eq!(text(r#""bad \q \u12""#), r"bad \q \u12");
        assert_eq!(text("[1, 2]"), "[1, 2]");
        assert_eq!(RawValue(b"\"\xff\"").text(), ("\u{FFFD}".into(), true));
    }

    #[test]
    fn quoted_numbers_are_the_thread_of_that_number() {
        let number = |text: &'static str| RawValue(text.as_bytes()).as_track_number();
        assert_eq!(
            (number("123"), number("\"123\""), number("\"-1\"")),
            (Some(123), Some(123), Some(-1))
        );
        for text in ["", "\"\"", "\"007\"", "\"+7\"", "\" 7\"", "\"stream 7 \"", "7.0", "null"] {
            assert_eq!(number(text), None, "{text}");
        }
    }

    #[test]
    fn numbers_decode() {
        assert_eq!(RawValue(b"18446744073709551615").as_u64(), Some(u64::MAX));
        assert_eq!(RawValue(b"\"12\"").as_u64(), Some(12));
        assert_eq!(RawValue(b"7.0").as_u64(), Some(7));
        assert_eq!(RawValue(b"7.5").as_u64(), None);
        assert_eq!(RawValue(b"-1").as_u64(), None);
        assert_eq!(RawValue(b"null").as_u64(), None);
        assert_eq!(RawValue(b"-12").as_i64(), Some(-12));
        assert_eq!(RawValue(b"inf").as_f64(), None);
    }
}
