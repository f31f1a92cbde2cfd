//! Clock offsets between inputs, with an error bar.
//!
//! Kineto writes times relative to a base of its own (`baseTimeNanoseconds`), which ranks mostly share and which differs
//! when a process started before a quarter's boundary; adding it gives wall-clock time. Hosts may still disagree. Then
//! matched collectives tell: offset = median of the differences of their ends, error = the largest distance of a kept
//! difference from it. Inputs without collectives in common may have hand-offs ([`HandOffBounds`]): bounds on both sides
//! give an offset, one alone is only told.

use super::AlignInput;
use super::collectives::{Matched, Meeting};
use super::handoffs::{HandOffBounds, bounds};
use crate::model::middle;
use crate::store::Store;

/// Absolute timestamps are at least this (1973 in Unix time); relative ones of one capture never get there.
const ABSOLUTE_NS: i64 = 100_000_000_000_000_000;

/// What a matched collective's ends may differ by even on one clock, where there are too few to tell (ends of a real
/// 8-rank set agree within 7 us).
const FEW_MATCHES_ERROR_NS: i64 = 20_000;

/// Matches below which the spread says little.
const FEW_MATCHES: usize = 3;

/// How to bring clocks together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "program", derive(clap::ValueEnum))]
pub enum AlignMode {
    /// Bases, then offsets where they are larger than their error.
    #[default]
    Auto,
    /// Bases only.
    Base,
    /// Bases, then offsets of collectives wherever there are any.
    Collectives,
    /// Times as written.
    None,
}

/// What an input's times are relative to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClockBase {
    /// `baseTimeNanoseconds`.
    Stated(i64),
    /// The times are Unix times themselves.
    Absolute,
    /// Nothing says.
    #[default]
    Unknown,
}

/// What an offset was measured by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockSource {
    /// Matched collectives.
    Collectives,
    /// Matched hand-offs in both directions.
    HandOffs,
}

/// How far a clock is ahead of the reference's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OffsetEstimate {
    /// What it was measured by.
    pub source: ClockSource,
    /// The input it is measured against.
    pub reference: usize,
    /// This clock less the reference's, in nanoseconds, bases included.
    pub offset_ns: i64,
    /// Every kept collective lies within this distance of the offset, in nanoseconds; bounds by hand-offs enclose it so.
    pub error_ns: i64,
    /// Collectives or hand-offs that matched.
    pub n_matched: usize,
    /// Of these, how many were left out for lying far from the others.
    pub n_dropped: usize,
}

/// One input's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InputClock {
    /// What its times are relative to.
    pub base: ClockBase,
    /// What is added to its times so that they are relative to the earliest stated base, without correction.
    pub base_shift_ns: i64,
    /// How far it is ahead; `None` where nothing matched, or hand-offs went in one direction only.
    pub estimate: Option<OffsetEstimate>,
    /// What hand-offs say, where no collectives matched.
    pub bounds: Option<HandOffBounds>,
    /// The correction that is applied: the negative offset, or 0.
    pub correction_ns: i64,
    /// All that is added to its times, so that they are relative to [`Alignment::base_time_ns`].
    pub shift_ns: i64,
}

/// Where each input lies on the common time line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Alignment {
    /// Unix time of 0 on the common time line; `None` where no input says.
    pub base_time_ns: Option<i64>,
    /// One for each input.
    pub inputs: Vec<InputClock>,
}

/// The median, and 0 of nothing.
pub(super) fn median(values: &mut [i64]) -> i64 {
    middle(values).unwrap_or(0)
}

