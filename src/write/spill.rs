//! What a pass in the order of the file puts aside for writing in another order: encoded arguments, and packets that are
//! no slices.

use std::collections::BTreeMap;
use std::io::{self, Read, Seek, SeekFrom, Write};

use omni_trace_proto::perfetto::{
    DebugAnnotation, TracePacket, TrackEvent, track_event::LegacyEvent,
};
use omni_trace_proto::prost::Message;

use super::annotations::annotations;
use super::edit::{Edit, Tally};
use super::flows::flow_target;
use super::perfetto::{HEAD_SEQUENCE, INSTANT, NEEDS_STATE, absolute, unsigned};
use super::plan::{IdKey, InputPlan};
use super::rewrite::key_of;
use super::trace::{Pass, Source, WriteError};
use crate::read::events::{RawEvent, RawValue, Reading, Visitor, flow_id, visit};
use crate::store::{Store, TrackId};

/// Scopes of instants in Perfetto's legacy events.
const GLOBAL_SCOPE: i32 = 1;
const PROCESS_SCOPE: i32 = 2;

/// Makes a file to put things aside; it is gone when the file is closed.
pub(crate) type MakeSpill<'a> = &'a (dyn Fn() -> io::Result<std::fs::File> + Sync);

/// What a pass in the order of the file put aside.
pub(super) struct Spilled {
    arguments: SpillReader,
    places: Places,
    others: std::fs::File,
    /// Length of the others.
    n_others: u64,
    /// Ends of flows that bind to their slice only inside of it, by the slice's event number: packets, each with its
    /// length before.
    inside: BTreeMap<u32, Vec<u8>>,
    pub(super) tally: Tally,
    /// Events that have no place in a Perfetto trace.
    pub(super) n_left_out: u64,
    /// The uuid of each track, once it has one.
    pub(super) tracks: Vec<u64>,
}

impl Spilled {
    pub(super) fn collect(
        source: &Source<'_>,
        base_ns: i64,
        pass: Pass<'_>,
        spill: MakeSpill<'_>,
    ) -> Result<Self, WriteError> {
        let mut arguments = io::BufWriter::with_capacity(1 << 18, spill()?);
        let mut others = io::BufWriter::with_capacity(1 << 16, spill()?);
        let mut lengths = vec![0; source.store.n_events as usize];
        let mut tally = Tally::default();
        let mut inside: BTreeMap<u32, Vec<u8>> = BTreeMap::new();
        let (mut n_others, mut n_left_out) = (0_u64, 0_u64);
        let make = || Encoder {
            store: source.store,
            plan: source.plan,
            edit: source.edit,
            base_ns,
            block: Encoded::default(),
        };
        visit(source.again, pass.options, pass.progress, &make, |block| {
            tally.merge(&block.tally);
            for &(number, len) in &block.lengths {
                if let Some(known) = lengths.get_mut(number as usize) {
                    *known = len;
                }
            }
            n_others += block.others.len() as u64;
            n_left_out += block.n_left_out;
            for (slice, packet) in block.inside {
                inside.entry(slice).or_default().extend_from_slice(&packet);
            }
            arguments.write_all(&block.arguments)?;
            others.write_all(&block.others)
        })?;
        let file = |writer: io::BufWriter<std::fs::File>| {
            writer.into_inner().map_err(io::IntoInnerError::into_error)
        };
        Ok(Self {
            arguments: SpillReader::new(file(arguments)?),
            places: Places::new(lengths),
            others: file(others)?,
            n_others,
            inside,
            tally,
            n_left_out,
            tracks: vec![0; source.store.tracks.len()],
        })
    }

    /// The arguments of an event, as fields of a [`TrackEvent`].
    pub(super) fn arguments(&mut self, number: u32) -> io::Result<&[u8]> {
        match self.places.of(number as usize) {
            Some((at, len)) => self.arguments.bytes(at, len),
            None => Ok(&[]),
        }
    }

    /// Gives the ends of flows that stand inside a slice, on the slice's track.
    pub(super) fn ends_inside(
        &mut self,
        slice: u32,
        uuid: u64,
        put: impl FnMut(&TracePacket) -> io::Result<()>,
    ) -> io::Result<()> {
        match self.inside.remove(&slice) {
            Some(packets) => each_packet(packets.as_slice(), |_| Some(uuid), put),
            None => Ok(()),
        }
    }

    /// Gives the packets that are no slices; their track numbers become the tracks' uuids.
    pub(super) fn each_other(
        &mut self,
        mut put: impl FnMut(&TracePacket) -> io::Result<()>,
    ) -> io::Result<()> {
        self.others.seek(SeekFrom::Start(0))?;
        let uuid = |number: u64| self.tracks.get(number as usize).copied();
        let reader = io::BufReader::with_capacity(1 << 16, (&self.others).take(self.n_others));
        each_packet(reader, uuid, &mut put)?;
        // Ends whose slices went.
        self.inside.values().try_for_each(|packets| each_packet(packets.as_slice(), uuid, &mut put))
    }
}

