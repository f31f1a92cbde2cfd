//! Inputs analyzed, each on its own and all together.

use rayon::prelude::*;

use super::causal::refuse_several_runs;
use super::one_input::wants_blame;
use super::reduce::{Reduced, blame_of, compare};
use super::{CausalRun, Digest, InputAnswers, Question, inputs as rows, joined_with};
use crate::align::Together;
use crate::analyze::across::{Across, AcrossNeeds};
use crate::analyze::blame::Blame;
use crate::analyze::joined::{JoinConfig, Joined};
use crate::analyze::modules::{LayerRow, Modules, NnModuleRow, Seen, modules};
use crate::analyze::window::Windows;
use crate::causal::findings::FindingRow;
use crate::diag::Reporter;
use crate::diag::timings::timed;
use crate::read::Input;
use crate::read::logs::LogInput;
use crate::schema::Row as _;
use crate::table::{AnalyzeReport, Findings};

/// What the analyses said of each input on its own.
struct Each<'a> {
    results: Vec<InputAnswers>,
    /// What is compared between them.
    compared: Vec<Across>,
    /// What they tell of modules, where a table shows them.
    seen: Vec<Seen<'a>>,
    diags: Vec<Reporter>,
}

impl<'a> Each<'a> {
    /// Asks every analysis that the question needs, and notes in the inputs' issues what was found odd.
    fn of(question: &Question, inputs: &'a [Input], is_alone: bool) -> Self {
        let needs = AcrossNeeds { is_alone, busy: !is_alone && wants_blame(question) };
        let needs_modules = question.needs(&[NnModuleRow::SPEC, LayerRow::SPEC]);
        let of_input = |(number, input): (usize, &'a Input)| {
            let results = InputAnswers::of(question, number, input);
            let (store, base) = (&input.store, &results.base);
            let across = || Across::of(store, &input.identity, base, needs);
            let seen = || needs_modules.then(|| Seen::of(store, base));
            let (across, seen) = rayon::join(
                || timed("analyze: what is compared", across),
                || timed("analyze: modules seen", seen),
            );
            let mut diag = rows::with_findings(input, base, results.key_averages.as_ref());
            rows::report_snapshot(&results.memory_events, base, &mut diag);
            ((results, across), (seen, diag))
        };
        let each: Vec<_> = inputs.par_iter().enumerate().map(of_input).collect();
        let ((results, compared), (seen, diags)): ((_, _), (Vec<_>, _)) = each.into_iter().unzip();
        Self { results, compared, seen: seen.into_iter().flatten().collect(), diags }
    }
}

/// What is told of each input, and of the modules of all of them. A trace of a graph's capture names the kernels of its replay in
/// another input: what is looked at are the inputs that are read together.
struct Told {
    results: Vec<InputAnswers>,
    compared: Vec<Across>,
    diags: Vec<Reporter>,
    modules: Modules,
}

impl Told {
    /// The inputs without their events.
    fn into_digests(self, inputs: &[Input]) -> Vec<Digest> {
        let parts = self.results.into_par_iter().zip(self.compared).enumerate();
        let digest = |(number, results): (usize, (InputAnswers, Across))| {
            let (input, diag) = (&inputs[number], &self.diags[number]);
            Digest::of(number, (input, diag), results)
        };
        let mut digests: Vec<Digest> = timed("analyze: digests", || parts.map(digest).collect());
        let Modules { modules, layers, .. } = self.modules;
        modules.into_iter().for_each(|row| digests[row.input].rows.modules.push(row));
        layers.into_iter().for_each(|row| digests[row.input].rows.layers.push(row));
        digests
    }
}

/// The inputs without their events, as they are carried to where all are answered together.
pub fn digests(question: &Question, inputs: &[Input]) -> Vec<Digest> {
    let Each { results, compared, seen, diags } = Each::of(question, inputs, false);
    let modules = timed("analyze: modules", || modules(seen));
    Told { results, compared, diags, modules }.into_digests(inputs)
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
        let Each { results, compared, seen, diags } = Each::of(question, inputs, inputs.len() == 1);
        let parts = inputs.iter().zip(&compared);
        let parts: Vec<_> =
            parts.map(|(input, across)| (input.path.as_path(), &input.identity, across)).collect();
        let compare = || {
            let together = timed("analyze: match inputs", || compare(&parts, question.is_one_run));
            let blame = || timed("analyze: blame", || blame_of(&parts, &together));
            let across = wants_blame(question).then(blame).flatten();
            (together, across)
        };
        let ((together, across), modules) =
            rayon::join(compare, || timed("analyze: modules", || modules(seen)));
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
        let told = Told { results, compared, diags, modules };
        let digests = told.into_digests(inputs);
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
