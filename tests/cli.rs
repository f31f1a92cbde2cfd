//! The program from outside: bad inputs, exit codes, pipes, formats, and the machine output's contract.

mod program;

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use program::{omni_trace, root};
use serde_json::Value;

const PIPELINE: &str = "fixtures/pipeline";
const RUST_LIGHT: &str = "fixtures/h100_rust_light/cap_light.pt.trace.json.gz";

/// Exit code, standard output and standard error of a run.
fn run(args: &[&str]) -> (i32, String, String) {
    let output = omni_trace(args);
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("the program writes UTF-8");
    let code = output.status.code().expect("it was not killed");
    (code, text(output.stdout), text(output.stderr))
}

fn json_of(args: &[&str]) -> Value {
    let (code, stdout, stderr) = run(args);
    assert_eq!(code, 0, "{args:?}: {stderr}");
    serde_json::from_str(&stdout).expect("the machine output is JSON")
}

/// Runs on a file of this name and content.
fn run_on(name: &str, content: &[u8]) -> (i32, String, String) {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let path = folder.path().join(name);
    std::fs::write(&path, content).expect("the temporary folder is writable");
    run(&["analyze", path.to_str().expect("temporary paths are UTF-8")])
}

/// An error must be one lower-case line that names the input, followed by a hint.
fn assert_error((code, stdout, stderr): (i32, String, String), words: &[&str]) {
    assert_eq!(code, 2, "{stderr}");
    assert_eq!(stdout, "");
    let lines: Vec<&str> = stderr.lines().collect();
    assert_eq!(lines.len(), 2, "{stderr}");
    assert!(lines[0].starts_with("error: ") && !lines[0].ends_with('.'), "{stderr}");
    assert!(lines[1].starts_with("hint: "), "{stderr}");
    for word in words {
        assert!(lines[0].contains(word), "`{word}` is not in: {stderr}");
    }
}

#[test]
fn bad_inputs_are_told_apart() {
    assert_error(run(&["analyze", "no/such/file.json"]), &["no/such/file.json", "No such file"]);
    assert_error(run_on("empty.json", b""), &["empty.json", "empty"]);
    assert_error(run_on("notes.txt", b"hello, this is no trace\n"), &["notes.txt", "hello"]);
    assert_error(run_on("config.json", b"{\"model\": 1}"), &["config.json", "no trace"]);
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let path = folder.path().to_str().expect("temporary paths are UTF-8");
    assert_error(run(&["analyze", path]), &["no trace", path]);
    let mut gzip_head = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];
    assert_error(run_on("head.json.gz", &gzip_head), &["head.json.gz"]);
    gzip_head.extend([0xff; 64]);
    assert_error(run_on("noise.json.gz", &gzip_head), &["noise.json.gz"]);
}

#[test]
fn usage_errors_are_2_and_help_is_0() {
    assert_eq!(run(&[]).0, 2);
    assert_eq!(run(&["analyze", "x", "--format", "xml"]).0, 2);
    assert_eq!(run(&["analyze", "x", "--name", "("]).0, 2);
    assert_eq!(run(&["analyze", "x", "--window", "2s..1s"]).0, 2);
    assert_eq!(run(&["analyze", "x", "--threads", "0"]).0, 2);
    assert_eq!(run(&["--help"]).0, 0);
    let two = ["analyze", RUST_LIGHT, "--format", "csv", "--table", "kernels,inputs"];
    assert_error(run(&two), &["one table"]);
}

#[test]
fn the_help_text_is_as_recorded() {
    let path = root().join("tests/help.txt");
    let mut actual = String::new();
    let commands = ["analyze", "merge", "slim", "stages"];
    let of_command = commands.map(|command| vec![command, "--help"]);
    for args in std::iter::once(vec!["--help"]).chain(of_command) {
        let (_, stdout, _) = run(&args);
        actual.push_str(&format!("$ omni-trace {}\n{stdout}\n", args.join(" ")));
    }
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &actual).expect("the help text is writable");
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(actual, expected, "BLESS=1 accepts");
}

