//! What holds across inputs: the range of each share, the longest idle time of one cause, who came last.

use super::device_time::{cause_words, is_bound, is_circular};
use super::lead::{is_blind, lead_of};
use super::{Line, Sentence, Tone, own};
use crate::analyze::breakdown::Scope;
use crate::analyze::clock::{PlacedBy, PlacementRow};
use crate::analyze::ranks::{Cause, SlowLinkRow, SlowRankRow};
use crate::schema::{Pointer, Row, pointer};
use crate::table::{
    AnalyzeReport, BlameCellRow, BlameRow, BreakdownRow, Cell, DeviceRow, IdleRow, InputRow,
    StragglerRow, percent,
};

/// More runs than these are not named one by one.
const MAX_RUNS_NAMED: usize = 8;

/// The sentences; none for one input.
pub(super) fn across(report: &AnalyzeReport) -> Vec<Sentence> {
    if report.inputs.len() < 2 {
        // One of many, where one alone was asked for.
        return slow_rank(report).into_iter().collect();
    }
    let sentences = [
        several_runs(report),
        not_summed(report),
        slow_rank(report),
        slow_link(report),
        busy_kernels(report),
        waiting_ranks(report),
        waiting_threads(report),
        longest_idle(report),
        straggler(report),
        corrected_clock(report),
        clocks_not_compared(report),
    ];
    sentences.into_iter().flatten().collect()
}

/// A share of one row: number of the row, what it is of, whether it is a lower bound, part and whole in nanoseconds.
struct Share {
    number: usize,
    name: String,
    is_bound: bool,
    part_ns: i64,
    whole_ns: i64,
}

impl Share {
    fn percent(&self) -> f64 {
        percent(self.part_ns, self.whole_ns).unwrap_or(0.0)
    }
}

/// The smallest and the largest share, where there are two; the first of equals.
fn extremes(mut shares: Vec<Share>) -> Option<(Share, Share)> {
    shares.retain(|share| share.whole_ns > 0);
    shares.sort_by(|a, b| a.percent().total_cmp(&b.percent()).then(a.number.cmp(&b.number)));
    let most = shares.pop()?;
    (!shares.is_empty()).then(|| (shares.swap_remove(0), most))
}

/// Shares that differ by less do not read as two.
const SAME_PCT: f64 = 0.05;

/// `from 0.2 % (#2 …) to 0.4 % (#0 …)`, or the largest where all are about the same.
fn range<R: Row>(
    line: Line,
    (least, most): (Share, Share),
    [part, whole]: [fn(&Pointer<R>) -> String; 2],
) -> Line {
    let share = |line: Line, share: Share| {
        let at = Pointer::row(share.number);
        line.share_from(
            share.is_bound,
            (share.part_ns, part(&at)),
            (share.whole_ns, whole(&at)),
            None,
        )
        .words(format!(" ({})", share.name))
    };
    if most.percent() - least.percent() < SAME_PCT {
        let line = if most.is_bound { line } else { line.words("at most ") };
        return share(line, most);
    }
    share(share(line, least).words(" to "), most)
}

/// `Compute kernels were busy for 0.2 % (#2 …) to 0.4 % (#0 …) of the window, communication for …`
fn busy_kernels(report: &AnalyzeReport) -> Option<Sentence> {
    let shares = |part: fn(&DeviceRow) -> i64| {
        let share = |(number, row): (usize, &DeviceRow)| Share {
            number,
            name: device_name(report, row),
            is_bound: is_bound(report, row),
            part_ns: part(row),
            whole_ns: row.window_ns,
        };
        extremes(report.devices.iter().enumerate().map(share).collect())
    };
    let line = Line::new("Compute kernels were busy for ");
    let compute = shares(|row| row.compute_busy_ns)?;
    let window: fn(&Pointer<DeviceRow>) -> String = |at| pointer!(at.window_ns);
    let mut line = range::<DeviceRow>(line, compute, [|at| pointer!(at.compute_busy_ns), window]);
    if let Some(comm) = shares(|row| row.comm_busy_ns).filter(|(_, most)| most.part_ns > 0) {
        line = line.words(", communication for ");
        line = range::<DeviceRow>(line, comm, [|at| pointer!(at.comm_busy_ns), window]);
    }
    Some(line.words(" of the window.").see::<DeviceRow>())
}

