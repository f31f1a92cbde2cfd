//! What devices did with their time: busy, idle and why, copies and collectives that nothing hides.

use super::{Line, ROUNDS_TO_NOTHING_PCT, Sentence, WORTH_TELLING_PCT, doubts, own, times};
use crate::analyze::idle::Cause;
use crate::schema::{Pointer, pointer};
use crate::table::{
    AnalyzeReport, Cell, DeviceRow, IdleRow, IssueKind, IssueRow, TrustKind, TrustRow, percent,
};

/// `Device 0: kernels were busy 2.1 % of 45.7 ms; idle 97.9 %, of which 76.7 % while …`
pub(super) fn device_time(
    report: &AnalyzeReport,
    number: usize,
    row: &DeviceRow,
) -> Option<Sentence> {
    let is_missing = doubts::is_doubted(report, row.input, TrustKind::DeviceWorkMissing);
    let at = Pointer::<DeviceRow>::row(number);
    let whole = (row.window_ns, pointer!(at.window_ns));
    let idle_pct = percent(row.idle_ns, row.window_ns)?;
    let name = device_name(row);
    let is_bound = is_bound(report, row);
    let at_most =
        if is_bound && idle_pct < 100.0 - ROUNDS_TO_NOTHING_PCT { "at most " } else { "" };
    let compute = (row.compute_busy_ns, pointer!(at.compute_busy_ns));
    let mut line = Line::new(format!("{name}: compute kernels busy for "))
        .share_from(is_bound, compute, whole.clone(), None)
        .words(" of ")
        .figure(Cell::Ns(row.window_ns), pointer!(at.window_ns));
    if row.comm_busy_ns > 0 {
        let share = (row.comm_busy_ns, pointer!(at.comm_busy_ns));
        line = line.words(", communication for ").share_from(is_bound, share, whole.clone(), None);
    }
    line = line
        .words(format!(", idle for {at_most}"))
        .share((row.idle_ns, pointer!(at.idle_ns)), whole);
    let mut causes: Vec<(usize, Cause, i64)> = row
        .idle_by_cause
        .iter()
        .enumerate()
        .filter_map(|(i, cause)| Some((i, cause.cause, cause.ns?)))
        .filter(|&(_, _, ns)| percent(ns, row.idle_ns).is_some_and(|pct| pct >= WORTH_TELLING_PCT))
        .collect();
    causes.sort_by_key(|&(i, _, ns)| (-ns, i));
    for (nth, (i, cause, ns)) in causes.into_iter().take(2).enumerate() {
        let inside = at.inside::<IdleRow>(i);
        let part = (ns, pointer!(inside.ns));
        line = line
            .words(if nth == 0 { "; of that idle time " } else { ", " })
            .share(part, (row.idle_ns, pointer!(at.idle_ns)))
            .words(format!(" {}", cause_words(cause, is_missing || is_circular(row, cause))));
    }
    Some(line.words(".").see::<IdleRow>())
}

fn device_name(row: &DeviceRow) -> String {
    row.device.map_or("The device".to_owned(), |device| format!("Device {device}"))
}

/// Whether most of the idle time is a wait for the device that idles: then what was waited for is not in the file.
pub(super) fn is_circular(row: &DeviceRow, cause: Cause) -> bool {
    let waited = row.idle_by_cause.iter().find(|one| one.cause == Cause::GpuSync);
    let waited_ns = waited.and_then(|one| one.ns).unwrap_or(0);
    cause == Cause::GpuSync && percent(waited_ns, row.idle_ns).is_some_and(|pct| pct > 50.0)
}

/// Whether activity of a device is known to be missing from its times: they are lower bounds, idle times upper ones.
pub(super) fn is_bound(report: &AnalyzeReport, row: &DeviceRow) -> bool {
    [TrustKind::DeviceWorkMissing, TrustKind::LaunchesMissing]
        .into_iter()
        .any(|check| doubts::is_doubted(report, row.input, check))
        || times::lacks_activity(report, row.input)
}

/// What the launching thread was doing, after a share of idle time; `is_missing`: it waited for what is not in the file.
pub(super) fn cause_words(cause: Cause, is_missing: bool) -> &'static str {
    match cause {
        Cause::GpuSync if is_missing => {
            "while its launching thread waited for device work that is not in the file"
        }
        Cause::IpcWait => "while its launching thread waited for another process",
        Cause::GpuSync => "while its launching thread waited for the device",
        Cause::OtherWait => "while its launching thread waited for a lock, a timer or another rank",
        Cause::Runtime => "while its launching thread was in runtime calls",
        Cause::ModuleLoading => "while its launching thread loaded device code",
        Cause::Profiler => "while its launching thread served the profiler itself",
        Cause::CpuOp => "while its launching thread ran operators",
        Cause::Python => "while its launching thread ran Python",
        Cause::NotRecorded => "for reasons that were not recorded",
    }
}