/// Where the arguments of each event stand: one after the other, in the order of the file.
struct Places {
    /// Bytes of the arguments of each event.
    lengths: Vec<u32>,
    /// Where those of every so many events begin.
    starts: Vec<u64>,
}

impl Places {
    const STEP: usize = 32;

    fn new(lengths: Vec<u32>) -> Self {
        let mut at = 0;
        let start = |some: &[u32]| {
            let start = at;
            at += total(some);
            start
        };
        let starts = lengths.chunks(Self::STEP).map(start).collect();
        Self { lengths, starts }
    }

    /// Start and length of an event's arguments, where it has any.
    fn of(&self, number: usize) -> Option<(u64, usize)> {
        let len = *self.lengths.get(number).filter(|&&len| len > 0)?;
        let first = number / Self::STEP * Self::STEP;
        let before = total(&self.lengths[first..number]);
        Some((self.starts[number / Self::STEP] + before, len as usize))
    }
}

fn total(lengths: &[u32]) -> u64 {
    lengths.iter().map(|&len| u64::from(len)).sum()
}

/// Gives packets that stand with their lengths before them, the track number of each exchanged for a uuid.
fn each_packet(
    mut reader: impl Read,
    uuid: impl Fn(u64) -> Option<u64>,
    mut put: impl FnMut(&TracePacket) -> io::Result<()>,
) -> io::Result<()> {
    let mut bytes = Vec::new();
    let mut len = [0; 4];
    loop {
        match reader.read_exact(&mut len) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) => return Err(error),
        }
        bytes.resize(u32::from_le_bytes(len) as usize, 0);
        reader.read_exact(&mut bytes)?;
        let mut packet = TracePacket::decode(bytes.as_slice()).map_err(io::Error::other)?;
        if let Some(event) = &mut packet.track_event {
            event.track_uuid = uuid(event.track_uuid.unwrap_or(0));
        }
        put(&packet)?;
    }
}

/// Reads pieces of a file that mostly follow each other.
struct SpillReader {
    file: std::fs::File,
    window: Vec<u8>,
    start: u64,
}

impl SpillReader {
    const WINDOW: usize = 1 << 16;

    fn new(file: std::fs::File) -> Self {
        Self { file, window: Vec::new(), start: 0 }
    }

    fn bytes(&mut self, at: u64, len: usize) -> io::Result<&[u8]> {
        let is_inside =
            at >= self.start && at + len as u64 <= self.start + self.window.len() as u64;
        if !is_inside {
            self.file.seek(SeekFrom::Start(at))?;
            self.window.clear();
            let wanted = len.max(Self::WINDOW) as u64;
            (&self.file).take(wanted).read_to_end(&mut self.window)?;
            self.start = at;
        }
        let from = (at - self.start) as usize;
        self.window.get(from..from + len).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
}

/// What a block becomes.
#[derive(Default)]
struct Encoded {
    arguments: Vec<u8>,
    /// Event number and bytes of each slice's arguments, in order.
    lengths: Vec<(u32, u32)>,
    /// Packets of events that are no slices, each with its length before; their track uuids are track numbers.
    others: Vec<u8>,
    /// Ends of flows that stand inside a slice, by its event number, in the same form.
    inside: Vec<(u32, Vec<u8>)>,
    tally: Tally,
    n_left_out: u64,
}

/// Encodes the events of one block.
struct Encoder<'a> {
    store: &'a Store,
    plan: &'a InputPlan,
    edit: Option<&'a Edit>,
    base_ns: i64,
    block: Encoded,
}

impl Visitor for Encoder<'_> {
    type Output = Encoded;

    fn event(&mut self, number: u64, event: &RawEvent<'_>, reading: Reading) {
        if let Some(edit) = self.edit {
            let is_gone = edit.drops(number, event);
            self.block.tally.count(event, is_gone);
            if is_gone {
                return;
            }
        }
        let is_repaired = reading == Reading::Repaired;
        match event.ph.inner() {
            b"X" | b"B" => self.slice(number as u32, event, is_repaired),
            b"i" | b"I" | b"R" | b"s" | b"t" | b"f" | b"b" | b"n" | b"e" => {
                self.other(event, is_repaired);
            }
            // Ends of slices, samples and names are written from the store.
            b"E" | b"C" | b"M" => {}
            _ => self.block.n_left_out += 1,
        }
    }

    fn finish(self) -> Encoded {
        self.block
    }
}

