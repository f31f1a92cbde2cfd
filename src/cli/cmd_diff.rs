//! `omni-trace diff`: read the runs of both sides, compare them, show what was found, hold it to the gates.

use std::path::{Path, PathBuf};

use super::args::Format;
use super::args_diff::DiffArgs;
use super::figures::FigurePlan;
use super::guard::{self, Output};
use super::output::Target;
use super::pages;
use super::plan::CommonPlan;
use super::run::{Hinted, Outcome, say};
use super::runs::{Found, find_run, read_run};
use super::session::{in_pool, outcome};
use super::tables::{TableChoice, rendered};
use crate::analyze::base::TimeConfig;
use crate::compare::{CauseRow, Options, Run, Verdict, compare, trend, written_baseline};
use crate::diag::Reporter;
use crate::schema::{Row as _, Source};
use crate::table::Table;
use crate::table::diff::DiffReport;
use crate::table::figure::diff_figures;
use crate::table::page::Page;

/// Rows of a table for people, and of a comment on a change.
const TOP: usize = 10;
const TOP_BRIEF: usize = 5;

/// What `diff` will do.
struct DiffPlan {
    common: CommonPlan,
    /// The runs of A, those between A and B, the runs of B.
    a: Vec<Found>,
    between: Vec<Found>,
    b: Vec<Found>,
    choice: TableChoice,
    top: usize,
    time: TimeConfig,
    options: Options,
    allows_inconclusive: bool,
    baseline: Option<PathBuf>,
    figures: Option<FigurePlan>,
    html: Option<PathBuf>,
}

/// Runs the command.
pub(super) fn run(args: &DiffArgs) -> anyhow::Result<Outcome> {
    let plan = DiffPlan::of(args)?;
    in_pool(plan.common.read.threads, || plan.run())
}

/// Paths of A, of what lies between, of B.
type Sides = (Vec<PathBuf>, Vec<PathBuf>, Vec<PathBuf>);

fn sides(args: &DiffArgs) -> anyhow::Result<Sides> {
    let none = Vec::new;
    let positional = args.runs.as_slice();
    Ok(match (&args.against, positional) {
        (Some(against), []) => (vec![against.clone()], none(), args.b.clone()),
        (Some(against), runs) => (vec![against.clone()], none(), runs.to_vec()),
        (None, []) if !args.a.is_empty() || args.save_baseline.is_some() => {
            (args.a.clone(), none(), args.b.clone())
        }
        (None, [a, between @ .., b]) => (vec![a.clone()], between.to_vec(), vec![b.clone()]),
        (None, [only]) if args.save_baseline.is_some() => (none(), none(), vec![only.clone()]),
        _ => {
            let what = "there is one side only".to_owned();
            let hint = "name two runs, or what to compare with: --against FILE|DIR";
            return Err(Hinted { what, hint: hint.to_owned() }.into());
        }
    })
}

impl DiffPlan {
    fn of(args: &DiffArgs) -> anyhow::Result<Self> {
        let common = CommonPlan::of(&args.common).kept(&args.cache);
        let default_top = if common.format == Format::Md { TOP_BRIEF } else { TOP };
        let top = args.top.unwrap_or(default_top);
        let choice = TableChoice::of(&common, &args.table, CauseRow::SPEC, top)?;
        let (a, between, b) = sides(args)?;
        let find = |paths: Vec<PathBuf>| -> anyhow::Result<Vec<Found>> {
            paths.iter().map(|path| find_run(path)).collect()
        };
        let (a, between, b) = (find(a)?, find(between)?, find(b)?);
        let time = args.rules.time_config(None)?;
        guard::claim([
            Output::of("-o", args.common.output.as_deref()),
            Output::of("--html", args.html.as_deref()),
            Output::of("--png", args.figures.png.as_deref()),
            Output::of("--save-baseline", args.save_baseline.as_deref()),
        ])?;
        Ok(Self {
            common,
            a,
            between,
            b,
            choice,
            top: if top == 0 { usize::MAX } else { top },
            time,
            options: Options {
                keeps_warmup: args.keep_warmup,
                merges_tiles: args.merge_tiles,
                gates: args.gate.clone(),
            },
            allows_inconclusive: args.allow_inconclusive,
            baseline: args.save_baseline.clone(),
            figures: FigurePlan::of(&args.figures)?,
            html: args.html.clone(),
        })
    }

