//! How far the figures of one input can be trusted: one line for each thing that could mislead, with its count, its
//! effect and what it means. Every line is always there, so that its absence never reads as "checked and fine".

mod links;
mod times;
mod torch_rules;

use rayon::prelude::*;

use super::base::TimeBase;
use super::devices::{ActivityRow, stream_overlaps};
use super::host::ThreadKind;
use super::launches::correlation;
use super::window::is_impossible;
use crate::align::{ClockBase, base_of};
use crate::diag::Reporter;
pub use crate::diag::{IssueKind, Severity};
use crate::model::EventKind;
use crate::schema::{tables, words};
use crate::store::Store;

words! {
    /// What a line of the panel is about. The order is the order of the panel.
    TrustKind {
        /// Kernels, copies and memsets that no recorded call started.
        ActivityWithoutLaunch "activity_without_launch",
        /// Kernel and graph launches without device activity.
        LaunchWithoutActivity "launch_without_activity",
        /// Device activity that begins before the call that started it.
        Causality "causality",
        /// Device activity linked to a call that cannot have started it.
        LinkMismatch "link_mismatch",
        /// Device activity that names an operator which is not there.
        OperatorMissing "operator_missing",
        /// Arrows to devices and annotations on them that lead to nothing.
        LaunchesMissing "launches_missing",
        /// Numbers of events of the host that no event has.
        EventsMissing "events_missing",
        /// Events that stand in the file more than once.
        Duplicates "duplicates",
        /// Long waits for a device on which next to nothing runs.
        DeviceWorkMissing "device_work_missing",
        /// Copies faster than any link or memory.
        ImpossibleThroughput "impossible_throughput",
        /// A window whose start holds no event.
        EmptyStart "empty_start",
        /// Collectives that do not say what was sent.
        NcclMetadata "nccl_metadata",
        /// Sequence numbers that different operators of the backward pass share.
        BackwardSequence "backward_sequence",
        /// Synchronizations of a stream that begin while it runs a kernel.
        SyncOverlap "sync_overlap",
        /// Waits for an event that do not say which call recorded it.
        WaitRecord "wait_record",
        /// Streams that wait for an event which is recorded later, or nowhere.
        WaitInPast "wait_in_past",
        /// Kernels that overlap another one of their stream.
        StreamOverlap "stream_overlap",
        /// Kernels that run far past the next start of their stream.
        StreamOverrun "stream_overrun",
        /// Events longer than a capture can be.
        ImpossibleDuration "impossible_duration",
        /// Events without a usable start.
        UntimedEvents "untimed_events",
        /// Kernels, copies and memsets without a usable start.
        UntimedActivity "untimed_activity",
        /// Python frames without a recorded end.
        UnclosedFrames "unclosed_frames",
        /// Begin events without an end.
        OpenBegins "open_begins",
        /// Host events that end after the file window.
        BeyondWindow "beyond_window",
        /// Device activity longer than the whole file window.
        LongerThanWindow "longer_than_window",
        /// Device activity outside the file window.
        OutsideWindow "outside_window",
        /// The file or its window ended early.
        Truncated "truncated",
        /// No device activity.
        NoDevice "no_device",
        /// Work threads without Python frames.
        NoFrames "no_frames",
        /// Events that were dropped or could not be read.
        LostEvents "lost_events",
        /// Events that were repaired, and other oddities of the file.
        OddEvents "odd_events",
        /// Rows of the profiler's own overhead.
        ProfilerOverhead "profiler_overhead",
        /// Which clock the times are on.
        Clock "clock",
    }
}

tables! {
    /// One kind of issue of one input.
    IssueRow: "issues", "Issues", "What was odd or lost?", groups 0, carried whole {
        severity: Severity, Text, All, "severity", "info, notice, data_loss or error";
        kind: IssueKind, Text, Room, "kind", "kind of the issue";
        count: u64, Count summed, All, "count", "how often";
        first_offset: Option<u64>, Count, Room, "first at byte", "offset of the first one in the decompressed input";
        message: String, Prose, All / Last, "meaning", "what it means for the figures";
        input: usize, Count, All / First, "#", "number of the input";
    }

    /// One line of the panel of one input.
    TrustRow: "trust", "Trust", "How far can the figures be trusted?", groups 0, carried whole {
        input: usize, Count, All / First, "#", "number of the input";
        check: TrustKind, Text, Room / End, "check", "what was checked";
        severity: Severity, Text, All, "severity", "info, where nothing is wrong, notice or data_loss";
        count: Option<u64>, Count summed, All, "count", "how often; none where the trace cannot tell";
        of: Option<u64>, Count summed, Room, "of", "of how many";
        effect_ns: Option<i64>, Ns summed, Room, "effect", "time that is affected";
        meaning: &'static str, Prose, All / Last, "meaning", "what it means for the figures";
        is_doubt: bool, Text, Machines, "is doubt", "whether the verdict warns of it";
    }
}