/// Copies and collectives with no compute kernel beside them, where they cost a share of the window.
pub(super) fn exposed(number: usize, row: &DeviceRow) -> Option<Sentence> {
    let at = Pointer::<DeviceRow>::row(number);
    let parts = [
        ("copies", row.exposed_copy_ns, pointer!(at.exposed_copy_ns)),
        ("collectives", row.exposed_comm_ns, pointer!(at.exposed_comm_ns)),
    ];
    let is_told = |ns: i64| percent(ns, row.window_ns).is_some_and(|pct| pct >= WORTH_TELLING_PCT);
    let mut line: Option<Line> = None;
    for (what, ns, path) in parts.into_iter().filter(|part| is_told(part.1)) {
        let start = match line.take() {
            Some(line) => line.words(format!(", {what} for ")),
            None => Line::new(format!(
                "{}, with no compute kernel beside them: {what} for ",
                device_name(row)
            )),
        };
        line = Some(start.share((ns, path), (row.window_ns, pointer!(at.window_ns))));
    }
    Some(line?.words(" of the window.").see::<DeviceRow>())
}

/// That nothing is known of devices, and whether that is because something was not read.
pub(super) fn no_device(report: &AnalyzeReport, input: usize) -> Line {
    match own(&report.issues, input, |row| row.input)
        .find(|(_, row)| row.kind == IssueKind::UnreadActivity)
    {
        None => unrecorded_device(report, input),
        Some((number, row)) => {
            let at = Pointer::<IssueRow>::row(number);
            Line::new("No device activity was read, but ")
                .figure(Cell::Count(row.count), pointer!(at.count))
                .words(" pieces of activity are of kinds that are not read: devices may have been recorded in them.")
        }
    }
}

/// That no device activity was recorded, and what tells of devices all the same: launches, memory.
fn unrecorded_device(report: &AnalyzeReport, input: usize) -> Line {
    let mut trust = own(&report.trust, input, |row| row.input);
    let launches = trust.find(|(_, row)| row.check == TrustKind::LaunchWithoutActivity);
    let launches = launches.and_then(|(number, row)| Some((number, row.count.filter(|&n| n > 0)?)));
    if let Some((number, count)) = launches {
        let at = Pointer::<TrustRow>::row(number);
        return Line::new("No device activity was recorded, though ")
            .figure(Cell::Count(count), pointer!(at.count))
            .words(if count == 1 { " launch was" } else { " launches were" })
            .words(": what devices did is not in the file.");
    }
    let has_memory =
        own(&report.memory, input, |row| row.input).any(|(_, row)| row.device.is_some());
    Line::new(match has_memory {
        true => "No device activity was recorded: of devices nothing is known but their memory.",
        false => "No device activity was recorded: nothing can be said of devices.",
    })
}

#[cfg(test)]
mod tests {
    use super::no_device;
    use crate::analyze::memory::MemoryPlace;
    use crate::table::verdict::line::said;
    use crate::table::{
        AnalyzeReport, IssueKind, IssueRow, MemoryRow, Severity, TrustKind, TrustRow,
    };

    /// What tells of a device all the same is said: activity that was not read, launches, memory.
    #[test]
    fn a_device_that_was_not_recorded_is_not_denied() {
        let told = |report: &AnalyzeReport| said(&no_device(report, 0).parts);
        let mut report = AnalyzeReport::default();
        assert!(told(&report).ends_with("nothing can be said of devices."));
        report
            .memory
            .push(MemoryRow { events: 1, ..MemoryRow::none(0, MemoryPlace::Device, Some(0)) });
        assert!(told(&report).ends_with("nothing is known but their memory."));
        report.trust.push(TrustRow {
            input: 0,
            check: TrustKind::LaunchWithoutActivity,
            severity: Severity::Notice,
            count: Some(0),
            of: Some(3),
            effect_ns: None,
            meaning: "",
            is_doubt: false,
        });
        assert!(told(&report).ends_with("nothing is known but their memory."));
        report.trust[0].count = Some(1);
        assert!(told(&report).contains("though 1 launch was: what devices did is not in the file"));
        report.issues.push(IssueRow {
            severity: Severity::DataLoss,
            kind: IssueKind::UnreadActivity,
            count: 7,
            first_offset: None,
            message: String::new(),
            input: 0,
        });
        assert!(told(&report).contains("7 pieces of activity are of kinds that are not read"));
    }
}
