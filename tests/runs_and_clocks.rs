//! Several inputs: one matcher of collectives for every command, clocks that are corrected, runs that are told apart.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;
mod program;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use program::omni_trace;
use serde_json::{Value, json};

/// A fresh folder of this test.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("runs_and_clocks").join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// What a command gives as JSON; standard error beside it.
fn run(command: &str, args: &[&str]) -> (Value, String) {
    let all: Vec<&str> = [&[command][..], args, &["--format", "json"]].concat();
    let output = omni_trace(&all);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{command} {args:?}: {stderr}");
    (serde_json::from_slice(&output.stdout).unwrap(), stderr)
}

fn analyze(args: &[&str]) -> Value {
    run("analyze", args).0
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn sum(rows: &Value, key: &str) -> i64 {
    rows.as_array().unwrap().iter().map(|row| row[key].as_i64().unwrap()).sum()
}

fn verdict(report: &Value) -> String {
    let rows = report["verdict"].as_array().unwrap().iter();
    let mut text = String::new();
    rows.for_each(|row| writeln!(text, "{row}").unwrap());
    text
}

/// A trace of kernels (name, arguments, start, length in microseconds) after one launch each.
fn trace(path: &Path, members: &Value, kernels: &[(String, Value, f64, f64)]) {
    let mut events = Vec::new();
    for (i, (name, args, ts, dur)) in kernels.iter().enumerate() {
        let correlation = json!({"correlation": i + 1});
        events
            .push(json!({"ph": "X", "cat": "cuda_runtime", "name": "cudaLaunchKernel", "pid": 10,
            "tid": 1, "ts": ts - 5.0, "dur": 2.0, "args": correlation}));
        let mut args = args.clone();
        args["correlation"] = json!(i + 1);
        args["device"] = json!(0);
        args["stream"] = json!(7);
        events.push(json!({"ph": "X", "cat": "kernel", "name": name, "pid": 0, "tid": 7, "ts": ts,
            "dur": dur, "args": args}));
    }
    let mut all = members.clone();
    all["schemaVersion"] = json!(1);
    all["traceEvents"] = json!(events);
    fs::write(path, all.to_string()).unwrap();
}

fn rank(rank: u32) -> Value {
    json!({"distributedInfo": {"backend": "nccl", "rank": rank, "world_size": 2}})
}

/// Forty all-reduces without `Seq`; the second rank starts three later, without a base, on a clock of its own.
fn ranks_that_begin_apart(folder: &Path) -> [PathBuf; 2] {
    let args = json!({"Collective name": "allreduce", "In msg nelems": 1024, "Out msg nelems": 1024,
        "Group size": 2, "dtype": "Float", "Process Group Name": "0",
        "Process Group Ranks": "[0, 1]"});
    let ends: Vec<f64> =
        (0..40).map(|i| 1000.0 + 200.0 * f64::from(i) + f64::from(i * i % 37)).collect();
    let name = "ncclDevKernel_AllReduce_Sum_f32_RING_LL";
    let of = |rank: u32, ends: &[f64], ahead: f64| -> Vec<(String, Value, f64, f64)> {
        let length = |i: usize| 20.0 + ((i * 7 + rank as usize * 5) % 30) as f64;
        let call = |(i, end): (usize, &f64)| {
            (name.to_owned(), args.clone(), end - length(i) + ahead, length(i))
        };
        ends.iter().enumerate().map(call).collect()
    };
    let paths = [0, 1].map(|i| folder.join(format!("rank{i}.json")));
    trace(&paths[0], &rank(0), &of(0, &ends, 0.0));
    trace(&paths[1], &rank(1), &of(1, &ends[3..], 77_777.0));
    paths
}

/// The number of collectives that several ranks show, as analyze, bandwidth and merge count them.
fn matched_by_each(paths: &[&str], out: &Path) -> [i64; 4] {
    let report = analyze(paths);
    let shared = report["stragglers"].as_array().unwrap().iter();
    let stragglers = shared.map(|row| row["n_matched"].as_i64().unwrap()).max().unwrap_or(0);
    let clocks = report["placements"].as_array().unwrap().iter();
    let clocks = clocks.filter_map(|row| row["n_matched"].as_i64()).max().unwrap_or(0);
    let bandwidth = sum(&run("bandwidth", paths).0["collectives"], "matched");
    let merged = run("merge", &[paths, &["-o", text(out)]].concat()).0;
    let merge = merged["inputs"].as_array().unwrap().iter();
    let merge = merge.map(|row| row["matched"].as_i64().unwrap()).max().unwrap_or(0);
    [stragglers, clocks, bandwidth, merge]
}

#[test]
fn all_four_see_the_same_pairs() {
    let folder = folder("pairs");
    let [first, second] = ranks_that_begin_apart(&folder);
    let paths = [text(&first), text(&second)];
    assert_eq!(matched_by_each(&paths, &folder.join("merged.json")), [37; 4]);
    let report = analyze(&paths);
    let placed = &report["placements"][1];
    assert_eq!(placed["correction_ns"], -77_777_000);
    assert_eq!((&placed["placement"], &placed["reference"]), (&json!("collectives"), &json!(0)));
    assert!(placed["error_ns"].as_i64().unwrap() <= 1, "{placed}");
    // Kernels differ by at most 29 us in length and end together.
    assert!(report["stragglers"][0]["max_behind_first_ns"].as_i64().unwrap() <= 29_000);
    let Some(shared) = common::shared_traces() else { return };
    let eight = shared.join("public/dlrm_8rank");
    let bandwidth = run("bandwidth", &[text(&eight)]).0;
    let matched = analyze(&[text(&eight)])["stragglers"][0]["n_matched"].as_i64();
    assert_eq!((matched, sum(&bandwidth["collectives"], "matched")), (Some(8), 8));
}

/// The eight ranks, one of them with a clock that is 5 ms ahead: the figures are those of the set as it was recorded.
#[test]
fn a_shifted_rank_is_no_straggler() {
    let Some(shared) = common::shared_traces() else { return };
    let eight = shared.join("public/dlrm_8rank");
    let as_recorded = analyze(&[text(&eight)]);
    for (ahead_us, corrected) in [(5_000_i64, true), (20_000_000, true), (2, false)] {
        let folder = folder(&format!("shifted_{ahead_us}"));
        for entry in fs::read_dir(&eight).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            let mut trace: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
            if name.starts_with("worker3_") {
                for event in trace["traceEvents"].as_array_mut().unwrap() {
                    if let Some(ts) = event["ts"].as_i64() {
                        event["ts"] = json!(ts + ahead_us);
                    }
                }
            }
            fs::write(folder.join(name), trace.to_string()).unwrap();
        }
        let shifted = analyze(&[text(&folder)]);
        assert_eq!(shifted["inputs"][3]["run"], 0, "ranks that share collectives are one run");
        let correction_ns = shifted["placements"][3]["correction_ns"].as_i64().unwrap();
        let expected_ns = if corrected { -ahead_us * 1000 } else { 0 };
        assert!((correction_ns - expected_ns).abs() <= 5_000, "{ahead_us}: {correction_ns}");
        let rows = |report: &Value| report["stragglers"].as_array().unwrap().clone();
        for (a, b) in rows(&as_recorded).iter().zip(&rows(&shifted)) {
            assert_eq!(a["n_last"], b["n_last"], "{ahead_us}: {a} {b}");
            let wait = |row: &Value| row["caused_wait_ns"].as_i64().unwrap();
            // Fifty-six differences of starts, each wrong by no more than the clocks are.
            let error_ns = 56 * b["error_ns"].as_i64().unwrap();
            assert!((wait(a) - wait(b)).abs() <= error_ns, "{ahead_us}: {a} {b}");
        }
        let said = verdict(&shifted);
        assert!(said.contains("rank 7 was the last to start"), "{said}");
        assert_eq!(said.contains("The clock of #3 rank 3 is off"), corrected, "{said}");
    }
}

