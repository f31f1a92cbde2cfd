//! What can be typed after `stages`.

use std::path::PathBuf;

use clap::{Args as ClapArgs, ValueEnum};

use super::args::{CommonArgs, FigureArgs};

/// What the pipeline's own logs tell: requests, stages, transfers, diffusion, start-up, waits, the profiler.
///
/// Reads console logs of vLLM and vLLM-Omni and the pipeline's JSON lines, of every version, plain or compressed. Every
/// derived figure is recomputed; what differs, or means something else than its name says, is flagged.
/// Exit codes: 0 done, 2 an error, or data lost under --strict. A closed pipe is success.
#[derive(Debug, ClapArgs)]
pub(super) struct StagesArgs {
    /// Logs, directories (searched for *.log and *.jsonl), or `-` for standard input.
    #[arg(required = true, value_name = "LOG")]
    pub(super) paths: Vec<PathBuf>,

    #[command(flatten)]
    pub(super) common: CommonArgs,

    #[command(flatten)]
    pub(super) figures: FigureArgs,

    /// Tables to show, by key; CSV shows one. Default: all that have rows but `checks` and `census`; CSV: requests.
    #[arg(long, value_name = "TABLE", value_delimiter = ',')]
    pub(super) table: Vec<StagesTable>,

    /// Rows of a table for people, 0 for all; JSON and CSV always have every row.
    #[arg(long, value_name = "N", default_value = "40")]
    pub(super) top: usize,

    /// Also write the result as a page that opens in any browser and needs no network.
    #[arg(long, value_name = "FILE")]
    pub(super) html: Option<PathBuf>,
}

/// A table of `stages`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(super) enum StagesTable {
    /// The log files, with their lines by kind.
    Logs,
    /// Summaries of runs.
    Summaries,
    /// Requests.
    Requests,
    /// Mean and percentiles of request times.
    Percentiles,
    /// Requests by stage: queue, generation, tokens.
    RequestStages,
    /// Each request's time line.
    Waterfall,
    /// Stages.
    Stages,
    /// Transfers between stages: bytes, times, Mbit/s and GB/s.
    Transfers,
    /// Diffusion requests.
    Diffusion,
    /// Start-up.
    Startup,
    /// Waiting for a shared-memory block.
    Waits,
    /// Profiler start, stop and files.
    Profiler,
    /// vLLM's throughput lines.
    Throughput,
    /// Warnings, errors and tracebacks, counted by what they say.
    Problems,
    /// Figures to be read with care.
    Flags,
    /// Every recomputed figure.
    Checks,
    /// Lines by class.
    Census,
    /// What was odd about the logs.
    Issues,
}
