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
use crate::store::{Store, StrId};

/// The time of one operator name; the parts sum to the total.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Component {
    /// Name of the operator.
    pub name: String,
    /// Outermost operators of this name.
    pub count: u64,
    /// Their time inside the file window.
    pub total_ns: i64,
    /// Of it: in runtime and driver calls that do not wait, launches above all.
    pub launch_ns: i64,
    /// Of it: waiting for the device.
    pub gpu_sync_ns: i64,
    /// Of it: waiting for another process.
    pub ipc_wait_ns: i64,
    /// Of it: loading or compiling device code, a one-time cost.
    pub module_loading_ns: i64,
    /// Of it: in the profiler itself, which a run without it does not spend.
    pub profiler_ns: i64,
    /// Of it: other waits.
    pub other_wait_ns: i64,
    /// Of it: in Python frames.
    pub python_ns: i64,
    /// Of it: computing in operators inside it.
    pub child_ops_ns: i64,
    /// Of it: its own, the rest.
    pub own_ns: i64,
    /// The longest one, as recorded.
    pub max_ns: i64,
    /// What [`Self::leave_out`] took out of the total.
    pub excluded_ns: i64,
}

/// The operators of the work threads, by total descending, then name.
pub fn components(store: &Store, base: &TimeBase) -> Vec<Component> {
    let threads: Vec<&HostThread> = base.work_threads().collect();
    let parts: Vec<Sums> = threads.par_iter().map(|thread| op_times(store, thread)).collect();
    let mut sums: Vec<(StrId, Component)> = parts.into_iter().flat_map(|part| part.rows).collect();
    sums.sort_by_key(|&(name, _)| name);
    let mut rows: Vec<Component> = Vec::new();
    for same in sums.chunk_by(|a, b| a.0 == b.0) {
        let name = store.strings.get(same[0].0).to_owned();
        let mut row = Component { name, ..Component::default() };
        same.iter().for_each(|(_, part)| row.add(part));
        rows.push(row);
    }
    rows.sort_by(|a, b| (b.total_ns, &a.name).cmp(&(a.total_ns, &b.name)));
    rows
}

/// The operators of several inputs as one list, in the same order.
pub fn merge_components(parts: Vec<Vec<Component>>) -> Vec<Component> {
    let mut all: Vec<Component> = parts.into_iter().flatten().collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    let mut rows: Vec<Component> = Vec::new();
    for one in all {
        match rows.last_mut().filter(|last| last.name == one.name) {
            Some(last) => last.add(&one),
            None => rows.push(one),
        }
    }
    rows.sort_by(|a, b| (b.total_ns, &a.name).cmp(&(a.total_ns, &b.name)));
    rows
}

impl Component {
    /// Leaves classes of time out of the parts and the total; the longest stays what was recorded. Time in operators
    /// cannot be left out of operators.
    pub fn leave_out(&mut self, classes: &[Class]) {
        for class in classes {
            let part = match class {
                Class::IpcWait => &mut self.ipc_wait_ns,
                Class::GpuSync => &mut self.gpu_sync_ns,
                Class::Runtime => &mut self.launch_ns,
                Class::ModuleLoading => &mut self.module_loading_ns,
                Class::Profiler => &mut self.profiler_ns,
                Class::Python => &mut self.python_ns,
                Class::OtherWait => &mut self.other_wait_ns,
                Class::CpuOp | Class::Unattributed => continue,
            };
            self.total_ns -= *part;
            self.excluded_ns += *part;
            *part = 0;
        }
    }

    /// Of one operator: its time by class, and of the operator class what lies in operators inside it.
    ///
    /// Operators inside it that cross each other would count their common time twice, so that the sum is capped.
    fn of(inside: &ClassNs, child_ops_ns: i64) -> Self {
        let child_ops_ns = child_ops_ns.min(inside.get(Class::CpuOp));
        let total_ns = inside.total_ns();
        let ns = |class| inside.get(class);
        Self {
            name: String::new(),
            count: 1,
            total_ns,
            launch_ns: ns(Class::Runtime),
            gpu_sync_ns: ns(Class::GpuSync),
            ipc_wait_ns: ns(Class::IpcWait),
            module_loading_ns: ns(Class::ModuleLoading),
            profiler_ns: ns(Class::Profiler),
            other_wait_ns: ns(Class::OtherWait),
            python_ns: ns(Class::Python),
            child_ops_ns,
            own_ns: ns(Class::CpuOp) - child_ops_ns + ns(Class::Unattributed),
            max_ns: total_ns,
            excluded_ns: 0,
        }
    }

    fn add(&mut self, other: &Self) {
        self.count += other.count;
        self.total_ns += other.total_ns;
        self.launch_ns += other.launch_ns;
        self.gpu_sync_ns += other.gpu_sync_ns;
        self.ipc_wait_ns += other.ipc_wait_ns;
        self.module_loading_ns += other.module_loading_ns;
        self.profiler_ns += other.profiler_ns;
        self.other_wait_ns += other.other_wait_ns;
        self.python_ns += other.python_ns;
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
    rows: Vec<(StrId, Component)>,
}

impl Sums {
    fn add(&mut self, name: StrId, one: &Component) {
        let (slot, _) = &mut self.names[name.0 as usize];
        if *slot == 0 {
            self.rows.push((name, Component::default()));
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
    let is_op: Vec<bool> =
        store.categories.iter().map(|&(_, kind)| kind == EventKind::CpuOp).collect();
    for slice in store.tracks[thread.track].slices.clone() {
        if !is_op[store.category_number(slice)] || is_unplaced(store, slice) {
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
                self.sums.add(op.name, &Component::of(&inside, op.child_ops_ns));
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
        assert_eq!((sort.launch_ns, sort.module_loading_ns, sort.gpu_sync_ns), (100, 350, 200));
        assert_eq!(sort.profiler_ns, 50, "the profiler's buffers are not the operator's");
        assert_eq!((sort.child_ops_ns, sort.own_ns), (10, 290));
        assert_eq!(rows[1].name, "aten::empty");
    }
}
