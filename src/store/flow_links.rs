//! Arrows from the host to a device as links: writers without correlations draw them from a call or an operator to what
//! it launched (Ascend's `HostToDevice` and `async_npu`, `cpu_to_cuda` of the old autograd profiler).

use std::collections::{BTreeMap, BTreeSet};

use super::{Flow, FlowPhase, Store};
use crate::model::EventKind;

/// Slices before the start of an arrow that are looked at for the one around it.
const LOOK_BACK: usize = 256;

/// Ids from here on are given here: no writer counts so far.
const OWN_IDS: u64 = 1 << 48;

/// Gives calls and activity a common correlation, and operators and activity a common external id, along the arrows.
pub(super) fn link(store: &mut Store) {
    let mut links = Links::of(store);
    for arrow in store.flows.chunk_by(|a, b| (a.category, a.id) == (b.category, b.id)) {
        let Some(start) = arrow.iter().find(|flow| flow.phase == FlowPhase::Start) else {
            continue;
        };
        let Some(host) = host_slice(store, start) else { continue };
        let ends = arrow.iter().filter(|flow| flow.phase != FlowPhase::Start);
        for activity in ends.filter_map(|end| device_slice(store, end)) {
            links.add(store, host, activity);
        }
    }
    if !links.a.is_empty() {
        store.slices.id_a = store.slices.id_a.changed(&links.a);
    }
    if !links.b.is_empty() {
        store.slices.id_b = store.slices.id_b.changed(&links.b);
    }
}

/// The ids that change, by slice.
struct Links {
    /// Correlations of calls as written.
    known: BTreeSet<u64>,
    a: BTreeMap<u32, u64>,
    b: BTreeMap<u32, u64>,
}

impl Links {
    fn of(store: &Store) -> Self {
        let calls = store.all_of(EventKind::is_api_call);
        let known = calls.filter_map(|slice| store.correlation(slice)).collect();
        Self { known, a: BTreeMap::new(), b: BTreeMap::new() }
    }

    fn add(&mut self, store: &Store, host: usize, activity: usize) {
        let own = OWN_IDS + host as u64;
        if store.kind(host).is_api_call() {
            if store.correlation(activity).is_some_and(|id| self.known.contains(&id)) {
                return;
            }
            let id = store.correlation(host).filter(|&id| id != 0).unwrap_or(own);
            self.a.insert(host as u32, id);
            self.a.insert(activity as u32, id);
        } else {
            let id = store.external_id(host).filter(|&id| id != 0).unwrap_or(own);
            self.b.insert(host as u32, id);
            self.b.insert(activity as u32, id);
        }
    }
}

/// The innermost call or operator around the start of an arrow.
fn host_slice(store: &Store, start: &Flow) -> Option<usize> {
    use crate::model::EventKind::{CpuOp, UserAnnotation};
    let range = store.tracks[start.track as usize].slices.clone();
    let slices = &store.slices;
    let after = range.start + slices.ts_ns[range.clone()].partition_point(|&ts| ts <= start.ts_ns);
    (range.start..after).rev().take(LOOK_BACK).find(|&slice| {
        let kind = store.kind(slice);
        let links = kind.is_api_call() || matches!(kind, CpuOp | UserAnnotation);
        links && slices.end_ns(slice) >= start.ts_ns
    })
}

/// The activity that starts where an arrow ends.
fn device_slice(store: &Store, end: &Flow) -> Option<usize> {
    let range = store.tracks[end.track as usize].slices.clone();
    let ts_ns = &store.slices.ts_ns;
    let first = range.start + ts_ns[range.clone()].partition_point(|&ts| ts < end.ts_ns);
    (first..range.end)
        .take_while(|&slice| ts_ns[slice] == end.ts_ns)
        .find(|&slice| store.kind(slice).is_device_activity())
}
