//! The numbers of a source's tracks in a Perfetto trace, settled before its events are read again, so that every packet has its own from
//! the start.

use std::collections::BTreeMap;

use super::plan::{IdKey, InputPlan, TrackPlan};
use super::trace::Source;
use crate::store::Track;

/// The numbers that the next track and the next sequence get. Sources that are written side by side take turns in numbers, so
/// that none needs to know how many another takes.
#[derive(Clone, Copy)]
pub(super) struct Numbers {
    pub(super) uuid: u64,
    pub(super) sequence: u32,
    pub(super) step: u32,
}

impl Numbers {
    /// Of the numbers from here on every `n`th, from the `i`th on.
    pub(super) fn every(self, i: u32, n: u32) -> Self {
        Self { uuid: self.uuid + u64::from(i), sequence: self.sequence + i, step: n }
    }

    pub(super) fn uuid(&mut self) -> u64 {
        self.uuid += u64::from(self.step);
        self.uuid - u64::from(self.step)
    }

    pub(super) fn sequence(&mut self) -> u32 {
        self.sequence += self.step;
        self.sequence - self.step
    }
}

/// The lanes of a track that are written.
#[derive(Clone, Debug, Default)]
pub(super) struct TrackLanes {
    /// Uuid and tid of each, its own first.
    pub(super) lanes: Vec<(u64, i64)>,
}

/// The uuids of a source's processes and lanes.
pub(super) struct Uuids {
    processes: BTreeMap<IdKey, u64>,
    /// Of each track of the store.
    pub(super) tracks: Vec<TrackLanes>,
}

impl Uuids {
    pub(super) fn of(source: &Source<'_>, numbers: &mut Numbers) -> Self {
        let mut plans: Vec<_> = source.plan.processes.iter().collect();
        plans.sort_by_key(|(_, plan)| plan.pid);
        let processes: BTreeMap<IdKey, u64> =
            plans.into_iter().map(|(key, _)| (key.clone(), numbers.uuid())).collect();
        let lanes_of = |track: &Track| {
            let keys = keys_of(source, track);
            if !processes.contains_key(&keys.0) {
                return TrackLanes::default();
            }
            let tids = tids_of(track, planned(source.plan, &keys));
            TrackLanes { lanes: tids.into_iter().map(|tid| (numbers.uuid(), tid)).collect() }
        };
        let tracks = source.store.tracks.iter().map(lanes_of).collect();
        Self { processes, tracks }
    }

    pub(super) fn process(&self, key: &IdKey) -> Option<u64> {
        self.processes.get(key).copied()
    }

    /// The uuid of a lane of a track, where it is written.
    pub(super) fn lane(&self, track: usize, lane: u16) -> Option<u64> {
        Some(self.tracks.get(track)?.lanes.get(usize::from(lane))?.0)
    }

    /// The uuid of a track's first lane; 0 where none is written.
    pub(super) fn track(&self, track: usize) -> u64 {
        self.lane(track, 0).unwrap_or(0)
    }
}

/// The keys of a track's process and thread in plans.
pub(super) fn keys_of(source: &Source<'_>, track: &Track) -> (IdKey, IdKey) {
    (IdKey::of(source.store, &track.pid), IdKey::of(source.store, &track.tid))
}

/// What is planned of a track, where that is anything.
pub(super) fn planned<'p>(plan: &'p InputPlan, keys: &(IdKey, IdKey)) -> Option<&'p TrackPlan> {
    if plan.tracks.is_empty() { None } else { plan.tracks.get(keys) }
}

/// The tids of a track and of its lanes. A tid that is no number gives no track.
fn tids_of(track: &Track, planned: Option<&TrackPlan>) -> Vec<i64> {
    let renumbered = planned.and_then(|planned| planned.tid);
    let own = renumbered.or_else(|| i64::try_from(track.tid.as_int()?).ok());
    let lanes = planned.map_or(&[][..], |planned| &planned.lanes);
    own.into_iter().chain(lanes.iter().copied()).collect()
}
