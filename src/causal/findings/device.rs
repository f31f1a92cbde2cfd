//! Findings about the device of one input: launches, tiny kernels, copies, kernels side by side.

use std::collections::BTreeMap;
use std::ops::Range;

use super::super::device::median;
use super::super::graph::{LaneOf, NONE, What};
use super::super::rows::PathIterationRow;
use super::super::whatif::Change;
use super::{Candidate, Facts, FindingKind, asked};
use crate::analyze::intervals::{CoverIndex, Intervals, Span};
use crate::analyze::launched::{BoundBy, launched};
use crate::store::{Store, StrId};

/// What the device rules say of an input.
pub(super) fn of_input(facts: &Facts<'_>, input: usize) -> Vec<Candidate> {
    [
        launch_bound(facts, input),
        tiny_kernels(facts, input),
        pageable_copies(facts, input),
        contention(facts, input),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Fewer iterations of a phase say nothing.
const N_ITERATIONS: usize = 3;

fn launch_bound(facts: &Facts<'_>, input: usize) -> Option<Candidate> {
    let at = &facts.subject.inputs[input];
    if at.store.strings.iter().any(|(_, name)| name.contains("GraphLaunch")) {
        return None;
    }
    let mut by_phase: BTreeMap<&str, Vec<_>> = BTreeMap::new();
    for row in facts.iterations.iter().filter(|row| row.input == at.number && row.n_launched > 0) {
        by_phase.entry(&row.phase).or_default().push(row);
    }
    let (phase, rows) = by_phase
        .into_iter()
        .max_by_key(|(_, rows)| rows.iter().map(|row| row.dur_ns).sum::<i64>())?;
    let is_bound = |row: &&&PathIterationRow| row.bound == Some(BoundBy::Host);
    let bound: Vec<_> = rows.iter().filter(is_bound).collect();
    let is_most = rows.len() >= N_ITERATIONS && bound.len() * 2 > rows.len();
    let text = format!("--cuda-graph {phase}");
    is_most.then(|| Candidate {
        kind: FindingKind::LaunchBound,
        input: Some(input),
        count: bound.len() as u64,
        ns: bound.iter().map(|row| row.host_ns).sum(),
        subject: Some(phase.to_owned()),
        asked: asked(&text, Change::CudaGraph(Some(phase.to_owned()))),
    })
}

/// Fewer kernels say nothing.
const N_KERNELS: usize = 50;

fn tiny_kernels(facts: &Facts<'_>, input: usize) -> Option<Candidate> {
    let at = &facts.subject.inputs[input];
    let all = launched(at.store, at.base);
    let is_kernel = |slice: u32| at.store.kind(slice as usize) == crate::model::EventKind::Kernel;
    let mut n_started: BTreeMap<u32, u64> = BTreeMap::new();
    all.iter().for_each(|one| *n_started.entry(one.call).or_default() += 1);
    let is_alone = |call: u32| n_started.get(&call) == Some(&1);
    let kernels: Vec<_> =
        all.iter().filter(|one| is_kernel(one.slice) && is_alone(one.call)).collect();
    let mut by_name: BTreeMap<StrId, i64> = BTreeMap::new();
    let (mut count, mut ns) = (0, 0);
    for one in &kernels {
        let call_ns = one.called.1 - one.called.0;
        if one.ran.1 - one.ran.0 < call_ns {
            (count, ns) = (count + 1, ns + call_ns);
            *by_name.entry(at.store.slices.name[one.slice as usize]).or_default() += call_ns;
        }
    }
    let is_most = kernels.len() >= N_KERNELS && count * 2 > kernels.len();
    let heaviest = by_name.into_iter().max_by_key(|&(_, ns)| ns).map(|(id, _)| id);
    (is_most && Facts::is_much(ns, facts.window_ns(input))).then(|| Candidate {
        kind: FindingKind::TinyKernels,
        input: Some(input),
        count: count as u64,
        ns,
        subject: heaviest.map(|id| at.store.strings.get(id).to_owned()),
        asked: asked("--free launch", Change::Free(What::Launch)),
    })
}

fn pageable_copies(facts: &Facts<'_>, input: usize) -> Option<Candidate> {
    let (store, graph) = (facts.subject.inputs[input].store, facts.subject.graph);
    let mut by_name: BTreeMap<&str, (u64, i64)> = BTreeMap::new();
    for lane in graph.lanes.iter().filter(|lane| lane.is_of(input)) {
        for node in lane.nodes.clone().filter(|&node| graph.nodes.what[node as usize] == What::Copy)
        {
            let slice = graph.nodes.slice[node as usize];
            if slice != NONE && store.name(slice as usize).contains("Pageable") {
                let sum = by_name.entry(store.name(slice as usize)).or_default();
                *sum = (sum.0 + 1, sum.1 + facts.subject.recorded_ns(node));
            }
        }
    }
    let (count, ns) = by_name.values().fold((0, 0), |(n, sum), one| (n + one.0, sum + one.1));
    let (name, _) = by_name.iter().max_by_key(|(_, sum)| sum.1)?;
    Facts::is_much(ns, facts.window_ns(input)).then(|| Candidate {
        kind: FindingKind::PageableCopies,
        input: Some(input),
        count,
        ns,
        subject: Some((*name).to_owned()),
        asked: asked("--drop-copy '*Pageable*'", Change::DropCopy("*Pageable*".to_owned())),
    })
}

/// A kernel is slower beside others from so many percent of its time alone on.
const SLOWER_PCT: i64 = 125;
/// Runs of a kernel, alone and beside others, that a comparison takes.
const N_RUNS: usize = 10;

/// How long each run of a kernel took, alone and beside others.
type Runs = BTreeMap<StrId, [Vec<i64>; 2]>;

/// Kernels that take longer while another stream, or another input on the same device, has kernels.
fn contention(facts: &Facts<'_>, input: usize) -> Option<Candidate> {
    let store = facts.subject.inputs[input].store;
    let mut runs = Runs::new();
    for streams in busy_by_device(facts, input).values() {
        let all = streams.iter().flat_map(|(_, busy)| busy.spans().iter().copied());
        let all = Intervals::union_of(all.collect()).index();
        for (&(at, _), alone) in streams.iter().zip(only_one(streams)) {
            let lane = &facts.subject.graph.lanes[at];
            if lane.is_of(input) {
                let beside = Beside { all: &all, alone: alone.index() };
                add_runs(facts, store, lane.nodes.clone(), &beside, &mut runs);
            }
        }
    }
    let (count, ns, slowest) = slowed(store, &mut runs);
    Facts::is_much(ns, facts.window_ns(input)).then(|| Candidate {
        kind: FindingKind::Contention,
        input: Some(input),
        count,
        ns,
        subject: slowest,
        asked: Vec::new(),
    })
}

/// Adds the kernels of a stream, but those that were beside others for less than half of their time.
fn add_runs(
    facts: &Facts<'_>,
    store: &Store,
    stream: Range<u32>,
    beside: &Beside<'_>,
    runs: &mut Runs,
) {
    let nodes = &facts.subject.graph.nodes;
    for i in stream.map(|node| node as usize) {
        if nodes.what[i] != What::Kernel || nodes.slice[i] == NONE {
            continue;
        }
        let covered_ns = beside.covered_ns(nodes.start[i], nodes.end[i]);
        let took_ns = nodes.end[i] - nodes.start[i];
        let is_beside = covered_ns * 2 > took_ns;
        if covered_ns == 0 || is_beside {
            let name = store.slices.name[nodes.slice[i] as usize];
            runs.entry(name).or_default()[usize::from(is_beside)].push(took_ns);
        }
    }
}

/// How long kernels of other streams of a device run while a kernel of one stream does: all, less what that stream is alone in.
struct Beside<'a> {
    all: &'a CoverIndex,
    alone: CoverIndex,
}

impl Beside<'_> {
    fn covered_ns(&self, start_ns: i64, end_ns: i64) -> i64 {
        self.all.covered_ns(start_ns, end_ns) - self.alone.covered_ns(start_ns, end_ns)
    }
}

