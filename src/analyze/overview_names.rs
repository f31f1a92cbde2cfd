//! What the pieces of an overview are called: the kernels of a device and the outermost operators of a thread, the longest
//! of each lane.

use super::base::TimeBase;
use super::intervals::Span;
use super::nesting::{NestStack, Open, Visitor, walk};
use super::overview::LaneKind;
use super::window::slice_span;
use crate::model::EventKind;
use crate::store::{Store, StrId};

/// Spans with a name of all lanes at most, which bounds the size of a page.
pub(super) const MAX_NAMED_IN_ALL: usize = 12_000;

/// A part of a lane with a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NamedSpan {
    /// Start, after that of the lane.
    pub start_ns: i64,
    /// Length inside the lane.
    pub len_ns: i64,
    /// Its name.
    pub name: StrId,
}

/// The longest `limit` spans of a lane that have a name, by start, and how many there are in all. `from_ns` is where the
/// lane begins.
pub(super) fn named(
    store: &Store,
    base: &TimeBase,
    kind: LaneKind,
    from_ns: i64,
    limit: usize,
) -> (Vec<NamedSpan>, usize) {
    let found = match kind {
        LaneKind::Device(device) => of_device(store, base, device),
        LaneKind::Thread(track) => outermost_operators(store, base, track),
        LaneKind::Iterations(_) => Vec::new(),
    };
    let n_all = found.len();
    let span = |(span, name): (Span, StrId)| NamedSpan {
        start_ns: span.start_ns - from_ns,
        len_ns: span.len_ns(),
        name,
    };
    let mut spans: Vec<NamedSpan> = found.into_iter().map(span).collect();
    spans.sort_unstable_by_key(|span| (std::cmp::Reverse(span.len_ns), span.start_ns, span.name));
    spans.truncate(limit);
    spans.sort_unstable();
    (spans, n_all)
}

fn of_device(store: &Store, base: &TimeBase, device: Option<u32>) -> Vec<(Span, StrId)> {
    let own = base.devices.iter().filter(|activity| activity.device == device);
    let rows = own.flat_map(|activity| &activity.slices);
    rows.map(|row| (row.span, store.slices.name[row.slice as usize])).collect()
}

/// The operators of a thread that stand in no other operator.
fn outermost_operators(store: &Store, base: &TimeBase, track: usize) -> Vec<(Span, StrId)> {
    let Some(thread) = base.thread_of_track(track) else { return Vec::new() };
    let mut outermost = Outermost(Vec::new());
    let is_operator = |kind| kind == EventKind::CpuOp;
    let slices = store.tracks[track].slices.clone();
    walk(store, slices, &mut NestStack::default(), is_operator, &mut outermost);
    let window = thread.timeline.window();
    let span = |slice: usize| (slice_span(store, slice).clip(window), store.slices.name[slice]);
    outermost.0.into_iter().map(span).filter(|(span, _)| !span.is_empty()).collect()
}

struct Outermost(Vec<usize>);

impl Visitor for Outermost {
    fn enter(&mut self, slice: usize, above: &[Open]) {
        if above.is_empty() {
            self.0.push(slice);
        }
    }
}
