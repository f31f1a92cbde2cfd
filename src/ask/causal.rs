//! The causal graph of a run, and the reports of the critical path and of what a change would bring.

use std::collections::BTreeMap;

use super::inputs;
use super::one_input::compared;
use crate::align::Together;
use crate::analyze::base::TimeBase;
use crate::analyze::clock::{Placed, Placement, placements};
use crate::analyze::iterations::iterations;
use crate::analyze::joined::{Joined, JoinedRequestRow};
use crate::analyze::percent;
use crate::analyze::steady::after_warmup;
use crate::analyze::trust::{TrustKind, trust};
use crate::analyze::units::{InputUnits, PathNs, unit_spans};
use crate::causal::account::{iteration_rows, path_rows, request_rows, slack_rows, step_rows};
use crate::causal::bounds::{bound_rows, change_rows, predict, predicted_rows, stage_rows};
use crate::causal::explained::{doubt_rows, replay_rows};
use crate::causal::findings::{Allowed, FindingRow, finding_rows};
use crate::causal::path::{Piece, path, slack};
use crate::causal::replay::{Changes, Replay};
use crate::causal::rows::PathIterationRow;
use crate::causal::whatif::Asked;
use crate::causal::{CausalInput, Graph, Measure, Subject, Told};
use crate::diag::Severity;
use crate::diag::timings::timed;
use crate::model::Role;
use crate::read::Input;
use crate::table::causal::{CriticalPathReport, PredictionCells, WhatIfReport, WholeCells};
use crate::table::verdict::{VerdictRow, verdict_of_path};
use crate::table::{Findings, InputRow, IssueRow, SCHEMA_VERSION};

/// Adds to the units of the inputs of a run what its critical path was in meanwhile. `units` are those of the inputs, in order;
/// nothing is added where the inputs are of several runs.
pub fn add_paths(inputs: &[Input], bases: &[&TimeBase], units: &mut [InputUnits]) {
    let together = compared(inputs, bases, false);
    if refuse_several_runs(&together).is_err() {
        return;
    }
    let run = CausalRun::of(inputs, bases, &together, None);
    for row in run.unchanged().iterations {
        let of_input = units.get_mut(row.input);
        let unit = of_input.and_then(|input| input.units.get_mut(row.iteration as usize));
        let Some(unit) = unit.filter(|unit| unit.dur_ns == row.dur_ns) else { continue };
        unit.path = Some(PathNs {
            host: row.host_ns,
            waits: row.wait_ns,
            kernels: row.kernel_ns,
            comm: row.comm_ns,
            copies: row.copy_ns,
            gaps: row.gap_ns,
            outside: row.outside_ns,
        });
    }
}

/// The inputs are of so many runs: what waits for what has no answer across them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the inputs are of {0} runs, which do not wait for each other")]
pub struct SeveralRuns(pub usize);

impl SeveralRuns {
    /// What to do.
    pub const HINT: &'static str = "name the files of one run";
}

/// # Errors
///
/// Inputs of several runs.
pub fn refuse_several_runs(together: &Together) -> Result<(), SeveralRuns> {
    match together.n_runs() {
        0 | 1 => Ok(()),
        n => Err(SeveralRuns(n)),
    }
}

/// The graph played without a change: what every answer about the recorded run begins with.
struct Unchanged {
    replay: Replay,
    pieces: Vec<Piece>,
    /// The path by iteration.
    iterations: Vec<PathIterationRow>,
}

/// The inputs of one run as one graph.
pub struct CausalRun<'a> {
    inputs: Vec<CausalInput<'a>>,
    graph: Graph,
    /// What the checks of each of them allow.
    allowed: Vec<Allowed>,
    rows: Vec<InputRow>,
    issues: Vec<IssueRow>,
    /// Requests of its logs.
    requests: &'a [JoinedRequestRow],
}

