//! Findings about several inputs: late ranks, exposed collectives, stages that starve others, waits that hide the limit.

use std::collections::BTreeMap;

use super::super::graph::{EdgeKind, LaneOf, NONE, What};
use super::super::path::Piece;
use super::super::whatif::Change;
use super::host::{drop_op, host_time};
use super::{Candidate, Facts, FindingKind, asked};
use crate::model::EventKind;

/// What the rules about all inputs say.
pub(super) fn of_all(facts: &Facts<'_>) -> Vec<Candidate> {
    [late_rank(facts), exposed_collectives(facts), stage_imbalance(facts), spin(facts)]
        .into_iter()
        .flatten()
        .collect()
}

/// Fewer collectives say nothing.
const N_MEETINGS: usize = 3;

/// For each collective that ranks met in: the input that came last, and by how much after the one before it.
fn last_comers(facts: &Facts<'_>) -> Vec<(usize, i64)> {
    let graph = facts.subject.graph;
    let Some(meetings) = graph.lanes.iter().find(|lane| lane.of == LaneOf::Meetings) else {
        return Vec::new();
    };
    let mut begins: BTreeMap<u32, Vec<(i64, usize)>> = BTreeMap::new();
    for edge in (0..graph.edges.count()).map(|edge| graph.edges.get(edge)) {
        if edge.kind == EdgeKind::Collective && meetings.nodes.contains(&edge.to) {
            let input = graph.lanes[graph.lane_of(edge.from)].input;
            let begin = graph.nodes.start[edge.from as usize];
            begins.entry(edge.to).or_default().push((begin, input));
        }
    }
    let last = |mut all: Vec<(i64, usize)>| {
        all.sort_unstable();
        let (&(last, input), rest) = all.split_last()?;
        Some((input, last - rest.last()?.0))
    };
    begins.into_values().filter_map(last).collect()
}

fn late_rank(facts: &Facts<'_>) -> Option<Candidate> {
    let all = last_comers(facts);
    let mut by_input: BTreeMap<usize, (usize, i64)> = BTreeMap::new();
    for &(input, late_ns) in &all {
        let sum = by_input.entry(input).or_default();
        *sum = (sum.0 + 1, sum.1 + late_ns);
    }
    let (input, (count, ns)) = by_input.into_iter().max_by_key(|&(_, (_, ns))| ns)?;
    let total_ns: i64 = all.iter().map(|&(_, ns)| ns).sum();
    let is_it = all.len() >= N_MEETINGS && ns * 4 > total_ns * 3;
    if !is_it || !Facts::is_much(ns, facts.whole_ns()) {
        return None;
    }
    let subject = excess(facts, input)?;
    Some(Candidate {
        kind: FindingKind::LateRank,
        input: Some(input),
        count: count as u64,
        ns,
        asked: drop_op(&subject),
        subject: Some(subject),
    })
}

/// A rank does something that the others do not from this many times their time on.
const TIMES_OTHERS: i64 = 4;

/// The operator or range that a rank spends most in of those that the others do not do. Without one, that a rank comes last
/// is no more than that somebody does.
fn excess(facts: &Facts<'_>, input: usize) -> Option<String> {
    let subject = facts.subject;
    let own = named_times(facts, input);
    let others: Vec<_> = (0..subject.inputs.len())
        .filter(|&other| other != input)
        .map(|other| named_times(facts, other))
        .collect();
    let over = |(name, &ns): (&String, &i64)| {
        let of_others: i64 = others.iter().map(|one| one.get(name).copied().unwrap_or(0)).sum();
        let usual_ns = of_others / (others.len().max(1) as i64);
        let is_own = ns >= usual_ns.saturating_mul(TIMES_OTHERS);
        (is_own && Facts::is_much(ns - usual_ns, facts.window_ns(input)))
            .then(|| (ns - usual_ns, name.clone()))
    };
    own.iter().filter_map(over).max().map(|(_, name)| name)
}

