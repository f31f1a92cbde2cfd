//! Device activity by name: how often, how long, how spread.
//!
//! Percentiles are nearest-rank: the p-th percentile of n durations is the one of rank ⌈p/100 · n⌉ in ascending order,
//! so every figure is a duration that occurred. Percentiles of several inputs need all durations, so the durations are
//! gathered per input and summarized once.

use std::collections::BTreeMap;

use rayon::prelude::*;

use super::base::TimeBase;
use super::comm_rules::CommRules;
use super::durations::Durations;
use super::kernel_classes::{KernelClass, class_of};
use super::kernel_origins::{KernelOrigin, Origins};
use super::percent;
use crate::model::EventKind;
use crate::schema::{tables, words};
use crate::store::{Store, StrId};

words! {
    /// What a device did: the three kinds of device activity.
    ActivityKind {
        /// A kernel.
        Kernel "kernel",
        /// A copy.
        Memcpy "gpu_memcpy",
        /// A memset.
        Memset "gpu_memset",
    }
}

impl ActivityKind {
    /// The kind of an event kind; `None` for what is no device activity.
    pub fn of(kind: EventKind) -> Option<Self> {
        match kind {
            EventKind::Kernel => Some(Self::Kernel),
            EventKind::Memcpy => Some(Self::Memcpy),
            EventKind::Memset => Some(Self::Memset),
            _ => None,
        }
    }
}

/// All durations of device activity by kind and name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ActivityDurations {
    /// Durations in nanoseconds.
    pub by_name: BTreeMap<(ActivityKind, String), Durations>,
}

tables! {
    /// All device activity of one name, as the machine output gives it.
    KernelRow: "kernels", "Kernels", "Which kernels, copies and memsets took the devices' time?", groups 0, on Kernels 2 {
        name: String, Text, All / Subject, "name", "name";
        category: ActivityKind, Text, Machines, "category", "kernel, gpu_memcpy or gpu_memset";
        class: KernelClass, Text, All / End, "class", "kind of work, by the name: gemm, attention, communication, copy, …";
        count: u64, Count, All, "count", "how often";
        operator: Option<String>, Text, Room, "operator", "innermost operator around most of its launches; none where no operator is";
        streams: Option<String>, Text, Room, "stream", "the streams on which it ran, of all inputs of the run";
        per_iteration: Option<f64>, Rate, Room, "per iteration", "launches in an iteration that launches it, in the mean; none where no iteration does";
        sum_ns: i64, Ns, All, "sum", "sum of the durations";
        share_pct: Option<f64>, Percent, All, "share", "sum, of all kernels of the run; of a copy or memset, of all of these";
        min_ns: i64, Ns, Room, "min", "the shortest";
        median_ns: i64, Ns, All, "median", "the median, nearest rank";
        p99_ns: i64, Ns, Room, "p99", "the 99th percentile, nearest rank";
        max_ns: i64, Ns, All, "max", "the longest";
        run: u32, Count, All / First, "run", "number of the run: sums stay within one";
    }
}

impl KernelRow {
    /// Whether it is no copy and no memset.
    pub fn is_kernel(&self) -> bool {
        self.category == ActivityKind::Kernel
    }
}

tables! {
    /// The device activity of one stream and name of one input.
    StreamRow: "streams", "Device activity by stream", "What ran on which stream?", groups 3, shown Request, carried whole {
        input: usize, Count, All, "#", "number of the input";
        device: Option<u32>, Count, All, "device", "device index";
        stream: Option<u32>, Count, All, "stream", "number of the stream; none where the trace names none";
        count: u64, Count, All, "count", "how often";
        sum_ns: i64, Ns, All, "sum", "sum of the durations";
        max_ns: i64, Ns, All, "max", "the longest";
        name: String, Text, All / Subject, "name", "name";
    }
}

/// The activity of every stream by name, inside the window; of a stream the largest sum first.
pub fn streams(store: &Store, base: &TimeBase) -> Vec<StreamRow> {
    let mut sums: BTreeMap<_, (u64, i64, i64)> = BTreeMap::new();
    for device in &base.devices {
        for one in &device.slices {
            let key = (device.device, one.stream, store.slices.name[one.slice as usize]);
            let (count, sum_ns, max_ns) = sums.entry(key).or_default();
            *count += 1;
            *sum_ns += one.span.len_ns();
            *max_ns = one.span.len_ns().max(*max_ns);
        }
    }
    let row = |((device, stream, name), (count, sum_ns, max_ns)): ((_, _, StrId), _)| {
        let name = store.strings.get(name).to_owned();
        StreamRow { input: base.input, device, stream, count, sum_ns, max_ns, name }
    };
    let mut rows: Vec<StreamRow> = sums.into_iter().map(row).collect();
    rows.sort_by_key(|row| (row.device, row.stream, std::cmp::Reverse(row.sum_ns)));
    rows
}

/// The durations of one input's device activity.
pub fn activity_durations(store: &Store) -> ActivityDurations {
    let mut events: Vec<(ActivityKind, StrId, i64)> = store
        .device_rows
        .par_iter()
        .filter_map(|row| {
            let slice = row.slice as usize;
            let kind = ActivityKind::of(store.kind(slice))?;
            Some((kind, store.slices.name[slice], store.slices.dur_ns(slice)))
        })
        .collect();
    events.par_sort_unstable();
    let groups = events.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1));
    let by_name = groups
        .map(|group| {
            let (kind, name, _) = group[0];
            let durations = Durations::of_sorted(group.iter().map(|event| event.2));
            ((kind, store.strings.get(name).to_owned()), durations)
        })
        .collect();
    ActivityDurations { by_name }
}

