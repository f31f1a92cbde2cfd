//! Streams of all kinds, made at random: one thread's decoder and the one in two steps give what the library gives.

use flate2::{Decompress, FlushDecompress, Status};

use super::{Inflater, Mark, Marks, inflate, inflate_straight, rest};
use crate::read::chance::Numbers;

/// A stream that is written by bits.
#[derive(Default)]
struct Stream {
    bytes: Vec<u8>,
    n_bits: usize,
    n_text: usize,
}

/// The code of each symbol: its bits, the first of them lowest, and how many.
type Code = Vec<(usize, usize)>;

/// How lengths or distances are told: the first of each symbol, and how many further bits it has.
fn bases(n_symbols: usize, n_alike: usize, first: usize) -> Vec<(usize, usize)> {
    let mut base = first;
    let more = |i: usize| (i / n_alike).saturating_sub(1);
    (0..n_symbols)
        .map(|i| {
            let this = (base, more(i));
            base += 1 << more(i);
            this
        })
        .collect()
}

fn length_bases() -> Vec<(usize, usize)> {
    let mut lengths = bases(28, 4, 3);
    lengths.push((258, 0));
    lengths
}

impl Stream {
    fn add(&mut self, bits: usize, n: usize) {
        for i in 0..n {
            if self.n_bits.is_multiple_of(8) {
                self.bytes.push(0);
            }
            *self.bytes.last_mut().expect("there is one") |=
                ((bits >> i & 1) as u8) << (self.n_bits % 8);
            self.n_bits += 1;
        }
    }

    fn add_stored(&mut self, numbers: &mut Numbers) {
        let n = [0, 1, 500, 65_535][numbers.below(4)];
        self.n_bits = self.bytes.len() * 8;
        self.add(n, 16);
        self.add(!n, 16);
        self.bytes.extend((0..n).map(|_| numbers.below(256) as u8));
        self.n_bits += 8 * n;
        self.n_text += n;
    }

    /// Literals and copies, as far as there are codes for them, and the end of the block.
    fn add_symbols(&mut self, symbols: &Code, distances: &Code, numbers: &mut Numbers) {
        let used = |code: &Code, from: usize, to: usize| -> Vec<usize> {
            (from..to.min(code.len())).filter(|&i| code[i].1 > 0).collect()
        };
        let (literals, copies) = (used(symbols, 0, 256), used(symbols, 257, 286));
        let near = used(distances, 0, 30);
        let (lengths, places) = (length_bases(), bases(30, 2, 1));
        let (n, share) = (numbers.below(4000), numbers.below(100));
        for _ in 0..n {
            let in_reach: Vec<_> = near.iter().filter(|&&i| places[i].0 <= self.n_text).collect();
            if numbers.below(100) >= share || in_reach.is_empty() || copies.is_empty() {
                let literal = literals[numbers.below(literals.len())];
                self.add(symbols[literal].0, symbols[literal].1);
                self.n_text += 1;
                continue;
            }
            let copy = copies[numbers.below(copies.len())];
            let (base, n_more) = lengths[copy - 257];
            // The length of 258 has a symbol of its own.
            let more = numbers.below(1 << n_more).min(257 - base.min(257));
            self.add(symbols[copy].0, symbols[copy].1);
            self.add(more, n_more);
            let length = base + more;
            let place = *in_reach[numbers.below(in_reach.len())];
            let (base, n_more) = places[place];
            let more = numbers.below(1 << n_more).min(self.n_text - base);
            self.add(distances[place].0, distances[place].1);
            self.add(more, n_more);
            self.n_text += length;
        }
        self.add(symbols[256].0, symbols[256].1);
    }

    fn add_dynamic(&mut self, numbers: &mut Numbers) {
        let n_literals = [1, 2, 30, 256][numbers.below(4)];
        let n_copies = [1, 5, 29][numbers.below(3)];
        let symbols = [0..n_literals, 256..257, 257..257 + n_copies].into_iter().flatten();
        let symbols = lengths_of_code(&symbols.collect::<Vec<_>>(), 286, numbers);
        let n_distances = 2 + numbers.below(29);
        let first = numbers.below(31 - n_distances);
        let distances: Vec<_> = (first..first + n_distances).collect();
        let distances = lengths_of_code(&distances, 30, numbers);
        self.add(286 - 257, 5);
        self.add(30 - 1, 5);
        self.add(19 - 4, 4);
        // Each length is a code of four bits, and none is repeated.
        for i in 0..19 {
            self.add(if i < 3 { 0 } else { 4 }, 3);
        }
        for &length in symbols.iter().chain(&distances) {
            self.add(usize::from((length as u8).reverse_bits() >> 4), 4);
        }
        self.add_symbols(&code(&symbols), &code(&distances), numbers);
    }

    fn add_fixed(&mut self, numbers: &mut Numbers) {
        let lengths = [(8, 144), (9, 112), (7, 24), (8, 8)];
        let lengths: Vec<_> =
            lengths.into_iter().flat_map(|(length, n)| std::iter::repeat_n(length, n)).collect();
        self.add_symbols(&code(&lengths), &code(&[5; 32]), numbers);
    }
}