/// When streams of devices have kernels, by device: of one input, and of those whose clock is that of its own.
fn busy_by_device(facts: &Facts<'_>, input: usize) -> BTreeMap<u32, Vec<(usize, Intervals)>> {
    let (graph, inputs) = (facts.subject.graph, facts.subject.inputs);
    let kernels = |at: usize| {
        let lane = graph.lanes[at].nodes.clone().map(|node| node as usize);
        let kernels = lane.filter(|&i| graph.nodes.what[i] == What::Kernel);
        let spans = kernels.map(|i| Span::new(graph.nodes.start[i], graph.nodes.end[i]));
        Intervals::union_of(spans.collect())
    };
    let is_shared = |of: usize| of == input || (inputs[of].is_placed && inputs[input].is_placed);
    let mut devices: BTreeMap<u32, Vec<(usize, Intervals)>> = BTreeMap::new();
    for (at, lane) in graph.lanes.iter().enumerate() {
        if let LaneOf::Stream(Some(device), _) = lane.of
            && is_shared(lane.input)
        {
            devices.entry(device).or_default().push((at, kernels(at)));
        }
    }
    devices
}

/// When each stream is the only one of its device that has kernels.
fn only_one(streams: &[(usize, Intervals)]) -> Vec<Intervals> {
    let mut edges: Vec<(i64, i64, usize)> = Vec::new();
    for (number, (_, busy)) in streams.iter().enumerate() {
        for span in busy.spans() {
            edges.extend([(span.start_ns, 1, number), (span.end_ns, -1, number)]);
        }
    }
    edges.sort_unstable();
    let mut found = vec![Intervals::default(); streams.len()];
    // Where one is active, the sum of the numbers of those that are is its own.
    let (mut n_active, mut numbers, mut since_ns) = (0, 0, 0);
    for (at_ns, step, number) in edges {
        if n_active == 1 && at_ns > since_ns {
            found[numbers as usize].push(Span::new(since_ns, at_ns));
        }
        (n_active, numbers, since_ns) = (n_active + step, numbers + step * number as i64, at_ns);
    }
    found
}

