//! Findings: what to do about a run, how much it would bring by replay, on which evidence, and what would refute it.
//!
//! A rule looks at the graph and says what it is about, how often, how long, and which change would take it away; the
//! replay says what that brings. A rule is silent where the checks of an input do not allow it, and where the replay
//! shows next to nothing, but for rules that are about just that.

mod device;
mod host;
mod ranks;

use rayon::prelude::*;

use super::bounds::predict;
use super::path::Piece;
use super::rows::{PathIterationRow, UnitOf};
use super::subject::{Measure, Subject};
use super::whatif::{Asked, Change};
use crate::analyze::percent;
use crate::schema::{tables, words};

/// Gains below this many percent are not worth a finding.
const WORTH_PCT: f64 = 1.0;

words! {
    /// What was found.
    FindingKind {
        /// The device waits for launches.
        LaunchBound "launch_bound",
        /// Kernels shorter than their launches.
        TinyKernels "tiny_kernels",
        /// Copies from or to memory that is not pinned.
        PageableCopies "pageable_copies",
        /// Copies that block the host.
        BlockingCopies "blocking_copies",
        /// Operators that wait for the device.
        SyncInLoop "sync_in_loop",
        /// One rank comes late to collectives.
        LateRank "late_rank",
        /// Collectives that nothing hides.
        ExposedCollectives "exposed_collectives",
        /// One stage holds up the others.
        StageImbalance "stage_imbalance",
        /// Waiting for other processes that is not the limit.
        SpinHidesBottleneck "spin_hides_bottleneck",
        /// Device code loaded or compiled in the window.
        ModuleLoading "module_loading",
        /// Autotuning in the window.
        Autotuning "autotuning",
        /// Garbage collection.
        GarbageCollection "garbage_collection",
        /// Waiting for input data.
        DataLoader "data_loader",
        /// Device memory allocated or released in the loop.
        AllocationInLoop "allocation_in_loop",
        /// Kernels that slow each other down on one device.
        Contention "contention",
    }
}

tables! {
    /// Something to do about a run.
    FindingRow: "findings", "Findings: what to do, and what it would bring", "What should be done about this run first, and what would that bring?", groups 0, on Path 1 {
        finding: FindingKind, Text, All, "finding", "what was found";
        input: Option<usize>, Count, All, "#", "number of the input; none where it is about several";
        count: u64, Count, All, "count", "how often: what the evidence says";
        ns: i64, Ns, All, "time", "how long: what the evidence says";
        pct: Option<f64>, Percent, All, "share", "of the window of the input, or of the run where it is about several";
        predicted_ns: Option<i64>, Ns, Room, "iteration then", "the median steady iteration of the main input in the replay without it, warm-up cut as in `steady`; none where the replay cannot tell";
        change_pct: Option<f64>, Percent, All, "iteration", "change of the median steady iteration by replay; negative is faster";
        whole_change_pct: Option<f64>, Percent, All, "whole", "change of the whole run by replay";
        unit: UnitOf, Text, Request, "unit", "what the change of an iteration is of: window where the main input has no iterations";
        subject: Option<String>, Text, All, "about", "kernel, copy, call, operator, frame, phase, input or class that it is mostly about";
        what_if: String, Text, Room, "what-if", "the options of what-if that play this, with a median of all iterations; empty where the replay cannot tell";
        evidence: &'static str, Prose, Room, "evidence", "what count and time are of";
        advice: &'static str, Prose, All / Last, "do", "what to do";
        refuted_by: &'static str, Prose, Request, "refuted by", "what would show that it is wrong";
    }
}

