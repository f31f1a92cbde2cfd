//! The machine output of `diff`, and the tables that people see of it.

use serde::Serialize;

use super::verdict::{VerdictRow, verdict_of_comparison, verdict_view};
use super::{SCHEMA_VERSION, Table};
use crate::analyze::units::Side;
use crate::compare::{CauseRow, Comparison};
use crate::schema::{Row as _, Seen, Shown, Source};

/// Key of the sentences.
pub(super) const ANSWER: &str = "answer";

/// Key of the causes by the account that says less.
pub(super) const OTHER_CAUSES: &str = "other_causes";

/// Everything that `diff` found.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct DiffReport {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// `diff`.
    pub command: &'static str,
    /// What A is: the names of its runs.
    pub a: Vec<String>,
    /// What B is.
    pub b: Vec<String>,
    /// What was found.
    #[serde(flatten)]
    pub comparison: Comparison,
    /// What it comes to, in sentences.
    pub answer: Vec<VerdictRow>,
}

impl DiffReport {
    /// The report of a comparison of runs with these names.
    pub fn of(a: Vec<String>, b: Vec<String>, comparison: Comparison) -> Self {
        let answer = VerdictRow::of(vec![verdict_of_comparison(&comparison)]);
        Self { schema_version: SCHEMA_VERSION, command: "diff", a, b, comparison, answer }
    }

    /// The tables, in the order of reading.
    pub fn tables(&self) -> Vec<Source<'_>> {
        let found = &self.comparison;
        vec![
            Source::of(&self.answer).named(ANSWER, "Which is faster, why, and is it real"),
            Source::of(&found.differences),
            Source::of(&found.gates),
            Source::of(&found.lanes),
            Source::of(&found.classes),
            Source::of(&found.causes),
            Source::of(&found.other_causes)
                .named(OTHER_CAUSES, "The same by the other account")
                .shown(Shown::Rows),
            Source::of(&found.buckets),
            Source::of(&found.paths),
            Source::of(&found.counts),
            Source::of(&found.kernel_changes),
            Source::of(&found.trend),
            Source::of(&found.accounts)
                .named("accounts", "Every row of both accounts")
                .shown(Shown::Request),
            Source::of(&found.cautions),
        ]
    }

    /// A table as people read it.
    pub fn view(&self, source: &Source<'_>) -> Table {
        match source.key {
            ANSWER => {
                let view = verdict_view(&self.answer);
                Table { key: source.key, title: source.table().title.to_owned(), ..view }
            }
            key if key == CauseRow::SPEC.key => {
                self.titled(Table::view(&source.table()), self.comparison.causes.first())
            }
            OTHER_CAUSES => {
                self.titled(Table::view(&source.table()), self.comparison.other_causes.first())
            }
            _ => self.without_one_lane(Table::view(&source.table())),
        }
    }

    /// A table of causes that says whose account it is.
    fn titled(&self, table: Table, first: Option<&CauseRow>) -> Table {
        let Some(first) = first else {
            return table.with_note("no part of an iteration differs between A and B");
        };
        let account = match first.account {
            Side::Device => "the device: what ran at every instant, and why nothing did",
            Side::Lead => "the lead thread: what it executed, and what it waited in",
        };
        Table { title: format!("{}, by {account}", table.title), ..table }
    }

    /// A table without the number of the lane where there is one.
    fn without_one_lane(&self, table: Table) -> Table {
        if self.comparison.lanes.len() > 1 {
            return table;
        }
        let is_grouped = table.columns.first().is_some_and(|column| column.key == "lane");
        let table = table.keeping(|column| column.key != "lane");
        Table { n_group_columns: if is_grouped { 0 } else { table.n_group_columns }, ..table }
    }

    /// A table as short as a comment on a change should be.
    pub fn brief(&self, table: Table) -> Table {
        let kept = |key: &str| {
            let dropped =
                ["detectable_ns", "n_needed", "a_p50_ns", "b_p50_ns", "p50_diff_ns", "matters"];
            !dropped.contains(&key)
        };
        table.keeping(|column| column.seen == Seen::All && kept(column.key))
    }

    /// Keys of the tables of a comment on a change.
    pub const BRIEF: [&'static str; 6] =
        ["answer", "differences", "gates", "classes", "causes", "trend"];
}
