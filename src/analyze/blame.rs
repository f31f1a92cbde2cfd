//! Who waited for whom: while the work threads of one input waited for another process, which inputs were busy; and
//! which rank comes late to its collectives.

use super::clock::{ClockCheck, Placed, Placement, TimedInput, clock_check, placements, span_on};
use super::intervals::{Intervals, Span};
use super::timeline::Class;
use crate::align::{Matched, Together};

/// Who was busy while one input waited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlameRow {
    /// The input that waited.
    pub input: usize,
    /// Time in which one of its work threads was in an IPC wait; `None` where no Python frames or annotations show
    /// waits.
    pub wait_ns: Option<i64>,
    /// Of it, when no input that was recorded at the time was busy.
    pub nobody_ns: i64,
    /// One cell for every input on the common time line, itself included (its own device can be busy).
    pub cells: Vec<BlameCell>,
}

/// One input, while another one waited. The three times and the rest of the wait, when it was idle, sum to the wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlameCell {
    /// The input that is looked at.
    pub input: usize,
    /// Its devices were busy.
    pub device_ns: i64,
    /// Its work threads were busy (not waiting), its devices not.
    pub host_ns: i64,
    /// It was not recorded.
    pub unrecorded_ns: i64,
    /// By how much the two clocks may be apart after correction; `None` where nothing tells.
    pub error_ns: Option<i64>,
}

impl BlameCell {
    /// Busy on device or host.
    pub fn busy_ns(self) -> i64 {
        self.device_ns + self.host_ns
    }
}

/// How one rank comes to the collectives that it shares with others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Straggler {
    /// The input.
    pub input: usize,
    /// Shared collectives.
    pub n_matched: u64,
    /// How often it was the last to start.
    pub n_last: u64,
    /// Sum, over these, of how much later it started than the first.
    pub behind_first_ns: i64,
    /// The largest of these.
    pub max_behind_first_ns: i64,
    /// Sum, over these, of what all others waited for it.
    pub caused_wait_ns: i64,
    /// Sum over all shared collectives of what it waited for the last.
    pub own_wait_ns: i64,
    /// A single difference of starts may be wrong by this much, the clocks being what they are; `None` where nothing
    /// tells.
    pub error_ns: Option<i64>,
}

/// The figures across inputs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Blame {
    /// How each input came on the common time line.
    pub placed: Vec<Placed>,
    /// How well the clocks of inputs with shared collectives agree, against the first input that shares some.
    pub clocks: Vec<ClockCheck>,
    /// Who waited for whom, by input.
    pub rows: Vec<BlameRow>,
    /// Ranks with shared collectives, by input.
    pub stragglers: Vec<Straggler>,
    /// Collectives that at least two inputs show.
    pub n_matched: u64,
}

