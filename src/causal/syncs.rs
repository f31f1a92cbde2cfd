//! What waits for device work: calls that synchronize, and streams that wait for another's event.
//!
//! Where the trace says which stream a call waited for, that counts. Elsewhere the call is known to block, and waited
//! for the work launched before it that ended last before the call returned.

use std::collections::{BTreeMap, HashMap};

use super::device::{DeviceSide, Placed};
use super::graph::{Edge, EdgeKind, Graph, What};
use super::input::CausalInput;
use crate::model::EventKind;

/// One launch or call of a thread that matters here, by time.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// An activity was launched.
    Launch(Placed),
    /// An event was recorded.
    Record,
    /// A stream was made to wait for an event; the stream, where the trace says.
    StreamWait(Option<u32>),
    /// The host began to wait: the call, the node at which its wait ends.
    Sync(usize, u32),
}

/// What the trace says of the waits on the device side, by correlation: the stream, and of what kind it is.
struct Recorded(HashMap<u64, (Option<u32>, bool)>);

impl Recorded {
    fn of(input: &CausalInput<'_>) -> Self {
        let store = input.store;
        let rows = store.device_rows.iter();
        let syncs = rows.filter(|row| store.kind(row.slice as usize) == EventKind::CudaSync);
        let row = |row: &crate::store::DeviceRow| {
            let slice = row.slice as usize;
            let id = store.correlation(slice).filter(|&id| id != 0)?;
            let is_of_stream = matches!(store.name(slice), "Stream Sync" | "Stream Wait Event");
            Some((id, (row.stream.filter(|_| is_of_stream), is_of_stream)))
        };
        Self(syncs.filter_map(row).collect())
    }

    /// The stream that a call is about.
    fn stream(&self, input: &CausalInput<'_>, call: usize) -> Option<u32> {
        self.0.get(&input.store.correlation(call)?)?.0
    }
}

/// The edges of everything that waits for device work of one input.
pub(super) fn edges(
    graph: &mut Graph,
    number: usize,
    input: &CausalInput<'_>,
    side: &DeviceSide,
) -> Vec<Edge> {
    let recorded = Recorded::of(input);
    let mut state = State { streams: BTreeMap::new(), edges: Vec::new(), pending: Vec::new() };
    let mut records: HashMap<usize, Option<Placed>> = HashMap::new();
    let mut last_on_thread: HashMap<usize, Vec<Placed>> = HashMap::new();
    for (_, track, step) in steps(graph, number, input, side, &recorded) {
        match step {
            Step::Launch(placed) => {
                state.launch(graph, placed);
                let recent = last_on_thread.entry(track).or_default();
                recent.retain(|other| other.lane != placed.lane);
                recent.push(placed);
            }
            Step::Record => {
                let last = last_on_thread.get(&track).and_then(|recent| recent.last());
                records.insert(track, last.copied());
            }
            Step::StreamWait(stream) => {
                let source = records.get(&track).copied().flatten();
                let recent = last_on_thread.get(&track).map_or(&[][..], Vec::as_slice);
                state.stream_wait(graph, (track, stream), source, recent);
            }
            Step::Sync(call, node) => {
                let stream = recorded.stream(input, call);
                state.sync(graph, input, side, (call, node), stream);
            }
        }
    }
    let lag = return_lag(graph, &state.edges);
    state.edges.iter_mut().filter(|e| e.kind == EdgeKind::Sync).for_each(|edge| edge.gap = lag);
    state.edges
}

