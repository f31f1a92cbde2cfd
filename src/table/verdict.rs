//! The verdict: what a report says first, in sentences made from figures.
//!
//! Every figure names the field of the machine output that it is, or the two whose quotient it is; nothing is said that
//! is not in one of them. What was not recorded is said to be so.

mod across;
mod cautions;
mod compared;
mod device_use;
mod doubts;
mod frames;
mod launches;
mod logs;
mod names;
mod path;
mod row;
mod times;

pub use self::compared::verdict_of_comparison;
pub use self::logs::verdict_of_logs;
pub use self::path::verdict_of_path;
pub(super) use self::row::verdict_view;
pub use self::row::{VerdictRow, verdict_summary};

use super::report::MANY_INPUTS;
use super::{
    ActivityRow, AnalyzeReport, BlameCellRow, BlameRow, BreakdownRow, Cell, DeviceRow, ExcludedRow,
    IdleRow, InputRow, IssueKind, IssueRow, IterationSummaryRow, KernelClassRow, KernelRow,
    KeyAverageRow, MemoryRow, Severity, StartupRow, StragglerRow, ThreadClassRow, ThreadRow,
    TotalsRow, TrustKind, TrustRow, percent,
};
use crate::analyze::breakdown::Scope;
use crate::analyze::host::ThreadKind;
use crate::analyze::idle::Cause;
use crate::analyze::iteration_names::Phase;
use crate::analyze::iterations::IterationFigure;
use crate::analyze::launch_stats::LaunchStatRow;
use crate::analyze::memory_live::{MemoryIterationRow, MemoryPeakRow};
use crate::analyze::memory_purpose::MemoryPurposeRow;
use crate::analyze::ranks::{SlowLinkRow, SlowRankRow};
use crate::analyze::roofline::{RooflineRow, UtilizationRow};
use crate::analyze::timeline::Class;
use crate::model::EventKind;
use crate::schema::{Pointer, Row, Spec, pointer, words};

/// Tables that the verdict is made from.
pub const VERDICT_OF: [&Spec; 21] = [
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
];

/// Shares below this many percent are not worth a sentence of their own.
const WORTH_TELLING_PCT: f64 = 1.0;

/// A smaller share reads as 0.
const ROUNDS_TO_NOTHING_PCT: f64 = 0.005;

/// A number of a sentence, and where the machine output has it.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// The number.
    pub cell: Cell,
    /// The command whose machine output has it.
    pub command: &'static str,
    /// JSON pointer of the field.
    pub path: String,
    /// JSON pointer of the whole, where the number is the share of `path` in it.
    pub of: Option<String>,
    /// What stands at `path`, where the number is a share of it.
    pub part: Option<i64>,
}

/// A part of a sentence.
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    /// Words.
    Words(String),
    /// A name from a trace.
    Name(String),
    /// A number.
    Figure(Figure),
}

impl Part {
    /// A number that stands beside its row and names no field.
    pub(super) fn plain(cell: Cell) -> Self {
        Self::Figure(Figure { cell, command: "analyze", path: String::new(), of: None, part: None })
    }
}

words! {
    /// How a sentence is to be taken.
    Tone {
        /// A finding.
        Finding "finding",
        /// What cannot be told, or only with care.
        Caution "caution",
        /// Data was lost.
        Loss "loss",
    }
}

/// One sentence.
#[derive(Clone, Debug, PartialEq)]
pub struct Sentence {
    /// How to take it.
    pub tone: Tone,
    /// Its parts.
    pub parts: Vec<Part>,
    /// The command and key of the table with its figures.
    pub table: (&'static str, &'static str),
}

/// The sentences about one input, or about all of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// What they are about.
    pub about: String,
    /// The one of several inputs that they are about.
    pub input: Option<usize>,
    /// The sentences, the weightiest first.
    pub sentences: Vec<Sentence>,
}

/// Builds a sentence.
struct Line {
    command: &'static str,
    tone: Tone,
    parts: Vec<Part>,
}

