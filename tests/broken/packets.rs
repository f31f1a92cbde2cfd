//! Sound Perfetto traces to be damaged, and which slices are whole in what is left of them: their begin, their end, and every packet
//! that tells their name and what their times count from.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::process::{Command, Stdio};

use omni_trace_proto::perfetto::{
    EventName, InternedData, ThreadDescriptor, TracePacket, TrackDescriptor, TrackEvent,
};
use omni_trace_proto::prost::Message as _;

use crate::Whole;
use crate::common::Random;
use crate::sound::Identity;

/// A sound trace.
#[derive(Clone)]
pub(crate) struct Packets {
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
    /// Where its packets stand.
    pub(crate) places: Vec<Range<usize>>,
    /// What it holds, each with the packets that it takes, by number.
    pub(crate) slices: Vec<(Identity, Vec<usize>)>,
}

impl Packets {
    fn new(name: String, bytes: Vec<u8>) -> Self {
        let places = places(&bytes);
        let mut reading = Reading::default();
        for (number, place) in places.iter().enumerate() {
            reading.packet(number, &content(&bytes[place.clone()]));
        }
        Self { name, bytes, places, slices: reading.slices }
    }
}

impl Whole for Packets {
    fn name(&self) -> &str {
        &self.name
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn places(&self) -> &[Range<usize>] {
        &self.places
    }

    fn whole_in(&self, pieces: &[Range<usize>]) -> BTreeMap<&Identity, usize> {
        let holds = |piece: &Range<usize>, place: &Range<usize>| {
            piece.start <= place.start && place.end <= piece.end
        };
        // The piece that holds a packet first, and where in it.
        let place_of = |place: &Range<usize>| {
            pieces.iter().position(|piece| holds(piece, place)).map(|piece| (piece, place.start))
        };
        let places: Vec<Option<(usize, usize)>> = self.places.iter().map(place_of).collect();
        let mut wanted = BTreeMap::new();
        for (identity, takes) in &self.slices {
            let takes: Vec<_> = takes.iter().map(|&packet| places[packet]).collect();
            if takes.iter().all(Option::is_some) && takes.is_sorted() {
                *wanted.entry(identity).or_default() += 1;
            }
        }
        wanted
    }
}

fn varint(bytes: &[u8]) -> (u64, usize) {
    let len = 1 + bytes.iter().position(|&b| b < 0x80).unwrap();
    let value = bytes[..len].iter().rev().fold(0, |value, b| value << 7 | u64::from(b & 0x7f));
    (value, len)
}

fn places(bytes: &[u8]) -> Vec<Range<usize>> {
    let (mut places, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        assert_eq!(bytes[at], 0x0a, "a packet stands at {at}");
        let (len, n) = varint(&bytes[at + 1..]);
        places.push(at..at + 1 + n + len as usize);
        at = places.last().unwrap().end;
    }
    places
}

fn content(packet: &[u8]) -> TracePacket {
    let (_, n) = varint(&packet[1..]);
    TracePacket::decode(&packet[1 + n..]).unwrap()
}

/// What the packets of a sequence share.
#[derive(Default)]
struct Shared {
    /// The packet that tells the state, where events say that they need it.
    state: Option<usize>,
    /// Names by number, each with the packet that tells it.
    names: BTreeMap<u64, (String, usize)>,
    track: u64,
    /// Times that count on: the time that was reached, and the packets that it takes.
    counted: Option<(i64, Vec<usize>)>,
}

/// Goes through packets that stand in order.
#[derive(Default)]
struct Reading {
    sequences: BTreeMap<u32, Shared>,
    /// Open slices by track: name, start, packets.
    open: BTreeMap<u64, Vec<(Identity, Vec<usize>)>>,
    slices: Vec<(Identity, Vec<usize>)>,
}

impl Reading {
    fn packet(&mut self, number: usize, packet: &TracePacket) {
        let shared = self.sequences.entry(packet.trusted_packet_sequence_id()).or_default();
        if packet.sequence_flags() & 1 != 0 {
            *shared = Shared { state: Some(number), ..Shared::default() };
        }
        if let Some(defaults) = &packet.trace_packet_defaults {
            let event = defaults.track_event_defaults.as_ref();
            shared.track = event.map_or(0, |event| event.track_uuid());
        }
        for clock in packet.clock_snapshot.iter().flat_map(|snapshot| &snapshot.clocks) {
            if clock.is_incremental() {
                shared.counted = Some((clock.timestamp() as i64, vec![number]));
            }
        }
        let names = packet.interned_data.iter().flat_map(|data| &data.event_names);
        shared.names.extend(names.map(|name| (name.iid(), (name.name().to_owned(), number))));
        let Some(event) = &packet.track_event else { return };
        let mut takes = vec![number];
        takes.extend(shared.state.filter(|_| packet.sequence_flags() & 2 != 0));
        let mut time_ns = packet.timestamp() as i64;
        if packet.timestamp_clock_id.is_none()
            && let Some((reached_ns, before)) = &mut shared.counted
        {
            *reached_ns += time_ns;
            time_ns = *reached_ns;
            before.push(number);
            takes.clone_from(before);
        }
        let track = event.track_uuid.unwrap_or(shared.track);
        let open = self.open.entry(track).or_default();
        match event.r#type() {
            1 => {
                let interned = event.name_iid.and_then(|iid| shared.names.get(&iid));
                takes.extend(interned.map(|(_, packet)| *packet));
                let name =
                    interned.map_or_else(|| event.name().to_owned(), |(name, _)| name.clone());
                open.push(((time_ns, name), takes));
            }
            2 => {
                let (identity, mut all) = open.pop().unwrap();
                all.extend(takes);
                all.sort_unstable();
                all.dedup();
                self.slices.push((identity, all));
            }
            _ => {}
        }
    }
}

