//! The profiler table: what `key_averages()` of the run gives, and its totals.

use std::collections::BTreeMap;

use serde::Serialize;

use super::runs::{RUN_COLUMN, RunRow, n_runs, with_runs};
use super::{Cell, Column, Table, TableRow, Unit, percent};
use crate::analyze::key_averages::{DeviceType, KeyMemory, KeyRow};

/// One row of the profiler table, as the machine output gives it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct KeyAverageRow {
    /// Name.
    pub name: String,
    /// `cpu` or `device`.
    pub device_type: &'static str,
    /// Whether it is the span of a user annotation.
    pub is_annotation: bool,
    /// How often.
    pub count: u64,
    /// CPU time less that of the children.
    pub self_cpu_ns: i64,
    /// CPU time with the children.
    pub cpu_total_ns: i64,
    /// Device time of the row's own device events; `None` where nothing tells what launched them.
    pub self_device_ns: Option<i64>,
    /// Device time with the children; `None` where that of the row's own is.
    pub device_total_ns: Option<i64>,
    /// Number of the run, from 0: sums stay within one.
    pub run: u32,
    /// What was left out of the CPU total; there only where something was to be left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub excluded_cpu_ns: Option<i64>,
    /// Memory allocated less memory released; `None` where the trace recorded no memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<MemoryCells>,
    /// Input shapes, where rows are grouped by them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_shapes: Option<String>,
    /// Innermost Python frames, where rows are grouped by them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stack: Option<Vec<String>>,
}

/// Memory allocated less memory released, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct MemoryCells {
    /// Host memory.
    pub cpu_bytes: i64,
    /// Host memory less that of the children.
    pub self_cpu_bytes: i64,
    /// Device memory.
    pub device_bytes: i64,
    /// Device memory less that of the children.
    pub self_device_bytes: i64,
}

impl From<KeyRow> for KeyAverageRow {
    fn from(row: KeyRow) -> Self {
        Self {
            name: row.name,
            device_type: match row.device_type {
                DeviceType::Cpu => "cpu",
                DeviceType::Device => "device",
            },
            is_annotation: row.is_annotation,
            count: row.count,
            self_cpu_ns: row.self_cpu_ns,
            cpu_total_ns: row.cpu_total_ns,
            self_device_ns: row.is_device_time_known.then_some(row.self_device_ns),
            device_total_ns: row.is_device_time_known.then_some(row.device_total_ns),
            run: 0,
            excluded_cpu_ns: (row.excluded_cpu_ns != 0).then_some(row.excluded_cpu_ns),
            memory: row.memory.map(MemoryCells::from),
            input_shapes: row.input_shapes,
            stack: (!row.stack.is_empty()).then_some(row.stack),
        }
    }
}

impl KeyAverageRow {
    /// Whether the row was nothing but time that is left out.
    pub fn is_gone(&self) -> bool {
        self.excluded_cpu_ns.is_some()
            && [self.self_cpu_ns, self.cpu_total_ns] == [0; 2]
            && !self.has_device_time()
            && self.memory.is_none_or(|memory| memory == MemoryCells::default())
    }

    /// Whether device time is known and there.
    pub fn has_device_time(&self) -> bool {
        [self.self_device_ns, self.device_total_ns].into_iter().flatten().any(|ns| ns != 0)
    }
}

impl From<KeyMemory> for MemoryCells {
    fn from(memory: KeyMemory) -> Self {
        Self {
            cpu_bytes: memory.cpu_bytes,
            self_cpu_bytes: memory.self_cpu_bytes,
            device_bytes: memory.device_bytes,
            self_device_bytes: memory.self_device_bytes,
        }
    }
}

/// The rows of several inputs as one table: rows of the same name and grouping are summed, in order of first sight.
pub fn merge_key_averages(
    parts: impl IntoIterator<Item = Vec<KeyAverageRow>>,
) -> Vec<KeyAverageRow> {
    let mut all: Vec<KeyAverageRow> = Vec::new();
    let mut number_of_key = BTreeMap::new();
    for part in parts {
        // Rows of one input are different whatever their key: torch tells some apart by more than it prints.
        let mut used = BTreeMap::new();
        for row in part {
            let key = (
                row.name.clone(),
                row.device_type,
                row.is_annotation,
                row.input_shapes.clone(),
                row.stack.clone(),
            );
            let occurrence: &mut usize = used.entry(key.clone()).or_default();
            *occurrence += 1;
            match number_of_key.entry((key, *occurrence)) {
                std::collections::btree_map::Entry::Vacant(entry) => {
                    entry.insert(all.len());
                    all.push(row);
                }
                std::collections::btree_map::Entry::Occupied(entry) => {
                    add(&mut all[*entry.get()], &row);
                }
            }
        }
    }
    all
}

