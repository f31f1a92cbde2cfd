//! The thinker: a decoder language model. One prefill, then a decode iteration for each further token.

use tch::Tensor;
use tch::nn::{self, Module};

use super::decoder::{Decoder, sample};
use super::{Output, Place, StageModel, Steps, execute_name};
use crate::error::CaptureError;
use crate::plan::DecoderSize;

#[derive(Debug)]
pub(super) struct Thinker {
    place: Place,
    gen_tokens: i64,
    embed: nn::Embedding,
    decoder: Decoder,
    head: nn::Linear,
    parameters: u64,
    // Owns the weights.
    _store: nn::VarStore,
}

impl Thinker {
    pub(super) fn new(size: DecoderSize, gen_tokens: i64, place: Place) -> Self {
        let mut store = place.store();
        let root = store.root();
        let embed = nn::embedding(
            &root / "embed",
            size.vocab,
            size.d_model,
            nn::EmbeddingConfig::default(),
        );
        let decoder = Decoder::new(&(&root / "decoder"), size, place.shard);
        let head =
            nn::linear(&root / "head", size.d_model, size.vocab, nn::LinearConfig::default());
        let parameters = place.seal(&mut store);
        Self { place, gen_tokens, embed, decoder, head, parameters, _store: store }
    }
}

impl StageModel for Thinker {
    fn parameters(&self) -> u64 {
        self.parameters
    }

    fn serve(
        &mut self,
        inputs: Vec<Tensor>,
        steps: &mut Steps<'_>,
    ) -> Result<Output, CaptureError> {
        let prompt = inputs
            .first()
            .ok_or_else(|| CaptureError::Stage("the thinker was handed no prompt".into()))?;
        let (batch, tokens) = prompt.size2()?;
        let mut cache = self.decoder.cache();
        let mut seen = Vec::new();
        let name = execute_name((batch, batch * tokens), (0, 0));
        let mut next = steps.run(&name, |ctx| {
            let span = ctx.span("gpu_model_runner: preprocess");
            let x = self.embed.forward(&self.place.take_pinned(prompt)?);
            drop(span);
            let span = ctx.span("gpu_model_runner: forward");
            let hidden = self.decoder.extend(ctx, &x, &mut cache)?;
            drop(span);
            let next = sample(ctx, &self.head, &hidden);
            seen.push(hidden);
            Ok(next)
        })?;
        let name = execute_name((0, 0), (batch, batch));
        for _ in 1..self.gen_tokens {
            next = steps.run(&name, |ctx| {
                let span = ctx.span("gpu_model_runner: forward");
                let hidden = self.decoder.extend(ctx, &self.embed.forward(&next), &mut cache)?;
                drop(span);
                let next = sample(ctx, &self.head, &hidden);
                seen.push(hidden);
                Ok(next)
            })?;
        }
        Ok(Output {
            tensors: vec![Tensor::cat(&seen, 1)],
            tokens_in: (batch * tokens).unsigned_abs(),
            tokens_out: (batch * self.gen_tokens).unsigned_abs(),
            denoise_ns: 0,
        })
    }
}
