//! The slices of some kinds. Most slices of a trace are often of one kind, Python frames or kernels, so that others are found by
//! going over their categories block by block, which takes a tenth of looking at each.

use std::ops::Range;

use rayon::prelude::*;

use super::{Slices, Store};
use crate::model::EventKind;

/// Slices that are passed over at once where none of them is wanted.
const BLOCK: usize = 64;

/// Wanted categories that are compared at once.
const NEEDLES: usize = 4;

/// Slices that one thread counts at a time, so few that a count has four bytes.
const COUNTED_AT_A_TIME: usize = 1 << 18;

impl Store {
    /// The slices of a range whose kind is wanted, ascending.
    pub fn slices_of(
        &self,
        range: Range<usize>,
        wanted: impl Fn(EventKind) -> bool,
    ) -> impl Iterator<Item = usize> + Clone + '_ {
        let kinds = self.categories.iter().map(|&(_, kind)| wanted(kind));
        OfKind::new(&self.slices.category, range, kinds)
    }

    /// How many slices of a range each category has, with its kind.
    pub fn kind_counts(&self, range: Range<usize>) -> impl Iterator<Item = (EventKind, usize)> {
        let parts = self.slices.category[range].par_chunks(COUNTED_AT_A_TIME).map(counts);
        let nothing = || [0_usize; 256];
        let counts = parts.reduce(nothing, |mut all, part| {
            all.iter_mut().zip(part).for_each(|(all, n)| *all += n);
            all
        });
        self.categories.iter().map(|&(_, kind)| kind).zip(counts)
    }

    /// The slices that end after a time, ascending.
    pub fn ending_after(&self, t_ns: i64) -> impl Iterator<Item = usize> + '_ {
        self.slices.ending_after(0..self.slices.len(), t_ns)
    }

    /// The slices of all tracks whose kind is wanted, ascending.
    pub fn all_of(
        &self,
        wanted: impl Fn(EventKind) -> bool,
    ) -> impl Iterator<Item = usize> + Clone + '_ {
        self.slices_of(0..self.slices.len(), wanted)
    }
}

impl Slices {
    /// Those of a range that end after a time, ascending: blocks in which the last start and the longest duration do not reach it are
    /// passed over.
    pub(super) fn ending_after(
        &self,
        range: Range<usize>,
        t_ns: i64,
    ) -> impl Iterator<Item = usize> + '_ {
        let end = range.end;
        let block = move |first: usize| first..end.min(first + BLOCK);
        let reaches = move |block: &Range<usize>| {
            let latest_ns = self.ts_ns[block.clone()].iter().copied().fold(i64::MIN, i64::max);
            let longest_ns = self.dur_ns.most(block.clone());
            longest_ns.is_none_or(|ns| latest_ns.saturating_add(i64::from(ns)) > t_ns)
        };
        let blocks = range.step_by(BLOCK).map(block).filter(reaches);
        blocks.flatten().filter(move |&slice| self.end_ns(slice) > t_ns)
    }
}

/// How many there are of each category.
fn counts(categories: &[u8]) -> [usize; 256] {
    // Neighbours are mostly of one category: four sums do not wait for each other.
    let mut parts = [[0_u32; 256]; 4];
    for four in categories.chunks(4) {
        four.iter().zip(&mut parts).for_each(|(&c, part)| part[usize::from(c)] += 1);
    }
    std::array::from_fn(|c| parts.iter().map(|part| part[c] as usize).sum())
}

/// Goes over a column of categories.
#[derive(Clone)]
struct OfKind<'a> {
    categories: &'a [u8],
    next: usize,
    /// Up to here each is looked at.
    looked_at: usize,
    end: usize,
    is_wanted: [bool; 256],
    /// The wanted categories, some of them repeated; empty where there are too many.
    needles: Vec<[u8; NEEDLES]>,
}

impl<'a> OfKind<'a> {
    fn new(categories: &'a [u8], range: Range<usize>, kinds: impl Iterator<Item = bool>) -> Self {
        let mut is_wanted = [false; 256];
        is_wanted.iter_mut().zip(kinds).for_each(|(is_wanted, kind)| *is_wanted = kind);
        let wanted: Vec<u8> = (0..=u8::MAX).filter(|&c| is_wanted[usize::from(c)]).collect();
        let needles = wanted.chunks(NEEDLES).map(|some| {
            let mut needles = [some[0]; NEEDLES];
            needles[..some.len()].copy_from_slice(some);
            needles
        });
        let end = if wanted.is_empty() { range.start } else { range.end };
        let (next, looked_at) = (range.start, range.start);
        Self { categories, next, looked_at, end, is_wanted, needles: needles.collect() }
    }

    /// Whether a block holds a wanted category.
    fn has_any(&self, block: &[u8; BLOCK]) -> bool {
        self.needles.iter().any(|&[a, b, c, d]| {
            let found =
                |&x: &u8| u8::from(x == a) | u8::from(x == b) | u8::from(x == c) | u8::from(x == d);
            block.iter().fold(0, |any, x| any | found(x)) != 0
        })
    }

    /// Goes on to the next block that holds a wanted category. Gives whether there may be one.
    fn next_block(&mut self) -> bool {
        while let Some(block) = self.categories[self.looked_at..self.end].first_chunk() {
            self.next = self.looked_at;
            self.looked_at += BLOCK;
            if self.has_any(block) {
                return true;
            }
        }
        self.next = self.looked_at;
        self.looked_at = self.end;
        self.next < self.end
    }
}

impl Iterator for OfKind<'_> {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        loop {
            while self.next < self.looked_at {
                let slice = self.next;
                self.next += 1;
                if self.is_wanted[usize::from(self.categories[slice])] {
                    return Some(slice);
                }
            }
            if !self.next_block() {
                return None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::OfKind;

    proptest! {
        /// What a plain filter gives.
        #[test]
        fn wanted_slices_are_found(
            categories in prop::collection::vec(prop_oneof![9 => Just(0_u8), 1 => 0..12_u8], 0..700),
            wanted in prop::collection::vec(any::<bool>(), 12),
            start in 0..700_usize,
            length in 0..700_usize,
        ) {
            let start = start.min(categories.len());
            let range = start..(start + length).min(categories.len());
            let found: Vec<usize> =
                OfKind::new(&categories, range.clone(), wanted.iter().copied()).collect();
            let is_wanted = |&slice: &usize| wanted[usize::from(categories[slice])];
            prop_assert_eq!(found, range.filter(is_wanted).collect::<Vec<_>>());
        }
    }
}
