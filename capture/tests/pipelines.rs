//! Runs the built program on the CPU and looks at what it leaves: traces, manifest, logs, processes.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use flate2::read::GzDecoder;
use omni_trace_proto::capture::CaptureManifest;
use prost::Message;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_omni-trace-capture");

fn command(out: &Path, args: &str) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(["--device", "cpu", "--size", "tiny"]).args(args.split_whitespace());
    command.arg("--out").arg(out).stdin(Stdio::null());
    // The settings of whoever runs the tests are not ours.
    for name in ["VLLM_TORCH_PROFILER_DIR", "VLLM_PROFILER_MAX_ITERS", "VLLM_PROFILER_DELAY_ITERS"]
    {
        command.env_remove(name);
    }
    command
}

fn capture(args: &str) -> (TempDir, Output) {
    let dir = tempfile::tempdir().unwrap();
    let output = command(&dir.path().join("out"), args).output().unwrap();
    (dir, output)
}

fn json(path: &Path) -> Value {
    let mut text = String::new();
    let file = File::open(path).unwrap();
    match path.extension().is_some_and(|e| e == "gz") {
        true => GzDecoder::new(file).read_to_string(&mut text).unwrap(),
        false => { file }.read_to_string(&mut text).unwrap(),
    };
    serde_json::from_str(&text).unwrap()
}

struct Trace {
    name: String,
    json: Value,
}

impl Trace {
    fn annotations(&self) -> Vec<(&str, f64, f64)> {
        let events = self.json["traceEvents"].as_array().unwrap();
        let of = |e: &Value, key: &str| e[key].as_f64().unwrap();
        events
            .iter()
            .filter(|e| e["cat"] == "user_annotation")
            .map(|e| (e["name"].as_str().unwrap(), of(e, "ts"), of(e, "dur")))
            .collect()
    }

    fn count(&self, prefix: &str) -> usize {
        self.annotations().iter().filter(|(name, ..)| name.starts_with(prefix)).count()
    }

    fn stage(&self) -> u64 {
        self.json["stage"]["id"].as_u64().unwrap()
    }

    /// Microseconds from the end of the last iteration to the end of the window.
    fn tail_us(&self) -> f64 {
        let events = self.json["traceEvents"].as_array().unwrap();
        let span = events.iter().find(|e| e["cat"] == "Trace").unwrap();
        let end = span["ts"].as_f64().unwrap() + span["dur"].as_f64().unwrap();
        let iterations = self.annotations();
        let last = iterations.iter().filter(|(name, ..)| name.starts_with("execute_"));
        end - last.map(|(_, ts, dur)| ts + dur).fold(0.0, f64::max)
    }
}

fn traces(out: &Path) -> Vec<Trace> {
    let mut names: Vec<String> = std::fs::read_dir(out)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".pt.trace.json.gz"))
        .collect();
    names.sort();
    names.into_iter().map(|name| Trace { json: json(&out.join(&name)), name }).collect()
}

/// No half file, no scratch directory; every file of the manifest is there.
fn assert_tidy(out: &Path) -> Value {
    let names: BTreeSet<String> = std::fs::read_dir(out)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert!(!names.iter().any(|name| name.contains("partial")), "{names:?}");
    let manifest = json(&out.join("manifest.json"));
    for file in manifest["files"].as_array().unwrap() {
        let path = out.join(file["path"].as_str().unwrap());
        let (sha256, bytes) = omni_trace_capture::output::trace_file::checksum(&path).unwrap();
        assert_eq!(file["sha256"], sha256.as_str());
        assert_eq!(file["bytes"], bytes);
    }
    let bytes = std::fs::read(out.join("manifest.pb")).unwrap();
    let decoded = CaptureManifest::decode(bytes.as_slice()).unwrap();
    assert_eq!(serde_json::to_value(decoded).unwrap(), manifest);
    manifest
}

