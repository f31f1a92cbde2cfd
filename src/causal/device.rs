//! Streams as nodes, and what their order and their launches say of when each activity can begin.

use std::collections::BTreeMap;

use super::graph::{Edge, EdgeKind, Graph, Lane, LaneOf, NONE, Node, What};
use super::input::CausalInput;
use crate::analyze::devices::{ActivityKind, ActivityRow};
use crate::model::middle;

/// An activity of a device in the graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Placed {
    /// The slice.
    pub(super) slice: u32,
    /// The node with which it begins.
    pub(super) first: u32,
    /// The node whose end is its end; another one where it waits for other ranks.
    pub(super) last: u32,
    /// Its lane.
    pub(super) lane: usize,
    /// When its launch began, on the common time line; `None` where no launch was recorded.
    pub(super) launched_ns: Option<i64>,
    /// The track of its launch.
    pub(super) launch_track: usize,
}

/// The device side of one input.
#[derive(Clone, Debug, Default)]
pub(super) struct DeviceSide {
    /// All activities, by slice.
    pub(super) activities: Vec<Placed>,
    /// The lanes of its host threads, by track.
    pub(super) lane_of_track: BTreeMap<usize, usize>,
}

impl DeviceSide {
    /// The activity of a slice.
    pub(super) fn of_slice(&self, slice: u32) -> Option<&Placed> {
        let at = self.activities.binary_search_by_key(&slice, |placed| placed.slice).ok()?;
        Some(&self.activities[at])
    }
}

/// Adds the streams of an input and the edges of launches and of stream order. `meets` are the slices, ascending, that
/// wait for other ranks.
pub(super) fn add(
    graph: &mut Graph,
    edges: &mut Vec<Edge>,
    number: usize,
    input: &CausalInput<'_>,
    meets: &[u32],
) -> DeviceSide {
    let mut side =
        DeviceSide { lane_of_track: lanes_by_track(graph, number), ..Default::default() };
    for ((device, stream), rows) in streams(input) {
        let first = graph.nodes.count() as u32;
        let lane = graph.lanes.len();
        for row in rows {
            side.activities.push(placed(graph, input, &side.lane_of_track, row, lane, meets));
        }
        let nodes = first..graph.nodes.count() as u32;
        graph.lanes.push(Lane { input: number, of: LaneOf::Stream(device, stream), nodes });
    }
    let lags = Lags::of(graph, &side);
    add_stream_order(graph, edges, &side.activities, lags.stream_ns);
    for this in &side.activities {
        let launch = this.launched_ns.zip(side.lane_of_track.get(&this.launch_track));
        let from = launch.and_then(|(ns, &lane)| graph.node_at(lane, ns));
        let Some(from) = from else {
            graph.doubts.n_unlaunched += 1;
            continue;
        };
        let (to, kind) = (this.first, EdgeKind::Launch);
        edges.push(Edge { from, to, gap: lags.launch_ns, kind, from_start: true });
    }
    side.activities.sort_unstable_by_key(|placed| placed.slice);
    side
}

/// How many activities before one are looked at for what it waited for, where those of one stream overlap.
const LOOK_BACK: usize = 32;

/// The edges between activities that follow each other on a stream. Where they overlap, as branches of a graph do, an
/// activity follows what had ended last when it began.
fn add_stream_order(
    graph: &mut Graph,
    edges: &mut Vec<Edge>,
    activities: &[Placed],
    stream_ns: i64,
) {
    let kind = EdgeKind::StreamOrder;
    for of_lane in activities.chunk_by(|a, b| a.lane == b.lane) {
        let mut last_ns = i64::MIN;
        for (at, this) in of_lane.iter().enumerate().skip(1) {
            let before = &of_lane[at - 1];
            let before_ns = graph.nodes.end[before.last as usize];
            last_ns = last_ns.max(before_ns);
            let (from, to) = (before.last, this.first);
            let overlap_ns = early_ns(graph, before, this);
            graph.doubts.n_overlaps += u64::from(overlap_ns > 0);
            let gap = if overlap_ns > 0 { -overlap_ns } else { stream_ns };
            edges.push(Edge { from, to, gap, kind, from_start: false });
            let start = graph.nodes.start[to as usize];
            if overlap_ns == 0 && (before_ns > start || before_ns < last_ns) {
                let recent = &of_lane[at.saturating_sub(LOOK_BACK)..at - 1];
                let from = ended_last(graph, recent, start);
                let edge = |from| Edge { from, to, gap: stream_ns, kind, from_start: false };
                edges.extend(from.map(edge));
            }
        }
    }
}

