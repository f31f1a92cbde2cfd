//! What `analyze` tells of waiting, from outside: leaving it out reconciles, rules can be changed, inputs are held against
//! each other, and every table is there in every format.

mod program;

use std::collections::BTreeMap;

use program::omni_trace;
use serde_json::Value;

const PIPELINE: &str = "fixtures/pipeline";
const TWO_RANKS: &str = "fixtures/vllm_tp2_step";

/// Every table of `analyze`.
const TABLES: [&str; 18] = [
    "inputs",
    "trust",
    "breakdown",
    "excluded",
    "devices",
    "idle",
    "idle_gaps",
    "threads",
    "waits",
    "iteration_summary",
    "iterations",
    "components",
    "key_averages",
    "kernels",
    "copies",
    "blame",
    "stragglers",
    "issues",
];

/// Exit code, standard output and standard error of a run.
fn run(args: &[&str]) -> (i32, String, String) {
    let output = omni_trace(args);
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("the program writes UTF-8");
    let code = output.status.code().expect("it was not killed");
    (code, text(output.stdout), text(output.stderr))
}

fn json_of(inputs: &[&str], more: &[&str]) -> Value {
    let mut args = vec!["analyze"];
    args.extend(inputs);
    args.extend(["--format", "json", "--quiet"]);
    args.extend(more);
    let (code, stdout, stderr) = run(&args);
    assert_eq!(code, 0, "{args:?}: {stderr}");
    serde_json::from_str(&stdout).expect("the machine output is JSON")
}

fn rows<'a>(report: &'a Value, key: &str) -> &'a Vec<Value> {
    report[key].as_array().unwrap_or_else(|| panic!("`{key}` is a list"))
}

fn int(row: &Value, key: &str) -> i64 {
    row[key].as_i64().unwrap_or_else(|| panic!("`{key}` is an integer in {row}"))
}

fn sum(rows: &[Value], key: &str) -> i64 {
    rows.iter().map(|row| int(row, key)).sum()
}

/// `column` less what was left out of it must be what it was, row by row.
fn assert_reconciles(whole: &[Value], kept: &[Value], column: &str, excluded: &str) {
    assert_eq!(whole.len(), kept.len());
    for (whole, kept) in whole.iter().zip(kept) {
        assert_eq!(int(whole, column), int(kept, column) + int(kept, excluded), "{whole}\n{kept}");
        assert_eq!(int(whole, excluded), 0);
    }
}

/// The rows by what they are of; rows that are gone from a table are those that have no partner.
fn by_name(rows: &[Value]) -> BTreeMap<(String, String, bool), &Value> {
    rows.iter()
        .map(|row| {
            let text = |key: &str| row[key].as_str().expect("names are words").to_owned();
            ((text("name"), text("device_type"), row["is_annotation"] == true), row)
        })
        .collect()
}

fn check_profiler_table(whole: &Value, kept: &Value) {
    let (all, left) = (rows(whole, "key_averages"), rows(kept, "key_averages"));
    let n_gone = (all.len() - left.len()) as i64;
    assert_eq!(int(&kept["totals"], "excluded_rows"), n_gone);
    let left = by_name(left);
    for (name, row) in by_name(all) {
        let Some(left) = left.get(&name) else { continue };
        let excluded = left["excluded_cpu_ns"].as_i64().unwrap_or(0);
        assert_eq!(int(row, "cpu_total_ns"), int(left, "cpu_total_ns") + excluded, "{row}\n{left}");
        for same in ["count", "self_device_ns", "device_total_ns"] {
            assert_eq!(row[same], left[same], "{row}\n{left}");
        }
    }
    let (all, left) = (&whole["totals"], &kept["totals"]);
    let excluded = int(left, "excluded_self_cpu_ns");
    assert_eq!(int(all, "self_cpu_ns"), int(left, "self_cpu_ns") + excluded);
    assert_eq!(all["self_device_ns"], left["self_device_ns"]);
    assert_eq!(sum(rows(kept, "key_averages"), "self_cpu_ns"), int(left, "self_cpu_ns"));
}

