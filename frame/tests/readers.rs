//! Readers of another make open what is written, and find the same sums: pyarrow, pandas and DuckDB the tables, a checker of
//! JSON schemas speedscope's file, the Firefox profiler's own command line what is for it. The Python is that of `make_venv.sh`; without it these tests say that they are skipped,
//! and fail under CI.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use common::shared::{cache, real_traces};
use common::{err, program, query, root};
use serde_json::Value;

/// The Python with readers.
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn python() -> Option<PathBuf> {
    let python = cache()?.join("omni-trace-readers/bin/python");
    if python.is_file() {
        return Some(python);
    }
    assert!(std::env::var_os("CI").is_none(), "under CI there must be {}", python.display());
    eprintln!("SKIPPED: there is no {}; frame/tests/make_venv.sh makes it", python.display());
    None
}

fn read(python: &Path, what: &str, path: &Path) -> Value {
    let script = root().join("frame/tests/readers.py");
    let output =
        Command::new(python).arg(script).arg(what).arg(path).output().expect("Python starts");
    assert!(output.status.success(), "{}: {}", path.display(), err(&output));
    serde_json::from_slice(&output.stdout).expect("the script writes JSON")
}

fn export(arguments: &[&str]) {
    let output = program(["export"].iter().chain(arguments)).output().expect("the program starts");
    assert!(output.status.success(), "{arguments:?}: {}", err(&output));
}

/// Exports an input and holds what the readers say against SQL.
fn hold(python: &Path, input: &Path) {
    let dir = tempfile::tempdir().unwrap();
    let (input, out) = (input.to_str().unwrap(), dir.path().to_str().unwrap());
    export(&[input, "-o", out, "--format", "parquet,arrow"]);
    let found = read(python, "tables", dir.path());
    let mut n_rows = 0;
    for (path, table) in found["tables"].as_object().unwrap() {
        let metadata = table["metadata"].as_object().unwrap();
        let name = metadata["omni_trace.table"].as_str().unwrap();
        assert_eq!(Path::new(path).file_name().unwrap(), name);
        let sums = table["sums"].as_object().unwrap();
        if name == "events" {
            n_rows += sums[""].as_i64().unwrap();
            let about: Value =
                serde_json::from_str(metadata["omni_trace.column.dur_ns"].as_str().unwrap())
                    .unwrap();
            assert_eq!((&about["unit"], &about["meaning"]), (&"ns".into(), &"duration".into()));
        }
        // A file is one of several where there are several ranks: then the sums of all are compared below.
        if found["partitions"].as_array().unwrap().len() < 2 {
            assert_eq!(sums_by_sql(input, name, sums), *sums, "{input} {name}");
        }
    }
    let events: i64 = query(&[input, "--format", "csv", "SELECT count(*) FROM events"])
        .lines()
        .nth(1)
        .unwrap()
        .parse()
        .unwrap();
    assert_eq!(n_rows, events, "{input}");
}

/// The same sums by SQL.
fn sums_by_sql(
    input: &str,
    table: &str,
    sums: &serde_json::Map<String, Value>,
) -> serde_json::Map<String, Value> {
    let described = query(&[input, "--format", "json", &format!("DESCRIBE {table}")]);
    let columns: Value = serde_json::from_str(&described).unwrap();
    let kind = |key: &str| {
        columns.as_array().unwrap().iter().find(|c| c["column"] == key).map(|c| c["kind"].clone())
    };
    let one = |key: &String| match kind(key) {
        None => "count(*) AS \"\"".to_owned(),
        Some(kind) if kind == "integer" => format!("coalesce(sum(\"{key}\"), 0) AS \"{key}\""),
        Some(_) => format!("count(\"{key}\") AS \"{key}\""),
    };
    let all: Vec<String> = sums.keys().map(one).collect();
    let sql = format!("SELECT {} FROM {table}", all.join(", "));
    let row: Value = serde_json::from_str(&query(&[input, "--format", "json", &sql])).unwrap();
    row[0].as_object().unwrap().clone()
}

#[test]
fn tables_of_fixtures_have_the_same_sums() {
    let Some(python) = python() else { return };
    for input in ["vllm_tp2_step", "h100_rust_light", "nccl_two_ranks", "pipeline", "odd_names"] {
        hold(&python, &root().join("fixtures").join(input));
    }
}

