//! Damaged traces: nothing panics, nothing hangs, and **every whole event outside the damaged bytes is in the store, or
//! its loss is counted as data loss**, held by the identity of events, in JSON and in Perfetto files. `BROKEN_CASES=20000` runs more than the usual,
//! and `BLESS=1` besides writes what was recovered of each kind to `reports/damage.md`.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
#![expect(
    clippy::single_range_in_vec_init,
    reason = "a piece of a text is a range, and one may be all there is"
)]

mod damage;
mod mishaps;
mod packets;
mod sound;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{LazyLock, Mutex};
use std::time::{Duration, Instant};

use damage::{Kind, PLAIN, Random};
use mishaps::{MISHAPS, gz};
use omni_trace::diag::Severity;
use omni_trace::read::{Input, ReadError, ReadOptions, read_input};
use packets::Packets;
use packets::written;
use sound::{Identity, Sound, found, made_up, n_missing, of_layout, pieces_of};

#[path = "../common/mod.rs"]
mod common;

/// Longest that one case may take.
const LIMIT: Duration = Duration::from_secs(60);

/// Least of the whole events that must be read of each kind, in thousandths.
const LEAST: usize = 980;
/// The same of Perfetto files, where packets in another order tell other names and times.
const LEAST_OF_PACKETS: usize = 900;

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
    /// Not read and not counted as lost: what damage left is valid JSON in which they are arguments.
    hidden: usize,
}

impl Tally {
    fn permille(self) -> usize {
        self.read * 1000 / self.wanted.max(1)
    }
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, one: Self) {
        self.wanted += one.wanted;
        self.read += one.read;
        self.hidden += one.hidden;
    }
}

/// What is told by a damaged file, and how it was read.
struct Case<'a> {
    damaged: &'a [u8],
    /// How often each whole event is to be found.
    wanted: BTreeMap<&'a Identity, usize>,
}

impl Case<'_> {
    /// Reads it and says what is wrong with that.
    fn check(&self) -> Result<Tally, String> {
        let wanted: usize = self.wanted.values().sum();
        let began = Instant::now();
        let input = read(self.damaged);
        if began.elapsed() > LIMIT {
            return Err(format!("took {:?}", began.elapsed()));
        }
        let input = match input {
            Ok(input) => input,
            Err(error) if wanted > 0 => {
                return Err(format!("{wanted} whole events refused: {error}"));
            }
            Err(_) => return Ok(Tally::default()),
        };
        let n_missing = n_missing(&self.wanted, &found(&input));
        let is_silent = n_missing > 0 && input.diag.worst() < Some(Severity::DataLoss);
        // What damage made into JSON that is valid as it stands says that these events are arguments of another.
        let is_valid = || serde_json::from_slice::<serde::de::IgnoredAny>(self.damaged).is_ok();
        if is_silent && !is_valid() {
            let what = format!("{n_missing} of {wanted} whole events lost silently");
            return Err(format!("{what}: {:?}", input.diag));
        }
        Ok(Tally { wanted, read: wanted - n_missing, hidden: n_missing * usize::from(is_silent) })
    }
}

/// Where `BROKEN_KEEP` names a folder, the last damaged file of each kind is kept there.
fn keep(number: usize, damaged: &[u8]) {
    if let Some(folder) = std::env::var_os("BROKEN_KEEP") {
        std::fs::write(Path::new(&folder).join(format!("damaged-{number}")), damaged).unwrap();
    }
}

/// Damages a trace of JSON.
fn damage_text(
    sound: &Sound,
    (number, kind): (usize, Kind),
    random: &mut Random,
) -> Result<Tally, String> {
    let (damaged, pieces) = kind(&sound.text, &sound.places, random);
    keep(number, &damaged);
    let wanted = sound.whole_in(&pieces);
    let case = Case { damaged: &damaged, wanted };
    case.check().map_err(|what| format!("{}: {what}", sound.name))
}

/// Damages a Perfetto file.
fn damage_packets(
    sound: &Packets,
    (number, kind): (usize, Kind),
    random: &mut Random,
) -> Result<Tally, String> {
    let (damaged, pieces) = kind(&sound.bytes, &sound.places, random);
    keep(number, &damaged);
    let wanted = sound.whole_in(&pieces);
    let case = Case { damaged: &damaged, wanted };
    case.check().map_err(|what| format!("{}: {what}", sound.name))
}

