//! Torch's printed tables, byte for byte: `table.txt`, `profiler_out_*.txt` and `*.key_averages.txt` beside the traces.
//!
//! A printed table is compared line by line with ours, those in logs without the blanks that logging cut. What a trace
//! cannot give is counted and has its reason here: the FLOPs column (it needs arguments that are not written), and
//! [`NOT_DERIVABLE`].

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use omni_trace::analyze::key_averages::{KeyAveragesConfig, key_averages, torch_times};
use omni_trace::read::{ReadOptions, read_input};
use omni_trace::render::torch_table::{TorchTableOptions, torch_table};
use omni_trace::store::Store;
use omni_trace::table::torch::{TorchSort, TorchTable};

/// Folders whose tables cannot be reproduced, and why.
const NOT_DERIVABLE: [(&str, &str); 1] = [(
    "odd_names",
    "the writer put `/` for a backslash and `unknown` for names that are not printable ASCII",
)];

/// A printed table and how it was asked for.
struct Printed {
    file: PathBuf,
    text: String,
    config: KeyAveragesConfig,
    options: TorchTableOptions,
    /// Whether it stands in a log, behind a prefix and perhaps without blanks at the ends of lines.
    is_logged: bool,
}

#[derive(Default)]
struct Tally {
    tables: usize,
    identical: usize,
    lines: usize,
    flops_cells: usize,
    not_derivable: BTreeMap<&'static str, usize>,
    unequal: Vec<String>,
}

#[test]
fn printed_tables_are_reproduced() {
    let Some(traces) = common::shared_traces() else { return };
    let own = traces.join("own");
    let mut tally = Tally::default();
    for folder in folders(&own.join("torch_cpu")) {
        compare(&folder.join("trace.json"), &reference_tables(&folder), &mut tally);
    }
    for folder in folders(&own.join("h100")) {
        for (trace, file) in paired(&folder, ".pt.trace.json.gz", ".key_averages.txt") {
            compare(&trace, &dumped_tables(&file), &mut tally);
        }
    }
    for (trace, printed) in vllm_tables(&own.join("vllm")) {
        compare(&trace, &[printed], &mut tally);
    }
    for (log, trace) in LOGS {
        let trace = own.join("vllm").join(trace);
        compare(&trace, &logged_tables(&own.join("vllm").join(log), &trace), &mut tally);
    }
    println!(
        "printed tables oracle: {} tables, {} identical, {} lines, {} unequal lines; not derivable: {} FLOPs cells, lines {:?}",
        tally.tables,
        tally.identical,
        tally.lines,
        tally.unequal.len(),
        tally.flops_cells,
        tally.not_derivable,
    );
    assert!(tally.tables >= 100, "the oracle is not complete: {} tables", tally.tables);
    assert!(tally.unequal.is_empty(), "{}", tally.unequal.join("\n"));
}

fn compare(trace: &Path, tables: &[Printed], tally: &mut Tally) {
    if tables.is_empty() {
        return;
    }
    let store = read_input(trace, &ReadOptions::default()).unwrap().store;
    for printed in tables {
        compare_table(&store, printed, tally);
    }
}

fn compare_table(store: &Store, printed: &Printed, tally: &mut Tally) {
    let averages = key_averages(store, &printed.config);
    let times = torch_times(store, &printed.config, &averages);
    let ours = torch_table(&TorchTable::new(&averages, &times, "CUDA"), &printed.options);
    let has_flops = printed.text.lines().nth(1).is_some_and(|titles| titles.contains("FLOPs"));
    let (n_theirs, n_ours) = (printed.text.lines().count(), ours.lines().count());
    tally.tables += 1;
    let mut unequal = Vec::new();
    if n_theirs != n_ours {
        unequal.push(format!("{}: {n_theirs} lines, ours {n_ours}", printed.file.display()));
    }
    for (number, (theirs, ours)) in printed.text.lines().zip(ours.lines()).enumerate() {
        tally.lines += 1;
        let is_cell = has_flops && ours.ends_with("  ");
        tally.flops_cells += usize::from(is_cell && number > 2);
        let equal = if is_cell { theirs.starts_with(ours) } else { theirs == ours };
        let equal = equal || (printed.is_logged && theirs.trim_end() == ours.trim_end());
        if !equal {
            let file = printed.file.display();
            unequal.push(format!("{file}:{number}\n  torch {theirs}\n  ours  {ours}"));
        }
    }
    tally.identical += usize::from(unequal.is_empty());
    let path = printed.file.to_string_lossy();
    match NOT_DERIVABLE.iter().find(|(folder, _)| path.contains(folder)) {
        Some((_, reason)) => *tally.not_derivable.entry(reason).or_default() += unequal.len(),
        None => tally.unequal.extend(unequal),
    }
}

