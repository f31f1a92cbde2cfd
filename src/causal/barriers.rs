//! Collectives as barriers: no rank's kernel ends before the last rank's has begun.

use super::device::DeviceSide;
use super::graph::{Edge, EdgeKind, Graph, Lane, LaneOf, NONE, Node, What};
use crate::align::Matched;

/// The slices of each input that wait for other ranks, ascending. `local` gives the index of an input of the run.
pub(super) fn meeting_slices(
    matched: &[Matched],
    n_inputs: usize,
    local: impl Fn(usize) -> Option<usize>,
) -> Vec<Vec<u32>> {
    let mut slices = vec![Vec::new(); n_inputs];
    for one in matched.iter().filter(|one| one.is_on_device) {
        let calls: Vec<(usize, u32)> =
            one.calls.iter().filter_map(|&(input, slice)| Some((local(input)?, slice))).collect();
        if calls.len() > 1 {
            calls.into_iter().for_each(|(input, slice)| slices[input].push(slice));
        }
    }
    slices.iter_mut().for_each(|of_input| of_input.sort_unstable());
    slices
}

/// Adds a meeting for each collective: an instant after all ranks have begun and before any ends.
pub(super) fn add(
    graph: &mut Graph,
    edges: &mut Vec<Edge>,
    matched: &[Matched],
    sides: &[DeviceSide],
    local: impl Fn(usize) -> Option<usize>,
) {
    let first = graph.nodes.count() as u32;
    for one in matched.iter().filter(|one| one.is_on_device) {
        let on = |&(input, slice): &(usize, u32)| sides[local(input)?].of_slice(slice);
        let ranks: Vec<_> = one.calls.iter().filter_map(on).collect();
        let begins = ranks.iter().map(|rank| graph.nodes.start[rank.first as usize]);
        let Some(at) = begins.max().filter(|_| ranks.len() > 1) else { continue };
        let node =
            Node { start: at, end: at, slice: NONE, op: NONE, what: What::Comm, follows: false };
        let meeting = graph.nodes.push(node);
        let ends = ranks.iter().map(|rank| graph.nodes.end[rank.last as usize] - at);
        let least = ends.filter(|&ns| ns >= 0).min().unwrap_or(0);
        let edge =
            |from, to, gap| Edge { from, to, gap, kind: EdgeKind::Collective, from_start: false };
        for rank in ranks {
            edges.push(edge(rank.first, meeting, 0));
            edges.push(edge(meeting, rank.last, least));
            edges.push(edge(rank.first, rank.last, 0));
        }
    }
    let nodes = first..graph.nodes.count() as u32;
    graph.lanes.push(Lane { input: 0, of: LaneOf::Meetings, nodes });
}
