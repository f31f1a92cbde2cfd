//! What any trace holds, by device or process, kind and name.

use serde::Serialize;

use super::{Cell, Column, Table, TableRow, Unit};
use crate::analyze::activity::Activity;

/// All spans of one device or process, kind and name, as the machine output gives them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ActivityRow {
    /// Number of the input.
    pub input: usize,
    /// Device index; `None` of what is no device's.
    pub device: Option<u32>,
    /// The process of what is no device's.
    pub process: Option<String>,
    /// `kernel`, `memcpy`, `memset`, `device_mark`, `derived`, `async_span` or `span`.
    pub kind: &'static str,
    /// Category as the trace writes it.
    pub category: String,
    /// Name.
    pub name: String,
    /// How often.
    pub count: u64,
    /// Sum of the durations.
    pub sum_ns: i64,
    /// The shortest.
    pub min_ns: i64,
    /// The longest.
    pub max_ns: i64,
}

impl ActivityRow {
    /// The row of an input's activity.
    pub fn of(input: usize, one: Activity) -> Self {
        let Activity { device, process, kind, category, name, count, sum_ns, min_ns, max_ns } = one;
        Self { input, device, process, kind, category, name, count, sum_ns, min_ns, max_ns }
    }

    /// Whether no table of devices, kernels or copies has it.
    pub fn is_other(&self) -> bool {
        !matches!(self.kind, "kernel" | "memcpy" | "memset")
    }
}

impl TableRow for ActivityRow {
    const COLUMNS: &'static [Column] = &[
        Column::new("#", "input", Unit::Count, "number of the input"),
        Column::new("device", "device", Unit::Count, "device index"),
        Column::new("process", "process", Unit::Text, "process of what is no device's"),
        Column::new(
            "kind",
            "kind",
            Unit::Text,
            "what it is; derived rows repeat others, a device_mark is no work",
        ),
        Column::new("category", "category", Unit::Text, "category as the trace writes it"),
        Column::new("count", "count", Unit::Count, "how often"),
        Column::new("sum", "sum_ns", Unit::Ns, "sum of the durations"),
        Column::new("min", "min_ns", Unit::Ns, "the shortest"),
        Column::new("max", "max_ns", Unit::Ns, "the longest"),
        Column::new("name", "name", Unit::Text, "name"),
    ];

    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::Count(self.input as u64),
            Cell::or_none(self.device, |device| Cell::Count(u64::from(device))),
            Cell::or_none(self.process.clone(), Cell::Text),
            Cell::Text(self.kind.to_owned()),
            Cell::Text(self.category.clone()),
            Cell::Count(self.count),
            Cell::Ns(self.sum_ns),
            Cell::Ns(self.min_ns),
            Cell::Ns(self.max_ns),
            Cell::Text(self.name.clone()),
        ]
    }
}

/// The table; `shown` filters by name.
pub fn activity_table(rows: &[ActivityRow], shown: impl Fn(&str) -> bool) -> Table {
    let rows = rows.iter().filter(|row| shown(&row.name));
    Table::of("activity", "Activity by device or process, and name", rows)
}
