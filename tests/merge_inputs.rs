//! What `merge` and `slim` take: merged files beside others, standard input; and what hand-offs tell of clocks.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod merging;
mod program;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use merging::{assert_parts_are, merge, options, parts, text};
use omni_trace::read::read_input;
use program::{omni_trace, root};
use serde_json::Value;

fn stage(number: usize) -> PathBuf {
    root().join(format!("fixtures/pipeline/stage_{number}_llm_1790000300_rank0.pt.trace.json.gz"))
}

#[test]
fn a_merged_file_merges_with_others() {
    let dir = tempfile::tempdir().unwrap();
    let [a, b, c] = [0, 1, 2].map(stage);
    let once = dir.path().join("once.json");
    for merged in ["ab.json.gz", "ab.pftrace"] {
        let ab = dir.path().join(merged);
        merge(&[&a, &b], &ab, &[]);
        let again = dir.path().join("abc.json.gz");
        let report = merge(&[&ab, &c], &again, &[]);
        let labels: Vec<&Value> =
            report["inputs"].as_array().unwrap().iter().map(|row| &row["label"]).collect();
        assert_eq!(
            labels,
            ["stage 0 llm · rank 0", "stage 1 llm · rank 0", "stage 2 llm · rank 0"]
        );
        assert_eq!(report["inputs"][1]["merged_from"], text(&b));
        if merged.ends_with(".json.gz") {
            // Not only the same events: the very lines that merging all at once gives, in another order, as inputs are
            // written in turn.
            assert_parts_are(&[&a, &b, &c], &again);
            merge(&[&a, &b, &c], &once, &[]);
            let plain = dir.path().join("abc.json");
            merge(&[&ab, &c], &plain, &[]);
            let lines = |path: &Path| {
                let text = std::fs::read_to_string(path).unwrap();
                let mut lines: Vec<String> =
                    text.lines().map(|line| line.trim_end_matches(',').to_owned()).collect();
                lines.sort();
                lines
            };
            assert!(lines(&once) == lines(&plain));
        }
        for (part, of) in parts(&again).iter().zip([&a, &b, &c]) {
            let original = read_input(of, &options()).unwrap().store;
            let store = &part.store;
            let slices = |store: &omni_trace::store::Store| {
                let row =
                    |i| (store.slices.ts_ns[i], store.slices.end_ns(i), store.name(i).to_owned());
                let mut rows: Vec<_> = (0..store.slices.len()).map(row).collect();
                rows.sort();
                rows
            };
            assert!(slices(store) == slices(&original), "{merged}");
            assert_eq!(store.meta.entries, original.meta.entries, "{merged}");
        }
        let report = merge(&[&ab, &c], &dir.path().join("abc.pftrace"), &[]);
        assert_eq!(report["inputs"].as_array().unwrap().len(), 3);
    }
    let output =
        omni_trace(&["merge", text(&once), text(&a), "-o", text(&dir.path().join("x.json"))]);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("both claim to be") && stderr.contains("(merged from "), "{stderr}");
}

/// Most readers of JSON take a time for a double of microseconds, and Perfetto's importer rounds that to nanoseconds. Weeks
/// after their base, the inputs' times would lose the last digit, and slices with equal ends would no longer nest.
#[test]
fn slices_nest_for_readers_that_count_in_doubles() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("merged.json");
    let report = merge(&[&root().join("fixtures/pipeline")], &out, &[]);
    let merged: Value = serde_json::from_slice(&std::fs::read(&out).unwrap()).unwrap();
    let ns = |event: &Value, key: &str| (event[key].as_f64().unwrap() * 1000.0).round() as i64;
    let mut tracks: BTreeMap<String, Vec<(i64, i64)>> = BTreeMap::new();
    for event in merged["traceEvents"].as_array().unwrap().iter().filter(|e| e["ph"] == "X") {
        let (start, dur) = (ns(event, "ts"), ns(event, "dur"));
        let track = format!("{} {}", event["pid"], event["tid"]);
        tracks.entry(track).or_default().push((start, -(start + dur)));
    }
    for (track, mut slices) in tracks {
        slices.sort_unstable();
        let mut open: Vec<i64> = Vec::new();
        for (start, end) in slices.into_iter().map(|(start, end)| (start, -end)) {
            open.retain(|&outer| outer > start);
            assert!(open.last().is_none_or(|&outer| end <= outer), "{track}: {start} to {end}");
            open.push(end);
        }
    }
    let base = report["output"]["base_time_ns"].as_i64().unwrap();
    assert_eq!(merged["baseTimeNanoseconds"].as_i64(), Some(base));
}

