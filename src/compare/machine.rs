//! What one run a side cannot tell from the machine.
//!
//! A processor that is slower in one run than in another (a neighbour, another clock, another core) makes all work of the run
//! slower alike, and nothing inside the run shows it. So with one run a side a difference is taken apart: the common scale,
//! which is the median over names of how much longer the same work takes, and what exceeds it. The excess has an interval of
//! its own: names stray from the common scale as far as those of two runs of one program do, with long tails, and time without
//! work (waits, idle time, what no record explains) is taken to vary between runs as much as it does between iterations,
//! because a run is one draw of it. `reports/diff_pairs.md` says how that did on real runs.

use super::estimate::{Estimate, Interval, LEVEL, weighted};
use super::sample::{Group, Lane, RowKey, Sample, Stratum};
use super::student;
use crate::analyze::units::Side;

/// Fewer names tell no common scale.
const MIN_NAMES: usize = 4;

/// Names below this share of the work tell nothing: a few clock ticks each.
const MIN_SHARE: f64 = 0.001;

/// The largest weight of a name, as a share of the work: a few long ones do not make the scale.
const MAX_SHARE: f64 = 0.05;

/// Degrees of freedom of how names stray: their tails are long.
const TAILS_DF: f64 = 3.0;

/// How much slower or faster a machine may be in one run than in another, where nothing tells.
const MOST_FACTOR: f64 = 2.0;

/// Calls per iteration that differ by no more than this share are equal.
const SAME_COUNT: f64 = 0.01;

/// The median of absolute deviations times this is the deviation of a normal distribution.
const NORMAL_PER_MAD: f64 = 1.482_6;

/// A median strays more than a mean by this factor, for a normal distribution.
const MEDIAN_ERROR: f64 = 1.253_3;

/// Classes of time in which something works: what a slower machine makes longer.
const WORK: [&str; 5] = ["kernel", "copy", "cpu_op", "runtime", "python"];

/// One row on both sides, the buckets weighted as in B.
#[derive(Clone, Copy, Debug, Default)]
struct RowMeans {
    ns: [f64; 2],
    count: [f64; 2],
}

/// The common scale of one account of a lane.
#[derive(Clone, Debug)]
pub(super) struct Scale {
    /// How many times as long the same work takes in B.
    pub(super) factor: f64,
    /// How far names stray from it, as a relative deviation.
    pub(super) spread: f64,
    /// Names that it is taken from.
    pub(super) n_names: usize,
    /// Of every row of the lane.
    means: Vec<RowMeans>,
}

/// A difference without the common scale.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Excess {
    pub(super) diff: f64,
    pub(super) low: f64,
    pub(super) high: f64,
    /// Deviation of such a difference between two runs of one program.
    pub(super) error: f64,
    /// The probability of such an excess by chance.
    pub(super) p: f64,
}

/// Whether something works in time of a class.
pub(super) fn is_work_class(class: &str) -> bool {
    WORK.contains(&class)
}

fn is_work(row: &RowKey) -> bool {
    is_work_class(&row.class)
}

/// Means of all rows over some buckets.
fn means(lane: &Lane, strata: &[(f64, &Stratum)]) -> Vec<RowMeans> {
    let mut out = vec![RowMeans::default(); lane.rows.len()];
    for (weight, stratum) in strata {
        for (side, group) in stratum.sides.iter().enumerate() {
            let share = weight / group.len() as f64;
            for &(row, ns, n) in group.samples().flat_map(|sample| &sample.rows) {
                out[row as usize].ns[side] += ns as f64 * share;
                out[row as usize].count[side] += f64::from(n) * share;
            }
        }
    }
    out
}

