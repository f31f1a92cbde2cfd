//! Torch is the oracle: every dump of `key_averages()` beside a trace must be rebuilt from the trace, cell by cell.
//!
//! A pair is a trace and a `*key_averages.json` that torch wrote of the same profile. Rows are compared in both
//! directions: none missing, none extra. What a trace cannot give is named in [`NOT_DERIVABLE`] with its reason.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use omni_trace::analyze::key_averages::{
    Choice, DeviceType, KeyAverageRow, KeyAverages, KeyAveragesConfig, key_averages, torch_times,
};
use omni_trace::read::{ReadOptions, read_input};
use omni_trace::store::Store;
use serde_json::Value;

/// Rows that cannot be rebuilt: folder of the dump, names of torch's rows and of what stands for them, why.
const NOT_DERIVABLE: [(&str, &[&str], &str); 1] = [(
    "odd_names",
    &["back\\slash", "uni→code 文字 😀", "tab\tand\nnewline", "back/slash", "unknown"],
    "the writer put `/` for a backslash and `unknown` for names that are not printable ASCII",
)];

/// A row's key: name, device, whether an annotation, input shapes.
type Key = (String, DeviceType, bool, Option<String>);

/// One value of a row.
struct Cell {
    name: &'static str,
    value: i64,
    tolerance: i64,
}

#[derive(Default)]
struct Tally {
    pairs: usize,
    tables: usize,
    rows: usize,
    cells: usize,
    not_derivable: BTreeMap<&'static str, usize>,
    unequal: Vec<String>,
}

#[test]
fn every_dump_is_rebuilt_from_its_trace() {
    let Some(traces) = common::shared_traces() else { return };
    let mut dumps = Vec::new();
    find_dumps(&traces, &mut dumps);
    dumps.sort();
    assert!(dumps.len() >= 55, "the oracle is not complete: {} dumps", dumps.len());
    let mut tally = Tally::default();
    for dump in &dumps {
        compare_pair(dump, &mut tally);
    }
    println!(
        "key_averages oracle: {} pairs, {} tables, {} rows, {} cells compared, {} unequal, rows not derivable: {:?}",
        tally.pairs,
        tally.tables,
        tally.rows,
        tally.cells,
        tally.unequal.len(),
        tally.not_derivable,
    );
    assert!(tally.unequal.is_empty(), "{}", tally.unequal.join("\n"));
}

fn find_dumps(folder: &Path, dumps: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            find_dumps(&path, dumps);
        } else if path.to_string_lossy().ends_with("key_averages.json") {
            dumps.push(path);
        }
    }
}

/// The trace beside a dump: `X.pt.trace.json.gz` for `X.key_averages.json`, else `trace.json`.
fn trace_of(dump: &Path) -> PathBuf {
    let name = dump.file_name().unwrap().to_string_lossy();
    match name.strip_suffix(".key_averages.json") {
        Some(stem) => dump.with_file_name(format!("{stem}.pt.trace.json.gz")),
        None => dump.with_file_name("trace.json"),
    }
}

fn compare_pair(dump: &Path, tally: &mut Tally) {
    let trace = trace_of(dump);
    assert!(trace.exists(), "{} has no trace", dump.display());
    let store = read_input(&trace, &ReadOptions::default()).unwrap().store;
    let json: Value = serde_json::from_str(&std::fs::read_to_string(dump).unwrap()).unwrap();
    tally.pairs += 1;
    let kwargs = &json["kwargs"];
    let config = KeyAveragesConfig {
        group_by_input_shape: kwargs["group_by_input_shape"].as_bool().unwrap_or(false),
        group_by_stack_n: kwargs["group_by_stack_n"].as_u64().unwrap_or(0) as usize,
        ..KeyAveragesConfig::default()
    };
    let table = key_averages(&store, &config);
    compare_table(dump, &json["rows"], &table, tally);
    compare_total(dump, &json, &table, tally);
    if json["rows_by_input_shape"].is_array() {
        let config = KeyAveragesConfig { group_by_input_shape: true, ..config };
        let table = key_averages(&store, &config);
        compare_table(dump, &json["rows_by_input_shape"], &table, tally);
    }
}

