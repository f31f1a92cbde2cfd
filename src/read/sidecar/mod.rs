//! What was read of a trace, kept in a file of its own, so that the next command need not read the trace again.
//!
//! The store is kept, never an answer. A sidecar that is of another state of the trace, of another reader, cut or damaged is
//! as good as none; one that cannot be written is not missed. Each is written under a name of its own and then renamed, so
//! that two that read at once do not meet. Sidecars are read, not mapped into memory: a mapped file that is cut meanwhile
//! ends the program by a signal.

mod file;
mod key;

use std::ffi::OsStr;
use std::fs::{self, DirEntry, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use self::file::Kept;
use self::key::{Hash, Key};
use super::Progress;
use super::trace::ReadTrace;
use crate::diag::IssueKind;
use crate::diag::timings::timed;
use crate::model::limits::{KEPT_BYTES, KEPT_FROM_BYTES};

/// The variable that says where sidecars are, for commands that are not told.
pub const CACHE_VAR: &str = "OMNI_TRACE_CACHE";

/// How sidecars end.
const ENDING: &str = "omni-store";
/// How those end that are being written.
const UNFINISHED: &str = "omni-store-part";
/// Age from which an unfinished one is of a run that was interrupted.
const ABANDONED_AFTER: Duration = Duration::from_secs(3600);

/// A folder of sidecars.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sidecars {
    folder: PathBuf,
    /// Bytes of text from which on a trace is worth one.
    from_bytes: u64,
    /// Bytes that all together may take.
    most_bytes: u64,
}

/// One sidecar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sidecar {
    /// Its bytes.
    pub bytes: u64,
    /// The trace, where the sidecar can be read.
    pub trace: Option<String>,
}

impl Sidecars {
    /// Those in a folder, which every trace gets one in.
    pub fn at(folder: PathBuf) -> Self {
        Self { folder, from_bytes: 0, most_bytes: KEPT_BYTES }
    }

    /// Those in the user's cache directory, where reading takes long enough to matter; `None` where there is no such directory.
    pub fn of_user() -> Option<Self> {
        let folder = cache_directory()?.join("omni-trace").join("stores");
        Some(Self { from_bytes: KEPT_FROM_BYTES, ..Self::at(folder) })
    }

    /// Those that a word asks for: `off`, `auto` for the user's, else a folder. Where there is no word, the variable
    /// [`CACHE_VAR`] says it.
    pub fn asked(word: Option<&OsStr>) -> Option<Self> {
        let said = std::env::var_os(CACHE_VAR).filter(|value| !value.is_empty());
        match word.map(OsStr::to_owned).or(said) {
            Some(word) if word == "off" => None,
            Some(word) if word != "auto" => Some(Self::at(word.into())),
            _ => Self::of_user(),
        }
    }

    /// Makes the folder, where it is missing.
    ///
    /// # Errors
    ///
    /// There can be no such folder. One that may only be read is no error: what lies there is used.
    pub fn prepare(&self) -> io::Result<()> {
        create_private(&self.folder)
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Bytes that all together may take.
    pub fn most_bytes(&self) -> u64 {
        self.most_bytes
    }

    /// What is kept, by the names of the files.
    pub fn list(&self) -> Vec<Sidecar> {
        let mut files = self.files(ENDING);
        files.sort_by_key(DirEntry::path);
        let one = |entry: DirEntry| Sidecar {
            bytes: entry.metadata().map_or(0, |file| file.len()),
            trace: Kept::open(&entry.path()).map(|kept| kept.description.trace),
        };
        files.into_iter().map(one).collect()
    }

    /// Removes them all, those that were left unfinished included; gives how many and their bytes.
    ///
    /// # Errors
    ///
    /// The first that cannot be removed.
    pub fn clean(&self) -> io::Result<(usize, u64)> {
        let (mut n_removed, mut bytes) = (0, 0);
        for entry in [ENDING, UNFINISHED].iter().flat_map(|ending| self.files(ending)) {
            let length = entry.metadata().map_or(0, |file| file.len());
            match fs::remove_file(entry.path()) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => (n_removed, bytes) = (n_removed + 1, bytes + length),
            }
        }
        Ok((n_removed, bytes))
    }

    /// What `read` makes of a trace, or made of it before.
    pub(super) fn kept_or<E>(
        &self,
        path: &Path,
        progress: &Progress,
        read: impl FnOnce() -> Result<Vec<ReadTrace>, E>,
    ) -> Result<Vec<ReadTrace>, E> {
        let now = SystemTime::now();
        let Some(key) = timed("sidecar: look", || Key::of(path)) else { return read() };
        if let Some(traces) = timed("sidecar: read", || self.load(path, &key)) {
            return Ok(traces);
        }
        let traces = read()?;
        let is_same = || key.is_settled(now) && Key::of(path).as_ref() == Some(&key);
        if self.is_worth_it(&traces) && !progress.is_cancelled() && is_same() {
            // What cannot be kept is read again.
            let _ = timed("sidecar: write", || self.keep(path, key, &traces));
        }
        Ok(traces)
    }

    fn is_worth_it(&self, traces: &[ReadTrace]) -> bool {
        let json_bytes: u64 = traces.iter().map(|trace| trace.json_bytes).sum();
        // A stream that seems damaged may have been read from a disk that failed.
        let is_whole = |trace: &ReadTrace| {
            trace.reporter.count(IssueKind::CorruptGzip) == 0 && trace.store.is_keepable()
        };
        json_bytes >= self.from_bytes && traces.iter().all(is_whole)
    }

