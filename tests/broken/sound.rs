//! Sound traces to be damaged: made up in five layouts, and pieces of real ones as their writers wrote them.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::ops::Range;
use std::path::Path;

use omni_trace::read::Input;

use crate::Whole;
use crate::common::Random;

/// What an event is known by: its start in nanoseconds, and its name.
pub(crate) type Identity = (i64, String);

/// A trace, and where each of its events stands.
#[derive(Clone)]
pub(crate) struct Sound {
    pub(crate) name: String,
    pub(crate) text: Vec<u8>,
    pub(crate) places: Vec<Range<usize>>,
    /// Of each event that has a start, a duration and a name; of no other.
    pub(crate) identities: Vec<Option<Identity>>,
}

impl Sound {
    fn new(name: String, text: Vec<u8>, places: Vec<Range<usize>>) -> Self {
        let identities = places.iter().map(|place| identity(&text[place.clone()])).collect();
        Self { name, text, places, identities }
    }
}

impl Whole for Sound {
    fn name(&self) -> &str {
        &self.name
    }

    fn bytes(&self) -> &[u8] {
        &self.text
    }

    fn places(&self) -> &[Range<usize>] {
        &self.places
    }

    fn whole_in(&self, pieces: &[Range<usize>]) -> BTreeMap<&Identity, usize> {
        let mut wanted = BTreeMap::new();
        for piece in pieces {
            let first = self.places.partition_point(|place| place.start < piece.start);
            let behind = self.places.partition_point(|place| place.end <= piece.end);
            for identity in self.identities.get(first..behind).into_iter().flatten().flatten() {
                *wanted.entry(identity).or_default() += 1;
            }
        }
        wanted
    }
}

/// How often each slice is in a store.
pub(crate) fn found(input: &Input) -> BTreeMap<Identity, usize> {
    let mut found = BTreeMap::new();
    for (slice, ts_ns) in input.store.slices.ts_ns.iter().enumerate() {
        *found.entry((*ts_ns, input.store.name(slice).to_owned())).or_default() += 1;
    }
    found
}

/// How many of the wanted events were not found.
pub(crate) fn n_missing(
    wanted: &BTreeMap<&Identity, usize>,
    found: &BTreeMap<Identity, usize>,
) -> usize {
    wanted.iter().map(|(one, n)| n.saturating_sub(*found.get(*one).unwrap_or(&0))).sum()
}

#[derive(serde::Deserialize)]
struct Event<'a> {
    ph: &'a str,
    name: String,
    #[serde(borrow)]
    ts: &'a serde_json::value::RawValue,
    #[serde(borrow)]
    dur: &'a serde_json::value::RawValue,
}

fn identity(text: &[u8]) -> Option<Identity> {
    let event: Event<'_> = serde_json::from_slice(text).ok()?;
    ns(event.dur.get()).filter(|&ns| ns >= 0)?;
    (event.ph == "X").then_some((ns(event.ts.get())?, event.name))
}

/// Microseconds with at most three decimals as nanoseconds.
fn ns(text: &str) -> Option<i64> {
    let (whole, fraction) = text.trim_matches('"').split_once('.').unwrap_or((text, ""));
    let digits = format!("{whole}{:0<3}", fraction.trim_end_matches('0'));
    (digits.len() == whole.len() + 3).then(|| digits.parse().ok()).flatten()
}

/// The writers' layouts of a trace that is made up.
const LAYOUTS: usize = 5;

/// A made-up trace of some hundred events.
pub(crate) fn made_up(random: &mut Random) -> Sound {
    let layout = random.below(LAYOUTS);
    let n = 1 + random.below(400);
    of_layout(layout, n)
}

/// A trace of `n` events whose starts are their numbers in microseconds.
pub(crate) fn of_layout(layout: usize, n: usize) -> Sound {
    let (head, separator, tail) = match layout % LAYOUTS {
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
        text += &event(layout % LAYOUTS, i);
        places.push(start..text.len());
    }
    let text = format!("{text}{tail}").into_bytes();
    Sound::new(format!("layout {layout}"), text, places)
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

/// Bytes of a real trace's text that are looked at: of the largest only their start.
const MOST_TEXT: u64 = 2 << 20;
/// Largest head or tail that a piece keeps.
const MOST_AROUND: usize = 40_000;
/// Events of a piece.
const EVENTS_OF_PIECE: usize = 250;

/// Pieces of a real trace: its head, some hundred events as they stand, and its tail.
pub(crate) fn pieces_of(path: &Path, random: &mut Random) -> Vec<Sound> {
    let Some(text) = text_of(path) else { return Vec::new() };
    let Some((head, places)) = events_of(&text) else { return Vec::new() };
    let tail = tail_of(&text, &places);
    let name = path.file_name().unwrap().to_string_lossy();
    let (mut pieces, mut starts) = (Vec::new(), vec![0]);
    starts.extend((0..3).map(|_| random.below(places.len())));
    for first in starts {
        let some = &places[first..places.len().min(first + EVENTS_OF_PIECE)];
        let (Some(from), Some(to)) = (some.first(), some.last()) else { continue };
        let mut piece = text[..head].to_vec();
        piece.extend_from_slice(&text[from.start..to.end]);
        piece.extend_from_slice(&tail);
        let moved =
            |place: &Range<usize>| place.start - from.start + head..place.end - from.start + head;
        let places = some.iter().map(moved).collect();
        pieces.push(Sound::new(format!("{name} from event {first}"), piece, places));
    }
    pieces
}

/// What stands behind the last event; where that was not read, an end.
fn tail_of(text: &[u8], places: &[Range<usize>]) -> Vec<u8> {
    let tail = places.last().map_or(&[][..], |last| &text[last.end..]);
    let is_end = tail.len() < MOST_AROUND && tail.trim_ascii_end().ends_with(b"}");
    if is_end { tail.to_vec() } else { b"\n]}".to_vec() }
}

fn text_of(path: &Path) -> Option<Vec<u8>> {
    let file = std::fs::File::open(path).ok()?;
    let mut text = Vec::new();
    if path.extension().is_some_and(|ending| ending == "gz") {
        flate2::read::MultiGzDecoder::new(file).take(MOST_TEXT).read_to_end(&mut text).ok()?;
    } else {
        file.take(MOST_TEXT).read_to_end(&mut text).ok()?;
    }
    Some(text)
}

/// Where the event array begins, and where its events stand, by brackets and strings alone.
fn events_of(text: &[u8]) -> Option<(usize, Vec<Range<usize>>)> {
    let key = text.windows(13).position(|word| word == b"\"traceEvents\"")?;
    let first = key + text[key..].iter().position(|&b| b == b'{')?;
    let (mut places, mut at) = (Vec::new(), first);
    while let Some(end) = object_end(text, at) {
        places.push(at..end);
        let rest = &text[end..];
        let next = rest.iter().position(|&b| b == b'{' || b == b']')?;
        if rest[next] == b']' {
            break;
        }
        at = end + next;
    }
    (first < MOST_AROUND && places.len() > 20).then_some((first, places))
}

fn object_end(text: &[u8], at: usize) -> Option<usize> {
    let (mut depth, mut in_string, mut is_escaped) = (0_usize, false, false);
    for (i, &b) in text[at..].iter().enumerate() {
        match b {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = in_string,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth -= 1;
                if depth == 0 {
                    return Some(at + i + 1);
                }
            }
            _ => {}
        }
    }
    None
}
