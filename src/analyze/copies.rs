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
use super::percent;
use super::rates::{Rate, RateSummary};
pub use super::route::Route;
use crate::diag::{IssueKind, Reporter};
use crate::model::EventKind;
use crate::schema::tables;
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

tables! {
    /// Copies of one input, device and direction.
    DirectionRow: "directions", "Copies by direction", "How long did copies take, and what hid them?", groups 1, on Copies 1, shown Always {
        input: usize, Count, All, "#", "number of the input";
        device: Option<u32>, Count, All, "device", "device index";
        direction: String, Text, All, "direction", "HtoD, DtoH, DtoD, PtoP, HtoH, Memset, kernel (a kernel that copies) or unknown";
        count: u64, Count, All, "count", "copies";
        without_bytes: u64, Count, Room, "no size", "copies that state no size";
        bytes: Option<u64>, Bytes, All, "bytes", "bytes of those that state a size";
        sum_ns: i64, Ns, Room, "time", "sum of the durations";
        busy_ns: i64, Ns, All, "busy", "time in which at least one runs";
        overlapped_ns: i64, Ns, All, "overlapped", "busy while a kernel of the device runs that does more than copy";
        exposed_ns: i64, Ns, All, "exposed", "busy while none does";
        exposed_pct: Option<f64>, Percent, All, "exposed %", "exposed, of busy";
        peak_gb_per_s: Option<f64>, Rate, All, "peak GB/s", "the link's peak by its datasheet or as given";
        above_peak: Option<u64>, Count, All, "above peak", "copies that moved more than the peak; a copy within a device reads and writes";
    }

    /// Copies of one input, device, route and size.
    CopyRow: "copies", "Copies by route and size", "How fast were copies, and how near the peak of their link?", groups 1, on Copies 2 {
        input: usize, Count, All, "#", "number of the input";
        device: Option<u32>, Count, All, "device", "device index";
        direction: String, Text, All, "direction", "from where to where";
        source: Option<String>, Text, All, "from", "kind of the source memory";
        destination: Option<String>, Text, All, "to", "kind of the destination memory";
        size: Option<&'static str>, Text, All, "size", "size of one copy";
        count: u64, Count, All, "count", "copies";
        bytes: Option<u64>, Bytes, All, "bytes", "bytes of all";
        sum_ns: i64, Ns, All, "time", "sum of the durations";
        mean_gb_per_s: Option<f64>, Rate, All, "mean GB/s", "bytes over time, of all";
        median_gb_per_s: Option<f64>, Rate, All, "median", "the median copy, nearest rank";
        p95_gb_per_s: Option<f64>, Rate, All, "p95", "the 95th percentile, nearest rank";
        best_gb_per_s: Option<f64>, Rate, All, "best", "the best copy";
        peak_pct: Option<f64>, Percent, All, "of peak", "mean traffic of the link over its peak; a copy within a device reads and writes";
    }

    /// Copies from one device to another.
    PeerRow: "peers", "Copies between devices", "How fast did devices copy to each other?", groups 1, on Copies 3 {
        input: usize, Count, All, "#", "number of the input";
        from_device: u32, Count, All, "from", "source device";
        to_device: u32, Count, All, "to", "destination device";
        count: u64, Count, All, "count", "copies";
        bytes: u64, Bytes, All, "bytes", "bytes of all";
        sum_ns: i64, Ns, All, "time", "sum of the durations";
        mean_gb_per_s: Option<f64>, Rate, All, "mean GB/s", "bytes over time";
        best_gb_per_s: Option<f64>, Rate, All, "best", "the best copy";
    }

    /// Where copies were launched.
    CallSiteRow: "call_sites", "Where copies come from", "Which operators and frames launched copies?", groups 1, on Copies 6, shown Folded {
        input: usize, Count, All, "#", "number of the input";
        route: String, Text, All, "route", "direction and kinds of memory";
        count: u64, Count, All, "count", "copies";
        bytes: Option<u64>, Bytes, All, "bytes", "bytes of those that state a size";
        sum_ns: i64, Ns, All, "time", "sum of the durations on the device";
        op: Option<String>, Text, All, "operator", "innermost operator around the launching call";
        frame: Option<String>, Text, All / Subject, "frame", "innermost Python frame around it";
    }

    /// Bytes of one direction in one stretch of time.
    SeriesRow: "series", "Bytes over time", "When was how much moved?", groups 1, on Copies 7, shown Request {
        input: usize, Count, All, "#", "number of the input";
        direction: String, Text, All, "direction", "from where to where";
        ts_ns: i64, Ns, All, "start", "start, in the trace's own time";
        dur_ns: i64, Ns, All, "length", "length of the stretch";
        bytes: u64, Bytes, All, "bytes", "bytes moved in it";
    }
}

/// Copies and memsets of one input.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Copies {
    /// By device, route and size bucket.
    pub classes: Vec<CopyRow>,
    /// By device and direction.
    pub directions: Vec<DirectionRow>,
    /// Peer copies by pair.
    pub pairs: Vec<PeerRow>,
    /// Call sites, by time descending.
    pub sites: Vec<CallSiteRow>,
    /// Time series by direction.
    pub series: Vec<SeriesRow>,
}

