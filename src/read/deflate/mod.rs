//! Deflate streams (RFC 1951) in two steps: what can be told of a piece of a stream without what comes before it, by any number of
//! threads, and its text, in order.
//!
//! Decodes what zlib decodes, or less: where anything is odd it says so and leaves the stream to the library.

mod bits;
mod codes;
mod decode;
mod expand;
mod header;
mod piece;
mod search;
mod tokens;

pub(super) use decode::Stop;
pub(super) use expand::Expander;
pub(super) use piece::{Bytes, Piece, read_at};
