//! Hand-offs between processes: which send ended which wait.
//!
//! A queue that somebody waits at is empty: the wait ended with the first send that was not over when it began. Of
//! several processes that may have sent, the one that did so last before the wait ended is taken.

use super::graph::{Edge, EdgeKind, Graph, LaneOf, What};
use super::host::is_send;
use super::input::CausalInput;
use crate::model::EventKind;

/// The sends of one input by begin: begin and end on the common time line, the node with which it begins.
type Sends = Vec<(i64, i64, u32)>;

/// Adds an edge from each send to the wait that it ended.
pub(super) fn add(graph: &mut Graph, edges: &mut Vec<Edge>, inputs: &[CausalInput<'_>]) {
    let sends: Vec<Sends> =
        inputs.iter().enumerate().map(|(at, input)| sends_of(graph, at, input)).collect();
    for lane in 0..graph.lanes.len() {
        let number = graph.lanes[lane].input;
        if !matches!(graph.lanes[lane].of, LaneOf::Thread(_)) || inputs.len() < 2 {
            continue;
        }
        for node in graph.lanes[lane].nodes.clone().skip(1) {
            if !is_wait_end(graph, node) {
                continue;
            }
            let span = (graph.nodes.start[node as usize - 1], graph.nodes.start[node as usize]);
            let from = |other: usize| {
                let is_way = other != number && is_way(&inputs[other], &inputs[number]);
                if is_way { sent_within(&sends[other], span) } else { None }
            };
            match (0..inputs.len()).filter_map(from).max() {
                Some((_, from)) => {
                    graph.doubts.n_matched_waits += 1;
                    let kind = EdgeKind::HandOff;
                    edges.push(Edge { from, to: node, gap: 0, kind, from_start: true });
                }
                None => graph.doubts.n_unmatched_waits += 1,
            }
        }
    }
}

/// Whether a node is the instant at which a wait for another process ends.
fn is_wait_end(graph: &Graph, node: u32) -> bool {
    let i = node as usize;
    graph.nodes.what[i] == What::IpcWait
        && graph.nodes.start[i] == graph.nodes.end[i]
        && graph.nodes.what[i - 1] == What::IpcWait
}

/// Whether work goes from one input to another: to the next stage, and both ways between a front end and its workers.
fn is_way(from: &CausalInput<'_>, to: &CausalInput<'_>) -> bool {
    if !from.is_placed || !to.is_placed || from.replica != to.replica {
        return false;
    }
    if from.is_front_end != to.is_front_end {
        return from.stage == to.stage;
    }
    matches!((from.stage, to.stage), (Some(a), Some(b)) if a.checked_add(1) == Some(b))
}

/// The first send that was not over when a wait began and began before it ended.
fn sent_within(sends: &Sends, (began, ended): (i64, i64)) -> Option<(i64, u32)> {
    let first = sends.partition_point(|&(_, end, _)| end <= began);
    let &(begin, _, node) = sends.get(first)?;
    (begin <= ended).then_some((begin, node))
}

fn sends_of(graph: &Graph, number: usize, input: &CausalInput<'_>) -> Sends {
    let store = input.store;
    let is_send: Vec<bool> = store.strings.iter().map(|(_, name)| is_send(name)).collect();
    let mut sends: Sends = Vec::new();
    for (at, lane) in graph.lanes.iter().enumerate().filter(|(_, lane)| lane.input == number) {
        let LaneOf::Thread(track) = lane.of else { continue };
        let mut until = i64::MIN;
        for slice in store.tracks[track].slices.clone() {
            let kind = store.kind(slice);
            let is_told = matches!(kind, EventKind::PythonFunction | EventKind::UserAnnotation);
            if !is_told || !is_send[store.slices.name[slice].0 as usize] {
                continue;
            }
            let begin = store.slices.ts_ns[slice].saturating_add(input.offset_ns);
            let end = store.slices.end_ns(slice).saturating_add(input.offset_ns);
            // An annotation and the frame inside it are one send.
            if begin >= until
                && let Some(node) = graph.node_at(at, begin)
            {
                sends.push((begin, end, node));
                until = end;
            }
        }
    }
    sends.sort_unstable();
    sends
}
