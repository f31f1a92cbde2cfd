//! From arguments to a plan: the built-in pipelines, pipeline files, and the gate of each stage.
//!
//! Resolves defaults and checks that the plan holds together. Starts nothing.

mod builtin;
mod file;
mod gates;

use std::path::Path;

use crate::args::{Cli, DeviceChoice};
use crate::error::CaptureError;
use crate::output::names;
use crate::plan::{DeviceKind, Plan, StagePlan};
use crate::recorder::unix_ns;

/// Requests sent when nothing limits the recording.
const UNLIMITED_REQUESTS: u32 = 4;
/// Most worker processes of a capture.
const MAX_WORKERS: u32 = 64;

/// The CUDA devices of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Devices {
    /// How many.
    pub count: usize,
    /// Why there are none.
    pub why_none: String,
}

impl Devices {
    /// No device, for this reason.
    pub fn none(why: &str) -> Self {
        Self { count: 0, why_none: why.to_owned() }
    }
}

/// The plan, and what there is to say about it.
pub fn plan(
    cli: &Cli,
    cuda: &Devices,
    env: impl Fn(&str) -> Option<String>,
) -> Result<(Plan, Vec<String>), CaptureError> {
    let device = match (cli.run.device, cuda.count) {
        (DeviceChoice::Cuda, _) => DeviceKind::Cuda,
        (DeviceChoice::Auto, n) if n > 0 => DeviceKind::Cuda,
        _ => DeviceKind::Cpu,
    };
    let is_file = cli.pipeline.ends_with(".toml");
    let mut stages = match cli.pipeline.as_str() {
        "omni" => builtin::omni(&cli.size, device)?,
        "diffusion" => builtin::diffusion(&cli.size, device)?,
        path if is_file => file::load(Path::new(path), device)?,
        other => {
            return Err(CaptureError::Plan(format!(
                "unknown pipeline '{other}': expected omni, diffusion, or a .toml file"
            )));
        }
    };
    let (settings, notes) = gates::resolve(&cli.gate, env)?;
    for stage in &mut stages {
        if let Some(ranks) = cli.run.ranks.as_ref().and_then(|ranks| ranks.get(stage.id)) {
            stage.ranks = ranks;
        }
        stage.gate = settings.gate(stage.id)?;
    }
    check(&stages, &settings)?;
    check_devices(&stages, cuda)?;
    let bounded = stages.iter().filter_map(|s| s.gate.as_ref()).all(|gate| gate.is_bounded());
    let any_gate = stages.iter().any(|s| s.gate.is_some());
    let requests = match (cli.run.requests, bounded && any_gate) {
        (None, false) => Some(UNLIMITED_REQUESTS),
        (given, _) => given,
    };
    let started_unix_ns = unix_ns();
    let name = match is_file {
        true => Path::new(&cli.pipeline).file_stem().map(|s| s.to_string_lossy().into_owned()),
        false => Some(cli.pipeline.clone()),
    };
    let name = name.unwrap_or_else(|| "pipeline".to_owned());
    let out = match (&cli.out, &settings.dir) {
        (Some(dir), _) => dir.clone(),
        (None, Some(dir)) => dir.into(),
        (None, None) => names::capture_dir(started_unix_ns / 1_000_000_000, &name).into(),
    };
    let out_dir = std::path::absolute(&out)
        .map_err(|source| CaptureError::File { path: out.clone(), source })?;
    let (_, prompt_tokens) = builtin::prompt(&cli.size);
    let plan = Plan {
        trace_id: trace_id(started_unix_ns),
        pipeline: name,
        started_unix_ns,
        out_dir,
        stages,
        requests,
        in_flight: cli.run.in_flight.max(1),
        waits: cli.gate.waits,
        flags: settings.flags,
        model_warmup: cli.run.model_warmup,
        seed: cli.run.seed,
        threads: cli.run.threads.max(1),
        prompt_tokens,
        ring: (cli.run.ring_chunk_bytes.max(64), cli.run.ring_chunks.max(2)),
        stage_timeout_s: cli.run.stage_timeout.max(1),
        fault: cli.run.fault.as_deref().map(str::parse).transpose().map_err(CaptureError::Plan)?,
    };
    Ok((plan, notes))
}

/// 32 hexadecimal digits that differ between captures: time and process.
fn trace_id(unix_ns: u64) -> String {
    format!("{unix_ns:016X}{:016X}", u64::from(std::process::id()) << 32 | (unix_ns & 0xFFFF_FFFF))
}

/// Whether there is a device for every stage that wants one. NCCL refuses two ranks of a group on one device, with words
/// that say nothing.
fn check_devices(stages: &[StagePlan], cuda: &Devices) -> Result<(), CaptureError> {
    let mut on_cuda = stages.iter().filter(|stage| stage.device == DeviceKind::Cuda);
    if let (Some(stage), 0) = (on_cuda.clone().next(), cuda.count) {
        return Err(CaptureError::Plan(format!(
            "stage {} ({}) is to run on CUDA, and no device can be used: {}",
            stage.id, stage.name, cuda.why_none
        )));
    }
    let too_large = |stage: &&StagePlan| {
        crate::model::is_split(&stage.model) && stage.ranks > 1 && stage.ranks as usize > cuda.count
    };
    let Some(stage) = on_cuda.find(too_large) else { return Ok(()) };
    Err(CaptureError::Plan(format!(
        "stage {} has {} ranks and this machine {} CUDA device(s): NCCL needs one for each rank; give fewer --ranks, or \
         --device cpu, which sums by Gloo",
        stage.id, stage.ranks, cuda.count
    )))
}

fn check(stages: &[StagePlan], settings: &gates::Settings) -> Result<(), CaptureError> {
    let plan_error = |text: String| Err(CaptureError::Plan(text));
    let workers: u32 = stages.iter().map(|s| s.ranks).sum();
    if stages.iter().any(|s| s.ranks == 0) || workers > MAX_WORKERS {
        return plan_error(format!(
            "between 1 and {MAX_WORKERS} processes are possible, not {workers}"
        ));
    }
    let known = |id: u32| (id as usize) < stages.len();
    if let Some(unknown) = settings.named_stages().find(|id| !known(*id)) {
        return plan_error(format!(
            "there is no stage {unknown}: stages are 0 to {}",
            stages.len() - 1
        ));
    }
    // Each stage is fed by earlier ones only, so there is no cycle and every stage is reached.
    for stage in stages {
        if let Some(from) = stage.from.iter().find(|from| **from >= stage.id) {
            return plan_error(format!("stage {} cannot be fed by stage {from}", stage.id));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[test]
    fn a_stage_on_cuda_needs_a_device_and_ranks_of_a_group_one_each() {
        let plan_with = |line: &str, cuda: &Devices| {
            let words = ["x", "--pipeline", "omni"].into_iter().chain(line.split_whitespace());
            plan(&Cli::try_parse_from(words).unwrap(), cuda, |_| None).map_err(|e| e.to_string())
        };
        let none = Devices::none("no driver");
        let refused = plan_with("--device cuda", &none).unwrap_err();
        let expected = "stage 0 (thinker) is to run on CUDA, and no device can be used: no driver";
        assert_eq!(refused, expected);
        assert!(plan_with("", &none).unwrap().0.stages.iter().all(|s| s.device == DeviceKind::Cpu));
        let one = Devices { count: 1, why_none: String::new() };
        assert!(plan_with("--ranks 0:2", &one).unwrap_err().contains("NCCL needs one for each"));
        assert!(plan_with("--ranks 2:2", &one).is_ok(), "the vocoder is not split");
    }
}
