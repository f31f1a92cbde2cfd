//! Packets to events of Chrome JSON.
//!
//! Slices come out as complete events when they end. A slice that starts with its parent waits for it, so that of two
//! slices with the same span the outer one comes first, as the order of nesting needs.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};

use omni_trace_proto::perfetto::{
    Trace, TracePacket, TrackDescriptor, TrackEvent, TrackEventDefaults, track_event::LegacyEvent,
};
use omni_trace_proto::prost::Message as _;

use super::annotations::{key, put_members, put_string};
use super::sequence::{Sequence, SharedClocks};
use super::tracks::{NameEvent, TrackInfo, Tracks};
use crate::diag::{IssueKind, Reporter};
use crate::model::limits::MAX_EVENT_BYTES;
use crate::model::time::write_us;
use crate::store::{BASE_KEY, PERFETTO_METADATA};

const SLICE_BEGIN: i32 = 1;
const SLICE_END: i32 = 2;
const INSTANT: i32 = 3;
const COUNTER: i32 = 4;
const NEEDS_STATE: u32 = 2;
/// Compressed packets may hold compressed packets; not deeper than this.
const MAX_DEPTH: usize = 4;

/// A slice that has begun.
struct Open {
    start_ns: i64,
    /// Name, category and arguments as JSON members.
    what: Vec<u8>,
    arguments: Vec<u8>,
    /// Events that ended inside and started with it.
    held: Vec<Vec<u8>>,
}

/// Converts packets in the order of the file.
#[derive(Default)]
pub(super) struct Converter {
    pub(super) out: Vec<u8>,
    pub(super) reporter: Reporter,
    sequences: BTreeMap<u32, Sequence>,
    clocks: SharedClocks,
    tracks: Tracks,
    open: BTreeMap<u64, Vec<Open>>,
    flows: BTreeSet<u64>,
    /// Top-level members, until the first event.
    members: Vec<(String, String)>,
    /// Names that come before the first event.
    has_head: bool,
    has_events: bool,
    /// Unix time of 0 in the text.
    base_ns: i64,
}

impl Converter {
    /// Takes one packet.
    pub(super) fn packet(&mut self, bytes: &[u8], offset: u64, depth: usize) {
        let packet = match TracePacket::decode(bytes) {
            Ok(packet) => packet,
            Err(error) => {
                self.reporter.with_detail(
                    IssueKind::UnreadableEvent,
                    Some(offset),
                    error.to_string(),
                );
                return;
            }
        };
        let packed = packet.compressed_packets.as_deref().map(|bytes| (bytes, false));
        let packed =
            packed.or(packet.zstd_compressed_packets.as_deref().map(|bytes| (bytes, true)));
        if let Some((bytes, is_zstd)) = packed {
            self.packed(bytes, is_zstd, offset, depth);
            return;
        }
        let id = packet.trusted_packet_sequence_id();
        let mut sequence = self.sequences.remove(&id).unwrap_or_default();
        sequence.update(&packet, &mut self.clocks);
        self.content(&packet, &mut sequence, offset);
        self.sequences.insert(id, sequence);
    }

    fn packed(&mut self, bytes: &[u8], is_zstd: bool, offset: u64, depth: usize) {
        let mut inflated = Vec::new();
        let limit = MAX_EVENT_BYTES as u64;
        let read = if is_zstd {
            ruzstd::decoding::StreamingDecoder::new(bytes)
                .map_err(|error| std::io::Error::other(error.to_string()))
                .and_then(|reader| reader.take(limit).read_to_end(&mut inflated))
        } else {
            flate2::read::ZlibDecoder::new(bytes).take(limit).read_to_end(&mut inflated)
        };
        let trace = read
            .ok()
            .filter(|_| depth < MAX_DEPTH)
            .and_then(|_| Trace::decode(inflated.as_slice()).ok());
        let Some(trace) = trace else {
            let detail = "compressed packets that do not decompress";
            self.reporter.with_detail(IssueKind::UnreadableEvent, Some(offset), detail);
            return;
        };
        for packet in trace.packet {
            self.packet(&packet.encode_to_vec(), offset, depth + 1);
        }
    }

