//! Rows by column.

use std::ops::Range;

use super::{Column, Kind, Spec, Values};

/// A row type with the definition of its table.
pub trait Row: Sync {
    /// The definition.
    const SPEC: &'static Spec;

    /// Adds the row to the columns, which are those of the definition in order.
    fn put(&self, to: &mut [Values]);
}

/// A table: typed columns of equal length.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// Key; that of the definition, but where several tables share one.
    pub key: &'static str,
    /// Title for people, likewise.
    pub title: &'static str,
    /// The definition.
    pub spec: &'static Spec,
    /// Number of rows.
    pub n_rows: usize,
    /// Sentences that belong under the table.
    pub notes: Vec<String>,
    values: Vec<Values>,
}

impl Table {
    /// The table of some rows.
    pub fn of<'a, R: Row + 'a>(rows: impl IntoIterator<Item = &'a R>) -> Self {
        let spec = R::SPEC;
        let mut values: Vec<Values> = spec.columns.iter().map(|c| Values::of(c.kind)).collect();
        let mut n_rows = 0;
        for row in rows {
            row.put(&mut values);
            n_rows += 1;
        }
        Self::of_columns(spec, n_rows, values)
    }

    /// The columns with their values, in the order of the definition.
    pub fn columns(&self) -> impl Iterator<Item = (&'static Column, &Values)> {
        self.spec.columns.iter().zip(&self.values).filter(|(column, _)| column.kind != Kind::Rows)
    }

    /// One column of some rows; `None` where there is no such column.
    pub(super) fn column(&self, key: &str, rows: Range<usize>) -> Option<Values> {
        let (_, values) = self.columns().find(|(column, _)| column.key == key)?;
        Some(values.slice(rows))
    }

    /// The table of columns, which are those of the definition in order.
    pub(super) fn of_columns(spec: &'static Spec, n_rows: usize, values: Vec<Values>) -> Self {
        Self { key: spec.key, title: spec.title, spec, n_rows, notes: Vec::new(), values }
    }

    /// The same rows under another name.
    #[must_use]
    pub fn named(self, key: &'static str, title: &'static str) -> Self {
        Self { key, title, ..self }
    }

    /// Adds a sentence under the table.
    #[must_use]
    pub fn with_note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }
}

#[cfg(test)]
#[expect(unreachable_pub, reason = "the macros define what a room shows")]
mod tests {
    use super::{Row as _, Table};
    use crate::schema::{Kind, Source, Unit, Values, tables, words};

    words! {
        /// A mood.
        Mood {
            /// Good.
            Good "good",
            /// Bad.
            Bad "bad",
        }
    }

    tables! {
        /// One part.
        PartRow: "parts", "Parts", "What is it made of?", groups 1, inside "things" "parts" {
            #[serde(skip)]
            thing: u64, Count, All, "thing", "number of the thing";
            ns: Option<i64>, Ns, All, "time", "how long";
        }

        /// One thing.
        ThingRow: "things", "Things", "What is there?", groups 0 {
            thing: u64, Count, All / First, "thing", "its number";
            mood: Option<Mood>, Text, Room, "mood", "how it feels";
            parts: Vec<PartRow>, Count, Machines, "parts", "what it is made of";
            is_big: bool, Text, Machines, "big", "whether it is big";
        }
    }

    fn thing(thing: u64, mood: Option<Mood>) -> ThingRow {
        let parts = vec![PartRow { thing, ns: None }, PartRow { thing, ns: Some(7) }];
        ThingRow { thing, mood, parts, is_big: thing > 1 }
    }

    #[test]
    fn one_definition_gives_json_and_typed_columns() {
        let rows = [thing(1, Some(Mood::Bad)), thing(u64::MAX, None)];
        assert_eq!(
            serde_json::to_string(&rows[0]).unwrap(),
            r#"{"thing":1,"mood":"bad","parts":[{"ns":null},{"ns":7}],"is_big":false}"#
        );
        let table = Table::of(&rows);
        let columns: Vec<_> = table.columns().map(|(c, values)| (c.key, values)).collect();
        let words: &[&str] = &["good", "bad"];
        let expected = [
            ("thing", &Values::Int([Some(1), None].into_iter().collect())),
            ("mood", &Values::Word([Some(1), None].into_iter().collect(), words)),
            ("is_big", &Values::Bool([Some(false), Some(true)].into_iter().collect())),
        ];
        assert_eq!(columns, expected);
    }

    #[test]
    fn a_table_without_rows_has_types() {
        let table = Table::of::<ThingRow>(&[]);
        let kinds: Vec<(Kind, bool)> =
            table.columns().map(|(c, _)| (c.kind, c.is_nullable)).collect();
        assert_eq!(
            kinds,
            [(Kind::Int, false), (Kind::Word(&["good", "bad"]), true), (Kind::Bool, false),]
        );
        assert_eq!(ThingRow::SPEC.columns[0].unit, Unit::Count);
        assert_eq!(PartRow::SPEC.inside.map(|inside| inside.member), Some("parts"));
    }

    #[test]
    fn a_source_is_made_on_demand() {
        let rows = [thing(1, None)];
        let source = Source::of(&rows).named("others", "Others").with(|table| table.with_note("n"));
        assert_eq!((source.key, source.n_rows), ("others", 1));
        let table = source.table();
        assert_eq!((table.key, table.title, table.notes.len()), ("others", "Others", 1));
    }
}
