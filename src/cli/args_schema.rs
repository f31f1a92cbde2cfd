//! What can be typed after `schema`.

use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::args::Format;

/// What the tables are: every column with its unit, its kind, whether it may be missing, and what it means.
///
/// The columns of a table never depend on what a trace or log holds. CSV and JSON have the same keys in the same units.
#[derive(Debug, ClapArgs)]
pub(super) struct SchemaArgs {
    /// Tables to describe, by key. Default: the list of all tables; all of them in JSON, CSV and Markdown.
    #[arg(value_name = "TABLE")]
    pub(super) tables: Vec<String>,

    /// Format of the result.
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(super) format: Format,

    /// Write the result to a file, which appears whole or not at all.
    #[arg(short, long, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
}
