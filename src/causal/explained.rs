//! How far the graph explains what was recorded, and what it could not know.

use super::device::median;
use super::graph::{EdgeKind, Graph, What};
use super::replay::{BY_LANE, BY_NOTHING, Replay};
use super::rows::{DoubtKind, DoubtRow, ReplayRow};
use super::subject::Subject;
use crate::analyze::percent;

/// A gap of up to this many times the median of its kind is explained by its edge.
const TIMES_MEDIAN: i64 = 10;
/// And so is any up to this.
const SHORT_NS: i64 = 10_000;

/// What edges explain of each input; `replay` is the unchanged one.
pub fn replay_rows(subject: &Subject<'_>, replay: &Replay) -> Vec<ReplayRow> {
    let limits = limits(subject.graph, replay);
    (0..subject.inputs.len()).map(|input| replay_row(subject, replay, input, &limits)).collect()
}

/// The longest gap of each kind of edge that is usual.
fn limits(graph: &Graph, replay: &Replay) -> [i64; EdgeKind::OF_EDGES.len()] {
    let mut gaps: [Vec<i64>; EdgeKind::OF_EDGES.len()] = Default::default();
    for &edge in replay.binding.iter().filter(|&&edge| edge < BY_LANE) {
        let edge = graph.edges.get(edge as usize);
        gaps[edge.kind as usize].push(edge.gap);
    }
    gaps.map(|mut of_kind| median(&mut of_kind).saturating_mul(TIMES_MEDIAN).max(SHORT_NS))
}

fn replay_row(
    subject: &Subject<'_>,
    replay: &Replay,
    input: usize,
    limits: &[i64; EdgeKind::OF_EDGES.len()],
) -> ReplayRow {
    let graph = subject.graph;
    let at = &subject.inputs[input];
    let file = at.base.windows.file;
    let window_start = file.start_ns.saturating_add(at.offset_ns);
    let mut row = ReplayRow {
        input: at.number,
        nodes: 0,
        exact_pct: None,
        window_ns: file.len_ns(),
        replayed_ns: file.len_ns(),
        drift_pct: None,
        awaited: 0,
        explained: 0,
        explained_pct: None,
        unexplained_ns: 0,
        roots: 0,
        label: at.name(),
    };
    let (mut exact, mut ends) = (0, (i64::MIN, i64::MIN));
    for lane in graph.lanes.iter().filter(|lane| lane.is_of(input)) {
        for node in lane.nodes.clone() {
            let i = node as usize;
            row.nodes += 1;
            exact += i64::from(replay.start[i] == graph.nodes.start[i]);
            ends = (ends.0.max(graph.nodes.end[i]), ends.1.max(replay.end[i]));
            count(&mut row, graph, replay.binding[i], graph.nodes.what[i], limits);
        }
    }
    if row.nodes > 0 {
        row.window_ns = file.len_ns().max(ends.0 - window_start);
        row.replayed_ns = row.window_ns + ends.1 - ends.0;
    }
    row.exact_pct = percent(exact, row.nodes as i64);
    row.drift_pct = percent(row.replayed_ns - row.window_ns, row.window_ns);
    row.explained_pct = percent(row.explained as i64, row.awaited as i64);
    row
}

/// Counts what explains the begin of one node.
fn count(
    row: &mut ReplayRow,
    graph: &Graph,
    binding: u32,
    what: What,
    limits: &[i64; EdgeKind::OF_EDGES.len()],
) {
    match binding {
        BY_LANE => {}
        BY_NOTHING => {
            row.roots += 1;
            row.awaited += u64::from(what.is_on_device());
        }
        edge => {
            let edge = graph.edges.get(edge as usize);
            let over = edge.gap - limits[edge.kind as usize];
            row.awaited += 1;
            row.explained += u64::from(over <= 0);
            row.unexplained_ns += over.max(0);
        }
    }
}

/// What was met while the graph was made.
pub fn doubt_rows(graph: &Graph) -> Vec<DoubtRow> {
    let doubts = &graph.doubts;
    let all = [
        (
            DoubtKind::DroppedEdges,
            doubts.n_dropped,
            "edges left out, as what should come later began before what it should wait for was over: kernels side by side on one stream, clocks that disagree",
        ),
        (
            DoubtKind::Overlaps,
            doubts.n_overlaps,
            "activities that begin in the second half of the one before them on their stream: they go on beginning as long before its end",
        ),
        (
            DoubtKind::UnlaunchedActivity,
            doubts.n_unlaunched,
            "device activities whose launch no work thread shows: a faster host does not bring them forward",
        ),
        (
            DoubtKind::UnmatchedWaits,
            doubts.n_unmatched_waits,
            "waits for other processes of which no input shows the writer: they last as recorded, whatever changes",
        ),
        (
            DoubtKind::MatchedWaits,
            doubts.n_matched_waits,
            "waits that end when a recorded process sends",
        ),
        (
            DoubtKind::LoggedWaits,
            doubts.n_logged_waits,
            "waits that end when, by the logs, a request came from the stage before: as exact as the logs' times",
        ),
        (
            DoubtKind::GuessedStreamWaits,
            doubts.n_guessed_stream_waits,
            "waits of a stream for another one, paired by the order of calls, as the trace does not say which event they are for",
        ),
        (
            DoubtKind::GuessedSyncs,
            doubts.n_guessed_syncs,
            "synchronizing calls of which the trace does not say what they wait for: taken to be the work launched before that ended last",
        ),
        (
            DoubtKind::UnmatchedComm,
            doubts.n_unmatched_comm,
            "communication kernels that no other input shows: waiting for other ranks is in their time and does not shrink",
        ),
        (
            DoubtKind::UnplacedInputs,
            doubts.n_unplaced_inputs,
            "inputs left out, as nothing tells where they lie on the common time line",
        ),
    ];
    let met = all.into_iter().filter(|&(_, count, _)| count > 0);
    met.map(|(kind, count, meaning)| DoubtRow { kind, count, meaning }).collect()
}
