//! Ranks whose own time stands out, and what it went into.

use std::collections::BTreeMap;

use super::statistics::Usual;
use super::{Cause, RankInput, RankRow, SlowRankRow};
use crate::analyze::kernels::ActivityKind;
use crate::analyze::percent;
use crate::model::middle;

/// The usual spread of own times is taken to be at least this, in thousandths: steps of healthy ranks differ by as much.
const FLOOR_PER_MILLE: i64 = 2;

/// A cause is named where it explains at least this share of the excess, in percent.
const EXPLAINS_PCT: i64 = 40;

/// All kernels are slow alike where those that are longer take at least this share of the compute time, in percent.
const MOST_PCT: i64 = 70;

/// The ranks of some like ones that work longer than these.
pub(super) fn slow_ranks(ranks: &[&RankRow], inputs: &[RankInput<'_>]) -> Vec<SlowRankRow> {
    let Some(usual) = Usual::of(ranks.iter().map(|row| row.own_ns), FLOOR_PER_MILLE) else {
        return Vec::new();
    };
    let outliers = ranks.iter().filter_map(|row| Some((*row, usual.excess(row.own_ns)?)));
    let outliers: Vec<(&RankRow, i64)> = outliers.collect();
    if outliers.is_empty() {
        return Vec::new();
    }
    let like = Like::of(ranks, inputs);
    let row = |(row, excess_ns): (&RankRow, i64)| {
        let found = like.cause(row, &inputs[row.input], excess_ns);
        SlowRankRow {
            input: row.input,
            rank: row.rank,
            cause: found.cause,
            excess_ns,
            excess_pct: percent(excess_ns, usual.median),
            usual_ns: usual.spread,
            cause_ns: found.ns,
            wait_ns: row.wait_ns,
            median_wait_ns: like.wait_ns,
            n_ranks: ranks.len() as u64,
            run: row.run,
            name: found.name,
        }
    };
    outliers.into_iter().map(row).collect()
}

/// What a rank spends more time in.
struct Found {
    cause: Cause,
    ns: i64,
    name: Option<String>,
}

/// What is usual among like ranks.
struct Like<'a> {
    wait_ns: i64,
    compute_ns: i64,
    copies_ns: i64,
    idle_ns: i64,
    /// Mean duration of each compute kernel.
    kernels: BTreeMap<&'a str, i64>,
    /// Sum of each copy and memset.
    copies: BTreeMap<&'a str, i64>,
    /// Self time of each host name; a rank that does not show one has 0.
    host: BTreeMap<&'a str, i64>,
}

