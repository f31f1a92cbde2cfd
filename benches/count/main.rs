//! Runs the steps of `analyze` over one trace one after the other, on one thread: for callgrind, which counts their
//! instructions (`benches/instructions.py`).
//!
//! `omni-trace-count trace.json.gz` prints the bytes of JSON. It takes the rooms from readers to analyses as modules of its
//! own, so that what nobody counts (tables, pictures, command line) is not built with optimisation to be checked.

#[path = "../../src/align/mod.rs"]
mod align;
#[path = "../../src/analyze/mod.rs"]
mod analyze;
#[path = "../../src/diag/mod.rs"]
mod diag;
#[path = "../../src/model/mod.rs"]
mod model;
#[path = "../../src/read/mod.rs"]
mod read;
#[path = "../../src/schema/mod.rs"]
mod schema;
#[path = "../../src/store/mod.rs"]
mod store;

use std::error::Error;
use std::hint::black_box;
use std::path::{Path, PathBuf};

use analyze::base::{TimeBase, TimeConfig};
use analyze::iterations::iterations;
use diag::Reporter;
use read::{ReadError, steps};
use store::{Chunk, Store};

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args_os().nth(1).map(PathBuf::from).ok_or("which trace?")?;
    // Work that is spread over threads stays on this one, and is counted where it was asked for.
    rayon::ThreadPoolBuilder::new().num_threads(1).use_current_thread().build_global()?;
    let text = inflate(&path)?;
    let blocks = cut(&text);
    black_box(scan(&blocks));
    let chunks = decode(&blocks);
    let joined = join(chunks);
    let store = sort(joined);
    let base = time_base(&store);
    black_box(key_averages(&store));
    black_box(accounts(&store, &base));
    black_box(launches(&store, &base));
    black_box(trust(&store, &base));
    println!("{}", text.len());
    Ok(())
}

/// Inflated text of the events.
#[inline(never)]
fn inflate(path: &Path) -> Result<Vec<u8>, ReadError> {
    let mut text = Vec::new();
    steps::inflate(path, |block| text.extend_from_slice(block))?;
    Ok(steps::events(text))
}

#[inline(never)]
fn cut(text: &[u8]) -> Vec<&[u8]> {
    steps::cut(text)
}

/// Events as spans of their text: a part of [`decode`].
#[inline(never)]
fn scan(blocks: &[&[u8]]) -> u64 {
    blocks.iter().map(|block| steps::scan(block)).sum()
}

/// Columns of each block.
#[inline(never)]
fn decode(blocks: &[&[u8]]) -> Vec<Chunk> {
    blocks.iter().map(|block| steps::decode(block)).collect()
}

/// Blocks put together.
#[inline(never)]
fn join(chunks: Vec<Chunk>) -> steps::Joined {
    steps::join(chunks)
}

/// Slices in the order of their tracks.
#[inline(never)]
fn sort(joined: steps::Joined) -> Store {
    steps::sort(joined)
}

#[inline(never)]
fn time_base(store: &Store) -> TimeBase {
    TimeBase::new(store, &TimeConfig::default())
}

#[inline(never)]
fn key_averages(store: &Store) -> analyze::key_averages::KeyAverages {
    analyze::key_averages::key_averages(store, &analyze::key_averages::KeyAveragesConfig::default())
}

/// What became of the time of devices and threads.
#[inline(never)]
fn accounts(store: &Store, base: &TimeBase) -> usize {
    let devices = analyze::devices::devices(store, base);
    let idle = analyze::idle::idle(store, base);
    let startup = analyze::startup::startup(store, base);
    let threads = analyze::threads::threads(store, base, &TimeConfig::default().rules);
    let components = analyze::components::components(store, base);
    let durations = analyze::kernels::activity_durations(store);
    black_box((&idle, &threads, &durations));
    devices.len() + startup.len() + components.len()
}

/// Iterations, and how their device work was launched.
#[inline(never)]
fn launches(store: &Store, base: &TimeBase) -> usize {
    let found = iterations(store, base);
    let delays = analyze::launch_delays::launch_delays(store, base);
    let launched = analyze::launched::launched(store, base);
    let queues = analyze::queue_depth::queues(base, &launched);
    let stats = analyze::launch_stats::launch_stats(store, base, &found.rows, launched);
    let operators = analyze::kernel_origins::CallOperators::of(store, &base.launches);
    let origins = analyze::kernel_origins::kernel_origins(store, base, &found, &operators);
    delays.len() + stats.len() + queues.depth.len() + origins.len()
}

#[inline(never)]
fn trust(store: &Store, base: &TimeBase) -> usize {
    analyze::trust::trust(store, base, &Reporter::default()).len()
}
