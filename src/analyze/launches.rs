//! Which call on the host started which activity on a device: joined by `args.correlation` within one file.
//!
//! Flows are not used: writers give more flow ends than starts. All nodes of a replayed graph belong to its launch.

use super::by_id::ById;
use super::window::is_unplaced;
use crate::model::EventKind;
use crate::store::Store;

/// The join of runtime and driver calls with device activity.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Launches {
    /// Slices of calls by correlation, then start.
    calls: ById<u32>,
    /// Slices of kernels, copies and memsets by correlation, then slice.
    activities: ById<u32>,
}

impl Launches {
    /// Joins the calls and the activity of a store.
    pub fn new(store: &Store) -> Self {
        let (calls, activities) = rayon::join(|| calls(store), || activities(store));
        Self { calls, activities }
    }

    /// Whether the trace shows any device activity with a correlation.
    pub fn has_activity(&self) -> bool {
        !self.activities.rows().is_empty()
    }

    /// The call that started a device activity. The earliest where several calls share the correlation.
    #[inline]
    pub fn call_of(&self, store: &Store, activity: usize) -> Option<usize> {
        let calls = self.calls.of(correlation(store, activity)?);
        calls.first().map(|&(_, slice)| slice as usize)
    }

    /// The device activity that a call started, by slice.
    pub fn activities_of(&self, store: &Store, call: usize) -> impl Iterator<Item = usize> {
        let found = correlation(store, call).map_or(&[][..], |id| self.activities.of(id));
        found.iter().map(|&(_, slice)| slice as usize)
    }

    /// Whether a call or an activity that was joined has a correlation.
    pub(super) fn is_known(&self, id: u64) -> bool {
        !self.calls.of(id).is_empty() || !self.activities.of(id).is_empty()
    }
}

fn calls(store: &Store) -> ById<u32> {
    if !store.categories.iter().any(|(_, kind)| kind.is_api_call()) {
        return ById::default();
    }
    let calls = store.all_of(EventKind::is_api_call);
    let mut rows: Vec<(u64, u32)> =
        calls.filter_map(|slice| Some((correlation(store, slice)?, slice as u32))).collect();
    // Each thread's go up, mostly, which the stable sort takes as it is.
    let start = |slice: u32| store.slices.ts_ns[slice as usize];
    rows.sort_by(|a, b| a.0.cmp(&b.0).then_with(|| start(a.1).cmp(&start(b.1))));
    ById::of_sorted(rows)
}

fn activities(store: &Store) -> ById<u32> {
    let rows = store.device_rows.iter().filter_map(|row| {
        let slice = row.slice as usize;
        let counts = store.kind(slice).is_device_activity() && !is_unplaced(store, slice);
        Some((correlation(store, slice).filter(|_| counts)?, row.slice))
    });
    ById::new(rows.collect())
}

/// The correlation of a call or device event; writers give 0 where there is none.
pub(super) fn correlation(store: &Store, slice: usize) -> Option<u64> {
    store.correlation(slice).filter(|&id| id != 0)
}
