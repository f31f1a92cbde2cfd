//! Spans of a trace's text into valid JSON: what is valid is copied byte for byte, what is not is mended.
//!
//! Traces carry control bytes, broken escapes, unescaped quotes and bare words such as `NaN`; whoever reads what we write
//! shall not have to know.

use std::borrow::Cow;

use crate::model::{HIGHS, ONES};
use crate::read::events::{RawValue, escaped_char, utf16_unit};

/// Whether a text may hold a control byte or a backslash.
#[inline]
pub(super) fn needs_care(text: &[u8]) -> bool {
    let mut rest = text;
    while let Some((word, tail)) = rest.split_first_chunk::<8>() {
        let word = u64::from_le_bytes(*word);
        let control = word.wrapping_sub(ONES * 0x20) & !word;
        let x = word ^ (ONES * u64::from(b'\\'));
        let backslash = x.wrapping_sub(ONES) & !x;
        if (control | backslash) & HIGHS != 0 {
            return true;
        }
        rest = tail;
    }
    rest.iter().any(|&b| b < 0x20 || b == b'\\')
}

/// Whether a value is a string that is copied as it is, where it was read without repair.
pub(super) fn is_plain(value: RawValue<'_>) -> bool {
    matches!(value.0, [b'"', inner @ .., b'"'] if !needs_care(inner))
}

/// Appends what stood between the quotes of a string, with `is_repaired` also where quotes inside it were not escaped.
#[inline]
pub(crate) fn put_inner(inner: &[u8], is_repaired: bool, out: &mut Vec<u8>) {
    if !is_repaired && !needs_care(inner) {
        out.extend_from_slice(inner);
        return;
    }
    let mut at = 0;
    while let Some(&byte) = inner.get(at) {
        at += 1;
        match byte {
            b'\\' => at = put_escape(inner, at, out),
            b'"' => out.extend_from_slice(b"\\\""),
            0..0x20 => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
            _ => out.push(byte),
        }
    }
}

/// Appends the escape whose backslash stands before `at`, or an escaped backslash where it is none. Gives the position
/// after. Halves of surrogate pairs, at which Perfetto's importer gives up the whole file, become the character.
fn put_escape(inner: &[u8], at: usize, out: &mut Vec<u8>) -> usize {
    let n = match inner.get(at) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => 1,
        Some(b'u')
            if inner.len() >= at + 5 && inner[at + 1..at + 5].iter().all(u8::is_ascii_hexdigit) =>
        {
            if let Some(next) = put_surrogates(inner, at, out) {
                return next;
            }
            5
        }
        _ => {
            out.extend_from_slice(b"\\\\");
            return at;
        }
    };
    out.push(b'\\');
    out.extend_from_slice(&inner[at..at + n]);
    at + n
}

/// Appends the character of the surrogate pair whose first `u` stands at `at`; of a lone half, as readers take it, the
/// replacement character. Gives the position after; `None` where it is no half.
fn put_surrogates(inner: &[u8], at: usize, out: &mut Vec<u8>) -> Option<usize> {
    let rest = inner.get(at + 1..)?;
    utf16_unit(rest).filter(|unit| (0xD800..0xE000).contains(unit))?;
    let (character, left) = escaped_char(rest)?;
    out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    Some(inner.len() - left.len())
}

/// Appends text that is valid JSON: only surrogate pairs change.
fn put_valid(text: &[u8], out: &mut Vec<u8>) {
    let mut at = 0;
    while let Some(found) = memchr::memchr(b'\\', &text[at..]) {
        out.extend_from_slice(&text[at..at + found]);
        at = put_escape(text, at + found + 1, out);
    }
    out.extend_from_slice(&text[at..]);
}

/// Appends any value.
#[inline]
pub(crate) fn put_value(value: RawValue<'_>, is_repaired: bool, out: &mut Vec<u8>) {
    match value.0 {
        [b'"', inner @ .., b'"'] => {
            out.push(b'"');
            put_inner(inner, is_repaired, out);
            out.push(b'"');
        }
        text if is_plain_scalar(text) => out.extend_from_slice(text),
        text if is_valid(text) => put_valid(text, out),
        text => put_string(&String::from_utf8_lossy(text), out),
    }
}

/// Appends a text as a JSON string.
pub(crate) fn put_string(text: &str, out: &mut Vec<u8>) {
    // A string always serializes, and writing to a vector cannot fail.
    let _ = serde_json::to_writer(out, text);
}