/// Everything that is left out of a report of these inputs, against the whole.
fn check_exclusion(inputs: &[&str], classes: &str) -> Value {
    let whole = json_of(inputs, &[]);
    let kept = json_of(inputs, &["--exclude", classes]);
    for untouched in ["devices", "kernels", "waits", "idle_gaps", "trust", "blame", "stragglers"] {
        assert_eq!(whole[untouched], kept[untouched], "{untouched}");
    }
    let tables = [("threads", "window_ns"), ("breakdown", "total_ns"), ("iterations", "cpu_ns")];
    for (table, column) in tables {
        assert_reconciles(rows(&whole, table), rows(&kept, table), column, "excluded_ns");
    }
    for thread in rows(&kept, "threads") {
        let classes = rows(thread, "classes").iter().filter(|class| !class["ns"].is_null());
        assert_eq!(classes.map(|class| int(class, "ns")).sum::<i64>(), int(thread, "window_ns"));
    }
    let sorted = |report: &Value| {
        let mut rows = rows(report, "components").clone();
        rows.sort_by_key(|row| row["name"].to_string());
        rows
    };
    assert_reconciles(&sorted(&whole), &sorted(&kept), "total_ns", "excluded_ns");
    check_profiler_table(&whole, &kept);
    let totals = &kept["totals"];
    assert_eq!(sum(rows(&kept, "excluded"), "excluded_ns"), int(totals, "excluded_ns"));
    assert_eq!(sum(rows(&kept, "threads"), "excluded_ns"), int(totals, "excluded_ns"));
    let of_ipc = |totals: &Value, key: &str| totals[key].as_i64().unwrap_or(0);
    assert_eq!(
        of_ipc(&whole["totals"], "ipc_wait_ns"),
        of_ipc(totals, "ipc_wait_ns") + int(totals, "excluded_ipc_wait_ns")
    );
    kept
}

#[test]
fn what_is_left_out_reconciles_to_the_nanosecond() {
    let rust = "fixtures/h100_rust_light/cap_light.pt.trace.json.gz";
    let stage = "fixtures/pipeline/stage_1_llm_1790000300_rank0.pt.trace.json.gz";
    for inputs in [&[PIPELINE][..], &[TWO_RANKS], &[stage], &[rust], &[PIPELINE, TWO_RANKS]] {
        for classes in ["ipc_wait", "gpu_sync,ipc_wait,python", "other_wait", "unattributed"] {
            check_exclusion(inputs, classes);
        }
    }
    let kept = check_exclusion(&[PIPELINE], "ipc_wait");
    for row in rows(&kept, "excluded") {
        let waits = rows(&kept, "waits").iter();
        let mine =
            waits.filter(|wait| wait["input"] == row["input"] && wait["class"] == "ipc_wait");
        let net: i64 = mine.map(|wait| int(wait, "net_ns")).sum();
        assert!(net > 30_000_000);
        assert_eq!(int(row, "excluded_ns"), net, "one work thread: its waits less the unpacking");
    }
    assert_eq!(kept, json_of(&[PIPELINE], &["--exclude-ipc-wait"]));
}

#[test]
fn a_part_of_the_window_reconciles_too() {
    for classes in ["ipc_wait", "module_loading,python"] {
        let whole = json_of(&[PIPELINE], &["--window", "3ms..21.5ms"]);
        let kept = json_of(&[PIPELINE], &["--window", "3ms..21.5ms", "--exclude", classes]);
        assert_reconciles(
            rows(&whole, "threads"),
            rows(&kept, "threads"),
            "window_ns",
            "excluded_ns",
        );
        check_profiler_table(&whole, &kept);
    }
}