impl Encoder<'_> {
    fn slice(&mut self, number: u32, event: &RawEvent<'_>, is_repaired: bool) {
        let collapsed = self.edit.and_then(|edit| edit.collapsed.get(number));
        if event.args.is_empty() && collapsed.is_none() {
            return;
        }
        let mut debug_annotations = self.arguments(event, is_repaired);
        if let Some(collapsed) = collapsed {
            let number = |name: &str, value: u64| DebugAnnotation {
                name: Some(name.to_owned()),
                uint_value: Some(value),
                ..DebugAnnotation::default()
            };
            debug_annotations.push(number(super::COLLAPSED_COUNT_KEY, collapsed.count));
            debug_annotations.push(number(super::COLLAPSED_NS_KEY, unsigned(collapsed.covered_ns)));
        }
        let arguments = TrackEvent { debug_annotations, ..TrackEvent::default() };
        let before = self.block.arguments.len();
        arguments.encode(&mut self.block.arguments).expect("a vector takes any number of bytes");
        self.block.lengths.push((number, (self.block.arguments.len() - before) as u32));
    }

    fn arguments(&self, event: &RawEvent<'_>, is_repaired: bool) -> Vec<DebugAnnotation> {
        let mut found = annotations(event, self.plan.id_offset, is_repaired);
        if let Some(edit) = self.edit {
            let mut keys = event.args.iter();
            found.retain(|_| keys.next().is_none_or(|(key, _)| !edit.drops_arg(key)));
        }
        found
    }

    /// Instants, ends of flows and asynchronous events.
    fn other(&mut self, event: &RawEvent<'_>, is_repaired: bool) {
        let Some(ts_ns) = event.ts.as_ns() else { return };
        let Some(track) = self.track_number(event) else {
            self.block.n_left_out += 1;
            return;
        };
        let phase = event.ph.inner();
        let is_instant = matches!(phase, b"i" | b"I" | b"R");
        let id = flow_id(event.id);
        if !is_instant && id.is_none() {
            // Reading counts flows without an id.
            self.block.n_left_out += u64::from(!matches!(phase, b"s" | b"t" | b"f"));
            return;
        }
        let legacy_event = if is_instant { scope_of(event) } else { Some(self.legacy(event, id)) };
        let text = |value: RawValue<'_>| value.text().0.into_owned();
        let track_event = TrackEvent {
            r#type: is_instant.then_some(INSTANT),
            track_uuid: Some(track as u64),
            categories: if event.cat.is_absent() { Vec::new() } else { vec![text(event.cat)] },
            name: Some(text(event.name)),
            debug_annotations: self.arguments(event, is_repaired),
            legacy_event,
            ..TrackEvent::default()
        };
        let time_ns = ts_ns.saturating_add(self.plan.shift_ns).saturating_add(self.base_ns);
        let mut packet = absolute(time_ns, HEAD_SEQUENCE, track_event);
        packet.sequence_flags = Some(NEEDS_STATE);
        let is_flow = matches!(phase, b"s" | b"t" | b"f");
        match id.filter(|_| is_flow).and_then(|id| self.slice_around(track, ts_ns, id)) {
            Some(slice) => {
                let mut bytes = Vec::new();
                put_packet(&packet, &mut bytes);
                self.block.inside.push((slice, bytes));
            }
            None => put_packet(&packet, &mut self.block.others),
        }
    }

    fn legacy(&self, event: &RawEvent<'_>, id: Option<u64>) -> LegacyEvent {
        let phase = event.ph.inner();
        let bind =
            event.others.iter().find(|(key, _)| *key == b"bp").map(|(_, value)| value.inner());
        LegacyEvent {
            phase: phase.first().map(|&phase| i32::from(phase)),
            unscoped_id: id.map(|id| id.wrapping_add(self.plan.id_offset)),
            bind_to_enclosing: (phase == b"f" && bind == Some(b"e")).then_some(true),
            ..LegacyEvent::default()
        }
    }

    /// The event number of the slice that the end of a flow must stand inside of: one without length, or on a lane.
    fn slice_around(&self, track: usize, ts_ns: i64, id: u64) -> Option<u32> {
        let slice = flow_target(self.store, &self.store.tracks[track], ts_ns, id)?;
        let number = self.store.slices.event_number(slice)?;
        let is_moved = self.plan.lane_of_event.get(number).is_some();
        (is_moved || self.store.slices.end_ns(slice) == ts_ns).then_some(number)
    }

    /// The number of the event's track in the store.
    fn track_number(&self, event: &RawEvent<'_>) -> Option<usize> {
        let id = |value| match key_of(value) {
            IdKey::Int(number) => Some(TrackId::Int(number)),
            IdKey::Text(text) => self.store.strings.find(&text).map(TrackId::Text),
        };
        self.store.track_number(id(event.pid)?, id(event.tid)?)
    }
}

/// A packet with its length before.
fn put_packet(packet: &TracePacket, out: &mut Vec<u8>) {
    out.extend_from_slice(&(packet.encoded_len() as u32).to_le_bytes());
    packet.encode(out).expect("a vector takes any number of bytes");
}

/// The scope of an instant that is more than its thread.
fn scope_of(event: &RawEvent<'_>) -> Option<LegacyEvent> {
    let scope = event.others.iter().find(|(key, _)| *key == b"s")?.1;
    let instant_event_scope = match scope.inner() {
        b"g" => Some(GLOBAL_SCOPE),
        b"p" => Some(PROCESS_SCOPE),
        _ => return None,
    };
    Some(LegacyEvent { instant_event_scope, ..LegacyEvent::default() })
}
