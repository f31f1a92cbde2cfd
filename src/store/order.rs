//! The order of a store's slices: by track, each sorted as nesting needs it; and columns put in an order.
//!
//! Writers put down one thread's events for long, mostly in order. So slices are not moved one by one: what follows each other on
//! a track in order is a run, runs are put in order, and columns are copied run by run. How the input is laid out decides how
//! many there are, and nothing else.

use std::cmp::Reverse;
use std::ops::Range;

use rayon::prelude::*;

use super::{Slices, Track};

/// Rows that one thread puts in order at a time.
const ROWS_AT_A_TIME: usize = 1 << 16;

/// Where runs of a track are shorter than this on average and out of order, its slices are sorted one by one.
const SHORT_RUN: usize = 4;

/// A column of which fewer rows than one in so many go against the others is put in order where it lies.
const FEW: usize = 4;

/// The place of a slice on its track: start ascending, end descending. Of equal ones the order of the file counts.
pub(super) type Key = (i64, Reverse<i64>);

/// The key of a slice that starts at a time and takes so long.
#[inline]
pub(super) fn key(ts_ns: i64, dur_ns: i64) -> Key {
    (ts_ns, Reverse(ts_ns.saturating_add(dur_ns)))
}

/// The slices of one track, in order, that begin with a slice and go on to where the next run begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    track: u32,
    first: u32,
}

/// Slices in the order of the input, as runs.
#[derive(Debug, Default)]
pub(super) struct Runs {
    runs: Vec<Run>,
    /// The track and the key of the slice that was added last.
    last: Option<(u32, Key)>,
}

impl Runs {
    /// Adds a slice.
    #[inline]
    pub(super) fn add(&mut self, slice: u32, track: u32, key: Key) {
        let goes_on = self.last.is_some_and(|last| last.0 == track && last.1 <= key);
        self.last = Some((track, key));
        if !goes_on {
            self.runs.push(Run { track, first: slice });
        }
    }

    /// Adds the runs of a chunk, of which the first slice has a number and a key here.
    pub(super) fn join(&mut self, other: &Self, tracks: &[u32], first_slice: u32, key: Key) {
        let Some(last) = other.last else { return };
        let track = |run: &Run| tracks[run.track as usize];
        let runs = other.runs.iter();
        let mut runs = runs.map(|run| Run { track: track(run), first: first_slice + run.first });
        let Some(first) = runs.next() else { return };
        self.add(first.first, first.track, key);
        self.runs.extend(runs);
        self.last = Some((tracks[last.0 as usize], last.1));
    }

    /// Forgets all and keeps the memory.
    pub(super) fn clear(&mut self) {
        self.runs.clear();
        self.last = None;
    }

    /// The same slices on the same tracks, once their keys may have changed.
    pub(super) fn again(&self, slices: &Slices) -> Self {
        let mut again = Self::default();
        for (track, piece) in self.pieces(slices.len()) {
            piece.all().for_each(|slice| again.add(slice, track, slices.key(slice)));
        }
        again
    }

    /// The track and the slices of each run, of so many slices.
    fn pieces(&self, n_slices: usize) -> impl Iterator<Item = (u32, Piece)> + '_ {
        let ends = self.runs.iter().skip(1).map(|run| run.first);
        let ends = ends.chain(std::iter::once(n_slices as u32));
        let piece =
            |(run, end): (&Run, u32)| (run.track, Piece { first: run.first, len: end - run.first });
        self.runs.iter().zip(ends).map(piece)
    }

    /// The order of the store: by track, whose numbers are given, then by key. Sets each track's range.
    pub(super) fn into_order(
        self,
        numbers: &[u32],
        tracks: &mut [Track],
        slices: &Slices,
    ) -> Order {
        let mut of_track = vec![Vec::new(); tracks.len()];
        for (track, piece) in self.pieces(slices.len()) {
            of_track[numbers[track as usize] as usize].push(piece);
        }
        drop(self);
        let key = |slice| slices.key(slice);
        let sorted: Vec<Vec<Piece>> =
            of_track.into_par_iter().map(|pieces| sorted(pieces, &key)).collect();
        let mut order = Order::default();
        for (track, pieces) in tracks.iter_mut().zip(sorted) {
            let start = order.n_rows;
            pieces.into_iter().for_each(|piece| order.push(piece));
            track.slices = start..order.n_rows;
        }
        order
    }
}

impl Slices {
    /// The place of a slice on its track.
    pub(super) fn key(&self, slice: u32) -> Key {
        key(self.ts_ns[slice as usize], self.dur_ns(slice as usize))
    }
}

/// Rows that follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Piece {
    first: u32,
    len: u32,
}

impl Piece {
    fn all(self) -> Range<u32> {
        self.first..self.first + self.len
    }

