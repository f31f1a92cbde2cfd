//! From bits to tokens.

use super::bits::Bits;
use super::codes::{END, LITERAL, LONGER, SPECIAL, n_bits, number, value};
use super::header::{Codes, Kind};
use super::tokens::{MAX_LITERALS, SLACK, Tokens, token};
use crate::model::limits::MAX_TOKEN_BYTES;

/// Why decoding stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::read) enum Stop {
    /// A block ends at or behind the place where it was to stop.
    Boundary,
    /// More of the stream is needed.
    Input,
    /// There are as many tokens as were wanted.
    Full,
    /// The last block ended.
    End,
    /// This is no deflate stream.
    Broken,
}

/// Where decoding stands in a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Header,
    Stored(usize),
    Coded,
}

/// A decoder that can stop anywhere and go on.
#[derive(Clone, Debug)]
pub(super) struct Decoder {
    codes: Codes,
    place: Place,
    is_last: bool,
}

/// Bytes a step of the inner loop loads at most.
const LOADS: usize = 3;

impl Decoder {
    pub(super) fn new() -> Self {
        Self { codes: Codes::new(), place: Place::Header, is_last: false }
    }

    /// Stands at the start of a block.
    pub(super) fn restart(&mut self) {
        (self.place, self.is_last) = (Place::Header, false);
    }

    /// The codes, for whoever looks for some.
    pub(super) fn codes(&mut self) -> &mut Codes {
        &mut self.codes
    }

    /// Whether it stands between two blocks.
    pub(super) fn is_between(&self) -> bool {
        self.place == Place::Header
    }

    /// Decodes from a bit of `bytes` on, until a block ends at or behind the bit `until`. Gives why it stopped and where.
    pub(super) fn run(
        &mut self,
        bytes: &[u8],
        from: usize,
        until: usize,
        out: &mut Tokens,
    ) -> (Stop, usize) {
        let mut at = from;
        loop {
            if out.n_bytes() >= MAX_TOKEN_BYTES {
                return (Stop::Full, at);
            }
            let mut bits = Bits::new(bytes, at);
            match self.place {
                Place::Header => {
                    if self.is_last {
                        return (Stop::End, at);
                    }
                    if at >= until {
                        return (Stop::Boundary, at);
                    }
                    let header = self.codes.read_header(&mut bits);
                    if bits.is_over() {
                        return (Stop::Input, at);
                    }
                    let Some(header) = header else { return (Stop::Broken, at) };
                    self.is_last = header.is_last;
                    self.place = match header.kind {
                        Kind::Stored(n) => Place::Stored(n),
                        Kind::Coded => Place::Coded,
                    };
                    at = bits.position();
                }
                Place::Stored(n) => {
                    let stored = bits.rest_of_bytes();
                    let n_now = stored.len().min(n);
                    out.add_stored(&stored[..n_now]);
                    at = at.next_multiple_of(8) + n_now * 8;
                    if n_now < n {
                        self.place = Place::Stored(n - n_now);
                        return (Stop::Input, at);
                    }
                    self.place = Place::Header;
                }
                Place::Coded => {
                    let stop = self.decode_codes(&mut bits, out);
                    at = bits.position();
                    match stop {
                        Some(Stop::End) => self.place = Place::Header,
                        Some(stop) => return (stop, at),
                        None => {}
                    }
                }
            }
        }
    }

    /// Decodes until there is no room, no input, or the block ends.
    fn decode_codes(&self, bits: &mut Bits<'_>, out: &mut Tokens) -> Option<Stop> {
        let n_steps = (bits.n_refills() / LOADS).min(MAX_STEPS);
        if n_steps == 0 {
            return Some(Stop::Input);
        }
        let (mut n_tokens, start) = out.make_room(n_steps);
        let (mut at, mut run) = (start, start);
        let stop = self.steps(
            bits,
            n_steps,
            (&mut out.tokens, &mut out.literals),
            (&mut n_tokens, &mut at, &mut run),
            &mut out.n_text,
        );
        n_tokens = out.tokens.len().min(n_tokens);
        out.end_room(n_tokens, at, run, start);
        stop
    }

