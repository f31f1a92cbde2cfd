//! Whether times and amounts can be what the file says.

use std::ops::Range;

use foldhash::fast::FixedState;
use hashbrown::HashSet;
use rayon::prelude::*;

use super::{TrustKind, TrustRow, activities, line};
use crate::analyze::base::TimeBase;
use crate::analyze::intervals::Intervals;
use crate::analyze::window::is_impossible;
use crate::diag::Severity;
use crate::model::EventKind;
use crate::store::Store;

/// Copies below this many bytes say nothing about throughput.
const WORTH_TIMING_BYTES: u64 = 1 << 16;
/// Bytes a nanosecond that no link between host and device reaches (NVLink-C2C: 0.45).
const HOST_LINK_BYTES_PER_NS: u64 = 1_000;
/// Bytes a nanosecond that no memory reaches (the fastest of today: 8).
const MEMORY_BYTES_PER_NS: u64 = 20_000;
/// No copy takes less, however small, in nanoseconds: the shortest of real traces take 670.
const SHORTEST_COPY_NS: i64 = 200;
/// A wait that is worth asking what it waited for, in nanoseconds.
const LONG_WAIT_NS: i64 = 1_000_000;
/// A start of the window without any event that is worth telling, in nanoseconds.
const EMPTY_START_NS: i64 = 100_000_000;

fn share(part: u64, whole: u64, percent: u64) -> bool {
    part.saturating_mul(100) >= whole.saturating_mul(percent)
}

/// What tells events of one track, start and length apart: name, category and ids.
type What = (u32, u16, Option<u64>, Option<u64>);

/// What is known of some.
type Known = HashSet<What, FixedState>;

fn what(store: &Store, slice: usize) -> What {
    // The columns hold what the kind has; each reads them as they are.
    let own = store.correlation(slice).or_else(|| store.python_id(slice));
    let own = own.or_else(|| store.sequence_number(slice));
    let category = store.category_number(slice) as u16;
    (store.slices.name[slice].0, category, own, store.external_id(slice))
}

/// Slices that one thread looks through for duplicates at a time.
const SLICES_AT_A_TIME: usize = 1 << 16;

/// Events that stand in the file more than once: same track, time, length, name and ids. A few among many are the writer's.
pub(super) fn duplicates(store: &Store) -> TrustRow {
    let meaning = "events that stand in the file more than once, with the same track, time, length, name and ids: counts and sums hold them more than once";
    let parts: Vec<Range<usize>> =
        store.tracks.iter().flat_map(|t| parts(store, &t.slices)).collect();
    let found = parts.into_par_iter().map(|part| Duplicates::of(store, part));
    let Duplicates { of, count, ns, has_device } =
        found.reduce(Duplicates::default, Duplicates::with);
    let is_many = has_device || share(count, of, 1);
    let severity = if is_many { Severity::Notice } else { Severity::Info };
    let mut line = line(TrustKind::Duplicates, count, ns, severity, meaning);
    line.of = Some(of);
    line
}

/// The slices of a track in parts, none of which ends between two that start at the same time.
fn parts(store: &Store, slices: &Range<usize>) -> Vec<Range<usize>> {
    let ts_ns = &store.slices.ts_ns;
    let mut parts = Vec::new();
    let mut start = slices.start;
    while start < slices.end {
        let at_least = slices.end.min(start + SLICES_AT_A_TIME);
        let rest = at_least..slices.end;
        let end =
            rest.clone().find(|&slice| ts_ns[slice] != ts_ns[slice - 1]).unwrap_or(slices.end);
        parts.push(start..end);
        start = end;
    }
    parts
}

/// What was found twice among some slices of a track.
#[derive(Default)]
struct Duplicates {
    of: u64,
    count: u64,
    ns: i64,
    has_device: bool,
}

impl Duplicates {
    fn of(store: &Store, slices: Range<usize>) -> Self {
        let kinds = store.categories.iter().map(|&(_, kind)| kind);
        let counts: Vec<bool> =
            kinds.map(|kind| kind.is_on_host() || kind.is_device_activity()).collect();
        let mut found = Self::default();
        let (mut same, mut known) = (Vec::new(), HashSet::default());
        // Those of one start and one length follow each other.
        let (mut last, mut last_slice) = ((i64::MIN, 0), 0);
        for slice in slices {
            let dur_ns = store.slices.dur_ns(slice);
            let is_counted = counts[store.category_number(slice)];
            if !is_counted || dur_ns <= 0 || is_impossible(dur_ns) {
                continue;
            }
            found.of += 1;
            let own = (store.slices.ts_ns[slice], dur_ns);
            if own == last {
                same.extend(same.is_empty().then_some(last_slice));
                same.push(slice);
            } else if !same.is_empty() {
                found.add(store, &mut same, &mut known);
            }
            (last, last_slice) = (own, slice);
        }
        found.add(store, &mut same, &mut known);
        found
    }