impl TrustRow {
    /// Whether something was found.
    pub fn is_found(&self) -> bool {
        self.count.is_some_and(|count| count > 0)
    }

    /// Whether it was checked and nothing was found.
    pub fn is_fine(&self) -> bool {
        self.count == Some(0)
    }

    /// Whether the figures are in doubt for it: what a verdict warns of.
    fn makes_doubt(&self) -> bool {
        let count = self.count.unwrap_or(0);
        let is_found = count > 0 && self.severity >= Severity::Notice;
        match self.check {
            TrustKind::Causality
            | TrustKind::LinkMismatch
            | TrustKind::OperatorMissing
            | TrustKind::LaunchesMissing
            | TrustKind::EventsMissing
            | TrustKind::Duplicates
            | TrustKind::DeviceWorkMissing
            | TrustKind::ImpossibleThroughput
            | TrustKind::EmptyStart
            | TrustKind::StreamOverlap => is_found,
            TrustKind::ActivityWithoutLaunch => {
                is_found && self.of.is_some_and(|of| count.saturating_mul(100) >= of)
            }
            _ => false,
        }
    }
}

/// The panel of one input, in the order of [`TrustKind`]. `diag` is what reading it reported.
pub fn trust(store: &Store, base: &TimeBase, diag: &Reporter) -> Vec<TrustRow> {
    // Each goes over much of the store, and none needs another.
    let checks: [&(dyn Fn() -> TrustRow + Sync); 27] = [
        &|| activity_without_launch(store, base),
        &|| launch_without_activity(store, base),
        &|| links::causality(store, base),
        &|| links::link_mismatch(store, base),
        &|| links::operator_missing(store, base),
        &|| links::launches_missing(store, base),
        &|| links::events_missing(store, base),
        &|| times::duplicates(store),
        &|| times::device_work_missing(store, base),
        &|| times::impossible_throughput(store, base),
        &|| times::empty_start(store, base),
        &|| torch_rules::nccl_metadata(store),
        &|| torch_rules::backward_sequence(store),
        &|| torch_rules::sync_overlap(store, base),
        &|| torch_rules::wait_record(store),
        &|| torch_rules::wait_in_past(store),
        &|| stream_overlap(base),
        &|| impossible_duration(store),
        &|| longer_than_window(base),
        &|| outside_window(base),
        &|| truncated(store, diag),
        &|| no_device(base, diag),
        &|| no_frames(base),
        &|| lost_events(diag),
        &|| odd_events(diag),
        &|| profiler_overhead(store),
        &|| clock(store),
    ];
    let mut lines: Vec<TrustRow> = checks.par_iter().map(|check| check()).collect();
    lines.extend(super::times::lines(store, base));
    lines.sort_by_key(|line| line.check);
    for line in &mut lines {
        (line.input, line.is_doubt) = (base.input, line.makes_doubt());
    }
    lines
}

/// Reports what the accounts had to assume, for the list of issues: stretched device windows and a missing device side.
pub fn report_notices(base: &TimeBase, diag: &mut Reporter) {
    let stretched = base.devices.iter().filter(|device| device.stretched_ns > 0);
    for device in stretched {
        let name = device.device.map_or("a device".to_owned(), |number| format!("device {number}"));
        let detail = format!("{name} by {} ns", device.stretched_ns);
        diag.with_detail(IssueKind::WindowStretched, None, detail);
    }
    if base.devices.is_empty() && diag.count(IssueKind::UnreadActivity) == 0 {
        diag.add(IssueKind::NoDeviceEvents, 1, None, None);
    }
}

/// A line that is a problem of some severity where its count is not 0; the panel gives it its input.
pub(super) fn line(
    check: TrustKind,
    count: u64,
    effect_ns: i64,
    severity: Severity,
    meaning: &'static str,
) -> TrustRow {
    let severity = if count == 0 { Severity::Info } else { severity };
    let (input, of, is_doubt) = (0, None, false);
    let (count, effect_ns) = (Some(count), Some(effect_ns));
    TrustRow { input, check, severity, count, of, effect_ns, meaning, is_doubt }
}

