//! Which tables are shown, how much of them, and in which format: what all commands share.

use clap::ValueEnum;
use serde::Serialize;

use super::args::Format;
use super::plan::CommonPlan;
use super::run::Hinted;
use crate::render::{csv, json, markdown, text};
use crate::schema::{Shown, Source};
use crate::table::Table;

/// The tables that were asked for.
#[derive(Debug)]
pub(super) struct TableChoice {
    /// Keys of the tables to show; empty for the command's own choice.
    keys: Vec<String>,
    /// Rows of a table for people.
    top: usize,
}

impl TableChoice {
    /// The choice of the arguments; `csv_table` is what CSV shows where nothing was chosen.
    ///
    /// # Errors
    ///
    /// More than one table for CSV.
    pub(super) fn of<T: ValueEnum>(
        common: &CommonPlan,
        tables: &[T],
        csv_table: &T,
        top: usize,
    ) -> anyhow::Result<Self> {
        let mut keys: Vec<String> = tables.iter().filter_map(key).collect();
        if common.format == Format::Csv {
            if keys.is_empty() {
                keys.extend(key(csv_table));
            }
            if keys.len() > 1 {
                let what = "a CSV file holds one table".to_owned();
                let hint = "name one with --table, or take --format json".to_owned();
                return Err(Hinted { what, hint }.into());
            }
        }
        let top = if top == 0 { usize::MAX } else { top };
        Ok(Self { keys, top })
    }

    /// Whether nothing was chosen.
    pub(super) fn is_default(&self) -> bool {
        self.keys.is_empty()
    }

    /// Rows of a table for people.
    pub(super) fn top(&self) -> usize {
        self.top
    }

    /// Whether the table of a key is shown: one that was asked for always, else where `by_default` says so.
    pub(super) fn shows(&self, key: &str, by_default: impl Fn(&str) -> bool) -> bool {
        if self.keys.is_empty() { by_default(key) } else { self.keys.iter().any(|k| k == key) }
    }
}

/// The key in [`Table::key`]: the argument's name.
fn key<T: ValueEnum>(table: &T) -> Option<String> {
    Some(table.to_possible_value()?.get_name().to_owned())
}

/// A report in the format that was asked for. Only tables that are shown are made; `view` is what a person sees of one.
pub(super) fn rendered(
    common: &CommonPlan,
    choice: &TableChoice,
    report: &impl Serialize,
    tables: &[Source<'_>],
    view: impl Fn(&Source<'_>) -> Table,
) -> anyhow::Result<String> {
    if common.format == Format::Json {
        return Ok(json::document(report)?);
    }
    let shown = tables.iter().filter(|source| choice.shows(source.key, |_| is_news(source)));
    let texts: Vec<String> = match common.format {
        Format::Csv => shown.map(|source| csv::typed(&source.table())).collect(),
        Format::Md => shown.map(|source| markdown::table(&view(source))).collect(),
        _ => shown.map(|source| text::table(&view(source), common.style)).collect(),
    };
    Ok(texts.join("\n"))
}

/// Whether a table is shown where none was chosen.
fn is_news(source: &Source<'_>) -> bool {
    match source.spec.shown {
        Shown::Always => true,
        Shown::Rows | Shown::Folded => source.n_rows > 0,
        Shown::Request => false,
    }
}

/// The same of tables that are views already. `by_default` says which tables show when none was chosen, `for_people`
/// cuts a table to what a person asked for.
pub(super) fn rendered_views(
    common: &CommonPlan,
    choice: &TableChoice,
    report: &impl Serialize,
    tables: Vec<Table>,
    by_default: impl Fn(&Table) -> bool,
    for_people: impl Fn(Table) -> Table,
) -> anyhow::Result<String> {
    if common.format == Format::Json {
        return Ok(json::document(report)?);
    }
    let is_shown = |table: &Table| choice.shows(table.key, |_| by_default(table));
    let shown = tables.into_iter().filter(is_shown);
    let texts: Vec<String> = match common.format {
        Format::Csv => shown.map(|table| csv::table(&table)).collect(),
        Format::Md => shown.map(|table| markdown::table(&for_people(table))).collect(),
        _ => shown.map(|table| text::table(&for_people(table), common.style)).collect(),
    };
    Ok(texts.join("\n"))
}
