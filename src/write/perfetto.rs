//! A whole Perfetto file: tracks in an explicit order, each track's slices in the order of its stack, then the rest.
//!
//! Perfetto has no complete events: a slice is a begin and an end, and an end closes the innermost open slice of its
//! track. So slices are written in the order of the store, each track as a sequence of its own with an incremental clock;
//! their arguments, which come in the order of the file, wait in a spill file. What is no slice follows on a sequence of
//! its own with absolute times, so that at the same instant it finds the slices already open; but for the ends of flows that
//! would not find theirs there, which stand right after its begin.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::panic::resume_unwind;
use std::thread::{Builder, ScopedJoinHandle};

use omni_trace_proto::perfetto::{
    ClockSnapshot, CounterDescriptor, DebugAnnotation, DebugAnnotationName, EventCategory,
    EventName, InternedData, ProcessDescriptor, ThreadDescriptor, TracePacket, TracePacketDefaults,
    TrackDescriptor, TrackEvent, TrackEventDefaults, clock_snapshot::Clock,
};
use omni_trace_proto::prost::Message;
use omni_trace_proto::prost::encoding::{
    WireType, encode_key, encode_varint, encoded_len_varint, key_len,
};

use super::annotations::KNOWN_KEYS;
use super::plan::IdKey;
use super::spill::{MakeSpill, Spilled};
use super::trace::{Pass, Source, WriteError, Written};
use crate::model::limits::WRITTEN_SIDE_BY_SIDE;
use crate::read::{ReadError, ReadOptions};
use crate::store::{PERFETTO_METADATA, Store, StrId, Track};

const SLICE_BEGIN: i32 = 1;
const SLICE_END: i32 = 2;
pub(super) const INSTANT: i32 = 3;
const COUNTER: i32 = 4;
const EXPLICIT: i32 = 3;
const EXPLICIT_ORDERING: i32 = 1;
const CLEARED: u32 = 1;
pub(super) const NEEDS_STATE: u32 = 2;
/// The sequence of what is no slice; the first packet starts it.
pub(super) const HEAD_SEQUENCE: u32 = 1;
const REALTIME: u32 = 1;
const BOOTTIME: u32 = 6;
/// Clocks from 64 to 127 belong to their sequence.
const INCREMENTAL: u32 = 64;

/// The track of each process.
type Processes = BTreeMap<IdKey, u64>;

/// Writes packets, each as a field of the file's message.
struct Packets<W> {
    out: W,
    bytes: u64,
    buffer: Vec<u8>,
}

impl<W: Write> Packets<W> {
    fn put(&mut self, packet: &TracePacket) -> io::Result<()> {
        self.buffer.clear();
        encode_key(PACKET_FIELD, WireType::LengthDelimited, &mut self.buffer);
        encode_varint(packet.encoded_len() as u64, &mut self.buffer);
        append(packet, &mut self.buffer);
        self.write()
    }

    /// Writes a packet of an event whose arguments are encoded already: fields of a message may follow in any order.
    fn put_event(
        &mut self,
        packet: &TracePacket,
        event: &TrackEvent,
        arguments: &[u8],
    ) -> io::Result<()> {
        let event_len = event.encoded_len() + arguments.len();
        let event_field = key_len(EVENT_FIELD) + encoded_len_varint(event_len as u64) + event_len;
        let out = &mut self.buffer;
        out.clear();
        encode_key(PACKET_FIELD, WireType::LengthDelimited, out);
        encode_varint((packet.encoded_len() + event_field) as u64, out);
        append(packet, out);
        encode_key(EVENT_FIELD, WireType::LengthDelimited, out);
        encode_varint(event_len as u64, out);
        append(event, out);
        out.extend_from_slice(arguments);
        self.write()
    }

    fn write(&mut self) -> io::Result<()> {
        self.bytes += self.buffer.len() as u64;
        self.out.write_all(&self.buffer)
    }

    /// Writes what another wrote into a file that was put aside.
    fn append(&mut self, piece: Packets<BufWriter<std::fs::File>>) -> io::Result<()> {
        let mut file = piece.out.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.seek(SeekFrom::Start(0))?;
        self.bytes += io::copy(&mut file, &mut self.out)?;
        Ok(())
    }
}

