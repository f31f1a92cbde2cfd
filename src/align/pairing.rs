//! Which collectives of two ranks are the same: by the number that the trace gives each, or by their order.

/// Captures that start at different collectives are tried up to this many apart.
const MAX_SHIFT: usize = 64;

/// Pairs below which a shift agrees by chance.
const FEWEST: usize = 3;

/// Ends of one collective on several ranks lie this close, whatever the clocks' offset; a wrong pairing does not.
pub(super) const TOGETHER_NS: i64 = 100_000;

/// One collective of one input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    /// Its number in its group, where recorded.
    pub seq: Option<u64>,
    /// What must agree between ranks: equal numbers are equal names, types and sizes.
    pub signature: u32,
    /// Start, in nanoseconds by the input's clock.
    pub start_ns: i64,
    /// End, likewise.
    pub end_ns: i64,
    /// Its slice.
    pub slice: u32,
}

/// The calls of one input in one group, in order of start.
#[derive(Debug)]
pub(super) struct Calls {
    pub(super) calls: Vec<Call>,
    /// Number, signature and place of each, ascending; `None` where a call has no number.
    numbered: Option<Vec<(u64, u32, u32)>>,
}

impl Calls {
    pub(super) fn of(calls: Vec<Call>) -> Self {
        let numbered = |(place, call): (u32, &Call)| Some((call.seq?, call.signature, place));
        let mut numbered: Option<Vec<_>> = (0..).zip(&calls).map(numbered).collect();
        // Numbers go up with the time, mostly.
        numbered.iter_mut().for_each(|numbered| numbered.sort());
        Self { calls, numbered }
    }
}

/// The calls of two inputs in one group that are the same: places in the two lists.
pub(super) fn pairs(calls: &Calls, others: &Calls) -> Vec<(usize, usize)> {
    match (&calls.numbered, &others.numbered) {
        (Some(ours), Some(theirs)) => by_seq(ours, theirs),
        _ => by_order(&calls.calls, &others.calls),
    }
}

/// Joins by sequence number, where every call has one. Several kernels of one number are told apart by their order, where
/// both inputs have equally many; else the number identifies nothing.
fn by_seq(ours: &[(u64, u32, u32)], theirs: &[(u64, u32, u32)]) -> Vec<(usize, usize)> {
    let same = |a: &(u64, u32, u32), b: &(u64, u32, u32)| (a.0, a.1) == (b.0, b.1);
    let mut others = theirs.chunk_by(same).peekable();
    let mut pairs = Vec::with_capacity(ours.len().min(theirs.len()));
    for own in ours.chunk_by(same) {
        let key = (own[0].0, own[0].1);
        while others.next_if(|other| (other[0].0, other[0].1) < key).is_some() {}
        let other = others.next_if(|other| same(&other[0], &own[0]));
        if let Some(other) = other.filter(|other| other.len() == own.len()) {
            pairs.extend(own.iter().zip(other).map(|(a, b)| (a.2 as usize, b.2 as usize)));
        }
    }
    pairs
}

/// Joins by order. Lists of one length whose names agree and whose ends stay together belong together as they are; else
/// the shift counts at which all signatures agree and the ends agree best, over at least half of the shorter list and
/// enough pairs to tell.
fn by_order(calls: &[Call], others: &[Call]) -> Vec<(usize, usize)> {
    let pairs_at = |shift: isize| -> Vec<(usize, usize)> {
        let (ours, theirs) = (shift.max(0) as usize, (-shift).max(0) as usize);
        (ours..calls.len()).zip(theirs..others.len()).collect()
    };
    if calls.len() == others.len()
        && shifted(calls, others, 0).is_some_and(|ends| spread_ns(&ends) <= TOGETHER_NS)
    {
        return pairs_at(0);
    }
    let shorter = calls.len().min(others.len());
    let most = (shorter / 2).max(calls.len().abs_diff(others.len())).min(MAX_SHIFT) as isize;
    let mut best: Option<(i64, isize)> = None;
    let mut shifts: Vec<isize> = (-most..=most).collect();
    shifts.sort_by_key(|shift| (shift.abs(), *shift));
    for shift in shifts {
        let Some(ends) = shifted(calls, others, shift) else { continue };
        if ends.len() < (shorter / 2).max(FEWEST) {
            continue;
        }
        let spread = spread_ns(&ends);
        if best.is_none_or(|(least, _)| spread < least) {
            best = Some((spread, shift));
        }
    }
    best.map(|(_, shift)| pairs_at(shift)).unwrap_or_default()
}

/// The ends of the pairs of a shift; `None` where a signature differs or nothing overlaps.
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
    use super::{Call, Calls, by_order, pairs};

    fn calls(seqs: bool, list: &[(u64, u32, i64)]) -> Vec<Call> {
        let call = |(place, &(seq, signature, end_ns)): (usize, &(u64, u32, i64))| Call {
            seq: seqs.then_some(seq),
            signature,
            start_ns: end_ns - 10,
            end_ns,
            slice: place as u32,
        };
        list.iter().enumerate().map(call).collect()
    }

    #[test]
    fn numbers_join_whatever_the_order() {
        let numbered = |list: &[(u64, u32, i64)]| Calls::of(calls(true, list));
        let a = numbered(&[(5, 1, 100), (6, 2, 200), (7, 3, 300)]);
        let b = numbered(&[(8, 3, 1200), (6, 2, 1300), (7, 9, 1400)]);
        assert_eq!(pairs(&a, &b), [(1, 1)]);
        let twice = numbered(&[(5, 1, 1), (5, 1, 2), (6, 2, 3)]);
        assert_eq!(pairs(&a, &twice), [(1, 2)], "a number shown twice says nothing");
        assert_eq!(pairs(&twice, &twice), [(0, 0), (1, 1), (2, 2)]);
        let order = Calls::of(calls(false, &[(5, 1, 1)]));
        assert_eq!(pairs(&numbered(&[(9, 1, 7)]), &order), [(0, 0)], "by order");
    }

    #[test]
    fn order_finds_the_shift_of_captures_that_start_apart() {
        let ends = [100, 250, 330, 700, 810, 990];
        let whole: Vec<_> = ends.iter().map(|&end| (0, 1, end)).collect();
        let late: Vec<_> = ends[2..].iter().map(|&end| (0, 1, end + 5000)).collect();
        let matched = by_order(&calls(false, &whole), &calls(false, &late));
        assert_eq!(matched, [(2, 0), (3, 1), (4, 2), (5, 3)]);
    }

    #[test]
    fn different_names_do_not_match() {
        let a = calls(false, &[(0, 1, 1), (0, 2, 2)]);
        let b = calls(false, &[(0, 2, 1), (0, 1, 2)]);
        assert!(by_order(&a, &b).is_empty());
    }
}
