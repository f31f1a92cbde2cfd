//! The `omni-trace-query` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    omni_trace_frame::run()
}
