//! Files of another kind beside traces and logs, as a shell's `*` names them: left out, said and noted; on their own an
//! error. And logs with odd bytes.

mod program;

use std::path::{Path, PathBuf};

use program::omni_trace;
use serde_json::Value;

/// A folder with two traces and what profilers and scripts leave beside them.
struct Folder {
    dir: tempfile::TempDir,
}

const OTHERS: [(&str, &str); 5] = [
    ("a.key_averages.json", "[{\"key\": \"aten::mm\", \"count\": 3}]"),
    ("nccl_events.json", "{\"rank\": 0, \"results\": [{\"op\": \"all_reduce\", \"ms\": [1.5]}]}"),
    ("profiler_out_0.txt", "-----  -----\n Name  Self CPU\n-----  -----\n"),
    ("run.log", "INFO 11-21 23:39:38 [x.py:1] Loading weights took 1.5 seconds\n"),
    ("stacks_cpu_rank0.txt", ""),
];

fn event(name: &str) -> String {
    format!(
        "{{\"ph\": \"X\", \"cat\": \"kernel\", \"name\": \"{name}\", \"pid\": 0, \"tid\": 7, \"ts\": 10.0, \
         \"dur\": 5.0, \"args\": {{\"device\": 0, \"stream\": 7}}}}"
    )
}

impl Folder {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder can be made");
        let folder = Self { dir };
        for (rank, kernel) in [(0, "gemm"), (1, "softmax")] {
            let trace = format!("{{\"traceEvents\": [{}]}}", event(kernel));
            folder.write(&format!("t_rank{rank}.json"), trace.as_bytes());
        }
        OTHERS.iter().for_each(|(name, text)| folder.write(name, text.as_bytes()));
        folder
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.path(name), bytes).expect("the temporary folder is writable");
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// What `folder/*` is to a shell.
    fn all(&self) -> Vec<String> {
        let entries = self.dir.path().read_dir().expect("the folder is readable");
        let mut paths: Vec<PathBuf> =
            entries.map(|entry| entry.expect("it is there").path()).collect();
        paths.sort();
        paths.iter().map(|path| text(path)).collect()
    }
}

fn text(path: &Path) -> String {
    path.to_str().expect("temporary paths are UTF-8").to_owned()
}

struct Run {
    code: i32,
    stdout: String,
    stderr: String,
}

fn run(command: &str, paths: &[String], more: &[&str]) -> Run {
    let paths = paths.iter().map(String::as_str);
    let args: Vec<&str> =
        std::iter::once(command).chain(paths).chain(more.iter().copied()).collect();
    let output = omni_trace(&args);
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("the program writes UTF-8");
    let code = output.status.code().expect("it was not killed");
    Run { code, stdout: text(output.stdout), stderr: text(output.stderr) }
}

fn json(run: &Run) -> Value {
    assert_eq!(run.code, 0, "{}", run.stderr);
    serde_json::from_str(&run.stdout).expect("the machine output is JSON")
}

/// The count and message of the issue that says what was left out.
fn left_out(report: &Value) -> (u64, String) {
    let issues = report["issues"].as_array().expect("there are issues");
    let issue = issues.iter().find(|issue| issue["kind"] == "left_out").expect("it is noted");
    assert_eq!((&issue["severity"], &issue["input"]), (&"notice".into(), &0.into()));
    let message = issue["message"].as_str().expect("it has a message").to_owned();
    (issue["count"].as_u64().expect("it is counted"), message)
}

#[test]
fn others_beside_traces_are_left_out_said_and_noted() {
    let folder = Folder::new();
    let traces = [0, 1].map(|rank| text(&folder.path(&format!("t_rank{rank}.json"))));
    for (command, same) in [("analyze", "kernels"), ("bandwidth", "directions")] {
        let mixed = run(command, &folder.all(), &["--format", "json"]);
        let report = json(&mixed);
        let alone = json(&run(command, &traces, &["--format", "json"]));
        assert_eq!(
            (&report[same], &report["inputs"]),
            (&alone[same], &alone["inputs"]),
            "{command}"
        );
        let (count, message) = left_out(&report);
        let n_said = mixed.stderr.matches("note: left out: ").count();
        assert_eq!((count, n_said), (5, 5), "{}", mixed.stderr);
        for (name, _) in OTHERS {
            assert!(message.contains(name), "{message}");
            let is_said = |line: &str| line.starts_with("note: left out: ") && line.contains(name);
            assert!(mixed.stderr.lines().any(is_said), "{}", mixed.stderr);
        }
        assert_eq!(run(command, &folder.all(), &["-q"]).stderr, "");
    }
}

