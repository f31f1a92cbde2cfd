//! The command line: arguments → plan → one file per subcommand → output.
//!
//! The only room that prints, opens output files or decides exit codes. Standard output is for results; everything else
//! (progress, notes, errors) goes to standard error.

mod args;
mod cmd_analyze;
mod cmd_bandwidth;
mod cmd_capture;
mod cmd_stages;
mod output;
mod plan;
mod progress;
mod rows;
mod run;
mod tables;

pub use args::Args;
pub use run::run;
