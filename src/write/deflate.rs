//! Deflate for text that repeats itself at short distances, as the events of a trace do.
//!
//! One place is remembered for each hash of six bytes, and the first match that is found is taken: no chains, and no second thought.
//! What comes out depends on the text alone.

use super::deflate_codes::{
    Code, END, N_DISTANCES, N_LITERALS, codes, distance_bits, distance_code, length_code, put_head,
};

const HASH_BITS: u32 = 15;
/// Bytes of a match: those that are hashed, and what the format allows.
const MIN_MATCH: usize = 6;
const MAX_MATCH: usize = 258;
const MAX_DISTANCE: usize = 1 << 15;
/// Tokens of one block of the format, which has its own codes.
const MAX_TOKENS: usize = 1 << 16;
/// Places in a text have 32 bits; a longer one is compressed in pieces.
const MAX_TEXT: usize = 1 << 30;

/// A literal, or with the highest bit a match: its length less 3 above 15 bits of its distance less 1.
type Token = u32;
const MATCH: Token = 1 << 31;

/// Compresses texts, reusing its memory.
pub(super) struct Deflater {
    /// Where bytes of a hash were last, and 1.
    places: Box<[u32; 1 << HASH_BITS]>,
    tokens: Vec<Token>,
    literals: [u32; N_LITERALS],
    distances: [u32; N_DISTANCES],
}

impl Default for Deflater {
    fn default() -> Self {
        Self {
            places: Box::new([0; 1 << HASH_BITS]),
            tokens: Vec::with_capacity(MAX_TOKENS),
            literals: [0; N_LITERALS],
            distances: [0; N_DISTANCES],
        }
    }
}

impl Deflater {
    /// Appends a text, compressed on its own, as blocks of which none is the last, up to a byte boundary.
    pub(super) fn compress(&mut self, text: &[u8], out: &mut Vec<u8>) {
        let mut bits = Bits { out, held: 0, n_held: 0 };
        for text in text.chunks(MAX_TEXT) {
            self.places.fill(0);
            let mut at = 0;
            while at < text.len() {
                at = self.find_tokens(text, at);
                self.put_block(&mut bits);
            }
        }
        bits.sync();
    }

    /// Finds the tokens of a block that begins at a place. Gives the place behind.
    fn find_tokens(&mut self, text: &[u8], mut at: usize) -> usize {
        self.tokens.clear();
        self.literals.fill(0);
        self.distances.fill(0);
        while self.tokens.len() < MAX_TOKENS {
            let Some(here) = word(text, at) else { break };
            let last = std::mem::replace(&mut self.places[hash(here)], at as u32 + 1) as usize;
            if last != 0 && at + 1 - last <= MAX_DISTANCE {
                let len = match_len(text, last - 1, at);
                if len >= MIN_MATCH {
                    self.put_match(len, at + 1 - last);
                    if let Some(next) = word(text, at + 1) {
                        self.places[hash(next)] = at as u32 + 2;
                    }
                    at += len;
                    continue;
                }
            }
            self.put_literal(here as u8);
            at += 1;
        }
        let is_end = word(text, at).is_none();
        let rest = if is_end { MAX_TOKENS - self.tokens.len() } else { 0 };
        let end = text.len().min(at + rest);
        text[at..end].iter().for_each(|&byte| self.put_literal(byte));
        end
    }

    #[inline]
    fn put_literal(&mut self, byte: u8) {
        self.literals[usize::from(byte)] += 1;
        self.tokens.push(Token::from(byte));
    }

    #[inline]
    fn put_match(&mut self, len: usize, distance: usize) {
        self.literals[length_code(len - 3).symbol()] += 1;
        self.distances[distance_code(distance - 1)] += 1;
        self.tokens.push(MATCH | (len as u32 - 3) << 15 | (distance as u32 - 1));
    }

    /// Writes the tokens as a block.
    fn put_block(&mut self, bits: &mut Bits<'_>) {
        self.literals[END] = 1;
        // One code of a distance has to be there.
        self.distances[0] = self.distances[0].max(1);
        let (literals, distances) = (codes(&self.literals), codes(&self.distances));
        put_head(&literals, &distances, |code| bits.put(code));
        let lengths: [Code; 256] = std::array::from_fn(|len| {
            let length = length_code(len);
            literals[length.symbol()].with(u32::from(length.rest), length.n_rest)
        });
        for &token in &self.tokens {
            if token & MATCH == 0 {
                bits.put(literals[token as usize & 0xff]);
                continue;
            }
            bits.put(lengths[(token >> 15) as usize & 0xff]);
            let distance = token & (MAX_DISTANCE as u32 - 1);
            let symbol = distance_code(distance as usize);
            let n_rest = distance_bits(symbol);
            bits.put(distances[symbol].with(distance & ((1 << n_rest) - 1), n_rest));
        }
        bits.put(literals[END]);
    }
}

