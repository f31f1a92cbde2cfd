//! Gzip: members, each a header, a deflate stream and a checksum; what is damaged is passed over.
//!
//! The library inflates; the frame around it is read here, so that what was inflated before some damage is kept, and reading
//! goes on at the next place behind it that stands on its own: another member, or a block that begins at a whole byte and
//! refers to nothing before it, as writers that compress blocks in parallel leave them.

use std::io;

use flate2::{Decompress, FlushDecompress, Status};

use super::raw::{LOOK_AHEAD, Raw};
use crate::model::limits::MAX_RUBBLE_BYTES;

/// First bytes of a member: its mark and the only method there is.
const MAGIC: &[u8] = &[0x1f, 0x8b, 8];

/// End of an empty stored block, behind which a block begins at a whole byte.
const SYNC: &[u8] = &[0, 0, 0xff, 0xff];

/// Bytes that a place must inflate to before it is believed to be one.
const TRIAL_BYTES: usize = 1 << 12;

/// Fewer bytes than a trial are enough where the stream ends.
const TRIAL_MIN_BYTES: usize = 16;

/// Bytes of the smallest member: its header, an empty block, its checksum and its length.
const MEMBER_MIN_BYTES: u64 = 20;

/// A longer header is none.
const MAX_HEADER_BYTES: usize = 1 << 16;

/// Something that was damaged, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Damage {
    /// Offset in the decompressed text.
    pub(super) text_offset: u64,
    /// What is wrong.
    pub(super) what: String,
    /// Bytes of the file that were not inflated.
    pub(super) lost_bytes: u64,
}

/// Where the deflate stream of a member begins that begins here, if nothing is odd so far.
///
/// # Errors
///
/// What the system says when the file itself cannot be read.
pub(super) fn member_stream(raw: &mut Raw) -> io::Result<Option<u64>> {
    let start = raw.offset();
    let bytes = raw.peek(MAX_HEADER_BYTES)?;
    let length = header_length(bytes).ok().flatten();
    let length = length.filter(|&length| member_in_header(bytes, length).is_none());
    Ok(length.map(|length| start + length as u64))
}

/// What a step of reading gave.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// So many bytes of text.
    Text(usize),
    /// The member ended; what follows in the file is another, or something else.
    Member,
    /// The file ends inside of a member.
    Truncated,
}

/// Where reading stands in a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Header,
    Body,
    Trailer,
}

/// A reader of members.
pub(super) struct Gzip {
    part: Part,
    inflate: Decompress,
    crc: crc32fast::Hasher,
    /// Whether all of the member was inflated, so that its checksum tells something.
    is_whole: bool,
    n_text: u64,
    /// Offset in the file of the deflate stream.
    start: u64,
    /// Whether something was passed over before the text that comes next.
    is_gap: bool,
    damages: Vec<Damage>,
}

impl Gzip {
    pub(super) fn new() -> Self {
        Self {
            part: Part::Header,
            inflate: Decompress::new(false),
            crc: crc32fast::Hasher::new(),
            is_whole: true,
            n_text: 0,
            start: 0,
            is_gap: false,
            damages: Vec::new(),
        }
    }

    /// Goes on behind a whole member that another reader read, which gave so much text.
    pub(super) fn behind(n_text: u64) -> Self {
        Self { n_text, ..Self::new() }
    }

    /// The damage that was met since the last call.
    pub(super) fn take_damages(&mut self) -> Vec<Damage> {
        std::mem::take(&mut self.damages)
    }

    /// Gives text, or how a member ended.
    ///
    /// # Errors
    ///
    /// What the system says when the file itself cannot be read.
    pub(super) fn read(&mut self, raw: &mut Raw, into: &mut [u8]) -> io::Result<Step> {
        loop {
            if self.is_gap && self.part == Part::Body && !into.is_empty() {
                // A zero stands in no text: what is before the gap and what is behind it do not look like one.
                (into[0], self.is_gap) = (0, false);
                self.n_text += 1;
                return Ok(Step::Text(1));
            }
            let step = match self.part {
                Part::Header => self.header(raw)?,
                Part::Body => self.body(raw, into)?,
                Part::Trailer => self.trailer(raw)?,
            };
            if let Some(step) = step {
                return Ok(step);
            }
        }
    }

