//! Counters over kernels, phases and iterations: against a plain integration, microsecond by microsecond.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;
mod program;

use common::Random;
use program::omni_trace;
use serde_json::{Value, json};

const WINDOW_US: u64 = 2_000;

/// Samples (time, value), kernels and iterations (start, length), all in microseconds.
struct Case {
    samples: Vec<(u64, u64)>,
    kernels: Vec<(u64, u64)>,
    iterations: Vec<(u64, u64)>,
}

fn case(seed: u64) -> Case {
    let mut random = Random::new(seed);
    let mut below = |n: u64| random.below(n as usize) as u64;
    let mut samples: Vec<(u64, u64)> =
        (0..40).map(|_| (below(WINDOW_US), 100 + below(600))).collect();
    samples.sort_unstable();
    samples.dedup_by_key(|one| one.0);
    let mut kernels = Vec::new();
    let mut at = 5;
    while at + 60 < WINDOW_US {
        let us = 1 + below(50);
        kernels.push((at, us));
        at += us + below(30);
    }
    let iterations = (0..8).map(|n| (10 + n * 240, 150 + below(80))).collect();
    Case { samples, kernels, iterations }
}

fn written(case: &Case, counter: &str) -> Value {
    let span = |cat: &str, name: &str, pid: u64, tid: u64, (ts, dur): (u64, u64), args: Value| json!({"ph": "X", "cat": cat, "name": name, "pid": pid, "tid": tid, "ts": ts, "dur": dur, "args": args});
    let mut events = vec![
        span("Trace", "PyTorch Profiler (0)", 1, 1, (0, WINDOW_US), json!({})),
        span("cpu_op", "aten::mm", 1, 1, (1, 2), json!({})),
    ];
    for &(ts, value) in &case.samples {
        events.push(
            json!({"ph": "C", "name": counter, "pid": 0, "ts": ts, "args": {"value": value}}),
        );
    }
    for (n, &at) in case.kernels.iter().enumerate() {
        let name = if n.is_multiple_of(3) { "gemm" } else { "softmax" };
        events.push(span(
            "kernel",
            name,
            0,
            7,
            at,
            json!({"device": 0, "stream": 7, "correlation": n + 1}),
        ));
    }
    for &at in &case.iterations {
        let name = "execute_context_0(0)_generation_4(4)";
        events.push(span("user_annotation", name, 1, 1, at, json!({})));
    }
    json!({"schemaVersion": 1, "traceEvents": events})
}

fn rows(trace: &Value) -> Vec<Value> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("trace.json");
    std::fs::write(&path, trace.to_string()).unwrap();
    let args = ["analyze", path.to_str().unwrap(), "--format", "json", "--table", "counters"];
    let output = omni_trace(&args);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    report["counters"].as_array().unwrap().clone()
}

/// Known time in microseconds, and the sum of value times microseconds, of some stretches.
fn integrated(case: &Case, spans: &[(u64, u64)]) -> (u64, u64) {
    let value_at = |t: u64| case.samples.iter().rev().find(|one| one.0 <= t).map(|one| one.1);
    let instants = spans.iter().flat_map(|&(start, us)| start..start + us);
    let known = instants.filter_map(value_at);
    known.fold((0, 0), |(n, sum), value| (n + 1, sum + value))
}

/// The values of the known microseconds of some stretches.
fn held(case: &Case, spans: &[(u64, u64)]) -> Vec<u64> {
    let value_at = |t: u64| case.samples.iter().rev().find(|one| one.0 <= t).map(|one| one.1);
    spans.iter().flat_map(|&(start, us)| start..start + us).filter_map(value_at).collect()
}

