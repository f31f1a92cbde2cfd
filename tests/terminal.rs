//! What a terminal shows: one screen first, and no line longer than it is wide.

mod common;
mod program;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use program::{omni_trace, root};

/// Widths that terminals have.
const WIDTHS: [&str; 5] = ["80", "100", "120", "160", "200"];

/// Lines of a terminal.
const LINES: usize = 40;

/// Traces up to this size are read at every width, the others at one.
const SMALL_BYTES: u64 = 400_000;

fn text(args: &[&str]) -> String {
    let output = omni_trace(args);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("the program writes UTF-8")
}

fn lines_fit(text: &str, width: &str, what: &str) {
    let most: usize = width.parse().expect("widths are numbers");
    for line in text.lines() {
        assert!(line.chars().count() <= most, "{what}: longer than {width}:\n{line}");
    }
}

/// Every number of a line of a table stands whole in it: what ends a line is no number without its unit.
fn numbers_are_whole(text: &str, what: &str) {
    for line in text.lines() {
        let end = line.trim_end();
        let is_cut =
            end.ends_with('.') && end.trim_end_matches('.').ends_with(|c: char| c.is_ascii_digit());
        let is_name = end.rsplit(' ').next().is_some_and(|word| word.contains(char::is_alphabetic));
        let is_sentence =
            end.contains(' ') && end.chars().filter(|c| c.is_alphabetic()).count() > 12;
        assert!(!is_cut || is_sentence || is_name, "{what}: a number is broken:\n{line}");
    }
}

fn fixtures() -> Vec<String> {
    let mut found = Vec::new();
    for case in std::fs::read_dir(root().join("fixtures")).expect("there are fixtures") {
        let case = case.expect("the fixtures are readable").path();
        let commands = std::fs::read_to_string(case.join("cmd")).unwrap_or_default();
        if commands.contains("analyze") && !case.ends_with("not_a_trace") {
            found.push(case.to_str().expect("paths are UTF-8").to_owned());
        }
    }
    found.sort();
    assert!(found.len() >= 12, "{found:?}");
    found
}

/// Inputs of the same name-giving kind: 1, 3 and 8 of them.
fn sets() -> Vec<(usize, Vec<String>)> {
    let mut sets = vec![
        (1, vec!["fixtures/h100_rust_light/cap_light.pt.trace.json.gz".to_owned()]),
        (3, vec!["fixtures/pipeline".to_owned()]),
    ];
    if let Some(traces) = common::shared_traces() {
        let of = |name: &str| vec![traces.join(name).to_str().expect("paths are UTF-8").to_owned()];
        sets.push((8, of("public/dlrm_8rank")));
        sets.push((3, of("own/h100/py_pipe_stack_spin")));
    }
    sets
}

#[test]
fn one_screen_holds_the_answer_for_one_three_and_eight_inputs() {
    for (n, paths) in sets() {
        let mut args = vec!["analyze", "-q", "--width", "80"];
        args.extend(paths.iter().map(String::as_str));
        let screen = text(&args);
        let lines: Vec<&str> = screen.lines().collect();
        assert!(lines.len() < LINES, "{paths:?}: {} lines\n{screen}", lines.len());
        lines_fit(&screen, "80", &paths[0]);
        for word in
            ["window", "compute", "idle, mostly", "Findings", "Next", "  omni-trace report "]
        {
            assert!(screen.contains(word), "{paths:?}: no `{word}` in\n{screen}");
        }
        for input in 0..n {
            let row = lines.iter().filter(|line| line.starts_with(&format!("  {input}  "))).count();
            assert_eq!(row, 1, "{paths:?}: input {input} has a row:\n{screen}");
        }
        let findings = screen.lines().skip_while(|line| *line != "Findings").skip(1);
        let n_findings = findings.take_while(|line| !line.is_empty());
        let n_findings = n_findings.filter(|line| line.starts_with("  - ")).count();
        assert!((1..=7).contains(&n_findings), "{n_findings}\n{screen}");
        // What it says to type works.
        let next = screen.lines().skip_while(|line| *line != "Next").skip(1);
        let commands: Vec<&str> =
            next.take_while(|line| line.starts_with("  omni-trace ")).collect();
        assert!(commands.len() >= 3, "{screen}");
        for command in commands.iter().filter(|command| !command.contains("report")) {
            let words = command.trim().trim_start_matches("omni-trace ");
            let words = words.split("  ").next().unwrap().replace("PATH…", &paths[0]);
            let words: Vec<&str> = words.split(' ').collect();
            assert!(!text(&words).is_empty(), "{command}");
        }
    }
}