    fn header(&mut self, raw: &mut Raw) -> io::Result<Option<Step>> {
        let bytes = raw.peek(MAX_HEADER_BYTES)?;
        let n = bytes.len();
        match header_length(bytes) {
            // What was passed over went up to the end of the file.
            _ if n == 0 => return Ok(Some(Step::Member)),
            Ok(Some(length)) => match member_in_header(bytes, length) {
                Some(at) => {
                    raw.skip(at);
                    self.note("a member is cut short", at as u64);
                }
                None => {
                    raw.skip(length);
                    self.begin(raw, true);
                }
            },
            Ok(None) if n < MAX_HEADER_BYTES => {
                raw.skip(n);
                return Ok(Some(Step::Truncated));
            }
            Ok(None) => self.pass(raw, "the gzip header does not end")?,
            Err(what) => self.pass(raw, what)?,
        }
        Ok(None)
    }

    /// Begins a deflate stream: of a whole member, or somewhere inside of one.
    fn begin(&mut self, raw: &Raw, is_whole: bool) {
        self.start = raw.offset();
        self.inflate.reset(false);
        (self.crc, self.is_whole, self.part) = (crc32fast::Hasher::new(), is_whole, Part::Body);
    }

    fn body(&mut self, raw: &mut Raw, into: &mut [u8]) -> io::Result<Option<Step>> {
        let bytes = raw.peek(1)?;
        let is_end = bytes.is_empty();
        let before = (self.inflate.total_in(), self.inflate.total_out());
        let result = self.inflate.decompress(bytes, into, FlushDecompress::None);
        let taken = (self.inflate.total_in() - before.0) as usize;
        let given = (self.inflate.total_out() - before.1) as usize;
        raw.skip(taken);
        self.crc.update(&into[..given]);
        let is_broken = match result {
            Err(_) => true,
            Ok(status) => status == Status::StreamEnd && self.is_whole && !self.is_right(raw)?,
        };
        let given = if is_broken { self.own_text(raw, before.1, given) } else { given };
        self.n_text += given as u64;
        match result {
            Err(_) => {
                // What the failing call gave is whole; what is wrong shows again with the next call, if nothing follows.
                self.part = Part::Header;
                self.pass(raw, "what was compressed cannot be decoded")?;
            }
            Ok(Status::StreamEnd) => self.part = Part::Trailer,
            Ok(_) if is_end && given == 0 => {
                if self.go_back(raw, "a member is cut short") {
                    return Ok(None);
                }
                return Ok(Some(Step::Truncated));
            }
            Ok(_) => {}
        }
        Ok((given > 0).then_some(Step::Text(given)))
    }

    fn trailer(&mut self, raw: &mut Raw) -> io::Result<Option<Step>> {
        if raw.peek(8)?.len() < 8 {
            return Ok(Some(Step::Truncated));
        }
        let is_right = self.is_right(raw)?;
        raw.skip(8);
        self.part = Part::Header;
        if self.is_whole && !is_right {
            if self.go_back(raw, "a member is cut short") {
                return Ok(None);
            }
            let next = raw.peek(MAGIC.len())?;
            if !next.is_empty() && !next.starts_with(MAGIC) {
                // Where the member ended is wrong too.
                self.pass(raw, "the checksum of a member is wrong")?;
                return Ok(None);
            }
            self.note("the checksum of a member is wrong", 0);
        }
        Ok(Some(Step::Member))
    }

