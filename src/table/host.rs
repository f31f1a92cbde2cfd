//! What each host thread did with its window, and what it waited in.

use serde::Serialize;
use serde::ser::Serializer;

use super::{Cell, Column, TableRow, Unit};

/// A pid or tid: traces write numbers or words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdCell {
    /// A number.
    Number(i128),
    /// Words.
    Text(String),
}

impl Serialize for IdCell {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Number(value) => match i64::try_from(*value) {
                Ok(small) => serializer.serialize_i64(small),
                Err(_) => serializer.serialize_str(&value.to_string()),
            },
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
    /// Nanoseconds.
    pub ns: i64,
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
    /// The thread's window.
    pub window_ns: i64,
    /// Classes; they sum to the window.
    pub classes: Vec<ClassRow>,
}

impl ThreadRow {
    /// One row per class that holds time, for tables.
    pub fn class_rows(&self) -> Vec<ThreadClassRow<'_>> {
        let used = self.classes.iter().filter(|class| class.ns != 0);
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
    const COLUMNS: &'static [Column] = &[
        Column::new("#", "input", Unit::Count, "number of the input"),
        Column::new("pid", "pid", Unit::Text, "process"),
        Column::new("tid", "tid", Unit::Text, "thread"),
        Column::new("kind", "kind", Unit::Text, "work, background or idle"),
        Column::new("window", "window_ns", Unit::Ns, "the thread's window"),
        Column::new("class", "class", Unit::Text, "what the thread was doing"),
        Column::new("time", "ns", Unit::Ns, "time in the class"),
        Column::new("share", "pct", Unit::Percent, "time in the class, of the window"),
        Column::new("name", "name", Unit::Text, "name of the thread"),
    ];

    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::Count(self.thread.input as u64),
            Cell::Text(self.thread.pid.to_string()),
            Cell::Text(self.thread.tid.to_string()),
            Cell::Text(self.thread.kind.to_owned()),
            Cell::Ns(self.thread.window_ns),
            Cell::Text(self.class.class.to_owned()),
            Cell::Ns(self.class.ns),
            Cell::or_none(self.class.pct, Cell::Percent),
            Cell::or_none(self.thread.name.clone(), Cell::Text),
        ]
    }
}

/// One name that threads waited in, as the machine output gives it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WaitRow {
    /// Number of the input.
    pub input: usize,
    /// Class of the wait.
    pub class: String,
    /// Name of the outermost frame of the wait.
    pub name: String,
    /// How often.
    pub count: u64,
    /// Sum of the waits.
    pub sum_ns: i64,
    /// The longest.
    pub max_ns: i64,
}

impl TableRow for WaitRow {
    const COLUMNS: &'static [Column] = &[
        Column::new("#", "input", Unit::Count, "number of the input"),
        Column::new("class", "class", Unit::Text, "class of the wait"),
        Column::new("count", "count", Unit::Count, "how often"),
        Column::new("sum", "sum_ns", Unit::Ns, "sum of the waits"),
        Column::new("max", "max_ns", Unit::Ns, "the longest wait"),
        Column::new("name", "name", Unit::Text, "outermost frame of the wait"),
    ];

    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::Count(self.input as u64),
            Cell::Text(self.class.clone()),
            Cell::Count(self.count),
            Cell::Ns(self.sum_ns),
            Cell::Ns(self.max_ns),
            Cell::Text(self.name.clone()),
        ]
    }
}
