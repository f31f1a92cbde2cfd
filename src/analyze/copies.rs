//! Copies and memsets: bytes, time, rates, what they overlap, who launched them.
//!
//! A copy's direction and memory kinds come from its name, `Memcpy HtoD (Pageable -> Device)`. Rates count only copies
//! that state their size and took time; the others are counted apart. Overlap is with kernels of the same device. Kernels
//! that only move data are copies here, of direction `kernel`: nothing tells their size or where they copy to.

use std::collections::BTreeMap;

use super::base::TimeBase;
use super::devices::{ActivityKind, DeviceActivity};
use super::intervals::{Intervals, Span};
use super::nesting::NestStack;
use super::peaks::{Link, PeakOverrides, peak_gb_per_s};
use super::rates::{Rate, RateSummary};
pub use super::route::Route;
use crate::diag::{IssueKind, Reporter};
use crate::model::EventKind;
use crate::store::{Store, StrId};

/// Upper bounds of the size buckets in bytes; the last bucket has none.
pub const BUCKET_BOUNDS: [u64; 5] = [4 << 10, 64 << 10, 1 << 20, 16 << 20, 256 << 20];

/// Names of the size buckets.
pub const BUCKET_NAMES: [&str; 6] =
    ["< 4 KiB", "4-64 KiB", "64 KiB-1 MiB", "1-16 MiB", "16-256 MiB", ">= 256 MiB"];

/// Stretches that the time series has at most.
const SERIES_BINS: i64 = 100;

/// How to look at copies.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CopiesConfig {
    /// Peaks as the user gives them.
    pub peaks: PeakOverrides,
}

/// The copies of one device, route and size bucket.
#[derive(Clone, Debug, PartialEq)]
pub struct CopyClass {
    /// Device they ran on.
    pub device: Option<u32>,
    /// Direction and memory kinds.
    pub route: Route,
    /// Index into [`BUCKET_NAMES`]; `None` for copies that state no size.
    pub bucket: Option<usize>,
    /// Copies.
    pub count: u64,
    /// Bytes moved; `None` where no copy states a size.
    pub bytes: Option<u64>,
    /// Sum of durations.
    pub sum_ns: i64,
    /// Rates.
    pub rates: RateSummary,
    /// Mean rate as a share of the link's peak, in percent: the link's traffic over its peak.
    pub peak_pct: Option<f64>,
}

/// The copies of one device and direction as time.
#[derive(Clone, Debug, PartialEq)]
pub struct DirectionTime {
    /// Device.
    pub device: Option<u32>,
    /// Direction.
    pub direction: String,
    /// Copies.
    pub count: u64,
    /// Copies that state no size.
    pub n_without_bytes: u64,
    /// Bytes of the others.
    pub bytes: Option<u64>,
    /// Sum of durations.
    pub sum_ns: i64,
    /// Time in which at least one runs.
    pub busy_ns: i64,
    /// Of the busy time, what a kernel of the device covers.
    pub overlapped_ns: i64,
    /// Of the busy time, the rest.
    pub exposed_ns: i64,
    /// Peak of the link in GB/s, where known.
    pub peak_gb_per_s: Option<f64>,
    /// Copies whose traffic is more than the peak; `None` where it is not known.
    pub n_above_peak: Option<u64>,
}

/// Peer copies from one device to another.
#[derive(Clone, Debug, PartialEq)]
pub struct PeerPair {
    /// Source device.
    pub from_device: u32,
    /// Destination device.
    pub to_device: u32,
    /// Copies.
    pub count: u64,
    /// Bytes.
    pub bytes: u64,
    /// Sum of durations.
    pub sum_ns: i64,
    /// Rates.
    pub rates: RateSummary,
}

