//! What slow operators are made of.

use super::{Cell, Table};
use crate::analyze::components::Component;
use crate::analyze::timeline::Class;
use crate::schema::{Source, tables};

tables! {
    /// The time of one operator name on the work threads; the parts sum to the total. `None`: nothing would show the part.
    #[derive(Default)]
    ComponentRow: "components", "Operators by what is inside them", "What is inside slow operators?", groups 0, shown Folded {
        name: String, Text, All / Subject, "name", "name of the operator";
        count: u64, Count, All / End, "count", "outermost operators of this name";
        total_ns: i64, Ns, All, "total", "time of the operators of this name";
        launch_ns: Option<i64>, Ns, All, "launch", "in runtime and driver calls that do not wait";
        gpu_sync_ns: Option<i64>, Ns, All, "GPU sync", "waiting for the device";
        ipc_wait_ns: Option<i64>, Ns, All, "IPC wait", "waiting for another process";
        module_loading_ns: Option<i64>, Ns, All, "loading", "loading device code, once";
        other_wait_ns: Option<i64>, Ns, All, "other wait", "locks, sleep, CPU collectives";
        python_ns: Option<i64>, Ns, All, "Python", "in Python frames";
        child_ops_ns: i64, Ns, All, "child ops", "in operators inside it";
        own_ns: i64, Ns, All, "own", "the rest: its own work on the host";
        max_ns: i64, Ns, All, "max", "the longest one, as recorded";
        excluded_ns: i64, Ns, All, "excluded", "what was left out of the total";
        profiler_ns: Option<i64>, Ns, All, "profiler", "in the profiler itself";
        run: u32, Count, All / First, "run", "number of the run: sums stay within one";
    }
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

/// The components of the operators that are shown.
pub(super) fn components<'a>(rows: &'a [ComponentRow], shown: impl Fn(&str) -> bool) -> Source<'a> {
    Source::some(rows.iter().filter(|row| shown(&row.name)).collect())
}

/// The same for people: parts that no operator has are left out and named under the table.
pub(super) fn component_view(mut table: Table) -> Table {
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
