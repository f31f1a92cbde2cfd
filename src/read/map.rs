//! Input files as memory, a window at a time: the one place that maps files.
//!
//! A window keeps resident memory bounded whatever the file's size, and the file's length is asked again before each one,
//! so that a file that was cut short meanwhile ends early instead of faulting.

use std::fs::File;
use std::io::{self, BufRead, Read};

use memmap2::{Mmap, MmapOptions};

/// Bytes mapped at a time: a multiple of every page size in use.
const WINDOW_BYTES: u64 = 8 << 20;

/// A regular file, read through a moving window.
pub(super) struct MappedFile {
    file: File,
    window: Option<Mmap>,
    /// Offset of the window in the file.
    window_offset: u64,
    /// Read position within the window.
    at: usize,
}

impl MappedFile {
    /// Maps the start of a regular file; `None` for anything else, and where the system refuses: the caller then reads.
    pub(super) fn new(file: &File) -> Option<Self> {
        let metadata = file.metadata().ok()?;
        if !metadata.is_file() || metadata.len() == 0 {
            return None;
        }
        let file = file.try_clone().ok()?;
        let window = map(&file, 0, metadata.len().min(WINDOW_BYTES)).ok()?;
        Some(Self { file, window: Some(window), window_offset: 0, at: 0 })
    }

    fn rest(&self) -> &[u8] {
        self.window.as_ref().and_then(|window| window.get(self.at..)).unwrap_or_default()
    }

    fn advance(&mut self) -> io::Result<()> {
        let Some(window) = self.window.take() else { return Ok(()) };
        self.window_offset += window.len() as u64;
        drop(window);
        self.at = 0;
        let left = self.file.metadata()?.len().saturating_sub(self.window_offset);
        if left > 0 && self.window_offset.is_multiple_of(WINDOW_BYTES) {
            self.window = Some(map(&self.file, self.window_offset, left.min(WINDOW_BYTES))?);
        }
        Ok(())
    }
}

impl Read for MappedFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.fill_buf()?.read(buffer)?;
        self.consume(n);
        Ok(n)
    }
}

impl BufRead for MappedFile {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.rest().is_empty() {
            self.advance()?;
        }
        Ok(self.rest())
    }

    fn consume(&mut self, n: usize) {
        self.at += n;
    }
}

#[expect(unsafe_code, reason = "mapping a file is unsafe by nature; see the comment")]
fn map(file: &File, offset: u64, len: u64) -> io::Result<Mmap> {
    // SAFETY: the mapping is private and never written to; the range lies inside the file as it was a moment ago. Its
    // content changes only if another process writes the same file in place. Writers of traces write a temporary name
    // and rename it, or append. Bytes are only ever read as bytes, so a change in place would be read as damaged text,
    // which is counted.
    let map = unsafe { MmapOptions::new().offset(offset).len(len as usize).map(file)? };
    #[cfg(unix)]
    let _ = map.advise(memmap2::Advice::Sequential);
    Ok(map)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Seek, Write};

    use super::{MappedFile, WINDOW_BYTES};

    #[test]
    fn windows_give_the_file_and_shrinking_ends_it() {
        let mut file = tempfile::tempfile().unwrap();
        let bytes: Vec<u8> = (0..WINDOW_BYTES * 2 + 12_345).map(|i| (i * 31 % 251) as u8).collect();
        file.write_all(&bytes).unwrap();
        file.rewind().unwrap();
        let mut mapped = MappedFile::new(&file).unwrap();
        let mut read = Vec::new();
        mapped.read_to_end(&mut read).unwrap();
        assert!(read == bytes);

        let mut mapped = MappedFile::new(&file).unwrap();
        let mut first = vec![0; 100];
        mapped.read_exact(&mut first).unwrap();
        file.set_len(WINDOW_BYTES).unwrap();
        read.clear();
        mapped.read_to_end(&mut read).unwrap();
        assert_eq!(read.len() as u64, WINDOW_BYTES - 100);
    }
}
