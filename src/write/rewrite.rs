//! Events of an input, as spans of their text, to events of the output, as text.
//!
//! Only what a plan changes is changed: pid, tid, ts, ids and the names of processes. Everything else, unknown keys too, is
//! copied byte for byte, as far as it is valid JSON. What importers give up a file at is left out or written otherwise: events
//! without a time, durations below 0, ids beyond 63 bits. One event a line, without spaces.

use std::io::Write as _;

use super::edit::{BlockTally, COLLAPSED_COUNT_KEY, COLLAPSED_NS_KEY, Edit};
use super::forms::{Form, Forms, Names};
use super::gzip::{BlockCompressor, GzipBlock};
use super::json_text::{put_inner, put_string, put_value, valid_utf8};
use super::plan::{IdKey, InputPlan, ProcessPlan, TrackPlan};
use super::spare::Spares;
use crate::diag::timings::timed;
use crate::model::time::write_us;
use crate::read::events::{Known, RawEvent, RawValue, Reading, Visitor, flow_id, shifted_id};
use crate::store::{ADDED_KEY, ORIGINAL_KEY};

/// The first id that Perfetto's importer does not take as a number; as a string of hex digits it does.
const LARGE_ID: u64 = 1 << 63;

/// Between two events.
pub(crate) const SEPARATOR: &[u8] = b",\n";

/// Rewrites the events of one block.
pub(crate) struct Rewriter<'p> {
    plan: &'p InputPlan,
    edit: Option<&'p Edit>,
    /// Compression level; `None` for plain text.
    level: Option<u32>,
    spares: &'p Spares,
    out: Vec<u8>,
    tally: BlockTally,
    forms: Forms,
    names: Names,
    last: Option<Track<'p>>,
}

/// What the text of a pid and a tid become.
struct Track<'p> {
    pid: Vec<u8>,
    tid: Vec<u8>,
    /// The members of both on the track's own lane; the second where the event had to be repaired.
    text: [Vec<u8>; 2],
    process: Option<&'p ProcessPlan>,
    track: Option<&'p TrackPlan>,
}

/// What a block becomes: events with separators between them.
#[derive(Debug)]
pub(crate) struct Rewritten {
    pub(crate) body: Body,
    /// Bytes of text.
    pub(crate) text_bytes: u64,
    pub(crate) tally: BlockTally,
}

/// The bytes of a rewritten block.
#[derive(Debug)]
pub(crate) enum Body {
    /// Text.
    Plain(Vec<u8>),
    /// Compressed text.
    Gzip(GzipBlock),
}

impl Body {
    /// Gives memory back that was written.
    pub(super) fn give_back(self, spares: &Spares) {
        match self {
            Self::Plain(text) => spares.give_text(text),
            Self::Gzip(block) => spares.compressed.give(block.bytes),
        }
    }
}

impl<'p> Rewriter<'p> {
    /// A rewriter for the next block.
    pub(crate) fn new(
        plan: &'p InputPlan,
        edit: Option<&'p Edit>,
        level: Option<u32>,
        spares: &'p Spares,
    ) -> Self {
        let out = Vec::new();
        let (tally, forms, names) = <(BlockTally, Forms, Names)>::default();
        Self { plan, edit, level, spares, out, tally, forms, names, last: None }
    }

    /// Finds what the event's pid and tid become, unless it has those of the one before.
    fn find_track(&mut self, event: &RawEvent<'_>) {
        let is_same = |track: &Track<'_>| track.pid == event.pid.0 && track.tid == event.tid.0;
        if self.last.as_ref().is_some_and(is_same) {
            return;
        }
        let plan = self.plan;
        let (pid, tid) = (key_of(event.pid), key_of(event.tid));
        let process = if plan.is_same { None } else { plan.processes.get(&pid) };
        let track = if plan.tracks.is_empty() { None } else { plan.tracks.get(&(pid, tid)) };
        let mut found = Track {
            pid: event.pid.0.to_vec(),
            tid: event.tid.0.to_vec(),
            text: [Vec::new(), Vec::new()],
            process,
            track,
        };
        for is_repaired in [false, true] {
            let mut text = Vec::new();
            put_track(event, &found, 0, is_repaired, &mut text);
            found.text[usize::from(is_repaired)] = text;
        }
        self.last = Some(found);
    }

