//! Which slice is inside which: the one stack rule that all analyses of host threads share.
//!
//! The rule is torch's own (`EventList._populate_cpu_children` of `torch/autograd/profiler_util.py`): walk the slices of
//! a thread by (start ascending, end descending, file order) with a stack; while the top of the stack ends at or before
//! the new start, **or before the new end**, pop it; what is left on top is the parent. So a slice that only partly
//! overlaps the top is not its child, and the top is closed by it: later slices inside the closed one are not its
//! children either. `record_function` ranges really do cross Python frames this way, because they open inside one C call
//! and close inside another.
//!
//! Two children of one parent can therefore overlap, and `dur − Σ children` can be negative; callers decide whether to
//! clamp. Nothing here allocates per event: the stack is as deep as the nesting, and it is reused from track to track.

use std::ops::Range;

use crate::model::EventKind;
use crate::store::Store;

/// The parent number that stands for "no parent" in [`parents`].
pub const NO_PARENT: u32 = u32::MAX;

/// Whether slices of a kind stand inside each other on their track.
pub fn nests(kind: EventKind) -> bool {
    kind.is_on_host() || kind == EventKind::Other
}

/// An open slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Open {
    /// Slice number, or whatever number the caller entered it under.
    pub slice: u32,
    /// End in nanoseconds.
    pub end_ns: i64,
}

/// The slices that are open at one point of a walk, outermost first.
#[derive(Clone, Debug, Default)]
pub struct NestStack {
    open: Vec<Open>,
}

impl NestStack {
    /// Closes everything that cannot hold `start_ns..end_ns`, innermost first, then opens `slice`; gives its parent.
    ///
    /// Slices must come in the order of the store: start ascending, end descending.
    #[inline]
    pub fn enter(
        &mut self,
        slice: u32,
        start_ns: i64,
        end_ns: i64,
        leave: impl FnMut(u32),
    ) -> Option<u32> {
        self.leave(start_ns, end_ns, leave);
        let parent = self.open.last().map(|open| open.slice);
        self.open_in(slice, end_ns);
        parent
    }

    /// Closes everything that cannot hold `start_ns..end_ns`, innermost first.
    #[inline]
    pub fn leave(&mut self, start_ns: i64, end_ns: i64, mut leave: impl FnMut(u32)) {
        while let Some(top) = self.open.last() {
            if start_ns < top.end_ns && end_ns <= top.end_ns {
                break;
            }
            leave(top.slice);
            self.open.pop();
        }
    }

    /// Opens a slice in what is open, which can hold it.
    #[inline]
    pub fn open_in(&mut self, slice: u32, end_ns: i64) {
        self.open.push(Open { slice, end_ns });
    }

    /// Closes everything, innermost first.
    pub fn finish(&mut self, mut leave: impl FnMut(u32)) {
        for top in self.open.drain(..).rev() {
            leave(top.slice);
        }
    }

    /// What is open, outermost first; the last one is the slice entered last.
    #[inline]
    pub fn open(&self) -> &[Open] {
        &self.open
    }
}

/// What a walk over a track calls.
pub trait Visitor {
    /// A slice opens. `above` holds its ancestors, outermost first; the last of them is its parent.
    fn enter(&mut self, slice: usize, above: &[Open]);

    /// A slice closes; all slices inside it have closed before. Slices close in the order in which the stack drops
    /// them, which for crossing slices is before their end.
    fn leave(&mut self, _slice: usize) {}
}

/// Walks the slices of one track whose kind `select` takes, in the order of the store.
///
/// `slices` is the range of a track ([`crate::store::Track::slices`]). Slices that are not selected are as if they were
/// not there: their children become children of the next selected slice outwards.
pub fn walk(
    store: &Store,
    slices: Range<usize>,
    stack: &mut NestStack,
    select: impl Fn(EventKind) -> bool,
    visitor: &mut impl Visitor,
) {
    for slice in store.slices_of(slices, select) {
        let (start_ns, end_ns) = (store.slices.ts_ns[slice], store.slices.end_ns(slice));
        stack.enter(slice as u32, start_ns, end_ns, |left| visitor.leave(left as usize));
        let open = stack.open();
        visitor.enter(slice, &open[..open.len() - 1]);
    }
    stack.finish(|left| visitor.leave(left as usize));
}

