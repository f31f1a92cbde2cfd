//! The codes of deflate: of lengths and distances, and Huffman's, made for how often symbols occur.

use crate::read::CODE_LENGTH_ORDER;

/// The symbol that ends a block.
pub(super) const END: usize = 256;
/// Symbols of literals and lengths, and of distances.
pub(super) const N_LITERALS: usize = 286;
pub(super) const N_DISTANCES: usize = 30;
/// Bits of the longest code, and of the longest one that tells the length of a code.
const MAX_BITS: usize = 15;
const MAX_BITS_OF_LENS: usize = 7;
const N_LENS: usize = 19;

/// A code, its first bit lowest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Code {
    pub(super) bits: u32,
    pub(super) len: u8,
}

impl Code {
    /// The code with further bits behind it.
    #[inline]
    pub(super) fn with(self, rest: u32, n_rest: u8) -> Self {
        Self { bits: self.bits | rest << self.len, len: self.len + n_rest }
    }
}

/// What a length of a match is written as.
#[derive(Clone, Copy)]
pub(super) struct LengthCode {
    /// Its symbol less 257.
    number: u8,
    pub(super) n_rest: u8,
    /// The further bits.
    pub(super) rest: u8,
}

impl LengthCode {
    #[inline]
    pub(super) fn symbol(self) -> usize {
        usize::from(self.number) + END + 1
    }
}

static LENGTH_CODES: [LengthCode; 256] = length_codes();

const fn length_codes() -> [LengthCode; 256] {
    let mut codes = [LengthCode { number: 0, n_rest: 0, rest: 0 }; 256];
    let mut i = 0_usize;
    while i < 255 {
        // Four symbols share a number of further bits, but the first eight have none.
        let n_rest = if i < 8 { 0 } else { i.ilog2() as u8 - 2 };
        let number = 4 * n_rest + (i >> n_rest) as u8;
        codes[i] = LengthCode { number, n_rest, rest: (i & ((1 << n_rest) - 1)) as u8 };
        i += 1;
    }
    codes[255] = LengthCode { number: 28, n_rest: 0, rest: 0 };
    codes
}

/// What a length, less 3, is written as.
#[inline]
pub(super) fn length_code(len: usize) -> LengthCode {
    LENGTH_CODES[len & 0xff]
}

/// The symbol of a distance less 1.
#[inline]
pub(super) fn distance_code(distance: usize) -> usize {
    if distance < 4 {
        return distance;
    }
    let n_rest = distance.ilog2() as usize - 1;
    2 * n_rest + (distance >> n_rest)
}

/// How many further bits the distances of a symbol have.
#[inline]
pub(super) fn distance_bits(symbol: usize) -> u8 {
    (symbol / 2).saturating_sub(1) as u8
}

/// The codes of symbols that occur so often, at least two of them, none longer than the format allows.
pub(super) fn codes<const N: usize>(counts: &[u32; N]) -> [Code; N] {
    codes_within(counts, MAX_BITS)
}

fn codes_within<const N: usize>(counts: &[u32; N], max_bits: usize) -> [Code; N] {
    let lens = code_lens(counts, max_bits);
    let mut n_of_len = [0_u32; MAX_BITS + 1];
    lens.iter().filter(|&&len| len > 0).for_each(|&len| n_of_len[usize::from(len)] += 1);
    let mut next = [0_u32; MAX_BITS + 1];
    for len in 1..=MAX_BITS {
        next[len] = (next[len - 1] + n_of_len[len - 1]) << 1;
    }
    lens.map(|len| {
        if len == 0 {
            return Code::default();
        }
        let bits = next[usize::from(len)];
        next[usize::from(len)] += 1;
        Code { bits: bits.reverse_bits() >> (32 - u32::from(len)), len }
    })
}

