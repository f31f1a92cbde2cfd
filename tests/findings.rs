//! Each finding where it is planted, and not where it is nearly there (`case`); sentences and predictions of the findings.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;
mod pipeline;
mod profiled;
mod program;

use std::path::PathBuf;

use omni_trace::causal::findings::FindingKind;
use pipeline::{Rank, Step, play};
use profiled::Program;
use program::omni_trace;
use serde_json::{Value, json};

fn answer(paths: &[PathBuf]) -> Value {
    let mut args = vec!["critical-path", "--format", "json", "--one-run"];
    args.extend(paths.iter().map(|path| path.to_str().unwrap()));
    let output = omni_trace(&args);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn of(report: &Value, kind: &str) -> Option<Value> {
    report["findings"].as_array().unwrap().iter().find(|row| row["finding"] == kind).cloned()
}

/// The answer about a program of one thread.
fn program(build: impl FnOnce(&mut Program)) -> Value {
    let mut program = Program::default();
    build(&mut program);
    let dir = tempfile::tempdir().unwrap();
    answer(&[program.write(dir.path())])
}

/// A case of each rule: where it fires, and a near miss that differs from it in one thing alone.
fn case(kind: FindingKind) -> [Value; 2] {
    const TUNES: &str = "torch/_inductor/runtime/triton_heuristics.py(900): autotune_to_one_config";
    const LOADER: &str = "enumerate(DataLoader)#_SingleProcessDataLoaderIter.__next__";
    let beside = |cat, name| [100, 1].map(|us| program(around(cat, name, us)));
    match kind {
        FindingKind::LaunchBound | FindingKind::TinyKernels => {
            [2, 60].map(|kernel_us| program(|p| p.steps(10, |p, _| launches(p, 20, kernel_us))))
        }
        FindingKind::PageableCopies => {
            ["Memcpy HtoD (Pageable -> Device)", "Memcpy HtoD (Pinned -> Device)"].map(|name| {
                program(|p| {
                    p.steps(8, |p, _| {
                        p.start("cudaMemcpyAsync", 6, ("gpu_memcpy", name), 300, 7);
                        p.kernel("gemm", 50, 7);
                        p.sync("cudaStreamSynchronize");
                    });
                })
            })
        }
        FindingKind::BlockingCopies => [true, false].map(|blocks| {
            program(|p| {
                p.steps(8, |p, _| {
                    read_back(p, blocks);
                    launches(p, 20, 2);
                });
            })
        }),
        FindingKind::SyncInLoop => [true, false].map(|is_in_loop| {
            program(|p| {
                p.steps(8, |p, _| {
                    p.kernel("gemm", 200, 7);
                    if is_in_loop {
                        item(p);
                    }
                    p.op("aten::view", 150);
                    p.kernel("gemm", 200, 7);
                });
                item(p);
            })
        }),
        FindingKind::LateRank => {
            [0, 100_000].map(|of_first| two_ranks([of_first, 100_000], 10_000, 20_000, true))
        }
        FindingKind::ExposedCollectives => {
            [50_000, 500].map(|comm_ns| two_ranks([0, 0], comm_ns, 50_000, false))
        }
        FindingKind::StageImbalance | FindingKind::SpinHidesBottleneck => {
            [two_stages(900_000, 100_000), two_stages(500_000, 490_000)]
        }
        FindingKind::ModuleLoading => beside("cuda_driver", "cuModuleLoadData"),
        FindingKind::Autotuning => beside("python_function", TUNES),
        FindingKind::GarbageCollection => beside("python_function", "<built-in function collect>"),
        FindingKind::DataLoader => beside("user_annotation", LOADER),
        FindingKind::AllocationInLoop => beside("cuda_runtime", "cudaMalloc"),
        FindingKind::Contention => [90, 51].map(side_by_side),
    }
}

/// What a rule says where it fires.
fn fired(kind: FindingKind) -> Value {
    of(&case(kind)[0], kind.as_str()).unwrap()
}

/// `case` has an arm for each rule, or does not compile; here each has a row in the one answer and none in the other, which
/// the checks do not silence.
#[test]
fn each_rule_fires_and_has_a_near_miss() {
    for kind in FindingKind::ALL {
        let [fires, misses] = case(kind);
        let name = kind.as_str();
        assert!(of(&fires, name).is_some(), "{name} is silent: {}", fires["findings"]);
        assert_eq!(of(&misses, name), None, "{name} fires in its near miss");
        assert_eq!(misses["n_untrusted"], 0, "{name}: the checks silence its near miss");
    }
}

/// A step of `n` launches of kernels of some length.
fn launches(p: &mut Program, n: u64, kernel_us: u64) {
    for _ in 0..n {
        p.inside("cpu_op", "aten::add", |p| {
            p.now += 15;
            p.kernel("add", kernel_us, 7);
        });
    }
}

#[test]
fn launches_and_tiny_kernels() {
    let bound = fired(FindingKind::LaunchBound);
    assert_eq!((&bound["count"], &bound["what_if"]), (&json!(10), &json!("--cuda-graph unknown")));
    assert!(bound["change_pct"].as_f64().unwrap() < -50.0, "{bound}");
    let tiny = fired(FindingKind::TinyKernels);
    assert_eq!((&tiny["count"], &tiny["ns"]), (&json!(200), &json!(200 * 5_000)));
}

/// What an iteration comes to is said of those after the warm-up: of twelve the last six, half as long and not all alike.
#[test]
fn iterations_are_those_after_the_warm_up() {
    let mut program = Program::default();
    program.steps(12, |p, at| {
        launches(p, if at < 6 { 60 } else { 18 + at % 3 * 2 }, 2);
        p.sync("cudaDeviceSynchronize");
    });
    let dir = tempfile::tempdir().unwrap();
    let path = program.write(dir.path());
    let bound = of(&answer(std::slice::from_ref(&path)), "launch_bound").unwrap();
    let words = ["what-if", path.to_str().unwrap(), "--format", "json", "--cuda-graph", "unknown"];
    let output = omni_trace(&words);
    let replay: Value = serde_json::from_slice(&output.stdout).unwrap();
    let rows = replay["predicted_iterations"].as_array().unwrap();
    let mut steady: Vec<i64> =
        rows[6..].iter().map(|row| row["predicted_ns"].as_i64().unwrap()).collect();
    steady.sort_unstable();
    assert_eq!((rows.len(), &bound["predicted_ns"]), (12, &json!(steady[2])), "{steady:?}");
    assert_ne!(bound["predicted_ns"], replay["prediction"]["predicted_median_ns"]);
    assert_eq!(bound["unit"], "iteration");
}

/// A copy to the host, of which the call returns when it is over or at once.
fn read_back(p: &mut Program, blocks: bool) {
    const COPY: (&str, &str) = ("gpu_memcpy", "Memcpy DtoH (Device -> Pinned)");
    if !blocks {
        return p.start("cudaMemcpyAsync", 6, COPY, 390, 7);
    }
    let span = (p.now + 5, p.now + 395);
    p.call("cudaMemcpy", 400);
    let args = json!({"correlation": p.n_calls, "device": 0, "stream": 7});
    p.event(COPY.0, COPY.1, span, 7, args);
    p.free[7] = span.1;
}

#[test]
fn copies() {
    let pageable = fired(FindingKind::PageableCopies);
    assert_eq!((&pageable["count"], &pageable["ns"]), (&json!(8), &json!(8 * 300_000)));
    let blocking = fired(FindingKind::BlockingCopies);
    assert_eq!((&blocking["count"], &blocking["subject"]), (&json!(8), &json!("cudaMemcpy")));
}

fn item(p: &mut Program) {
    p.inside("cpu_op", "aten::item", |p| {
        p.now += 1;
        p.inside("cpu_op", "aten::_local_scalar_dense", |p| {
            p.start("cudaMemcpyAsync", 6, ("gpu_memcpy", "Memcpy DtoH (Device -> Pinned)"), 2, 7);
            p.sync("cudaStreamSynchronize");
        });
    });
}

#[test]
fn reading_back_in_the_loop() {
    let in_loop = fired(FindingKind::SyncInLoop);
    assert_eq!((&in_loop["count"], &in_loop["subject"]), (&json!(8), &json!("aten::item")));
}

/// A step with something of the host in it, and a kernel that does not hide it.
fn around(cat: &'static str, name: &'static str, us: u64) -> impl FnOnce(&mut Program) {
    move |p: &mut Program| {
        p.steps(8, |p, _| {
            p.inside(cat, name, |p| p.now += us);
            p.op("aten::mm", 200);
            p.kernel("gemm", 20, 7);
        });
    }
}

#[test]
fn what_the_host_does_beside_its_work() {
    for kind in [
        FindingKind::ModuleLoading,
        FindingKind::Autotuning,
        FindingKind::GarbageCollection,
        FindingKind::DataLoader,
        FindingKind::AllocationInLoop,
    ] {
        let (row, kind) = (fired(kind), kind.as_str());
        assert_eq!((&row["count"], &row["ns"]), (&json!(8), &json!(8 * 100_000)), "{kind}");
        let pct = row["change_pct"].as_f64().unwrap();
        assert!((-35.0..-25.0).contains(&pct), "{kind}: {pct}");
    }
    // Before the loop it is a warm-up.
    let before = program(|p| {
        p.call("cudaMalloc", 1_000);
        around("cpu_op", "aten::view", 1)(p);
    });
    assert_eq!(of(&before, "allocation_in_loop"), None);
}

/// Kernels of which every second one takes some time beside those of another stream.
fn side_by_side(beside_us: u64) -> Value {
    program(|p| {
        p.steps(24, |p, number| {
            p.kernel("gemm", if number.is_multiple_of(2) { 50 } else { beside_us }, 7);
            if number % 2 == 1 {
                p.kernel("other", beside_us * 2, 6);
            }
            p.sync("cudaDeviceSynchronize");
        });
    })
}

#[test]
fn kernels_that_slow_each_other_down() {
    let row = fired(FindingKind::Contention);
    assert_eq!((&row["count"], &row["ns"]), (&json!(12), &json!(12 * 40_000)));
    assert_eq!((&row["subject"], &row["change_pct"]), (&json!("gemm"), &Value::Null));
}

/// The contention of a process whose every second kernel runs while another process has one, on a device of some number.
fn two_processes(device_of_other: u64) -> Option<Value> {
    let (mut own, mut other) = (Program::default(), Program::default());
    own.steps(24, |p, number| {
        p.kernel("gemm", if number.is_multiple_of(2) { 50 } else { 90 }, 7);
        p.sync("cudaDeviceSynchronize");
        p.now += 200;
    });
    let spans: Vec<(u64, u64)> = own
        .events
        .iter()
        .filter(|event| event["name"] == "gemm" && event["dur"] == 90)
        .map(|event| event["ts"].as_u64().unwrap() - 1000)
        .map(|start| (start, start + 180))
        .collect();
    for span in spans {
        other.now = span.0 - 8;
        other.call("cudaLaunchKernel", 5);
        let args = json!({"correlation": other.n_calls, "device": device_of_other, "stream": 7});
        other.event("kernel", "other", span, 7, args);
    }
    let dir = tempfile::tempdir().unwrap();
    let path = |of: &str| {
        let folder = dir.path().join(of);
        std::fs::create_dir(&folder).unwrap();
        folder
    };
    of(&answer(&[own.write(&path("own")), other.write(&path("other"))]), "contention")
}

/// The device works for the trace of another process.
#[test]
fn another_process_on_the_device() {
    let row = two_processes(0).unwrap();
    assert_eq!((&row["input"], &row["subject"]), (&json!(0), &json!("gemm")));
    assert_eq!((&row["count"], &row["ns"]), (&json!(12), &json!(12 * 40_000)));
    assert_eq!(two_processes(1), None);
}

#[test]
fn checks_that_fail_silence_the_rules() {
    let mut program = Program::default();
    program.steps(10, |p, _| {
        launches(p, 20, 2);
        let args = json!({"correlation": 999_999, "device": 0, "stream": 7});
        let span = (p.now + 50, p.now + 60);
        p.event("kernel", "nobody", span, 7, args);
        p.now += 100;
    });
    let dir = tempfile::tempdir().unwrap();
    let report = answer(&[program.write(dir.path())]);
    assert_eq!((of(&report, "launch_bound"), &report["n_untrusted"]), (None, &json!(1)));
    let said = report["verdict"].as_array().unwrap();
    assert!(said.iter().any(|row| row["tone"] == "caution"), "{said:?}");
}

/// The answer about ranks played by brute force.
fn played(ranks: &[Rank]) -> Value {
    let played = play(ranks, true, |_| false);
    let dir = tempfile::tempdir().unwrap();
    answer(&pipeline::write(ranks, &played, dir.path()))
}

fn launch(name: &str, kernel_ns: i64, stream: usize, is_collective: bool) -> Step {
    Step::Launch { call_ns: 4_000, kernel_ns, name: name.to_owned(), stream, is_collective }
}

/// Two ranks of which one may be late, with collectives of some length after kernels of some length, waited for one by one
/// or at the end.
fn two_ranks(late_ns: [i64; 2], comm_ns: i64, kernel_ns: i64, waits_each: bool) -> Value {
    let rank = |rank: usize| {
        let mut steps = Vec::new();
        for n in 0..12 {
            steps.push(Step::Op("load_batch".to_owned(), 1_000 + late_ns[rank]));
            steps.push(launch(&format!("k{n}"), kernel_ns, 0, false));
            steps.push(launch(&format!("c{n}"), comm_ns, 0, true));
            steps.extend(waits_each.then_some(Step::Sync));
        }
        steps.push(Step::Sync);
        Rank { stage: 0, rank, begins_ns: 5_000_000, steps }
    };
    played(&[rank(0), rank(1)])
}

#[test]
fn ranks_and_collectives() {
    let late = fired(FindingKind::LateRank);
    assert_eq!((&late["input"], &late["count"]), (&json!(1), &json!(12)));
    assert_eq!(late["subject"], "load_batch");
    assert!(late["whole_change_pct"].as_f64().unwrap() < -50.0, "{late}");
    assert_eq!(fired(FindingKind::ExposedCollectives)["what_if"], "--overlap comm");
}

/// Two stages: what the first does before it sends, and the second after it received.
fn two_stages(first_ns: i64, second_ns: i64) -> Value {
    let mut ranks: Vec<Rank> = (0..2)
        .map(|stage| Rank { stage, rank: 0, begins_ns: 5_000_000, steps: Vec::new() })
        .collect();
    for n in 0..10 {
        let work = |ns: i64| {
            [Step::Op("aten::mm".to_owned(), ns), launch(&format!("k{n}"), 9_000, 0, false)]
        };
        ranks[0].steps.extend(work(first_ns));
        ranks[0].steps.push(Step::Send(2_000));
        ranks[1].steps.push(Step::Receive);
        ranks[1].steps.extend(work(second_ns));
    }
    ranks.iter_mut().for_each(|rank| rank.steps.push(Step::Sync));
    played(&ranks)
}

#[test]
fn stages_that_wait_for_each_other() {
    let stage = fired(FindingKind::StageImbalance);
    assert_eq!((&stage["input"], &stage["what_if"]), (&json!(0), &json!("--scale stage:0=0.5")));
    let pct = stage["whole_change_pct"].as_f64().unwrap();
    assert!((-50.0..-40.0).contains(&pct), "{pct}");
    let spin = fired(FindingKind::SpinHidesBottleneck);
    assert_eq!((&spin["input"], &spin["subject"]), (&json!(1), &json!("cpu_op")));
}

#[test]
fn real_traces_say_what_was_planted_in_them() {
    let Some(shared) = common::shared_traces() else { return };
    let pair = |name: &str| shared.join(format!("own/h200_pairs/{name}.pt.trace.json.gz"));
    let late = answer(&[pair("ddp_late_rank0"), pair("ddp_late_rank1")]);
    assert_eq!(of(&late, "late_rank").unwrap()["subject"], "load_batch");
    let even = answer(&[pair("ddp_even_rank0"), pair("ddp_even_rank1")]);
    assert_eq!(of(&even, "late_rank"), None);
    assert!(of(&answer(&[pair("decode_eager")]), "launch_bound").is_some());
    assert_eq!(of(&answer(&[pair("decode_graph")]), "launch_bound"), None);
    let said = answer(&[pair("decode_eager")]);
    let verdict = said["verdict"].as_array().unwrap();
    assert!(verdict.len() > 1);
    for part in verdict.iter().flat_map(|row| row["sentence"].as_array().unwrap()) {
        if let Some(figure) = part.get("figure").filter(|figure| figure["of"].is_null()) {
            let field = said.pointer(figure["path"].as_str().unwrap()).unwrap();
            assert_eq!(&figure["value"], field, "{figure}");
        }
    }
}

#[test]
fn the_path_is_a_track_of_the_merged_trace() {
    let mut ranks = Vec::new();
    for stage in 0..2 {
        let mut steps = Vec::new();
        for n in 0..3 {
            if stage == 1 {
                steps.push(Step::Receive);
            }
            steps.push(Step::Op("aten::mm".to_owned(), 400_000));
            steps.push(launch(&format!("k{n}"), 30_000, 0, false));
            if stage == 0 {
                steps.push(Step::Send(2_000));
            }
        }
        steps.push(Step::Sync);
        ranks.push(Rank { stage, rank: 0, begins_ns: 5_000_000, steps });
    }
    let dir = tempfile::tempdir().unwrap();
    let paths = pipeline::write(&ranks, &play(&ranks, true, |_| false), dir.path());
    let out = dir.path().join("merged.json");
    let mut args = vec!["merge", "--critical-path", "--quiet", "-o", out.to_str().unwrap()];
    args.extend(paths.iter().map(|path| path.to_str().unwrap()));
    let output = omni_trace(&args);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let merged: Value = serde_json::from_str(&std::fs::read_to_string(&out).unwrap()).unwrap();
    let events = merged["traceEvents"].as_array().unwrap();
    let span = |event: &Value| {
        let ns = |key: &str| (event[key].as_f64().unwrap() * 1000.0).round() as i64;
        (ns("ts"), ns("ts") + ns("dur"))
    };
    let of = |cat: &str| events.iter().filter(|event| event["cat"] == cat).collect::<Vec<_>>();
    let (track, ops) = (of("critical_path"), of("cpu_op"));
    assert!(track.len() > 6, "{} stretches", track.len());
    let mut spans: Vec<(i64, i64)> = track.iter().map(|event| span(event)).collect();
    spans.sort_unstable();
    assert!(spans.windows(2).all(|pair| pair[0].1 == pair[1].0), "the path has a hole");
    let on_path: Vec<_> = track.iter().filter(|event| event["name"] == "aten::mm").collect();
    assert!(on_path.len() >= 4, "{on_path:?}");
    for event in on_path.iter().filter(|event| event["args"]["edge"].is_null()) {
        let (start, end) = span(event);
        let is_in = |op: &&Value| span(op).0 <= start && end <= span(op).1;
        assert!(ops.iter().any(is_in), "{event} is no operator");
    }
    // The inputs come apart again, and the track with them.
    let again =
        omni_trace(&["analyze", out.to_str().unwrap(), "--format", "json", "--table", "inputs"]);
    let again: Value = serde_json::from_slice(&again.stdout).unwrap();
    assert_eq!(again["inputs"].as_array().unwrap().len(), 3);
}

#[test]
fn analyze_answers_with_the_same_findings_where_they_are_asked_for() {
    let mut program = Program::default();
    program.steps(10, |p, _| launches(p, 20, 2));
    let dir = tempfile::tempdir().unwrap();
    let trace = program.write(dir.path());
    let trace = trace.to_str().unwrap();
    let said = |args: &[&str]| {
        let output = omni_trace(args);
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let of = |command: &str, format: &str| {
        said(&[command, trace, "--table", "findings", "--format", format])
    };
    let json = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    let path = json(&of("critical-path", "json"));
    let own = json(&of("analyze", "json"));
    assert!(path["findings"].as_array().unwrap().len() > 1, "{path}");
    assert_eq!(own["findings"], path["findings"]);
    assert!(own["key_averages"].as_array().unwrap().len() > 1);
    for format in ["csv", "text", "md"] {
        assert_eq!(of("analyze", format), of("critical-path", format));
    }
    assert!(of("analyze", "csv").contains("launch_bound"));
    // Nobody pays for them who did not ask.
    assert_eq!(json(&said(&["analyze", trace, "--format", "json"])).get("findings"), None);
    assert!(!said(&["analyze", trace, "--full"]).contains("Findings: what to do"));
}

#[test]
fn analyze_says_where_it_has_no_findings() {
    let mut program = Program::default();
    program.steps(10, |p, _| launches(p, 2, 5000));
    let dir = tempfile::tempdir().unwrap();
    let trace = program.write(dir.path());
    let trace = trace.to_str().unwrap();
    let asked = ["analyze", trace, "--table", "findings", "--format"];
    let none = omni_trace(&[&asked[..], &["json"]].concat());
    let none: Value = serde_json::from_slice(&none.stdout).unwrap();
    assert_eq!(none["findings"], json!([]));
    let text = omni_trace(&[&asked[..], &["text"]].concat());
    let text = String::from_utf8(text.stdout).unwrap();
    assert!(text.contains("no rule found anything"), "{text}");
    // Runs do not wait for each other, and partial results hold no events.
    let fails = |args: &[&str], why: &str| {
        let output = omni_trace(args);
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{told}");
        assert!(told.contains(why), "{told}");
    };
    let other = ["analyze", trace, "fixtures/vllm_tp2_step", "--table", "findings"];
    fails(&other, "are of 2 runs, which do not wait for each other");
    let partial = dir.path().join("a.otp");
    let partial = partial.to_str().unwrap();
    assert!(omni_trace(&["analyze", trace, "--partial", partial]).status.success());
    fails(&["reduce", partial, "--table", "findings"], "findings are made of events");
}