    /// Adds what is twice among slices of one start and one length, and forgets them.
    fn add(&mut self, store: &Store, same: &mut Vec<usize>, known: &mut Known) {
        known.clear();
        for slice in same.drain(..) {
            if !known.insert(what(store, slice)) {
                self.count += 1;
                self.ns += store.slices.dur_ns(slice);
                self.has_device |= store.kind(slice).is_device_activity();
            }
        }
    }

    fn with(self, other: Self) -> Self {
        Self {
            of: self.of + other.of,
            count: self.count + other.count,
            ns: self.ns + other.ns,
            has_device: self.has_device | other.has_device,
        }
    }
}

/// Calls that wait long for a device while next to nothing runs on any.
pub(super) fn device_work_missing(store: &Store, base: &TimeBase) -> TrustRow {
    let meaning = "waits of the host for a device, each over 1 ms, during which every device is over 90 % idle: device work is missing from the file; idle times are upper bounds, busy times lower ones";
    let mut busy = Intervals::default();
    for device in &base.devices {
        busy = busy.union(&device.busy);
    }
    let index = busy.index();
    let (mut of, mut count, mut ns) = (0, 0, 0);
    for thread in &base.threads {
        let slices = store.tracks[thread.track].slices.clone();
        for slice in store.slices_of(slices, EventKind::is_api_call) {
            let dur_ns = store.slices.dur_ns(slice);
            let is_wait = dur_ns > LONG_WAIT_NS
                && !is_impossible(dur_ns)
                && store.name(slice).contains("Synchronize");
            if !is_wait {
                continue;
            }
            of += 1;
            let busy_ns = index.covered_ns(store.slices.ts_ns[slice], store.slices.end_ns(slice));
            if busy_ns.saturating_mul(10) < dur_ns {
                count += 1;
                ns += dur_ns;
            }
        }
    }
    let mut line = line(TrustKind::DeviceWorkMissing, count, ns, Severity::Notice, meaning);
    line.of = Some(of);
    line.count = line.count.filter(|_| !base.devices.is_empty());
    line
}

/// Copies faster than any link or memory, or shorter than any copy.
pub(super) fn impossible_throughput(store: &Store, base: &TimeBase) -> TrustRow {
    let meaning = "copies faster than any link or memory, or shorter than any: their bytes or their durations are wrong";
    let (mut of, mut count, mut ns) = (0, 0, 0);
    for row in activities(base) {
        let slice = row.slice as usize;
        let Some(copy) = store.copy_row(slice) else { continue };
        let dur_ns = store.slices.dur_ns(slice);
        // Writers of whole microseconds have copies of 0.
        let is_short = copy.bytes > 0 && dur_ns > 0 && dur_ns < SHORTEST_COPY_NS;
        let is_copy = store.kind(slice) == EventKind::Memcpy;
        if !is_copy || (copy.bytes < WORTH_TIMING_BYTES && !is_short) {
            continue;
        }
        of += 1;
        let name = store.name(slice);
        let is_with_host = name.contains("HtoD") || name.contains("DtoH");
        let most = if is_with_host { HOST_LINK_BYTES_PER_NS } else { MEMORY_BYTES_PER_NS };
        if is_short || copy.bytes > most.saturating_mul(dur_ns.max(1).unsigned_abs()) {
            count += 1;
            ns += row.span.len_ns();
        }
    }
    let mut line = line(TrustKind::ImpossibleThroughput, count, ns, Severity::Notice, meaning);
    line.of = Some(of);
    line
}

/// A window whose start holds no event at all.
pub(super) fn empty_start(store: &Store, base: &TimeBase) -> TrustRow {
    let meaning = "the window begins long before the first event: shares of the window are smaller than those of the time in which something ran";
    let window = base.windows.whole;
    let is_event = |&slice: &usize| {
        store.kind(slice) != EventKind::Window && !is_impossible(store.slices.dur_ns(slice))
    };
    // The slices of a track are in order.
    let firsts = store.tracks.iter().filter_map(|track| track.slices.clone().find(is_event));
    let first = firsts.map(|slice| store.slices.ts_ns[slice]).min();
    let empty_ns = first.map_or(0, |first| (first - window.start_ns).max(0));
    let is_long = empty_ns >= EMPTY_START_NS && empty_ns.saturating_mul(100) >= window.len_ns();
    let (count, ns) = if is_long { (1, empty_ns) } else { (0, 0) };
    line(TrustKind::EmptyStart, count, ns, Severity::Notice, meaning)
}
