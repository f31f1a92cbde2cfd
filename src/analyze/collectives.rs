//! Collectives: bytes, algorithm and bus bandwidth, waiting for slower ranks, exposed time.
//!
//! Formulas are those of nccl-tests (`doc/PERFORMANCE.md`): algorithm bandwidth is size over time, bus bandwidth is that
//! times a factor of the operation and the number of ranks. A collective's kernel also waits for its peers, so the time of
//! an instance is the shortest over the ranks that were read, and what a rank spends beyond it is its wait. With one rank
//! of several, both are of that rank alone and waiting is inside them.

use std::collections::BTreeMap;

use super::base::TimeBase;
use super::comm_kernels::{Bare, bare_kernels};
use super::devices::{ActivityKind, DeviceActivity};
pub use super::group_link::GroupLink;
use super::group_link::{GroupRoof, bus_bytes};
use super::intervals::{CoverIndex, Intervals, Span};
use super::peaks::PeakOverrides;
use super::percent;
use super::quantiles::nearest_rank;
use super::rates::RateSummary;
pub use crate::align::Operation;
use crate::align::{Matched, message_ends};
use crate::schema::{tables, words_of};
use crate::store::{self, Store, StrId};

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

impl Operation {
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
    pub(super) fn elements(self, row: &store::CollectiveRow) -> Option<u64> {
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

words_of!(Operation);

tables! {
    /// Collectives of one group, operation, type and size.
    CollectiveRow: "collectives", "Collectives", "How fast were collectives, and how much waiting is in them?", groups 0, on Collectives 1, shown Always {
        stage: Option<u32>, Count, Room, "stage", "stage of the group";
        group: Option<String>, Text, Room, "group", "process group";
        group_description: Option<String>, Text, Request, "description", "its description";
        group_size: Option<u32>, Count, Room, "ranks", "ranks in the group";
        operation: Option<Operation>, Text, All, "operation", "what it does; without arguments, what the range around its launch or its name tells";
        dtype: Option<String>, Text, Room, "dtype", "element type";
        bytes: Option<u64>, Bytes, All, "bytes", "size as nccl-tests counts it";
        count: u64, Count, All, "count", "instances; one that several ranks show counts once";
        matched: u64, Count, Room, "matched", "instances matched over ranks";
        kernels: u64, Count, Request, "kernels", "kernels over all inputs";
        sum_ns: i64, Ns, Room, "time", "sum of the kernels' durations";
        median_ns: i64, Ns, All, "median", "the median instance, by its fastest rank";
        max_ns: i64, Ns, Room, "max", "the longest instance, by its fastest rank";
        skew_ns: Option<i64>, Ns, Room, "skew", "time beyond the fastest rank's, over all inputs";
        busy_ns: i64, Ns, Request, "busy", "time in which one runs, over all devices";
        exposed_ns: i64, Ns, Room, "exposed", "of that, while no compute kernel runs";
        algorithm_gb_per_s: Option<f64>, Rate, All, "algbw GB/s", "median algorithm bandwidth";
        bus_gb_per_s: Option<f64>, Rate, All, "busbw GB/s", "median bus bandwidth";
        link: Option<GroupLink>, Text, Room, "link", "what links the devices of the group: links of their own (peer), or the host's (host); none where nothing tells that all ranks are on one host, or how its devices are linked";
        link_gb_per_s: Option<f64>, Rate, Request, "link GB/s", "one direction of the link of one device at its peak, by its datasheet or as given";
        roof_pct: Option<f64>, Percent, All, "of roof", "time at the link's peak, of the time of the instances by their fastest rank; above 100 where switches reduce";
        lost_ns: Option<i64>, Ns, Room, "lost", "time of the instances, by their fastest rank, beyond that at the link's peak";
        name: String, Text, Room / Last, "name or why no size", "name as written, and why no size is known";
    }

    /// One input's waiting in matched collectives.
    #[derive(Default)]
    RankWaitRow: "rank_waits", "Waiting for other ranks", "How long did each rank wait for others in collectives?", groups 0, on Collectives 2 {
        input: usize, Count, All, "#", "number of the input";
        count: u64, Count, All, "collectives", "instances matched over ranks";
        sum_ns: i64, Ns, All, "time", "sum of its kernels' durations";
        wait_ns: i64, Ns, All, "waiting", "time beyond the fastest rank of each";
        wait_pct: Option<f64>, Percent, All, "share", "waiting, of the time";
        last_to_arrive: u64, Count, All, "last", "instances in which it was the fastest, so the last to arrive";
    }

    /// One of the slowest collectives.
    InstanceRow: "slowest", "Slowest collectives", "Which single collectives took longest?", groups 0, on Collectives 3, shown Folded {
        max_ns: i64, Ns, All, "longest", "the longest rank";
        min_ns: Option<i64>, Ns, All, "shortest", "the shortest rank, where several were matched";
        last_input: Option<usize>, Count, All, "last #", "input of the shortest rank: the last to arrive";
        bytes: Option<u64>, Bytes, All, "bytes", "size as nccl-tests counts it";
        number: u64, Count, All, "n", "number within its class, from 0";
        name: String, Text, All / Subject, "name", "name as written";
    }
}

/// A single instance.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Instance {
    /// Number of its class.
    class: usize,
    /// Its number among the instances of its class, from 0.
    number: u64,
    /// The ranks that show it, by input.
    ranks: Vec<InstanceRank>,
}

/// An instance on one rank.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct InstanceRank {
    /// Index of the input.
    input: usize,
    /// Start of the kernel, in its own trace's time.
    ts_ns: i64,
    /// Duration of the kernel.
    dur_ns: i64,
}

