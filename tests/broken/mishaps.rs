//! Further kinds of damage: what writers, editors, transports and disks do to files, and what would be done on purpose.

use std::io::{Read as _, Write as _};
use std::ops::Range;

use crate::common::Random;
use crate::damage::{Damaged, Kind, at_byte, inserted, joined, range, replaced};

/// Kinds by name.
pub(crate) const MISHAPS: &[(&str, Kind)] = &[
    ("lines of two writers", two_writers),
    ("a member cut before another", cut_member),
    ("bit of a compressed stream", packed_bit),
    ("bytes between members", between_members),
    ("text behind a member", |text, _, random| {
        let middle = random.below(text.len());
        let damaged = [&gz(&text[..middle])[..], &text[middle..]].concat();
        (damaged, vec![0..middle, middle..text.len()])
    }),
    ("a member behind a document", |text, _, _| {
        // What is compressed is no event for who reads text: that it stands there is said.
        ([text, &gz(text)].concat(), vec![0..text.len()])
    }),
    ("a piece in UTF-16", |text, _, random| {
        stretch(text, random, |piece| piece.iter().flat_map(|&b| [b, 0]).collect())
    }),
    ("a byte lost of UTF-16", lost_of_utf_16),
    ("marks of byte order", |text, _, random| {
        let mark = [&b"\xef\xbb\xbf"[..], b"\xff\xfe", b"\xfe\xff", b"\0\0\xfe\xff"];
        let at = [0, random.below(text.len())][random.below(2)];
        inserted(text, at, mark[random.below(4)])
    }),
    ("pages of zeros", |text, _, random| paged(text, random, Page::Zero)),
    ("page over another", |text, _, random| paged(text, random, Page::Copied)),
    ("pages exchanged", pages_exchanged),
    ("quotes turned", |text, _, random| {
        let with = [&b"'"[..], b"\\\"", b"\xe2\x80\x9c", b"`", b"\"\""][random.below(5)];
        stretch(text, random, |piece| changed(piece, b'"', with))
    }),
    ("brackets turned", |text, _, random| {
        let (from, to) = [(b'}', b"]"), (b']', b"}"), (b'{', b"["), (b'[', b"{")][random.below(4)];
        at_byte(text, random, from, to)
    }),
    ("a colon lost", |text, _, random| at_byte(text, random, b':', b"")),
    ("commas for colons", |text, _, random| at_byte(text, random, b':', b",")),
    ("numbers cut", |text, places, random| {
        in_event(text, places, random, |event, r| after_digit(event, r, b"\n"))
    }),
    ("numbers of any form", |text, places, random| {
        let number = [
            &b"1e400"[..],
            b"-1E+99",
            b"0x1F",
            b"1_000",
            b"+5",
            b".5",
            b"1e",
            b"--1",
            b"NaN",
            b"1,5",
        ];
        let number = number[random.below(10)];
        in_event(text, places, random, |event, r| after_colon(event, r, number))
    }),
    ("members twice", |text, places, random| {
        let member = [
            &b"\"ph\":\"X\","[..],
            b"\"ts\":5,",
            b"\"name\":\"b\",",
            b"\"args\":{},",
            b"\"ph\":\"E\",\"ts\":9,",
        ];
        let member = member[random.below(5)];
        in_event(text, places, random, |event, _| [&b"{"[..], member, &event[1..]].concat())
    }),
    ("deep nesting", |text, places, random| {
        let deep =
            [&b"["[..], b"{\"a\":", b"[{\"b\":["][random.below(3)].repeat(200 + random.below(3000));
        in_event(text, places, random, |event, r| after_colon(event, r, &deep))
    }),
    ("surrogates and cut escapes", |text, places, random| {
        let escape =
            [&b"\\ud800"[..], b"\\udc00\\ud800", b"\\u12", b"\\u", b"\\", b"\\x41", b"\\\\\\"];
        let escape = escape[random.below(7)];
        in_event(text, places, random, |event, r| at_byte(event, r, b'a', escape).0)
    }),
    ("an event wrapped", |text, places, random| {
        let (open, close) =
            [("[", "]"), ("{\"e\":", "}"), ("\"", "\""), ("(", ")"), ("{", "}"), ("[[", "]")]
                [random.below(6)];
        in_event(text, places, random, |event, _| {
            [open.as_bytes(), event, close.as_bytes()].concat()
        })
    }),
    ("a log line between", |text, _, random| {
        let line = [
            "\nWARNING 06-01 10:00:00 [x.py:3] \"odd\" {'a': [1, 2}\n",
            "(EngineCore pid=7) INFO done, {\"ph\": \"X\"\n",
            "Traceback (most recent call last):\n  File \"x.py\", line 3, in <module>\nKeyError: 'ts'\n",
            "\x1b[1;31merror\x1b[0m",
        ];
        inserted(text, random.below(text.len()), line[random.below(4)].as_bytes())
    }),
    ("a page of a proxy between", |text, _, random| {
        let page = b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body style=\"x: {y}\"></body></html>\r\n";
        inserted(text, random.below(text.len()), page)
    }),
    ("comments", |text, places, random| {
        let comment =
            [&b"// note, \"x\": {\n"[..], b"/* \"ph\":\"X\" } */", b"# {[\n", b"<!-- -->"];
        inserted(text, places[random.below(places.len())].start, comment[random.below(4)])
    }),
    ("carriage returns", |text, _, random| {
        stretch(text, random, |piece| changed(piece, b'\n', b"\r\r\n"))
    }),
    ("raw tabs", |text, _, random| at_byte(text, random, b'e', b"\t")),
    ("a document in a document", |text, _, _| {
        ([&b"{\"result\": "[..], text, b", \"status\": 0}"].concat(), vec![0..text.len()])
    }),
    ("an event a line", |text, places, random| {
        let between = [&b"\n"[..], b"\x1e", b"\0", b"\r\n", b"]\n["][random.below(5)];
        joined(text, places, between)
    }),
    ("case changed", |text, _, random| stretch(text, random, <[u8]>::to_ascii_uppercase)),
    ("high bits set", |text, _, random| {
        stretch(text, random, |piece| piece.iter().map(|b| b | 0x80).collect())
    }),
    ("the events' key damaged", |text, _, random| {
        let key = text.windows(11).position(|word| word == b"traceEvents").unwrap_or(0);
        let end = text.len().min(key + 1 + random.below(20));
        joined(
            text,
            &[0..key, end..text.len()],
            [&b""[..], b"TraceEvents", b"\0\0"][random.below(3)],
        )
    }),
    ("the head again", |text, places, random| {
        let at = places[random.below(places.len())].start;
        joined(text, &[0..at, 0..places[0].start, at..text.len()], b"")
    }),
    ("runs of backslashes", |text, _, random| replaced(text, random, 60, |_| b'\\')),
    ("runs of brackets", |text, _, random| replaced(text, random, 400, |r| b"{}[]"[r.below(4)])),
    ("runs of starts", |text, _, random| {
        let start = [
            &b"{\"ph\":\"X\","[..],
            b"},{\"ph\":",
            b"{\"traceEvents\":[",
            b"\"ph\":\"X\",\"ts\":1",
        ][random.below(4)];
        inserted(text, random.below(text.len()), &start.repeat(1 + random.below(30)))
    }),
    ("many bytes all over", |text, _, random| {
        let (mut damaged, mut places) = (text.to_vec(), Vec::new());
        for _ in 0..30 {
            places.push(random.below(text.len()));
        }
        places.sort_unstable();
        places.iter().for_each(|&at| damaged[at] = b"\"\\{}[],:"[random.below(8)]);
        (damaged, between(text, &places))
    }),
    ("torn in three", |text, _, random| {
        let (mut a, mut b) = (random.below(text.len()), random.below(text.len()));
        (a, b) = (a.min(b), a.max(b));
        joined(text, &[b..text.len(), 0..a, a..b], b"")
    }),
];

