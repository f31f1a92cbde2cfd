//! Runs that are compared: found as traces or as stored baselines, and read as iterations.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use rayon::prelude::*;

use super::plan::CommonPlan;
use super::reading::{find_traces, read_traces};
use super::run::Hinted;
use crate::analyze::base::{TimeBase, TimeConfig};
use crate::analyze::units::{InputUnits, units};
use crate::ask::add_paths;
use crate::compare::{Run, is_baseline, read_baseline};
use crate::diag::Reporter;
use crate::files;
use crate::read::{Input, Inputs};

/// What a path leads to.
pub(super) enum Found {
    /// The traces of one run, with the path that names it.
    Traces(PathBuf, Inputs),
    /// Stored baselines.
    Baselines(Vec<PathBuf>),
}

/// Finds what a path leads to. Nothing may write over it from now on.
pub(super) fn find_run(path: &Path) -> anyhow::Result<Found> {
    let baselines = baselines_at(path)?;
    if !baselines.is_empty() {
        files::protect(baselines.iter().map(PathBuf::as_path));
        return Ok(Found::Baselines(baselines));
    }
    let inputs = find_traces(&parts_of(path))?;
    Ok(Found::Traces(path.to_owned(), inputs))
}

/// The files of a run that is given as files with commas between them.
fn parts_of(path: &Path) -> Vec<PathBuf> {
    let Some(text) = path.to_str().filter(|text| text.contains(',') && !path.exists()) else {
        return vec![path.to_owned()];
    };
    text.split(',').filter(|part| !part.is_empty()).map(PathBuf::from).collect()
}

/// The baseline at a path, or those in a directory, by name.
fn baselines_at(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(if holds_baseline(path) { vec![path.to_owned()] } else { Vec::new() });
    }
    let entries = path.read_dir().with_context(|| format!("cannot list {}", path.display()))?;
    let mut found = Vec::new();
    for entry in entries {
        let file = entry.with_context(|| format!("cannot list {}", path.display()))?.path();
        if file.extension().is_some_and(|end| end == "json") && holds_baseline(&file) {
            found.push(file);
        }
    }
    found.sort();
    Ok(found)
}

fn holds_baseline(path: &Path) -> bool {
    let mut head = [0; 24];
    let is_file = path.metadata().is_ok_and(|meta| meta.is_file());
    let n =
        if is_file { File::open(path).and_then(|mut file| file.read(&mut head)) } else { Ok(0) };
    is_baseline(&head[..n.unwrap_or(0)])
}

/// Reads what was found: one run of traces, or the runs that baselines hold.
pub(super) fn read_run(
    found: &Found,
    common: &CommonPlan,
    time: &TimeConfig,
    diags: &mut Vec<Reporter>,
) -> anyhow::Result<Vec<Run>> {
    match found {
        Found::Baselines(paths) => {
            let runs: anyhow::Result<Vec<Vec<Run>>> =
                paths.iter().map(|path| stored(path)).collect();
            Ok(runs?.into_iter().flatten().collect())
        }
        Found::Traces(path, inputs) => {
            let inputs = read_traces(inputs, common)?;
            let run = Run { name: path.display().to_string(), ..run_of(&inputs, time) };
            diags.extend(inputs.into_iter().map(|input| input.diag));
            Ok(vec![run])
        }
    }
}

/// Some inputs as one run, called as the files are.
pub(super) fn run_of(inputs: &[Input], time: &TimeConfig) -> Run {
    let names: Vec<String> = inputs.iter().map(|input| input.path.display().to_string()).collect();
    let base = |(at, input): (usize, &Input)| TimeBase::new(&input.store, time).numbered(at);
    let bases: Vec<TimeBase> = inputs.par_iter().enumerate().map(base).collect();
    let each: Vec<&TimeBase> = bases.iter().collect();
    let both = || inputs.par_iter().zip(&bases);
    let units = both().map(|(input, base)| units(&input.store, base, &time.rules, &input.identity));
    let mut of_inputs: Vec<InputUnits> = units.collect();
    add_paths(inputs, &each, &mut of_inputs);
    Run { name: names.join(","), inputs: of_inputs }
}

fn stored(path: &Path) -> anyhow::Result<Vec<Run>> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    read_baseline(&text).map_err(|what| {
        let what = format!("{} is no baseline that can be read: {what}", path.display());
        let hint = "store it again with this version: omni-trace diff RUN --save-baseline FILE";
        Hinted { what, hint: hint.to_owned() }.into()
    })
}
