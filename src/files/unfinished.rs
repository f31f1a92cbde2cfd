//! What an interruption removes: files that are not whole yet, and folders that were made for them.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

static UNFINISHED: Mutex<Unfinished> = Mutex::new(Unfinished { paths: Vec::new() });

/// The paths that an interruption removes. An interruption waits while somebody holds them.
pub struct Unfinished {
    paths: Vec<PathBuf>,
}

impl Unfinished {
    /// An interruption no longer removes a path.
    pub(super) fn forget(&mut self, path: &Path) {
        self.paths.retain(|other| other != path);
    }

    /// Removes them all: the program ends.
    pub fn remove(&self) {
        // What was made last stands innermost. A folder that holds anything else stays.
        for path in self.paths.iter().rev() {
            let _ = std::fs::remove_file(path).or_else(|_| std::fs::remove_dir(path));
        }
    }
}

/// Holds the paths: no interruption ends the program meanwhile.
pub fn unfinished() -> MutexGuard<'static, Unfinished> {
    UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes what stands at a path; an interruption removes it from now on, and waits while it is being made.
pub(super) fn make<T>(path: &Path, make: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    static WATCH: Once = Once::new();
    WATCH.call_once(watch);
    let mut unfinished = unfinished();
    let made = make()?;
    unfinished.paths.push(path.to_owned());
    Ok(made)
}

/// An interruption no longer removes a path.
pub(super) fn forget(path: &Path) {
    unfinished().forget(path);
}

/// On Ctrl-C and the like what is unfinished is removed, and the program ends with 128 and the signal's number, as shells
/// give it. That happens on a thread of its own, so that it may lock and delete. A file beyond the limit of its size is an
/// error of writing, not the end.
#[cfg(unix)]
fn watch() {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
    /// `SIGXFSZ` on every system that the program is built for.
    const SIGXFSZ: i32 = 25;
    // Where signals cannot be watched, an interruption leaves a file that is named as temporary; the next run removes it.
    let _ = signal_hook::flag::register(SIGXFSZ, std::sync::Arc::default());
    let Ok(mut signals) = signal_hook::iterator::Signals::new([SIGINT, SIGTERM, SIGHUP, SIGQUIT])
    else {
        return;
    };
    let end = move || {
        if let Some(signal) = signals.forever().next() {
            // Held until the end: nothing is made any more, and no file takes its name.
            let unfinished = unfinished();
            unfinished.remove();
            std::process::exit(128 + signal);
        }
    };
    let _ = std::thread::Builder::new().name("signals".to_owned()).spawn(end);
}

#[cfg(not(unix))]
fn watch() {}
