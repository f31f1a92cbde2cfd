//! Threads of one process that hand over to each other: the lead starts another thread's work and waits for it, as
//! `backward()` does with the threads of the autograd engine.
//!
//! Nothing records this. It is taken to be so where another thread wakes from a pause that nothing explains and pauses
//! again while one stretch of the lead lasts, in which the lead itself does nothing that was recorded.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::graph::{Edge, EdgeKind, Graph, NONE, What};
use super::host::{PAUSE_NS, Stretch, ThreadStretches};
use super::input::CausalInput;
use crate::analyze::intervals::Span;

/// One hand-over: the time for which the lead waits, the other thread, its work meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct HandOver {
    lead: usize,
    lead_span: Span,
    other: usize,
    work: Span,
}

/// Finds the hand-overs among the threads of an input and marks what waits.
pub(super) fn mark(input: &CausalInput<'_>, threads: &mut [ThreadStretches]) -> Vec<HandOver> {
    let mut found = Vec::new();
    for (lead, others) in processes(input, threads) {
        if !others.is_empty() {
            join_pauses(&mut threads[lead].stretches);
        }
        for other in others {
            for work in bursts(&threads[other].stretches) {
                let Some(at) = waiting(&threads[lead].stretches, work) else { continue };
                let lead_span = threads[lead].stretches[at].span;
                threads[lead].stretches[at].is_wait = true;
                if let Some(pause) = pause_before(&mut threads[other].stretches, work.start_ns) {
                    pause.is_wait = true;
                }
                found.push(HandOver { lead, lead_span, other, work });
            }
        }
    }
    found
}

/// The edges of the hand-overs; `lanes` are those of the threads.
pub(super) fn edges(
    graph: &Graph,
    found: &[HandOver],
    lanes: &[usize],
    offset_ns: i64,
) -> Vec<Edge> {
    let at = |ns: i64| ns.saturating_add(offset_ns);
    let kind = EdgeKind::Thread;
    let mut edges = Vec::new();
    for (nth, one) in found.iter().enumerate() {
        let is_first = nth == 0
            || (found[nth - 1].lead_span, found[nth - 1].other) != (one.lead_span, one.other);
        let lead = graph.node_at(lanes[one.lead], at(one.lead_span.start_ns));
        let begin = instant(graph, lanes[one.other], at(one.work.start_ns));
        if let (Some(from), Some(to), true) = (lead, begin, is_first) {
            edges.push(Edge { from, to, gap: 0, kind, from_start: true });
        }
        let last = graph.node_at(lanes[one.other], at(one.work.end_ns - 1));
        let end = instant(graph, lanes[one.lead], at(one.lead_span.end_ns));
        if let (Some(from), Some(to)) = (last, end) {
            edges.push(Edge { from, to, gap: 0, kind, from_start: false });
        }
    }
    edges
}

/// The node of a lane that stands for an instant: where a wait ends, or the first that begins then.
fn instant(graph: &Graph, lane: usize, t_ns: i64) -> Option<u32> {
    let mut node = graph.node_at(lane, t_ns).filter(|&n| graph.nodes.start[n as usize] == t_ns)?;
    while node > graph.lanes[lane].nodes.start && graph.nodes.start[node as usize - 1] == t_ns {
        node -= 1;
    }
    Some(node)
}

/// Each process's lead with its other threads, as indices. The lead is the thread whose iterations are looked at; where
/// there are none, the one with the most explained time.
fn processes(input: &CausalInput<'_>, threads: &[ThreadStretches]) -> Vec<(usize, Vec<usize>)> {
    let explained = |thread: &ThreadStretches| -> i64 {
        let known = thread.stretches.iter().filter(|one| one.what != What::Unattributed);
        known.map(|one| one.span.len_ns()).sum()
    };
    let (mut numbers, mut groups) = (BTreeMap::new(), Vec::<Vec<usize>>::new());
    for (at, thread) in threads.iter().enumerate() {
        let pid = input.store.tracks[thread.track].pid;
        let number = *numbers.entry(pid).or_insert(groups.len());
        if number == groups.len() {
            groups.push(Vec::new());
        }
        groups[number].push(at);
    }
    let with_lead = |mut own: Vec<usize>| {
        let is_lead = |at: usize| input.units.lead == Some(threads[at].track);
        own.sort_by_cached_key(|&at| (!is_lead(at), Reverse(explained(&threads[at])), at));
        let lead = own.first().copied()?;
        Some((lead, own.split_off(1)))
    };
    groups.into_iter().filter_map(with_lead).collect()
}

/// Joins stretches of one event that only the profiler's own work parts: the thread waited all the time.
fn join_pauses(stretches: &mut Vec<Stretch>) {
    let does_nothing = |one: &Stretch| one.what == What::Unattributed && one.slice != NONE;
    let mut kept: Vec<Stretch> = Vec::with_capacity(stretches.len());
    for one in stretches.drain(..) {
        let parted = matches!(kept.last(), Some(last) if last.what == What::Profiler);
        let around = kept.len().checked_sub(2).map(|at| kept[at]);
        match around {
            Some(first)
                if parted
                    && does_nothing(&one)
                    && does_nothing(&first)
                    && first.slice == one.slice =>
            {
                kept.pop();
                if let Some(last) = kept.last_mut() {
                    last.span.end_ns = one.span.end_ns;
                }
            }
            _ => kept.push(one),
        }
    }
    *stretches = kept;
}

/// The work of a thread between pauses.
fn bursts(stretches: &[Stretch]) -> Vec<Span> {
    let mut found: Vec<Span> = Vec::new();
    for one in stretches.iter().filter(|one| !is_pause(one)) {
        match found.last_mut() {
            Some(last) if last.end_ns == one.span.start_ns => last.end_ns = one.span.end_ns,
            _ => found.push(one.span),
        }
    }
    found
}

fn is_pause(one: &Stretch) -> bool {
    one.what == What::Unattributed && one.span.len_ns() >= PAUSE_NS
}

/// The stretch of the lead that holds a span, where the lead does nothing in it.
fn waiting(lead: &[Stretch], work: Span) -> Option<usize> {
    let after = lead.partition_point(|one| one.span.start_ns <= work.start_ns);
    let at = after.checked_sub(1)?;
    let one = lead[at];
    let does_nothing = matches!(one.what, What::Unattributed | What::Python | What::CpuOp);
    (does_nothing && one.span.end_ns >= work.end_ns).then_some(at)
}

/// The pause that ends when the work begins.
fn pause_before(stretches: &mut [Stretch], t_ns: i64) -> Option<&mut Stretch> {
    let at = stretches.partition_point(|one| one.span.start_ns < t_ns).checked_sub(1)?;
    Some(&mut stretches[at]).filter(|one| is_pause(one))
}
