//! Compressed inputs: told apart by content, several members, cut short, damaged, followed by other bytes.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};

use flate2::{Compression, write::GzEncoder};
use omni_trace::diag::{IssueKind, Severity};
use omni_trace::read::{Input, ReadError, ReadOptions, read_input};
use ruzstd::encoding::{CompressionLevel, compress_to_vec};

const N_EVENTS: usize = 3_000;

fn trace() -> Vec<u8> {
    let mut text = String::from("{\"schemaVersion\": 1, \"traceEvents\": [\n");
    for i in 0..N_EVENTS {
        let comma = if i == 0 { "" } else { ",\n" };
        let dur = (i * 7919) % 100_003;
        write!(
            text,
            "{comma}{{\"ph\": \"X\", \"cat\": \"cpu_op\", \"name\": \"aten::op{dur}\", \"pid\": 1, \"tid\": 1, \"ts\": {i}, \"dur\": {dur}}}"
        )
        .unwrap();
    }
    text.push_str("\n]}\n");
    text.into_bytes()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    compress_to_vec(bytes, CompressionLevel::Fastest)
}

fn read(bytes: &[u8]) -> Result<Input, ReadError> {
    let dir = tempfile::tempdir().unwrap();
    // The name says nothing: formats are told apart by content.
    let path = dir.path().join("trace");
    std::fs::write(&path, bytes).unwrap();
    read_input(&path, &ReadOptions { threads: 2, ..ReadOptions::default() })
}

#[test]
fn every_packing_gives_the_same_store() {
    let text = trace();
    let plain = read(&text).unwrap();
    assert_eq!(plain.store.slices.len(), N_EVENTS);
    let (first, second) = text.split_at(text.len() / 3);
    let members = [gzip(first), gzip(b""), gzip(second)].concat();
    let frames = [zstd(first), zstd(second)].concat();
    let mixed = [gzip(first), zstd(second)].concat();
    for packed in [gzip(&text), members, zstd(&text), frames, mixed] {
        let input = read(&packed).unwrap();
        assert!(input.store == plain.store);
        assert_eq!(input.diag, plain.diag);
        assert_eq!(input.json_bytes, text.len() as u64);
    }
}

#[test]
fn a_stream_cut_anywhere_keeps_what_inflates() {
    let packed = gzip(&trace());
    let mut last = 0;
    for cut in (0..packed.len()).step_by(997) {
        match read(&packed[..cut]) {
            Ok(input) => {
                let n = input.store.slices.len();
                assert!(n >= last, "cut at {cut}: {n} events, {last} before");
                last = n;
                assert_eq!(input.diag.count(IssueKind::TruncatedGzip), 1, "cut at {cut}");
                assert!(input.store.meta.truncated);
            }
            Err(error) => assert!(last == 0, "cut at {cut}: {error}"),
        }
    }
    assert!(last > N_EVENTS / 2, "only {last} events of the longest cut");
}

#[test]
fn damage_inside_a_stream_keeps_what_came_before() {
    let mut packed = gzip(&trace());
    let middle = packed.len() / 2;
    packed[middle..middle + 40].fill(0xff);
    let input = read(&packed).unwrap();
    assert!((500..N_EVENTS).contains(&input.store.slices.len()));
    let is_told = |kind| input.diag.count(kind) > 0;
    assert!(is_told(IssueKind::CorruptGzip) || is_told(IssueKind::TruncatedGzip));
}

/// Blocks that refer to nothing before them, each from a whole byte on, as writers leave them that compress in parallel.
fn gzip_in_blocks(blocks: &[&[u8]]) -> Vec<Vec<u8>> {
    let mut parts = vec![vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]];
    for block in blocks {
        let mut compress = flate2::Compress::new(Compression::default(), false);
        let mut packed = Vec::with_capacity(block.len() + 1024);
        compress.compress_vec(block, &mut packed, flate2::FlushCompress::Sync).unwrap();
        assert_eq!(compress.total_in(), block.len() as u64);
        parts.push(packed);
    }
    let mut crc = flate2::Crc::new();
    blocks.iter().for_each(|block| crc.update(block));
    parts.push([&[3, 0][..], &crc.sum().to_le_bytes(), &crc.amount().to_le_bytes()].concat());
    parts
}

/// Numbers of the events that were read: their start is their number.
fn events(input: &Input) -> Vec<i64> {
    let mut starts: Vec<i64> =
        input.store.slices.ts_ns.iter().map(|start_ns| start_ns / 1000).collect();
    starts.sort_unstable();
    starts
}

/// Pieces of the trace's text, with the numbers of the events that lie whole in each.
fn pieces(text: &[u8], n: usize) -> Vec<(&[u8], Vec<i64>)> {
    let size = text.len().div_ceil(n);
    let whole = |piece: &[u8]| -> Vec<i64> {
        let piece = String::from_utf8_lossy(piece).into_owned();
        let events = piece.match_indices("{\"ph\"").filter_map(|(at, _)| {
            let event = &piece[at..at + piece[at..].find('}')?];
            event.split("\"ts\": ").nth(1)?.split(',').next()?.parse().ok()
        });
        events.collect()
    };
    text.chunks(size).map(|piece| (piece, whole(piece))).collect()
}

