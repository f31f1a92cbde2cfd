//! Which tables are shown, how much of them, and in which format: what all commands share.

use clap::builder::{PossibleValue, PossibleValuesParser};
use serde::Serialize;

use super::args::Format;
use super::plan::CommonPlan;
use super::run::Hinted;
use crate::ask::listing::tables_of;
use crate::render::csv::Texts;
use crate::render::text::TextStyle;
use crate::render::{csv, json, markdown, text};
use crate::schema::{Shown, Source, Spec};
use crate::table::Table;

/// Tables of sentences, which say what all others come to.
const ANSWERS: [&str; 2] = ["verdict", "answer"];

/// The tables that were asked for.
#[derive(Debug)]
pub(super) struct TableChoice {
    /// Keys of the tables to show; empty for the command's own choice.
    keys: Vec<String>,
    /// Rows of a table for people.
    top: usize,
    /// How CSV writes texts.
    texts: Texts,
}

impl TableChoice {
    /// The choice of the arguments; `csv_table` is what CSV shows where nothing was chosen.
    ///
    /// # Errors
    ///
    /// More than one table for CSV.
    pub(super) fn of(
        common: &CommonPlan,
        tables: &[String],
        csv_table: &Spec,
        top: usize,
    ) -> anyhow::Result<Self> {
        let mut keys = tables.to_vec();
        if common.format == Format::Csv {
            if keys.is_empty() {
                keys.push(csv_table.key.to_owned());
            }
            if keys.len() > 1 {
                let what = "a CSV file holds one table".to_owned();
                let hint = "name one with --table, or take --format json".to_owned();
                return Err(Hinted { what, hint }.into());
            }
        }
        let top = if top == 0 { usize::MAX } else { top };
        Ok(Self { keys, top, texts: common.csv_texts })
    }

    /// No choice, with some rows of a table for people.
    pub(super) fn plain(top: usize) -> Self {
        Self { keys: Vec::new(), top, texts: Texts::Neutral }
    }

    /// No choice; CSV shows one table alone.
    pub(super) fn first_in_csv(format: Format, first: &str) -> Self {
        let keys = if format == Format::Csv { vec![first.to_owned()] } else { Vec::new() };
        Self { keys, top: usize::MAX, texts: Texts::Neutral }
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

/// The tables of a command as values of an argument: a wrong key is answered with the nearest right ones.
pub(super) fn keys_of(command: &str) -> PossibleValuesParser {
    let value = |(key, question)| PossibleValue::new(key).help(question);
    PossibleValuesParser::new(tables_of(command).into_iter().map(value))
}

/// A report in the format that was asked for. Only tables that are shown are made; `view` is a table as people read it, `cut`
/// what of it a person sees who asked for no more.
pub(super) fn rendered(
    common: &CommonPlan,
    choice: &TableChoice,
    report: &impl Serialize,
    tables: &[Source<'_>],
    view: impl Fn(&Source<'_>) -> Table,
    cut: impl Fn(Table) -> Table,
) -> anyhow::Result<String> {
    let mut order: Vec<&Source<'_>> = tables.iter().collect();
    let has_answer = tables.first().is_some_and(|first| ANSWERS.contains(&first.key));
    if common.is_terminal && common.format == Format::Text && has_answer {
        // A terminal shows the end of what was printed: the answer stands there.
        order.rotate_left(1);
    }
    rendered_as((common.format, common.style), choice, report, &order, view, cut)
}

/// The same of commands that do not take what all others take.
pub(super) fn rendered_as(
    (format, style): (Format, TextStyle),
    choice: &TableChoice,
    report: &impl Serialize,
    tables: &[&Source<'_>],
    view: impl Fn(&Source<'_>) -> Table,
    cut: impl Fn(Table) -> Table,
) -> anyhow::Result<String> {
    if format == Format::Json {
        return Ok(json::document(report)?);
    }
    let shown =
        tables.iter().copied().filter(|source| choice.shows(source.key, |_| is_news(source)));
    let texts: Vec<String> = match format {
        Format::Csv if shown.clone().any(|source| source.spec.has_sentences()) => {
            shown.map(|source| csv::table(&view(source), choice.texts)).collect()
        }
        Format::Csv => shown.map(|source| csv::typed(&source.table(), choice.texts)).collect(),
        Format::Md => shown.map(|source| markdown::table(&cut(view(source)))).collect(),
        _ => shown.map(|source| text::table(&cut(view(source)), style)).collect(),
    };
    Ok(texts.join("\n"))
}

/// Whether a table is shown where none was chosen.
fn is_news(source: &Source<'_>) -> bool {
    match source.shown {
        Shown::Always => true,
        Shown::Rows | Shown::Folded => source.n_rows > 0,
        Shown::Request => false,
    }
}
