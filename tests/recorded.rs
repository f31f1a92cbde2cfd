//! Tables of events: their sums are the figures of the summaries, on fixtures and on every real trace.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use omni_trace::{Kind, Of, Question, ReadOptions, Reading, Source, Traces, Values, tables};

fn ints(source: &Source<'_>, key: &str) -> Vec<Option<i64>> {
    match source.column(key, 0..source.n_rows) {
        Some(Values::Int(values)) => values.iter().collect(),
        other => panic!("{key} of {}: {other:?}", source.key),
    }
}

fn words(source: &Source<'_>, key: &str) -> Vec<String> {
    let values = source.column(key, 0..source.n_rows).unwrap();
    (0..source.n_rows).map(|row| values.texts(row).unwrap_or_default()).collect()
}

fn source<'t>(traces: &'t Traces, name: &str) -> Source<'t> {
    traces.source(name, &Question::default()).unwrap()
}

/// Count and sum of durations by some texts.
fn sums(
    keys: impl IntoIterator<Item = String>,
    ns: &[Option<i64>],
) -> BTreeMap<String, (i64, i64)> {
    let mut sums: BTreeMap<String, (i64, i64)> = BTreeMap::new();
    for (key, ns) in keys.into_iter().zip(ns) {
        let sum = sums.entry(key).or_default();
        *sum = (sum.0 + 1, sum.1 + ns.unwrap());
    }
    sums
}

/// Every column has the kind and the length that the listing says, and is whole also where it is asked for in pieces.
fn columns_are_as_listed(traces: &Traces) {
    for info in tables().iter().filter(|info| info.of == Of::Events) {
        let source = source(traces, &info.name);
        for column in info.spec.value_columns() {
            let whole = source.column(column.key, 0..source.n_rows).unwrap();
            assert_eq!(whole.len(), source.n_rows, "{} {}", info.name, column.key);
            let is_kind = match (&whole, column.kind) {
                (Values::Int(_), Kind::Int) | (Values::Float(_), Kind::Float) => true,
                (Values::Text(_), Kind::Text) => true,
                (Values::Word(_, all), Kind::Word(words)) => *all == words,
                _ => false,
            };
            assert!(is_kind, "{} {}: {whole:?}", info.name, column.key);
            let is_missing = |values: &Values| {
                (0..values.len()).any(|row| match values {
                    Values::Int(values) => values.get(row).is_none(),
                    Values::Text(values) => values.get(row).is_none(),
                    _ => false,
                })
            };
            assert!(column.is_nullable || !is_missing(&whole), "{} {}", info.name, column.key);
            let parts = source.parts();
            assert_eq!(parts.iter().map(ExactSizeIterator::len).sum::<usize>(), source.n_rows);
            let mut row = 0;
            for part in parts {
                let values = source.column(column.key, part.clone()).unwrap();
                for at in part.step_by(source.n_rows / 500 + 1) {
                    assert_eq!(values.texts(at - row), whole.texts(at));
                }
                row += values.len();
            }
        }
        assert!(source.column("no_such_column", 0..0).is_none());
    }
}

/// Device activity by name is what the table of kernels says.
fn kernels_are_summed(traces: &Traces) {
    let kernels = source(traces, "kernels");
    let mut expected = BTreeMap::new();
    let (counts, ns) = (ints(&kernels, "count"), ints(&kernels, "sum_ns"));
    for (i, name) in words(&kernels, "name").into_iter().enumerate() {
        let sum: &mut (i64, i64) = expected.entry(name).or_default();
        *sum = (sum.0 + counts[i].unwrap(), sum.1 + ns[i].unwrap());
    }
    let events = source(traces, "kernel_events");
    assert_eq!(sums(words(&events, "name"), &ints(&events, "dur_ns")), expected);
}

/// The operator, the streams and the launches in iterations that the table of kernels gives are those of its events.
fn kernels_have_their_origins(traces: &Traces) {
    let events = source(traces, "kernel_events");
    let (names, runs) = (words(&events, "name"), ints(&events, "input"));
    if runs.iter().any(|input| *input != Some(0)) {
        return;
    }
    let (operators, streams) = (words(&events, "operator"), ints(&events, "stream"));
    let mut counts: BTreeMap<&str, BTreeMap<&str, u64>> = BTreeMap::new();
    let mut on: BTreeMap<&str, BTreeSet<i64>> = BTreeMap::new();
    for (row, name) in names.iter().enumerate() {
        *counts.entry(name).or_default().entry(&operators[row]).or_default() += 1;
        on.entry(name).or_default().extend(streams[row]);
    }
    let kernels = source(traces, "kernels");
    let (said, said_streams) = (words(&kernels, "operator"), words(&kernels, "streams"));
    for (row, name) in words(&kernels, "name").iter().enumerate() {
        let counts = &counts[name.as_str()];
        let most = counts.values().max();
        assert_eq!(counts.get(said[row].as_str()), most, "{name}: {counts:?}");
        let streams: Vec<String> = on[name.as_str()].iter().map(i64::to_string).collect();
        assert_eq!(said_streams[row], streams.join(", "), "{name}");
    }
}

