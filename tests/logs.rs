//! Pipeline logs, from bytes to tables: the log that the project began with, every real log, every generation, and what
//! is torn, interleaved or damaged.

mod common;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use omni_trace::analyze::stages::{FlagKind, SpanPlacement, StageReport, analyze_stages};
use omni_trace::diag::{IssueKind, Reporter};
use omni_trace::model::log::{LineKind, PipelineLog, Record};
use omni_trace::read::logs::{LogReader, read_log, read_log_bytes};
use omni_trace::table::stages::{StagesReport, waterfall_chart};
use proptest::prelude::*;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)
}

fn log_of(path: &Path) -> PipelineLog {
    read_log(path, &Arc::default()).expect("the log is readable").log
}

fn report_of(paths: &[PathBuf]) -> StageReport {
    let logs: Vec<PipelineLog> = paths.iter().map(|path| log_of(path)).collect();
    analyze_stages(&logs.iter().collect::<Vec<_>>())
}

fn report_of_text(text: &str) -> (StageReport, Reporter) {
    let (log, diag) = read_log_bytes("test.log", text.as_bytes());
    (analyze_stages(&[&log]), diag)
}

fn kinds(report: &StageReport) -> Vec<FlagKind> {
    report.flags.iter().map(|flag| flag.kind).collect()
}

/// What the log prints, digit by digit.
fn check_seed(report: &StageReport) {
    let stages: Vec<_> = report
        .request_stages
        .iter()
        .map(|row| (row.stage, row.tokens_out, row.generation_ns, row.rx_bytes))
        .collect();
    assert_eq!(
        stages,
        [
            (0, Some(52), Some(3_490_643_978), Some(339)),
            (1, Some(170), Some(17_991_965_771), Some(3_148_794)),
            (2, Some(0), Some(117_712_975), Some(8_393)),
        ]
    );
    let [a, b] = &report.transfers[..] else { panic!("{:?}", report.transfers) };
    assert_eq!(
        (a.from_stage, a.to_stage, a.bytes, a.tx_mbit_per_s),
        (0, 1, Some(3_148_794), Some(4_437.835_776))
    );
    assert_eq!(a.rx_mbit_per_s, Some(4_390.442_308_539_705));
    assert_eq!(a.total_mbit_per_s, Some(2_009.356_702_959_339_6));
    assert_eq!((a.tx_ns, a.in_flight_ns), (Some(5_676_270), Some(1_122_713)));
    assert_eq!(
        (b.from_stage, b.to_stage, b.bytes, b.tx_mbit_per_s),
        (1, 2, Some(8_393), Some(188.754_924_782_841_8))
    );
    // A gigabyte is eight thousand megabits.
    let ratio = a.tx_mbit_per_s.unwrap_or(0.0) / a.tx_gb_per_s.unwrap_or(0.0);
    assert!((ratio - 8000.0).abs() < 0.01, "{ratio}");
    let wall: Vec<_> =
        report.stages.iter().map(|row| (row.wall_ns, row.tokens_per_wall_s)).collect();
    assert_eq!(
        wall,
        [
            (Some(3_505_100_727), Some(14.835_522_299_897_058)),
            (Some(18_008_861_065), Some(9.439_797_407_912_38)),
            (Some(124_724_627), Some(0.0)),
        ]
    );
    assert_eq!(report.summaries[0].wall_ns, Some(21_893_684_149));
}

#[test]
fn the_first_log_gives_its_printed_figures() {
    let report = report_of(&[fixture("logs_seed/omni_llm_pipeline.log")]);
    check_seed(&report);
    // Two averages of the run, two of each of three stages, three rates and three sums of each of two edges.
    assert_eq!(report.checks.len(), 2 + 3 * 2 + 2 * 6);
    for check in &report.checks {
        let printed = check.printed;
        assert_eq!(check.recomputed.to_bits(), printed.to_bits(), "{check:?}");
    }
    assert_eq!(kinds(&report), [FlagKind::TokensOfFinalStage]);
    assert!(report.waterfall.iter().all(|span| span.placed_by == SpanPlacement::Times));
    let last = report.waterfall.last().expect("there is a waterfall");
    assert_eq!(last.start_ns + last.dur_ns, 21_893_000_000);
}

