//! Looks for the start of a block in the middle of a stream.
//!
//! A block with codes of its own has so much at its start that must fit that hardly anything else looks like one. What is found is
//! a guess all the same: who uses it checks that the stream comes to it.

use super::bits::Bits;
use super::header::Codes;

/// Bits of a start that one look decides on.
const LOOK: u32 = 13;

/// By how many bits one can go on at least, by the bits that come next; none where a block may begin.
const TO_NEXT: [u8; 1 << LOOK] = {
    let mut skips = [0; 1 << LOOK];
    let mut bits = 0;
    while bits < skips.len() {
        let mut n = 0;
        while n < LOOK && !may_begin(bits >> n, LOOK - n) {
            n += 1;
        }
        skips[bits] = n as u8;
        bits += 1;
    }
    skips
};

/// Whether the first `n` bits of a block may be these: not the last block, codes of its own, no more of them than there can be.
const fn may_begin(bits: usize, n: u32) -> bool {
    let (kind, symbols, distances) = (bits & 7, bits >> 3 & 31, bits >> 8 & 31);
    (n < 3 || kind == 4) && (n < 8 || symbols < 30) && (n < 13 || distances < 30)
}

/// Share of all codes of lengths that four of them take, by their lengths of three bits each.
const SHARES: [u16; 1 << 12] = {
    let mut shares = [0; 1 << 12];
    let mut bits = 0;
    while bits < shares.len() {
        let mut i = 0;
        while i < 4 {
            let n = bits >> (3 * i) & 7;
            shares[bits] += if n > 0 { 128 >> n } else { 0 };
            i += 1;
        }
        bits += 1;
    }
    shares
};

/// Whether the code of lengths is one, of the bits behind the first 13 of a block.
#[inline(always)]
fn is_whole(bits: u64) -> bool {
    let n = 3 * (4 + (bits & 15));
    let mut rest = (bits >> 4) & ((1 << n) - 1);
    let mut share = 0;
    for _ in 0..5 {
        share += SHARES[rest as usize & 0xfff];
        rest >>= 12;
    }
    share == 128
}

/// The first bit from `from` on and before `end` where a block seems to begin.
pub(super) fn find_block(
    bytes: &[u8],
    from: usize,
    end: usize,
    codes: &mut Codes,
) -> Option<usize> {
    let mut at = from;
    while at < end {
        let word =
            |byte: usize| bytes.get(byte..byte + 8)?.first_chunk().map(|&b| u64::from_le_bytes(b));
        let bits = word(at / 8)? >> (at % 8);
        let skip = TO_NEXT[bits as usize & ((1 << LOOK) - 1)];
        if skip > 0 {
            at += usize::from(skip);
            continue;
        }
        let behind = at + LOOK as usize;
        // 61 bits are wanted: at most seven of them stand before a whole byte.
        let more = u64::from(*bytes.get(behind / 8 + 8)?);
        // In two steps, because none of 64 can be made where there are none behind.
        let bits = word(behind / 8)? >> (behind % 8) | more << 1 << (63 - behind % 8);
        if is_whole(bits) {
            let mut bits = Bits::new(bytes, at + 3);
            if codes.read_codes(&mut bits).is_some() && !bits.is_over() {
                return Some(at);
            }
        }
        at += 1;
    }
    None
}
