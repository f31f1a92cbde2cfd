//! What a comparison of two sides comes to.

use super::{Line, Sentence, Tone, Verdict};
use crate::analyze::units::Side;
use crate::compare::{
    BucketRow, CauseRow, CautionRow, ClassRow, Comparison, CountRow, DifferenceRow, GateRow,
    LaneRow, PathChangeRow, Verdict as Word,
};
use crate::schema::{Pointer, Row as _, pointer};
use crate::table::diff::OTHER_CAUSES;
use crate::table::{Cell, percent};

/// Causes that are told.
const N_CAUSES: usize = 3;

/// Shares of an iteration below this many percent are not told as causes.
const CAUSE_WORTH_TELLING_PCT: f64 = 0.1;

/// The sentences about a comparison: how the sides are set up first, then which is faster, then why.
pub fn verdict_of_comparison(comparison: &Comparison) -> Verdict {
    let mut sentences: Vec<Sentence> = setup(comparison).into_iter().collect();
    match &comparison.total {
        None => sentences.push(
            line("Nothing of A can be compared with anything of B: the cautions say why.")
                .tone(Tone::Caution)
                .see::<CautionRow>(),
        ),
        Some(total) => {
            sentences.push(difference(total));
            sentences.extend(mix(total));
            sentences.extend(scale(total, comparison.gates.is_empty()));
            sentences.extend(gates(comparison));
            let root = Pointer::<Comparison>::root();
            let (own, other) = (pointer!(root.causes), pointer!(root.other_causes));
            sentences.extend(causes(CauseRow::SPEC.key, &own, &comparison.causes, total));
            sentences.extend(causes(OTHER_CAUSES, &other, &comparison.other_causes, total));
            sentences.extend(device_classes(comparison, total));
            sentences.extend(moved(comparison, total));
            sentences.extend(launches(comparison, total));
        }
    }
    Verdict { about: "B against A".to_owned(), input: None, sentences }
}

fn line(words: impl Into<String>) -> Line {
    Line { command: "diff", ..Line::new(words) }
}

/// Where the lane that decides stands.
fn total_at() -> Pointer<LaneRow> {
    let root = Pointer::<Comparison>::root();
    Pointer::at(pointer!(root.total))
}

fn ns(ns: i64) -> Cell {
    Cell::Ns(ns)
}

/// What differs in how the sides are set up.
fn setup(comparison: &Comparison) -> Option<Sentence> {
    let rows = comparison.differences.iter().enumerate().filter(|(_, row)| row.matters);
    let rows: Vec<_> = rows.collect();
    if rows.is_empty() {
        return None;
    }
    let mut said = line("The sides are set up differently: ");
    let text = |value: &Option<String>| {
        Cell::Text(value.clone().unwrap_or_else(|| "not recorded".to_owned()))
    };
    for (nth, (number, row)) in rows.iter().enumerate() {
        let at = Pointer::<DifferenceRow>::row(*number);
        said = said
            .words(format!("{}{} is ", if nth > 0 { "; " } else { "" }, row.what))
            .figure(text(&row.a), pointer!(at.a))
            .words(" in A and ")
            .figure(text(&row.b), pointer!(at.b))
            .words(" in B");
    }
    let said = said.words(". What follows may come of that alone.");
    Some(said.tone(Tone::Caution).see::<DifferenceRow>())
}

/// Which side is faster, by how much, and how sure that is.
fn difference(total: &LaneRow) -> Sentence {
    let head = match total.verdict {
        Word::Regression => "B is slower",
        Word::Improvement => "B is faster",
        Word::NoChangeShown if total.leaves_out_zero() => {
            "No change of the program beyond the limits is shown"
        }
        Word::NoChangeShown => "No change is shown",
        Word::Inconclusive => "The data do not decide it",
    };
    let at = total_at();
    let mut said = line(format!("{head}: an iteration ("))
        .words(format!("{}, ", total.unit))
        .figure(Cell::Count(total.n_a), pointer!(at.n_a))
        .words(" of A, ")
        .figure(Cell::Count(total.n_b), pointer!(at.n_b))
        .words(" of B) takes ")
        .figure(ns(total.a_ns), pointer!(at.a_ns))
        .words(" in A and ")
        .figure(ns(total.b_ns), pointer!(at.b_ns))
        .words(" in B, a difference of ")
        .figure(ns(total.diff_ns), pointer!(at.diff_ns))
        .words(" or ")
        .figure(Cell::or_none(total.diff_pct, Cell::Percent), pointer!(at.diff_pct));
    if let (Some(low), Some(high)) = (total.low_ns, total.high_ns) {
        said = said
            .words(" (95 % interval ")
            .figure(ns(low), pointer!(at.low_ns))
            .words(" to ")
            .figure(ns(high), pointer!(at.high_ns))
            .words(")");
    }
    let is_open = match total.verdict {
        Word::NoChangeShown => !total.leaves_out_zero(),
        verdict => verdict == Word::Inconclusive,
    };
    if let Some(detectable) = total.detectable_ns.filter(|_| is_open) {
        said = said
            .words("; these data could show one of ")
            .figure(ns(detectable), pointer!(at.detectable_ns));
    }
    let tone = if total.verdict == Word::Inconclusive { Tone::Caution } else { Tone::Finding };
    said.words(".").tone(tone).see::<LaneRow>()
}

