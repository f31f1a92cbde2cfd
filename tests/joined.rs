//! Logs beside traces: a log's place in time, what is charged to each request, against a plain reading of the JSON and
//! against sums.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

use omni_trace::analyze::across::{Across, AcrossNeeds};
use omni_trace::analyze::base::{TimeBase, TimeConfig};
use omni_trace::analyze::clock::{TimedInput, placements, together};
use omni_trace::analyze::joined::{
    ClockSource, JoinConfig, JoinInput, JoinLog, Joined, JoinedRequestRow, JoinedStageRow,
    MatchedBy, joined, parse_zone,
};
use omni_trace::analyze::stages::analyze_stages;
use omni_trace::model::log::PipelineLog;
use omni_trace::read::logs::{discover_logs, read_log, read_log_bytes};
use omni_trace::read::{Input, ReadOptions, read_input};
use serde_json::Value;

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/joined")
}

fn traces() -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> =
        fixture().read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "gz"));
    paths.sort();
    paths
}

fn own_log() -> String {
    std::fs::read_to_string(fixture().join("omni_llm_pipeline.log")).unwrap()
}

struct Read {
    inputs: Vec<Input>,
    bases: Vec<TimeBase>,
    paths: Vec<String>,
}

impl Read {
    fn of(paths: &[PathBuf]) -> Self {
        let inputs: Vec<Input> =
            paths.iter().map(|path| read_input(path, &ReadOptions::default()).unwrap()).collect();
        let bases = inputs.iter().map(|one| TimeBase::new(&one.store, &TimeConfig::default()));
        let bases = bases.collect();
        let paths = paths.iter().map(|path| path.display().to_string()).collect();
        Self { inputs, bases, paths }
    }

    fn join(&self, logs: &[PipelineLog], config: JoinConfig) -> Joined {
        let needs = AcrossNeeds { is_alone: false, busy: false };
        let of =
            |(input, base): (&Input, _)| Across::of(&input.store, &input.identity, base, needs);
        let across: Vec<Across> = self.inputs.iter().zip(&self.bases).map(of).collect();
        let timed: Vec<TimedInput<'_>> = self
            .inputs
            .iter()
            .zip(&across)
            .map(|(input, across)| TimedInput {
                path: &input.path,
                identity: &input.identity,
                across,
            })
            .collect();
        let placed = placements(&together(&timed, false).alignment);
        let inputs: Vec<JoinInput<'_>> = (0..self.inputs.len())
            .map(|i| JoinInput {
                store: &self.inputs[i].store,
                base: &self.bases[i],
                placed: placed[i],
                identity: &self.inputs[i].identity,
                path: &self.paths[i],
                pids: &[],
            })
            .collect();
        let named: Vec<JoinLog<'_>> =
            logs.iter().map(|log| JoinLog { log, path: "test.log" }).collect();
        let logs: Vec<&PipelineLog> = logs.iter().collect();
        joined(&inputs, &named, &analyze_stages(&logs), config)
    }

    fn join_text(&self, text: &str) -> Joined {
        self.join(&[read_log_bytes("test.log", text.as_bytes()).0], JoinConfig::default())
    }
}

/// Microseconds with up to three decimals as nanoseconds, from the text of the number.
fn ns(number: &Value) -> i64 {
    let text = number.to_string();
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    format!("{whole}{fraction:0<3}").parse().unwrap()
}

/// Kernels of a trace in Unix time, by a plain reading.
fn kernels(path: &Path) -> Vec<(i64, i64)> {
    let mut text = String::new();
    let file = std::fs::File::open(path).unwrap();
    flate2::read::GzDecoder::new(file).read_to_string(&mut text).unwrap();
    let json: Value = serde_json::from_str(&text).unwrap();
    let base = json["baseTimeNanoseconds"].as_i64().unwrap();
    let events = json["traceEvents"].as_array().unwrap();
    let kernels = events.iter().filter(|event| event["cat"] == "kernel").map(|event| {
        let start = base + ns(&event["ts"]);
        (start, start + ns(&event["dur"]))
    });
    kernels.collect()
}

