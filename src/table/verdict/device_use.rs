//! How well devices were used: their kernels against their roof, and what their allocators held.
//!
//! Nothing is said where neither shapes nor memory were recorded, or where no peak of the device is known.

use super::{Line, ROUNDS_TO_NOTHING_PCT, Sentence, WORTH_TELLING_PCT, own};
use crate::analyze::memory::MemoryPlace;
use crate::analyze::memory_live::{MemoryIterationRow, MemoryPeakRow};
use crate::analyze::roofline::{RooflineRow, UtilizationRow};
use crate::schema::{Pointer, pointer};
use crate::table::{AnalyzeReport, Cell, DeviceRow, MemoryRow, percent};

/// Of idle time, collectives and copies with nothing beside them, and time lost against the roof, these are the large ones.
const N_LARGE: usize = 3;

/// Over fewer iterations memory may grow because they are the first ones.
const MIN_ITERATIONS: usize = 4;

/// `Kernels that a model covers (66.4 % of kernel time on device 0) lost 6.360 ms of 14.980 ms against the roof, most in …`
pub(super) fn lost(report: &AnalyzeReport, input: usize) -> Option<Sentence> {
    let used = own(&report.utilization, input, |row| row.input);
    let (number, row) =
        used.filter(|(_, row)| is_large(report, row)).max_by_key(|(_, row)| row.lost_ns)?;
    let (modelled_pct, lost_ns) = (row.modelled_pct?, row.lost_ns?);
    let at = Pointer::<UtilizationRow>::row(number);
    let calls: Vec<(usize, &RooflineRow)> = own(&report.roofline, input, |call| call.input)
        .filter(|(_, call)| call.device == row.device)
        .collect();
    let is_bound = calls.iter().any(|(_, call)| is_without_roof(call));
    let mut line = Line::new("Kernels that a model covers (")
        .figure(Cell::Percent(modelled_pct), pointer!(at.modelled_pct))
        .words(format!(" of kernel time on {}) lost ", device_name(row.device)))
        .words(if is_bound { "at least " } else { "" })
        .figure(Cell::Ns(lost_ns), pointer!(at.lost_ns))
        .words(" of ")
        .figure(Cell::Ns(row.modelled_ns), pointer!(at.modelled_ns))
        .words(" against the roof");
    if let Some((number, call)) = calls.into_iter().max_by_key(|(_, call)| call.lost_ns) {
        line = most_lost(line, number, call);
    }
    let uses =
        [("MFU", row.mfu_pct, pointer!(at.mfu_pct)), ("MBU", row.mbu_pct, pointer!(at.mbu_pct))];
    let uses = uses.into_iter().filter_map(|(name, pct, path)| Some((name, pct?, path)));
    for (name, pct, path) in uses.filter(|one| one.1 >= ROUNDS_TO_NOTHING_PCT) {
        let at_least = if row.modelled_ns < row.kernel_ns { "at least " } else { "" };
        line = line.words(format!("; {name} {at_least}")).figure(Cell::Percent(pct), path);
    }
    Some(line.words(".").see::<UtilizationRow>())
}

/// Whether a row of the window lost a time worth telling, which is among the large ones of its device.
fn is_large(report: &AnalyzeReport, row: &UtilizationRow) -> bool {
    let is_own = |device: &DeviceRow| device.device == row.device;
    let mut devices = own(&report.devices, row.input, |device| device.input);
    let Some((_, device)) = devices.find(|(_, device)| is_own(device)) else { return false };
    let Some(lost_ns) = row.lost_ns.filter(|_| row.scope == "window") else { return false };
    let others = [device.idle_ns, device.exposed_comm_ns, device.exposed_copy_ns];
    let n_larger = others.into_iter().filter(|&ns| ns > lost_ns).count();
    let share_pct = percent(lost_ns, device.window_ns);
    n_larger < N_LARGE && share_pct.is_some_and(|pct| pct >= WORTH_TELLING_PCT)
}

/// Whether calls have a model and ran, and yet no roof is known.
fn is_without_roof(call: &RooflineRow) -> bool {
    call.model.is_some() && call.lost_ns.is_none() && call.device_ns.is_some_and(|ns| ns > 0)
}

