//! Bytes to stores: opens inputs, tells formats by content, parses in parallel.
//!
//! This room knows formats and nothing of what is done with a trace. Damage inside an input is counted in its
//! [`Reporter`]; only an input of which nothing can be read is an error.

mod block_text;
#[cfg(test)]
mod chance;
mod chrome;
mod crew;
mod deflate;
mod discover;
mod error;
#[cfg(feature = "program")]
pub(crate) mod events;
mod file_at;
mod file_id;
mod first_member;
mod gzip;
mod ids;
mod joiner;
mod kinds;
mod lengths;
pub mod logs;
mod names;
mod perfetto;
mod pipeline;
mod progress;
mod raw;
mod room;
mod sidecar;
mod snapshot;
mod source;
mod spread;
#[doc(hidden)]
#[cfg(feature = "rooms")]
pub mod steps;
#[cfg(feature = "program")]
mod stretches;
mod text;
mod trace;
mod unmerge;
mod unslim;
mod utf16;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

#[cfg(feature = "program")]
pub(crate) use deflate::CODE_LENGTH_ORDER;
pub use discover::{Inputs, MERGED_COPY, NOT_A_TRACE, SLIM_COPY, SLIM_ENDING, discover};
pub use error::ReadError;
#[cfg(feature = "program")]
pub(crate) use file_at::read_at;
pub use file_id::FileId;
pub use ids::ID_ARGUMENTS;
pub use kinds::is_not_a_rank;
pub use progress::Progress;
pub use sidecar::{CACHE_VAR, Sidecar, Sidecars};
pub use snapshot::with_snapshots;
pub use trace::events_in;
use trace::{ReadAgain, ReadTrace};

use crate::diag::Reporter;
use crate::model::Identity;
use crate::store::{Snapshot, Store};

/// How to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadOptions {
    /// Threads that read, over all inputs together. What the only thread of an input reads is put together by another, which has little to
    /// do.
    pub threads: usize,
    /// Reads every event with the tolerant parser: slow, for comparing the two.
    pub force_slow_path: bool,
    /// Keeps the arguments of every complete event, also those that no column is made of: for who asks for them alone.
    pub keeps_arguments: bool,
    /// Reads snapshots of torch's allocator, too; without it they are files of another kind.
    pub takes_snapshots: bool,
}

impl Default for ReadOptions {
    fn default() -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        Self { threads, force_slow_path: false, keeps_arguments: false, takes_snapshots: false }
    }
}

/// One input, read.
#[derive(Debug)]
pub struct Input {
    /// The path as given; `-` for standard input.
    pub path: PathBuf,
    /// Who wrote it, from its metadata and its name.
    pub identity: Identity,
    /// Its events.
    pub store: Store,
    /// What was odd or lost.
    pub diag: Reporter,
    /// Size of the file in bytes; `None` for standard input.
    pub bytes: Option<u64>,
    /// Bytes of decompressed text that were read.
    pub json_bytes: u64,
    /// Path of the original file, where this is one of the inputs of a merged file.
    pub merged_from: Option<String>,
    /// What torch's allocator wrote of itself in the same process; the input may be nothing else.
    pub snapshot: Option<SnapshotFile>,
}

/// A snapshot of torch's allocator, and where it was read from.
#[derive(Debug)]
pub struct SnapshotFile {
    /// Its path.
    pub path: PathBuf,
    /// What it holds.
    pub snapshot: Snapshot,
}

/// Reads one input. A merged file is read as it stands, as one; [`read_inputs`] takes it apart.
///
/// # Errors
///
/// Where nothing of it can be read.
#[cfg(any(test, feature = "rooms"))]
pub fn read_input(path: &Path, options: &ReadOptions) -> Result<Input, ReadError> {
    let progress = Arc::new(Progress::default());
    if options.takes_snapshots && snapshot::is_pickle(path) {
        return input_of_snapshot(path, &progress);
    }
    let (trace, _) = trace::read_whole(path, options, &progress, ReadAgain::Never)?;
    Ok(input_of(path, trace))
}

