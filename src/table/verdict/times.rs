//! Cautions about times: what has no start, what has no end, what lies beyond the window.

use super::{Line, Sentence, Tone, WORTH_TELLING_PCT, own};
use crate::analyze::startup::CostKind;
use crate::schema::{Pointer, pointer};
use crate::table::{AnalyzeReport, Cell, DeviceRow, StartupRow, TrustKind, TrustRow, percent};

/// From which share of the window on the time before the first device activity is a caution.
const STARTUP_PCT: f64 = 40.0;

/// A line of the trust panel with its place in the machine output.
struct Check<'a> {
    row: &'a TrustRow,
    at: Pointer<TrustRow>,
}

impl<'a> Check<'a> {
    /// The line of an input about a check, where something was found.
    fn found(report: &'a AnalyzeReport, input: usize, check: TrustKind) -> Option<Self> {
        let mut rows = own(&report.trust, input, |row| row.input);
        let (number, row) = rows.find(|(_, row)| row.check == check)?;
        row.is_found().then(|| Self { row, at: Pointer::row(number) })
    }

    /// How often.
    fn count(&self, line: Line) -> Line {
        let at = &self.at;
        line.figure(Cell::or_none(self.row.count, Cell::Count), pointer!(at.count))
    }

    fn of(&self, line: Line) -> Line {
        let at = &self.at;
        line.figure(Cell::or_none(self.row.of, Cell::Count), pointer!(at.of))
    }

    /// The time that is affected.
    fn effect(&self, line: Line) -> Line {
        let at = &self.at;
        line.figure(Cell::or_none(self.row.effect_ns, Cell::Ns), pointer!(at.effect_ns))
    }

    fn share(&self, line: Line) -> Line {
        let whole = |value: Option<u64>| value.unwrap_or(0) as i64;
        let at = &self.at;
        line.share(
            (whole(self.row.count), pointer!(at.count)),
            (whole(self.row.of), pointer!(at.of)),
        )
    }
}

/// The cautions of an input.
pub(super) fn cautions(report: &AnalyzeReport, input: usize) -> Vec<Sentence> {
    let all = [untimed, unclosed_frames, open_begins, beyond_window, startup];
    let devices = own(&report.devices, input, |row| row.input);
    let overruns = devices.filter_map(|(number, row)| overrun(number, row));
    overruns.chain(all.into_iter().filter_map(|one| one(report, input))).collect()
}

/// Kernels that run past the next start of their stream: kernel time as written and with them cut.
fn overrun(number: usize, row: &DeviceRow) -> Option<Sentence> {
    let name = row.overrun_name.as_deref()?;
    let at = Pointer::<DeviceRow>::row(number);
    let ns = |line: Line, ns, path| line.figure(Cell::Ns(ns), path);
    let mut line = Line::new("").figure(Cell::Count(row.n_overruns), pointer!(at.n_overruns));
    line = line.words(" × a kernel that runs past the next start of its stream, ").name(name);
    line = ns(line.words(" by most, and by "), row.overrun_ns, pointer!(at.overrun_ns));
    line =
        ns(line.words(" in all: kernels sum to "), row.kernel_sum_ns, pointer!(at.kernel_sum_ns));
    line = ns(
        line.words(" as written and to "),
        row.kernel_sum_cut_ns,
        pointer!(at.kernel_sum_cut_ns),
    );
    line = ns(
        line.words(" with it cut there, busy for "),
        row.kernel_busy_ns,
        pointer!(at.kernel_busy_ns),
    );
    line = ns(line.words(" and "), row.kernel_busy_cut_ns, pointer!(at.kernel_busy_cut_ns));
    Some(line.words(".").tone(Tone::Caution).see::<DeviceRow>())
}

/// Whether kernels, copies or memsets are left out of busy times for want of a start.
pub(super) fn lacks_activity(report: &AnalyzeReport, input: usize) -> bool {
    Check::found(report, input, TrustKind::UntimedActivity).is_some()
}

