//! How long after its launch device activity begins, by name, and how much of that its stream was busy with earlier work.

use std::collections::BTreeMap;

use super::base::TimeBase;
use super::quantiles::Quantiles;
use crate::schema::tables;
use crate::store::{Store, StrId};

tables! {
    /// The launches of one name of one input.
    LaunchRow: "launches", "Launch delay by name", "How long after its launch does device activity begin, and what does it wait for?", groups 1, shown Request, carried whole {
        input: usize, Count, All, "#", "number of the input";
        count: u64, Count, All, "count", "launches: activity whose call is in the trace";
        sum_ns: i64, Ns, All, "sum", "sum of the delays: from the begin of the call to the begin on the device";
        min_ns: i64, Ns, All, "min", "the shortest delay: about what a launch takes where nothing is in its way";
        p50_ns: i64, Ns, All, "p50", "the median delay, nearest rank";
        p99_ns: i64, Ns, All, "p99", "the 99th percentile, nearest rank";
        max_ns: i64, Ns, All, "max", "the longest delay";
        queue_ns: i64, Ns, All, "in queue", "of the sum, while earlier activity of the stream had not ended; the rest is the launch itself";
        name: String, Text, All / Subject, "name", "name of the kernel, copy or memset";
    }
}

/// The delays of one name, and what of them its stream was busy.
#[derive(Default)]
struct Delays {
    ns: Vec<i64>,
    queue_ns: i64,
}

/// The delays by name, the largest sum first; those of the nodes of a graph are since the launch of the graph.
pub fn launch_delays(store: &Store, base: &TimeBase) -> Vec<LaunchRow> {
    let mut by_name: BTreeMap<StrId, Delays> = BTreeMap::new();
    for device in &base.devices {
        let mut ends: BTreeMap<Option<u32>, i64> = BTreeMap::new();
        for one in &device.slices {
            let slice = one.slice as usize;
            let end_ns = ends.entry(one.stream).or_insert(i64::MIN);
            if let Some(call) = base.launches.call_of(store, slice) {
                let (from_ns, begin_ns) = (store.slices.ts_ns[call], store.slices.ts_ns[slice]);
                let delays = by_name.entry(store.slices.name[slice]).or_default();
                delays.ns.push(begin_ns.saturating_sub(from_ns));
                delays.queue_ns += begin_ns.min(*end_ns).saturating_sub(from_ns).max(0);
            }
            *end_ns = one.span.end_ns.max(*end_ns);
        }
    }
    let row = |(name, delays): (StrId, Delays)| {
        let q = Quantiles::of(delays.ns.into_iter())?;
        Some(LaunchRow {
            input: base.input,
            count: q.count,
            sum_ns: q.sum_ns,
            min_ns: q.min_ns,
            p50_ns: q.p50_ns,
            p99_ns: q.p99_ns,
            max_ns: q.max_ns,
            queue_ns: delays.queue_ns,
            name: store.strings.get(name).to_owned(),
        })
    };
    let mut rows: Vec<LaunchRow> = by_name.into_iter().filter_map(row).collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.sum_ns));
    rows
}

#[cfg(test)]
mod tests {
    use super::launch_delays;
    use crate::analyze::base::{TimeBase, TimeConfig};
    use crate::diag::Reporter;
    use crate::store::{ChunkBuilder, DeviceRow, SliceRow, Store, TraceMeta, TrackId};

    /// Calls and kernels as (is a kernel, start, length, correlation); every kernel on one stream.
    fn store(events: &[(bool, i64, i64, u64)]) -> Store {
        let mut builder = ChunkBuilder::default();
        for &(is_kernel, ts_ns, dur_ns, correlation) in events {
            let tid = if is_kernel { 7 } else { 1 };
            let track = builder.track(TrackId::Int(tid), TrackId::Int(tid));
            let (name, category) =
                if is_kernel { ("gemm", "kernel") } else { ("cudaLaunchKernel", "cuda_runtime") };
            let row = SliceRow {
                ts_ns,
                dur_ns,
                name: builder.string(name),
                category: builder.string(category),
                track,
                id_a: Some(correlation),
                id_b: None,
            };
            let slice = builder.slice(row);
            if is_kernel {
                let row = DeviceRow { slice, device: Some(0), stream: Some(7), config: None };
                builder.device_row(row, None);
            }
        }
        Store::build(vec![builder.finish()], TraceMeta::default(), &mut Reporter::default())
    }

    #[test]
    fn a_delay_is_launch_and_queue() {
        // The first begins 4 after its call, on a free stream; the second 95 after its call, of which the first runs for 89;
        // the third has no call.
        let store = store(&[
            (false, 1_000, 3, 1),
            (true, 1_004, 100, 1),
            (false, 1_015, 3, 2),
            (true, 1_110, 10, 2),
            (true, 1_200, 10, 9),
        ]);
        let rows = launch_delays(&store, &TimeBase::new(&store, &TimeConfig::default()));
        assert_eq!(rows.len(), 1);
        let row = &rows[0];
        assert_eq!((row.name.as_str(), row.count, row.sum_ns), ("gemm", 2, 99));
        assert_eq!((row.p50_ns, row.p99_ns, row.max_ns, row.queue_ns), (4, 95, 95, 89));
    }
}
