//! Which call on the host started which activity on a device: joined by `args.correlation` within one file.
//!
//! Flows are not used: writers give more flow ends than starts. All nodes of a replayed graph belong to its launch.

use super::window::is_unplaced;
use crate::model::EventKind;
use crate::store::Store;

/// The join of runtime and driver calls with device activity.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Launches {
    /// (correlation, slice) of calls, sorted by correlation, then start.
    calls: Vec<(u64, u32)>,
    /// (correlation, slice) of kernels, copies and memsets, sorted.
    activities: Vec<(u64, u32)>,
}

impl Launches {
    /// Joins the calls and the activity of a store.
    pub fn new(store: &Store) -> Self {
        let mut activities = Vec::new();
        for row in &store.device_rows {
            let slice = row.slice as usize;
            if store.kind(slice).is_device_activity() && !is_unplaced(store, slice) {
                activities.extend(correlation(store, slice).map(|id| (id, row.slice)));
            }
        }
        activities.sort_unstable();
        let mut calls = Vec::new();
        if store.categories.iter().any(|(_, kind)| kind.is_api_call()) {
            calls = store
                .all_of(EventKind::is_api_call)
                .filter_map(|slice| Some((correlation(store, slice)?, slice as u32)))
                .collect();
            calls.sort_unstable_by_key(|&(id, slice)| {
                (id, store.slices.ts_ns[slice as usize], slice)
            });
        }
        Self { calls, activities }
    }

    /// Whether the trace shows any device activity with a correlation.
    pub fn has_activity(&self) -> bool {
        !self.activities.is_empty()
    }

    /// The call that started a device activity. The earliest where several calls share the correlation.
    pub fn call_of(&self, store: &Store, activity: usize) -> Option<usize> {
        self.call_with(correlation(store, activity)?)
    }

    /// The call with a correlation.
    fn call_with(&self, id: u64) -> Option<usize> {
        let first = self.calls.partition_point(|&(known, _)| known < id);
        self.calls.get(first).filter(|&&(known, _)| known == id).map(|&(_, slice)| slice as usize)
    }

    /// The device activity that a call started, by slice.
    pub fn activities_of(&self, store: &Store, call: usize) -> impl Iterator<Item = usize> {
        let range = match correlation(store, call) {
            Some(id) => {
                let first = self.activities.partition_point(|&(known, _)| known < id);
                let n = self.activities[first..].partition_point(|&(known, _)| known == id);
                &self.activities[first..first + n]
            }
            None => &[],
        };
        range.iter().map(|&(_, slice)| slice as usize)
    }
}

/// The correlation of a call or device event; writers give 0 where there is none.
pub(super) fn correlation(store: &Store, slice: usize) -> Option<u64> {
    store.correlation(slice).filter(|&id| id != 0)
}
