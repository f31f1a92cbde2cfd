//! A part of a store: what lies in a stretch of time, cut to it.

use super::order::Order;
use super::{CompactColumn, Slices, Store};

/// The number of a slice that is not in the part.
const GONE: u32 = u32::MAX;

impl Store {
    /// The store of `from_ns..to_ns`: slices that reach over an edge are cut there, what lies outside is left out.
    ///
    /// A slice without duration is inside when it starts inside. Strings, metadata and tracks stay as they are; the
    /// order within a track is that of the cut slices.
    #[must_use]
    pub fn clipped(&self, from_ns: i64, to_ns: i64) -> Self {
        let mut tracks = self.tracks.clone();
        let mut order: Vec<u32> = Vec::new();
        for track in &mut tracks {
            let first = order.len();
            let inside = |&slice: &usize| self.is_inside(slice, from_ns, to_ns);
            order.extend(track.slices.clone().filter(inside).map(|slice| slice as u32));
            order[first..].sort_by_key(|&slice| {
                let (ts_ns, end_ns) = self.cut(slice as usize, from_ns, to_ns);
                (ts_ns, std::cmp::Reverse(end_ns))
            });
            track.slices = first..order.len();
        }
        let mut new_of_old = vec![GONE; self.slices.len()];
        for (new, &old) in order.iter().enumerate() {
            new_of_old[old as usize] = new as u32;
        }
        let mut part = Self {
            tracks,
            slices: self.cut_slices(&order, from_ns, to_ns),
            ..self.without_events()
        };
        self.copy_details(&mut part, &new_of_old);
        self.copy_points(&mut part, from_ns..to_ns);
        part
    }

    fn is_inside(&self, slice: usize, from_ns: i64, to_ns: i64) -> bool {
        let (ts_ns, end_ns) = (self.slices.ts_ns[slice], self.slices.end_ns(slice));
        ts_ns < to_ns && (end_ns > from_ns || (ts_ns == end_ns && ts_ns >= from_ns))
    }

    /// Start and end of a slice, cut.
    fn cut(&self, slice: usize, from_ns: i64, to_ns: i64) -> (i64, i64) {
        (self.slices.ts_ns[slice].max(from_ns), self.slices.end_ns(slice).min(to_ns))
    }

    fn cut_slices(&self, order: &[u32], from_ns: i64, to_ns: i64) -> Slices {
        let mut dur_ns = CompactColumn::default();
        let mut ts_ns = Vec::with_capacity(order.len());
        for &old in order {
            let (start, end) = self.cut(old as usize, from_ns, to_ns);
            ts_ns.push(start);
            dur_ns.push(Some((end - start).max(0) as u64));
        }
        let Slices { name, category, id_a, id_b, event, .. } = &self.slices;
        let name = order.iter().map(|&old| name[old as usize]).collect();
        let order = Order::of_rows(order);
        Slices {
            ts_ns,
            dur_ns,
            name,
            category: order.permute(category),
            id_a: id_a.permuted(&order),
            id_b: id_b.permuted(&order),
            event: if event.is_empty() { Vec::new() } else { order.permute(event) },
        }
    }

    /// What does not depend on time.
    fn without_events(&self) -> Self {
        Self {
            strings: self.strings.clone(),
            meta: self.meta.clone(),
            categories: self.categories.clone(),
            launch_configs: self.launch_configs.clone(),
            shapes: self.shapes.clone(),
            n_events: self.n_events,
            event_numbers: self.event_numbers,
            repairs: self.repairs,
            ..Self::default()
        }
    }

    /// The side tables of the slices that are left.
    fn copy_details(&self, part: &mut Self, new_of_old: &[u32]) {
        fn copy<T: Clone>(
            rows: &[T],
            new_of_old: &[u32],
            slice: impl Fn(&mut T) -> &mut u32,
        ) -> Vec<T> {
            let mut kept: Vec<T> = rows.to_vec();
            kept.retain_mut(|row| {
                let number = slice(row);
                *number = new_of_old[*number as usize];
                *number != GONE
            });
            kept.sort_by_cached_key(|row| *slice(&mut row.clone()));
            kept
        }
        part.device_rows = copy(&self.device_rows, new_of_old, |row| &mut row.slice);
        part.syncs = copy(&self.syncs, new_of_old, |row| &mut row.slice);
        part.copies = copy(&self.copies, new_of_old, |row| &mut row.slice);
        part.collectives = copy(&self.collectives, new_of_old, |row| &mut row.slice);
        part.ops = copy(&self.ops, new_of_old, |row| &mut row.slice);
        part.modules = copy(&self.modules, new_of_old, |row| &mut row.slice);
    }

