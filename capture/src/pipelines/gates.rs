//! The gate of each stage, from flags, `--profiler-config` and vLLM's environment variables, in this order of weight.

use omni_trace_driver::gate::{GateSettings, PerStage};
use omni_trace_driver::vllm::VllmSettings;

use crate::args::GateArgs;
use crate::error::CaptureError;
use crate::plan::Waits;
use crate::profiler::RecordFlags;

/// What was asked for, resolved as far as possible without a stage.
#[derive(Debug)]
pub(super) struct Settings {
    base: GateSettings,
    args: GateOverrides,
    /// What is recorded besides names and times.
    pub(super) flags: RecordFlags,
    /// The directory named by vLLM's settings.
    pub(super) dir: Option<String>,
}

#[derive(Debug, Default)]
struct GateOverrides {
    stages: Option<Vec<u32>>,
    max_iters: PerStage<u64>,
    delay_iters: PerStage<u64>,
    warmup_iters: PerStage<u64>,
    max_seconds: PerStage<f64>,
    max_events: PerStage<u64>,
    repeat: PerStage<u32>,
    no_profile: bool,
    open_at_iteration: bool,
}

/// Resolves the settings; the notes say where vLLM's would behave differently.
pub(super) fn resolve(
    args: &GateArgs,
    env: impl Fn(&str) -> Option<String>,
) -> Result<(Settings, Vec<String>), CaptureError> {
    let bad =
        |error: omni_trace_driver::vllm::VllmSettingsError| CaptureError::Plan(error.to_string());
    let vllm = match &args.profiler_config {
        Some(json) => Some(VllmSettings::from_json(json).map_err(bad)?),
        None => VllmSettings::from_env(env).map_err(bad)?,
    };
    let (base, notes) = vllm.as_ref().map(VllmSettings::to_gate).unwrap_or_default();
    let given = vllm.unwrap_or_default();
    let flags = RecordFlags {
        shapes: args.record_shapes || given.torch_profiler_record_shapes,
        memory: args.profile_memory || given.torch_profiler_with_memory,
        flops: args.with_flops || given.torch_profiler_with_flops,
        sync_events: args.sync_events,
        all_threads: args.all_threads,
    };
    let overrides = GateOverrides {
        stages: args.stages.clone(),
        max_iters: args.max_iters.clone().unwrap_or_default(),
        delay_iters: args.delay_iters.clone().unwrap_or_default(),
        warmup_iters: args.warmup_iters.clone().unwrap_or_default(),
        max_seconds: args.max_seconds.clone().unwrap_or_default(),
        max_events: args.max_events.clone().unwrap_or_default(),
        repeat: args.repeat.clone().unwrap_or_default(),
        no_profile: args.no_profile,
        open_at_iteration: args.waits == Waits::None,
    };
    Ok((Settings { base, args: overrides, flags, dir: given.torch_profiler_dir }, notes))
}

impl Settings {
    /// The gate of a stage; `None` when it is not recorded.
    pub(super) fn gate(&self, stage: u32) -> Result<Option<GateSettings>, CaptureError> {
        let args = &self.args;
        if args.no_profile || args.stages.as_ref().is_some_and(|list| !list.contains(&stage)) {
            return Ok(None);
        }
        let max_window_ns = match args.max_seconds.get(stage) {
            None => self.base.max_window_ns,
            Some(s) if s.is_finite() && s > 0.0 => Some((s * 1e9) as u64),
            Some(s) => {
                return Err(CaptureError::Plan(format!("--max-seconds {s} is no time limit")));
            }
        };
        let gate = GateSettings {
            delay_iters: args.delay_iters.get(stage).unwrap_or(self.base.delay_iters),
            warmup_iters: args.warmup_iters.get(stage).unwrap_or(self.base.warmup_iters),
            // As in vLLM, 0 is no limit.
            max_iters: args.max_iters.get(stage).or(self.base.max_iters).filter(|n| *n > 0),
            max_window_ns,
            max_events: args.max_events.get(stage).or(self.base.max_events),
            windows: args.repeat.get(stage).unwrap_or(self.base.windows),
            open_at_iteration: args.open_at_iteration,
        };
        if gate.windows > 1 && !gate.is_bounded() {
            return Err(CaptureError::Plan(
                "--repeat needs a limit: a window without one never ends".into(),
            ));
        }
        Ok(Some(gate))
    }

    /// Stages that were named anywhere.
    pub(super) fn named_stages(&self) -> impl Iterator<Item = u32> + '_ {
        let args = &self.args;
        args.stages
            .iter()
            .flatten()
            .copied()
            .chain(args.max_iters.stages())
            .chain(args.delay_iters.stages())
            .chain(args.warmup_iters.stages())
            .chain(args.max_seconds.stages())
            .chain(args.max_events.stages())
            .chain(args.repeat.stages())
    }
}