#[test]
fn no_line_is_longer_than_asked_for() {
    for path in fixtures() {
        for width in WIDTHS {
            for more in [&["--full"][..], &["--full", "--full-names"], &[]] {
                let args = [&["analyze", &path, "-q", "--width", width], more].concat();
                let text = text(&args);
                lines_fit(&text, width, &format!("{args:?}"));
                numbers_are_whole(&text, &format!("{args:?}"));
            }
        }
    }
    for args in [
        &["bandwidth", "fixtures/nccl_two_ranks", "-q"][..],
        &["bandwidth", "fixtures/p2p_copies", "-q"],
        &["stages", "fixtures/logs_served/server.log", "-q"],
        &["stages", "fixtures/logs_seed", "-q"],
        &["check", "fixtures/pipeline"],
    ] {
        for width in WIDTHS {
            let with_width = [args, &["--width", width]].concat();
            lines_fit(&text(&with_width), width, &format!("{args:?}"));
        }
    }
}

#[test]
fn no_line_of_a_real_trace_is_longer_than_asked_for() {
    for (number, path) in common::real_traces().iter().enumerate() {
        let size = path.metadata().unwrap().len();
        let name = path.to_str().unwrap();
        let one = [WIDTHS[number % WIDTHS.len()]];
        for width in if size < SMALL_BYTES { &WIDTHS[..] } else { &one } {
            let text = text(&["analyze", name, "-q", "--full", "--width", width]);
            lines_fit(&text, width, name);
            numbers_are_whole(&text, name);
        }
    }
}

/// Folders that hold several traces.
fn folders(traces: &[PathBuf]) -> BTreeSet<PathBuf> {
    let folders = traces.iter().filter_map(|path| path.parent());
    let mut seen = BTreeSet::new();
    folders.filter(|folder| !seen.insert(folder.to_path_buf())).map(Into::into).collect()
}

/// The items of a list of a screen, each as one line.
fn items(screen: &str, title: &str) -> Vec<String> {
    let list = screen.lines().skip_while(|line| *line != title).skip(1);
    let mut items: Vec<String> = Vec::new();
    for line in list.take_while(|line| !line.is_empty()) {
        match (line.strip_prefix("  - "), items.last_mut()) {
            (Some(item), _) => items.push(item.to_owned()),
            (None, Some(item)) => *item += &line[3..],
            (None, None) => {}
        }
    }
    items
}

fn differ(texts: impl Iterator<Item = String>, what: &str) {
    let mut seen = BTreeSet::new();
    for text in texts {
        assert!(!text.is_empty() && seen.insert(text.clone()), "{what}: twice: {text}");
    }
}

/// What holds of every first screen.
fn is_a_screen(path: &str, width: &str) {
    let what = format!("{path} at {width}");
    let screen = text(&["analyze", path, "-q", "--width", width]);
    assert!(screen.lines().count() < LINES, "{what}:\n{screen}");
    lines_fit(&screen, width, &what);
    numbers_are_whole(&screen, &what);
    for title in ["Findings", "With care"] {
        differ(items(&screen, title).into_iter(), &what);
    }
    for empty in
        ["at least 0.0 %", "at least <", "nobody that was recorded was busy for", "0.0 % to 0.0 %"]
    {
        assert!(!screen.contains(empty), "{what}: {empty}\n{screen}");
    }
    let rows = screen.lines().skip(3).take_while(|line| line.starts_with("  "));
    let rows = rows.filter(|line| !line.starts_with("  note: "));
    let cell =
        |row: &str| row.trim_start().split_once("  ").map(|(_, rest)| rest.trim_start().to_owned());
    let name = |row: String| row.split("  ").next().unwrap_or_default().to_owned();
    let names = rows.filter_map(cell).map(name);
    differ(names, &what);
}

