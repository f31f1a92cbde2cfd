//! What the name of an annotation says of a step: who wrote it, what kind of step it was, requests and tokens.

use crate::schema::words;

words! {
    /// Which annotations an iteration comes from. Gaps are between iterations of one scheme.
    Scheme {
        /// `execute_*` of vLLM.
        Execute "execute",
        /// `step[…]` of SGLang.
        Step "step",
        /// `prefill[…]` and `decode[…]` of ATOM.
        Forward "forward",
        /// `[Executor] _forward_step` of TensorRT-LLM.
        Executor "executor",
        /// `diffusion_*` of vLLM-Omni.
        Diffusion "diffusion",
        /// `denoise_step_N`, `denoising_step_N`.
        DenoiseStep "denoise_step",
        /// `train_step_N`.
        TrainStep "train_step",
        /// `1F1B`: one pass of a pipeline's schedule, forward and backward.
        OneForwardOneBackward "1f1b",
        /// `ProfilerStep#` of torch.
        ProfilerStep "profiler_step",
    }
}

words! {
    /// What a step of an engine did.
    Phase {
        /// Only new requests or context tokens.
        Prefill "prefill",
        /// Only generation.
        Decode "decode",
        /// Both.
        Mixed "mixed",
        /// Neither: a dummy step.
        Empty "empty",
        /// The annotation does not say (`diffusion_*`, `train_step_*`, `ProfilerStep#`, an unknown `execute_*`).
        Unknown "unknown",
    }
}

/// Requests and tokens of a step, as its annotation says. `None`: not said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// Requests in context (prefill); `execute_new_{n}` counts new requests here.
    pub context_requests: Option<u64>,
    /// Their tokens.
    pub context_tokens: Option<u64>,
    /// Requests in generation (decode); `cached_{m}` counts here.
    pub generation_requests: Option<u64>,
    /// Their tokens.
    pub generation_tokens: Option<u64>,
    /// Sums over the requests in context, as detailed annotations give them.
    pub context_sums: AttentionSums,
    /// Sums over the requests in generation.
    pub generation_sums: AttentionSums,
}

/// What the work of attention follows from: sums over requests of query length `sq` and key length `sk`. The sum of `sq`
/// alone is the number of tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AttentionSums {
    /// Sum of `sk`.
    pub sk: Option<u64>,
    /// Sum of `sq` times `sq`.
    pub sqsq: Option<u64>,
    /// Sum of `sq` times `sk`.
    pub sqsk: Option<u64>,
}

/// Scheme, phase and batch of an annotation's name; `None` where it is no iteration.
pub fn parse_iteration(name: &str) -> Option<(Scheme, Phase, Batch)> {
    if let Some(scheme) = numbered_scheme(name) {
        return Some((scheme, Phase::Unknown, Batch::default()));
    }
    if let Some(rest) = name.strip_prefix("execute_") {
        let batch = parse_new_cached(rest).or_else(|| parse_context(rest)).unwrap_or_default();
        return Some((Scheme::Execute, phase_of(&batch), batch));
    }
    if let Some(batch) = parse_executor(name) {
        return Some((Scheme::Executor, phase_of(&batch), batch));
    }
    let (head, rest) = name.split_once('[')?;
    let body = rest.strip_suffix(']')?;
    match head {
        "step" => parse_step(body).map(|(phase, batch)| (Scheme::Step, phase, batch)),
        _ => parse_forward(head, body).map(|(phase, batch)| (Scheme::Forward, phase, batch)),
    }
}

/// The scheme of a name that only counts: `ProfilerStep#3`, `train_step_12`, `1F1B`.
fn numbered_scheme(name: &str) -> Option<Scheme> {
    if name.starts_with("ProfilerStep#") {
        return Some(Scheme::ProfilerStep);
    }
    if name.starts_with("diffusion_") {
        return Some(Scheme::Diffusion);
    }
    let counts = |start: &str| {
        let number = name.strip_prefix(start)?.trim_start_matches(['_', '#', ' ', ':']);
        number.bytes().all(|b| b.is_ascii_digit()).then_some(())
    };
    let schemes = [
        ("denoise_step", Scheme::DenoiseStep),
        ("denoising_step", Scheme::DenoiseStep),
        ("train_step", Scheme::TrainStep),
        ("1F1B", Scheme::OneForwardOneBackward),
        ("1f1b", Scheme::OneForwardOneBackward),
    ];
    schemes.into_iter().find(|(start, _)| counts(start).is_some()).map(|(_, scheme)| scheme)
}

