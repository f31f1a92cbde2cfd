//! What of a rank's lateness it had itself waited for: a rank that waits for a slow one is late for the next operation with
//! others, and no more than its victim.
//!
//! Waiting is what an operation takes on a rank beyond the shortest of it, so that no common clock is needed.

use crate::align::{Matched, Meeting};

/// Operations that are looked back at: most ranks meet again within a few.
const MAX_BACK: usize = 256;

/// One shared operation of an input: its start by the input's clock, what it waited in it, and which it is.
type Past = (i64, i64, usize);

/// The shared operations of every input, in the order of their starts.
pub(super) struct Pasts<'a> {
    matched: &'a [Matched],
    of: Vec<Vec<Past>>,
}

impl<'a> Pasts<'a> {
    /// Of all inputs.
    pub(super) fn of(n_inputs: usize, matched: &'a [Matched]) -> Self {
        let mut of: Vec<Vec<Past>> = vec![Vec::new(); n_inputs];
        let told = matched.iter().enumerate().filter(|(_, one)| one.meeting != Meeting::EndsApart);
        for (number, one) in told {
            let durs = one.times.iter().map(|(start_ns, end_ns)| end_ns.saturating_sub(*start_ns));
            let shortest_ns = durs.clone().min().unwrap_or(0);
            for ((&(input, _), time), dur_ns) in one.calls.iter().zip(&one.times).zip(durs) {
                of[input].push((time.0, dur_ns.saturating_sub(shortest_ns), number));
            }
        }
        of.iter_mut().for_each(|pasts| pasts.sort_unstable());
        Self { matched, of }
    }

    /// What others waited for `late`, which started at `start_ns` by its clock, and it had waited itself since it last met
    /// each: `waits` is what each other waited.
    pub(super) fn inherited_ns(&self, late: usize, start_ns: i64, waits: &[(usize, i64)]) -> i64 {
        let pasts = &self.of[late];
        let before = pasts.partition_point(|past| past.0 < start_ns);
        let mut apart: Vec<(usize, i64)> = waits.to_vec();
        let (mut inherited_ns, mut waited_ns) = (0_i64, 0_i64);
        for &(_, wait_ns, number) in pasts[..before].iter().rev().take(MAX_BACK) {
            let one = &self.matched[number];
            // Whom it met there was let go with it: what it waited before both waited for.
            apart.retain(|&(other, wait_ns)| {
                let met = one.time_of(other).is_some();
                inherited_ns += if met { wait_ns.min(waited_ns) } else { 0 };
                !met
            });
            if apart.is_empty() {
                return inherited_ns;
            }
            waited_ns = waited_ns.saturating_add(wait_ns);
        }
        inherited_ns + apart.iter().map(|&(_, wait_ns)| wait_ns.min(waited_ns)).sum::<i64>()
    }
}
