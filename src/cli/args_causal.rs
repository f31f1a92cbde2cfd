//! What can be typed after `critical-path` and `what-if`.

use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::args::{CommonArgs, LogArgs, RuleArgs, RunArgs};
use super::args_cache::CacheArgs;
use super::tables::keys_of;
use crate::causal::whatif::{
    Asked, Change, parse_cuda_graph, parse_free, parse_overlap, parse_scale,
};

/// What bounds the run: the chain of work, waits and gaps that decides when it ends, over all stages and ranks.
///
/// Host time, device activity and waits of all inputs are nodes of one graph; launches, streams, synchronization, collectives
/// and hand-offs between processes are its edges. The path is told apart by class, edge, input, kernel and operator; each sums to the window.
/// Exit codes: 0 done, 2 an error, or data lost under --strict.
#[derive(Debug, ClapArgs)]
pub(super) struct CriticalPathArgs {
    #[command(flatten)]
    pub(super) causal: CausalArgs,

    #[command(flatten)]
    pub(super) logs: LogArgs,

    /// Tables to show, by key; CSV shows one. Default: those with rows that people need; CSV: critical_path.
    #[arg(long, value_name = "TABLE", value_delimiter = ',', value_parser = keys_of("critical-path"))]
    pub(super) table: Vec<String>,
}

/// What a change would bring: the recorded run, played again with work scaled, free, overlapped or left out.
///
/// Without a change: what each class, heavy kernel, heavy operator and stage would bring at most. Changes can be combined.
/// Names are patterns in which `*` stands for any text. Every figure stands with what the replay assumes.
/// Exit codes: 0 done, 2 an error, or data lost under --strict.
#[derive(Debug, ClapArgs)]
pub(super) struct WhatIfArgs {
    #[command(flatten)]
    pub(super) causal: CausalArgs,

    #[command(flatten)]
    pub(super) logs: LogArgs,

    #[command(flatten)]
    pub(super) changes: ChangeArgs,

    /// Tables to show, by key; CSV shows one. Default: those with rows that people need; CSV: bounds, or predicted_stages where
    /// something is changed.
    #[arg(long, value_name = "TABLE", value_delimiter = ',', value_parser = keys_of("what-if"))]
    pub(super) table: Vec<String>,
}

/// What both take.
#[derive(Debug, ClapArgs)]
pub(super) struct CausalArgs {
    /// Files of one run, directories (searched for every known naming scheme), or `-` for standard input. Default: this
    /// directory.
    #[arg(value_name = "PATH")]
    pub(super) paths: Vec<PathBuf>,

    #[command(flatten)]
    pub(super) common: CommonArgs,

    #[command(flatten)]
    pub(super) runs: RunArgs,

    #[command(flatten)]
    pub(super) cache: CacheArgs,

    /// Rows of a table for people, 0 for all; JSON and CSV always have every row.
    #[arg(long, value_name = "N", default_value = "20")]
    pub(super) top: usize,

    #[command(flatten)]
    pub(super) rules: RuleArgs,
}

/// What is changed.
#[derive(Debug, ClapArgs)]
pub(super) struct ChangeArgs {
    /// Work takes so many times as long: `kernel:*attention*=0.5`, `op:aten::mm=2`, `copy:*HtoD*=0`, `call:`, `class:`, `stage:1=0.5`.
    #[arg(long, value_name = "KIND:NAME=FACTOR", value_parser = asked_scale)]
    pub(super) scale: Vec<Asked>,

    /// A class of time costs nothing: ipc, launch, comm, sync, module_loading, python, copies, …; or calls: `call:cudaMemcpy*`.
    #[arg(long, value_name = "CLASS", value_delimiter = ',', value_parser = asked_free)]
    pub(super) free: Vec<Asked>,

    /// Work holds up nothing behind it on its stream: `copies`, `comm`; or runs on a stream of its own: `kernel:NAME`.
    #[arg(long, value_name = "WORK", value_delimiter = ',', value_parser = asked_overlap)]
    pub(super) overlap: Vec<Asked>,

    /// Operators, annotations or Python frames do not happen, nor what they launch, nor the pause before them.
    #[arg(long, value_name = "NAME", value_parser = asked_drop_op)]
    pub(super) drop_op: Vec<Asked>,

    /// Kernels do not happen, nor the calls that launch nothing else.
    #[arg(long, value_name = "NAME", value_parser = asked_drop_kernel)]
    pub(super) drop_kernel: Vec<Asked>,

    /// Copies and memsets do not happen, nor the calls that launch nothing else.
    #[arg(long, value_name = "NAME", value_parser = asked_drop_copy)]
    pub(super) drop_copy: Vec<Asked>,

    /// The host side of iterations up to their last launch is one launch of a graph: a phase as `decode`, or `all`.
    #[arg(long, value_name = "PHASE|all", value_parser = asked_cuda_graph)]
    pub(super) cuda_graph: Vec<Asked>,
}

impl ChangeArgs {
    /// All changes, in the order of the help.
    pub(super) fn all(&self) -> Vec<Asked> {
        let each = [
            &self.scale,
            &self.free,
            &self.overlap,
            &self.drop_op,
            &self.drop_kernel,
            &self.drop_copy,
            &self.cuda_graph,
        ];
        each.into_iter().flatten().cloned().collect()
    }
}

fn asked(option: &str, text: &str, change: Result<Change, String>) -> Result<Asked, String> {
    Ok(Asked { text: format!("--{option} {text}"), change: change? })
}

fn asked_scale(text: &str) -> Result<Asked, String> {
    asked("scale", text, parse_scale(text))
}

fn asked_free(text: &str) -> Result<Asked, String> {
    asked("free", text, parse_free(text))
}

fn asked_overlap(text: &str) -> Result<Asked, String> {
    asked("overlap", text, parse_overlap(text))
}

fn asked_drop_op(text: &str) -> Result<Asked, String> {
    asked("drop-op", text, Ok(Change::DropOp(text.to_owned())))
}

fn asked_drop_kernel(text: &str) -> Result<Asked, String> {
    asked("drop-kernel", text, Ok(Change::DropKernel(text.to_owned())))
}

fn asked_drop_copy(text: &str) -> Result<Asked, String> {
    asked("drop-copy", text, Ok(Change::DropCopy(text.to_owned())))
}

fn asked_cuda_graph(text: &str) -> Result<Asked, String> {
    asked("cuda-graph", text, parse_cuda_graph(text))
}