/// Of each kind what count and time are of, what to do, and what would refute it.
const TEXTS: [(FindingKind, [&str; 3]); FindingKind::ALL.len()] = [
    (
        FindingKind::LaunchBound,
        [
            "iterations in which the stream had run dry at more than half of the launches; the path's time in host code in them",
            "capture the iteration in a CUDA graph, or compile it, so that one call launches it all",
            "shapes or control flow that change between iterations and cannot be captured; a host that is as slow without the profiler only in the trace",
        ],
    ),
    (
        FindingKind::TinyKernels,
        [
            "kernels shorter than the call that launched them; the sum of these calls",
            "fuse them (torch.compile, a fused kernel), or launch them by a graph",
            "a device that is never idle: then the calls are hidden behind longer kernels",
        ],
    ),
    (
        FindingKind::PageableCopies,
        [
            "copies from or to pageable memory; their sum",
            "pin the host memory (pin_memory=True) and copy with non_blocking=True",
            "host memory that is pinned and was labelled wrong; copies whose result the next line needs",
        ],
    ),
    (
        FindingKind::BlockingCopies,
        [
            "calls that copy and wait for the device; time in them",
            "copy asynchronously (non_blocking=True) on a stream of its own, and wait where the data are needed",
            "a host that needs the data at once, and has nothing else to do",
        ],
    ),
    (
        FindingKind::SyncInLoop,
        [
            "operators that read a result back and waited for the device; the time of that",
            "keep the value on the device, or read it back later: no .item(), .nonzero(), .tolist() in the loop",
            "control flow that depends on the value in the same iteration",
        ],
    ),
    (
        FindingKind::LateRank,
        [
            "collectives to which this input came last; by how much the others had to wait for it",
            "take away what this rank does more than the others before its collectives",
            "clocks of the ranks that are further apart than the delays",
        ],
    ),
    (
        FindingKind::ExposedCollectives,
        [
            "stretches of the path in communication; their sum",
            "overlap communication with compute: buckets, async_op=True, a stream of its own",
            "compute that needs the result before it can go on",
        ],
    ),
    (
        FindingKind::StageImbalance,
        [
            "stretches of the path in this stage; their sum",
            "give this stage more: a device of its own, another batch size, less work for it",
            "a stage that others wait for only in the window that was recorded",
        ],
    ),
    (
        FindingKind::SpinHidesBottleneck,
        [
            "waits of work threads for other processes; time in them",
            "do not look for the time in the queue: freeing all waits brings next to nothing; the path is mostly in what is named",
            "processes that wait and share cores with those that work",
        ],
    ),
    (
        FindingKind::ModuleLoading,
        [
            "stretches of host time in which device code is loaded or compiled; their sum",
            "warm up before the window: run every shape once, CUDA_MODULE_LOADING=EAGER",
            "a service that loads as often without the profiler",
        ],
    ),
    (
        FindingKind::Autotuning,
        [
            "frames and ranges of autotuning; their sum",
            "warm up before the window, or keep the tuning cache between runs",
            "shapes that change all the time, so that tuning never ends",
        ],
    ),
    (
        FindingKind::GarbageCollection,
        [
            "frames and ranges of garbage collection; their sum",
            "freeze what stays (gc.freeze) and collect between requests",
            "memory that grows without the collections",
        ],
    ),
    (
        FindingKind::DataLoader,
        [
            "ranges in which the loop waits for its DataLoader; their sum",
            "more workers, prefetch_factor, pin_memory; move the preprocessing out of the loop",
            "workers that are limited by the storage",
        ],
    ),
    (
        FindingKind::AllocationInLoop,
        [
            "calls in iterations that ask the driver for memory or give it back; their sum",
            "allocate before the loop: warm up the caching allocator, expandable_segments, no empty_cache() in the loop",
            "sizes that grow for good reason, once",
        ],
    ),
    (
        FindingKind::Contention,
        [
            "kernels that ran while another stream or process had kernels on the device; by how much longer they took than alone",
            "do not run these side by side: one stream, other priorities, a device for each process",
            "a throughput of both together that is higher than one after the other",
        ],
    ),
];

impl FindingKind {
    /// What count and time are of; what to do; what would refute it.
    fn texts(self) -> [&'static str; 3] {
        TEXTS[self as usize].1
    }

    /// Whether a gain by replay is what makes it a finding.
    fn needs_gain(self) -> bool {
        !matches!(self, Self::SpinHidesBottleneck | Self::Contention)
    }
}

/// What the checks of an input leave out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Allowed {
    /// Whether its events are whole and their times good.
    pub host: bool,
    /// Whether its device activity is whole and joined with its launches.
    pub device: bool,
}

/// What a rule says.
#[derive(Clone, Debug)]
struct Candidate {
    kind: FindingKind,
    /// Index of the input in the graph.
    input: Option<usize>,
    count: u64,
    ns: i64,
    subject: Option<String>,
    /// What takes it away; empty where nothing does.
    asked: Vec<Asked>,
}

