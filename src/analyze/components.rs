//! What slow operators are made of: for each operator name its time on the work threads, split by what was inside it.
//!
//! A profiler table gives an operator its whole duration, so that a sort that triggers the loading of a kernel, or waits
//! for the device, reads as a slow sort. Here every nanosecond of it is kernel launch, GPU synchronization, IPC wait,
//! module loading, the profiler, another wait, Python, an operator inside it, or its own. Operators with one name inside each other
//! count once, as the outermost.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use rayon::prelude::*;

use super::base::TimeBase;
use super::host::HostThread;
use super::intervals::Span;
use super::timeline::{Class, ClassNs, Timeline};
use super::window::{is_unplaced, slice_span};
use crate::model::EventKind;
use crate::schema::tables;
use crate::store::{Store, StrId};

tables! {
    /// The time of one operator name on the work threads; the parts sum to the total. `None`: nothing would show the part.
    #[derive(Default)]
    ComponentRow: "components", "Operators by what is inside them", "What is inside slow operators?", groups 0, on Profiler 2, shown Folded, carried whole {
        name: String, Text, All / Subject, "name", "name of the operator";
        count: u64, Count, All / End, "count", "outermost operators of this name";
        total_ns: i64, Ns, All, "total", "time of the operators of this name";
        launch_ns: Option<i64>, Ns, All, "launch", "in runtime and driver calls that do not wait";
        gpu_sync_ns: Option<i64>, Ns, All, "GPU sync", "waiting for the device";
        ipc_wait_ns: Option<i64>, Ns, All, "IPC wait", "waiting for another process";
        module_loading_ns: Option<i64>, Ns, All, "loading", "loading device code, once";
        other_wait_ns: Option<i64>, Ns, All, "other wait", "locks, sleep, CPU collectives";
        python_ns: Option<i64>, Ns, All, "Python", "in Python frames";
        child_ops_ns: i64, Ns, All, "child ops", "in operators inside it";
        own_ns: i64, Ns, All, "own", "the rest: its own work on the host";
        max_ns: i64, Ns, All, "max", "the longest one, as recorded";
        excluded_ns: i64, Ns, All, "excluded", "what was left out of the total";
        profiler_ns: Option<i64>, Ns, All, "profiler", "in the profiler itself";
        run: u32, Count, All / First, "run", "number of the run: sums stay within one";
    }
}

/// The operators of the work threads, by total descending, then name.
pub fn components(store: &Store, base: &TimeBase) -> Vec<ComponentRow> {
    let threads: Vec<&HostThread> = base.work_threads().collect();
    let parts: Vec<Sums> = threads.par_iter().map(|thread| op_times(store, thread)).collect();
    let mut sums: Vec<(StrId, ComponentRow)> =
        parts.into_iter().flat_map(|part| part.rows).collect();
    sums.sort_by_key(|&(name, _)| name);
    let mut rows: Vec<ComponentRow> = Vec::new();
    for same in sums.chunk_by(|a, b| a.0 == b.0) {
        let name = store.strings.get(same[0].0).to_owned();
        let mut row = ComponentRow { name, ..ComponentRow::default() };
        same.iter().for_each(|(_, part)| row.add(part));
        rows.push(row);
    }
    rows.sort_by(|a, b| (b.total_ns, &a.name).cmp(&(a.total_ns, &b.name)));
    rows
}

/// The operators of several inputs as one list, in the same order.
pub fn merge_components(parts: Vec<Vec<ComponentRow>>) -> Vec<ComponentRow> {
    let mut all: Vec<ComponentRow> = parts.into_iter().flatten().collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    let mut rows: Vec<ComponentRow> = Vec::new();
    for one in all {
        match rows.last_mut().filter(|last| last.name == one.name) {
            Some(last) => last.add(&one),
            None => rows.push(one),
        }
    }
    rows.sort_by(|a, b| (b.total_ns, &a.name).cmp(&(a.total_ns, &b.name)));
    rows
}

impl ComponentRow {
    /// The part that is a class of time; operators and what no event explains are none.
    fn part(&mut self, class: Class) -> Option<&mut Option<i64>> {
        Some(match class {
            Class::IpcWait => &mut self.ipc_wait_ns,
            Class::GpuSync => &mut self.gpu_sync_ns,
            Class::Runtime => &mut self.launch_ns,
            Class::ModuleLoading => &mut self.module_loading_ns,
            Class::Profiler => &mut self.profiler_ns,
            Class::Python => &mut self.python_ns,
            Class::OtherWait => &mut self.other_wait_ns,
            Class::CpuOp | Class::Unattributed => return None,
        })
    }

