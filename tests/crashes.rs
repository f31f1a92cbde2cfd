//! What fuzzing found once stays mended, and a few thousand seeded changes of the corpora find nothing new.
//!
//! The corpora are the fixtures. `FUZZ_SECONDS=600 cargo test --release --test crashes` makes changes for so long on each
//! target, on a stable toolchain; the fuzzers proper are in `fuzz/`.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;
#[path = "../fuzz/targets.rs"]
mod targets;

use std::fs;
use std::io::Read as _;
use std::panic::catch_unwind;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::Random;
use omni_trace::ask::partial::read_partial;
use omni_trace_proto::capture::{CaptureManifest, File, Gate, Stage, Window, Worker};
use omni_trace_proto::prost::Message as _;

/// Changes of each corpus that every run of the tests makes.
const CHANGES: u64 = 300;

/// Largest input of a corpus, in bytes: small ones find more in the same time.
const MOST_BYTES: usize = 20_000;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file of a folder and those in it, in order of name.
fn files(folder: &Path, found: &mut Vec<Vec<u8>>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push(fs::read(&path).unwrap());
        }
    }
}

fn fixtures() -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    files(&root().join("fixtures"), &mut found);
    assert!(found.len() > 50);
    found
}

fn inflated(bytes: &[u8]) -> Option<Vec<u8>> {
    bytes.starts_with(&[0x1f, 0x8b]).then_some(())?;
    let mut text = Vec::new();
    flate2::read::MultiGzDecoder::new(bytes).take(1 << 20).read_to_end(&mut text).ok()?;
    Some(text)
}

/// The inputs that a target starts from.
fn corpus(target: &str) -> Vec<Vec<u8>> {
    let all = fixtures();
    let texts = || all.iter().map(|bytes| inflated(bytes).unwrap_or_else(|| bytes.clone()));
    let mut corpus: Vec<Vec<u8>> = match target {
        "gzip" | "deflate" => {
            all.iter().filter(|b| b.starts_with(&[0x1f, 0x8b])).map(|b| b[10..].to_vec()).collect()
        }
        "perfetto" => {
            texts().filter(|text| text.first() == Some(&b'\n') && text.contains(&0)).collect()
        }
        "rules" => ["wait_rules.default", "comm_rules.default"]
            .iter()
            .filter_map(|name| fs::read(root().join("src/analyze").join(name)).ok())
            .collect(),
        "logs" => texts().filter(|text| text.windows(4).any(|w| w == b"INFO")).collect(),
        "snapshot" => all
            .iter()
            .filter(|b| matches!(b[..], [0x80, 2..=5, ..]))
            .map(|b| b[2..].to_vec())
            .collect(),
        "partials" => partials(),
        "manifest" => vec![manifest()],
        "events" => texts().filter_map(|text| some_events(&text)).collect(),
        _ => texts().filter(|text| text.windows(13).any(|w| w == b"\"traceEvents\"")).collect(),
    };
    if !matches!(target, "partials" | "manifest") {
        corpus.iter_mut().for_each(|input| input.truncate(MOST_BYTES));
    }
    assert!(!corpus.is_empty(), "{target} has no corpus");
    corpus
}

/// The bytes of a manifest in which everything is said once.
fn manifest() -> Vec<u8> {
    let text = |word: &str| word.to_owned();
    let gate = Gate { delay_iters: 2, max_iters: Some(5), ..Gate::default() };
    let window = Window { index: 1, file: text("a.pt.trace.json.gz"), ..Window::default() };
    let worker = Worker { rank: 3, windows: vec![window], ..Worker::default() };
    let stage = Stage {
        id: 1,
        name: text("talker"),
        from: vec![0],
        gate: Some(gate),
        workers: vec![worker],
        ..Stage::default()
    };
    let file = File { path: text("a"), bytes: u64::MAX, ..File::default() };
    let manifest = CaptureManifest {
        schema_version: 1,
        stages: vec![stage],
        files: vec![file],
        notes: vec![text("n")],
        ..CaptureManifest::default()
    };
    manifest.encode_to_vec()
}

