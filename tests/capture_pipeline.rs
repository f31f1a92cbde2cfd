//! `omni-trace capture --pipeline` from the command line to the analysis, with the producer on libtorch.
//!
//! Needs `omni-trace-capture` and libtorch, which `.ci/run` brings: run with `-- --ignored` there.

mod program;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use program::omni_trace;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

fn capture(args: &[&str], out: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_omni-trace"));
    command.arg("capture").args(args).args(["--device", "cpu", "--size", "tiny", "--out"]).arg(out);
    command
}

fn ran(args: &[&str], out: &Path) -> Output {
    let output = capture(args, out).output().expect("it runs");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    output
}

fn analysis(dir: &Path) -> Value {
    let dir = dir.to_str().expect("temporary paths are UTF-8");
    let output = omni_trace(&["analyze", dir, "--format", "json"]);
    serde_json::from_slice(&output.stdout).expect("the machine output is JSON")
}

fn manifest(dir: &Path) -> Value {
    let text = std::fs::read_to_string(dir.join("manifest.json")).expect("there is a manifest");
    serde_json::from_str(&text).expect("it is JSON")
}

fn rows(report: &Value, table: &str) -> Vec<Value> {
    report[table].as_array().expect("the table is there").clone()
}

/// The tables that the manifest lists are there, whole, and what `analyze --torch-layout` prints.
fn assert_tables(dir: &Path, names: &[&str]) {
    let manifest = manifest(dir);
    let files = rows(&manifest, "files");
    let tables: Vec<&Value> = files.iter().filter(|f| f["kind"] == "profiler_table").collect();
    let listed: Vec<&str> = tables.iter().filter_map(|f| f["path"].as_str()).collect();
    assert_eq!(listed, names);
    let traces = files.iter().filter(|f| f["kind"] == "trace");
    for (table, trace) in tables.iter().zip(traces) {
        let path = dir.join(table["path"].as_str().expect("it has a path"));
        let text = std::fs::read(&path).expect("the table is there");
        assert_eq!(table["bytes"].as_u64(), Some(text.len() as u64));
        let sum = Command::new("sha256sum").arg(&path).output().expect("coreutils are there");
        assert!(sum.stdout.starts_with(table["sha256"].as_str().expect("a checksum").as_bytes()));
        let trace = dir.join(trace["path"].as_str().expect("it has a path"));
        let trace = trace.to_str().expect("temporary paths are UTF-8");
        assert_eq!(omni_trace(&["analyze", "--torch-layout", trace]).stdout, text);
        assert!(String::from_utf8_lossy(&text).contains("Self CPU time total:"));
    }
}

#[test]
#[ignore = "needs libtorch"]
fn two_iterations_of_one_stage_are_analyzed_with_its_waits_and_nothing_else() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let dir = folder.path().join("out");
    let page = folder.path().join("report");
    let page_text = page.to_str().expect("temporary paths are UTF-8");
    let args = ["--pipeline", "omni", "--stages", "1", "--max-iters", "2", "--analyze"];
    let output = ran(&[&args[..], &["--report", page_text]].concat(), &dir);
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(stdout.contains("complete: ") && stdout.contains("Findings"), "{stdout}");
    let html = std::fs::read_to_string(page.join("index.html")).expect("the report is there");
    assert!(html.contains("IPC wait") && html.contains("Requests by stage"), "{html:.2000}");
    let report = analysis(&dir);
    let inputs = rows(&report, "inputs");
    assert_eq!(inputs.len(), 1);
    assert_eq!((&inputs[0]["stage"], &inputs[0]["rank"]), (&1.into(), &0.into()));
    let iterations = rows(&report, "iterations");
    assert_eq!(iterations.len(), 2, "{iterations:?}");
    let waits = rows(&report, "waits");
    assert!(waits.iter().any(|w| w["class"] == "ipc_wait" && w["sum_ns"].as_i64() > Some(0)));
    assert!(report["totals"]["ipc_wait_ns"].as_i64() > Some(0), "{}", report["totals"]);
    assert_tables(&dir, &["profiler_out_1_0.txt"]);
}

#[test]
#[ignore = "needs libtorch"]
fn diffusion_is_captured_and_analyzed() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let dir = folder.path().join("out");
    ran(&["--pipeline", "diffusion", "--max-iters", "2", "--repeat", "2"], &dir);
    let report = analysis(&dir);
    assert_eq!(rows(&report, "inputs").len(), 2);
    let of_scheme = |scheme: &str| {
        rows(&report, "iterations").iter().filter(|row| row["scheme"] == scheme).count()
    };
    // Two requests in each of two windows; the steps of denoising inside them are iterations of their own.
    assert_eq!(of_scheme("diffusion"), 4);
    assert_eq!(of_scheme("denoise_step"), 8);
    assert_tables(&dir, &["profiler_out_0_0.txt", "profiler_out_0_0_window1.txt"]);
}

/// Processes whose command line names a directory.
fn processes_of(dir: &Path) -> Vec<PathBuf> {
    let named = dir.to_str().expect("temporary paths are UTF-8").as_bytes();
    let entries = std::fs::read_dir("/proc").expect("this is Linux").filter_map(Result::ok);
    let lines = entries.map(|entry| entry.path().join("cmdline"));
    lines
        .filter(|line| {
            let text = std::fs::read(line).unwrap_or_default();
            text.windows(named.len()).any(|part| part == named)
        })
        .collect()
}

#[test]
#[ignore = "needs libtorch"]
fn whoever_ends_the_capture_leaves_no_process() {
    for (signal, code) in
        [(Signal::INT, Some(130)), (Signal::TERM, Some(130)), (Signal::KILL, None)]
    {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let dir = folder.path().join("out");
        let args = ["--pipeline", "omni", "--requests", "1000000000", "--max-seconds", "100000"];
        let mut command = capture(&args, &dir);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().expect("it starts");
        let began = Instant::now();
        while processes_of(&dir).len() < 2 {
            assert!(began.elapsed() < Duration::from_secs(60), "the producer did not start");
            std::thread::sleep(Duration::from_millis(20));
        }
        std::thread::sleep(Duration::from_secs(2));
        let pid = Pid::from_raw(child.id().cast_signed()).expect("a process has a number");
        kill_process(pid, signal).expect("it runs");
        assert_eq!(child.wait().expect("it ends").code(), code);
        while !processes_of(&dir).is_empty() {
            assert!(began.elapsed() < Duration::from_secs(120), "{:?}", processes_of(&dir));
            std::thread::sleep(Duration::from_millis(50));
        }
        let entries = std::fs::read_dir(&dir).expect("the directory is there");
        let names = entries.map(|e| e.expect("it is listed").file_name());
        let names: Vec<String> = names.map(|n| n.to_string_lossy().into_owned()).collect();
        let is_half = |name: &&String| name.starts_with('.') || name.ends_with(".partial");
        assert_eq!(names.iter().find(is_half), None, "{names:?}");
    }
}
