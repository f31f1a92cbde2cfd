//! A table of values as people see it: cells that say how they are read, the columns in their place.

use super::{Cell, Table};
use crate::schema::{self, Column, Seen, Unit, Values};

impl Table {
    /// The view of a table: all but the columns for machines.
    pub fn view(table: &schema::Table) -> Self {
        let mut columns: Vec<(&Column, &Values)> =
            table.columns().filter(|(column, _)| column.seen != Seen::Machines).collect();
        let n_groups = table.spec.n_groups.min(columns.len());
        columns[..n_groups].sort_by_key(|(column, _)| column.place);
        columns[n_groups..].sort_by_key(|(column, _)| column.place);
        let row = |number| {
            columns.iter().map(|(column, values)| cell(column.unit, values, number)).collect()
        };
        Self {
            key: table.key,
            title: table.title.to_owned(),
            columns: columns.iter().map(|(column, _)| **column).collect(),
            rows: (0..table.n_rows).map(row).collect(),
            n_group_columns: n_groups,
            notes: table.notes.clone(),
        }
    }
}

/// One value as a cell of its column's unit.
fn cell(unit: Unit, values: &Values, row: usize) -> Cell {
    if !values.is_recorded(row) {
        return Cell::NotRecorded;
    }
    let cell = match values {
        Values::Int(values) => values.get(row).map(|value| number(unit, value)),
        Values::Float(values) => values.get(row).map(|value| match unit {
            Unit::Percent => Cell::Percent(value),
            _ => Cell::Rate(value),
        }),
        Values::Bool(values) => {
            values.get(row).map(|is| words(unit, if is { "yes" } else { "no" }))
        }
        texts => texts.texts(row).map(|text| words(unit, &text)),
    };
    cell.unwrap_or(Cell::NotRecorded)
}

fn number(unit: Unit, value: i64) -> Cell {
    match (unit, u64::try_from(value)) {
        (Unit::Ns, _) => Cell::Ns(value),
        (Unit::Bytes, Ok(bytes)) => Cell::Bytes(bytes),
        (Unit::Count, Ok(count)) => Cell::Count(count),
        _ => Cell::Text(value.to_string()),
    }
}

fn words(unit: Unit, text: &str) -> Cell {
    if unit == Unit::Prose { Cell::sentence(text) } else { Cell::Text(text.to_owned()) }
}