/// The lengths of the codes of symbols that occur so often: as short as they can be where none is longer than allowed.
fn code_lens<const N: usize>(counts: &[u32; N], max_bits: usize) -> [u8; N] {
    let mut lens = [0; N];
    let mut rarest: Vec<usize> = (0..N).filter(|&symbol| counts[symbol] > 0).collect();
    rarest.sort_unstable_by_key(|&symbol| (counts[symbol], symbol));
    if let [only] = *rarest {
        lens[only] = 1;
        return lens;
    }
    let weights: Vec<u32> = rarest.iter().map(|&symbol| counts[symbol]).collect();
    let mut n_of_depth = leaves_by_depth(&weights, max_bits);
    shorten(&mut n_of_depth, max_bits);
    let mut rarest = rarest.into_iter();
    for len in (1..=max_bits).rev() {
        rarest.by_ref().take(n_of_depth[len]).for_each(|symbol| lens[symbol] = len as u8);
    }
    lens
}

/// How many leaves of a Huffman tree of these weights, the smallest first, lie at each depth; those that lie deeper count at `max_bits`.
fn leaves_by_depth(weights: &[u32], max_bits: usize) -> [usize; MAX_BITS + 1] {
    let n_leaves = weights.len();
    // Nodes above leaves come in the order of their weights, so that the two smallest are the first of two queues.
    let mut above: Vec<u32> = Vec::with_capacity(n_leaves);
    let mut parents = vec![0; 2 * n_leaves];
    let (mut leaf, mut taken) = (0, 0);
    while above.len() + 1 < n_leaves {
        let mut sum = 0;
        for _ in 0..2 {
            let is_leaf =
                leaf < n_leaves && above.get(taken).is_none_or(|&weight| weights[leaf] <= weight);
            let (weight, node) =
                if is_leaf { (weights[leaf], leaf) } else { (above[taken], n_leaves + taken) };
            leaf += usize::from(is_leaf);
            taken += usize::from(!is_leaf);
            sum += weight;
            parents[node] = n_leaves + above.len();
        }
        above.push(sum);
    }
    let root = (2 * n_leaves).saturating_sub(2);
    let mut depths = vec![0_usize; 2 * n_leaves];
    let mut n_of_depth = [0; MAX_BITS + 1];
    for node in (0..root).rev() {
        depths[node] = depths[parents[node]] + 1;
        if node < n_leaves {
            n_of_depth[depths[node].min(max_bits)] += 1;
        }
    }
    n_of_depth
}

/// Makes room for leaves that lay deeper than allowed: as long as there is too little, a leaf higher up goes down, and one of the deepest
/// comes beside it.
fn shorten(n_of_depth: &mut [usize; MAX_BITS + 1], max_bits: usize) {
    let room = 1_usize << max_bits;
    let of_depth = |depth: usize| n_of_depth[depth] << (max_bits - depth);
    let mut taken: usize = (1..=max_bits).map(of_depth).sum();
    while taken > room {
        let Some(depth) = (1..max_bits).rev().find(|&depth| n_of_depth[depth] > 0) else { return };
        n_of_depth[depth] -= 1;
        n_of_depth[depth + 1] += 2;
        n_of_depth[max_bits] -= 1;
        taken -= 1;
    }
}

/// Gives the bits that start a block which is not the last one, with its codes.
pub(super) fn put_head(
    literals: &[Code; N_LITERALS],
    distances: &[Code; N_DISTANCES],
    mut put: impl FnMut(Code),
) {
    let used = |codes: &[Code]| codes.iter().rposition(|code| code.len > 0).map_or(1, |i| i + 1);
    let (n_literals, n_distances) = (used(literals), used(distances));
    let all = literals[..n_literals].iter().chain(&distances[..n_distances]);
    let runs = runs(&all.map(|code| code.len).collect::<Vec<_>>());
    let mut counts = [0; N_LENS];
    runs.iter().for_each(|run| counts[usize::from(run.symbol)] += 1);
    let of_lens = codes_within(&counts, MAX_BITS_OF_LENS);
    let n_of_lens =
        CODE_LENGTH_ORDER.iter().rposition(|&symbol| of_lens[symbol].len > 0).map_or(0, |i| i + 1);
    let mut number = |number: usize, len| put(Code { bits: number as u32, len });
    number(0b100, 3);
    number(n_literals - END - 1, 5);
    number(n_distances - 1, 5);
    number(n_of_lens.max(4) - 4, 4);
    let lens = CODE_LENGTH_ORDER[..n_of_lens.max(4)].iter().map(|&symbol| of_lens[symbol].len);
    lens.for_each(|len| number(usize::from(len), 3));
    for Run { symbol, rest, n_rest } in runs {
        put(of_lens[usize::from(symbol)].with(u32::from(rest), n_rest));
    }
}

