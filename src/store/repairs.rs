//! Times that a writer left out: ends that were never recorded, and events without a start.
//!
//! **Ends.** torch closes what has no end with the profiler, so that a C function whose return CPython never reported runs
//! over its own caller by seconds (pytorch #193440). A callee cannot outlive its caller: a Python frame that begins inside
//! another one and ends after it is taken to end with it, as torch does since its change #189794.
//!
//! **Starts.** Kineto writes a time of 0 where it has none. Such an event keeps its duration and has no place on the time
//! line. Times of 0 that lie beside the others, as in files that count from their first event, are times.

use std::ops::Range;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::column::Durations;
use super::order::Order;
use super::{Slices, Store, Track, TrackId};
use crate::diag::{IssueKind, Reporter};
use crate::model::EventKind;
use crate::model::limits::{CROSSING_NS, IMPOSSIBLE_DUR_NS, UNTIMED_GAP_NS, UNTIMED_WINDOW_GAP_NS};

/// What became of the frames of a track that had no end.
#[derive(Debug, Default)]
struct Closed {
    count: u64,
    /// By how much they are shorter than written.
    ns: i64,
    /// Slices whose duration is still to be set, because it did not fit 32 bits or does not now.
    wide: Vec<(u32, u64)>,
    is_in_order: bool,
}

/// The ends of the frames in which the next one may begin, the innermost last.
#[derive(Debug, Default)]
struct Open(Vec<i64>);

impl Open {
    /// Leaves the frames that ended before one begins. Gives the end of the one around it where it ends after that.
    #[inline]
    fn crossed(&mut self, start_ns: i64, end_ns: i64) -> Option<i64> {
        while self.0.last().is_some_and(|&around| around <= start_ns) {
            self.0.pop();
        }
        self.0.last().copied().filter(|around| end_ns.saturating_sub(*around) > CROSSING_NS)
    }
}

/// The slices of a track, in order.
struct Frames<'a> {
    ts_ns: &'a [i64],
    category: &'a [u8],
    durations: Durations<'a>,
    /// By category.
    is_frame: &'a [bool],
}

impl Frames<'_> {
    /// Ends each frame with the frame around it.
    fn close(self) -> Closed {
        let Self { ts_ns, category, mut durations, is_frame } = self;
        let mut closed = Closed { is_in_order: true, ..Closed::default() };
        let mut open = Open::default();
        // Start and earliest new end of the frames that were cut last and begin at one time.
        let mut cut = (i64::MIN, i64::MAX);
        for (slice, (&start, &category)) in ts_ns.iter().zip(category).enumerate() {
            let is_frame = is_frame[usize::from(category)];
            if !is_frame && start != cut.0 {
                continue;
            }
            let dur_ns = durations.get(slice);
            let mut end = start.saturating_add(dur_ns);
            closed.is_in_order &= start != cut.0 || end <= cut.1;
            if !is_frame {
                continue;
            }
            if let Some(around) = open.crossed(start, end) {
                closed.count += 1;
                closed.ns += dur_ns - (around - start);
                closed.wide.extend(durations.set(slice, (around - start) as u64));
                end = around;
                cut = (start, if start == cut.0 { cut.1.min(end) } else { end });
            }
            open.0.push(end);
        }
        closed
    }
}

/// Slices that are gone through by one thread at once, at least: with fewer it is done sooner than shared out.
const SLICES_AT_A_TIME: usize = 1 << 16;

/// Whether some frame of a track may end after the one around it, as few do: only then is one thread to close them in turn. Tracks of many
/// slices are gone through by all threads; others may.
fn may_cross(slices: &Slices, track: Range<usize>, is_frame: &[bool]) -> bool {
    let n_at_a_time = track.len().div_ceil(rayon::current_num_threads());
    n_at_a_time < SLICES_AT_A_TIME || crosses_somewhere(slices, track, is_frame, n_at_a_time)
}

/// Whether some frame of a track ends after the one around it, of which so many slices are gone through at a time.
fn crosses_somewhere(
    slices: &Slices,
    track: Range<usize>,
    is_frame: &[bool],
    n_at_a_time: usize,
) -> bool {
    let starts: Vec<usize> = track.clone().step_by(n_at_a_time).collect();
    starts.into_par_iter().any(|start| {
        let open = open_before(slices, track.start..start, is_frame);
        crosses(slices, start..track.end.min(start + n_at_a_time), is_frame, open)
    })
}

