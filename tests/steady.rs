//! Which iterations count: generated series with a planted warm-up, several batch buckets in each trace, are cut where the
//! warm-up was planted; totals never leave anything out.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod program;

use std::path::Path;

use program::omni_trace;
use serde_json::{Value, json};

/// Numbers that look random; the same for a seed.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    fn within(&mut self, from: f64, to: f64) -> f64 {
        from + (to - from) * (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A normal value, by the sum of twelve.
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.within(0.0, 1.0)).sum::<f64>() - 6.0
    }
}

const KINDS: [&str; 5] = ["falling", "autotuning", "loading", "level", "none"];

/// The lengths of the iterations of one bucket, and how many of them are warm-up.
fn series(dice: &mut Dice, kind: &str) -> (Vec<i64>, usize) {
    let n = 24 + dice.below(136);
    let mut factors = vec![1.0; n];
    let planted = match kind {
        "falling" => falling(dice, &mut factors),
        "autotuning" => autotuning(dice, &mut factors),
        "loading" => loading(dice, &mut factors),
        "level" => {
            let (level, k) = (dice.within(1.15, 1.5), 1 + dice.below(n / 3));
            factors[..k].fill(level);
            k
        }
        _ => 0,
    };
    let (base_ns, noise) = (dice.within(2e6, 6e7), dice.within(0.002, 0.015));
    let length = |(i, factor): (usize, &f64)| {
        // A long iteration right behind a warm-up is part of it for anyone who looks.
        let is_outlier = (planted == 0 || i >= planted + 6) && dice.below(200) == 0;
        let outlier = if is_outlier { dice.within(1.2, 3.0) } else { 1.0 };
        (base_ns * factor * outlier * (noise * dice.normal()).exp()) as i64
    };
    (factors.iter().enumerate().map(length).collect(), planted)
}

/// Falls exponentially; the warm-up is over when less than a tenth remains.
fn falling(dice: &mut Dice, factors: &mut [f64]) -> usize {
    let (height, pace) = (dice.within(1.0, 30.0), dice.within(0.8, 2.5));
    let left = |i: usize| height * (-(i as f64) / pace).exp();
    factors.iter_mut().enumerate().for_each(|(i, factor)| *factor += left(i));
    (0..factors.len() / 2).find(|&i| left(i) < 0.1).unwrap_or(factors.len() / 2)
}

/// Some iterations tune a kernel, with up to three between them that do not.
fn autotuning(dice: &mut Dice, factors: &mut [f64]) -> usize {
    let (mut at, mut planted) = (0, 0);
    for _ in 0..2 + dice.below(6) {
        if at < factors.len() / 2 {
            factors[at] = dice.within(1.5, 20.0);
            planted = at + 1;
        }
        at += 1 + dice.below(4);
    }
    planted
}

/// Levels that fall step by step, as less and less has to be loaded.
fn loading(dice: &mut Dice, factors: &mut [f64]) -> usize {
    let mut levels: Vec<f64> = (0..1 + dice.below(3)).map(|_| dice.within(1.3, 6.0)).collect();
    levels.sort_by(|a, b| b.total_cmp(a));
    let mut at = 0;
    for level in levels {
        let until = (at + 1 + dice.below(6)).min(factors.len() / 2);
        factors[at..until].fill(level);
        at = until;
    }
    at
}

/// A trace whose iterations are those of some buckets, in a random order of the buckets.
fn trace(dice: &mut Dice, buckets: &[Vec<i64>]) -> Value {
    let span = |cat: &str, name: String, ts_ns: i64, dur_ns: i64| json!({"ph": "X", "cat": cat, "name": name, "pid": 1, "tid": 1, "ts": ts_ns as f64 / 1e3, "dur": dur_ns as f64 / 1e3});
    let mut left: Vec<_> = buckets.iter().map(|all| all.iter()).collect();
    let mut events = vec![span("cpu_op", "aten::mm".to_owned(), 1_000, 1_000)];
    let mut at_ns = 0;
    while left.iter().any(|one| one.len() > 0) {
        let bucket = dice.below(left.len());
        let Some(&ns) = left[bucket].next() else { continue };
        let requests = 1 << bucket;
        let name = format!("execute_context_0(0)_generation_{requests}({requests})");
        events.push(span("user_annotation", name, at_ns, ns));
        at_ns += ns;
    }
    events.push(span("Trace", "PyTorch Profiler (0)".to_owned(), 0, at_ns));
    json!({"schemaVersion": 1, "traceEvents": events})
}

