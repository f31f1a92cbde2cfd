//! Lanes for slices that overlap others of their track without nesting in them, or nest too deep.
//!
//! Viewers show a track as one stack: a slice may lie inside another or beside it, not across its end. Annotations that
//! cross Python frames, kernels that overlap on one stream, and the stacks of several idle threads that a writer puts on
//! thread 0 break that. Each slice goes to the first lane on which it nests; Python frames follow their parent.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use foldhash::fast::FixedState;

use crate::model::EventKind;
use crate::store::{Store, Track};

/// Slices that may be open on one lane at once: Perfetto's importer drops what is deeper than 512.
const MAX_OPEN: usize = 500;

/// The lanes of one track, beyond its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TrackLanes {
    /// Slices that moved, with their lane from 1.
    pub(crate) moved: Vec<(u32, u16)>,
    /// Number of further lanes.
    pub(crate) n_lanes: u16,
}

/// The lane of each Python frame, by its id. A profiler counts the ids, so that those of a track lie close together and have a
/// place each; where they do not, they are looked up.
#[derive(Default)]
struct LaneOfFrame {
    /// The smallest id that has a place.
    first: u64,
    /// The lane and 1; 0 for none.
    places: Vec<u16>,
    /// Of ids without a place: only asked, never gone through.
    others: HashMap<u64, u16, FixedState>,
}

impl LaneOfFrame {
    /// Places that an id of a frame may take on average.
    const SPARSENESS: u64 = 8;

    /// With a place for each of some ids.
    fn for_ids(ids: impl Iterator<Item = u64>) -> Self {
        let (mut first, mut last, mut n_ids) = (u64::MAX, 0, 0);
        for id in ids {
            (first, last, n_ids) = (first.min(id), last.max(id), n_ids + 1);
        }
        let n_places = last.checked_sub(first).filter(|&span| span / Self::SPARSENESS < n_ids);
        let places = vec![0; n_places.map_or(0, |span| span as usize + 1)];
        Self { first, places, others: HashMap::default() }
    }

    fn place(&self, id: u64) -> Option<usize> {
        let place = usize::try_from(id.checked_sub(self.first)?).ok()?;
        (place < self.places.len()).then_some(place)
    }

    fn get(&self, id: u64) -> Option<usize> {
        let lane = match self.place(id) {
            Some(place) => self.places[place].checked_sub(1),
            None => self.others.get(&id).copied(),
        };
        lane.map(usize::from)
    }

    fn insert(&mut self, id: u64, lane: u16) {
        match self.place(id) {
            Some(place) => self.places[place] = lane + 1,
            None => drop(self.others.insert(id, lane)),
        }
    }
}

/// Ends of the slices that are open on one lane, the innermost last.
#[derive(Default)]
struct Lane {
    open: Vec<i64>,
}

impl Lane {
    /// Closes what ended before a slice starts.
    fn close(&mut self, start_ns: i64) {
        while self.open.last().is_some_and(|&open| open <= start_ns) {
            self.open.pop();
        }
    }

    /// The last end that a slice may have which nests on this lane, not too deep for viewers.
    fn room_ns(&self) -> i64 {
        match self.open.last() {
            None => EMPTY,
            Some(_) if self.open.len() >= MAX_OPEN => i64::MIN,
            Some(&open) => open.min(EMPTY - 1),
        }
    }

    /// Whether a slice nests on this lane. Closes what ended before it.
    fn accepts(&mut self, start_ns: i64, end_ns: i64) -> bool {
        self.close(start_ns);
        end_ns.min(EMPTY - 1) <= self.room_ns()
    }
}

/// The room of a lane on which nothing is open.
const EMPTY: i64 = i64::MAX;

/// So many lanes are searched one after the other.
const FEW_LANES: usize = 8;

/// The lanes of a track, of which the first with room is found in logarithmic time where they are not few: many slices may cross.
struct Lanes {
    lanes: Vec<Lane>,
    /// Ends of what is open, with the lane, the next first; empty while lanes are few.
    ends: BinaryHeap<Reverse<(i64, usize)>>,
    /// A binary tree whose leaves are the rooms of the lanes, as of the last slice; every other node is the larger of its two. Empty while
    /// lanes are few.
    rooms: Vec<i64>,
}

impl Lanes {
    fn new() -> Self {
        Self { lanes: vec![Lane::default()], ends: BinaryHeap::new(), rooms: Vec::new() }
    }

    fn are_few(&self) -> bool {
        self.lanes.len() <= FEW_LANES
    }

    fn add(&mut self) {
        self.lanes.push(Lane::default());
        if self.are_few() {
            return;
        }
        if self.ends.is_empty() {
            let of_lane = |(i, lane): (usize, &Lane)| {
                lane.open.iter().map(|&end_ns| Reverse((end_ns, i))).collect::<Vec<_>>()
            };
            self.ends = self.lanes.iter().enumerate().flat_map(of_lane).collect();
        }
        if self.lanes.len() > self.rooms.len() / 2 {
            self.rooms = vec![i64::MIN; 2 * self.lanes.len().next_power_of_two()];
            (0..self.lanes.len()).for_each(|lane| self.update(lane));
        } else {
            self.update(self.lanes.len() - 1);
        }
    }

