//! Each finding where it is planted, and not where it is nearly there; sentences and predictions of the findings.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;
mod pipeline;
mod program;

use std::path::{Path, PathBuf};

use pipeline::{Rank, Step, play};
use program::omni_trace;
use serde_json::{Value, json};

/// A program of one thread and one device, written as its profiler would have; times in microseconds.
#[derive(Default)]
struct Program {
    events: Vec<Value>,
    now: u64,
    n_calls: u64,
    /// When each stream is free.
    free: [u64; 8],
}

impl Program {
    fn event(&mut self, cat: &str, name: &str, (start, end): (u64, u64), tid: u64, args: Value) {
        self.events.push(json!({"ph": "X", "cat": cat, "name": name, "pid": if tid < 7 { 10 } else { 0 }, "tid": tid,
            "ts": 1000 + start, "dur": end - start, "args": args}));
    }

    /// Something of the host around some of its steps.
    fn inside(&mut self, cat: &str, name: &str, steps: impl FnOnce(&mut Self)) {
        let start = self.now;
        steps(self);
        self.event(cat, name, (start, self.now), 1, json!({}));
    }

    fn op(&mut self, name: &str, us: u64) {
        self.inside("cpu_op", name, |p| p.now += us);
    }

    fn call(&mut self, name: &str, us: u64) {
        self.n_calls += 1;
        let args = json!({"correlation": self.n_calls});
        self.event("cuda_runtime", name, (self.now, self.now + us), 1, args);
        self.now += us;
    }

    /// A call that starts work on a stream.
    fn start(
        &mut self,
        call: &str,
        call_us: u64,
        (cat, name): (&str, &str),
        us: u64,
        stream: usize,
    ) {
        self.call(call, call_us);
        let start = (self.now + 3).max(self.free[stream] + 1);
        self.free[stream] = start + us;
        let args = json!({"correlation": self.n_calls, "device": 0, "stream": stream});
        self.event(cat, name, (start, start + us), stream as u64, args);
    }

    fn kernel(&mut self, name: &str, us: u64, stream: usize) {
        self.start("cudaLaunchKernel", 5, ("kernel", name), us, stream);
    }

    /// Waits until the device is idle.
    fn sync(&mut self, call: &str) {
        let until = self.free.iter().copied().max().unwrap().max(self.now) + 2;
        let us = until - self.now;
        self.call(call, us);
    }

    fn steps(&mut self, n: u64, step: impl Fn(&mut Self, u64)) {
        for number in 0..n {
            self.inside("user_annotation", &format!("ProfilerStep#{number}"), |p| step(p, number));
        }
    }

    fn write(self, dir: &Path) -> PathBuf {
        let path = dir.join("trace.json");
        let trace = json!({"schemaVersion": 1, "deviceProperties": [{"id": 0, "name": "test"}],
            "baseTimeNanoseconds": 1_790_000_000_000_000_000_u64, "traceEvents": self.events});
        std::fs::write(&path, trace.to_string()).unwrap();
        path
    }
}

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

/// The finding of a kind in a program of one thread.
fn found(kind: &str, build: impl FnOnce(&mut Program)) -> Option<Value> {
    let mut program = Program::default();
    build(&mut program);
    let dir = tempfile::tempdir().unwrap();
    of(&answer(&[program.write(dir.path())]), kind)
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
    let eager =
        |kernel_us: u64| move |p: &mut Program| p.steps(10, |p, _| launches(p, 20, kernel_us));
    let bound = found("launch_bound", eager(2)).unwrap();
    assert_eq!((&bound["count"], &bound["what_if"]), (&json!(10), &json!("--cuda-graph unknown")));
    assert!(bound["change_pct"].as_f64().unwrap() < -50.0, "{bound}");
    assert_eq!(found("launch_bound", eager(60)), None);
    let tiny = found("tiny_kernels", eager(2)).unwrap();
    assert_eq!((&tiny["count"], &tiny["ns"]), (&json!(200), &json!(200 * 5_000)));
    assert_eq!(found("tiny_kernels", eager(60)), None);
}

