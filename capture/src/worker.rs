//! A worker process: one rank of one stage, from its order on standard input to its last report.
//!
//! Reads the order and a "go", serves requests until the end, and reports on standard output. When its input ends,
//! the supervisor is gone: the worker removes what it was writing and ends. It must not start processes.

use std::io::{BufRead, Write};
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Instant;

use omni_trace_driver::gate::{Action, Gate, Moment, StopReason};
use tch::Device;

use crate::board::{Activity, Board};
use crate::error::CaptureError;
use crate::ffi;
use crate::handoff::Desk;
use crate::model::{self, Place, Shard, StageModel, Steps};
use crate::plan::{DeviceKind, Edge, Fault, StagePlan, WorkerOrder};
use crate::recorder::{Identity, Recorder, ns, unix_ns};
use crate::report::{Report, Served, Transfer};
use crate::ring::{Reader, Writer};
use crate::wire::{Message, Request};

/// Exit code of a worker whose supervisor is gone.
const ORPHANED: i32 = 3;

/// Runs the worker; the process's exit code.
pub fn main() -> i32 {
    let mut line = String::new();
    if let Err(error) = std::io::stdin().lock().read_line(&mut line) {
        report(&Report::Failed { error: format!("no order: {error}") });
        return 2;
    }
    let order: WorkerOrder = match serde_json::from_str(&line) {
        Ok(order) => order,
        Err(error) => {
            report(&Report::Failed { error: format!("damaged order: {error}") });
            return 2;
        }
    };
    let go = watch_supervisor(order.scratch.clone());
    let served =
        std::panic::catch_unwind(AssertUnwindSafe(|| Worker::start(&order, &go)?.serve_all()));
    let error = match served {
        Ok(Ok(())) => return 0,
        Ok(Err(error)) => error.to_string(),
        // tch's operators panic with libtorch's message.
        Err(panic) => panic_text(panic.as_ref()),
    };
    report(&Report::Failed { error: error.lines().next().unwrap_or_default().to_owned() });
    1
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned()))
        .unwrap_or_else(|| "a panic without a message".to_owned())
}

/// Passes on the supervisor's "go", and ends the process when the supervisor is gone.
fn watch_supervisor(scratch: PathBuf) -> Receiver<()> {
    let (tell, go) = sync_channel(1);
    std::thread::Builder::new()
        .name("supervisor-watch".into())
        .spawn(move || {
            for _line in std::io::stdin().lock().lines().map_while(Result::ok) {
                tell.send(()).ok();
            }
            // Best effort: nobody is left to be told.
            std::fs::remove_dir_all(&scratch).ok();
            if let Some(root) = scratch.parent() {
                std::fs::remove_dir(root).ok();
            }
            ffi::exit_now(ORPHANED);
        })
        .map(drop)
        .unwrap_or_else(|error| {
            report(&Report::Failed { error: format!("no thread: {error}") });
            ffi::exit_now(2);
        });
    go
}

fn report(report: &Report) {
    // One write a line, so that lines of libtorch do not get between. A supervisor that is gone is noticed elsewhere.
    if let Ok(mut line) = serde_json::to_string(report) {
        line.push('\n');
        let mut out = std::io::stdout().lock();
        out.write_all(line.as_bytes()).and_then(|()| out.flush()).ok();
    }
}

struct Worker {
    stage: StagePlan,
    index: usize,
    is_lead: bool,
    waits: crate::plan::Waits,
    fault: Option<Fault>,
    board: Board,
    inputs: Vec<(Edge, Reader)>,
    outputs: Vec<(Edge, Writer)>,
    model: Box<dyn StageModel>,
    recorder: Recorder,
    served: u64,
}

