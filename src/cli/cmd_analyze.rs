//! `omni-trace analyze`: read the inputs, ask every analysis, show the answers.

use std::path::Path;

use super::analyzed::Analyzed;
use super::args::AnalyzeArgs;
use super::guard::{self, Output};
use super::joining::LogPlan;
use super::output::Target;
use super::pages;
use super::plan::AnalyzePlan;
use super::reading::read_traces;
use super::results::Results;
use super::rows;
use super::rule_files::{COMM_RULES, WAIT_RULES};
use super::run::{Outcome, say};
use super::session::{in_pool, outcome};
use super::tables::rendered;
use crate::analyze::blame::Blame;
use crate::analyze::clock::{ClockSource, Placement};
use crate::analyze::key_averages::torch_times;
use crate::read::Input;
use crate::render::torch_table::{TorchTableOptions, torch_table};
use crate::schema::Source;
use crate::table::figure::analyze_figures;
use crate::table::page::Page;
use crate::table::torch::TorchTable;
use crate::table::verdict::verdict_summary;
use crate::table::{AnalyzeReport, Table, joined_request_summary, over_inputs, trust_summary};

/// Runs the command.
pub(super) fn run(args: &AnalyzeArgs) -> anyhow::Result<Outcome> {
    let rules = match (args.print_wait_rules, args.print_comm_rules) {
        (true, _) => Some(WAIT_RULES.of(args.wait_rules.as_deref())?.0),
        (_, true) => Some(COMM_RULES.of(args.comm_rules.as_deref())?.0),
        _ => None,
    };
    if let Some(rules) = rules {
        guard::claim([Output::of("-o", args.common.output.as_deref())])?;
        args.common.output.clone().map_or(Target::Stdout, Target::File).write(rules.as_bytes())?;
        return Ok(Outcome::Done);
    }
    let plan = AnalyzePlan::of(args)?;
    in_pool(plan.common.read.threads, || run_plan(&plan, args.html.as_deref()))
}

/// Torch's own table of the inputs, as `--torch-layout` prints it.
pub(super) fn torch_text(args: &AnalyzeArgs) -> anyhow::Result<String> {
    let plan = AnalyzePlan::of(args)?;
    in_pool(plan.common.read.threads, || {
        let mut inputs = read_traces(&plan.inputs, &plan.common)?;
        let analyzed = Analyzed::of(&plan, &mut inputs);
        Ok(torch_layout(&plan, &inputs, &analyzed.results))
    })
}

fn run_plan(plan: &AnalyzePlan, html: Option<&Path>) -> anyhow::Result<Outcome> {
    let mut inputs = read_traces(&plan.inputs, &plan.common)?;
    let logs = LogPlan::read(plan.logs.as_ref(), &plan.common)?;
    let analyzed = Analyzed::of(plan, &mut inputs).with_logs(plan, &inputs, &logs);
    warn(plan, &inputs, &analyzed);
    let overview = html.map(|_| pages::overview_of(&inputs, &analyzed));
    let output = if plan.is_torch_layout {
        torch_layout(plan, &inputs, &analyzed.results)
    } else {
        let report = analyzed.into_report(plan, &inputs);
        if let (Some(path), Some(overview)) = (html, overview) {
            let shows = |name: &str| plan.shows_name(name);
            let page = Page::of_analyze(&report, None, None, overview, shows);
            pages::write(path, page, &inputs, logs.iter().map(|log| log.path.as_path()))?;
        }
        if let Some(figures) = &plan.figures {
            figures.write(&analyze_figures(&report), plan.common.is_quiet)?;
        }
        text_of(plan, &report)?
    };
    plan.common.target.write(output.as_bytes())?;
    let warning =
        (!plan.shows("issues")).then_some("data of the input was lost; `--table issues` says what");
    Ok(outcome(plan.common.sorting(), inputs.iter().map(|input| &input.diag), warning))
}

