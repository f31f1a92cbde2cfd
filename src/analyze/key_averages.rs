//! Torch's `key_averages()`, rebuilt from a trace: one row a name, with counts, self and total times, device times.
//!
//! The rules are those of `torch/autograd/profiler.py` (`_parse_kineto_results`), `torch/autograd/profiler_util.py`
//! (`EventList`) and `torch/csrc/profiler/collection.cpp`, in integer nanoseconds:
//!
//! - every host event belongs to one thread of torch's ([`threads`]), which is not always the thread it ran on;
//! - on each thread events nest by the stack rule of [`super::nesting`], a child that is alone and has its parent's name
//!   is folded into the parent, and a self time is a total less the children's totals ([`tree`]);
//! - a device event belongs to the operator whose `External id` it carries, or that its launch lies in ([`origins`]), and counts once more in a row of
//!   its own; annotations on a device have rows but are in no total.
//!
//! Self times can be negative: children of one parent may cross (`nesting`), and torch does not clamp them either.
//! Nothing here decides how rows look; the order of the rows is torch's, by first start.

mod extra;
mod links;
mod memory;
mod origins;
mod padding;
mod pieces;
mod rows;
mod threads;
mod torch_times;
mod tree;

use rayon::prelude::*;
use serde::Serialize;

use crate::schema::{Kind, Value, Values, carried, tables, words};
use crate::store::{Layout, Store};

pub use origins::LinkSource;
pub use torch_times::{TorchTimes, torch_times};

use links::Links;
use origins::Origins;
use rows::Sums;
use threads::Threads;

/// A choice that can follow what the writer of the trace did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "program", derive(clap::ValueEnum))]
pub enum Choice {
    /// As the torch that wrote the trace does.
    #[default]
    Auto,
    /// Yes.
    Yes,
    /// No.
    No,
}

/// How to build the rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyAveragesConfig {
    /// Whether Python frames are rows and take part in the nesting. Torch had them in 2.13 and 2.14 only.
    pub python_rows: Choice,
    /// Whether kernels are booked a second time, as torch up to 2.14 did: on profiler overhead inside an operator, and
    /// on runtime calls without an operator whose correlation happens to equal an operator's id. Totals are the same.
    pub torch_compat: Choice,
    /// One row for each name and input shapes.
    pub group_by_input_shape: bool,
    /// One row for each name and innermost frames of the recorded call stack; 0 for none.
    pub group_by_stack_n: usize,
}

words! {
    /// Where an event ran.
    #[derive(Default)]
    DeviceType {
        /// On a host thread.
        #[default]
        Cpu "cpu",
        /// On a device.
        Device "device",
    }
}

/// Memory allocated less memory released, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct KeyMemory {
    /// Host memory, from start to end of the events, on any thread.
    pub cpu_bytes: i64,
    /// The same less that of the children.
    pub self_cpu_bytes: i64,
    /// Device memory, from start to end of the events, on any thread.
    pub device_bytes: i64,
    /// The same less that of the children.
    pub self_device_bytes: i64,
}

carried!(KeyMemory {
    cpu_bytes: i64,
    self_cpu_bytes: i64,
    device_bytes: i64,
    self_device_bytes: i64,
});

impl Value for KeyMemory {
    const KIND: Kind = Kind::Rows;

    fn put(&self, _to: &mut Values) {}
}

