//! What `check` says of files: verdict, losses, fitness, trust.

use serde::Serialize;

use super::{Cell, IssueKind, IssueRow, OutputRow, Table, TrustRow, over_inputs};
use crate::analyze::fitness::{FitRow, NeedRow};
use crate::schema::{Source, tables, words};

words! {
    /// What a file is.
    Condition {
        /// As its writer meant it.
        Clean "clean",
        /// Damaged, but nothing is missing.
        Repaired "repaired",
        /// Something of it is missing.
        Salvaged "salvaged",
        /// Nothing of it can be read.
        Unreadable "unreadable",
    }
}

tables! {
    /// One file, or one of the inputs that a merged file was made of.
    FileRow: "files", "Files", "What is each file worth?", groups 0, shown Always {
        input: usize, Count, All / First, "#", "number of the file in the other tables";
        verdict: Condition, Text, All, "verdict", "clean; repaired: damaged, but nothing is missing; salvaged: something is missing; unreadable";
        events: Option<u64>, Count, All, "events", "events that were read";
        lost_at_least: Option<u64>, Count, All, "lost", "events and places that are counted as lost: there are no fewer";
        lost_about: Option<u64>, Count, All, "about", "about how many events the bytes held that were passed over, by what the others hold; none where nothing tells";
        lost_bytes: Option<u64>, Bytes, All, "passed over", "bytes of text that were passed over; of a damaged compressed stream about as many as it would have been";
        window_ns: Option<i64>, Ns, All, "window", "the profiled interval";
        bytes: Option<u64>, Bytes, Room, "file", "size of the file as stored";
        json_bytes: Option<u64>, Bytes, Room, "json", "size of its text";
        path: String, Text, All / Subject, "path", "path as given or found";
        problem: String, Prose, All / Last, "problem", "the worst that was found; empty where nothing was";
    }

    /// What one kind of damage took from one file.
    LossRow: "losses", "Losses", "What is missing, and where?", groups 0 {
        input: usize, Count, All / First, "#", "number of the file";
        kind: IssueKind, Text, All, "kind", "kind of the issue";
        count: u64, Count, All, "at least", "events and places that were counted: no fewer are missing";
        about: Option<u64>, Count, All, "about", "about how many events the bytes held; none where nothing tells";
        bytes: Option<u64>, Bytes, All, "bytes", "bytes that were passed over: of the compressed file for a damaged stream, else of its text";
        first_offset: Option<u64>, Count, Room, "first at byte", "offset of the first one in the decompressed input";
        not_before_ns: Option<i64>, Ns, All, "not before", "nothing missing began earlier, after the start of the window";
        not_after_ns: Option<i64>, Ns, All, "not after", "nothing missing ended later, after the start of the window; none where the file does not say when profiling ended";
        meaning: String, Prose, All / Last, "meaning", "what it means";
    }
}

/// The machine output of `check`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct CheckReport {
    /// [`super::SCHEMA_VERSION`].
    pub schema_version: u32,
    /// `check`.
    pub command: &'static str,
    /// The files, in the order given or found.
    pub files: Vec<FileRow>,
    /// What is missing, by file.
    pub losses: Vec<LossRow>,
    /// Which questions each file answers.
    pub fit: Vec<FitRow>,
    /// Whether each file holds what is needed.
    pub needs: Vec<NeedRow>,
    /// How far the figures can be trusted: every check of every file.
    pub trust: Vec<TrustRow>,
    /// What was odd, by file.
    pub issues: Vec<IssueRow>,
    /// The repaired file, where one was asked for.
    pub repaired: Option<OutputRow>,
}

impl CheckReport {
    /// The tables, in the order of reading.
    pub fn tables(&self) -> Vec<Source<'_>> {
        vec![
            Source::of(&self.files),
            Source::of(&self.losses),
            Source::of(&self.fit),
            Source::of(&self.needs),
            Source::of(&self.trust),
            Source::of(&self.issues),
        ]
    }

    /// The questions as people read them; of several files without numbers, so that files that answer alike stand in one line.
    pub fn fit_summary(&self) -> Table {
        let table = Table::of(&self.fit);
        let n_files = self.files.len();
        if n_files < 2 {
            return table;
        }
        let table = table.keeping(|column| !column.is_summed);
        let mut table = over_inputs::all_together(table, n_files);
        let question = |row: &Vec<Cell>| {
            self.fit.iter().position(|fit| row[1] == Cell::Text(fit.question.as_str().to_owned()))
        };
        table.rows.sort_by_key(question);
        table.n_group_columns = 0;
        table
    }

    /// What was needed and is not there, by file: the path and the words.
    pub fn unmet(&self) -> Vec<(&str, Vec<&'static str>)> {
        let of_file = |file: &FileRow| {
            let unmet = |need: &&NeedRow| need.input == file.input && need.asked && !need.met;
            self.needs.iter().filter(unmet).map(|need| need.need.as_str()).collect::<Vec<_>>()
        };
        let all = self.files.iter().map(|file| (file.path.as_str(), of_file(file)));
        all.filter(|(_, unmet)| !unmet.is_empty()).collect()
    }
}
