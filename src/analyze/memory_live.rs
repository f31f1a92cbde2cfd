//! Whose bytes are alive when a device's allocator holds the most, and how memory grows from iteration to iteration.
//!
//! An allocation belongs to the innermost operator and the innermost `nn.Module` frame that are open on its thread. What
//! was allocated before the first event nobody saw: it is the total of the first event without its own bytes, less what is
//! released later without having been allocated before. So the rows of a device sum to its peak.

use std::collections::{BTreeMap, BTreeSet};

use super::base::TimeBase;
use super::iterations::{IterationRow, Iterations};
use super::memory::MemoryPlace;
use super::percent;
use crate::model::{EventKind, MODULE_FRAME};
use crate::schema::tables;
use crate::store::{self, Store, StrId};

tables! {
    /// What one operator of one module holds when a device's allocator holds the most.
    MemoryPeakRow: "memory_peak", "Memory at its peak", "Whose bytes are alive when the most is allocated?", groups 2, on Use 5, shown Request, carried whole {
        input: usize, Count, All, "#", "number of the input";
        device: Option<u32>, Count, All, "device", "device index";
        bytes: i64, Bytes, All, "bytes", "bytes that are alive at the peak; the rows of a device sum to its peak";
        peak_pct: Option<f64>, Percent, All, "of peak", "of the peak";
        allocations: Option<u64>, Count, All, "allocations", "allocations that are alive; not known of what was allocated before";
        is_before: bool, Text, Machines, "before", "whether it was allocated before the first event";
        operator: Option<String>, Text, All / Subject, "operator", "innermost operator around the allocation; none where none was open, and for what was allocated before the first event";
        module: Option<String>, Text, All, "module", "innermost nn.Module frame around it";
    }

    /// The memory of one device over one iteration.
    MemoryIterationRow: "memory_iterations", "Memory by iteration", "Does memory grow, and does the allocator stall?", groups 2, on Use 6, shown Request, carried whole {
        input: usize, Count, All, "#", "number of the input";
        device: Option<u32>, Count, All, "device", "device index";
        begin_bytes: Option<i64>, Bytes, All, "at begin", "allocated when it begins; none before the first event";
        peak_bytes: Option<i64>, Bytes, All, "peak", "most that was allocated in it";
        end_bytes: Option<i64>, Bytes, All, "at end", "allocated when it ends";
        growth_bytes: Option<i64>, Bytes, All, "growth", "at its end less at its begin; a leak only where each iteration also ends with more than the one before";
        allocations: u64, Count, All, "allocations", "allocations in it";
        releases: u64, Count, All, "releases", "releases in it";
        stalls: u64, Count, All, "stalls", "calls that allocate or release memory of the device itself (cudaMalloc, cudaFree, …) in it";
        stall_ns: i64, Ns, All, "stalled", "sum of these calls";
        iteration: String, Text, All / Subject, "iteration", "name of the iteration";
    }
}

/// One allocation or release on a device.
pub(super) struct Event {
    pub(super) at_ns: i64,
    track: u32,
    pub(super) bytes: i64,
    address: Option<u64>,
    /// Allocated after it.
    pub(super) total: Option<i64>,
    /// Reserved after it.
    pub(super) reserved: Option<i64>,
}

/// The events of every device inside the window, in the order of time.
pub(super) fn events(store: &Store, base: &TimeBase) -> BTreeMap<Option<u32>, Vec<Event>> {
    let Some(name) = store.strings.find("[memory]") else { return BTreeMap::new() };
    let window = base.windows.file;
    let mut found: BTreeMap<Option<u32>, Vec<Event>> = BTreeMap::new();
    for row in &store.memory {
        let instant = &store.instants[row.instant as usize];
        let is_outside = instant.ts_ns < window.start_ns || instant.ts_ns > window.end_ns;
        let is_device = MemoryPlace::of(row.device_type) == MemoryPlace::Device;
        if instant.name == name && is_device && !(base.windows.is_clipped && is_outside) {
            let device = row.device.and_then(|device| u32::try_from(device).ok());
            found.entry(device).or_default().push(event(instant, row));
        }
    }
    found.values_mut().for_each(|events| events.sort_by_key(|event| event.at_ns));
    found
}