    /// Whether the next bytes are the checksum and the length of what was inflated.
    fn is_right(&self, raw: &mut Raw) -> io::Result<bool> {
        let &[a, b, c, d, e, f, g, h, ..] = raw.peek(8)? else { return Ok(false) };
        let (crc, length) = (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]));
        Ok(self.crc.clone().finalize() == crc && self.inflate.total_out() as u32 == length)
    }

    /// Of the text that a call gave, as much as was compressed before another member begins that was taken for a part of
    /// this one: what comes after is made of that member's bytes. `n_before` bytes were given by earlier calls.
    fn own_text(&self, raw: &Raw, n_before: u64, given: usize) -> usize {
        let own = usize::try_from(raw.offset() - self.start).unwrap_or(usize::MAX);
        let Some(n) = self.member_taken(raw).filter(|_| own <= raw.n_kept()) else { return given };
        let mut inflate = Decompress::new(false);
        let mut text = vec![0; n_before as usize + given];
        let bytes = &raw.back(own)[..own - n];
        // It ends in the middle of something; what was inflated up to there counts.
        let _ = inflate.decompress(bytes, &mut text, FlushDecompress::None);
        given.min(inflate.total_out().saturating_sub(n_before) as usize)
    }

    /// Goes back to a member that was taken for a part of this one. Gives whether there is one.
    fn go_back(&mut self, raw: &mut Raw, what: &str) -> bool {
        let Some(n) = self.member_taken(raw) else { return false };
        raw.go_back(n);
        self.note(what, 0);
        (self.part, self.is_gap) = (Part::Header, self.n_text > 0);
        true
    }

    /// How far back the first member begins that was taken for a part of the one before, which had been cut short.
    fn member_taken(&self, raw: &Raw) -> Option<usize> {
        let own = usize::try_from(raw.offset() - self.start).unwrap_or(usize::MAX);
        let own = own.min(raw.n_kept());
        let bytes = raw.back(own);
        // One may begin in what was taken and end behind it.
        let end = bytes.len().min(own + MAGIC.len() - 1);
        let mut headers = memchr::memmem::find_iter(&bytes[..end], MAGIC);
        headers.find(|&at| is_member(bytes, at)).map(|at| own - at)
    }

    /// Behind a whole member, where no other one begins: looks for one farther on. Gives whether there is one.
    ///
    /// # Errors
    ///
    /// What the system says when the file itself cannot be read.
    pub(super) fn find_member(&mut self, raw: &mut Raw) -> io::Result<bool> {
        let from = raw.offset();
        loop {
            let bytes = raw.peek(LOOK_AHEAD)?;
            let is_all = bytes.len() < LOOK_AHEAD;
            let seen = if is_all { bytes.len() } else { bytes.len() - TRIAL_BYTES };
            match next_member(bytes, seen) {
                Some(at) => {
                    raw.skip(at);
                    let passed = raw.offset() - from;
                    // Fewer bytes hold no text that is missing.
                    self.is_gap = passed >= MEMBER_MIN_BYTES;
                    self.note("something else stands between two members", passed);
                    return Ok(true);
                }
                None if is_all || raw.offset() - from > MAX_RUBBLE_BYTES => return Ok(false),
                None => raw.skip(seen),
            }
        }
    }

    fn note(&mut self, what: &str, lost_bytes: u64) {
        let what = what.to_owned();
        self.damages.push(Damage { text_offset: self.n_text, what, lost_bytes });
    }

    /// Passes over what is damaged, up to a place that stands on its own or the end of the file.
    fn pass(&mut self, raw: &mut Raw, what: &str) -> io::Result<()> {
        if self.go_back(raw, what) {
            return Ok(());
        }
        self.is_gap = self.n_text > 0;
        let from = raw.offset();
        // The place that was just tried is none.
        let mut at = 1;
        loop {
            let bytes = raw.peek(LOOK_AHEAD)?;
            let is_all = bytes.len() < LOOK_AHEAD;
            // A place near the end of what can be seen is looked at again with more behind it.
            let seen = if is_all { bytes.len() } else { bytes.len() - TRIAL_BYTES };
            let found = next_place(bytes, at, seen);
            match found {
                Some(Place::Member(place) | Place::Block(place)) => raw.skip(place),
                None => raw.skip(seen),
            }
            match found {
                Some(Place::Block(_)) => self.begin(raw, false),
                Some(Place::Member(_)) => {}
                None if !is_all => {
                    at = 0;
                    continue;
                }
                None => {}
            }
            break;
        }
        self.note(what, raw.offset() - from);
        Ok(())
    }
}

