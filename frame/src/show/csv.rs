//! CSV after RFC 4180, as `omni-trace analyze --format csv` writes it: CRLF, a heading, exact numbers, empty where nothing
//! was recorded, and an apostrophe before texts that a spreadsheet would take for a formula.

use std::io::{self, Write};

use polars::prelude::DataFrame;

use super::{Cell, names, rows};

/// Writes a result.
pub(super) fn write(frame: &DataFrame, to: &mut dyn Write) -> io::Result<()> {
    line(to, names(frame).iter().map(|name| quoted(name)))?;
    rows(frame).try_for_each(|row| line(to, row.iter().map(field)))
}

fn line(to: &mut dyn Write, fields: impl Iterator<Item = String>) -> io::Result<()> {
    let fields: Vec<String> = fields.collect();
    write!(to, "{}\r\n", fields.join(","))
}

fn field(cell: &Cell<'_>) -> String {
    let text = cell.exact();
    match cell {
        Cell::Text(_) | Cell::List(_) => quoted(&harmless(text)),
        _ => text,
    }
}

/// A text that no spreadsheet takes for a formula; what is a number stays one.
fn harmless(text: String) -> String {
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let is_number = || text.parse::<f64>().is_ok_and(f64::is_finite);
    if is_formula && !is_number() { format!("'{text}") } else { text }
}

fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\r', '\n']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}