/// The figures across several inputs; only those of one run are compared.
pub fn blame(inputs: &[TimedInput<'_>], together: &Together) -> Blame {
    let placed = placements(&together.alignment);
    let sides: Vec<Side> =
        (0..inputs.len()).map(|i| Side::new(&inputs[i], placed[i], together.runs[i])).collect();
    let rows = (0..inputs.len()).map(|input| blame_row(input, &sides)).collect();
    let clocks = clock_checks(inputs, together, &placed);
    let shared = shared(inputs, &together.matched);
    let stragglers = stragglers(&shared, &placed);
    Blame { placed, clocks, rows, stragglers, n_matched: shared.len() as u64 }
}

/// The collectives that several inputs show in what is looked at of them: the spans by input.
fn shared(inputs: &[TimedInput<'_>], matched: &[Matched]) -> Vec<Vec<(usize, Span)>> {
    let in_window = |&(input, span): &(usize, Span)| {
        let windows = &inputs[input].base.windows;
        !windows.is_clipped
            || windows.file.start_ns < span.end_ns && span.start_ns < windows.file.end_ns
    };
    let spans = |one: &Matched| -> Vec<(usize, Span)> {
        let on = one.calls.iter().filter_map(|&(i, _)| Some((i, span_on(inputs, one, i)?)));
        on.filter(in_window).collect()
    };
    let collectives = matched.iter().filter(|one| one.is_collective());
    collectives.map(spans).filter(|spans| spans.len() > 1).collect()
}

/// One input on the common time line.
struct Side {
    run: u32,
    placed: Placed,
    window: Intervals,
    waits: Option<Intervals>,
    device: Intervals,
    host: Intervals,
}

impl Side {
    fn new(input: &TimedInput<'_>, placed: Placed, run: u32) -> Self {
        let threads = || input.base.work_threads();
        let set = |wanted: fn(Class) -> bool| {
            threads().fold(Intervals::default(), |all, thread| {
                all.union(&thread.timeline.set_of(wanted))
            })
        };
        let waits = set(|class| class == Class::IpcWait);
        let shows_waits = threads().any(|thread| thread.has_frames) || !waits.spans().is_empty();
        let busy = set(|class| !class.is_wait() && class != Class::Unattributed);
        let devices = input.base.devices.iter();
        let device = devices.fold(Intervals::default(), |all, device| all.union(&device.busy));
        let mut window = Intervals::default();
        window.push(input.base.windows.file);
        let window = window.union(&device);
        let shift = |set: Intervals| set.shifted(placed.offset_ns);
        Self {
            run,
            placed,
            window: shift(window),
            waits: shows_waits.then(|| shift(waits)),
            host: shift(busy.subtract(&device)),
            device: shift(device),
        }
    }
}

impl Side {
    /// Whether another one can be held against it: both on the common time line, of one run.
    fn is_beside(&self, other: &Self) -> bool {
        let is_placed = |side: &Self| side.placed.placement != Placement::None;
        self.run == other.run && is_placed(self) && is_placed(other)
    }
}

fn blame_row(input: usize, sides: &[Side]) -> BlameRow {
    let side = &sides[input];
    let mut row = BlameRow { input, wait_ns: None, nobody_ns: 0, cells: Vec::new() };
    let Some(waits) = &side.waits else { return row };
    row.wait_ns = Some(waits.total_ns());
    let mut unexplained = waits.clone();
    for (other, looked_at) in sides.iter().enumerate() {
        // Its own figures need no common time line.
        if other != input && !side.is_beside(looked_at) {
            continue;
        }
        let error_ns =
            if other == input { Some(0) } else { side.placed.error_to(&looked_at.placed) };
        unexplained = unexplained.subtract(&looked_at.device).subtract(&looked_at.host);
        row.cells.push(BlameCell {
            input: other,
            device_ns: waits.intersect(&looked_at.device).total_ns(),
            host_ns: waits.intersect(&looked_at.host).total_ns(),
            unrecorded_ns: waits.subtract(&looked_at.window).total_ns(),
            error_ns,
        });
    }
    row.nobody_ns = unexplained.total_ns();
    row
}

/// How well the clocks agree with the first input of each run that shares a collective.
fn clock_checks(
    inputs: &[TimedInput<'_>],
    together: &Together,
    placed: &[Placed],
) -> Vec<ClockCheck> {
    let is_measured =
        |input: usize| matches!(placed[input].placement, Placement::BaseTime | Placement::Absolute);
    let mut checks = Vec::new();
    for run in 0..together.n_runs() as u32 {
        let of_run = |input: usize| together.runs[input] == run;
        let firsts = together.matched.iter().filter(|one| one.is_collective());
        let first = firsts.filter_map(|one| one.calls.first()).map(|call| call.0);
        let Some(reference) = first.filter(|&input| of_run(input)).min() else { continue };
        let others = (reference + 1..inputs.len()).filter(|&input| of_run(input));
        checks.extend(others.filter(|&i| is_measured(i) && is_measured(reference)).filter_map(
            |input| clock_check(reference, input, inputs, &together.matched, &together.alignment),
        ));
    }
    checks
}

fn stragglers(shared: &[Vec<(usize, Span)>], placed: &[Placed]) -> Vec<Straggler> {
    let row = |input: usize| Straggler {
        input,
        n_matched: 0,
        n_last: 0,
        behind_first_ns: 0,
        max_behind_first_ns: 0,
        caused_wait_ns: 0,
        own_wait_ns: 0,
        error_ns: Some(0),
    };
    let mut rows: Vec<Straggler> = (0..placed.len()).map(row).collect();
    for spans in shared {
        let starts: Vec<(i64, usize)> = spans
            .iter()
            .filter(|&&(input, _)| placed[input].placement != Placement::None)
            .map(|&(input, span)| (span.start_ns.saturating_add(placed[input].offset_ns), input))
            .collect();
        let (Some(&(first, _)), Some(&(last, late))) = (starts.iter().min(), starts.iter().max())
        else {
            continue;
        };
        for &(start, input) in &starts {
            rows[input].n_matched += 1;
            rows[input].own_wait_ns += last - start;
            rows[late].caused_wait_ns += last - start;
            for &(_, other) in starts.iter().filter(|&&(_, other)| other != input) {
                let error_ns = placed[input].error_to(&placed[other]);
                let known = rows[input].error_ns.zip(error_ns);
                rows[input].error_ns = known.map(|(known, error)| known.max(error));
            }
        }
        rows[late].n_last += 1;
        rows[late].behind_first_ns += last - first;
        rows[late].max_behind_first_ns = rows[late].max_behind_first_ns.max(last - first);
    }
    rows.retain(|row| row.n_matched > 0);
    rows
}
