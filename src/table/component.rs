//! What slow operators are made of.

use serde::Serialize;

use super::runs::{RUN_COLUMN, n_runs, with_runs};
use super::{Cell, Column, Table, TableRow, Unit};
use crate::analyze::components::Component;
use crate::analyze::timeline::Class;

/// The time of one operator name on the work threads; the parts sum to the total. `None`: nothing would show the part.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ComponentRow {
    /// Name of the operator.
    pub name: String,
    /// Outermost operators of this name.
    pub count: u64,
    /// Their time.
    pub total_ns: i64,
    /// In runtime and driver calls that do not wait, launches above all.
    pub launch_ns: Option<i64>,
    /// Waiting for the device.
    pub gpu_sync_ns: Option<i64>,
    /// Waiting for another process.
    pub ipc_wait_ns: Option<i64>,
    /// Loading or compiling device code.
    pub module_loading_ns: Option<i64>,
    /// Other waits.
    pub other_wait_ns: Option<i64>,
    /// In Python frames.
    pub python_ns: Option<i64>,
    /// Computing in operators inside it.
    pub child_ops_ns: i64,
    /// Its own, the rest.
    pub own_ns: i64,
    /// The longest one, as recorded.
    pub max_ns: i64,
    /// What was left out of the total.
    pub excluded_ns: i64,
    /// In the profiler itself, which a run without it does not spend.
    pub profiler_ns: Option<i64>,
    /// Number of the run, from 0: sums stay within one.
    pub run: u32,
}

impl ComponentRow {
    /// The row of an operator; parts of a class that nothing records are not zero but unknown.
    pub fn of(one: Component, is_recorded: impl Fn(Class) -> bool) -> Self {
        let part = |class, ns| (ns != 0 || is_recorded(class)).then_some(ns);
        Self {
            name: one.name,
            count: one.count,
            total_ns: one.total_ns,
            launch_ns: part(Class::Runtime, one.launch_ns),
            gpu_sync_ns: part(Class::GpuSync, one.gpu_sync_ns),
            ipc_wait_ns: part(Class::IpcWait, one.ipc_wait_ns),
            module_loading_ns: part(Class::ModuleLoading, one.module_loading_ns),
            other_wait_ns: part(Class::OtherWait, one.other_wait_ns),
            python_ns: part(Class::Python, one.python_ns),
            child_ops_ns: one.child_ops_ns,
            own_ns: one.own_ns,
            max_ns: one.max_ns,
            excluded_ns: one.excluded_ns,
            profiler_ns: part(Class::Profiler, one.profiler_ns),
            run: 0,
        }
    }
}

impl TableRow for ComponentRow {
    const COLUMNS: &'static [Column] = &[
        RUN_COLUMN,
        Column::new("total", "total_ns", Unit::Ns, "time of the operators of this name"),
        Column::new(
            "launch",
            "launch_ns",
            Unit::Ns,
            "in runtime and driver calls that do not wait",
        ),
        Column::new("GPU sync", "gpu_sync_ns", Unit::Ns, "waiting for the device"),
        Column::new("IPC wait", "ipc_wait_ns", Unit::Ns, "waiting for another process"),
        Column::new("loading", "module_loading_ns", Unit::Ns, "loading device code, once"),
        Column::new("profiler", "profiler_ns", Unit::Ns, "in the profiler itself"),
        Column::new("other wait", "other_wait_ns", Unit::Ns, "locks, sleep, CPU collectives"),
        Column::new("Python", "python_ns", Unit::Ns, "in Python frames"),
        Column::new("child ops", "child_ops_ns", Unit::Ns, "in operators inside it"),
        Column::new("own", "own_ns", Unit::Ns, "the rest: its own work on the host"),
        Column::new("max", "max_ns", Unit::Ns, "the longest one, as recorded"),
        Column::new("excluded", "excluded_ns", Unit::Ns, "what was left out of the total"),
        Column::new("count", "count", Unit::Count, "outermost operators of this name"),
        Column::new("name", "name", Unit::Text, "name of the operator"),
    ];

    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::Count(u64::from(self.run)),
            Cell::Ns(self.total_ns),
            Cell::or_none(self.launch_ns, Cell::Ns),
            Cell::or_none(self.gpu_sync_ns, Cell::Ns),
            Cell::or_none(self.ipc_wait_ns, Cell::Ns),
            Cell::or_none(self.module_loading_ns, Cell::Ns),
            Cell::or_none(self.profiler_ns, Cell::Ns),
            Cell::or_none(self.other_wait_ns, Cell::Ns),
            Cell::or_none(self.python_ns, Cell::Ns),
            Cell::Ns(self.child_ops_ns),
            Cell::Ns(self.own_ns),
            Cell::Ns(self.max_ns),
            Cell::Ns(self.excluded_ns),
            Cell::Count(self.count),
            Cell::Text(self.name.clone()),
        ]
    }
}

/// The components of the operators that are shown. Parts that no operator has are left out and named under the table.
pub fn component_table(rows: &[ComponentRow], shown: impl Fn(&str) -> bool) -> Table {
    let mut table = Table::of(
        "components",
        "Operators by what is inside them",
        rows.iter().filter(|row| shown(&row.name)),
    );
    table = with_runs(table, n_runs(rows.iter().map(|row| row.run)));
    if table.rows.is_empty() {
        return table;
    }
    let all = |c: usize, cell: &Cell| table.rows.iter().all(|row| row[c] == *cell);
    let kept: Vec<bool> = (0..table.columns.len())
        .map(|c| !all(c, &Cell::Ns(0)) && !all(c, &Cell::NotRecorded))
        .collect();
    let names = |cell: Cell| {
        let columns = table.columns.iter().enumerate().filter(|&(c, _)| all(c, &cell));
        let names = columns.map(|(_, column)| column.name).filter(|&name| name != "excluded");
        names.collect::<Vec<&str>>().join(", ")
    };
    let notes = [("no time in", names(Cell::Ns(0))), ("not recorded", names(Cell::NotRecorded))];
    table.keep_columns_where(&kept);
    let notes = notes.into_iter().filter(|(_, names)| !names.is_empty());
    notes.fold(table, |table, (what, names)| table.with_note(format!("{what}: {names}")))
}
