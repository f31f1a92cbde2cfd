//! How long each function takes on the ranks of one role: median and median distance over ranks.
//!
//! A function is a kernel that computes, a copy, or a name of the host. A rank that does not show one spent nothing in it.

use std::collections::BTreeMap;

use super::statistics::Usual;
use super::{FunctionKind, FunctionSpreadRow, RankInput, RankRow};
use crate::analyze::kernels::ActivityKind;
use crate::model::middle;

/// Rows of one role and kind: those whose ranks differ most. Beyond, nobody reads them, and names of frames are many.
const MAX_FUNCTIONS: usize = 200;

/// The usual spread is taken to be at least this of the median, in thousandths.
const FLOOR_PER_MILLE: i64 = 5;

/// And at least this of the median own time of the ranks: what is rare or short differs without meaning.
const FLOOR_OF_OWN_PER_MILLE: i64 = 1;

/// The time of one function on the ranks that show it, by their place among the ranks.
type Times<'a> = BTreeMap<(FunctionKind, &'a str), BTreeMap<usize, i64>>;

/// The rows of ranks of one role.
pub(super) fn functions(ranks: &[&RankRow], inputs: &[RankInput<'_>]) -> Vec<FunctionSpreadRow> {
    let mut times: Times<'_> = BTreeMap::new();
    for (place, rank) in ranks.iter().enumerate() {
        add(&mut times, place, &inputs[rank.input]);
    }
    let mut own: Vec<i64> = ranks.iter().map(|rank| rank.own_ns).collect();
    let floor_ns = middle(&mut own).unwrap_or(0) / 1000 * FLOOR_OF_OWN_PER_MILLE;
    let rows = times.into_iter().filter_map(|(function, of)| row(ranks, function, of, floor_ns));
    let mut by_kind: BTreeMap<FunctionKind, Vec<FunctionSpreadRow>> = BTreeMap::new();
    rows.for_each(|row| by_kind.entry(row.kind).or_default().push(row));
    let most = |mut rows: Vec<FunctionSpreadRow>| {
        rows.sort_by(|a, b| {
            (b.max_ns - b.median_ns)
                .cmp(&(a.max_ns - a.median_ns))
                .then_with(|| a.name.cmp(&b.name))
        });
        rows.truncate(MAX_FUNCTIONS);
        rows
    };
    by_kind.into_values().flat_map(most).collect()
}

/// Adds what one rank did.
fn add<'a>(times: &mut Times<'a>, place: usize, input: &RankInput<'a>) {
    let mut add = |kind: FunctionKind, name: &'a str, ns: i64| {
        let sum = times.entry((kind, name)).or_default().entry(place).or_default();
        *sum = sum.saturating_add(ns);
    };
    for ((kind, name), durations) in &input.durations.by_name {
        if input.computes(*kind, name) {
            add(FunctionKind::Kernel, name, durations.sum_ns);
        } else if *kind != ActivityKind::Kernel {
            add(FunctionKind::Copy, name, durations.sum_ns);
        }
    }
    input.host.iter().for_each(|&(name, ns)| add(FunctionKind::Host, name, ns));
}

fn row(
    ranks: &[&RankRow],
    (kind, name): (FunctionKind, &str),
    of: BTreeMap<usize, i64>,
    floor_ns: i64,
) -> Option<FunctionSpreadRow> {
    let mut values = vec![0_i64; ranks.len()];
    for (&place, &ns) in &of {
        values[place] = ns;
    }
    let usual = Usual::of(values.iter().copied(), FLOOR_PER_MILLE)?.at_least(floor_ns);
    let (place, &max_ns) =
        values.iter().enumerate().max_by_key(|&(place, ns)| (ns, std::cmp::Reverse(place)))?;
    (max_ns > 0).then(|| FunctionSpreadRow {
        run: ranks[place].run,
        stage: ranks[place].stage,
        pp_rank: ranks[place].pp_rank,
        kind,
        n_ranks: values.len() as u64,
        n_shown: of.len() as u64,
        median_ns: usual.median,
        mad_ns: usual.mad,
        min_ns: values.iter().copied().min().unwrap_or(0),
        max_ns,
        max_input: ranks[place].input,
        max_rank: ranks[place].rank,
        n_out: values.iter().filter(|&&ns| usual.excess(ns).is_some()).count() as u64,
        name: name.to_owned(),
    })
}
