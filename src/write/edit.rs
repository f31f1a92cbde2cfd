//! What is left out of an input, by event: decided beforehand, applied while rewriting.

use std::collections::BTreeMap;
use std::ops::AddAssign;
use std::sync::atomic::{AtomicU64, Ordering};

use rayon::prelude::*;

use crate::read::events::{Known, RawEvent};
use crate::store::Store;

/// Slices that one thread looks at, at least.
const SLICES_AT_A_TIME: usize = 1 << 14;

/// A set of event numbers, one bit each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct EventSet {
    words: Vec<u64>,
}

impl EventSet {
    fn insert(&mut self, event: u32) {
        let word = event as usize / 64;
        if self.words.len() <= word {
            self.words.resize(word + 1, 0);
        }
        self.words[word] |= 1 << (event % 64);
    }

    #[inline]
    fn contains(&self, event: u64) -> bool {
        let word = (event / 64) as usize;
        self.words.get(word).is_some_and(|bits| bits & (1 << (event % 64)) != 0)
    }
}

/// Something of some events, by event number. It is asked for every event in turn: a bit each says no at once, and where the bit is set,
/// how many are before it says which it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ByEvent<T> {
    known: EventSet,
    /// How many are known before each word of the set.
    before: Vec<u32>,
    /// In the order of their numbers.
    entries: Vec<T>,
}

impl<T> Default for ByEvent<T> {
    fn default() -> Self {
        Self { known: EventSet::default(), before: Vec::new(), entries: Vec::new() }
    }
}

/// Of what is said twice of an event, one counts.
impl<T: Send> FromIterator<(u32, T)> for ByEvent<T> {
    fn from_iter<I: IntoIterator<Item = (u32, T)>>(entries: I) -> Self {
        let mut entries: Vec<(u32, T)> = entries.into_iter().collect();
        entries.par_sort_unstable_by_key(|entry| entry.0);
        entries.dedup_by_key(|entry| entry.0);
        let mut known = EventSet::default();
        entries.iter().for_each(|entry| known.insert(entry.0));
        let mut n_before = 0;
        let count = |word: &u64| {
            let before = n_before;
            n_before += word.count_ones();
            before
        };
        let before = known.words.iter().map(count).collect();
        Self { known, before, entries: entries.into_iter().map(|entry| entry.1).collect() }
    }
}

impl<T> ByEvent<T> {
    #[inline]
    pub(crate) fn get(&self, event: u32) -> Option<&T> {
        let (word, bit) = (event as usize / 64, 1_u64 << (event % 64));
        let bits = *self.known.words.get(word)?;
        if bits & bit == 0 {
            return None;
        }
        let before = self.before[word] + (bits & (bit - 1)).count_ones();
        self.entries.get(before as usize)
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }
}

/// What stands in for events that went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Collapsed {
    /// Events that went.
    pub count: u64,
    /// Time that such events covered, in nanoseconds.
    pub covered_ns: i64,
}

/// The argument that tells how many events were inside a slice before they were left out.
pub const COLLAPSED_COUNT_KEY: &str = "omni_trace_collapsed_events";

/// The argument that tells how long the slice was in such events, in nanoseconds.
pub const COLLAPSED_NS_KEY: &str = "omni_trace_collapsed_ns";

/// What is left out of one input.
#[derive(Clone, Debug, Default)]
pub struct Edit {
    /// One bit for each event: whether its slice goes.
    dropped: EventSet,
    /// Slices that stand in for what went, by event number.
    pub(crate) collapsed: ByEvent<Collapsed>,
    /// Only events that are no slices and lie in this range of the input's own time stay.
    pub window_ns: Option<(i64, i64)>,
    /// Arguments that go, by key.
    pub drop_args: Vec<String>,
    /// Whether all arguments go but those that other figures need.
    pub drops_all_args: bool,
    /// Flows, counters and instants of these categories go; slices are decided one by one.
    pub drop_categories: Vec<String>,
    /// Flows, counters and instants of other categories go; those without one stay.
    pub only_categories: Option<Vec<String>>,
}

impl Edit {
    /// Leaves out the slices of a store, which kept the order of its events, of which that is said.
    pub fn drop_slices(&mut self, store: &Store, is_gone: &[bool]) {
        let words: Vec<AtomicU64> =
            (0..store.n_events.div_ceil(64)).map(|_| AtomicU64::new(0)).collect();
        let put = |word: usize, bits: u64| {
            if bits != 0 {
                words[word].fetch_or(bits, Ordering::Relaxed);
            }
        };
        is_gone.par_chunks(SLICES_AT_A_TIME).enumerate().for_each(|(i, is_gone)| {
            // Slices that follow each other are mostly events that do.
            let (mut word, mut bits) = (0, 0);
            let numbers = (i * SLICES_AT_A_TIME..).map(|slice| store.slices.event_number(slice));
            let gone = numbers.zip(is_gone).filter(|&(_, &is_gone)| is_gone);
            for event in gone.filter_map(|(event, _)| event) {
                if event as usize / 64 != word {
                    put(word, std::mem::take(&mut bits));
                    word = event as usize / 64;
                }
                bits |= 1 << (event % 64);
            }
            put(word, bits);
        });
        self.dropped = EventSet { words: words.into_iter().map(AtomicU64::into_inner).collect() };
    }

    /// Has slices, by event number, stand in for what went from inside them.
    pub fn collapse_into(&mut self, collapsed: impl IntoIterator<Item = (u32, Collapsed)>) {
        self.collapsed = collapsed.into_iter().collect();
    }

