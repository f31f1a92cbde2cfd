//! What can be typed.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::reading::{PartArgs, ReadArgs};
use crate::show::Format;

/// SQL over the tables of omni-trace, and their export.
#[derive(Debug, Parser)]
#[command(
    name = "omni-trace-query",
    bin_name = "omni-trace",
    version,
    max_term_width = 100,
    disable_help_subcommand = true
)]
pub(crate) struct Line {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Query(QueryArgs),
    Export(ExportArgs),
}

/// Ask anything in SQL: every table of `omni-trace schema`, and every event, of one or many inputs.
///
/// Rows of an input also have its `stage` and `rank`. Times are integer nanoseconds; ms(), us(), sec(), mib(), pct(part,
/// whole), p50(), p90(), p95() and p99() are there for people. Without SQL and on a terminal it is a prompt.
/// Exit codes: 0 done, 2 an error, 130 interrupted. A closed pipe is success.
#[derive(Debug, Args)]
pub(crate) struct QueryArgs {
    /// Files and directories, as `analyze` takes them (default: this directory), or a folder that `export` wrote, and then SQL, in quotes: the last argument,
    /// where it has several words and nothing of that name is there.
    #[arg(value_name = "PATH|SQL")]
    pub(crate) words: Vec<String>,

    /// Statements from a file; `-` for standard input.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,

    /// A ready question, by name; `NAME=VALUE` where it takes a value. --list shows them.
    #[arg(long, value_name = "NAME[=VALUE]", conflicts_with = "file")]
    pub(crate) ask: Option<String>,

    /// The ready questions, with --ask NAME the SQL of one; reads no input.
    #[arg(long)]
    pub(crate) list: bool,

    /// How results are written. Default: text.
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Option<Format>,

    /// Where results go, instead of standard output; the ending .csv, .json, .jsonl, .md, .parquet or .arrow gives the format
    /// where none is named.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,

    /// Rows of a result at most, 0 for all. Default: 40 of text on a terminal, else all.
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<usize>,

    /// On a terminal, too, texts as long as they are.
    #[arg(long)]
    pub(crate) full_names: bool,

    #[command(flatten)]
    pub(crate) part: PartArgs,

    #[command(flatten)]
    pub(crate) read: ReadArgs,
}

/// Write the tables of traces and logs for other tools: Parquet by stage and rank, or Arrow.
#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// Files and directories, as `analyze` takes them. Default: this directory.
    #[arg(value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,

    /// Folder to write to.
    #[arg(short, long, value_name = "DIR")]
    pub(crate) output: PathBuf,

    /// What to write.
    #[arg(long, value_name = "FORMAT", value_delimiter = ',', default_value = "parquet")]
    pub(crate) format: Vec<Store>,

    /// Tables to write, by name. Default: all that have rows but `findings`, which takes longer than all others.
    #[arg(long, value_name = "TABLE", value_delimiter = ',')]
    pub(crate) table: Vec<String>,

    #[command(flatten)]
    pub(crate) part: PartArgs,

    #[command(flatten)]
    pub(crate) read: ReadArgs,
}

/// How tables are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Store {
    /// stage=…/rank=…/TABLE.parquet
    Parquet,
    /// The same in Apache Arrow's file format, not compressed: it can be mapped.
    Arrow,
}
