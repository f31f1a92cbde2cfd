//! `omni-trace merge`: many inputs to one time line.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use rayon::prelude::*;

use super::args::RuleArgs;
use super::args_merge::MergeArgs;
use super::figures::FigurePlan;
use super::guard;
use super::pages;
use super::path_track;
use super::plan::CommonPlan;
use super::read_twice::Spooled;
use super::reading::{find_traces, say_skipped};
use super::rule_files::COMM_RULES;
use super::run::{Hinted, Outcome};
use super::session::in_pool;
use super::trace_output::{self, Destination, FirstPass};
use crate::align::{
    AlignInput, AlignMode, Alignment, CLOCKS_VERSION, ClockBase, ClockSource, Clocks, Digest,
    IdentityProblem, InputClock, Override, align_clocks, input_label, matched, merge_order,
    missing_ranks, refine_identity, same_claims,
};
use crate::analyze::comm_rules::CommRules;
use crate::analyze::devices::comm_kernels;
use crate::analyze::wait_rules::WaitRules;
use crate::ask::issues;
use crate::diag::timings::timed;
use crate::files;
use crate::model::Identity;
use crate::read::events::ReadAgain;
use crate::read::{ID_ARGUMENTS, Input, Inputs, Progress};
use crate::render::human;
use crate::schema;
use crate::store::PARTS_KEY;
use crate::table::figure::merge_figures;
use crate::table::page::Page;
use crate::table::{Base, ClockBy, MergeReport, MergeRow, OutputRow, SCHEMA_VERSION};
use crate::write::{InputPlan, Pass, PlanInput, Source, merged_members, plan_merge, plan_same};

/// Where a merged trace goes that nobody named.
const MERGED: &str = "merged.json.gz";

/// Runs the command.
pub(super) fn run(args: &MergeArgs) -> anyhow::Result<Outcome> {
    let destination = Destination::of(&args.output, || MERGED.into())?;
    let inputs = find_traces(&args.paths)?;
    let figures = FigurePlan::of(&args.figures)?;
    let how = How {
        rules: COMM_RULES.of(args.comm_rules.as_deref())?.1,
        clocks: args.clocks.as_deref().map(told_clocks).transpose()?,
    };
    guard::claim_results(Some(destination.path()), args.html.as_deref(), &args.figures)?;
    say_skipped(&inputs, args.output.running.quiet);
    let mut sources = Spooled::all(&inputs.paths, destination.path(), args.output.running.quiet)?;
    if args.critical_path {
        refuse_other_clocks(args.align)?;
        sources.push(path_of(args, &inputs, destination.path())?);
    }
    trace_output::in_pool(&args.output, || {
        let (report, outcome) = merge(args, &how, &sources, &destination)?;
        if let Some(figures) = &figures {
            figures.write(&merge_figures(&report), args.output.running.quiet)?;
        }
        Ok(outcome)
    })
}

/// How inputs come on one time line.
struct How {
    rules: CommRules,
    /// Where clocks stand, where that was told.
    clocks: Option<Clocks>,
}

/// What `reduce --clocks` wrote.
fn told_clocks(path: &Path) -> anyhow::Result<Clocks> {
    let unusable = |what: String| {
        let hint = "make it with `omni-trace reduce PARTIALS --clocks FILE`".to_owned();
        Hinted { what: format!("{}: {what}", path.display()), hint }
    };
    files::protect([path]);
    let text = fs::read(path).map_err(|error| unusable(error.to_string()))?;
    let clocks: Clocks = serde_json::from_slice(&text)
        .map_err(|error| unusable(format!("these are no clocks: {error}")))?;
    if clocks.clocks_version != CLOCKS_VERSION {
        let version = clocks.clocks_version;
        return Err(unusable(format!(
            "its version is {version}, and {CLOCKS_VERSION} is read here"
        ))
        .into());
    }
    Ok(clocks)
}