#[test]
fn every_first_screen_fits_and_says_nothing_twice() {
    let traces = common::real_traces();
    let mut paths: Vec<PathBuf> = folders(&traces).into_iter().collect();
    paths.extend(traces);
    for (number, path) in paths.iter().enumerate() {
        let is_small = path.is_file() && path.metadata().unwrap().len() < SMALL_BYTES;
        let one = [WIDTHS[number % WIDTHS.len()]];
        for width in if is_small { &WIDTHS[..] } else { &one } {
            is_a_screen(path.to_str().unwrap(), width);
        }
    }
}

/// Kernels whose names differ are told apart however short the names are.
#[test]
fn names_that_differ_stay_different() {
    let mut paths: Vec<PathBuf> =
        vec![root().join("fixtures/h100_rust_light/cap_light.pt.trace.json.gz")];
    paths.extend(
        common::real_traces()
            .into_iter()
            .filter(|path| path.metadata().unwrap().len() < SMALL_BYTES),
    );
    let mut n_short = 0;
    for path in paths {
        let table = |more: &[&str]| {
            let args =
                ["analyze", path.to_str().unwrap(), "-q", "--table", "kernels", "--top", "0"];
            text(&[&args, more].concat())
        };
        let short = table(&["--width", "80"]);
        let rows: Vec<&str> =
            short.lines().skip(3).take_while(|line| !line.starts_with("  note")).collect();
        let names = rows.iter().map(|row| row.rsplit("  ").next().unwrap());
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        names.for_each(|name| *counts.entry(name).or_default() += 1);
        let csv = table(&["--format", "csv"]);
        let whole: BTreeSet<&str> = csv.lines().skip(1).collect();
        assert_eq!(rows.len(), whole.len(), "{}", path.display());
        n_short += rows.iter().filter(|row| row.contains('…')).count();
        let twice: Vec<_> = counts.iter().filter(|(_, n)| **n > 1).collect();
        let runs = csv.lines().next().is_some_and(|head| head.contains("run"));
        assert!(
            twice.is_empty() || runs && twice.len() < rows.len(),
            "{}: {twice:?}",
            path.display()
        );
    }
    assert!(n_short > 10, "{n_short} names were shortened");
}

#[test]
fn a_pipe_has_the_room_of_a_pager_and_columns_says_otherwise() {
    let run = |columns: Option<&str>, args: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_omni-trace"));
        command
            .args(["analyze", "fixtures/pipeline", "--full", "-q"])
            .args(args)
            .current_dir(root());
        match columns {
            Some(columns) => command.env("COLUMNS", columns),
            None => command.env_remove("COLUMNS"),
        };
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    };
    assert_eq!(run(None, &[]), run(None, &["--width", "120"]));
    assert_eq!(run(Some("90"), &[]), run(None, &["--width", "90"]));
    assert_eq!(run(Some("90"), &["--width", "0"]), run(Some("0"), &[]));
    assert_eq!(run(Some("x"), &[]), run(None, &[]));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("all.txt");
    assert_eq!(run(None, &["-o", file.to_str().unwrap()]), "");
    assert_eq!(std::fs::read_to_string(file).unwrap(), run(Some("0"), &[]));
}

/// A text without what colours it.
fn uncoloured(text: &str) -> String {
    let mut parts = text.split('\u{1b}');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |all, part| all + part.split_once('m').map_or("", |(_, rest)| rest))
}

