//! Differences of two sides with an interval: block bootstrap over units, widened for few blocks as Student's
//! distribution says, and for the variance between runs where there are several.

use std::collections::BTreeMap;

use super::random::Random;
use super::sample::{Group, Lane, Sample, Stratum};
use super::student;

/// Of a distribution, what is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Statistic {
    /// The mean.
    Mean,
    /// The nearest-rank percentile.
    Percentile(u8),
}

/// A difference with what is known of it. Times in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Estimate {
    /// Of A, with the buckets weighted as in B.
    pub(super) a: f64,
    /// Of B.
    pub(super) b: f64,
    /// The interval of the difference that holds the true one with 95 % probability; `None` where nothing tells how the
    /// values vary.
    pub(super) interval: Option<Interval>,
}

impl Estimate {
    pub(super) fn diff(&self) -> f64 {
        self.b - self.a
    }
}

/// How sure a difference is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Interval {
    pub(super) low: f64,
    pub(super) high: f64,
    /// The smallest difference that data like these show in four of five cases.
    pub(super) detectable: f64,
    /// The probability of such a difference by chance.
    pub(super) p: f64,
    /// Its standard error.
    pub(super) error: f64,
    /// Whether how runs vary is in it: one side at least has several.
    pub(super) has_runs: bool,
}

/// The level of intervals.
pub(super) const LEVEL: f64 = 0.975;

/// The probability with which the smallest detectable difference is shown.
const POWER: f64 = 0.8;

/// Resamples of one bootstrap, fewer where there are many units.
fn n_resamples(n_units: u64) -> usize {
    (20_000_000 / n_units.max(1)).clamp(400, 2_000) as usize
}

/// A mean, the variance of it, and the degrees of freedom of that.
#[derive(Clone, Copy, Debug, Default)]
struct Moments {
    mean: f64,
    variance: f64,
    df: f64,
    n: usize,
}

/// Units that stay together when they are drawn, by how much each tells of the next ones: what is best for means of a
/// process that forgets exponentially.
pub(super) fn block_len(values: &[f64]) -> usize {
    let n = values.len();
    let rho = memory(values);
    let best = (1.5 * (2.0 * rho / (1.0 - rho * rho)).powi(2) * n as f64).cbrt();
    (best.ceil() as usize).clamp(1, (n / 4).max(1))
}

/// How much a value tells of the next one, from 0 to below 1, without what makes short series look as if they forgot.
fn memory(values: &[f64]) -> f64 {
    let n = values.len();
    if n < 6 {
        return 0.0;
    }
    let mean = values.iter().sum::<f64>() / n as f64;
    let product = |lag: usize| -> f64 {
        values.iter().zip(&values[lag..]).map(|(x, y)| (x - mean) * (y - mean)).sum()
    };
    let variance = product(0);
    if variance <= 0.0 {
        return 0.0;
    }
    let at = |lag: usize| {
        let raw = product(lag) / variance;
        raw + (1.0 + 4.0 * raw) / n as f64
    };
    let noise = 2.0 / (n as f64).sqrt();
    let second = Some(at(2)).filter(|&r| r > noise).map_or(0.0, f64::sqrt);
    at(1).max(second).clamp(0.0, 0.95)
}

/// The variance of the mean of a series and its degrees of freedom: by its blocks, or by how it forgets where that gives
/// more, because blocks end before memory does.
fn of_series(values: &[f64], block: usize) -> (f64, f64) {
    let n = values.len() as f64;
    let blocks = n / block as f64;
    let by_blocks = block_variance(values, block) / (blocks - 1.0);
    let rho = memory(values);
    let stretch = (1.0 + rho) / (1.0 - rho);
    let by_memory = block_variance(values, 1) / (n - 1.0) * stretch;
    let df = (blocks - 1.0).min(n / stretch - 1.0).max(1.0);
    (by_blocks.max(by_memory), df)
}

/// One side of a bucket as plain numbers, by run.
#[derive(Clone, Debug, Default)]
struct Series {
    /// Numbers of the runs that have units.
    ids: Vec<usize>,
    runs: Vec<Vec<f64>>,
    blocks: Vec<usize>,
}