/// All folders below one, itself included.
fn folders(root: &Path) -> Vec<PathBuf> {
    let mut all = vec![root.to_owned()];
    let mut next = 0;
    while next < all.len() {
        let inner = std::fs::read_dir(&all[next]).unwrap().map(|entry| entry.unwrap().path());
        let mut inner: Vec<PathBuf> = inner.filter(|path| path.is_dir()).collect();
        inner.sort();
        all.extend(inner);
        next += 1;
    }
    all
}

/// Files `STEM + first` and `STEM + second` that are both there.
fn paired(folder: &Path, first: &str, second: &str) -> Vec<(PathBuf, PathBuf)> {
    let mut pairs = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let Some(stem) = name.strip_suffix(first) else { continue };
        let other = folder.join(format!("{stem}{second}"));
        if other.exists() {
            pairs.push((path, other));
        }
    }
    pairs.sort();
    pairs
}

/// The tables of a reference case, by file name.
fn reference_tables(folder: &Path) -> Vec<Printed> {
    let all = TorchTableOptions {
        sort_by: Some(TorchSort::SelfCpu),
        row_limit: None,
        ..TorchTableOptions::default()
    };
    let by_device =
        TorchTableOptions { sort_by: Some(TorchSort::SelfDevice), ..TorchTableOptions::default() };
    let plain = KeyAveragesConfig::default();
    let by_shape = KeyAveragesConfig { group_by_input_shape: true, ..plain };
    let by_stack = KeyAveragesConfig { group_by_stack_n: 5, ..plain };
    [
        ("table.txt", plain, all),
        ("table_wide.txt", plain, TorchTableOptions { max_name_width: Some(1_000), ..all }),
        ("table_sort_self_cuda_time_total.txt", plain, by_device),
        ("byshape_table.txt", by_shape, all),
        ("bystack5_table.txt", by_stack, all),
    ]
    .into_iter()
    .filter_map(|(name, config, options)| {
        let file = folder.join(name);
        let text = std::fs::read_to_string(&file).ok()?;
        Some(Printed { file, text, config, options, is_logged: false })
    })
    .collect()
}

/// The tables of a `*.key_averages.txt`: each after a line `# table(…)` with torch's arguments.
fn dumped_tables(file: &Path) -> Vec<Printed> {
    let text = std::fs::read_to_string(file).unwrap();
    let printed = |part: &str| {
        let (arguments, text) = part.split_once('\n').unwrap();
        let sort = arguments.split('\'').nth(1).unwrap();
        let number = |key: &str| {
            let value = arguments.split(key).nth(1)?;
            value.split([',', ')']).next()?.parse::<i64>().ok()
        };
        let mut options = TorchTableOptions { sort_by: sort_named(sort), ..Default::default() };
        if let Some(limit) = number("row_limit=") {
            options.row_limit = usize::try_from(limit).ok();
        }
        if let Some(width) = number("max_name_column_width=") {
            options.max_name_width = usize::try_from(width).ok();
        }
        let text = text.strip_suffix("\n\n").map_or(text.to_owned(), |text| text.to_owned() + "\n");
        let config = KeyAveragesConfig::default();
        Printed { file: file.to_owned(), text, config, options, is_logged: false }
    };
    text.split("# table(").skip(1).map(printed).collect()
}

/// The key of a `sort_by` text, as torch reads it.
fn sort_named(name: &str) -> Option<TorchSort> {
    let name = ["cuda", "xpu", "privateuse1"]
        .iter()
        .fold(name.to_owned(), |name, device| name.replace(device, "device"));
    Some(match name.as_str() {
        "self_cpu_time_total" => TorchSort::SelfCpu,
        "cpu_time_total" => TorchSort::CpuTotal,
        "cpu_time" => TorchSort::CpuAverage,
        "self_device_time_total" => TorchSort::SelfDevice,
        "device_time_total" => TorchSort::DeviceTotal,
        "device_time" => TorchSort::DeviceAverage,
        "count" => TorchSort::Count,
        "cpu_memory_usage" => TorchSort::CpuMemory,
        "self_cpu_memory_usage" => TorchSort::SelfCpuMemory,
        "device_memory_usage" => TorchSort::DeviceMemory,
        "self_device_memory_usage" => TorchSort::SelfDeviceMemory,
        _ => return None,
    })
}

/// Each `profiler_out_N.txt` with the trace of rank N beside it.
fn vllm_tables(root: &Path) -> Vec<(PathBuf, Printed)> {
    let mut tables = Vec::new();
    for folder in folders(root) {
        for rank in 0..8 {
            let file = folder.join(format!("profiler_out_{rank}.txt"));
            let Ok(text) = std::fs::read_to_string(&file) else { continue };
            let (sort_by, row_limit) = match text.lines().count() {
                105.. => (TorchSort::SelfDevice, 100),
                _ => (TorchSort::SelfCpu, 50),
            };
            let options = TorchTableOptions {
                sort_by: Some(sort_by),
                row_limit: Some(row_limit),
                ..TorchTableOptions::default()
            };
            let config = KeyAveragesConfig::default();
            let text = text.trim_end_matches('\n').to_owned() + "\n";
            let printed = Printed { file, text, config, options, is_logged: false };
            tables.push((trace_of_rank(&folder, rank), printed));
        }
    }
    tables
}

