//! `check`: verdicts and exit codes, repair, and losses that are carried from file to file.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod program;

use std::path::{Path, PathBuf};

use program::{omni_trace, root};
use serde_json::Value;

const CUT: &str = "fixtures/broken_truncated_gzip/trace.json.gz";
const QUOTES: &str = "fixtures/broken_unescaped_quotes/trace.json";
const SOUND: &str = "fixtures/nccl_two_ranks";

fn check(args: &[&str]) -> (Option<i32>, Value) {
    let mut all = vec!["check", "--format", "json"];
    all.extend(args);
    let output = omni_trace(&all);
    let report = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
    (output.status.code(), report)
}

fn verdicts(report: &Value) -> Vec<&str> {
    report["files"].as_array().unwrap().iter().map(|f| f["verdict"].as_str().unwrap()).collect()
}

#[test]
fn each_file_has_a_verdict() {
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("empty.json");
    std::fs::write(&empty, "{\"traceEvents\": ").unwrap();
    let (code, report) = check(&[CUT, QUOTES, "fixtures/compact_exporter/trace.json"]);
    assert_eq!((code, verdicts(&report)), (Some(0), vec!["salvaged", "repaired", "clean"]));
    assert_eq!(report["files"][2]["lost_at_least"], Value::Null);
    let (code, report) = check(&[empty.to_str().unwrap()]);
    assert_eq!((code, verdicts(&report)), (Some(1), vec!["unreadable"]));
    assert_eq!(check(&[CUT, "--strict"]).0, Some(2));
    assert_eq!(check(&["fixtures/no_such_file.json"]).0, Some(2));
}

#[test]
fn needs_that_are_not_met_end_with_1_and_are_named() {
    assert_eq!(check(&[SOUND, "--need", "kernels,collectives,clock,complete"]).0, Some(0));
    let output = omni_trace(&["check", SOUND, CUT, "--need", "kernels,complete"]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains(&format!("{CUT} has no kernels, no complete")), "{said}");
    assert!(!said.contains("nccl_two_ranks"), "{said}");
    let (_, report) = check(&[SOUND, "--need", "kernels"]);
    let asked = report["needs"].as_array().unwrap().iter().filter(|row| row["asked"] == true);
    assert!(asked.clone().all(|row| row["need"] == "kernels" && row["met"] == true));
    assert_eq!(asked.count(), report["files"].as_array().unwrap().len());
}

/// Events of a file, as a plain JSON reader sees them.
fn plain_events(path: &Path) -> usize {
    let value: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    value["traceEvents"].as_array().unwrap().len()
}

fn repaired(input: &str, folder: &Path) -> (PathBuf, Value) {
    let output = folder.join("repaired.json");
    let (code, report) = check(&[input, "--repair", output.to_str().unwrap()]);
    assert_eq!(code, Some(0), "{input}");
    (output, report)
}

#[test]
fn a_repaired_file_is_valid_and_holds_every_event_that_was_read() {
    let folder = tempfile::tempdir().unwrap();
    let mut inputs: Vec<PathBuf> = [CUT, QUOTES, "fixtures/broken_nan_and_u64/trace.json"]
        .map(|name| root().join(name))
        .to_vec();
    let shared = root().join("../shared/cases/broken");
    match shared.read_dir() {
        Ok(found) => inputs.extend(found.map(|one| one.unwrap().path()).filter(|path| {
            // Bombs are for the tests of memory.
            path.metadata().unwrap().len() < 4 << 20 && !path.to_string_lossy().contains("MB")
        })),
        Err(_) => println!("skipped: no shared cases beside the checkout"),
    }
    for input in inputs {
        let name = input.to_str().unwrap();
        let (output, before) = repaired(name, folder.path());
        let events = before["files"][0]["events"].as_u64().unwrap();
        // An event without a time has no place on a time line.
        let issues = before["issues"].as_array().unwrap();
        let untimed = issues.iter().find(|issue| issue["kind"] == "bad_timestamp");
        let untimed = untimed.map_or(0, |issue| issue["count"].as_u64().unwrap());
        let written = plain_events(&output) as u64;
        assert!(written + untimed + 9 >= events, "{name}: {written} of {events}");
        let (_, after) = check(&[output.to_str().unwrap()]);
        let is_salvaged = verdicts(&before) == ["salvaged"];
        let expected = if is_salvaged { "salvaged" } else { "clean" };
        assert_eq!(verdicts(&after), [expected], "{name}: {}", after["issues"]);
        for kind in ["kernel_time", "operator_time", "iterations"] {
            let found = |report: &Value| {
                let fit = report["fit"].as_array().unwrap().clone();
                fit.into_iter().find(|row| row["question"] == kind).unwrap()["count"].clone()
            };
            assert_eq!(found(&after), found(&before), "{name}: {kind}");
        }
    }
}

