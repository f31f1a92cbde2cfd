//! What each host thread did with its window, and what it waited in.

use std::collections::BTreeMap;

use serde::Serialize;
use serde::ser::Serializer;

use super::percent;
use crate::analyze::threads;
use crate::schema::{Carry, Kind, Source, Table, Taken, TextList, Value, Values, carried, tables};

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

impl Value for IdCell {
    const KIND: Kind = Kind::Text;

    fn put(&self, to: &mut Values) {
        self.to_string().put(to);
    }
}

impl Carry for IdCell {
    fn shape(to: &mut String) {
        *to += "text";
    }

    fn give(&self, to: &mut Vec<i64>, texts: &mut TextList) {
        self.to_string().give(to, texts);
    }

    fn take(from: &mut Taken<'_>) -> Option<Self> {
        String::take(from).map(|text| Self::of(&text))
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

tables! {
    /// One class of a thread's time.
    ThreadClassRow: "threads", "Threads", "What did each thread do with its window?", groups 6, inside "threads" "classes", shown Folded, carried whole {
        #[serde(skip)]
        input: usize, Count, All, "#", "number of the input";
        #[serde(skip)]
        pid: IdCell, Text, All, "pid", "process";
        #[serde(skip)]
        tid: IdCell, Text, All, "tid", "thread";
        #[serde(skip)]
        kind: &'static str, Text, All, "kind", "work, background or idle";
        #[serde(skip)]
        name: Option<String>, Text, All, "thread", "name of the thread";
        #[serde(skip)]
        window_ns: i64, Ns, All, "window", "the thread's window";
        #[serde(skip)]
        excluded_ns: i64, Ns, Machines, "excluded", "what was left out of the window";
        class: &'static str, Text, All, "class", "what the thread was doing";
        ns: Option<i64>, Ns, All, "time", "time in the class; none where the trace records nothing that would show it";
        pct: Option<f64>, Percent, All, "share", "time in the class, of the window";
    }
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
    pub classes: Vec<ThreadClassRow>,
    /// What was left out of the window.
    pub excluded_ns: i64,
}

carried!(ThreadRow {
    input: usize,
    pid: IdCell,
    tid: IdCell,
    name: Option<String>,
    kind: &'static str,
    window_ns: i64,
    classes: Vec<ThreadClassRow>,
    excluded_ns: i64,
});

impl ThreadRow {
    /// The row of a thread.
    pub fn of(input: usize, thread: &threads::ThreadTime) -> Self {
        let (pid, tid) = (IdCell::of(&thread.pid), IdCell::of(&thread.tid));
        let class =
            |&(class, ns): &(crate::analyze::timeline::Class, Option<i64>)| ThreadClassRow {
                input,
                pid: pid.clone(),
                tid: tid.clone(),
                kind: thread.kind.as_str(),
                name: thread.name.clone(),
                window_ns: thread.window_ns,
                excluded_ns: thread.excluded_ns,
                class: class.as_str(),
                ns,
                pct: ns.and_then(|ns| percent(ns, thread.window_ns)),
            };
        Self {
            input,
            classes: thread.classes.iter().map(class).collect(),
            pid,
            tid,
            name: thread.name.clone(),
            kind: thread.kind.as_str(),
            window_ns: thread.window_ns,
            excluded_ns: thread.excluded_ns,
        }
    }
}

/// The threads table. What the trace cannot show of a thread is said under it, never as zero.
pub(super) fn threads(rows: &[ThreadRow]) -> Source<'_> {
    let classes = rows.iter().flat_map(|thread| &thread.classes);
    let used = classes.filter(|class| class.ns.is_some_and(|ns| ns != 0)).collect();
    Source::some(used).with(|table| with_unrecorded(table, rows))
}

fn with_unrecorded(mut table: Table, threads: &[ThreadRow]) -> Table {
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
