//! What can be typed after `diff`.

use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::args::{CommonArgs, FigureArgs, RuleArgs};
use super::args_cache::CacheArgs;
use super::tables::keys_of;
use crate::compare::Gate;

/// Which of two runs is faster, by how much, why, and whether it is real; a gate for CI.
///
/// Iterations of equal stage, rank, phase and size are compared. A is the first run, B the last; runs between them show
/// the trend. A run is a file, files with commas between them, a directory, or a stored baseline.
/// With one run a side only what exceeds a common scale of all work is called a change: a slower machine scales all work, and
/// nothing inside one run shows it. Several runs a side, or a baseline of several, tell how runs differ.
/// Exit codes: 0 done; 1 a gate is exceeded, or not decided; 2 an error, or data lost under --strict.
#[derive(Debug, ClapArgs)]
pub(super) struct DiffArgs {
    /// The runs to compare: A, then B. With --against: B alone.
    #[arg(value_name = "RUN", required_unless_present_any = ["a", "b"], conflicts_with_all = ["a", "b"])]
    pub(super) runs: Vec<PathBuf>,

    /// Several runs of A, which tell how runs of the same program differ.
    #[arg(long, value_name = "RUN", num_args = 1.., requires = "b")]
    pub(super) a: Vec<PathBuf>,

    /// Several runs of B.
    #[arg(long, value_name = "RUN", num_args = 1..)]
    pub(super) b: Vec<PathBuf>,

    /// A is this: a stored baseline, a directory with stored baselines, or a run.
    #[arg(long, value_name = "FILE|DIR", conflicts_with = "a")]
    pub(super) against: Option<PathBuf>,

    /// Store the iterations of B in a small file, for --against. With one run, or --b alone: nothing else is done. Several
    /// runs (--b RUN RUN RUN) tell how runs of the same program differ, so that one new run can be held against them.
    #[arg(long, value_name = "FILE")]
    pub(super) save_baseline: Option<PathBuf>,

    /// What may not become slower, and by how much it may: `3%`, or for parts of it `decode.p50=3%`,
    /// `kernel:attention=5%`, `comm:`, `copy:`, `op:`, `wait:`, `idle=10%`, `launches=1%`.
    #[arg(long, value_name = "GATE", value_delimiter = ',')]
    pub(super) gate: Vec<Gate>,

    /// A gate that the data do not decide is passed.
    #[arg(long, requires = "gate")]
    pub(super) allow_inconclusive: bool,

    /// Keep the first iterations of a kind also where they are slower than the others.
    #[arg(long)]
    pub(super) keep_warmup: bool,

    /// Kernels that differ in their tiles alone are the same.
    #[arg(long)]
    pub(super) merge_tiles: bool,

    #[command(flatten)]
    pub(super) common: CommonArgs,

    #[command(flatten)]
    pub(super) figures: FigureArgs,

    #[command(flatten)]
    pub(super) cache: CacheArgs,

    /// Tables to show, by key; CSV shows one. Default: those with rows but `accounts`; CSV: causes.
    #[arg(long, value_name = "TABLE", value_delimiter = ',', value_parser = keys_of("diff"))]
    pub(super) table: Vec<String>,

    /// Rows of a table for people, 0 for all; JSON and CSV always have every row. Default: 10; 5 in Markdown.
    #[arg(long, value_name = "N")]
    pub(super) top: Option<usize>,

    #[command(flatten)]
    pub(super) rules: RuleArgs,

    /// Also write the result as a page that opens in any browser and needs no network.
    #[arg(long, value_name = "FILE")]
    pub(super) html: Option<PathBuf>,
}