tables! {
    /// All events of one name on one kind of device: a row of the profiler table. Shares and averages are known once all
    /// rows of a run are.
    #[derive(Default)]
    KeyAverageRow: "key_averages", "Profiler table", "What does torch's own table say?", groups 0, on Profiler 1, carried whole {
        name: String, Text, All / Subject, "name", "name; all ProfilerStep#N are ProfilerStep*";
        device_type: DeviceType, Text, All / Late, "on", "cpu or device";
        is_annotation: bool, Text, Machines, "is annotation", "whether it is a range of the user, or the span of one on a device, which is in no total";
        count: u64, Count, All / End, "calls", "how often, after folding";
        self_cpu_ns: i64, Ns, All, "self CPU", "CPU time less that of the children";
        self_cpu_pct: Option<f64>, Percent, All, "self CPU %", "of all self CPU";
        cpu_total_ns: i64, Ns, All, "CPU total", "CPU time with the children";
        cpu_avg_ns: Option<i64>, Ns, Room, "CPU avg", "CPU total over calls";
        self_device_ns: Option<i64>, Ns, All, "self device", "time of its own device events; none of host rows where nothing tells what launched device events";
        self_device_pct: Option<f64>, Percent, Room, "self device %", "of all device events; annotations have no share";
        device_total_ns: Option<i64>, Ns, All, "device total", "device time with the children";
        device_avg_ns: Option<i64>, Ns, Room, "device avg", "device total over calls";
        run: u32, Count, All / First, "run", "number of the run: sums stay within one";
        excluded_cpu_ns: Option<i64>, Ns, Machines, "excluded cpu", "what was left out of the CPU total";
        memory: Option<KeyMemory>, Count, Machines, "memory", "memory allocated less memory released, as the columns in bytes; none where the trace recorded no memory";
        input_shapes: Option<String>, Text, All / Late, "input shapes", "input shapes as torch prints them; none unless grouped by them";
        stack: Option<Vec<String>>, Text, All / Late, "stack", "innermost Python frames; none unless grouped by them and recorded";
        cpu_bytes: Option<i64>, Bytes, Machines, "CPU memory", "host memory allocated less released; none where the trace recorded no memory";
        self_cpu_bytes: Option<i64>, Bytes, Machines, "self CPU memory", "the same less that of the children";
        device_bytes: Option<i64>, Bytes, Machines, "device memory", "device memory allocated less released";
        self_device_bytes: Option<i64>, Bytes, Machines, "self device memory", "the same less that of the children";
    } + {
        /// An annotation that ends on another thread than it starts on: outside the nesting, without self time.
        is_async: bool,
    }
}

/// The table.
#[derive(Clone, Debug, PartialEq)]
pub struct KeyAverages {
    /// The rows, by first start; torch's order before sorting.
    pub rows: Vec<KeyAverageRow>,
    /// Sum of [`KeyAverageRow::self_cpu_ns`].
    pub self_cpu_ns: i64,
    /// Sum of [`KeyAverageRow::self_device_ns`] of the device rows that are no annotations: the sum of all device activity.
    pub self_device_ns: i64,
    /// Whether Python frames are rows.
    pub python_rows: bool,
    /// Why they are or are not.
    pub python_rows_reason: &'static str,
    /// Whether the profile recorded memory.
    pub has_memory: bool,
    /// Whether the double bookings of torch up to 2.14 are reproduced.
    pub torch_compat: bool,
    /// How the device time of host rows is known.
    pub link_source: LinkSource,
    /// Device activity without a call, where operators are told by nesting: it is in no host row's device time.
    pub n_without_call: u64,
    /// Host time that was taken out of rows by the caller's exclusion; 0 without one.
    pub excluded_self_cpu_ns: i64,
}

/// How much of a host slice, by slice number, is to be left out: nanoseconds inside its start and end.
///
/// It is taken from the slice's total; its self time then loses what is excluded in it and not in a child, so that a
/// parent's total loses exactly what lies inside it. For that the function must be additive: what it gives for a slice
/// is the length of one set of intervals of the slice's thread inside the slice (a union, not a sum over frames).
pub type ExcludedNs<'a> = dyn Fn(usize) -> i64 + Sync + 'a;

/// Slices of a piece of a thread: fewer are walked sooner than shared out.
const PIECE_SLICES: usize = 1 << 17;

/// Of how many entries of [`Sums`] the making takes at most as long as the walk over a slice. They have one for every name, so that
/// with many names, many threads and few slices all time would go into them.
const ENTRIES_OF_SLICE: usize = 64;

