//! Chunks to store: one string table, one track list, slices grouped and sorted, side tables renumbered.
//!
//! Chunks are taken one at a time, in input order, and freed at once, so that memory while reading is the columns
//! themselves; at the end columns are put in order one after the other, so that the peak is the store plus one column.
//! Numbers given while reading depend on the input's order alone and become ranks at the end.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};

use rayon::prelude::*;

use super::chunk::{AsyncEdge, Chunk, LocalEdge, LocalStr, LocalTrack, NameKind};
use super::edges;
use super::order::grouped_order;
use super::strings::Interner;
use super::{
    Counter, Flow, Instant, LaunchConfig, Shapes, Slices, Store, StrId, Strings, TraceMeta, Track,
    TrackId,
};
use crate::diag::timings::timed;
use crate::diag::{IssueKind, Reporter};
use crate::model::EventKind;
use crate::model::limits::{
    IMPOSSIBLE_DUR_NS, MAX_CATEGORIES, MAX_LONG_DURATIONS_NS, MAX_NUMBERED,
};

/// `out[i] = values[order[i]]`, in parallel.
pub(super) fn permute<T: Copy + Send + Sync>(values: &[T], order: &[u32]) -> Vec<T> {
    order.par_iter().with_min_len(1 << 14).map(|&old| values[old as usize]).collect()
}

/// Takes chunks in input order and makes a [`Store`] of them.
#[derive(Debug, Default)]
pub struct StoreBuilder {
    /// The store in the making: slices unsorted, strings and tracks by number of first use.
    store: Store,
    strings: Interner,
    /// Track of each slice.
    track: Vec<u32>,
    track_ids: BTreeMap<(TrackId<u32>, TrackId<u32>), u32>,
    track_keys: Vec<(TrackId<u32>, TrackId<u32>)>,
    category_ids: BTreeMap<u32, u8>,
    category_strings: Vec<u32>,
    /// Number of the category of asynchronous spans, by its string's number.
    async_ids: BTreeMap<u32, u8>,
    names: Vec<(u32, NameKind, u32)>,
    edges: Vec<LocalEdge>,
    async_edges: Vec<AsyncEdge>,
    memory: BTreeMap<u32, super::MemoryRow>,
    config_ids: BTreeMap<LaunchConfig, u32>,
    shape_ids: BTreeMap<Shapes, u32>,
    n_uncategorized: u64,
    keeps_order: bool,
}

/// More events or texts than can be numbered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it holds more than {MAX_NUMBERED} events or texts, which are numbered with 32 bits")]
pub struct TooMany;

/// # Errors
///
/// More events, or more texts, than can be numbered.
fn check_numbers(n_events: u64, n_strings: u64) -> Result<(), TooMany> {
    if n_events.max(n_strings) > MAX_NUMBERED { Err(TooMany) } else { Ok(()) }
}

/// What a chunk's local numbers become.
struct Maps {
    strings: Vec<u32>,
    tracks: Vec<u32>,
    first_slice: u32,
    first_event: u32,
}

impl Maps {
    fn string(&self, local: LocalStr) -> StrId {
        StrId(self.strings[local.0 as usize])
    }

    fn row_string(&self, local: StrId) -> StrId {
        StrId(self.strings[local.0 as usize])
    }

    fn track(&self, local: LocalTrack) -> u32 {
        self.tracks[local.0 as usize]
    }

    fn slice(&self, local: u32) -> u32 {
        self.first_slice + local
    }
}

impl Store {
    /// Joins the chunks of one input, in input order. Counts in `reporter` what had to be dropped.
    pub fn build(chunks: Vec<Chunk>, meta: TraceMeta, reporter: &mut Reporter) -> Self {
        let mut builder = StoreBuilder::default();
        for chunk in chunks {
            builder.append(chunk).expect("chunks in memory hold fewer events than can be numbered");
        }
        builder.finish(meta, reporter)
    }
}

impl StoreBuilder {
    /// A builder for chunks of which every one keeps the order of its events, or none.
    pub fn new(keeps_order: bool) -> Self {
        Self { keeps_order, ..Self::default() }
    }

