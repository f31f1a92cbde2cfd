//! Collectives: bytes, algorithm and bus bandwidth, waiting for slower ranks, exposed time.
//!
//! Formulas are those of nccl-tests (`doc/PERFORMANCE.md`): algorithm bandwidth is size over time, bus bandwidth is that
//! times a factor of the operation and the number of ranks. A collective's kernel also waits for its peers, so the time of
//! an instance is the shortest over the ranks that were read, and what a rank spends beyond it is its wait. With one rank
//! of several, both are of that rank alone and waiting is inside them.

use std::collections::BTreeMap;

use super::base::TimeBase;
use super::devices::{ActivityKind, DeviceActivity};
use super::intervals::{Intervals, Span};
use super::quantiles::nearest_rank;
use super::rates::{Rate, RateSummary};
use crate::store::{CollectiveRow, Store, StrId};

/// Instances listed as the slowest.
const N_SLOWEST: usize = 10;

/// One input of the account.
#[derive(Clone, Copy, Debug)]
pub struct CollectiveInput<'a> {
    /// Its events.
    pub store: &'a Store,
    /// Its time base.
    pub base: &'a TimeBase,
    /// Stage: process groups of different stages are unrelated, whatever their names.
    pub stage: Option<u32>,
    /// Global rank.
    pub rank: Option<u32>,
}

/// What an operation does, whatever its spelling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operation {
    /// `allreduce`
    AllReduce,
    /// `allgather`, `_allgather_base`, `all_gather_into_tensor`
    AllGather,
    /// `reduce_scatter`, `_reduce_scatter_base`, `reduce_scatter_tensor`
    ReduceScatter,
    /// `broadcast`
    Broadcast,
    /// `reduce`
    Reduce,
    /// `all_to_all`, `all_to_allv`
    AllToAll,
    /// `send` and `recv` of one message
    SendRecv,
    /// `barrier`
    Barrier,
    /// Anything else
    Other,
}

impl Operation {
    fn of_name(name: &str) -> Self {
        let plain = name.trim_start_matches('_').replace("all_gather", "allgather");
        let is = |start: &str| plain.starts_with(start);
        if is("allreduce") || is("all_reduce") {
            Self::AllReduce
        } else if is("allgather") {
            Self::AllGather
        } else if is("reduce_scatter") {
            Self::ReduceScatter
        } else if is("broadcast") {
            Self::Broadcast
        } else if is("reduce") {
            Self::Reduce
        } else if is("all_to_all") || is("alltoall") {
            Self::AllToAll
        } else if plain == "send" || plain == "recv" {
            Self::SendRecv
        } else if is("barrier") {
            Self::Barrier
        } else {
            Self::Other
        }
    }

    /// The name in tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AllReduce => "all_reduce",
            Self::AllGather => "all_gather",
            Self::ReduceScatter => "reduce_scatter",
            Self::Broadcast => "broadcast",
            Self::Reduce => "reduce",
            Self::AllToAll => "all_to_all",
            Self::SendRecv => "send_recv",
            Self::Barrier => "barrier",
            Self::Other => "other",
        }
    }

    /// Bus bandwidth over algorithm bandwidth for `n` ranks, as numerator and denominator.
    pub fn bus_factor(self, n: u64) -> Option<(u64, u64)> {
        let less_one = n.checked_sub(1)?;
        match self {
            Self::AllReduce => Some((2 * less_one, n)),
            Self::AllGather | Self::ReduceScatter | Self::AllToAll => Some((less_one, n)),
            Self::Broadcast | Self::Reduce | Self::SendRecv => Some((1, 1)),
            Self::Barrier | Self::Other => None,
        }
    }

    /// The size that nccl-tests takes, in elements.
    fn elements(self, row: &CollectiveRow) -> Option<u64> {
        match self {
            Self::AllReduce | Self::ReduceScatter | Self::AllToAll => row.in_elements,
            Self::AllGather => row.out_elements,
            Self::Broadcast | Self::Reduce | Self::SendRecv => {
                row.in_elements.max(row.out_elements)
            }
            Self::Barrier | Self::Other => None,
        }
    }
}

