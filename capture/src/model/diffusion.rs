//! An image pipeline in one process: text encoder, denoising steps of a diffusion transformer, image decoder.
//!
//! Copies both ways: prompts and latents go in from page-locked memory, images come out to pageable memory.

use std::time::Instant;

use tch::nn::{self, Module};
use tch::{Device, Kind, Tensor};

use super::decoder::Decoder;
use super::{Context, Output, Place, StageModel, Steps};
use crate::error::CaptureError;
use crate::plan::DecoderSize;
use crate::recorder::ns;

/// Pixels of a latent's side.
const VAE_SCALE: i64 = 8;
const LATENT_CHANNELS: i64 = 4;
/// Latent cells of a patch's side.
const PATCH: i64 = 2;

#[derive(Debug)]
struct ImageDecoder {
    first: nn::Conv2D,
    blocks: Vec<(nn::GroupNorm, nn::Conv2D)>,
    last: nn::Conv2D,
}

impl ImageDecoder {
    fn new(path: &nn::Path<'_>, channels: i64) -> Self {
        let same = nn::ConvConfig { padding: 1, ..Default::default() };
        let conv = |name: &str, a, b| nn::conv2d(path / name, a, b, 3, same);
        let blocks = (0..VAE_SCALE.ilog2())
            .map(|i| {
                let norm =
                    nn::group_norm(path / format!("norm{i}"), 8, channels, Default::default());
                (norm, conv(&format!("conv{i}"), channels, channels))
            })
            .collect();
        let first = conv("first", LATENT_CHANNELS, channels);
        Self { first, blocks, last: conv("last", channels, 3) }
    }

    fn forward(&self, latents: &Tensor) -> Tensor {
        let mut x = self.first.forward(latents);
        for (norm, conv) in &self.blocks {
            let (_, _, h, w) = dims4(&x);
            x = x.upsample_nearest2d([2 * h, 2 * w], None, None);
            x = conv.forward(&norm.forward(&x).silu());
        }
        self.last.forward(&x.silu()).tanh()
    }
}

#[derive(Debug)]
pub(super) struct Diffusion {
    place: Place,
    size: DecoderSize,
    image: i64,
    n_steps: i64,
    iterate_steps: bool,
    embed: nn::Embedding,
    text: Decoder,
    text_out: nn::Linear,
    patch_in: nn::Linear,
    time_in: nn::Linear,
    transformer: Decoder,
    patch_out: nn::Linear,
    decoder: ImageDecoder,
    parameters: u64,
    // Owns the weights.
    _store: nn::VarStore,
}

impl Diffusion {
    /// `extent` is the image's side in pixels and the number of steps.
    pub(super) fn new(
        size: DecoderSize,
        extent: (i64, i64),
        iterate_steps: bool,
        place: Place,
    ) -> Self {
        let mut store = place.store();
        let root = store.root();
        let (d, patch) = (size.d_model, LATENT_CHANNELS * PATCH * PATCH);
        let text_size = DecoderSize { layers: (size.layers / 4).max(1), ..size };
        let linear = |name: &str, a, b| nn::linear(&root / name, a, b, nn::LinearConfig::default());
        let embed = nn::embedding(&root / "embed", size.vocab, d, nn::EmbeddingConfig::default());
        let text = Decoder::new(&(&root / "text"), text_size, place.shard);
        let (text_out, patch_in) = (linear("text_out", d, d), linear("patch_in", patch, d));
        let (time_in, patch_out) = (linear("time_in", d, d), linear("patch_out", d, patch));
        let transformer = Decoder::new(&(&root / "dit"), size, place.shard);
        let decoder = ImageDecoder::new(&(&root / "vae"), (d / 4).max(8) / 8 * 8);
        let parameters = place.seal(&mut store);
        Self {
            place,
            size,
            image: extent.0,
            n_steps: extent.1,
            iterate_steps,
            embed,
            text,
            text_out,
            patch_in,
            time_in,
            transformer,
            patch_out,
            decoder,
            parameters,
            _store: store,
        }
    }

