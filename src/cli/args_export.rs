//! What can be typed after `query` and `export`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args as ClapArgs, ValueEnum};

use super::args_cache::CacheArgs;
use crate::analyze::exclude::excludable;
use crate::analyze::timeline::Class;
use crate::analyze::window::WindowConfig;

/// Ask anything in SQL: every table, and every event, of one or many inputs.
///
/// Another program answers, `omni-trace-query`: `cargo install --locked --path frame` builds and installs it. With it,
/// `omni-trace query --help` shows what it takes.
#[derive(Debug, ClapArgs)]
#[command(disable_help_flag = true)]
pub(super) struct QueryArgs {
    /// Inputs, SQL and options.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENTS")]
    pub(super) arguments: Vec<OsString>,
}

/// Write tables and stacks for other tools: Parquet, Arrow, folded stacks, speedscope, the Firefox profiler, torch's tables.
///
/// Exit codes: 0 done, 2 an error.
#[derive(Debug, ClapArgs)]
pub(super) struct ExportArgs {
    /// Files, directories (searched for every known naming scheme). Default: this directory.
    #[arg(value_name = "PATH")]
    pub(super) paths: Vec<PathBuf>,

    /// Folder to write to; it is made where it is missing.
    #[arg(short, long, value_name = "DIR")]
    pub(super) output: PathBuf,

    /// What to write.
    #[arg(long, value_name = "FORMAT", value_delimiter = ',', default_value = "parquet")]
    pub(super) format: Vec<ExportFormat>,

    /// Tables to write as Parquet or Arrow, by the names that `query` has for them. Default: all that have rows but
    /// `findings`, which takes longer than all others.
    #[arg(long, value_name = "TABLE", value_delimiter = ',')]
    pub(super) table: Vec<String>,

    /// Only a part of the window, from its start: `10ms..25ms`, `..1s`, `1.5s..` (ns, us, ms, s).
    #[arg(long, value_name = "A..B")]
    pub(super) window: Option<WindowConfig>,

    /// Leave classes of time out of tables, as in `analyze`; stacks have all.
    #[arg(long, value_name = "CLASS", value_delimiter = ',', value_parser = excludable)]
    pub(super) exclude: Vec<Class>,

    #[command(flatten)]
    pub(super) cache: CacheArgs,

    /// Threads for reading. Default: one per core.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(super) threads: Option<u16>,

    /// Nothing on standard error but errors.
    #[arg(short, long)]
    pub(super) quiet: bool,
}

/// What `export` writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum ExportFormat {
    /// Tables: DIR/stage=…/rank=…/TABLE.parquet. Needs omni-trace-query, as arrow does.
    Parquet,
    /// Tables in Apache Arrow's file format.
    Arrow,
    /// Stacks with nanoseconds, for flamegraph.pl and inferno.
    Folded,
    /// Stacks for speedscope.app.
    Speedscope,
    /// Stacks for profiler.firefox.com.
    Firefox,
    /// Torch's own profiler table, as profiler_out_RANK.txt.
    Torch,
}

impl ExportFormat {
    /// Whether tables are stored, which another program does.
    pub(super) fn is_of_tables(self) -> bool {
        matches!(self, Self::Parquet | Self::Arrow)
    }
}
