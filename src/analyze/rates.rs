//! Bytes over time: exact pairs, ordered without rounding, summed up as means and percentiles.
//!
//! A rate is kept as (bytes, nanoseconds) and becomes a float only when it is shown: GB/s is 10^9 bytes a second, which
//! is bytes per nanosecond.

use std::cmp::Ordering;

use super::quantiles::nearest_rank;

/// Bytes moved in a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Bytes.
    pub bytes: u64,
    /// Nanoseconds; not zero.
    pub dur_ns: u64,
}

impl Rate {
    /// The rate of a transfer; `None` where no time passed, as then there is none.
    pub fn new(bytes: u64, dur_ns: i64) -> Option<Self> {
        let dur_ns = u64::try_from(dur_ns).ok().filter(|&ns| ns > 0)?;
        Some(Self { bytes, dur_ns })
    }

    /// Gigabytes a second, 10^9 bytes each.
    pub fn gb_per_s(self) -> f64 {
        self.bytes as f64 / self.dur_ns as f64
    }
}

impl PartialOrd for Rate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Rate {
    fn cmp(&self, other: &Self) -> Ordering {
        let left = u128::from(self.bytes) * u128::from(other.dur_ns);
        let right = u128::from(other.bytes) * u128::from(self.dur_ns);
        left.cmp(&right).then(self.bytes.cmp(&other.bytes))
    }
}

/// Rates of several transfers, in GB/s. The percentiles are nearest-rank, so each is the rate of one of the transfers.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RateSummary {
    /// Sum of bytes over sum of time.
    pub mean_gb_per_s: Option<f64>,
    /// Median over transfers.
    pub median_gb_per_s: Option<f64>,
    /// 95th percentile over transfers.
    pub p95_gb_per_s: Option<f64>,
    /// The best transfer.
    pub best_gb_per_s: Option<f64>,
}

impl RateSummary {
    /// Sums up; sorts the rates.
    pub fn of(rates: &mut [Rate]) -> Self {
        rates.sort_unstable();
        let bytes: u64 = rates.iter().map(|rate| rate.bytes).sum();
        let dur_ns: u64 = rates.iter().map(|rate| rate.dur_ns).sum();
        let total = (dur_ns > 0).then_some(Rate { bytes, dur_ns });
        Self {
            mean_gb_per_s: total.map(Rate::gb_per_s),
            median_gb_per_s: nearest_rank(rates, 50).map(|rate| rate.gb_per_s()),
            p95_gb_per_s: nearest_rank(rates, 95).map(|rate| rate.gb_per_s()),
            best_gb_per_s: rates.last().map(|rate| rate.gb_per_s()),
        }
    }

    /// Sums up transfers of one size, by their ascending times: the median rate is that of the median time, which stands
    /// beside it.
    pub fn of_times(bytes: u64, times_ns: &[i64]) -> Self {
        let rate = |&ns: &i64| Rate::new(bytes, ns);
        let median = nearest_rank(times_ns, 50).and_then(|ns| rate(&ns)).map(Rate::gb_per_s);
        let mut rates: Vec<Rate> = times_ns.iter().filter_map(rate).collect();
        Self { median_gb_per_s: median, ..Self::of(&mut rates) }
    }
}

#[cfg(test)]
mod tests {
    use super::{Rate, RateSummary};

    #[test]
    fn rates_order_exactly() {
        let rate = |bytes, ns| Rate::new(bytes, ns).unwrap();
        assert!(rate(1, 3) < rate(334, 1000));
        assert!(rate(u64::MAX, 3) > rate(u64::MAX, 4));
        assert_eq!(Rate::new(5, 0), None);
    }

    #[test]
    fn the_mean_weighs_by_time() {
        let mut rates = [Rate::new(10, 10).unwrap(), Rate::new(90, 30).unwrap()];
        let summary = RateSummary::of(&mut rates);
        assert_eq!(summary.mean_gb_per_s, Some(2.5));
        assert_eq!((summary.median_gb_per_s, summary.best_gb_per_s), (Some(1.0), Some(3.0)));
        assert_eq!(RateSummary::of(&mut []), RateSummary::default());
    }

    #[test]
    fn the_median_of_an_even_count_is_that_of_the_median_time() {
        let summary = RateSummary::of_times(1200, &[100, 120, 300, 400]);
        assert_eq!(summary.median_gb_per_s, Some(10.0));
        assert_eq!(summary.best_gb_per_s, Some(12.0));
        assert_eq!(summary.mean_gb_per_s, Some(4800.0 / 920.0));
        assert_eq!(RateSummary::of_times(5, &[]), RateSummary::default());
        assert_eq!(RateSummary::of_times(5, &[0, 10]).median_gb_per_s, None);
    }
}
