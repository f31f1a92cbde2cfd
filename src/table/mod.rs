//! Results as typed tables: every table has one definition, with units and a sentence for each column.
//!
//! A row type (`*Row`) is at once the machine output (its fields are the JSON contract, in order) and, through its
//! definition, a [`Table`] for text and Markdown. Numbers stay exact here: durations are integer nanoseconds,
//! sizes integer bytes, and only shares are floats. Nothing here formats a number for a person, and nothing here sees
//! an event.

mod across;
mod bandwidth;
mod breakdown;
pub mod causal;
mod check;
mod component;
pub mod diff;
pub mod figure;
mod host;
mod input;
mod joined;
mod key_average;
mod merge;
pub mod over_inputs;
mod overview;
pub mod page;
pub mod profile;
mod report;
mod runs;
pub mod screen;
pub mod stages;
pub mod torch;
mod trust;
pub mod verdict;
mod view;

pub use crate::analyze::activity::ActivityRow;
pub use crate::analyze::blame::{BlameCellRow, BlameRow, StragglerRow};
pub use crate::analyze::breakdown::BreakdownRow;
pub use crate::analyze::clock::{ClockRow, PlacementRow};
pub use crate::analyze::components::ComponentRow;
pub use crate::analyze::copies::CopyRow;
pub use crate::analyze::devices::DeviceRow;
pub use crate::analyze::exclude::ExcludedRow;
pub use crate::analyze::idle::{GapEdgeRow, GapRow, IdleRow};
pub use crate::analyze::iterations::{IterationFigure, IterationRow, IterationSummaryRow};
pub use crate::analyze::kernel_classes::{KernelClass, KernelClassRow};
pub use crate::analyze::kernels::KernelRow;
pub use crate::analyze::key_averages::{DeviceType, KeyAverageRow, KeyMemory};
pub use crate::analyze::memory::MemoryRow;
pub(crate) use crate::analyze::percent;
pub use crate::analyze::startup::StartupRow;
pub use crate::analyze::threads::{ThreadClassRow, ThreadRow, WaitRow};
pub use crate::analyze::trust::{IssueKind, IssueRow, Severity, TrustKind, TrustRow};
pub use crate::schema::{Column, IdCell, Unit};
pub use bandwidth::BandwidthReport;
pub use check::{CheckReport, Condition, FileRow, LossRow};
pub use input::InputRow;
pub use joined::joined_request_summary;
pub use key_average::{TotalsRow, merge_key_averages};
pub use merge::{Base, ClockBy, MergeReport, MergeRow, OutputRow, SlimReport, SlimRow};
pub use overview::{LaneData, OverviewClasses, OverviewData};
pub(crate) use report::own_tables;
pub use report::{AnalyzeReport, Findings, MANY_ROWS, SCHEMA_VERSION};
pub use runs::RunRow;
pub use trust::trust_summary;

use crate::schema::{self, Seen};

/// One value.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// Words.
    Text(String),
    /// A plain number.
    Count(u64),
    /// A duration in nanoseconds.
    Ns(i64),
    /// A size in bytes.
    Bytes(u64),
    /// A share in percent.
    Percent(f64),
    /// A rate, in the unit of its column.
    Rate(f64),
    /// A sentence with figures in it.
    Sentence(Vec<verdict::Part>),
    /// A span on a line of time, as wide as there is room.
    Bar(Bar),
    /// The trace does not say: another answer than zero.
    NotRecorded,
}

/// A span as a bar of characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bar {
    /// Where it begins.
    pub start_ns: i64,
    /// Where it ends.
    pub end_ns: i64,
    /// What the whole line stands for.
    pub whole_ns: i64,
    /// What it is drawn with.
    pub mark: char,
}

impl Cell {
    /// Words that read as a sentence, and are broken into lines between them.
    pub fn sentence(words: impl Into<String>) -> Self {
        Self::Sentence(vec![verdict::Part::Words(words.into())])
    }

    /// A cell of a value that may be missing.
    pub fn or_none<T>(value: Option<T>, cell: impl FnOnce(T) -> Self) -> Self {
        value.map_or(Self::NotRecorded, cell)
    }
}

/// A table: what every format renders.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// Key of the table, as `--table` takes it.
    pub key: &'static str,
    /// Title for people.
    pub title: String,
    /// Columns, in order.
    pub columns: Vec<Column>,
    /// Rows; each has one cell per column.
    pub rows: Vec<Vec<Cell>>,
    /// Leading columns that name what a row belongs to; text shows them once per run of equal ones.
    pub n_group_columns: usize,
    /// Sentences that belong under the table.
    pub notes: Vec<String>,
}

impl Table {
    /// The view of some rows.
    pub fn of<'a, R: schema::Row + 'a>(rows: impl IntoIterator<Item = &'a R>) -> Self {
        Self::view(&schema::Table::of(rows))
    }

    /// Adds a sentence under the table.
    #[must_use]
    pub fn with_note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// Keeps the columns with `true`.
    pub(super) fn keep_columns_where(&mut self, kept: &[bool]) {
        let mut flags = kept.iter();
        self.columns.retain(|_| *flags.next().unwrap_or(&true));
        for row in &mut self.rows {
            let mut flags = kept.iter();
            row.retain(|_| *flags.next().unwrap_or(&true));
        }
    }

