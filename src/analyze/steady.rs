//! Which iterations count: warm-up cut off, and what the rest could show.
//!
//! Iterations are looked at within buckets of like phase and size. Totals never leave any out.

use std::collections::{BTreeMap, HashSet};

use super::base::TimeBase;
use super::iterations::IterationRow;
use super::quantiles::nearest_rank;
use super::settling::unsettled;
use super::units::{UnitSpans, unit_spans};

use crate::schema::{tables, words};

words! {
    /// Which iterations are steady.
    SteadyRule {
        /// Those of a bucket after the change of level that ends its warm-up.
        Changepoint "changepoint",
        /// Those whose batch is within a tenth of the largest one, where there are five such: TraceLens' rule.
        MaxBatch "max_batch",
    }
}

tables! {
    /// The steady iterations of one bucket by one rule.
    SteadyRow: "steady", "Which iterations are steady", "How many iterations count once warm-up is cut, how far do they vary, and what difference could they show?", groups 2, on Iterations 5, shown Request, carried whole {
        input: usize, Count, All, "#", "number of the input";
        rule: SteadyRule, Text, All, "rule", "changepoint: those after the change of level that ends the warm-up of their bucket; max_batch: those whose batch is within a tenth of the largest, where there are five such";
        phase: String, Text, All, "phase", "prefill, decode, mixed, empty, unknown";
        size: String, Text, All, "size", "requests and tokens, rounded up; empty where the annotations do not say";
        iterations: u64, Count, All, "iterations", "iterations of the bucket on the lead thread, each to the start of the next";
        kept: u64, Count, All, "steady", "of them steady";
        cut_ns: i64, Ns, All, "cut", "time of the others";
        p50_ns: Option<i64>, Ns, All, "p50", "the median steady iteration, nearest rank";
        cv_pct: Option<f64>, Percent, All, "variation", "standard deviation of the steady iterations, of their mean";
        effective: Option<f64>, Rate, Request, "effective", "how many independent iterations they are worth, by the correlation of neighbours";
        detectable_ns: Option<i64>, Ns, All, "could show", "smallest difference that they could show: 2.8 standard deviations over the root of the effective number (5 % false alarms, 20 % misses)";
        detectable_pct: Option<f64>, Percent, All, "could show", "of their mean";
    }
}

/// Batches within this part of the largest one are as large.
const LARGE: (u64, u64) = (9, 10);
/// Fewer large batches are no steady state.
const N_LARGE: usize = 5;

/// Whether each unit is steady by a rule. `rows` are the iterations that the units are of.
fn kept(rule: SteadyRule, spans: &UnitSpans, rows: &[IterationRow]) -> Vec<bool> {
    match rule {
        SteadyRule::Changepoint => after_warmup(spans),
        SteadyRule::MaxBatch => in_large_batches(spans, rows),
    }
}

/// Whether each unit comes after the warm-up of its bucket: the rule [`SteadyRule::Changepoint`].
pub fn after_warmup(spans: &UnitSpans) -> Vec<bool> {
    let mut is_kept = vec![true; spans.units.len()];
    for bucket in 0..spans.buckets.len() as u32 {
        let own: Vec<usize> =
            (0..spans.units.len()).filter(|&at| spans.units[at].bucket == bucket).collect();
        let lengths: Vec<i64> = own.iter().map(|&at| spans.units[at].span.len_ns()).collect();
        own[..unsettled(&lengths)].iter().for_each(|&at| is_kept[at] = false);
    }
    is_kept
}

fn in_large_batches(spans: &UnitSpans, rows: &[IterationRow]) -> Vec<bool> {
    let own = rows.iter().filter(|row| Some(row.track) == spans.lead);
    let tokens: BTreeMap<i64, u64> =
        own.filter_map(|row| Some((row.start_ns, row.tokens()?))).collect();
    let of = |at: usize| tokens.get(&spans.units[at].span.start_ns).copied().unwrap_or(0);
    let most = (0..spans.units.len()).map(of).max().unwrap_or(0);
    let is_large = |at: usize| of(at).saturating_mul(LARGE.1) >= most.saturating_mul(LARGE.0);
    let found: Vec<bool> = (0..spans.units.len()).map(|at| most > 0 && is_large(at)).collect();
    let is_enough = found.iter().filter(|&&large| large).count() >= N_LARGE;
    if is_enough { found } else { vec![true; spans.units.len()] }
}

