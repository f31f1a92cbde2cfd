//! What a pass in the order of the file puts aside for writing in another order: encoded arguments, and packets that are
//! no slices.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};

use omni_trace_proto::perfetto::{
    DebugAnnotation, TracePacket, TrackEvent, track_event::LegacyEvent,
};

use super::annotations::{put_annotation, put_arguments};
use super::edit::{BlockTally, ByEvent, Edit, Tally};
use super::flows::flow_target;
use super::packets::{NEEDS_STATE, put_event};
use super::perfetto::{BOOTTIME, HEAD_SEQUENCE, INSTANT, unsigned};
use super::plan::{IdKey, InputPlan};
use super::rewrite::key_of;
use super::trace::{Pass, Source, WriteError};
use super::uuids::Uuids;
use crate::diag::timings::timed;
use crate::model::Spare;
use crate::read::events::{Known, RawEvent, RawValue, Reading, Visitor, flow_id, visit};
use crate::read::read_at;
use crate::store::{Store, TrackId};

/// Scopes of instants in Perfetto's legacy events.
const GLOBAL_SCOPE: i32 = 1;
const PROCESS_SCOPE: i32 = 2;

/// Makes a file to put things aside; it is gone when the file is closed.
pub(crate) type MakeSpill<'a> = &'a (dyn Fn() -> io::Result<std::fs::File> + Sync);

/// What a pass in the order of the file put aside.
pub(super) struct Spilled {
    arguments: File,
    places: Places,
    /// Packets that are no slices.
    others: File,
    /// Ends of flows that bind to their slice only inside of it, by the slice's event number, as packets.
    inside: ByEvent<Vec<u8>>,
    /// The same of slices that are not written.
    left: BTreeMap<u32, Vec<u8>>,
    pub(super) tally: Tally,
    /// Events that have no place in a Perfetto trace.
    pub(super) n_left_out: u64,
}

impl Spilled {
    pub(super) fn collect(
        source: &Source<'_>,
        uuids: &Uuids,
        base_ns: i64,
        pass: Pass<'_>,
        spill: MakeSpill<'_>,
    ) -> Result<Self, WriteError> {
        let mut arguments = io::BufWriter::with_capacity(1 << 18, spill()?);
        let mut others = io::BufWriter::with_capacity(1 << 16, spill()?);
        let mut lengths = vec![0; source.store.n_events as usize];
        let mut tally = Tally::default();
        let (mut inside, mut left) = <(BTreeMap<u32, Vec<u8>>, BTreeMap<u32, Vec<u8>>)>::default();
        let mut n_left_out = 0_u64;
        let spare = Spare::default();
        let make = || Encoder {
            store: source.store,
            plan: source.plan,
            edit: source.edit,
            uuids,
            base_ns,
            block: spare.take().unwrap_or_default(),
        };
        let mut take = |mut block: Encoded| {
            tally.add(&block.tally);
            for &(number, len) in &block.lengths {
                if let Some(known) = lengths.get_mut(number as usize) {
                    *known = len;
                }
            }
            n_left_out += block.n_left_out;
            for (slice, packet) in block.inside.drain(..) {
                inside.entry(slice).or_default().extend_from_slice(&packet);
            }
            for (slice, packet) in block.left.drain(..) {
                left.entry(slice).or_default().extend_from_slice(&packet);
            }
            arguments.write_all(&block.arguments)?;
            others.write_all(&block.others)?;
            block.clear();
            spare.give(block);
            Ok(())
        };
        visit(source.again, pass.options, pass.progress, &make, |block| {
            timed("write: put aside", || take(block))
        })?;
        let file = |writer: io::BufWriter<File>| {
            writer.into_inner().map_err(io::IntoInnerError::into_error)
        };
        Ok(Self {
            arguments: file(arguments)?,
            places: Places::new(lengths),
            others: file(others)?,
            inside: inside.into_iter().collect(),
            left,
            tally,
            n_left_out,
        })
    }

    /// The arguments of events, asked for one after the other.
    pub(super) fn arguments(&self) -> Arguments<'_> {
        Arguments { file: &self.arguments, places: &self.places, window: Vec::new(), start: 0 }
    }

    /// The ends of flows that stand inside a slice, as packets.
    pub(super) fn ends_inside(&self, slice: u32) -> &[u8] {
        self.inside.get(slice).map_or(&[], Vec::as_slice)
    }

    /// Writes the packets that are no slices. Gives their bytes.
    pub(super) fn write_others(&mut self, out: &mut impl Write) -> io::Result<u64> {
        self.others.seek(SeekFrom::Start(0))?;
        let mut n_bytes = io::copy(&mut io::BufReader::with_capacity(1 << 18, &self.others), out)?;
        // Ends whose slices went.
        for packets in self.left.values() {
            out.write_all(packets)?;
            n_bytes += packets.len() as u64;
        }
        Ok(n_bytes)
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

/// Reads arguments, which mostly follow each other. Several may read from one file.
pub(super) struct Arguments<'a> {
    file: &'a File,
    places: &'a Places,
    window: Vec<u8>,
    start: u64,
}

