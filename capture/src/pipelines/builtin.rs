//! The pipelines that come with the program: `omni` and `diffusion`.

use crate::args::{Iterate, SizeArgs, SizePreset};
use crate::error::CaptureError;
use crate::plan::{DecoderSize, DeviceKind, ModelSpec, StagePlan};

struct Preset {
    d_model: i64,
    heads: i64,
    layers: i64,
    vocab: i64,
    prompt: i64,
    generated: i64,
    image: i64,
    steps: i64,
    upsample: &'static [i64],
}

const TINY: Preset = Preset {
    d_model: 64,
    heads: 2,
    layers: 2,
    vocab: 128,
    prompt: 8,
    generated: 4,
    image: 64,
    steps: 2,
    upsample: &[4, 2],
};
const SMALL: Preset = Preset {
    d_model: 256,
    heads: 4,
    layers: 4,
    vocab: 1000,
    prompt: 32,
    generated: 8,
    image: 128,
    steps: 4,
    upsample: &[8, 4, 2],
};
const LARGE: Preset = Preset {
    d_model: 2048,
    heads: 16,
    layers: 16,
    vocab: 32_000,
    prompt: 512,
    generated: 64,
    image: 1024,
    steps: 20,
    upsample: &[8, 5, 4, 3],
};

fn preset(args: &SizeArgs) -> &'static Preset {
    match args.size {
        SizePreset::Tiny => &TINY,
        SizePreset::Small => &SMALL,
        SizePreset::Large => &LARGE,
    }
}

/// Batch and tokens of a prompt.
pub(super) fn prompt(args: &SizeArgs) -> (i64, i64) {
    (args.batch, args.prompt_tokens.unwrap_or(preset(args).prompt))
}

fn decoder(args: &SizeArgs, experts: i64) -> Result<DecoderSize, CaptureError> {
    let preset = preset(args);
    let size = DecoderSize {
        d_model: args.d_model.unwrap_or(preset.d_model),
        heads: args.heads.unwrap_or(preset.heads),
        layers: args.layers.unwrap_or(preset.layers),
        vocab: args.vocab.unwrap_or(preset.vocab),
        experts,
    };
    let positive = size.d_model > 0 && size.heads > 0 && size.layers > 0 && size.vocab > 0;
    if !positive || experts < 0 || size.d_model % (2 * size.heads) != 0 {
        return Err(CaptureError::Plan(format!(
            "impossible sizes: --d-model {} has to be a multiple of twice --heads {}, and all sizes positive",
            size.d_model, size.heads
        )));
    }
    Ok(size)
}

/// Half as wide and half as deep.
fn halved(size: DecoderSize) -> DecoderSize {
    let heads = (size.heads / 2).max(1);
    let d_model = (size.d_model / 2 / (2 * heads)).max(1) * 2 * heads;
    DecoderSize { d_model, heads, layers: (size.layers / 2).max(1), experts: 0, ..size }
}

fn stage(id: u32, name: &str, kind: &str, device: DeviceKind, model: ModelSpec) -> StagePlan {
    StagePlan {
        id,
        name: name.to_owned(),
        kind: kind.to_owned(),
        ranks: 1,
        device,
        model,
        gate: None,
        from: id.checked_sub(1).into_iter().collect(),
    }
}

fn positive(value: i64, flag: &str) -> Result<i64, CaptureError> {
    match value > 0 {
        true => Ok(value),
        false => Err(CaptureError::Plan(format!("{flag} has to be positive, not {value}"))),
    }
}

/// Thinker, talker, vocoder.
pub(super) fn omni(args: &SizeArgs, device: DeviceKind) -> Result<Vec<StagePlan>, CaptureError> {
    let preset = preset(args);
    let (batch, tokens) = prompt(args);
    positive(batch, "--batch")?;
    positive(tokens, "--prompt-tokens")?;
    let thinker = decoder(args, args.moe_experts)?;
    let talker = halved(thinker);
    let generated = positive(args.gen_tokens.unwrap_or(preset.generated), "--gen-tokens")?;
    Ok(vec![
        stage(
            0,
            "thinker",
            "llm",
            device,
            ModelSpec::Thinker { size: thinker, batch, gen_tokens: generated },
        ),
        stage(
            1,
            "talker",
            "llm",
            device,
            ModelSpec::Talker {
                size: talker,
                // The last token drawn has no hidden state of its own.
                input: [batch, tokens + generated - 1, thinker.d_model],
                gen_tokens: 2 * generated,
            },
        ),
        stage(
            2,
            "code2wav",
            "generation",
            device,
            ModelSpec::Code2Wav {
                vocab: talker.vocab,
                input: [batch, 2 * generated],
                channels: talker.d_model,
                upsample: preset.upsample.to_vec(),
            },
        ),
    ])
}

/// Text encoder, diffusion transformer and image decoder in one stage.
pub(super) fn diffusion(
    args: &SizeArgs,
    device: DeviceKind,
) -> Result<Vec<StagePlan>, CaptureError> {
    let preset = preset(args);
    let image = args.image.unwrap_or(preset.image);
    if image <= 0 || image % 16 != 0 {
        return Err(CaptureError::Plan(format!("--image {image} has to be a multiple of 16")));
    }
    positive(prompt(args).1, "--prompt-tokens")?;
    let model = ModelSpec::Diffusion {
        size: decoder(args, 0)?,
        image,
        steps: positive(args.steps.unwrap_or(preset.steps), "--steps")?,
        iterate_steps: args.iterate == Iterate::Step,
    };
    Ok(vec![stage(0, "diffusion", "diffusion", device, model)])
}