/// Where copies come from.
#[derive(Clone, Debug, PartialEq)]
pub struct CallSite {
    /// Direction and memory kinds.
    pub route: Route,
    /// Innermost operator around the launching call; `None` where there is none.
    pub op: Option<String>,
    /// Innermost Python frame around it that names a line; `None` where none was recorded.
    pub frame: Option<String>,
    /// Copies.
    pub count: u64,
    /// Bytes of those that state a size.
    pub bytes: Option<u64>,
    /// Sum of durations on the device.
    pub sum_ns: i64,
}

/// Bytes moved in one stretch of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeriesBin {
    /// Direction.
    pub direction: String,
    /// The stretch.
    pub span: Span,
    /// Bytes, each copy's spread evenly over its duration. Over all bins they sum to the bytes of the direction.
    pub bytes: u64,
}

/// Copies and memsets of one input.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Copies {
    /// By device, route and size bucket.
    pub classes: Vec<CopyClass>,
    /// By device and direction.
    pub directions: Vec<DirectionTime>,
    /// Peer copies by pair.
    pub pairs: Vec<PeerPair>,
    /// Call sites, by time descending.
    pub sites: Vec<CallSite>,
    /// Time series by direction.
    pub series: Vec<SeriesBin>,
}

impl Copies {
    /// Counts among the issues the copies that state more traffic than their link can carry.
    pub fn report_above_peak(&self, diag: &mut Reporter) {
        for row in &self.directions {
            let (Some(n), Some(peak)) = (row.n_above_peak.filter(|&n| n > 0), row.peak_gb_per_s)
            else {
                continue;
            };
            let on = row.device.map_or(String::new(), |device| format!(" on device {device}"));
            let detail =
                format!("{n} of {} {}{on}, of a peak of {peak} GB/s", row.count, row.direction);
            diag.add(IssueKind::AbovePeak, n, None, Some(detail));
        }
    }
}

/// One copy or memset.
struct Copy {
    slice: usize,
    device: Option<u32>,
    route: usize,
    span: Span,
    bytes: Option<u64>,
    peers: Option<(u32, u32)>,
}

/// The account of all copies and memsets inside the window.
pub fn copies(store: &Store, base: &TimeBase, config: &CopiesConfig) -> Copies {
    let (routes, copies) = collect(store, base);
    Copies {
        classes: classes(store, &routes, &copies, config),
        directions: directions(store, base, &routes, &copies, config),
        pairs: pairs(&copies),
        sites: call_sites(store, base, &routes, &copies),
        series: series(base, &routes, &copies),
    }
}

fn collect(store: &Store, base: &TimeBase) -> (Vec<Route>, Vec<Copy>) {
    let mut routes: Vec<Route> = Vec::new();
    let mut route_of: BTreeMap<StrId, usize> = BTreeMap::new();
    let mut copies = Vec::new();
    for device in &base.devices {
        for row in device.slices.iter().filter(|row| row.kind.is_copy()) {
            let slice = row.slice as usize;
            let route = *route_of.entry(store.slices.name[slice]).or_insert_with(|| {
                let route = match row.kind {
                    ActivityKind::CopyKernel => Route::of_kernel(),
                    _ => Route::of_name(store.name(slice)),
                };
                routes.iter().position(|known| *known == route).unwrap_or_else(|| {
                    routes.push(route);
                    routes.len() - 1
                })
            });
            let size = store.copy_row(slice);
            copies.push(Copy {
                slice,
                device: device.device,
                route,
                span: row.span,
                bytes: size.map(|row| row.bytes),
                peers: size.and_then(|row| Some((row.from_device?, row.to_device?))),
            });
        }
    }
    (routes, copies)
}

/// Sums over copies.
#[derive(Default)]
struct Sum {
    count: u64,
    n_without_bytes: u64,
    bytes: u64,
    sum_ns: i64,
    rates: Vec<Rate>,
}

