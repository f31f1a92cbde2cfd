//! The critical path: the chain of nodes and gaps that ends last, and how much each other node could wait.

use super::graph::{EdgeKind, Graph, NONE, What};
use super::replay::{BY_LANE, BY_NOTHING, Replay};

/// A stretch of the path. The pieces follow each other without a gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Start on the common time line.
    pub start_ns: i64,
    /// End.
    pub end_ns: i64,
    /// What it is spent on.
    pub what: What,
    /// The node that it is of, or that it leads to; [`NONE`] outside of all.
    pub node: u32,
    /// The edge that it is on; `None` where it is time of the node.
    pub edge: Option<EdgeKind>,
}

impl Piece {
    /// Length in nanoseconds.
    pub fn len_ns(&self) -> i64 {
        self.end_ns - self.start_ns
    }
}

/// The path that ends last, in time order, from the start of the first window to the end of the last: what follows the
/// last node lasts as long as recorded.
pub fn path(graph: &Graph, replay: &Replay) -> Vec<Piece> {
    let recorded_last = graph.nodes.end.iter().copied().max().unwrap_or(graph.end_ns);
    let until_ns = replay.last_ns().unwrap_or(recorded_last) + graph.end_ns - recorded_last;
    let mut pieces = Vec::new();
    let mut push = |start_ns, end_ns, what, node, edge| {
        if end_ns > start_ns {
            pieces.push(Piece { start_ns, end_ns, what, node, edge });
        }
    };
    let last = graph.order.iter().copied().max_by_key(|&node| (replay.end[node as usize], node));
    let Some(mut node) = last else {
        push(graph.start_ns, until_ns, What::Outside, NONE, None);
        return pieces;
    };
    let mut now = replay.end[node as usize];
    push(now, until_ns, What::Outside, NONE, None);
    loop {
        let i = node as usize;
        let start = replay.start[i];
        push(start, now, graph.nodes.what[i], node, None);
        now = start.min(now);
        match replay.binding[i] {
            BY_NOTHING => break,
            BY_LANE => node -= 1,
            edge => {
                let edge = graph.edges.get(edge as usize);
                let times = if edge.from_start { &replay.start } else { &replay.end };
                let time = times[edge.from as usize].min(now);
                push(time, now, edge.kind.gap_is(), node, Some(edge.kind));
                now = time;
                node = edge.from;
            }
        }
    }
    push(graph.start_ns, now, What::Outside, node, Some(EdgeKind::Start));
    pieces.reverse();
    pieces
}

/// How long each node could begin later, as recorded, without anything ending later than the last end. By node.
pub fn slack(graph: &Graph, replay: &Replay) -> Vec<i64> {
    let last = replay.last_ns().unwrap_or(0);
    let mut slack: Vec<i64> = replay.end.iter().map(|&end| last - end).collect();
    let mut next = graph.edges.count();
    for &node in graph.order.iter().rev() {
        let i = node as usize;
        let own = slack[i];
        while next > 0 && graph.edges.to[next - 1] == node {
            next -= 1;
            let edge = graph.edges.get(next);
            let times = if edge.from_start { &replay.start } else { &replay.end };
            let room = replay.start[i] - times[edge.from as usize] - edge.gap;
            let from = &mut slack[edge.from as usize];
            *from = (*from).min(own.saturating_add(room));
        }
        if graph.nodes.follows[i] {
            let room = replay.start[i] - replay.end[i - 1];
            slack[i - 1] = slack[i - 1].min(own.saturating_add(room));
        }
    }
    slack
}
