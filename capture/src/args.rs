//! The command line of `omni-trace-capture`, as typed. Parsing only: no defaults are resolved, nothing is opened.

use std::path::PathBuf;

use clap::{Args, Parser, ValueEnum};
use omni_trace_driver::gate::PerStage;

use crate::plan::{FaultKind, Waits};

/// Run a GPU pipeline under libtorch's profiler, recording exactly the iterations asked for.
#[derive(Debug, Parser)]
#[command(
    name = "omni-trace-capture",
    version,
    max_term_width = 110,
    after_help = "Run as `omni-trace capture`, it takes --analyze too: show what `omni-trace analyze` says of the capture."
)]
pub struct Cli {
    /// `omni` (thinker, talker, code2wav), `diffusion`, or a pipeline file (.toml) with TorchScript stages.
    #[arg(long, value_name = "NAME|FILE.toml")]
    pub pipeline: String,

    /// Directory for the results [default: named after the time and the pipeline, in the working directory].
    #[arg(short, long, value_name = "DIR")]
    pub out: Option<PathBuf>,

    /// What is recorded and when.
    #[command(flatten)]
    pub gate: GateArgs,

    /// How the pipeline is run.
    #[command(flatten)]
    pub run: RunArgs,

    /// Sizes of the built-in models.
    #[command(flatten)]
    pub size: SizeArgs,
}

/// What is recorded and when.
#[derive(Debug, Args)]
#[command(next_help_heading = "Recording")]
pub struct GateArgs {
    /// Stages to record, by number [default: all].
    #[arg(long, value_delimiter = ',', value_name = "N,…")]
    pub stages: Option<Vec<u32>>,

    /// Record exactly N iterations, and stop right after the N-th has finished on the device: `2`, or `1:4,2:1` by stage.
    #[arg(long, value_name = "N")]
    pub max_iters: Option<PerStage<u64>>,

    /// Skip N iterations first.
    #[arg(long, value_name = "N")]
    pub delay_iters: Option<PerStage<u64>>,

    /// After the delay, run N iterations with the profiler prepared and nothing kept.
    #[arg(long, value_name = "N")]
    pub warmup_iters: Option<PerStage<u64>>,

    /// Close a window after this many seconds, between iterations or while waiting.
    #[arg(long, value_name = "S")]
    pub max_seconds: Option<PerStage<f64>>,

    /// Close a window when this many ops and annotations were recorded, between iterations.
    #[arg(long, value_name = "N")]
    pub max_events: Option<PerStage<u64>>,

    /// Windows to record, each after the delay and warm-up again.
    #[arg(long, value_name = "N")]
    pub repeat: Option<PerStage<u32>>,

    /// Record nothing at all: the same run without a profiler, to compare with.
    #[arg(long)]
    pub no_profile: bool,

    /// How much of the waiting is recorded.
    #[arg(long, value_enum, default_value = "sampled")]
    pub waits: Waits,

    /// Record shapes of op inputs.
    #[arg(long)]
    pub record_shapes: bool,

    /// Record allocations.
    #[arg(long)]
    pub profile_memory: bool,

    /// Record estimated floating point operations.
    #[arg(long)]
    pub with_flops: bool,

    /// Record CUDA synchronization events.
    #[arg(long)]
    pub sync_events: bool,

    /// Record the ops of all threads.
    #[arg(long)]
    pub all_threads: bool,

    /// Profiler settings as vLLM takes them; they have vLLM's meaning. Flags above override them.
    #[arg(long, value_name = "JSON")]
    pub profiler_config: Option<String>,
}

/// How the pipeline is run.
#[derive(Debug, Args)]
#[command(next_help_heading = "Run")]
pub struct RunArgs {
    /// Where tensors live.
    #[arg(long, value_enum, default_value = "auto")]
    pub device: DeviceChoice,

    /// Processes of each stage: `1`, or `0:2` by stage.
    #[arg(long, value_name = "N")]
    pub ranks: Option<PerStage<u32>>,

