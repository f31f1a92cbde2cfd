//! Execution, waiting and total of each input, and what was left out of it.

use super::{Cell, Column, IdCell, Table, TableRow, Unit, percent};
use crate::analyze::exclude::Exclusion;
use crate::analyze::host::ThreadKind;
use crate::analyze::threads::{Breakdown, ThreadTime, Threads};
use crate::analyze::timeline::Class;
use crate::schema::tables;

tables! {
    /// Execution and waiting of the lead work thread of one input, or of all its work threads.
    BreakdownRow: "breakdown", "Breakdown", "How much of each input is execution, how much waiting?", groups 0, carried whole {
        input: usize, Count, Machines, "input", "number of the input";
        scope: &'static str, Text, Machines, "scope", "lead: the work thread of which the trace explains the most time; all: the sum over all work threads";
        n_threads: u64, Count, Machines, "threads", "work threads summed";
        tid: Option<IdCell>, Text, Machines, "tid", "thread id of the lead";
        execution_ns: i64, Ns, Machines, "execution", "time in operators, calls, loading, Python and the profiler";
        execution_pct: Option<f64>, Percent, Machines, "execution %", "percent of the total";
        waiting_ns: Option<i64>, Ns, Machines, "waiting", "time in IPC waits, GPU synchronization and other waits";
        waiting_pct: Option<f64>, Percent, Machines, "waiting %", "percent of the total";
        unattributed_ns: i64, Ns, Machines, "unattributed", "time that no event explains";
        unattributed_pct: Option<f64>, Percent, Machines, "unattributed %", "percent of the total";
        total_ns: i64, Ns, Machines, "total", "execution, waiting and unattributed";
        excluded_ns: i64, Ns, Machines, "excluded", "what was left out of these threads, in none of the above";
        unrecorded_waits: Vec<String>, Text, Machines, "unrecorded waits", "kinds of wait that the trace does not record: such time is in one of the others, above all in unattributed_ns";
    }
}

impl BreakdownRow {
    /// Whether the trace does not record waits of a class.
    pub fn lacks(&self, class: Class) -> bool {
        self.unrecorded_waits.iter().any(|wait| wait == class.as_str())
    }

    /// The rows of an input: its lead, and all work threads where there is more than one.
    pub fn of(input: usize, threads: &Threads) -> Vec<Self> {
        let Some(lead) = threads.lead.map(|lead| &threads.threads[lead]) else {
            return Vec::new();
        };
        let mut rows = vec![Self::new(input, Some(lead), &threads.breakdown, &[lead])];
        if threads.breakdown_all.n_threads > 1 {
            let works = threads.threads.iter().filter(|thread| thread.kind == ThreadKind::Work);
            let works: Vec<&ThreadTime> = works.collect();
            rows.push(Self::new(input, None, &threads.breakdown_all, &works));
        }
        rows
    }

    fn new(
        input: usize,
        lead: Option<&ThreadTime>,
        sum: &Breakdown,
        threads: &[&ThreadTime],
    ) -> Self {
        let share = |ns| percent(ns, sum.total_ns);
        let classes = || threads.iter().flat_map(|thread| &thread.classes);
        let recorded = |class: Class| classes().any(|&(known, ns)| known == class && ns.is_some());
        let waits = Class::ALL.into_iter().filter(|class| class.is_wait());
        let shown = waits.filter(|&class| classes().any(|&(known, _)| known == class));
        let (seen, unseen): (Vec<Class>, Vec<Class>) = shown.partition(|&class| recorded(class));
        let waiting_ns = (!seen.is_empty() || unseen.is_empty()).then_some(sum.waiting_ns);
        Self {
            input,
            scope: if lead.is_some() { "lead" } else { "all" },
            n_threads: sum.n_threads,
            tid: lead.map(|lead| IdCell::of(&lead.tid)),
            execution_ns: sum.execution_ns,
            execution_pct: share(sum.execution_ns),
            waiting_ns,
            waiting_pct: waiting_ns.and_then(share),
            unattributed_ns: sum.unattributed_ns,
            unattributed_pct: share(sum.unattributed_ns),
            total_ns: sum.total_ns,
            excluded_ns: sum.excluded_ns,
            unrecorded_waits: unseen.into_iter().map(|class| class.as_str().to_owned()).collect(),
        }
    }
}