/// Time inside spans in which a kernel runs, one elementary stretch after the other.
fn busy_inside(kernels: &[(i64, i64)], spans: &[(i64, i64)]) -> i64 {
    let both = || kernels.iter().chain(spans);
    let mut edges: Vec<i64> = both().flat_map(|&(start, end)| [start, end]).collect();
    edges.sort_unstable();
    let holds = |set: &[(i64, i64)], t: i64| set.iter().any(|&(start, end)| start <= t && t < end);
    let stretches = edges.windows(2).filter(|w| holds(kernels, w[0]) && holds(spans, w[0]));
    stretches.map(|w| w[1] - w[0]).sum()
}

#[test]
fn kernels_inside_spans_are_those_of_a_plain_reading() {
    let paths = traces();
    let read = Read::of(&paths);
    let found = read.join_text(&own_log());
    assert_eq!(found.joined_requests.len(), 9);
    let mut union: BTreeMap<usize, Vec<(i64, i64)>> = BTreeMap::new();
    for share in &found.joined_requests {
        let span = (share.start_unix_ns, share.start_unix_ns + share.generation_ns);
        let busy = busy_inside(&kernels(&paths[share.input]), &[span]);
        assert_eq!(share.kernel_busy_ns, Some(busy), "{share:?}");
        assert!(busy > 0);
        union.entry(share.input).or_default().push(span);
    }
    for stage in &found.joined_stages {
        let input = stage.input.unwrap();
        let kernels = kernels(&paths[input]);
        assert_eq!(stage.kernel_busy_ns, Some(busy_inside(&kernels, &union[&input])));
        // What is not inside of a span is outside of all of them.
        let all = busy_inside(&kernels, &[(i64::MIN, i64::MAX)]);
        assert_eq!(stage.kernel_busy_ns.unwrap() + stage.outside_kernel_busy_ns.unwrap(), all);
        assert!(stage.in_window_ns < stage.window_ns);
    }
}

#[test]
fn parts_sum_to_wholes() {
    let read = Read::of(&traces());
    let found = read.join_text(&own_log());
    let of_request = |row: &JoinedRequestRow| {
        let parts = [row.wait_no_kernel_ns, row.host_ns, row.rest_ns];
        (row.in_window_ns, row.kernel_busy_ns, parts, row.ipc_wait_ns)
    };
    let of_stage = |row: &JoinedStageRow| {
        let parts = [row.wait_no_kernel_ns, row.host_ns, row.rest_ns].map(Option::unwrap);
        (row.in_window_ns.unwrap(), row.kernel_busy_ns, parts, row.ipc_wait_ns)
    };
    let requests = found.joined_requests.iter().map(of_request);
    for charge in requests.chain(found.joined_stages.iter().map(of_stage)) {
        let (in_window_ns, kernel_busy_ns, parts, ipc_wait_ns) = charge;
        assert_eq!(kernel_busy_ns.unwrap() + parts.iter().sum::<i64>(), in_window_ns);
        assert!(ipc_wait_ns.unwrap() >= parts[0]);
        assert!(parts[2] >= 0, "{charge:?}");
    }
    for share in &found.joined_requests {
        assert_eq!(share.in_window_ns + share.outside_ns, share.generation_ns);
    }
    // Where the spans of a stage do not meet each other, their sum is the stage's union.
    let mut n_meeting = 0;
    for stage in &found.joined_stages {
        let own = || found.joined_requests.iter().filter(|share| Some(share.input) == stage.input);
        let sums = [
            own().map(|share| share.in_window_ns).sum::<i64>(),
            own().map(|share| share.kernel_busy_ns.unwrap()).sum(),
            own().map(|share| share.ipc_wait_ns.unwrap()).sum(),
            own().map(|share| share.rest_ns).sum(),
        ];
        let whole = [
            stage.in_window_ns.unwrap(),
            stage.kernel_busy_ns.unwrap(),
            stage.ipc_wait_ns.unwrap(),
            stage.rest_ns.unwrap(),
        ];
        let mut spans: Vec<(i64, i64)> = own()
            .map(|share| (share.start_unix_ns, share.start_unix_ns + share.generation_ns))
            .collect();
        spans.sort_unstable();
        if spans.windows(2).any(|w| w[1].0 < w[0].1) {
            n_meeting += 1;
            assert!(sums[0] > whole[0]);
        } else {
            assert_eq!(sums, whole, "stage {:?}", stage.stage);
        }
        assert_eq!(
            (stage.matched_by, stage.spans, stage.spans_in_window),
            (Some(MatchedBy::Stage), 3, 3)
        );
    }
    assert!(n_meeting < 3, "at least one stage has spans apart");
}