/// What each device was busy with, and the bytes that were copied.
fn devices_are_summed(traces: &Traces) {
    let devices = source(traces, "devices");
    let keys = ints(&devices, "input").into_iter().zip(ints(&devices, "device"));
    let expected: BTreeMap<_, _> = keys
        .zip(ints(&devices, "kernel_sum_ns").into_iter().flatten())
        .filter(|(_, ns)| *ns > 0)
        .collect();
    let events = source(traces, "kernel_events");
    let keys = ints(&events, "input").into_iter().zip(ints(&events, "device"));
    let mut found: BTreeMap<_, i64> = BTreeMap::new();
    for (key, ns) in keys.zip(ints(&events, "dur_ns")) {
        *found.entry(key).or_default() += ns.unwrap();
    }
    found.retain(|_, ns| *ns > 0);
    assert_eq!(found, expected);

    let directions = source(traces, "directions");
    let events = source(traces, "copy_events");
    let sum = |source: &Source<'_>, key| ints(source, key).into_iter().flatten().sum::<i64>();
    assert_eq!(sum(&events, "bytes"), sum(&directions, "bytes"));
    assert_eq!(events.n_rows as i64, sum(&directions, "count"));
}

/// Rows of other tables are those of `events` that they name; durations of nested events add up.
fn events_are_joined(traces: &Traces) {
    let events = source(traces, "events");
    let (names, inputs) = (words(&events, "name"), ints(&events, "input"));
    let (ns, own_ns) = (ints(&events, "dur_ns"), ints(&events, "self_ns"));
    let first_of = |input: i64| inputs.partition_point(|&one| one < Some(input));
    for table in [
        "kernel_events",
        "copy_events",
        "op_events",
        "call_events",
        "python_events",
        "collective_events",
    ] {
        let table = source(traces, table);
        let at = ints(&table, "input").into_iter().zip(ints(&table, "event"));
        let at: Vec<usize> =
            at.map(|(input, event)| first_of(input.unwrap()) + event.unwrap() as usize).collect();
        let expected: Vec<&String> = at.iter().map(|&at| &names[at]).collect();
        assert_eq!(words(&table, "name").iter().collect::<Vec<_>>(), expected);
        assert_eq!(ints(&table, "dur_ns"), at.iter().map(|&at| ns[at]).collect::<Vec<_>>());
    }
    let mut inside = vec![0; ns.len()];
    for (row, parent) in ints(&events, "parent").into_iter().enumerate() {
        if let Some(parent) = parent {
            inside[first_of(inputs[row].unwrap()) + parent as usize] += ns[row].unwrap();
        }
    }
    for (row, own_ns) in own_ns.iter().enumerate().filter_map(|(row, ns)| Some((row, (*ns)?))) {
        assert_eq!(own_ns + inside[row], ns[row].unwrap());
    }
    let tracks = source(traces, "tracks");
    let n_events: i64 = ints(&tracks, "n_events").into_iter().flatten().sum();
    assert_eq!(n_events as usize, events.n_rows);
    let on_tracks: BTreeSet<_> =
        ints(&events, "input").into_iter().zip(ints(&events, "track")).collect();
    let known: BTreeSet<_> =
        ints(&tracks, "input").into_iter().zip(ints(&tracks, "track")).collect();
    assert!(on_tracks.is_subset(&known));
}

/// What was held at most is the largest total of an event.
fn memory_is_the_largest_total(traces: &Traces) {
    let memory = source(traces, "memory");
    let peaks: BTreeMap<_, _> = ints(&memory, "input")
        .into_iter()
        .zip(ints(&memory, "device"))
        .zip(ints(&memory, "allocated_peak_bytes"))
        .collect();
    let events = source(traces, "memory_events");
    let mut found = BTreeMap::new();
    let keys = ints(&events, "input").into_iter().zip(ints(&events, "device"));
    for (key, total) in keys.zip(ints(&events, "total_allocated_bytes")) {
        let peak: &mut Option<i64> = found.entry(key).or_default();
        *peak = total.max(*peak);
    }
    assert_eq!(found.values().collect::<BTreeSet<_>>(), peaks.values().collect());
}