/// The operator whose calls of the same inputs lost the most.
fn most_lost(line: Line, number: usize, call: &RooflineRow) -> Line {
    let (Some(operator), Some(lost_ns)) = (&call.operator, call.lost_ns) else { return line };
    let at = Pointer::<RooflineRow>::row(number);
    line.words(", most in ")
        .name(operator)
        .words(if call.count == 1 { " (one call: " } else { " (calls of the same inputs: " })
        .figure(Cell::Ns(lost_ns), pointer!(at.lost_ns))
        .words(")")
}

fn device_name(device: Option<u32>) -> String {
    device.map_or("the device".to_owned(), |device| format!("device {device}"))
}

/// `At most 504.73 MB of memory were allocated on device 0, 12.345 ms after the start of the window; …`
pub(super) fn memory(report: &AnalyzeReport, input: usize) -> Option<Sentence> {
    let devices = own(&report.memory, input, |row| row.input);
    let devices = devices.filter(|(_, row)| row.place == MemoryPlace::Device);
    let (number, row) = devices.max_by_key(|(_, row)| row.allocated_peak_bytes)?;
    let (peak_bytes, at_ns) = (row.allocated_peak_bytes?, row.peak_at_ns?);
    let at = Pointer::<MemoryRow>::row(number);
    let line = Line::new("At most ")
        .figure(Cell::Bytes(peak_bytes), pointer!(at.allocated_peak_bytes))
        .words(format!(" of memory were allocated on {}, ", device_name(row.device)))
        .figure(Cell::Ns(at_ns), pointer!(at.peak_at_ns))
        .words(" after the start of the window");
    let line = growth(report, row, at_peak(report, row, line));
    Some(line.words(".").see::<MemoryRow>())
}

/// What was there before the first event, and who holds most of the rest.
fn at_peak(report: &AnalyzeReport, row: &MemoryRow, mut line: Line) -> Line {
    let parts = own(&report.memory_peak, row.input, |part| part.input);
    let parts = parts.filter(|(_, part)| part.device == row.device);
    let (before, rest): (Vec<_>, Vec<_>) = parts.partition(|(_, part)| part.is_before);
    let most = rest.into_iter().rev().max_by_key(|(_, part)| part.bytes);
    for (number, part) in before.into_iter().chain(most) {
        let Some(bytes) = u64::try_from(part.bytes).ok().filter(|&bytes| bytes > 0) else {
            continue;
        };
        let at = Pointer::<MemoryPeakRow>::row(number);
        line = line.words("; ").figure(Cell::Bytes(bytes), pointer!(at.bytes));
        line = owner(line, part);
    }
    line
}

/// Whose bytes a part of the peak is.
fn owner(line: Line, part: &MemoryPeakRow) -> Line {
    if part.is_before {
        return line.words(" of it before the first event");
    }
    let line = match &part.operator {
        Some(operator) => line.words(" by ").name(operator),
        None => line.words(" outside of operators"),
    };
    match &part.module {
        Some(module) => line.words(" in ").name(module),
        None => line,
    }
}

/// That more is allocated at the end of each iteration than at that of the one before.
fn growth(report: &AnalyzeReport, row: &MemoryRow, line: Line) -> Line {
    let all: Vec<(usize, &MemoryIterationRow)> =
        own(&report.memory_iterations, row.input, |one| one.input)
            .filter(|(_, one)| one.device == row.device)
            .collect();
    let ends: Option<Vec<i64>> = all.iter().map(|(_, one)| one.end_bytes).collect();
    let grows = ends.is_some_and(|ends| {
        ends.len() >= MIN_ITERATIONS && ends.windows(2).all(|pair| pair[0] < pair[1])
    });
    let ([(first, _), .., (last, _)], true) = (all.as_slice(), grows) else { return line };
    let end = |number: usize| {
        let at = Pointer::<MemoryIterationRow>::row(number);
        let bytes = report.memory_iterations[number].end_bytes;
        let bytes = bytes.and_then(|bytes| u64::try_from(bytes).ok());
        (Cell::or_none(bytes, Cell::Bytes), pointer!(at.end_bytes))
    };
    let ((first, first_at), (last, last_at)) = (end(*first), end(*last));
    line.words("; each iteration ended with more than the one before, the first with ")
        .figure(first, first_at)
        .words(", the last with ")
        .figure(last, last_at)
        .words(": a leak, unless it is to be kept")
}