#[test]
fn one_stage_is_recorded_for_exactly_two_iterations_and_nothing_of_the_others() {
    let (dir, output) = capture("--pipeline omni --stages 1 --max-iters 2");
    assert!(output.status.success(), "{output:?}");
    let out = dir.path().join("out");
    let manifest = assert_tidy(&out);
    assert_eq!(manifest["outcome"], "complete");
    let traces = traces(&out);
    assert_eq!(traces.len(), 1);
    let trace = &traces[0];
    assert_eq!((trace.stage(), trace.count("execute_")), (1, 2));
    assert!(trace.count("shm_broadcast: dequeue") >= 1);
    assert!(trace.tail_us() < 50_000.0, "the window goes on after its last iteration");
    assert!(trace.name.starts_with("stage_1_llm_") && trace.name.contains("_rank0."));
    assert_eq!(format!("{}.gz", trace.json["traceName"].as_str().unwrap()), trace.name);
    assert_eq!(trace.json["trace_id"], manifest["trace_id"]);
    assert_eq!(trace.json["distributedInfo"]["world_size"], 1);
    assert_eq!(trace.json["gate_outcome"]["reason"], "max_iterations");
    for key in ["host_name", "torch_version", "omni_trace_capture_version", "gate"] {
        assert!(!trace.json[key].is_null(), "{key}");
    }
}

#[test]
fn ten_settings_of_delay_warmup_and_max_record_what_they_say() {
    let settings = [
        "--delay-iters 0:1,1:3,2:1 --warmup-iters 0:0,1:1,2:0 --max-iters 0:1,1:4,2:1",
        "--delay-iters 0:0,1:5,2:0 --warmup-iters 0:2,1:0,2:1 --max-iters 0:5,1:3,2:2",
        "--delay-iters 0:4,1:1,2:2 --warmup-iters 0:1,1:3,2:1 --max-iters 0:8,1:2,2:1",
        "--delay-iters 2 --warmup-iters 1 --max-iters 3 --waits none",
    ];
    for args in settings {
        let (dir, output) = capture(&format!("--pipeline omni {args}"));
        assert!(output.status.success(), "{args}: {output:?}");
        let manifest = assert_tidy(&dir.path().join("out"));
        let traces = traces(&dir.path().join("out"));
        assert_eq!(traces.len(), 3);
        for trace in &traces {
            let gate = &manifest["stages"][trace.stage() as usize]["gate"];
            assert_eq!(trace.count("execute_") as u64, gate["max_iters"].as_u64().unwrap());
            let first =
                gate["delay_iters"].as_u64().unwrap() + gate["warmup_iters"].as_u64().unwrap();
            assert_eq!(trace.json["gate_outcome"]["first_iteration"], first, "{args}");
            let waits = trace.count("shm_broadcast: dequeue");
            assert!(!args.contains("none") || waits == 0, "{args}: {waits} waits");
        }
    }
}

#[test]
fn ranks_and_repeated_windows_never_share_a_name() {
    let (dir, output) =
        capture("--pipeline omni --ranks 1:2 --stages 0,1 --max-iters 2 --repeat 2");
    assert!(output.status.success(), "{output:?}");
    let traces = traces(&dir.path().join("out"));
    let places: Vec<(u64, u64)> = traces
        .iter()
        .map(|t| (t.stage(), t.json["distributedInfo"]["rank"].as_u64().unwrap()))
        .collect();
    assert_eq!(places, [(0, 0), (0, 0), (1, 0), (1, 0), (1, 1), (1, 1)]);
    assert!(traces.iter().all(|trace| trace.count("execute_") == 2));
}

#[test]
fn ranks_of_a_stage_sum_over_gloo_and_say_so() {
    let args = "--pipeline omni --stages 0 --ranks 0:2 --moe-experts 3 --max-iters 3";
    let (dir, output) = capture(args);
    assert!(output.status.success(), "{output:?}");
    let traces = traces(&dir.path().join("out"));
    assert_eq!(traces.len(), 2);
    for trace in &traces {
        assert_eq!(trace.json["distributedInfo"]["backend"], "gloo");
        assert_eq!(trace.json["distributedInfo"]["world_size"], 2);
        // Three iterations of two blocks each.
        assert_eq!(trace.count("all_reduce"), 6);
        assert!(trace.count("gloo:all_reduce") >= 1);
    }
}