/// The parent of each slice of one track, by position in the range; [`NO_PARENT`] at top level and for slices that
/// `select` does not take.
pub fn parents(
    store: &Store,
    slices: Range<usize>,
    select: impl Fn(EventKind) -> bool,
) -> Vec<u32> {
    let mut stack = NestStack::default();
    slices
        .map(|slice| {
            if !select(store.kind(slice)) {
                return NO_PARENT;
            }
            let (start_ns, end_ns) = (store.slices.ts_ns[slice], store.slices.end_ns(slice));
            stack.enter(slice as u32, start_ns, end_ns, |_| ()).unwrap_or(NO_PARENT)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{NO_PARENT, NestStack, Open, Visitor, parents, walk};
    use crate::diag::Reporter;
    use crate::model::EventKind;
    use crate::store::{ChunkBuilder, SliceRow, Store, TraceMeta, TrackId};

    fn store_of(slices: &[(&str, i64, i64)]) -> Store {
        let mut builder = ChunkBuilder::default();
        let track = builder.track(TrackId::Int(1), TrackId::Int(1));
        for &(category, start, end) in slices {
            let name = builder.string(&format!("{category} {start}..{end}"));
            let category = builder.string(category);
            builder.slice(SliceRow {
                ts_ns: start,
                dur_ns: end - start,
                name,
                category,
                track,
                id_a: None,
                id_b: None,
            });
        }
        Store::build(vec![builder.finish()], TraceMeta::default(), &mut Reporter::default())
    }

    fn parents_of(slices: &[(i64, i64)]) -> Vec<u32> {
        let named: Vec<_> = slices.iter().map(|&(s, e)| ("cpu_op", s, e)).collect();
        let store = store_of(&named);
        parents(&store, 0..store.slices.len(), |_| true)
    }

    #[test]
    fn inner_slices_have_the_innermost_holder_as_parent() {
        assert_eq!(parents_of(&[(0, 10), (1, 5), (2, 3), (5, 6)]), [NO_PARENT, 0, 1, 0]);
    }

    #[test]
    fn a_crossing_slice_closes_what_it_crosses() {
        // 1..6 crosses 0..4; 2..3 lies in both, and its parent is the later one.
        assert_eq!(parents_of(&[(0, 4), (1, 6), (2, 3)]), [NO_PARENT, NO_PARENT, 1]);
        // 7..8 lies inside 1..9 only, but 1..9 was closed by 6..10.
        assert_eq!(parents_of(&[(0, 20), (1, 9), (6, 10), (7, 8)]), [NO_PARENT, 0, 0, 2]);
    }

    #[test]
    fn identical_and_empty_slices() {
        assert_eq!(parents_of(&[(0, 5), (0, 5)]), [NO_PARENT, 0]);
        // An empty slice holds nothing, not even another empty one, and the end belongs to nobody.
        assert_eq!(parents_of(&[(0, 5), (2, 2), (2, 2), (5, 5)]), [NO_PARENT, 0, 0, NO_PARENT]);
    }

    #[test]
    fn slices_that_are_not_selected_are_not_there() {
        let store = store_of(&[("cpu_op", 0, 9), ("python_function", 1, 8), ("cpu_op", 2, 3)]);
        let ops = |kind| kind == EventKind::CpuOp;
        assert_eq!(parents(&store, 0..3, ops), [NO_PARENT, NO_PARENT, 0]);
    }

    #[derive(Default)]
    struct Log(Vec<String>);

    impl Visitor for Log {
        fn enter(&mut self, slice: usize, above: &[Open]) {
            self.0.push(format!("+{slice} in {:?}", above.last().map(|open| open.slice)));
        }
        fn leave(&mut self, slice: usize) {
            self.0.push(format!("-{slice}"));
        }
    }

    #[test]
    fn every_slice_is_left_once_and_after_its_children() {
        let store = store_of(&[("cpu_op", 0, 9), ("cpu_op", 1, 4), ("cpu_op", 2, 3)]);
        let mut log = Log::default();
        walk(&store, 0..3, &mut NestStack::default(), |_| true, &mut log);
        assert_eq!(log.0, ["+0 in None", "+1 in Some(0)", "+2 in Some(1)", "-2", "-1", "-0"]);
    }
}