#[test]
fn means_and_energy_are_a_plain_integration() {
    // Every unit: what one is in watts, and whether it is a clock.
    let units = [
        ("GPU Power (W)", Some(1.0), false),
        ("GPU Power (mW)", Some(1e-3), false),
        ("Rack Power (kW)", Some(1e3), false),
        ("gpu_power_mw", Some(1e-3), false),
        ("SM Clock (MHz)", None, true),
        ("sm__throughput.avg.pct_of_peak_sustained_elapsed", None, false),
        ("dram__bytes.sum.per_second", None, false),
    ];
    for seed in 0..70 {
        let case = case(seed);
        let (counter, watts, is_clock) = units[seed as usize % units.len()];
        let found = rows(&written(&case, counter));
        let highest = case.samples.iter().map(|one| one.1).max().unwrap();
        let check = |row: &Value, spans: &[(u64, u64)]| {
            let (us, sum) = integrated(&case, spans);
            assert_eq!(row["time_ns"].as_u64(), Some(us * 1_000), "seed {seed}: {row}");
            let mean = sum as f64 / us as f64;
            assert!((row["mean"].as_f64().unwrap() - mean).abs() < 1e-6 * mean, "{row}");
            let joules = watts.map(|watts| sum as f64 / 1e6 * watts);
            let is_same = |a: f64, b: f64| (a - b).abs() <= 1e-6 * b;
            match (row["joules"].as_f64(), joules) {
                (Some(ours), Some(plain)) => assert!(is_same(ours, plain), "{row}"),
                (ours, plain) => assert_eq!(ours, plain, "seed {seed}: {row}"),
            }
            let values = held(&case, spans);
            let bounds = [values.iter().min().unwrap(), values.iter().max().unwrap()];
            assert_eq!(
                [&row["least"], &row["most"]].map(Value::as_f64),
                bounds.map(|n| Some(*n as f64))
            );
            let inside = |at: u64, &&(from, us): &&(u64, u64)| from <= at && at < from + us;
            let times = case.samples.iter().map(|one| one.0);
            let samples: usize =
                times.map(|at| spans.iter().filter(|span| inside(at, span)).count()).sum();
            assert_eq!(row["samples"].as_u64(), Some(samples as u64), "seed {seed}: {row}");
            let low = values.iter().filter(|&&value| value * 10 < highest * 9).count() as u64;
            let low_pct = 100.0 * low as f64 / us as f64;
            assert_eq!(
                row["low_ns"].as_u64(),
                is_clock.then_some(low * 1_000),
                "seed {seed}: {row}"
            );
            match row["low_pct"].as_f64() {
                Some(pct) => assert!(is_clock && (pct - low_pct).abs() < 1e-9, "{row}"),
                None => assert!(!is_clock),
            }
        };
        let of = |scope: &str| found.iter().filter(|row| row["scope"] == scope).collect::<Vec<_>>();
        check(of("window")[0], &[(0, WINDOW_US)]);
        check(of("busy")[0], &case.kernels);
        for name in ["gemm", "softmax"] {
            let row = of("kernel").into_iter().find(|row| row["name"] == name).unwrap();
            let is_it = |n: usize| n.is_multiple_of(3) == (name == "gemm");
            let all = case.kernels.iter().enumerate();
            let own: Vec<_> = all.filter(|(n, _)| is_it(*n)).map(|(_, &at)| at).collect();
            check(row, &own);
        }
        check(of("phase")[0], &case.iterations);
        let each = of("iteration");
        assert!(!each.is_empty());
        let known: Vec<_> =
            case.iterations.iter().filter(|&&at| integrated(&case, &[at]).0 > 0).collect();
        assert_eq!(each.len(), known.len());
        for (row, &&at) in each.iter().zip(&known) {
            check(row, &[at]);
            match (row["joules_per_token"].as_f64(), row["joules"].as_f64()) {
                (Some(each), Some(all)) => assert!((each * 4.0 - all).abs() < 1e-9 * (1.0 + all)),
                (each, all) => assert_eq!((each, all, watts), (None, None, None), "{row}"),
            }
        }
    }
}

#[test]
fn a_clock_that_drops_is_said() {
    let case = Case {
        samples: vec![(0, 1_000), (500, 800), (700, 950)],
        kernels: vec![(450, 100)],
        iterations: Vec::new(),
    };
    let found = rows(&written(&case, "SM Clock (MHz)"));
    let row = |scope: &str| found.iter().find(|row| row["scope"] == scope).unwrap().clone();
    assert_eq!(
        (&row("window")["low_ns"], &row("busy")["low_ns"]),
        (&json!(200_000), &json!(50_000))
    );
    assert_eq!(row("busy")["mean"], json!(900.0));
    assert_eq!((&row("busy")["joules"], &row("window")["least"]), (&Value::Null, &json!(800.0)));
}

#[test]
fn without_samples_there_is_nothing() {
    let case = Case { samples: Vec::new(), ..case(1) };
    assert!(rows(&written(&case, "GPU Power (W)")).is_empty());
}
