//! The verdict as a table and as rows of the machine output.

use serde::ser::{Serialize, SerializeStruct, Serializer};

use super::{Figure, Part, Tone, Verdict};
use crate::table::{Cell, Column, Table, TableRow, Unit};

/// One sentence of the verdict.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct VerdictRow {
    /// What it is about: an input as it is called, or all of them.
    pub about: String,
    /// `finding`, `caution` (what cannot be told, or only with care) or `loss` (data was lost).
    pub tone: &'static str,
    /// The table with its figures.
    pub table: &'static str,
    /// Its parts: `words`, a `name` of the trace, or a `figure`: its exact value, the unit, the JSON pointer `path` of the
    /// field, and `of`, that of the whole, where the figure is a share.
    pub sentence: Vec<Part>,
}

impl VerdictRow {
    /// The sentences of some verdicts, in order.
    pub fn of(verdicts: Vec<Verdict>) -> Vec<Self> {
        let rows = |verdict: Verdict| {
            let about = verdict.about;
            let row = move |sentence: super::Sentence| Self {
                about: about.clone(),
                tone: tone_name(sentence.tone),
                table: sentence.table.1,
                sentence: sentence.parts,
            };
            verdict.sentences.into_iter().map(row)
        };
        verdicts.into_iter().flat_map(rows).collect()
    }
}

fn tone_name(tone: Tone) -> &'static str {
    match tone {
        Tone::Finding => "finding",
        Tone::Caution => "caution",
        Tone::Loss => "loss",
    }
}

impl TableRow for VerdictRow {
    const COLUMNS: &'static [Column] = &[
        Column::new("of", "about", Unit::Text, "what the sentence is about"),
        Column::new("tone", "tone", Unit::Text, "finding, caution or loss"),
        Column::new("sentence", "sentence", Unit::Text, "what the figures come to"),
    ];
    const N_GROUP_COLUMNS: usize = 1;

    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::Text(self.about.clone()),
            Cell::Text(self.tone.to_owned()),
            Cell::Sentence(self.sentence.clone()),
        ]
    }
}

/// The table for people: only what is no finding has a tone.
pub fn verdict_summary(rows: &[VerdictRow]) -> Table {
    let mut table = Table::of("verdict", "Verdict", rows);
    let finding = tone_name(Tone::Finding);
    let tones = rows.iter().zip(&mut table.rows);
    for (_, cells) in tones.filter(|(row, _)| row.tone == finding) {
        cells[1] = Cell::Text(String::new());
    }
    let is_plain = rows.iter().all(|row| row.tone == finding);
    table.keep_columns_where(&[true, !is_plain, true]);
    table
}

impl Serialize for Part {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut part = serializer.serialize_struct("Part", 1)?;
        match self {
            Self::Words(words) => part.serialize_field("words", words)?,
            Self::Name(name) => part.serialize_field("name", name)?,
            Self::Figure(figure) => part.serialize_field("figure", figure)?,
        }
        part.end()
    }
}

impl Serialize for Figure {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut figure = serializer.serialize_struct("Figure", 4)?;
        let unit = match &self.cell {
            Cell::Count(n) => value(&mut figure, n, "count")?,
            Cell::Bytes(n) => value(&mut figure, n, "bytes")?,
            Cell::Ns(ns) => value(&mut figure, ns, "ns")?,
            Cell::Percent(pct) => value(&mut figure, pct, "pct")?,
            Cell::Rate(rate) => value(&mut figure, rate, "rate")?,
            Cell::Text(text) => value(&mut figure, text, "text")?,
            Cell::Sentence(_) | Cell::Bar(_) | Cell::NotRecorded => {
                value(&mut figure, &None::<u64>, "none")?
            }
        };
        figure.serialize_field("unit", unit)?;
        figure.serialize_field("path", &self.path)?;
        figure.serialize_field("of", &self.of)?;
        figure.end()
    }
}

/// Writes the value of a figure, and gives the name of its unit.
fn value<S: SerializeStruct>(
    figure: &mut S,
    value: &impl Serialize,
    unit: &'static str,
) -> Result<&'static str, S::Error> {
    figure.serialize_field("value", value).map(|()| unit)
}
