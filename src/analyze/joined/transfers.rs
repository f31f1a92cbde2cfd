//! Transfers between stages, beside what the traces saw at the time: copies to the host while the sender generated,
//! copies to the device while the receiver did, and annotations of a hand-off.
//!
//! The logs count what was handed over as bytes of a message and time to pack, to carry and to unpack it; the traces
//! count what the devices copied. They stand side by side because neither is part of the other.

use std::collections::BTreeMap;

use super::{JoinInput, Matches, PlacedSpan, Side, TracedSideRow, recorded};
use crate::analyze::copies::Route;
use crate::analyze::intervals::{Intervals, Span};
use crate::analyze::stages::{StageReport, TransferRow};
use crate::model::EventKind;

/// What the traces of one side saw while its stage generated.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct EdgeSide {
    /// Inputs of the stage.
    inputs: Vec<usize>,
    /// Recorded time in which the stage generated, over all its inputs.
    generation_ns: i64,
    /// Copies to the host (sender) or to the device (receiver) that overlap it.
    n_copies: u64,
    /// Of them, how many state no size.
    n_without_bytes: u64,
    /// Bytes of the others; `None` where none states a size.
    bytes: Option<u64>,
    /// Sum of the durations of those with a size.
    sized_ns: i64,
    /// Sum of the durations of all.
    sum_ns: i64,
    /// Annotations of a hand-off that overlap it.
    n_handoffs: u64,
    /// Sum of their durations.
    handoff_ns: i64,
}

impl EdgeSide {
    /// Bytes over the time of the copies that state them, 10^9 bytes a second.
    fn gb_per_s(&self) -> Option<f64> {
        let bytes = self.bytes.filter(|_| self.sized_ns > 0)?;
        Some(bytes as f64 / self.sized_ns as f64)
    }
}