/// Says what is missing from the inputs, or only estimated.
pub(super) fn warn(plan: &AnalyzePlan, inputs: &[Input], analyzed: &Analyzed) {
    for input in
        inputs.iter().filter(|input| input.store.slices.is_empty() && !plan.common.is_quiet)
    {
        say(&format!("warning: {} holds no event with a duration", input.path.display()));
        say("hint: the profiler may have been stopped before anything ran; widen its range");
    }
    if let Some(across) = analyzed.across.as_ref().filter(|_| !plan.common.is_quiet) {
        warn_of_clocks(across, inputs);
    }
}

/// Says which inputs are beside the others by estimate only, or not at all.
fn warn_of_clocks(blame: &Blame, inputs: &[Input]) {
    for (number, (placed, input)) in blame.placed.iter().zip(inputs).enumerate() {
        let path = input.path.display();
        match placed.placement {
            Placement::Estimate(source) if placed.reference != Some(number) => {
                let what = match source {
                    ClockSource::Collectives => "the ends of collectives",
                    ClockSource::HandOffs => "hand-offs",
                };
                let [reference, n_matched, error_ns] = [
                    placed.reference.map(|reference| reference as u64),
                    placed.n_matched,
                    placed.error_ns.map(i64::unsigned_abs),
                ]
                .map(Option::unwrap_or_default);
                say(&format!(
                    "warning: {path} has no time base; it is placed by {what} shared with input #{reference}, {n_matched} of \
                     them, {} ns off its own times, good to {error_ns} ns",
                    placed.offset_ns
                ));
            }
            Placement::None => say(&format!(
                "warning: {path} has no time base and shares no collective; it takes no part in figures across inputs"
            )),
            _ => {}
        }
    }
}

/// Torch's own table of every input, under its path where there are several.
fn torch_layout(plan: &AnalyzePlan, inputs: &[Input], results: &[Results]) -> String {
    let mut out = String::new();
    for (input, results) in inputs.iter().zip(results) {
        let Some(averages) = &results.key_averages else { continue };
        let times = torch_times(&input.store, &plan.key_averages, averages);
        let table = TorchTable::new(averages, &times, rows::device_label(&input.store));
        let has_device = averages.rows.iter().any(|row| row.self_device_ns > 0);
        let options = TorchTableOptions {
            sort_by: rows::torch_sort(plan.sort, has_device),
            row_limit: Some(plan.choice.top()),
            ..TorchTableOptions::default()
        };
        if inputs.len() > 1 {
            out.push_str(&format!("# {}\n", input.path.display()));
        }
        out.push_str(&torch_table(&table, &options));
        out.push('\n');
    }
    out
}

fn text_of(plan: &AnalyzePlan, report: &AnalyzeReport) -> anyhow::Result<String> {
    let mut tables = report.tables(|name| plan.shows_name(name));
    if plan.common.is_terminal {
        // A terminal shows the end of what was printed: the verdict stands there.
        tables.rotate_left(1);
    }
    let view = |source: &Source<'_>| report.view(source);
    let cut = |table: Table| for_people(plan, report, table);
    rendered(&plan.common, &plan.choice, report, &tables, view, cut)
}

/// A table with as many rows as a person asked for; what has a few rows for each input is cut only
/// where they did. The trust panel
/// names what is fine in one line, and what several inputs share stands once, unless the table was asked for.
fn for_people(plan: &AnalyzePlan, report: &AnalyzeReport, table: Table) -> Table {
    match table.key {
        "verdict" => verdict_summary(table),
        "trust" if plan.choice.is_default() => trust_summary(&report.trust),
        "issues" if plan.choice.is_default() => over_inputs::together(table, report.inputs.len()),
        "idle_gaps" => table.top(plan.top_gaps),
        "threads" => table.top(plan.top_threads),
        "log_clocks" => table.for_people(),
        "joined_requests" => {
            joined_request_summary(&report.joined_requests).for_people().top(plan.choice.top())
        }
        "iterations" => table.without_zeros("excluded_ns").for_people().top(plan.choice.top()),
        "iteration_summary" | "components" | "key_averages" | "kernels" | "copies" | "waits"
        | "activity" => table.top(plan.choice.top()),
        _ => table,
    }
}
