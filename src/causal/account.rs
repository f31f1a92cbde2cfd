//! The critical path as tables: by class, edge, input, kernel and operator; by iteration; step by step; and the slack of
//! what is not on it.

use std::collections::{BTreeMap, HashMap};

use super::device::median;
use super::graph::{EdgeKind, LaneOf, NONE, What};
use super::path::Piece;
use super::rows::{By, PathIterationRow, PathRequestRow, PathRow, SlackRow, StepRow};
use super::subject::Subject;
use crate::analyze::joined::JoinedRequestRow;
use crate::analyze::launched::{BoundBy, launched};
use crate::analyze::percent;

/// What a part of the path is called that the others are not.
const REST: &str = "(other)";
/// What time on the path is called that no edge is of.
const WORK: &str = "work";

/// The parts of a path. Those of each way to tell them apart sum to the window.
pub fn path_rows(subject: &Subject<'_>, pieces: &[Piece]) -> Vec<PathRow> {
    let whole: i64 = pieces.iter().map(Piece::len_ns).sum();
    let mut rows = Vec::new();
    for by in [By::Class, By::Edge, By::Stage, By::Kernel, By::Operator] {
        let mut sums: BTreeMap<(Option<usize>, &str), (i64, u64)> = BTreeMap::new();
        let mut names: HashMap<(usize, u32), &str> = HashMap::new();
        for piece in pieces {
            let key = part(subject, piece, by, &mut names);
            let sum = sums.entry(key).or_default();
            *sum = (sum.0 + piece.len_ns(), sum.1 + 1);
        }
        let row = |((input, name), (ns, n_stretches)): ((Option<usize>, &str), _)| {
            let name = name.to_owned();
            PathRow { by, ns, pct: percent(ns, whole), n_stretches, input, name }
        };
        let mut own: Vec<PathRow> = sums.into_iter().map(row).collect();
        own.sort_by_key(|row| std::cmp::Reverse(row.ns));
        rows.extend(own);
    }
    rows
}

/// The part that a piece belongs to.
fn part<'a>(
    subject: &'a Subject<'_>,
    piece: &Piece,
    by: By,
    names: &mut HashMap<(usize, u32), &'a str>,
) -> (Option<usize>, &'a str) {
    let node = piece.node;
    let graph = subject.graph;
    let mut named = |slice: u32| {
        let input = graph.lanes[graph.lane_of(node)].input;
        let store = subject.inputs[input].store;
        let name = store.slices.name[slice as usize];
        *names.entry((input, name.0)).or_insert_with(|| store.strings.get(name))
    };
    let is_known = node != NONE;
    match by {
        By::Class => (None, piece.what.as_str()),
        By::Edge => (None, piece.edge.map_or(WORK, EdgeKind::as_str)),
        By::Stage if is_known && piece.edge != Some(EdgeKind::Start) => {
            let lane = &graph.lanes[graph.lane_of(node)];
            match lane.of {
                LaneOf::Meetings => (None, REST),
                _ => {
                    let input = &subject.inputs[lane.input];
                    let label = if input.label.is_empty() { "input" } else { &input.label };
                    (Some(input.number), label)
                }
            }
        }
        By::Kernel if is_known && piece.what.is_on_device() => {
            let slice = graph.nodes.slice[node as usize];
            (None, if slice == NONE { REST } else { named(slice) })
        }
        By::Operator if is_known && piece.edge.is_none() && !piece.what.is_on_device() => {
            let op = graph.nodes.op[node as usize];
            (None, if op == NONE { REST } else { named(op) })
        }
        _ => (None, REST),
    }
}

