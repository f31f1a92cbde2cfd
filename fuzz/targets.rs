//! What is fuzzed: one function an entry through which bytes of others come in. Each holds more than that nothing panics.
//!
//! The fuzzers (`fuzz_targets/`) call these with whatever they make up; `tests/crashes.rs` calls them with what was found
//! once (`fixtures/crash/`), with the corpora, and with its own seeded changes of them.

use std::path::PathBuf;

use omni_trace::analyze::comm_rules::CommRules;
use omni_trace::analyze::wait_rules::WaitRules;
use omni_trace::ask::partial::{FORMAT, read_partial};
use omni_trace::ask::{Question, Reduced, Traces};
use omni_trace::read::logs::read_log_bytes;
use omni_trace::read::{Input, ReadError, ReadOptions, read_input};
use omni_trace_proto::capture::CaptureManifest;
use omni_trace_proto::prost::Message as _;

/// Takes bytes of others.
pub(crate) type Target = fn(&[u8]);

/// Every target by name.
pub(crate) const ALL: [(&str, Target); 10] = [
    ("chrome", chrome),
    ("events", events),
    ("gzip", gzip),
    ("deflate", deflate),
    ("perfetto", perfetto),
    ("logs", logs),
    ("rules", rules),
    ("partials", partials),
    ("manifest", manifest),
    ("snapshot", snapshot),
];

/// A file of this process that inputs are read from.
fn file(target: &str) -> PathBuf {
    let folder = ["/dev/shm", "/tmp"].map(PathBuf::from).into_iter().find(|folder| folder.is_dir());
    let folder = folder.unwrap_or_else(std::env::temp_dir);
    let thread = format!("{:?}", std::thread::current().id());
    let thread: String = thread.chars().filter(char::is_ascii_digit).collect();
    folder.join(format!("omni-trace-fuzz-{}-{thread}-{target}", std::process::id()))
}

fn read(target: &str, bytes: &[u8], force_slow_path: bool) -> Result<Input, ReadError> {
    let path = file(target);
    std::fs::write(&path, bytes).expect("there is room for a file");
    let input =
        read_input(&path, &ReadOptions { threads: 1, force_slow_path, ..ReadOptions::default() });
    std::fs::remove_file(&path).expect("the file was just written");
    input
}

/// Whether it has the form of JSON. What stands in a text or a key may be no UTF-8, which this parser does not look at.
fn is_json(text: &[u8]) -> bool {
    serde_json::from_slice::<serde::de::IgnoredAny>(text).is_ok()
}

/// The fast and the tolerant reader give the same store of a document that is JSON, or both none. Of what is none they read what
/// they can: the fast one overlooks commas that are too many, which the tolerant one repairs.
pub(crate) fn chrome(bytes: &[u8]) {
    match (read("chrome", bytes, false), read("chrome", bytes, true)) {
        _ if !is_json(bytes) => {}
        (Ok(fast), Ok(slow)) => assert!(fast.store == slow.store, "the two readers differ"),
        (Err(_), Err(_)) => {}
        (fast, slow) => panic!("only one reads it: {:?} {:?}", fast.is_ok(), slow.is_ok()),
    }
}

/// The same of what stands in an event array, behind one sound event and before another: that is found whatever is between.
pub(crate) fn events(bytes: &[u8]) {
    let sound =
        |ts: u32| format!(r#"{{"ph":"X","name":"sound","pid":7,"tid":7,"ts":{ts},"dur":1}}"#);
    let (first, last) = (sound(1), sound(2));
    let text =
        [b"{\"traceEvents\":[", first.as_bytes(), b",\n", bytes, b",\n", last.as_bytes(), b"]}"]
            .concat();
    let readers = [false, true].map(|slow| read("events", &text, slow).expect("an event is whole"));
    let [fast, slow] = &readers;
    assert!(!is_json(&text) || fast.store == slow.store, "the two readers differ");
    for input in &readers {
        let all = 0..input.store.slices.len();
        let n_sound = all.filter(|&slice| input.store.name(slice) == "sound").count();
        let is_lost = input.diag.worst() >= Some(omni_trace::diag::Severity::DataLoss);
        assert!(n_sound >= 2 || is_lost, "a whole event is missing and nothing says so");
    }
}

/// A damaged stream gives what it gives, in bounded memory.
pub(crate) fn gzip(bytes: &[u8]) {
    let _ = read("gzip", &[&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3], bytes].concat(), false);
}