#[test]
fn diffusion_is_recorded_by_image_and_by_step_with_its_statistics() {
    let (dir, output) = capture("--pipeline diffusion --delay-iters 1 --max-iters 2");
    assert!(output.status.success(), "{output:?}");
    let out = dir.path().join("out");
    let trace = traces(&out).remove(0);
    assert_eq!((trace.count("diffusion_"), trace.count("denoise_step")), (2, 4));
    assert_eq!((trace.count("text_encode"), trace.count("vae_decode")), (2, 2));
    assert!(trace.name.starts_with("stage_0_diffusion_"));
    let stats = std::fs::read_dir(out.join("omni_diffusion_stats")).unwrap().next().unwrap();
    let text = std::fs::read_to_string(stats.unwrap().path()).unwrap();
    let events: Vec<Value> = text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(events[0]["event"], "engine_load");
    assert_eq!(events[2]["event"], "request_finished");
    assert!(events[2]["denoise_avg_ms"].as_f64().unwrap() > 0.0);
    let (dir, _) = capture("--pipeline diffusion --iterate step --max-iters 3");
    assert_eq!(traces(&dir.path().join("out"))[0].count("diffusion_step"), 3);
}

#[test]
fn limits_by_time_and_events_end_a_window_that_has_no_other_end() {
    let (dir, output) = capture("--pipeline omni --stages 2 --max-seconds 0.3 --in-flight 1");
    assert!(output.status.success(), "{output:?}");
    let trace = traces(&dir.path().join("out")).remove(0);
    assert_eq!(trace.json["gate_outcome"]["reason"], "max_seconds");
    let (dir, output) = capture("--pipeline diffusion --max-events 500");
    assert!(output.status.success(), "{output:?}");
    let trace = traces(&dir.path().join("out")).remove(0);
    assert_eq!(trace.json["gate_outcome"]["reason"], "max_events");
}

#[test]
fn the_log_says_what_really_happened() {
    let (dir, _) = capture("--pipeline omni --requests 3 --no-profile");
    let out = dir.path().join("out");
    assert_tidy(&out);
    let log = std::fs::read_to_string(out.join("omni_llm_pipeline.log")).unwrap();
    assert_eq!(log.matches("[StageMetrics] stage=1 ").count(), 3);
    assert_eq!(log.matches("[Summary] {'e2e_requests': 3, ").count(), 1);
    let lines = out.join("omni_llm_pipeline.log.orchestrator.stats.jsonl");
    let lines = std::fs::read_to_string(lines).unwrap();
    let types: Vec<Value> =
        lines.lines().map(|l| serde_json::from_str::<Value>(l).unwrap()["type"].clone()).collect();
    for (kind, n) in
        [("transfer_stats", 6), ("transfer_rx_stats", 6), ("orchestrator_request_e2e", 3)]
    {
        assert_eq!(types.iter().filter(|t| **t == kind).count(), n, "{kind}");
    }
    assert_eq!(traces(&out).len(), 0);
}

#[test]
fn a_stage_that_dies_fails_or_hangs_is_named_and_the_others_are_kept() {
    for (fault, outcome) in [("die", "died"), ("fail", "failed"), ("hang", "hung")] {
        let args = format!("--pipeline omni --max-iters 3 --stage-timeout 2 --fault {fault}@1:0:1");
        let (dir, output) = capture(&args);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains(&format!("stage 1 (talker) rank 0 {outcome}")), "{said}");
        let manifest = assert_tidy(&dir.path().join("out"));
        assert_eq!(manifest["outcome"], "incomplete");
        assert_eq!(manifest["stages"][1]["workers"][0]["outcome"], outcome);
        let traces = traces(&dir.path().join("out"));
        assert!(traces.iter().any(|t| t.stage() == 0 && t.count("execute_") == 3));
    }
}

/// Workers of a supervisor: its children, as the kernel lists them.
fn children(of: u32) -> Vec<u32> {
    std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().to_str()?.parse::<u32>().ok())
        .filter(|pid| {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            let fields = stat.rsplit_once(')').map(|(_, rest)| rest.to_owned()).unwrap_or_default();
            fields.split_whitespace().nth(1) == Some(&of.to_string())
        })
        .collect()
}

fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < Duration::from_secs(60), "waiting for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn send(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(pid.cast_signed()).unwrap(), signal).unwrap();
}

fn is_gone(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.is_empty() || stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('Z'))
}

