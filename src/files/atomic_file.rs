//! Files that appear whole or not at all, also when the program is interrupted, and several of them all or none.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{Builder, JoinHandle};

use super::inputs::refuse;
use super::unfinished::{self, unfinished};

const BUFFER_BYTES: usize = 1 << 18;

/// After so many bytes the disk is told to take what was written, while more is made: the end then waits for little.
const BYTES_AHEAD_OF_DISK: usize = 64 << 20;

/// End of the names of files that are not whole yet.
const TEMPORARY: &str = ".tmp";
/// End of the names of files that things are put aside in.
const SPILL: &str = ".spill";

/// A file under a temporary name beside its target; takes the target's name when it is whole.
///
/// Devices and pipes are written to as they are.
pub struct AtomicFile {
    file: Option<BufWriter<File>>,
    /// The complete file, open until it has its name: other runs then know that it is somebody's.
    complete: Option<File>,
    /// The temporary name; `None` for what is written to as it is.
    temporary: Option<PathBuf>,
    target: PathBuf,
    /// Bytes that the disk was not told of.
    n_ahead: usize,
    /// Waits for the disk.
    to_disk: Option<JoinHandle<io::Result<()>>>,
}

impl AtomicFile {
    /// Creates the temporary file, and has an interruption remove it. What a link points to is replaced, not the link.
    ///
    /// # Errors
    ///
    /// Where the target is an input of the command or another of its outputs, besides what the file system refuses.
    pub fn create(target: &Path) -> io::Result<Self> {
        if fs::metadata(target).is_ok_and(|metadata| !metadata.is_file()) {
            let file = File::options().write(true).open(target)?;
            let file = Some(BufWriter::with_capacity(BUFFER_BYTES, file));
            return Ok(Self::new(file, None, target.to_owned()));
        }
        Self::create_at(fs::canonicalize(target).unwrap_or_else(|_| target.to_owned()))
    }

    /// As [`AtomicFile::create`], for a name inside a folder: a link of that name is replaced itself, so that nothing
    /// outside the folder is touched.
    pub fn create_inside(folder: &Path, name: &str) -> io::Result<Self> {
        let target = folder.join(name);
        if target.is_dir() && !target.is_symlink() {
            return Err(io::Error::from(io::ErrorKind::IsADirectory));
        }
        Self::create_at(target)
    }

    fn create_at(target: PathBuf) -> io::Result<Self> {
        refuse(&target)?;
        let name =
            target.file_name().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidFilename))?;
        let start = hidden(name);
        remove_leftovers(&target, &start, TEMPORARY);
        let mut temporary = start;
        temporary.push(format!("{}{TEMPORARY}", std::process::id()));
        let temporary = target.with_file_name(temporary);
        let file = unfinished::make(&temporary, || File::create(&temporary))?;
        mark_as_ours(&file);
        let file = Some(BufWriter::with_capacity(BUFFER_BYTES, file));
        Ok(Self::new(file, Some(temporary), target))
    }

    fn new(file: Option<BufWriter<File>>, temporary: Option<PathBuf>, target: PathBuf) -> Self {
        Self { file, complete: None, temporary, target, n_ahead: 0, to_disk: None }
    }

    /// Has the disk take what was written so far, unless it still takes what came before.
    fn tell_disk(&mut self) -> io::Result<()> {
        if self.to_disk.as_ref().is_some_and(|thread| !thread.is_finished()) {
            return Ok(());
        }
        self.wait_for_disk()?;
        let Some(file) = self.file.as_ref().filter(|_| self.temporary.is_some()) else {
            return Ok(());
        };
        let file = file.get_ref().try_clone()?;
        self.n_ahead = 0;
        // Where the system has no more threads, the end waits for all.
        self.to_disk = Builder::new().spawn(move || file.sync_data()).ok();
        Ok(())
    }

    fn wait_for_disk(&mut self) -> io::Result<()> {
        let Some(thread) = self.to_disk.take() else { return Ok(()) };
        thread.join().unwrap_or_else(|panic| resume_unwind(panic))
    }

    /// Gives the file its name. Gives its size in bytes.
    pub fn finish(mut self) -> io::Result<u64> {
        let bytes = self.complete()?;
        finish_together(vec![self])?;
        Ok(bytes)
    }

    /// Writes what is left, and sees that it is on the disk. Gives the size in bytes; 0 for devices and pipes.
    fn complete(&mut self) -> io::Result<u64> {
        let Some(writer) = self.file.take() else { return Ok(0) };
        let file = writer.into_inner().map_err(io::IntoInnerError::into_error)?;
        if self.temporary.is_none() {
            return Ok(0);
        }
        self.wait_for_disk()?;
        // Only what is on the disk may take the name: a full disk may show as late as here.
        file.sync_data()?;
        let bytes = file.metadata()?.len();
        self.complete = Some(file);
        Ok(bytes)
    }
}

