//! What has a name and takes the most time: a kernel, or an operator where no device was recorded.

use super::{Line, Sentence, Tone, frames};
use crate::table::{ActivityRow, AnalyzeReport, Cell, percent};

pub(super) fn top_kernel(report: &AnalyzeReport) -> Option<Sentence> {
    let mut kernels = report.kernels.iter().enumerate();
    let (number, row) = kernels.find(|(_, row)| row.category == "kernel")?;
    let path = |field: &str| format!("/kernels/{number}/{field}");
    percent(row.sum_ns, report.totals.self_device_ns)?;
    let word = if row.count == 1 { " launch, " } else { " launches, " };
    let line = Line::new("The kernel with the most time is ")
        .name(&row.name)
        .words(": ")
        .figure(Cell::Ns(row.sum_ns), path("sum_ns"))
        .words(" in ")
        .figure(Cell::Count(row.count), path("count"))
        .words(word)
        .share(
            (row.sum_ns, path("sum_ns")),
            (report.totals.self_device_ns, "/totals/self_device_ns".to_owned()),
        )
        .words(" of all kernels, copies and memsets (sums).");
    Some(line.see("kernels"))
}

/// Where no operator, call or annotation was recorded: the span with the most time.
pub(super) fn other_span(number: usize, row: &ActivityRow) -> Sentence {
    let path = |field: &str| format!("/activity/{number}/{field}");
    Line::new("No work thread was recorded. The span with the most time is ")
        .name(&row.name)
        .words(": ")
        .figure(Cell::Ns(row.sum_ns), path("sum_ns"))
        .words(" in ")
        .figure(Cell::Count(row.count), path("count"))
        .words(if row.count == 1 { " span." } else { " spans." })
        .tone(Tone::Caution)
        .see("activity")
}

/// Where no device was recorded: the operator with the most CPU time of its own.
pub(super) fn top_operator(report: &AnalyzeReport) -> Option<Sentence> {
    if !report.devices.is_empty() {
        return None;
    }
    let rows = report.key_averages.iter().enumerate();
    let ops = rows.filter(|(_, row)| {
        row.device_type == "cpu" && !row.is_annotation && !frames::is_python_frame(&row.name)
    });
    let (number, row) = ops.min_by_key(|&(i, row)| (-row.self_cpu_ns, i))?;
    percent(row.self_cpu_ns, report.totals.self_cpu_ns)?;
    let path = |field: &str| format!("/key_averages/{number}/{field}");
    let line = Line::new("The operator with the most CPU time of its own is ")
        .name(&row.name)
        .words(": ")
        .share(
            (row.self_cpu_ns, path("self_cpu_ns")),
            (report.totals.self_cpu_ns, "/totals/self_cpu_ns".to_owned()),
        )
        .words(" of all self CPU in ")
        .figure(Cell::Count(row.count), path("count"))
        .words(if row.count == 1 { " call." } else { " calls." });
    Some(line.see("key_averages"))
}
