//! The frame of a partial result: what it is, of which version, whole or damaged.

use std::io::{Read as _, Write as _};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;

/// Version of the format.
pub const FORMAT: u32 = 2;

/// The first bytes: a name, and a line's end as texts that pass through another system lose it.
const MAGIC: [u8; 8] = *b"OTPART\r\n";

/// Bytes before the message.
const HEADER_BYTES: usize = 24;

/// Most bytes that a message may inflate to: what ten thousand kernels' names of a thousand inputs take.
const MAX_MESSAGE_BYTES: u64 = 4 << 30;

/// Why bytes are no partial result that can be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PartialError {
    /// Something else.
    #[error("it is no partial result of `omni-trace analyze --partial`")]
    NotAPartial,
    /// Of an earlier or later version of the format.
    #[error("it has format {0}, and this program reads format {FORMAT}")]
    OtherFormat(u32),
    /// Shorter than it says.
    #[error("it ends after {got} of {whole} bytes")]
    Truncated {
        /// Bytes that are there.
        got: u64,
        /// Bytes that there should be.
        whole: u64,
    },
    /// The checksum does not fit, or what is in it is not what can be.
    #[error("it is damaged: {0}")]
    Damaged(&'static str),
    /// Written by a program with other tables.
    #[error(
        "omni-trace {program} wrote it, whose table `{table}` has other columns than this one's"
    )]
    OtherTables {
        /// Version of the writer.
        program: String,
        /// The table.
        table: String,
    },
}

/// A message as the bytes of a file.
pub(super) fn packed(message: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; HEADER_BYTES];
    let mut encoder = GzEncoder::new(&mut bytes, Compression::new(6));
    // Writing to memory does not fail.
    let _ = encoder.write_all(message);
    let _ = encoder.finish();
    let (header, payload) = bytes.split_at_mut(HEADER_BYTES);
    header[..8].copy_from_slice(&MAGIC);
    header[8..12].copy_from_slice(&FORMAT.to_le_bytes());
    header[12..16].copy_from_slice(&crc32fast::hash(payload).to_le_bytes());
    header[16..24].copy_from_slice(&(payload.len() as u64).to_le_bytes());
    bytes
}

/// The message in the bytes of a file.
pub(super) fn unpacked(bytes: &[u8]) -> Result<Vec<u8>, PartialError> {
    if !bytes.starts_with(&MAGIC) {
        return Err(PartialError::NotAPartial);
    }
    let truncated = |whole: u64| PartialError::Truncated { got: bytes.len() as u64, whole };
    let Some((header, payload)) = bytes.split_at_checked(HEADER_BYTES) else {
        return Err(truncated(HEADER_BYTES as u64));
    };
    let word = |at: usize| {
        u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
    };
    if word(8) != FORMAT {
        return Err(PartialError::OtherFormat(word(8)));
    }
    let length = u64::from(word(16)) | u64::from(word(20)) << 32;
    if (payload.len() as u64) < length {
        return Err(truncated(length.saturating_add(HEADER_BYTES as u64)));
    }
    if payload.len() as u64 > length {
        return Err(PartialError::Damaged("bytes follow its end"));
    }
    if crc32fast::hash(payload) != word(12) {
        return Err(PartialError::Damaged("its checksum is another one"));
    }
    let mut message = Vec::new();
    let mut decoder = GzDecoder::new(payload).take(MAX_MESSAGE_BYTES);
    decoder.read_to_end(&mut message).map_err(|_| PartialError::Damaged("it does not inflate"))?;
    Ok(message)
}
