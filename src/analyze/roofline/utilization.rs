//! How well a device was used in the window and in the iterations of a phase.

use std::collections::BTreeMap;

use super::join::Call;
use super::shapes::Dtype;
use super::{Device, Key, Roof, Sum, UtilizationRow, sums};
use crate::analyze::base::TimeBase;
use crate::analyze::intervals::{Intervals, Span};
use crate::analyze::iteration_names::Phase;
use crate::analyze::iterations::Iterations;
use crate::analyze::peaks::PeakOverrides;
use crate::analyze::percent;
use crate::store::Store;

/// What ran on one device in one scope.
#[derive(Default)]
struct Used<'a> {
    calls: Vec<&'a Call>,
    time_ns: i64,
    kernel_ns: i64,
    modelled_ns: i64,
    flops: u64,
    bytes: u64,
    /// Time at the peak of products; `None` once a type has none.
    compute_ns: Option<f64>,
}

impl<'a> Used<'a> {
    fn over(time_ns: i64) -> Self {
        Self { time_ns, compute_ns: Some(0.0), ..Self::default() }
    }

    fn add(&mut self, device: &Device<'_>, call: &'a Call) {
        self.calls.push(call);
        self.kernel_ns += call.device_ns;
        let Some(cost) = call.cost else { return };
        self.modelled_ns += call.device_ns;
        if cost.transfer.is_some() {
            return;
        }
        self.bytes = self.bytes.saturating_add(cost.bytes.unwrap_or(0));
        if let Some(flops) = cost.work_flops {
            self.flops = self.flops.saturating_add(flops);
            let dtype = cost.dtype.map(|dtype| if call.is_tf32 { Dtype::Tf32 } else { dtype });
            let ns = device.compute_ns(Some(flops), dtype);
            self.compute_ns = self.compute_ns.zip(ns).map(|(sum, ns)| sum + ns);
        }
    }

    /// The sum of what the rows of these calls lost.
    fn lost_ns(&self, device: &Device<'_>) -> Option<i64> {
        let lost = |(key, sum): (Key, Sum)| {
            let roof = Roof::of(device, &sum.cost?, sum.dtype(key.3[0]), sum.device_ns);
            roof.lost_ns(sum.device_ns)
        };
        let known: Vec<i64> =
            sums(self.calls.iter().copied()).into_iter().filter_map(lost).collect();
        (!known.is_empty()).then(|| known.iter().sum())
    }

    fn row(
        &self,
        input: usize,
        number: Option<u32>,
        scope: &str,
        device: &Device<'_>,
    ) -> UtilizationRow {
        let of_time = |ns: Option<f64>| {
            ns.filter(|_| self.time_ns > 0 && self.modelled_ns > 0)
                .map(|ns| ns * 100.0 / self.time_ns as f64)
        };
        UtilizationRow {
            input,
            device: number,
            scope: scope.to_owned(),
            modelled_pct: percent(self.modelled_ns, self.kernel_ns),
            time_ns: self.time_ns,
            kernel_ns: self.kernel_ns,
            modelled_ns: self.modelled_ns,
            lost_ns: self.lost_ns(device),
            flops: self.flops,
            bytes: self.bytes,
            mfu_pct: of_time(self.compute_ns.filter(|_| device.name.is_some())),
            mbu_pct: of_time(device.memory_ns(Some(self.bytes))),
            device_name: device.name.map(str::to_owned),
        }
    }
}

/// The iterations of one phase.
#[derive(Default)]
struct PhaseTime {
    /// Time on the host.
    host: Intervals,
    /// From the first start to the last end of what each launched; what several of them cover counts once.
    device: Intervals,
}

/// The iterations of each phase. One inside another of the same phase adds nothing.
fn phase_times(iterations: &Iterations) -> BTreeMap<Phase, PhaseTime> {
    let mut spans: BTreeMap<Phase, [Vec<Span>; 2]> = BTreeMap::new();
    for one in &iterations.rows {
        let [host, device] = spans.entry(one.phase).or_default();
        host.push(one.span());
        device.extend(one.device_span);
    }
    let union = |[host, device]: [Vec<Span>; 2]| PhaseTime {
        host: Intervals::union_of(host),
        device: Intervals::union_of(device),
    };
    spans.into_iter().map(|(phase, both)| (phase, union(both))).collect()
}

impl PhaseTime {
    /// Whether a time lies in an iteration.
    fn holds(&self, at_ns: i64) -> bool {
        let spans = self.host.spans();
        let before = spans.partition_point(|span| span.start_ns <= at_ns);
        before.checked_sub(1).is_some_and(|last| at_ns < spans[last].end_ns)
    }
}

/// The rows of all devices: the window, then the phases.
pub(super) fn utilization(
    store: &Store,
    base: &TimeBase,
    iterations: &Iterations,
    (calls, peaks): (&[Call], PeakOverrides),
) -> Vec<UtilizationRow> {
    let times = phase_times(iterations);
    let mut rows = Vec::new();
    for activity in &base.devices {
        let number = activity.device;
        let device = Device::of(store, number, peaks);
        let own: Vec<&Call> = calls.iter().filter(|call| call.device == number).collect();
        let mut whole = Used::over(activity.window.len_ns());
        own.iter().for_each(|call| whole.add(&device, call));
        rows.push(whole.row(base.input, number, "window", &device));
        for (phase, time) in &times {
            let mut used = Used::over(time.device.clip(activity.window).total_ns());
            let inside = own.iter().filter(|call| time.holds(call.at_ns));
            inside.for_each(|call| used.add(&device, call));
            if used.kernel_ns > 0 {
                rows.push(used.row(base.input, number, phase.as_str(), &device));
            }
        }
    }
    rows
}