impl Line {
    fn new(words: impl Into<String>) -> Self {
        let parts = vec![Part::Words(words.into())];
        Self { command: "analyze", tone: Tone::Finding, parts }
    }

    fn of_logs(words: impl Into<String>) -> Self {
        Self { command: "stages", ..Self::new(words) }
    }

    fn tone(mut self, tone: Tone) -> Self {
        self.tone = tone;
        self
    }

    fn words(mut self, words: impl Into<String>) -> Self {
        self.parts.push(Part::Words(words.into()));
        self
    }

    fn name(mut self, name: &str) -> Self {
        self.parts.push(Part::Name(name.to_owned()));
        self
    }

    fn figure(mut self, cell: Cell, path: String) -> Self {
        self.parts.push(Part::Figure(Figure {
            cell,
            command: self.command,
            path,
            of: None,
            part: None,
        }));
        self
    }

    /// The share of one field in another.
    fn share(mut self, (part, path): (i64, String), (whole, of): (i64, String)) -> Self {
        let cell = Cell::or_none(percent(part, whole), Cell::Percent);
        let figure = Figure { cell, command: self.command, path, of: Some(of), part: Some(part) };
        self.parts.push(Part::Figure(figure));
        self
    }

    /// A share of what a noun says, which may be a lower bound; one that rounds to nothing is no figure then.
    fn share_from(
        self,
        is_bound: bool,
        part: (i64, String),
        whole: (i64, String),
        noun: Option<&str>,
    ) -> Self {
        let line = match percent(part.0, whole.0).filter(|_| is_bound) {
            Some(0.0) => return self.words(format!("no recorded {}", noun.unwrap_or("time"))),
            Some(pct) if pct < ROUNDS_TO_NOTHING_PCT => {
                return self.words(format!("hardly any recorded {}", noun.unwrap_or("time")));
            }
            _ if is_bound => self.words("at least "),
            _ => self,
        };
        let line = line.share(part, whole);
        match noun {
            Some(noun) => line.words(format!(" {noun}")),
            None => line,
        }
    }

    /// The sentence, whose figures a table has.
    fn see<R: Row>(self) -> Sentence {
        self.see_key(R::SPEC.key)
    }

    /// The same, of a table whose rows are also another's.
    fn see_key(self, table: &'static str) -> Sentence {
        Sentence { tone: self.tone, parts: self.parts, table: (self.command, table) }
    }
}

/// What a report of `analyze` comes to: first about all inputs, then about each; one input has one verdict.
pub fn verdict(report: &AnalyzeReport) -> Vec<Verdict> {
    let n = report.inputs.len();
    // Nobody reads a sentence about each of a thousand.
    let n_told = if n > MANY_INPUTS { 0 } else { n };
    let mut own: Vec<Vec<Sentence>> = (0..n_told).map(|input| of_input(report, input)).collect();
    let shared = cautions::shared(&mut own);
    own.iter_mut().for_each(|sentences| sentences.sort_by_key(|one| one.tone == Tone::Caution));
    let mut all: Vec<Sentence> = losses(report).chain(excluded(report)).collect();
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
        out.extend(device_time(report, number, device));
    }
    let is_snapshot = |row: &InputRow| row.events == 0 && row.snapshot.is_some();
    if devices.is_empty() && !is_snapshot(&report.inputs[input]) {
        out.push(no_device(report, input).tone(Tone::Caution).see::<TrustRow>());
    }
    out.extend(times::cautions(report, input));
    out.extend(doubts::doubts(report, input));
    let lead =
        own(&report.breakdown, input, |row| row.input).find(|(_, row)| row.scope == Scope::Lead);
    if let Some((number, row)) = lead {
        out.extend(lead_thread(report, number, row));
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
        out.extend(waited_for(report, number, row));
    }
    for &(number, device) in &devices {
        out.extend(exposed(number, device));
    }
    out.extend(device_use::lost(report, input));
    out.extend(device_use::memory(report, input));
    out.extend(device_use::allocator(report, input));
    let lengths = own(&report.iteration_summary, input, |row| row.input);
    out.extend(launches::bound(report, input));
    out.extend(
        lengths
            .filter(|(_, row)| row.figure == IterationFigure::Cpu)
            .map(|(n, row)| iterations(n, row)),
    );
    out
}