fn add(sum: &mut KeyAverageRow, row: &KeyAverageRow) {
    sum.count += row.count;
    sum.self_cpu_ns += row.self_cpu_ns;
    sum.cpu_total_ns += row.cpu_total_ns;
    sum.self_device_ns = sum.self_device_ns.zip(row.self_device_ns).map(|(a, b)| a + b);
    sum.device_total_ns = sum.device_total_ns.zip(row.device_total_ns).map(|(a, b)| a + b);
    if let Some(excluded_ns) = row.excluded_cpu_ns {
        *sum.excluded_cpu_ns.get_or_insert(0) += excluded_ns;
    }
    if let (Some(sum), Some(row)) = (&mut sum.memory, &row.memory) {
        sum.cpu_bytes += row.cpu_bytes;
        sum.self_cpu_bytes += row.self_cpu_bytes;
        sum.device_bytes += row.device_bytes;
        sum.self_device_bytes += row.self_device_bytes;
    }
}

/// Totals of the profiler table, as the machine output gives them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TotalsRow {
    /// Sum of self CPU over all rows.
    pub self_cpu_ns: i64,
    /// Sum of self device time over the rows of device events that are no annotations.
    pub self_device_ns: i64,
    /// IPC wait of the work threads that is in the figures; `None` where no Python frames were recorded.
    pub ipc_wait_ns: Option<i64>,
    /// IPC wait of the work threads that was left out of the figures.
    pub excluded_ipc_wait_ns: i64,
    /// Time of every excluded class that was left out of the windows of the work threads.
    pub excluded_ns: i64,
    /// What was left out of `self_cpu_ns`: of the work threads, and of background and idle ones.
    pub excluded_self_cpu_ns: i64,
    /// Rows of the profiler table that were nothing but left-out time and are gone; there only where something was to be
    /// left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub excluded_rows: Option<u64>,
}

/// A row beside the totals that its shares are of.
struct Shared<'a> {
    row: &'a KeyAverageRow,
    totals: &'a TotalsRow,
}

impl Shared<'_> {
    /// The share of device time: an annotation's span is no device activity and has none.
    fn device_share(&self) -> Cell {
        if self.row.is_annotation && self.row.device_type == "device" {
            return Cell::NotRecorded;
        }
        let share = self.row.self_device_ns.and_then(|ns| percent(ns, self.totals.self_device_ns));
        Cell::or_none(share, Cell::Percent)
    }
}

/// Total over count, rounded down to a nanosecond.
fn average_ns(total_ns: i64, count: u64) -> Cell {
    match i64::try_from(count) {
        Ok(n) if n > 0 => Cell::Ns(total_ns / n),
        _ => Cell::NotRecorded,
    }
}

impl TableRow for Shared<'_> {
    const COLUMNS: &'static [Column] = &[
        RUN_COLUMN,
        Column::new("self CPU", "self_cpu_ns", Unit::Ns, "CPU time less that of the children"),
        Column::new("self CPU %", "self_cpu_pct", Unit::Percent, "of all self CPU"),
        Column::new("CPU total", "cpu_total_ns", Unit::Ns, "CPU time with the children"),
        Column::new("CPU avg", "cpu_avg_ns", Unit::Ns, "CPU total over calls"),
        Column::new("self device", "self_device_ns", Unit::Ns, "time of its own device events"),
        Column::new(
            "self device %",
            "self_device_pct",
            Unit::Percent,
            "of all device events; annotations have no share",
        ),
        Column::new("device total", "device_total_ns", Unit::Ns, "device time with the children"),
        Column::new("device avg", "device_avg_ns", Unit::Ns, "device total over calls"),
        Column::new("calls", "count", Unit::Count, "how often"),
        Column::new("on", "device_type", Unit::Text, "cpu or device"),
        Column::new("input shapes", "input_shapes", Unit::Text, "recorded input shapes"),
        Column::new("stack", "stack", Unit::Text, "innermost Python frames"),
        Column::new("name", "name", Unit::Text, "name"),
    ];

    fn cells(&self) -> Vec<Cell> {
        let row = self.row;
        let cpu_share = percent(row.self_cpu_ns, self.totals.self_cpu_ns);
        vec![
            Cell::Count(u64::from(row.run)),
            Cell::Ns(row.self_cpu_ns),
            Cell::or_none(cpu_share, Cell::Percent),
            Cell::Ns(row.cpu_total_ns),
            average_ns(row.cpu_total_ns, row.count),
            Cell::or_none(row.self_device_ns, Cell::Ns),
            self.device_share(),
            Cell::or_none(row.device_total_ns, Cell::Ns),
            row.device_total_ns.map_or(Cell::NotRecorded, |ns| average_ns(ns, row.count)),
            Cell::Count(row.count),
            Cell::Text(row.device_type.to_owned()),
            Cell::or_none(row.input_shapes.clone(), Cell::Text),
            Cell::or_none(row.stack.as_ref().map(|stack| stack.join("; ")), Cell::Text),
            Cell::Text(row.name.clone()),
        ]
    }
}

