//! `analyze --partial` and `reduce`: what comes of partial results is what comes of their files, byte for byte where nothing
//! was rounded; damage, other versions and other questions are told, and nothing missing is passed over.

mod common;
mod program;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::Value;

use common::shared_traces;
use program::omni_trace;

fn text(path: &Path) -> &str {
    path.to_str().expect("paths of tests are text")
}

/// What a run printed, which must have gone well.
fn printed(output: Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{errors}");
    String::from_utf8(output.stdout).expect("output is text")
}

/// What was said of a run that failed.
fn refused(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(2));
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The partial result of some files.
fn partial(folder: &Path, name: &str, files: &[&Path], more: &[&str]) -> PathBuf {
    let out = folder.join(name);
    let mut args = vec!["analyze"];
    args.extend(files.iter().map(|file| text(file)));
    args.extend(["--partial", text(&out), "-q"]);
    args.extend(more);
    assert_eq!(printed(omni_trace(&args)), "");
    out
}

fn reduced(partials: &[PathBuf], more: &[&str]) -> Output {
    let mut args = vec!["reduce", "-q"];
    args.extend(partials.iter().map(|path| text(path)));
    args.extend(more);
    omni_trace(&args)
}

fn analyzed(files: &[&Path], more: &[&str]) -> String {
    let mut args = vec!["analyze", "-q"];
    args.extend(files.iter().map(|file| text(file)));
    args.extend(more);
    printed(omni_trace(&args))
}

/// One exact partial result for each file, reduced, is what all files give at once, in every format.
fn holds(files: &[&Path], options: &[&str]) {
    let folder = tempfile::tempdir().expect("there is room for a few files");
    let exact = [options, &["--exact"]].concat();
    let one = |(i, file): (usize, &&Path)| {
        partial(folder.path(), &format!("{i:03}.otp"), &[file], &exact)
    };
    let partials: Vec<PathBuf> = files.iter().enumerate().map(one).collect();
    for format in [&["--format", "json"][..], &["--format", "md"], &["--table", "kernels"]] {
        let whole = analyzed(files, &[options, format].concat());
        let again = printed(reduced(&partials, format));
        assert!(
            whole == again,
            "{files:?} {options:?} {format:?}: {}",
            first_difference(&whole, &again)
        );
    }
}

fn first_difference(a: &str, b: &str) -> String {
    let lines = a.lines().zip(b.lines()).find(|(a, b)| a != b);
    lines.map_or_else(
        || "one is longer".to_owned(),
        |(a, b)| {
            let at =
                a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count().saturating_sub(80);
            let part = |text: &str| text.chars().skip(at).take(240).collect::<String>();
            format!("\n{}\n{}", part(a), part(b))
        },
    )
}

fn ranks() -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(program::root().join("fixtures/nccl_two_ranks"))
        .expect("the fixture is there")
        .map(|entry| entry.expect("the fixture is there").path())
        .filter(|path| text(path).contains(".json"))
        .collect();
    found.sort();
    assert_eq!(found.len(), 2, "{found:?}");
    found
}

fn as_paths(paths: &[PathBuf]) -> Vec<&Path> {
    paths.iter().map(PathBuf::as_path).collect()
}

#[test]
fn fixtures_are_the_same_by_either_way() {
    holds(&as_paths(&ranks()), &[]);
}

#[test]
fn what_was_asked_is_asked_of_both() {
    let files = ranks();
    let files = as_paths(&files);
    holds(&files, &["--exclude-ipc-wait"]);
    holds(&files, &["--window", "1ms..20ms", "--group-by-input-shape"]);
}

#[test]
fn what_was_asked_is_still_known_of_many_in_one() {
    let files = ranks();
    let folder = tempfile::tempdir().expect("there is room for a few files");
    let in_window = ["--exact", "--window", "1ms..20ms"];
    let [a, b] =
        [0, 1].map(|i| partial(folder.path(), &format!("{i}.otp"), &[&files[i]], &in_window));
    let all = folder.path().join("all.otp");
    assert_eq!(printed(reduced(&[a.clone(), b.clone()], &["--partial", text(&all)])), "");
    let json = ["--format", "json"];
    assert_eq!(
        printed(reduced(std::slice::from_ref(&all), &json)),
        printed(reduced(&[a, b], &json))
    );
    let whole = partial(folder.path(), "whole.otp", &[&files[0]], &["--exact"]);
    let said = refused(&reduced(&[all, whole], &json));
    assert!(said.contains("different options: --window"), "{said}");
}

