//! `diff` over generated pairs of traces: accounts against a reading nanosecond by nanosecond; how often equal programs are
//! told apart, and how often a planted slowdown is named first. `PAIRS=200` tries more pairs than the default.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::collections::BTreeMap;
use std::fmt::Write as _;

use omni_trace::analyze::base::{TimeBase, TimeConfig};
use omni_trace::analyze::units::{InputUnits, units};
use omni_trace::compare::{Comparison, Options, Run, Verdict, compare};
use omni_trace::read::{ReadOptions, read_input};
use proptest::prelude::*;

/// An event of a trace: category, name, track, start, end, correlation.
#[derive(Clone, Debug)]
struct Event {
    category: &'static str,
    name: String,
    tid: u32,
    start_ns: i64,
    end_ns: i64,
    correlation: u64,
}

fn text(events: &[Event]) -> String {
    let mut out = String::from(
        "{\"schemaVersion\":1,\"deviceProperties\":[{\"id\":0,\"name\":\"GPU\",\"totalGlobalMem\":1}],\"traceEvents\":[\n",
    );
    for (i, e) in events.iter().enumerate() {
        let is_device = ["kernel", "gpu_memcpy"].contains(&e.category);
        let pid = if is_device { 0 } else { 100 };
        let us = |ns: i64| format!("{}.{:03}", ns / 1_000, ns % 1_000);
        let args = match (e.correlation, is_device) {
            (0, _) => String::new(),
            (id, false) => format!(",\"args\":{{\"correlation\":{id}}}"),
            (id, true) => {
                format!(",\"args\":{{\"device\":0,\"stream\":{},\"correlation\":{id}}}", e.tid)
            }
        };
        let comma = if i > 0 { ",\n" } else { "" };
        let _ = write!(
            out,
            "{comma}{{\"ph\":\"X\",\"cat\":\"{}\",\"name\":\"{}\",\"pid\":{pid},\"tid\":{},\"ts\":{},\"dur\":{}{args}}}",
            e.category,
            e.name,
            e.tid,
            us(e.start_ns),
            us(e.end_ns - e.start_ns)
        );
    }
    out + "\n]}\n"
}

fn units_of(events: &[Event]) -> InputUnits {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trace.json");
    std::fs::write(&path, text(events)).unwrap();
    let input = read_input(&path, &ReadOptions { threads: 1, ..ReadOptions::default() }).unwrap();
    let config = TimeConfig::default();
    let base = TimeBase::new(&input.store, &config);
    units(&input.store, &base, &config.rules, &input.identity)
}

fn run(events: &[Event]) -> Vec<Run> {
    vec![Run { name: "generated".to_owned(), inputs: vec![units_of(events)] }]
}

// ---- accounts against a reading nanosecond by nanosecond ----

/// What one iteration does, in nanoseconds from its start.
#[derive(Clone, Debug)]
struct Step {
    /// Requests of its annotation, which are its bucket.
    requests: u64,
    len_ns: i64,
    /// Operators: number of the name, start, length; calls inside them.
    ops: Vec<(u8, i64, i64)>,
    /// Activities: kind and number of the name, stream, start, length.
    activities: Vec<(u8, u32, i64, i64)>,
}

const START_NS: i64 = 1_000_000;
const GAP_NS: i64 = 40;

fn events_of(steps: &[Step]) -> Vec<Event> {
    let mut out = Vec::new();
    let mut at = START_NS;
    let mut id = 0;
    for step in steps {
        let event = |category, name: String, tid, start: i64, len: i64, correlation| Event {
            category,
            name,
            tid,
            start_ns: at + start,
            end_ns: at + start + len,
            correlation,
        };
        let name = format!("execute_context_0(0)_generation_{}(4)", step.requests);
        out.push(event("user_annotation", name, 1, 0, step.len_ns, 0));
        for &(op, start, len) in &step.ops {
            out.push(event("cpu_op", format!("aten::op{op}"), 1, start, len, 0));
        }
        for &(kind, stream, start, len) in &step.activities {
            id += 1;
            // The call that starts it, at the start of the iteration.
            out.push(event("cuda_runtime", "cudaLaunchKernel".to_owned(), 1, 0, 2, id));
            let (category, name) = match kind {
                0..=2 => ("kernel", format!("kernel{kind}")),
                3 => ("kernel", "ncclDevKernel_AllReduce_Sum".to_owned()),
                _ => ("gpu_memcpy", "Memcpy HtoD (Pinned -> Device)".to_owned()),
            };
            out.push(event(category, name, stream, start, len, id));
        }
        at += step.len_ns + GAP_NS;
    }
    out
}

