//! Bytes of a file from an offset on, wherever others read in it.

use std::fs::File;
use std::io;

/// Reads at an offset of a file: all that there is room for but at the end.
pub(crate) fn read_at(file: &File, into: &mut [u8], offset: u64) -> io::Result<usize> {
    #[cfg(unix)]
    use std::os::unix::fs::FileExt as _;
    #[cfg(windows)]
    use std::os::windows::fs::FileExt as _;
    let mut n = 0;
    while n < into.len() {
        let (place, rest) = (offset + n as u64, &mut into[n..]);
        #[cfg(unix)]
        let result = file.read_at(rest, place);
        #[cfg(windows)]
        let result = file.seek_read(rest, place);
        match result {
            Ok(0) => break,
            Ok(more) => n += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(n)
}
