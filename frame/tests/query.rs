//! `query` from outside: SQL in, text out, and what is said where something is wrong.

mod common;

use std::io::{Read as _, Write as _};
use std::process::Stdio;
use std::time::{Duration, Instant};

use common::{err, program, query, run};

const TP2: &str = "fixtures/vllm_tp2_step";
const PIPELINE: &str = "fixtures/pipeline";
const H100: &str = "fixtures/h100_rust_light";

#[test]
fn every_format_says_the_same() {
    let sql = "SELECT input, rank, count(*) AS n, sum(dur_ns) AS sum_ns FROM events GROUP BY input, rank ORDER BY input";
    let csv = query(&[TP2, "--format", "csv", sql]);
    let rows: Vec<Vec<&str>> =
        csv.split_terminator("\r\n").map(|line| line.split(',').collect()).collect();
    assert_eq!(rows[0], ["input", "rank", "n", "sum_ns"]);
    assert_eq!(rows.len(), 3);
    let json: serde_json::Value =
        serde_json::from_str(&query(&[TP2, "--format", "json", sql])).unwrap();
    let lines = query(&[TP2, "--format", "jsonl", sql]);
    let (text, md) = (query(&[TP2, sql]), query(&[TP2, "--format", "md", sql]));
    for (i, row) in rows[1..].iter().enumerate() {
        let object = &json[i];
        let line: serde_json::Value = serde_json::from_str(lines.lines().nth(i).unwrap()).unwrap();
        assert_eq!(*object, line);
        for (key, cell) in rows[0].iter().zip(row) {
            assert_eq!(object[key].to_string(), **cell, "{key}");
        }
        assert_eq!(text.lines().nth(i + 2).unwrap().split_whitespace().collect::<Vec<_>>(), *row);
        assert_eq!(md.lines().nth(i + 2).unwrap(), format!("| {} |", row.join(" | ")));
    }
}

#[test]
fn only_the_number_of_rows_is_asked_for() {
    let events: i64 = query(&[TP2, "--format", "csv", "SELECT count(*) FROM events"])
        .lines()
        .nth(1)
        .unwrap()
        .parse()
        .unwrap();
    let summed: i64 = query(&[TP2, "--format", "csv", "SELECT sum(n_events) AS n FROM tracks"])
        .lines()
        .nth(1)
        .unwrap()
        .parse()
        .unwrap();
    assert!(events > 10_000 && events == summed, "{events} {summed}");
}