/// Runs the program with a file as its standard input.
fn fed(input: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_omni-trace"))
        .args(args)
        .current_dir(root())
        .stdin(Stdio::from(std::fs::File::open(input).unwrap()))
        .output()
        .unwrap()
}

#[test]
fn standard_input_is_an_input() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (stage(0), stage(1));
    let out = dir.path().join("out.json.gz");
    let args =
        ["merge", "-", text(&b), "--stage-of=-=0", "--stage-of", "stage_1=1", "-o", text(&out)];
    let output = fed(&a, &args);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && stderr.contains("temporary file"), "{stderr}");
    let read = parts(&out);
    assert_eq!(read[0].merged_from.as_deref(), Some("-"));
    assert!(read[0].store == read_input(&a, &options()).unwrap().store);

    let (from_pipe, from_file) = (dir.path().join("pipe.json"), dir.path().join("file.json"));
    assert!(fed(&a, &["slim", "-", "-q", "-o", text(&from_pipe)]).status.success());
    assert!(omni_trace(&["slim", text(&a), "-q", "-o", text(&from_file)]).status.success());
    assert!(std::fs::read(&from_pipe).unwrap() == std::fs::read(&from_file).unwrap());
    // Nothing is left beside the outputs.
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 3);

    let output = fed(Path::new("/dev/null"), &["slim", "-", "-o", text(&out)]);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr.contains("- is empty"), "{stderr}");
}

#[test]
fn hand_offs_in_one_direction_determine_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let [a, b, c] = [0, 1, 2].map(stage);
    let out = dir.path().join("out.json.gz");
    let report = merge(&[&a, &b, &c], &out, &[]);
    for (row, reference, at_most_ns) in [(1, 0, 418_235), (2, 1, 418_494)] {
        let row = &report["inputs"][row];
        assert_eq!(row["clock_source"], "handoffs_one_way");
        assert_eq!((&row["offset_ns"], &row["correction_ns"]), (&Value::Null, &Value::from(0)));
        assert_eq!(row["offset_at_most_ns"], at_most_ns);
        assert_eq!(
            (row["reference"].clone(), row["matched"].clone()),
            (reference.into(), 1.into())
        );
    }
    let note = report["warnings"][0].as_str().unwrap();
    assert!(note.contains("not determined") && note.contains("418"), "{note}");

    // A clock that is behind shows: its receive ends before the send began.
    let behind = dir.path().join("stage_1_llm_1790000300_rank0.pt.trace.json");
    let mut told = String::new();
    let file = std::fs::File::open(&b).unwrap();
    flate2::read::MultiGzDecoder::new(file).read_to_string(&mut told).unwrap();
    let base = |ns: &str| format!("\"baseTimeNanoseconds\": {ns}");
    assert!(told.contains(&base("1790857026000000000")));
    let told = told.replace(&base("1790857026000000000"), &base("1790857025990000000"));
    std::fs::write(&behind, told).unwrap();
    let report = merge(&[&a, &behind], &out, &[]);
    let row = &report["inputs"][1];
    assert_eq!(row["offset_at_most_ns"], 418_235 - 10_000_000);
    assert_eq!(row["correction_ns"], 0);
    let note = report["warnings"][0].as_str().unwrap();
    assert!(note.contains("received before it was sent"), "{note}");
}

