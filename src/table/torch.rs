//! The rows of torch's profiler table, as `key_averages().table()` takes them.
//!
//! Nothing here formats; `render::torch_table` makes the text.

use std::cmp::Ordering;

pub use crate::analyze::key_averages::TorchTimes;
use crate::analyze::key_averages::{DeviceType, KeyAverageRow, KeyAverages, KeyMemory};

/// Torch's table before sorting.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TorchTable {
    /// Rows in torch's order, by first start. Sorting is stable, so this decides ties.
    pub rows: Vec<TorchRow>,
    /// Name of the device in the column titles.
    pub device_label: String,
    /// Whether the profile recorded memory, which adds the memory columns.
    pub has_memory: bool,
}

/// One row of torch's table. Times in torch's own unit, microseconds as a float; memory in bytes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TorchRow {
    /// Full name.
    pub name: String,
    /// Sums of times.
    pub times: TorchTimes,
    /// Number of events.
    pub count: u64,
    /// Whether the trace does not tell its device times, which torch prints as 0.
    pub lacks_device_time: bool,
    /// Whether the row's device time is part of the total of all devices: device rows that are no annotations.
    pub is_device_activity: bool,
    /// Asynchronous rows have no share of the host total.
    pub is_async: bool,
    /// Host memory.
    pub cpu_bytes: i64,
    /// Host memory less that of the children.
    pub self_cpu_bytes: i64,
    /// Device memory.
    pub device_bytes: i64,
    /// Device memory less that of the children.
    pub self_device_bytes: i64,
    /// Input shapes as torch prints them; `None` where rows are not grouped by them.
    pub input_shapes: Option<String>,
    /// Frames, innermost first.
    pub stack: Vec<String>,
}

/// What torch's table can be sorted by (`sort_by`), always descending.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TorchSort {
    /// `self_cpu_time_total`
    SelfCpu,
    /// `cpu_time_total`
    CpuTotal,
    /// `cpu_time`
    CpuAverage,
    /// `self_device_time_total`, also with `cuda` or `xpu` for `device`
    SelfDevice,
    /// `device_time_total`
    DeviceTotal,
    /// `device_time`
    DeviceAverage,
    /// `count`
    Count,
    /// `cpu_memory_usage`
    CpuMemory,
    /// `self_cpu_memory_usage`
    SelfCpuMemory,
    /// `device_memory_usage`
    DeviceMemory,
    /// `self_device_memory_usage`
    SelfDeviceMemory,
}

impl TorchSort {
    /// The order of two rows, smaller first.
    pub fn compare(self, a: &TorchRow, b: &TorchRow) -> Ordering {
        self.value(a).total_cmp(&self.value(b))
    }

    fn value(self, row: &TorchRow) -> f64 {
        match self {
            Self::SelfCpu => row.times.self_cpu_us,
            Self::CpuTotal => row.times.cpu_total_us,
            Self::CpuAverage => row.average_us(row.times.cpu_total_us),
            Self::SelfDevice => row.times.self_device_us,
            Self::DeviceTotal => row.times.device_total_us,
            Self::DeviceAverage => row.average_us(row.times.device_total_us),
            Self::Count => row.count as f64,
            Self::CpuMemory => row.cpu_bytes as f64,
            Self::SelfCpuMemory => row.self_cpu_bytes as f64,
            Self::DeviceMemory => row.device_bytes as f64,
            Self::SelfDeviceMemory => row.self_device_bytes as f64,
        }
    }
}

impl TorchRow {
    /// A total divided by the number of events.
    pub fn average_us(&self, total_us: f64) -> f64 {
        if self.count == 0 { 0.0 } else { total_us / self.count as f64 }
    }
}

impl TorchTable {
    /// The table of an analysis; `times` from [`crate::analyze::key_averages::torch_times`] of the same,
    /// `device_label` as torch's `use_device` in capitals: `CUDA`, `XPU`.
    pub fn new(averages: &KeyAverages, times: &[TorchTimes], device_label: &str) -> Self {
        let row = |(row, &times): (&KeyAverageRow, &TorchTimes)| TorchRow::new(row, times);
        Self {
            rows: averages.rows.iter().zip(times).map(row).collect(),
            device_label: device_label.to_owned(),
            has_memory: averages.has_memory,
        }
    }
}

impl TorchRow {
    fn new(row: &KeyAverageRow, times: TorchTimes) -> Self {
        let KeyMemory { cpu_bytes, self_cpu_bytes, device_bytes, self_device_bytes } =
            row.memory.unwrap_or_default();
        Self {
            name: row.name.clone(),
            times,
            count: row.count,
            lacks_device_time: row.self_device_ns.is_none(),
            is_device_activity: row.device_type == DeviceType::Device && !row.is_annotation,
            is_async: row.is_async,
            cpu_bytes,
            self_cpu_bytes,
            device_bytes,
            self_device_bytes,
            input_shapes: row.input_shapes.clone(),
            stack: row.stack.clone().unwrap_or_default(),
        }
    }
}
