//! One block of input as columns, with ids of its own.

use std::collections::BTreeMap;

use super::{
    ArgumentRow, AsideRow, CollectiveRow, CompactColumn, CopyRow, Counter, DeviceRow, EventNumbers,
    Flow, FlowPhase, Instant, Keep, LaunchConfig, LocalStr, MemoryRow, ModuleRow, OpRow, Shapes,
    SyncRow, TrackId,
    order::{Key, Runs, key},
    strings::{Interner, SeenStr},
};
use crate::model::Spare;

/// A track of one chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LocalTrack(pub u32);

/// A complete event to be added.
#[derive(Clone, Copy, Debug)]
pub struct SliceRow {
    /// Start in nanoseconds.
    pub ts_ns: i64,
    /// Duration in nanoseconds, not negative.
    pub dur_ns: i64,
    /// Name.
    pub name: LocalStr,
    /// Category; the empty string where the event has none.
    pub category: LocalStr,
    /// Track.
    pub track: LocalTrack,
    /// Correlation of calls and device events; Python id of Python frames; sequence number of operators.
    pub id_a: Option<u64>,
    /// External id; Python parent id of Python frames.
    pub id_b: Option<u64>,
}

/// What a metadata event names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NameKind {
    Process,
    ProcessLabels,
    Thread,
}

/// One end of a begin/end pair.
#[derive(Clone, Copy, Debug)]
pub(super) struct Edge<S = LocalStr, T = LocalTrack> {
    pub(super) ts_ns: i64,
    pub(super) track: T,
    pub(super) name: S,
    pub(super) category: S,
    pub(super) is_begin: bool,
    /// Number of the event in the chunk, then in the file.
    pub(super) event: u32,
}

impl Edge {
    pub(super) fn renamed(
        self,
        event: u32,
        string: impl Fn(LocalStr) -> SeenStr,
        track: u32,
    ) -> Edge<SeenStr, u32> {
        let Self { ts_ns, is_begin, .. } = self;
        let (name, category) = (string(self.name), string(self.category));
        Edge { ts_ns, track, name, category, is_begin, event }
    }
}

/// One end of an asynchronous span.
#[derive(Clone, Copy, Debug)]
pub struct AsyncEdge<S = LocalStr, T = LocalTrack> {
    /// Time in nanoseconds.
    pub ts_ns: i64,
    /// Track that the event names.
    pub track: T,
    /// Name.
    pub name: S,
    /// Category.
    pub category: S,
    /// What begin and end have in common: id, and scope or process where the id holds only there.
    pub key: S,
    /// Whether the span begins here.
    pub is_begin: bool,
    /// Number of the event in the chunk, then in the file; set by the builder.
    pub event: u32,
}

impl AsyncEdge {
    pub(super) fn renamed(
        self,
        event: u32,
        string: impl Fn(LocalStr) -> SeenStr,
        track: u32,
    ) -> AsyncEdge<SeenStr, u32> {
        let Self { ts_ns, is_begin, .. } = self;
        let (name, category, key) = (string(self.name), string(self.category), string(self.key));
        AsyncEdge { ts_ns, track, name, category, key, is_begin, event }
    }
}

