//! Logs beside traces: each request's time in each stage, on the traces' time line, against what the devices and work
//! threads of that stage did meanwhile.
//!
//! Which inputs are a stage's is told by [`stage_inputs`], where a log stands in Unix time by [`clocks`], what happened
//! inside a span by [`account`], and what the traces saw of transfers by [`transfers`]. Only what overlaps a recorded
//! window is charged; the rest of a span is said to be outside. Nothing here reads files or prints.

mod account;
mod clocks;
mod rows;
mod stage_inputs;
mod transfers;

use std::collections::BTreeMap;

use super::base::TimeBase;
use super::clock::{Placed, Placement};
use super::intervals::{Intervals, Span};
use super::stages::{StageReport, StageSpan, TransferRow};
use crate::model::Identity;
use crate::model::log::PipelineLog;
use crate::store::Store;

pub use clocks::{ClockSource, parse_zone};
pub use rows::{JoinedRequestRow, JoinedStageRow, LogClockRow, Side, TracedSideRow};
pub use stage_inputs::MatchedBy;

use account::Recorded;
use clocks::{LogClock, LogOffset};
use stage_inputs::StageInput;

/// One trace, as far as it is joined with logs.
#[derive(Clone, Copy, Debug)]
pub struct JoinInput<'a> {
    /// Its events.
    pub store: &'a Store,
    /// Its time base.
    pub base: &'a TimeBase,
    /// Where it stands in Unix time.
    pub placed: Placed,
    /// Who wrote it.
    pub identity: &'a Identity,
    /// Its path, for lines of logs that name it.
    pub path: &'a str,
    /// Ids of its host processes.
    pub pids: &'a [i64],
}

/// What the user says about the logs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JoinConfig {
    /// Zone of the logs' wall clock: what it is ahead of UTC. `None` to settle it.
    pub zone_ns: Option<i64>,
}

/// Logs and traces of one run, joined.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Joined {
    /// Where each log stands in Unix time; logs that tell no stage's work are there only when none does.
    pub log_clocks: Vec<LogClockRow>,
    /// Each stage of each run, against each of its inputs.
    pub joined_stages: Vec<JoinedStageRow>,
    /// Each span of each request, against each input of its stage, by start.
    pub joined_requests: Vec<JoinedRequestRow>,
    /// Transfers between stages.
    pub stage_transfers: Vec<TransferRow>,
    /// What the traces saw of them.
    pub traced_transfers: Vec<TracedSideRow>,
}

impl Joined {
    /// Whether nothing of the logs lies inside of what the traces recorded.
    pub fn is_empty(&self) -> bool {
        self.joined_requests.iter().all(|row| row.in_window_ns == 0)
    }
}

/// A log, and the path that it was read from.
#[derive(Clone, Copy, Debug)]
pub struct JoinLog<'a> {
    /// What was read.
    pub log: &'a PipelineLog,
    /// Path as given or found.
    pub path: &'a str,
}

/// Joins logs with traces. `report` is what [`super::stages::analyze_stages`] says of the same logs.
pub fn joined(
    inputs: &[JoinInput<'_>],
    logs: &[JoinLog<'_>],
    report: &StageReport,
    config: JoinConfig,
) -> Joined {
    let matches = stage_inputs::matches(inputs, report);
    let sides: Vec<Recorded> = inputs.iter().map(Recorded::new).collect();
    let clocks = clocks::settle(inputs, logs, report, &matches, config);
    let placed = placed_spans(report, &clocks);
    Joined {
        joined_stages: account::stage_rows(report, &matches, &placed, &sides),
        joined_requests: account::request_rows(&matches, &placed, &sides),
        stage_transfers: report.transfers.clone(),
        traced_transfers: transfers::traced_sides(inputs, report, &matches, &placed),
        log_clocks: clocks::rows_of(clocks, logs),
    }
}

/// The inputs of each stage of each run; the stage is `None` for calls of which only the process is known.
type Matches = BTreeMap<StageKey, Vec<StageInput>>;

/// Run, stage, and the process where no stage is told.
type StageKey = (usize, Option<u32>, Option<u32>);

fn key_of(span: &StageSpan) -> StageKey {
    (span.run, span.stage, span.pid.filter(|_| span.stage.is_none()))
}

/// A span of a log in Unix time.
#[derive(Clone, Copy, Debug)]
struct PlacedSpan<'a> {
    span: &'a StageSpan,
    unix: Span,
    /// How far the place may be off, in both directions.
    error_ns: i64,
}

/// The spans of the logs whose clock is settled.
fn placed_spans<'a>(report: &'a StageReport, clocks: &[LogClock]) -> Vec<PlacedSpan<'a>> {
    let mut offsets = BTreeMap::new();
    for clock in clocks {
        offsets.extend(clock.offset.map(|offset| (clock.log, offset)));
    }
    let placed = report.spans.iter().filter_map(|span| {
        let offset = offsets.get(&span.log).copied().or(LogOffset::of_unix(span))?;
        let half_ns = span.resolution_ns / 2;
        let at = |ns: i64| offset.unix_ns(span, ns).saturating_add(half_ns);
        let unix = Span::new(at(span.start_ns), at(span.end_ns));
        let error_ns = half_ns.saturating_add(span.slack_ns);
        Some(PlacedSpan { span, unix, error_ns })
    });
    placed.collect()
}

/// What was recorded of an input, in Unix time: its window, stretched over device activity outside of it. `None`
/// where the input has no Unix time.
fn recorded(input: &JoinInput<'_>) -> Option<Intervals> {
    if input.placed.placement == Placement::None {
        return None;
    }
    let mut window = Intervals::default();
    window.push(input.base.windows.file);
    let devices = input.base.devices.iter().fold(window, |all, device| all.union(&device.busy));
    Some(devices.shifted(input.placed.offset_ns))
}
