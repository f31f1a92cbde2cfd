//! Damaged traces: nothing panics, nothing hangs, and **every whole event outside the damaged bytes is in the store, or
//! its loss is counted as data loss**, held by the identity of events. `BROKEN_CASES=20000` runs more than the usual,
//! and `BLESS=1` besides writes what was recovered of each kind to `reports/damage.md`.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
#![expect(
    clippy::single_range_in_vec_init,
    reason = "a piece of a text is a range, and one may be all there is"
)]

mod damage;
mod mishaps;
mod sound;

use std::borrow::Cow;
use std::io::Write as _;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use damage::{Kind, PLAIN, Random};
use mishaps::{MISHAPS, gz};
use omni_trace::diag::Severity;
use omni_trace::read::{Input, ReadError, ReadOptions, read_input};
use sound::{Sound, found, made_up, n_missing, of_layout, pieces_of};

#[path = "../common/mod.rs"]
mod common;

/// Longest that one case may take.
const LIMIT: Duration = Duration::from_secs(60);

/// Least of the whole events that must be read of each kind, in thousandths.
const LEAST: usize = 980;

fn read(bytes: &[u8]) -> Result<Input, ReadError> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    read_input(file.path(), &ReadOptions { threads: 2, ..ReadOptions::default() })
}

/// How many whole events there were, and how many of them were read.
#[derive(Clone, Copy, Default)]
struct Tally {
    wanted: usize,
    read: usize,
}

/// Damages a trace and says what is wrong with how it is read.
fn check(sound: &Sound, kind: Kind, random: &mut Random) -> Result<Tally, String> {
    let (damaged, pieces) = kind(&sound.text, &sound.places, random);
    if let Some(folder) = std::env::var_os("BROKEN_KEEP") {
        std::fs::write(std::path::Path::new(&folder).join("damaged"), &damaged).unwrap();
    }
    let wanted = sound.whole_in(&pieces);
    let n_wanted: usize = wanted.values().sum();
    let began = Instant::now();
    let input = read(&damaged);
    if began.elapsed() > LIMIT {
        return Err(format!("took {:?}", began.elapsed()));
    }
    let input = match input {
        Ok(input) => input,
        Err(error) if n_wanted > 0 => {
            return Err(format!("{n_wanted} whole events refused: {error}"));
        }
        Err(_) => return Ok(Tally::default()),
    };
    let n_missing = n_missing(&wanted, &found(&input));
    // What damage made into JSON that is valid as it stands says that these events are arguments of another.
    let is_valid = || serde_json::from_slice::<serde::de::IgnoredAny>(&damaged).is_ok();
    if n_missing > 0 && input.diag.worst() < Some(Severity::DataLoss) && !is_valid() {
        let what = format!("{n_missing} of {n_wanted} whole events lost silently");
        return Err(format!("{what}: {:?}", input.diag));
    }
    Ok(Tally { wanted: n_wanted, read: n_wanted - n_missing })
}

/// Every kind of damage by number and name; `BROKEN_KIND` asks for one.
fn kinds() -> impl Iterator<Item = (usize, &'static str, Kind)> {
    let only = std::env::var("BROKEN_KIND").ok();
    let all =
        PLAIN.iter().chain(MISHAPS).enumerate().map(|(number, kind)| (number, kind.0, kind.1));
    all.filter(move |kind| only.as_deref().is_none_or(|only| only == kind.1))
}

#[expect(clippy::print_stdout, reason = "how much is read of each kind is worth seeing")]
fn say(name: &str, tally: Tally, permille: usize) {
    println!("{name:28} {:8} of {:8} whole events read, {permille} ‰", tally.read, tally.wanted);
}