#[test]
fn colours_and_bars_are_there_where_they_are_asked_for_and_take_no_room() {
    let table = |more: &[&str]| {
        let args = ["analyze", "fixtures/pipeline", "-q", "--width", "120"];
        text(&[&args[..], &["--table", "idle,kernel_classes,trust,issues"], more].concat())
    };
    let plain = table(&[]);
    assert!(!plain.contains('\u{1b}') && !plain.contains('█'), "{plain}");
    assert_eq!(table(&["--color", "never"]), plain);
    let coloured = table(&["--color", "always"]);
    assert!(coloured.contains("\u{1b}[1m") && coloured.contains("\u{1b}[36m"), "{coloured}");
    assert!(coloured.contains('█'), "no bar:\n{coloured}");
    let seen = uncoloured(&coloured);
    lines_fit(&seen, "120", "colours");
    let words = |text: &str| -> Vec<String> {
        let without_bars = text.replace(|c: char| ('█'..='▏').contains(&c) || c == '-', " ");
        without_bars.split_whitespace().map(str::to_owned).collect()
    };
    assert_eq!(words(&seen), words(&plain), "a bar costs a number");
    let screen = ["analyze", "fixtures/nccl_two_ranks", "-q", "--width", "80", "--color", "always"];
    let screen = uncoloured(&text(&screen));
    assert!(screen.lines().count() < LINES, "{screen}");
    lines_fit(&screen, "80", "a screen in colours");
}

/// On a terminal there are colours, but where NO_COLOR is set.
#[test]
fn a_terminal_has_colours_but_where_they_are_refused() {
    let program = env!("CARGO_BIN_EXE_omni-trace");
    let on_terminal = |no_color: &str| {
        let line = format!("{program} analyze fixtures/pipeline -q");
        let mut command = std::process::Command::new("script");
        command.args(["-qec", &line, "/dev/null"]).current_dir(root());
        command.env("NO_COLOR", no_color).stdin(std::process::Stdio::null());
        command.output().ok().map(|output| String::from_utf8(output.stdout).unwrap())
    };
    let Some(coloured) = on_terminal("") else {
        println!("skipped: there is no `script` here to make a terminal");
        return;
    };
    assert!(coloured.contains("\u{1b}[1m") && coloured.contains("\u{1b}[32m"), "{coloured}");
    let plain = on_terminal("1").unwrap();
    assert!(!plain.contains('\u{1b}') && plain.contains("idle, mostly"), "{plain}");
}

/// With several ranks the first screen tells waiting in collectives from moving data.
#[test]
fn the_first_screen_tells_waiting_in_collectives() {
    let screen = text(&["analyze", "fixtures/nccl_two_ranks", "-q", "--width", "80"]);
    assert!(screen.lines().any(|line| line.contains("comm wait")), "{screen}");
    assert!(screen.contains("waiting for other ranks"), "{screen}");
    let alone = text(&["analyze", "fixtures/h100_rust_light", "-q", "--width", "80"]);
    assert!(!alone.contains("comm wait"), "{alone}");
    let devices = ["analyze", "fixtures/nccl_two_ranks", "--format", "json", "-q"];
    let report: serde_json::Value = serde_json::from_str(&text(&devices)).unwrap();
    let bandwidth = ["bandwidth", "fixtures/nccl_two_ranks", "--format", "json", "-q"];
    let bandwidth: serde_json::Value = serde_json::from_str(&text(&bandwidth)).unwrap();
    let devices = report["devices"].as_array().unwrap().iter();
    let mut sum = 0;
    for (device, rank) in devices.zip(bandwidth["rank_waits"].as_array().unwrap()) {
        let (waited, all) = (device["comm_wait_ns"].as_i64().unwrap(), rank["wait_ns"].as_i64());
        assert!(waited <= device["comm_busy_ns"].as_i64().unwrap(), "{device}");
        assert!(Some(waited) <= all, "{waited} of {rank}");
        sum += waited;
    }
    assert!(sum > 0, "{report}");
}
