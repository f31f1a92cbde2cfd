//! JSON: a list of objects with a line each, or the objects alone.

use std::io::{self, Write};

use polars::prelude::DataFrame;
use serde_json::{Number, Value};

use super::{Cell, names, rows};

/// Writes a result as a list.
pub(super) fn write(frame: &DataFrame, to: &mut dyn Write) -> io::Result<()> {
    let mut separator = "[\n  ";
    let names = keys(frame);
    for row in rows(frame) {
        write!(to, "{separator}{}", object(&names, &row))?;
        separator = ",\n  ";
    }
    writeln!(to, "{}", if frame.height() == 0 { "[]" } else { "\n]" })
}

/// Writes a result as a line an object.
pub(super) fn write_lines(frame: &DataFrame, to: &mut dyn Write) -> io::Result<()> {
    let names = keys(frame);
    rows(frame).try_for_each(|row| writeln!(to, "{}", object(&names, &row)))
}

/// The names as JSON has them.
fn keys(frame: &DataFrame) -> Vec<String> {
    names(frame).into_iter().map(|name| Value::String(name).to_string()).collect()
}

fn object(keys: &[String], row: &[Cell<'_>]) -> String {
    let members: Vec<String> =
        keys.iter().zip(row).map(|(key, cell)| format!("{key}:{}", value(cell))).collect();
    format!("{{{}}}", members.join(","))
}

/// A value. JSON has no number that is not finite: nothing stands for it.
fn value(cell: &Cell<'_>) -> Value {
    match cell {
        Cell::Missing => Value::Null,
        Cell::Int(value) => Number::from_i128(*value).map_or(Value::Null, Value::Number),
        Cell::Float(value) => Number::from_f64(*value).map_or(Value::Null, Value::Number),
        Cell::Bool(value) => Value::Bool(*value),
        Cell::Text(text) => Value::String(text.to_string()),
        Cell::List(items) => Value::Array(items.iter().map(self::value).collect()),
    }
}
