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

#[test]
fn means_and_energy_are_a_plain_integration() {
    for seed in 0..20 {
        let case = case(seed);
        let found = rows(&written(&case, "GPU Power (W)"));
        let check = |row: &Value, spans: &[(u64, u64)]| {
            let (us, sum) = integrated(&case, spans);
            assert_eq!(row["time_ns"].as_u64(), Some(us * 1_000), "seed {seed}: {row}");
            let mean = sum as f64 / us as f64;
            assert!((row["mean"].as_f64().unwrap() - mean).abs() < 1e-6 * mean, "{row}");
            let joules = sum as f64 / 1e6;
            assert!((row["joules"].as_f64().unwrap() - joules).abs() < 1e-6 * joules, "{row}");
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
            let tokens = row["joules_per_token"].as_f64().unwrap() * 4.0;
            assert!((tokens - row["joules"].as_f64().unwrap()).abs() < 1e-9);
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