fn untimed(report: &AnalyzeReport, input: usize) -> Option<Sentence> {
    let events = Check::found(report, input, TrustKind::UntimedEvents)?;
    let mut line = events.share(Line::new(""));
    line = events.of(events.count(line.words(" of the events (")).words(" of "));
    line = line.words(") have no usable start");
    if let Some(activity) = Check::found(report, input, TrustKind::UntimedActivity) {
        line = activity.of(activity.count(line.words(", among them ")).words(" of "));
        line = activity.effect(line.words(" kernels, copies and memsets, which took "));
    }
    let words =
        ": they are left out of windows, busy times and classes, so that those are lower bounds.";
    Some(line.words(words).tone(Tone::Caution).see::<TrustRow>())
}

fn unclosed_frames(report: &AnalyzeReport, input: usize) -> Option<Sentence> {
    let words = " × a Python frame without a recorded end: each was taken to end with the frame around it, which makes them ";
    let check = Check::found(report, input, TrustKind::UnclosedFrames)?;
    let line = check.effect(check.count(Line::new("")).words(words));
    Some(line.words(" shorter in all than written.").tone(Tone::Caution).see::<TrustRow>())
}

fn open_begins(report: &AnalyzeReport, input: usize) -> Option<Sentence> {
    let words = " × a begin event without an end: each was taken to end with the event around it, or with the trace, which gives them ";
    let check = Check::found(report, input, TrustKind::OpenBegins)?;
    let line = check.effect(check.count(Line::new("")).words(words));
    Some(line.words(" in all.").tone(Tone::Caution).see::<TrustRow>())
}

fn beyond_window(report: &AnalyzeReport, input: usize) -> Option<Sentence> {
    let words = " × an operator, annotation or frame that ends after the profiled window: what lies beyond it, ";
    let check = Check::found(report, input, TrustKind::BeyondWindow)?;
    let line = check.effect(check.count(Line::new("")).words(words));
    Some(line.words(" in all, is in no time account.").tone(Tone::Caution).see::<TrustRow>())
}

/// The time before the first device activity where it is much of the window, with the costs that take most of it.
fn startup(report: &AnalyzeReport, input: usize) -> Option<Sentence> {
    let rows: Vec<_> = own(&report.startup, input, |row| row.input).collect();
    let &(number, first) = rows.iter().find(|(_, row)| row.cost == CostKind::BeforeDevice)?;
    let told = |ns: i64, pct: f64| percent(ns, first.window_ns).is_some_and(|share| share >= pct);
    if !told(first.ns, STARTUP_PCT) {
        return None;
    }
    let at = Pointer::<StartupRow>::row(number);
    let whole = (first.window_ns, pointer!(at.window_ns));
    let mut line = Line::new("").share((first.ns, pointer!(at.ns)), whole);
    line = line.words(" of the window (").figure(Cell::Ns(first.ns), pointer!(at.ns));
    line = line.words(") lies before the first device activity");
    let mut costs: Vec<_> =
        rows.into_iter().filter(|(_, row)| row.cost != CostKind::BeforeDevice).collect();
    costs.retain(|(_, row)| told(row.before_device_ns, WORTH_TELLING_PCT));
    costs.sort_by_key(|&(number, row)| (-row.before_device_ns, number));
    for (nth, (number, row)) in costs.into_iter().take(3).enumerate() {
        line = line.words(if nth == 0 { "; one-time costs in it: " } else { ", " });
        let at = Pointer::<StartupRow>::row(number);
        line = line.figure(Cell::Ns(row.before_device_ns), pointer!(at.before_device_ns));
        line = line.words(format!(" {}", cost_words(row.cost)));
    }
    Some(line.words(".").tone(Tone::Caution).see::<StartupRow>())
}

/// What a one-time cost is, after its time.
fn cost_words(cost: CostKind) -> &'static str {
    match cost {
        CostKind::Profiler => "for the profiler itself",
        CostKind::ModuleLoading => "loading device code",
        CostKind::Autotuning => "autotuning",
        CostKind::Compilation => "compiling",
        CostKind::Context => "creating contexts and handles",
        CostKind::Allocation => "taking or freeing device memory",
        CostKind::Library => "in first calls of a library",
        CostKind::BeforeDevice | CostKind::FirstLaunch => "in first launches",
    }
}
