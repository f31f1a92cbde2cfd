//! The inputs and what was odd about them.

use serde::Serialize;

use super::{Cell, Column, TableRow, Unit};

/// One input file, as the machine output gives it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct InputRow {
    /// Path as given or found; `-` for standard input.
    pub path: String,
    /// Stage of a multi-stage pipeline.
    pub stage: Option<u32>,
    /// Rank.
    pub rank: Option<u32>,
    /// Ranks in the process group.
    pub world_size: Option<u32>,
    /// Process ids of the host processes in the file.
    pub pids: Vec<i64>,
    /// Bytes of the file as stored; `None` for standard input.
    pub bytes: Option<u64>,
    /// Bytes of JSON after decompression.
    pub json_bytes: u64,
    /// Events of every phase.
    pub events: u64,
    /// Unix time of timestamp 0, in nanoseconds.
    pub base_time_ns: Option<i64>,
    /// The profiled interval in nanoseconds.
    pub window_ns: Option<i64>,
    /// Whether the file ends early.
    pub truncated: bool,
    /// What is known of stage, rank and role, in words.
    pub label: String,
    /// Whether the figures can be trusted: `complete`, or what is missing.
    pub trust: String,
    /// Number of this input: what `input` means in the other tables.
    pub input: usize,
}

impl TableRow for InputRow {
    const COLUMNS: &'static [Column] = &[
        Column::new("#", "input", Unit::Count, "number of the input in the other tables"),
        Column::new("events", "events", Unit::Count, "events of every phase"),
        Column::new("file", "bytes", Unit::Bytes, "size of the file as stored"),
        Column::new("json", "json_bytes", Unit::Bytes, "size of the JSON after decompression"),
        Column::new("window", "window_ns", Unit::Ns, "the profiled interval of the file"),
        Column::new("who", "label", Unit::Text, "stage, rank and role, as far as known"),
        Column::new("trust", "trust", Unit::Text, "complete, or what is missing"),
        Column::new("path", "path", Unit::Text, "path as given or found"),
    ];

    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::Count(self.input as u64),
            Cell::Count(self.events),
            Cell::or_none(self.bytes, Cell::Bytes),
            Cell::Bytes(self.json_bytes),
            Cell::or_none(self.window_ns, Cell::Ns),
            if self.label.is_empty() { Cell::NotRecorded } else { Cell::Text(self.label.clone()) },
            Cell::Text(self.trust.clone()),
            Cell::Text(self.path.clone()),
        ]
    }
}

/// One kind of issue of one input, as the machine output gives it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct IssueRow {
    /// `info`, `notice`, `data_loss` or `error`.
    pub severity: &'static str,
    /// Kind.
    pub kind: &'static str,
    /// How often.
    pub count: u64,
    /// Offset of the first in the decompressed input, in bytes.
    pub first_offset: Option<u64>,
    /// What it means.
    pub message: String,
    /// The input.
    pub input: usize,
}

impl TableRow for IssueRow {
    const COLUMNS: &'static [Column] = &[
        Column::new("#", "input", Unit::Count, "number of the input"),
        Column::new("severity", "severity", Unit::Text, "info, notice, data_loss or error"),
        Column::new("kind", "kind", Unit::Text, "kind of the issue"),
        Column::new("count", "count", Unit::Count, "how often"),
        Column::new(
            "first at byte",
            "first_offset",
            Unit::Count,
            "offset of the first one in the decompressed input",
        ),
        Column::new("meaning", "message", Unit::Text, "what it means for the figures"),
    ];

    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::Count(self.input as u64),
            Cell::Text(self.severity.to_owned()),
            Cell::Text(self.kind.to_owned()),
            Cell::Count(self.count),
            Cell::or_none(self.first_offset, Cell::Count),
            Cell::sentence(self.message.clone()),
        ]
    }
}
