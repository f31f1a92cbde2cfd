//! Where a log stands in Unix time.
//!
//! Log lines have a wall clock without a zone, vLLM's own also without a year, and most tell whole seconds. Zones are
//! whole quarter hours, so that the zone is settled by the one in which the profiler's lines fit the traces' windows,
//! or else by the only one in which log and traces overlap at all. Where several fit, nothing is guessed.

use std::collections::BTreeSet;

use super::stage_inputs::names;
use super::{JoinConfig, JoinInput, JoinLog, LogClockRow, Matches, key_of, recorded};
use crate::analyze::intervals::{Intervals, Span};
use crate::analyze::stages::{SpanSource, StageReport, StageSpan};
use crate::model::log::{ASSUMED_YEAR, Entry, PipelineLog, ProfilerStep, Record, in_year, year_of};
use crate::schema::words;

words! {
    /// What settles a log's place in Unix time.
    ClockSource {
        /// Its records give Unix times.
        UnixTime "unix_time",
        /// The user gives its zone.
        Given "given",
        /// Its lines about the profiler fit a trace's window in one zone only.
        Profiler "profiler",
        /// Log and traces overlap in one zone only.
        Overlap "overlap",
        /// Nothing: it is not placed.
        None "none",
    }
}

/// How a log's wall clock becomes Unix time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct LogOffset {
    /// What the wall clock is ahead of UTC.
    zone_ns: i64,
    /// The year that its first line is of, where the log does not tell it.
    year: Option<i32>,
    is_unix: bool,
}

impl LogOffset {
    /// Of a record that gives Unix time itself.
    pub(super) fn of_unix(span: &StageSpan) -> Option<Self> {
        let is_unix = span.source == SpanSource::UnixTime;
        is_unix.then_some(Self { is_unix, ..Self::default() })
    }

    /// The Unix time of an instant of a span.
    pub(super) fn unix_ns(self, span: &StageSpan, ns: i64) -> i64 {
        if self.is_unix || span.source == SpanSource::UnixTime { ns } else { self.of_wall(ns) }
    }

    fn of_wall(self, wall_ns: i64) -> i64 {
        let dated = self.year.map_or(wall_ns, |year| in_year(wall_ns, ASSUMED_YEAR, year));
        dated.saturating_sub(self.zone_ns)
    }

    /// `UTC`, `UTC+05:30`.
    fn zone(self) -> String {
        zone_name(self.zone_ns)
    }
}

/// Where one log stands in Unix time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LogClock {
    /// Index of the log.
    pub(super) log: usize,
    /// Spans of stages that it tells the end of.
    n_spans: u64,
    /// How its wall clock becomes Unix time; `None` where that is not settled.
    pub(super) offset: Option<LogOffset>,
    /// How far a span may be off at most: half of what the lines' times leave off, and what lines of entering and
    /// leaving a stage are apart by beyond its work.
    error_ns: Option<i64>,
    source: ClockSource,
    /// What was seen, or why it is not settled.
    evidence: String,
}

const MINUTE_NS: i64 = 60_000_000_000;

/// Zones in use lie from 12 hours behind UTC to 14 hours ahead of it, on whole quarter hours.
const QUARTERS: std::ops::RangeInclusive<i64> = -48..=56;

/// How far a profiler's line may be from the edge of a trace's window: starting and stopping takes seconds, and the
/// next zone is 900 of them away.
const PROFILER_SLACK_NS: i64 = 30 * 1_000_000_000;

fn zone_name(zone_ns: i64) -> String {
    let minutes = zone_ns / MINUTE_NS;
    let sign = if minutes < 0 { '-' } else { '+' };
    match minutes.abs() {
        0 => "UTC".to_owned(),
        minutes => format!("UTC{sign}{:02}:{:02}", minutes / 60, minutes % 60),
    }
}

