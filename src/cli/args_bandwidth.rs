//! What can be typed after `bandwidth`.

use std::path::PathBuf;

use clap::{Args as ClapArgs, ValueEnum};

use super::args::{CommonArgs, FigureArgs, LogArgs, RunArgs, WindowArg};

/// Copies and collectives: bytes, time, GB/s, share of the link's peak, overlap, waiting for other ranks.
///
/// Several inputs are ranks or stages of one run: their collectives are matched, so that a rank's waiting for others is
/// told apart from the transfer. GB/s are 10^9 bytes a second.
/// Exit codes: 0 done, 2 an error, or data lost under --strict. A closed pipe is success.
#[derive(Debug, ClapArgs)]
pub(super) struct BandwidthArgs {
    /// Files, directories (searched for every known naming scheme), or `-` for standard input.
    #[arg(required = true, value_name = "PATH")]
    pub(super) paths: Vec<PathBuf>,

    #[command(flatten)]
    pub(super) common: CommonArgs,

    #[command(flatten)]
    pub(super) logs: LogArgs,

    #[command(flatten)]
    pub(super) figures: FigureArgs,

    #[command(flatten)]
    pub(super) runs: RunArgs,

    /// Tables to show, by key; CSV shows one. Default: those with rows; CSV: copies.
    #[arg(long, value_name = "TABLE", value_delimiter = ',')]
    pub(super) table: Vec<BandwidthTable>,

    /// Rows of a table for people, 0 for all; JSON and CSV always have every row.
    #[arg(long, value_name = "N", default_value = "20")]
    pub(super) top: usize,

    /// Peaks of the links in GB/s, before the built-in table of datasheets: `host=63,peer=450,memory=3350`.
    #[arg(long, value_name = "LINK=GB_PER_S,…")]
    pub(super) peak: Option<String>,

    /// Rules of which kernels communicate or copy, which come before the built-in ones; `analyze --print-comm-rules`
    /// shows these.
    #[arg(long, value_name = "FILE")]
    pub(super) comm_rules: Option<PathBuf>,

    /// Also write the result as a page that opens in any browser and needs no network.
    #[arg(long, value_name = "FILE")]
    pub(super) html: Option<PathBuf>,

    /// Only a part of the window, from its start: `10ms..25ms`, `..1s`, `1.5s..` (ns, us, ms, s).
    #[arg(long, value_name = "A..B")]
    pub(super) window: Option<WindowArg>,
}

/// A table of `bandwidth`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(super) enum BandwidthTable {
    /// The input files.
    Inputs,
    /// Copies and memsets by direction: time, overlap, exposed.
    Directions,
    /// Copies by route and size: GB/s and share of the peak.
    Copies,
    /// Copies between devices.
    Peers,
    /// The same as a matrix of GB/s.
    PeerMatrix,
    /// Operators and frames that launched copies.
    CallSites,
    /// Collectives by group, operation, type and size.
    Collectives,
    /// Where each log stands in time; with --logs, like the next two.
    LogClocks,
    /// Transfers between stages: bytes, times, Mbit/s and GB/s.
    StageTransfers,
    /// Copies that the traces of the two stages show meanwhile.
    TracedTransfers,
    /// Each input's waiting for other ranks.
    RankWaits,
    /// The slowest collectives.
    Slowest,
    /// Bytes over time by direction, in at most 100 stretches.
    Series,
    /// What was odd about the inputs.
    Issues,
}
