//! Chunks to store: one string table, one track list, slices grouped and sorted, side tables renumbered.
//!
//! Chunks are taken one at a time, in input order, and freed at once, so that memory while reading is the columns
//! themselves; at the end columns are put in order one after the other, so that the peak is the store plus one column.
//! Numbers given while reading depend on the input's order alone and become ranks at the end.

use std::collections::BTreeMap;

use rayon::prelude::*;

use super::chunk::{AsyncEdge, Chunk, Edge, LocalTrack, NameKind};
use super::edges;
use super::order::{Asked, Order, Places, Runs, key};
use super::strings::{Interner, Ranks, SeenStr};
use super::{
    ArgumentRow, AsideRow, CollectiveRow, CompactColumn, Counter, Flow, Instant, LaunchConfig,
    LocalStr, OpRow, Shapes, Slices, Store, StrId, Strings, TraceMeta, Track, TrackId,
};
use crate::diag::timings::timed;
use crate::diag::{IssueKind, Reporter};
use crate::model::EventKind;
use crate::model::limits::{
    IMPOSSIBLE_DUR_NS, MAX_CATEGORIES, MAX_LONG_DURATIONS_NS, MAX_NUMBERED,
};

/// Takes chunks in input order and makes a [`Store`] of them.
#[derive(Debug, Default)]
pub struct StoreBuilder {
    /// The store in the making: slices unsorted, tracks by number of first use, no texts yet.
    store: Store,
    strings: Interner,
    texts: WithTexts,
    /// On which tracks the slices are.
    runs: Runs,
    track_ids: BTreeMap<TrackKey, u32>,
    track_keys: Vec<TrackKey>,
    category_ids: BTreeMap<SeenStr, u8>,
    category_strings: Vec<SeenStr>,
    /// Number of the category of asynchronous spans, by its string.
    async_ids: BTreeMap<SeenStr, u8>,
    names: Vec<(u32, NameKind, SeenStr)>,
    edges: Vec<Edge<SeenStr, u32>>,
    async_edges: Vec<AsyncEdge<SeenStr, u32>>,
    memory: BTreeMap<u32, super::MemoryRow>,
    config_ids: BTreeMap<LaunchConfig, u32>,
    shape_ids: BTreeMap<Shapes<SeenStr>, u32>,
    n_uncategorized: u64,
    keeps_order: bool,
}

/// Process and thread of a track.
type TrackKey = (TrackId<SeenStr>, TrackId<SeenStr>);

/// What names texts, until these have their ranks.
#[derive(Debug, Default)]
struct WithTexts {
    /// Number of each slice's name, see [`SeenStr`].
    name: Vec<u32>,
    flows: Vec<Flow<SeenStr>>,
    counters: Vec<Counter<SeenStr>>,
    instants: Vec<Instant<SeenStr>>,
    collectives: Vec<CollectiveRow<SeenStr>>,
    ops: Vec<OpRow<SeenStr>>,
    shapes: Vec<Shapes<SeenStr>>,
    arguments: Option<Vec<ArgumentRow<SeenStr>>>,
    /// What events state that may turn out to be a device's.
    asides: Vec<AsideRow<SeenStr>>,
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
    strings: Vec<SeenStr>,
    tracks: Vec<u32>,
    first_slice: u32,
    first_event: u32,
}