/// Brings the clocks of inputs together; `matched` are the collectives that they share.
pub fn align_clocks(inputs: &[AlignInput<'_>], matched: &[Matched], mode: AlignMode) -> Alignment {
    let bases: Vec<ClockBase> = inputs.iter().map(|input| input.digest.base).collect();
    let stated = bases.iter().filter_map(|base| match base {
        ClockBase::Stated(ns) => Some(*ns),
        _ => None,
    });
    let base_time_ns = stated.min();
    let mut clocks: Vec<InputClock> = bases
        .iter()
        .map(|&base| {
            let base_shift_ns = match (base, base_time_ns) {
                (ClockBase::Stated(own), Some(common)) => own.saturating_sub(common),
                (ClockBase::Absolute, Some(common)) => common.saturating_neg(),
                _ => 0,
            };
            InputClock {
                base,
                base_shift_ns,
                estimate: None,
                bounds: None,
                correction_ns: 0,
                shift_ns: 0,
            }
        })
        .collect();
    if mode == AlignMode::None {
        clocks.iter_mut().for_each(|clock| clock.base_shift_ns = 0);
        let of_first = bases.first().and_then(|base| match base {
            ClockBase::Stated(ns) => Some(*ns),
            _ => None,
        });
        return Alignment { base_time_ns: of_first, inputs: clocks };
    }
    estimate(inputs, matched, &mut clocks);
    for clock in &mut clocks {
        clock.correction_ns = correction(clock, mode);
        clock.shift_ns = clock.base_shift_ns.saturating_add(clock.correction_ns);
    }
    let origin_ns = base_time_ns.map_or(0, |_| origin(inputs, &clocks));
    for clock in &mut clocks {
        clock.shift_ns = clock.shift_ns.saturating_sub(origin_ns);
    }
    let base_time_ns = base_time_ns.map(|ns| ns.saturating_add(origin_ns));
    Alignment { base_time_ns, inputs: clocks }
}

/// By how much the common base is moved towards the first event: to the last whole second before it. Weeks after a base, a
/// time in microseconds has more digits than the doubles that most readers of JSON take it for, Perfetto's importer among
/// them: ends that were equal then differ by a nanosecond, and slices no longer nest.
fn origin(inputs: &[AlignInput<'_>], clocks: &[InputClock]) -> i64 {
    const SECOND_NS: i64 = 1_000_000_000;
    let firsts = inputs
        .iter()
        .zip(clocks)
        .filter_map(|(input, clock)| Some(input.digest.first_ns?.saturating_add(clock.shift_ns)));
    let first_ns = firsts.min().unwrap_or(0).max(0);
    first_ns - first_ns % SECOND_NS
}

/// What an input's times are relative to.
pub fn base_of(store: &Store) -> ClockBase {
    match store.meta.base_time_ns {
        Some(ns) => ClockBase::Stated(ns),
        None => match first_start(store) {
            Some(ns) if ns >= ABSOLUTE_NS => ClockBase::Absolute,
            _ => ClockBase::Unknown,
        },
    }
}

/// The first start, zeros aside: metadata-like events at 0 stand in traces of absolute times.
fn first_start(store: &Store) -> Option<i64> {
    let firsts =
        store.tracks.iter().filter_map(|track| store.slices.ts_ns.get(track.slices.clone()));
    firsts.flat_map(|ts| ts.iter().find(|&&ts| ts > 0)).min().copied()
}

fn correction(clock: &InputClock, mode: AlignMode) -> i64 {
    let Some(estimate) = clock.estimate else { return 0 };
    let applies = match mode {
        // Where nothing states a base, the estimate is all that places it.
        AlignMode::Auto if clock.base == ClockBase::Unknown => true,
        AlignMode::Auto => estimate.offset_ns.saturating_abs() > estimate.error_ns,
        AlignMode::Collectives => estimate.source == ClockSource::Collectives,
        AlignMode::Base | AlignMode::None => false,
    };
    if applies { estimate.offset_ns.saturating_neg() } else { 0 }
}

/// Measures each input against the first one before it with which collectives match, else with which hand-offs do,
/// chaining through that one. Inputs that state a base come first: the others are measured against those.
fn estimate(inputs: &[AlignInput<'_>], matched: &[Matched], clocks: &mut [InputClock]) {
    let mut order: Vec<usize> = (0..inputs.len()).collect();
    order.sort_by_key(|&i| clocks[i].base == ClockBase::Unknown);
    let mut places = vec![0; inputs.len()];
    order.iter().enumerate().for_each(|(place, &i)| places[i] = place);
    let ends = Ends::of(&places, matched);
    for (nth, &i) in order.iter().enumerate() {
        let before = || order[..nth].iter().copied().filter(|&r| inputs[r].run == inputs[i].run);
        let shift_to = |reference: usize, clocks: &[InputClock]| {
            clocks[i].base_shift_ns.saturating_sub(clocks[reference].base_shift_ns)
        };
        let is_stated = clocks[i].base != ClockBase::Unknown;
        let first = ends.first_shared(i, is_stated, &places);
        let by_collectives = first.and_then(|reference| {
            let shared = ends.shared(reference, i, is_stated);
            let found = offset_of(&shared, shift_to(reference, clocks))?;
            Some(OffsetEstimate { reference, ..found })
        });
        if let Some(found) = by_collectives {
            clocks[i].estimate = Some(chained(found, clocks));
            continue;
        }
        let by_handoffs = before().filter_map(|reference| {
            let found =
                bounds(&inputs[reference], &inputs[i])?.shifted(shift_to(reference, clocks));
            Some(HandOffBounds { reference, ..found })
        });
        // Bounds on both sides say more than one.
        let found = by_handoffs.min_by_key(|found| found.offset().is_none());
        clocks[i].bounds = found;
        clocks[i].estimate = found.and_then(|found| {
            let (offset_ns, error_ns) = found.offset()?;
            let (reference, n_matched) = (found.reference, found.n_matched);
            let source = ClockSource::HandOffs;
            let found =
                OffsetEstimate { source, reference, offset_ns, error_ns, n_matched, n_dropped: 0 };
            Some(chained(found, clocks))
        });
    }
}

/// Ends of the matched collectives that end together, by input.
struct Ends {
    /// Of each input: number of the collective, its end by the input's own clock, and whether it is a kernel.
    by_input: Vec<Vec<(usize, i64, bool)>>,
    /// Of each collective, the input that is measured first.
    firsts: Vec<usize>,
}

impl Ends {
    /// `places` is the order in which inputs are measured.
    fn of(places: &[usize], matched: &[Matched]) -> Self {
        let mut by_input = vec![Vec::new(); places.len()];
        let mut firsts = Vec::new();
        let together = |one: &&Matched| one.meeting == Meeting::EndsTogether;
        for (number, one) in matched.iter().filter(together).enumerate() {
            for (&(input, _), &(_, end_ns)) in one.calls.iter().zip(&one.times) {
                by_input[input].push((number, end_ns, one.is_on_device));
            }
            let members = one.calls.iter().map(|&(input, _)| input);
            firsts.extend(members.min_by_key(|&input| places[input]));
        }
        Self { by_input, firsts }
    }

    /// The first of the inputs measured before this one that it shares a collective with. An input that states a base is
    /// measured by kernels alone; those before it state one, too.
    fn first_shared(&self, input: usize, only_kernels: bool, places: &[usize]) -> Option<usize> {
        let all = self.by_input[input].iter();
        let counting = all.filter(|&&(.., is_kernel)| is_kernel || !only_kernels);
        let firsts = counting.map(|&(number, ..)| self.firsts[number]);
        firsts.min_by_key(|&other| places[other]).filter(|&other| places[other] < places[input])
    }

    /// Ends of what two inputs share, as (there, here). Operators of the host return when they like: they only place what
    /// nothing else places.
    fn shared(&self, reference: usize, input: usize, only_kernels: bool) -> Vec<(i64, i64)> {
        let mut others = self.by_input[reference].iter().peekable();
        let mut ends = Vec::new();
        for &(number, end_ns, is_kernel) in &self.by_input[input] {
            while others.next_if(|other| other.0 < number).is_some() {}
            if let Some(other) = others.next_if(|other| other.0 == number)
                && (is_kernel || !only_kernels)
            {
                ends.push((other.1, end_ns));
            }
        }
        ends
    }
}

/// An offset to a reference that has one itself, to that one's reference.
fn chained(mut found: OffsetEstimate, clocks: &[InputClock]) -> OffsetEstimate {
    if let Some(before) = clocks[found.reference].estimate {
        found.reference = before.reference;
        found.offset_ns = found.offset_ns.saturating_add(before.offset_ns);
        found.error_ns = found.error_ns.saturating_add(before.error_ns);
    }
    found
}

/// The offset that matched ends tell; `shift_ns` is what the bases already account for.
fn offset_of(ends: &[(i64, i64)], shift_ns: i64) -> Option<OffsetEstimate> {
    let difference =
        |&(ours, theirs): &(i64, i64)| theirs.saturating_sub(ours).saturating_add(shift_ns);
    let mut differences: Vec<i64> = ends.iter().map(difference).collect();
    if differences.is_empty() {
        return None;
    }
    let middle = median(&mut differences);
    let distance = |value: i64| value.saturating_sub(middle).saturating_abs();
    let mut distances: Vec<i64> = differences.iter().map(|&d| distance(d)).collect();
    // Ten times the typical distance is no longer noise, but a collective that one rank left early.
    let limit = median(&mut distances).saturating_mul(10).max(FEW_MATCHES_ERROR_NS);
    differences.retain(|&difference| distance(difference) <= limit);
    let n_dropped = ends.len() - differences.len();
    let offset_ns = median(&mut differences);
    let spread = differences.iter().map(|&d| d.saturating_sub(offset_ns).saturating_abs()).max();
    let error_ns = match spread.unwrap_or(0) {
        spread if differences.len() < FEW_MATCHES => spread.max(FEW_MATCHES_ERROR_NS),
        spread => spread.max(1),
    };
    let (source, n_matched) = (ClockSource::Collectives, ends.len());
    Some(OffsetEstimate { source, reference: 0, offset_ns, error_ns, n_matched, n_dropped })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{FEW_MATCHES_ERROR_NS, offset_of};

    #[test]
    fn outliers_are_dropped_and_counted() {
        let mut ends: Vec<(i64, i64)> =
            (0..20).map(|i| (i * 1000, i * 1000 + 500 + i % 3)).collect();
        ends.push((30_000, 90_000_000));
        let found = offset_of(&ends, 0).unwrap();
        assert_eq!((found.offset_ns, found.error_ns), (501, 1));
        assert_eq!((found.n_matched, found.n_dropped), (21, 1));
    }

    #[test]
    fn one_match_is_not_exact() {
        assert_eq!(offset_of(&[(10, 20)], 5).unwrap().error_ns, FEW_MATCHES_ERROR_NS);
        assert_eq!(offset_of(&[], 5), None);
    }

    proptest! {
        #[test]
        fn every_kept_match_lies_within_the_error(
            ends in prop::collection::vec((-1_000_000..1_000_000_i64, -8_000..8_000_i64), 1..40),
            shift in -1_000_000_000_000..1_000_000_000_000_i64,
        ) {
            let ends: Vec<(i64, i64)> = ends.into_iter().map(|(end, noise)| (end, end + noise + shift)).collect();
            let found = offset_of(&ends, 0).unwrap();
            let distance = |&(a, b): &(i64, i64)| (b - a - found.offset_ns).abs();
            let inside = ends.iter().filter(|pair| distance(pair) <= found.error_ns).count();
            prop_assert!(inside >= found.n_matched - found.n_dropped);
            prop_assert!((found.offset_ns - shift).abs() <= 8_000);
        }
    }
}
