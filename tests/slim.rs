//! Slimming: what stays gives the same figures, and it is small.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;
mod program;

use std::io::Write as _;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use omni_trace::analyze::base::{TimeBase, TimeConfig};
use omni_trace::analyze::iterations::iterations;
use omni_trace::analyze::kernel_origins::Origins;
use omni_trace::analyze::kernels::{activity_durations, kernel_rows};
use omni_trace::analyze::timeline::Class;
use omni_trace::model::limits::SPREAD_FROM_BYTES;
use omni_trace::read::{ReadOptions, read_input};
use omni_trace::store::Store;
use program::omni_trace;

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn slim(path: &Path, out: &Path, flags: &[&str]) -> serde_json::Value {
    let mut args = vec!["slim", text(path), "-o", text(out), "--format", "json"];
    args.extend(flags);
    let output = omni_trace(&args);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn store(path: &Path) -> Store {
    read_input(path, &ReadOptions { threads: 2, ..ReadOptions::default() }).unwrap().store
}

/// Kernels, waits of every thread, and iterations, in words without slice numbers.
fn figures(store: &Store) -> String {
    let base = TimeBase::new(store, &TimeConfig::default());
    let mut words = format!("{:?} {:?}\n", base.windows.file, base.windows.devices);
    words += &format!("{:?}\n", kernel_rows(0, activity_durations(store), &Origins::new()));
    for thread in &base.threads {
        let totals = thread.timeline.totals();
        words +=
            &format!("{} {:?} ipc {}\n", thread.track, thread.kind, totals.get(Class::IpcWait));
        words += &format!(
            "sync {} load {}\n",
            totals.get(Class::GpuSync),
            totals.get(Class::ModuleLoading)
        );
        for wait in &thread.waits {
            let slice = wait.slice as usize;
            let span = (store.slices.ts_ns[slice], store.slices.end_ns(slice));
            words += &format!("{:?} {:?} {span:?} {}\n", wait.class, wait.rule, store.name(slice));
        }
    }
    for row in iterations(store, &base).rows {
        words += &format!(
            "{} {} {} {} {:?} {:?} {:?} {:?} {:?}\n",
            row.name,
            row.start_ns,
            row.cpu_ns,
            row.n_kernels,
            row.kernel_sum_ns,
            row.kernel_busy_ns,
            row.ipc_wait_before_ns,
            row.ipc_wait_inside_ns,
            row.gap_to_next_ns
        );
    }
    words
}

fn traces_with_waits() -> Vec<PathBuf> {
    let wanted = ["py_pipe_tiny", "py_pipe_tp2", "v030_tp2_mp/", "v012_tp2_env"];
    let all = common::real_traces();
    all.into_iter().filter(|path| wanted.iter().any(|part| text(path).contains(part))).collect()
}

#[test]
fn collapsed_waits_change_no_figure() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("slim.json.gz");
    for path in traces_with_waits() {
        let report = slim(&path, &out, &[]);
        let (before, after) = (store(&path), store(&out));
        assert!(figures(&before) == figures(&after), "{}", path.display());
        let small = report["output"]["bytes"].as_u64().unwrap();
        if text(&path).contains("v030_tp2_mp/") {
            let bytes = std::fs::metadata(&path).unwrap().len();
            assert!(small * 10 < bytes, "{}: {bytes} became {small}", path.display());
        }
        assert_eq!(before.meta.layout, after.meta.layout);
    }
}

/// The largest text of a trace that the test over all of them takes.
const LARGEST_BYTES: u64 = 40_000_000;