/// A unit read nanosecond by nanosecond: bucket, length, time by account, class and name.
type NaiveUnit = (u64, i64, BTreeMap<String, i64>);

/// The units of a side.
type Naive = Vec<NaiveUnit>;

fn naive(steps: &[Step]) -> Naive {
    let events = events_of(steps);
    let mut out = Vec::new();
    let mut at = START_NS;
    // The last iteration has no next one.
    for step in &steps[..steps.len() - 1] {
        let len = step.len_ns + GAP_NS;
        let mut parts: BTreeMap<String, i64> = BTreeMap::new();
        for t in at..at + len {
            for key in [lead_at(&events, t), device_at(&events, t)] {
                *parts.entry(key).or_default() += 1;
            }
        }
        out.push((step.requests, len, parts));
        at += len;
    }
    out
}

fn lead_at(events: &[Event], t: i64) -> String {
    let (class, name) = host_at(events, t);
    format!("lead/{class}/{name}")
}

/// The innermost operator or call: of those that cover an instant the one that starts last, then ends first.
fn host_at(events: &[Event], t: i64) -> (&'static str, String) {
    let is_host = |e: &&Event| ["cpu_op", "cuda_runtime"].contains(&e.category);
    let covering =
        events.iter().enumerate().filter(|(_, e)| is_host(e) && e.start_ns <= t && t < e.end_ns);
    match covering.max_by_key(|(i, e)| (e.start_ns, -e.end_ns, *i)) {
        None => ("unattributed", "unattributed".to_owned()),
        Some((_, e)) if e.category == "cpu_op" => ("cpu_op", e.name.clone()),
        Some((_, e)) => ("runtime", e.name.clone()),
    }
}

fn device_at(events: &[Event], t: i64) -> String {
    let class = |e: &Event| match e.category {
        "kernel" if e.name.starts_with("nccl") => Some((1, "comm")),
        "kernel" => Some((0, "kernel")),
        "gpu_memcpy" => Some((2, "copy")),
        _ => None,
    };
    let running = events.iter().enumerate().filter(|(_, e)| e.start_ns <= t && t < e.end_ns);
    let running = running.filter_map(|(i, e)| Some((class(e)?, e, i)));
    match running.min_by_key(|((rank, _), e, i)| (*rank, e.start_ns, e.end_ns, e.tid, *i)) {
        Some(((_, class), e, _)) => format!("device/{class}/{}", e.name),
        None => {
            let class = host_at(events, t).0;
            let cause = if class == "unattributed" { "not_recorded" } else { class };
            format!("device/idle/{cause}")
        }
    }
}

/// An exact fraction: number over number.
#[derive(Clone, Copy)]
struct Exact(i128, i128);

impl Exact {
    fn plus(self, other: Self) -> Self {
        Self(self.0 * other.1 + other.0 * self.1, self.1 * other.1)
    }
    fn is_near(self, ns: i64) -> bool {
        (i128::from(ns) * self.1 - self.0).abs() < self.1
    }
    fn is_whole(self) -> bool {
        self.0 % self.1 == 0
    }
}

/// The mean of a part on both sides over the buckets of both, weighted as in B.
fn exact(a: &Naive, b: &Naive, value: &dyn Fn(&NaiveUnit) -> i64) -> [Exact; 2] {
    let buckets: Vec<u64> =
        (1..=2).filter(|k| [a, b].iter().all(|s| s.iter().any(|u| u.0 == *k))).collect();
    let mut out = [Exact(0, 1), Exact(0, 1)];
    for k in buckets {
        let of = |side: &Naive| -> (i128, i128) {
            let own = side.iter().filter(|unit| unit.0 == k);
            (own.clone().map(|unit| i128::from(value(unit))).sum(), own.count() as i128)
        };
        let ((sum_a, n_a), (sum_b, n_b)) = (of(a), of(b));
        let all = b.len() as i128;
        out[0] = out[0].plus(Exact(sum_a * n_b, n_a * all));
        out[1] = out[1].plus(Exact(sum_b, all));
    }
    out
}

