//! Where packets begin again behind damage.
//!
//! A file has no marks between packets: a place counts as a start where so many packets follow each other from there on, each
//! with the fields of one, or where they reach the end of the file. Builds no packet.

use super::packets::{Piece, field, next_piece};

/// Packets that have to follow each other.
const CHAIN: usize = 3;

/// Fields of a packet that are looked at. Real ones have a handful: what repeats stands inside of them.
const MOST_FIELDS: usize = 64;

const TIMESTAMP: u64 = 8;
const SEQUENCE_ID: u64 = 10;
const TRACK_DESCRIPTOR: u64 = 60;
const NUMBER: u64 = 0;
const BYTES: u64 = 2;

/// What a search found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// Packets stand from here on.
    At(usize),
    /// Before this there is no start; here more bytes have to tell.
    More(usize),
    /// There is none.
    Nowhere,
}

/// The first place from `at` on where packets stand; `is_end` says that no bytes follow these.
pub(super) fn next_start(bytes: &[u8], at: usize, is_end: bool) -> Start {
    let mut from = at;
    while let Some(found) = bytes.get(from..).and_then(|rest| memchr::memchr(0x0a, rest)) {
        let start = from + found;
        match chain(bytes, start) {
            Chain::Sound => return Start::At(start),
            Chain::Ends { n_packets } if is_end && n_packets > 0 => return Start::At(start),
            Chain::Ends { .. } if !is_end => return Start::More(start),
            _ => from = start + 1,
        }
    }
    if is_end { Start::Nowhere } else { Start::More(bytes.len()) }
}

/// What follows a place.
enum Chain {
    /// So many packets that it is a start.
    Sound,
    /// Packets, and then the bytes end.
    Ends { n_packets: usize },
    /// Something else.
    Broken,
}

fn chain(bytes: &[u8], start: usize) -> Chain {
    let mut at = start;
    for n_packets in 0..CHAIN {
        match next_piece(bytes, at) {
            Piece::Packet { start, end } if is_packet(&bytes[start..end]) => at = end,
            Piece::Incomplete => return Chain::Ends { n_packets },
            _ => return Chain::Broken,
        }
    }
    Chain::Sound
}

/// Fields of a message as (number, kind, content of what has a length); `None` in the place of what is no field.
fn fields(bytes: &[u8]) -> impl Iterator<Item = Option<(u64, u64, &[u8])>> {
    let mut at = Some(0);
    std::iter::from_fn(move || {
        let from = at.filter(|&from| from < bytes.len())?;
        let found = field(bytes, from);
        at = found.map(|(_, end, _)| end);
        Some(found.map(|(tag, end, start)| (tag >> 3, tag & 7, &bytes[start..end])))
    })
}

/// Whether bytes are the fields of a packet.
fn is_packet(bytes: &[u8]) -> bool {
    let mut has_mark = false;
    for (n, field) in fields(bytes).enumerate() {
        let Some((number, kind, _)) = field else { return false };
        if n == MOST_FIELDS {
            return false;
        }
        has_mark |=
            matches!((number, kind), (TIMESTAMP | SEQUENCE_ID, NUMBER) | (TRACK_DESCRIPTOR, BYTES));
    }
    has_mark
}

/// Whether a packet holds another one: its length was damaged. Field 1 of a packet is a bundle of the kernel's events, which has
/// no descriptor of a track and begins with the number of its processor.
pub(super) fn holds_a_packet(bytes: &[u8]) -> bool {
    let bundle = |field: Option<(u64, u64, _)>| field.is_some_and(|f| f.0 == 1 && f.1 == NUMBER);
    fields(bytes).map_while(|field| field).any(|(number, kind, content)| {
        (number, kind) == (1, BYTES) && is_packet(content) && !fields(content).any(bundle)
    })
}

#[cfg(test)]
mod tests {
    use super::{Start, holds_a_packet, next_start};

    /// A packet of sequence 1 at a time, with one more field of so many bytes.
    fn packet(time: u8, n: u8) -> Vec<u8> {
        let mut content = vec![0x40, time, 0x50, 1, 0x5a, n];
        content.extend(std::iter::repeat_n(0x0a, usize::from(n)));
        [&[0x0a, content.len() as u8][..], &content].concat()
    }

    #[test]
    fn packets_are_found_behind_anything() {
        let sound: Vec<u8> = (0..4).flat_map(|i| packet(i, 7)).collect();
        for rubble in
            [&b"\0\0\0\0"[..], b"\n\n\n", &sound[5..9], b"\n\x03abc", b"{\"name\":\"a\n\"}"]
        {
            let bytes = [rubble, &sound].concat();
            assert_eq!(next_start(&bytes, 0, true), Start::At(rubble.len()), "{rubble:?}");
            assert_eq!(next_start(&bytes, 0, false), Start::At(rubble.len()), "{rubble:?}");
        }
        assert_eq!(next_start(&sound, 1, true), Start::At(sound.len() / 4));
    }

    #[test]
    fn the_end_of_the_bytes_is_waited_for() {
        let two = [packet(1, 3), packet(2, 3)].concat();
        assert_eq!(next_start(&two, 0, true), Start::At(0));
        assert_eq!(next_start(&two, 0, false), Start::More(0));
        assert_eq!(next_start(b"abc", 0, false), Start::More(3));
        assert_eq!(next_start(b"abc", 0, true), Start::Nowhere);
        assert_eq!(next_start(&packet(1, 3)[..5], 0, true), Start::Nowhere);
    }

    #[test]
    fn a_packet_in_a_packet_is_seen() {
        let inner = packet(1, 3);
        assert!(!holds_a_packet(&inner[2..]));
        assert!(holds_a_packet(&[&inner[2..], &packet(2, 3)].concat()));
        // A bundle of the kernel's events: processor 3, and a time.
        assert!(!holds_a_packet(&[0x0a, 4, 0x08, 3, 0x50, 9, 0x50, 1]));
    }
}