#[test]
fn the_document_itself_is_understood() {
    let Some(traces) = common::shared_traces() else { return };
    let seeds = traces.with_file_name("seeds");
    let document = std::fs::read_dir(seeds)
        .expect("the seeds are there")
        .map(|entry| entry.expect("the seeds can be listed").path())
        .find(|path| path.file_name().is_some_and(|n| n.to_string_lossy().starts_with("000_")))
        .expect("the first document is there");
    let raw = log_of(&document);
    check_seed(&analyze_stages(&[&raw]));
    let clean = log_of(&fixture("logs_seed/omni_llm_pipeline.log"));
    let pipeline = |log: &PipelineLog| -> Vec<(Option<i64>, Record)> {
        let from = log.entries.iter().position(|e| matches!(e.record, Record::Orchestrator(_)));
        let rest = &log.entries[from.expect("the pipeline's log is in it")..];
        rest.iter().map(|e| (e.wall_ns, e.record.clone())).collect()
    };
    assert_eq!(pipeline(&raw), pipeline(&clean));
}

#[test]
fn no_line_of_a_real_log_is_unexplained() {
    let Some(traces) = common::shared_traces() else { return };
    let names = [
        "omni030_diffusion_mp/run.log",
        "omni_metrics/omni014_stats.log",
        "omni_metrics/omni018_stats.log",
        "omni_metrics/omni030_stats.log",
        "v012_tp2_env/run.log",
        "v030_serve_prof/server.log",
        "v030_tp2_mp/run.log",
        "v030_tp2_mp_maxiter1/run.log",
    ];
    for name in names {
        let input = read_log(&traces.join("own/vllm").join(name), &Arc::default())
            .expect("the log is readable");
        println!("{name}: {} records", input.log.entries.len());
        for (class, count) in input.log.census.classes() {
            println!("  {:10} {class:24} {:4}", count.kind.as_str(), count.lines);
        }
        assert_eq!(input.log.census.lines(LineKind::Unknown), 0, "{name}");
        assert!(input.log.census.lines(LineKind::Recognized) > 0, "{name}");
        assert_eq!(input.diag.issues().count(), 0, "{name}: {:?}", input.diag);
        let report = analyze_stages(&[&input.log]);
        let wrong: Vec<_> = report.checks.iter().filter(|check| !check.agrees).collect();
        assert!(wrong.is_empty(), "{name}: {wrong:?}");
    }
}

#[test]
fn waits_and_profiler_files_of_a_real_server_are_found() {
    let Some(traces) = common::shared_traces() else { return };
    let report = report_of(&[traces.join("own/vllm/v030_tp2_mp/run.log")]);
    let waits: Vec<_> = report
        .waits
        .iter()
        .map(|w| (w.process.as_str(), w.waited_ns, w.waited_so_far_ns))
        .collect();
    let minute = 60_000_000_000;
    let process = "EngineCore pid 21998";
    assert_eq!(
        waits,
        [(process, minute, minute), (process, minute, 2 * minute), (process, minute, 3 * minute)]
    );
    assert_eq!(report.waits[1].at_ns.zip(report.waits[0].at_ns).map(|(b, a)| b - a), Some(minute));
    let diffusion = report_of(&[traces.join("own/vllm/omni030_diffusion_mp/run.log")]);
    let written = diffusion.profiler.iter().find(|row| row.detail.contains("Trace exported"));
    let written = written.expect("the log names its trace");
    assert_eq!((written.stage, written.rank), (Some(0), Some(0)));
    assert!(written.paths[0].ends_with("_stage_0_rep_0_diffusion_1795304375/trace_rank0.json"));
    // The second request waited for the first, and the log's time per step has that wait in it.
    let [first, second] = &diffusion.diffusion[..] else { panic!("{:?}", diffusion.diffusion) };
    assert_eq!((first.steps, first.step_ns), (Some(4), Some(600_500_000)));
    assert_eq!((second.queue_ns, second.step_ns), (Some(2_403_000_000), Some(1_101_500_000)));
    assert_eq!(kinds(&diffusion), [FlagKind::StepTimeIncludesQueue]);
}

