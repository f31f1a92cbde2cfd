//! `omni-trace analyze`: read the inputs, ask every analysis, show the answers.

use std::path::{Path, PathBuf};

use super::args::AnalyzeArgs;
use super::cmd_causal::refuse_several_runs;
use super::guard::{self, Output};
use super::interval::refuse_outside;
use super::log_plan::{LogPlan, warn_of_logs};
use super::output::Target;
use super::pages;
use super::plan::{AnalyzePlan, CommonPlan, PartialPlan};
use super::reading::read_traces;
use super::rule_files::{COMM_RULES, OP_MODELS, WAIT_RULES};
use super::run::{Hinted, Outcome, say, say_later};
use super::session::{in_pool, outcome};
use super::tables::rendered;
use crate::analyze::blame::Blame;
use crate::analyze::clock::{ClockSource, Placement};
use crate::analyze::key_averages::torch_times;
use crate::ask::partial::write_partial;
use crate::ask::{Answers, InputAnswers, Question, SortKey, device_label, digests};
use crate::causal::findings::FindingRow;
use crate::diag::timings::timed;
use crate::read::Input;
use crate::read::logs::LogInput;
use crate::render::human;
use crate::render::layout::Names;
use crate::render::screen::screen;
use crate::render::torch_table::{TorchTableOptions, torch_table, unrecorded_cells};
use crate::schema::{Row as _, Source};
use crate::table::figure::analyze_figures;
use crate::table::page::Page;
use crate::table::screen::Screen;
use crate::table::torch::{TorchSort, TorchTable};
use crate::table::verdict::verdict_summary;
use crate::table::{AnalyzeReport, Table, joined_request_summary, over_inputs, trust_summary};

/// Runs the command.
pub(super) fn run(args: &AnalyzeArgs) -> anyhow::Result<Outcome> {
    if let Some(rules) = printed_rules(args)? {
        guard::claim([Output::of("-o", args.common.output.as_deref())])?;
        args.common.output.clone().map_or(Target::Stdout, Target::File).write(rules.as_bytes())?;
        return Ok(Outcome::Done);
    }
    let plan = AnalyzePlan::of(args)?;
    run_plan(&plan)
}

/// The text of the rules that are to be printed, if any are.
fn printed_rules(args: &AnalyzeArgs) -> anyhow::Result<Option<String>> {
    Ok(Some(if args.print_wait_rules {
        WAIT_RULES.of(args.rules.wait_rules.as_deref())?.0
    } else if args.print_comm_rules {
        COMM_RULES.of(args.rules.comm_rules.as_deref())?.0
    } else if args.print_op_models {
        OP_MODELS.of(args.op_models.as_deref())?.0
    } else {
        return Ok(None);
    }))
}

/// Torch's own table of a trace, as `--torch-layout` prints it.
pub(super) fn torch_text(trace: PathBuf) -> anyhow::Result<String> {
    let plan = AnalyzePlan::plain(&[trace], true)?;
    in_pool(plan.common.read.threads, || {
        let inputs = read_traces(&plan.inputs, &plan.common)?;
        let answers = Answers::of(&plan.question, &inputs);
        Ok(torch_layout(&plan, &inputs, &answers.results).0)
    })
}

/// Does what is planned.
pub(super) fn run_plan(plan: &AnalyzePlan) -> anyhow::Result<Outcome> {
    in_pool(plan.common.read.threads, || show(plan))
}

/// What the inputs answer, with the logs that the plan names; what is missing from them is said.
pub(super) fn answers(
    common: &CommonPlan,
    question: &Question,
    inputs: &[Input],
    (plan, logs): (Option<&LogPlan>, &[LogInput]),
) -> Answers {
    let mut answers = Answers::of(question, inputs);
    let plan = plan.filter(|plan| plan.joins(logs));
    if let Some(plan) = plan {
        answers = answers.with_logs(inputs, logs, plan.config());
    }
    if let (Some(plan), Some(joined)) = (plan, &answers.joined) {
        warn_of_logs(joined, logs, plan.tone(), common.is_quiet);
    }
    if !common.is_quiet {
        warn(inputs, &answers);
    }
    answers
}

fn show(plan: &AnalyzePlan) -> anyhow::Result<Outcome> {
    let inputs = read_traces(&plan.inputs, &plan.common)?;
    if let Some(partial) = &plan.partial {
        return write_digests(plan, partial, &inputs);
    }
    let logs = LogPlan::read(plan.logs.as_ref(), &plan.common)?;
    let answers = answers(&plan.common, &plan.question, &inputs, (plan.logs.as_ref(), &logs));
    refuse_unanswered(&plan.question, &answers)?;
    refuse_outside(plan.window, answers.windows().map(|windows| windows.whole))?;
    let overview = plan.page.as_ref().map(|_| pages::overview_of(&inputs, &answers));
    let output = if plan.is_torch_layout {
        let (text, n_unrecorded) = torch_layout(plan, &inputs, &answers.results);
        say_unrecorded(n_unrecorded, plan.common.is_quiet);
        text
    } else {
        let report = answers.into_report(&plan.question, &inputs);
        if let (Some(path), Some(overview)) = (&plan.page, overview) {
            let shows = |name: &str| plan.question.shows_name(name);
            let page = Page::of_analyze(&report, None, None, Some(overview), shows);
            pages::write(path, page, &inputs, logs.iter().map(|log| log.path.as_path()))?;
        }
        shown(plan, &report)?
    };
    plan.common.target.write(output.as_bytes())?;
    let warning =
        (!plan.shows_issues()).then_some("data of the input was lost; `--table issues` says what");
    Ok(outcome(plan.common.sorting(), inputs.iter().map(|input| &input.diag), warning))
}

