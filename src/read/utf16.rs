//! UTF-16 text as UTF-8: what an editor or a shell made of a trace.

use std::io;

use super::source::ByteStream;

/// Bytes of the file taken at a time.
const READ_BYTES: usize = 1 << 16;

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

    /// Reads some more; false at the end. A unit or pair that is cut by the end of the bytes waits for the next ones.
    fn transcode_some(&mut self) -> io::Result<bool> {
        self.text.clear();
        self.given = 0;
        let is_end = self.stream.append(&mut self.bytes, READ_BYTES)? == 0;
        let mut units: Vec<u16> = self.bytes.chunks_exact(2).map(|pair| self.unit(pair)).collect();
        if !is_end && units.last().is_some_and(|unit| (0xd800..0xdc00).contains(unit)) {
            units.pop();
        }
        self.bytes.drain(..2 * units.len());
        for character in char::decode_utf16(units) {
            let character = character.unwrap_or(char::REPLACEMENT_CHARACTER);
            self.text.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        }
        Ok(!self.text.is_empty() || !is_end)
    }

    fn unit(&self, pair: &[u8]) -> u16 {
        let pair = [pair[0], pair[1]];
        match self.order {
            Order::Little => u16::from_le_bytes(pair),
            Order::Big => u16::from_be_bytes(pair),
        }
    }
}
