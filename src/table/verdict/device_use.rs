//! How well devices were used: their kernels against their roof, and what their allocators held.
//!
//! Nothing is said where neither shapes nor memory were recorded, or where no peak of the device is known.

use std::cmp::Reverse;

use super::{Line, ROUNDS_TO_NOTHING_PCT, Sentence, WORTH_TELLING_PCT, own};
use crate::analyze::counters::{CounterRow, CounterScope};
use crate::analyze::memory::MemoryPlace;
use crate::analyze::memory_events::MemorySource;
use crate::analyze::memory_live::{MemoryIterationRow, MemoryPeakRow};
use crate::analyze::memory_owner::Purpose;
use crate::analyze::memory_purpose::MemoryPurposeRow;
use crate::analyze::roofline::{Bound, RooflineRow, UtilizationRow};
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

/// The operator whose calls of the same inputs, or of the same size, lost the most.
fn most_lost(line: Line, number: usize, call: &RooflineRow) -> Line {
    let (Some(operator), Some(lost_ns)) = (&call.operator, call.lost_ns) else { return line };
    let at = Pointer::<RooflineRow>::row(number);
    line.words(", most in ")
        .name(operator)
        .words(match (call.bound, call.count) {
            (Some(Bound::Link), 1) => " (one call, its waiting for other ranks included: ",
            (Some(Bound::Link), _) => {
                " (calls of the same size, their waiting for other ranks included: "
            }
            (_, 1) => " (one call: ",
            _ => " (calls of the same inputs: ",
        })
        .figure(Cell::Ns(lost_ns), pointer!(at.lost_ns))
        .words(")")
}

fn device_name(device: Option<u32>) -> String {
    device.map_or("the device".to_owned(), |device| format!("device {device}"))
}

/// `The clock SM Clock (MHz) was low for 12.3 % of the time in which kernels ran (1.230 ms): below nine tenths of …`
pub(super) fn clock(report: &AnalyzeReport, input: usize) -> Option<Sentence> {
    let is_told = |row: &CounterRow| {
        let is_memory = row.counter.to_ascii_lowercase().contains("mem");
        let is_large = row.low_pct.is_some_and(|pct| pct >= WORTH_TELLING_PCT);
        row.scope == CounterScope::Busy && is_large && !is_memory
    };
    let rows = own(&report.counters, input, |row| row.input).filter(|(_, row)| is_told(row));
    let (number, row) = rows.max_by_key(|&(number, row)| (row.low_ns, Reverse(number)))?;
    let (low_pct, low_ns) = (row.low_pct?, row.low_ns?);
    let at = Pointer::<CounterRow>::row(number);
    let line = Line::new("The clock ")
        .name(&row.counter)
        .words(" was low for ")
        .figure(Cell::Percent(low_pct), pointer!(at.low_pct))
        .words(" of the time in which kernels ran and it is known (")
        .figure(Cell::Ns(low_ns), pointer!(at.low_ns))
        .words("): below nine tenths of the highest that was sampled.");
    Some(line.see::<CounterRow>())
}

/// `At most 504.73 MB of memory were allocated on device 0, 12.345 ms after the start of the window; …`. Where a trace and a
/// snapshot tell the same, the snapshot is followed: it knows what was there before.
pub(super) fn memory(report: &AnalyzeReport, input: usize) -> Option<Sentence> {
    let devices = own(&report.memory, input, |row| row.input);
    let devices = devices.filter(|(_, row)| row.place == MemoryPlace::Device);
    let (number, row) = devices.max_by_key(|(_, row)| (row.source, row.allocated_peak_bytes))?;
    let (peak_bytes, at_ns) = (row.allocated_peak_bytes?, row.peak_at_ns?);
    let at = Pointer::<MemoryRow>::row(number);
    let line = Line::new("At most ")
        .figure(Cell::Bytes(peak_bytes), pointer!(at.allocated_peak_bytes))
        .words(format!(" of memory were allocated on {}, ", device_name(row.device)));
    let line = match at_ns {
        0.. => line
            .figure(Cell::Ns(at_ns), pointer!(at.peak_at_ns))
            .words(" after the start of the window"),
        _ => line.words("before the start of the window"),
    };
    let line = purposes(report, row, at_peak(report, row, line));
    let line = growth(report, row, change(report, number, row, line));
    Some(line.words(".").see::<MemoryRow>())
}

