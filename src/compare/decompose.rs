//! The difference of two sides taken apart: rate and mix, and what time was spent in, each to the nanosecond.

use std::collections::BTreeMap;

use super::apportion::{Fixed, apportioned, float, fraction, rounded};
use super::estimate::{Estimate, false_discovery, of_mean};
use super::machine::{Machine, is_work_class};
use super::rows::{BucketRow, CauseRow, ClassRow, CountRow, PathChangeRow};
use super::sample::{Group, Lane, RowKey, Sample, Stratum};
use crate::analyze::units::{Counts, PathNs, Side};

/// Means of a lane and what becomes of their difference. `rate_ns` and `mix_ns` sum to `b_ns - a_ns`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    /// Mean of A.
    pub(super) a_ns: i64,
    /// Mean of B.
    pub(super) b_ns: i64,
    /// Mean of A over the buckets of both sides, weighted as in B.
    pub(super) standard_ns: i64,
    /// What equal iterations take longer.
    pub(super) rate_ns: i64,
    /// What comes of other iterations.
    pub(super) mix_ns: i64,
}

/// A sum over the units of a group, as its mean weighted by `n` of `of`.
fn mean(sum_ns: i128, group: &Group, n: u64, of: u64) -> Fixed {
    if group.len() == 0 {
        return 0;
    }
    // One division: weight over the product of both numbers.
    fraction(sum_ns, n, of * group.len())
}

impl Totals {
    /// Of a lane that has units on both sides.
    pub(super) fn of(lane: &Lane) -> Self {
        let whole = |side: usize| {
            let sum: i128 = lane.strata.iter().map(|stratum| stratum.sides[side].sum_ns()).sum();
            fraction(sum, 1, lane.len(side))
        };
        let (a, b) = (whole(0), whole(1));
        let all = lane.len(1);
        let standard: Fixed = lane.matched().map(|stratum| standard(stratum, all)).sum();
        let same: Fixed = lane.matched().map(|s| fraction(s.sides[1].sum_ns(), 1, all)).sum();
        let (a_ns, b_ns) = (rounded(a), rounded(b));
        let rate = same - standard;
        let parts = apportioned(&[rate, b - a - rate], b_ns - a_ns);
        let standard_ns = rounded(standard);
        Self { a_ns, b_ns, standard_ns, rate_ns: parts[0], mix_ns: parts[1] }
    }
}

/// The mean of A in a bucket, weighted as in B.
fn standard(stratum: &Stratum, n_b: u64) -> Fixed {
    let [a, b] = &stratum.sides;
    mean(a.sum_ns(), a, b.len(), n_b)
}

/// The kinds of iteration with what each adds to rate and mix.
pub(super) fn buckets(number: usize, lane: &Lane, totals: &Totals) -> Vec<BucketRow> {
    let [n_a, n_b] = [0, 1].map(|side| lane.len(side));
    let rates: Vec<Fixed> = lane
        .strata
        .iter()
        .map(|s| {
            if s.is_matched() {
                fraction(s.sides[1].sum_ns(), 1, n_b) - standard(s, n_b)
            } else {
                0
            }
        })
        .collect();
    let mixes: Vec<Fixed> = lane
        .strata
        .iter()
        .zip(&rates)
        .map(|(s, rate)| {
            fraction(s.sides[1].sum_ns(), 1, n_b) - fraction(s.sides[0].sum_ns(), 1, n_a) - rate
        })
        .collect();
    let (rates, mixes) = (apportioned(&rates, totals.rate_ns), apportioned(&mixes, totals.mix_ns));
    let of_own = |group: &Group| {
        (group.len() > 0).then(|| rounded(fraction(group.sum_ns(), 1, group.len())))
    };
    let row = |(stratum, (rate_ns, mix_ns)): (&Stratum, (i64, i64))| {
        let [a, b] = &stratum.sides;
        BucketRow {
            lane: number,
            bucket: stratum.bucket.label(),
            n_a: a.len(),
            n_b: b.len(),
            cut_a: a.n_cut,
            cut_b: b.n_cut,
            a_ns: of_own(a),
            b_ns: of_own(b),
            rate_ns,
            mix_ns,
        }
    };
    lane.strata.iter().zip(rates.into_iter().zip(mixes)).map(row).collect()
}

/// Time and number of one row in a sample.
fn of_row(sample: &Sample, row: u32) -> (i64, u32) {
    let found = sample.rows.binary_search_by_key(&row, |entry| entry.0);
    found.map_or((0, 0), |at| (sample.rows[at].1, sample.rows[at].2))
}

/// Weighted means of every row of a lane, A and B, with how often each begins.
struct Means {
    a: Vec<Fixed>,
    b: Vec<Fixed>,
    a_count: Vec<f64>,
    b_count: Vec<f64>,
}

