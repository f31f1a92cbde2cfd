//! Findings about the device of one input: launches, tiny kernels, copies, kernels side by side.

use std::collections::BTreeMap;

use super::super::device::median;
use super::super::graph::{LaneOf, NONE, What};
use super::super::rows::PathIterationRow;
use super::super::whatif::Change;
use super::{Candidate, Facts, FindingKind, asked};
use crate::analyze::intervals::{Intervals, Span};
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

/// Kernels that take longer while another stream, or another input on the same device, has kernels.
fn contention(facts: &Facts<'_>, input: usize) -> Option<Candidate> {
    let others = others_by_stream(facts, input);
    let graph = facts.subject.graph;
    let store = facts.subject.inputs[input].store;
    let mut runs: BTreeMap<StrId, [Vec<i64>; 2]> = BTreeMap::new();
    for (at, lane) in graph.lanes.iter().enumerate().filter(|(_, lane)| lane.is_of(input)) {
        let Some(beside) = others.get(&at).map(Intervals::index) else { continue };
        for node in lane.nodes.clone() {
            let i = node as usize;
            if graph.nodes.what[i] == What::Kernel && graph.nodes.slice[i] != NONE {
                let (start, end) = (graph.nodes.start[i], graph.nodes.end[i]);
                let covered_ns = beside.covered_ns(start, end);
                let is_beside = covered_ns * 2 > end - start;
                if covered_ns == 0 || is_beside {
                    let name = store.slices.name[graph.nodes.slice[i] as usize];
                    runs.entry(name).or_default()[usize::from(is_beside)].push(end - start);
                }
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

/// For each stream of an input, when others have kernels on its device.
fn others_by_stream(facts: &Facts<'_>, input: usize) -> BTreeMap<usize, Intervals> {
    let (graph, inputs) = (facts.subject.graph, facts.subject.inputs);
    let kernels = |at: usize| {
        let lane = graph.lanes[at].nodes.clone().map(|node| node as usize);
        let kernels = lane.filter(|&i| graph.nodes.what[i] == What::Kernel);
        let spans = kernels.map(|i| Span::new(graph.nodes.start[i], graph.nodes.end[i]));
        Intervals::union_of(spans.collect())
    };
    let streams: Vec<(usize, usize, Option<u32>)> = graph
        .lanes
        .iter()
        .enumerate()
        .filter_map(|(at, lane)| match lane.of {
            LaneOf::Stream(device, _) => Some((at, lane.input, device)),
            _ => None,
        })
        .collect();
    let busy: BTreeMap<usize, Intervals> =
        streams.iter().map(|&(at, ..)| (at, kernels(at))).collect();
    let is_shared = |a: usize, b: usize| a == b || (inputs[a].is_placed && inputs[b].is_placed);
    let mut found = BTreeMap::new();
    for &(at, of, device) in streams.iter().filter(|&&(_, of, _)| of == input) {
        let others = streams.iter().filter(|&&(other, other_of, other_device)| {
            other != at && device.is_some() && other_device == device && is_shared(of, other_of)
        });
        let all = others.fold(Intervals::default(), |all, (other, ..)| all.union(&busy[other]));
        found.insert(at, all);
    }
    found
}

/// Kernels that are slower beside others: how many, by how much in sum, which one the most.
fn slowed(store: &Store, runs: &mut BTreeMap<StrId, [Vec<i64>; 2]>) -> (u64, i64, Option<String>) {
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
