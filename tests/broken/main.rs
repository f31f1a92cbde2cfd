//! Damaged traces: nothing panics, nothing hangs, and **every whole event outside the damaged bytes is in the store, or
//! its loss is counted as data loss**, held by the identity of events, in JSON and in Perfetto files. `BROKEN_CASES=20000` runs more than the usual,
//! and `BLESS=1` besides writes what was recovered of each kind to `reports/damage.md`.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
#![expect(
    clippy::single_range_in_vec_init,
    reason = "a piece of a text is a range, and one may be all there is"
)]

mod damage;
mod limits;
mod mishaps;
mod packets;
mod sound;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{LazyLock, Mutex};

use common::Random;
use damage::{Kind, PLAIN};
use limits::{LIMITS, Limits, Used, Worker, alone, within};
use mishaps::{MISHAPS, gz};
use omni_trace::diag::Severity;
use omni_trace::read::{Input, ReadError, ReadOptions, read_input};
use packets::Packets;
use packets::written;
use sound::{Identity, Sound, found, made_up, n_missing, of_layout, pieces_of};

#[path = "../common/mod.rs"]
mod common;

/// Least of the whole events that must be read of each kind, in thousandths.
const LEAST: usize = 980;
/// The same of Perfetto files, where packets in another order tell other names and times.
const LEAST_OF_PACKETS: usize = 900;

fn read(bytes: &[u8]) -> Result<Input, ReadError> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    read_input(file.path(), &ReadOptions { threads: 2, ..ReadOptions::default() })
}

