//! Snapshots of torch's allocator: what they say of memory against torch's own counters and against a case that can be added
//! up by hand; beside a trace and alone; damaged and hostile ones.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;
mod program;

use std::path::{Path, PathBuf};

use common::Random;
use program::{omni_trace, root};
use serde_json::{Value, json};

const MIB: i64 = 1 << 20;

fn fixture(name: &str) -> String {
    root().join("fixtures/snapshot").join(name).to_str().unwrap().to_owned()
}

fn analyzed(paths: &[&str], more: &[&str]) -> Value {
    let output = omni_trace(&[&["analyze"], paths, &["--format", "json"], more].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn rows<'a>(report: &'a Value, table: &str) -> &'a Vec<Value> {
    report[table].as_array().unwrap()
}

fn sum(report: &Value, table: &str, key: &str) -> i64 {
    rows(report, table).iter().filter_map(|row| row[key].as_i64()).sum()
}

/// A snapshot that torch wrote, with what its counters said, and the trace of the same run where there is one.
struct Real {
    pickle: String,
    trace: Option<String>,
    said: Value,
}

/// The snapshots of the fixtures, and those among the real traces.
fn real() -> Vec<Real> {
    let text = |path: PathBuf| path.to_str().unwrap().to_owned();
    let said = |path: &Path| serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let entries = |folder: &Path| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).collect()
    };
    let own = entries(&root().join("fixtures/snapshot/real")).into_iter().filter_map(|path| {
        let pickle =
            path.to_str()?.strip_suffix(".facts.json").map(|name| format!("{name}.pickle.gz"));
        Some(Real { pickle: pickle?, trace: None, said: said(&path) })
    });
    let shared = common::shared_traces().map(|shared| shared.join("own/snapshot"));
    let runs = shared.iter().flat_map(|folder| entries(folder)).flat_map(|kind| entries(&kind));
    let shared = runs.filter(|run| run.join("facts.json").is_file()).map(|run| Real {
        pickle: text(run.join("mem.pickle")),
        trace: Some(run.join("trace.json.gz")).filter(|trace| trace.is_file()).map(text),
        said: said(&run.join("facts.json")),
    });
    own.chain(shared).collect()
}

/// Where the history covers it, the peak is torch's own, and what is alive then sums to it.
#[test]
fn the_peak_is_that_of_torch() {
    let all = real();
    assert!(all.len() >= 4, "{} snapshots", all.len());
    for Real { pickle, said, .. } in all {
        let report = analyzed(&[&pickle], &[]);
        let [memory] = rows(&report, "memory").as_slice() else { panic!("one device") };
        let (base, end) = (&said["base"], &said["end"]);
        assert_eq!(memory["allocated_peak_bytes"], end["max_allocated"], "{pickle}");
        assert_eq!(memory["reserved_peak_bytes"], end["max_reserved"], "{pickle}");
        assert_eq!(memory["begin_bytes"], base["allocated"], "{pickle}");
        assert_eq!(memory["end_bytes"], end["allocated"], "{pickle}");
        assert_eq!(memory["retries"], end["stats"]["num_alloc_retries"], "{pickle}");
        assert_eq!(memory["out_of_memory"], end["stats"]["num_ooms"], "{pickle}");
        let peak = end["max_allocated"].as_i64().unwrap();
        assert_eq!(sum(&report, "memory_peak", "bytes"), peak, "{pickle}");
        assert_eq!(sum(&report, "memory_purposes", "bytes"), peak, "{pickle}");
        let line = rows(&report, "memory_line").iter();
        assert_eq!(line.filter_map(|part| part["allocated_bytes"].as_i64()).max(), Some(peak));
        assert_eq!(memory["source"], "snapshot");
        // The ranges of the profiler are iterations, and what is kept of each is told.
        let steps = rows(&report, "memory_iterations").iter();
        let ends: Vec<&Value> = steps.map(|step| &step["end_bytes"]).collect();
        let after = said["after_each_step"].as_array().unwrap().iter();
        assert_eq!(ends, after.map(|step| &step[0]).collect::<Vec<_>>(), "{pickle}");
        let tells_leak = report["verdict"].to_string().contains("a leak");
        assert_eq!(tells_leak, pickle.contains("leak"), "{pickle}");
    }
}

