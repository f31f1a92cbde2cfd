//! What one thread or many inflate is what the library inflates, of sound streams and of damaged ones.

use std::io::Write as _;
use std::path::Path;
use std::sync::Mutex;
use std::sync::mpsc::SyncSender;

use flate2::write::GzEncoder;
use flate2::{Compress, Compression, FlushCompress};

use super::super::ReadOptions;
use super::super::chance::Numbers;
use super::super::chrome::event::RawEvent;
use super::super::chrome::tolerant::Reading;
use super::super::chrome::walk::Sink;
use super::super::gzip::Damage;
use super::super::source::{ByteStream, StreamEnd};
use super::super::stretches::{run, stretches};
use super::*;
use crate::diag::Reporter;
use crate::model::limits::BLOCK_BYTES;

fn threads(n: usize) -> Hands {
    let (to, tasks): (SyncSender<Task>, _) = sync_channel(3 * n);
    let tasks = Arc::new(Mutex::new(tasks));
    for _ in 0..n {
        let tasks = Arc::clone(&tasks);
        std::thread::spawn(move || {
            let next = || tasks.lock().expect("nobody panics").recv();
            while let Ok(task) = next() {
                task();
            }
        });
    }
    let give = move |task| to.send(task).map_err(|back| back.0);
    Hands { n, give: Box::new(give), help: Box::new(|| false) }
}

/// Lines that compress to a fifth, with what does not compress at all, zeros and short periods between.
fn text(n: usize) -> Vec<u8> {
    let mut numbers = Numbers(7);
    let mut text = Vec::with_capacity(n + (1 << 17));
    while text.len() < n {
        let [ts, dur, name] = [1 << 40, 5000, 300].map(|below| numbers.below(below));
        writeln!(text, r#"{{"ph":"X","name":"aten::op_{name}","ts":{ts},"dur":{dur}}},"#)
            .expect("memory is written");
        match numbers.below(2000) {
            0 => text.extend((0..1 << 16).map(|_| numbers.below(256) as u8)),
            1 => text.resize(text.len() + (1 << 15), 0),
            2 => text.extend(b"abc".iter().cycle().take(1000)),
            _ => {}
        }
    }
    text
}

fn member(text: &[u8], level: u32) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::new(level));
    encoder.write_all(text).expect("memory is written");
    encoder.finish().expect("memory is written")
}

/// A member that is flushed every few bytes, by which it has stored blocks, and such with the fixed codes, wherever bits end.
fn flushed_member(text: &[u8], how: FlushCompress) -> Vec<u8> {
    let mut compress = Compress::new(Compression::new(6), false);
    let mut stream = Vec::new();
    let mut numbers = Numbers(3);
    let mut rest = text;
    while !rest.is_empty() {
        let (some, behind) = rest.split_at((1 + numbers.below(60_000)).min(rest.len()));
        stream.reserve(2 * some.len() + 100);
        compress.compress_vec(some, &mut stream, how).expect("there is room");
        rest = behind;
    }
    stream.reserve(100);
    compress.compress_vec(&[], &mut stream, FlushCompress::Finish).expect("there is room");
    let trailer = [crc32fast::hash(text), text.len() as u32].map(u32::to_le_bytes);
    [&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3], &stream[..], trailer.as_flattened()].concat()
}

/// What a reader says of a file.
#[derive(Debug, PartialEq)]
struct Read {
    n_text: u64,
    crc: u32,
    end: StreamEnd,
    damages: Vec<Damage>,
    /// How much each call gave.
    given: Vec<usize>,
}

/// Who reads a file.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Reader {
    Library,
    OneThread,
    ManyThreads,
}

