//! Literals and the length behind them, joined: what the next bits mean as far as a table of so few can tell, by one look.

use super::codes::{Entry, LITERAL, SPECIAL, code_bits, n_bits, value};
use super::header::{Codes, N_FIRST};

/// What the next bits mean: up to three literals, and the length behind them if they hold all of its code.
///
/// Lowest byte: bits that are taken with it, of codes and of the number behind the length's. Next byte: those of codes. Then nine bits:
/// the base of the length. Upper half: the literals, the first of them lowest, and in the highest two bits how many.
pub(super) type Joint = u64;

/// It ends with a length: the highest bit of the lower half.
const COPY: Joint = 1 << 31;
/// What is none of this: a longer code, the end of the block, nothing.
pub(super) const OTHER: Joint = 1 << 30;

/// Most literals of one.
const MAX_LITERALS: usize = 3;

/// What some next bits mean, for all of them.
#[derive(Clone, Debug)]
pub(super) struct Joined {
    places: [Joint; N_FIRST],
    is_fixed: bool,
}

impl Joined {
    pub(super) fn new() -> Self {
        Self { places: [OTHER; N_FIRST], is_fixed: false }
    }

    /// Makes what the codes of a block mean.
    pub(super) fn build(&mut self, codes: &Codes) {
        if self.is_fixed && codes.is_fixed {
            return;
        }
        self.is_fixed = codes.is_fixed;
        let first = codes.symbols.all_first();
        for (bits, place) in self.places.iter_mut().enumerate() {
            *place = join(first, bits);
        }
    }

    /// What the next bits mean.
    #[inline(always)]
    pub(super) fn at(&self, bits: u64) -> Joint {
        self.places[bits as usize & (N_FIRST - 1)]
    }
}

/// Joins what some bits mean, one symbol after the other.
fn join(first: &[Entry; N_FIRST], bits: usize) -> Joint {
    let (mut joint, mut rest, mut n_rest) = (0, bits, N_FIRST.trailing_zeros());
    for n_literals in 0..=MAX_LITERALS {
        let entry = first[rest];
        let n = code_bits(entry);
        if entry & (LITERAL | SPECIAL) == SPECIAL || n > n_rest {
            break;
        }
        let taken = Joint::from(n << 8 | n_bits(entry));
        if entry & LITERAL == 0 {
            return joint + (COPY | Joint::from(value(entry)) << 16) + taken;
        }
        if n_literals == MAX_LITERALS {
            break;
        }
        joint += 1 << 62 | Joint::from(value(entry)) << (32 + 8 * n_literals);
        joint += taken;
        (rest, n_rest) = (rest >> n, n_rest - n);
    }
    if joint == 0 { OTHER } else { joint }
}

/// The literals of one, lowest first, and what means nothing behind them.
#[inline(always)]
pub(super) fn literals(joint: Joint) -> [u8; 4] {
    ((joint >> 32) as u32).to_le_bytes()
}

/// How many literals it has.
#[inline(always)]
pub(super) fn n_literals(joint: Joint) -> usize {
    (joint >> 62) as usize
}

/// All bits if it ends with a length, and none otherwise: a mask, because a branch would go wrong too often.
#[inline(always)]
pub(super) fn copy_mask(joint: Joint) -> u32 {
    (joint as i32 >> (i32::BITS - 1)) as u32
}

/// Its length, with the number behind its code, of the bits that come next; none where it has no length.
#[inline(always)]
pub(super) fn length(joint: Joint, bits: u64) -> usize {
    let taken = bits & ((1 << (joint & 0x3f)) - 1);
    let more = taken.wrapping_shr(joint as u32 >> 8);
    (joint >> 16 & 0x1ff) as usize + more as usize
}
