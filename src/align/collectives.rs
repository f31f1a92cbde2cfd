//! Collectives of several ranks, matched one to one.
//!
//! All ranks leave a symmetric collective together, so the ends of its kernels are the same instant seen on different
//! clocks. Where the trace numbers collectives (`Seq`) they are joined by number; elsewhere by order within their process
//! group, at the shift at which every name, type and size agrees and the ends agree best.

use std::collections::BTreeMap;

use super::AlignInput;
use crate::model::EventKind;
use crate::store::Store;

/// Collectives after which every rank leaves at the same time. In others (broadcast, reduce, send) some leave early.
const SYMMETRIC: [&str; 9] = [
    "allreduce",
    "allgather",
    "reducescatter",
    "barrier",
    "alltoall",
    "alltoallv",
    "allgatherbase",
    "reducescatterbase",
    "allgatherintotensorcoalesced",
];

/// Captures that start at different collectives are tried up to this many apart.
const MAX_SHIFT: usize = 64;

/// Pairs below which a shift agrees by chance.
const FEWEST: usize = 3;

/// Ends of one collective on several ranks lie this close, whatever the clocks' offset; a wrong pairing does not.
const TOGETHER_NS: i64 = 100_000;

/// One collective's kernel on one rank.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Call {
    seq: Option<u64>,
    /// What must agree between ranks.
    signature: String,
    start_ns: i64,
    end_ns: i64,
}

/// The symmetric collectives of one input by process group, each in order of start. Times are those of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Calls {
    groups: BTreeMap<String, Vec<Call>>,
}

impl Calls {
    pub(super) fn of(input: &AlignInput<'_>) -> Self {
        let store = input.store;
        let mut groups: BTreeMap<String, Vec<Call>> = BTreeMap::new();
        for row in &store.collectives {
            let slice = row.slice as usize;
            if store.kind(slice) != EventKind::Kernel {
                continue;
            }
            let text = |id| store.strings.get(id);
            let name: String = plain(text(row.name));
            if !SYMMETRIC.contains(&name.as_str()) {
                continue;
            }
            let group = format!(
                "{} {} {}",
                row.group_name.map_or("", text),
                row.group_ranks.map_or("", text),
                row.group_size.unwrap_or(0)
            );
            let size = row.in_elements.unwrap_or(0).max(row.out_elements.unwrap_or(0));
            let signature = format!("{name} {} {size}", row.dtype.map_or("", text));
            groups.entry(group).or_default().push(call(store, slice, row.seq, signature));
        }
        if groups.is_empty() {
            groups = by_kernel_name(store, input.identity.stage, input.identity.replica);
        }
        for calls in groups.values_mut() {
            calls.sort_by_key(|call| (call.start_ns, call.end_ns));
        }
        Self { groups }
    }

    /// Ends of matched collectives as (here, there).
    pub(super) fn matched_ends(&self, other: &Self) -> Vec<(i64, i64)> {
        let mut ends = Vec::new();
        for (group, calls) in &self.groups {
            let Some(others) = other.groups.get(group) else { continue };
            match by_seq(calls, others) {
                Some(matched) => ends.extend(matched),
                None => ends.extend(by_order(calls, others)),
            }
        }
        ends
    }
}

fn call(store: &Store, slice: usize, seq: Option<u64>, signature: String) -> Call {
    let (start_ns, end_ns) = (store.slices.ts_ns[slice], store.slices.end_ns(slice));
    Call { seq, signature, start_ns, end_ns }
}

/// `_allgather_base` and `all_gather` are the same to compare.
fn plain(name: &str) -> String {
    name.chars().filter(|c| c.is_ascii_alphanumeric()).collect::<String>().to_ascii_lowercase()
}

/// Kernels that are symmetric collectives by name, where nothing was recorded of them: vLLM calls NCCL directly. They
/// can only belong to ranks of the same stage.
fn by_kernel_name(
    store: &Store,
    stage: Option<u32>,
    replica: Option<u32>,
) -> BTreeMap<String, Vec<Call>> {
    let group = format!("stage {stage:?} replica {replica:?}");
    let mut calls = Vec::new();
    for row in &store.device_rows {
        let slice = row.slice as usize;
        let name = store.name(slice);
        if store.kind(slice) == EventKind::Kernel && is_symmetric_kernel(name) {
            calls.push(call(store, slice, None, name.to_owned()));
        }
    }
    if calls.is_empty() { BTreeMap::new() } else { BTreeMap::from([(group, calls)]) }
}

fn is_symmetric_kernel(name: &str) -> bool {
    let is_library = name.contains("nccl") || name.contains("rccl");
    // Grouped sends and receives are how NCCL does an all-to-all.
    let is_symmetric = ["AllReduce", "AllGather", "ReduceScatter", "SendRecv"]
        .iter()
        .any(|kind| name.contains(kind));
    (is_library && is_symmetric) || name.contains("cross_device_reduce")
}

