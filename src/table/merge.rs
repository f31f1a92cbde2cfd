//! What merging and slimming did, as rows.

use serde::Serialize;

use crate::schema;

use super::{Cell, Column, IssueRow, Table, TableRow, Unit};

/// One input of a merged file: where it lies on the common time line.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct MergeRow {
    /// Number of the input, in the order of the output.
    pub input: usize,
    /// How the output calls it.
    pub label: String,
    /// Path as given or found.
    pub path: String,
    /// Path of the file it was merged from, where it comes from a merged file.
    pub merged_from: Option<String>,
    /// Events of every phase.
    pub events: u64,
    /// Bytes of JSON after decompression.
    pub json_bytes: u64,
    /// `stated`, `absolute` or `unknown`.
    pub base: &'static str,
    /// Unix time of the input's timestamp 0, in nanoseconds.
    pub base_time_ns: Option<i64>,
    /// Nanoseconds added because of the base.
    pub base_shift_ns: i64,
    /// What tells of the clock: `collectives`, `handoffs`, `handoffs_one_way` (not determined); `None` where nothing does.
    pub clock_source: Option<&'static str>,
    /// The input that the offset is measured against.
    pub reference: Option<usize>,
    /// How far the clock is ahead of the reference's, in nanoseconds.
    pub offset_ns: Option<i64>,
    /// Every kept match lies within this of the offset, in nanoseconds.
    pub error_ns: Option<i64>,
    /// The clock is ahead by no less, as hand-offs say, in nanoseconds.
    pub offset_at_least_ns: Option<i64>,
    /// The clock is ahead by no more, as hand-offs say, in nanoseconds.
    pub offset_at_most_ns: Option<i64>,
    /// Collectives or hand-offs that matched.
    pub matched: u64,
    /// Of these, those left out for lying far from the others.
    pub dropped: u64,
    /// The correction that was applied, in nanoseconds.
    pub correction_ns: i64,
    /// First pid of the input in the output.
    pub first_pid: Option<i64>,
    /// What is added to the ids of its flows and to the arguments in [`MergeReport::renumbered_arguments`].
    pub id_offset: u64,
    /// Lanes added for slices that overlap without nesting.
    pub lanes: u64,
    /// Slices on such lanes.
    pub moved_slices: u64,
}

impl TableRow for MergeRow {
    const COLUMNS: &'static [Column] = &[
        Column::new("#", "input", Unit::Count, "number of the input, in the order of the output"),
        Column::new("who", "label", Unit::Text, "how the output calls the input"),
        Column::new("events", "events", Unit::Count, "events of every phase"),
        Column::new("json", "json_bytes", Unit::Bytes, "size of the JSON after decompression"),
        Column::new("base", "base_shift_ns", Unit::Ns, "time added because of the file's own base"),
        Column::new(
            "clock by",
            "clock_source",
            Unit::Text,
            "what tells of the clock: collectives, handoffs, handoffs_one_way (not determined)",
        ),
        Column::new(
            "against",
            "reference",
            Unit::Count,
            "input that the offset is measured against",
        ),
        Column::new("offset", "offset_ns", Unit::Ns, "how far the clock is ahead"),
        Column::new(
            "± error",
            "error_ns",
            Unit::Ns,
            "every kept match lies within this of the offset",
        ),
        Column::new("matched", "matched", Unit::Count, "collectives or hand-offs that matched"),
        Column::new("dropped", "dropped", Unit::Count, "of these, those left out as outliers"),
        Column::new("applied", "correction_ns", Unit::Ns, "correction that was added to the clock"),
        Column::new("pid", "first_pid", Unit::Count, "first pid of the input in the output"),
        Column::new("ids +", "id_offset", Unit::Count, "what is added to ids of the input"),
        Column::new(
            "lanes",
            "lanes",
            Unit::Count,
            "tracks added for slices that overlap without nesting",
        ),
        Column::new("path", "path", Unit::Text, "path as given or found"),
    ];

    fn cells(&self) -> Vec<Cell> {
        let count = |value: Option<u64>| Cell::or_none(value, Cell::Count);
        vec![
            Cell::Count(self.input as u64),
            Cell::Text(self.label.clone()),
            Cell::Count(self.events),
            Cell::Bytes(self.json_bytes),
            if self.base == "unknown" { Cell::NotRecorded } else { Cell::Ns(self.base_shift_ns) },
            Cell::or_none(self.clock_source.map(str::to_owned), Cell::Text),
            count(self.reference.map(|reference| reference as u64)),
            Cell::or_none(self.offset_ns, Cell::Ns),
            Cell::or_none(self.error_ns, Cell::Ns),
            Cell::Count(self.matched),
            Cell::Count(self.dropped),
            Cell::Ns(self.correction_ns),
            count(self.first_pid.and_then(|pid| u64::try_from(pid).ok())),
            Cell::Count(self.id_offset),
            Cell::Count(self.lanes),
            Cell::Text(self.path.clone()),
        ]
    }
}