impl Series {
    fn of(group: &Group, value: &impl Fn(&Sample) -> f64) -> Self {
        let durations = |run: &Vec<Sample>| -> Vec<f64> {
            run.iter().map(|sample| sample.dur_ns as f64).collect()
        };
        let filled = || group.runs.iter().enumerate().filter(|(_, run)| !run.is_empty());
        Self {
            ids: filled().map(|(id, _)| id).collect(),
            blocks: filled().map(|(_, run)| block_len(&durations(run))).collect(),
            runs: filled().map(|(_, run)| run.iter().map(value).collect()).collect(),
        }
    }

    fn len(&self) -> usize {
        self.runs.iter().map(Vec::len).sum()
    }

    fn moments(&self) -> Moments {
        let n = self.len();
        let mean = self.runs.iter().flatten().sum::<f64>() / n as f64;
        let share = |run: &Vec<f64>| run.len() as f64 / n as f64;
        let mut variance = 0.0;
        let mut of_squares = 0.0;
        for (run, &block) in self.runs.iter().zip(&self.blocks) {
            if run.len() < 2 {
                continue;
            }
            let (of_run, df) = of_series(run, block);
            let part = share(run).powi(2) * of_run;
            variance += part;
            of_squares += part * part / df;
        }
        let df = match n {
            0 | 1 => 0.0,
            _ if of_squares > 0.0 => variance * variance / of_squares,
            _ => n as f64 - 1.0,
        };
        Moments { mean, variance, df, n }
    }

    /// One resample: whole blocks, drawn with return, as long as the series.
    fn draw(&self, random: &mut Random, into: &mut Vec<f64>) {
        into.clear();
        for (run, &block) in self.runs.iter().zip(&self.blocks) {
            let full = into.len() + run.len();
            while into.len() < full {
                let start = random.below(run.len());
                let n = block.min(full - into.len());
                into.extend((start..start + n).map(|i| run[i % run.len()]));
            }
        }
    }
}

/// The variance of the means of all blocks of a series that is closed to a ring.
fn block_variance(values: &[f64], block: usize) -> f64 {
    let n = values.len();
    let mean = values.iter().sum::<f64>() / n as f64;
    let mut sum: f64 = values[..block].iter().map(|v| v - mean).sum();
    let mut squares = 0.0;
    for i in 0..n {
        squares += (sum / block as f64).powi(2);
        sum += values[(i + block) % n] - values[i];
    }
    squares / n as f64
}

fn statistic(values: &mut [f64], of: Statistic) -> f64 {
    match of {
        Statistic::Mean => values.iter().sum::<f64>() / values.len() as f64,
        Statistic::Percentile(percent) => {
            let rank = (values.len() * usize::from(percent)).div_ceil(100).max(1) - 1;
            *values.select_nth_unstable_by(rank, f64::total_cmp).1
        }
    }
}

/// Which buckets of a lane are compared, each with its weight in B.
pub(super) fn weighted<'a>(lane: &'a Lane, phase: Option<&'a str>) -> Vec<(f64, &'a Stratum)> {
    let is_of = |stratum: &&Stratum| phase.is_none_or(|phase| stratum.bucket.phase == phase);
    let strata: Vec<&Stratum> = lane.matched().filter(is_of).collect();
    let all: u64 = strata.iter().map(|stratum| stratum.sides[1].len()).sum();
    let weight = |stratum: &Stratum| stratum.sides[1].len() as f64 / all as f64;
    strata.into_iter().map(|stratum| (weight(stratum), stratum)).collect()
}

/// One term of a difference: a side of a bucket with its weight, which is negative for A.
struct Term {
    weight: f64,
    series: Series,
    moments: Moments,
}