impl Sum {
    fn add(&mut self, copy: &Copy) {
        self.count += 1;
        self.sum_ns += copy.span.len_ns();
        match copy.bytes {
            Some(bytes) => {
                self.bytes = self.bytes.saturating_add(bytes);
                self.rates.extend(Rate::new(bytes, copy.span.len_ns()));
            }
            None => self.n_without_bytes += 1,
        }
    }

    /// Bytes, where at least one copy states them.
    fn known_bytes(&self) -> Option<u64> {
        (self.n_without_bytes < self.count).then_some(self.bytes)
    }
}

/// The bucket of a size.
fn bucket_of(bytes: u64) -> usize {
    BUCKET_BOUNDS.iter().position(|&bound| bytes < bound).unwrap_or(BUCKET_BOUNDS.len())
}

fn device_name(store: &Store, device: Option<u32>) -> Option<&str> {
    let device = device?;
    store.meta.devices.iter().find(|known| known.id == device).map(|known| known.name.as_str())
}

fn peak_of(
    store: &Store,
    device: Option<u32>,
    direction: &str,
    config: &CopiesConfig,
) -> Option<f64> {
    peak_gb_per_s(config.peaks, device_name(store, device), Link::of_direction(direction)?)
}

fn classes(
    store: &Store,
    routes: &[Route],
    copies: &[Copy],
    config: &CopiesConfig,
) -> Vec<CopyClass> {
    let mut sums: BTreeMap<(Option<u32>, &Route, Option<usize>), Sum> = BTreeMap::new();
    for copy in copies {
        let key = (copy.device, &routes[copy.route], copy.bytes.map(bucket_of));
        sums.entry(key).or_default().add(copy);
    }
    let class =
        |((device, route, bucket), mut sum): ((Option<u32>, &Route, Option<usize>), Sum)| {
            let rates = RateSummary::of(&mut sum.rates);
            let peak = peak_of(store, device, &route.direction, config);
            let crossings = Link::crossings(&route.direction) as f64;
            CopyClass {
                device,
                route: route.clone(),
                bucket,
                count: sum.count,
                bytes: sum.known_bytes(),
                sum_ns: sum.sum_ns,
                peak_pct: rates
                    .mean_gb_per_s
                    .zip(peak)
                    .map(|(m, peak)| m * crossings / peak * 100.0),
                rates,
            }
        };
    sums.into_iter().map(class).collect()
}

fn directions(
    store: &Store,
    base: &TimeBase,
    routes: &[Route],
    copies: &[Copy],
    config: &CopiesConfig,
) -> Vec<DirectionTime> {
    let kernels: BTreeMap<Option<u32>, Intervals> =
        base.devices.iter().map(|device| (device.device, kernel_time(device))).collect();
    let mut groups: BTreeMap<(Option<u32>, &str), Vec<&Copy>> = BTreeMap::new();
    for copy in copies {
        let key = (copy.device, routes[copy.route].direction.as_str());
        groups.entry(key).or_default().push(copy);
    }
    let mut rows = Vec::new();
    for ((device, direction), group) in groups {
        let mut sum = Sum::default();
        group.iter().for_each(|copy| sum.add(copy));
        let busy = Intervals::union_of(group.iter().map(|copy| copy.span).collect());
        let overlapped_ns =
            kernels.get(&device).map_or(0, |kernels| busy.intersect(kernels).total_ns());
        let peak = peak_of(store, device, direction, config);
        let traffic = |rate: &&Rate| rate.gb_per_s() * Link::crossings(direction) as f64;
        let n_above = |peak| sum.rates.iter().filter(|rate| traffic(rate) > peak).count() as u64;
        rows.push(DirectionTime {
            device,
            n_above_peak: peak.map(n_above),
            direction: direction.to_owned(),
            count: sum.count,
            n_without_bytes: sum.n_without_bytes,
            bytes: sum.known_bytes(),
            sum_ns: sum.sum_ns,
            busy_ns: busy.total_ns(),
            overlapped_ns,
            exposed_ns: busy.total_ns() - overlapped_ns,
            peak_gb_per_s: peak,
        });
    }
    rows
}