/// Bytes of an element of a c10 scalar type; `None` for a name that is not one.
pub fn dtype_bytes(name: &str) -> Option<u64> {
    let bytes = match name {
        "Byte" | "Char" | "Bool" | "QInt8" | "QUInt8" => 1,
        name if name.starts_with("Float8_") => 1,
        "Short" | "Half" | "BFloat16" | "UInt16" => 2,
        "Int" | "Float" | "UInt32" | "QInt32" | "ComplexHalf" => 4,
        "Long" | "Double" | "UInt64" | "ComplexFloat" => 8,
        "ComplexDouble" => 16,
        _ => return None,
    };
    Some(bytes)
}

/// Collectives of one group, operation, type and size.
#[derive(Clone, Debug, PartialEq)]
pub struct CollectiveClass {
    /// Stage of the group.
    pub stage: Option<u32>,
    /// Name of the process group.
    pub group: Option<String>,
    /// Its description.
    pub group_description: Option<String>,
    /// Ranks in it.
    pub group_size: Option<u32>,
    /// The operation; `None` for a communication kernel that carries no arguments.
    pub operation: Option<Operation>,
    /// The name as written: the collective's, or the kernel's where it carries no arguments.
    pub name: String,
    /// Element type.
    pub dtype: Option<String>,
    /// Size in bytes as nccl-tests counts it.
    pub bytes: Option<u64>,
    /// Why there is no size.
    pub no_size_because: Option<&'static str>,
    /// Instances; one that several ranks show counts once.
    pub count: u64,
    /// Of these, instances that were matched over at least two ranks.
    pub n_matched: u64,
    /// Kernels over all inputs.
    pub n_kernels: u64,
    /// Sum of kernel durations over all inputs.
    pub sum_ns: i64,
    /// Shortest instance.
    pub min_ns: i64,
    /// Median instance.
    pub median_ns: i64,
    /// Longest instance.
    pub max_ns: i64,
    /// Sum over inputs and instances of the duration beyond the fastest rank's; `None` where no instance was matched.
    pub skew_ns: Option<i64>,
    /// Algorithm bandwidth over instances.
    pub algorithm: RateSummary,
    /// Bus bandwidth over algorithm bandwidth.
    pub bus_factor: Option<(u64, u64)>,
    /// Time in which one of these runs, summed over inputs and devices.
    pub busy_ns: i64,
    /// Of that, what no compute kernel of the device covers.
    pub exposed_ns: i64,
}

impl CollectiveClass {
    /// Median bus bandwidth in GB/s.
    pub fn median_bus_gb_per_s(&self) -> Option<f64> {
        let (numerator, denominator) = self.bus_factor?;
        Some(self.algorithm.median_gb_per_s? * numerator as f64 / denominator as f64)
    }
}

/// One input's part in the collectives that were matched over ranks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RankWait {
    /// Index of the input.
    pub input: usize,
    /// Matched instances it took part in.
    pub count: u64,
    /// Sum of its kernels' durations in them.
    pub sum_ns: i64,
    /// Of that, time beyond the fastest rank of each instance: waiting for others.
    pub wait_ns: i64,
    /// Instances in which it was the fastest, that is the last to arrive.
    pub n_fastest: u64,
}

/// A single instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// Index into [`Collectives::classes`].
    pub class: usize,
    /// Its number among the instances of its class, from 0.
    pub number: u64,
    /// The ranks that show it, by input.
    pub ranks: Vec<InstanceRank>,
}

/// An instance on one rank.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InstanceRank {
    /// Index of the input.
    pub input: usize,
    /// Start of the kernel, in its own trace's time.
    pub ts_ns: i64,
    /// Duration of the kernel.
    pub dur_ns: i64,
}

impl Instance {
    /// The shortest duration.
    pub fn min_ns(&self) -> i64 {
        self.ranks.iter().map(|rank| rank.dur_ns).min().unwrap_or(0)
    }

    /// The longest duration.
    pub fn max_ns(&self) -> i64 {
        self.ranks.iter().map(|rank| rank.dur_ns).max().unwrap_or(0)
    }
}

/// The collectives of all inputs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Collectives {
    /// By stage, group, operation, type and size.
    pub classes: Vec<CollectiveClass>,
    /// Each input's waiting.
    pub ranks: Vec<RankWait>,
    /// The slowest instances, by their longest rank.
    pub slowest: Vec<Instance>,
    /// Classes whose number of instances differs between ranks: their instances were not matched.
    pub n_unmatched_classes: u64,
}

