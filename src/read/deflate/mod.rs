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
mod wide;

pub(super) use decode::Stop;
pub(super) use expand::Expander;
#[cfg(feature = "program")]
pub(crate) use header::ORDER as CODE_LENGTH_ORDER;
pub(super) use piece::{Bytes, Piece};

/// Inflates a stream that stands whole in memory; `None` where anything is odd.
#[cfg(feature = "rooms")]
pub(super) fn inflate(stream: &[u8]) -> Option<Vec<u8>> {
    let (mut decoder, mut expander) = (decode::Decoder::new(), Expander::default());
    let (mut tokens, mut text) = (tokens::Tokens::default(), Vec::new());
    let padded = [stream, &[0; piece::PADDING]].concat();
    let mut at = 0;
    loop {
        tokens.clear();
        let (stop, end) = decoder.run(&padded, at, usize::MAX, &mut tokens);
        if end > stream.len() * 8 || !matches!(stop, Stop::Full | Stop::End) {
            return None;
        }
        expander.start();
        let given = text.len();
        text.resize(given + tokens.n_text, 0);
        expander.expand(&tokens, &mut text[given..], 0)?;
        expander.keep(&text[given..]);
        if stop == Stop::End {
            return Some(text);
        }
        at = end;
    }
}