/// The number of each input among those whose clocks were told.
fn numbers(clocks: &Clocks, inputs: &[FirstPass]) -> anyhow::Result<Vec<usize>> {
    let number = |first: &FirstPass| {
        let found = clocks.number_of(first.origin(), &first.input.identity);
        found.ok_or_else(|| {
            let path = first.origin().display();
            let what = format!("--clocks does not tell where the clock of {path} stands");
            let hint = "reduce a partial result of it with the others; it is found by its path, or by its stage and rank";
            Hinted { what, hint: hint.to_owned() }.into()
        })
    };
    inputs.iter().map(number).collect()
}

/// # Errors
///
/// Another way to bring clocks together than the one by which the critical path is found.
fn refuse_other_clocks(align: AlignMode) -> Result<(), Hinted> {
    if align == AlignMode::Auto {
        return Ok(());
    }
    let what =
        "--critical-path goes with --align auto: that is how its clocks are brought together";
    Err(Hinted { what: what.to_owned(), hint: "leave --align out".to_owned() })
}

/// The critical path of the inputs as one more of them.
fn path_of(args: &MergeArgs, inputs: &Inputs, output: &Path) -> anyhow::Result<Spooled> {
    let common = CommonPlan { is_quiet: true, ..CommonPlan::running(&args.output.running) };
    let rules = RuleArgs { wait_rules: None, comm_rules: args.comm_rules.clone() };
    let time = rules.time_config(None)?;
    in_pool(common.read.threads, || path_track::of(inputs, &common, &time, output))
}

fn merge(
    args: &MergeArgs,
    how: &How,
    sources: &[Spooled],
    destination: &Destination,
) -> anyhow::Result<(MergeReport, Outcome)> {
    let progress = Arc::new(Progress::default());
    let options = trace_output::read_options(&args.output);
    let mut inputs =
        trace_output::first_pass(sources, &options, &progress, &args.output, ReadAgain::Whole)?;
    if let [first] = inputs.as_slice()
        && is_merged(first)
        && how.clocks.is_none()
    {
        let pass = Pass { options: &options, progress: &progress };
        return rewrite_merged(args, first, destination, pass);
    }
    let overrides = overrides(args);
    for first in &mut inputs {
        let (identity, store) = (&first.input.identity, &first.input.store);
        first.input.identity = refine_identity(first.origin(), identity, store, &overrides);
    }
    let identities: Vec<Identity> =
        inputs.iter().map(|first| first.input.identity.clone()).collect();
    refuse_same(args, &inputs, &identities)?;
    let mut ordered: Vec<Option<FirstPass>> = inputs.into_iter().map(Some).collect();
    let inputs: Vec<FirstPass> =
        merge_order(&identities).into_iter().filter_map(|i| ordered[i].take()).collect();

    let merged = timed("merge: plan", || Merged::of(&inputs, args, how))?;
    let members = merged_members(merged.alignment.base_time_ns, &merged.plans)?;
    let sources: Vec<Source<'_>> = inputs
        .iter()
        .zip(&merged.plans)
        .map(|(first, plan)| Source {
            again: &first.again,
            store: &first.input.store,
            plan,
            edit: None,
        })
        .collect();
    let pass = Pass { options: &options, progress: &progress };
    let (written, bytes) = destination.write(
        merged.alignment.base_time_ns,
        &members,
        &sources,
        pass,
        args.output.running.quiet,
    )?;
    let output = OutputRow {
        path: destination.path().display().to_string(),
        bytes,
        text_bytes: written.text_bytes,
        base_time_ns: merged.alignment.base_time_ns,
    };
    let report = merged.report(&inputs, output);
    show(args, destination, &report)?;
    let outcome =
        trace_output::outcome(&args.output, &written, inputs.iter().map(|first| &first.input.diag));
    Ok((report, outcome))
}