/// The columns of one block. Made by a [`ChunkBuilder`], joined by [`super::StoreBuilder`].
#[derive(Debug, Default)]
pub struct Chunk {
    pub(super) strings: Interner,
    pub(super) tracks: Vec<(TrackId<LocalStr>, TrackId<LocalStr>)>,
    pub(super) ts_ns: Vec<i64>,
    pub(super) dur_ns: CompactColumn,
    pub(super) name: Vec<u32>,
    /// Distinct categories.
    pub(super) categories: Vec<LocalStr>,
    /// Number of each slice's category among them.
    pub(super) category: Vec<u32>,
    /// On which tracks the slices are.
    pub(super) runs: Runs,
    pub(super) id_a: CompactColumn,
    pub(super) id_b: CompactColumn,
    pub(super) device_rows: Vec<DeviceRow>,
    pub(super) syncs: Vec<SyncRow>,
    pub(super) event_numbers: EventNumbers,
    pub(super) launch_configs: Vec<LaunchConfig>,
    pub(super) copies: Vec<CopyRow>,
    pub(super) collectives: Vec<CollectiveRow<LocalStr>>,
    pub(super) ops: Vec<OpRow<LocalStr>>,
    pub(super) shapes: Vec<Shapes<LocalStr>>,
    pub(super) modules: Vec<ModuleRow>,
    pub(super) arguments: Option<Vec<ArgumentRow<LocalStr>>>,
    pub(super) flows: Vec<Flow<LocalStr, LocalTrack>>,
    pub(super) counters: Vec<Counter<LocalStr, LocalTrack>>,
    pub(super) instants: Vec<Instant<LocalStr, LocalTrack>>,
    pub(super) memory: Vec<MemoryRow>,
    pub(super) edges: Vec<Edge>,
    pub(super) async_edges: Vec<AsyncEdge>,
    pub(super) asides: Vec<AsideRow<LocalStr>>,
    pub(super) names: Vec<(LocalTrack, NameKind, LocalStr)>,
    pub(super) n_events: u64,
    pub(super) has_window_end: bool,
    /// Number of each slice's event in the chunk, where the order is kept.
    pub(super) event: Vec<u32>,
}

impl Chunk {
    /// Events of every phase in this chunk.
    pub fn n_events(&self) -> u64 {
        self.n_events
    }

    /// The place of the first slice on its track.
    pub(super) fn first_key(&self) -> Option<Key> {
        let ts_ns = *self.ts_ns.first()?;
        let dur_ns = self.dur_ns.get(0).unwrap_or(0) as i64;
        Some(key(ts_ns, dur_ns))
    }

    /// Forgets all rows and keeps the memory, for another block.
    pub(super) fn clear(&mut self) {
        let Self {
            strings,
            tracks,
            ts_ns,
            dur_ns,
            name,
            categories,
            category,
            runs,
            id_a,
            id_b,
            device_rows,
            syncs,
            event_numbers,
            launch_configs,
            copies,
            collectives,
            ops,
            shapes,
            modules,
            arguments,
            flows,
            counters,
            instants,
            memory,
            edges,
            async_edges,
            asides,
            names,
            n_events,
            has_window_end,
            event,
        } = self;
        strings.clear();
        runs.clear();
        dur_ns.clear();
        id_a.clear();
        id_b.clear();
        macro_rules! clear {
            ($($rows:ident)+) => { $($rows.clear();)+ };
        }
        clear!(tracks ts_ns name categories category device_rows syncs launch_configs copies collectives);
        clear!(ops shapes modules flows counters instants memory edges async_edges asides names event);
        arguments.iter_mut().for_each(Vec::clear);
        (*event_numbers, *n_events, *has_window_end) = (EventNumbers::default(), 0, false);
    }
}

/// Memory of chunks that were joined, for the next ones: what is given back to the system comes back page by page.
#[derive(Debug, Default)]
pub struct SpareChunks(Spare<Chunk>);

impl SpareChunks {
    /// A builder in the memory of a chunk, where there is one.
    pub fn builder(&self, keep: Keep) -> ChunkBuilder {
        let mut chunk = self.0.take().unwrap_or_default();
        chunk.arguments = chunk.arguments.or_else(|| keep.arguments.then(Vec::new));
        ChunkBuilder { chunk, keeps_order: keep.order, ..ChunkBuilder::default() }
    }

    /// Takes a chunk that [`super::StoreBuilder::append`] emptied.
    pub fn give(&self, chunk: Chunk) {
        self.0.give(chunk);
    }
}

