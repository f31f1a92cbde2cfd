//! What can be typed after `reduce`.

use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::args::{CommonArgs, FigureArgs, RunArgs, ShownArgs};

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

    #[command(flatten)]
    pub(super) shown: ShownArgs,
}