impl Instance {
    /// The shortest duration.
    fn min_ns(&self) -> i64 {
        self.ranks.iter().map(|rank| rank.dur_ns).min().unwrap_or(0)
    }

    /// The longest duration.
    fn max_ns(&self) -> i64 {
        self.ranks.iter().map(|rank| rank.dur_ns).max().unwrap_or(0)
    }

    /// Its row among the slowest.
    fn row(&self, class: &CollectiveRow) -> InstanceRow {
        let is_matched = self.ranks.len() > 1;
        let fastest = self.ranks.iter().min_by_key(|rank| rank.dur_ns);
        InstanceRow {
            max_ns: self.max_ns(),
            min_ns: is_matched.then(|| self.min_ns()),
            last_input: fastest.filter(|_| is_matched).map(|rank| rank.input),
            bytes: class.bytes,
            number: self.number,
            name: class.name.clone(),
        }
    }
}

/// The collectives of all inputs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Collectives {
    /// By stage, group, operation, type and size.
    pub classes: Vec<CollectiveRow>,
    /// Each input's waiting.
    pub ranks: Vec<RankWaitRow>,
    /// The slowest instances, by their longest rank.
    pub slowest: Vec<InstanceRow>,
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
    /// The row of its arguments.
    row: Option<u32>,
    slice: usize,
    /// Why there is no size, where it carries no arguments.
    no_size_because: Option<&'static str>,
}