    /// Whether the slice of an event goes.
    pub(crate) fn is_slice_gone(&self, number: u64) -> bool {
        self.dropped.contains(number)
    }

    /// Whether something that is no slice stays, as far as its time decides.
    pub(crate) fn keeps_time(&self, ts_ns: i64) -> bool {
        self.window_ns.is_none_or(|(from, to)| (from..to).contains(&ts_ns))
    }

    /// Whether an event goes.
    pub(crate) fn drops(&self, number: u64, event: &RawEvent<'_>) -> bool {
        if self.is_slice_gone(number) {
            return true;
        }
        if !matches!(event.ph.inner(), b"s" | b"t" | b"f" | b"i" | b"I" | b"R" | b"C") {
            return false;
        }
        let is_outside = || {
            let (Some((from, to)), Some(ts)) = (self.window_ns, event.ts.as_ns()) else {
                return false;
            };
            // The closing mark says that the capture ended in order; it stays.
            !(from..to).contains(&ts) && event.name.inner() != b"Record Window End"
        };
        let cat = event.cat.inner();
        let lists = |list: &[String]| list.iter().any(|known| known.as_bytes() == cat);
        let is_unwanted = || {
            let only = self.only_categories.as_deref();
            lists(&self.drop_categories)
                || (!cat.is_empty() && only.is_some_and(|only| !lists(only)))
        };
        is_outside() || is_unwanted()
    }

    /// Whether an argument goes. Those that figures need stay: ids, sizes, streams, collectives.
    pub(crate) fn drops_arg(&self, key: &[u8]) -> bool {
        if self.drop_args.iter().any(|name| name.as_bytes() == key) {
            return true;
        }
        self.drops_all_args && !is_needed(key)
    }
}

/// Arguments that analyses read.
fn is_needed(key: &[u8]) -> bool {
    const NEEDED: [&[u8]; 34] = [
        b"name",
        b"labels",
        b"sort_index",
        b"correlation",
        b"External id",
        b"external id",
        b"Python id",
        b"Python parent id",
        b"Python module id",
        b"Sequence number",
        b"Fwd thread id",
        b"device",
        b"stream",
        b"bytes",
        b"fromDevice",
        b"toDevice",
        b"Collective name",
        b"dtype",
        b"In msg nelems",
        b"Out msg nelems",
        b"Group size",
        b"Process Group Name",
        b"Process Group Description",
        b"Process Group Ranks",
        b"Rank",
        b"Src Rank",
        b"Dst Rank",
        b"Seq",
        b"Comms Id",
        b"Bytes",
        b"Device Type",
        b"Device Id",
        b"Total Allocated",
        b"Total Reserved",
    ];
    NEEDED.contains(&key)
}

/// Events and bytes of one category.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amount {
    /// Events.
    pub events: u64,
    /// Bytes of the input's text.
    pub bytes: u64,
}

impl AddAssign for Amount {
    fn add_assign(&mut self, other: Self) {
        self.events += other.events;
        self.bytes += other.bytes;
    }
}

/// What stayed and what went, by category.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// By category; phases without one by `(phase)`.
    pub rows: BTreeMap<String, TallyRow>,
}

/// What stayed and what went of one category.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TallyRow {
    /// What the input had.
    pub before: Amount,
    /// What went.
    pub gone: Amount,
}

/// The counts of one block, whose events mostly have the category of the one before.
#[derive(Debug, Default)]
pub(crate) struct BlockTally {
    counted: Vec<Counted>,
    last: usize,
}

/// Events of one category and phase, as their text.
#[derive(Debug)]
struct Counted {
    cat: Vec<u8>,
    ph: Vec<u8>,
    row: TallyRow,
}

impl BlockTally {
    /// Counts so many events of a kind, which are together so long.
    pub(crate) fn count(&mut self, n: u64, known: Known<'_>, is_gone: bool) {
        let Known { cat, ph, len } = known;
        let is_of = |counted: &Counted| counted.cat == cat && counted.ph == ph;
        if !self.counted.get(self.last).is_some_and(is_of) {
            self.last = self.counted.iter().position(is_of).unwrap_or(self.counted.len());
        }
        if self.last == self.counted.len() {
            let (cat, ph) = (cat.to_vec(), ph.to_vec());
            self.counted.push(Counted { cat, ph, row: TallyRow::default() });
        }
        let row = &mut self.counted[self.last].row;
        let add = |amount: &mut Amount| {
            amount.events += n;
            amount.bytes += len as u64;
        };
        add(&mut row.before);
        if is_gone {
            add(&mut row.gone);
        }
    }
}

impl Tally {
    /// Adds what was counted of a block.
    pub(crate) fn add(&mut self, block: &BlockTally) {
        for Counted { cat, ph, row } in &block.counted {
            let mine = match std::str::from_utf8(cat) {
                Ok(category) if !category.is_empty() => self.row(category),
                _ => self.row(&format!("({})", String::from_utf8_lossy(ph))),
            };
            mine.before += row.before;
            mine.gone += row.gone;
        }
    }

    fn row(&mut self, category: &str) -> &mut TallyRow {
        if !self.rows.contains_key(category) {
            self.rows.insert(category.to_owned(), TallyRow::default());
        }
        self.rows.get_mut(category).expect("the row was just made")
    }

    /// Adds what another part counted.
    pub fn merge(&mut self, other: &Self) {
        for (category, row) in &other.rows {
            let mine = self.row(category);
            mine.before += row.before;
            mine.gone += row.gone;
        }
    }
}