    /// Adds the next chunk.
    ///
    /// # Errors
    ///
    /// More than can be numbered, see [`MAX_NUMBERED`].
    pub fn append(&mut self, chunk: Chunk) -> Result<(), TooMany> {
        let n_strings = self.strings.len() as u64 + chunk.strings.len() as u64;
        check_numbers(self.store.n_events + chunk.n_events, n_strings)?;
        let strings = chunk.strings.iter().map(|text| self.strings.intern(text)).collect();
        let mut maps = Maps {
            strings,
            tracks: Vec::new(),
            first_slice: self.store.slices.len() as u32,
            first_event: self.store.n_events as u32,
        };
        maps.tracks = chunk.tracks.iter().map(|&key| self.track(key, &maps)).collect();
        self.store.n_events += chunk.n_events;
        self.store.meta.has_window_end |= chunk.has_window_end;
        self.store.event_numbers.join(chunk.event_numbers);
        self.append_small_tables(&chunk, &maps);
        self.append_details(&chunk, &maps);
        self.append_slices(chunk, &maps);
        Ok(())
    }

    /// Events taken so far.
    pub fn n_events(&self) -> u64 {
        self.store.n_events
    }

    fn track(&mut self, (pid, tid): (TrackId<LocalStr>, TrackId<LocalStr>), maps: &Maps) -> u32 {
        let global = |id: TrackId<LocalStr>| match id {
            TrackId::Int(v) => TrackId::Int(v),
            TrackId::Text(s) => TrackId::Text(maps.string(s).0),
        };
        let key = (global(pid), global(tid));
        let keys = &mut self.track_keys;
        *self.track_ids.entry(key).or_insert_with(|| {
            keys.push(key);
            keys.len() as u32 - 1
        })
    }

    /// The number of a category, by its string's number.
    fn category(&mut self, string: u32) -> u8 {
        if let Some(&known) = self.category_ids.get(&string) {
            return known;
        }
        if self.category_strings.len() == MAX_CATEGORIES + 1 {
            self.n_uncategorized += 1;
            self.category_ids.insert(string, MAX_CATEGORIES as u8);
            return MAX_CATEGORIES as u8;
        }
        let number = self.category_strings.len() as u8;
        self.category_strings.push(string);
        self.category_ids.insert(string, number);
        number
    }

    fn append_slices(&mut self, chunk: Chunk, maps: &Maps) {
        let mut last = (u32::MAX, 0);
        for local in chunk.category {
            if local != last.0 {
                last = (local, self.category(maps.strings[local as usize]));
            }
            self.store.slices.category.push(last.1);
        }
        let slices = &mut self.store.slices;
        slices.ts_ns.extend_from_slice(&chunk.ts_ns);
        slices.name.extend(chunk.name.iter().map(|&name| StrId(maps.strings[name as usize])));
        slices.dur_ns.append(chunk.dur_ns);
        slices.id_a.append(chunk.id_a);
        slices.id_b.append(chunk.id_b);
        slices.event.extend(chunk.event.iter().map(|&event| maps.first_event + event));
        self.track.extend(chunk.track.iter().map(|&track| maps.tracks[track as usize]));
    }

    /// Flows, counters, instants, names and open ends.
    fn append_small_tables(&mut self, chunk: &Chunk, maps: &Maps) {
        let first_instant = self.store.instants.len() as u32;
        self.store.flows.extend(chunk.flows.iter().map(|f| Flow {
            ts_ns: f.ts_ns,
            track: maps.track(f.track),
            category: maps.string(f.category),
            id: f.id,
            phase: f.phase,
        }));
        self.store.counters.extend(chunk.counters.iter().map(|c| Counter {
            ts_ns: c.ts_ns,
            track: maps.track(c.track),
            name: maps.string(c.name),
            series: maps.string(c.series),
            value: c.value,
        }));
        self.store.instants.extend(chunk.instants.iter().map(|i| Instant {
            ts_ns: i.ts_ns,
            track: maps.track(i.track),
            name: maps.string(i.name),
            category: i.category.map(|c| maps.string(c)),
        }));
        for row in &chunk.memory {
            self.memory.insert(first_instant + row.instant, *row);
        }
        self.names.extend(
            chunk.names.iter().map(|&(t, kind, text)| (maps.track(t), kind, maps.string(text).0)),
        );
        self.edges.extend(chunk.edges.iter().map(|edge| LocalEdge {
            track: LocalTrack(maps.track(edge.track)),
            name: LocalStr(maps.string(edge.name).0),
            category: LocalStr(maps.string(edge.category).0),
            event: maps.first_event + edge.event,
            ..*edge
        }));
        self.async_edges.extend(chunk.async_edges.iter().map(|edge| AsyncEdge {
            track: LocalTrack(maps.track(edge.track)),
            name: LocalStr(maps.string(edge.name).0),
            category: LocalStr(maps.string(edge.category).0),
            key: LocalStr(maps.string(edge.key).0),
            event: maps.first_event + edge.event,
            ..*edge
        }));
    }

