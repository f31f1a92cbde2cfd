//! Who waited for whom: while the work threads of one input waited for another process, which inputs were busy; and
//! which rank comes late to its collectives.

use super::clock::{
    ClockCheck, Matched, Placed, Placement, TimedInput, clock_check, matched_collectives, place,
};
use super::intervals::Intervals;
use super::timeline::Class;

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

/// The figures across several inputs of one run.
pub fn blame(inputs: &[TimedInput<'_>]) -> Blame {
    let matched = matched_collectives(inputs);
    let placed = place(inputs, &matched);
    let sides: Vec<Side> =
        inputs.iter().zip(&placed).map(|(input, placed)| Side::new(input, placed)).collect();
    let rows = (0..inputs.len()).map(|input| blame_row(input, &sides)).collect();
    let clocks = clock_checks(inputs.len(), &matched, &placed);
    let stragglers = stragglers(inputs.len(), &matched, &placed);
    Blame { placed, clocks, rows, stragglers, n_matched: matched.len() as u64 }
}

/// One input on the common time line.
struct Side {
    is_placed: bool,
    window: Intervals,
    waits: Option<Intervals>,
    device: Intervals,
    host: Intervals,
}

impl Side {
    fn new(input: &TimedInput<'_>, placed: &Placed) -> Self {
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
            is_placed: placed.placement != Placement::None,
            window: shift(window),
            waits: shows_waits.then(|| shift(waits)),
            host: shift(busy.subtract(&device)),
            device: shift(device),
        }
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
        if other != input && !(side.is_placed && looked_at.is_placed) {
            continue;
        }
        unexplained = unexplained.subtract(&looked_at.device).subtract(&looked_at.host);
        row.cells.push(BlameCell {
            input: other,
            device_ns: waits.intersect(&looked_at.device).total_ns(),
            host_ns: waits.intersect(&looked_at.host).total_ns(),
            unrecorded_ns: waits.subtract(&looked_at.window).total_ns(),
        });
    }
    row.nobody_ns = unexplained.total_ns();
    row
}

fn clock_checks(n_inputs: usize, matched: &[Matched], placed: &[Placed]) -> Vec<ClockCheck> {
    let Some(reference) = matched.iter().filter_map(|one| one.spans.first()).map(|s| s.0).min()
    else {
        return Vec::new();
    };
    let offset = |input: usize| placed[input].offset_ns;
    let is_measured = |input: &usize| {
        let on_line = |i: usize| {
            !matches!(placed[i].placement, Placement::None | Placement::Collectives { .. })
        };
        on_line(*input) && on_line(reference)
    };
    (reference + 1..n_inputs)
        .filter(is_measured)
        .filter_map(|input| clock_check(reference, input, matched, offset))
        .collect()
}

fn stragglers(n_inputs: usize, matched: &[Matched], placed: &[Placed]) -> Vec<Straggler> {
    let mut rows: Vec<Straggler> = (0..n_inputs)
        .map(|input| Straggler {
            input,
            n_matched: 0,
            n_last: 0,
            behind_first_ns: 0,
            max_behind_first_ns: 0,
            caused_wait_ns: 0,
            own_wait_ns: 0,
        })
        .collect();
    for one in matched {
        let starts: Vec<(i64, usize)> = one
            .spans
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
        }
        rows[late].n_last += 1;
        rows[late].behind_first_ns += last - first;
        rows[late].max_behind_first_ns = rows[late].max_behind_first_ns.max(last - first);
    }
    rows.retain(|row| row.n_matched > 0);
    rows
}
