//! Rules of torch's own trace validator that are no check of another kind already.

use std::collections::HashMap;

use super::{TrustKind, TrustRow, line};
use crate::analyze::base::TimeBase;
use crate::diag::Severity;
use crate::model::EventKind;
use crate::store::{Store, StrId};

/// Collectives' operators must say what was sent. Old writers say nothing at any; then there is nothing odd about one.
pub(super) fn nccl_metadata(store: &Store) -> TrustRow {
    let meaning = "collectives without name, type, sizes or group, where others have them: bytes and partners of these are not known";
    let (mut of, mut count) = (0, 0);
    let wanted = store.strings.find("record_param_comms");
    let is_wanted = |&slice: &usize| Some(store.slices.name[slice]) == wanted;
    for slice in store.all_of(|kind| kind == EventKind::CpuOp).filter(is_wanted) {
        of += 1;
        let is_whole = store.collective_row(slice).is_some_and(|row| {
            row.dtype.is_some()
                && row.in_elements.is_some()
                && row.out_elements.is_some()
                && row.group_size.is_some()
        });
        count += u64::from(!is_whole);
    }
    let severity = if count == of { Severity::Info } else { Severity::Notice };
    counted(TrustKind::NcclMetadata, count, of, severity, meaning)
}

/// A sequence number belongs to one operator of the backward pass.
pub(super) fn backward_sequence(store: &Store) -> TrustRow {
    let meaning = "sequence numbers that operators of the backward pass with different names share: forward and backward cannot be matched by them";
    let of_backward: Vec<bool> = store
        .strings
        .iter()
        .map(|(_, text)| text.starts_with("autograd::engine::evaluate_function:"))
        .collect();
    let has_any = of_backward.contains(&true);
    let is_op = |kind| kind == EventKind::CpuOp && has_any;
    let name = |slice: usize| store.slices.name[slice];
    let is_wanted = |&slice: &usize| of_backward[name(slice).0 as usize];
    let operators = store.all_of(is_op).filter(is_wanted);
    let mut named: Vec<(u64, StrId)> =
        operators.filter_map(|op| Some((store.sequence_number(op)?, name(op)))).collect();
    // The backward pass goes through them backwards.
    named.sort();
    let numbers = || named.chunk_by(|a, b| a.0 == b.0);
    let count = numbers().filter(|of_one| of_one[0] != of_one[of_one.len() - 1]).count() as u64;
    let of = numbers().count() as u64;
    counted(TrustKind::BackwardSequence, count, of, Severity::Notice, meaning)
}

/// Waits for an event must say which call recorded it. Where none does, the writer cannot.
pub(super) fn wait_record(store: &Store) -> TrustRow {
    let meaning = "waits for an event that do not say which call recorded it: what they waited for is not known";
    let of = store.syncs.len() as u64;
    let count = store.syncs.iter().filter(|row| row.record_correlation.is_none()).count() as u64;
    let severity = if count == of { Severity::Info } else { Severity::Notice };
    counted(TrustKind::WaitRecord, count, of, severity, meaning)
}

/// A stream waits for what was recorded before. Torch looks for the call by correlation and by external id, and takes what it
/// does not find for wrong; what was recorded before the profiler started is not in the file, and right.
pub(super) fn wait_in_past(store: &Store) -> TrustRow {
    let meaning =
        "streams that wait for an event which the file shows to be recorded later, or not at all";
    let waits = || store.syncs.iter().filter(|row| row.is_stream_wait);
    let named = || waits().filter_map(|row| Some((row.slice as usize, row.record_correlation?)));
    let calls = if named().next().is_some() { Calls::of(store) } else { Calls::default() };
    let (mut of, mut count) = (0, 0);
    for (slice, record) in named() {
        let is_past = match calls.records.get(&record) {
            Some(&ts_ns) => ts_ns <= store.slices.ts_ns[slice],
            None if calls.first_correlation.is_none_or(|first| record < first) => continue,
            None => false,
        };
        of += 1;
        count += u64::from(!is_past);
    }
    counted(TrustKind::WaitInPast, count, of, Severity::Notice, meaning)
}

/// What the calls of a file tell about events.
#[derive(Default)]
struct Calls {
    /// The first start of the calls that record events, by correlation and by external id.
    records: HashMap<u64, i64>,
    /// The smallest correlation of all calls: they count up.
    first_correlation: Option<u64>,
}

impl Calls {
    fn of(store: &Store) -> Self {
        let mut calls = Self::default();
        for slice in store.all_of(EventKind::is_api_call) {
            let correlation = store.correlation(slice).filter(|&id| id != 0);
            calls.first_correlation =
                [calls.first_correlation, correlation].into_iter().flatten().min();
            if !records_event(store.name(slice)) {
                continue;
            }
            let ts_ns = store.slices.ts_ns[slice];
            for id in [correlation, store.external_id(slice)].into_iter().flatten() {
                let first = calls.records.entry(id).or_insert(ts_ns);
                *first = ts_ns.min(*first);
            }
        }
        calls
    }
}

/// Whether a call records an event: `cudaEventRecord`, `cudaEventRecordWithFlags`, `cuEventRecord`, `hipEventRecord`, each
/// with its variants, and `aclrtRecordEvent`.
fn records_event(name: &str) -> bool {
    name.contains("EventRecord") || name.contains("RecordEvent")
}

/// A line about some of a number of records; that number 0 tells nothing.
fn counted(
    kind: TrustKind,
    count: u64,
    of: u64,
    severity: Severity,
    meaning: &'static str,
) -> TrustRow {
    let mut line = line(kind, count, 0, severity, meaning);
    line.effect_ns = None;
    line.of = Some(of);
    line.count = line.count.filter(|_| of > 0);
    line
}

/// A device and one of its streams.
type StreamOf = (Option<u32>, Option<u32>);

/// Synchronizations of a stream, as the device saw them, that begin while a kernel of the stream runs. Graphs do it.
pub(super) fn sync_overlap(store: &Store, base: &TimeBase) -> TrustRow {
    let meaning =
        "synchronizations of a stream that begin, on the device, while a kernel of the stream runs";
    let mut running: HashMap<StreamOf, Vec<(i64, i64)>> = HashMap::new();
    for device in &base.devices {
        for row in device.slices.iter().filter(|row| row.kind.is_kernel()) {
            let spans = running.entry((device.device, row.stream)).or_default();
            spans.push((row.span.start_ns, row.span.end_ns));
        }
    }
    let (mut of, mut count) = (0, 0);
    for row in &store.device_rows {
        let slice = row.slice as usize;
        let is_sync = store.kind(slice) == EventKind::CudaSync;
        if !is_sync || !store.name(slice).starts_with("Stream Sync") {
            continue;
        }
        of += 1;
        let ts_ns = store.slices.ts_ns[slice];
        let spans = running.get(&(row.device, row.stream)).map_or(&[][..], Vec::as_slice);
        let first = spans.partition_point(|&(start_ns, _)| start_ns < ts_ns);
        count += u64::from(first > 0 && spans[first - 1].1 > ts_ns);
    }
    counted(TrustKind::SyncOverlap, count, of, Severity::Info, meaning)
}
