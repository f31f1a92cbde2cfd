//! The account of a device: what ran at every instant of a unit, and why nothing did.
//!
//! Where several activities run at once an instant belongs to computing before communicating before copying, and among
//! kernels of one kind to the one that started first. So the time of communication and copies is what is exposed.

use std::collections::{BTreeMap, BTreeSet};

use super::Side;
use super::account::Ledger;
use super::layers::Tops;
use crate::analyze::base::TimeBase;
use crate::analyze::devices::{ActivityKind, ActivityRow, DeviceActivity};
use crate::analyze::host::HostThread;
use crate::analyze::idle::{Cause, explained_gaps};
use crate::analyze::intervals::{Intervals, Span};
use crate::analyze::timeline::Class;
use crate::store::{Store, StrId};

/// The device that is busy longest in the units.
pub(super) fn busiest<'a>(base: &'a TimeBase, units: &[Span]) -> Option<&'a DeviceActivity> {
    let mut inside = Intervals::default();
    units.iter().for_each(|&unit| inside.push(unit));
    let busy = |device: &DeviceActivity| device.busy.intersect(&inside).total_ns();
    base.devices.iter().max_by_key(|device| (busy(device), std::cmp::Reverse(device.device)))
}

/// The class of an activity in the account.
fn class_of(kind: ActivityKind) -> &'static str {
    match kind {
        ActivityKind::Compute => "kernel",
        ActivityKind::Comm => "comm",
        ActivityKind::CopyKernel | ActivityKind::Memcpy | ActivityKind::Memset => "copy",
    }
}

/// Enters what a device did.
pub(super) fn account(
    store: &Store,
    base: &TimeBase,
    device: &DeviceActivity,
    lead: (Option<&HostThread>, &Tops<StrId>),
    ledger: &mut Ledger<'_>,
) {
    let parts = parts_of(store, base, device, lead, ledger);
    let mut covered = Intervals::default();
    for class in ["kernel", "comm", "copy"] {
        let rows =
            || device.slices.iter().zip(&parts).filter(|(row, _)| class_of(row.kind) == class);
        let mut now = i64::MIN;
        let mut own = Intervals::default();
        for (row, &part) in rows() {
            let span = Span::new(row.span.start_ns.max(now), row.span.end_ns.max(now));
            now = now.max(row.span.end_ns);
            for free in free_of(span, &covered) {
                ledger.add(free, part);
            }
            own.push(row.span);
        }
        covered = covered.union(&own);
    }
    idle(store, base, device, ledger);
    launches(store, base, device, ledger);
}

/// What of a span no set covers.
fn free_of(span: Span, covered: &Intervals) -> Vec<Span> {
    if span.is_empty() {
        return Vec::new();
    }
    let mut whole = Intervals::default();
    whole.push(span);
    whole.subtract(&covered.clip(span)).spans().to_vec()
}

/// The part of each activity, counted where it starts.
fn parts_of(
    store: &Store,
    base: &TimeBase,
    device: &DeviceActivity,
    (lead, operators): (Option<&HostThread>, &Tops<StrId>),
    ledger: &mut Ledger<'_>,
) -> Vec<u32> {
    let mut known: BTreeMap<(&str, StrId), u32> = BTreeMap::new();
    let operator_of = |row: &ActivityRow| {
        let call = base.launches.call_of(store, row.slice as usize)?;
        let is_own = lead.is_some_and(|lead| store.track_of(call) == lead.track);
        is_own.then(|| operators.at(store.slices.ts_ns[call])).flatten()
    };
    let mut parts = Vec::with_capacity(device.slices.len());
    for row in &device.slices {
        let name = store.slices.name[row.slice as usize];
        let class = class_of(row.kind);
        let part = *known.entry((class, name)).or_insert_with(|| {
            let part = ledger.part(Side::Device, class, store.strings.get(name));
            ledger.note_operator(part, operator_of(row).map(|op| store.strings.get(op)));
            part
        });
        ledger.begin(row.span.start_ns, part);
        parts.push(part);
    }
    parts
}

/// Enters the gaps by what the thread did that launched what ended them.
fn idle(store: &Store, base: &TimeBase, device: &DeviceActivity, ledger: &mut Ledger<'_>) {
    let parts =
        Class::ALL.map(|class| ledger.part(Side::Device, "idle", Cause::of(class).as_str()));
    for (gap, thread) in explained_gaps(store, base, device) {
        for unit in ledger.meeting(gap) {
            let inside = unit.clip(gap);
            let Some(thread) = thread else { continue };
            let sums = thread.timeline.within(inside);
            let mut at_ns = inside.start_ns;
            for class in Class::ALL {
                let end_ns = at_ns + sums.get(class);
                ledger.add(Span::new(at_ns, end_ns), parts[class as usize]);
                at_ns = end_ns;
            }
        }
    }
}

/// Counts the calls that started work on the device, and what they started, where the call was made.
fn launches(store: &Store, base: &TimeBase, device: &DeviceActivity, ledger: &mut Ledger<'_>) {
    let mut calls: BTreeSet<usize> = BTreeSet::new();
    for row in &device.slices {
        let call = base.launches.call_of(store, row.slice as usize);
        let at_ns = call.map_or(row.span.start_ns, |call| store.slices.ts_ns[call]);
        let is_graph = call.is_some_and(|call| is_graph_launch(store.name(call)));
        if let Some(call) = call.filter(|&call| calls.insert(call)) {
            ledger.count(store.slices.ts_ns[call], |counts| {
                counts.launches += 1;
                counts.graph_launches += u32::from(is_graph);
            });
        }
        ledger.count(at_ns, |counts| match row.kind {
            ActivityKind::Memcpy | ActivityKind::Memset => counts.copies += 1,
            _ => {
                counts.kernels += 1;
                counts.graph_kernels += u32::from(is_graph);
            }
        });
    }
}

/// Whether a call replays a graph: `cudaGraphLaunch`, `hipGraphLaunch`, with or without a suffix.
pub(super) fn is_graph_launch(name: &str) -> bool {
    name.contains("GraphLaunch")
}
