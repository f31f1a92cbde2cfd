//! Reports as figures: what is drawn, in which roles, with exact values and units; not how it looks.
//!
//! A [`Figure`] holds plain data: durations in integer nanoseconds, sizes in bytes, and roles ([`Role`]) in place of
//! colours. Nothing here formats a number, measures text or knows a colour. What cannot be drawn says why
//! ([`FigureKind::Empty`]).

mod analyze;
mod bandwidth;
mod diff;
mod merge;
mod stages;

pub use analyze::{FIGURES_OF, analyze_figures};
pub use bandwidth::bandwidth_figures;
pub use diff::diff_figures;
pub use merge::merge_figures;
pub use stages::stages_figures;

/// What a mark stands for. A theme gives each a colour; waiting looks unlike execution in every theme.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Operators.
    CpuOp,
    /// Python.
    Python,
    /// Runtime and driver calls.
    Runtime,
    /// Loading or compiling device code.
    Loading,
    /// Work that the figure tells apart no further.
    Execution,
    /// Waiting for another process.
    IpcWait,
    /// Waiting for the device.
    GpuSync,
    /// Another wait.
    OtherWait,
    /// What no event explains.
    Unattributed,
    /// Compute kernels.
    Kernel,
    /// Collectives.
    Comm,
    /// Copies.
    Copy,
    /// Memsets.
    Memset,
    /// A prefill iteration.
    Prefill,
    /// A decode iteration.
    Decode,
    /// An iteration of prefill and decode.
    Mixed,
    /// What has no other role.
    Other,
}

impl Role {
    /// Every role, in the order of legends.
    pub const ALL: [Self; 17] = [
        Self::CpuOp,
        Self::Python,
        Self::Runtime,
        Self::Loading,
        Self::Execution,
        Self::Kernel,
        Self::Comm,
        Self::Copy,
        Self::Memset,
        Self::Prefill,
        Self::Decode,
        Self::Mixed,
        Self::IpcWait,
        Self::GpuSync,
        Self::OtherWait,
        Self::Unattributed,
        Self::Other,
    ];

    /// Name for style sheets.
    pub fn key(self) -> &'static str {
        match self {
            Self::CpuOp => "cpu-op",
            Self::Python => "python",
            Self::Runtime => "runtime",
            Self::Loading => "loading",
            Self::Execution => "execution",
            Self::IpcWait => "ipc-wait",
            Self::GpuSync => "gpu-sync",
            Self::OtherWait => "other-wait",
            Self::Unattributed => "unattributed",
            Self::Kernel => "kernel",
            Self::Comm => "comm",
            Self::Copy => "copy",
            Self::Memset => "memset",
            Self::Prefill => "prefill",
            Self::Decode => "decode",
            Self::Mixed => "mixed",
            Self::Other => "other",
        }
    }

    /// The role of a class of a thread's time, or of a cause of idle time, by its name in the machine output.
    pub fn of_class(class: &str) -> Self {
        match class {
            "ipc_wait" => Self::IpcWait,
            "gpu_sync" => Self::GpuSync,
            "other_wait" => Self::OtherWait,
            "runtime" => Self::Runtime,
            "module_loading" => Self::Loading,
            "cpu_op" => Self::CpuOp,
            "python" => Self::Python,
            "profiler" => Self::Other,
            _ => Self::Unattributed,
        }
    }
}

/// One figure.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// Key, unique within a report; the name of its file.
    pub key: &'static str,
    /// What is shown.
    pub title: String,
    /// Of what: inputs, window.
    pub subtitle: String,
    /// What is drawn.
    pub kind: FigureKind,
    /// Sentences under it: what was lost, left out or not recorded.
    pub notes: Vec<String>,
}

impl Figure {
    /// Whether there is nothing to draw, and why.
    pub fn empty_because(&self) -> Option<&str> {
        match &self.kind {
            FigureKind::Empty { because } => Some(because),
            _ => None,
        }
    }
}

/// What a figure draws.
#[derive(Clone, Debug, PartialEq)]
pub enum FigureKind {
    /// Nothing, because …
    Empty {
        /// Why, as words that can follow `because`.
        because: String,
    },
    /// Horizontal bars.
    Bars(Bars),
    /// Lanes of spans on one time axis.
    Lanes(Lanes),
    /// Who against whom.
    Matrix(Matrix),
    /// Rates over sizes, both on logarithmic axes.
    Rates(Rates),
    /// Offsets with error bars.
    Offsets(Vec<OffsetRow>),
}

/// Horizontal bars of durations.
#[derive(Clone, Debug, PartialEq)]
pub struct Bars {
    /// Rows, in the order of showing.
    pub rows: Vec<BarRow>,
    /// What the length of a bar is a share of.
    pub scale: BarScale,
}

/// What the length of a bar is a share of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BarScale {
    /// Of the row's own whole: every row is full.
    Whole,
    /// Of the longest whole: rows are as long as they took.
    Longest,
    /// Of the largest row.
    Largest,
}