/// The summaries that the same run left as JSON, read by another parser.
#[test]
fn real_classes_agree_with_their_own_summaries() {
    let Some(traces) = common::shared_traces() else { return };
    let dir = traces.join("own/vllm/omni_metrics");
    let json = |name: &str| -> serde_json::Value {
        let text = std::fs::read_to_string(dir.join(name)).expect("the summary is there");
        serde_json::from_str(&text).expect("the summary is JSON")
    };
    let ms = |value: &serde_json::Value| value.as_f64().expect("a number");
    let near = |ns: Option<i64>, ms: f64, tolerance_ns: f64| {
        let ns = ns.expect("recorded") as f64;
        assert!((ns - ms * 1e6).abs() <= tolerance_ns, "{ns} ns is not {ms} ms");
    };

    // Without its `float_roundtrip` feature serde_json may be off by one unit in the last place.
    let same = |value: Option<f64>, json: &serde_json::Value| {
        let (value, json) = (value.expect("recorded"), ms(json));
        assert!((value - json).abs() <= 2.0 * f64::EPSILON * json, "{value} is not {json}");
    };

    let old = report_of(&[dir.join("omni014_stats.log")]);
    let summary = json("omni014_summary.json");
    for (row, stage) in old.stages.iter().zip(summary["stages"].as_array().expect("a list")) {
        near(row.wall_ns, ms(&stage["total_time_ms"]), 0.5);
    }
    for (row, edge) in old.transfers.iter().zip(summary["transfers"].as_array().expect("a list")) {
        assert_eq!(row.bytes, edge["total_bytes"].as_i64());
        same(row.tx_mbit_per_s, &edge["tx_mbps"]);
        same(row.rx_mbit_per_s, &edge["rx_mbps"]);
        same(row.total_mbit_per_s, &edge["total_mbps"]);
    }

    // The dictionary of 0.18 has every digit; the table of 0.30 was rounded to a microsecond.
    for (log, name, tolerance_ns) in [
        ("omni018_stats.log", "omni018_summary.json", 0.5),
        ("omni030_stats.log", "omni030_summary.json", 500.5),
    ] {
        let report = report_of(&[dir.join(log)]);
        let summary = json(name);
        let overall = &summary["overall_summary"];
        near(report.summaries[0].wall_ns, ms(&overall["e2e_wall_time_ms"]), tolerance_ns);
        for row in &report.stages {
            let key = format!("e2e_stage_{}_wall_time_ms", row.stage);
            near(row.wall_ns, ms(&overall[key]), tolerance_ns);
        }
        let requests = summary["e2e_table"].as_array().expect("a list");
        assert_eq!(report.requests.len(), requests.len());
        for (row, request) in report.requests.iter().zip(requests) {
            assert_eq!(Some(row.request.as_str()), request["request_id"].as_str());
            near(row.e2e_ns, ms(&request["e2e_total_ms"]), tolerance_ns);
        }
        assert!(kinds(&report).contains(&FlagKind::AverageIsWallTime), "{log}");
    }
}

#[test]
fn the_files_of_one_run_are_one() {
    let base = fixture("logs_generations/pipeline.log");
    let mut paths = vec![base.clone()];
    for part in ["orchestrator", "overall", "stage0", "stage1", "stage2"] {
        paths.push(base.with_file_name(format!("pipeline.log.{part}.stats.jsonl")));
    }
    let report = report_of(&paths);
    assert_eq!(report.runs.len(), 1);
    assert_eq!(report.request_stages.len(), 6);
    assert_eq!(report.checks.len(), 103);
    assert!(report.checks.iter().all(|check| check.recomputed == check.printed));
    assert!(!kinds(&report).contains(&FlagKind::Conflict), "{:?}", report.flags);
    assert_eq!(report.transfers.len(), 2);
    assert_eq!(report.transfers[0].in_flight_ns, Some(2_240_000));
    paths.reverse();
    let reversed = report_of(&paths);
    assert_eq!(reversed.transfers, report.transfers);
    assert_eq!(reversed.stages, report.stages);
}