/// The report, and the page of it where one was asked for.
fn show(args: &MergeArgs, destination: &Destination, report: &MergeReport) -> anyhow::Result<()> {
    if let Some(path) = &args.html {
        let files = report.inputs.iter().map(|input| Path::new(&input.path));
        pages::write(path, Page::of_merge(report), &[], files)?;
    }
    let view = |source: &schema::Source<'_>| report.view(source);
    trace_output::show(&args.output, destination, (report, &report.output), &report.tables(), view)
}

fn is_merged(first: &FirstPass) -> bool {
    first.input.store.meta.entry(PARTS_KEY).is_some()
}

/// A file that was merged before, on its own: the same in another format. Beside others it is taken apart, and its inputs
/// are aligned and numbered anew.
fn rewrite_merged(
    args: &MergeArgs,
    first: &FirstPass,
    destination: &Destination,
    pass: Pass<'_>,
) -> anyhow::Result<(MergeReport, Outcome)> {
    let store = &first.input.store;
    let plan = plan_same(store);
    let source = Source { again: &first.again, store, plan: &plan, edit: None };
    let base_time_ns = store.meta.base_time_ns;
    let is_quiet = args.output.running.quiet;
    let (written, bytes) =
        destination.write(base_time_ns, &store.meta.entries, &[source], pass, is_quiet)?;
    let output = OutputRow {
        path: destination.path().display().to_string(),
        bytes,
        text_bytes: written.text_bytes,
        base_time_ns,
    };
    let mut report = MergeReport {
        schema_version: SCHEMA_VERSION,
        command: "merge",
        output,
        ..MergeReport::default()
    };
    report.inputs.push(MergeRow {
        label: "merged before".to_owned(),
        path: first.input.path.display().to_string(),
        events: store.n_events,
        json_bytes: first.input.json_bytes,
        base: if base_time_ns.is_some() { Base::Stated } else { Base::Unknown },
        base_time_ns,
        ..MergeRow::default()
    });
    report.issues.extend(issues(0, &first.input.diag));
    show(args, destination, &report)?;
    let outcome = trace_output::outcome(&args.output, &written, std::iter::once(&first.input.diag));
    Ok((report, outcome))
}

fn overrides(args: &MergeArgs) -> Vec<Override> {
    let stages = args
        .stage_of
        .iter()
        .map(|rule| Override::Stage { pattern: rule.pattern.clone(), stage: rule.stage });
    let labels = args
        .label
        .iter()
        .map(|rule| Override::Label { pattern: rule.pattern.clone(), label: rule.label.clone() });
    stages.chain(labels).collect()
}

/// Two inputs of the same stage and rank are an error that names both, unless both are wanted.
fn refuse_same(
    args: &MergeArgs,
    inputs: &[FirstPass],
    identities: &[Identity],
) -> anyhow::Result<()> {
    let problems = same_claims(identities);
    let Some(IdentityProblem::Same { first, second }) = problems.first() else { return Ok(()) };
    if args.keep_duplicates {
        return Ok(());
    }
    let path = |i: usize| match &inputs[i].input {
        Input { path, merged_from: Some(of), .. } => {
            format!("{} (merged from {of})", path.display())
        }
        input => input.path.display().to_string(),
    };
    let what = format!(
        "{} and {} both claim to be {}",
        path(*first),
        path(*second),
        identities[*first].label()
    );
    let hint = "name one of them, tell stages apart with --stage-of PATTERN=N, or keep both with \
                --keep-duplicates"
        .to_owned();
    Err(Hinted { what, hint }.into())
}

/// What was decided about the inputs together.
struct Merged {
    labels: Vec<String>,
    alignment: Alignment,
    plans: Vec<InputPlan>,
    warnings: Vec<String>,
}