/// The frames among some slices that have not ended when the next one begins. If none crosses another, those are all that matters for
/// what comes.
fn open_before(slices: &Slices, before: Range<usize>, is_frame: &[bool]) -> Open {
    let ending = slices.ending_after(before.clone(), slices.ts_ns[before.end]);
    let frames = ending.filter(|&slice| is_frame[usize::from(slices.category[slice])]);
    Open(frames.map(|slice| slices.end_ns(slice)).collect())
}

/// Whether one of the frames among some slices ends after the one around it, which may be one of those that are open.
fn crosses(slices: &Slices, mut range: Range<usize>, is_frame: &[bool], mut open: Open) -> bool {
    range.any(|slice| {
        let (start_ns, end_ns) = (slices.ts_ns[slice], slices.end_ns(slice));
        let is_frame = is_frame[usize::from(slices.category[slice])];
        is_frame && {
            let crosses = open.crossed(start_ns, end_ns).is_some();
            open.0.push(end_ns);
            crosses
        }
    })
}

/// What was taken for times that the input lacks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repairs {
    /// Python frames that were taken to end with the frame around them.
    pub n_unclosed_frames: u64,
    /// By how much they are shorter than written, summed.
    pub unclosed_frames_ns: i64,
    /// Begin events without an end that were taken to end with the event around them, or with the trace.
    pub n_open_begins: u64,
    /// Their durations, summed.
    pub open_begins_ns: i64,
    /// Whether a start of 0 or before means that there is none.
    pub zero_is_no_time: bool,
    /// Slices without a start.
    pub n_untimed: u64,
}

impl Repairs {
    /// Counts what was taken for ends among the issues.
    pub(super) fn report(&self, reporter: &mut Reporter) {
        let kinds = [
            (IssueKind::UnclosedFrame, self.n_unclosed_frames, self.unclosed_frames_ns, "less"),
            (IssueKind::OpenBegin, self.n_open_begins, self.open_begins_ns, "long"),
        ];
        for (kind, count, ns, word) in kinds.into_iter().filter(|kind| kind.1 > 0) {
            reporter.add(kind, count, None, Some(format!("{ns} ns {word} in all")));
        }
        if self.n_untimed > 0 {
            reporter.add(IssueKind::UntimedEvent, self.n_untimed, None, None);
        }
    }
}

impl Store {
    /// Whether a slice has a place on the time line.
    #[inline]
    pub fn has_time(&self, slice: usize) -> bool {
        !self.repairs.zero_is_no_time || self.slices.ts_ns[slice] > 0
    }

    /// Ends Python frames with the frame around them. Gives the new order of the slices where that changes it.
    pub(super) fn close_frames(&mut self) -> Option<Order> {
        let is_frame: Vec<bool> =
            self.categories.iter().map(|&(_, kind)| kind == EventKind::PythonFunction).collect();
        if !is_frame.contains(&true) {
            return None;
        }
        let Self { tracks, slices, .. } = self;
        // The frames of tid 0 are those of several threads.
        let is_looked_at = |track: &Track| {
            track.tid != TrackId::Int(0) && may_cross(slices, track.slices.clone(), &is_frame)
        };
        let looked_at: Vec<bool> = tracks.par_iter().map(is_looked_at).collect();
        let (mut narrow, wide) = slices.dur_ns.parts_mut();
        let mut of_tracks = Vec::with_capacity(tracks.len());
        for (track, is_looked_at) in tracks.iter().zip(looked_at) {
            let (own, rest) = narrow.split_at_mut(track.slices.len());
            of_tracks.extend(is_looked_at.then_some((track, own)));
            narrow = rest;
        }
        let closed: Vec<Closed> = of_tracks
            .into_par_iter()
            .map(|(track, narrow)| {
                let range = track.slices.clone();
                Frames {
                    ts_ns: &slices.ts_ns[range.clone()],
                    category: &slices.category[range.clone()],
                    durations: Durations { first: range.start as u32, narrow, wide },
                    is_frame: &is_frame,
                }
                .close()
            })
            .collect();
        for one in &closed {
            self.repairs.n_unclosed_frames += one.count;
            self.repairs.unclosed_frames_ns += one.ns;
            one.wide.iter().for_each(|&(slice, ns)| self.slices.dur_ns.set(slice as usize, ns));
        }
        if closed.iter().all(|one| one.is_in_order) { None } else { self.order_within_tracks() }
    }