    /// The file for a trace. It has the name of the trace's path: another state of the trace takes its place.
    fn file_of(&self, trace: &Path) -> PathBuf {
        let trace = fs::canonicalize(trace).unwrap_or_else(|_| trace.to_owned());
        let mut hash = Hash::default();
        hash.add(trace.as_os_str().as_encoded_bytes());
        self.folder.join(format!("{:016x}.{ENDING}", hash.0))
    }

    fn load(&self, trace: &Path, key: &Key) -> Option<Vec<ReadTrace>> {
        Kept::open(&self.file_of(trace))?.traces(key)
    }

    /// Writes a sidecar and makes room for it.
    fn keep(&self, trace: &Path, key: Key, traces: &[ReadTrace]) -> io::Result<()> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        create_private(&self.folder)?;
        let target = self.file_of(trace);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let ending = format!("{}-{number}.{UNFINISHED}", std::process::id());
        let unfinished = target.with_extension(ending);
        let mut file = OpenOptions::new().write(true).create_new(true).open(&unfinished)?;
        let written = file::write(&mut file, trace, key, traces);
        drop(file);
        let kept = match written {
            Ok(bytes) if bytes > self.most_bytes => Err(io::ErrorKind::FileTooLarge.into()),
            Ok(_) => fs::rename(&unfinished, &target),
            Err(error) => Err(error),
        };
        if kept.is_err() {
            let _ = fs::remove_file(&unfinished);
        }
        self.make_room(&target);
        kept
    }

    /// Removes those that were used longest ago until the others fit, and what interrupted runs left.
    fn make_room(&self, newest: &Path) {
        let used = |entry: &DirEntry| entry.metadata().ok()?.modified().ok();
        let mut files: Vec<(SystemTime, PathBuf, u64)> = self
            .files(ENDING)
            .iter()
            .filter_map(|entry| Some((used(entry)?, entry.path(), entry.metadata().ok()?.len())))
            .collect();
        files.sort();
        let mut bytes: u64 = files.iter().map(|file| file.2).sum();
        for (_, path, length) in files.iter().filter(|file| file.1 != newest) {
            if bytes > self.most_bytes && fs::remove_file(path).is_ok() {
                bytes -= length;
            }
        }
        for entry in self.files(UNFINISHED) {
            let age = used(&entry).and_then(|used| used.elapsed().ok());
            if age.is_some_and(|age| age > ABANDONED_AFTER) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }

    /// The files of an ending.
    fn files(&self, ending: &str) -> Vec<DirEntry> {
        let Ok(entries) = fs::read_dir(&self.folder) else { return Vec::new() };
        let is_meant = |entry: &DirEntry| entry.path().extension() == Some(OsStr::new(ending));
        entries.filter_map(Result::ok).filter(is_meant).collect()
    }
}

/// Makes a folder that is nobody else's to look into.
fn create_private(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// Where programs keep what they can make again.
fn cache_directory() -> Option<PathBuf> {
    let of = |name: &str| {
        let path = std::env::var_os(name).map(PathBuf::from);
        path.filter(|path| path.is_absolute())
    };
    let of_home = if cfg!(target_os = "macos") { "Library/Caches" } else { ".cache" };
    of("XDG_CACHE_HOME").or_else(|| of("HOME").map(|home| home.join(of_home)))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};
    use std::sync::Arc;
    use std::time::Duration;

    use super::{Progress, Sidecars};
    use crate::read::ReadOptions;
    use crate::read::trace::{self, ReadAgain};

    fn read(path: &Path, sidecars: &Sidecars) {
        let progress = Arc::new(Progress::default());
        let read = || {
            let traces =
                trace::read_parts(path, &ReadOptions::default(), &progress, ReadAgain::Never)?;
            Ok::<_, crate::read::ReadError>(traces.into_iter().map(|(trace, _)| trace).collect())
        };
        assert_eq!(sidecars.kept_or(path, &progress, read).unwrap().len(), 1);
    }

    /// Those that were used longest ago go first; one that does not fit at all is not kept.
    #[test]
    fn they_stay_within_their_bounds() {
        let dir = tempfile::tempdir().unwrap();
        let event = r#"{"traceEvents":[{"ph":"X","name":"a","cat":"cpu_op","pid":1,"tid":1,"ts":1,"dur":2}]}"#;
        let traces: Vec<PathBuf> = (0..4).map(|i| dir.path().join(format!("{i}.json"))).collect();
        traces.iter().for_each(|trace| fs::write(trace, event).unwrap());
        std::thread::sleep(Duration::from_millis(100));
        let mut sidecars = Sidecars::at(dir.path().join("kept"));
        read(&traces[0], &sidecars);
        let each = sidecars.list()[0].bytes;
        sidecars.most_bytes = 3 * each + each / 2;
        for trace in [1, 2, 0, 3] {
            // Times of use are those of the file system's clock.
            std::thread::sleep(Duration::from_millis(30));
            read(&traces[trace], &sidecars);
        }
        let kept: Vec<bool> = traces.iter().map(|trace| sidecars.file_of(trace).exists()).collect();
        assert_eq!(kept, [true, false, true, true]);
        sidecars.clean().unwrap();
        sidecars.most_bytes = each / 2;
        read(&traces[0], &sidecars);
        assert_eq!(sidecars.list().len(), 0);
    }
}
