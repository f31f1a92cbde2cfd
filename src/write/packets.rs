//! Packets of a Perfetto trace as bytes, each as a field of the file's message.

use omni_trace_proto::perfetto::{TracePacket, TrackEvent};
use omni_trace_proto::prost::Message;
pub(super) use omni_trace_proto::prost::encoding::encoded_len_varint as varint_len;
use omni_trace_proto::prost::encoding::message;

/// `packet` of the file's message, and `track_event` of a packet.
const PACKET_FIELD: u32 = 1;
const EVENT_FIELD: u32 = 11;

/// Fields of packets and events that slices have, with the kind of their values: `timestamp`, `trusted_packet_sequence_id`,
/// `sequence_flags`, and of an event `category_iids`, `type`, `name_iid`.
const TIMESTAMP: u8 = 8 << 3;
const SEQUENCE: u8 = 10 << 3;
const FLAGS: u8 = 13 << 3;
const CATEGORY: u8 = 3 << 3;
const TYPE: u8 = 9 << 3;
const NAME: u8 = 10 << 3;

/// The key of a field that has bytes.
const fn bytes_key(field: u32) -> u8 {
    (field << 3 | 2) as u8
}

const SLICE_BEGIN: u8 = 1;
const SLICE_END: u8 = 2;
pub(super) const NEEDS_STATE: u32 = 2;

/// Appends a number as a varint.
#[inline]
pub(super) fn put_varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Appends a packet.
pub(super) fn put_packet(packet: &TracePacket, out: &mut Vec<u8>) {
    message::encode(PACKET_FIELD, packet, out);
}

/// Appends a packet of an event, of which some fields are encoded already; `before` and `after` are what stands around the event.
pub(super) fn put_event(
    before: &TracePacket,
    (encoded, event): (&[u8], &TrackEvent),
    after: &TracePacket,
    out: &mut Vec<u8>,
) {
    let event_len = encoded.len() + event.encoded_len();
    let field_len = 1 + varint_len(event_len as u64) + event_len;
    out.push(bytes_key(PACKET_FIELD));
    put_varint((before.encoded_len() + field_len + after.encoded_len()) as u64, out);
    append(before, out);
    out.push(bytes_key(EVENT_FIELD));
    put_varint(event_len as u64, out);
    out.extend_from_slice(encoded);
    append(event, out);
    append(after, out);
}

/// Appends the fields of a message.
pub(super) fn append(message: &impl Message, out: &mut Vec<u8>) {
    message.encode(out).expect("a vector takes any number of bytes");
}

/// Begins and ends of slices on one sequence.
pub(super) struct SliceBytes {
    /// The field of the sequence.
    sequence: Vec<u8>,
    /// What stands behind the time of an end.
    behind_end: Vec<u8>,
}

/// A slice that begins.
pub(super) struct Begin<'a> {
    /// Nanoseconds since the packet before.
    pub(super) delta: u64,
    pub(super) category: u64,
    pub(super) name: u64,
    /// Its arguments as fields of its event.
    pub(super) arguments: &'a [u8],
    /// Names that are new, as a field of the packet.
    pub(super) interned: &'a [u8],
}

impl SliceBytes {
    pub(super) fn new(sequence: u32) -> Self {
        let mut field = vec![SEQUENCE];
        put_varint(u64::from(sequence), &mut field);
        let end = [bytes_key(EVENT_FIELD), 2, TYPE, SLICE_END, FLAGS, NEEDS_STATE as u8];
        let behind_end = [field.as_slice(), &end].concat();
        Self { sequence: field, behind_end }
    }