fn phase_of(batch: &Batch) -> Phase {
    match (batch.context_requests, batch.generation_requests) {
        (Some(0), Some(0)) => Phase::Empty,
        (Some(_), Some(0)) => Phase::Prefill,
        (Some(0), Some(_)) => Phase::Decode,
        (Some(_), Some(_)) => Phase::Mixed,
        _ => Phase::Unknown,
    }
}

/// `new_{n}_cached_{m}`.
fn parse_new_cached(text: &str) -> Option<Batch> {
    let (new, cached) = text.strip_prefix("new_")?.split_once("_cached_")?;
    Some(Batch {
        context_requests: Some(new.parse().ok()?),
        generation_requests: Some(cached.parse().ok()?),
        ..Batch::default()
    })
}

/// `[{T}_]context_{C}({…})_generation_{G}({…})`; the parentheses hold the tokens first, or `sq…sk…sqsq…sqsk…`.
fn parse_context(text: &str) -> Option<Batch> {
    let text = match text.split_once("context_")? {
        ("", rest) => rest,
        (total, rest) => {
            total.strip_suffix('_')?.parse::<u64>().ok()?;
            rest
        }
    };
    let (context, generation) = text.split_once("_generation_")?;
    let ((context_requests, context_tokens, context_sums), (requests, tokens, sums)) =
        (parse_side(context)?, parse_side(generation)?);
    Some(Batch {
        context_requests: Some(context_requests),
        context_tokens,
        generation_requests: Some(requests),
        generation_tokens: tokens,
        context_sums,
        generation_sums: sums,
    })
}

/// `2(14721)` or `2(sq14721sk14721sqsq108745533sqsk108745533)`: requests, tokens, sums.
fn parse_side(text: &str) -> Option<(u64, Option<u64>, AttentionSums)> {
    let (requests, inside) = text.split_once('(')?;
    let inside = inside.strip_suffix(')')?;
    let requests = requests.parse().ok()?;
    let Some(mut rest) = inside.strip_prefix("sq") else {
        return Some((requests, leading_number(inside), AttentionSums::default()));
    };
    let tokens = leading_number(rest);
    let mut next = |mark: &str| {
        rest = rest.trim_start_matches(|c: char| c.is_ascii_digit()).strip_prefix(mark)?;
        leading_number(rest)
    };
    let sums = AttentionSums { sk: next("sk"), sqsq: next("sqsq"), sqsk: next("sqsk") };
    Some((requests, tokens, sums))
}

/// `[Executor] _forward_step 12: 3 ctx reqs, 8 gen reqs`, without the number in older versions.
fn parse_executor(name: &str) -> Option<Batch> {
    let (head, counts) = name.split_once(": ")?;
    let head = head.strip_prefix("[Executor] ").unwrap_or(head);
    let number = head.strip_prefix("_forward_step")?.trim_start();
    if !number.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let of = |unit: &str| {
        let part = counts.split(", ").find(|part| part.ends_with(unit))?;
        leading_number(part)
    };
    Some(Batch {
        context_requests: Some(of(" ctx reqs")?),
        context_tokens: of(" ctx tokens"),
        generation_requests: Some(of(" gen reqs")?),
        ..Batch::default()
    })
}

/// SGLang: `EXTEND bs=2 toks=14721`, `DECODE bs=64 g_sq=128 g_sk=…`, `MIXED bs=2 c=1 g=1 c_sq=… g_sq=…`.
fn parse_step(body: &str) -> Option<(Phase, Batch)> {
    let mode = body.split_whitespace().next()?;
    let requests = field(body, "bs");
    let sums = |side: &str| AttentionSums {
        sk: field(body, &format!("{side}_sk")),
        sqsq: field(body, &format!("{side}_sqsq")),
        sqsk: field(body, &format!("{side}_sqsk")),
    };
    let both = Batch { context_sums: sums("c"), generation_sums: sums("g"), ..Batch::default() };
    let (context, generation) = (field(body, "c_sq"), field(body, "g_sq"));
    Some(match mode {
        "EXTEND" | "SPLIT_PREFILL" | "DLLM_EXTEND" => {
            let context_tokens = context.or_else(|| field(body, "toks"));
            let batch = Batch { context_tokens, ..both };
            (Phase::Prefill, Batch { context_requests: requests, ..none_in_generation(batch) })
        }
        "DECODE" | "TARGET_VERIFY" => {
            let batch = Batch { generation_tokens: generation, ..both };
            (Phase::Decode, Batch { generation_requests: requests, ..none_in_context(batch) })
        }
        "MIXED" => {
            let (context_requests, generation_requests) = (field(body, "c"), field(body, "g"));
            let tokens = Batch { context_tokens: context, generation_tokens: generation, ..both };
            (Phase::Mixed, Batch { context_requests, generation_requests, ..tokens })
        }
        "IDLE" => (Phase::Empty, none_in_context(none_in_generation(Batch::default()))),
        _ if mode.bytes().all(|b| b.is_ascii_uppercase() || b == b'_') => {
            (Phase::Unknown, Batch::default())
        }
        _ => return None,
    })
}

