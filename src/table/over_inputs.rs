//! Rows that several inputs share, said once with their numbers.

use crate::schema::Value as _;
use crate::table::{Cell, Column, Severity, Table, Unit};

/// A table whose first column is the input's number, with rows that differ by input and sums alone put together.
///
/// What was lost stays with its input: its byte offset is of one file.
pub fn together(table: Table, n_inputs: usize) -> Table {
    together_where(table, n_inputs, |severity| matches!(severity, Some("info" | "notice")))
}

/// As [`together`], where severity does not matter.
pub fn all_together(table: Table, n_inputs: usize) -> Table {
    together_where(table, n_inputs, |_| true)
}

fn together_where(
    table: Table,
    n_inputs: usize,
    may_share: impl Fn(Option<&str>) -> bool,
) -> Table {
    if n_inputs < 2 {
        return table;
    }
    let is_summed: Vec<bool> = table.columns.iter().map(|column| column.is_summed).collect();
    let severity = severity_of(&table);
    let mut groups: Vec<(Vec<u64>, Vec<Cell>)> = Vec::new();
    for row in table.rows {
        let Some(&Cell::Count(input)) = row.first() else { continue };
        let word = severity.and_then(|i| match &row[i] {
            Cell::Text(word) => Some(word.as_str()),
            _ => None,
        });
        let is_mild = may_share(word);
        let is_same = |known: &Vec<Cell>| {
            let pairs = known.iter().zip(&row).zip(&is_summed).skip(1);
            is_mild && pairs.into_iter().all(|((a, b), &summed)| summed || a == b)
        };
        match groups.iter_mut().find(|(_, known)| is_same(known)) {
            Some((inputs, known)) => {
                inputs.push(input);
                let cells = known.iter_mut().zip(row).zip(&is_summed).skip(1);
                cells.filter(|(_, summed)| **summed).for_each(|((a, b), _)| *a = sum(a, &b));
            }
            None => groups.push((vec![input], row)),
        }
    }
    // The worst is read first.
    let rank = |row: &Vec<Cell>| severity.map(|i| row[i] == Cell::Text("info".to_owned()));
    groups.sort_by_key(|(_, row)| rank(row));
    let mut columns = table.columns;
    columns[0] = Column::new("#", "input", Unit::Text, "numbers of the inputs");
    let rows = groups.into_iter().map(|(inputs, mut row)| {
        row[0] = Cell::Text(numbers(&inputs, n_inputs, ""));
        row
    });
    Table { columns, rows: rows.collect(), ..table }
}

/// Whether nothing in a table is worse than good to know.
pub(super) fn are_all_info(table: &Table) -> bool {
    let severity = severity_of(table);
    let is_info = |row: &Vec<Cell>| {
        severity.is_some_and(|i| matches!(&row[i], Cell::Text(word) if word == "info"))
    };
    !table.rows.is_empty() && table.rows.iter().all(is_info)
}

/// The column that says how much a row matters.
fn severity_of(table: &Table) -> Option<usize> {
    table.columns.iter().position(|column| column.kind == Severity::KIND)
}

/// A sum is known where every part of it is.
fn sum(a: &Cell, b: &Cell) -> Cell {
    match (a, b) {
        (Cell::Count(a), Cell::Count(b)) => Cell::Count(a.saturating_add(*b)),
        (Cell::Ns(a), Cell::Ns(b)) => Cell::Ns(a.saturating_add(*b)),
        _ => Cell::NotRecorded,
    }
}

/// Which of several inputs: `all 3`, or the number of each after a mark.
pub(super) fn numbers(inputs: &[u64], n_inputs: usize, mark: &str) -> String {
    if inputs.len() > 1 && inputs.len() == n_inputs {
        return format!("all {n_inputs}");
    }
    let numbers: Vec<String> = inputs.iter().map(|input| format!("{mark}{input}")).collect();
    numbers.join(", ")
}

#[cfg(test)]
mod tests {
    use super::together;
    use crate::table::{Cell, IssueKind, IssueRow, Severity, Table};

    fn issue(input: usize, severity: Severity, count: u64) -> IssueRow {
        let message = "it means something".to_owned();
        IssueRow { severity, kind: IssueKind::SlowPath, count, first_offset: None, message, input }
    }

    #[test]
    fn mild_rows_of_several_inputs_are_one() {
        let rows = [
            issue(0, Severity::Info, 2),
            issue(0, Severity::DataLoss, 7),
            issue(1, Severity::Info, 3),
            issue(1, Severity::DataLoss, 9),
            issue(2, Severity::Notice, 1),
        ];
        let table = together(Table::of(&rows), 3);
        let seen: Vec<(&Cell, &Cell)> = table.rows.iter().map(|row| (&row[0], &row[3])).collect();
        let text = |text: &str| Cell::Text(text.to_owned());
        assert_eq!(
            seen,
            [
                (&text("0"), &Cell::Count(7)),
                (&text("1"), &Cell::Count(9)),
                (&text("2"), &Cell::Count(1)),
                (&text("0, 1"), &Cell::Count(5)),
            ]
        );
        let all = [issue(0, Severity::Info, 1), issue(1, Severity::Info, 1)];
        let table = together(Table::of(&all), 2);
        assert_eq!(table.rows[0][0], text("all 2"));
    }
}
