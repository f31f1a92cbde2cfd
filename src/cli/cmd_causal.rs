//! `omni-trace critical-path` and `omni-trace what-if`: read the inputs of a run, make one graph of them, answer from it.

use rayon::prelude::*;

use super::args::LogArgs;
use super::args_causal::{CausalArgs, CriticalPathArgs, WhatIfArgs};
use super::guard::{self, Output};
use super::log_plan::{LogPlan, warn_of_logs};
use super::plan::CommonPlan;
use super::reading::{find_traces, read_traces};
use super::run::{Hinted, Outcome, say};
use super::session::{in_pool, outcome};
use super::tables::{TableChoice, rendered};
use crate::align::Together;
use crate::analyze::base::{TimeBase, TimeConfig};
use crate::analyze::joined::Joined;
use crate::ask::{CausalRun, SeveralRuns, compared, joined_with};
use crate::causal::rows::{BoundRow, ChangeRow, PathRow, StageRow};
use crate::causal::whatif::Asked;
use crate::diag::timings::timed;
use crate::read::logs::LogInput;
use crate::read::{Input, Inputs};
use crate::schema::{Row as _, Source, Spec};
use crate::table::verdict::verdict_summary;
use crate::table::{Table, over_inputs};

/// What both commands will do.
struct CausalPlan {
    common: CommonPlan,
    inputs: Inputs,
    choice: TableChoice,
    time: TimeConfig,
    /// Logs of the run.
    logs: Option<LogPlan>,
    /// Whether all inputs are of one run, whatever they say.
    is_one_run: bool,
}

impl CausalPlan {
    fn of(
        (args, logs): (&CausalArgs, &LogArgs),
        table: &[String],
        csv_table: &Spec,
    ) -> anyhow::Result<Self> {
        let common = CommonPlan::of(&args.common).kept(&args.cache);
        let choice = TableChoice::of(&common, table, csv_table, args.top)?;
        let inputs = find_traces(&args.paths)?;
        let time = args.rules.time_config(None)?;
        let logs = LogPlan::of(logs, &args.paths, &inputs)?;
        guard::claim([Output::of("-o", args.common.output.as_deref())])?;
        Ok(Self { common, inputs, choice, time, logs, is_one_run: args.runs.one_run })
    }

    /// Reads, asks and writes.
    fn run(
        &self,
        text: impl Fn(&Self, CausalRun<'_>) -> anyhow::Result<String> + Sync,
    ) -> anyhow::Result<Outcome> {
        in_pool(self.common.read.threads, || {
            let logs = LogPlan::read(self.logs.as_ref(), &self.common)?;
            let inputs = read_traces(&self.inputs, &self.common)?;
            let base = |(at, input): (usize, &Input)| {
                timed("analyze: time base", || TimeBase::new(&input.store, &self.time).numbered(at))
            };
            let bases: Vec<TimeBase> = inputs.par_iter().enumerate().map(base).collect();
            let each: Vec<&TimeBase> = bases.iter().collect();
            let together = compared(&inputs, &each, self.is_one_run);
            refuse_several_runs(&together)?;
            let joined = self.join((&inputs, &each, &together), &logs);
            let run = CausalRun::of(&inputs, &each, &together, joined.as_ref());
            self.warn(&run);
            self.common.target.write(text(self, run)?.as_bytes())?;
            let warning = Some("data of the input was lost; `--table issues` says what");
            Ok(outcome(self.common.sorting(), inputs.iter().map(|input| &input.diag), warning))
        })
    }

    /// The logs on the time line of the traces; `None` where there are none.
    fn join(
        &self,
        (inputs, bases, together): (&[Input], &[&TimeBase], &Together),
        logs: &[LogInput],
    ) -> Option<Joined> {
        let plan = self.logs.as_ref().filter(|plan| plan.joins(logs))?;
        let joined = joined_with(inputs, bases, together, logs, plan.config());
        warn_of_logs(&joined, logs, plan.tone(), self.common.is_quiet);
        Some(joined)
    }

    fn warn(&self, run: &CausalRun<'_>) {
        let n = run.n_left_out();
        if n > 0 && !self.common.is_quiet {
            say(&format!(
                "warning: {n} of the inputs have no place on the common time line and are left out"
            ));
        }
    }

    /// A table with as many rows as a person asked for.
    fn cut(&self, table: Table, n_inputs: usize) -> Table {
        match table.key {
            "issues" if self.choice.is_default() => over_inputs::together(table, n_inputs),
            "verdict" => verdict_summary(table),
            "findings" | "critical_path" | "bounds" | "predicted_stages" | "changes" | "replay"
            | "doubts" | "inputs" | "issues" => table.for_people(),
            _ => table.for_people().top(self.choice.top()),
        }
    }
}

/// # Errors
///
/// Inputs of several runs: nothing waits across them.
pub(super) fn refuse_several_runs(together: &Together) -> Result<(), Hinted> {
    crate::ask::refuse_several_runs(together).map_err(|error| Hinted {
        what: error.to_string(),
        hint: format!("{}; --one-run takes all as one", SeveralRuns::HINT),
    })
}

/// Runs `critical-path`.
pub(super) fn critical_path(args: &CriticalPathArgs) -> anyhow::Result<Outcome> {
    let plan = CausalPlan::of((&args.causal, &args.logs), &args.table, PathRow::SPEC)?;
    let shows_all = args.causal.top == 0;
    plan.run(|plan, run| {
        let report = run.critical_path_report();
        let view = |source: &Source<'_>| match source.key {
            "critical_path" if !shows_all => report.brief_path(),
            _ => report.view(source),
        };
        let cut = |table: Table| plan.cut(table, report.inputs.len());
        rendered(&plan.common, &plan.choice, &report, &report.tables(), view, cut)
    })
}

/// Runs `what-if`.
pub(super) fn what_if(args: &WhatIfArgs) -> anyhow::Result<Outcome> {
    let asked = args.changes.all();
    let csv_table = if asked.is_empty() { BoundRow::SPEC } else { StageRow::SPEC };
    let plan = CausalPlan::of((&args.causal, &args.logs), &args.table, csv_table)?;
    plan.run(|plan, run| {
        let report = run.what_if_report(&asked);
        refuse_untouched(&asked, &report.changes)?;
        let view = |source: &Source<'_>| Table::view(&source.table());
        let cut = |table: Table| plan.cut(table, report.inputs.len());
        rendered(&plan.common, &plan.choice, &report, &report.tables(), view, cut)
    })
}

/// # Errors
///
/// A change that changes nothing: most likely its name is wrong.
fn refuse_untouched(asked: &[Asked], changes: &[ChangeRow]) -> Result<(), Hinted> {
    match asked.iter().zip(changes).find(|(_, row)| row.n_nodes == 0) {
        None => Ok(()),
        Some((asked, row)) => {
            let hint = if asked.change.is_of_class() {
                "no time of that kind is in the inputs, so that it would change nothing; `omni-trace what-if` without options lists what there is"
            } else {
                "names are patterns: `*` stands for any text; `omni-trace analyze --table kernels,components` shows names"
            };
            let what = format!("`{}` is about nothing that was recorded", row.change);
            Err(Hinted { what, hint: hint.to_owned() })
        }
    }
}