/// The dump's own sum of self CPU times.
fn compare_total(dump: &Path, json: &Value, ours: &KeyAverages, tally: &mut Tally) {
    for key in ["self_cpu_time_total_us", "self_cpu_time_total_sum"] {
        let Some(theirs) = json[key].as_f64() else { continue };
        tally.cells += 1;
        let theirs = ns(theirs);
        if (theirs - ours.self_cpu_ns).abs() > 2 * ours.rows.len() as i64 {
            let ours = ours.self_cpu_ns;
            tally.unequal.push(format!("{}: {key} {theirs}, ours {ours}", dump.display()));
        }
    }
}

/// Both directions, and the order of the rows.
fn compare_table(dump: &Path, theirs: &Value, ours: &KeyAverages, tally: &mut Tally) {
    tally.tables += 1;
    let theirs = theirs.as_array().unwrap();
    let by_shape = ours.rows.iter().any(|row| row.input_shapes.is_some());
    let mut left: BTreeMap<Key, &KeyAverageRow> = BTreeMap::new();
    for row in &ours.rows {
        let shapes = row.input_shapes.clone();
        let key = (row.name.clone(), row.device_type, row.is_annotation, shapes);
        assert!(left.insert(key, row).is_none(), "two rows of one key: {row:?}");
    }
    let mut last_place = None;
    for row in theirs {
        let key = dumped_key(row, by_shape);
        let Some(our_row) = left.remove(&key) else {
            report(dump, &key, "row", format!("missing: {row}"), tally);
            continue;
        };
        tally.rows += 1;
        let place = ours.rows.iter().position(|row| row == our_row);
        if place < last_place {
            report(dump, &key, "place", format!("not after the row before it: {place:?}"), tally);
        }
        last_place = place;
        for (theirs, ours) in dumped_cells(row).into_iter().zip(our_cells(our_row)) {
            tally.cells += 1;
            if (theirs.value - ours).abs() > theirs.tolerance {
                let detail = format!("{} is {}, ours {ours}", theirs.name, theirs.value);
                report(dump, &key, theirs.name, detail, tally);
            }
        }
    }
    for (key, row) in left {
        report(dump, &key, "row", format!("extra: {row:?}"), tally);
    }
}

fn report(dump: &Path, key: &Key, cell: &str, detail: String, tally: &mut Tally) {
    let path = dump.to_string_lossy();
    let known = NOT_DERIVABLE
        .iter()
        .find(|(folder, names, _)| path.contains(folder) && names.contains(&key.0.as_str()));
    match known {
        Some(&(_, _, reason)) => *tally.not_derivable.entry(reason).or_default() += 1,
        None => tally.unequal.push(format!("{path}: {key:?} {cell}: {detail}")),
    }
}

fn ns(us: f64) -> i64 {
    (us * 1_000.0).round() as i64
}

fn dumped_key(row: &Value, by_shape: bool) -> Key {
    let is_cpu = row["device_type"].as_str().unwrap().ends_with("CPU");
    let device = if is_cpu { DeviceType::Cpu } else { DeviceType::Device };
    let is_annotation = row["is_user_annotation"].as_bool().unwrap();
    let shapes = by_shape.then(|| {
        let dims = row["input_shapes"].to_string();
        dims.replace(',', ", ")
    });
    (row["key"].as_str().unwrap().to_owned(), device, is_annotation, shapes)
}