#[test]
fn a_wrong_figure_is_flagged() {
    let text = std::fs::read_to_string(fixture("logs_seed/omni_llm_pipeline.log"))
        .expect("the fixture is there");
    let (report, _) = report_of_text(&text.replace("'tx_mbps': 4437.835776", "'tx_mbps': 554.73"));
    let differs: Vec<_> = report.flags.iter().filter(|f| f.kind == FlagKind::Differs).collect();
    let [flag] = &differs[..] else { panic!("{differs:?}") };
    assert_eq!(flag.subject, "summary edge 0->1");
    assert!(flag.message.contains("554.73") && flag.message.contains("4437.835776"), "{flag:?}");
    // The table shows the recomputed figure.
    assert_eq!(report.transfers[0].tx_mbit_per_s, Some(4_437.835_776));
}

#[test]
fn two_prints_that_contradict_each_other_are_flagged() {
    let line = |tokens: u32| {
        format!(
            r#"{{"type": "stage_request_stats", "stage_id": 0, "request_id": 7, "num_tokens_out": {tokens}}}"#
        )
    };
    let (report, _) = report_of_text(&format!("{}\n{}\n", line(5), line(6)));
    assert_eq!(kinds(&report), [FlagKind::Conflict]);
    assert_eq!(report.request_stages[0].tokens_out, Some(5));
}

#[test]
fn a_batch_counts_once() {
    let mut text = String::new();
    for (request, batch) in [(0, 1), (1, 1), (2, 2)] {
        text += &format!(
            "2025-12-16 01:24:26,527 [PID:1] INFO: [StageMetrics] stage=0 req={request} metrics={{'num_tokens_out': 10, 'stage_gen_time_ms': 100.0, 'batch_id': {batch}, 'batch_size': 2}}\n"
        );
    }
    let (report, _) = report_of_text(&text);
    assert_eq!(report.stages[0].generation_ns, Some(200_000_000));
    assert_eq!(
        (report.stages[0].tokens_out, report.stages[0].tokens_per_s),
        (Some(30), Some(150.0))
    );
}