/// Reads a file as blocks of any size. Gives whether many threads had a part in it, too.
fn read(file: &[u8], reader: Reader, seed: u64) -> (Read, bool) {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let path = folder.path().join("a.gz");
    std::fs::write(&path, file).expect("there is room for a file");
    let mut stream = ByteStream::open(&path, Arc::default()).expect("it is no other kind of file");
    let (mut sizes, mut chances) = (Numbers(seed + 1), Numbers(seed + 2));
    let mut place = vec![0; 1 << 20];
    let (mut n_text, mut crc, mut damages) = (0, crc32fast::Hasher::new(), Vec::new());
    let (mut given, mut unsummed, mut was_spread) = (Vec::new(), Vec::new(), false);
    if reader == Reader::Library {
        stream.leave_to_library().expect("the file can be read");
    }
    let mut hands = (reader == Reader::ManyThreads).then(|| threads(3));
    loop {
        let wanted = 1 + sizes.below(place.len());
        let n = stream.fill_behind(&unsummed, &mut place[..wanted]).expect("the file can be read");
        damages.extend(stream.take_damages());
        if n == 0 {
            let end = stream.end().clone();
            return (Read { n_text, crc: crc.finalize(), end, damages, given }, was_spread);
        }
        given.push(n);
        n_text += n as u64;
        crc.update(&place[..n]);
        unsummed.extend_from_slice(&place[..n]);
        let offset = n_text - unsummed.len() as u64;
        if let Some(hands) = hands.take() {
            stream.spread(hands, offset);
            was_spread = stream.sums().is_some();
        } else if let Some(sums) = stream.sums().filter(|_| chances.below(2) == 0) {
            sums.add(offset, &unsummed);
            unsummed.clear();
        }
    }
}

fn assert_same(file: &[u8], seed: u64, what: &str) -> bool {
    let right = read(file, Reader::Library, seed).0;
    assert_eq!(read(file, Reader::OneThread, seed).0, right, "{what}, one thread, seed {seed}");
    let (spread, was_spread) = read(file, Reader::ManyThreads, seed);
    assert_eq!(spread, right, "{what}, many threads, seed {seed}");
    was_spread
}

#[test]
fn sound_members_of_all_kinds_of_blocks() {
    let text = text(4 << 20);
    for level in [0, 1, 4, 6, 9] {
        let member = member(&text, level);
        assert!(assert_same(&member, u64::from(level), "a level"));
        let behind = [&member[..], b"and some text behind it\n"].concat();
        assert!(assert_same(&behind, 1, "text behind"));
        assert!(assert_same(&member.repeat(2), 1, "two members"));
    }
    for how in [FlushCompress::Sync, FlushCompress::Full, FlushCompress::Partial] {
        assert!(assert_same(&flushed_member(&text, how), 1, "flushed"));
    }
}

#[test]
fn damaged_members_are_told_alike() {
    let text = text(3 << 20);
    let members = [member(&text, 6), flushed_member(&text, FlushCompress::Sync)];
    let mut n_spread = 0;
    for seed in 0..30 {
        let mut numbers = Numbers(seed + 100);
        let mut file = members[numbers.below(2)].clone();
        let at = numbers.below(file.len());
        let n = numbers.below(5000).min(file.len() - at);
        match seed % 6 {
            0 => file.truncate(at),
            1 => file[at] ^= 1 << numbers.below(8),
            2 => file[at..at + n].fill(0),
            3 => _ = file.drain(at..at + n),
            4 => file = [&file[..at], &file].concat(),
            _ => *file.iter_mut().rev().nth(numbers.below(8)).expect("a trailer") ^= 1,
        }
        n_spread += u32::from(assert_same(&file, seed, "damaged"));
    }
    assert!(n_spread > 15, "only {n_spread} were read by many threads");
}

#[test]
fn nearly_all_pieces_are_decoded_before_they_are_wanted() {
    let text = text(12 << 20);
    let member = member(&text, 6);
    let mut file = tempfile::tempfile().expect("a file can be made");
    file.write_all(&member).expect("there is room for a file");
    let of_file = (Arc::new(file), member.len() as u64);
    let mut spread = Spread::new(of_file, (10, 10), Arc::default(), threads(2));
    let mut all = vec![0; text.len() + 1];
    assert_eq!(spread.fill(&[], &mut all), Ok(text.len()));
    assert!(all[..text.len()] == text);
    let n_pieces = (member.len() / PIECE_BYTES) as u64;
    assert!(n_pieces >= 5 && spread.n_met + 1 >= n_pieces, "{} of {n_pieces}", spread.n_met);
}

