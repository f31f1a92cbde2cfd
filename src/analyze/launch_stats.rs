//! What it takes to start device work: the launch call, the wait in the queue, the host's time before the call; by kernel,
//! operator, phase and iteration.
//!
//! The queue wait is the begin of the activity less the later of two: the end of its call, the end of what came before it
//! on its stream. HTA's `launch_delay` (`cuda_kernel_analysis.py`) and nsys' queue time (`cuda_kern_exec_sum`) are from the end
//! of the call to the begin: waiting behind earlier work of the stream is in them.

use std::collections::BTreeSet;

use super::base::TimeBase;
use super::iterations::IterationRow;
use super::launched::{BoundBy, Launched};
use super::nesting::{NestStack, Open, Visitor, walk};
use super::percent;
use super::quantiles::Times;
use super::timeline::Class;
use super::units::{UnitSpans, unit_spans};
use crate::analyze::intervals::Span;
use crate::model::EventKind;
use crate::schema::{tables, words};
use crate::store::{Store, StrId};

words! {
    /// What launches are told apart by.
    LaunchBy {
        /// Name of the kernel, copy or memset.
        Kernel "kernel",
        /// Innermost operator around the call.
        Operator "operator",
        /// Phase of the iteration.
        Phase "phase",
        /// The iteration of the lead thread.
        Iteration "iteration",
    }
}

tables! {
    /// The launches of one kernel, operator, phase or iteration of one input.
    LaunchStatRow: "launch_stats", "What launches cost", "What do launches cost the host, how long does work wait behind them, and is the host or the device the limit?", groups 2, on Iterations 3, shown Request, carried whole {
        input: usize, Count, All, "#", "number of the input";
        by: LaunchBy, Text, All, "by", "what launches are told apart by; the rows of each hold all launches, but that phases and iterations hold those inside iterations";
        iteration: Option<u64>, Count, Room, "n", "number of the iteration on its lead thread, from 0";
        count: u64, Count, All, "started", "kernels, copies and memsets whose call is in the trace";
        calls: u64, Count, All, "calls", "calls that started them; each belongs to what it started first";
        call_sum_ns: i64, Ns, All, "in calls", "sum of the calls";
        call_p50_ns: Option<i64>, Ns, Room, "call p50", "the median call, nearest rank";
        call_p99_ns: Option<i64>, Ns, Room, "call p99", "the 99th percentile of the calls";
        queue_sum_ns: i64, Ns, All, "queue wait", "sum of the queue waits: begin on the device less the later of the end of the call and the end of what came before on the stream; 0 where it began before the call was over";
        queue_p50_ns: Option<i64>, Ns, All, "queue p50", "the median queue wait";
        queue_p99_ns: Option<i64>, Ns, Room, "queue p99", "the 99th percentile of the queue waits";
        total_sum_ns: i64, Ns, All, "call to begin", "sum of the times from the begin of the call to the begin on the device";
        total_p50_ns: Option<i64>, Ns, All, "to begin p50", "the median of these";
        total_p99_ns: Option<i64>, Ns, Room, "to begin p99", "the 99th percentile of these";
        short: u64, Count, All, "shorter than call", "started by a call of their own that took longer than they did";
        dry: u64, Count, All, "stream dry", "of what was started, that whose stream had nothing left to do when the call was over";
        bound: BoundBy, Text, All, "bound by", "host_bound where the stream was dry at more than half, else device_bound";
        graph_calls: u64, Count, Room, "graph calls", "of the calls, replays of graphs";
        of_graphs: u64, Count, Room, "of graphs", "of what was started, that of graphs";
        host_ns: i64, Ns, All, "host", "host time up to the end of each call, since the end of the launch before it on the thread, by phase and iteration at the earliest since the iteration began; the next five sum to it";
        framework_ns: i64, Ns, All, "framework", "of it in operators and Python";
        library_ns: i64, Ns, All, "library", "of it in runtime and driver calls that start nothing, and in loading of device code";
        launch_ns: i64, Ns, All, "launch", "of it in the calls";
        wait_ns: i64, Ns, Room, "waits", "of it waiting: for the device, other processes, locks";
        rest_ns: i64, Ns, Room, "rest", "of it in the profiler, and what no event explains";
        launch_pct: Option<f64>, Percent, Room, "launch share", "in the calls, of the host time without waits";
        name: String, Text, All / Subject, "name", "name of the kernel or operator; of the phase; `(none)` where no operator is around the call";
    }
}