/// That nothing is known of devices, and whether that is because something was not read.
fn no_device(report: &AnalyzeReport, input: usize) -> Line {
    match own(&report.issues, input, |row| row.input)
        .find(|(_, row)| row.kind == IssueKind::UnreadActivity)
    {
        None => unrecorded_device(report, input),
        Some((number, row)) => {
            let at = Pointer::<IssueRow>::row(number);
            Line::new("No device activity was read, but ")
                .figure(Cell::Count(row.count), pointer!(at.count))
                .words(" pieces of activity are of kinds that are not read: devices may have been recorded in them.")
        }
    }
}

/// That no device activity was recorded, and what tells of devices all the same: launches, memory.
fn unrecorded_device(report: &AnalyzeReport, input: usize) -> Line {
    let mut trust = own(&report.trust, input, |row| row.input);
    let launches = trust.find(|(_, row)| row.check == TrustKind::LaunchWithoutActivity);
    let launches = launches.and_then(|(number, row)| Some((number, row.count.filter(|&n| n > 0)?)));
    if let Some((number, count)) = launches {
        let at = Pointer::<TrustRow>::row(number);
        return Line::new("No device activity was recorded, though ")
            .figure(Cell::Count(count), pointer!(at.count))
            .words(if count == 1 { " launch was" } else { " launches were" })
            .words(": what devices did is not in the file.");
    }
    let has_memory =
        own(&report.memory, input, |row| row.input).any(|(_, row)| row.device.is_some());
    Line::new(match has_memory {
        true => "No device activity was recorded: of devices nothing is known but their memory.",
        false => "No device activity was recorded: nothing can be said of devices.",
    })
}

/// The spans with the most time among those that no other table has.
fn other_activity(report: &AnalyzeReport, input: usize) -> Option<(usize, &ActivityRow)> {
    let is_told = |row: &ActivityRow| matches!(row.kind, EventKind::Other | EventKind::Async);
    own(&report.activity, input, |row| row.input).find(|(_, row)| is_told(row))
}

/// `Device 0: kernels were busy 2.1 % of 45.7 ms; idle 97.9 %, of which 76.7 % while …`
fn device_time(report: &AnalyzeReport, number: usize, row: &DeviceRow) -> Option<Sentence> {
    let is_missing = doubts::is_doubted(report, row.input, TrustKind::DeviceWorkMissing);
    let at = Pointer::<DeviceRow>::row(number);
    let whole = (row.window_ns, pointer!(at.window_ns));
    let idle_pct = percent(row.idle_ns, row.window_ns)?;
    let name = device_name(row);
    let is_bound = is_bound(report, row);
    let at_most =
        if is_bound && idle_pct < 100.0 - ROUNDS_TO_NOTHING_PCT { "at most " } else { "" };
    let compute = (row.compute_busy_ns, pointer!(at.compute_busy_ns));
    let mut line = Line::new(format!("{name}: compute kernels busy for "))
        .share_from(is_bound, compute, whole.clone(), None)
        .words(" of ")
        .figure(Cell::Ns(row.window_ns), pointer!(at.window_ns));
    if row.comm_busy_ns > 0 {
        let share = (row.comm_busy_ns, pointer!(at.comm_busy_ns));
        line = line.words(", communication for ").share_from(is_bound, share, whole.clone(), None);
    }
    line = line
        .words(format!(", idle for {at_most}"))
        .share((row.idle_ns, pointer!(at.idle_ns)), whole);
    let mut causes: Vec<(usize, Cause, i64)> = row
        .idle_by_cause
        .iter()
        .enumerate()
        .filter_map(|(i, cause)| Some((i, cause.cause, cause.ns?)))
        .filter(|&(_, _, ns)| percent(ns, row.idle_ns).is_some_and(|pct| pct >= WORTH_TELLING_PCT))
        .collect();
    causes.sort_by_key(|&(i, _, ns)| (-ns, i));
    for (nth, (i, cause, ns)) in causes.into_iter().take(2).enumerate() {
        let inside = at.inside::<IdleRow>(i);
        let part = (ns, pointer!(inside.ns));
        line = line
            .words(if nth == 0 { "; of that idle time " } else { ", " })
            .share(part, (row.idle_ns, pointer!(at.idle_ns)))
            .words(format!(" {}", cause_words(cause, is_missing || is_circular(row, cause))));
    }
    Some(line.words(".").see::<IdleRow>())
}

