//! Links that are slower than others for the same operation and size.
//!
//! The rank that comes last waits for nobody: the time of its kernel is the transfer. It is compared over process groups of
//! one size, or pairs of ranks, that do the same operation with as many elements of one type.

use std::collections::BTreeMap;

use super::statistics::Usual;
use super::{FEWEST, LinkKind, RankInput, SlowLinkRow};
use crate::align::{Call, GroupKey, Matched, Meeting, Together};
use crate::analyze::percent;
use crate::model::middle;

/// The usual spread of a transfer's median over links is taken to be at least this, in thousandths.
const FLOOR_PER_MILLE: i64 = 20;

/// A link is named from this excess on, in percent of the others: less may be its place in the machine.
const LEAST_PCT: i64 = 25;

/// Operations of a link below which nothing is said of it.
const FEWEST_CALLS: usize = 3;

/// What links must share to be compared: run, kind, size of the group, operation.
type What<'a> = (u32, LinkKind, u32, &'a str);

/// The two ends of a link, or the ranks of its group and its name.
type Link<'a> = (Option<(u32, u32)>, &'a str, &'a str);

/// Which call of an input is which.
struct Calls<'a>(BTreeMap<u32, (&'a GroupKey, &'a Call)>);

impl<'a> Calls<'a> {
    fn of(input: &RankInput<'a>) -> Self {
        let groups = input.shared.groups.iter();
        let calls = groups.flat_map(|group| group.calls.iter().map(|call| (&group.key, call)));
        Self(calls.map(|(key, call)| (call.slice, (key, call))).collect())
    }
}

/// The slow ones, the slowest first.
pub(super) fn slow_links(inputs: &[RankInput<'_>], together: &Together) -> Vec<SlowLinkRow> {
    let calls: Vec<Calls<'_>> = inputs.iter().map(Calls::of).collect();
    let mut all: BTreeMap<What<'_>, BTreeMap<Link<'_>, Vec<i64>>> = BTreeMap::new();
    for one in together.matched.iter().filter(|one| one.meeting != Meeting::EndsApart) {
        let Some(&(input, slice)) = one.calls.first() else { continue };
        let Some(&(key, call)) = calls[input].0.get(&slice) else { continue };
        let operation = inputs[input].shared.signatures.get(call.signature as usize);
        let (Some((what, link)), Some(operation)) = (link_of(one, key), operation) else {
            continue;
        };
        let (kind, size) = what;
        let durs = one.times.iter().map(|(start, end)| end.saturating_sub(*start));
        let of = all.entry((together.runs[input], kind, size, operation)).or_default();
        of.entry(link).or_default().extend(durs.min());
    }
    let mut rows: Vec<SlowLinkRow> =
        all.into_iter().flat_map(|(what, of)| slow(what, of)).collect();
    rows.sort_by_key(|row| (row.run, row.others_ns - row.median_ns));
    rows
}

/// What a matched operation went over; `None` where nothing names it, or not all of the group are there.
fn link_of<'a>(one: &Matched, key: &'a GroupKey) -> Option<((LinkKind, u32), Link<'a>)> {
    if key.message.is_some() {
        return Some(((LinkKind::Pair, 2), (key.message, "", "")));
    }
    let (name, ranks, size) = key.named.as_ref()?;
    // Whoever is not recorded may have come last.
    (one.calls.len() == *size as usize)
        .then_some(((LinkKind::Group, *size), (None, ranks.as_str(), name.as_str())))
}

/// The slow ones of some that are alike.
fn slow(what: What<'_>, links: BTreeMap<Link<'_>, Vec<i64>>) -> Vec<SlowLinkRow> {
    let median = |(link, mut durs): (_, Vec<i64>)| {
        let count = durs.len();
        Some((link, count, middle(&mut durs).filter(|_| count >= FEWEST_CALLS)?))
    };
    let medians: Vec<(Link<'_>, usize, i64)> = links.into_iter().filter_map(median).collect();
    let usual = Usual::of(medians.iter().map(|one| one.2), FLOOR_PER_MILLE);
    let Some(usual) = usual.filter(|_| medians.len() >= FEWEST) else { return Vec::new() };
    let is_slow = |ns: i64| {
        let excess = usual.excess(ns);
        excess.is_some_and(|excess| {
            excess.saturating_mul(100) >= usual.median.saturating_mul(LEAST_PCT)
        })
    };
    let n_links = medians.len() as u64;
    let slow = medians.into_iter().filter(|one| is_slow(one.2));
    let (run, kind, _, operation) = what;
    let row = |(link, count, median_ns): (Link<'_>, usize, i64)| SlowLinkRow {
        run,
        kind,
        ranks: ranks_of(link),
        operation: operation.to_owned(),
        count: count as u64,
        median_ns,
        others_ns: usual.median,
        slower_pct: percent(median_ns - usual.median, usual.median),
        n_links,
    };
    slow.map(row).collect()
}

fn ranks_of((ends, ranks, name): Link<'_>) -> String {
    match ends {
        Some((from, to)) => format!("{from} to {to}"),
        None if ranks.is_empty() => name.to_owned(),
        None => ranks.to_owned(),
    }
}
