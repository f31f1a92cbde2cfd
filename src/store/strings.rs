//! Interned strings: a small table per chunk while reading, one sorted table in the store.
//!
//! The store's ids are ranks in byte order, so that ids do not depend on how the input was split among threads and
//! comparing ids compares strings.

use hashbrown::{HashMap, HashTable};

/// A string of the store: its rank among all strings of the store in byte order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StrId(pub u32);

/// The strings of a store, sorted and unique.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Strings {
    bytes: String,
    /// End of each string in `bytes`.
    ends: Vec<usize>,
}

impl Strings {
    /// Number of distinct strings.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The text of an id of this store.
    pub fn get(&self, id: StrId) -> &str {
        let i = id.0 as usize;
        let start = if i == 0 { 0 } else { self.ends[i - 1] };
        &self.bytes[start..self.ends[i]]
    }

    /// The id of a text, where the store has it.
    pub fn find(&self, text: &str) -> Option<StrId> {
        let mut low = 0;
        let mut high = self.len();
        while low < high {
            let mid = usize::midpoint(low, high);
            if self.get(StrId(mid as u32)) < text {
                low = mid + 1;
            } else {
                high = mid;
            }
        }
        let id = StrId(low as u32);
        (low < self.len() && self.get(id) == text).then_some(id)
    }

    /// All ids with their text, in byte order.
    pub fn iter(&self) -> impl Iterator<Item = (StrId, &str)> {
        (0..self.len()).map(|i| (StrId(i as u32), self.get(StrId(i as u32))))
    }

    /// Joins local tables: the sorted table, and for each local table the new id of each of its strings.
    pub(super) fn join(locals: &[LocalStrings]) -> (Self, Vec<Vec<StrId>>) {
        let mut ids: HashMap<&str, StrId, foldhash::fast::FixedState> = HashMap::default();
        for text in locals.iter().flat_map(LocalStrings::iter) {
            ids.entry(text).or_insert(StrId(0));
        }
        let mut all: Vec<(&str, &mut StrId)> =
            ids.iter_mut().map(|(text, id)| (*text, id)).collect();
        all.sort_unstable_by_key(|&(text, _)| text);
        let mut strings = Self::default();
        for (rank, (text, id)) in all.into_iter().enumerate() {
            *id = StrId(rank as u32);
            strings.bytes.push_str(text);
            strings.ends.push(strings.bytes.len());
        }
        let maps =
            locals.iter().map(|local| local.iter().map(|text| ids[text]).collect()).collect();
        (strings, maps)
    }

    /// Bytes of memory held.
    pub fn heap_bytes(&self) -> usize {
        self.bytes.capacity() + self.ends.capacity() * size_of::<usize>()
    }
}

/// The strings of one chunk, in order of first use.
#[derive(Debug, Default)]
pub(super) struct LocalStrings {
    bytes: String,
    spans: Vec<(u32, u32)>,
    table: HashTable<(u32, u32)>,
    hasher: foldhash::fast::FixedState,
}

impl LocalStrings {
    /// The local id of a text, new or known.
    pub(super) fn intern(&mut self, text: &str) -> u32 {
        use std::hash::BuildHasher;
        let hash = self.hasher.hash_one(text.as_bytes());
        let (bytes, spans) = (&self.bytes, &self.spans);
        let same = |&(stored_hash, id): &(u32, u32)| {
            let (start, end) = spans[id as usize];
            stored_hash == hash as u32 && &bytes[start as usize..end as usize] == text
        };
        if let Some(&(_, id)) = self.table.find(hash, same) {
            return id;
        }
        let id = self.spans.len() as u32;
        let start = self.bytes.len() as u32;
        self.bytes.push_str(text);
        self.spans.push((start, self.bytes.len() as u32));
        let hasher = &self.hasher;
        let (bytes, spans) = (&self.bytes, &self.spans);
        self.table.insert_unique(hash, (hash as u32, id), |&(_, id)| {
            let (start, end) = spans[id as usize];
            hasher.hash_one(&bytes.as_bytes()[start as usize..end as usize])
        });
        id
    }

    /// The text of a local id.
    pub(super) fn get(&self, id: u32) -> &str {
        let (start, end) = self.spans[id as usize];
        &self.bytes[start as usize..end as usize]
    }

    fn iter(&self) -> impl Iterator<Item = &str> {
        self.spans.iter().map(|&(start, end)| &self.bytes[start as usize..end as usize])
    }
}

#[cfg(test)]
mod tests {
    use super::{LocalStrings, StrId, Strings};

    #[test]
    fn ids_are_ranks_whatever_the_split() {
        let mut a = LocalStrings::default();
        let mut b = LocalStrings::default();
        assert_eq!((a.intern("mm"), a.intern("add"), a.intern("mm")), (0, 1, 0));
        b.intern("zero");
        b.intern("add");
        let (strings, maps) = Strings::join(&[a, b]);
        assert_eq!(strings.iter().map(|(_, s)| s).collect::<Vec<_>>(), ["add", "mm", "zero"]);
        assert_eq!(maps, [vec![StrId(1), StrId(0)], vec![StrId(2), StrId(0)]]);
        assert_eq!(strings.find("mm"), Some(StrId(1)));
        assert_eq!(strings.find("n"), None);
    }
}