#[test]
fn reading_goes_on_behind_damage_at_a_member_or_at_a_block_of_its_own() {
    let text = trace();
    let pieces = pieces(&text, 6);
    let blocks: Vec<&[u8]> = pieces.iter().map(|(piece, _)| *piece).collect();
    let members: Vec<Vec<u8>> = blocks.iter().map(|piece| gzip(piece)).collect();
    let in_blocks = gzip_in_blocks(&blocks);
    assert_eq!(events(&read(&in_blocks.concat()).unwrap()).len(), N_EVENTS);
    for (parts, n_before) in [(members, 0), (in_blocks, 1)] {
        for damaged in 1..pieces.len() - 1 {
            for filling in [0x00, 0x5a, 0xff] {
                let mut parts = parts.clone();
                let part = &mut parts[n_before + damaged];
                let middle = part.len() / 2;
                part[middle..middle + 400].fill(filling);
                let input = read(&parts.concat()).unwrap();
                let found = events(&input);
                for (number, (_, whole)) in pieces.iter().enumerate() {
                    let lost = whole.iter().filter(|event| found.binary_search(event).is_err());
                    let is_near = number == damaged || number == damaged + 1;
                    // The first event behind the damage may be taken for the end of what was damaged.
                    let n_lost = lost.count();
                    assert!(
                        n_lost <= usize::from(is_near) * whole.len(),
                        "{damaged} {filling:x}: {number}: {n_lost}"
                    );
                    assert!(
                        number != damaged + 1 || n_lost <= 3,
                        "{damaged} {filling:x}: {n_lost} behind"
                    );
                }
                assert!(input.diag.count(IssueKind::CorruptGzip) > 0);
            }
        }
    }
}

#[test]
fn what_was_inflated_before_damage_is_kept_to_the_last_byte() {
    let packed = gzip(&trace());
    let whole = read(&packed).unwrap();
    for at in (1000..packed.len() - 8).step_by(packed.len() / 23) {
        // A stored block of a wrong length: an error at once, so that everything before it counts.
        let mut damaged = packed.clone();
        damaged[at..].fill(0xff);
        let cut = read(&packed[..at]).unwrap();
        let kept = events(&read(&damaged).unwrap());
        let lost = events(&cut).iter().filter(|event| kept.binary_search(event).is_err()).count();
        assert!(lost <= 1, "{lost} of {} events before byte {at}", cut.store.slices.len());
        assert!(whole.store.slices.len() > cut.store.slices.len());
    }
}

#[test]
fn a_wrong_checksum_is_told_and_costs_nothing() {
    let text = trace();
    let mut first = gzip(&text[..text.len() / 2]);
    let crc = first.len() - 8;
    first[crc] ^= 1;
    let input = read(&[first, gzip(&text[text.len() / 2..])].concat()).unwrap();
    assert_eq!(events(&input).len(), N_EVENTS);
    assert_eq!(input.diag.count(IssueKind::CorruptGzip), 1);
}

#[test]
fn other_bytes_after_the_last_member_are_skipped_and_told() {
    let packed = [gzip(&trace()), b"\0\0\0\0 padding".to_vec()].concat();
    let input = read(&packed).unwrap();
    assert_eq!(input.store.slices.len(), N_EVENTS);
    assert!(!input.store.meta.truncated);
    assert_eq!(input.diag.count(IssueKind::TrailingBytes), 1);
}

#[test]
fn a_member_cut_within_its_header_hides_none_behind_it() {
    let whole = gzip(&trace());
    for cut in 1..24 {
        let input = read(&[&whole[..cut], &whole].concat()).unwrap();
        assert_eq!(input.store.slices.len(), N_EVENTS, "{cut}");
        assert!(input.diag.worst() >= Some(Severity::DataLoss), "{cut}: {:?}", input.diag);
    }
}

#[test]
fn standard_input_reads_as_a_file_does() {
    let packed = gzip(&trace());
    let mut child = Command::new(env!("CARGO_BIN_EXE_omni-trace"))
        .args(["analyze", "-", "--format", "json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(&packed));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success());
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["inputs"][0]["path"], "-");
    assert_eq!(report["inputs"][0]["events"], N_EVENTS);
    assert_eq!(report["inputs"][0]["bytes"], serde_json::Value::Null);
}

#[test]
fn archives_and_other_packings_say_what_to_do() {
    for (start, what) in
        [(&b"PK\x03\x04rest"[..], "zip"), (b"\xfd7zXZ\0rest", "xz"), (b"BZh91AY&SY", "bzip2")]
    {
        let error = read(start).unwrap_err();
        assert!(error.to_string().contains(what), "{error}");
        assert!(!error.hint().is_empty());
    }
}