/// The same in a process of its own, which may take no more for it than the limits.
fn read_within_limits(bytes: &[u8]) -> Result<Input, ReadError> {
    within(LIMITS, || read(bytes)).0
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
        let input = match read(self.damaged) {
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

/// A sound file, whatever its format.
trait Whole {
    fn name(&self) -> &str;
    fn bytes(&self) -> &[u8];
    /// Where its events or packets stand.
    fn places(&self) -> &[Range<usize>];
    /// How often each event that is whole in pieces of it is to be found.
    fn whole_in(&self, pieces: &[Range<usize>]) -> BTreeMap<&Identity, usize>;
}

/// Damages a file and reads it.
fn damage<F: Whole + ?Sized>(
    sound: &F,
    (number, kind): (usize, Kind),
    random: &mut Random,
) -> Result<Tally, String> {
    let (damaged, pieces) = kind(sound.bytes(), sound.places(), random);
    keep(number, &damaged);
    let case = Case { damaged: &damaged, wanted: sound.whole_in(&pieces) };
    case.check().map_err(|what| format!("{}: {what}", sound.name()))
}

/// Damages a file that it chooses, and says what is wrong with how that is read.
type Check = fn((usize, Kind), &mut Random) -> Result<Tally, String>;

/// What is damaged, by number.
const SOURCES: [Check; 7] = [
    |kind, random| damage(&made_up(random), kind, random),
    |kind, random| damage(&REAL[random.below(REAL.len())], kind, random),
    |kind, random| damage(&packets::made_up(random), kind, random),
    |kind, random| damage(&REAL_PACKETS[random.below(REAL_PACKETS.len())], kind, random),
    // Several blocks, of which the ends may stand anywhere.
    |kind, random| damage(&of_layout(kind.0, 12_000 + random.below(3_000)), kind, random),
    // What the limits are for.
    |_, _| loop {
        std::hint::spin_loop();
    },
    |_, _| Err(format!("{} bytes were there", std::hint::black_box(vec![1_u8; 3 << 30]).len())),
];
const MADE_UP: usize = 0;
const REAL_TEXT: usize = 1;
const MADE_UP_PACKETS: usize = 2;
const WRITTEN_PACKETS: usize = 3;
const BLOCKS: usize = 4;
const ENDLESS: usize = 5;
const HUGE: usize = 6;

/// One file to be damaged and read.
#[derive(Clone, Copy)]
struct Job {
    source: usize,
    kind: usize,
    seed: u64,
}

impl Job {
    /// Makes what all files of a source are made of.
    fn prepare(self) {
        match self.source {
            REAL_TEXT => drop(LazyLock::force(&REAL)),
            WRITTEN_PACKETS => drop(LazyLock::force(&REAL_PACKETS)),
            _ => {}
        }
    }

    fn run(self) -> Result<Tally, String> {
        let mut random = Random::new(self.seed * 1000 + self.kind as u64);
        let (_, kind) = PLAIN.iter().chain(MISHAPS).nth(self.kind).unwrap();
        SOURCES[self.source]((self.kind, *kind), &mut random)
    }
}

/// A kind of damage by number and name.
type Numbered = (usize, &'static str);

/// Every kind; `BROKEN_KIND` asks for one.
fn kinds() -> Vec<Numbered> {
    let only = std::env::var("BROKEN_KIND").ok();
    let all = PLAIN.iter().chain(MISHAPS).enumerate().map(|(number, kind)| (number, kind.0));
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

/// What came of the seeds of a source: what was read by kind, the most that a file took, and the failures.
#[derive(Default)]
struct Done {
    tallies: Vec<(&'static str, Tally)>,
    used: Used,
    failures: Vec<String>,
}

/// Runs seeds of every kind, as many kinds at once as there are processors.
fn run((n_cases, least): (u64, usize), kinds: &[Numbered], source: usize) -> Done {
    let n_seeds = (n_cases / kinds.len().max(1) as u64).max(1);
    let (next, all) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    let work = || {
        let mut worker = Worker::start(SERVES);
        while let Some(&kind) = kinds.get(next.fetch_add(1, Ordering::Relaxed)) {
            let done = of_kind(kind, (n_seeds, least), source, &mut worker);
            all.lock().unwrap().insert(kind.0, done);
        }
    };
    let n_threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| (0..n_threads).for_each(|_| drop(scope.spawn(work))));
    let mut done = Done::default();
    for (&(_, name), (tally, used, failures)) in
        kinds.iter().zip(all.into_inner().unwrap().values())
    {
        say(name, *tally);
        done.tallies.push((name, *tally));
        done.used = done.used.most(*used);
        done.failures.extend_from_slice(failures);
    }
    done
}

/// Runs seeds of a kind.
fn of_kind(
    (kind, name): Numbered,
    (n_seeds, least): (u64, usize),
    source: usize,
    worker: &mut Worker,
) -> (Tally, Used, Vec<String>) {
    let first: u64 = std::env::var("BROKEN_SEED").ok().and_then(|n| n.parse().ok()).unwrap_or(0);
    let (mut all, mut most, mut failures) = (Tally::default(), Used::default(), Vec::new());
    for seed in first..first + n_seeds {
        match worker.ask(Job { source, kind, seed }, LIMITS) {
            Ok((one, used)) => {
                all += one;
                most = most.most(used);
            }
            Err(what) => failures.push(format!("{name}, seed {seed}, {what}")),
        }
    }
    if all.wanted > 0 && all.permille() < least {
        failures.push(format!("{name}: only {} ‰ of the whole events are read", all.permille()));
    }
    (all, most, failures)
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
    made_up: Done,
    real: Done,
}

impl Both {
    fn of([made_up, real]: [usize; 2], kinds: &[Numbered], least: usize) -> Self {
        let all = |source| run((n_cases(), least), kinds, source);
        let made_up = all(made_up);
        Self { made_up, real: if REAL.is_empty() { Done::default() } else { all(real) } }
    }

    fn parts(&self) -> [&Done; 2] {
        [&self.made_up, &self.real]
    }
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

/// The test below, which in a child reads what it is asked to.
const SERVES: &str = "every_whole_event_is_read_or_its_loss_is_counted";

#[test]
fn every_whole_event_is_read_or_its_loss_is_counted() {
    if limits::is_child() {
        return limits::serve();
    }
    let text = Both::of([MADE_UP, REAL_TEXT], &kinds(), LEAST);
    let packets = Both::of([MADE_UP_PACKETS, WRITTEN_PACKETS], &kinds_of_bytes(), LEAST_OF_PACKETS);
    if std::env::var_os("BLESS").is_some() && !REAL.is_empty() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/reports/damage.md");
        std::fs::write(path, report(&text, &packets)).unwrap();
    }
    let of = |what: &'static str, done: &Done| {
        let all = done.failures.iter().map(move |failure| format!("{what}: {failure}"));
        all.collect::<Vec<String>>()
    };
    assert_none(
        [
            of("made up", &text.made_up),
            of("real", &text.real),
            of("made-up Perfetto", &packets.made_up),
            of("real Perfetto", &packets.real),
        ]
        .concat(),
    );
}

/// The same of traces that are read in several blocks.
#[test]
fn traces_of_several_blocks_lose_nothing_silently() {
    assert_none(run((1, LEAST), &kinds(), BLOCKS).failures);
}

/// What takes more than the limits is a failure of that file, and the next one is read.
#[test]
fn limits_are_held() {
    let mut worker = Worker::start(SERVES);
    let of = |source| Job { source, kind: 0, seed: 1 };
    let endless = worker.ask(of(ENDLESS), Limits { cpu_s: 1, ..LIMITS }).err().unwrap();
    assert!(endless.starts_with("ended by signal: 24 (SIGXCPU)"), "{endless}");
    let huge = worker.ask(of(HUGE), LIMITS).err().unwrap();
    assert!(huge.starts_with("ended by signal: 6 (SIGABRT)"), "{huge}");
    let (tally, used) = worker.ask(of(MADE_UP), LIMITS).unwrap();
    assert!(tally.wanted > 0 && used.peak_kib > 1 << 10, "{} KiB", used.peak_kib);
}

/// The table of what is recovered.
fn report(text: &Both, packets: &Both) -> String {
    let (n_kinds, n_of_bytes) = (text.made_up.tallies.len(), packets.made_up.tallies.len());
    let of_each = |n_kinds: usize| n_cases() / n_kinds as u64;
    let n_all = 2 * (of_each(n_kinds) * n_kinds as u64 + of_each(n_of_bytes) * n_of_bytes as u64);
    let parts = [text.parts(), packets.parts()].concat();
    let all: Vec<Tally> = parts.iter().flat_map(|done| &done.tallies).map(|one| one.1).collect();
    let used = parts.iter().fold(Used::default(), |most, done| most.most(done.used));
    let sum = |of: fn(&Tally) -> usize| all.iter().map(of).sum::<usize>();
    format!(
        "# What is read of damaged traces\n\n\
         Made by `BLESS=1 BROKEN_CASES={} cargo test --test broken`: {n_all} damaged files, {n_kinds} kinds of damage to JSON ({} \
         seeds each), {n_of_bytes} to Perfetto files ({} each), of traces that are made up and again of real ones: {} pieces as their writers wrote them, {} \
         of them as this program writes Perfetto. A whole event is one that no damaged byte touches, nor any packet that tells its \
         name or what its time counts from. Those that are not read are counted as data loss: an event that is neither fails the \
         test, as do a file with a whole event that is refused, a panic, and more than {} s of the processor or {} GiB of address space for \
         a file, which the kernel holds ({}: the longest took {:.1} s, the largest {} MiB).\n\n\
         Of {} whole events {} were read and {} counted as lost; {} more stand in what damage made valid JSON, in which they are \
         arguments of another event. Files with a whole event that were refused, and other failures: {}.\n\n\
         ## JSON\n\n{}\n## Perfetto\n\n{}",
        n_cases(),
        of_each(n_kinds),
        of_each(n_of_bytes),
        REAL.len(),
        REAL_PACKETS.len(),
        LIMITS.cpu_s,
        LIMITS.bytes >> 30,
        if cfg!(debug_assertions) { "a build for development" } else { "a release build" },
        used.cpu_ms as f64 / 1e3,
        used.peak_kib >> 10,
        sum(|one| one.wanted),
        sum(|one| one.read),
        sum(|one| one.wanted - one.read - one.hidden),
        sum(|one| one.hidden),
        parts.iter().map(|done| done.failures.len()).sum::<usize>(),
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
    for ((name, made_up), (_, real)) in both.made_up.tallies.iter().zip(&both.real.tallies) {
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
    alone("flipped_bits_in_compressed_traces_are_never_silent", flipped_bits);
}

fn flipped_bits() {
    let mut random = Random::new(6);
    for case in 0..300 {
        let sound = of_layout(case, 300);
        let wanted = sound.whole_in(&[0..sound.text.len()]);
        let mut bytes = gz(&sound.text);
        let at = 10 + random.below(bytes.len() - 10);
        bytes[at] ^= 1 << random.below(8);
        if let Ok(input) = read_within_limits(&bytes) {
            let is_whole = n_missing(&wanted, &found(&input)) == 0;
            assert!(is_whole || input.diag.worst() == Some(Severity::DataLoss), "{case}");
        }
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
    alone("giant_events_and_members_are_bounded", giants);
}

fn giants() {
    let event = |i: usize, len: usize| {
        format!(
            "{{\"ph\":\"X\",\"name\":\"{}\",\"ts\":{i},\"dur\":1,\"pid\":1,\"tid\":1}}",
            "x".repeat(len)
        )
    };
    for (len, n_read, n_lost) in [(5 << 20, 3, 0), (70 << 20, 2, 1)] {
        let text = format!("[{},{},{}]", event(0, 1), event(1, len), event(2, 1));
        let input = read_within_limits(text.as_bytes()).unwrap();
        assert_eq!(input.store.slices.len(), n_read, "{:?}", input.diag);
        assert_eq!(input.diag.count(omni_trace::diag::IssueKind::OversizedEvent), n_lost);
    }
    let text = format!("{{\"x\":\"{}\",\"traceEvents\":[{}]}}", " ".repeat(20 << 20), event(0, 1));
    let input = read_within_limits(text.as_bytes()).unwrap();
    assert_eq!(input.store.slices.len(), 1);
    assert_eq!(input.diag.count(omni_trace::diag::IssueKind::OversizedMember), 1);
}

/// Bad events one after the other cost what good ones do.
#[test]
fn bad_events_are_read_in_linear_time() {
    alone("bad_events_are_read_in_linear_time", bad_events);
}

fn bad_events() {
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
        let found = read_within_limits(text.as_bytes());
        assert!(found.is_err() || found.unwrap().diag.worst() >= Some(Severity::Notice), "{bad}");
    }
}