/// The durations of several inputs as one.
pub fn merge_durations(parts: impl IntoIterator<Item = ActivityDurations>) -> ActivityDurations {
    let mut all = ActivityDurations::default();
    for part in parts {
        for (key, durations) in part.by_name {
            all.by_name.entry(key).or_default().add(durations);
        }
    }
    for durations in all.by_name.values_mut() {
        durations.settle();
    }
    all
}

/// Count, sum and spread of each name of a run, the largest sum first, then by kind and name. Kernels share the time of
/// all kernels, copies and memsets that of all of these.
pub fn kernel_rows(run: u32, durations: ActivityDurations, origins: &Origins) -> Vec<KernelRow> {
    let rules = CommRules::default();
    let mut whole_ns = [0; 2];
    for ((kind, _), all) in &durations.by_name {
        whole_ns[usize::from(*kind == ActivityKind::Kernel)] += all.sum_ns;
    }
    let row = |((kind, name), all): ((ActivityKind, String), Durations)| {
        let q = all.quantiles()?;
        let class = class_of(&rules, kind, &name);
        let key = (kind.as_str(), name);
        let origin = origins.get(&key);
        Some(KernelRow {
            category: kind,
            class,
            operator: origin.and_then(|one| one.operator().map(str::to_owned)),
            streams: origin.and_then(KernelOrigin::stream_words),
            name: key.1,
            count: q.count,
            per_iteration: origin.and_then(KernelOrigin::per_iteration),
            sum_ns: q.sum_ns,
            share_pct: percent(q.sum_ns, whole_ns[usize::from(kind == ActivityKind::Kernel)]),
            min_ns: q.min_ns,
            median_ns: q.p50_ns,
            p99_ns: q.p99_ns,
            max_ns: q.max_ns,
            run,
        })
    };
    let mut rows: Vec<KernelRow> = durations.by_name.into_iter().filter_map(row).collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.sum_ns));
    rows
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Origins, activity_durations, kernel_rows, merge_durations};
    use crate::diag::Reporter;
    use crate::store::{ChunkBuilder, DeviceRow, SliceRow, Store, TraceMeta, TrackId};

    const CATEGORIES: [&str; 4] = ["kernel", "gpu_memcpy", "gpu_memset", "gpu_user_annotation"];
    const NAMES: [&str; 3] = ["gemm", "copy", "reduce"];

    fn store(events: &[(usize, usize, i64)]) -> Store {
        let mut builder = ChunkBuilder::default();
        for (i, &(category, name, dur_ns)) in events.iter().enumerate() {
            let track = builder.track(TrackId::Int(0), TrackId::Int(7));
            let row = SliceRow {
                ts_ns: i as i64 * 10,
                dur_ns,
                name: builder.string(NAMES[name]),
                category: builder.string(CATEGORIES[category]),
                track,
                id_a: None,
                id_b: None,
            };
            let slice = builder.slice(row);
            let row = DeviceRow { slice, device: Some(0), stream: Some(7), config: None };
            builder.device_row(row, None);
        }
        let meta = TraceMeta::default();
        Store::build(vec![builder.finish()], meta, &mut Reporter::default())
    }

    #[test]
    fn two_inputs_are_ranked_together() {
        let parts = [store(&[(0, 0, 10), (0, 0, 30)]), store(&[(0, 0, 20), (3, 0, 99)])];
        let stats =
            kernel_rows(0, merge_durations(parts.iter().map(activity_durations)), &Origins::new());
        assert_eq!(stats.len(), 1);
        assert_eq!((stats[0].count, stats[0].sum_ns, stats[0].median_ns), (3, 60, 20));
    }

    proptest! {
        /// Every name's figures equal those of a plain filter over the events.
        #[test]
        fn stats_equal_a_plain_count(
            events in prop::collection::vec((0..4_usize, 0..3_usize, 0..1_000_i64), 0..200)
        ) {
            let stats = kernel_rows(0, activity_durations(&store(&events)), &Origins::new());
            let mut n_seen = 0;
            for s in &stats {
                let category = CATEGORIES.iter().position(|&c| c == s.category.as_str()).unwrap();
                let mut durations: Vec<i64> = events
                    .iter()
                    .filter(|e| e.0 == category && NAMES[e.1] == s.name)
                    .map(|e| e.2)
                    .collect();
                durations.sort_unstable();
                n_seen += durations.len();
                prop_assert_eq!(s.count as usize, durations.len());
                prop_assert_eq!(s.sum_ns, durations.iter().sum::<i64>());
                let at_or_below = |v: i64| durations.iter().filter(|&&d| d <= v).count();
                for (value, percent) in [(s.median_ns, 50), (s.p99_ns, 99)] {
                    // The smallest duration that at least `percent` of all do not exceed.
                    prop_assert!(durations.contains(&value));
                    prop_assert!(at_or_below(value) * 100 >= percent * durations.len());
                    prop_assert!(
                        durations.iter().filter(|&&d| d < value).count() * 100
                            < percent * durations.len()
                    );
                }
                prop_assert_eq!(Some(&s.min_ns), durations.first());
                prop_assert_eq!(Some(&s.max_ns), durations.last());
            }
            prop_assert_eq!(n_seen, events.iter().filter(|e| e.0 < 3).count());
            prop_assert!(stats.is_sorted_by_key(|s| std::cmp::Reverse(s.sum_ns)));
        }
    }
}