/// The terms of a difference of what both sides have; where one unit alone says nothing of how it varies, the others stand
/// for it.
fn terms(strata: &[(f64, &Stratum)], value: &impl Fn(&Sample) -> f64) -> Vec<Term> {
    let mut terms: Vec<Term> = Vec::new();
    for (weight, stratum) in strata {
        for (sign, group) in [-1.0, 1.0].into_iter().zip(&stratum.sides) {
            let series = Series::of(group, value);
            let moments = series.moments();
            terms.push(Term { weight: sign * weight, series, moments });
        }
    }
    lend_variance(&mut terms);
    terms
}

/// Gives a term of one unit the relative variance of the others of its side.
fn lend_variance(terms: &mut [Term]) {
    for sign in [-1.0, 1.0] {
        let is_own = |term: &Term| term.weight * sign > 0.0;
        let known = terms
            .iter()
            .filter(|term| is_own(term) && term.moments.n > 1 && term.moments.mean != 0.0);
        let squares: Vec<f64> = known
            .map(|term| term.moments.variance * term.moments.n as f64 / term.moments.mean.powi(2))
            .collect();
        if squares.is_empty() {
            continue;
        }
        let relative = squares.iter().sum::<f64>() / squares.len() as f64;
        for term in terms.iter_mut().filter(|term| is_own(term) && term.moments.n == 1) {
            term.moments.variance = relative * term.moments.mean.powi(2);
            term.moments.df = 1.0;
        }
    }
}

/// The variance of a sum of terms and its degrees of freedom.
#[derive(Clone, Copy, Debug)]
struct Spread {
    variance: f64,
    df: f64,
    has_runs: bool,
}

/// How a sum of terms varies: as its units do, or as its runs do where there are several and these vary more; `None` where
/// nothing tells it.
fn combined(terms: &[Term]) -> Option<Spread> {
    if terms.is_empty() || terms.iter().any(|term| term.moments.df <= 0.0) {
        return None;
    }
    let parts = terms.iter().map(|t| (t.weight * t.weight * t.moments.variance, t.moments.df));
    let variance: f64 = parts.clone().map(|part| part.0).sum();
    let of_squares: f64 = parts.clone().map(|(v, df)| v * v / df).sum();
    let least = parts.map(|part| part.1).fold(f64::INFINITY, f64::min);
    let df = if of_squares > 0.0 { variance * variance / of_squares } else { least };
    let within = Spread { variance, df: df.max(1.0), has_runs: false };
    let Some((of_runs, df)) = between(terms) else { return Some(within) };
    // Few runs that are alike by chance are no proof that all are.
    let df = if of_runs > within.variance { df } else { df.min(within.df) };
    Some(Spread { variance: of_runs.max(within.variance), df, has_runs: true })
}

/// The variance that runs give a sum of terms, with its degrees of freedom: by the relative deviations of the runs of both
/// sides together, so that a single run is taken to vary as those of the other side do. `None` where each side has one run.
fn between(terms: &[Term]) -> Option<(f64, f64)> {
    let sides = [-1.0, 1.0].map(|sign| {
        let own: Vec<&Term> = terms.iter().filter(|term| term.weight * sign > 0.0).collect();
        SideRuns::of(&own)
    });
    let df: f64 = sides.iter().map(|side| side.n - 1.0).sum();
    if sides.iter().any(|side| side.n < 1.0) || df < 1.0 {
        return None;
    }
    let relative = sides.iter().map(|side| side.squares).sum::<f64>() / df;
    let variance = sides.iter().map(|side| relative * side.mean.powi(2) / side.n).sum();
    Some((variance, df))
}

/// The runs of one side over all its buckets.
struct SideRuns {
    /// Runs.
    n: f64,
    mean: f64,
    /// Sum of the squares of their relative deviations.
    squares: f64,
}

impl SideRuns {
    fn of(terms: &[&Term]) -> Self {
        // By run: how far it is from the means of its buckets, and these means.
        let mut runs: BTreeMap<usize, (f64, f64)> = BTreeMap::new();
        for term in terms {
            let weight = term.weight.abs();
            for (id, run) in term.series.ids.iter().zip(&term.series.runs) {
                let own = run.iter().sum::<f64>() / run.len() as f64;
                let sums = runs.entry(*id).or_default();
                sums.0 += weight * (own - term.moments.mean);
                sums.1 += weight * term.moments.mean;
            }
        }
        let relative = |&(off, mean): &(f64, f64)| if mean == 0.0 { 0.0 } else { off / mean };
        Self {
            n: runs.len() as f64,
            mean: terms.iter().map(|term| term.weight.abs() * term.moments.mean).sum(),
            squares: runs.values().map(|run| relative(run).powi(2)).sum(),
        }
    }
}