    /// Leaves classes of time out of the parts and the total; the longest stays what was recorded. Time in operators
    /// cannot be left out of operators.
    pub fn leave_out(&mut self, classes: &[Class]) {
        for &class in classes {
            let out_ns = self.part(class).and_then(|part| part.replace(0)).unwrap_or(0);
            self.total_ns -= out_ns;
            self.excluded_ns += out_ns;
        }
    }

    /// Parts of a class that nothing records are not zero but unknown.
    pub fn forget(&mut self, is_recorded: impl Fn(Class) -> bool) {
        for class in Class::ALL.into_iter().filter(|&class| !is_recorded(class)) {
            if let Some(part) = self.part(class) {
                *part = part.filter(|&ns| ns != 0);
            }
        }
    }

    /// Of one operator: its time by class, and of the operator class what lies in operators inside it.
    ///
    /// Operators inside it that cross each other would count their common time twice, so that the sum is capped.
    fn of(inside: &ClassNs, child_ops_ns: i64) -> Self {
        let child_ops_ns = child_ops_ns.min(inside.get(Class::CpuOp));
        let total_ns = inside.total_ns();
        let own_ns = inside.get(Class::CpuOp) - child_ops_ns + inside.get(Class::Unattributed);
        let mut row =
            Self { count: 1, total_ns, child_ops_ns, own_ns, max_ns: total_ns, ..Self::default() };
        for class in Class::ALL {
            if let Some(part) = row.part(class) {
                *part = Some(inside.get(class));
            }
        }
        row
    }

    fn add(&mut self, other: &Self) {
        let parts = [
            (&mut self.launch_ns, other.launch_ns),
            (&mut self.gpu_sync_ns, other.gpu_sync_ns),
            (&mut self.ipc_wait_ns, other.ipc_wait_ns),
            (&mut self.module_loading_ns, other.module_loading_ns),
            (&mut self.other_wait_ns, other.other_wait_ns),
            (&mut self.python_ns, other.python_ns),
            (&mut self.profiler_ns, other.profiler_ns),
        ];
        for (sum, ns) in parts {
            *sum = Some(sum.unwrap_or(0) + ns.unwrap_or(0));
        }
        self.count += other.count;
        self.total_ns += other.total_ns;
        self.child_ops_ns += other.child_ops_ns;
        self.own_ns += other.own_ns;
        self.max_ns = self.max_ns.max(other.max_ns);
        self.excluded_ns += other.excluded_ns;
    }
}

/// Sums of one thread by name.
#[derive(Debug, Default)]
struct Sums {
    /// By string: its row plus one, 0 for none, and the last end of an operator of this name so far.
    names: Vec<(u32, i64)>,
    rows: Vec<(StrId, ComponentRow)>,
}

impl Sums {
    fn add(&mut self, name: StrId, one: &ComponentRow) {
        let (slot, _) = &mut self.names[name.0 as usize];
        if *slot == 0 {
            self.rows.push((name, ComponentRow::default()));
            *slot = self.rows.len() as u32;
        }
        self.rows[*slot as usize - 1].1.add(one);
    }
}

/// An operator that has not ended.
#[derive(Clone, Copy, Debug)]
struct OpenOp {
    name: StrId,
    end_ns: i64,
    parent: Option<usize>,
    is_outermost: bool,
    at_start: ClassNs,
    child_ops_ns: i64,
}

/// The outermost operators of a thread. Operators nest where one lies wholly inside the other.
fn op_times(store: &Store, thread: &HostThread) -> Sums {
    let mut clock = Clock::new(&thread.timeline);
    let mut ops = Ops::default();
    ops.sums.names = vec![(0, i64::MIN); store.strings.len()];
    let slices = store.tracks[thread.track].slices.clone();
    for slice in store.slices_of(slices, |kind| kind == EventKind::CpuOp) {
        if is_unplaced(store, slice) {
            continue;
        }
        let span = slice_span(store, slice).clip(thread.timeline.window());
        if span.is_empty() {
            continue;
        }
        ops.close_until(span.start_ns, &mut clock);
        ops.open(store.slices.name[slice], span, clock.at(span.start_ns));
    }
    ops.close_until(i64::MAX, &mut clock);
    ops.sums
}

/// Operators in flight.
#[derive(Debug, Default)]
struct Ops {
    all: Vec<OpenOp>,
    /// Those that may hold an operator that begins now, in the order in which they began, which is that of their ends from
    /// the last one on: one that ends before a later one can hold nothing that this one does not.
    open: Vec<usize>,
    /// The same by end; of equal ends the inner first.
    ends: BinaryHeap<Reverse<(i64, Reverse<usize>)>>,
    sums: Sums,
}

