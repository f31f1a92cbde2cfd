//! The trust panel: what could mislead in each input, with its count, its effect and what it means.

use std::collections::{BTreeMap, BTreeSet};

use super::{Cell, Table, TrustRow, over_inputs};

/// The panel with every line.
pub(super) fn trust_table(rows: &[TrustRow]) -> Table {
    let mut table = Table::of(rows);
    let place = |key: &str| table.columns.iter().position(|column| column.key == key);
    let (effect, severity) = (place("effect_ns"), place("severity"));
    for (row, cells) in rows.iter().zip(&mut table.rows) {
        // Where nothing was found there is no effect either: a time of zero would only distract.
        effect.into_iter().filter(|_| row.is_fine()).for_each(|i| cells[i] = Cell::NotRecorded);
        // Nor does the meaning apply, as severity before it would say.
        let found = match row.count {
            None => Cell::NotRecorded,
            Some(0) => Cell::Text("fine".to_owned()),
            Some(_) => Cell::Text(row.severity.as_str().to_owned()),
        };
        severity.into_iter().for_each(|i| cells[i] = found.clone());
    }
    table
}

/// The panel with a line for what was found, which several inputs may share. What is fine, and what the trace cannot
/// tell, is named under it, so that its absence never reads as unchecked.
pub fn trust_summary(rows: &[TrustRow]) -> Table {
    let found = rows.iter().filter(|row| row.is_found());
    let n_inputs = rows.iter().map(|row| row.input).collect::<BTreeSet<_>>().len();
    let mut table = over_inputs::together(Table::of(found), n_inputs);
    let kinds: [(&str, Option<u64>); 2] = [("checked and fine", Some(0)), ("not recorded", None)];
    for (words, count) in kinds {
        let mut by_input: BTreeMap<usize, Vec<&str>> = BTreeMap::new();
        for row in rows.iter().filter(|row| row.count == count) {
            by_input.entry(row.input).or_default().push(row.check.as_str());
        }
        let mut by_checks: BTreeMap<Vec<&str>, Vec<u64>> = BTreeMap::new();
        for (input, checks) in by_input {
            by_checks.entry(checks).or_default().push(input as u64);
        }
        for (checks, inputs) in by_checks {
            let inputs = over_inputs::numbers(&inputs, n_inputs, "#");
            let note = format!("{words} in {inputs}: {}", checks.join(", "));
            table = table.with_note(note);
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::{TrustRow, trust_summary};
    use crate::table::{Severity, TrustKind};

    fn row(input: usize, check: TrustKind, count: Option<u64>) -> TrustRow {
        let meaning = "it means something";
        let effect_ns = Some(7);
        TrustRow {
            input,
            check,
            severity: Severity::Info,
            count,
            of: None,
            effect_ns,
            meaning,
            is_doubt: false,
        }
    }

    #[test]
    fn what_is_fine_is_named_and_what_is_not_has_a_line() {
        let (a, b, c) = (TrustKind::Truncated, TrustKind::Clock, TrustKind::NoFrames);
        let rows = [
            row(0, a, Some(0)),
            row(0, b, Some(3)),
            row(0, c, None),
            row(1, a, Some(0)),
            row(1, b, Some(0)),
        ];
        let table = trust_summary(&rows);
        assert_eq!(table.rows.len(), 1);
        let notes = [
            "checked and fine in #0: truncated",
            "checked and fine in #1: truncated, clock",
            "not recorded in #0: no_frames",
        ];
        assert_eq!(table.notes, notes);
    }
}