/// The spinning of the workers and the pipe that their monitor threads sit in are what hides the work.
#[test]
fn waits_and_helpers_leave_the_profiler_table() {
    let whole = json_of(&[TWO_RANKS], &[]);
    let kept = json_of(&[TWO_RANKS], &["--exclude-ipc-wait"]);
    let total = |report: &Value, part: &str| {
        let found = rows(report, "key_averages").iter();
        found
            .filter(|row| row["name"].to_string().contains(part))
            .map(|r| int(r, "cpu_total_ns"))
            .sum::<i64>()
    };
    assert!(total(&whole, "): _recv") > 60_000_000);
    assert!(total(&whole, "sched_yield") > 5_000_000);
    assert_eq!((total(&kept, "): _recv"), total(&kept, "sched_yield")), (0, 0));
    // What is left of a dequeue is the unpacking in it.
    let (before, after) = (total(&whole, "): dequeue"), total(&kept, "): dequeue"));
    assert_eq!(before - after, int(&kept["totals"], "excluded_ipc_wait_ns"));
    assert!(after > 0);
    let (_, text, _) = run(&["analyze", TWO_RANKS, "--exclude-ipc-wait", "--full"]);
    assert!(
        text.contains("Left out of the work threads") && text.contains("rows were nothing else")
    );
    assert!(!text.contains("): _recv"));
}

#[test]
fn what_makes_no_sense_is_refused() {
    let refused = |args: &[&str], words: &[&str]| {
        let (code, stdout, stderr) = run(args);
        assert_eq!((code, stdout.as_str()), (2, ""), "{args:?}");
        assert!(
            stderr.starts_with("error: ") && words.iter().all(|w| stderr.contains(w)),
            "{stderr}"
        );
    };
    refused(
        &["analyze", PIPELINE, "--torch-layout", "--exclude-ipc-wait"],
        &["--torch-layout", "hint: "],
    );
    refused(&["analyze", PIPELINE, "--exclude", "cpu_op"], &["operators"]);
    refused(&["analyze", PIPELINE, "--exclude", "dequeue"], &["`dequeue` is no class", "ipc_wait"]);
    refused(&["analyze", PIPELINE, "--print-wait-rules"], &["--print-wait-rules"]);
}

#[test]
fn the_rules_of_waiting_are_shown_and_extended() {
    let (code, rules, _) = run(&["analyze", "--print-wait-rules"]);
    assert_eq!(code, 0);
    assert_eq!(rules, omni_trace::analyze::wait_rules::DEFAULT_RULES);
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let write = |name: &str, content: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).expect("the temporary folder is writable");
        path.to_str().expect("temporary paths are UTF-8").to_owned()
    };
    let own = "# The queue is no wait.\nnone frame shm_broadcast.py: dequeue, acquire_read\n";
    let path = write("own.rules", own);
    let (_, both, _) = run(&["analyze", "--print-wait-rules", "--wait-rules", &path]);
    assert_eq!(both, format!("{own}{rules}"));
    let before = json_of(&[PIPELINE], &[]);
    let after = json_of(&[PIPELINE], &["--wait-rules", &path]);
    let waits = |report: &Value| int(&report["totals"], "ipc_wait_ns");
    assert!(waits(&after) < waits(&before) / 2, "{} of {}", waits(&after), waits(&before));

    let error = |path: &str, words: &[&str]| {
        let (code, stdout, stderr) = run(&["analyze", PIPELINE, "--wait-rules", path]);
        assert_eq!((code, stdout.as_str()), (2, ""));
        assert!(stderr.starts_with("error: ") && stderr.contains("\nhint: "), "{stderr}");
        assert!(words.iter().all(|word| stderr.contains(word)), "{stderr}");
        assert_eq!(run(&["analyze", "--print-wait-rules", "--wait-rules", path]).0, 2);
    };
    error(
        &write("a.rules", "# fine\n\nipc.x frame\n"),
        &["a.rules, line 3: ", "pattern is missing"],
    );
    error(&write("b.rules", "waiting frame a.py: f\n"), &["b.rules, line 1: ", "`waiting`"]);
    error(&write("c.rules", "ipc.x frame min=5 a.py: f\n"), &["line 1: `5` is no duration"]);
    error("no/such.rules", &["cannot read the wait rules no/such.rules"]);
}

