//! Execution, waiting and total of an input: of the lead work thread, and of all work threads together.

use super::host::ThreadKind;
use super::percent;
use super::threads::ThreadRow;
use super::timeline::{Class, ClassNs};
use crate::schema::{IdCell, tables, words};

words! {
    /// Which work threads are summed.
    Scope {
        /// The one of which the trace explains the most time.
        Lead "lead",
        /// All of them.
        All "all",
    }
}

tables! {
    /// Execution and waiting of the lead work thread of one input, or of all its work threads.
    BreakdownRow: "breakdown", "Breakdown", "How much of each input is execution, how much waiting?", groups 0, on Breakdown 1, carried whole {
        input: usize, Count, Machines, "input", "number of the input";
        scope: Scope, Text, Machines, "scope", "lead: the work thread of which the trace explains the most time; all: the sum over all work threads";
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
        unrecorded_waits: Vec<Class>, Text, Machines, "unrecorded waits", "kinds of wait that the trace does not record: such time is in one of the others, above all in unattributed_ns";
    }
}

impl BreakdownRow {
    /// Whether the trace does not record waits of a class.
    pub fn lacks(&self, class: Class) -> bool {
        self.unrecorded_waits.contains(&class)
    }

    /// The row of some work threads of an input.
    fn of(scope: Scope, threads: &[&ThreadRow]) -> Self {
        let (mut sums, mut total_ns, mut excluded_ns) = (ClassNs::default(), 0, 0);
        for thread in threads {
            total_ns += thread.window_ns;
            excluded_ns += thread.excluded_ns;
            thread.classes.iter().for_each(|row| sums.add(row.class, row.ns.unwrap_or(0)));
        }
        let share = |ns| percent(ns, total_ns);
        let of_class = |class: Class| {
            let classes = threads.iter().flat_map(|thread| &thread.classes);
            classes.filter(move |row| row.class == class)
        };
        let waits = Class::ALL.into_iter().filter(|class| class.is_wait());
        let wait_ns: i64 = waits.clone().map(|class| sums.get(class)).sum();
        let (seen, unseen): (Vec<Class>, Vec<Class>) = waits
            .filter(|&class| of_class(class).next().is_some())
            .partition(|&class| of_class(class).any(|row| row.ns.is_some()));
        let waiting_ns = (!seen.is_empty() || unseen.is_empty()).then_some(wait_ns);
        let unattributed_ns = sums.get(Class::Unattributed);
        let execution_ns = sums.total_ns() - wait_ns - unattributed_ns;
        Self {
            input: threads.first().map_or(0, |thread| thread.input),
            scope,
            n_threads: threads.len() as u64,
            tid: threads.first().filter(|_| scope == Scope::Lead).map(|lead| lead.tid.clone()),
            execution_ns,
            execution_pct: share(execution_ns),
            waiting_ns,
            waiting_pct: waiting_ns.and_then(share),
            unattributed_ns,
            unattributed_pct: share(unattributed_ns),
            total_ns,
            excluded_ns,
            unrecorded_waits: unseen,
        }
    }
}

/// The rows of an input: its lead, and all work threads where there is more than one.
pub(super) fn breakdown(threads: &[ThreadRow], lead: Option<usize>) -> Vec<BreakdownRow> {
    let Some(lead) = lead.map(|lead| &threads[lead]) else { return Vec::new() };
    let works = threads.iter().filter(|thread| thread.kind == ThreadKind::Work);
    let works: Vec<&ThreadRow> = works.collect();
    let mut rows = vec![BreakdownRow::of(Scope::Lead, &[lead])];
    if works.len() > 1 {
        rows.push(BreakdownRow::of(Scope::All, &works));
    }
    rows
}
