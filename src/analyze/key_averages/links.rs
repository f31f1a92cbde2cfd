//! The device time that each operator launched, and what else torch up to 2.14 booked it on.
//!
//! Which operator launched what, [`super::origins`] says. Nothing here knows rows or nesting.

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use super::origins::{LinkSource, Origins};
use super::threads::{Thread, Threads};
use crate::analyze::by_id::ById;
use crate::model::EventKind;
use crate::store::Store;

type Map<K, V> = HashMap<K, V, FixedState>;

/// The device time by operator id, and the ids that overhead borrows.
pub(super) struct Links<'a> {
    origins: &'a Origins,
    /// Summed duration of the device events of each operator id.
    device_ns: ById<i64>,
    /// The operator id that each overhead slice goes by.
    overhead_ids: Map<u32, u64>,
    /// Whether unlinked calls and overhead take device time.
    torch_compat: bool,
}

impl<'a> Links<'a> {
    /// Reads the links of a store. The double bookings of `torch_compat` need the ids that torch had.
    pub(super) fn new(store: &Store, threads: &Threads<'a>, torch_compat: bool) -> Self {
        let origins = threads.origins;
        let torch_compat = torch_compat && origins.source == LinkSource::ExternalId;
        let linked = store.device_rows.iter().filter_map(|row| {
            let slice = row.slice as usize;
            Some((origins.linked_op(store, slice)?, store.slices.dur_ns(slice)))
        });
        let device_ns = summed(linked.collect());
        let mut links = Self { origins, device_ns, overhead_ids: Map::default(), torch_compat };
        if torch_compat && links.knows_any() {
            for thread in &threads.all {
                links.borrow_ids(store, threads, thread);
            }
        }
        links
    }

    /// Device time that a host slice launched itself.
    #[inline]
    pub(super) fn own_device_ns(&self, store: &Store, slice: usize) -> i64 {
        if !self.knows_any() {
            return 0;
        }
        let own = self.operator_id(store, slice).and_then(|id| self.device_ns.of(id).first());
        own.map_or(0, |&(_, ns)| ns)
    }

    /// Whether any operator launched something.
    fn knows_any(&self) -> bool {
        !self.device_ns.rows().is_empty()
    }

    /// The id by which a host slice takes kernels.
    pub(super) fn operator_id(&self, store: &Store, slice: usize) -> Option<u64> {
        match store.kind(slice) {
            EventKind::CpuOp | EventKind::UserAnnotation => self.origins.own_id(store, slice),
            EventKind::Runtime | EventKind::Driver if self.torch_compat => {
                self.unlinked_id(store, slice)
            }
            EventKind::Overhead => self.overhead_ids.get(&(slice as u32)).copied(),
            _ => None,
        }
    }

    /// The correlation of a call without an operator: torch up to 2.14 took it for an operator's id.
    fn unlinked_id(&self, store: &Store, slice: usize) -> Option<u64> {
        let is_unlinked = self.origins.linked_op(store, slice).is_none();
        is_unlinked.then(|| store.correlation(slice)).flatten()
    }

    /// Gives each overhead slice of a thread the id of what torch's own tree has it in.
    ///
    /// That tree (`build_tree` of `collection.cpp`) is another than the table's: it holds every event without a link
    /// that belongs to the thread, device annotations and Python frames too, and closes an event only once a later one
    /// starts after its end, together with all that was opened after it.
    fn borrow_ids(&mut self, store: &Store, threads: &Threads<'_>, thread: &Thread) {
        if !thread.moved.iter().any(|&s| store.kind(s as usize) == EventKind::Overhead)
            && !thread.home.clone().any(|s| store.kind(s) == EventKind::Overhead)
        {
            return;
        }
        let mut open: Vec<OpenEvent> = Vec::new();
        for slice in tree_members(store, threads, thread) {
            let (start_ns, end_ns) = self.origins.interval(store, slice);
            while open.last().is_some_and(|top| top.earliest_end_ns < start_ns) {
                open.pop();
            }
            let parent_id = open.last().map_or(0, |top| top.id);
            let id = match store.kind(slice) {
                EventKind::CpuOp | EventKind::UserAnnotation | EventKind::GpuUserAnnotation => {
                    store.external_id(slice).unwrap_or(0)
                }
                EventKind::PythonFunction => 0,
                EventKind::Overhead => {
                    self.overhead_ids.insert(slice as u32, parent_id);
                    parent_id
                }
                _ => store.correlation(slice).filter(|&id| id != 0).unwrap_or(parent_id),
            };
            if end_ns > start_ns {
                let below = open.last().map_or(i64::MAX, |top| top.earliest_end_ns);
                open.push(OpenEvent { id, earliest_end_ns: end_ns.min(below) });
            }
        }
    }
}

/// Sums of what has one id.
fn summed(mut rows: Vec<(u64, i64)>) -> ById<i64> {
    rows.sort_by_key(|&(id, _)| id);
    rows.dedup_by(|next, sum| {
        let is_same = next.0 == sum.0;
        sum.1 += if is_same { next.1 } else { 0 };
        is_same
    });
    ById::of_sorted(rows)
}

/// An open event of torch's own tree.
struct OpenEvent {
    id: u64,
    /// The earliest end of this event and all below it.
    earliest_end_ns: i64,
}

/// The slices that torch's own tree has on a thread, by start.
fn tree_members(store: &Store, threads: &Threads<'_>, thread: &Thread) -> Vec<usize> {
    let origins = threads.origins;
    let is_member = |&slice: &usize| match store.kind(slice) {
        EventKind::Runtime | EventKind::Driver => origins.linked_op(store, slice).is_none(),
        kind => kind.is_on_host(),
    };
    let mut members: Vec<usize> = threads.slices_of(store, thread).filter(is_member).collect();
    if thread.takes_unlinked {
        let annotations = store.device_rows.iter().map(|row| row.slice as usize);
        members.extend(annotations.filter(|&s| store.kind(s) == EventKind::GpuUserAnnotation));
        members.sort_by_key(|&slice| origins.interval(store, slice).0);
    }
    members
}
