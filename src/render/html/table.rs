//! A table as HTML: real headers, exact numbers beside the readable ones, and as many rows as there is room for.

use std::fmt::Write as _;

use super::escape::text;
use crate::render::human;
use crate::schema::written::visible;
use crate::schema::{Place, Seen, short};
use crate::table::page::PageTable;
use crate::table::{Cell, Column, Table, Unit};

/// Bytes of one table at most.
const TABLE_BYTES: usize = 900_000;

/// Adds a table; `room` is what is left for all tables of the page, in bytes.
pub(super) fn push(out: &mut String, page_table: &PageTable, room: &mut usize) {
    let table = &page_table.table;
    let id = page_table.id();
    let title = text(&table.title);
    let class = if is_prose(table) { " prose" } else { "" };
    let n = human::count(table.rows.len() as u64);
    let rows = if table.rows.len() == 1 { "row" } else { "rows" };
    if page_table.is_folded {
        let _ = writeln!(
            out,
            "<details class=\"table{class}\" id=\"{id}\" data-table data-title=\"{title}\"><summary>{title} <span class=\"count\">{n} {rows}</span></summary>"
        );
    } else {
        let _ = write!(
            out,
            "<div class=\"table{class}\" id=\"{id}\" data-table data-title=\"{title}\">\n<h3>{title} <span class=\"count\">{n} {rows}</span></h3>\n"
        );
    }
    let _ = write!(
        out,
        "<div class=\"scroll\" tabindex=\"0\" role=\"group\" aria-label=\"{title}\"><table><caption class=\"vh\">{title}</caption>\n<thead><tr>"
    );
    let order = order(page_table);
    for &i in &order {
        let column = &table.columns[i];
        let class = classes(table, i, column);
        let minor = if is_minor(page_table, i) { " data-minor" } else { "" };
        let _ = write!(
            out,
            "<th scope=\"col\" data-key=\"{}\" data-at=\"{i}\" title=\"{}\"{class}{minor}>{}",
            column.key,
            text(column.doc),
            text(column.name)
        );
    }
    out.push_str("</tr></thead>\n<tbody>\n");
    let shown = body(out, table, &order, TABLE_BYTES.min(*room));
    out.push_str("</tbody></table></div>\n");
    *room = room.saturating_sub(shown.bytes);
    notes(out, page_table, shown.rows);
    out.push_str(if page_table.is_folded { "</details>\n" } else { "</div>\n" });
}

/// Whether the last column of a table reads as a sentence.
fn is_prose(table: &Table) -> bool {
    table.columns.last().is_some_and(|column| column.place == Place::Last)
}

/// Whether a column takes what room is left: names, paths and sentences stand last.
fn is_wide(table: &Table, i: usize) -> bool {
    let column = &table.columns[i];
    let is_last = i + 1 == table.columns.len();
    is_last && !column.is_right_aligned() && matches!(column.place, Place::Subject | Place::Last)
}

/// Whether a column goes first where there is no room: it is said to be minor, or nothing was recorded for it.
fn is_minor(page_table: &PageTable, i: usize) -> bool {
    let table = &page_table.table;
    let column = &table.columns[i];
    matches!(column.seen, Seen::Room | Seen::Request) || !table.is_recorded(i)
}

/// The order of the columns: what a row is about stands before its numbers, after what it belongs to.
fn order(page_table: &PageTable) -> Vec<usize> {
    let table = &page_table.table;
    let mut order: Vec<usize> = (0..table.columns.len()).collect();
    let Some(last) = order.pop() else { return order };
    let is_subject = is_wide(table, last)
        && table.columns[last].place == Place::Subject
        && !is_minor(page_table, last);
    let groups = table.n_group_columns.max(usize::from(table.columns[0].key == "input"));
    order.insert(if is_subject { groups.min(last) } else { last }, last);
    order
}

fn classes(table: &Table, i: usize, column: &Column) -> &'static str {
    match (is_wide(table, i), column.unit) {
        (true, _) => " class=\"t w\"",
        (false, Unit::Text | Unit::Prose) => " class=\"t\"",
        _ => "",
    }
}

/// What found room.
struct Shown {
    rows: usize,
    bytes: usize,
}

fn body(out: &mut String, table: &Table, order: &[usize], room: usize) -> Shown {
    let start = out.len();
    let short = short_names(table);
    let mut previous: Option<&[Cell]> = None;
    for (number, row) in table.rows.iter().enumerate() {
        let before = out.len();
        out.push_str("<tr>");
        let repeated = previous.map_or(0, |last| {
            let same = last.iter().zip(row).take_while(|(a, b)| a == b).count();
            same.min(table.n_group_columns)
        });
        for &i in order {
            let short = short[i].as_ref().map(|all| all[number].as_str());
            push_cell(out, table, i, (&row[i], short), i < repeated);
        }
        out.push_str("</tr>\n");
        if out.len() - start > room {
            out.truncate(before);
            return Shown { rows: number, bytes: before - start };
        }
        previous = Some(row);
    }
    Shown { rows: table.rows.len(), bytes: out.len() - start }
}