/// The pieces between damaged bytes.
fn between(text: &[u8], places: &[usize]) -> Vec<Range<usize>> {
    let mut start = 0;
    let mut pieces = Vec::new();
    for &at in places {
        if start < at {
            pieces.push(start..at);
        }
        start = at + 1;
    }
    pieces.push(start.min(text.len())..text.len());
    pieces
}

/// One stretch of the text made into something else.
fn stretch(text: &[u8], random: &mut Random, with: impl Fn(&[u8]) -> Vec<u8>) -> Damaged {
    let hole = range(text, random, 900);
    let made = with(&text[hole.clone()]);
    joined(text, &[0..hole.start, hole.end..text.len()], &made)
}

fn changed(piece: &[u8], byte: u8, with: &[u8]) -> Vec<u8> {
    piece.iter().flat_map(|&b| if b == byte { with.to_vec() } else { vec![b] }).collect()
}

/// One event made into something else.
fn in_event(
    text: &[u8],
    places: &[Range<usize>],
    random: &mut Random,
    with: impl Fn(&[u8], &mut Random) -> Vec<u8>,
) -> Damaged {
    let place = places[random.below(places.len())].clone();
    let made = with(&text[place.clone()], random);
    joined(text, &[0..place.start, place.end..text.len()], &made)
}

/// Something put behind one of the digits.
fn after_digit(event: &[u8], random: &mut Random, what: &[u8]) -> Vec<u8> {
    let digits: Vec<usize> = (0..event.len()).filter(|&i| event[i].is_ascii_digit()).collect();
    let at = digits.get(random.below(digits.len())).map_or(0, |at| at + 1);
    [&event[..at], what, &event[at..]].concat()
}

/// Something put behind one of the colons, before its value.
fn after_colon(event: &[u8], random: &mut Random, what: &[u8]) -> Vec<u8> {
    let colons: Vec<usize> = (0..event.len()).filter(|&i| event[i] == b':').collect();
    let at = colons.get(random.below(colons.len())).map_or(0, |at| at + 1);
    [&event[..at], what, &event[at..]].concat()
}

