//! Kinds of damage. Each gives the damaged bytes and which pieces of the sound text are whole in them.

use std::ops::Range;

use crate::common::Random;

/// The damaged bytes, and the pieces of the sound text that they hold.
pub(crate) type Damaged = (Vec<u8>, Vec<Range<usize>>);

pub(crate) type Kind = fn(&[u8], &[Range<usize>], &mut Random) -> Damaged;

/// Kinds by name: single bytes and stretches of them.
pub(crate) const PLAIN: &[(&str, Kind)] = &[
    ("flipped bits", |text, _, random| {
        let n = 1 + 7 * random.below(2);
        overwrite(text, random, n, |b, r| b ^ (1 << r.below(8)))
    }),
    ("structural bytes", |text, _, random| {
        overwrite(text, random, 3, |_, r| b"\"\\{}[],: \n"[r.below(10)])
    }),
    ("truncated", |text, _, random| {
        let end = random.below(text.len());
        (text[..end].to_vec(), vec![0..end])
    }),
    ("start lost", |text, _, random| {
        let start = random.below(text.len());
        (text[start..].to_vec(), vec![start..text.len()])
    }),
    ("zeros", |text, _, random| replaced(text, random, 900, |_| 0)),
    ("garbage", |text, _, random| replaced(text, random, 900, |r| r.below(256) as u8)),
    ("spaces", |text, _, random| replaced(text, random, 900, |_| b' ')),
    ("bytes lost", |text, _, random| {
        let hole = range(text, random, 900);
        joined(text, &[0..hole.start, hole.end..text.len()], b"")
    }),
    ("blocks swapped", |text, _, random| {
        let (a, b) = (range(text, random, 5000), range(text, random, 5000));
        let (a, b) = if a.start < b.start { (a, b) } else { (b, a) };
        let a = a.start..a.end.min(b.start);
        joined(text, &[0..a.start, b.clone(), a.end..b.start, a, b.end..text.len()], b"")
    }),
    ("block repeated", |text, _, random| {
        let block = range(text, random, 5000);
        joined(text, &[0..block.end, block.clone(), block.end..text.len()], b"")
    }),
    ("appended", |text, _, random| {
        let end = random.below(text.len());
        joined(text, &[0..end, 0..text.len()], b"")
    }),
    ("written over", |text, _, random| {
        let end = random.below(text.len());
        let start = random.below(text.len());
        joined(text, &[0..text.len(), start..text.len().max(end)], b"")
    }),
    ("garbage between documents", |text, _, random| {
        let between = [&b"\0\0\0\0"[..], b"done\n", b"}]", b",", b"\xff\xfe\""][random.below(5)];
        joined(text, &[0..text.len(), 0..text.len()], between)
    }),
    ("garbage before", |text, _, random| {
        let before =
            [&b"\0\0\0"[..], b"Processing...\n", b"\xfe\xff", b"]}", b"\"", b"{"][random.below(6)];
        ([before, text].concat(), vec![0..text.len()])
    }),
    ("stray closes", |text, places, random| {
        let close = [&b"]}"[..], b"]", b"}", b"]},", b"}}", b"],"][random.below(6)];
        inserted(text, places[random.below(places.len())].end, close)
    }),
    ("stray opens", |text, places, random| {
        let open =
            [&b"["[..], b"{", b"\"", b"{\"x\":", b"[{", b"{\"traceEvents\":["][random.below(6)];
        inserted(text, places[random.below(places.len())].start, open)
    }),
    ("interleaved", |text, _, random| {
        let size = 512 + random.below(2000);
        let (mut pieces, mut at) = (Vec::new(), 0);
        while at < text.len() {
            let end = text.len().min(at + size);
            pieces.extend([at..end, at..end]);
            at = end;
        }
        joined(text, &pieces, b"")
    }),
    ("quote lost", |text, _, random| at_byte(text, random, b'"', b"")),
    ("quote doubled", |text, _, random| at_byte(text, random, b'"', b"\"\"")),
    ("brace lost", |text, _, random| at_byte(text, random, b'}', b"")),
    ("bracket lost", |text, _, random| at_byte(text, random, b']', b"")),
    ("comma lost", |text, _, random| at_byte(text, random, b',', b"")),
    ("backslash before a quote", |text, _, random| at_byte(text, random, b'"', b"\\\"")),
    ("line break in a string", |text, _, random| at_byte(text, random, b'a', b"\n")),
];

/// The pieces one after the other, with bytes between them.
pub(crate) fn joined(text: &[u8], pieces: &[Range<usize>], between: &[u8]) -> Damaged {
    let parts: Vec<&[u8]> = pieces.iter().map(|piece| &text[piece.clone()]).collect();
    (parts.join(between), pieces.to_vec())
}

/// A part of at most `longest` bytes.
pub(crate) fn range(text: &[u8], random: &mut Random, longest: usize) -> Range<usize> {
    let start = random.below(text.len());
    start..text.len().min(start + 1 + random.below(longest))
}

pub(crate) fn replaced(
    text: &[u8],
    random: &mut Random,
    longest: usize,
    byte: fn(&mut Random) -> u8,
) -> Damaged {
    let hole = range(text, random, longest);
    let mut damaged = text.to_vec();
    for i in hole.clone() {
        damaged[i] = byte(random);
    }
    (damaged, vec![0..hole.start, hole.end..text.len()])
}

fn overwrite(
    text: &[u8],
    random: &mut Random,
    n: usize,
    byte: fn(u8, &mut Random) -> u8,
) -> Damaged {
    let mut damaged = text.to_vec();
    let mut places: Vec<usize> = (0..n).map(|_| random.below(text.len())).collect();
    places.sort_unstable();
    let (mut pieces, mut start) = (Vec::new(), 0);
    for at in places {
        damaged[at] = byte(damaged[at], random);
        if start < at {
            pieces.push(start..at);
        }
        start = at + 1;
    }
    pieces.push(start..text.len().max(start));
    (damaged, pieces)
}

pub(crate) fn inserted(text: &[u8], at: usize, what: &[u8]) -> Damaged {
    ([&text[..at], what, &text[at..]].concat(), vec![0..at, at..text.len()])
}

/// One of the bytes of a kind, replaced.
pub(crate) fn at_byte(text: &[u8], random: &mut Random, byte: u8, with: &[u8]) -> Damaged {
    let all: Vec<usize> = (0..text.len()).filter(|&i| text[i] == byte).collect();
    let Some(&at) = all.get(random.below(all.len())) else {
        return (text.to_vec(), vec![0..text.len()]);
    };
    ([&text[..at], with, &text[at + 1..]].concat(), vec![0..at, at + 1..text.len()])
}