/// What each rule keeps of the iterations of an input; none where it has no iterations.
pub fn steady(rows: &[IterationRow], base: &TimeBase) -> Vec<SteadyRow> {
    let spans = unit_spans(rows, base);
    if spans.scheme.is_none() {
        return Vec::new();
    }
    let mut found = Vec::new();
    for rule in SteadyRule::ALL {
        let is_kept = kept(rule, &spans, rows);
        for bucket in 0..spans.buckets.len() as u32 {
            found.push(SteadyRow { input: base.input, rule, ..row(&spans, &is_kept, bucket) });
        }
    }
    found
}

fn row(spans: &UnitSpans, is_kept: &[bool], bucket: u32) -> SteadyRow {
    let own = spans.units.iter().zip(is_kept).filter(|(unit, _)| unit.bucket == bucket);
    let (kept, cut): (Vec<_>, Vec<_>) = own.partition(|&(_, &kept)| kept);
    let lengths: Vec<i64> = kept.iter().map(|(unit, _)| unit.span.len_ns()).collect();
    let spread = Spread::of(&lengths);
    let mut sorted = lengths;
    sorted.sort_unstable();
    let detectable = spread.map(|spread| 2.8 * spread.deviation / spread.effective.sqrt());
    let of_mean = |ns: f64| spread.filter(|s| s.mean > 0.0).map(|s| 100.0 * ns / s.mean);
    SteadyRow {
        input: 0,
        rule: SteadyRule::Changepoint,
        phase: spans.buckets[bucket as usize].phase.clone(),
        size: spans.buckets[bucket as usize].size.clone(),
        iterations: (kept.len() + cut.len()) as u64,
        kept: kept.len() as u64,
        cut_ns: cut.iter().map(|(unit, _)| unit.span.len_ns()).sum(),
        p50_ns: nearest_rank(&sorted, 50),
        cv_pct: spread.and_then(|spread| of_mean(spread.deviation)),
        effective: spread.map(|spread| spread.effective),
        detectable_ns: detectable.map(|ns| ns.round() as i64),
        detectable_pct: detectable.and_then(of_mean),
    }
}

/// How some lengths vary.
#[derive(Clone, Copy)]
struct Spread {
    mean: f64,
    deviation: f64,
    effective: f64,
}

impl Spread {
    /// Of at least two lengths, in time order.
    fn of(lengths: &[i64]) -> Option<Self> {
        let n = lengths.len() as f64;
        if lengths.len() < 2 {
            return None;
        }
        let mean = lengths.iter().map(|&ns| ns as f64).sum::<f64>() / n;
        let off: Vec<f64> = lengths.iter().map(|&ns| ns as f64 - mean).collect();
        let square: f64 = off.iter().map(|d| d * d).sum();
        let product: f64 = off.windows(2).map(|pair| pair[0] * pair[1]).sum();
        // Neighbours that are alike are worth less than independent ones; at least one stays.
        let correlation = if square > 0.0 { (product / square).clamp(0.0, 0.99) } else { 0.0 };
        let effective = (n * (1.0 - correlation) / (1.0 + correlation)).max(1.0);
        Some(Self { mean, deviation: (square / (n - 1.0)).sqrt(), effective })
    }
}

/// The iterations without those of the lead thread that are not steady.
pub fn steady_rows(rule: SteadyRule, rows: &[IterationRow], base: &TimeBase) -> Vec<IterationRow> {
    let spans = unit_spans(rows, base);
    let is_kept = kept(rule, &spans, rows);
    let units = spans.units.iter().zip(is_kept).filter(|(_, kept)| !kept);
    let cut: HashSet<i64> = units.map(|(unit, _)| unit.span.start_ns).collect();
    let is_cut = |row: &IterationRow| {
        Some(row.track) == spans.lead
            && Some(row.scheme) == spans.scheme
            && cut.contains(&row.start_ns)
    };
    rows.iter().filter(|row| !is_cut(row)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::Spread;

    #[test]
    fn neighbours_that_are_alike_are_worth_less() {
        let spread = Spread::of(&[10, 12, 10, 12]).expect("four lengths");
        assert_eq!((spread.mean, spread.effective), (11.0, 4.0));
        assert!((spread.deviation - (4.0_f64 / 3.0).sqrt()).abs() < 1e-12);
        let slow: Vec<i64> = (0..100).map(|n| if n < 50 { 10 } else { 20 }).collect();
        assert!(Spread::of(&slow).expect("lengths").effective < 3.0);
        assert!(Spread::of(&[5]).is_none());
    }
}
