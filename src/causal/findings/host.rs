//! Findings about the host of one input: loading, tuning, collection, data, allocation, synchronization, copies.

use std::collections::{BTreeMap, BTreeSet};

use super::super::graph::{LaneOf, NONE, What};
use super::super::whatif::{Asked, Change};
use super::{Candidate, Facts, FindingKind, asked};
use crate::analyze::intervals::{Intervals, Span};
use crate::analyze::memory_live::asks_driver;
use crate::model::EventKind;

/// Operators that read a result back, the outer ones first.
const READS_BACK: [&str; 7] = [
    "aten::item",
    "aten::nonzero",
    "aten::is_nonzero",
    "aten::equal",
    "aten::tolist",
    "aten::_unique2",
    "aten::_local_scalar_dense",
];

/// What the host rules say of an input.
pub(super) fn of_input(facts: &Facts<'_>, input: usize) -> Vec<Candidate> {
    let named = |kind: FindingKind, is_it: fn(&str) -> bool| in_named(facts, input, kind, is_it);
    [
        module_loading(facts, input),
        named(FindingKind::Autotuning, is_autotuning),
        named(FindingKind::GarbageCollection, is_collection),
        named(FindingKind::DataLoader, |name| name.starts_with("enumerate(DataLoader)")),
        allocation(facts, input),
        sync_in_loop(facts, input),
        blocking_copies(facts, input),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn is_autotuning(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.contains("autotune") || name.ends_with(": do_bench") || name.ends_with("_do_bench")
}

fn is_collection(name: &str) -> bool {
    let is_builtin = name.starts_with("<built-in") && name.contains(" collect");
    is_builtin || matches!(name, "gc" | "gc.collect") || name.ends_with(": gc_collect")
}

/// Nodes of the host threads of an input with their time as recorded.
fn host_nodes<'a>(facts: &Facts<'a>, input: usize) -> impl Iterator<Item = (usize, i64)> + 'a {
    let graph = facts.subject.graph;
    let own = graph.lanes.iter().filter(move |lane| lane.is_of(input));
    let threads = own.filter(|lane| matches!(lane.of, LaneOf::Thread(_)));
    threads.flat_map(move |lane| {
        lane.nodes.clone().map(move |node| {
            let i = node as usize;
            let until = match node + 1 < lane.nodes.end {
                true => graph.nodes.start[i + 1],
                false => graph.nodes.end[i],
            };
            (i, until - graph.nodes.start[i])
        })
    })
}

/// How many stretches of a kind of host time there are, and their sum.
pub(super) fn host_time(facts: &Facts<'_>, input: usize, what: What) -> (u64, i64) {
    let nodes = &facts.subject.graph.nodes;
    let own = host_nodes(facts, input).filter(|&(i, ns)| nodes.what[i] == what && ns > 0);
    own.fold((0, 0), |(n, sum), (_, ns)| (n + 1, sum + ns))
}

fn module_loading(facts: &Facts<'_>, input: usize) -> Option<Candidate> {
    let (count, ns) = host_time(facts, input, What::ModuleLoading);
    Facts::is_much(ns, facts.window_ns(input)).then(|| Candidate {
        kind: FindingKind::ModuleLoading,
        input: Some(input),
        count,
        ns,
        subject: None,
        asked: asked("--free module_loading", Change::Free(What::ModuleLoading)),
    })
}

/// Host time in events of some names, those inside each other once.
fn in_named(
    facts: &Facts<'_>,
    input: usize,
    kind: FindingKind,
    is_it: impl Fn(&str) -> bool,
) -> Option<Candidate> {
    let at = &facts.subject.inputs[input];
    let store = at.store;
    let is_named: Vec<bool> = store.strings.iter().map(|(_, name)| is_it(name)).collect();
    let mut by_name: BTreeMap<&str, Vec<Span>> = BTreeMap::new();
    let mut count = 0;
    for lane in facts.subject.graph.lanes.iter().filter(|lane| lane.is_of(input)) {
        let LaneOf::Thread(track) = lane.of else { continue };
        for slice in store.tracks[track].slices.clone() {
            let is_host = matches!(
                store.kind(slice),
                EventKind::CpuOp | EventKind::UserAnnotation | EventKind::PythonFunction
            );
            if is_host && is_named[store.slices.name[slice].0 as usize] {
                let span = Span::new(store.slices.ts_ns[slice], store.slices.end_ns(slice));
                let span = span.clip(at.base.windows.file);
                by_name.entry(store.name(slice)).or_default().push(span);
                count += 1;
            }
        }
    }
    let by_name: BTreeMap<&str, Intervals> =
        by_name.into_iter().map(|(name, spans)| (name, Intervals::union_of(spans))).collect();
    let all = by_name.values().fold(Intervals::default(), |all, own| all.union(own));
    let (name, _) = by_name.iter().max_by_key(|(_, own)| own.total_ns())?;
    Facts::is_much(all.total_ns(), facts.window_ns(input)).then(|| Candidate {
        kind,
        input: Some(input),
        count,
        ns: all.total_ns(),
        subject: Some((*name).to_owned()),
        asked: by_name.keys().flat_map(|name| drop_op(name)).collect(),
    })
}

/// Leaves out what is of a name.
pub(super) fn drop_op(name: &str) -> Vec<Asked> {
    asked(&format!("--drop-op '{name}'"), Change::DropOp(name.to_owned()))
}