    /// The side tables of slices.
    fn append_details(&mut self, chunk: &Chunk, maps: &Maps) {
        let string = |s: StrId| maps.row_string(s);
        let store = &mut self.store;
        let shared_config =
            |c: &LaunchConfig| shared(&mut store.launch_configs, &mut self.config_ids, *c);
        let configs: Vec<u32> = chunk.launch_configs.iter().map(shared_config).collect();
        let shared_shapes = |s: &Shapes| {
            let renamed = Shapes {
                dims: s.dims.map(string),
                types: s.types.map(string),
                strides: s.strides.map(string),
                concrete: s.concrete.map(string),
            };
            shared(&mut store.shapes, &mut self.shape_ids, renamed)
        };
        let shapes: Vec<u32> = chunk.shapes.iter().map(shared_shapes).collect();
        store.device_rows.extend(chunk.device_rows.iter().map(|r| super::DeviceRow {
            slice: maps.slice(r.slice),
            config: r.config.map(|c| configs[c as usize]),
            ..*r
        }));
        store.syncs.extend(
            chunk.syncs.iter().map(|r| super::SyncRow { slice: maps.slice(r.slice), ..*r }),
        );
        store.copies.extend(
            chunk.copies.iter().map(|r| super::CopyRow { slice: maps.slice(r.slice), ..*r }),
        );
        store.collectives.extend(chunk.collectives.iter().map(|r| super::CollectiveRow {
            slice: maps.slice(r.slice),
            ..renamed_collective(r, string)
        }));
        store.ops.extend(chunk.ops.iter().map(|r| super::OpRow {
            slice: maps.slice(r.slice),
            shapes: r.shapes.map(|s| shapes[s as usize]),
            stack: r.stack.map(string),
            modules: r.modules.map(string),
            ..*r
        }));
        store.asides.extend(chunk.asides.iter().map(|r| super::AsideRow {
            slice: maps.slice(r.slice),
            task: r.task.map(string),
            ..*r
        }));
        if let Some(arguments) = &chunk.arguments {
            let renamed = |r: &super::ArgumentRow| r.renamed(maps.slice(r.slice), string);
            let all = store.arguments.get_or_insert_default();
            all.extend(arguments.iter().map(renamed));
        }
        store.modules.extend(
            chunk.modules.iter().map(|r| super::ModuleRow { slice: maps.slice(r.slice), ..*r }),
        );
    }

    /// The store. Counts in `reporter` what had to be dropped: unmatched begin and end events, categories beyond the limit.
    pub fn finish(mut self, meta: TraceMeta, reporter: &mut Reporter) -> Store {
        self.join_edges(reporter);
        self.join_async_edges(reporter);
        if self.n_uncategorized > 0 {
            reporter.add(IssueKind::TooManyCategories, self.n_uncategorized, None, None);
        }
        let (strings, rank) = Strings::ranked(&self.strings);
        self.strings = Interner::default();
        let mut store = std::mem::take(&mut self.store);
        let n_cut = store.slices.dur_ns.cut_wide(MAX_LONG_DURATIONS_NS);
        if n_cut > 0 {
            reporter.add(IssueKind::SumOverflow, n_cut, None, None);
        }
        store.meta = TraceMeta { has_window_end: store.meta.has_window_end, ..meta };
        store.categories = self.category_table(&strings, &rank);
        store.strings = strings;
        let track_number = self.place_tracks(&mut store, &rank);
        let place = |track: &mut u32| *track = track_number[*track as usize];
        self.track.par_iter_mut().with_min_len(1 << 14).for_each(place);
        let track = std::mem::take(&mut self.track);
        timed("store: slices", || place_slices(&mut store, track, &rank));
        store.repairs.report(reporter);
        timed("store: small tables", || {
            place_small_tables(&mut store, &self.memory, &track_number, &rank);
        });
        timed("store: kinds", || super::classify::classify(&mut store));
        store
    }

