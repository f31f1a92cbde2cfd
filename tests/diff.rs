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

    let (a, b) =
        ("h100/py_llm/llm_eager.pt.trace.json.gz", "h100/py_llm/llm_cudagraph.pt.trace.json.gz");
    let (_, text, _) = run(&[&own(a).unwrap(), &own(b).unwrap()]);
    let sentence = text.lines().nth(3).unwrap();
    assert!(
        sentence.contains("set up differently") && sentence.contains("profile_memory"),
        "{text}"
    );
}

#[test]
fn planted_changes_are_named() {
    let pairs = [
        ("host_sleep", "lead", "wait.annotation", Some("improvement")),
        ("item_per_layer", "lead", "sync.gpu", Some("improvement")),
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