/// The path by iteration of each input.
pub fn iteration_rows(subject: &Subject<'_>, pieces: &[Piece]) -> Vec<PathIterationRow> {
    let mut rows = Vec::new();
    for input in subject.inputs {
        let Some(_) = input.units.scheme else { continue };
        let mut launches = launched(input.store, input.base);
        launches.sort_unstable_by_key(|one| one.called.0);
        for (number, unit) in (0..).zip(&input.units.units) {
            let span = (unit.span.start_ns, unit.span.end_ns);
            let first = launches.partition_point(|one| one.called.0 < span.0);
            let last = launches.partition_point(|one| one.called.0 < span.1);
            let own = &launches[first..last.max(first)];
            let n_starved = own.iter().filter(|one| one.is_starved()).count() as u64;
            let n_launched = own.len() as u64;
            let at = |ns: i64| ns.saturating_add(input.offset_ns);
            let row = PathIterationRow {
                input: input.number,
                iteration: number,
                phase: input.units.buckets[unit.bucket as usize].phase.clone(),
                start_ns: at(span.0) - subject.graph.start_ns,
                dur_ns: span.1 - span.0,
                n_starved,
                n_launched,
                bound: (n_launched > 0).then(|| BoundBy::of(n_starved, n_launched)),
                ..clipped(pieces, (at(span.0), at(span.1)))
            };
            rows.push(row);
        }
    }
    rows
}

/// Begin and end of a request in a stage, and how far both may be off.
type Logged = (i64, i64, i64);

/// The path by request of the logs: each as a whole, then by stage.
pub fn request_rows(
    subject: &Subject<'_>,
    pieces: &[Piece],
    requests: &[JoinedRequestRow],
) -> Vec<PathRequestRow> {
    let mut by_request: BTreeMap<(usize, &str), BTreeMap<_, Logged>> = BTreeMap::new();
    for row in requests {
        let end_ns = row.start_unix_ns.saturating_add(row.generation_ns);
        let stages = by_request.entry((row.run, &row.request)).or_default();
        let span = (row.start_unix_ns, end_ns, row.error_ns);
        stages.insert((row.stage, Some(row.pass)), span);
    }
    let mut rows = Vec::new();
    for ((run, request), stages) in by_request {
        let first = stages.values().map(|span| span.0).min().unwrap_or(0);
        let last = stages.values().map(|span| span.1).max().unwrap_or(first);
        let error_ns = stages.values().map(|span| span.2).max().unwrap_or(0);
        let whole = std::iter::once(((None, None), (first, last, error_ns)));
        for ((stage, pass), (from, to, error_ns)) in whole.chain(stages) {
            let parts = clipped(pieces, (from, to));
            rows.push(PathRequestRow {
                run,
                request: request.to_owned(),
                stage,
                pass,
                start_ns: from.saturating_sub(subject.graph.start_ns),
                error_ns,
                dur_ns: to - from,
                host_ns: parts.host_ns,
                wait_ns: parts.wait_ns,
                kernel_ns: parts.kernel_ns,
                comm_ns: parts.comm_ns,
                copy_ns: parts.copy_ns,
                gap_ns: parts.gap_ns,
                outside_ns: parts.outside_ns,
            });
        }
    }
    rows
}

/// What the path does in an interval; what lies outside the path is `outside`.
fn clipped(pieces: &[Piece], (from, to): (i64, i64)) -> PathIterationRow {
    let mut sums = [0_i64; 7];
    let first = pieces.partition_point(|piece| piece.end_ns <= from);
    for piece in pieces[first..].iter().take_while(|piece| piece.start_ns < to) {
        let part = match piece.what {
            What::Kernel => 2,
            What::Comm => 3,
            What::Copy => 4,
            What::IpcWait | What::GpuSync | What::OtherWait => 1,
            What::LaunchLatency
            | What::StreamGap
            | What::SyncLatency
            | What::HandOff
            | What::ThreadHandOver => 5,
            What::Outside => 6,
            _ => 0,
        };
        sums[part] += piece.end_ns.min(to) - piece.start_ns.max(from);
    }
    let [host_ns, wait_ns, kernel_ns, comm_ns, copy_ns, gap_ns, outside_ns] = sums;
    let on_path: i64 = sums.iter().sum();
    PathIterationRow {
        input: 0,
        iteration: 0,
        phase: String::new(),
        start_ns: 0,
        dur_ns: 0,
        host_ns,
        wait_ns,
        kernel_ns,
        comm_ns,
        copy_ns,
        gap_ns,
        outside_ns: outside_ns + (to - from - on_path),
        n_starved: 0,
        n_launched: 0,
        bound: None,
    }
}