/// The rows of a trace.
pub fn key_averages(store: &Store, config: &KeyAveragesConfig) -> KeyAverages {
    key_averages_excluding(store, config, None)
}

/// The rows of a trace with some host time left out, waits for example.
pub fn key_averages_excluding(
    store: &Store,
    config: &KeyAveragesConfig,
    excluded: Option<&ExcludedNs<'_>>,
) -> KeyAverages {
    in_pieces(store, config, excluded, PIECE_SLICES)
}

/// The rows, from threads that are walked in pieces of so many slices at least: the same, however many.
fn in_pieces(
    store: &Store,
    config: &KeyAveragesConfig,
    excluded: Option<&ExcludedNs<'_>>,
    piece_slices: usize,
) -> KeyAverages {
    let (python_rows, python_rows_reason) = chosen_python_rows(store, config);
    let torch_compat = chosen_compat(store, config);
    let names = rows::Names::new(store);
    let groups = rows::Groups::new(store, config);
    let memory = memory::MemoryIndex::new(store, &names);
    let origins = Origins::new(store);
    let threads = Threads::new(store, &origins);
    let links = Links::new(store, &threads, torch_compat);
    let walk = tree::Walk {
        store,
        names: &names,
        groups: &groups,
        memory: &memory,
        threads: &threads,
        links: &links,
        python_rows,
        excluded,
    };
    let pieces = threads.in_pieces(store, python_rows, piece_slices);
    let empty = || Sums::new(&names, &memory);
    let most_sums = 1 + store.slices.len() * ENTRIES_OF_SLICE / Sums::n_entries(&names, &memory);
    let mut sums = pieces
        .par_iter()
        .with_min_len(pieces.len().div_ceil(most_sums))
        .fold(empty, |sums, piece| walk.thread(piece, sums))
        .reduce_with(Sums::joined)
        .unwrap_or_else(empty);
    memory.add_top_level(&mut sums, &names);
    let excluded_self_cpu_ns = sums.excluded_self_ns;
    let rows = sums.into_rows(
        store,
        &names,
        &groups,
        memory.is_recorded(),
        origins.source != LinkSource::NotRecorded,
    );
    KeyAverages {
        self_cpu_ns: rows.iter().map(|row| row.self_cpu_ns).sum(),
        self_device_ns: rows
            .iter()
            .filter(|row| row.device_type == DeviceType::Device && !row.is_annotation)
            .filter_map(|row| row.self_device_ns)
            .sum(),
        excluded_self_cpu_ns,
        rows,
        python_rows,
        python_rows_reason,
        has_memory: memory.is_recorded(),
        torch_compat,
        link_source: origins.source,
        n_without_call: origins.n_without_call,
    }
}

/// Whether Python frames are rows, and why.
fn chosen_python_rows(store: &Store, config: &KeyAveragesConfig) -> (bool, &'static str) {
    match (config.python_rows, store.meta.layout) {
        (Choice::Yes, _) => (true, "asked for"),
        (Choice::No, _) => (false, "asked for"),
        (Choice::Auto, Layout::KinetoNew) => {
            (true, "the layout is that of torch 2.13 and 2.14, which had Python frames as rows")
        }
        (Choice::Auto, Layout::KinetoOld) => (
            false,
            "the layout is that of torch 2.11 and before, which had no Python frames as rows",
        ),
        (Choice::Auto, Layout::TorchCompact) => (
            false,
            "the layout is that of torch 2.15, which has no Python frames as rows by default",
        ),
        (Choice::Auto, Layout::Unknown) => {
            (false, "the layout is not torch's own; most versions had no Python frames as rows")
        }
    }
}

/// Whether to reproduce the double bookings: all writers but that of torch 2.15 had them.
fn chosen_compat(store: &Store, config: &KeyAveragesConfig) -> bool {
    match config.torch_compat {
        Choice::Auto => store.meta.layout != Layout::TorchCompact,
        Choice::Yes => true,
        Choice::No => false,
    }
}

#[cfg(test)]
mod tests;
