//! The file that a trace's stores are kept in: their sections end to end, and behind them what they are.
//!
//! ```text
//! magic, sections…, description (JSON), offset and length of the description, its checksum, magic
//! ```
//!
//! Every section has a checksum; a file that was cut ends without the description.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::key::{Key, read_at};
use crate::diag::Reporter;
use crate::read::trace::ReadTrace;
use crate::store::{Part, Section, Sections, Store};

const MAGIC: &[u8; 16] = b"omni-trace store";
/// Bytes behind the description.
const END_BYTES: u64 = 8 + 8 + 4 + MAGIC.len() as u64;
/// Longest description that is read.
const MAX_DESCRIPTION_BYTES: u64 = 256 << 20;

/// What reads traces here: the sources of the reader, hashed when it was built, and its version. What another one kept
/// is not used.
const READER: &str = concat!(env!("CARGO_PKG_VERSION"), " ", env!("OMNI_TRACE_READER"));

/// What a file holds.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Description {
    reader: String,
    /// The trace, for people.
    pub(super) trace: String,
    key: Key,
    stores: Vec<KeptStore>,
}

/// One store: a trace is one, a merged file one for each of its inputs.
#[derive(Debug, Serialize, Deserialize)]
struct KeptStore {
    reporter: Reporter,
    json_bytes: u64,
    part: Option<Part>,
    /// By the number of the section.
    sections: Vec<Piece>,
}

/// Where a section lies.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Piece {
    at: u64,
    bytes: u64,
    checksum: u32,
}

/// A file that is read back.
pub(super) struct Kept {
    file: File,
    pub(super) description: Description,
}

impl Kept {
    /// The file, where it is whole as far as its description tells.
    pub(super) fn open(path: &Path) -> Option<Self> {
        let file = File::open(path).ok()?;
        let length = file.metadata().ok()?.len();
        let mut start = [0; MAGIC.len()];
        read_at(&file, 0, &mut start).ok()?;
        let mut end = [0; END_BYTES as usize];
        read_at(&file, length.checked_sub(END_BYTES)?, &mut end).ok()?;
        let (numbers, magic) = end.split_at(20);
        let number =
            |at: usize| u64::from_le_bytes(numbers[at..at + 8].try_into().unwrap_or_default());
        let (at, n_bytes) = (number(0), number(8));
        let is_there = n_bytes <= MAX_DESCRIPTION_BYTES
            && at.checked_add(n_bytes).and_then(|sum| sum.checked_add(END_BYTES)) == Some(length);
        if start != *MAGIC || magic != MAGIC || !is_there {
            return None;
        }
        let mut text = vec![0; n_bytes as usize];
        read_at(&file, at, &mut text).ok()?;
        if crc32fast::hash(&text).to_le_bytes() != numbers[16..] {
            return None;
        }
        let description = serde_json::from_slice(&text).ok()?;
        Some(Self { file, description })
    }

    /// The traces, where they are of this reader and of a file that is still the same. Only then was the sidecar used.
    pub(super) fn traces(self, key: &Key) -> Option<Vec<ReadTrace>> {
        let Self { file, description: Description { reader, key: kept, stores, .. } } = self;
        if reader != READER || kept != *key {
            return None;
        }
        let trace = |kept: KeptStore| {
            let store = Store::of_sections(&Pieces { file: &file, pieces: &kept.sections })?;
            let KeptStore { reporter, json_bytes, part, .. } = kept;
            Some(ReadTrace { store, reporter, json_bytes, part })
        };
        let traces = stores.into_iter().map(trace).collect::<Option<Vec<_>>>()?;
        // Where that is refused it will be taken for older than it is.
        let _ = file.set_modified(std::time::SystemTime::now());
        Some(traces)
    }
}

/// The sections of one store.
struct Pieces<'a> {
    file: &'a File,
    pieces: &'a [Piece],
}

impl Sections for Pieces<'_> {
    fn n_bytes(&self, section: Section) -> usize {
        self.pieces.get(section as usize).map_or(0, |piece| piece.bytes as usize)
    }

    fn read(&self, section: Section, into: &mut [u8]) -> bool {
        /// What the processor's cache holds until it is summed up.
        const STEP: usize = 256 << 10;
        let Some(piece) = self.pieces.get(section as usize) else { return false };
        let mut checksum = crc32fast::Hasher::new();
        for (nth, step) in into.chunks_mut(STEP).enumerate() {
            if read_at(self.file, piece.at + (nth * STEP) as u64, step).is_err() {
                return false;
            }
            checksum.update(step);
        }
        checksum.finalize() == piece.checksum
    }
}

/// Writes what was read of a trace. Gives the bytes written.
///
/// # Errors
///
/// What the file system refuses, and a store that cannot be kept.
pub(super) fn write(
    to: &mut File,
    trace: &Path,
    key: Key,
    traces: &[ReadTrace],
) -> io::Result<u64> {
    let mut at = MAGIC.len() as u64;
    to.write_all(MAGIC)?;
    let mut stores = Vec::with_capacity(traces.len());
    for trace in traces {
        let mut sections = Vec::with_capacity(Section::ALL.len());
        for &section in Section::ALL {
            let made = trace.store.section(section);
            let bytes = made.as_slice();
            to.write_all(bytes)?;
            let checksum = crc32fast::hash(bytes);
            sections.push(Piece { at, bytes: bytes.len() as u64, checksum });
            at += bytes.len() as u64;
        }
        let part = trace
            .part
            .as_ref()
            .map(|part| Part { path: part.path.clone(), ..Part::of_identity(&part.identity()) });
        let (reporter, json_bytes) = (trace.reporter.clone(), trace.json_bytes);
        stores.push(KeptStore { reporter, json_bytes, part, sections });
    }
    let trace = fs::canonicalize(trace).unwrap_or_else(|_| trace.to_owned());
    let trace = trace.display().to_string();
    let description = Description { reader: READER.to_owned(), trace, key, stores };
    let text = serde_json::to_vec(&description)?;
    to.write_all(&text)?;
    to.write_all(&at.to_le_bytes())?;
    to.write_all(&(text.len() as u64).to_le_bytes())?;
    to.write_all(&crc32fast::hash(&text).to_le_bytes())?;
    to.write_all(MAGIC)?;
    Ok(at + text.len() as u64 + END_BYTES)
}