/// Joins by sequence number, where every call has one of its own.
fn by_seq(calls: &[Call], others: &[Call]) -> Option<Vec<(i64, i64)>> {
    let numbered = |calls: &[Call]| {
        let map: Option<BTreeMap<u64, (String, i64)>> = calls
            .iter()
            .map(|call| Some((call.seq?, (call.signature.clone(), call.end_ns))))
            .collect();
        map.filter(|map| map.len() == calls.len())
    };
    let (ours, theirs) = (numbered(calls)?, numbered(others)?);
    let matched = ours.iter().filter_map(|(seq, (signature, end_ns))| {
        let (other, other_end_ns) = theirs.get(seq)?;
        (other == signature).then_some((*end_ns, *other_end_ns))
    });
    Some(matched.collect())
}

/// Joins by order. Lists of one length whose names agree and whose ends stay together belong together as they are; else
/// the shift counts at which all signatures agree and the ends agree best, over at least half of the shorter list and
/// enough pairs to tell.
fn by_order(calls: &[Call], others: &[Call]) -> Vec<(i64, i64)> {
    if calls.len() == others.len()
        && let Some(ends) = shifted(calls, others, 0)
        && spread_ns(&ends) <= TOGETHER_NS
    {
        return ends;
    }
    let shorter = calls.len().min(others.len());
    let most = (shorter / 2).max(calls.len().abs_diff(others.len())).min(MAX_SHIFT) as isize;
    let mut best: Option<(i64, Vec<(i64, i64)>)> = None;
    let mut shifts: Vec<isize> = (-most..=most).collect();
    shifts.sort_by_key(|shift| (shift.abs(), *shift));
    for shift in shifts {
        let Some(ends) = shifted(calls, others, shift) else { continue };
        if ends.len() < (shorter / 2).max(FEWEST) {
            continue;
        }
        let spread = spread_ns(&ends);
        if best.as_ref().is_none_or(|(least, _)| spread < *least) {
            best = Some((spread, ends));
        }
    }
    best.map(|(_, ends)| ends).unwrap_or_default()
}

/// The pairs of a shift; `None` where a signature differs or nothing overlaps.
fn shifted(calls: &[Call], others: &[Call], shift: isize) -> Option<Vec<(i64, i64)>> {
    let ours = calls.get(shift.max(0) as usize..)?;
    let theirs = others.get((-shift).max(0) as usize..)?;
    let pairs = ours.iter().zip(theirs);
    let ends: Option<Vec<_>> =
        pairs.map(|(a, b)| (a.signature == b.signature).then_some((a.end_ns, b.end_ns))).collect();
    ends.filter(|ends| !ends.is_empty())
}

/// Median distance of the differences from their median.
fn spread_ns(ends: &[(i64, i64)]) -> i64 {
    let mut differences: Vec<i64> = ends.iter().map(|(a, b)| b.saturating_sub(*a)).collect();
    let middle = super::clocks::median(&mut differences);
    let mut distances: Vec<i64> =
        differences.iter().map(|d| d.saturating_sub(middle).saturating_abs()).collect();
    super::clocks::median(&mut distances)
}

#[cfg(test)]
mod tests {
    use super::{Call, by_order, by_seq};

    fn calls(seqs: bool, list: &[(u64, &str, i64)]) -> Vec<Call> {
        list.iter()
            .map(|&(seq, name, end_ns)| Call {
                seq: seqs.then_some(seq),
                signature: name.to_owned(),
                start_ns: end_ns - 10,
                end_ns,
            })
            .collect()
    }

    #[test]
    fn numbers_join_whatever_the_order() {
        let a = calls(true, &[(5, "x", 100), (6, "y", 200), (7, "z", 300)]);
        let b = calls(true, &[(6, "y", 1200), (7, "other", 1300), (8, "z", 1400)]);
        assert_eq!(by_seq(&a, &b), Some(vec![(200, 1200)]));
        let again = calls(true, &[(5, "x", 1), (5, "x", 2)]);
        assert_eq!(by_seq(&a, &again), None);
    }

    #[test]
    fn order_finds_the_shift_of_captures_that_start_apart() {
        let ends = [100, 250, 330, 700, 810, 990];
        let whole: Vec<_> = ends.iter().map(|&end| (0, "x", end)).collect();
        let late: Vec<_> = ends[2..].iter().map(|&end| (0, "x", end + 5000)).collect();
        let matched = by_order(&calls(false, &whole), &calls(false, &late));
        assert_eq!(matched, [(330, 5330), (700, 5700), (810, 5810), (990, 5990)]);
    }

    #[test]
    fn different_names_do_not_match() {
        let a = calls(false, &[(0, "x", 1), (0, "y", 2)]);
        let b = calls(false, &[(0, "y", 1), (0, "x", 2)]);
        assert!(by_order(&a, &b).is_empty());
    }
}