/// A file with one kernel of a name and length in microseconds, at a Unix time in seconds.
fn one_kernel(path: &Path, members: &Value, name: &str, at_s: i64, dur: f64) {
    let mut members = members.clone();
    members["baseTimeNanoseconds"] = json!(at_s * 1_000_000_000);
    let kernel = |i: u32| (name.to_owned(), json!({}), 100.0 + 50.0 * f64::from(i), dur);
    trace(path, &members, &[kernel(0), kernel(1)]);
}

fn kernel_rows(report: &Value) -> Vec<(i64, String, i64)> {
    let rows = report["kernels"].as_array().unwrap().iter();
    rows.map(|row| {
        let name = row["name"].as_str().unwrap().to_owned();
        (row["run"].as_i64().unwrap(), name, row["sum_ns"].as_i64().unwrap())
    })
    .collect()
}

/// Two starts of the profiler in one directory, two ranks each: two runs, and nothing is summed across them.
#[test]
fn a_second_start_in_one_directory_is_another_run() {
    let folder = folder("second_start");
    for (start, at_s) in [(0, 1_700_000_000), (1, 1_700_000_600)] {
        for number in 0..2 {
            let path = folder.join(format!("{start}-rank-{number}.17.pt.trace.json"));
            one_kernel(&path, &rank(number), "k", at_s, 10.0);
        }
    }
    let report = analyze(&[text(&folder)]);
    assert_eq!(kernel_rows(&report), [(0, "k".into(), 40_000), (1, "k".into(), 40_000)]);
    let launches = report["key_averages"].as_array().unwrap().iter();
    let launches: Vec<_> = launches
        .filter(|row| row["name"] == "cudaLaunchKernel")
        .map(|row| (row["run"].as_i64(), row["count"].as_i64()))
        .collect();
    assert_eq!(launches, [(Some(0), Some(4)), (Some(1), Some(4))]);
    assert_eq!(report["runs"][1]["inputs"], json!([1, 3]));
    let said = verdict(&report);
    let runs =
        r#"{"words":"The inputs are of "},{"figure":{"value":2,"unit":"count","path":"/runs""#;
    assert!(said.contains(runs), "{said}");
    let one = analyze(&[text(&folder), "--one-run"]);
    assert_eq!(kernel_rows(&one), [(0, "k".into(), 80_000)]);
    let out = folder.join("page");
    let page = omni_trace(&["report", text(&folder), "-o", text(&out), "-q"]);
    assert!(page.status.success());
    let page = fs::read_to_string(out.join("index.html")).unwrap();
    assert!(page.contains("The inputs are of <") && page.contains("data-path=\"/runs\""));
}

