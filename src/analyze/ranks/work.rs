//! What each rank did between its shared operations, and what it waited in them.

use super::{RankInput, RankRow};
use crate::align::{Matched, Meeting};
use crate::analyze::devices::DeviceRow;
use crate::analyze::kernels::ActivityKind;

/// The shared operations of one input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Work {
    pub(super) n_shared: u64,
    pub(super) n_last: u64,
    wait_ns: i64,
    /// Their durations, summed.
    inside_ns: i64,
    /// First start and last end.
    extent: Option<(i64, i64)>,
}

impl Work {
    fn add(&mut self, (start_ns, end_ns): (i64, i64), wait_ns: i64) {
        self.n_shared += 1;
        self.n_last += u64::from(wait_ns == 0);
        self.wait_ns += wait_ns;
        self.inside_ns += end_ns.saturating_sub(start_ns);
        let (first, last) = self.extent.unwrap_or((start_ns, end_ns));
        self.extent = Some((first.min(start_ns), last.max(end_ns)));
    }

    /// When nothing but communication ran: of operators of the host all their time.
    fn alone_ns(&self, devices: &[DeviceRow]) -> i64 {
        match devices {
            [] => self.inside_ns,
            devices => devices.iter().map(|device| device.exposed_comm_ns).sum(),
        }
    }

    /// The row of an input.
    pub(super) fn row(&self, input: usize, of: &RankInput<'_>, run: u32) -> RankRow {
        let identity = of.identity;
        let all = of.durations.by_name.iter();
        let (mut compute_ns, mut copies_ns) = (0_i64, 0_i64);
        for ((kind, name), durations) in all {
            if of.computes(*kind, name) {
                compute_ns = compute_ns.saturating_add(durations.sum_ns);
            } else if *kind != ActivityKind::Kernel {
                copies_ns = copies_ns.saturating_add(durations.sum_ns);
            }
        }
        let extent_ns = self.extent.map_or(0, |(first, last)| last.saturating_sub(first));
        RankRow {
            input,
            rank: identity.any_rank(),
            stage: identity.stage,
            tp_rank: identity.parallel.tp,
            pp_rank: identity.parallel.pp,
            dp_rank: identity.parallel.dp,
            ep_rank: identity.parallel.ep,
            own_ns: extent_ns.saturating_sub(self.alone_ns(of.devices)),
            wait_ns: self.wait_ns,
            n_shared: self.n_shared,
            n_last: self.n_last,
            compute_ns,
            copies_ns,
            idle_ns: of.devices.iter().map(|device| device.idle_ns).sum(),
            run,
        }
    }
}

/// The shared operations of every input. Collectives that some leave early say nothing of waiting.
pub(super) fn works(n_inputs: usize, matched: &[Matched]) -> Vec<Work> {
    let mut works = vec![Work::default(); n_inputs];
    for one in matched.iter().filter(|one| one.meeting != Meeting::EndsApart) {
        let durs = one.times.iter().map(|(start_ns, end_ns)| end_ns.saturating_sub(*start_ns));
        let shortest_ns = durs.clone().min().unwrap_or(0);
        for ((&(input, _), &time), dur_ns) in one.calls.iter().zip(&one.times).zip(durs) {
            works[input].add(time, dur_ns.saturating_sub(shortest_ns));
        }
    }
    works
}