impl Copies {
    /// Counts among the issues the copies that state more traffic than their link can carry.
    pub fn report_above_peak(&self, diag: &mut Reporter) {
        for row in &self.directions {
            let (Some(n), Some(peak)) = (row.above_peak.filter(|&n| n > 0), row.peak_gb_per_s)
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
        classes: classes(store, base, &routes, &copies, config),
        directions: directions(store, base, &routes, &copies, config),
        pairs: pairs(base, &copies),
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

fn peak_of(
    store: &Store,
    device: Option<u32>,
    direction: &str,
    config: &CopiesConfig,
) -> Option<f64> {
    peak_gb_per_s(config.peaks, store.meta.device_name(device), Link::of_direction(direction)?)
}

fn classes(
    store: &Store,
    base: &TimeBase,
    routes: &[Route],
    copies: &[Copy],
    config: &CopiesConfig,
) -> Vec<CopyRow> {
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
            CopyRow {
                input: base.input,
                device,
                direction: route.direction.clone(),
                source: route.source.clone(),
                destination: route.destination.clone(),
                size: bucket.map(|bucket| BUCKET_NAMES[bucket]),
                count: sum.count,
                bytes: sum.known_bytes(),
                sum_ns: sum.sum_ns,
                peak_pct: rates
                    .mean_gb_per_s
                    .zip(peak)
                    .map(|(m, peak)| m * crossings / peak * 100.0),
                mean_gb_per_s: rates.mean_gb_per_s,
                median_gb_per_s: rates.median_gb_per_s,
                p95_gb_per_s: rates.p95_gb_per_s,
                best_gb_per_s: rates.best_gb_per_s,
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
) -> Vec<DirectionRow> {
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
        let exposed_ns = busy.total_ns() - overlapped_ns;
        rows.push(DirectionRow {
            input: base.input,
            device,
            above_peak: peak.map(n_above),
            direction: direction.to_owned(),
            count: sum.count,
            without_bytes: sum.n_without_bytes,
            bytes: sum.known_bytes(),
            sum_ns: sum.sum_ns,
            busy_ns: busy.total_ns(),
            overlapped_ns,
            exposed_ns,
            exposed_pct: percent(exposed_ns, busy.total_ns()),
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

fn pairs(base: &TimeBase, copies: &[Copy]) -> Vec<PeerRow> {
    let mut sums: BTreeMap<(u32, u32), Sum> = BTreeMap::new();
    for copy in copies {
        if let Some(peers) = copy.peers {
            sums.entry(peers).or_default().add(copy);
        }
    }
    let row = |((from_device, to_device), mut sum): ((u32, u32), Sum)| {
        let rates = RateSummary::of(&mut sum.rates);
        PeerRow {
            input: base.input,
            from_device,
            to_device,
            count: sum.count,
            bytes: sum.bytes,
            sum_ns: sum.sum_ns,
            mean_gb_per_s: rates.mean_gb_per_s,
            best_gb_per_s: rates.best_gb_per_s,
        }
    };
    sums.into_iter().map(row).collect()
}

/// The innermost operator and Python frame around a launching call.
type Site = (Option<StrId>, Option<StrId>);

fn call_sites(
    store: &Store,
    base: &TimeBase,
    routes: &[Route],
    copies: &[Copy],
) -> Vec<CallSiteRow> {
    let calls: Vec<Option<usize>> =
        copies.iter().map(|copy| base.launches.call_of(store, copy.slice)).collect();
    let sites = sites_of(store, calls.iter().copied().flatten().collect());
    let mut sums: BTreeMap<(usize, Site), Sum> = BTreeMap::new();
    for (copy, call) in copies.iter().zip(&calls) {
        let site = call.and_then(|call| sites.get(&call)).copied().unwrap_or_default();
        sums.entry((copy.route, site)).or_default().add(copy);
    }
    let text = |id: StrId| store.strings.get(id).to_owned();
    let mut sums: Vec<_> = sums.into_iter().collect();
    // Numbers of texts are their order.
    sums.sort_by_key(|((route, site), sum)| {
        (std::cmp::Reverse(sum.sum_ns), &routes[*route], *site)
    });
    let row = |((route, (op, frame)), sum): ((usize, Site), Sum)| CallSiteRow {
        input: base.input,
        route: routes[route].to_string(),
        op: op.map(text),
        frame: frame.map(text),
        count: sum.count,
        bytes: sum.known_bytes(),
        sum_ns: sum.sum_ns,
    };
    sums.into_iter().map(row).collect()
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

fn series(base: &TimeBase, routes: &[Route], copies: &[Copy]) -> Vec<SeriesRow> {
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
            let dur_ns = (start_ns + bin_ns).min(window.end_ns) - start_ns;
            let (input, direction) = (base.input, direction.to_owned());
            rows.push(SeriesRow { input, direction, ts_ns: start_ns, dur_ns, bytes });
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
