//! Median and MAD: what is usual, whatever a few do.

use crate::model::middle;

/// The standard deviation of a normal distribution over its median absolute deviation
/// (<https://en.wikipedia.org/wiki/Median_absolute_deviation>), in ten-thousandths.
const SIGMA_OF_MAD: i64 = 14_826;

/// What lies this many times the usual spread from the median stands out: with ten thousand ranks of a normal distribution
/// none does in a hundred thousand sets.
const STANDS_OUT: i64 = 6;

/// What is usual among some values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Usual {
    pub(super) median: i64,
    /// The median distance from it.
    pub(super) mad: i64,
    /// The standard deviation by the median distance, at least a part of the median.
    pub(super) spread: i64,
}

impl Usual {
    /// Of some values; the spread is at least `floor_per_mille` of the median. `None` of nothing.
    pub(super) fn of(values: impl IntoIterator<Item = i64>, floor_per_mille: i64) -> Option<Self> {
        let mut values: Vec<i64> = values.into_iter().collect();
        let median = middle(&mut values)?;
        let mut distances: Vec<i64> =
            values.iter().map(|value| value.saturating_sub(median).saturating_abs()).collect();
        let mad = middle(&mut distances)?;
        let floor = median.saturating_abs() / 1000 * floor_per_mille;
        let spread = (mad.saturating_mul(SIGMA_OF_MAD) / 10_000).max(floor).max(1);
        Some(Self { median, mad, spread })
    }

    /// The same, with a spread that is at least this.
    pub(super) fn at_least(self, spread: i64) -> Self {
        Self { spread: self.spread.max(spread), ..self }
    }

    /// By how much a value lies above the median, where it stands out.
    pub(super) fn excess(self, value: i64) -> Option<i64> {
        let excess = value.saturating_sub(self.median);
        (excess > self.spread.saturating_mul(STANDS_OUT)).then_some(excess)
    }
}

#[cfg(test)]
mod tests {
    use super::Usual;

    #[test]
    fn one_far_value_changes_nothing_that_is_usual() {
        let usual = Usual::of([100, 102, 98, 101, 99, 100, 5_000], 1).unwrap();
        assert_eq!(usual, Usual { median: 100, mad: 1, spread: 1 });
        assert_eq!(usual.excess(5_000), Some(4_900));
        assert_eq!(usual.excess(106), None);
        assert_eq!(Usual::of([], 1), None);
    }

    #[test]
    fn equal_values_have_the_least_spread() {
        assert_eq!(
            Usual::of([1_000_000; 9], 2),
            Some(Usual { median: 1_000_000, mad: 0, spread: 2_000 })
        );
    }
}