/// A length, or a repetition of one with its further bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    symbol: u8,
    rest: u8,
    n_rest: u8,
}

/// Lengths, with repetitions told as such.
fn runs(lens: &[u8]) -> Vec<Run> {
    let mut runs = Vec::new();
    for alike in lens.chunk_by(|a, b| a == b) {
        let (len, mut left) = (alike[0], alike.len());
        if len > 0 {
            runs.push(Run { symbol: len, rest: 0, n_rest: 0 });
            left -= 1;
        }
        while left > 0 {
            let (symbol, least, most, n_rest) = match (len, left) {
                (_, ..3) => (len, 1, 1, 0),
                (0, ..11) => (17, 3, 10, 3),
                (0, _) => (18, 11, 138, 7),
                _ => (16, 3, 6, 2),
            };
            let n = left.min(most);
            runs.push(Run { symbol, rest: (n - least) as u8, n_rest });
            left -= n;
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{
        MAX_BITS, MAX_BITS_OF_LENS, N_LENS, code_lens, distance_bits, distance_code, length_code,
        runs,
    };

    /// The share of all codes that codes of such lengths take, in parts of the longest one.
    fn share(lens: &[u8], max_bits: usize) -> usize {
        lens.iter().filter(|&&len| len > 0).map(|&len| 1 << (max_bits - usize::from(len))).sum()
    }

    #[test]
    fn rare_symbols_do_not_get_codes_that_are_too_long() {
        let mut counts = [0; 30];
        let (mut a, mut b) = (1, 1);
        for count in &mut counts {
            *count = a;
            (a, b) = (b, a + b);
        }
        let lens = code_lens(&counts, MAX_BITS);
        assert_eq!((lens.iter().max(), share(&lens, MAX_BITS)), (Some(&15), 1 << MAX_BITS));
        assert!(lens.is_sorted_by(|a, b| a >= b));
    }

    proptest! {
        #[test]
        fn codes_take_all_room_and_no_more(counts in prop::array::uniform19(0..2000_u32)) {
            let n_used = counts.iter().filter(|&&count| count > 0).count();
            let lens: [u8; N_LENS] = code_lens(&counts, MAX_BITS_OF_LENS);
            prop_assert!((0..N_LENS).all(|i| (lens[i] > 0) == (counts[i] > 0)));
            if n_used > 1 {
                prop_assert_eq!(share(&lens, MAX_BITS_OF_LENS), 1 << MAX_BITS_OF_LENS);
            }
        }

        #[test]
        fn runs_are_the_lengths(lens in prop::collection::vec(0..3_u8, 1..316)) {
            let mut read: Vec<u8> = Vec::new();
            for run in runs(&lens) {
                let (len, n) = match run.symbol {
                    16 => (read[read.len() - 1], 3),
                    17 => (0, 3),
                    18 => (0, 11),
                    len => (len, 1),
                };
                read.extend(std::iter::repeat_n(len, n + usize::from(run.rest)));
            }
            prop_assert_eq!(read, lens);
        }
    }

    #[test]
    fn symbols_are_those_of_the_format() {
        let lengths = [(3, 257, 0), (10, 264, 0), (11, 265, 1), (18, 268, 1), (19, 269, 2)];
        let longest = [(227, 284, 5), (257, 284, 5), (258, 285, 0)];
        for (len, symbol, n_rest) in lengths.into_iter().chain(longest) {
            let code = length_code(len - 3);
            assert_eq!((code.symbol(), code.n_rest), (symbol, n_rest), "{len}");
        }
        for (distance, symbol, n_rest) in
            [(1, 0, 0), (4, 3, 0), (5, 4, 1), (192, 14, 6), (193, 15, 6), (32_768, 29, 13)]
        {
            let code = distance_code(distance - 1);
            assert_eq!((code, distance_bits(code)), (symbol, n_rest), "{distance}");
        }
    }
}
