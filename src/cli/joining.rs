//! Logs beside traces: the logs read and analyzed, and joined with the inputs. What `analyze` and `bandwidth` share.

use super::args::LogArgs;
use super::plan::CommonPlan;
use super::reading::{find_logs, read_logs};
use super::rows;
use super::run::say;
use crate::align::Together;
use crate::analyze::base::TimeBase;
use crate::analyze::clock::placements;
use crate::analyze::joined::{ClockSource, JoinConfig, JoinInput, JoinLog, Joined, joined};
use crate::analyze::stages::analyze_stages;
use crate::diag::Severity;
use crate::read::logs::LogInput;
use crate::read::{Input, Inputs};

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

    /// Joins logs and inputs, and says on standard error what could not be joined.
    pub(super) fn join(
        &self,
        inputs: &[Input],
        bases: &[&TimeBase],
        together: &Together,
        logs: &[LogInput],
        is_quiet: bool,
    ) -> Joined {
        let placed = placements(&together.alignment);
        let paths: Vec<String> =
            inputs.iter().map(|input| input.path.display().to_string()).collect();
        let pids: Vec<Vec<i64>> =
            inputs.iter().map(|input| rows::host_pids(&input.store)).collect();
        let sides: Vec<JoinInput<'_>> = (0..inputs.len())
            .map(|i| JoinInput {
                store: &inputs[i].store,
                base: bases[i],
                placed: placed[i],
                identity: &inputs[i].identity,
                path: &paths[i],
                pids: &pids[i],
            })
            .collect();
        let names: Vec<String> = logs.iter().map(|log| log.path.display().to_string()).collect();
        let named = logs.iter().zip(&names);
        let named: Vec<JoinLog<'_>> =
            named.map(|(log, path)| JoinLog { log: &log.log, path }).collect();
        let texts: Vec<_> = logs.iter().map(|log| &log.log).collect();
        let found = joined(&sides, &named, &analyze_stages(&texts), self.config);
        if !is_quiet {
            warn(&found, logs);
        }
        found
    }
}

/// Says what could not be joined, and why.
fn warn(joined: &Joined, logs: &[LogInput]) {
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
