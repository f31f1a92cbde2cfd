//! Time by stack: what was on the stack of a host thread while it ran, waited, or launched what a device then did.
//!
//! Three measures of one tree. **Host** time of a frame is what passed while it was the innermost open one: over a thread
//! it sums to the union of the thread's events. **Waiting** is what the waits of `analyze` net, at
//! their frame, on threads that work. **Device**
//! time is the length of each kernel, copy and memset, under the stack that its launching call stood on: it sums to that of
//! all of them; where the call was not recorded, it stands under the device's stream.

use std::hash::BuildHasher as _;

use hashbrown::HashTable;

use super::base::TimeBase;
use super::host::ThreadKind;
use super::nesting::NestStack;
use super::window::is_unplaced;
use crate::model::{EventKind, MODULE_FRAME};
use crate::store::{Store, StrId};

/// What a frame of a stack is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FrameKind {
    /// A thread, or a stream of a device: where a stack begins.
    Thread,
    /// An `nn.Module`.
    Module,
    /// Another Python frame.
    Python,
    /// An operator, a call of a runtime, an annotation.
    Native,
    /// A kernel, copy or memset.
    Device,
}

/// A frame with all that it was called from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StackNode {
    /// The frame that it stands on; `None` where a stack begins.
    pub parent: Option<u32>,
    /// Number of its name.
    pub name: u32,
    /// What it is.
    pub kind: FrameKind,
    /// Time in which it was innermost.
    pub host_ns: i64,
    /// Waiting, on threads that work.
    pub waiting_ns: i64,
    /// Device time, of kernels, copies and memsets alone.
    pub device_ns: i64,
}

/// The stacks of one input.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stacks {
    /// Names of frames, each once.
    pub names: Vec<String>,
    /// Frames, parents first.
    pub nodes: Vec<StackNode>,
}

/// The stacks of an input.
pub fn stacks(store: &Store, base: &TimeBase) -> Stacks {
    let mut builder = Builder::new(store);
    let mut node_of = vec![NONE; store.slices.len()];
    for thread in &base.threads {
        builder.thread(thread.track, &mut node_of);
        let waits = if thread.kind == ThreadKind::Work { thread.waits.as_slice() } else { &[] };
        for wait in waits {
            if let Some(node) = builder.stacks.nodes.get_mut(node_of[wait.slice as usize] as usize)
            {
                node.waiting_ns += wait.net_ns;
            }
        }
    }
    for row in &store.device_rows {
        let slice = row.slice as usize;
        if store.kind(slice).is_device_activity() && !is_unplaced(store, slice) {
            let call = base.launches.call_of(store, slice).map(|call| node_of[call]);
            builder.activity(slice, call.filter(|&node| node != NONE));
        }
    }
    builder.stacks
}

/// No node.
const NONE: u32 = u32::MAX;

/// A tree that grows.
struct Builder<'s> {
    store: &'s Store,
    stacks: Stacks,
    /// Nodes by parent and name.
    known: HashTable<u32>,
    /// The number of a text's name, by text.
    names: Vec<u32>,
    /// Where the stacks of each track begin.
    roots: Vec<u32>,
}

impl<'s> Builder<'s> {
    fn new(store: &'s Store) -> Self {
        let names = vec![NONE; store.strings.len()];
        let roots = vec![NONE; store.tracks.len()];
        Self { store, stacks: Stacks::default(), known: HashTable::new(), names, roots }
    }

    /// The stacks of a host thread.
    fn thread(&mut self, track: usize, node_of: &mut [u32]) {
        let root = self.root(track);
        let slices = &self.store.slices;
        let mut stack = NestStack::default();
        // Up to where time is booked.
        let mut booked_ns = i64::MIN;
        for slice in self.store.tracks[track].slices.clone() {
            if self.store.kind(slice).is_on_device() || is_unplaced(self.store, slice) {
                continue;
            }
            let (start_ns, end_ns) = (slices.ts_ns[slice], slices.end_ns(slice));
            let nodes = &mut self.stacks.nodes;
            let parent = stack.enter(slice as u32, start_ns, end_ns, |left| {
                let until_ns = slices.end_ns(left as usize).min(start_ns);
                book(nodes, node_of[left as usize], &mut booked_ns, until_ns);
            });
            if let Some(parent) = parent {
                book(nodes, node_of[parent as usize], &mut booked_ns, start_ns);
            }
            booked_ns = booked_ns.max(start_ns);
            let parent = parent.map_or(root, |parent| node_of[parent as usize]);
            node_of[slice] = self.child(parent, slice);
        }
        let nodes = &mut self.stacks.nodes;
        stack.finish(|left| {
            book(nodes, node_of[left as usize], &mut booked_ns, slices.end_ns(left as usize));
        });
    }