/// That the allocator had too little: it gave memory back to make room, or allocations failed.
pub(super) fn allocator(report: &AnalyzeReport, input: usize) -> Option<Sentence> {
    let devices = own(&report.memory, input, |row| row.input);
    let devices = devices.filter(|(_, row)| row.place == MemoryPlace::Device);
    let had_too_little = |row: &MemoryRow| (row.retries.unwrap_or(0), row.out_of_memory);
    let (number, row) = devices.max_by_key(|(_, row)| (row.source, had_too_little(row)))?;
    let at = Pointer::<MemoryRow>::row(number);
    let (retries, failed) = had_too_little(row);
    if (retries, failed) == (0, 0) {
        return None;
    }
    let mut line =
        Line::new(format!("The allocator of {} had too little: ", device_name(row.device)));
    if retries > 0 {
        line = line
            .words("it gave memory back to make room ")
            .figure(Cell::Count(retries), pointer!(at.retries))
            .words(if retries == 1 { " time" } else { " times" })
            .words(if failed > 0 { "; " } else { "" });
    }
    if failed > 0 {
        line = line.figure(Cell::Count(failed), pointer!(at.out_of_memory)).words(if failed == 1 {
            " allocation failed"
        } else {
            " allocations failed"
        });
    }
    Some(line.words(".").see::<MemoryRow>())
}

/// Whether a row is of the device and the source that a row of memory is of.
fn is_of(row: &MemoryRow, device: Option<u32>, source: MemorySource) -> bool {
    (device, source) == (row.device, row.source)
}

