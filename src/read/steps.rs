//! The steps of reading one by one, so that a benchmark can time each. Not for other use.

use std::path::Path;
use std::sync::Arc;

use super::chrome::boundary::last_event_start;
use super::chrome::decode::Decoder;
use super::chrome::event::RawEvent;
use super::chrome::fast::skip_space;
use super::chrome::template::Templates;
use super::chrome::walk::{How, walk};
use super::source::ByteStream;
use super::{Progress, ReadError};
use crate::diag::Reporter;
use crate::model::limits::BLOCK_BYTES;
use crate::store::{Chunk, Store, StoreBuilder, TraceMeta};

/// Inflates an input block by block and gives each to `each`. Returns the bytes of text.
///
/// # Errors
///
/// Where the input cannot be opened or read.
pub fn inflate(path: &Path, mut each: impl FnMut(&[u8])) -> Result<u64, ReadError> {
    let mut stream = ByteStream::open(path, Arc::new(Progress::default()))?;
    let mut block = vec![0; BLOCK_BYTES];
    let mut total = 0;
    loop {
        let n = stream
            .fill(&mut block)
            .map_err(|source| ReadError::Io { path: path.to_owned(), source })?;
        if n == 0 {
            return Ok(total);
        }
        total += n as u64;
        each(&block[..n]);
    }
}

/// Inflates a deflate stream with the decoder that many threads use; `None` where it leaves it to the library.
pub fn inflate_stream(stream: &[u8]) -> Option<Vec<u8>> {
    super::deflate::inflate(stream)
}

/// Inflates a deflate stream with the decoder of one thread, into places of so many bytes, of which it reads so many at once; `None` where
/// it leaves it to the library.
pub fn inflate_straight(stream: &[u8], n_place: usize, n_at_once: usize) -> Option<Vec<u8>> {
    super::deflate::inflate_straight(stream, &mut || n_place, n_at_once)
}

/// Cuts text into blocks on plausible event starts.
pub fn cut(text: &[u8]) -> Vec<&[u8]> {
    let mut blocks = Vec::new();
    let mut rest = text;
    while rest.len() > BLOCK_BYTES {
        let at =
            last_event_start(&rest[..BLOCK_BYTES], 0).filter(|&at| at > 0).unwrap_or(BLOCK_BYTES);
        let (block, tail) = rest.split_at(at);
        blocks.push(block);
        rest = tail;
    }
    blocks.push(rest);
    blocks
}

/// Scans the events of a block to spans without giving them meaning. Returns their number.
pub fn scan(block: &[u8]) -> u64 {
    let mut event = RawEvent::default();
    let mut templates = Templates::default();
    let (mut at, mut n_events) = (0, 0);
    loop {
        at = skip_space(block, at);
        match block.get(at) {
            Some(b',') => at += 1,
            Some(b'{') => {
                let found = templates.find(block, at);
                match templates.parse_event(block, at, found, &mut event) {
                    Ok(end) => {
                        at = end;
                        n_events += 1;
                    }
                    Err(_) => return n_events,
                }
            }
            _ => return n_events,
        }
    }
}

/// Scans and decodes the events of a block to a chunk.
pub fn decode(block: &[u8]) -> Chunk {
    let mut decoder = Decoder::default();
    walk(block, 0, How { tolerant_only: false, is_last: false }, &mut decoder);
    decoder.builder.finish()
}

/// What chunks become before their slices are put in order.
pub struct Joined(StoreBuilder);

/// Joins chunks as they come.
///
/// # Panics
///
/// With more events than can be numbered.
pub fn join(chunks: Vec<Chunk>) -> Joined {
    let mut builder = StoreBuilder::default();
    for chunk in chunks {
        builder.append(chunk).expect("blocks in memory hold fewer events than can be numbered");
    }
    Joined(builder)
}

/// Puts what was joined in the order of a store.
pub fn sort(joined: Joined) -> Store {
    joined.0.finish(TraceMeta::default(), &mut Reporter::default())
}

/// Text from behind the bracket that opens the events of a trace as Kineto writes it; of any other text the whole.
pub fn events(text: Vec<u8>) -> Vec<u8> {
    let mark = b"\"traceEvents\": [";
    let start = memchr::memmem::find(&text, mark).map_or(0, |at| at + mark.len());
    let mut text = text;
    text.drain(..start);
    text
}
