//! Measurements for a machine with a device (and without one, for comparison).
//!
//! `on_device make FILE.pt` writes a TorchScript module. `on_device cost FILE.pt cpu|cuda [ROUNDS [ITERATIONS]]` prints what
//! the gate and the profiler cost an iteration of it, as one JSON object; `on_device.py` does the same in Python's
//! `torch.profiler`. `on_device collective cpu|cuda DIR` records a collective of a group of one rank.
//!
//! A round of `cost` is five sets of as many iterations: bare calls of the module in turn with the same behind a gate that
//! waits, then recorded ones, then iterations after the window in turn with bare calls again.
#![expect(clippy::print_stdout, reason = "a program of its own, whose output this is")]

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, bail};
use omni_trace_capture::error::CaptureError;
use omni_trace_capture::ffi;
use omni_trace_capture::profiler::RecordFlags;
use omni_trace_capture::recorder::{Identity, Recorder};
use omni_trace_driver::gate::{Gate, GateSettings, StopReason};
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};
use tch::{CModule, Device, IValue, Kind, Tensor};

const WIDTH: i64 = 256;
const TOKENS: i64 = 64;
const BLOCKS: usize = 4;
const HEADS: i64 = 4;
/// Weights of a block: query, key, value, output, up, down.
const WEIGHTS: [[i64; 2]; 6] = [
    [WIDTH, WIDTH],
    [WIDTH, WIDTH],
    [WIDTH, WIDTH],
    [WIDTH, WIDTH],
    [WIDTH, 4 * WIDTH],
    [4 * WIDTH, WIDTH],
];
/// Iterations with the profiler prepared, before a window.
const WARMUP: u64 = 2;
/// Iterations of a round that are not looked at, in front of it.
const SETTLE: u64 = 3;

fn main() -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words[..] {
        ["make", file] => make(Path::new(file)),
        ["cost", file, device, ref counts @ ..] => {
            let count = |n: usize, other| counts.get(n).map_or(Ok(other), |text| text.parse());
            println!("{}", Cost::new(Path::new(file), device)?.run(count(0, 20)?, count(1, 30)?)?);
            Ok(())
        }
        ["collective", device, dir] => collective(device_named(device)?, Path::new(dir)),
        _ => bail!(
            "make FILE.pt, or cost FILE.pt cpu|cuda [ROUNDS [ITERATIONS]], or collective cpu|cuda DIR"
        ),
    }
}

/// The input and the weights, which are inputs too: a traced module keeps constants where it was traced.
fn inputs(device: Device) -> Vec<Tensor> {
    tch::manual_seed(1);
    let random = |shape: &[i64]| Tensor::randn(shape, (Kind::Float, Device::Cpu)) * 0.05;
    let weights = (0..BLOCKS).flat_map(|_| WEIGHTS).map(|shape| random(&shape));
    let all = std::iter::once(random(&[TOKENS, WIDTH])).chain(weights);
    all.map(|tensor| tensor.to_device(device)).collect()
}

/// A transformer encoder.
fn encoder(inputs: &[Tensor]) -> Vec<Tensor> {
    let split = |x: Tensor| x.view([TOKENS, HEADS, WIDTH / HEADS]).transpose(0, 1);
    let normed = |x: &Tensor| x.layer_norm([WIDTH], None::<Tensor>, None::<Tensor>, 1e-5, false);
    let mut x = inputs[0].shallow_clone();
    for w in inputs[1..].chunks(WEIGHTS.len()) {
        let h = normed(&x);
        let [q, k, v] = [0, 1, 2].map(|i| split(h.matmul(&w[i])));
        let scores = q.matmul(&k.transpose(1, 2)).softmax(-1, Kind::Float);
        x += scores.matmul(&v).transpose(0, 1).reshape([TOKENS, WIDTH]).matmul(&w[3]);
        x += normed(&x).matmul(&w[4]).gelu("none").matmul(&w[5]);
    }
    vec![x]
}