fn check(paths: &[PathBuf]) {
    let traces = Traces::read(paths).unwrap();
    columns_are_as_listed(&traces);
    kernels_are_summed(&traces);
    kernels_have_their_origins(&traces);
    devices_are_summed(&traces);
    events_are_joined(&traces);
    memory_is_the_largest_total(&traces);
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)
}

#[test]
fn fixtures_add_up() {
    for name in [
        "h100_rust_light",
        "vllm_tp2_step",
        "p2p_copies",
        "nccl_two_ranks",
        "torch_cpu_multithread",
        "compact_exporter",
        "empty_trace",
    ] {
        check(&[fixture(name)]);
    }
}

#[test]
fn real_traces_add_up() {
    for path in common::real_traces() {
        check(&[path]);
    }
}

#[test]
fn texts_of_one_input_share_a_dictionary() {
    let traces = Traces::read([fixture("nccl_two_ranks")]).unwrap();
    let events = source(&traces, "events");
    let dictionary = |key, rows| match events.column(key, rows) {
        Some(Values::Text(texts)) => texts.dictionary,
        other => panic!("{other:?}"),
    };
    let parts = events.parts();
    assert_eq!(parts.len(), 2);
    let of_first = dictionary("name", parts[0].clone());
    assert!(Arc::ptr_eq(&of_first, &dictionary("category", parts[0].clone())));
    assert!(Arc::ptr_eq(&of_first, traces.inputs()[0].store.strings.dictionary()));
    assert!(!Arc::ptr_eq(&of_first, &dictionary("name", parts[1].clone())));
    // Of both inputs together a text stands once, and none that is not used.
    let both = dictionary("name", 0..events.n_rows);
    let distinct: BTreeSet<&str> = both.iter().collect();
    assert_eq!(distinct.len(), both.len());
    assert_eq!(distinct.len(), words(&events, "name").into_iter().collect::<BTreeSet<_>>().len());
}

/// Every argument of every complete event is a row, whichever the event; and nothing else of the store changes.
#[test]
fn arguments_are_kept_where_they_are_asked_for() {
    let path = fixture("h100_rust_light").join("cap_light.pt.trace.json.gz");
    let options = ReadOptions { keeps_arguments: true, threads: 2, ..ReadOptions::default() };
    let traces = Traces::read_as([&path], &Reading { options, ..Reading::default() }).unwrap();
    columns_are_as_listed(&traces);
    let table = source(&traces, "event_arguments");
    let (keys, texts) = (words(&table, "key"), words(&table, "text"));
    let (events, numbers) = (ints(&table, "event"), ints(&table, "number"));
    let mut found: BTreeMap<(i64, String), Vec<String>> = BTreeMap::new();
    for (i, key) in keys.into_iter().enumerate() {
        let value = numbers[i].map_or_else(|| texts[i].clone(), |number| number.to_string());
        found.entry((events[i].unwrap(), key)).or_default().push(value);
    }
    let events = source(&traces, "kernel_events");
    let ids = ints(&events, "event").into_iter().zip(ints(&events, "correlation"));
    for (event, correlation) in ids {
        let key = (event.unwrap(), "correlation".to_owned());
        assert_eq!(found[&key], [correlation.unwrap().to_string()]);
        assert!(found.contains_key(&(key.0, "context".to_owned())));
    }
    let mut reader = flate2::read::MultiGzDecoder::new(std::fs::File::open(&path).unwrap());
    let mut text = String::new();
    std::io::Read::read_to_string(&mut reader, &mut text).unwrap();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let complete = json["traceEvents"].as_array().unwrap().iter().filter(|one| one["ph"] == "X");
    let n: usize =
        complete.map(|one| one["args"].as_object().map_or(0, serde_json::Map::len)).sum();
    assert_eq!((table.n_rows, n > 1000), (n, true));
    let plain = Traces::read([&path]).unwrap();
    // Nobody asked to keep them: they are read again.
    assert!(plain.inputs()[0].store.arguments.is_none());
    let again = source(&plain, "event_arguments");
    assert_eq!(words(&again, "key"), words(&table, "key"));
    assert_eq!(ints(&again, "event"), ints(&table, "event"));
    assert_eq!(plain.inputs()[0].store.slices.len(), traces.inputs()[0].store.slices.len());
    assert_eq!(words(&source(&plain, "events"), "name"), words(&source(&traces, "events"), "name"));
}
