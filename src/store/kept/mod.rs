//! A store as bytes that are quick to read back: its columns as they lie in memory, its side tables as words.
//!
//! The layout is that of this build on a machine of its byte order: who keeps the bytes says with them what made them.
//! What is read back may be damaged: every number of another row is checked, so that no store is made that panics.

mod rows;
mod words;

use std::borrow::Cow;
use std::sync::Arc;

use bytemuck::Pod;
use rayon::join;
use serde::{Deserialize, Serialize};

use self::words::Packed;
use super::{CompactColumn, EventNumbers, Repairs, Slices, Store, StrId, Strings, TraceMeta};
use crate::model::{Dictionary, EventKind};

/// Declares the sections in the order in which they are kept.
macro_rules! sections {
    ($($name:ident)+) => {
        /// A part of a store that is one run of bytes.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Section {
            $(#[doc = concat!("`", stringify!($name), "`")] $name,)+
        }

        impl Section {
            /// All of them, in the order in which they are kept.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];
        }
    };
}

sections! {
    Head Texts TextEnds Categories Ts Dur DurWide Name Category IdA IdAWide IdB IdBWide Tracks DeviceRows Syncs LaunchConfigs
    Copies Collectives Ops Shapes Modules Flows Counters Instants Memory
}

/// Where sections are read from.
pub trait Sections: Sync {
    /// Bytes of a section.
    fn n_bytes(&self, section: Section) -> usize;

    /// Reads a whole section. False where that fails, or what was read is not what was kept.
    fn read(&self, section: Section, into: &mut [u8]) -> bool;
}

/// The bytes of a section, to be kept.
#[derive(Debug)]
pub enum Bytes<'a> {
    /// As they lie in the store.
    Borrowed(&'a [u8]),
    /// Made.
    Made(Vec<u8>),
    /// Made, in words.
    Words(Vec<u32>),
}

impl Bytes<'_> {
    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        match self {
            Self::Borrowed(bytes) => bytes,
            Self::Made(bytes) => bytes,
            Self::Words(words) => bytemuck::cast_slice(words),
        }
    }
}

/// What a store says outside its tables.
#[derive(Serialize, Deserialize)]
struct Head<'a> {
    meta: Cow<'a, TraceMeta>,
    repairs: Repairs,
    n_events: u64,
    event_numbers: EventNumbers,
}

fn words<T: Packed>(rows: &[T]) -> Bytes<'static> {
    Bytes::Words(T::packed(rows))
}

fn narrow(column: &CompactColumn) -> Bytes<'_> {
    Bytes::Borrowed(bytemuck::cast_slice(column.parts().0))
}

fn wide(column: &CompactColumn) -> Bytes<'static> {
    let rows = column.parts().1.iter();
    let words = rows.flat_map(|&(row, value)| [row, value as u32, (value >> 32) as u32]);
    Bytes::Words(words.collect())
}

impl Store {
    /// Whether all of it can be kept: one that was read for rewriting holds more.
    pub fn is_keepable(&self) -> bool {
        let is_plain = self.slices.event.is_empty() && self.arguments.is_none();
        cfg!(target_endian = "little") && is_plain
    }

