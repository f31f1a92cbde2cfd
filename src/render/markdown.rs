//! A table as GitHub-flavoured Markdown, for pull requests and notes.

use std::fmt::Write as _;

use super::human;
use crate::schema::written::markdown;
use crate::table::Table;

/// The table under a heading of the third level.
pub fn table(table: &Table) -> String {
    let mut out = format!("### {}\n\n", markdown(&table.title));
    if table.rows.is_empty() {
        out.push_str(if table.notes.is_empty() { "none\n" } else { "" });
    } else {
        line(&mut out, table.columns.iter().map(|column| markdown(column.name)));
        let rule = |right| if right { "---:" } else { "---" }.to_owned();
        line(&mut out, table.columns.iter().map(|column| rule(column.is_right_aligned())));
        for row in &table.rows {
            line(&mut out, row.iter().map(|cell| markdown(&human::cell(cell))));
        }
    }
    for note in &table.notes {
        let _ = write!(out, "\nNote: {}\n", markdown(note));
    }
    out
}

fn line(out: &mut String, cells: impl Iterator<Item = String>) {
    for cell in cells {
        let _ = write!(out, "| {cell} ");
    }
    out.push_str("|\n");
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