#[test]
fn what_was_not_recorded_is_not_zero() {
    let sql = "SELECT stage, rank, NULL AS x, 0 AS y FROM inputs LIMIT 1";
    assert_eq!(query(&[TP2, "--format", "csv", sql]), "stage,rank,x,y\r\n,0,,0\r\n");
    assert!(
        query(&[TP2, "--format", "json", sql]).contains(r#""stage":null,"rank":0,"x":null,"y":0"#)
    );
    assert!(query(&[TP2, sql]).ends_with("-     0  -  0\n"), "{}", query(&[TP2, sql]));
}

#[test]
fn several_statements_share_what_was_made() {
    let sql = "CREATE TABLE own AS SELECT name, dur_ns FROM events WHERE dur_ns > 1000000;
               SELECT count(*) AS n FROM own; SELECT max(dur_ns) AS most FROM own; SHOW TABLES; DROP TABLE own";
    let text = query(&[TP2, sql]);
    let parts: Vec<&str> = text.split("\n\n").collect();
    assert!(parts[0].starts_with("  n\n") || parts[0].starts_with("n\n"), "{}", parts[0]);
    assert!(parts[2].contains("\nown ") && parts[2].contains("made here"));
    let output = run(&[TP2, "CREATE TABLE own AS SELECT 1 AS a; SELECT * FROM owm"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(err(&output).contains("hint: did you mean own?"), "{}", err(&output));
}

#[test]
fn findings_of_several_runs_are_no_empty_table() {
    let output = run(&[TP2, H100, "SELECT * FROM findings"]);
    assert_eq!(output.status.code(), Some(2));
    let said = err(&output);
    assert!(said.contains("error: the inputs are of 2 runs, which do not wait"), "{said}");
    assert!(said.contains("hint: name the files of one run"), "{said}");
    // Other tables have an answer, and so has one run.
    let sql = "SELECT count(*) AS n FROM inputs";
    assert_eq!(query(&[TP2, H100, "--format", "csv", sql]), "n\r\n3\r\n");
    query(&[TP2, "SELECT * FROM findings"]);
}

#[test]
fn wrong_names_are_told_with_the_nearest() {
    for (sql, what, hint) in [
        (
            "SELECT ms(sum(dur_nss)) AS a FROM events",
            "there is no column `dur_nss`",
            "did you mean dur_ns",
        ),
        ("SELECT name FROM kernles", "there is no table `kernles`", "did you mean kernels?"),
        ("SELECT dur FROM events", "there is no column `dur`", "did you mean dur_ns"),
        ("SELECT e.nmae FROM events e", "there is no column `nmae`", "did you mean name?"),
        (
            "SELECT name FROM events ORDER BY durns",
            "there is no column `durns`",
            "did you mean dur_ns",
        ),
        (
            "SELECT count(*) FROM events GROUP BY nam",
            "there is no column `nam`",
            "did you mean name?",
        ),
        ("SELECT summ(dur_ns) FROM events", "there is no function `summ`", "did you mean sum?"),
        ("SELECT p98(dur_ns) FROM events", "there is no function `p98`", "did you mean p"),
        ("SELECT name FROM zzzzzzzz", "there is no table `zzzzzzzz`", "SHOW TABLES lists them"),
        ("DESCRIBE event", "there is no table `event`", "did you mean events"),
    ] {
        let output = run(&[TP2, sql]);
        let said = err(&output);
        assert_eq!(output.status.code(), Some(2), "{sql}: {said}");
        assert!(said.contains(&format!("error: {what}\n")), "{sql}: {said}");
        assert!(said.contains(&format!("hint: {hint}")), "{sql}: {said}");
    }
    let output = run(&[TP2, "SELEC name FROM events"]);
    assert!(err(&output).contains("\n  SELEC name FROM events\n  ^\n"), "{}", err(&output));
    let output = run(&[TP2, "--ask", "modulse"]);
    assert!(err(&output).contains("hint: did you mean modules?"), "{}", err(&output));
    let output = run(&["no/such/folder", "SELECT 1 FROM events"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(err(&output).contains("no/such/folder"), "{}", err(&output));
}

#[test]
fn traces_are_only_read() {
    for sql in [
        "DELETE FROM events",
        "TRUNCATE TABLE events",
        "INSERT INTO events VALUES (1)",
        "SELECT * FROM read_csv('/etc/passwd')",
    ] {
        let output = run(&[TP2, sql]);
        assert_eq!(output.status.code(), Some(2), "{sql}");
        assert!(
            output.stdout.is_empty() && !err(&output).contains("panicked"),
            "{sql}: {}",
            err(&output)
        );
    }
}

#[test]
fn names_of_a_trace_do_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("odd.json");
    let odd = [
        "'; DROP TABLE events; --",
        "\" || 1 || \"",
        "=1+1",
        "\u{1b}[2J",
        "a|b<script>",
        "\u{202e}x",
    ];
    let events: Vec<serde_json::Value> = odd
        .iter()
        .enumerate()
        .map(|(i, name)| serde_json::json!({"ph": "X", "cat": "cpu_op", "name": name, "pid": 1, "tid": 1, "ts": i * 10, "dur": 5}))
        .collect();
    std::fs::write(&path, serde_json::json!({ "traceEvents": events }).to_string()).unwrap();
    let path = path.to_str().unwrap();
    let json: serde_json::Value = serde_json::from_str(&query(&[
        path,
        "--format",
        "json",
        "SELECT name FROM events ORDER BY start_ns",
    ]))
    .unwrap();
    let names: Vec<&str> =
        json.as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap()).collect();
    assert_eq!(names, odd);
    let found =
        query(&[path, "--format", "csv", "--ask", "slowest-calls='; DROP TABLE events; --"]);
    assert_eq!(found.lines().count(), 2, "{found}");
    let text = query(&[path, "SELECT name FROM events ORDER BY start_ns"]);
    assert!(!text.contains('\u{1b}') && !text.contains('\u{202e}'), "{text:?}");
    assert!(query(&[path, "--format", "csv", "SELECT name FROM events"]).contains("\n'=1+1\r\n"));
    assert!(
        query(&[path, "--format", "md", "SELECT name FROM events"]).contains("a\\|b&lt;script&gt;")
    );
}

#[test]
fn an_empty_trace_has_tables_without_rows() {
    for sql in [
        "SELECT * FROM events",
        "SELECT name, sum(dur_ns) AS s FROM kernel_events GROUP BY name",
        "SELECT * FROM devices",
    ] {
        assert_eq!(query(&["fixtures/empty_trace", "--format", "json", sql]).trim(), "[]", "{sql}");
    }
    assert_eq!(
        query(&["fixtures/empty_trace", "--format", "csv", "SELECT count(*) AS n FROM events"]),
        "n\r\n0\r\n"
    );
}

#[test]
fn every_ready_question_answers() {
    let listing = query(&["--list"]);
    let names: Vec<&str> =
        listing.lines().map(|line| line.split([' ', '[']).next().unwrap()).collect();
    assert!(names.len() >= 19, "{names:?}");
    for input in [
        H100,
        TP2,
        "fixtures/pipeline",
        "fixtures/nccl_two_ranks",
        "fixtures/p2p_copies",
        "fixtures/empty_trace",
        "fixtures/ascend_string_ts",
    ] {
        for name in &names {
            let text = query(&[input, "--format", "csv", "--ask", name]);
            assert!(text.lines().next().unwrap().contains(','), "{input} {name}");
        }
    }
}

#[test]
fn ready_questions_find_what_is_there() {
    // Each has rows on a trace that recorded what it asks for.
    for (name, input) in [
        ("slowest-calls", TP2),
        ("launch-delay", H100),
        ("kernels-by-operator", H100),
        ("kernels-by-stream", H100),
        ("kernels-by-launch", H100),
        ("shortest-kernels", H100),
        ("longest-gaps", H100),
        ("host-while-idle", H100),
        ("idle-causes", H100),
        ("decode-iterations", "fixtures/pipeline"),
        ("kernels-of-module", "fixtures/pipeline"),
        ("modules", "fixtures/pipeline"),
        ("copies-by-call-site", "fixtures/pipeline"),
        ("collectives", "fixtures/nccl_two_ranks"),
        ("python-self", TP2),
        ("operators-by-shape", "fixtures/pipeline"),
        ("waits", TP2),
    ] {
        let text = query(&[input, "--format", "csv", "--ask", name]);
        assert!(text.lines().count() > 1, "{name} on {input}: {text}");
    }
}

#[test]
fn a_result_of_any_length_ends_quietly_where_nobody_reads() {
    let sql = "SELECT a.event AS a, b.event AS b FROM op_events a CROSS JOIN (SELECT event FROM op_events LIMIT 2000) b";
    for format in ["text", "csv", "jsonl", "md"] {
        let mut child = program(["query", TP2, "--format", format, sql])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut start = [0; 64];
        child.stdout.take().unwrap().read_exact(&mut start).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{format}: {}", err(&output));
        assert_eq!(err(&output), "", "{format}");
    }
}

#[cfg(unix)]
#[test]
fn an_interruption_ends_a_query_that_would_not_end() {
    use std::os::unix::process::ExitStatusExt as _;

    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("out.csv");
    let sql = "SELECT count(*) FROM events a CROSS JOIN events b CROSS JOIN events c WHERE a.dur_ns + b.dur_ns = c.dur_ns";
    let mut child = program(["query", TP2, "-o", target.to_str().unwrap(), sql])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_millis(1500));
    assert!(child.try_wait().unwrap().is_none(), "it runs for long");
    let begin = Instant::now();
    let kill = std::process::Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(kill.success());
    let status = child.wait().unwrap();
    assert!(begin.elapsed() < Duration::from_secs(2));
    assert!(status.code() == Some(130) || status.signal() == Some(2), "{status:?}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "nothing is left");
}

#[test]
fn sql_comes_from_files_and_results_go_to_files() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(at("q.sql"), "-- how many\nSELECT count(*) AS n FROM events;\n").unwrap();
    let direct = query(&[TP2, "--format", "csv", "SELECT count(*) AS n FROM events"]);
    assert_eq!(query(&[TP2, "--format", "csv", "-f", &at("q.sql")]), direct);
    let mut child = program(["query", TP2, "--format", "csv", "-f", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"SELECT count(*) AS n FROM events").unwrap();
    assert_eq!(String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap(), direct);
    assert_eq!(query(&[TP2, "-o", &at("n.csv"), "SELECT count(*) AS n FROM events"]), "");
    assert_eq!(std::fs::read_to_string(at("n.csv")).unwrap(), direct);
    let trace = dir.path().join("trace.json");
    std::fs::write(&trace, r#"{"traceEvents":[]}"#).unwrap();
    let output =
        run(&[trace.to_str().unwrap(), "-o", trace.to_str().unwrap(), "SELECT 1 AS a FROM events"]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(std::fs::read_to_string(&trace).unwrap(), r#"{"traceEvents":[]}"#);
    let output = run(&[TP2, "-o", &at("two.parquet"), "SELECT 1 AS a; SELECT 2 AS a"]);
    assert!(err(&output).contains("holds one result"), "{}", err(&output));
    assert!(!dir.path().join("two.parquet").exists());
}

#[test]
fn a_limit_is_said() {
    let output = run(&[TP2, "--limit", "3", "--format", "csv", "SELECT name FROM events"]);
    assert_eq!(String::from_utf8(output.stdout.clone()).unwrap().lines().count(), 4);
    assert!(err(&output).contains("rows more: --limit 0 shows all"), "{}", err(&output));
}

#[test]
fn helpers_are_exact() {
    let sql = "SELECT ms(1234567) AS a, us(1500) AS b, sec(2500000000) AS c, mib(1572864) AS d, pct(1, 8) AS e, pct(1, 0) AS f FROM inputs LIMIT 1";
    assert_eq!(
        query(&[TP2, "--format", "csv", sql]).lines().nth(1).unwrap(),
        "1.234567,1.5,2.5,1.5,12.5,"
    );
}

/// Rows of a select that is one row are one, whatever is done with their number.
#[test]
fn rows_of_a_sum_are_counted_as_one() {
    for sql in [
        "SELECT 41 + count(*) AS a FROM (SELECT max(dur_ns) AS n FROM op_events) AS x",
        "WITH x AS (SELECT count(*) AS n FROM op_events) SELECT 41 + count(*) AS a FROM x",
        "CREATE TABLE x AS SELECT count(*) AS n FROM op_events; SELECT 41 + count(*) AS a FROM x",
    ] {
        let answer = query(&[PIPELINE, "--format", "csv", sql]);
        assert_eq!(answer.lines().nth(1), Some("42"), "{sql}");
    }
}

/// The analyzer's program, which lies beside this one.
fn analyze(arguments: &[&str]) -> serde_json::Value {
    let analyzer =
        std::path::Path::new(env!("CARGO_BIN_EXE_omni-trace-query")).with_file_name("omni-trace");
    assert!(analyzer.is_file(), "cargo build makes {}", analyzer.display());
    let output = std::process::Command::new(analyzer)
        .args(["analyze", "--format", "json"])
        .args(arguments)
        .current_dir(common::root())
        .output()
        .expect("the analyzer starts");
    assert!(output.status.success(), "{}", err(&output));
    serde_json::from_slice(&output.stdout).expect("it writes JSON")
}

#[test]
fn a_part_of_the_window_and_less_of_the_time_are_those_of_analyze() {
    let pipeline = "fixtures/pipeline";
    for options in [
        vec!["--window", "10ms..25ms"],
        vec!["--window", "..30ms", "--exclude", "ipc_wait"],
        vec!["--exclude", "ipc_wait,gpu_sync"],
    ] {
        let report = analyze(&[&[pipeline], &options[..]].concat());
        let ask = |sql: &str| -> serde_json::Value {
            let words = [&[pipeline, "--format", "json"], &options[..], &[sql]].concat();
            serde_json::from_str(&query(&words)).unwrap()
        };
        let sum = |table: &str, key: &str| -> i64 {
            report[table].as_array().unwrap().iter().filter_map(|row| row[key].as_i64()).sum()
        };
        let found = ask("SELECT sum(busy_ns) AS busy, sum(idle_ns) AS idle FROM devices");
        assert_eq!(found[0]["busy"].as_i64(), Some(sum("devices", "busy_ns")), "{options:?}");
        assert_eq!(found[0]["idle"].as_i64(), Some(sum("devices", "idle_ns")), "{options:?}");
        let found = ask("SELECT sum(self_cpu_ns) AS cpu FROM key_averages");
        assert_eq!(
            found[0]["cpu"].as_i64(),
            Some(sum("key_averages", "self_cpu_ns")),
            "{options:?}"
        );
        let found = ask("SELECT sum(dur_ns) AS ns, count(*) AS n FROM kernel_events");
        if options.iter().all(|word| *word != "--window") {
            let kernels = report["kernels"].as_array().unwrap().iter();
            let of_kernels = kernels.filter(|row| row["category"] == "kernel");
            let ns: i64 = of_kernels.filter_map(|row| row["sum_ns"].as_i64()).sum();
            assert_eq!(found[0]["ns"].as_i64(), Some(ns), "{options:?}");
        } else {
            let whole = query(&[pipeline, "--format", "csv", "SELECT count(*) FROM kernel_events"]);
            let whole: i64 = whole.lines().nth(1).unwrap().parse().unwrap();
            assert!((1..whole).contains(&found[0]["n"].as_i64().unwrap()), "{options:?}");
        }
    }
    for (option, said) in [
        ("--window=5..7", "write a number with ns, us, ms or s"),
        ("--window=9s..", "--window starts behind the end of every input"),
        ("--exclude=cpu_op", "operators are what the tables are about"),
        ("--exclude=waiting", "is no class of time"),
    ] {
        let output = run(&[pipeline, option, "SELECT count(*) FROM events"]);
        assert_eq!(output.status.code(), Some(2), "{option}");
        assert!(err(&output).contains(said), "{option}: {}", err(&output));
    }
}

#[test]
fn answers_do_not_depend_on_threads() {
    let sql = "SELECT name, count(*) AS n, sum(dur_ns) AS s, p99(dur_ns) AS p FROM kernel_events GROUP BY name ORDER BY s DESC, name";
    let one = query(&["fixtures/pipeline", "--threads", "1", sql]);
    for threads in ["2", "7"] {
        assert_eq!(query(&["fixtures/pipeline", "--threads", threads, sql]), one);
    }
    assert_eq!(query(&["fixtures/pipeline", sql]), one);
}

#[test]
fn what_was_read_is_kept_for_the_next_question() {
    let dir = tempfile::tempdir().unwrap();
    let kept = dir.path().join("kept");
    let (cache, sql) =
        (kept.to_str().unwrap(), "SELECT count(*) AS n, sum(dur_ns) AS s FROM events");
    let plain = query(&[TP2, "--cache", "off", "--format", "csv", sql]);
    assert!(!kept.exists());
    for _ in 0..2 {
        assert_eq!(query(&[TP2, "--cache", cache, "--format", "csv", sql]), plain);
        assert_eq!(kept.read_dir().unwrap().count(), 2, "one a trace");
    }
    // Another window is a question to the same stores.
    let part = [TP2, "--window", "..1ms", "--format", "csv", sql];
    let cached = query(&[&part[..], &["--cache", cache]].concat());
    assert_eq!(cached, query(&[&part[..], &["--cache", "off"]].concat()));
    assert_ne!(cached, plain);
    assert_eq!(kept.read_dir().unwrap().count(), 2);
}

#[test]
fn without_sql_and_terminal_it_says_how() {
    let output = program(["query", TP2]).stdin(Stdio::null()).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(err(&output).contains("no SQL was given"), "{}", err(&output));
}

/// What `export` wrote of a fixture.
fn exported(of: &str, to: &std::path::Path) {
    let arguments = ["export".as_ref(), of.as_ref(), "-q".as_ref(), "-o".as_ref(), to.as_os_str()];
    let output = program(arguments).output().expect("the program starts");
    assert!(output.status.success(), "{}", err(&output));
}

#[test]
fn a_data_set_answers_as_its_traces_do() {
    let dir = tempfile::tempdir().unwrap();
    exported(TP2, dir.path());
    let stored = dir.path().to_str().unwrap();
    for sql in [
        "SELECT input, stage, rank, count(*) AS n, sum(dur_ns) AS sum_ns FROM events GROUP BY input, stage, rank ORDER BY input",
        "SELECT count(*) AS n FROM op_events",
        "SELECT * FROM waits",
        "SELECT rank, name, sum(dur_ns) AS ns FROM op_events WHERE rank = 1 GROUP BY rank, name ORDER BY ns, name",
        "SELECT * FROM threads ORDER BY input, pid, tid",
        "SELECT e.name, t.window_ns FROM events e JOIN threads t ON e.input = t.input WHERE e.dur_ns > 900000 ORDER BY e.name, t.window_ns LIMIT 20",
    ] {
        let (of_traces, of_stored) =
            (query(&[TP2, "--format", "json", sql]), query(&[stored, "--format", "json", sql]));
        assert_eq!(of_stored, of_traces, "{sql}");
        assert!(of_traces.len() > 10, "{sql}: {of_traces}");
    }
    for sql in ["SELECT * FROM kernel_events", "SELECT 1 FROM evens"] {
        let output = run(&[stored, sql]);
        assert_eq!(output.status.code(), Some(2), "{sql}");
        assert!(err(&output).contains("hint: "), "{sql}: {}", err(&output));
    }
    let output = run(&[stored, "--window", "..1ms", "SELECT count(*) FROM events"]);
    assert!(err(&output).contains("this is a data set"), "{}", err(&output));
    let events = dir.path().join("stage=unknown/rank=0/events.parquet");
    std::fs::write(&events, b"PAR1 cut").unwrap();
    let output = run(&[stored, "SELECT sum(dur_ns) FROM events"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(err(&output).contains("rank=0/events.parquet: "), "{}", err(&output));
}

/// How many files were read, and how many there were; likewise bytes.
fn read(output: &std::process::Output) -> [u64; 4] {
    let said = err(output);
    let line = said.lines().find(|line| line.starts_with("note: read ")).expect("it is said");
    let numbers = line.split(' ').filter_map(|word| word.replace(',', "").parse().ok());
    numbers.collect::<Vec<u64>>().try_into().expect("four numbers")
}

#[test]
fn only_ranks_that_count_are_read_of_a_data_set() {
    let dir = tempfile::tempdir().unwrap();
    for (folder, of) in [("input=0", TP2), ("input=10", H100), ("input=2", H100)] {
        exported(of, &dir.path().join(folder));
    }
    let stored = dir.path().to_str().unwrap();
    let all = run(&[stored, "SELECT input, rank, dur_ns, name FROM events"]);
    let [n_read, n_files, read_bytes, bytes] = read(&all);
    assert_eq!((n_read, n_files), (4, 4));
    assert!(0 < read_bytes && read_bytes < bytes, "{read_bytes} of {bytes}");
    // What is asked of a part is what the whole says of it.
    for (which, n) in [
        ("input = 0 AND rank = 1", 1),
        ("input = 0", 2),
        ("rank IN (1, 7)", 1),
        ("input BETWEEN 1 AND 9", 1),
        ("rank >= 0", 2),
        ("input = 2 OR input = 10", 4),
        ("rank IS NULL", 4),
        // One file says which columns there are.
        ("input = 77", 1),
    ] {
        let sql = format!(
            "SELECT input, rank, sum(dur_ns) AS ns, count(*) AS n FROM events WHERE {which} GROUP BY input, rank ORDER BY input, rank"
        );
        let output = run(&[stored, "--format", "json", &sql]);
        assert!(output.status.success(), "{which}: {}", err(&output));
        let [n_read, n_files, part_bytes, _] = read(&output);
        assert_eq!((n_read, n_files), (n, 4), "{which}");
        assert!(part_bytes < read_bytes, "{which}: {part_bytes}");
        let sub = format!(
            "SELECT * FROM (SELECT input, rank, sum(dur_ns) AS ns, count(*) AS n FROM events GROUP BY input, rank) s WHERE {which} ORDER BY input, rank"
        );
        let of_all = run(&[stored, "--format", "json", &sub]);
        assert_eq!(read(&of_all)[0], 4, "{which}");
        assert_eq!(output.stdout, of_all.stdout, "{which}");
    }
    // The second statement needs what the first could do without.
    let two = "SELECT count(*) AS n FROM events WHERE input = 0; SELECT count(*) AS n FROM events";
    let both = query(&[stored, "--format", "csv", two]);
    let whole = query(&[stored, "--format", "csv", "SELECT count(*) AS n FROM events"]);
    assert!(both.ends_with(&whole) && both.len() > whole.len(), "{both} {whole}");
}

#[test]
fn what_was_exported_of_a_device_answers_as_its_trace_does() {
    let dir = tempfile::tempdir().unwrap();
    exported(H100, dir.path());
    for sql in [
        "SELECT * FROM kernels ORDER BY name, sum_ns",
        "SELECT * FROM devices",
        "SELECT name, stream, rank, occupancy_pct FROM kernel_events ORDER BY start_ns LIMIT 50",
    ] {
        let of_trace = query(&[H100, "--format", "json", sql]);
        assert_eq!(
            query(&[dir.path().to_str().unwrap(), "--format", "json", sql]),
            of_trace,
            "{sql}"
        );
        assert!(of_trace.len() > 100, "{sql}: {of_trace}");
    }
}

#[test]
fn inputs_that_were_exported_apart_are_one_data_set() {
    let dir = tempfile::tempdir().unwrap();
    for (folder, of) in [("input=0", TP2), ("input=10", H100), ("input=2", H100)] {
        exported(of, &dir.path().join(folder));
    }
    let stored = dir.path().to_str().unwrap();
    let sql = "SELECT input, count(*) AS n FROM events GROUP BY input ORDER BY input";
    let csv = query(&[stored, "--format", "csv", sql]);
    let n = |of: &str| {
        let csv = query(&[of, "--format", "csv", "SELECT count(*) AS n FROM events"]);
        csv.lines().nth(1).unwrap().to_owned()
    };
    let (a, b) = (n(TP2), n(H100));
    assert_eq!(csv, format!("input,n\r\n0,{a}\r\n2,{b}\r\n10,{b}\r\n"));
    let output = run(&[stored, "SELECT * FROM kernels"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(err(&output).contains("of all inputs together"), "{}", err(&output));
}

/// What a query reads is never what it writes: traces, by whatever name and out of a folder, a data set's files, the file of SQL.
#[test]
fn no_output_replaces_what_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let trace = "fixtures/nccl_two_ranks/nccl_bench_rank0.pt.trace.json.gz";
    std::fs::create_dir(at("traces")).unwrap();
    std::fs::copy(common::root().join(trace), at("traces/t.json.gz")).unwrap();
    std::fs::write(at("q.sql"), "SELECT count(*) FROM kernels").unwrap();
    std::fs::hard_link(at("traces/t.json.gz"), at("hard.json")).unwrap();
    std::fs::hard_link(at("q.sql"), at("q2.sql")).unwrap();
    let mut export = program(["export", &at("traces"), "-o", &at("set"), "--table", "kernels"]);
    let exported = export.output().unwrap();
    assert!(exported.status.success(), "{}", err(&exported));
    let part = at("set/kernels.parquet");
    let read = || ["traces/t.json.gz", "q.sql"].map(|name| std::fs::read(at(name)).unwrap());
    let (before, part_before) = (read(), std::fs::read(&part).unwrap());
    for (input, output) in [
        ("traces/t.json.gz", at("traces/t.json.gz")),
        ("traces/t.json.gz", at("hard.json")),
        ("traces", at("traces/../traces/t.json.gz")),
        ("traces", at("q.sql")),
        ("traces", at("q2.sql")),
        ("set", part.clone()),
        ("set", at("q.sql")),
    ] {
        let refused = run(&[&at(input), "-f", &at("q.sql"), "--format", "csv", "-o", &output]);
        assert_eq!(refused.status.code(), Some(2), "{input} {output}: {}", err(&refused));
        assert!(err(&refused).contains("it is the input"), "{}", err(&refused));
    }
    assert!(read() == before && std::fs::read(&part).unwrap() == part_before);
    let written = at("traces/out.csv");
    for _ in 0..2 {
        let args = [&at("traces"), "-f", &at("q.sql"), "-o", &written];
        assert!(run(&args).status.success(), "a result of before may be replaced");
    }
}