    /// The bytes of a section.
    pub fn section(&self, section: Section) -> Bytes<'_> {
        let slices = &self.slices;
        match section {
            Section::Head => Bytes::Made(self.head()),
            Section::Texts => Bytes::Borrowed(self.strings.dictionary().bytes()),
            Section::TextEnds => {
                let ends = self.strings.dictionary().ends().iter();
                Bytes::Words(
                    ends.flat_map(|&end| [end as u32, (end as u64 >> 32) as u32]).collect(),
                )
            }
            Section::Categories => {
                let categories = self.categories.iter();
                Bytes::Words(categories.flat_map(|&(name, kind)| [name.0, kind as u32]).collect())
            }
            Section::Ts => Bytes::Borrowed(bytemuck::cast_slice(&slices.ts_ns)),
            Section::Dur => narrow(&slices.dur_ns),
            Section::DurWide => wide(&slices.dur_ns),
            Section::Name => Bytes::Words(slices.name.iter().map(|name| name.0).collect()),
            Section::Category => Bytes::Borrowed(&slices.category),
            Section::IdA => narrow(&slices.id_a),
            Section::IdAWide => wide(&slices.id_a),
            Section::IdB => narrow(&slices.id_b),
            Section::IdBWide => wide(&slices.id_b),
            Section::Tracks => words(&self.tracks),
            Section::DeviceRows => words(&self.device_rows),
            Section::Syncs => words(&self.syncs),
            Section::LaunchConfigs => words(&self.launch_configs),
            Section::Copies => words(&self.copies),
            Section::Collectives => words(&self.collectives),
            Section::Ops => words(&self.ops),
            Section::Shapes => words(&self.shapes),
            Section::Modules => words(&self.modules),
            Section::Flows => words(&self.flows),
            Section::Counters => words(&self.counters),
            Section::Instants => words(&self.instants),
            Section::Memory => words(&self.memory),
        }
    }

    fn head(&self) -> Vec<u8> {
        let (repairs, n_events, event_numbers) = (self.repairs, self.n_events, self.event_numbers);
        let head = Head { meta: Cow::Borrowed(&self.meta), repairs, n_events, event_numbers };
        serde_json::to_vec(&head).unwrap_or_default()
    }

    /// The store that sections were kept of; `None` where they are damaged.
    pub fn of_sections(from: &impl Sections) -> Option<Self> {
        let head = column::<u8>(from, Section::Head)?;
        let head: Head<'_> = serde_json::from_slice(&head).ok()?;
        let ((strings, slices), tables) =
            join(|| join(|| strings(from), || slices(from)), || tables(from, &head));
        let store = Self { strings: strings?, slices: slices?, ..tables? };
        store.is_sound().then_some(store)
    }

    /// Whether every number of another row is that of one.
    fn is_sound(&self) -> bool {
        let (n_texts, n_categories) = (self.strings.len() as u32, self.categories.len());
        let slices = &self.slices;
        let columns = [slices.dur_ns.len(), slices.id_a.len(), slices.id_b.len()];
        let lengths = [slices.name.len(), slices.category.len()];
        let (texts, categories) = join(
            || slices.name.iter().fold(0, |most, name| most.max(name.0)) < n_texts.max(1),
            || {
                usize::from(slices.category.iter().fold(0, |most, &one| most.max(one)))
                    < n_categories.max(1)
            },
        );
        let is_empty = slices.is_empty() || n_texts > 0 && n_categories > 0;
        columns.into_iter().chain(lengths).all(|length| length == slices.len())
            && is_empty
            && texts
            && categories
            && self.are_tracks_sound()
            && self.are_rows_sound()
    }

    /// Whether the tracks share the slices out, in order.
    fn are_tracks_sound(&self) -> bool {
        let mut next = 0;
        let follows = |track: &super::Track| {
            let is_next = track.slices.start == next && track.slices.end >= next;
            next = track.slices.end;
            is_next
        };
        self.tracks.iter().all(follows) && next == self.slices.len()
    }

    fn are_rows_sound(&self) -> bool {
        let is_slice = |slice: u32| (slice as usize) < self.slices.len();
        let is_track = |track: u32| (track as usize) < self.tracks.len();
        let is_in = |row: Option<u32>, length: usize| row.is_none_or(|row| (row as usize) < length);
        let (configs, shapes) = (self.launch_configs.len(), self.shapes.len());
        self.device_rows.iter().all(|row| is_slice(row.slice) && is_in(row.config, configs))
            && self.syncs.iter().all(|row| is_slice(row.slice))
            && self.copies.iter().all(|row| is_slice(row.slice))
            && self.collectives.iter().all(|row| is_slice(row.slice))
            && self.ops.iter().all(|row| is_slice(row.slice) && is_in(row.shapes, shapes))
            && self.modules.iter().all(|row| is_slice(row.slice))
            && self.flows.iter().all(|row| is_track(row.track))
            && self.counters.iter().all(|row| is_track(row.track))
            && self.instants.iter().all(|row| is_track(row.track))
            && self.memory.iter().all(|row| is_in(Some(row.instant), self.instants.len()))
    }
}