    fn content(&mut self, packet: &TracePacket, sequence: &mut Sequence, offset: u64) {
        if let Some(descriptor) = &packet.track_descriptor {
            let names = self.tracks.describe(descriptor);
            self.names(&names);
        }
        if let Some(thread) = &packet.thread_descriptor {
            let uuid = self.tracks.of_thread(thread.pid(), thread.tid());
            sequence.take_thread(uuid, thread);
            let descriptor = TrackDescriptor {
                uuid: Some(uuid),
                thread: Some(thread.clone()),
                ..TrackDescriptor::default()
            };
            let names = self.tracks.describe(&descriptor);
            self.names(&names);
        }
        let time_ns = sequence.time_ns(packet, &self.clocks);
        if let Some(event) = &packet.track_event {
            if packet.sequence_flags() & NEEDS_STATE != 0 && !sequence.has_state {
                let detail = "a packet whose sequence's start is not in the trace";
                self.reporter.with_detail(IssueKind::UnreadableEvent, Some(offset), detail);
                return;
            }
            match sequence.event_time_ns(event).or(time_ns) {
                Some(time_ns) => self.event(event, sequence, time_ns, offset),
                None => self.reporter.at(IssueKind::BadTimestamp, offset),
            }
        }
        let is_known = packet.track_event.is_some()
            || packet.track_descriptor.is_some()
            || packet.thread_descriptor.is_some()
            || packet.clock_snapshot.is_some()
            || packet.interned_data.is_some()
            || packet.trace_packet_defaults.is_some();
        if !is_known {
            self.reporter.at(IssueKind::IgnoredPacket, offset);
        }
    }

    /// Names of processes and threads.
    fn names(&mut self, names: &[NameEvent]) {
        for name in names {
            let mut text = format!(
                "{{\"ph\":\"M\",\"name\":\"{}\",\"pid\":{},\"tid\":{},\"args\":{{\"{}\":",
                name.kind, name.pid, name.tid, name.key
            )
            .into_bytes();
            put_string(&name.name, &mut text);
            text.extend_from_slice(b"}}");
            self.emit(&text);
        }
    }

    /// The track of an event: its own, or the thread that its sequence, or a legacy event itself, tells.
    fn track_of(&mut self, event: &TrackEvent, sequence: &Sequence) -> u64 {
        let default = sequence.defaults.track_event_defaults.as_ref();
        let uuid = event.track_uuid.or(default.and_then(|defaults| defaults.track_uuid));
        let uuid = uuid.or(sequence.thread).unwrap_or(0);
        let legacy = event.legacy_event.as_ref();
        let (pid, tid) = legacy.map_or((None, None), |l| (l.pid_override, l.tid_override));
        if pid.is_none() && tid.is_none() {
            return uuid;
        }
        let track = self.tracks.get(uuid);
        let pid = pid.or_else(|| track.pid.parse().ok()).unwrap_or(0);
        let tid = tid.or_else(|| track.tid.parse().ok()).unwrap_or(0);
        self.tracks.of_thread(pid, tid)
    }

    fn event(&mut self, event: &TrackEvent, sequence: &Sequence, time_ns: i64, offset: u64) {
        let what = members_of(event, sequence);
        let categories = categories_of(event, sequence);
        if categories == PERFETTO_METADATA {
            self.metadata(event, sequence);
            return;
        }
        self.head();
        let defaults = sequence.defaults.track_event_defaults.clone().unwrap_or_default();
        let uuid = self.track_of(event, sequence);
        let mut arguments = Vec::new();
        put_members(&event.debug_annotations, sequence, 0, &mut arguments);
        let has_correlation =
            event.debug_annotations.iter().any(|a| key(a, &sequence.keys) == "correlation");
        if let Some(id) = event.correlation_id.filter(|_| !has_correlation) {
            let comma = if arguments.is_empty() { "" } else { "," };
            let _ = write!(arguments, "{comma}\"correlation\":{id}");
        }
        let legacy = event.legacy_event.clone().unwrap_or_default();
        let phase = u8::try_from(legacy.phase()).unwrap_or(0);
        self.flow_ids(event, uuid, time_ns);
        match (event.r#type(), phase) {
            (SLICE_BEGIN, _) | (0, b'B') => {
                let open = Open { start_ns: time_ns, what, arguments, held: Vec::new() };
                self.open.entry(uuid).or_default().push(open);
            }
            (SLICE_END, _) | (0, b'E') => self.end(uuid, time_ns, &arguments),
            (0, b'X') => {
                let open = Open { start_ns: time_ns, what, arguments, held: Vec::new() };
                self.open.entry(uuid).or_default().push(open);
                self.end(
                    uuid,
                    time_ns.saturating_add(legacy.duration_us().saturating_mul(1000)),
                    b"",
                );
            }
            (INSTANT, _) | (0, b'i' | b'I' | b'R') => {
                let scope = match legacy.instant_event_scope() {
                    1 => "g",
                    2 => "p",
                    _ => "t",
                };
                let start = format!("\"ph\":\"i\",\"s\":\"{scope}\"");
                self.point(&start, uuid, time_ns, &what, &arguments);
            }
            (COUNTER, _) => self.counter(event, uuid, time_ns),
            // Asynchronous events keep their text; whoever reads it counts what it has no use for.
            (0, b's' | b't' | b'f' | b'b' | b'e' | b'n') => {
                let start = format!("\"ph\":\"{}\"{}", phase as char, legacy_id(&legacy));
                self.point(&start, uuid, time_ns, &what, &arguments);
            }
            _ => self.reporter.at(IssueKind::IgnoredPhase, offset),
        }
        self.extra_counters(event, &defaults, time_ns);
    }

