//! Files that appear whole or not at all, also when the program is interrupted, and never over an input.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, Once, PoisonError};

use omni_trace::read::FileId;

const BUFFER_BYTES: usize = 1 << 18;

/// What an interruption removes.
static UNFINISHED: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// A file under a temporary name beside its target, which it gets when it is whole.
pub(crate) struct WholeFile {
    file: Option<BufWriter<File>>,
    temporary: PathBuf,
    target: PathBuf,
}

impl WholeFile {
    /// Creates the temporary file.
    ///
    /// # Errors
    ///
    /// Where the target is one of the inputs, and what the file system refuses.
    pub(crate) fn create(target: &Path, inputs: &[PathBuf]) -> io::Result<Self> {
        let target = fs::canonicalize(target).unwrap_or_else(|_| target.to_owned());
        let own = FileId::of(&target);
        if own.is_some() && inputs.iter().any(|input| FileId::of(input) == own) {
            return Err(io::Error::other("it is an input; name another"));
        }
        if target.is_dir() {
            return Err(io::Error::from(io::ErrorKind::IsADirectory));
        }
        let name =
            target.file_name().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidFilename))?;
        let mut hidden = OsString::from(".");
        hidden.push(name);
        hidden.push(format!(".{}.tmp", std::process::id()));
        let temporary = target.with_file_name(hidden);
        let file = begin(&temporary)?;
        Ok(Self { file: Some(BufWriter::with_capacity(BUFFER_BYTES, file)), temporary, target })
    }

    /// Gives the file its name.
    ///
    /// # Errors
    ///
    /// What the file system refuses.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        let Some(mut file) = self.file.take() else { return Ok(()) };
        file.flush()?;
        // Held meanwhile, so that an interruption comes before or after.
        let mut unfinished = unfinished();
        fs::rename(&self.temporary, &self.target)?;
        unfinished.retain(|other| *other != self.temporary);
        Ok(())
    }
}

impl Write for WholeFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.as_mut().map_or(Ok(0), |file| file.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.as_mut().map_or(Ok(()), Write::flush)
    }
}

impl Drop for WholeFile {
    fn drop(&mut self) {
        let mut unfinished = unfinished();
        if unfinished.contains(&self.temporary) {
            let _ = fs::remove_file(&self.temporary);
            unfinished.retain(|other| *other != self.temporary);
        }
    }
}

/// Creates a file that an interruption removes. Both under the lock: once an interruption has begun, no file comes to be.
fn begin(temporary: &Path) -> io::Result<File> {
    watch();
    let mut unfinished = unfinished();
    let file = File::create(temporary)?;
    unfinished.push(temporary.to_owned());
    Ok(file)
}

/// Holds the list: no interruption ends the program meanwhile.
fn unfinished() -> std::sync::MutexGuard<'static, Vec<PathBuf>> {
    UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// On Ctrl-C and the like what is unfinished is removed, and the program ends with 128 and the signal's number.
#[cfg(unix)]
fn watch() {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

    static WATCH: Once = Once::new();
    WATCH.call_once(|| {
        // Where signals cannot be watched, an interruption leaves a file that is named as temporary.
        let Ok(mut signals) = signal_hook::iterator::Signals::new([SIGINT, SIGTERM, SIGHUP]) else {
            return;
        };
        let end = move || {
            if let Some(signal) = signals.forever().next() {
                // Held until the end: no file is begun or named any more.
                let unfinished = unfinished();
                for path in unfinished.iter() {
                    let _ = fs::remove_file(path);
                }
                std::process::exit(128 + signal);
            }
        };
        let _ = std::thread::Builder::new().name("signals".to_owned()).spawn(end);
    });
}

#[cfg(not(unix))]
fn watch() {}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::WholeFile;

    #[test]
    fn a_file_is_whole_or_not_there_and_no_input() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("out.csv");
        let mut file = WholeFile::create(&target, &[]).unwrap();
        file.write_all(b"half").unwrap();
        assert!(!target.exists());
        drop(file);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        let mut file = WholeFile::create(&target, &[]).unwrap();
        file.write_all(b"whole").unwrap();
        file.finish().unwrap();
        assert_eq!(std::fs::read(&target).unwrap(), b"whole");
        let error = WholeFile::create(&target, std::slice::from_ref(&target)).err().unwrap();
        assert!(error.to_string().contains("input"), "{error}");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
