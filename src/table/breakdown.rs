//! The breakdown of each input as people write it into a pull request.

use super::{Cell, Column, Table, TableRow, Unit, percent};
use crate::analyze::breakdown::{BreakdownRow, Scope};
use crate::analyze::timeline::Class;

/// One part of the breakdown: a row of the table.
struct PartRow<'a> {
    row: &'a BreakdownRow,
    part: &'static str,
    ns: Option<i64>,
    pct: Option<f64>,
}

impl TableRow for PartRow<'_> {
    const N_GROUP_COLUMNS: usize = 2;
    const COLUMNS: &'static [Column] = &[
        Column::new("#", "input", Unit::Count, "number of the input"),
        Column::new("of", "scope", Unit::Text, "the lead work thread, or all work threads"),
        Column::new("metric", "part", Unit::Text, "execution, waiting, unattributed, total"),
        Column::new("time", "ns", Unit::Ns, "its time"),
        Column::new("share", "pct", Unit::Percent, "of the total"),
    ];

    fn cells(&self) -> Vec<Cell> {
        let of = match &self.row.tid {
            Some(tid) => format!("lead thread {tid}"),
            None => format!("all {} work threads", self.row.n_threads),
        };
        vec![
            Cell::Count(self.row.input as u64),
            Cell::Text(of),
            Cell::Text(self.part.to_owned()),
            Cell::or_none(self.ns, Cell::Ns),
            Cell::or_none(self.pct, Cell::Percent),
        ]
    }
}

/// The parts of a breakdown that hold time, the total, and what was left out.
fn parts(row: &BreakdownRow) -> Vec<PartRow<'_>> {
    let part = |part, ns, pct| PartRow { row, part, ns, pct };
    let mut parts = vec![
        part("execution", Some(row.execution_ns), row.execution_pct),
        part("waiting", row.waiting_ns, row.waiting_pct),
    ];
    if row.unattributed_ns != 0 {
        parts.push(part("unattributed", Some(row.unattributed_ns), row.unattributed_pct));
    }
    parts.push(part("total", Some(row.total_ns), percent(row.total_ns, row.total_ns)));
    if row.excluded_ns != 0 {
        parts.push(part("excluded", Some(row.excluded_ns), None));
    }
    parts
}

/// The breakdown as people write it into a pull request.
pub(super) fn breakdown_table(rows: &[BreakdownRow]) -> Table {
    let parts: Vec<PartRow<'_>> = rows.iter().flat_map(parts).collect();
    let mut table = Table::of("breakdown", "Breakdown", &parts);
    let leads = rows.iter().filter(|row| row.scope == Scope::Lead);
    let blind = leads.filter(|row| row.lacks(Class::IpcWait));
    let blind: Vec<String> = blind.map(|row| format!("#{}", row.input)).collect();
    if !blind.is_empty() {
        let note = format!(
            "without Python frames in {} waits for other processes and locks are not recorded: they are in unattributed",
            blind.join(", ")
        );
        table = table.with_note(note);
    }
    table
}