/// `Of the time in collectives, 3.1 % (#7 …) to 88.0 % (#1 …) was waiting for other ranks.`
fn waiting_ranks(report: &AnalyzeReport) -> Option<Sentence> {
    let share = |(number, row): (usize, &DeviceRow)| {
        let name = device_name(report, row);
        let (part_ns, whole_ns) = (row.comm_wait_ns?, row.comm_busy_ns);
        Some(Share { number, name, is_bound: false, part_ns, whole_ns })
    };
    let shares = extremes(report.devices.iter().enumerate().filter_map(share).collect())?;
    let line = Line::new("Of the time in collectives, ");
    let fields: [fn(&Pointer<DeviceRow>) -> String; 2] =
        [|at| pointer!(at.comm_wait_ns), |at| pointer!(at.comm_busy_ns)];
    let line = range(line, shares, fields);
    Some(line.words(" was waiting for other ranks.").see::<DeviceRow>())
}

/// `Lead threads waited for 77.1 % (#0 …) to 83.1 % (#1 …) of the window.`
fn waiting_threads(report: &AnalyzeReport) -> Option<Sentence> {
    let leads = report.breakdown.iter().enumerate().filter(|(_, row)| row.scope == Scope::Lead);
    let share = |(number, row): (usize, &BreakdownRow)| {
        let name = report.name_of(row.input);
        let is_bound = lead_of(report, row).is_some_and(|(_, thread)| is_blind(thread));
        Some(Share { number, name, is_bound, part_ns: row.waiting_ns?, whole_ns: row.total_ns })
    };
    let shares = extremes(leads.filter_map(share).collect())?;
    if shares.1.part_ns == 0 {
        return None;
    }
    let line = Line::new("Lead threads waited for ");
    let fields: [fn(&Pointer<BreakdownRow>) -> String; 2] =
        [|at| pointer!(at.waiting_ns), |at| pointer!(at.total_ns)];
    let line = range(line, shares, fields);
    Some(line.words(" of the window.").see::<BreakdownRow>())
}

/// `The longest idle time of one cause: 37.8 ms of #1 … (82.8 % of its idle time) while its launching thread …`
fn longest_idle(report: &AnalyzeReport) -> Option<Sentence> {
    let causes = report.devices.iter().enumerate().flat_map(|(number, row)| {
        let causes = row.idle_by_cause.iter().enumerate();
        causes.filter_map(move |(i, cause)| Some((number, row, i, cause.cause, cause.ns?)))
    });
    let (number, row, i, cause, ns) =
        causes.max_by_key(|&(number, _, i, _, ns)| (ns, std::cmp::Reverse((number, i))))?;
    percent(ns, row.idle_ns).filter(|_| ns > 0)?;
    let at = Pointer::<DeviceRow>::row(number);
    let inside = at.inside::<IdleRow>(i);
    let line = Line::new(format!(
        "The longest idle time of one cause: {} was idle for ",
        device_name(report, row)
    ))
    .figure(Cell::Ns(ns), pointer!(inside.ns))
    .words(format!(" {}, ", cause_words(cause, is_circular(row, cause))))
    .share((ns, pointer!(inside.ns)), (row.idle_ns, pointer!(at.idle_ns)))
    .words(" of its idle time.");
    Some(line.see::<IdleRow>())
}

/// The input, and which of its devices where it has several.
fn device_name(report: &AnalyzeReport, row: &DeviceRow) -> String {
    let name = report.name_of(row.input);
    let n = own(&report.devices, row.input, |other| other.input).count();
    match row.device {
        Some(device) if n > 1 => format!("{name} device {device}"),
        _ => name,
    }
}