#[test]
fn real_sets_are_the_same_by_either_way() {
    let Some(root) = shared_traces() else { return };
    let sets: [(&str, &str); 6] = [
        ("own/h100/py_pipe_tp2", "llm"),
        ("own/h100/py_nccl_x2", "rank"),
        ("own/vllm/v012_tp2_env", "rank"),
        ("own/vllm/v030_serve_prof", "trace.json.gz"),
        ("own/h200_pairs", "rank"),
        ("own/h100/py_pipe_stack_spin", "rank"),
    ];
    for (folder, part) in sets {
        let mut files: Vec<PathBuf> = fs::read_dir(root.join(folder))
            .expect("the set is there")
            .map(|entry| entry.expect("the set is there").path())
            .filter(|path| {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                name.contains(part)
                    && (name.ends_with(".json") || name.ends_with(".json.gz"))
                    && !name.contains("key_averages")
                    && !name.contains("nccl_events")
            })
            .collect();
        files.sort();
        assert!(files.len() > 1, "{folder} has {files:?}");
        holds(&as_paths(&files), &[]);
    }
    let far = ["public/a100_rank0_of_128", "public/a100_rank1_of_128"].map(|folder| {
        let mut inside = fs::read_dir(root.join(folder)).expect("the set is there");
        inside.find_map(|one| Some(one.ok()?.path()).filter(|p| text(p).contains(".json")))
    });
    let far: Vec<PathBuf> = far.into_iter().flatten().collect();
    holds(&as_paths(&far), &[]);
}

#[test]
fn partials_of_several_inputs_are_numbered_in_order() {
    let folder = tempfile::tempdir().expect("there is room for a few files");
    let files = ranks();
    let mut all = as_paths(&files);
    let light = program::root().join("fixtures/h100_rust_light");
    let mut inside = fs::read_dir(light).expect("the fixture is there");
    let more = inside.find_map(|one| Some(one.ok()?.path()).filter(|p| text(p).contains(".json")));
    let more = more.expect("the fixture is there");
    all.push(&more);
    let two = partial(folder.path(), "two.otp", &all[..2], &["--exact"]);
    let one = partial(folder.path(), "one.otp", &all[2..], &["--exact"]);
    let json = ["--format", "json"];
    assert_eq!(printed(reduced(&[two, one], &json)), analyzed(&all, &json));
}

#[test]
fn a_folder_of_partials_is_read_by_name() {
    let folder = tempfile::tempdir().expect("there is room for a few files");
    let files = ranks();
    for (i, file) in files.iter().enumerate() {
        partial(folder.path(), &format!("{i}.otp"), &[file], &["--exact"]);
    }
    fs::write(folder.path().join("notes.txt"), "none").expect("there is room for a few files");
    let json = ["--format", "json"];
    let whole = analyzed(&as_paths(&files), &json);
    assert_eq!(printed(reduced(&[folder.path().to_owned()], &json)), whole);
    let empty = folder.path().join("empty");
    fs::create_dir(&empty).expect("there is room for a few files");
    assert!(refused(&reduced(&[empty], &[])).contains("no partial result found"));
}

#[test]
fn what_cannot_be_used_is_told_and_never_passed_over() {
    let folder = tempfile::tempdir().expect("there is room for a few files");
    let files = ranks();
    let good = partial(folder.path(), "good.otp", &[&files[0]], &[]);
    let bytes = fs::read(&good).expect("it was just written");
    let bad = folder.path().join("bad.otp");
    let mut flipped = bytes.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 0x40;
    let mut newer = bytes.clone();
    newer[8] = 9;
    let longer = [bytes.as_slice(), b"x"].concat();
    let cases: [(&[u8], &str); 6] = [
        (&flipped, "damaged: its checksum is another one"),
        (&bytes[..bytes.len() - 5], "it ends after"),
        (&bytes[..10], "it ends after 10 of 24 bytes"),
        (&newer, "has format 9, and this program reads format 2"),
        (b"{\"traceEvents\":[]}", "it is no partial result"),
        (&longer, "bytes follow its end"),
    ];
    for (bytes, words) in cases {
        fs::write(&bad, bytes).expect("there is room for a few files");
        let said = refused(&reduced(&[good.clone(), bad.clone()], &[]));
        assert!(said.contains(words) && said.contains("hint: "), "{said}");
        let all = [good.clone(), bad.clone()];
        let report = printed(reduced(&all, &["--skip-unreadable", "--format", "json"]));
        let report: Value = serde_json::from_str(&report).expect("it is JSON");
        let issues = report["issues"].as_array().expect("issues are a list");
        let missing = issues.iter().find(|issue| issue["kind"] == "missing_input");
        let message = missing.expect("what is missing is an issue")["message"].to_string();
        assert!(message.contains("bad.otp"), "{message}");
        let strict = reduced(&all, &["--skip-unreadable", "--strict", "--format", "json"]);
        assert_eq!(strict.status.code(), Some(2));
    }
    let said = refused(&reduced(std::slice::from_ref(&bad), &["--skip-unreadable"]));
    assert!(said.contains("no partial result can be read"), "{said}");
}

