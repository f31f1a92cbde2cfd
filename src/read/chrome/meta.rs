//! Top-level members to [`TraceMeta`], and which writer laid the file out.

use serde_json::Value;

use crate::diag::{IssueKind, Reporter};
use crate::store::{
    BASE_KEY, CounterUnit, DeviceProperties, Distributed, LAYOUT_KEY, Layout, TraceMeta, UNITS_KEY,
    report_losses,
};

/// The metadata of a trace. Values that are not valid JSON are counted and left out.
pub(crate) fn trace_meta(
    mut entries: Vec<(String, String)>,
    layout: Layout,
    truncated: bool,
    reporter: &mut Reporter,
) -> TraceMeta {
    entries.retain(|(key, text)| {
        let is_valid = serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
        if !is_valid {
            reporter.with_detail(IssueKind::BadMetadata, None, key.as_str());
        }
        is_valid
    });
    let kept = entries.iter().rev().find(|(key, _)| key == LAYOUT_KEY);
    let layout = kept.map_or(layout, |(_, name)| Layout::from_name(name.trim_matches('"')));
    let mut meta = TraceMeta { layout, truncated, ..TraceMeta::default() };
    for (key, text) in &entries {
        if !matches!(key.as_str(), BASE_KEY | UNITS_KEY | "distributedInfo" | "deviceProperties") {
            continue;
        }
        let Ok(value) = serde_json::from_str::<Value>(text) else { continue };
        match key.as_str() {
            BASE_KEY => meta.base_time_ns = value.as_i64(),
            UNITS_KEY => meta.counter_units = counter_units(&value),
            "distributedInfo" => meta.distributed = Some(distributed(&value)),
            _ => meta.devices = devices(&value),
        }
    }
    meta.truncated |= report_losses(&entries, reporter);
    meta.entries = entries;
    meta
}

fn distributed(value: &Value) -> Distributed {
    let text = |key: &str| value[key].as_str().map(str::to_owned);
    Distributed {
        backend: text("backend"),
        rank: small(&value["rank"]),
        world_size: small(&value["world_size"]),
        nccl_version: text("nccl_version"),
    }
}

fn devices(value: &Value) -> Vec<DeviceProperties> {
    let list = value.as_array().map(Vec::as_slice).unwrap_or_default();
    list.iter()
        .filter_map(|device| {
            Some(DeviceProperties {
                id: small(&device["id"])?,
                name: device["name"].as_str().unwrap_or_default().to_owned(),
                total_memory_bytes: device["totalGlobalMem"].as_u64(),
                n_sms: small(&device["numSms"]),
            })
        })
        .collect()
}

/// `{"GPU Power": {"unit": "W", "group": "system"}}`.
fn counter_units(value: &Value) -> Vec<CounterUnit> {
    let text = |one: &Value, key: &str| one[key].as_str().map(str::to_owned);
    let unit = |(name, one): (&String, &Value)| CounterUnit {
        counter: name.clone(),
        unit: text(one, "unit"),
        group: text(one, "group"),
    };
    value.as_object().into_iter().flatten().map(unit).collect()
}

fn small(value: &Value) -> Option<u32> {
    u32::try_from(value.as_u64()?).ok()
}

/// The layout, from the text before the event array and the first events after its `[`.
pub(crate) fn layout(head: &[u8], events: &[u8]) -> Layout {
    let compact_head = head.starts_with(b"{\n\"schemaVersion\"");
    let trimmed = events.trim_ascii_start();
    if compact_head && trimmed.starts_with(b"{\"ph\":\"") {
        return Layout::TorchCompact;
    }
    let Some(first) =
        events.split(|&b| b == b'\n').skip_while(|line| line.trim_ascii().is_empty()).nth(1)
    else {
        return Layout::Unknown;
    };
    let indented = first.starts_with(b"    \"") && !first.starts_with(b"     ");
    if !indented || !trimmed.starts_with(b"{\n") {
        return Layout::Unknown;
    }
    let n_keys = first.windows(2).filter(|pair| *pair == b"\":").count();
    match (first.trim_ascii_start().starts_with(b"\"ph\": \""), n_keys) {
        (true, 1) => Layout::KinetoNew,
        (_, 2..) => Layout::KinetoOld,
        _ => Layout::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::layout;
    use crate::store::Layout;

    #[test]
    fn the_three_writers_and_others() {
        let old = b"\n  {\n    \"ph\": \"X\", \"cat\": \"cpu_op\", \"name\": \"a\",\n    \"ts\": 1";
        let new = b"\n    \n  {\n    \"ph\": \"M\",\n    \"name\": \"process_name\",\n";
        assert_eq!(layout(b"\n  {\n    \"schemaVersion\": 1,", old), Layout::KinetoOld);
        assert_eq!(layout(b" {\n    \"schemaVersion\": 1,", new), Layout::KinetoNew);
        assert_eq!(layout(b"{\n\"schemaVersion\": 1,", b"\n{\"ph\":\"X\""), Layout::TorchCompact);
        let redumped = b"\n        {\n            \"ph\": \"X\",\n";
        assert_eq!(layout(b"{\n    \"schemaVersion\": 1,", redumped), Layout::Unknown);
        assert_eq!(layout(b"{\"schemaVersion\": 1,", b"{\"ph\": \"X\", \"cat\""), Layout::Unknown);
    }
}
