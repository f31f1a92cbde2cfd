//! Writes partial results of many simulated ranks, or their traces: for the time that `reduce` takes and for what it finds.
//!
//! `cargo run --release --example generate_ranks -- --ranks 1024 --seed 7 --fault gpu:137,gc:21 -o DIR`, with `--traces yes` for the
//! traces beside them. Faults: gpu:RANK, link:RANK (the data-parallel group of the rank), gc:HOST (of eight ranks), late:RANK,
//! data:RANK, copy:RANK.

mod ranks;

use std::fs;
use std::path::{Path, PathBuf};

use omni_trace::ask::partial::{Precision, write_partial};
use omni_trace::ask::{Question, digests};
use omni_trace::read::ReadOptions;
use rayon::prelude::*;

use ranks::{Fault, Plan, Simulation};

struct Arguments {
    plan: Plan,
    keeps_traces: bool,
    folder: PathBuf,
}

fn fault(word: &str) -> Result<Fault, String> {
    let (kind, at) = word.split_once(':').unwrap_or((word, "0"));
    let at = at.parse::<usize>().map_err(|e| format!("--fault {word}: {e}"))?;
    Ok(match kind {
        "none" => Fault::None,
        "gpu" => Fault::SlowGpu(at),
        "link" => Fault::SlowLink(at),
        "gc" => Fault::GarbageCollection(at),
        "late" => Fault::Late(at),
        "data" => Fault::DataLoading(at),
        "copy" => Fault::SlowCopies(at),
        _ => return Err(format!("unknown fault {word}")),
    })
}

fn arguments() -> Result<Arguments, String> {
    let plan = Plan::with_one(1024, 1, Fault::None);
    let mut parsed = Arguments { plan, keeps_traces: false, folder: PathBuf::new() };
    let mut words = std::env::args().skip(1);
    while let Some(flag) = words.next() {
        let value = words.next().ok_or(format!("{flag} needs a value"))?;
        let number = |text: &str| text.parse::<usize>().map_err(|e| format!("{flag} {text}: {e}"));
        match flag.as_str() {
            "--ranks" => parsed.plan.n_ranks = number(&value)?,
            "--steps" => parsed.plan.n_steps = number(&value)?,
            "--seed" => parsed.plan.seed = number(&value)? as u64,
            "--traces" => parsed.keeps_traces = value == "yes",
            "-o" => parsed.folder = PathBuf::from(value),
            "--fault" => {
                for (place, word) in value.split(',').enumerate() {
                    let to = parsed.plan.faults.get_mut(place);
                    *to.ok_or(format!("{value}: these are too many faults"))? = fault(word)?;
                }
            }
            _ => return Err(format!("unknown argument {flag} {value}")),
        }
    }
    if parsed.folder.as_os_str().is_empty() {
        return Err("-o DIR is missing".to_owned());
    }
    Ok(parsed)
}

/// The partial result of a rank, by way of its trace: there is no other way to make one.
fn write_rank(all: &Simulation, rank: usize, folder: &Path, keeps: bool) -> Result<u64, String> {
    let trace = folder.join(all.file_name(rank));
    fs::write(&trace, all.trace(rank)).map_err(|e| format!("{}: {e}", trace.display()))?;
    let options = ReadOptions { threads: 1, ..ReadOptions::default() };
    let input = omni_trace::read::read_input(&trace, &options).map_err(|e| e.to_string())?;
    let question = Question::default();
    let (bytes, _) = write_partial(&question, digests(&question, &[input]), Precision::Exact);
    let out = folder.join(format!("rank{rank:05}.otp"));
    fs::write(&out, &bytes).map_err(|e| format!("{}: {e}", out.display()))?;
    if !keeps {
        fs::remove_file(&trace).map_err(|e| format!("{}: {e}", trace.display()))?;
    }
    Ok(bytes.len() as u64)
}

#[expect(clippy::print_stderr, reason = "a tool says what it wrote")]
fn main() -> Result<(), String> {
    let Arguments { plan, keeps_traces, folder } = arguments()?;
    fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let all = Simulation::of(plan);
    let write = |rank| write_rank(&all, rank, &folder, keeps_traces);
    let sizes: Vec<u64> = (0..plan.n_ranks).into_par_iter().map(write).collect::<Result<_, _>>()?;
    let sum: u64 = sizes.iter().sum();
    eprintln!("{} partial results, {sum} bytes", sizes.len());
    Ok(())
}
