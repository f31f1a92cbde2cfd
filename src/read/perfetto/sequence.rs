//! What packets of one sequence share: interned texts, defaults, clocks.

use std::collections::BTreeMap;

use omni_trace_proto::perfetto::{
    ClockSnapshot, GpuCounterDescriptor, InternedData, ThreadDescriptor, TracePacket,
    TracePacketDefaults, TrackEvent,
};

/// The clock that a trace's times are in when a packet says nothing: BOOTTIME.
const DEFAULT_CLOCK: u32 = 6;

/// Clocks of this range belong to their sequence.
const SEQUENCE_CLOCKS: std::ops::Range<u32> = 64..128;

/// State of one sequence.
#[derive(Default)]
pub(super) struct Sequence {
    /// Whether the start of the current state was seen.
    pub(super) has_state: bool,
    /// Whether packets are lost since, and with them, maybe, what times of this sequence count from.
    pub(super) is_unsure: bool,
    pub(super) names: BTreeMap<u64, String>,
    pub(super) categories: BTreeMap<u64, String>,
    pub(super) keys: BTreeMap<u64, String>,
    pub(super) strings: BTreeMap<u64, String>,
    /// Names of hardware queues and of kinds of work, each with how it is marked.
    pub(super) stages: BTreeMap<u64, (String, i32)>,
    /// Names of kernels.
    pub(super) kernels: BTreeMap<u64, String>,
    /// Names of what a launch says.
    pub(super) launch_keys: BTreeMap<u64, String>,
    /// Device and counters, each by number.
    pub(super) counters: BTreeMap<u64, (i32, GpuCounterDescriptor)>,
    pub(super) defaults: TracePacketDefaults,
    /// Track of events that name none.
    pub(super) thread: Option<u64>,
    /// Time of the last event by `timestamp_delta_us`, on the trace's clock.
    delta_us: i64,
    clocks: BTreeMap<u32, Clock>,
}

/// A clock of a sequence or of the trace.
#[derive(Clone, Copy, Debug, Default)]
struct Clock {
    /// Reading of this clock at the snapshot, or the last one of an incremental clock, in nanoseconds.
    last_ns: u64,
    /// Time of the trace less this clock, in nanoseconds.
    offset_ns: i64,
    multiplier: u64,
    is_incremental: bool,
}

/// Clocks that all sequences share.
#[derive(Default)]
pub(super) struct SharedClocks {
    clocks: BTreeMap<u32, Clock>,
}

impl SharedClocks {
    /// Wall-clock time less the trace's time, where a snapshot says.
    pub(super) fn realtime_offset_ns(&self) -> Option<i64> {
        self.clocks.get(&1).map(|clock| clock.offset_ns.saturating_neg())
    }
}

impl Sequence {
    /// Takes what a packet says about the sequence.
    pub(super) fn update(&mut self, packet: &TracePacket, shared: &mut SharedClocks) {
        let is_cleared = packet.sequence_flags() & 1 != 0 || packet.incremental_state_cleared();
        if is_cleared {
            *self = Self { has_state: true, ..Self::default() };
        }
        if let Some(defaults) = &packet.trace_packet_defaults {
            self.defaults = defaults.clone();
        }
        if let Some(interned) = &packet.interned_data {
            self.intern(interned);
        }
        if let Some(snapshot) = &packet.clock_snapshot {
            self.snapshot(snapshot, shared);
        }
    }

    /// Packets are lost, of this sequence or of others: times that count from those before are not known any more.
    pub(super) fn packets_are_lost(&mut self) {
        let counts_on =
            self.delta_us != 0 || self.clocks.values().any(|clock| clock.is_incremental);
        self.is_unsure |= counts_on;
    }

    /// Takes the thread of older writers' events, and what their times count from.
    pub(super) fn take_thread(&mut self, uuid: u64, thread: &ThreadDescriptor) {
        self.thread = Some(uuid);
        self.delta_us = thread.reference_timestamp_us.unwrap_or(self.delta_us);
    }