    fn update(&mut self, lane: usize) {
        let mut node = self.rooms.len() / 2 + lane;
        self.rooms[node] = self.lanes[lane].room_ns();
        while node > 1 {
            node /= 2;
            self.rooms[node] = self.rooms[2 * node].max(self.rooms[2 * node + 1]);
        }
    }

    /// Closes on every lane what ended before a slice starts.
    fn close(&mut self, start_ns: i64) {
        while let Some(&Reverse((end_ns, lane))) = self.ends.peek()
            && end_ns <= start_ns
        {
            self.ends.pop();
            self.lanes[lane].close(start_ns);
            self.update(lane);
        }
    }

    /// The first lane with so much room for a slice that starts at a time; the one after the last where there is none.
    fn first_with(&mut self, room_ns: i64, start_ns: i64) -> usize {
        if self.are_few() {
            let has_room = |lane: &mut Lane| {
                lane.close(start_ns);
                lane.room_ns() >= room_ns
            };
            let found = self.lanes.iter_mut().position(has_room);
            return found.unwrap_or(self.lanes.len());
        }
        let n_leaves = self.rooms.len() / 2;
        if self.rooms[1] < room_ns {
            return self.lanes.len();
        }
        let mut node = 1;
        while node < n_leaves {
            node = if self.rooms[2 * node] >= room_ns { 2 * node } else { 2 * node + 1 };
        }
        node - n_leaves
    }

    fn open(&mut self, lane: usize, end_ns: i64) {
        self.lanes[lane].open.push(end_ns);
        if self.are_few() {
            return;
        }
        self.ends.push(Reverse((end_ns, lane)));
        self.update(lane);
    }
}

/// The lanes that the slices of a track need that stay; `is_gone` is by slice, and empty where all stay.
pub(crate) fn lanes_of(store: &Store, track: &Track, is_gone: &[bool]) -> TrackLanes {
    let slices = &store.slices;
    let mut lane = Lane::default();
    let nests = |slice: usize| {
        let (start_ns, end_ns) = (slices.ts_ns[slice], slices.end_ns(slice));
        let accepts = lane.accepts(start_ns, end_ns);
        lane.open.push(end_ns);
        accepts
    };
    if staying(track, is_gone).all(nests) {
        TrackLanes::default()
    } else {
        assign(store, track, is_gone)
    }
}

fn staying<'a>(track: &Track, is_gone: &'a [bool]) -> impl Iterator<Item = usize> + 'a {
    track.slices.clone().filter(|&slice| is_gone.get(slice).is_none_or(|gone| !gone))
}

/// Gives every slice of a track that stays its lane.
fn assign(store: &Store, track: &Track, is_gone: &[bool]) -> TrackLanes {
    let mut lanes = Lanes::new();
    let ids = staying(track, is_gone).filter_map(|slice| store.python_id(slice));
    let mut lane_of_frame = LaneOfFrame::for_ids(ids);
    let mut found = TrackLanes::default();
    for slice in staying(track, is_gone) {
        let (start_ns, end_ns) = (store.slices.ts_ns[slice], store.slices.end_ns(slice));
        lanes.close(start_ns);
        let number = match preferred(store, slice, &lane_of_frame) {
            Preferred::Lane(lane) if lanes.lanes[lane].accepts(start_ns, end_ns) => lane,
            Preferred::Empty => lanes.first_with(EMPTY, start_ns),
            _ => lanes.first_with(end_ns.min(EMPTY - 1), start_ns),
        };
        // Beyond this many lanes nobody looks; what is left overlaps on the last one.
        let number = number.min(usize::from(u16::MAX) - 1);
        if number == lanes.lanes.len() {
            lanes.add();
        }
        lanes.open(number, end_ns);
        if let Some(id) = store.python_id(slice) {
            lane_of_frame.insert(id, number as u16);
        }
        if number > 0 {
            found.moved.push((slice as u32, number as u16));
            found.n_lanes = found.n_lanes.max(number as u16);
        }
    }
    found
}

enum Preferred {
    /// That of the parent frame.
    Lane(usize),
    /// A frame without a parent is the bottom of a stack of its own.
    Empty,
    /// The first that fits.
    Any,
}

