//! Merging: what comes out is what went in, to the nanosecond, and an independent reader accepts it.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;
mod merging;
mod program;

use std::path::{Path, PathBuf};

use merging::{assert_parts_are, merge, options, parts, text};
use omni_trace::read::{Input, read_input};
use program::omni_trace;

#[test]
fn every_real_trace_survives() {
    let dir = tempfile::tempdir().unwrap();
    for path in common::real_traces() {
        if std::fs::metadata(&path).unwrap().len() > 3_000_000 {
            continue;
        }
        let out = dir.path().join("out.json.gz");
        merge(&[&path], &out, &[]);
        assert_parts_are(&[&path], &out);
    }
}

/// The traces of a set, in the order of their names.
fn set(folder: &str, wanted: &str) -> Vec<PathBuf> {
    let Some(root) = common::shared_traces() else { return Vec::new() };
    let all = common::real_traces();
    let mut found: Vec<PathBuf> = all
        .into_iter()
        .filter(|path| {
            path.starts_with(&root) && text(path).contains(folder) && text(path).contains(wanted)
        })
        .collect();
    found.sort();
    assert!(!found.is_empty(), "no traces in {folder}");
    found
}

fn refs(paths: &[PathBuf]) -> Vec<&Path> {
    paths.iter().map(PathBuf::as_path).collect()
}

#[test]
fn real_sets_merge_and_come_apart_again() {
    let dir = tempfile::tempdir().unwrap();
    if common::shared_traces().is_none() {
        return;
    }
    for (folder, wanted, n) in [
        ("dlrm_8rank", "", 8),
        ("py_pipe_tiny", "stage_", 3),
        ("py_pipe_tp2", "stage_", 4),
        ("py_nccl_x2", "nccl_bench", 2),
    ] {
        let paths = set(folder, wanted);
        assert_eq!(paths.len(), n, "{folder}");
        for name in ["out.json", "out.json.gz"] {
            let out = dir.path().join(name);
            merge(&refs(&paths), &out, &[]);
            assert_parts_are(&refs(&paths), &out);
        }
        let out = dir.path().join("out.pftrace");
        merge(&refs(&paths), &out, &[]);
        assert_same_events(&refs(&paths), &out);
        // And back: what went through Perfetto's format is JSON again, and the other way round.
        let back = dir.path().join("back.json.gz");
        merge(&[&out], &back, &[]);
        assert_same_events(&refs(&paths), &back);
        merge(&[&back], &out, &[]);
        assert_same_events(&refs(&paths), &out);
    }
}

/// As `assert_parts_are`, but for what Perfetto's format has no place for: the number of metadata events.
fn assert_same_events(paths: &[&Path], merged: &Path) {
    let parts = parts(merged);
    assert_eq!(parts.len(), paths.len());
    for part in parts {
        let of = part.merged_from.as_deref().unwrap();
        let original = read_input(Path::new(of), &options()).unwrap();
        assert_eq!(
            part.diag.issues().collect::<Vec<_>>(),
            original.diag.issues().collect::<Vec<_>>(),
            "{of}"
        );
        let (a, b) = (&original.store, &part.store);
        assert_eq!(a.meta, b.meta, "{of}");
        assert_eq!(lines(a), lines(b), "{of}");
    }
}

/// Every event of a store in words, in its order.
fn lines(store: &omni_trace::store::Store) -> Vec<String> {
    let text = |id| store.strings.get(id);
    let mut lines = Vec::new();
    for track in &store.tracks {
        let (pid, tid) = (store.track_id_text(&track.pid), store.track_id_text(&track.tid));
        lines.push(format!(
            "{pid} {tid} {:?} {:?} {:?}",
            track.process_name.map(text),
            track.process_labels.map(text),
            track.thread_name.map(text)
        ));
        for slice in track.slices.clone() {
            let shapes = store
                .shapes_of(slice)
                .map(|s| [s.dims, s.types, s.strides, s.concrete].map(|s| s.map(text)));
            lines.push(format!(
                "{} {} {} {} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?}",
                store.slices.ts_ns[slice],
                store.slices.dur_ns(slice),
                store.category(slice),
                store.name(slice),
                store.correlation(slice),
                store.external_id(slice),
                store.python_id(slice),
                store.python_parent_id(slice),
                store.sequence_number(slice),
                store.device_row(slice).map(|row| (
                    row.device,
                    row.stream,
                    row.config.map(|c| store.launch_configs[c as usize])
                )),
                store.copy_row(slice).map(|row| (row.bytes, row.from_device, row.to_device)),
                shapes,
            ));
            if let Some(row) = store.collective_row(slice) {
                lines.push(format!(
                    "{:?} {:?} {:?} {:?}",
                    text(row.name),
                    row.seq,
                    row.in_elements,
                    row.group_ranks.map(text)
                ));
            }
        }
    }
    for flow in &store.flows {
        lines.push(format!(
            "{} {} {} {:?} {}",
            flow.ts_ns,
            flow.track,
            text(flow.category),
            flow.phase,
            flow.id
        ));
    }
    for instant in &store.instants {
        lines.push(format!(
            "{} {} {} {:?}",
            instant.ts_ns,
            instant.track,
            text(instant.name),
            instant.category.map(text)
        ));
    }
    lines.extend(store.memory.iter().map(|row| format!("{row:?}")));
    lines
}

