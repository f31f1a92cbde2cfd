//! Whose backward an operator is: the module around the forward operator of its autograd node.
//!
//! Torch gives both the same `Sequence number` and draws an arrow of category `fwdbwd` from the one to the other. The
//! arrow counts first: threads number their nodes apart, and a number alone tells only where one thread runs forward. Of
//! several forward operators of one number the last is the one that made the node.

use std::collections::BTreeMap;

use crate::store::{FlowPhase, Store};

/// Category of the arrows.
const ARROWS: &str = "fwdbwd";

/// A forward operator of a node, as the walk over its thread meets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Forward {
    pub track: u32,
    pub ts_ns: i64,
    pub sequence: u64,
    /// Number of the innermost module around it.
    pub module: Option<u32>,
}

/// What a backward operator is of: number of the forward thread as torch counts, and of the node.
type Node = (u32, u64);

/// The node of a backward operator; `None` of other operators.
pub(super) fn node(store: &Store, slice: u32) -> Option<Node> {
    let thread = store.op_row(slice as usize)?.forward_thread.filter(|&thread| thread > 0)?;
    Some((thread, store.sequence_number(slice as usize)?))
}

/// Whether any operator is of a node's backward.
pub(super) fn has_backward(store: &Store) -> bool {
    store.ops.iter().any(|row| row.forward_thread.is_some_and(|thread| thread > 0))
}

/// The modules of nodes.
#[derive(Clone, Debug, Default)]
pub(super) struct Nodes {
    by_arrow: BTreeMap<Node, Option<u32>>,
    /// Empty where several threads run forward.
    by_number: BTreeMap<u64, Option<u32>>,
}

impl Nodes {
    /// Of the forward operators of an input, in any order.
    pub(super) fn of(store: &Store, mut forward: Vec<Forward>) -> Self {
        forward.sort_by_key(|one| (one.track, one.ts_ns));
        let by_arrow = by_arrow(store, &forward);
        let is_one_thread = forward.windows(2).all(|pair| pair[0].track == pair[1].track);
        let numbers = forward.iter().map(|one| (one.sequence, one.module));
        let by_number = if is_one_thread { numbers.collect() } else { BTreeMap::new() };
        Self { by_arrow, by_number }
    }

    /// The module of a backward operator.
    pub(super) fn module_of(&self, store: &Store, slice: u32) -> Option<u32> {
        let node = node(store, slice)?;
        match self.by_arrow.get(&node) {
            Some(module) => *module,
            None => self.by_number.get(&node.1).copied().flatten(),
        }
    }
}

/// The modules of the nodes that have an arrow. `forward` goes by track and time.
fn by_arrow(store: &Store, forward: &[Forward]) -> BTreeMap<Node, Option<u32>> {
    let mut found = BTreeMap::new();
    let Some(arrows) = store.strings.find(ARROWS) else { return found };
    let each = store.flows.chunk_by(|a, b| (a.category, a.id) == (b.category, b.id));
    for arrow in each.filter(|arrow| arrow[0].category == arrows) {
        let Some(start) = arrow.iter().find(|flow| flow.phase == FlowPhase::Start) else {
            continue;
        };
        // Of operators that begin together the innermost stands last.
        let before =
            forward.partition_point(|one| (one.track, one.ts_ns) <= (start.track, start.ts_ns));
        let Some(maker) = before
            .checked_sub(1)
            .map(|at| forward[at])
            .filter(|one| (one.track, one.ts_ns) == (start.track, start.ts_ns))
        else {
            continue;
        };
        for end in arrow.iter().filter(|flow| flow.phase != FlowPhase::Start) {
            let nodes =
                starting(store, end.track, end.ts_ns).filter_map(|slice| node(store, slice));
            found.extend(nodes.map(|node| (node, maker.module)));
        }
    }
    found
}

/// The slices of a track that begin at a time.
fn starting(store: &Store, track: u32, ts_ns: i64) -> impl Iterator<Item = u32> + '_ {
    let range = store.tracks[track as usize].slices.clone();
    let ts = &store.slices.ts_ns;
    let first = range.start + ts[range.clone()].partition_point(|&at_ns| at_ns < ts_ns);
    (first..range.end).take_while(move |&slice| ts[slice] == ts_ns).map(|slice| slice as u32)
}