#[test]
fn sums_that_are_missing_or_wrong_are_odd() {
    let text = text(3 << 20);
    for (is_given, is_right) in [(true, true), (true, false), (false, true)] {
        let mut file = tempfile::tempfile().expect("a file can be made");
        file.write_all(&member(&text, 6)).expect("there is room for a file");
        let n = file.metadata().expect("it is open").len();
        let mut spread = Spread::new((Arc::new(file), n), (10, 10), Arc::default(), threads(2));
        let mut all = vec![0; text.len()];
        let (first, last) = all.split_at_mut(text.len() / 2);
        assert_eq!(spread.fill(&[], first), Ok(first.len()));
        first[7] ^= u8::from(!is_right);
        if is_given {
            spread.sums().expect("others give sums").add(0, first);
        }
        let n_last = last.len();
        let expected = if is_given && is_right { Ok(n_last) } else { Err(Odd) };
        assert_eq!(spread.fill(&[], last), expected);
    }
}

/// Where the events of blocks begin, and how long they are.
#[derive(Default)]
struct Places(Vec<(u64, usize)>, Reporter);

impl Sink for Places {
    type Output = Vec<(u64, usize)>;

    fn event(&mut self, event: &RawEvent<'_>, offset: u64, _: Reading) {
        self.0.push((offset, event.len));
    }

    fn reporter(&mut self) -> &mut Reporter {
        &mut self.1
    }

    fn finish(self) -> (Self::Output, Reporter) {
        (self.0, self.1)
    }
}

/// The places that are noted in a file with such a text, of which many threads inflate the rest behind its start, or one.
fn marks(path: &Path, text: &[u8], is_spread: bool) -> Vec<Mark> {
    let mut stream = ByteStream::open(path, Arc::default()).expect("it is no other kind of file");
    let mut place = vec![0; BLOCK_BYTES];
    let mut given = stream.fill(&mut place[..5000]).expect("the file can be read");
    stream.keep_marks();
    if is_spread {
        stream.spread(threads(3), 0);
    }
    loop {
        let n = stream.fill_behind(&text[..given], &mut place).expect("the file can be read");
        assert!(place[..n] == text[given..given + n]);
        given += n;
        if n == 0 {
            return stream.take_marks();
        }
    }
}

#[test]
fn a_second_pass_begins_at_many_places() {
    let mut numbers = Numbers(11);
    let (mut text, mut events) = (b"[".to_vec(), Vec::new());
    while text.len() < 3 * STRETCH_BYTES as usize {
        let event = format!(r#"{{"ph":"X","ts":{},"dur":7}}"#, numbers.below(1 << 40));
        events.push((text.len() as u64, event.len()));
        text.extend_from_slice(event.as_bytes());
        text.extend_from_slice(b",\n");
    }
    text.extend_from_slice(b"{}]");
    let folder = tempfile::tempdir().expect("a folder can be made");
    let path = folder.path().join("a.gz");
    let (sound, other) = (member(&text, 6), member(&text[7..], 6));
    for is_spread in [false, true] {
        std::fs::write(&path, &sound).expect("there is room for a file");
        let marks = marks(&path, &text, is_spread);
        assert!(marks.len() == 3, "{} places, {is_spread}", marks.len());
        let blocks = events.iter().step_by(10_000).map(|event| event.0);
        let stretches = stretches(blocks, &marks, text.len() as u64);
        let stretches = stretches.expect("all begin behind a place");
        for threads in [1, 3] {
            let options = ReadOptions { threads, ..ReadOptions::default() };
            let (how, mut found) = ((&options, &Progress::default()), Vec::new());
            let take = &mut |_, mut places| {
                found.append(&mut places);
                Ok(())
            };
            run(&path, &stretches, how, &|_: u64| Places::default(), take)
                .expect("the file can be read");
            assert!(found == events, "{threads} threads, {is_spread}");
        }
        std::fs::write(&path, &other).expect("there is room for a file");
        let how = (&ReadOptions::default(), &Progress::default());
        let read = run(&path, &stretches, how, &|_: u64| Places::default(), &mut |_, _| Ok(()));
        assert!(read.is_err(), "{is_spread}");
    }
}