    #[inline(always)]
    fn steps(
        &self,
        bits: &mut Bits<'_>,
        n_steps: usize,
        (tokens, literals): (&mut [u32], &mut [u8]),
        (n_tokens, at, run): (&mut usize, &mut usize, &mut usize),
        n_text: &mut usize,
    ) -> Option<Stop> {
        let Codes { symbols, distances } = &self.codes;
        for _ in 0..n_steps {
            bits.refill();
            let mut entry = symbols.first(bits.peek());
            if entry & LITERAL != 0 {
                literals[*at] = value(entry) as u8;
                *at += 1;
                bits.skip(n_bits(entry));
                entry = symbols.first(bits.peek());
                if entry & LITERAL != 0 {
                    literals[*at] = value(entry) as u8;
                    *at += 1;
                    bits.skip(n_bits(entry));
                    entry = symbols.first(bits.peek());
                    if entry & LITERAL != 0 {
                        literals[*at] = value(entry) as u8;
                        *at += 1;
                        bits.skip(n_bits(entry));
                        continue;
                    }
                }
                bits.refill();
            }
            if entry & SPECIAL != 0 {
                if entry & LONGER == LONGER {
                    entry = symbols.longer(entry, bits.peek());
                }
                if entry & LITERAL != 0 {
                    literals[*at] = value(entry) as u8;
                    *at += 1;
                    bits.skip(n_bits(entry));
                    continue;
                }
                if entry & SPECIAL != 0 {
                    bits.skip(n_bits(entry));
                    return Some(if entry & END == END { Stop::End } else { Stop::Broken });
                }
            }
            let length = number(entry, bits.peek());
            bits.skip(n_bits(entry));
            let mut entry = distances.first(bits.peek());
            if entry & SPECIAL != 0 {
                if entry & LONGER == LONGER {
                    entry = distances.longer(entry, bits.peek());
                }
                if entry & SPECIAL != 0 {
                    return Some(Stop::Broken);
                }
            }
            let distance = number(entry, bits.peek());
            bits.skip(n_bits(entry));
            let mut n = *at - *run;
            while n > MAX_LITERALS {
                tokens[*n_tokens] = token(MAX_LITERALS, 0, 1);
                *n_tokens += 1;
                n -= MAX_LITERALS;
            }
            *run = *at;
            tokens[*n_tokens] = token(n, length, distance);
            *n_tokens += 1;
            *n_text += length as usize;
        }
        None
    }
}

/// Steps of the inner loop for which room is made at a time.
const MAX_STEPS: usize = 1 << 12;

impl Tokens {
    /// Makes room for the tokens and literals of so many steps. Gives how many of either there are.
    fn make_room(&mut self, n_steps: usize) -> (usize, usize) {
        let n_tokens = self.tokens.len();
        let n_literals = self.literals.len().saturating_sub(SLACK);
        // A step gives three literals at most, or two and a copy; a run of them at the end may want some tokens of its own.
        self.tokens.resize(n_tokens + n_steps + 3 * n_steps / MAX_LITERALS + 2, 0);
        self.literals.resize(n_literals + 3 * n_steps + SLACK, 0);
        (n_tokens, n_literals)
    }

    fn end_room(&mut self, n_tokens: usize, n_literals: usize, run: usize, start: usize) {
        self.tokens.truncate(n_tokens);
        self.end_run(n_literals - run);
        self.n_text += n_literals - start;
        self.literals.truncate(n_literals + SLACK);
    }

    fn end_run(&mut self, mut n: usize) {
        while n > 0 {
            let some = n.min(MAX_LITERALS);
            self.tokens.push(token(some, 0, 1));
            n -= some;
        }
    }

    fn add_stored(&mut self, bytes: &[u8]) {
        let n_literals = self.literals.len().saturating_sub(SLACK);
        self.literals.truncate(n_literals);
        self.literals.extend_from_slice(bytes);
        self.literals.extend_from_slice(&[0; SLACK]);
        self.end_run(bytes.len());
        self.n_text += bytes.len();
    }

    /// Memory that they take.
    fn n_bytes(&self) -> usize {
        size_of_val(&self.tokens[..]) + self.literals.len()
    }

    /// Forgets what there is and keeps the memory.
    pub(super) fn clear(&mut self) {
        self.tokens.clear();
        self.literals.clear();
        self.n_text = 0;
    }
}
