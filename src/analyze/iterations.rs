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
use super::steady::{SteadyRule, steady_rows};
use super::timeline::Class;
use super::window::{is_unplaced, slice_span};
use crate::model::EventKind;
use crate::schema::{IdCell, tables, words};
use crate::store::{Store, TrackId};

words! {
    /// A figure of iterations.
    IterationFigure {
        /// Length on the CPU.
        Cpu "cpu",
        /// Union of the kernels.
        KernelBusy "kernel_busy",
        /// Sum of the kernels.
        KernelSum "kernel_sum",
        /// IPC wait since the previous one.
        IpcWaitBefore "ipc_wait_before",
        /// From the end to the next start.
        GapToNext "gap_to_next",
    }
}

tables! {
    /// One iteration of one input, as the machine output gives it.
    IterationRow: "iterations", "Iterations", "What did each iteration take?", groups 0, on Iterations 2, shown Request, carried whole {
        input: usize, Count, All / First, "#", "number of the input";
        pid: IdCell, Text, Machines, "pid", "process";
        tid: IdCell, Text, Room / First, "tid", "thread";
        name: String, Text, All / Subject, "name", "name of the annotation";
        scheme: Scheme, Text, Machines, "scheme", "which annotations: execute, step, forward, executor, diffusion, denoise_step, train_step, 1f1b or profiler_step";
        phase: Phase, Text, All, "phase", "prefill, decode, mixed, empty or unknown";
        context_requests: Option<u64>, Count, All, "ctx", "requests in context";
        context_tokens: Option<u64>, Count, All, "tokens", "their tokens";
        generation_requests: Option<u64>, Count, All, "gen", "requests in generation";
        generation_tokens: Option<u64>, Count, All, "tokens", "their tokens";
        start_ns: i64, Ns, Machines, "start", "start, in the time of the trace";
        offset_ns: i64, Ns, All / Lead, "at", "start, after the start of the window";
        cpu_ns: i64, Ns, All, "CPU", "length on the CPU";
        excluded_ns: i64, Ns, All, "excluded", "what was left out of the length";
        n_kernels: u64, Count, All, "kernels", "kernels launched inside";
        kernel_busy_ns: Option<i64>, Ns, All, "kernel busy", "union of these kernels";
        kernel_sum_ns: Option<i64>, Ns, Room, "kernel sum", "sum of these kernels";
        device_span_ns: Option<i64>, Ns, Machines, "device span", "first start to last end of what was launched inside";
        ipc_wait_before_ns: Option<i64>, Ns, All, "IPC before", "IPC wait since the previous one";
        ipc_wait_inside_ns: Option<i64>, Ns, Machines, "ipc wait inside", "IPC wait inside it";
        gap_to_next_ns: Option<i64>, Ns, Room, "gap to next", "from its end to the next start";
        context_sk: Option<u64>, Count, All, "ctx sk", "keys of the requests in context";
        context_sqsq: Option<u64>, Count, All, "ctx sqsq", "sum of tokens squared, in context";
        context_sqsk: Option<u64>, Count, All, "ctx sqsk", "sum of tokens by keys, in context";
        generation_sk: Option<u64>, Count, All, "gen sk", "keys of the requests in generation";
        generation_sqsq: Option<u64>, Count, All, "gen sqsq", "sum of tokens squared, in generation";
        generation_sqsk: Option<u64>, Count, All, "gen sqsk", "sum of tokens by keys, in generation";
    } + {
        /// The annotation.
        slice: u32,
        /// Index into [`Store::tracks`].
        track: usize,
        /// Requests and tokens.
        batch: Batch,
        /// First start to last end of what was launched inside; `None` where nothing was.
        device_span: Option<Span>,
    }
}

tables! {
    /// Percentiles of one figure over the iterations of one scheme and phase of one input.
    IterationSummaryRow: "iteration_summary", "Iterations by phase", "How do iterations spread, by phase?", groups 3, on Iterations 1, carried whole {
        input: usize, Count, All, "#", "number of the input";
        scheme: Scheme, Text, All, "scheme", "which annotations";
        phase: Phase, Text, All, "phase", "prefill, decode, mixed, empty or unknown";
        figure: IterationFigure, Text, All, "figure", "length on the CPU, kernels, wait before, gap";
        count: u64, Count, All, "count", "iterations that have the figure";
        sum_ns: i64, Ns, Room, "sum", "sum";
        min_ns: i64, Ns, Room, "min", "the smallest";
        p50_ns: i64, Ns, All, "p50", "the median, nearest rank";
        p90_ns: i64, Ns, Room, "p90", "the 90th percentile, nearest rank";
        p99_ns: i64, Ns, Room, "p99", "the 99th percentile, nearest rank";
        max_ns: i64, Ns, All, "max", "the largest";
    }
}

