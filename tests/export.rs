//! `export` of stacks and torch's tables: sums against the accounts of `analyze` and a plain reading, and the formats by what
//! their readers need. Parquet, Arrow and speedscope's schema are tested in `frame/`.

mod common;
mod program;

use std::collections::BTreeMap;
use std::path::Path;

use common::real_traces;
use omni_trace::analyze::base::{TimeBase, TimeConfig};
use omni_trace::analyze::stacks::{Stacks, stacks};
use omni_trace::store::Store;
use omni_trace::{Question, Traces};
use program::{omni_trace, root};
use serde_json::Value;

/// Exports an input into a folder.
fn export(input: &str, format: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("there is room for files");
    let folder = dir.path().to_str().expect("a plain name");
    let output = omni_trace(&["export", input, "--format", format, "-o", folder]);
    assert!(output.status.success(), "{input}: {}", String::from_utf8_lossy(&output.stderr));
    dir
}

fn text(dir: &Path, name: &str) -> String {
    std::fs::read_to_string(dir.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The stacks of a text, with their time.
fn folded(text: &str) -> BTreeMap<&str, i64> {
    let line = |line: &'_ str| -> (usize, i64) {
        let (stack, ns) = line.rsplit_once(' ').expect("a stack, a space, a number");
        (stack.len(), ns.parse().expect("a whole number"))
    };
    text.lines().map(|one| (&one[..line(one).0], line(one).1)).collect()
}

/// Time in which anything was open on the host threads, second by second: the union of their events.
fn open_ns(store: &Store, base: &TimeBase) -> i64 {
    let of_thread = |track: usize| -> i64 {
        let slices =
            store.tracks[track].slices.clone().filter(|&slice| !store.kind(slice).is_on_device());
        let mut spans: Vec<(i64, i64)> = slices
            .filter(|&slice| store.has_time(slice))
            .map(|slice| (store.slices.ts_ns[slice], store.slices.end_ns(slice)))
            .filter(|(start, end)| end - start < i64::MAX / 4)
            .collect();
        spans.sort_unstable();
        let (mut sum, mut until) = (0, i64::MIN);
        for (start, end) in spans {
            sum += (end - start.max(until)).max(0);
            until = until.max(end);
        }
        sum
    };
    base.threads.iter().map(|thread| of_thread(thread.track)).sum()
}

/// Holds the sums of all stacks of a trace against the accounts of `analyze`.
fn hold(path: &Path) {
    let Ok(traces) = Traces::read([path]) else { return };
    let report = traces.analyze(&Question::default());
    let (mut host, mut open, mut waiting, mut device) = (0, 0, 0, 0);
    for input in traces.inputs() {
        let base = TimeBase::new(&input.store, &TimeConfig::default());
        let Stacks { nodes, .. } = stacks(&input.store, &base);
        host += nodes.iter().map(|node| node.host_ns).sum::<i64>();
        waiting += nodes.iter().map(|node| node.waiting_ns).sum::<i64>();
        device += nodes.iter().map(|node| node.device_ns).sum::<i64>();
        open += open_ns(&input.store, &base);
        assert!(
            nodes
                .iter()
                .enumerate()
                .all(|(i, node)| node.parent.is_none_or(|parent| (parent as usize) < i))
        );
    }
    assert_eq!(host, open, "{}: host time", path.display());
    assert_eq!(
        device,
        report.kernels.iter().map(|row| row.sum_ns).sum::<i64>(),
        "{}: device time",
        path.display()
    );
    assert_eq!(
        waiting,
        report.waits.iter().map(|row| row.net_ns).sum::<i64>(),
        "{}: waiting",
        path.display()
    );
}

#[test]
fn stacks_sum_to_the_accounts_on_every_real_trace() {
    real_traces().iter().for_each(|path| hold(path));
}

#[test]
fn stacks_sum_to_the_accounts_on_fixtures() {
    for case in [
        "pipeline",
        "vllm_tp2_step",
        "h100_rust_light",
        "nccl_two_ranks",
        "empty_trace",
        "odd_names",
        "perfetto_foreign",
    ] {
        hold(&root().join("fixtures").join(case));
    }
}

#[test]
fn stacks_stand_as_they_were_nested() {
    let dir = tempfile::tempdir().expect("there is room for a file");
    let path = dir.path().join("t.json");
    let event = |cat: &str, name: &str, tid: u32, ts: f64, dur: f64, args: Value| serde_json::json!({"ph": "X", "cat": cat, "name": name, "pid": 1, "tid": tid, "ts": ts, "dur": dur, "args": args});
    let none = || serde_json::json!({});
    let correlation = || serde_json::json!({"correlation": 7, "device": 0, "stream": 3});
    let events = [
        event("python_function", "nn.Module: MLP_0", 1, 0.0, 100.0, none()),
        event("python_function", "mlp.py(3): forward; odd", 1, 10.0, 60.0, none()),
        event("cpu_op", "aten::mm", 1, 20.0, 30.0, none()),
        event("cuda_runtime", "cudaLaunchKernel", 1, 25.0, 5.0, correlation()),
        event("kernel", "gemm", 3, 40.0, 9.0, correlation()),
    ];
    std::fs::write(&path, serde_json::json!({ "traceEvents": events }).to_string())
        .expect("the file can be written");
    let out = export(path.to_str().expect("a plain name"), "folded");
    let host = text(out.path(), "input0.host.folded");
    let module = "pid 1, tid 1;nn.Module: MLP_0";
    let frame = format!("{module};mlp.py(3): forward, odd");
    let expected = [
        (module.to_owned(), 40_000),
        (frame.clone(), 30_000),
        (format!("{frame};aten::mm"), 25_000),
        (format!("{frame};aten::mm;cudaLaunchKernel"), 5_000),
    ];
    let expected: BTreeMap<&str, i64> =
        expected.iter().map(|(stack, ns)| (stack.as_str(), *ns)).collect();
    assert_eq!(folded(&host), expected);
    assert_eq!(text(out.path(), "input0.device_by_python.folded"), format!("{frame};gemm 9000\n"));
    assert_eq!(text(out.path(), "input0.device_by_module.folded"), "nn.Module: MLP_0;gemm 9000\n");
}

#[test]
fn the_three_formats_say_the_same() {
    let out = export("fixtures/pipeline", "folded,speedscope,firefox");
    for input in ["stage0_rank0", "stage1_rank0", "stage2_rank0"] {
        let parsed = |ending: &str| -> Value {
            serde_json::from_str(&text(out.path(), &format!("{input}.{ending}"))).expect("JSON")
        };
        let (speedscope, firefox) = (parsed("speedscope.json"), parsed("firefox.json"));
        let keys = ["host", "waiting", "device_by_python", "device_by_module"];
        for (i, key) in keys.iter().enumerate() {
            let lines = text(out.path(), &format!("{input}.{key}.folded"));
            let ns: i64 = folded(&lines).values().sum();
            let profile = &speedscope["profiles"][i];
            let weights = profile["weights"].as_array().expect("weights");
            assert_eq!(weights.iter().filter_map(Value::as_i64).sum::<i64>(), ns);
            assert_eq!(
                (profile["endValue"].as_i64(), weights.len()),
                (Some(ns), profile["samples"].as_array().expect("samples").len())
            );
            assert_eq!(ns, whole_firefox_thread(&firefox["threads"][i]), "{input} {key}");
        }
    }
}

/// Holds a thread of the Firefox profiler against what its tables have to be; gives its time in nanoseconds.
fn whole_firefox_thread(thread: &Value) -> i64 {
    let column = |table: &str, name: &str| -> Vec<Option<f64>> {
        let values = thread[table][name].as_array().unwrap_or_else(|| panic!("{table}.{name}"));
        assert_eq!(Some(values.len() as u64), thread[table]["length"].as_u64(), "{table}.{name}");
        values.iter().map(Value::as_f64).collect()
    };
    let length = |table: &str| thread[table]["length"].as_u64().expect("a length") as f64;
    let strings = thread["stringArray"].as_array().expect("strings").len() as f64;
    let points = |values: Vec<Option<f64>>, below: f64| {
        values.iter().all(|v| v.is_some_and(|v| v >= 0.0 && v < below))
    };
    assert!(points(column("funcTable", "name"), strings));
    assert!(points(column("frameTable", "func"), length("funcTable")));
    assert!(points(column("stackTable", "frame"), length("frameTable")));
    assert!(points(column("samples", "stack"), length("stackTable")));
    // A stack stands on one that is listed before it.
    let prefixes = column("stackTable", "prefix");
    assert!(
        prefixes
            .iter()
            .enumerate()
            .all(|(i, prefix)| prefix.is_none_or(|prefix| prefix < i as f64))
    );
    assert!(column("samples", "time").is_sorted());
    assert_eq!(thread["samples"]["weightType"], "tracing-ms");
    column("samples", "weight").iter().flatten().map(|ms| (ms * 1e6).round() as i64).sum()
}

#[test]
fn torch_s_table_is_that_of_analyze() {
    let out = export("fixtures/vllm_tp2_step", "torch");
    for (rank, name) in ["profiler_out_0.txt", "profiler_out_1.txt"].iter().enumerate() {
        let traces: Vec<_> = root()
            .join("fixtures/vllm_tp2_step")
            .read_dir()
            .expect("the case")
            .flatten()
            .map(|entry| entry.path())
            .collect();
        let of_rank = format!("-rank-{rank}.");
        let trace = traces
            .iter()
            .find(|path| path.to_string_lossy().contains(&of_rank))
            .expect("a trace of the rank");
        let shown =
            omni_trace(&["analyze", "--torch-layout", trace.to_str().expect("a plain name")]);
        assert_eq!(text(out.path(), name).as_bytes(), shown.stdout);
    }
}

#[test]
fn without_the_other_program_the_command_that_installs_it_is_said() {
    for words in [
        &["query", "fixtures/vllm_tp2_step", "SELECT 1"][..],
        &["export", "fixtures/vllm_tp2_step", "-o", "target/nowhere"],
    ] {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_omni-trace"))
            .args(words)
            .current_dir(root())
            .env("OMNI_TRACE_QUERY", "/no/such/program")
            .output()
            .expect("the program starts");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(
            said.contains("/no/such/program: no such file") && said.contains("hint:"),
            "{said}"
        );
    }
    // On its own, with nothing on PATH.
    let dir = tempfile::tempdir().expect("there is room for the program");
    let alone = dir.path().join("omni-trace");
    std::fs::copy(env!("CARGO_BIN_EXE_omni-trace"), &alone).expect("the program can be copied");
    let output = std::process::Command::new(alone)
        .args(["query", "."])
        .env("PATH", "")
        .env_remove("OMNI_TRACE_QUERY")
        .output()
        .expect("it starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("cargo install --locked --path frame"), "{said}");
}

/// The two halves of a window hold what the whole does, as far as it lies in the window.
#[test]
fn a_part_of_the_window_is_exported() {
    let sum = |words: &[&str]| -> i64 {
        let dir = tempfile::tempdir().expect("there is room for files");
        let folder = dir.path().to_str().expect("a plain name");
        let fixed = ["export", "fixtures/pipeline", "--format", "folded", "-o", folder];
        let output = omni_trace(&[&fixed[..], words].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let files = dir.path().read_dir().expect("it was made").map(|file| file.unwrap().path());
        let of_device = files.filter(|file| file.to_string_lossy().contains("device_by_python"));
        of_device
            .map(|file| folded(&std::fs::read_to_string(file).unwrap()).values().sum::<i64>())
            .sum()
    };
    let (whole, first, second) =
        (sum(&[]), sum(&["--window", "..25ms"]), sum(&["--window", "25ms.."]));
    assert!(first > 0 && second > 0, "{first} {second}");
    assert!(first + second <= whole && first + second > whole / 2, "{first} {second} {whole}");
    let output = omni_trace(&[
        "export",
        "fixtures/pipeline",
        "--format",
        "torch",
        "-o",
        "unused",
        "--window",
        "..25ms",
    ]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("of whole profiles"));
}
