//! What each device did with its window.

use serde::Serialize;

use super::{Cell, Column, TableRow, Unit, percent};

/// One part of a device's idle time.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CauseRow {
    /// What the launching work thread was doing; `not_recorded` where the trace cannot tell.
    pub cause: String,
    /// Nanoseconds.
    pub ns: i64,
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