/// The iterations of one input.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Iterations {
    /// By track, then start.
    pub rows: Vec<IterationRow>,
    /// By scheme, phase and figure, those that the trace records.
    pub summary: Vec<IterationSummaryRow>,
}

impl IterationRow {
    /// The tokens that it works on: context tokens, and one for each generating request; `None` where its name does not
    /// say.
    pub fn tokens(&self) -> Option<u64> {
        let Batch { context_tokens, generation_requests, .. } = self.batch;
        let of_context = context_tokens.or(generation_requests.map(|_| 0))?;
        Some(of_context.saturating_add(generation_requests.unwrap_or(0)))
    }

    /// From its begin to its end, with what is left out of its time.
    pub fn span(&self) -> Span {
        Span::new(self.start_ns, self.start_ns + self.cpu_ns + self.excluded_ns)
    }
}

impl Iterations {
    /// Has percentiles over the steady iterations alone; the rows stay.
    pub fn keep_steady(&mut self, rule: SteadyRule, base: &TimeBase) {
        self.summary = summary(&steady_rows(rule, &self.rows, base));
    }

    /// Takes excluded time out of the lengths; device times, waits and gaps stay as recorded.
    pub fn leave_out(&mut self, exclusion: &Exclusion) {
        for row in &mut self.rows {
            let end_ns = row.start_ns + row.cpu_ns;
            row.excluded_ns = exclusion.excluded_ns(row.track, row.start_ns, end_ns);
            row.cpu_ns -= row.excluded_ns;
        }
        self.summary = summary(&self.rows);
    }
}

