//! The vocoder: transposed and dilated convolutions that turn audio codes into a waveform, in one iteration.

use tch::nn::{self, Module};
use tch::{Device, Kind, Tensor};

use super::{Output, Place, StageModel, Steps, execute_name};
use crate::error::CaptureError;

/// Dilations of the residual convolutions of a block.
const DILATIONS: [i64; 3] = [1, 3, 9];

#[derive(Debug)]
struct Block {
    up: nn::ConvTranspose1D,
    residual: Vec<nn::Conv1D>,
}

#[derive(Debug)]
pub(super) struct Code2Wav {
    place: Place,
    embed: nn::Embedding,
    blocks: Vec<Block>,
    last: nn::Conv1D,
    parameters: u64,
    // Owns the weights.
    _store: nn::VarStore,
}

impl Code2Wav {
    pub(super) fn new(vocab: i64, channels: i64, upsample: &[i64], place: Place) -> Self {
        let mut store = place.store();
        let root = store.root();
        let embed = nn::embedding(&root / "embed", vocab, channels, nn::EmbeddingConfig::default());
        let mut width = channels;
        let blocks = upsample
            .iter()
            .enumerate()
            .map(|(i, factor)| {
                let path = &root / format!("block{i}");
                let narrower = (width / 2).max(8);
                let config = nn::ConvTransposeConfig { stride: *factor, ..Default::default() };
                let up = nn::conv_transpose1d(&path / "up", width, narrower, 2 * factor, config);
                let residual = DILATIONS
                    .iter()
                    .map(|&d| {
                        let config =
                            nn::ConvConfig { padding: d, dilation: d, ..Default::default() };
                        nn::conv1d(&path / format!("dilated{d}"), narrower, narrower, 3, config)
                    })
                    .collect();
                width = narrower;
                Block { up, residual }
            })
            .collect();
        let config = nn::ConvConfig { padding: 3, ..Default::default() };
        let last = nn::conv1d(&root / "last", width, 1, 7, config);
        let parameters = place.seal(&mut store);
        Self { place, embed, blocks, last, parameters, _store: store }
    }
}

impl StageModel for Code2Wav {
    fn parameters(&self) -> u64 {
        self.parameters
    }

    fn serve(
        &mut self,
        inputs: Vec<Tensor>,
        steps: &mut Steps<'_>,
    ) -> Result<Output, CaptureError> {
        let codes = inputs
            .first()
            .ok_or_else(|| CaptureError::Stage("the vocoder was handed no codes".into()))?;
        let (batch, n) = codes.size2()?;
        let wave = steps.run(&execute_name((batch, batch * n), (0, 0)), |ctx| {
            let span = ctx.span("gpu_model_runner: preprocess");
            let mut x = self.embed.forward(&self.place.take_pageable(codes)).transpose(1, 2);
            drop(span);
            let span = ctx.span("gpu_model_runner: forward");
            for block in &self.blocks {
                x = block.up.forward(&x.leaky_relu());
                for dilated in &block.residual {
                    x = &x + dilated.forward(&x.leaky_relu());
                }
            }
            let wave = self.last.forward(&x.leaky_relu()).tanh();
            drop(span);
            let _span = ctx.span("gpu_model_runner: postprocess");
            // The waveform leaves the device inside the iteration: a vocoder's result is its samples.
            Ok(wave.to_kind(Kind::Float).to_device(Device::Cpu))
        })?;
        Ok(Output {
            tensors: vec![wave],
            tokens_in: (batch * n).unsigned_abs(),
            tokens_out: 0,
            denoise_ns: 0,
        })
    }
}