/// Two that write the same lines into one file, some lines each in turn.
fn two_writers(text: &[u8], _: &[Range<usize>], random: &mut Random) -> Damaged {
    let mut ends: Vec<usize> =
        (0..text.len()).filter(|&i| text[i] == b'\n').map(|i| i + 1).collect();
    ends.push(text.len());
    let (mut at, mut pieces) = ([0, 0], Vec::new());
    while at.iter().any(|&at| at < text.len()) {
        let writer = random.below(2);
        let from = at[writer];
        let next = ends.partition_point(|&end| end <= from) + random.below(40);
        let to = *ends.get(next).unwrap_or(&text.len());
        pieces.push(from..to);
        at[writer] = to;
    }
    joined(text, &pieces, b"")
}

/// A file of one member.
pub(crate) fn gz(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

/// Bytes of text that the start of a member inflates to.
fn inflated(packed: &[u8]) -> usize {
    let mut text = Vec::new();
    let _ = flate2::read::DeflateDecoder::new(packed.get(10..).unwrap_or_default())
        .read_to_end(&mut text);
    text.len()
}

/// A file in two members, of which the first is cut; or the whole file behind its own cut start.
fn cut_member(text: &[u8], _: &[Range<usize>], random: &mut Random) -> Damaged {
    let middle = [text.len(), random.below(text.len())][random.below(2)];
    let first = gz(&text[..middle]);
    let cut = random.below(first.len());
    let rest = if middle == text.len() { 0..text.len() } else { middle..text.len() };
    let damaged = [&first[..cut], &gz(&text[rest.clone()])].concat();
    (damaged, vec![0..inflated(&first[..cut]), rest])
}

/// What stands before a flipped bit is whole; what stands behind it in the same member can be anything.
fn packed_bit(text: &[u8], _: &[Range<usize>], random: &mut Random) -> Damaged {
    let middle = random.below(text.len());
    let (first, second) = (gz(&text[..middle]), gz(&text[middle..]));
    let at = 10 + random.below(first.len() - 10);
    let mut damaged = [&first[..], &second].concat();
    damaged[at] ^= 1 << random.below(8);
    (damaged, vec![0..inflated(&first[..at]), middle..text.len()])
}

fn between_members(text: &[u8], _: &[Range<usize>], random: &mut Random) -> Damaged {
    let middle = random.below(text.len());
    let between =
        [&b"\0\0\0\0\0\0"[..], b"\x1f\x8b", b"garbage\n", b"\x1f\x8b\x08\0\0\0\0\0\0\x03", b"{}"];
    let damaged =
        [&gz(&text[..middle])[..], between[random.below(5)], &gz(&text[middle..])].concat();
    (damaged, vec![0..middle, middle..text.len()])
}

/// Where a byte is lost, the halves of all characters behind it are exchanged.
fn lost_of_utf_16(text: &[u8], _: &[Range<usize>], random: &mut Random) -> Damaged {
    let Ok(text) = std::str::from_utf8(text).map(str::to_owned) else {
        return (text.to_vec(), vec![0..text.len()]);
    };
    let mut bytes: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let at = random.below(bytes.len());
    bytes.remove(at);
    // Where every character is one byte.
    let is_plain = text.is_ascii();
    (bytes, if is_plain { vec![0..at / 2, at / 2 + 1..text.len()] } else { Vec::new() })
}

const PAGE: usize = 4096;

enum Page {
    Zero,
    Copied,
}

/// The n-th page of the text.
fn page(text: &[u8], n: usize) -> Range<usize> {
    n * PAGE..text.len().min((n + 1) * PAGE)
}

/// A page of the file that was not written, or written with another's content.
fn paged(text: &[u8], random: &mut Random, with: Page) -> Damaged {
    let n_pages = text.len().div_ceil(PAGE);
    let at = page(text, random.below(n_pages));
    let other = page(text, random.below(n_pages));
    let mut pieces = vec![0..at.start];
    let mut damaged = text[..at.start].to_vec();
    match with {
        Page::Zero => damaged.resize(at.end, 0),
        Page::Copied => {
            damaged.extend_from_slice(&text[other.clone()]);
            pieces.push(other);
        }
    }
    damaged.extend_from_slice(&text[at.end..]);
    pieces.push(at.end..text.len());
    (damaged, pieces)
}

fn pages_exchanged(text: &[u8], _: &[Range<usize>], random: &mut Random) -> Damaged {
    let n_pages = text.len().div_ceil(PAGE);
    let mut pages: Vec<Range<usize>> = (0..n_pages).map(|n| page(text, n)).collect();
    let (a, b) = (random.below(n_pages), random.below(n_pages));
    pages.swap(a, b);
    let mut whole: Vec<Range<usize>> = Vec::new();
    for one in pages {
        match whole.last_mut() {
            Some(last) if last.end == one.start => last.end = one.end,
            _ => whole.push(one),
        }
    }
    joined(text, &whole, b"")
}