/// Kernels that are slower beside others: how many, by how much in sum, which one the most.
fn slowed(store: &Store, runs: &mut Runs) -> (u64, i64, Option<String>) {
    let (mut count, mut sum_ns, mut most) = (0, 0, (0, None));
    for (&name, [alone, beside]) in runs {
        if alone.len() < N_RUNS || beside.len() < N_RUNS {
            continue;
        }
        let usual_ns = median(alone);
        if median(beside) * 100 >= usual_ns * SLOWER_PCT {
            let over_ns: i64 = beside.iter().map(|ns| (ns - usual_ns).max(0)).sum();
            (count, sum_ns) = (count + beside.len() as u64, sum_ns + over_ns);
            most = most.max((over_ns, Some(store.strings.get(name).to_owned())));
        }
    }
    (count, sum_ns, most.1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Beside, only_one};
    use crate::analyze::intervals::{Intervals, Span};

    proptest! {
        #[test]
        fn beside_is_what_any_other_stream_runs(
            streams in prop::collection::vec(prop::collection::vec((0..60_i64, 0..9_i64), 0..6), 1..6),
            asked in (0..60_i64, 0..20_i64),
        ) {
            let busy = |spans: &Vec<(i64, i64)>| {
                Intervals::union_of(spans.iter().map(|&(at, ns)| Span::new(at, at + ns)).collect())
            };
            let streams: Vec<(usize, Intervals)> =
                streams.iter().map(busy).enumerate().collect();
            let all = streams.iter().flat_map(|(_, busy)| busy.spans().iter().copied());
            let all = Intervals::union_of(all.collect()).index();
            let (start_ns, end_ns) = (asked.0, asked.0 + asked.1);
            for (&(at, _), alone) in streams.iter().zip(only_one(&streams)) {
                let others = streams.iter().filter(|(other, _)| *other != at);
                let others = others.fold(Intervals::default(), |all, (_, busy)| all.union(busy));
                let beside = Beside { all: &all, alone: alone.index() };
                let expected_ns = others.index().covered_ns(start_ns, end_ns);
                prop_assert_eq!(beside.covered_ns(start_ns, end_ns), expected_ns);
            }
        }
    }
}
