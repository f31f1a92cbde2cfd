//! Kernels that run far past the next start of their stream, which a stream does not allow: a corrupt end.
//!
//! Some overlap is sound: kernels that are launched ahead of their dependency, branches of a graph that share a stream
//! number. So a kernel counts only where it is many times longer than the time to the next start and than the middle kernel
//! of its name.

use std::collections::BTreeMap;

use super::devices::{ActivityRow, DeviceActivity};
use super::quantiles::rank_of;
use crate::model::limits::{OVERRUN_FACTOR, OVERRUN_NS};
use crate::store::{Store, StrId};

/// One such kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overrun {
    /// Its place in [`DeviceActivity::slices`].
    pub row: usize,
    /// The next start of its stream.
    pub cut_ns: i64,
    /// By how much it runs past it.
    pub over_ns: i64,
}

/// The kernels of a device that run far past the next start of their stream, in time order.
pub fn overruns(store: &Store, activity: &DeviceActivity) -> Vec<Overrun> {
    let mut found = candidates(&activity.slices);
    if !found.is_empty() {
        let lengths = lengths_by_name(store, activity, &found);
        found.retain(|one| is_odd(store, activity, one, &lengths));
    }
    found
}

/// Those that are far longer than the time to the next start.
fn candidates(rows: &[ActivityRow]) -> Vec<Overrun> {
    // By stream: the earliest start seen, going backwards, and the next one that differs from it.
    let mut starts: BTreeMap<Option<u32>, (i64, i64)> = BTreeMap::new();
    let mut found = Vec::new();
    for (number, row) in rows.iter().enumerate().rev() {
        let span = row.span;
        let known = starts.entry(row.stream).or_insert((i64::MAX, i64::MAX));
        if known.0 != span.start_ns {
            *known = (span.start_ns, known.0);
        }
        let cut_ns = known.1;
        if row.kind.is_kernel() && cut_ns < span.end_ns {
            let over_ns = span.end_ns - cut_ns;
            let far_ns = (cut_ns - span.start_ns).saturating_mul(OVERRUN_FACTOR);
            if over_ns >= OVERRUN_NS && span.len_ns() >= far_ns {
                found.push(Overrun { row: number, cut_ns, over_ns });
            }
        }
    }
    found.reverse();
    found
}

/// The durations of each name that a candidate has, ascending.
type Lengths = BTreeMap<StrId, Vec<i64>>;

fn lengths_by_name(store: &Store, activity: &DeviceActivity, found: &[Overrun]) -> Lengths {
    let name = |row: &ActivityRow| store.slices.name[row.slice as usize];
    let mut lengths: Lengths =
        found.iter().map(|one| (name(&activity.slices[one.row]), Vec::new())).collect();
    for row in &activity.slices {
        if let Some(of_name) = lengths.get_mut(&name(row)) {
            of_name.push(row.span.len_ns());
        }
    }
    lengths.values_mut().for_each(|of_name| of_name.sort_unstable());
    lengths
}

/// Whether it is far longer than the other kernels of its name, or, where there is none, longer than half of the window.
fn is_odd(store: &Store, activity: &DeviceActivity, one: &Overrun, lengths: &Lengths) -> bool {
    let mine = &activity.slices[one.row];
    let len_ns = mine.span.len_ns();
    let of_name = lengths.get(&store.slices.name[mine.slice as usize]);
    match of_name.and_then(|of_name| middle_of_others(of_name, len_ns)) {
        Some(middle_ns) => len_ns >= middle_ns.saturating_mul(OVERRUN_FACTOR),
        None => len_ns > activity.window.len_ns() / 2,
    }
}

/// The median of ascending values without one of them; `None` where there is no other.
fn middle_of_others(sorted: &[i64], own: i64) -> Option<i64> {
    let at = sorted.partition_point(|&value| value < own);
    let place = rank_of(sorted.len().checked_sub(1)?, 50)?;
    sorted.get(if place < at { place } else { place + 1 }).copied()
}

#[cfg(test)]
mod tests {
    use super::middle_of_others;
    use crate::analyze::quantiles::Quantiles;

    #[test]
    fn the_middle_of_the_others_is_that_of_a_list_without_it() {
        for sorted in [&[5][..], &[5, 5], &[1, 5, 9], &[1, 2, 2, 7, 9, 9], &[0, 1, 2, 3, 4, 5, 6]] {
            for (at, &own) in sorted.iter().enumerate() {
                let others = sorted.iter().enumerate().filter(|&(other, _)| other != at);
                let plain = Quantiles::of(others.map(|(_, &value)| value)).map(|q| q.p50_ns);
                assert_eq!(middle_of_others(sorted, own), plain, "{sorted:?} without {own}");
            }
        }
    }
}
