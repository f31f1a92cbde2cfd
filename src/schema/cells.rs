//! The values of a column as Arrow holds them: a vector, and a bitmap of what was recorded.

use std::ops::Range;

/// Values of one type. Where nothing was recorded stands the type's default, and the bitmap says so.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cells<T> {
    values: Vec<T>,
    /// Empty as long as everything was recorded.
    validity: Vec<u8>,
    n_missing: usize,
}

impl<T: Copy + Default> Cells<T> {
    /// Number of rows.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// All values, also of rows where nothing was recorded.
    pub fn values(&self) -> &[T] {
        &self.values
    }

    /// The values without the bitmap.
    pub fn into_values(self) -> Vec<T> {
        self.values
    }

    /// Whether each row was recorded, as Arrow has it: bit `row % 8` of byte `row / 8`. `None` where all were.
    pub fn validity(&self) -> Option<&[u8]> {
        (self.n_missing > 0).then_some(&self.validity)
    }

    /// Rows where nothing was recorded.
    pub fn n_missing(&self) -> usize {
        self.n_missing
    }

    /// Whether a row was recorded.
    pub fn is_recorded(&self, row: usize) -> bool {
        self.n_missing == 0 || self.validity[row / 8] >> (row % 8) & 1 == 1
    }

    /// The value of a row; `None` where nothing was recorded.
    pub fn get(&self, row: usize) -> Option<T> {
        self.is_recorded(row).then(|| self.values[row])
    }

    /// The values in order; `None` where nothing was recorded.
    pub fn iter(&self) -> impl Iterator<Item = Option<T>> {
        (0..self.len()).map(|row| self.get(row))
    }

    /// Adds a row.
    #[inline]
    pub fn push(&mut self, value: Option<T>) {
        self.push_value(value.unwrap_or_default(), value.is_some());
    }

    /// Adds a row whose value counts whether it was recorded or not, as the end of a list does.
    #[inline]
    pub(super) fn push_value(&mut self, value: T, is_recorded: bool) {
        if !is_recorded || self.n_missing > 0 {
            self.mark(is_recorded);
        }
        self.values.push(value);
    }

    /// Whether the next row is recorded.
    fn mark(&mut self, is_recorded: bool) {
        let row = self.values.len();
        if self.n_missing == 0 {
            self.validity = vec![u8::MAX; row / 8];
            self.validity.extend((!row.is_multiple_of(8)).then(|| u8::MAX >> (8 - row % 8)));
        }
        if row.is_multiple_of(8) {
            self.validity.push(0);
        }
        self.validity[row / 8] |= u8::from(is_recorded) << (row % 8);
        self.n_missing += usize::from(!is_recorded);
    }

    /// Some of the rows.
    #[must_use]
    pub fn slice(&self, rows: Range<usize>) -> Self {
        if self.n_missing == 0 {
            return Self { values: self.values[rows].to_vec(), ..Self::default() };
        }
        rows.map(|row| self.get(row)).collect()
    }
}

impl<T: Copy + Default> FromIterator<Option<T>> for Cells<T> {
    fn from_iter<I: IntoIterator<Item = Option<T>>>(values: I) -> Self {
        let mut cells = Self::default();
        values.into_iter().for_each(|value| cells.push(value));
        cells
    }
}

#[cfg(test)]
mod tests {
    use super::Cells;

    #[test]
    fn the_bitmap_says_what_was_recorded() {
        // Nothing missing up to every place in a byte, then gaps.
        for n_full in 0..20 {
            let mut expected: Vec<Option<i64>> = (0..n_full).map(Some).collect();
            let mut cells: Cells<i64> = expected.iter().copied().collect();
            assert_eq!((cells.validity(), cells.n_missing()), (None, 0));
            for value in [None, Some(7), None, None, Some(-1)].into_iter().cycle().take(13) {
                cells.push(value);
                expected.push(value);
            }
            assert_eq!(cells.iter().collect::<Vec<_>>(), expected);
            assert_eq!(cells.n_missing(), expected.iter().filter(|one| one.is_none()).count());
            let bitmap = cells.validity().unwrap();
            assert_eq!(bitmap.len(), expected.len().div_ceil(8));
            for (row, value) in expected.iter().enumerate() {
                assert_eq!(bitmap[row / 8] >> (row % 8) & 1 == 1, value.is_some(), "{row}");
                assert_eq!(cells.values()[row], value.unwrap_or_default());
            }
            let part = cells.slice(2..expected.len() - 1);
            assert_eq!(part.iter().collect::<Vec<_>>(), expected[2..expected.len() - 1]);
        }
    }
}
