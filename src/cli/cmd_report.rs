//! `omni-trace report`: everything that is known of traces and logs, as one page and figures in a folder.

use std::path::{Path, PathBuf};

use super::args::{LogArgs, ReportArgs};
use super::guard::{self, Output};
use super::here;
use super::interval::refuse_outside;
use super::log_plan::LogPlan;
use super::plan::{CommonPlan, excluded_classes};
use super::reading::{find_traces, read_traces};
use super::run::{DISK_FULL_HINT, Hinted, Outcome, is_disk_full, say};
use super::session::{in_pool, outcome};
use super::slimmed::{self, NamedFile};
use super::{cmd_analyze, figures, pages, runs};
use crate::analyze::copies::CopiesConfig;
use crate::analyze::window::WindowConfig;
use crate::ask::{CausalRun, Question, bandwidth_report, stages_report};
use crate::compare::{Options, compare};
use crate::files::write_together;
use crate::read::{Input, Inputs};
use crate::table::diff::DiffReport;
use crate::table::page::Page;

/// The page.
const INDEX: &str = "index.html";

/// What `report` will do.
pub(super) struct ReportPlan {
    common: CommonPlan,
    inputs: Inputs,
    /// Another run, to be shown beside it.
    against: Option<Inputs>,
    question: Question,
    /// The interval that was asked for.
    window: Option<WindowConfig>,
    logs: Option<LogPlan>,
    folder: PathBuf,
    /// Whether slimmed traces are written beside the page where it has no room for all names.
    has_traces: bool,
}

impl ReportPlan {
    /// Resolves the arguments.
    fn of(args: &ReportArgs) -> anyhow::Result<Self> {
        let inputs = find_traces(&args.paths)?;
        Ok(Self {
            common: CommonPlan::running(&args.running).kept(&args.cache).with_snapshots(),
            question: Question {
                time: args.rules.time_config(args.window)?,
                excluded: excluded_classes(&args.exclude, false),
                is_one_run: args.runs.one_run,
                ..Question::default()
            },
            window: args.window,
            logs: LogPlan::of(&args.logs, &args.paths, &inputs)?,
            folder: folder_of(args)?,
            against: Some(&args.against)
                .filter(|a| !a.is_empty())
                .map(|a| find_traces(a))
                .transpose()?,
            has_traces: !args.no_traces,
            inputs,
        })
    }

    /// The report of some traces and logs as it is made where nothing else is given.
    pub(super) fn plain(
        paths: &[PathBuf],
        logs: Vec<PathBuf>,
        folder: PathBuf,
    ) -> anyhow::Result<Self> {
        let inputs = find_traces(paths)?;
        let named = LogArgs { no_logs: logs.is_empty(), logs, log_zone: None };
        Ok(Self {
            common: CommonPlan::plain(false).with_snapshots(),
            question: Question::default(),
            window: None,
            logs: LogPlan::of(&named, paths, &inputs)?,
            inputs,
            against: None,
            folder,
            has_traces: true,
        })
    }
}

/// The folder of a page that nobody named one for.
const FOLDER: &str = "omni-trace-report";

/// The folder of the arguments, or of the name that stands in for one: there no page is written over.
fn folder_of(args: &ReportArgs) -> anyhow::Result<PathBuf> {
    if let Some(folder) = &args.output {
        return Ok(folder.clone());
    }
    here::refuse_taken(&Path::new(FOLDER).join(INDEX), args.force)?;
    Ok(FOLDER.into())
}

/// Runs the command.
pub(super) fn run(args: &ReportArgs) -> anyhow::Result<Outcome> {
    run_plan(&ReportPlan::of(args)?)
}

/// Does what is planned.
pub(super) fn run_plan(plan: &ReportPlan) -> anyhow::Result<Outcome> {
    guard::claim([Output::of("-o", Some(&plan.folder.join(INDEX)))])?;
    refuse_file(&plan.folder)?;
    in_pool(plan.common.read.threads, || match &plan.against {
        None => report(plan),
        Some(against) => report_both(plan, against),
    })
}

/// What is there and no folder cannot be written into: said before anything is read.
fn refuse_file(folder: &Path) -> anyhow::Result<()> {
    if folder.exists() && !folder.is_dir() {
        return Err(unwritable(folder, &std::io::ErrorKind::NotADirectory.into()));
    }
    Ok(())
}

fn unwritable(folder: &Path, error: &std::io::Error) -> anyhow::Error {
    let what = format!("cannot write to the folder {}: {error}", folder.display());
    let hint = match error.kind() {
        _ if is_disk_full(error) => DISK_FULL_HINT,
        _ => "name a folder with -o that may be written to; `report` writes several files",
    };
    Hinted { what, hint: hint.to_owned() }.into()
}

/// Keys of the figures that a page of traces and logs may have.
const FIGURES: [&str; 13] = [
    "breakdown",
    "devices",
    "kernels",
    "blame",
    "iterations",
    "copies",
    "copy_overlap",
    "collectives",
    "ranks",
    "roofline",
    "memory",
    "waterfall",
    "stages",
];

