//! Iterations: one row for each annotation of a work thread that stands for a step, see [`super::iteration_names`].
//!
//! The device time of an iteration is that of the activity launched inside it, joined by correlation: launched on its
//! own thread, or on a thread of the process that has no iterations of its own (the backward thread of a training step).
//! Where calls are of a process without iterations (Ascend's CANN), it is that of the activity whose operator ran inside.

use std::collections::{BTreeMap, HashMap};

use super::base::TimeBase;
use super::exclude::Exclusion;
use super::host::HostThread;
use super::intervals::{CoverIndex, Intervals, Span};
use super::iteration_names::{Batch, Phase, Scheme, parse_iteration};
use super::quantiles::Quantiles;
use super::timeline::Class;
use super::window::{is_unplaced, slice_span};
use crate::model::EventKind;
use crate::store::{Store, TrackId};

/// One iteration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Iteration {
    /// The annotation.
    pub slice: u32,
    /// Its track.
    pub track: usize,
    /// Its name.
    pub name: String,
    /// Scheme of the name.
    pub scheme: Scheme,
    /// Phase.
    pub phase: Phase,
    /// Requests and tokens.
    pub batch: Batch,
    /// Start of the annotation, or of the window where that comes later.
    pub start_ns: i64,
    /// Its length on the CPU inside the window, less what is excluded.
    pub cpu_ns: i64,
    /// What [`Iterations::leave_out`] took out of its length.
    pub excluded_ns: i64,
    /// Kernels launched inside.
    pub n_kernels: u64,
    /// Sum over these kernels; `None` where the trace has no device activity.
    pub kernel_sum_ns: Option<i64>,
    /// Time in which one of these kernels runs.
    pub kernel_busy_ns: Option<i64>,
    /// From the first start to the last end of what was launched inside.
    pub device_span_ns: Option<i64>,
    /// IPC wait of the thread between the previous iteration (or the start of the window) and this one; `None` where no
    /// Python frames show it.
    pub ipc_wait_before_ns: Option<i64>,
    /// IPC wait inside it.
    pub ipc_wait_inside_ns: Option<i64>,
    /// From its end to the start of the next one of the scheme on the thread; `None` for the last. Negative where they
    /// overlap.
    pub gap_to_next_ns: Option<i64>,
}

/// Percentiles over the iterations of one scheme and phase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PhaseSummary {
    /// Scheme.
    pub scheme: Scheme,
    /// Phase.
    pub phase: Phase,
    /// Iterations.
    pub count: u64,
    /// Length on the CPU.
    pub cpu: Option<Quantiles>,
    /// Kernel busy time.
    pub kernel_busy: Option<Quantiles>,
    /// Kernel sum.
    pub kernel_sum: Option<Quantiles>,
    /// IPC wait before.
    pub ipc_wait_before: Option<Quantiles>,
    /// Gap to the next.
    pub gap_to_next: Option<Quantiles>,
}

/// The iterations of one input.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Iterations {
    /// By track, then start.
    pub rows: Vec<Iteration>,
    /// By scheme, then phase.
    pub phases: Vec<PhaseSummary>,
}

impl Iterations {
    /// Takes excluded time out of the lengths; device times, waits and gaps stay as recorded.
    pub fn leave_out(&mut self, exclusion: &Exclusion) {
        for row in &mut self.rows {
            let end_ns = row.start_ns + row.cpu_ns;
            row.excluded_ns = exclusion.excluded_ns(row.track, row.start_ns, end_ns);
            row.cpu_ns -= row.excluded_ns;
        }
        self.phases = summaries(&self.rows);
    }
}