/// # Errors
///
/// Findings of several runs.
pub(super) fn refuse_unanswered(question: &Question, answers: &Answers) -> Result<(), Hinted> {
    match question.asks_for(FindingRow::SPEC) {
        true => refuse_several_runs(&answers.together),
        false => Ok(()),
    }
}

/// Writes what the answer over many files needs of these.
fn write_digests(
    plan: &AnalyzePlan,
    partial: &PartialPlan,
    inputs: &[Input],
) -> anyhow::Result<Outcome> {
    let digests = digests(&plan.question, inputs);
    refuse_outside(plan.window, digests.iter().map(|digest| digest.across.whole))?;
    let (bytes, sketched) = write_partial(&plan.question, digests, partial.precision);
    partial.target.write(&bytes)?;
    if !sketched.is_empty() && !plan.common.is_quiet {
        let tables = sketched.join(", ");
        say_later(format!(
            "note: percentiles of {tables} are rounded by at most 1/256; --exact keeps all"
        ));
    }
    let warning = "data of the input was lost; the partial result says what";
    let diags = inputs.iter().map(|input| &input.diag);
    Ok(outcome(plan.common.sorting(), diags, Some(warning)))
}

/// The report as it was asked for, with its figures drawn.
fn shown(plan: &AnalyzePlan, report: &AnalyzeReport) -> anyhow::Result<String> {
    draw(plan, report)?;
    text_of(plan, report)
}

/// Draws the figures, where some are asked for.
pub(super) fn draw(plan: &AnalyzePlan, report: &AnalyzeReport) -> anyhow::Result<()> {
    match &plan.figures {
        Some(figures) => figures.write(&analyze_figures(report), plan.common.is_quiet),
        None => Ok(()),
    }
}

/// Says what is missing from the inputs, or only estimated.
fn warn(inputs: &[Input], answers: &Answers) {
    let is_empty = |input: &&Input| input.store.slices.is_empty() && input.snapshot.is_none();
    for input in inputs.iter().filter(is_empty) {
        say(&format!("warning: {} holds no event with a duration", input.path.display()));
        say("hint: the profiler may have been stopped before anything ran; widen its range");
    }
    if let Some(across) = &answers.across {
        warn_of_clocks(across, inputs.iter().map(|input| input.path.as_path()));
    }
}