/// Host time by operator or range, with what is inside.
fn named_times(facts: &Facts<'_>, input: usize) -> BTreeMap<String, i64> {
    let (graph, store) = (facts.subject.graph, facts.subject.inputs[input].store);
    let mut sums: BTreeMap<String, i64> = BTreeMap::new();
    for lane in graph.lanes.iter().filter(|lane| lane.is_of(input)) {
        let LaneOf::Thread(track) = lane.of else { continue };
        for slice in store.tracks[track].slices.clone() {
            if matches!(store.kind(slice), EventKind::CpuOp | EventKind::UserAnnotation) {
                let sum = sums.entry(store.name(slice).to_owned()).or_default();
                *sum = sum.saturating_add(store.slices.dur_ns(slice));
            }
        }
    }
    sums
}

/// Communication is much from one part in so many of the path on.
const EXPOSED_PART: i64 = 20;

fn exposed_collectives(facts: &Facts<'_>) -> Option<Candidate> {
    let on_path = facts.pieces.iter().filter(|piece| piece.what == What::Comm);
    let (count, ns) = on_path.fold((0, 0), |(n, sum), piece| (n + 1, sum + piece.len_ns()));
    (ns > 0 && ns * EXPOSED_PART >= facts.whole_ns()).then(|| Candidate {
        kind: FindingKind::ExposedCollectives,
        input: None,
        count,
        ns,
        subject: None,
        asked: asked("--overlap comm", Change::Overlap(Some(What::Comm), String::new())),
    })
}

/// Stretches and time of the path in each input.
fn by_input(facts: &Facts<'_>) -> BTreeMap<usize, (u64, i64)> {
    let graph = facts.subject.graph;
    let mut sums: BTreeMap<usize, (u64, i64)> = BTreeMap::new();
    let is_known = |piece: &&Piece| piece.node != NONE && piece.edge != Some(EdgeKind::Start);
    for piece in facts.pieces.iter().filter(is_known) {
        let lane = &graph.lanes[graph.lane_of(piece.node)];
        if lane.of != LaneOf::Meetings {
            let sum = sums.entry(lane.input).or_default();
            *sum = (sum.0 + 1, sum.1 + piece.len_ns());
        }
    }
    sums
}

fn stage_imbalance(facts: &Facts<'_>) -> Option<Candidate> {
    let inputs = facts.subject.inputs;
    let (input, (count, ns)) = by_input(facts).into_iter().max_by_key(|&(_, (_, ns))| ns)?;
    let stage = inputs[input].stage?;
    let starves = (0..inputs.len()).any(|other| {
        let is_other = inputs[other].stage.is_some_and(|of| of != stage);
        is_other && host_time(facts, other, What::IpcWait).1 * 2 > facts.window_ns(other)
    });
    (starves && ns * 2 > facts.whole_ns()).then(|| Candidate {
        kind: FindingKind::StageImbalance,
        input: Some(input),
        count,
        ns,
        subject: Some(inputs[input].name()),
        asked: asked(&format!("--scale stage:{stage}=0.5"), Change::ScaleStage(stage, 0.5)),
    })
}

/// Freeing all waits is next to nothing up to this many percent of the run.
const NEXT_TO_NOTHING_PCT: i64 = 5;

fn spin(facts: &Facts<'_>) -> Option<Candidate> {
    let each = (0..facts.subject.inputs.len()).map(|input| {
        let (count, ns) = host_time(facts, input, What::IpcWait);
        (ns, count, input)
    });
    let (ns, count, input) = each.max()?;
    if ns * 5 < facts.window_ns(input) {
        return None;
    }
    let mut by_class: BTreeMap<What, i64> = BTreeMap::new();
    for piece in facts.pieces.iter().filter(|piece| piece.what != What::Outside) {
        *by_class.entry(piece.what).or_default() += piece.len_ns();
    }
    let class = |what: What| by_class.get(&what).copied().unwrap_or(0);
    let in_waits = class(What::IpcWait) + class(What::HandOff);
    let most = by_class.iter().max_by_key(|&(_, ns)| ns).map(|(what, _)| *what)?;
    let is_hidden = in_waits * 100 <= facts.whole_ns() * NEXT_TO_NOTHING_PCT;
    is_hidden.then(|| Candidate {
        kind: FindingKind::SpinHidesBottleneck,
        input: Some(input),
        count,
        ns,
        subject: Some(most.as_str().to_owned()),
        asked: asked("--free ipc", Change::Free(What::IpcWait)),
    })
}