/// The messages of partial results of some fixtures.
fn partials() -> Vec<Vec<u8>> {
    /// What stands before the message: its mark, its version, its checksum and its length.
    const FRAME_BYTES: usize = 24;
    let folder = tempfile::tempdir().unwrap();
    let message = |case: &&str| {
        let path = folder.path().join(case).with_extension("otp");
        let status = Command::new(env!("CARGO_BIN_EXE_omni-trace"))
            .args(["analyze", "-q", "--partial"])
            .args([&path, &root().join("fixtures").join(case)])
            .stdout(Stdio::null())
            .status();
        assert!(status.unwrap().success(), "{case}");
        inflated(&fs::read(&path).unwrap()[FRAME_BYTES..]).unwrap()
    };
    ["nccl_two_ranks", "vllm_tp2_step", "p2p_copies", "compact_exporter"]
        .iter()
        .map(message)
        .collect()
}

/// The first events of a document, without the array around them.
fn some_events(text: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(text).ok()?;
    let (_, events) = text.split_once("\"traceEvents\"")?.1.split_once('[')?;
    Some(events.as_bytes()[..events.len().min(4000)].to_vec())
}

/// Bytes that mean something to the readers.
const WORDS: [&[u8]; 16] = [
    b"\"",
    b"\\",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"\"ph\":\"X\"",
    b"\"ts\":",
    b"\"traceEvents\":[",
    b"},{\"ph\":",
    b"\0",
    b"-1e999",
    b"18446744073709551616",
    b"\n",
];

/// One to five changes: bits, bytes, words, pieces doubled, moved or taken away, pieces of another input.
fn changed(input: &[u8], other: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for _ in 0..=random.below(5) {
        let at = random.below(bytes.len() + 1);
        let end = (at + random.below(64)).min(bytes.len());
        match random.below(7) {
            0 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
            1 if at < bytes.len() => bytes[at] = random.below(256) as u8,
            2 => drop(bytes.splice(at..at, WORDS[random.below(WORDS.len())].iter().copied())),
            3 => drop(bytes.drain(at..end)),
            4 => {
                let piece = bytes[at..end].to_vec();
                let to = random.below(bytes.len() + 1);
                drop(bytes.splice(to..to, piece));
            }
            5 => {
                let from = random.below(other.len() + 1);
                let to = (from + random.below(256)).min(other.len());
                drop(bytes.splice(at..end, other[from..to].iter().copied()));
            }
            _ => bytes.truncate(bytes.len() - random.below(bytes.len() / 4 + 1)),
        }
    }
    bytes
}

/// Runs a target; an input that it does not stand is kept, and named.
fn stands(name: &str, target: fn(&[u8]), bytes: &[u8], what: &str) {
    if catch_unwind(|| target(bytes)).is_err() {
        let path = std::env::temp_dir().join(format!("omni-trace-crash-{name}"));
        fs::write(&path, bytes).unwrap();
        panic!("{name}: {what} fails; it is kept as {}", path.display());
    }
}

#[test]
fn what_was_found_once_stays_mended() {
    for (name, target) in targets::ALL {
        let mut found = Vec::new();
        files(&root().join("fixtures/crash").join(name), &mut found);
        for (i, bytes) in found.iter().enumerate() {
            stands(name, target, bytes, &format!("number {i} of the crashes"));
        }
        for (i, bytes) in corpus(name).iter().enumerate() {
            stands(name, target, bytes, &format!("number {i} of the corpus"));
        }
    }
}

/// What the fuzzing of partial results begins with is taken: what is not says nothing of what stands behind the first check.
#[test]
fn partial_results_of_the_corpus_are_read() {
    for message in corpus("partials") {
        assert!(read_partial(&targets::framed(&message), 0).is_ok());
    }
}

#[test]
fn seeded_changes_find_nothing() {
    let seconds = std::env::var("FUZZ_SECONDS").ok().and_then(|text| text.parse::<u64>().ok());
    let seed = std::env::var("FUZZ_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    std::thread::scope(|scope| {
        for (name, target) in targets::ALL {
            scope.spawn(move || {
                let corpus = corpus(name);
                let mut random = Random::new(seed);
                let (begun, mut n) = (Instant::now(), 0);
                while match seconds {
                    Some(seconds) => begun.elapsed() < Duration::from_secs(seconds),
                    None => n < CHANGES,
                } {
                    let input = &corpus[random.below(corpus.len())];
                    let other = &corpus[random.below(corpus.len())];
                    let bytes = changed(input, other, &mut random);
                    stands(name, target, &bytes, &format!("change {n} of seed {seed}"));
                    n += 1;
                }
                if seconds.is_some() {
                    eprintln_count(name, n);
                }
            });
        }
    });
}

#[expect(clippy::print_stderr, reason = "a long run says what it did")]
fn eprintln_count(name: &str, n: u64) {
    eprintln!("{name}: {n} changes stood");
}