    /// The piece in two, the first of so many rows.
    fn split(self, len: u32) -> (Self, Self) {
        let rest = Self { first: self.first + len, len: self.len - len };
        (Self { first: self.first, len }, rest)
    }

    /// How many of its rows, which are in order, the first one among them, have a key of which something holds.
    fn count(self, key: &impl Fn(u32) -> Key, holds: impl Fn(Key) -> bool) -> u32 {
        // Few, mostly: the number is found by doubling.
        let mut end = 1;
        while end < self.len && holds(key(self.first + end - 1)) {
            end = (end * 2).min(self.len);
        }
        let (mut low, mut high) = (end / 2, end);
        while low < high {
            let middle = u32::midpoint(low, high);
            if holds(key(self.first + middle)) { low = middle + 1 } else { high = middle }
        }
        low
    }
}

/// The pieces of a track, each in order, as pieces that are in order throughout. Of equal keys those of earlier pieces go first.
fn sorted(pieces: Vec<Piece>, key: &(impl Fn(u32) -> Key + Sync)) -> Vec<Piece> {
    let follows = |a: &Piece, b: &Piece| key(a.first + a.len - 1) <= key(b.first);
    if pieces.is_sorted_by(follows) {
        return pieces;
    }
    let n_rows: usize = pieces.iter().map(|piece| piece.len as usize).sum();
    if n_rows < pieces.len() * SHORT_RUN {
        let mut rows: Vec<u32> = pieces.into_iter().flat_map(Piece::all).collect();
        rows.par_sort_by_key(|&row| key(row));
        return rows.into_iter().map(|row| Piece { first: row, len: 1 }).collect();
    }
    let mut parts: Vec<Vec<Piece>> = pieces.chunk_by(follows).map(<[Piece]>::to_vec).collect();
    while parts.len() > 1 {
        let merged = |two: &[Vec<Piece>]| match two {
            [left, right] => merged(left, right, key),
            _ => two.concat(),
        };
        parts = parts.par_chunks(2).map(merged).collect();
    }
    parts.pop().unwrap_or_default()
}

/// Two lists of pieces, each in order, as one. Of equal keys the left ones go first.
fn merged(left: &[Piece], right: &[Piece], key: &impl Fn(u32) -> Key) -> Vec<Piece> {
    let mut out = Vec::with_capacity(left.len() + right.len());
    let (mut left, mut right) = (left.iter().copied(), right.iter().copied());
    let (mut next_left, mut next_right) = (left.next(), right.next());
    while let (Some(a), Some(b)) = (next_left, next_right) {
        let (a_key, b_key) = (key(a.first), key(b.first));
        let is_left = a_key <= b_key;
        let (next, others) =
            if is_left { (&mut next_left, &mut left) } else { (&mut next_right, &mut right) };
        let (taken, rest) = match is_left {
            true => a.split(a.count(key, |key| key <= b_key)),
            false => b.split(b.count(key, |key| key < a_key)),
        };
        out.push(taken);
        *next = if rest.len > 0 { Some(rest) } else { others.next() };
    }
    out.extend(next_left.into_iter().chain(left).chain(next_right).chain(right));
    out
}

/// Rows that follow each other before they are put in order and after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stretch {
    old: u32,
    new: u32,
    len: u32,
}

impl Stretch {
    fn goes_up(&self) -> bool {
        self.new > self.old
    }

    fn goes_down(&self) -> bool {
        self.new < self.old
    }

    fn old_rows(&self) -> Range<usize> {
        self.old as usize..(self.old + self.len) as usize
    }
}

/// Which old row comes in the place of each new one.
#[derive(Clone, Debug, Default)]
pub(super) struct Order {
    /// By new row, without gaps.
    stretches: Vec<Stretch>,
    n_rows: usize,
}

impl Order {
    /// The order in which row `i` is the old row `rows[i]`.
    pub(super) fn of_rows(rows: &[u32]) -> Self {
        let mut order = Self::default();
        rows.iter().for_each(|&row| order.push(Piece { first: row, len: 1 }));
        order
    }

    /// This order and then another one.
    pub(super) fn then(&self, next: &Self) -> Self {
        let mut order = Self::default();
        for stretch in &next.stretches {
            let rows = stretch.old as usize..(stretch.old + stretch.len) as usize;
            self.pieces(rows).for_each(|piece| order.push(piece));
        }
        order
    }

    fn push(&mut self, piece: Piece) {
        match self.stretches.last_mut() {
            Some(last) if last.old + last.len == piece.first => last.len += piece.len,
            _ => self.stretches.push(Stretch {
                old: piece.first,
                new: self.n_rows as u32,
                len: piece.len,
            }),
        }
        self.n_rows += piece.len as usize;
    }

