//! Several inputs on one time line, and what their collectives say about it.
//!
//! A trace with `baseTimeNanoseconds` has Unix time; so have older ones with absolute timestamps. Any other is placed by
//! the ends of collectives that it shares with a placed one, which is an estimate and said to be one.

use std::collections::BTreeMap;

use super::base::TimeBase;
use super::devices::ActivityKind;
use super::intervals::Span;
use super::window::{is_impossible, slice_span};
use crate::model::EventKind;
use crate::store::{CollectiveRow, Store, StrId};

/// Timestamps later than this (1973) can only be Unix time: no machine is up that long.
const ABSOLUTE_FROM_NS: i64 = 100_000_000_000_000_000;

/// One input with its time base.
#[derive(Clone, Copy, Debug)]
pub struct TimedInput<'a> {
    /// Its events.
    pub store: &'a Store,
    /// Its time base.
    pub base: &'a TimeBase,
}

/// How an input came on the common time line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// By `baseTimeNanoseconds`.
    BaseTime,
    /// Its timestamps are absolute.
    Absolute,
    /// By the ends of collectives shared with another input; figures across inputs are estimates.
    Collectives {
        /// The input that it was compared with.
        reference: usize,
        /// Shared collectives.
        n_matched: u64,
        /// Half the spread of the single estimates.
        error_ns: i64,
    },
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
}

/// How well the ends of shared collectives of two inputs agree. They end together, so that the difference is the error
/// of the clocks (and, for those that need not end together, of the collective).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockCheck {
    /// The first input.
    pub reference: usize,
    /// The other one.
    pub input: usize,
    /// Shared collectives.
    pub n_matched: u64,
    /// Median of the other's end less the first one's end.
    pub median_ns: i64,
    /// Largest distance of a single difference from the median.
    pub spread_ns: i64,
}

/// A collective that several inputs show: its span in each, as recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matched {
    /// Name of the collective.
    pub name: String,
    /// Name of the process group, where known.
    pub group: String,
    /// (input, span), by input.
    pub spans: Vec<(usize, Span)>,
}

/// What collectives of several inputs must share to be the same, besides their number.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Group {
    name: String,
    group: String,
    ranks: String,
}

/// A collective of one input: its sequence number, where recorded, and its span.
type Numbered = (Option<u64>, Span);