/// The account of the collectives of all inputs; `matched` says which of them are one.
pub fn collectives(
    inputs: &[CollectiveInput<'_>],
    matched: &[Matched],
    peaks: PeakOverrides,
) -> Collectives {
    let same = SameCollective::of(inputs.len(), matched);
    let mut by_key: BTreeMap<Key, Vec<Kernel>> = BTreeMap::new();
    for (number, input) in inputs.iter().enumerate() {
        let bare = bare_kernels(input.store, input.base);
        for (device, activity) in input.base.devices.iter().enumerate() {
            collect(input, (number, device), activity, &bare, &mut by_key);
        }
    }
    let mut result = Collectives {
        ranks: (0..inputs.len())
            .map(|input| RankWaitRow { input, ..RankWaitRow::default() })
            .collect(),
        ..Collectives::default()
    };
    let computing = ComputeTime::of(inputs);
    let (mut all, mut reasons) = (Vec::new(), Vec::new());
    for (key, kernels) in by_key {
        let instances = instances(result.classes.len(), &kernels, &same);
        for instance in instances.iter().filter(|instance| instance.ranks.len() > 1) {
            add_waits(instance, &mut result.ranks);
        }
        let class = class((inputs, peaks), &computing, key, &kernels, &instances);
        reasons.push(no_size_because(&kernels[0], class.operation, class.bytes, &class.name));
        result.classes.push(class);
        all.extend(instances);
    }
    result.ranks.retain(|rank| rank.count > 0);
    for rank in &mut result.ranks {
        rank.wait_pct = percent(rank.wait_ns, rank.sum_ns);
    }
    all.sort_by_key(|instance| {
        (std::cmp::Reverse(instance.max_ns()), instance.class, instance.number)
    });
    all.truncate(N_SLOWEST);
    let slowest = all.iter().map(|instance| instance.row(&result.classes[instance.class]));
    result.slowest = slowest.collect();
    for (class, why) in result.classes.iter_mut().zip(reasons) {
        class.name.extend(why.map(|why| format!(" ({why})")));
    }
    result
}

fn collect(
    input: &CollectiveInput<'_>,
    (number, device): (usize, usize),
    activity: &DeviceActivity,
    bare: &BTreeMap<usize, Bare>,
    by_key: &mut BTreeMap<Key, Vec<Kernel>>,
) {
    for row in activity.slices.iter().filter(|row| row.kind == ActivityKind::Comm) {
        let slice = row.slice as usize;
        let found = input.store.collectives.binary_search_by_key(&row.slice, |c| c.slice).ok();
        let key = match found {
            Some(at) => key_of(input, &input.store.collectives[at]),
            None => Key {
                stage: input.stage,
                group: None,
                group_ranks: None,
                operation: bare.get(&slice).and_then(|bare| bare.operation),
                detail: input.store.name(slice).to_owned(),
                dtype: None,
                bytes: None,
            },
        };
        by_key.entry(key).or_default().push(Kernel {
            input: number,
            device,
            span: row.span,
            row: found.map(|at| at as u32),
            slice,
            no_size_because: bare.get(&slice).map(|bare| bare.no_size_because),
        });
    }
}

fn key_of(input: &CollectiveInput<'_>, row: &store::CollectiveRow) -> Key {
    let text = |id: StrId| input.store.strings.get(id).to_owned();
    let name = input.store.strings.get(row.name);
    let operation = Operation::of_name(name);
    let (from, to) = message_ends(row, name, input.rank);
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
        bytes: size_bytes(input.store, row),
        dtype: row.dtype.map(text),
    }
}

/// The size of a collective as nccl-tests counts it; `None` where its arguments do not state it.
pub(super) fn size_bytes(store: &Store, row: &store::CollectiveRow) -> Option<u64> {
    let name = store.strings.get(row.name);
    let elements = Operation::of_name(name).elements(row).filter(|_| !name.contains("coalesced"));
    elements?.checked_mul(dtype_bytes(store.strings.get(row.dtype?))?)
}

/// Which kernels are one collective, by input and slice.
struct SameCollective {
    /// Of each input: slice and number of the match, by slice.
    of_input: Vec<Vec<(u32, usize)>>,
}

impl SameCollective {
    fn of(n_inputs: usize, matched: &[Matched]) -> Self {
        let mut of_input = vec![Vec::new(); n_inputs];
        for (number, one) in matched.iter().enumerate() {
            one.calls.iter().for_each(|&(input, slice)| of_input[input].push((slice, number)));
        }
        of_input.iter_mut().for_each(|calls: &mut Vec<_>| calls.sort_unstable());
        Self { of_input }
    }

    /// The number of the match that a kernel is part of.
    fn number(&self, kernel: &Kernel) -> Option<usize> {
        let calls = &self.of_input[kernel.input];
        let found = calls.binary_search_by_key(&(kernel.slice as u32), |&(slice, _)| slice).ok()?;
        Some(calls[found].1)
    }
}