#[test]
fn data_loss_is_an_error_only_under_strict() {
    let broken = "fixtures/broken_truncated_gzip/trace.json.gz";
    let (code, stdout, _) = run(&["analyze", broken, "--full"]);
    assert_eq!(code, 0);
    assert!(stdout.contains("truncated_gzip"));
    let (code, stdout, stderr) = run(&["analyze", broken, "--strict", "--full"]);
    assert_eq!(code, 2);
    assert!(stdout.contains("truncated_gzip"), "the result is given all the same");
    assert!(stderr.starts_with("error: ") && stderr.contains("\nhint: "), "{stderr}");
    assert_eq!(run(&["analyze", RUST_LIGHT, "--strict"]).0, 0);
    let (code, _, stderr) = run(&["analyze", broken, "--table", "kernels"]);
    assert_eq!(code, 0);
    assert!(stderr.starts_with("warning: data of the input was lost"), "{stderr}");
    assert_eq!(run(&["analyze", broken, "--table", "kernels", "--quiet"]).2, "");
}

#[test]
fn a_closed_pipe_is_success() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_omni-trace"))
        .args(["analyze", PIPELINE, "--format", "json"])
        .current_dir(root())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program was built with this test");
    drop(child.stdout.take());
    let mut stderr = String::new();
    child.stderr.take().expect("it is piped").read_to_string(&mut stderr).expect("it is UTF-8");
    let status = child.wait().expect("the child was started");
    assert_eq!((status.code(), stderr.as_str()), (Some(0), ""));
}

#[test]
fn standard_input_is_an_input() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_omni-trace"))
        .args(["analyze", "-", "--format", "json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program was built with this test");
    let bytes = std::fs::read(root().join(RUST_LIGHT)).expect("the fixture is readable");
    let mut stdin = child.stdin.take().expect("it is piped");
    stdin.write_all(&bytes).expect("the program reads its input");
    drop(stdin);
    let output = child.wait_with_output().expect("the child was started");
    let piped: Value = serde_json::from_slice(&output.stdout).expect("the output is JSON");
    let named = json_of(&["analyze", RUST_LIGHT, "--format", "json"]);
    assert_eq!(piped["inputs"][0]["path"], "-");
    assert_eq!(piped["inputs"][0]["bytes"], Value::Null);
    assert_eq!(piped["kernels"], named["kernels"]);
    assert_eq!(piped["key_averages"], named["key_averages"]);
}

#[test]
fn an_output_file_appears_whole() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let path = folder.path().join("report.json");
    let name = path.to_str().expect("temporary paths are UTF-8");
    let (code, stdout, _) = run(&["analyze", RUST_LIGHT, "--format", "json", "-o", name]);
    assert_eq!((code, stdout.as_str()), (0, ""));
    let written = std::fs::read_to_string(&path).expect("the output was written");
    assert_eq!(written, run(&["analyze", RUST_LIGHT, "--format", "json"]).1);
    let left = std::fs::read_dir(folder.path()).expect("the folder is there").count();
    assert_eq!(left, 1, "a temporary file was left");
    assert_eq!(run(&["analyze", RUST_LIGHT, "-o", "/dev/null"]).0, 0);
    let null = std::fs::metadata("/dev/null").expect("there is a null device");
    assert!(!null.is_file(), "a device was replaced by a file");
    let nowhere = folder.path().join("no/such/folder/report.json");
    let (code, _, stderr) =
        run(&["analyze", RUST_LIGHT, "-o", nowhere.to_str().expect("temporary paths are UTF-8")]);
    assert_eq!(code, 2);
    assert!(stderr.contains("cannot write") && stderr.contains("report.json"), "{stderr}");
}

#[test]
fn a_pipe_gets_no_colours() {
    for format in ["text", "json", "csv", "md"] {
        let (_, stdout, stderr) = run(&["analyze", RUST_LIGHT, "--format", format]);
        assert!(!stdout.contains('\u{1b}'), "{format}");
        assert_eq!(stderr, "", "{format}");
    }
}

