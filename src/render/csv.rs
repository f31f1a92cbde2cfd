//! A table as CSV after RFC 4180: CRLF lines, a heading of column keys, exact numbers, empty where not recorded. Sentences are for people and read as in text.

use super::human;
use crate::schema::{self, Values, written};
use crate::table::{Cell, Table};

/// What becomes of words that a spreadsheet would take for a formula.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Texts {
    /// An apostrophe before them makes them text, as typing one does.
    #[default]
    Neutral,
    /// As they are.
    Raw,
}

/// Every column and row of a table: the same columns whatever the rows.
pub fn typed(table: &schema::Table, texts: Texts) -> String {
    let mut out = String::new();
    line(&mut out, table.columns().map(|(column, _)| column.key.to_owned()));
    for row in 0..table.n_rows {
        line(&mut out, table.columns().map(|(_, values)| exact(values, row, texts)));
    }
    out
}

/// A value as the machine output writes it; nothing where nothing was recorded.
fn exact(values: &Values, row: usize, texts: Texts) -> String {
    let is_text = matches!(values, Values::Text(_) | Values::List(_));
    let text = match values {
        Values::Int(values) => values.get(row).map(|value| value.to_string()),
        Values::Float(values) => values.get(row).map(|value| value.to_string()),
        Values::Bool(values) => values.get(row).map(|value| value.to_string()),
        texts => texts.texts(row),
    };
    let text = text.unwrap_or_default();
    if is_text { harmless(text, texts) } else { text }
}

/// A text that no spreadsheet takes for a formula, unless texts are wanted as they are.
fn harmless(text: String, texts: Texts) -> String {
    if texts == Texts::Raw { text } else { written::harmless(text) }
}

/// The table. Durations are integer nanoseconds and shares are in percent, as the column keys say.
pub fn table(table: &Table, texts: Texts) -> String {
    let mut out = String::new();
    line(&mut out, table.columns.iter().map(|column| column.key.to_owned()));
    for row in &table.rows {
        line(&mut out, row.iter().map(|cell| value(cell, texts)));
    }
    out
}

fn line(out: &mut String, fields: impl Iterator<Item = String>) {
    for (i, field) in fields.enumerate() {
        if i > 0 {
            out.push(',');
        }
        out.push_str(&written::csv_field(field));
    }
    out.push_str("\r\n");
}

fn value(cell: &Cell, texts: Texts) -> String {
    match cell {
        Cell::Text(text) => harmless(text.clone(), texts),
        Cell::Count(n) | Cell::Bytes(n) => n.to_string(),
        Cell::Ns(ns) => ns.to_string(),
        Cell::Percent(value) | Cell::Rate(value) => value.to_string(),
        Cell::Sentence(parts) => harmless(human::sentence(parts), texts),
        Cell::Bar(_) | Cell::NotRecorded => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Texts, harmless, table};
    use crate::table::{Cell, Column, Table, Unit};

    #[test]
    fn odd_fields_are_quoted_and_numbers_exact() {
        let source = Table {
            key: "t",
            title: "T".into(),
            columns: vec![
                Column::new("name", "name", Unit::Text, "name"),
                Column::new("sum", "sum_ns", Unit::Ns, "sum"),
                Column::new("share", "share_pct", Unit::Percent, "share"),
            ],
            rows: vec![
                vec![
                    Cell::Text("f(a, \"b\")\nc".into()),
                    Cell::Ns(9_007_199_254_740_993),
                    Cell::Percent(12.5),
                ],
                vec![Cell::Text("plain".into()), Cell::Ns(0), Cell::NotRecorded],
            ],
            n_group_columns: 0,
            notes: vec!["not for machines".into()],
        };
        assert_eq!(
            table(&source, Texts::Neutral),
            "name,sum_ns,share_pct\r\n\"f(a, \"\"b\"\")\nc\",9007199254740993,12.5\r\nplain,0,\r\n"
        );
    }

    #[test]
    fn no_text_is_a_formula_and_numbers_stay() {
        let neutral = |text: &str| harmless(text.to_owned(), Texts::Neutral);
        for text in ["=1+1", "+cmd", "-x", "@SUM(A1)", "\t=1", "\r=1", "--7", "-inf"] {
            assert_eq!(neutral(text), format!("'{text}"));
            assert_eq!(harmless(text.to_owned(), Texts::Raw), text);
        }
        for text in ["-7", "-1.5", "+2", "a=1", "'=1", "", " =1"] {
            assert_eq!(neutral(text), text);
        }
    }
}