/// Logs with tables, and the trace that they are of. A server's log has those of its front end too.
const LOGS: [(&str, &str); 6] = [
    (
        "v012_tp2_env/run.log",
        "v012_tp2_env/1795304894266495489-rank-0.1795304976483816382.pt.trace.json",
    ),
    (
        "v030_tp2_mp/run.log",
        "v030_tp2_mp/1795302253148473390-rank-0.1795302480227582677.pt.trace.json.gz",
    ),
    (
        "v030_tp2_mp_maxiter1/run.log",
        "v030_tp2_mp_maxiter1/1795303171835151088-rank-0.1795303294579474218.pt.trace.json.gz",
    ),
    (
        "v030_serve_prof/server.log",
        "v030_serve_prof/1795303010159545032-rank-0.1795303072316031936.pt.trace.json.gz",
    ),
    (
        "v030_serve_prof/server.log",
        "v030_serve_prof/vm_29563.async_llm.1795303071108960096.pt.trace.json.gz",
    ),
    (
        "omni030_diffusion_mp/run.log",
        "omni030_diffusion_mp/20261121-233935_stage_0_rep_0_diffusion_1795304375/trace_rank0.json.gz",
    ),
];

/// The tables in a log that are of a trace: the worker's, or the front end's.
fn logged_tables(log: &Path, trace: &Path) -> Vec<Printed> {
    let text = String::from_utf8_lossy(&std::fs::read(log).unwrap()).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    let of_front_end = trace.to_string_lossy().contains("async_llm");
    let mut tables = Vec::new();
    for (number, line) in lines.iter().enumerate() {
        if !line.contains("Self CPU %") || line.contains("APIServer") != of_front_end {
            continue;
        }
        let prefix = lines[number - 1].find("-----").unwrap();
        let end = number + lines[number..].iter().position(|l| l.contains(" total: ")).unwrap();
        let rows = end - number - 3;
        let table: String =
            lines[number - 1..=end].iter().map(|line| line[prefix..].to_owned() + "\n").collect();
        let options = TorchTableOptions {
            sort_by: Some(if rows > 50 { TorchSort::SelfDevice } else { TorchSort::SelfCpu }),
            row_limit: Some(if rows > 50 { 100 } else { 50 }),
            ..TorchTableOptions::default()
        };
        let config = KeyAveragesConfig::default();
        let file = log.to_owned();
        tables.push(Printed { file, text: table, config, options, is_logged: true });
    }
    assert!(!tables.is_empty(), "no table in {}", log.display());
    tables
}

fn trace_of_rank(folder: &Path, rank: usize) -> PathBuf {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let is_trace = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        name.contains(".json")
            && (name.contains(&format!("-rank-{rank}.")) || name.contains(&format!("rank{rank}.")))
    };
    entries.into_iter().find(is_trace).unwrap_or_else(|| panic!("no trace in {}", folder.display()))
}

/// Torch has no cell for what was not recorded. Its text stays as it is; how many cells that are is said beside it.
#[test]
fn cells_that_were_not_recorded_are_counted_on_standard_error() {
    let Some(root) = common::shared_traces() else { return };
    let run = |path: &Path, more: &[&str]| {
        let command = std::process::Command::new(env!("CARGO_BIN_EXE_omni-trace"))
            .args(["analyze", path.to_str().unwrap()])
            .args(more)
            .output();
        let output = command.unwrap();
        [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap())
    };
    for (path, n_rows) in [
        ("public/u64_integer/rank-70.Mar_25_20_48_12.2861.pt.trace.json.gz", 1),
        ("../cases/22_tf_timeline.json", 1),
        ("own/h100_graphs/small_eager_modules.pt.trace.json.gz", 0),
    ] {
        let path = root.join(path);
        let report: serde_json::Value =
            serde_json::from_str(&run(&path, &["--format", "json"])[0]).unwrap();
        let rows = report["key_averages"].as_array().unwrap().iter();
        assert_eq!(rows.filter(|row| row["self_device_ns"].is_null()).count(), n_rows, "{path:?}");
        let [text, said] = run(&path, &["--torch-layout"]);
        let note = format!("note: {} cells of device times were not recorded", 4 * n_rows);
        assert_eq!(said.contains(&note), n_rows > 0, "{said}");
        assert_eq!(said.contains("were not recorded"), n_rows > 0, "{said}");
        assert!(n_rows == 0 || text.contains("0.000us"), "{text}");
        let quiet = run(&path, &["--torch-layout", "--quiet"]);
        assert_eq!(quiet, [text, String::new()]);
    }
}
