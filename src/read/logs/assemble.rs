//! Joins what a logger wrote over several lines: pretty-printed dictionaries and PrettyTable blocks.
//!
//! One record is open per process and source line at a time, so that records of several processes may interleave. A
//! record that another one of the same writer cuts short, or that never ends, is torn: it is handed on as such, never
//! dropped in silence.

use crate::model::limits::MAX_LOG_RECORD_BYTES;

use super::clock::Stamp;

/// Where a record begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) line: u64,
    pub(crate) offset: u64,
    pub(crate) process: Option<u32>,
    pub(crate) time: Option<Stamp>,
}

/// A table as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RawTable {
    /// `StageRequestStats`.
    pub(crate) title: String,
    /// The request in the title.
    pub(crate) request: Option<String>,
    /// Column heads behind `Field`.
    pub(crate) columns: Vec<String>,
    /// Field name and cells.
    pub(crate) rows: Vec<(String, Vec<String>)>,
}

/// A whole record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Joined {
    /// A dictionary, with what stands before it on its first line.
    Dictionary { lead: String, text: String, lines: usize },
    /// A table.
    Table(RawTable),
}

/// What became of a line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It belongs to no multi-line record.
    No,
    /// It belongs to one that goes on; the class for the census.
    Part(&'static str),
    /// It ends a record.
    Done(Place, Joined),
}

/// A line as the assembler sees it.
pub(crate) struct Part<'a> {
    pub(crate) place: Place,
    /// Source file and line, where the line has a header.
    pub(crate) source: Option<&'a str>,
    /// Whether the line has a header at all.
    pub(crate) has_header: bool,
    pub(crate) text: &'a str,
}

const TITLES: [&str; 4] =
    ["[Overall Summary", "[RequestE2EStats ", "[StageRequestStats ", "[TransferEdgeStats "];

struct Open {
    process: Option<u32>,
    source: String,
    place: Place,
    kind: OpenKind,
}

enum OpenKind {
    Dictionary { lead: String, text: String, lines: usize, balance: Balance },
    Table { table: RawTable, borders: usize },
}

/// The records that are open.
#[derive(Default)]
pub(crate) struct Assembler {
    open: Vec<Open>,
    /// Records that were cut off since the last call of [`Assembler::take_torn`].
    torn: Vec<Place>,
}

impl Assembler {
    /// Offers a line.
    pub(crate) fn offer(&mut self, part: Part<'_>) -> Taken {
        if part.text.trim().is_empty() {
            return Taken::No;
        }
        if let Some(at) = self.find(&part) {
            match self.open[at].take(part.text) {
                Step::More(class) => return Taken::Part(class),
                Step::Whole => {
                    let open = self.open.remove(at);
                    return Taken::Done(open.place, open.kind.joined());
                }
                Step::Torn => self.torn.push(self.open.remove(at).place),
                Step::NotMine => {}
            }
        }
        self.begin(part)
    }

    /// The records that were torn since the last call.
    pub(crate) fn take_torn(&mut self) -> Vec<Place> {
        std::mem::take(&mut self.torn)
    }

    /// Ends the log: what is still open is torn.
    pub(crate) fn finish(&mut self) {
        self.torn.extend(self.open.drain(..).map(|open| open.place));
    }

    /// The open record that a line may continue: same process and source; without a header, the newest of the process.
    fn find(&self, part: &Part<'_>) -> Option<usize> {
        self.open.iter().rposition(|open| {
            let same_source = part.source.unwrap_or("") == open.source;
            open.process == part.place.process && (!part.has_header || same_source)
        })
    }

    fn begin(&mut self, part: Part<'_>) -> Taken {
        let text = part.text.trim_end();
        let Some(kind) = begin_table(text).or_else(|| begin_dictionary(text)) else {
            return Taken::No;
        };
        if kind.is_whole() {
            return Taken::Done(part.place, kind.joined());
        }
        let class = kind.class();
        self.open.push(Open {
            process: part.place.process,
            source: part.source.unwrap_or("").to_owned(),
            place: part.place,
            kind,
        });
        Taken::Part(class)
    }
}

