//! One gzip member made of blocks that were compressed independently, so that many threads can compress.
//!
//! A block ends on a byte boundary (sync flush) and refers to nothing before it; their checksums are combined. What comes
//! out is an ordinary member that every reader takes.

use std::io::{self, Write};
use std::ops::RangeInclusive;

use flate2::{Compress, Compression, Crc, FlushCompress, Status};

use super::deflate::Deflater;

/// A compressed block.
#[derive(Debug, Default)]
pub(crate) struct GzipBlock {
    pub(crate) bytes: Vec<u8>,
    crc: Crc,
}

/// Levels at which text is compressed by [`Deflater`]: it comes out smaller than by these levels of the library, sooner.
const OWN_LEVELS: RangeInclusive<u32> = 1..=2;

/// Compresses blocks, reusing its state.
pub(crate) enum BlockCompressor {
    /// Made for traces.
    Own(Box<Deflater>),
    /// The library's.
    Library(Compress),
}

impl BlockCompressor {
    /// A compressor of a level from 0 to 9.
    pub(crate) fn new(level: u32) -> Self {
        if OWN_LEVELS.contains(&level) {
            return Self::Own(Box::default());
        }
        Self::Library(Compress::new(Compression::new(level.min(9)), false))
    }

    /// Compresses a block on its own, into memory that holds nothing any more.
    pub(crate) fn block(&mut self, text: &[u8], memory: Vec<u8>) -> GzipBlock {
        let mut block = GzipBlock { bytes: memory, crc: Crc::new() };
        block.bytes.clear();
        if text.is_empty() {
            return block;
        }
        block.crc.update(text);
        block.bytes.reserve(text.len() / 8 + 1024);
        match self {
            Self::Own(deflater) => deflater.compress(text, &mut block.bytes),
            Self::Library(compress) => compress_whole(compress, text, &mut block.bytes),
        }
        block
    }
}

/// Appends a text, compressed on its own, up to a byte boundary.
fn compress_whole(compress: &mut Compress, text: &[u8], out: &mut Vec<u8>) {
    compress.reset();
    loop {
        let taken = compress.total_in() as usize;
        let status = compress.compress_vec(&text[taken..], out, FlushCompress::Sync);
        let is_whole = compress.total_in() as usize == text.len();
        let has_room = out.len() < out.capacity();
        if is_whole && has_room {
            return;
        }
        debug_assert!(matches!(status, Ok(Status::Ok | Status::BufError)));
        out.reserve(out.capacity().max(4096));
    }
}

/// Puts blocks together to a member.
pub(crate) struct GzipMember<W> {
    out: W,
    crc: Crc,
}

impl<W: Write> GzipMember<W> {
    /// Starts a member: no name, no time, so that the same input gives the same bytes.
    pub(crate) fn new(mut out: W) -> io::Result<Self> {
        out.write_all(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255])?;
        Ok(Self { out, crc: Crc::new() })
    }

    /// Appends a block.
    pub(crate) fn append(&mut self, block: &GzipBlock) -> io::Result<()> {
        self.crc.combine(&block.crc);
        self.out.write_all(&block.bytes)
    }

    /// Appends a few bytes, not compressed.
    pub(crate) fn append_stored(&mut self, text: &[u8]) -> io::Result<()> {
        for piece in text.chunks(usize::from(u16::MAX)) {
            let len = piece.len() as u16;
            self.crc.update(piece);
            self.out.write_all(&[0])?;
            self.out.write_all(&len.to_le_bytes())?;
            self.out.write_all(&(!len).to_le_bytes())?;
            self.out.write_all(piece)?;
        }
        Ok(())
    }

    /// Ends the member.
    pub(crate) fn finish(mut self) -> io::Result<W> {
        // An empty last block with fixed codes.
        self.out.write_all(&[3, 0])?;
        self.out.write_all(&self.crc.sum().to_le_bytes())?;
        self.out.write_all(&self.crc.amount().to_le_bytes())?;
        Ok(self.out)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::{BlockCompressor, GzipMember};

    #[test]
    fn blocks_are_one_member() {
        let texts: Vec<Vec<u8>> = (0..9_u32)
            .map(|i| {
                (0..i * 40_000)
                    .flat_map(|n| (n.wrapping_mul(2_654_435_761) >> (i * 3)).to_le_bytes())
                    .collect()
            })
            .collect();
        for level in [0, 1, 2, 3, 6] {
            let mut compressor = BlockCompressor::new(level);
            let mut member = GzipMember::new(Vec::new()).unwrap();
            let mut whole = Vec::new();
            for text in &texts {
                member.append(&compressor.block(text, Vec::new())).unwrap();
                member.append_stored(b",\n").unwrap();
                whole.extend_from_slice(text);
                whole.extend_from_slice(b",\n");
            }
            let bytes = member.finish().unwrap();
            let mut reader = flate2::read::GzDecoder::new(bytes.as_slice());
            let mut read = Vec::new();
            reader.read_to_end(&mut read).unwrap();
            assert!(read == whole && reader.into_inner().is_empty());
        }
    }
}