/// A front end and a worker that hand work to and fro, on clocks `ahead_ns` apart; times under way between 20 and 150 us.
fn front_end_and_worker(dir: &Path, ahead_ns: i64) -> [PathBuf; 2] {
    let (mut front, mut worker) = (String::new(), String::new());
    let put = |text: &mut String, name: &str, from_ns: i64, to_ns: i64| {
        let comma = if text.is_empty() { "" } else { "," };
        write!(
            text,
            r#"{comma}{{"ph":"X","cat":"user_annotation","name":"{name}","pid":1,"tid":1,"ts":{}.{:03},"dur":{}.{:03}}}"#,
            from_ns / 1000,
            from_ns % 1000,
            (to_ns - from_ns) / 1000,
            (to_ns - from_ns) % 1000
        )
        .unwrap();
    };
    let mut seed = 7_u64;
    let mut under_way_ns = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        20_000 + (seed >> 40) as i64 % 130_000
    };
    let (mut here_ns, mut there_ns) = (5_000_000_000_i64, 5_000_000_000_i64);
    for _ in 0..20 {
        let sent_ns = here_ns;
        put(&mut front, "shm_broadcast: enqueue", sent_ns, sent_ns + 5_000);
        let got_ns = sent_ns + under_way_ns();
        put(&mut worker, "shm_broadcast: dequeue", there_ns + ahead_ns, got_ns + ahead_ns);
        put(
            &mut worker,
            "execute_context_1(3)_generation_0(0)",
            got_ns + 10_000 + ahead_ns,
            got_ns + 900_000 + ahead_ns,
        );
        let back_ns = got_ns + 950_000;
        put(&mut worker, "shm_broadcast: enqueue", back_ns + ahead_ns, back_ns + 4_000 + ahead_ns);
        let done_ns = back_ns + under_way_ns();
        put(&mut front, "shm_broadcast: dequeue", sent_ns + 6_000, done_ns);
        (here_ns, there_ns) = (done_ns + 30_000, back_ns + 6_000);
    }
    let names = [
        "vm_29563.async_llm.1795303071108960096.pt.trace.json",
        "1795303010159545032-rank-0.1795303072316031936.pt.trace.json",
    ];
    [(names[0], front), (names[1], worker)].map(|(name, events)| {
        let path = dir.join(name);
        let text = format!(r#"{{"schemaVersion":1,"baseTimeNanoseconds":1790857026000000000,"traceEvents":[{events}]}}"#);
        std::fs::write(&path, text).unwrap();
        path
    })
}

#[test]
fn known_shifts_are_recovered_by_hand_offs_in_both_directions() {
    for ahead_ns in [0, 10_000, 7_000_000, -3_000_000_000] {
        let dir = tempfile::tempdir().unwrap();
        let [front, worker] = front_end_and_worker(dir.path(), ahead_ns);
        let out = dir.path().join("out.json");
        let report = merge(&[&front, &worker], &out, &[]);
        let row = &report["inputs"][1];
        assert_eq!(
            (row["clock_source"].as_str(), row["matched"].as_u64()),
            (Some("handoffs"), Some(40))
        );
        let (offset_ns, error_ns) =
            (row["offset_ns"].as_i64().unwrap(), row["error_ns"].as_i64().unwrap());
        assert!(
            (offset_ns - ahead_ns).abs() <= error_ns,
            "{offset_ns} ± {error_ns}, is {ahead_ns}"
        );
        // As good as the shortest times under way of both directions allow.
        assert!((20_000..50_000).contains(&error_ns), "{error_ns}");
        let is_applied = offset_ns.abs() > error_ns;
        assert_eq!(is_applied, ahead_ns.abs() > 1_000_000);
        let expected = if is_applied { -offset_ns } else { 0 };
        assert_eq!(row["correction_ns"].as_i64(), Some(expected));
        let report = merge(&[&front, &worker], &out, &["--align", "base"]);
        assert_eq!(report["inputs"][1]["correction_ns"], 0);
    }
}