/// The iterations of a store inside the file window.
pub fn iterations(store: &Store, base: &TimeBase) -> Iterations {
    let mut by_thread: BTreeMap<usize, Vec<(usize, Scheme, Phase, Batch)>> = BTreeMap::new();
    for thread in base.work_threads() {
        let found = annotations(store, thread, base.windows.file);
        if !found.is_empty() {
            by_thread.insert(thread.track, found);
        }
    }
    // Launches of threads without iterations belong to the one thread of their process that has some.
    let mut owners: BTreeMap<TrackId, Vec<usize>> = BTreeMap::new();
    for &track in by_thread.keys() {
        owners.entry(store.tracks[track].pid).or_default().push(track);
    }
    let owner = |track: usize| match owners.get(&store.tracks[track].pid).map(Vec::as_slice) {
        _ if by_thread.contains_key(&track) => Some(track),
        Some(&[only]) => Some(only),
        _ => None,
    };
    let mut kernels: BTreeMap<usize, Vec<Launched>> = BTreeMap::new();
    for (owner, kernel) in launched_kernels(store, base, owner) {
        kernels.entry(owner).or_default().push(kernel);
    }
    let mut rows = Vec::new();
    for (&track, found) in &by_thread {
        let mut mine = kernels.remove(&track).unwrap_or_default();
        mine.sort_unstable();
        if let Some(thread) = base.thread_of_track(track) {
            rows.extend(thread_rows(store, base, thread, found, &mine));
        }
    }
    Iterations { phases: summaries(&rows), rows }
}

/// An activity: when it was launched, its span, whether it is a kernel.
type Launched = (i64, Span, bool);

/// Every activity that a thread with iterations launched, with that thread: by its call, else by its operator.
fn launched_kernels(
    store: &Store,
    base: &TimeBase,
    owner: impl Fn(usize) -> Option<usize>,
) -> Vec<(usize, Launched)> {
    let mut operators = None;
    let rows = base.devices.iter().flat_map(|device| &device.slices);
    let launched = rows.filter_map(|row| {
        let activity = row.slice as usize;
        let call = base.launches.call_of(store, activity)?;
        let placed = |host: usize, owner: usize| {
            Some((owner, (store.slices.ts_ns[host], row.span, row.kind.is_kernel())))
        };
        if let Some(owner) = owner(store.track_of(call)) {
            return placed(call, owner);
        }
        let id = own_external_id(store, activity)?;
        let operator = *operators.get_or_insert_with(|| operators_by_id(store)).get(&id)?;
        placed(operator, owner(store.track_of(operator))?)
    });
    launched.collect()
}

/// The operator that an activity names; old writers repeat the correlation there.
fn own_external_id(store: &Store, activity: usize) -> Option<u64> {
    let id = store.external_id(activity).filter(|&id| id != 0)?;
    (store.correlation(activity) != Some(id)).then_some(id)
}

/// Operators and annotations by external id, the first of each.
fn operators_by_id(store: &Store) -> HashMap<u64, usize> {
    let is_operator =
        |&slice: &usize| matches!(store.kind(slice), EventKind::CpuOp | EventKind::UserAnnotation);
    let mut found = HashMap::new();
    for slice in (0..store.slices.len()).filter(is_operator) {
        if let Some(id) = store.external_id(slice) {
            found.entry(id).or_insert(slice);
        }
    }
    found
}

fn annotations(
    store: &Store,
    thread: &HostThread,
    window: Span,
) -> Vec<(usize, Scheme, Phase, Batch)> {
    let marks: Vec<bool> =
        store.categories.iter().map(|&(_, kind)| kind == EventKind::UserAnnotation).collect();
    store.tracks[thread.track]
        .slices
        .clone()
        .filter(|&slice| marks[store.category_number(slice)])
        .filter(|&slice| !slice_span(store, slice).clip(window).is_empty())
        .filter(|&slice| !is_unplaced(store, slice))
        .filter_map(|slice| {
            let (scheme, phase, batch) = parse_iteration(store.name(slice))?;
            Some((slice, scheme, phase, batch))
        })
        .collect()
}

