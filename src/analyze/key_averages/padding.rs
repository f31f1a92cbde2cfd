//! The margin with which writers draw an annotation's span on a device, so that it holds its kernels on screen.
//!
//! The span is from the first start to the last end of what the annotation launched on a stream. It was written 1 µs
//! early and to its end until April 2024, for a few weeks 1 ns early (times were nanoseconds by then), until June 2024
//! 1 µs early and 500 ns late, and since then 1 ns early and 1 ns late. Which of these a trace has shows where a span's
//! ends, less the margin, are the start and end of an activity of the stream.

use crate::analyze::intervals::Span;
use crate::analyze::window::slice_span;
use crate::model::EventKind;
use crate::store::Store;

/// Spans that are looked at.
const N_SAMPLES: usize = 64;

/// How much too early a span starts, and how much too late it ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Padding {
    early_ns: i64,
    late_ns: i64,
}

/// All margins that writers had, the present one first.
const KNOWN: [Padding; 5] = [
    Padding { early_ns: 1, late_ns: 1 },
    Padding { early_ns: 1_000, late_ns: 500 },
    Padding { early_ns: 1_000, late_ns: 0 },
    Padding { early_ns: 1, late_ns: 0 },
    Padding { early_ns: 0, late_ns: 0 },
];

impl Padding {
    /// The margin of a trace: the one that fits most of its spans; where none fits, that of the writer's age.
    pub(super) fn of(store: &Store) -> Self {
        let is_span = |&slice: &usize| store.kind(slice) == EventKind::GpuUserAnnotation;
        let mut fits = [0_usize; KNOWN.len()];
        let spans = store.device_rows.iter().map(|row| row.slice as usize).filter(is_span);
        for slice in spans.take(N_SAMPLES) {
            for (padding, n) in KNOWN.iter().zip(&mut fits) {
                *n += usize::from(padding.fits(store, slice));
            }
        }
        let best = (0..KNOWN.len()).rev().max_by_key(|&i| fits[i]).filter(|&i| fits[i] > 0);
        let by_age = if store.meta.base_time_ns.is_some() { 0 } else { 2 };
        KNOWN[best.unwrap_or(by_age)]
    }

    /// Start and end of a span without its margin.
    pub(super) fn without(self, span: Span) -> (i64, i64) {
        let start = span.start_ns.saturating_add(self.early_ns);
        (start, span.end_ns.saturating_sub(self.late_ns).max(start))
    }

    /// Whether a span without this margin begins and ends with activities of its stream.
    fn fits(self, store: &Store, slice: usize) -> bool {
        let (start_ns, end_ns) = self.without(slice_span(store, slice));
        let all = store.tracks[store.track_of(slice)].slices.clone();
        let starts = &store.slices.ts_ns[all.clone()];
        let first = all.start + starts.partition_point(|&ts| ts < start_ns);
        let last = all.start + starts.partition_point(|&ts| ts <= end_ns);
        let is_activity = |&slice: &usize| store.kind(slice).is_device_activity();
        let begins = (first..last)
            .take_while(|&slice| store.slices.ts_ns[slice] == start_ns)
            .any(|slice| is_activity(&slice));
        begins
            && (first..last)
                .rev()
                .filter(is_activity)
                .any(|slice| store.slices.end_ns(slice) == end_ns)
    }
}
