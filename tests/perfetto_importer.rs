//! What Perfetto's importer makes of merged files: which slice the end of a flow binds to, the order of tracks, numbers.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod merging;
mod program;

use std::collections::BTreeMap;

use merging::{assert_parts_are, merge, text};
use omni_trace_proto::perfetto::{DebugAnnotation, Trace, TracePacket, TrackEvent};
use omni_trace_proto::prost::Message as _;
use program::omni_trace;

/// A thread whose second call crosses an annotation, and two calls at one time, the first without length.
const BOUND: &str = r#"{"baseTimeNanoseconds": 1000000000, "traceEvents": [
    {"ph":"X","cat":"user_annotation","name":"step","pid":7,"tid":7,"ts":0,"dur":10,"args":{"ratio":8.0,"grid":[4,1,1]}},
    {"ph":"X","cat":"cuda_runtime","name":"cudaLaunchKernel","pid":7,"tid":7,"ts":5,"dur":10,"args":{"correlation":1}},
    {"ph":"X","cat":"cuda_runtime","name":"cudaMemsetAsync","pid":7,"tid":7,"ts":20,"dur":4,"args":{"correlation":2}},
    {"ph":"X","cat":"cuda_runtime","name":"cudaLaunchKernel","pid":7,"tid":7,"ts":20,"dur":0,"args":{"correlation":3}},
    {"ph":"X","cat":"kernel","name":"k","pid":0,"tid":7,"ts":30,"dur":3,"args":{"correlation":1}},
    {"ph":"X","cat":"gpu_memset","name":"m","pid":0,"tid":7,"ts":34,"dur":0,"args":{"correlation":2}},
    {"ph":"X","cat":"kernel","name":"k","pid":0,"tid":7,"ts":34,"dur":2,"args":{"correlation":3}},
    {"ph":"s","id":1,"cat":"ac2g","name":"ac2g","pid":7,"tid":7,"ts":5},
    {"ph":"s","id":2,"cat":"ac2g","name":"ac2g","pid":7,"tid":7,"ts":20},
    {"ph":"s","id":3,"cat":"ac2g","name":"ac2g","pid":7,"tid":7,"ts":20},
    {"ph":"f","id":1,"cat":"ac2g","name":"ac2g","pid":0,"tid":7,"ts":30,"bp":"e"},
    {"ph":"f","id":2,"cat":"ac2g","name":"ac2g","pid":0,"tid":7,"ts":34,"bp":"e"},
    {"ph":"f","id":3,"cat":"ac2g","name":"ac2g","pid":0,"tid":7,"ts":34,"bp":"e"},
    {"ph":"b","id":"0x10","cat":"request","name":"r","pid":7,"tid":7,"ts":1},
    {"ph":"e","id":"0x10","cat":"request","name":"r","pid":7,"tid":7,"ts":9}
]}"#;

/// An event that no Perfetto trace can hold.
const GONE: &str = r#",{"ph":"D","id":5,"cat":"object","name":"gone","pid":7,"tid":7,"ts":9}]}"#;

