//! Communication kernels that carry no arguments: which operation they are, and why nothing tells their size.
//!
//! The operation is that of the range around the launch (`nccl:all_reduce`, `c10d::allreduce_`), which torch writes for
//! the very call, or else what the kernel's name tells: one kernel of NCCL may run other operations than its name says.

use std::collections::BTreeMap;

use super::base::TimeBase;
use super::devices::ActivityKind;
use crate::align::Operation;
use crate::store::{Store, StrId};

/// What is known of a communication kernel without arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bare {
    /// The operation, as far as range or name tell.
    pub(super) operation: Option<Operation>,
    /// Why there is no size.
    pub(super) no_size_because: &'static str,
}

const GRAPH: &str = "launched by a graph, which keeps no arguments";
const COALESCED: &str =
    "coalesced collectives: torch launches them outside the calls that hold their arguments";
const RANGE_ALONE: &str =
    "no c10d arguments: coalesced collectives, grouped point-to-point, or a writer that adds none";
const LIBRARY: &str = "no c10d arguments: PyNccl, coalesced collectives, or grouped point-to-point";
const OTHER: &str = "no c10d arguments: a kernel that c10d does not launch";

/// Labels of libraries that c10d calls.
const C10D_LABELS: [&str; 5] =
    ["comm.nccl", "comm.rccl", "comm.mscclpp", "comm.oneccl", "comm.hccl"];

/// The communication kernels of an input that carry no arguments, by slice.
pub(super) fn bare_kernels(store: &Store, base: &TimeBase) -> BTreeMap<usize, Bare> {
    let rows = base.devices.iter().flat_map(|device| &device.slices);
    let comm = rows.filter(|row| row.kind == ActivityKind::Comm).map(|row| row.slice as usize);
    let bare: Vec<(usize, Option<usize>)> = comm
        .filter(|&slice| store.collective_row(slice).is_none())
        .map(|slice| (slice, base.launches.call_of(store, slice)))
        .collect();
    let ranges = ranges_around(store, bare.iter().filter_map(|&(_, call)| call).collect());
    let row = |&(slice, call): &(usize, Option<usize>)| {
        let range = call.and_then(|call| ranges.get(&call)).map(|&name| store.strings.get(name));
        let name = store.slices.name[slice];
        let by_range = range.and_then(Operation::of_range);
        let is_graph = call.is_some_and(|call| store.name(call).contains("GraphLaunch"));
        let is_of_c10d = base.kernels.label(name).is_some_and(|own| C10D_LABELS.contains(&own));
        let no_size_because = match range {
            _ if is_graph => GRAPH,
            Some(range) if range.contains("coalesced") => COALESCED,
            Some(_) => RANGE_ALONE,
            None if is_of_c10d => LIBRARY,
            None => OTHER,
        };
        let operation = by_range.or_else(|| base.kernels.operation(name));
        (slice, Bare { operation, no_size_because })
    };
    bare.iter().map(row).collect()
}

/// The name of the innermost range of a collective around each of some calls.
fn ranges_around(store: &Store, mut calls: Vec<usize>) -> BTreeMap<usize, StrId> {
    let mut found = BTreeMap::new();
    if calls.is_empty() {
        return found;
    }
    calls.sort_unstable();
    let is_range: Vec<bool> =
        store.strings.iter().map(|(_, text)| Operation::range_words(text).is_some()).collect();
    for track in &store.tracks {
        let first = calls.partition_point(|&call| call < track.slices.start);
        let n = calls[first..].partition_point(|&call| call < track.slices.end);
        let Some(&last) = calls[first..first + n].last() else { continue };
        let mut wanted = calls[first..first + n].iter().copied().peekable();
        let mut open: Vec<usize> = Vec::new();
        for slice in track.slices.start..=last {
            let name = store.slices.name[slice];
            if wanted.next_if_eq(&slice).is_some() {
                let ts_ns = store.slices.ts_ns[slice];
                open.retain(|&range| store.slices.end_ns(range) > ts_ns);
                found.extend(open.last().map(|&range| (slice, store.slices.name[range])));
            } else if is_range[name.0 as usize] && store.kind(slice).is_on_host() {
                let ts_ns = store.slices.ts_ns[slice];
                open.retain(|&range| store.slices.end_ns(range) > ts_ns);
                open.push(slice);
            }
        }
    }
    found
}