impl Scale {
    /// Of an account; `None` where too few names are in both.
    pub(super) fn of(lane: &Lane, side: Side) -> Option<Self> {
        let means = means(lane, &weighted(lane, None));
        let is_own = |row: &RowKey| row.side == side && is_work(row);
        let pairs = lane.rows.iter().zip(&means);
        let own: Vec<RowMeans> = pairs.filter(|(row, _)| is_own(row)).map(|(_, m)| *m).collect();
        let work: f64 = own.iter().map(|row| row.ns[0].min(row.ns[1])).sum();
        let is_same = |row: &&RowMeans| {
            let [a, b] = row.count;
            let is_as_often = (a - b).abs() <= SAME_COUNT * a.max(b);
            is_as_often && row.ns[0].min(row.ns[1]) > MIN_SHARE * work
        };
        let logs: Vec<(f64, f64)> = own
            .iter()
            .filter(is_same)
            .map(|row| ((row.ns[1] / row.ns[0]).ln(), row.ns[0].min(MAX_SHARE * work)))
            .collect();
        if logs.len() < MIN_NAMES {
            return None;
        }
        let middle = median(logs.clone());
        let mad = median(logs.iter().map(|(log, _)| ((log - middle).abs(), 1.0)).collect());
        let spread = mad * NORMAL_PER_MAD;
        Some(Self { factor: middle.exp(), spread, n_names: logs.len(), means })
    }

    /// What of a difference the common scale leaves, where `rows` make it up. `estimate` is of a statistic of their sum, `df`
    /// are the degrees of freedom of how they stray; `None` where nothing tells how it varies.
    pub(super) fn excess(
        &self,
        lane: &Lane,
        phase: Option<&str>,
        (rows, df): (&[usize], f64),
        estimate: &Estimate,
    ) -> Option<Excess> {
        let interval = estimate.interval?;
        let strata = weighted(lane, phase);
        let of_phase = phase.map(|_| means(lane, &strata));
        let means = of_phase.as_ref().unwrap_or(&self.means);
        let (work, rest): (Vec<usize>, Vec<usize>) =
            rows.iter().partition(|&&row| is_work(&lane.rows[row]));
        let works = work.into_iter().map(|row| means[row].ns[0] * self.factor);
        let error = (self.of_work(works) + of_rest(&strata, &rest)).sqrt();
        let half = student::quantile(LEVEL, df) * error;
        let diff = estimate.b - self.factor * estimate.a;
        let end = |end: f64| (end - estimate.diff()).hypot(half);
        let all = error.hypot(interval.error);
        let p = if all > 0.0 { student::two_sided(diff / all, df) } else { interval.p };
        Some(Excess {
            diff,
            low: diff - end(interval.low),
            high: diff + end(interval.high),
            error,
            p,
        })
    }

    /// The variance of work between two runs of one program, from the times of its names at the scale of B.
    fn of_work(&self, names_ns: impl Iterator<Item = f64>) -> f64 {
        let (sum, squares) =
            names_ns.fold((0.0, 0.0), |(sum, squares), ns| (sum + ns, squares + ns * ns));
        let of_median = (sum * MEDIAN_ERROR).powi(2) / self.n_names as f64;
        self.spread.powi(2) * (squares + of_median)
    }
}

/// What one run a side leaves open of a difference.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Doubt {
    /// Nothing: how runs vary is in the interval, or no machine changes the figure.
    None,
    /// Too few names are in both to tell a common scale: what exceeds any that a machine may have.
    Unknown(Excess),
    /// What exceeds the common scale.
    Beyond(Excess),
}

impl Doubt {
    /// Whether B is faster whatever the machine did.
    pub(super) fn is_faster(self) -> bool {
        match self {
            Self::None => false,
            Self::Unknown(excess) | Self::Beyond(excess) => excess.high < 0.0,
        }
    }

    /// What the common scale leaves, if one is known.
    pub(super) fn excess(self) -> Option<Excess> {
        match self {
            Self::Beyond(excess) => Some(excess),
            Self::None | Self::Unknown(_) => None,
        }
    }
}

/// The common scales of a lane.
#[derive(Clone, Debug)]
pub(super) struct Machine {
    /// The account that says more of the difference.
    first: Side,
    device: Option<Scale>,
    lead: Option<Scale>,
}

impl Machine {
    pub(super) fn of(lane: &Lane, first: Side) -> Self {
        Self { first, device: Scale::of(lane, Side::Device), lead: Scale::of(lane, Side::Lead) }
    }

    pub(super) fn scale(&self, side: Side) -> Option<&Scale> {
        match side {
            Side::Device => self.device.as_ref(),
            Side::Lead => self.lead.as_ref(),
        }
    }

    /// The scale of the account that says more.
    pub(super) fn first(&self) -> Option<&Scale> {
        self.scale(self.first)
    }

