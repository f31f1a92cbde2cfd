//! The longest gaps of the devices, one by one.

use serde::Serialize;

use super::{Cell, Column, Table, TableRow, Unit, percent};
use crate::analyze::idle::{Gap, GapEdge, cause_name};

/// One activity beside a gap.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GapEdgeRow {
    /// Its name.
    pub name: String,
    /// The innermost operator around its launch.
    pub op: Option<String>,
}

impl GapEdgeRow {
    fn of(edge: &GapEdge) -> Self {
        Self { name: edge.name.clone(), op: edge.op.clone() }
    }

    /// The operator, or else the activity itself.
    fn text(edge: Option<&Self>, none: &str) -> String {
        edge.map_or(none, |edge| edge.op.as_deref().unwrap_or(&edge.name)).to_owned()
    }
}

/// One gap of one device, as the machine output gives it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GapRow {
    /// Number of the input.
    pub input: usize,
    /// Device index.
    pub device: Option<u32>,
    /// Start, in the time of the trace.
    pub start_ns: i64,
    /// Start after the start of the profiled window.
    pub offset_ns: i64,
    /// Length.
    pub dur_ns: i64,
    /// What the launching thread did for most of it.
    pub cause: &'static str,
    /// Percent of the gap.
    pub cause_pct: Option<f64>,
    /// The activity before it; `None` at the start of the window.
    pub before: Option<GapEdgeRow>,
    /// The activity after it; `None` at the end of the window.
    pub after: Option<GapEdgeRow>,
}

impl GapRow {
    /// The row of a gap; `window_start_ns` is the start of the profiled window.
    pub fn of(input: usize, device: Option<u32>, window_start_ns: i64, gap: &Gap) -> Self {
        Self {
            input,
            device,
            start_ns: gap.start_ns,
            offset_ns: gap.start_ns.saturating_sub(window_start_ns),
            dur_ns: gap.dur_ns,
            cause: cause_name(gap.cause),
            cause_pct: percent(gap.causes.get(gap.cause), gap.dur_ns),
            before: gap.before.as_ref().map(GapEdgeRow::of),
            after: gap.after.as_ref().map(GapEdgeRow::of),
        }
    }
}

impl TableRow for GapRow {
    const COLUMNS: &'static [Column] = &[
        Column::new("#", "input", Unit::Count, "number of the input"),
        Column::new("device", "device", Unit::Count, "device index"),
        Column::new("at", "offset_ns", Unit::Ns, "start, after the start of the window"),
        Column::new("gap", "dur_ns", Unit::Ns, "length"),
        Column::new("cause", "cause", Unit::Text, "what the launching thread did for most of it"),
        Column::new("of gap", "cause_pct", Unit::Percent, "the cause, of the gap"),
        Column::new(
            "between",
            "between",
            Unit::Text,
            "the operators (or else the activities) that launched what is before and after",
        ),
    ];

    fn cells(&self) -> Vec<Cell> {
        let before = GapEdgeRow::text(self.before.as_ref(), "window start");
        let after = GapEdgeRow::text(self.after.as_ref(), "window end");
        vec![
            Cell::Count(self.input as u64),
            Cell::or_none(self.device, |d| Cell::Count(u64::from(d))),
            Cell::Ns(self.offset_ns),
            Cell::Ns(self.dur_ns),
            Cell::Text(self.cause.to_owned()),
            Cell::or_none(self.cause_pct, Cell::Percent),
            Cell::Text(format!("{before} -> {after}")),
        ]
    }
}

/// The longest gaps of all devices, the longest first.
pub fn gap_table(rows: &[GapRow]) -> Table {
    let mut rows: Vec<&GapRow> = rows.iter().collect();
    rows.sort_by_key(|row| (-row.dur_ns, row.input, row.device, row.start_ns));
    Table::of("idle_gaps", "Longest gaps of the devices", rows)
}
