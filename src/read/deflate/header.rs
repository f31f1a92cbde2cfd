//! What stands at the start of a block: how it is stored, and its codes (RFC 1951, 3.2.3 to 3.2.7).

use super::bits::Bits;
use super::codes::{END, Entry, LITERAL, SPECIAL, Table, n_bits, value};

/// Literals, end of block and lengths.
const N_SYMBOLS: usize = 286;
/// Distances.
const N_DISTANCES: usize = 30;
/// The fixed codes have some that mean nothing.
const N_FIXED_SYMBOLS: usize = 288;
const N_FIXED_DISTANCES: usize = 32;

/// Lengths of codes of lengths come in this order.
pub(crate) const ORDER: [usize; 19] =
    [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

/// Places of the table of literals and lengths. Twice as many, and of distances, take more of the first cache than they give.
pub(super) const N_FIRST: usize = 1 << 10;

/// The codes of a block.
#[derive(Clone, Debug)]
pub(super) struct Codes {
    pub(super) symbols: Table<N_FIRST>,
    pub(super) distances: Table<256>,
    /// Whether they are those that stand in no block.
    pub(super) is_fixed: bool,
}

/// How a block is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// As it is, so many bytes from the next whole byte on.
    Stored(usize),
    /// In codes.
    Coded,
}

/// The start of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) is_last: bool,
    pub(super) kind: Kind,
}

impl Codes {
    pub(super) fn new() -> Self {
        Self { symbols: Table::new(), distances: Table::new(), is_fixed: false }
    }

    /// Reads the start of a block. `None`: it is none.
    pub(super) fn read_header(&mut self, bits: &mut Bits<'_>) -> Option<Header> {
        let start = bits.take(3);
        let is_last = start & 1 == 1;
        let kind = match start >> 1 {
            0 => Kind::Stored(stored_length(bits)?),
            1 => {
                self.make_fixed();
                Kind::Coded
            }
            2 => {
                self.read_codes(bits)?;
                Kind::Coded
            }
            _ => return None,
        };
        Some(Header { is_last, kind })
    }

    fn make_fixed(&mut self) {
        if std::mem::replace(&mut self.is_fixed, true) {
            return;
        }
        let mut lengths = [8; N_FIXED_SYMBOLS];
        lengths[144..256].fill(9);
        lengths[256..280].fill(7);
        self.symbols.build(&lengths, &SYMBOLS);
        self.distances.build(&[5; N_FIXED_DISTANCES], &DISTANCES);
    }

    /// Reads the codes that stand in a block.
    pub(super) fn read_codes(&mut self, bits: &mut Bits<'_>) -> Option<()> {
        self.is_fixed = false;
        let counts = bits.take(14) as usize;
        let (n_symbols, n_distances) = (257 + (counts & 31), 1 + (counts >> 5 & 31));
        if n_symbols > N_SYMBOLS || n_distances > N_DISTANCES {
            return None;
        }
        let mut lengths = [0; ORDER.len()];
        for &at in &ORDER[..4 + (counts >> 10)] {
            lengths[at] = bits.take(3) as u8;
        }
        let mut code = Table::<128>::new();
        // No code at all, or one alone, is none here.
        if !code.build(&lengths, &LENGTHS) || lengths.iter().filter(|&&n| n > 0).count() < 2 {
            return None;
        }
        let mut lengths = [0; N_SYMBOLS + N_DISTANCES];
        let lengths = &mut lengths[..n_symbols + n_distances];
        read_lengths(bits, &code, lengths)?;
        let (symbols, distances) = lengths.split_at(n_symbols);
        let is_good = symbols[256] > 0
            && self.symbols.build(symbols, &SYMBOLS)
            && self.distances.build(distances, &DISTANCES);
        is_good.then_some(())
    }
}

/// Length of a stored block, which stands there twice.
fn stored_length(bits: &mut Bits<'_>) -> Option<usize> {
    let to_byte = (8 - bits.position() % 8) % 8;
    bits.take(to_byte as u32);
    let both = bits.take(32);
    (both & 0xffff == !both >> 16).then_some(both as usize & 0xffff)
}

/// Reads lengths of codes, which are stored in a code themselves, with repetitions.
fn read_lengths(bits: &mut Bits<'_>, code: &Table<128>, lengths: &mut [u8]) -> Option<()> {
    let mut at = 0;
    while at < lengths.len() {
        bits.refill();
        let entry = code.first(bits.peek());
        bits.skip(n_bits(entry));
        let (length, n) = match value(entry) {
            length @ 0..16 => (length as u8, 1),
            16 => (*lengths[..at].last()?, 3 + bits.take(2) as usize),
            17 => (0, 3 + bits.take(3) as usize),
            _ => (0, 11 + bits.take(7) as usize),
        };
        lengths.get_mut(at..at + n)?.fill(length);
        at += n;
    }
    Some(())
}

/// Entries of the lengths of codes.
const LENGTHS: [Entry; 19] = {
    let mut entries = [0; 19];
    let mut i = 0;
    while i < entries.len() {
        entries[i] = (i as u32) << 16;
        i += 1;
    }
    entries
};

/// Entries of literals, end of block and lengths.
const SYMBOLS: [Entry; N_FIXED_SYMBOLS] = {
    let mut entries = [SPECIAL; N_FIXED_SYMBOLS];
    let mut i = 0;
    while i < 256 {
        entries[i] = LITERAL | (i as u32) << 16;
        i += 1;
    }
    entries[256] = END;
    let mut base = 3;
    i = 257;
    while i < 285 {
        // Four lengths or distances share a number of further bits, after the first eight.
        let n_more = if i < 265 { 0 } else { (i as u32 - 261) / 4 };
        entries[i] = base << 16 | n_more;
        base += 1 << n_more;
        i += 1;
    }
    entries[285] = 258 << 16;
    entries
};

/// Entries of distances.
const DISTANCES: [Entry; N_FIXED_DISTANCES] = {
    let mut entries = [SPECIAL; N_FIXED_DISTANCES];
    let mut base = 1;
    let mut i = 0;
    while i < N_DISTANCES {
        let n_more = if i < 4 { 0 } else { (i as u32 - 2) / 2 };
        entries[i] = base << 16 | n_more;
        base += 1 << n_more;
        i += 1;
    }
    entries
};
