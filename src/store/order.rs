//! The order of a store's slices: by track, each sorted as nesting needs it.

use rayon::prelude::*;

use super::{CompactColumn, Track};

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
