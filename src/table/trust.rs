//! The trust panel: what could mislead in each input, with its count, its effect and what it means.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{Cell, Column, Table, TableRow, Unit, over_inputs};
use crate::analyze::trust::TrustLine;

/// One line of the panel of one input, as the machine output gives it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TrustRow {
    /// Number of the input.
    pub input: usize,
    /// What the line is about.
    pub check: &'static str,
    /// `info` where nothing is wrong, else `notice` or `data_loss`.
    pub severity: &'static str,
    /// How often; `None` where the trace cannot tell.
    pub count: Option<u64>,
    /// Of how many, where that is a number.
    pub of: Option<u64>,
    /// Time that is affected, where it is a time.
    pub effect_ns: Option<i64>,
    /// What it means for the figures.
    pub meaning: &'static str,
    /// Whether the verdict warns of it.
    #[serde(skip)]
    pub is_doubt: bool,
}

impl TrustRow {
    /// The row of a line.
    pub fn of(input: usize, line: &TrustLine) -> Self {
        Self {
            input,
            check: line.kind.as_str(),
            severity: line.severity.as_str(),
            count: line.count,
            of: line.of,
            effect_ns: line.effect_ns,
            meaning: line.meaning,
            is_doubt: line.is_doubt(),
        }
    }

    /// Whether it was checked and nothing was found.
    fn is_fine(&self) -> bool {
        self.count == Some(0)
    }
}

impl TableRow for TrustRow {
    const COLUMNS: &'static [Column] = &[
        Column::new("#", "input", Unit::Count, "number of the input"),
        Column::new("severity", "severity", Unit::Text, "info, notice or data_loss"),
        Column::new("count", "count", Unit::Count, "how often"),
        Column::new("of", "of", Unit::Count, "of how many"),
        Column::new("effect", "effect_ns", Unit::Ns, "time that is affected"),
        Column::new("check", "check", Unit::Text, "what was checked"),
        Column::new("meaning", "meaning", Unit::Text, "what it means for the figures"),
    ];

    fn cells(&self) -> Vec<Cell> {
        // Where nothing was found there is no effect either: a time of zero would only distract.
        let effect_ns = self.effect_ns.filter(|_| !self.is_fine());
        vec![
            Cell::Count(self.input as u64),
            Cell::Text(self.severity.to_owned()),
            Cell::or_none(self.count, Cell::Count),
            Cell::or_none(self.of, Cell::Count),
            Cell::or_none(effect_ns, Cell::Ns),
            Cell::Text(self.check.to_owned()),
            Cell::sentence(self.meaning),
        ]
    }
}

/// The panel with every line.
pub fn trust_table(rows: &[TrustRow]) -> Table {
    Table::of("trust", "Trust", rows)
}

/// The panel with a line for what was found, which several inputs may share. What is fine, and what the trace cannot
/// tell, is named under it, so that its absence never reads as unchecked.
pub fn trust_summary(rows: &[TrustRow]) -> Table {
    let found = rows.iter().filter(|row| row.count.is_some_and(|n| n > 0));
    let n_inputs = rows.iter().map(|row| row.input).collect::<BTreeSet<_>>().len();
    let mut table = over_inputs::together(Table::of("trust", "Trust", found), n_inputs);
    let kinds: [(&str, Option<u64>); 2] = [("checked and fine", Some(0)), ("not recorded", None)];
    for (words, count) in kinds {
        let mut by_input: BTreeMap<usize, Vec<&str>> = BTreeMap::new();
        for row in rows.iter().filter(|row| row.count == count) {
            by_input.entry(row.input).or_default().push(row.check);
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

    fn row(input: usize, check: &'static str, count: Option<u64>) -> TrustRow {
        let meaning = "it means something";
        let effect_ns = Some(7);
        TrustRow {
            input,
            check,
            severity: "info",
            count,
            of: None,
            effect_ns,
            meaning,
            is_doubt: false,
        }
    }

    #[test]
    fn what_is_fine_is_named_and_what_is_not_has_a_line() {
        let rows = [
            row(0, "a", Some(0)),
            row(0, "b", Some(3)),
            row(0, "c", None),
            row(1, "a", Some(0)),
            row(1, "b", Some(0)),
        ];
        let table = trust_summary(&rows);
        assert_eq!(table.rows.len(), 1);
        let notes =
            ["checked and fine in #0: a", "checked and fine in #1: a, b", "not recorded in #0: c"];
        assert_eq!(table.notes, notes);
    }
}
