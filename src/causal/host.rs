//! Host threads as nodes: leaf time, cut where the class of time, the innermost call, operator or wait changes.

use super::graph::{Graph, Lane, LaneOf, NONE, Node, What};
use super::input::CausalInput;
use crate::analyze::host::{HostThread, ThreadKind, WaitFrame};
use crate::analyze::intervals::Span;
use crate::analyze::timeline::Class;
use crate::analyze::window::is_unplaced;
use crate::model::EventKind;
use crate::store::Store;

/// Stretches that nothing explains of less than this belong to what is around them when threads hand over to each other.
pub(super) const PAUSE_NS: i64 = 50_000;

/// One stretch of a host thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stretch {
    /// When, in the time of the trace.
    pub(super) span: Span,
    /// The innermost call, operator, annotation, wait or hand-off.
    pub(super) slice: u32,
    /// The innermost operator.
    pub(super) op: u32,
    pub(super) what: What,
    /// Whether it ends when something else does.
    pub(super) is_wait: bool,
}

/// A host thread with its stretches.
#[derive(Debug)]
pub(super) struct ThreadStretches {
    pub(super) track: usize,
    pub(super) stretches: Vec<Stretch>,
}

/// The threads of an input that take part: those that work.
pub(super) fn threads(input: &CausalInput<'_>) -> Vec<ThreadStretches> {
    let marks = Marks::of(input.store);
    let work = input.base.threads.iter().filter(|thread| thread.kind == ThreadKind::Work);
    let of = |thread: &HostThread| ThreadStretches {
        track: thread.track,
        stretches: stretches(input, thread, &marks),
    };
    work.map(of).filter(|thread| !thread.stretches.is_empty()).collect()
}

/// Which names are sends to other processes.
struct Marks {
    is_send: Vec<bool>,
}

impl Marks {
    fn of(store: &Store) -> Self {
        Self { is_send: store.strings.iter().map(|(_, name)| is_send(name)).collect() }
    }
}

/// Whether a name is that of a send of the shared-memory queue.
pub(super) fn is_send(name: &str) -> bool {
    let is_queue = name.starts_with("shm_broadcast: ") || name.contains("shm_broadcast.py(");
    is_queue && name.ends_with(": enqueue")
}

/// The stretches of a thread from its first to its last event.
fn stretches(input: &CausalInput<'_>, thread: &HostThread, marks: &Marks) -> Vec<Stretch> {
    let store = input.store;
    let window = thread.timeline.window();
    let waits: Vec<u32> = thread.waits.iter().map(|wait| wait.slice).collect();
    let mut leaves = Leaves::new(window);
    let mut wait = waits.iter().copied().peekable();
    for slice in store.tracks[thread.track].slices.clone() {
        let is_wait = wait.next_if_eq(&(slice as u32)).is_some();
        let kind = store.kind(slice);
        let is_op = kind == EventKind::CpuOp;
        let is_send =
            kind == EventKind::PythonFunction && marks.is_send[store.slices.name[slice].0 as usize];
        let is_named = is_op || kind == EventKind::UserAnnotation || kind.is_api_call();
        if (is_named || is_wait || is_send) && !is_unplaced(store, slice) {
            leaves.open(store, slice, is_op);
        }
    }
    let mut found = joined(input, thread, &leaves.finish());
    found.retain(|one| !one.span.is_empty());
    trim(&mut found);
    mark_waits(store, &mut found);
    found
}

/// Takes what nothing explains from both ends.
fn trim(found: &mut Vec<Stretch>) {
    let is_known = |one: &Stretch| one.what != What::Unattributed || one.slice != NONE;
    let first = found.iter().position(is_known).unwrap_or(found.len());
    let last = found.iter().rposition(is_known).map_or(0, |at| at + 1);
    found.truncate(last);
    found.drain(..first.min(last));
}

/// Marks stretches that end when something else does: calls that synchronize, and the longest part of each IPC wait.
fn mark_waits(store: &Store, found: &mut [Stretch]) {
    let mut at = 0;
    while at < found.len() {
        let one = found[at];
        match one.what {
            What::GpuSync if one.slice != NONE && store.kind(one.slice as usize).is_api_call() => {
                found[at].is_wait = true;
            }
            What::IpcWait => {
                let end = if one.slice == NONE {
                    one.span.end_ns
                } else {
                    store.slices.end_ns(one.slice as usize)
                };
                let inside = found[at..].iter().take_while(|s| s.span.start_ns < end).count();
                let parts = at..at + inside.max(1);
                let is_part = |i: &usize| found[*i].what == What::IpcWait;
                let longest = parts.clone().filter(is_part).max_by_key(|&i| found[i].span.len_ns());
                if let Some(longest) = longest {
                    found[longest].is_wait = true;
                }
                at = parts.end;
                continue;
            }
            _ => {}
        }
        at += 1;
    }
}

/// The innermost event at every instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Leaf {
    start_ns: i64,
    slice: u32,
    op: u32,
}

