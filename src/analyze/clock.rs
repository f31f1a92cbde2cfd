//! Several inputs on one time line, as `align` finds it: where each comes from, and what may be wrong with it.
//!
//! A trace with `baseTimeNanoseconds` has Unix time; so have older ones with absolute timestamps. Clocks that shared
//! collectives or hand-offs show to be apart are corrected, where they are apart by more than the error. Any other input
//! is placed by what it shares with a placed one, which is an estimate and said to be one.

use std::collections::BTreeMap;

use super::across::Across;
use super::intervals::Span;
pub use crate::align::ClockSource;
use crate::align::{
    AlignInput, Alignment, ClockBase, InputClock, Matched, Meeting, OffsetEstimate, Together,
};
use crate::model::Identity;
use crate::schema::{tables, words};

/// One input among others.
#[derive(Clone, Copy, Debug)]
pub struct TimedInput<'a> {
    /// Its path.
    pub path: &'a std::path::Path,
    /// Who wrote it.
    pub identity: &'a Identity,
    /// What is told of it.
    pub across: &'a Across,
}

impl<'a> TimedInput<'a> {
    /// As `align` takes it.
    fn to_align(self) -> AlignInput<'a> {
        let whole = self.across.whole;
        AlignInput {
            path: self.path,
            identity: self.identity,
            digest: &self.across.shared,
            window_ns: (!whole.is_empty()).then_some((whole.start_ns, whole.end_ns)),
            run: 0,
        }
    }
}

/// Compares inputs: their runs, the collectives that they share, their clocks.
pub fn together(inputs: &[TimedInput<'_>], is_one_run: bool) -> Together {
    let inputs: Vec<AlignInput<'_>> = inputs.iter().map(|input| input.to_align()).collect();
    Together::of(&inputs, is_one_run)
}

/// How an input came on the common time line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// By `baseTimeNanoseconds`.
    BaseTime,
    /// Its timestamps are absolute.
    Absolute,
    /// By what it shares with another input; figures across inputs are estimates.
    Estimate(ClockSource),
    /// Not at all: it takes no part in figures across inputs.
    None,
}

/// An input on the common time line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placed {
    /// What to add to its timestamps.
    pub offset_ns: i64,
    /// Where that comes from.
    pub placement: Placement,
    /// The part of the offset that corrects its clock, where it has one.
    pub correction_ns: i64,
    /// The input that its clock is measured against, itself where others are measured against it; `None` where nothing
    /// tells how far it is from any other.
    pub reference: Option<usize>,
    /// What it shares with that one.
    pub n_matched: Option<u64>,
    /// By how much its times may be wrong against the reference's after correction; 0 for the reference.
    pub error_ns: Option<i64>,
}

impl Placed {
    /// By how much two inputs may be wrong against each other; `None` where nothing tells.
    pub(super) fn error_to(&self, other: &Self) -> Option<i64> {
        let is_measured = self.reference.is_some() && self.reference == other.reference;
        is_measured.then_some(self.error_ns?.saturating_add(other.error_ns?))
    }
}

words! {
    /// What brought an input on the common time line.
    PlacedBy {
        /// `baseTimeNanoseconds`.
        BaseTime "base_time",
        /// Its timestamps are absolute.
        Absolute "absolute",
        /// The ends of shared collectives: an estimate.
        Collectives "collectives",
        /// Hand-offs: an estimate.
        HandOffs "handoffs",
        /// Nothing: it takes no part.
        Nothing "none",
    }
}

tables! {
    /// How one input came on the common time line.
    PlacementRow: "placements", "Inputs on the common time line", "Where does each input lie on the common time line, and how is that known?", groups 0, shown Request {
        input: usize, Count, All, "#", "number of the input";
        placement: PlacedBy, Text, All, "placed by", "what tells: base_time, absolute, collectives or handoffs (an estimate) or none (it takes no part)";
        offset_ns: Option<i64>, Ns, All, "offset", "what is added to its timestamps to have Unix time; none where nothing is known";
        reference: Option<usize>, Count, All, "against", "the input that its clock was compared with, itself where others were compared with it";
        n_matched: Option<u64>, Count, All, "matched", "shared collectives or hand-offs";
        error_ns: Option<i64>, Ns, All, "± error", "by how much its times may be wrong against the reference's after correction; none where nothing was shared";
        correction_ns: i64, Ns, All, "applied", "the part of the offset that corrects a clock; 0 where the clocks are not apart by more than the error";
        run: u32, Count, All, "run", "number of the run that it is of, from 0";
    }

    /// How well the clocks of two inputs agree, by the ends of the collectives that they share: they end together, so that
    /// the difference is the error of the clocks.
    ClockRow: "clocks", "How well clocks agree", "How far are the clocks of the inputs apart, by the ends of shared collectives?", groups 0, shown Request {
        reference: usize, Count, All, "against", "the input that the other one is held against";
        input: usize, Count, All, "#", "the other one";
        n_matched: u64, Count, All, "matched", "shared collectives";
        median_ns: i64, Ns, All, "median", "median of the other's ends less the first one's, as the clocks were";
        spread_ns: i64, Ns, All, "spread", "largest distance of a single difference from the median";
    }
}