#[test]
fn several_inputs_are_held_against_each_other() {
    let report = json_of(&[PIPELINE], &[]);
    let blame = rows(&report, "blame");
    assert_eq!(blame.len(), 3);
    for row in blame {
        let wait = int(row, "wait_ns");
        assert!(wait > 30_000_000 && int(row, "nobody_ns") < wait);
        let busy = rows(row, "busy");
        assert_eq!(busy.len(), 3);
        for cell in busy {
            assert_eq!(int(cell, "busy_ns"), int(cell, "device_ns") + int(cell, "host_ns"));
            assert!(int(cell, "busy_ns") + int(cell, "unrecorded_ns") <= wait);
            if cell["input"] == row["input"] {
                assert_eq!(int(cell, "host_ns"), 0, "a thread does not work while it waits");
            }
        }
    }
    assert!(rows(&report, "placements").iter().all(|row| row["placement"] == "base_time"));
    let one = json_of(&["fixtures/pipeline/stage_1_llm_1790000300_rank0.pt.trace.json.gz"], &[]);
    for key in ["placements", "clocks", "blame", "stragglers"] {
        assert!(rows(&one, key).is_empty(), "{key}");
    }
}

#[test]
fn an_input_without_a_clock_is_said_to_take_no_part() {
    let inputs = ["fixtures/bare_array/trace.json", "fixtures/broken_unescaped_quotes/trace.json"];
    let (code, _, stderr) = run(&["analyze", inputs[0], inputs[1]]);
    assert_eq!(code, 0);
    assert!(stderr.contains("bare_array/trace.json has no time base"), "{stderr}");
    let report = json_of(&inputs, &[]);
    assert!(rows(&report, "placements").iter().any(|row| row["placement"] == "none"));
    let (_, _, quiet) = run(&["analyze", inputs[0], inputs[1], "--quiet"]);
    assert_eq!(quiet, "");
    let (_, _, other) = run(&["analyze", inputs[0], inputs[1], "--table", "kernels"]);
    assert!(!other.contains("time base"), "{other}");
}

#[test]
fn every_check_of_trust_is_there() {
    let report = json_of(&[PIPELINE, TWO_RANKS], &[]);
    let trust = rows(&report, "trust");
    assert_eq!(trust.len(), 5 * 33);
    for row in trust {
        assert!(row["meaning"].as_str().is_some_and(|meaning| meaning.len() > 20), "{row}");
        assert!(
            ["info", "notice", "data_loss"].contains(&row["severity"].as_str().expect("a word"))
        );
    }
    let of = |input: u64, check: &str| {
        let found = trust.iter().find(|row| row["input"] == input && row["check"] == check);
        found.map(|row| row["count"].clone()).expect("every check is there")
    };
    assert_eq!(of(0, "no_device"), 0);
    assert_eq!(of(4, "no_device"), 1, "the two ranks ran on CPU");
    let (_, all, _) = run(&["analyze", PIPELINE, "--table", "trust"]);
    assert_eq!(all.matches("stream_overlap").count(), 3, "asked for, every line is shown");
    let (_, broken, _) =
        run(&["analyze", "fixtures/broken_truncated_gzip/trace.json.gz", "--full"]);
    let panel: Vec<&str> = broken.lines().skip_while(|line| *line != "Trust").take(8).collect();
    assert!(
        panel.iter().any(|line| line.contains("data_loss") && line.contains("truncated")),
        "{panel:?}"
    );
}

