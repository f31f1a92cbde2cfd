//! One thread's events into rows: nesting, folding, self times, in one pass and without an allocation per event.
//!
//! A node is booked when it is known whether it is folded into its parent, which is when the parent gets a second child
//! or closes. So each open node keeps its first child until then. Folding bottom-up gives what torch's loop
//! (`_remove_dup_nodes`, top-down and repeated) gives: either way a chain of same-named only children becomes one node,
//! with the device time that the last of the chain launched itself and its children.

use super::ExcludedNs;
use super::links::Links;
use super::memory::MemoryIndex;
use super::rows::{At, Class, Groups, Names, Sums};
use super::threads::{Thread, Threads};
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

/// A host event of the tree.
#[derive(Clone, Copy, Debug)]
struct Node {
    name: StrId,
    class: Class,
    group: u32,
    slice: u32,
    cpu_ns: i64,
    excluded_ns: i64,
    own_device_ns: i64,
    memory: [i64; 2],
    children: Children,
}

/// The totals of the direct children of a node.
#[derive(Clone, Copy, Debug, Default)]
struct Children {
    cpu_ns: i64,
    excluded_ns: i64,
    device_ns: i64,
    memory: [i64; 2],
}

/// Adds to a sum, which stays at the largest number instead of beginning anew: damaged durations can be that long.
fn add(sum: &mut i64, value: i64) {
    *sum = sum.saturating_add(value);
}

impl Node {
    fn device_total_ns(&self) -> i64 {
        self.own_device_ns.saturating_add(self.children.device_ns)
    }

    /// Takes the place of its only child, as torch does: the child's children and the child's own kernels, not both.
    fn absorb(&mut self, child: &Self) {
        self.children = child.children;
        self.own_device_ns = child.own_device_ns;
    }

    fn adopt(&mut self, child: &Self) {
        add(&mut self.children.cpu_ns, child.cpu_ns);
        add(&mut self.children.excluded_ns, child.excluded_ns);
        add(&mut self.children.device_ns, child.device_total_ns());
        for kind in 0..2 {
            add(&mut self.children.memory[kind], child.memory[kind]);
        }
    }

    fn book(&self, walk: &Walk<'_>, sums: &mut Sums) {
        add(&mut sums.excluded_self_ns, self.excluded_ns.saturating_sub(self.children.excluded_ns));
        let row = sums.row(self.name, self.class, self.group, walk.first(self.slice));
        row.count += 1;
        add(&mut row.cpu_total_ns, self.cpu_ns);
        add(&mut row.excluded_cpu_ns, self.excluded_ns);
        add(&mut row.self_cpu_ns, self.cpu_ns.saturating_sub(self.children.cpu_ns));
        add(&mut row.self_device_ns, self.own_device_ns);
        add(&mut row.device_total_ns, self.device_total_ns());
        for kind in 0..2 {
            add(&mut row.memory[kind], self.memory[kind]);
            add(&mut row.self_memory[kind], self.memory[kind] - self.children.memory[kind]);
        }
    }
}

/// An open node with the first child that closed in it, as long as that is its only one.
struct Frame {
    node: Node,
    only_child: Option<Node>,
    n_children: u32,
}

/// The open nodes of a thread.
#[derive(Default)]
struct Tree {
    frames: Vec<Frame>,
}

impl Tree {
    fn open(&mut self, node: Node) {
        self.frames.push(Frame { node, only_child: None, n_children: 0 });
    }

    /// Closes the innermost node and hands it to its parent. Works in place: a frame is too large to move about.
    fn close(&mut self, walk: &Walk<'_>, sums: &mut Sums) {
        let Some((closed, above)) = self.frames.split_last_mut() else { return };
        if let Some(child) = &closed.only_child {
            if child.name == closed.node.name {
                closed.node.absorb(child);
            } else {
                child.book(walk, sums);
            }
        }
        match above.last_mut() {
            None => closed.node.book(walk, sums),
            Some(parent) => parent.take_child(&closed.node, walk, sums),
        }
        self.frames.truncate(self.frames.len() - 1);
    }
}

impl Frame {
    /// Adds a closed child: kept while it is the only one, booked otherwise.
    fn take_child(&mut self, child: &Node, walk: &Walk<'_>, sums: &mut Sums) {
        self.node.adopt(child);
        self.n_children += 1;
        if self.n_children == 1 {
            self.only_child = Some(*child);
            return;
        }
        if let Some(first) = self.only_child.take() {
            first.book(walk, sums);
        }
        child.book(walk, sums);
    }
}