/// The machine output of `merge`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct MergeReport {
    /// [`super::SCHEMA_VERSION`].
    pub schema_version: u32,
    /// `merge`.
    pub command: &'static str,
    /// The output, in the order of which inputs stand.
    pub output: OutputRow,
    /// Inputs, in the order of the output.
    pub inputs: Vec<MergeRow>,
    /// Arguments whose values are renumbered, by [`MergeRow::id_offset`]; empty where every id stays as it is.
    pub renumbered_arguments: Vec<&'static str>,
    /// What is worth knowing about who the inputs claim to be.
    pub warnings: Vec<String>,
    /// What was odd, by input.
    pub issues: Vec<IssueRow>,
}

/// The file that was written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct OutputRow {
    /// Its path.
    pub path: String,
    /// Bytes on disk; `None` for standard output.
    pub bytes: Option<u64>,
    /// Bytes before compression.
    pub text_bytes: u64,
    /// Unix time of 0, in nanoseconds.
    pub base_time_ns: Option<i64>,
}

impl MergeReport {
    /// The tables for people.
    pub fn tables(&self) -> Vec<Table> {
        let mut table = Table::of("inputs", "Inputs on the common time line", &self.inputs);
        for warning in &self.warnings {
            table = table.with_note(warning.clone());
        }
        if !self.renumbered_arguments.is_empty() {
            table = table.with_note(format!(
                "renumbered by ids +, because they are unique only within a file: ids of flows, and the arguments {}; other \
                 arguments are as written",
                self.renumbered_arguments.join(", ")
            ));
        }
        let mut tables = vec![table];
        if !self.issues.is_empty() {
            tables.push(Table::view(&schema::Table::of(&self.issues)));
        }
        tables
    }
}

/// What went of one category.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SlimRow {
    /// Category; phases without one in parentheses.
    pub category: String,
    /// Events of the input.
    pub events: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Events that went.
    pub gone_events: u64,
    /// Their bytes.
    pub gone_bytes: u64,
}

impl TableRow for SlimRow {
    const COLUMNS: &'static [Column] = &[
        Column::new(
            "category",
            "category",
            Unit::Text,
            "category; phases without one in parentheses",
        ),
        Column::new("events", "events", Unit::Count, "events of the input"),
        Column::new("bytes", "bytes", Unit::Bytes, "bytes of these events in the input"),
        Column::new("gone", "gone_events", Unit::Count, "events that went"),
        Column::new("gone bytes", "gone_bytes", Unit::Bytes, "bytes of the events that went"),
    ];

    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::Text(self.category.clone()),
            Cell::Count(self.events),
            Cell::Bytes(self.bytes),
            Cell::Count(self.gone_events),
            Cell::Bytes(self.gone_bytes),
        ]
    }
}

/// The machine output of `slim`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct SlimReport {
    /// [`super::SCHEMA_VERSION`].
    pub schema_version: u32,
    /// `slim`.
    pub command: &'static str,
    /// The file that was written.
    pub output: OutputRow,
    /// Bytes of JSON of the input after decompression.
    pub json_bytes: u64,
    /// Waits that were collapsed.
    pub collapsed_waits: u64,
    /// What went, by category, the most bytes first.
    pub categories: Vec<SlimRow>,
    /// What was odd.
    pub issues: Vec<IssueRow>,
}

impl SlimReport {
    /// The tables for people.
    pub fn tables(&self) -> Vec<Table> {
        let note = format!(
            "{} waits collapsed; {} bytes of JSON became {}",
            self.collapsed_waits, self.json_bytes, self.output.text_bytes
        );
        let mut tables =
            vec![Table::of("categories", "What went", &self.categories).with_note(note)];
        if !self.issues.is_empty() {
            tables.push(Table::view(&schema::Table::of(&self.issues)));
        }
        tables
    }
}
