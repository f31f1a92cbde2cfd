//! Logs on their own, and joined with traces.

use super::inputs::{host_pids, issues};
use crate::align::Together;
use crate::analyze::base::TimeBase;
use crate::analyze::clock::placements;
use crate::analyze::joined::{JoinConfig, JoinInput, JoinLog, Joined, joined};
use crate::analyze::stages::{LogRow, analyze_stages};
use crate::model::log::LineKind;
use crate::read::Input;
use crate::read::logs::LogInput;
use crate::table::stages::StagesReport;

/// What some logs tell.
pub fn stages_report(inputs: &[LogInput]) -> StagesReport {
    let logs: Vec<_> = inputs.iter().map(|input| &input.log).collect();
    let rows: Vec<LogRow> = inputs.iter().enumerate().map(log_row).collect();
    let issues = inputs.iter().enumerate().flat_map(|(number, input)| issues(number, &input.diag));
    StagesReport::of(analyze_stages(&logs), rows, issues.collect())
}

fn log_row((number, input): (usize, &LogInput)) -> LogRow {
    let lines = |kind| input.log.census.lines(kind);
    LogRow {
        log: number,
        bytes: input.bytes,
        text_bytes: input.text_bytes,
        records: input.log.entries.len() as u64,
        processes: input.log.processes.len() as u64,
        recognized_lines: lines(LineKind::Recognized),
        ignored_lines: lines(LineKind::Ignored),
        unknown_lines: lines(LineKind::Unknown),
        path: input.path.display().to_string(),
    }
}

/// Logs joined with the traces of the same run.
pub fn joined_with(
    inputs: &[Input],
    bases: &[&TimeBase],
    together: &Together,
    logs: &[LogInput],
    config: JoinConfig,
) -> Joined {
    let placed = placements(&together.alignment);
    let paths: Vec<String> = inputs.iter().map(|input| input.path.display().to_string()).collect();
    let pids: Vec<Vec<i64>> = inputs.iter().map(|input| host_pids(&input.store)).collect();
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
    joined(&sides, &named, &analyze_stages(&texts), config)
}
