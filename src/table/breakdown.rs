//! The breakdown of each input as people write it into a pull request.

use super::{Table, percent};
use crate::analyze::breakdown::{BreakdownRow, Scope};
use crate::analyze::timeline::Class;
use crate::schema::tables;

tables! {
    /// One part of the breakdown: a row of the table as people see it.
    PartRow: "breakdown", "Breakdown", "What did the lead and all work threads do?", groups 2 {
        input: usize, Count, All, "#", "number of the input";
        scope: String, Text, All, "of", "the lead work thread, or all work threads";
        part: &'static str, Text, All, "metric", "execution, waiting, unattributed, total";
        ns: Option<i64>, Ns, All, "time", "its time";
        pct: Option<f64>, Percent, All, "share", "of the total";
    }
}

/// The parts of a breakdown that hold time, the total, and what was left out.
fn parts(row: &BreakdownRow) -> Vec<PartRow> {
    let scope = || match &row.tid {
        Some(tid) => format!("lead thread {tid}"),
        None => format!("all {} work threads", row.n_threads),
    };
    let part = |part, ns, pct| PartRow { input: row.input, scope: scope(), part, ns, pct };
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
    let parts: Vec<PartRow> = rows.iter().flat_map(parts).collect();
    let mut table = Table::of(&parts);
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
