//! Damaged traces: nothing panics, nothing hangs, and **every whole event outside the damaged bytes is in the store, or
//! its loss is counted as data loss**, held by the identity of events. `BROKEN_CASES=20000` runs more than the usual,
//! and `BLESS=1` besides writes what was recovered of each kind to `reports/damage.md`.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
#![expect(
    clippy::single_range_in_vec_init,
    reason = "a piece of a text is a range, and one may be all there is"
)]

mod damage;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::time::{Duration, Instant};

use damage::{KINDS, Random};
use omni_trace::diag::Severity;
use omni_trace::read::{Input, ReadError, ReadOptions, read_input};

/// Longest that one case may take.
const LIMIT: Duration = Duration::from_secs(20);

/// The writers' layouts of a trace whose events are known by their time.
const LAYOUTS: usize = 5;

/// A trace of `n` events, and where each stands.
fn trace(layout: usize, n: usize) -> (Vec<u8>, Vec<std::ops::Range<usize>>) {
    let (head, separator, tail) = match layout {
        0 => (
            "\n  {\n    \"schemaVersion\": 1,\n    \"deviceProperties\": [\n    ],\n  \"traceEvents\": [\n  ",
            ",\n  ",
            "\n  ],\n  \"traceName\": \"x.json\"\n}",
        ),
        1 => ("{\n\"schemaVersion\": 1,\n\"traceEvents\":[\n", ",\n", "\n]\n}"),
        2 => ("{\"traceEvents\":[", ",", "]}"),
        3 => ("[\n", ",\n", "\n]"),
        _ => ("{\"traceEvents\": [", ", ", "], \"displayTimeUnit\": \"ms\"}"),
    };
    let mut text = head.to_owned();
    let mut places = Vec::new();
    for i in 0..n {
        if i > 0 {
            text += separator;
        }
        let start = text.len();
        text += &event(layout, i);
        places.push(start..text.len());
    }
    (format!("{text}{tail}").into_bytes(), places)
}

/// The event that starts `i` µs after the beginning.
fn event(layout: usize, i: usize) -> String {
    let name = [
        "aten::mul",
        "void at::f<8, std::array<char*, 3ul> >(int, \\\"q\\\")",
        "a, b",
        "C:\\\\d\\\\",
    ][i % 4];
    match (layout, i % 3) {
        (0, _) => format!(
            "{{\n    \"ph\": \"X\", \"cat\": \"cpu_op\", \"name\": \"{name}\", \"pid\": 1, \"tid\": {},\n    \"ts\": {i}.000, \"dur\": 0.900,\n    \"args\": {{\n      \"External id\": {i},\"Input Dims\": [[1, 2], []], \"Input type\": [\"float\", \"\"]\n    }}\n  }}",
            i % 3
        ),
        (1, _) => format!(
            "{{\"ph\":\"X\",\"cat\":\"kernel\",\"name\":\"{name}\",\"pid\":0,\"tid\":7,\"ts\":{i},\"dur\":1,\"args\":{{\"grid\":[1,2,{i}],\"x\":{{\"y\":[{{\"z\":\"\"}}]}}}}}}"
        ),
        (2, _) => format!(
            "{{\"name\":\"{name}\",\"cat\":\"cpu_op\",\"pid\":1,\"tid\":1,\"ts\":{i},\"dur\":1,\"ph\":\"X\"}}"
        ),
        (3, 0) => {
            format!("{{\"ph\":\"X\",\"ts\":{i},\"dur\":1,\"pid\":1,\"tid\":1,\"name\":\"{name}\"}}")
        }
        (_, _) => format!(
            "{{\"ph\": \"X\", \"name\": \"{name}\", \"pid\": 1, \"tid\": 1, \"ts\": {i}, \"dur\": 1, \"args\": {{\"Input type\": [\"float\", \"\"], \"s\": \"{}\"}}}}",
            "x".repeat(i % 40)
        ),
    }
}

fn read(bytes: &[u8]) -> Result<Input, ReadError> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    read_input(file.path(), &ReadOptions { threads: 2, ..ReadOptions::default() })
}

/// How often each event is in a store, by its number.
fn counts(input: &Input) -> BTreeMap<i64, usize> {
    let mut counts = BTreeMap::new();
    for ts_ns in &input.store.slices.ts_ns {
        *counts.entry(ts_ns / 1000).or_default() += 1;
    }
    counts
}

