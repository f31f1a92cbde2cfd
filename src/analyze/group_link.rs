//! What a collective moves over the links of a device, and how fast these are at most.
//!
//! Sizes and factors are those of nccl-tests (`doc/PERFORMANCE.md`): size times factor is what each rank has to send, or
//! receive, over its links at least, as long as ranks send to each other. Where switches reduce (NVLS), an all-reduce of
//! more than three ranks needs less, and may exceed the roof.
//!
//! A roof is known where the group is on one host, and it is known how the host's devices are linked. A trace names no
//! host. What tells is how devices and ranks are numbered: where a host's ranks count through its devices, rank 5 on device
//! 1 is of a host whose ranks begin at 4; those that it has devices for are on it. A group with others spans hosts, or its
//! processes see some of the devices only: then there is no roof.

use super::peaks::{Link, PeakOverrides, group_peak};
use crate::align::Operation;
use crate::schema::words;
use crate::store::{CollectiveRow, Store};

words! {
    /// What links the devices of a group.
    GroupLink {
        /// The devices' own links.
        Peer "peer",
        /// The host's, where devices have none of their own.
        Host "host",
    }
}

/// What links a group, and its peak.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct GroupRoof {
    /// Which link.
    pub link: GroupLink,
    /// One direction of one device, GB/s.
    pub gb_per_s: f64,
}

impl GroupRoof {
    /// Of the group of a collective that ran on a device.
    pub fn of(
        store: &Store,
        peaks: PeakOverrides,
        device: Option<u32>,
        row: &CollectiveRow,
    ) -> Option<Self> {
        let operation = Operation::of_name(store.strings.get(row.name));
        let ranks = ranks(store.strings.get(row.group_ranks?))?;
        let own = store.meta.distributed.as_ref()?.rank?;
        if !is_on_one_host(&ranks, own, device?, store.meta.devices.len()) {
            return None;
        }
        let n_ranks = match operation {
            // A message has two ends, whatever the group.
            Operation::SendRecv => 2,
            _ => row.group_size?,
        };
        let (link, gb_per_s) = group_peak(peaks, store.meta.device_name(device), n_ranks)?;
        let link = if link == Link::Host { GroupLink::Host } else { GroupLink::Peer };
        Some(Self { link, gb_per_s })
    }

    /// How long bytes over the link take at least, in nanoseconds.
    pub fn ns(&self, bus_bytes: f64) -> f64 {
        bus_bytes / self.gb_per_s
    }
}

/// What each rank sends or receives at least: the size of a collective times the factor of its bus bandwidth. `None` where
/// the two are not known, or nothing goes over a link.
pub(super) fn bus_bytes(
    operation: Option<Operation>,
    group_size: Option<u32>,
    bytes: Option<u64>,
) -> Option<f64> {
    let (numerator, denominator) = operation?.bus_factor(u64::from(group_size?))?;
    let moved = bytes? as f64 * numerator as f64 / denominator as f64;
    (moved > 0.0).then_some(moved)
}

/// `[0, 1, 2]`; `None` where the writer cut it short.
fn ranks(text: &str) -> Option<Vec<u32>> {
    let inner = text.trim().strip_prefix('[')?.strip_suffix(']')?;
    inner.split(',').map(|rank| rank.trim().parse().ok()).collect()
}

/// Whether the devices of the host of rank `own`, which runs on `device`, are those of all ranks.
fn is_on_one_host(ranks: &[u32], own: u32, device: u32, n_devices: usize) -> bool {
    let Some(first) = own.checked_sub(device) else { return false };
    let is_here = |rank: &u32| rank.checked_sub(first).is_some_and(|at| (at as usize) < n_devices);
    ranks.contains(&own) && ranks.iter().all(is_here)
}

#[cfg(test)]
mod tests {
    use super::{bus_bytes, is_on_one_host, ranks};
    use crate::align::Operation;

    #[test]
    fn ranks_that_count_through_the_devices_are_on_one_host() {
        assert!(is_on_one_host(&[4, 5, 6, 7], 5, 1, 4));
        assert!(!is_on_one_host(&[3, 4, 5], 5, 1, 4), "3 is of the host before");
        assert!(!is_on_one_host(&[4, 8], 5, 1, 4), "8 is of the next, 5 of another group");
        assert!(!is_on_one_host(&[0, 1], 1, 0, 1), "a process that sees one device");
        assert!(!is_on_one_host(&[0, 1], 0, 2, 4), "device 2 of rank 0: numbered otherwise");
    }

    #[test]
    fn ranks_that_were_cut_short_are_not_known() {
        assert_eq!(ranks("[0, 1]"), Some(vec![0, 1]));
        assert_eq!((ranks("[0, 1, ...]"), ranks("")), (None, None));
    }

    #[test]
    fn bytes_over_the_link_are_those_of_the_bus_bandwidth() {
        let of = |operation, n| bus_bytes(Some(operation), Some(n), Some(800));
        assert_eq!(of(Operation::AllReduce, 8), Some(1400.0));
        assert_eq!(of(Operation::AllGather, 8), Some(700.0));
        assert_eq!(of(Operation::Broadcast, 8), Some(800.0));
        assert_eq!((of(Operation::AllReduce, 1), of(Operation::Barrier, 8)), (None, None));
    }
}
