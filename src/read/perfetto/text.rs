//! Events in the order of their times to the text of Chrome JSON.
//!
//! Slices come out as complete events when they end. A slice that starts with its parent waits for it, so that of two
//! slices with the same span the outer one comes first, as the order of nesting needs.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;

use super::annotations::put_string;
use super::pending::{Act, Event, Texts, What};
use super::tracks::{NameEvent, TrackInfo, Tracks};
use crate::model::time::write_us;
use crate::store::{BASE_KEY, UNITS_KEY};

/// A slice that has begun.
struct Open {
    start_ns: i64,
    /// Name, category and arguments as JSON members.
    what: Vec<u8>,
    arguments: Vec<u8>,
    /// Events that ended inside and started with it.
    held: Vec<Vec<u8>>,
}

/// The text, as far as it is written.
#[derive(Default)]
pub(super) struct Text {
    pub(super) out: Vec<u8>,
    /// Top-level members, until the first event.
    pub(super) members: Vec<(String, String)>,
    /// Units of counters as a top-level member, where no member says them.
    pub(super) units: Option<String>,
    /// Unix time of the trace's time 0, where no member says it.
    pub(super) realtime_ns: Option<i64>,
    open: BTreeMap<u64, Vec<Open>>,
    flows: BTreeSet<u64>,
    has_head: bool,
    has_events: bool,
    /// Unix time of 0 in the text.
    base_ns: i64,
}

impl Text {
    /// Names of processes and threads.
    pub(super) fn names(&mut self, names: &[NameEvent]) {
        for name in names {
            let mut text = format!(
                "{{\"ph\":\"M\",\"name\":\"{}\",\"pid\":{},\"tid\":{},\"args\":{{\"{}\":",
                name.kind, name.pid, name.tid, name.key
            )
            .into_bytes();
            put_string(&name.name, &mut text);
            text.extend_from_slice(b"}}");
            self.emit(&text);
        }
    }

    /// Takes the next event.
    pub(super) fn event(&mut self, event: &Event, texts: &Texts, tracks: &mut Tracks) {
        self.head();
        let (uuid, time_ns) = (event.track, event.time_ns);
        let arguments = texts.get(event.arguments);
        let what = || members_of(texts.what_of(event.what));
        match event.act {
            Act::Begin => self.begin(uuid, time_ns, what(), arguments.to_vec()),
            Act::End => self.end(uuid, time_ns, arguments, tracks),
            Act::Whole { dur_ns } => {
                self.begin(uuid, time_ns, what(), arguments.to_vec());
                self.end(uuid, time_ns.saturating_add(dur_ns), b"", tracks);
            }
            Act::Point { start } => {
                let start = texts.start_of(start);
                self.point(start, tracks.get(uuid), time_ns, &what(), arguments);
            }
            Act::Sample { value } => self.sample(tracks.get(uuid), time_ns, value),
            Act::Flow { id, is_last } => self.flow(id, is_last, time_ns, tracks.get(uuid)),
        }
    }

    fn begin(&mut self, uuid: u64, start_ns: i64, what: Vec<u8>, arguments: Vec<u8>) {
        let open = Open { start_ns, what, arguments, held: Vec::new() };
        self.open.entry(uuid).or_default().push(open);
    }

    fn end(&mut self, uuid: u64, time_ns: i64, arguments: &[u8], tracks: &mut Tracks) {
        let track = tracks.get(uuid);
        let stack = self.open.entry(uuid).or_default();
        let Some(mut open) = stack.pop() else {
            // Unmatched: the reader of events counts it.
            self.point("\"ph\":\"E\"", track, time_ns, b"", b"");
            return;
        };
        if !arguments.is_empty() {
            if !open.arguments.is_empty() {
                open.arguments.push(b',');
            }
            open.arguments.extend_from_slice(arguments);
        }
        let mut start = b"\"ph\":\"X\",\"dur\":".to_vec();
        write_us(time_ns.saturating_sub(open.start_ns), &mut start);
        let start = String::from_utf8_lossy(&start).into_owned();
        let ts_ns = open.start_ns.saturating_sub(self.base_ns);
        let text = point_text(&start, track, ts_ns, &open.what, &open.arguments);
        match stack.last_mut() {
            Some(parent) if parent.start_ns == open.start_ns => {
                parent.held.push(text);
                parent.held.append(&mut open.held);
            }
            _ => {
                self.emit(&text);
                open.held.iter().for_each(|text| self.emit(text));
            }
        }
    }