    /// The top-level members that our own writer keeps as arguments.
    fn metadata(&mut self, event: &TrackEvent, sequence: &Sequence) {
        for annotation in &event.debug_annotations {
            let name = key(annotation, &sequence.keys).to_owned();
            self.members.push((name, annotation.string_value().to_owned()));
        }
    }

    fn end(&mut self, uuid: u64, time_ns: i64, arguments: &[u8]) {
        let stack = self.open.entry(uuid).or_default();
        let track = self.tracks.get(uuid);
        let Some(mut open) = stack.pop() else {
            // Unmatched: the reader of events counts it.
            let text = point_text("\"ph\":\"E\"", track, time_ns - self.base_ns, b"", b"");
            self.emit(&text);
            return;
        };
        if !arguments.is_empty() {
            if !open.arguments.is_empty() {
                open.arguments.push(b',');
            }
            open.arguments.extend_from_slice(arguments);
        }
        self.head();
        let track = self.tracks.get(uuid);
        let mut start = b"\"ph\":\"X\",\"dur\":".to_vec();
        write_us(time_ns.saturating_sub(open.start_ns), &mut start);
        let start = String::from_utf8_lossy(&start).into_owned();
        let text =
            point_text(&start, track, open.start_ns - self.base_ns, &open.what, &open.arguments);
        let stack = self.open.entry(uuid).or_default();
        match stack.last_mut() {
            Some(parent) if parent.start_ns == open.start_ns => {
                parent.held.push(text);
                parent.held.append(&mut open.held);
            }
            _ => {
                self.emit(&text);
                open.held.iter().for_each(|text| self.emit(text));
            }
        }
    }

    fn point(&mut self, start: &str, uuid: u64, time_ns: i64, what: &[u8], arguments: &[u8]) {
        self.head();
        let text =
            point_text(start, self.tracks.get(uuid), time_ns - self.base_ns, what, arguments);
        self.emit(&text);
    }

    /// Flow ids of today's and of older traces: the first event of an id starts the flow.
    fn flow_ids(&mut self, event: &TrackEvent, uuid: u64, time_ns: i64) {
        let going = event.flow_ids.iter().chain(&event.flow_ids_old);
        let ending = event.terminating_flow_ids.iter().chain(&event.terminating_flow_ids_old);
        let ids: Vec<(u64, bool)> =
            going.map(|&id| (id, false)).chain(ending.map(|&id| (id, true))).collect();
        if let Some((id, phase)) = event.legacy_event.as_ref().and_then(bound_flow) {
            let bind = if phase == "f" { ",\"bp\":\"e\"" } else { "" };
            let start = format!("\"ph\":\"{phase}\",\"id\":{id}{bind}");
            self.point(&start, uuid, time_ns, b",\"cat\":\"flow\",\"name\":\"flow\"", b"");
        }
        for (id, is_last) in ids {
            let is_first = self.flows.insert(id);
            let phase = match (is_first, is_last) {
                (true, false) => "s",
                (_, true) => "f",
                (false, false) => "t",
            };
            if is_last {
                self.flows.remove(&id);
            }
            let bind = if is_last { ",\"bp\":\"e\"" } else { "" };
            let start = format!("\"ph\":\"{phase}\",\"id\":{id}{bind}");
            self.point(&start, uuid, time_ns, b",\"cat\":\"flow\",\"name\":\"flow\"", b"");
        }
    }

    fn counter(&mut self, event: &TrackEvent, uuid: u64, time_ns: i64) {
        let value = event.double_counter_value.or(event.counter_value.map(|value| value as f64));
        if let Some(value) = value {
            self.sample(uuid, time_ns, value);
        }
    }

    /// Counters beside an event, on the tracks that it or its sequence names.
    fn extra_counters(&mut self, event: &TrackEvent, defaults: &TrackEventDefaults, time_ns: i64) {
        let named = |own: &[u64], default: &[u64]| {
            if own.is_empty() { default.to_vec() } else { own.to_vec() }
        };
        let own = &event.extra_counter_track_uuids;
        let uuids = named(own, &defaults.extra_counter_track_uuids);
        for (uuid, &value) in uuids.into_iter().zip(&event.extra_counter_values) {
            self.sample(uuid, time_ns, value as f64);
        }
        let own = &event.extra_double_counter_track_uuids;
        let uuids = named(own, &defaults.extra_double_counter_track_uuids);
        for (uuid, &value) in uuids.into_iter().zip(&event.extra_double_counter_values) {
            self.sample(uuid, time_ns, value);
        }
    }

