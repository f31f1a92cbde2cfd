//! What is known of a device's memory over time, from whatever source: the `[memory]` events of a trace, or a snapshot of
//! torch's allocator. All tables of memory are made of this.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::base::TimeBase;
use super::intervals::Span;
use super::iteration_names::parse_iteration;
use super::memory::MemoryPlace;
use super::memory_history::{Reading, Told, replayed};
use super::memory_owner::{NOBODY, Owner, Owners, Purpose};
use super::window::WindowSource;
use crate::model::{EventKind, MODULE_FRAME};
use crate::schema::words;
use crate::store::{self, Annotation, Snapshot, Store, StrId};

words! {
    /// What figures of memory are from.
    MemorySource {
        /// The `[memory]` events of the trace.
        Trace "trace",
        /// A snapshot of torch's allocator.
        Snapshot "snapshot",
    }
}

/// One allocation or release on a device, or what else changes what its allocator has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) at_ns: i64,
    /// Allocated, less what was released; 0 where neither.
    pub(super) bytes: i64,
    pub(super) address: Option<u64>,
    /// Allocated after it.
    pub(super) total: Option<i64>,
    /// Reserved after it.
    pub(super) reserved: Option<i64>,
    /// Number of who allocated.
    pub(super) owner: u32,
}

/// What was allocated before the first event, where that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Earlier {
    pub(super) address: u64,
    pub(super) bytes: i64,
    pub(super) owner: u32,
}

/// The memory of one device.
#[derive(Debug)]
pub(super) struct DeviceMemory {
    pub(super) source: MemorySource,
    pub(super) device: Option<u32>,
    /// In the order of time.
    pub(super) events: Vec<Event>,
    pub(super) earlier: Vec<Earlier>,
    /// What a snapshot tells besides.
    pub(super) told: Option<Told>,
}

/// The memory of the devices of one input.
#[derive(Debug, Default)]
pub struct MemoryEvents {
    pub(super) devices: Vec<DeviceMemory>,
    pub(super) owners: Owners,
    /// Iterations that a snapshot tells, where no trace does.
    pub(super) steps: Vec<Step>,
}

/// An iteration by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Step {
    /// The device that was the current one.
    pub(super) device: u32,
    pub(super) name: String,
    pub(super) span: Span,
}

impl MemoryEvents {
    /// What a trace and a snapshot of the same process tell. The times of a snapshot become those of the trace.
    pub fn of(store: &Store, base: &TimeBase, snapshot: Option<&Snapshot>) -> Self {
        let mut owners = Owners::new();
        let mut devices = of_trace(store, base, &mut owners);
        let mut steps = Vec::new();
        if let Some(snapshot) = snapshot {
            if base.windows.source == WindowSource::Snapshot {
                steps = steps_of(snapshot, base.windows.file, zero_of(store));
            }
            let part = base.windows.is_clipped.then_some(base.windows.file);
            let (owners, zero_ns) = (owners.of_stacks(snapshot), zero_of(store));
            let reading = Reading { snapshot, owners, zero_ns, part };
            devices.extend(snapshot.devices.iter().map(|one| replayed(one, &reading)));
        }
        Self { devices, owners, steps }
    }

    /// Why the sums of a snapshot are not exact; `None` where they are.
    pub fn doubt(&self) -> Option<String> {
        let told = || self.devices.iter().filter_map(|one| one.told.as_ref());
        if told().any(|one| !one.is_exact) {
            return Some("they were shifted to end with that state".to_owned());
        }
        let unknown_bytes = told().map(|one| one.unknown_bytes).fold(0, i64::saturating_add);
        (unknown_bytes > 0).then(|| {
            format!("blocks that were there before may have taken up to {unknown_bytes} bytes more")
        })
    }

    /// What can be told part by part: what has an event inside the window.
    pub(super) fn inside(&self, base: &TimeBase) -> impl Iterator<Item = &DeviceMemory> {
        let window = base.windows.file;
        let is_inside = move |one: &Event| (window.start_ns..=window.end_ns).contains(&one.at_ns);
        self.devices.iter().filter(move |one| {
            one.source == MemorySource::Trace || one.events.iter().any(is_inside)
        })
    }

    /// Whether some device of a snapshot has no event inside the window.
    pub fn is_apart(&self, base: &TimeBase) -> bool {
        let is_snapshot = |one: &&DeviceMemory| one.source == MemorySource::Snapshot;
        let n_all = self.devices.iter().filter(is_snapshot).count();
        self.inside(base).filter(is_snapshot).count() < n_all
    }
}

/// Unix time of a trace's time 0. Traces without a base have Unix times.
fn zero_of(store: &Store) -> i64 {
    store.meta.base_time_ns.unwrap_or(0)
}

/// The iterations that lie in a part of a snapshot, by the names of its ranges.
fn steps_of(snapshot: &Snapshot, part: Span, zero_ns: i64) -> Vec<Step> {
    let step = |one: &Annotation| Step {
        device: one.device,
        name: one.name.clone(),
        span: Span::new(one.start_ns.saturating_sub(zero_ns), one.end_ns.saturating_sub(zero_ns)),
    };
    let named = snapshot.annotations.iter().filter(|one| parse_iteration(&one.name).is_some());
    // The first one may have begun before the first event.
    let is_inside =
        |one: &Step| one.span.end_ns >= part.start_ns && one.span.start_ns <= part.end_ns;
    named.map(step).filter(is_inside).collect()
}