    fn run(&self) -> anyhow::Result<Outcome> {
        let mut diags = Vec::new();
        let a = self.read(&self.a, &mut diags)?;
        let between = self.read(&self.between, &mut diags)?;
        let b = self.read(&self.b, &mut diags)?;
        if let Some(path) = &self.baseline {
            save(path, &b)?;
            if a.is_empty() {
                self.say_saved(path, &b);
                return Ok(outcome(self.common.sorting(), diags.iter(), Some(LOST)));
            }
        }
        let mut comparison = compare(&a, &b, &self.options);
        if !between.is_empty() {
            let all: Vec<Run> = a.iter().chain(&between).chain(&b).cloned().collect();
            comparison.add_trend(&all, trend(&all, &self.options));
        }
        let verdict = comparison.verdict;
        let names = |runs: &[Run]| runs.iter().map(|run| run.name.clone()).collect();
        let report = DiffReport::of(names(&a), names(&b), comparison);
        self.write(&report)?;
        let ended = outcome(self.common.sorting(), diags.iter(), Some(LOST));
        let is_found = match verdict {
            Verdict::Regression => true,
            Verdict::Inconclusive => !self.allows_inconclusive,
            Verdict::Improvement | Verdict::NoChangeShown => false,
        };
        let is_gated = !self.options.gates.is_empty();
        Ok(if ended == Outcome::Done && is_gated && is_found { Outcome::Found } else { ended })
    }

    fn read(&self, found: &[Found], diags: &mut Vec<Reporter>) -> anyhow::Result<Vec<Run>> {
        let mut runs = Vec::new();
        for one in found {
            runs.extend(read_run(one, &self.common, &self.time, diags)?);
        }
        Ok(runs)
    }

    fn say_saved(&self, path: &Path, runs: &[Run]) {
        if !self.common.is_quiet {
            let inputs = runs.iter().flat_map(|run| &run.inputs);
            let n: usize = inputs.map(|input| input.units.len()).sum();
            let of_runs = match runs.len() {
                1 => "1 run; several (--b RUN RUN RUN) tell how runs differ".to_owned(),
                several => format!("{several} runs"),
            };
            say(&format!("{} holds {n} iterations of {of_runs}", path.display()));
        }
    }

    fn write(&self, report: &DiffReport) -> anyhow::Result<()> {
        if let Some(path) = &self.html {
            pages::write(path, Page::of_diff(report), &[], std::iter::empty())?;
        }
        if let Some(figures) = &self.figures {
            figures.write(&diff_figures(report), self.common.is_quiet)?;
        }
        let is_brief = self.common.format == Format::Md && self.choice.is_default();
        let mut tables = report.tables();
        if is_brief {
            tables.retain(|source| DiffReport::BRIEF.contains(&source.key));
        }
        let view = |source: &Source<'_>| report.view(source);
        let cut = |table: Table| {
            let table = match table.key {
                "answer" => crate::table::verdict::verdict_summary(table),
                "cautions" | "lanes" | "gates" | "differences" => table.for_people(),
                _ => table.for_people().top(self.top),
            };
            if is_brief { report.brief(table) } else { table }
        };
        let text = rendered(&self.common, &self.choice, report, &tables, view, cut)?;
        self.common.target.write(text.as_bytes())
    }
}

/// What is said where data was lost.
const LOST: &str = "data of an input was lost; `omni-trace analyze --table issues` says what";

fn save(path: &Path, runs: &[Run]) -> anyhow::Result<()> {
    let text = written_baseline(runs).map_err(anyhow::Error::msg)?;
    Target::File(path.to_owned()).write(text.as_bytes())
}
