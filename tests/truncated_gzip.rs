//! A real `.json.gz`, cut at a thousand places: every event that inflates whole is read.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::io::Read as _;
use std::path::Path;

use flate2::{Decompress, FlushDecompress};
use omni_trace::read::{ReadOptions, read_input};
use serde::Deserialize;
use serde_json::value::RawValue;

const TRACE: &str = "fixtures/torch_cpu_multithread/trace.json.gz";
const CUTS: usize = 1_000;

#[derive(Deserialize)]
struct Document<'a> {
    #[serde(borrow, rename = "traceEvents")]
    events: Vec<&'a RawValue>,
}

/// Where each event ends in the text, in file order.
fn event_ends(text: &str) -> Vec<usize> {
    let document: Document<'_> = serde_json::from_str(text).unwrap();
    let end = |event: &&RawValue| {
        event.get().as_ptr() as usize - text.as_ptr() as usize + event.get().len()
    };
    document.events.iter().map(end).collect()
}

/// Bytes of text that a cut file still inflates to, by the library alone. `header` is that of the only member.
fn inflated(packed: &[u8], header: usize, most: usize) -> usize {
    let mut inflate = Decompress::new(false);
    let mut text = vec![0; most];
    // It ends in the middle of something; what was inflated up to there counts.
    let _ = inflate.decompress(
        packed.get(header..).unwrap_or_default(),
        &mut text,
        FlushDecompress::None,
    );
    inflate.total_out() as usize
}

#[test]
fn every_event_that_inflates_whole_is_read() {
    let packed = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(TRACE)).unwrap();
    let mut decoder = flate2::read::GzDecoder::new(packed.as_slice());
    let mut text = String::new();
    decoder.read_to_string(&mut text).unwrap();
    let header = 10 + decoder.header().unwrap().filename().map_or(0, |name| name.len() + 1);
    let ends = event_ends(&text);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cut.json.gz");
    let options = ReadOptions { threads: 1, ..ReadOptions::default() };
    let mut state = 16_u64;
    let (mut n_read, mut n_cuts_with_events) = (0, 0);
    for _ in 0..CUTS {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let at = (state >> 33) as usize % packed.len();
        std::fs::write(&path, &packed[..at]).unwrap();
        let whole = inflated(&packed[..at], header, text.len());
        let wanted = ends.partition_point(|&end| end <= whole) as u64;
        match read_input(&path, &options) {
            Ok(input) => {
                assert_eq!(input.store.n_events, wanted, "cut at byte {at}");
                assert!(
                    input.diag.worst() >= Some(omni_trace::diag::Severity::DataLoss),
                    "cut at byte {at}"
                );
                n_read += input.store.n_events;
                n_cuts_with_events += u64::from(wanted > 0);
            }
            Err(error) => assert_eq!(wanted, 0, "cut at byte {at}: {error}"),
        }
    }
    assert!(n_cuts_with_events > CUTS as u64 / 2 && n_read > 0);
    println!("{n_read} events of {CUTS} cuts, {n_cuts_with_events} of them with an event");
}