fn make(file: &Path) -> anyhow::Result<()> {
    let _no_grad = tch::no_grad_guard();
    let mut traced = |inputs: &[Tensor]| encoder(inputs);
    CModule::create_by_tracing("Encoder", "forward", &inputs(Device::Cpu), &mut traced)?
        .save(file)?;
    Ok(())
}

/// What an iteration took.
#[derive(Clone, Copy)]
struct Sample {
    wall_ns: u64,
    /// Of all threads of the process.
    cpu_ns: u64,
}

struct Cost {
    module: CModule,
    inputs: Vec<IValue>,
    device: Device,
    dir: PathBuf,
}

impl Cost {
    fn new(file: &Path, device: &str) -> anyhow::Result<Self> {
        tch::set_num_threads(1);
        let device = device_named(device)?;
        let mut module = CModule::load_on_device(file, device)?;
        module.set_eval();
        let inputs = inputs(device).into_iter().map(IValue::Tensor).collect();
        let dir = std::env::temp_dir().join(format!("omni-trace-overhead-{}", std::process::id()));
        std::fs::create_dir_all(&dir)
            .with_context(|| format!("cannot create {}", dir.display()))?;
        // Traces are saved under names relative to the working directory.
        std::env::set_current_dir(&dir)?;
        Ok(Self { module, inputs, device, dir })
    }

    fn run(&self, rounds: u64, iterations: u64) -> anyhow::Result<Value> {
        let _no_grad = tch::no_grad_guard();
        for _ in 0..50 {
            self.step()?;
        }
        let rounds: Vec<_> =
            (0..rounds).map(|_| self.round(iterations)).collect::<anyhow::Result<_>>()?;
        std::fs::remove_dir_all(&self.dir)?;
        Ok(json!({
            "profiler": "omni-trace-capture", "torch": ffi::torch_version(), "iterations": iterations,
            "sets": ["bare", "gated", "recorded", "after", "bare_again"], "rounds": rounds,
        }))
    }

    /// The medians of each set, wall and CPU nanoseconds.
    fn round(&self, n: u64) -> anyhow::Result<Value> {
        for _ in 0..SETTLE {
            self.step()?;
        }
        let waiting =
            GateSettings { delay_iters: u64::MAX, max_iters: Some(n), ..Default::default() };
        let mut waiting = self.recorder(waiting);
        let (bare, gated) = self.in_turn(&mut waiting, n)?;
        let window =
            GateSettings { warmup_iters: WARMUP, max_iters: Some(n), ..Default::default() };
        let mut recorder = self.recorder(window);
        self.through(&mut recorder, WARMUP)?;
        let recorded = self.through(&mut recorder, n)?;
        let (again, after) = self.in_turn(&mut recorder, n)?;
        Ok(json!([bare, gated, recorded, after, again].map(|set| medians(&set))))
    }

    /// Bare iterations, and those through a recorder, one after the other in alternating order.
    fn in_turn(
        &self,
        recorder: &mut Recorder,
        n: u64,
    ) -> anyhow::Result<(Vec<Sample>, Vec<Sample>)> {
        let (mut bare, mut through) = (Vec::new(), Vec::new());
        for i in 0..n {
            for is_bare in [i % 2 == 0, i % 2 == 1] {
                match is_bare {
                    true => bare.push(timed(|| self.step())?),
                    false => through.extend(self.through(recorder, 1)?),
                }
            }
        }
        Ok((bare, through))
    }