fn activities(base: &TimeBase) -> impl Iterator<Item = &ActivityRow> {
    base.devices.iter().flat_map(|device| &device.slices)
}

fn records_calls(store: &Store) -> bool {
    store.categories.iter().any(|(_, kind)| kind.is_api_call())
}

fn activity_without_launch(store: &Store, base: &TimeBase) -> TrustRow {
    let orphans =
        activities(base).filter(|row| base.launches.call_of(store, row.slice as usize).is_none());
    let (count, ns) = orphans.fold((0, 0), |(n, ns), row| (n + 1, ns + row.span.len_ns()));
    let meaning = "device activity that no recorded call started: its idle causes, iterations and operators are not known";
    let mut line = line(TrustKind::ActivityWithoutLaunch, count, ns, Severity::Notice, meaning);
    line.of = Some(activities(base).count() as u64);
    if !records_calls(store) {
        line.count = None;
    }
    line
}

fn launch_without_activity(store: &Store, base: &TimeBase) -> TrustRow {
    let meaning =
        "launches whose kernels the trace does not show: kernel times are too small by them";
    let (mut launches, mut lost) = (0, 0);
    // Names repeat: each is looked at once.
    let mut known: Vec<Option<bool>> = vec![None; store.strings.len()];
    for thread in &base.threads {
        let slices = store.tracks[thread.track].slices.clone();
        for slice in store.slices_of(slices, EventKind::is_api_call) {
            let known = &mut known[store.slices.name[slice].0 as usize];
            if *known.get_or_insert_with(|| is_launch(store.name(slice))) {
                launches += 1;
                let has_id = correlation(store, slice).is_some();
                let has_any = has_id && base.launches.activities_of(store, slice).next().is_some();
                lost += u64::from(!has_any);
            }
        }
    }
    let mut line = line(TrustKind::LaunchWithoutActivity, lost, 0, Severity::Notice, meaning);
    line.effect_ns = None;
    line.of = Some(launches);
    if !records_calls(store) {
        line.count = None;
    }
    line
}

/// Whether a runtime or driver call starts kernels.
pub(super) fn is_launch(name: &str) -> bool {
    ["LaunchKernel", "KernelLaunch", "LaunchCooperativeKernel", "GraphLaunch", "ModuleLaunch"]
        .iter()
        .any(|part| name.contains(part))
}

fn stream_overlap(base: &TimeBase) -> TrustRow {
    let meaning = "kernels that overlap an earlier one of their stream: counted twice in the kernel sum, once in busy";
    let overlaps = base.devices.iter().map(stream_overlaps);
    let (count, ns) = overlaps.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    let kernels = activities(base).filter(|row| row.kind.is_kernel());
    let sum_ns: i64 = kernels.map(|row| row.span.len_ns()).sum();
    // Kernels that start early by design overlap for less than a hundredth.
    let severity = if ns.saturating_mul(50) > sum_ns { Severity::Notice } else { Severity::Info };
    line(TrustKind::StreamOverlap, count, ns, severity, meaning)
}

fn impossible_duration(store: &Store) -> TrustRow {
    let meaning = "events longer than a day: left out of windows, busy times and classes, but not of sums by name";
    let long = store.slices.long_durations_ns().filter(|&ns| is_impossible(ns));
    let (count, ns) = long.fold((0, 0_i64), |(n, sum), ns| (n + 1, sum.saturating_add(ns)));
    line(TrustKind::ImpossibleDuration, count, ns, Severity::DataLoss, meaning)
}

fn longer_than_window(base: &TimeBase) -> TrustRow {
    let meaning = "device activity longer than the profiled window: its duration may be corrupt; it is counted as written";
    let window = base.windows.whole.len_ns();
    let long =
        activities(base).map(|row| row.span.len_ns()).filter(|&ns| window > 0 && ns > window);
    let (count, ns) = long.fold((0, 0), |(n, sum), ns| (n + 1, sum + ns));
    line(TrustKind::LongerThanWindow, count, ns, Severity::Notice, meaning)
}

