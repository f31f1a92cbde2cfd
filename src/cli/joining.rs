//! Logs beside traces: which are read, and what is said of those that cannot be joined.

use super::args::LogArgs;
use super::plan::CommonPlan;
use super::reading::{find_logs, read_logs};
use super::run::say;
use crate::analyze::joined::{ClockSource, JoinConfig, Joined};
use crate::diag::Severity;
use crate::read::Inputs;
use crate::read::logs::LogInput;

/// The logs to join.
#[derive(Debug)]
pub(super) struct LogPlan {
    inputs: Inputs,
    config: JoinConfig,
}

impl LogPlan {
    /// The logs of the arguments; `None` where none were given.
    pub(super) fn of(args: &LogArgs) -> anyhow::Result<Option<Self>> {
        if args.logs.is_empty() {
            return Ok(None);
        }
        let config = JoinConfig { zone_ns: args.log_zone };
        Ok(Some(Self { inputs: find_logs(&args.logs)?, config }))
    }

    /// Reads the logs of a command; none where it was given none.
    pub(super) fn read(plan: Option<&Self>, common: &CommonPlan) -> anyhow::Result<Vec<LogInput>> {
        plan.map_or(Ok(Vec::new()), |plan| read_logs(&plan.inputs, common.sorting()))
    }

    /// How the logs are joined.
    pub(super) fn config(&self) -> JoinConfig {
        self.config
    }
}

/// Says what could not be joined, and why.
pub(super) fn warn_of_logs(joined: &Joined, logs: &[LogInput], is_quiet: bool) {
    if is_quiet {
        return;
    }
    for log in logs.iter().filter(|log| log.diag.worst() >= Some(Severity::DataLoss)) {
        let path = log.path.display();
        say(&format!("warning: records of {path} were lost; `omni-trace stages {path}` says what"));
    }
    if joined.is_empty() {
        say("warning: no request of the logs lies inside of what the traces recorded");
    }
    for clock in joined.log_clocks.iter().filter(|clock| clock.placed_by == ClockSource::None) {
        say(&format!("warning: {} is not placed: {}", clock.path, clock.evidence));
    }
    for stage in joined.joined_stages.iter().filter(|stage| stage.input.is_none()) {
        let name = stage.stage.map_or("a call".to_owned(), |stage| format!("stage {stage}"));
        say(&format!("warning: no trace is of {name}, which the logs tell of"));
    }
}
