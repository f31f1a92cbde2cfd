//! Aligned columns: numbers to the right, words to the left, the last column as long as it is.

use std::io::{self, Write};

use omni_trace::schema::short::fitting;
use omni_trace::schema::written::visible;
use polars::prelude::DataFrame;

use super::{are_numbers, names, rows};

/// Rows that are looked at together for the widths of columns: a result of any length takes no more memory than these.
const BLOCK: usize = 10_000;

/// Writes a result; texts get `most` characters where that is given. Gives whether any was shortened.
pub(super) fn write(
    frame: &DataFrame,
    most: Option<usize>,
    to: &mut dyn Write,
) -> io::Result<bool> {
    let is_right = are_numbers(frame);
    let names: Vec<String> = names(frame).iter().map(|name| visible(name)).collect();
    let mut widths: Vec<usize> = names.iter().map(|name| name.chars().count()).collect();
    let (mut is_begun, mut is_shortened) = (false, false);
    let mut all = rows(frame);
    loop {
        let mut block: Vec<Vec<String>> = all
            .by_ref()
            .take(BLOCK)
            .map(|row| row.iter().map(super::Cell::shown).collect())
            .collect();
        if let Some(most) = most {
            is_shortened |= shorten(&mut block, &is_right, most);
        }
        for row in &block {
            let longer = widths.iter_mut().zip(row);
            longer.for_each(|(width, cell)| *width = (*width).max(cell.chars().count()));
        }
        if !is_begun {
            line(to, &names, &widths, &is_right)?;
            let rule = |(at, &width): (usize, &usize)| {
                "-".repeat(if at + 1 == widths.len() && !is_right[at] {
                    names[at].chars().count()
                } else {
                    width
                })
            };
            let rules: Vec<String> = widths.iter().enumerate().map(rule).collect();
            line(to, &rules, &widths, &is_right)?;
            is_begun = true;
        }
        for row in &block {
            line(to, row, &widths, &is_right)?;
        }
        if block.len() < BLOCK {
            return Ok(is_shortened);
        }
    }
}

/// Shortens the texts of columns that are too long, so that those that differ stay different; whether there were any.
fn shorten(rows: &mut [Vec<String>], is_right: &[bool], most: usize) -> bool {
    let mut is_shortened = false;
    for c in (0..is_right.len()).filter(|&c| !is_right[c]) {
        if rows.iter().all(|row| row[c].chars().count() <= most) {
            continue;
        }
        let texts: Vec<&str> = rows.iter().map(|row| row[c].as_str()).collect();
        let fitted = fitting(&texts, most);
        rows.iter_mut().zip(fitted).for_each(|(row, text)| row[c] = text);
        is_shortened = true;
    }
    is_shortened
}

fn line(
    to: &mut dyn Write,
    cells: &[String],
    widths: &[usize],
    is_right: &[bool],
) -> io::Result<()> {
    let mut line = String::new();
    for ((cell, &width), &is_right) in cells.iter().zip(widths).zip(is_right) {
        if !line.is_empty() {
            line.push_str("  ");
        }
        let blank = " ".repeat(width.saturating_sub(cell.chars().count()));
        let (before, after) = if is_right { (blank.as_str(), "") } else { ("", blank.as_str()) };
        line.push_str(before);
        line.push_str(cell);
        line.push_str(after);
    }
    writeln!(to, "{}", line.trim_end())
}