impl Arguments<'_> {
    const WINDOW: usize = 1 << 16;

    /// The arguments of an event, as fields of a [`TrackEvent`].
    pub(super) fn of(&mut self, number: u32) -> io::Result<&[u8]> {
        let Some((at, len)) = self.places.of(number as usize) else { return Ok(&[]) };
        let is_inside =
            at >= self.start && at + len as u64 <= self.start + self.window.len() as u64;
        if !is_inside {
            self.window.resize(len.max(Self::WINDOW), 0);
            let n = read_at(self.file, &mut self.window, at)?;
            self.window.truncate(n);
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
    /// Packets of events that are no slices.
    others: Vec<u8>,
    /// Ends of flows that stand inside a slice, by its event number, as packets.
    inside: Vec<(u32, Vec<u8>)>,
    /// The same of slices that are not written.
    left: Vec<(u32, Vec<u8>)>,
    tally: BlockTally,
    n_left_out: u64,
}

impl Encoded {
    /// Forgets everything, keeping the memory.
    fn clear(&mut self) {
        let Self { arguments, lengths, others, .. } = std::mem::take(self);
        *self = Self { arguments, lengths, others, ..Self::default() };
        self.arguments.clear();
        self.lengths.clear();
        self.others.clear();
    }
}

/// Encodes the events of one block.
struct Encoder<'a> {
    store: &'a Store,
    plan: &'a InputPlan,
    edit: Option<&'a Edit>,
    uuids: &'a Uuids,
    base_ns: i64,
    block: Encoded,
}

impl Visitor for Encoder<'_> {
    type Output = Encoded;

    fn event(&mut self, number: u64, event: &RawEvent<'_>, reading: Reading) {
        if let Some(edit) = self.edit {
            let is_gone = edit.drops(number, event);
            self.block.tally.count(1, Known::of(event), is_gone);
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

    fn passes(&self, number: u64) -> bool {
        self.edit.is_some_and(|edit| edit.is_slice_gone(number))
    }

    fn passed(&mut self, n: u64, known: Known<'_>) {
        self.block.tally.count(n, known, true);
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
        let before = self.block.arguments.len();
        let out = &mut self.block.arguments;
        put_arguments(event, self.plan.id_offset, self.edit, is_repaired, out);
        if let Some(collapsed) = collapsed {
            let mut put = |name: &str, value: u64| {
                let name = Some(name.to_owned());
                let uint_value = Some(value);
                put_annotation(
                    &DebugAnnotation { name, uint_value, ..DebugAnnotation::default() },
                    out,
                );
            };
            put(super::COLLAPSED_COUNT_KEY, collapsed.count);
            put(super::COLLAPSED_NS_KEY, unsigned(collapsed.covered_ns));
        }
        self.block.lengths.push((number, (self.block.arguments.len() - before) as u32));
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
        let is_flow = matches!(phase, b"s" | b"t" | b"f");
        let around = id.filter(|_| is_flow).and_then(|id| self.slice_around(track, ts_ns, id));
        let written = around.and_then(|slice| self.uuid_of(track, slice));
        let text = |value: RawValue<'_>| value.text().0.into_owned();
        let track_event = TrackEvent {
            r#type: is_instant.then_some(INSTANT),
            track_uuid: Some(written.unwrap_or_else(|| self.uuids.track(track))),
            categories: if event.cat.is_absent() { Vec::new() } else { vec![text(event.cat)] },
            name: Some(text(event.name)),
            legacy_event,
            ..TrackEvent::default()
        };
        let time_ns = ts_ns.saturating_add(self.plan.shift_ns).saturating_add(self.base_ns);
        let mut own = Vec::new();
        let block = &mut self.block;
        let out = if around.is_some() { &mut own } else { &mut block.others };
        let mut arguments = Vec::new();
        put_arguments(event, self.plan.id_offset, self.edit, is_repaired, &mut arguments);
        let before = TracePacket {
            timestamp: Some(unsigned(time_ns)),
            trusted_packet_sequence_id: Some(HEAD_SEQUENCE),
            ..TracePacket::default()
        };
        let after = TracePacket {
            sequence_flags: Some(NEEDS_STATE),
            timestamp_clock_id: Some(BOOTTIME),
            ..TracePacket::default()
        };
        put_event(&before, (&arguments, &track_event), &after, out);
        match around {
            Some(slice) if written.is_some() => block.inside.push((slice, own)),
            Some(slice) => block.left.push((slice, own)),
            None => {}
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

    /// The uuid of the lane that a slice of a track is written on, by its event number.
    fn uuid_of(&self, track: usize, slice: u32) -> Option<u64> {
        if self.edit.is_some_and(|edit| edit.is_slice_gone(u64::from(slice))) {
            return None;
        }
        let lane = self.plan.lane_of_event.get(slice).copied().unwrap_or(0);
        self.uuids.lane(track, lane)
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
