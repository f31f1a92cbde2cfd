//! What can be typed after `bandwidth`.

use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::args::{CommonArgs, FigureArgs, LogArgs, RunArgs};
use super::args_cache::CacheArgs;
use super::tables::keys_of;
use crate::analyze::window::WindowConfig;

/// Copies and collectives: bytes, time, GB/s, share of the link's peak, overlap, waiting for other ranks.
///
/// Several inputs are ranks or stages of one run: their collectives are matched, so that a rank's waiting for others is
/// told apart from the transfer. GB/s are 10^9 bytes a second.
/// Exit codes: 0 done, 2 an error, or data lost under --strict. A closed pipe is success.
#[derive(Debug, ClapArgs)]
pub(super) struct BandwidthArgs {
    /// Files, directories (searched for every known naming scheme), or `-` for standard input. Default: this directory.
    #[arg(value_name = "PATH")]
    pub(super) paths: Vec<PathBuf>,

    #[command(flatten)]
    pub(super) common: CommonArgs,

    #[command(flatten)]
    pub(super) logs: LogArgs,

    #[command(flatten)]
    pub(super) figures: FigureArgs,

    #[command(flatten)]
    pub(super) runs: RunArgs,

    #[command(flatten)]
    pub(super) cache: CacheArgs,

    /// Tables to show, by key; CSV shows one. Default: those with rows; CSV: copies.
    #[arg(long, value_name = "TABLE", value_delimiter = ',', value_parser = keys_of("bandwidth"))]
    pub(super) table: Vec<String>,

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
    pub(super) window: Option<WindowConfig>,
}
