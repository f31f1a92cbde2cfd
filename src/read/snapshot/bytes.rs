//! The bytes of a pickle, one piece after the other, wherever its blocks of input end.

use super::pickle::{Fault, Pos};
use crate::model::limits::{BLOCK_BYTES, MAX_TEXT_BYTES};
use crate::read::source::{ByteStream, StreamEnd};

/// Bytes of an input that are taken in order.
pub(super) struct Bytes {
    stream: ByteStream,
    buffer: Vec<u8>,
    at: usize,
    /// Bytes before those in the buffer.
    gone: u64,
}

impl Bytes {
    pub(super) fn new(stream: ByteStream) -> Self {
        Self { stream, buffer: Vec::new(), at: 0, gone: 0 }
    }

    /// How many bytes were taken.
    pub(super) fn taken(&self) -> Pos {
        self.gone + self.at as u64
    }

    /// The stream, to be asked how it ended.
    pub(super) fn into_stream(self) -> ByteStream {
        self.stream
    }

    /// Looks whether so many bytes are left, and has them in the buffer.
    fn have(&mut self, n: usize) -> Result<(), Fault> {
        while self.buffer.len() - self.at < n {
            self.gone += self.at as u64;
            self.buffer.drain(..self.at);
            self.at = 0;
            if self.stream.append(&mut self.buffer, BLOCK_BYTES).map_err(Fault::Io)? == 0 {
                let at = self.gone + self.buffer.len() as u64;
                let damage = match self.stream.end() {
                    StreamEnd::Corrupt(what) => Some(what.clone()),
                    _ => None,
                };
                return Err(Fault::Ended { at, damage });
            }
        }
        Ok(())
    }

    pub(super) fn byte(&mut self) -> Result<u8, Fault> {
        let [byte] = self.array()?;
        Ok(byte)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        self.have(N)?;
        let mut out = [0; N];
        out.copy_from_slice(&self.buffer[self.at..self.at + N]);
        self.at += N;
        Ok(out)
    }

    /// Bytes of a stated length. What is longer than the longest text is passed over behind it.
    pub(super) fn long(&mut self, len: u64) -> Result<Vec<u8>, Fault> {
        let kept = usize::try_from(len).map_or(MAX_TEXT_BYTES, |len| len.min(MAX_TEXT_BYTES));
        self.have(kept)?;
        let out = self.buffer[self.at..self.at + kept].to_vec();
        self.at += kept;
        self.pass_over(len - kept as u64)?;
        Ok(out)
    }

    /// Leaves bytes out.
    pub(super) fn pass_over(&mut self, mut len: u64) -> Result<(), Fault> {
        while len > 0 {
            self.have(1)?;
            let here = (self.buffer.len() - self.at) as u64;
            let n = here.min(len);
            self.at += n as usize;
            len -= n;
        }
        Ok(())
    }

    /// A line without its end.
    pub(super) fn line(&mut self) -> Result<Vec<u8>, Fault> {
        let mut out = Vec::new();
        loop {
            match self.byte()? {
                b'\n' => return Ok(out),
                byte if out.len() < MAX_TEXT_BYTES => out.push(byte),
                _ => {}
            }
        }
    }
}
