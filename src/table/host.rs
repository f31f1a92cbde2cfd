//! What each host thread did with its window, and what it waited in.

use std::collections::BTreeMap;

use serde::Serialize;
use serde::ser::Serializer;

use super::{Cell, Column, Table, TableRow, Unit, percent};
use crate::analyze::threads;

/// A pid or tid: traces write numbers or words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdCell {
    /// A number.
    Number(i64),
    /// Words.
    Text(String),
}

impl IdCell {
    /// The id of a text.
    pub(super) fn of(text: &str) -> Self {
        text.parse().map_or_else(|_| Self::Text(text.to_owned()), Self::Number)
    }
}

impl Serialize for IdCell {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Number(value) => serializer.serialize_i64(*value),
            Self::Text(text) => serializer.serialize_str(text),
        }
    }
}

impl std::fmt::Display for IdCell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Number(value) => write!(f, "{value}"),
            Self::Text(text) => write!(f, "{text}"),
        }
    }
}

/// One class of a thread's time.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClassRow {
    /// Name of the class.
    pub class: &'static str,
    /// Nanoseconds; `None` where the trace does not record what would show the class.
    pub ns: Option<i64>,
    /// Percent of the thread's window.
    pub pct: Option<f64>,
}

/// One host thread of one input, as the machine output gives it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ThreadRow {
    /// Number of the input.
    pub input: usize,
    /// Process.
    pub pid: IdCell,
    /// Thread.
    pub tid: IdCell,
    /// `thread_name`.
    pub name: Option<String>,
    /// `work`, `background` or `idle`.
    pub kind: &'static str,
    /// The thread's window, less what was left out of it.
    pub window_ns: i64,
    /// Classes; they sum to the window. Those that were left out are not among them.
    pub classes: Vec<ClassRow>,
    /// What was left out of the window.
    pub excluded_ns: i64,
}

impl ThreadRow {
    /// The row of a thread.
    pub fn of(input: usize, thread: &threads::ThreadTime) -> Self {
        let class = |&(class, ns): &(crate::analyze::timeline::Class, Option<i64>)| ClassRow {
            class: class.as_str(),
            ns,
            pct: ns.and_then(|ns| percent(ns, thread.window_ns)),
        };
        Self {
            input,
            pid: IdCell::of(&thread.pid),
            tid: IdCell::of(&thread.tid),
            name: thread.name.clone(),
            kind: thread.kind.as_str(),
            window_ns: thread.window_ns,
            classes: thread.classes.iter().map(class).collect(),
            excluded_ns: thread.excluded_ns,
        }
    }

    /// One row per class that holds time, for tables.
    pub fn class_rows(&self) -> Vec<ThreadClassRow<'_>> {
        let used = self.classes.iter().filter(|class| class.ns.is_some_and(|ns| ns != 0));
        used.map(|class| ThreadClassRow { thread: self, class }).collect()
    }
}

/// One class of one thread: a row of the threads table.
#[derive(Clone, Copy, Debug)]
pub struct ThreadClassRow<'a> {
    /// The thread.
    pub thread: &'a ThreadRow,
    /// The class.
    pub class: &'a ClassRow,
}

impl TableRow for ThreadClassRow<'_> {
    const N_GROUP_COLUMNS: usize = 6;
    const COLUMNS: &'static [Column] = &[
        Column::new("#", "input", Unit::Count, "number of the input"),
        Column::new("pid", "pid", Unit::Text, "process"),
        Column::new("tid", "tid", Unit::Text, "thread"),
        Column::new("kind", "kind", Unit::Text, "work, background or idle"),
        Column::new("thread", "name", Unit::Text, "name of the thread"),
        Column::new("window", "window_ns", Unit::Ns, "the thread's window"),
        Column::new("class", "class", Unit::Text, "what the thread was doing"),
        Column::new("time", "ns", Unit::Ns, "time in the class"),
        Column::new("share", "pct", Unit::Percent, "time in the class, of the window"),
    ];

    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::Count(self.thread.input as u64),
            Cell::Text(self.thread.pid.to_string()),
            Cell::Text(self.thread.tid.to_string()),
            Cell::Text(self.thread.kind.to_owned()),
            Cell::or_none(self.thread.name.clone(), Cell::Text),
            Cell::Ns(self.thread.window_ns),
            Cell::Text(self.class.class.to_owned()),
            Cell::or_none(self.class.ns, Cell::Ns),
            Cell::or_none(self.class.pct, Cell::Percent),
        ]
    }
}

/// The threads table. What the trace cannot show of a thread is said under it, never as zero.
pub fn thread_table(threads: &[ThreadRow]) -> Table {
    let rows: Vec<ThreadClassRow<'_>> = threads.iter().flat_map(ThreadRow::class_rows).collect();
    let mut table = Table::of("threads", "Threads", &rows);
    let work = threads.iter().filter(|thread| thread.kind == "work");
    let mut unknown: BTreeMap<Vec<&str>, Vec<String>> = BTreeMap::new();
    for thread in work {
        let missing = thread.classes.iter().filter(|class| class.ns.is_none());
        let classes: Vec<&str> = missing.map(|class| class.class).collect();
        if !classes.is_empty() {
            let whose = format!("#{} tid {}", thread.input, thread.tid);
            unknown.entry(classes).or_default().push(whose);
        }
    }
    for (classes, whose) in unknown {
        let note = format!("not recorded for {}: {}", whose.join(", "), classes.join(", "));
        table = table.with_note(note);
    }
    table
}

/// One name that threads waited in, as the machine output gives it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WaitRow {
    /// Number of the input.
    pub input: usize,
    /// Class of the wait.
    pub class: &'static str,
    /// Name of the outermost frame of the wait.
    pub name: String,
    /// How often.
    pub count: u64,
    /// Sum of the waits; of waits that are no IPC waits, only what is counted as waiting.
    pub sum_ns: i64,
    /// The longest.
    pub max_ns: i64,
    /// What is counted as waiting: the sum less the deserialization inside. The rows of a class sum to its time.
    pub net_ns: i64,
    /// Label of the rule that matched.
    pub label: String,
}

impl WaitRow {
    /// The row of a wait.
    pub fn of(input: usize, wait: &threads::WaitRow) -> Self {
        Self {
            input,
            class: wait.class.as_str(),
            name: wait.name.clone(),
            count: wait.count,
            sum_ns: wait.sum_ns,
            max_ns: wait.max_ns,
            net_ns: wait.net_ns,
            label: wait.label.clone(),
        }
    }
}

impl TableRow for WaitRow {
    const COLUMNS: &'static [Column] = &[
        Column::new("#", "input", Unit::Count, "number of the input"),
        Column::new("class", "class", Unit::Text, "class of the wait"),
        Column::new("rule", "label", Unit::Text, "label of the rule that matched"),
        Column::new("count", "count", Unit::Count, "how often"),
        Column::new("sum", "sum_ns", Unit::Ns, "sum of the waits"),
        Column::new("net", "net_ns", Unit::Ns, "sum less the deserialization inside"),
        Column::new("max", "max_ns", Unit::Ns, "the longest wait"),
        Column::new("name", "name", Unit::Text, "outermost frame of the wait"),
    ];

    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::Count(self.input as u64),
            Cell::Text(self.class.to_owned()),
            Cell::Text(self.label.clone()),
            Cell::Count(self.count),
            Cell::Ns(self.sum_ns),
            Cell::Ns(self.net_ns),
            Cell::Ns(self.max_ns),
            Cell::Text(self.name.clone()),
        ]
    }
}
