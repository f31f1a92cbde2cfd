//! Where the time of each device went: busy, by what, exposed, idle, and overlaps on one stream.
//!
//! Kernel time is given as **sum** (over kernels) and as **busy** (the union per device); they differ where kernels run
//! side by side. `gpu_user_annotation` is never activity. Communication kernels are kernels; compute kernels are the
//! kernels that neither communicate nor only move data.

use std::collections::BTreeMap;

use super::base::TimeBase;
use super::comm_rules::{CommRules, KernelRole, KernelRoles};
use super::idle::IdleRow;
use super::intervals::{Intervals, Span};
use super::overruns::{Overrun, overruns};
use super::percent;
use super::wait_rules::WaitRules;
use super::window::{Windows, is_unplaced, slice_span};
use crate::model::EventKind;
use crate::schema::tables;
use crate::store::Store;

/// The activity of one device, in time order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceActivity {
    /// Device index; `None` where the trace names none.
    pub device: Option<u32>,
    /// Its window.
    pub window: Span,
    /// By how much activity lies outside the file window.
    pub stretched_ns: i64,
    /// Kernels, copies and memsets that meet the window, by start, end, slice.
    pub slices: Vec<ActivityRow>,
    /// Time in which anything runs.
    pub busy: Intervals,
    /// The last activity before the window, where a part of the trace is looked at.
    pub before: Option<u32>,
    /// The first activity after it.
    pub after: Option<u32>,
}

/// One activity of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ActivityRow {
    /// The part inside the device's window.
    pub span: Span,
    /// The slice.
    pub slice: u32,
    /// What it is.
    pub kind: ActivityKind,
    /// The stream it ran on.
    pub stream: Option<u32>,
}

/// What a device activity is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ActivityKind {
    /// A kernel that computes.
    Compute,
    /// A communication kernel: a collective's by its arguments or by its name.
    Comm,
    /// A kernel that only moves data, by its name.
    CopyKernel,
    /// A copy.
    Memcpy,
    /// A memset.
    Memset,
}

impl ActivityKind {
    /// Whether all that it does is to move or set data.
    pub fn is_copy(self) -> bool {
        matches!(self, Self::CopyKernel | Self::Memcpy | Self::Memset)
    }

    /// Whether it is a kernel.
    pub fn is_kernel(self) -> bool {
        matches!(self, Self::Compute | Self::Comm | Self::CopyKernel)
    }
}

tables! {
    /// One device of one input, as the machine output gives it.
    #[derive(Default)]
    DeviceRow: "devices", "Devices", "What did each device do with its window?", groups 0, on Breakdown 3, shown Always, carried whole {
        input: usize, Count, All, "#", "number of the input";
        device: Option<u32>, Count, All, "device", "device index";
        name: Option<String>, Text, Room / Subject, "name", "name of the device";
        window_ns: i64, Ns, Room, "window", "window, stretched to every device event";
        busy_ns: i64, Ns, All, "busy", "union of all device activity";
        busy_pct: Option<f64>, Percent, All, "busy %", "busy, of the window";
        kernel_busy_ns: i64, Ns, All, "kernel busy", "union of the kernels";
        kernel_sum_ns: i64, Ns, Room, "kernel sum", "sum of the kernels' durations";
        compute_busy_ns: i64, Ns, All, "compute", "union of the kernels that compute: neither collectives nor kernels that only move data";
        compute_pct: Option<f64>, Percent, Room, "compute %", "compute, of the window";
        comm_busy_ns: i64, Ns, All, "comm", "union of the collective kernels";
        comm_pct: Option<f64>, Percent, Room, "comm %", "comm, of the window";
        comm_wait_ns: Option<i64>, Ns, All, "comm wait", "of it, waiting for the last rank of each collective; none where no other rank was read";
        comm_wait_pct: Option<f64>, Percent, Room, "of comm", "waiting for other ranks, of comm";
        memcpy_busy_ns: i64, Ns, Room, "memcpy", "union of the copies";
        memset_busy_ns: i64, Ns, Room, "memset", "union of the memsets";
        exposed_comm_ns: i64, Ns, All, "exposed comm", "collectives while no compute kernel ran";
        exposed_copy_ns: i64, Ns, All, "exposed copy", "copies while no compute kernel ran";
        idle_ns: i64, Ns, All, "idle", "window less busy";
        idle_pct: Option<f64>, Percent, All, "idle %", "idle, of the window";
        idle_by_cause: Vec<IdleRow>, Text, Machines, "idle by cause", "where the idle time came from; sums to idle_ns";
        stretched_ns: i64, Ns, Machines, "stretched", "by how much the window is longer than the file's, to hold every device event";
        n_overlaps: u64, Count, Machines, "overlaps", "kernels that start before an earlier kernel of their stream has ended";
        overlap_ns: i64, Ns, Machines, "overlap", "kernel time that kernel_sum_ns counts more than once because of them";
        n_overruns: u64, Count, Machines, "overruns", "kernels that run far past the next start of their stream";
        overrun_ns: i64, Ns, Machines, "overrun", "by how much in all";
        overrun_name: Option<String>, Text, Machines, "overruname", "name of the one that does so most";
        kernel_sum_cut_ns: i64, Ns, Machines, "kernel sum cut", "kernel_sum_ns with these kernels cut at the next start";
        kernel_busy_cut_ns: i64, Ns, Machines, "kernel busy cut", "kernel_busy_ns with these kernels cut at the next start";
        copy_kernel_busy_ns: i64, Ns, Machines, "copy kernel busy", "union of the kernels that only move data, which are no compute kernels";
    }
}