#[test]
fn analyze_of_the_slim_trace_is_that_of_the_whole() {
    let dir = tempfile::tempdir().unwrap();
    let analyze = |path: &Path| {
        let output = omni_trace(&["analyze", "--format", "json", text(path)]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap()
    };
    let mut n_compared = 0;
    for path in common::real_traces() {
        if std::fs::metadata(&path).unwrap().len() > LARGEST_BYTES {
            continue;
        }
        let whole = analyze(&path);
        if whole["inputs"][0]["json_bytes"].as_u64().unwrap() > LARGEST_BYTES {
            continue;
        }
        // The name says whose trace it is.
        let out = dir.path().join(path.file_name().unwrap());
        for flags in [&[][..], &["--keep-waits"]] {
            slim(&path, &out, flags);
            let small = analyze(&out);
            for table in ["devices", "kernels", "waits", "iterations", "iteration_summary"] {
                assert_eq!(whole[table], small[table], "{table} of {} {flags:?}", path.display());
            }
        }
        n_compared += 1;
    }
    assert!(n_compared > 60 || common::shared_traces().is_none(), "only {n_compared} compared");
}

/// Whether some slice of a thread reaches over the end of the one that it lies in.
fn has_crossing_slices(store: &Store) -> bool {
    store.tracks.iter().any(|track| {
        let mut open: Vec<i64> = Vec::new();
        track.slices.clone().any(|slice| {
            open.retain(|&end_ns| end_ns > store.slices.ts_ns[slice]);
            let end_ns = store.slices.end_ns(slice);
            let crosses = open.last().is_some_and(|&outer_ns| end_ns > outer_ns);
            open.push(end_ns);
            crosses
        })
    })
}

#[test]
fn overlapping_slices_get_lanes_that_reading_undoes() {
    let dir = tempfile::tempdir().unwrap();
    let [from, out, again, unnamed, packets] =
        ["a.json", "b.json", "c.json", "d.json", "e.pftrace"].map(|name| dir.path().join(name));
    // Overlaps, a thread 0 beside the one whose number is the pid, and processes that are no numbers.
    let events = r#"{"ph":"M","name":"thread_name","pid":7,"tid":1,"args":{"name":"main"}},
        {"ph":"M","name":"thread_sort_index","pid":7,"tid":1,"args":{"sort_index":3}},
        {"ph":"X","cat":"cpu_op","name":"a","pid":7,"tid":1,"ts":1,"dur":10},
        {"ph":"X","cat":"cpu_op","name":"b","pid":7,"tid":"1","ts":5,"dur":10,"args":{"x":[1, 2]}},
        {"ph":"X","cat":"python_function","name":"idle","pid":7,"tid":0,"ts":2,"dur":10},
        {"ph":"X","cat":"python_function","name":"f","pid":7,"tid":7,"ts":1,"dur":10},
        {"ph":"X","cat":"Trace","name":"PyTorch Profiler (0)","pid":"Spans","tid":"PyTorch Profiler","ts":0,"dur":20},
        {"ph":"i","name":"Iteration Start","s":"g","pid":"Traces","tid":"Trace PyTorch Profiler","ts":1},
        {"ph":"i","name":"Record Window End","s":"g","pid":"","tid":"","ts":30}"#;
    std::fs::write(&from, format!(r#"{{"schemaVersion": 1,"traceEvents":[{events}]}}"#)).unwrap();
    slim(&from, &out, &["--keep-waits"]);
    let written = std::fs::read_to_string(&out).unwrap();
    let json: serde_json::Value = serde_json::from_str(&written).unwrap();
    let tid = |name: &str| {
        let events = json["traceEvents"].as_array().unwrap();
        events.iter().find(|event| event["name"] == name).unwrap()["tid"].clone()
    };
    let lanes = [tid("b"), tid("idle")].map(|tid| tid.as_u64().unwrap());
    assert!(lanes.iter().all(|&lane| lane >= 1_000_000_000) && lanes[0] != lanes[1], "{lanes:?}");
    assert_eq!((tid("a"), tid("f")), (1.into(), 7.into()));
    assert!(written.contains(r#""name":"main (overlap 1)""#), "{written}");
    // Without the member that says what the lanes were, they are threads, and nothing crosses on them.
    std::fs::write(&unnamed, written.replace("omniTraceLanes", "other")).unwrap();
    assert!(has_crossing_slices(&store(&from)) && !has_crossing_slices(&store(&unnamed)));

    let original = store(&from);
    let same = |path: &Path| {
        let read = store(path);
        assert_eq!(read.tracks, original.tracks);
        assert_eq!(figures(&read), figures(&original));
        assert!(read.slices == original.slices && read.instants == original.instants);
        assert_eq!(read.n_events, original.n_events);
        assert_eq!(read.meta.entries[0], original.meta.entries[0]);
        assert!(!read.meta.entries.iter().any(|(key, _)| key == "omniTraceLanes"));
    };
    same(&out);
    slim(&out, &again, &["--keep-waits"]);
    assert_eq!(std::fs::read_to_string(&again).unwrap(), written);
    let merged = omni_trace(&["merge", text(&out), "-q", "-o", text(&packets)]);
    assert!(merged.status.success());
    let slices = |path: &Path| {
        let paths = [path.to_owned()];
        let progress = std::sync::Arc::default();
        let inputs = omni_trace::read::read_inputs(&paths, &ReadOptions::default(), &progress);
        inputs.unwrap().swap_remove(0).store.slices.ts_ns.clone()
    };
    assert_eq!(slices(&packets), slices(&from));
}

/// Whether slices that end with the one they lie in reach over its end, for a reader that takes microseconds for doubles and
/// rounds them to nanoseconds, as Perfetto's importer does.
fn crosses_as_doubles(path: &Path) -> bool {
    let text = std::fs::read_to_string(path).unwrap();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let ends = |name: &str| -> Vec<i64> {
        let events = json["traceEvents"].as_array().unwrap().iter();
        let ns = |value: &serde_json::Value| (value.as_f64().unwrap() * 1e3).round() as i64;
        let named = events.filter(|event| event["name"] == name);
        named.map(|event| ns(&event["ts"]) + ns(&event["dur"])).collect()
    };
    ends("outer").iter().zip(ends("inner")).any(|(&outer, inner)| inner > outer)
}

#[test]
fn times_weeks_after_their_base_nest_as_doubles() {
    let dir = tempfile::tempdir().unwrap();
    let [from, out, again, packets] =
        ["a.json", "b.json", "c.json", "d.pftrace"].map(|name| dir.path().join(name));
    let base_ns = 1_790_000_000_123_456_789_i64;
    let us = |ns: i64| format!("{}.{:03}", ns / 1000, ns % 1000);
    let mut events = vec![
        r#"{"ph":"M","name":"process_name","pid":1,"tid":0,"ts":0,"args":{"name":"p"}}"#.to_owned(),
    ];
    for i in 0..100 {
        let (start, end) =
            (4_445_444_961_183_859 + i * 10_007, 4_445_444_961_183_859 + i * 10_007 + 9_001);
        let inner = start + 1_003 + i;
        for (name, start) in [("outer", start), ("inner", inner)] {
            let (ts, dur) = (us(start), us(end - start));
            events.push(format!(r#"{{"ph":"X","cat":"cpu_op","name":"{name}","pid":1,"tid":1,"ts":{ts},"dur":{dur}}}"#));
        }
    }
    let events = events.join(",");
    let text_of = |base: &str| format!(r#"{{"schemaVersion":1,{base}"traceEvents":[{events}]}}"#);
    std::fs::write(&from, text_of(&format!(r#""baseTimeNanoseconds":{base_ns},"#))).unwrap();
    assert!(crosses_as_doubles(&from));
    slim(&from, &out, &[]);
    assert!(!crosses_as_doubles(&out));
    // For everybody else the base says the same Unix times; for us all is as it was.
    let written: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(&out).unwrap()).unwrap();
    let first = &written["traceEvents"].as_array().unwrap()[1];
    let moved_ns = written["baseTimeNanoseconds"].as_i64().unwrap() - base_ns;
    assert_eq!((first["name"].as_str(), first["ts"].as_f64()), (Some("outer"), Some(961_183.859)));
    assert_eq!(moved_ns, 4_445_444_000_000_000);
    let original = store(&from);
    slim(&out, &again, &[]);
    assert_eq!(std::fs::read_to_string(&again).unwrap(), std::fs::read_to_string(&out).unwrap());
    slim(&out, &packets, &[]);
    for path in [&out, &packets] {
        let progress = std::sync::Arc::default();
        let inputs = omni_trace::read::read_inputs(
            std::slice::from_ref(path),
            &ReadOptions::default(),
            &progress,
        );
        let read = inputs.unwrap().swap_remove(0).store;
        assert!(read.slices.ts_ns == original.slices.ts_ns, "{}", path.display());
        assert_eq!(read.meta.base_time_ns, Some(base_ns));
    }
    // Without a base there is nothing that could be moved.
    std::fs::write(&from, text_of("")).unwrap();
    slim(&from, &out, &[]);
    assert!(std::fs::read_to_string(&out).unwrap().contains("4445444961183.859"));
}

#[test]
fn slim_traces_of_real_overlaps_have_none() {
    let dir = tempfile::tempdir().unwrap();
    let (out, unnamed) = (dir.path().join("out.json"), dir.path().join("unnamed.json"));
    let wanted = ["b200_vllm_eager", "v030_tp2_mp/1795302253148473390-rank-0"];
    for path in common::real_traces() {
        if !wanted.iter().any(|part| text(&path).contains(part)) {
            continue;
        }
        slim(&path, &out, &["--keep-waits"]);
        let written = std::fs::read_to_string(&out).unwrap();
        std::fs::write(&unnamed, written.replace("omniTraceLanes", "other")).unwrap();
        assert!(has_crossing_slices(&store(&path)), "{}", path.display());
        assert!(!has_crossing_slices(&store(&unnamed)), "{}", path.display());
    }
}

#[test]
fn what_was_written_is_told_at_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let from = dir.path().join("a.json");
    let event = r#"{"ph":"X","name":"a","pid":1,"tid":1,"ts":1,"dur":2}"#;
    std::fs::write(&from, format!(r#"{{"traceEvents":[{event}]}}"#)).unwrap();
    for command in ["merge", "slim"] {
        for (name, is_compressed) in [("b.json.gz", true), ("b.json", false), ("b.pftrace", false)]
        {
            let out = dir.path().join(name);
            let told = |flags: &[&str]| {
                let args = [&[command, text(&from), "-o", text(&out)], flags].concat();
                String::from_utf8(omni_trace(&args).stderr).unwrap()
            };
            let stderr = told(&[]);
            let bytes = std::fs::metadata(&out).unwrap().len();
            let size = omni_trace::render::human::bytes(bytes);
            let start = format!("wrote {}: {size}", out.display());
            let last = stderr.lines().last().unwrap();
            assert!(last.starts_with(&start) && last.ends_with(" s"), "{stderr}");
            assert_eq!(last.contains(" B of JSON) in "), is_compressed, "{stderr}");
            assert_eq!(told(&["-q"]), "");
        }
    }
}

#[test]
fn filters_take_what_they_say() {
    let Some(path) =
        traces_with_waits().into_iter().find(|path| text(path).contains("py_pipe_tiny"))
    else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("slim.json");
    let whole = store(&path);
    slim(&path, &out, &["--keep-waits", "--only", "kernel,gpu_memcpy"]);
    let kernels = store(&out);
    let count = |store: &Store, wanted: &[&str]| {
        (0..store.slices.len()).filter(|&slice| wanted.contains(&store.category(slice))).count()
    };
    assert_eq!(count(&whole, &["kernel", "gpu_memcpy", "Trace"]), kernels.slices.len());
    slim(&path, &out, &["--keep-waits", "--drop", "python_function,/^aten::/"]);
    let rest = store(&out);
    assert!(
        (0..rest.slices.len())
            .all(|s| rest.category(s) != "python_function" && !rest.name(s).starts_with("aten::"))
    );
    slim(&path, &out, &["--keep-waits", "--max-stack-depth", "3", "--min-dur", "10us"]);
    let shallow = store(&out);
    let frames = |s: &usize| shallow.category(*s) == "python_function";
    assert!((0..shallow.slices.len()).filter(frames).all(|s| shallow.slices.dur_ns(s) >= 10_000));
    slim(&path, &out, &["--keep-waits", "--window", "10ms..20ms"]);
    let part = store(&out);
    let start = (0..whole.slices.len())
        .find(|&s| whole.category(s) == "Trace")
        .map(|s| whole.slices.ts_ns[s])
        .unwrap();
    let meets = |store: &Store, s: usize| {
        store.slices.ts_ns[s] < start + 20_000_000 && store.slices.end_ns(s) >= start + 10_000_000
    };
    let host = |store: &Store| {
        (0..store.slices.len())
            .filter(|&s| !store.kind(s).is_device_activity() && meets(store, s))
            .count()
    };
    assert!(part.slices.len() < whole.slices.len());
    assert_eq!(host(&part), host(&whole));
    slim(&path, &out, &["--drop-args", "all"]);
    assert_eq!(figures(&whole), figures(&store(&out)));
    let report = slim(&path, &out, &["--iterations", "0"]);
    assert!(
        report["categories"]
            .as_array()
            .unwrap()
            .iter()
            .any(|row| row["gone_events"].as_u64() > Some(0))
    );
}

/// Members of the trace that slim sets itself stand in what it writes once, with the values that the trace gives them.
#[test]
fn members_are_written_once() {
    let dir = tempfile::tempdir().unwrap();
    let (path, out) = (dir.path().join("in.json"), dir.path().join("out.json"));
    let trace = r#"{"displayTimeUnit":"ns","schemaVersion":1,"traceEvents":[
        {"ph":"X","cat":"cpu_op","name":"a","pid":1,"tid":1,"ts":1,"dur":2}],"omniTraceSlim":true}"#;
    std::fs::write(&path, trace).unwrap();
    let merged = dir.path().join("merged.json");
    for (input, command) in
        [(&path, "slim"), (&path, "merge"), (&merged, "slim"), (&merged, "merge")]
    {
        let to = if command == "merge" && input == &path { &merged } else { &out };
        let run = omni_trace(&[command, text(input), "-o", text(to), "-q"]);
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
        let written = std::fs::read_to_string(to).unwrap();
        let top: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(&written).unwrap();
        for key in top.keys() {
            // Members of inputs stand again inside the list of inputs, as text of their own.
            let of_inputs = top
                .get("omniTraceInputs")
                .map_or(0, |parts| parts.to_string().matches(&format!("\"{key}\"")).count());
            let all = written.matches(&format!("\"{key}\"")).count();
            assert_eq!(all - of_inputs, 1, "{command} {}: {key}", input.display());
        }
        let is_alone = command == "slim" && input == &path;
        assert!(!is_alone || top["displayTimeUnit"] == "ns", "{written}");
    }
}

/// A large file is inflated from many places by several threads, and not at all where everything goes.
#[test]
fn threads_change_no_byte_of_a_large_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("in.json.gz");
    let mut file = GzEncoder::new(Vec::new(), Compression::new(1));
    let mut number = 7_u64;
    file.write_all(b"{\"schemaVersion\":1,\"traceEvents\":[\n").unwrap();
    for i in 0.. {
        let mut word = String::new();
        for _ in 0..4 {
            number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            word += &format!("{:x}", number >> 8);
        }
        let cat = if i / 15_000 % 4 == 1 { "cpu_op" } else { "python_function" };
        let event =
            format!(r#""ph":"X","cat":"{cat}","name":"n","pid":1,"tid":1,"ts":{i},"dur":1"#);
        writeln!(file, r#"{{{event},"args":{{"word":"{word}"}}}},"#).unwrap();
        if file.get_ref().len() as u64 > SPREAD_FROM_BYTES {
            break;
        }
    }
    file.write_all(b"{\"ph\":\"M\",\"name\":\"end\",\"pid\":1,\"tid\":1}]}\n").unwrap();
    std::fs::write(&path, file.finish().unwrap()).unwrap();
    for name in ["out.json.gz", "out.json", "out.pftrace"] {
        let out = dir.path().join(name);
        let mut first = None;
        for threads in ["1", "2", "4"] {
            let flags = ["--keep-waits", "--drop", "python_function", "--threads", threads];
            let report = slim(&path, &out, &flags);
            assert_eq!(report["categories"][0]["category"], "python_function");
            let written = (std::fs::read(&out).unwrap(), report);
            assert!(first.get_or_insert_with(|| written.clone()) == &written, "{name} {threads}");
        }
    }
}