/// Kernels of one class to instances, in the order in which the first input that shows one shows them.
fn instances(class: usize, kernels: &[Kernel], same: &SameCollective) -> Vec<Instance> {
    let mut by_match: BTreeMap<(Option<usize>, usize), Vec<InstanceRank>> = BTreeMap::new();
    for (place, kernel) in kernels.iter().enumerate() {
        let key = match same.number(kernel) {
            Some(number) => (Some(number), 0),
            None => (None, place),
        };
        let (input, ts_ns) = (kernel.input, kernel.span.start_ns);
        let rank = InstanceRank { input, ts_ns, dur_ns: kernel.span.len_ns() };
        by_match.entry(key).or_default().push(rank);
    }
    let mut ranks: Vec<Vec<InstanceRank>> = by_match.into_values().collect();
    ranks.sort_by_key(|ranks| (ranks[0].input, ranks[0].ts_ns));
    (0..).zip(ranks).map(|(number, ranks)| Instance { class, number, ranks }).collect()
}

fn add_waits(instance: &Instance, ranks: &mut [RankWaitRow]) {
    let min_ns = instance.min_ns();
    let mut is_first = true;
    for &InstanceRank { input, dur_ns, .. } in &instance.ranks {
        let rank = &mut ranks[input];
        rank.count += 1;
        rank.sum_ns += dur_ns;
        rank.wait_ns += dur_ns - min_ns;
        if dur_ns == min_ns && std::mem::take(&mut is_first) {
            rank.last_to_arrive += 1;
        }
    }
}

/// What a class takes at the peak of its link.
#[derive(Default)]
struct OverRoof {
    roof: Option<GroupRoof>,
    pct: Option<f64>,
    lost_ns: Option<i64>,
}

impl OverRoof {
    /// Of instances that took `times`, each with so many bytes over the link.
    fn of(roof: Option<GroupRoof>, bus_bytes: Option<f64>, times: &[i64]) -> Self {
        let total_ns: i64 = times.iter().sum();
        let Some((known, bytes)) = roof.zip(bus_bytes).filter(|_| total_ns > 0) else {
            return Self { roof, ..Self::default() };
        };
        let roof_ns = known.ns(bytes) * times.len() as f64;
        Self {
            roof,
            pct: Some(roof_ns * 100.0 / total_ns as f64),
            lost_ns: Some(total_ns - (roof_ns.ceil() as i64).min(total_ns)),
        }
    }
}