/// Longest name in a column of names; what is longer loses its middle and stands whole in the title of its cell.
const MAX_NAME: usize = 64;

/// The names of each column of names as they are shown; none for other columns. Names that differ stay different.
fn short_names(table: &Table) -> Vec<Option<Vec<String>>> {
    let text = |row: &Vec<Cell>, i: usize| match &row[i] {
        Cell::Text(name) => name.clone(),
        other => human::cell(other),
    };
    let column = |i: usize| {
        let cells: Vec<String> = table.rows.iter().map(|row| text(row, i)).collect();
        let cells: Vec<&str> = cells.iter().map(String::as_str).collect();
        has_names(table, i, &cells).then(|| short::fitting(&cells, MAX_NAME))
    };
    (0..table.columns.len()).map(column).collect()
}

/// Whether a column has names: what rows are about, or C++ signatures.
fn has_names(table: &Table, i: usize, cells: &[&str]) -> bool {
    let column = &table.columns[i];
    let is_signature = |cell: &&str| cell.chars().count() > MAX_NAME && cell.contains("::");
    column.unit == Unit::Text
        && match is_wide(table, i) {
            true => column.place == Place::Subject,
            false => cells.iter().any(is_signature),
        }
}

fn push_cell(
    out: &mut String,
    table: &Table,
    i: usize,
    (cell, short): (&Cell, Option<&str>),
    is_repeated: bool,
) {
    let column = &table.columns[i];
    let is_row_header = is_wide(table, i);
    let mut class = String::new();
    let mut add = |name: &str, is_wanted: bool| {
        if is_wanted {
            class.push_str(if class.is_empty() { "" } else { " " });
            class.push_str(name);
        }
    };
    add("t", !column.is_right_aligned());
    add("w", is_row_header);
    add("r", is_repeated);
    add("n", *cell == Cell::NotRecorded);
    add("bar", column.key == "bar");
    add("l", !is_row_header && is_long(cell));
    if let (Cell::Text(severity), "severity") = (cell, column.key) {
        add(&format!("sev-{}", text(severity)), true);
    }
    out.push_str(if is_row_header { "<th scope=row" } else { "<td" });
    if !class.is_empty() {
        let _ = write!(out, " class=\"{class}\"");
    }
    if let Some(exact) = exact(cell) {
        let _ = write!(out, " data-v={exact}");
    }
    let whole = human::cell(cell);
    let short = short.map(visible).filter(|short| *short != whole);
    if short.is_some() {
        let _ = write!(out, " title=\"{}\"", text(&whole));
    }
    out.push('>');
    out.push_str(&text(short.as_ref().unwrap_or(&whole)));
}

/// Longest text of a column among others that stands on one line.
const MAX_LINE: usize = 32;

/// Whether a text is broken into lines, so that the columns behind it stay in sight.
fn is_long(cell: &Cell) -> bool {
    matches!(cell, Cell::Text(text) if text.chars().count() > MAX_LINE)
}

/// The exact number of a cell.
pub(super) fn exact(cell: &Cell) -> Option<String> {
    match cell {
        Cell::Count(n) | Cell::Bytes(n) => Some(n.to_string()),
        Cell::Ns(ns) => Some(ns.to_string()),
        Cell::Percent(value) | Cell::Rate(value) => Some(value.to_string()),
        Cell::Text(_) | Cell::Sentence(_) | Cell::Bar(_) | Cell::NotRecorded => None,
    }
}

fn notes(out: &mut String, page_table: &PageTable, n_shown: usize) {
    let table = &page_table.table;
    let n = table.rows.len();
    if table.notes.is_empty() && n_shown == n {
        return;
    }
    out.push_str("<ul class=\"notes\">");
    if n_shown < n {
        let _ = write!(
            out,
            "<li>{} of {} rows are on this page; <code>omni-trace {} … --format csv --table {}</code> has all of them.</li>",
            human::count(n_shown as u64),
            human::count(n as u64),
            page_table.command,
            table.key
        );
    }
    for note in &table.notes {
        let _ = write!(out, "<li>{}</li>", text(note));
    }
    out.push_str("</ul>\n");
}

#[cfg(test)]
mod tests {
    use super::push;
    use crate::table::Table;
    use crate::table::page::PageTable;

    /// A table that has no room on the page names the table that `--table` knows, whatever it is called on the page.
    #[test]
    fn the_hint_about_rows_names_a_table_of_the_command() {
        let checks = Table {
            key: "trust",
            title: "Every check".to_owned(),
            columns: Vec::new(),
            rows: vec![Vec::new()],
            n_group_columns: 0,
            notes: Vec::new(),
        };
        let table =
            PageTable { command: "analyze", table: checks, anchor: "trust_all", is_folded: true };
        let mut out = String::new();
        push(&mut out, &table, &mut 0);
        assert!(out.contains("id=\"analyze-trust_all\""), "{out}");
        assert!(
            out.contains("<code>omni-trace analyze … --format csv --table trust</code>"),
            "{out}"
        );
    }
}
