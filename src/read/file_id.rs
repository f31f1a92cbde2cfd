//! Which file a path leads to, whatever its spelling: links, hard links, `./`, loops.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// A regular file, told apart from every other of this machine.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileId(Inner);

/// Device and inode number.
#[cfg(unix)]
type Inner = (u64, u64);
/// The path without links and dots.
#[cfg(not(unix))]
type Inner = PathBuf;

impl FileId {
    /// The file that a path leads to, `-` being standard input; `None` where that is no regular file or none at all.
    pub fn of(path: &Path) -> Option<Self> {
        let path = if path == Path::new("-") { Path::new("/dev/stdin") } else { path };
        let metadata = fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
        Self::of_metadata(path, &metadata)
    }

    #[cfg(unix)]
    fn of_metadata(_: &Path, metadata: &fs::Metadata) -> Option<Self> {
        use std::os::unix::fs::MetadataExt as _;
        Some(Self((metadata.dev(), metadata.ino())))
    }

    #[cfg(not(unix))]
    fn of_metadata(path: &Path, _: &fs::Metadata) -> Option<Self> {
        path.canonicalize().ok().map(Self)
    }
}

/// The files that were met so far, each under the path that it was met by first.
#[derive(Debug, Default)]
pub(super) struct Seen {
    files: BTreeMap<FileId, PathBuf>,
    /// What is no regular file: pipes, standard input.
    others: Vec<PathBuf>,
}

impl Seen {
    /// Notes a path. Gives the earlier path of the same file, where there is one.
    pub(super) fn note(&mut self, path: &Path) -> Option<PathBuf> {
        let Some(id) = FileId::of(path) else {
            let is_new = !self.others.iter().any(|other| other == path);
            if is_new {
                self.others.push(path.to_owned());
            }
            return (!is_new).then(|| path.to_owned());
        };
        if let Some(first) = self.files.get(&id) {
            return Some(first.clone());
        }
        self.files.insert(id, path.to_owned());
        None
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::{FileId, Seen};

    #[test]
    fn a_file_is_one_by_every_name() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.json");
        std::fs::write(&file, "[]").unwrap();
        let [link, hard] = ["link", "hard"].map(|name| dir.path().join(name));
        std::os::unix::fs::symlink(&file, &link).unwrap();
        std::fs::hard_link(&file, &hard).unwrap();
        let dots = dir.path().join("./a.json");
        let mut seen = Seen::default();
        assert_eq!(seen.note(&file), None);
        for other in [&link, &hard, &dots] {
            assert_eq!(FileId::of(other), FileId::of(&file));
            assert_eq!(seen.note(other), Some(file.clone()));
        }
        assert_eq!(FileId::of(dir.path()), None);
    }
}
