//! Arguments of events, as JSON text, to Perfetto's debug annotations, so that they read back as the same JSON.

use omni_trace_proto::perfetto::DebugAnnotation;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::json_text::put_value;
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

/// The interned number of a key, from 1.
fn known(key: &str) -> Option<u64> {
    KNOWN_KEYS.iter().position(|known| *known == key).map(|i| i as u64 + 1)
}

/// The arguments of an event. Ids are moved as in JSON.
pub(crate) fn annotations(
    event: &RawEvent<'_>,
    id_offset: u64,
    is_repaired: bool,
) -> Vec<DebugAnnotation> {
    event
        .args
        .iter()
        .map(|&(key, value)| {
            let key = key_text(key).0;
            let moved = id_space(key.as_bytes())
                .filter(|_| id_offset != 0)
                .and_then(|space| shifted_id(space, value, id_offset));
            let mut annotation = match moved {
                Some(id) => DebugAnnotation { uint_value: Some(id), ..DebugAnnotation::default() },
                None => of_text(value, is_repaired),
            };
            match known(&key) {
                Some(number) => annotation.name_iid = Some(number),
                None => annotation.name = Some(key.into_owned()),
            }
            annotation
        })
        .collect()
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