fn outside_window(base: &TimeBase) -> TrustRow {
    let meaning = "devices with activity outside the profiled window: their windows were stretched to hold it";
    let stretched = base.devices.iter().map(|device| device.stretched_ns).filter(|&ns| ns > 0);
    let (count, ns) = stretched.fold((0, 0), |(n, sum), ns| (n + 1, sum + ns));
    line(TrustKind::OutsideWindow, count, ns, Severity::Info, meaning)
}

fn truncated(store: &Store, diag: &Reporter) -> TrustRow {
    let cut = [IssueKind::TruncatedFile, IssueKind::TruncatedGzip, IssueKind::CorruptGzip];
    let is_cut = store.meta.truncated || cut.iter().any(|&kind| diag.count(kind) > 0);
    let meaning = "the file ends early: everything after the cut is missing from every figure";
    let mut line = line(TrustKind::Truncated, u64::from(is_cut), 0, Severity::DataLoss, meaning);
    line.effect_ns = None;
    line
}

fn no_device(base: &TimeBase, diag: &Reporter) -> TrustRow {
    let meaning = if diag.count(IssueKind::UnreadActivity) > 0 {
        "no device activity was read, and activity of kinds that are not read was passed over: devices may have been recorded"
    } else {
        "no device activity was recorded: all kernel figures are unknown, not zero"
    };
    let count = u64::from(base.devices.is_empty());
    let mut line = line(TrustKind::NoDevice, count, 0, Severity::Notice, meaning);
    line.effect_ns = None;
    line
}

fn no_frames(base: &TimeBase) -> TrustRow {
    let meaning = "work threads without Python frames: waiting and Python cannot be told apart in what is unattributed";
    let blind = base.work_threads().filter(|thread| !thread.has_frames);
    let ns = |thread: &super::host::HostThread| {
        thread.timeline.totals().get(super::timeline::Class::Unattributed)
    };
    let (count, ns) = blind.fold((0, 0), |(n, sum), thread| (n + 1, sum + ns(thread)));
    let mut line = line(TrustKind::NoFrames, count, ns, Severity::Notice, meaning);
    let works = base.threads.iter().filter(|thread| thread.kind == ThreadKind::Work);
    line.of = Some(works.count() as u64);
    line
}

fn issues_of(diag: &Reporter, severity: Severity, skip: &[IssueKind]) -> u64 {
    let mine = diag.issues().filter(|issue| issue.kind.severity() == severity);
    mine.filter(|issue| !skip.contains(&issue.kind)).map(|issue| issue.count).sum()
}

fn lost_events(diag: &Reporter) -> TrustRow {
    let meaning = "events that were dropped or could not be read: missing from every figure";
    let cuts = [IssueKind::TruncatedFile, IssueKind::TruncatedGzip, IssueKind::CorruptGzip];
    let count = issues_of(diag, Severity::DataLoss, &cuts);
    let mut line = line(TrustKind::LostEvents, count, 0, Severity::DataLoss, meaning);
    line.effect_ns = None;
    line
}

fn odd_events(diag: &Reporter) -> TrustRow {
    let meaning = "oddities of the file that were repaired or passed over: see the list of issues";
    let shown_elsewhere = [
        IssueKind::WindowStretched,
        IssueKind::NoDeviceEvents,
        IssueKind::UnclosedFrame,
        IssueKind::OpenBegin,
        IssueKind::UntimedEvent,
    ];
    let count = issues_of(diag, Severity::Notice, &shown_elsewhere);
    let mut line = line(TrustKind::OddEvents, count, 0, Severity::Notice, meaning);
    line.effect_ns = None;
    line
}

fn profiler_overhead(store: &Store) -> TrustRow {
    let meaning = "overhead rows of the profiler and of module loading: time that a run without profiler spends less of";
    let (count, ns) = store
        .all_of(|kind| kind == EventKind::Overhead)
        .fold((0, 0), |(n, ns), slice| (n + 1, ns + store.slices.dur_ns(slice)));
    line(TrustKind::ProfilerOverhead, count, ns, Severity::Info, meaning)
}

fn clock(store: &Store) -> TrustRow {
    let has_unix_time = base_of(store) != ClockBase::Unknown;
    let meaning = if has_unix_time {
        "times are Unix time of the host: files of one host share a clock, other hosts may differ"
    } else {
        "the file does not say what its times count from: it can be placed beside others only by estimate"
    };
    let count = u64::from(!has_unix_time);
    let mut line = line(TrustKind::Clock, count, 0, Severity::Notice, meaning);
    line.effect_ns = None;
    line
}