/// Trace and snapshot of one run tell the same of each iteration, to the byte: of two clocks that are one.
#[test]
fn trace_and_snapshot_agree() {
    for Real { pickle, trace, .. } in real() {
        let Some(trace) = trace else { continue };
        let report = analyzed(&[&trace, &pickle], &[]);
        let of = |source: &str| -> Vec<Value> {
            let own =
                rows(&report, "memory_iterations").iter().filter(|row| row["source"] == source);
            let keys = ["begin_bytes", "peak_bytes", "end_bytes", "allocations", "releases"];
            own.map(|row| Value::from(keys.map(|key| row[key].clone()).to_vec())).collect()
        };
        assert!(!of("trace").is_empty(), "{trace}");
        assert_eq!(of("trace"), of("snapshot"), "{trace}");
    }
}

/// Python's pickler of other protocols writes the same.
#[test]
fn every_protocol_is_read() {
    let [two, four, five] = ["protocol2.pickle", "mem.pickle", "protocol5.pickle"].map(|name| {
        let mut report = analyzed(&[&fixture(name)], &[]);
        report["inputs"] = Value::Null;
        report["verdict"] = Value::Null;
        report
    });
    assert_eq!(two, four);
    assert_eq!(four, five);
}

#[test]
fn a_person_can_add_it_up() {
    let report = analyzed(&[&fixture("mem.pickle")], &[]);
    let [memory] = rows(&report, "memory").as_slice() else { panic!("one device") };
    let (weights, cache, kept, meanwhile) = (12 * MIB, 64 * MIB, 5 * 1024, 8 * MIB);
    let expected = json!({
        "allocated_peak_bytes": weights + cache + kept + meanwhile, "reserved_peak_bytes": (2 + 20 + 64 + 20) * MIB,
        // The history begins at 100 µs, the fifth step at 1400.
        "peak_at_ns": 1_320_000, "out_of_memory": 1, "events": 2 + 2 + 1 + 5 + 5 + 5, "begin_bytes": weights,
        "end_bytes": weights + cache + kept, "segment_allocs": 4, "segment_frees": 2, "retries": 1,
        // Of the segment of the small ones nothing else is taken, the others are full.
        "split_bytes": 2 * MIB - kept, "failed_bytes": 300_000_000_000_i64,
    });
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!(&memory[key], value, "{key}");
    }
    let brief: Vec<Value> = rows(&report, "memory_peak")
        .iter()
        .map(|row| json!([row["bytes"], row["allocations"], row["purpose"], row["frame"]]))
        .collect();
    let expected = json!([
        [0, null, "unknown", null],
        [cache, 1, "kv_cache", "vllm/runner.py(300): _allocate_kv_cache_tensors"],
        [weights, 1, "weights", "vllm/linear.py(20): create_weights"],
        [meanwhile, 1, "forward", "app/model.py(40): forward"],
        [kept, 5, "unknown", "app/cache.py(7): remember"],
    ]);
    assert_eq!(Value::from(brief), expected);
    let purposes = rows(&report, "memory_purposes").iter();
    let purposes: Vec<Value> = purposes.map(|row| json!([row["purpose"], row["bytes"]])).collect();
    let expected = json!([
        ["kv_cache", cache],
        ["weights", weights],
        ["forward", meanwhile],
        ["unknown", kept]
    ]);
    assert_eq!(Value::from(purposes), expected);
    assert_eq!(report["memory_iterations"], json!([]));
    assert_eq!(rows(&report, "memory_line").len(), 240);
}

