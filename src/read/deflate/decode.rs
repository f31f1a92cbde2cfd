//! From bits to what is made of them: blocks and what stands in them; the codes of a block to tokens.

use super::bits::Bits;
use super::codes::{END, Entry, LITERAL, SPECIAL, n_bits, number, value};
use super::header::{Codes, Kind};
use super::tokens::{MAX_LITERALS, SLACK, Token, Tokens, token};
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

/// What is made of a stream.
pub(super) trait Sink {
    /// Whether it wants no more.
    fn is_full(&self) -> bool;

    /// A block with these codes begins.
    fn begin(&mut self, codes: &Codes);

    /// Takes stored bytes. Gives how many: all, or fewer and is full.
    fn add_stored(&mut self, bytes: &[u8]) -> usize;

    /// Takes what some codes say. Gives why it stopped before: the block ended, there is no more input, or the codes mean nothing.
    fn decode(&mut self, codes: &Codes, bits: &mut Bits<'_>) -> Option<Stop>;
}

/// A decoder that can stop anywhere and go on.
#[derive(Clone, Debug)]
pub(super) struct Decoder {
    codes: Codes,
    place: Place,
    is_last: bool,
}

/// Words that a step of the inner loop may look at, and one that is not taken whole.
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
        out: &mut impl Sink,
    ) -> (Stop, usize) {
        let mut at = from;
        loop {
            if out.is_full() {
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
                        Kind::Coded => {
                            out.begin(&self.codes);
                            Place::Coded
                        }
                    };
                    at = bits.position();
                }
                Place::Stored(n) => {
                    let stored = bits.rest_of_bytes();
                    let n_there = stored.len().min(n);
                    let n_now = out.add_stored(&stored[..n_there]);
                    at = at.next_multiple_of(8) + n_now * 8;
                    self.place = if n_now < n { Place::Stored(n - n_now) } else { Place::Header };
                    if n_now == n_there && n_there < n {
                        return (Stop::Input, at);
                    }
                }
                Place::Coded => {
                    let stop = out.decode(&self.codes, &mut bits);
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
}

impl Sink for Tokens {
    fn is_full(&self) -> bool {
        self.n_bytes() >= MAX_TOKEN_BYTES
    }

    fn begin(&mut self, _: &Codes) {}

    fn add_stored(&mut self, bytes: &[u8]) -> usize {
        self.literals.truncate(self.n_literals());
        self.literals.extend_from_slice(bytes);
        self.literals.extend_from_slice(&[0; SLACK]);
        self.end_run(bytes.len());
        self.n_text += bytes.len();
        bytes.len()
    }

    fn decode(&mut self, codes: &Codes, bits: &mut Bits<'_>) -> Option<Stop> {
        let n_steps = (bits.n_refills() / LOADS).min(MAX_STEPS);
        if n_steps == 0 {
            return Some(Stop::Input);
        }
        let n_before = self.n_literals();
        let mut room = Room::new(self, n_steps);
        let stop = steps(codes, bits, n_steps, &mut room);
        let Room { n_tokens, n_literals, run, n_copied, .. } = room;
        self.tokens.truncate(n_tokens);
        self.n_text += n_copied + n_literals - n_before;
        self.literals.truncate(n_literals + SLACK);
        self.end_run(n_literals - run);
        stop
    }
}

#[inline(always)]
fn steps(codes: &Codes, bits: &mut Bits<'_>, n_steps: usize, room: &mut Room<'_>) -> Option<Stop> {
    let Codes { symbols, distances, .. } = codes;
    for _ in 0..n_steps {
        // Enough is loaded for three codes, or for a length and a distance with their further bits.
        bits.refill();
        let mut entry = symbols.first(bits.peek());
        if entry & LITERAL != 0 {
            room.add_literal(entry, bits);
            entry = symbols.first(bits.peek());
            if entry & LITERAL != 0 {
                room.add_literal(entry, bits);
                entry = symbols.first(bits.peek());
                if entry & LITERAL != 0 {
                    room.add_literal(entry, bits);
                    continue;
                }
            }
            bits.refill();
        }
        if entry & SPECIAL != 0 {
            entry = symbols.longer(entry, bits.peek());
            if entry & LITERAL != 0 {
                room.add_literal(entry, bits);
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
            entry = distances.longer(entry, bits.peek());
            if entry & SPECIAL != 0 {
                return Some(Stop::Broken);
            }
        }
        let distance = number(entry, bits.peek());
        bits.skip(n_bits(entry));
        room.add_copy(length, distance);
    }
    None
}

/// Steps of the inner loop for which room is made at a time.
const MAX_STEPS: usize = 1 << 12;

/// Where the inner loop writes.
struct Room<'a> {
    tokens: &'a mut [Token],
    literals: &'a mut [u8],
    n_tokens: usize,
    n_literals: usize,
    /// Literals of which a token is made already.
    run: usize,
    /// Text of the copies.
    n_copied: usize,
}

impl<'a> Room<'a> {
    /// Makes room for the tokens and literals of so many steps.
    fn new(out: &'a mut Tokens, n_steps: usize) -> Self {
        let (n_tokens, n_literals) = (out.tokens.len(), out.n_literals());
        // A step gives three literals at most, or two and a copy, and long runs of literals have tokens of their own.
        out.tokens.resize(n_tokens + n_steps + 3 * n_steps / MAX_LITERALS + 1, 0);
        out.literals.resize(n_literals + 3 * n_steps + SLACK, 0);
        let Tokens { tokens, literals, .. } = out;
        Self { tokens, literals, n_tokens, n_literals, run: n_literals, n_copied: 0 }
    }

    #[inline(always)]
    fn add_literal(&mut self, entry: Entry, bits: &mut Bits<'_>) {
        self.literals[self.n_literals] = value(entry) as u8;
        self.n_literals += 1;
        bits.skip(n_bits(entry));
    }

    #[inline(always)]
    fn add_copy(&mut self, length: u32, distance: u32) {
        let mut n = self.n_literals - self.run;
        while n > MAX_LITERALS {
            self.add(token(MAX_LITERALS, 0, 1));
            n -= MAX_LITERALS;
        }
        self.run = self.n_literals;
        self.add(token(n, length, distance));
        self.n_copied += length as usize;
    }

    #[inline(always)]
    fn add(&mut self, token: Token) {
        self.tokens[self.n_tokens] = token;
        self.n_tokens += 1;
    }
}

impl Tokens {
    /// Forgets what there is and keeps the memory.
    pub(super) fn clear(&mut self) {
        self.tokens.clear();
        self.literals.clear();
        self.n_text = 0;
    }

    /// Memory that they take.
    fn n_bytes(&self) -> usize {
        size_of_val(&self.tokens[..]) + self.literals.len()
    }

    fn n_literals(&self) -> usize {
        self.literals.len().saturating_sub(SLACK)
    }

    /// Makes tokens of the last literals.
    fn end_run(&mut self, n: usize) {
        let runs = (0..n).step_by(MAX_LITERALS).map(|at| (n - at).min(MAX_LITERALS));
        self.tokens.extend(runs.map(|n| token(n, 0, 1)));
    }
}
