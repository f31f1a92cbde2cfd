//! The rows of torch's profiler table, as `key_averages().table()` takes them.
//!
//! Nothing here formats; `render::torch_table` makes the text.

use std::cmp::Ordering;

use crate::analyze::key_averages::{DeviceType, KeyAverages, KeyMemory, KeyRow};

/// Torch's table before sorting.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TorchTable {
    /// Rows in torch's order, by first start. Sorting is stable, so this decides ties.
    pub rows: Vec<TorchRow>,
    /// Name of the device in the column titles.
    pub device_label: String,
    /// Whether the profile recorded memory, which adds the memory columns.
    pub has_memory: bool,
}

/// One row of torch's table. Times in nanoseconds, memory in bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TorchRow {
    /// Full name.
    pub name: String,
    /// Sum of self times on the host.
    pub self_cpu_ns: i64,
    /// Sum of times on the host.
    pub cpu_total_ns: i64,
    /// Sum of self times on the device.
    pub self_device_ns: i64,
    /// Sum of times on the device, children's included.
    pub device_total_ns: i64,
    /// Number of events.
    pub count: u64,
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
    /// The key of a `sort_by` text, as torch reads it.
    pub fn from_name(name: &str) -> Option<Self> {
        let name = ["cuda", "xpu", "privateuse1"]
            .iter()
            .fold(name.to_owned(), |name, device| name.replace(device, "device"));
        Some(match name.as_str() {
            "self_cpu_time_total" => Self::SelfCpu,
            "cpu_time_total" => Self::CpuTotal,
            "cpu_time" => Self::CpuAverage,
            "self_device_time_total" => Self::SelfDevice,
            "device_time_total" => Self::DeviceTotal,
            "device_time" => Self::DeviceAverage,
            "count" => Self::Count,
            "cpu_memory_usage" => Self::CpuMemory,
            "self_cpu_memory_usage" => Self::SelfCpuMemory,
            "device_memory_usage" => Self::DeviceMemory,
            "self_device_memory_usage" => Self::SelfDeviceMemory,
            _ => return None,
        })
    }

    /// The order of two rows, smaller first.
    pub fn compare(self, a: &TorchRow, b: &TorchRow) -> Ordering {
        match self {
            Self::SelfCpu => a.self_cpu_ns.cmp(&b.self_cpu_ns),
            Self::CpuTotal => a.cpu_total_ns.cmp(&b.cpu_total_ns),
            Self::CpuAverage => average_order((a.cpu_total_ns, a), (b.cpu_total_ns, b)),
            Self::SelfDevice => a.self_device_ns.cmp(&b.self_device_ns),
            Self::DeviceTotal => a.device_total_ns.cmp(&b.device_total_ns),
            Self::DeviceAverage => average_order((a.device_total_ns, a), (b.device_total_ns, b)),
            Self::Count => a.count.cmp(&b.count),
            Self::CpuMemory => a.cpu_bytes.cmp(&b.cpu_bytes),
            Self::SelfCpuMemory => a.self_cpu_bytes.cmp(&b.self_cpu_bytes),
            Self::DeviceMemory => a.device_bytes.cmp(&b.device_bytes),
            Self::SelfDeviceMemory => a.self_device_bytes.cmp(&b.self_device_bytes),
        }
    }
}

/// Compares `total / count` without dividing.
fn average_order(a: (i64, &TorchRow), b: (i64, &TorchRow)) -> Ordering {
    let scaled = |total: i64, count: u64| i128::from(total) * i128::from(count.max(1));
    scaled(a.0, b.1.count).cmp(&scaled(b.0, a.1.count))
}

impl TorchTable {
    /// The table of an analysis; `device_label` as torch's `use_device` in capitals: `CUDA`, `XPU`.
    pub fn new(averages: &KeyAverages, device_label: &str) -> Self {
        Self {
            rows: averages.rows.iter().map(TorchRow::from).collect(),
            device_label: device_label.to_owned(),
            has_memory: averages.has_memory,
        }
    }
}

impl From<&KeyRow> for TorchRow {
    fn from(row: &KeyRow) -> Self {
        let KeyMemory { cpu_bytes, self_cpu_bytes, device_bytes, self_device_bytes } =
            row.memory.unwrap_or_default();
        Self {
            name: row.name.clone(),
            self_cpu_ns: row.self_cpu_ns,
            cpu_total_ns: row.cpu_total_ns,
            self_device_ns: row.self_device_ns,
            device_total_ns: row.device_total_ns,
            count: row.count,
            is_device_activity: row.device_type == DeviceType::Device && !row.is_annotation,
            is_async: row.is_async,
            cpu_bytes,
            self_cpu_bytes,
            device_bytes,
            self_device_bytes,
            input_shapes: row.input_shapes.clone(),
            stack: row.stack.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{TorchRow, TorchSort};

    #[test]
    fn sort_names_are_torchs() {
        assert_eq!(TorchSort::from_name("self_cuda_time_total"), Some(TorchSort::SelfDevice));
        assert_eq!(TorchSort::from_name("xpu_time"), Some(TorchSort::DeviceAverage));
        assert_eq!(TorchSort::from_name("name"), None);
    }

    #[test]
    fn averages_compare_without_dividing() {
        let row = |cpu_total_ns, count| TorchRow { cpu_total_ns, count, ..TorchRow::default() };
        let order = |a: &TorchRow, b: &TorchRow| TorchSort::CpuAverage.compare(a, b);
        assert!(order(&row(10, 3), &row(10, 4)).is_gt());
        assert!(order(&row(10, 5), &row(2, 1)).is_eq());
    }
}
