//! The critical path, slack and predictions: against pipelines of known schedule, played by brute force, to the
//! nanosecond; and over real traces, that an unchanged replay gives what was recorded.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "the tests show what they found; a failed unwrap is a failed test"
)]

mod common;
mod pipeline;
mod program;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use common::Random;
use omni_trace::Traces;
use omni_trace::analyze::base::{TimeBase, TimeConfig};
use omni_trace::ask::{CausalRun, compared};
use omni_trace::causal::Subject;
use omni_trace::causal::account::{iteration_rows, path_rows};
use omni_trace::causal::explained::{doubt_rows, replay_rows};
use omni_trace::causal::graph::{EdgeKind, Graph, What};
use omni_trace::causal::path::{path, slack};
use omni_trace::causal::replay::{Changes, Replay};
use omni_trace::causal::rows::{By, DoubtKind};
use omni_trace::causal::whatif::{Change, Named};
use pipeline::{Played, Rank, Step, play};

/// What is asked of the graph of some files.
fn with_graph<T>(paths: &[PathBuf], ask: impl FnOnce(&CausalRun<'_>) -> T) -> T {
    let traces = Traces::read(paths).expect("the traces can be read");
    let inputs = traces.inputs();
    let base = |(at, input): (usize, &_)| {
        let input: &omni_trace::read::Input = input;
        TimeBase::new(&input.store, &TimeConfig::default()).numbered(at)
    };
    let bases: Vec<TimeBase> = inputs.iter().enumerate().map(base).collect();
    let each: Vec<&TimeBase> = bases.iter().collect();
    let together = compared(inputs, &each, true);
    ask(&CausalRun::of(inputs, &each, &together, None))
}

fn predicted_ns(subject: &Subject<'_>, changes: &[Change]) -> i64 {
    let replay = Replay::of(subject.graph, &subject.changes(changes));
    subject.measure(&replay).whole_ns
}

/// An even number of nanoseconds.
fn some_ns(random: &mut Random, from: i64, to: i64) -> i64 {
    (from + random.below((to - from) as usize) as i64) / 2 * 2
}

const CALL_NS: i64 = 4_000;

fn launch(name: String, kernel_ns: i64, stream: usize) -> Step {
    Step::Launch { call_ns: CALL_NS, kernel_ns, name, stream, is_collective: false }
}

/// What shows the lags of a device: launches on an idle stream, kernels behind each other, calls that wait.
fn warm_up(steps: &mut Vec<Step>) {
    for n in 0..5 {
        steps.push(launch(format!("warm_{n}"), 40_000, 0));
        steps.push(launch(format!("warm_{n}b"), 40_000, 0));
        steps.push(Step::Sync);
        steps.push(Step::Op("aten::warm".to_owned(), 1_000));
    }
}

/// A pipeline of two stages, the first of two ranks.
fn pipeline_of(seed: u64) -> Vec<Rank> {
    let mut random = Random::new(seed);
    let mut ranks = Vec::new();
    let n_rounds = 3 + random.below(4);
    let n_collectives: Vec<usize> = (0..n_rounds).map(|_| random.below(3)).collect();
    for (stage, rank) in [(0, 0), (0, 1), (1, 0)] {
        let mut steps = Vec::new();
        warm_up(&mut steps);
        for (round, &n_meets) in n_collectives.iter().enumerate() {
            if stage == 1 {
                steps.push(Step::Receive);
            }
            for n in 0..2 + random.below(6) {
                let name = format!("k{round}_{n}");
                match random.below(6) {
                    0 => steps.push(Step::Op(
                        "slow_tokenize".to_owned(),
                        some_ns(&mut random, 1_000, 30_000),
                    )),
                    1 => steps.push(launch(
                        format!("drop_{name}"),
                        some_ns(&mut random, 2_000, 60_000),
                        0,
                    )),
                    2 => {
                        steps.push(launch(name.clone(), some_ns(&mut random, 2_000, 90_000), 1));
                        steps.push(Step::Event(3_000));
                        steps.push(launch(
                            format!("after_{name}"),
                            some_ns(&mut random, 2_000, 30_000),
                            0,
                        ));
                    }
                    _ => steps.push(launch(
                        name,
                        some_ns(&mut random, 2_000, 50_000),
                        random.below(2),
                    )),
                }
                steps.push(Step::Op("aten::mm".to_owned(), some_ns(&mut random, 500, 9_000)));
            }
            for n in 0..if stage == 0 { n_meets } else { 0 } {
                let collective = Step::Launch {
                    call_ns: CALL_NS,
                    kernel_ns: 20_000,
                    name: format!("c{round}_{n}"),
                    stream: 2,
                    is_collective: true,
                };
                steps.push(collective);
                steps.push(Step::Op("aten::add".to_owned(), some_ns(&mut random, 500, 40_000)));
            }
            steps.push(Step::Sync);
            if (stage, rank) == (0, 0) {
                // Long enough that the next stage always waits.
                steps.push(Step::Op("aten::long".to_owned(), 1_500_000));
                steps.push(Step::Send(2_000));
            }
        }
        steps.push(Step::Op("aten::last".to_owned(), 1_000));
        let begins_ns = 5_000_000 + some_ns(&mut random, 0, 20_000);
        ranks.push(Rank { stage, rank, begins_ns, steps });
    }
    ranks
}

/// The pipeline with every step changed.
fn changed(ranks: &[Rank], change: impl Fn(&Step) -> Step) -> Vec<Rank> {
    let steps = |rank: &Rank| rank.steps.iter().map(&change).collect();
    ranks.iter().map(|rank| Rank { steps: steps(rank), ..rank.clone() }).collect()
}

/// The step with another duration of its kernel, where the kernel is of a kind.
fn with_kernel(step: &Step, is_it: impl Fn(&str, bool) -> bool, ns: impl Fn(i64) -> i64) -> Step {
    match step.clone() {
        Step::Launch { call_ns, kernel_ns, name, stream, is_collective }
            if is_it(&name, is_collective) =>
        {
            Step::Launch { call_ns, kernel_ns: ns(kernel_ns), name, stream, is_collective }
        }
        other => other,
    }
}

/// Each change, with the same change made to the program.
fn cases(ranks: &[Rank]) -> Vec<(&'static str, Vec<Change>, Played)> {
    let nobody = |_: &str| false;
    let plain = |ranks: &[Rank]| play(ranks, true, nobody);
    let faster =
        changed(ranks, |step| with_kernel(step, |name, _| name.starts_with("k1"), |ns| ns / 2));
    let slower =
        changed(ranks, |step| with_kernel(step, |name, _| name.starts_with('k'), |ns| ns * 3));
    let free = changed(ranks, |step| with_kernel(step, |_, is_collective| !is_collective, |_| 0));
    let no_comm = changed(ranks, |step| with_kernel(step, |_, is_collective| is_collective, |_| 0));
    let no_tokenizer = changed(ranks, |step| match step {
        Step::Op(name, _) if name.starts_with("slow_") => Step::Op(name.clone(), 0),
        other => other.clone(),
    });
    let no_calls = changed(ranks, |step| match step.clone() {
        Step::Launch { kernel_ns, name, stream, is_collective, .. } => {
            Step::Launch { call_ns: 0, kernel_ns, name, stream, is_collective }
        }
        other => other,
    });
    let is_dropped =
        |step: &Step| matches!(step, Step::Launch { name, .. } if name.starts_with("drop_"));
    let without: Vec<Rank> = ranks
        .iter()
        .map(|rank| {
            let kept = rank.steps.iter().filter(|step| !is_dropped(step)).cloned();
            Rank { steps: kept.collect(), ..rank.clone() }
        })
        .collect();
    let scale = |glob: &str, factor| Change::Scale(Named::Kernel, glob.to_owned(), factor);
    let drop = |what: fn(String) -> Change, glob: &str| vec![what(glob.to_owned())];
    vec![
        ("nothing", Vec::new(), plain(ranks)),
        ("kernels at half", vec![scale("k1*", 0.5)], plain(&faster)),
        ("kernels three times", vec![scale("k*", 3.0)], plain(&slower)),
        ("no kernel time", vec![Change::Free(What::Kernel)], plain(&free)),
        ("no collective time", vec![Change::Free(What::Comm)], plain(&no_comm)),
        ("an operator dropped", drop(Change::DropOp, "slow_*"), plain(&no_tokenizer)),
        ("launches free", vec![Change::Free(What::Launch)], plain(&no_calls)),
        ("kernels dropped", drop(Change::DropKernel, "drop_*"), plain(&without)),
        ("no synchronization", vec![Change::Free(What::GpuSync)], play(ranks, false, nobody)),
        (
            "kernels on a stream of their own",
            vec![Change::Overlap(None, "drop_*".to_owned())],
            play(ranks, true, |name| name.starts_with("drop_")),
        ),
        (
            "two changes",
            vec![scale("k*", 3.0), Change::DropOp("slow_*".to_owned())],
            plain(&changed(&slower, |step| match step {
                Step::Op(name, _) if name.starts_with("slow_") => Step::Op(name.clone(), 0),
                other => other.clone(),
            })),
        ),
    ]
}

#[test]
fn predictions_are_those_of_the_changed_program() {
    let mut n_moved = 0;
    for seed in 0..40 {
        let ranks = pipeline_of(seed);
        let played = play(&ranks, true, |_| false);
        let dir = tempfile::tempdir().unwrap();
        let paths = pipeline::write(&ranks, &played, dir.path());
        with_graph(&paths, |run| {
            let subject = run.subject();
            let begin = ranks.iter().map(|rank| rank.begins_ns).min().unwrap();
            for (what, changes, expected) in cases(&ranks) {
                let predicted = predicted_ns(&subject, &changes);
                assert_eq!(predicted, expected.end_ns() - begin, "seed {seed}: {what}");
                n_moved += u32::from(predicted != played.end_ns() - begin);
            }
        });
    }
    assert!(n_moved > 200, "only {n_moved} changes changed anything");
}

/// A change with what it makes of the program.
type Variant = (Change, fn(&[Rank]) -> Vec<Rank>);

/// Changes that can be made together.
fn variants() -> Vec<Variant> {
    let scale = |glob: &str, factor| Change::Scale(Named::Kernel, glob.to_owned(), factor);
    vec![
        (scale("k1*", 0.5), |ranks| {
            changed(ranks, |step| with_kernel(step, |name, _| name.starts_with("k1"), |ns| ns / 2))
        }),
        (scale("k*", 3.0), |ranks| {
            changed(ranks, |step| with_kernel(step, |name, _| name.starts_with('k'), |ns| ns * 3))
        }),
        (Change::Free(What::Comm), |ranks| {
            changed(ranks, |step| with_kernel(step, |_, is_collective| is_collective, |_| 0))
        }),
        (Change::DropOp("slow_*".to_owned()), |ranks| {
            changed(ranks, |step| match step {
                Step::Op(name, _) if name.starts_with("slow_") => Step::Op(name.clone(), 0),
                other => other.clone(),
            })
        }),
        (Change::Free(What::Launch), |ranks| {
            changed(ranks, |step| match step.clone() {
                Step::Launch { kernel_ns, name, stream, is_collective, .. } => {
                    Step::Launch { call_ns: 0, kernel_ns, name, stream, is_collective }
                }
                other => other,
            })
        }),
        (Change::DropKernel("drop_*".to_owned()), |ranks| {
            let is_dropped = |step: &Step| matches!(step, Step::Launch { name, .. } if name.starts_with("drop_"));
            let without = |rank: &Rank| {
                let kept = rank.steps.iter().filter(|step| !is_dropped(step)).cloned();
                Rank { steps: kept.collect(), ..rank.clone() }
            };
            ranks.iter().map(without).collect()
        }),
    ]
}

#[test]
fn several_changes_at_once_are_those_of_the_program_with_all_of_them() {
    let mut n_moved = 0;
    for seed in 0..30 {
        let ranks = pipeline_of(seed);
        let played = play(&ranks, true, |_| false);
        let dir = tempfile::tempdir().unwrap();
        let paths = pipeline::write(&ranks, &played, dir.path());
        with_graph(&paths, |run| {
            let subject = run.subject();
            let begin = ranks.iter().map(|rank| rank.begins_ns).min().unwrap();
            for chosen in (3_u32..64).filter(|chosen| chosen.count_ones() > 1).step_by(5) {
                let is_chosen = |at: &usize| chosen & (1 << at) != 0;
                let all = variants();
                let (mut changes, mut program) = (Vec::new(), ranks.clone());
                for at in (0..all.len()).filter(is_chosen) {
                    changes.push(all[at].0.clone());
                    program = all[at].1(&program);
                }
                let syncs_wait = chosen % 3 != 0;
                if !syncs_wait {
                    changes.push(Change::Free(What::GpuSync));
                }
                let expected = play(&program, syncs_wait, |_| false).end_ns() - begin;
                let predicted = predicted_ns(&subject, &changes);
                assert_eq!(predicted, expected, "seed {seed}: {changes:?}");
                n_moved += u32::from(predicted != played.end_ns() - begin);
            }
        });
    }
    assert!(n_moved > 200, "only {n_moved} combinations changed anything");
}

#[test]
fn a_delay_reaches_the_end_beyond_its_slack() {
    let (mut n_late, mut n_slack) = (0, 0);
    for seed in 0..20 {
        let ranks = pipeline_of(seed);
        let played = play(&ranks, true, |_| false);
        let dir = tempfile::tempdir().unwrap();
        let paths = pipeline::write(&ranks, &played, dir.path());
        with_graph(&paths, |run| {
            let subject = run.subject();
            let graph = subject.graph;
            let replay = Replay::of(graph, &Changes::default());
            let slack = slack(graph, &replay);
            for node in (0..graph.nodes.count()).step_by(7) {
                let Some(name) = subject.name(node as u32) else { continue };
                let is_plain = graph.nodes.what[node] == What::Kernel;
                if !is_plain || name.starts_with("warm") {
                    continue;
                }
                let input = graph.lanes[graph.lane_of(node as u32)].input;
                let delay = 1 + slack[node].min(40_000) / 2 * (node as i64 % 4);
                let mut later = ranks.clone();
                later[input] = changed(&ranks[input..=input], |step| {
                    with_kernel(step, |kernel, _| kernel == name, |ns| ns + delay)
                })
                .remove(0);
                let end = play(&later, true, |_| false).end_ns();
                let late = (delay - slack[node]).max(0);
                assert_eq!(end - played.end_ns(), late, "seed {seed}: {name} by {delay}");
                n_late += u32::from(late > 0);
                n_slack += u32::from(late == 0);
            }
        });
    }
    assert!(n_late > 20 && n_slack > 20, "{n_late} reached the end, {n_slack} did not");
}

/// Everything that must hold of a path: it follows itself, and each way to tell it apart sums to the window.
fn check_path(subject: &Subject<'_>, replay: &Replay) {
    let graph: &Graph = subject.graph;
    let pieces = path(graph, replay);
    let ends = pieces.windows(2).all(|pair| pair[0].end_ns == pair[1].start_ns);
    assert!(ends, "the path has a hole");
    let rows = path_rows(subject, &pieces);
    for by in [By::Class, By::Edge, By::Stage, By::Kernel, By::Operator] {
        let sum: i64 = rows.iter().filter(|row| row.by == by).map(|row| row.ns).sum();
        assert_eq!(sum, graph.end_ns - graph.start_ns, "{by:?}");
    }
    for row in iteration_rows(subject, &pieces) {
        let parts = [row.host_ns, row.wait_ns, row.kernel_ns, row.comm_ns, row.copy_ns, row.gap_ns];
        assert_eq!(parts.iter().sum::<i64>() + row.outside_ns, row.dur_ns, "{row:?}");
    }
}

#[test]
fn the_path_of_a_chain_is_the_chain() {
    let mut steps = Vec::new();
    warm_up(&mut steps);
    steps.push(Step::Op("aten::mm".to_owned(), 10_000));
    steps.push(launch("long".to_owned(), 500_000, 0));
    steps.push(Step::Op("aten::hidden".to_owned(), 20_000));
    steps.push(Step::Sync);
    steps.push(Step::Op("aten::last".to_owned(), 1_000));
    let ranks = [Rank { stage: 0, rank: 0, begins_ns: 5_000_000, steps }];
    let played = play(&ranks, true, |_| false);
    let dir = tempfile::tempdir().unwrap();
    with_graph(&pipeline::write(&ranks, &played, dir.path()), |run| {
        let subject = run.subject();
        let pieces = path(subject.graph, &Replay::of(subject.graph, &Changes::default()));
        let rows = path_rows(&subject, &pieces);
        let ns = |by: By, name: &str| {
            rows.iter().find(|row| row.by == by && row.name == name).map_or(0, |row| row.ns)
        };
        assert_eq!(ns(By::Kernel, "long"), 500_000);
        assert_eq!(ns(By::Operator, "aten::mm"), 10_000);
        assert_eq!(ns(By::Operator, "aten::hidden"), 0);
        // Of each pair of warm-up kernels one launch is waited for, and a return; then those of `long`.
        assert_eq!(ns(By::Edge, "sync"), 6 * pipeline::RETURN_NS);
        assert_eq!(ns(By::Edge, "launch"), 6 * (CALL_NS + pipeline::LAUNCH_NS));
        assert_eq!(ns(By::Edge, "stream_order"), 5 * pipeline::STREAM_NS);
    });
}

/// A stage that works for 3 and 8 ms and hands over, and one that waits and works for 5, six times; a log of both.
fn logged_pipeline(dir: &Path) -> (Vec<Rank>, Played, Vec<PathBuf>) {
    const N: usize = 6;
    let mut steps = [Vec::new(), Vec::new()];
    for _ in 0..N {
        steps[0].push(Step::Op("aten::work".to_owned(), 3_000_000));
        steps[0].push(Step::Op("aten::long".to_owned(), 8_000_000));
        steps[0].push(Step::Send(2_000));
        steps[1].push(Step::Receive);
        steps[1].push(Step::Op("aten::talk".to_owned(), 5_000_000));
    }
    let rank = |(stage, steps)| Rank { stage, rank: 0, begins_ns: 5_000_000, steps };
    let ranks: Vec<Rank> = steps.into_iter().enumerate().map(rank).collect();
    let played = play(&ranks, true, |_| false);
    let paths = pipeline::write(&ranks, &played, dir);
    for path in &paths {
        // Nobody records who sends.
        let text = std::fs::read_to_string(path).unwrap().replace(": enqueue", ": other");
        std::fs::write(path, text).unwrap();
    }
    let mut lines = Vec::new();
    for request in 0..N {
        for (stage, per) in [(0, 3), (1, 2)] {
            let first = usize::from(stage == 1);
            let begin = played.steps[stage][request * per + first].0;
            let end = played.steps[stage][request * per + 1].1;
            let gen_ms = (end - begin) as f64 / 1e6;
            let at = format!("2026-09-21 14:13:20,{:03}", end / 1_000_000);
            lines.push((end, format!(
                "{at} [PID:1] INFO: [StageMetrics] stage={stage} req={request}_a metrics={{'num_tokens_out': 6, 'stage_gen_time_ms': {gen_ms}, 'batch_id': 1}}\n\
                 {at} [PID:1] DEBUG: [Orchestrator] Stage-{stage} completed request {request}_a; forwarding or finalizing\n"
            )));
        }
    }
    lines.sort_unstable();
    let text: String = lines.into_iter().map(|(_, line)| line).collect();
    std::fs::write(dir.join("omni_llm_pipeline.log"), text).unwrap();
    (ranks, played, paths)
}

/// The machine output of a command.
fn told(arguments: &[&str]) -> serde_json::Value {
    let output = program::omni_trace(&[arguments, &["--format", "json", "--quiet"]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn doubted(report: &serde_json::Value, kind: &str) -> u64 {
    let rows = report["doubts"].as_array().unwrap();
    rows.iter().find(|row| row["kind"] == kind).map_or(0, |row| row["count"].as_u64().unwrap())
}

#[test]
fn logs_tell_which_stage_waited_for_which() {
    let dir = tempfile::tempdir().unwrap();
    let (ranks, played, _) = logged_pipeline(dir.path());
    let folder = dir.path().to_str().unwrap();
    let zone = ["--logs", folder, "--log-zone", "+00:00"];
    let drop = ["what-if", folder, "--drop-op", "aten::long"];
    let (without, with) =
        (told(&[&drop[..], &["--no-logs"]].concat()), told(&[&drop[..], &zone].concat()));
    assert_eq!((doubted(&without, "unmatched_waits"), doubted(&without, "logged_waits")), (6, 0));
    assert_eq!((doubted(&with, "unmatched_waits"), doubted(&with, "logged_waits")), (0, 6));
    let faster = changed(&ranks, |step| match step {
        Step::Op(name, _) if name == "aten::long" => Step::Op(name.clone(), 0),
        other => other.clone(),
    });
    let whole = |played: &Played| played.end_ns() - 5_000_000;
    let predicted = with["whole"]["predicted_ns"].as_i64().unwrap();
    let expected = whole(&play(&faster, true, |_| false));
    assert!(expected * 2 < whole(&played), "the change is large");
    // The log has milliseconds.
    assert!((predicted - expected).abs() <= 1_000_000, "{predicted} for {expected}");
    // Without it nothing says that the second stage would get its work earlier.
    assert_eq!(without["whole"]["predicted_ns"], whole(&played));
}

#[test]
fn logs_of_a_real_run_explain_its_waits() {
    let folder = "fixtures/joined";
    let without = told(&["critical-path", folder, "--no-logs"]);
    let with = told(&["critical-path", folder, "--logs", folder]);
    assert_eq!((doubted(&without, "unmatched_waits"), doubted(&without, "logged_waits")), (12, 0));
    // Three requests go through three stages.
    assert_eq!((doubted(&with, "unmatched_waits"), doubted(&with, "logged_waits")), (6, 6));
    for row in with["replay"].as_array().unwrap() {
        assert_eq!(
            (row["exact_pct"].as_f64(), row["drift_pct"].as_f64()),
            (Some(100.0), Some(0.0))
        );
    }
}

/// Bytes of a graph, by the widths of its columns.
fn bytes_of(graph: &Graph) -> usize {
    let node = 2 * size_of::<i64>() + 2 * size_of::<u32>() + size_of::<What>() + size_of::<bool>();
    let edge = size_of::<i64>() + 2 * size_of::<u32>() + size_of::<EdgeKind>() + size_of::<bool>();
    graph.nodes.count() * node + graph.edges.count() * edge + graph.order.len() * size_of::<u32>()
}

/// Checks an unchanged replay, and how large the graph is; its rows in Markdown.
fn check_null(label: &str, paths: &[PathBuf]) -> String {
    let mut rows = String::new();
    with_graph(paths, |run| {
        let subject = run.subject();
        let replay = Replay::of(subject.graph, &Changes::default());
        let n_events: usize = subject.inputs.iter().map(|input| input.store.slices.len()).sum();
        let per_event = bytes_of(subject.graph) as f64 / n_events.max(1) as f64;
        assert!(per_event <= 80.0, "{label}: {per_event} bytes an event");
        let doubts = doubt_rows(subject.graph);
        let dropped = doubts.iter().find(|row| row.kind == DoubtKind::DroppedEdges);
        let dropped = dropped.map_or(0, |row| row.count);
        for row in replay_rows(&subject, &replay) {
            let exact = row.exact_pct.unwrap_or(100.0);
            let drift = row.drift_pct.unwrap_or(0.0);
            let share = |n: u64| match row.awaited {
                0 => "-".to_owned(),
                all => format!("{:.2} %", 100.0 * n as f64 / all as f64),
            };
            writeln!(
                rows,
                "| {label} | {} | {} | {exact:.2} % | {drift:.4} % | {} | {} | {} | {:.3} ms | {dropped} | {per_event:.1} |",
                row.input,
                row.nodes,
                row.awaited,
                share(row.explained),
                share(row.awaited - row.explained),
                row.unexplained_ns as f64 / 1e6,
            )
            .unwrap();
            assert!(exact >= 99.0 && drift.abs() <= 0.1, "{label}: {row:?}");
        }
        check_path(&subject, &replay);
    });
    print!("{rows}");
    rows
}

/// What stands before the table of unchanged replays.
const NULL_REPLAY: &str = "# What an unchanged replay gives

`BLESS=1 cargo test --test causal -- an_unchanged_replay`, over every trace at hand, alone, and over those that are one run together. The graph of each
is played again without a change: the window must end within 0.1 % of where it ended, and 99 % of the nodes must begin when they did. That
is necessary and no evidence: who keeps every start passes it. So the table says, too, what edges explain of the begins that something
was awaited for (launches, streams, synchronization, collectives, hand-offs): `explained` is the share whose gap is usual of its kind of
edge, up to ten times the median or 10 µs, `unexplained` the share whose gap is longer or that nothing precedes; `gaps` is by how much they are
longer, in sum. `dropped` are edges of the whole graph that times contradict, `bytes/event` is its size over the events of all inputs.

| trace | # | nodes | exact starts | drift of the end | awaited | explained | unexplained | gaps | dropped | bytes/event |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
";

/// Traces that are one run together.
const SETS: [&str; 6] = [
    "own/h100/py_pipe_tiny",
    "own/h100/py_pipe_tp2",
    "own/h100/py_pipe_stack_spin",
    "own/h100/py_pipe_max_iters",
    "public/dlrm_8rank",
    "own/vllm/v030_tp2_mp_maxiter1",
];

#[test]
fn an_unchanged_replay_gives_what_was_recorded() {
    let Some(root) = common::shared_traces() else { return };
    let mut report = NULL_REPLAY.to_owned();
    for path in common::real_traces() {
        let label = path.strip_prefix(&root).unwrap_or(&path).display().to_string();
        report += &check_null(&label, std::slice::from_ref(&path));
    }
    for set in SETS {
        report += &check_null(&format!("{set}, together"), &[root.join(set)]);
    }
    for pair in ["ddp_even", "ddp_late"] {
        let rank =
            |rank: u32| root.join(format!("own/h200_pairs/{pair}_rank{rank}.pt.trace.json.gz"));
        report += &check_null(&format!("own/h200_pairs/{pair}, together"), &[rank(0), rank(1)]);
    }
    if std::env::var_os("BLESS").is_some() {
        let to = Path::new(env!("CARGO_MANIFEST_DIR")).join("reports/null_replay.md");
        std::fs::write(to, report).unwrap();
    }
}

/// A pair of programs that differ in one planted thing: traces of A and of B, and the change that makes B of A.
struct Pair {
    name: &'static str,
    a: &'static [&'static str],
    b: &'static [&'static str],
    change: Change,
    /// Whether the change is large beside the spread between runs, so that it must be met.
    must_hold: bool,
}

#[test]
fn planted_changes_are_predicted() {
    let Some(root) = common::shared_traces() else { return };
    let op = |glob: &str| Change::DropOp(glob.to_owned());
    let pairs = [
        Pair {
            name: "host_sleep",
            a: &["host_sleep_A"],
            b: &["host_sleep_B"],
            change: op("detokenize"),
            must_hold: true,
        },
        Pair {
            name: "item_per_layer",
            a: &["item_per_layer_A"],
            b: &["item_per_layer_B"],
            change: op("aten::item"),
            must_hold: false,
        },
        Pair {
            name: "device_bound_spin",
            a: &["device_bound_spin_A"],
            b: &["device_bound_spin_B"],
            change: Change::DropKernel("*spin*".to_owned()),
            must_hold: false,
        },
        Pair {
            name: "two_streams",
            a: &["two_streams_A"],
            b: &["two_streams_B"],
            change: Change::Overlap(None, "*elementwise*".to_owned()),
            must_hold: false,
        },
        Pair {
            name: "cuda_graph",
            a: &["decode_eager"],
            b: &["decode_graph"],
            change: Change::CudaGraph(None),
            must_hold: true,
        },
        Pair {
            name: "late_rank",
            a: &["ddp_late_rank0", "ddp_late_rank1"],
            b: &["ddp_even_rank0", "ddp_even_rank1"],
            change: op("load_batch"),
            must_hold: true,
        },
    ];
    let dir = root.join("own/h200_pairs");
    println!(
        "pair                 A, recorded    predicted  B, recorded  predicted/measured change"
    );
    for pair in &pairs {
        let (a, predicted) = medians(&dir, pair.a, std::slice::from_ref(&pair.change));
        let (b, _) = medians(&dir, pair.b, &[]);
        let ratio = (predicted - a) as f64 / (b - a) as f64;
        println!("{:20} {a:11} {predicted:12} {b:12} {ratio:6.2}", pair.name);
        assert!(!pair.must_hold || (0.75..=1.25).contains(&ratio), "{}: {ratio}", pair.name);
    }
}

/// The median iteration of the main input as recorded, and with changes.
fn medians(dir: &Path, names: &[&str], changes: &[Change]) -> (i64, i64) {
    let path = |name: &&str| dir.join(format!("{name}.pt.trace.json.gz"));
    let paths: Vec<PathBuf> = names.iter().map(path).collect();
    with_graph(&paths, |run| {
        let subject = run.subject();
        let main = subject.main_input();
        let median = |changes: &[Change]| {
            let replay = Replay::of(subject.graph, &subject.changes(changes));
            subject.measure(&replay).inputs[main].median_ns().expect("there are iterations")
        };
        (median(&[]), median(changes))
    })
}