    /// The old rows of some new ones.
    fn pieces(&self, new: Range<usize>) -> impl Iterator<Item = Piece> + '_ {
        let (start, end) = (new.start as u32, new.end as u32);
        let first = self.stretches.partition_point(|stretch| stretch.new + stretch.len <= start);
        let stretches = self.stretches[first..].iter();
        stretches.take_while(move |stretch| stretch.new < end).map(move |stretch| {
            let from = start.max(stretch.new);
            let to = end.min(stretch.new + stretch.len);
            Piece { first: stretch.old + (from - stretch.new), len: to - from }
        })
    }

    /// The values of the new rows.
    pub(super) fn permute<T: Copy + Default + Send + Sync>(&self, values: &[T]) -> Vec<T> {
        let mut out = vec![T::default(); self.n_rows];
        self.fill(&mut out, values);
        out
    }

    /// Puts values in this order, which leaves none out: where they lie, if most of them go the same way, so that only the others
    /// take memory meanwhile.
    pub(super) fn reorder<T: Copy + Default + Send + Sync>(&self, values: &mut Vec<T>) {
        let few = values.len() / FEW;
        let n_rows = |goes: fn(&&Stretch) -> bool| -> usize {
            self.stretches.iter().filter(goes).map(|stretch| stretch.len as usize).sum()
        };
        if n_rows(|stretch| stretch.goes_up()) <= few {
            let others = self.stretches.iter().filter(|stretch| !stretch.goes_up());
            self.reorder_around(values, Stretch::goes_up, others);
        } else if n_rows(|stretch| stretch.goes_down()) <= few {
            let others = self.stretches.iter().rev().filter(|stretch| !stretch.goes_down());
            self.reorder_around(values, Stretch::goes_down, others);
        } else {
            *values = self.permute(values);
        }
        // Columns grow by doubling; none does any more.
        values.shrink_to_fit();
    }

    /// Sets the values aside that go against the stream, moves the others and puts those back. The others come so that each goes to
    /// where nothing is that has not moved: those that go down from the bottom, or those that go up from the top.
    fn reorder_around<'a, T: Copy>(
        &'a self,
        values: &mut [T],
        is_aside: impl Fn(&Stretch) -> bool,
        others: impl Iterator<Item = &'a Stretch>,
    ) {
        let against = || self.stretches.iter().filter(|stretch| is_aside(stretch));
        let aside: Vec<T> =
            against().flat_map(|stretch| &values[stretch.old_rows()]).copied().collect();
        for stretch in others.filter(|stretch| stretch.old != stretch.new) {
            values.copy_within(stretch.old_rows(), stretch.new as usize);
        }
        let mut aside = aside.as_slice();
        for stretch in against() {
            let (those, rest) = aside.split_at(stretch.len as usize);
            values[stretch.new as usize..][..those.len()].copy_from_slice(those);
            aside = rest;
        }
    }

    /// Copies old values to the places of the new ones, in parallel.
    fn fill<T: Copy + Send + Sync>(&self, out: &mut [T], values: &[T]) {
        let parts = out.par_chunks_mut(ROWS_AT_A_TIME).enumerate();
        parts.for_each(|(i, mut out)| {
            let start = i * ROWS_AT_A_TIME;
            for piece in self.pieces(start..start + out.len()) {
                let (places, rest) = out.split_at_mut(piece.len as usize);
                places.copy_from_slice(&values[piece.first as usize..][..piece.len as usize]);
                out = rest;
            }
        });
    }

    /// The same by old row.
    pub(super) fn places(&self) -> Places {
        let mut stretches = self.stretches.clone();
        stretches.par_sort_unstable_by_key(|stretch| stretch.old);
        Places { stretches }
    }
}

/// Where old rows went.
#[derive(Debug)]
pub(super) struct Places {
    /// By old row.
    stretches: Vec<Stretch>,
}

impl Places {
    /// Somebody who asks for one row after the other.
    pub(super) fn asked(&self) -> Asked<'_> {
        Asked { stretches: &self.stretches, at: 0 }
    }
}

/// Asks where old rows went, soonest for one behind the one before.
#[derive(Clone, Debug)]
pub(super) struct Asked<'a> {
    stretches: &'a [Stretch],
    at: usize,
}

impl Asked<'_> {
    /// The new row of an old one; `None` where it is left out.
    #[inline]
    pub(super) fn of(&mut self, old: u32) -> Option<u32> {
        let holds = |stretch: &&Stretch| stretch.old <= old && old - stretch.old < stretch.len;
        let at = |at: usize| self.stretches.get(at).filter(holds).map(|stretch| (at, stretch));
        let (at, stretch) = at(self.at).or_else(|| at(self.at + 1)).or_else(|| {
            at(self.stretches.partition_point(|stretch| stretch.old <= old).checked_sub(1)?)
        })?;
        self.at = at;
        Some(stretch.new + (old - stretch.old))
    }
}