impl Merged {
    fn of(inputs: &[FirstPass], args: &MergeArgs, how: &How) -> anyhow::Result<Self> {
        let told = how.clocks.as_ref();
        let numbers = told.map(|clocks| numbers(clocks, inputs)).transpose()?;
        let digests = timed("merge: digests", || digests(inputs, &how.rules));
        let align: Vec<AlignInput<'_>> = inputs
            .iter()
            .zip(&digests)
            .map(|(first, digest)| AlignInput {
                path: first.origin(),
                identity: &first.input.identity,
                digest,
                window_ns: None,
                run: 0,
            })
            .collect();
        let labels = unique(align.iter().map(input_label).collect());
        let alignment = match (told, &numbers) {
            (Some(clocks), Some(numbers)) => {
                let bases = digests.iter().map(|digest| digest.base);
                clocks.alignment(&numbers.iter().copied().zip(bases).collect::<Vec<_>>())
            }
            _ => timed("merge: clocks", || align_clocks(&align, &matched(&align), args.align)),
        };
        let plan_inputs: Vec<PlanInput<'_>> = align
            .iter()
            .zip(inputs)
            .zip(&labels)
            .zip(&alignment.inputs)
            .enumerate()
            .map(|(i, (((input, first), label), clock))| PlanInput {
                path: input.path,
                identity: input.identity,
                label,
                store: &first.input.store,
                is_gone: &[],
                shift_ns: clock.shift_ns,
                clock_offset_ns: clock.correction_ns,
                place: numbers.as_ref().map(|numbers| numbers[i]),
            })
            .collect();
        let plans = timed("merge: what becomes of events", || plan_merge(&plan_inputs));
        // What of a run is not here lies in other parts.
        let warnings =
            if told.is_some() { Vec::new() } else { warnings(&align, &alignment, &labels) };
        Ok(Self { labels, alignment, plans, warnings })
    }

    fn report(self, inputs: &[FirstPass], output: OutputRow) -> MergeReport {
        let mut report = MergeReport {
            schema_version: SCHEMA_VERSION,
            command: "merge",
            output,
            warnings: self.warnings,
            ..MergeReport::default()
        };
        for (i, first) in inputs.iter().enumerate() {
            let (clock, plan) = (&self.alignment.inputs[i], &self.plans[i]);
            let (base, base_time_ns) = match clock.base {
                ClockBase::Stated(ns) => (Base::Stated, Some(ns)),
                ClockBase::Absolute => (Base::Absolute, None),
                ClockBase::Unknown => (Base::Unknown, None),
            };
            report.inputs.push(MergeRow {
                input: i,
                label: self.labels[i].clone(),
                path: first.input.path.display().to_string(),
                merged_from: first.input.merged_from.clone(),
                events: first.input.store.n_events,
                json_bytes: first.input.json_bytes,
                base,
                base_time_ns,
                base_shift_ns: clock.base_shift_ns,
                clock_source: clock_source(clock),
                reference: clock
                    .estimate
                    .map(|estimate| estimate.reference)
                    .or(clock.bounds.map(|bounds| bounds.reference)),
                offset_ns: clock.estimate.map(|estimate| estimate.offset_ns),
                error_ns: clock.estimate.map(|estimate| estimate.error_ns),
                offset_at_least_ns: clock.bounds.and_then(|bounds| bounds.at_least_ns),
                offset_at_most_ns: clock.bounds.and_then(|bounds| bounds.at_most_ns),
                matched: clock
                    .estimate
                    .map(|estimate| estimate.n_matched)
                    .or(clock.bounds.map(|bounds| bounds.n_matched))
                    .unwrap_or(0) as u64,
                dropped: clock.estimate.map_or(0, |estimate| estimate.n_dropped as u64),
                correction_ns: clock.correction_ns,
                first_pid: plan.first_pid(),
                id_offset: plan.id_offset(),
                lanes: plan.n_lanes(),
                moved_slices: plan.n_moved_slices(),
            });
            report.issues.extend(issues(i, &first.input.diag));
        }
        if report.inputs.iter().any(|row| row.id_offset > 0) {
            report.renumbered_arguments = ID_ARGUMENTS.to_vec();
        }
        report
    }
}

