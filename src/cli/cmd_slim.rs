//! `omni-trace slim`: the same trace, small enough to open.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::args::Format;
use super::args_merge::{NameFilter, SlimArgs};
use super::guard::{self, Output};
use super::interval::refuse_outside;
use super::read_twice::Spooled;
use super::reading::find_traces;
use super::run::{Hinted, Outcome};
use super::trace_output::{self, Destination, FirstPass};
use crate::align::{AlignInput, AlignMode, Digest, align_clocks, input_label};
use crate::analyze::base::TimeConfig;
use crate::analyze::slim::{SlimChoice, SlimConfig, SlimFilter, choose_slim};
use crate::analyze::window::{WindowConfig, windows};
use crate::ask::issues;
use crate::diag::timings::timed;
use crate::read::events::ReadAgain;
use crate::read::{Progress, SLIM_ENDING};
use crate::schema;
use crate::store::{BASE_KEY, LANES_KEY, LAYOUT_KEY, PARTS_KEY, SHIFT_KEY, SLIM_KEY};
use crate::table::{OutputRow, SCHEMA_VERSION, SlimReport, SlimRow, Table};
use crate::write::{
    Collapsed, Edit, InputPlan, Pass, PlanInput, Source, Tally, Written, merged_members,
    plan_alone, plan_merge, plan_same,
};

/// Runs the command.
pub(super) fn run(args: &SlimArgs) -> anyhow::Result<Outcome> {
    let paths = find_traces(&args.paths)?.paths;
    refuse_several_in_one(args, &paths)?;
    let destinations: Vec<Destination> = paths
        .iter()
        .map(|path| Destination::of(&args.output, || default_name(path)))
        .collect::<anyhow::Result<_>>()?;
    for destination in &destinations {
        guard::claim([Output::of("-o", Some(destination.path()))])?;
    }
    let mut outcome = Outcome::Done;
    for (path, destination) in paths.iter().zip(&destinations) {
        let paths = [path.clone()];
        let sources = Spooled::all(&paths, destination.path(), args.output.running.quiet)?;
        let one = trace_output::in_pool(&args.output, || slim(args, path, &sources, destination))?;
        outcome = if one == Outcome::Done { outcome } else { one };
    }
    Ok(outcome)
}

/// # Errors
///
/// Several traces for what holds one.
fn refuse_several_in_one(args: &SlimArgs, paths: &[PathBuf]) -> anyhow::Result<()> {
    let n = paths.len();
    let option = match args.output.format {
        _ if args.output.output.is_some() => "-o",
        Format::Json | Format::Csv => "--format",
        Format::Text | Format::Md => return Ok(()),
    };
    if n < 2 {
        return Ok(());
    }
    let what =
        format!("{option} is for one trace, and {n} were found: {} and more", paths[0].display());
    let hint =
        format!("leave {option} out, which makes NAME.slim.json.gz of each, or name one trace");
    Err(Hinted { what, hint }.into())
}

/// The name of a slimmed trace that nobody named: that of its input with `.slim`, in this directory.
fn default_name(path: &Path) -> PathBuf {
    let name = match path.file_name() {
        Some(name) if path != Path::new("-") => name.to_string_lossy().into_owned(),
        _ => "trace".to_owned(),
    };
    let endings = [".json", ".json.gz", ".json.zst", ".pftrace", ".pftrace.gz", ".perfetto-trace"];
    let stem = endings.iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(&name);
    format!("{stem}{SLIM_ENDING}").into()
}