/// What `UTC`, `+02:00` or `-3:30` is ahead of UTC.
pub fn parse_zone(text: &str) -> Option<i64> {
    let text = text.trim();
    let rest = text.strip_prefix("UTC").unwrap_or(text);
    if rest.is_empty() || rest == "Z" {
        return (!text.is_empty()).then_some(0);
    }
    let (sign, rest) = match rest.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, rest.strip_prefix('+')?),
    };
    let (hours, minutes) = rest.split_once(':').unwrap_or((rest, "0"));
    let (hours, minutes): (i64, i64) = (hours.parse().ok()?, minutes.parse().ok()?);
    let is_zone = (0..=14).contains(&hours) && (0..60).contains(&minutes);
    is_zone.then_some(sign * (hours * 60 + minutes) * MINUTE_NS)
}

/// Settles the clock of every log.
pub(super) fn settle(
    inputs: &[JoinInput<'_>],
    logs: &[JoinLog<'_>],
    report: &StageReport,
    matches: &Matches,
    config: JoinConfig,
) -> Vec<LogClock> {
    let windows: Vec<Option<Intervals>> = inputs.iter().map(recorded).collect();
    let mut by_log: Vec<Vec<&StageSpan>> = vec![Vec::new(); logs.len()];
    for span in &report.spans {
        if let Some(own) = by_log.get_mut(span.log) {
            own.push(span);
        }
    }
    let logs = logs.iter().zip(by_log).enumerate();
    let clocks = logs.map(|(number, (log, spans))| {
        let finder = Finder { log: log.log, spans: &spans, inputs, windows: &windows, matches };
        finder.clock(number, config)
    });
    clocks.collect()
}

/// The clocks of logs that tell when stages worked; all of them where none does.
pub(super) fn rows_of(mut clocks: Vec<LogClock>, logs: &[JoinLog<'_>]) -> Vec<LogClockRow> {
    if clocks.iter().any(|clock| clock.n_spans > 0) {
        clocks.retain(|clock| clock.n_spans > 0);
    }
    let row = |clock: LogClock| LogClockRow {
        log: clock.log,
        spans: clock.n_spans,
        placed_by: clock.source,
        zone: clock.offset.map(LogOffset::zone),
        zone_ns: clock.offset.map(|offset| offset.zone_ns),
        year: clock.offset.and_then(|offset| offset.year),
        error_ns: clock.error_ns,
        evidence: clock.evidence,
        path: logs.get(clock.log).map_or(String::new(), |log| log.path.to_owned()),
    };
    clocks.into_iter().map(row).collect()
}

struct Finder<'a> {
    log: &'a PipelineLog,
    spans: &'a [&'a StageSpan],
    inputs: &'a [JoinInput<'a>],
    windows: &'a [Option<Intervals>],
    matches: &'a Matches,
}

