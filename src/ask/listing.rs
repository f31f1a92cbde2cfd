//! Every table with its columns: what `schema` lists, and `docs/tables.md` holds.

use serde::Serialize;

use crate::recorded;
use crate::schema::{Kind, Row as _, Source, Spec, tables};
use crate::table::causal::{CriticalPathReport, WhatIfReport};
use crate::table::diff::DiffReport;
use crate::table::stages::StagesReport;
use crate::table::{
    AnalyzeReport, BandwidthReport, CheckReport, MergeReport, SCHEMA_VERSION, SlimReport, Table,
};

tables! {
    /// One column of one table.
    ColumnRow: "columns", "Columns", "What is in the columns of a table?", groups 2, inside "tables" "columns" {
        #[serde(skip)]
        commands: Vec<String>, Text, All, "of", "commands that give the table";
        #[serde(skip)]
        table: &'static str, Text, All, "table", "key of the table";
        key: &'static str, Text, All, "column", "key of the column in CSV and in the machine output";
        unit: Option<&'static str>, Text, All, "unit", "what its numbers count: count, ns, bytes, percent, rate; none of words";
        kind: &'static str, Text, All, "kind", "integer, float, boolean, text, word (of a closed list) or list (of texts)";
        nullable: bool, Text, All, "nullable", "whether a value may be missing: not recorded is not zero";
        words: Vec<String>, Text, Machines, "words", "the closed list";
        meaning: String, Prose, All / Last, "meaning", "what it means";
    }

    /// One table.
    TableRow: "tables", "Tables", "Which tables are there, and what do they answer?", groups 0 {
        key: &'static str, Text, All, "table", "key, as --table takes it";
        commands: Vec<String>, Text, All, "of", "commands that give it";
        title: &'static str, Text, Machines, "title", "title for people";
        question: &'static str, Prose, All / Last, "answers", "the question that it answers";
        inside_table: Option<&'static str>, Text, Machines, "inside", "the table in whose rows its rows stand in the machine output";
        inside_member: Option<&'static str>, Text, Machines, "member", "the member of those rows that holds them";
        columns: Vec<ColumnRow>, Text, Machines, "columns", "its columns, in the order of CSV";
    }
}

/// The machine output of `schema`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Listing {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// `schema`.
    pub command: &'static str,
    /// The tables, by command and in the order of reading.
    pub tables: Vec<TableRow>,
}

impl Listing {
    /// The tables whose key is among `keys`, or all where none is given.
    pub fn of(keys: &[String]) -> Self {
        let mut tables: Vec<(&Spec, TableRow)> = Vec::new();
        for (command, key, title, spec) in known() {
            let is_wanted = keys.is_empty() || keys.iter().any(|wanted| wanted == key);
            let is_same = |(other, row): &&mut (&Spec, TableRow)| *other == spec && row.key == key;
            match tables.iter_mut().find(is_same) {
                Some((_, row)) => row.commands.push(command.to_owned()),
                None if is_wanted => tables.push((spec, row(command, key, title, spec))),
                None => {}
            }
        }
        let mut tables: Vec<TableRow> = tables.into_iter().map(|(_, row)| row).collect();
        for table in &mut tables {
            let commands = &table.commands;
            table.columns.iter_mut().for_each(|column| column.commands.clone_from(commands));
        }
        Self { schema_version: SCHEMA_VERSION, command: "schema", tables }
    }

    /// Every column of every table, as one table.
    pub fn columns(&self) -> Vec<ColumnRow> {
        self.tables.iter().flat_map(|table| table.columns.iter().cloned()).collect()
    }

    /// The list of tables as people see it.
    pub fn overview(&self) -> Table {
        Table::view(&crate::schema::Table::of(&self.tables)).with_note(IN_CSV)
    }

