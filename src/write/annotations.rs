//! Arguments of events, as JSON text, to Perfetto's debug annotations, so that they read back as the same JSON.

use std::sync::LazyLock;

use omni_trace_proto::perfetto::DebugAnnotation;
use omni_trace_proto::prost::encoding::message;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::edit::Edit;
use super::json_text::{needs_care, put_value};
use super::packets::{put_varint, varint_len};
use crate::model::number_of_digits;
use crate::read::events::{RawEvent, RawValue, id_space, key_text, shifted_id};

/// Keys that events carry often. Their numbers are fixed, so that blocks can be encoded side by side; other keys are
/// written out.
pub(crate) const KNOWN_KEYS: [&str; 52] = [
    "External id",
    "correlation",
    "Python id",
    "Python parent id",
    "Python module id",
    "Ev Idx",
    "Record function id",
    "Sequence number",
    "Fwd thread id",
    "Input Dims",
    "Input type",
    "Input Strides",
    "Concrete Inputs",
    "Call stack",
    "Module Hierarchy",
    "cbid",
    "queued",
    "device",
    "context",
    "stream",
    "registers per thread",
    "shared memory",
    "blocks per SM",
    "warps per SM",
    "grid",
    "block",
    "est. achieved occupancy %",
    "graph id",
    "graph node id",
    "priority",
    "channel",
    "channel_type",
    "bytes",
    "memory bandwidth (GB/s)",
    "Collective name",
    "dtype",
    "In msg nelems",
    "Out msg nelems",
    "Group size",
    "Process Group Name",
    "Process Group Description",
    "Process Group Ranks",
    "In split size",
    "Out split size",
    "Rank",
    "Seq",
    "Device Type",
    "Device Id",
    "Addr",
    "Bytes",
    "Total Allocated",
    "Total Reserved",
];

/// The known keys of each length, with their interned numbers, from 1.
static BY_LENGTH: LazyLock<Vec<Vec<(&str, u8)>>> = LazyLock::new(|| {
    let longest = KNOWN_KEYS.iter().map(|key| key.len()).max().unwrap_or(0);
    let mut keys = vec![Vec::new(); longest + 1];
    (1..).zip(KNOWN_KEYS).for_each(|(number, key)| keys[key.len()].push((key, number)));
    keys
});

/// The interned number of a key.
fn known(key: &str) -> Option<u8> {
    let keys = BY_LENGTH.get(key.len())?;
    keys.iter().find(|(known, _)| *known == key).map(|&(_, number)| number)
}

/// Fields of an annotation, with the kind of their values: `name_iid`, `uint_value`, `string_value`, `name`.
const NAME_IID: u8 = 1 << 3;
const UINT: u8 = 3 << 3;
const STRING: u8 = 6 << 3 | 2;
const NAME: u8 = 10 << 3 | 2;
/// `debug_annotations` of an event.
const ANNOTATION_FIELD: u32 = 4;
const ANNOTATION: u8 = (ANNOTATION_FIELD << 3 | 2) as u8;

/// Appends an annotation as a field of a [`TrackEvent`](omni_trace_proto::perfetto::TrackEvent).
pub(crate) fn put_annotation(annotation: &DebugAnnotation, out: &mut Vec<u8>) {
    message::encode(ANNOTATION_FIELD, annotation, out);
}

/// Appends the arguments of an event that stay as fields of a [`TrackEvent`](omni_trace_proto::perfetto::TrackEvent). Ids are moved as
/// in JSON.
pub(crate) fn put_arguments(
    event: &RawEvent<'_>,
    id_offset: u64,
    edit: Option<&Edit>,
    is_repaired: bool,
    out: &mut Vec<u8>,
) {
    for &(key, value) in &event.args {
        if edit.is_some_and(|edit| edit.drops_arg(key)) {
            continue;
        }
        let moved = id_space(key)
            .filter(|_| id_offset != 0)
            .and_then(|space| shifted_id(space, value, id_offset));
        let key = key_text(key).0;
        match moved.map(Simple::Number).or_else(|| Simple::of(value, is_repaired)) {
            Some(simple) => put_simple(&key, simple, out),
            None => {
                let mut annotation = of_text(value, is_repaired);
                match known(&key) {
                    Some(number) => annotation.name_iid = Some(u64::from(number)),
                    None => annotation.name = Some(key.into_owned()),
                }
                put_annotation(&annotation, out);
            }
        }
    }
}