#[test]
fn every_table_is_there_in_every_format() {
    let (code, help, _) = run(&["help", "analyze"]);
    assert_eq!(code, 0);
    for table in TABLES {
        assert!(help.contains(&format!("- {table}:")), "{table} is not in the help");
        let args = ["analyze", PIPELINE, TWO_RANKS, "--exclude-ipc-wait", "--table", table];
        for format in ["text", "md", "csv"] {
            let (code, stdout, stderr) = run(&[&args[..], &["--format", format]].concat());
            assert_eq!((code, stderr.as_str()), (0, ""), "{table} {format}");
            assert!(!stdout.is_empty(), "{table} {format}");
            let has_rows = stdout.lines().count() > 1;
            assert!(has_rows || table == "stragglers", "{table} {format}: {stdout}");
        }
    }
}

/// A trace without frames cannot show waits for other processes, and one without calls none for the device.
#[test]
fn what_is_not_recorded_is_not_zero() {
    let rust = json_of(&["fixtures/h100_rust_light/cap_light.pt.trace.json.gz"], &[]);
    for component in rows(&rust, "components") {
        assert_eq!(
            (&component["ipc_wait_ns"], &component["python_ns"]),
            (&Value::Null, &Value::Null)
        );
        assert!(component["launch_ns"].is_i64(), "{component}");
    }
    assert_eq!(
        rows(&rust, "breakdown")[0]["unrecorded_waits"],
        serde_json::json!(["ipc_wait", "other_wait"])
    );
    assert!(int(&rows(&rust, "breakdown")[0], "waiting_ns") > 0, "the device was waited for");
    let ranks = json_of(&[TWO_RANKS], &[]);
    assert!(rows(&ranks, "components").iter().all(|row| row["gpu_sync_ns"].is_null()));
    let nothing = json_of(&["fixtures/broken_truncated_json/trace.json"], &[]);
    assert_eq!(rows(&nothing, "breakdown")[0]["waiting_ns"], Value::Null);
}

/// What analyses of the host say adds up with what others say of the same.
#[test]
fn the_tables_agree_with_each_other() {
    let report = json_of(&[PIPELINE, TWO_RANKS], &[]);
    for component in rows(&report, "components") {
        let parts = [
            "launch_ns",
            "gpu_sync_ns",
            "ipc_wait_ns",
            "module_loading_ns",
            "profiler_ns",
            "other_wait_ns",
            "python_ns",
            "child_ops_ns",
            "own_ns",
        ];
        let sum: i64 = parts.iter().filter_map(|part| component[*part].as_i64()).sum();
        assert_eq!(sum, int(component, "total_ns"), "{component}");
    }
    for row in rows(&report, "breakdown") {
        let parts = ["execution_ns", "waiting_ns", "unattributed_ns"];
        let sum: i64 = parts.iter().map(|part| int(row, part)).sum();
        assert_eq!(sum, int(row, "total_ns"), "{row}");
    }
    for row in rows(&report, "iteration_summary") {
        let mine = |other: &&Value| {
            ["input", "scheme", "phase"].iter().all(|key| other[*key] == row[*key])
        };
        let column = format!("{}_ns", row["figure"].as_str().expect("a word"));
        let all = rows(&report, "iterations").iter().filter(mine);
        let values: Vec<i64> = all.filter_map(|one| one[column.as_str()].as_i64()).collect();
        assert_eq!(
            (values.len() as i64, values.iter().sum()),
            (int(row, "count"), int(row, "sum_ns"))
        );
        assert_eq!(values.iter().max(), Some(&int(row, "max_ns")));
    }
    for device in rows(&report, "devices") {
        let mine =
            |gap: &&Value| gap["input"] == device["input"] && gap["device"] == device["device"];
        let gaps: Vec<&Value> = rows(&report, "idle_gaps").iter().filter(mine).collect();
        assert!(!gaps.is_empty() && gaps.len() <= 10);
        assert!(gaps.iter().map(|gap| int(gap, "dur_ns")).sum::<i64>() <= int(device, "idle_ns"));
    }
}