fn slim(
    args: &SlimArgs,
    path: &Path,
    sources: &[Spooled],
    destination: &Destination,
) -> anyhow::Result<Outcome> {
    let progress = Arc::new(Progress::default());
    let options = trace_output::read_options(&args.output);
    let inputs =
        trace_output::first_pass(sources, &options, &progress, &args.output, ReadAgain::Partly)?;
    let Some(first) = inputs.first() else { return Ok(Outcome::Done) };
    let store = &first.input.store;
    let whole = || windows(store, WindowConfig::default()).whole;
    refuse_outside(args.window, std::iter::once_with(whole))?;
    let choice =
        timed("slim: choose", || choose_slim(store, &TimeConfig::default(), &config(args)));
    if choice.n_iterations.is_some() && choice.span_ns.is_none() {
        let n = choice.n_iterations.unwrap_or(0);
        let what = format!("no such iteration: {} has {n}", path.display());
        let hint =
            "`omni-trace analyze --table iterations` lists them; they count from 0".to_owned();
        return Err(Hinted { what, hint }.into());
    }
    let (edit, plan) = rayon::join(
        || timed("slim: edit", || edit_asked(args, edit_of(first, &choice))),
        || timed("slim: plan", || plan_of(first, &choice, destination.is_json())),
    );
    let plan = plan?;
    let pass = Pass { options: &options, progress: &progress };
    let (written, bytes) =
        write(&plan, first, &edit, destination, pass, args.output.running.quiet)?;
    let report = SlimReport {
        schema_version: SCHEMA_VERSION,
        command: "slim",
        output: OutputRow {
            path: destination.path().display().to_string(),
            bytes,
            text_bytes: written.text_bytes,
            base_time_ns: plan.base_time_ns,
        },
        json_bytes: first.input.json_bytes,
        collapsed_waits: choice.waits.len() as u64,
        categories: categories(&written.tally),
        issues: issues(0, &first.input.diag).collect(),
    };
    let view = |source: &schema::Source<'_>| Table::view(&source.table());
    trace_output::show(
        &args.output,
        destination,
        (&report, &report.output),
        &report.tables(),
        view,
    )?;
    Ok(trace_output::outcome(&args.output, &written, std::iter::once(&first.input.diag)))
}

fn config(args: &SlimArgs) -> SlimConfig {
    let filters = |list: &[NameFilter]| {
        let filter = |filter: &NameFilter| match filter {
            NameFilter::Category(category) => SlimFilter::Category(category.clone()),
            NameFilter::Name(regex) => SlimFilter::Name(regex.clone()),
        };
        list.iter().map(filter).collect()
    };
    SlimConfig {
        collapses_waits: !args.keep_waits,
        window_ns: args.window.map(|window| (window.from_ns, window.to_ns)),
        iterations: args.iterations.map(|range| (range.first, range.last)),
        only: filters(&args.only),
        drop: filters(&args.drop),
        min_dur_ns: args.min_dur.map_or(0, |duration| duration.0),
        max_stack_depth: args.max_stack_depth,
    }
}

/// The choice by event number, as the second pass needs it.
pub(super) fn edit_of(first: &FirstPass, choice: &SlimChoice) -> Edit {
    let store = &first.input.store;
    let mut edit = Edit::default();
    edit.drop_slices(store, &choice.is_gone);
    edit.collapse_into(choice.waits.iter().filter_map(|wait| {
        let event = store.slices.event_number(wait.slice as usize)?;
        Some((event, Collapsed { count: wait.count, covered_ns: wait.covered_ns }))
    }));
    edit.window_ns = choice.span_ns;
    edit
}

/// The same with what goes by category and key.
fn edit_asked(args: &SlimArgs, mut edit: Edit) -> Edit {
    let categories = |list: &[NameFilter]| -> Vec<String> {
        list.iter()
            .filter_map(|filter| match filter {
                NameFilter::Category(category) => Some(category.clone()),
                NameFilter::Name(_) => None,
            })
            .collect()
    };
    edit.drop_categories = categories(&args.drop);
    edit.only_categories = (!args.only.is_empty()).then(|| categories(&args.only));
    edit.drops_all_args = args.drop_args.iter().any(|key| key == "all");
    edit.drop_args = args.drop_args.iter().filter(|key| *key != "all").cloned().collect();
    edit
}

/// Writes the trace. Gives its bytes on disk besides.
pub(super) fn write(
    plan: &SlimPlan,
    first: &FirstPass,
    edit: &Edit,
    destination: &Destination,
    pass: Pass<'_>,
    is_quiet: bool,
) -> anyhow::Result<(Written, Option<u64>)> {
    let SlimPlan { plan, members, base_time_ns } = plan;
    let source = Source { again: &first.again, store: &first.input.store, plan, edit: Some(edit) };
    destination.write(*base_time_ns, members, &[source], pass, is_quiet)
}