#[test]
fn merge_and_report_leave_them_out_too() {
    let folder = Folder::new();
    let merged = folder.path("out/merged.json");
    std::fs::create_dir(folder.path("out")).expect("the temporary folder is writable");
    let traces_and_others: Vec<String> =
        folder.all().into_iter().filter(|path| !path.ends_with("out")).collect();
    let merge = run("merge", &traces_and_others, &["-o", &text(&merged), "--format", "json"]);
    assert_eq!(left_out(&json(&merge)).0, 5);
    let report = run("report", &traces_and_others, &["-o", &text(&folder.path("page"))]);
    assert_eq!(report.code, 0, "{}", report.stderr);
    let page = std::fs::read_to_string(folder.path("page/index.html")).expect("it was written");
    assert!(page.contains("left_out") && page.contains("nccl_events.json"));
}

#[test]
fn what_is_no_trace_stays_an_error_on_its_own_and_under_strict() {
    let folder = Folder::new();
    for (name, _) in OTHERS {
        let alone = run("analyze", &[text(&folder.path(name))], &[]);
        assert_eq!((alone.code, alone.stdout.as_str()), (2, ""), "{name}");
        assert!(alone.stderr.starts_with("error: ") && alone.stderr.contains(name));
        let slimmed = text(&folder.path("slim.json"));
        assert_eq!(run("slim", &[text(&folder.path(name))], &["-o", &slimmed]).code, 2, "{name}");
    }
    let none: Vec<String> = OTHERS.iter().map(|(name, _)| text(&folder.path(name))).collect();
    assert_eq!(run("analyze", &none, &[]).code, 2, "where nothing is a trace, it is an error");
    for command in ["analyze", "bandwidth"] {
        let strict = run(command, &folder.all(), &["--strict"]);
        assert_eq!(strict.code, 2);
        assert!(strict.stderr.contains("a.key_averages.json is JSON, but no trace"));
    }
}

#[test]
fn a_damaged_trace_is_no_other_kind() {
    let folder = Folder::new();
    folder.write(
        "cut_rank2.json",
        format!("{{\"traceEvents\": [{}, {{\"ph\": ", event("cut")).as_bytes(),
    );
    let report = json(&run("analyze", &folder.all(), &["--format", "json"]));
    assert_eq!(report["inputs"].as_array().map(Vec::len), Some(3));
    let kernels = report["kernels"].as_array().expect("there are kernels");
    assert!(kernels.iter().any(|kernel| kernel["name"] == "cut"));
    folder.write("gone.json.gz", &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0xff, 0xff]);
    assert_eq!(run("analyze", &folder.all(), &[]).code, 2, "damage is never left out");
}

#[test]
fn a_trace_among_logs_is_left_out_and_on_its_own_an_error() {
    let folder = Folder::new();
    let (log, trace) = (text(&folder.path("run.log")), text(&folder.path("t_rank0.json")));
    let alone = run("stages", std::slice::from_ref(&trace), &[]);
    assert_eq!(alone.code, 2);
    assert!(
        alone.stderr.contains("is a trace, not a log")
            && alone.stderr.contains("omni-trace analyze")
    );
    let as_trace = run("analyze", std::slice::from_ref(&log), &[]);
    assert!(as_trace.stderr.contains("omni-trace stages"), "{}", as_trace.stderr);
    let empty = text(&folder.path("stacks_cpu_rank0.txt"));
    let both = run("stages", &[log, trace, empty], &["--format", "json"]);
    let report = json(&both);
    assert_eq!(left_out(&report).0, 2);
    assert_eq!(report["startup"].as_array().map(Vec::len), Some(1));
}

#[test]
fn odd_bytes_in_logs_are_survived() {
    let folder = Folder::new();
    let line = "INFO 11-21 23:39:38 [x.py:1] Loading weights took 1.5 seconds";
    let long = "x".repeat(9 << 20);
    let mut bytes =
        format!("{line}\r\n{line}\r\n{long}\r\n\u{1b}[0;36m(A pid=3)\u{1b}[0;0m {line}\r\n")
            .into_bytes();
    bytes.extend(b"\0\0\xff\xfe caf\xe9 \0\n");
    bytes.extend(line.as_bytes());
    folder.write("odd.log", &bytes);
    let odd = run("stages", &[text(&folder.path("odd.log"))], &["--format", "json"]);
    let report = json(&odd);
    assert_eq!(report["startup"].as_array().map(Vec::len), Some(4));
    let kinds: Vec<&str> = report["issues"]
        .as_array()
        .expect("there are issues")
        .iter()
        .filter_map(|i| i["kind"].as_str())
        .collect();
    assert_eq!(kinds, ["invalid_utf8", "oversized_line", "unknown_line"]);
    assert_eq!(run("stages", &[text(&folder.path("odd.log"))], &["--strict"]).code, 2);
}
