//! Whether a file is the one that was read: its size, times and number, and hashes of pieces of it.
//!
//! What that cannot see is a change in place, of the same length, that misses every piece that is looked at, made by
//! something that leaves the time of change of the file as it was: the system itself sets that time, so that it takes a
//! clock set back, or a file system that does not keep it.

use std::fs::{File, Metadata};
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

/// Bytes at the start and at the end that are hashed.
const END_BYTES: u64 = 64 << 10;
/// Pieces between them that are hashed, at fixed places.
const N_SAMPLES: u64 = 64;
/// Bytes of each.
const SAMPLE_BYTES: u64 = 4 << 10;

/// A file that changed this shortly before it was looked at may change again without another time of change: systems
/// keep it by the ticks of a clock.
const TICK: Duration = Duration::from_millis(40);
/// The same where times are kept in whole seconds.
const COARSE_TICK: Duration = Duration::from_secs(2);

/// What a file was when it was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Key {
    bytes: u64,
    /// Time of the last change of its content, in nanoseconds since 1970.
    modified_ns: i128,
    /// Time of the last change of its content or of what the system knows of it.
    changed_ns: i128,
    inode: u64,
    head: u64,
    tail: u64,
    samples: u64,
}

impl Key {
    /// The key of a regular file; `None` of anything else, and where it cannot be read.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let file = File::open(path).ok()?;
        let metadata = file.metadata().ok().filter(Metadata::is_file)?;
        let bytes = metadata.len();
        let (modified_ns, changed_ns, inode) = times(&metadata)?;
        let end_bytes = END_BYTES.min(bytes);
        let mut samples = Hash::default();
        for sample in 0..N_SAMPLES {
            let length = SAMPLE_BYTES.min(bytes);
            let at = u128::from(bytes - length) * u128::from(sample) / u128::from(N_SAMPLES - 1);
            samples.piece(&file, at as u64, length).ok()?;
        }
        let hash_of = |at, length| {
            let mut hash = Hash::default();
            hash.piece(&file, at, length).ok().map(|()| hash.0)
        };
        Some(Self {
            bytes,
            modified_ns,
            changed_ns,
            inode,
            head: hash_of(0, end_bytes)?,
            tail: hash_of(bytes - end_bytes, end_bytes)?,
            samples: samples.0,
        })
    }

    /// Whether any change from a moment on would show: the file has not been changed for as long as the clock may stand.
    pub(super) fn is_settled(&self, now: SystemTime) -> bool {
        let Ok(now) = now.duration_since(SystemTime::UNIX_EPOCH) else { return false };
        let is_coarse = self.changed_ns % 1_000_000_000 == 0;
        let tick = if is_coarse { COARSE_TICK } else { TICK };
        self.changed_ns + tick.as_nanos() as i128 <= now.as_nanos() as i128
    }
}

/// FNV-1a over 64 bits, eight bytes at a time: no hash against forgery, but one whose value never changes.
pub(super) struct Hash(pub(super) u64);

impl Default for Hash {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Hash {
    pub(super) fn add(&mut self, bytes: &[u8]) {
        for word in bytes.chunks(8) {
            let mut padded = [0; 8];
            padded[..word.len()].copy_from_slice(word);
            self.0 = (self.0 ^ u64::from_le_bytes(padded)).wrapping_mul(0x0000_0100_0000_01b3);
            self.0 ^= self.0 >> 29;
        }
        self.0 ^= bytes.len() as u64;
    }

    fn piece(&mut self, file: &File, at: u64, length: u64) -> io::Result<()> {
        let mut piece = vec![0; length as usize];
        read_at(file, at, &mut piece)?;
        self.add(&piece);
        Ok(())
    }
}

/// Fills a buffer from a place of a file.
#[cfg(unix)]
pub(super) fn read_at(file: &File, at: u64, into: &mut [u8]) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, into, at)
}

/// Nothing is kept on systems that do not number files.
#[cfg(not(unix))]
pub(super) fn read_at(_: &File, _: u64, _: &mut [u8]) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// When a file was modified and changed, and its number.
#[cfg(unix)]
fn times(metadata: &Metadata) -> Option<(i128, i128, u64)> {
    use std::os::unix::fs::MetadataExt as _;
    let ns = |sec: i64, nsec: i64| i128::from(sec) * 1_000_000_000 + i128::from(nsec);
    let modified_ns = ns(metadata.mtime(), metadata.mtime_nsec());
    Some((modified_ns, ns(metadata.ctime(), metadata.ctime_nsec()), metadata.ino()))
}

#[cfg(not(unix))]
fn times(_: &Metadata) -> Option<(i128, i128, u64)> {
    None
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::{Key, N_SAMPLES, SAMPLE_BYTES};

    #[test]
    fn a_change_in_any_piece_shows_whatever_the_times_say() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("trace");
        let bytes = 64 * SAMPLE_BYTES as usize * 20;
        let whole = vec![b'x'; bytes];
        std::fs::write(&path, &whole).unwrap();
        let key = Key::of(&path).unwrap();
        assert_eq!(Key::of(&path), Some(key.clone()));
        let middles = (0..N_SAMPLES as usize)
            .map(|i| (bytes - SAMPLE_BYTES as usize) * i / (N_SAMPLES as usize - 1));
        for at in middles.chain([0, bytes - 1, 60_000, bytes - 60_000]) {
            let mut changed = whole.clone();
            changed[at] = b'y';
            std::fs::write(&path, &changed).unwrap();
            let found = Key {
                changed_ns: key.changed_ns,
                modified_ns: key.modified_ns,
                ..Key::of(&path).unwrap()
            };
            assert_ne!(found, key, "{at}");
        }
        assert_eq!(Key::of(dir.path()), None);
    }

    #[test]
    fn a_file_must_have_been_at_rest() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let key = Key::of(file.path()).unwrap();
        let changed = SystemTime::UNIX_EPOCH + Duration::from_nanos(key.changed_ns as u64);
        assert!(!key.is_settled(changed + Duration::from_millis(1)));
        assert!(key.is_settled(changed + Duration::from_secs(3)));
    }
}