/// Damages a trace and says what is wrong with how it is read; gives how many whole events there were and were read.
fn check(kind: usize, seed: u64) -> Result<(usize, usize), String> {
    let mut random = Random::new(seed * 1000 + kind as u64);
    let layout = random.below(LAYOUTS);
    let n = 1 + random.below(400);
    let (text, places) = trace(layout, n);
    let (damaged, pieces) = KINDS[kind].1(&text, &places, &mut random);
    let mut wanted: BTreeMap<i64, usize> = BTreeMap::new();
    for piece in &pieces {
        for (i, place) in places.iter().enumerate() {
            if piece.start <= place.start && place.end <= piece.end {
                *wanted.entry(i as i64).or_default() += 1;
            }
        }
    }
    let n_wanted: usize = wanted.values().sum();
    let began = Instant::now();
    let found = read(&damaged);
    if began.elapsed() > LIMIT {
        return Err(format!("took {:?}", began.elapsed()));
    }
    let input = match found {
        Ok(input) => input,
        Err(error) if n_wanted > 0 => {
            return Err(format!("{n_wanted} whole events refused: {error}"));
        }
        Err(_) => return Ok((0, 0)),
    };
    let found = counts(&input);
    let n_missing: usize =
        wanted.iter().map(|(i, n)| n.saturating_sub(*found.get(i).unwrap_or(&0))).sum();
    // What damage made into JSON that is valid as it stands says that these events are arguments of another.
    let is_valid = || serde_json::from_slice::<serde::de::IgnoredAny>(&damaged).is_ok();
    if n_missing > 0 && input.diag.worst() < Some(Severity::DataLoss) && !is_valid() {
        return Err(format!(
            "{n_missing} of {n_wanted} whole events lost silently: {:?}",
            input.diag
        ));
    }
    Ok((n_wanted, n_wanted - n_missing))
}

#[test]
fn every_whole_event_is_read_or_its_loss_is_counted() {
    let n_cases: u64 =
        std::env::var("BROKEN_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(2500);
    let n_seeds = n_cases / KINDS.len() as u64;
    let (mut failures, mut report) = (Vec::new(), report_head(n_seeds));
    for (kind, (name, _)) in KINDS.iter().enumerate() {
        let (mut n_wanted, mut n_found) = (0, 0);
        for seed in 0..n_seeds {
            match check(kind, seed) {
                Ok((wanted, found)) => (n_wanted, n_found) = (n_wanted + wanted, n_found + found),
                Err(what) => failures.push(format!("{name}, seed {seed}: {what}")),
            }
        }
        let permille = n_found * 1000 / n_wanted.max(1);
        println!("{name:24} {n_found:8} of {n_wanted:8} whole events read, {permille} ‰");
        report += &format!(
            "| {name} | {n_wanted} | {n_found} | {} | {permille} ‰ |\n",
            n_wanted - n_found
        );
        if permille < 980 {
            failures.push(format!("{name}: only {permille} ‰ of the whole events are read"));
        }
    }
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/reports/damage.md"), report).unwrap();
    }
    let n_failures = failures.len();
    failures.truncate(12);
    assert!(failures.is_empty(), "{n_failures} failures:\n{}", failures.join("\n"));
}

/// The head of the table of what is recovered.
fn report_head(n_seeds: u64) -> String {
    let kinds = KINDS.len();
    format!(
        "# What is read of damaged traces\n\n\
         {kinds} kinds of damage, {n_seeds} seeds each; made by `BLESS=1 BROKEN_CASES={} cargo test --test broken`. A whole event is one \
         that no damaged byte touches. Those that are not read are counted as data loss: an event that is neither fails the test.\n\n\
         | damage | whole events | read | counted as lost | read |\n| --- | ---: | ---: | ---: | ---: |\n",
        kinds as u64 * n_seeds
    )
}

