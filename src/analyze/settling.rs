//! How many iterations at the start of a bucket are warm-up: autotuning, lazy loading, growing pools.
//!
//! The rule looks at logarithms of durations. The later half of a bucket says what is steady: its median, its noise (by
//! the differences of neighbours) and how often one iteration is far longer. For each iteration of the first half a
//! likelihood ratio says whether it is longer by a fifth, or by three deviations where these are more, rather than steady.
//! It is held between two bounds, so that no single one decides: at most as a steady iteration is rarely that long, at
//! least as an iteration of a warm-up is now and then not slow. The warm-up ends where the sum of them is greatest, so
//! that a fall ends a tenth above the steady level, and one spike after another is one warm-up.
//!
//! `diff` cuts less, by [`super::warmup`]: of few iterations it needs each, and its rate of false alarms was measured so.

use super::warmup::{MIN_UNITS, OF_NEIGHBOURS, logs};

/// By how much those of a warm-up are longer, as a logarithm; one is slow from half of it on.
const MIN_STEP: f64 = 0.2;

/// Steps of fewer deviations of the noise are none.
const MIN_DEVIATIONS: f64 = 3.0;

/// The least noise that is believed, as a logarithm.
const MIN_NOISE: f64 = 0.01;

/// The least and greatest part of steady iterations that are taken to be far longer.
const OUTLIERS: (f64, f64) = (0.01, 0.4);

/// The least and greatest part of the iterations of a warm-up that are taken to be slow.
const SLOW: (f64, f64) = (0.5, 0.98);

/// What the sum must be, as the logarithm of a likelihood ratio: 20 to 1.
const EVIDENCE: f64 = 3.0;

/// How often a warm-up is looked at with what it said itself of how many of its iterations are slow.
const N_LOOKS: usize = 3;

/// How many of some durations, in time order, are warm-up; at most half of them.
pub fn unsettled(durations_ns: &[i64]) -> usize {
    if durations_ns.len() < MIN_UNITS {
        return 0;
    }
    let logs = logs(durations_ns);
    let (early, late) = logs.split_at(logs.len() / 2);
    let steady = Steady::of(late);
    let ratios = steady.ratios(early);
    let most = (SLOW.0 / steady.outliers).ln();
    let (mut slow, mut cut) = (SLOW.0, 0);
    for _ in 0..N_LOOKS {
        cut = end(&ratios, ((1.0 - slow).ln(), most));
        let n_slow = ratios[..cut].iter().filter(|&&ratio| ratio > 0.0).count();
        slow = ((n_slow as f64 + 0.5) / (cut as f64 + 1.0)).clamp(SLOW.0, SLOW.1);
    }
    cut
}

/// What the later half says.
struct Steady {
    median: f64,
    noise: f64,
    /// By how much an iteration of a warm-up is longer.
    step: f64,
    /// Which part is longer by more than that.
    outliers: f64,
}

impl Steady {
    fn of(late: &[f64]) -> Self {
        let middle = median(late.to_vec());
        let steps = late.windows(2).map(|pair| (pair[1] - pair[0]).abs()).collect();
        let noise = (median(steps) / OF_NEIGHBOURS).max(MIN_NOISE);
        let step = MIN_STEP.max(MIN_DEVIATIONS * noise);
        let far = late.iter().filter(|&&log| log - middle > step).count();
        let outliers = (far as f64 / late.len() as f64).clamp(OUTLIERS.0, OUTLIERS.1);
        Self { median: middle, noise, step, outliers }
    }

    /// Of each, the logarithm of how much likelier it is a step above the median than at it.
    fn ratios(&self, early: &[f64]) -> Vec<f64> {
        let ratio = |log: &f64| self.step * (log - self.median - self.step / 2.0);
        early.iter().map(|log| ratio(log) / self.noise.powi(2)).collect()
    }
}

/// The lower median; 0 of nothing.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len().saturating_sub(1) / 2).copied().unwrap_or(0.0)
}

/// Up to where the sum is greatest, each held between two bounds; 0 where it shows nothing.
fn end(ratios: &[f64], (least, most): (f64, f64)) -> usize {
    let (mut sum, mut best) = (0.0, (EVIDENCE, 0));
    for (at, ratio) in ratios.iter().enumerate() {
        sum += ratio.clamp(least, most);
        if sum > best.0 {
            best = (sum, at + 1);
        }
    }
    best.1
}

#[cfg(test)]
mod tests {
    use super::unsettled;

    #[test]
    fn slow_first_iterations_are_cut_and_others_are_not() {
        let noise = |i: i64| 1_000 + (i * 7_919) % 31;
        let steady: Vec<i64> = (0..40).map(noise).collect();
        assert_eq!(unsettled(&steady), 0);
        let mut slow = steady.clone();
        slow[0] = 40_000;
        slow[1] = 3_000;
        assert_eq!(unsettled(&slow), 2);
        slow[1] = 39_000;
        slow[2] = 41_000;
        assert_eq!(unsettled(&slow), 3);
        slow[5] = 20_000;
        assert_eq!(unsettled(&slow), 6);
        let faster: Vec<i64> = (0..40).map(|i| if i < 5 { 500 } else { noise(i) }).collect();
        assert_eq!(unsettled(&faster), 0);
        let late: Vec<i64> = (0..40).map(|i| if i < 30 { 2_000 } else { noise(i) }).collect();
        assert!(unsettled(&late) <= 20);
        assert_eq!(unsettled(&[5_000, 1_000, 1_000]), 0);
        assert_eq!(unsettled(&[5_000, 1_000, 1_000, 1_000]), 1);
    }

    #[test]
    fn one_long_iteration_later_on_is_no_warmup() {
        let spike = |at: i64| (0..60).map(move |i| if i == at { 9_000 } else { 1_000 + i % 7 });
        assert_eq!(unsettled(&spike(0).collect::<Vec<i64>>()), 1);
        (3..60).for_each(|at| assert_eq!(unsettled(&spike(at).collect::<Vec<i64>>()), 0, "{at}"));
    }
}