impl<'a> CausalRun<'a> {
    /// Builds it. Where some inputs have a place on the common time line, those without one are left out.
    /// `joined` are logs of the run.
    pub fn of(
        inputs: &'a [Input],
        bases: &[&'a TimeBase],
        together: &Together,
        joined: Option<&'a Joined>,
    ) -> Self {
        let placed = placements(&together.alignment);
        let is_any_placed = placed.iter().any(|one| one.placement != Placement::None);
        let takes_part = |at: usize| match is_any_placed {
            true => placed[at].placement != Placement::None,
            false => at == 0,
        };
        let numbers: Vec<usize> = (0..inputs.len()).filter(|&at| takes_part(at)).collect();
        let causal: Vec<CausalInput<'a>> = numbers
            .iter()
            .map(|&at| causal_input(at, &inputs[at], bases[at], &placed[at]))
            .collect();
        let requests = joined.map_or(&[][..], |joined| &joined.joined_requests);
        let told = told(requests, &numbers, &causal);
        let mut graph = timed("causal: graph", || Graph::of(&causal, &together.matched, &told));
        graph.doubts.n_unplaced_inputs = (inputs.len() - numbers.len()) as u64;
        let each = || inputs.iter().zip(bases).enumerate();
        let row = |(at, (input, base)): (usize, (&Input, &&TimeBase))| InputRow {
            run: together.runs[at],
            ..inputs::input(at, input, &input.diag, &base.windows)
        };
        let issues = each().flat_map(|(at, (input, _))| inputs::issues(at, &input.diag));
        let allowed = numbers.iter().map(|&at| allowed(&inputs[at], bases[at])).collect();
        Self {
            allowed,
            rows: each().map(row).collect(),
            issues: issues.collect(),
            inputs: causal,
            graph,
            requests,
        }
    }

    /// Inputs that are left out, as nothing tells where they lie on the common time line.
    pub fn n_left_out(&self) -> usize {
        self.rows.len() - self.inputs.len()
    }

    /// The graph with its inputs.
    pub fn subject(&self) -> Subject<'_> {
        Subject { graph: &self.graph, inputs: &self.inputs }
    }

    fn unchanged(&self) -> Unchanged {
        let replay = timed("causal: replay", || Replay::of(&self.graph, &Changes::default()));
        let pieces = timed("causal: path", || path(&self.graph, &replay));
        let iterations = iteration_rows(&self.subject(), &pieces);
        Unchanged { replay, pieces, iterations }
    }

    /// What bounds the run, and the requests of its logs, where there are some.
    pub fn critical_path_report(self) -> CriticalPathReport {
        let subject = self.subject();
        let unchanged = self.unchanged();
        let findings = self.findings_of(&unchanged);
        let Unchanged { replay, pieces, iterations } = unchanged;
        let slack = timed("causal: slack", || slack(&self.graph, &replay));
        let mut report = CriticalPathReport {
            verdict: Vec::new(),
            findings,
            n_untrusted: self.n_untrusted(),
            schema_version: SCHEMA_VERSION,
            command: "critical-path",
            window_ns: self.graph.end_ns - self.graph.start_ns,
            critical_path: path_rows(&subject, &pieces),
            path_iterations: iterations,
            path_requests: request_rows(&subject, &pieces, self.requests),
            slack: timed("causal: slack rows", || slack_rows(&subject, &pieces, &slack)),
            path_steps: step_rows(&subject, &pieces),
            replay: replay_rows(&subject, &replay),
            doubts: doubt_rows(&self.graph),
            inputs: self.rows,
            issues: self.issues,
        };
        report.verdict = VerdictRow::of(vec![verdict_of_path(&report)]);
        report
    }

    /// What to do about the run, and what it would bring.
    pub(super) fn findings(&self) -> Findings {
        let rows = self.findings_of(&self.unchanged());
        Findings { rows, n_untrusted: self.n_untrusted(), n_left_out: self.n_left_out() as u64 }
    }

    fn findings_of(&self, unchanged: &Unchanged) -> Vec<FindingRow> {
        let subject = self.subject();
        let measure = subject.measure(&unchanged.replay);
        timed("causal: findings", || {
            let of = (&measure, &unchanged.iterations[..]);
            finding_rows(&subject, &unchanged.pieces, of, &self.allowed)
        })
    }

    /// Inputs whose checks leave findings out.
    fn n_untrusted(&self) -> u64 {
        let is_untrusted = |one: &&Allowed| !(one.host && one.device);
        self.allowed.iter().filter(is_untrusted).count() as u64
    }

    /// What some changes would bring; with none, what each thing would bring at most.
    pub fn what_if_report(self, asked: &[Asked]) -> WhatIfReport {
        let subject = self.subject();
        let null = timed("causal: replay", || Replay::of(&self.graph, &Changes::default()));
        let replay = replay_rows(&subject, &null);
        let unchanged = subject.measure(&null);
        drop(null);
        let wanted: Vec<_> = asked.iter().map(|one| one.change.clone()).collect();
        let changed = timed("causal: predict", || predict(&subject, &subject.changes(&wanted)));
        let bounds = match asked.is_empty() {
            true => timed("causal: bounds", || bound_rows(&subject, &unchanged)),
            false => Vec::new(),
        };
        let recorded = self.recorded(&unchanged);
        let recorded_ns = self.graph.end_ns - self.graph.start_ns;
        WhatIfReport {
            schema_version: SCHEMA_VERSION,
            command: "what-if",
            prediction: prediction(&subject, &recorded, &changed.measure),
            whole: WholeCells { recorded_ns, predicted_ns: changed.measure.whole_ns },
            drift_pct: percent(unchanged.whole_ns - recorded_ns, recorded_ns),
            assumes: subject.assumptions(&wanted),
            next_bound: changed.next_bound.map(|what| what.as_str()),
            changes: change_rows(&subject, asked),
            predicted_stages: stage_rows(&subject, &recorded, &changed.measure),
            predicted_iterations: predicted_rows(&subject, &recorded, &changed.measure),
            bounds,
            replay,
            doubts: doubt_rows(&self.graph),
            inputs: self.rows,
            issues: self.issues,
        }
    }

