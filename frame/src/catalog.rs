//! The tables that SQL sees, by name, and their columns.
//!
//! They are those of `omni-trace schema`, with the same keys. A table whose rows are of one input each also has the stage
//! and the rank of that input. Knows no trace: the names are the same for all.

use omni_trace::schema::near;
use omni_trace::{Column, Of, TableInfo, Unit, tables};

use crate::trouble::Trouble;

/// The column that says which input a row is of.
pub const INPUT: &str = "input";
/// The column of its stage.
pub const STAGE: &str = "stage";
/// The column of its rank.
pub const RANK: &str = "rank";

/// A column that the input of a row gives.
const ADDED: [(&str, &str); 2] = [
    (STAGE, "stage of the input that the row is of"),
    (RANK, "rank of the input that the row is of"),
];

/// One table.
#[derive(Clone, Debug)]
pub struct Known {
    /// Its name in SQL.
    pub name: &'static str,
    /// The question that it answers.
    pub question: &'static str,
    /// Which question gives it.
    pub of: Of,
    /// Its columns, in the order of CSV.
    pub columns: Vec<Named>,
}

/// One column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// Its name in SQL.
    pub key: &'static str,
    /// What its numbers count; `None` of words.
    pub unit: Option<&'static str>,
    /// What is stored.
    pub kind: &'static str,
    /// What it means.
    pub doc: String,
    /// Whether it is that of the row's input.
    pub is_added: bool,
}

impl Known {
    fn of(table: &'static TableInfo) -> Self {
        let mut columns: Vec<Named> = table.spec.value_columns().map(Named::of).collect();
        let has = |columns: &[Named], key| columns.iter().any(|column: &Named| column.key == key);
        // The inputs of logs are logs, which have neither.
        if table.of != Of::Stages && has(&columns, INPUT) {
            let added = ADDED.iter().filter(|(key, _)| !has(&columns, key)).map(Named::added);
            let added: Vec<Named> = added.collect();
            columns.extend(added);
        }
        Self { name: &table.name, question: table.spec.question, of: table.of, columns }
    }

    /// One of its columns.
    pub fn column(&self, key: &str) -> Option<&Named> {
        self.columns.iter().find(|column| column.key == key)
    }
}

impl Named {
    fn of(column: &'static Column) -> Self {
        let words = column.kind.words();
        let is_told = words.iter().all(|word| column.doc.contains(word));
        let doc = if is_told {
            column.doc.to_owned()
        } else {
            format!("{}: {}", column.doc, words.join(", "))
        };
        Self {
            key: column.key,
            unit: column.unit.name(),
            kind: column.kind.name(),
            doc,
            is_added: false,
        }
    }

    fn added(&(key, doc): &(&'static str, &str)) -> Self {
        Self { key, unit: Unit::Count.name(), kind: "integer", doc: doc.to_owned(), is_added: true }
    }
}

/// All tables.
#[derive(Clone, Debug)]
pub struct Catalog {
    /// The tables, those of events first.
    pub tables: Vec<Known>,
}

impl Catalog {
    /// All tables that there are.
    pub fn new() -> Self {
        Self { tables: tables().iter().map(Known::of).collect() }
    }

    /// A table by name.
    pub fn table(&self, name: &str) -> Option<&Known> {
        self.tables.iter().find(|table| table.name == name)
    }

    /// A table by name, or what to type instead. `made` are names that statements before have made.
    pub fn find<'m>(
        &self,
        name: &str,
        made: impl IntoIterator<Item = &'m str>,
    ) -> Result<&Known, Trouble> {
        self.table(name).ok_or_else(|| {
            let all: Vec<&str> = self.tables.iter().map(|table| table.name).chain(made).collect();
            let hint = near::hint(name, all).unwrap_or_else(|| "SHOW TABLES lists them".to_owned());
            Trouble::new(format!("there is no table `{name}`"), hint)
        })
    }
}

impl Default for Catalog {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::Catalog;

    #[test]
    fn names_are_plain_and_each_is_there_once() {
        let catalog = Catalog::new();
        let is_plain = |name: &str| {
            name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        };
        let mut names = BTreeSet::new();
        for table in &catalog.tables {
            assert!(names.insert(table.name) && is_plain(table.name), "{}", table.name);
            let mut keys = BTreeSet::new();
            for column in &table.columns {
                assert!(
                    keys.insert(column.key) && is_plain(column.key),
                    "{}.{}",
                    table.name,
                    column.key
                );
                assert!(!column.doc.is_empty(), "{}.{}", table.name, column.key);
            }
        }
    }

    #[test]
    fn rows_of_an_input_have_its_stage_and_rank() {
        let catalog = Catalog::new();
        let has = |table: &str, key: &str| catalog.table(table).unwrap().column(key).is_some();
        assert!(has("events", "stage") && has("events", "rank") && has("devices", "rank"));
        assert!(!has("kernels", "stage"), "kernels are of all inputs together");
    }

    #[test]
    fn wrong_names_are_told_with_the_nearest() {
        let catalog = Catalog::new();
        let trouble = catalog.find("kernles", []).unwrap_err();
        assert_eq!(trouble.what, "there is no table `kernles`");
        assert_eq!(trouble.hint.as_deref(), Some("did you mean kernels?"));
        let trouble = catalog.find("mine", ["mine_too"]).unwrap_err();
        assert!(trouble.hint.unwrap().contains("mine_too"));
    }
}
