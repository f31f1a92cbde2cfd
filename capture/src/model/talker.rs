//! The talker: a smaller decoder that turns the thinker's hidden states into audio codes.

use tch::Tensor;
use tch::nn::{self, Module};

use super::decoder::{Decoder, dims3, sample};
use super::{Output, Place, StageModel, Steps, execute_name};
use crate::error::CaptureError;
use crate::plan::DecoderSize;

#[derive(Debug)]
pub(super) struct Talker {
    place: Place,
    gen_tokens: i64,
    project: nn::Linear,
    embed: nn::Embedding,
    decoder: Decoder,
    head: nn::Linear,
    parameters: u64,
    // Owns the weights.
    _store: nn::VarStore,
}

impl Talker {
    pub(super) fn new(size: DecoderSize, d_input: i64, gen_tokens: i64, place: Place) -> Self {
        let mut store = place.store();
        let root = store.root();
        let d = size.d_model;
        let project = nn::linear(&root / "project", d_input, d, nn::LinearConfig::default());
        let embed = nn::embedding(&root / "embed", size.vocab, d, nn::EmbeddingConfig::default());
        let decoder = Decoder::new(&(&root / "decoder"), size, place.shard);
        let head = nn::linear(&root / "head", d, size.vocab, nn::LinearConfig::default());
        let parameters = place.seal(&mut store);
        Self { place, gen_tokens, project, embed, decoder, head, parameters, _store: store }
    }
}

impl StageModel for Talker {
    fn parameters(&self) -> u64 {
        self.parameters
    }

    fn serve(
        &mut self,
        inputs: Vec<Tensor>,
        steps: &mut Steps<'_>,
    ) -> Result<Output, CaptureError> {
        let heard = inputs
            .first()
            .ok_or_else(|| CaptureError::Stage("the talker was handed no hidden states".into()))?;
        let (batch, tokens, _) = dims3(heard);
        let mut cache = self.decoder.cache();
        let name = execute_name((batch, batch * tokens), (0, 0));
        let mut codes = vec![steps.run(&name, |ctx| {
            let span = ctx.span("gpu_model_runner: preprocess");
            let heard = self.place.take_pinned(heard)?.to_kind(self.place.kind);
            let x = self.project.forward(&heard);
            drop(span);
            let span = ctx.span("gpu_model_runner: forward");
            let hidden = self.decoder.extend(ctx, &x, &mut cache)?;
            drop(span);
            Ok(sample(ctx, &self.head, &hidden))
        })?];
        let name = execute_name((0, 0), (batch, batch));
        for step in 1..self.gen_tokens as usize {
            let next = steps.run(&name, |ctx| {
                let span = ctx.span("gpu_model_runner: forward");
                let x = self.embed.forward(&codes[step - 1]);
                let hidden = self.decoder.extend(ctx, &x, &mut cache)?;
                drop(span);
                Ok(sample(ctx, &self.head, &hidden))
            })?;
            codes.push(next);
        }
        Ok(Output {
            tensors: vec![Tensor::cat(&codes, 1)],
            tokens_in: (batch * tokens).unsigned_abs(),
            tokens_out: (batch * self.gen_tokens).unsigned_abs(),
            denoise_ns: 0,
        })
    }
}
