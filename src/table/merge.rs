//! What merging and slimming did.

use serde::Serialize;

use super::{Cell, IssueRow, Table};
use crate::schema::{self, Source, tables, words};

words! {
    /// What tells an input's base of times.
    #[derive(Default)]
    Base {
        /// The file states it.
        Stated "stated",
        /// Its times are Unix times.
        Absolute "absolute",
        /// Nothing.
        #[default]
        Unknown "unknown",
    }

    /// What tells of an input's clock.
    ClockBy {
        /// Ends of shared collectives.
        Collectives "collectives",
        /// Hand-offs in both directions.
        Handoffs "handoffs",
        /// Hand-offs in one direction: the offset is not determined.
        OneWay "handoffs_one_way",
    }
}

tables! {
    /// One input of a merged file.
    #[derive(Default)]
    MergeRow: "inputs", "Inputs on the common time line", "Where does each input lie on the common time line, and how is that known?", groups 0 {
        input: usize, Count, All / First, "#", "number of the input, in the order of the output";
        label: String, Text, All / First, "who", "how the output calls the input";
        path: String, Text, All / Subject, "path", "path as given or found";
        merged_from: Option<String>, Text, Machines, "merged from", "path of the file it was merged from, where it comes from a merged file";
        events: u64, Count, All, "events", "events of every phase";
        json_bytes: u64, Bytes, Room, "json", "size of the JSON after decompression";
        base: Base, Text, Machines, "base by", "what tells the input's timestamp 0";
        base_time_ns: Option<i64>, Ns, Machines, "base time", "Unix time of the input's timestamp 0";
        base_shift_ns: i64, Ns, Room, "base", "time added because of the file's own base";
        clock_source: Option<ClockBy>, Text, All, "clock by", "what tells of the clock: collectives, handoffs, handoffs_one_way (not determined)";
        reference: Option<usize>, Count, All, "against", "input that the offset is measured against";
        offset_ns: Option<i64>, Ns, All, "offset", "how far the clock is ahead";
        error_ns: Option<i64>, Ns, All, "± error", "every kept match lies within this of the offset";
        offset_at_least_ns: Option<i64>, Ns, Machines, "at least", "the clock is ahead by no less, as hand-offs say";
        offset_at_most_ns: Option<i64>, Ns, Machines, "at most", "the clock is ahead by no more, as hand-offs say";
        matched: u64, Count, All, "matched", "collectives or hand-offs that matched";
        dropped: u64, Count, Room, "dropped", "of these, those left out as outliers";
        correction_ns: i64, Ns, All, "applied", "correction that was added to the clock";
        first_pid: Option<i64>, Count, Room, "pid", "first pid of the input in the output";
        id_offset: u64, Count, Room, "ids +", "what is added to the ids of its flows, and to the arguments that are renumbered";
        lanes: u64, Count, Room, "lanes", "tracks added for slices that overlap without nesting";
        moved_slices: u64, Count, Machines, "moved", "slices on such tracks";
    }

    /// What went of one category.
    SlimRow: "categories", "What went", "What did slimming leave out?", groups 0, shown Always {
        category: String, Text, All, "category", "category; phases without one in parentheses";
        events: u64, Count, All, "events", "events of the input";
        bytes: u64, Bytes, All, "bytes", "bytes of these events in the input";
        gone_events: u64, Count, All, "gone", "events that went";
        gone_bytes: u64, Bytes, All, "gone bytes", "bytes of the events that went";
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
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
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
    /// The tables.
    pub fn tables(&self) -> Vec<Source<'_>> {
        let inputs = Source::of(&self.inputs);
        let warned = |table| {
            let table = self.warnings.iter().fold(table, schema::Table::with_note);
            self.with_renumbered(table)
        };
        vec![inputs.with(warned), Source::of(&self.issues)]
    }

    fn with_renumbered(&self, table: schema::Table) -> schema::Table {
        if self.renumbered_arguments.is_empty() {
            return table;
        }
        table.with_note(format!(
            "renumbered by ids +, because they are unique only within a file: ids of flows, and the arguments {}; other \
             arguments are as written",
            self.renumbered_arguments.join(", ")
        ))
    }

    /// A table as people see it: where nothing tells the base, nothing is known of a shift.
    pub fn view(&self, source: &Source<'_>) -> Table {
        let mut table = Table::view(&source.table());
        let shift = table.columns.iter().position(|column| column.key == "base_shift_ns");
        if let Some(shift) = shift {
            let rows = self.inputs.iter().zip(&mut table.rows);
            let unknown = rows.filter(|(row, _)| row.base == Base::Unknown);
            unknown.for_each(|(_, cells)| cells[shift] = Cell::NotRecorded);
        }
        table
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
    /// The tables.
    pub fn tables(&self) -> Vec<Source<'_>> {
        let note = || {
            let (waits, before) = (self.collapsed_waits, self.json_bytes);
            format!(
                "{waits} waits collapsed; {before} bytes of JSON became {}",
                self.output.text_bytes
            )
        };
        let categories = Source::of(&self.categories);
        vec![categories.with(move |table| table.with_note(note())), Source::of(&self.issues)]
    }
}