/// Numbers as traces write them, and `null`: digits with at most one point between them.
#[inline]
fn is_plain_scalar(text: &[u8]) -> bool {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    if digits.is_empty() || text.len() > 24 {
        return false;
    }
    let mut points = 0;
    for &b in digits {
        match b {
            b'0'..=b'9' => {}
            b'.' => points += 1,
            _ => return text == b"null",
        }
    }
    let leading = digits[0] != b'0' || digits.len() == 1 || digits[1] == b'.';
    leading && points <= 1 && digits[0] != b'.' && digits[digits.len() - 1] != b'.'
}

fn is_valid(text: &[u8]) -> bool {
    serde_json::from_slice::<serde::de::IgnoredAny>(text).is_ok()
}

/// Text that is valid UTF-8, with U+FFFD for what was not.
pub(crate) fn valid_utf8(text: Vec<u8>) -> Vec<u8> {
    if std::str::from_utf8(&text).is_ok() {
        return text;
    }
    match String::from_utf8_lossy(&text) {
        Cow::Owned(mended) => mended.into_bytes(),
        Cow::Borrowed(_) => text,
    }
}

#[cfg(test)]
mod tests {
    use super::{put_inner, put_value, valid_utf8};
    use crate::read::events::RawValue;

    fn value(text: &[u8], is_repaired: bool) -> String {
        let mut out = Vec::new();
        put_value(RawValue(text), is_repaired, &mut out);
        let text = String::from_utf8(valid_utf8(out)).unwrap();
        serde_json::from_str::<serde_json::Value>(&text).unwrap();
        text
    }

    #[test]
    fn valid_text_is_copied() {
        for text in [
            "1",
            "-0.5",
            "1e5",
            "18446744073709551615",
            "null",
            "true",
            "[1, {\"a\" : 2.50}]",
            r#""plain""#,
            r#""a\"b\\c\u00e9\n""#,
            "\"é😀\"",
            "0",
            "0.25",
            "[\n 1\n]",
        ] {
            assert_eq!(value(text.as_bytes(), false), text);
        }
    }

    #[test]
    fn invalid_text_is_mended() {
        assert_eq!(value(b"NaN", false), "\"NaN\"");
        assert_eq!(value(b"-", false), "\"-\"");
        assert_eq!(value(b"01", false), "\"01\"");
        assert_eq!(value(b"1.", false), "\"1.\"");
        assert_eq!(value(b"[1, nan]", false), "\"[1, nan]\"");
        assert_eq!(value(b"\"a\nb\"", false), r#""a\u000ab""#);
        assert_eq!(value(b"\"a\\qb\\u12\"", false), r#""a\\qb\\u12""#);
        assert_eq!(value(br#""say "hi" \" now""#, true), r#""say \"hi\" \" now""#);
        assert_eq!(value(b"\"\xff\"", false), "\"\u{FFFD}\"");
    }

    #[test]
    fn surrogates_become_their_character_and_nothing_else_changes() {
        let cases = [
            (r#""a\ud83d\ude00b\u00e9\n""#, r#""a😀b\u00e9\n""#),
            (r#""\uD83D\uDE00\ud83d\ude00""#, r#""😀😀""#),
            (r#""lone \ud83d end \ude00""#, "\"lone \u{FFFD} end \u{FFFD}\""),
            (r#""\ud83d\u00e9\ud83d""#, "\"\u{FFFD}\\u00e9\u{FFFD}\""),
            (r#""\\ud83d\\ude00""#, r#""\\ud83d\\ude00""#),
            (
                r#"[ "\ud83d\ude00", {"\ud83d\ude00\"": "\u0041"}]"#,
                r#"[ "😀", {"😀\"": "\u0041"}]"#,
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(value(text.as_bytes(), false), expected);
            let read = |text: &str| RawValue(text.as_bytes()).text().0.into_owned();
            assert_eq!(read(text) == read(expected), text.starts_with('"'), "{text}");
        }
    }

    #[test]
    fn care_is_taken_at_every_position() {
        for at in 0..20 {
            let mut text = vec![b'x'; 20];
            text[at] = 7;
            let mut out = Vec::new();
            put_inner(&text, false, &mut out);
            assert_eq!(out.len(), 25, "{at}");
        }
    }
}