#[test]
fn interleaved_writers_are_told_apart_and_torn_records_counted() {
    let text = "\
(Worker_TP0 pid=1) INFO 12-26 07:41:39 [log_utils.py:107] {'type': 'Stage_running_avg',
(Worker_TP1 pid=2) INFO 12-26 07:41:39 [log_utils.py:107] {'type': 'Stage_running_avg',
\x1b[0;36m(Worker_TP0 pid=1)\x1b[0;0m INFO 12-26 07:41:39 [log_utils.py:107]  'stage_id': 0,
(Worker_TP1 pid=2)  'stage_id': 1,
(Worker_TP1 pid=2)  'total_tokens': 9}
(Worker_TP0 pid=1) INFO 12-26 07:41:39 [log_utils.py:107]  'total_tokens': 8}
(Worker_TP0 pid=1) INFO 12-26 07:41:39 [log_utils.py:107] {'type': 'Stage_running_avg',
(Worker_TP0 pid=1) INFO 12-26 07:41:40 [log_utils.py:107] {'type': 'Stage_running_avg',
(Worker_TP0 pid=1) INFO 12-26 07:41:40 [log_utils.py:107]  'stage_id': 2}
Processed prompts:  50%|##   | 1/2 [00:02<00:02,  2.41s/it](EngineCore_DP0 pid=3) INFO 12-26 07:41:41 [wrapper.py:108] Max profiling iterations reached. Stopping profiler...
(Worker_TP1 pid=2) INFO 12-26 07:41:41 [log_utils.py:107] {'type': 'Stage_running_avg',
";
    let (log, diag) = read_log_bytes("test.log", text.as_bytes());
    let stages: Vec<_> = log
        .entries
        .iter()
        .filter_map(|entry| match &entry.record {
            Record::StageRunning(r) => Some((log.process_label(entry.process), r.stage, r.tokens)),
            _ => None,
        })
        .collect();
    assert_eq!(
        stages,
        [
            ("Worker_TP1 pid 2".to_owned(), 1, Some(9)),
            ("Worker_TP0 pid 1".to_owned(), 0, Some(8)),
            ("Worker_TP0 pid 1".to_owned(), 2, None),
        ]
    );
    // One was cut by the next record of its writer, one by the end of the log.
    assert_eq!(diag.count(IssueKind::TornRecord), 2);
    let limit = log.entries.iter().find(|e| matches!(e.record, Record::Profiler(_)));
    assert_eq!(
        log.process_label(limit.expect("the limit is found").process),
        "EngineCore_DP0 pid 3"
    );
    assert_eq!(log.census.lines(LineKind::Unknown), 0);
}

/// The block that vLLM-Omni prints in place of its tables, with the logger's prefix or without.
const METRICS_SUMMARY: &str = "\
============ Omni Metrics Summary ============
Successful requests:                                  1
Total E2E time (ms):                         41,356.133
Sum check (ms):                              41,356.133

------------ Overall Time Breakdown ------------
Stage 0 generation time (ms):                 9,910.007
Stage 0 -> Stage 1 handoff time (ms):           245.895
E2E - component sum (ms):                         0.000

------------ Request chatcmpl-a0ed Breakdown ------------
Request dispatch wait time (ms):                  0.012
------------ Stage 0 Breakdown ------------
Queue wait time (ms):                             1.000
Stage id:                                            0
Stage name:
Final output type:                                text
Output token throughput (tok/s):                 6.761
------------ Stage 0 -> Stage 1 Handoff ------------
AR to diffusion time (ms):                      53.314
------------ Final Output Breakdown ------------
Final output total time (ms):                   747.033
";

#[test]
fn the_metrics_summary_is_known() {
    let prefixed: String = METRICS_SUMMARY
        .lines()
        .map(|line| format!("(APIServer pid=7) INFO 06-01 10:00:00 [stats.py:1] {line}\n"))
        .collect();
    for text in [METRICS_SUMMARY.to_owned(), prefixed] {
        let (log, diag) = read_log_bytes("test.log", text.as_bytes());
        assert_eq!(log.census.lines(LineKind::Unknown), 0, "{:?}", log.census);
        assert_eq!(diag.issues().count(), 0);
        let lines: u64 = log
            .census
            .classes()
            .filter(|(class, _)| *class == "metrics_summary")
            .map(|(_, count)| count.lines)
            .sum();
        assert_eq!(lines, 20);
    }
    // Prose of the same shape is still unknown.
    let (log, _) = read_log_bytes("test.log", b"---- a rule ----\nStage of life: 3\n");
    assert_eq!(log.census.lines(LineKind::Unknown), 2);
}

#[test]
fn a_timing_line_alone_tells_of_its_request() {
    let text = "INFO 11-21 23:39:42 [stats.py:966] [OmniTiming] req=a total=6.82s preprocess=0.10s engine=6.72s stages=[0:ar=2.41s,1:diffusion=4.00s] transfers=[0->1=4.20ms]\n";
    let (report, _) = report_of_text(text);
    assert_eq!(report.requests[0].e2e_ns, Some(6_820_000_000));
    assert_eq!(report.requests[0].preprocess_ns, Some(100_000_000));
    let stages: Vec<_> = report.request_stages.iter().map(|row| row.generation_ns).collect();
    assert_eq!(stages, [Some(2_410_000_000), Some(4_000_000_000)]);
}

/// What a server that prints a summary for each request writes.
fn served(n: usize) -> String {
    let line = |i: usize| {
        let stamp = "2025-12-16 01:24:26,527 [PID:1] INFO:";
        let later = "2025-12-16 01:24:27,527 [PID:1] INFO:";
        let took = 10.0 + i as f64 / 128.0;
        format!(
            "{stamp} [Orchestrator] Enqueued request {i} to stage-0\n\
             {stamp} [StageMetrics] stage=0 req={i} metrics={{'num_tokens_out': 10, 'stage_gen_time_ms': {took:?}, 'batch_id': {i}}}\n\
             {later} [Orchestrator] Stage-0 completed request {i}; forwarding or finalizing\n\
             {stamp} [Summary] {{'e2e_requests': 1, 'e2e_total_time_ms': {took:?}, 'e2e_sum_time_ms': {took:?}, 'e2e_total_tokens': 10, 'wall_time_ms': {took:?}, 'stages': [], 'transfers': []}}\n"
        )
    };
    (0..n).map(line).collect()
}

/// Seconds that a processor has spent on this thread: what other programs take of it does not count.
#[cfg(target_os = "linux")]
fn spent_s() -> f64 {
    let spent = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux tells it");
    let ns = spent.split(' ').next().and_then(|ns| ns.parse::<f64>().ok());
    ns.expect("the first number is nanoseconds") / 1e9
}

#[test]
#[cfg(target_os = "linux")]
fn eight_times_the_requests_take_about_eight_times_as_long() {
    let seconds = |n: usize| {
        let (log, _) = read_log_bytes("test.log", served(n).as_bytes());
        let once = || {
            let start = spent_s();
            let report = StagesReport::of(analyze_stages(&[&log]), Vec::new(), Vec::new());
            let chart = waterfall_chart(&report.found.waterfall);
            // A span of waiting and one of generation each.
            assert_eq!((report.found.summaries.len(), chart.rows.len()), (n, 2 * n));
            spent_s() - start
        };
        (0..3).map(|_| once()).fold(f64::INFINITY, f64::min)
    };
    // Quadratic work would take 64 times as long.
    let ratio = seconds(16_000) / seconds(2_000);
    println!("{ratio:.1} times as long");
    assert!(ratio < 32.0, "{ratio}");
}

#[test]
fn the_turn_of_the_year_is_no_step_back() {
    let text = "\
INFO 12-31 23:59:59 [a.py:1] Loading weights took 1.0 seconds
INFO 01-01 00:00:01 [a.py:1] Loading weights took 2.0 seconds
";
    let (report, _) = report_of_text(text);
    assert_eq!(report.startup[1].at_ns, Some(2_000_000_000));
}

fn generations() -> Vec<u8> {
    let mut text = Vec::new();
    for name in [
        "logs_seed/omni_llm_pipeline.log",
        "logs_seed/console.log",
        "logs_generations/omni_0.14.log",
        "logs_generations/omni_0.30.log",
        "logs_generations/pipeline.log.orchestrator.stats.jsonl",
    ] {
        text.extend(std::fs::read(fixture(name)).expect("the fixture is there"));
        text.push(b'\n');
    }
    text
}

#[test]
fn records_do_not_depend_on_the_blocks() {
    let text = generations();
    let whole = read_log_bytes("x", &text);
    for size in [1, 7, 4096] {
        let mut reader = LogReader::default();
        text.chunks(size).for_each(|block| reader.push(block));
        assert_eq!(reader.finish("x"), whole, "blocks of {size}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Cut, spliced and overwritten logs are read and analyzed without a panic, and every line is counted.
    #[test]
    fn damaged_logs_never_panic(cuts in prop::collection::vec((0.0..1.0_f64, 0..400_usize, any::<u8>()), 1..12)) {
        let mut text = generations();
        for (at, length, byte) in cuts {
            let from = (at * text.len() as f64) as usize;
            let to = (from + length).min(text.len());
            if byte % 3 == 0 {
                text.drain(from..to);
            } else if byte % 3 == 1 {
                text[from..to].fill(byte);
            } else {
                let copy = text[from..to].to_vec();
                let target = from / 2;
                text.splice(target..target, copy);
            }
        }
        let (log, _) = read_log_bytes("x", &text);
        let kinds = [LineKind::Recognized, LineKind::Ignored, LineKind::Unknown];
        let counted: u64 = kinds.into_iter().map(|kind| log.census.lines(kind)).sum();
        let lines = text.split(|&b| b == b'\n').count() as u64 - u64::from(text.last() == Some(&b'\n'));
        prop_assert!(counted >= lines, "{counted} of {lines} lines are counted");
        let report = analyze_stages(&[&log]);
        prop_assert!(report.waterfall.iter().all(|span| span.dur_ns > 0));
    }
}
