//! Which slice an end of a flow belongs to.
//!
//! A flow end says a track and a time, and viewers bind it to the slice that is open there. Where that slice has no
//! length, lies on a lane, or begins at the same time as another, only its id tells: Kineto gives the ends of a launch the
//! correlation of the call and of the device activity, and those of a forward and backward pair the sequence number.

use crate::store::{Store, Track};

/// The id that the ends of a slice's flows have.
pub(super) fn flow_id_of(store: &Store, slice: usize) -> Option<u64> {
    store.correlation(slice).or_else(|| store.sequence_number(slice))
}

/// The slice of a track that starts at a time and has the id of a flow; else the last one there without length, which no
/// time but its own lies in.
pub(super) fn flow_target(store: &Store, track: &Track, ts_ns: i64, id: u64) -> Option<usize> {
    let starts = &store.slices.ts_ns[track.slices.clone()];
    let first = track.slices.start + starts.partition_point(|&start_ns| start_ns < ts_ns);
    let here = || (first..track.slices.end).take_while(|&slice| store.slices.ts_ns[slice] == ts_ns);
    let with_id = here().find(|&slice| flow_id_of(store, slice) == Some(id));
    with_id.or_else(|| here().filter(|&slice| store.slices.end_ns(slice) == ts_ns).last())
}

/// Lanes of flow ends on one track: those that start with a slice which was moved, by time and id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FlowLanes {
    by_end: Vec<(i64, u64, u16)>,
}

impl FlowLanes {
    /// The lanes of the flow ends of moved slices, each with its lane.
    pub(super) fn of(store: &Store, moved: &[(u32, u16)]) -> Self {
        let of_slice = |&(slice, lane): &(u32, u16)| {
            let slice = slice as usize;
            Some((store.slices.ts_ns[slice], flow_id_of(store, slice)?, lane))
        };
        let mut by_end: Vec<_> = moved.iter().filter_map(of_slice).collect();
        by_end.sort_unstable();
        Self { by_end }
    }

    /// The lane of a flow end; 0 for the track's own.
    pub(super) fn lane(&self, ts_ns: i64, id: u64) -> u16 {
        let at = self.by_end.partition_point(|&(ts, known, _)| (ts, known) < (ts_ns, id));
        match self.by_end.get(at) {
            Some(&(ts, known, lane)) if (ts, known) == (ts_ns, id) => lane,
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{FlowLanes, flow_target};
    use crate::diag::Reporter;
    use crate::store::{ChunkBuilder, SliceRow, Store, TraceMeta, TrackId};

    /// Runtime calls of a thread: (start, length, correlation).
    fn calls(spans: &[(i64, i64, u64)]) -> Store {
        let mut builder = ChunkBuilder::default();
        let (name, category) = (builder.string("cudaLaunchKernel"), builder.string("cuda_runtime"));
        let track = builder.track(TrackId::Int(1), TrackId::Int(2));
        for &(ts_ns, dur_ns, correlation) in spans {
            let id_a = Some(correlation);
            let row = SliceRow { ts_ns, dur_ns, name, category, track, id_a, id_b: None };
            builder.slice(row);
        }
        Store::build(vec![builder.finish()], TraceMeta::default(), &mut Reporter::default())
    }

    #[test]
    fn the_id_tells_before_the_length_does() {
        let store = calls(&[(0, 9, 1), (10, 4, 2), (10, 0, 3), (10, 0, 4), (20, 5, 5)]);
        let id_at = |ts_ns, id| {
            let slice = flow_target(&store, &store.tracks[0], ts_ns, id)?;
            store.correlation(slice)
        };
        assert_eq!([2, 3, 4].map(|id| id_at(10, id)), [Some(2), Some(3), Some(4)]);
        assert_eq!(id_at(10, 9), Some(4), "an end of an unknown id lies in the last of no length");
        assert_eq!((id_at(20, 9), id_at(5, 1)), (None, None));
    }

    #[test]
    fn ends_follow_their_slice_to_its_lane() {
        let store = calls(&[(0, 10, 1), (5, 10, 2), (5, 10, 3)]);
        let lanes = FlowLanes::of(&store, &[(1, 1), (2, 2)]);
        assert_eq!(
            [(5, 2), (5, 3), (5, 1), (0, 2)].map(|(ts, id)| lanes.lane(ts, id)),
            [1, 2, 0, 0]
        );
    }
}