#[test]
fn what_one_run_is() {
    let folder = folder("what_one_run_is");
    let [a, b] = ["a.json", "b.json"].map(|name| folder.join(name));
    let runs = |first: (Value, i64), second: (Value, i64)| {
        one_kernel(&a, &first.0, "k", first.1, 10.0);
        one_kernel(&b, &second.0, "k", second.1, 10.0);
        let report = analyze(&[text(&a), text(&b)]);
        (report["inputs"][1]["run"].as_i64().unwrap(), kernel_rows(&report).len())
    };
    let of_job = |number: u32, job: &str| {
        let mut members = rank(number);
        members["job_id"] = json!(job);
        members
    };
    let now = 1_700_000_000;
    assert_eq!(runs((rank(0), now), (rank(1), now)), (0, 1), "two ranks at one time");
    assert_eq!(runs((rank(0), now), (rank(0), now)), (1, 2), "one rank twice");
    assert_eq!(runs((rank(0), now), (rank(1), now + 60)), (1, 2), "two ranks at two times");
    assert_eq!(runs((of_job(0, "x"), now), (of_job(1, "x"), now + 60)), (0, 1), "one job");
    assert_eq!(runs((of_job(0, "x"), now), (of_job(1, "y"), now)), (1, 2), "two jobs");
    assert_eq!(runs((json!({}), now), (json!({}), now)), (0, 1), "nothing but the time is known");
    assert_eq!(runs((json!({}), now), (json!({}), now + 60)), (1, 2));
}

