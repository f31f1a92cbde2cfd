//! What each device did with its window.

use serde::Serialize;

use super::{Cell, Column, Table, TableRow, Unit, percent};
use crate::analyze::devices::DeviceTime;
use crate::analyze::idle::{DeviceIdle, cause_name};

/// One part of a device's idle time.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CauseRow {
    /// What the launching work thread was doing; `not_recorded` where the trace cannot tell.
    pub cause: &'static str,
    /// Nanoseconds; `None` where the trace does not record what would show the cause.
    pub ns: Option<i64>,
    /// Percent of the idle time.
    pub pct: Option<f64>,
}

/// One device of one input, as the machine output gives it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct DeviceRow {
    /// Number of the input.
    pub input: usize,
    /// Device index.
    pub device: Option<u32>,
    /// Name of the device.
    pub name: Option<String>,
    /// The device's window: the file's, stretched to hold every device event.
    pub window_ns: i64,
    /// Union of all device activity.
    pub busy_ns: i64,
    /// Union of the kernels.
    pub kernel_busy_ns: i64,
    /// Sum of the kernels' durations.
    pub kernel_sum_ns: i64,
    /// Union of the collective kernels.
    pub comm_busy_ns: i64,
    /// Union of the copies.
    pub memcpy_busy_ns: i64,
    /// Union of the memsets.
    pub memset_busy_ns: i64,
    /// Union of the collectives less the union of compute kernels.
    pub exposed_comm_ns: i64,
    /// Union of the copies less the union of compute kernels.
    pub exposed_copy_ns: i64,
    /// Window less busy.
    pub idle_ns: i64,
    /// Where the idle time came from; sums to `idle_ns`.
    pub idle_by_cause: Vec<CauseRow>,
    /// By how much the window is longer than the file's, to hold every device event.
    pub stretched_ns: i64,
    /// Kernels that start before an earlier kernel of their stream has ended.
    pub n_overlaps: u64,
    /// Kernel time that `kernel_sum_ns` counts more than once because of them.
    pub overlap_ns: i64,
    /// Kernels that run far past the next start of their stream.
    pub n_overruns: u64,
    /// By how much in all.
    pub overrun_ns: i64,
    /// Name of the one that does so most.
    pub overrun_name: Option<String>,
    /// `kernel_sum_ns` with these kernels cut at the next start.
    pub kernel_sum_cut_ns: i64,
    /// `kernel_busy_ns` with these kernels cut at the next start.
    pub kernel_busy_cut_ns: i64,
    /// Union of the kernels that only move data, which are no compute kernels.
    pub copy_kernel_busy_ns: i64,
}

impl DeviceRow {
    /// The row of a device.
    pub fn of(input: usize, time: &DeviceTime, idle: &DeviceIdle) -> Self {
        let cause = |&(class, ns)| CauseRow {
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
            kernel_busy_ns: time.kernel_busy_ns,
            kernel_sum_ns: time.kernel_sum_ns,
            comm_busy_ns: time.comm_busy_ns,
            memcpy_busy_ns: time.memcpy_busy_ns,
            memset_busy_ns: time.memset_busy_ns,
            exposed_comm_ns: time.exposed_comm_ns,
            exposed_copy_ns: time.exposed_copy_ns,
            idle_ns: time.idle_ns,
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

impl TableRow for DeviceRow {
    const COLUMNS: &'static [Column] = &[
        Column::new("#", "input", Unit::Count, "number of the input"),
        Column::new("device", "device", Unit::Count, "device index"),
        Column::new("window", "window_ns", Unit::Ns, "window, stretched to every device event"),
        Column::new("busy", "busy_ns", Unit::Ns, "union of all device activity"),
        Column::new("busy %", "busy_pct", Unit::Percent, "busy, of the window"),
        Column::new("kernel busy", "kernel_busy_ns", Unit::Ns, "union of the kernels"),
        Column::new("kernel sum", "kernel_sum_ns", Unit::Ns, "sum of the kernels' durations"),
        Column::new("comm", "comm_busy_ns", Unit::Ns, "union of the collective kernels"),
        Column::new("memcpy", "memcpy_busy_ns", Unit::Ns, "union of the copies"),
        Column::new("memset", "memset_busy_ns", Unit::Ns, "union of the memsets"),
        Column::new(
            "exposed comm",
            "exposed_comm_ns",
            Unit::Ns,
            "collectives while no compute kernel ran",
        ),
        Column::new(
            "exposed copy",
            "exposed_copy_ns",
            Unit::Ns,
            "copies while no compute kernel ran",
        ),
        Column::new("idle", "idle_ns", Unit::Ns, "window less busy"),
        Column::new("idle %", "idle_pct", Unit::Percent, "idle, of the window"),
        Column::new("name", "name", Unit::Text, "name of the device"),
    ];

    fn cells(&self) -> Vec<Cell> {
        let share = |ns| Cell::or_none(percent(ns, self.window_ns), Cell::Percent);
        vec![
            Cell::Count(self.input as u64),
            Cell::or_none(self.device, |d| Cell::Count(u64::from(d))),
            Cell::Ns(self.window_ns),
            Cell::Ns(self.busy_ns),
            share(self.busy_ns),
            Cell::Ns(self.kernel_busy_ns),
            Cell::Ns(self.kernel_sum_ns),
            Cell::Ns(self.comm_busy_ns),
            Cell::Ns(self.memcpy_busy_ns),
            Cell::Ns(self.memset_busy_ns),
            Cell::Ns(self.exposed_comm_ns),
            Cell::Ns(self.exposed_copy_ns),
            Cell::Ns(self.idle_ns),
            share(self.idle_ns),
            Cell::or_none(self.name.clone(), Cell::Text),
        ]
    }
}

/// One cause of the idle time of one device: a row of the idle table.
struct IdleRow<'a> {
    device: &'a DeviceRow,
    cause: &'a CauseRow,
}

impl TableRow for IdleRow<'_> {
    const N_GROUP_COLUMNS: usize = 3;
    const COLUMNS: &'static [Column] = &[
        Column::new("#", "input", Unit::Count, "number of the input"),
        Column::new("device", "device", Unit::Count, "device index"),
        Column::new("idle", "idle_ns", Unit::Ns, "idle time of the device"),
        Column::new("time", "ns", Unit::Ns, "idle time while the launching thread did this"),
        Column::new("share", "pct", Unit::Percent, "of the idle time"),
        Column::new("cause", "cause", Unit::Text, "what the launching thread was doing"),
    ];

    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::Count(self.device.input as u64),
            Cell::or_none(self.device.device, |d| Cell::Count(u64::from(d))),
            Cell::Ns(self.device.idle_ns),
            Cell::or_none(self.cause.ns, Cell::Ns),
            Cell::or_none(self.cause.pct, Cell::Percent),
            Cell::Text(self.cause.cause.to_owned()),
        ]
    }
}

/// Why each device was idle: the causes that hold time.
pub fn idle_table(devices: &[DeviceRow]) -> Table {
    let mut rows = Vec::new();
    for device in devices {
        let used = device.idle_by_cause.iter().filter(|cause| cause.ns.is_some_and(|ns| ns != 0));
        rows.extend(used.map(|cause| IdleRow { device, cause }));
    }
    Table::of("idle", "Device idle time by what the launching thread was doing", &rows)
}
