//! `profiler_out_<stage>_<rank>.txt` of a pipeline's capture: torch's own table of each trace, as Python's profiler would have
//! printed it, listed in the manifest.
//!
//! Each trace is read on its own, so that the memory needed is that of the largest.

use std::path::Path;

use anyhow::Context as _;
use omni_trace_driver::pipeline::MANIFEST;
use omni_trace_proto::capture::{CaptureManifest, File, Stage, Window, Worker};
use omni_trace_proto::prost::Message as _;
use sha2::{Digest as _, Sha256};

use super::cmd_analyze;
use super::output::Target;
use super::run::say;

/// The manifest's other form.
const MANIFEST_JSON: &str = "manifest.json";
/// The kind of these files in the manifest.
const KIND: &str = "profiler_table";
/// Exit code where something is missing.
const INCOMPLETE: i32 = 1;

/// What came of it.
pub(super) struct Tables {
    /// The exit code.
    pub code: i32,
    /// Traces that the manifest lists.
    pub n_traces: usize,
}

/// Writes the tables and lists them, or says why not, there and on standard error.
pub(super) fn write(dir: &Path) -> Tables {
    match write_all(dir) {
        Ok((n_traces, missing)) => {
            missing.iter().for_each(|text| say(&format!("warning: {text}")));
            Tables { code: if missing.is_empty() { 0 } else { INCOMPLETE }, n_traces }
        }
        Err(error) => {
            say(&format!("warning: no profiler tables: {error:#}"));
            Tables { code: INCOMPLETE, n_traces: 0 }
        }
    }
}

/// Gives how many traces there are, and which tables are missing, for people.
fn write_all(dir: &Path) -> anyhow::Result<(usize, Vec<String>)> {
    let path = dir.join(MANIFEST);
    let context = || format!("cannot read {}", path.display());
    let bytes = std::fs::read(&path).with_context(context)?;
    let mut manifest = CaptureManifest::decode(bytes.as_slice()).with_context(context)?;
    let (mut files, mut missing) = (Vec::new(), Vec::new());
    for (stage, worker, window) in windows(&manifest) {
        let name = name(stage.id, worker.rank, window.index);
        match table(dir, &window.file, &name) {
            Ok(file) => files.push(file),
            Err(error) => missing.push(format!("{name} was not made: {error:#}")),
        }
    }
    let n_traces = files.len() + missing.len();
    manifest.files.extend(files);
    manifest.notes.extend(missing.iter().cloned());
    let json = serde_json::to_vec_pretty(&manifest)?;
    Target::File(path).write(&manifest.encode_to_vec())?;
    Target::File(dir.join(MANIFEST_JSON)).write(&json)?;
    Ok((n_traces, missing))
}

/// Every window with a trace, with whose it is.
fn windows(manifest: &CaptureManifest) -> impl Iterator<Item = (&Stage, &Worker, &Window)> {
    let workers = manifest.stages.iter().flat_map(|s| s.workers.iter().map(move |w| (s, w)));
    let windows = workers.flat_map(|(s, w)| w.windows.iter().map(move |window| (s, w, window)));
    windows.filter(|(_, _, window)| !window.file.is_empty())
}

/// As vLLM names it, with the stage in front; further windows of a rank have a name of their own.
fn name(stage: u32, rank: u32, window: u32) -> String {
    match window {
        0 => format!("profiler_out_{stage}_{rank}.txt"),
        _ => format!("profiler_out_{stage}_{rank}_window{window}.txt"),
    }
}

fn table(dir: &Path, trace: &str, name: &str) -> anyhow::Result<File> {
    let text = cmd_analyze::torch_text(dir.join(trace))?;
    Target::File(dir.join(name)).write(text.as_bytes())?;
    Ok(File {
        path: name.to_owned(),
        kind: KIND.to_owned(),
        bytes: text.len() as u64,
        sha256: Sha256::digest(&text).iter().map(|byte| format!("{byte:02x}")).collect(),
        json_bytes: 0,
    })
}