impl Means {
    fn of(lane: &Lane) -> Self {
        let n_rows = lane.rows.len();
        let all = lane.len(1);
        let matched: u64 = lane.matched().map(|stratum| stratum.sides[1].len()).sum();
        let zero = || vec![0; n_rows];
        let mut means =
            Self { a: zero(), b: zero(), a_count: vec![0.0; n_rows], b_count: vec![0.0; n_rows] };
        for stratum in lane.matched() {
            for (side, group) in stratum.sides.iter().enumerate() {
                let mut sums: Vec<(i128, u64)> = vec![(0, 0); n_rows];
                for &(row, ns, n) in group.samples().flat_map(|sample| &sample.rows) {
                    let sum = &mut sums[row as usize];
                    *sum = (sum.0 + i128::from(ns), sum.1 + u64::from(n));
                }
                let n_b = stratum.sides[1].len();
                let weight = n_b as f64 / matched as f64 / group.len() as f64;
                let (times, counts) = match side {
                    0 => (&mut means.a, &mut means.a_count),
                    _ => (&mut means.b, &mut means.b_count),
                };
                for (row, (ns, n)) in sums.into_iter().enumerate() {
                    times[row] += mean(ns, group, n_b, all);
                    counts[row] += n as f64 * weight;
                }
            }
        }
        means
    }
}

/// Both accounts of a lane: of each the rows with a time or a count, and what comes of the mix. Each sums to the difference.
pub(super) fn accounts(number: usize, lane: &Lane, totals: &Totals) -> Vec<CauseRow> {
    let means = Means::of(lane);
    let mut rows = Vec::new();
    for side in [Side::Device, Side::Lead] {
        if side == Side::Device && !lane.has_device {
            continue;
        }
        let own: Vec<usize> =
            (0..lane.rows.len()).filter(|&row| lane.rows[row].side == side).collect();
        let pick = |from: &[Fixed]| -> Vec<Fixed> { own.iter().map(|&row| from[row]).collect() };
        let (a, b) = (pick(&means.a), pick(&means.b));
        let diffs: Vec<Fixed> = a.iter().zip(&b).map(|(a, b)| b - a).collect();
        let a_ns = apportioned(&a, totals.standard_ns);
        let diff_ns = apportioned(&diffs, totals.rate_ns);
        for (at, &row) in own.iter().enumerate() {
            if a[at] == 0 && b[at] == 0 && means.a_count[row] + means.b_count[row] == 0.0 {
                continue;
            }
            rows.push(cause(number, lane, row, (a_ns[at], diff_ns[at]), &means));
        }
        rows.extend(mix(number, side, totals));
    }
    for row in &mut rows {
        row.diff_pct = share(row.diff_ns, totals.a_ns);
    }
    rows
}

fn share(part_ns: i64, whole_ns: i64) -> Option<f64> {
    (whole_ns != 0).then(|| part_ns as f64 * 100.0 / whole_ns as f64)
}

fn cause(
    number: usize,
    lane: &Lane,
    row: usize,
    (a_ns, diff_ns): (i64, i64),
    means: &Means,
) -> CauseRow {
    let key = &lane.rows[row];
    CauseRow {
        lane: number,
        key: key.text(),
        account: key.side,
        class: key.class.clone(),
        name: key.name.clone(),
        a_ns,
        b_ns: a_ns + diff_ns,
        diff_ns,
        diff_pct: None,
        low_ns: None,
        high_ns: None,
        q: None,
        excess_ns: None,
        excess_low_ns: None,
        excess_high_ns: None,
        is_shown: false,
        a_count: means.a_count[row],
        b_count: means.b_count[row],
    }
}

/// What comes of other iterations, as a row of an account.
fn mix(number: usize, side: Side, totals: &Totals) -> Option<CauseRow> {
    let a_ns = totals.a_ns - totals.standard_ns;
    (totals.mix_ns != 0 || a_ns != 0).then(|| CauseRow {
        lane: number,
        key: format!("{}/mix/mix", side.as_str()),
        account: side,
        class: "mix".to_owned(),
        name: "other iterations".to_owned(),
        a_ns,
        b_ns: a_ns + totals.mix_ns,
        diff_ns: totals.mix_ns,
        diff_pct: None,
        low_ns: None,
        high_ns: None,
        q: None,
        excess_ns: None,
        excess_low_ns: None,
        excess_high_ns: None,
        is_shown: false,
        a_count: 0.0,
        b_count: 0.0,
    })
}

/// A float of nanoseconds as a whole number.
pub(super) fn whole(ns: f64) -> i64 {
    // A cast of a float stops at the ends of what a number can be.
    ns.round() as i64
}