fn asked(text: &str, change: Change) -> Vec<Asked> {
    vec![Asked { text: text.to_owned(), change }]
}

/// What rules look at.
#[derive(Clone, Copy)]
struct Facts<'a> {
    subject: &'a Subject<'a>,
    pieces: &'a [Piece],
    iterations: &'a [PathIterationRow],
}

impl Facts<'_> {
    fn window_ns(&self, input: usize) -> i64 {
        self.subject.inputs[input].base.windows.file.len_ns()
    }

    fn whole_ns(&self) -> i64 {
        self.subject.graph.end_ns - self.subject.graph.start_ns
    }

    /// Whether a time is worth a look beside a whole: one percent of it.
    fn is_much(ns: i64, whole_ns: i64) -> bool {
        ns > 0 && ns.saturating_mul(100) >= whole_ns
    }
}

/// What is to be done, what brings most first. `unchanged` is what the unchanged replay comes to, with its path by iteration.
pub fn finding_rows(
    subject: &Subject<'_>,
    pieces: &[Piece],
    (unchanged, iterations): (&Measure, &[PathIterationRow]),
    allowed: &[Allowed],
) -> Vec<FindingRow> {
    let facts = Facts { subject, pieces, iterations };
    let mut found: Vec<Candidate> = Vec::new();
    for (input, one) in allowed.iter().enumerate() {
        if one.host {
            found.extend(host::of_input(&facts, input));
        }
        if one.host && one.device {
            found.extend(device::of_input(&facts, input));
        }
    }
    if allowed.iter().all(|one| one.host && one.device) {
        found.extend(ranks::of_all(&facts));
    }
    let row = |candidate: Candidate| finding_row(&facts, unchanged, candidate);
    let mut rows: Vec<FindingRow> = found.into_par_iter().filter_map(row).collect();
    let gain = |row: &FindingRow| {
        let [a, b] = [row.change_pct, row.whole_change_pct].map(|pct| pct.unwrap_or(0.0));
        a.min(b)
    };
    rows.sort_by(|a, b| {
        gain(a).total_cmp(&gain(b)).then((a.finding, a.input).cmp(&(b.finding, b.input)))
    });
    rows
}

fn finding_row(facts: &Facts<'_>, unchanged: &Measure, one: Candidate) -> Option<FindingRow> {
    let subject = facts.subject;
    let changes: Vec<Change> = one.asked.iter().map(|asked| asked.change.clone()).collect();
    let changed = (!changes.is_empty()).then(|| predict(subject, &subject.changes(&changes)));
    let main = one.input.unwrap_or_else(|| subject.main_input());
    let median = |measure: &Measure| subject.steady_median_ns(measure, main);
    let predicted_ns = changed.as_ref().and_then(|changed| median(&changed.measure));
    let change = |was: i64, is: i64| percent(is - was, was);
    let change_pct = median(unchanged).zip(predicted_ns).and_then(|(was, is)| change(was, is));
    let whole_change_pct =
        changed.and_then(|changed| change(unchanged.whole_ns, changed.measure.whole_ns));
    let brings = |pct: Option<f64>| pct.is_some_and(|pct| pct <= -WORTH_PCT);
    if one.kind.needs_gain() && !brings(change_pct) && !brings(whole_change_pct) {
        return None;
    }
    let texts: Vec<&str> = one.asked.iter().map(|asked| asked.text.as_str()).collect();
    let window_ns = one.input.map_or(facts.whole_ns(), |input| facts.window_ns(input));
    let [evidence, advice, refuted_by] = one.kind.texts();
    Some(FindingRow {
        finding: one.kind,
        input: one.input.map(|input| subject.inputs[input].number),
        count: one.count,
        ns: one.ns,
        pct: percent(one.ns, window_ns),
        predicted_ns,
        change_pct,
        whole_change_pct,
        unit: subject.unit_of(main),
        subject: one.subject,
        what_if: texts.join(" "),
        evidence,
        advice,
        refuted_by,
    })
}

#[cfg(test)]
mod tests {
    use super::{FindingKind, TEXTS};

    #[test]
    fn texts_stand_in_the_order_of_the_kinds() {
        assert_eq!(TEXTS.map(|(kind, _)| kind), FindingKind::ALL);
    }
}