/// What a page of this program has in its head.
const MADE_BY: &str = "name=\"generator\" content=\"omni-trace ";

/// Removes the figures and traces of an earlier page of the folder that the new one does not have; one that stays is no error.
fn remove_stale(folder: &Path, files: &[(String, Vec<u8>)]) {
    let entries = folder.read_dir().into_iter().flatten().flatten();
    for name in entries.filter_map(|entry| entry.file_name().into_string().ok()) {
        let figure = name.strip_suffix(".png");
        let is_ours = figure.is_some_and(|key| FIGURES.contains(&key)) || slimmed::is_name(&name);
        if is_ours && files.iter().all(|(new, _)| *new != name) {
            let _ = std::fs::remove_file(folder.join(name));
        }
    }
}

/// Writes a page and its figures into the folder.
fn write<'a>(
    plan: &ReportPlan,
    page: Page,
    traces: Vec<NamedFile>,
    inputs: &'a [Input],
    logs: impl Iterator<Item = &'a Path>,
) -> anyhow::Result<()> {
    let folder = &plan.folder;
    let mut files = figures::files_of(&page.figures())?;
    files.extend(traces);
    let html = pages::html_of(page, inputs, logs);
    files.push((INDEX.to_owned(), html.into_bytes()));
    let is_ours =
        std::fs::read_to_string(folder.join(INDEX)).is_ok_and(|old| old.contains(MADE_BY));
    write_together(folder, &files).map_err(|error| unwritable(folder, &error))?;
    if is_ours {
        remove_stale(folder, &files);
    }
    if !plan.common.is_quiet {
        say(&format!("{} is the report", folder.join(INDEX).display()));
    }
    Ok(())
}

/// What is said where data was lost.
const LOST: &str = "data of the input was lost; the report says what";

/// Two runs on one page, on common scales: A is `against`.
fn report_both(plan: &ReportPlan, against: &Inputs) -> anyhow::Result<Outcome> {
    let mut inputs = read_traces(against, &plan.common)?;
    let n_a = inputs.len();
    inputs.extend(read_traces(&plan.inputs, &plan.common)?);
    let (a, b) = inputs.split_at(n_a);
    let sides = [a, b].map(|inputs| {
        (inputs, cmd_analyze::answers(&plan.common, &plan.question, inputs, (None, &[])))
    });
    for (_, answers) in &sides {
        refuse_outside(plan.window, answers.windows().map(|windows| windows.whole))?;
    }
    let runs = [a, b].map(|inputs| runs::run_of(inputs, &plan.question.time));
    let names = runs.each_ref().map(|run| vec![run.name.clone()]);
    let [run_a, run_b] = runs;
    let comparison = compare(&[run_a], &[run_b], &Options::default());
    let [names_a, names_b] = names;
    let report = DiffReport::of(names_a, names_b, comparison);
    let page = Page::of_sides(&report, pages::overview_of_sides(&sides));
    write(plan, page, Vec::new(), &inputs, std::iter::empty())?;
    let diags = inputs.iter().map(|input| &input.diag);
    Ok(outcome(plan.common.sorting(), diags, Some(LOST)))
}

fn report(plan: &ReportPlan) -> anyhow::Result<Outcome> {
    let logs = LogPlan::read(plan.logs.as_ref(), &plan.common)?;
    let inputs = read_traces(&plan.inputs, &plan.common)?;
    let answers =
        cmd_analyze::answers(&plan.common, &plan.question, &inputs, (plan.logs.as_ref(), &logs));
    refuse_outside(plan.window, answers.windows().map(|windows| windows.whole))?;
    let bases: Vec<_> = answers.results.iter().map(|results| &results.base).collect();
    let together = &answers.together;
    let mut bandwidth = bandwidth_report(&CopiesConfig::default(), &inputs, &bases, together);
    if let Some(joined) = &answers.joined {
        bandwidth.add_joined(joined.clone());
    }
    let stages = (!logs.is_empty()).then(|| stages_report(&logs));
    let path = (together.n_runs() == 1
        && inputs.iter().any(|input| !input.store.slices.is_empty()))
    .then(|| {
        CausalRun::of(&inputs, &bases, together, answers.joined.as_ref()).critical_path_report()
    });
    let overview = pages::overview_of(&inputs, &answers);
    let unnamed = overview.without_all_names();
    let report = answers.into_report(&plan.question, &inputs);
    let page =
        Page::of_analyze(&report, Some(&bandwidth), stages.as_ref(), Some(overview), |_| true);
    let mut page = match &path {
        Some(path) => page.with_path(path),
        None => page,
    };
    let mut traces = Vec::new();
    if plan.has_traces {
        (traces, page.beside) =
            slimmed::beside(&inputs, &unnamed, &plan.question.time, &plan.common)?;
    }
    write(plan, page, traces, &inputs, logs.iter().map(|log| log.path.as_path()))?;
    let diags = inputs.iter().map(|input| &input.diag).chain(logs.iter().map(|log| &log.diag));
    Ok(outcome(plan.common.sorting(), diags.into_iter(), Some(LOST)))
}
