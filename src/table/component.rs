//! What slow operators are made of, for people.

use super::{Cell, Table};

/// The table for people: parts that no operator has are left out and named under the table.
pub(super) fn component_view(mut table: Table) -> Table {
    if table.rows.is_empty() {
        return table;
    }
    let all = |c: usize, cell: &Cell| table.rows.iter().all(|row| row[c] == *cell);
    let kept: Vec<bool> = (0..table.columns.len())
        .map(|c| !all(c, &Cell::Ns(0)) && !all(c, &Cell::NotRecorded))
        .collect();
    let names = |cell: Cell| {
        let columns = table.columns.iter().enumerate().filter(|&(c, _)| all(c, &cell));
        let names = columns.map(|(_, column)| column.name).filter(|&name| name != "excluded");
        names.collect::<Vec<&str>>().join(", ")
    };
    let notes = [("no time in", names(Cell::Ns(0))), ("not recorded", names(Cell::NotRecorded))];
    table.keep_columns_where(&kept);
    let notes = notes.into_iter().filter(|(_, names)| !names.is_empty());
    notes.fold(table, |table, (what, names)| table.with_note(format!("{what}: {names}")))
}