/// The log as vLLM's logger writes it, without year and milliseconds, by a clock ahead of UTC.
fn as_vllm(text: &str, ahead_hours: u32) -> String {
    let line = |line: &str| {
        let (stamp, rest) = line.split_once(" [PID:").unwrap();
        let message = rest.split_once(": ").unwrap().1;
        let hour: u32 = stamp[11..13].parse().unwrap();
        let (date, hour) = (&stamp[5..10], hour + ahead_hours);
        format!("INFO {date} {hour:02}{} [omni.py:1] {message}\n", &stamp[13..19])
    };
    text.lines().map(line).collect()
}

#[test]
fn a_zone_and_a_year_are_settled_by_what_overlaps() {
    let read = Read::of(&traces());
    let exact = read.join_text(&own_log());
    assert_eq!(exact.log_clocks[0].placed_by, ClockSource::Overlap);
    // Half a millisecond, and what the orchestrator was late.
    assert!(exact.joined_requests.iter().all(|share| share.error_ns >= 500_000));
    assert!(exact.log_clocks[0].error_ns.is_some_and(|ns| (500_000..50_000_000).contains(&ns)));
    let coarse = read.join_text(&as_vllm(&own_log(), 5));
    let clock = &coarse.log_clocks[0];
    assert_eq!((clock.zone.as_deref(), clock.year), (Some("UTC+05:00"), Some(2026)));
    assert_eq!(clock.placed_by, ClockSource::Overlap);
    assert!(clock.error_ns >= Some(500_000_000));
    for a in &exact.joined_requests {
        let same = |one: &&JoinedRequestRow| (&one.request, one.stage) == (&a.request, a.stage);
        let other = coarse.joined_requests.iter().find(same).unwrap();
        assert!((other.start_unix_ns - a.start_unix_ns).abs() <= other.error_ns + a.error_ns);
        assert!(!other.in_window_is_sure, "half a second is more than the window holds: {other:?}");
    }
}

#[test]
fn profiler_lines_decide_where_requests_fit_in_many_zones() {
    let read = Read::of(&traces());
    // Requests for six hours, one every ten minutes, so that they overlap the window in many zones.
    let mut text = String::new();
    for minute in (0..360).step_by(10) {
        let (hour, minute) = (12 + minute / 60, minute % 60);
        text += &format!(
            "2026-11-24 {hour:02}:{minute:02}:41,000 [PID:1] INFO: [StageMetrics] stage=0 req={hour}_{minute} metrics={{'num_tokens_out': 1, 'stage_gen_time_ms': 900000.0, 'batch_id': 1}}\n"
        );
    }
    let open = read.join_text(&text);
    assert_eq!(open.log_clocks[0].placed_by, ClockSource::None);
    assert!(open.log_clocks[0].evidence.contains("--log-zone"), "{:?}", open.log_clocks);
    assert!(open.joined_requests.is_empty() && open.joined_stages[0].in_window_ns.is_none());

    let given = JoinConfig { zone_ns: parse_zone("+00:00") };
    let logs = [read_log_bytes("test.log", text.as_bytes()).0];
    assert_eq!(read.join(&logs, given).log_clocks[0].placed_by, ClockSource::Given);

    // The traces are of 15:18:39 to 15:18:40 UTC; the log's clock is two hours ahead.
    text += "INFO 11-24 17:18:39 [wrapper.py:82] Profiler started\n";
    text += "INFO 11-24 17:18:41 [wrapper.py:82] Profiler stopped successfully.\n";
    let settled = read.join_text(&text);
    let clock = &settled.log_clocks[0];
    assert_eq!(
        (clock.placed_by, clock.zone.as_deref()),
        (ClockSource::Profiler, Some("UTC+02:00"))
    );
}