/// Host time before and in a call, since the launch before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct HostTime {
    framework_ns: i64,
    library_ns: i64,
    launch_ns: i64,
    wait_ns: i64,
    rest_ns: i64,
}

impl HostTime {
    fn add(&mut self, other: Self) {
        self.framework_ns += other.framework_ns;
        self.library_ns += other.library_ns;
        self.launch_ns += other.launch_ns;
        self.wait_ns += other.wait_ns;
        self.rest_ns += other.rest_ns;
    }

    fn total_ns(self) -> i64 {
        self.framework_ns + self.library_ns + self.launch_ns + self.wait_ns + self.rest_ns
    }
}

/// The launches of one kind.
#[derive(Debug, Default)]
struct Group {
    calls: Vec<i64>,
    queue: Vec<i64>,
    total: Vec<i64>,
    short: u64,
    dry: u64,
    graph_calls: u64,
    of_graphs: u64,
    host: HostTime,
}

/// What is known of one launch.
struct Fact {
    one: Launched,
    is_graph: bool,
    /// Whether its call started nothing else.
    is_alone: bool,
    operator: Option<StrId>,
    /// The iteration in which it was called.
    unit: Option<usize>,
    /// Host time up to the end of the call; of what is not the first of its call, none.
    host: HostTime,
    /// The same since the iteration began.
    host_inside: HostTime,
}

impl Fact {
    fn add(&self, host: HostTime, to: &mut Group) {
        let one = &self.one;
        let call_ns = one.called.1 - one.called.0;
        if one.is_first {
            to.calls.push(call_ns);
            to.graph_calls += u64::from(self.is_graph);
            to.host.add(host);
        }
        to.short += u64::from(self.is_alone && one.ran.1 - one.ran.0 < call_ns);
        to.of_graphs += u64::from(self.is_graph);
        to.dry += u64::from(one.is_starved());
        to.queue.push(one.queue_wait_ns());
        to.total.push(one.total_ns());
    }
}

/// The launches by a number below `n`, ascending; those without one are left out.
fn by(
    facts: &[Fact],
    n: usize,
    number: impl Fn(&Fact) -> Option<usize>,
    host: impl Fn(&Fact) -> HostTime,
) -> Vec<(usize, Group)> {
    let mut groups: Vec<(usize, Group)> = Vec::new();
    let mut place = vec![usize::MAX; n];
    for fact in facts {
        let Some(number) = number(fact) else { continue };
        if place[number] == usize::MAX {
            place[number] = groups.len();
            groups.push((number, Group::default()));
        }
        fact.add(host(fact), &mut groups[place[number]].1);
    }
    groups.sort_unstable_by_key(|&(number, _)| number);
    groups
}

/// The launches of an input, by kernel, operator, phase and iteration; by kernel and operator the longest first.
pub fn launch_stats(
    store: &Store,
    base: &TimeBase,
    rows: &[IterationRow],
    launched: Vec<Launched>,
) -> Vec<LaunchStatRow> {
    let spans = unit_spans(rows, base);
    let facts = facts(store, base, &spans, launched);
    let n = store.strings.len();
    let name = |number: usize| {
        if number == n { "(none)" } else { store.strings.get(StrId(number as u32)) }
    };
    let named = |(number, group): (usize, Group)| (name(number).to_owned(), group);
    let kernel = |fact: &Fact| Some(store.slices.name[fact.one.slice as usize].0 as usize);
    let kernels = by(&facts, n, kernel, |fact| fact.host);
    let operator = |fact: &Fact| Some(fact.operator.map_or(n, |id| id.0 as usize));
    let operators = by(&facts, n + 1, operator, |fact| fact.host);
    let mut found = longest_first(base.input, LaunchBy::Kernel, kernels.into_iter().map(named));
    found.extend(longest_first(base.input, LaunchBy::Operator, operators.into_iter().map(named)));
    found.extend(in_iterations(&facts, base, &spans));
    found
}

