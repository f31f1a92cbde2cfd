//! `omni-trace report`: everything that is known of traces and logs, as one page and figures in a folder.

use std::path::Path;

use anyhow::Context as _;

use super::analyzed::Analyzed;
use super::args::{AnalyzeArgs, ReportArgs};
use super::figures::FigurePlan;
use super::joining::LogPlan;
use super::plan::AnalyzePlan;
use super::reading::read_traces;
use super::run::{Hinted, Outcome, say};
use super::{cmd_analyze, cmd_bandwidth, cmd_stages, pages};
use crate::analyze::copies::CopiesConfig;
use crate::diag::Severity;
use crate::table::page::Page;

/// Runs the command.
pub(super) fn run(args: &ReportArgs) -> anyhow::Result<Outcome> {
    let analyze = AnalyzeArgs::of_report(args);
    let plan = AnalyzePlan { is_page: true, ..AnalyzePlan::of(&analyze)? };
    create_folder(&args.output)?;
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(plan.common.read.threads)
        .build()
        .context("cannot start the analysis threads")?;
    pool.install(|| report(&plan, &args.output))
}

fn create_folder(folder: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder).map_err(|error| {
        let what = format!("cannot create the folder {}: {error}", folder.display());
        Hinted { what, hint: "name a folder with -o; `report` writes several files".to_owned() }
            .into()
    })
}

fn report(plan: &AnalyzePlan, folder: &Path) -> anyhow::Result<Outcome> {
    let logs = LogPlan::read(plan.logs.as_ref(), &plan.common)?;
    let mut inputs = read_traces(&plan.inputs, &plan.common)?;
    let analyzed = Analyzed::of(plan, &mut inputs).with_logs(plan, &inputs, &logs);
    cmd_analyze::warn(plan, &inputs, &analyzed);
    let bases: Vec<_> = analyzed.results.iter().map(|results| &results.base).collect();
    let mut bandwidth = cmd_bandwidth::report(&CopiesConfig::default(), &inputs, &bases);
    if let Some(joined) = &analyzed.joined {
        bandwidth.add_joined(joined.clone());
    }
    let stages = (!logs.is_empty()).then(|| cmd_stages::report(&logs));
    let overview = pages::overview_of(&inputs, &analyzed);
    let report = analyzed.into_report(plan, &inputs);
    let shows = |name: &str| plan.shows_name(name);
    let page = Page::of_analyze(&report, Some(&bandwidth), stages.as_ref(), overview, shows);
    let index = folder.join("index.html");
    FigurePlan::in_folder(folder).write(&page.figures(), true)?;
    pages::write(&index, page, &inputs, logs.iter().map(|log| log.path.as_path()))?;
    if !plan.common.is_quiet {
        say(&format!("{} is the report", index.display()));
    }
    let diags = inputs.iter().map(|input| &input.diag).chain(logs.iter().map(|log| &log.diag));
    let is_lossy = diags.into_iter().any(|diag| diag.worst() >= Some(Severity::DataLoss));
    if is_lossy && plan.common.is_strict {
        return Ok(Outcome::DataLost);
    }
    if is_lossy && !plan.common.is_quiet {
        say("warning: data of the input was lost; the report says what");
    }
    Ok(Outcome::Done)
}
