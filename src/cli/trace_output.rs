//! Where a written trace goes: a file that appears whole or not at all, also when the program is interrupted.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, Once, PoisonError};

/// The temporary files that an interruption removes.
static UNFINISHED: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

const BUFFER_BYTES: usize = 1 << 18;

/// Exit code after Ctrl-C, as shells give it.
const INTERRUPTED: i32 = 130;

/// A file under a temporary name beside its target; takes the target's name when it is whole.
///
/// What a link points to is replaced, not the link; devices and pipes are written to as they are.
pub(super) struct AtomicFile {
    file: Option<BufWriter<File>>,
    /// The temporary name; `None` for what is written to as it is.
    temporary: Option<PathBuf>,
    target: PathBuf,
}

impl AtomicFile {
    /// Creates the temporary file, and has an interruption remove it.
    pub(super) fn create(target: &Path) -> io::Result<Self> {
        if fs::metadata(target).is_ok_and(|metadata| !metadata.is_file()) {
            let file = File::options().write(true).open(target)?;
            let file = Some(BufWriter::with_capacity(BUFFER_BYTES, file));
            return Ok(Self { file, temporary: None, target: target.to_owned() });
        }
        let target = fs::canonicalize(target).unwrap_or_else(|_| target.to_owned());
        let name =
            target.file_name().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidFilename))?;
        let mut temporary = OsString::from(".");
        temporary.push(name);
        temporary.push(format!(".{}.tmp", std::process::id()));
        let temporary = target.with_file_name(temporary);
        remove_when_interrupted(&temporary);
        let file = File::create(&temporary).inspect_err(|_| forget(&temporary))?;
        let file = Some(BufWriter::with_capacity(BUFFER_BYTES, file));
        Ok(Self { file, temporary: Some(temporary), target })
    }

    /// Gives the file its name. Gives its size in bytes.
    pub(super) fn finish(mut self) -> io::Result<u64> {
        let Some(writer) = self.file.take() else { return Ok(0) };
        let file = writer.into_inner().map_err(io::IntoInnerError::into_error)?;
        let Some(temporary) = &self.temporary else { return Ok(0) };
        // Only what is on the disk may take the name: a full disk may show as late as here.
        file.sync_data()?;
        let bytes = file.metadata()?.len();
        fs::rename(temporary, &self.target)?;
        forget(temporary);
        self.temporary = None;
        Ok(bytes)
    }
}

impl Write for AtomicFile {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.file.as_mut().map_or(Ok(0), |file| file.write(buffer))
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
            forget(temporary);
        }
    }
}

/// A file beside the target to put things aside. It has no name any more where the system allows that, so that it is gone
/// when it is closed, however the program ends.
pub(super) fn spill_file(target: &Path) -> io::Result<File> {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let path = target.with_file_name(format!(".omni-trace.{}.{number}.spill", std::process::id()));
    remove_when_interrupted(&path);
    let file = File::options().read(true).write(true).create_new(true).open(&path);
    if fs::remove_file(&path).is_ok() {
        forget(&path);
    }
    file
}

fn unfinished() -> std::sync::MutexGuard<'static, Vec<PathBuf>> {
    UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner)
}

fn forget(path: &Path) {
    unfinished().retain(|other| other != path);
}

/// On Ctrl-C, SIGTERM or SIGHUP the file is removed and the program ends. The handler runs on a thread of its own, so that
/// it may lock and delete.
fn remove_when_interrupted(path: &Path) {
    static HANDLER: Once = Once::new();
    HANDLER.call_once(|| {
        let handler = || {
            for path in unfinished().iter() {
                let _ = fs::remove_file(path);
            }
            std::process::exit(INTERRUPTED);
        };
        // Where no handler can be set, an interruption leaves a file that is named as temporary.
        let _ = ctrlc::set_handler(handler);
    });
    unfinished().push(path.to_owned());
}

/// Standard output, at which a closed pipe is the end and no error.
pub(super) struct PipeOutput {
    out: io::StdoutLock<'static>,
}

impl PipeOutput {
    pub(super) fn new() -> Self {
        Self { out: io::stdout().lock() }
    }
}

impl Write for PipeOutput {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.out.write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::AtomicFile;

    #[test]
    fn a_file_appears_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("out.json");
        let n_files = || std::fs::read_dir(dir.path()).unwrap().count();
        let mut file = AtomicFile::create(&target).unwrap();
        file.write_all(b"half").unwrap();
        assert!(!target.exists() && n_files() == 1);
        drop(file);
        assert_eq!(n_files(), 0);
        let mut file = AtomicFile::create(&target).unwrap();
        file.write_all(b"whole").unwrap();
        assert_eq!(file.finish().unwrap(), 5);
        assert_eq!(n_files(), 1);
        assert_eq!(std::fs::read(&target).unwrap(), b"whole");
    }
}