/// Fills a [`Chunk`]. Strings in the rows it is given are numbers of this builder.
#[derive(Debug, Default)]
pub struct ChunkBuilder {
    chunk: Chunk,
    track_ids: BTreeMap<(TrackId<LocalStr>, TrackId<LocalStr>), u32>,
    config_ids: BTreeMap<LaunchConfig, u32>,
    shape_ids: BTreeMap<Shapes<LocalStr>, u32>,
    category_ids: BTreeMap<LocalStr, u32>,
    /// The category of the slice before, with its number.
    last_category: Option<(LocalStr, u32)>,
    keeps_order: bool,
}

impl ChunkBuilder {
    /// A builder of a chunk that keeps more than it does by itself.
    pub fn new(keep: Keep) -> Self {
        SpareChunks::default().builder(keep)
    }

    /// Whether arguments are kept.
    #[inline]
    pub fn keeps_arguments(&self) -> bool {
        self.chunk.arguments.is_some()
    }

    /// Adds an argument of a slice, where they are kept.
    pub fn argument(&mut self, row: ArgumentRow<LocalStr>) {
        self.chunk.arguments.iter_mut().for_each(|arguments| arguments.push(row));
    }

    /// The chunk.
    pub fn finish(self) -> Chunk {
        self.chunk
    }

    /// Counts one event of the input, of whatever phase.
    #[inline]
    pub fn count_event(&mut self) {
        self.chunk.n_events += 1;
    }

    /// Interns a text.
    #[inline]
    pub fn string(&mut self, text: &str) -> LocalStr {
        LocalStr(self.chunk.strings.intern(text))
    }

    /// The number of a text that was interned before, from its bytes: spares checking them again.
    #[inline]
    pub fn known_string(&self, text: &[u8]) -> Option<LocalStr> {
        self.chunk.strings.find(text).map(LocalStr)
    }

    /// The number of a (pid, tid).
    pub fn track(&mut self, pid: TrackId<LocalStr>, tid: TrackId<LocalStr>) -> LocalTrack {
        let tracks = &mut self.chunk.tracks;
        let id = *self.track_ids.entry((pid, tid)).or_insert_with(|| {
            tracks.push((pid, tid));
            tracks.len() as u32 - 1
        });
        LocalTrack(id)
    }

    /// Adds a complete event; gives its index in this chunk, for the detail rows.
    #[inline]
    pub fn slice(&mut self, row: SliceRow) -> u32 {
        let category = self.category(row.category);
        let chunk = &mut self.chunk;
        let index = chunk.ts_ns.len() as u32;
        let dur_ns = row.dur_ns.max(0);
        chunk.runs.add(index, row.track.0, key(row.ts_ns, dur_ns));
        if self.keeps_order {
            chunk.event.push(chunk.n_events.saturating_sub(1) as u32);
        }
        chunk.ts_ns.push(row.ts_ns);
        chunk.dur_ns.push(Some(dur_ns as u64));
        chunk.name.push(row.name.0);
        chunk.category.push(category);
        chunk.id_a.push(row.id_a);
        chunk.id_b.push(row.id_b);
        index
    }

    /// The number of a category in this chunk.
    #[inline]
    fn category(&mut self, category: LocalStr) -> u32 {
        if let Some((last, number)) = self.last_category
            && last == category
        {
            return number;
        }
        let categories = &mut self.chunk.categories;
        let number = *self.category_ids.entry(category).or_insert_with(|| {
            categories.push(category);
            categories.len() as u32 - 1
        });
        self.last_category = Some((category, number));
        number
    }

    /// Adds where a device event ran, with its launch configuration.
    pub fn device_row(&mut self, mut row: DeviceRow, config: Option<LaunchConfig>) {
        row.config = config.map(|config| {
            let configs = &mut self.chunk.launch_configs;
            *self.config_ids.entry(config).or_insert_with(|| {
                configs.push(config);
                configs.len() as u32 - 1
            })
        });
        self.chunk.device_rows.push(row);
    }

    /// Adds what a wait for an event waits for.
    pub fn sync(&mut self, row: SyncRow) {
        self.chunk.syncs.push(row);
    }