fn mix(total: &LaneRow) -> Option<Sentence> {
    (total.mix_ns != 0).then(|| {
        let at = total_at();
        line("")
            .figure(ns(total.mix_ns), pointer!(at.mix_ns))
            .words(" of the difference come of another mix of iterations, ")
            .figure(ns(total.rate_ns), pointer!(at.rate_ns))
            .words(" of equal iterations: ")
            .figure(Cell::or_none(total.rate_pct, Cell::Percent), pointer!(at.rate_pct))
            .words(" of theirs in A.")
            .see::<BucketRow>()
    })
}

/// Scales below this many percent are not told where the difference is decided.
const SCALE_WORTH_TELLING_PCT: f64 = 1.0;

/// What scaled all work alike, which one run a side cannot tell from the machine.
fn scale(total: &LaneRow, is_ungated: bool) -> Option<Sentence> {
    let common = total.common_pct?;
    let is_open = total.verdict == Word::Inconclusive;
    if !is_open && common.abs() < SCALE_WORTH_TELLING_PCT {
        return None;
    }
    let at = total_at();
    let percent = |value| Cell::or_none(value, Cell::Percent);
    let time = |value| Cell::or_none(value, Cell::Ns);
    let said = line("The time of equal work changes by ")
        .figure(percent(total.common_pct), pointer!(at.common_pct))
        .words(" in B, by the median of ")
        .figure(Cell::Count(total.common_names), pointer!(at.common_names))
        .words(" names, which stray by ")
        .figure(percent(total.common_spread_pct), pointer!(at.common_spread_pct))
        .words(": one run a side cannot tell that from a slower or faster machine. Without it the difference is ")
        .figure(time(total.excess_ns), pointer!(at.excess_ns))
        .words(" (95 % interval ")
        .figure(time(total.excess_low_ns), pointer!(at.excess_low_ns))
        .words(" to ")
        .figure(time(total.excess_high_ns), pointer!(at.excess_high_ns))
        .words(")");
    let said = match total.runs_needed.filter(|_| is_ungated) {
        Some(n) => said
            .words("; about ")
            .figure(Cell::Count(n), pointer!(at.runs_needed))
            .words(" runs a side would decide it (--a RUN RUN … --b RUN RUN …)"),
        None => said,
    };
    let tone = if is_open { Tone::Caution } else { Tone::Finding };
    Some(said.words(".").tone(tone).see::<LaneRow>())
}

fn gates(comparison: &Comparison) -> Vec<Sentence> {
    let failed = comparison
        .gates
        .iter()
        .enumerate()
        .filter(|(_, row)| matches!(row.verdict, Word::Regression | Word::Inconclusive));
    failed
        .map(|(number, row)| {
            let at = Pointer::<GateRow>::row(number);
            let percent = |value| Cell::or_none(value, Cell::Percent);
            let how = match row.verdict {
                Word::Regression => " is exceeded: ",
                _ => " is not decided: ",
            };
            let said = line(format!("The gate {} = ", row.gate))
                .figure(Cell::Percent(row.limit_pct), pointer!(at.limit_pct));
            if row.diff_pct.is_none() {
                let said = said.words(" is not decided: A has nothing that it measures.");
                return said.see::<GateRow>();
            }
            let said = said
                .words(how)
                .figure(percent(row.diff_pct), pointer!(at.diff_pct))
                .words(", 95 % interval ")
                .figure(percent(row.low_pct), pointer!(at.low_pct))
                .words(" to ")
                .figure(percent(row.high_pct), pointer!(at.high_pct));
            let said = match (row.excess_low_pct, row.excess_high_pct) {
                (Some(_), Some(_)) => said
                    .words("; without what scales all work alike ")
                    .figure(percent(row.excess_pct), pointer!(at.excess_pct))
                    .words(" (")
                    .figure(percent(row.excess_low_pct), pointer!(at.excess_low_pct))
                    .words(" to ")
                    .figure(percent(row.excess_high_pct), pointer!(at.excess_high_pct))
                    .words(")"),
                _ => said,
            };
            let said = needed(said, row, &at);
            said.words(".").see::<GateRow>()
        })
        .collect()
}

/// How many iterations and runs a side would decide a gate.
fn needed(said: Line, row: &GateRow, at: &Pointer<GateRow>) -> Line {
    let units = row.n_needed.map(|n| (n, pointer!(at.n_needed), " iterations"));
    let runs = row.runs_needed.map(|n| (n, pointer!(at.runs_needed), " runs"));
    let parts: Vec<_> = units.into_iter().chain(runs).collect();
    let n_parts = parts.len();
    let said = parts.into_iter().enumerate().fold(said, |said, (nth, (n, pointer, what))| {
        said.words(if nth == 0 { "; about " } else { " and " })
            .figure(Cell::Count(n), pointer)
            .words(what)
    });
    if n_parts == 0 { said } else { said.words(" a side would decide it") }
}