impl Ops {
    fn open(&mut self, name: StrId, span: Span, at_start: ClassNs) {
        while self.open.last().is_some_and(|&op| self.all[op].end_ns < span.end_ns) {
            self.open.pop();
        }
        let (_, last_end_ns) = &mut self.sums.names[name.0 as usize];
        let op = OpenOp {
            name,
            end_ns: span.end_ns,
            parent: self.open.last().copied(),
            is_outermost: *last_end_ns < span.end_ns,
            at_start,
            child_ops_ns: 0,
        };
        *last_end_ns = span.end_ns.max(*last_end_ns);
        self.open.push(self.all.len());
        self.ends.push(Reverse((span.end_ns, Reverse(self.all.len()))));
        self.all.push(op);
    }

    /// Ends the operators that end at or before an instant, in order of their ends.
    fn close_until(&mut self, t_ns: i64, clock: &mut Clock<'_>) {
        while let Some(&Reverse((end, Reverse(number)))) = self.ends.peek() {
            if end > t_ns {
                return;
            }
            self.ends.pop();
            let op = self.all[number];
            let inside = clock.at(end).since(&op.at_start);
            if let Some(parent) = op.parent {
                let parent = &mut self.all[parent];
                let is_same = parent.name == op.name;
                parent.child_ops_ns +=
                    if is_same { op.child_ops_ns } else { inside.get(Class::CpuOp) };
            }
            if op.is_outermost {
                self.sums.add(op.name, &ComponentRow::of(&inside, op.child_ops_ns));
            }
        }
        self.all.clear();
        self.open.clear();
    }
}

/// Time by class from the start of the window to an instant that only moves forward.
struct Clock<'a> {
    timeline: &'a Timeline,
    segment: usize,
    now_ns: i64,
    sums: ClassNs,
}

impl<'a> Clock<'a> {
    fn new(timeline: &'a Timeline) -> Self {
        Self { timeline, segment: 0, now_ns: timeline.window().start_ns, sums: ClassNs::default() }
    }

    fn at(&mut self, t_ns: i64) -> ClassNs {
        let segments = self.timeline.segments();
        while self.now_ns < t_ns && self.segment < segments.len() {
            let end = segments
                .get(self.segment + 1)
                .map_or(self.timeline.window().end_ns, |next| next.start_ns);
            let to = end.min(t_ns);
            self.sums.add(segments[self.segment].class, to - self.now_ns);
            self.now_ns = to;
            if to < end {
                break;
            }
            self.segment += 1;
        }
        self.sums
    }
}

#[cfg(test)]
mod tests {
    use super::components;
    use crate::analyze::base::{TimeBase, TimeConfig};
    use crate::diag::Reporter;
    use crate::store::{ChunkBuilder, SliceRow, Store, TraceMeta, TrackId};

    fn store(events: &[(&str, &str, i64, i64)]) -> Store {
        let mut builder = ChunkBuilder::default();
        for &(category, name, ts_ns, dur_ns) in events {
            let row = SliceRow {
                ts_ns,
                dur_ns,
                name: builder.string(name),
                category: builder.string(category),
                track: builder.track(TrackId::Int(1), TrackId::Int(1)),
                id_a: None,
                id_b: None,
            };
            builder.slice(row);
        }
        Store::build(vec![builder.finish()], TraceMeta::default(), &mut Reporter::default())
    }

    #[test]
    fn a_slow_sort_reads_as_the_loading_and_waiting_inside_it() {
        let store = store(&[
            ("cpu_op", "aten::sort", 0, 1_000),
            ("cpu_op", "aten::sort", 10, 980),
            ("cpu_op", "aten::empty", 20, 10),
            ("cuda_runtime", "cudaLaunchKernel", 100, 500),
            ("overhead", "Runtime Triggered Module Loading", 110, 400),
            ("overhead", "Activity Buffer Request", 120, 50),
            ("cuda_runtime", "cudaStreamSynchronize", 700, 200),
        ]);
        let base = TimeBase::new(&store, &TimeConfig::default());
        let rows = components(&store, &base);
        let sort = &rows[0];
        assert_eq!((sort.name.as_str(), sort.count, sort.total_ns), ("aten::sort", 1, 1_000));
        assert_eq!(
            [sort.launch_ns, sort.module_loading_ns, sort.gpu_sync_ns],
            [Some(100), Some(350), Some(200)]
        );
        assert_eq!(sort.profiler_ns, Some(50), "the profiler's buffers are not the operator's");
        assert_eq!((sort.child_ops_ns, sort.own_ns), (10, 290));
        assert_eq!(rows[1].name, "aten::empty");
    }
}
