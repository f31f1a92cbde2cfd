//! Rules of torch's own trace validator that are no check of another kind already.

use std::collections::{HashMap, HashSet};

use super::{TrustKind, TrustLine, line};
use crate::analyze::base::TimeBase;
use crate::diag::Severity;
use crate::model::EventKind;
use crate::store::{Store, StrId};

/// Collectives' operators must say what was sent. Old writers say nothing at any; then there is nothing odd about one.
pub(super) fn nccl_metadata(store: &Store) -> TrustLine {
    let meaning = "collectives without name, type, sizes or group, where others have them: bytes and partners of these are not known";
    let (mut of, mut count) = (0, 0);
    for slice in 0..store.slices.len() {
        if store.kind(slice) != EventKind::CpuOp || store.name(slice) != "record_param_comms" {
            continue;
        }
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
    let mut line = line(TrustKind::NcclMetadata, count, 0, severity, meaning);
    line.effect_ns = None;
    line.of = Some(of);
    line.count = line.count.filter(|_| of > 0);
    line
}

/// A sequence number belongs to one operator of the backward pass.
pub(super) fn backward_sequence(store: &Store) -> TrustLine {
    let meaning = "sequence numbers that operators of the backward pass with different names share: forward and backward cannot be matched by them";
    let of_backward: HashSet<StrId> = store
        .strings
        .iter()
        .filter(|(_, text)| text.starts_with("autograd::engine::evaluate_function:"))
        .map(|(id, _)| id)
        .collect();
    let mut names: HashMap<u64, (StrId, bool)> = HashMap::new();
    let n_slices = if of_backward.is_empty() { 0 } else { store.slices.len() };
    for slice in 0..n_slices {
        let is_op = store.kind(slice) == EventKind::CpuOp;
        if !is_op || !of_backward.contains(&store.slices.name[slice]) {
            continue;
        }
        let Some(sequence) = store.sequence_number(slice) else { continue };
        let name = store.slices.name[slice];
        let known = names.entry(sequence).or_insert((name, false));
        known.1 |= known.0 != name;
    }
    let count = names.values().filter(|(_, is_shared)| *is_shared).count() as u64;
    let mut line = line(TrustKind::BackwardSequence, count, 0, Severity::Notice, meaning);
    line.effect_ns = None;
    line.of = Some(names.len() as u64);
    line.count = line.count.filter(|_| !names.is_empty());
    line
}

/// A device and one of its streams.
type StreamOf = (Option<u32>, Option<u32>);

/// Synchronizations of a stream, as the device saw them, that begin while a kernel of the stream runs. Graphs do it.
pub(super) fn sync_overlap(store: &Store, base: &TimeBase) -> TrustLine {
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
    let mut line = line(TrustKind::SyncOverlap, count, 0, Severity::Info, meaning);
    line.effect_ns = None;
    line.of = Some(of);
    line.count = line.count.filter(|_| of > 0);
    line
}