/// Gives complete files their names. An interruption waits until all have them, so that it leaves all old or all new ones.
fn finish_together(files: Vec<AtomicFile>) -> io::Result<()> {
    let mut unfinished = unfinished();
    let mut result = Ok(());
    for mut file in files {
        let Some(temporary) = file.temporary.take() else { continue };
        if result.is_ok() {
            result = fs::rename(&temporary, &file.target);
        }
        if result.is_err() {
            // The first error is told.
            let _ = fs::remove_file(&temporary);
        }
        unfinished.forget(&temporary);
    }
    result
}

impl Write for AtomicFile {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let n = self.file.as_mut().map_or(Ok(0), |file| file.write(buffer))?;
        self.n_ahead += n;
        if self.n_ahead >= BYTES_AHEAD_OF_DISK {
            self.tell_disk()?;
        }
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.as_mut().map_or(Ok(()), Write::flush)
    }
}

impl Drop for AtomicFile {
    fn drop(&mut self) {
        if let Some(writer) = self.file.take() {
            // What is left in the buffer must not be written on the way out.
            drop(writer.into_parts().0);
        }
        if let Some(temporary) = &self.temporary {
            // An error is already being told; the file may not even exist.
            let _ = fs::remove_file(temporary);
            unfinished::forget(temporary);
        }
    }
}

/// Files of a folder by name, which take their names together: all of them appear, or none.
///
/// # Errors
///
/// Where one cannot be written; the folder then holds what it held before.
pub fn write_together(folder: &Path, files: &[(String, Vec<u8>)]) -> io::Result<()> {
    let made = MadeFolders::make(folder)?;
    let mut complete = Vec::new();
    for (name, bytes) in files {
        let mut file = AtomicFile::create_inside(folder, name)?;
        file.write_all(bytes)?;
        file.complete()?;
        complete.push(file);
    }
    finish_together(complete)?;
    made.keep();
    Ok(())
}

/// Folders that were made for an output, innermost first; removed again where nothing came of it.
struct MadeFolders(Vec<PathBuf>);