impl Worker {
    /// Builds and warms the model, says so, and waits for the "go".
    fn start(order: &WorkerOrder, go: &Receiver<()>) -> Result<Self, CaptureError> {
        let plan = &order.plan;
        let stage = plan
            .stages
            .get(order.stage as usize)
            .ok_or_else(|| CaptureError::Plan(format!("there is no stage {}", order.stage)))?;
        let board = Board::open(order.board_fd, plan.workers().len())
            .map_err(CaptureError::system("status board"))?;
        let (inputs, outputs) = open_edges(order)?;
        let (device, note) = pick_device(stage.device, order.index)?;
        tch::set_num_threads(plan.threads);
        tch::manual_seed(plan.seed + i64::from(order.stage));
        let _no_grad = tch::no_grad_guard();
        let shard = join_group(order, stage, device)?;
        let mut model = model::build(&stage.model, Place::on(device, shard))?;
        let gate = stage.gate.clone().map_or_else(Gate::closed, Gate::new);
        let identity = identity(order, stage, device);
        let mut recorder = Recorder::new(identity, gate, plan.flags, plan.trace_id.clone());
        // A window at iteration 0 has no iteration to be prepared in: the warm-up serves.
        let action = recorder.poll(Moment::Waiting);
        if action == Action::Prepare {
            recorder.perform(action)?;
        }
        for _ in 0..plan.model_warmup {
            let inputs = model::request_inputs(&stage.model, plan.prompt_tokens);
            if inputs.is_empty() && !stage.from.is_empty() {
                // What it will be handed is not known: a script that other stages feed.
                break;
            }
            model.serve(inputs, &mut Steps::Warm)?;
        }
        if let Device::Cuda(index) = device {
            ffi::cuda_sync(index)?;
        }
        report(&Report::Ready {
            device: device_name(device),
            parameters: model.parameters(),
            note,
        });
        if go.recv().is_err() {
            return Err(CaptureError::Aborted);
        }
        Ok(Self {
            stage: stage.clone(),
            index: order.index,
            is_lead: order.rank == 0,
            waits: plan.waits,
            fault: plan.fault.filter(|f| (f.stage, f.rank) == (order.stage, order.rank)),
            board,
            inputs,
            outputs,
            model,
            recorder,
            served: 0,
        })
    }

    fn serve_all(mut self) -> Result<(), CaptureError> {
        let _no_grad = tch::no_grad_guard();
        let outcome = self.serve_until_end();
        self.board.set(self.index, Activity::Saving);
        let reason = match outcome {
            Ok(()) => StopReason::EndOfInput,
            Err(_) => StopReason::Interrupted,
        };
        let (reports, timing) = self.recorder.finish(reason)?;
        reports.iter().for_each(report);
        outcome?;
        self.board.set(self.index, Activity::Done);
        report(&Report::Done(timing));
        Ok(())
    }

    fn serve_until_end(&mut self) -> Result<(), CaptureError> {
        loop {
            let Some((request, tensors, received)) = self.receive()? else {
                return self.send_end();
            };
            let start_unix_ns = unix_ns();
            let (began, spent) = (Instant::now(), self.recorder.spent_ns());
            let mut steps = Steps::Counted {
                recorder: &mut self.recorder,
                board: &self.board,
                index: self.index,
                fault: self.fault,
                report: &mut |r| report(&r),
            };
            let output = self.model.serve(tensors, &mut steps)?;
            let in_profiler = self.recorder.spent_ns() - spent;
            let gen_ns = ns(began).saturating_sub(in_profiler);
            self.served += 1;
            if !self.is_lead {
                continue;
            }
            report(&Report::Served(Served {
                request: request.clone(),
                batch_id: self.served,
                tokens_in: output.tokens_in,
                tokens_out: output.tokens_out,
                gen_ns,
                start_unix_ns,
                rx_bytes: received.iter().map(|t| t.bytes).sum(),
                rx_decode_ns: received.iter().map(|t| t.ns).sum(),
                rx_in_flight_ns: received.iter().map(|t| t.in_flight_ns).max().unwrap_or(0),
                denoise_ns: output.denoise_ns,
            }));
            received.into_iter().for_each(|transfer| report(&Report::Received(transfer)));
            self.hand_over(&request, &output.tensors)?;
        }
    }

    /// The next request, joined from all feeding stages; `None` at the end.
    #[expect(clippy::type_complexity, reason = "a request, its tensors, and how they came")]
    fn receive(
        &mut self,
    ) -> Result<Option<(String, Vec<tch::Tensor>, Vec<Transfer>)>, CaptureError> {
        let (mut id, mut tensors, mut transfers) = (None, Vec::new(), Vec::new());
        for (edge, reader) in &mut self.inputs {
            let mut desk = Desk {
                recorder: &mut self.recorder,
                board: &self.board,
                index: self.index,
                waits: self.waits,
                report: &mut |r| report(&r),
            };
            let (message, transfer) = desk.receive(reader, edge.from, edge.to)?;
            let Message::Request(request) = message else { return Ok(None) };
            if id.get_or_insert_with(|| request.id.clone()) != &request.id {
                return Err(CaptureError::Stage(format!(
                    "stage {}: inputs of different requests meet",
                    self.stage.id
                )));
            }
            tensors.extend(request.tensors);
            transfers.push(transfer);
        }
        Ok(id.map(|id| (id, tensors, transfers)))
    }