/// One bar.
#[derive(Clone, Debug, PartialEq)]
pub struct BarRow {
    /// What it is of.
    pub label: String,
    /// Parts from left to right.
    pub parts: Vec<BarPart>,
    /// What the parts are shares of, in nanoseconds.
    pub whole_ns: i64,
    /// How many events the bar sums, where that is worth saying.
    pub count: Option<u64>,
}

/// One part of a bar.
#[derive(Clone, Debug, PartialEq)]
pub struct BarPart {
    /// Role.
    pub role: Role,
    /// What it is, in a word or two.
    pub name: &'static str,
    /// Length in nanoseconds.
    pub ns: i64,
    /// Whether it is what something else was held up by: drawn fainter than what was done.
    pub is_idle: bool,
}

impl BarPart {
    /// A part in which something was done.
    pub fn new(role: Role, name: &'static str, ns: i64) -> Self {
        Self { role, name, ns, is_idle: false }
    }
}

/// Lanes of spans on one time axis, which starts at 0.
#[derive(Clone, Debug, PartialEq)]
pub struct Lanes {
    /// Lanes, from top to bottom.
    pub lanes: Vec<Lane>,
    /// What 0 of the axis is.
    pub axis: &'static str,
}

/// One lane.
#[derive(Clone, Debug, PartialEq)]
pub struct Lane {
    /// What it is of.
    pub label: String,
    /// Spans by start.
    pub spans: Vec<LaneSpan>,
}

/// One span of a lane.
#[derive(Clone, Debug, PartialEq)]
pub struct LaneSpan {
    /// Role.
    pub role: Role,
    /// What kind of span it is, in a word or two: what legends say.
    pub kind: String,
    /// Its own name.
    pub name: String,
    /// Start on the axis, in nanoseconds.
    pub start_ns: i64,
    /// Length in nanoseconds.
    pub dur_ns: i64,
}

/// A matrix of durations, each a share of its row's whole.
#[derive(Clone, Debug, PartialEq)]
pub struct Matrix {
    /// What the rows are.
    pub row_axis: &'static str,
    /// What the columns are.
    pub column_axis: &'static str,
    /// What a row and a column did, before their times.
    pub verbs: (&'static str, &'static str),
    /// Names of the columns.
    pub columns: Vec<String>,
    /// Rows.
    pub rows: Vec<MatrixRow>,
}

/// One row of a matrix.
#[derive(Clone, Debug, PartialEq)]
pub struct MatrixRow {
    /// What it is of.
    pub label: String,
    /// What its cells are shares of, in nanoseconds.
    pub whole_ns: i64,
    /// Nanoseconds by column; `None` where nothing is known.
    pub cells_ns: Vec<Option<i64>>,
}

/// Rates over sizes.
#[derive(Clone, Debug, PartialEq)]
pub struct Rates {
    /// Series, each with its own mark.
    pub series: Vec<RateSeries>,
    /// Peaks as horizontal lines.
    pub peaks: Vec<(String, f64)>,
    /// What the horizontal axis is.
    pub size_axis: &'static str,
    /// What the vertical axis is; gigabytes of 10^9 bytes a second.
    pub rate_axis: &'static str,
}

/// One series of rates.
#[derive(Clone, Debug, PartialEq)]
pub struct RateSeries {
    /// Name.
    pub name: String,
    /// Role.
    pub role: Role,
    /// Points by size.
    pub points: Vec<RatePoint>,
}

/// One rate.
#[derive(Clone, Debug, PartialEq)]
pub struct RatePoint {
    /// Size in bytes.
    pub bytes: f64,
    /// Gigabytes of 10^9 bytes a second.
    pub gb_per_s: f64,
    /// How many transfers it is of.
    pub count: u64,
}

/// An offset with its error.
#[derive(Clone, Debug, PartialEq)]
pub struct OffsetRow {
    /// What it is of.
    pub label: String,
    /// Offset in nanoseconds; `None` where none could be measured.
    pub offset_ns: Option<i64>,
    /// Error in nanoseconds.
    pub error_ns: Option<i64>,
    /// How it is known, or why it is not.
    pub by: String,
}

/// `name` and where there is more than one the number of the others.
fn and_others(first: &str, n: usize) -> String {
    match n {
        0 | 1 => first.to_owned(),
        n => format!("{first} and {} more", n - 1),
    }
}

/// The last part of a path.
fn file_name(path: &str) -> &str {
    path.rsplit(['/', '\\']).next().unwrap_or(path)
}

/// The inputs in words.
fn inputs_in_words<'a>(mut paths: impl ExactSizeIterator<Item = &'a str>) -> String {
    let n = paths.len();
    paths.next().map(|path| and_others(file_name(path), n)).unwrap_or_default()
}

/// An empty figure.
fn empty(key: &'static str, title: &str, subtitle: &str, because: impl Into<String>) -> Figure {
    let kind = FigureKind::Empty { because: because.into() };
    let (title, subtitle) = (title.to_owned(), subtitle.to_owned());
    Figure { key, title, subtitle, kind, notes: Vec::new() }
}
