//! A progress bar on standard error while inputs are read; only on a terminal.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::read::Progress;

/// How often the bar looks at the counters.
const TICK: Duration = Duration::from_millis(80);

/// Reads shorter than this show no bar, so that it does not flicker.
const QUIET_START: Duration = Duration::from_millis(300);

/// A bar that lives while reading does, and leaves nothing behind.
pub(super) struct ProgressDisplay {
    is_done: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl ProgressDisplay {
    /// Shows the progress of reading `paths`, unless `is_quiet` or standard error is no terminal.
    pub(super) fn start(progress: &Arc<Progress>, paths: &[PathBuf], is_quiet: bool) -> Self {
        let is_done = Arc::new(AtomicBool::new(false));
        if is_quiet || !std::io::stderr().is_terminal() {
            return Self { is_done, thread: None };
        }
        let total = total_bytes(paths);
        let (progress, flag) = (Arc::clone(progress), Arc::clone(&is_done));
        // Where no thread can start, nothing is shown.
        let thread = thread::Builder::new().spawn(move || show(&progress, total, &flag)).ok();
        Self { is_done, thread }
    }
}

impl Drop for ProgressDisplay {
    fn drop(&mut self) {
        self.is_done.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // A display that failed must not fail the run.
            let _ = thread.join();
        }
    }
}

/// The size of all inputs; `None` where one is standard input.
fn total_bytes(paths: &[PathBuf]) -> Option<u64> {
    paths
        .iter()
        .map(|path| if path == Path::new("-") { None } else { path.metadata().ok() })
        .map(|metadata| metadata.map(|m| m.len()))
        .sum()
}

fn show(progress: &Progress, total: Option<u64>, is_done: &AtomicBool) {
    let start = Instant::now();
    let mut bar: Option<ProgressBar> = None;
    while !is_done.load(Ordering::Relaxed) {
        thread::park_timeout(TICK);
        if start.elapsed() < QUIET_START {
            continue;
        }
        let bar = bar.get_or_insert_with(|| new_bar(total));
        bar.set_position(progress.file_bytes());
        bar.set_message(text_rate(progress.json_bytes(), start.elapsed()));
    }
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
}

fn new_bar(total: Option<u64>) -> ProgressBar {
    let (bar, template) = match total {
        Some(total) => (
            ProgressBar::new(total),
            "reading {bar:30} {decimal_bytes}/{decimal_total_bytes}  {msg}  {eta} left",
        ),
        None => (ProgressBar::new_spinner(), "reading {spinner} {decimal_bytes}  {msg}"),
    };
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// Decompressed megabytes a second so far.
fn text_rate(text_bytes: u64, elapsed: Duration) -> String {
    let per_second = text_bytes as f64 / 1e6 / elapsed.as_secs_f64().max(1e-3);
    format!("{per_second:.0} MB/s of text")
}
