//! Longest common subsequences of two sequences: which elements can meet in one. 64 cells of the table are a word.
//!
//! A row of the table rises by 0 or 1 from cell to cell, so that it is a bit a cell, and the next row is some additions
//! of words (Hyyrö, Bit-parallel LCS-length computation revisited, 2004). A bit that is not set is a rise.

use foldhash::fast::FixedState;
use hashbrown::{HashMap, HashSet};

/// Calls `meet(i, j)` for the pairs of equal elements `a[i]` and `b[j]` that are in some longest common subsequence, in
/// order, until it says that it wants no more of this `i`.
///
/// A pair is in one if what is common before it, itself, and what is common after it are as long as the longest.
pub(super) fn best_pairs(a: &[u32], b: &[u32], mut meet: impl FnMut(usize, usize) -> bool) {
    let (rows, columns, n_kinds) = shared(a, b);
    let words = columns.len().div_ceil(64);
    let positions = || columns.iter().map(|&(_, kind)| kind).enumerate();
    let places = Places::of(words, n_kinds, positions());
    let mirrored =
        Places::of(words, n_kinds, positions().map(|(at, kind)| (64 * words - 1 - at, kind)));
    let after = Suffixes::of(&rows, &mirrored);
    let mut before = vec![u64::MAX; words];
    for (row, &(i, kind)) in rows.iter().enumerate() {
        let pairs =
            Pairs { before: &before, after: after.row(row + 1), places: places.of_kind(kind) };
        pairs.best(after.len[row + 1], after.len[0], |at| meet(i, columns[at].0));
        advance(&mut before, places.of_kind(kind));
    }
}

/// Position in its sequence and kind.
type Element = (usize, usize);

/// The elements of which the other sequence has equal ones, of both sequences, and how many kinds there are.
fn shared(a: &[u32], b: &[u32]) -> (Vec<Element>, Vec<Element>, usize) {
    let in_a: HashSet<u32, FixedState> = a.iter().copied().collect();
    let mut kinds: HashMap<u32, usize, FixedState> = HashMap::default();
    let mut columns = Vec::new();
    for (j, element) in b.iter().enumerate().filter(|(_, element)| in_a.contains(*element)) {
        let next = kinds.len();
        columns.push((j, *kinds.entry(*element).or_insert(next)));
    }
    let rows = a.iter().enumerate();
    let rows = rows.filter_map(|(i, element)| Some((i, *kinds.get(element)?))).collect();
    (rows, columns, kinds.len())
}

/// For each kind a bit for each place where it is.
struct Places {
    words: usize,
    bits: Vec<u64>,
}

impl Places {
    fn of(words: usize, n_kinds: usize, elements: impl Iterator<Item = Element>) -> Self {
        let mut bits = vec![0; words * n_kinds];
        for (at, kind) in elements {
            bits[words * kind + at / 64] |= 1 << (at % 64);
        }
        Self { words, bits }
    }

    fn of_kind(&self, kind: usize) -> &[u64] {
        &self.bits[self.words * kind..][..self.words]
    }
}

/// The row of the table after one more element, which is at `places`. Whether the whole row became longer.
fn advance(row: &mut [u64], places: &[u64]) -> bool {
    let mut carry = false;
    for (bits, places) in row.iter_mut().zip(places) {
        let (sum, first) = bits.overflowing_add(*bits & places);
        let (sum, second) = sum.overflowing_add(u64::from(carry));
        *bits = sum | (*bits & !places);
        carry = first | second;
    }
    carry
}

/// The table of what is common from some row and some column on. Columns are mirrored: the last is the first bit.
struct Suffixes {
    words: usize,
    /// Row by row, and one more after the last.
    bits: Vec<u64>,
    /// What is common from a row on.
    len: Vec<u32>,
}

impl Suffixes {
    fn of(rows: &[Element], mirrored: &Places) -> Self {
        let words = mirrored.words;
        let mut bits = vec![u64::MAX; words * (rows.len() + 1)];
        let mut len = vec![0; rows.len() + 1];
        for (row, &(_, kind)) in rows.iter().enumerate().rev() {
            let (rest, below) = bits.split_at_mut(words * (row + 1));
            let own = &mut rest[words * row..];
            own.copy_from_slice(&below[..words]);
            len[row] = len[row + 1] + u32::from(advance(own, mirrored.of_kind(kind)));
        }
        Self { words, bits, len }
    }

    fn row(&self, row: usize) -> &[u64] {
        &self.bits[self.words * row..][..self.words]
    }
}

