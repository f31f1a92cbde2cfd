//! The figures of `bandwidth`.

use std::collections::BTreeMap;

use super::{
    BarPart, BarRow, BarScale, Bars, Figure, FigureKind, RatePoint, RateSeries, Rates, Role, empty,
    inputs_in_words,
};
use crate::table::BandwidthReport;

/// Roles of the series of copies, which only have to differ.
const SERIES: [Role; 8] = [
    Role::CpuOp,
    Role::IpcWait,
    Role::Kernel,
    Role::Comm,
    Role::GpuSync,
    Role::OtherWait,
    Role::Copy,
    Role::Other,
];

/// With more operations than this, a line for each bandwidth would hide the others.
const MAX_BOTH: usize = 2;

/// The figures, in the order of reading.
pub fn bandwidth_figures(report: &BandwidthReport) -> Vec<Figure> {
    vec![copies(report), exposed(report), collectives(report)]
}

fn subtitle(report: &BandwidthReport) -> String {
    inputs_in_words(report.inputs.iter().map(|input| input.path.as_str()))
}

fn losses(report: &BandwidthReport) -> Vec<String> {
    let lossy = report.inputs.iter().filter(|input| !input.trust.starts_with("complete"));
    lossy.map(|input| format!("#{} {}: {}", input.input, input.label, input.trust)).collect()
}

/// Copies by size: the mean rate of each class of sizes, all inputs and devices together.
fn copies(report: &BandwidthReport) -> Figure {
    const TITLE: &str =
        "Copy bandwidth by size: mean of each class of sizes, by direction and kind";
    let mut series: BTreeMap<String, BTreeMap<&str, (u64, u64, i64)>> = BTreeMap::new();
    for row in &report.copies {
        let (Some(bytes), Some(size)) = (row.bytes, row.size) else { continue };
        if bytes == 0 || row.sum_ns <= 0 {
            continue;
        }
        let name = match (&row.source, &row.destination) {
            (Some(from), Some(to)) => format!("{} {from} → {to}", row.direction),
            _ => row.direction.clone(),
        };
        let sum = series.entry(name).or_default().entry(size).or_default();
        *sum = (sum.0 + row.count, sum.1 + bytes, sum.2 + row.sum_ns);
    }
    if series.is_empty() {
        return empty(
            "copies",
            TITLE,
            &subtitle(report),
            "no copy that states its size was recorded",
        );
    }
    let mut peaks: Vec<(String, f64)> = Vec::new();
    for row in &report.directions {
        let Some(peak) = row.peak_gb_per_s else { continue };
        let known = |(name, other): &(String, f64)| *name == row.direction && *other == peak;
        if !peaks.iter().any(known) {
            peaks.push((row.direction.clone(), peak));
        }
    }
    let series = series.into_iter().enumerate().map(|(i, (name, by_size))| {
        let mut points: Vec<RatePoint> = by_size.into_values().map(point).collect();
        points.sort_by(|a, b| a.bytes.total_cmp(&b.bytes));
        RateSeries { name, role: SERIES[i % SERIES.len()], points }
    });
    let rates = Rates {
        series: series.collect(),
        peaks: same_height_together(peaks),
        size_axis: "mean bytes of a copy",
        rate_axis: "GB/s",
    };
    Figure {
        key: "copies",
        title: TITLE.to_owned(),
        subtitle: subtitle(report),
        kind: FigureKind::Rates(rates),
        notes: losses(report),
    }
}

/// A class of sizes as a point.
fn point((count, bytes, sum_ns): (u64, u64, i64)) -> RatePoint {
    RatePoint {
        bytes: bytes as f64 / count.max(1) as f64,
        gb_per_s: bytes as f64 / sum_ns as f64,
        count,
    }
}

/// Peaks of the same height share a line.
fn same_height_together(peaks: Vec<(String, f64)>) -> Vec<(String, f64)> {
    let mut lines: Vec<(String, f64)> = Vec::new();
    for (name, peak) in peaks {
        match lines.iter_mut().find(|line| line.1 == peak) {
            Some(line) => line.0 = format!("{}, {name}", line.0),
            None => lines.push((name, peak)),
        }
    }
    lines
}