    fn point(
        &mut self,
        start: &str,
        track: &TrackInfo,
        time_ns: i64,
        what: &[u8],
        arguments: &[u8],
    ) {
        let text = point_text(start, track, time_ns.saturating_sub(self.base_ns), what, arguments);
        self.emit(&text);
    }

    /// The first event of an id starts the flow.
    fn flow(&mut self, id: u64, is_last: bool, time_ns: i64, track: &TrackInfo) {
        let is_first = self.flows.insert(id);
        let phase = match (is_first, is_last) {
            (true, false) => "s",
            (_, true) => "f",
            (false, false) => "t",
        };
        if is_last {
            self.flows.remove(&id);
        }
        let bind = if is_last { ",\"bp\":\"e\"" } else { "" };
        let start = format!("\"ph\":\"{phase}\",\"id\":{id}{bind}");
        self.point(&start, track, time_ns, b",\"cat\":\"flow\",\"name\":\"flow\"", b"");
    }

    fn sample(&mut self, track: &mut TrackInfo, time_ns: i64, value: f64) {
        let value = value * track.multiplier as f64;
        track.counter = if track.is_incremental { track.counter + value } else { value };
        let mut what = b",\"name\":".to_vec();
        put_string(&track.name, &mut what);
        let mut arguments = Vec::new();
        put_string(track.series.as_deref().unwrap_or("value"), &mut arguments);
        if track.counter.is_finite() {
            let _ = write!(arguments, ":{}", track.counter);
        } else {
            let _ = write!(arguments, ":\"{}\"", track.counter);
        }
        self.point("\"ph\":\"C\"", track, time_ns, &what, &arguments);
    }

    /// Starts the text: top-level members, and the start of the events.
    pub(super) fn head(&mut self) {
        if std::mem::replace(&mut self.has_head, true) {
            return;
        }
        let mut members = std::mem::take(&mut self.members);
        if members.is_empty() {
            members.push(("schemaVersion".to_owned(), "1".to_owned()));
            members.extend(self.realtime_ns.map(|base| (BASE_KEY.to_owned(), base.to_string())));
            members.extend(self.units.take().map(|units| (UNITS_KEY.to_owned(), units)));
        } else {
            let base = members.iter().find(|(key, _)| key == BASE_KEY);
            self.base_ns = base.and_then(|(_, text)| text.trim().parse().ok()).unwrap_or(0);
        }
        let mut head = b"{\n".to_vec();
        for (key, value) in members {
            put_string(&key, &mut head);
            head.extend_from_slice(format!(": {value},\n").as_bytes());
        }
        head.extend_from_slice(b"\"traceEvents\": [\n");
        self.out.extend_from_slice(&head);
    }

    fn emit(&mut self, text: &[u8]) {
        self.head();
        if std::mem::replace(&mut self.has_events, true) {
            self.out.extend_from_slice(b",\n");
        }
        self.out.extend_from_slice(text);
    }

    /// Ends the text. Slices that never ended are given as begins, which the reader of events counts.
    pub(super) fn finish(&mut self, tracks: &mut Tracks) {
        self.head();
        for (uuid, stack) in std::mem::take(&mut self.open) {
            for open in stack {
                let track = tracks.get(uuid);
                self.point("\"ph\":\"B\"", track, open.start_ns, &open.what, &open.arguments);
                open.held.iter().for_each(|text| self.emit(text));
            }
        }
        self.out.extend_from_slice(b"\n]}\n");
    }
}

/// Name and category as members, with a comma before each.
fn members_of(what: &What) -> Vec<u8> {
    let mut text = Vec::new();
    if !what.category.is_empty() {
        text.extend_from_slice(b",\"cat\":");
        put_string(&what.category, &mut text);
    }
    if let Some(name) = &what.name {
        text.extend_from_slice(b",\"name\":");
        put_string(name, &mut text);
    }
    text
}

/// An event on a track at a time.
fn point_text(
    start: &str,
    track: &TrackInfo,
    ts_ns: i64,
    what: &[u8],
    arguments: &[u8],
) -> Vec<u8> {
    let mut text =
        format!("{{{start},\"pid\":{},\"tid\":{},\"ts\":", track.pid, track.tid).into_bytes();
    write_us(ts_ns, &mut text);
    text.extend_from_slice(what);
    if !arguments.is_empty() {
        text.extend_from_slice(b",\"args\":{");
        text.extend_from_slice(arguments);
        text.push(b'}');
    }
    text.push(b'}');
    text
}
