//! The models that stages run: random weights, real kernels.
//!
//! A model takes what was handed over, runs its iterations through [`Steps`], and gives what the next stage needs.
//! It must not know of gates, rings or files.

mod code2wav;
mod decoder;
mod diffusion;
mod script;
mod steps;
mod talker;
mod thinker;

use tch::{Device, Kind, Tensor, nn};

pub use script::{SCRIPT_DTYPES, kind_named};
pub use steps::{Context, Steps};

use crate::error::CaptureError;
use crate::ffi;
use crate::plan::ModelSpec;

/// What a model gives back for a request.
#[derive(Debug)]
pub struct Output {
    /// For the next stage, still on the device.
    pub tensors: Vec<Tensor>,
    /// Tokens taken in.
    pub tokens_in: u64,
    /// Tokens produced.
    pub tokens_out: u64,
    /// Time in denoising steps, of a diffusion model.
    pub denoise_ns: u64,
}

/// A model of a stage.
pub trait StageModel {
    /// Weights in all.
    fn parameters(&self) -> u64;

    /// Serves one request.
    fn serve(&mut self, inputs: Vec<Tensor>, steps: &mut Steps<'_>)
    -> Result<Output, CaptureError>;
}

/// Where a model lives and how it counts.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// The device.
    pub device: Device,
    /// The kind of its weights.
    pub kind: Kind,
    /// Which part of it this process holds.
    pub shard: Shard,
}

/// A rank's part of a model that is split over ranks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    /// This rank.
    pub rank: i64,
    /// All ranks.
    pub world: i64,
}

impl Shard {
    /// Sums a tensor over the ranks; nothing to do for one.
    fn sum(self, ctx: Context<'_>, mut part: Tensor) -> Result<Tensor, CaptureError> {
        if self.world > 1 {
            let _span = ctx.span("all_reduce");
            ffi::all_reduce(&mut part)?;
        }
        Ok(part)
    }
}

/// Whether the ranks of a stage share the work of this model, and so need a group.
pub fn is_split(spec: &ModelSpec) -> bool {
    match spec {
        ModelSpec::Thinker { .. } | ModelSpec::Talker { .. } | ModelSpec::Diffusion { .. } => true,
        ModelSpec::Code2Wav { .. } | ModelSpec::Script { .. } => false,
    }
}

impl Place {
    /// Half precision on a GPU, single on the host.
    pub fn on(device: Device, shard: Shard) -> Self {
        let kind = if device.is_cuda() { Kind::BFloat16 } else { Kind::Float };
        Self { device, kind, shard }
    }

    /// A store of weights here.
    fn store(self) -> nn::VarStore {
        nn::VarStore::new(self.device)
    }

    /// Fixes the weights, in this place's kind.
    fn seal(self, store: &mut nn::VarStore) -> u64 {
        if self.kind == Kind::BFloat16 {
            store.bfloat16();
        }
        store.freeze();
        store.variables().values().map(|weight| weight.numel() as u64).sum()
    }

    /// Waits until everything launched here has finished.
    fn wait(self) -> Result<(), CaptureError> {
        match self.device {
            Device::Cuda(index) => Ok(ffi::cuda_sync(index)?),
            _ => Ok(()),
        }
    }

    /// Copies a host tensor here through page-locked memory, without waiting for it.
    fn take_pinned(self, tensor: &Tensor) -> Result<Tensor, CaptureError> {
        match self.device.is_cuda() {
            true => Ok(ffi::pin(tensor)?.to_device_(self.device, tensor.kind(), true, false)),
            false => Ok(tensor.shallow_clone()),
        }
    }

    /// Copies a host tensor here from ordinary, pageable memory.
    fn take_pageable(self, tensor: &Tensor) -> Tensor {
        tensor.to_device(self.device)
    }
}

/// Inputs of a request that comes from outside, or one to warm a model with, on the host.
///
/// A script's inputs are its own: it makes them when it is handed none.
pub fn request_inputs(spec: &ModelSpec, prompt_tokens: i64) -> Vec<Tensor> {
    let ids = |below: i64, shape: [i64; 2]| {
        vec![Tensor::randint(below, shape, (Kind::Int64, Device::Cpu))]
    };
    match spec {
        ModelSpec::Thinker { size, batch, .. } => ids(size.vocab, [*batch, prompt_tokens]),
        ModelSpec::Diffusion { size, .. } => ids(size.vocab, [1, prompt_tokens]),
        ModelSpec::Code2Wav { vocab, input, .. } => ids(*vocab, *input),
        ModelSpec::Talker { input, .. } => {
            vec![Tensor::randn(*input, (Kind::Float, Device::Cpu))]
        }
        ModelSpec::Script { .. } => Vec::new(),
    }
}

/// Builds the model of a stage.
pub fn build(spec: &ModelSpec, place: Place) -> Result<Box<dyn StageModel>, CaptureError> {
    Ok(match spec {
        ModelSpec::Thinker { size, gen_tokens, .. } => {
            Box::new(thinker::Thinker::new(*size, *gen_tokens, place))
        }
        ModelSpec::Talker { size, input, gen_tokens } => {
            Box::new(talker::Talker::new(*size, input[2], *gen_tokens, place))
        }
        ModelSpec::Code2Wav { vocab, channels, upsample, .. } => {
            Box::new(code2wav::Code2Wav::new(*vocab, *channels, upsample, place))
        }
        ModelSpec::Diffusion { size, image, steps, iterate_steps } => {
            Box::new(diffusion::Diffusion::new(*size, (*image, *steps), *iterate_steps, place))
        }
        ModelSpec::Script { file, inputs, iterations } => {
            Box::new(script::Script::load(file, inputs, *iterations, place)?)
        }
    })
}

/// The name of an iteration, as vLLM annotates it: requests and tokens of prefill and of decode.
pub fn execute_name(context: (i64, i64), generation: (i64, i64)) -> String {
    format!(
        "execute_context_{}({})_generation_{}({})",
        context.0, context.1, generation.0, generation.1
    )
}