/// The first causes of an account.
fn causes(table: &'static str, list: &str, rows: &[CauseRow], total: &LaneRow) -> Option<Sentence> {
    let is_worth = |&(_, row): &(usize, &CauseRow)| {
        percent(row.diff_ns, total.a_ns).is_some_and(|pct| pct.abs() >= CAUSE_WORTH_TELLING_PCT)
    };
    let mut told = rows.iter().enumerate().take(N_CAUSES).filter(is_worth).peekable();
    let account = match told.peek()?.1.account {
        Side::Device => "On the device: ",
        Side::Lead => "On the lead thread: ",
    };
    let mut said = line(account);
    for (nth, (number, row)) in told.enumerate() {
        let at = Pointer::<CauseRow>::nth(list, number);
        said = said
            .words(format!("{}{} ", if nth > 0 { "; " } else { "" }, row.class))
            .name(&row.name)
            .words(" ")
            .figure(ns(row.diff_ns), pointer!(at.diff_ns))
            .words(" (")
            .figure(ns(row.a_ns), pointer!(at.a_ns))
            .words(" to ")
            .figure(ns(row.b_ns), pointer!(at.b_ns))
            .words(if row.is_shown { ")" } else { ", not shown to be real)" });
    }
    Some(said.words(".").see_key(table))
}

/// What kernels and idle time of the device came to.
fn device_classes(comparison: &Comparison, total: &LaneRow) -> Option<Sentence> {
    let rows = || comparison.classes.iter().enumerate().filter(|(_, row)| row.lane == total.lane);
    let of =
        |class: &str| rows().find(|(_, row)| row.account == Side::Device && row.class == class);
    let (kernel, idle) = (of("kernel")?, of("idle")?);
    let part = |said: Line, (number, row): (usize, &ClassRow)| {
        let at = Pointer::<ClassRow>::row(number);
        said.figure(ns(row.a_ns), pointer!(at.a_ns))
            .words(" of an iteration in A and ")
            .figure(ns(row.b_ns), pointer!(at.b_ns))
            .words(" in B")
    };
    let said = part(line("Kernels ran for "), kernel).words("; the device was idle for ");
    Some(part(said, idle).words(".").see::<ClassRow>())
}

/// A part of the critical path has moved where it changed by this share of the iteration of A, and certainly.
const MOVED_PCT: f64 = 3.0;

/// Where the critical path moved: of its parts those that changed.
fn moved(comparison: &Comparison, total: &LaneRow) -> Option<Sentence> {
    let own = comparison.paths.iter().enumerate().filter(|(_, row)| row.lane == total.lane);
    let is_certain = |row: &PathChangeRow| {
        row.low_ns.is_some_and(|ns| ns > 0) || row.high_ns.is_some_and(|ns| ns < 0)
    };
    let is_moved = |row: &PathChangeRow| {
        is_certain(row) && row.diff_pct.is_some_and(|pct| pct.abs() >= MOVED_PCT)
    };
    let moved: Vec<_> = own.filter(|(_, row)| is_moved(row)).collect();
    let mut said = line("The critical path moved: of an iteration it is in ");
    for (nth, (number, row)) in moved.iter().enumerate() {
        let at = Pointer::<PathChangeRow>::row(*number);
        said = said
            .words(if nth > 0 { "; in " } else { "" })
            .words(if row.part == "host" { "host code" } else { row.part })
            .words(" for ")
            .figure(ns(row.a_ns), pointer!(at.a_ns))
            .words(" in A and ")
            .figure(ns(row.b_ns), pointer!(at.b_ns))
            .words(" in B");
    }
    (!moved.is_empty()).then(|| said.words(".").see::<PathChangeRow>())
}

/// Changes below this many percent are no change of launches.
const SAME_LAUNCHES_PCT: f64 = 1.0;

/// Whether an iteration starts more or less work.
fn launches(comparison: &Comparison, total: &LaneRow) -> Option<Sentence> {
    let own = comparison.counts.iter().enumerate().filter(|(_, row)| row.lane == total.lane);
    let changed: Vec<_> = own
        .clone()
        .filter(|(_, row)| ["launches", "kernels"].contains(&row.what))
        .map(|(number, row)| {
            (number, row, row.diff.abs() * 100.0 >= row.a.max(row.b) * SAME_LAUNCHES_PCT)
        })
        .collect();
    if !changed.iter().any(|change| change.2) {
        return None;
    }
    let mut said = line("An iteration has ");
    for (nth, (number, row, is_changed)) in changed.iter().enumerate() {
        let at = Pointer::<CountRow>::row(*number);
        let how = if *is_changed { " in B" } else { " in B, which is no change" };
        said = said
            .words(if nth > 0 { ", and " } else { "" })
            .figure(Cell::Rate(row.a), pointer!(at.a))
            .words(format!(" {} in A and ", row.what))
            .figure(Cell::Rate(row.b), pointer!(at.b))
            .words(how);
    }
    Some(said.words(".").see::<CountRow>())
}