/// What was there before the first event, and who holds most of the rest.
fn at_peak(report: &AnalyzeReport, row: &MemoryRow, mut line: Line) -> Line {
    let parts = own(&report.memory_peak, row.input, |part| part.input);
    let parts = parts.filter(|(_, part)| is_of(row, part.device, part.source));
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

/// How much of the peak is weights, and how much the cache of keys and values, where names tell.
fn purposes(report: &AnalyzeReport, row: &MemoryRow, mut line: Line) -> Line {
    let parts = own(&report.memory_purposes, row.input, |part| part.input);
    for (number, part) in parts.filter(|(_, part)| is_of(row, part.device, part.source)) {
        let what = match part.purpose {
            Purpose::KvCache => " is the cache of keys and values",
            Purpose::Weights => " is weights",
            _ => continue,
        };
        let at = Pointer::<MemoryPurposeRow>::row(number);
        line = line.words("; ").figure(Cell::Bytes(part.bytes), pointer!(at.bytes)).words(what);
    }
    line
}

/// With what a snapshot began and ended, where no iteration tells of growth.
fn change(report: &AnalyzeReport, number: usize, row: &MemoryRow, line: Line) -> Line {
    let mut iterations = own(&report.memory_iterations, row.input, |one| one.input);
    let is_told = iterations.any(|(_, one)| is_of(row, one.device, one.source));
    let ends = row.begin_bytes.zip(row.end_bytes).filter(|(begin, end)| begin < end);
    let Some((begin, end)) = ends.filter(|_| row.source == MemorySource::Snapshot && !is_told)
    else {
        return line;
    };
    let at = Pointer::<MemoryRow>::row(number);
    line.words("; the history began with ")
        .figure(Cell::Bytes(begin), pointer!(at.begin_bytes))
        .words(" and ended with ")
        .figure(Cell::Bytes(end), pointer!(at.end_bytes))
}

/// Whose bytes a part of the peak is.
fn owner(line: Line, part: &MemoryPeakRow) -> Line {
    if part.is_before {
        return line.words(" of it before the first event");
    }
    let line = match (&part.operator, &part.frame) {
        (Some(operator), _) => line.words(" by ").name(operator),
        (None, Some(_)) => line,
        (None, None) => line.words(" outside of operators"),
    };
    let line = match &part.frame {
        Some(frame) => line.words(" in ").name(frame),
        None => line,
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
            .filter(|(_, one)| is_of(row, one.device, one.source))
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

#[cfg(test)]
mod tests {
    use super::{allocator, lost, memory};
    use crate::analyze::memory::MemoryPlace;
    use crate::analyze::memory_events::MemorySource;
    use crate::analyze::memory_live::MemoryIterationRow;
    use crate::analyze::roofline::UtilizationRow;
    use crate::table::verdict::{Part, Sentence};
    use crate::table::{AnalyzeReport, MemoryRow};

    fn memory_row() -> MemoryRow {
        MemoryRow {
            allocated_peak_bytes: Some(900),
            peak_at_ns: Some(5),
            events: 3,
            ..MemoryRow::none(0, MemoryPlace::Device, Some(0))
        }
    }

    /// Iterations by what is allocated at their begin and at their end.
    fn iterations(spans: &[(i64, i64)]) -> Vec<MemoryIterationRow> {
        let row = |&(begin, end): &(i64, i64)| MemoryIterationRow {
            input: 0,
            device: Some(0),
            begin_bytes: Some(begin),
            peak_bytes: Some(900),
            end_bytes: Some(end),
            growth_bytes: Some(end - begin),
            allocations: 1,
            releases: 1,
            stalls: 0,
            stall_ns: Some(0),
            iteration: "step".to_owned(),
            source: MemorySource::Trace,
        };
        spans.iter().map(row).collect()
    }

    fn words(sentence: Option<Sentence>) -> String {
        let word = |part: Part| match part {
            Part::Words(text) | Part::Name(text) => text,
            Part::Figure(figure) => format!("[{}]", figure.path),
        };
        sentence.map_or(String::new(), |one| one.parts.into_iter().map(word).collect())
    }

    #[test]
    fn a_leak_is_told_where_each_iteration_ends_with_more() {
        let says = |spans: &[(i64, i64)]| {
            let memory_iterations = iterations(spans);
            let memory = vec![memory_row()];
            let report = AnalyzeReport { memory, memory_iterations, ..AnalyzeReport::default() };
            words(super::memory(&report, 0)).contains("a leak")
        };
        assert!(says(&[(10, 11), (11, 12), (12, 13), (13, 14)]));
        // What each iteration keeps goes before the next one ends.
        assert!(!says(&[(10, 30), (10, 30), (10, 30), (10, 30), (10, 30)]));
        // Three may be the first ones.
        assert!(!says(&[(10, 11), (11, 12), (12, 13)]));
        // One that ends with no more than the one before.
        assert!(!says(&[(10, 11), (11, 12), (12, 12), (12, 13), (13, 14)]));
        assert!(!says(&[(14, 13), (13, 12), (12, 11), (11, 10)]));
    }

    #[test]
    fn growth_of_another_device_or_source_is_none_of_it() {
        let grows = iterations(&[(10, 11), (11, 12), (12, 13), (13, 14)]);
        for (device, source) in [(Some(1), MemorySource::Trace), (Some(0), MemorySource::Snapshot)]
        {
            let other =
                grows.iter().map(|one| MemoryIterationRow { device, source, ..one.clone() });
            let report = AnalyzeReport {
                memory: vec![memory_row()],
                memory_iterations: other.collect(),
                ..AnalyzeReport::default()
            };
            assert!(!words(memory(&report, 0)).contains("a leak"));
        }
    }

    #[test]
    fn nothing_is_said_of_what_was_not_recorded() {
        let none = AnalyzeReport::default();
        assert_eq!([memory(&none, 0), allocator(&none, 0), lost(&none, 0)], [None, None, None]);
        // Events without totals: when the most was allocated nobody knows.
        let no_totals = MemoryRow { allocated_peak_bytes: None, peak_at_ns: None, ..memory_row() };
        // The host's memory is not the devices'.
        let host = MemoryRow { place: MemoryPlace::Host, device: None, ..memory_row() };
        for row in [no_totals, host] {
            let report = AnalyzeReport { memory: vec![row], ..AnalyzeReport::default() };
            assert_eq!([memory(&report, 0), allocator(&report, 0)], [None, None]);
        }
        let utilization = UtilizationRow {
            input: 0,
            device: Some(0),
            scope: "window".to_owned(),
            modelled_pct: None,
            time_ns: 100,
            kernel_ns: 90,
            modelled_ns: 0,
            lost_ns: None,
            flops: 0,
            bytes: 0,
            mfu_pct: None,
            mbu_pct: None,
            device_name: None,
        };
        let report = AnalyzeReport { utilization: vec![utilization], ..AnalyzeReport::default() };
        assert_eq!(lost(&report, 0), None);
    }

    #[test]
    fn an_allocator_that_had_too_little_is_told() {
        let says = |retries, out_of_memory| {
            let memory = vec![MemoryRow { retries, out_of_memory, ..memory_row() }];
            words(allocator(&AnalyzeReport { memory, ..AnalyzeReport::default() }, 0))
        };
        assert_eq!(says(Some(0), 0), "");
        assert_eq!(
            says(Some(2), 1),
            "The allocator of device 0 had too little: it gave memory back to make room [/memory/0/retries] times; \
             [/memory/0/out_of_memory] allocation failed."
        );
        assert!(says(None, 3).ends_with("little: [/memory/0/out_of_memory] allocations failed."));
    }
}