/// The path step by step.
pub fn step_rows(subject: &Subject<'_>, pieces: &[Piece]) -> Vec<StepRow> {
    let step = |piece: &Piece| {
        let node = (piece.node != NONE).then_some(piece.node);
        let lane = node.map(|node| &subject.graph.lanes[subject.graph.lane_of(node)]);
        let lane = lane.filter(|lane| lane.of != LaneOf::Meetings);
        let name = node.and_then(|node| subject.name(node).or_else(|| subject.op(node)));
        StepRow {
            start_ns: piece.start_ns - subject.graph.start_ns,
            dur_ns: piece.len_ns(),
            what: piece.what,
            edge: piece.edge,
            input: lane.map(|lane| subject.inputs[lane.input].number),
            lane: lane.map_or(String::new(), |lane| subject.lane_name(lane)),
            name: name.map(str::to_owned),
        }
    };
    pieces.iter().map(step).collect()
}

/// Activities, or stretches of host time, of one name.
#[derive(Default)]
struct Named {
    slack: Vec<i64>,
    sum_ns: i64,
    on_path_ns: i64,
}

/// The slack of kernels and operators by name, the largest time first.
pub fn slack_rows(subject: &Subject<'_>, pieces: &[Piece], slack: &[i64]) -> Vec<SlackRow> {
    let graph = subject.graph;
    let mut found: BTreeMap<(By, usize, u32), Named> = BTreeMap::new();
    for lane in graph.lanes.iter().filter(|lane| lane.of != LaneOf::Meetings) {
        let store = subject.inputs[lane.input].store;
        for node in lane.nodes.clone() {
            let i = node as usize;
            let (slice, op) = (graph.nodes.slice[i], graph.nodes.op[i]);
            let is_second = i > 0 && graph.nodes.slice[i - 1] == slice && node > lane.nodes.start;
            let (by, of, ns) = if graph.nodes.what[i].is_on_device() {
                let ns = if is_second { 0 } else { store.slices.dur_ns(slice as usize) };
                (By::Kernel, slice, ns)
            } else {
                (By::Operator, op, graph.nodes.end[i] - graph.nodes.start[i])
            };
            if of != NONE && !(is_second && ns == 0) {
                let name = store.slices.name[of as usize].0;
                let named = found.entry((by, lane.input, name)).or_default();
                named.slack.push(slack[i].max(0));
                named.sum_ns += ns;
            }
        }
    }
    for piece in pieces.iter().filter(|piece| piece.node != NONE) {
        let i = piece.node as usize;
        let (by, of) = match piece.what.is_on_device() {
            true => (By::Kernel, graph.nodes.slice[i]),
            false if piece.edge.is_none() => (By::Operator, graph.nodes.op[i]),
            false => continue,
        };
        let input = graph.lanes[graph.lane_of(piece.node)].input;
        if of != NONE {
            let name = subject.inputs[input].store.slices.name[of as usize].0;
            found.entry((by, input, name)).or_default().on_path_ns += piece.len_ns();
        }
    }
    slack_of(subject, found)
}

/// The same names of all inputs together.
fn slack_of(subject: &Subject<'_>, found: BTreeMap<(By, usize, u32), Named>) -> Vec<SlackRow> {
    let mut by_name: BTreeMap<(By, &str), Named> = BTreeMap::new();
    for ((by, input, name), named) in found {
        let strings = &subject.inputs[input].store.strings;
        let sum = by_name.entry((by, strings.get(crate::store::StrId(name)))).or_default();
        sum.slack.extend(named.slack);
        sum.sum_ns += named.sum_ns;
        sum.on_path_ns += named.on_path_ns;
    }
    let row = |((by, name), mut named): ((By, &str), Named)| SlackRow {
        by,
        count: named.slack.len() as u64,
        sum_ns: named.sum_ns,
        on_path_ns: named.on_path_ns,
        least_slack_ns: named.slack.iter().copied().min().unwrap_or(0),
        p50_slack_ns: median(&mut named.slack),
        name: name.to_owned(),
    };
    let mut rows: Vec<SlackRow> = by_name.into_iter().map(row).collect();
    rows.sort_by_key(|row| (row.by, std::cmp::Reverse(row.sum_ns)));
    rows
}
