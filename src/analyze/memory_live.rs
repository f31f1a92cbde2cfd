//! Whose bytes are alive when a device's allocator holds the most, and how memory grows from iteration to iteration.
//!
//! An allocation of a trace belongs to the innermost operator and the innermost `nn.Module` frame that are open on its
//! thread, one of a snapshot to its call stack. What was allocated before the first event nobody saw, unless a snapshot has it
//! still: it is the total of the first event without its own bytes, less what is released later without having been
//! allocated before. So the rows of a device sum to its peak.

use std::collections::BTreeMap;

use super::base::TimeBase;
use super::iterations::{IterationRow, Iterations};
use super::memory_events::{DeviceMemory, Event, MemoryEvents, MemorySource};
use super::memory_owner::{NOBODY, Purpose};
use super::percent;
use crate::schema::tables;
use crate::store::Store;

tables! {
    /// What one operator of one module holds when a device's allocator holds the most.
    MemoryPeakRow: "memory_peak", "Memory at its peak", "Whose bytes are alive when the most is allocated?", groups 2, on Use 5, shown Request, carried whole {
        input: usize, Count, All, "#", "number of the input";
        device: Option<u32>, Count, All, "device", "device index";
        bytes: i64, Bytes, All, "bytes", "bytes that are alive at the peak; the rows of a device and a source sum to its peak";
        peak_pct: Option<f64>, Percent, All, "of peak", "of the peak";
        allocations: Option<u64>, Count, All, "allocations", "allocations that are alive; not known of what was allocated before";
        is_before: bool, Text, Machines, "before", "whether it was allocated before the first event, by nobody that is known";
        operator: Option<String>, Text, All / Subject, "operator", "innermost operator around the allocation; none where none was open, and for what was allocated before the first event";
        module: Option<String>, Text, All, "module", "innermost nn.Module frame around it; none of a snapshot";
        purpose: Purpose, Text, All, "for", "what it is for, by the functions around it: those that allocate the cache of keys and values, make or load weights, a step of an optimizer, the backward pass, the forward pass of a module; the first that holds";
        frame: Option<String>, Text, All, "where", "innermost function outside of torch around it, with file and line; of a snapshot alone";
        source: MemorySource, Text, All, "source", "memory events of the trace, or a snapshot of torch's allocator";
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
        stall_ns: Option<i64>, Ns, All, "stalled", "sum of these calls; none of a snapshot without a trace";
        iteration: String, Text, All / Subject, "iteration", "name of the iteration";
        source: MemorySource, Text, All, "source", "memory events of the trace, or a snapshot of torch's allocator; the calls are the trace's";
    }
}

/// Bytes and number of what is alive, by owner.
pub(super) type Alive = BTreeMap<u32, (i64, u64)>;

/// The most that was allocated, and what was alive then; what nobody is known to have allocated is none of it.
pub(super) fn at_peak(memory: &DeviceMemory) -> Option<(i64, Alive)> {
    let events = &memory.events;
    let peak = events.iter().filter_map(|event| event.total).max()?;
    let at = events.iter().position(|event| event.total == Some(peak)).unwrap_or(0);
    let earlier = memory.earlier.iter().filter(|one| one.owner != NOBODY);
    let mut alive: BTreeMap<u64, (i64, u32)> =
        earlier.map(|one| (one.address, (one.bytes, one.owner))).collect();
    for event in &events[..=at] {
        let Some(address) = event.address else { continue };
        if event.bytes > 0 {
            alive.insert(address, (event.bytes, event.owner));
        } else if event.bytes < 0 {
            alive.remove(&address);
        }
    }
    let mut sums = Alive::new();
    for (bytes, owner) in alive.into_values() {
        let sum = sums.entry(owner).or_default();
        *sum = (sum.0.saturating_add(bytes), sum.1 + 1);
    }
    Some((peak, sums))
}

