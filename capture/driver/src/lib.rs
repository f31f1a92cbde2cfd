//! The torch-free half of the producer: iteration gates, and driving other people's pipelines.
//!
//! * [`gate`]: when a window of recording opens and closes (a pure state machine).
//! * [`vllm`]: vLLM's profiler settings, from its environment variables or `--profiler-config`, with its meaning.
//!
//! It must not link libtorch and must not import the analyzer: the analyzer's command line depends on this package,
//! and `omni-trace-capture` does, so that both speak of gates and vLLM settings in the same words.

pub mod gate;
pub mod vllm;