#[test]
fn threads_change_no_byte() {
    let Some(_) = common::shared_traces() else { return };
    let dir = tempfile::tempdir().unwrap();
    let paths = set("py_nccl_x2", "nccl_bench");
    for name in ["out.json", "out.json.gz", "out.pftrace"] {
        let out = dir.path().join(name);
        let mut first: Option<Vec<u8>> = None;
        for threads in ["1", "2", "7"] {
            merge(&refs(&paths), &out, &["--threads", threads]);
            let bytes = std::fs::read(&out).unwrap();
            assert!(first.get_or_insert(bytes.clone()) == &bytes, "{name} {threads}");
        }
    }
}

/// Ends of each rank's collectives in nanoseconds of the merged time line, by the order of their starts.
fn collective_ends(part: &Input, shift_ns: i64) -> Vec<i64> {
    let store = &part.store;
    let mut calls: Vec<(i64, i64)> = store
        .device_rows
        .iter()
        .map(|row| row.slice as usize)
        .filter(|&slice| store.name(slice).contains("nccl"))
        .map(|slice| (store.slices.ts_ns[slice], store.slices.end_ns(slice) + shift_ns))
        .collect();
    calls.sort_unstable();
    calls.into_iter().map(|(_, end)| end).collect()
}

#[test]
fn known_shifts_of_eight_ranks_are_recovered() {
    let Some(_) = common::shared_traces() else { return };
    let dir = tempfile::tempdir().unwrap();
    let paths = set("dlrm_8rank", "");
    let out = dir.path().join("out.json.gz");
    let before = merge(&refs(&paths), &out, &[]);
    let shifts: Vec<i64> = (0..8)
        .map(|rank| [0, 3, -7, 1_000_000, -50_000_000, 20_000, -19_000, 123_456_789][rank] * 1_000)
        .collect();
    let shifted: Vec<PathBuf> = paths
        .iter()
        .zip(&shifts)
        .map(|(path, &shift_ns)| {
            let target = dir
                .path()
                .join(path.file_name().unwrap())
                .with_extension("")
                .with_extension("json");
            std::fs::write(&target, with_times_shifted(path, shift_ns)).unwrap();
            target
        })
        .collect();
    let after = merge(&refs(&shifted), &out, &[]);
    for rank in 0..8 {
        let row = |report: &serde_json::Value| report["inputs"][rank].clone();
        if rank == 0 {
            assert!(row(&after)["offset_ns"].is_null());
            continue;
        }
        let number = |value: &serde_json::Value| value.as_i64().unwrap();
        let found = number(&row(&after)["offset_ns"]);
        let error = number(&row(&after)["error_ns"]);
        assert!(error < 10_000, "rank {rank}: {error}");
        assert!(
            (found - shifts[rank]).abs() <= error,
            "rank {rank}: {found} ± {error}, shifted {}",
            shifts[rank]
        );
        assert_eq!(found - number(&row(&before)["offset_ns"]), shifts[rank]);
        let applied = number(&row(&after)["correction_ns"]);
        assert_eq!(applied, if found.abs() > error { -found } else { 0 });
    }
    // Brute force: the ends of every collective agree within the error bar once the corrections are applied.
    let ends: Vec<Vec<i64>> = shifted
        .iter()
        .enumerate()
        .map(|(rank, path)| {
            let offset = after["inputs"][rank]["offset_ns"].as_i64().unwrap_or(0);
            collective_ends(&read_input(path, &options()).unwrap(), -offset)
        })
        .collect();
    for rank in 1..8 {
        let error = after["inputs"][rank]["error_ns"].as_i64().unwrap();
        assert!(ends[rank].len() >= 8);
        for (a, b) in ends[0].iter().zip(&ends[rank]) {
            assert!((a - b).abs() <= error, "rank {rank}: {a} {b} ± {error}");
        }
    }
}