fn event(instant: &store::Instant, row: &store::MemoryRow) -> Event {
    Event {
        at_ns: instant.ts_ns,
        track: instant.track,
        bytes: row.bytes,
        address: row.address,
        total: row.total_allocated.and_then(|total| i64::try_from(total).ok()),
        reserved: row.total_reserved.and_then(|total| i64::try_from(total).ok()),
    }
}

/// Who allocated: the operator and the module frame.
type Owner = (Option<StrId>, Option<StrId>);

/// What is alive at the peak of every device.
pub fn memory_peak(store: &Store, base: &TimeBase) -> Vec<MemoryPeakRow> {
    let mut rows = Vec::new();
    for (device, events) in events(store, base) {
        let owners = owners(store, &events);
        rows.extend(at_peak(store, (base.input, device), &events, &owners));
    }
    rows
}

fn at_peak(
    store: &Store,
    (input, device): (usize, Option<u32>),
    events: &[Event],
    owners: &[Owner],
) -> Vec<MemoryPeakRow> {
    let Some(peak) = events.iter().filter_map(|event| event.total).max() else { return Vec::new() };
    let at = events.iter().position(|event| event.total == Some(peak)).unwrap_or(0);
    let mut alive: BTreeMap<u64, (i64, Owner)> = BTreeMap::new();
    for (event, &owner) in events[..=at].iter().zip(owners) {
        let Some(address) = event.address else { continue };
        if event.bytes > 0 {
            alive.insert(address, (event.bytes, owner));
        } else {
            alive.remove(&address);
        }
    }
    let mut sums: BTreeMap<Owner, (i64, u64)> = BTreeMap::new();
    for &(bytes, owner) in alive.values() {
        let sum = sums.entry(owner).or_default();
        *sum = (sum.0.saturating_add(bytes), sum.1 + 1);
    }
    let seen_bytes = sums.values().fold(0_i64, |sum, one| sum.saturating_add(one.0));
    let text = |id: Option<StrId>| id.map(|id| store.strings.get(id).to_owned());
    let row = |owner: Owner, bytes, allocations: Option<u64>| MemoryPeakRow {
        input,
        device,
        bytes,
        peak_pct: percent(bytes, peak),
        allocations,
        is_before: allocations.is_none(),
        operator: text(owner.0),
        module: text(owner.1),
    };
    let before = row((None, None), peak.saturating_sub(seen_bytes), None);
    let mut rows: Vec<MemoryPeakRow> =
        sums.into_iter().map(|(owner, (bytes, count))| row(owner, bytes, Some(count))).collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.bytes));
    rows.insert(0, before);
    rows
}

/// The operator and the module that are open at each event, on its thread.
fn owners(store: &Store, events: &[Event]) -> Vec<Owner> {
    let mut owners = vec![(None, None); events.len()];
    let tracks: BTreeSet<u32> = events.iter().map(|event| event.track).collect();
    for track in tracks {
        let mine = events.iter().enumerate().filter(|(_, event)| event.track == track);
        let mut open: Vec<usize> = Vec::new();
        let mut slices = store.tracks[track as usize].slices.clone().peekable();
        for (i, event) in mine {
            while let Some(slice) =
                slices.next_if(|&slice| store.slices.ts_ns[slice] <= event.at_ns)
            {
                let start_ns = store.slices.ts_ns[slice];
                open.retain(|&one| store.slices.end_ns(one) > start_ns);
                if is_owner(store, slice) {
                    open.push(slice);
                }
            }
            open.retain(|&one| store.slices.end_ns(one) >= event.at_ns);
            let innermost = |kind| {
                let found = open.iter().rev().find(|&&one| store.kind(one) == kind);
                found.map(|&one| store.slices.name[one])
            };
            owners[i] = (innermost(EventKind::CpuOp), innermost(EventKind::PythonFunction));
        }
    }
    owners
}