fn kernel_time(device: &DeviceActivity) -> Intervals {
    let is_kernel = |kind: ActivityKind| kind.is_kernel() && !kind.is_copy();
    let spans = device.slices.iter().filter(|row| is_kernel(row.kind)).map(|row| row.span);
    Intervals::union_of(spans.collect())
}

fn pairs(copies: &[Copy]) -> Vec<PeerPair> {
    let mut sums: BTreeMap<(u32, u32), Sum> = BTreeMap::new();
    for copy in copies {
        if let Some(peers) = copy.peers {
            sums.entry(peers).or_default().add(copy);
        }
    }
    sums.into_iter()
        .map(|((from_device, to_device), mut sum)| PeerPair {
            from_device,
            to_device,
            count: sum.count,
            bytes: sum.bytes,
            sum_ns: sum.sum_ns,
            rates: RateSummary::of(&mut sum.rates),
        })
        .collect()
}

/// The innermost operator and Python frame around a launching call.
type Site = (Option<StrId>, Option<StrId>);

fn call_sites(store: &Store, base: &TimeBase, routes: &[Route], copies: &[Copy]) -> Vec<CallSite> {
    let calls: Vec<Option<usize>> =
        copies.iter().map(|copy| base.launches.call_of(store, copy.slice)).collect();
    let sites = sites_of(store, calls.iter().copied().flatten().collect());
    let mut sums: BTreeMap<(usize, Site), Sum> = BTreeMap::new();
    for (copy, call) in copies.iter().zip(&calls) {
        let site = call.and_then(|call| sites.get(&call)).copied().unwrap_or_default();
        sums.entry((copy.route, site)).or_default().add(copy);
    }
    let text = |id: StrId| store.strings.get(id).to_owned();
    let mut rows: Vec<CallSite> = sums
        .into_iter()
        .map(|((route, (op, frame)), sum)| CallSite {
            route: routes[route].clone(),
            op: op.map(text),
            frame: frame.map(text),
            count: sum.count,
            bytes: sum.known_bytes(),
            sum_ns: sum.sum_ns,
        })
        .collect();
    rows.sort_by(|a, b| {
        let key = |site: &CallSite| (std::cmp::Reverse(site.sum_ns), site.route.clone());
        key(a).cmp(&key(b)).then_with(|| (&a.op, &a.frame).cmp(&(&b.op, &b.frame)))
    });
    rows
}

/// What surrounds each of the calls, by one walk over each of their tracks.
fn sites_of(store: &Store, mut calls: Vec<usize>) -> BTreeMap<usize, Site> {
    calls.sort_unstable();
    calls.dedup();
    let mut sites = BTreeMap::new();
    let mut stack = NestStack::default();
    for track in &store.tracks {
        let first = calls.partition_point(|&call| call < track.slices.start);
        let n = calls[first..].partition_point(|&call| call < track.slices.end);
        let mut wanted = calls[first..first + n].iter().copied().peekable();
        let Some(last) = calls[first..first + n].last().copied() else { continue };
        for slice in track.slices.start..=last {
            let (start_ns, end_ns) = (store.slices.ts_ns[slice], store.slices.end_ns(slice));
            stack.enter(slice as u32, start_ns, end_ns, |_| ());
            if wanted.next_if_eq(&slice).is_some() {
                let around = || stack.open().iter().rev().skip(1).map(|open| open.slice as usize);
                let op = around().find(|&around| store.kind(around) == EventKind::CpuOp);
                let frame = around().find(|&around| is_line(store, around));
                let name = |slice: usize| store.slices.name[slice];
                sites.insert(slice, (op.map(name), frame.map(name)));
            }
        }
        stack.finish(|_| ());
    }
    sites
}