impl PlacementRow {
    /// The row of an input.
    pub fn of(input: usize, placed: &Placed, run: u32) -> Self {
        let placement = match placed.placement {
            Placement::BaseTime => PlacedBy::BaseTime,
            Placement::Absolute => PlacedBy::Absolute,
            Placement::Estimate(ClockSource::Collectives) => PlacedBy::Collectives,
            Placement::Estimate(ClockSource::HandOffs) => PlacedBy::HandOffs,
            Placement::None => PlacedBy::Nothing,
        };
        Self {
            input,
            placement,
            offset_ns: (placed.placement != Placement::None).then_some(placed.offset_ns),
            reference: placed.reference,
            n_matched: placed.n_matched,
            error_ns: placed.error_ns,
            correction_ns: placed.correction_ns,
            run,
        }
    }
}

/// The inputs as they lie on one time line.
pub fn placements(alignment: &Alignment) -> Vec<Placed> {
    let is_reference = |i: usize| {
        let of = |clock: &InputClock| clock.estimate.is_some_and(|found| found.reference == i);
        alignment.inputs.iter().any(of)
    };
    let clocks = alignment.inputs.iter().enumerate();
    let line_ns = alignment.base_time_ns.unwrap_or(0);
    clocks.map(|(i, clock)| placed(clock, line_ns, is_reference(i).then_some(i))).collect()
}

/// One input, where 0 of the common line is at `line_ns` of Unix time; `own` is its number where others are measured
/// against it.
fn placed(clock: &InputClock, line_ns: i64, own: Option<usize>) -> Placed {
    let placement = match (clock.base, clock.estimate) {
        (ClockBase::Stated(_), _) => Placement::BaseTime,
        (ClockBase::Absolute, _) => Placement::Absolute,
        (ClockBase::Unknown, Some(found)) => Placement::Estimate(found.source),
        // Where no input has Unix time, the first one's own time is the line.
        (ClockBase::Unknown, None) if own.is_some() => {
            Placement::Estimate(ClockSource::Collectives)
        }
        (ClockBase::Unknown, None) => Placement::None,
    };
    let found = clock.estimate;
    Placed {
        offset_ns: clock.shift_ns.saturating_add(line_ns),
        placement,
        correction_ns: clock.correction_ns,
        reference: found.map(|found| found.reference).or(own),
        n_matched: found.map(|found| found.n_matched as u64).or(own.map(|_| 0)),
        error_ns: found.map(|found| left_error(clock, found)).or(own.map(|_| 0)),
    }
}

/// The span of a matched operation on one of its inputs.
pub(super) fn span_on(one: &Matched, input: usize) -> Option<Span> {
    one.time_of(input).map(|(start_ns, end_ns)| Span::new(start_ns, end_ns))
}

/// By how much an input may be wrong after correction: the error of its offset, and the offset where it is not applied.
fn left_error(clock: &InputClock, found: OffsetEstimate) -> i64 {
    let left_ns = found.offset_ns.saturating_add(clock.correction_ns).saturating_abs();
    found.error_ns.saturating_add(left_ns)
}

/// How well each input agrees with one on the ends of what they share, by their bases alone.
pub(super) fn clock_checks_of(
    reference: usize,
    matched: &[Matched],
    alignment: &Alignment,
) -> Vec<ClockRow> {
    let end =
        |input: usize, end_ns: i64| end_ns.saturating_add(alignment.inputs[input].base_shift_ns);
    let mut differences: BTreeMap<usize, Vec<i64>> = BTreeMap::new();
    for one in matched.iter().filter(|one| one.meeting == Meeting::EndsTogether) {
        let Some((_, own_ns)) = one.time_of(reference) else { continue };
        let own_ns = end(reference, own_ns);
        let others = one.calls.iter().zip(&one.times).filter(|(call, _)| call.0 > reference);
        for (&(input, _), &(_, end_ns)) in others {
            let difference = end(input, end_ns).saturating_sub(own_ns);
            differences.entry(input).or_default().push(difference);
        }
    }
    let row = |(input, mut differences): (usize, Vec<i64>)| {
        differences.sort_unstable();
        let median_ns = differences[differences.len() / 2];
        let spread = differences.iter().map(|d| d.saturating_sub(median_ns).saturating_abs()).max();
        ClockRow {
            reference,
            input,
            n_matched: differences.len() as u64,
            median_ns,
            spread_ns: spread.unwrap_or(0),
        }
    };
    differences.into_iter().map(row).collect()
}
