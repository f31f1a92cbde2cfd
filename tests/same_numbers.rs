//! JSON and CSV give the same numbers, table by table, and text the same, rounded.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::path::Path;
use std::process::Command;

use serde_json::Value;

fn fixture(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name);
    path.to_str().unwrap().to_owned()
}

fn run(arguments: &[&str], more: &[&str]) -> String {
    let mut program = Command::new(env!("CARGO_BIN_EXE_omni-trace"));
    let output = program.args(arguments).args(more).env("COLUMNS", "60000").output().unwrap();
    assert!(output.status.success(), "{arguments:?} {more:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The cells of a CSV, quotes taken away.
fn cells(text: &str) -> Vec<Vec<String>> {
    let mut rows = vec![vec![String::new()]];
    let (mut is_quoted, mut letters) = (false, text.chars().peekable());
    while let Some(letter) = letters.next() {
        let row = rows.last_mut().unwrap();
        match letter {
            '"' if is_quoted && letters.next_if_eq(&'"').is_some() => {
                row.last_mut().unwrap().push('"');
            }
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => row.push(String::new()),
            '\r' if !is_quoted => {}
            '\n' if !is_quoted => rows.push(vec![String::new()]),
            letter => row.last_mut().unwrap().push(letter),
        }
    }
    rows.pop();
    rows
}

/// A value of the JSON as CSV writes it.
fn words(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        Value::Bool(yes) => yes.to_string(),
        Value::Array(list) => list.iter().map(words).collect::<Vec<_>>().join("; "),
        number => number.to_string(),
    }
}

/// Every cell of a table's CSV is the JSON's value of that name.
fn same_numbers(arguments: &[&str], table: &str) {
    let json: Value = serde_json::from_str(&run(arguments, &["--format", "json"])).unwrap();
    let csv = cells(&run(arguments, &["--format", "csv", "--table", table]));
    let of_json = json[table].as_array().unwrap();
    assert_eq!(csv.len(), of_json.len() + 1, "{table}");
    assert!(!of_json.is_empty(), "{table}");
    for (row, object) in csv[1..].iter().zip(of_json) {
        assert_eq!(row.len(), csv[0].len(), "{table}");
        for (name, cell) in csv[0].iter().zip(row) {
            let value = object.get(name).unwrap_or_else(|| panic!("{table} has no {name}"));
            // serde_json reads a float to within one unit of its last place.
            let near = |n: f64| value.as_f64().is_some_and(|m| (n - m).abs() <= m.abs() * 4e-16);
            // Tables that are not defined by `schema::tables!` yet write yes and no.
            let is_word =
                value.as_bool() == Some(cell == "yes") && ["yes", "no"].contains(&cell.as_str());
            let is_same = *cell == words(value) || is_word || cell.parse::<f64>().is_ok_and(near);
            assert!(is_same, "{table} {name}: {cell} and {value}");
        }
    }
}

/// A server's console log that complains, profiles and prints its throughput.
fn served_log() -> String {
    fixture("logs_served/server.log")
}

#[test]
fn of_logs() {
    let log = fixture("logs_seed/omni_llm_pipeline.log");
    for table in
        ["summaries", "requests", "request_stages", "waterfall", "stages", "transfers", "checks"]
    {
        same_numbers(&["stages", &log], table);
    }
    same_numbers(&["stages", &fixture("logs_generations/omni_0.30.log")], "percentiles");
    let console = fixture("logs_seed/console.log");
    for table in ["diffusion", "waits", "flags", "census", "logs"] {
        same_numbers(&["stages", &console], table);
    }
    for table in ["startup", "profiler", "throughput", "problems"] {
        same_numbers(&["stages", &served_log()], table);
    }
}

#[test]
fn of_copies_and_collectives() {
    for table in ["directions", "copies", "peers", "call_sites", "series"] {
        same_numbers(&["bandwidth", &fixture("p2p_copies")], table);
    }
    for table in ["collectives", "rank_waits", "slowest"] {
        same_numbers(&["bandwidth", &fixture("nccl_two_ranks")], table);
    }
}

#[test]
fn of_logs_beside_traces() {
    let dir = fixture("joined");
    for table in ["log_clocks", "joined_stages", "joined_requests"] {
        same_numbers(&["analyze", &dir, "--logs", &dir], table);
    }
    for table in ["log_clocks", "stage_transfers", "traced_transfers"] {
        same_numbers(&["bandwidth", &dir, "--logs", &dir], table);
    }
}

/// The cells of Markdown rows, between their bars.
fn markdown_rows(text: &str) -> Vec<Vec<String>> {
    let rows = text.lines().filter(|line| line.starts_with('|')).skip(2);
    let plain = |cell: &str| cell.replace('\\', "").replace("&lt;", "<").replace("&gt;", ">");
    let cells = |line: &str| line.trim_matches('|').split(" | ").map(|c| plain(c.trim())).collect();
    rows.map(cells).collect()
}

#[test]
fn markdown_and_text_show_the_same() {
    let joined = fixture("joined");
    let log = fixture("logs_seed/omni_llm_pipeline.log");
    let cases: [(&[&str], &str); 8] = [
        (&["bandwidth", &fixture("p2p_copies")], "copies"),
        (&["bandwidth", &fixture("p2p_copies")], "peer_matrix"),
        (&["bandwidth", &fixture("nccl_two_ranks")], "collectives"),
        (&["bandwidth", &joined, "--logs", &joined], "stage_transfers"),
        (&["analyze", &joined, "--logs", &joined], "joined_stages"),
        (&["stages", &log], "transfers"),
        (&["stages", &log], "request_stages"),
        (&["stages", &served_log()], "throughput"),
    ];
    for (arguments, table) in cases {
        let text = run(arguments, &["--table", table]);
        let markdown = markdown_rows(&run(arguments, &["--table", table, "--format", "md"]));
        assert!(!markdown.is_empty(), "{table}");
        let lines: Vec<&str> = text.lines().skip(3).collect();
        for (i, (row, line)) in markdown.iter().zip(&lines).enumerate() {
            for (column, cell) in row.iter().enumerate() {
                // Text leaves out what names the same group as the row above.
                let is_repeat = i > 0 && markdown[i - 1].get(column) == Some(cell);
                assert!(is_repeat || line.contains(cell.as_str()), "{table}: {cell} in {line}");
            }
        }
    }
}

#[test]
fn text_rounds_the_same_numbers() {
    let log = fixture("logs_seed/omni_llm_pipeline.log");
    let text = run(&["stages", &log], &["--table", "transfers"]);
    let json: Value = serde_json::from_str(&run(&["stages", &log], &["--format", "json"])).unwrap();
    let rates = ["tx_mbit_per_s", "rx_mbit_per_s", "tx_gb_per_s", "rx_gb_per_s"];
    for edge in json["transfers"].as_array().unwrap() {
        for rate in rates {
            let rounded = format!("{:.3}", edge[rate].as_f64().unwrap());
            assert!(text.replace(',', "").contains(&rounded), "{rate} {rounded} in\n{text}");
        }
    }
}

/// Every figure of the verdict is the field that it names, or that field's share of the other; without the tables that it
/// is made from, the verdict is the same.
#[test]
fn the_verdict_says_what_the_fields_say() {
    for name in ["pipeline", "h100_rust_light", "vllm_tp2_step", "compact_exporter"] {
        let path = fixture(name);
        let arguments = ["analyze", path.as_str()];
        let json: Value = serde_json::from_str(&run(&arguments, &["--format", "json"])).unwrap();
        let rows = json["verdict"].as_array().unwrap();
        let parts = rows.iter().flat_map(|row| row["sentence"].as_array().unwrap());
        let figures: Vec<&Value> = parts.filter_map(|part| part.get("figure")).collect();
        assert!(figures.len() > 5, "{name}: {} figures", figures.len());
        for figure in figures {
            let field = |key: &str| json.pointer(figure[key].as_str().unwrap()).unwrap();
            if let (true, Some(list)) = (figure["of"].is_null(), field("path").as_array()) {
                assert_eq!(figure["value"], list.len(), "{figure}");
            } else if figure["of"].is_null() {
                assert_eq!(figure["value"], *field("path"), "{figure}");
            } else {
                let share = field("path").as_f64().unwrap() * 100.0 / field("of").as_f64().unwrap();
                // Reading JSON may be off by the last digit of a float.
                let value = figure["value"].as_f64().unwrap();
                assert!((value - share).abs() <= share.abs() * 1e-14, "{share}: {figure}");
            }
        }
        let alone = run(&arguments, &["--table", "verdict", "--format", "csv"]);
        assert_eq!(cells(&alone).len(), rows.len() + 1, "{name}");
        let all = run(&arguments, &["--full"]);
        assert!(all.contains(&run(&arguments, &["--table", "verdict"])), "{name}");
    }
}