#[test]
fn what_does_not_fit_is_not_placed() {
    let read = Read::of(&traces());
    // Ten days later, no zone helps.
    let other_day = own_log().replace("2026-11-24", "2026-12-04");
    let found = read.join_text(&other_day);
    assert_eq!(found.log_clocks[0].placed_by, ClockSource::None);
    assert!(found.is_empty());
    // A stage that no trace is of.
    let found = read.join_text(
        &own_log()
            .replace("stage=2", "stage=7")
            .replace("Stage-2", "Stage-7")
            .replace("stage-2", "stage-7"),
    );
    let stage = found.joined_stages.iter().find(|stage| stage.stage == Some(7)).unwrap();
    assert_eq!((stage.input, stage.spans), (None, 3));
    assert_eq!(found.joined_requests.len(), 6);
}

#[test]
fn a_real_diffusion_log_is_placed_by_its_profiler_lines() {
    let Some(root) = common::shared_traces() else { return };
    let dir = root.join("own/vllm/omni030_diffusion_mp");
    let trace = dir.join("20261121-233935_stage_0_rep_0_diffusion_1795304375/trace_rank0.json.gz");
    let read = Read::of(&[trace]);
    let logs: Vec<PipelineLog> = discover_logs(&[dir.join("run.log")])
        .unwrap()
        .paths
        .iter()
        .map(|path| read_log(path, &Arc::default()).unwrap().log)
        .collect();
    let found = read.join(&logs, JoinConfig::default());
    let clock = &found.log_clocks[0];
    assert_eq!((clock.placed_by, clock.error_ns), (ClockSource::Profiler, Some(500_000_000)));
    assert!(clock.evidence.contains("which a line names"), "{clock:?}");
    assert_eq!(found.joined_requests.len(), 2);
    // A CPU run shows no device activity: unknown, not zero.
    assert!(found.joined_requests.iter().all(|share| share.kernel_busy_ns.is_none()));
    assert!(found.joined_requests.iter().all(|share| share.in_window_ns > 2_000_000_000));
}

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_omni-trace"))
        .args(arguments)
        .env("COLUMNS", "60000")
        .output()
        .unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn transfers_stand_beside_the_copies_of_the_time() {
    let dir = fixture();
    let dir = dir.to_str().unwrap();
    let json: Value =
        serde_json::from_str(&text(&run(&["bandwidth", dir, "--logs", dir, "--format", "json"])))
            .unwrap();
    let edge = &json["stage_transfers"][0];
    // Three tensors of 256 x 1024 floats, pickled.
    assert_eq!(edge["samples"], 3);
    let bytes = edge["bytes"].as_f64().unwrap();
    assert!((bytes - 3.0 * 1_048_576.0).abs() < 3.0 * 1024.0, "{bytes}");
    let (mbit, gb) = (edge["tx_mbit_per_s"].as_f64(), edge["tx_gb_per_s"].as_f64());
    assert!((mbit.unwrap() / gb.unwrap() - 8000.0).abs() < 0.01);
    let sender = &json["traced_transfers"][0];
    assert_eq!((&sender["side"], &sender["direction"]), (&"sender".into(), &"DtoH".into()));
    assert_eq!((&sender["copies"], &sender["copy_bytes"]), (&3.into(), &3_145_728.into()));
    let rate = 3_145_728.0 / sender["copy_ns"].as_f64().unwrap();
    assert_eq!(sender["copy_gb_per_s"].as_f64(), Some(rate));
    assert!(sender["handoffs"].as_u64() > Some(0));
}

#[test]
fn logs_of_another_run_are_a_warning() {
    let dir = fixture();
    let dir = dir.to_str().unwrap();
    let other =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/logs_seed/omni_llm_pipeline.log");
    let other = other.to_str().unwrap();
    let output = run(&["analyze", dir, "--table", "log_clocks,joined_stages", "--logs", other]);
    assert!(output.status.success());
    let warning = String::from_utf8(output.stderr.clone()).unwrap();
    assert!(
        warning.contains("no request of the logs lies inside of what the traces recorded"),
        "{warning}"
    );
    assert!(warning.contains("is not placed: in no zone"), "{warning}");
    let quiet = run(&["analyze", dir, "--quiet", "--table", "log_clocks", "--logs", other]);
    assert!(quiet.stderr.is_empty());
    assert_eq!(run(&["analyze", dir, "--logs", "/nowhere.log"]).status.code(), Some(2));
    let zone = run(&["analyze", dir, "--logs", other, "--log-zone", "CET"]);
    assert_eq!(zone.status.code(), Some(2));
}