/// `#3 rank 3 takes 12.3 ms (5.0 %) longer than its like between waiting for them, mostly in NAME.`
fn slow_rank(report: &AnalyzeReport) -> Option<Sentence> {
    let row = report.slow_ranks.first()?;
    let at = Pointer::<SlowRankRow>::row(0);
    let mut line = Line::new(format!("{} takes ", report.name_of(row.input)))
        .figure(Cell::Ns(row.excess_ns), pointer!(at.excess_ns))
        .words(" (")
        .figure(Cell::or_none(row.excess_pct, Cell::Percent), pointer!(at.excess_pct))
        .words(") longer than its like between waiting for them: ")
        .words(cause_of(row.cause));
    if let Some(name) = &row.name {
        line = line.words(", most of it in ").name(name);
    }
    let more = report.slow_ranks.len() - 1;
    if more > 0 {
        line = line.words(format!("; {more} more stand out"));
    }
    Some(line.words(".").see::<SlowRankRow>())
}

fn cause_of(cause: Cause) -> &'static str {
    match cause {
        Cause::AllKernels => "its kernels are longer alike",
        Cause::Kernels => "some of its kernels are longer",
        Cause::Copies => "its copies are longer",
        Cause::GarbageCollection => "its host collects garbage while the device is idle",
        Cause::DataLoading => "its device waits for data",
        Cause::Host => "its device is idle longer",
        Cause::Unknown => "nothing recorded says in what",
    }
}

/// `Between ranks 3 and 7 OPERATION takes 2.1 ms, over like links 1.0 ms.`
fn slow_link(report: &AnalyzeReport) -> Option<Sentence> {
    let row = report.slow_links.first()?;
    let at = Pointer::<SlowLinkRow>::row(0);
    let line = Line::new("Over the link of ranks ")
        .name(&row.ranks)
        .words(" ")
        .name(&row.operation)
        .words(" takes ")
        .figure(Cell::Ns(row.median_ns), pointer!(at.median_ns))
        .words(", over like links ")
        .figure(Cell::Ns(row.others_ns), pointer!(at.others_ns));
    Some(line.words(" in the median, without waiting.").see::<SlowLinkRow>())
}

fn straggler(report: &AnalyzeReport) -> Option<Sentence> {
    let rows = report.stragglers.iter().enumerate();
    // Whoever is late because it waited itself is not whom to look at.
    let (number, row) = rows.min_by_key(|&(i, row)| (row.inherited_ns - row.caused_wait_ns, i))?;
    let is_within_error = row.error_ns.is_some_and(|ns| row.max_behind_first_ns <= ns);
    if row.n_last == 0 || is_within_error {
        return None;
    }
    let at = Pointer::<StragglerRow>::row(number);
    let mut line = Line::new(format!("{} was the last to start ", report.name_of(row.input)))
        .figure(Cell::Count(row.n_last), pointer!(at.n_last))
        .words(" of ")
        .figure(Cell::Count(row.n_matched), pointer!(at.n_matched))
        .words(" shared collectives; all others together waited ")
        .figure(Cell::Ns(row.caused_wait_ns), pointer!(at.caused_wait_ns))
        .words(" for it");
    if row.inherited_ns > 0 {
        line = line
            .words(", ")
            .figure(Cell::Ns(row.inherited_ns), pointer!(at.inherited_ns))
            .words(" of it because it had waited itself");
    }
    line = match row.error_ns {
        Some(error_ns) => line
            .words(" (clocks agree to ")
            .figure(Cell::Ns(error_ns), pointer!(at.error_ns))
            .words(")"),
        None => line.words(" (how far the clocks are apart is not known)"),
    };
    Some(line.words(".").see::<StragglerRow>())
}

