//! The verdict: what a report says first, in sentences made from figures.
//!
//! Every figure names the field of the machine output that it is, or the two whose quotient it is; nothing is said that
//! is not in one of them. What was not recorded is said to be so.

mod across;
mod cautions;
mod compared;
mod device_time;
mod device_use;
mod doubts;
mod frames;
mod iterations;
mod launches;
mod lead;
mod left_out;
mod line;
mod logs;
mod names;
mod path;
mod row;
mod times;

pub use self::compared::verdict_of_comparison;
use self::line::Line;
pub use self::line::{Figure, Part, Sentence, Tone, Verdict};
pub use self::logs::verdict_of_logs;
pub use self::path::verdict_of_path;
pub(super) use self::row::verdict_view;
pub use self::row::{VerdictRow, verdict_summary};

use super::report::MANY_INPUTS;
use super::{
    ActivityRow, AnalyzeReport, BlameCellRow, BreakdownRow, Cell, DeviceRow, IdleRow, InputRow,
    IterationSummaryRow, KernelClassRow, KernelRow, KeyAverageRow, MemoryRow, StartupRow,
    StragglerRow, ThreadClassRow, TrustRow,
};
use crate::analyze::breakdown::Scope;
use crate::analyze::counters::CounterRow;
use crate::analyze::iterations::IterationFigure;
use crate::analyze::launch_stats::LaunchStatRow;
use crate::analyze::memory_live::{MemoryIterationRow, MemoryPeakRow};
use crate::analyze::memory_purpose::MemoryPurposeRow;
use crate::analyze::ranks::{SlowLinkRow, SlowRankRow};
use crate::analyze::roofline::{RooflineRow, UtilizationRow};
use crate::model::EventKind;
use crate::schema::{Pointer, Row, Spec, pointer};

/// Tables that the verdict is made from.
pub const VERDICT_OF: [&Spec; 22] = [
    BreakdownRow::SPEC,
    ThreadClassRow::SPEC,
    DeviceRow::SPEC,
    IdleRow::SPEC,
    StartupRow::SPEC,
    IterationSummaryRow::SPEC,
    KeyAverageRow::SPEC,
    KernelRow::SPEC,
    KernelClassRow::SPEC,
    ActivityRow::SPEC,
    MemoryRow::SPEC,
    BlameCellRow::SPEC,
    StragglerRow::SPEC,
    LaunchStatRow::SPEC,
    SlowRankRow::SPEC,
    SlowLinkRow::SPEC,
    RooflineRow::SPEC,
    UtilizationRow::SPEC,
    MemoryPeakRow::SPEC,
    MemoryPurposeRow::SPEC,
    MemoryIterationRow::SPEC,
    CounterRow::SPEC,
];

/// Shares below this many percent are not worth a sentence of their own.
const WORTH_TELLING_PCT: f64 = 1.0;

/// A smaller share reads as 0.
const ROUNDS_TO_NOTHING_PCT: f64 = 0.005;

/// What a report of `analyze` comes to: first about all inputs, then about each; one input has one verdict.
pub fn verdict(report: &AnalyzeReport) -> Vec<Verdict> {
    let n = report.inputs.len();
    // Nobody reads a sentence about each of a thousand.
    let n_told = if n > MANY_INPUTS { 0 } else { n };
    let mut own: Vec<Vec<Sentence>> = (0..n_told).map(|input| of_input(report, input)).collect();
    let shared = cautions::shared(&mut own);
    own.iter_mut().for_each(|sentences| sentences.sort_by_key(|one| one.tone == Tone::Caution));
    let mut all: Vec<Sentence> =
        left_out::losses(report).chain(left_out::excluded(report)).collect();
    all.extend(across::across(report));
    let names: Vec<Sentence> =
        [names::classes(report), names::top_kernel(report), names::top_operator(report)]
            .into_iter()
            .flatten()
            .collect();
    if let [only] = own.as_mut_slice() {
        let at = only.iter().position(|one| one.tone == Tone::Caution).unwrap_or(only.len());
        only.splice(at..at, names);
        all.append(only);
        let label = report.inputs[0].label.as_str();
        let about = if label.is_empty() { "The trace" } else { label }.to_owned();
        return vec![Verdict { about, input: None, sentences: all }];
    }
    all.extend(names);
    all.extend(shared);
    let mut verdicts =
        vec![Verdict { about: format!("All {n} inputs"), input: None, sentences: all }];
    verdicts.extend(own.into_iter().enumerate().map(|(input, sentences)| Verdict {
        about: report.name_of(input),
        input: Some(input),
        sentences,
    }));
    verdicts.retain(|verdict| !verdict.sentences.is_empty());
    verdicts
}

/// Rows of one input with their numbers in the machine output. Reports have rows in the order of inputs, and thousands of
/// inputs have too many to walk for each.
fn own<R>(rows: &[R], input: usize, of: impl Fn(&R) -> usize) -> impl Iterator<Item = (usize, &R)> {
    let first = rows.partition_point(|row| of(row) < input);
    rows.iter().enumerate().skip(first).take_while(move |(_, row)| of(row) == input)
}

fn of_input(report: &AnalyzeReport, input: usize) -> Vec<Sentence> {
    let mut out = Vec::new();
    let devices: Vec<_> = own(&report.devices, input, |row| row.input).collect();
    for &(number, device) in &devices {
        out.extend(device_time::device_time(report, number, device));
    }
    let is_snapshot = |row: &InputRow| row.events == 0 && row.snapshot.is_some();
    if devices.is_empty() && !is_snapshot(&report.inputs[input]) {
        out.push(device_time::no_device(report, input).tone(Tone::Caution).see::<TrustRow>());
    }
    out.extend(times::cautions(report, input));
    out.extend(doubts::doubts(report, input));
    let lead =
        own(&report.breakdown, input, |row| row.input).find(|(_, row)| row.scope == Scope::Lead);
    if let Some((number, row)) = lead {
        out.extend(lead::lead_thread(report, number, row));
    } else if let Some((number, row)) = other_activity(report, input) {
        out.push(names::other_span(number, row));
    } else if report.inputs[input].events > 0 {
        let at = Pointer::<InputRow>::row(input);
        let line = Line::new("No work thread was recorded: none of ")
            .figure(Cell::Count(report.inputs[input].events), pointer!(at.events))
            .words(" events is an operator, or a runtime call that started something.");
        out.push(line.tone(Tone::Caution).see::<InputRow>());
    }
    if let Some((number, row)) = own(&report.blame, input, |row| row.input).next() {
        out.extend(lead::waited_for(report, number, row));
    }
    for &(number, device) in &devices {
        out.extend(device_time::exposed(number, device));
    }
    out.extend(device_use::lost(report, input));
    out.extend(device_use::clock(report, input));
    out.extend(device_use::memory(report, input));
    out.extend(device_use::allocator(report, input));
    let lengths = own(&report.iteration_summary, input, |row| row.input);
    out.extend(launches::bound(report, input));
    out.extend(
        lengths
            .filter(|(_, row)| row.figure == IterationFigure::Cpu)
            .map(|(n, row)| iterations::iterations(n, row)),
    );
    out
}

/// The spans with the most time among those that no other table has.
fn other_activity(report: &AnalyzeReport, input: usize) -> Option<(usize, &ActivityRow)> {
    let is_told = |row: &ActivityRow| matches!(row.kind, EventKind::Other | EventKind::Async);
    own(&report.activity, input, |row| row.input).find(|(_, row)| is_told(row))
}