/// What is compared between inputs.
fn digests(inputs: &[FirstPass], rules: &CommRules) -> Vec<Digest> {
    let waits = WaitRules::default();
    let digest = |first: &FirstPass| {
        let (store, identity) = (&first.input.store, &first.input.identity);
        Digest::of(store, identity, &comm_kernels(store, &waits, rules), inputs.len() == 1)
    };
    inputs.par_iter().map(digest).collect()
}

/// What is missing, or of which nothing tells when it was.
fn warnings(align: &[AlignInput<'_>], alignment: &Alignment, labels: &[String]) -> Vec<String> {
    let identities: Vec<Identity> = align.iter().map(|input| input.identity.clone()).collect();
    let problems = missing_ranks(&identities);
    let mut warnings: Vec<String> =
        problems.iter().map(|problem| missing(problem, &identities)).collect();
    for (clock, label) in alignment.inputs.iter().zip(labels) {
        warnings.extend(one_way_warning(clock, labels, label));
        if clock.base == ClockBase::Unknown && clock.estimate.is_none() && align.len() > 1 {
            warnings.push(format!(
                "nothing says what the clock of {label} is relative to; its times are as written"
            ));
        }
    }
    warnings
}

fn clock_source(clock: &InputClock) -> Option<ClockBy> {
    match (clock.estimate, clock.bounds) {
        (Some(estimate), _) if estimate.source == ClockSource::Collectives => {
            Some(ClockBy::Collectives)
        }
        (Some(_), _) => Some(ClockBy::Handoffs),
        (None, Some(_)) => Some(ClockBy::OneWay),
        (None, None) => None,
    }
}

/// What hand-offs in one direction tell: too little for an offset, yet sometimes that a clock is wrong.
fn one_way_warning(clock: &InputClock, labels: &[String], label: &str) -> Option<String> {
    let bounds = clock.bounds.filter(|_| clock.estimate.is_none())?;
    let reference = &labels[bounds.reference];
    let (word, ns) = match (bounds.at_least_ns, bounds.at_most_ns) {
        (Some(ns), _) => ("at least", ns),
        (None, Some(ns)) => ("at most", ns),
        (None, None) => return None,
    };
    let ahead = format!("{word} {} ahead of {reference}'s", human::duration(ns));
    let matched = bounds.n_matched;
    Some(if bounds.excludes_zero() {
        format!(
            "the clock of {label} is wrong: something is received before it was sent. By {matched} hand-offs it is {ahead}; they go one way, so how far is not determined and nothing was corrected"
        )
    } else {
        format!(
            "the clock of {label} is {ahead} by {matched} hand-offs; they go one way, so how far is not determined"
        )
    })
}

/// Labels that occur again get a number.
fn unique(labels: Vec<String>) -> Vec<String> {
    let mut unique: Vec<String> = Vec::with_capacity(labels.len());
    for label in labels {
        let mut candidate = label.clone();
        let mut number = 2;
        while unique.contains(&candidate) {
            candidate = format!("{label} ({number})");
            number += 1;
        }
        unique.push(candidate);
    }
    unique
}

fn missing(problem: &IdentityProblem, identities: &[Identity]) -> String {
    match problem {
        IdentityProblem::MissingRanks { input, world_size, missing } => {
            let stage =
                identities[*input].stage.map_or(String::new(), |stage| format!("stage {stage}: "));
            let ranks: Vec<String> = missing.iter().take(16).map(ToString::to_string).collect();
            let more = if missing.len() > 16 { ", …" } else { "" };
            let word = if missing.len() == 1 { "rank" } else { "ranks" };
            format!("{stage}{word} {}{more} of {world_size} missing", ranks.join(", "))
        }
        IdentityProblem::Same { first, second } => {
            format!("inputs {first} and {second} claim the same")
        }
    }
}