/// A sweep over events in the order of the store.
struct Leaves {
    window: Span,
    now_ns: i64,
    /// End, slice, innermost operator. Only the last one that is open decides.
    open: Vec<(i64, u32, u32)>,
    found: Vec<Leaf>,
}

impl Leaves {
    fn new(window: Span) -> Self {
        Self { window, now_ns: window.start_ns, open: Vec::new(), found: Vec::new() }
    }

    fn open(&mut self, store: &Store, slice: usize, is_op: bool) {
        let span = Span::new(store.slices.ts_ns[slice], store.slices.end_ns(slice));
        let span = span.clip(self.window);
        if span.is_empty() {
            return;
        }
        self.advance(span.start_ns);
        let around = self.open.last().map_or(NONE, |&(_, _, op)| op);
        let op = if is_op { slice as u32 } else { around };
        self.open.push((span.end_ns, slice as u32, op));
    }

    fn advance(&mut self, to_ns: i64) {
        loop {
            let now = self.now_ns;
            while self.open.last().is_some_and(|&(end, ..)| end <= now) {
                self.open.pop();
            }
            if now >= to_ns {
                return;
            }
            let (end, slice, op) = self.open.last().copied().unwrap_or((to_ns, NONE, NONE));
            let leaf = Leaf { start_ns: now, slice, op };
            if self.found.last().is_none_or(|last| (last.slice, last.op) != (slice, op)) {
                self.found.push(leaf);
            }
            self.now_ns = end.min(to_ns);
        }
    }

    fn finish(mut self) -> Vec<Leaf> {
        self.advance(self.window.end_ns);
        self.found
    }
}

/// The classes of a thread cut at its leaves. Inside an IPC wait nothing else counts.
fn joined(input: &CausalInput<'_>, thread: &HostThread, leaves: &[Leaf]) -> Vec<Stretch> {
    let mut found = Vec::with_capacity(leaves.len() + thread.timeline.segments().len());
    let is_ipc = |wait: &&WaitFrame| wait.class == Class::IpcWait;
    let ipc: Vec<u32> = thread.waits.iter().filter(is_ipc).map(|wait| wait.slice).collect();
    let mut at = 0;
    for (span, class) in thread.timeline.spans() {
        let mut start = span.start_ns;
        while start < span.end_ns {
            while leaves.get(at + 1).is_some_and(|next| next.start_ns <= start) {
                at += 1;
            }
            let Some(leaf) = leaves.get(at) else { break };
            let next = leaves.get(at + 1).map_or(span.end_ns, |next| next.start_ns);
            let is_ipc = class == Class::IpcWait;
            let end = if is_ipc { span.end_ns } else { next.min(span.end_ns) };
            found.push(Stretch {
                span: Span::new(start, end),
                slice: if is_ipc { covering(input.store, &ipc, start) } else { leaf.slice },
                op: leaf.op,
                what: what(input, class, leaf.slice),
                is_wait: false,
            });
            start = end;
        }
    }
    found
}

/// The wait that covers an instant, of waits that are not inside each other.
fn covering(store: &Store, waits: &[u32], t_ns: i64) -> u32 {
    let after = waits.partition_point(|&wait| store.slices.ts_ns[wait as usize] <= t_ns);
    let last = after.checked_sub(1).map(|at| waits[at]);
    last.filter(|&wait| store.slices.end_ns(wait as usize) > t_ns).unwrap_or(NONE)
}

fn what(input: &CausalInput<'_>, class: Class, slice: u32) -> What {
    match class {
        Class::IpcWait => What::IpcWait,
        Class::GpuSync => What::GpuSync,
        Class::Runtime => {
            let launches = &input.base.launches;
            let is_launch = slice != NONE
                && launches.activities_of(input.store, slice as usize).next().is_some();
            if is_launch { What::Launch } else { What::Runtime }
        }
        Class::ModuleLoading => What::ModuleLoading,
        Class::CpuOp => What::CpuOp,
        Class::Python => What::Python,
        Class::OtherWait => What::OtherWait,
        Class::Profiler => What::Profiler,
        Class::Unattributed => What::Unattributed,
    }
}

/// Adds the nodes of a thread: one a stretch, and where it waits an instant behind it.
pub(super) fn add_lane(graph: &mut Graph, number: usize, offset_ns: i64, thread: &ThreadStretches) {
    let first = graph.nodes.count() as u32;
    let at = |ns: i64| ns.saturating_add(offset_ns);
    for (i, one) in thread.stretches.iter().enumerate() {
        let node = Node {
            start: at(one.span.start_ns),
            end: at(one.span.end_ns),
            slice: one.slice,
            op: one.op,
            what: one.what,
            follows: i > 0,
        };
        graph.nodes.push(node);
        if one.is_wait {
            graph.nodes.push(Node { start: node.end, follows: true, ..node });
        }
    }
    let nodes = first..graph.nodes.count() as u32;
    graph.lanes.push(Lane { input: number, of: LaneOf::Thread(thread.track), nodes });
}
