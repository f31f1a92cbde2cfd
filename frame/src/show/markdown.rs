//! A result as GitHub-flavoured Markdown.

use std::io::{self, Write};

use omni_trace::schema::written::markdown;
use polars::prelude::DataFrame;

use super::{Cell, are_numbers, names, rows};

/// Writes a result.
pub(super) fn write(frame: &DataFrame, to: &mut dyn Write) -> io::Result<()> {
    let rule = |is_right: bool| if is_right { "---:" } else { "---" }.to_owned();
    line(to, names(frame).iter().map(|name| markdown(name)))?;
    line(to, are_numbers(frame).into_iter().map(rule))?;
    rows(frame)
        .try_for_each(|row| line(to, row.iter().map(Cell::shown).map(|cell| markdown(&cell))))
}

fn line(to: &mut dyn Write, cells: impl Iterator<Item = String>) -> io::Result<()> {
    let cells: Vec<String> = cells.collect();
    writeln!(to, "| {} |", cells.join(" | "))
}