    /// A table for people: without columns that they seldom need, and without those in which nothing was recorded. A
    /// sentence names them.
    #[must_use]
    pub fn for_people(self) -> Self {
        self.without_details().without_empty_columns()
    }

    /// Without a column that holds zeros alone.
    #[must_use]
    pub fn without_zeros(self, key: &str) -> Self {
        let column = self.columns.iter().position(|column| column.key == key);
        let is_zero = |row: &Vec<Cell>| column.is_some_and(|c| row[c] == Cell::Ns(0));
        let is_gone = self.rows.iter().all(is_zero);
        self.keeping(|column| !is_gone || column.key != key)
    }

    /// Keeps the columns that pass.
    pub(super) fn keeping(mut self, is_kept: impl Fn(&Column) -> bool) -> Self {
        let is_kept: Vec<bool> = self.columns.iter().map(is_kept).collect();
        self.drop_columns(&is_kept);
        self
    }

    /// With a column before all others.
    #[must_use]
    pub fn with_first(mut self, key: &str) -> Self {
        if let Some(at) = self.columns.iter().position(|column| column.key == key) {
            self.columns[..=at].rotate_right(1);
            self.rows.iter_mut().for_each(|row| row[..=at].rotate_right(1));
        }
        self
    }

    /// Without the leading columns that name what all rows belong to.
    pub(super) fn without_groups(mut self) -> Self {
        let is_kept: Vec<bool> =
            (0..self.columns.len()).map(|c| c >= self.n_group_columns).collect();
        self.drop_columns(&is_kept);
        self
    }

    fn without_details(mut self) -> Self {
        let is_kept: Vec<bool> = self.columns.iter().map(|c| c.seen != Seen::Request).collect();
        if let Some(names) = self.drop_columns(&is_kept) {
            self.notes.push(format!("--format csv has also: {names}"));
        }
        self
    }

    fn without_empty_columns(mut self) -> Self {
        let is_kept: Vec<bool> = (0..self.columns.len()).map(|c| self.is_recorded(c)).collect();
        if let Some(names) = self.drop_columns(&is_kept) {
            self.notes.push(format!("nothing recorded of: {names}"));
        }
        self
    }

    /// Whether some row has a value in a column; where there are no rows, nothing says the contrary.
    pub fn is_recorded(&self, column: usize) -> bool {
        self.rows.is_empty() || self.rows.iter().any(|row| row[column] != Cell::NotRecorded)
    }

    /// Drops the columns without `true`; their names, where there are any.
    fn drop_columns(&mut self, is_kept: &[bool]) -> Option<String> {
        let dropped = self.columns.iter().zip(is_kept).filter(|(_, kept)| !**kept);
        let names: Vec<&str> = dropped.map(|(column, _)| column.name).collect();
        let n_group = self.n_group_columns;
        self.n_group_columns = is_kept.iter().take(n_group).filter(|kept| **kept).count();
        self.keep_columns_where(is_kept);
        (!names.is_empty()).then(|| names.join(", "))
    }

    /// Keeps the first rows for people and says how many are not shown.
    #[must_use]
    pub fn top(mut self, n: usize) -> Self {
        let hidden = self.rows.len().saturating_sub(n);
        if hidden > 0 {
            self.rows.truncate(n);
            let rows = if hidden == 1 { "row" } else { "rows" };
            self.notes.push(format!("{hidden} more {rows}; --top 0 shows all"));
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::{Cell, Column, Table, Unit};
    use crate::schema::{Seen, tables};

    tables! {
        Row: "t", "numbers", "Which numbers are there?", groups 0 {
            n: u64, Count, All, "n", "a number";
        }
    }

    fn rows(numbers: &[u64]) -> Vec<Row> {
        numbers.iter().map(|&n| Row { n }).collect()
    }

    #[test]
    fn top_says_what_it_hides() {
        let table = Table::of(&rows(&[1, 2, 3])).top(2);
        assert_eq!(table.rows.len(), 2);
        assert_eq!(table.notes, ["1 more row; --top 0 shows all"]);
        assert!(Table::of(&rows(&[1])).top(1).notes.is_empty());
    }

    #[test]
    fn dropped_columns_are_named() {
        let mut table = Table::of(&rows(&[1, 2]));
        for (name, seen) in [("empty", Seen::All), ("detail", Seen::Request)] {
            table.columns.push(Column { seen, ..Column::new(name, name, Unit::Count, "more") });
        }
        for row in &mut table.rows {
            row.extend([Cell::NotRecorded, Cell::Count(7)]);
        }
        table.n_group_columns = 2;
        let table = table.for_people();
        assert_eq!(table.rows, [[Cell::Count(1)], [Cell::Count(2)]]);
        assert_eq!((table.columns.len(), table.n_group_columns), (1, 1));
        assert_eq!(table.notes, ["--format csv has also: detail", "nothing recorded of: empty"]);
        let none = Table::of::<Row>(&[]).for_people();
        assert_eq!((none.columns.len(), none.notes.len()), (1, 0));
    }
}
