//! Chunks to store: one string table, one track list, slices grouped and sorted, side tables renumbered.
//!
//! Columns are joined and permuted one at a time and chunks give theirs up as they go, so that the peak is the store
//! plus about one column.

use std::collections::BTreeMap;

use rayon::prelude::*;

use super::chunk::{Chunk, LocalStr, NameKind};
use super::{
    CompactColumn, Counter, Flow, Instant, Slices, Store, StrId, Strings, TraceMeta, Track, TrackId,
};
use crate::diag::{IssueKind, Reporter};
use crate::model::{EventKind, limits::MAX_CATEGORIES};

/// `out[i] = values[order[i]]`, in parallel.
pub(super) fn permute<T: Copy + Send + Sync>(values: &[T], order: &[u32]) -> Vec<T> {
    order.par_iter().with_min_len(1 << 14).map(|&old| values[old as usize]).collect()
}

/// What each chunk's local numbers become.
struct Maps {
    strings: Vec<Vec<StrId>>,
    tracks: Vec<Vec<u32>>,
    /// First slice number of each chunk in the joined, unsorted order.
    slice_base: Vec<u32>,
}

impl Store {
    /// Joins the chunks of one input, in input order.
    ///
    /// Counts in `reporter` what had to be dropped: unmatched begin and end events, categories beyond the limit.
    pub fn build(mut chunks: Vec<Chunk>, meta: TraceMeta, reporter: &mut Reporter) -> Self {
        super::edges::join_edges(&mut chunks, reporter);
        let locals: Vec<_> = chunks.iter_mut().map(|c| std::mem::take(&mut c.strings)).collect();
        let (strings, string_maps) = Strings::join(&locals);
        drop(locals);
        let (mut tracks, track_maps) = join_tracks(&chunks, &string_maps);
        let maps =
            Maps { strings: string_maps, tracks: track_maps, slice_base: slice_bases(&chunks) };
        name_tracks(&chunks, &maps, &mut tracks);

        let mut store = Store {
            strings,
            n_events: chunks.iter().map(|c| c.n_events).sum(),
            meta: TraceMeta { has_window_end: chunks.iter().any(|c| c.has_window_end), ..meta },
            ..Store::default()
        };
        store.join_small_tables(&chunks, &maps);
        let categories = join_categories(&mut chunks, &maps, &store.strings, reporter);
        store.categories = categories.0;
        let new_of_old = store.join_slices(&mut chunks, &maps, &mut tracks, categories.1);
        store.tracks = tracks;
        store.join_details(chunks, &maps, &new_of_old);
        store
    }

    /// Joins and sorts the slice columns. Gives the new number of each old one.
    fn join_slices(
        &mut self,
        chunks: &mut [Chunk],
        maps: &Maps,
        tracks: &mut [Track],
        category: Vec<u8>,
    ) -> Vec<u32> {
        let n = category.len();
        let track: Vec<u32> = join_column(chunks, n, |k, c| {
            let map = &maps.tracks[k];
            std::mem::take(&mut c.track).into_iter().map(|t| map[t as usize])
        });
        let ts_ns: Vec<i64> =
            join_column(chunks, n, |_, c| std::mem::take(&mut c.ts_ns).into_iter());
        let dur_ns = join_compact(chunks, n, |c| std::mem::take(&mut c.dur_ns));
        let order = grouped_order(&track, tracks, &ts_ns, &dur_ns);
        drop(track);
        let slices = &mut self.slices;
        slices.ts_ns = permute(&ts_ns, &order);
        drop(ts_ns);
        slices.dur_ns = dur_ns.permuted(&order);
        slices.category = permute(&category, &order);
        drop(category);
        let name: Vec<StrId> = join_column(chunks, n, |k, c| {
            let map = &maps.strings[k];
            std::mem::take(&mut c.name).into_iter().map(|s| map[s as usize])
        });
        slices.name = permute(&name, &order);
        drop(name);
        slices.id_a = join_compact(chunks, n, |c| std::mem::take(&mut c.id_a)).permuted(&order);
        slices.id_b = join_compact(chunks, n, |c| std::mem::take(&mut c.id_b)).permuted(&order);
        let mut new_of_old = vec![0_u32; n];
        for (new, &old) in order.iter().enumerate() {
            new_of_old[old as usize] = new as u32;
        }
        new_of_old
    }