    fn category_table(&self, strings: &Strings, rank: &[StrId]) -> Vec<(StrId, EventKind)> {
        let entry = |(number, &string): (usize, &u32)| {
            let id = rank[string as usize];
            let is_async = self.async_ids.get(&string) == Some(&(number as u8));
            let of_text = || EventKind::from_category(strings.get(id).as_bytes());
            (id, if is_async { EventKind::Async } else { of_text() })
        };
        self.category_strings.iter().enumerate().map(entry).collect()
    }

    /// Sorts the tracks and names them; the last name written wins. Gives the new number of each.
    fn place_tracks(&self, store: &mut Store, rank: &[StrId]) -> Vec<u32> {
        let final_id = |id: TrackId<u32>| match id {
            TrackId::Int(v) => TrackId::Int(v),
            TrackId::Text(s) => TrackId::Text(rank[s as usize]),
        };
        let mut keys: Vec<_> = self
            .track_keys
            .iter()
            .enumerate()
            .map(|(old, &(p, t))| ((final_id(p), final_id(t)), old))
            .collect();
        keys.sort_unstable();
        let mut number = vec![0; keys.len()];
        for (new, &((pid, tid), old)) in keys.iter().enumerate() {
            number[old] = new as u32;
            store.tracks.push(Track {
                pid,
                tid,
                process_name: None,
                process_labels: None,
                thread_name: None,
                slices: 0..0,
            });
        }
        let mut processes: BTreeMap<TrackId, (Option<StrId>, Option<StrId>)> = BTreeMap::new();
        for &(track, kind, text) in &self.names {
            let track = &mut store.tracks[number[track as usize] as usize];
            let text = Some(rank[text as usize]);
            match kind {
                NameKind::Thread => track.thread_name = text,
                NameKind::Process => processes.entry(track.pid).or_default().0 = text,
                NameKind::ProcessLabels => processes.entry(track.pid).or_default().1 = text,
            }
        }
        for track in &mut store.tracks {
            if let Some(&(name, labels)) = processes.get(&track.pid) {
                (track.process_name, track.process_labels) = (name, labels);
            }
        }
        number
    }

    /// Begin and end events to slices.
    fn join_edges(&mut self, reporter: &mut Reporter) {
        let edges = std::mem::take(&mut self.edges);
        if edges.is_empty() {
            return;
        }
        let joined = edges::join(edges, self.strings.find(b""), self.last_end_ns());
        for span in &joined.spans {
            let dur_ns = self.push_pair(&span.begin, span.end_ns);
            if !span.is_closed {
                self.store.repairs.n_open_begins += 1;
                self.store.repairs.open_begins_ns += dur_ns;
            }
        }
        if joined.n_unmatched_ends > 0 {
            reporter.add(IssueKind::UnmatchedBegin, joined.n_unmatched_ends, None, None);
        }
    }

    /// The last end of the complete events that a capture can hold.
    fn last_end_ns(&self) -> i64 {
        let slices = &self.store.slices;
        let possible = (0..slices.len()).filter(|&i| slices.dur_ns(i) <= IMPOSSIBLE_DUR_NS);
        possible.map(|i| slices.end_ns(i)).max().unwrap_or(i64::MIN)
    }

    /// Asynchronous begin and end events to slices.
    fn join_async_edges(&mut self, reporter: &mut Reporter) {
        let edges = std::mem::take(&mut self.async_edges);
        let (pairs, n_unmatched) = super::asyncs::pairs(edges);
        for (begin, end_ns) in pairs {
            let category = self.async_category(begin.category.0);
            let edge = LocalEdge {
                ts_ns: begin.ts_ns,
                track: begin.track,
                name: begin.name,
                category: begin.category,
                is_begin: true,
                event: begin.event,
            };
            self.push_slice(&edge, end_ns, category);
        }
        if n_unmatched > 0 {
            reporter.add(IssueKind::UnmatchedBegin, n_unmatched, None, None);
        }
    }