/// Says which inputs are beside the others by estimate only, or not at all.
pub(super) fn warn_of_clocks<'a>(blame: &Blame, paths: impl Iterator<Item = &'a Path>) {
    for (number, (placed, path)) in blame.placed.iter().zip(paths).enumerate() {
        let path = path.display();
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

/// Torch's table has no cell for what was not recorded: says how many stand as 0.
fn say_unrecorded(n_cells: u64, is_quiet: bool) {
    if n_cells > 0 && !is_quiet {
        say(&format!(
            "note: {n_cells} cells of device times were not recorded: torch's table has 0.000us there, and so has this one; \
             --format json has null"
        ));
    }
}

/// Torch's own table of every input, under its path where there are several, and how many of its cells were not recorded.
fn torch_layout(plan: &AnalyzePlan, inputs: &[Input], results: &[InputAnswers]) -> (String, u64) {
    let (mut out, mut n_unrecorded) = (String::new(), 0);
    for (input, results) in inputs.iter().zip(results) {
        let Some(averages) = &results.key_averages else { continue };
        let times = torch_times(&input.store, &plan.question.key_averages, averages);
        let table = TorchTable::new(averages, &times, device_label(&input.store));
        let has_device =
            averages.rows.iter().any(|row| row.self_device_ns.is_some_and(|ns| ns > 0));
        let options = TorchTableOptions {
            sort_by: torch_sort(plan.question.sort, has_device),
            row_limit: Some(plan.shown.choice.top()),
            ..TorchTableOptions::default()
        };
        if inputs.len() > 1 {
            out.push_str(&format!("# {}\n", input.path.display()));
        }
        out.push_str(&torch_table(&table, &options));
        out.push('\n');
        n_unrecorded += unrecorded_cells(&table, &options);
    }
    (out, n_unrecorded)
}

/// What torch's own table is sorted by; torch cannot sort by name and keeps the order of first starts.
fn torch_sort(sort: Option<SortKey>, has_device: bool) -> Option<TorchSort> {
    let default = if has_device { SortKey::SelfDevice } else { SortKey::SelfCpu };
    match sort.unwrap_or(default) {
        SortKey::SelfCpu => Some(TorchSort::SelfCpu),
        SortKey::CpuTotal => Some(TorchSort::CpuTotal),
        SortKey::SelfDevice => Some(TorchSort::SelfDevice),
        SortKey::DeviceTotal => Some(TorchSort::DeviceTotal),
        SortKey::CpuAverage => Some(TorchSort::CpuAverage),
        SortKey::DeviceAverage => Some(TorchSort::DeviceAverage),
        SortKey::Count => Some(TorchSort::Count),
        SortKey::CpuMemory => Some(TorchSort::CpuMemory),
        SortKey::SelfCpuMemory => Some(TorchSort::SelfCpuMemory),
        SortKey::DeviceMemory => Some(TorchSort::DeviceMemory),
        SortKey::SelfDeviceMemory => Some(TorchSort::SelfDeviceMemory),
        SortKey::Name => None,
    }
}

/// The report as it was asked for.
pub(super) fn text_of(plan: &AnalyzePlan, report: &AnalyzeReport) -> anyhow::Result<String> {
    timed("render", || text(plan, report))
}

fn text(plan: &AnalyzePlan, report: &AnalyzeReport) -> anyhow::Result<String> {
    if plan.shown.is_screen {
        let of_traces = Screen::of(report);
        let of_all = if plan.is_of_partials { of_traces.of_partials() } else { of_traces };
        return Ok(screen(&of_all, &plan.typed, plan.common.style));
    }
    let tables = report.tables(|name| plan.question.shows_name(name));
    let view = |source: &Source<'_>| report.view(source);
    let cut = |table: Table| for_people(plan, report, table);
    rendered(&plan.common, &plan.shown.choice, report, &tables, view, cut)
}

/// The profiler table as torch's users know it: the name first, the totals under it.
fn profiler_table(plan: &AnalyzePlan, report: &AnalyzeReport, table: Table) -> Table {
    // Whole names have room at the end alone.
    let is_short = plan.common.style.names == Names::Short;
    let mut table = if is_short { table.with_first("name") } else { table };
    let is_cuda = |name: &str| name.contains("NVIDIA") || name.contains("AMD");
    let mut names = report.devices.iter().filter_map(|row| row.name.as_deref()).peekable();
    // Torch says CUDA of AMD's devices, too, and where no name is known.
    let device = if names.peek().is_none() || names.any(is_cuda) { "CUDA" } else { "device" };
    for run in &report.runs {
        let of = if report.runs.len() > 1 { format!(" of run {}", run.run) } else { String::new() };
        let total =
            |what: &str, ns: i64| format!("Self {what} time total{of}: {}", human::duration(ns));
        table = table.with_note(total("CPU", run.self_cpu_ns));
        if run.self_device_ns > 0 {
            table = table.with_note(total(device, run.self_device_ns));
        }
    }
    let wants_stacks = plan.question.key_averages.group_by_stack_n > 0;
    if wants_stacks && report.key_averages.iter().all(|row| row.stack.is_none()) {
        let why = "--group-by-stack did nothing: no operator has a recorded stack (with_stack=True writes one in some \
                   versions of torch); --python-rows yes has Python frames as rows where they were recorded";
        table = table.with_note(why);
    }
    table
}

/// A table with as many rows as a person asked for; what has a few rows for each input is cut only
/// where they did. The trust panel
/// names what is fine in one line, and what several inputs share stands once, unless the table was asked for.
/// Tables whose rows `--name` chooses.
const NAMED: [&str; 4] = ["key_averages", "kernels", "components", "iterations"];

/// A table as people read it; one that `--name` left empty says so.
fn for_people(plan: &AnalyzePlan, report: &AnalyzeReport, table: Table) -> Table {
    let table = cut(plan, report, table);
    let is_unmatched = table.rows.is_empty() && NAMED.contains(&table.key);
    match plan.question.name.as_ref().filter(|_| is_unmatched) {
        Some(name) => table.with_note(format!("no name matches --name '{name}'")),
        None => table,
    }
}

fn cut(plan: &AnalyzePlan, report: &AnalyzeReport, table: Table) -> Table {
    match table.key {
        "verdict" => verdict_summary(table),
        "trust" if plan.shown.choice.is_default() => trust_summary(&report.trust),
        "issues" if plan.shown.choice.is_default() => {
            over_inputs::together(table, report.inputs.len())
        }
        "idle_gaps" => table.top(plan.shown.top_gaps),
        "threads" => table.top(plan.shown.top_threads),
        "log_clocks" | "findings" => table.for_people(),
        "joined_requests" => joined_request_summary(&report.joined_requests)
            .for_people()
            .top(plan.shown.choice.top()),
        "iterations" => {
            table.without_zeros("excluded_ns").for_people().top(plan.shown.choice.top())
        }
        "key_averages" => profiler_table(plan, report, table.top(plan.shown.choice.top())),
        // What a person looks at whole: the parts of a sum, and what was odd.
        "breakdown" | "blame" | "devices" | "idle" | "issues" | "inputs" | "memory" | "startup"
        | "thread_classes" | "totals" | "trust" => table,
        _ => table.top(plan.shown.choice.top()),
    }
}
