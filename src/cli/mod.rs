//! The command line: arguments → plan → one file per subcommand → output.
//!
//! The only room that prints, opens output files or decides exit codes. Standard output is for results; everything else
//! (progress, notes, errors) goes to standard error.

mod args;
mod cmd_analyze;
mod cmd_stages;
mod output;
mod plan;
mod progress;
mod results;
mod rows;
mod run;

pub use args::Args;
pub use run::run;
