//! The machine output of `critical-path` and `what-if`, and the tables that people see of it.

use serde::Serialize;

use super::verdict::{VerdictRow, verdict_view};
use super::{InputRow, IssueRow, Table};
use crate::causal::findings::FindingRow;
use crate::causal::rows::{
    BoundRow, By, ChangeRow, DoubtRow, PathIterationRow, PathRequestRow, PathRow, PredictedRow,
    ReplayRow, SlackRow, StageRow, StepRow, UnitOf,
};
use crate::schema::{self, Shown, Source};

/// Everything that `critical-path` found.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct CriticalPathReport {
    /// [`super::SCHEMA_VERSION`].
    pub schema_version: u32,
    /// `critical-path`.
    pub command: &'static str,
    /// Inputs, in the order given or found.
    pub inputs: Vec<InputRow>,
    /// From the first start to the last end over all inputs.
    pub window_ns: i64,
    /// What it comes to.
    pub verdict: Vec<VerdictRow>,
    /// What to do about it.
    pub findings: Vec<FindingRow>,
    /// Inputs whose checks leave findings out.
    pub n_untrusted: u64,
    /// The path by class, edge, input, kernel and operator.
    pub critical_path: Vec<PathRow>,
    /// The path by iteration.
    pub path_iterations: Vec<PathIterationRow>,
    /// The path by request of the logs.
    pub path_requests: Vec<PathRequestRow>,
    /// What could be slower.
    pub slack: Vec<SlackRow>,
    /// The path step by step.
    pub path_steps: Vec<StepRow>,
    /// How far the graph explains what was recorded, by input.
    pub replay: Vec<ReplayRow>,
    /// What may be wrong.
    pub doubts: Vec<DoubtRow>,
    /// What was odd, by input.
    pub issues: Vec<IssueRow>,
}

/// Rows of each way to tell the path apart that people see.
const TOP_PARTS: usize = 10;

impl CriticalPathReport {
    /// The tables, in the order of reading.
    pub fn tables(&self) -> Vec<Source<'_>> {
        vec![
            Source::of(&self.verdict),
            Source::of(&self.findings),
            Source::of(&self.critical_path),
            Source::of(&self.path_iterations),
            Source::of(&self.path_requests).with(|table| self.without_logs(table)),
            Source::of(&self.slack).with(|table| table.with_note(SLACK)),
            Source::of(&self.path_steps),
            Source::of(&self.replay).with(|table| table.with_note(NECESSARY)),
            Source::of(&self.doubts),
            Source::of(&self.inputs).shown(Shown::Request),
            Source::of(&self.issues).shown(Shown::Request),
        ]
    }

    /// A table as people read it.
    pub fn view(&self, source: &Source<'_>) -> Table {
        match source.key {
            "verdict" => verdict_view(&self.verdict),
            _ => Table::view(&source.table()),
        }
    }

    fn without_logs(&self, table: schema::Table) -> schema::Table {
        if self.path_requests.is_empty() { table.with_note(NO_REQUESTS) } else { table }
    }

    /// The path with the longest parts of each way to tell it apart.
    pub fn brief_path(&self) -> Table {
        let mut shown: Vec<PathRow> = Vec::new();
        let mut n_hidden = 0;
        for by in [By::Class, By::Edge, By::Stage, By::Kernel, By::Operator] {
            let own = self.critical_path.iter().filter(|row| row.by == by);
            n_hidden += own.clone().count().saturating_sub(TOP_PARTS);
            shown.extend(own.take(TOP_PARTS).cloned());
        }
        let table = Table::of(&shown).for_people();
        match n_hidden {
            0 => table,
            n => table.with_note(format!("{n} more rows; --top 0 shows all")),
        }
    }
}

/// The median iteration of the main input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct PredictionCells {
    /// What it is.
    pub unit: UnitOf,
    /// How many there are.
    pub count: u64,
    /// The median as recorded.
    pub recorded_median_ns: i64,
    /// The median with the changes.
    pub predicted_median_ns: i64,
    /// The input that it is of.
    pub input: usize,
}

/// The whole run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct WholeCells {
    /// From the first start to the last end, as recorded.
    pub recorded_ns: i64,
    /// With the changes.
    pub predicted_ns: i64,
}

/// Everything that `what-if` found.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct WhatIfReport {
    /// [`super::SCHEMA_VERSION`].
    pub schema_version: u32,
    /// `what-if`.
    pub command: &'static str,
    /// The median iteration of the main input; `None` where nothing was recorded.
    pub prediction: Option<PredictionCells>,
    /// The whole run.
    pub whole: WholeCells,
    /// By how much an unchanged replay misses the recorded end, of the window.
    pub drift_pct: Option<f64>,
    /// What the prediction assumes, each with what would make it wrong.
    pub assumes: Vec<String>,
    /// What the path of the changed run is mostly spent on.
    pub next_bound: Option<&'static str>,
    /// What is changed.
    pub changes: Vec<ChangeRow>,
    /// What becomes of each input.
    pub predicted_stages: Vec<StageRow>,
    /// Each iteration, recorded and predicted.
    pub predicted_iterations: Vec<PredictedRow>,
    /// What each thing would bring at most; empty where changes were asked for.
    pub bounds: Vec<BoundRow>,
    /// How far the graph explains what was recorded, by input.
    pub replay: Vec<ReplayRow>,
    /// What may be wrong.
    pub doubts: Vec<DoubtRow>,
    /// Inputs, in the order given or found.
    pub inputs: Vec<InputRow>,
    /// What was odd, by input.
    pub issues: Vec<IssueRow>,
}

impl WhatIfReport {
    /// The tables, in the order of reading.
    pub fn tables(&self) -> Vec<Source<'_>> {
        let shown = |is_asked: bool| if is_asked { Shown::Always } else { Shown::Request };
        let is_changed = !self.changes.is_empty();
        vec![
            Source::of(&self.changes),
            Source::of(&self.predicted_stages)
                .shown(shown(is_changed))
                .with(|table| self.with_whole(table)),
            Source::of(&self.predicted_iterations),
            Source::of(&self.bounds).shown(shown(!is_changed)).with(|table| self.assumed(table)),
            Source::of(&self.replay).with(|table| table.with_note(NECESSARY)),
            Source::of(&self.doubts),
            Source::of(&self.inputs).shown(Shown::Request),
            Source::of(&self.issues).shown(Shown::Request),
        ]
    }

    /// The stages with what becomes of the whole, what limits it then, and what is assumed.
    fn with_whole(&self, table: schema::Table) -> schema::Table {
        let table = match self.next_bound {
            Some(bound) => table.with_note(format!("most of the path is then `{bound}`")),
            None => table,
        };
        self.assumed(table)
    }

    fn assumed(&self, table: schema::Table) -> schema::Table {
        self.assumes.iter().fold(table, |table, text| table.with_note(format!("assumes: {text}")))
    }
}

const NO_REQUESTS: &str =
    "no logs tell of requests; --logs names the logs of the pipeline of the same run";
const SLACK: &str =
    "slack is how much later something could begin as recorded without the run ending later";
const NECESSARY: &str = "exact starts and no drift are necessary and no evidence: what edges explain, and what they leave as gaps, is";