    /// Metadata has no time: the 0 that some writers give it stays.
    fn shift_of(&self, event: &RawEvent<'_>, times: Times) -> i64 {
        let shift_ns = self.plan.shift_ns;
        let is_before = || times.ts_ns.is_none_or(|ts_ns| ts_ns.saturating_add(shift_ns) < 0);
        if event.ph.inner() == b"M" && is_before() { 0 } else { shift_ns }
    }

    fn put_event(&mut self, number: u64, event: &RawEvent<'_>, times: Times, is_repaired: bool) {
        self.find_track(event);
        let Some(track) = &self.last else { return };
        let lane = lane_of(self.plan, track, number, event, times);
        let shift_ns = self.shift_of(event, times);
        let out = &mut self.out;
        if out.capacity() == 0 {
            *out = self.spares.text();
        }
        if !out.is_empty() {
            out.extend_from_slice(SEPARATOR);
        }
        let form = self.forms.of(event, self.edit, is_repaired);
        out.extend_from_slice(form.head());
        self.names.put(event, is_repaired, out);
        match lane {
            0 => out.extend_from_slice(&track.text[usize::from(is_repaired)]),
            lane => put_track(event, track, lane, is_repaired, out),
        }
        put_time(event.ts, times.ts_ns, shift_ns, is_repaired, out);
        put_duration(event, times.dur_ns, is_repaired, out);
        put_flow_id(event.id, self.plan.id_offset, is_repaired, out);
        for &(key, value) in event.others.iter().filter(|other| !is_bad_time(other.0, other.1)) {
            put_key(key, is_repaired, b",\"", out);
            put_value(value, is_repaired, out);
        }
        let collapsed = self.edit.and_then(|edit| edit.collapsed.get(number as u32));
        if !event.args.is_empty() || collapsed.is_some() {
            out.extend_from_slice(b",\"args\":{");
            let start = out.len();
            put_args(event, form, track, self.plan.id_offset, is_repaired, out);
            if let Some(collapsed) = collapsed {
                let comma = if out.len() > start { "," } else { "" };
                // Writing to a vector cannot fail.
                let _ = write!(
                    out,
                    "{comma}\"{COLLAPSED_COUNT_KEY}\":{},\"{COLLAPSED_NS_KEY}\":{}",
                    collapsed.count, collapsed.covered_ns
                );
            }
            out.push(b'}');
        }
        out.push(b'}');
        self.put_lane_order(event, is_repaired);
    }

    /// Lanes stand right after their track: the same sort index, and viewers then go by tid.
    fn put_lane_order(&mut self, event: &RawEvent<'_>, is_repaired: bool) {
        if event.ph.inner() != b"M" || event.name.inner() != b"thread_sort_index" {
            return;
        }
        let (Some(value), Some(track)) = (event.arg(b"sort_index"), &self.last) else { return };
        let n_lanes = track.track.map_or(0, |planned| planned.lanes.len());
        for lane in 1..=n_lanes {
            self.out.extend_from_slice(b",\n{\"ph\":\"M\",\"name\":\"thread_sort_index\"");
            put_track(event, track, lane as u16, is_repaired, &mut self.out);
            self.out.extend_from_slice(b",\"args\":{\"sort_index\":");
            put_value(value, is_repaired, &mut self.out);
            let _ = write!(self.out, ",\"{ADDED_KEY}\":true}}}}");
        }
    }
}

impl Visitor for Rewriter<'_> {
    type Output = Rewritten;

    fn event(&mut self, number: u64, event: &RawEvent<'_>, reading: Reading) {
        let is_dropped = self.edit.is_some_and(|edit| edit.drops(number, event));
        let times = if is_dropped { None } else { Times::of(event) };
        if self.edit.is_some() {
            self.tally.count(1, Known::of(event), times.is_none());
        }
        if let Some(times) = times {
            self.put_event(number, event, times, reading == Reading::Repaired);
        }
    }

    fn passes(&self, number: u64) -> bool {
        self.edit.is_some_and(|edit| edit.is_slice_gone(number))
    }

    fn passed(&mut self, n: u64, known: Known<'_>) {
        self.tally.count(n, known, true);
    }

    fn finish(self) -> Rewritten {
        let (text, spares) = (valid_utf8(self.out), self.spares);
        let text_bytes = text.len() as u64;
        let body = match self.level {
            None => Body::Plain(text),
            Some(level) => {
                let compressor = spares.compressors.take();
                let mut compressor = compressor.unwrap_or_else(|| BlockCompressor::new(level));
                let memory = spares.compressed.take().unwrap_or_default();
                let block = timed("write: compress", || compressor.block(&text, memory));
                spares.compressors.give(compressor);
                spares.give_text(text);
                Body::Gzip(block)
            }
        };
        Rewritten { body, text_bytes, tally: self.tally }
    }
}