    /// What has a time and no duration.
    fn copy_points(&self, part: &mut Self, inside: std::ops::Range<i64>) {
        part.flows = self.flows.iter().filter(|f| inside.contains(&f.ts_ns)).copied().collect();
        part.counters =
            self.counters.iter().filter(|c| inside.contains(&c.ts_ns)).copied().collect();
        let mut new_of_old = vec![GONE; self.instants.len()];
        for (old, instant) in self.instants.iter().enumerate() {
            if inside.contains(&instant.ts_ns) {
                new_of_old[old] = part.instants.len() as u32;
                part.instants.push(*instant);
            }
        }
        for row in &self.memory {
            let instant = new_of_old[row.instant as usize];
            if instant != GONE {
                part.memory.push(super::MemoryRow { instant, ..*row });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::diag::Reporter;
    use crate::store::{ChunkBuilder, DeviceRow, SliceRow, Store, TraceMeta, TrackId};

    /// Slices as (track, start, duration), each with a device row whose stream is its number.
    fn store(slices: &[(u8, i64, i64)]) -> Store {
        let mut builder = ChunkBuilder::default();
        for (i, &(track, ts_ns, dur_ns)) in slices.iter().enumerate() {
            let row = SliceRow {
                ts_ns,
                dur_ns,
                name: builder.string(&format!("n{i}")),
                category: builder.string("kernel"),
                track: builder.track(TrackId::Int(0), TrackId::Int(track.into())),
                id_a: Some(i as u64),
                id_b: None,
            };
            let slice = builder.slice(row);
            let stream = Some(i as u32);
            builder.device_row(DeviceRow { slice, device: Some(0), stream, config: None }, None);
        }
        Store::build(vec![builder.finish()], TraceMeta::default(), &mut Reporter::default())
    }

    proptest! {
        /// The part holds exactly the slices that a plain filter keeps, cut, in the order of a store, with their rows.
        #[test]
        fn a_part_equals_a_plain_filter(
            slices in prop::collection::vec((0..3_u8, 0..60_i64, 0..30_i64), 0..40),
            from in 0..60_i64,
            length in 1..40_i64,
        ) {
            let to = from + length;
            let part = store(&slices).clipped(from, to);
            let mut expected: Vec<(String, i64, i64)> = slices
                .iter()
                .enumerate()
                .filter(|(_, s)| s.1 < to && (s.1 + s.2 > from || (s.2 == 0 && s.1 >= from)))
                .map(|(i, s)| {
                    let (start, end) = (s.1.max(from), (s.1 + s.2).min(to));
                    (format!("n{i}"), start, end - start)
                })
                .collect();
            let mut found: Vec<(String, i64, i64)> = (0..part.slices.len())
                .map(|i| (part.name(i).to_owned(), part.slices.ts_ns[i], part.slices.dur_ns(i)))
                .collect();
            expected.sort();
            found.sort();
            prop_assert_eq!(found, expected);
            for i in 0..part.slices.len() {
                let number: u32 = part.name(i)[1..].parse().unwrap();
                prop_assert_eq!(part.device_row(i).and_then(|row| row.stream), Some(number));
                prop_assert_eq!(part.correlation(i), Some(u64::from(number)));
            }
            prop_assert_eq!(part.device_rows.len(), part.slices.len());
            for track in &part.tracks {
                let key = |i| (part.slices.ts_ns[i], std::cmp::Reverse(part.slices.end_ns(i)));
                prop_assert!(track.slices.clone().is_sorted_by_key(key));
            }
        }
    }

    #[test]
    fn the_whole_is_the_whole() {
        let whole = store(&[(0, 0, 10), (0, 2, 3), (1, 5, 0)]);
        assert_eq!(whole.clipped(i64::MIN, i64::MAX), whole);
    }
}
