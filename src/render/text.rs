//! Tables for a terminal: aligned columns, the name last.
//!
//! Names are never cut. The last column is words and is not padded, so long names cost nothing to the other columns;
//! where the width is known it is wrapped under itself: sentences between words, names anywhere, so that nothing is lost.

use std::fmt::Write as _;

use super::human;
use crate::table::{Bar, Cell, Table};

/// How text is laid out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TextStyle {
    /// Columns of the terminal; `None` writes each row on one line.
    pub width: Option<usize>,
    /// Whether headings are set in bold.
    pub is_coloured: bool,
}

/// Narrowest last column worth wrapping into.
const MIN_WRAP: usize = 40;

/// Narrowest line of time worth drawing bars on.
const MIN_BAR: usize = 16;

/// Indent of a last column that has lines of its own.
const OWN_LINE_INDENT: usize = 6;

/// What a sentence under a table begins with.
const NOTE: &str = "  note: ";

/// A heading line.
pub fn heading(text: &str, style: TextStyle) -> String {
    if style.is_coloured { format!("\u{1b}[1m{text}\u{1b}[0m\n") } else { format!("{text}\n") }
}

/// A table: its title, heading row, rows and notes.
pub fn table(table: &Table, style: TextStyle) -> String {
    let mut out = heading(&human::visible(&table.title), style);
    if !table.rows.is_empty() {
        rows(&mut out, table, style);
    } else if table.notes.is_empty() {
        out.push_str("  none\n");
    }
    for note in &table.notes {
        out.push_str(NOTE);
        wrap(&mut out, &human::visible(note), NOTE.len(), style.width, Fit::BetweenWords);
        out.push('\n');
    }
    out
}

fn rows(out: &mut String, table: &Table, style: TextStyle) {
    let cells: Vec<Vec<String>> =
        table.rows.iter().map(|row| row.iter().map(human::cell).collect()).collect();
    let widths: Vec<usize> = (0..table.columns.len())
        .map(|c| {
            let heading = table.columns[c].name.chars().count();
            cells.iter().map(|row| row[c].chars().count()).fold(heading, usize::max)
        })
        .collect();
    let names: Vec<String> = table.columns.iter().map(|c| c.name.to_owned()).collect();
    line(out, table, &names, &widths, style, Fit::Anywhere);
    let rule: Vec<String> = table
        .columns
        .iter()
        .enumerate()
        .map(|(c, column)| {
            "-".repeat(if is_open(table, c) { column.name.len() } else { widths[c] })
        })
        .collect();
    line(out, table, &rule, &widths, style, Fit::Anywhere);
    for (i, row) in cells.iter().enumerate() {
        let above = i.checked_sub(1).map(|above| &cells[above]);
        let fit = match table.rows[i].last() {
            Some(Cell::Sentence(_)) => Fit::BetweenWords,
            Some(&Cell::Bar(bar)) => Fit::Bar(bar),
            _ => Fit::Anywhere,
        };
        let row = without_repeats(row, above, table.n_group_columns);
        line(out, table, &row, &widths, style, fit);
    }
}

/// How the last cell of a row is fitted to the room that is left.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fit {
    /// Broken into lines anywhere.
    Anywhere,
    /// Broken into lines between words.
    BetweenWords,
    /// Drawn as wide as there is room.
    Bar(Bar),
}

/// A row whose group is that of the row above shows it blank.
fn without_repeats(row: &[String], above: Option<&Vec<String>>, n_group: usize) -> Vec<String> {
    let is_repeat = above.is_some_and(|above| above[..n_group] == row[..n_group]);
    let n_blank = if is_repeat { n_group } else { 0 };
    let blank = std::iter::repeat_n(String::new(), n_blank);
    blank.chain(row[n_blank..].iter().cloned()).collect()
}

/// Whether a column is the last one and words: it is neither padded nor cut.
fn is_open(table: &Table, column: usize) -> bool {
    column + 1 == table.columns.len() && !table.columns[column].is_right_aligned()
}

fn line(
    out: &mut String,
    table: &Table,
    cells: &[String],
    widths: &[usize],
    style: TextStyle,
    fit: Fit,
) {
    let start = out.len();
    for (c, cell) in cells.iter().enumerate() {
        out.push_str("  ");
        let width = widths[c];
        if is_open(table, c) {
            let indent = out[start..].chars().count();
            wrap(out, cell, indent, style.width, fit);
        } else if table.columns[c].is_right_aligned() {
            let _ = write!(out, "{cell:>width$}");
        } else {
            let _ = write!(out, "{cell:<width$}");
        }
    }
    out.truncate(out.trim_end().len());
    out.push('\n');
}

