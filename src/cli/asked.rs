//! The words of a command as another program asks them: inputs read and questions answered, nothing written and nothing said.
//!
//! For bindings to other languages: `analyze`, `bandwidth` and `stages` with their options, and the same errors.

use std::ffi::OsString;
use std::sync::Arc;

use clap::FromArgMatches as _;

use super::args::{Args, Command};
use super::cmd_analyze;
use super::cmd_bandwidth::{BandwidthPlan, CopiesPlan};
use super::cmd_stages::StagesPlan;
use super::interval::refuse_outside;
use super::log_plan::LogPlan;
use super::plan::{AnalyzePlan, CommonPlan};
use super::reading::{read_logs, read_traces};
use super::run::{LOST, LOST_HINT, Outcome, hint, message};
use super::session::{in_pool, outcome};
use super::{help, usage};
use crate::analyze::copies::CopiesConfig;
use crate::ask::{Of, Question, TableInfo, Traces, Wanted, stages_report};
use crate::diag::Reporter;
use crate::read::logs::LogInput;
use crate::read::{Inputs, Progress, ReadError};
use crate::render::json;
use crate::schema::{Source, Table};
use crate::table::{AnalyzeReport, BandwidthReport};

/// What is said of an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// What is the matter.
    pub trouble: Trouble,
    /// What failed, on which file.
    pub what: String,
    /// What to do, where that is known.
    pub hint: Option<String>,
}

/// What is the matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The words cannot be meant.
    Usage,
    /// An input cannot be read.
    Input,
    /// Data of an input was lost, and that was to be an error.
    Lost,
    /// Anything else.
    Other,
}

impl From<anyhow::Error> for Told {
    fn from(error: anyhow::Error) -> Self {
        let is_input = error.downcast_ref::<ReadError>().is_some();
        let trouble = if is_input { Trouble::Input } else { Trouble::Other };
        Self { trouble, what: message(&error), hint: hint(&error) }
    }
}

/// Inputs that were read, and what is asked of them.
pub struct Asked {
    command: &'static str,
    common: CommonPlan,
    question: Question,
    copies: CopiesPlan,
    traces: Traces,
    logs: Vec<LogInput>,
}

impl Asked {
    /// Reads what the words of a command name, the command first. `progress` is counted up; cancelling it ends the reading.
    ///
    /// # Errors
    ///
    /// What the command line says of the same words.
    pub fn read(words: Vec<OsString>, progress: Arc<Progress>) -> Result<Self, Told> {
        let words: Vec<OsString> = std::iter::once("omni-trace".into()).chain(words).collect();
        let asked = match parsed(&words)? {
            Command::Analyze(args) => Self::of_analyze(AnalyzePlan::of(&args)?, progress),
            Command::Bandwidth(args) => Self::of_bandwidth(BandwidthPlan::of(&args)?, progress),
            Command::Stages(args) => Self::of_stages(StagesPlan::of(&args)?, progress),
            _ => Err(anyhow::anyhow!("only analyze, bandwidth and stages can be asked")),
        }?;
        asked.refuse_lost()?;
        Ok(asked)
    }

    fn of_analyze(plan: AnalyzePlan, progress: Arc<Progress>) -> anyhow::Result<Self> {
        let AnalyzePlan { common, inputs, question, window, logs, .. } = plan;
        let (time, is_one_run) = (question.time.clone(), question.is_one_run);
        let copies = CopiesPlan { time, copies: CopiesConfig::default(), logs, is_one_run, window };
        Self::of_traces("analyze", common, question, copies, (&inputs, progress))
    }

    fn of_bandwidth(plan: BandwidthPlan, progress: Arc<Progress>) -> anyhow::Result<Self> {
        let BandwidthPlan { common, inputs, copies, .. } = plan;
        let (time, is_one_run) = (copies.time.clone(), copies.is_one_run);
        let question = Question { time, is_one_run, ..Question::default() };
        Self::of_traces("bandwidth", common, question, copies, (&inputs, progress))
    }

    fn of_traces(
        command: &'static str,
        common: CommonPlan,
        question: Question,
        copies: CopiesPlan,
        (inputs, progress): (&Inputs, Arc<Progress>),
    ) -> anyhow::Result<Self> {
        let common = common.unheard(progress);
        let read = || {
            let logs = LogPlan::read(copies.logs.as_ref(), &common)?;
            Ok((Traces::of(read_traces(inputs, &common)?), logs))
        };
        let (traces, logs) = in_pool(common.read.threads, read)?;
        Ok(Self { command, common, question, copies, traces, logs })
    }