impl Maps {
    fn string(&self, local: LocalStr) -> SeenStr {
        self.strings[local.0 as usize]
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

    /// Adds the next chunk. Gives it back empty, for its memory.
    ///
    /// # Errors
    ///
    /// More than can be numbered, see [`MAX_NUMBERED`].
    pub fn append(&mut self, mut chunk: Chunk) -> Result<Chunk, TooMany> {
        let n_strings = self.strings.len() as u64 + chunk.strings.len() as u64;
        check_numbers(self.store.n_events + chunk.n_events, n_strings)?;
        let strings = chunk.strings.iter().map(|text| SeenStr(self.strings.intern(text))).collect();
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
        self.append_slices(&chunk, &maps);
        chunk.clear();
        Ok(chunk)
    }

    /// Events taken so far.
    pub fn n_events(&self) -> u64 {
        self.store.n_events
    }

    fn track(&mut self, (pid, tid): (TrackId<LocalStr>, TrackId<LocalStr>), maps: &Maps) -> u32 {
        let string = |local| maps.string(local);
        let key = (pid.renamed(string), tid.renamed(string));
        let keys = &mut self.track_keys;
        *self.track_ids.entry(key).or_insert_with(|| {
            keys.push(key);
            keys.len() as u32 - 1
        })
    }

    /// The number of a category.
    fn category(&mut self, string: SeenStr) -> u8 {
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

    fn append_slices(&mut self, chunk: &Chunk, maps: &Maps) {
        let numbers = chunk.categories.iter().map(|&text| self.category(maps.string(text)));
        let categories: Vec<u8> = numbers.collect();
        if let Some(key) = chunk.first_key() {
            self.runs.join(&chunk.runs, &maps.tracks, maps.first_slice, key);
        }
        let slices = &mut self.store.slices;
        slices.category.extend(chunk.category.iter().map(|&number| categories[number as usize]));
        slices.ts_ns.extend_from_slice(&chunk.ts_ns);
        self.texts.name.extend(chunk.name.iter().map(|&name| maps.strings[name as usize].0));
        slices.dur_ns.append(&chunk.dur_ns);
        slices.id_a.append(&chunk.id_a);
        slices.id_b.append(&chunk.id_b);
        slices.event.extend(chunk.event.iter().map(|&event| maps.first_event + event));
    }

    /// Flows, counters, instants, names and open ends.
    fn append_small_tables(&mut self, chunk: &Chunk, maps: &Maps) {
        let first_instant = self.texts.instants.len() as u32;
        let string = |local| maps.string(local);
        let track = |local| maps.track(local);
        self.texts.flows.extend(chunk.flows.iter().map(|flow| flow.renamed(string, track)));
        self.texts.counters.extend(chunk.counters.iter().map(|c| c.renamed(string, track)));
        self.texts.instants.extend(chunk.instants.iter().map(|i| i.renamed(string, track)));
        for row in &chunk.memory {
            self.memory.insert(first_instant + row.instant, *row);
        }
        self.names.extend(
            chunk.names.iter().map(|&(t, kind, text)| (maps.track(t), kind, maps.string(text))),
        );
        let event = |local| maps.first_event + local;
        let edge = |edge: &Edge| edge.renamed(event(edge.event), string, track(edge.track));
        self.edges.extend(chunk.edges.iter().map(edge));
        let edge = |edge: &AsyncEdge| edge.renamed(event(edge.event), string, track(edge.track));
        self.async_edges.extend(chunk.async_edges.iter().map(edge));
    }

    /// The side tables of slices.
    fn append_details(&mut self, chunk: &Chunk, maps: &Maps) {
        let string = |local| maps.string(local);
        let slice = |local| maps.slice(local);
        let (store, texts) = (&mut self.store, &mut self.texts);
        let shared_config =
            |c: &LaunchConfig| shared(&mut store.launch_configs, &mut self.config_ids, *c);
        let configs: Vec<u32> = chunk.launch_configs.iter().map(shared_config).collect();
        let shared_shapes = |s: &Shapes<LocalStr>| {
            shared(&mut texts.shapes, &mut self.shape_ids, s.renamed(string))
        };
        let shapes: Vec<u32> = chunk.shapes.iter().map(shared_shapes).collect();
        store.device_rows.extend(chunk.device_rows.iter().map(|r| super::DeviceRow {
            slice: slice(r.slice),
            config: r.config.map(|c| configs[c as usize]),
            ..*r
        }));
        store
            .syncs
            .extend(chunk.syncs.iter().map(|r| super::SyncRow { slice: slice(r.slice), ..*r }));
        store
            .copies
            .extend(chunk.copies.iter().map(|r| super::CopyRow { slice: slice(r.slice), ..*r }));
        store
            .modules
            .extend(chunk.modules.iter().map(|r| super::ModuleRow { slice: slice(r.slice), ..*r }));
        let collectives = chunk.collectives.iter();
        texts.collectives.extend(collectives.map(|r| r.renamed(slice(r.slice), string)));
        texts.ops.extend(
            chunk
                .ops
                .iter()
                .map(|r| r.renamed(slice(r.slice), r.shapes.map(|s| shapes[s as usize]), string)),
        );
        texts.asides.extend(chunk.asides.iter().map(|r| r.renamed(slice(r.slice), string)));
        if let Some(arguments) = &chunk.arguments {
            let renamed = |r: &ArgumentRow<LocalStr>| r.renamed(slice(r.slice), string);
            texts.arguments.get_or_insert_default().extend(arguments.iter().map(renamed));
        }
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
        let mut runs = std::mem::take(&mut self.runs);
        if n_cut > 0 {
            runs = runs.again(&store.slices);
        }
        let name = std::mem::take(&mut self.texts.name);
        let order = runs.into_order(&track_number, &mut store.tracks, &store.slices);
        let places = timed("store: slices", || place_slices(&mut store, name, order, &rank));
        store.repairs.report(reporter);
        timed("store: small tables", || {
            place_small_tables(&mut store, &mut self.texts, &self.memory, &track_number, &rank);
        });
        let asides =
            timed("store: details", || place_details(&mut store, self.texts, &places, &rank));
        timed("store: kinds", || super::classify::classify(&mut store, asides));
        store
    }

    fn category_table(&self, strings: &Strings, rank: &Ranks) -> Vec<(StrId, EventKind)> {
        let entry = |(number, &string): (usize, &SeenStr)| {
            let id = rank.of(string);
            let is_async = self.async_ids.get(&string) == Some(&(number as u8));
            let of_text = || EventKind::from_category(strings.get(id).as_bytes());
            (id, if is_async { EventKind::Async } else { of_text() })
        };
        self.category_strings.iter().enumerate().map(entry).collect()
    }

    /// Sorts the tracks and names them; the last name written wins. Gives the new number of each.
    fn place_tracks(&self, store: &mut Store, rank: &Ranks) -> Vec<u32> {
        let final_id = |id: TrackId<SeenStr>| id.renamed(|text| rank.of(text));
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
            let text = Some(rank.of(text));
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
        let joined = edges::join(edges, self.strings.find(b"").map(SeenStr), self.last_end_ns());
        for span in &joined.spans {
            let dur_ns = self.push_pair(&span.begin, span.end_ns);
            if !span.is_closed {
                self.store.repairs.n_open_begins += 1;
                let all_ns = &mut self.store.repairs.open_begins_ns;
                *all_ns = all_ns.saturating_add(dur_ns);
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
            let category = self.async_category(begin.category);
            let edge = Edge {
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
    fn async_category(&mut self, string: SeenStr) -> u8 {
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
    fn push_pair(&mut self, begin: &Edge<SeenStr, u32>, end_ns: i64) -> i64 {
        let category = self.category(begin.category);
        self.push_slice(begin, end_ns, category)
    }

    fn push_slice(&mut self, begin: &Edge<SeenStr, u32>, end_ns: i64, category: u8) -> i64 {
        let slices = &mut self.store.slices;
        let dur_ns = end_ns.saturating_sub(begin.ts_ns).max(0);
        self.runs.add(slices.len() as u32, begin.track, key(begin.ts_ns, dur_ns));
        slices.ts_ns.push(begin.ts_ns);
        slices.dur_ns.push(Some(dur_ns as u64));
        self.texts.name.push(begin.name.0);
        slices.category.push(category);
        slices.id_a.push(None);
        slices.id_b.push(None);
        // The column is kept for every slice or for none.
        if self.keeps_order {
            slices.event.push(begin.event);
        }
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

/// Puts the slices in the order of the store, with their names. Gives where each went.
fn place_slices(store: &mut Store, name: Vec<u32>, mut order: Order, rank: &Ranks) -> Places {
    let mut named = Named::take(&mut store.slices, name);
    let times = || {
        store.slices.reorder_times(&order);
        store.close_frames()
    };
    let names = || {
        named.reorder(&order);
        named.rank(rank);
    };
    let (again, ()) = rayon::join(times, names);
    if let Some(again) = again {
        store.slices.reorder_times(&again);
        named.reorder(&again);
        order = order.then(&again);
    }
    store.judge_zero();
    named.put(&mut store.slices);
    order.places()
}

/// The columns of the slices that no time depends on.
struct Named {
    /// See [`WithTexts::name`], and as the store has them once they are ranked.
    name: Vec<u32>,
    id_a: CompactColumn,
    id_b: CompactColumn,
    event: Vec<u32>,
}

impl Named {
    fn take(slices: &mut Slices, name: Vec<u32>) -> Self {
        let Slices { id_a, id_b, event, .. } = slices;
        let (id_a, id_b) = (std::mem::take(id_a), std::mem::take(id_b));
        Self { name, id_a, id_b, event: std::mem::take(event) }
    }

    fn reorder(&mut self, order: &Order) {
        let Self { name, id_a, id_b, event } = self;
        // The numbers of events are kept for every slice or for none.
        let events = || {
            if !event.is_empty() {
                order.reorder(event);
            }
        };
        let names = || rayon::join(|| order.reorder(name), events);
        rayon::join(names, || rayon::join(|| id_a.reorder(order), || id_b.reorder(order)));
    }

    /// Names each slice by the number of its name in the store.
    fn rank(&mut self, rank: &Ranks) {
        let names = self.name.par_iter_mut().with_min_len(1 << 14);
        names.for_each(|name| *name = rank.of(SeenStr(*name)).0);
    }

    fn put(self, slices: &mut Slices) {
        slices.name = self.name.into_iter().map(StrId).collect();
        (slices.id_a, slices.id_b, slices.event) = (self.id_a, self.id_b, self.event);
    }
}

/// Puts the side tables in the order of their slices. Gives what may turn out to be a device's.
fn place_details(
    store: &mut Store,
    texts: WithTexts,
    places: &Places,
    rank: &Ranks,
) -> Vec<AsideRow> {
    let string = |seen: SeenStr| rank.of(seen);
    let mut asked = places.asked();
    let place = |asked: &mut Asked<'_>, old: &mut u32| *old = placed(asked, *old);
    let rows = store.device_rows.par_iter_mut().with_min_len(1 << 12);
    rows.for_each_with(asked.clone(), |asked, row| place(asked, &mut row.slice));
    let rows = store.modules.par_iter_mut().with_min_len(1 << 12);
    rows.for_each_with(asked.clone(), |asked, row| place(asked, &mut row.slice));
    let ops = texts.ops.into_par_iter().with_min_len(1 << 12);
    let ops = ops.map_with(asked.clone(), |asked, row| {
        row.renamed(placed(asked, row.slice), row.shapes, string)
    });
    store.ops = ops.collect();
    store.syncs.iter_mut().for_each(|row| place(&mut asked, &mut row.slice));
    store.copies.iter_mut().for_each(|row| place(&mut asked, &mut row.slice));
    let rows = texts.collectives.into_iter();
    let rows = rows.map(|row| row.renamed(placed(&mut asked, row.slice), string));
    store.collectives = rows.collect();
    store.arguments = texts.arguments.map(|rows| {
        let rows = rows.into_iter();
        rows.map(|row| row.renamed(placed(&mut asked, row.slice), string)).collect()
    });
    store.shapes = texts.shapes.into_iter().map(|shapes| shapes.renamed(string)).collect();
    store.device_rows.par_sort_unstable_by_key(|r| r.slice);
    store.syncs.sort_unstable_by_key(|r| r.slice);
    store.copies.par_sort_unstable_by_key(|r| r.slice);
    store.collectives.par_sort_unstable_by_key(|r| r.slice);
    store.ops.par_sort_unstable_by_key(|r| r.slice);
    store.modules.par_sort_unstable_by_key(|r| r.slice);
    // Those of a slice stay in the order of the trace.
    store.arguments.iter_mut().for_each(|all| all.par_sort_by_key(|row| row.slice));
    let asides = texts.asides.into_iter();
    let mut asides: Vec<AsideRow> =
        asides.map(|row| row.renamed(placed(&mut asked, row.slice), string)).collect();
    asides.sort_unstable_by_key(|row| row.slice);
    asides
}

/// Where a slice went.
fn placed(asked: &mut Asked<'_>, old: u32) -> u32 {
    asked.of(old).expect("the order of a store has every slice")
}

fn place_small_tables(
    store: &mut Store,
    texts: &mut WithTexts,
    memory: &BTreeMap<u32, super::MemoryRow>,
    track_number: &[u32],
    rank: &Ranks,
) {
    let string = |seen: SeenStr| rank.of(seen);
    let track = |old: u32| track_number[old as usize];
    let flows = std::mem::take(&mut texts.flows).into_par_iter().with_min_len(1 << 12);
    store.flows = flows.map(|flow| flow.renamed(string, track)).collect();
    let counters = std::mem::take(&mut texts.counters).into_iter();
    store.counters = counters.map(|counter| counter.renamed(string, track)).collect();
    let instants = std::mem::take(&mut texts.instants).into_iter();
    store.instants = instants.map(|instant| instant.renamed(string, track)).collect();
    store.flows.par_sort_by_key(|f| (f.category, f.id, f.ts_ns, f.phase));
    store.counters.par_sort_by_key(|c| (c.ts_ns, c.track, c.name, c.series));
    let mut order: Vec<u32> = (0..store.instants.len() as u32).collect();
    order.par_sort_by_key(|&i| store.instants[i as usize].ts_ns);
    for (new, old) in order.iter().enumerate() {
        let row = memory.get(old);
        store.memory.extend(row.map(|row| super::MemoryRow { instant: new as u32, ..*row }));
    }
    store.instants = order.iter().map(|&old| store.instants[old as usize]).collect();
}

impl Slices {
    /// Puts times and categories in another order.
    fn reorder_times(&mut self, order: &Order) {
        let Self { ts_ns, dur_ns, category, .. } = self;
        let lengths = || rayon::join(|| dur_ns.reorder(order), || order.reorder(category));
        rayon::join(|| order.reorder(ts_ns), lengths);
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