/// Appends `text`, broken into lines of what is left of the width, each under the first.
///
/// Where little is left, a text that does not fit starts on a line of its own.
fn wrap(out: &mut String, text: &str, indent: usize, width: Option<usize>, fit: Fit) {
    let Some(width) = width else {
        out.push_str(text);
        return;
    };
    let mut indent = indent;
    let mut room = width.saturating_sub(indent);
    let drawn;
    let text = match fit {
        Fit::Bar(bar) => {
            let own_line = width.saturating_sub(OWN_LINE_INDENT);
            drawn =
                human::bar(bar, human::BAR_WIDTH.min(if room < MIN_BAR { own_line } else { room }));
            &drawn
        }
        Fit::Anywhere | Fit::BetweenWords => text,
    };
    if room < MIN_WRAP && text.chars().count() > room {
        indent = OWN_LINE_INDENT;
        room = width.saturating_sub(indent).max(1);
        let _ = write!(out, "\n{:indent$}", "");
    }
    for (i, piece) in pieces(text, room, fit).enumerate() {
        if i > 0 {
            let _ = write!(out, "\n{:indent$}", "");
        }
        out.push_str(piece);
    }
}

/// A text in pieces of at most `room` characters; between words where that is wanted and a word has room at all.
fn pieces(text: &str, room: usize, fit: Fit) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = rest.char_indices().nth(room).map_or(rest.len(), |(at, _)| at);
        let space = match fit {
            Fit::BetweenWords if end < rest.len() => {
                let follows = usize::from(rest[end..].starts_with(' '));
                last_space(&rest[..end + follows])
            }
            _ => None,
        };
        let (piece, next) = match space {
            Some(space) => (&rest[..space], &rest[space + 1..]),
            None => rest.split_at(end),
        };
        rest = next;
        Some(piece)
    })
}

/// Where a text may end before a space: not between a number and its unit.
fn last_space(text: &str) -> Option<usize> {
    let is_after_digit = |at: usize| text[..at].ends_with(|c: char| c.is_ascii_digit());
    text.rmatch_indices(' ').map(|(at, _)| at).find(|&at| !is_after_digit(at))
}

#[cfg(test)]
mod tests {
    use super::{TextStyle, human, table};
    use crate::table::{Cell, Column, Table, Unit};

    fn two_long_names() -> Table {
        let stem = "vllm/distributed/device_communicators/shm_broadcast.py";
        Table {
            key: "t",
            title: "Names".into(),
            columns: vec![
                Column::new("sum", "sum_ns", Unit::Ns, "sum"),
                Column::new("name", "name", Unit::Text, "name"),
            ],
            rows: vec![
                vec![Cell::Ns(1_035_274_000), Cell::Text(format!("{stem}(882): dequeue"))],
                vec![Cell::Ns(7), Cell::Text(format!("{stem}(760): acquire_read"))],
            ],
            n_group_columns: 0,
            notes: vec!["two".into()],
        }
    }

    #[test]
    fn rows_are_aligned_and_names_whole() {
        let text = table(&two_long_names(), TextStyle::default());
        assert_eq!(
            text,
            "Names\n      sum  name\n  -------  ----\n  \
             1.035 s  vllm/distributed/device_communicators/shm_broadcast.py(882): dequeue\n     \
             7 ns  vllm/distributed/device_communicators/shm_broadcast.py(760): acquire_read\n  \
             note: two\n"
        );
    }

    #[test]
    fn wrapping_loses_nothing() {
        let source = two_long_names();
        for width in [20, 40, 60, 79] {
            let text = table(&source, TextStyle { width: Some(width), is_coloured: false });
            assert!(text.lines().all(|line| line.chars().count() <= width), "{text}");
            let glued: String = text.lines().map(str::trim_start).collect();
            for row in &source.rows {
                assert!(glued.contains(&human::cell(&row[1])), "{glued}");
            }
        }
    }

    #[test]
    fn sentences_are_broken_between_words_and_not_before_units() {
        let pieces_of = |text: &'static str, room| -> Vec<&str> {
            super::pieces(text, room, super::Fit::BetweenWords).collect()
        };
        let text = "Device 0: busy for 1.2 % of it.";
        assert_eq!(pieces_of(text, 10), ["Device 0:", "busy for", "1.2 % of", "it."]);
        assert_eq!(pieces_of("busy for 1.2 % of", 12), ["busy for", "1.2 % of"]);
        let long = "a kernel_of_some_length here";
        assert_eq!(pieces_of(long, 8), ["a", "kernel_o", "f_some_l", "ength", "here"]);
        assert_eq!(pieces_of("abcd 6789", 4), ["abcd", "6789"]);
        assert_eq!(pieces_of("µµµµ µµ", 5), ["µµµµ", "µµ"]);
    }

    #[test]
    fn an_empty_table_says_so() {
        let empty = Table { rows: Vec::new(), notes: Vec::new(), ..two_long_names() };
        assert_eq!(table(&empty, TextStyle::default()), "Names\n  none\n");
    }
}
