//! `diff`: that a run does not differ from itself, that accounts sum to the difference, that a baseline stands for its
//! traces, what real pairs show, and what is said where nothing can be compared.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut program = Command::new(env!("CARGO_BIN_EXE_omni-trace"));
    let output = program.arg("diff").args(arguments).arg("-q").output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

fn json(arguments: &[&str]) -> (Option<i32>, Value) {
    let mut all = arguments.to_vec();
    all.extend(["--format", "json"]);
    let (code, stdout, stderr) = run(&all);
    (code, serde_json::from_str(&stdout).unwrap_or_else(|_| panic!("{stderr}")))
}

fn fixture(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name).display().to_string()
}

fn own(name: &str) -> Option<String> {
    let path: PathBuf = common::shared_traces()?.join("own").join(name);
    Some(path.display().to_string())
}

fn ns(value: &Value) -> i64 {
    value.as_i64().unwrap()
}

/// Both accounts of every lane sum to its means and their difference, to the nanosecond; buckets sum to rate and mix.
fn assert_sums(report: &Value) {
    let rows = |key: &str, lane: &Value| -> Vec<Value> {
        let all = report[key].as_array().unwrap().iter();
        all.filter(|row| row["lane"] == *lane).cloned().collect()
    };
    let sum = |rows: &[&Value], field: &str| rows.iter().map(|row| ns(&row[field])).sum::<i64>();
    for lane in report["lanes"].as_array().unwrap() {
        let accounts = rows("accounts", &lane["lane"]);
        for account in ["device", "lead"] {
            let own: Vec<&Value> =
                accounts.iter().filter(|row| row["account"] == account).collect();
            if own.is_empty() {
                assert_eq!(account, "device");
                continue;
            }
            for field in ["a_ns", "b_ns", "diff_ns"] {
                assert_eq!(sum(&own, field), ns(&lane[field]), "{account} {field}");
            }
        }
        let buckets = rows("buckets", &lane["lane"]);
        let buckets: Vec<&Value> = buckets.iter().collect();
        assert_eq!(sum(&buckets, "rate_ns"), ns(&lane["rate_ns"]));
        assert_eq!(sum(&buckets, "mix_ns"), ns(&lane["mix_ns"]));
        assert_eq!(ns(&lane["rate_ns"]) + ns(&lane["mix_ns"]), ns(&lane["diff_ns"]));
        assert_eq!(ns(&lane["b_ns"]) - ns(&lane["a_ns"]), ns(&lane["diff_ns"]));
    }
    for causes in ["causes", "other_causes"] {
        let causes: Vec<&Value> = report[causes].as_array().unwrap().iter().collect();
        if !causes.is_empty() {
            assert_eq!(sum(&causes, "diff_ns"), ns(&report["total"]["diff_ns"]));
        }
    }
}

#[test]
fn a_run_does_not_differ_from_itself() {
    for name in ["pipeline", "vllm_tp2_step", "h100_rust_light", "nccl_two_ranks", "empty_trace"] {
        let path = fixture(name);
        let (code, report) = json(&[&path, &path, "--gate", "3%"]);
        let is_empty = report["total"].is_null();
        assert_eq!(code, Some(i32::from(is_empty)), "{name}");
        assert_eq!(report["causes"], Value::Array(Vec::new()), "{name}");
        assert_eq!(report["differences"], Value::Array(Vec::new()), "{name}");
        if !is_empty {
            assert_eq!(report["verdict"], "no_change_shown", "{name}");
            assert_eq!(report["total"]["diff_ns"], 0);
        }
        assert_sums(&report);
    }
}

#[test]
fn a_baseline_stands_for_its_traces() {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().join("base.json");
    let base = base.to_str().unwrap();
    let (a, b) = (fixture("pipeline"), fixture("vllm_tp2_step"));
    let (code, stdout, stderr) = run(&[&a, "--save-baseline", base]);
    assert_eq!((code, stdout.as_str(), stderr.as_str()), (Some(0), "", ""));
    for b in [&a, &b] {
        let (_, direct) = json(&[&a, b]);
        let (_, stored) = json(&["--against", base, b]);
        assert_eq!(direct, stored);
        // A directory of baselines is as good.
        let (_, stored) = json(&["--against", folder.path().to_str().unwrap(), b]);
        assert_eq!(direct, stored);
    }
    // Several runs in one.
    let several = folder.path().join("several.json");
    let several = several.to_str().unwrap();
    let (code, stdout, stderr) = run(&["--b", &a, &b, "--save-baseline", several]);
    assert_eq!((code, stdout.as_str(), stderr.as_str()), (Some(0), "", ""));
    let (_, direct) = json(&["--a", &a, &b, "--b", &a]);
    let (_, stored) = json(&["--against", several, &a]);
    assert_eq!(direct, stored);
    assert!(stored["cautions"].to_string().contains("B is one run"), "{stored}");
    let text = std::fs::read_to_string(base).unwrap();
    std::fs::write(base, text.replacen("\"dur_ns\":", "\"dur_ns\":1", 1)).unwrap();
    let (code, _, stderr) = run(&["--against", base, &a]);
    assert_eq!(code, Some(2));
    assert!(stderr.contains("do not sum up"), "{stderr}");
}