#[cfg(test)]
mod tests {
    use std::cmp::Reverse;

    use proptest::prelude::*;

    use super::{Order, Runs};
    use crate::store::{CompactColumn, Slices, Track, TrackId};

    /// Slices of (start, duration).
    fn slices(rows: &[(u32, i64, u64)]) -> Slices {
        let mut dur_ns = CompactColumn::default();
        rows.iter().for_each(|&(_, _, dur)| dur_ns.push(Some(dur)));
        Slices { ts_ns: rows.iter().map(|row| row.1).collect(), dur_ns, ..Slices::default() }
    }

    fn tracks(n: usize) -> Vec<Track> {
        let track = |tid| Track {
            pid: TrackId::Int(0),
            tid: TrackId::Int(tid as i128),
            process_name: None,
            process_labels: None,
            thread_name: None,
            slices: 0..0,
        };
        (0..n).map(track).collect()
    }

    /// The old rows in the new order, and the ranges of the tracks.
    fn ordered(rows: &[(u32, i64, u64)], numbers: &[u32], cut: usize) -> (Order, Vec<Track>) {
        let slices = slices(rows);
        let cut = cut.min(rows.len());
        let mut runs = Runs::default();
        for (start, rows) in [(0, &rows[..cut]), (cut, &rows[cut..])] {
            let mut chunk = Runs::default();
            for (i, row) in rows.iter().enumerate() {
                chunk.add(i as u32, row.0, slices.key((start + i) as u32));
            }
            let key = if rows.is_empty() { (0, Reverse(0)) } else { slices.key(start as u32) };
            let same: Vec<u32> = (0..numbers.len() as u32).collect();
            runs.join(&chunk, &same, start as u32, key);
        }
        let mut tracks = tracks(numbers.len());
        (runs.into_order(numbers, &mut tracks, &slices), tracks)
    }

    proptest! {
        /// The order is that of a plain stable sort, whatever the runs and wherever chunks end.
        #[test]
        fn runs_are_sorted_as_slices_would_be(
            rows in prop::collection::vec((0..3_u32, 0..40_i64, 0..6_u64), 0..60),
            is_grouped in any::<bool>(),
            cut in 0..60_usize,
        ) {
            let mut rows = rows;
            if is_grouped {
                // Long runs, some of which lie within others.
                rows.chunks_mut(20).for_each(|part| part.sort_by_key(|row| (row.0, row.1, Reverse(row.2))));
            }
            let numbers = [2, 0, 1];
            let (order, tracks) = ordered(&rows, &numbers, cut);
            let mut expected: Vec<u32> = (0..rows.len() as u32).collect();
            expected.sort_by_key(|&i| {
                let (track, start, dur) = rows[i as usize];
                (numbers[track as usize], start, Reverse(start + dur as i64))
            });
            let all: Vec<u32> = (0..rows.len() as u32).collect();
            prop_assert_eq!(&order.permute(&all), &expected);
            let mut in_place = all;
            order.reorder(&mut in_place);
            prop_assert_eq!(&in_place, &expected);
            for (number, track) in tracks.iter().enumerate() {
                for &old in &expected[track.slices.clone()] {
                    prop_assert_eq!(numbers[rows[old as usize].0 as usize] as usize, number);
                }
            }
            prop_assert_eq!(tracks.iter().map(|track| track.slices.len()).sum::<usize>(), rows.len());
            let places = order.places();
            let mut asked = places.asked();
            for (new, &old) in expected.iter().enumerate() {
                prop_assert_eq!(asked.of(old), Some(new as u32));
            }
        }

        /// One order after the other is what both make of it, and rows that were left out have no place.
        #[test]
        fn orders_follow_each_other(
            first in Just((0..50_u32).collect::<Vec<_>>()).prop_shuffle(),
            next in Just((0..40_u32).collect::<Vec<_>>()).prop_shuffle(),
            n in 0..40_usize,
        ) {
            let first = Order::of_rows(&first[..40]);
            let next = Order::of_rows(&next[..n]);
            let values: Vec<u64> = (100..150).collect();
            let both = first.then(&next);
            prop_assert_eq!(both.permute(&values), next.permute(&first.permute(&values)));
            let places = both.places();
            let found: Vec<(u32, u32)> =
                (0..50).filter_map(|old| Some((places.asked().of(old)?, old))).collect();
            prop_assert_eq!(found.len(), n);
            let rows = both.permute(&(0..50).collect::<Vec<u32>>());
            prop_assert!(found.iter().all(|&(new, old)| rows[new as usize] == old));
        }
    }
}
