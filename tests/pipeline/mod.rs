//! Pipelines of known schedule, played by brute force, and the traces that a profiler would have written of them.
//!
//! Ranks run host steps in order; kernels wait for their launch, their stream, events and other ranks. Nothing is
//! shared with the analyzer: every pass tries each rank and each kernel once more until nothing moves.

#![allow(dead_code, clippy::allow_attributes, reason = "each test uses its part of this")]

use std::path::{Path, PathBuf};

/// From the end of a launch call to the begin of its kernel on an idle stream.
pub(crate) const LAUNCH_NS: i64 = 3_100;
/// Between two kernels of a stream.
pub(crate) const STREAM_NS: i64 = 900;
/// From the end of device work, or of the wait's begin, to the return of a call that waits.
pub(crate) const RETURN_NS: i64 = 2_300;
/// From a send's begin, or the wait's, to the return of the receive.
pub(crate) const RECEIVE_NS: i64 = 70;

#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// An operator of the host.
    Op(String, i64),
    /// A launch: duration of the call, of the kernel; its name; its stream; whether all ranks of the stage meet in it.
    Launch { call_ns: i64, kernel_ns: i64, name: String, stream: usize, is_collective: bool },
    /// The next kernel launched waits for the last one launched.
    Event(i64),
    /// Waits for all that was launched.
    Sync,
    /// Sends to the next stage, for so long.
    Send(i64),
    /// Receives what the stage before sent.
    Receive,
}

