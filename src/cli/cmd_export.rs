//! `omni-trace query` and `omni-trace export`: what stores tables and answers SQL is a program of its own; stacks and
//! torch's tables are written here.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::Path;

use anyhow::Context as _;

use super::args_export::{ExportArgs, ExportFormat, QueryArgs};
use super::interval::refuse_outside;
use super::output::Target;
use super::plan::CommonPlan;
use super::reading::{find_traces, read_traces};
use super::run::{Hinted, Outcome, say};
use super::session::in_pool;
use super::{cmd_analyze, frame};
use crate::analyze::base::{TimeBase, TimeConfig};
use crate::analyze::stacks::stacks;
use crate::analyze::window::{WindowConfig, windows};
use crate::read::Input;
use crate::render::profile::{firefox, folded, speedscope};
use crate::store::Store;
use crate::table::profile::{Profile, profiles};

/// Runs `query`.
pub(super) fn query(args: &QueryArgs) -> anyhow::Result<Outcome> {
    frame::run(std::iter::once("query".into()).chain(args.arguments.iter().cloned()))
}

/// Runs `export`.
pub(super) fn run(args: &ExportArgs) -> anyhow::Result<Outcome> {
    let (of_tables, own): (Vec<_>, Vec<_>) =
        args.format.iter().partition(|format| format.is_of_tables());
    if args.window.is_some() && args.format.contains(&ExportFormat::Torch) {
        let what = "torch's tables are of whole profiles".to_owned();
        return Err(Hinted { what, hint: "leave out --window, or torch".to_owned() }.into());
    }
    if !own.is_empty() {
        let common = CommonPlan::plain(args.quiet).with_threads(args.threads).kept(&args.cache);
        let n_files = in_pool(common.read.threads, || write(args, &own, &common))?;
        if !args.quiet {
            say(&format!("{n_files} files in {}", args.output.display()));
        }
    }
    if of_tables.is_empty() { Ok(Outcome::Done) } else { frame::run(handed_over(args, &of_tables)) }
}

/// The arguments of the program that stores tables.
fn handed_over(args: &ExportArgs, formats: &[ExportFormat]) -> Vec<OsString> {
    let mut words: Vec<OsString> = vec!["export".into(), "-o".into(), args.output.clone().into()];
    for format in formats {
        let name = if *format == ExportFormat::Parquet { "parquet" } else { "arrow" };
        words.extend(["--format".into(), name.into()]);
    }
    for table in &args.table {
        words.extend(["--table".into(), table.into()]);
    }
    if let Some(window) = args.window {
        let side = |side: Option<i64>| side.map_or_else(String::new, |ns| format!("{ns}ns"));
        let part = format!("{}..{}", side(window.from_ns), side(window.to_ns));
        words.extend(["--window".into(), part.into()]);
    }
    for class in &args.exclude {
        words.extend(["--exclude".into(), class.as_str().into()]);
    }
    if let Some(threads) = args.threads {
        words.extend(["--threads".into(), threads.to_string().into()]);
    }
    if let Some(cache) = &args.cache.cache {
        words.extend(["--cache".into(), cache.clone()]);
    }
    words.extend(args.quiet.then(|| "--quiet".into()));
    words.push("--".into());
    words.extend(args.paths.iter().cloned().map(OsString::from));
    words
}

/// Writes what this program writes itself; gives the number of files.
fn write(
    args: &ExportArgs,
    formats: &[ExportFormat],
    common: &CommonPlan,
) -> anyhow::Result<usize> {
    let inputs = read_traces(&find_traces(&args.paths)?, common)?;
    let whole = |input: &Input| windows(&input.store, WindowConfig::default()).file;
    refuse_outside(args.window, inputs.iter().map(whole))?;
    fs::create_dir_all(&args.output)
        .with_context(|| format!("cannot make {}", args.output.display()))?;
    let mut files = Files { folder: &args.output, n_files: 0 };
    let mut names = BTreeSet::new();
    for (number, input) in inputs.iter().enumerate() {
        let name = name(number, input, &mut names);
        let part = part_of(&input.store, args.window.unwrap_or_default());
        let base = TimeBase::new(&part, &TimeConfig::default());
        let profiles = profiles(&stacks(&part, &base));
        for &format in formats {
            files.write(format, &name, input, &profiles)?;
        }
    }
    Ok(files.n_files)
}

/// The part of a store that was asked for.
fn part_of(store: &Store, window: WindowConfig) -> Cow<'_, Store> {
    if !window.is_clipped() {
        return Cow::Borrowed(store);
    }
    let part = windows(store, window).file;
    Cow::Owned(store.clipped(part.start_ns, part.end_ns))
}

/// A name for the files of an input: its stage and rank where it has them and no other input has the same.
fn name(number: usize, input: &Input, taken: &mut BTreeSet<String>) -> String {
    let identity = &input.identity;
    let part = |word: &str, number: Option<u32>| number.map(|number| format!("{word}{number}"));
    let parts = [part("stage", identity.stage), part("rank", identity.rank)];
    let name = parts.into_iter().flatten().collect::<Vec<_>>().join("_");
    let is_free = !name.is_empty() && taken.insert(name.clone());
    if is_free { name } else { format!("input{number}") }
}

/// Files in a folder.
struct Files<'a> {
    folder: &'a Path,
    n_files: usize,
}

impl Files<'_> {
    fn write(
        &mut self,
        format: ExportFormat,
        name: &str,
        input: &Input,
        profiles: &[Profile],
    ) -> anyhow::Result<()> {
        match format {
            ExportFormat::Folded => {
                for profile in profiles {
                    self.put(format!("{name}.{}.folded", profile.key), &folded(profile))?;
                }
                Ok(())
            }
            ExportFormat::Speedscope => {
                self.put(format!("{name}.speedscope.json"), &speedscope(name, profiles)?)
            }
            ExportFormat::Firefox => {
                self.put(format!("{name}.firefox.json"), &firefox(name, profiles))
            }
            ExportFormat::Torch => {
                self.put(torch_name(name, input), &cmd_analyze::torch_text(input.path.clone())?)
            }
            ExportFormat::Parquet | ExportFormat::Arrow => Ok(()),
        }
    }

    fn put(&mut self, name: impl AsRef<Path>, text: &str) -> anyhow::Result<()> {
        self.n_files += 1;
        Target::File(self.folder.join(name)).write(text.as_bytes())
    }
}

/// As vLLM names it, by rank; of a pipeline by stage and rank.
fn torch_name(name: &str, input: &Input) -> String {
    let of = match (input.identity.stage, input.identity.rank) {
        (Some(stage), Some(rank)) => format!("{stage}_{rank}"),
        (None, Some(rank)) => rank.to_string(),
        _ => name.to_owned(),
    };
    format!("profiler_out_{of}.txt")
}