#[test]
fn graphs_in_place_of_single_launches_are_told_first_and_explained() {
    let Some(a) = own("h200_pairs/decode_eager.pt.trace.json.gz") else { return };
    let b = own("h200_pairs/decode_graph.pt.trace.json.gz").unwrap();
    let (code, report) = json(&[&a, &b]);
    assert_eq!((code, report["verdict"].as_str()), (Some(0), Some("improvement")));
    assert_sums(&report);
    let first = report["answer"][0]["sentence"].to_string();
    assert!(first.contains("set up differently") && first.contains("by graphs"), "{first}");
    let count = |what: &str| {
        let rows = report["counts"].as_array().unwrap();
        rows.iter().find(|row| row["what"] == what).unwrap().clone()
    };
    assert_eq!(
        (count("launches")["a"].as_f64(), count("launches")["b"].as_f64()),
        (Some(91.0), Some(3.0))
    );
    assert_eq!(
        (count("kernels")["a"].as_f64(), count("kernels")["b"].as_f64()),
        (Some(91.0), Some(92.0))
    );
    // What the device lost most was idle time that operators of the host caused.
    let idle = &report["other_causes"][0];
    assert_eq!((idle["class"].as_str(), idle["name"].as_str()), (Some("idle"), Some("cpu_op")));
    assert!(ns(&idle["diff_ns"]) * 2 < ns(&report["total"]["diff_ns"]), "{idle}");
    // Little work is in both, so that a machine twice as fast would leave less than the limit, but not nothing.
    let (code, gated) = json(&[&a, &b, "--gate", "3%"]);
    assert_eq!((code, gated["verdict"].as_str()), (Some(0), Some("improvement")));
    assert!(gated["answer"].to_string().contains("B is faster"), "{gated}");
    let (code, turned) = json(&[&b, &a, "--gate", "3%"]);
    assert_eq!((code, turned["verdict"].as_str()), (Some(1), Some("regression")));

    let (a, b) =
        ("h100/py_llm/llm_eager.pt.trace.json.gz", "h100/py_llm/llm_cudagraph.pt.trace.json.gz");
    let (_, text, _) = run(&[&own(a).unwrap(), &own(b).unwrap()]);
    // It stands before any figure, over as many lines as the width asks for.
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let (before, _) = words.split_once("B is faster").unwrap();
    assert!(before.contains("set up differently") && before.contains("profile_memory"), "{text}");
}

/// What `critical-path` says of the iterations of a trace: the sum of a part, and how many there are.
fn on_path(trace: &str, field: &str) -> (i64, i64) {
    let mut program = Command::new(env!("CARGO_BIN_EXE_omni-trace"));
    let told = program.args(["critical-path", "-q", "--format", "json", trace]).output().unwrap();
    let told: Value = serde_json::from_slice(&told.stdout).unwrap();
    let rows = told["path_iterations"].as_array().unwrap();
    (rows.iter().map(|row| ns(&row[field])).sum(), rows.len() as i64)
}

#[test]
fn the_critical_path_is_that_of_both_runs_and_sums_to_the_difference() {
    let Some(a) = own("h200_pairs/decode_eager.pt.trace.json.gz") else { return };
    let b = own("h200_pairs/decode_graph.pt.trace.json.gz").unwrap();
    let (_, report) = json(&[&a, &b, "--keep-warmup"]);
    let rows = report["paths"].as_array().unwrap();
    for (field, of_lane) in [("a_ns", "a_ns"), ("b_ns", "b_ns"), ("diff_ns", "rate_ns")] {
        let sum: i64 = rows.iter().map(|row| ns(&row[field])).sum();
        assert_eq!(sum, ns(&report["total"][of_lane]), "{field}");
    }
    for (part, field) in [("host", "host_ns"), ("kernels", "kernel_ns"), ("gaps", "gap_ns")] {
        let row = rows.iter().find(|row| row["part"] == part).unwrap();
        for (trace, side) in [(&a, "a_ns"), (&b, "b_ns")] {
            let (sum, n) = on_path(trace, field);
            assert!((ns(&row[side]) - sum / n).abs() <= 1, "{part} {side}: {row} {sum} {n}");
        }
    }
    let (_, text, _) = run(&[&a, &b]);
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        words.contains("critical path moved: of an iteration it is in host code for"),
        "{text}"
    );
    // Where nothing moved, nothing is said.
    let (_, same) = json(&[&a, &a]);
    assert!(!same["answer"].to_string().contains("critical path"), "{same}");
}

