//! Packets to events: what a packet says, with the texts, defaults and clocks of its sequence put in.
//!
//! Of a file that this program wrote, events become text as they come: each track stands in order. Of any other they wait
//! until all are there ([`Pending`]), because torch's own writer gives all begins before all ends.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};

use omni_trace_proto::perfetto::{
    TracePacket, TrackDescriptor, TrackEvent, TrackEventDefaults, track_event::LegacyEvent,
};
use omni_trace_proto::prost::Message as _;

use super::annotations::{key, put_members};
use super::gpu::Gpu;
use super::kinds::{conclude_annotations, concluded_category, packet_name};
use super::packets::{Piece, fields_of, is_bookkeeping, next_piece};
use super::pending::{Act, Event, Pending, Texts, What};
use super::resync::holds_a_packet;
use super::sequence::{Sequence, SharedClocks};
use super::text::Text;
use super::tracks::{NameEvent, Tracks};
use crate::diag::{IssueKind, Reporter};
use crate::model::limits::MAX_EVENT_BYTES;
use crate::store::PERFETTO_METADATA;

const SLICE_BEGIN: i32 = 1;
const SLICE_END: i32 = 2;
const INSTANT: i32 = 3;
const COUNTER: i32 = 4;
const NEEDS_STATE: u32 = 2;
/// Compressed packets may hold compressed packets; not deeper than this.
const MAX_DEPTH: usize = 4;

/// Converts packets in the order of the file.
#[derive(Default)]
pub(super) struct Converter {
    pub(super) text: Text,
    pub(super) reporter: Reporter,
    sequences: BTreeMap<u32, Sequence>,
    clocks: SharedClocks,
    tracks: Tracks,
    /// Names that wait for the start of the text.
    names: Vec<NameEvent>,
    texts: Texts,
    pending: Pending,
    gpu: Gpu,
    /// Whether this program wrote the file.
    is_ours: bool,
}

impl Converter {
    /// Takes one packet. An error says why these bytes are none.
    pub(super) fn packet(&mut self, bytes: &[u8], offset: u64, depth: usize) -> Result<(), String> {
        let packet = TracePacket::decode(bytes).map_err(|error| error.to_string())?;
        if holds_a_packet(bytes) {
            return Err("a packet holds another one".to_owned());
        }
        let packed = packet.compressed_packets.as_deref().map(|bytes| (bytes, false));
        let packed =
            packed.or(packet.zstd_compressed_packets.as_deref().map(|bytes| (bytes, true)));
        if let Some((bytes, is_zstd)) = packed {
            self.packed(bytes, is_zstd, offset, depth);
            return Ok(());
        }
        let id = packet.trusted_packet_sequence_id();
        let mut sequence = self.sequences.remove(&id).unwrap_or_default();
        sequence.update(&packet, &mut self.clocks);
        self.content(&packet, &mut sequence, Place { bytes, offset });
        self.sequences.insert(id, sequence);
        Ok(())
    }

    /// Packets are missing here, of any sequence.
    pub(super) fn packets_are_lost(&mut self) {
        self.sequences.values_mut().for_each(Sequence::packets_are_lost);
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
        let is_whole = depth < MAX_DEPTH && self.inside(&inflated, offset, depth) && read.is_ok();
        if !is_whole {
            let detail = "compressed packets that do not decompress";
            self.reporter.with_detail(IssueKind::UnreadableEvent, Some(offset), detail);
            self.packets_are_lost();
        }
    }

    /// Packets that were compressed, up to the first that cannot be read. Tells whether that is all.
    fn inside(&mut self, inflated: &[u8], offset: u64, depth: usize) -> bool {
        let mut at = 0;
        while let Piece::Packet { start, end } = next_piece(inflated, at) {
            if self.packet(&inflated[start..end], offset, depth + 1).is_err() {
                return false;
            }
            at = end;
        }
        at == inflated.len()
    }