/// How the trace is written again.
pub(super) struct SlimPlan {
    pub(super) plan: InputPlan,
    /// The top-level members before the events.
    pub(super) members: Vec<(String, String)>,
    /// Unix time of the output's time 0; `None` where the input says none.
    pub(super) base_time_ns: Option<i64>,
}

/// JSON keeps processes and top-level members as they are, with lanes for what overlaps; Perfetto needs numbers for all, as a
/// merged file has them. In both the base of times moves to the last second before the first event, as in a merged file.
pub(super) fn plan_of(
    first: &FirstPass,
    choice: &SlimChoice,
    is_json: bool,
) -> anyhow::Result<SlimPlan> {
    let input = &first.input;
    let meta = &input.store.meta;
    if meta.entry(PARTS_KEY).is_some() {
        let (plan, members) = (plan_same(&input.store), slimmed(meta.entries.clone()));
        return Ok(SlimPlan { plan, members, base_time_ns: meta.base_time_ns });
    }
    let (path, identity, store) = (&input.path, &input.identity, &input.store);
    let digest = Digest::of(store, identity, &[], true);
    let align = AlignInput { path, identity, digest: &digest, window_ns: None, run: 0 };
    let alignment = align_clocks(&[align], &[], AlignMode::Base);
    let base_time_ns = alignment.base_time_ns;
    let shift_ns = alignment.inputs.first().map_or(0, |clock| clock.shift_ns);
    if is_json {
        let plan = plan_alone(&input.store, &choice.is_gone, shift_ns);
        let members = members_alone(first, &plan, base_time_ns)?;
        return Ok(SlimPlan { plan, members, base_time_ns });
    }
    let label = input_label(&align);
    let plans = plan_merge(&[PlanInput {
        path: &input.path,
        identity: &input.identity,
        label: &label,
        store: &input.store,
        is_gone: &choice.is_gone,
        shift_ns,
        clock_offset_ns: 0,
        place: None,
    }]);
    let members = slimmed(merged_members(base_time_ns, &plans)?);
    let plan = plans.into_iter().next().unwrap_or_default();
    Ok(SlimPlan { plan, members, base_time_ns })
}

/// The input's own members, with the base of the output's times, and what undoes the plan.
fn members_alone(
    first: &FirstPass,
    plan: &InputPlan,
    base_time_ns: Option<i64>,
) -> serde_json::Result<Vec<(String, String)>> {
    let meta = &first.input.store.meta;
    let mut members = meta.entries.clone();
    if meta.entry(LAYOUT_KEY).is_none() {
        members.push((LAYOUT_KEY.to_owned(), format!("\"{}\"", meta.layout.name())));
    }
    if let Some(base) = base_time_ns.filter(|_| plan.shift_ns != 0) {
        members.iter_mut().filter(|(key, _)| key == BASE_KEY).for_each(|m| m.1 = base.to_string());
        members.push((SHIFT_KEY.to_owned(), plan.shift_ns.to_string()));
    }
    let threads = plan.threads();
    if !threads.is_empty() {
        members.push((LANES_KEY.to_owned(), serde_json::to_string(&threads)?));
    }
    Ok(slimmed(members))
}

/// The members of a trace from which events were left out: said once, last, so that slimming again writes the same.
fn slimmed(mut members: Vec<(String, String)>) -> Vec<(String, String)> {
    members.retain(|(key, _)| key != SLIM_KEY);
    members.push((SLIM_KEY.to_owned(), "true".to_owned()));
    members
}

fn categories(tally: &Tally) -> Vec<SlimRow> {
    let mut rows: Vec<SlimRow> = tally
        .rows
        .iter()
        .map(|(category, row)| SlimRow {
            category: category.clone(),
            events: row.before.events,
            bytes: row.before.bytes,
            gone_events: row.gone.events,
            gone_bytes: row.gone.bytes,
        })
        .collect();
    rows.sort_by(|a, b| {
        (b.gone_bytes, b.bytes, &a.category).cmp(&(a.gone_bytes, a.bytes, &b.category))
    });
    rows
}