    pub(super) fn begin(&self, begin: &Begin<'_>, out: &mut Vec<u8>) {
        let Begin { delta, category, name, arguments, interned } = *begin;
        let event_len = 4 + varint_len(category) + varint_len(name) + arguments.len();
        let len = 4
            + varint_len(delta)
            + self.sequence.len()
            + interned.len()
            + varint_len(event_len as u64)
            + event_len;
        out.push(bytes_key(PACKET_FIELD));
        put_varint(len as u64, out);
        out.push(TIMESTAMP);
        put_varint(delta, out);
        out.extend_from_slice(&self.sequence);
        out.extend_from_slice(interned);
        out.extend_from_slice(&[FLAGS, NEEDS_STATE as u8, bytes_key(EVENT_FIELD)]);
        put_varint(event_len as u64, out);
        out.push(CATEGORY);
        put_varint(category, out);
        out.extend_from_slice(&[TYPE, SLICE_BEGIN, NAME]);
        put_varint(name, out);
        out.extend_from_slice(arguments);
    }

    /// Appends the end of the innermost slice, so many nanoseconds after the packet before.
    pub(super) fn end(&self, delta: u64, out: &mut Vec<u8>) {
        out.push(bytes_key(PACKET_FIELD));
        put_varint((1 + varint_len(delta) + self.behind_end.len()) as u64, out);
        out.push(TIMESTAMP);
        put_varint(delta, out);
        out.extend_from_slice(&self.behind_end);
    }
}

#[cfg(test)]
mod tests {
    use omni_trace_proto::perfetto::{EventName, InternedData, TracePacket, TrackEvent};
    use omni_trace_proto::prost::Message;

    use super::{Begin, NEEDS_STATE, SliceBytes, append, put_packet, put_varint, varint_len};

    const NUMBERS: [u64; 8] = [0, 1, 127, 128, 16_383, 16_384, 1 << 62, u64::MAX];

    fn packet(delta: u64, sequence: u32, event: TrackEvent) -> TracePacket {
        TracePacket {
            timestamp: Some(delta),
            trusted_packet_sequence_id: Some(sequence),
            sequence_flags: Some(NEEDS_STATE),
            track_event: Some(event),
            ..TracePacket::default()
        }
    }

    #[test]
    fn numbers_are_as_long_as_said() {
        for number in NUMBERS {
            let mut bytes = Vec::new();
            put_varint(number, &mut bytes);
            assert_eq!(bytes.len(), varint_len(number));
        }
    }

    #[test]
    fn ends_are_what_the_schema_gives() {
        for delta in NUMBERS {
            let (mut bytes, mut expected) = (Vec::new(), Vec::new());
            SliceBytes::new(300).end(delta, &mut bytes);
            let event = TrackEvent { r#type: Some(2), ..TrackEvent::default() };
            put_packet(&packet(delta, 300, event), &mut expected);
            assert_eq!(bytes, expected);
        }
    }

    #[test]
    fn begins_read_back_as_what_they_say() {
        let name = EventName { iid: Some(9), name: Some("a name".to_owned()) };
        let data = InternedData { event_names: vec![name], ..InternedData::default() };
        let new = TracePacket { interned_data: Some(data.clone()), ..TracePacket::default() };
        let known = TracePacket::default();
        let arguments = TrackEvent { track_uuid: Some(77), ..TrackEvent::default() };
        let encoded = arguments.encode_to_vec();
        for (number, around) in NUMBERS.into_iter().flat_map(|n| [(n, &new), (n, &known)]) {
            let mut interned = Vec::new();
            append(around, &mut interned);
            let begin = Begin {
                delta: number,
                category: number,
                name: number,
                arguments: &encoded,
                interned: &interned,
            };
            let mut bytes = Vec::new();
            SliceBytes::new(7).begin(&begin, &mut bytes);
            let event = TrackEvent {
                r#type: Some(1),
                name_iid: Some(number),
                category_iids: vec![number],
                track_uuid: Some(77),
                ..TrackEvent::default()
            };
            let interned_data = around.interned_data.clone();
            let expected = TracePacket { interned_data, ..packet(number, 7, event) };
            let mut rest = bytes.as_slice();
            assert_eq!(rest.split_off_first(), Some(&10));
            let read = TracePacket::decode_length_delimited(&mut rest);
            assert_eq!((read, rest), (Ok(expected), &[][..]));
        }
    }
}
