//! Perfetto protobuf as Chrome JSON text: one way in for everything that follows.
//!
//! [`PerfettoText`] reads packets one by one and gives events as text, so that blocks, stores and rewriting work as they do
//! for JSON. [`packets`] splits bytes, [`resync`] finds packets behind damage, [`sequence`] keeps what packets of one writer share, [`tracks`] knows processes and
//! threads, [`convert`] makes events of packets, [`gpu`] of a device's work, [`pending`] puts them in order, [`text`] writes
//! them. What is not understood is counted.

mod annotations;
mod convert;
mod gpu;
mod kinds;
mod packets;
mod pending;
mod resync;
mod sequence;
mod text;
mod tracks;
mod units;

use std::io;

use self::convert::Converter;
use self::packets::{Piece, next_piece};
use self::resync::{Start, next_start};
use super::source::{ByteStream, StreamEnd};
use super::text::count_damages;
use crate::diag::{IssueKind, Reporter};

/// Bytes of the file taken at a time.
const READ_BYTES: usize = 1 << 18;

/// Bytes of unreadable packets that are looked into: these, and so many times those that were read.
const LOOKED_INTO_AT_LEAST: u64 = 1 << 20;
const LOOKED_INTO_TIMES: u64 = 4;

/// Bytes in which the first packet behind a damaged start has to stand.
pub(super) const LOST_START_BYTES: usize = 4 << 20;

/// A byte that no text has, coloured logs included.
fn is_control(byte: &u8) -> bool {
    *byte < 0x20 && !matches!(byte, b'\n' | b'\r' | b'\t' | 0x1b)
}

/// Whether these may be the first bytes of a Perfetto trace that has lost its start, or of which it is damaged: they are no JSON
/// as it stands.
pub(super) fn may_have_lost_its_start(start: &[u8]) -> bool {
    !begins_as_json(start) || start.iter().any(is_control)
}

/// Whether packets stand somewhere in bytes; `is_end` says that these are all.
pub(super) fn holds_packets(bytes: &[u8], is_end: bool) -> bool {
    matches!(next_start(bytes, 0, is_end), Start::At(_))
}

/// Whether bytes start as a Perfetto trace does: a packet field that is not empty, and bytes that no text has, coloured
/// logs included. Zeros in a text that begins with a line break and a space are damage.
pub(crate) fn is_perfetto(start: &[u8]) -> bool {
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
    /// What is searched behind.
    damage: Option<Damage>,
    /// Bytes of packets that could not be read, each of which was searched from its start.
    looked_into: u64,
}

/// Bytes from an offset on that are no packets.
struct Damage {
    kind: IssueKind,
    from: u64,
    what: Option<String>,
}

/// How reading goes on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    /// With what stands next.
    Went,
    /// When there are more bytes.
    More,
    /// Not at all.
    End,
}

impl PerfettoText {
    pub(crate) fn new(stream: ByteStream, start: Vec<u8>) -> Self {
        let converter = Converter::default();
        let (end, damage) = (None, None);
        let (at, offset, given, looked_into) = (0, 0, 0, 0);
        Self { stream, input: start, at, offset, converter, end, given, damage, looked_into }
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
            let step = match self.damage.take() {
                Some(damage) => self.search(damage, is_end),
                None => self.next(is_end),
            };
            match step {
                Step::Went => {}
                Step::More => return Ok(()),
                Step::End => break,
            }
        }
        count_damages(&mut self.stream, &mut self.converter.reporter);
        self.converter.finish();
        self.end = Some(self.stream.end().clone());
        Ok(())
    }

    /// Takes what stands next. The outermost message has no other field than packets.
    fn next(&mut self, is_end: bool) -> Step {
        match next_piece(&self.input, self.at) {
            Piece::Packet { start, end } => {
                let offset = self.offset + start as u64;
                match self.converter.packet(&self.input[start..end], offset, 0) {
                    Ok(()) => self.at = end,
                    Err(what) => self.lose(what, end),
                }
                Step::Went
            }
            Piece::Incomplete if self.at == self.input.len() && is_end => Step::End,
            Piece::Incomplete if is_end => self.damaged(IssueKind::TruncatedFile, None),
            Piece::Incomplete => Step::More,
            Piece::Other { .. } | Piece::Damaged => {
                let what = "what follows is no packet".to_owned();
                self.damaged(IssueKind::UnreadableEvent, Some(what))
            }
        }
    }

    /// A packet that cannot be read is looked into, since its length may be what is damaged; but all such packets together only
    /// in time that grows with the file.
    fn lose(&mut self, what: String, end: usize) {
        let from = self.offset + self.at as u64;
        self.looked_into += (end - self.at) as u64;
        let is_too_much = self.looked_into > LOOKED_INTO_AT_LEAST + LOOKED_INTO_TIMES * (from + 1);
        self.damage = Some(Damage { kind: IssueKind::UnreadableEvent, from, what: Some(what) });
        self.at = if is_too_much { end } else { self.at + 1 };
    }

    fn damaged(&mut self, kind: IssueKind, what: Option<String>) -> Step {
        let from = self.offset + self.at as u64;
        self.damage = Some(Damage { kind, from, what });
        self.at += 1;
        Step::Went
    }

    /// Looks for packets behind damage.
    fn search(&mut self, damage: Damage, is_end: bool) -> Step {
        let step = match next_start(&self.input, self.at, is_end) {
            Start::More(at) => {
                self.at = at;
                self.damage = Some(damage);
                return Step::More;
            }
            Start::At(at) => {
                self.at = at;
                Step::Went
            }
            Start::Nowhere => {
                self.at = self.input.len();
                Step::End
            }
        };
        let bytes = self.offset + self.at as u64 - damage.from;
        // A file that goes on was not cut there.
        let kind = if step == Step::End { damage.kind } else { IssueKind::UnreadableEvent };
        self.converter.reporter.passed_over(kind, (1, bytes), damage.from, damage.what);
        self.converter.packets_are_lost();
        step
    }
}
