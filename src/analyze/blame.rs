//! Who waited for whom: while the work threads of one input waited for another process, which inputs were busy; and
//! which rank comes late to its collectives.

use rayon::prelude::*;
use serde::Serialize;

use super::across::Busy;
use super::clock::{ClockRow, Placed, Placement, TimedInput, clock_checks_of, placements, span_on};
use super::inherited::Pasts;
use super::intervals::{Intervals, Span};
use super::percent;
use crate::align::{Matched, Together};
use crate::schema::tables;

tables! {
    /// One input, while another one waited.
    BlameCellRow: "blame", "Who was busy while one waited for another process", "Who was busy while one input waited for another process?", groups 3, on Waits 2, inside "blame" "busy" {
        #[serde(skip)]
        input: usize, Count, All, "#", "number of the input that waited";
        #[serde(skip)]
        wait_ns: Option<i64>, Ns, All, "waited", "IPC wait of its work threads, as a union";
        #[serde(skip)]
        nobody_ns: Option<i64>, Ns, All, "nobody", "of the wait, when no input that was recorded was busy";
        #[serde(rename = "input")]
        other: usize, Count, All, "other", "number of the other input: in the machine output `input` of `busy`";
        busy_ns: i64, Ns, All, "busy", "of the wait, when the other was busy";
        busy_pct: Option<f64>, Percent, All, "share", "busy, of the wait";
        device_ns: i64, Ns, All, "device", "the other's devices were busy";
        host_ns: i64, Ns, All, "host only", "its work threads were, its devices not";
        unrecorded_ns: i64, Ns, All, "unrecorded", "the other was not recorded";
        error_ns: Option<i64>, Ns, All, "± clocks", "by how much the two clocks may be apart";
    }
}

/// Who was busy while one input waited, as the machine output gives it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BlameRow {
    /// The input that waited.
    pub input: usize,
    /// IPC wait of its work threads, as a union; `None` where no Python frames or annotations show waits.
    pub wait_ns: Option<i64>,
    /// Of it, when no input that was recorded at the time was busy.
    pub nobody_ns: Option<i64>,
    /// The inputs on the common time line, itself included.
    pub busy: Vec<BlameCellRow>,
}

tables! {
    /// One rank's way to the collectives that it shares with others.
    StragglerRow: "stragglers", "Who comes late to shared collectives", "Which rank comes late to shared collectives?", groups 0, on Waits 3 {
        input: usize, Count, All, "#", "number of the input";
        n_matched: u64, Count, All, "shared", "collectives that another input shows";
        n_last: u64, Count, All, "last", "how often it was the last to start";
        last_pct: f64, Percent, Room, "last %", "of the shared collectives";
        behind_first_ns: i64, Ns, All, "behind first", "when last: after the first, sum";
        max_behind_first_ns: i64, Ns, Room, "at most", "when last: after the first, at most";
        caused_wait_ns: i64, Ns, All, "others waited", "what all others waited for it";
        inherited_ns: i64, Ns, All, "not its own", "of that, what it had itself waited for ranks that these others did not meet in between: it is late because of those";
        own_wait_ns: i64, Ns, All, "it waited", "what it waited for the last";
        error_ns: Option<i64>, Ns, All, "± clocks", "a single difference may be wrong by this much";
    }
}

/// The figures across inputs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Blame {
    /// How each input came on the common time line.
    pub placed: Vec<Placed>,
    /// How well the clocks of inputs with shared collectives agree, against the first input that shares some.
    pub clocks: Vec<ClockRow>,
    /// Who waited for whom, by input.
    pub rows: Vec<BlameRow>,
    /// Ranks with shared collectives, by input.
    pub stragglers: Vec<StragglerRow>,
    /// Collectives that at least two inputs show.
    pub n_matched: u64,
}