impl MadeFolders {
    fn make(folder: &Path) -> io::Result<Self> {
        let missing = folder
            .ancestors()
            .take_while(|path| !path.as_os_str().is_empty() && fs::symlink_metadata(path).is_err());
        let missing: Vec<PathBuf> = missing.map(Path::to_owned).collect();
        let mut made = Self(Vec::new());
        for folder in missing.into_iter().rev() {
            match unfinished::make(&folder, || fs::create_dir(&folder)) {
                Ok(()) => made.0.insert(0, folder),
                // Somebody else was faster: it is theirs.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Ok(made)
    }

    fn keep(mut self) {
        self.0.drain(..).for_each(|folder| unfinished::forget(&folder));
    }
}

impl Drop for MadeFolders {
    fn drop(&mut self) {
        for folder in self.0.drain(..) {
            // Fails where something else was put there meanwhile, which then stays.
            let _ = fs::remove_dir(&folder);
            unfinished::forget(&folder);
        }
    }
}

/// A file beside the target to put things aside. It has no name any more where the system allows that, so that it is gone
/// when it is closed, however the program ends.
pub fn spill_file(target: &Path) -> io::Result<File> {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let start = OsString::from(".omni-trace.");
    remove_leftovers(target, &start, SPILL);
    let path = target.with_file_name(format!(".omni-trace.{}.{number}{SPILL}", std::process::id()));
    let open = || File::options().read(true).write(true).create_new(true).open(&path);
    let file = unfinished::make(&path, open)?;
    if fs::remove_file(&path).is_ok() {
        unfinished::forget(&path);
    }
    Ok(file)
}

/// `.NAME.`, which the names of temporary files of NAME begin with.
fn hidden(name: &std::ffi::OsStr) -> OsString {
    let mut start = OsString::from(".");
    start.push(name);
    start.push(".");
    start
}

/// Tells other runs that somebody writes the file, for as long as it is open.
fn mark_as_ours(file: &File) {
    // Where the file system has no locks, other runs leave every file alone.
    let _ = file.try_lock();
}

/// Removes what a run that was killed left beside a target: files of such names that nobody holds any more.
fn remove_leftovers(target: &Path, start: &std::ffi::OsStr, end: &str) {
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty());
    let Ok(entries) = fs::read_dir(folder.unwrap_or(Path::new("."))) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let number = name.as_encoded_bytes().strip_prefix(start.as_encoded_bytes());
        let number = number.and_then(|rest| rest.strip_suffix(end.as_bytes()));
        let is_ours = number.is_some_and(|n| {
            !n.is_empty() && n.iter().all(|&byte| byte.is_ascii_digit() || byte == b'.')
        });
        let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
        if is_ours && is_file && is_left(&entry.path()) {
            // Another run may have been faster.
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Whether nobody writes a temporary file any more. One that was made just now may not be marked yet.
fn is_left(path: &Path) -> bool {
    const YOUNG: std::time::Duration = std::time::Duration::from_secs(2);
    let Ok(file) = File::open(path) else { return false };
    let age = file.metadata().and_then(|metadata| metadata.modified()).map(|time| time.elapsed());
    matches!(age, Ok(Ok(age)) if age > YOUNG) && file.try_lock().is_ok()
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::io::Write as _;
    use std::time::{Duration, SystemTime};

    use super::{AtomicFile, write_together};

    #[test]
    fn a_file_appears_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("out.json");
        let n_files = || fs::read_dir(dir.path()).unwrap().count();
        let mut file = AtomicFile::create(&target).unwrap();
        file.write_all(b"half").unwrap();
        assert!(!target.exists() && n_files() == 1);
        drop(file);
        assert_eq!(n_files(), 0);
        let mut file = AtomicFile::create(&target).unwrap();
        file.write_all(b"whole").unwrap();
        assert_eq!(file.finish().unwrap(), 5);
        assert_eq!(n_files(), 1);
        assert_eq!(fs::read(&target).unwrap(), b"whole");
    }

    #[test]
    fn files_of_a_folder_appear_together_or_none_does() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("a/b");
        let files = |text: &str| ["x", "y"].map(|name| (name.to_owned(), text.as_bytes().to_vec()));
        write_together(&folder, &files("old")).unwrap();
        let mut bad = files("new").to_vec();
        bad.push(("no/such/folder".to_owned(), Vec::new()));
        assert!(write_together(&folder, &bad).is_err());
        assert_eq!(fs::read(folder.join("x")).unwrap(), b"old");
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 2);
        let new = dir.path().join("c/d");
        assert!(write_together(&new, &bad).is_err());
        assert!(!dir.path().join("c").exists());
    }

    #[test]
    fn what_a_killed_run_left_is_removed_and_what_a_running_one_writes_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let old = SystemTime::now() - Duration::from_secs(60);
        let leave = |name: &str| {
            let file = File::create(path(name)).unwrap();
            file.set_modified(old).unwrap();
            file
        };
        drop(leave(".out.json.4000000.tmp"));
        drop(leave(".out.json.notes.tmp"));
        let held = leave(".out.json.4000001.tmp");
        held.lock().unwrap();
        AtomicFile::create(&path("out.json")).unwrap().finish().unwrap();
        let there = [".out.json.4000000.tmp", ".out.json.notes.tmp", ".out.json.4000001.tmp"]
            .map(|name| path(name).exists());
        assert_eq!(there, [false, true, true]);
    }
}