/// The pairs of one element.
struct Pairs<'a> {
    /// The row before it.
    before: &'a [u64],
    /// The row after it, mirrored.
    after: &'a [u64],
    /// Where equal elements are.
    places: &'a [u64],
}

impl Pairs<'_> {
    /// Calls `meet` with the places that are in a subsequence as long as `whole`, until it wants no more; `after_len` is
    /// what is common after the element.
    fn best(&self, after_len: u32, whole: u32, mut meet: impl FnMut(usize) -> bool) {
        let (mut n_before, mut n_after) = (0, after_len);
        let words = self.before.iter().zip(self.after.iter().rev()).zip(self.places);
        for (word, ((before, after), &places)) in words.enumerate() {
            let (rises, falls) = (before.count_zeros(), after.count_zeros());
            n_after -= falls;
            let most = n_before + rises + 1 + n_after + falls;
            let mut left = if most < whole { 0 } else { places };
            while left != 0 {
                let bit = left.trailing_zeros();
                left &= left - 1;
                let len = n_before
                    + zeros_below(*before, bit)
                    + 1
                    + n_after
                    + zeros_below(*after, 63 - bit);
                if len == whole && !meet(64 * word + bit as usize) {
                    return;
                }
            }
            n_before += rises;
        }
    }
}

/// Bits below one that are not set.
fn zeros_below(bits: u64, bit: u32) -> u32 {
    (!bits & ((1 << bit) - 1)).count_ones()
}

#[cfg(test)]
mod tests {
    use super::best_pairs;
    use proptest::prelude::*;

    /// Lengths of the longest common subsequences of all begins, cell by cell.
    fn table(a: &[u32], b: &[u32]) -> Vec<Vec<usize>> {
        let mut table = vec![vec![0; b.len() + 1]; a.len() + 1];
        for (i, x) in a.iter().enumerate() {
            for (j, y) in b.iter().enumerate() {
                let longer = table[i][j + 1].max(table[i + 1][j]);
                table[i + 1][j + 1] = if x == y { table[i][j] + 1 } else { longer };
            }
        }
        table
    }

    fn reversed(sequence: &[u32]) -> Vec<u32> {
        sequence.iter().rev().copied().collect()
    }

    /// The pairs that are in a longest common subsequence, by two tables.
    fn naive_pairs(a: &[u32], b: &[u32]) -> Vec<(usize, usize)> {
        let (n, m) = (a.len(), b.len());
        let (before, after) = (table(a, b), table(&reversed(a), &reversed(b)));
        let is_best = |i: usize, j: usize| {
            a[i] == b[j] && before[i][j] + 1 + after[n - 1 - i][m - 1 - j] == before[n][m]
        };
        let pairs = (0..n).flat_map(|i| (0..m).map(move |j| (i, j)));
        pairs.filter(|&(i, j)| is_best(i, j)).collect()
    }

    fn pairs(a: &[u32], b: &[u32]) -> Vec<(usize, usize)> {
        let mut found = Vec::new();
        best_pairs(a, b, |i, j| {
            found.push((i, j));
            true
        });
        found
    }

    /// Of few kinds, so that much is common, and of up to some words.
    fn sequence(longest: usize) -> impl Strategy<Value = Vec<u32>> {
        (1_u32..12).prop_flat_map(move |kinds| prop::collection::vec(0..kinds, 0..longest))
    }

    proptest! {
        #[test]
        fn pairs_are_those_of_the_table(a in sequence(150), b in sequence(300)) {
            prop_assert_eq!(pairs(&a, &b), naive_pairs(&a, &b));
            prop_assert_eq!(pairs(&b, &a), naive_pairs(&b, &a));
        }

        #[test]
        fn no_more_pairs_are_told_than_wanted(a in sequence(20), b in sequence(90), wanted in 1_usize..4) {
            let mut expected = naive_pairs(&a, &b);
            let mut told = vec![0; a.len()];
            expected.retain(|&(i, _)| {
                told[i] += 1;
                told[i] <= wanted
            });
            let (mut found, mut told) = (Vec::new(), vec![0; a.len()]);
            best_pairs(&a, &b, |i, j| {
                found.push((i, j));
                told[i] += 1;
                told[i] < wanted
            });
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn whole_words_carry() {
        let a: Vec<u32> = vec![1; 130];
        let all = |n: usize| (0..n).map(|i| (i, i)).collect::<Vec<_>>();
        assert_eq!(pairs(&a, &a), all(130));
        assert_eq!(pairs(&a[..128], &a[..128]), all(128));
        assert_eq!(pairs(&a, &[2; 64]), []);
        assert_eq!(pairs(&[], &a), []);
        assert_eq!(pairs(&a, &[]), []);
    }
}