    /// Each table for people, under its title.
    pub fn views(&self) -> impl Iterator<Item = Table> {
        self.tables.iter().map(|table| {
            let mut view = Table::view(&crate::schema::Table::of(&table.columns)).without_groups();
            view.title = format!("{}: {} ({})", table.key, table.title, table.commands.join(", "));
            let view = view.with_note(table.question);
            match table.inside_table.zip(table.inside_member) {
                Some((of, member)) => view.with_note(format!(
                    "in the machine output its rows stand in `{member}` of the rows of `{of}`, without the columns that those have"
                )),
                None => view,
            }
        })
    }
}

/// What CSV does to texts.
const IN_CSV: &str = "in CSV a text that begins with = + - @, a tab or a line end, and is no number, has an apostrophe before it, so that \
                      spreadsheets take it for text; --csv-raw leaves it as it is, and the machine output always does";

/// The tables of a command, each with the question that it answers.
pub fn tables_of(command: &str) -> Vec<(&'static str, &'static str)> {
    let own = known().into_iter().filter(|(of, ..)| *of == command);
    own.map(|(_, key, _, spec)| (key, spec.question)).collect()
}

/// The first command that has a table of a key.
pub fn command_of(key: &str) -> Option<&'static str> {
    known().into_iter().find(|(_, known, ..)| *known == key).map(|(command, ..)| command)
}

/// Keys of all tables.
pub fn table_keys() -> Vec<&'static str> {
    let mut keys: Vec<&str> = known().into_iter().map(|(_, key, ..)| key).collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

/// Every table: command, key, title, definition.
fn known() -> Vec<(&'static str, &'static str, &'static str, &'static Spec)> {
    let analyze = AnalyzeReport::default();
    let (bandwidth, stages) = (BandwidthReport::default(), StagesReport::default());
    let (merge, slim) = (MergeReport::default(), SlimReport::default());
    let check = CheckReport::default();
    let diff = DiffReport::default();
    let (path, what_if) = (CriticalPathReport::default(), WhatIfReport::default());
    let commands: [(&str, Vec<Source<'_>>); 9] = [
        ("analyze", analyze.tables(|_| true)),
        ("bandwidth", bandwidth.tables()),
        ("stages", stages.tables()),
        ("merge", merge.tables()),
        ("slim", slim.tables()),
        ("check", check.tables()),
        ("diff", diff.tables()),
        ("critical-path", path.tables()),
        ("what-if", what_if.tables()),
    ];
    let mut all = Vec::new();
    for (command, sources) in commands {
        all.extend(sources.iter().map(|one| (command, one.key, one.title, one.spec)));
    }
    all.extend(recorded::SPECS.iter().map(|spec| ("query", spec.key, spec.title, *spec)));
    for own in [TableRow::SPEC, ColumnRow::SPEC] {
        all.push(("schema", own.key, own.title, own));
    }
    all
}

fn row(
    command: &'static str,
    key: &'static str,
    title: &'static str,
    spec: &'static Spec,
) -> TableRow {
    let columns = spec.columns.iter().filter(|column| column.kind != Kind::Rows);
    let column = |column: &crate::schema::Column| ColumnRow {
        commands: Vec::new(),
        table: key,
        key: column.key,
        unit: column.unit.name(),
        kind: column.kind.name(),
        nullable: column.is_nullable,
        words: column.kind.words().iter().map(|&word| word.to_owned()).collect(),
        meaning: meaning(column),
    };
    TableRow {
        key,
        commands: vec![command.to_owned()],
        title,
        question: spec.question,
        inside_table: spec.inside.map(|inside| inside.table),
        inside_member: spec.inside.map(|inside| inside.member),
        columns: columns.map(column).collect(),
    }
}

/// The meaning of a column; of a closed list with its words, where the sentence does not name them.
fn meaning(column: &crate::schema::Column) -> String {
    let words = column.kind.words();
    if words.iter().all(|word| column.doc.contains(word)) {
        return column.doc.to_owned();
    }
    format!("{}: {}", column.doc, words.join(", "))
}
