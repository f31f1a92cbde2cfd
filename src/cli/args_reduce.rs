//! What can be typed after `reduce`.

use std::path::PathBuf;

use clap::Args as ClapArgs;
use regex::Regex;

use super::args::{CommonArgs, FigureArgs, RunArgs};
use super::tables::keys_of;
use crate::ask::SortKey;

/// One answer from partial results: what `analyze` says of all their files, without reading these.
///
/// Partial results are what `omni-trace analyze PATH… --partial OUT.otp` writes, where the files lie.
/// Exit codes: 0 done, 2 an error, or data lost under --strict. A closed pipe is success.
#[derive(Debug, ClapArgs)]
pub(super) struct ReduceArgs {
    /// Partial results, and directories of them (*.otp). Inputs are numbered in this order.
    #[arg(value_name = "PATH", required = true)]
    pub(super) paths: Vec<PathBuf>,

    #[command(flatten)]
    pub(super) common: CommonArgs,

    #[command(flatten)]
    pub(super) figures: FigureArgs,

    #[command(flatten)]
    pub(super) runs: RunArgs,

    /// Leave out partial results that cannot be read: what is missing is said, and counts as lost.
    #[arg(long)]
    pub(super) skip_unreadable: bool,

    /// Tables to show, by key; CSV shows one. Default: all that have rows but `iterations`; CSV: key_averages.
    #[arg(long, value_name = "TABLE", value_delimiter = ',', value_parser = keys_of("analyze"))]
    pub(super) table: Vec<String>,

    /// All tables instead of one screen.
    #[arg(long)]
    pub(super) full: bool,

    /// Rows of a table for people, 0 for all; JSON and CSV always have every row. Default: 20.
    #[arg(long, value_name = "N")]
    pub(super) top: Option<usize>,

    /// Order of the profiler table. Default: self-device where there is device time, else self-cpu.
    #[arg(long, value_name = "COLUMN")]
    pub(super) sort: Option<SortKey>,

    /// Only rows whose name matches this regular expression; totals and shares stay those of the whole.
    #[arg(long, value_name = "REGEX")]
    pub(super) name: Option<Regex>,
}