    fn hand_over(&mut self, id: &str, tensors: &[tch::Tensor]) -> Result<(), CaptureError> {
        let began = Instant::now();
        let span = self.recorder.span("shm_broadcast: copy_to_host");
        let host: Vec<_> = tensors.iter().map(|t| t.to_device(Device::Cpu)).collect();
        drop(span);
        let copy_ns = ns(began);
        for (edge, writer) in &mut self.outputs {
            let began = Instant::now();
            let request = Request {
                id: id.to_owned(),
                sent_unix_ns: unix_ns(),
                tensors: host.iter().map(tch::Tensor::shallow_clone).collect(),
            };
            let mut desk = Desk {
                recorder: &mut self.recorder,
                board: &self.board,
                index: self.index,
                waits: self.waits,
                report: &mut |r| report(&r),
            };
            let bytes = desk.send(writer, &Message::Request(request))?;
            report(&Report::Sent(Transfer {
                from: edge.from,
                to: edge.to,
                request: id.to_owned(),
                bytes,
                ns: copy_ns + ns(began),
                in_flight_ns: 0,
            }));
        }
        Ok(())
    }

    fn send_end(&mut self) -> Result<(), CaptureError> {
        for (_, writer) in &mut self.outputs {
            let mut desk = Desk {
                recorder: &mut self.recorder,
                board: &self.board,
                index: self.index,
                waits: self.waits,
                report: &mut |r| report(&r),
            };
            desk.send(writer, &Message::End)?;
        }
        Ok(())
    }
}

type Inputs = Vec<(Edge, Reader)>;
type Outputs = Vec<(Edge, Writer)>;

/// Readers of this rank, in the order of the feeding stages; writers of the leading rank.
fn open_edges(order: &WorkerOrder) -> Result<(Inputs, Outputs), CaptureError> {
    let (mut inputs, mut outputs) = (Vec::new(), Vec::new());
    for edge in &order.edges {
        if edge.to == Some(order.stage) {
            let reader = Reader::open(edge.fd, edge.shape, order.rank as usize)
                .map_err(CaptureError::system("ring to read"))?;
            inputs.push((*edge, reader));
        } else if edge.from == Some(order.stage) && order.rank == 0 {
            let writer =
                Writer::open(edge.fd, edge.shape).map_err(CaptureError::system("ring to write"))?;
            outputs.push((*edge, writer));
        }
    }
    Ok((inputs, outputs))
}

fn pick_device(kind: DeviceKind, index: usize) -> Result<(Device, Option<String>), CaptureError> {
    if kind == DeviceKind::Cpu {
        return Ok((Device::Cpu, None));
    }
    ffi::load_cuda()?;
    match ffi::cuda_devices() {
        0 => Err(CaptureError::Stage("libtorch sees no CUDA device".into())),
        n => {
            let device = index % n;
            ffi::set_cuda_device(device)?;
            Ok((Device::Cuda(device), None))
        }
    }
}

fn splits(stage: &StagePlan) -> bool {
    stage.ranks > 1 && model::is_split(&stage.model)
}

/// Joins the ranks of a stage whose model is split; they meet at a file in the scratch directory.
fn join_group(
    order: &WorkerOrder,
    stage: &StagePlan,
    device: Device,
) -> Result<Shard, CaptureError> {
    if !splits(stage) {
        return Ok(Shard { rank: 0, world: 1 });
    }
    let meeting = order.scratch.with_file_name(format!("group_stage_{}", stage.id));
    ffi::join_group(device.is_cuda(), &meeting.to_string_lossy(), order.rank, stage.ranks)?;
    Ok(Shard { rank: order.rank.into(), world: stage.ranks.into() })
}

fn device_name(device: Device) -> String {
    match device {
        Device::Cuda(index) => format!("cuda:{index}"),
        _ => "cpu".to_owned(),
    }
}

fn identity(order: &WorkerOrder, stage: &StagePlan, device: Device) -> Identity {
    Identity {
        stage: order.stage,
        name: stage.name.clone(),
        kind: stage.kind.clone(),
        rank: order.rank,
        world_size: stage.ranks,
        cuda: match device {
            Device::Cuda(index) => Some(index),
            _ => None,
        },
        backend: splits(stage).then_some(if device.is_cuda() { "nccl" } else { "gloo" }),
        out_dir: order.plan.out_dir.clone(),
        scratch: order.scratch.clone(),
        capture_unix_s: order.plan.started_unix_ns / 1_000_000_000,
        pipeline: order.plan.pipeline.clone(),
    }
}