/// A trace with every `ts` moved, by an implementation that shares nothing with the program's.
fn with_times_shifted(path: &Path, shift_ns: i64) -> String {
    let mut bytes = std::fs::read(path).unwrap();
    if bytes.starts_with(&[0x1f, 0x8b]) {
        let mut text = Vec::new();
        std::io::Read::read_to_end(
            &mut flate2::read::MultiGzDecoder::new(bytes.as_slice()),
            &mut text,
        )
        .unwrap();
        bytes = text;
    }
    let mut value: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    for event in value["traceEvents"].as_array_mut().unwrap() {
        if let Some(us) = event.get("ts").and_then(serde_json::Value::as_i64) {
            event["ts"] = (us + shift_ns / 1_000).into();
        }
    }
    value.to_string()
}

#[test]
fn same_claims_are_refused_and_missing_ranks_named() {
    let dir = tempfile::tempdir().unwrap();
    let trace = |rank: u32| {
        format!(
            r#"{{"schemaVersion":1,"distributedInfo":{{"rank":{rank},"world_size":4}},"traceEvents":[{{"ph":"X","cat":"cpu_op","name":"a","pid":1,"tid":1,"ts":1.5,"dur":2,"args":{{"External id":0}}}}]}}"#
        )
    };
    let path = |name: &str, rank| {
        let path = dir.path().join(name);
        std::fs::write(&path, trace(rank)).unwrap();
        path
    };
    let (a, b, c) = (path("a.json", 0), path("b.json", 0), path("c.json", 3));
    let out = dir.path().join("out.json");
    let output = omni_trace(&["merge", text(&a), text(&b), "-o", text(&out)]);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("a.json") && stderr.contains("b.json") && !out.exists(), "{stderr}");
    let report = merge(&[&a, &b, &c], &out, &["--keep-duplicates"]);
    assert_eq!(report["warnings"][0], "ranks 1, 2 of 4 missing");
    assert_eq!(report["inputs"][1]["label"], "rank 0 (2)");
    assert_parts_are(&[&a, &b, &c], &out);
    let report = merge(&[&a, &b], &out, &["--stage-of", "b.json=1", "--label", "b.json=talker"]);
    assert_eq!(report["inputs"][1]["label"], "stage 1 talker · rank 0");
}

#[test]
fn an_output_that_cannot_be_written_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let input = dir.path().join("rank0.json");
    std::fs::write(
        &input,
        r#"{"traceEvents":[{"ph":"X","name":"a","pid":1,"tid":1,"ts":1,"dur":2}]}"#,
    )
    .unwrap();
    for out in ["no/such/folder/out.json", "out.unknown", "rank0.json"] {
        let out = dir.path().join(out);
        let output = omni_trace(&["merge", text(&input), "-o", text(&out)]);
        assert_eq!(output.status.code(), Some(2), "{}", out.display());
        assert!(String::from_utf8_lossy(&output.stderr).contains("hint: "));
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    if Path::new("/dev/full").exists() {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_omni-trace"))
            .args(["merge", text(&input), "-o", "-", "-q"])
            .stdout(std::fs::File::options().write(true).open("/dev/full").unwrap())
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert!(String::from_utf8_lossy(&output.stderr).contains("No space left"));
    }
}

