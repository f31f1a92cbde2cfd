//! A column of optional unsigned numbers that mostly fit 32 bits.

use std::ops::Range;

use rayon::prelude::*;

use super::order::Order;

/// Optional `u64` values, four bytes each; the rare value that does not fit is kept aside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CompactColumn {
    narrow: Vec<u32>,
    /// Row and value of each wide value, by row.
    wide: Vec<(u32, u64)>,
}

/// Some rows of a column of durations, which are changed in place as far as they and their new values fit 32 bits.
pub(super) struct Durations<'a> {
    /// Number of the first row in the column.
    pub(super) first: u32,
    pub(super) narrow: &'a mut [u32],
    /// The wide values of the whole column.
    pub(super) wide: &'a [(u32, u64)],
}

impl Durations<'_> {
    /// The duration of a row; 0 where there is none.
    #[inline]
    pub(super) fn get(&self, row: usize) -> i64 {
        match self.narrow[row] {
            NONE => 0,
            WIDE => wide_value(self.wide, self.first + row as u32).unwrap_or(0) as i64,
            ns => i64::from(ns),
        }
    }

    /// Replaces a duration. Gives its row in the column and the value where that is left to [`CompactColumn::set`].
    #[inline]
    pub(super) fn set(&mut self, row: usize, ns: u64) -> Option<(u32, u64)> {
        if self.narrow[row] == WIDE || ns >= u64::from(WIDE) {
            return Some((self.first + row as u32, ns));
        }
        self.narrow[row] = ns as u32;
        None
    }
}

/// The wide value of a row.
fn wide_value(wide: &[(u32, u64)], row: u32) -> Option<u64> {
    let found = wide.binary_search_by_key(&row, |&(r, _)| r).ok()?;
    Some(wide[found].1)
}

const NONE: u32 = u32::MAX;
const WIDE: u32 = u32::MAX - 1;

impl CompactColumn {
    /// Appends a value.
    pub fn push(&mut self, value: Option<u64>) {
        match value {
            None => self.narrow.push(NONE),
            Some(v) if v < u64::from(WIDE) => self.narrow.push(v as u32),
            Some(v) => {
                self.wide.push((self.narrow.len() as u32, v));
                self.narrow.push(WIDE);
            }
        }
    }

    /// The value of a row; `None` where the trace gave none.
    #[inline]
    pub fn get(&self, row: usize) -> Option<u64> {
        match self.narrow[row] {
            NONE => None,
            WIDE => wide_value(&self.wide, row as u32),
            v => Some(u64::from(v)),
        }
    }

    /// What none of the values of some rows exceeds; `None` where one has no value or does not fit 32 bits.
    pub(super) fn most(&self, rows: Range<usize>) -> Option<u32> {
        let most = self.narrow[rows].iter().copied().fold(0, u32::max);
        (most < WIDE).then_some(most)
    }

    /// Replaces the value of a row.
    pub(super) fn set(&mut self, row: usize, value: u64) {
        let found = self.wide.binary_search_by_key(&(row as u32), |&(r, _)| r);
        let is_narrow = value < u64::from(WIDE);
        self.narrow[row] = if is_narrow { value as u32 } else { WIDE };
        match (found, is_narrow) {
            (Ok(at), true) => drop(self.wide.remove(at)),
            (Ok(at), false) => self.wide[at].1 = value,
            (Err(at), false) => self.wide.insert(at, (row as u32, value)),
            (Err(_), true) => {}
        }
    }

    /// Cuts the largest of the values that do not fit 32 bits, so that all of those add up to `most` or less. Gives how many were
    /// cut.
    pub(super) fn cut_wide(&mut self, most: u64) -> u64 {
        let sum: u128 = self.wide.iter().map(|&(_, value)| u128::from(value)).sum();
        if sum <= u128::from(most) {
            return 0;
        }
        let mut values: Vec<u64> = self.wide.iter().map(|&(_, value)| value).collect();
        values.sort_unstable();
        // Those below the cut stay whole, the others share what is left.
        let (mut left, mut cut) = (most, 0);
        for (i, &value) in values.iter().enumerate() {
            cut = left / (values.len() - i) as u64;
            if value > cut {
                break;
            }
            left -= value;
        }
        let longer: Vec<u32> =
            self.wide.iter().filter(|(_, value)| *value > cut).map(|&(row, _)| row).collect();
        if cut >= u64::from(WIDE) {
            self.wide.iter_mut().for_each(|(_, value)| *value = (*value).min(cut));
        } else {
            longer.iter().for_each(|&row| self.narrow[row as usize] = cut as u32);
            self.wide.retain(|(_, value)| *value <= cut);
        }
        longer.len() as u64
    }

    /// The narrow values, to be changed with [`Durations`], and the wide ones.
    pub(super) fn parts_mut(&mut self) -> (&mut [u32], &[(u32, u64)]) {
        (&mut self.narrow, &self.wide)
    }

