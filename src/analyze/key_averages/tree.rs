//! One thread's events into rows: nesting, folding, self times, in one pass and without an allocation per event.
//!
//! A node is booked when it closes, but for one that may be folded into its parent: a first child with its parent's name is kept
//! until the parent gets a second child or closes. Folding bottom-up gives what torch's loop
//! (`_remove_dup_nodes`, top-down and repeated) gives: either way a chain of same-named only children becomes one node,
//! with the device time that the last of the chain launched itself and its children.

use super::ExcludedNs;
use super::extra::{Extra, MemoryAndExcluded};
use super::links::Links;
use super::memory::MemoryIndex;
use super::rows::{Class, First, Groups, Names, Sums};
use super::threads::{Thread, Threads, moves};
use crate::analyze::nesting::NestStack;
use crate::model::EventKind;
use crate::store::{Store, StrId};

/// All that a walk over a thread needs.
pub(super) struct Walk<'a> {
    pub(super) store: &'a Store,
    pub(super) names: &'a Names,
    pub(super) groups: &'a Groups,
    pub(super) memory: &'a MemoryIndex,
    pub(super) threads: &'a Threads<'a>,
    pub(super) links: &'a Links<'a>,
    pub(super) python_rows: bool,
    pub(super) excluded: Option<&'a ExcludedNs<'a>>,
}

/// What became of the children of a node so far. Of the size of a number, so that what holds one is copied word by word.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Children {
    /// There are none.
    None,
    /// There is one, which is kept.
    Kept,
    /// All are booked.
    Booked,
}

/// A host event of the tree, with `X` for what only some traces and questions have.
#[derive(Clone, Copy, Debug)]
struct Node<X> {
    name: StrId,
    /// Number of its row.
    row: u32,
    slice: u32,
    children: Children,
    start_ns: i64,
    cpu_ns: i64,
    own_device_ns: i64,
    /// Totals of its direct children.
    children_cpu_ns: i64,
    children_device_ns: i64,
    extra: X,
}

/// Adds to a sum, which stays at the largest number instead of beginning anew: damaged durations can be that long.
fn add(sum: &mut i64, value: i64) {
    *sum = sum.saturating_add(value);
}

impl<X: Extra> Node<X> {
    fn device_total_ns(&self) -> i64 {
        self.own_device_ns.saturating_add(self.children_device_ns)
    }

    /// Takes the place of its only child, as torch does: the child's children and the child's own kernels, not both.
    fn absorb(&mut self, child: &Self) {
        self.children_cpu_ns = child.children_cpu_ns;
        self.children_device_ns = child.children_device_ns;
        self.own_device_ns = child.own_device_ns;
        self.extra.absorb(&child.extra);
    }

    fn adopt(&mut self, child: &Self) {
        add(&mut self.children_cpu_ns, child.cpu_ns);
        add(&mut self.children_device_ns, child.device_total_ns());
        self.extra.adopt(&child.extra);
    }

    #[inline]
    fn book(&self, walk: &Walk<'_>, sums: &mut Sums) {
        add(&mut sums.excluded_self_ns, self.extra.excluded_self_ns());
        let place = || First::of(walk.store, walk.threads.origins, self.slice as usize);
        let row = sums.counted(self.row, self.start_ns, place);
        add(&mut row.cpu_total_ns, self.cpu_ns);
        add(&mut row.self_cpu_ns, self.cpu_ns.saturating_sub(self.children_cpu_ns));
        add(&mut row.self_device_ns, self.own_device_ns);
        add(&mut row.device_total_ns, self.device_total_ns());
        self.extra.book(row);
    }
}

/// The open nodes of a thread.
struct Tree<X> {
    open: Vec<Node<X>>,
    /// First children with their parents' names, as long as they are the only ones; innermost last.
    kept: Vec<Node<X>>,
}

impl<X: Extra> Tree<X> {
    /// Closes the innermost node and hands it to its parent.
    fn close(&mut self, walk: &Walk<'_>, sums: &mut Sums) {
        let Some((closed, above)) = self.open.split_last_mut() else { return };
        if closed.children == Children::Kept
            && let Some(child) = self.kept.pop()
        {
            closed.absorb(&child);
        }
        match above.last_mut() {
            None => closed.book(walk, sums),
            Some(parent) => hand_on(closed, parent, &mut self.kept, walk, sums),
        }
        self.open.truncate(self.open.len() - 1);
    }

    /// Opens a node and closes it at once, as nothing lies in it.
    #[inline]
    fn leaf(&mut self, node: &Node<X>, walk: &Walk<'_>, sums: &mut Sums) {
        match self.open.last_mut() {
            None => node.book(walk, sums),
            Some(parent) => hand_on(node, parent, &mut self.kept, walk, sums),
        }
    }
}

/// Adds a closed child to its parent: kept where it may be folded into it, booked otherwise.
#[inline]
fn hand_on<X: Extra>(
    child: &Node<X>,
    parent: &mut Node<X>,
    kept: &mut Vec<Node<X>>,
    walk: &Walk<'_>,
    sums: &mut Sums,
) {
    parent.adopt(child);
    if parent.children == Children::None && child.name == parent.name {
        parent.children = Children::Kept;
        kept.push(*child);
        return;
    }
    if parent.children == Children::Kept
        && let Some(first) = kept.pop()
    {
        first.book(walk, sums);
    }
    parent.children = Children::Booked;
    child.book(walk, sums);
}