    /// The number of a category of asynchronous spans.
    fn async_category(&mut self, string: u32) -> u8 {
        if let Some(&known) = self.async_ids.get(&string) {
            return known;
        }
        if self.category_strings.len() >= MAX_CATEGORIES {
            return self.category(string);
        }
        let number = self.category_strings.len() as u8;
        self.category_strings.push(string);
        self.async_ids.insert(string, number);
        number
    }

    /// Adds a slice from a begin event to an instant. Gives its duration.
    fn push_pair(&mut self, begin: &LocalEdge, end_ns: i64) -> i64 {
        let category = self.category(begin.category.0);
        self.push_slice(begin, end_ns, category)
    }

    fn push_slice(&mut self, begin: &LocalEdge, end_ns: i64, category: u8) -> i64 {
        let slices = &mut self.store.slices;
        let dur_ns = end_ns.saturating_sub(begin.ts_ns).max(0);
        slices.ts_ns.push(begin.ts_ns);
        slices.dur_ns.push(Some(dur_ns as u64));
        slices.name.push(StrId(begin.name.0));
        slices.category.push(category);
        slices.id_a.push(None);
        slices.id_b.push(None);
        // The column is kept for every slice or for none.
        if self.keeps_order {
            slices.event.push(begin.event);
        }
        self.track.push(begin.track.0);
        dur_ns
    }
}

/// The number of a shared row, new or known.
fn shared<T: Copy + Ord>(rows: &mut Vec<T>, ids: &mut BTreeMap<T, u32>, row: T) -> u32 {
    *ids.entry(row).or_insert_with(|| {
        rows.push(row);
        rows.len() as u32 - 1
    })
}

fn renamed_collective(
    row: &super::CollectiveRow,
    string: impl Fn(StrId) -> StrId,
) -> super::CollectiveRow {
    super::CollectiveRow {
        name: string(row.name),
        dtype: row.dtype.map(&string),
        group_name: row.group_name.map(&string),
        group_description: row.group_description.map(&string),
        group_ranks: row.group_ranks.map(&string),
        in_split: row.in_split.map(&string),
        out_split: row.out_split.map(&string),
        comms_id: row.comms_id.map(&string),
        ..row.clone()
    }
}

/// Puts the slices, and the side tables with them, in the order of the store.
fn place_slices(store: &mut Store, track: Vec<u32>, rank: &[StrId]) {
    let slices = &mut store.slices;
    let mut order = grouped_order(&track, &mut store.tracks, &slices.ts_ns, &slices.dur_ns);
    drop(track);
    slices.reorder(&order);
    slices.name.par_iter_mut().with_min_len(1 << 14).for_each(|name| *name = rank[name.0 as usize]);
    if let Some(again) = store.close_frames() {
        store.slices.reorder(&again);
        order = permute(&order, &again);
    }
    store.judge_zero();
    let new_of_old: Vec<AtomicU32> = order.par_iter().map(|_| AtomicU32::new(0)).collect();
    order.par_iter().enumerate().with_min_len(1 << 14).for_each(|(new, &old)| {
        new_of_old[old as usize].store(new as u32, Ordering::Relaxed);
    });
    drop(order);
    timed("store: details", || place_details(store, &new_of_old, rank));
}