    /// The narrow values and, by row, the wide ones: what [`Self::of_parts`] takes.
    pub(super) fn parts(&self) -> (&[u32], &[(u32, u64)]) {
        (&self.narrow, &self.wide)
    }

    /// The column of narrow values and wide ones.
    pub(super) fn of_parts(narrow: Vec<u32>, wide: Vec<(u32, u64)>) -> Self {
        Self { narrow, wide }
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.narrow.len()
    }

    /// Appends another column's rows.
    pub(super) fn append(&mut self, other: &Self) {
        let base = self.narrow.len() as u32;
        self.narrow.extend_from_slice(&other.narrow);
        self.wide.extend(other.wide.iter().map(|&(row, v)| (base + row, v)));
    }

    /// Forgets all rows and keeps the memory.
    pub(super) fn clear(&mut self) {
        self.narrow.clear();
        self.wide.clear();
    }

    /// The column with some rows changed.
    pub(super) fn changed(&self, changes: &std::collections::BTreeMap<u32, u64>) -> Self {
        let mut column = Self::default();
        for row in 0..self.len() {
            column.push(changes.get(&(row as u32)).copied().or_else(|| self.get(row)));
        }
        column
    }

    /// The column in another order.
    pub(super) fn permuted(&self, order: &Order) -> Self {
        Self { narrow: order.permute(&self.narrow), wide: self.wide_permuted(order) }
    }

    /// Puts the rows in an order that leaves none out.
    pub(super) fn reorder(&mut self, order: &Order) {
        order.reorder(&mut self.narrow);
        self.wide = self.wide_permuted(order);
    }

    fn wide_permuted(&self, order: &Order) -> Vec<(u32, u64)> {
        if self.wide.is_empty() {
            return Vec::new();
        }
        let places = order.places();
        let mut asked = places.asked();
        let placed = self.wide.iter().filter_map(|&(row, value)| Some((asked.of(row)?, value)));
        let mut wide: Vec<(u32, u64)> = placed.collect();
        wide.par_sort_unstable_by_key(|&(row, _)| row);
        wide
    }

    /// Bytes of memory held.
    pub fn heap_bytes(&self) -> usize {
        self.narrow.capacity() * size_of::<u32>() + self.wide.capacity() * size_of::<(u32, u64)>()
    }
}

#[cfg(test)]
mod tests {
    use super::{CompactColumn, Order};

    #[test]
    fn replaced_values_may_change_their_width() {
        let values = [Some(7), None, Some(u64::MAX), Some(1 << 40), Some(0)];
        let mut column = CompactColumn::default();
        values.into_iter().for_each(|value| column.push(value));
        let mut expected = values;
        for (row, value) in [(2, 5), (3, 1 << 41), (0, 1 << 42), (4, 9), (1, 3)] {
            column.set(row, value);
            expected[row] = Some(value);
            let found: Vec<_> = (0..5).map(|row| column.get(row)).collect();
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn the_largest_are_cut_until_the_sum_fits() {
        let column = |values: &[u64]| {
            let mut column = CompactColumn::default();
            values.iter().for_each(|&value| column.push(Some(value)));
            column
        };
        let cut = |values: &[u64], most: u64| {
            let mut column = column(values);
            let n = column.cut_wide(most);
            (n, (0..values.len()).filter_map(|row| column.get(row)).collect::<Vec<_>>())
        };
        let (a, b) = (1 << 40, 1 << 41);
        assert_eq!(cut(&[a, 7, b], a + b), (0, vec![a, 7, b]));
        assert_eq!(cut(&[a, 7, u64::MAX, b], a + 4 * b), (1, vec![a, 7, 3 * b, b]));
        assert_eq!(cut(&[u64::MAX, u64::MAX, 3], 1 << 50), (2, vec![1 << 49, 1 << 49, 3]));
        assert_eq!(cut(&[a, b], 100), (2, vec![50, 50]));
    }

    #[test]
    fn wide_and_missing_values_survive_joining_and_reordering() {
        let values = [Some(7), None, Some(u64::MAX), Some(u64::from(u32::MAX)), Some(0)];
        let mut a = CompactColumn::default();
        let mut b = CompactColumn::default();
        for v in values {
            a.push(v);
            b.push(v);
        }
        a.append(&b);
        let order = [9, 2, 3, 1, 0, 8, 7, 6, 5, 4];
        let permuted = Order::of_rows(&order);
        let c = a.permuted(&permuted);
        let mut in_place = a.clone();
        in_place.reorder(&permuted);
        assert_eq!(in_place, c);
        for (new, &old) in order.iter().enumerate() {
            assert_eq!(c.get(new), a.get(old as usize));
            assert_eq!(c.get(new), values[old as usize % 5]);
        }
    }
}