/// Every end of a flow with the argument `correlation` of the slice that an importer binds it to: packets in the order of
/// their times, those of one time in the order of the file, each end to the innermost slice that is open on its track.
fn bound_ends(packets: &[TracePacket]) -> Vec<(u64, Option<u64>)> {
    let mut clocks: BTreeMap<u32, u64> = BTreeMap::new();
    let mut tracks: BTreeMap<u32, u64> = BTreeMap::new();
    let mut events = Vec::new();
    for packet in packets {
        let sequence = packet.trusted_packet_sequence_id();
        for clock in packet.clock_snapshot.iter().flat_map(|snapshot| &snapshot.clocks) {
            if clock.is_incremental() {
                clocks.insert(sequence, clock.timestamp());
            }
        }
        let defaults = packet.trace_packet_defaults.as_ref();
        if let Some(defaults) = defaults.and_then(|d| d.track_event_defaults.as_ref()) {
            tracks.insert(sequence, defaults.track_uuid());
        }
        let Some(event) = &packet.track_event else { continue };
        let time = match (packet.timestamp_clock_id, clocks.get_mut(&sequence)) {
            (None, Some(clock)) => {
                *clock += packet.timestamp();
                *clock
            }
            _ => packet.timestamp(),
        };
        events.push((time, event.track_uuid.unwrap_or_else(|| tracks[&sequence]), event));
    }
    events.sort_by_key(|&(time, ..)| time);
    let mut open: BTreeMap<u64, Vec<&TrackEvent>> = BTreeMap::new();
    let mut ends = Vec::new();
    for (_, track, event) in events {
        let stack = open.entry(track).or_default();
        match (event.r#type(), &event.legacy_event) {
            (1, _) => stack.push(event),
            (2, _) => assert!(stack.pop().is_some(), "an end without its begin"),
            (_, Some(legacy)) if [b's', b'f'].map(i32::from).contains(&legacy.phase()) => {
                // `correlation` is the second of the keys that have numbers.
                let is_correlation = |a: &&DebugAnnotation| a.name_iid() == 2;
                let slice =
                    stack.last().and_then(|s| s.debug_annotations.iter().find(is_correlation));
                ends.push((legacy.unscoped_id(), slice.map(DebugAnnotation::uint_value)));
            }
            _ => {}
        }
    }
    ends
}

#[test]
fn ends_of_flows_bind_to_their_slices() {
    let dir = tempfile::tempdir().unwrap();
    let input = dir.path().join("stage_0_llm_1_rank0.json");
    std::fs::write(&input, BOUND).unwrap();
    let out = dir.path().join("out.pftrace");
    merge(&[&input], &out, &[]);
    let trace = Trace::decode(std::fs::read(&out).unwrap().as_slice()).unwrap();
    let mut ends = bound_ends(&trace.packet);
    ends.sort_unstable();
    let expected: Vec<_> = [1, 1, 2, 2, 3, 3].map(|id| (id, Some(id))).into();
    assert_eq!(ends, expected);
    let descriptors = || trace.packet.iter().filter_map(|packet| packet.track_descriptor.as_ref());
    assert_eq!(
        descriptors().filter(|d| d.process_ordering() == 1).map(|d| d.uuid()).collect::<Vec<_>>(),
        [0]
    );
    let of_step = trace.packet.iter().filter_map(|packet| packet.track_event.as_ref());
    let ratio =
        of_step.flat_map(|event| &event.debug_annotations).find(|a| a.name() == "ratio").unwrap();
    assert_eq!(
        ratio.legacy_json_value(),
        "8.0 ",
        "an importer drops a number at the end of its text"
    );

    let json = dir.path().join("out.json");
    merge(&[&input], &json, &[]);
    let written: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    let events = written["traceEvents"].as_array().unwrap();
    let is_slice_of =
        |event: &serde_json::Value, id: &serde_json::Value, ts: &serde_json::Value| {
            event["ph"] == "X" && event["args"]["correlation"] == *id && event["ts"] == *ts
        };
    let flows: Vec<_> = events.iter().filter(|event| event["cat"] == "ac2g").collect();
    assert_eq!(flows.len(), 6);
    for flow in flows {
        let slice =
            events.iter().find(|event| is_slice_of(event, &flow["id"], &flow["ts"])).unwrap();
        assert_eq!((&slice["pid"], &slice["tid"]), (&flow["pid"], &flow["tid"]), "{flow}");
    }
    assert_parts_are(&[&input], &json);
}

#[test]
fn what_perfetto_has_no_place_for_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let input = dir.path().join("a.json");
    std::fs::write(&input, format!("{}{GONE}", BOUND.strip_suffix("]}").unwrap())).unwrap();
    for (name, is_kept) in [("out.json", true), ("out.pftrace", false)] {
        let out = dir.path().join(name);
        let output = omni_trace(&["merge", text(&input), "-o", text(&out), "--strict"]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(if is_kept { 0 } else { 2 }), "{said}");
        assert_eq!(said.contains("warning: 1 event has no place in a Perfetto trace"), !is_kept);
        assert!(out.exists(), "what is left is written");
    }
}
