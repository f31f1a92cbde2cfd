//! `omni-trace check`: read the files, say what they are worth, write what is readable of one anew.

use std::path::Path;
use std::sync::Arc;

use super::args_check::CheckArgs;
use super::cmd_slim;
use super::guard::{self, Output};
use super::plan::CommonPlan;
use super::progress::ProgressDisplay;
use super::read_twice::Spooled;
use super::reading::{find_traces, say_skipped};
use super::run::{Hinted, Outcome, say};
use super::session::{in_pool, outcome};
use super::tables::{TableChoice, rendered};
use super::trace_output::{self, Destination, FirstPass};
use crate::analyze::slim::SlimChoice;
use crate::ask::check_report;
use crate::read::events::{Again, ReadAgain, read_apart_for_rewriting, read_for_rewriting};
use crate::read::{Input, Inputs, Progress, ReadError, read_each};
use crate::schema::{Row as _, Source};
use crate::table::{CheckReport, Condition, FileRow, OutputRow, Table, over_inputs, trust_summary};
use crate::write::{Edit, Pass};

/// Compression of a repaired `.json.gz`.
const LEVEL: u32 = 2;

/// Runs the command.
pub(super) fn run(args: &CheckArgs) -> anyhow::Result<Outcome> {
    let common = CommonPlan::of(&args.common);
    let choice = TableChoice::of(&common, &args.table, FileRow::SPEC, 0)?;
    let inputs = find_traces(&args.paths)?;
    let repair = args.repair.as_deref();
    guard::claim([
        Output::of("-o", args.common.output.as_deref()),
        Output::of("--repair", repair),
    ])?;
    say_skipped(&inputs, common.is_quiet);
    in_pool(common.read.threads, || {
        let (files, repaired) = match repair {
            Some(path) => repaired(&inputs, path, &common)?,
            None => (read(&inputs, &common), None),
        };
        let mut report = check_report(&files, &args.need);
        report.repaired = repaired;
        show(&report, &common, &choice)?;
        Ok(judged(&report, &common, &files))
    })
}

/// What each file gave; a merged one each of its inputs. What is of another kind is left out beside others.
fn read(inputs: &Inputs, common: &CommonPlan) -> Vec<Result<Input, ReadError>> {
    let progress = Arc::new(Progress::default());
    let _display = ProgressDisplay::start(&progress, &inputs.paths, common.is_quiet);
    let results = read_each(&inputs.paths, &common.read, &progress, None);
    let has_any = results.iter().any(Result::is_ok);
    let mut files = Vec::new();
    for result in results {
        match result {
            Ok(read) => files.extend(read.into_iter().map(Ok)),
            Err(error) if has_any && error.is_of_another_kind() => {
                if !common.is_quiet {
                    say(&format!("note: left out: {error}"));
                }
            }
            Err(error) => files.push(Err(error)),
        }
    }
    files
}

/// A file read, and what is readable of it written to another.
type Repaired = (Vec<Result<Input, ReadError>>, Option<OutputRow>);

fn repaired(inputs: &Inputs, to: &Path, common: &CommonPlan) -> anyhow::Result<Repaired> {
    let [path] = inputs.paths.as_slice() else {
        let what = format!("--repair writes one file, and there are {}", inputs.paths.len());
        return Err(Hinted { what, hint: "name one file".to_owned() }.into());
    };
    let destination = Destination::named(to, LEVEL)?;
    let sources = Spooled::all(std::slice::from_ref(path), to, common.is_quiet)?;
    let Some(source) = sources.first() else { return Ok((Vec::new(), None)) };
    let progress = Arc::new(Progress::default());
    let read = {
        let _display = ProgressDisplay::start(&progress, &inputs.paths, common.is_quiet);
        read_for_rewriting(source.path(), &common.read, &progress, ReadAgain::Whole)
    };
    let named = |(mut input, again): (Input, Again)| {
        source.shown().clone_into(&mut input.path);
        FirstPass { input, again }
    };
    let mut first = match read {
        Ok(read) => named(read),
        Err(error) => return Ok((vec![Err(error.renamed(source.shown()))], None)),
    };
    first.carry_losses();
    let pass = Pass { options: &common.read, progress: &progress };
    let nothing = SlimChoice::default();
    let plan = cmd_slim::plan_of(&first, &nothing, destination.is_json())?;
    let (written, bytes) =
        cmd_slim::write(&plan, &first, &Edit::default(), &destination, pass, common.is_quiet)?;
    let output = OutputRow {
        path: to.display().to_string(),
        bytes,
        text_bytes: written.text_bytes,
        base_time_ns: plan.base_time_ns,
    };
    if !common.is_quiet {
        say(&trace_output::written(&destination, &output));
    }
    let parts = read_apart_for_rewriting(source.path(), &common.read, &progress)?;
    let is_merged = parts.len() > 1;
    let files = if is_merged {
        parts.into_iter().map(named).map(|first| Ok(first.input)).collect()
    } else {
        vec![Ok(first.input)]
    };
    Ok((files, Some(output)))
}

fn show(report: &CheckReport, common: &CommonPlan, choice: &TableChoice) -> anyhow::Result<()> {
    let n_inputs = report.files.len();
    let view = |source: &Source<'_>| Table::view(&source.table());
    let cut = |table: Table| match table.key {
        "trust" if choice.is_default() => trust_summary(&report.trust),
        "fit" if choice.is_default() => report.fit_summary(),
        "issues" if choice.is_default() => over_inputs::together(table, n_inputs),
        _ => table,
    };
    let text = rendered(common, choice, report, &report.tables(), view, cut)?;
    common.target.write(text.as_bytes())?;
    Ok(())
}

/// How it ended: with a file that is unreadable or lacks what is needed, with data lost under `--strict`, or well.
fn judged(
    report: &CheckReport,
    common: &CommonPlan,
    files: &[Result<Input, ReadError>],
) -> Outcome {
    for (path, unmet) in report.unmet() {
        say(&format!("not met: {path} has no {}", unmet.join(", no ")));
    }
    let is_unreadable = report.files.iter().any(|file| file.verdict == Condition::Unreadable);
    if is_unreadable || !report.unmet().is_empty() {
        return Outcome::Found;
    }
    let diags = files.iter().filter_map(|file| file.as_ref().ok()).map(|input| &input.diag);
    outcome(common.sorting(), diags, None)
}