fn thread_rows(
    store: &Store,
    base: &TimeBase,
    thread: &HostThread,
    found: &[(usize, Scheme, Phase, Batch)],
    launched: &[Launched],
) -> Vec<Iteration> {
    let waiting = thread.timeline.set_of(|class| class == Class::IpcWait).index();
    let shows_waits = thread.has_frames || waiting.total_ns() > 0;
    let mut previous_end: BTreeMap<Scheme, i64> = BTreeMap::new();
    let mut last_row: BTreeMap<Scheme, usize> = BTreeMap::new();
    let mut rows: Vec<Iteration> = Vec::with_capacity(found.len());
    for &(slice, scheme, phase, batch) in found {
        let span = slice_span(store, slice).clip(base.windows.file);
        let from = previous_end.get(&scheme).copied().unwrap_or(base.windows.file.start_ns);
        let wait = |start, end| shows_waits.then(|| covered(&waiting, start, end));
        let device = device_side(span, launched);
        let has_device = !base.devices.is_empty();
        if let Some(last) = last_row.insert(scheme, rows.len()) {
            rows[last].gap_to_next_ns =
                Some(span.start_ns - (rows[last].start_ns + rows[last].cpu_ns));
        }
        previous_end.insert(scheme, from.max(span.end_ns));
        rows.push(Iteration {
            slice: slice as u32,
            track: thread.track,
            name: store.name(slice).to_owned(),
            scheme,
            phase,
            batch,
            start_ns: span.start_ns,
            cpu_ns: span.len_ns(),
            excluded_ns: 0,
            n_kernels: device.n_kernels,
            kernel_sum_ns: has_device.then_some(device.kernel_sum_ns),
            kernel_busy_ns: has_device.then_some(device.kernel_busy_ns),
            device_span_ns: has_device.then_some(device.span_ns),
            ipc_wait_before_ns: wait(from, span.start_ns),
            ipc_wait_inside_ns: wait(span.start_ns, span.end_ns),
            gap_to_next_ns: None,
        });
    }
    rows
}

fn covered(index: &CoverIndex, start_ns: i64, end_ns: i64) -> i64 {
    index.covered_ns(start_ns, end_ns)
}

struct DeviceSide {
    n_kernels: u64,
    kernel_sum_ns: i64,
    kernel_busy_ns: i64,
    span_ns: i64,
}

/// What the launches inside a span did on the devices.
fn device_side(span: Span, launched: &[Launched]) -> DeviceSide {
    let first = launched.partition_point(|row| row.0 < span.start_ns);
    let n = launched[first..].partition_point(|row| row.0 < span.end_ns);
    let inside = &launched[first..first + n];
    let kernels: Vec<Span> = inside.iter().filter(|row| row.2).map(|row| row.1).collect();
    let start = inside.iter().map(|row| row.1.start_ns).min();
    let end = inside.iter().map(|row| row.1.end_ns).max();
    DeviceSide {
        n_kernels: kernels.len() as u64,
        kernel_sum_ns: kernels.iter().map(|span| span.len_ns()).sum(),
        kernel_busy_ns: Intervals::union_of(kernels).total_ns(),
        span_ns: start.zip(end).map_or(0, |(start, end)| end - start),
    }
}

fn summaries(rows: &[Iteration]) -> Vec<PhaseSummary> {
    let mut groups: BTreeMap<(Scheme, Phase), Vec<&Iteration>> = BTreeMap::new();
    for row in rows {
        groups.entry((row.scheme, row.phase)).or_default().push(row);
    }
    let summary = |((scheme, phase), rows): ((Scheme, Phase), Vec<&Iteration>)| {
        let of = |value: &dyn Fn(&Iteration) -> Option<i64>| {
            Quantiles::of(rows.iter().filter_map(|row| value(row)))
        };
        PhaseSummary {
            scheme,
            phase,
            count: rows.len() as u64,
            cpu: of(&|row| Some(row.cpu_ns)),
            kernel_busy: of(&|row| row.kernel_busy_ns),
            kernel_sum: of(&|row| row.kernel_sum_ns),
            ipc_wait_before: of(&|row| row.ipc_wait_before_ns),
            gap_to_next: of(&|row| row.gap_to_next_ns),
        }
    };
    groups.into_iter().map(summary).collect()
}