/// Whether a slice can own memory: an operator, or the frame of a module.
fn is_owner(store: &Store, slice: usize) -> bool {
    match store.kind(slice) {
        EventKind::CpuOp => true,
        EventKind::PythonFunction => {
            store.strings.get(store.slices.name[slice]).starts_with(MODULE_FRAME)
        }
        _ => false,
    }
}

/// The memory of every device over every iteration.
pub fn memory_iterations(
    store: &Store,
    base: &TimeBase,
    iterations: &Iterations,
) -> Vec<MemoryIterationRow> {
    let span = |one: &IterationRow| (one.start_ns, one.span().end_ns);
    let by_device = events(store, base);
    if by_device.is_empty() {
        return Vec::new();
    }
    let stalls: Vec<(u64, i64)> =
        iterations.rows.iter().map(|one| stalls(store, base, span(one))).collect();
    let mut rows = Vec::new();
    for (device, events) in by_device {
        for (one, &(stalls, stall_ns)) in iterations.rows.iter().zip(&stalls) {
            let (input, iteration) = (base.input, one.name.clone());
            let row = over(&events, span(one));
            rows.push(MemoryIterationRow { input, device, iteration, stalls, stall_ns, ..row });
        }
    }
    rows
}

/// What the events of a stretch of time say.
fn over(events: &[Event], (begin_ns, end_ns): (i64, i64)) -> MemoryIterationRow {
    let from = events.partition_point(|event| event.at_ns < begin_ns);
    let to = events.partition_point(|event| event.at_ns <= end_ns);
    let inside = &events[from..to];
    let before = |at: usize| at.checked_sub(1).and_then(|at| events[at].total);
    // Before the first event of all, its total without its own bytes.
    let first = || inside.first().and_then(|event| Some(event.total?.saturating_sub(event.bytes)));
    let begin_bytes = before(from).or_else(first);
    let end_bytes = before(to);
    let peak_bytes = inside.iter().filter_map(|event| event.total).max().max(begin_bytes);
    let allocations = inside.iter().filter(|event| event.bytes > 0).count() as u64;
    MemoryIterationRow {
        input: 0,
        device: None,
        begin_bytes,
        peak_bytes,
        end_bytes,
        growth_bytes: end_bytes.zip(begin_bytes).map(|(end, begin)| end.saturating_sub(begin)),
        allocations,
        releases: inside.len() as u64 - allocations,
        stalls: 0,
        stall_ns: 0,
        iteration: String::new(),
    }
}

/// Calls that ask the driver for memory or give it back, begun in a stretch of time; their number and sum.
fn stalls(store: &Store, base: &TimeBase, (begin_ns, end_ns): (i64, i64)) -> (u64, i64) {
    let (mut count, mut sum_ns) = (0, 0);
    for thread in &base.threads {
        let slices = store.tracks[thread.track].slices.clone();
        let starts = &store.slices.ts_ns[slices.clone()];
        let from = slices.start + starts.partition_point(|&ts_ns| ts_ns < begin_ns);
        let to = slices.start + starts.partition_point(|&ts_ns| ts_ns < end_ns);
        for slice in from..to {
            let name = store.strings.get(store.slices.name[slice]);
            if store.kind(slice).is_api_call() && asks_driver(name) {
                count += 1;
                sum_ns += store.slices.dur_ns(slice);
            }
        }
    }
    (count, sum_ns)
}

/// Whether a call asks the driver for memory or gives it back, by its name.
pub fn asks_driver(name: &str) -> bool {
    let verb = ["cuda", "hip", "cu"].into_iter().find_map(|api| name.strip_prefix(api));
    verb.is_some_and(|verb| {
        verb.starts_with("Malloc") || verb.starts_with("Free") || verb.starts_with("Mem")
    }) && !["Memcpy", "Memset", "MemGetInfo", "MemPrefetch"]
        .iter()
        .any(|other| name.contains(other))
        && !name.ends_with("Host")
}