/// Time of copies by direction: hidden behind kernels, and exposed.
fn exposed(report: &BandwidthReport) -> Figure {
    const TITLE: &str = "Copies: time hidden behind kernels, and exposed";
    let is_many = report.inputs.len() > 1;
    let rows = report.directions.iter().map(|row| {
        let device = row.device.map_or(String::new(), |device| format!(" device {device}"));
        let input = if is_many { format!("#{} ", row.input) } else { String::new() };
        let mut parts = vec![
            BarPart::new(Role::Kernel, "hidden behind kernels", row.overlapped_ns),
            BarPart::new(Role::IpcWait, "exposed", row.exposed_ns),
        ];
        parts.retain(|part| part.ns > 0);
        BarRow {
            label: format!("{input}{}{device}", row.direction),
            parts,
            whole_ns: row.busy_ns,
            count: Some(row.count),
        }
    });
    let mut rows: Vec<BarRow> = rows.filter(|row| row.whole_ns > 0).collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.whole_ns));
    if rows.is_empty() {
        return empty("copy_overlap", TITLE, &subtitle(report), "no copy or memset was recorded");
    }
    Figure {
        key: "copy_overlap",
        title: TITLE.to_owned(),
        subtitle: subtitle(report),
        kind: FigureKind::Bars(Bars { rows, scale: BarScale::Largest, is_spelled: true }),
        notes: losses(report),
    }
}

/// The series of each operation's bus and algorithm bandwidth; of many operations the bus bandwidth alone.
fn rate_series(
    by_operation: BTreeMap<String, [Vec<RatePoint>; 2]>,
    is_crowded: bool,
) -> Vec<RateSeries> {
    let mut series = Vec::new();
    for (i, (name, [bus, algorithm])) in by_operation.into_iter().enumerate() {
        let role = SERIES[i % SERIES.len()];
        if is_crowded {
            series.push(RateSeries { name, role, points: bus });
            continue;
        }
        // Where both are the same for every size, one says it all.
        if are_same(&bus, &algorithm) {
            series.push(RateSeries { name: format!("{name}: busbw = algbw"), role, points: bus });
            continue;
        }
        series.push(RateSeries { name: format!("{name}: busbw"), role, points: bus });
        series.push(RateSeries {
            name: format!("{name}: algbw"),
            role: Role::Unattributed,
            points: algorithm,
        });
    }
    series.retain(|one| !one.points.is_empty());
    series.iter_mut().for_each(|one| one.points.sort_by(|a, b| a.bytes.total_cmp(&b.bytes)));
    series
}

/// Collectives by size: algorithm and bus bandwidth of each operation.
fn collectives(report: &BandwidthReport) -> Figure {
    const TITLE: &str =
        "Collective bandwidth by size: bus bandwidth (busbw) and algorithm bandwidth (algbw)";
    const BUS_ALONE: &str = "Collective bandwidth by size: bus bandwidth (busbw)";
    let mut by_operation: BTreeMap<String, [Vec<RatePoint>; 2]> = BTreeMap::new();
    for row in &report.collectives {
        let (Some(operation), Some(bytes)) = (row.operation, row.bytes.filter(|&b| b > 0)) else {
            continue;
        };
        let ranks = row.group_size.map_or(String::new(), |n| format!(", {n} ranks"));
        let points = by_operation.entry(format!("{}{ranks}", operation.as_str())).or_default();
        for (points, rate) in points.iter_mut().zip([row.bus_gb_per_s, row.algorithm_gb_per_s]) {
            let Some(gb_per_s) = rate.filter(|rate| *rate > 0.0) else { continue };
            points.push(RatePoint { bytes: bytes as f64, gb_per_s, count: row.count });
        }
    }
    let is_crowded = by_operation.len() > MAX_BOTH;
    let series = rate_series(by_operation, is_crowded);
    if series.is_empty() {
        return empty("collectives", TITLE, &subtitle(report), no_rates_because(report));
    }
    let mut notes = losses(report);
    if is_crowded {
        notes.insert(
            0,
            "Bus bandwidth alone; algorithm bandwidth is in the table of collectives.".to_owned(),
        );
    }
    let rates = Rates {
        series,
        peaks: Vec::new(),
        size_axis: "bytes of a collective, as nccl-tests counts them",
        rate_axis: "GB/s, median",
    };
    Figure {
        key: "collectives",
        title: if is_crowded { BUS_ALONE } else { TITLE }.to_owned(),
        subtitle: subtitle(report),
        kind: FigureKind::Rates(rates),
        notes,
    }
}

fn no_rates_because(report: &BandwidthReport) -> &'static str {
    if report.collectives.is_empty() {
        "no communication kernel was recorded"
    } else {
        "no communication kernel states its size"
    }
}

fn are_same(bus: &[RatePoint], algorithm: &[RatePoint]) -> bool {
    let is_same = bus.iter().zip(algorithm).all(|(a, b)| percent_apart(a, b) < 0.1);
    is_same && bus.len() == algorithm.len()
}

fn percent_apart(a: &RatePoint, b: &RatePoint) -> f64 {
    (a.gb_per_s - b.gb_per_s).abs() / a.gb_per_s.max(b.gb_per_s).max(f64::MIN_POSITIVE) * 100.0
}
