//! The longest gaps of the devices, one by one.

use serde::Serialize;

use super::percent;
use crate::analyze::idle::{Gap, GapEdge, cause_name};
use crate::schema::{Kind, Source, Value, Values, tables};

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
    fn text<'a>(edge: Option<&'a Self>, none: &'a str) -> &'a str {
        edge.map_or(none, |edge| edge.op.as_deref().unwrap_or(&edge.name))
    }
}

tables! {
    /// One gap of one device, as the machine output gives it.
    GapRow: "idle_gaps", "Longest gaps of the devices", "Which single gaps were longest, and what lay around them?", groups 0, shown Folded {
        input: usize, Count, All, "#", "number of the input";
        device: Option<u32>, Count, All, "device", "device index";
        start_ns: i64, Ns, Machines, "start", "start, in the time of the trace";
        offset_ns: i64, Ns, All, "at", "start, after the start of the window";
        dur_ns: i64, Ns, All, "gap", "length";
        cause: &'static str, Text, All, "cause", "what the launching thread did for most of it";
        cause_pct: Option<f64>, Percent, All, "of gap", "the cause, of the gap";
        between: String, Text, All / End, "between", "the operators (or else the activities) that launched what is before and after";
        before: Option<GapEdgeRow>, Count, Machines, "before", "the activity before it";
        after: Option<GapEdgeRow>, Count, Machines, "after", "the activity after it";
    }
}

impl GapRow {
    /// The row of a gap; `window_start_ns` is the start of the profiled window.
    pub fn of(input: usize, device: Option<u32>, window_start_ns: i64, gap: &Gap) -> Self {
        let before = gap.before.as_ref().map(GapEdgeRow::of);
        let after = gap.after.as_ref().map(GapEdgeRow::of);
        Self {
            input,
            device,
            start_ns: gap.start_ns,
            offset_ns: gap.start_ns.saturating_sub(window_start_ns),
            dur_ns: gap.dur_ns,
            cause: cause_name(gap.cause),
            cause_pct: percent(gap.causes.get(gap.cause), gap.dur_ns),
            between: format!(
                "{} -> {}",
                GapEdgeRow::text(before.as_ref(), "window start"),
                GapEdgeRow::text(after.as_ref(), "window end")
            ),
            before,
            after,
        }
    }
}

impl Value for GapEdgeRow {
    const KIND: Kind = Kind::Rows;

    fn put(&self, _to: &mut Values) {}
}

/// The longest gaps of all devices, the longest first.
pub(super) fn gaps(rows: &[GapRow]) -> Source<'_> {
    let mut rows: Vec<&GapRow> = rows.iter().collect();
    rows.sort_by_key(|row| (-row.dur_ns, row.input, row.device, row.start_ns));
    Source::some(rows)
}