fn check_pair(a: &[Step], b: &[Step]) {
    let options = Options { keeps_warmup: true, ..Options::default() };
    let found = compare(&run(&events_of(a)), &run(&events_of(b)), &options);
    let (a, b) = (naive(a), naive(b));
    let Some(total) = found.total.as_ref() else {
        let is_matched = |k: u64| [&a, &b].iter().all(|side| side.iter().any(|unit| unit.0 == k));
        assert!(!is_matched(1) && !is_matched(2));
        return;
    };
    let mean = |side: &Naive| Exact(side.iter().map(|u| i128::from(u.1)).sum(), side.len() as i128);
    assert!(mean(&a).is_near(total.a_ns) && mean(&b).is_near(total.b_ns));
    assert_eq!(total.b_ns - total.a_ns, total.diff_ns);
    assert_eq!(total.rate_ns + total.mix_ns, total.diff_ns);
    let [rate_a, rate_b] = exact(&a, &b, &|unit| unit.1);
    assert!(
        rate_b
            .plus(Exact(-rate_a.0, rate_a.1))
            .plus(Exact(-i128::from(total.rate_ns), 1))
            .is_near(0)
    );
    for account in ["device", "lead"] {
        let own: Vec<_> =
            found.accounts.iter().filter(|row| row.account.as_str() == account).collect();
        assert_eq!(own.iter().map(|row| row.a_ns).sum::<i64>(), total.a_ns);
        assert_eq!(own.iter().map(|row| row.b_ns).sum::<i64>(), total.b_ns);
        assert_eq!(own.iter().map(|row| row.diff_ns).sum::<i64>(), total.diff_ns);
    }
    let keys: std::collections::BTreeSet<&String> =
        a.iter().chain(&b).flat_map(|unit| unit.2.keys()).collect();
    for key in keys {
        let [in_a, in_b] = exact(&a, &b, &|unit| unit.2.get(key).copied().unwrap_or(0));
        let row = found.accounts.iter().find(|row| row.key == *key);
        let Some(row) = row else {
            assert!(in_a.0 == 0 && in_b.0 == 0, "{key}");
            continue;
        };
        let diff = in_b.plus(Exact(-in_a.0, in_a.1));
        assert!(in_a.is_near(row.a_ns) && diff.is_near(row.diff_ns), "{key}: {row:?}");
        if in_a.is_whole() && in_b.is_whole() {
            assert_eq!(i128::from(row.a_ns), in_a.0 / in_a.1, "{key}");
            assert_eq!(i128::from(row.b_ns), in_b.0 / in_b.1, "{key}");
        }
    }
    let n_rows = found.accounts.iter().filter(|row| row.a_ns != 0 || row.b_ns != 0).count();
    assert!(n_rows >= 4, "{n_rows}");
}

fn step() -> impl Strategy<Value = Step> {
    let ops = prop::collection::vec((0_u8..3, 2_i64..150, 1_i64..60), 0..4);
    let activities = prop::collection::vec((0_u8..5, 7_u32..9, 5_i64..200, 1_i64..80), 1..6);
    (1_u64..3, 210_i64..260, ops, activities).prop_map(|(requests, len_ns, ops, activities)| Step {
        requests,
        len_ns,
        ops,
        activities,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn accounts_are_those_of_a_reading_nanosecond_by_nanosecond(
        a in prop::collection::vec(step(), 3..8),
        b in prop::collection::vec(step(), 3..8),
    ) {
        check_pair(&a, &b);
    }
}

// ---- how often equal programs are told apart, and planted slowdowns named ----

/// Marsaglia's xorshift64*.
struct Random(u64);

impl Random {
    fn unit(&mut self) -> f64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// About normal: twelve uniform values.
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.unit()).sum::<f64>() - 6.0
    }
}

/// A generated program: what its iterations take, and how that varies.
#[derive(Clone, Debug)]
struct Program {
    ops_ns: Vec<f64>,
    kernels_ns: Vec<f64>,
    /// Relative deviation of a whole iteration, which remembers `memory` of the one before.
    deviation: f64,
    memory: f64,
    n: usize,
}