/// Sorts the activity of a store by device.
pub(super) fn device_activity(
    store: &Store,
    windows: &Windows,
    roles: &KernelRoles,
) -> Vec<DeviceActivity> {
    let mut by_device: BTreeMap<Option<u32>, Vec<ActivityRow>> = BTreeMap::new();
    for row in &store.device_rows {
        let slice = row.slice as usize;
        let kind = match store.kind(slice) {
            EventKind::Kernel => kernel_kind(store, slice, roles),
            EventKind::Memcpy => ActivityKind::Memcpy,
            EventKind::Memset => ActivityKind::Memset,
            _ => continue,
        };
        if !is_unplaced(store, slice) {
            let span = slice_span(store, slice);
            let rows = by_device.entry(row.device).or_default();
            rows.push(ActivityRow { span, slice: row.slice, kind, stream: row.stream });
        }
    }
    let of_device = |window: &super::window::DeviceWindow| {
        let mut slices = by_device.remove(&window.device).unwrap_or_default();
        let edge = |row: &ActivityRow| (row.span, row.slice);
        let outside = |row: &&ActivityRow| !meets(row.span, window.span);
        let (mut earlier, mut later) = (None, None);
        for row in slices.iter().filter(outside).map(edge) {
            if row.0.start_ns < window.span.start_ns {
                earlier = earlier.max(Some(row));
            } else {
                later = Some(later.map_or(row, |known: (Span, u32)| known.min(row)));
            }
        }
        slices.retain(|row| meets(row.span, window.span));
        slices.iter_mut().for_each(|row| row.span = row.span.clip(window.span));
        slices.sort_unstable();
        let mut busy = Intervals::default();
        slices.iter().for_each(|row| busy.push(row.span));
        DeviceActivity {
            device: window.device,
            window: window.span,
            stretched_ns: window.stretched_before_ns + window.stretched_after_ns,
            slices,
            busy,
            before: earlier.map(|(_, slice)| slice),
            after: later.map(|(_, slice)| slice),
        }
    };
    windows.devices.iter().map(of_device).collect()
}

/// The kernels that communicate, by their names or by their arguments, ascending by slice.
pub fn comm_kernels(store: &Store, waits: &WaitRules, rules: &CommRules) -> Vec<u32> {
    comm_kernels_of(store, &KernelRoles::new(store, waits, rules))
}

/// As [`comm_kernels`], by what the names of kernels say.
pub(super) fn comm_kernels_of(store: &Store, roles: &KernelRoles) -> Vec<u32> {
    let is_comm_kernel = |&slice: &usize| {
        store.kind(slice) == EventKind::Kernel
            && kernel_kind(store, slice, roles) == ActivityKind::Comm
            && !is_unplaced(store, slice)
    };
    let slices = store.device_rows.iter().map(|row| row.slice as usize);
    let mut found: Vec<u32> = slices.filter(is_comm_kernel).map(|slice| slice as u32).collect();
    found.sort_unstable();
    found
}

/// Whether a span, possibly empty, has a place inside a window.
fn meets(span: Span, window: Span) -> bool {
    span.start_ns < window.end_ns && span.end_ns > window.start_ns
        || span.is_empty() && span.start_ns >= window.start_ns && span.start_ns <= window.end_ns
}

fn kernel_kind(store: &Store, kernel: usize, roles: &KernelRoles) -> ActivityKind {
    match roles.role(store.slices.name[kernel]) {
        KernelRole::Communication => ActivityKind::Comm,
        _ if store.collective_row(kernel).is_some() => ActivityKind::Comm,
        KernelRole::Copy => ActivityKind::CopyKernel,
        KernelRole::Compute => ActivityKind::Compute,
    }
}