impl Walk<'_> {
    /// Adds the events of a thread to the sums.
    pub(super) fn thread(&self, thread: &Thread, sums: Sums) -> Sums {
        match self.excluded.is_some() || self.memory.len() > 0 {
            true => self.walk::<MemoryAndExcluded>(thread, sums),
            false => self.walk::<()>(thread, sums),
        }
    }

    fn walk<X: Extra>(&self, thread: &Thread, mut sums: Sums) -> Sums {
        if thread.moved.is_empty() {
            let (home, ts_ns) = (&thread.home, &self.store.slices.ts_ns[..thread.home.end]);
            let is_here = |&slice: &usize| {
                !moves(self.store.kind(slice))
                    || self.threads.place(self.store, slice, thread.track) == thread.track
            };
            let next_ns = |slice: usize| ts_ns.get(slice + 1).copied().unwrap_or(i64::MAX);
            self.slices::<X>(home.clone().filter(is_here), next_ns, &mut sums);
        } else {
            let slices = self.threads.slices_of(self.store, thread);
            self.slices::<X>(slices, |_| i64::MIN, &mut sums);
        }
        sums
    }

    /// Adds slices to the sums, in the order of nesting; nothing after one begins before `next_ns` of it.
    fn slices<X: Extra>(
        &self,
        slices: impl Iterator<Item = usize>,
        next_ns: impl Fn(usize) -> i64,
        sums: &mut Sums,
    ) {
        let mut stack = NestStack::default();
        let mut tree = Tree { open: Vec::new(), kept: Vec::new() };
        for slice in slices {
            let kind = self.store.kind(slice);
            let Some(class) = Class::of(kind) else { continue };
            if kind == EventKind::PythonFunction && !self.python_rows {
                continue;
            }
            if matches!(class, Class::Device | Class::DeviceAnnotation) {
                self.book_device(slice, class, sums);
                continue;
            }
            let (name, group) = (self.store.slices.name[slice], self.groups.of(self.store, slice));
            let Some(row) = sums.row_of(self.names, name, class, group) else { continue };
            if kind == EventKind::UserAnnotation && is_async_name(self.store.strings.get(name)) {
                self.book_async(slice, row, sums);
                continue;
            }
            let end_ns = self.store.slices.end_ns(slice);
            let node = self.node::<X>(slice, kind, row, sums);
            stack.leave(node.start_ns, end_ns, |_| tree.close(self, sums));
            if next_ns(slice) >= end_ns {
                tree.leaf(&node, self, sums);
            } else {
                stack.open_in(node.slice, end_ns);
                tree.open.push(node);
            }
        }
        stack.finish(|_| tree.close(self, sums));
    }

    /// Host and device bytes in an event.
    fn memory(&self, slice: usize, sums: &mut Sums) -> [i64; 2] {
        let (start_ns, end_ns) = (self.store.slices.ts_ns[slice], self.store.slices.end_ns(slice));
        self.memory.inside(start_ns, end_ns, &mut sums.memory_seen)
    }

    // Handed over in registers: in memory, wide loads would wait for the narrow stores before them.
    #[inline(always)]
    fn node<X: Extra>(&self, slice: usize, kind: EventKind, row: u32, sums: &mut Sums) -> Node<X> {
        let slices = &self.store.slices;
        let excluded_ns = self.excluded.map_or(0, |excluded| excluded(slice));
        let own_device_ns = match kind {
            EventKind::PythonFunction => 0,
            _ => self.links.own_device_ns(self.store, slice),
        };
        Node {
            name: self.names.of(slices.name[slice]),
            row,
            slice: slice as u32,
            children: Children::None,
            start_ns: slices.ts_ns[slice],
            cpu_ns: slices.dur_ns(slice) - excluded_ns,
            own_device_ns,
            children_cpu_ns: 0,
            children_device_ns: 0,
            extra: X::of(excluded_ns, || self.memory(slice, sums)),
        }
    }

    fn book_device(&self, slice: usize, class: Class, sums: &mut Sums) {
        let name = self.store.slices.name[slice];
        let Some(row) = sums.row_of(self.names, name, class, 0) else { return };
        let (start_ns, end_ns) = self.threads.origins.interval(self.store, slice);
        let place = || First::of(self.store, self.threads.origins, slice);
        let row = sums.counted(row, start_ns, place);
        add(&mut row.self_device_ns, end_ns - start_ns);
        add(&mut row.device_total_ns, end_ns - start_ns);
    }

    /// An event that may end on another thread has a total and nothing else: no self time, no children, no kernels. What happens
    /// meanwhile on the thread is not inside it, so that nothing leaves it.
    fn book_async(&self, slice: usize, row: u32, sums: &mut Sums) {
        let slices = &self.store.slices;
        let memory = self.memory(slice, sums);
        let place = || First::of(self.store, self.threads.origins, slice);
        let row = sums.counted(row, slices.ts_ns[slice], place);
        row.is_async = true;
        add(&mut row.cpu_total_ns, slices.dur_ns(slice));
        row.memory.iter_mut().zip(memory).for_each(|(sum, memory)| *sum += memory);
    }
}

/// Whether an annotation is that of a collective's work object, which ends when the collective does (`Work` of torch's
/// `ProcessGroup`): `nccl:all_reduce`, `gloo:broadcast`. The trace does not write that an event is asynchronous.
pub(super) fn is_async_name(name: &str) -> bool {
    const BACKENDS: [&str; 8] = ["nccl", "gloo", "mpi", "ucc", "xccl", "hccl", "rccl", "cncl"];
    name.split_once(':')
        .is_some_and(|(backend, rest)| BACKENDS.contains(&backend) && !rest.starts_with(':'))
}