impl Program {
    fn random(random: &mut Random) -> Self {
        let n_parts = 6 + (random.unit() * 8.0) as usize;
        let is_device_bound = random.unit() < 0.5;
        let (op, kernel) = if is_device_bound { (20e3, 60e3) } else { (60e3, 15e3) };
        let mut around =
            |mean: f64| (0..n_parts).map(|_| mean * (0.3 + 1.4 * random.unit())).collect();
        let (ops_ns, kernels_ns) = (around(op), around(kernel));
        Self {
            ops_ns,
            kernels_ns,
            deviation: 0.002 + 0.018 * random.unit(),
            memory: 0.7 * random.unit(),
            n: 40 + (random.unit() * 60.0) as usize,
        }
    }

    /// A run of it: launches in order, kernels one after another, a wait for the device at the end of each iteration.
    fn run(&self, random: &mut Random) -> Vec<Event> {
        let mut out = Vec::new();
        let (mut now, mut id, mut state) = (START_NS, 0, 0.0);
        for i in 0..self.n {
            state =
                self.memory * state + (1.0 - self.memory * self.memory).sqrt() * random.normal();
            let warmup = if i < 2 { 3.0 } else { 1.0 };
            let outlier = if random.unit() < 0.01 { 1.15 } else { 1.0 };
            let factor = (1.0 + self.deviation * state).max(0.5) * warmup * outlier;
            let start = now;
            let mut device = now;
            let at = out.len();
            for (number, (op, kernel)) in self.ops_ns.iter().zip(&self.kernels_ns).enumerate() {
                let mut vary = |mean: f64| (mean * factor * (1.0 + 0.01 * random.normal())) as i64;
                let (op_ns, kernel_ns) = (vary(*op), vary(*kernel));
                id += 1;
                let event = |category, name: String, tid, start_ns, end_ns, correlation| Event {
                    category,
                    name,
                    tid,
                    start_ns,
                    end_ns,
                    correlation,
                };
                out.push(event("cpu_op", format!("aten::op{number}"), 1, now, now + op_ns, 0));
                let call = now + op_ns - 2_000.min(op_ns / 2);
                out.push(event(
                    "cuda_runtime",
                    "cudaLaunchKernel".to_owned(),
                    1,
                    call,
                    now + op_ns,
                    id,
                ));
                let begin = device.max(now + op_ns + 3_000);
                device = begin + kernel_ns;
                out.push(event("kernel", format!("kernel{number}"), 7, begin, device, id));
                now += op_ns + 500;
            }
            let end = now.max(device) + 4_000;
            let sync = ("cuda_runtime", "cudaStreamSynchronize");
            out.push(Event {
                category: sync.0,
                name: sync.1.to_owned(),
                tid: 1,
                start_ns: now,
                end_ns: end,
                correlation: 0,
            });
            let name = "execute_context_0(0)_generation_4(4)".to_owned();
            out.insert(
                at,
                Event {
                    category: "user_annotation",
                    name,
                    tid: 1,
                    start_ns: start,
                    end_ns: end + 1_000,
                    correlation: 0,
                },
            );
            now = end + 1_000 + 30_000;
        }
        out
    }

    fn mean_ns(&self, random: &mut Random) -> f64 {
        let quiet = Self { deviation: 0.0, n: 6, ..self.clone() };
        let units = units_of(&quiet.run(random)).units;
        let own = &units[2..];
        own.iter().map(|unit| unit.dur_ns as f64).sum::<f64>() / own.len() as f64
    }
}

fn n_pairs(default: usize) -> usize {
    std::env::var("PAIRS").ok().and_then(|n| n.parse().ok()).unwrap_or(default)
}

fn compared(a: &[Event], b: &[Event], gate: &str) -> Comparison {
    let options = Options { gates: vec![gate.parse().unwrap()], ..Options::default() };
    compare(&run(a), &run(b), &options)
}