/// One part of the breakdown: a row of the table.
struct PartRow<'a> {
    row: &'a BreakdownRow,
    part: &'static str,
    ns: Option<i64>,
    pct: Option<f64>,
}

impl TableRow for PartRow<'_> {
    const N_GROUP_COLUMNS: usize = 2;
    const COLUMNS: &'static [Column] = &[
        Column::new("#", "input", Unit::Count, "number of the input"),
        Column::new("of", "scope", Unit::Text, "the lead work thread, or all work threads"),
        Column::new("metric", "part", Unit::Text, "execution, waiting, unattributed, total"),
        Column::new("time", "ns", Unit::Ns, "its time"),
        Column::new("share", "pct", Unit::Percent, "of the total"),
    ];

    fn cells(&self) -> Vec<Cell> {
        let of = match &self.row.tid {
            Some(tid) => format!("lead thread {tid}"),
            None => format!("all {} work threads", self.row.n_threads),
        };
        vec![
            Cell::Count(self.row.input as u64),
            Cell::Text(of),
            Cell::Text(self.part.to_owned()),
            Cell::or_none(self.ns, Cell::Ns),
            Cell::or_none(self.pct, Cell::Percent),
        ]
    }
}

/// The parts of a breakdown that hold time, the total, and what was left out.
fn parts(row: &BreakdownRow) -> Vec<PartRow<'_>> {
    let part = |part, ns, pct| PartRow { row, part, ns, pct };
    let mut parts = vec![
        part("execution", Some(row.execution_ns), row.execution_pct),
        part("waiting", row.waiting_ns, row.waiting_pct),
    ];
    if row.unattributed_ns != 0 {
        parts.push(part("unattributed", Some(row.unattributed_ns), row.unattributed_pct));
    }
    parts.push(part("total", Some(row.total_ns), percent(row.total_ns, row.total_ns)));
    if row.excluded_ns != 0 {
        parts.push(part("excluded", Some(row.excluded_ns), None));
    }
    parts
}

/// The breakdown as people write it into a pull request.
pub(super) fn breakdown_table(rows: &[BreakdownRow]) -> Table {
    let parts: Vec<PartRow<'_>> = rows.iter().flat_map(parts).collect();
    let mut table = Table::of("breakdown", "Breakdown", &parts);
    let leads = rows.iter().filter(|row| row.scope == "lead");
    let blind = leads.filter(|row| row.lacks(Class::IpcWait));
    let blind: Vec<String> = blind.map(|row| format!("#{}", row.input)).collect();
    if !blind.is_empty() {
        let note = format!(
            "without Python frames in {} waits for other processes and locks are not recorded: they are in unattributed",
            blind.join(", ")
        );
        table = table.with_note(note);
    }
    table
}

tables! {
    /// What was left out of one work thread, as the machine output gives it.
    ExcludedRow: "excluded", "Left out of the work threads", "What did --exclude leave out, and where?", groups 3, carried whole {
        input: usize, Count, All, "#", "number of the input";
        pid: IdCell, Text, All, "pid", "process";
        tid: IdCell, Text, All, "tid", "thread";
        class: &'static str, Text, All / End, "class", "class of time that was left out";
        excluded_ns: i64, Ns, All, "excluded", "what was left out";
        excluded_pct: Option<f64>, Percent, All, "share", "of the whole window";
        whole_window_ns: i64, Ns, All / Lead, "whole window", "window with everything";
        kept_window_ns: i64, Ns, All / Lead, "kept", "window less what was left out";
    }
}

impl ExcludedRow {
    /// The rows of an input, one for each work thread and class.
    pub fn of(input: usize, threads: &Threads, exclusion: &Exclusion) -> Vec<Self> {
        let mut rows = Vec::new();
        for part in &exclusion.threads {
            let found = threads.threads.iter().find(|thread| thread.track == part.track);
            let (pid, tid) = found.map_or(("", ""), |thread| (&thread.pid, &thread.tid));
            rows.extend(part.by_class.iter().map(|&(class, ns)| Self {
                input,
                pid: IdCell::of(pid),
                tid: IdCell::of(tid),
                class: class.as_str(),
                excluded_ns: ns,
                excluded_pct: percent(ns, part.window_ns),
                whole_window_ns: part.window_ns,
                kept_window_ns: part.kept_ns,
            }));
        }
        rows
    }
}