fn analyzed(paths: &[String], more: &[&str]) -> Value {
    let mut args = vec!["analyze", "--format", "json"];
    args.extend(paths.iter().map(String::as_str));
    let output = omni_trace(&[&args, more].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn write(dir: &Path, name: &str, trace: &Value) -> String {
    let path = dir.join(name);
    std::fs::write(&path, trace.to_string()).unwrap();
    path.to_str().unwrap().to_owned()
}

/// By bucket of each input: how many iterations, and how many are cut by the changepoint.
fn cuts(report: &Value, input: usize, requests: usize) -> (u64, u64) {
    let size = format!("{requests} requests");
    let is_it = |row: &&Value| {
        row["input"] == json!(input) && row["rule"] == "changepoint" && row["size"] == size.as_str()
    };
    let row = report["steady"].as_array().unwrap().iter().find(is_it).unwrap();
    let of = |key: &str| row[key].as_u64().unwrap();
    (of("iterations"), of("iterations") - of("kept"))
}

/// Traces, each with a bucket of every kind.
const N_TRACES: usize = 120;

#[test]
fn planted_warmups_are_cut_within_one_iteration() {
    let dir = tempfile::tempdir().unwrap();
    let (mut paths, mut planted) = (Vec::new(), Vec::new());
    for seed in 0..N_TRACES {
        let mut dice = Dice(seed as u64 + 1);
        let all: Vec<_> = KINDS.iter().map(|kind| series(&mut dice, kind)).collect();
        let lengths: Vec<Vec<i64>> = all.iter().map(|one| one.0.clone()).collect();
        let name = format!("{seed:03}.json");
        paths.push(write(dir.path(), &name, &trace(&mut dice, &lengths)));
        planted.push(all);
    }
    let mut right = [0; KINDS.len()];
    let mut wrong = Vec::new();
    for (some, planted) in paths.chunks(20).zip(planted.chunks(20)) {
        let report = analyzed(some, &["--table", "steady"]);
        for (input, all) in planted.iter().enumerate() {
            for (kind, (lengths, planted)) in all.iter().enumerate() {
                let (iterations, cut) = cuts(&report, input, 1 << kind);
                assert_eq!(iterations, lengths.len() as u64);
                let is_right = cut.abs_diff(*planted as u64) <= 1;
                right[kind] += usize::from(is_right);
                wrong.extend((!is_right).then_some((KINDS[kind], *planted, cut)));
            }
        }
    }
    println!("{right:?} of {N_TRACES} each; wrong: {wrong:?}");
    let n_planted: usize = right[..KINDS.len() - 1].iter().sum();
    let all = (KINDS.len() - 1) * N_TRACES;
    assert!(n_planted * 100 >= all * 99, "{n_planted} of {all}: {wrong:?}");
    assert!(right.iter().all(|n| n * 100 >= N_TRACES * 97), "{right:?}: {wrong:?}");
}

#[test]
fn totals_leave_nothing_out() {
    let dir = tempfile::tempdir().unwrap();
    let mut dice = Dice(7);
    let (lengths, planted) = series(&mut dice, "level");
    let path = [write(dir.path(), "one.json", &trace(&mut dice, std::slice::from_ref(&lengths)))];
    let (whole, steady) = (analyzed(&path, &[]), analyzed(&path, &["--steady"]));
    for table in ["totals", "threads", "key_averages", "inputs", "iterations"] {
        assert_eq!(whole[table], steady[table], "{table}");
        assert!(!whole[table].is_null(), "{table}");
    }
    let n = |report: &Value| report["iteration_summary"][0]["count"].as_u64().unwrap();
    assert_eq!(n(&whole), lengths.len() as u64);
    assert!((n(&whole) - n(&steady)).abs_diff(planted as u64) <= 1, "{}", n(&steady));
}