fn none_in_generation(batch: Batch) -> Batch {
    Batch { generation_requests: Some(0), generation_tokens: Some(0), ..batch }
}

fn none_in_context(batch: Batch) -> Batch {
    Batch { context_requests: Some(0), context_tokens: Some(0), ..batch }
}

/// ATOM: `prefill[bs=2 tok=14721 ctx=[7803, 6918] sqsq=… sqsk=… sk=…]`, `decode[bs=117/128 tok=117 p=2 d=115 spec=3]`,
/// with `eager_` and `dummy_` before; a dummy step serves no request. What a step of both kinds sums up over all is of
/// neither side.
fn parse_forward(head: &str, body: &str) -> Option<(Phase, Batch)> {
    let (is_dummy, kind) = match head.strip_prefix("dummy_") {
        Some(kind) => (true, kind),
        None => (false, head),
    };
    let kind = kind.strip_prefix("eager_").unwrap_or(kind);
    if !matches!(kind, "prefill" | "decode") {
        return None;
    }
    if is_dummy {
        return Some((Phase::Empty, none_in_context(none_in_generation(Batch::default()))));
    }
    let (requests, tokens) = (field(body, "bs"), field(body, "tok"));
    let sums = AttentionSums {
        sk: field(body, "sk"),
        sqsq: field(body, "sqsq"),
        sqsk: field(body, "sqsk"),
    };
    let n_context = field(body, "p").filter(|&n| n > 0);
    Some(match (kind, n_context) {
        ("prefill", _) => {
            let batch = Batch { context_tokens: tokens, context_sums: sums, ..Batch::default() };
            (Phase::Prefill, Batch { context_requests: requests, ..none_in_generation(batch) })
        }
        (_, None) => {
            let batch =
                Batch { generation_tokens: tokens, generation_sums: sums, ..Batch::default() };
            (Phase::Decode, Batch { generation_requests: requests, ..none_in_context(batch) })
        }
        (_, Some(n)) => {
            let generation_requests = field(body, "d");
            let batch =
                Batch { context_requests: Some(n), generation_requests, ..Batch::default() };
            (phase_of(&batch), batch)
        }
    })
}

/// The number that begins the value of `key=value` among the words of an annotation.
fn field(body: &str, key: &str) -> Option<u64> {
    let value = |word: &str| word.strip_prefix(key)?.strip_prefix('=').map(str::to_owned);
    leading_number(&body.split_whitespace().find_map(value)?)
}