/// Beside a trace: one input, whichever comes first, on the trace's clock.
#[test]
fn a_snapshot_is_of_the_trace_beside_it() {
    let (trace, pickle) = (fixture("trace.json"), fixture("mem.pickle"));
    let report = analyzed(&[&pickle, &trace], &[]);
    let other = analyzed(&[&trace, &pickle], &[]);
    assert_eq!(report["memory_peak"], other["memory_peak"]);
    let [input] = rows(&report, "inputs").as_slice() else { panic!("one input") };
    assert_eq!((&input["path"], &input["snapshot"]), (&json!(trace), &json!(pickle)));
    // The trace's window begins 100 µs before the history.
    assert_eq!(rows(&report, "memory")[0]["peak_at_ns"], 1_420_000);
    let steps: Vec<Value> = rows(&report, "memory_iterations")
        .iter()
        .map(|row| {
            json!([row["begin_bytes"], row["peak_bytes"], row["growth_bytes"], row["iteration"]])
        })
        .collect();
    let begin = |step: i64| 76 * MIB + 1024 * step;
    let step =
        |n: i64| json!([begin(n), begin(n + 1) + 8 * MIB, 1024, format!("ProfilerStep#{n}")]);
    assert_eq!(steps, (0..5).map(step).collect::<Vec<_>>());
    // Parts of the window before the history: what was there when it began.
    let line = rows(&report, "memory_line");
    assert_eq!(
        (line[0]["start_ns"].as_i64(), &line[0]["allocated_bytes"]),
        (Some(0), &json!(12 * MIB))
    );
    // A part of the window: what came before is known, and counts as there.
    let part = analyzed(&[&trace, &pickle], &["--window", "1150us..1250us"]);
    let memory = &rows(&part, "memory")[0];
    assert_eq!(
        (&memory["begin_bytes"], &memory["end_bytes"]),
        (&json!(begin(2) + 8 * MIB), &json!(begin(3) + 8 * MIB))
    );
    assert_eq!((&memory["segment_allocs"], &memory["retries"]), (&json!(0), &json!(0)));
    assert_eq!(sum(&part, "memory_peak", "bytes"), begin(3) + 8 * MIB);
}

/// A trace of another time has none of the snapshot's iterations, and that is said.
#[test]
fn a_snapshot_of_another_time_is_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let trace = std::fs::read_to_string(fixture("trace.json")).unwrap();
    let later = trace.replace("1700000000000000000", "1700000100000000000");
    let path = folder.path().join("later.json");
    std::fs::write(&path, later).unwrap();
    let report = analyzed(&[path.to_str().unwrap(), &fixture("mem.pickle")], &[]);
    assert_eq!(report["memory_iterations"], json!([]));
    assert_eq!(report["memory_line"], json!([]));
    assert_eq!(rows(&report, "memory").len(), 1);
    assert!(report["issues"].to_string().contains("snapshot_apart"), "{}", report["issues"]);
    let sentences = report["verdict"].to_string();
    assert!(sentences.contains("before the start of the window"), "{sentences}");
}

/// Of several traces a snapshot is of that of its rank; one of none stays an input of its own.
#[test]
fn ranks_have_their_own_snapshots() {
    let folder = tempfile::tempdir().unwrap();
    let put = |from: &str, to: &str| {
        let to = folder.path().join(to);
        std::fs::copy(fixture(from), &to).unwrap();
        to.to_str().unwrap().to_owned()
    };
    let paths = [
        put("trace.json", "trace_rank0.json"),
        put("trace.json", "trace_rank1.json"),
        put("mem.pickle", "memory_snapshot_rank1.pickle"),
        put("mem.pickle", "memory_snapshot_rank7.pickle"),
    ];
    let report = analyzed(&paths.each_ref().map(String::as_str), &[]);
    let inputs = rows(&report, "inputs").iter();
    let of: Vec<(&Value, &Value)> = inputs.map(|row| (&row["path"], &row["snapshot"])).collect();
    let [a, b, c, d] = paths.map(Value::from);
    assert_eq!(of, [(&a, &Value::Null), (&b, &c), (&d, &d)]);
}

/// A file of its own name, as the tests write them.
struct Written(tempfile::TempDir, PathBuf);

fn written(bytes: &[u8]) -> Written {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mem.pickle");
    std::fs::write(&path, bytes).unwrap();
    Written(folder, path)
}

/// What is said of a pickle that is given alone, and refused.
fn refused(bytes: &[u8]) -> String {
    let Written(_folder, path) = written(bytes);
    let output = omni_trace(&["analyze", path.to_str().unwrap()]);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("hint: "), "{stderr}");
    stderr
}