enum Step {
    More(&'static str),
    Whole,
    Torn,
    NotMine,
}

impl Open {
    fn take(&mut self, line: &str) -> Step {
        match &mut self.kind {
            OpenKind::Dictionary { text, lines, balance, .. } => {
                if begin_dictionary(line).is_some() && !line.starts_with([' ', '}', ']']) {
                    return Step::Torn;
                }
                let continues = line.starts_with([' ', '\t', '}', ']', '\'', '"']);
                if !continues {
                    return Step::NotMine;
                }
                text.push('\n');
                text.push_str(line);
                *lines += 1;
                balance.feed(line);
                if balance.is_whole() {
                    Step::Whole
                } else if text.len() > MAX_LOG_RECORD_BYTES {
                    Step::Torn
                } else {
                    Step::More("dictionary_line")
                }
            }
            OpenKind::Table { table, borders } => table_line(table, borders, line.trim()),
        }
    }
}

fn table_line(table: &mut RawTable, borders: &mut usize, line: &str) -> Step {
    if line.starts_with("+-") {
        *borders += 1;
        return if *borders == 3 { Step::Whole } else { Step::More("table_line") };
    }
    let Some(inner) = line.strip_prefix('|').and_then(|rest| rest.strip_suffix('|')) else {
        return if begin_table(line).is_some() { Step::Torn } else { Step::NotMine };
    };
    let mut cells = inner.split('|').map(|cell| cell.trim().to_owned());
    let name = cells.next().unwrap_or_default();
    match *borders {
        1 => table.columns = cells.collect(),
        2 => table.rows.push((name, cells.collect())),
        _ => return Step::Torn,
    }
    Step::More("table_line")
}

impl OpenKind {
    fn class(&self) -> &'static str {
        match self {
            Self::Dictionary { .. } => "dictionary_line",
            Self::Table { .. } => "table_line",
        }
    }

    /// Whether one line is all of it.
    fn is_whole(&self) -> bool {
        matches!(self, Self::Dictionary { balance, .. } if balance.is_whole())
    }

    fn joined(self) -> Joined {
        match self {
            Self::Dictionary { lead, text, lines, .. } => Joined::Dictionary { lead, text, lines },
            Self::Table { table, .. } => Joined::Table(table),
        }
    }
}

fn begin_table(text: &str) -> Option<OpenKind> {
    let text = text.trim();
    TITLES.iter().find(|title| text.starts_with(**title))?;
    let inner = text.strip_prefix('[')?.strip_suffix(']')?;
    let (title, request) = match inner.split_once(" [request_id=") {
        Some((title, rest)) => (title, Some(rest.strip_suffix(']')?.to_owned())),
        None => (inner, None),
    };
    let table =
        RawTable { title: title.to_owned(), request, columns: Vec::new(), rows: Vec::new() };
    Some(OpenKind::Table { table, borders: 0 })
}

/// A dictionary at the start of the message, or behind the marks that the pipeline writes before one.
fn begin_dictionary(text: &str) -> Option<OpenKind> {
    let brace = if text.starts_with('{') {
        0
    } else if text.starts_with("[Summary] {") {
        text.find('{')?
    } else if text.starts_with("[StageMetrics] ") {
        text.find("metrics={")? + "metrics=".len()
    } else if text.starts_with("OMNI_DIFFUSION_METRICS {") {
        text.find('{')?
    } else {
        return None;
    };
    let (lead, dictionary) = text.split_at(brace);
    let begins = dictionary[1..].trim_start();
    if !begins.is_empty() && !begins.starts_with(['\'', '"', '}']) {
        return None;
    }
    let mut balance = Balance::default();
    balance.feed(dictionary);
    Some(OpenKind::Dictionary {
        lead: lead.trim_end().to_owned(),
        text: dictionary.to_owned(),
        lines: 1,
        balance,
    })
}

