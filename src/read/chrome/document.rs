//! What stands around the events: the top-level members before and after the event array, further documents, and rubble.
//!
//! [`Around`] is given the text piece by piece and keeps no more of it than a member may be large. Where something stands
//! that cannot stand there, it looks for the next thing that can be read: an event array, a whole event, a member.

use super::boundary::{count_starts, is_whole_event, next_event_array, next_whole_event};
use super::event::key_text;
use super::fast::{Refusal, skip_space, string_end, value_end};
use crate::diag::{IssueKind, Reporter};
use crate::model::limits::{BLOCK_BYTES, MAX_MEMBER_BYTES, MAX_MEMBERS_BYTES};

/// The member in which Chrome's format holds what the system recorded beside, in forms of its own: its events are none of
/// the trace's.
const SYSTEM_EVENTS: &[u8] = b"systemTraceEvents";

/// What the reading of a piece came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// The text of an event array goes on at this position.
    Events(usize),
    /// More text is needed; what stands before this position is dealt with.
    More(usize),
}

/// Where in a document the text is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    /// Before a document, between two, or behind the last.
    #[default]
    Outside,
    /// Between the members of the top-level object.
    Members,
    /// Inside a member's value that is too large to be kept.
    Large(Large),
    /// In something that cannot be read.
    Rubble,
}

/// What is open in a value that is skipped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Large {
    depth: usize,
    in_string: bool,
    is_escaped: bool,
    /// Whether the events in it are known to be none of the trace.
    is_system: bool,
}

impl Large {
    /// Takes the next byte. Whether it stands behind the value.
    fn ends_with(&mut self, b: u8) -> bool {
        match b {
            _ if self.is_escaped => self.is_escaped = false,
            b'\\' if self.in_string => self.is_escaped = true,
            b'"' => self.in_string = !self.in_string,
            _ if self.in_string => {}
            b'[' | b'{' => self.depth += 1,
            b',' | b']' | b'}' if self.depth == 0 => return true,
            b']' | b'}' => self.depth -= 1,
            _ => {}
        }
        false
    }
}

/// How the events were come upon last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Entrance {
    /// As the `traceEvents` of an object.
    #[default]
    Member,
    /// As an array that is the whole document.
    Bare,
    /// As an event somewhere in rubble.
    Rubble,
}

/// Reads what stands around the events.
#[derive(Debug, Default)]
pub(crate) struct Around {
    place: Place,
    /// Top-level members as (key, JSON text), in file order.
    pub(crate) entries: Vec<(String, String)>,
    entries_bytes: usize,
    pub(crate) entrance: Entrance,
    /// Whether a document was begun.
    pub(crate) has_document: bool,
    /// Offset and first bytes of the first rubble.
    pub(crate) first_rubble: Option<(u64, Vec<u8>)>,
    /// Where the rubble that is gone through begins, and what stood before it.
    rubble: (u64, Before),
    /// Whether it begins as a compressed stream does.
    is_compressed: bool,
    /// Whether events were read already.
    has_events: bool,
    /// Where the rubble began behind which the events stand that were come upon last, until it is asked for.
    behind: Option<u64>,
}

/// What stands before rubble.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Before {
    /// Nothing, or a whole document.
    #[default]
    Document,
    /// A member.
    Member,
    /// The start of an event that is too large.
    Event,
}

impl Around {
    /// After the `]` of an event array.
    pub(crate) fn leave_events(&mut self) {
        self.has_events = true;
        self.place = match self.entrance {
            Entrance::Bare => Place::Outside,
            Entrance::Member | Entrance::Rubble => Place::Members,
        };
    }

    /// Inside an event that is too large to be read, which starts at `offset`.
    pub(crate) fn leave_event(&mut self, offset: u64) {
        self.has_events = true;
        (self.place, self.rubble) = (Place::Rubble, (offset, Before::Event));
    }

    /// Where the rubble began behind which the events stand that were come upon last; `None` where they stand as they
    /// should.
    pub(crate) fn take_behind(&mut self) -> Option<u64> {
        self.behind.take()
    }

    /// Whether nothing was found that begins as a document does.
    pub(crate) fn is_rubble_only(&self) -> bool {
        !self.has_document && self.first_rubble.is_some()
    }