/// What is alive at the peak of every device.
pub fn memory_peak(events: &MemoryEvents, base: &TimeBase) -> Vec<MemoryPeakRow> {
    let mut rows = Vec::new();
    for memory in &events.devices {
        let Some((peak, sums)) = at_peak(memory) else { continue };
        let seen_bytes = sums.values().fold(0_i64, |sum, one| sum.saturating_add(one.0));
        let row = |owner: u32, bytes, allocations: Option<u64>| {
            let owner = events.owners.get(owner);
            MemoryPeakRow {
                input: base.input,
                device: memory.device,
                bytes,
                peak_pct: percent(bytes, peak),
                allocations,
                is_before: allocations.is_none(),
                operator: owner.operator.clone(),
                module: owner.module.clone(),
                purpose: owner.purpose,
                frame: owner.frame.clone(),
                source: memory.source,
            }
        };
        rows.push(row(NOBODY, peak.saturating_sub(seen_bytes), None));
        let mut seen: Vec<MemoryPeakRow> =
            sums.into_iter().map(|(owner, (bytes, n))| row(owner, bytes, Some(n))).collect();
        let place = |row: &MemoryPeakRow| {
            (row.operator.clone(), row.module.clone(), row.purpose, row.frame.clone())
        };
        seen.sort_by_cached_key(|row| (std::cmp::Reverse(row.bytes), place(row)));
        rows.extend(seen);
    }
    rows
}

/// The memory of every device over every iteration: those of the trace, or of the ranges that a snapshot has of its own.
pub fn memory_iterations(
    events: &MemoryEvents,
    store: &Store,
    base: &TimeBase,
    iterations: &Iterations,
) -> Vec<MemoryIterationRow> {
    let span = |one: &IterationRow| (one.start_ns, one.span().end_ns);
    let mut devices = events.inside(base).peekable();
    if devices.peek().is_none() {
        return Vec::new();
    }
    let stalls: Vec<(u64, i64)> =
        iterations.rows.iter().map(|one| stalls(store, base, span(one))).collect();
    let mut rows = Vec::new();
    for memory in devices {
        for (one, &(stalls, stall_ns)) in iterations.rows.iter().zip(&stalls) {
            let (input, iteration, stall_ns) = (base.input, one.name.clone(), Some(stall_ns));
            let row = over(memory, span(one));
            rows.push(MemoryIterationRow { input, iteration, stalls, stall_ns, ..row });
        }
        for step in events.steps.iter().filter(|step| Some(step.device) == memory.device) {
            let row = over(memory, (step.span.start_ns, step.span.end_ns));
            let (input, iteration) = (base.input, step.name.clone());
            rows.push(MemoryIterationRow { input, iteration, ..row });
        }
    }
    rows
}

/// What the events of a stretch of time say.
fn over(memory: &DeviceMemory, (begin_ns, end_ns): (i64, i64)) -> MemoryIterationRow {
    let events = &memory.events;
    let from = events.partition_point(|event| event.at_ns < begin_ns);
    let to = events.partition_point(|event| event.at_ns <= end_ns);
    let inside = &events[from..to];
    let before = |at: usize| at.checked_sub(1).and_then(|at| events[at].total);
    // Before the first event of all, its total without its own bytes.
    let first = || inside.first().and_then(|event| Some(event.total?.saturating_sub(event.bytes)));
    let begin_bytes = before(from).or_else(first);
    let end_bytes = before(to);
    let peak_bytes = inside.iter().filter_map(|event| event.total).max().max(begin_bytes);
    let count = |is: fn(&Event) -> bool| inside.iter().filter(|event| is(event)).count() as u64;
    MemoryIterationRow {
        input: 0,
        device: memory.device,
        begin_bytes,
        peak_bytes,
        end_bytes,
        growth_bytes: end_bytes.zip(begin_bytes).map(|(end, begin)| end.saturating_sub(begin)),
        allocations: count(|event| event.bytes > 0),
        releases: count(|event| event.bytes < 0),
        stalls: count(|event| event.bytes == 0),
        stall_ns: None,
        iteration: String::new(),
        source: memory.source,
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
