//! A table as GitHub-flavoured Markdown, for pull requests and notes.

use std::fmt::Write as _;

use super::human;
use crate::table::Table;

/// The table under a heading of the third level.
pub fn table(table: &Table) -> String {
    let mut out = format!("### {}\n\n", escaped(&table.title));
    if table.rows.is_empty() {
        out.push_str(if table.notes.is_empty() { "none\n" } else { "" });
    } else {
        line(&mut out, table.columns.iter().map(|column| escaped(column.name)));
        let rule = |right| if right { "---:" } else { "---" }.to_owned();
        line(&mut out, table.columns.iter().map(|column| rule(column.is_right_aligned())));
        for row in &table.rows {
            line(&mut out, row.iter().map(|cell| escaped(&human::cell(cell))));
        }
    }
    for note in &table.notes {
        let _ = write!(out, "\nNote: {}\n", escaped(note));
    }
    out
}

fn line(out: &mut String, cells: impl Iterator<Item = String>) {
    for cell in cells {
        let _ = write!(out, "| {cell} ");
    }
    out.push_str("|\n");
}

/// Text whose Markdown and HTML characters stand for themselves.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in human::visible(text).chars() {
        match character {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '\\' | '|' | '*' | '_' | '`' | '[' | ']' | '#' | '~' => {
                out.push('\\');
                out.push(character);
            }
            _ => out.push(character),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::table;
    use crate::table::{Cell, Column, Table, Unit};

    #[test]
    fn names_keep_their_characters() {
        let source = Table {
            key: "t",
            title: "Kernels".into(),
            columns: vec![
                Column::new("sum", "sum_ns", Unit::Ns, "sum"),
                Column::new("name", "name", Unit::Text, "name"),
            ],
            rows: vec![vec![Cell::Ns(1_500), Cell::Text("f<a|b>(float*)".into())]],
            n_group_columns: 0,
            notes: Vec::new(),
        };
        assert_eq!(
            table(&source),
            "### Kernels\n\n| sum | name |\n| ---: | --- |\n| 1.500 µs | f&lt;a\\|b&gt;(float\\*) |\n"
        );
    }
}
