//! Perfetto protobuf as Chrome JSON text: one way in for everything that follows.
//!
//! [`PerfettoText`] reads packets one by one and gives events as text, so that blocks, stores and rewriting work as they do
//! for JSON. [`packets`] splits bytes, [`sequence`] keeps what packets of one writer share, [`tracks`] knows processes and
//! threads, [`convert`] makes events of packets, [`gpu`] of a device's work, [`pending`] puts them in order, [`text`] writes
//! them. What is not understood is counted.

mod annotations;
mod convert;
mod gpu;
mod kinds;
mod packets;
mod pending;
mod sequence;
mod text;
mod tracks;

use std::io;

use self::convert::Converter;
use self::packets::{Piece, next_piece};
use super::source::{ByteStream, StreamEnd};
use super::text::count_damages;
use crate::diag::{IssueKind, Reporter};

/// Bytes of the file taken at a time.
const READ_BYTES: usize = 1 << 18;

/// Whether bytes start as a Perfetto trace does: a packet field that is not empty, and bytes that no text has, coloured
/// logs included. Zeros in a text that begins with a line break and a space are damage.
pub(crate) fn is_perfetto(start: &[u8]) -> bool {
    let is_control = |b: &u8| *b < 0x20 && !matches!(b, b'\n' | b'\r' | b'\t' | 0x1b);
    let is_text =
        matches!(start.get(1), Some(0)) || start.starts_with(b"\n  ") || begins_as_json(start);
    start.first() == Some(&0x0a) && !is_text && start.iter().take(64).any(is_control)
}

/// Whether bytes begin with a bracket and with what stands behind one in a trace. Of packets only files' inodes begin so.
fn begins_as_json(start: &[u8]) -> bool {
    let text = start.trim_ascii_start();
    let inside = text.strip_prefix(b"{").or_else(|| text.strip_prefix(b"["));
    inside.is_some_and(|inside| matches!(inside.trim_ascii_start().first(), Some(b'"' | b'{')))
}

/// A Perfetto trace as JSON text.
pub(crate) struct PerfettoText {
    stream: ByteStream,
    /// Bytes of the file that are not converted yet.
    input: Vec<u8>,
    at: usize,
    /// Offset of the input in the decompressed file.
    offset: u64,
    converter: Converter,
    end: Option<StreamEnd>,
    given: usize,
}

impl PerfettoText {
    pub(crate) fn new(stream: ByteStream, start: Vec<u8>) -> Self {
        let converter = Converter::default();
        Self { stream, input: start, at: 0, offset: 0, converter, end: None, given: 0 }
    }

    /// How the file ended.
    pub(crate) fn end(&self) -> &StreamEnd {
        self.end.as_ref().unwrap_or(self.stream.end())
    }

    /// What was odd.
    pub(crate) fn take_reporter(&mut self) -> Reporter {
        std::mem::take(&mut self.converter.reporter)
    }

    /// Appends up to `limit` bytes of text. Gives how many; none at the end.
    pub(crate) fn append(&mut self, buffer: &mut Vec<u8>, limit: usize) -> io::Result<usize> {
        while self.converter.text.out.len() - self.given < limit && self.end.is_none() {
            self.convert_some()?;
        }
        let text = &self.converter.text.out[self.given..];
        let n = text.len().min(limit);
        buffer.extend_from_slice(&text[..n]);
        self.given += n;
        if self.given == self.converter.text.out.len() || self.given > 4 * READ_BYTES {
            self.converter.text.out.drain(..self.given);
            self.given = 0;
        }
        Ok(n)
    }

    fn convert_some(&mut self) -> io::Result<()> {
        self.input.drain(..self.at);
        self.offset += self.at as u64;
        self.at = 0;
        let is_end = self.stream.append(&mut self.input, READ_BYTES)? == 0;
        loop {
            match next_piece(&self.input, self.at) {
                Piece::Packet { start, end } => {
                    let offset = self.offset + start as u64;
                    self.converter.packet(&self.input[start..end], offset, 0);
                    self.at = end;
                }
                Piece::Other { end } => {
                    self.converter
                        .reporter
                        .at(IssueKind::IgnoredPacket, self.offset + self.at as u64);
                    self.at = end;
                }
                Piece::Incomplete if !is_end => return Ok(()),
                Piece::Incomplete if self.at == self.input.len() => break,
                Piece::Incomplete => {
                    self.converter
                        .reporter
                        .at(IssueKind::TruncatedFile, self.offset + self.at as u64);
                    break;
                }
                Piece::Damaged => {
                    let offset = self.offset + self.at as u64;
                    let detail = "what follows is no packet";
                    self.converter.reporter.with_detail(
                        IssueKind::UnreadableEvent,
                        Some(offset),
                        detail,
                    );
                    break;
                }
            }
        }
        count_damages(&mut self.stream, &mut self.converter.reporter);
        self.converter.finish();
        self.end = Some(self.stream.end().clone());
        Ok(())
    }
}