/// How sure a difference of means is, by the variance that the block bootstrap tends to: for the many rows of an account.
pub(super) fn of_mean(lane: &Lane, value: impl Fn(&Sample) -> f64) -> Estimate {
    let terms = terms(&weighted(lane, None), &value);
    let side = |sign: f64| -> f64 {
        let own = terms.iter().filter(|term| term.weight * sign > 0.0);
        own.map(|term| term.weight.abs() * term.moments.mean).sum()
    };
    let (a, b) = (side(-1.0), side(1.0));
    let interval = combined(&terms).map(|spread| {
        let error = spread.variance.sqrt();
        let half = student::quantile(LEVEL, spread.df) * error;
        interval(b - a, [b - a - half, b - a + half], error, spread)
    });
    Estimate { a, b, interval }
}

/// How sure the difference of the means over all buckets is, each side with its own mix.
pub(super) fn of_total(lane: &Lane) -> Option<Interval> {
    let mut weighted: Vec<(f64, &Stratum, usize)> = Vec::new();
    for (side, sign) in [(0, -1.0), (1, 1.0)] {
        let all = lane.len(side) as f64;
        let own = lane.strata.iter().filter(|stratum| stratum.sides[side].len() > 0);
        weighted.extend(own.map(|s| (sign * s.sides[side].len() as f64 / all, s, side)));
    }
    let mut terms: Vec<Term> = weighted
        .into_iter()
        .map(|(weight, stratum, side)| {
            let series = Series::of(&stratum.sides[side], &|sample| sample.dur_ns as f64);
            let moments = series.moments();
            Term { weight, series, moments }
        })
        .collect();
    lend_variance(&mut terms);
    let diff: f64 = terms.iter().map(|term| term.weight * term.moments.mean).sum();
    let spread = combined(&terms)?;
    let error = spread.variance.sqrt();
    let half = student::quantile(LEVEL, spread.df) * error;
    Some(interval(diff, [diff - half, diff + half], error, spread))
}

fn interval(diff: f64, [low, high]: [f64; 2], error: f64, spread: Spread) -> Interval {
    let Spread { df, has_runs, .. } = spread;
    let p = match error {
        0.0 if diff == 0.0 => 1.0,
        0.0 => 0.0,
        error => student::two_sided(diff / error, df),
    };
    let detectable = (student::quantile(LEVEL, df) + student::quantile(POWER, df)) * error;
    Interval { low, high, detectable, p, error, has_runs }
}

/// A difference of a statistic with the interval of the bootstrap itself. `level` is the probability below its upper end.
pub(super) fn of_statistic(
    lane: &Lane,
    phase: Option<&str>,
    of: Statistic,
    level: f64,
    value: impl Fn(&Sample) -> f64,
) -> Option<Estimate> {
    let terms = terms(&weighted(lane, phase), &value);
    if terms.is_empty() {
        return None;
    }
    let own = |term: &Term, values: &mut Vec<f64>| {
        values.clear();
        values.extend(term.series.runs.iter().flatten());
        statistic(values, of)
    };
    let mut values = Vec::new();
    let (mut a, mut b) = (0.0, 0.0);
    for term in &terms {
        let part = term.weight.abs() * own(term, &mut values);
        if term.weight < 0.0 { a += part } else { b += part }
    }
    let interval = combined(&terms).map(|spread| {
        let diffs = resampled(&terms, of);
        widened(b - a, &diffs, &terms, spread, level)
    });
    Some(Estimate { a, b, interval })
}