#[test]
fn copies() {
    let copying = |name: &'static str| {
        move |p: &mut Program| {
            p.steps(8, |p, _| {
                p.start("cudaMemcpyAsync", 6, ("gpu_memcpy", name), 300, 7);
                p.kernel("gemm", 50, 7);
                p.sync("cudaStreamSynchronize");
            });
        }
    };
    let pageable = found("pageable_copies", copying("Memcpy HtoD (Pageable -> Device)")).unwrap();
    assert_eq!((&pageable["count"], &pageable["ns"]), (&json!(8), &json!(8 * 300_000)));
    assert_eq!(found("pageable_copies", copying("Memcpy HtoD (Pinned -> Device)")), None);

    let blocking = |call: &'static str, call_us: u64| {
        move |p: &mut Program| {
            p.steps(8, |p, _| {
                p.start(call, call_us, ("gpu_memcpy", "Memcpy DtoH (Device -> Pinned)"), 390, 7);
                launches(p, 20, 2);
            });
        }
    };
    // The call returns when its copy is over.
    assert!(
        found("blocking_copies", |p| p.steps(8, |p, _| {
            p.n_calls += 1;
            let args = json!({"correlation": p.n_calls, "device": 0, "stream": 7});
            let (start, end) = (p.now + 5, p.now + 395);
            p.event("gpu_memcpy", "Memcpy DtoH (Device -> Pinned)", (start, end), 7, args);
            p.free[7] = end;
            p.n_calls -= 1;
            p.call("cudaMemcpy", 400);
            launches(p, 20, 2);
        }))
        .is_some()
    );
    assert_eq!(found("blocking_copies", blocking("cudaMemcpyAsync", 6)), None);
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
    let in_loop = found("sync_in_loop", |p| {
        p.steps(8, |p, _| {
            p.kernel("gemm", 200, 7);
            item(p);
            p.op("aten::view", 150);
            p.kernel("gemm", 200, 7);
        });
    })
    .unwrap();
    assert_eq!((&in_loop["count"], &in_loop["subject"]), (&json!(8), &json!("aten::item")));
    let after = found("sync_in_loop", |p| {
        p.steps(8, |p, _| {
            p.kernel("gemm", 200, 7);
            p.op("aten::view", 150);
            p.kernel("gemm", 200, 7);
        });
        item(p);
    });
    assert_eq!(after, None);
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
    const TUNES: &str = "torch/_inductor/runtime/triton_heuristics.py(900): autotune_to_one_config";
    const LOADER: &str = "enumerate(DataLoader)#_SingleProcessDataLoaderIter.__next__";
    for (kind, cat, name) in [
        ("module_loading", "cuda_driver", "cuModuleLoadData"),
        ("autotuning", "python_function", TUNES),
        ("garbage_collection", "python_function", "<built-in function collect>"),
        ("data_loader", "user_annotation", LOADER),
        ("allocation_in_loop", "cuda_runtime", "cudaMalloc"),
    ] {
        let row = found(kind, around(cat, name, 100)).unwrap_or_else(|| panic!("{kind}"));
        assert_eq!((&row["count"], &row["ns"]), (&json!(8), &json!(8 * 100_000)), "{kind}");
        let pct = row["change_pct"].as_f64().unwrap();
        assert!((-35.0..-25.0).contains(&pct), "{kind}: {pct}");
        assert_eq!(found(kind, around(cat, name, 1)), None, "{kind}");
    }
    // Before the loop it is a warm-up.
    let before = found("allocation_in_loop", |p| {
        p.call("cudaMalloc", 1_000);
        around("cpu_op", "aten::view", 1)(p);
    });
    assert_eq!(before, None);
}

#[test]
fn kernels_that_slow_each_other_down() {
    let side_by_side = |beside_us: u64| {
        move |p: &mut Program| {
            p.steps(24, |p, number| {
                p.kernel("gemm", if number.is_multiple_of(2) { 50 } else { beside_us }, 7);
                if number % 2 == 1 {
                    p.kernel("other", beside_us * 2, 6);
                }
                p.sync("cudaDeviceSynchronize");
            });
        }
    };
    let row = found("contention", side_by_side(90)).unwrap();
    assert_eq!((&row["count"], &row["ns"]), (&json!(12), &json!(12 * 40_000)));
    assert_eq!((&row["subject"], &row["change_pct"]), (&json!("gemm"), &Value::Null));
    assert_eq!(found("contention", side_by_side(51)), None);
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
    let late = of(&two_ranks([0, 100_000], 10_000, 20_000, true), "late_rank").unwrap();
    assert_eq!((&late["input"], &late["count"]), (&json!(1), &json!(12)));
    assert_eq!(late["subject"], "load_batch");
    assert!(late["whole_change_pct"].as_f64().unwrap() < -50.0, "{late}");
    assert_eq!(of(&two_ranks([100_000, 100_000], 10_000, 20_000, true), "late_rank"), None);
    let exposed = of(&two_ranks([0, 0], 50_000, 50_000, false), "exposed_collectives").unwrap();
    assert_eq!(exposed["what_if"], "--overlap comm");
    assert_eq!(of(&two_ranks([0, 0], 500, 50_000, false), "exposed_collectives"), None);
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
    let unbalanced = two_stages(900_000, 100_000);
    let stage = of(&unbalanced, "stage_imbalance").unwrap();
    assert_eq!((&stage["input"], &stage["what_if"]), (&json!(0), &json!("--scale stage:0=0.5")));
    let pct = stage["whole_change_pct"].as_f64().unwrap();
    assert!((-50.0..-40.0).contains(&pct), "{pct}");
    let spin = of(&unbalanced, "spin_hides_bottleneck").unwrap();
    assert_eq!((&spin["input"], &spin["subject"]), (&json!(1), &json!("cpu_op")));
    let balanced = two_stages(500_000, 490_000);
    assert_eq!(of(&balanced, "stage_imbalance"), None);
    assert_eq!(of(&balanced, "spin_hides_bottleneck"), None);
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