    /// The time of an event that older writers tell with the event itself, in nanoseconds.
    pub(super) fn event_time_ns(&mut self, event: &TrackEvent) -> Option<i64> {
        if let Some(us) = event.timestamp_delta_us {
            self.delta_us = self.delta_us.saturating_add(us);
            return Some(self.delta_us.saturating_mul(1000));
        }
        Some(event.timestamp_absolute_us?.saturating_mul(1000))
    }

    fn intern(&mut self, data: &InternedData) {
        let entries = data.event_names.iter().map(|e| (e.iid(), e.name().to_owned()));
        self.names.extend(entries);
        let entries = data.event_categories.iter().map(|e| (e.iid(), e.name().to_owned()));
        self.categories.extend(entries);
        let entries = data.debug_annotation_names.iter().map(|e| (e.iid(), e.name().to_owned()));
        self.keys.extend(entries);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let entries = data.debug_annotation_string_values.iter().map(|e| (e.iid(), text(e.str())));
        self.strings.extend(entries);
        let stage = |name: &str, category| (name.to_owned(), category);
        let entries = data.gpu_specifications.iter();
        self.stages.extend(entries.map(|e| (e.iid(), stage(e.name(), e.category()))));
        // The name as people write it, as Perfetto shows it.
        let entries = data.compute_kernels.iter();
        self.kernels.extend(
            entries.map(|e| (e.iid(), e.demangled_name.as_deref().unwrap_or(e.name()).to_owned())),
        );
        let entries = data.compute_arg_names.iter().map(|e| (e.iid(), e.name().to_owned()));
        self.launch_keys.extend(entries);
        let entries = data.gpu_counter_descriptors.iter();
        self.counters
            .extend(entries.map(|e| {
                (e.iid(), (e.gpu_id(), e.counter_descriptor.clone().unwrap_or_default()))
            }));
    }

    fn snapshot(&mut self, snapshot: &ClockSnapshot, shared: &mut SharedClocks) {
        let reading = |id: u32| {
            let clock = snapshot.clocks.iter().find(|clock| clock.clock_id() == id)?;
            Some(clock.timestamp().wrapping_mul(clock.unit_multiplier_ns.unwrap_or(1).max(1)))
        };
        // Another clock than BOOTTIME leads where there is no reading of that.
        let trace = reading(DEFAULT_CLOCK).or_else(|| {
            snapshot
                .clocks
                .first()
                .map(omni_trace_proto::perfetto::clock_snapshot::Clock::timestamp)
        });
        let Some(trace) = trace else { return };
        for entry in &snapshot.clocks {
            let multiplier = entry.unit_multiplier_ns.unwrap_or(1).max(1);
            let last_ns = entry.timestamp().wrapping_mul(multiplier);
            let clock = Clock {
                last_ns,
                offset_ns: trace.wrapping_sub(last_ns) as i64,
                multiplier,
                is_incremental: entry.is_incremental(),
            };
            let id = entry.clock_id();
            if SEQUENCE_CLOCKS.contains(&id) {
                self.clocks.insert(id, clock);
            } else {
                shared.clocks.insert(id, clock);
            }
        }
    }

    /// The time of a packet on the trace's clock, in nanoseconds.
    pub(super) fn time_ns(&mut self, packet: &TracePacket, shared: &SharedClocks) -> Option<i64> {
        let reading = packet.timestamp?;
        let id =
            packet.timestamp_clock_id.or(self.defaults.timestamp_clock_id).unwrap_or(DEFAULT_CLOCK);
        let Some(clock) = self.clocks.get_mut(&id) else {
            if SEQUENCE_CLOCKS.contains(&id) {
                return None;
            }
            let offset_ns = shared.clocks.get(&id).map_or(0, |clock| clock.offset_ns);
            return i64::try_from(reading).ok()?.checked_add(offset_ns);
        };
        let reading = reading.wrapping_mul(clock.multiplier);
        let own_ns = if clock.is_incremental {
            clock.last_ns = clock.last_ns.wrapping_add(reading);
            clock.last_ns
        } else {
            reading
        };
        i64::try_from(own_ns).ok()?.checked_add(clock.offset_ns)
    }
}