/// The figures across several inputs; only those of one run are compared.
pub fn blame(inputs: &[TimedInput<'_>], together: &Together) -> Blame {
    let placed = placements(&together.alignment);
    let (rows, (clocks, (stragglers, n_matched))) = rayon::join(
        || rows(inputs, &placed, &together.runs),
        || {
            rayon::join(
                || clock_checks(together, &placed),
                || {
                    let (shared, pasts) = rayon::join(
                        || shared(inputs, &together.matched),
                        || Pasts::of(inputs.len(), &together.matched),
                    );
                    (stragglers(&shared, &placed, &pasts), shared.len() as u64)
                },
            )
        },
    );
    Blame { placed, clocks, rows, stragglers, n_matched }
}

/// Who was busy while each waited.
fn rows(inputs: &[TimedInput<'_>], placed: &[Placed], runs: &[u32]) -> Vec<BlameRow> {
    let side = |(i, input)| Side::new(input, placed[i], runs[i]);
    let sides: Vec<Side> = inputs.par_iter().enumerate().map(side).collect();
    if inputs.len() > MAX_PAIRWISE {
        return blame_of_many(&sides);
    }
    (0..inputs.len()).into_par_iter().map(|input| blame_row(input, &sides)).collect()
}

/// The collectives that several inputs show in what is looked at of them: the spans by input.
fn shared(inputs: &[TimedInput<'_>], matched: &[Matched]) -> Vec<Vec<(usize, Span)>> {
    let in_window = |&(input, span): &(usize, Span)| {
        let across = inputs[input].across;
        let window = across.window;
        !across.is_clipped || window.start_ns < span.end_ns && span.start_ns < window.end_ns
    };
    let spans = |one: &Matched| -> Vec<(usize, Span)> {
        let on = one.calls.iter().filter_map(|&(i, _)| Some((i, span_on(one, i)?)));
        on.filter(in_window).collect()
    };
    let collectives = matched.iter().filter(|one| one.is_collective());
    collectives.map(spans).filter(|spans| spans.len() > 1).collect()
}

/// One input on the common time line.
struct Side {
    run: u32,
    placed: Placed,
    busy: Busy,
}

impl Side {
    fn new(input: &TimedInput<'_>, placed: Placed, run: u32) -> Self {
        Self { run, placed, busy: input.across.busy.shifted(placed.offset_ns) }
    }

    /// Whether another one can be held against it: both on the common time line, of one run.
    fn is_beside(&self, other: &Self) -> bool {
        let is_placed = |side: &Self| side.placed.placement != Placement::None;
        self.run == other.run && is_placed(self) && is_placed(other)
    }
}

/// Most inputs of which each is held against each: beyond, nobody reads the pairs, and they would be millions.
const MAX_PAIRWISE: usize = 64;

/// Of many inputs: what each waited, and of that when nobody was busy, without who was.
fn blame_of_many(sides: &[Side]) -> Vec<BlameRow> {
    let n_runs = sides.iter().map(|side| side.run as usize + 1).max().unwrap_or(0);
    let mut spans: Vec<Vec<Span>> = vec![Vec::new(); n_runs];
    let is_placed = |side: &Side| side.placed.placement != Placement::None;
    for side in sides.iter().filter(|side| is_placed(side)) {
        let busy = [&side.busy.device, &side.busy.host];
        spans[side.run as usize].extend(busy.into_iter().flat_map(Intervals::spans));
    }
    let all: Vec<Intervals> = spans.into_par_iter().map(Intervals::union_of).collect();
    let row = |(input, side): (usize, &Side)| {
        let nobody = |waits: &Intervals| {
            let left = waits.subtract(&side.busy.device).subtract(&side.busy.host);
            if is_placed(side) { left.subtract(&all[side.run as usize]) } else { left }
        };
        let waits = side.busy.waits.as_ref();
        BlameRow {
            input,
            wait_ns: waits.map(Intervals::total_ns),
            nobody_ns: waits.map(|waits| nobody(waits).total_ns()),
            busy: Vec::new(),
        }
    };
    sides.par_iter().enumerate().map(row).collect()
}

fn blame_row(input: usize, sides: &[Side]) -> BlameRow {
    let side = &sides[input];
    let Some(waits) = &side.busy.waits else {
        return BlameRow { input, wait_ns: None, nobody_ns: None, busy: Vec::new() };
    };
    let (wait_ns, mut busy) = (waits.total_ns(), Vec::new());
    let mut unexplained = waits.clone();
    for (other, looked_at) in sides.iter().enumerate() {
        // Its own figures need no common time line.
        if other != input && !side.is_beside(looked_at) {
            continue;
        }
        let error_ns =
            if other == input { Some(0) } else { side.placed.error_to(&looked_at.placed) };
        let theirs = &looked_at.busy;
        unexplained = unexplained.subtract(&theirs.device).subtract(&theirs.host);
        let device_ns = waits.intersect(&theirs.device).total_ns();
        let host_ns = waits.intersect(&theirs.host).total_ns();
        busy.push(BlameCellRow {
            input,
            wait_ns: Some(wait_ns),
            nobody_ns: None,
            other,
            busy_ns: device_ns + host_ns,
            busy_pct: percent(device_ns + host_ns, wait_ns),
            device_ns,
            host_ns,
            unrecorded_ns: waits.subtract(&theirs.recorded).total_ns(),
            error_ns,
        });
    }
    let nobody_ns = Some(unexplained.total_ns());
    busy.iter_mut().for_each(|cell| cell.nobody_ns = nobody_ns);
    BlameRow { input, wait_ns: Some(wait_ns), nobody_ns, busy }
}

/// How well the clocks agree with the first input of each run that shares a collective.
fn clock_checks(together: &Together, placed: &[Placed]) -> Vec<ClockRow> {
    let is_measured =
        |input: usize| matches!(placed[input].placement, Placement::BaseTime | Placement::Absolute);
    let mut checks = Vec::new();
    for run in 0..together.n_runs() as u32 {
        let of_run = |input: usize| together.runs[input] == run;
        let firsts = together.matched.iter().filter(|one| one.is_collective());
        let first = firsts.filter_map(|one| one.calls.first()).map(|call| call.0);
        let Some(reference) = first.filter(|&input| of_run(input)).min() else { continue };
        if is_measured(reference) {
            let of_reference = clock_checks_of(reference, &together.matched, &together.alignment);
            checks.extend(of_reference.into_iter().filter(|check| is_measured(check.input)));
        }
    }
    checks
}

/// Collectives that one thread looks through at a time.
const AT_A_TIME: usize = 1 << 10;

fn stragglers(
    shared: &[Vec<(usize, Span)>],
    placed: &[Placed],
    pasts: &Pasts<'_>,
) -> Vec<StragglerRow> {
    let none = || none_late(placed.len());
    let of_some = |some: &[Vec<(usize, Span)>]| {
        let mut rows = none();
        some.iter().for_each(|spans| add_late(&mut rows, spans, placed, pasts));
        rows
    };
    let both = |mut rows: Vec<StragglerRow>, others: Vec<StragglerRow>| {
        rows.iter_mut().zip(&others).for_each(|(row, other)| row.add(other));
        rows
    };
    let mut rows = shared.par_chunks(AT_A_TIME).map(of_some).reduce(none, both);
    rows.retain(|row| row.n_matched > 0);
    for row in &mut rows {
        row.last_pct = row.n_last as f64 * 100.0 / row.n_matched as f64;
    }
    rows
}

/// The rows of so many inputs that share nothing.
fn none_late(n_inputs: usize) -> Vec<StragglerRow> {
    let row = |input: usize| StragglerRow {
        input,
        n_matched: 0,
        n_last: 0,
        last_pct: 0.0,
        behind_first_ns: 0,
        max_behind_first_ns: 0,
        caused_wait_ns: 0,
        inherited_ns: 0,
        own_wait_ns: 0,
        error_ns: Some(0),
    };
    (0..n_inputs).map(row).collect()
}

impl StragglerRow {
    /// Adds what other collectives tell of the same input; shares are made of the sums.
    fn add(&mut self, other: &Self) {
        self.n_matched += other.n_matched;
        self.n_last += other.n_last;
        self.behind_first_ns += other.behind_first_ns;
        self.max_behind_first_ns = self.max_behind_first_ns.max(other.max_behind_first_ns);
        self.caused_wait_ns += other.caused_wait_ns;
        self.inherited_ns += other.inherited_ns;
        self.own_wait_ns += other.own_wait_ns;
        self.error_ns = self.error_ns.zip(other.error_ns).map(|(own, other)| own.max(other));
    }
}

/// Adds who came late to one collective.
fn add_late(
    rows: &mut [StragglerRow],
    spans: &[(usize, Span)],
    placed: &[Placed],
    pasts: &Pasts<'_>,
) {
    let is_placed = |&&(input, _): &&(usize, Span)| placed[input].placement != Placement::None;
    let start = |&(input, span): &(usize, Span)| {
        (span.start_ns.saturating_add(placed[input].offset_ns), input)
    };
    let starts: Vec<(i64, usize)> = spans.iter().filter(is_placed).map(start).collect();
    let (Some(&(first, _)), Some(&(last, late))) = (starts.iter().min(), starts.iter().max())
    else {
        return;
    };
    let errors = Errors::of(starts.iter().map(|&(_, input)| &placed[input]));
    for &(start, input) in &starts {
        rows[input].n_matched += 1;
        rows[input].own_wait_ns += last - start;
        rows[late].caused_wait_ns += last - start;
        if starts.len() > 1 {
            let known = rows[input].error_ns.zip(errors.to_others(&placed[input]));
            rows[input].error_ns = known.map(|(known, error)| known.max(error));
        }
    }
    let others = starts.iter().filter(|start| start.1 != late);
    let waits: Vec<(usize, i64)> = others.map(|&(start, input)| (input, last - start)).collect();
    let start_ns = last.saturating_sub(placed[late].offset_ns);
    rows[late].inherited_ns += pasts.inherited_ns(late, start_ns, &waits);
    rows[late].n_last += 1;
    rows[late].behind_first_ns += last - first;
    rows[late].max_behind_first_ns = rows[late].max_behind_first_ns.max(last - first);
}

/// By how much the clocks of the ranks of one collective may be apart.
struct Errors {
    /// The largest and the next, where all are measured against one input.
    largest: Option<(i64, i64)>,
}

impl Errors {
    fn of<'a>(placed: impl Iterator<Item = &'a Placed> + Clone) -> Self {
        let reference = placed.clone().next().and_then(|one| one.reference);
        let errors: Option<Vec<i64>> = placed
            .map(|one| one.error_ns.filter(|_| reference.is_some() && one.reference == reference))
            .collect();
        let largest = errors.map(|mut errors| {
            errors.sort_unstable();
            let mut last = errors.iter().rev().copied();
            (last.next().unwrap_or(0), last.next().unwrap_or(0))
        });
        Self { largest }
    }

    /// The largest of one of them to another; where one is measured against another input, each has one that it cannot be
    /// held against.
    fn to_others(&self, one: &Placed) -> Option<i64> {
        let (most, next) = self.largest?;
        let own = one.error_ns?;
        Some(own.saturating_add(if own == most { next } else { most }))
    }
}
