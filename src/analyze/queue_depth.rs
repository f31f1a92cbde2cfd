//! How many launches are outstanding on each stream: counted up when a call begins, down when what it started begins.
//!
//! The count and its changes are those of HTA's queue length (`trace_counters.py`); a replayed graph counts once, at what
//! it starts first. Work that begins before its call, by a clock that is off, counts down when the call begins.

use std::collections::BTreeMap;

use super::base::TimeBase;
use super::intervals::{Intervals, Span};
use super::launched::Launched;
use super::percent;
use super::quantiles::rank_of;
use crate::schema::tables;

/// Launches that a stream holds before calls block; what HTA takes where nothing is said.
pub const FULL: i64 = 1_024;

/// Parts of the window that the table over time has.
const N_SLOTS: i64 = 50;

tables! {
    /// The queue of one stream of one input.
    QueueDepthRow: "queue_depth", "Outstanding launches by stream", "How far is the host ahead of the device, and does it block on a full queue?", groups 2, on Iterations 4, shown Request, carried whole {
        input: usize, Count, All, "#", "number of the input";
        device: Option<u32>, Count, All, "device", "device index";
        stream: Option<u32>, Count, All, "stream", "stream";
        launches: u64, Count, All, "launches", "calls that started work on it; a replayed graph is of the stream on which it begins first";
        mean: Option<f64>, Rate, All, "mean", "outstanding launches, over the time of the window";
        change_mean: Option<f64>, Rate, Room, "mean of changes", "outstanding launches after each change, over the changes: as HTA counts";
        change_p50: Option<i64>, Count, Room, "p50 of changes", "the median of these, nearest rank";
        most: i64, Count, All, "most", "most outstanding launches";
        empty_ns: i64, Ns, All, "empty", "time of the window in which nothing was outstanding";
        empty_pct: Option<f64>, Percent, All, "empty", "of the window";
        full_ns: i64, Ns, All, "full", "time in which 1024 launches or more were outstanding";
        full_pct: Option<f64>, Percent, Room, "full", "of the window";
        blocked_ns: i64, Ns, All, "blocked", "of calls that started work on it, the time while it was full";
    }

    /// The queue of one stream of one input over a part of the window.
    QueueSlotRow: "queue_over_time", "Outstanding launches over time", "When does the host run ahead of the device, and when does the device run dry?", groups 3, shown Request, carried whole {
        input: usize, Count, All, "#", "number of the input";
        device: Option<u32>, Count, All, "device", "device index";
        stream: Option<u32>, Count, All, "stream", "stream";
        start_ns: i64, Ns, All, "start", "start of the part, since the window began";
        dur_ns: i64, Ns, All, "length", "length of the part, a fiftieth of the window";
        launches: u64, Count, All, "launches", "calls that begin in it";
        mean: Option<f64>, Rate, All, "mean", "outstanding launches, over its time";
        most: i64, Count, All, "most", "most outstanding launches";
        empty_ns: i64, Ns, All, "empty", "time in which nothing was outstanding";
        full_ns: i64, Ns, Room, "full", "time in which 1024 launches or more were outstanding";
    }
}

/// What the tables of queues say.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Queues {
    /// By stream.
    pub depth: Vec<QueueDepthRow>,
    /// By stream and part of the window.
    pub over_time: Vec<QueueSlotRow>,
}

/// The queues of an input, of what was launched.
pub fn queues(base: &TimeBase, launched: &[Launched]) -> Queues {
    let mut by_stream: BTreeMap<(Option<u32>, Option<u32>), Vec<Launched>> = BTreeMap::new();
    for one in launched.iter().filter(|one| one.is_first) {
        by_stream.entry(one.queue).or_default().push(*one);
    }
    let mut found = Queues::default();
    for ((device, stream), launched) in by_stream {
        let steps = Steps::of(&launched, base.windows.file);
        let row = depth_row(&steps, &launched);
        found.depth.push(QueueDepthRow { input: base.input, device, stream, ..row });
        let slots = slot_rows(&steps);
        let of = |row| QueueSlotRow { input: base.input, device, stream, ..row };
        found.over_time.extend(slots.into_iter().map(of));
    }
    found
}

