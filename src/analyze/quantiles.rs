//! Order statistics by nearest rank: every one is a value that occurs, to the nanosecond.

/// Order statistics of some times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quantiles {
    /// Values.
    pub count: u64,
    /// Their sum.
    pub sum_ns: i64,
    /// Sum over count, rounded down.
    pub mean_ns: i64,
    /// Smallest.
    pub min_ns: i64,
    /// Median.
    pub p50_ns: i64,
    /// 90th percentile.
    pub p90_ns: i64,
    /// 95th percentile.
    pub p95_ns: i64,
    /// 99th percentile.
    pub p99_ns: i64,
    /// Largest.
    pub max_ns: i64,
}

impl Quantiles {
    /// Of some values; `None` where there are none.
    pub fn of(values: impl Iterator<Item = i64>) -> Option<Self> {
        let mut sorted: Vec<i64> = values.collect();
        sorted.sort_unstable();
        Self::of_sorted(&sorted)
    }

    /// Of ascending values; `None` where there are none. A sum beyond 64 bits stops at their end.
    pub fn of_sorted(sorted: &[i64]) -> Option<Self> {
        let sum: i128 = sorted.iter().map(|&ns| i128::from(ns)).sum();
        let rank = |percent| nearest_rank(sorted, percent);
        Some(Self {
            min_ns: *sorted.first()?,
            count: sorted.len() as u64,
            sum_ns: sum.clamp(i64::MIN.into(), i64::MAX.into()) as i64,
            mean_ns: sum.div_euclid(sorted.len() as i128) as i64,
            p50_ns: rank(50)?,
            p90_ns: rank(90)?,
            p95_ns: rank(95)?,
            p99_ns: rank(99)?,
            max_ns: *sorted.last()?,
        })
    }
}

/// The sum and two percentiles of some times, which need no sorting; without any there are no percentiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Times {
    /// Their sum; beyond 64 bits it stops at their end.
    pub(super) sum_ns: i64,
    /// Median.
    pub(super) p50_ns: Option<i64>,
    /// 99th percentile.
    pub(super) p99_ns: Option<i64>,
}

impl Times {
    /// Of some values.
    pub(super) fn of(mut ns: Vec<i64>) -> Self {
        let sum_ns = ns.iter().fold(0_i64, |sum, &ns| sum.saturating_add(ns));
        // What is below the 99th percentile is put before it, and the median is there too, or it is the same.
        let (half, most) = (rank_of(ns.len(), 50), rank_of(ns.len(), 99));
        let p99_ns = most.map(|at| *ns.select_nth_unstable(at).1);
        let p50_ns = half.zip(most).map(|(at, most)| *ns[..=most].select_nth_unstable(at).1);
        Self { sum_ns, p50_ns, p99_ns }
    }
}

/// The nearest-rank percentile of sorted values: the smallest value that at least `percent` of them do not exceed.
pub fn nearest_rank<T: Copy>(sorted: &[T], percent: usize) -> Option<T> {
    rank_of(sorted.len(), percent).map(|rank| sorted[rank])
}

/// Where the nearest-rank percentile of `n` sorted values stands; `None` where there are none.
pub(super) fn rank_of(n: usize, percent: usize) -> Option<usize> {
    let rank = (n * percent).div_ceil(100).max(1);
    (rank <= n).then(|| rank - 1)
}

#[cfg(test)]
mod tests {
    use super::{Quantiles, Times, nearest_rank};

    #[test]
    fn percentiles_are_values_that_occur() {
        let values: Vec<u32> = (1..=10).collect();
        assert_eq!(nearest_rank(&values, 50), Some(5));
        assert_eq!(nearest_rank(&values, 95), Some(10));
        assert_eq!(nearest_rank(&values[..1], 50), Some(1));
        assert_eq!(nearest_rank::<u32>(&[], 50), None);
    }

    #[test]
    fn percentiles_are_of_nearest_rank() {
        let hundred: Vec<i64> = (1..=100).collect();
        assert_eq!(nearest_rank(&hundred, 50), Some(50));
        assert_eq!(nearest_rank(&hundred, 99), Some(99));
        assert_eq!(nearest_rank(&[7, 9], 50), Some(7));
        assert_eq!(nearest_rank(&[7, 9], 99), Some(9));
        assert_eq!(nearest_rank(&[7], 50), Some(7));
    }

    #[test]
    fn quantiles_are_nearest_ranks() {
        let q = Quantiles::of((1..=100).rev()).unwrap();
        assert_eq!(
            (q.min_ns, q.p50_ns, q.p90_ns, q.p99_ns, q.max_ns, q.sum_ns),
            (1, 50, 90, 99, 100, 5050)
        );
        assert_eq!(Quantiles::of(std::iter::empty()), None);
        assert_eq!(Quantiles::of([7].into_iter()).unwrap().p50_ns, 7);
    }

    #[test]
    fn sums_beyond_64_bits_stop_and_means_do_not() {
        let q = Quantiles::of([i64::MAX, i64::MAX - 1].into_iter()).unwrap();
        assert_eq!((q.sum_ns, q.mean_ns), (i64::MAX, i64::MAX - 1));
    }

    #[test]
    fn times_are_the_same_as_quantiles() {
        for n in [0, 1, 2, 3, 99, 100, 101, 1_000] {
            let values: Vec<i64> = (0..n).map(|i| i * 7_919 % 1_009 - 3).collect();
            let q = Quantiles::of(values.iter().copied());
            let found = Times::of(values);
            assert_eq!(found.sum_ns, q.map_or(0, |q| q.sum_ns));
            assert_eq!((found.p50_ns, found.p99_ns), (q.map(|q| q.p50_ns), q.map(|q| q.p99_ns)));
        }
    }
}