    fn content(&mut self, packet: &TracePacket, sequence: &mut Sequence, at: Place<'_>) {
        let interned = packet.interned_data.iter().flat_map(|data| &data.gpu_counter_descriptors);
        for given in interned.filter_map(|one| one.counter_descriptor.as_ref()) {
            self.gpu.units.of_device(given);
        }
        if let Some(descriptor) = &packet.track_descriptor {
            if let Some(counter) = &descriptor.counter {
                let name = descriptor.name.as_deref().or(descriptor.static_name.as_deref());
                self.gpu.units.of_track(name.unwrap_or_default(), counter);
            }
            let names = self.tracks.describe(descriptor);
            self.name(names);
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
            self.name(names);
        }
        let time_ns = sequence.time_ns(packet, &self.clocks);
        let has_event = packet.track_event.is_some()
            || packet.gpu_render_stage_event.is_some()
            || packet.gpu_counter_event.is_some();
        if has_event && packet.sequence_flags() & NEEDS_STATE != 0 && !sequence.has_state {
            let detail = "a packet whose sequence's start is not in the trace";
            self.reporter.with_detail(IssueKind::UnreadableEvent, Some(at.offset), detail);
            return;
        }
        if has_event && sequence.is_unsure {
            let detail = "a packet behind lost ones, which may have told its time";
            self.reporter.with_detail(IssueKind::UnreadableEvent, Some(at.offset), detail);
            return;
        }
        if let Some(event) = &packet.track_event {
            match sequence.event_time_ns(event).or(time_ns) {
                Some(time_ns) => self.event(event, sequence, time_ns, at.offset),
                None => self.reporter.at(IssueKind::BadTimestamp, at.offset),
            }
        }
        if let Some(stage) = &packet.gpu_render_stage_event {
            self.stage(stage, sequence, time_ns, at.offset);
        }
        if let Some(samples) = &packet.gpu_counter_event {
            self.samples(samples, sequence, time_ns, at.offset);
        }
        let is_known = has_event
            || packet.track_descriptor.is_some()
            || packet.thread_descriptor.is_some()
            || packet.clock_snapshot.is_some()
            || packet.interned_data.is_some()
            || packet.trace_packet_defaults.is_some();
        if !is_known {
            self.unknown(at);
        }
    }

    /// A packet of another kind: of something that ran, or of the recorder's own bookkeeping.
    fn unknown(&mut self, at: Place<'_>) {
        let Some(field) = fields_of(at.bytes).find(|&field| !is_bookkeeping(field)) else {
            self.reporter.at(IssueKind::IgnoredPacket, at.offset);
            return;
        };
        let name = packet_name(field).map_or_else(|| format!("field {field}"), str::to_owned);
        self.reporter.with_detail(IssueKind::UnreadActivity, Some(at.offset), name);
    }

    pub(super) fn name(&mut self, names: Vec<NameEvent>) {
        if self.is_ours {
            self.text.names(&names);
        } else {
            self.names.extend(names);
        }
    }

