//! How near kernels come to what their device can do: FLOPs and bytes of operator calls against its peaks.
//!
//! A kernel belongs to the outermost operator around its launch that has a model ([`models`]), else to the innermost
//! operator. A call takes `max(FLOPs / peak, bytes / memory bandwidth)` at least; what its kernels ran longer is lost
//! against the roof. Kernels that no model covers have rows of their own, so that the times add up to all kernels.
//! FLOPs are of shapes that were recorded; without them nothing is modelled, and that is said first.

mod join;
mod models;
mod serving;
mod shapes;
mod transfers;
mod utilization;

use std::collections::BTreeMap;

use join::{Call, calls};
use models::Cost;
pub use models::{DEFAULT_OP_MODELS, OpModels};
pub use shapes::Dtype;
use transfers::Group;
use utilization::utilization;

use super::base::TimeBase;
use super::iterations::Iterations;
use super::peaks::{Arithmetic, Link, PeakOverrides, peak_gb_per_s, peak_tflop_per_s};
use crate::schema::{tables, words};
use crate::store::{Store, StrId};

words! {
    /// What a call cannot be faster than.
    Bound {
        /// Its products.
        Compute "compute",
        /// Its bytes.
        Memory "memory",
        /// What it sends to other devices.
        Link "link",
    }
}

tables! {
    /// The calls of one operator with the same inputs.
    RooflineRow: "roofline", "Operators against the roofline", "How near do kernels come to what the device can do, and where is time lost?", groups 2, on Use 2, shown Request, carried whole {
        input: usize, Count, All, "#", "number of the input";
        device: Option<u32>, Count, All, "device", "device that the kernels ran on; none where nothing was launched";
        count: u64, Count, All, "count", "calls; of collectives, and of kernels that no operator launched, kernels";
        device_ns: Option<i64>, Ns, All, "kernels", "sum of the kernels launched inside; those of collectives wait for other ranks as well; none where the trace has no device activity";
        host_ns: i64, Ns, Request, "host", "sum of the calls on the host; 0 where kernels are counted";
        flops: Option<u64>, Count, All, "FLOPs", "as torch's FlopCounterMode counts: two for each multiplication with its addition; none where only bytes are modelled";
        work_flops: Option<u64>, Count, Machines, "needed FLOPs", "of these, without keys that a causal mask hides; rates and bounds are of these";
        bytes: Option<u64>, Bytes, All, "bytes", "what has to be read and written at least once; of a collective its size as nccl-tests counts it";
        intensity: Option<f64>, Rate, Room, "FLOPs/byte", "needed FLOPs over bytes";
        tflop_per_s: Option<f64>, Rate, All, "TFLOP/s", "needed FLOPs over the time of the kernels, in 10^12 a second";
        gb_per_s: Option<f64>, Rate, All, "GB/s", "bytes over the time of the kernels, in 10^9 a second: of a collective its algorithm bandwidth";
        bound: Option<Bound>, Text, All, "bound", "what takes longer at the device's peak: products or memory; of collectives the link to other devices";
        roof_pct: Option<f64>, Percent, All, "of roof", "time at the device's peak, of the time of the kernels";
        lost_ns: Option<i64>, Ns, All, "lost", "time of the kernels beyond that at the device's peak; of collectives with their waiting for other ranks";
        peak_tflop_per_s: Option<f64>, Rate, Machines, "peak TFLOP/s", "what the device can compute with the type at most, in 10^12 a second";
        peak_gb_per_s: Option<f64>, Rate, Machines, "peak GB/s", "what the device's memory can move at most, in 10^9 a second; of a collective what the link can, in one direction; none where the group is not known to be on one host";
        dtype: Option<Dtype>, Text, All, "type", "type of the factors; tf32 where the kernel's name says so";
        model: Option<&'static str>, Text, Room, "model", "how FLOPs and bytes follow from the inputs; none where no model covers the operator or no shapes are recorded";
        operator: Option<String>, Text, All / Subject, "operator", "outermost operator with a model around the launch, else the innermost; of a collective what it is called; none where none is";
        shapes: Option<String>, Text, All, "inputs", "shapes of the inputs, as recorded";
    }

    /// How well a device was used in the window, or in the iterations of a phase.
    UtilizationRow: "utilization", "Use of the devices", "What share of the device's peak was used, and what of the kernel time does that cover?", groups 3, on Use 1, shown Request, carried whole {
        input: usize, Count, All, "#", "number of the input";
        device: Option<u32>, Count, All, "device", "device index";
        scope: String, Text, All, "of", "window, or the phase of iterations";
        modelled_pct: Option<f64>, Percent, All, "modelled", "kernels whose bytes or FLOPs a model tells, of the kernel time, collectives included; the rest counts as no work";
        time_ns: i64, Ns, All, "time", "the window; of a phase, from the first start to the last end of what each iteration launched, what several cover counted once";
        kernel_ns: i64, Ns, All, "kernels", "sum of the kernels, collectives included";
        modelled_ns: i64, Ns, Room, "modelled time", "of these, with a model";
        lost_ns: Option<i64>, Ns, All, "lost", "time of the modelled kernels beyond that at the device's peak, as the rows of the roofline have it; none where a peak is not known";
        flops: u64, Count, All, "FLOPs", "of the modelled calls, without keys that a causal mask hides";
        bytes: u64, Bytes, All, "bytes", "of the modelled calls, without collectives";
        mfu_pct: Option<f64>, Percent, All, "MFU", "FLOPs, of what the device can do in the time with their types; a lower bound where not all is modelled; none where the device's peak is not known";
        mbu_pct: Option<f64>, Percent, All, "MBU", "bytes, of what the device's memory can move in the time; a lower bound where not all is modelled";
        device_name: Option<String>, Text, All / Subject, "device name", "name of the device, by which its peaks are found";
    }
}

