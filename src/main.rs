//! The `omni-trace` program: the words of the command line in, the exit code out.

use std::process::ExitCode;

fn main() -> ExitCode {
    omni_trace::cli::run_line(std::env::args_os()).into()
}