/// The iterations of a store inside the file window.
pub fn iterations(store: &Store, base: &TimeBase) -> Iterations {
    let mut by_thread: BTreeMap<usize, Vec<Named>> = BTreeMap::new();
    for thread in base.work_threads() {
        let found = annotations(store, thread, base.windows.file);
        if !found.is_empty() {
            by_thread.insert(thread.track, found);
        }
    }
    let mut kernels: BTreeMap<usize, Vec<Launched>> = BTreeMap::new();
    for (owner, kernel) in launched_activities(store, base, by_thread.keys().copied()) {
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
    Iterations { summary: summary(&rows), rows }
}

/// An annotation that stands for a step, and what its name says.
type Named = (usize, Scheme, Phase, Batch);

/// To which thread's iterations launches belong: those of threads without iterations to the one thread of their process
/// that has some.
struct Owners(BTreeMap<TrackId, Vec<usize>>);

impl Owners {
    /// Of the tracks with iterations.
    fn of(store: &Store, tracks: impl IntoIterator<Item = usize>) -> Self {
        let mut by_process: BTreeMap<TrackId, Vec<usize>> = BTreeMap::new();
        for track in tracks {
            by_process.entry(store.tracks[track].pid).or_default().push(track);
        }
        Self(by_process)
    }

    /// The track with the iterations of what a track launches.
    fn of_track(&self, store: &Store, track: usize) -> Option<usize> {
        match self.0.get(&store.tracks[track].pid)?.as_slice() {
            own if own.contains(&track) => Some(track),
            &[only] => Some(only),
            _ => None,
        }
    }
}

/// An activity: when it was launched, its span, whether it is a kernel, its slice.
pub(super) type Launched = (i64, Span, bool, u32);

/// Every activity that a thread with iterations launched, with that thread: by its call, else by its operator. `tracks` are
/// the threads with iterations.
pub(super) fn launched_activities(
    store: &Store,
    base: &TimeBase,
    tracks: impl IntoIterator<Item = usize>,
) -> Vec<(usize, Launched)> {
    let owners = Owners::of(store, tracks);
    let owner = |track: usize| owners.of_track(store, track);
    let mut operators = None;
    let rows = base.devices.iter().flat_map(|device| &device.slices);
    let launched = rows.filter_map(|row| {
        let activity = row.slice as usize;
        let call = base.launches.call_of(store, activity)?;
        let placed = |host: usize, owner: usize| {
            let at_ns = store.slices.ts_ns[host];
            Some((owner, (at_ns, row.span, row.kind.is_kernel(), row.slice)))
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
    let is_operator = |kind| matches!(kind, EventKind::CpuOp | EventKind::UserAnnotation);
    let mut found = HashMap::new();
    for slice in store.all_of(is_operator) {
        if let Some(id) = store.external_id(slice) {
            found.entry(id).or_insert(slice);
        }
    }
    found
}

fn annotations(store: &Store, thread: &HostThread, window: Span) -> Vec<Named> {
    let slices = store.tracks[thread.track].slices.clone();
    store
        .slices_of(slices, |kind| kind == EventKind::UserAnnotation)
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
    found: &[Named],
    launched: &[Launched],
) -> Vec<IterationRow> {
    let waiting = thread.timeline.set_of(|class| class == Class::IpcWait).index();
    let shows_waits = thread.has_frames || waiting.total_ns() > 0;
    let mut previous_end: BTreeMap<Scheme, i64> = BTreeMap::new();
    let mut last_row: BTreeMap<Scheme, usize> = BTreeMap::new();
    let mut rows: Vec<IterationRow> = Vec::with_capacity(found.len());
    for &named in found {
        let (slice, scheme, ..) = named;
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
        rows.push(IterationRow {
            n_kernels: device.n_kernels,
            kernel_sum_ns: has_device.then_some(device.kernel_sum_ns),
            kernel_busy_ns: has_device.then_some(device.kernel_busy_ns),
            device_span_ns: has_device.then_some(device.span.map_or(0, Span::len_ns)),
            device_span: device.span,
            ipc_wait_before_ns: wait(from, span.start_ns),
            ipc_wait_inside_ns: wait(span.start_ns, span.end_ns),
            ..row_of_name(store, base, thread.track, named, span)
        });
    }
    rows
}

/// The row of an annotation by its name and its span: nothing else is known yet.
fn row_of_name(
    store: &Store,
    base: &TimeBase,
    track: usize,
    (slice, scheme, phase, batch): Named,
    span: Span,
) -> IterationRow {
    let id = |id| IdCell::of(&store.track_id_text(id));
    let (context, generation) = (batch.context_sums, batch.generation_sums);
    IterationRow {
        input: base.input,
        pid: id(&store.tracks[track].pid),
        tid: id(&store.tracks[track].tid),
        name: store.name(slice).to_owned(),
        scheme,
        phase,
        context_requests: batch.context_requests,
        context_tokens: batch.context_tokens,
        generation_requests: batch.generation_requests,
        generation_tokens: batch.generation_tokens,
        start_ns: span.start_ns,
        offset_ns: span.start_ns.saturating_sub(base.windows.file.start_ns),
        cpu_ns: span.len_ns(),
        excluded_ns: 0,
        n_kernels: 0,
        kernel_busy_ns: None,
        kernel_sum_ns: None,
        device_span_ns: None,
        device_span: None,
        ipc_wait_before_ns: None,
        ipc_wait_inside_ns: None,
        gap_to_next_ns: None,
        context_sk: context.sk,
        context_sqsq: context.sqsq,
        context_sqsk: context.sqsk,
        generation_sk: generation.sk,
        generation_sqsq: generation.sqsq,
        generation_sqsk: generation.sqsk,
        slice: slice as u32,
        track,
        batch,
    }
}

fn covered(index: &CoverIndex, start_ns: i64, end_ns: i64) -> i64 {
    index.covered_ns(start_ns, end_ns)
}

struct DeviceSide {
    n_kernels: u64,
    kernel_sum_ns: i64,
    kernel_busy_ns: i64,
    span: Option<Span>,
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
        span: start.zip(end).map(|(start, end)| Span::new(start, end)),
    }
}

/// A figure of an iteration; `None` where it was not recorded.
type FigureOf = fn(&IterationRow) -> Option<i64>;

/// Percentiles by scheme and phase: a row for each figure that the trace records.
fn summary(rows: &[IterationRow]) -> Vec<IterationSummaryRow> {
    let mut groups: BTreeMap<(Scheme, Phase), Vec<&IterationRow>> = BTreeMap::new();
    for row in rows {
        groups.entry((row.scheme, row.phase)).or_default().push(row);
    }
    let figures: [(IterationFigure, FigureOf); 5] = [
        (IterationFigure::Cpu, |row| Some(row.cpu_ns)),
        (IterationFigure::KernelBusy, |row| row.kernel_busy_ns),
        (IterationFigure::KernelSum, |row| row.kernel_sum_ns),
        (IterationFigure::IpcWaitBefore, |row| row.ipc_wait_before_ns),
        (IterationFigure::GapToNext, |row| row.gap_to_next_ns),
    ];
    let mut summary = Vec::new();
    for ((scheme, phase), rows) in groups {
        summary.extend(figures.iter().filter_map(|&(figure, value)| {
            let q = Quantiles::of(rows.iter().filter_map(|row| value(row)))?;
            Some(IterationSummaryRow {
                input: rows[0].input,
                scheme,
                phase,
                figure,
                count: q.count,
                sum_ns: q.sum_ns,
                min_ns: q.min_ns,
                p50_ns: q.p50_ns,
                p90_ns: q.p90_ns,
                p99_ns: q.p99_ns,
                max_ns: q.max_ns,
            })
        }));
    }
    summary
}