#[test]
fn names_are_whole_in_every_format() {
    let report = json_of(&["analyze", RUST_LIGHT, "--format", "json"]);
    let names: Vec<&str> = rows(&report, "kernels").iter().map(|k| text(k, "name")).collect();
    assert!(names.iter().any(|name| name.len() > 300), "the fixture has long names");
    let (_, stdout, _) = run(&["analyze", RUST_LIGHT, "--top", "1000", "--full-names"]);
    for name in &names {
        assert!(stdout.lines().any(|line| line.ends_with(name)), "{name}");
    }
    let (_, csv, _) = run(&["analyze", RUST_LIGHT, "--format", "csv", "--table", "kernels"]);
    let n_kernels = rows(&report, "kernels").iter().filter(|k| k["category"] == "kernel").count();
    assert_eq!(csv.matches("\r\n").count(), n_kernels + 1, "CSV has every row");
}

/// Parts of the window, cut where they meet, hold together what the whole holds.
#[test]
fn the_parts_of_a_window_sum_to_the_whole() {
    let stage = "fixtures/pipeline/stage_0_llm_1790000300_rank0.pt.trace.json.gz";
    let part = |window: &str| {
        let report = json_of(&["analyze", stage, "--format", "json", "--window", window]);
        let busy: i64 = rows(&report, "devices").iter().map(|d| int(d, "busy_ns")).sum();
        let kernels: i64 = rows(&report, "kernels").iter().map(|k| int(k, "sum_ns")).sum();
        let window = int(&report["inputs"][0], "window_ns");
        let waiting: i64 = rows(&report, "threads")
            .iter()
            .flat_map(|thread| rows(thread, "classes"))
            .filter(|class| class["class"] == "ipc_wait")
            .filter_map(|class| class["ns"].as_i64())
            .sum();
        let device = int(&report["totals"], "self_device_ns");
        [window, busy, kernels, waiting, device]
    };
    let whole = part("0ns..");
    let (first, second) = (part("..23.4567ms"), part("23.4567ms.."));
    assert_eq!(first[0], 23_456_700);
    for i in 0..whole.len() {
        assert_eq!(first[i] + second[i], whole[i], "figure {i}: {first:?} {second:?} {whole:?}");
        assert!(first[i] > 0 && second[i] > 0, "figure {i}: {first:?} {second:?}");
    }
}

// ---- the contract of --format json

fn rows<'a>(report: &'a Value, key: &str) -> &'a Vec<Value> {
    report[key].as_array().unwrap_or_else(|| panic!("`{key}` is a list"))
}

fn int(row: &Value, key: &str) -> i64 {
    row[key].as_i64().unwrap_or_else(|| panic!("`{key}` is an integer in {row}"))
}

fn text<'a>(row: &'a Value, key: &str) -> &'a str {
    row[key].as_str().unwrap_or_else(|| panic!("`{key}` is a string in {row}"))
}

fn assert_keys(row: &Value, keys: &[&str]) {
    let found: Vec<&str> =
        row.as_object().expect("a row is an object").keys().map(String::as_str).collect();
    let mut rest = found.iter();
    let is_there = keys.iter().all(|key| rest.any(|name| name == key));
    assert!(is_there, "the fields must hold {keys:?} in this order: {found:?}");
}

/// The fixtures that are read without an error.
fn readable_fixtures() -> Vec<String> {
    let mut paths = Vec::new();
    for case in std::fs::read_dir(root().join("fixtures")).expect("there are fixtures") {
        let case = case.expect("the fixtures are readable").path();
        let is_error = case.ends_with("not_a_trace") || !case.join("cmd").is_file();
        if !is_error {
            for file in std::fs::read_dir(&case).expect("the fixtures are readable") {
                let path = file.expect("the fixtures are readable").path();
                let name = path.to_string_lossy();
                if name.contains(".json") && !name.ends_with(".jsonl") {
                    paths.push(path.to_string_lossy().into_owned());
                }
            }
        }
    }
    paths.sort();
    assert!(paths.len() >= 12, "{paths:?}");
    paths
}

