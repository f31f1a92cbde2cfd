//! `omni-trace reduce`: partial results read, answered together, shown as `analyze` shows its answers.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use rayon::prelude::*;

use super::args::Format;
use super::args_reduce::ReduceArgs;
use super::cmd_analyze::{draw, text_of, warn_of_clocks};
use super::output::Target;
use super::pages;
use super::plan::AnalyzePlan;
use super::run::{Hinted, Outcome, say};
use super::session::{in_pool, outcome_of};
use crate::align::{IdentityProblem, missing_ranks};
use crate::ask::partial::{Partial, PartialError, read_partial, write_again};
use crate::ask::{Digest, Question, Reduced};
use crate::diag::{IssueKind, Reporter, Severity};
use crate::files;
use crate::model::Identity;
use crate::render::json;
use crate::table::page::Page;
use crate::table::{AnalyzeReport, MANY_ROWS};

/// Ending of the names of partial results, by which directories are searched.
const ENDING: &str = "otp";

/// Ranks that are named each where they are missing.
const N_NAMED: usize = 8;

/// Runs the command.
pub(super) fn run(args: &ReduceArgs) -> anyhow::Result<Outcome> {
    let paths = found(&args.paths)?;
    files::protect(paths.iter().map(PathBuf::as_path));
    let mut plan = AnalyzePlan::of_partials(args)?;
    let clocks = args.clocks.clone().map(Target::File);
    in_pool(plan.common.read.threads, || {
        let is_quiet = args.common.running.quiet;
        let manner = Skipping { is_allowed: args.skip_unreadable, is_quiet };
        let all = manner.read(&paths, &args.missing, &mut plan.question)?;
        if let Some(partial) = &plan.partial {
            partial.target.write(&write_again(&all, &all.digests))?;
            return Ok(Outcome::Done);
        }
        if let Some(target) = &clocks {
            let clocks = Reduced::of(&plan.question, all.digests).clocks();
            target.write(json::document(&clocks)?.as_bytes())?;
            return Ok(Outcome::Done);
        }
        show(&plan, all.digests, args.rank)
    })
}

fn show(plan: &AnalyzePlan, digests: Vec<Digest>, rank: Option<u32>) -> anyhow::Result<Outcome> {
    let mut reduced = Reduced::of(&plan.question, digests);
    if !plan.common.is_quiet {
        warn(&reduced);
    }
    if let Some(rank) = rank {
        reduced = reduced.only(&plan.question, rank).map_err(|known| unknown_rank(rank, &known))?;
    }
    let mut report = reduced.into_report(&plan.question);
    if let Some(path) = &plan.page {
        let page =
            Page::of_analyze(&report, None, None, None, |name| plan.question.shows_name(name));
        pages::write(path, page, &[], [])?;
    }
    draw(plan, &report)?;
    let is_json = plan.common.format == Format::Json;
    if is_json && report.inputs.len() > MANY_ROWS && !plan.shown.is_full {
        report.leave_out_inputs(|table| plan.shown.choice.shows(table, |_| false));
    }
    let output = text_of(plan, &report)?;
    plan.common.target.write(output.as_bytes())?;
    let warning =
        (!plan.shows_issues()).then_some("data of the input was lost; `--table issues` says what");
    Ok(outcome_of(plan.common.sorting(), is_lossy(&report), warning))
}

fn is_lossy(report: &AnalyzeReport) -> bool {
    report.issues.iter().any(|issue| issue.severity >= Severity::DataLoss)
}

/// Says what is missing, or only estimated.
fn warn(reduced: &Reduced) {
    let digests = reduced.digests();
    for digest in digests.iter().filter(|digest| !digest.has_slices) {
        say(&format!("warning: {} holds no event with a duration", digest.path.display()));
    }
    if let Some(across) = &reduced.across {
        warn_of_clocks(across, digests.iter().map(|digest| digest.path.as_path()));
    }
    let identities: Vec<Identity> = digests.iter().map(|one| one.identity.clone()).collect();
    missing_ranks(&identities).iter().for_each(warn_of_ranks);
}

fn warn_of_ranks(problem: &IdentityProblem) {
    let IdentityProblem::MissingRanks { world_size, missing, .. } = problem else { return };
    let named: Vec<String> = missing.iter().take(N_NAMED).map(u32::to_string).collect();
    let more = match missing.len().saturating_sub(N_NAMED) {
        0 => String::new(),
        n => format!(" and {n} more"),
    };
    let (ranks, are) = if missing.len() == 1 { ("rank", "is") } else { ("ranks", "are") };
    say(&format!("warning: {ranks} {}{more} of {world_size} {are} missing", named.join(", ")));
}

/// The partial results that paths name; of a directory all, by name.
fn found(paths: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut all = Vec::new();
    for path in paths {
        if !path.is_dir() {
            all.push(path.clone());
            continue;
        }
        let unreadable = || format!("cannot read {}", path.display());
        let mut inside = Vec::new();
        for entry in fs::read_dir(path).with_context(unreadable)? {
            inside.push(entry.with_context(unreadable)?.path());
        }
        inside.retain(|file| file.extension().is_some_and(|ending| ending == ENDING));
        inside.sort();
        if inside.is_empty() {
            let what = format!("no partial result found in {}", path.display());
            let hint = "name files that `omni-trace analyze PATH --partial OUT.otp` wrote";
            return Err(Hinted { what, hint: hint.to_owned() }.into());
        }
        all.extend(inside);
    }
    Ok(all)
}

