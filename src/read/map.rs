//! Input files as memory: the one place that maps files.

use std::fs::File;
use std::io;

use memmap2::Mmap;

/// Maps a regular file for reading.
///
/// # Errors
///
/// What the system says, for example for a pipe or an empty file: the caller then reads instead.
#[expect(unsafe_code, reason = "mapping a file is unsafe by nature; see the comment")]
pub(super) fn map(file: &File) -> io::Result<Mmap> {
    // SAFETY: the mapping is private to this process and never written to. Its content changes only if another process
    // writes the same file in place. Trace writers never do: they write a temporary name and rename it, or append, and
    // an append does not touch the length that was mapped. Bytes are only ever read as bytes, so a change in place
    // would be read as damaged text, which is counted. Cutting the file short in place is the one thing that cannot be
    // survived, and no writer of traces does it.
    let map = unsafe { Mmap::map(file)? };
    #[cfg(unix)]
    let _ = map.advise(memmap2::Advice::Sequential);
    Ok(map)
}
