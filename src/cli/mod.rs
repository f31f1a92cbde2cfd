//! The command line: arguments → plan → one file per subcommand → output.
//!
//! The only room that prints, opens output files or decides exit codes. Standard output is for results; everything else
//! (progress, notes, errors) goes to standard error.

mod args;
mod args_bandwidth;
mod args_cache;
mod args_causal;
mod args_check;
mod args_diff;
mod args_export;
mod args_merge;
mod args_reduce;
mod args_schema;
mod args_shell;
mod args_stages;
mod asked;
mod build;
mod cmd_analyze;
mod cmd_bandwidth;
mod cmd_cache;
mod cmd_capture;
mod cmd_causal;
mod cmd_check;
mod cmd_completions;
mod cmd_diff;
mod cmd_export;
mod cmd_man;
mod cmd_merge;
mod cmd_reduce;
mod cmd_report;
mod cmd_schema;
mod cmd_slim;
mod cmd_stages;
mod figures;
mod frame;
mod guard;
mod help;
mod here;
mod interval;
mod line;
mod log_plan;
mod logs_beside;
mod memory;
mod output;
mod pages;
mod path_track;
mod plan;
mod profiler_tables;
mod progress;
mod read_twice;
mod reading;
mod rule_files;
mod run;
mod runs;
mod session;
mod slimmed;
mod tables;
mod trace_output;
mod usage;
mod words;

pub use asked::{Asked, Told, Trouble};
pub use line::run_line;
pub use run::Outcome;
pub use usage::nearest;