/// The case `capture_dir`, and what else profilers write beside the traces of ranks.
#[test]
fn what_is_no_rank_is_named_and_not_summed() {
    let Some(shared) = common::shared_traces() else { return };
    let case = shared.parent().unwrap().join("cases/capture_dir");
    let (report, stderr) = run("analyze", &[text(&case)]);
    let kernels = &report["kernels"];
    assert_eq!((sum(kernels, "count"), sum(kernels, "sum_ns")), (10, 300_000));
    for name in ["bs_8_rank0.json.gz", "dp0_pp0_tp0_dcp0_ep0_rank0.170000.pt.trace.json.gz"] {
        assert!(stderr.contains(name), "{stderr}");
        assert!(report["issues"].to_string().contains(name), "{}", report["issues"]);
    }
    // As a shell's `*` gives them; and the folder on its own.
    let captures = case.join("capture_traces");
    let main = case.join("dp0_pp0_tp0_dcp0_ep0_rank0.1700000000000000000.pt.trace.json.gz");
    let given = analyze(&[text(&captures), text(&main)]);
    assert_eq!(sum(&given["kernels"], "count"), 10);
    assert_eq!(sum(&analyze(&[text(&captures)])["kernels"], "count"), 6);
}

#[test]
fn execution_traces_and_snapshots_are_told_apart() {
    let folder = folder("others");
    one_kernel(&folder.join("worker-rank-0.17.pt.trace.json"), &rank(0), "k", 1_700_000_000, 10.0);
    let execution =
        r#"{"schema": "1.1.1-chakra.0.0.4", "pid": 7, "nodes": [{"id": 1, "name": "x"}]}"#;
    fs::write(folder.join("rank0_et.json"), execution).unwrap();
    fs::write(folder.join("et-rank-0.json"), execution).unwrap();
    fs::write(folder.join("memory_snapshot_rank0.pickle"), b"\x80\x04\x95rest").unwrap();
    let (report, stderr) = run("analyze", &[text(&folder)]);
    assert_eq!(sum(&report["kernels"], "count"), 2);
    for name in ["rank0_et.json", "et-rank-0.json"] {
        assert!(stderr.contains(name), "{stderr}");
    }
    assert!(stderr.contains("are left out, each because it is an execution trace"), "{stderr}");
    assert!(stderr.contains("memory_snapshot_rank0.pickle is left out"), "{stderr}");
    assert!(stderr.contains("`analyze` reads a snapshot that is named"), "{stderr}");
    let alone = folder.join("rank0_et.json");
    let output = omni_trace(&["analyze", text(&alone)]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("is an execution trace"));
    // As a shell's `*` gives them.
    let trace = folder.join("worker-rank-0.17.pt.trace.json");
    let pickle = folder.join("memory_snapshot_rank0.pickle");
    let (report, stderr) = run("analyze", &[text(&trace), text(&alone), text(&pickle)]);
    assert_eq!(report["inputs"].as_array().unwrap().len(), 1, "{stderr}");
}

/// A front end runs no part of the model: its rows are not added to those of the ranks.
#[test]
fn a_front_end_is_not_summed() {
    let folder = folder("front_end");
    let worker = folder.join("vm-rank-0.17.pt.trace.json");
    one_kernel(&worker, &rank(0), "k", 1_700_000_000, 10.0);
    let front = folder.join("vm_1.async_llm.17.pt.trace.json");
    one_kernel(&front, &json!({}), "k", 1_700_000_000, 10.0);
    let report = analyze(&[text(&folder)]);
    assert_eq!(kernel_rows(&report), [(0, "k".into(), 20_000)]);
    assert_eq!(report["key_averages"], analyze(&[text(&worker)])["key_averages"]);
    assert_eq!(report["totals"], analyze(&[text(&worker)])["totals"]);
    assert!(verdict(&report).contains("of no rank"), "{}", verdict(&report));
    assert_eq!(kernel_rows(&analyze(&[text(&front)])), [(0, "k".into(), 20_000)]);
}