/// Everything that matters here, in the order of the host.
fn steps(
    graph: &Graph,
    number: usize,
    input: &CausalInput<'_>,
    side: &DeviceSide,
    recorded: &Recorded,
) -> Vec<(i64, usize, Step)> {
    let mut steps: Vec<(i64, usize, Step)> = Vec::new();
    for placed in &side.activities {
        if let Some(launched) = placed.launched_ns {
            steps.push((launched, placed.launch_track, Step::Launch(*placed)));
        }
    }
    let store = input.store;
    let kinds: Vec<CallKind> = store.strings.iter().map(|(_, name)| CallKind::of(name)).collect();
    for (&track, &lane) in &side.lane_of_track {
        for slice in store.tracks[track].slices.clone() {
            let kind = kinds[store.slices.name[slice].0 as usize];
            if kind == CallKind::Other || !store.kind(slice).is_api_call() {
                continue;
            }
            let at = store.slices.ts_ns[slice].saturating_add(input.offset_ns);
            let step = match kind {
                CallKind::Record => Step::Record,
                _ => Step::StreamWait(recorded.stream(input, slice)),
            };
            steps.push((at, track, step));
        }
        debug_assert_eq!(graph.lanes[lane].input, number, "lanes are those of this input");
        for node in graph.lanes[lane].nodes.clone().skip(1) {
            let i = node as usize;
            let is_wait_end = graph.nodes.what[i] == What::GpuSync
                && graph.nodes.start[i] == graph.nodes.end[i]
                && graph.nodes.slice[i] == graph.nodes.slice[i - 1];
            if is_wait_end {
                let call = graph.nodes.slice[i] as usize;
                let at = graph.nodes.start[i - 1];
                steps.push((at, track, Step::Sync(call, node)));
            }
        }
    }
    let rank = |step: &Step| match step {
        Step::Launch(_) => 0,
        Step::Record => 1,
        Step::StreamWait(..) => 2,
        Step::Sync(..) => 3,
    };
    steps.sort_by_key(|(at, track, step)| {
        let first = if let Step::Launch(placed) = step { placed.first } else { 0 };
        (*at, *track, rank(step), first)
    });
    steps
}

/// What a call does to events and streams, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CallKind {
    Record,
    StreamWait,
    Other,
}

impl CallKind {
    fn of(name: &str) -> Self {
        if name.contains("StreamWaitEvent") {
            Self::StreamWait
        } else if name.contains("EventRecord") {
            Self::Record
        } else {
            Self::Other
        }
    }
}

/// An activity that begins so long after all that it is known to wait for waits for something else,
const LATE_NS: i64 = 200_000;
/// and most likely for what ended no longer than this before.
///
/// Answers hardly depend on either: of 29 real traces whose streams wait for events, 28 have the same path to 0.005 % of its
/// length with either of the two limits halved or doubled, and without the rule; `negative_queue_length_values_check` of HTA's, where
/// `cudaStreamWaitEvent` stands between replays of graphs, moves by 0.1 % at most, and by 0.3 % without it.
const SOON_NS: i64 = 20_000;

/// What has been launched so far.
struct State {
    /// The activities of each lane in the order of their launches.
    streams: BTreeMap<usize, Vec<Placed>>,
    /// Waits of streams that the next launch on them has to honour: the stream, where known; the thread; the source,
    /// where one is likely.
    pending: Vec<(Option<u32>, usize, Option<Placed>)>,
    edges: Vec<Edge>,
}

impl State {
    fn launch(&mut self, graph: &mut Graph, placed: Placed) {
        let own = stream_of(graph, placed.lane);
        let is_next = |wait: &(Option<u32>, usize, Option<Placed>)| match wait.0 {
            Some(_) => wait.0 == own,
            None => wait.1 == placed.launch_track,
        };
        let (due, kept): (Vec<_>, Vec<_>) = self.pending.drain(..).partition(is_next);
        self.pending = kept;
        let mut from: Vec<u32> =
            due.iter().filter_map(|wait| self.source(graph, wait.2, &placed)).collect();
        from.dedup();
        for from in from {
            graph.doubts.n_guessed_stream_waits += 1;
            let (to, kind) = (placed.first, EdgeKind::StreamWait);
            self.edges.push(Edge { from, to, gap: 0, kind, from_start: false });
        }
        self.streams.entry(placed.lane).or_default().push(placed);
    }