impl Finder<'_> {
    fn clock(&self, log: usize, config: JoinConfig) -> LogClock {
        let (offset, source, evidence) = match self.settled(config) {
            Ok((offset, source, evidence)) => (Some(offset), source, evidence),
            Err(why) => (None, ClockSource::None, why),
        };
        let errors = self.spans.iter().map(|span| span.resolution_ns / 2 + span.slack_ns);
        let error_ns = errors.max();
        LogClock {
            log,
            n_spans: self.spans.len() as u64,
            error_ns: offset.and(error_ns),
            offset,
            source,
            evidence,
        }
    }

    fn settled(&self, config: JoinConfig) -> Result<(LogOffset, ClockSource, String), String> {
        if self.spans.is_empty() {
            let what = "no line tells when a stage worked for a request (vLLM-Omni writes them with --log-stats)";
            return Err(what.to_owned());
        }
        if self.spans.iter().all(|span| span.source == SpanSource::UnixTime) {
            let evidence = "its records give Unix times".to_owned();
            let offset = LogOffset { is_unix: true, ..LogOffset::default() };
            return Ok((offset, ClockSource::UnixTime, evidence));
        }
        if self.windows.iter().all(Option::is_none) {
            return Err("no trace has Unix time".to_owned());
        }
        let candidates = self.candidates(config);
        if let Some((offset, evidence)) = self.by_profiler(&candidates) {
            return Ok((offset, ClockSource::Profiler, evidence));
        }
        let fitting = self.overlapping(&candidates);
        match (&fitting[..], config.zone_ns) {
            (&[offset], None) => {
                let evidence = format!(
                    "in no other zone than {} (whole quarter hours) do its requests and the traces overlap",
                    offset.zone()
                );
                Ok((offset, ClockSource::Overlap, evidence))
            }
            ([], None) => {
                Err("in no zone do its requests overlap the trace of their stage, and no line about the profiler fits"
                    .to_owned())
            }
            (several, None) => Err(format!(
                "its requests overlap the traces in {} zones, from {} to {}, and no line about the profiler decides; --log-zone does",
                several.len(),
                several.iter().min().map(|offset| offset.zone()).unwrap_or_default(),
                several.iter().max().map(|offset| offset.zone()).unwrap_or_default()
            )),
            (several, Some(_)) => {
                let offset = several.first().or_else(|| candidates.get(candidates.len() / 2));
                let offset = offset.copied().ok_or("the logs tell no time")?;
                Ok((offset, ClockSource::Given, "as --log-zone says".to_owned()))
            }
        }
    }

    /// Every zone, and every year where the log tells none.
    fn candidates(&self, config: JoinConfig) -> Vec<LogOffset> {
        let zones: Vec<i64> = match config.zone_ns {
            Some(zone) => vec![zone],
            None => QUARTERS.map(|quarter| quarter * 15 * MINUTE_NS).collect(),
        };
        let years: BTreeSet<Option<i32>> = match self.log.year {
            Some(_) => BTreeSet::from([None]),
            None => {
                let starts = self.windows.iter().flatten().filter_map(|w| w.spans().first());
                let years = starts.map(|span| year_of(span.start_ns));
                years.flat_map(|year| [year - 1, year, year + 1]).map(Some).collect()
            }
        };
        let of_year = |year: Option<i32>| {
            zones.iter().map(move |&zone_ns| LogOffset { zone_ns, year, is_unix: false })
        };
        years.into_iter().flat_map(of_year).collect()
    }

    /// The one candidate in which lines about the profiler fit the most windows.
    fn by_profiler(&self, candidates: &[LogOffset]) -> Option<(LogOffset, String)> {
        let lines = ProfilerLines::of(self.log);
        let scored = candidates.iter().map(|&offset| {
            let inputs = self.inputs.iter().zip(self.windows).enumerate();
            let fits: Vec<Fit> = inputs
                .filter_map(|(number, (input, window))| {
                    lines.fit(number, input.path, window.as_ref()?, offset)
                })
                .collect();
            let named = fits.iter().filter(|fit| fit.is_named).count();
            ((named, fits.len()), offset, fits)
        });
        let scored: Vec<_> = scored.filter(|(_, _, fits)| !fits.is_empty()).collect();
        let best = scored.iter().map(|(score, ..)| *score).max()?;
        let mut first = scored.iter().filter(|(score, ..)| *score == best);
        let (_, offset, fits) = first.next()?;
        // Two zones that fit equally well settle nothing.
        if first.next().is_some() {
            return None;
        }
        Some((*offset, format!("in {} {}", offset.zone(), fits.first()?.words())))
    }

    /// The candidates in which at least one request overlaps the window of its stage.
    fn overlapping(&self, candidates: &[LogOffset]) -> Vec<LogOffset> {
        let windows: Vec<(&StageSpan, Vec<Span>)> = self
            .spans
            .iter()
            .map(|span| {
                let inputs = self.matches.get(&key_of(span)).into_iter().flatten();
                let own = inputs.filter_map(|one| self.windows[one.input].as_ref());
                (*span, own.flat_map(|window| window.spans().to_vec()).collect())
            })
            .collect();
        let overlaps = |offset: &&LogOffset| {
            windows.iter().any(|(span, windows)| {
                let start = offset.of_wall(span.start_ns);
                let end = offset.of_wall(span.end_ns).saturating_add(span.resolution_ns);
                windows.iter().any(|window| start < window.end_ns && window.start_ns < end)
            })
        };
        candidates.iter().filter(overlaps).copied().collect()
    }
}

