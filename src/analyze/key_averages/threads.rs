//! The threads as torch has them: where each host slice counts.
//!
//! Operators, annotations and Python frames are on the thread they ran on. A runtime or driver call is on the thread of
//! the operator that it is linked to; without one, and for all profiler overhead, torch puts it on the thread that
//! stopped the profiler (`setKinetoTID` of `collection.cpp`), whatever thread it ran on. The trace does not name that
//! thread; [`stop_track`] finds it. Where operators are told by nesting, and before 2022, calls stay on their threads.

use std::collections::BTreeMap;
use std::ops::Range;

use rayon::prelude::*;

use super::origins::Origins;
use super::rows::First;
use crate::model::EventKind;
use crate::store::{Store, TrackId};

/// One thread: a track without what moves away, and what moves here.
pub(super) struct Thread {
    /// Track number.
    pub(super) track: usize,
    /// The slices of the track.
    pub(super) home: Range<usize>,
    /// Slices of other tracks that count here, in the order of nesting.
    pub(super) moved: Vec<u32>,
    /// Whether this is a thread that stopped the profiler.
    pub(super) takes_unlinked: bool,
}

/// Whether slices of a kind may count on another thread than they ran on.
#[inline]
pub(super) fn moves(kind: EventKind) -> bool {
    kind.is_api_call() || kind == EventKind::Overhead
}

/// All threads, and where slices count.
pub(super) struct Threads<'a> {
    /// Which operator launched what.
    pub(super) origins: &'a Origins,
    /// One for each track of the store.
    pub(super) all: Vec<Thread>,
    /// For each track, the track that its unlinked calls and overhead count on.
    stop_tracks: Vec<u32>,
}

impl<'a> Threads<'a> {
    /// Places all host slices of a store.
    pub(super) fn new(store: &Store, origins: &'a Origins) -> Self {
        let census: Vec<Census> = store
            .tracks
            .par_iter()
            .map(|track| Census::of(store, origins, &track.slices))
            .collect();
        let stop_tracks = stop_tracks(store, &census);
        let mut threads = Self { origins, all: Vec::new(), stop_tracks };
        threads.all = threads.placed(store, &census);
        threads
    }

    /// The track that a slice counts on.
    #[inline]
    pub(super) fn place(&self, store: &Store, slice: usize, track: usize) -> usize {
        match store.kind(slice) {
            EventKind::Runtime | EventKind::Driver => match self.origins.linked_op(store, slice) {
                Some(id) => self.origins.track_of(store, id).unwrap_or(track),
                None if self.origins.moves_unlinked => self.stop_tracks[track] as usize,
                None => track,
            },
            EventKind::Overhead => self.stop_tracks[track] as usize,
            _ => track,
        }
    }

    /// The slices that count on a thread, in the order of nesting.
    pub(super) fn slices_of<'s>(
        &'s self,
        store: &'s Store,
        thread: &'s Thread,
    ) -> impl Iterator<Item = usize> + 's {
        let first = |slice| First::of(store, self.origins, slice);
        let mut home = thread
            .home
            .clone()
            .filter(move |&s| self.place(store, s, thread.track) == thread.track);
        let mut moved = thread.moved.iter().map(|&s| s as usize);
        let (mut next_home, mut next_moved) = (home.next(), moved.next());
        std::iter::from_fn(move || match (next_home, next_moved) {
            (Some(a), Some(b)) if first(b) < first(a) => {
                std::mem::replace(&mut next_moved, moved.next())
            }
            (Some(_), _) => std::mem::replace(&mut next_home, home.next()),
            (None, _) => std::mem::replace(&mut next_moved, moved.next()),
        })
    }

    fn placed(&self, store: &Store, census: &[Census]) -> Vec<Thread> {
        let moves: Vec<(u32, u32)> = (0..store.tracks.len())
            .into_par_iter()
            .filter(|&track| census[track].calls + census[track].overhead > 0)
            .flat_map_iter(|track| {
                let slices = store.slices_of(store.tracks[track].slices.clone(), moves);
                slices.filter_map(move |slice| {
                    let target = self.place(store, slice, track);
                    (target != track).then_some((target as u32, slice as u32))
                })
            })
            .collect();
        let mut moved: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for (target, slice) in moves {
            moved.entry(target).or_default().push(slice);
        }
        let mut takes_unlinked = vec![false; store.tracks.len()];
        self.stop_tracks.iter().for_each(|&track| takes_unlinked[track as usize] = true);
        let thread = |track: usize| {
            let mut moved = moved.remove(&(track as u32)).unwrap_or_default();
            moved.sort_by_key(|&slice| First::of(store, self.origins, slice as usize));
            let takes_unlinked = takes_unlinked[track];
            Thread { track, home: store.tracks[track].slices.clone(), moved, takes_unlinked }
        };
        (0..store.tracks.len()).map(thread).collect()
    }
}