/// What Python's own reader makes of a merged file; `None`, said aloud, where there is no Python.
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn python_view(path: &Path) -> Option<serde_json::Value> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle/merged_json.py");
    let Ok(output) = std::process::Command::new("python3").arg(script).arg(path).output() else {
        assert!(std::env::var_os("CI").is_none(), "under CI python3 must be there");
        eprintln!("SKIPPED: no python3");
        return None;
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

#[test]
fn python_reads_what_is_merged_and_finds_no_rule_broken() {
    if common::shared_traces().is_none() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut sets: Vec<Vec<PathBuf>> = [
        ("dlrm_8rank", ""),
        ("py_pipe_tiny", "stage_"),
        ("py_nccl_x2", "nccl_overlap"),
        ("v012_tp2_env", ""),
    ]
    .iter()
    .map(|(folder, wanted)| set(folder, wanted))
    .collect();
    // Every oddity on its own: overlapping kernels, idle threads on thread 0, unescaped quotes, old schemas.
    let small = |path: &PathBuf| std::fs::metadata(path).unwrap().len() < 700_000;
    sets.extend(common::real_traces().into_iter().filter(small).map(|path| vec![path]));
    for paths in sets {
        for name in ["out.json", "out.json.gz"] {
            let out = dir.path().join(name);
            merge(&refs(&paths), &out, &[]);
            let Some(view) = python_view(&out) else { return };
            assert_eq!(view["broken"], serde_json::json!([]), "{paths:?}");
            let counts: Vec<u64> =
                parts(&out).iter().map(|part| part.store.slices.len() as u64).collect();
            assert_eq!(view["counts"], serde_json::json!(counts), "{paths:?}");
        }
    }
}

#[test]
fn ids_of_inputs_never_meet_and_zero_stays_none() {
    let dir = tempfile::tempdir().unwrap();
    let trace = |rank: u32| {
        format!(
            r#"{{"distributedInfo":{{"rank":{rank}}},"baseTimeNanoseconds":{},"traceEvents":[
            {{"ph":"X","cat":"cuda_runtime","name":"l","pid":1,"tid":1,"ts":1.5,"dur":2,"args":{{"correlation":5,"External id":0,"odd \u00e9":[1, {{"x":"y"}}]}},"unknown":{{"a":1}}}},
            {{"ph":"X","cat":"kernel","name":"k","pid":0,"tid":7,"ts":2.5,"dur":2,"args":{{"correlation":5,"External id":9}}}},
            {{"ph":"X","cat":"python_function","name":"p","pid":1,"tid":1,"ts":0.5,"dur":9,"args":{{"Python id":0,"Python parent id":null}}}},
            {{"ph":"s","cat":"ac2g","name":"ac2g","id":5,"pid":1,"tid":1,"ts":1.5}},
            {{"ph":"f","cat":"ac2g","name":"ac2g","id":5,"pid":0,"tid":7,"ts":2.5,"bp":"e"}}]}}"#,
            1_790_857_026_000_000_000_i64 + i64::from(rank) * 7_889_238_000_000_000
        )
    };
    let paths: Vec<PathBuf> = (0..2)
        .map(|rank| {
            let path = dir.path().join(format!("rank{rank}.json"));
            std::fs::write(&path, trace(rank)).unwrap();
            path
        })
        .collect();
    let out = dir.path().join("out.json");
    merge(&refs(&paths), &out, &[]);
    assert_parts_are(&refs(&paths), &out);
    let value: serde_json::Value = serde_json::from_slice(&std::fs::read(&out).unwrap()).unwrap();
    let events: Vec<_> =
        value["traceEvents"].as_array().unwrap().iter().filter(|e| e["ph"] != "M").collect();
    assert_eq!(events.len(), 10);
    assert_eq!(events[5]["args"]["correlation"], 15);
    assert_eq!(events[5]["args"]["External id"], 0);
    assert_eq!(events[5]["args"]["odd é"], serde_json::json!([1, {"x": "y"}]));
    assert_eq!(events[5]["unknown"], serde_json::json!({"a": 1}));
    assert_eq!(events[6]["args"]["External id"], 19);
    assert_eq!(events[7]["args"]["Python id"], 10);
    assert_eq!(events[7]["args"]["Python parent id"], serde_json::Value::Null);
    assert_eq!((&events[8]["id"], &events[9]["id"]), (&15.into(), &15.into()));
    assert_eq!(events[9]["bp"], "e");
    // The bases are a quarter apart.
    let ts =
        value["traceEvents"].as_array().unwrap().iter().filter(|e| e["ph"] == "X").nth(3).unwrap()
            ["ts"]
            .as_f64();
    assert_eq!(ts, Some(7_889_238_000_001.5));
}