impl Walk<'_> {
    /// Adds the events of a thread to the sums.
    pub(super) fn thread(&self, thread: &Thread, mut sums: Sums) -> Sums {
        let mut stack = NestStack::default();
        let mut tree = Tree::default();
        if thread.moved.is_empty() {
            for slice in thread.home.clone() {
                if self.threads.place(self.store, slice, thread.track) == thread.track {
                    self.slice(slice, &mut stack, &mut tree, &mut sums);
                }
            }
        } else {
            for slice in self.threads.slices_of(self.store, thread) {
                self.slice(slice, &mut stack, &mut tree, &mut sums);
            }
        }
        stack.finish(|_| tree.close(self, &mut sums));
        sums
    }

    /// The place of a host slice in torch's order.
    #[inline]
    fn first(&self, slice: u32) -> At<'_> {
        At { store: self.store, origins: self.threads.origins, slice: slice as usize }
    }

    #[inline]
    fn slice(&self, slice: usize, stack: &mut NestStack, tree: &mut Tree, sums: &mut Sums) {
        let kind = self.store.kind(slice);
        let Some(class) = Class::of(kind) else { return };
        if kind == EventKind::PythonFunction && !self.python_rows {
            return;
        }
        let Some(name) = self.names.of(self.store.slices.name[slice]) else { return };
        if matches!(class, Class::Device | Class::DeviceAnnotation) {
            self.book_device(slice, name, class, sums);
            return;
        }
        let is_async =
            kind == EventKind::UserAnnotation && is_async_name(self.store.strings.get(name));
        // What happens meanwhile on the thread is not inside an event that ends elsewhere, so that nothing leaves it.
        let excluded_ns = self.excluded.filter(|_| !is_async).map_or(0, |excluded| excluded(slice));
        let node = self.node(slice, name, class, excluded_ns, sums);
        if is_async {
            self.book_async(&node, sums);
            return;
        }
        let (start_ns, end_ns) = (self.store.slices.ts_ns[slice], self.store.slices.end_ns(slice));
        stack.enter(slice as u32, start_ns, end_ns, |_| tree.close(self, sums));
        tree.open(node);
    }

    fn node(
        &self,
        slice: usize,
        name: StrId,
        class: Class,
        excluded_ns: i64,
        sums: &mut Sums,
    ) -> Node {
        let slices = &self.store.slices;
        let interval = (slices.ts_ns[slice], slices.end_ns(slice));
        Node {
            name,
            class,
            group: self.groups.of(self.store, slice),
            slice: slice as u32,
            cpu_ns: slices.dur_ns(slice) - excluded_ns,
            excluded_ns,
            own_device_ns: self.links.own_device_ns(self.store, slice),
            memory: self.memory.inside(interval.0, interval.1, &mut sums.memory_seen),
            children: Children::default(),
        }
    }

    fn book_device(&self, slice: usize, name: StrId, class: Class, sums: &mut Sums) {
        let interval = self.threads.origins.interval(self.store, slice);
        let row = sums.row(name, class, 0, self.first(slice as u32));
        row.count += 1;
        add(&mut row.self_device_ns, interval.1 - interval.0);
        add(&mut row.device_total_ns, interval.1 - interval.0);
    }

    /// An event that may end on another thread has a total and nothing else: no self time, no children, no kernels.
    fn book_async(&self, node: &Node, sums: &mut Sums) {
        let row = sums.row(node.name, node.class, node.group, self.first(node.slice));
        row.is_async = true;
        row.count += 1;
        add(&mut row.cpu_total_ns, node.cpu_ns);
        for kind in 0..2 {
            row.memory[kind] += node.memory[kind];
        }
    }
}

/// Whether an annotation is that of a collective's work object, which ends when the collective does (`Work` of torch's
/// `ProcessGroup`): `nccl:all_reduce`, `gloo:broadcast`. The trace does not write that an event is asynchronous.
pub(super) fn is_async_name(name: &str) -> bool {
    const BACKENDS: [&str; 8] = ["nccl", "gloo", "mpi", "ucc", "xccl", "hccl", "rccl", "cncl"];
    name.split_once(':')
        .is_some_and(|(backend, rest)| BACKENDS.contains(&backend) && !rest.starts_with(':'))
}
