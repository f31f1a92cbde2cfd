//! Text in, text out: every `fixtures/<case>/cmd` is run, and what it prints must equal `expect.txt` byte for byte.
//!
//! Each line of `cmd` is the arguments of one run; `$HERE` stands for the case's folder. Every run is done with 1, 2 and
//! 7 threads, which must agree. `BLESS=1 cargo test --test golden` writes the expectations anew.

mod program;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use program::{omni_trace, root};

/// No folder of fixtures may grow past this; a repository is cloned by everyone.
const MAX_FIXTURE_BYTES: u64 = 3_000_000;

fn cases() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root().join("fixtures")).expect("there are fixtures");
    let mut cases: Vec<PathBuf> = entries
        .map(|entry| entry.expect("the fixtures are readable").path())
        .filter(|path| path.join("cmd").is_file())
        .collect();
    cases.sort();
    cases
}

/// What one run printed and how it ended.
fn transcript(arguments: &str, threads: &str) -> String {
    let mut args: Vec<&str> = arguments.split_whitespace().collect();
    args.extend(["--threads", threads]);
    let output = omni_trace(&args);
    let stdout = String::from_utf8(output.stdout).expect("the program writes UTF-8");
    let stderr = String::from_utf8(output.stderr).expect("the program writes UTF-8");
    let mut text = format!("$ omni-trace {arguments}\n{}", stdout.replace("\r\n", "\\r\\n\n"));
    if !stderr.is_empty() {
        let _ = write!(text, "[stderr]\n{stderr}");
    }
    let _ = writeln!(text, "[exit {}]\n", output.status.code().expect("it was not killed"));
    text
}

fn check_case(case: &Path) -> Result<(), String> {
    let name = case.file_name().and_then(|n| n.to_str()).expect("case names are UTF-8");
    let commands = std::fs::read_to_string(case.join("cmd")).expect("cmd is readable");
    let mut actual = String::new();
    for line in commands.lines().filter(|line| !line.trim().is_empty()) {
        let arguments = line.replace("$HERE", &format!("fixtures/{name}"));
        let one = transcript(&arguments, "1");
        for threads in ["2", "7"] {
            let more = transcript(&arguments, threads);
            if more != one {
                return Err(format!("{name}: `{arguments}` differs with {threads} threads"));
            }
        }
        actual.push_str(&one);
    }
    let expect = case.join("expect.txt");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&expect, actual).expect("the expectation is writable");
        return Ok(());
    }
    let expected = std::fs::read_to_string(&expect).unwrap_or_default();
    if actual == expected { Ok(()) } else { Err(first_difference(name, &expected, &actual)) }
}

fn first_difference(name: &str, expected: &str, actual: &str) -> String {
    let lines = expected.lines().chain([""]).zip(actual.lines().chain([""]));
    let differing = lines.enumerate().find(|(_, (a, b))| a != b);
    let (line, (a, b)) = differing.unwrap_or((0, ("(length)", "(length)")));
    format!("{name}: line {}\n  expected: {a}\n  actual:   {b}\n  (BLESS=1 accepts)", line + 1)
}

#[test]
fn every_case_prints_what_it_should() {
    let cases = cases();
    assert!(cases.len() >= 10, "only {} cases were found", cases.len());
    let failures: Vec<String> = cases.iter().filter_map(|case| check_case(case).err()).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn every_case_says_where_it_comes_from() {
    for case in cases() {
        let text = std::fs::read_to_string(case.join("README.md")).unwrap_or_default();
        let has_source = text.lines().any(|line| line.starts_with("Made by:"));
        assert!(has_source, "{}: README.md needs a `Made by:` line", case.display());
    }
}

#[test]
fn the_fixtures_stay_small() {
    fn size(path: &Path) -> u64 {
        if path.is_file() {
            return path.metadata().map_or(0, |m| m.len());
        }
        let entries = std::fs::read_dir(path).expect("the fixtures are readable");
        entries.map(|entry| size(&entry.expect("the fixtures are readable").path())).sum()
    }
    let total = size(&root().join("fixtures"));
    assert!(total < MAX_FIXTURE_BYTES, "fixtures hold {total} bytes");
}
