//! CSV after RFC 4180, as `omni-trace analyze --format csv` writes it: CRLF, a heading, exact numbers, empty where nothing
//! was recorded, and an apostrophe before texts that a spreadsheet would take for a formula.

use std::io::{self, Write};

use omni_trace::schema::written::{csv_field, harmless};
use polars::prelude::DataFrame;

use super::{Cell, names, rows};

/// Writes a result.
pub(super) fn write(frame: &DataFrame, to: &mut dyn Write) -> io::Result<()> {
    line(to, names(frame).into_iter().map(csv_field))?;
    rows(frame).try_for_each(|row| line(to, row.iter().map(field)))
}

fn line(to: &mut dyn Write, fields: impl Iterator<Item = String>) -> io::Result<()> {
    let fields: Vec<String> = fields.collect();
    write!(to, "{}\r\n", fields.join(","))
}

fn field(cell: &Cell<'_>) -> String {
    let text = cell.exact();
    match cell {
        Cell::Text(_) | Cell::List(_) => csv_field(harmless(text)),
        _ => text,
    }
}