/// The count as a function of time.
struct Steps {
    window: Span,
    /// When it changes, whether a launch does it, and the count from then on; by time.
    changes: Vec<(i64, bool, i64)>,
}

impl Steps {
    fn of(launched: &[Launched], window: Span) -> Self {
        let mut changes: Vec<(i64, bool, i64)> = Vec::with_capacity(launched.len() * 2);
        changes.extend(launched.iter().map(|one| (one.called.0, true, 0)));
        changes.extend(launched.iter().map(|one| (one.ran.0.max(one.called.0), false, 0)));
        // At one instant launches come first: what begins then was one of them, at the latest. Both halves are mostly in order,
        // which the stable sort takes as it is.
        changes.sort_by_key(|&(at_ns, is_launch, _)| (at_ns, !is_launch));
        let mut depth = 0;
        for (_, is_launch, then) in &mut changes {
            depth += if *is_launch { 1 } else { -1 };
            *then = depth;
        }
        let first = changes.first().map_or(window.start_ns, |one| one.0);
        let last = changes.last().map_or(window.end_ns, |one| one.0);
        let window = Span::new(window.start_ns.min(first), window.end_ns.max(last));
        Self { window, changes }
    }

    /// The stretches of equal count that meet a span, clipped to it.
    fn within(&self, span: Span) -> impl Iterator<Item = (Span, i64)> + '_ {
        let first = self.changes.partition_point(|&(at_ns, ..)| at_ns <= span.start_ns);
        let before = first.checked_sub(1).map_or(0, |at| self.changes[at].2);
        let inside = self.changes[first..].iter().take_while(move |one| one.0 < span.end_ns);
        let starts = std::iter::once((span.start_ns, before))
            .chain(inside.clone().map(|&(at_ns, _, depth)| (at_ns, depth)));
        let ends = inside.map(|&(at_ns, ..)| at_ns).chain(std::iter::once(span.end_ns));
        starts.zip(ends).map(|((start, depth), end)| (Span::new(start, end), depth))
    }
}

/// What a stretch of the count comes to.
#[derive(Default)]
struct Sum {
    integral: i128,
    most: i64,
    empty_ns: i64,
    full: Intervals,
}

fn sum(steps: &Steps, span: Span) -> Sum {
    let mut sum = Sum::default();
    for (part, depth) in steps.within(span) {
        sum.integral += i128::from(part.len_ns()) * i128::from(depth);
        sum.most = sum.most.max(depth);
        if depth == 0 {
            sum.empty_ns += part.len_ns();
        }
        if depth >= FULL {
            sum.full.push(part);
        }
    }
    sum
}

/// A sum over time as a mean; `None` of no time.
fn mean(integral: i128, span: Span) -> Option<f64> {
    (!span.is_empty()).then(|| integral as f64 / span.len_ns() as f64)
}

fn depth_row(steps: &Steps, launched: &[Launched]) -> QueueDepthRow {
    let window = steps.window;
    let whole = sum(steps, window);
    let mut depths: Vec<i64> = steps.changes.iter().map(|&(.., depth)| depth).collect();
    let change_sum: i64 = depths.iter().sum();
    let p50 = rank_of(depths.len(), 50).map(|at| *depths.select_nth_unstable(at).1);
    let full = whole.full.index();
    let blocked = launched.iter().map(|one| full.covered_ns(one.called.0, one.called.1));
    QueueDepthRow {
        input: 0,
        device: None,
        stream: None,
        launches: launched.len() as u64,
        mean: mean(whole.integral, window),
        change_mean: (!depths.is_empty()).then(|| change_sum as f64 / depths.len() as f64),
        change_p50: p50,
        most: depths.iter().copied().max().unwrap_or(0),
        empty_ns: whole.empty_ns,
        empty_pct: percent(whole.empty_ns, window.len_ns()),
        full_ns: whole.full.total_ns(),
        full_pct: percent(whole.full.total_ns(), window.len_ns()),
        blocked_ns: blocked.sum(),
    }
}