/// A kind of damage by number and name.
type Numbered = (usize, &'static str, Kind);

/// Every kind; `BROKEN_KIND` asks for one.
fn kinds() -> Vec<Numbered> {
    let only = std::env::var("BROKEN_KIND").ok();
    let all =
        PLAIN.iter().chain(MISHAPS).enumerate().map(|(number, kind)| (number, kind.0, kind.1));
    all.filter(|kind| only.as_deref().is_none_or(|only| only == kind.1)).collect()
}

/// Those that ask for no text.
fn kinds_of_bytes() -> Vec<Numbered> {
    const OF_TEXT: [&str; 24] = [
        "stray closes",
        "stray opens",
        "lines of two writers",
        "text behind a member",
        "a member behind a document",
        "a piece in UTF-16",
        "a byte lost of UTF-16",
        "quotes turned",
        "brackets turned",
        "numbers cut",
        "numbers of any form",
        "members twice",
        "deep nesting",
        "surrogates and cut escapes",
        "an event wrapped",
        "comments",
        "carriage returns",
        "a document in a document",
        "an event a line",
        "the events' key damaged",
        "the head again",
        "garbage between documents",
        "a page of a proxy between",
        "a log line between",
    ];
    kinds().into_iter().filter(|kind| !OF_TEXT.contains(&kind.1)).collect()
}

#[expect(clippy::print_stdout, reason = "how much is read of each kind is worth seeing")]
fn say(name: &str, tally: Tally) {
    let (read, wanted, permille) = (tally.read, tally.wanted, tally.permille());
    println!("{name:28} {read:8} of {wanted:8} whole events read, {permille} ‰");
}

/// Damages a trace that it chooses, and says what is wrong with how that is read.
type Check<'a> = &'a (dyn Fn((usize, Kind), &mut Random) -> Result<Tally, String> + Sync);

/// Runs seeds of every kind, as many kinds at once as there are processors. Gives what was read by kind, and the failures.
fn run(
    (n_cases, least): (u64, usize),
    kinds: &[Numbered],
    check: Check<'_>,
) -> (Vec<(&'static str, Tally)>, Vec<String>) {
    let n_seeds = (n_cases / kinds.len().max(1) as u64).max(1);
    let (next, all) = (AtomicUsize::new(0), Mutex::new(vec![None; kinds.len()]));
    let work = || {
        while let Some(&kind) = kinds.get(next.fetch_add(1, Ordering::Relaxed)) {
            let done = of_kind(kind, (n_seeds, least), check);
            let place = kinds.iter().position(|one| one.0 == kind.0).unwrap();
            all.lock().unwrap()[place] = Some(done);
        }
    };
    let n_threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| (0..n_threads).for_each(|_| drop(scope.spawn(work))));
    let (mut tallies, mut failures) = (Vec::new(), Vec::new());
    for (&(_, name, _), done) in kinds.iter().zip(all.into_inner().unwrap()) {
        let (tally, more) = done.unwrap();
        say(name, tally);
        tallies.push((name, tally));
        failures.extend(more);
    }
    (tallies, failures)
}

/// Runs seeds of a kind.
fn of_kind(
    (number, name, kind): Numbered,
    (n_seeds, least): (u64, usize),
    check: Check<'_>,
) -> (Tally, Vec<String>) {
    let first: u64 = std::env::var("BROKEN_SEED").ok().and_then(|n| n.parse().ok()).unwrap_or(0);
    let (mut all, mut failures) = (Tally::default(), Vec::new());
    for seed in first..first + n_seeds {
        let mut random = Random::new(seed * 1000 + number as u64);
        match check((number, kind), &mut random) {
            Ok(one) => all += one,
            Err(what) => failures.push(format!("{name}, seed {seed}, {what}")),
        }
    }
    if all.wanted > 0 && all.permille() < least {
        failures.push(format!("{name}: only {} ‰ of the whole events are read", all.permille()));
    }
    (all, failures)
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

/// The same traces as Perfetto files, as this program writes them.
static REAL_PACKETS: LazyLock<Vec<Packets>> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    // One piece of each trace is enough.
    REAL.iter().step_by(4).map(|sound| written(&sound.name, &sound.text, folder.path())).collect()
});

