//! A whole Perfetto file: tracks in an explicit order, each track's slices in the order of its stack, then the rest.
//!
//! Perfetto has no complete events: a slice is a begin and an end, and an end closes the innermost open slice of its
//! track. So slices are written in the order of the store, each track as a sequence of its own with an incremental clock;
//! their arguments, which come in the order of the file, wait in a spill file. What is no slice follows on a sequence of
//! its own with absolute times, so that at the same instant it finds the slices already open; but for the ends of flows that
//! would not find theirs there, which stand right after its begin.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};
use std::panic::resume_unwind;
use std::thread::{Builder, ScopedJoinHandle};

use omni_trace_proto::perfetto::{
    ClockSnapshot, CounterDescriptor, DebugAnnotation, DebugAnnotationName, InternedData,
    ProcessDescriptor, ThreadDescriptor, TracePacket, TracePacketDefaults, TrackDescriptor,
    TrackEvent, TrackEventDefaults, clock_snapshot::Clock,
};
use rayon::prelude::*;

use super::annotations::KNOWN_KEYS;
use super::parts::Parts;
use super::pieces::{Cutter, Shift};
use super::plan::IdKey;
use super::spill::{MakeSpill, Spilled};
use super::trace::{Pass, Source, WriteError, Written};
use super::uuids::{Numbers, Uuids, keys_of, planned};
use crate::diag::timings::timed;
use crate::model::limits::WRITTEN_SIDE_BY_SIDE;
use crate::read::{ReadError, ReadOptions};
use crate::store::{PERFETTO_METADATA, StrId, Track};

pub(super) const INSTANT: i32 = 3;
const COUNTER: i32 = 4;
const EXPLICIT: i32 = 3;
const EXPLICIT_ORDERING: i32 = 1;
const CLEARED: u32 = 1;
/// The sequence of what is no slice; the first packet starts it.
pub(super) const HEAD_SEQUENCE: u32 = 1;
const REALTIME: u32 = 1;
pub(super) const BOOTTIME: u32 = 6;
/// Clocks from 64 to 127 belong to their sequence.
const INCREMENTAL: u32 = 64;

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
    let mut file = File { parts: Parts::new(out), base_ns, start_ns, numbers };
    file.head(base_time_ns, members);
    let mut written = file.put_sources(sources, pass, spill)?;
    written.text_bytes = file.parts.finish()?;
    Ok(written)
}