fn slot_rows(steps: &Steps) -> Vec<QueueSlotRow> {
    let window = steps.window;
    let at = |n: i64| {
        let part = i128::from(window.len_ns()) * i128::from(n) / i128::from(N_SLOTS);
        window.start_ns + i64::try_from(part).unwrap_or(i64::MAX)
    };
    let slot = |n: i64| {
        let span = Span::new(at(n), at(n + 1));
        let of = sum(steps, span);
        let [first, end] = [span.start_ns, span.end_ns]
            .map(|ns| steps.changes.partition_point(|&(at_ns, ..)| at_ns < ns));
        let inside = steps.changes[first..end].iter().filter(|one| one.1);
        QueueSlotRow {
            input: 0,
            device: None,
            stream: None,
            start_ns: span.start_ns - window.start_ns,
            dur_ns: span.len_ns(),
            launches: inside.count() as u64,
            mean: mean(of.integral, span),
            most: of.most,
            empty_ns: of.empty_ns,
            full_ns: of.full.total_ns(),
        }
    };
    (0..N_SLOTS).map(slot).filter(|row| row.dur_ns > 0).collect()
}

#[cfg(test)]
mod tests {
    use super::{FULL, Steps, depth_row, slot_rows};
    use crate::analyze::intervals::Span;
    use crate::analyze::launched::Launched;

    fn one(called: (i64, i64), begun_ns: i64) -> Launched {
        Launched {
            slice: 0,
            call: 0,
            queue: (Some(0), Some(7)),
            called,
            ran: (begun_ns, begun_ns + 10),
            free_ns: None,
            is_first: true,
        }
    }

    #[test]
    fn the_count_is_launches_less_begins() {
        // One from 100 to 150, one from 120 to 190, and one that begins before its call.
        let launched = [one((100, 105), 150), one((120, 125), 190), one((300, 310), 290)];
        let steps = Steps::of(&launched, Span::new(0, 1_000));
        let row = depth_row(&steps, &launched);
        assert_eq!((row.launches, row.most, row.empty_ns), (3, 2, 1_000 - 90));
        assert_eq!(row.mean, Some(120.0 / 1_000.0));
        // After the changes: 1, 2, 1, 0, 1, 0.
        assert_eq!((row.change_mean, row.change_p50), (Some(5.0 / 6.0), Some(1)));
        let slots = slot_rows(&steps);
        assert_eq!(slots.len(), 50);
        assert_eq!(slots.iter().map(|slot| slot.dur_ns).sum::<i64>(), 1_000);
        assert_eq!(slots.iter().map(|slot| slot.launches).sum::<u64>(), 3);
        let (fifth, sixth) = (&slots[5], &slots[6]);
        assert_eq!((fifth.start_ns, fifth.mean, fifth.most), (100, Some(1.0), 1));
        assert_eq!((sixth.start_ns, sixth.mean, sixth.most), (120, Some(2.0), 2));
        assert_eq!(slots.iter().map(|slot| slot.empty_ns).sum::<i64>(), row.empty_ns);
    }

    #[test]
    fn a_full_queue_blocks_calls() {
        let mut launched: Vec<Launched> =
            (0..FULL).map(|n| one((n * 10, n * 10 + 5), 100_000 + n)).collect();
        // The last one comes when the queue is full; its call lasts until the first begins, and longer.
        launched.push(one((20_000, 100_500), 200_000));
        let row = depth_row(&Steps::of(&launched, Span::new(0, 200_000)), &launched);
        let full_from = (FULL - 1) * 10;
        // Of 1025 two have begun at 100,001.
        assert_eq!((row.most, row.full_ns), (FULL + 1, 100_001 - full_from));
        assert_eq!(row.blocked_ns, 5 + 100_001 - 20_000);
    }
}
