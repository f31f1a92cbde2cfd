//! `omni-trace capture`: the producer, in a package of its own.
//!
//! Everything is the driver's: it drives servers and programs itself and becomes `omni-trace-capture` for pipelines, so
//! that this program never links libtorch.

use super::args::CaptureArgs;

/// Runs the command and gives its exit code. Does not return when a pipeline is run.
pub(super) fn run(args: &CaptureArgs) -> i32 {
    omni_trace_driver::cli::dispatch(&args.arguments)
}