    /// What is open of a length of iterations.
    pub(super) fn of_durations(
        &self,
        lane: &Lane,
        phase: Option<&str>,
        estimate: &Estimate,
    ) -> Doubt {
        let is_own = |&row: &usize| lane.rows[row].side == self.first;
        let rows: Vec<usize> = (0..lane.rows.len()).filter(is_own).collect();
        self.of_rows(lane, phase, (self.first, &rows), estimate)
    }

    /// What exceeds the scale of one row. Many are tested, and that is corrected for elsewhere: no long tails.
    pub(super) fn of_row(&self, lane: &Lane, row: usize, estimate: &Estimate) -> Option<Excess> {
        let is_open = estimate.interval.is_some_and(|interval| !interval.has_runs);
        let scale = self.scale(lane.rows[row].side).filter(|_| is_open)?;
        let df = scale.n_names as f64 - 1.0;
        scale.excess(lane, None, (&[row], df), estimate)
    }

    /// What is open of some rows of an account.
    pub(super) fn of_rows(
        &self,
        lane: &Lane,
        phase: Option<&str>,
        (side, rows): (Side, &[usize]),
        estimate: &Estimate,
    ) -> Doubt {
        let Some(interval) = estimate.interval.filter(|interval| !interval.has_runs) else {
            return Doubt::None;
        };
        let scale = self.scale(side);
        let known = scale.and_then(|s| s.excess(lane, phase, (rows, TAILS_DF), estimate));
        known.map_or_else(|| Doubt::Unknown(Excess::of_any(estimate, interval)), Doubt::Beyond)
    }
}

impl Excess {
    /// What exceeds any scale that a machine may have.
    fn of_any(estimate: &Estimate, interval: Interval) -> Self {
        Self {
            diff: estimate.diff(),
            low: interval.low - estimate.a * (MOST_FACTOR - 1.0),
            high: interval.high + estimate.a * (1.0 - 1.0 / MOST_FACTOR),
            error: interval.error,
            p: interval.p,
        }
    }
}

/// The variance of time without work between iterations, of both sides together. `rest` are its rows, ascending.
fn of_rest(strata: &[(f64, &Stratum)], rest: &[usize]) -> f64 {
    if rest.is_empty() {
        return 0.0;
    }
    let of_group = |group: &Group| {
        let value = |sample: &Sample| {
            let own =
                sample.rows.iter().filter(|row| rest.binary_search(&(row.0 as usize)).is_ok());
            own.map(|row| row.1).sum::<i64>() as f64
        };
        let n = group.len() as f64;
        let mean = group.samples().map(value).sum::<f64>() / n;
        group.samples().map(|sample| (value(sample) - mean).powi(2)).sum::<f64>() / n
    };
    let parts = strata.iter().flat_map(|(weight, stratum)| {
        stratum.sides.iter().map(move |group| weight * of_group(group))
    });
    parts.sum()
}

/// The median of values with weights: the mean of the two between which half of the weight lies, if it lies between two.
fn median(mut values: Vec<(f64, f64)>) -> f64 {
    values.sort_by(|x, y| x.0.total_cmp(&y.0));
    let half = values.iter().map(|value| value.1).sum::<f64>() / 2.0;
    let at = |is_reached: &dyn Fn(f64) -> bool| {
        let mut sum = 0.0;
        let found = values.iter().find(|value| {
            sum += value.1;
            is_reached(sum)
        });
        found.or(values.last()).map_or(0.0, |value| value.0)
    };
    let exact = half * 1e-9;
    f64::midpoint(at(&|sum| sum >= half - exact), at(&|sum| sum > half + exact))
}

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    fn medians_halve_the_weight() {
        assert!((median(vec![(3.0, 1.0), (1.0, 1.0), (2.0, 1.0)]) - 2.0).abs() < 1e-12);
        assert!((median(vec![(4.0, 1.0), (1.0, 1.0), (2.0, 1.0), (3.0, 1.0)]) - 2.5).abs() < 1e-12);
        assert!((median(vec![(1.0, 1.0), (2.0, 1.0), (9.0, 3.0)]) - 9.0).abs() < 1e-12);
    }
}