    /// Why no events were found, at the end of the input.
    pub(crate) fn what_is_missing(&self) -> &'static str {
        match self.place {
            Place::Outside => "it has no `traceEvents` array",
            Place::Members | Place::Large(_) => "it ends before its events begin",
            Place::Rubble => "damaged before its events",
        }
    }

    /// At the end of the input: counts what nothing followed that could be read. `rest` is what could not be dealt with.
    pub(crate) fn finish(&self, rest: &[u8], offset: u64, reporter: &mut Reporter) {
        match self.place {
            Place::Rubble if self.rubble.1 == Before::Event => {}
            Place::Rubble if self.is_compressed => {
                let what = "a compressed stream stands behind the text and was not read";
                reporter.with_detail(IssueKind::CorruptGzip, Some(self.rubble.0), what);
            }
            Place::Rubble => reporter.at(IssueKind::GarbageAfterEvents, self.rubble.0),
            _ if rest.trim_ascii().is_empty() => {}
            _ => reporter.at(IssueKind::GarbageAfterEvents, offset),
        }
    }

    /// Reads on. `base` is the offset of the text in the decompressed input; with `is_last` no more follows.
    pub(crate) fn read(
        &mut self,
        text: &[u8],
        base: u64,
        is_last: bool,
        reporter: &mut Reporter,
    ) -> Found {
        let mut at = 0;
        loop {
            let step = match self.place {
                Place::Outside => self.outside(text, at, base, is_last, reporter),
                Place::Members => self.members(text, at, base, is_last, reporter),
                Place::Large(large) => self.large(large, text, at, base),
                Place::Rubble => self.rubble(text, at, is_last, reporter),
            };
            match step {
                Ok(next) => at = next,
                Err(found) => return found,
            }
        }
    }

    /// Zeros and byte order marks between documents are stepped over.
    fn outside(
        &mut self,
        text: &[u8],
        at: usize,
        base: u64,
        is_last: bool,
        reporter: &mut Reporter,
    ) -> Result<usize, Found> {
        let start = at;
        let is_nothing = |b: &u8| {
            matches!(b, b' ' | b'\n' | b'\r' | b'\t' | 0 | 0xef | 0xbb | 0xbf | 0xfe | 0xff)
        };
        let at = at + text[at..].iter().take_while(|b| is_nothing(b)).count();
        if let Some(zero) = memchr::memchr(0, &text[start..at]) {
            self.zeros(base + (start + zero) as u64, reporter);
        }
        let next = text.get(skip_space(text, at + 1)).copied();
        match (text.get(at), next) {
            (None, _) => Err(Found::More(at)),
            (Some(b'{' | b'['), None) if !is_last && text.len() - at < BLOCK_BYTES => {
                Err(Found::More(at))
            }
            (Some(b'{'), Some(b'"' | b'}' | b',') | None) if !is_whole_event(text, at) => {
                self.begin_document(base + at as u64, reporter);
                self.place = Place::Members;
                Ok(at + 1)
            }
            (Some(b'['), next) if next == Some(b'{') || !self.has_document => {
                self.begin_document(base + at as u64, reporter);
                self.entrance = Entrance::Bare;
                Err(Found::Events(at + 1))
            }
            _ => Ok(self.enter_rubble(text, at, base)),
        }
    }

    fn zeros(&mut self, offset: u64, reporter: &mut Reporter) {
        if self.has_events {
            reporter.at(IssueKind::GarbageAfterEvents, offset);
        } else {
            self.first_rubble.get_or_insert((offset, vec![0; 4]));
        }
    }

    fn begin_document(&mut self, offset: u64, reporter: &mut Reporter) {
        if self.has_document {
            reporter.at(IssueKind::SeveralDocuments, offset);
        } else if let Some((zeros, _)) = &self.first_rubble {
            reporter.at(IssueKind::GarbageBeforeEvents, *zeros);
        }
        self.has_document = true;
    }

    fn enter_rubble(&mut self, text: &[u8], at: usize, base: u64) -> usize {
        let before = if self.place == Place::Members { Before::Member } else { Before::Document };
        self.place = Place::Rubble;
        self.rubble = (base + at as u64, before);
        self.is_compressed = text[at..].starts_with(&[0x1f, 0x8b, 8]);
        let shown = text[at..text.len().min(at + 24)].to_vec();
        self.first_rubble.get_or_insert((self.rubble.0, shown));
        at
    }

    fn members(
        &mut self,
        text: &[u8],
        at: usize,
        base: u64,
        is_last: bool,
        reporter: &mut Reporter,
    ) -> Result<usize, Found> {
        let at = skip_space(text, at);
        match text.get(at) {
            None => return Err(Found::More(at)),
            Some(b',') => return Ok(at + 1),
            Some(b'}') => {
                self.place = Place::Outside;
                return Ok(at + 1);
            }
            Some(b'"') => {}
            Some(_) => return Ok(self.enter_rubble(text, at, base)),
        }
        match member(text, at) {
            Ok(Member::Events(start)) => {
                self.entrance = Entrance::Member;
                Err(Found::Events(start))
            }
            Ok(Member::Other { key: SYSTEM_EVENTS, end, .. }) => {
                let (offset, what) = (Some(base + at as u64), "`systemTraceEvents`".to_owned());
                reporter.named(IssueKind::IgnoredPhase, offset, what);
                Ok(end)
            }
            Ok(Member::Other { value, end, .. })
                if holds_events(&text[..end], value)
                    || next_whole_event(&text[..end], value).is_some() =>
            {
                Ok(self.enter_rubble(text, at, base))
            }
            Ok(Member::Other { key, value, end }) => {
                self.keep(key, &text[value..end], base + at as u64, reporter);
                Ok(end)
            }
            Err(Refusal::Odd) => Ok(self.enter_rubble(text, at, base)),
            Err(Refusal::Incomplete) => self.open_member(text, at, base, is_last, reporter),
        }
    }

    /// A member that the text ends inside of: more text is wanted, unless it is too large, or events stand in it.
    fn open_member(
        &mut self,
        text: &[u8],
        at: usize,
        base: u64,
        is_last: bool,
        reporter: &mut Reporter,
    ) -> Result<usize, Found> {
        let is_system = text[at + 1..].starts_with(SYSTEM_EVENTS);
        let is_large = text.len() - at > MAX_MEMBER_BYTES;
        // Where the key of the events is damaged, they stand in a member of any name.
        let is_searched = is_last || is_large;
        if holds_events(text, at)
            || is_searched && !is_system && next_whole_event(text, at).is_some()
        {
            return Ok(self.enter_rubble(text, at, base));
        }
        if is_last || !is_large {
            return Err(Found::More(at));
        }
        let Ok(key_end) = string_end(text, at) else {
            return Ok(self.enter_rubble(text, at, base));
        };
        let key = String::from_utf8_lossy(&text[at..key_end.min(at + 60)]).into_owned();
        reporter.with_detail(IssueKind::OversizedMember, Some(base + at as u64), key);
        self.place = Place::Large(Large { is_system, ..Large::default() });
        Ok(skip_space(text, key_end) + 1)
    }

    fn keep(&mut self, key: &[u8], value: &[u8], offset: u64, reporter: &mut Reporter) {
        let key = key_text(key).0.into_owned();
        self.entries_bytes += key.len() + value.len();
        if value.len() > MAX_MEMBER_BYTES || self.entries_bytes > MAX_MEMBERS_BYTES {
            reporter.with_detail(IssueKind::OversizedMember, Some(offset), key);
            return;
        }
        self.entries.push((key, String::from_utf8_lossy(value).into_owned()));
    }

    /// Goes through a value without keeping it.
    fn large(
        &mut self,
        mut large: Large,
        text: &[u8],
        at: usize,
        base: u64,
    ) -> Result<usize, Found> {
        let end = text[at..].iter().position(|&b| large.ends_with(b)).map(|i| at + i);
        self.place = Place::Members;
        let value = &text[..end.unwrap_or(text.len())];
        if holds_events(value, at) || !large.is_system && next_whole_event(value, at).is_some() {
            return Ok(self.enter_rubble(text, at, base));
        }
        end.ok_or_else(|| {
            self.place = Place::Large(large);
            Found::More(text.len())
        })
    }

    /// Looks for what can be read next: the first event array, whole event, or member on a line of its own.
    fn rubble(
        &mut self,
        text: &[u8],
        at: usize,
        is_last: bool,
        reporter: &mut Reporter,
    ) -> Result<usize, Found> {
        let (offset, stood_before) = self.rubble;
        let array = next_event_array(text, at);
        let before = |end: Option<usize>| &text[..end.unwrap_or(text.len())];
        let event = next_whole_event(before(array), at);
        // Of an event that the text ends inside of, every line may look like a member.
        let is_seen = is_last || event.or(array).is_some() || text.len() - at >= BLOCK_BYTES;
        if stood_before == Before::Member
            && is_seen
            && let Some(member) = next_member(before(event.or(array)), at)
        {
            let kind = if self.has_events {
                IssueKind::GarbageAfterEvents
            } else {
                IssueKind::BadMetadata
            };
            reporter.at(kind, offset);
            self.place = Place::Members;
            return Ok(member);
        }
        let Some(start) = event.or(array) else {
            // An event or a member may be cut by the end of this text.
            let kept = if is_last { 0 } else { BLOCK_BYTES };
            return Err(Found::More(at.max(text.len().saturating_sub(kept))));
        };
        self.entrance = if event.is_some() { Entrance::Rubble } else { Entrance::Member };
        self.has_document = true;
        match stood_before {
            Before::Event => {}
            _ if self.has_events => {
                self.behind = Some(offset);
                // What is no mere bracket or comma was part of an event.
                if text[at..start].iter().any(u8::is_ascii_alphanumeric) {
                    let n_lost = count_starts(text, at..start).max(1);
                    let counted = (n_lost, (start - at) as u64);
                    reporter.passed_over(IssueKind::UnreadableEvent, counted, offset, None);
                }
            }
            _ => reporter.at(IssueKind::GarbageBeforeEvents, offset),
        }
        Err(Found::Events(start))
    }
}

