//! Deflate streams (RFC 1951), by one thread straight from bits to text ([`Inflater`]), or in two steps: what can be told of a piece of a stream
//! without what comes before it, by any number of threads, and its text, in order.
//!
//! Decodes what zlib decodes, or less: where anything is odd it says so and leaves the stream to the library.

mod bits;
mod bytes;
mod codes;
mod decode;
mod expand;
mod header;
mod inflater;
mod joined;
mod marks;
mod piece;
mod search;
mod straight;
mod tokens;
mod wide;

pub(super) use bytes::Bytes;
pub(super) use decode::Stop;
pub(super) use expand::Expander;
#[cfg(feature = "program")]
pub(crate) use header::ORDER as CODE_LENGTH_ORDER;
pub(super) use inflater::Inflater;
pub(crate) use marks::Mark;
pub(super) use marks::Marks;
pub(super) use piece::Piece;

/// Inflates a stream that stands whole in memory, in two steps; `None` where anything is odd.
#[cfg(feature = "rooms")]
pub(super) fn inflate(stream: &[u8]) -> Option<Vec<u8>> {
    let (mut decoder, mut expander) = (decode::Decoder::new(), Expander::default());
    let (mut tokens, mut text) = (tokens::Tokens::default(), Vec::new());
    let padded = [stream, &[0; bytes::PADDING]].concat();
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

/// Inflates the same straight, into places of such sizes in turn, from so many bytes at once.
#[cfg(feature = "rooms")]
pub(super) fn inflate_straight(
    stream: &[u8],
    sizes: &mut dyn FnMut() -> usize,
    n_at_once: usize,
) -> Option<Vec<u8>> {
    let mut inflater = Inflater::new(n_at_once);
    inflater.begin(stream, &Mark::start(0)).ok()?;
    rest(&mut inflater, stream, sizes)
}

/// What comes of a stream from where it was begun.
#[cfg(feature = "rooms")]
fn rest(
    inflater: &mut Inflater,
    stream: &[u8],
    sizes: &mut dyn FnMut() -> usize,
) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    while !inflater.is_done() {
        let given = text.len();
        text.resize(given + sizes(), 0);
        let n = inflater.fill(stream, &mut text[given..])?;
        text.truncate(given + n);
    }
    (inflater.end() <= stream.len() as u64 * 8).then_some(text)
}

#[cfg(all(test, feature = "rooms"))]
mod tests;