fn class(
    (inputs, peaks): (&[CollectiveInput<'_>], PeakOverrides),
    computing: &ComputeTime,
    key: Key,
    kernels: &[Kernel],
    instances: &[Instance],
) -> CollectiveRow {
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
    let group_size = row.and_then(|row| row.group_size);
    let (busy_ns, exposed_ns) = computing.busy_and_exposed(kernels);
    let algorithm = bytes
        .map_or_else(RateSummary::default, |b| RateSummary::of_times(b, &times))
        .median_gb_per_s;
    let factor = key.operation.zip(group_size).and_then(|(o, n)| o.bus_factor(u64::from(n)));
    let bus = |(numerator, denominator): (u64, u64)| {
        algorithm.map(|rate| rate * numerator as f64 / denominator as f64)
    };
    let device = inputs[first.input].base.devices[first.device].device;
    let roof = row.and_then(|row| GroupRoof::of(store, peaks, device, row));
    let over = OverRoof::of(roof, bus_bytes(key.operation, group_size, bytes), &times);
    CollectiveRow {
        stage: key.stage,
        group_description: row
            .and_then(|row| row.group_description)
            .map(|id| store.strings.get(id).to_owned()),
        group: key.group,
        group_size,
        operation: key.operation,
        name: key.detail,
        dtype: key.dtype,
        bytes,
        count: instances.len() as u64,
        matched: n_matched,
        kernels: kernels.len() as u64,
        sum_ns: kernels.iter().map(|kernel| kernel.span.len_ns()).sum(),
        median_ns: nearest_rank(&times, 50).unwrap_or(0),
        max_ns: times.last().copied().unwrap_or(0),
        skew_ns: (n_matched > 0).then(|| matched.map(skew).sum()),
        algorithm_gb_per_s: algorithm,
        bus_gb_per_s: factor.and_then(bus),
        link: over.roof.map(|roof| roof.link),
        link_gb_per_s: over.roof.map(|roof| roof.gb_per_s),
        roof_pct: over.pct,
        lost_ns: over.lost_ns,
        busy_ns,
        exposed_ns,
    }
}

fn no_size_because(
    kernel: &Kernel,
    operation: Option<Operation>,
    bytes: Option<u64>,
    name: &str,
) -> Option<&'static str> {
    if bytes.is_some() {
        return None;
    }
    match operation {
        Some(Operation::Barrier) => Some("a barrier moves no message"),
        _ if kernel.no_size_because.is_some() => kernel.no_size_because,
        _ if name.contains("coalesced") => Some("one kernel for several operations"),
        _ => Some("its arguments state no size"),
    }
}

/// When compute kernels run, by input and device: the same for every class.
struct ComputeTime(Vec<Vec<CoverIndex>>);

impl ComputeTime {
    fn of(inputs: &[CollectiveInput<'_>]) -> Self {
        let of_device = |activity: &DeviceActivity| {
            let mut covered = Intervals::default();
            let rows = activity.slices.iter().filter(|row| row.kind == ActivityKind::Compute);
            rows.for_each(|row| covered.push(row.span));
            covered.index()
        };
        let of_input = |input: &CollectiveInput<'_>| {
            input.base.devices.iter().map(of_device).collect::<Vec<CoverIndex>>()
        };
        Self(inputs.iter().map(of_input).collect())
    }

    /// Time in which one of the kernels runs, and the part that no compute kernel of its device covers.
    fn busy_and_exposed(&self, kernels: &[Kernel]) -> (i64, i64) {
        let mut by_device: BTreeMap<(usize, usize), Vec<Span>> = BTreeMap::new();
        for kernel in kernels {
            by_device.entry((kernel.input, kernel.device)).or_default().push(kernel.span);
        }
        let (mut busy_ns, mut exposed_ns) = (0, 0);
        for ((input, device), spans) in by_device {
            let busy = Intervals::union_of(spans);
            let compute = &self.0[input][device];
            let covered = |span: &Span| compute.covered_ns(span.start_ns, span.end_ns);
            busy_ns += busy.total_ns();
            exposed_ns += busy.total_ns() - busy.spans().iter().map(covered).sum::<i64>();
        }
        (busy_ns, exposed_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::{Kernel, Operation, SameCollective, Span, dtype_bytes, instances};
    use crate::align::{Matched, Meeting};

    #[test]
    fn factors_and_sizes() {
        assert_eq!(Operation::AllReduce.bus_factor(8), Some((14, 8)));
        assert_eq!(Operation::AllReduce.bus_factor(1), Some((0, 1)));
        assert_eq!(Operation::Barrier.bus_factor(8), None);
        assert_eq!((dtype_bytes("BFloat16"), dtype_bytes("Float8_e4m3fn")), (Some(2), Some(1)));
        assert_eq!(dtype_bytes("bfloat16"), None);
    }

    fn kernel(input: usize, start_ns: i64, dur_ns: i64, slice: usize) -> Kernel {
        let span = Span::new(start_ns, start_ns + dur_ns);
        Kernel { input, device: 0, span, row: None, slice, no_size_because: None }
    }

    #[test]
    fn matched_kernels_are_one_instance() {
        let kernels =
            [kernel(0, 0, 9, 3), kernel(0, 20, 5, 4), kernel(1, 4, 5, 7), kernel(1, 21, 4, 8)];
        let one = |ours, theirs| Matched {
            meeting: Meeting::EndsTogether,
            is_on_device: true,
            calls: vec![(0, ours), (1, theirs)],
            times: vec![(0, 1); 2],
        };
        let times = |matched: &[Matched]| -> Vec<_> {
            let instances = instances(0, &kernels, &SameCollective::of(2, matched));
            instances.iter().map(|i| (i.min_ns(), i.max_ns(), i.ranks.len())).collect()
        };
        assert_eq!(times(&[one(4, 8), one(3, 7)]), [(5, 9, 2), (4, 5, 2)]);
        assert_eq!(times(&[one(4, 7)]), [(9, 9, 1), (5, 5, 2), (4, 4, 1)]);
        assert_eq!(times(&[]).len(), 4);
    }
}
