//! Kernels that run far past the next start of their stream, which a stream does not allow: a corrupt end.
//!
//! Some overlap is sound: kernels that are launched ahead of their dependency, branches of a graph that share a stream
//! number. So a kernel counts only where it is many times longer than the time to the next start and than the middle kernel
//! of its name.

use std::collections::BTreeMap;

use super::devices::{ActivityRow, DeviceActivity};
use super::quantiles::Quantiles;
use crate::model::limits::{OVERRUN_FACTOR, OVERRUN_NS};
use crate::store::Store;

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
        found.retain(|one| is_odd(store, activity, one));
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

/// Whether it is far longer than the other kernels of its name, or, where there is none, longer than half of the window.
fn is_odd(store: &Store, activity: &DeviceActivity, one: &Overrun) -> bool {
    let name = |row: &ActivityRow| store.slices.name[row.slice as usize];
    let mine = &activity.slices[one.row];
    let others =
        activity.slices.iter().filter(|row| row.slice != mine.slice && name(row) == name(mine));
    match Quantiles::of(others.map(|row| row.span.len_ns())) {
        Some(others) => mine.span.len_ns() >= others.p50_ns.saturating_mul(OVERRUN_FACTOR),
        None => mine.span.len_ns() > activity.window.len_ns() / 2,
    }
}
