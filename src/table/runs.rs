//! Runs: which inputs belong together, and the totals of each. Sums over inputs stay within one.

use serde::Serialize;

use super::{Table, TotalsRow};

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

/// A table whose first column is the run, without it where there is only one.
pub(super) fn with_runs(mut table: Table, n_runs: usize) -> Table {
    if n_runs > 1 {
        table.n_group_columns += 1;
        return table;
    }
    table.keeping(|column| column.key != "run")
}