/// Somewhere to go on.
enum Place {
    /// A member's header.
    Member(usize),
    /// A block that begins at a whole byte and needs nothing before it.
    Block(usize),
}

/// The first place from `at` on, before `end`, that inflates to something.
fn next_place(bytes: &[u8], at: usize, end: usize) -> Option<Place> {
    for found in memchr::memchr2_iter(MAGIC[0], SYNC[2], &bytes[..end]) {
        if found < at {
            continue;
        }
        if is_member(bytes, found) {
            return Some(Place::Member(found));
        }
        let start = found.saturating_sub(2);
        if start >= at && bytes[start..].starts_with(SYNC) {
            let behind = start + SYNC.len();
            if inflates(&bytes[behind..]) {
                return Some(Place::Block(behind));
            }
        }
    }
    None
}

/// Where the first member before `end` begins.
pub(super) fn next_member(bytes: &[u8], end: usize) -> Option<usize> {
    memchr::memmem::find_iter(bytes, MAGIC)
        .take_while(|&at| at < end)
        .find(|&at| is_member(bytes, at))
}

/// Whether a member begins here, as far as its header and the start of its text tell.
fn is_member(bytes: &[u8], at: usize) -> bool {
    let is_marked = bytes[at..].starts_with(MAGIC);
    let length = is_marked.then(|| header_length(&bytes[at..]).ok().flatten()).flatten();
    length.is_some_and(|length| inflates(&bytes[at + length..]))
}

/// Where a member begins inside of what looks like the header of one, which was cut short then: nothing inflates behind it.
fn member_in_header(bytes: &[u8], length: usize) -> Option<usize> {
    let end = bytes.len().min(length + MAGIC.len() - 1);
    let mut headers = memchr::memmem::find_iter(&bytes[1..end], MAGIC).map(|at| at + 1);
    let found = headers.find(|&at| is_member(bytes, at))?;
    (!inflates(&bytes[length..])).then_some(found)
}

/// Whether a deflate stream seems to begin here: it inflates to some text without anything before it.
fn inflates(bytes: &[u8]) -> bool {
    let mut text = [0; TRIAL_BYTES];
    let mut inflate = Decompress::new(false);
    let result = inflate.decompress(bytes, &mut text, FlushDecompress::None);
    let n = inflate.total_out() as usize;
    // Less than a trial is enough only where nothing follows: otherwise what was seen is too long to inflate to so little.
    result.is_ok() && n >= TRIAL_MIN_BYTES
}

/// Length of a member's header (RFC 1952); `None` where it does not end, an error where it is none.
fn header_length(bytes: &[u8]) -> Result<Option<usize>, &'static str> {
    const CRC: u8 = 2;
    const EXTRA: u8 = 4;
    const NAME: u8 = 8;
    const COMMENT: u8 = 16;
    let Some(&[a, b, method, flags, ..]) = bytes.get(..10) else { return Ok(None) };
    if [a, b, method] != MAGIC || flags & 0xe0 != 0 {
        return Err("what should be a gzip header is none");
    }
    let mut at = 10;
    if flags & EXTRA != 0 {
        let Some(&[a, b]) = bytes.get(at..at + 2) else { return Ok(None) };
        at += 2 + usize::from(u16::from_le_bytes([a, b]));
    }
    for flag in [NAME, COMMENT] {
        if flags & flag != 0 {
            let rest = bytes.get(at..).unwrap_or_default();
            let Some(end) = memchr::memchr(0, rest) else { return Ok(None) };
            at += end + 1;
        }
    }
    at += if flags & CRC != 0 { 2 } else { 0 };
    Ok((at <= bytes.len()).then_some(at))
}