fn gz(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn a_compressed_trace_cut_anywhere_gives_every_event_that_inflates_whole() {
    let mut random = Random::new(5);
    for case in 0..150 {
        let (text, places) = trace(case % LAYOUTS, 300);
        let whole = gz(&text);
        let cut = 20 + random.below(whole.len() - 20);
        let mut inflated = Vec::new();
        let _ = std::io::Read::read_to_end(
            &mut flate2::read::DeflateDecoder::new(&whole[10..cut]),
            &mut inflated,
        );
        let n_whole = places.iter().filter(|place| place.end <= inflated.len()).count();
        match read(&whole[..cut]) {
            Ok(input) => {
                assert!(input.store.slices.len() >= n_whole, "{case}: cut at {cut}");
                assert_eq!(input.diag.worst(), Some(Severity::DataLoss));
            }
            Err(error) => assert_eq!(n_whole, 0, "{case}: cut at {cut}: {error}"),
        }
    }
}

#[test]
fn flipped_bits_in_compressed_traces_are_never_silent() {
    let mut random = Random::new(6);
    for case in 0..300 {
        let (text, places) = trace(case % LAYOUTS, 300);
        let mut bytes = gz(&text);
        let at = 10 + random.below(bytes.len() - 10);
        bytes[at] ^= 1 << random.below(8);
        let began = Instant::now();
        if let Ok(input) = read(&bytes) {
            let is_whole = (0..places.len() as i64).all(|i| counts(&input).get(&i) == Some(&1));
            assert!(is_whole || input.diag.worst() == Some(Severity::DataLoss), "{case}");
        }
        assert!(began.elapsed() < LIMIT, "{case}");
    }
}

#[test]
fn a_whole_member_behind_a_cut_one_is_read() {
    for layout in 0..LAYOUTS {
        let (text, places) = trace(layout, 300);
        let whole = gz(&text);
        for cut in [12, 60, whole.len() / 2, whole.len() - 4] {
            let input = read(&[&whole[..cut], &whole[..]].concat());
            let input = input.unwrap_or_else(|error| panic!("{layout}, {cut}: {error}"));
            let found = counts(&input);
            let n_missing = (0..places.len() as i64).filter(|i| !found.contains_key(i)).count();
            assert_eq!(n_missing, 0, "layout {layout}, cut at {cut}: {:?}", input.diag);
            assert_eq!(input.diag.worst(), Some(Severity::DataLoss));
        }
    }
}

#[test]
fn utf_16_is_read_as_it_stands() {
    let (text, places) = trace(0, 50);
    let text = String::from_utf8(text).unwrap();
    for mark in [true, false] {
        let units: Vec<u16> =
            mark.then_some(0xfeff).into_iter().chain(text.encode_utf16()).collect();
        let little: Vec<u8> = units.iter().flat_map(|unit| unit.to_le_bytes()).collect();
        let big: Vec<u8> = units.iter().flat_map(|unit| unit.to_be_bytes()).collect();
        for bytes in [little, big] {
            let input = read(&bytes).unwrap();
            assert_eq!(input.store.slices.len(), places.len());
            assert!(input.diag.worst() < Some(Severity::DataLoss), "{:?}", input.diag);
        }
    }
}

/// An event of many bytes is read, one past the limit is counted, and both in time that grows with the bytes.
#[test]
fn giant_events_and_members_are_bounded() {
    let event = |i: usize, len: usize| {
        format!(
            "{{\"ph\":\"X\",\"name\":\"{}\",\"ts\":{i},\"dur\":1,\"pid\":1,\"tid\":1}}",
            "x".repeat(len)
        )
    };
    for (len, n_read, n_lost) in [(5 << 20, 3, 0), (70 << 20, 2, 1)] {
        let text = format!("[{},{},{}]", event(0, 1), event(1, len), event(2, 1));
        let began = Instant::now();
        let input = read(text.as_bytes()).unwrap();
        assert_eq!(input.store.slices.len(), n_read, "{:?}", input.diag);
        assert_eq!(input.diag.count(omni_trace::diag::IssueKind::OversizedEvent), n_lost);
        assert!(began.elapsed() < LIMIT);
    }
    let text = format!("{{\"x\":\"{}\",\"traceEvents\":[{}]}}", " ".repeat(20 << 20), event(0, 1));
    let input = read(text.as_bytes()).unwrap();
    assert_eq!(input.store.slices.len(), 1);
    assert_eq!(input.diag.count(omni_trace::diag::IssueKind::OversizedMember), 1);
}

/// Bad events one after the other cost what good ones do.
#[test]
fn bad_events_are_read_in_linear_time() {
    for bad in [
        "{\"ph\":\"X\",\"d\":[",
        "{\"ph\":\"X\",\"name\":\"a\\\",\"ts\":1},",
        "{\"ph\":\"X\",\"args\":{\"a\":[1,\"b}},",
        "{\"a\":{\"a\":",
    ] {
        let text = format!(
            "[{}{}]",
            bad.repeat((3 << 20) / bad.len()),
            "{\"ph\":\"X\",\"ts\":7,\"dur\":1}"
        );
        let began = Instant::now();
        let found = read(text.as_bytes());
        assert!(began.elapsed() < LIMIT, "{bad}: {:?}", began.elapsed());
        assert!(found.is_err() || found.unwrap().diag.worst() >= Some(Severity::Notice), "{bad}");
    }
}
