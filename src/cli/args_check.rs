//! What can be typed after `check`.

use std::path::PathBuf;

use clap::Args as ClapArgs;
use clap::builder::PossibleValue;

use super::args::CommonArgs;
use super::tables::keys_of;
use crate::analyze::fitness::Need;

/// What files are worth: damage and what it took, how far figures can be trusted, which questions each answers.
///
/// Exit codes: 0 done; 1 a file is unreadable, or lacks what --need names; 2 an error, or data lost under --strict. A closed
/// pipe is success.
#[derive(Debug, ClapArgs)]
pub(super) struct CheckArgs {
    /// Files, directories (searched for every known naming scheme), or `-` for standard input. Default: this directory.
    #[arg(value_name = "PATH")]
    pub(super) paths: Vec<PathBuf>,

    #[command(flatten)]
    pub(super) common: CommonArgs,

    /// What every file must hold, or the exit code is 1. Front ends need not, where there are ranks.
    #[arg(long, value_name = "WHAT", value_delimiter = ',', value_parser = need_parser())]
    pub(super) need: Vec<Need>,

    /// Write a valid trace of all that is readable of one file, with what was lost recorded in it. Its kind goes by its name:
    /// .json, .json.gz, .pftrace.
    #[arg(long, value_name = "FILE")]
    pub(super) repair: Option<PathBuf>,

    /// Tables to show, by key; CSV shows one. Default: all with rows but `needs`; CSV: files.
    #[arg(long, value_name = "TABLE", value_delimiter = ',', value_parser = keys_of("check"))]
    pub(super) table: Vec<String>,
}

fn need_parser() -> impl clap::builder::TypedValueParser<Value = Need> {
    use clap::builder::{PossibleValuesParser, TypedValueParser as _};
    let values = Need::ALL.map(|need| PossibleValue::new(need.as_str()));
    PossibleValuesParser::new(values).map(|word| {
        let need = Need::ALL.into_iter().find(|need| need.as_str() == word);
        need.expect("only the words of needs are accepted")
    })
}