fn endless(out: &Path) -> (Child, Vec<u32>) {
    let args = "--pipeline omni --requests 1000000000 --max-seconds 100000";
    let child = command(out, args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_for("three workers", || children(child.id()).len() == 3);
    let workers = children(child.id());
    (child, workers)
}

#[test]
fn an_interrupt_at_any_moment_leaves_nothing_behind() {
    // While processes start, while models load, while it runs.
    for delay_ms in [0, 150, 400, 1500] {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("out");
        let (mut child, workers) = endless(&out);
        std::thread::sleep(Duration::from_millis(delay_ms));
        send(child.id(), Signal::INT);
        let status = child.wait().unwrap();
        assert_eq!(status.code(), Some(130), "after {delay_ms} ms");
        assert!(workers.iter().all(|pid| is_gone(*pid)), "after {delay_ms} ms");
        let manifest = assert_tidy(&out);
        assert_eq!(manifest["outcome"], "interrupted");
        // What was recorded until then was kept, and is whole.
        traces(&out).iter().for_each(|trace| assert!(!trace.annotations().is_empty()));
    }
}

#[test]
fn a_killed_worker_is_reported_and_a_killed_supervisor_takes_its_workers_along() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("killed-worker");
    let (child, workers) = endless(&out);
    std::thread::sleep(Duration::from_millis(1000));
    send(workers[1], Signal::KILL);
    let output = child.wait_with_output().unwrap();
    assert!(matches!(output.status.code(), Some(1 | 2)), "{output:?}");
    let manifest = assert_tidy(&out);
    let ended: Vec<&str> = (0..3)
        .map(|stage| manifest["stages"][stage]["workers"][0]["outcome"].as_str().unwrap())
        .collect();
    assert_eq!(ended.iter().filter(|outcome| **outcome == "died").count(), 1, "{ended:?}");
    let out = dir.path().join("killed-supervisor");
    let (mut child, workers) = endless(&out);
    std::thread::sleep(Duration::from_millis(1000));
    send(child.id(), Signal::KILL);
    child.wait().unwrap();
    wait_for("the workers' end", || workers.iter().all(|pid| is_gone(*pid)));
    let left: Vec<_> = std::fs::read_dir(&out).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_stage_that_is_stopped_from_outside_is_reported_and_ended() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let args =
        "--pipeline omni --requests 1000000000 --stages 0 --max-seconds 100000 --stage-timeout 2";
    let child = command(&out, args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    wait_for("three workers", || children(child.id()).len() == 3);
    std::thread::sleep(Duration::from_millis(1500));
    // It may compute or wait for its input at this moment: neither goes on.
    send(children(child.id())[2], Signal::STOP);
    let began = Instant::now();
    let output = child.wait_with_output().unwrap();
    assert!(began.elapsed() < Duration::from_secs(30));
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("hung: no progress for 2 s while"), "{said}");
    let manifest = assert_tidy(&out);
    assert_eq!(manifest["stages"][0]["workers"][0]["windows"][0]["reason"], "interrupted");
}

#[test]
fn mistakes_are_said_before_anything_runs() {
    let cases = [
        ("--pipeline nonsense", "unknown pipeline 'nonsense'"),
        ("--pipeline omni --stages 7", "there is no stage 7"),
        ("--pipeline omni --heads 3", "multiple of twice --heads"),
        ("--pipeline /no/such.toml", "/no/such.toml"),
        ("--pipeline omni --repeat 2", "--repeat needs a limit"),
        ("--pipeline omni --max-iters 1:x", "cannot read '1:x'"),
        ("--pipeline omni --profiler-config {", "cannot read the profiler configuration"),
    ];
    for (args, words) in cases {
        let (dir, output) = capture(args);
        assert_eq!(output.status.code(), Some(2), "{args}");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains(words), "{args}: {said}");
        assert!(!dir.path().join("out").exists(), "{args}");
    }
}

#[test]
fn vllms_settings_have_vllms_meaning() {
    let dir = tempfile::tempdir().unwrap();
    let output = command(&dir.path().join("out"), "--pipeline omni --stages 0")
        .env("VLLM_PROFILER_DELAY_ITERS", "3")
        .env("VLLM_PROFILER_MAX_ITERS", "2")
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let trace = traces(&dir.path().join("out")).remove(0);
    assert_eq!(trace.count("execute_"), 2);
    assert_eq!(trace.json["gate_outcome"]["first_iteration"], 2);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("skips 2 iterations, as in vLLM"), "{said}");
}
