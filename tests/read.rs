//! Reading: the fast and the tolerant parser agree, threads change nothing, damage is survived and counted.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;

use std::path::Path;

use omni_trace::diag::IssueKind;
use omni_trace::read::{Input, ReadOptions, read_input};

fn read(path: &Path, threads: usize, force_slow_path: bool) -> Input {
    read_input(path, &ReadOptions { threads, force_slow_path, ..ReadOptions::default() }).unwrap()
}

#[test]
fn fast_and_tolerant_parsers_agree_on_every_real_trace() {
    for path in common::real_traces() {
        let fast = read(&path, 2, false);
        let slow = read(&path, 2, true);
        assert!(fast.store == slow.store, "{}", path.display());
        let unread = fast.diag.count(IssueKind::UnreadableEvent);
        assert_eq!(unread, 0, "{}", path.display());
    }
}

#[test]
fn threads_change_nothing() {
    for path in common::real_traces() {
        if std::fs::metadata(&path).unwrap().len() > 3_000_000 {
            continue;
        }
        let one = read(&path, 1, false);
        for threads in [2, 7] {
            let more = read(&path, threads, false);
            assert!(one.store == more.store && one.diag == more.diag, "{}", path.display());
        }
    }
}

/// A trace in the layout of torch 2.11, with `n` events.
fn small_trace(n: usize) -> String {
    let mut text = "\n  {\n    \"schemaVersion\": 1,\n    \"deviceProperties\": [\n    ],\n  \"baseTimeNanoseconds\": 1790857026000000000,\n  \"traceEvents\": [".to_owned();
    for i in 0..n {
        let comma = if i + 1 == n { "" } else { "," };
        text += &format!(
            "\n  {{\n    \"ph\": \"X\", \"cat\": \"cpu_op\", \"name\": \"aten::op{}\", \"pid\": 1, \"tid\": {},\n    \"ts\": {}.{:03}, \"dur\": 0.900,\n    \"args\": {{\n      \"External id\": {i},\"Input Dims\": [[1, 2], []]\n    }}\n  }}{comma}",
            i % 5,
            i % 3,
            100 + i,
            i % 1000,
        );
    }
    text + "\n  ],\n  \"traceName\": \"x.json\"\n}"
}

fn read_text(text: &[u8]) -> Result<Input, omni_trace::read::ReadError> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("trace.json");
    std::fs::write(&path, text).unwrap();
    read_input(&path, &ReadOptions { threads: 2, ..ReadOptions::default() })
}

#[test]
fn a_trace_cut_anywhere_keeps_every_whole_event() {
    let text = small_trace(4);
    for cut in 0..text.len() {
        let Ok(input) = read_text(&text.as_bytes()[..cut]) else {
            assert!(cut < text.find('[').unwrap() + 120, "{cut}");
            continue;
        };
        let whole = text[..cut].matches("\n    }\n  }").count();
        assert_eq!(input.store.slices.len(), whole, "cut at {cut}");
        let is_whole_array = cut > text.rfind(']').unwrap();
        assert_eq!(input.store.meta.truncated, !is_whole_array, "cut at {cut}");
        assert_eq!(input.diag.count(IssueKind::TruncatedFile), u64::from(!is_whole_array));
    }
}

#[test]
fn blocks_join_exactly_whatever_stands_at_their_ends() {
    // About 40 blocks; arguments hold what looks like the start of an event, in strings and as nested objects.
    let mut events = Vec::new();
    for i in 0..60_000 {
        events.push(format!(
            r#"{{"args":{{"list":[{{"a":1}},{{"name":"inner{i}","ph":"X"}}],"text":"}},{{\"ph\":\"X\"","pad":"{}"}},"ph":"X","cat":"cpu_op","name":"n{}","pid":"p","tid":3,"ts":{i},"dur":1}}"#,
            "x".repeat(i % 900),
            i % 7,
        ));
    }
    let text = format!("[{}]", events.join(","));
    assert!(text.len() > 30 << 20);
    let input = read_text(text.as_bytes()).unwrap();
    assert_eq!(input.store.slices.len(), 60_000);
    assert!(input.store.slices.ts_ns.iter().enumerate().all(|(i, &ts)| ts == i as i64 * 1000));
    assert_eq!(input.diag.issues().count(), 0, "{:?}", input.diag);
}

#[test]
fn damage_in_one_event_loses_that_event_only() {
    let text = small_trace(50);
    let good = read_text(text.as_bytes()).unwrap().store.slices.len();
    let at = text.find("aten::op3").unwrap();
    for (damage, lost, repaired) in [
        ("\" ", 0, 1),
        ("\": {\"a\": \"b\"}", 0, 1),
        ("\",,{{[\"\u{7}", 1, 0),
        ("\n  },\n  {\n    \"ph\"", 2, 0),
    ] {
        let mut broken = text.clone();
        broken.insert_str(at, damage);
        let input = read_text(broken.as_bytes()).unwrap();
        let n = input.store.slices.len();
        assert!(n + lost >= good, "{damage:?}: {n} of {good} left, {:?}", input.diag);
        assert!(input.diag.count(IssueKind::RepairedEvent) >= repaired, "{damage:?}");
        let counted = input.diag.count(IssueKind::UnreadableEvent)
            + input.diag.count(IssueKind::RepairedEvent)
            + input.diag.count(IssueKind::BadTimestamp);
        assert!(counted > 0, "{damage:?} went unnoticed");
    }
}

/// A byte that means something to a parser, mostly.
fn damage() -> impl proptest::strategy::Strategy<Value = u8> {
    use proptest::prelude::*;
    prop_oneof![
        3 => prop::sample::select(&b"\"\\{}[],: \n\x0b\x0c\0tfn-.0eE/"[..]),
        1 => any::<u8>(),
    ]
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(300))]

    /// Whatever bytes are overwritten, nothing panics and the store stays consistent.
    #[test]
    fn random_damage_never_panics(edits in proptest::collection::vec((0_usize..3000, damage()), 1..20)) {
        let mut text = small_trace(12).into_bytes();
        for (at, byte) in edits {
            let at = at % text.len();
            text[at] = byte;
        }
        if let Ok(input) = read_text(&text) {
            let store = &input.store;
            let in_tracks: usize = store.tracks.iter().map(|t| t.slices.len()).sum();
            proptest::prop_assert_eq!(in_tracks, store.slices.len());
            for slice in 0..store.slices.len() {
                let _ = (store.name(slice), store.category(slice), store.external_id(slice));
            }
        }
    }
}
