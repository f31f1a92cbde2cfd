//! The verdict as a table and as rows of the machine output.

use serde::ser::{Serialize, SerializeStruct, Serializer};

use super::{Figure, Part, Tone, Verdict};
use crate::schema::{Kind, Row as _, Seen, Value, Values, tables};
use crate::table::{Cell, Table};

tables! {
    /// One sentence of the verdict.
    VerdictRow: "verdict", "Verdict", "What do the figures come to?", groups 1 {
        about: String, Text, All, "of", "what the sentence is about: an input as it is called, or all of them";
        tone: Tone, Text, All, "tone", "finding, caution (what cannot be told, or only with care) or loss (data was lost)";
        table: &'static str, Text, Machines, "table", "the table with its figures";
        sentence: Vec<Part>, Prose, All / Last, "sentence", "what the figures come to; in the machine output its parts: words, a name of the trace, or a figure with its exact value, the unit, the JSON pointer path of the field, and of, that of the whole, where the figure is a share; the path of a list stands for its length";
    }
}

impl Value for Vec<Part> {
    const KIND: Kind = Kind::Sentence;

    fn put(&self, _to: &mut Values) {}
}

impl VerdictRow {
    /// The sentences of some verdicts, in order.
    pub fn of(verdicts: Vec<Verdict>) -> Vec<Self> {
        let rows = |verdict: Verdict| {
            let about = verdict.about;
            let row = move |sentence: super::Sentence| Self {
                about: about.clone(),
                tone: sentence.tone,
                table: sentence.table.1,
                sentence: sentence.parts,
            };
            verdict.sentences.into_iter().map(row)
        };
        verdicts.into_iter().flat_map(rows).collect()
    }
}

/// The table with its sentences.
pub(in crate::table) fn verdict_view(rows: &[VerdictRow]) -> Table {
    let spec = VerdictRow::SPEC;
    let cells = |row: &VerdictRow| {
        let (about, tone) =
            (Cell::Text(row.about.clone()), Cell::Text(row.tone.as_str().to_owned()));
        let table = Cell::Text(row.table.to_owned());
        vec![about, tone, table, Cell::Sentence(row.sentence.clone())]
    };
    Table {
        key: spec.key,
        title: spec.title.to_owned(),
        columns: spec.columns.to_vec(),
        rows: rows.iter().map(cells).collect(),
        n_group_columns: spec.n_groups,
        notes: Vec::new(),
    }
}

/// The table for people: only what is no finding has a tone.
pub fn verdict_summary(mut table: Table) -> Table {
    let finding = Cell::Text(Tone::Finding.as_str().to_owned());
    let Some(tone) = table.columns.iter().position(|column| column.key == "tone") else {
        return table;
    };
    let is_plain = table.rows.iter().all(|row| row[tone] == finding);
    let findings = table.rows.iter_mut().filter(|row| row[tone] == finding);
    findings.for_each(|row| row[tone] = Cell::Text(String::new()));
    table.keeping(|column| column.seen != Seen::Machines && !(is_plain && column.key == "tone"))
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

#[cfg(test)]
mod tests {
    use crate::schema::{Pointer, pointer};
    use crate::table::{AnalyzeReport, BlameCellRow, BlameRow, DeviceRow, IdleRow};

    #[test]
    fn pointers_follow_the_definitions() {
        let at = Pointer::<DeviceRow>::row(3);
        assert_eq!(pointer!(at.busy_ns), "/devices/3/busy_ns");
        let inside = at.inside::<IdleRow>(2);
        assert_eq!(pointer!(inside.ns), "/devices/3/idle_by_cause/2/ns");
        let around = Pointer::<BlameRow>::around::<BlameCellRow>(1);
        assert_eq!(pointer!(around.busy), "/blame/1/busy");
        let root = Pointer::<AnalyzeReport>::root();
        assert_eq!(pointer!(root.inputs), "/inputs");
    }
}