/// What a track holds.
#[derive(Clone, Copy, Debug, Default)]
struct Census {
    ops: usize,
    python: usize,
    calls: usize,
    overhead: usize,
    /// Start of the last call that waits for a whole device and belongs to no operator.
    last_sync_ns: Option<i64>,
}

impl Census {
    fn of(store: &Store, origins: &Origins, slices: &Range<usize>) -> Self {
        let mut census = Self::default();
        for (kind, n) in store.kind_counts(slices.clone()) {
            match kind {
                EventKind::CpuOp | EventKind::UserAnnotation => census.ops += n,
                EventKind::PythonFunction => census.python += n,
                EventKind::Overhead => census.overhead += n,
                EventKind::Runtime | EventKind::Driver => census.calls += n,
                _ => (),
            }
        }
        let is_last_sync = |&slice: &usize| {
            store.name(slice).ends_with("DeviceSynchronize")
                && origins.linked_op(store, slice).is_none()
        };
        let syncs = store.slices_of(slices.clone(), EventKind::is_api_call).filter(is_last_sync);
        census.last_sync_ns = syncs.last().map(|slice| store.slices.ts_ns[slice]);
        census
    }

    /// Slices that torch itself recorded on this thread.
    fn frames(&self) -> usize {
        self.ops + self.python
    }

    fn is_host(&self) -> bool {
        self.frames() + self.calls > 0
    }
}

/// For each track, the track of the thread that stopped the profiler of its process.
///
/// Overhead has a process of its own (-1); it goes to the process with the most slices.
fn stop_tracks(store: &Store, census: &[Census]) -> Vec<u32> {
    let mut hosts: BTreeMap<TrackId, Vec<usize>> = BTreeMap::new();
    for (track, _) in census.iter().enumerate().filter(|(_, c)| c.is_host()) {
        hosts.entry(store.tracks[track].pid).or_default().push(track);
    }
    let weight = |tracks: &[usize]| tracks.iter().map(|&t| store.tracks[t].slices.len()).sum();
    let mut stops: BTreeMap<TrackId, u32> = BTreeMap::new();
    let mut heaviest: Option<(usize, u32)> = None;
    for (&pid, tracks) in &hosts {
        let stop = stop_track(store, census, tracks) as u32;
        stops.insert(pid, stop);
        let weight: usize = weight(tracks);
        if heaviest.is_none_or(|(most, _)| weight > most) {
            heaviest = Some((weight, stop));
        }
    }
    let own = |(number, track): (usize, &crate::store::Track)| {
        let main = heaviest.map_or(number as u32, |(_, stop)| stop);
        stops.get(&track.pid).copied().unwrap_or(main)
    };
    store.tracks.iter().enumerate().map(own).collect()
}

/// The thread of a process that stopped the profiler, among its tracks.
///
/// Torch waits for the device when a profile ends, so it is the thread with the last `cudaDeviceSynchronize` outside
/// operators; else the main thread (its id is the process id), if torch saw it; else the thread with the most operators.
fn stop_track(store: &Store, census: &[Census], tracks: &[usize]) -> usize {
    let seen = || tracks.iter().copied().filter(|&t| census[t].frames() > 0);
    let waiter = tracks.iter().copied().filter(|&t| census[t].last_sync_ns.is_some());
    let main = || seen().find(|&t| store.tracks[t].tid == store.tracks[t].pid);
    let busiest = || seen().max_by_key(|&t| (census[t].ops, census[t].frames(), usize::MAX - t));
    waiter
        .max_by_key(|&t| (census[t].last_sync_ns, usize::MAX - t))
        .or_else(main)
        .or_else(busiest)
        .unwrap_or(tracks[0])
}
