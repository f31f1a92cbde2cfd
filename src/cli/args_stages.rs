//! What can be typed after `stages`.

use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::args::{CommonArgs, FigureArgs};
use super::tables::keys_of;

/// What the pipeline's own logs tell: requests, stages, transfers, diffusion, start-up, waits, the profiler.
///
/// Reads console logs of vLLM and vLLM-Omni and the pipeline's JSON lines, of every version, plain or compressed. Every
/// derived figure is recomputed; what differs, or means something else than its name says, is flagged.
/// Exit codes: 0 done, 2 an error, or data lost under --strict. A closed pipe is success.
#[derive(Debug, ClapArgs)]
pub(super) struct StagesArgs {
    /// Logs, directories (searched for *.log and *.jsonl), or `-` for standard input. Default: this
    /// directory.
    #[arg(value_name = "LOG")]
    pub(super) paths: Vec<PathBuf>,

    #[command(flatten)]
    pub(super) common: CommonArgs,

    #[command(flatten)]
    pub(super) figures: FigureArgs,

    /// Tables to show, by key; CSV shows one. Default: all that have rows but `checks` and `census`; CSV: requests.
    #[arg(long, value_name = "TABLE", value_delimiter = ',', value_parser = keys_of("stages"))]
    pub(super) table: Vec<String>,

    /// Rows of a table for people, 0 for all; JSON and CSV always have every row.
    #[arg(long, value_name = "N", default_value = "40")]
    pub(super) top: usize,

    /// Also write the result as a page that opens in any browser and needs no network.
    #[arg(long, value_name = "FILE")]
    pub(super) html: Option<PathBuf>,
}