/// Lengths of a code that some symbols have, of so many.
fn lengths_of_code(used: &[usize], n: usize, numbers: &mut Numbers) -> Vec<usize> {
    let mut leaves = vec![1, 1];
    let deep = numbers.below(2) == 0;
    while leaves.len() < used.len() {
        let at = if deep { leaves.len() - 1 } else { numbers.below(leaves.len()) };
        let at = if leaves[at] < 15 { at } else { numbers.below(leaves.len()) };
        if leaves[at] < 15 {
            leaves[at] += 1;
            leaves.push(leaves[at]);
        }
    }
    let mut lengths = vec![0; n];
    for &symbol in used {
        lengths[symbol] = leaves.swap_remove(numbers.below(leaves.len()));
    }
    lengths
}

fn code(lengths: &[usize]) -> Code {
    let (mut next, mut codes) = (0, vec![(0, 0); lengths.len()]);
    for n in 1..=15 {
        for (symbol, _) in lengths.iter().enumerate().filter(|&(_, &length)| length == n) {
            codes[symbol] = (usize::from((next as u16).reverse_bits() >> (16 - n)), n);
            next += 1;
        }
        next <<= 1;
    }
    codes
}

fn random_stream(numbers: &mut Numbers) -> Stream {
    let mut stream = Stream::default();
    let n_blocks = 1 + numbers.below(12);
    for i in 1..=n_blocks {
        let kind = numbers.below(5).min(2);
        stream.add(usize::from(i == n_blocks), 1);
        stream.add(kind, 2);
        match kind {
            0 => stream.add_stored(numbers),
            1 => stream.add_fixed(numbers),
            _ => stream.add_dynamic(numbers),
        }
    }
    stream
}

fn by_library(stream: &[u8], n_text: usize) -> Option<Vec<u8>> {
    let mut text = vec![0; n_text + 1];
    let mut inflate = Decompress::new(false);
    let end = inflate.decompress(stream, &mut text, FlushDecompress::Finish);
    text.truncate(inflate.total_out() as usize);
    (end.ok()? == Status::StreamEnd).then_some(text)
}

#[test]
fn random_streams_are_inflated_as_by_the_library() {
    for seed in 1..400_u64 {
        let mut numbers = Numbers(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let Stream { bytes, n_text, .. } = random_stream(&mut numbers);
        let text = by_library(&bytes, n_text).expect("it is a stream");
        assert_eq!(text.len(), n_text, "seed {seed}");
        assert!(inflate(&bytes).as_ref() == Some(&text), "in two steps, seed {seed}");
        let most = [1, 300, 1 << 15, 1 << 17, 1 << 20][numbers.below(5)];
        let n_at_once = 1 << numbers.below(20);
        let n_at_once = 1000 + numbers.below(n_at_once);
        // A stream may end in fewer bytes than are looked at.
        let straight = inflate_straight(&bytes, &mut || 1 + numbers.below(most), n_at_once);
        assert!(straight.as_ref() == Some(&text), "straight, seed {seed}, {most}, {n_at_once}");
    }
}

#[test]
fn damaged_streams_are_refused_or_inflated_as_by_the_library() {
    let mut n_refused = 0;
    for seed in 1..400_u64 {
        let mut numbers = Numbers(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let Stream { mut bytes, n_text, .. } = random_stream(&mut numbers);
        let at = numbers.below(bytes.len());
        match seed % 3 {
            0 => bytes.truncate(at),
            _ => bytes[at] ^= 1 << numbers.below(8),
        }
        let straight = inflate_straight(&bytes, &mut || 1 + numbers.below(1 << 16), 1 << 12);
        let Some(straight) = straight else {
            n_refused += 1;
            continue;
        };
        let text = by_library(&bytes, straight.len().max(n_text));
        assert!(text.as_ref() == Some(&straight), "seed {seed}");
    }
    assert!(n_refused > 150, "only {n_refused} were refused");
}

#[test]
fn streams_go_on_from_every_place_that_was_noted() {
    let mut n_places = 0;
    for seed in 1..200_u64 {
        let mut numbers = Numbers(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let Stream { bytes, n_text, .. } = random_stream(&mut numbers);
        let text = by_library(&bytes, n_text).expect("it is a stream");
        let most = [300, 1 << 15, 1 << 17][numbers.below(3)];
        let (step, n_at_once) = (1 + numbers.below(1 << 15) as u64, 1000 + numbers.below(1 << 16));
        let mut sizes = || 1 + numbers.below(most);
        let mut inflater = Inflater::new(n_at_once);
        inflater.begin(&bytes[..], &Mark::start(0)).expect("it is memory");
        inflater.keep_marks(Marks::new(0, step));
        let whole = rest(&mut inflater, &bytes, &mut sizes);
        assert!(whole.as_ref() == Some(&text), "whole, seed {seed}");
        let marks = inflater.take_marks().expect("they were wanted").into_all();
        assert!(marks.windows(2).all(|two| two[1].offset - two[0].offset >= step), "seed {seed}");
        for mark in marks.iter().rev() {
            inflater.begin(&bytes[..], mark).expect("it is memory");
            let behind = rest(&mut inflater, &bytes, &mut sizes);
            assert!(behind.as_deref() == Some(&text[mark.offset as usize..]), "seed {seed}");
        }
        n_places += marks.len() - 1;
    }
    assert!(n_places > 300, "only {n_places} places");
}