    fn sample(&mut self, uuid: u64, time_ns: i64, value: f64) {
        self.head();
        let track = self.tracks.get(uuid);
        let value = value * track.multiplier as f64;
        track.counter = if track.is_incremental { track.counter + value } else { value };
        let mut what = b",\"name\":".to_vec();
        put_string(&track.name, &mut what);
        let mut arguments = Vec::new();
        put_string(track.series.as_deref().unwrap_or("value"), &mut arguments);
        let _ = write!(arguments, ":{}", track.counter);
        let text = point_text("\"ph\":\"C\"", track, time_ns - self.base_ns, &what, &arguments);
        self.emit(&text);
    }

    /// Starts the text: top-level members, and the start of the events.
    fn head(&mut self) {
        if std::mem::replace(&mut self.has_head, true) {
            return;
        }
        let mut members = std::mem::take(&mut self.members);
        if members.is_empty() {
            members.push(("schemaVersion".to_owned(), "1".to_owned()));
            let realtime = self.clocks.realtime_offset_ns();
            members.extend(realtime.map(|base| (BASE_KEY.to_owned(), base.to_string())));
        } else {
            let base = members.iter().find(|(key, _)| key == BASE_KEY);
            self.base_ns = base.and_then(|(_, text)| text.trim().parse().ok()).unwrap_or(0);
        }
        let mut head = b"{\n".to_vec();
        for (key, value) in members {
            put_string(&key, &mut head);
            head.extend_from_slice(format!(": {value},\n").as_bytes());
        }
        head.extend_from_slice(b"\"traceEvents\": [\n");
        self.out.extend_from_slice(&head);
    }

    fn emit(&mut self, text: &[u8]) {
        self.head();
        if std::mem::replace(&mut self.has_events, true) {
            self.out.extend_from_slice(b",\n");
        }
        self.out.extend_from_slice(text);
    }

    /// Ends the text. Slices that never ended are given as begins, which the reader of events counts.
    pub(super) fn finish(&mut self) {
        self.head();
        for (uuid, stack) in std::mem::take(&mut self.open) {
            for open in stack {
                self.point("\"ph\":\"B\"", uuid, open.start_ns, &open.what, &open.arguments);
                open.held.iter().for_each(|text| self.emit(text));
            }
        }
        self.out.extend_from_slice(b"\n]}\n");
    }
}

/// Name and category as members, with a comma before each.
fn members_of(event: &TrackEvent, sequence: &Sequence) -> Vec<u8> {
    let mut what = Vec::new();
    let categories = categories_of(event, sequence);
    if !categories.is_empty() {
        what.extend_from_slice(b",\"cat\":");
        put_string(&categories, &mut what);
    }
    let legacy_iid = event.legacy_event.as_ref().and_then(|legacy| legacy.name_iid);
    let interned = event.name_iid.or(legacy_iid).and_then(|iid| sequence.names.get(&iid));
    if let Some(name) = event.name.as_ref().or(interned) {
        what.extend_from_slice(b",\"name\":");
        put_string(name, &mut what);
    }
    what
}

fn categories_of(event: &TrackEvent, sequence: &Sequence) -> String {
    let interned = event.category_iids.iter().filter_map(|iid| sequence.categories.get(iid));
    let all: Vec<&str> = event.categories.iter().chain(interned).map(String::as_str).collect();
    all.join(",")
}

/// The id of a legacy event as members: the first that it has.
fn legacy_id(legacy: &LegacyEvent) -> String {
    let id = legacy.unscoped_id.or(legacy.global_id).or(legacy.local_id).or(legacy.bind_id);
    let is_bound = legacy.phase() == i32::from(b'f') && legacy.bind_to_enclosing();
    let bind = if is_bound { ",\"bp\":\"e\"" } else { "" };
    format!(",\"id\":{}{bind}", id.unwrap_or(0))
}

/// Id and phase of the flow that a legacy slice takes part in.
fn bound_flow(legacy: &LegacyEvent) -> Option<(u64, &'static str)> {
    let phase = match legacy.flow_direction() {
        1 => "f",
        2 => "s",
        3 => "t",
        _ => return None,
    };
    Some((legacy.bind_id?, phase))
}

/// An event on a track at a time.
fn point_text(
    start: &str,
    track: &TrackInfo,
    ts_ns: i64,
    what: &[u8],
    arguments: &[u8],
) -> Vec<u8> {
    let mut text =
        format!("{{{start},\"pid\":{},\"tid\":{},\"ts\":", track.pid, track.tid).into_bytes();
    write_us(ts_ns, &mut text);
    text.extend_from_slice(what);
    if !arguments.is_empty() {
        text.extend_from_slice(b",\"args\":{");
        text.extend_from_slice(arguments);
        text.push(b'}');
    }
    text.push(b'}');
    text
}