/// The lines about the profiler that have a time.
struct ProfilerLines<'a> {
    starts: Vec<&'a Entry>,
    ends: Vec<&'a Entry>,
    written: Vec<(&'a Entry, &'a [String])>,
}

/// Lines that fit a window.
struct Fit {
    input: usize,
    start: (u64, i64),
    end: (u64, i64),
    is_named: bool,
}

impl Fit {
    fn words(&self) -> String {
        let seconds = |ns: i64| format!("{:.1} s", ns as f64 / 1e9);
        let named = if self.is_named { ", which a line names" } else { "" };
        format!(
            "the profiler's lines {} and {} are {} and {} from the start and the end of input #{}{named}",
            self.start.0,
            self.end.0,
            seconds(self.start.1),
            seconds(self.end.1),
            self.input
        )
    }
}

impl<'a> ProfilerLines<'a> {
    fn of(log: &'a PipelineLog) -> Self {
        let mut lines = Self { starts: Vec::new(), ends: Vec::new(), written: Vec::new() };
        for entry in log.entries.iter().filter(|entry| entry.wall_ns.is_some()) {
            let Record::Profiler(event) = &entry.record else { continue };
            match event.step {
                ProfilerStep::StartRequested | ProfilerStep::Started => lines.starts.push(entry),
                ProfilerStep::LimitReached
                | ProfilerStep::StopRequested
                | ProfilerStep::Stopped => {
                    lines.ends.push(entry);
                }
                _ => {}
            }
            if !event.paths.is_empty() {
                lines.written.push((entry, &event.paths));
            }
        }
        lines
    }

    /// The lines nearest to the edges of a window, where both are near enough.
    fn fit(&self, input: usize, path: &str, window: &Intervals, offset: LogOffset) -> Option<Fit> {
        let (first, last) = (window.spans().first()?, window.spans().last()?);
        let distance = |entry: &Entry, edge_ns: i64| {
            let at = offset.of_wall(entry.wall_ns.unwrap_or(0)) + entry.resolution_ns / 2;
            at.saturating_sub(edge_ns).saturating_abs()
        };
        let nearest = |lines: &[&Entry], edge_ns: i64| {
            let best = lines.iter().map(|entry| (distance(entry, edge_ns), entry.line)).min()?;
            (best.0 <= PROFILER_SLACK_NS).then_some((best.1, best.0))
        };
        let is_named = self.written.iter().any(|(_, paths)| {
            let mut paths = paths.iter();
            paths.any(|logged| names(logged, path))
        });
        Some(Fit {
            input,
            start: nearest(&self.starts, first.start_ns)?,
            end: nearest(&self.ends, last.end_ns)?,
            is_named,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{parse_zone, zone_name};

    #[test]
    fn zones_are_read_and_named() {
        for (text, name) in [
            ("UTC", "UTC"),
            ("Z", "UTC"),
            ("+02:00", "UTC+02:00"),
            ("-03:30", "UTC-03:30"),
            ("UTC+5:45", "UTC+05:45"),
            ("+9", "UTC+09:00"),
        ] {
            assert_eq!(parse_zone(text).map(zone_name).as_deref(), Some(name), "{text}");
        }
        for bad in ["", "2", "+", "+15", "+2:60", "CET", "+-2"] {
            assert_eq!(parse_zone(bad), None, "{bad}");
        }
    }
}