#[test]
fn planted_changes_are_named() {
    let pairs = [
        ("host_sleep", "lead", "wait.annotation", Some("improvement")),
        // Less than what a machine may do from one run to the next.
        ("item_per_layer", "lead", "sync.gpu", Some("inconclusive")),
        ("device_bound_spin", "device", "at::cuda::spin_kernel", None),
    ];
    for (pair, account, name, verdict) in pairs {
        let Some(a) = own(&format!("h200_pairs/{pair}_A.pt.trace.json.gz")) else { return };
        let b = own(&format!("h200_pairs/{pair}_B.pt.trace.json.gz")).unwrap();
        let (_, report) = json(&[&a, &b]);
        if verdict.is_some() {
            assert_eq!(report["verdict"].as_str(), verdict, "{pair}");
        }
        let cause = &report["causes"][0];
        let named = (cause["account"].as_str(), cause["name"].as_str());
        assert_eq!(named, (Some(account), Some(name)), "{pair}");
        assert!(ns(&cause["high_ns"]) < 0, "{cause}");
        assert_sums(&report);
    }
}

#[test]
fn what_cannot_be_compared_is_said() {
    let (iterations, none) = (fixture("pipeline"), fixture("torch_cpu_multithread"));
    let (code, report) = json(&[&iterations, &none, "--gate", "3%"]);
    assert_eq!((code, report["verdict"].as_str()), (Some(1), Some("inconclusive")));
    assert!(report["total"].is_null());
    let (code, _, stderr) = run(&[&iterations]);
    assert_eq!(code, Some(2));
    assert!(stderr.contains("one side only") && stderr.contains("--against"), "{stderr}");
    let (code, _, stderr) = run(&[&iterations, &iterations, "--gate", "3"]);
    assert_eq!(code, Some(2));
    assert!(stderr.contains("write a percentage"), "{stderr}");
    // Whole windows are compared with a caution, and decide nothing.
    let (code, report) = json(&[&none, &fixture("compact_exporter"), "--gate", "3%"]);
    assert_eq!((code, report["verdict"].as_str()), (Some(1), Some("inconclusive")));
    assert!(report["total"]["low_ns"].is_null());
    assert!(report["cautions"].to_string().contains("no iterations are annotated"));
}

