//! Which operator a call or a device event belongs to, and the device time that each operator launched.
//!
//! Torch links a runtime call or device event to the operator that was innermost when it was launched; the trace writes
//! that operator's id as `External id`. Nothing here knows rows or nesting.

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use super::threads::{Thread, Threads};
use crate::model::EventKind;
use crate::store::Store;

type Map<K, V> = HashMap<K, V, FixedState>;

/// The id of the operator that a runtime call or device event was launched by; `None` where it was launched by none.
///
/// Device annotations carry the id of their host annotation and are not linked to it. An `External id` that equals the
/// event's own correlation is no link on synchronizations, and on any event of traces without a base time: writers of
/// that age (before August 2024) put an unlinked event's correlation there.
pub(super) fn linked_op(store: &Store, slice: usize) -> Option<u64> {
    let kind = store.kind(slice);
    if kind == EventKind::GpuUserAnnotation || !(kind.is_api_call() || kind.is_on_device()) {
        return None;
    }
    let id = store.external_id(slice).filter(|&id| id != 0)?;
    let own = store.correlation(slice) == Some(id);
    let own_is_no_link = kind == EventKind::CudaSync || store.meta.base_time_ns.is_none();
    (!(own && own_is_no_link)).then_some(id)
}

/// Start and end of an event as torch had them.
///
/// A device annotation is written with a start 1 ns early and a duration 2 ns long, so that it holds its kernels on
/// screen; writers before `baseTimeNanoseconds` (2024) did so in microseconds.
pub(super) fn true_interval(store: &Store, slice: usize) -> (i64, i64) {
    let (start, end) = (store.slices.ts_ns[slice], store.slices.end_ns(slice));
    if store.kind(slice) != EventKind::GpuUserAnnotation {
        return (start, end);
    }
    let pad_ns = if store.meta.base_time_ns.is_some() { 1 } else { 1_000 };
    let start = start.saturating_add(pad_ns);
    (start, end.saturating_sub(pad_ns).max(start))
}

/// The device time by operator id, and the ids that overhead borrows.
pub(super) struct Links {
    /// Summed duration of the device events of each operator id.
    device_ns: Map<u64, i64>,
    /// The operator id that each overhead slice goes by.
    overhead_ids: Map<u32, u64>,
    /// Whether unlinked calls and overhead take device time.
    torch_compat: bool,
}

impl Links {
    /// Reads the links of a store.
    pub(super) fn new(store: &Store, threads: &Threads, torch_compat: bool) -> Self {
        let mut device_ns: Map<u64, i64> = Map::default();
        for row in &store.device_rows {
            if let Some(id) = linked_op(store, row.slice as usize) {
                *device_ns.entry(id).or_default() += store.slices.dur_ns(row.slice as usize);
            }
        }
        let mut links = Self { device_ns, overhead_ids: Map::default(), torch_compat };
        if torch_compat && !links.device_ns.is_empty() {
            for thread in &threads.all {
                links.borrow_ids(store, threads, thread);
            }
        }
        links
    }

    /// Device time that a host slice launched itself.
    #[inline]
    pub(super) fn own_device_ns(&self, store: &Store, slice: usize) -> i64 {
        if self.device_ns.is_empty() {
            return 0;
        }
        let id = self.operator_id(store, slice);
        id.and_then(|id| self.device_ns.get(&id)).copied().unwrap_or(0)
    }

    /// The id by which a host slice takes kernels.
    pub(super) fn operator_id(&self, store: &Store, slice: usize) -> Option<u64> {
        match store.kind(slice) {
            EventKind::CpuOp | EventKind::UserAnnotation => store.external_id(slice),
            EventKind::Runtime | EventKind::Driver if self.torch_compat => {
                unlinked_id(store, slice)
            }
            EventKind::Overhead => self.overhead_ids.get(&(slice as u32)).copied(),
            _ => None,
        }
    }

    /// Gives each overhead slice of a thread the id of what torch's own tree has it in.
    ///
    /// That tree (`build_tree` of `collection.cpp`) is another than the table's: it holds every event without a link
    /// that belongs to the thread, device annotations and Python frames too, and closes an event only once a later one
    /// starts after its end, together with all that was opened after it.
    fn borrow_ids(&mut self, store: &Store, threads: &Threads, thread: &Thread) {
        if !thread.moved.iter().any(|&s| store.kind(s as usize) == EventKind::Overhead)
            && !thread.home.clone().any(|s| store.kind(s) == EventKind::Overhead)
        {
            return;
        }
        let mut open: Vec<OpenEvent> = Vec::new();
        for slice in tree_members(store, threads, thread) {
            let (start_ns, end_ns) = true_interval(store, slice);
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

/// An open event of torch's own tree.
struct OpenEvent {
    id: u64,
    /// The earliest end of this event and all below it.
    earliest_end_ns: i64,
}

/// The slices that torch's own tree has on a thread, by start.
fn tree_members(store: &Store, threads: &Threads, thread: &Thread) -> Vec<usize> {
    let is_member = |&slice: &usize| match store.kind(slice) {
        EventKind::Runtime | EventKind::Driver => linked_op(store, slice).is_none(),
        kind => kind.is_on_host(),
    };
    let mut members: Vec<usize> = threads.slices_of(store, thread).filter(is_member).collect();
    if thread.takes_unlinked {
        let annotations = store.device_rows.iter().map(|row| row.slice as usize);
        members.extend(annotations.filter(|&s| store.kind(s) == EventKind::GpuUserAnnotation));
        members.sort_by_key(|&slice| true_interval(store, slice).0);
    }
    members
}

/// The correlation of a call without an operator: torch up to 2.14 took it for an operator's id.
fn unlinked_id(store: &Store, slice: usize) -> Option<u64> {
    linked_op(store, slice).is_none().then(|| store.correlation(slice)).flatten()
}
