//! What a deflate stream says, without the text that it refers to: runs of literals, and copies of what came before.
//!
//! This can be told of a piece of a stream whatever stands before the piece.

/// So many literals of the list, then so many bytes from so far back. Literals: highest byte; length: 9 bits; distance less one: 15.
pub(super) type Token = u32;

/// Most literals of a token.
pub(super) const MAX_LITERALS: usize = 255;

/// Bytes that stand behind the literals, so that some at the end can be copied as many at once.
pub(super) const SLACK: usize = 64;

/// Tokens of a piece of a stream, in order.
#[derive(Debug, Default)]
pub(in crate::read) struct Tokens {
    pub(super) tokens: Vec<Token>,
    /// All literals one behind the other, and [`SLACK`] bytes.
    pub(super) literals: Vec<u8>,
    /// Bytes of text that they stand for.
    pub(in crate::read) n_text: usize,
}

/// Takes a token apart: literals, length, distance.
#[inline(always)]
pub(super) fn parts(token: Token) -> (usize, usize, usize) {
    let (n_literals, length) = (token >> 24, token >> 15 & 0x1ff);
    (n_literals as usize, length as usize, (token & 0x7fff) as usize + 1)
}

/// Makes a token of a copy.
#[inline(always)]
pub(super) fn token(n_literals: usize, length: u32, distance: u32) -> Token {
    (n_literals as u32) << 24 | length << 15 | (distance - 1)
}
