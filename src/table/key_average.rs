//! The profiler table: what `key_averages()` of the run gives, and its totals.

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use serde::Serialize;

use super::{Column, Table, percent};
use crate::analyze::key_averages::{DeviceType, KeyAverageRow, KeyMemory};
use crate::schema::{Kind, Value, Values, carried};

impl KeyAverageRow {
    /// Whether the row was nothing but time that is left out.
    pub fn is_gone(&self) -> bool {
        self.excluded_cpu_ns.is_some()
            && [self.self_cpu_ns, self.cpu_total_ns] == [0; 2]
            && !self.has_device_time()
            && self.memory.is_none_or(|memory| memory == KeyMemory::default())
    }

    /// Whether device time is known and there.
    pub fn has_device_time(&self) -> bool {
        [self.self_device_ns, self.device_total_ns].into_iter().flatten().any(|ns| ns != 0)
    }
}

/// The rows of several inputs as one table: rows of the same name and grouping are summed, in order of first sight.
pub fn merge_key_averages(parts: Vec<Vec<KeyAverageRow>>) -> Vec<KeyAverageRow> {
    let (n_rows, numbers) = same_rows(&parts);
    let mut all: Vec<KeyAverageRow> = Vec::with_capacity(n_rows);
    for (part, numbers) in parts.into_iter().zip(numbers) {
        for (row, number) in part.into_iter().zip(numbers) {
            match all.get_mut(number) {
                Some(sum) => add(sum, &row),
                None => all.push(row),
            }
        }
    }
    all
}

/// What rows of several inputs have in common: name, where they ran, shapes and frames; of rows of one input with the same, which
/// it is.
type Key<'a> = ((&'a str, DeviceType, bool), (Option<&'a str>, Option<&'a [String]>), usize);

/// How many rows there are over all inputs, and which of them each row is of, as they are met.
fn same_rows(parts: &[Vec<KeyAverageRow>]) -> (usize, Vec<Vec<usize>>) {
    let mut known: HashMap<Key<'_>, usize, FixedState> = HashMap::default();
    let mut numbers = Vec::with_capacity(parts.len());
    for part in parts {
        // Rows of one input are different whatever their key: torch tells some apart by more than it prints.
        let mut used: HashMap<Key<'_>, usize, FixedState> = HashMap::default();
        let number = |row| {
            let key = key(row);
            let nth = used.entry(key).or_default();
            *nth += 1;
            let next = known.len();
            *known.entry((key.0, key.1, *nth)).or_insert(next)
        };
        numbers.push(part.iter().map(number).collect());
    }
    (known.len(), numbers)
}

fn key(row: &KeyAverageRow) -> Key<'_> {
    let name = (row.name.as_str(), row.device_type, row.is_annotation);
    (name, (row.input_shapes.as_deref(), row.stack.as_deref()), 0)
}

fn add(sum: &mut KeyAverageRow, row: &KeyAverageRow) {
    sum.count += row.count;
    let added = |a: Option<i64>, b: Option<i64>| a.zip(b).map(|(a, b)| a.saturating_add(b));
    sum.self_cpu_ns = sum.self_cpu_ns.saturating_add(row.self_cpu_ns);
    sum.cpu_total_ns = sum.cpu_total_ns.saturating_add(row.cpu_total_ns);
    sum.self_device_ns = added(sum.self_device_ns, row.self_device_ns);
    sum.device_total_ns = added(sum.device_total_ns, row.device_total_ns);
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

carried!(TotalsRow {
    self_cpu_ns: i64,
    self_device_ns: i64,
    ipc_wait_ns: Option<i64>,
    excluded_ipc_wait_ns: i64,
    excluded_ns: i64,
    excluded_self_cpu_ns: i64,
    excluded_rows: Option<u64>,
});

impl KeyAverageRow {
    /// Its shares of the totals of its run, and its averages.
    pub fn set_shares(&mut self, totals: &TotalsRow) {
        let is_span = self.is_annotation && self.device_type == DeviceType::Device;
        self.self_cpu_pct = percent(self.self_cpu_ns, totals.self_cpu_ns);
        self.cpu_avg_ns = average_ns(self.cpu_total_ns, self.count);
        // An annotation's span is no device activity and has no share.
        let share = self.self_device_ns.and_then(|ns| percent(ns, totals.self_device_ns));
        self.self_device_pct = share.filter(|_| !is_span);
        self.device_avg_ns = self.device_total_ns.and_then(|ns| average_ns(ns, self.count));
        let bytes = |of: fn(&KeyMemory) -> i64| self.memory.as_ref().map(of);
        (self.cpu_bytes, self.self_cpu_bytes) =
            (bytes(|memory| memory.cpu_bytes), bytes(|memory| memory.self_cpu_bytes));
        (self.device_bytes, self.self_device_bytes) =
            (bytes(|memory| memory.device_bytes), bytes(|memory| memory.self_device_bytes));
    }
}

/// Total over count, rounded down to a nanosecond.
fn average_ns(total_ns: i64, count: u64) -> Option<i64> {
    i64::try_from(count).ok().filter(|&n| n > 0).map(|n| total_ns / n)
}

impl Value for TotalsRow {
    const KIND: Kind = Kind::Rows;

    fn put(&self, _to: &mut Values) {}
}

/// The table for people: a CPU run has no columns about the device, and shapes and stacks are there where rows are grouped
/// by them.
pub(super) fn key_average_view(table: Table, rows: &[KeyAverageRow]) -> Table {
    let has_device = rows.iter().any(KeyAverageRow::has_device_time);
    let has_shapes = rows.iter().any(|row| row.input_shapes.is_some());
    let has_stacks = rows.iter().any(|row| row.stack.is_some());
    let is_kept = |column: &Column| match column.key {
        "input_shapes" => has_shapes,
        "stack" => has_stacks,
        key => has_device || !key.contains("device"),
    };
    table.keeping(is_kept)
}

#[cfg(test)]
mod tests {
    use super::{DeviceType, KeyAverageRow, TotalsRow, key_average_view, merge_key_averages};
    use crate::table::Table;

    fn rows() -> Vec<KeyAverageRow> {
        let cpu = KeyAverageRow {
            name: "aten::mm".into(),
            device_type: DeviceType::Cpu,
            count: 3,
            self_cpu_ns: 10,
            cpu_total_ns: 10,
            self_device_ns: Some(100),
            device_total_ns: Some(100),
            ..KeyAverageRow::default()
        };
        let span = KeyAverageRow {
            name: "execute".into(),
            device_type: DeviceType::Device,
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
        let mut rows = rows();
        rows.iter_mut().for_each(|row| row.set_shares(&totals));
        assert_eq!(rows[0].self_device_pct, Some(100.0));
        assert_eq!(rows[1].self_device_pct, None);
    }

    #[test]
    fn the_rows_of_two_ranks_are_summed() {
        assert_eq!(merge_key_averages(vec![rows()]), rows());
        let both = merge_key_averages(vec![rows(), rows()]);
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
        let table = key_average_view(Table::of(&rows), &rows);
        assert!(table.columns.iter().all(|c| !c.key.contains("device")));
        assert!(table.rows.iter().all(|row| row.len() == table.columns.len()));
    }
}
