//! What is read of traces and how: the options that `query` and `export` share, and the line that says how far it has come.

use std::ffi::OsString;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use clap::Args;
use omni_trace::analyze::exclude::excludable;
use omni_trace::analyze::timeline::Class;
use omni_trace::analyze::window::WindowConfig;
use omni_trace::read::{Progress, ReadOptions, Sidecars};
use omni_trace::{Question, Reading};

use crate::data::Data;
use crate::trouble::Trouble;

/// How often the line looks at the counters.
const TICK: Duration = Duration::from_millis(100);

/// Reading that is shorter than this shows no line.
const QUIET_START: Duration = Duration::from_millis(300);

/// How traces are read.
#[derive(Clone, Debug, Args)]
pub(crate) struct ReadArgs {
    /// Where to keep what was read of a trace, so that the next command need not read it again: a folder, `off`, or `auto` for the
    /// user's cache directory and traces that take long to read. Default: the variable OMNI_TRACE_CACHE, or auto.
    #[arg(long, value_name = "auto|off|DIR")]
    pub(crate) cache: Option<OsString>,

    /// Threads. Default: one per core. The result does not depend on it.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,

    /// Nothing on standard error but errors.
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

/// What of the traces is asked about.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct PartArgs {
    /// Only a part of the window, from its start: `10ms..25ms`, `..1s`, `1.5s..` (ns, us, ms, s). Tables of events have what
    /// touches it.
    #[arg(long, value_name = "A..B")]
    pub(crate) window: Option<WindowConfig>,

    /// Leave classes of time out of the summaries, as `analyze` does: ipc_wait, gpu_sync, other_wait, module_loading, profiler,
    /// runtime, python, unattributed.
    #[arg(long, value_name = "CLASS", value_delimiter = ',', value_parser = excludable)]
    pub(crate) exclude: Vec<Class>,
}

impl ReadArgs {
    /// The inputs at some paths, of which nothing is read yet.
    ///
    /// # Errors
    ///
    /// So many threads cannot be started.
    pub(crate) fn data(&self, paths: Vec<PathBuf>, part: &PartArgs) -> Result<Data, Trouble> {
        let mut options = ReadOptions::default();
        if let Some(threads) = self.threads {
            options.threads = usize::from(threads);
            limit_polars(options.threads)?;
            start_threads(options.threads)?;
        }
        let sidecars = Sidecars::asked(self.cache.as_deref());
        let mut question = Question::default();
        question.time.window = part.window.unwrap_or_default();
        question.excluded.clone_from(&part.exclude);
        question.excluded.sort_unstable();
        question.excluded.dedup();
        let data = Data::new(paths, question, Reading { options, sidecars, ..Reading::default() });
        Ok(if self.quiet { data } else { data.told() })
    }
}

/// Where polars looks for its number of threads, and nowhere else.
const POLARS_VAR: &str = "POLARS_MAX_THREADS";

/// Has polars use as many threads: the program starts itself anew with its variable set, where that says another number.
#[cfg(unix)]
fn limit_polars(threads: usize) -> Result<(), Trouble> {
    let threads = threads.to_string();
    if std::env::var(POLARS_VAR).is_ok_and(|said| said == threads) {
        return Ok(());
    }
    let refused = |error: io::Error| Trouble::plain(format!("cannot set {POLARS_VAR}: {error}"));
    let program = std::env::current_exe().map_err(refused)?;
    let mut command = std::process::Command::new(program);
    command.args(std::env::args_os().skip(1)).env(POLARS_VAR, threads);
    Err(refused(std::os::unix::process::CommandExt::exec(&mut command)))
}

/// Elsewhere polars has a thread a core.
#[cfg(not(unix))]
fn limit_polars(_: usize) -> Result<(), Trouble> {
    Ok(())
}

/// Has reading and analyses use as many threads.
fn start_threads(threads: usize) -> Result<(), Trouble> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build_global();
    pool.map_err(|error| {
        let what = format!("cannot start the analysis threads: {error}");
        Trouble::new(what, "ask for fewer with --threads")
    })
}

/// A line on a terminal's standard error that lives while traces are read, and leaves nothing behind.
pub(crate) struct Display {
    is_done: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Display {
    /// Shows how far reading has come, where standard error is a terminal.
    pub(crate) fn start(progress: &Arc<Progress>) -> Self {
        let is_done = Arc::new(AtomicBool::new(false));
        if !io::stderr().is_terminal() {
            return Self { is_done, thread: None };
        }
        let (progress, flag) = (Arc::clone(progress), Arc::clone(&is_done));
        // Where no thread can start, nothing is shown.
        let thread = thread::Builder::new().spawn(move || show(&progress, &flag)).ok();
        Self { is_done, thread }
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        self.is_done.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // A display that failed must not fail the run.
            let _ = thread.join();
        }
    }
}

fn show(progress: &Progress, is_done: &AtomicBool) {
    let start = Instant::now();
    let mut is_shown = false;
    while !is_done.load(Ordering::Relaxed) {
        thread::park_timeout(TICK);
        if start.elapsed() >= QUIET_START {
            let megabytes = progress.json_bytes() / 1_000_000;
            let _ = write!(io::stderr().lock(), "\r\x1b[Kreading: {megabytes} MB of text");
            is_shown = true;
        }
    }
    if is_shown {
        let _ = write!(io::stderr().lock(), "\r\x1b[K");
    }
}