/// Writers of Perfetto traces other than this program.
const OTHER_WRITERS: usize = 2;

/// Slices after which a sequence of Perfetto's library tells its state again.
const STATE_EVERY: u64 = 60;

const NAMES: [&str; 4] =
    ["aten::mul", "a name\nof two lines", "b", "void at::f<8, std::array<char*, 3ul> >(int)"];

/// A made-up trace of some hundred slices: names with the events, times of one clock, and no state, as simple writers do; or as
/// Perfetto's own library, names told once and numbered, a sequence for each thread, its state told again and again.
pub(crate) fn made_up(random: &mut Random) -> Packets {
    let (writer, n) = (random.below(OTHER_WRITERS), 1 + random.below(300));
    let mut bytes = Vec::new();
    for thread in 0..3 {
        let thread = ThreadDescriptor { pid: Some(7), tid: Some(thread), ..Default::default() };
        let track = thread.tid() as u64 + 1;
        let descriptor =
            TrackDescriptor { uuid: Some(track), thread: Some(thread), ..Default::default() };
        put(
            &TracePacket { track_descriptor: Some(descriptor), ..packet_of(writer, track) },
            &mut bytes,
        );
    }
    for i in 0..n as u64 {
        let (track, time_ns) = (i % 3 + 1, 1000 * i);
        if writer == 1 && i % STATE_EVERY < 3 {
            put(&state(track), &mut bytes);
        }
        let mut begin = event(writer, track, time_ns, 1);
        let inner = begin.track_event.as_mut().unwrap();
        match writer {
            0 => inner.name = Some(NAMES[i as usize % 4].to_owned()),
            _ => inner.name_iid = Some(i % 4 + 1),
        }
        put(&begin, &mut bytes);
        put(&event(writer, track, time_ns + 900, 2), &mut bytes);
    }
    Packets::new(["simple", "like Perfetto"][writer].to_owned(), bytes)
}

/// The names of a sequence.
fn state(track: u64) -> TracePacket {
    let name = |(i, name): (usize, &&str)| EventName {
        iid: Some(i as u64 + 1),
        name: Some((*name).to_owned()),
    };
    let event_names = NAMES.iter().enumerate().map(name).collect();
    let interned = InternedData { event_names, ..Default::default() };
    TracePacket { interned_data: Some(interned), sequence_flags: Some(1), ..packet_of(1, track) }
}

fn packet_of(writer: usize, track: u64) -> TracePacket {
    let id = sequence_of(writer, track);
    TracePacket { trusted_packet_sequence_id: Some(id), ..Default::default() }
}

fn sequence_of(writer: usize, track: u64) -> u32 {
    if writer == 0 { 1 } else { track as u32 }
}

fn event(writer: usize, track: u64, time_ns: u64, kind: i32) -> TracePacket {
    let event = TrackEvent { r#type: Some(kind), track_uuid: Some(track), ..Default::default() };
    TracePacket {
        timestamp: Some(time_ns),
        sequence_flags: (writer == 1).then_some(2),
        track_event: Some(event),
        ..packet_of(writer, track)
    }
}

fn put(packet: &TracePacket, bytes: &mut Vec<u8>) {
    bytes.push(0x0a);
    packet.encode_length_delimited(bytes).unwrap();
}

/// A trace as this program writes it as Perfetto, its times as they stand: without what they count from.
pub(crate) fn written(name: &str, json: &[u8], folder: &Path) -> Packets {
    let (from, to) = (folder.join("in.json"), folder.join("out.pftrace"));
    let text = String::from_utf8_lossy(json).replace("\"baseTimeNanoseconds\"", "\"other\"");
    std::fs::write(&from, text).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_omni-trace"))
        .args(["slim", "-q", "--keep-waits", "-o"])
        .args([&to, &from])
        .stdout(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    Packets::new(name.to_owned(), std::fs::read(&to).unwrap())
}
