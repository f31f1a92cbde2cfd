//! Across inputs: who waited for whom, who comes late, and on which clock that is said.

use super::{Cell, Column, Table, Unit, percent};
use crate::analyze::blame::{BlameCellRow, BlameRow, StragglerRow};
use crate::schema::{self, Place, Source, tables};

tables! {
    /// One line of the blame table as people see it.
    BlameLine: "blame", "Who was busy while one waited for another process", "Who was busy while one waited?", groups 2 {
        input: usize, Count, All, "#", "number of the input that waited";
        wait_ns: i64, Ns, All, "waited", "IPC wait of its work threads, as a union";
        busy_ns: i64, Ns, All, "busy", "of the wait, when the other was busy";
        busy_pct: Option<f64>, Percent, All, "share", "busy, of the wait";
        device_ns: Option<i64>, Ns, All, "device", "the other's devices were busy";
        host_ns: Option<i64>, Ns, All, "host only", "its work threads were, its devices not";
        unrecorded_ns: Option<i64>, Ns, All, "unrecorded", "the other was not recorded";
        error_ns: Option<i64>, Ns, All, "± clocks", "by how much the two clocks may be apart";
        who: String, Text, All, "who was busy meanwhile", "the other input";
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
            busy_pct: percent(cell.busy_ns, wait_ns),
            device_ns: Some(cell.device_ns),
            host_ns: Some(cell.host_ns),
            unrecorded_ns: Some(cell.unrecorded_ns),
            error_ns: cell.error_ns,
            who: match who(cell.other) {
                name if cell.other == row.input => format!("{name} (itself)"),
                name => name,
            },
        }));
        let busy_ns = row.nobody_ns.unwrap_or(0);
        lines.push(BlameLine {
            input: row.input,
            wait_ns,
            busy_ns,
            busy_pct: percent(busy_ns, wait_ns),
            device_ns: None,
            host_ns: None,
            unrecorded_ns: None,
            error_ns: None,
            who: "nobody that was recorded".to_owned(),
        });
    }
    let mut table = Table::of(&lines);
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
