//! What each device did with its window.

use super::percent;
use crate::analyze::devices::DeviceTime;
use crate::analyze::idle::{DeviceIdle, cause_name};
use crate::schema::{Source, tables};

tables! {
    /// One part of a device's idle time.
    IdleRow: "idle", "Device idle time by what the launching thread was doing", "Why was each device idle?", groups 3, inside "devices" "idle_by_cause" {
        #[serde(skip)]
        input: usize, Count, All, "#", "number of the input";
        #[serde(skip)]
        device: Option<u32>, Count, All, "device", "device index";
        #[serde(skip)]
        idle_ns: i64, Ns, All, "idle", "idle time of the device";
        cause: &'static str, Text, All / End, "cause", "what the launching thread was doing";
        ns: Option<i64>, Ns, All, "time", "idle time while the launching thread did this; none where the trace records nothing that would show it";
        pct: Option<f64>, Percent, All, "share", "of the idle time";
    }
}

tables! {
    /// One device of one input, as the machine output gives it.
    #[derive(Default)]
    DeviceRow: "devices", "Devices", "What did each device do with its window?", groups 0, shown Always {
        input: usize, Count, All, "#", "number of the input";
        device: Option<u32>, Count, All, "device", "device index";
        name: Option<String>, Text, Room / Subject, "name", "name of the device";
        window_ns: i64, Ns, Room, "window", "window, stretched to every device event";
        busy_ns: i64, Ns, All, "busy", "union of all device activity";
        busy_pct: Option<f64>, Percent, All, "busy %", "busy, of the window";
        kernel_busy_ns: i64, Ns, All, "kernel busy", "union of the kernels";
        kernel_sum_ns: i64, Ns, Room, "kernel sum", "sum of the kernels' durations";
        comm_busy_ns: i64, Ns, All, "comm", "union of the collective kernels";
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

impl DeviceRow {
    /// The row of a device.
    pub fn of(input: usize, time: &DeviceTime, idle: &DeviceIdle) -> Self {
        let cause = |&(class, ns)| IdleRow {
            input,
            device: time.device,
            idle_ns: time.idle_ns,
            cause: cause_name(class),
            ns,
            pct: ns.and_then(|ns| percent(ns, time.idle_ns)),
        };
        Self {
            input,
            device: time.device,
            name: time.name.clone(),
            window_ns: time.window_ns,
            busy_ns: time.busy_ns,
            busy_pct: percent(time.busy_ns, time.window_ns),
            kernel_busy_ns: time.kernel_busy_ns,
            kernel_sum_ns: time.kernel_sum_ns,
            comm_busy_ns: time.comm_busy_ns,
            memcpy_busy_ns: time.memcpy_busy_ns,
            memset_busy_ns: time.memset_busy_ns,
            exposed_comm_ns: time.exposed_comm_ns,
            exposed_copy_ns: time.exposed_copy_ns,
            idle_ns: time.idle_ns,
            idle_pct: percent(time.idle_ns, time.window_ns),
            idle_by_cause: idle.causes.iter().map(cause).collect(),
            stretched_ns: time.stretched_ns,
            n_overlaps: time.n_overlaps,
            overlap_ns: time.overlap_ns,
            n_overruns: time.n_overruns,
            overrun_ns: time.overrun_ns,
            overrun_name: time.overrun_name.clone(),
            kernel_sum_cut_ns: time.kernel_sum_cut_ns,
            kernel_busy_cut_ns: time.kernel_busy_cut_ns,
            copy_kernel_busy_ns: time.copy_kernel_busy_ns,
        }
    }
}

/// Why each device was idle: the causes that hold time.
pub(super) fn idle(devices: &[DeviceRow]) -> Source<'_> {
    let causes = devices.iter().flat_map(|device| &device.idle_by_cause);
    Source::some(causes.filter(|cause| cause.ns.is_some_and(|ns| ns != 0)).collect())
}