#[derive(Clone, Debug)]
pub(crate) struct Rank {
    pub(crate) stage: usize,
    pub(crate) rank: usize,
    pub(crate) begins_ns: i64,
    pub(crate) steps: Vec<Step>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Played {
    /// Begin and end of each step, by rank.
    pub(crate) steps: Vec<Vec<(i64, i64)>>,
    /// Begin and end of each kernel, by rank, in the order of launches.
    pub(crate) kernels: Vec<Vec<(i64, i64)>>,
}

impl Played {
    pub(crate) fn end_ns(&self) -> i64 {
        let all = self.steps.iter().chain(&self.kernels).flatten();
        all.map(|&(_, end)| end).max().expect("something runs")
    }
}

/// What is known of one rank so far.
struct State {
    now: i64,
    steps: Vec<(i64, i64)>,
    launched: Vec<Launched>,
    waits_for: Option<usize>,
    sends: Vec<i64>,
    n_received: usize,
}

struct Launched {
    called_ns: i64,
    kernel_ns: i64,
    stream: usize,
    after: Option<usize>,
    collective: Option<usize>,
    is_apart: bool,
    start: Option<i64>,
    end: Option<i64>,
}

/// Plays ranks. `syncs_wait` is whether calls wait for the device; `is_apart` names kernels on a stream of their own.
pub(crate) fn play(ranks: &[Rank], syncs_wait: bool, is_apart: impl Fn(&str) -> bool) -> Played {
    let new = |rank: &Rank| State {
        now: rank.begins_ns,
        steps: Vec::new(),
        launched: Vec::new(),
        waits_for: None,
        sends: Vec::new(),
        n_received: 0,
    };
    let mut states: Vec<State> = ranks.iter().map(new).collect();
    loop {
        let mut moved = false;
        for at in 0..ranks.len() {
            while step(ranks, &mut states, at, syncs_wait, &is_apart) {
                moved = true;
            }
            moved |= start_kernels(&mut states[at]);
        }
        moved |= end_kernels(ranks, &mut states);
        if !moved {
            break;
        }
    }
    let all_done = ranks.iter().zip(&states).all(|(rank, state)| {
        state.steps.len() == rank.steps.len() && state.launched.iter().all(|k| k.end.is_some())
    });
    assert!(all_done, "the pipeline hangs");
    let kernels = |state: &State| {
        state
            .launched
            .iter()
            .map(|k| (k.start.expect("it began"), k.end.expect("it ended")))
            .collect()
    };
    Played {
        kernels: states.iter().map(kernels).collect(),
        steps: states.into_iter().map(|state| state.steps).collect(),
    }
}

fn step(
    ranks: &[Rank],
    states: &mut [State],
    at: usize,
    syncs_wait: bool,
    is_apart: &impl Fn(&str) -> bool,
) -> bool {
    let Some(step) = ranks[at].steps.get(states[at].steps.len()) else { return false };
    let begin = states[at].now;
    let end = match step {
        Step::Op(_, ns) | Step::Event(ns) => {
            if matches!(step, Step::Event(_)) {
                states[at].waits_for = states[at].launched.len().checked_sub(1);
            }
            begin + ns
        }
        Step::Launch { call_ns, kernel_ns, name, stream, is_collective } => {
            let n = states[at].launched.iter().filter(|k| k.collective.is_some()).count();
            let launched = Launched {
                called_ns: begin + call_ns,
                kernel_ns: *kernel_ns,
                stream: *stream,
                after: states[at].waits_for.take(),
                collective: is_collective.then_some(n),
                is_apart: is_apart(name),
                start: None,
                end: None,
            };
            states[at].launched.push(launched);
            begin + call_ns
        }
        Step::Sync if !syncs_wait => begin,
        Step::Sync => {
            let mut last = begin;
            for kernel in &states[at].launched {
                let Some(end) = kernel.end else { return false };
                last = last.max(end);
            }
            last + RETURN_NS
        }
        Step::Send(ns) => {
            states[at].sends.push(begin);
            begin + ns
        }
        Step::Receive => {
            let is_before = |other: &usize| {
                ranks[*other].stage + 1 == ranks[at].stage && ranks[*other].rank == 0
            };
            let sender = (0..ranks.len()).find(is_before).expect("there is a stage before");
            let Some(&sent) = states[sender].sends.get(states[at].n_received) else { return false };
            states[at].n_received += 1;
            begin.max(sent) + RECEIVE_NS
        }
    };
    states[at].steps.push((begin, end));
    states[at].now = end;
    true
}

fn start_kernels(state: &mut State) -> bool {
    let mut moved = false;
    for at in 0..state.launched.len() {
        let kernel = &state.launched[at];
        if kernel.start.is_some() {
            continue;
        }
        let (stream, is_apart) = (kernel.stream, kernel.is_apart);
        let is_same = |k: &&Launched| k.stream == stream && k.is_apart == is_apart;
        let before = state.launched[..at].iter().rev().find(is_same).map(|k| k.end);
        let after = kernel.after.map(|other| state.launched[other].end);
        if before == Some(None) || after == Some(None) {
            continue;
        }
        let free = before.flatten().map_or(i64::MIN, |end| end + STREAM_NS);
        let ready =
            (kernel.called_ns + LAUNCH_NS).max(free).max(after.flatten().unwrap_or(i64::MIN));
        state.launched[at].start = Some(ready);
        if state.launched[at].collective.is_none() {
            state.launched[at].end = Some(ready + state.launched[at].kernel_ns);
        }
        moved = true;
    }
    moved
}

/// Ends collectives in which all ranks of a stage have begun.
fn end_kernels(ranks: &[Rank], states: &mut [State]) -> bool {
    let mut moved = false;
    for at in 0..states.len() {
        for kernel in 0..states[at].launched.len() {
            let one = &states[at].launched[kernel];
            let (Some(number), None) = (one.collective, one.end) else { continue };
            let same = (0..ranks.len()).filter(|&other| ranks[other].stage == ranks[at].stage);
            let starts: Vec<Option<i64>> = same
                .map(|other| {
                    let mut all = states[other].launched.iter();
                    all.find(|k| k.collective == Some(number)).and_then(|k| k.start)
                })
                .collect();
            if starts.iter().all(Option::is_some) {
                let last = starts.into_iter().flatten().max().expect("its own");
                states[at].launched[kernel].end =
                    Some(last + states[at].launched[kernel].kernel_ns);
                moved = true;
            }
        }
    }
    moved
}

/// Writes the traces that a profiler would have written; their paths.
pub(crate) fn write(ranks: &[Rank], played: &Played, dir: &Path) -> Vec<PathBuf> {
    let paths = ranks.iter().enumerate().map(|(at, rank)| {
        let text = trace(rank, &played.steps[at], &played.kernels[at]);
        let path = dir.join(format!("stage_{}_llm_1790000300_rank{}.json", rank.stage, rank.rank));
        std::fs::write(&path, text).expect("a temporary folder can be written");
        path
    });
    paths.collect()
}

fn trace(rank: &Rank, steps: &[(i64, i64)], kernels: &[(i64, i64)]) -> String {
    const SHM: &str = "vllm/distributed/device_communicators/shm_broadcast.py(608)";
    let pid = 1000 + rank.stage * 10 + rank.rank;
    let mut events = Vec::new();
    let mut add = |cat: &str, name: &str, (begin, end): (i64, i64), tid: usize, args: String| {
        let us = |ns: i64| format!("{}.{:03}", ns / 1000, ns % 1000);
        let (ts, dur) = (us(begin), us(end - begin));
        events.push(format!(
            r#"{{"ph":"X","cat":"{cat}","name":"{name}","pid":{pid},"tid":{tid},"ts":{ts},"dur":{dur},"args":{{{args}}}}}"#
        ));
    };
    let mut n_launched = 0;
    for (step, &span) in rank.steps.iter().zip(steps) {
        let call = |n: usize| format!(r#""correlation":{n}"#);
        match step {
            Step::Op(name, _) => add("cpu_op", name, span, pid, String::new()),
            Step::Launch { name, stream, is_collective, .. } => {
                n_launched += 1;
                add("cuda_runtime", "cudaLaunchKernel", span, pid, call(n_launched));
                let args = format!(r#""device":0,"stream":{stream},{}"#, call(n_launched));
                let nccl = format!("ncclDevKernel_AllReduce_Sum_bf16_RING_LL_{name}");
                let name = if *is_collective { nccl.as_str() } else { name };
                add("kernel", name, kernels[n_launched - 1], 7, args);
            }
            Step::Event(_) => {
                let middle = span.0 + (span.1 - span.0) / 2;
                let n = 100_000 + events_of(rank, step);
                add("cuda_runtime", "cudaEventRecord", (span.0, middle), pid, call(n));
                add("cuda_runtime", "cudaStreamWaitEvent", (middle, span.1), pid, call(n + 1));
            }
            Step::Sync => add("cuda_runtime", "cudaDeviceSynchronize", span, pid, call(200_000)),
            Step::Send(_) => {
                add("python_function", &format!("{SHM}: enqueue"), span, pid, String::new());
            }
            Step::Receive => {
                add("python_function", &format!("{SHM}: dequeue"), span, pid, String::new());
            }
        }
    }
    format!(
        r#"{{"schemaVersion":1,"deviceProperties":[{{"id":0,"name":"test"}}],"baseTimeNanoseconds":1790000000000000000,"traceEvents":[{}]}}"#,
        events.join(",\n")
    )
}

/// A number of an event that no other one has.
fn events_of(rank: &Rank, step: &Step) -> usize {
    let at = rank.steps.iter().position(|one| std::ptr::eq(one, step)).expect("it is of the rank");
    at * 2
}