/// What makes two kernels the same kind of collective on different ranks.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    stage: Option<u32>,
    group: Option<String>,
    group_ranks: Option<String>,
    operation: Option<Operation>,
    /// For point-to-point operations the two ends, else the name where there is no operation.
    detail: String,
    dtype: Option<String>,
    bytes: Option<u64>,
}

/// One kernel.
#[derive(Clone, Copy, Debug)]
struct Kernel {
    input: usize,
    device: usize,
    span: Span,
    seq: Option<u64>,
    /// The row of its arguments.
    row: Option<u32>,
    slice: usize,
}

/// The account of the collectives of all inputs, matched over ranks.
pub fn collectives(inputs: &[CollectiveInput<'_>]) -> Collectives {
    let mut by_key: BTreeMap<Key, Vec<Kernel>> = BTreeMap::new();
    for (number, input) in inputs.iter().enumerate() {
        for (device, activity) in input.base.devices.iter().enumerate() {
            collect(inputs, number, device, activity, &mut by_key);
        }
    }
    let mut result = Collectives {
        ranks: (0..inputs.len())
            .map(|input| RankWait { input, count: 0, sum_ns: 0, wait_ns: 0, n_fastest: 0 })
            .collect(),
        ..Collectives::default()
    };
    let mut all = Vec::new();
    for (key, kernels) in by_key {
        let (instances, is_matched) = instances(result.classes.len(), &kernels);
        result.n_unmatched_classes += u64::from(!is_matched);
        for instance in instances.iter().filter(|instance| instance.ranks.len() > 1) {
            add_waits(instance, &mut result.ranks);
        }
        result.classes.push(class(inputs, key, &kernels, &instances));
        all.extend(instances);
    }
    result.ranks.retain(|rank| rank.count > 0);
    all.sort_by_key(|instance| {
        (std::cmp::Reverse(instance.max_ns()), instance.class, instance.number)
    });
    all.truncate(N_SLOWEST);
    result.slowest = all;
    result
}

fn collect(
    inputs: &[CollectiveInput<'_>],
    number: usize,
    device: usize,
    activity: &DeviceActivity,
    by_key: &mut BTreeMap<Key, Vec<Kernel>>,
) {
    let input = &inputs[number];
    for row in activity.slices.iter().filter(|row| row.kind == ActivityKind::Comm) {
        let slice = row.slice as usize;
        let found = input.store.collectives.binary_search_by_key(&row.slice, |c| c.slice).ok();
        let key = match found {
            Some(at) => key_of(input, &input.store.collectives[at]),
            None => Key {
                stage: input.stage,
                group: None,
                group_ranks: None,
                operation: None,
                detail: input.store.name(slice).to_owned(),
                dtype: None,
                bytes: None,
            },
        };
        by_key.entry(key).or_default().push(Kernel {
            input: number,
            device,
            span: row.span,
            seq: found.and_then(|at| input.store.collectives[at].seq),
            row: found.map(|at| at as u32),
            slice,
        });
    }
}

fn key_of(input: &CollectiveInput<'_>, row: &CollectiveRow) -> Key {
    let text = |id: StrId| input.store.strings.get(id).to_owned();
    let name = input.store.strings.get(row.name);
    let operation = Operation::of_name(name);
    let dtype = row.dtype.map(text);
    let is_coalesced = name.contains("coalesced");
    let elements = operation.elements(row).filter(|_| !is_coalesced);
    let element_bytes = dtype.as_deref().and_then(dtype_bytes);
    let own = input.rank.or(row.rank);
    let (from, to) = match name {
        "send" => (own, row.dst_rank),
        "recv" => (row.src_rank, own),
        _ => (None, None),
    };
    let detail = match operation {
        Operation::SendRecv => match (from, to) {
            (Some(from), Some(to)) => format!("{from} -> {to}"),
            _ => name.to_owned(),
        },
        _ => name.to_owned(),
    };
    Key {
        stage: input.stage,
        group: row.group_name.map(text),
        group_ranks: row.group_ranks.map(text),
        operation: Some(operation),
        detail,
        bytes: elements.zip(element_bytes).and_then(|(n, size)| n.checked_mul(size)),
        dtype,
    }
}

/// Kernels of one class to instances. Whether the inputs show the same instances: if not, nothing is matched.
fn instances(class: usize, kernels: &[Kernel]) -> (Vec<Instance>, bool) {
    let mut by_input: BTreeMap<usize, Vec<&Kernel>> = BTreeMap::new();
    for kernel in kernels {
        by_input.entry(kernel.input).or_default().push(kernel);
    }
    for of_input in by_input.values_mut() {
        of_input.sort_by_key(|kernel| (kernel.seq, kernel.span, kernel.slice));
    }
    let count = |of_input: &Vec<&Kernel>| of_input.len();
    let mut counts = by_input.values().map(count);
    let first = counts.next().unwrap_or(0);
    let has_seq = kernels.iter().all(|kernel| kernel.seq.is_some());
    let is_matched = has_seq || counts.all(|n| n == first);
    let mut slots: BTreeMap<(Option<usize>, u64), Vec<InstanceRank>> = BTreeMap::new();
    for (&input, of_input) in &by_input {
        for (order, kernel) in of_input.iter().enumerate() {
            let number = kernel.seq.filter(|_| has_seq).unwrap_or(order as u64);
            let alone = (!is_matched).then_some(input);
            let rank =
                InstanceRank { input, ts_ns: kernel.span.start_ns, dur_ns: kernel.span.len_ns() };
            slots.entry((alone, number)).or_default().push(rank);
        }
    }
    let instance = |(number, ranks)| Instance { class, number, ranks };
    ((0..).zip(slots.into_values()).map(instance).collect(), is_matched)
}

fn add_waits(instance: &Instance, ranks: &mut [RankWait]) {
    let min_ns = instance.min_ns();
    let mut is_first = true;
    for &InstanceRank { input, dur_ns, .. } in &instance.ranks {
        let rank = &mut ranks[input];
        rank.count += 1;
        rank.sum_ns += dur_ns;
        rank.wait_ns += dur_ns - min_ns;
        if dur_ns == min_ns && std::mem::take(&mut is_first) {
            rank.n_fastest += 1;
        }
    }
}

fn class(
    inputs: &[CollectiveInput<'_>],
    key: Key,
    kernels: &[Kernel],
    instances: &[Instance],
) -> CollectiveClass {
    let first = &kernels[0];
    let store = inputs[first.input].store;
    let row = first.row.map(|row| &store.collectives[row as usize]);
    let mut times: Vec<i64> = instances.iter().map(Instance::min_ns).collect();
    times.sort_unstable();
    let matched = instances.iter().filter(|instance| instance.ranks.len() > 1);
    let skew = |instance: &Instance| -> i64 {
        instance.ranks.iter().map(|rank| rank.dur_ns - instance.min_ns()).sum()
    };
    let n_matched = matched.clone().count() as u64;
    let bytes = key.bytes.filter(|&bytes| bytes > 0);
    let mut rates: Vec<Rate> =
        bytes.map_or(Vec::new(), |b| times.iter().filter_map(|&ns| Rate::new(b, ns)).collect());
    let group_size = row.and_then(|row| row.group_size);
    let (busy_ns, exposed_ns) = busy_and_exposed(inputs, kernels);
    CollectiveClass {
        stage: key.stage,
        group_description: row
            .and_then(|row| row.group_description)
            .map(|id| store.strings.get(id).to_owned()),
        group: key.group,
        group_size,
        no_size_because: no_size_because(inputs, first, key.operation, bytes, &key.detail),
        operation: key.operation,
        name: key.detail,
        dtype: key.dtype,
        bytes,
        count: instances.len() as u64,
        n_matched,
        n_kernels: kernels.len() as u64,
        sum_ns: kernels.iter().map(|kernel| kernel.span.len_ns()).sum(),
        min_ns: times.first().copied().unwrap_or(0),
        median_ns: nearest_rank(&times, 50).unwrap_or(0),
        max_ns: times.last().copied().unwrap_or(0),
        skew_ns: (n_matched > 0).then(|| matched.map(skew).sum()),
        algorithm: RateSummary::of(&mut rates),
        bus_factor: key
            .operation
            .zip(group_size)
            .and_then(|(operation, n)| operation.bus_factor(u64::from(n))),
        busy_ns,
        exposed_ns,
    }
}

fn no_size_because(
    inputs: &[CollectiveInput<'_>],
    kernel: &Kernel,
    operation: Option<Operation>,
    bytes: Option<u64>,
    name: &str,
) -> Option<&'static str> {
    if bytes.is_some() {
        return None;
    }
    let CollectiveInput { store, base, .. } = inputs[kernel.input];
    match operation {
        Some(Operation::Barrier) => Some("a barrier moves no message"),
        Some(_) if name.contains("coalesced") => Some("one kernel for several operations"),
        Some(_) => Some("its arguments state no size"),
        None => match base.launches.call_of(store, kernel.slice) {
            Some(call) if store.name(call).contains("GraphLaunch") => {
                Some("launched by a graph, which keeps no arguments")
            }
            _ => Some("no c10d arguments: PyNccl, a custom all-reduce, or grouped point-to-point"),
        },
    }
}

/// Time in which one of the kernels runs, and the part that no compute kernel of its device covers.
fn busy_and_exposed(inputs: &[CollectiveInput<'_>], kernels: &[Kernel]) -> (i64, i64) {
    let mut by_device: BTreeMap<(usize, usize), Vec<Span>> = BTreeMap::new();
    for kernel in kernels {
        by_device.entry((kernel.input, kernel.device)).or_default().push(kernel.span);
    }
    let (mut busy_ns, mut exposed_ns) = (0, 0);
    for ((input, device), spans) in by_device {
        let busy = Intervals::union_of(spans);
        let rows = inputs[input].base.devices[device].slices.iter();
        let compute = rows.filter(|row| row.kind == ActivityKind::Compute).map(|row| row.span);
        let mut covered = Intervals::default();
        compute.for_each(|span| covered.push(span));
        busy_ns += busy.total_ns();
        exposed_ns += busy.subtract(&covered).total_ns();
    }
    (busy_ns, exposed_ns)
}

#[cfg(test)]
mod tests {
    use super::{Kernel, Operation, Span, dtype_bytes, instances};

    #[test]
    fn spellings_and_factors() {
        assert_eq!(Operation::of_name("_allgather_base"), Operation::AllGather);
        assert_eq!(Operation::of_name("all_gather_into_tensor"), Operation::AllGather);
        assert_eq!(Operation::of_name("_reduce_scatter_base"), Operation::ReduceScatter);
        assert_eq!(Operation::of_name("reduce"), Operation::Reduce);
        assert_eq!(Operation::of_name("all_to_allv"), Operation::AllToAll);
        assert_eq!(Operation::AllReduce.bus_factor(8), Some((14, 8)));
        assert_eq!(Operation::AllReduce.bus_factor(1), Some((0, 1)));
        assert_eq!(Operation::Barrier.bus_factor(8), None);
        assert_eq!((dtype_bytes("BFloat16"), dtype_bytes("Float8_e4m3fn")), (Some(2), Some(1)));
        assert_eq!(dtype_bytes("bfloat16"), None);
    }

    fn kernel(input: usize, start_ns: i64, dur_ns: i64, seq: Option<u64>) -> Kernel {
        let span = Span::new(start_ns, start_ns + dur_ns);
        Kernel { input, device: 0, span, seq, row: None, slice: 0 }
    }

    #[test]
    fn ranks_match_by_order_when_they_show_the_same_number() {
        let kernels = [
            kernel(0, 0, 9, None),
            kernel(0, 20, 5, None),
            kernel(1, 4, 5, None),
            kernel(1, 21, 4, None),
        ];
        let (matched, is_matched) = instances(0, &kernels);
        assert!(is_matched);
        let times: Vec<_> =
            matched.iter().map(|i| (i.min_ns(), i.max_ns(), i.ranks.len())).collect();
        assert_eq!(times, [(5, 9, 2), (4, 5, 2)]);
        let (alone, is_matched) = instances(0, &kernels[..3]);
        assert!(!is_matched && alone.iter().all(|i| i.ranks.len() == 1) && alone.len() == 3);
    }

    #[test]
    fn sequence_numbers_match_across_window_edges() {
        let kernels =
            [kernel(0, 0, 9, Some(4)), kernel(0, 20, 5, Some(5)), kernel(1, 21, 4, Some(5))];
        let (matched, is_matched) = instances(0, &kernels);
        assert!(is_matched);
        assert_eq!(matched.iter().map(|i| i.ranks.len()).collect::<Vec<_>>(), [1, 2]);
    }
}