/// The lane of an event: its own where it is a slice, that of its slice where it is the end of a flow.
#[inline]
fn lane_of(
    plan: &InputPlan,
    track: &Track<'_>,
    number: u64,
    event: &RawEvent<'_>,
    times: Times,
) -> u16 {
    let Some(planned) = track.track.filter(|planned| !planned.lanes.is_empty()) else { return 0 };
    match event.ph.inner() {
        b"s" | b"t" | b"f" => {
            let end = times.ts_ns.zip(flow_id(event.id));
            end.map_or(0, |(ts_ns, id)| planned.flow_lanes.lane(ts_ns, id))
        }
        _ => plan.lane_of_event.get(number as u32).copied().unwrap_or(0),
    }
}

/// A pid or tid as the store keys it.
pub(super) fn key_of(value: RawValue<'_>) -> IdKey {
    value.as_track_number().map_or_else(|| IdKey::Text(value.text().0.into_owned()), IdKey::Int)
}

#[inline]
fn put_member(key: &[u8], value: RawValue<'_>, is_repaired: bool, out: &mut Vec<u8>) {
    if !value.is_absent() {
        out.extend_from_slice(key);
        put_value(value, is_repaired, out);
    }
}

#[inline]
fn put_key(key: &[u8], is_repaired: bool, before: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(before);
    put_inner(key, is_repaired, out);
    out.extend_from_slice(b"\":");
}

fn put_track(
    event: &RawEvent<'_>,
    track: &Track<'_>,
    lane: u16,
    is_repaired: bool,
    out: &mut Vec<u8>,
) {
    match track.process {
        Some(process) => {
            let _ = write!(out, ",\"pid\":{}", process.pid);
        }
        None => put_track_id(b",\"pid\":", event.pid, is_repaired, out),
    }
    let number = track.track.and_then(|planned| match lane {
        0 => planned.tid,
        lane => planned.lanes.get(usize::from(lane) - 1).copied(),
    });
    match number {
        Some(number) => {
            let _ = write!(out, ",\"tid\":{number}");
        }
        None => put_track_id(b",\"tid\":", event.tid, is_repaired, out),
    }
}

/// Appends a pid or tid. A number loses the quotes that some writers give it on some events and not on others.
fn put_track_id(key: &[u8], id: RawValue<'_>, is_repaired: bool, out: &mut Vec<u8>) {
    match id.as_track_number() {
        Some(_) => put_member(key, RawValue(id.inner()), is_repaired, out),
        None => put_member(key, id, is_repaired, out),
    }
}

fn put_time(
    ts: RawValue<'_>,
    ts_ns: Option<i64>,
    shift_ns: i64,
    is_repaired: bool,
    out: &mut Vec<u8>,
) {
    match ts_ns {
        Some(ts_ns) if shift_ns != 0 => {
            out.extend_from_slice(b",\"ts\":");
            write_us(ts_ns.saturating_add(shift_ns), out);
        }
        Some(_) => put_member(b",\"ts\":", ts, is_repaired, out),
        None => {}
    }
}

/// Appends the duration as reading takes it: of a complete event, one that is missing or negative is 0.
fn put_duration(event: &RawEvent<'_>, dur_ns: Option<i64>, is_repaired: bool, out: &mut Vec<u8>) {
    match dur_ns {
        Some(0..) => put_member(b",\"dur\":", event.dur, is_repaired, out),
        _ if event.ph.inner() == b"X" => out.extend_from_slice(b",\"dur\":0"),
        _ => {}
    }
}

/// When an event was, where it says so.
#[derive(Clone, Copy)]
struct Times {
    ts_ns: Option<i64>,
    dur_ns: Option<i64>,
}