/// What is known of each launch, by call.
fn facts(store: &Store, base: &TimeBase, spans: &UnitSpans, mut all: Vec<Launched>) -> Vec<Fact> {
    // Slices of a track are numbered in the order of time. Each stream is mostly in order, which the stable sort takes as it is.
    all.sort_by_key(|one| (one.call, !one.is_first, one.slice));
    let calls: Vec<u32> = all.iter().filter(|one| one.is_first).map(|one| one.call).collect();
    let operators = operators(store, &calls);
    let is_graph: Vec<bool> =
        store.strings.iter().map(|(_, name)| name.contains("GraphLaunch")).collect();
    let mut facts = Vec::with_capacity(all.len());
    let (mut since, mut track) = (i64::MIN, usize::MAX);
    for (of_call, operator) in all.chunk_by(|a, b| a.call == b.call).zip(operators) {
        let first = of_call[0];
        let unit = spans.at(first.called.0);
        let own = store.track_of(first.call as usize);
        (since, track) = (if own == track { since } else { i64::MIN }, own);
        let [host, host_inside] = host_times(
            base,
            track,
            &first,
            [since, unit.map_or(since, |at| spans.units[at].span.start_ns.max(since))],
        );
        since = since.max(first.called.1);
        facts.extend(of_call.iter().map(|&one| Fact {
            one,
            is_graph: is_graph[store.slices.name[one.call as usize].0 as usize],
            is_alone: of_call.len() == 1,
            operator,
            unit,
            host,
            host_inside,
        }));
    }
    facts
}

fn longest_first(
    input: usize,
    by: LaunchBy,
    groups: impl Iterator<Item = (String, Group)>,
) -> Vec<LaunchStatRow> {
    let mut rows: Vec<LaunchStatRow> =
        groups.map(|(name, group)| row(input, by, group, name)).collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.total_sum_ns));
    rows
}

/// The launches by phase and by iteration; none where there are no iterations.
fn in_iterations(facts: &[Fact], base: &TimeBase, spans: &UnitSpans) -> Vec<LaunchStatRow> {
    if spans.scheme.is_none() {
        return Vec::new();
    }
    let phases: BTreeSet<&str> = spans.buckets.iter().map(|one| one.phase.as_str()).collect();
    let phases: Vec<&str> = phases.into_iter().collect();
    let place = |phase: &str| phases.partition_point(|&one| one < phase);
    let of_bucket: Vec<usize> = spans.buckets.iter().map(|one| place(&one.phase)).collect();
    let phase = |at: usize| of_bucket[spans.units[at].bucket as usize];
    let phase_of = |at: usize| phases[phase(at)];
    let inside = |fact: &Fact| fact.host_inside;
    let of_phase = |(at, group): (usize, Group)| {
        row(base.input, LaunchBy::Phase, group, phases[at].to_owned())
    };
    let by_phase = by(facts, phases.len(), |fact| fact.unit.map(phase), inside);
    let mut rows: Vec<LaunchStatRow> = by_phase.into_iter().map(of_phase).collect();
    let of_iteration = |(at, group): (usize, Group)| LaunchStatRow {
        iteration: Some(at as u64),
        ..row(base.input, LaunchBy::Iteration, group, phase_of(at).to_owned())
    };
    let by_unit = by(facts, spans.units.len(), |fact| fact.unit, inside);
    rows.extend(by_unit.into_iter().map(of_iteration));
    rows
}