/// The time account of every device that shows activity.
pub fn devices(store: &Store, base: &TimeBase) -> Vec<DeviceRow> {
    let row = |activity| DeviceRow { input: base.input, ..device_row(store, activity) };
    base.devices.iter().map(row).collect()
}

fn device_row(store: &Store, activity: &DeviceActivity) -> DeviceRow {
    let union = |wanted: &dyn Fn(ActivityKind) -> bool| {
        let mut set = Intervals::default();
        activity.slices.iter().filter(|row| wanted(row.kind)).for_each(|row| set.push(row.span));
        set
    };
    let of = |wanted: ActivityKind| union(&|kind| kind == wanted);
    let (compute, comm, memcpy) =
        (of(ActivityKind::Compute), of(ActivityKind::Comm), of(ActivityKind::Memcpy));
    let kernels = activity.slices.iter().filter(|row| row.kind.is_kernel());
    let kernel_sum_ns: i64 = kernels.map(|row| row.span.len_ns()).sum();
    let (n_overlaps, overlap_ns, _) = stream_overlaps(activity);
    let found = overruns(store, activity);
    let overrun_ns = found.iter().map(|one| one.over_ns).sum();
    let longest = found.iter().max_by_key(|one| (one.over_ns, std::cmp::Reverse(one.row)));
    let slice = |one: &Overrun| activity.slices[one.row].slice as usize;
    let kernel_busy_ns = union(&ActivityKind::is_kernel).total_ns();
    let (window_ns, busy_ns) = (activity.window.len_ns(), activity.busy.total_ns());
    DeviceRow {
        input: 0,
        device: activity.device,
        name: store.meta.device_name(activity.device).map(str::to_owned),
        window_ns,
        stretched_ns: activity.stretched_ns,
        busy_ns,
        busy_pct: percent(busy_ns, window_ns),
        kernel_busy_ns,
        kernel_sum_ns,
        compute_busy_ns: compute.total_ns(),
        compute_pct: percent(compute.total_ns(), window_ns),
        comm_busy_ns: comm.total_ns(),
        comm_pct: percent(comm.total_ns(), window_ns),
        comm_wait_ns: None,
        comm_wait_pct: None,
        memcpy_busy_ns: memcpy.total_ns(),
        memset_busy_ns: of(ActivityKind::Memset).total_ns(),
        copy_kernel_busy_ns: of(ActivityKind::CopyKernel).total_ns(),
        exposed_comm_ns: comm.subtract(&compute).total_ns(),
        exposed_copy_ns: memcpy.subtract(&compute).total_ns(),
        idle_ns: window_ns - busy_ns,
        idle_pct: percent(window_ns - busy_ns, window_ns),
        idle_by_cause: Vec::new(),
        n_overlaps,
        overlap_ns,
        n_overruns: found.len() as u64,
        overrun_ns,
        overrun_name: longest.map(|one| store.name(slice(one)).to_owned()),
        kernel_sum_cut_ns: kernel_sum_ns - overrun_ns,
        kernel_busy_cut_ns: if found.is_empty() {
            kernel_busy_ns
        } else {
            cut_busy_ns(activity, &found)
        },
    }
}

/// Time in which a kernel runs, with some kernels cut.
fn cut_busy_ns(activity: &DeviceActivity, found: &[Overrun]) -> i64 {
    let cut = |row: usize| found.iter().find(|one| one.row == row).map(|one| one.cut_ns);
    let kernels = activity.slices.iter().enumerate().filter(|(_, row)| row.kind.is_kernel());
    let spans = kernels
        .map(|(number, row)| Span::new(row.span.start_ns, cut(number).unwrap_or(row.span.end_ns)));
    Intervals::union_of(spans.collect()).total_ns()
}

/// Kernels that overlap an earlier one of their stream, by how much in all, and the number of streams.
pub(super) fn stream_overlaps(activity: &DeviceActivity) -> (u64, i64, u64) {
    let mut ends: BTreeMap<Option<u32>, i64> = BTreeMap::new();
    let (mut count, mut ns) = (0, 0);
    for row in &activity.slices {
        let end = ends.entry(row.stream).or_insert(i64::MIN);
        if row.kind.is_kernel() {
            if row.span.start_ns < *end {
                count += 1;
                ns += row.span.end_ns.min(*end) - row.span.start_ns;
            }
            *end = (*end).max(row.span.end_ns);
        }
    }
    (count, ns, ends.len() as u64)
}
