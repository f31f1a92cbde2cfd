//! What sentences are made of: words, names and figures, each figure with the field that it is.

use super::ROUNDS_TO_NOTHING_PCT;
use crate::schema::{Row, words};
use crate::table::{Cell, percent};

/// A number of a sentence, and where the machine output has it.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// The number.
    pub cell: Cell,
    /// The command whose machine output has it.
    pub command: &'static str,
    /// JSON pointer of the field.
    pub path: String,
    /// JSON pointer of the whole, where the number is the share of `path` in it.
    pub of: Option<String>,
    /// What stands at `path`, where the number is a share of it.
    pub part: Option<i64>,
}

/// A part of a sentence.
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    /// Words.
    Words(String),
    /// A name from a trace.
    Name(String),
    /// A number.
    Figure(Figure),
}

impl Part {
    /// A number that stands beside its row and names no field.
    pub(in crate::table) fn plain(cell: Cell) -> Self {
        Self::Figure(Figure { cell, command: "analyze", path: String::new(), of: None, part: None })
    }
}

words! {
    /// How a sentence is to be taken.
    Tone {
        /// A finding.
        Finding "finding",
        /// What cannot be told, or only with care.
        Caution "caution",
        /// Data was lost.
        Loss "loss",
    }
}

/// One sentence.
#[derive(Clone, Debug, PartialEq)]
pub struct Sentence {
    /// How to take it.
    pub tone: Tone,
    /// Its parts.
    pub parts: Vec<Part>,
    /// The command and key of the table with its figures.
    pub table: (&'static str, &'static str),
}

/// The sentences about one input, or about all of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// What they are about.
    pub about: String,
    /// The one of several inputs that they are about.
    pub input: Option<usize>,
    /// The sentences, the weightiest first.
    pub sentences: Vec<Sentence>,
}

/// Builds a sentence.
pub(super) struct Line {
    pub(super) command: &'static str,
    pub(super) tone: Tone,
    pub(super) parts: Vec<Part>,
}

impl Line {
    pub(super) fn new(words: impl Into<String>) -> Self {
        let parts = vec![Part::Words(words.into())];
        Self { command: "analyze", tone: Tone::Finding, parts }
    }

    pub(super) fn of_logs(words: impl Into<String>) -> Self {
        Self { command: "stages", ..Self::new(words) }
    }

    pub(super) fn tone(mut self, tone: Tone) -> Self {
        self.tone = tone;
        self
    }

    pub(super) fn words(mut self, words: impl Into<String>) -> Self {
        self.parts.push(Part::Words(words.into()));
        self
    }

    pub(super) fn name(mut self, name: &str) -> Self {
        self.parts.push(Part::Name(name.to_owned()));
        self
    }

    pub(super) fn figure(mut self, cell: Cell, path: String) -> Self {
        self.parts.push(Part::Figure(Figure {
            cell,
            command: self.command,
            path,
            of: None,
            part: None,
        }));
        self
    }

    /// The share of one field in another.
    pub(super) fn share(mut self, (part, path): (i64, String), (whole, of): (i64, String)) -> Self {
        let cell = Cell::or_none(percent(part, whole), Cell::Percent);
        let figure = Figure { cell, command: self.command, path, of: Some(of), part: Some(part) };
        self.parts.push(Part::Figure(figure));
        self
    }

    /// A share of what a noun says, which may be a lower bound; one that rounds to nothing is no figure then.
    pub(super) fn share_from(
        self,
        is_bound: bool,
        part: (i64, String),
        whole: (i64, String),
        noun: Option<&str>,
    ) -> Self {
        let line = match percent(part.0, whole.0).filter(|_| is_bound) {
            Some(0.0) => return self.words(format!("no recorded {}", noun.unwrap_or("time"))),
            Some(pct) if pct < ROUNDS_TO_NOTHING_PCT => {
                return self.words(format!("hardly any recorded {}", noun.unwrap_or("time")));
            }
            _ if is_bound => self.words("at least "),
            _ => self,
        };
        let line = line.share(part, whole);
        match noun {
            Some(noun) => line.words(format!(" {noun}")),
            None => line,
        }
    }

    /// The sentence, whose figures a table has.
    pub(super) fn see<R: Row>(self) -> Sentence {
        self.see_key(R::SPEC.key)
    }

    /// The same, of a table whose rows are also another's.
    pub(super) fn see_key(self, table: &'static str) -> Sentence {
        Sentence { tone: self.tone, parts: self.parts, table: (self.command, table) }
    }
}

/// Parts of a sentence as its tests read them: figures as `{:?}` of their cells but for plain numbers.
#[cfg(test)]
pub(super) fn said(parts: &[Part]) -> String {
    let part = |part: &Part| match part {
        Part::Words(text) | Part::Name(text) => text.clone(),
        Part::Figure(figure) => match &figure.cell {
            Cell::Percent(pct) => format!("{pct:.1} %"),
            Cell::Count(count) => count.to_string(),
            Cell::Ns(ns) => format!("{ns} ns"),
            Cell::Text(text) => text.clone(),
            other => format!("{other:?}"),
        },
    };
    parts.iter().map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::{Line, Part, said};
    use crate::table::Cell;

    /// A share that is a bound is called one, but where it is nothing or nearly so: that is no figure.
    #[test]
    fn bounds_are_called_bounds() {
        let of = |is_bound, part_ns, noun| {
            let (part, whole) = ((part_ns, "/a".to_owned()), (1_000_000, "/b".to_owned()));
            said(&Line::new("x: ").share_from(is_bound, part, whole, noun).parts)
        };
        assert_eq!(of(false, 500_000, None), "x: 50.0 %");
        assert_eq!(of(true, 500_000, Some("waiting")), "x: at least 50.0 % waiting");
        assert_eq!(of(true, 0, Some("waiting")), "x: no recorded waiting");
        assert_eq!(of(true, 1, None), "x: hardly any recorded time");
        assert_eq!(of(false, 0, Some("waiting")), "x: 0.0 % waiting");
    }

    /// A share names both of its fields, and what stands at the first.
    #[test]
    fn shares_name_their_fields() {
        let line = Line::new("").share((1, "/part".to_owned()), (4, "/whole".to_owned()));
        let Some(Part::Figure(figure)) = line.parts.last() else { panic!("a figure") };
        assert_eq!((figure.path.as_str(), figure.of.as_deref()), ("/part", Some("/whole")));
        assert_eq!((figure.part, &figure.cell), (Some(1), &Cell::Percent(25.0)));
    }
}