/// How to look at it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RooflineConfig {
    /// Models of operators.
    pub models: OpModels,
    /// Peaks as the user gives them.
    pub peaks: PeakOverrides,
}

/// The rows of one input.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Roofline {
    /// By operator and inputs, the longest lost time first.
    pub rows: Vec<RooflineRow>,
    /// By device: the window, then the phases.
    pub utilization: Vec<UtilizationRow>,
}

/// What makes calls alike.
type Key = (Option<u32>, Option<StrId>, Option<u32>, [bool; 2], Option<Group>);

/// Calls that are alike.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    count: u64,
    host_ns: i64,
    device_ns: i64,
    /// Of all calls together.
    cost: Option<Cost>,
    model: Option<&'static str>,
}

/// FLOPs and bytes of all operator calls, against the peaks of the devices; nothing where no shapes are recorded.
pub fn roofline(
    store: &Store,
    base: &TimeBase,
    iterations: &Iterations,
    config: &RooflineConfig,
) -> Roofline {
    if store.shapes.is_empty() {
        return Roofline::default();
    }
    let calls = calls(store, base, config, iterations);
    let has_device = !base.devices.is_empty();
    let sums = sums(&calls);
    let rows = sums.into_iter().map(|(key, sum)| {
        let device = Device::of(store, key.0, config.peaks);
        row(store, (base.input, has_device), &device, (key, sum))
    });
    let mut rows: Vec<RooflineRow> = rows.collect();
    rows.sort_by_key(|row| std::cmp::Reverse((row.lost_ns, row.device_ns, row.host_ns)));
    let utilization = utilization(store, base, iterations, (&calls, config.peaks));
    Roofline { rows, utilization }
}

/// Calls that are alike, together.
fn sums<'a>(calls: impl IntoIterator<Item = &'a Call>) -> BTreeMap<Key, Sum> {
    let mut sums: BTreeMap<Key, Sum> = BTreeMap::new();
    for call in calls {
        let key =
            (call.device, call.name, call.shapes, [call.is_tf32, call.cost.is_some()], call.group);
        let sum = sums.entry(key).or_default();
        sum.count += 1;
        sum.host_ns += call.host_ns;
        sum.device_ns += call.device_ns;
        sum.model = call.model;
        sum.cost = match (sum.cost, call.cost) {
            (Some(before), Some(own)) => Some(before.and(own)),
            (before, own) => before.or(own),
        };
    }
    sums
}

/// What some calls that are alike take at the peaks of their device.
struct Roof {
    /// What takes the longest.
    bound: Bound,
    /// How long, where that is known of all that is modelled, and kernels ran.
    ns: Option<f64>,
}

impl Roof {
    fn of(device: &Device<'_>, cost: &Cost, dtype: Option<Dtype>, device_ns: i64) -> Self {
        if let Some(transfer) = cost.transfer {
            return Self { bound: Bound::Link, ns: transfer.ns().filter(|_| device_ns > 0) };
        }
        let compute_ns = device.compute_ns(cost.work_flops, dtype);
        let memory_ns = device.memory_ns(cost.bytes);
        // Without a peak for one of the two that are modelled, the roof is not known.
        let is_known = compute_ns.is_some() == cost.work_flops.is_some() && memory_ns.is_some();
        let ns = memory_ns.filter(|_| is_known && device_ns > 0);
        let bound = if compute_ns > memory_ns { Bound::Compute } else { Bound::Memory };
        Self { bound, ns: ns.map(|ns| ns.max(compute_ns.unwrap_or(0.0))) }
    }