fn place_details(store: &mut Store, new_of_old: &[AtomicU32], rank: &[StrId]) {
    let slice = |old: &mut u32| *old = new_of_old[*old as usize].load(Ordering::Relaxed);
    let string = |s: StrId| rank[s.0 as usize];
    store.device_rows.par_iter_mut().with_min_len(1 << 12).for_each(|r| slice(&mut r.slice));
    store.syncs.iter_mut().for_each(|r| slice(&mut r.slice));
    store.copies.iter_mut().for_each(|r| slice(&mut r.slice));
    store.modules.par_iter_mut().with_min_len(1 << 12).for_each(|r| slice(&mut r.slice));
    for row in &mut store.asides {
        slice(&mut row.slice);
        row.task = row.task.map(string);
    }
    store.asides.sort_unstable_by_key(|r| r.slice);
    for row in &mut store.collectives {
        slice(&mut row.slice);
        *row = renamed_collective(row, string);
    }
    store.ops.par_iter_mut().with_min_len(1 << 12).for_each(|row| {
        slice(&mut row.slice);
        row.stack = row.stack.map(string);
        row.modules = row.modules.map(string);
    });
    for row in store.arguments.iter_mut().flatten() {
        *row = row.renamed(new_of_old[row.slice as usize].load(Ordering::Relaxed), string);
    }
    for shapes in &mut store.shapes {
        shapes.dims = shapes.dims.map(string);
        shapes.types = shapes.types.map(string);
        shapes.strides = shapes.strides.map(string);
        shapes.concrete = shapes.concrete.map(string);
    }
    store.device_rows.par_sort_unstable_by_key(|r| r.slice);
    store.syncs.sort_unstable_by_key(|r| r.slice);
    store.copies.par_sort_unstable_by_key(|r| r.slice);
    store.collectives.par_sort_unstable_by_key(|r| r.slice);
    store.ops.par_sort_unstable_by_key(|r| r.slice);
    store.modules.par_sort_unstable_by_key(|r| r.slice);
    // Those of a slice stay in the order of the trace.
    store.arguments.iter_mut().for_each(|all| all.par_sort_by_key(|row| row.slice));
}

fn place_small_tables(
    store: &mut Store,
    memory: &BTreeMap<u32, super::MemoryRow>,
    track_number: &[u32],
    rank: &[StrId],
) {
    let string = |s: &mut StrId| *s = rank[s.0 as usize];
    let track = |t: &mut u32| *t = track_number[*t as usize];
    store.flows.par_iter_mut().with_min_len(1 << 12).for_each(|flow| {
        string(&mut flow.category);
        track(&mut flow.track);
    });
    for counter in &mut store.counters {
        string(&mut counter.name);
        string(&mut counter.series);
        track(&mut counter.track);
    }
    for instant in &mut store.instants {
        string(&mut instant.name);
        instant.category.iter_mut().for_each(string);
        track(&mut instant.track);
    }
    store.flows.par_sort_by_key(|f| (f.category, f.id, f.ts_ns, f.phase));
    store.counters.par_sort_by_key(|c| (c.ts_ns, c.track, c.name, c.series));
    let mut order: Vec<u32> = (0..store.instants.len() as u32).collect();
    order.par_sort_by_key(|&i| store.instants[i as usize].ts_ns);
    for (new, old) in order.iter().enumerate() {
        let row = memory.get(old);
        store.memory.extend(row.map(|row| super::MemoryRow { instant: new as u32, ..*row }));
    }
    store.instants = permute(&store.instants, &order);
}

impl Slices {
    /// Puts slice `order[i]` in place `i`.
    fn reorder(&mut self, order: &[u32]) {
        self.ts_ns = permute(&self.ts_ns, order);
        self.dur_ns = std::mem::take(&mut self.dur_ns).permuted(order);
        self.category = permute(&self.category, order);
        self.name = permute(&self.name, order);
        self.id_a = std::mem::take(&mut self.id_a).permuted(order);
        self.id_b = std::mem::take(&mut self.id_b).permuted(order);
        if !self.event.is_empty() {
            self.event = permute(&self.event, order);
        }
    }

    /// Bytes of memory held by the columns.
    pub fn heap_bytes(&self) -> usize {
        self.ts_ns.capacity() * size_of::<i64>()
            + self.name.capacity() * size_of::<StrId>()
            + self.category.capacity()
            + self.dur_ns.heap_bytes()
            + self.id_a.heap_bytes()
            + self.id_b.heap_bytes()
            + self.event.capacity() * size_of::<u32>()
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_NUMBERED, TooMany, check_numbers};

    #[test]
    fn what_cannot_be_numbered_is_an_error() {
        assert_eq!(check_numbers(MAX_NUMBERED, 7), Ok(()));
        assert_eq!(check_numbers(MAX_NUMBERED + 1, 7), Err(TooMany));
        assert_eq!(check_numbers(7, MAX_NUMBERED + 1), Err(TooMany));
    }
}