    /// A kernel, copy or memset, under the stack of its call.
    fn activity(&mut self, slice: usize, call: Option<u32>) {
        let parent = call.unwrap_or_else(|| self.root(self.store.track_of(slice)));
        let node = self.child(parent, slice);
        self.stacks.nodes[node as usize].device_ns += self.store.slices.dur_ns(slice);
    }

    /// Where the stacks of a track begin.
    fn root(&mut self, track: usize) -> u32 {
        if self.roots[track] == NONE {
            let number = self.stacks.names.len() as u32;
            self.stacks.names.push(self.track_name(track));
            self.roots[track] = self.push(None, number, FrameKind::Thread);
        }
        self.roots[track]
    }

    fn track_name(&self, track: usize) -> String {
        let track = &self.store.tracks[track];
        let name = track
            .thread_name
            .map(|name| self.store.strings.get(name))
            .filter(|name| !name.is_empty());
        let (pid, tid) =
            (self.store.track_id_text(&track.pid), self.store.track_id_text(&track.tid));
        match name {
            Some(name) => format!("{name} (pid {pid}, tid {tid})"),
            None => format!("pid {pid}, tid {tid}"),
        }
    }

    /// The node of a slice on top of a node.
    fn child(&mut self, parent: u32, slice: usize) -> u32 {
        let text = self.store.slices.name[slice];
        let name = self.name(text);
        let hash = hash(parent, name);
        let nodes = &self.stacks.nodes;
        let is_it = |&node: &u32| {
            nodes[node as usize].parent == Some(parent) && nodes[node as usize].name == name
        };
        if let Some(&known) = self.known.find(hash, is_it) {
            return known;
        }
        let node = self.push(Some(parent), name, self.kind(slice));
        let nodes = &self.stacks.nodes;
        let again = |&node: &u32| hash_of(&nodes[node as usize]);
        self.known.insert_unique(hash, node, again);
        node
    }

    fn kind(&self, slice: usize) -> FrameKind {
        match self.store.kind(slice) {
            EventKind::PythonFunction if self.store.name(slice).starts_with(MODULE_FRAME) => {
                FrameKind::Module
            }
            EventKind::PythonFunction => FrameKind::Python,
            kind if kind.is_device_activity() => FrameKind::Device,
            _ => FrameKind::Native,
        }
    }

    fn name(&mut self, text: StrId) -> u32 {
        let known = &mut self.names[text.0 as usize];
        if *known == NONE {
            *known = self.stacks.names.len() as u32;
            self.stacks.names.push(self.store.strings.get(text).to_owned());
        }
        *known
    }

    fn push(&mut self, parent: Option<u32>, name: u32, kind: FrameKind) -> u32 {
        let node = StackNode { parent, name, kind, host_ns: 0, waiting_ns: 0, device_ns: 0 };
        self.stacks.nodes.push(node);
        (self.stacks.nodes.len() - 1) as u32
    }
}

/// Books the time since the last booking to a node.
fn book(nodes: &mut [StackNode], node: u32, booked_ns: &mut i64, until_ns: i64) {
    if until_ns > *booked_ns {
        nodes[node as usize].host_ns += until_ns - *booked_ns;
        *booked_ns = until_ns;
    }
}

fn hash(parent: u32, name: u32) -> u64 {
    foldhash::fast::FixedState::default().hash_one((parent, name))
}

fn hash_of(node: &StackNode) -> u64 {
    hash(node.parent.unwrap_or(NONE), node.name)
}