/// Runs seeds of every kind over traces that `sound` gives by case. Gives what was read by kind, and the failures.
fn run<'a>(
    n_cases: u64,
    sound: &mut dyn FnMut(&mut Random) -> Cow<'a, Sound>,
) -> (Vec<(&'static str, Tally)>, Vec<String>) {
    let n_seeds = n_cases / kinds().count() as u64;
    let first: u64 = std::env::var("BROKEN_SEED").ok().and_then(|n| n.parse().ok()).unwrap_or(0);
    let (mut tallies, mut failures) = (Vec::new(), Vec::new());
    for (number, name, kind) in kinds() {
        let mut all = Tally::default();
        for seed in first..first + n_seeds.max(1) {
            let mut random = Random::new(seed * 1000 + number as u64);
            let sound = sound(&mut random);
            match check(&sound, kind, &mut random) {
                Ok(one) => (all.wanted, all.read) = (all.wanted + one.wanted, all.read + one.read),
                Err(what) => failures.push(format!("{name}, seed {seed}, {}: {what}", sound.name)),
            }
        }
        let permille = all.read * 1000 / all.wanted.max(1);
        say(name, all, permille);
        if all.wanted > 0 && permille < LEAST {
            failures.push(format!("{name}: only {permille} ‰ of the whole events are read"));
        }
        tallies.push((name, all));
    }
    (tallies, failures)
}

fn n_cases() -> u64 {
    std::env::var("BROKEN_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(3000)
}

fn assert_none(mut failures: Vec<String>) {
    let n_failures = failures.len();
    failures.truncate(12);
    assert!(failures.is_empty(), "{n_failures} failures:\n{}", failures.join("\n"));
}

/// Pieces of every real trace, each as its writer wrote it.
static REAL: LazyLock<Vec<Sound>> = LazyLock::new(|| {
    let mut random = Random::new(16);
    let pieces: Vec<Sound> =
        common::real_traces().iter().flat_map(|path| pieces_of(path, &mut random)).collect();
    assert!(pieces.is_empty() || pieces.len() > 100, "only {} pieces", pieces.len());
    pieces
});

/// The identities of events are told from their text alone; undamaged, every one is found in the store.
#[test]
fn undamaged_every_event_is_found() {
    let made_up = (0..5).map(|layout| of_layout(layout, 50));
    let (mut n_events, mut n_pieces) = (0, 0);
    for sound in made_up.chain(REAL.iter().cloned()) {
        let wanted = sound.whole_in(&[0..sound.text.len()]);
        let input = read(&sound.text).unwrap_or_else(|error| panic!("{}: {error}", sound.name));
        let n_missing = n_missing(&wanted, &found(&input));
        assert_eq!(n_missing, 0, "{}, {:?}", sound.name, input.diag);
        (n_events, n_pieces) = (n_events + wanted.len(), n_pieces + 1);
    }
    println!("{n_events} events in {n_pieces} pieces");
    assert!(n_events > 200);
}

#[test]
fn every_whole_event_is_read_or_its_loss_is_counted() {
    let (of_made_up, mut failures) = run(n_cases(), &mut |random| Cow::Owned(made_up(random)));
    let pieces = &*REAL;
    let (of_real, more) = if pieces.is_empty() {
        (Vec::new(), Vec::new())
    } else {
        run(n_cases(), &mut |random| Cow::Borrowed(&pieces[random.below(pieces.len())]))
    };
    failures.extend(more.into_iter().map(|what| format!("real: {what}")));
    if std::env::var_os("BLESS").is_some() && !of_real.is_empty() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/reports/damage.md");
        std::fs::write(path, report(&of_made_up, &of_real, pieces.len())).unwrap();
    }
    assert_none(failures);
}

/// The same of traces that are read in several blocks, of which the ends may stand anywhere.
#[test]
fn traces_of_several_blocks_lose_nothing_silently() {
    let mut layout = 0;
    let (_, failures) = run(1, &mut |random| {
        layout += 1;
        Cow::Owned(of_layout(layout, 12_000 + random.below(3_000)))
    });
    assert_none(failures);
}

/// The table of what is recovered.
fn report(of_made_up: &[(&str, Tally)], of_real: &[(&str, Tally)], n_pieces: usize) -> String {
    let n_kinds = of_made_up.len();
    let n_seeds = n_cases() / n_kinds as u64;
    let mut text = format!(
        "# What is read of damaged traces\n\n\
         {n_kinds} kinds of damage, {n_seeds} seeds each, to traces that are made up and again to {n_pieces} pieces of real ones as \
         their writers wrote them; made by `BLESS=1 BROKEN_CASES={} cargo test --test broken`. A whole event is one that no damaged \
         byte touches. Those that are not read are counted as data loss: an event that is neither fails the test.\n\n\
         | damage | whole events | read | counted as lost | read | of real traces | read | counted as lost | read |\n\
         | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n",
        n_cases()
    );
    let cells = |tally: &Tally| {
        let permille = tally.read * 1000 / tally.wanted.max(1);
        let n_lost = tally.wanted - tally.read;
        format!(" {} | {} | {n_lost} | {permille} ‰ |", tally.wanted, tally.read)
    };
    for ((name, made_up), (_, real)) in of_made_up.iter().zip(of_real) {
        text += &format!("| {name} |{}{}\n", cells(made_up), cells(real));
    }
    text
}

#[test]
fn a_compressed_trace_cut_anywhere_gives_every_event_that_inflates_whole() {
    let mut random = Random::new(5);
    for case in 0..150 {
        let Sound { text, places, .. } = of_layout(case, 300);
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
        let sound = of_layout(case, 300);
        let wanted = sound.whole_in(&[0..sound.text.len()]);
        let mut bytes = gz(&sound.text);
        let at = 10 + random.below(bytes.len() - 10);
        bytes[at] ^= 1 << random.below(8);
        let began = Instant::now();
        if let Ok(input) = read(&bytes) {
            let is_whole = n_missing(&wanted, &found(&input)) == 0;
            assert!(is_whole || input.diag.worst() == Some(Severity::DataLoss), "{case}");
        }
        assert!(began.elapsed() < LIMIT, "{case}");
    }
}

#[test]
fn a_whole_member_behind_a_cut_one_is_read() {
    for layout in 0..5 {
        let sound = of_layout(layout, 300);
        let (text, wanted) = (&sound.text, sound.whole_in(&[0..sound.text.len()]));
        let whole = gz(text);
        for cut in [12, 60, whole.len() / 2, whole.len() - 4] {
            let input = read(&[&whole[..cut], &whole[..]].concat());
            let input = input.unwrap_or_else(|error| panic!("{layout}, {cut}: {error}"));
            assert_eq!(
                n_missing(&wanted, &found(&input)),
                0,
                "layout {layout}, cut at {cut}: {:?}",
                input.diag
            );
            assert_eq!(input.diag.worst(), Some(Severity::DataLoss));
        }
    }
}

/// A line break and a brace are how a packet of Perfetto begins, too.
#[test]
fn damage_makes_no_packets_of_text() {
    let head = b"\n{\n  \"schemaVersion\": 1,\n  \"\xa9\0\": 5, \"traceEvents\": [\n";
    let sound = of_layout(4, 5);
    let events = &sound.text[sound.places[0].start..];
    let input = read(&[&head[..], events].concat()).unwrap();
    assert_eq!(input.store.slices.len(), 5, "{:?}", input.diag);
}

/// Text that follows a member is read; a member that follows text is not, which is said.
#[test]
fn what_is_partly_compressed_is_read_or_said() {
    for layout in 0..5 {
        let sound = of_layout(layout, 60);
        let n_events = sound.places.len();
        let behind = read(&[&gz(&sound.text)[..], &sound.text].concat()).unwrap();
        assert_eq!(behind.store.slices.len(), 2 * n_events, "{:?}", behind.diag);
        let before = read(&[&sound.text[..], &gz(&sound.text)].concat()).unwrap();
        assert_eq!(before.store.slices.len(), n_events, "{:?}", before.diag);
        assert_eq!(before.diag.worst(), Some(Severity::DataLoss), "{:?}", before.diag);
    }
}

#[test]
fn utf_16_is_read_as_it_stands() {
    let Sound { text, places, .. } = of_layout(0, 50);
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