/// Sum of what was lost by kinds, and whether the file says that it ended early.
fn lost(path: &str) -> (u64, Vec<String>) {
    let (_, report) = check(&[path]);
    let losses = report["losses"].as_array().unwrap();
    let sum = losses.iter().map(|row| row["count"].as_u64().unwrap()).sum();
    (sum, losses.iter().map(|row| row["kind"].as_str().unwrap().to_owned()).collect())
}

#[test]
fn losses_are_carried_by_slim_and_merge_through_any_number_of_files() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (first, _) = lost(CUT);
    let steps: [(&[&str], &str); 6] = [
        (&["slim"], "slim.json.gz"),
        (&["slim"], "slim.pftrace"),
        (&["check", "--repair"], "again.json"),
        (&["merge", "fixtures/compact_exporter/trace.json"], "merged.json.gz"),
        (&["merge"], "merged_again.json"),
        (&["slim"], "merged_slim.pftrace"),
    ];
    let mut input = CUT.to_owned();
    for (command, output) in steps {
        let output = path(output);
        let is_check = command[0] == "check";
        let mut args = vec![command[0], input.as_str(), "-q"];
        args.extend(command[1..].iter().filter(|word| !word.starts_with("--")));
        args.extend([if is_check { "--repair" } else { "-o" }, output.as_str()]);
        let run = omni_trace(&args);
        assert_eq!(
            run.status.code(),
            Some(0),
            "{args:?}: {}",
            String::from_utf8_lossy(&run.stderr)
        );
        let (count, kinds) = lost(&output);
        assert_eq!(count, first, "{output}");
        assert!(kinds.iter().all(|kind| kind == "lost_before"), "{output}: {kinds:?}");
        let strict = omni_trace(&["analyze", &output, "--strict", "-q"]);
        assert_eq!(strict.status.code(), Some(2), "{output}");
        input = output;
    }
}

#[test]
fn damage_of_a_stream_says_about_how_many_events_it_hides() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let n_events = 60_000_u64;
    let event = |i| {
        let name = i * 7_919 % 1_009;
        format!(r#"{{"ph":"X","cat":"cpu_op","name":"op{name}","pid":1,"tid":1,"ts":{i},"dur":1}}"#)
    };
    let events: Vec<String> = (0..n_events).map(event).collect();
    std::fs::write(path("t.json"), format!("{{\"traceEvents\":[{}]}}", events.join(","))).unwrap();
    let packed = path("t.json.gz");
    assert!(omni_trace(&["slim", &path("t.json"), "-o", &packed, "-q"]).status.success());
    let sound = std::fs::read(&packed).unwrap();
    // Behind a flush a block begins, and there is no kind of block that ones stand for. Noise may decode to something, and then is the
    // damage of events.
    let flush = [0, 0, 0xff, 0xff];
    let flushes = sound.windows(flush.len()).enumerate().filter(|(_, bytes)| *bytes == flush);
    let begins: Vec<usize> = flushes.map(|(at, _)| at + flush.len()).collect();
    let mut bytes = sound.clone();
    bytes[begins[begins.len() / 2]..][..2_000].fill(0xff);
    std::fs::write(&packed, bytes).unwrap();
    let (_, report) = check(&[&packed]);
    let losses = report["losses"].as_array().unwrap();
    let stream = losses.iter().find(|row| row["kind"] == "corrupt_gzip").unwrap();
    let missing = n_events - report["files"][0]["events"].as_u64().unwrap();
    let (about, meaning) = (stream["about"].as_u64().unwrap(), stream["meaning"].to_string());
    assert!(meaning.contains("compressed bytes were passed over, about"), "{meaning}");
    assert!(missing > 0 && about * 2 > missing && about < missing * 2, "{about} for {missing}");
}
