//! Predictions: what some changes come to, and what each class, kernel, operator and stage would bring at most.

use std::collections::BTreeMap;

use rayon::prelude::*;

use super::graph::{LaneOf, NONE, What};
use super::path::{Piece, path};
use super::replay::{Changes, Replay};
use super::rows::{BoundRow, By, ChangeRow, PredictedRow, StageRow};
use super::subject::{Measure, Subject};
use super::whatif::{Asked, Change};
use crate::analyze::percent;

/// Kernels and operators that have a bound of their own.
const N_HEAVIEST: usize = 10;

/// What a replay with changes comes to.
#[derive(Clone, Debug)]
pub struct Prediction {
    /// Its times.
    pub measure: Measure,
    /// What its path is mostly spent on; `None` for an empty one.
    pub next_bound: Option<What>,
}

/// Plays the graph with changes.
pub fn predict(subject: &Subject<'_>, changes: &Changes) -> Prediction {
    let replay = Replay::of(subject.graph, changes);
    let measure = subject.measure(&replay);
    Prediction { next_bound: most(&path(subject.graph, &replay)), measure }
}

/// What most of a path is spent on.
fn most(pieces: &[Piece]) -> Option<What> {
    let mut sums: BTreeMap<What, i64> = BTreeMap::new();
    for piece in pieces.iter().filter(|piece| piece.what != What::Outside) {
        *sums.entry(piece.what).or_default() += piece.len_ns();
    }
    sums.into_iter().max_by_key(|&(what, ns)| (ns, std::cmp::Reverse(what))).map(|(what, _)| what)
}

/// One thing that could cost nothing.
struct Candidate {
    by: By,
    name: String,
    change: Change,
}

/// What each class, heavy kernel, heavy operator and stage would bring at most, by kind and then the largest first.
pub fn bound_rows(subject: &Subject<'_>, recorded: &Measure) -> Vec<BoundRow> {
    let mut rows: Vec<BoundRow> = candidates(subject)
        .into_par_iter()
        .filter_map(|candidate| bound_row(subject, recorded, candidate))
        .collect();
    let gain = |row: &BoundRow| row.change_pct.unwrap_or(0.0);
    rows.sort_by(|a, b| {
        let by_gain = gain(a).total_cmp(&gain(b)).then(a.whole_ns.cmp(&b.whole_ns));
        a.by.cmp(&b.by).then(by_gain).then(a.name.cmp(&b.name))
    });
    rows
}

fn bound_row(subject: &Subject<'_>, recorded: &Measure, candidate: Candidate) -> Option<BoundRow> {
    let changes = subject.changes(std::slice::from_ref(&candidate.change));
    let (_, sum_ns) = touched(subject, &changes);
    if sum_ns == 0 {
        return None;
    }
    let Prediction { measure, next_bound } = predict(subject, &changes);
    let main = subject.main_input();
    let median = |measure: &Measure| measure.inputs.get(main).and_then(|input| input.median_ns());
    let (was, is) = (median(recorded), median(&measure));
    let change = |was: i64, is: i64| percent(is - was, was);
    Some(BoundRow {
        by: Some(candidate.by),
        sum_ns,
        predicted_ns: is,
        change_pct: was.zip(is).and_then(|(was, is)| change(was, is)),
        whole_ns: measure.whole_ns,
        whole_change_pct: change(recorded.whole_ns, measure.whole_ns),
        reach_pct: percent(recorded.whole_ns - measure.whole_ns, sum_ns),
        next_bound,
        name: candidate.name,
    })
}

/// The nodes that changes touch: how many, and their time as recorded.
fn touched(subject: &Subject<'_>, changes: &Changes) -> (u64, i64) {
    let nodes = &subject.graph.nodes;
    let is_touched = |&i: &usize| changes.code.get(i).is_some_and(|&code| code != 0);
    let all = (0..nodes.count()).filter(is_touched);
    all.fold((0, 0), |(n, sum), i| (n + 1, sum + subject.recorded_ns(i as u32)))
}

