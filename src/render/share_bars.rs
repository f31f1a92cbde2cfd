//! Bars behind shares: on a terminal a column of percents is read at a glance.

use super::layout::{Layout, Names};
use crate::schema::Unit;
use crate::table::{Cell, Table};

/// Characters of a bar of 100 %.
const WIDTH: usize = 8;

/// Eighths of a character, the smallest first.
const EIGHTHS: [char; 8] = ['▏', '▎', '▍', '▌', '▋', '▊', '▉', '█'];

/// The first column of percents, where bars behind it take room from no other column.
pub(super) fn column(table: &Table, cells: &[Vec<String>], width: usize) -> Option<usize> {
    let c = table.columns.iter().position(|column| column.unit == Unit::Percent)?;
    let mut barred = cells.to_vec();
    barred.iter_mut().for_each(|row| row[c] = behind(&row[c], None));
    let of = |cells: &[Vec<String>]| Layout::of(table, cells, Some(width), Names::Short);
    let (without, with) = (of(cells), of(&barred));
    let is_free = with.left_out == without.left_out
        && (0..with.widths.len())
            .all(|other| other == c || with.widths[other] == without.widths[other]);
    (is_free && with.shown.contains(&c)).then_some(c)
}

/// Draws the bars of a column.
pub(super) fn draw(table: &Table, cells: &mut [Vec<String>], c: usize) {
    for (row, source) in cells.iter_mut().zip(&table.rows) {
        let percent = match source[c] {
            Cell::Percent(value) => Some(value),
            _ => None,
        };
        row[c] = behind(&row[c], percent);
    }
}

/// A text with a bar behind it; with as much room where there is none.
pub(super) fn behind(text: &str, percent: Option<f64>) -> String {
    format!("{text} {:<WIDTH$}", bar(percent.unwrap_or(0.0)))
}

/// A bar; what is not nothing is seen.
fn bar(percent: f64) -> String {
    let share = (percent / 100.0).clamp(0.0, 1.0);
    let eighths = (share * (WIDTH * 8) as f64).round() as usize;
    let eighths = if share > 0.0 { eighths.max(1) } else { 0 };
    let full = "█".repeat(eighths / 8);
    let rest = (eighths % 8).checked_sub(1).map(|part| EIGHTHS[part]);
    full.chars().chain(rest).collect()
}

#[cfg(test)]
mod tests {
    use super::{WIDTH, bar};

    #[test]
    fn bars_are_as_long_as_shares() {
        let drawn = [0.0, 0.01, 6.25, 12.5, 50.0, 100.0, 250.0].map(bar);
        assert_eq!(drawn, ["", "▏", "▌", "█", "████", "████████", "████████"]);
        assert!((0..=1000).all(|n| bar(f64::from(n) / 10.0).chars().count() <= WIDTH));
    }
}