    /// Gives an event to the text, now or later.
    pub(super) fn push(&mut self, event: Event) {
        if self.is_ours {
            self.text.event(&event, &self.texts, &mut self.tracks);
        } else {
            self.pending.push(event);
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
        let what = self.what_of(event, sequence);
        if what.name.is_none() && name_iid(event).is_some() {
            self.reporter.at(IssueKind::LostName, offset);
        }
        if what.category == PERFETTO_METADATA {
            self.metadata(event, sequence);
            return;
        }
        let what = self.texts.what(what);
        let track = self.track_of(event, sequence);
        let arguments = self.arguments_of(event, sequence);
        let arguments = self.texts.put(&arguments);
        let of = |act| Event { time_ns, track, act, what, arguments };
        let legacy = event.legacy_event.clone().unwrap_or_default();
        let phase = u8::try_from(legacy.phase()).unwrap_or(0);
        self.flow_ids(event, of(Act::End));
        match (event.r#type(), phase) {
            (SLICE_BEGIN, _) | (0, b'B') => self.push(of(Act::Begin)),
            (SLICE_END, _) | (0, b'E') => self.push(of(Act::End)),
            (0, b'X') => {
                let dur_ns = legacy.duration_us().saturating_mul(1000);
                self.push(of(Act::Whole { dur_ns }));
            }
            (INSTANT, _) | (0, b'i' | b'I' | b'R') => {
                let scope = match legacy.instant_event_scope() {
                    1 => "g",
                    2 => "p",
                    _ => "t",
                };
                self.point(format!("\"ph\":\"i\",\"s\":\"{scope}\""), of(Act::End));
            }
            (COUNTER, _) => {
                let value = event.counter_value.map(|value| value as f64);
                if let Some(value) = event.double_counter_value.or(value) {
                    self.push(of(Act::Sample { value }));
                }
            }
            // Asynchronous events keep their text; whoever reads it counts what it has no use for.
            (0, b's' | b't' | b'f' | b'b' | b'e' | b'n') => {
                let start = format!("\"ph\":\"{}\"{}", phase as char, legacy_id(&legacy));
                self.point(start, of(Act::End));
            }
            _ => self.reporter.at(IssueKind::IgnoredPhase, offset),
        }
        let defaults = sequence.defaults.track_event_defaults.clone().unwrap_or_default();
        self.extra_counters(event, &defaults, of(Act::End));
        if self.is_ours {
            self.texts.forget();
        }
    }

    /// Name and category; the category that arguments show where the event has none.
    fn what_of(&mut self, event: &TrackEvent, sequence: &Sequence) -> What {
        let interned = name_iid(event).and_then(|iid| sequence.names.get(&iid));
        let name = event.name.as_ref().or(interned).cloned();
        let mut what = What { category: categories_of(event, sequence), name, is_concluded: false };
        if what.category.is_empty() && event.r#type() == SLICE_BEGIN && !self.is_ours {
            let written = event.debug_annotations.iter().find(|a| key(a, &sequence.keys) == "cat");
            if let Some(text) = written.and_then(|a| a.string_value.as_ref()) {
                what.category.clone_from(text);
                return what;
            }
            let keys: Vec<&str> =
                event.debug_annotations.iter().map(|a| key(a, &sequence.keys)).collect();
            let name = what.name.as_deref().unwrap_or_default();
            if let Some(category) = concluded_category(name, &keys) {
                what = What { category: category.to_owned(), is_concluded: true, ..what };
            }
        }
        what
    }

    /// Debug annotations as members; the correlation of what the call started, where they do not say it.
    fn arguments_of(&mut self, event: &TrackEvent, sequence: &Sequence) -> Vec<u8> {
        let mut arguments = Vec::new();
        put_members(&event.debug_annotations, sequence, 0, &mut arguments);
        let written =
            event.debug_annotations.iter().find(|a| key(a, &sequence.keys) == "correlation");
        let stages = event.gpu_correlation.as_ref();
        let stages = stages.map_or(&[][..], |launch| &launch.render_stage_submission_event_ids);
        let own = event.correlation_id.or(stages.first().copied());
        if let Some(id) = own.filter(|_| written.is_none()) {
            let comma = if arguments.is_empty() { "" } else { "," };
            let _ = write!(arguments, "{comma}\"correlation\":{id}");
        }
        let said = written.and_then(|a| a.uint_value.or(a.int_value.map(i64::cast_unsigned)));
        self.gpu.launched(stages, said.or(own));
        arguments
    }

    /// The top-level members that our own writer keeps as arguments.
    fn metadata(&mut self, event: &TrackEvent, sequence: &Sequence) {
        for annotation in &event.debug_annotations {
            let name = key(annotation, &sequence.keys).to_owned();
            self.text.members.push((name, annotation.string_value().to_owned()));
        }
        if self.pending.events.is_empty() {
            self.is_ours = true;
            self.text.names(&std::mem::take(&mut self.names));
        }
    }

    fn point(&mut self, start: String, event: Event) {
        let start = self.texts.start(start);
        self.push(Event { act: Act::Point { start }, ..event });
    }

