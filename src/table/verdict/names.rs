//! What has a name and takes the most time: a kernel, or an operator where no device was recorded.

use super::{Line, Sentence, Tone, frames};
use crate::schema::{Pointer, pointer};
use crate::table::{
    ActivityRow, AnalyzeReport, Cell, DeviceType, KernelClass, KernelClassRow, KernelRow,
    KeyAverageRow, RunRow, TotalsRow, percent,
};

/// The totals of a run, where the machine output has them, and what to add to a sentence where there are several.
fn totals_of(report: &AnalyzeReport, run: u32) -> (&TotalsRow, Pointer<TotalsRow>, String) {
    let number = run as usize;
    match report.runs.get(number).filter(|_| report.runs.len() > 1) {
        Some(row) => {
            let at = Pointer::<RunRow>::row(number);
            (&row.totals, Pointer::at(pointer!(at.totals)), format!(" of run {run}"))
        }
        None => {
            let root = Pointer::<AnalyzeReport>::root();
            (&report.totals, Pointer::at(pointer!(root.totals)), String::new())
        }
    }
}

/// Classes of kernels that a sentence names.
const N_CLASSES: usize = 4;

/// `Device time by kind: gemm 45.0 %, attention 20.1 %, … (sums).`
pub(super) fn classes(report: &AnalyzeReport) -> Option<Sentence> {
    let run = report.kernel_classes.iter().max_by_key(|row| row.sum_ns)?.run;
    let (.., place) = totals_of(report, run);
    let mut line = Line::new(format!("Device time{place} by kind: "));
    let own = report.kernel_classes.iter().enumerate().filter(|(_, row)| row.run == run);
    for (nth, (number, row)) in own.take(N_CLASSES).enumerate() {
        let at = Pointer::<KernelClassRow>::row(number);
        line = line
            .words(format!("{}{} ", if nth == 0 { "" } else { ", " }, row.class.as_str()))
            .figure(Cell::or_none(row.share_pct, Cell::Percent), pointer!(at.share_pct));
    }
    Some(line.words(" (sums).").see::<KernelClassRow>())
}

/// The kernel that computes, with the most time; communication waits for others and has a table of its own.
pub(super) fn top_kernel(report: &AnalyzeReport) -> Option<Sentence> {
    let computes = |row: &KernelRow| row.is_kernel() && row.class != KernelClass::Communication;
    let kernels = report.kernels.iter().enumerate().filter(|(_, row)| computes(row));
    let (number, row) = kernels.min_by_key(|&(i, row)| (-row.sum_ns, i))?;
    let at = Pointer::<KernelRow>::row(number);
    let (_, _, place) = totals_of(report, row.run);
    let share_pct = row.share_pct?;
    let word = if row.count == 1 { " launch, " } else { " launches, " };
    let line = Line::new("The compute kernel with the most time is ")
        .name(&row.name)
        .words(format!(" ({}): ", row.class.as_str()))
        .figure(Cell::Ns(row.sum_ns), pointer!(at.sum_ns))
        .words(" in ")
        .figure(Cell::Count(row.count), pointer!(at.count))
        .words(word)
        .figure(Cell::Percent(share_pct), pointer!(at.share_pct))
        .words(format!(" of all kernels{place} (sums)."));
    Some(line.see::<KernelRow>())
}

/// Where no operator, call or annotation was recorded: the span with the most time.
pub(super) fn other_span(number: usize, row: &ActivityRow) -> Sentence {
    let at = Pointer::<ActivityRow>::row(number);
    Line::new("No work thread was recorded. The span with the most time is ")
        .name(&row.name)
        .words(": ")
        .figure(Cell::Ns(row.sum_ns), pointer!(at.sum_ns))
        .words(" in ")
        .figure(Cell::Count(row.count), pointer!(at.count))
        .words(if row.count == 1 { " span." } else { " spans." })
        .tone(Tone::Caution)
        .see::<ActivityRow>()
}

/// Where no device was recorded: the operator with the most CPU time of its own.
pub(super) fn top_operator(report: &AnalyzeReport) -> Option<Sentence> {
    if !report.devices.is_empty() {
        return None;
    }
    let rows = report.key_averages.iter().enumerate();
    let ops = rows.filter(|(_, row)| {
        row.device_type == DeviceType::Cpu
            && !row.is_annotation
            && !frames::is_python_frame(&row.name)
    });
    let (number, row) = ops.min_by_key(|&(i, row)| (-row.self_cpu_ns, i))?;
    let (totals, of, place) = totals_of(report, row.run);
    percent(row.self_cpu_ns, totals.self_cpu_ns)?;
    let at = Pointer::<KeyAverageRow>::row(number);
    let line = Line::new("The operator with the most CPU time of its own is ")
        .name(&row.name)
        .words(": ")
        .share(
            (row.self_cpu_ns, pointer!(at.self_cpu_ns)),
            (totals.self_cpu_ns, pointer!(of.self_cpu_ns)),
        )
        .words(format!(" of all self CPU{place} in "))
        .figure(Cell::Count(row.count), pointer!(at.count))
        .words(if row.count == 1 { " call." } else { " calls." });
    Some(line.see::<KeyAverageRow>())
}