/// A value that nearly all arguments have.
#[derive(Clone, Copy)]
enum Simple<'a> {
    Number(u64),
    Text(&'a str),
}

impl<'a> Simple<'a> {
    /// A number that prints as it was written, or a text without escapes.
    fn of(value: RawValue<'a>, is_repaired: bool) -> Option<Self> {
        match value.0 {
            [b'"', inner @ .., b'"'] if !is_repaired && !needs_care(inner) => {
                std::str::from_utf8(inner).ok().map(Self::Text)
            }
            [b'0', _, ..] => None,
            digits => number_of_digits(digits).map(Self::Number),
        }
    }
}

fn put_simple(key: &str, value: Simple<'_>, out: &mut Vec<u8>) {
    let known = known(key);
    let name_len = known.map_or(1 + varint_len(key.len() as u64) + key.len(), |_| 2);
    let value_len = match value {
        Simple::Number(number) => varint_len(number),
        Simple::Text(text) => varint_len(text.len() as u64) + text.len(),
    };
    out.push(ANNOTATION);
    put_varint((name_len + 1 + value_len) as u64, out);
    if let Some(number) = known {
        out.extend_from_slice(&[NAME_IID, number]);
    }
    match value {
        Simple::Number(number) => {
            out.push(UINT);
            put_varint(number, out);
        }
        Simple::Text(text) => {
            out.push(STRING);
            put_text(text, out);
        }
    }
    if known.is_none() {
        out.push(NAME);
        put_text(key, out);
    }
}

fn put_text(text: &str, out: &mut Vec<u8>) {
    put_varint(text.len() as u64, out);
    out.extend_from_slice(text.as_bytes());
}

fn of_text(value: RawValue<'_>, is_repaired: bool) -> DebugAnnotation {
    let text = std::str::from_utf8(value.0).unwrap_or_default();
    if let Some(number) = whole_number(text) {
        return number;
    }
    let mut json = Vec::new();
    put_value(value, is_repaired, &mut json);
    if is_tree(&json) && serde_json::from_slice::<IgnoredAny>(&json).is_ok() {
        return raw(&json);
    }
    match serde_json::from_slice::<Value>(&json) {
        Ok(value) => of_value(&value, &json),
        Err(_) => string(value.text().0.into_owned()),
    }
}

/// Whether it is an object or a list that begins with one or with a list: kept as JSON, whatever is in it. No tree is made of it, which
/// would take a hundred times its bytes.
fn is_tree(json: &[u8]) -> bool {
    let mut bytes = json.iter().filter(|b| !b.is_ascii_whitespace());
    match bytes.next() {
        Some(b'{') => true,
        Some(b'[') => matches!(bytes.next(), Some(b'{' | b'[')),
        _ => false,
    }
}

/// An integer that prints as it was written.
fn whole_number(text: &str) -> Option<DebugAnnotation> {
    let is_canonical = |digits: &str| {
        !digits.is_empty()
            && digits.bytes().all(|b| b.is_ascii_digit())
            && (digits.len() == 1 || !digits.starts_with('0'))
    };
    if is_canonical(text) {
        return text
            .parse()
            .ok()
            .map(|v| DebugAnnotation { uint_value: Some(v), ..DebugAnnotation::default() });
    }
    let digits = text.strip_prefix('-')?;
    (is_canonical(digits) && digits != "0").then_some(())?;
    text.parse().ok().map(|v| DebugAnnotation { int_value: Some(v), ..DebugAnnotation::default() })
}

fn string(text: String) -> DebugAnnotation {
    DebugAnnotation { string_value: Some(text), ..DebugAnnotation::default() }
}