#[test]
fn equal_programs_pass_the_gate() {
    let n = n_pairs(40);
    let (mut n_false, mut n_open, mut n_shown) = (0, 0, 0);
    for seed in 0..n as u64 {
        let mut random = Random(seed * 2 + 1);
        let program = Program::random(&mut random);
        let (a, b) = (program.run(&mut random), program.run(&mut random));
        let found = compared(&a, &b, "3%");
        n_false += usize::from(matches!(found.verdict, Verdict::Regression | Verdict::Improvement));
        n_open += usize::from(found.verdict == Verdict::Inconclusive);
        let total = found.total.unwrap();
        assert!(total.cut_a >= 2 && total.cut_a <= 4, "{total:?}");
        n_shown += usize::from(total.rate_low_ns.unwrap() > 0 || total.rate_high_ns.unwrap() < 0);
    }
    eprintln!(
        "of {n} equal pairs: {n_false} false gates, {n_open} inconclusive, {n_shown} intervals without 0"
    );
    assert!(n_false * 20 <= n, "{n_false} false gates of {n}");
    assert!(n_open * 5 <= n, "{n_open} inconclusive of {n}");
    // An interval of 95 % leaves the truth out in one of twenty cases; three times that is no interval.
    assert!(n_shown * 20 <= n * 3, "{n_shown} intervals of {n}");
}

#[test]
fn planted_slowdowns_are_named_first() {
    let n = n_pairs(40);
    let (mut n_named, mut n_tried, mut n_slower, mut n_gated) = (0, 0, 0, 0);
    let mut seed = 1_000_000;
    while n_tried < n {
        seed += 1;
        let mut random = Random(seed * 2 + 1);
        let program = Program::random(&mut random);
        let (slower, name) = planted(&program, &mut random);
        let (a, b) = (program.run(&mut random), slower.run(&mut random));
        let found = compared(&a, &b, "1%");
        let total = found.total.as_ref().unwrap();
        // Only what the data can show: three percent, and twice the smallest detectable difference.
        if total.detectable_ns.unwrap() as f64 * 2.0 > 0.03 * total.a_ns as f64 {
            continue;
        }
        n_tried += 1;
        let first = found.causes.first();
        n_named += usize::from(first.is_some_and(|row| row.name == name && row.diff_ns > 0));
        n_slower += usize::from(total.rate_low_ns.unwrap() > 0);
        n_gated += usize::from(found.verdict == Verdict::Regression);
    }
    eprintln!(
        "of {n} planted slowdowns of 3 %: {n_named} named first, {n_slower} shown, {n_gated} exceed a gate of 1 %"
    );
    assert!(n_named * 100 >= n * 95, "{n_named} of {n}");
    assert!(n_slower * 100 >= n * 95, "{n_slower} of {n}");
}

/// The program with one kernel or operator slower, so that an iteration takes three percent longer, and its name.
fn planted(program: &Program, random: &mut Random) -> (Program, String) {
    let base_ns = program.mean_ns(random);
    let is_device_bound =
        program.kernels_ns.iter().sum::<f64>() > program.ops_ns.iter().sum::<f64>();
    let number = (random.unit() * program.ops_ns.len() as f64) as usize;
    let mut slower = program.clone();
    let (part, name) = if is_device_bound {
        (&mut slower.kernels_ns[number], format!("kernel{number}"))
    } else {
        (&mut slower.ops_ns[number], format!("aten::op{number}"))
    };
    *part += 0.03 * base_ns;
    (slower, name)
}

/// The program on a machine that is slower by a factor: all its work.
fn on_slower(program: &Program, factor: f64) -> Program {
    let slower = |parts: &[f64]| parts.iter().map(|ns| ns * factor).collect();
    Program {
        ops_ns: slower(&program.ops_ns),
        kernels_ns: slower(&program.kernels_ns),
        ..program.clone()
    }
}