/// Whether a slice is a Python frame with a line, not a built-in function: what a person can look up.
fn is_line(store: &Store, slice: usize) -> bool {
    store.kind(slice) == EventKind::PythonFunction && !store.name(slice).starts_with('<')
}

fn series(base: &TimeBase, routes: &[Route], copies: &[Copy]) -> Vec<SeriesBin> {
    let window = base
        .devices
        .iter()
        .map(|device| device.window)
        .reduce(|a, b| Span::new(a.start_ns.min(b.start_ns), a.end_ns.max(b.end_ns)));
    let Some(window) = window.filter(|window| !window.is_empty()) else { return Vec::new() };
    let bin_ns = (window.len_ns() as u64).div_ceil(SERIES_BINS as u64).max(1) as i64;
    let n_bins = (window.len_ns() as u64).div_ceil(bin_ns as u64) as usize;
    let mut by_direction: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    for copy in copies {
        let Some(bytes) = copy.bytes else { continue };
        let direction = routes[copy.route].direction.as_str();
        let bins = by_direction.entry(direction).or_insert_with(|| vec![0; n_bins]);
        spread(bins, bin_ns, window, copy.span, bytes);
    }
    let mut rows = Vec::new();
    for (direction, bins) in by_direction {
        for (i, bytes) in bins.into_iter().enumerate() {
            let start_ns = window.start_ns + i as i64 * bin_ns;
            let span = Span::new(start_ns, (start_ns + bin_ns).min(window.end_ns));
            rows.push(SeriesBin { direction: direction.to_owned(), span, bytes });
        }
    }
    rows
}

/// Adds a copy's bytes to the bins it runs through, in proportion to the time in each and exact in sum.
fn spread(bins: &mut [u64], bin_ns: i64, window: Span, span: Span, bytes: u64) {
    let bin_of = |t_ns: i64| (((t_ns - window.start_ns) / bin_ns) as usize).min(bins.len() - 1);
    let (first, last) = (bin_of(span.start_ns), bin_of((span.end_ns - 1).max(span.start_ns)));
    let mut given = 0_u64;
    for (bin, sum) in bins.iter_mut().enumerate().take(last + 1).skip(first) {
        let end_ns = (window.start_ns + (bin as i64 + 1) * bin_ns).min(span.end_ns);
        let up_to = if bin == last {
            bytes
        } else {
            let passed = u128::from((end_ns - span.start_ns).unsigned_abs());
            (u128::from(bytes) * passed / u128::from(span.len_ns().unsigned_abs())) as u64
        };
        *sum += up_to - given;
        given = up_to;
    }
}

#[cfg(test)]
mod tests {
    use super::{Route, Span, bucket_of, spread};

    #[test]
    fn names_give_routes() {
        let route = |name: &str| {
            let route = Route::of_name(name);
            (route.direction, route.source, route.destination)
        };
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(
            route("Memcpy HtoD (Pageable -> Device)"),
            ("HtoD".into(), some("Pageable"), some("Device"))
        );
        assert_eq!(route("Memset (Device)"), ("Memset".into(), None, some("Device")));
        assert_eq!(route("Memcpy PtoP"), ("PtoP".into(), None, None));
        assert_eq!(route("CopyDeviceToHost"), ("DtoH".into(), None, None));
    }

    #[test]
    fn buckets_begin_at_their_lower_bound() {
        assert_eq!([0, 4095, 4096, 1 << 20, 256 << 20].map(bucket_of), [0, 0, 1, 3, 5]);
    }

    proptest::proptest! {
        #[test]
        fn spreading_keeps_every_byte(start in 0_i64..990, len in 0_i64..400, bytes in 0_u64..1 << 40) {
            let window = Span::new(0, 1000);
            let span = Span::new(start, (start + len).min(1000));
            let mut bins = vec![0; 34];
            spread(&mut bins, 30, window, span, bytes);
            proptest::prop_assert_eq!(bins.iter().sum::<u64>(), bytes);
        }
    }
}