/// What the decoders of our own inflate, the library inflates to the same.
pub(crate) fn deflate(bytes: &[u8]) {
    use omni_trace::read::steps::{inflate_straight, inflate_stream};
    let (n_place, n_at_once) = (1 + bytes.len() % 50_000, 1000 + bytes.len() % 77);
    let by_own = [inflate_stream(bytes), inflate_straight(bytes, n_place, n_at_once)];
    for text in by_own.into_iter().flatten() {
        let mut inflate = flate2::Decompress::new(false);
        let mut same = vec![0; text.len() + 1];
        let end = inflate.decompress(bytes, &mut same, flate2::FlushDecompress::Finish);
        assert_eq!(end.ok(), Some(flate2::Status::StreamEnd), "the library does not read it");
        assert!(inflate.total_out() == text.len() as u64 && same[..text.len()] == text);
    }
}

/// Packets of any content.
pub(crate) fn perfetto(bytes: &[u8]) {
    let _ = read("perfetto", bytes, false);
}

/// Every line of a log is of a class, or is counted.
pub(crate) fn logs(bytes: &[u8]) {
    let _ = read_log_bytes("log", bytes);
}

/// A snapshot of torch's allocator that is read is answered, and the parts of its peaks sum to them.
pub(crate) fn snapshot(bytes: &[u8]) {
    let path = file("snapshot");
    let pickle = [&[0x80, 4][..], bytes].concat();
    std::fs::write(&path, pickle).expect("there is room for a file");
    let options = ReadOptions { threads: 1, takes_snapshots: true, ..ReadOptions::default() };
    let input = read_input(&path, &options);
    std::fs::remove_file(&path).expect("the file was just written");
    let Ok(input) = input else { return };
    let report = Traces::of(vec![input]).analyze(&Question::default());
    for row in &report.memory {
        let parts = report.memory_peak.iter().filter(|part| part.device == row.device);
        let sum = parts.fold(0_i64, |sum, part| sum.saturating_add(part.bytes));
        assert!(row.allocated_peak_bytes.is_none_or(|peak| peak as i64 == sum), "parts and peak");
    }
}

/// Rules that are taken can be asked.
pub(crate) fn rules(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (waits, comm) = (WaitRules::parse(text), CommRules::parse(text));
    if let Ok(rules) = waits {
        assert!(rules.rules().len() <= text.lines().count());
    }
    if let Ok(rules) = comm {
        let _ = text.lines().filter(|line| rules.find(line).is_some()).count();
    }
}

/// A message of a partial result in a sound frame.
pub(crate) fn framed(message: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut encoder, message).expect("memory can be written");
    let packed = encoder.finish().expect("memory can be written");
    let numbers = [FORMAT.to_le_bytes(), crc32fast::hash(&packed).to_le_bytes()].concat();
    let length = (packed.len() as u64).to_le_bytes();
    [&b"OTPART\r\n"[..], &numbers, &length, &packed].concat()
}

/// The message of a partial result: what is in it may be anybody's. Of what is taken twice a report can be made.
pub(crate) fn partials(message: &[u8]) {
    let bytes = framed(message);
    let Ok(one) = read_partial(&bytes, 0) else { return };
    if let Ok(two) = read_partial(&bytes, one.digests.len()) {
        let digests = [one.digests, two.digests].concat();
        let _ = Reduced::of(&Question::default(), digests).into_report(&Question::default());
    }
}

/// A manifest of a capture that is read comes back from its bytes and from its JSON as it is.
pub(crate) fn manifest(bytes: &[u8]) {
    let Ok(manifest) = CaptureManifest::decode(bytes) else { return };
    assert_eq!(CaptureManifest::decode(manifest.encode_to_vec().as_slice()), Ok(manifest.clone()));
    let json = serde_json::to_vec(&manifest).expect("a manifest has numbers and texts");
    assert_eq!(serde_json::from_slice::<CaptureManifest>(&json).ok(), Some(manifest));
}