fn preferred(store: &Store, slice: usize, lane_of_frame: &LaneOfFrame) -> Preferred {
    if store.kind(slice) != EventKind::PythonFunction {
        return Preferred::Any;
    }
    match store.python_parent_id(slice) {
        Some(parent) => lane_of_frame.get(parent).map_or(Preferred::Any, Preferred::Lane),
        None => Preferred::Empty,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{LaneOfFrame, MAX_OPEN, lanes_of};
    use crate::diag::Reporter;
    use crate::store::{ChunkBuilder, SliceRow, Store, TraceMeta, TrackId};

    fn store_of(spans: &[(i64, i64)]) -> Store {
        let mut builder = ChunkBuilder::default();
        let name = builder.string("x");
        let track = builder.track(TrackId::Int(1), TrackId::Int(2));
        for &(ts_ns, dur_ns) in spans {
            builder.slice(SliceRow {
                ts_ns,
                dur_ns,
                name,
                category: name,
                track,
                id_a: None,
                id_b: None,
            });
        }
        Store::build(vec![builder.finish()], TraceMeta::default(), &mut Reporter::default())
    }

    #[test]
    fn frames_are_found_wherever_their_ids_lie() {
        for ids in [vec![7, 9, 8, 30], vec![0, u64::MAX, 1 << 40], vec![u64::MAX], vec![]] {
            let mut lanes = LaneOfFrame::for_ids(ids.iter().copied());
            for (lane, &id) in ids.iter().enumerate() {
                assert_eq!(lanes.get(id), None);
                lanes.insert(id, lane as u16);
            }
            lanes.insert(12, 65_534);
            let found: Vec<_> = ids.iter().map(|&id| lanes.get(id)).collect();
            assert_eq!(found, (0..ids.len()).map(Some).collect::<Vec<_>>());
            assert_eq!((lanes.get(12), lanes.get(13)), (Some(65_534), None));
        }
    }

    fn cross(a: (i64, i64), b: (i64, i64)) -> bool {
        a.0 < b.0 && b.0 < a.1 && a.1 < b.1
    }

    #[test]
    fn nested_and_touching_slices_stay() {
        let store = store_of(&[(0, 10), (0, 10), (0, 4), (4, 6), (10, 5), (10, 0), (15, 0)]);
        assert_eq!(lanes_of(&store, &store.tracks[0], &[]).n_lanes, 0);
    }

    #[test]
    fn a_crossing_slice_gets_a_lane() {
        let store = store_of(&[(0, 10), (5, 10), (12, 1)]);
        let lanes = lanes_of(&store, &store.tracks[0], &[]);
        assert_eq!(lanes.moved, [(1, 1)]);
        assert_eq!(lanes_of(&store, &store.tracks[0], &[true, false, false]).n_lanes, 0);
    }

    #[test]
    fn what_nests_too_deep_gets_a_lane() {
        let depth = MAX_OPEN as i64 * 2 + 7;
        let mut spans: Vec<(i64, i64)> = (0..depth).map(|i| (i, 4 * depth - 2 * i)).collect();
        spans.push((5 * depth, 1));
        let store = store_of(&spans);
        let lanes = lanes_of(&store, &store.tracks[0], &[]);
        let expected: Vec<(u32, u16)> =
            (MAX_OPEN..depth as usize).map(|i| (i as u32, (i / MAX_OPEN) as u16)).collect();
        assert_eq!(lanes.moved, expected);
        assert_eq!(lanes.n_lanes, 2);
    }

    /// The lanes that a search through all of them, one after the other, gives.
    fn plain_lanes(spans: &[(i64, i64)]) -> Vec<(u32, u16)> {
        let mut lanes: Vec<Vec<i64>> = Vec::new();
        let mut moved = Vec::new();
        for (slice, &(start, end)) in spans.iter().enumerate() {
            for open in &mut lanes {
                while open.last().is_some_and(|&open| open <= start) {
                    open.pop();
                }
            }
            let fits = |open: &Vec<i64>| {
                open.len() < MAX_OPEN && open.last().is_none_or(|&open| end <= open)
            };
            let lane = lanes.iter().position(fits).unwrap_or(lanes.len());
            if lane == lanes.len() {
                lanes.push(Vec::new());
            }
            lanes[lane].push(end);
            if lane > 0 {
                moved.push((slice as u32, lane as u16));
            }
        }
        moved
    }

    proptest! {
        #[test]
        fn lanes_are_those_of_a_plain_search(spans in prop::collection::vec((0..60_i64, 0..90_i64), 0..200)) {
            let store = store_of(&spans);
            let sorted: Vec<(i64, i64)> =
                (0..spans.len()).map(|i| (store.slices.ts_ns[i], store.slices.end_ns(i))).collect();
            let lanes = store.tracks.first().map(|track| lanes_of(&store, track, &[])).unwrap_or_default();
            prop_assert_eq!(lanes.moved, plain_lanes(&sorted));
        }

        /// Every pair of slices on one lane, by brute force.
        #[test]
        fn no_two_slices_of_a_lane_cross(spans in prop::collection::vec((0..60_i64, 0..30_i64), 0..60)) {
            let store = store_of(&spans);
            let lanes = store.tracks.first().map(|track| lanes_of(&store, track, &[])).unwrap_or_default();
            let lane = |slice: usize| lanes.moved.iter().find(|m| m.0 as usize == slice).map_or(0, |m| m.1);
            let span = |slice: usize| (store.slices.ts_ns[slice], store.slices.end_ns(slice));
            for a in 0..spans.len() {
                for b in 0..spans.len() {
                    prop_assert!(lane(a) != lane(b) || !cross(span(a), span(b)));
                }
            }
        }
    }
}