fn input_of(path: &Path, trace: ReadTrace) -> Input {
    let mut identity = names::identity_of(path);
    if let Some(distributed) = &trace.store.meta.distributed {
        identity.rank = distributed.rank.or(identity.rank);
        identity.world_size = distributed.world_size;
    }
    if let Some(part) = &trace.part {
        identity = part.identity();
    }
    let bytes = std::fs::metadata(path).ok().filter(|m| m.is_file()).map(|m| m.len());
    Input {
        path: path.to_owned(),
        identity,
        store: trace.store,
        diag: trace.reporter,
        bytes,
        json_bytes: trace.json_bytes,
        merged_from: trace.part.map(|part| part.path),
        snapshot: None,
    }
}

/// A snapshot as an input of its own.
fn input_of_snapshot(path: &Path, progress: &Arc<Progress>) -> Result<Input, ReadError> {
    let read = snapshot::read(path, progress)?;
    Ok(Input {
        path: path.to_owned(),
        identity: names::identity_of(path),
        store: Store::default(),
        diag: read.reporter,
        bytes: std::fs::metadata(path).ok().filter(|m| m.is_file()).map(|m| m.len()),
        json_bytes: read.bytes,
        merged_from: None,
        snapshot: Some(SnapshotFile { path: path.to_owned(), snapshot: read.snapshot }),
    })
}

fn read_parts(
    path: &Path,
    options: &ReadOptions,
    progress: &Arc<Progress>,
    sidecars: Option<&Sidecars>,
) -> Result<Vec<Input>, ReadError> {
    if options.takes_snapshots && snapshot::is_pickle(path) {
        return Ok(vec![input_of_snapshot(path, progress)?]);
    }
    let read = || {
        let traces = trace::read_parts(path, options, progress, ReadAgain::Never)?;
        Ok(traces.into_iter().map(|(trace, _)| trace).collect())
    };
    let traces = match sidecars.filter(|_| !options.force_slow_path && !options.keeps_arguments) {
        Some(sidecars) => sidecars.kept_or(path, progress, read),
        None => read(),
    };
    Ok(traces?.into_iter().map(|trace| input_of(path, trace)).collect())
}

/// Reads several inputs side by side, in the order given; a merged file gives each of the inputs it was made of.
///
/// # Errors
///
/// The first input, in order, of which nothing can be read.
pub fn read_inputs(
    paths: &[PathBuf],
    options: &ReadOptions,
    progress: &Arc<Progress>,
) -> Result<Vec<Input>, ReadError> {
    let results = read_each(paths, options, progress, None);
    let per_path: Result<Vec<_>, _> = results.into_iter().collect();
    Ok(per_path?.into_iter().flatten().collect())
}

/// As [`read_inputs`], with what each path gave. What sidecars hold is taken from them, and what they do not is put there.
pub fn read_each(
    paths: &[PathBuf],
    options: &ReadOptions,
    progress: &Arc<Progress>,
    sidecars: Option<&Sidecars>,
) -> Vec<Result<Vec<Input>, ReadError>> {
    side_by_side(paths, options, |path, options| read_parts(path, options, progress, sidecars))
}

/// What `read` makes of each of some inputs, several at a time. The parser threads are shared among them.
pub(crate) fn side_by_side<I: Sync, T: Send>(
    inputs: &[I],
    options: &ReadOptions,
    read: impl Fn(&I, &ReadOptions) -> T + Sync,
) -> Vec<T> {
    let n_readers = options.threads.clamp(1, inputs.len().max(1));
    let per_reader = ReadOptions { threads: (options.threads / n_readers).max(1), ..*options };
    let next = AtomicUsize::new(0);
    let slots: Vec<Mutex<Option<T>>> = inputs.iter().map(|_| Mutex::new(None)).collect();
    let read_some = || {
        loop {
            let i = next.fetch_add(1, Ordering::Relaxed);
            let (Some(input), Some(slot)) = (inputs.get(i), slots.get(i)) else { break };
            let result = read(input, &per_reader);
            *slot.lock().expect("no holder of this lock can panic") = Some(result);
        }
    };
    std::thread::scope(|scope| {
        // Where the system has no more threads, fewer read the same.
        let started = (1..n_readers).map(|_| pipeline::start(scope, read_some));
        let _: Vec<_> = started.take_while(Result::is_ok).collect();
        read_some();
    });
    slots
        .into_iter()
        .filter_map(|slot| slot.into_inner().expect("no holder of this lock can panic"))
        .collect()
}