    /// Flows, counters, instants and memory: few, so they are joined and sorted as rows.
    fn join_small_tables(&mut self, chunks: &[Chunk], maps: &Maps) {
        let mut instants: Vec<(Instant, Option<super::MemoryRow>)> = Vec::new();
        for (k, chunk) in chunks.iter().enumerate() {
            let string = |s: LocalStr| maps.strings[k][s.0 as usize];
            let track = |t: super::LocalTrack| maps.tracks[k][t.0 as usize];
            self.flows.extend(chunk.flows.iter().map(|f| Flow {
                ts_ns: f.ts_ns,
                track: track(f.track),
                category: string(f.category),
                id: f.id,
                phase: f.phase,
            }));
            self.counters.extend(chunk.counters.iter().map(|c| Counter {
                ts_ns: c.ts_ns,
                track: track(c.track),
                name: string(c.name),
                series: string(c.series),
                value: c.value,
            }));
            let first = instants.len();
            instants.extend(chunk.instants.iter().map(|i| {
                let row = Instant {
                    ts_ns: i.ts_ns,
                    track: track(i.track),
                    name: string(i.name),
                    category: i.category.map(string),
                };
                (row, None)
            }));
            for row in &chunk.memory {
                instants[first + row.instant as usize].1 = Some(*row);
            }
        }
        self.flows.sort_by_key(|f| (f.category, f.id, f.ts_ns, f.phase));
        self.counters.sort_by_key(|c| (c.ts_ns, c.track, c.name, c.series));
        instants.sort_by_key(|(i, _)| i.ts_ns);
        for (number, (instant, memory)) in instants.into_iter().enumerate() {
            self.instants.push(instant);
            self.memory.extend(memory.map(|m| super::MemoryRow { instant: number as u32, ..m }));
        }
    }