    /// The order of the slices; `None` where it is the one that they are in.
    fn order_within_tracks(&self) -> Option<Order> {
        let key = |slice: usize| self.slices.key(slice as u32);
        let is_sorted = |track: &Track| track.slices.clone().is_sorted_by_key(key);
        if self.tracks.par_iter().all(is_sorted) {
            return None;
        }
        let mut order: Vec<u32> = (0..self.slices.len() as u32).collect();
        for track in &self.tracks {
            order[track.slices.clone()].par_sort_by_key(|&slice| key(slice as usize));
        }
        Some(Order::of_rows(&order))
    }

    /// Decides what a start of 0 means.
    pub(super) fn judge_zero(&mut self) {
        let firsts = self
            .tracks
            .iter()
            .filter_map(|track| track.slices.clone().next().map(|first| self.slices.ts_ns[first]));
        if firsts.into_iter().any(|first| first <= 0) {
            self.repairs.zero_is_no_time = self.is_zero_far_away();
            let untimed = (0..self.slices.len()).filter(|&slice| !self.has_time(slice));
            self.repairs.n_untimed = untimed.count() as u64;
        }
    }

    /// Whether what begins at 0 or before lies far before everything else: by more than the profiled window is long, or,
    /// where the file names none, by ten times as much as everything else takes and more than a second.
    fn is_zero_far_away(&self) -> bool {
        let mut zero_end = i64::MIN;
        let (mut others, mut windows): (Hull, Hull) = (None, None);
        for slice in 0..self.slices.len() {
            let (start, dur) = (self.slices.ts_ns[slice], self.slices.dur_ns(slice));
            let end = self.slices.end_ns(slice);
            let is_window = self.kind(slice) == EventKind::Window;
            if start > 0 && dur <= IMPOSSIBLE_DUR_NS {
                widen(if is_window { &mut windows } else { &mut others }, start, end);
            } else if start <= 0 && dur <= IMPOSSIBLE_DUR_NS {
                if is_window && dur > 0 {
                    return false;
                }
                zero_end = zero_end.max(end);
            }
        }
        let gap = |hull: (i64, i64)| hull.0.saturating_sub(zero_end);
        match (windows.filter(|hull| hull.1 > hull.0), others) {
            (Some(window), _) => gap(window) > UNTIMED_WINDOW_GAP_NS.max(window.1 - window.0),
            (None, Some(rest)) => {
                gap(rest) > UNTIMED_GAP_NS.max((rest.1 - rest.0).saturating_mul(10))
            }
            (None, None) => false,
        }
    }
}

/// First start and last end of some slices.
type Hull = Option<(i64, i64)>;

