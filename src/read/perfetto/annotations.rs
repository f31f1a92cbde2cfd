//! Debug annotations to JSON text.

use std::collections::BTreeMap;

use omni_trace_proto::perfetto::DebugAnnotation;

use super::sequence::Sequence;
use crate::model::limits::MAX_JSON_DEPTH;

/// Appends a text as a JSON string.
pub(super) fn put_string(text: &str, out: &mut Vec<u8>) {
    // A string always serializes, and writing to a vector cannot fail.
    let _ = serde_json::to_writer(out, text);
}

/// Appends annotations as members of an object, without its braces.
pub(super) fn put_members(
    annotations: &[DebugAnnotation],
    sequence: &Sequence,
    depth: usize,
    out: &mut Vec<u8>,
) {
    for (i, annotation) in annotations.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        put_string(key(annotation, &sequence.keys), out);
        out.push(b':');
        put_value(annotation, sequence, depth, out);
    }
}

/// The key of an annotation.
pub(super) fn key<'a>(annotation: &'a DebugAnnotation, keys: &'a BTreeMap<u64, String>) -> &'a str {
    match &annotation.name {
        Some(name) => name,
        None => annotation.name_iid.and_then(|iid| keys.get(&iid)).map_or("", String::as_str),
    }
}

fn put_value(annotation: &DebugAnnotation, sequence: &Sequence, depth: usize, out: &mut Vec<u8>) {
    let text = |text: String, out: &mut Vec<u8>| out.extend_from_slice(text.as_bytes());
    if depth > MAX_JSON_DEPTH {
        text("null".to_owned(), out);
    } else if let Some(value) = annotation.uint_value {
        text(value.to_string(), out);
    } else if let Some(value) = annotation.int_value {
        text(value.to_string(), out);
    } else if let Some(value) = annotation.bool_value {
        text(value.to_string(), out);
    } else if let Some(value) = annotation.double_value.filter(|value| value.is_finite()) {
        text(value.to_string(), out);
    } else if let Some(value) = annotation.double_value {
        put_string(&value.to_string(), out);
    } else if let Some(value) = &annotation.string_value {
        put_string(value, out);
    } else if let Some(iid) = annotation.string_value_iid {
        put_string(sequence.strings.get(&iid).map_or("", String::as_str), out);
    } else if let Some(value) = annotation.pointer_value {
        put_string(&format!("{value:#x}"), out);
    } else if let Some(json) = &annotation.legacy_json_value {
        if serde_json::from_str::<serde::de::IgnoredAny>(json).is_ok() {
            out.extend_from_slice(json.as_bytes());
        } else {
            put_string(json, out);
        }
    } else if !annotation.array_values.is_empty() {
        out.push(b'[');
        for (i, value) in annotation.array_values.iter().enumerate() {
            out.extend_from_slice(if i > 0 { b", " } else { b"" });
            put_value(value, sequence, depth + 1, out);
        }
        out.push(b']');
    } else if annotation.dict_entries.is_empty() {
        text("null".to_owned(), out);
    } else {
        out.push(b'{');
        put_members(&annotation.dict_entries, sequence, depth + 1, out);
        out.push(b'}');
    }
}
