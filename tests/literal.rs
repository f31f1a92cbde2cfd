//! Commands as they are typed first: without a path, without a name for the output, without a command.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod program;

use std::path::Path;
use std::process::{Command, Stdio};

use program::{omni_trace, root};

/// A folder with the files of a fixture.
fn copy_of(case: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for file in root().join("fixtures").join(case).read_dir().unwrap() {
        let path = file.unwrap().path();
        if !["cmd", "expect.txt", "README.md"].iter().any(|name| path.ends_with(name)) {
            std::fs::copy(&path, dir.path().join(path.file_name().unwrap())).unwrap();
        }
    }
    dir
}

fn run(line: &str, at: &Path) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_omni-trace"))
        .args(line.split_whitespace())
        .current_dir(at)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

fn printed(line: &str, at: &Path) -> String {
    let (code, stdout, stderr) = run(line, at);
    assert_eq!(code, Some(0), "{line}: {stderr}");
    assert!(!stdout.is_empty(), "{line}");
    stdout
}

#[test]
fn commands_take_this_directory() {
    let dir = copy_of("joined");
    for command in ["analyze --format json", "bandwidth --format json", "stages --format json"] {
        let named = printed(&format!("{command} ."), dir.path());
        assert_eq!(printed(command, dir.path()), named.replace("\"./", "\""), "{command}");
    }
    assert_eq!(
        printed("--format json .", dir.path()),
        printed("analyze . --format json", dir.path())
    );
    assert_eq!(printed(".", dir.path()), printed("analyze .", dir.path()));
    let file = "stage_0_llm_1795500000_rank0.pt.trace.json.gz";
    assert_eq!(printed(file, dir.path()), printed(&format!("analyze {file}"), dir.path()));
}

#[test]
fn outputs_have_a_name_of_their_own_and_replace_nothing() {
    let dir = copy_of("joined");
    let analyzed = printed("analyze --no-logs --format json", dir.path());
    let stem = "stage_1_llm_1795500000_rank0.pt.trace";
    for (line, made) in [
        ("merge", "merged.json.gz".to_owned()),
        ("slim", format!("{stem}.slim.json.gz")),
        ("report", "omni-trace-report/index.html".to_owned()),
    ] {
        let (code, _, stderr) = run(line, dir.path());
        assert_eq!(code, Some(0), "{line}: {stderr}");
        assert!(stderr.contains(&made), "{line} says where: {stderr}");
        let first = std::fs::read(dir.path().join(&made)).unwrap();
        std::fs::write(dir.path().join(&made), "mine").unwrap();
        let (code, stdout, stderr) = run(line, dir.path());
        assert_eq!((code, stdout.as_str()), (Some(2), ""), "{line}");
        assert!(stderr.contains("is there already") && stderr.contains("--force"), "{stderr}");
        assert_eq!(std::fs::read(dir.path().join(&made)).unwrap(), b"mine");
        assert_eq!(run(&format!("{line} --force"), dir.path()).0, Some(0), "{line}");
        let again = std::fs::read(dir.path().join(&made)).unwrap();
        assert_eq!(again.len() > 100, first.len() > 100);
    }
    // Nor is a merged one where its inputs have names of no profiler.
    let plain = tempfile::tempdir().unwrap();
    for (i, name) in ["a.json.gz", "b.json.gz"].into_iter().enumerate() {
        let kinds = ["stage_0_llm_1795500000_rank0", "stage_1_llm_1795500000_rank0"];
        let source = dir.path().join(format!("{}.pt.trace.json.gz", kinds[i]));
        std::fs::copy(source, plain.path().join(name)).unwrap();
    }
    let alone = printed("analyze --format json", plain.path());
    assert_eq!(run("merge", plain.path()).0, Some(0));
    assert_eq!(printed("analyze --format json", plain.path()), alone);
    // What was made is no input of its own.
    assert_eq!(printed("analyze --no-logs --format json", dir.path()), analyzed);
}

#[test]
fn logs_beside_traces_are_joined_and_said() {
    let (by_default, logs) = ("fixtures/joined", "fixtures/joined");
    let json = |args: &[&str]| -> serde_json::Value {
        serde_json::from_slice(&omni_trace(args).stdout).unwrap()
    };
    let joined = json(&["analyze", by_default, "--format", "json"]);
    assert!(!joined["joined_requests"].as_array().unwrap().is_empty());
    assert_eq!(joined, json(&["analyze", by_default, "--format", "json", "--logs", logs]));
    let said = String::from_utf8(omni_trace(&["analyze", by_default]).stderr).unwrap();
    assert!(said.contains("omni_llm_pipeline.log") && said.contains("--no-logs"), "{said}");
    let without = json(&["analyze", by_default, "--format", "json", "--no-logs"]);
    assert!(without["joined_requests"].as_array().unwrap().is_empty());
    let file = "fixtures/joined/stage_0_llm_1795500000_rank0.pt.trace.json.gz";
    assert_eq!(omni_trace(&["analyze", file]).stderr, b"", "a file brings no log with it");
}

#[test]
fn help_is_short_and_help_of_a_command_is_whole() {
    let text = |args: &[&str]| String::from_utf8(omni_trace(args).stdout).unwrap();
    for command in ["analyze", "merge", "slim", "bandwidth", "stages", "report"] {
        let (short, long) = (text(&[command, "--help"]), text(&["help", command]));
        assert!(short.lines().count() <= 44, "{command}: {short}");
        assert!(long.lines().count() > short.lines().count(), "{command}");
        assert!(
            short.contains("Examples:\n") && short.contains(&format!("omni-trace help {command}"))
        );
    }
    assert!(text(&["help", "words"]).contains("lead thread"));
    assert!(text(&["help", "capture"]).contains("--server"));
    assert!(text(&["analyze", "--version"]).contains(env!("CARGO_PKG_VERSION")));
}

#[test]
fn torch_s_words_sort_the_profiler_table() {
    let of = |sort: &str| {
        let args = ["analyze", "fixtures/pipeline", "--table", "key_averages", "--sort", sort];
        let output = omni_trace(&args);
        assert!(output.status.success(), "{sort}");
        output.stdout
    };
    for (torch, own) in [
        ("self_cuda_time_total", "self-device"),
        ("self_device_time_total", "self-device"),
        ("cuda_time_total", "device-total"),
        ("self_cpu_time_total", "self-cpu"),
        ("cpu_time_total", "cpu-total"),
    ] {
        assert_eq!(of(torch), of(own), "{torch}");
    }
}