fn unknown_rank(rank: u32, known: &[u32]) -> Hinted {
    let hint = match known {
        [] => "none of the inputs says its rank; leave --rank out".to_owned(),
        [first, .., last] => format!("{} ranks are there, {first} to {last}", known.len()),
        [only] => format!("rank {only} is there"),
    };
    Hinted { what: format!("no input is of rank {rank}"), hint }
}

/// What becomes of partial results that cannot be used.
#[derive(Clone, Copy, Debug)]
struct Skipping {
    is_allowed: bool,
    is_quiet: bool,
}

/// A partial result with its path.
type Named<'a> = (&'a Path, Partial);

impl Skipping {
    /// All partial results as one, inputs numbered in their order. The question becomes what was asked of them.
    fn read(
        self,
        paths: &[PathBuf],
        missing: &[String],
        question: &mut Question,
    ) -> anyhow::Result<Partial> {
        let mut missing: Vec<String> = missing.to_vec();
        let mut kept: Vec<Named<'_>> = Vec::new();
        for (path, read) in paths.iter().zip(numbered(paths)?) {
            match read {
                Ok(partial) => kept.push((path, partial)),
                Err(error) => missing.push(self.left_out(path, error)?),
            }
        }
        let mut kept = kept.into_iter();
        let Some(first) = kept.next() else {
            let hint = "make them anew with `omni-trace analyze PATH --partial OUT.otp`".to_owned();
            return Err(Hinted { what: "no partial result can be read".to_owned(), hint }.into());
        };
        question.excluded = first.1.excluded().map_err(|error| unusable(first.0, &error))?;
        let mut others = Vec::new();
        for other in kept {
            refuse_different(&first, &other)?;
            others.extend(other.1.digests);
        }
        let mut all = first.1;
        all.digests.append(&mut others);
        if let (Some(first), false) = (all.digests.first_mut(), missing.is_empty()) {
            note_missing(first, &missing);
        }
        Ok(all)
    }

    /// Says that a partial result is left out.
    ///
    /// # Errors
    ///
    /// Where none is to be.
    fn left_out(self, path: &Path, error: anyhow::Error) -> anyhow::Result<String> {
        if !self.is_allowed {
            return Err(error);
        }
        if !self.is_quiet {
            say(&format!("warning: left out: {error:#}"));
        }
        Ok(path.display().to_string())
    }
}

/// Reads all partial results, their inputs numbered one after the other. Nearly always each holds one, so that is tried
/// first: it spares reading all of them for their counts alone.
fn numbered(paths: &[PathBuf]) -> anyhow::Result<Vec<anyhow::Result<Partial>>> {
    let mut counts = vec![1; paths.len()];
    // What the first reading finds, the second numbers by.
    for _ in 0..3 {
        let mut next = 0;
        let firsts = counts.iter().map(|count| {
            next += count;
            next - count
        });
        let firsts: Vec<usize> = firsts.collect();
        let read = |(path, &first): (&PathBuf, &usize)| open(path, first);
        let all: Vec<_> = paths.par_iter().zip(&firsts).map(read).collect();
        let count = |one: &anyhow::Result<Partial>| one.as_ref().map_or(0, |one| one.digests.len());
        let found: Vec<usize> = all.iter().map(count).collect();
        if found == counts {
            return Ok(all);
        }
        counts = found;
    }
    let hint = "wait until they are written, and try again".to_owned();
    Err(Hinted { what: "partial results change while they are read".to_owned(), hint }.into())
}

fn open(path: &Path, first: usize) -> anyhow::Result<Partial> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(read_partial(&bytes, first).map_err(|error| unusable(path, &error))?)
}

fn unusable(path: &Path, error: &PartialError) -> Hinted {
    let hint = match error {
        PartialError::NotAPartial => {
            "name files that `omni-trace analyze PATH --partial OUT.otp` wrote"
        }
        PartialError::OtherFormat(_) | PartialError::OtherTables { .. } => {
            "make all partial results and their reduction with one version of omni-trace"
        }
        PartialError::Truncated { .. } | PartialError::Damaged(_) => {
            "make it anew from its trace, or leave it out with --skip-unreadable, which says what is missing"
        }
    };
    Hinted { what: format!("{}: {error}", path.display()), hint: hint.to_owned() }
}

/// # Errors
///
/// Partial results of which different things were asked: their figures do not add up.
fn refuse_different(first: &Named<'_>, other: &Named<'_>) -> anyhow::Result<()> {
    let differences = first.1.differences(&other.1);
    if differences.is_empty() {
        return Ok(());
    }
    let what = format!(
        "{} and {} were made with different options: {}",
        first.0.display(),
        other.0.display(),
        differences.join(", ")
    );
    let hint = "make all partial results with the same options".to_owned();
    Err(Hinted { what, hint }.into())
}

/// Notes with the first input what is missing from all figures.
fn note_missing(first: &mut Digest, missing: &[String]) {
    let mut diag = Reporter::default();
    let count = missing.len() as u64;
    diag.add(IssueKind::MissingInput, count, None, Some(missing.join(", ")));
    let number = first.rows.inputs.first().map_or(0, |row| row.input);
    first.rows.issues.extend(crate::ask::issues(number, &diag));
}
