//! Tables for a terminal: aligned columns, the name last.
//!
//! The last column is words and is not padded, so long names cost nothing to the other columns. Where the width is known, no
//! line is longer: sentences are broken between words, names lose their middle, or are broken where they are wanted whole,
//! and columns for which there is no room are named under the table. No number is ever broken.

use std::fmt::Write as _;

use super::colour::{self, Colour};
use super::human;
use super::layout::{GAP, Layout, Names, fit_names, is_wrapped};
use super::share_bars;
use crate::schema::written::visible;
use crate::table::{Bar, Cell, Table};

/// How text is laid out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TextStyle {
    /// Columns of the terminal; `None` writes each row on one line.
    pub width: Option<usize>,
    /// Whether headings are bold, cells have colours where they mean something, and shares have bars where there is room.
    pub is_coloured: bool,
    /// What becomes of names for which there is no room.
    pub names: Names,
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
    let mut title = String::new();
    wrap(&mut title, &visible(&table.title), 0, style.width, Fit::BetweenWords);
    let mut out = heading(&title, style);
    let mut left_out = None;
    if !table.rows.is_empty() {
        left_out = rows(&mut out, table, style);
    } else if table.notes.is_empty() {
        out.push_str("  none\n");
    }
    for note in table.notes.iter().chain(&left_out) {
        out.push_str(NOTE);
        wrap(&mut out, &visible(note), NOTE.len(), style.width, Fit::BetweenWords);
        out.push('\n');
    }
    out
}

/// The heading row and the rows; gives what is to be said of columns for which there was no room.
pub(super) fn rows(out: &mut String, table: &Table, style: TextStyle) -> Option<String> {
    let is_short = style.width.is_some() && style.names == Names::Short;
    let text = |cell: &Cell| match cell {
        Cell::Sentence(parts) if is_short => human::short_sentence(parts),
        other => human::cell(other),
    };
    let mut cells: Vec<Vec<String>> =
        table.rows.iter().map(|row| row.iter().map(text).collect()).collect();
    let bars = style.width.filter(|_| style.is_coloured);
    let bars = bars.and_then(|width| share_bars::column(table, &cells, width));
    if let Some(c) = bars {
        share_bars::draw(table, &mut cells, c);
    }
    let layout = Layout::of(table, &cells, style.width, style.names);
    for &c in &layout.shown {
        let is_open = c + 1 == table.columns.len();
        let is_cut = style.width.is_some() || !is_open;
        let is_whole = is_wrapped(table, c) || is_open && style.names == Names::Whole;
        if is_cut && !is_whole && !table.columns[c].is_right_aligned() {
            fit_names(&mut cells, c, layout.widths[c]);
        }
    }
    let heading = |(c, column): (usize, &crate::table::Column)| {
        let before_bar = share_bars::behind(column.name, None);
        let is_before = bars == Some(c) && before_bar.chars().count() <= layout.widths[c];
        if is_before { before_bar } else { column.name.to_owned() }
    };
    let names: Vec<String> = table.columns.iter().enumerate().map(heading).collect();
    line(out, table, &names, &layout, style, &Look::PLAIN);
    let rule = |(c, column): (usize, &crate::table::Column)| {
        "-".repeat(if is_open(table, c) { column.name.len() } else { layout.widths[c] })
    };
    let rule: Vec<String> = table.columns.iter().enumerate().map(rule).collect();
    line(out, table, &rule, &layout, style, &Look::PLAIN);
    for (i, row) in cells.iter().enumerate() {
        let above = i.checked_sub(1).map(|above| &cells[above]);
        let fit = match table.rows[i].last() {
            Some(Cell::Sentence(_)) => Fit::BetweenWords,
            Some(&Cell::Bar(bar)) => Fit::Bar(bar),
            _ => Fit::Anywhere,
        };
        let colour =
            |(column, text): (&crate::table::Column, &String)| colour::of_cell(column, text);
        let colours = table.columns.iter().zip(row).map(colour).filter(|_| style.is_coloured);
        let look = Look { fit, colours: colours.collect() };
        let row = without_repeats(row, above, table.n_group_columns);
        line(out, table, &row, &layout, style, &look);
    }
    layout.note(style.width)
}

/// How a row looks.
struct Look {
    fit: Fit,
    /// Colours of its cells; none beyond the last.
    colours: Vec<Colour>,
}

impl Look {
    /// Of headings.
    const PLAIN: Self = Self { fit: Fit::Anywhere, colours: Vec::new() };
}

/// How the last cell of a row is fitted to the room that is left.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
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
    layout: &Layout,
    style: TextStyle,
    look: &Look,
) {
    let mut indent = 0;
    for &c in &layout.shown {
        let (cell, width) = (&cells[c], layout.widths[c]);
        let _ = write!(out, "{:GAP$}", "");
        indent += GAP;
        if is_open(table, c) {
            wrap(out, cell, indent, style.width, look.fit);
            continue;
        }
        let colour = look.colours.get(c).copied().unwrap_or_default();
        push_cell(out, cell, width, table.columns[c].is_right_aligned(), colour);
        indent += width.max(cell.chars().count());
    }
    out.truncate(out.trim_end().len());
    out.push('\n');
}

/// Appends a cell on its side of a width; its text alone has the colour.
fn push_cell(out: &mut String, cell: &str, width: usize, is_right: bool, colour: Colour) {
    let text = cell.trim_end();
    let n_after = cell.chars().count() - text.chars().count();
    let n_free = width.saturating_sub(cell.chars().count());
    let (before, after) = if is_right { (n_free, n_after) } else { (0, n_after + n_free) };
    let _ = write!(out, "{:before$}{}{:after$}", "", colour::painted(colour, text), "");
}

/// Appends `text`, broken into lines of what is left of the width, each under the first.
///
/// Where little is left, a text that does not fit starts on a line of its own.
pub(super) fn wrap(out: &mut String, text: &str, indent: usize, width: Option<usize>, fit: Fit) {
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
    use super::{Names, TextStyle, human, table};
    use crate::schema::Seen;
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
    fn whole_names_lose_nothing() {
        let source = two_long_names();
        for width in [20, 40, 60, 79] {
            let style = TextStyle { width: Some(width), names: Names::Whole, is_coloured: false };
            let text = table(&source, style);
            assert!(text.lines().all(|line| line.chars().count() <= width), "{text}");
            let glued: String = text.lines().map(str::trim_start).collect();
            for row in &source.rows {
                assert!(glued.contains(&human::cell(&row[1])), "{glued}");
            }
        }
    }

    #[test]
    fn no_line_is_longer_than_asked_for_and_no_number_is_broken() {
        let mut source = two_long_names();
        for (name, seen) in [("wide heading", Seen::All), ("room", Seen::Room), ("last", Seen::All)]
        {
            let column = Column { seen, ..Column::new(name, name, Unit::Ns, "more") };
            source.columns.insert(1, column);
            source.rows.iter_mut().for_each(|row| row.insert(1, Cell::Ns(123_456_789)));
        }
        let of = |width| table(&source, TextStyle { width: Some(width), ..TextStyle::default() });
        for width in 24..120 {
            let text = of(width);
            assert!(text.lines().all(|line| line.chars().count() <= width), "{width}:\n{text}");
        }
        let words = |width| of(width).split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(of(90).contains("…shm_broadcast.py(760): acquire_read"), "{}", of(90));
        assert_eq!(of(80).matches("123.457 ms").count(), 6, "{}", of(80));
        assert!(words(70).contains("no room in 70 columns for: room; --width 73 has it"));
        assert!(words(40).contains("for: last, room, wide heading; "), "{}", of(40));
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
