//! SQL of anybody, and names of anybody in it: what the fuzzer of `fuzz/sql.rs` found once stays mended, and thousands of seeded
//! changes find nothing new. `FUZZ_SECONDS=600` makes changes for so long.

mod common;
#[path = "../../fuzz/sql.rs"]
mod sql;

use std::panic::catch_unwind;
use std::time::{Duration, Instant};

use common::shared::Random;
use omni_trace_frame::questions::QUESTIONS;
use omni_trace_frame::{catalog, questions, statement};

/// Changes that every run of the tests makes.
const CHANGES: u64 = 6000;

/// What names in real traces and hostile ones hold, and what SQL is made of.
const WORDS: [&str; 40] = [
    "\"",
    "\"\"",
    "'",
    "''",
    "`",
    "[",
    "]",
    "(",
    ")",
    ";",
    "--",
    "/*",
    "*/",
    "\\",
    "\\'",
    "\0",
    "\n",
    "\u{1b}[31m",
    "\u{202e}",
    "=CMD()",
    "%",
    "_",
    ".",
    ",",
    "*",
    "::",
    "$1",
    "$$",
    "N'",
    "E'\\",
    "U&\"",
    "SELECT ",
    " FROM ",
    "DROP TABLE events",
    " UNION ALL ",
    "WITH a AS (",
    "kernels",
    "std::array<char*, 3ul>",
    "\u{fe0f}\u{feff}ÄÖ",
    "COLUMNS('.*')",
];

fn stands(text: &str, what: &str) {
    let stood = catch_unwind(|| sql::sql(text.as_bytes()));
    assert!(stood.is_ok(), "{what} fails: {text:?}");
}

/// A text with words put in and pieces taken out, between characters.
fn changed(text: &str, random: &mut Random) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    for _ in 0..=random.below(4) {
        let at = random.below(chars.len() + 1);
        if random.below(3) == 0 {
            chars.drain(at..(at + random.below(30)).min(chars.len()));
        } else {
            chars.splice(at..at, WORDS[random.below(WORDS.len())].chars());
        }
    }
    chars.into_iter().collect()
}

#[test]
fn what_was_found_once_stays_mended() {
    let folder = common::root().join("fixtures/crash/sql");
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        stands(
            &String::from_utf8_lossy(&std::fs::read(&path).unwrap()),
            &path.display().to_string(),
        );
    }
}

#[test]
fn names_and_statements_of_anybody_are_read_or_refused() {
    let seconds = std::env::var("FUZZ_SECONDS").ok().and_then(|text| text.parse::<u64>().ok());
    let mut corpus: Vec<String> =
        QUESTIONS.iter().map(|question| questions::sql(question.name).unwrap()).collect();
    corpus.extend(WORDS.iter().map(|&word| word.to_owned()));
    corpus.extend(catalog::Catalog::new().tables.iter().map(|table| table.name.to_owned()));
    corpus.iter().for_each(|text| stands(text, "the corpus"));
    let (mut random, begun, mut n) = (Random::new(1), Instant::now(), 0);
    while seconds.map_or(n < CHANGES, |seconds| begun.elapsed() < Duration::from_secs(seconds)) {
        let text = changed(&corpus[random.below(corpus.len())], &mut random);
        stands(&text, &format!("change {n}"));
        n += 1;
    }
}

/// Neither depth nor length ends the program: what is too deep is refused.
#[test]
fn deep_and_long_statements_are_read_or_refused() {
    for text in [
        format!("SELECT {}1{}", "(".repeat(50_000), ")".repeat(50_000)),
        format!("SELECT 1{}", " + 1".repeat(100_000)),
        format!("SELECT {}1", "NOT ".repeat(100_000)),
        format!("SELECT {}1", "-".repeat(99_999).replace("--", "- ")),
        format!("SELECT 1{}", " UNION ALL SELECT 1".repeat(50_000)),
        format!("SELECT a{}", "[1]".repeat(100_000)),
        format!("SELECT a{}", "::int".repeat(100_000)),
        format!("SELECT {}1{}", "us(".repeat(50_000), ")".repeat(50_000)),
        format!("SELECT 1 FROM {}a{}", "(SELECT 1 FROM ".repeat(5000), ")".repeat(5000)),
        format!("SELECT \"{}\" FROM t", "\"\"".repeat(1 << 20)),
        format!("SELECT CASE {} END", "WHEN 1 THEN 1 ".repeat(50_000)),
    ] {
        let parsed = statement::parse(&text);
        assert!(parsed.is_err() || parsed.is_ok_and(|all| all.len() == 1));
    }
}