/// A section as numbers.
fn column<T: Pod>(from: &impl Sections, section: Section) -> Option<Vec<T>> {
    let n_bytes = from.n_bytes(section);
    if !n_bytes.is_multiple_of(size_of::<T>()) {
        return None;
    }
    let mut values = vec![T::zeroed(); n_bytes / size_of::<T>()];
    from.read(section, bytemuck::cast_slice_mut(&mut values)).then_some(values)
}

/// A section as rows.
fn rows<T: Packed>(from: &impl Sections, section: Section) -> Option<Vec<T>> {
    T::unpacked(&column::<u32>(from, section)?, n_texts(from))
}

/// Number of texts.
fn n_texts(from: &impl Sections) -> u32 {
    (from.n_bytes(Section::TextEnds) / size_of::<u64>()) as u32
}

fn compact(from: &impl Sections, narrow: Section, wide: Section) -> Option<CompactColumn> {
    let wide = column::<u32>(from, wide)?;
    let rows = wide.chunks_exact(3);
    let wide = rows.map(|row| (row[0], u64::from(row[1]) | u64::from(row[2]) << 32)).collect();
    Some(CompactColumn::of_parts(column::<u32>(from, narrow)?, wide))
}

fn strings(from: &impl Sections) -> Option<Strings> {
    let ends = column::<u64>(from, Section::TextEnds)?;
    let texts = String::from_utf8(column::<u8>(from, Section::Texts)?).ok()?;
    let ends = ends.into_iter().map(|end| usize::try_from(end).ok()).collect::<Option<Vec<_>>>()?;
    Some(Strings::of(Arc::new(Dictionary::of_parts(texts, ends)?)))
}

fn slices(from: &impl Sections) -> Option<Slices> {
    let ((ts_ns, category), (dur_ns, (name, (id_a, id_b)))) = join(
        || (column(from, Section::Ts), column(from, Section::Category)),
        || {
            join(
                || compact(from, Section::Dur, Section::DurWide),
                || {
                    join(
                        || column::<u32>(from, Section::Name),
                        || {
                            join(
                                || compact(from, Section::IdA, Section::IdAWide),
                                || compact(from, Section::IdB, Section::IdBWide),
                            )
                        },
                    )
                },
            )
        },
    );
    Some(Slices {
        ts_ns: ts_ns?,
        dur_ns: dur_ns?,
        name: name?.into_iter().map(StrId).collect(),
        category: category?,
        id_a: id_a?,
        id_b: id_b?,
        event: Vec::new(),
    })
}

/// All but texts and slices.
fn tables(from: &impl Sections, head: &Head<'_>) -> Option<Store> {
    let kinds = EventKind::ALL;
    let pairs = column::<u32>(from, Section::Categories)?;
    let category = |pair: &[u32]| {
        let kind = kinds.get(pair[1] as usize).filter(|_| pair[0] < n_texts(from))?;
        Some((StrId(pair[0]), *kind))
    };
    // Every field is named, so that a new one is not forgotten.
    Some(Store {
        strings: Strings::default(),
        slices: Slices::default(),
        arguments: None,
        event_numbers: head.event_numbers,
        meta: head.meta.clone().into_owned(),
        repairs: head.repairs,
        n_events: head.n_events,
        categories: pairs.chunks_exact(2).map(category).collect::<Option<_>>()?,
        tracks: rows(from, Section::Tracks)?,
        device_rows: rows(from, Section::DeviceRows)?,
        syncs: rows(from, Section::Syncs)?,
        launch_configs: rows(from, Section::LaunchConfigs)?,
        copies: rows(from, Section::Copies)?,
        collectives: rows(from, Section::Collectives)?,
        ops: rows(from, Section::Ops)?,
        shapes: rows(from, Section::Shapes)?,
        modules: rows(from, Section::Modules)?,
        flows: rows(from, Section::Flows)?,
        counters: rows(from, Section::Counters)?,
        instants: rows(from, Section::Instants)?,
        memory: rows(from, Section::Memory)?,
    })
}