    fn through(&self, recorder: &mut Recorder, n: u64) -> anyhow::Result<Vec<Sample>> {
        let mut samples = Vec::new();
        for i in 0..n {
            // The pipelines make a name for each iteration too, so that is part of the cost.
            let mut inner = Sample { wall_ns: 0, cpu_ns: 0 };
            let spent = recorder.spent_ns();
            let outer = timed(|| {
                let name = format!("execute_context_0(0)_generation_1({i})");
                recorder.iteration(&name, |recorder| {
                    let _span = recorder.span("forward");
                    inner = timed(|| self.step())?;
                    Ok(())
                })
            })?;
            // Starting, stopping and saving fall between iterations: where they did, the iteration itself counts.
            samples.push(if recorder.spent_ns() == spent { outer } else { inner });
        }
        Ok(samples)
    }

    fn step(&self) -> Result<(), CaptureError> {
        self.module.forward_is(&self.inputs)?;
        if let Device::Cuda(index) = self.device {
            ffi::cuda_sync(index)?;
        }
        Ok(())
    }

    fn recorder(&self, settings: GateSettings) -> Recorder {
        recorder(self.device, &self.dir, settings, None)
    }
}

fn device_named(name: &str) -> anyhow::Result<Device> {
    if name == "cpu" {
        return Ok(Device::Cpu);
    }
    ffi::load_cuda()?;
    ffi::set_cuda_device(0)?;
    Ok(Device::Cuda(0))
}

fn recorder(
    device: Device,
    dir: &Path,
    settings: GateSettings,
    backend: Option<&'static str>,
) -> Recorder {
    let cuda = match device {
        Device::Cuda(index) => Some(index),
        _ => None,
    };
    let identity = Identity {
        stage: 0,
        name: "on_device".into(),
        kind: "script".into(),
        rank: 0,
        world_size: 1,
        cuda,
        backend,
        out_dir: dir.to_owned(),
        scratch: dir.to_owned(),
        capture_unix_s: 0,
        pipeline: "on_device".into(),
    };
    Recorder::new(identity, Gate::new(settings), RecordFlags::default(), "0".repeat(32))
}

/// Three recorded iterations of a sum over a group of one.
fn collective(device: Device, dir: &Path) -> anyhow::Result<()> {
    let dir = &std::path::absolute(dir)?;
    std::env::set_current_dir(dir)?;
    ffi::join_group(device.is_cuda(), "group", 0, 1)?;
    let backend = if device.is_cuda() { "nccl" } else { "gloo" };
    let settings = GateSettings { warmup_iters: WARMUP, max_iters: Some(3), ..Default::default() };
    let mut recorder = recorder(device, dir, settings, Some(backend));
    let mut tensor = Tensor::ones([1 << 16], (Kind::Float, device));
    let mut reports = Vec::new();
    for i in 0..WARMUP + 3 {
        let name = format!("ProfilerStep#{i}");
        reports.extend(recorder.iteration(&name, |_| Ok(ffi::all_reduce(&mut tensor)?))?.1);
    }
    reports.extend(recorder.finish(StopReason::EndOfInput)?.0);
    println!("{}", json!(reports));
    println!("sum {}", tensor.sum(Kind::Float).double_value(&[]));
    ffi::exit_now(0)
}

fn cpu_ns() -> u64 {
    let now = clock_gettime(ClockId::ProcessCPUTime);
    now.tv_sec.cast_unsigned() * 1_000_000_000 + now.tv_nsec.cast_unsigned()
}

fn timed<T>(body: impl FnOnce() -> Result<T, CaptureError>) -> Result<Sample, CaptureError> {
    let (cpu, wall) = (cpu_ns(), Instant::now());
    body()?;
    let wall_ns = u64::try_from(wall.elapsed().as_nanos()).unwrap_or(u64::MAX);
    Ok(Sample { wall_ns, cpu_ns: cpu_ns() - cpu })
}

fn medians(set: &[Sample]) -> [u64; 2] {
    let median = |of: fn(&Sample) -> u64| {
        let mut values: Vec<u64> = set.iter().map(of).collect();
        values.sort_unstable();
        values[values.len() / 2]
    };
    [median(|sample| sample.wall_ns), median(|sample| sample.cpu_ns)]
}