/// Whether an event array stands in a value that begins at `at`: in a sound file none does.
fn holds_events(text: &[u8], at: usize) -> bool {
    next_event_array(text, at).is_some_and(|start| {
        let first = skip_space(text, start);
        text.get(first) == Some(&b'{') && is_whole_event(text, first)
    })
}

/// The next line that plausibly starts a member, after damage at `at`.
fn next_member(text: &[u8], at: usize) -> Option<usize> {
    memchr::memchr_iter(b'\n', text.get(at..)?).map(|i| at + i + 1).find_map(|line| {
        let quote = skip_space(text, line);
        (text.get(quote) == Some(&b'"')).then_some(())?;
        let after = skip_space(text, string_end(text, quote).ok()?);
        (text.get(after) == Some(&b':')).then_some(quote)
    })
}

enum Member<'a> {
    /// The events start here.
    Events(usize),
    /// Another one: its key without quotes, and where its value is.
    Other { key: &'a [u8], value: usize, end: usize },
}

fn member(text: &[u8], at: usize) -> Result<Member<'_>, Refusal> {
    let key_end = string_end(text, at)?;
    let key = &text[at + 1..key_end - 1];
    let colon = skip_space(text, key_end);
    match text.get(colon) {
        Some(b':') => {}
        Some(_) => return Err(Refusal::Odd),
        None => return Err(Refusal::Incomplete),
    }
    let value = skip_space(text, colon + 1);
    match text.get(value) {
        None => return Err(Refusal::Incomplete),
        Some(b'[') if key == b"traceEvents" => return Ok(Member::Events(value + 1)),
        Some(_) => {}
    }
    let end = value_end(text, value)?;
    match text.get(skip_space(text, end)) {
        None | Some(b',' | b'}') => Ok(Member::Other { key, value, end }),
        Some(_) => Err(Refusal::Odd),
    }
}