/// The collectives that at least two inputs show.
///
/// Matched by sequence number where the trace has it. Otherwise by order within group and name, and only where all
/// inputs that show the group have equally many, because one missing at a window's edge would shift all others.
/// Point-to-point operations are left out.
pub fn matched_collectives(inputs: &[TimedInput<'_>]) -> Vec<Matched> {
    let mut by_group: BTreeMap<Group, Vec<(usize, Vec<Numbered>)>> = BTreeMap::new();
    for (number, input) in inputs.iter().enumerate() {
        for (group, spans) in collectives_of(input) {
            by_group.entry(group).or_default().push((number, spans));
        }
    }
    let mut matched = Vec::new();
    for (group, parts) in by_group {
        let is_numbered = parts.iter().all(|(_, spans)| spans.iter().all(|(seq, _)| seq.is_some()));
        let has_equal_counts = parts.windows(2).all(|w| w[0].1.len() == w[1].1.len());
        if !is_numbered && !has_equal_counts {
            continue;
        }
        let mut by_number: BTreeMap<u64, Vec<(usize, Span)>> = BTreeMap::new();
        for (input, spans) in parts {
            for (order, (seq, span)) in spans.into_iter().enumerate() {
                let number = seq.filter(|_| is_numbered).unwrap_or(order as u64);
                by_number.entry(number).or_default().push((input, span));
            }
        }
        // A number that one input shows twice (several kernels of one collective) identifies nothing.
        let is_unique = |spans: &[(usize, Span)]| spans.windows(2).all(|w| w[0].0 != w[1].0);
        let shared = by_number.into_values().filter(|spans| spans.len() > 1 && is_unique(spans));
        matched.extend(shared.map(|spans| Matched {
            name: group.name.clone(),
            group: group.group.clone(),
            spans,
        }));
    }
    matched
}

/// The collectives of an input, in time order: communication kernels where it has any, by their arguments or else by
/// name; operators that carry the arguments where it has none.
fn collectives_of(input: &TimedInput<'_>) -> BTreeMap<Group, Vec<Numbered>> {
    let store = input.store;
    let mut found: BTreeMap<Group, Vec<Numbered>> = BTreeMap::new();
    let mut add = |slice: usize, row: Option<&CollectiveRow>| {
        let name = row.map_or(store.name(slice), |row| store.strings.get(row.name));
        let is_alone = row.and_then(|row| row.group_size).is_some_and(|n| n < 2);
        let span = slice_span(store, slice);
        if is_pairwise(name) || is_alone || is_impossible(span.len_ns()) {
            return;
        }
        let text = |id: Option<StrId>| id.map_or("", |id| store.strings.get(id)).to_owned();
        let group = Group {
            name: name.to_owned(),
            group: text(row.and_then(|row| row.group_name)),
            ranks: text(row.and_then(|row| row.group_ranks)),
        };
        found.entry(group).or_default().push((row.and_then(|row| row.seq), span));
    };
    let comm = || {
        let rows = input.base.devices.iter().flat_map(|device| &device.slices);
        rows.filter(|row| row.kind == ActivityKind::Comm)
    };
    for row in comm() {
        add(row.slice as usize, store.collective_row(row.slice as usize));
    }
    if comm().next().is_none() {
        let is_op = |row: &&CollectiveRow| store.kind(row.slice as usize) == EventKind::CpuOp;
        store.collectives.iter().filter(is_op).for_each(|row| add(row.slice as usize, Some(row)));
    }
    for spans in found.values_mut() {
        spans.sort_by_key(|&(seq, span)| (span, seq));
    }
    found
}

fn is_pairwise(name: &str) -> bool {
    name.starts_with("send") || name.starts_with("recv") || matches!(name, "wait" | "init")
}

/// Puts inputs on one time line.
pub fn place(inputs: &[TimedInput<'_>], matched: &[Matched]) -> Vec<Placed> {
    let mut placed: Vec<Placed> = inputs.iter().map(own_placement).collect();
    let known = placed.iter().position(|p| p.placement != Placement::None);
    // Where no input has Unix time, the first one's own time is the line, and the others are estimated against it.
    let reference = known.unwrap_or(0);
    for input in 0..inputs.len() {
        if placed[input].placement != Placement::None || input == reference {
            continue;
        }
        if let Some(check) = clock_check(reference, input, matched, |_| 0) {
            placed[input] = Placed {
                offset_ns: placed[reference].offset_ns.saturating_sub(check.median_ns),
                placement: Placement::Collectives {
                    reference,
                    n_matched: check.n_matched,
                    error_ns: check.spread_ns,
                },
            };
        }
    }
    let is_estimated = placed.iter().any(|p| matches!(p.placement, Placement::Collectives { .. }));
    if known.is_none() && is_estimated {
        placed[0].placement = Placement::Collectives { reference: 0, n_matched: 0, error_ns: 0 };
    }
    placed
}

/// Whether a timestamp can only be Unix time.
pub(super) fn is_absolute(ts_ns: i64) -> bool {
    ts_ns >= ABSOLUTE_FROM_NS
}

fn own_placement(input: &TimedInput<'_>) -> Placed {
    match input.store.meta.base_time_ns {
        Some(offset_ns) => Placed { offset_ns, placement: Placement::BaseTime },
        None if is_absolute(input.base.windows.whole.start_ns) => {
            Placed { offset_ns: 0, placement: Placement::Absolute }
        }
        None => Placed { offset_ns: 0, placement: Placement::None },
    }
}

/// How well two inputs agree on the ends of what they share, with an offset added to each.
pub(super) fn clock_check(
    reference: usize,
    input: usize,
    matched: &[Matched],
    offset_ns: impl Fn(usize) -> i64,
) -> Option<ClockCheck> {
    let end = |one: &Matched, wanted: usize| {
        let found = one.spans.iter().find(|&&(number, _)| number == wanted);
        found.map(|&(_, span)| i128::from(span.end_ns) + i128::from(offset_ns(wanted)))
    };
    let differences =
        matched.iter().filter_map(|one| Some(end(one, input)? - end(one, reference)?));
    let mut differences: Vec<i64> = differences.filter_map(|d| i64::try_from(d).ok()).collect();
    differences.sort_unstable();
    let median_ns = *differences.get(differences.len() / 2)?;
    let spread = differences.iter().map(|d| d.saturating_sub(median_ns).saturating_abs()).max();
    Some(ClockCheck {
        reference,
        input,
        n_matched: differences.len() as u64,
        median_ns,
        spread_ns: spread.unwrap_or(0),
    })
}
