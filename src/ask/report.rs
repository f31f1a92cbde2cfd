//! Inputs analyzed, each on its own and all together.

use rayon::prelude::*;

use super::causal::refuse_several_runs;
use super::one_input::{across_of, wants_blame};
use super::reduce::{Reduced, blame_of, compare};
use super::{CausalRun, Digest, InputAnswers, Question, inputs as rows, joined_with};
use crate::align::Together;
use crate::analyze::across::{Across, AcrossNeeds};
use crate::analyze::base::TimeBase;
use crate::analyze::blame::Blame;
use crate::analyze::joined::{JoinConfig, Joined};
use crate::analyze::modules::{LayerRow, Modules, NnModuleRow, modules};
use crate::analyze::window::Windows;
use crate::causal::findings::FindingRow;
use crate::diag::Reporter;
use crate::diag::timings::timed;
use crate::read::Input;
use crate::read::logs::LogInput;
use crate::schema::Row as _;
use crate::table::{AnalyzeReport, Findings};

/// What the analyses said of each input on its own.
struct Each {
    results: Vec<InputAnswers>,
    /// What is compared between them.
    compared: Vec<Across>,
    diags: Vec<Reporter>,
    /// Of all inputs.
    modules: Modules,
}

impl Each {
    /// Asks every analysis that the question needs, and notes in the inputs' issues what was found odd.
    fn of(question: &Question, inputs: &[Input], is_alone: bool) -> Self {
        let results: Vec<InputAnswers> = inputs
            .par_iter()
            .enumerate()
            .map(|(i, input)| InputAnswers::of(question, i, input))
            .collect();
        let bases: Vec<_> = results.iter().map(|one| &one.base).collect();
        let needs = AcrossNeeds { is_alone, busy: !is_alone && wants_blame(question) };
        let (compared, modules) = rayon::join(
            || timed("analyze: what is compared", || across_of(inputs, &bases, needs)),
            || timed("analyze: modules", || modules_of(question, inputs, &bases)),
        );
        let with_findings = |(input, results): (_, &InputAnswers)| {
            let averages = results.key_averages.as_ref();
            let mut diag = rows::with_findings(input, &results.base, averages);
            rows::report_snapshot(&results.memory_events, &results.base, &mut diag);
            diag
        };
        let diags = inputs.iter().zip(&results).map(with_findings).collect();
        Self { results, compared, diags, modules }
    }

    /// The inputs without their events.
    fn into_digests(self, question: &Question, inputs: &[Input]) -> Vec<Digest> {
        let parts = self.results.into_par_iter().zip(self.compared).enumerate();
        let digest = |(number, results): (usize, (InputAnswers, Across))| {
            let (input, diag) = (&inputs[number], &self.diags[number]);
            Digest::of(question, number, (input, diag), results)
        };
        let mut digests: Vec<Digest> = parts.map(digest).collect();
        let Modules { modules, layers, .. } = self.modules;
        modules.into_iter().for_each(|row| digests[row.input].rows.modules.push(row));
        layers.into_iter().for_each(|row| digests[row.input].rows.layers.push(row));
        digests
    }
}

/// Modules and layers. A trace of a graph's capture names the kernels of its replay in another input: what is looked at
/// here are the inputs that are read together.
fn modules_of(question: &Question, inputs: &[Input], bases: &[&TimeBase]) -> Modules {
    if !question.needs(&[NnModuleRow::SPEC, LayerRow::SPEC]) {
        return Modules::default();
    }
    let stores = inputs.iter().map(|input| &input.store);
    let seen: Vec<_> = stores.zip(bases.iter().copied()).collect();
    modules(&seen)
}

/// The inputs without their events, as they are carried to where all are answered together.
pub fn digests(question: &Question, inputs: &[Input]) -> Vec<Digest> {
    Each::of(question, inputs, false).into_digests(question, inputs)
}

/// What all analyses said.
pub struct Answers {
    /// Of each input.
    pub results: Vec<InputAnswers>,
    /// What the inputs are to each other: runs, shared collectives, clocks.
    pub together: Together,
    /// Of all of them; `None` for a single one, and where no table shows it.
    pub across: Option<Blame>,
    /// The logs joined with the inputs; `None` where no logs were given.
    pub joined: Option<Joined>,
    /// What was odd or lost in each input, with what the analyses found worth knowing.
    pub diags: Vec<Reporter>,
    /// What is compared between them.
    compared: Vec<Across>,
    modules: Modules,
}

impl Answers {
    /// Asks every analysis that the question needs, of each input and of all together.
    pub fn of(question: &Question, inputs: &[Input]) -> Self {
        let Each { results, compared, diags, modules } =
            Each::of(question, inputs, inputs.len() == 1);
        let parts = inputs.iter().zip(&compared);
        let parts: Vec<_> =
            parts.map(|(input, across)| (input.path.as_path(), &input.identity, across)).collect();
        let together = timed("analyze: match inputs", || compare(&parts, question.is_one_run));
        let across = wants_blame(question).then(|| blame_of(&parts, &together)).flatten();
        Self { results, together, across, joined: None, compared, modules, diags }
    }

    /// The windows of the inputs.
    pub fn windows(&self) -> impl Iterator<Item = &Windows> {
        self.results.iter().map(|one| &one.base.windows)
    }

    /// With the logs of the same run, joined with the inputs.
    #[must_use]
    pub fn with_logs(mut self, inputs: &[Input], logs: &[LogInput], config: JoinConfig) -> Self {
        let bases: Vec<_> = self.results.iter().map(|one| &one.base).collect();
        self.joined = Some(joined_with(inputs, &bases, &self.together, logs, config));
        self
    }

    /// The results as one report, in the order of the inputs.
    pub fn into_report(self, question: &Question, inputs: &[Input]) -> AnalyzeReport {
        let findings = question.asks_for(FindingRow::SPEC).then(|| self.findings(inputs));
        let Self { results, together, across, joined, diags, compared, modules } = self;
        let each = Each { results, compared, diags, modules };
        let digests = each.into_digests(question, inputs);
        let reduced = Reduced { digests, together, across, joined, among: None };
        AnalyzeReport { findings, ..reduced.into_report(question) }
    }

    /// What to do about the inputs. Nothing waits across runs: of several there is nothing to say.
    fn findings(&self, inputs: &[Input]) -> Findings {
        if refuse_several_runs(&self.together).is_err() {
            return Findings::default();
        }
        let bases: Vec<_> = self.results.iter().map(|one| &one.base).collect();
        CausalRun::of(inputs, &bases, &self.together, self.joined.as_ref()).findings()
    }
}
