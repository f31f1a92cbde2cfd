//! What of a table fits a width: which columns are shown, and how wide each is.
//!
//! Numbers are never cut. Names are shortened first; where that is not enough, columns go: those that need room by their
//! definition, then the widest numbers, and a sentence under the table names them.

use crate::schema::short;
use crate::schema::written::visible;
use crate::schema::{Seen, Unit};
use crate::table::{Cell, Table};

/// Narrowest name of a last column that is shortened.
const MIN_NAME: usize = 24;

/// Narrowest name between other columns.
const MIN_MIDDLE_NAME: usize = 10;

/// Narrowest words of another column.
const MIN_WORDS: usize = 14;

/// Narrowest last column that is wrapped.
const MIN_WRAP: usize = 40;

/// Widest name before other columns, however much room there is.
const MAX_LEADING_NAME: usize = 60;

/// What stands between columns.
pub(super) const GAP: usize = 2;

/// The columns of a table as they are laid out.
pub(super) struct Layout {
    /// Columns that are shown, by number.
    pub(super) shown: Vec<usize>,
    /// Width of each column, shown or not.
    pub(super) widths: Vec<usize>,
    /// Headings of the columns for which there is no room.
    pub(super) left_out: Vec<&'static str>,
    /// What the whole table would take.
    pub(super) whole: usize,
}

/// What a column takes.
struct Size {
    /// With everything.
    natural: usize,
    /// With names shortened.
    least: usize,
}

impl Layout {
    /// The layout of a table whose cells are known as text.
    pub(super) fn of(
        table: &Table,
        cells: &[Vec<String>],
        width: Option<usize>,
        names: Names,
    ) -> Self {
        let sizes: Vec<Size> =
            (0..table.columns.len()).map(|c| size(table, cells, c, names)).collect();
        let all: Vec<usize> = (0..sizes.len()).collect();
        let mut widths: Vec<usize> = sizes.iter().map(|size| size.natural).collect();
        let whole = taken(&all, |c| sizes[c].least);
        let Some(width) = width else {
            return Self { shown: all, widths, left_out: Vec::new(), whole };
        };
        let mut shown = all;
        while taken(&shown, |c| sizes[c].least) > width {
            let Some(at) = next_to_go(table, &shown, &widths) else { break };
            shown.remove(at);
        }
        while taken(&shown, |c| widths[c]) > width {
            let shrinkable = shown.iter().copied().filter(|&c| widths[c] > sizes[c].least);
            let Some(widest) = shrinkable.max_by_key(|&c| (widths[c], c)) else { break };
            widths[widest] -= 1;
        }
        let is_gone = |c: &usize| !shown.contains(c);
        let left_out = (0..sizes.len()).filter(is_gone).map(|c| table.columns[c].name).collect();
        Self { shown, widths, left_out, whole }
    }

    /// What is said of columns that are not there; none where all are.
    pub(super) fn note(&self, width: Option<usize>) -> Option<String> {
        let names = (!self.left_out.is_empty()).then(|| self.left_out.join(", "))?;
        let width = width.unwrap_or(self.whole);
        Some(format!("no room in {width} columns for: {names}; --width {} has it", self.whole))
    }
}

/// How names that do not fit are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Names {
    /// Without their middle.
    #[default]
    Short,
    /// Whole, on as many lines as they take.
    Whole,
}

/// What columns take side by side.
fn taken(shown: &[usize], width: impl Fn(usize) -> usize) -> usize {
    shown.iter().map(|&c| GAP + width(c)).sum()
}

fn size(table: &Table, cells: &[Vec<String>], c: usize, names: Names) -> Size {
    let column = &table.columns[c];
    let heading = column.name.chars().count();
    let natural = cells.iter().map(|row| row[c].chars().count()).fold(heading, usize::max);
    let is_last = c + 1 == table.columns.len();
    let is_limited = names == Names::Short && is_leading_name(table, c);
    let natural = if is_limited { natural.min(MAX_LEADING_NAME.max(heading)) } else { natural };
    let room = match (is_last, names) {
        _ if column.is_right_aligned() => natural,
        (true, _) if is_wrapped(table, c) => MIN_WRAP,
        (true, Names::Whole) => MIN_WRAP,
        (true, Names::Short) => MIN_NAME,
        (false, Names::Whole) => natural,
        (false, _) if is_wrapped(table, c) => natural,
        (false, Names::Short) if is_leading_name(table, c) => MIN_NAME,
        (false, Names::Short) if column.key == "name" => MIN_MIDDLE_NAME,
        (false, Names::Short) => MIN_WORDS,
    };
    Size { natural, least: natural.min(room.max(heading)) }
}

/// Whether cells of a column are sentences, which are wrapped, or bars, which are drawn as wide as there is room.
pub(super) fn is_wrapped(table: &Table, column: usize) -> bool {
    table.columns[column].unit == Unit::Prose
        || table.rows.iter().any(|row| matches!(row[column], Cell::Sentence(_) | Cell::Bar(_)))
}

/// Whether a column before others holds names of any length.
fn is_leading_name(table: &Table, column: usize) -> bool {
    column == 0 && table.columns.len() > 1 && table.columns[0].key == "name"
}

/// The place among the shown columns of the one that is missed least: one that is there where there is room, from the
/// end, then the widest number, then the last words. What a row belongs to stays, and one column beside it.
fn next_to_go(table: &Table, shown: &[usize], widths: &[usize]) -> Option<usize> {
    let first = table.n_group_columns.max(1);
    let last = table.columns.len() - 1;
    let may_go = |at: &usize| shown[*at] >= first && shown.len() > 2;
    let is_room = |c: usize| table.columns[c].seen == Seen::Room;
    let places = || (0..shown.len()).rev().filter(may_go);
    let numbers = || places().rev().filter(|&at| table.columns[shown[at]].is_right_aligned());
    let is_long = |c: usize| c != last && is_wrapped(table, c) && widths[c] > MIN_WRAP;
    // Sentences before other columns cannot be wrapped. Of equally wide numbers the last: what counts most stands first.
    places()
        .find(|&at| is_long(shown[at]))
        .or_else(|| places().find(|&at| is_room(shown[at]) && shown[at] != last))
        .or_else(|| places().find(|&at| is_room(shown[at])))
        .or_else(|| numbers().max_by_key(|&at| widths[shown[at]]))
        .or_else(|| places().find(|&at| shown[at] != last))
}

/// The names of a column in its width, as they are shown: those that differ stay different.
pub(super) fn fit_names(cells: &mut [Vec<String>], column: usize, width: usize) {
    if cells.iter().all(|row| row[column].chars().count() <= width) {
        return;
    }
    let all: Vec<&str> = cells.iter().map(|row| row[column].as_str()).collect();
    let fitted = short::fitting(&all, width);
    for (row, name) in cells.iter_mut().zip(fitted) {
        row[column] = visible(&name);
    }
}
