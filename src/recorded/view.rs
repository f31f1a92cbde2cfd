//! One input as a table sees it: which of its events are rows, and what the columns of several tables ask.

use std::marker::PhantomData;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use super::{Recorded, Stored};
use crate::analyze::launches::Launches;
use crate::analyze::nesting::{NO_PARENT, nests, parents};
use crate::analyze::window::{WindowConfig, Windows, windows};
use crate::model::{Dictionary, EventKind};
use crate::schema::{Coded, Columnar, Values};
use crate::store::{Store, StrId, TrackId};

/// What rows are.
pub(super) enum Rows {
    /// Everything up to a number.
    All(usize),
    /// Some, by number.
    Some(Vec<u32>),
}

impl Rows {
    /// The slices of some kinds.
    pub(super) fn of_kinds(store: &Store, is_wanted: impl Fn(EventKind) -> bool) -> Self {
        let is_wanted: Vec<bool> =
            store.categories.iter().map(|&(_, kind)| is_wanted(kind)).collect();
        if !is_wanted.contains(&true) {
            return Self::Some(Vec::new());
        }
        let slices = 0..store.slices.len();
        let wanted = slices.filter(|&slice| is_wanted[store.category_number(slice)]);
        Self::Some(wanted.map(|slice| slice as u32).collect())
    }
}

/// What was found out about an input when a column first asked for it.
#[derive(Debug, Default)]
pub struct Known {
    windows: OnceLock<Windows>,
    launches: OnceLock<Launches>,
    parents: OnceLock<Vec<u32>>,
    self_ns: OnceLock<Vec<i64>>,
    ids: OnceLock<Ids>,
}

/// The texts of pids and tids.
#[derive(Debug)]
struct Ids {
    texts: Arc<Dictionary>,
    /// Of each track, the numbers of the texts of its pid and its tid.
    of_track: Vec<[u32; 2]>,
}

impl Ids {
    fn of(store: &Store) -> Self {
        let mut texts = Dictionary::default();
        let mut codes = std::collections::BTreeMap::new();
        let mut code = |id: &TrackId| {
            let text = store.track_id_text(id);
            *codes.entry(text).or_insert_with_key(|text| {
                texts.push(text);
                texts.len() as u32 - 1
            })
        };
        let of_track = store.tracks.iter().map(|track| [code(&track.pid), code(&track.tid)]);
        let of_track = of_track.collect();
        Self { texts: Arc::new(texts), of_track }
    }
}

/// One input as a table sees it.
pub(super) struct View<'v, T> {
    of: Recorded<'v>,
    rows: Rows,
    /// Start of the window; `None` where the input holds no slice.
    origin_ns: OnceLock<Option<i64>>,
    table: PhantomData<fn(T)>,
}

impl<'v, T: Stored<'v>> Columnar for View<'v, T> {
    fn n_rows(&self) -> usize {
        match &self.rows {
            Rows::All(n) => *n,
            Rows::Some(rows) => rows.len(),
        }
    }

    fn put(&self, column: usize, rows: Range<usize>, to: &mut Values) {
        T::put(self, column, rows, to);
    }
}

impl<'v, T: Stored<'v>> View<'v, T> {
    pub(super) fn new(of: Recorded<'v>) -> Self {
        let rows = T::rows(of.store);
        Self { of, rows, origin_ns: OnceLock::new(), table: PhantomData }
    }
}

impl<'v, T> View<'v, T> {
    /// The number of what a row is of.
    #[inline]
    pub(super) fn at(&self, row: usize) -> usize {
        match &self.rows {
            Rows::All(_) => row,
            Rows::Some(rows) => rows[row] as usize,
        }
    }

    pub(super) fn number(&self) -> usize {
        self.of.number
    }

    pub(super) fn store(&self) -> &'v Store {
        self.of.store
    }

    /// A text of the store.
    #[inline]
    pub(super) fn text(&self, id: StrId) -> Coded<'v> {
        Coded { of: self.of.store.strings.dictionary(), code: id.0 }
    }

    /// The text of a track's pid.
    pub(super) fn pid(&self, track: usize) -> Coded<'v> {
        self.id(track, 0)
    }

    /// The text of a track's tid.
    pub(super) fn tid(&self, track: usize) -> Coded<'v> {
        self.id(track, 1)
    }

    fn id(&self, track: usize, which: usize) -> Coded<'v> {
        let Ids { texts, of_track } = self.of.known.ids.get_or_init(|| Ids::of(self.of.store));
        Coded { of: texts, code: of_track[track][which] }
    }

    /// Start of a slice; `None` where the trace gives it none.
    #[inline]
    pub(super) fn start_ns(&self, slice: usize) -> Option<i64> {
        let store = self.of.store;
        store.has_time(slice).then(|| store.slices.ts_ns[slice])
    }

    /// A time of the trace, after the start of the window.
    #[inline]
    pub(super) fn offset_ns(&self, time_ns: i64) -> Option<i64> {
        Some(time_ns.saturating_sub((*self.origin_ns.get_or_init(|| self.window_start_ns()))?))
    }

    /// A time of the trace in Unix time.
    #[inline]
    pub(super) fn unix_ns(&self, time_ns: i64) -> Option<i64> {
        self.of.store.meta.base_time_ns?.checked_add(time_ns)
    }

    fn window_start_ns(&self) -> Option<i64> {
        let Recorded { store, known, window, .. } = self.of;
        let whole = || known.windows.get_or_init(|| windows(store, WindowConfig::default()));
        let file = if window.is_clipped() { windows(store, window).file } else { whole().file };
        (!store.slices.is_empty()).then_some(file.start_ns)
    }

    /// The slice of the call that started a device event.
    pub(super) fn call_of(&self, slice: usize) -> Option<usize> {
        self.launches().call_of(self.of.store, slice)
    }

    /// Which call started what.
    pub(super) fn launches(&self) -> &'v Launches {
        self.of.known.launches.get_or_init(|| Launches::new(self.of.store))
    }

    /// The slice around a slice of a host thread; `None` at top level, and of what does not nest.
    pub(super) fn parent(&self, slice: usize) -> Option<usize> {
        let parent = self.parents()[slice];
        (parent != NO_PARENT).then_some(parent as usize)
    }

    fn parents(&self) -> &'v [u32] {
        let store = self.of.store;
        self.of.known.parents.get_or_init(|| {
            let of_track =
                |track: &crate::store::Track| parents(store, track.slices.clone(), nests);
            store.tracks.iter().flat_map(of_track).collect()
        })
    }

    /// Duration of a slice less that of the slices right inside it; `None` of what does not nest.
    pub(super) fn self_ns(&self, slice: usize) -> Option<i64> {
        let store = self.of.store;
        let all = self.of.known.self_ns.get_or_init(|| {
            let mut all: Vec<i64> =
                (0..store.slices.len()).map(|i| store.slices.dur_ns(i)).collect();
            for (slice, &parent) in self.parents().iter().enumerate() {
                if parent != NO_PARENT {
                    let parent = &mut all[parent as usize];
                    *parent = parent.saturating_sub(store.slices.dur_ns(slice));
                }
            }
            all
        });
        nests(store.kind(slice)).then(|| all[slice])
    }
}