/// Counts open brackets outside strings.
#[derive(Clone, Debug, Default)]
struct Balance {
    depth: usize,
    quote: Option<u8>,
    escaped: bool,
}

impl Balance {
    fn feed(&mut self, text: &str) {
        for &byte in text.as_bytes() {
            if self.escaped {
                self.escaped = false;
            } else if let Some(quote) = self.quote {
                match byte {
                    b'\\' => self.escaped = true,
                    _ if byte == quote => self.quote = None,
                    _ => {}
                }
            } else {
                match byte {
                    b'\'' | b'"' => self.quote = Some(byte),
                    b'{' | b'[' | b'(' => self.depth += 1,
                    b'}' | b']' | b')' => self.depth = self.depth.saturating_sub(1),
                    _ => {}
                }
            }
        }
    }

    fn is_whole(&self) -> bool {
        self.depth == 0 && self.quote.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::{Assembler, Joined, Part, Place, Taken};

    fn offer(assembler: &mut Assembler, process: Option<u32>, source: &str, text: &str) -> Taken {
        assembler.offer(Part {
            place: Place { line: 1, offset: 0, process, time: None },
            source: (!source.is_empty()).then_some(source),
            has_header: !source.is_empty(),
            text,
        })
    }

    #[test]
    fn dictionaries_of_two_writers_interleave() {
        let mut a = Assembler::default();
        assert_eq!(offer(&mut a, Some(0), "l.py:1", "{'a': 'x}',"), Taken::Part("dictionary_line"));
        assert_eq!(
            offer(&mut a, Some(1), "l.py:1", "[Summary] {'b': [1,"),
            Taken::Part("dictionary_line")
        );
        assert_eq!(offer(&mut a, Some(0), "m.py:9", "something else"), Taken::No);
        let Taken::Done(_, Joined::Dictionary { text, lead, lines }) =
            offer(&mut a, Some(0), "l.py:1", " 'c': 2}")
        else {
            panic!("not whole")
        };
        assert_eq!((lead.as_str(), text.as_str(), lines), ("", "{'a': 'x}',\n 'c': 2}", 2));
        let done = offer(&mut a, Some(1), "l.py:1", "        2]}");
        assert!(
            matches!(done, Taken::Done(_, Joined::Dictionary { lead, .. }) if lead == "[Summary]")
        );
        a.finish();
        assert_eq!(a.take_torn(), []);
    }

    #[test]
    fn a_new_record_of_the_same_writer_tears_the_open_one() {
        let mut a = Assembler::default();
        offer(&mut a, None, "l.py:1", "{'a': 1,");
        offer(&mut a, None, "l.py:1", "{'a': 2,");
        assert_eq!(a.take_torn().len(), 1);
        a.finish();
        assert_eq!(a.take_torn().len(), 1);
    }

    #[test]
    fn tables_are_read_between_borders() {
        let mut a = Assembler::default();
        for line in ["[TransferEdgeStats [request_id=r 1]]", "+--+", "| Field | 0->1 |", "+--+"] {
            assert_eq!(offer(&mut a, None, "", line), Taken::Part("table_line"));
        }
        assert_eq!(offer(&mut a, None, "", "| size_kbytes | 1,000.5 |"), Taken::Part("table_line"));
        let Taken::Done(_, Joined::Table(table)) = offer(&mut a, None, "", "+--+") else {
            panic!("not whole")
        };
        assert_eq!(table.request.as_deref(), Some("r 1"));
        assert_eq!(table.columns, ["0->1"]);
        assert_eq!(table.rows, [("size_kbytes".to_owned(), vec!["1,000.5".to_owned()])]);
    }

    #[test]
    fn sets_and_prose_begin_nothing() {
        let mut a = Assembler::default();
        assert_eq!(offer(&mut a, None, "", "{response_id}/cancel, Methods"), Taken::No);
        assert_eq!(offer(&mut a, None, "", "[StageRuntime] Stage 0"), Taken::No);
    }
}
