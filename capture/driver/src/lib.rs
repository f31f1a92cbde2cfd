//! The torch-free half of the producer: iteration gates, and driving other people's pipelines.
//!
//! * [`gate`]: when a window of recording opens and closes (a pure state machine).
//! * [`vllm`]: vLLM's profiler settings, from its environment variables or `--profiler-config`, with its meaning.
//! * [`http`], [`server`]: start and stop the profiler of a running vLLM or vLLM-Omni server around a workload.
//! * [`launch`], [`workload`]: run a program with vLLM's profiler configured.
//! * [`collect`]: find the traces that came of it, and wait until they are complete.
//! * [`locate`], [`pipeline`]: find `omni-trace-capture` and libtorch for it, and run it.
//! * [`args`], [`cli`]: the command line over all this; the only part that prints.
//!
//! It must not link libtorch and must not import the analyzer: the analyzer's command line depends on this package,
//! and `omni-trace-capture` does, so that both speak of gates and vLLM settings in the same words.

pub mod args;
pub mod builtin;
pub mod cli;
pub mod collect;
pub mod gate;
pub mod http;
pub mod launch;
pub mod locate;
pub mod pipeline;
pub mod server;
pub mod vllm;
pub mod workload;