fn device_name(row: &DeviceRow) -> String {
    row.device.map_or("The device".to_owned(), |device| format!("Device {device}"))
}

/// Whether most of the idle time is a wait for the device that idles: then what was waited for is not in the file.
fn is_circular(row: &DeviceRow, cause: Cause) -> bool {
    let waited = row.idle_by_cause.iter().find(|one| one.cause == Cause::GpuSync);
    let waited_ns = waited.and_then(|one| one.ns).unwrap_or(0);
    cause == Cause::GpuSync && percent(waited_ns, row.idle_ns).is_some_and(|pct| pct > 50.0)
}

/// Whether activity of a device is known to be missing from its times: they are lower bounds, idle times upper ones.
fn is_bound(report: &AnalyzeReport, row: &DeviceRow) -> bool {
    [TrustKind::DeviceWorkMissing, TrustKind::LaunchesMissing]
        .into_iter()
        .any(|check| doubts::is_doubted(report, row.input, check))
        || times::lacks_activity(report, row.input)
}

/// What the launching thread was doing, after a share of idle time; `is_missing`: it waited for what is not in the file.
fn cause_words(cause: Cause, is_missing: bool) -> &'static str {
    match cause {
        Cause::GpuSync if is_missing => {
            "while its launching thread waited for device work that is not in the file"
        }
        Cause::IpcWait => "while its launching thread waited for another process",
        Cause::GpuSync => "while its launching thread waited for the device",
        Cause::OtherWait => "while its launching thread waited for a lock, a timer or another rank",
        Cause::Runtime => "while its launching thread was in runtime calls",
        Cause::ModuleLoading => "while its launching thread loaded device code",
        Cause::Profiler => "while its launching thread served the profiler itself",
        Cause::CpuOp => "while its launching thread ran operators",
        Cause::Python => "while its launching thread ran Python",
        Cause::NotRecorded => "for reasons that were not recorded",
    }
}

/// `The lead thread 594 waited 77.1 % of its time: ipc_wait 76.4 %, gpu_sync 0.7 %.`
fn lead_thread(report: &AnalyzeReport, number: usize, row: &BreakdownRow) -> Vec<Sentence> {
    let at = Pointer::<BreakdownRow>::row(number);
    let whole = || (row.total_ns, pointer!(at.total_ns));
    if row.total_ns == 0 {
        return Vec::new();
    }
    let tid = row.tid.as_ref().map_or(String::new(), |tid| format!(" {tid}"));
    let is_blind = lead_of(report, row).is_some_and(|(_, thread)| is_blind(thread));
    let mut line = Line::new(format!("Lead thread{tid}: ")).share_from(
        is_blind,
        (row.execution_ns, pointer!(at.execution_ns)),
        whole(),
        Some("execution"),
    );
    if let Some(waiting_ns) = row.waiting_ns {
        line = line.words(", ").share_from(
            is_blind,
            (waiting_ns, pointer!(at.waiting_ns)),
            whole(),
            Some("waiting"),
        );
        line = waits_of(report, row, line);
    }
    if row.unattributed_ns > 0 {
        line = line
            .words(", ")
            .share((row.unattributed_ns, pointer!(at.unattributed_ns)), whole())
            .words(" that no event explains");
    }
    let mut out = vec![line.words(".").see::<BreakdownRow>()];
    if is_blind {
        let words = match row.lacks(Class::IpcWait) {
            true => {
                "Without Python frames the lead thread's waits for other processes do not show: they are in what no event explains, and take at most that."
            }
            false => {
                "Without Python frames only those waits for other processes show that annotations name: their time is a lower bound."
            }
        };
        out.push(Line::new(words).tone(Tone::Caution).see::<TrustRow>());
    }
    out
}