#[cfg(test)]
mod tests {
    use super::{Around, Found};
    use crate::diag::{IssueKind, Reporter};
    use crate::model::limits::MAX_MEMBER_BYTES;

    /// Reads a text in pieces of a size, as far as its events. Gives what was read, and where the events start.
    fn read(text: &[u8], piece: usize) -> (Around, Reporter, Option<usize>) {
        let (mut around, mut reporter) = (Around::default(), Reporter::default());
        let (mut start, mut end) = (0, 0);
        loop {
            end = text.len().min(end + piece);
            let is_last = end == text.len();
            match around.read(&text[start..end], start as u64, is_last, &mut reporter) {
                Found::Events(at) => return (around, reporter, Some(start + at)),
                Found::More(_) if is_last => return (around, reporter, None),
                Found::More(at) => start += at,
            }
        }
    }

    #[test]
    fn members_up_to_the_events_in_pieces_of_any_size() {
        let text = br#" { "schemaVersion": 1, "d": {"a": "}"}, "traceEvents": [ {"#;
        for piece in 1..=text.len() {
            let (around, reporter, at) = read(text, piece);
            assert_eq!(at, Some(text.len() - 2), "{piece}");
            assert_eq!(around.entries[1], ("d".to_owned(), r#"{"a": "}"}"#.to_owned()));
            assert_eq!(reporter, Reporter::default());
        }
        for cut in 1..text.len() - 2 {
            assert_eq!(read(&text[..cut], 64).2, None, "{cut}");
        }
    }

    #[test]
    fn damage_after_the_events_is_stepped_over() {
        let text = b",\n \"ERROR\": [\"a \"b c\"],\n  \"traceName\": \"x\"\n}";
        let (mut around, mut reporter) = (Around::default(), Reporter::default());
        around.leave_events();
        assert_eq!(around.read(text, 0, true, &mut reporter), Found::More(text.len()));
        assert_eq!(around.entries, [("traceName".to_owned(), "\"x\"".to_owned())]);
        assert_eq!(reporter.count(IssueKind::GarbageAfterEvents), 1);
    }

    #[test]
    fn lines_of_an_event_are_no_members() {
        let text = "{\"a\":1,\n\"traceEvents\"noise\n: [\n{\n\"ph\":\"X\",\n\"ts\":1\n}\n]}";
        for piece in 1..=text.len() {
            let (_, reporter, at) = read(text.as_bytes(), piece);
            assert_eq!(at, text.find("{\n\"ph"), "{piece}");
            assert_eq!(reporter.count(IssueKind::GarbageBeforeEvents), 1, "{piece}");
        }
    }

    #[test]
    fn events_in_a_member_of_another_name_are_found_however_it_ends() {
        let event = r#"{"ph":"X","ts":1}"#;
        let spaces = " ".repeat(MAX_MEMBER_BYTES + (3 << 20));
        for (between, tail) in [("", ""), ("", "]}"), (spaces.as_str(), "")] {
            let head = format!("{{\"x\":1,\n\"s\":[{between}");
            let text = format!("{head}{event},{event}{tail}");
            for piece in [text.len(), 1 << 20] {
                let (_, reporter, at) = read(text.as_bytes(), piece);
                assert_eq!(at, Some(head.len()), "{tail:?}");
                assert_eq!(reporter.count(IssueKind::GarbageBeforeEvents), 1);
            }
        }
    }

    #[test]
    fn events_of_the_system_are_none_of_the_trace() {
        let text = br#","systemTraceEvents":{"type":"fuchsia","events":[{"ph":"k","ts":1}]}}"#;
        for end in [text.len(), 30] {
            let (mut around, mut reporter) = (Around::default(), Reporter::default());
            around.leave_events();
            let found = around.read(&text[..end], 0, end == text.len(), &mut reporter);
            assert_eq!(found, Found::More(if end == 30 { 1 } else { end }));
            assert_eq!(reporter.count(IssueKind::IgnoredPhase), u64::from(end != 30));
            assert_eq!(reporter.count(IssueKind::GarbageAfterEvents), 0);
        }
    }

    #[test]
    fn events_behind_damaged_heads_are_found() {
        let event = r#"{"ph":"X","ts":1}"#;
        for (head, at_array) in [
            ("{\"x\": \"abc, \"traceEvents\":[".to_owned(), true),
            ("{\"x\": {\"y\": 1, \"traceEvents\":[".to_owned(), true),
            ("\0\0\0\0nts\":[".to_owned(), false),
            ("profiling done\n{\"traceEvents\": [".to_owned(), true),
            ("\u{feff}\0garbage {\"a\":1},".to_owned(), false),
        ] {
            let text = format!("{head}{event}]}}");
            let (_, reporter, at) = read(text.as_bytes(), text.len());
            assert_eq!(at, Some(head.len()), "{head:?} {at_array}");
            assert_eq!(reporter.count(IssueKind::GarbageBeforeEvents), 1, "{head:?}");
        }
    }
}