impl Times {
    /// `None` where an event does not say when it was and its phase needs that. Reading has counted those as lost; importers
    /// give up the whole file at some of them.
    fn of(event: &RawEvent<'_>) -> Option<Self> {
        let times = Self { ts_ns: event.ts.as_ns(), dur_ns: event.dur.as_ns() };
        let is_usable = match event.ph.inner() {
            b"" => false,
            b"M" => true,
            b"X" => times.ts_ns.is_some() && (event.dur.is_absent() || times.dur_ns.is_some()),
            _ => times.ts_ns.is_some(),
        };
        is_usable.then_some(times)
    }
}

/// Whether a further member is a time of the thread's own clock that is none.
fn is_bad_time(key: &[u8], value: RawValue<'_>) -> bool {
    matches!(key, b"tts" | b"tdur") && value.as_ns().is_none()
}

fn put_flow_id(id: RawValue<'_>, offset: u64, is_repaired: bool, out: &mut Vec<u8>) {
    match flow_id(id).map(|number| number.wrapping_add(offset)) {
        Some(number @ LARGE_ID..) => {
            // Writing to a vector cannot fail.
            let _ = write!(out, ",\"id\":\"{number:#x}\"");
        }
        Some(number) if offset != 0 => {
            out.extend_from_slice(b",\"id\":");
            put_number(number, out);
        }
        _ => put_member(b",\"id\":", id, is_repaired, out),
    }
}

/// Appends a number; formatting machinery would show in the time of a pass.
fn put_number(number: u64, out: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    let mut rest = number;
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

fn put_args(
    event: &RawEvent<'_>,
    form: &Form,
    track: &Track<'_>,
    id_offset: u64,
    is_repaired: bool,
    out: &mut Vec<u8>,
) {
    let renamed = track.process.filter(|_| event.ph.inner() == b"M");
    let mut is_first = true;
    for (&(key, value), (key_text, arg)) in event.args.iter().zip(form.args()) {
        if arg.is_dropped {
            continue;
        }
        if !std::mem::take(&mut is_first) {
            out.push(b',');
        }
        out.extend_from_slice(key_text);
        if let Some(process) = renamed
            && put_process_arg(event.name.inner(), key, process, out)
        {
            put_key(ORIGINAL_KEY.as_bytes(), false, b",\"", out);
            put_value(value, is_repaired, out);
            continue;
        }
        match arg.space.and_then(|space| shifted_id(space, value, id_offset)) {
            Some(id) if id_offset != 0 => put_number(id, out),
            _ => put_value(value, is_repaired, out),
        }
    }
}

/// Writes what a process is called and where it stands. Tells whether it did.
fn put_process_arg(name: &[u8], key: &[u8], process: &ProcessPlan, out: &mut Vec<u8>) -> bool {
    match (name, key) {
        (b"process_name", b"name") => put_string(&process.name, out),
        (b"process_sort_index", b"sort_index") => {
            let _ = write!(out, "{}", process.sort_index);
        }
        _ => return false,
    }
    true
}

/// The metadata events that an input did not have: names and order of its processes, names of its new threads.
pub(crate) fn added_events(plan: &InputPlan) -> Vec<u8> {
    let mut out = Vec::new();
    let mut put = |name: &str, pid: i64, tid: i64, key: &str, value: serde_json::Value| {
        let separator = if out.is_empty() { "" } else { ",\n" };
        let _ = write!(
            out,
            "{separator}{{\"ph\":\"M\",\"name\":\"{name}\",\"pid\":{pid},\"tid\":{tid},\"ts\":0,\"args\":{{\"{key}\":{value},\"{ADDED_KEY}\":true}}}}"
        );
    };
    let mut processes: Vec<&ProcessPlan> =
        plan.processes.values().filter(|_| !plan.is_same).collect();
    processes.sort_by_key(|process| process.pid);
    for process in processes {
        put("process_name", process.pid, 0, "name", process.name.as_str().into());
        put("process_sort_index", process.pid, 0, "sort_index", process.sort_index.into());
    }
    for (pid, tid, name) in &plan.thread_names {
        put("thread_name", *pid, *tid, "name", name.as_str().into());
    }
    out
}