/// What becomes of each source, each on a thread of its own.
fn side_by_side<R: Send>(
    sources: &[(Numbers, &Source<'_>)],
    work: impl Fn(Numbers, &Source<'_>) -> Result<R, WriteError> + Sync,
) -> Result<Vec<R>, WriteError> {
    std::thread::scope(|scope| {
        let work = &work;
        let threads = sources.iter().map(|&(numbers, source)| {
            let started = Builder::new().spawn_scoped(scope, move || work(numbers, source));
            let path = || source.again.path().to_owned();
            started.map_err(|error| ReadError::NoThread { path: path(), source: error })
        });
        let threads: Vec<_> = threads.collect::<Result<_, _>>()?;
        let join = |thread: ScopedJoinHandle<'_, _>| {
            thread.join().unwrap_or_else(|panic| resume_unwind(panic))
        };
        threads.into_iter().map(join).collect()
    })
}

fn first_ns(source: &Source<'_>) -> Option<i64> {
    let first = source.store.slices.ts_ns.par_iter().min()?;
    Some(first.saturating_add(source.plan.shift_ns))
}

struct File<W> {
    parts: Parts<W>,
    base_ns: i64,
    /// First time of the trace, in nanoseconds of its clock.
    start_ns: i64,
    numbers: Numbers,
}

impl<W: Write> File<W> {
    /// Reads sources again, some of them at once, and writes them in order.
    fn put_sources(
        &mut self,
        sources: &[Source<'_>],
        pass: Pass<'_>,
        spill: MakeSpill<'_>,
    ) -> Result<Written, WriteError> {
        let n_sources = sources.len() as u32;
        let numbered: Vec<(Numbers, &Source<'_>)> =
            (0..n_sources).map(|i| self.numbers.every(i, n_sources)).zip(sources).collect();
        let base_ns = self.base_ns;
        let mut all = Written::default();
        for group in numbered.chunks(WRITTEN_SIDE_BY_SIDE) {
            let threads = (pass.options.threads / group.len()).max(1);
            let options = ReadOptions { threads, ..*pass.options };
            let pass = Pass { options: &options, ..pass };
            let put_aside = |mut numbers, source: &Source<'_>| {
                let uuids = Uuids::of(source, &mut numbers);
                let spilled = Spilled::collect(source, &uuids, base_ns, pass, spill)?;
                Ok((numbers, uuids, spilled))
            };
            let aside = timed("write: put sources aside", || side_by_side(group, put_aside))?;
            for (&(_, source), (numbers, uuids, spilled)) in group.iter().zip(aside) {
                self.numbers = numbers;
                all.tally.merge(&spilled.tally);
                all.n_left_out += spilled.n_left_out;
                timed("write: sources", || self.source(source, &uuids, spilled))?;
            }
        }
        Ok(all)
    }

    /// The top-level members, as arguments of one instant: Perfetto has no place for them.
    fn head(&mut self, base: Option<i64>, members: &[(String, String)]) {
        let time = unsigned(self.start_ns);
        let clock = |clock_id| Clock {
            clock_id: Some(clock_id),
            timestamp: Some(time),
            ..Clock::default()
        };
        let mut clocks = vec![clock(BOOTTIME)];
        clocks.extend(base.map(|_| clock(REALTIME)));
        let sequence = self.numbers.sequence();
        let snapshot = ClockSnapshot { clocks, primary_trace_clock: Some(BOOTTIME as i32) };
        self.parts.put(&TracePacket {
            trusted_packet_sequence_id: Some(sequence),
            sequence_flags: Some(CLEARED),
            first_packet_on_sequence: Some(true),
            clock_snapshot: Some(snapshot),
            interned_data: Some(known_keys()),
            ..TracePacket::default()
        });
        // Perfetto takes the order of processes and threads from the ranks of their tracks if its root says so.
        self.descriptor(TrackDescriptor {
            uuid: Some(0),
            process_ordering: Some(EXPLICIT_ORDERING),
            thread_ordering: Some(EXPLICIT_ORDERING),
            ..TrackDescriptor::default()
        });
        let uuid = self.numbers.uuid();
        let descriptor = TrackDescriptor {
            uuid: Some(uuid),
            name: Some("omni-trace".into()),
            ..TrackDescriptor::default()
        };
        self.descriptor(descriptor);
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
        self.parts.put(&absolute(self.start_ns, sequence, event));
    }

    fn descriptor(&mut self, descriptor: TrackDescriptor) {
        self.parts.put(&TracePacket {
            trusted_packet_sequence_id: Some(1),
            track_descriptor: Some(descriptor),
            ..TracePacket::default()
        });
    }

    fn source(
        &mut self,
        source: &Source<'_>,
        uuids: &Uuids,
        mut spilled: Spilled,
    ) -> io::Result<()> {
        self.processes(source, uuids);
        let names = source.plan.thread_names.iter();
        let new_names = names.map(|(pid, tid, name)| ((*pid, *tid), name.as_str())).collect();
        for number in 0..source.store.tracks.len() {
            self.track(source, number, (uuids, &new_names), &spilled)?;
        }
        self.counters(source, uuids, &spilled)?;
        self.parts.write_all(source, self.shift(source), &spilled)?;
        self.parts.append(|out| spilled.write_others(out))
    }

    fn shift(&self, source: &Source<'_>) -> Shift {
        Shift { shift_ns: source.plan.shift_ns, base_ns: self.base_ns }
    }

    /// A process track for each process, in the order of the plan.
    fn processes(&mut self, source: &Source<'_>, uuids: &Uuids) {
        let mut labels: BTreeMap<IdKey, StrId> = BTreeMap::new();
        for track in &source.store.tracks {
            if let Some(own) = track.process_labels {
                labels.entry(IdKey::of(source.store, &track.pid)).or_insert(own);
            }
        }
        let mut plans: Vec<_> = source.plan.processes.iter().collect();
        plans.sort_by_key(|(_, plan)| plan.pid);
        for (key, plan) in plans {
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
                uuid: uuids.process(key),
                process: Some(process),
                child_ordering: Some(EXPLICIT),
                sibling_order_rank: i32::try_from(plan.sort_index).ok(),
                ..TrackDescriptor::default()
            });
        }
    }

    /// A thread track for a track and each of its lanes, with their slices.
    fn track(
        &mut self,
        source: &Source<'_>,
        number: usize,
        (uuids, new_names): (&Uuids, &HashMap<(i64, i64), &str>),
        spilled: &Spilled,
    ) -> io::Result<()> {
        let (store, plan) = (source.store, source.plan);
        let track = &store.tracks[number];
        let keys = keys_of(source, track);
        let Some(pid) = plan.processes.get(&keys.0).map(|process| process.pid) else {
            return Ok(());
        };
        let planned = planned(plan, &keys);
        let is_renumbered = planned.is_some_and(|planned| planned.tid.is_some());
        let lanes = &uuids.tracks[number].lanes;
        let slices = by_lane(source, track, lanes.len());
        for ((lane, &(uuid, tid)), slices) in lanes.iter().enumerate().zip(slices) {
            let is_new = lane > 0 || is_renumbered;
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
                parent_uuid: uuids.process(&keys.0),
                thread: Some(thread),
                sibling_order_rank: Some(number as i32 * 64 + lane.min(63) as i32),
                disallow_merging_with_system_tracks: Some(true),
                ..TrackDescriptor::default()
            });
            self.slices(source, &slices, uuid, spilled)?;
        }
        Ok(())
    }

    /// The slices of one lane as begins and ends in the order of their stack.
    fn slices(
        &mut self,
        source: &Source<'_>,
        own: &[(u32, u32)],
        uuid: u64,
        spilled: &Spilled,
    ) -> io::Result<()> {
        if own.is_empty() {
            return Ok(());
        }
        let (sequence, shift) = (self.numbers.sequence(), self.shift(source));
        self.parts.put(&first_of_lane(sequence, self.start_ns, uuid));
        let cutter = Cutter::new(source.store, sequence, shift, self.start_ns);
        cutter.cut(own, |piece| {
            self.parts.put_piece(piece);
            self.parts.encode_if_full(source, shift, spilled)
        })
    }

    /// A counter track for each series, with its samples.
    fn counters(
        &mut self,
        source: &Source<'_>,
        uuids: &Uuids,
        spilled: &Spilled,
    ) -> io::Result<()> {
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
            let uuid = self.numbers.uuid();
            let sequence = self.numbers.sequence();
            let track = &store.tracks[series[0].track as usize];
            let key = IdKey::of(store, &track.pid);
            self.descriptor(TrackDescriptor {
                uuid: Some(uuid),
                parent_uuid: uuids.process(&key),
                name: Some(store.strings.get(series[0].name).to_owned()),
                description: Some(store.strings.get(series[0].series).to_owned()),
                counter: Some(CounterDescriptor::default()),
                ..TrackDescriptor::default()
            });
            for sample in series {
                let time =
                    sample.ts_ns.saturating_add(source.plan.shift_ns).saturating_add(self.base_ns);
                let event = TrackEvent {
                    r#type: Some(COUNTER),
                    track_uuid: Some(uuid),
                    double_counter_value: Some(sample.value),
                    ..TrackEvent::default()
                };
                self.parts.put(&absolute(time, sequence, event));
                self.parts.encode_if_full(source, self.shift(source), spilled)?;
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

/// The packet that starts the sequence of a lane: clock, track, keys of arguments.
fn first_of_lane(sequence: u32, start_ns: i64, uuid: u64) -> TracePacket {
    let time = Some(unsigned(start_ns));
    let boot = Clock { clock_id: Some(BOOTTIME), timestamp: time, ..Clock::default() };
    let own = Clock {
        clock_id: Some(INCREMENTAL),
        timestamp: time,
        is_incremental: Some(true),
        ..Clock::default()
    };
    TracePacket {
        trusted_packet_sequence_id: Some(sequence),
        sequence_flags: Some(CLEARED),
        first_packet_on_sequence: Some(true),
        clock_snapshot: Some(ClockSnapshot { clocks: vec![boot, own], primary_trace_clock: None }),
        trace_packet_defaults: Some(TracePacketDefaults {
            timestamp_clock_id: Some(INCREMENTAL),
            track_event_defaults: Some(TrackEventDefaults {
                track_uuid: Some(uuid),
                ..TrackEventDefaults::default()
            }),
        }),
        interned_data: Some(known_keys()),
        ..TracePacket::default()
    }
}

/// The slices of a track that stay, each with the number of its event, by lane, in the order of their stack.
fn by_lane(source: &Source<'_>, track: &Track, n_lanes: usize) -> Vec<Vec<(u32, u32)>> {
    let mut lanes = vec![Vec::new(); n_lanes];
    for slice in track.slices.clone() {
        let Some(number) = source.store.slices.event_number(slice) else { continue };
        if source.edit.is_some_and(|edit| edit.is_slice_gone(u64::from(number))) {
            continue;
        }
        let lane = source.plan.lane_of_event.get(number).copied().unwrap_or(0);
        if let Some(own) = lanes.get_mut(usize::from(lane)) {
            own.push((slice as u32, number));
        }
    }
    lanes
}