#[test]
fn the_machine_output_has_the_contract_s_fields_in_order() {
    let report = json_of(&["analyze", PIPELINE, "fixtures/vllm_tp2_step", "--format", "json"]);
    assert_keys(
        &report,
        &[
            "schema_version",
            "command",
            "inputs",
            "threads",
            "devices",
            "key_averages",
            "totals",
            "kernels",
            "waits",
            "issues",
            "trust",
            "excluded_classes",
            "excluded",
            "breakdown",
            "components",
            "idle_gaps",
            "iterations",
            "iteration_summary",
            "placements",
            "clocks",
            "blame",
            "stragglers",
        ],
    );
    assert_eq!((&report["schema_version"], &report["command"]), (&1.into(), &"analyze".into()));
    let contract: [(&str, &[&str]); 14] = [
        (
            "inputs",
            &[
                "path",
                "stage",
                "rank",
                "world_size",
                "pids",
                "bytes",
                "json_bytes",
                "events",
                "base_time_ns",
                "window_ns",
                "truncated",
            ],
        ),
        ("threads", &["input", "pid", "tid", "name", "kind", "window_ns", "classes"]),
        (
            "devices",
            &[
                "input",
                "device",
                "name",
                "window_ns",
                "busy_ns",
                "kernel_busy_ns",
                "kernel_sum_ns",
                "comm_busy_ns",
                "memcpy_busy_ns",
                "memset_busy_ns",
                "exposed_comm_ns",
                "exposed_copy_ns",
                "idle_ns",
                "idle_by_cause",
            ],
        ),
        (
            "key_averages",
            &[
                "name",
                "device_type",
                "is_annotation",
                "count",
                "self_cpu_ns",
                "cpu_total_ns",
                "self_device_ns",
                "device_total_ns",
            ],
        ),
        (
            "kernels",
            &["name", "category", "count", "sum_ns", "min_ns", "median_ns", "p99_ns", "max_ns"],
        ),
        ("waits", &["input", "class", "name", "count", "sum_ns", "max_ns"]),
        ("issues", &["severity", "kind", "count", "first_offset", "message"]),
        ("trust", &["input", "check", "severity", "count", "of", "effect_ns", "meaning"]),
        (
            "breakdown",
            &[
                "input",
                "scope",
                "n_threads",
                "tid",
                "execution_ns",
                "execution_pct",
                "waiting_ns",
                "waiting_pct",
                "unattributed_ns",
                "unattributed_pct",
                "total_ns",
                "excluded_ns",
            ],
        ),
        (
            "components",
            &[
                "name",
                "count",
                "total_ns",
                "launch_ns",
                "gpu_sync_ns",
                "ipc_wait_ns",
                "module_loading_ns",
                "other_wait_ns",
                "python_ns",
                "child_ops_ns",
                "own_ns",
                "max_ns",
                "excluded_ns",
                "profiler_ns",
            ],
        ),
        (
            "idle_gaps",
            &[
                "input",
                "device",
                "start_ns",
                "offset_ns",
                "dur_ns",
                "cause",
                "cause_pct",
                "before",
                "after",
            ],
        ),
        (
            "iterations",
            &[
                "input",
                "pid",
                "tid",
                "name",
                "scheme",
                "phase",
                "context_requests",
                "context_tokens",
            ],
        ),
        (
            "iteration_summary",
            &[
                "input", "scheme", "phase", "figure", "count", "sum_ns", "min_ns", "p50_ns",
                "p90_ns",
            ],
        ),
        ("blame", &["input", "wait_ns", "nobody_ns", "busy"]),
    ];
    for (key, fields) in contract {
        let rows = rows(&report, key);
        assert!(!rows.is_empty() || key == "issues", "{key}");
        rows.iter().for_each(|row| assert_keys(row, fields));
    }
    assert_keys(
        &report["totals"],
        &[
            "self_cpu_ns",
            "self_device_ns",
            "ipc_wait_ns",
            "excluded_ipc_wait_ns",
            "excluded_ns",
            "excluded_self_cpu_ns",
        ],
    );
}

