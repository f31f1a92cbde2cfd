//! SQL and the reports of `analyze` and `bandwidth` give the same figures, on every real trace and every fixture: figures
//! that a question sums up from single events, and tables that are asked for as they are.

mod common;

use std::path::{Path, PathBuf};

use common::root;
use common::shared::{real_traces, shared_traces};
use omni_trace::analyze::copies::CopiesConfig;
use omni_trace::{Logs, Question, Reading, Table, Traces, Values, tables};
use omni_trace_frame::catalog::Catalog;
use omni_trace_frame::data::Data;
use omni_trace_frame::session::Session;
use omni_trace_frame::show::{self, Format};
use omni_trace_frame::statement;

/// Where a figure of a report comes from.
enum Of {
    /// Sums of whole columns of a table of `analyze`, and its number of rows.
    Analyze(&'static str, &'static [&'static str]),
    /// The same of `bandwidth`.
    Bandwidth(&'static str, &'static [&'static str]),
    /// Columns of every row of a table of `analyze`, in its order.
    Rows(&'static str, &'static [&'static str]),
}

/// What is compared: SQL, whose rows are sorted as text, and the report's answer.
const QUERIES: [(&str, Of); 24] = [
    ("SELECT name, count(*), sum(dur_ns), min(dur_ns), p50(dur_ns), p99(dur_ns), max(dur_ns) FROM kernel_events GROUP BY name",
     Of::Rows("kernels", &["name", "count", "sum_ns", "min_ns", "median_ns", "p99_ns", "max_ns"])),
    ("SELECT name, count(*), sum(dur_ns), min(dur_ns), p50(dur_ns), p99(dur_ns), max(dur_ns) FROM copy_events GROUP BY name",
     Of::Rows("copies", &["name", "count", "sum_ns", "min_ns", "median_ns", "p99_ns", "max_ns"])),
    ("WITH all_work AS (SELECT input, device, stream, name, dur_ns FROM kernel_events UNION ALL SELECT input, device, stream, name, dur_ns FROM copy_events)
      SELECT input, device, stream, name, count(*), sum(dur_ns), max(dur_ns) FROM all_work GROUP BY input, device, stream, name",
     Of::Rows("streams", &["input", "device", "stream", "name", "count", "sum_ns", "max_ns"])),
    ("WITH all_work AS (SELECT input, name, launch_delay_ns AS d FROM kernel_events UNION ALL SELECT input, name, launch_delay_ns AS d FROM copy_events)
      SELECT input, name, count(*), sum(d), p50(d), p99(d), max(d) FROM all_work WHERE d IS NOT NULL GROUP BY input, name",
     Of::Rows("launches", &["input", "name", "count", "sum_ns", "p50_ns", "p99_ns", "max_ns"])),
    ("SELECT count(*), sum(busy_ns), sum(idle_ns), sum(window_ns), sum(kernel_sum_ns) FROM devices",
     Of::Analyze("devices", &["busy_ns", "idle_ns", "window_ns", "kernel_sum_ns"])),
    ("SELECT count(*), sum(ns) FROM idle", Of::Analyze("idle", &["ns"])),
    ("SELECT count(*), sum(dur_ns), sum(start_ns) FROM idle_gaps", Of::Analyze("idle_gaps", &["dur_ns", "start_ns"])),
    ("SELECT count(*), sum(events) FROM inputs", Of::Analyze("inputs", &["events"])),
    ("SELECT count(*), sum(count) FROM issues", Of::Analyze("issues", &["count"])),
    ("SELECT count(*), sum(input) FROM threads", Of::Analyze("threads", &["input"])),
    ("SELECT count(*), sum(count), sum(sum_ns), sum(net_ns), sum(max_ns) FROM waits", Of::Analyze("waits", &["count", "sum_ns", "net_ns", "max_ns"])),
    ("SELECT input, pid, tid, name, start_ns, cpu_ns, n_kernels, phase FROM iterations",
     Of::Rows("iterations", &["input", "pid", "tid", "name", "start_ns", "cpu_ns", "n_kernels", "phase"])),
    ("SELECT count(*), sum(count) FROM iteration_summary", Of::Analyze("iteration_summary", &["count"])),
    ("SELECT count(*), sum(count), sum(total_ns), sum(own_ns), sum(max_ns) FROM components", Of::Analyze("components", &["count", "total_ns", "own_ns", "max_ns"])),
    ("SELECT count(*), sum(count), sum(self_cpu_ns), sum(cpu_total_ns), sum(self_device_ns), sum(device_total_ns) FROM key_averages",
     Of::Analyze("key_averages", &["count", "self_cpu_ns", "cpu_total_ns", "self_device_ns", "device_total_ns"])),
    ("SELECT name, sum_ns, share_pct FROM kernels", Of::Rows("kernels", &["name", "sum_ns", "share_pct"])),
    ("SELECT count(*), sum(sum_ns), sum(count) FROM activity", Of::Analyze("activity", &["sum_ns", "count"])),
    ("SELECT count(*), sum(events), sum(allocated_peak_bytes), sum(out_of_memory) FROM memory", Of::Analyze("memory", &["events", "allocated_peak_bytes", "out_of_memory"])),
    ("SELECT count(*) FROM startup", Of::Analyze("startup", &[])),
    ("SELECT count(*) FROM trust", Of::Analyze("trust", &[])),
    ("SELECT count(*), sum(count), sum(bytes), sum(sum_ns) FROM directions", Of::Bandwidth("directions", &["count", "bytes", "sum_ns"])),
    ("SELECT count(*), sum(count), sum(bytes), sum(sum_ns) FROM bandwidth_copies", Of::Bandwidth("copies", &["count", "bytes", "sum_ns"])),
    ("SELECT count(*), sum(count), sum(bytes), sum(sum_ns) FROM call_sites", Of::Bandwidth("call_sites", &["count", "bytes", "sum_ns"])),
    ("SELECT count(*), sum(count), sum(kernels), sum(sum_ns), sum(skew_ns), sum(exposed_ns) FROM collectives",
     Of::Bandwidth("collectives", &["count", "kernels", "sum_ns", "skew_ns", "exposed_ns"])),
];

/// The number of rows and the sums of some columns, as CSV has them.
fn sums(table: &Table, keys: &[&str]) -> Vec<String> {
    // SQL's sum of nothing is nothing.
    let sum = |key: &&str| -> String {
        let (_, values) = table
            .columns()
            .find(|(column, _)| column.key == *key)
            .unwrap_or_else(|| panic!("{key}"));
        let Values::Int(values) = values else { panic!("{key} is not whole") };
        // Both wrap, where damaged traces state absurd times.
        let sum = values.iter().flatten().reduce(i64::wrapping_add);
        sum.map_or(String::new(), |sum| sum.to_string())
    };
    let sums = keys.iter().map(sum);
    vec![std::iter::once(table.n_rows.to_string()).chain(sums).collect::<Vec<_>>().join(",")]
}

/// Some columns of every row.
fn rows(table: &Table, keys: &[&str]) -> Vec<String> {
    let column = |key: &&str| {
        table.columns().find(|(column, _)| column.key == *key).unwrap_or_else(|| panic!("{key}")).1
    };
    let columns: Vec<&Values> = keys.iter().map(column).collect();
    let cell = |values: &Values, row: usize| match values {
        Values::Int(values) => values.get(row).map_or(String::new(), |value| value.to_string()),
        Values::Float(values) => values.get(row).map_or(String::new(), |value| value.to_string()),
        Values::Text(values) => quoted(values.get(row).unwrap_or_default()),
        Values::Word(values, words) => {
            values.get(row).map_or(String::new(), |at| words[usize::from(at)].to_owned())
        }
        other => panic!("{other:?}"),
    };
    (0..table.n_rows)
        .map(|row| columns.iter().map(|values| cell(values, row)).collect::<Vec<_>>().join(","))
        .collect()
}

/// A text as CSV has it.
fn quoted(text: &str) -> String {
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r'])
        && !text.parse::<f64>().is_ok_and(f64::is_finite);
    let text = if is_formula { format!("'{text}") } else { text.to_owned() };
    if text.contains([',', '"', '\r', '\n']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text
    }
}

/// What a statement answers, as lines of CSV.
fn answer(session: &mut Session<'_>, sql: &str, path: &Path) -> Vec<String> {
    let statement = statement::parse(sql).expect("it is SQL").remove(0);
    let result = session
        .run(&statement)
        .unwrap_or_else(|trouble| panic!("{}: {sql}: {trouble}", path.display()));
    let mut text = Vec::new();
    show::write(&mut result.expect("it asks"), Format::Csv, &mut text).expect("memory takes it");
    let text = String::from_utf8(text).expect("CSV is UTF-8");
    text.split_terminator("\r\n").skip(1).map(str::to_owned).collect()
}

/// Holds every table of logs, row by row and by its sums, to the report of `stages`. Gives the number of rows.
fn hold_logs(path: &Path) -> usize {
    let Ok(logs) = Logs::read([path]) else { return 0 };
    let stages = logs.stages();
    let sources = stages.tables();
    let catalog = Catalog::new();
    let reading = Reading::default();
    let data = Data::new(vec![path.to_owned()], Question::default(), reading);
    let mut session = Session::new(&catalog, &data);
    let mut n_rows = 0;
    for info in tables().iter().filter(|info| info.of == omni_trace::Of::Stages) {
        let source = sources.iter().find(|source| source.key == info.key).expect("it is listed");
        let table = source.table();
        let is_plain =
            |values: &Values| matches!(values, Values::Int(_) | Values::Text(_) | Values::Word(..));
        let keys: Vec<&str> = table
            .columns()
            .filter(|(_, values)| is_plain(values))
            .map(|(column, _)| column.key)
            .collect();
        let select = keys.iter().map(|key| format!("\"{key}\"")).collect::<Vec<_>>().join(", ");
        let mut actual = answer(&mut session, &format!("SELECT {select} FROM {}", info.name), path);
        let mut expected = rows(&table, &keys);
        actual.sort_unstable();
        expected.sort_unstable();
        assert_eq!(actual, expected, "{}: {}", path.display(), info.name);
        let whole: Vec<&str> = table
            .columns()
            .filter(|(_, values)| matches!(values, Values::Int(_)))
            .map(|(column, _)| column.key)
            .collect();
        let select: String = whole.iter().map(|key| format!(", sum(\"{key}\")")).collect();
        let sql = format!("SELECT count(*){select} FROM {}", info.name);
        assert_eq!(
            answer(&mut session, &sql, path),
            sums(&table, &whole),
            "{}: {sql}",
            path.display()
        );
        n_rows += table.n_rows;
    }
    n_rows
}

fn hold(path: &Path) {
    let Ok(traces) = Traces::read([path]) else { return };
    let question = Question::default();
    let (analyze, bandwidth) =
        (traces.analyze(&question), traces.bandwidth(&question, &CopiesConfig::default()));
    if analyze.runs.len() > 1 {
        // Names are summed by run.
        return;
    }
    let (catalog, data) =
        (Catalog::new(), Data::new(vec![path.to_owned()], question, Reading::default()));
    let mut session = Session::new(&catalog, &data);
    for (sql, of) in &QUERIES {
        let mut actual = answer(&mut session, sql, path);
        let table = |table: Option<Table>| table.unwrap_or_else(|| panic!("{sql}"));
        let mut expected = match of {
            Of::Analyze(key, keys) => sums(&table(analyze.table(key)), keys),
            Of::Bandwidth(key, keys) => sums(&table(bandwidth.table(key)), keys),
            Of::Rows(key, keys) => rows(&table(analyze.table(key)), keys),
        };
        actual.sort_unstable();
        expected.sort_unstable();
        assert_eq!(actual, expected, "{}: {sql}", path.display());
    }
}

#[test]
fn figures_of_fixtures_are_those_of_the_reports() {
    for case in [
        "pipeline",
        "vllm_tp2_step",
        "h100_rust_light",
        "nccl_two_ranks",
        "p2p_copies",
        "empty_trace",
        "odd_names",
    ] {
        hold(&root().join("fixtures").join(case));
    }
}

#[test]
fn figures_of_logs_are_those_of_stages() {
    for case in ["logs_seed", "logs_generations", "logs_served", "joined"] {
        assert!(hold_logs(&root().join("fixtures").join(case)) > 5, "{case}");
    }
    let Some(traces) = shared_traces() else { return };
    let (mut folders, mut n_rows) = (vec![traces], 0);
    while let Some(folder) = folders.pop() {
        for entry in folder.read_dir().expect("the folder of real traces can be listed") {
            let path = entry.expect("the folder of real traces can be listed").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "log" || ending == "jsonl") {
                n_rows += hold_logs(&path);
            }
        }
    }
    assert!(n_rows > 100, "{n_rows} rows of real logs");
}

#[test]
fn figures_of_every_real_trace_are_those_of_the_reports() {
    let traces: Vec<PathBuf> = real_traces();
    traces.iter().for_each(|path| hold(path));
}
