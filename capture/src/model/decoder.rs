//! A transformer: attention with a key-value cache, dense or mixture-of-experts feed-forward blocks.

use tch::nn::{self, Module};
use tch::{Kind, Tensor};

use super::Context;
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
enum FeedForward {
    Dense { norm: nn::LayerNorm, up: nn::Linear, down: nn::Linear },
    Experts { norm: nn::LayerNorm, router: nn::Linear, experts: Vec<(nn::Linear, nn::Linear)> },
}

impl FeedForward {
    fn new(path: &nn::Path<'_>, size: DecoderSize) -> Self {
        let d = size.d_model;
        let norm = nn::layer_norm(path / "norm", vec![d], nn::LayerNormConfig::default());
        let pair = |path: nn::Path<'_>| {
            let up = nn::linear(&path / "up", d, 4 * d, nn::LinearConfig::default());
            (up, nn::linear(&path / "down", 4 * d, d, nn::LinearConfig::default()))
        };
        if size.experts == 0 {
            let (up, down) = pair(path / "dense");
            return Self::Dense { norm, up, down };
        }
        let router = nn::linear(path / "router", d, size.experts, nn::LinearConfig::default());
        let experts = (0..size.experts).map(|e| pair(path / format!("expert{e}"))).collect();
        Self::Experts { norm, router, experts }
    }

    fn forward(&self, x: &Tensor) -> Tensor {
        match self {
            Self::Dense { norm, up, down } => {
                x + down.forward(&up.forward(&norm.forward(x)).gelu("none"))
            }
            Self::Experts { norm, router, experts } => {
                let (batch, tokens, d) = dims3(x);
                let flat = norm.forward(x).view([batch * tokens, d]);
                let scores = router.forward(&flat).softmax(-1, flat.kind());
                let wanted = EXPERTS_PER_TOKEN.min(experts.len() as i64);
                let (weights, chosen) = scores.topk(wanted, -1, true, true);
                let mut mixed = flat.zeros_like();
                for (e, (up, down)) in experts.iter().enumerate() {
                    let mine = chosen.eq(e as i64);
                    // How many tokens an expert gets is only known on the device: this waits for it.
                    let rows = mine.any_dim(-1, false).nonzero().squeeze_dim(-1);
                    let weight = (&weights * &mine).sum_dim_intlist(-1, true, flat.kind());
                    let part = down.forward(&up.forward(&flat.index_select(0, &rows)).gelu("none"));
                    mixed = mixed.index_add(0, &rows, &(part * weight.index_select(0, &rows)));
                }
                x + mixed.view([batch, tokens, d])
            }
        }
    }
}

/// A stack of blocks over embeddings.
#[derive(Debug)]
pub(super) struct Decoder {
    blocks: Vec<(Attention, FeedForward)>,
    norm: nn::LayerNorm,
}

impl Decoder {
    pub(super) fn new(path: &nn::Path<'_>, size: DecoderSize) -> Self {
        let block = |i: i64| {
            let path = path / format!("block{i}");
            (Attention::new(&(&path / "attention"), size), FeedForward::new(&(&path / "ffn"), size))
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
    pub(super) fn extend(&self, ctx: Context<'_>, x: &Tensor, cache: &mut [KeyValues]) -> Tensor {
        let mut x = x.shallow_clone();
        for ((attention, ffn), cache) in self.blocks.iter().zip(cache) {
            let span = ctx.span("attention");
            x = attention.forward(&x, Some(cache), true);
            drop(span);
            let _span = ctx.span("feed_forward");
            x = ffn.forward(&x);
        }
        self.norm.forward(&x)
    }

    /// Hidden states of a whole sequence, each token seeing all others.
    pub(super) fn encode(&self, ctx: Context<'_>, x: &Tensor) -> Tensor {
        let mut x = x.shallow_clone();
        for (attention, ffn) in &self.blocks {
            let span = ctx.span("attention");
            x = attention.forward(&x, None, false);
            drop(span);
            let _span = ctx.span("feed_forward");
            x = ffn.forward(&x);
        }
        self.norm.forward(&x)
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