/// Every byte of a partial result changed on its own is noticed.
#[test]
fn no_damage_is_taken_for_an_answer() {
    let folder = tempfile::tempdir().expect("there is room for a few files");
    let good = partial(folder.path(), "good.otp", &[&ranks()[0]], &[]);
    let bytes = fs::read(&good).expect("it was just written");
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1 << (at % 8);
        let read = omni_trace::ask::partial::read_partial(&damaged, 0);
        assert!(read.is_err(), "byte {at}");
    }
    assert!(omni_trace::ask::partial::read_partial(&bytes, 0).is_ok());
}

#[test]
fn different_questions_are_not_added_up() {
    let folder = tempfile::tempdir().expect("there is room for a few files");
    let files = ranks();
    let plain = partial(folder.path(), "0.otp", &[&files[0]], &[]);
    let without = partial(folder.path(), "1.otp", &[&files[1]], &["--exclude", "gpu_sync"]);
    let said = refused(&reduced(&[plain, without], &[]));
    assert!(said.contains("different options: --exclude"), "{said}");
}

#[test]
fn missing_ranks_are_named() {
    let folder = tempfile::tempdir().expect("there is room for a few files");
    let one = partial(folder.path(), "0.otp", &[&ranks()[0]], &[]);
    let output = omni_trace(&["reduce", text(&one)]);
    assert!(output.status.success());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("warning: rank 1 of 2 is missing"), "{said}");
}

/// A trace of many kernels whose durations all differ.
fn many_kernels(seed: u64) -> String {
    let mut random = seed;
    let mut out = String::from("{\"traceEvents\":[");
    let mut ts_ns = 1_000_000_000_u64;
    for i in 0..400_000_u64 {
        random =
            random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let dur_ns = 1_000 + (random >> 33) % 4_000_000;
        let comma = if i == 0 { "" } else { "," };
        out += &format!(
            "{comma}\n{{\"ph\":\"X\",\"cat\":\"kernel\",\"name\":\"k{}\",\"pid\":0,\"tid\":7,\"ts\":{}.{:03},\"dur\":{}.{:03},\"args\":{{\"device\":0,\"stream\":7}}}}",
            i % 3,
            ts_ns / 1000,
            ts_ns % 1000,
            dur_ns / 1000,
            dur_ns % 1000
        );
        ts_ns += dur_ns + 500;
    }
    out + "]}"
}

#[test]
fn rounded_results_keep_counts_and_sums_and_are_within_a_percent() {
    let folder = tempfile::tempdir().expect("there is room for a few files");
    let files: Vec<PathBuf> = (0..2).map(|i| folder.path().join(format!("{i}.json"))).collect();
    for (seed, file) in (7..).zip(&files) {
        fs::write(file, many_kernels(seed)).expect("there is room for a few files");
    }
    let of =
        |(i, file): (usize, &PathBuf)| partial(folder.path(), &format!("{i}.otp"), &[file], &[]);
    let partials: Vec<PathBuf> = files.iter().enumerate().map(of).collect();
    let json = ["--format", "json"];
    let parse = |text: String| serde_json::from_str::<Value>(&text).expect("it is JSON");
    let mut about = parse(printed(reduced(&partials, &json)));
    let mut exact = parse(analyzed(&as_paths(&files), &json));
    let issues = about["issues"].as_array_mut().expect("issues are a list");
    let n_before = issues.len();
    issues.retain(|issue| issue["kind"] != "sketched");
    assert_eq!(n_before - issues.len(), 2, "both inputs were rounded, which is said");
    let mut differ = 0;
    for (a, b) in rows(&mut about).iter_mut().zip(rows(&mut exact)) {
        for key in ["median_ns", "p99_ns"] {
            let ns = [&*a, &*b].map(|row| row[key].as_i64().expect("it is a time"));
            assert!((ns[0] - ns[1]).abs() * 100 <= ns[1], "{key}: {ns:?}");
            differ += usize::from(ns[0] != ns[1]);
            a[key] = b[key].clone();
        }
    }
    assert!(differ > 0, "nothing was rounded");
    assert!(about == exact, "all else is equal");
}

fn rows(report: &mut Value) -> &mut Vec<Value> {
    report["kernels"].as_array_mut().expect("kernels are a list")
}
