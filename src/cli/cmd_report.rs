//! `omni-trace report`: everything that is known of traces and logs, as one page and figures in a folder.

use std::path::Path;

use super::analyzed::Analyzed;
use super::args::{AnalyzeArgs, ReportArgs};
use super::atomic_file::write_together;
use super::guard::{self, Output};
use super::joining::LogPlan;
use super::plan::AnalyzePlan;
use super::reading::read_traces;
use super::run::{DISK_FULL_HINT, Hinted, Outcome, is_disk_full, say};
use super::session::{in_pool, outcome};
use super::{cmd_analyze, cmd_bandwidth, cmd_stages, figures, pages};
use crate::analyze::copies::CopiesConfig;
use crate::table::page::Page;

/// The page.
const INDEX: &str = "index.html";

/// Runs the command.
pub(super) fn run(args: &ReportArgs) -> anyhow::Result<Outcome> {
    let analyze = AnalyzeArgs::of_report(args);
    let plan = AnalyzePlan { is_page: true, ..AnalyzePlan::of(&analyze)? };
    guard::claim([Output::of("-o", Some(&args.output.join(INDEX)))])?;
    refuse_file(&args.output)?;
    in_pool(plan.common.read.threads, || report(&plan, &args.output))
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

fn report(plan: &AnalyzePlan, folder: &Path) -> anyhow::Result<Outcome> {
    let logs = LogPlan::read(plan.logs.as_ref(), &plan.common)?;
    let mut inputs = read_traces(&plan.inputs, &plan.common)?;
    let analyzed = Analyzed::of(plan, &mut inputs).with_logs(plan, &inputs, &logs);
    cmd_analyze::warn(plan, &inputs, &analyzed);
    let bases: Vec<_> = analyzed.results.iter().map(|results| &results.base).collect();
    let together = &analyzed.together;
    let mut bandwidth = cmd_bandwidth::report(&CopiesConfig::default(), &inputs, &bases, together);
    if let Some(joined) = &analyzed.joined {
        bandwidth.add_joined(joined.clone());
    }
    let stages = (!logs.is_empty()).then(|| cmd_stages::report(&logs));
    let overview = pages::overview_of(&inputs, &analyzed);
    let report = analyzed.into_report(plan, &inputs);
    let shows = |name: &str| plan.shows_name(name);
    let page = Page::of_analyze(&report, Some(&bandwidth), stages.as_ref(), overview, shows);
    let mut files = figures::files_of(&page.figures())?;
    let html = pages::html_of(page, &inputs, logs.iter().map(|log| log.path.as_path()));
    files.push((INDEX.to_owned(), html.into_bytes()));
    write_together(folder, &files).map_err(|error| unwritable(folder, &error))?;
    if !plan.common.is_quiet {
        say(&format!("{} is the report", folder.join(INDEX).display()));
    }
    let diags = inputs.iter().map(|input| &input.diag).chain(logs.iter().map(|log| &log.diag));
    let warning = Some("data of the input was lost; the report says what");
    Ok(outcome(plan.common.sorting(), diags.into_iter(), warning))
}
