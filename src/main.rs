//! The `omni-trace` program: parse the arguments, run, give the exit code.

use std::process::ExitCode;

use clap::Parser as _;
use omni_trace::cli::{Args, run};

fn main() -> ExitCode {
    run(&Args::parse()).into()
}
