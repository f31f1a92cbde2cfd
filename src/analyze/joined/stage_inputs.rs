//! Which inputs are a stage's: by stage number, by process, by a line that names the file, or because nothing else is
//! there.

use std::collections::BTreeSet;

use super::{JoinInput, Matches, StageKey, key_of};
use crate::analyze::stages::StageReport;
use crate::model::Role;
use crate::schema::words;

words! {
    /// What tells that an input is a stage's.
    MatchedBy {
        /// The input's stage number.
        Stage "stage",
        /// The process that the record names.
        Process "process",
        /// A line of the log that names the input's file and the stage.
        File "file",
        /// The log tells of one stage, and no input of any.
        OnlyStage "only_stage",
    }
}

/// An input of a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct StageInput {
    /// Number of the input.
    pub(super) input: usize,
    /// What tells it.
    pub(super) by: MatchedBy,
}

/// The inputs of every stage that the logs tell of; none for a stage that no input was written by.
pub(super) fn matches(inputs: &[JoinInput<'_>], report: &StageReport) -> Matches {
    let mut keys: BTreeSet<StageKey> = report.spans.iter().map(key_of).collect();
    keys.extend(report.transfers.iter().flat_map(|edge| {
        [edge.from_stage, edge.to_stage].map(|stage| (edge.run, Some(stage), None))
    }));
    let n_stages = keys.iter().filter_map(|(_, stage, _)| *stage).collect::<BTreeSet<_>>().len();
    let is_alone = n_stages < 2 && inputs.iter().all(|input| input.identity.stage.is_none());
    keys.into_iter().map(|key| (key, inputs_of(inputs, report, key, is_alone))).collect()
}

fn inputs_of(
    inputs: &[JoinInput<'_>],
    report: &StageReport,
    (_, stage, pid): StageKey,
    is_alone: bool,
) -> Vec<StageInput> {
    let all = |by: MatchedBy, is_one: &dyn Fn(&JoinInput<'_>) -> bool| {
        let workers =
            inputs.iter().enumerate().filter(|(_, one)| one.identity.role == Role::Worker);
        let found = workers.filter(|(_, one)| is_one(one));
        found.map(|(input, _)| StageInput { input, by }).collect::<Vec<_>>()
    };
    let by_stage = || all(MatchedBy::Stage, &|one| stage.is_some() && one.identity.stage == stage);
    let by_process =
        || all(MatchedBy::Process, &|one| pid.is_some_and(|pid| one.pids.contains(&pid.into())));
    let by_file = || {
        all(MatchedBy::File, &|one| {
            let mut lines = report.profiler.iter().filter(|line| line.stage == stage);
            stage.is_some() && lines.any(|line| line.paths.iter().any(|path| names(path, one.path)))
        })
    };
    let alone = || all(MatchedBy::OnlyStage, &|_| is_alone);
    let ways: [&dyn Fn() -> Vec<StageInput>; 4] = [&by_stage, &by_process, &by_file, &alone];
    ways.iter().map(|way| way()).find(|found| !found.is_empty()).unwrap_or_default()
}

/// Whether a path in a log means an input: the same file name, and the same folder where the name alone says nothing
/// (`20261121-233935_…/trace_rank0.json`). Compression comes after the line is written.
pub(super) fn names(logged: &str, path: &str) -> bool {
    let plain = |path: &str| path.strip_suffix(".gz").unwrap_or(path).to_owned();
    let (logged, path) = (plain(logged), plain(path));
    let tail = |path: &str, n: usize| {
        let parts: Vec<&str> = path.rsplit('/').take(n).collect();
        parts.join("/")
    };
    let n = if tail(&path, 1).starts_with("trace_rank") { 2 } else { 1 };
    tail(&logged, n) == tail(&path, n)
}

#[cfg(test)]
mod tests {
    use super::names;

    #[test]
    fn a_generic_name_needs_its_folder() {
        assert!(names("/out/a_rank0.json", "x/a_rank0.json.gz"));
        assert!(names("/out/s1/trace_rank0.json", "y/s1/trace_rank0.json.gz"));
        assert!(!names("/out/s1/trace_rank0.json", "y/s2/trace_rank0.json.gz"));
        assert!(!names("/out", "x/a_rank0.json.gz"));
    }
}