/// Whether a thread has time that no event explains and no Python frames, which would tell Python and waits for other
/// processes: what is known of execution and waiting are lower bounds.
fn is_blind(thread: &ThreadRow) -> bool {
    let ns = |class| thread.classes.iter().find(|row| row.class == class).map(|row| row.ns);
    ns(Class::Python) == Some(None) && ns(Class::Unattributed).flatten().is_some_and(|ns| ns > 0)
}

/// The lead thread of a breakdown with its number among the threads.
fn lead_of<'a>(report: &'a AnalyzeReport, row: &BreakdownRow) -> Option<(usize, &'a ThreadRow)> {
    let is_lead = |thread: &ThreadRow| {
        thread.kind == ThreadKind::Work && Some(&thread.tid) == row.tid.as_ref()
    };
    own(&report.threads, row.input, |thread| thread.input).find(|(_, thread)| is_lead(thread))
}

/// The waits of the lead thread by class, in brackets.
fn waits_of(report: &AnalyzeReport, row: &BreakdownRow, mut line: Line) -> Line {
    let Some((t, thread)) = lead_of(report, row) else { return line };
    let at = Pointer::<ThreadRow>::around::<ThreadClassRow>(t);
    let mut opened = false;
    for (c, class) in thread.classes.iter().enumerate() {
        let (Some(ns), words) = (class.ns, wait_words(class.class)) else { continue };
        let is_told = percent(ns, thread.window_ns).is_some_and(|pct| pct >= WORTH_TELLING_PCT);
        let Some(words) = words.filter(|_| is_told) else { continue };
        let inside = at.inside::<ThreadClassRow>(c);
        line = line
            .words(if opened { ", " } else { " (" })
            .share((ns, pointer!(inside.ns)), (thread.window_ns, pointer!(at.window_ns)))
            .words(words);
        opened = true;
    }
    if opened { line.words(")") } else { line }
}

fn wait_words(class: Class) -> Option<&'static str> {
    match class {
        Class::IpcWait => Some(" IPC wait"),
        Class::GpuSync => Some(" waiting for the device"),
        Class::OtherWait => Some(" other waits"),
        _ => None,
    }
}

/// `While it waited for other processes (34.9 ms), stage 2 was busy for 23 %, …; for 56.7 % nobody recorded was.`
fn waited_for(report: &AnalyzeReport, number: usize, row: &BlameRow) -> Option<Sentence> {
    let wait_ns = row.wait_ns.filter(|&ns| ns > 0)?;
    let nobody_ns = row.nobody_ns?;
    let at = Pointer::<BlameRow>::around::<BlameCellRow>(number);
    let whole = || (wait_ns, pointer!(at.wait_ns));
    let mut own = own(&report.threads, row.input, |thread| thread.input);
    let is_bound = own.any(|(_, thread)| thread.kind == ThreadKind::Work && is_blind(thread));
    let at_least = if is_bound { "at least " } else { "" };
    let mut line = Line::new(format!("While it waited for other processes ({at_least}"))
        .figure(Cell::Ns(wait_ns), pointer!(at.wait_ns))
        .words("), ");
    let mut busy: Vec<_> =
        row.busy.iter().enumerate().filter(|(_, c)| c.other != row.input).collect();
    busy.retain(|(_, cell)| cell.busy_pct.is_some_and(|pct| pct >= WORTH_TELLING_PCT));
    busy.sort_by_key(|&(i, cell)| (-cell.busy_ns, i));
    busy.truncate(2);
    let and = if busy.is_empty() { "" } else { "and " };
    for (i, cell) in busy {
        let inside = at.inside::<BlameCellRow>(i);
        line = line
            .words(format!("{} was busy for ", report.name_of(cell.other)))
            .share((cell.busy_ns, pointer!(inside.busy_ns)), whole())
            .words(" of it, ");
    }
    let line = line.words(format!("{and}for ")).share((nobody_ns, pointer!(at.nobody_ns)), whole());
    Some(line.words(" of it nobody that was recorded was busy.").see::<BlameCellRow>())
}