    /// Requests to send [default: until every window is closed; 4 when no limit is given].
    #[arg(long, value_name = "N")]
    pub requests: Option<u32>,

    /// Requests on their way at a time.
    #[arg(long, value_name = "N", default_value_t = 2)]
    pub in_flight: u32,

    /// Requests that each stage serves alone before anything is counted.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub model_warmup: u32,

    /// CPU threads of each process.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub threads: i32,

    /// Seed of weights and inputs.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: i64,

    /// Chunk size of the rings between stages, in bytes.
    #[arg(long, value_name = "N", default_value_t = 1 << 20)]
    pub ring_chunk_bytes: usize,

    /// Chunks of the rings between stages.
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub ring_chunks: usize,

    /// Give up on a stage that made no progress for this many seconds; waiting for another stage is none to give up on.
    #[arg(long, value_name = "S", default_value_t = 300)]
    pub stage_timeout: u64,

    /// Provoke a fault: `die`, `hang` or `fail` at STAGE:RANK:ITERATION.
    #[arg(long, hide = true, value_name = "KIND@STAGE:RANK:ITERATION")]
    pub fault: Option<String>,
}

/// Where tensors live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DeviceChoice {
    /// CUDA where libtorch finds a device, else the host.
    Auto,
    /// The host.
    Cpu,
    /// CUDA, or an error.
    Cuda,
}

/// Sizes of the built-in models.
#[derive(Debug, Args)]
#[command(next_help_heading = "Model sizes")]
pub struct SizeArgs {
    /// Sizes to start from; the flags below change single ones.
    #[arg(long, value_enum, default_value = "small")]
    pub size: SizePreset,

    /// Width of the largest model.
    #[arg(long, value_name = "N")]
    pub d_model: Option<i64>,

    /// Attention heads; divides the width.
    #[arg(long, value_name = "N")]
    pub heads: Option<i64>,

    /// Blocks of the largest model.
    #[arg(long, value_name = "N")]
    pub layers: Option<i64>,

    /// Tokens known.
    #[arg(long, value_name = "N")]
    pub vocab: Option<i64>,

    /// Experts of the thinker; 0 for dense blocks.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub moe_experts: i64,

    /// Sequences in a batch.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub batch: i64,

    /// Tokens of a prompt.
    #[arg(long, value_name = "N")]
    pub prompt_tokens: Option<i64>,

    /// Tokens generated for a request by the thinker; the talker makes twice as many codes.
    #[arg(long, value_name = "N")]
    pub gen_tokens: Option<i64>,

    /// Side of the image in pixels; a multiple of 16.
    #[arg(long, value_name = "N")]
    pub image: Option<i64>,

    /// Denoising steps.
    #[arg(long, value_name = "N")]
    pub steps: Option<i64>,

    /// What counts as an iteration of the diffusion pipeline.
    #[arg(long, value_enum, default_value = "forward")]
    pub iterate: Iterate,
}

/// Sizes to start from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SizePreset {
    /// For tests: some milliseconds a request on a CPU.
    Tiny,
    /// For a look, on a CPU too.
    Small,
    /// For a GPU.
    Large,
}

/// What counts as an iteration of the diffusion pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Iterate {
    /// One image.
    Forward,
    /// One denoising step.
    Step,
}

impl std::str::FromStr for crate::plan::Fault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("cannot read '{text}': expected KIND@STAGE:RANK:ITERATION");
        let (kind, place) = text.split_once('@').ok_or_else(bad)?;
        let kind = match kind {
            "die" => FaultKind::Die,
            "hang" => FaultKind::Hang,
            "fail" => FaultKind::Fail,
            _ => return Err(bad()),
        };
        let parts: Vec<u64> =
            place.split(':').map(|n| n.parse().map_err(|_| bad())).collect::<Result<_, _>>()?;
        let [stage, rank, iteration] = parts[..] else { return Err(bad()) };
        let small = |n: u64| u32::try_from(n).map_err(|_| bad());
        Ok(Self { stage: small(stage)?, rank: small(rank)?, iteration, kind })
    }
}