/// From the first to the last event of a snapshot, by the clock of the trace.
pub fn span_of(store: &Store, snapshot: &Snapshot) -> Option<(i64, i64)> {
    let (first_ns, last_ns) = snapshot.span_ns()?;
    let zero_ns = zero_of(store);
    Some((first_ns.saturating_sub(zero_ns), last_ns.saturating_sub(zero_ns)))
}

/// The `[memory]` events of a trace inside the window, by device.
fn of_trace(store: &Store, base: &TimeBase, owners: &mut Owners) -> Vec<DeviceMemory> {
    let Some(name) = store.strings.find("[memory]") else { return Vec::new() };
    let window = base.windows.file;
    let mut found: BTreeMap<Option<u32>, Vec<(u32, Event)>> = BTreeMap::new();
    for row in &store.memory {
        let instant = &store.instants[row.instant as usize];
        let is_outside = instant.ts_ns < window.start_ns || instant.ts_ns > window.end_ns;
        let is_device = MemoryPlace::of(row.device_type) == MemoryPlace::Device;
        if instant.name == name && is_device && !(base.windows.is_clipped && is_outside) {
            let device = row.device.and_then(|device| u32::try_from(device).ok());
            found.entry(device).or_default().push((instant.track, event(instant, row)));
        }
    }
    let mut open = Open::new(store);
    let mut devices = Vec::new();
    for (device, mut events) in found {
        events.sort_by_key(|(_, event)| event.at_ns);
        open.name(owners, &mut events);
        devices.push(DeviceMemory {
            source: MemorySource::Trace,
            device,
            events: events.into_iter().map(|(_, event)| event).collect(),
            earlier: Vec::new(),
            told: None,
        });
    }
    devices
}

fn event(instant: &store::Instant, row: &store::MemoryRow) -> Event {
    Event {
        at_ns: instant.ts_ns,
        bytes: row.bytes,
        address: row.address,
        total: row.total_allocated.and_then(|total| i64::try_from(total).ok()),
        reserved: row.total_reserved.and_then(|total| i64::try_from(total).ok()),
        owner: NOBODY,
    }
}

/// What is open around events of a trace: operators, module frames, and what tells what memory is for.
struct Open<'a> {
    store: &'a Store,
    /// What spans of a name are for.
    purposes: HashMap<StrId, Option<Purpose>>,
    /// Numbers of owners, by purpose, operator and module.
    numbers: HashMap<(Purpose, Option<StrId>, Option<StrId>), u32>,
}

impl<'a> Open<'a> {
    fn new(store: &'a Store) -> Self {
        Self { store, purposes: HashMap::new(), numbers: HashMap::new() }
    }

    /// Gives each event its owner: what is open on its track.
    fn name(&mut self, owners: &mut Owners, events: &mut [(u32, Event)]) {
        let store = self.store;
        let tracks: BTreeSet<u32> = events.iter().map(|&(track, _)| track).collect();
        for track in tracks {
            let mut open: Vec<usize> = Vec::new();
            let mut slices = store.tracks[track as usize].slices.clone().peekable();
            for (_, event) in events.iter_mut().filter(|one| one.0 == track) {
                while let Some(slice) =
                    slices.next_if(|&slice| store.slices.ts_ns[slice] <= event.at_ns)
                {
                    let start_ns = store.slices.ts_ns[slice];
                    open.retain(|&one| store.slices.end_ns(one) > start_ns);
                    if self.tells(slice) {
                        open.push(slice);
                    }
                }
                open.retain(|&one| store.slices.end_ns(one) >= event.at_ns);
                event.owner = self.owner(owners, &open);
            }
        }
    }

    /// Whether a slice tells of an allocation inside it.
    fn tells(&mut self, slice: usize) -> bool {
        match self.store.kind(slice) {
            EventKind::CpuOp => true,
            EventKind::PythonFunction | EventKind::UserAnnotation => self.purpose(slice).is_some(),
            _ => false,
        }
    }

    fn purpose(&mut self, slice: usize) -> Option<Purpose> {
        let name = self.store.slices.name[slice];
        let find = || Purpose::of_span(self.store.strings.get(name));
        *self.purposes.entry(name).or_insert_with(find)
    }

    /// The number of the owner that open slices make.
    fn owner(&mut self, owners: &mut Owners, open: &[usize]) -> u32 {
        let store = self.store;
        let text = |id: StrId| store.strings.get(id);
        let innermost = |is: &dyn Fn(usize) -> bool| {
            let found = open.iter().rev().find(|&&one| is(one));
            found.map(|&one| store.slices.name[one])
        };
        let operator = innermost(&|one| store.kind(one) == EventKind::CpuOp);
        let module = innermost(&|one| {
            store.kind(one) == EventKind::PythonFunction
                && text(store.slices.name[one]).starts_with(MODULE_FRAME)
        });
        let purpose = open.iter().filter_map(|&one| self.purpose(one)).min();
        let purpose = purpose.unwrap_or(Purpose::Unknown);
        let make = || {
            owners.number(Owner {
                purpose,
                operator: operator.map(|id| text(id).to_owned()),
                module: module.map(|id| text(id).to_owned()),
                frame: None,
            })
        };
        *self.numbers.entry((purpose, operator, module)).or_insert_with(make)
    }
}