    /// Flow ids of today's and of older traces.
    fn flow_ids(&mut self, event: &TrackEvent, at: Event) {
        if let Some((id, phase)) = event.legacy_event.as_ref().and_then(bound_flow) {
            let bind = if phase == "f" { ",\"bp\":\"e\"" } else { "" };
            let flow = || Some("flow".to_owned());
            let what = What { category: "flow".to_owned(), name: flow(), is_concluded: false };
            let what = self.texts.what(what);
            let arguments = self.texts.put(b"");
            let start = format!("\"ph\":\"{phase}\",\"id\":{id}{bind}");
            self.point(start, Event { what, arguments, ..at });
        }
        let going = event.flow_ids.iter().chain(&event.flow_ids_old);
        for &id in going {
            self.push(Event { act: Act::Flow { id, is_last: false }, ..at });
        }
        let ending = event.terminating_flow_ids.iter().chain(&event.terminating_flow_ids_old);
        for &id in ending {
            self.push(Event { act: Act::Flow { id, is_last: true }, ..at });
        }
    }

    /// Counters beside an event, on the tracks that it or its sequence names.
    fn extra_counters(&mut self, event: &TrackEvent, defaults: &TrackEventDefaults, at: Event) {
        let named = |own: &[u64], default: &[u64]| {
            if own.is_empty() { default.to_vec() } else { own.to_vec() }
        };
        let own = &event.extra_counter_track_uuids;
        let uuids = named(own, &defaults.extra_counter_track_uuids);
        for (track, &value) in uuids.into_iter().zip(&event.extra_counter_values) {
            self.push(Event { track, act: Act::Sample { value: value as f64 }, ..at });
        }
        let own = &event.extra_double_counter_track_uuids;
        let uuids = named(own, &defaults.extra_double_counter_track_uuids);
        for (track, &value) in uuids.into_iter().zip(&event.extra_double_counter_values) {
            self.push(Event { track, act: Act::Sample { value }, ..at });
        }
    }

    /// Ends the text.
    pub(super) fn finish(&mut self) {
        self.text.realtime_ns = self.clocks.realtime_offset_ns();
        self.text.units = self.gpu.units.member();
        self.text.head();
        self.text.names(&std::mem::take(&mut self.names));
        let mut pending = std::mem::take(&mut self.pending);
        self.gpu.link(&mut pending.events, &mut self.texts);
        let annotations: BTreeSet<String> = self.texts.names_of("gpu_user_annotation");
        self.texts.conclude(|what| conclude_annotations(what, &annotations));
        self.conclude_overhead(&mut pending.events);
        for event in pending.ordered(&self.texts) {
            self.text.event(&event, &self.texts, &mut self.tracks);
        }
        self.text.finish(&mut self.tracks);
    }

    /// Slices without category on the track of the profiler's own work, which may be described after them.
    fn conclude_overhead(&mut self, events: &mut [Event]) {
        let (tracks, texts) = (&self.tracks, &mut self.texts);
        for event in events.iter_mut().filter(|event| event.act == Act::Begin) {
            let what = texts.what_of(event.what);
            if what.category.is_empty() && tracks.process_name(event.track) == "Overhead" {
                let what = What { category: "overhead".to_owned(), ..what.clone() };
                event.what = texts.what(what);
            }
        }
    }

    /// Events that wait.
    pub(super) fn n_pending(&self) -> usize {
        self.pending.events.len()
    }

    /// What a device's work needs of it.
    pub(super) fn parts(&mut self) -> (&mut Tracks, &mut Texts, &mut Gpu) {
        (&mut self.tracks, &mut self.texts, &mut self.gpu)
    }
}

/// Where a packet stands.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) bytes: &'a [u8],
    /// In the decompressed file.
    pub(super) offset: u64,
}

/// The number of a name that the sequence told before.
fn name_iid(event: &TrackEvent) -> Option<u64> {
    event.name_iid.or(event.legacy_event.as_ref().and_then(|legacy| legacy.name_iid))
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
