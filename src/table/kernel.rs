//! Device activity by name: kernels, copies and memsets.

use std::collections::BTreeMap;

use serde::Serialize;

use super::runs::{RUN_COLUMN, with_runs};
use super::{Cell, Column, Table, TableRow, Unit, percent};
use crate::analyze::kernels::ActivityStats;

/// All device activity of one name, as the machine output gives it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KernelRow {
    /// Name.
    pub name: String,
    /// `kernel`, `gpu_memcpy` or `gpu_memset`.
    pub category: &'static str,
    /// How often.
    pub count: u64,
    /// Sum of the durations.
    pub sum_ns: i64,
    /// The shortest.
    pub min_ns: i64,
    /// The median, nearest rank.
    pub median_ns: i64,
    /// The 99th percentile, nearest rank.
    pub p99_ns: i64,
    /// The longest.
    pub max_ns: i64,
    /// Number of the run, from 0: sums stay within one.
    pub run: u32,
}

impl From<ActivityStats> for KernelRow {
    fn from(stats: ActivityStats) -> Self {
        Self {
            name: stats.name,
            category: stats.kind.category(),
            count: stats.count,
            sum_ns: stats.sum_ns,
            min_ns: stats.min_ns,
            median_ns: stats.median_ns,
            p99_ns: stats.p99_ns,
            max_ns: stats.max_ns,
            run: 0,
        }
    }
}

/// A kernel row beside the whole that its share is of.
struct Shared<'a> {
    row: &'a KernelRow,
    whole_ns: i64,
}

impl TableRow for Shared<'_> {
    const COLUMNS: &'static [Column] = &[
        RUN_COLUMN,
        Column::new("count", "count", Unit::Count, "how often"),
        Column::new("sum", "sum_ns", Unit::Ns, "sum of the durations"),
        Column::new("share", "share_pct", Unit::Percent, "sum, of the sums of this table and run"),
        Column::new("min", "min_ns", Unit::Ns, "the shortest"),
        Column::new("median", "median_ns", Unit::Ns, "the median, nearest rank"),
        Column::new("p99", "p99_ns", Unit::Ns, "the 99th percentile, nearest rank"),
        Column::new("max", "max_ns", Unit::Ns, "the longest"),
        Column::new("name", "name", Unit::Text, "name"),
    ];

    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::Count(u64::from(self.row.run)),
            Cell::Count(self.row.count),
            Cell::Ns(self.row.sum_ns),
            Cell::or_none(percent(self.row.sum_ns, self.whole_ns), Cell::Percent),
            Cell::Ns(self.row.min_ns),
            Cell::Ns(self.row.median_ns),
            Cell::Ns(self.row.p99_ns),
            Cell::Ns(self.row.max_ns),
            Cell::Text(self.row.name.clone()),
        ]
    }
}

/// The table of the kernels; shares are of the sum of all kernels of `rows`.
pub fn kernel_table(rows: &[KernelRow], shown: impl Fn(&str) -> bool) -> Table {
    shared_table("kernels", "Kernels", rows, |row| row.category == "kernel", shown)
}

/// The table of the copies and memsets; shares are of the sum of all of them.
pub fn transfer_table(rows: &[KernelRow], shown: impl Fn(&str) -> bool) -> Table {
    shared_table("copies", "Copies and memsets", rows, |row| row.category != "kernel", shown)
}

fn shared_table(
    key: &'static str,
    title: &str,
    rows: &[KernelRow],
    in_whole: impl Fn(&KernelRow) -> bool,
    shown: impl Fn(&str) -> bool,
) -> Table {
    let part: Vec<&KernelRow> = rows.iter().filter(|row| in_whole(row)).collect();
    let mut whole_ns: BTreeMap<u32, i64> = BTreeMap::new();
    part.iter().for_each(|row| *whole_ns.entry(row.run).or_default() += row.sum_ns);
    let shared: Vec<Shared<'_>> = part
        .into_iter()
        .filter(|row| shown(&row.name))
        .map(|row| Shared { row, whole_ns: whole_ns[&row.run] })
        .collect();
    with_runs(Table::of(key, title, &shared), whole_ns.len())
}
