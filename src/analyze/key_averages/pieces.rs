//! A long thread in pieces that can be walked apart.
//!
//! A piece begins with a slice before which everything of the thread has ended, so that nothing is open there and the
//! walk over it gives what the walk over the whole thread would. A thread on which something lies over everything is one
//! piece. Where the pieces begin depends on the trace alone, never on the number of workers.

use std::ops::Range;

use rayon::prelude::*;

use super::rows::{Class, First};
use super::threads::{Thread, Threads};
use super::tree::is_async_name;
use crate::model::EventKind;
use crate::store::Store;

impl Threads<'_> {
    /// The threads in pieces of so many slices at least, where there are places to cut. Sums over them are those over the
    /// threads.
    pub(super) fn in_pieces(
        &self,
        store: &Store,
        python_rows: bool,
        piece_slices: usize,
    ) -> Vec<Thread> {
        let pieces = |thread| {
            let cuts = self.cuts(store, thread, python_rows, piece_slices);
            self.cut(store, thread, cuts)
        };
        self.all.iter().flat_map(pieces).collect()
    }

    /// A thread in pieces that begin with these slices.
    fn cut(&self, store: &Store, thread: &Thread, cuts: Vec<usize>) -> Vec<Thread> {
        let moved = |range: Range<usize>| thread.moved[range].to_vec();
        let mut pieces = Vec::new();
        let mut start = (thread.home.start, 0);
        let mut add = |start: (usize, usize), end: (usize, usize)| {
            pieces.push(Thread {
                track: thread.track,
                home: start.0..end.0,
                moved: moved(start.1..end.1),
                takes_unlinked: thread.takes_unlinked,
            });
        };
        for cut in cuts {
            let first = First::of(store, self.origins, cut);
            let before = |&slice: &u32| First::of(store, self.origins, slice as usize) < first;
            let cut = (cut, thread.moved.partition_point(before));
            add(start, cut);
            start = cut;
        }
        add(start, (thread.home.end, thread.moved.len()));
        pieces
    }

    /// The slices of a thread's own track that begin a piece, but for the first one.
    fn cuts(
        &self,
        store: &Store,
        thread: &Thread,
        python_rows: bool,
        piece_slices: usize,
    ) -> Vec<usize> {
        let home = &thread.home;
        let parts: Vec<Range<usize>> = home
            .clone()
            .step_by(piece_slices)
            .map(|start| start..home.end.min(start + piece_slices))
            .collect();
        if parts.len() < 2 {
            return Vec::new();
        }
        // A frame around all of the thread, which begins early, leaves no place to cut.
        let last_ns = store.slices.ts_ns[home.end - 1];
        let nested = Nested::of(store, python_rows);
        if parts[0].clone().any(|slice| nested.end_ns(slice) > last_ns) {
            return Vec::new();
        }
        let ends = |range: Range<usize>| range.map(|slice| nested.end_ns(slice));
        let latest: Vec<i64> =
            parts.par_iter().map(|part| ends(part.clone()).max().unwrap_or(i64::MIN)).collect();
        let mut open_until_ns = latest[0];
        let mut found = Vec::new();
        for (part, latest) in parts.iter().zip(&latest).skip(1) {
            found.push((part.clone(), open_until_ns));
            open_until_ns = open_until_ns.max(*latest);
        }
        let moved = latest_of_moved(&nested, thread);
        let cut = |(part, open_until_ns): (Range<usize>, i64)| {
            let mut open_until_ns = open_until_ns;
            part.into_iter().find(|&slice| {
                let start_ns = store.slices.ts_ns[slice];
                let is_cut = open_until_ns <= start_ns && !is_open(&moved, start_ns);
                open_until_ns = open_until_ns.max(nested.end_ns(slice));
                is_cut
            })
        };
        found.into_par_iter().filter_map(cut).collect()
    }
}

/// Which slices others may stand in.
struct Nested<'a> {
    store: &'a Store,
    /// By category; `None` where the name tells.
    is_nested: Vec<Option<bool>>,
}

impl<'a> Nested<'a> {
    fn of(store: &'a Store, python_rows: bool) -> Self {
        let is_nested = |kind| match Class::of(kind) {
            Some(Class::Cpu) => Some(kind != EventKind::PythonFunction || python_rows),
            Some(Class::CpuAnnotation) => None,
            _ => Some(false),
        };
        let kinds = store.categories.iter().map(|&(_, kind)| kind);
        Self { store, is_nested: kinds.map(is_nested).collect() }
    }

    /// The end of a slice that others may stand in; the beginning of time for another one.
    #[inline]
    fn end_ns(&self, slice: usize) -> i64 {
        let is_nested = self.is_nested[self.store.category_number(slice)];
        if is_nested.unwrap_or_else(|| self.is_nested_by_name(slice)) {
            self.store.slices.end_ns(slice)
        } else {
            i64::MIN
        }
    }

    #[cold]
    fn is_nested_by_name(&self, slice: usize) -> bool {
        !is_async_name(self.store.name(slice))
    }
}

/// The start of each slice that counts on a thread though it ran on another, and the latest end up to it.
fn latest_of_moved(nested: &Nested<'_>, thread: &Thread) -> Vec<(i64, i64)> {
    let mut latest_ns = i64::MIN;
    let up_to = |&slice: &u32| {
        latest_ns = latest_ns.max(nested.end_ns(slice as usize));
        (nested.store.slices.ts_ns[slice as usize], latest_ns)
    };
    thread.moved.iter().map(up_to).collect()
}

/// Whether a slice that begins up to a time has not ended by then.
fn is_open(moved: &[(i64, i64)], at_ns: i64) -> bool {
    let n = moved.partition_point(|&(start_ns, _)| start_ns <= at_ns);
    n.checked_sub(1).is_some_and(|last| moved[last].1 > at_ns)
}