fn append(message: &impl Message, out: &mut Vec<u8>) {
    message.encode(out).expect("a vector takes any number of bytes");
}

/// `packet` of the file's message, and `track_event` of a packet.
const PACKET_FIELD: u32 = 1;
const EVENT_FIELD: u32 = 11;

/// Writes the sources as one Perfetto trace, some of them side by side. Times are Unix times where `base_time_ns` is known.
pub(crate) fn write_perfetto(
    out: impl Write,
    base_time_ns: Option<i64>,
    members: &[(String, String)],
    sources: &[Source<'_>],
    pass: Pass<'_>,
    spill: MakeSpill<'_>,
) -> Result<Written, WriteError> {
    let base_ns = base_time_ns.unwrap_or(0);
    let start_ns = sources.iter().filter_map(first_ns).min().unwrap_or(0).saturating_add(base_ns);
    let numbers = Numbers { uuid: 1, sequence: 1, step: 1 };
    let mut file = File::new(out, (base_ns, start_ns), numbers);
    file.head(base_time_ns, members)?;
    let written = match sources {
        [source] => file.put_source(source, pass, spill)?,
        _ => file.put_side_by_side(sources, pass, spill)?,
    };
    file.packets.out.flush()?;
    Ok(Written { text_bytes: file.packets.bytes, ..written })
}

/// What becomes of each source, each on a thread of its own.
fn side_by_side<R: Send>(
    sources: &[(Numbers, &Source<'_>)],
    work: impl Fn(&(Numbers, &Source<'_>)) -> Result<R, WriteError> + Sync,
) -> Result<Vec<R>, WriteError> {
    std::thread::scope(|scope| {
        let work = &work;
        let start = |one| Builder::new().spawn_scoped(scope, move || work(one));
        let no_thread = |(one, error): (&(Numbers, &Source<'_>), io::Error)| ReadError::NoThread {
            path: one.1.again.path().to_owned(),
            source: error,
        };
        let threads: Vec<_> = sources
            .iter()
            .map(|one| start(one).map_err(|error| no_thread((one, error))))
            .collect::<Result<_, _>>()?;
        let join = |thread: ScopedJoinHandle<'_, _>| {
            thread.join().unwrap_or_else(|panic| resume_unwind(panic))
        };
        threads.into_iter().map(join).collect()
    })
}

fn first_ns(source: &Source<'_>) -> Option<i64> {
    let first = source.store.slices.ts_ns.iter().min()?;
    Some(first.saturating_add(source.plan.shift_ns))
}

/// The numbers that the next track and the next sequence get. Sources that are written side by side take turns in numbers, so
/// that none needs to know how many another takes.
#[derive(Clone, Copy)]
struct Numbers {
    uuid: u64,
    sequence: u32,
    step: u32,
}

impl Numbers {
    /// Of the numbers from here on every `n`th, from the `i`th on.
    fn every(self, i: u32, n: u32) -> Self {
        Self { uuid: self.uuid + u64::from(i), sequence: self.sequence + i, step: n }
    }
}

struct File<W> {
    packets: Packets<W>,
    base_ns: i64,
    /// First time of the trace, in nanoseconds of its clock.
    start_ns: i64,
    numbers: Numbers,
}

impl<W: Write> File<W> {
    fn new(out: W, (base_ns, start_ns): (i64, i64), numbers: Numbers) -> Self {
        let packets = Packets { out, bytes: 0, buffer: Vec::new() };
        Self { packets, base_ns, start_ns, numbers }
    }

    fn uuid(&mut self) -> u64 {
        self.numbers.uuid += u64::from(self.numbers.step);
        self.numbers.uuid - u64::from(self.numbers.step)
    }

    fn sequence(&mut self) -> u32 {
        self.numbers.sequence += self.numbers.step;
        self.numbers.sequence - self.numbers.step
    }

    /// Reads a source again and writes it.
    fn put_source(
        &mut self,
        source: &Source<'_>,
        pass: Pass<'_>,
        spill: MakeSpill<'_>,
    ) -> Result<Written, WriteError> {
        let spilled = Spilled::collect(source, self.base_ns, pass, spill)?;
        let (tally, n_left_out) = (spilled.tally.clone(), spilled.n_left_out);
        self.source(source, spilled)?;
        Ok(Written { tally, n_left_out, ..Written::default() })
    }

    /// Writes sources, some of them at once, each into a file of its own, which are joined in order.
    fn put_side_by_side(
        &mut self,
        sources: &[Source<'_>],
        pass: Pass<'_>,
        spill: MakeSpill<'_>,
    ) -> Result<Written, WriteError> {
        let n_sources = sources.len() as u32;
        let numbered: Vec<(Numbers, &Source<'_>)> =
            (0..n_sources).map(|i| self.numbers.every(i, n_sources)).zip(sources).collect();
        let times = (self.base_ns, self.start_ns);
        let mut all = Written::default();
        for group in numbered.chunks(WRITTEN_SIDE_BY_SIDE) {
            let threads = (pass.options.threads / group.len()).max(1);
            let options = ReadOptions { threads, ..*pass.options };
            let pass = Pass { options: &options, ..pass };
            let piece = |&(numbers, source): &(Numbers, &Source<'_>)| {
                let out = BufWriter::with_capacity(1 << 18, spill()?);
                let mut piece = File::new(out, times, numbers);
                let written = piece.put_source(source, pass, spill)?;
                Ok((piece.packets, written))
            };
            for (piece, written) in side_by_side(group, piece)? {
                self.packets.append(piece)?;
                all.tally.merge(&written.tally);
                all.n_left_out += written.n_left_out;
            }
        }
        Ok(all)
    }

    /// The top-level members, as arguments of one instant: Perfetto has no place for them.
    fn head(&mut self, base: Option<i64>, members: &[(String, String)]) -> io::Result<()> {
        let time = unsigned(self.start_ns);
        let clock = |clock_id| Clock {
            clock_id: Some(clock_id),
            timestamp: Some(time),
            ..Clock::default()
        };
        let mut clocks = vec![clock(BOOTTIME)];
        clocks.extend(base.map(|_| clock(REALTIME)));
        let sequence = self.sequence();
        let snapshot = ClockSnapshot { clocks, primary_trace_clock: Some(BOOTTIME as i32) };
        self.packets.put(&TracePacket {
            trusted_packet_sequence_id: Some(sequence),
            sequence_flags: Some(CLEARED),
            first_packet_on_sequence: Some(true),
            clock_snapshot: Some(snapshot),
            interned_data: Some(known_keys()),
            ..TracePacket::default()
        })?;
        // Perfetto takes the order of processes and threads from the ranks of their tracks if its root says so.
        self.descriptor(TrackDescriptor {
            uuid: Some(0),
            process_ordering: Some(EXPLICIT_ORDERING),
            thread_ordering: Some(EXPLICIT_ORDERING),
            ..TrackDescriptor::default()
        })?;
        let uuid = self.uuid();
        let descriptor = TrackDescriptor {
            uuid: Some(uuid),
            name: Some("omni-trace".into()),
            ..TrackDescriptor::default()
        };
        self.descriptor(descriptor)?;
        let annotation = |(key, value): &(String, String)| DebugAnnotation {
            name: Some(key.clone()),
            string_value: Some(value.clone()),
            ..DebugAnnotation::default()
        };
        let event = TrackEvent {
            r#type: Some(INSTANT),
            track_uuid: Some(uuid),
            categories: vec![PERFETTO_METADATA.into()],
            name: Some("trace metadata".into()),
            debug_annotations: members.iter().map(annotation).collect(),
            ..TrackEvent::default()
        };
        self.packets.put(&absolute(self.start_ns, sequence, event))
    }

    fn descriptor(&mut self, descriptor: TrackDescriptor) -> io::Result<()> {
        self.packets.put(&TracePacket {
            trusted_packet_sequence_id: Some(1),
            track_descriptor: Some(descriptor),
            ..TracePacket::default()
        })
    }

    fn source(&mut self, source: &Source<'_>, mut spilled: Spilled) -> io::Result<()> {
        let processes = self.processes(source)?;
        let names = source.plan.thread_names.iter();
        let new_names = names.map(|(pid, tid, name)| ((*pid, *tid), name.as_str())).collect();
        for (i, track) in source.store.tracks.iter().enumerate() {
            let key = IdKey::of(source.store, &track.pid);
            let Some(&process) = processes.get(&key) else { continue };
            self.track(source, (i, track), (process, &new_names), &mut spilled)?;
        }
        self.counters(source, &processes)?;
        spilled.each_other(|packet| self.packets.put(packet))
    }

    /// A process track for each process, in the order of the plan.
    fn processes(&mut self, source: &Source<'_>) -> io::Result<Processes> {
        let mut uuids = Processes::new();
        let mut labels: BTreeMap<IdKey, StrId> = BTreeMap::new();
        for track in &source.store.tracks {
            if let Some(own) = track.process_labels {
                labels.entry(IdKey::of(source.store, &track.pid)).or_insert(own);
            }
        }
        let mut plans: Vec<_> = source.plan.processes.iter().collect();
        plans.sort_by_key(|(_, plan)| plan.pid);
        for (key, plan) in plans {
            let uuid = self.uuid();
            let process = ProcessDescriptor {
                pid: i32::try_from(plan.pid).ok(),
                legacy_sort_index: i32::try_from(plan.sort_index).ok(),
                process_name: Some(plan.name.clone()),
                process_labels: labels
                    .get(key)
                    .map(|&id| source.store.strings.get(id).to_owned())
                    .into_iter()
                    .collect(),
                ..ProcessDescriptor::default()
            };
            self.descriptor(TrackDescriptor {
                uuid: Some(uuid),
                process: Some(process),
                child_ordering: Some(EXPLICIT),
                sibling_order_rank: i32::try_from(plan.sort_index).ok(),
                ..TrackDescriptor::default()
            })?;
            uuids.insert(key.clone(), uuid);
        }
        Ok(uuids)
    }

    /// A thread track for a track and each of its lanes, with their slices.
    fn track(
        &mut self,
        source: &Source<'_>,
        (number, track): (usize, &Track),
        (process, new_names): (u64, &HashMap<(i64, i64), &str>),
        spilled: &mut Spilled,
    ) -> io::Result<()> {
        let (store, plan) = (source.store, source.plan);
        let keys = (IdKey::of(store, &track.pid), IdKey::of(store, &track.tid));
        let Some(pid) = plan.processes.get(&keys.0).map(|process| process.pid) else {
            return Ok(());
        };
        let planned = plan.tracks.get(&keys).cloned().unwrap_or_default();
        let own = planned.tid.or_else(|| i64::try_from(track.tid.as_int()?).ok());
        let lanes = own.into_iter().chain(planned.lanes.iter().copied());
        let slices = by_lane(source, track, planned.lanes.len() + 1);
        for ((lane, tid), slices) in lanes.enumerate().zip(slices) {
            let uuid = self.uuid();
            let is_new = lane > 0 || planned.tid.is_some();
            let name = if is_new {
                new_names.get(&(pid, tid)).map(|name| (*name).to_owned())
            } else {
                track.thread_name.map(|id| store.strings.get(id).to_owned())
            };
            let thread = ThreadDescriptor {
                pid: i32::try_from(pid).ok(),
                tid: Some(tid),
                thread_name: name,
                ..ThreadDescriptor::default()
            };
            self.descriptor(TrackDescriptor {
                uuid: Some(uuid),
                parent_uuid: Some(process),
                thread: Some(thread),
                sibling_order_rank: Some(number as i32 * 64 + lane.min(63) as i32),
                disallow_merging_with_system_tracks: Some(true),
                ..TrackDescriptor::default()
            })?;
            if lane == 0 {
                spilled.tracks[number] = uuid;
            }
            self.slices(source, &slices, uuid, spilled)?;
        }
        Ok(())
    }

    /// The slices of one lane as begins and ends in the order of their stack.
    fn slices(
        &mut self,
        source: &Source<'_>,
        own: &[(usize, u32)],
        uuid: u64,
        spilled: &mut Spilled,
    ) -> io::Result<()> {
        let slices = &source.store.slices;
        let mut writer: Option<LaneWriter> = None;
        let mut open: Vec<i64> = Vec::new();
        for &(slice, number) in own {
            let (start_ns, end_ns) = (slices.ts_ns[slice], slices.end_ns(slice));
            let writer = match &mut writer {
                Some(writer) => writer,
                none => {
                    let sequence = self.sequence();
                    let writer =
                        none.insert(LaneWriter::new(source.store, sequence, self.start_ns, uuid));
                    self.packets.put(&writer.first())?;
                    writer
                }
            };
            let shift =
                |ns: i64| ns.saturating_add(source.plan.shift_ns).saturating_add(self.base_ns);
            while open.last().is_some_and(|&open| open <= start_ns) {
                let end_ns = open.pop().unwrap_or(start_ns);
                self.packets.put(&writer.end(shift(end_ns)))?;
            }
            let (packet, event) = writer.begin(source, slice, shift(start_ns));
            self.packets.put_event(&packet, &event, spilled.arguments(number)?)?;
            spilled.ends_inside(number, uuid, |packet| self.packets.put(packet))?;
            open.push(end_ns);
        }
        while let (Some(writer), Some(end_ns)) = (&mut writer, open.pop()) {
            let end_ns = end_ns.saturating_add(source.plan.shift_ns).saturating_add(self.base_ns);
            self.packets.put(&writer.end(end_ns))?;
        }
        Ok(())
    }

    /// A counter track for each series, with its samples.
    fn counters(&mut self, source: &Source<'_>, processes: &Processes) -> io::Result<()> {
        let store = source.store;
        let mut counters: Vec<_> = store
            .counters
            .iter()
            .filter(|c| source.edit.is_none_or(|e| e.keeps_time(c.ts_ns)))
            .collect();
        counters
            .sort_by_key(|counter| (counter.track, counter.name, counter.series, counter.ts_ns));
        for series in
            counters.chunk_by(|a, b| (a.track, a.name, a.series) == (b.track, b.name, b.series))
        {
            let uuid = self.uuid();
            let sequence = self.sequence();
            let track = &store.tracks[series[0].track as usize];
            let key = IdKey::of(store, &track.pid);
            self.descriptor(TrackDescriptor {
                uuid: Some(uuid),
                parent_uuid: processes.get(&key).copied(),
                name: Some(store.strings.get(series[0].name).to_owned()),
                description: Some(store.strings.get(series[0].series).to_owned()),
                counter: Some(CounterDescriptor::default()),
                ..TrackDescriptor::default()
            })?;
            for sample in series {
                let time =
                    sample.ts_ns.saturating_add(source.plan.shift_ns).saturating_add(self.base_ns);
                let event = TrackEvent {
                    r#type: Some(COUNTER),
                    track_uuid: Some(uuid),
                    double_counter_value: Some(sample.value),
                    ..TrackEvent::default()
                };
                self.packets.put(&absolute(time, sequence, event))?;
            }
        }
        Ok(())
    }
}

/// The keys of arguments that have fixed numbers.
fn known_keys() -> InternedData {
    let names = KNOWN_KEYS.iter().enumerate();
    let entry = |(i, key): (usize, &&str)| DebugAnnotationName {
        iid: Some(i as u64 + 1),
        name: Some((*key).to_owned()),
    };
    InternedData { debug_annotation_names: names.map(entry).collect(), ..InternedData::default() }
}

pub(super) fn unsigned(ns: i64) -> u64 {
    u64::try_from(ns).unwrap_or(0)
}

/// A packet with its time on the trace's own clock.
pub(super) fn absolute(time_ns: i64, sequence: u32, event: TrackEvent) -> TracePacket {
    TracePacket {
        timestamp: Some(unsigned(time_ns)),
        timestamp_clock_id: Some(BOOTTIME),
        trusted_packet_sequence_id: Some(sequence),
        track_event: Some(event),
        ..TracePacket::default()
    }
}

/// One sequence: names already written, and the clock.
struct LaneWriter<'s> {
    store: &'s Store,
    sequence: u32,
    start_ns: i64,
    last_ns: i64,
    uuid: u64,
    has_name: Vec<u64>,
    has_category: [u64; 4],
}

impl<'s> LaneWriter<'s> {
    fn new(store: &'s Store, sequence: u32, start_ns: i64, uuid: u64) -> Self {
        let has_name = vec![0; store.strings.len() / 64 + 1];
        Self { store, sequence, start_ns, last_ns: start_ns, uuid, has_name, has_category: [0; 4] }
    }

    /// The packet that starts the sequence: clock, track, keys of arguments.
    fn first(&self) -> TracePacket {
        let time = Some(unsigned(self.start_ns));
        let boot = Clock { clock_id: Some(BOOTTIME), timestamp: time, ..Clock::default() };
        let own = Clock {
            clock_id: Some(INCREMENTAL),
            timestamp: time,
            is_incremental: Some(true),
            ..Clock::default()
        };
        TracePacket {
            trusted_packet_sequence_id: Some(self.sequence),
            sequence_flags: Some(CLEARED),
            first_packet_on_sequence: Some(true),
            clock_snapshot: Some(ClockSnapshot {
                clocks: vec![boot, own],
                primary_trace_clock: None,
            }),
            trace_packet_defaults: Some(TracePacketDefaults {
                timestamp_clock_id: Some(INCREMENTAL),
                track_event_defaults: Some(TrackEventDefaults {
                    track_uuid: Some(self.uuid),
                    ..TrackEventDefaults::default()
                }),
            }),
            interned_data: Some(known_keys()),
            ..TracePacket::default()
        }
    }

    fn packet(&mut self, time_ns: i64) -> TracePacket {
        let delta = time_ns.saturating_sub(self.last_ns);
        self.last_ns = self.last_ns.max(time_ns);
        TracePacket {
            timestamp: Some(unsigned(delta)),
            trusted_packet_sequence_id: Some(self.sequence),
            sequence_flags: Some(NEEDS_STATE),
            ..TracePacket::default()
        }
    }

    /// The begin of a slice, without its arguments, and the packet around it.
    fn begin(
        &mut self,
        source: &Source<'_>,
        slice: usize,
        time_ns: i64,
    ) -> (TracePacket, TrackEvent) {
        let name = source.store.slices.name[slice];
        let category = source.store.category_number(slice);
        let mut interned = InternedData::default();
        if mark(&mut self.has_name, name.0 as usize) {
            let text = Some(self.store.strings.get(name).to_owned());
            interned.event_names.push(EventName { iid: Some(u64::from(name.0) + 1), name: text });
        }
        if mark(&mut self.has_category, category) {
            let text = Some(source.store.category(slice).to_owned());
            interned
                .event_categories
                .push(EventCategory { iid: Some(category as u64 + 1), name: text });
        }
        let event = TrackEvent {
            r#type: Some(SLICE_BEGIN),
            name_iid: Some(u64::from(name.0) + 1),
            category_iids: vec![category as u64 + 1],
            ..TrackEvent::default()
        };
        let has_new = !interned.event_names.is_empty() || !interned.event_categories.is_empty();
        let mut packet = self.packet(time_ns);
        packet.interned_data = has_new.then_some(interned);
        (packet, event)
    }

    fn end(&mut self, time_ns: i64) -> TracePacket {
        let event = TrackEvent { r#type: Some(SLICE_END), ..TrackEvent::default() };
        TracePacket { track_event: Some(event), ..self.packet(time_ns) }
    }
}

/// Sets a bit; tells whether it was unset.
fn mark(bits: &mut [u64], i: usize) -> bool {
    let (word, bit) = (i / 64, 1_u64 << (i % 64));
    let Some(word) = bits.get_mut(word) else { return false };
    let is_new = *word & bit == 0;
    *word |= bit;
    is_new
}

/// The slices of a track that stay, each with the number of its event, by lane, in the order of their stack.
fn by_lane(source: &Source<'_>, track: &Track, n_lanes: usize) -> Vec<Vec<(usize, u32)>> {
    let mut lanes = vec![Vec::new(); n_lanes];
    for slice in track.slices.clone() {
        let Some(number) = source.store.slices.event_number(slice) else { continue };
        if source.edit.is_some_and(|edit| edit.is_slice_gone(u64::from(number))) {
            continue;
        }
        let lane = source.plan.lane_of_event.get(number).copied().unwrap_or(0);
        if let Some(own) = lanes.get_mut(usize::from(lane)) {
            own.push((slice, number));
        }
    }
    lanes
}