    /// What kernels ran longer.
    fn lost_ns(&self, device_ns: i64) -> Option<i64> {
        self.ns.map(|ns| device_ns - (ns.ceil() as i64).min(device_ns))
    }
}

impl Sum {
    /// The type of the factors.
    fn dtype(&self, is_tf32: bool) -> Option<Dtype> {
        self.cost?.dtype.map(|dtype| if is_tf32 { Dtype::Tf32 } else { dtype })
    }
}

fn row(
    store: &Store,
    (input, has_device): (usize, bool),
    device: &Device<'_>,
    (key, sum): (Key, Sum),
) -> RooflineRow {
    let (number, name, shapes, [is_tf32, _], _) = key;
    let cost = sum.cost.unwrap_or_default();
    let dtype = sum.dtype(is_tf32);
    let (work_flops, bytes) = (cost.work_flops, cost.bytes);
    let ran = (sum.device_ns > 0).then_some(sum.device_ns as f64);
    let roof = Roof::of(device, &cost, dtype, sum.device_ns);
    RooflineRow {
        input,
        device: number,
        count: sum.count,
        device_ns: has_device.then_some(sum.device_ns),
        host_ns: sum.host_ns,
        flops: cost.flops,
        work_flops,
        bytes,
        intensity: work_flops
            .zip(bytes)
            .filter(|&(_, bytes)| bytes > 0)
            .map(|(f, b)| f as f64 / b as f64),
        tflop_per_s: work_flops.zip(ran).map(|(flops, ns)| flops as f64 / ns / 1e3),
        gb_per_s: bytes.zip(ran).map(|(bytes, ns)| bytes as f64 / ns),
        bound: roof.ns.map(|_| roof.bound),
        roof_pct: roof.ns.zip(ran).map(|(roof, ns)| roof * 100.0 / ns),
        lost_ns: roof.lost_ns(sum.device_ns),
        peak_tflop_per_s: dtype
            .filter(|_| cost.transfer.is_none())
            .and_then(arithmetic)
            .and_then(|of| peak_tflop_per_s(device.name, of)),
        peak_gb_per_s: match cost.transfer {
            Some(transfer) => transfer.gb_per_s,
            None => peak_gb_per_s(device.peaks, device.name, Link::Memory),
        },
        dtype,
        model: sum.model.filter(|_| sum.cost.is_some()),
        operator: name.map(|name| store.strings.get(name).to_owned()),
        shapes: shapes
            .and_then(|i| store.shapes[i as usize].dims)
            .map(|id| on_one_line(store.strings.get(id))),
    }
}

/// Shapes as torch writes them, where the file was written anew with line feeds and indents.
fn on_one_line(shapes: &str) -> String {
    if !shapes.contains('\n') {
        return shapes.to_owned();
    }
    let words: Vec<&str> = shapes.split_whitespace().collect();
    words.join(" ").replace("[ ", "[").replace(" ]", "]")
}

/// A device with its peaks.
struct Device<'a> {
    name: Option<&'a str>,
    peaks: PeakOverrides,
}

impl<'a> Device<'a> {
    fn of(store: &'a Store, number: Option<u32>, peaks: PeakOverrides) -> Self {
        Self { name: store.meta.device_name(number), peaks }
    }

    /// Nanoseconds of products at the peak of their type.
    fn compute_ns(&self, flops: Option<u64>, dtype: Option<Dtype>) -> Option<f64> {
        let peak = peak_tflop_per_s(self.name, arithmetic(dtype?)?)?;
        Some(flops? as f64 / peak / 1e3)
    }

    /// Nanoseconds of bytes at the peak of the memory.
    fn memory_ns(&self, bytes: Option<u64>) -> Option<f64> {
        Some(bytes? as f64 / peak_gb_per_s(self.peaks, self.name, Link::Memory)?)
    }
}

/// The units that multiply a type; `None` for types of which no peak is known.
fn arithmetic(dtype: Dtype) -> Option<Arithmetic> {
    Some(match dtype {
        Dtype::Fp64 => Arithmetic::Fp64,
        Dtype::Fp32 => Arithmetic::Fp32,
        Dtype::Tf32 => Arithmetic::Tf32,
        Dtype::Bf16 | Dtype::Fp16 => Arithmetic::Half,
        Dtype::Fp8 => Arithmetic::Fp8,
        Dtype::Int8 => Arithmetic::Int8,
        _ => return None,
    })
}
