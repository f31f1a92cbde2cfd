//! A transformer: attention with a key-value cache, dense or mixture-of-experts feed-forward blocks.
//!
//! Over several ranks the feed-forward blocks are split, dense ones by width and others by expert, and summed.

use tch::nn::{self, Module};
use tch::{Kind, Tensor};

use super::{Context, Shard};
use crate::error::CaptureError;
use crate::plan::DecoderSize;

/// Experts that a token is sent to.
const EXPERTS_PER_TOKEN: i64 = 2;

/// Keys and values of the tokens seen so far, of one block.
pub(super) type KeyValues = Option<(Tensor, Tensor)>;

#[derive(Debug)]
struct Attention {
    norm: nn::LayerNorm,
    qkv: nn::Linear,
    out: nn::Linear,
    heads: i64,
}

impl Attention {
    fn new(path: &nn::Path<'_>, size: DecoderSize) -> Self {
        let d = size.d_model;
        Self {
            norm: nn::layer_norm(path / "norm", vec![d], nn::LayerNormConfig::default()),
            qkv: nn::linear(path / "qkv", d, 3 * d, nn::LinearConfig::default()),
            out: nn::linear(path / "out", d, d, nn::LinearConfig::default()),
            heads: size.heads,
        }
    }

    fn forward(&self, x: &Tensor, cache: Option<&mut KeyValues>, causal: bool) -> Tensor {
        let (batch, tokens, d) = dims3(x);
        let qkv = self.qkv.forward(&self.norm.forward(x));
        let heads = |part: i64| {
            qkv.narrow(-1, part * d, d)
                .view([batch, tokens, self.heads, d / self.heads])
                .transpose(1, 2)
        };
        let (q, mut k, mut v) = (heads(0), heads(1), heads(2));
        if let Some(cache) = cache {
            if let Some((seen_k, seen_v)) = cache.take() {
                k = Tensor::cat(&[seen_k, k], 2);
                v = Tensor::cat(&[seen_v, v], 2);
            }
            *cache = Some((k.shallow_clone(), v.shallow_clone()));
        }
        let causal = causal && tokens > 1;
        let mixed = Tensor::scaled_dot_product_attention(
            &q,
            &k,
            &v,
            None::<&Tensor>,
            0.0,
            causal,
            None::<f64>,
            false,
        );
        x + self.out.forward(&mixed.transpose(1, 2).reshape([batch, tokens, d]))
    }
}

#[derive(Debug)]
enum Kinds {
    Dense(nn::Linear, nn::Linear),
    Experts { router: nn::Linear, mine: Vec<(i64, nn::Linear, nn::Linear)>, all: i64 },
}

#[derive(Debug)]
struct FeedForward {
    norm: nn::LayerNorm,
    kinds: Kinds,
    shard: Shard,
}

impl FeedForward {
    fn new(path: &nn::Path<'_>, size: DecoderSize, shard: Shard) -> Self {
        let d = size.d_model;
        let norm = nn::layer_norm(path / "norm", vec![d], nn::LayerNormConfig::default());
        // A bias would be added once by each rank.
        let no_bias = nn::LinearConfig { bias: false, ..Default::default() };
        let pair = |path: nn::Path<'_>, width: i64| {
            let up = nn::linear(&path / "up", d, width, nn::LinearConfig::default());
            (up, nn::linear(&path / "down", width, d, no_bias))
        };
        if size.experts == 0 {
            let (up, down) = pair(path / "dense", (4 * d / shard.world).max(1));
            return Self { norm, kinds: Kinds::Dense(up, down), shard };
        }
        let router = nn::linear(path / "router", d, size.experts, nn::LinearConfig::default());
        let mine = (0..size.experts)
            .filter(|e| e % shard.world == shard.rank)
            .map(|e| {
                let (up, down) = pair(path / format!("expert{e}"), 4 * d);
                (e, up, down)
            })
            .collect();
        Self { norm, kinds: Kinds::Experts { router, mine, all: size.experts }, shard }
    }

    fn forward(&self, ctx: Context<'_>, x: &Tensor) -> Result<Tensor, CaptureError> {
        let y = self.norm.forward(x);
        let part = match &self.kinds {
            Kinds::Dense(up, down) => down.forward(&up.forward(&y).gelu("none")),
            Kinds::Experts { router, mine, all } => {
                let (batch, tokens, d) = dims3(x);
                mix_experts(router, mine, *all, &y.view([batch * tokens, d])).view_as(x)
            }
        };
        Ok(x + self.shard.sum(ctx, part)?)
    }
}

