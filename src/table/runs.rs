//! Runs: which inputs belong together, and the totals of each. Sums over inputs stay within one.

use super::{Table, TotalsRow};
use crate::schema::tables;

tables! {
    /// One run.
    #[derive(Default)]
    RunRow: "runs", "Runs", "Which inputs are of one run, and what are its totals?", groups 0, shown Request {
        run: u32, Count, All, "run", "number, from 0, in the order of its first input";
        inputs: Vec<usize>, Text, All, "inputs", "numbers of its inputs";
        not_summed: Vec<usize>, Text, All, "not summed", "of these, those that are no rank: they are in no sum";
        totals: TotalsRow, Count, Machines, "totals", "totals of its profiler rows";
        self_cpu_ns: i64, Ns, All, "self CPU", "sum of self CPU over its profiler rows";
        self_device_ns: i64, Ns, All, "self device", "sum of self device time over its rows of device events that are no annotations";
        ipc_wait_ns: Option<i64>, Ns, All, "IPC wait", "IPC wait of its work threads that is in the figures; none where no Python frames were recorded";
        excluded_ns: i64, Ns, All, "excluded", "time of every excluded class that was left out of the windows of its work threads";
    }
}

impl RunRow {
    /// The row of a run.
    pub fn of(run: u32, inputs: Vec<usize>, not_summed: Vec<usize>, totals: TotalsRow) -> Self {
        Self {
            run,
            inputs,
            not_summed,
            self_cpu_ns: totals.self_cpu_ns,
            self_device_ns: totals.self_device_ns,
            ipc_wait_ns: totals.ipc_wait_ns,
            excluded_ns: totals.excluded_ns,
            totals,
        }
    }
}

/// A table whose first column is the run, without it where there is only one.
pub(super) fn with_runs(mut table: Table, n_runs: usize) -> Table {
    if n_runs > 1 {
        table.n_group_columns += 1;
        return table;
    }
    table.keeping(|column| column.key != "run")
}
