//! From bits straight to text, for one thread.
//!
//! A step takes what one look at the joined literals and lengths gives and the distance behind it, and goes wrong at hardly any branch: what
//! ends without a length is a copy of nothing, and copies are made by so many bytes that few are longer.

use super::bits::Bits;
use super::codes::{END, LITERAL, SPECIAL, n_bits, number, value};
use super::decode::{Sink, Stop};
use super::expand::{MAX_LENGTH, copy_back};
use super::header::Codes;
use super::joined::{Joined, OTHER, copy_mask, length, literals, n_literals};
use super::wide;

/// Bytes that are copied at once.
const WIDE: usize = 128;

/// Bytes that are written for the literals of a step.
const MAX_LITERALS: usize = 4;

/// Bytes that a step may write.
pub(super) const ROOM: usize = MAX_LITERALS + MAX_LENGTH;

/// Text that is made behind what stands in a place already, which is all that it may refer to.
pub(super) struct Straight<'a> {
    pub(super) joined: &'a mut Joined,
    pub(super) text: &'a mut [u8],
    /// Where the text ends.
    pub(super) at: usize,
}

impl Sink for Straight<'_> {
    fn is_full(&self) -> bool {
        self.at + ROOM > self.text.len()
    }

    fn begin(&mut self, codes: &Codes) {
        self.joined.build(codes);
    }

    fn add_stored(&mut self, bytes: &[u8]) -> usize {
        let n = bytes.len().min((self.text.len() - self.at).saturating_sub(ROOM) + 1);
        self.text[self.at..][..n].copy_from_slice(&bytes[..n]);
        self.at += n;
        n
    }

    fn decode(&mut self, codes: &Codes, bits: &mut Bits<'_>) -> Option<Stop> {
        bits.refill();
        if bits.n_refills() == 0 {
            return Some(Stop::Input);
        }
        wide::steps(self, codes, bits)
    }
}

/// Takes codes as long as there is room, and input for a whole step. Whole words were loaded before.
#[inline(always)]
pub(super) fn steps(
    straight: &mut Straight<'_>,
    codes: &Codes,
    bits: &mut Bits<'_>,
) -> Option<Stop> {
    let Straight { joined, text, at: end } = straight;
    let (joined, text): (&Joined, &mut [u8]) = (joined, text);
    let mut at = *end;
    let (bytes, mut next, mut hold, mut n) = bits.parts();
    let last_word = bytes.len().checked_sub(size_of::<u64>())?;
    let last = text.len().checked_sub(ROOM)?;
    let last_from = text.len() - MAX_LENGTH;
    let mut joint = joined.at(hold);
    let stop = loop {
        if at > last || next > last_word {
            break None;
        }
        // All shifts are by the lowest bits of an entry: what stands above them is of no account, in `n` neither.
        let behind = hold.wrapping_shr(joint as u32);
        // Nothing is taken, from no distance, behind what ends without a length.
        let entry = codes.distances.first(behind) & copy_mask(joint);
        if joint & OTHER != 0 || entry & SPECIAL != 0 {
            bits.set_parts(next, hold, n & 63);
            match one(codes, bits, text, at) {
                Ok(end) => at = end,
                Err(stop) => {
                    *end = at;
                    return Some(stop);
                }
            }
            bits.refill();
            (_, next, hold, n) = bits.parts();
            joint = joined.at(hold);
            continue;
        }
        text[at..at + MAX_LITERALS].copy_from_slice(&literals(joint));
        at += n_literals(joint);
        let (length, distance) = (length(joint, hold), number(entry, behind) as usize);
        n = n.wrapping_sub(joint as u32).wrapping_sub(entry);
        let behind = behind.wrapping_shr(entry);
        // At least 20 bits are left: the next look need not wait for those that are loaded now.
        joint = joined.at(behind);
        let word = bytes[next..].first_chunk().expect("a word is left");
        hold = behind | u64::from_le_bytes(*word).wrapping_shl(n);
        next += 7 - (n >> 3 & 7) as usize;
        n |= 56;
        let from = at.wrapping_sub(distance);
        if from > last_from {
            break Some(Stop::Broken);
        }
        if distance >= length {
            copy_wide(text, from, at, length);
        } else if copy_back(&[], text, at, (distance, length)).is_none() {
            break Some(Stop::Broken);
        }
        at += length;
    };
    *end = at;
    bits.set_parts(next, hold, n & 63);
    stop
}

/// Copies text that ends before where it is copied to; what is written behind it is written over later.
#[inline(always)]
fn copy_wide(text: &mut [u8], from: usize, at: usize, length: usize) {
    const MORE: usize = MAX_LENGTH - WIDE;
    let first: [u8; WIDE] = *text[from..].first_chunk().expect("there is room");
    text[at..at + WIDE].copy_from_slice(&first);
    if length > WIDE {
        let more: [u8; MORE] = *text[from + WIDE..].first_chunk().expect("there is room");
        text[at + WIDE..at + MAX_LENGTH].copy_from_slice(&more);
    }
}

/// Takes one symbol, whatever it is. Gives where the text ends then.
#[cold]
#[inline(never)]
fn one(codes: &Codes, bits: &mut Bits<'_>, text: &mut [u8], at: usize) -> Result<usize, Stop> {
    let Codes { symbols, distances, .. } = codes;
    // Enough is loaded for a length and a distance with their further bits.
    bits.refill();
    let entry = symbols.longer(symbols.first(bits.peek()), bits.peek());
    let length = number(entry, bits.peek());
    bits.skip(n_bits(entry));
    if entry & LITERAL != 0 {
        text[at] = value(entry) as u8;
        return Ok(at + 1);
    }
    if entry & SPECIAL != 0 {
        return Err(if entry & END == END { Stop::End } else { Stop::Broken });
    }
    let entry = distances.longer(distances.first(bits.peek()), bits.peek());
    if entry & SPECIAL != 0 {
        return Err(Stop::Broken);
    }
    let copy = (number(entry, bits.peek()) as usize, length as usize);
    bits.skip(n_bits(entry));
    copy_back(&[], text, at, copy).ok_or(Stop::Broken)?;
    Ok(at + copy.1)
}