#[test]
fn instants_keep_their_scope_through_perfetto() {
    let dir = tempfile::tempdir().unwrap();
    let mut events = String::from(r#"{"ph":"X","name":"x","pid":1,"tid":1,"ts":1,"dur":9}"#);
    for scope in ["g", "p", "t"] {
        write!(
            events,
            r#",{{"ph":"i","s":"{scope}","name":"mark {scope}","pid":1,"tid":1,"ts":2}}"#
        )
        .unwrap();
    }
    let [from, packets, back] = ["a.json", "b.pftrace", "c.json"].map(|name| dir.path().join(name));
    std::fs::write(&from, format!(r#"{{"traceEvents":[{events}]}}"#)).unwrap();
    merge(&[&from], &packets, &[]);
    merge(&[&packets], &back, &[]);
    let read: Value = serde_json::from_str(&std::fs::read_to_string(&back).unwrap()).unwrap();
    let instants = read["traceEvents"].as_array().unwrap().iter().filter(|e| e["ph"] == "i");
    let scopes: Vec<(&str, &str)> =
        instants.map(|e| (e["name"].as_str().unwrap(), e["s"].as_str().unwrap())).collect();
    assert_eq!(scopes, [("mark g", "g"), ("mark p", "p"), ("mark t", "t")]);
}

/// Merges events that are given as text, to JSON. Gives the input, the output, its events and the report.
fn merged_events(dir: &Path, events: &str) -> (PathBuf, PathBuf, Vec<Value>, Value) {
    let (from, out) = (dir.join("from.json"), dir.join("out.json"));
    std::fs::write(&from, format!(r#"{{"schemaVersion":1,"traceEvents":[{events}]}}"#)).unwrap();
    let report = merge(&[&from], &out, &[]);
    let text = std::fs::read_to_string(&out).unwrap();
    assert!(!text.to_lowercase().contains("\\ud8"), "{text}");
    let mut read: Value = serde_json::from_str(&text).unwrap();
    let Value::Array(events) = read["traceEvents"].take() else { unreachable!("{read}") };
    (from, out, events, report)
}

/// Perfetto's importer takes tids for 32 bits without a sign and 0 for the pid, and text for another thread than the number.
#[test]
fn tids_that_importers_confuse_are_renumbered_and_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let tids = [
        "0",
        "1000",
        "\"1000\"",
        "-5",
        "4294967291",
        "4294967295",
        "4294967296",
        "\"0\"",
        "9223372036854775813",
        "170141183460469231731687303715884105727",
        "\"text\"",
        "1",
    ];
    let mut events = String::new();
    for (i, tid) in tids.iter().enumerate() {
        let comma = if i > 0 { "," } else { "" };
        let name = i;
        write!(
            events,
            r#"{comma}{{"ph":"X","name":"{name}","pid":594,"tid":{tid},"ts":{},"dur":1}}"#,
            2 * i
        )
        .unwrap();
        // A process without a thread of its new number keeps its thread 0.
        write!(events, r#",{{"ph":"X","name":"other","pid":8,"tid":0,"ts":1,"dur":1}}"#).unwrap();
    }
    let (from, out, written, _) = merged_events(dir.path(), &events);
    assert_parts_are(&[&from], &out);
    // Processes stand in the order of their pids: 8, then 594.
    let tid_of = |name: &str| {
        let event = written.iter().find(|event| event["name"] == name).unwrap();
        (event["pid"].as_u64().unwrap(), event["tid"].as_u64().unwrap())
    };
    assert_eq!(tid_of("other"), (1000, 0));
    let mut threads: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
    for i in 0..tids.len() {
        let (pid, tid) = tid_of(&i.to_string());
        assert_eq!(pid, 1001);
        assert!((1..=u64::from(u32::MAX)).contains(&tid) || tid == 0, "{tid}");
        threads.entry(tid).or_default().push(i);
    }
    let mut shared: Vec<Vec<usize>> = threads.into_values().filter(|of| of.len() > 1).collect();
    shared.sort();
    assert_eq!(shared, [vec![0, 7], vec![1, 2]]);
}

#[test]
fn thread_0_beside_a_thread_of_the_new_pid_is_renumbered_and_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let event = |name: &str, tid: u32| {
        format!(
            r#"{{"ph":"X","cat":"python_function","name":"{name}","pid":594,"tid":{tid},"ts":1,"dur":9}}"#
        )
    };
    let (from, out, written, _) = merged_events(
        dir.path(),
        &[event("idle", 0), event("main", 1000)].concat().replace("}{", "},{"),
    );
    assert_parts_are(&[&from], &out);
    let tid =
        |name: &str| written.iter().find(|event| event["name"] == name).unwrap()["tid"].clone();
    assert_eq!((tid("idle"), tid("main")), (1_000_000_000.into(), 1000.into()));
    let zero = omni_trace::store::TrackId::Int(0);
    assert!(parts(&out)[0].store.tracks.iter().any(|track| track.tid == zero));
}

#[test]
fn large_flow_ids_are_hex_text_and_surrogates_are_characters() {
    let dir = tempfile::tempdir().unwrap();
    let events = r#"{"ph":"X","name":"\ud83d\ude00 \u00e9","pid":1,"tid":1,"ts":1,"dur":9,"args":{"k\ud83d\ude00":["\ud83d\ude00"]}},
        {"ph":"X","name":"b","pid":1,"tid":2,"ts":1,"dur":9},
        {"ph":"s","cat":"c","name":"c","id":18446744073709551615,"pid":1,"tid":1,"ts":1},
        {"ph":"f","cat":"c","name":"c","id":18446744073709551615,"pid":1,"tid":2,"ts":2,"bp":"e"},
        {"ph":"s","cat":"c","name":"c","id":9223372036854775807,"pid":1,"tid":1,"ts":3}"#;
    let (from, out, written, _) = merged_events(dir.path(), events);
    assert_parts_are(&[&from], &out);
    let ids: Vec<&Value> =
        written.iter().filter(|event| event["cat"] == "c").map(|event| &event["id"]).collect();
    assert_eq!(
        ids,
        ["0xffffffffffffffff", "0xffffffffffffffff"]
            .map(Value::from)
            .iter()
            .chain([&i64::MAX.into()])
            .collect::<Vec<_>>()
    );
    let text = std::fs::read_to_string(&out).unwrap();
    assert!(text.contains(r#""name":"😀 \u00e9""#) && text.contains(r#""k😀":["😀"]"#), "{text}");
    // Moved by an offset of ids, over the border.
    let again = dir.path().join("two.json");
    merge(&[&from, &stage(0)], &again, &[]);
    assert_parts_are(&[&from, &stage(0)], &again);
}

/// Importers give up a file at a time that is none; reading counts such events, and they are not written on.
#[test]
fn events_without_a_usable_time_are_left_out_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    let events = r#"{"ph":"M","name":"process_name","pid":1,"tid":1,"ts":NaN,"args":{"name":"p"}},
        {"ph":"X","name":"gone","pid":1,"tid":1,"ts":NaN,"dur":1},
        {"ph":"X","name":"gone","pid":1,"tid":1,"dur":1},
        {"ph":"X","name":"gone","pid":1,"tid":1,"ts":1,"dur":Infinity},
        {"ph":"i","name":"gone","pid":1,"tid":1,"ts":null,"s":"t"},
        {"name":"gone","pid":1,"tid":1,"ts":1},
        {"ph":"X","name":"zero","pid":1,"tid":1,"ts":1},
        {"ph":"X","name":"zero","pid":1,"tid":1,"ts":2,"dur":-7},
        {"ph":"X","name":"kept","pid":1,"tid":1,"ts":3,"dur":2.5,"tts":NaN,"tdur":1.5}"#;
    let (from, out, written, report) = merged_events(dir.path(), events);
    let of = |name: &str| -> Vec<&Value> {
        written.iter().filter(|event| event["name"] == name).collect()
    };
    assert!(of("gone").is_empty(), "{written:?}");
    assert_eq!(of("zero").iter().map(|event| &event["dur"]).collect::<Vec<_>>(), [0, 0]);
    assert_eq!((&of("kept")[0]["dur"], &of("kept")[0]["tdur"]), (&2.5.into(), &1.5.into()));
    assert_eq!(of("kept")[0].get("tts"), None);
    assert!(
        written.iter().all(|event| event["ts"].is_number() || event["ph"] == "M"),
        "{written:?}"
    );
    let issue = |kind: &str| {
        let issues = report["issues"].as_array().unwrap();
        issues.iter().find(|issue| issue["kind"] == kind).unwrap()["count"].as_u64().unwrap()
    };
    assert_eq!(
        (issue("bad_timestamp"), issue("negative_duration"), issue("unreadable_event")),
        (4, 1, 1)
    );
    let (a, b) = (read_input(&from, &options()).unwrap().store, &parts(&out)[0].store);
    assert!(a.slices == b.slices && a.tracks == b.tracks);
}
