//! Runs: which inputs belong together, and the totals of each. Sums over inputs stay within one.

use serde::Serialize;

use super::{Column, Table, TotalsRow, Unit};

/// One run, as the machine output gives it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RunRow {
    /// Number, from 0, in the order of its first input.
    pub run: u32,
    /// Numbers of its inputs.
    pub inputs: Vec<usize>,
    /// Of these, those that are no rank: they are in no sum.
    pub not_summed: Vec<usize>,
    /// Totals of its profiler rows.
    pub totals: TotalsRow,
}

/// The run of a row.
pub(super) const RUN_COLUMN: Column =
    Column::new("run", "run", Unit::Count, "number of the run: sums stay within one");

/// How many runs rows are of.
pub(super) fn n_runs(runs: impl Iterator<Item = u32>) -> usize {
    runs.max().map_or(0, |last| last as usize + 1)
}

/// A table whose first column is the run, without it where there is only one.
pub(super) fn with_runs(mut table: Table, n_runs: usize) -> Table {
    if n_runs > 1 {
        table.n_group_columns += 1;
        return table;
    }
    let kept: Vec<bool> = table.columns.iter().map(|column| column.key != RUN_COLUMN.key).collect();
    table.keep_columns_where(&kept);
    table
}