fn raw(json: &[u8]) -> DebugAnnotation {
    let text = String::from_utf8_lossy(json).into_owned();
    DebugAnnotation { legacy_json_value: Some(text), ..DebugAnnotation::default() }
}

/// A number as JSON. Perfetto's importer drops one that nothing follows: it waits for further digits.
fn raw_number(json: &[u8]) -> DebugAnnotation {
    raw(&[json, b" "].concat())
}

/// A value with its text. What would not print as its text is kept as JSON.
fn of_value(value: &Value, json: &[u8]) -> DebugAnnotation {
    match value {
        // Without a value: Perfetto's importer aborts on the JSON text `null`.
        Value::Null => DebugAnnotation::default(),
        Value::String(text) => string(text.clone()),
        Value::Bool(value) => {
            DebugAnnotation { bool_value: Some(*value), ..DebugAnnotation::default() }
        }
        Value::Number(number) => of_number(number.as_f64(), json),
        Value::Array(items) if !items.is_empty() && items.iter().all(is_small) => {
            // Spaces between numbers are the writer's; they read back without.
            let array_values = items.iter().map(|item| of_value(item, item.to_string().as_bytes()));
            DebugAnnotation { array_values: array_values.collect(), ..DebugAnnotation::default() }
        }
        _ => raw(json),
    }
}

/// A number with its text.
fn of_number(value: Option<f64>, json: &[u8]) -> DebugAnnotation {
    if let Some(whole) = std::str::from_utf8(json).ok().and_then(whole_number) {
        return whole;
    }
    match value.filter(|value| value.to_string().as_bytes() == json) {
        Some(value) => DebugAnnotation { double_value: Some(value), ..DebugAnnotation::default() },
        None => raw_number(json),
    }
}

/// Numbers and strings: what a list shows as a list.
fn is_small(value: &Value) -> bool {
    value.is_u64() || value.is_string()
}

#[cfg(test)]
mod tests {
    use omni_trace_proto::perfetto::{DebugAnnotation, TrackEvent};
    use omni_trace_proto::prost::Message;

    use super::{KNOWN_KEYS, Simple, known, of_text, put_annotation, put_arguments};
    use crate::read::events::{RawEvent, RawValue};

    #[test]
    fn known_keys_have_their_places_as_numbers_of_one_byte() {
        for (i, key) in KNOWN_KEYS.iter().enumerate() {
            assert_eq!(known(key).map(usize::from), Some(i + 1));
            assert!(i + 1 < 0x80);
        }
        assert_eq!((known("external id"), known(""), known(&"x".repeat(99))), (None, None, None));
    }

    #[test]
    fn simple_values_are_what_any_value_is() {
        let long = format!("\"{}\"", "x".repeat(300));
        let values =
            ["0", "7", "127", "128", "9999999999999999", "\"\"", "\"a text\"", "\"é\"", &long];
        for (key, value) in ["stream", "a key"].into_iter().flat_map(|k| values.map(|v| (k, v))) {
            let value = RawValue(value.as_bytes());
            assert!(Simple::of(value, false).is_some());
            let event = RawEvent { args: vec![(key.as_bytes(), value)], ..RawEvent::default() };
            let (mut bytes, mut expected) = (Vec::new(), Vec::new());
            put_arguments(&event, 0, None, false, &mut bytes);
            let mut annotation: DebugAnnotation = of_text(value, false);
            match known(key) {
                Some(number) => annotation.name_iid = Some(u64::from(number)),
                None => annotation.name = Some(key.to_owned()),
            }
            put_annotation(&annotation, &mut expected);
            assert_eq!(bytes, expected);
            let read = TrackEvent::decode(bytes.as_slice()).expect("what was written can be read");
            assert_eq!(read.debug_annotations, [annotation]);
        }
    }

    #[test]
    fn other_values_are_not_simple() {
        for value in ["01", "-1", "1.5", "[1]", "null", "\"a\\n\"", "18446744073709551616", "true"]
        {
            assert!(Simple::of(RawValue(value.as_bytes()), false).is_none(), "{value}");
        }
        assert!(Simple::of(RawValue(b"\"a\""), true).is_none());
    }
}
