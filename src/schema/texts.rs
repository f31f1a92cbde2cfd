//! Columns of texts: numbers into a dictionary that columns share.

use std::collections::BTreeMap;
use std::hash::BuildHasher;
use std::ops::Range;
use std::sync::Arc;

use hashbrown::HashTable;

use super::Cells;
use crate::model::Dictionary;

/// A text of a dictionary.
#[derive(Clone, Copy, Debug)]
pub struct Coded<'a> {
    /// The dictionary.
    pub of: &'a Arc<Dictionary>,
    /// Number of the text.
    pub code: u32,
}

/// A column of texts.
#[derive(Clone, Debug, Default)]
pub struct Texts {
    /// Numbers of texts.
    pub codes: Cells<u32>,
    /// The texts, each once. Of columns of events it is that of their input, and holds more than is used here.
    pub dictionary: Arc<Dictionary>,
    /// The numbers of the texts, where the dictionary is the column's own.
    known: HashTable<u32>,
}

impl PartialEq for Texts {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Texts {
    /// The text of a row; `None` where nothing was recorded.
    pub fn get(&self, row: usize) -> Option<&str> {
        self.codes.get(row).map(|code| self.dictionary.get(code))
    }

    /// The texts in order.
    pub fn iter(&self) -> impl Iterator<Item = Option<&str>> {
        (0..self.codes.len()).map(|row| self.get(row))
    }

    /// Adds a text of any origin.
    pub(super) fn push(&mut self, text: Option<&str>) {
        let code = text.map(|text| self.code_of(text));
        self.codes.push(code);
    }

    /// Adds a text of a dictionary. Where all are of the same, it becomes the column's.
    #[inline]
    pub(super) fn push_coded(&mut self, text: Coded<'_>) {
        if Arc::ptr_eq(&self.dictionary, text.of) && self.known.is_empty() {
            self.codes.push(Some(text.code));
        } else if self.codes.len() == self.codes.n_missing() && self.known.is_empty() {
            self.dictionary = Arc::clone(text.of);
            self.codes.push(Some(text.code));
        } else {
            self.push(Some(text.of.get(text.code)));
        }
    }

    /// Some of the rows.
    pub(super) fn slice(&self, rows: Range<usize>) -> Self {
        let dictionary = Arc::clone(&self.dictionary);
        Self { codes: self.codes.slice(rows), dictionary, known: HashTable::new() }
    }

    /// The number of a text in the column's own dictionary, new or known.
    fn code_of(&mut self, text: &str) -> u32 {
        if self.known.is_empty() && !self.dictionary.is_empty() {
            self.own();
        }
        let hasher = foldhash::fast::FixedState::default();
        let hash = hasher.hash_one(text);
        let dictionary = Arc::make_mut(&mut self.dictionary);
        if let Some(&code) = self.known.find(hash, |&code| dictionary.get(code) == text) {
            return code;
        }
        let code = dictionary.len() as u32;
        dictionary.push(text);
        self.known.insert_unique(hash, code, |&code| hasher.hash_one(dictionary.get(code)));
        code
    }

    /// Takes the texts that are used into a dictionary of the column's own.
    fn own(&mut self) {
        let of = std::mem::take(&mut self.dictionary);
        let mut own: BTreeMap<u32, u32> = BTreeMap::new();
        let codes = std::mem::take(&mut self.codes);
        for code in codes.iter() {
            let code = code.map(|code| match own.get(&code) {
                Some(&known) => known,
                None => {
                    let new = self.code_of(of.get(code));
                    own.insert(code, new);
                    new
                }
            });
            self.codes.push(code);
        }
    }
}

/// A column of lists of texts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lists {
    /// Where the list of each row ends in `items`; the next begins there.
    pub ends: Cells<u32>,
    /// The texts of all lists.
    pub items: Texts,
}

impl Lists {
    /// The list of a row; `None` where nothing was recorded.
    pub fn get(&self, row: usize) -> Option<impl Iterator<Item = &str>> {
        let ends = self.ends.values();
        let begin = if row == 0 { 0 } else { ends[row - 1] };
        let items = begin as usize..ends[row] as usize;
        self.ends.is_recorded(row).then(|| items.filter_map(|item| self.items.get(item)))
    }

    /// Adds a list.
    pub(super) fn push<'t>(&mut self, list: Option<impl IntoIterator<Item = &'t str>>) {
        let is_recorded = list.is_some();
        list.into_iter().flatten().for_each(|text| self.items.push(Some(text)));
        self.ends.push_value(self.items.codes.len() as u32, is_recorded);
    }

    /// Some of the rows.
    pub(super) fn slice(&self, rows: Range<usize>) -> Self {
        let mut part = Self::default();
        rows.for_each(|row| part.push(self.get(row)));
        part
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Coded, Lists, Texts};
    use crate::model::Dictionary;

    fn dictionary(texts: &[&str]) -> Arc<Dictionary> {
        let mut dictionary = Dictionary::default();
        texts.iter().for_each(|text| dictionary.push(text));
        Arc::new(dictionary)
    }

    #[test]
    fn texts_of_one_dictionary_share_it_and_of_several_get_their_own() {
        let (first, second) = (dictionary(&["unused", "b", "a"]), dictionary(&["c", "a"]));
        let mut texts = Texts::default();
        texts.codes.push(None);
        texts.push_coded(Coded { of: &first, code: 2 });
        texts.push_coded(Coded { of: &first, code: 1 });
        assert!(Arc::ptr_eq(&texts.dictionary, &first));
        for code in [1, 0, 1] {
            texts.push_coded(Coded { of: &second, code });
        }
        texts.push_coded(Coded { of: &first, code: 1 });
        let all: Vec<_> = texts.iter().map(Option::unwrap_or_default).collect();
        assert_eq!(all, ["", "a", "b", "a", "c", "a", "b"]);
        assert_eq!(texts.dictionary.iter().collect::<Vec<_>>(), ["a", "b", "c"]);
        assert_eq!(texts.slice(3..5).iter().flatten().collect::<Vec<_>>(), ["a", "c"]);
    }

    #[test]
    fn lists_keep_what_was_not_recorded_apart_from_empty_ones() {
        let mut lists = Lists::default();
        let rows: [Option<Vec<&str>>; 4] =
            [Some(vec!["a", "b"]), None, Some(vec![]), Some(vec!["a"])];
        rows.iter().for_each(|row| lists.push(row.clone()));
        let read = |lists: &Lists, n: usize| -> Vec<Option<Vec<String>>> {
            let owned = |row| Some(lists.get(row)?.map(str::to_owned).collect());
            (0..n).map(owned).collect()
        };
        let expected = |rows: &[Option<Vec<&str>>]| -> Vec<Option<Vec<String>>> {
            let owned = |row: &Vec<&str>| row.iter().map(|&text| text.to_owned()).collect();
            rows.iter().map(|row| row.as_ref().map(owned)).collect()
        };
        assert_eq!(read(&lists, 4), expected(&rows));
        assert_eq!(lists.ends.values(), [2, 2, 2, 3]);
        assert_eq!(read(&lists.slice(1..4), 3), expected(&rows[1..]));
    }
}