/// The eight bytes at a place.
#[inline]
fn word(text: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*text.get(at..)?.first_chunk()?))
}

/// A hash of the first six bytes of a word.
#[inline]
fn hash(word: u64) -> usize {
    ((word << 16).wrapping_mul(0x9E37_79B1_85EB_CA87) >> (64 - HASH_BITS)) as usize
}

/// How many bytes at a place are those at one before it, as far as a match goes.
#[inline]
fn match_len(text: &[u8], before: usize, at: usize) -> usize {
    let most = MAX_MATCH.min(text.len() - at);
    let mut len = 0;
    while len + 8 <= most {
        let (Some(a), Some(b)) = (word(text, before + len), word(text, at + len)) else { break };
        if a != b {
            return len + ((a ^ b).trailing_zeros() / 8) as usize;
        }
        len += 8;
    }
    while len < most && text[before + len] == text[at + len] {
        len += 1;
    }
    len
}

/// Writes bits, the lowest first.
struct Bits<'a> {
    out: &'a mut Vec<u8>,
    held: u64,
    /// Fewer than 32 between two codes.
    n_held: u32,
}

impl Bits<'_> {
    /// Appends a code of at most 32 bits.
    #[inline]
    fn put(&mut self, code: Code) {
        self.held |= u64::from(code.bits) << self.n_held;
        self.n_held += u32::from(code.len);
        if self.n_held >= 32 {
            self.out.extend_from_slice(&(self.held as u32).to_le_bytes());
            self.held >>= 32;
            self.n_held -= 32;
        }
    }

    /// Ends on a byte boundary: with an empty stored block.
    fn sync(&mut self) {
        self.put(Code { bits: 0, len: 3 });
        let n_bytes = self.n_held.div_ceil(8) as usize;
        self.out.extend_from_slice(&self.held.to_le_bytes()[..n_bytes]);
        self.out.extend_from_slice(&[0, 0, 0xff, 0xff]);
        (self.held, self.n_held) = (0, 0);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use proptest::prelude::*;

    use super::{Deflater, MAX_TOKENS};

    /// What a reader makes of the compressed text.
    fn read_back(deflater: &mut Deflater, text: &[u8]) -> Vec<u8> {
        let mut bytes = b"before".to_vec();
        deflater.compress(text, &mut bytes);
        // The last block is empty.
        bytes.extend_from_slice(&[3, 0]);
        let mut read = Vec::new();
        let mut reader = flate2::read::DeflateDecoder::new(&bytes[6..]);
        reader.read_to_end(&mut read).expect("compressed text can be read");
        read
    }

    #[test]
    fn texts_of_every_kind_read_back() {
        let noise = |n: u32| (0..n).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8);
        let event = |i: u32| format!("{{\"ph\":\"X\",\"name\":\"{}\",\"ts\":{}}},", i % 7, i * 37);
        let far = [b"123456789".to_vec(), noise(1 << 15).collect(), b"123456789".to_vec()];
        let texts = [
            Vec::new(),
            b"a".to_vec(),
            b"1234567".to_vec(),
            vec![0; 100_000],
            noise(3 * MAX_TOKENS as u32).collect(),
            (0..MAX_TOKENS as u32 / 4).flat_map(|i| event(i).into_bytes()).collect(),
            far.concat(),
        ];
        let mut deflater = Deflater::default();
        for text in texts {
            assert!(read_back(&mut deflater, &text) == text, "{} bytes", text.len());
        }
    }

    #[test]
    fn a_block_may_end_anywhere_near_the_end_of_the_text() {
        let mut deflater = Deflater::default();
        for n in MAX_TOKENS - 10..MAX_TOKENS + 10 {
            let noise = |i: u32| (i.wrapping_mul(2_654_435_761) >> 11) as u8 | 1;
            let text: Vec<u8> = (0..n as u32).map(noise).collect();
            assert!(read_back(&mut deflater, &text) == text, "{n} bytes");
        }
    }

    proptest! {
        #[test]
        fn pieces_that_repeat_read_back(
            pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..8),
            order in prop::collection::vec(any::<prop::sample::Index>(), 0..400),
        ) {
            let text: Vec<u8> = order.iter().flat_map(|i| i.get(&pieces).clone()).collect();
            prop_assert_eq!(read_back(&mut Deflater::default(), &text), text);
        }
    }
}
