//! Hand-offs between processes: which send ended which wait.
//!
//! A queue that somebody waits at is empty: the wait ended with the first send that was not over when it began. Of
//! several processes that may have sent, the one that did so last before the wait ended is taken. Where no trace shows
//! who sent, logs of the pipeline may tell from which stage a request came, and when.

use std::collections::BTreeMap;

use super::graph::{Edge, EdgeKind, Graph, LaneOf, What};
use super::host::is_send;
use super::input::CausalInput;
use crate::model::EventKind;

/// The sends of one input by begin: begin and end on the common time line, the node with which it begins.
type Sends = Vec<(i64, i64, u32)>;

/// A request that went from one input to another, as logs tell it. Times are those of the common time line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// Index of the input that sent it.
    pub from: usize,
    /// Index of the input that got it.
    pub to: usize,
    /// When its work there was over.
    pub sent_ns: i64,
    /// When work on it began here.
    pub begun_ns: i64,
    /// How far both may be off, in both directions.
    pub error_ns: i64,
}

/// Adds an edge from each send to the wait that it ended.
pub(super) fn add(
    graph: &mut Graph,
    edges: &mut Vec<Edge>,
    inputs: &[CausalInput<'_>],
    told: &[Told],
) {
    let told = told_by_wait(graph, inputs, told);
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
                None => match told.get(&node).and_then(|one| told_edge(graph, inputs, one, node)) {
                    Some(edge) => {
                        graph.doubts.n_logged_waits += 1;
                        edges.push(edge);
                    }
                    None => graph.doubts.n_unmatched_waits += 1,
                },
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

/// What logs tell, by the end of the wait that it ended: of those since it was sent, as far as the log may be off, the one
/// nearest to when work on the request began. Of several requests it is the one that was sent last.
fn told_by_wait(graph: &Graph, inputs: &[CausalInput<'_>], told: &[Told]) -> BTreeMap<u32, Told> {
    let mut found: BTreeMap<u32, Told> = BTreeMap::new();
    for one in told {
        let Some(lane) = lead_lane(graph, inputs, one.to) else { continue };
        let start = |node: u32| graph.nodes.start[node as usize];
        let earliest = one.sent_ns.saturating_sub(one.error_ns);
        let Some(last) = graph.node_at(lane, one.begun_ns.saturating_add(one.error_ns)) else {
            continue;
        };
        let back = (graph.lanes[lane].nodes.start + 1..=last).rev();
        let near = back.take_while(|&node| start(node) >= earliest);
        let waits = near.filter(|&node| is_wait_end(graph, node));
        if let Some(wait) = waits.min_by_key(|&node| (start(node) - one.begun_ns).abs()) {
            let known = found.entry(wait).or_insert(*one);
            *known = if one.sent_ns > known.sent_ns { *one } else { *known };
        }
    }
    found
}

/// The lane of the thread that runs the iterations of an input.
fn lead_lane(graph: &Graph, inputs: &[CausalInput<'_>], input: usize) -> Option<usize> {
    let lead = LaneOf::Thread(inputs[input].units.lead?);
    graph.lanes.iter().position(|lane| lane.input == input && lane.of == lead)
}

/// The edge that logs tell, from where the sender was when it was done.
fn told_edge(graph: &Graph, inputs: &[CausalInput<'_>], told: &Told, node: u32) -> Option<Edge> {
    let ended_ns = graph.nodes.start[node as usize];
    let sender = lead_lane(graph, inputs, told.from)?;
    let from = graph.node_at(sender, told.sent_ns.min(ended_ns))?;
    // What goes on by the log's time had sent before it was over; a wait of the sender begins when it had.
    let from_start = graph.nodes.end[from as usize] > ended_ns
        || graph.nodes.what[from as usize] == What::IpcWait;
    Some(Edge { from, to: node, gap: 0, kind: EdgeKind::HandOff, from_start })
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