/// The one-pass tree and torch's own loops (`torch_times`) are two implementations: they agree on every trace there is,
/// with Python frames and without, grouped and not.
#[test]
fn two_implementations_agree_on_every_trace() {
    let Some(traces) = common::shared_traces() else { return };
    let mut paths = Vec::new();
    find_traces(&traces, &mut paths);
    paths.sort();
    let (mut compared, mut rows) = (0, 0);
    for path in &paths {
        let Ok(input) = read_input(path, &ReadOptions::default()) else { continue };
        for python_rows in [Choice::Yes, Choice::No] {
            for torch_compat in [Choice::Yes, Choice::No] {
                let config = KeyAveragesConfig {
                    python_rows,
                    torch_compat,
                    group_by_input_shape: torch_compat == Choice::Yes,
                    ..KeyAveragesConfig::default()
                };
                rows += agree(path, &input.store, &config);
            }
        }
        compared += 1;
    }
    println!("two implementations: {compared} traces, {rows} rows agree");
    assert!(compared >= 50, "only {compared} traces");
}

fn find_traces(folder: &Path, paths: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            find_traces(&path, paths);
        } else if (name.ends_with(".json.gz") || name.ends_with(".json"))
            && !name.contains("key_averages")
            && path.metadata().unwrap().len() < 3_000_000
        {
            paths.push(path);
        }
    }
}

fn agree(path: &Path, store: &Store, config: &KeyAveragesConfig) -> usize {
    let table = key_averages(store, config);
    let times = torch_times(store, config, &table);
    assert_eq!(times.len(), table.rows.len());
    for (row, times) in table.rows.iter().zip(times) {
        let pairs = [
            (row.self_cpu_ns, times.self_cpu_us),
            (row.cpu_total_ns, times.cpu_total_us),
            (row.self_device_ns.unwrap_or(0), times.self_device_us),
            (row.device_total_ns.unwrap_or(0), times.device_total_us),
        ];
        for (exact, float) in pairs {
            let off = (float * 1_000.0 - exact as f64).abs();
            let allowed =
                0.5 + 1e-6 * row.cpu_total_ns.max(row.device_total_ns.unwrap_or(0)) as f64;
            assert!(off <= allowed, "{}: {row:?} against {times:?}", path.display());
        }
    }
    table.rows.len()
}

/// The same rows with one thread as with seven.
#[test]
fn rows_do_not_depend_on_threads() {
    let Some(traces) = common::shared_traces() else { return };
    let trace = traces.join("own/h100/py_pipe_tp2/stage_0_llm_1790000500_rank0.pt.trace.json.gz");
    let store = read_input(&trace, &ReadOptions::default()).unwrap().store;
    let with_threads = |n_threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
        pool.install(|| key_averages(&store, &KeyAveragesConfig::default()))
    };
    let one = with_threads(1);
    assert!(one.rows.len() > 100);
    assert_eq!(one, with_threads(2));
    assert_eq!(one, with_threads(7));
}

/// All values of a dumped row; times may be off by 2 ns an event, counts and bytes by nothing.
fn dumped_cells(row: &Value) -> Vec<Cell> {
    let count = row["count"].as_i64().unwrap();
    let exact =
        |name: &'static str| Cell { name, value: row[name].as_i64().unwrap(), tolerance: 0 };
    let time = |name: &'static str| Cell {
        name,
        value: ns(row[name].as_f64().unwrap()),
        tolerance: 2 * count,
    };
    vec![
        exact("count"),
        time("self_cpu_time_total"),
        time("cpu_time_total"),
        time("self_device_time_total"),
        time("device_time_total"),
        exact("cpu_memory_usage"),
        exact("self_cpu_memory_usage"),
        exact("device_memory_usage"),
        exact("self_device_memory_usage"),
    ]
}

/// Our values, in the order of [`dumped_cells`]. Torch has 0 bytes where no memory was recorded.
fn our_cells(row: &KeyAverageRow) -> [i64; 9] {
    let memory = row.memory.unwrap_or_default();
    [
        row.count as i64,
        row.self_cpu_ns,
        row.cpu_total_ns,
        row.self_device_ns.unwrap_or(0),
        row.device_total_ns.unwrap_or(0),
        memory.cpu_bytes,
        memory.self_cpu_bytes,
        memory.device_bytes,
        memory.self_device_bytes,
    ]
}