    /// Notes the number that the writer gave to an event of the host.
    #[inline]
    pub fn event_number(&mut self, number: u64) {
        self.chunk.event_numbers.add(number);
    }

    /// Adds the size of a copy.
    pub fn copy(&mut self, row: CopyRow) {
        self.chunk.copies.push(row);
    }

    /// Adds a collective.
    pub fn collective(&mut self, row: CollectiveRow<LocalStr>) {
        self.chunk.collectives.push(row);
    }

    /// Adds what an operator recorded.
    pub fn op(&mut self, mut row: OpRow<LocalStr>, shapes: Option<Shapes<LocalStr>>) {
        row.shapes = shapes.map(|shapes| {
            let all = &mut self.chunk.shapes;
            *self.shape_ids.entry(shapes).or_insert_with(|| {
                all.push(shapes);
                all.len() as u32 - 1
            })
        });
        self.chunk.ops.push(row);
    }

    /// Adds the module of a Python frame.
    pub fn module(&mut self, row: ModuleRow) {
        self.chunk.modules.push(row);
    }

    /// Adds a flow end.
    pub fn flow(
        &mut self,
        ts_ns: i64,
        track: LocalTrack,
        category: LocalStr,
        id: u64,
        phase: FlowPhase,
    ) {
        self.chunk.flows.push(Flow { ts_ns, track, category, id, phase });
    }

    /// Adds a counter sample.
    pub fn counter(
        &mut self,
        ts_ns: i64,
        track: LocalTrack,
        name: LocalStr,
        series: LocalStr,
        value: f64,
    ) {
        self.chunk.counters.push(Counter { ts_ns, track, name, series, value });
    }

    /// Adds an instant; gives its index in this chunk, for [`Self::memory`].
    pub fn instant(
        &mut self,
        ts_ns: i64,
        track: LocalTrack,
        name: LocalStr,
        category: Option<LocalStr>,
    ) -> u32 {
        self.chunk.instants.push(Instant { ts_ns, track, name, category });
        self.chunk.instants.len() as u32 - 1
    }

    /// Adds what a memory instant says.
    pub fn memory(&mut self, row: MemoryRow) {
        self.chunk.memory.push(row);
    }

    /// Adds one end of a begin/end pair; [`super::StoreBuilder`] joins them to slices.
    pub fn edge(
        &mut self,
        ts_ns: i64,
        track: LocalTrack,
        name: LocalStr,
        category: LocalStr,
        is_begin: bool,
    ) {
        let event = self.chunk.n_events.saturating_sub(1) as u32;
        self.chunk.edges.push(Edge { ts_ns, track, name, category, is_begin, event });
    }

    /// Adds one end of an asynchronous span; [`super::StoreBuilder`] joins them to slices.
    pub fn async_edge(&mut self, edge: AsyncEdge) {
        let event = self.chunk.n_events.saturating_sub(1) as u32;
        self.chunk.async_edges.push(AsyncEdge { event, ..edge });
    }

    /// Adds what an event of an unknown category states of a device.
    pub fn aside(&mut self, row: AsideRow<LocalStr>) {
        self.chunk.asides.push(row);
    }

    /// Names the process of a track.
    pub fn process_name(&mut self, track: LocalTrack, name: LocalStr) {
        self.chunk.names.push((track, NameKind::Process, name));
    }

    /// Labels the process of a track.
    pub fn process_labels(&mut self, track: LocalTrack, labels: LocalStr) {
        self.chunk.names.push((track, NameKind::ProcessLabels, labels));
    }

    /// Names a track.
    pub fn thread_name(&mut self, track: LocalTrack, name: LocalStr) {
        self.chunk.names.push((track, NameKind::Thread, name));
    }

    /// Notes that the writer's closing mark was seen.
    pub fn window_end(&mut self) {
        self.chunk.has_window_end = true;
    }
}
