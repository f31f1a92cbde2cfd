//! The `omni-trace-capture` program: parse, plan, run, say what came of it.
//!
//! The same program is its own worker when the supervisor starts it as one.

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, bail};
use clap::Parser;
use omni_trace_capture::args::{Cli, DeviceChoice};
use omni_trace_capture::output::manifest::{self, Outcome};
use omni_trace_capture::pipelines::Devices;
use omni_trace_capture::plan::Plan;
use omni_trace_capture::supervisor::{self, Finished, WORKER_ARG};
use omni_trace_capture::{ffi, pipelines, worker};
use omni_trace_driver::pipeline::PARENT_VAR;
use rustix::process::{Signal, getppid, set_parent_process_death_signal};

/// The argument that makes this program count CUDA devices and say how many, and why there are none.
const DEVICES_ARG: &str = "__devices";

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        Some(WORKER_ARG) => ffi::exit_now(worker::main()),
        Some(DEVICES_ARG) => {
            let (count, why_none) = match ffi::load_cuda() {
                Ok(()) => (ffi::cuda_devices(), "the driver shows none".to_owned()),
                Err(error) => (0, error.to_string()),
            };
            say(&mut std::io::stdout(), &format!("{count}\n{why_none}"));
            ffi::exit_now(0)
        }
        // The parts without torch, for those who have only this program.
        Some("server" | "launch") => {
            let args: Vec<_> = std::env::args_os().skip(2).collect();
            let captured = omni_trace_driver::cli::dispatch(&args, "");
            return ExitCode::from(u8::try_from(captured.code).unwrap_or(2));
        }
        _ => {}
    }
    match run(&Cli::parse()) {
        Ok(Outcome::Complete) => ExitCode::SUCCESS,
        Ok(Outcome::Incomplete) => ExitCode::from(1),
        Ok(Outcome::Failed) => ExitCode::from(2),
        Ok(Outcome::Interrupted) => ExitCode::from(130),
        Err(error) => {
            say(&mut std::io::stderr(), &format!("error: {error:#}"));
            ExitCode::from(2)
        }
    }
}

fn run(cli: &Cli) -> anyhow::Result<Outcome> {
    let interrupts = Arc::new(AtomicUsize::new(0));
    watch_signals(&interrupts)?;
    end_with_parent()?;
    let devices = match cli.run.device {
        DeviceChoice::Cpu => Devices::none("--device cpu was given"),
        DeviceChoice::Auto | DeviceChoice::Cuda => look_for_devices()?,
    };
    let (mut plan, mut notes) = pipelines::plan(cli, &devices, |name| std::env::var(name).ok())?;
    if plan.out_dir.join(manifest::JSON_NAME).exists() {
        // One directory a capture: an earlier one is not touched.
        let seconds = plan.started_unix_ns / 1_000_000_000;
        let name = omni_trace_capture::output::names::capture_dir(seconds, &plan.pipeline);
        notes.push(format!(
            "{} holds an earlier capture; this one goes to {name} in it",
            plan.out_dir.display()
        ));
        plan.out_dir = plan.out_dir.join(name);
    }
    std::fs::create_dir_all(&plan.out_dir)
        .with_context(|| format!("cannot create {}", plan.out_dir.display()))?;
    let finished = supervisor::run(&plan, notes, &interrupts)?;
    print_outcome(&plan, &finished);
    Ok(finished.outcome)
}

/// Counts wishes to end. The handlers only add to a number; the supervisor looks at it.
fn watch_signals(interrupts: &Arc<AtomicUsize>) -> anyhow::Result<()> {
    let mut signals = signal_hook::iterator::Signals::new([
        signal_hook::consts::SIGINT,
        signal_hook::consts::SIGTERM,
        signal_hook::consts::SIGHUP,
    ])
    .context("cannot watch for signals")?;
    let interrupts = Arc::clone(interrupts);
    std::thread::Builder::new()
        .name("signals".into())
        .spawn(move || {
            for _ in signals.forever() {
                interrupts.fetch_add(1, Ordering::Relaxed);
            }
        })
        .context("cannot watch for signals")?;
    Ok(())
}

/// When the analyzer started this program and is killed, this ends in order, as after an interrupt.
fn end_with_parent() -> anyhow::Result<()> {
    let Ok(parent) = std::env::var(PARENT_VAR) else { return Ok(()) };
    set_parent_process_death_signal(Some(Signal::INT)).context("cannot watch the parent")?;
    // It may have gone before that call.
    let is_there = getppid().is_some_and(|pid| pid.as_raw_nonzero().to_string() == parent);
    if is_there { Ok(()) } else { bail!("the process that started this one is gone") }
}

/// CUDA devices as a process of its own sees them: this one never loads the CUDA half of libtorch.
fn look_for_devices() -> anyhow::Result<Devices> {
    let output = std::process::Command::new(std::env::current_exe()?)
        .arg(DEVICES_ARG)
        .output()
        .context("cannot look for CUDA devices")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let (count, why_none) = text.split_once('\n').unwrap_or((&text, ""));
    match count.trim().parse() {
        Ok(count) if count > 0 => Ok(Devices { count, why_none: String::new() }),
        _ => Ok(Devices::none(why_none.trim())),
    }
}

fn print_outcome(plan: &Plan, finished: &Finished) {
    let mut err = std::io::stderr();
    let warnings: Vec<String> =
        finished.results.iter().filter_map(|result| supervisor::describe(result, plan)).collect();
    // The cause of an early end is a note of the manifest and one of the warnings.
    for note in finished.notes.iter().filter(|note| !warnings.contains(note)) {
        say(&mut err, &format!("note: {note}"));
    }
    for text in &warnings {
        say(&mut err, &format!("warning: {text}"));
    }
    let mut out = std::io::stdout();
    for (result, window) in
        finished.results.iter().flat_map(|r| r.windows.iter().map(move |w| (r, w)))
    {
        let stage = &plan.stages[result.stage as usize];
        say(
            &mut out,
            &format!(
                "stage {} {} rank {} on {}: {} iterations from {}, {} events in {:.1} ms ({}) -> {} ({} bytes)",
                stage.id,
                stage.name,
                result.rank,
                result.device,
                window.iterations,
                window.first_iteration,
                window.events,
                window.window_ns as f64 / 1e6,
                window.reason.as_str(),
                window.file,
                window.bytes,
            ),
        );
    }
    say(&mut out, &format!("{}: {}", finished.outcome.as_str(), plan.out_dir.display()));
}

fn say(to: &mut impl Write, text: &str) {
    // A closed pipe is no error.
    writeln!(to, "{text}").ok();
}