/// Calls are free, and wait for nothing.
fn free_call(name: &str) -> Vec<Asked> {
    asked(&format!("--free 'call:{name}'"), Change::FreeCall(name.to_owned()))
}

/// Whether an instant of the graph lies in an iteration of the input.
fn is_in_iteration(facts: &Facts<'_>, input: usize, t_ns: i64) -> bool {
    let at = &facts.subject.inputs[input];
    at.units.scheme.is_some() && at.units.at(t_ns.saturating_sub(at.offset_ns)).is_some()
}

/// Calls inside iterations by name: how many, how long.
fn calls(
    facts: &Facts<'_>,
    input: usize,
    is_it: impl Fn(What, &str) -> bool,
) -> BTreeMap<String, (u64, i64)> {
    let subject = facts.subject;
    let nodes = &subject.graph.nodes;
    let mut by_name: BTreeMap<String, (u64, i64)> = BTreeMap::new();
    let store = subject.inputs[input].store;
    let mut last = NONE;
    for (i, ns) in host_nodes(facts, input).filter(|&(i, _)| nodes.slice[i] != NONE) {
        let slice = nodes.slice[i];
        let is_call = store.kind(slice as usize).is_api_call();
        let name = store.name(slice as usize);
        if is_call && is_it(nodes.what[i], name) && is_in_iteration(facts, input, nodes.start[i]) {
            let sum = by_name.entry(name.to_owned()).or_default();
            *sum = (sum.0 + u64::from(slice != last), sum.1 + ns);
            last = slice;
        }
    }
    by_name
}

/// A finding about calls of some names that could be free.
fn about_calls(
    facts: &Facts<'_>,
    input: usize,
    kind: FindingKind,
    by_name: &BTreeMap<String, (u64, i64)>,
) -> Option<Candidate> {
    let (count, ns) = by_name.values().fold((0, 0), |(n, sum), one| (n + one.0, sum + one.1));
    let (name, _) = by_name.iter().max_by_key(|(_, sum)| sum.1)?;
    Facts::is_much(ns, facts.window_ns(input)).then(|| Candidate {
        kind,
        input: Some(input),
        count,
        ns,
        subject: Some(name.clone()),
        asked: by_name.keys().flat_map(|name| free_call(name)).collect(),
    })
}

fn allocation(facts: &Facts<'_>, input: usize) -> Option<Candidate> {
    let found = calls(facts, input, |_, name| asks_driver(name));
    about_calls(facts, input, FindingKind::AllocationInLoop, &found)
}

fn blocking_copies(facts: &Facts<'_>, input: usize) -> Option<Candidate> {
    let is_it = |what: What, name: &str| {
        what == What::GpuSync
            && ["cudaMemcpy", "hipMemcpy", "cuMemcpy"].iter().any(|n| name.starts_with(n))
    };
    let found = calls(facts, input, is_it);
    about_calls(facts, input, FindingKind::BlockingCopies, &found)
}

/// Waits for the device inside operators that read a result back.
fn sync_in_loop(facts: &Facts<'_>, input: usize) -> Option<Candidate> {
    let at = &facts.subject.inputs[input];
    let store = at.store;
    let nodes = &facts.subject.graph.nodes;
    let mut spans: Vec<(Span, &str)> = Vec::new();
    let ids: Vec<_> = READS_BACK.iter().filter_map(|name| store.strings.find(name)).collect();
    for lane in facts.subject.graph.lanes.iter().filter(|lane| lane.is_of(input)) {
        let LaneOf::Thread(track) = lane.of else { continue };
        let mut until = i64::MIN;
        for slice in store.tracks[track].slices.clone() {
            let is_op = store.kind(slice) == EventKind::CpuOp;
            let start = store.slices.ts_ns[slice].saturating_add(at.offset_ns);
            if is_op && ids.contains(&store.slices.name[slice]) && start >= until {
                until = store.slices.end_ns(slice).saturating_add(at.offset_ns);
                spans.push((Span::new(start, until), store.name(slice)));
            }
        }
    }
    spans.sort_unstable();
    let mut by_name: BTreeMap<&str, i64> = BTreeMap::new();
    let mut waited: BTreeSet<Span> = BTreeSet::new();
    for (i, ns) in host_nodes(facts, input).filter(|&(i, _)| nodes.what[i] == What::GpuSync) {
        let start = nodes.start[i];
        let after = spans.partition_point(|(span, _)| span.start_ns <= start);
        let around =
            after.checked_sub(1).map(|n| spans[n]).filter(|(span, _)| span.contains(start));
        if let Some((span, name)) = around
            && is_in_iteration(facts, input, start)
        {
            *by_name.entry(name).or_default() += ns;
            waited.insert(span);
        }
    }
    let ns = by_name.values().sum();
    let (name, _) = by_name.iter().max_by_key(|(_, ns)| **ns)?;
    let is_often = waited.len() * 2 >= at.units.units.len();
    (is_often && Facts::is_much(ns, facts.window_ns(input))).then(|| Candidate {
        kind: FindingKind::SyncInLoop,
        input: Some(input),
        count: waited.len() as u64,
        ns,
        subject: Some((*name).to_owned()),
        asked: by_name.keys().flat_map(|name| drop_op(name)).collect(),
    })
}