/// Copies and collectives with no compute kernel beside them, where they cost a share of the window.
fn exposed(number: usize, row: &DeviceRow) -> Option<Sentence> {
    let at = Pointer::<DeviceRow>::row(number);
    let parts = [
        ("copies", row.exposed_copy_ns, pointer!(at.exposed_copy_ns)),
        ("collectives", row.exposed_comm_ns, pointer!(at.exposed_comm_ns)),
    ];
    let is_told = |ns: i64| percent(ns, row.window_ns).is_some_and(|pct| pct >= WORTH_TELLING_PCT);
    let mut line: Option<Line> = None;
    for (what, ns, path) in parts.into_iter().filter(|part| is_told(part.1)) {
        let start = match line.take() {
            Some(line) => line.words(format!(", {what} for ")),
            None => Line::new(format!(
                "{}, with no compute kernel beside them: {what} for ",
                device_name(row)
            )),
        };
        line = Some(start.share((ns, path), (row.window_ns, pointer!(at.window_ns))));
    }
    Some(line?.words(" of the window.").see::<DeviceRow>())
}

/// `8 decode iterations: median 2.1 ms on the CPU, longest 5.0 ms.`
fn iterations(number: usize, row: &IterationSummaryRow) -> Sentence {
    let at = Pointer::<IterationSummaryRow>::row(number);
    let phase = if row.phase == Phase::Unknown { "" } else { row.phase.as_str() };
    let space = if phase.is_empty() { "" } else { " " };
    let word = if row.count == 1 { "iteration" } else { "iterations" };
    let line = Line::new("")
        .figure(Cell::Count(row.count), pointer!(at.count))
        .words(format!("{space}{phase} {word} ({}): ", row.scheme.as_str()));
    let line = if row.count == 1 {
        line.figure(Cell::Ns(row.p50_ns), pointer!(at.p50_ns)).words(" on the CPU")
    } else if row.count == 2 {
        // The median by nearest rank of two is the smaller one.
        line.figure(Cell::Ns(row.min_ns), pointer!(at.min_ns))
            .words(" and ")
            .figure(Cell::Ns(row.max_ns), pointer!(at.max_ns))
            .words(" on the CPU")
    } else {
        line.words("median ")
            .figure(Cell::Ns(row.p50_ns), pointer!(at.p50_ns))
            .words(" on the CPU, longest ")
            .figure(Cell::Ns(row.max_ns), pointer!(at.max_ns))
    };
    line.words(".").see::<IterationSummaryRow>()
}

fn losses(report: &AnalyzeReport) -> impl Iterator<Item = Sentence> + '_ {
    let issues = report.issues.iter().enumerate();
    issues.filter(|(_, issue)| issue.severity >= Severity::DataLoss).map(|(number, issue)| {
        let at = Pointer::<IssueRow>::row(number);
        let place = match report.inputs.len() {
            1 => String::new(),
            _ => format!(" in {}", report.name_of(issue.input)),
        };
        Line::new(format!("Data was lost{place}: "))
            .figure(Cell::Count(issue.count), pointer!(at.count))
            .words(" × ")
            .figure(Cell::Text(issue.message.clone()), pointer!(at.message))
            .tone(Tone::Loss)
            .see::<IssueRow>()
    })
}

fn excluded(report: &AnalyzeReport) -> Option<Sentence> {
    if report.excluded_classes.is_empty() {
        return None;
    }
    let root = Pointer::<AnalyzeReport>::root();
    let totals = Pointer::<TotalsRow>::at(pointer!(root.totals));
    let line = Line::new(format!(
        "Left out of windows, CPU totals and shares of work threads: {}, ",
        Class::names(&report.excluded_classes)
    ))
    .figure(Cell::Ns(report.totals.excluded_ns), pointer!(totals.excluded_ns));
    Some(line.words(" in all.").tone(Tone::Caution).see::<ExcludedRow>())
}