    /// What an activity whose stream waits for another one waits for: the likely source, where times allow it; else what
    /// ended last before it began, where it ended after the launch and after what came before on the stream. That too where
    /// nothing else explains why the activity began so late, and so soon after that end.
    fn source(&self, graph: &Graph, likely: Option<Placed>, placed: &Placed) -> Option<u32> {
        let start = graph.nodes.start[placed.first as usize];
        let end = |one: &Placed| graph.nodes.end[one.last as usize];
        let likely = likely.filter(|one| one.lane != placed.lane && end(one) <= start);
        let before =
            self.streams.get(&placed.lane).and_then(|own| own.last()).map_or(i64::MIN, end);
        let ready = before.max(placed.launched_ns.unwrap_or(i64::MIN));
        let others = self.streams.iter().filter(|&(&lane, _)| lane != placed.lane);
        let last = others.filter_map(|(_, all)| last_ended(graph, all, start)).max_by_key(end);
        let last = last.filter(|last| end(last) > ready);
        let is_late = |likely: &Placed| start - ready.max(end(likely)) >= LATE_NS;
        let is_soon = last.is_some_and(|last| start - end(&last) <= SOON_NS);
        let likely = likely.filter(|likely| !(is_soon && is_late(likely)));
        likely.or(last).map(|one| one.last)
    }

    /// A stream waits for the last event that its thread recorded: most likely for the work launched last before that,
    /// on another stream than its own.
    fn stream_wait(
        &mut self,
        graph: &Graph,
        (track, stream): (usize, Option<u32>),
        source: Option<Placed>,
        recent: &[Placed],
    ) {
        let is_other =
            |placed: &&Placed| stream.is_none() || stream_of(graph, placed.lane) != stream;
        let source = source.filter(|placed| is_other(&placed));
        let source = source.or_else(|| recent.iter().rev().find(is_other).copied());
        self.pending.push((stream, track, source));
    }

    /// A call of the host waits.
    fn sync(
        &mut self,
        graph: &mut Graph,
        input: &CausalInput<'_>,
        side: &DeviceSide,
        (call, node): (usize, u32),
        stream: Option<u32>,
    ) {
        let own = input.base.launches.activities_of(input.store, call);
        let own: Vec<Placed> =
            own.filter_map(|slice| side.of_slice(slice as u32)).copied().collect();
        let name = input.store.name(call);
        let is_whole = name.contains("DeviceSynchronize") || name.contains("CtxSynchronize");
        let until = graph.nodes.start[node as usize];
        let mut last = self.streams.values().filter_map(|all| all.last().copied());
        let awaited: Vec<Placed> = if !own.is_empty() {
            own
        } else if is_whole {
            last.collect()
        } else if stream.is_some() {
            last.find(|placed| stream_of(graph, placed.lane) == stream).into_iter().collect()
        } else {
            let ended = self.streams.values().filter_map(|all| last_ended(graph, all, until));
            let found = ended.max_by_key(|placed| graph.nodes.end[placed.last as usize]);
            graph.doubts.n_guessed_syncs += u64::from(found.is_some());
            found.into_iter().collect()
        };
        let (to, kind) = (node, EdgeKind::Sync);
        let edge = |one: &Placed| Edge { from: one.last, to, gap: 0, kind, from_start: false };
        self.edges.extend(awaited.iter().map(edge));
    }
}

/// The last of the activities of a stream that had ended by an instant.
fn last_ended(graph: &Graph, all: &[Placed], t_ns: i64) -> Option<Placed> {
    let n = all.partition_point(|placed| graph.nodes.end[placed.last as usize] <= t_ns);
    n.checked_sub(1).map(|at| all[at])
}

/// What a call takes to return once what it waited for is over: the median of those that waited, in nanoseconds.
fn return_lag(graph: &Graph, edges: &[Edge]) -> i64 {
    let mut lags: BTreeMap<u32, i64> = BTreeMap::new();
    for edge in edges.iter().filter(|edge| edge.kind == EdgeKind::Sync) {
        let (to, end) = (edge.to as usize, graph.nodes.end[edge.from as usize]);
        let until = graph.nodes.start[to];
        if end > graph.nodes.start[to - 1] && end <= until {
            let lag = lags.entry(edge.to).or_insert(i64::MAX);
            *lag = (*lag).min(until - end);
        }
    }
    super::device::median(&mut lags.into_values().collect::<Vec<_>>())
}

/// The stream of a lane.
fn stream_of(graph: &Graph, lane: usize) -> Option<u32> {
    match graph.lanes[lane].of {
        super::graph::LaneOf::Stream(_, stream) => stream,
        _ => None,
    }
}