    /// The unchanged replay with the units as the annotations say, not as they were replayed.
    fn recorded(&self, unchanged: &Measure) -> Measure {
        let mut recorded = unchanged.clone();
        for (input, measure) in self.inputs.iter().zip(&mut recorded.inputs) {
            let spans = input.units.units.iter().map(|unit| unit.span.len_ns());
            if input.units.scheme.is_some() {
                measure.units = spans.collect();
            }
        }
        recorded
    }
}

/// What the checks of an input allow to say about it.
fn allowed(input: &Input, base: &TimeBase) -> Allowed {
    let panel = trust(&input.store, base, &input.diag);
    let doubts =
        |kinds: &[TrustKind]| panel.iter().any(|line| line.is_doubt && kinds.contains(&line.check));
    let is_lost = panel.iter().any(|line| {
        line.check == TrustKind::LostEvents
            && line.count.is_some_and(|count| count > 0)
            && line.severity >= Severity::DataLoss
    });
    let host = !is_lost && !doubts(&[TrustKind::Duplicates, TrustKind::EmptyStart]);
    let of_device = [
        TrustKind::Causality,
        TrustKind::LinkMismatch,
        TrustKind::DeviceWorkMissing,
        TrustKind::ActivityWithoutLaunch,
    ];
    Allowed { host, device: host && !doubts(&of_device) }
}

/// From which input each request came, by the logs: where a stage began with it after the stage before was done.
fn told(requests: &[JoinedRequestRow], numbers: &[usize], inputs: &[CausalInput<'_>]) -> Vec<Told> {
    let placed = |number: usize| {
        numbers.binary_search(&number).ok().filter(|&index| inputs[index].is_placed)
    };
    let end_ns = |row: &JoinedRequestRow| row.start_unix_ns.saturating_add(row.generation_ns);
    let mut by_stage: BTreeMap<(usize, &str, u32), Vec<&JoinedRequestRow>> = BTreeMap::new();
    for row in requests {
        if let Some(stage) = row.stage {
            by_stage.entry((row.run, &row.request, stage)).or_default().push(row);
        }
    }
    let mut found = Vec::new();
    for to in requests {
        let before = to.stage.and_then(|stage| stage.checked_sub(1));
        let Some(rows) =
            before.and_then(|stage| by_stage.get(&(to.run, to.request.as_str(), stage)))
        else {
            continue;
        };
        let error_ns = |from: &JoinedRequestRow| from.error_ns.max(to.error_ns);
        let is_over = |from: &&&JoinedRequestRow| {
            end_ns(from) <= to.start_unix_ns.saturating_add(2 * error_ns(from))
        };
        let Some(from) = rows.iter().filter(is_over).max_by_key(|from| end_ns(from)) else {
            continue;
        };
        found.extend(placed(from.input).zip(placed(to.input)).map(|(sender, receiver)| Told {
            from: sender,
            to: receiver,
            sent_ns: end_ns(from),
            begun_ns: to.start_unix_ns,
            error_ns: error_ns(from),
        }));
    }
    found
}

fn causal_input<'a>(
    number: usize,
    input: &'a Input,
    base: &'a TimeBase,
    placed: &Placed,
) -> CausalInput<'a> {
    let iterations = iterations(&input.store, base).rows;
    let units = unit_spans(&iterations, base);
    let is_placed = placed.placement != Placement::None;
    CausalInput {
        number,
        label: input.identity.label(),
        stage: input.identity.stage,
        replica: input.identity.replica,
        is_front_end: input.identity.role == Role::FrontEnd,
        store: &input.store,
        base,
        is_steady: after_warmup(&units),
        units,
        iterations,
        offset_ns: if is_placed { placed.offset_ns } else { 0 },
        is_placed,
    }
}

/// The median unit of the main input before and after.
fn prediction(
    subject: &Subject<'_>,
    recorded: &Measure,
    changed: &Measure,
) -> Option<PredictionCells> {
    let main = subject.main_input();
    let (was, is) = (recorded.inputs.get(main)?, changed.inputs.get(main)?);
    Some(PredictionCells {
        unit: subject.unit_of(main),
        count: was.units.len() as u64,
        recorded_median_ns: was.median_ns()?,
        predicted_median_ns: is.median_ns()?,
        input: subject.inputs[main].number,
    })
}