    /// The side tables, with slices, strings and shared rows renumbered, sorted by slice.
    fn join_details(&mut self, chunks: Vec<Chunk>, maps: &Maps, new_of_old: &[u32]) {
        let mut config_ids = BTreeMap::new();
        let mut shape_ids = BTreeMap::new();
        for (k, chunk) in chunks.into_iter().enumerate() {
            let strings = &maps.strings[k];
            let string = |s: StrId| strings[s.0 as usize];
            let slice = |local: u32| new_of_old[(maps.slice_base[k] + local) as usize];
            let configs: Vec<u32> = chunk
                .launch_configs
                .iter()
                .map(|c| shared(&mut self.launch_configs, &mut config_ids, *c))
                .collect();
            let shapes: Vec<u32> = chunk
                .shapes
                .iter()
                .map(|s| {
                    let renamed = super::Shapes {
                        dims: s.dims.map(string),
                        types: s.types.map(string),
                        strides: s.strides.map(string),
                        concrete: s.concrete.map(string),
                    };
                    shared(&mut self.shapes, &mut shape_ids, renamed)
                })
                .collect();
            self.device_rows.extend(chunk.device_rows.into_iter().map(|r| super::DeviceRow {
                slice: slice(r.slice),
                config: r.config.map(|c| configs[c as usize]),
                ..r
            }));
            self.copies.extend(
                chunk.copies.into_iter().map(|r| super::CopyRow { slice: slice(r.slice), ..r }),
            );
            self.collectives.extend(
                chunk.collectives.into_iter().map(|r| renamed_collective(r, slice, string)),
            );
            self.ops.extend(chunk.ops.into_iter().map(|r| super::OpRow {
                slice: slice(r.slice),
                shapes: r.shapes.map(|s| shapes[s as usize]),
                stack: r.stack.map(string),
                modules: r.modules.map(string),
                ..r
            }));
            self.modules.extend(
                chunk.modules.into_iter().map(|r| super::ModuleRow { slice: slice(r.slice), ..r }),
            );
        }
        self.device_rows.par_sort_unstable_by_key(|r| r.slice);
        self.copies.sort_unstable_by_key(|r| r.slice);
        self.collectives.sort_unstable_by_key(|r| r.slice);
        self.ops.par_sort_unstable_by_key(|r| r.slice);
        self.modules.sort_unstable_by_key(|r| r.slice);
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
    row: super::CollectiveRow,
    slice: impl Fn(u32) -> u32,
    string: impl Fn(StrId) -> StrId,
) -> super::CollectiveRow {
    super::CollectiveRow {
        slice: slice(row.slice),
        name: string(row.name),
        dtype: row.dtype.map(&string),
        group_name: row.group_name.map(&string),
        group_description: row.group_description.map(&string),
        group_ranks: row.group_ranks.map(&string),
        in_split: row.in_split.map(&string),
        out_split: row.out_split.map(&string),
        comms_id: row.comms_id.map(&string),
        ..row
    }
}

fn slice_bases(chunks: &[Chunk]) -> Vec<u32> {
    let mut base = 0_u32;
    chunks
        .iter()
        .map(|chunk| {
            let first = base;
            base += chunk.ts_ns.len() as u32;
            first
        })
        .collect()
}

/// The tracks of all chunks, sorted, and each chunk's track numbers in it.
fn join_tracks(chunks: &[Chunk], strings: &[Vec<StrId>]) -> (Vec<Track>, Vec<Vec<u32>>) {
    let global = |k: usize, id: TrackId<LocalStr>| match id {
        TrackId::Int(v) => TrackId::Int(v),
        TrackId::Text(s) => TrackId::Text(strings[k][s.0 as usize]),
    };
    let mut ids: BTreeMap<(TrackId, TrackId), u32> = BTreeMap::new();
    for (k, chunk) in chunks.iter().enumerate() {
        for &(pid, tid) in &chunk.tracks {
            ids.insert((global(k, pid), global(k, tid)), 0);
        }
    }
    let mut tracks = Vec::with_capacity(ids.len());
    for (&(pid, tid), number) in &mut ids {
        *number = tracks.len() as u32;
        tracks.push(Track {
            pid,
            tid,
            process_name: None,
            process_labels: None,
            thread_name: None,
            slices: 0..0,
        });
    }
    let maps = chunks.iter().enumerate().map(|(k, chunk)| {
        chunk.tracks.iter().map(|&(p, t)| ids[&(global(k, p), global(k, t))]).collect()
    });
    (tracks, maps.collect())
}

/// Applies metadata events: names of processes go to all their tracks, the last one written wins.
fn name_tracks(chunks: &[Chunk], maps: &Maps, tracks: &mut [Track]) {
    let mut process: BTreeMap<TrackId, (Option<StrId>, Option<StrId>)> = BTreeMap::new();
    for (k, chunk) in chunks.iter().enumerate() {
        for &(track, kind, text) in &chunk.names {
            let track = &mut tracks[maps.tracks[k][track.0 as usize] as usize];
            let text = Some(maps.strings[k][text.0 as usize]);
            match kind {
                NameKind::Thread => track.thread_name = text,
                NameKind::Process => process.entry(track.pid).or_default().0 = text,
                NameKind::ProcessLabels => process.entry(track.pid).or_default().1 = text,
            }
        }
    }
    for track in tracks {
        if let Some(&(name, labels)) = process.get(&track.pid) {
            track.process_name = name;
            track.process_labels = labels;
        }
    }
}

/// The category table and the category of each slice, in joined order.
fn join_categories(
    chunks: &mut [Chunk],
    maps: &Maps,
    strings: &Strings,
    reporter: &mut Reporter,
) -> (Vec<(StrId, EventKind)>, Vec<u8>) {
    let mut used: Vec<StrId> = Vec::new();
    for (k, chunk) in chunks.iter().enumerate() {
        let mut local = chunk.category.clone();
        local.sort_unstable();
        local.dedup();
        used.extend(local.into_iter().map(|c| maps.strings[k][c as usize]));
        used.sort_unstable();
        used.dedup();
    }
    if used.len() > MAX_CATEGORIES {
        let extra = (used.len() - MAX_CATEGORIES) as u64;
        reporter.add(IssueKind::TooManyCategories, extra, None, None);
    }
    let number = |id: StrId| used.binary_search(&id).unwrap_or(0).min(MAX_CATEGORIES) as u8;
    let mut category = Vec::with_capacity(chunks.iter().map(|c| c.category.len()).sum());
    for (k, chunk) in chunks.iter_mut().enumerate() {
        let mut known: BTreeMap<u32, u8> = BTreeMap::new();
        let mut last = (u32::MAX, 0_u8);
        for local in std::mem::take(&mut chunk.category) {
            if local != last.0 {
                let global = || number(maps.strings[k][local as usize]);
                last = (local, *known.entry(local).or_insert_with(global));
            }
            category.push(last.1);
        }
    }
    let table = used
        .iter()
        .take(MAX_CATEGORIES + 1)
        .map(|&id| (id, EventKind::from_category(strings.get(id).as_bytes())))
        .collect();
    (table, category)
}

fn join_column<T, I: Iterator<Item = T>>(
    chunks: &mut [Chunk],
    n: usize,
    take: impl Fn(usize, &mut Chunk) -> I,
) -> Vec<T> {
    let mut column = Vec::with_capacity(n);
    for (k, chunk) in chunks.iter_mut().enumerate() {
        column.extend(take(k, chunk));
    }
    column
}

fn join_compact(
    chunks: &mut [Chunk],
    n: usize,
    take: impl Fn(&mut Chunk) -> CompactColumn,
) -> CompactColumn {
    let mut column = CompactColumn::default();
    column.reserve_exact(n);
    for chunk in chunks {
        column.append(take(chunk));
    }
    column
}

/// The order of the store: by track, then (start, end descending, file order). Sets each track's range.
fn grouped_order(
    track: &[u32],
    tracks: &mut [Track],
    ts_ns: &[i64],
    dur_ns: &CompactColumn,
) -> Vec<u32> {
    let mut next = vec![0_usize; tracks.len() + 1];
    for &t in track {
        next[t as usize + 1] += 1;
    }
    for t in 0..tracks.len() {
        next[t + 1] += next[t];
        tracks[t].slices = next[t]..next[t + 1];
    }
    let mut order = vec![0_u32; track.len()];
    for (old, &t) in track.iter().enumerate() {
        order[next[t as usize]] = old as u32;
        next[t as usize] += 1;
    }
    let key = |&old: &u32| {
        let ts = ts_ns[old as usize];
        let end = ts.saturating_add(dur_ns.get(old as usize).unwrap_or(0) as i64);
        (ts, std::cmp::Reverse(end))
    };
    let mut groups: Vec<&mut [u32]> = Vec::with_capacity(tracks.len());
    let mut rest = order.as_mut_slice();
    for t in tracks.iter() {
        let (group, tail) = rest.split_at_mut(t.slices.len());
        groups.push(group);
        rest = tail;
    }
    groups.into_par_iter().for_each(|group| {
        if !group.is_sorted_by_key(key) {
            group.sort_by_key(key);
        }
    });
    order
}

impl Slices {
    /// Bytes of memory held by the columns.
    pub fn heap_bytes(&self) -> usize {
        self.ts_ns.capacity() * size_of::<i64>()
            + self.name.capacity() * size_of::<StrId>()
            + self.category.capacity()
            + self.dur_ns.heap_bytes()
            + self.id_a.heap_bytes()
            + self.id_b.heap_bytes()
    }
}