fn row(input: usize, by: LaunchBy, group: Group, name: String) -> LaunchStatRow {
    let count = group.total.len() as u64;
    let n_calls = group.calls.len() as u64;
    let [calls, queue, total] = [group.calls, group.queue, group.total].map(Times::of);
    let host = group.host;
    LaunchStatRow {
        input,
        by,
        iteration: None,
        count,
        calls: n_calls,
        call_sum_ns: calls.sum_ns,
        call_p50_ns: calls.p50_ns,
        call_p99_ns: calls.p99_ns,
        queue_sum_ns: queue.sum_ns,
        queue_p50_ns: queue.p50_ns,
        queue_p99_ns: queue.p99_ns,
        total_sum_ns: total.sum_ns,
        total_p50_ns: total.p50_ns,
        total_p99_ns: total.p99_ns,
        short: group.short,
        dry: group.dry,
        bound: BoundBy::of(group.dry, count),
        graph_calls: group.graph_calls,
        of_graphs: group.of_graphs,
        host_ns: host.total_ns(),
        framework_ns: host.framework_ns,
        library_ns: host.library_ns,
        launch_ns: host.launch_ns,
        wait_ns: host.wait_ns,
        rest_ns: host.rest_ns,
        launch_pct: percent(host.launch_ns, host.total_ns() - host.wait_ns),
        name,
    }
}

/// The host time up to the end of a call since each of two instants, the second no earlier than the first; a thread has none
/// before its window.
fn host_times(base: &TimeBase, track: usize, first: &Launched, since: [i64; 2]) -> [HostTime; 2] {
    let Some(thread) = base.thread_of_track(track) else { return Default::default() };
    let of = |since: i64| {
        let since = since.max(thread.timeline.window().start_ns);
        let (begin, end) = (first.called.0.max(since), first.called.1.max(since));
        let classes = thread.timeline.within(Span::new(since, begin));
        let sum = |of: &[Class]| of.iter().map(|&class| classes.get(class)).sum::<i64>();
        let mut time = HostTime {
            framework_ns: sum(&[Class::CpuOp, Class::Python]),
            library_ns: sum(&[Class::Runtime, Class::ModuleLoading]),
            launch_ns: end - begin,
            wait_ns: sum(&[Class::IpcWait, Class::GpuSync, Class::OtherWait]),
            rest_ns: 0,
        };
        time.rest_ns = end - since - time.total_ns();
        time
    };
    let whole = of(since[0]);
    [whole, if since[0] == since[1] { whole } else { of(since[1]) }]
}

/// Looks for calls and the operators around them.
struct Around<'a> {
    store: &'a Store,
    /// Those of the track that are still to come, ascending.
    calls: &'a [u32],
    found: Vec<Option<StrId>>,
}

impl Visitor for Around<'_> {
    fn enter(&mut self, slice: usize, above: &[Open]) {
        if self.calls.first() != Some(&(slice as u32)) {
            return;
        }
        self.calls = &self.calls[1..];
        let mut outwards = above.iter().rev().map(|open| open.slice as usize);
        let operator = outwards.find(|&one| self.store.kind(one) == EventKind::CpuOp);
        self.found.push(operator.map(|one| self.store.slices.name[one]));
    }
}

/// The innermost operator around each of some calls, which ascend.
fn operators(store: &Store, calls: &[u32]) -> Vec<Option<StrId>> {
    let is_nested = |kind: EventKind| kind == EventKind::CpuOp || kind.is_api_call();
    let mut around = Around { store, calls: &[], found: Vec::with_capacity(calls.len()) };
    let mut stack = NestStack::default();
    let track = |call: u32| store.track_of(call as usize);
    for of_track in calls.chunk_by(|&a, &b| track(a) == track(b)) {
        around.calls = of_track;
        let slices = store.tracks[track(of_track[0])].slices.clone();
        walk(store, slices, &mut stack, is_nested, &mut around);
    }
    around.found
}

#[cfg(test)]
mod tests {
    use super::{BoundBy, LaunchBy, launch_stats};
    use crate::analyze::base::{TimeBase, TimeConfig};
    use crate::analyze::iterations::iterations;
    use crate::analyze::launched::launched;
    use crate::diag::Reporter;
    use crate::store::{ChunkBuilder, DeviceRow, SliceRow, Store, TraceMeta, TrackId};