fn widen(hull: &mut Hull, start: i64, end: i64) {
    let (first, last) = hull.unwrap_or((start, end));
    *hull = Some((first.min(start), last.max(end)));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::crosses_somewhere;
    use crate::diag::Reporter;
    use crate::model::EventKind;
    use crate::store::{ChunkBuilder, SliceRow, Store, TraceMeta, TrackId};

    /// Slices as (category, thread, start, end).
    fn store(slices: &[(&str, i128, i64, i64)]) -> Store {
        let mut builder = ChunkBuilder::default();
        for (i, &(category, tid, start, end)) in slices.iter().enumerate() {
            let row = SliceRow {
                ts_ns: start,
                dur_ns: end - start,
                name: builder.string(&format!("n{i}")),
                category: builder.string(category),
                track: builder.track(TrackId::Int(1), TrackId::Int(tid)),
                id_a: Some(i as u64),
                id_b: None,
            };
            builder.slice(row);
        }
        Store::build(vec![builder.finish()], TraceMeta::default(), &mut Reporter::default())
    }

    fn ends(store: &Store) -> Vec<(String, i64)> {
        (0..store.slices.len())
            .map(|i| (store.name(i).to_owned(), store.slices.end_ns(i)))
            .collect()
    }

    #[test]
    fn a_frame_ends_with_the_frame_around_it() {
        let frame = "python_function";
        let store = store(&[
            (frame, 7, 0, 9_000_000_000),
            (frame, 7, 1_000, 200_000),
            (frame, 7, 2_000, 9_000_000_000),
            ("cpu_op", 7, 3_000, 400_000),
            (frame, 7, 4_000, 9_000_000_000),
            (frame, 7, 300_000, 600_000),
        ]);
        let expected = [9_000_000_000, 200_000, 200_000, 400_000, 200_000, 600_000];
        assert_eq!(ends(&store).iter().map(|one| one.1).collect::<Vec<_>>(), expected);
        assert_eq!(store.repairs.n_unclosed_frames, 2);
        assert_eq!(store.repairs.unclosed_frames_ns, 2 * (9_000_000_000 - 200_000));
    }

    proptest! {
        /// Those of tid 0 are left as they are, so that they can be looked at in parts.
        #[test]
        fn parts_of_a_track_cross_where_all_of_it_does(
            slices in prop::collection::vec((0_i64..300, 0_i64..300, 0..8), 1..40),
            scale in 1_i64..3_000,
        ) {
            let of_tid = |tid| {
                let slice = |&(start, dur, kind): &(i64, i64, i32)| {
                    let category = if kind == 0 { "cpu_op" } else { "python_function" };
                    // Rarely one that does not fit 32 bits.
                    let dur = if dur == 299 { 5_000_000_000 } else { dur / 8 };
                    (category, tid, start * scale, (start + dur) * scale)
                };
                store(&slices.iter().map(slice).collect::<Vec<_>>())
            };
            let n_crossing = of_tid(7).repairs.n_unclosed_frames;
            let merged = of_tid(0);
            let kinds = merged.categories.iter();
            let is_frame: Vec<bool> = kinds.map(|&(_, kind)| kind == EventKind::PythonFunction).collect();
            for n_at_a_time in 1..=slices.len() {
                let crosses =
                    crosses_somewhere(&merged.slices, 0..slices.len(), &is_frame, n_at_a_time);
                prop_assert_eq!(crosses, n_crossing > 0, "{}", n_at_a_time);
            }
        }
    }

    #[test]
    fn the_order_of_nesting_holds_after_a_cut() {
        // The frame that runs over its caller begins with an operator that is longer than what is left of it.
        let frame = "python_function";
        let store = store(&[
            (frame, 7, 0, 10_000),
            (frame, 7, 5_000, 900_000),
            ("cpu_op", 7, 5_000, 20_000),
        ]);
        let named: Vec<(&str, i64)> =
            (0..3).map(|i| (store.name(i), store.slices.end_ns(i))).collect();
        assert_eq!(named, [("n0", 10_000), ("n2", 20_000), ("n1", 10_000)]);
    }

    #[test]
    fn rounding_and_merged_threads_are_left_alone() {
        let frame = "python_function";
        let rounded = store(&[(frame, 7, 0, 5_000), (frame, 7, 1_000, 6_999)]);
        assert_eq!(rounded.repairs.n_unclosed_frames, 0);
        let merged = store(&[(frame, 0, 0, 500_000), (frame, 0, 1_000, 900_000)]);
        assert_eq!(merged.repairs.n_unclosed_frames, 0);
    }

    #[test]
    fn zero_is_no_time_where_it_is_far_from_the_others() {
        let day = 86_400_000_000_000;
        let far = [("kernel", 7, 0, 40), ("kernel", 7, day, day + 50)];
        assert!(store(&far).repairs.zero_is_no_time);
        let from_first = [("kernel", 7, 0, 40), ("kernel", 7, 90, 100), ("kernel", 8, 0, 50)];
        assert!(!store(&from_first).repairs.zero_is_no_time);
        let window = [
            ("kernel", 7, 0, 40),
            ("Trace", 9, 20_000_000, 29_000_000),
            ("kernel", 7, 21_000_000, 21_000_960),
        ];
        assert!(store(&window).repairs.zero_is_no_time);
        let inside = [("kernel", 7, 0, 40), ("Trace", 9, 0, 1_200), ("kernel", 7, 950, 960)];
        assert!(!store(&inside).repairs.zero_is_no_time);
    }
}
