//! A Perfetto file as parts in order: packets that are encoded already, and pieces of lanes. Pieces are encoded side by side, while
//! what was encoded before is written.

use std::io::{self, Write};

use omni_trace_proto::perfetto::TracePacket;
use rayon::prelude::*;

use super::packets::put_packet;
use super::pieces::{Piece, Shift};
use super::spill::Spilled;
use super::trace::Source;
use crate::diag::timings::timed;
use crate::model::Spare;

/// Slices that wait to be encoded together, for each thread. Bounds memory, not results.
const SLICES_PER_THREAD: usize = 2 * 8192;

/// So many bytes of packets count as a slice.
const BYTES_OF_A_SLICE: usize = 64;

/// A part of the file.
enum Part {
    Packets(Vec<u8>),
    Piece(Piece),
}

/// Takes parts and writes them.
pub(super) struct Parts<W> {
    out: W,
    n_bytes: u64,
    /// Packets behind the last part.
    packets: Vec<u8>,
    waiting: Vec<Part>,
    /// Their slices.
    n_waiting: usize,
    /// What comes before, encoded.
    encoded: Vec<Vec<u8>>,
    spare: Spare<Vec<u8>>,
}

impl<W: Write> Parts<W> {
    pub(super) fn new(out: W) -> Self {
        Self {
            out,
            n_bytes: 0,
            packets: Vec::new(),
            waiting: Vec::new(),
            n_waiting: 0,
            encoded: Vec::new(),
            spare: Spare::default(),
        }
    }

    pub(super) fn put(&mut self, packet: &TracePacket) {
        put_packet(packet, &mut self.packets);
    }

    pub(super) fn put_piece(&mut self, piece: Piece) {
        self.end_packets();
        self.n_waiting += piece.len();
        self.waiting.push(Part::Piece(piece));
    }

    fn end_packets(&mut self) {
        if !self.packets.is_empty() {
            self.n_waiting += self.packets.len() / BYTES_OF_A_SLICE;
            self.waiting.push(Part::Packets(std::mem::take(&mut self.packets)));
        }
    }

    /// Encodes and writes as [`Self::encode`] where enough waits for that.
    pub(super) fn encode_if_full(
        &mut self,
        source: &Source<'_>,
        shift: Shift,
        spilled: &Spilled,
    ) -> io::Result<()> {
        let n_slices = self.n_waiting + self.packets.len() / BYTES_OF_A_SLICE;
        if n_slices < SLICES_PER_THREAD * rayon::current_num_threads() {
            return Ok(());
        }
        self.encode(source, shift, spilled)
    }

    /// Encodes the parts that wait, all of one source, and writes those that were encoded before.
    fn encode(&mut self, source: &Source<'_>, shift: Shift, spilled: &Spilled) -> io::Result<()> {
        self.end_packets();
        self.n_waiting = 0;
        let (waiting, before) =
            (std::mem::take(&mut self.waiting), std::mem::take(&mut self.encoded));
        let spare = &self.spare;
        let bytes = |part| match part {
            Part::Packets(packets) => Ok(packets),
            Part::Piece(piece) => {
                let mut bytes: Vec<u8> = spare.take().unwrap_or_default();
                bytes.clear();
                let encode = || piece.encode(source, shift, spilled, &mut bytes);
                timed("write: encode slices", encode).map(|()| bytes)
            }
        };
        let mut encoded = Ok(Vec::new());
        let (out, n_bytes) = (&mut self.out, &mut self.n_bytes);
        let written = rayon::in_place_scope(|scope| {
            scope.spawn(|_| encoded = waiting.into_par_iter().map(bytes).collect());
            timed("write: into the file", || {
                before.into_iter().try_for_each(|bytes| {
                    *n_bytes += bytes.len() as u64;
                    out.write_all(&bytes)?;
                    spare.give(bytes);
                    Ok(())
                })
            })
        });
        self.encoded = encoded?;
        written
    }

    /// Writes all parts, all of one source.
    pub(super) fn write_all(
        &mut self,
        source: &Source<'_>,
        shift: Shift,
        spilled: &Spilled,
    ) -> io::Result<()> {
        self.encode(source, shift, spilled)?;
        self.encode(source, shift, spilled)
    }

    /// Has something else appended, once all parts are written, which gives its bytes.
    pub(super) fn append(
        &mut self,
        write: impl FnOnce(&mut W) -> io::Result<u64>,
    ) -> io::Result<()> {
        self.n_bytes += timed("write: append others", || write(&mut self.out))?;
        Ok(())
    }

    /// Ends the file. Gives its bytes.
    pub(super) fn finish(mut self) -> io::Result<u64> {
        self.n_bytes += self.packets.len() as u64;
        self.out.write_all(&self.packets)?;
        self.out.flush()?;
        Ok(self.n_bytes)
    }
}