/// Adds to the rows how sure each is.
pub(super) fn add_intervals(lane: &Lane, machine: &Machine, rows: &mut [CauseRow]) {
    let numbers: BTreeMap<String, usize> =
        lane.rows.iter().enumerate().map(|(number, key)| (key.text(), number)).collect();
    let mut tested: Vec<(usize, f64)> = Vec::new();
    // The interval is one of the difference as it stands in the row.
    let share = matched_share(lane);
    for (at, row) in rows.iter_mut().enumerate() {
        let Some(&number) = numbers.get(&row.key) else { continue };
        if row.a_ns == 0 && row.b_ns == 0 {
            continue;
        }
        let estimate = of_mean(lane, |sample| of_row(sample, number as u32).0 as f64);
        let Some(interval) = estimate.interval else { continue };
        row.low_ns = Some(whole(interval.low * share));
        row.high_ns = Some(whole(interval.high * share));
        let excess = machine.of_row(lane, number, &estimate);
        row.excess_ns = excess.map(|excess| whole(excess.diff * share));
        row.excess_low_ns = excess.map(|excess| whole(excess.low * share));
        row.excess_high_ns = excess.map(|excess| whole(excess.high * share));
        tested.push((at, excess.map_or(interval.p, |excess| excess.p.max(interval.p))));
    }
    let p: Vec<f64> = tested.iter().map(|test| test.1).collect();
    for ((at, _), q) in tested.iter().zip(false_discovery(&p)) {
        let row = &mut rows[*at];
        row.q = Some(q);
        let is_agreed = row.excess_ns.is_none_or(|ns| ns.signum() == row.diff_ns.signum());
        row.is_shown = q <= 0.05 && is_agreed;
    }
}

/// Share of the units of B whose bucket both sides have.
pub(super) fn matched_share(lane: &Lane) -> f64 {
    let matched: u64 = lane.matched().map(|stratum| stratum.sides[1].len()).sum();
    matched as f64 / lane.len(1) as f64
}

/// The classes of both accounts, each with the sum of its rows.
pub(super) fn classes(number: usize, lane: &Lane, rows: &[CauseRow]) -> Vec<ClassRow> {
    let mut classes: Vec<ClassRow> = Vec::new();
    for row in rows {
        let is_same = |one: &&mut ClassRow| one.account == row.account && one.class == row.class;
        match classes.iter_mut().find(is_same) {
            Some(class) => {
                class.a_ns += row.a_ns;
                class.b_ns += row.b_ns;
                class.diff_ns += row.diff_ns;
            }
            None => classes.push(ClassRow {
                lane: number,
                account: row.account,
                class: row.class.clone(),
                a_ns: row.a_ns,
                b_ns: row.b_ns,
                diff_ns: row.diff_ns,
                diff_pct: None,
                low_ns: None,
                high_ns: None,
            }),
        }
    }
    let mean_ns: i64 = classes.iter().filter(|c| c.account == Side::Lead).map(|c| c.a_ns).sum();
    for class in &mut classes {
        class.diff_pct = share(class.diff_ns, mean_ns);
        let is_of = |key: &RowKey| key.side == class.account && key.class == class.class;
        let chosen: Vec<bool> = lane.rows.iter().map(is_of).collect();
        if !chosen.contains(&true) {
            continue;
        }
        let value = |sample: &Sample| {
            let own = sample.rows.iter().filter(|row| chosen[row.0 as usize]);
            own.map(|row| row.1).sum::<i64>() as f64
        };
        let interval = of_mean(lane, value).interval;
        class.low_ns = interval.map(|interval| whole(interval.low * matched_share(lane)));
        class.high_ns = interval.map(|interval| whole(interval.high * matched_share(lane)));
    }
    classes
}

