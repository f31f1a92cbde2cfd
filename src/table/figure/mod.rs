//! Reports as figures: what is drawn, in which roles, with exact values and units; not how it looks.
//!
//! A [`Figure`] holds plain data: durations in integer nanoseconds, sizes in bytes, and roles ([`Role`]) in place of
//! colours. Nothing here formats a number, measures text or knows a colour. What cannot be drawn says why
//! ([`FigureKind::Empty`]).

mod analyze;
mod bandwidth;
mod device_use;
mod diff;
mod merge;
mod stages;

pub use analyze::{FIGURES_OF, analyze_figures};
pub use bandwidth::bandwidth_figures;
pub use diff::diff_figures;
pub use merge::merge_figures;
pub use stages::stages_figures;

use crate::analyze::timeline::Class;
use crate::model::named;

named! {
    /// What a mark stands for, in the order of legends. A theme gives each a colour; waiting looks unlike execution in every theme.
    Role {
        /// Operators.
        CpuOp "cpu-op",
        /// Python.
        Python "python",
        /// Runtime and driver calls.
        Runtime "runtime",
        /// Loading or compiling device code.
        Loading "loading",
        /// Work that the figure tells apart no further.
        Execution "execution",
        /// Compute kernels.
        Kernel "kernel",
        /// Collectives.
        Comm "comm",
        /// Copies.
        Copy "copy",
        /// Memsets.
        Memset "memset",
        /// A prefill iteration.
        Prefill "prefill",
        /// A decode iteration.
        Decode "decode",
        /// An iteration of prefill and decode.
        Mixed "mixed",
        /// Waiting for another process.
        IpcWait "ipc-wait",
        /// Waiting for the device.
        GpuSync "gpu-sync",
        /// Another wait.
        OtherWait "other-wait",
        /// What no event explains.
        Unattributed "unattributed",
        /// What has no other role.
        Other "other",
    }
}

impl Role {
    /// The role of a class of a thread's time.
    pub fn of_class(class: Class) -> Self {
        match class {
            Class::IpcWait => Self::IpcWait,
            Class::GpuSync => Self::GpuSync,
            Class::OtherWait => Self::OtherWait,
            Class::Runtime => Self::Runtime,
            Class::ModuleLoading => Self::Loading,
            Class::CpuOp => Self::CpuOp,
            Class::Python => Self::Python,
            Class::Profiler => Self::Other,
            Class::Unattributed => Self::Unattributed,
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
    /// Work over intensity, under the roofs of a device.
    Roofline(RooflinePlot),
    /// Bytes over time.
    Levels(Levels),
}

/// Horizontal bars of durations.
#[derive(Clone, Debug, PartialEq)]
pub struct Bars {
    /// Rows, in the order of showing.
    pub rows: Vec<BarRow>,
    /// What the length of a bar is a share of.
    pub scale: BarScale,
    /// Whether few bars of several parts have these spelled out under them, also where there is room in the bars.
    pub is_spelled: bool,
}

/// What the length of a bar is a share of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BarScale {
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

/// What operators do a second over what they do for a byte, both on logarithmic axes.
#[derive(Clone, Debug, PartialEq)]
pub struct RooflinePlot {
    /// What the memory moves, in gigabytes of 10^9 bytes a second: the sloping roof.
    pub memory_gb_per_s: f64,
    /// By type of the factors, what is computed at most, in 10^12 a second: the flat roofs, the highest first.
    pub compute_tflop_per_s: Vec<(String, f64)>,
    /// Operators, the longest first.
    pub points: Vec<RoofPoint>,
}

/// One operator with its inputs.
#[derive(Clone, Debug, PartialEq)]
pub struct RoofPoint {
    /// Name.
    pub name: String,
    /// Role: what limits it at the device's peak.
    pub role: Role,
    /// What limits it, in a word or two.
    pub bound: &'static str,
    /// FLOPs for each byte.
    pub intensity: f64,
    /// 10^12 a second.
    pub tflop_per_s: f64,
    /// Time of its kernels in nanoseconds.
    pub device_ns: i64,
    /// The time that a dot of full size has.
    pub whole_ns: i64,
    /// How many calls it is of.
    pub count: u64,
}

/// Bytes over time, one panel below the other.
#[derive(Clone, Debug, PartialEq)]
pub struct Levels {
    /// Panels.
    pub panels: Vec<LevelPanel>,
    /// What 0 of the axis is.
    pub axis: &'static str,
}

/// The memory of one device.
#[derive(Clone, Debug, PartialEq)]
pub struct LevelPanel {
    /// What it is of.
    pub label: String,
    /// Parts of the time, in order.
    pub steps: Vec<LevelStep>,
}

/// The levels of a part of the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LevelStep {
    /// Start on the axis, in nanoseconds.
    pub start_ns: i64,
    /// Length in nanoseconds.
    pub dur_ns: i64,
    /// Most bytes that are in use.
    pub used_bytes: Option<i64>,
    /// Most bytes that are held for use.
    pub held_bytes: Option<i64>,
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