#[test]
fn classes_and_causes_sum_to_their_whole() {
    let (mut n_threads, mut n_devices) = (0, 0);
    for path in readable_fixtures() {
        let report = json_of(&["analyze", &path, "--format", "json", "--quiet"]);
        for thread in rows(&report, "threads") {
            assert!(["work", "background", "idle"].contains(&text(thread, "kind")), "{thread}");
            let classes = rows(thread, "classes");
            let recorded = || classes.iter().filter(|class| !class["ns"].is_null());
            let sum: i64 = recorded().map(|class| int(class, "ns")).sum();
            assert_eq!(sum, int(thread, "window_ns"), "{path}: {thread}");
            assert!(recorded().all(|class| int(class, "ns") >= 0), "{path}: {thread}");
            n_threads += 1;
        }
        for device in rows(&report, "devices") {
            assert_eq!(int(device, "busy_ns") + int(device, "idle_ns"), int(device, "window_ns"));
            assert!(int(device, "kernel_busy_ns") <= int(device, "kernel_sum_ns"));
            let causes = rows(device, "idle_by_cause");
            let recorded = causes.iter().filter(|cause| !cause["ns"].is_null());
            let sum: i64 = recorded.map(|cause| int(cause, "ns")).sum();
            assert_eq!(sum, int(device, "idle_ns"), "{path}: {device}");
            n_devices += 1;
        }
    }
    assert!(n_threads >= 10 && n_devices >= 5, "{n_threads} threads, {n_devices} devices");
}

#[test]
fn kernels_equal_a_plain_reading_of_the_json() {
    for path in readable_fixtures() {
        let bytes = std::fs::read(&path).expect("the fixture is readable");
        let Some(events) = plain_events(Path::new(&path), &bytes) else { continue };
        let report = json_of(&["analyze", &path, "--format", "json", "--quiet"]);
        let mut expected = std::collections::BTreeMap::<(&str, &str), (i64, i64)>::new();
        for event in events.iter().filter(|event| event["ph"] == "X") {
            let category = match event["cat"].as_str().unwrap_or_default() {
                "kernel" | "Kernel" => "kernel",
                "gpu_memcpy" | "Memcpy" => "gpu_memcpy",
                "gpu_memset" | "Memset" => "gpu_memset",
                _ => continue,
            };
            let dur_us = event["dur"].as_f64().expect("durations of the fixtures are numbers");
            let sums = expected.entry((category, text(event, "name"))).or_default();
            *sums = (sums.0 + 1, sums.1 + (dur_us * 1000.0).round() as i64);
        }
        let found: std::collections::BTreeMap<_, _> = rows(&report, "kernels")
            .iter()
            .map(|k| ((text(k, "category"), text(k, "name")), (int(k, "count"), int(k, "sum_ns"))))
            .collect();
        assert_eq!(found, expected, "{path}");
    }
}

/// The events as `serde_json` reads them; `None` for a file that is not valid JSON.
fn plain_events(path: &Path, bytes: &[u8]) -> Option<Vec<Value>> {
    let mut json = Vec::new();
    if path.extension().is_some_and(|e| e == "gz") {
        flate2::read::GzDecoder::new(bytes).read_to_end(&mut json).ok()?;
    } else {
        json.extend_from_slice(bytes);
    }
    match serde_json::from_slice(&json).ok()? {
        Value::Array(events) => Some(events),
        Value::Object(mut object) => object.remove("traceEvents")?.as_array().cloned(),
        _ => None,
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_is_said_with_what_to_do() {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("Linux has one");
    let output = Command::new(env!("CARGO_BIN_EXE_omni-trace"))
        .args(["analyze", RUST_LIGHT])
        .current_dir(root())
        .stdout(full)
        .output()
        .expect("the program was built with this test");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    let begins = "error: cannot write to standard output: No space left on device";
    assert!(stderr.contains(begins) && stderr.contains("\nhint: free some space"), "{stderr}");
}