fn leading_number(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    text[..digits].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{AttentionSums, Batch, Phase, Scheme, parse_iteration};

    fn sums(sk: u64, sqsq: u64, sqsk: u64) -> AttentionSums {
        AttentionSums { sk: Some(sk), sqsq: Some(sqsq), sqsk: Some(sqsk) }
    }

    #[test]
    fn every_scheme_of_annotation_is_read() {
        let batch = |c, ct, g, gt| Batch {
            context_requests: c,
            context_tokens: ct,
            generation_requests: g,
            generation_tokens: gt,
            ..Batch::default()
        };
        let cases = [
            ("execute_new_1_cached_0", Phase::Prefill, batch(Some(1), None, Some(0), None)),
            (
                "execute_context_1(8)_generation_0(0)",
                Phase::Prefill,
                batch(Some(1), Some(8), Some(0), Some(0)),
            ),
            (
                "execute_context_0(0)_generation_4(4)",
                Phase::Decode,
                batch(Some(0), Some(0), Some(4), Some(4)),
            ),
            (
                "execute_context_1(888_788544)_generation_0(0)",
                Phase::Prefill,
                batch(Some(1), Some(888), Some(0), Some(0)),
            ),
            (
                "execute_context_0(0)_generation_0(0)",
                Phase::Empty,
                batch(Some(0), Some(0), Some(0), Some(0)),
            ),
            (
                "execute_12_context_1(sq8sk9sqsq64sqsk72)_generation_4(sq4sk40sqsq4sqsk40)",
                Phase::Mixed,
                Batch {
                    context_sums: sums(9, 64, 72),
                    generation_sums: sums(40, 4, 40),
                    ..batch(Some(1), Some(8), Some(4), Some(4))
                },
            ),
            ("execute_model", Phase::Unknown, Batch::default()),
        ];
        for (name, phase, batch) in cases {
            assert_eq!(parse_iteration(name), Some((Scheme::Execute, phase, batch)), "{name}");
        }
        assert_eq!(parse_iteration("ProfilerStep#3").unwrap().0, Scheme::ProfilerStep);
        assert_eq!(parse_iteration("diffusion_forward").unwrap().0, Scheme::Diffusion);
        assert_eq!(parse_iteration("aten::mm"), None);
    }

    /// Scheme, phase, requests and tokens in context, requests and tokens in generation.
    type Said = (Scheme, Phase, [Option<u64>; 4]);

    fn said(name: &str) -> Option<Said> {
        let (scheme, phase, batch) = parse_iteration(name)?;
        let Batch { context_requests, context_tokens, .. } = batch;
        let Batch { generation_requests, generation_tokens, .. } = batch;
        let counts = [context_requests, context_tokens, generation_requests, generation_tokens];
        Some((scheme, phase, counts))
    }

    #[test]
    fn steps_of_other_engines_are_read() {
        use Phase::{Decode, Empty, Mixed, Prefill};
        use Scheme::{Executor, Forward, Step};
        let n = Some::<u64>;
        for (name, scheme, phase, counts) in [
            ("step[EXTEND bs=2 toks=14721]", Step, Prefill, [n(2), n(14721), n(0), n(0)]),
            ("step[DECODE bs=64]", Step, Decode, [n(0), n(0), n(64), None]),
            (
                "step[DECODE bs=64 g_sq=128 g_sqsq=256 g_sqsk=262144 g_sk=131072]",
                Step,
                Decode,
                [n(0), n(0), n(64), n(128)],
            ),
            ("step[MIXED bs=2]", Step, Mixed, [None; 4]),
            (
                "step[MIXED bs=2 c=1 g=1 c_sq=5 c_sk=8 c_sqsq=25 c_sqsk=40 g_sq=1 g_sk=12 g_sqsq=1 g_sqsk=12]",
                Step,
                Mixed,
                [n(1), n(5), n(1), n(1)],
            ),
            ("step[IDLE bs=0]", Step, Empty, [n(0); 4]),
            (
                "prefill[bs=2 tok=14721 ctx=[7803, 6918]]",
                Forward,
                Prefill,
                [n(2), n(14721), n(0), n(0)],
            ),
            (
                "prefill[bs=6 tok=17408 ctx=[4096, 4096, 4096]...+3]",
                Forward,
                Prefill,
                [n(6), n(17408), n(0), n(0)],
            ),
            ("decode[bs=117/128 tok=117 d=117]", Forward, Decode, [n(0), n(0), n(117), n(117)]),
            ("eager_decode[bs=3 tok=3 ctx=[1, 2, 3]]", Forward, Decode, [n(0), n(0), n(3), n(3)]),
            (
                "decode[bs=128 tok=384 p=2 d=126 sqsq=1 sqsk=2 sk=3 tbo=1]",
                Forward,
                Mixed,
                [n(2), None, n(126), None],
            ),
            ("dummy_decode[bs=1]", Forward, Empty, [n(0); 4]),
            (
                "[Executor] _forward_step 12: 3 ctx reqs, 8 gen reqs",
                Executor,
                Mixed,
                [n(3), None, n(8), None],
            ),
            ("_forward_step: 0 ctx reqs, 8 gen reqs", Executor, Decode, [n(0), None, n(8), None]),
        ] {
            assert_eq!(said(name), Some((scheme, phase, counts)), "{name}");
        }
        let sk = |name| parse_iteration(name).unwrap().2;
        let detailed = "step[DECODE bs=64 g_sq=128 g_sqsq=256 g_sqsk=262144 g_sk=131072]";
        assert_eq!(sk(detailed).generation_sums, sums(131_072, 256, 262_144));
        let detailed = "prefill[bs=1 tok=8 ctx=8 sqsq=64 sqsk=72 sk=9]";
        assert_eq!(sk(detailed).context_sums, sums(9, 64, 72));
    }

    #[test]
    fn steps_that_only_count_are_read() {
        for (name, scheme) in [
            ("train_step_12", Scheme::TrainStep),
            ("denoise_step_3", Scheme::DenoiseStep),
            ("denoising_step_3", Scheme::DenoiseStep),
            ("1F1B", Scheme::OneForwardOneBackward),
            ("ProfilerStep#7", Scheme::ProfilerStep),
        ] {
            assert_eq!(said(name), Some((scheme, Phase::Unknown, [None; 4])), "{name}");
        }
        for name in [
            "draft[0/3 bs=8]",
            "dspark[bs=1 T=3]",
            "train_step_timer",
            "train_steps",
            "step[]",
            "step[3]",
            "step",
            "decode",
            "decode[",
            "Optimizer.step#AdamW.step",
            "1F1B/warmup",
            "[Executor] _forward_step",
        ] {
            assert_eq!(said(name), None, "{name}");
        }
    }
}