    fn encode_text(
        &self,
        ctx: Context<'_>,
        prompt: &Tensor,
    ) -> Result<(Tensor, Tensor), CaptureError> {
        let _span = ctx.span("text_encode");
        let ids = self.place.take_pinned(prompt)?;
        let text = self.text_out.forward(&self.text.encode(ctx, &self.embed.forward(&ids))?);
        let side = self.image / VAE_SCALE;
        let noise = Tensor::randn([1, LATENT_CHANNELS, side, side], (Kind::Float, Device::Cpu));
        let latents = self.place.take_pinned(&noise)?.to_kind(self.place.kind);
        Ok((text, latents))
    }

    /// One Euler step of the denoising; the host waits for it, so that its time is its own.
    fn denoise(
        &self,
        ctx: Context<'_>,
        text: &Tensor,
        latents: &Tensor,
        step: i64,
    ) -> Result<Tensor, CaptureError> {
        let _span = ctx.span("denoise_step");
        let (_, _, h, w) = dims4(latents);
        let cells = latents
            .view([1, LATENT_CHANNELS, h / PATCH, PATCH, w / PATCH, PATCH])
            .permute([0, 2, 4, 1, 3, 5])
            .reshape([1, -1, LATENT_CHANNELS * PATCH * PATCH]);
        let time = self.time_in.forward(&self.timestep(step));
        let x = Tensor::cat(&[text.shallow_clone(), self.patch_in.forward(&cells) + time], 1);
        let hidden = self.transformer.encode(ctx, &x)?.narrow(1, text.size()[1], cells.size()[1]);
        let velocity = self
            .patch_out
            .forward(&hidden)
            .view([1, h / PATCH, w / PATCH, LATENT_CHANNELS, PATCH, PATCH])
            .permute([0, 3, 1, 4, 2, 5])
            .reshape([1, LATENT_CHANNELS, h, w]);
        Ok(latents + velocity * (-1.0 / self.n_steps as f64))
    }

    /// Sines and cosines of the step's time.
    fn timestep(&self, step: i64) -> Tensor {
        let half = self.size.d_model / 2;
        let options = (Kind::Float, self.place.device);
        let scale = -(10_000f64.ln()) / half as f64;
        let angles = (Tensor::arange(half, options) * scale).exp()
            * (1000.0 * (self.n_steps - step) as f64 / self.n_steps as f64);
        Tensor::cat(&[angles.sin(), angles.cos()], 0).view([1, 1, -1]).to_kind(self.place.kind)
    }

    fn decode_image(&self, ctx: Context<'_>, latents: &Tensor) -> Tensor {
        let _span = ctx.span("vae_decode");
        self.decoder.forward(latents).to_kind(Kind::Float).to_device(Device::Cpu)
    }
}

impl StageModel for Diffusion {
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
            .ok_or_else(|| CaptureError::Stage("the text encoder was handed no prompt".into()))?;
        let (image, denoise_ns) = match self.iterate_steps {
            false => steps.run("diffusion_forward", |ctx| {
                let (text, mut latents) = self.encode_text(ctx, prompt)?;
                let began = Instant::now();
                for step in 0..self.n_steps {
                    latents = self.denoise(ctx, &text, &latents, step)?;
                }
                self.place.wait()?;
                let denoise_ns = ns(began);
                Ok((self.decode_image(ctx, &latents), denoise_ns))
            })?,
            true => self.serve_by_steps(prompt, steps)?,
        };
        Ok(Output {
            tensors: vec![image],
            tokens_in: prompt.numel() as u64,
            tokens_out: 0,
            denoise_ns,
        })
    }
}

impl Diffusion {
    /// As one image, but with each denoising step as an iteration of its own; encoder and decoder lie between.
    fn serve_by_steps(
        &self,
        prompt: &Tensor,
        steps: &mut Steps<'_>,
    ) -> Result<(Tensor, u64), CaptureError> {
        let (text, mut latents) = self.encode_text(steps.context(), prompt)?;
        let began = Instant::now();
        for step in 0..self.n_steps {
            latents = steps.run("diffusion_step", |ctx| {
                let latents = self.denoise(ctx, &text, &latents, step)?;
                self.place.wait()?;
                Ok(latents)
            })?;
        }
        let denoise_ns = ns(began);
        Ok((self.decode_image(steps.context(), &latents), denoise_ns))
    }
}

fn dims4(x: &Tensor) -> (i64, i64, i64, i64) {
    match x.size()[..] {
        [a, b, c, d] => (a, b, c, d),
        ref other => unreachable!("four dimensions by construction, not {other:?}"),
    }
}
