//! The resolved plan of a capture: stages, ranks, gates, models, edges. Plain data, passed to workers as JSON.
//!
//! No flags are parsed and nothing is run here.

use std::path::PathBuf;

use omni_trace_driver::gate::GateSettings;
use serde::{Deserialize, Serialize};

use crate::profiler::RecordFlags;
use crate::ring::RingShape;

/// How much of the waiting is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Waits {
    /// Each wait, and every spin in it (about a million events a second).
    Full,
    /// Each wait with its spinning and its blocked part.
    Sampled,
    /// No wait; a window opens only when an iteration begins.
    None,
}

/// Where tensors live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeviceKind {
    /// The host.
    Cpu,
    /// CUDA devices, one a worker, round robin.
    Cuda,
}

/// The shape of a decoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecoderSize {
    /// Width.
    pub d_model: i64,
    /// Attention heads; divides the width.
    pub heads: i64,
    /// Blocks.
    pub layers: i64,
    /// Tokens known.
    pub vocab: i64,
    /// Experts of the feed-forward block; 0 for a dense one.
    pub experts: i64,
}

/// What a stage computes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "model", rename_all = "snake_case")]
pub enum ModelSpec {
    /// A decoder over token ids: prefill and decode; hands over its hidden states.
    Thinker {
        /// Its shape.
        size: DecoderSize,
        /// Sequences in a batch.
        batch: i64,
        /// Tokens generated for a request.
        gen_tokens: i64,
    },
    /// A decoder over the thinker's hidden states; hands over audio codes.
    Talker {
        /// Its shape.
        size: DecoderSize,
        /// Sequences, tokens and width of the hidden states it is given.
        input: [i64; 3],
        /// Codes generated for a request.
        gen_tokens: i64,
    },
    /// A convolutional vocoder over audio codes; hands over a waveform.
    Code2Wav {
        /// Codes known.
        vocab: i64,
        /// Sequences and codes it is given.
        input: [i64; 2],
        /// Channels of the first block.
        channels: i64,
        /// Up-sampling factor of each block.
        upsample: Vec<i64>,
    },
    /// Text encoder, diffusion transformer, image decoder.
    Diffusion {
        /// Shape of the transformer; the text encoder is a quarter of it.
        size: DecoderSize,
        /// Image height and width in pixels.
        image: i64,
        /// Denoising steps.
        steps: i64,
        /// Whether one step, rather than one image, is an iteration.
        iterate_steps: bool,
    },
    /// A TorchScript file.
    Script {
        /// The file.
        file: PathBuf,
        /// Shapes and kinds of inputs, where no stage feeds it.
        inputs: Vec<ScriptInput>,
        /// Forward passes for a request.
        iterations: u32,
    },
}

/// An input of a TorchScript stage: random of a shape, or saved tensors.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScriptInput {
    /// Dimensions.
    #[serde(default)]
    pub shape: Vec<i64>,
    /// `float32`, `float16`, `bfloat16`, `int64`, `int32`, `uint8`, `bool`.
    #[serde(default = "float32")]
    pub dtype: String,
    /// A saved tensor to use in place of a random one.
    #[serde(default)]
    pub file: Option<PathBuf>,
}

fn float32() -> String {
    "float32".to_owned()
}

/// One stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StagePlan {
    /// Its number, from 0; its place in [`Plan::stages`].
    pub id: u32,
    /// Its name, of letters, digits, `-` and `_`.
    pub name: String,
    /// `llm`, `generation`, `diffusion` or `script`: the word in file names.
    pub kind: String,
    /// Worker processes.
    pub ranks: u32,
    /// Where it runs.
    pub device: DeviceKind,
    /// What it computes.
    pub model: ModelSpec,
    /// Its gate; `None` when the stage is not recorded.
    pub gate: Option<GateSettings>,
    /// Stages that feed it; empty when the requests come from outside.
    pub from: Vec<u32>,
}

/// A whole capture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// 32 hexadecimal digits, the same in every trace of the capture.
    pub trace_id: String,
    /// `omni`, `diffusion`, or the name of a pipeline file.
    pub pipeline: String,
    /// Start of the capture, in nanoseconds since the Unix epoch.
    pub started_unix_ns: u64,
    /// Where results go; absolute.
    pub out_dir: PathBuf,
    /// Stages by number.
    pub stages: Vec<StagePlan>,
    /// Requests to send; `None` sends until every gate is closed.
    pub requests: Option<u32>,
    /// Requests on their way at a time.
    pub in_flight: u32,
    /// How much of the waiting is recorded.
    pub waits: Waits,
    /// What else is recorded.
    pub flags: RecordFlags,
    /// Requests run before anything is counted.
    pub model_warmup: u32,
    /// Seed of weights and inputs.
    pub seed: i64,
    /// CPU threads of each worker.
    pub threads: i32,
    /// Tokens of a prompt.
    pub prompt_tokens: i64,
    /// Ring size in bytes and chunks.
    pub ring: (usize, usize),
    /// Seconds without progress after which a worker counts as hung; waiting for another stage is progress.
    pub stage_timeout_s: u64,
    /// Fault injection for tests: this stage and rank stops at this iteration.
    pub fault: Option<Fault>,
}

/// A fault to provoke, to see that it is reported well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// The stage.
    pub stage: u32,
    /// The rank.
    pub rank: u32,
    /// The iteration, from 0.
    pub iteration: u64,
    /// What happens.
    pub kind: FaultKind,
}

/// The kinds of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FaultKind {
    /// The process ends at once.
    Die,
    /// The process stops making progress.
    Hang,
    /// The stage returns an error.
    Fail,
}

impl Plan {
    /// All workers as (stage, rank), in the order of their numbers.
    pub fn workers(&self) -> Vec<(u32, u32)> {
        self.stages.iter().flat_map(|s| (0..s.ranks).map(move |r| (s.id, r))).collect()
    }

    /// Stages that no other stage feeds.
    pub fn entries(&self) -> impl Iterator<Item = &StagePlan> {
        self.stages.iter().filter(|s| s.from.is_empty())
    }

    /// Stages that feed no other stage.
    pub fn finals(&self) -> impl Iterator<Item = &StagePlan> {
        self.stages.iter().filter(|s| !self.stages.iter().any(|t| t.from.contains(&s.id)))
    }

    /// The ring shape of an edge with this many readers.
    pub fn ring_shape(&self, readers: usize) -> RingShape {
        RingShape { chunk_bytes: self.ring.0, chunks: self.ring.1, readers }
    }
}

/// One edge of the pipeline: a ring between a stage (or the orchestrator) and the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edge {
    /// The writing stage; `None` is the orchestrator.
    pub from: Option<u32>,
    /// The reading stage; `None` is the orchestrator.
    pub to: Option<u32>,
    /// The ring's descriptor, as inherited by workers.
    pub fd: i32,
    /// The ring's shape.
    pub shape: RingShape,
}

/// What one worker process is told, as its first line of input.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WorkerOrder {
    /// The whole plan.
    pub plan: Plan,
    /// Which stage this worker belongs to.
    pub stage: u32,
    /// Which rank of the stage it is.
    pub rank: u32,
    /// Its number on the board.
    pub index: usize,
    /// The board's descriptor.
    pub board_fd: i32,
    /// Edges that concern this worker.
    pub edges: Vec<Edge>,
    /// Its own directory for files in the making.
    pub scratch: PathBuf,
}
