//! Every step of reading on its own, in bytes of JSON a second: inflate, cut, scan, decode (with interning), join, sort.
//!
//! `OMNI_TRACE_BENCH=trace.json.gz cargo bench --bench steps`; make the input with the example `generate_trace`.
//! The first 64 MB of its text are used, so that a run stays short.

use std::path::PathBuf;
use std::sync::LazyLock;

use divan::counter::{BytesCount, ItemsCount};
use omni_trace::read::steps;

fn main() {
    divan::main();
}

fn input() -> PathBuf {
    std::env::var_os("OMNI_TRACE_BENCH")
        .map(PathBuf::from)
        .expect("OMNI_TRACE_BENCH must name a trace; see the head of this file")
}

/// Text of the event array.
static TEXT: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut text = Vec::new();
    let append = |block: &[u8]| {
        if text.len() < 64 << 20 {
            text.extend_from_slice(block);
        }
    };
    steps::inflate(&input(), append).expect("the input must be readable");
    steps::events(text)
});

static BLOCKS: LazyLock<Vec<&'static [u8]>> = LazyLock::new(|| steps::cut(&TEXT));

#[divan::bench(sample_count = 7, sample_size = 1)]
fn inflate(bencher: divan::Bencher) {
    let path = input();
    let bytes = steps::inflate(&path, |_| {}).expect("the input must be readable");
    bencher
        .counter(BytesCount::new(bytes))
        .bench(|| steps::inflate(&path, |block| _ = divan::black_box(block.len())));
}

#[divan::bench(sample_count = 15, sample_size = 1)]
fn cut(bencher: divan::Bencher) {
    bencher.counter(BytesCount::new(TEXT.len())).bench(|| steps::cut(&TEXT).len());
}

#[divan::bench(sample_count = 15, sample_size = 1)]
fn scan(bencher: divan::Bencher) {
    let scan_all = || BLOCKS.iter().map(|block| steps::scan(block)).sum::<u64>();
    bencher
        .counter(BytesCount::new(TEXT.len()))
        .counter(ItemsCount::new(scan_all()))
        .bench(scan_all);
}

#[divan::bench(sample_count = 15, sample_size = 1)]
fn decode(bencher: divan::Bencher) {
    let decode_all = || BLOCKS.iter().map(|block| steps::decode(block).n_events()).sum::<u64>();
    bencher
        .counter(BytesCount::new(TEXT.len()))
        .counter(ItemsCount::new(decode_all()))
        .bench(decode_all);
}

#[divan::bench(sample_count = 7, sample_size = 1)]
fn join(bencher: divan::Bencher) {
    bencher
        .counter(BytesCount::new(TEXT.len()))
        .with_inputs(|| BLOCKS.iter().map(|block| steps::decode(block)).collect::<Vec<_>>())
        .bench_values(steps::join);
}

#[divan::bench(sample_count = 7, sample_size = 1)]
fn sort(bencher: divan::Bencher) {
    bencher
        .counter(BytesCount::new(TEXT.len()))
        .with_inputs(|| steps::join(BLOCKS.iter().map(|block| steps::decode(block)).collect()))
        .bench_values(steps::sort);
}