/// The part of this rank's experts in the result, for each token.
fn mix_experts(
    router: &nn::Linear,
    mine: &[(i64, nn::Linear, nn::Linear)],
    all: i64,
    tokens: &Tensor,
) -> Tensor {
    let scores = router.forward(tokens).softmax(-1, tokens.kind());
    let (weights, chosen) = scores.topk(EXPERTS_PER_TOKEN.min(all), -1, true, true);
    let mut mixed = tokens.zeros_like();
    for (e, up, down) in mine {
        let here = chosen.eq(*e);
        // How many tokens an expert gets is only known on the device: this waits for it.
        let rows = here.any_dim(-1, false).nonzero().squeeze_dim(-1);
        let weight = (&weights * &here).sum_dim_intlist(-1, true, tokens.kind());
        let part = down.forward(&up.forward(&tokens.index_select(0, &rows)).gelu("none"));
        mixed = mixed.index_add(0, &rows, &(part * weight.index_select(0, &rows)));
    }
    mixed
}

/// A stack of blocks over embeddings.
#[derive(Debug)]
pub(super) struct Decoder {
    blocks: Vec<(Attention, FeedForward)>,
    norm: nn::LayerNorm,
}

impl Decoder {
    pub(super) fn new(path: &nn::Path<'_>, size: DecoderSize, shard: Shard) -> Self {
        let block = |i: i64| {
            let path = path / format!("block{i}");
            (
                Attention::new(&(&path / "attention"), size),
                FeedForward::new(&(&path / "ffn"), size, shard),
            )
        };
        let norm =
            nn::layer_norm(path / "norm", vec![size.d_model], nn::LayerNormConfig::default());
        Self { blocks: (0..size.layers).map(block).collect(), norm }
    }

    /// A cache for one request.
    pub(super) fn cache(&self) -> Vec<KeyValues> {
        self.blocks.iter().map(|_| None).collect()
    }

    /// Hidden states of new tokens; earlier ones are in the cache.
    pub(super) fn extend(
        &self,
        ctx: Context<'_>,
        x: &Tensor,
        cache: &mut [KeyValues],
    ) -> Result<Tensor, CaptureError> {
        let mut x = x.shallow_clone();
        for ((attention, ffn), cache) in self.blocks.iter().zip(cache) {
            let span = ctx.span("attention");
            x = attention.forward(&x, Some(cache), true);
            drop(span);
            let _span = ctx.span("feed_forward");
            x = ffn.forward(ctx, &x)?;
        }
        Ok(self.norm.forward(&x))
    }

    /// Hidden states of a whole sequence, each token seeing all others.
    pub(super) fn encode(&self, ctx: Context<'_>, x: &Tensor) -> Result<Tensor, CaptureError> {
        let mut x = x.shallow_clone();
        for (attention, ffn) in &self.blocks {
            let span = ctx.span("attention");
            x = attention.forward(&x, None, false);
            drop(span);
            let _span = ctx.span("feed_forward");
            x = ffn.forward(ctx, &x)?;
        }
        Ok(self.norm.forward(&x))
    }
}

/// The next token of each sequence, drawn from the 50 most likely, and brought to the host: `[batch, 1]` on the device.
pub(super) fn sample(ctx: Context<'_>, head: &nn::Linear, hidden: &Tensor) -> Tensor {
    let _span = ctx.span("gpu_model_runner: sample");
    let logits = head.forward(&hidden.narrow(1, -1, 1).squeeze_dim(1)).to_kind(Kind::Float);
    let k = 50.min(logits.size()[1]);
    let (likely, index) = logits.topk(k, -1, true, true);
    let draw = likely.softmax(-1, Kind::Float).multinomial(1, false);
    let next = index.gather(-1, &draw, false);
    // The scheduler needs the tokens: the host waits for the device here, as an engine does.
    drop(next.to_device(tch::Device::Cpu));
    next
}

pub(super) fn dims3(x: &Tensor) -> (i64, i64, i64) {
    match x.size()[..] {
        [a, b, c] => (a, b, c),
        ref other => unreachable!("three dimensions by construction, not {other:?}"),
    }
}
