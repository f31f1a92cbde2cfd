//! Logs beside traces: which are read, and what is said of those that cannot be joined.

use std::path::PathBuf;

use super::args::LogArgs;
use super::logs_beside::{logs_beside, read_beside};
use super::plan::CommonPlan;
use super::reading::{find_logs, read_logs};
use super::run::{say, say_later};
use crate::analyze::joined::{ClockSource, JoinConfig, Joined};
use crate::diag::Severity;
use crate::read::Inputs;
use crate::read::logs::LogInput;

/// The logs to join.
#[derive(Debug)]
pub(super) struct LogPlan {
    inputs: Inputs,
    config: JoinConfig,
    /// Whether somebody named the logs; else they lie beside the traces.
    is_named: bool,
}

impl LogPlan {
    /// The logs of the arguments, or those beside the traces; `None` where there are none, or none are wanted.
    pub(super) fn of(
        args: &LogArgs,
        paths: &[PathBuf],
        traces: &Inputs,
    ) -> anyhow::Result<Option<Self>> {
        let config = JoinConfig { zone_ns: args.log_zone };
        if !args.logs.is_empty() {
            return Ok(Some(Self { inputs: find_logs(&args.logs)?, config, is_named: true }));
        }
        if args.no_logs {
            return Ok(None);
        }
        let inputs = logs_beside(paths, traces);
        Ok((!inputs.paths.is_empty()).then_some(Self { inputs, config, is_named: false }))
    }

    /// Reads the logs of a command; none where it was given none.
    pub(super) fn read(plan: Option<&Self>, common: &CommonPlan) -> anyhow::Result<Vec<LogInput>> {
        match plan {
            None => Ok(Vec::new()),
            Some(plan) if plan.is_named => read_logs(&plan.inputs, common),
            Some(plan) => {
                let logs = read_beside(&plan.inputs);
                if !logs.is_empty() && !common.is_quiet {
                    say_beside(&logs);
                }
                Ok(logs)
            }
        }
    }

    /// How the logs are joined.
    pub(super) fn config(&self) -> JoinConfig {
        self.config
    }

    /// Whether there is anything to join: of traces that no log lies beside there is not.
    pub(super) fn joins(&self, logs: &[LogInput]) -> bool {
        self.is_named || !logs.is_empty()
    }

    /// What is said of what cannot be joined: of logs that nobody named it is no warning.
    pub(super) fn tone(&self) -> &'static str {
        if self.is_named { "warning" } else { "note" }
    }
}

/// Says which logs were found beside the traces.
fn say_beside(logs: &[LogInput]) {
    let names = logs.iter().map(|log| log.path.file_name().unwrap_or_default().to_string_lossy());
    let names: Vec<_> = names.collect();
    let (what, are) = if logs.len() == 1 { ("log", "is") } else { ("logs", "are") };
    say_later(format!(
        "note: joined with the {what} beside the traces, which {are} {}; --no-logs leaves {} out",
        names.join(", "),
        if logs.len() == 1 { "it" } else { "them" }
    ));
}

/// Says what could not be joined, and why.
pub(super) fn warn_of_logs(joined: &Joined, logs: &[LogInput], tone: &str, is_quiet: bool) {
    if is_quiet {
        return;
    }
    for log in logs.iter().filter(|log| log.diag.worst() >= Some(Severity::DataLoss)) {
        let path = log.path.display();
        say(&format!("warning: records of {path} were lost; `omni-trace stages {path}` says what"));
    }
    // What nobody asked for comes last, in as few lines as can be.
    let is_note = tone == "note";
    let say = |line: String| if is_note { say_later(line) } else { say(&line) };
    let unplaced = joined.log_clocks.iter().filter(|clock| clock.placed_by == ClockSource::None);
    if joined.is_empty() && (!is_note || unplaced.clone().next().is_none()) {
        say(format!("{tone}: no request of the logs lies inside of what the traces recorded"));
    }
    for clock in unplaced {
        say(format!("{tone}: {} is not placed: {}", clock.path, clock.evidence));
    }
    for stage in joined.joined_stages.iter().filter(|stage| stage.input.is_none()) {
        let name = stage.stage.map_or("a call".to_owned(), |stage| format!("stage {stage}"));
        say(format!("{tone}: no trace is of {name}, which the logs tell of"));
    }
}