    fn of_stages(plan: StagesPlan, progress: Arc<Progress>) -> anyhow::Result<Self> {
        let common = plan.common.unheard(progress);
        let read = || read_logs(&plan.inputs, &common);
        let logs = in_pool(common.read.threads, read)?;
        let (question, copies) = <(Question, CopiesPlan)>::default();
        let traces = Traces::of(Vec::new());
        Ok(Self { command: STAGES, common, question, copies, traces, logs })
    }

    /// # Errors
    ///
    /// Lost data under `--strict`.
    fn refuse_lost(&self) -> Result<(), Told> {
        let traces = self.traces.inputs().iter().map(|input| &input.diag);
        let diags: Vec<&Reporter> = traces.chain(self.logs.iter().map(|log| &log.diag)).collect();
        if outcome(self.common.sorting(), diags.into_iter(), None) == Outcome::DataLost {
            let (what, hint) = (LOST.to_owned(), Some(LOST_HINT.to_owned()));
            return Err(Told { trouble: Trouble::Lost, what, hint });
        }
        Ok(())
    }

    /// The command.
    pub fn command(&self) -> &'static str {
        self.command
    }

    /// Whether the inputs answer a table: traces all but those of logs, logs no other.
    pub fn answers(&self, info: &TableInfo) -> bool {
        (self.command == STAGES) == (info.of == Of::Stages)
    }

    /// A table of what was recorded, of which no column is made yet; `None` for any other.
    pub fn recorded(&self, info: &TableInfo) -> Option<Source<'_>> {
        let is_recorded = info.of == Of::Events && self.answers(info);
        is_recorded.then(|| self.traces.source(&info.name, &self.question))?
    }

    /// A table, made.
    ///
    /// # Errors
    ///
    /// What the command line says of the same question.
    pub fn table(&self, info: &TableInfo) -> Result<Table, Told> {
        let made = in_pool(self.common.read.threads, || {
            Ok(match info.of {
                Of::Events => self.recorded(info).map(|source| source.table()),
                Of::Analyze => self.analyze(Wanted::with_sources(vec![info.spec]))?.table(info.key),
                Of::Bandwidth => self.bandwidth()?.table(info.key),
                Of::Stages => {
                    let report = stages_report(&self.logs);
                    let sources = report.tables();
                    sources.iter().find(|source| source.key == info.key).map(Source::table)
                }
            })
        })?;
        made.ok_or_else(|| {
            let what = format!("`{}` answers no table `{}`", self.command, info.name);
            Told { trouble: Trouble::Other, what, hint: None }
        })
    }

    /// What the command gives in the format of machines.
    ///
    /// # Errors
    ///
    /// As [`Asked::table`].
    pub fn json(&self) -> Result<String, Told> {
        let text = in_pool(self.common.read.threads, || {
            Ok(match self.command {
                "analyze" => json::document(&self.analyze(Wanted::All)?)?,
                "bandwidth" => json::document(&self.bandwidth()?)?,
                _ => json::document(&stages_report(&self.logs))?,
            })
        });
        Ok(text?)
    }

    fn analyze(&self, wanted: Wanted) -> anyhow::Result<AnalyzeReport> {
        let question = Question { wanted, ..self.question.clone() };
        let logs = (self.copies.logs.as_ref(), &self.logs[..]);
        let answers = cmd_analyze::answers(&self.common, &question, self.traces.inputs(), logs);
        cmd_analyze::refuse_unanswered(&question, &answers)?;
        refuse_outside(self.copies.window, answers.windows().map(|windows| windows.whole))?;
        Ok(answers.into_report(&question, self.traces.inputs()))
    }

    fn bandwidth(&self) -> anyhow::Result<BandwidthReport> {
        self.copies.report(&self.common, self.traces.inputs(), &self.logs)
    }
}

/// The command that reads logs.
const STAGES: &str = "stages";

/// # Errors
///
/// Words that cannot be meant.
fn parsed(words: &[OsString]) -> Result<Command, Told> {
    let matches = help::command().try_get_matches_from(words);
    let args = matches.and_then(|matches| Args::from_arg_matches(&matches));
    args.map(|args| args.command).map_err(|error| {
        let (what, hint) = usage::told_of(&error, words);
        Told { trouble: Trouble::Usage, what, hint: Some(hint) }
    })
}