/// A small trace: iterations with one operator and one kernel each, on a GPU of a name.
fn generated(folder: &Path, file: &str, gpu: &str, n: i64, has_kernels: bool) -> String {
    let mut events = Vec::new();
    for i in 0..n {
        let ts = 1_000 + i * 200;
        let name = "execute_context_0(0)_generation_4(4)";
        events.push(format!(
            r#"{{"ph":"X","cat":"user_annotation","name":"{name}","pid":9,"tid":9,"ts":{ts},"dur":150}}"#
        ));
        let dur = 60 + i % 3;
        events.push(format!(
            r#"{{"ph":"X","cat":"cpu_op","name":"aten::mm","pid":9,"tid":9,"ts":{ts},"dur":{dur}}}"#
        ));
        if has_kernels {
            let args = format!(r#""args":{{"correlation":{}}}"#, i + 1);
            events.push(format!(
                r#"{{"ph":"X","cat":"cuda_runtime","name":"cudaLaunchKernel","pid":9,"tid":9,"ts":{ts},"dur":5,{args}}}"#
            ));
            let args = format!(r#""args":{{"device":0,"stream":7,"correlation":{}}}"#, i + 1);
            events.push(format!(
                r#"{{"ph":"X","cat":"kernel","name":"gemm","pid":0,"tid":7,"ts":{},"dur":80,{args}}}"#,
                ts + 20
            ));
        }
    }
    let text = format!(
        r#"{{"schemaVersion":1,"deviceProperties":[{{"id":0,"name":"{gpu}"}}],"traceEvents":[{}]}}"#,
        events.join(",\n")
    );
    let path = folder.join(file);
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

#[test]
fn each_reason_not_to_compare_has_its_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let a = generated(at, "a.json", "NVIDIA H100", 20, true);
    let cautions = |report: &Value| report["cautions"].to_string();
    // Another GPU.
    let b = generated(at, "b.json", "NVIDIA H200", 20, true);
    let (_, report) = json(&[&a, &b]);
    let gpu = &report["differences"][0];
    assert_eq!(
        (gpu["what"].as_str(), gpu["a"].as_str(), gpu["b"].as_str()),
        (Some("GPU"), Some("NVIDIA H100"), Some("NVIDIA H200"))
    );
    assert!(report["answer"][0]["sentence"].to_string().contains("set up differently"));
    // No kernels in one of them.
    let b = generated(at, "c.json", "NVIDIA H100", 20, false);
    let (_, report) = json(&[&a, &b]);
    assert!(cautions(&report).contains("only the lead thread is compared"), "{report}");
    assert!(report["causes"].as_array().unwrap().iter().all(|row| row["account"] == "lead"));
    // One iteration decides nothing.
    let b = generated(at, "d.json", "NVIDIA H100", 1, true);
    let (code, report) = json(&[&a, &b, "--gate", "3%"]);
    assert_eq!((code, report["verdict"].as_str()), (Some(1), Some("inconclusive")));
    assert!(cautions(&report).contains("B holds one iteration, and no other follows"), "{report}");
    assert!(report["total"].is_null());
    let c = generated(at, "e.json", "NVIDIA H100", 1, true);
    let (_, report) = json(&[&c, &b]);
    assert!(cautions(&report).contains("one whole iteration"), "{report}");
    let b = generated(at, "f.json", "NVIDIA H100", 2, true);
    let (_, report) = json(&[&a, &b]);
    assert_eq!(
        (report["verdict"].as_str(), report["total"]["low_ns"].as_i64()),
        (Some("inconclusive"), None)
    );

    assert_eq!(json(&[&a, &b, "--gate", "3%", "--allow-inconclusive"]).0, Some(0));
    // Another model, by the shapes of its weights.
    let products = |file: &str, width: u64| {
        let path = generated(at, file, "NVIDIA H100", 20, true);
        let text = std::fs::read_to_string(&path).unwrap();
        let shaped = format!(
            r#""name":"aten::mm","args":{{"Input Dims":[[4,{width}],[{width},{width}]]}},"pid""#
        );
        std::fs::write(&path, text.replace(r#""name":"aten::mm","pid""#, &shaped)).unwrap();
        path
    };
    let (narrow, wide) = (products("g.json", 512), products("h.json", 1024));
    let (code, report) = json(&[&narrow, &wide, "--gate", "3%"]);
    assert_eq!((code, report["verdict"].as_str()), (Some(1), Some("inconclusive")));
    assert!(
        report["total"].is_null() && cautions(&report).contains("different models"),
        "{report}"
    );
    assert!(report["differences"].to_string().contains("512 × 512"), "{report}");
    assert!(!json(&[&narrow, &narrow]).1["total"].is_null());
    // Nothing of what a gate measures.
    let (_, report) = json(&[&a, &a, "--gate", "kernel:nothing=3%"]);
    assert!(cautions(&report).contains("A has nothing that the gate kernel:nothing"), "{report}");
    // A run of a trend that is of another kind.
    let none = fixture("torch_cpu_multithread");
    let (_, report) = json(&[&a, &none, &a]);
    assert_eq!(report["trend"].as_array().unwrap().len(), 2);
    assert!(cautions(&report).contains("the trend is without it"), "{report}");
    // A rank of one side alone.
    for (side, ranks) in [("A", 2), ("B", 1)] {
        let folder = at.join(side);
        std::fs::create_dir(&folder).unwrap();
        for rank in 0..ranks {
            let name = format!("stage_0_llm_1790000000_rank{rank}.json");
            generated(&folder, &name, "NVIDIA H100", 20, true);
        }
    }
    let (_, report) = json(&[at.join("A").to_str().unwrap(), at.join("B").to_str().unwrap()]);
    assert!(cautions(&report).contains("rank 1 is in A alone: it is not compared"), "{report}");
    assert_eq!(report["lanes"].as_array().unwrap().len(), 1);
    assert_sums(&report);
}

#[test]
fn a_comment_is_short_and_pages_and_pictures_are_written() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    let (a, b) = (fixture("h100_rust_light"), fixture("pipeline"));
    for (a, b) in [(&a, &a), (&b, &b), (&a, &b)] {
        let (html, png) = (at("page.html"), at("figure.png"));
        let (code, comment, stderr) =
            run(&[a, b, "--format", "md", "--html", &html, "--png", &png]);
        assert_eq!(code, Some(0), "{stderr}");
        assert!(comment.lines().count() < 60, "{comment}");
        assert!(std::fs::read_to_string(&html).unwrap().contains("B against A"));
        assert!(std::fs::metadata(&png).unwrap().len() > 1_000);
    }
}