/// What was read of each kind of damage, of traces that are made up and of real ones.
struct Both {
    made_up: Vec<(&'static str, Tally)>,
    real: Vec<(&'static str, Tally)>,
    failures: Vec<String>,
}

fn of_text() -> Both {
    let kinds = kinds();
    let check = |kind, random: &mut Random| damage_text(&made_up(random), kind, random);
    let (made_up, mut failures) = run((n_cases(), LEAST), &kinds, &check);
    let pieces = &*REAL;
    if pieces.is_empty() {
        return Both { made_up, real: Vec::new(), failures };
    }
    let check =
        |kind, random: &mut Random| damage_text(&pieces[random.below(pieces.len())], kind, random);
    let (real, more) = run((n_cases(), LEAST), &kinds, &check);
    failures.extend(more.into_iter().map(|what| format!("real: {what}")));
    Both { made_up, real, failures }
}

fn of_packets() -> Both {
    let kinds = kinds_of_bytes();
    let check = |kind, random: &mut Random| damage_packets(&packets::made_up(random), kind, random);
    let (made_up, mut failures) = run((n_cases(), LEAST_OF_PACKETS), &kinds, &check);
    let pieces = &*REAL_PACKETS;
    if pieces.is_empty() {
        return Both { made_up, real: Vec::new(), failures };
    }
    let check = |kind, random: &mut Random| {
        damage_packets(&pieces[random.below(pieces.len())], kind, random)
    };
    let (real, more) = run((n_cases(), LEAST_OF_PACKETS), &kinds, &check);
    failures.extend(more.into_iter().map(|what| format!("real: {what}")));
    Both { made_up, real, failures }
}

#[test]
fn undamaged_packets_give_every_slice() {
    let folder = tempfile::tempdir().unwrap();
    let made_up = (0..20).map(|seed| packets::made_up(&mut Random::new(seed)));
    let layouts = (0..5).map(|layout| {
        let sound = of_layout(layout, 60);
        written(&sound.name, &sound.text, folder.path())
    });
    let mut n_slices = 0;
    for sound in made_up.chain(layouts).chain(REAL_PACKETS.iter().cloned()) {
        let wanted = sound.whole_in(&[0..sound.bytes.len()]);
        let input = read(&sound.bytes).unwrap_or_else(|error| panic!("{}: {error}", sound.name));
        assert_eq!(n_missing(&wanted, &found(&input)), 0, "{}, {:?}", sound.name, input.diag);
        n_slices += wanted.len();
    }
    assert!(n_slices > 2000);
}

#[test]
fn every_whole_event_is_read_or_its_loss_is_counted() {
    let (text, packets) = (of_text(), of_packets());
    if std::env::var_os("BLESS").is_some() && !text.real.is_empty() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/reports/damage.md");
        std::fs::write(path, report(&text, &packets)).unwrap();
    }
    let of_packets = packets.failures.into_iter().map(|what| format!("Perfetto: {what}"));
    assert_none(text.failures.into_iter().chain(of_packets).collect());
}

/// The same of traces that are read in several blocks, of which the ends may stand anywhere.
#[test]
fn traces_of_several_blocks_lose_nothing_silently() {
    let check = |kind: (usize, Kind), random: &mut Random| {
        damage_text(&of_layout(kind.0, 12_000 + random.below(3_000)), kind, random)
    };
    assert_none(run((1, LEAST), &kinds(), &check).1);
}

/// The table of what is recovered.
fn report(text: &Both, packets: &Both) -> String {
    let (n_kinds, n_of_bytes) = (text.made_up.len(), packets.made_up.len());
    let of_each = |n_kinds: usize| n_cases() / n_kinds as u64;
    let n_all = 2 * (of_each(n_kinds) * n_kinds as u64 + of_each(n_of_bytes) * n_of_bytes as u64);
    let all: Vec<Tally> = [&text.made_up, &text.real, &packets.made_up, &packets.real]
        .into_iter()
        .flatten()
        .map(|one| one.1)
        .collect();
    let sum = |of: fn(&Tally) -> usize| all.iter().map(of).sum::<usize>();
    format!(
        "# What is read of damaged traces\n\n\
         Made by `BLESS=1 BROKEN_CASES={} cargo test --test broken`: {n_all} damaged files, {n_kinds} kinds of damage to JSON ({} \
         seeds each), {n_of_bytes} to Perfetto files ({} each), of traces that are made up and again of real ones: {} pieces as their writers wrote them, {} \
         of them as this program writes Perfetto. A whole event is one that no damaged byte touches, nor any packet that tells its \
         name or what its time counts from. Those that are not read are counted as data loss: an event that is neither fails the \
         test, as do a file with a whole event that is refused, a panic, and more than {} s.\n\n\
         Of {} whole events {} were read and {} counted as lost; {} more stand in what damage made valid JSON, in which they are \
         arguments of another event. Files with a whole event that were refused, and other failures: {}.\n\n\
         ## JSON\n\n{}\n## Perfetto\n\n{}",
        n_cases(),
        of_each(n_kinds),
        of_each(n_of_bytes),
        REAL.len(),
        REAL_PACKETS.len(),
        LIMIT.as_secs(),
        sum(|one| one.wanted),
        sum(|one| one.read),
        sum(|one| one.wanted - one.read - one.hidden),
        sum(|one| one.hidden),
        text.failures.len() + packets.failures.len(),
        table(text),
        table(packets),
    )
}

fn table(both: &Both) -> String {
    let mut text = "| damage | whole events | read | counted as lost | read | of real traces | read | counted as lost | read |\n\
         | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n"
        .to_owned();
    let cells = |tally: &Tally| {
        let n_lost = tally.wanted - tally.read - tally.hidden;
        format!(" {} | {} | {n_lost} | {} ‰ |", tally.wanted, tally.read, tally.permille())
    };
    for ((name, made_up), (_, real)) in both.made_up.iter().zip(&both.real) {
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