impl<'a> Like<'a> {
    fn of(ranks: &[&RankRow], inputs: &[RankInput<'a>]) -> Self {
        let median = |of: fn(&RankRow) -> i64| {
            let mut values: Vec<i64> = ranks.iter().map(|row| of(row)).collect();
            middle(&mut values).unwrap_or(0)
        };
        let of_ranks = || ranks.iter().map(|row| &inputs[row.input]);
        let mut kernels: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
        for (name, mean_ns, _) in of_ranks().flat_map(means) {
            kernels.entry(name).or_default().push(mean_ns);
        }
        let mut copies: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
        for (name, ns) in of_ranks().flat_map(copy_sums) {
            copies.entry(name).or_default().push(ns);
        }
        let mut host: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
        for &(name, ns) in of_ranks().flat_map(|input| &input.host) {
            host.entry(name).or_default().push(ns);
        }
        let absent = |values: &mut Vec<i64>| values.resize(ranks.len().max(values.len()), 0);
        copies.values_mut().chain(host.values_mut()).for_each(absent);
        let medians = |lists: BTreeMap<&'a str, Vec<i64>>| {
            let of = |(name, mut values): (&'a str, Vec<i64>)| Some((name, middle(&mut values)?));
            lists.into_iter().filter_map(of).collect()
        };
        Self {
            wait_ns: median(|row| row.wait_ns),
            compute_ns: median(|row| row.compute_ns),
            copies_ns: median(|row| row.copies_ns),
            idle_ns: median(|row| row.idle_ns),
            kernels: medians(kernels),
            copies: medians(copies),
            host: medians(host),
        }
    }

    /// What most of an excess went into.
    fn cause(&self, row: &RankRow, input: &RankInput<'_>, excess_ns: i64) -> Found {
        let compute_ns = row.compute_ns - self.compute_ns;
        let copies_ns = row.copies_ns - self.copies_ns;
        let idle_ns = row.idle_ns - self.idle_ns;
        let largest = compute_ns.max(copies_ns).max(idle_ns);
        if largest < excess_ns.saturating_mul(EXPLAINS_PCT) / 100 {
            return Found { cause: Cause::Unknown, ns: largest.max(0), name: None };
        }
        match largest {
            ns if ns == compute_ns => self.kernels(input, ns),
            ns if ns == copies_ns => Found { cause: Cause::Copies, ns, name: self.copy(input) },
            ns => self.host(input, ns),
        }
    }

    /// Whether most kernels are longer alike, or some.
    fn kernels(&self, input: &RankInput<'_>, ns: i64) -> Found {
        let (mut whole_ns, mut longer_ns) = (0_i64, 0_i64);
        let mut most: Option<(i64, &str)> = None;
        for (name, mean_ns, count) in means(input) {
            let Some(&usual_ns) = self.kernels.get(name) else { continue };
            let extra_ns = (mean_ns - usual_ns).saturating_mul(count);
            let sum_ns = mean_ns.saturating_mul(count);
            whole_ns = whole_ns.saturating_add(sum_ns);
            // Longer by a hundredth is longer.
            longer_ns += if mean_ns - usual_ns > usual_ns / 100 { sum_ns } else { 0 };
            most = most.max(Some((extra_ns, name)));
        }
        let is_all = longer_ns.saturating_mul(100) >= whole_ns.saturating_mul(MOST_PCT);
        let cause = if is_all { Cause::AllKernels } else { Cause::Kernels };
        Found { cause, ns, name: most.map(|(_, name)| name.to_owned()) }
    }

    /// The copy whose sum grew most.
    fn copy(&self, input: &RankInput<'_>) -> Option<String> {
        let extra = |(name, ns)| (ns - self.copies.get(name).copied().unwrap_or(0), name);
        copy_sums(input).map(extra).max().map(|(_, name)| name.to_owned())
    }

    /// What the host did while the device was idle: the name that grew most, where it explains enough.
    fn host(&self, input: &RankInput<'_>, ns: i64) -> Found {
        let mut by_name: BTreeMap<&str, i64> = BTreeMap::new();
        input.host.iter().for_each(|(name, ns)| *by_name.entry(name).or_default() += ns);
        let extras = by_name
            .iter()
            .map(|(name, own_ns)| (own_ns - self.host.get(name).copied().unwrap_or(0), *name));
        let most = extras.max().filter(|(extra, _)| *extra > ns.saturating_mul(EXPLAINS_PCT) / 100);
        match most {
            Some((extra_ns, name)) => {
                Found { cause: cause_of(name), ns: extra_ns.min(ns), name: Some(name.to_owned()) }
            }
            None => Found { cause: Cause::Host, ns, name: None },
        }
    }
}

/// What a name of the host tells.
fn cause_of(name: &str) -> Cause {
    let plain = name.to_ascii_lowercase();
    let is_any = |words: &[&str]| words.iter().any(|word| plain.contains(word));
    match () {
        () if is_any(&["gc.collect", "gc.py", "module gc", "garbage"]) => Cause::GarbageCollection,
        () if is_any(&["dataloader", "data_loader", "dataset"]) => Cause::DataLoading,
        () => Cause::Host,
    }
}

/// Name and sum of each copy and memset.
fn copy_sums<'a>(input: &RankInput<'a>) -> impl Iterator<Item = (&'a str, i64)> {
    let all = input.durations.by_name.iter();
    all.filter(|((kind, _), _)| *kind != ActivityKind::Kernel)
        .map(|((_, name), durations)| (name.as_str(), durations.sum_ns))
}

/// Name, mean duration and count of each compute kernel.
fn means<'a>(input: &RankInput<'a>) -> impl Iterator<Item = (&'a str, i64, i64)> {
    input.durations.by_name.iter().filter_map(|((kind, name), durations)| {
        let is_compute = input.computes(*kind, name);
        let count = i64::try_from(durations.count()).ok().filter(|&n| n > 0 && is_compute)?;
        Some((name.as_str(), durations.sum_ns / count, count))
    })
}
