//! How well devices were used: operators under the roofs of their device, memory over time.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Figure, FigureKind, LevelPanel, LevelStep, Levels, Role, RoofPoint, RooflinePlot, empty,
};
use crate::analyze::memory_events::MemorySource;
use crate::analyze::memory_line::MemoryLineRow;
use crate::analyze::roofline::{Bound, RooflineRow};
use crate::table::AnalyzeReport;

/// Operators shown.
const N_POINTS: usize = 40;

/// Devices whose memory is shown.
const N_PANELS: usize = 8;

/// The operators of the device with the most kernel time, with the roofs of their types.
pub(super) fn roofline(report: &AnalyzeReport, subtitle: &str) -> Figure {
    const TITLE: &str = "Operators under the roofs of their device: what they do a second over what they do for a byte";
    let Some((device, roof)) = device_of(report) else {
        let because = if report.roofline.is_empty() {
            "no shapes of inputs were recorded"
        } else {
            "no operator with FLOPs ran on a device whose peaks are known"
        };
        return empty("roofline", TITLE, subtitle, because);
    };
    let own = || report.roofline.iter().filter(|row| of_device(row) == Some(device));
    let whole_ns: i64 = own().filter_map(|row| row.device_ns).sum();
    let mut rows: Vec<&RooflineRow> = own().filter(|row| point(row, whole_ns).is_some()).collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.device_ns));
    let shown_ns: i64 = rows.iter().take(N_POINTS).filter_map(|row| row.device_ns).sum();
    let roofs: BTreeMap<&str, f64> =
        rows.iter().filter_map(|row| Some((row.dtype?.as_str(), row.peak_tflop_per_s?))).collect();
    let mut roofs: Vec<(String, f64)> =
        roofs.into_iter().map(|(name, peak)| (name.to_owned(), peak)).collect();
    roofs.sort_by(|a, b| b.1.total_cmp(&a.1));
    let points = rows.iter().take(N_POINTS).filter_map(|row| point(row, whole_ns)).collect();
    let plot = RooflinePlot { memory_gb_per_s: roof, compute_tflop_per_s: roofs, points };
    Figure {
        key: "roofline",
        title: TITLE.to_owned(),
        subtitle: subtitle.to_owned(),
        kind: FigureKind::Roofline(plot),
        notes: vec![note(report, device, (shown_ns, whole_ns))],
    }
}

/// What is drawn, and what is not.
fn note(
    report: &AnalyzeReport,
    (input, device): Place,
    (shown_ns, whole_ns): (i64, i64),
) -> String {
    let devices: BTreeSet<Place> = report.roofline.iter().filter_map(of_device).collect();
    let others = match devices.len() - 1 {
        0 => String::new(),
        n => format!(" {n} more devices are in the table."),
    };
    format!(
        "{} device {device}: the operators drawn have {} of the time of its kernels. Those that only move bytes have no FLOPs and are in the table.{others}",
        report.name_of(input),
        share(shown_ns, whole_ns),
    )
}

fn share(part_ns: i64, whole_ns: i64) -> String {
    let pct = if whole_ns > 0 { part_ns as f64 * 100.0 / whole_ns as f64 } else { 0.0 };
    format!("{pct:.1} %")
}

/// Input and device.
type Place = (usize, u32);

fn of_device(row: &RooflineRow) -> Option<Place> {
    Some((row.input, row.device?))
}

/// The device with the most time of operators that can be drawn, with what its memory moves.
fn device_of(report: &AnalyzeReport) -> Option<(Place, f64)> {
    let mut times: BTreeMap<Place, (i64, f64)> = BTreeMap::new();
    for row in report.roofline.iter().filter(|row| point(row, 1).is_some()) {
        if let (Some(place), Some(peak)) = (of_device(row), row.peak_gb_per_s) {
            let time = times.entry(place).or_insert((0, peak));
            time.0 += row.device_ns.unwrap_or(0);
        }
    }
    let longest = times.into_iter().max_by_key(|&(place, time)| (time.0, std::cmp::Reverse(place)));
    longest.map(|(place, (_, peak))| (place, peak))
}

/// The mark of a row; `None` without FLOPs, bytes, or a type whose peak is known.
fn point(row: &RooflineRow, whole_ns: i64) -> Option<RoofPoint> {
    row.peak_tflop_per_s?;
    let (role, bound) = match row.bound? {
        Bound::Compute => (Role::Kernel, "limited by products"),
        Bound::Memory => (Role::Copy, "limited by memory"),
        // Collectives have no FLOPs.
        Bound::Link => return None,
    };
    let is_drawn = |value: &f64| *value > 0.0;
    Some(RoofPoint {
        name: row.operator.clone()?,
        role,
        bound,
        intensity: row.intensity.filter(is_drawn)?,
        tflop_per_s: row.tflop_per_s.filter(is_drawn)?,
        device_ns: row.device_ns?,
        whole_ns,
        count: row.count,
    })
}

/// The memory of every device over time.
pub(super) fn memory(report: &AnalyzeReport, subtitle: &str) -> Figure {
    const TITLE: &str = "Memory of the devices over time: allocated, and reserved by the allocator";
    type Panel = (usize, Option<u32>, MemorySource);
    let mut panels: BTreeMap<Panel, Vec<&MemoryLineRow>> = BTreeMap::new();
    for row in &report.memory_line {
        panels.entry((row.input, row.device, row.source)).or_default().push(row);
    }
    if panels.is_empty() {
        let because = "no [memory] event of a device was recorded";
        return empty("memory", TITLE, subtitle, because);
    }
    let n_more = panels.len().saturating_sub(N_PANELS);
    let panel = |((input, device, source), rows): (Panel, Vec<&MemoryLineRow>)| {
        let device = device.map_or("device".to_owned(), |device| format!("device {device}"));
        let by = match source {
            MemorySource::Trace => "",
            MemorySource::Snapshot => " by the snapshot",
        };
        LevelPanel {
            label: format!("{} {device}{by}", report.name_of(input)),
            steps: rows.into_iter().map(step).collect(),
        }
    };
    let panels = panels.into_iter().take(N_PANELS).map(panel).collect();
    let axis = if report.inputs.len() > 1 {
        "since the start of each input's window"
    } else {
        "since the start of the window"
    };
    let notes = if n_more > 0 {
        vec![format!("{n_more} more devices are in the table.")]
    } else {
        Vec::new()
    };
    Figure {
        key: "memory",
        title: TITLE.to_owned(),
        subtitle: subtitle.to_owned(),
        kind: FigureKind::Levels(Levels { panels, axis }),
        notes,
    }
}

fn step(row: &MemoryLineRow) -> LevelStep {
    LevelStep {
        start_ns: row.start_ns,
        dur_ns: row.dur_ns,
        used_bytes: row.allocated_bytes,
        held_bytes: row.reserved_bytes,
    }
}