/// The statistic of every resample, ascending.
fn resampled(terms: &[Term], of: Statistic) -> Vec<f64> {
    let n: usize = terms.iter().map(|term| term.series.len()).sum();
    let mut random = Random::new();
    let mut values = Vec::new();
    let mut diff = |random: &mut Random| {
        let part = |term: &Term| {
            term.series.draw(random, &mut values);
            term.weight * statistic(&mut values, of)
        };
        terms.iter().map(part).sum()
    };
    let mut diffs: Vec<f64> = (0..n_resamples(n as u64)).map(|_| diff(&mut random)).collect();
    diffs.sort_by(f64::total_cmp);
    diffs
}

/// The interval of the resamples, each end as much farther from the difference as few blocks, single units and several runs
/// make its error larger than that of the resamples.
fn widened(diff: f64, diffs: &[f64], terms: &[Term], spread: Spread, level: f64) -> Interval {
    let Spread { variance, df, .. } = spread;
    let n = diffs.len() as f64;
    let mean = diffs.iter().sum::<f64>() / n;
    let drawn = diffs.iter().map(|d| (d - mean).powi(2)).sum::<f64>() / n;
    // What the bootstrap of a mean tends to, against what is known of its error.
    let plain: f64 = terms
        .iter()
        .flat_map(|term| {
            let n_all = term.series.len() as f64;
            let runs = term.series.runs.iter().zip(&term.series.blocks);
            runs.map(move |(run, &block)| {
                let blocks = run.len() as f64 / block as f64;
                let share = run.len() as f64 / n_all;
                (term.weight * share).powi(2) * block_variance(run, block) / blocks
            })
        })
        .sum();
    let ratio = if plain > 0.0 { variance / plain } else { 1.0 };
    let error = (drawn * ratio).sqrt();
    let normal = student::quantile(level, 1e9);
    let factor = student::quantile(level, df) / normal * ratio.sqrt();
    let at = |p: f64| diffs[((n * p) as usize).min(diffs.len() - 1)];
    let low = diff - (diff - at(1.0 - level)).max(0.0) * factor;
    let high = diff + (at(level) - diff).max(0.0) * factor;
    interval(diff, [low, high], error, spread)
}

/// The level of the upper end of an interval where several lanes are judged at once.
pub(super) fn level_for(n_lanes: usize) -> f64 {
    1.0 - (1.0 - LEVEL) / n_lanes.max(1) as f64
}

/// By Benjamini and Hochberg: for each probability the share of false findings among those that are no less likely.
pub(super) fn false_discovery(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|&i, &j| p[i].total_cmp(&p[j]));
    let mut q = vec![1.0; p.len()];
    let mut least = 1.0_f64;
    for (rank, &i) in order.iter().enumerate().rev() {
        least = least.min(p[i] * p.len() as f64 / (rank + 1) as f64);
        q[i] = least;
    }
    q
}

#[cfg(test)]
mod tests {
    use super::{block_len, block_variance, false_discovery};

    #[test]
    fn what_remembers_stays_together() {
        let mut state = 1_u64;
        let mut noise = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) as f64 / f64::from(1 << 30) - 1.0
        };
        let white: Vec<f64> = (0..400).map(|_| noise()).collect();
        let mut slow = vec![0.0];
        for i in 1..400 {
            slow.push(0.9 * slow[i - 1] + noise());
        }
        assert!(block_len(&white) <= 4, "{}", block_len(&white));
        assert!(block_len(&slow) >= 15, "{}", block_len(&slow));
        assert_eq!(block_len(&[5.0; 40]), 1);
        // Blocks of one give the plain variance.
        let plain = white.iter().map(|v| v * v).sum::<f64>() / 400.0
            - (white.iter().sum::<f64>() / 400.0).powi(2);
        assert!((block_variance(&white, 1) - plain).abs() < 1e-12);
    }

    #[test]
    fn false_discoveries_are_those_of_the_procedure() {
        let q = false_discovery(&[0.01, 0.04, 0.03, 0.5]);
        for (q, wanted) in q.iter().zip([0.04, 0.053_333, 0.053_333, 0.5]) {
            assert!((q - wanted).abs() < 1e-5, "{q} {wanted}");
        }
        assert!(false_discovery(&[]).is_empty());
    }
}
