//! What can be typed after `reduce`.

use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::args::{CommonArgs, FigureArgs, RunArgs, ShownArgs};

/// One answer from partial results: what `analyze` says of all their files, without reading these.
///
/// Partial results are what `omni-trace analyze PATH… --partial OUT.otp` writes, where the files lie.
/// The machine output of more than 64 inputs has how figures spread over ranks in place of the rows of each input, and names
/// what it left out (`left_out`); `--full` has all, `--table NAME` one more table, `--rank N` one rank's.
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

    /// Write the result as a page, too; it has no time line, and no single kernel.
    #[arg(long, value_name = "FILE")]
    pub(super) html: Option<PathBuf>,

    #[command(flatten)]
    pub(super) runs: RunArgs,

    /// Leave out partial results that cannot be read: what is missing is said, and counts as lost.
    #[arg(long)]
    pub(super) skip_unreadable: bool,

    /// What is missing from the partial results, by name, as often as needed: it is said as what cannot be read is.
    #[arg(long, value_name = "NAME")]
    pub(super) missing: Vec<String>,

    /// The answer of one rank alone, with its place among all: in `ranks` and `slow_ranks` it is held against the others.
    #[arg(long, value_name = "RANK")]
    pub(super) rank: Option<u32>,

    /// Write nothing but one partial result of all inputs, as they are: fewer files, and texts that all have stand there once.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["rank", "png", "output", "html"])]
    pub(super) partial: Option<PathBuf>,

    /// Write nothing but where the clocks of the inputs stand, which `merge --clocks FILE` takes: each trace can then be merged
    /// where it lies, without the others.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["rank", "png", "output", "html", "partial"])]
    pub(super) clocks: Option<PathBuf>,

    #[command(flatten)]
    pub(super) shown: ShownArgs,
}