/// `The inputs are of 2 runs (run 0 is #0; run 1 is #1): …`
fn several_runs(report: &AnalyzeReport) -> Option<Sentence> {
    let last = report.inputs.iter().max_by_key(|row| (row.run, std::cmp::Reverse(row.input)))?;
    let n_runs = u64::from(last.run) + 1;
    let of_run = |run: u32| {
        let own = report.inputs.iter().filter(|row| row.run == run);
        let numbers: Vec<String> = own.map(|row| format!("#{}", row.input)).collect();
        format!("run {run} is {}", numbers.join(", "))
    };
    let runs: Vec<String> = (0..=last.run).take(MAX_RUNS_NAMED).map(of_run).collect();
    let more = if runs.len() as u64 == n_runs { "" } else { ", …" };
    let root = Pointer::<AnalyzeReport>::root();
    let line = Line::new("The inputs are of ")
        .figure(Cell::Count(n_runs), pointer!(root.runs))
        .words(format!(
            " runs ({}{more}): kernels and profiler rows are summed within each, and nothing is compared across them. \
             --one-run takes all as one.",
            runs.join("; ")
        ));
    (n_runs > 1).then(|| line.tone(Tone::Caution).see::<InputRow>())
}

/// `#1 front end runs no part of the model: it is in no sum over inputs.`
fn not_summed(report: &AnalyzeReport) -> Option<Sentence> {
    let inputs = report.runs.iter().flat_map(|run| &run.not_summed);
    let names: Vec<String> = inputs.map(|&input| report.name_of(input)).collect();
    let verb = if names.len() == 1 { "is" } else { "are" };
    let words = format!(
        "{} {verb} of no rank: kernels, operators and profiler rows over all inputs are summed without.",
        names.join(", ")
    );
    (!names.is_empty()).then(|| Line::new(words).tone(Tone::Caution).see::<InputRow>())
}

/// `The clock of #3 rank 3 was 5.0 ms off by shared collectives: its times are corrected, good to 6.8 us.`
fn corrected_clock(report: &AnalyzeReport) -> Option<Sentence> {
    let corrected = || {
        report.placements.iter().enumerate().filter(|(_, row)| {
            row.correction_ns != 0
                && matches!(row.placement, PlacedBy::BaseTime | PlacedBy::Absolute)
        })
    };
    let (number, row) =
        corrected().max_by_key(|(i, row)| (row.correction_ns.abs(), std::cmp::Reverse(*i)))?;
    let at = Pointer::<PlacementRow>::row(number);
    let line = match corrected().count() {
        1 => Line::new(format!("The clock of {} is off", report.name_of(row.input))),
        _ => Line::new(format!(
            "The clocks of several inputs are off, most that of {}",
            report.name_of(row.input)
        )),
    };
    let line = line
        .words(", by what it shares with other inputs: ")
        .figure(Cell::Ns(row.correction_ns), pointer!(at.correction_ns))
        .words(" are added to its times");
    let line = match row.error_ns {
        Some(error_ns) => {
            line.words(", good to ").figure(Cell::Ns(error_ns), pointer!(at.error_ns))
        }
        None => line,
    };
    Some(line.words(".").tone(Tone::Caution).see::<StragglerRow>())
}

/// What is said across inputs whose clocks were never compared.
fn clocks_not_compared(report: &AnalyzeReport) -> Option<Sentence> {
    let is_open = |row: &BlameRow| {
        row.wait_ns.is_some_and(|ns| ns > 0) && row.busy.iter().any(|cell| cell.error_ns.is_none())
    };
    let waited: Vec<String> = report
        .blame
        .iter()
        .filter(|row| is_open(row))
        .map(|row| format!("#{}", row.input))
        .collect();
    // Of others some may be compared, those of another stage for one.
    let open = || report.blame.iter().filter(|row| is_open(row));
    let is_compared =
        |row: &BlameRow| row.busy.iter().any(|c| c.other != row.input && c.error_ns.is_some());
    let others = if open().any(is_compared) { "some others" } else { "others" };
    let (clocks, are) = if waited.len() == 1 { ("clock", "is") } else { ("clocks", "are") };
    let words = format!(
        "No collective and no hand-off tells how far the {clocks} of {} {are} from those of {others}: who was busy \
         meanwhile is by times as recorded.",
        waited.join(", ")
    );
    (!waited.is_empty()).then(|| Line::new(words).tone(Tone::Caution).see::<BlameCellRow>())
}
