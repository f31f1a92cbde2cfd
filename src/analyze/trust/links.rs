//! Whether calls and device activity can belong together as the file says.

use super::{TrustKind, TrustRow, activities, line, records_calls};
use crate::analyze::base::TimeBase;
use crate::analyze::by_id::ById;
use crate::analyze::devices::ActivityKind;
use crate::analyze::launches::correlation;
use crate::diag::Severity;
use crate::model::EventKind;
use crate::store::{DeviceRow, Flow, SLIM_KEY, Store};

/// Device activity with the call that started it.
fn linked<'a>(
    store: &'a Store,
    base: &'a TimeBase,
) -> impl Iterator<Item = (&'a super::ActivityRow, usize)> {
    activities(base).filter_map(|row| {
        let slice = row.slice as usize;
        Some((row, base.launches.call_of(store, slice)?))
    })
}

/// A line about linked activity of which some is wrong.
fn of_linked(
    store: &Store,
    base: &TimeBase,
    kind: TrustKind,
    meaning: &'static str,
    is_wrong: impl Fn(&super::ActivityRow, usize) -> bool,
) -> TrustRow {
    let (mut of, mut count, mut ns) = (0, 0, 0);
    for (row, call) in linked(store, base) {
        of += 1;
        if is_wrong(row, call) {
            count += 1;
            ns += row.span.len_ns();
        }
    }
    let mut line = line(kind, count, ns, Severity::Notice, meaning);
    line.of = Some(of);
    if !records_calls(store) {
        line.count = None;
    }
    line
}

/// Nothing can run before it is started.
pub(super) fn causality(store: &Store, base: &TimeBase) -> TrustRow {
    let meaning = "device activity that begins before the call that started it: clocks or links are wrong; causes of idle time, iterations and device times of operators are not to be trusted";
    of_linked(store, base, TrustKind::Causality, meaning, |row, call| {
        store.slices.ts_ns[row.slice as usize] < store.slices.ts_ns[call]
    })
}

/// A launch of a kernel starts no copy; call and activity name the same operator. (Copies and memsets may well be made by
/// kernels.)
pub(super) fn link_mismatch(store: &Store, base: &TimeBase) -> TrustRow {
    let meaning = "device activity linked to a call that cannot have started it: links are wrong; causes of idle time, iterations and device times of operators are not to be trusted";
    of_linked(store, base, TrustKind::LinkMismatch, meaning, |row, call| {
        let name = store.name(call);
        let is_kernel_launch = name.contains("LaunchKernel");
        let is_copy = matches!(row.kind, ActivityKind::Memcpy | ActivityKind::Memset);
        let ids = (external(store, row.slice as usize), external(store, call));
        (is_copy && is_kernel_launch) || matches!(ids, (Some(a), Some(b)) if a != b)
    })
}

fn external(store: &Store, slice: usize) -> Option<u64> {
    store.external_id(slice).filter(|&id| id != 0)
}

/// How far from the start of its first activity an annotation on a device may begin, in nanoseconds: writers of 2024 are up to
/// 2 µs off.
const ANNOTATION_SLACK_NS: i64 = 3_000;

/// Launches that are gone with what they started. The profiler draws an arrow for each call that starts something, with its
/// correlation as id, and lets an annotation on a device begin with the first activity in it: arrows without either end and
/// annotations without activity are left. Nothing can be said of a part of a trace.
pub(super) fn launches_missing(store: &Store, base: &TimeBase) -> TrustRow {
    let meaning = "arrows from host to device of which both call and activity are gone, and annotations on a device that begin with no activity: launches and their kernels are missing from the file; idle times are upper bounds, busy times lower ones";
    let is_whole = !base.windows.is_clipped && store.meta.entry(SLIM_KEY).is_none();
    let found = is_whole.then(|| [loose_arrows(store, base), empty_annotations(store)]);
    let [count, of] = [0, 1].map(|part: usize| {
        let pairs = found.iter().flatten().map(|pair| [pair.0, pair.1][part]);
        pairs.sum::<u64>()
    });
    let mut line = line(TrustKind::LaunchesMissing, count, 0, Severity::Notice, meaning);
    line.effect_ns = None;
    line.of = Some(of);
    line.count = line.count.filter(|_| of > 0);
    line
}

/// Category of the arrows from calls to what they started.
const ARROWS: &str = "ac2g";