#[test]
fn analyze_of_the_merged_file_is_that_of_its_inputs() {
    if common::shared_traces().is_none() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let paths = set("py_pipe_tp2", "stage_");
    let analyze = |paths: &[&Path]| {
        let mut args = vec!["analyze", "--format", "json"];
        args.extend(paths.iter().map(|path| text(path)));
        let output = omni_trace(&args);
        assert!(output.status.success());
        serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap()
    };
    let expected = analyze(&refs(&paths));
    assert!(!expected["kernels"].as_array().unwrap().is_empty());
    for name in ["out.json.gz", "out.pftrace"] {
        let out = dir.path().join(name);
        merge(&refs(&paths), &out, &[]);
        let merged = analyze(&[&out]);
        let tables = expected.as_object().unwrap();
        for (key, table) in tables.iter().filter(|(key, _)| *key != "inputs") {
            assert_eq!(table, &merged[key], "{key}");
        }
        for (a, b) in
            expected["inputs"].as_array().unwrap().iter().zip(merged["inputs"].as_array().unwrap())
        {
            let mut same = vec![
                "stage",
                "rank",
                "world_size",
                "pids",
                "base_time_ns",
                "window_ns",
                "truncated",
            ];
            // Perfetto keeps one name a process, whatever the number of events that said it.
            same.extend((name == "out.json.gz").then_some("events"));
            for key in same {
                assert_eq!(a[key], b[key], "{key}");
            }
        }
    }
}

/// An input as writers for Ascend and XLA have it: ids under their own names, flows with ids that are text.
fn with_other_ids(rank: u32) -> String {
    format!(
        r#"{{"distributedInfo":{{"rank":{rank}}},"traceEvents":[
        {{"ph":"X","name":"Node@launch","pid":1,"tid":1,"ts":1,"dur":2,"args":{{"connection_id":7,"correlation_id":3}}}},
        {{"ph":"X","name":"k","pid":5,"tid":7,"ts":5,"dur":2,"args":{{"connection_id":7,"correlationId":4,"Correlation ID":6,"Task Type":"AI_CORE"}}}},
        {{"ph":"X","name":"m","pid":5,"tid":7,"ts":8,"dur":2,"args":{{"connection_id":0,"correlation":0,"Task Type":"AI_CORE"}}}},
        {{"ph":"s","cat":"HostToDevice","name":"a","id":"HostToDevice7","pid":1,"tid":1,"ts":1}},
        {{"ph":"f","cat":"HostToDevice","name":"a","id":"HostToDevice7","pid":5,"tid":7,"ts":5,"bp":"e"}},
        {{"ph":"s","cat":"async_npu","name":"a","id":"1f","pid":1,"tid":1,"ts":2}},
        {{"ph":"f","cat":"async_npu","name":"a","id":"1f","pid":5,"tid":7,"ts":8,"bp":"e"}}]}}"#
    )
}

#[test]
fn ids_under_other_names_are_renumbered_and_the_file_says_which() {
    let dir = tempfile::tempdir().unwrap();
    let paths = [0, 1].map(|rank| dir.path().join(format!("rank{rank}.json")));
    for (rank, path) in (0..).zip(&paths) {
        std::fs::write(path, with_other_ids(rank)).unwrap();
    }
    let out = dir.path().join("out.json");
    let report = merge(&refs(&paths), &out, &[]);
    assert_parts_are(&refs(&paths), &out);
    let by = report["inputs"][1]["id_offset"].as_u64().unwrap();
    assert!(by > 0);
    let read = |path: &Path| -> serde_json::Value {
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
    };
    let mut merged = read(&out);
    let of_second = |event: &&mut serde_json::Value| {
        event["ph"] != "M" && event["pid"].as_i64().is_some_and(|pid| pid >= 2000)
    };
    let ids = ["connection_id", "correlation_id", "correlationId", "Correlation ID"];
    let mut seen = 0;
    for event in merged["traceEvents"].as_array_mut().unwrap().iter_mut().filter(of_second) {
        for (key, was) in ids.into_iter().zip([7, 3, 4, 6]) {
            let Some(id) = event["args"][key].as_u64() else { continue };
            // A zero among connections is an id.
            let was = if event["name"] == "m" { 0 } else { was };
            assert_eq!(id, was + by, "{key}");
            event["args"][key] = serde_json::json!(was);
            seen += 1;
        }
    }
    assert_eq!(seen, 6);
    let listed = merged["omniTraceInputs"][1]["renumbered"].as_array().unwrap();
    assert!(ids.iter().all(|key| listed.iter().any(|known| known == key)), "{listed:?}");

    // Versions before that list renumbered none of these four: what they wrote is read as they wrote it.
    for part in merged["omniTraceInputs"].as_array_mut().unwrap() {
        part.as_object_mut().unwrap().remove("renumbered");
    }
    std::fs::write(&out, merged.to_string()).unwrap();
    assert_parts_are(&refs(&paths), &out);
}
