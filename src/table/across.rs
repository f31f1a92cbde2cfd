//! Across inputs: who waited for whom, who comes late, and on which clock that is said.

use super::{Cell, Column, Table, TableRow, Unit, percent};
use crate::analyze::blame::{BlameCellRow, BlameRow, StragglerRow};
use crate::schema::{self, Place, Source};

/// One line of the blame table.
struct BlameLine {
    input: usize,
    wait_ns: i64,
    busy_ns: i64,
    device_ns: Option<i64>,
    host_ns: Option<i64>,
    unrecorded_ns: Option<i64>,
    error_ns: Option<i64>,
    who: String,
}

impl TableRow for BlameLine {
    const N_GROUP_COLUMNS: usize = 2;
    const COLUMNS: &'static [Column] = &[
        Column::new("#", "input", Unit::Count, "number of the input that waited"),
        Column::new("waited", "wait_ns", Unit::Ns, "IPC wait of its work threads, as a union"),
        Column::new("busy", "busy_ns", Unit::Ns, "of the wait, when the other was busy"),
        Column::new("share", "busy_pct", Unit::Percent, "busy, of the wait"),
        Column::new("device", "device_ns", Unit::Ns, "the other's devices were busy"),
        Column::new("host only", "host_ns", Unit::Ns, "its work threads were, its devices not"),
        Column::new("unrecorded", "unrecorded_ns", Unit::Ns, "the other was not recorded"),
        Column::new("± clocks", "error_ns", Unit::Ns, "by how much the two clocks may be apart"),
        Column::new("who was busy meanwhile", "who", Unit::Text, "the other input"),
    ];

    fn cells(&self) -> Vec<Cell> {
        let ns = |ns| Cell::or_none(ns, Cell::Ns);
        vec![
            Cell::Count(self.input as u64),
            Cell::Ns(self.wait_ns),
            Cell::Ns(self.busy_ns),
            Cell::or_none(percent(self.busy_ns, self.wait_ns), Cell::Percent),
            ns(self.device_ns),
            ns(self.host_ns),
            ns(self.unrecorded_ns),
            ns(self.error_ns),
            Cell::Text(self.who.clone()),
        ]
    }
}

/// What it means that most of a wait has nobody to blame.
const ELSEWHERE: &str = "where nobody was busy, what was waited for is in none of these files: an engine core, \
                         a client, the next request";

/// What it means that a clock has no error.
const CLOCKS_NOT_COMPARED: &str = "where ± clocks has no value, no collective and no hand-off tells how far two clocks are \
                                   apart: times are compared as recorded";

/// Who waited for whom; `who` names an input.
pub(super) fn blame_view(rows: &[BlameRow], who: impl Fn(usize) -> String) -> Table {
    let mut lines = Vec::new();
    for row in rows {
        let Some(wait_ns) = row.wait_ns.filter(|&ns| ns != 0) else { continue };
        // A thread that waits does not work, so that the input itself is news only where its device was busy.
        let is_news = |cell: &&BlameCellRow| cell.other != row.input || cell.busy_ns != 0;
        lines.extend(row.busy.iter().filter(is_news).map(|cell| BlameLine {
            input: row.input,
            wait_ns,
            busy_ns: cell.busy_ns,
            device_ns: Some(cell.device_ns),
            host_ns: Some(cell.host_ns),
            unrecorded_ns: Some(cell.unrecorded_ns),
            error_ns: cell.error_ns,
            who: match who(cell.other) {
                name if cell.other == row.input => format!("{name} (itself)"),
                name => name,
            },
        }));
        lines.push(BlameLine {
            input: row.input,
            wait_ns,
            busy_ns: row.nobody_ns.unwrap_or(0),
            device_ns: None,
            host_ns: None,
            unrecorded_ns: None,
            error_ns: None,
            who: "nobody that was recorded".to_owned(),
        });
    }
    let mut table = Table::of("blame", "Who was busy while one waited for another process", &lines);
    let is_open = |row: &BlameRow| row.nobody_ns.zip(row.wait_ns).is_some_and(|(n, w)| n * 2 > w);
    if rows.iter().any(is_open) {
        table = table.with_note(ELSEWHERE);
    }
    let blind = rows.iter().filter(|row| row.wait_ns.is_none());
    let blind: Vec<String> = blind.map(|row| format!("#{}", row.input)).collect();
    if !blind.is_empty() {
        let note = format!("waits are not recorded for {}: no Python frames", blind.join(", "));
        table = table.with_note(note);
    }
    let cells = rows.iter().flat_map(|row| &row.busy);
    if cells.into_iter().any(|cell| cell.error_ns.is_none()) {
        table = table.with_note(CLOCKS_NOT_COMPARED);
    }
    table
}

/// What each input's waits were beside.
pub(super) fn blame(rows: &[BlameRow]) -> Source<'_> {
    Source::some(rows.iter().flat_map(|row| &row.busy).collect())
}

/// Which rank comes late; `who` names an input.
pub(super) fn straggler_view(
    table: &schema::Table,
    rows: &[StragglerRow],
    who: impl Fn(usize) -> String,
) -> Table {
    let mut table = Table::view(table);
    let column = Column::new("who", "who", Unit::Text, "the input");
    table.columns.push(Column { place: Place::Subject, ..column });
    let cells = rows.iter().zip(&mut table.rows);
    cells.for_each(|(row, cells)| cells.push(Cell::Text(who(row.input))));
    table
}