/// Both sides of every edge of the logs.
pub(super) fn traced_sides(
    inputs: &[JoinInput<'_>],
    report: &StageReport,
    matches: &Matches,
    placed: &[PlacedSpan<'_>],
) -> Vec<TracedSideRow> {
    let mut spans: BTreeMap<(usize, u32), Vec<Span>> = BTreeMap::new();
    for one in placed {
        if let Some(stage) = one.span.stage {
            spans.entry((one.span.run, stage)).or_default().push(one.unix);
        }
    }
    let mut known = BTreeMap::new();
    let mut side = |run: usize, stage: u32, direction: &'static str| {
        let key = (run, stage, direction);
        let seen = known.entry(key).or_insert_with(|| {
            let own = Intervals::union_of(spans.get(&(run, stage))?.clone());
            let matched = matches.get(&(run, Some(stage), None))?;
            let numbers: Vec<usize> = matched.iter().map(|one| one.input).collect();
            seen_by(inputs, &numbers, &own, direction)
        });
        seen.clone()
    };
    let mut rows = Vec::new();
    for edge in &report.transfers {
        let sides =
            [(Side::Sender, edge.from_stage, "DtoH"), (Side::Receiver, edge.to_stage, "HtoD")];
        for (name, stage, direction) in sides {
            let seen = side(edge.run, stage, direction);
            rows.push(row(edge, name, direction, seen.as_ref()));
        }
    }
    rows
}

fn row(
    edge: &TransferRow,
    side: Side,
    direction: &'static str,
    seen: Option<&EdgeSide>,
) -> TracedSideRow {
    let inputs = seen.map_or(&[][..], |seen| &seen.inputs);
    TracedSideRow {
        run: edge.run,
        from_stage: edge.from_stage,
        to_stage: edge.to_stage,
        side,
        inputs: inputs.iter().map(|input| format!("#{input}")).collect(),
        generation_ns: seen.map(|seen| seen.generation_ns),
        direction,
        copies: seen.map(|seen| seen.n_copies),
        copies_without_bytes: seen.map(|seen| seen.n_without_bytes),
        copy_bytes: seen.and_then(|seen| seen.bytes),
        copy_ns: seen.map(|seen| seen.sum_ns),
        copy_gb_per_s: seen.and_then(EdgeSide::gb_per_s),
        handoffs: seen.map(|seen| seen.n_handoffs),
        handoff_ns: seen.map(|seen| seen.handoff_ns),
    }
}

fn seen_by(
    inputs: &[JoinInput<'_>],
    numbers: &[usize],
    unix: &Intervals,
    direction: &str,
) -> Option<EdgeSide> {
    let mut seen = EdgeSide::default();
    for &number in numbers {
        let input = &inputs[number];
        let Some(window) = recorded(input) else { continue };
        let own = unix.intersect(&window);
        if own.spans().is_empty() {
            continue;
        }
        seen.inputs.push(number);
        seen.generation_ns += own.total_ns();
        let own = own.shifted(input.placed.offset_ns.saturating_neg());
        seen.add_copies(input, &own, direction);
        seen.add_handoffs(input, &own);
    }
    (!seen.inputs.is_empty()).then_some(seen)
}

impl EdgeSide {
    fn add_copies(&mut self, input: &JoinInput<'_>, own: &Intervals, direction: &str) {
        let mut is_wanted = BTreeMap::new();
        let activity = input.base.devices.iter().flat_map(|device| &device.slices);
        for row in activity.filter(|row| !row.kind.is_kernel() && overlaps(own, row.span)) {
            let slice = row.slice as usize;
            let is_wanted = is_wanted
                .entry(input.store.slices.name[slice])
                .or_insert_with(|| Route::of_name(input.store.name(slice)).direction == direction);
            if !*is_wanted {
                continue;
            }
            self.n_copies += 1;
            self.sum_ns += row.span.len_ns();
            match input.store.copy_row(slice) {
                Some(size) => {
                    self.bytes = Some(self.bytes.unwrap_or(0).saturating_add(size.bytes));
                    self.sized_ns += row.span.len_ns();
                }
                None => self.n_without_bytes += 1,
            }
        }
    }

    fn add_handoffs(&mut self, input: &JoinInput<'_>, own: &Intervals) {
        let store = input.store;
        let mut is_handoff = BTreeMap::new();
        for slice in 0..store.slices.len() {
            if store.kind(slice) != EventKind::UserAnnotation {
                continue;
            }
            let name = store.slices.name[slice];
            if !*is_handoff.entry(name).or_insert_with(|| means_handoff(store.strings.get(name))) {
                continue;
            }
            let span = Span::new(store.slices.ts_ns[slice], store.slices.end_ns(slice));
            if overlaps(own, span) {
                self.n_handoffs += 1;
                self.handoff_ns += span.len_ns();
            }
        }
    }
}

/// Whether a span meets a set.
fn overlaps(set: &Intervals, span: Span) -> bool {
    let next = set.spans().partition_point(|known| known.end_ns <= span.start_ns);
    set.spans().get(next).is_some_and(|known| known.start_ns < span.end_ns)
}

/// Whether an annotation's name speaks of handing something to another stage. Collectives do not.
fn means_handoff(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let words = ["handoff", "hand_off", "hand-off", "hand-over", "connector", "transfer"];
    !name.starts_with("nccl:") && words.iter().any(|word| name.contains(word))
}

#[cfg(test)]
mod tests {
    use super::{Intervals, Span, means_handoff, overlaps};

    #[test]
    fn names_of_handoffs() {
        assert!(means_handoff("handoff: DtoH"));
        assert!(means_handoff("OmniConnector.put"));
        assert!(!means_handoff("nccl:transfer"));
        assert!(!means_handoff("gpu_model_runner: forward"));
    }

    #[test]
    fn touching_is_no_overlap() {
        let set = Intervals::union_of(vec![Span::new(2, 4), Span::new(8, 9)]);
        let meets = |start, end| overlaps(&set, Span::new(start, end));
        assert!(meets(3, 5) && meets(0, 3) && meets(8, 20));
        assert!(!meets(4, 8) && !meets(0, 2) && !meets(9, 10));
    }
}