fn candidates(subject: &Subject<'_>) -> Vec<Candidate> {
    let class = |what: What| Candidate {
        by: By::Class,
        name: what.as_str().to_owned(),
        change: Change::Free(what),
    };
    let mut all: Vec<Candidate> = What::OF_NODES.into_iter().map(class).collect();
    for (by, name) in heaviest(subject) {
        let change = match by {
            By::Kernel => Change::FreeKernel(name.clone()),
            _ => Change::FreeOperator(name.clone()),
        };
        all.push(Candidate { by, name, change });
    }
    if subject.inputs.len() > 1 {
        let stage = |(at, input): (usize, &super::CausalInput<'_>)| Candidate {
            by: By::Stage,
            name: input.name(),
            change: Change::Stage(at),
        };
        all.extend(subject.inputs.iter().enumerate().map(stage));
    }
    all
}

/// The kernels and operators with the most time.
fn heaviest(subject: &Subject<'_>) -> Vec<(By, String)> {
    let graph = subject.graph;
    let mut sums: BTreeMap<(By, usize, u32), i64> = BTreeMap::new();
    for lane in graph.lanes.iter().filter(|lane| lane.of != LaneOf::Meetings) {
        let store = subject.inputs[lane.input].store;
        for node in lane.nodes.clone() {
            let i = node as usize;
            let (by, of) = match graph.nodes.what[i] {
                What::Kernel | What::Comm => (By::Kernel, graph.nodes.slice[i]),
                What::Copy => continue,
                _ => (By::Operator, graph.nodes.op[i]),
            };
            if of != NONE {
                let key = (by, lane.input, store.slices.name[of as usize].0);
                *sums.entry(key).or_default() += subject.recorded_ns(node);
            }
        }
    }
    let mut by_name: BTreeMap<(By, &str), i64> = BTreeMap::new();
    for ((by, input, name), ns) in sums {
        let name = subject.inputs[input].store.strings.get(crate::store::StrId(name));
        *by_name.entry((by, name)).or_default() += ns;
    }
    let mut found = Vec::new();
    for by in [By::Kernel, By::Operator] {
        let mut own: Vec<(&str, i64)> = by_name
            .iter()
            .filter(|((of, _), _)| *of == by)
            .map(|(&(_, name), &ns)| (name, ns))
            .collect();
        own.sort_by_key(|&(_, ns)| std::cmp::Reverse(ns));
        found.extend(own.into_iter().take(N_HEAVIEST).map(|(name, _)| (by, name.to_owned())));
    }
    found
}

/// Each input before and after.
pub fn stage_rows(subject: &Subject<'_>, recorded: &Measure, changed: &Measure) -> Vec<StageRow> {
    let row = |at: usize| {
        let (was, is) = (&recorded.inputs[at], &changed.inputs[at]);
        let (was_ns, is_ns) = (was.median_ns()?, is.median_ns()?);
        Some(StageRow {
            input: subject.inputs[at].number,
            unit: subject.unit_of(at),
            count: was.units.len() as u64,
            recorded_median_ns: was_ns,
            predicted_median_ns: is_ns,
            change_pct: percent(is_ns - was_ns, was_ns),
            recorded_end_ns: was.end_ns.unwrap_or(0),
            predicted_end_ns: is.end_ns.unwrap_or(0),
            label: subject.inputs[at].name(),
        })
    };
    (0..subject.inputs.len()).filter_map(row).collect()
}

/// Each iteration before and after.
pub fn predicted_rows(
    subject: &Subject<'_>,
    recorded: &Measure,
    changed: &Measure,
) -> Vec<PredictedRow> {
    let mut rows = Vec::new();
    for (at, input) in subject.inputs.iter().enumerate() {
        let both = recorded.inputs[at].units.iter().zip(&changed.inputs[at].units);
        for (number, (unit, (&recorded_ns, &predicted_ns))) in
            (0..).zip(input.units.units.iter().zip(both))
        {
            rows.push(PredictedRow {
                input: input.number,
                iteration: number,
                phase: input.units.buckets[unit.bucket as usize].phase.clone(),
                recorded_ns,
                predicted_ns,
            });
        }
    }
    rows
}

/// What each change touches.
pub fn change_rows(subject: &Subject<'_>, asked: &[Asked]) -> Vec<ChangeRow> {
    let row = |one: &Asked| {
        let changes = subject.changes(std::slice::from_ref(&one.change));
        let (n_nodes, recorded_ns) = touched(subject, &changes);
        ChangeRow { change: one.text.clone(), n_nodes, recorded_ns }
    };
    asked.iter().map(row).collect()
}