#[test]
fn damage_is_told_and_nothing_is_run() {
    let whole = std::fs::read(fixture("mem.pickle")).unwrap();
    for cut in [3, 11, 100, whole.len() / 2, whole.len() - 1] {
        assert!(refused(&whole[..cut]).contains(&format!("ends early, at byte {cut}")), "{cut}");
    }
    // A text of 2^60 bytes; a list in a list in a list …; marks; a value that is kept under a large number.
    let huge = [&b"\x80\x04\x8d"[..], &(1_u64 << 60).to_le_bytes(), b"abc"].concat();
    assert!(refused(&huge).contains("ends early"));
    let lists = [&b"\x80\x04"[..], &vec![b']'; 1_000_000]].concat();
    assert!(refused(&lists).contains("more values of its bytes than a snapshot has"));
    let marks = [&b"\x80\x04"[..], &vec![b'('; 1000]].concat();
    assert!(refused(&marks).contains("nested deeper than a snapshot is"));
    assert!(refused(b"\x80\x02}r\xff\xff\xff\xff.").contains("under a number far from the others"));
    // What doubles with each line: every list holds the one before twice.
    let bomb: Vec<u8> = (0..40).flat_map(|_| *b"]\x940(h\x00h\x00l\x940").collect();
    assert!(
        refused(&[&b"\x80\x04]\x940"[..], &bomb, b"N."].concat()).contains("no memory snapshot")
    );
    assert!(refused(b"\x80\x04\x95\0\0\0\0\0\0\0\0e.").contains("finds no mark"));
    assert!(refused(b"\x80\x04I12\n.").contains("opcode 0x49 at byte 2"));
    assert!(refused(b"\x80\x04}.").contains("no memory snapshot"));
    // What would run a program in Python is passed over, and said.
    let call = b"cposix\nsystem\nX\x05\0\0\0touch\x85R".to_vec();
    let in_dict =
        [&b"\x80\x02}(X\x08\0\0\0segments]X\x0d\0\0\0device_traces"[..], &call, b"u."].concat();
    let Written(_folder, path) = written(&in_dict);
    let report = analyzed(&[path.to_str().unwrap()], &[]);
    let issues = report["issues"].to_string();
    assert!(issues.contains("pickle_call") && issues.contains("posix.system"), "{issues}");
}

/// Whatever is changed in a snapshot, it is read or refused, and the parts of a peak sum to it.
#[test]
fn changed_snapshots_are_read_or_refused() {
    let whole = std::fs::read(fixture("mem.pickle")).unwrap();
    let mut random = Random::new(11);
    let mut n_read = 0;
    for _ in 0..60 {
        let mut bytes = whole.clone();
        for _ in 0..=random.below(3) {
            let at = random.below(bytes.len());
            bytes[at] = random.below(256) as u8;
        }
        let Written(_folder, path) = written(&bytes);
        let output = omni_trace(&["analyze", path.to_str().unwrap(), "--format", "json"]);
        let code = output.status.code();
        assert!(
            matches!(code, Some(0 | 2)),
            "{code:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        if code == Some(0) {
            let report: Value = serde_json::from_slice(&output.stdout).unwrap();
            let peaks = sum(&report, "memory", "allocated_peak_bytes");
            assert!(peaks == 0 || sum(&report, "memory_peak", "bytes") == peaks);
            n_read += 1;
        }
    }
    assert!(n_read > 10, "{n_read} of 60 are read");
}

/// Other commands have no use for a snapshot, and leave it out beside a trace.
#[test]
fn other_commands_leave_it_out() {
    let (trace, pickle) = (fixture("trace.json"), fixture("mem.pickle"));
    let output = omni_trace(&["bandwidth", &trace, &pickle]);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && stderr.contains("note: left out"), "{stderr}");
    assert_eq!(omni_trace(&["critical-path", &pickle]).status.code(), Some(2));
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("page");
    let output = omni_trace(&["report", &pickle, "-o", page.to_str().unwrap()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(Path::new(&page).join("index.html").is_file());
}