/// The profiler table; shares are of the totals of the row's run. Columns that no row fills (device time of a CPU run, shapes, stacks) are left out.
pub fn key_average_table(
    rows: &[KeyAverageRow],
    runs: &[RunRow],
    shown: impl Fn(&str) -> bool,
) -> Table {
    let none = TotalsRow::default();
    let totals = |run: u32| runs.get(run as usize).map_or(&none, |row| &row.totals);
    let shown = rows.iter().filter(|row| shown(&row.name));
    let shared: Vec<Shared<'_>> =
        shown.map(|row| Shared { row, totals: totals(row.run) }).collect();
    let table = Table::of("key_averages", "Profiler table", &shared);
    let mut table = with_runs(table, n_runs(rows.iter().map(|row| row.run)));
    let has_device = rows.iter().any(KeyAverageRow::has_device_time);
    let has_shapes = rows.iter().any(|row| row.input_shapes.is_some());
    let has_stack = rows.iter().any(|row| row.stack.is_some());
    let is_empty = |key: &str| match key {
        "input_shapes" => !has_shapes,
        "stack" => !has_stack,
        "device_type" => !has_device,
        _ => !has_device && key.contains("device"),
    };
    let kept: Vec<bool> = table.columns.iter().map(|column| !is_empty(column.key)).collect();
    table.keep_columns_where(&kept);
    table
}

#[cfg(test)]
mod tests {
    use super::{KeyAverageRow, TotalsRow, key_average_table, merge_key_averages};
    use crate::table::Cell;
    use crate::table::runs::RunRow;

    fn rows() -> Vec<KeyAverageRow> {
        let cpu = KeyAverageRow {
            name: "aten::mm".into(),
            device_type: "cpu",
            count: 3,
            self_cpu_ns: 10,
            cpu_total_ns: 10,
            self_device_ns: Some(100),
            device_total_ns: Some(100),
            ..KeyAverageRow::default()
        };
        let span = KeyAverageRow {
            name: "execute".into(),
            device_type: "device",
            is_annotation: true,
            count: 1,
            self_device_ns: Some(3083),
            device_total_ns: Some(3083),
            ..KeyAverageRow::default()
        };
        vec![cpu, span]
    }

    #[test]
    fn an_annotation_has_no_share_of_the_kernels() {
        let totals = TotalsRow { self_cpu_ns: 10, self_device_ns: 100, ..TotalsRow::default() };
        let runs = [RunRow { totals, ..RunRow::default() }];
        let table = key_average_table(&rows(), &runs, |_| true);
        let share = table.columns.iter().position(|c| c.key == "self_device_pct").unwrap();
        assert_eq!(table.rows[0][share], Cell::Percent(100.0));
        assert_eq!(table.rows[1][share], Cell::NotRecorded);
    }

    #[test]
    fn the_rows_of_two_ranks_are_summed() {
        assert_eq!(merge_key_averages([rows()]), rows());
        let both = merge_key_averages([rows(), rows()]);
        assert_eq!(both.len(), 2);
        assert_eq!((both[0].count, both[0].self_device_ns), (6, Some(200)));
        assert_eq!(both[1].device_total_ns, Some(6166));
    }

    #[test]
    fn a_cpu_run_has_no_device_columns() {
        let mut rows = rows();
        rows.truncate(1);
        rows[0].self_device_ns = Some(0);
        rows[0].device_total_ns = Some(0);
        let table = key_average_table(&rows, &[], |_| true);
        assert!(table.columns.iter().all(|c| !c.key.contains("device")));
        assert!(table.rows.iter().all(|row| row.len() == table.columns.len()));
    }
}