/// `merge` says which arguments it renumbers and by how much; everything else of an event's arguments is as written.
#[test]
fn merge_says_which_arguments_are_renumbered() {
    let folder = folder("renumbered");
    let paths = ranks_that_begin_apart(&folder);
    let out = folder.join("merged.json");
    let report = run("merge", &[text(&paths[0]), text(&paths[1]), "-o", text(&out)]).0;
    let renumbered: Vec<&str> = report["renumbered_arguments"]
        .as_array()
        .unwrap()
        .iter()
        .map(|v| v.as_str().unwrap())
        .collect();
    assert!(renumbered.contains(&"correlation") && renumbered.contains(&"External id"));
    let offset = report["inputs"][1]["id_offset"].as_u64().unwrap();
    assert!(offset > 0);
    let events = |path: &Path| -> Vec<Value> {
        let trace: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        let events = trace["traceEvents"].as_array().unwrap().clone();
        events.into_iter().filter(|event| event["ph"] == "X").collect()
    };
    let n_first = events(&paths[0]).len();
    let before: Vec<Value> = paths.iter().flat_map(|path| events(path)).collect();
    let after = events(&out);
    assert_eq!(before.len(), after.len());
    for (i, (a, b)) in before.iter().zip(&after).enumerate() {
        let added = if i < n_first { 0 } else { offset };
        for (key, value) in a["args"].as_object().unwrap() {
            let expected = match value.as_u64().filter(|_| renumbered.contains(&key.as_str())) {
                Some(id) => json!(id + added),
                None => value.clone(),
            };
            assert_eq!(b["args"][key], expected, "{key}");
        }
    }
    let said = omni_trace(&["merge", text(&paths[0]), text(&paths[1]), "-o", text(&out)]);
    assert!(
        String::from_utf8(said.stdout).unwrap().contains("the arguments correlation, External id")
    );
}

/// Clocks are aligned by the kernels that communicate; which do is said by rules, in `merge` as in `analyze`.
#[test]
fn rules_of_communication_tell_merge_what_to_align_by() {
    let folder = folder("merge_comm_rules");
    let ends: Vec<f64> =
        (0..40).map(|i| 1000.0 + 200.0 * f64::from(i) + f64::from(i * i % 37)).collect();
    let mut paths = Vec::new();
    for (n, ahead) in [(0, 0.0), (1, 5_000.0)] {
        let path = folder.join(format!("rank{n}.json"));
        let args =
            json!({"Process Group Name": "0", "Process Group Ranks": "[0, 1]", "Group size": 2});
        let kernels: Vec<_> = ends
            .iter()
            .map(|end| ("house_AllGather".to_owned(), args.clone(), end - 20.0 + ahead, 20.0))
            .collect();
        let mut members = rank(n);
        members["baseTimeNanoseconds"] = json!(1_700_000_000_000_000_000_i64);
        trace(&path, &members, &kernels);
        paths.push(path);
    }
    let rules = folder.join("house.rules");
    fs::write(&rules, "none - house_*\n").unwrap();
    let out = folder.join("merged.json");
    let merged = |more: &[&str]| {
        let args = [&[text(&paths[0]), text(&paths[1]), "-o", text(&out)], more].concat();
        run("merge", &args).0["inputs"][1].clone()
    };
    let by_default = merged(&[]);
    assert_eq!(by_default["matched"], 40, "its name says what it does");
    assert_eq!(by_default["correction_ns"], -5_000_000);
    let with_rules = merged(&["--comm-rules", text(&rules)]);
    assert_eq!((&with_rules["matched"], &with_rules["correction_ns"]), (&json!(0), &json!(0)));
}
