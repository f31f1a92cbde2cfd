//! Threads of one process that hand over to each other: the lead starts another thread's work and waits for it, as
//! `backward()` does with the threads of the autograd engine.
//!
//! Nothing records this. It is taken to be so where another thread wakes from a pause that nothing explains and pauses
//! again while the lead does nothing that was recorded, but for little that it is given to do meanwhile: gradients that
//! stay on the host are added up by the thread that called `backward()`.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::graph::{Edge, EdgeKind, Graph, NONE, What};
use super::host::{PAUSE_NS, Stretch, ThreadStretches};
use super::input::CausalInput;
use crate::analyze::intervals::Span;

/// One hand-over: the times for which the lead waits, the other thread, its work meanwhile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HandOver {
    lead: usize,
    /// In time order; the work begins in the first one.
    waits: Vec<Span>,
    other: usize,
    work: Span,
}

/// The lead may work for this share of the time of another thread that it waits for, in parts of a hundred.
const LEAD_WORKS_PCT: i64 = 10;

/// Finds the hand-overs among the threads of an input and marks what waits.
pub(super) fn mark(input: &CausalInput<'_>, threads: &mut [ThreadStretches]) -> Vec<HandOver> {
    let mut found = Vec::new();
    for (lead, others) in processes(input, threads) {
        if !others.is_empty() {
            join_pauses(&mut threads[lead].stretches);
        }
        for other in others {
            for work in bursts(&threads[other].stretches) {
                let Some(waiting) = waiting(&threads[lead].stretches, work) else { continue };
                let mut waits = Vec::with_capacity(waiting.len());
                for at in waiting {
                    let stretch = &mut threads[lead].stretches[at];
                    stretch.is_wait = true;
                    waits.push(stretch.span);
                }
                if let Some(pause) = pause_before(&mut threads[other].stretches, work.start_ns) {
                    pause.is_wait = true;
                }
                found.push(HandOver { lead, waits, other, work });
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
        let begins_in = one.waits[0];
        let is_first =
            nth == 0 || (found[nth - 1].waits[0], found[nth - 1].other) != (begins_in, one.other);
        let lead = graph.node_at(lanes[one.lead], at(begins_in.start_ns));
        let begin = instant(graph, lanes[one.other], at(one.work.start_ns));
        if let (Some(from), Some(to), true) = (lead, begin, is_first) {
            edges.push(Edge { from, to, gap: 0, kind, from_start: true });
        }
        for wait in &one.waits {
            let until = at(wait.end_ns.min(one.work.end_ns));
            let last = ended(graph, lanes[one.other], until);
            let end = instant(graph, lanes[one.lead], at(wait.end_ns));
            if let (Some(from), Some(to)) = (last, end) {
                edges.push(Edge { from, to, gap: 0, kind, from_start: false });
            }
        }
    }
    edges
}

/// The last node of a lane that ended by an instant.
fn ended(graph: &Graph, lane: usize, t_ns: i64) -> Option<u32> {
    let node = graph.node_at(lane, t_ns - 1)?;
    let is_over = graph.nodes.end[node as usize] <= t_ns;
    if is_over {
        Some(node)
    } else {
        node.checked_sub(1).filter(|&n| n >= graph.lanes[lane].nodes.start)
    }
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

/// The stretches of the lead that wait for another thread's work, all of one event: the one in which it begins, the one in
/// which it ends, and pauses between. `None` where the lead works itself meanwhile.
fn waiting(lead: &[Stretch], work: Span) -> Option<Vec<usize>> {
    let first = lead.partition_point(|one| one.span.start_ns <= work.start_ns).checked_sub(1)?;
    let after = lead.partition_point(|one| one.span.start_ns < work.end_ns);
    let last = after.checked_sub(1).filter(|&at| at >= first)?;
    let around = lead[first].slice;
    let waits = |one: &Stretch| does_nothing(one) && one.slice == around;
    let own = lead[first..after].iter().filter(|one| !waits(one));
    let own_ns: i64 = own.map(|one| one.span.clip(work).len_ns()).sum();
    let does_wait = waits(&lead[first]) && waits(&lead[last]);
    if !does_wait
        || lead[last].span.end_ns < work.end_ns
        || own_ns * 100 > work.len_ns() * LEAD_WORKS_PCT
    {
        return None;
    }
    let is_wait = |&at: &usize| {
        let is_end = at == first || at == last;
        waits(&lead[at]) && (is_end || lead[at].span.len_ns() >= PAUSE_NS)
    };
    Some((first..after).filter(is_wait).collect())
}

/// Whether nothing recorded happens on a thread within a stretch.
fn does_nothing(one: &Stretch) -> bool {
    matches!(one.what, What::Unattributed | What::Python | What::CpuOp)
}

/// The pause that ends when the work begins.
fn pause_before(stretches: &mut [Stretch], t_ns: i64) -> Option<&mut Stretch> {
    let at = stretches.partition_point(|one| one.span.start_ns < t_ns).checked_sub(1)?;
    Some(&mut stretches[at]).filter(|one| is_pause(one))
}
