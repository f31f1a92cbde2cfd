//! UTF-16 text as UTF-8: what an editor or a shell made of a trace.

use std::io;

use super::source::ByteStream;

/// Bytes of the file taken at a time.
const READ_BYTES: usize = 1 << 16;

/// Units of which each is an ASCII character with its halves exchanged, and which therefore are no text of another script.
const SHIFTED_UNITS: usize = 16;

/// The order of the two bytes of a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Little,
    Big,
}

/// Whether a text starts as UTF-16 does: with its byte order mark, or with a bracket or space of two bytes.
pub(super) fn order_of(start: &[u8]) -> Option<Order> {
    match start {
        [0xff, 0xfe, first, 0, ..] if *first != 0 => Some(Order::Little),
        [0xfe, 0xff, 0, first, ..] if *first != 0 => Some(Order::Big),
        [b'{' | b'[' | b' ' | b'\n' | b'\r', 0, second, 0, ..] if *second != 0 => {
            Some(Order::Little)
        }
        [0, b'{' | b'[' | b' ' | b'\n' | b'\r', 0, second, ..] if *second != 0 => Some(Order::Big),
        _ => None,
    }
}

/// A text in UTF-16.
pub(super) struct Utf16 {
    pub(super) stream: ByteStream,
    /// Bytes that are not read yet.
    bytes: Vec<u8>,
    order: Order,
    /// Text that was not given yet.
    text: Vec<u8>,
    given: usize,
}

impl Utf16 {
    pub(super) fn new(stream: ByteStream, start: Vec<u8>, order: Order) -> Self {
        Self { stream, bytes: start, order, text: Vec::new(), given: 0 }
    }

    /// Appends up to `limit` bytes of text. Gives how many; none at the end.
    pub(super) fn append(&mut self, buffer: &mut Vec<u8>, limit: usize) -> io::Result<usize> {
        let mut n = 0;
        while n < limit {
            if self.given == self.text.len() && !self.transcode_some()? {
                break;
            }
            let text = &self.text[self.given..];
            let taken = text.len().min(limit - n);
            buffer.extend_from_slice(&text[..taken]);
            self.given += taken;
            n += taken;
        }
        Ok(n)
    }

    /// Reads some more; false at the end. A unit or pair that is cut by the end of the bytes waits for the next ones, as do those
    /// behind which too few stand to tell whether their halves are exchanged.
    fn transcode_some(&mut self) -> io::Result<bool> {
        self.text.clear();
        self.given = 0;
        let is_end = self.stream.append(&mut self.bytes, READ_BYTES)? == 0;
        let n_bytes = self.bytes.len().saturating_sub(if is_end { 0 } else { 2 * SHIFTED_UNITS });
        let (mut at, mut units) = (0, Vec::with_capacity(n_bytes / 2));
        while at + 2 <= n_bytes {
            if self.is_shifted(at) {
                // What stands before and behind the byte that is missing is not of one text. A zero stands in none.
                units.push(0);
                at += 1;
            } else {
                units.push(self.unit(&self.bytes[at..at + 2]));
                at += 2;
            }
        }
        if !is_end && units.last().is_some_and(|unit| (0xd800..0xdc00).contains(unit)) {
            units.pop();
            at -= 2;
        }
        self.bytes.drain(..at);
        for character in char::decode_utf16(units) {
            let character = character.unwrap_or(char::REPLACEMENT_CHARACTER);
            self.text.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        }
        Ok(!self.text.is_empty() || !is_end)
    }

    /// Whether a byte is missing before the units at a position: their halves are those of ASCII, exchanged.
    fn is_shifted(&self, at: usize) -> bool {
        let Some(bytes) = self.bytes.get(at..at + 2 * SHIFTED_UNITS) else { return false };
        let is_exchanged = |pair: &[u8]| {
            let unit = self.unit(pair);
            unit & 0xff == 0 && (0x0900..0x8000).contains(&unit)
        };
        bytes.chunks_exact(2).all(is_exchanged)
    }

    fn unit(&self, pair: &[u8]) -> u16 {
        let pair = [pair[0], pair[1]];
        match self.order {
            Order::Little => u16::from_le_bytes(pair),
            Order::Big => u16::from_be_bytes(pair),
        }
    }
}