/// Arrows of which no event of the file is an end, and all arrows.
fn loose_arrows(store: &Store, base: &TimeBase) -> (u64, u64) {
    let Some(category) = store.strings.find(ARROWS) else { return (0, 0) };
    let is_arrow = |flow: &&Flow| flow.category == category;
    let mut ids: Vec<u64> = store.flows.iter().filter(is_arrow).map(|flow| flow.id).collect();
    // Of one category they are in the order of their ids.
    ids.dedup();
    let of = ids.len() as u64;
    // Nearly all end at calls and activity that are known by their ids; the others may at what is neither.
    ids.retain(|&id| !base.launches.is_known(id));
    let mut is_loose = vec![true; ids.len()];
    if !ids.is_empty() {
        let has_id = |kind: EventKind| kind.is_api_call() || kind.is_on_device();
        for id in store.all_of(has_id).filter_map(|slice| store.correlation(slice)) {
            ids.binary_search(&id).into_iter().for_each(|at| is_loose[at] = false);
        }
    }
    (is_loose.into_iter().filter(|&is_loose| is_loose).count() as u64, of)
}

/// Annotations on devices that begin with no activity of their device, and all of them.
fn empty_annotations(store: &Store) -> (u64, u64) {
    let kind = |row: &DeviceRow| store.kind(row.slice as usize);
    let ts_ns = |row: &DeviceRow| store.slices.ts_ns[row.slice as usize];
    let is_annotation = |row: &&DeviceRow| kind(row) == EventKind::GpuUserAnnotation;
    let annotations: Vec<&DeviceRow> = store.device_rows.iter().filter(is_annotation).collect();
    let mut starts: Vec<(Option<u32>, i64)> = Vec::new();
    if !annotations.is_empty() {
        let activity = store.device_rows.iter().filter(|row| kind(row).is_device_activity());
        starts.extend(activity.map(|row| (row.device, ts_ns(row))));
        starts.sort_unstable();
    }
    let is_empty = |row: &&&DeviceRow| {
        let first = (row.device, ts_ns(row) - ANNOTATION_SLACK_NS);
        let next = starts.partition_point(|&start| start < first);
        let last = (row.device, ts_ns(row) + ANNOTATION_SLACK_NS);
        starts.get(next).is_none_or(|&start| start > last)
    };
    (annotations.iter().filter(is_empty).count() as u64, annotations.len() as u64)
}

/// Operators, annotations, Python frames and memory events that are gone: the profiler numbers them without gaps. Nothing can
/// be said of a trace from which events were left out knowingly, nor where device activity names operators, which tells what
/// is lost: gaps are there mostly where somebody cut out a part.
pub(super) fn events_missing(store: &Store, base: &TimeBase) -> TrustRow {
    let meaning = "numbers of operators, annotations, Python frames and memory events that no event of the file has: these events are missing from counts and sums";
    let is_told = || activities(base).any(|row| external(store, row.slice as usize).is_some());
    let missing = store.event_numbers.missing().filter(|_| store.meta.entry(SLIM_KEY).is_none());
    let missing = missing.filter(|&n| n == 0 || !is_told());
    let count = missing.unwrap_or(0);
    let mut line = line(TrustKind::EventsMissing, count, 0, Severity::Notice, meaning);
    line.effect_ns = None;
    line.of = store.event_numbers.last.map(|last| last.saturating_add(1));
    line.count = missing;
    line
}

/// Device activity that names an operator which is not there, where that of others is. Writers that give the correlation as
/// the operator's id name none.
pub(super) fn operator_missing(store: &Store, base: &TimeBase) -> TrustRow {
    let meaning = "device activity that names an operator which is not in the file: operators are missing from their counts and sums";
    let is_op = |kind| matches!(kind, EventKind::CpuOp | EventKind::UserAnnotation);
    let named = || activities(base).filter(|row| external(store, row.slice as usize).is_some());
    let is_other = |slice: usize| external(store, slice) != correlation(store, slice);
    let (mut of, mut count, mut ns) = (0, 0, 0);
    if named().any(|row| is_other(row.slice as usize)) {
        let known = store.all_of(is_op).filter_map(|op| Some((external(store, op)?, ())));
        let known = ById::new(known.collect());
        for row in named() {
            of += 1;
            if external(store, row.slice as usize).is_some_and(|id| known.of(id).is_empty()) {
                count += 1;
                ns += row.span.len_ns();
            }
        }
    }
    // Where not one is found, the ids are of another kind.
    if count == of {
        (count, ns) = (0, 0);
    }
    let mut line = line(TrustKind::OperatorMissing, count, ns, Severity::Notice, meaning);
    line.of = Some(of);
    line.count = line.count.filter(|_| of > 0);
    line
}
