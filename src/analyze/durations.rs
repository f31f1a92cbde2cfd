//! Durations of one name, of one input or of many: every value with how often it occurred, or about so.
//!
//! Percentiles of several inputs need all durations. Where these are too many to be carried, values are rounded to buckets
//! that are at most 1/128 of the value wide (as HdrHistogram has them: <http://hdrhistogram.org>): a percentile is then
//! wrong by at most 1/256. Counts, sums, the shortest and the longest stay exact.

use super::quantiles::Quantiles;

/// Significant bits of a value in a sketch.
const SKETCH_BITS: u32 = 8;

/// Durations in nanoseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Durations {
    /// Each value and how often it occurred, ascending by value.
    pub runs: Vec<(i64, u64)>,
    /// The sum of all; it stops at the end of 64 bits.
    pub sum_ns: i64,
    /// The shortest; 0 where there are none.
    pub min_ns: i64,
    /// The longest.
    pub max_ns: i64,
    /// Whether values are rounded.
    pub is_sketch: bool,
}

impl Durations {
    /// Of ascending values.
    pub fn of_sorted(sorted: impl IntoIterator<Item = i64>) -> Self {
        let mut all = Self::default();
        for ns in sorted {
            all.sum_ns = all.sum_ns.saturating_add(ns);
            match all.runs.last_mut() {
                Some((last, count)) if *last == ns => *count += 1,
                _ => all.runs.push((ns, 1)),
            }
        }
        all.min_ns = all.runs.first().map_or(0, |run| run.0);
        all.max_ns = all.runs.last().map_or(0, |run| run.0);
        all
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.runs.iter().map(|run| run.1).sum()
    }

    /// Adds those of another input; [`Self::settle`] comes after the last.
    pub fn add(&mut self, other: Self) {
        if self.runs.is_empty() {
            *self = other;
        } else if !other.runs.is_empty() {
            self.min_ns = self.min_ns.min(other.min_ns);
            self.max_ns = self.max_ns.max(other.max_ns);
            self.sum_ns = self.sum_ns.saturating_add(other.sum_ns);
            self.is_sketch |= other.is_sketch;
            self.runs.extend(other.runs);
        }
    }

    /// Brings runs in order, one a value.
    pub fn settle(&mut self) {
        self.runs.sort_unstable();
        self.runs.dedup_by(|next, kept| {
            let is_same = next.0 == kept.0;
            kept.1 += if is_same { next.1 } else { 0 };
            is_same
        });
    }

    /// The same with rounded values.
    pub fn sketched(&self) -> Self {
        let runs = self.runs.iter().map(|&(ns, count)| (rounded(ns), count)).collect();
        let mut sketch = Self { runs, is_sketch: true, ..*self };
        sketch.settle();
        sketch
    }

    /// The nearest-rank percentile; `None` where there are none.
    pub fn percentile(&self, percent: u64) -> Option<i64> {
        let rank = (self.count() * percent).div_ceil(100).max(1);
        let mut seen = 0;
        let found = self.runs.iter().find(|run| {
            seen += run.1;
            seen >= rank
        });
        found.map(|run| run.0.clamp(self.min_ns, self.max_ns))
    }

    /// Order statistics; `None` where there are none.
    pub fn quantiles(&self) -> Option<Quantiles> {
        let count = self.count();
        let rank = |percent| self.percentile(percent);
        Some(Quantiles {
            count,
            sum_ns: self.sum_ns,
            mean_ns: self.sum_ns.checked_div_euclid(i64::try_from(count).ok()?)?,
            min_ns: self.min_ns,
            p50_ns: rank(50)?,
            p90_ns: rank(90)?,
            p95_ns: rank(95)?,
            p99_ns: rank(99)?,
            max_ns: self.max_ns,
        })
    }
}

/// The middle of the bucket that a value is in.
fn rounded(ns: i64) -> i64 {
    let bits = i64::BITS - ns.max(0).leading_zeros();
    match bits.saturating_sub(SKETCH_BITS) {
        0 => ns,
        shift => (ns >> shift << shift) + (1 << (shift - 1)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Durations;
    use crate::analyze::quantiles::Quantiles;

    fn of(values: &[i64]) -> Durations {
        let mut sorted = values.to_vec();
        sorted.sort_unstable();
        Durations::of_sorted(sorted)
    }

    proptest! {
        /// Parts in any number give what all values give; a sketch is within 1 % and keeps what is exact.
        #[test]
        fn parts_are_the_whole(
            parts in prop::collection::vec(prop::collection::vec(0..5_000_000_i64, 0..40), 1..6)
        ) {
            let all = Quantiles::of(parts.iter().flatten().copied());
            let mut exact = Durations::default();
            let mut sketch = Durations::default();
            for part in &parts {
                exact.add(of(part));
                sketch.add(of(part).sketched());
            }
            exact.settle();
            sketch.settle();
            prop_assert_eq!(exact.quantiles(), all);
            if let (Some(about), Some(all)) = (sketch.quantiles(), all) {
                prop_assert_eq!(
                    (about.count, about.sum_ns, about.min_ns, about.max_ns),
                    (all.count, all.sum_ns, all.min_ns, all.max_ns)
                );
                for (a, b) in [(about.p50_ns, all.p50_ns), (about.p99_ns, all.p99_ns)] {
                    prop_assert!((a - b).abs() * 100 <= b, "{} for {}", a, b);
                }
            }
        }
    }
}
