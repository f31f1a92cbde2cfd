//! Interned strings: a small table per chunk while reading, one sorted table in the store.
//!
//! The store's ids are ranks in byte order, so that ids do not depend on how the input was split among threads and
//! comparing ids compares strings.

use std::hash::BuildHasher;
use std::sync::Arc;

use hashbrown::HashTable;
use rayon::prelude::*;

use crate::model::Dictionary;

/// A string of the store: its rank among all strings of the store in byte order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StrId(pub u32);

/// A string of one chunk, numbered by its first use there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LocalStr(pub u32);

/// A string of a store in the making, numbered by its first use in the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct SeenStr(pub(super) u32);

/// What the strings of a store in the making become.
#[derive(Debug)]
pub(super) struct Ranks(Vec<StrId>);

impl Ranks {
    #[inline]
    pub(super) fn of(&self, seen: SeenStr) -> StrId {
        self.0[seen.0 as usize]
    }
}

/// The strings of a store, sorted and unique.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Strings(Arc<Dictionary>);

impl Strings {
    /// Number of distinct strings.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The text of an id of this store.
    pub fn get(&self, id: StrId) -> &str {
        self.0.get(id.0)
    }

    /// The strings by id, to be shared.
    pub fn dictionary(&self) -> &Arc<Dictionary> {
        &self.0
    }

    /// The strings of a dictionary that is sorted.
    pub(super) fn of(dictionary: Arc<Dictionary>) -> Self {
        Self(dictionary)
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

    /// The sorted table of an interner's strings, and the rank of each of its ids.
    pub(super) fn ranked(interner: &Interner) -> (Self, Ranks) {
        let mut ids: Vec<u32> = (0..interner.spans.len() as u32).collect();
        ids.par_sort_unstable_by_key(|&id| interner.get(id));
        let mut strings = Dictionary::default();
        let mut rank = vec![StrId(0); ids.len()];
        for (new, &old) in ids.iter().enumerate() {
            rank[old as usize] = StrId(new as u32);
            strings.push(interner.get(old));
        }
        (Self(Arc::new(strings)), Ranks(rank))
    }

    /// Bytes of memory held.
    pub fn heap_bytes(&self) -> usize {
        self.0.heap_bytes()
    }
}

/// Strings in order of first use: of a chunk, or of all chunks so far.
#[derive(Debug, Default)]
pub(super) struct Interner {
    bytes: String,
    spans: Vec<(usize, u32)>,
    table: HashTable<(u32, u32)>,
    hasher: foldhash::fast::FixedState,
}

impl Interner {
    /// The id of a text, new or known.
    pub(super) fn intern(&mut self, text: &str) -> u32 {
        let hash = self.hasher.hash_one(text.as_bytes());
        if let Some(id) = self.find_hashed(text.as_bytes(), hash) {
            return id;
        }
        let id = self.spans.len() as u32;
        self.spans.push((self.bytes.len(), text.len() as u32));
        self.bytes.push_str(text);
        let Self { bytes, spans, table, hasher } = self;
        table.insert_unique(hash, (hash as u32, id), |&(_, id)| {
            hasher.hash_one(span_bytes(bytes, spans[id as usize]))
        });
        id
    }

    /// Number of texts.
    pub(super) fn len(&self) -> usize {
        self.spans.len()
    }

    /// Forgets all texts and keeps the memory.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.spans.clear();
        self.table.clear();
    }

    /// The id of bytes that are known already.
    #[inline]
    pub(super) fn find(&self, text: &[u8]) -> Option<u32> {
        self.find_hashed(text, self.hasher.hash_one(text))
    }

    #[inline]
    fn find_hashed(&self, text: &[u8], hash: u64) -> Option<u32> {
        let found = self.table.find(hash, |&(stored_hash, id)| {
            stored_hash == hash as u32 && span_bytes(&self.bytes, self.spans[id as usize]) == text
        })?;
        Some(found.1)
    }

    /// The text of an id.
    pub(super) fn get(&self, id: u32) -> &str {
        let (start, len) = self.spans[id as usize];
        &self.bytes[start..start + len as usize]
    }

    /// All texts, by id.
    pub(super) fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.spans.len() as u32).map(|id| self.get(id))
    }
}

fn span_bytes(bytes: &str, (start, len): (usize, u32)) -> &[u8] {
    &bytes.as_bytes()[start..start + len as usize]
}

#[cfg(test)]
mod tests {
    use super::{Interner, SeenStr, StrId, Strings};

    #[test]
    fn ids_become_ranks() {
        let mut interner = Interner::default();
        let ids: Vec<u32> =
            ["mm", "add", "mm", "zero", "add"].map(|text| interner.intern(text)).to_vec();
        assert_eq!(ids, [0, 1, 0, 2, 1]);
        assert_eq!((interner.find(b"zero"), interner.find(b"ze")), (Some(2), None));
        let (strings, rank) = Strings::ranked(&interner);
        assert_eq!(strings.iter().map(|(_, s)| s).collect::<Vec<_>>(), ["add", "mm", "zero"]);
        assert_eq!([0, 1, 2].map(|seen| rank.of(SeenStr(seen))), [StrId(1), StrId(0), StrId(2)]);
        assert_eq!(strings.find("mm"), Some(StrId(1)));
        assert_eq!(strings.find("n"), None);
    }
}