/// What had ended last of some activities by an instant.
fn ended_last(graph: &Graph, activities: &[Placed], t_ns: i64) -> Option<u32> {
    let ended = activities.iter().filter(|one| graph.nodes.end[one.last as usize] <= t_ns);
    ended.max_by_key(|one| graph.nodes.end[one.last as usize]).map(|one| one.last)
}

/// By how much an activity begins before the end of the one before it, where that is late in the other's time: the device
/// was told to begin it then. 0 elsewhere.
fn early_ns(graph: &Graph, before: &Placed, this: &Placed) -> i64 {
    let (start, end) =
        (graph.nodes.start[before.first as usize], graph.nodes.end[before.last as usize]);
    let early_ns = end - graph.nodes.start[this.first as usize];
    if early_ns > 0 && early_ns * 2 <= end - start { early_ns } else { 0 }
}

/// The lanes of the host threads of an input.
fn lanes_by_track(graph: &Graph, number: usize) -> BTreeMap<usize, usize> {
    let own = graph.lanes.iter().enumerate().filter(|(_, lane)| lane.input == number);
    own.filter_map(|(at, lane)| match lane.of {
        LaneOf::Thread(track) => Some((track, at)),
        _ => None,
    })
    .collect()
}

/// The activities by stream, in time order.
fn streams<'a>(
    input: &CausalInput<'a>,
) -> BTreeMap<(Option<u32>, Option<u32>), Vec<&'a ActivityRow>> {
    let mut streams: BTreeMap<_, Vec<&ActivityRow>> = BTreeMap::new();
    for device in &input.base.devices {
        for row in &device.slices {
            streams.entry((device.device, row.stream)).or_default().push(row);
        }
    }
    streams
}

fn placed(
    graph: &mut Graph,
    input: &CausalInput<'_>,
    lane_of_track: &BTreeMap<usize, usize>,
    row: &ActivityRow,
    lane: usize,
    meets: &[u32],
) -> Placed {
    let at = |ns: i64| ns.saturating_add(input.offset_ns);
    let call = input.base.launches.call_of(input.store, row.slice as usize);
    let launched_ns = call.map(|call| at(input.store.slices.ts_ns[call]));
    let launch_track = call.map_or(0, |call| input.store.track_of(call));
    let host = launched_ns.zip(lane_of_track.get(&launch_track));
    let host = host.and_then(|(ns, &lane)| graph.node_at(lane, ns));
    let (start, end) = (at(row.span.start_ns), at(row.span.end_ns));
    let does_meet = meets.binary_search(&row.slice).is_ok();
    let node = Node {
        start,
        end: if does_meet { start } else { end },
        slice: row.slice,
        op: host.map_or(NONE, |host| graph.nodes.op[host as usize]),
        what: match row.kind {
            ActivityKind::Comm => What::Comm,
            ActivityKind::Compute => What::Kernel,
            _ => What::Copy,
        },
        follows: false,
    };
    let first = graph.nodes.push(node);
    let last = if does_meet { graph.nodes.push(Node { start: end, end, ..node }) } else { first };
    if node.what == What::Comm && !does_meet {
        graph.doubts.n_unmatched_comm += 1;
    }
    Placed { slice: row.slice, first, last, lane, launched_ns, launch_track }
}

/// What a launch and a change of activity take where nothing else holds them up: the medians of an input, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Lags {
    launch_ns: i64,
    stream_ns: i64,
}

/// What a change of activity takes where the trace shows none that nothing else held up.
const STREAM_NS: i64 = 1_000;

impl Lags {
    fn of(graph: &Graph, side: &DeviceSide) -> Self {
        let (mut launch, mut stream) = (Vec::new(), Vec::new());
        let mut before: Option<&Placed> = None;
        for this in &side.activities {
            let start = graph.nodes.start[this.first as usize];
            let free_ns = before
                .filter(|before| before.lane == this.lane)
                .map_or(i64::MIN, |before| graph.nodes.end[before.last as usize]);
            match this.launched_ns {
                Some(launched) if free_ns <= launched && start >= launched => {
                    launch.push(start - launched);
                }
                _ => {}
            }
            before = Some(this);
        }
        let launch_ns = median(&mut launch);
        let mut before: Option<&Placed> = None;
        for this in &side.activities {
            let start = graph.nodes.start[this.first as usize];
            if let (Some(before), Some(launched)) = (before, this.launched_ns)
                && before.lane == this.lane
            {
                let free_ns = graph.nodes.end[before.last as usize];
                if start >= free_ns && launched + launch_ns <= free_ns {
                    stream.push(start - free_ns);
                }
            }
            before = Some(this);
        }
        Self {
            launch_ns,
            stream_ns: if stream.is_empty() { STREAM_NS } else { median(&mut stream) },
        }
    }
}

/// The median, and 0 of nothing.
pub(super) fn median(values: &mut [i64]) -> i64 {
    middle(values).unwrap_or(0)
}