#[test]
fn a_slower_machine_is_no_slower_program_and_hides_none() {
    let n = n_pairs(20);
    let (mut n_false, mut n_planted, mut n_named, mut n_found) = (0, 0, 0, 0);
    for seed in 0..n as u64 {
        let mut random = Random(seed * 2 + 3_000_001);
        let program = Program::random(&mut random);
        let factor = if seed % 2 == 0 { 1.25 } else { 0.8 };
        let a = program.run(&mut random);
        let found = compared(&a, &on_slower(&program, factor).run(&mut random), "3%");
        let total = found.total.as_ref().unwrap();
        let common = total.common_pct.unwrap();
        assert!((common - (factor - 1.0) * 100.0).abs() < 3.0, "{common} for {factor}: {total:?}");
        n_false += usize::from(matches!(found.verdict, Verdict::Regression | Verdict::Improvement));
        if found.verdict == Verdict::Inconclusive {
            assert!(found.gates[0].runs_needed.is_some_and(|runs| runs >= 2), "{:?}", found.gates);
        }
        if factor < 1.0 {
            continue;
        }
        // One part that is slower besides, by a fifth of the iteration.
        n_planted += 1;
        let (mut slower, name) = planted(&program, &mut random);
        let number: usize = name.trim_start_matches(|c: char| !c.is_ascii_digit()).parse().unwrap();
        let parts =
            if name.starts_with("kernel") { &mut slower.kernels_ns } else { &mut slower.ops_ns };
        parts[number] += 0.2 * program.mean_ns(&mut random);
        let found = compared(&a, &on_slower(&slower, factor).run(&mut random), "3%");
        let first = found.causes.first().unwrap();
        n_named += usize::from(first.name == name && first.is_shown);
        n_found += usize::from(found.verdict == Verdict::Regression);
    }
    eprintln!(
        "of {n}: {n_false} false gates; of {n_planted} planted: {n_named} named first, {n_found} found"
    );
    assert!(n_false * 20 <= n, "{n_false} of {n}");
    assert!(n_named * 100 >= n_planted * 95, "{n_named} of {n_planted}");
    assert!(n_found * 100 >= n_planted * 90, "{n_found} of {n_planted}");
}

#[test]
fn several_runs_tell_how_runs_differ() {
    let mut random = Random(77);
    let program = Program { deviation: 0.005, memory: 0.0, ..Program::random(&mut random) };
    let mut on = |factor: f64| run(&on_slower(&program, factor).run(&mut random)).remove(0);
    let known: Vec<Run> = [1.0, 1.06, 0.95, 1.02, 0.97].map(&mut on).to_vec();
    let options = Options { gates: vec!["3%".parse().unwrap()], ..Options::default() };
    let verdict = |b: &[Run]| {
        let found = compare(&known, b, &options);
        let total = found.total.unwrap();
        // How runs vary is in the interval: no scale is taken out.
        assert_eq!((total.common_pct, total.excess_ns, total.runs_a), (None, None, 5));
        (found.verdict, found.gates[0].clone())
    };
    // A single run within how the known ones differ, and one that is not.
    let (inside, gate) = verdict(&[on(1.05)]);
    assert_eq!((inside, gate.n_needed), (Verdict::Inconclusive, None));
    assert!(gate.runs_needed.unwrap() > 2, "{gate:?}");
    assert_eq!(verdict(&[on(1.4)]).0, Verdict::Regression);
    assert_eq!(verdict(&[on(0.6)]).0, Verdict::Improvement);
    // Alone, each of them could be the machine.
    let alone = compare(&known[..1], &[on(1.4)], &options);
    assert_eq!(alone.verdict, Verdict::Inconclusive);
}

#[test]
fn another_mix_of_equal_iterations_is_no_slowdown() {
    let step = |requests: u64| Step {
        requests,
        len_ns: if requests == 1 { 220 } else { 250 },
        ops: vec![(0, 10, 40)],
        activities: vec![(0, 7, 50, if requests == 1 { 60 } else { 90 })],
    };
    let of = |pattern: &[u64]| -> Vec<Step> {
        (0..60).map(|i| step(pattern[i % pattern.len()])).collect()
    };
    let found = compare(
        &run(&events_of(&of(&[1, 1, 2]))),
        &run(&events_of(&of(&[1, 2, 2]))),
        &Options { gates: vec!["1%".parse().unwrap()], ..Options::default() },
    );
    let total = found.total.unwrap();
    assert_eq!((found.verdict, total.rate_ns), (Verdict::NoChangeShown, 0));
    assert!(total.mix_ns > 5 && total.mix_ns == total.diff_ns, "{total:?}");
    assert_eq!(found.causes.len(), 1);
    assert_eq!(found.causes[0].class, "mix");
}
