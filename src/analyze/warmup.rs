//! How many iterations at the start of a bucket are warm-up: autotuning, lazy loading, growing pools.
//!
//! The rule: the first `k` are left out where one level for them and another for the rest fits the logarithms of the
//! durations best, `k` being at most half of all; where that gains more than three times the noise (by the differences of
//! neighbours) for each doubling of their number; and where the first ones are longer by a tenth at least.
//!
//! It is `diff`'s rule, which keeps as many iterations as it can; `--steady` cuts sharper, by [`super::settling`]. With that rule
//! `diff` leaves eager against graphs, of 12 iterations a side, inconclusive, and cuts 12 of 64 iterations of a generated program
//! whose first two to four are its warm-up (`tests/diff.rs`, `tests/diff_pairs.rs`). So it stays another rule.

/// Fewer iterations show no change of level.
pub(super) const MIN_UNITS: usize = 4;

/// By how much the first ones are longer, as a logarithm.
const MIN_STEP: f64 = 0.095;

/// What a level must gain, in variances of the noise for each natural logarithm of the number.
const PENALTY: f64 = 3.0;

/// The median of the absolute difference of two normal values, as a part of their deviation.
pub(super) const OF_NEIGHBOURS: f64 = 0.954;

/// Logarithms of durations.
pub(super) fn logs(durations_ns: &[i64]) -> Vec<f64> {
    durations_ns.iter().map(|&ns| (ns.max(1) as f64).ln()).collect()
}

/// How many of some durations, in time order, are warm-up.
pub fn warmup(durations_ns: &[i64]) -> usize {
    let n = durations_ns.len();
    if n < MIN_UNITS {
        return 0;
    }
    let logs = logs(durations_ns);
    let total: f64 = logs.iter().sum();
    let mut head = 0.0;
    let mut best = (0.0, 0);
    for k in 1..=n / 2 {
        head += logs[k - 1];
        let (a, b) = (head / k as f64, (total - head) / (n - k) as f64);
        // What two levels explain of the sum of squares.
        let gain = (a - b).powi(2) * (k * (n - k)) as f64 / n as f64;
        if a - b >= MIN_STEP && gain > best.0 {
            best = (gain, k);
        }
    }
    let (gain, k) = best;
    if gain > PENALTY * (n as f64).ln() * noise(&logs[k..]) { k } else { 0 }
}

/// The variance of single values, by the median of the differences of neighbours.
fn noise(logs: &[f64]) -> f64 {
    let mut steps: Vec<f64> = logs.windows(2).map(|pair| (pair[1] - pair[0]).abs()).collect();
    steps.sort_by(f64::total_cmp);
    let median = steps.get(steps.len() / 2).copied().unwrap_or(0.0);
    (median / OF_NEIGHBOURS).powi(2)
}

#[cfg(test)]
mod tests {
    use super::warmup;

    #[test]
    fn slow_first_iterations_are_cut_and_others_are_not() {
        let noise = |i: i64| 1_000 + (i * 7_919) % 31;
        let steady: Vec<i64> = (0..40).map(noise).collect();
        assert_eq!(warmup(&steady), 0);
        let mut slow = steady.clone();
        slow[0] = 40_000;
        slow[1] = 3_000;
        assert!((1..=2).contains(&warmup(&slow)), "{}", warmup(&slow));
        slow[1] = 39_000;
        slow[2] = 41_000;
        assert_eq!(warmup(&slow), 3);
        let faster: Vec<i64> = (0..40).map(|i| if i < 5 { 500 } else { noise(i) }).collect();
        assert_eq!(warmup(&faster), 0);
        let late: Vec<i64> = (0..40).map(|i| if i < 30 { 2_000 } else { noise(i) }).collect();
        assert!(warmup(&late) <= 20);
        assert_eq!(warmup(&[5_000, 1_000, 1_000]), 0);
    }
}