#[test]
fn tables_of_real_traces_have_the_same_sums() {
    let Some(python) = python() else { return };
    // One of each kind: the smaller half of the traces, of which every fourth is enough for the time that it takes.
    let mut traces = real_traces();
    traces.sort_by_key(|path| path.metadata().map_or(u64::MAX, |metadata| metadata.len()));
    traces.truncate(traces.len() / 2);
    for path in traces.iter().step_by(4) {
        hold(&python, path);
    }
}

#[test]
fn results_are_parquet_and_arrow_too() {
    let Some(python) = python() else { return };
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("stage=0/rank=0");
    std::fs::create_dir_all(&folder).unwrap();
    let sql = "SELECT name, dur_ns FROM events WHERE dur_ns > 1000";
    for ending in ["parquet", "arrow"] {
        let path = folder.join(format!("events.{ending}"));
        query(&["fixtures/vllm_tp2_step", "-o", path.to_str().unwrap(), sql]);
    }
    let found = read(&python, "tables", dir.path());
    let sums = &found["tables"]["stage=0/rank=0/events"]["sums"];
    let by_sql = query(&[
        "fixtures/vllm_tp2_step",
        "--format",
        "json",
        "SELECT count(*) AS n, sum(dur_ns) AS s FROM events WHERE dur_ns > 1000",
    ]);
    let by_sql: Value = serde_json::from_str(&by_sql).unwrap();
    assert_eq!((&sums[""], &sums["dur_ns"]), (&by_sql[0]["n"], &by_sql[0]["s"]));
}

#[test]
fn speedscope_files_are_what_its_schema_says() {
    let Some(python) = python() else { return };
    let dir = tempfile::tempdir().unwrap();
    stacks(dir.path(), "speedscope");
    let mut n_files = 0;
    for entry in dir.path().read_dir().unwrap() {
        let sums = read(&python, "speedscope", &entry.unwrap().path());
        assert!(sums["host self time"].as_i64() > Some(0), "{sums}");
        n_files += 1;
    }
    assert_eq!(n_files, 3);
}

/// The Firefox profiler finds in each thread the time of the folded stacks of the same question.
#[test]
fn firefox_files_are_read_by_its_profiler() {
    let Some(python) = python() else { return };
    let dir = tempfile::tempdir().unwrap();
    stacks(dir.path(), "firefox,folded");
    let questions = [
        ("host", "host self time"),
        ("waiting", "waiting"),
        ("device_by_python", "device time by Python stack"),
        ("device_by_module", "device time by module"),
    ];
    for input in ["stage0_rank0", "stage1_rank0", "stage2_rank0"] {
        let found = read(&python, "firefox", &dir.path().join(format!("{input}.firefox.json")));
        for (file, thread) in questions {
            let path = dir.path().join(format!("{input}.{file}.folded"));
            let sum = folded_sum(&std::fs::read_to_string(path).unwrap());
            assert_eq!(found[thread].as_u64(), Some(sum), "{input}: {thread}");
        }
    }
}

/// Writes stacks of a fixture with the analyzer's program.
fn stacks(folder: &Path, formats: &str) {
    let analyzer = Path::new(env!("CARGO_BIN_EXE_omni-trace-query")).with_file_name("omni-trace");
    assert!(analyzer.is_file(), "cargo build makes {}", analyzer.display());
    let output = Command::new(analyzer)
        .args(["export", "fixtures/pipeline", "--format", formats, "-o"])
        .arg(folder)
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", err(&output));
}

/// The time of folded stacks.
fn folded_sum(text: &str) -> u64 {
    text.lines().map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
}

/// Folded stacks as inferno draws them: what it counts in all is the sum of the file's nanoseconds.
#[test]
fn folded_stacks_are_drawn_by_inferno() {
    let dir = tempfile::tempdir().unwrap();
    stacks(dir.path(), "folded");
    let mut n_drawn = 0;
    for entry in dir.path().read_dir().unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let sum = folded_sum(&text);
        if sum == 0 {
            continue;
        }
        let mut options = inferno::flamegraph::Options::default();
        options.count_name = "ns".to_owned();
        let mut picture = Vec::new();
        inferno::flamegraph::from_lines(&mut options, text.lines(), &mut picture).unwrap();
        let picture = String::from_utf8(picture).unwrap();
        let all = picture.split("<title>all (").nth(1).and_then(|rest| rest.split(" ns").next());
        let counted: u64 = all.unwrap().replace(',', "").parse().unwrap();
        assert_eq!(counted, sum, "{}", path.display());
        n_drawn += 1;
    }
    assert!(n_drawn >= 6, "{n_drawn} files were drawn");
}