    /// Events as (name, category, track, start, length, correlation); tracks from 7 on are streams.
    fn store(events: &[(&str, &str, i64, i64, i64, u64)]) -> Store {
        let mut builder = ChunkBuilder::default();
        for &(name, category, tid, ts_ns, dur_ns, correlation) in events {
            let track = builder.track(TrackId::Int(1), TrackId::Int(tid.into()));
            let (name, category) = (builder.string(name), builder.string(category));
            let slice = builder.slice(SliceRow {
                ts_ns,
                dur_ns,
                name,
                category,
                track,
                id_a: Some(correlation),
                id_b: None,
            });
            if tid >= 7 {
                let stream = Some(tid as u32);
                let row = DeviceRow { slice, device: Some(0), stream, config: None };
                builder.device_row(row, None);
            }
        }
        Store::build(vec![builder.finish()], TraceMeta::default(), &mut Reporter::default())
    }

    #[test]
    fn a_person_can_add_it_up() {
        const CALL: &str = "cuda_runtime";
        let store = store(&[
            ("aten::empty", "cpu_op", 1, 900, 60, 0),
            ("ProfilerStep#0", "user_annotation", 1, 1_000, 2_000, 0),
            ("aten::mm", "cpu_op", 1, 1_000, 200, 0),
            ("cudaFuncGetAttributes", CALL, 1, 1_050, 20, 91),
            ("cudaLaunchKernel", CALL, 1, 1_100, 50, 1),
            ("aten::add", "cpu_op", 1, 1_300, 100, 0),
            ("cudaLaunchKernel", CALL, 1, 1_350, 40, 2),
            ("cudaGraphLaunch", CALL, 1, 1_500, 100, 3),
            ("gemm", "kernel", 7, 1_160, 400, 1),
            ("add", "kernel", 7, 1_565, 10, 2),
            ("gemm", "kernel", 7, 1_620, 30, 3),
            ("gemm", "kernel", 7, 1_660, 30, 3),
        ]);
        let base = TimeBase::new(&store, &TimeConfig::default());
        let launched = launched(&store, &base);
        let rows = launch_stats(&store, &base, &iterations(&store, &base).rows, launched);
        let of = |by: LaunchBy, name: &str| {
            rows.iter().find(|row| row.by == by && row.name == name).expect(name)
        };
        let gemm = of(LaunchBy::Kernel, "gemm");
        assert_eq!((gemm.count, gemm.calls, gemm.call_sum_ns), (3, 2, 150));
        // After its call 10; then behind the graph's call 20 and behind its first node 10.
        assert_eq!((gemm.queue_sum_ns, gemm.queue_p50_ns), (40, Some(10)));
        assert_eq!(gemm.total_sum_ns, 60 + 120 + 160);
        assert_eq!(
            (gemm.graph_calls, gemm.of_graphs, gemm.dry, gemm.bound),
            (1, 2, 2, BoundBy::Host)
        );
        let add = of(LaunchBy::Operator, "aten::add");
        // It waits for 5 behind the first kernel, and takes less than its call.
        assert_eq!((add.queue_sum_ns, add.short, add.dry), (5, 1, 0));
        // 50 of `aten::mm`, 100 of nothing, 50 of `aten::add`, then the call.
        assert_eq!(
            (add.framework_ns, add.launch_ns, add.rest_ns, add.host_ns),
            (100, 40, 100, 240)
        );
        let mm = of(LaunchBy::Operator, "aten::mm");
        assert_eq!((mm.framework_ns, mm.library_ns, mm.launch_ns), (140, 20, 50));
        assert_eq!(of(LaunchBy::Operator, "(none)").graph_calls, 1);
        let whole = rows.iter().find(|row| row.by == LaunchBy::Iteration).expect("an iteration");
        assert_eq!((whole.iteration, whole.count, whole.calls), (Some(0), 4, 3));
        // What came before the iteration is none of its time.
        assert_eq!((whole.host_ns, whole.framework_ns), (600, 190));
        let sum: i64 =
            rows.iter().filter(|r| r.by == LaunchBy::Kernel).map(|r| r.total_sum_ns).sum();
        assert_eq!(whole.total_sum_ns, sum);
    }
}