/// What the critical path is in during an iteration, where it is known of all; the parts sum to the means and their difference.
pub(super) fn paths(number: usize, lane: &Lane, totals: &Totals) -> Vec<PathChangeRow> {
    let mut samples = lane.matched().flat_map(|s| s.sides.iter().flat_map(Group::samples));
    if !samples.all(|sample| sample.path.is_some()) {
        return Vec::new();
    }
    let of = |sample: &Sample, at: usize| sample.path.map_or(0, |path| path.parts()[at].1);
    let means = |side: usize| -> Vec<Fixed> {
        let of_part = |at: usize| {
            let of_stratum = |stratum: &Stratum| {
                let group = &stratum.sides[side];
                let sum: i128 = group.samples().map(|sample| i128::from(of(sample, at))).sum();
                mean(sum, group, stratum.sides[1].len(), lane.len(1))
            };
            lane.matched().map(of_stratum).sum()
        };
        (0..PathNs::default().parts().len()).map(of_part).collect()
    };
    let [a, b] = [0, 1].map(means);
    let diffs: Vec<Fixed> = a.iter().zip(&b).map(|(a, b)| b - a).collect();
    let a_ns = apportioned(&a, totals.standard_ns);
    let diff_ns = apportioned(&diffs, totals.rate_ns);
    let row = |at: usize| {
        let interval = of_mean(lane, |sample| of(sample, at) as f64).interval;
        let end = |ns: f64| whole(ns * matched_share(lane));
        PathChangeRow {
            lane: number,
            part: PathNs::default().parts()[at].0,
            a_ns: a_ns[at],
            b_ns: a_ns[at] + diff_ns[at],
            diff_ns: diff_ns[at],
            diff_pct: share(diff_ns[at], totals.a_ns),
            low_ns: interval.map(|interval| end(interval.low)),
            high_ns: interval.map(|interval| end(interval.high)),
        }
    };
    (0..a.len()).map(row).filter(|row| row.a_ns != 0 || row.b_ns != 0).collect()
}

/// How often things happen in an iteration.
pub(super) fn counts(number: usize, lane: &Lane) -> Vec<CountRow> {
    type Count = fn(&Counts) -> u32;
    let all: [(&'static str, Count); 6] = [
        ("launches", |counts| counts.launches),
        ("graph_launches", |counts| counts.graph_launches),
        ("kernels", |counts| counts.kernels),
        ("graph_kernels", |counts| counts.graph_kernels),
        ("copies", |counts| counts.copies),
        ("syncs", |counts| counts.syncs),
    ];
    let row = |(what, count): (&'static str, Count)| {
        let estimate = of_mean(lane, |sample| f64::from(count(&sample.counts)));
        let Estimate { a, b, interval } = estimate;
        CountRow {
            lane: number,
            what,
            a,
            b,
            diff: estimate.diff(),
            low: interval.map(|interval| interval.low),
            high: interval.map(|interval| interval.high),
        }
    };
    let rows = all.into_iter().map(row);
    rows.filter(|row| row.a != 0.0 || row.b != 0.0).collect()
}

/// The account that says more of a difference: the lead thread's where most of what changed on the device is idle time, and
/// where there is no device.
pub(super) fn larger_account(rows: &[CauseRow]) -> Side {
    let own = rows.iter().filter(|row| row.account == Side::Device && row.class != "mix");
    let sum = |is_idle: bool| -> i64 {
        let of_kind = own.clone().filter(|row| (row.class == "idle") == is_idle);
        of_kind.map(|row| row.diff_ns).sum()
    };
    let has_device = own.clone().next().is_some();
    if has_device && sum(false).abs() >= sum(true).abs() { Side::Device } else { Side::Lead }
}

/// The account that is shown first: the one that says more, but the device's where the larger certain changes of work are there.
/// More idle time may then be the machine's, and the lead thread only waits for what the device says.
pub(super) fn first_account(rows: &[CauseRow]) -> Side {
    let work = |side: Side| -> i64 {
        let own = rows.iter().filter(|row| row.account == side && does_work(row));
        own.map(certain).sum()
    };
    if work(Side::Device) > work(Side::Lead) { Side::Device } else { larger_account(rows) }
}

/// Whether a row is of work: communication, too, which no slower machine makes longer alike.
fn does_work(row: &CauseRow) -> bool {
    row.class == "comm" || is_work_class(&row.class)
}

/// Sorts causes: the largest certain difference first, then the largest.
pub(super) fn sort(rows: &mut [CauseRow]) {
    rows.sort_by(|a, b| {
        let key = |row: &CauseRow| (certain(row), row.diff_ns.abs());
        key(b).cmp(&key(a)).then_with(|| a.key.cmp(&b.key))
    });
}

/// What is certain of a row: the end of its interval nearer to zero, and of its excess over the common scale where that is
/// known; 0 where these are of two minds.
fn certain(row: &CauseRow) -> i64 {
    let nearer = |low: Option<i64>, high: Option<i64>| match (low, high) {
        (Some(low), _) if low > 0 => low,
        (_, Some(high)) if high < 0 => high,
        _ => 0,
    };
    let by_time = nearer(row.low_ns, row.high_ns);
    let of_both = row.excess_ns.map_or(by_time, |_| {
        let beyond = nearer(row.excess_low_ns, row.excess_high_ns);
        if beyond.signum() == by_time.signum() { beyond.abs().min(by_time.abs()) } else { 0 }
    });
    of_both.abs()
}

/// Where a float of a fraction is wanted.
pub(super) fn standard_mean(lane: &Lane) -> f64 {
    float(lane.matched().map(|stratum| standard(stratum, lane.len(1))).sum())
}
