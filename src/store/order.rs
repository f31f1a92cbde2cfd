//! The order of a store's slices: by track, each sorted as nesting needs it; and columns put in an order.

use rayon::prelude::*;

use super::{CompactColumn, Track};

/// Rows that one thread puts in order at least.
const MIN_ROWS: usize = 1 << 14;

/// `out[i] = values[order[i]]`, in parallel.
pub(super) fn permute<T: Copy + Send + Sync>(values: &[T], order: &[u32]) -> Vec<T> {
    order.par_iter().with_min_len(MIN_ROWS).map(|&old| values[old as usize]).collect()
}

/// Puts `values[order[i]]` in place `i`. The memory of the values and that of `spare`, whose content means nothing, change places.
pub(super) fn permute_with(values: &mut Vec<u32>, order: &[u32], spare: &mut Vec<u32>) {
    spare.resize(order.len(), 0);
    let places = spare.par_iter_mut().with_min_len(MIN_ROWS).zip(order);
    places.for_each(|(place, &old)| *place = values[old as usize]);
    std::mem::swap(values, spare);
    values.shrink_to_fit();
}

/// The order of the store: by track, then (start, end descending, file order). Sets each track's range.
pub(super) fn grouped_order(
    track: &[u32],
    tracks: &mut [Track],
    ts_ns: &[i64],
    dur_ns: &CompactColumn,
) -> Vec<u32> {
    let mut next = vec![0_usize; tracks.len() + 1];
    for &t in track {
        next[t as usize + 1] += 1;
    }
    for t in 0..tracks.len() {
        next[t + 1] += next[t];
        tracks[t].slices = next[t]..next[t + 1];
    }
    let mut order = vec![0_u32; track.len()];
    for (old, &t) in track.iter().enumerate() {
        order[next[t as usize]] = old as u32;
        next[t as usize] += 1;
    }
    let key = |&old: &u32| {
        let ts = ts_ns[old as usize];
        let end = ts.saturating_add(dur_ns.get(old as usize).unwrap_or(0) as i64);
        (ts, std::cmp::Reverse(end))
    };
    let mut groups: Vec<&mut [u32]> = Vec::with_capacity(tracks.len());
    let mut rest = order.as_mut_slice();
    for t in tracks.iter() {
        let (group, tail) = rest.split_at_mut(t.slices.len());
        groups.push(group);
        rest = tail;
    }
    // One track often holds most slices: its own sort is spread over the threads, too.
    groups.into_par_iter().for_each(|group| {
        if !group.is_sorted_by_key(key) {
            group.par_sort_by_key(key);
        }
    });
    order
}
