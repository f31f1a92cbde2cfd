//! Which thread an overhead row belongs to: writers put them on a pseudo process, often without naming the thread.

use std::cmp::Reverse;

use super::names::NameRules;
use crate::model::EventKind;
use crate::store::{Store, TrackId};

/// The overhead rows that have a class, as (track, slice) in the order of nesting. Rows on a host thread's own track
/// already nest there and are not among them. `hosts` is sorted.
///
/// A row whose thread id is that of one host thread belongs to it. Otherwise it belongs to the thread with the operator,
/// annotation or call that encloses it most closely, the one that starts last; where nothing encloses it, to none.
pub(super) fn assign(store: &Store, hosts: &[usize], names: &NameRules<'_>) -> Vec<(usize, u32)> {
    if !store.categories.iter().any(|&(_, kind)| kind == EventKind::Overhead) {
        return Vec::new();
    }
    let mut rows: Vec<usize> = store
        .all_of(|kind| kind == EventKind::Overhead)
        .filter(|&slice| names.rule(EventKind::Overhead, store.slices.name[slice]).is_some())
        .filter(|&slice| hosts.binary_search(&store.track_of(slice)).is_err())
        .collect();
    rows.sort_by_key(|&row| (store.slices.ts_ns[row], Reverse(store.slices.end_ns(row)), row));
    let mut owners: Vec<Option<usize>> =
        rows.iter().map(|&row| owner_by_tid(store, hosts, row)).collect();
    let mut enclosing_start = vec![i64::MIN; rows.len()];
    for &track in hosts {
        for (i, start) in enclosing_starts(store, track, &rows) {
            let is_closer = owners[i].is_none() || enclosing_start[i] > i64::MIN;
            if is_closer && start > enclosing_start[i] {
                enclosing_start[i] = start;
                owners[i] = Some(track);
            }
        }
    }
    let owned = owners.into_iter().zip(rows);
    owned.filter_map(|(owner, row)| Some((owner?, row as u32))).collect()
}

/// The one host thread with the thread id of a row.
fn owner_by_tid(store: &Store, hosts: &[usize], row: usize) -> Option<usize> {
    let own = store.track_of(row);
    let tid = store.tracks[own].tid;
    if tid == TrackId::Int(0) {
        return None;
    }
    let mut same = hosts.iter().copied().filter(|&track| store.tracks[track].tid == tid);
    let first = same.next()?;
    same.next().is_none().then_some(first)
}

/// For each row that an event of a track encloses: its number and the start of the innermost such event.
fn enclosing_starts(store: &Store, track: usize, rows: &[usize]) -> Vec<(usize, i64)> {
    let mut found = Vec::new();
    let mut open: Vec<(i64, i64)> = Vec::new();
    let mut events =
        store.tracks[track].slices.clone().filter(|&slice| encloses(store.kind(slice))).peekable();
    for (i, &row) in rows.iter().enumerate() {
        let (start, end) = (store.slices.ts_ns[row], store.slices.end_ns(row));
        while let Some(event) = events.next_if(|&event| store.slices.ts_ns[event] <= start) {
            let event_start = store.slices.ts_ns[event];
            while open.last().is_some_and(|&(_, open_end)| open_end < event_start) {
                open.pop();
            }
            open.push((event_start, store.slices.end_ns(event)));
        }
        let innermost = open.iter().rev().find(|&&(_, open_end)| open_end >= end);
        found.extend(innermost.map(|&(event_start, _)| (i, event_start)));
    }
    found
}

fn encloses(kind: EventKind) -> bool {
    kind.is_api_call() || matches!(kind, EventKind::CpuOp | EventKind::UserAnnotation)
}
