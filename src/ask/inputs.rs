//! Rows that need an input beside a result: inputs, issues, totals, and the order of the profiler table.

use std::cmp::Reverse;

use super::{InputAnswers, SortKey};
use crate::analyze::base::TimeBase;
use crate::analyze::exclude::Exclusion;
use crate::analyze::key_averages::{KeyAverages, LinkSource};
use crate::analyze::memory_events::MemoryEvents;
use crate::analyze::timeline::Class;
use crate::analyze::trust::report_notices;
use crate::analyze::window::{WindowSource, Windows};
use crate::diag::{IssueKind, Reporter, Severity};
use crate::model::EventKind;
use crate::read::Input;
use crate::store::Store;
use crate::table::{InputRow, IssueRow, KeyAverageRow, TotalsRow};

/// The row of an input.
pub(super) fn input(number: usize, input: &Input, diag: &Reporter, windows: &Windows) -> InputRow {
    let identity = &input.identity;
    InputRow {
        path: input.path.display().to_string(),
        stage: identity.stage,
        rank: identity.any_rank(),
        world_size: identity.world_size,
        pids: host_pids(&input.store),
        bytes: input.bytes,
        json_bytes: input.json_bytes,
        events: input.store.n_events,
        base_time_ns: input.store.meta.base_time_ns,
        window_ns: (windows.source != WindowSource::Empty).then(|| windows.file.len_ns()),
        truncated: input.store.meta.truncated,
        label: identity.label(),
        trust: trust(diag),
        input: number,
        run: 0,
        tp_rank: identity.parallel.tp,
        dp_rank: identity.parallel.dp,
        pp_rank: identity.parallel.pp,
        ep_rank: identity.parallel.ep,
        snapshot: input.snapshot.as_ref().map(|file| file.path.display().to_string()),
    }
}

/// The processes that own host events, ascending.
pub(super) fn host_pids(store: &Store) -> Vec<i64> {
    let is_host = |range: std::ops::Range<usize>| {
        range.clone().any(|slice| {
            let kind = store.kind(slice);
            kind.is_on_host() && kind != EventKind::Overhead
        })
    };
    let mut pids: Vec<i64> = store
        .tracks
        .iter()
        .filter(|track| is_host(track.slices.clone()))
        .filter_map(|track| i64::try_from(track.pid.as_int()?).ok())
        .collect();
    pids.sort_unstable();
    pids.dedup();
    pids
}

/// Whether the figures of an input can be trusted, in a few words. What was left out beside it says nothing of them.
fn trust(diag: &Reporter) -> String {
    let says_nothing = [IssueKind::LeftOut, IssueKind::NotARank];
    let of_figures = || diag.issues().filter(|issue| !says_nothing.contains(&issue.kind));
    let count_of =
        |severity: Severity| of_figures().filter(|issue| issue.kind.severity() == severity).count();
    let lost = count_of(Severity::DataLoss) + count_of(Severity::Error);
    let notices = count_of(Severity::Notice);
    match (lost, notices) {
        (0, 0) => "complete".to_owned(),
        (0, 1) => "complete, 1 notice".to_owned(),
        (0, n) => format!("complete, {n} notices"),
        (_, _) => "DATA LOST, see issues".to_owned(),
    }
}

/// The issues of an input.
pub fn issues(number: usize, diag: &Reporter) -> impl Iterator<Item = IssueRow> + '_ {
    diag.issues().map(move |issue| IssueRow {
        severity: issue.kind.severity(),
        kind: issue.kind,
        count: issue.count,
        first_offset: issue.first_offset,
        message: issue.message(),
        input: number,
    })
}

/// The issues of an input, with what the analyses found worth knowing about the figures.
pub(super) fn with_findings(
    input: &Input,
    base: &TimeBase,
    key_averages: Option<&KeyAverages>,
) -> Reporter {
    let mut diag = input.diag.clone();
    if input.store.slices.is_empty() {
        if base.windows.source != WindowSource::Snapshot {
            diag.add(IssueKind::NoEvents, 1, None, None);
        }
    } else {
        report_notices(base, &mut diag);
    }
    let has_frames =
        input.store.categories.iter().any(|&(_, kind)| kind == EventKind::PythonFunction);
    if let Some(key_averages) = key_averages {
        report_links(key_averages, &mut diag);
    }
    if let Some(key_averages) = key_averages.filter(|_| has_frames) {
        let verb = if key_averages.python_rows { "are" } else { "are not" };
        let detail = format!("they {verb} rows; {}", key_averages.python_rows_reason);
        diag.with_detail(IssueKind::PythonRowsChosen, None, detail);
    }
    diag
}

/// What a snapshot does not tell.
pub(super) fn report_snapshot(events: &MemoryEvents, base: &TimeBase, diag: &mut Reporter) {
    if let Some(doubt) = events.doubt() {
        diag.add(IssueKind::SnapshotBound, 1, None, Some(doubt));
    }
    if events.is_apart(base) {
        diag.add(IssueKind::SnapshotApart, 1, None, None);
    }
}

/// How the device time of operators is known, where it is not by the operators' ids.
fn report_links(key_averages: &KeyAverages, diag: &mut Reporter) {
    match key_averages.link_source {
        LinkSource::ExternalId => (),
        LinkSource::Nesting => {
            let n = key_averages.n_without_call;
            let detail = (n > 0).then(|| {
                format!("{n} device events have no call in the trace and are in no operator's device time")
            });
            diag.add(IssueKind::OperatorsByNesting, 1, None, detail);
        }
        LinkSource::NotRecorded => diag.add(IssueKind::OperatorsUnknown, 1, None, None),
    }
}

/// The totals of one input.
pub(super) fn totals(results: &InputAnswers) -> TotalsRow {
    let mut totals = TotalsRow::default();
    if let Some(key_averages) = &results.key_averages {
        totals.self_cpu_ns = key_averages.self_cpu_ns;
        totals.excluded_self_cpu_ns = key_averages.excluded_self_cpu_ns;
        totals.self_device_ns = key_averages.self_device_ns;
    }
    let excluded = results.exclusion.as_ref();
    totals.excluded_ipc_wait_ns = excluded.map_or(0, |excluded| excluded.class_ns(Class::IpcWait));
    totals.excluded_ns = excluded.map_or(0, Exclusion::total_ns);
    totals.ipc_wait_ns = results.ipc_wait_ns.map(|ns| ns - totals.excluded_ipc_wait_ns);
    totals
}

/// The totals over some inputs.
pub(super) fn sum<'a>(parts: impl IntoIterator<Item = &'a TotalsRow>) -> TotalsRow {
    let mut totals = TotalsRow::default();
    for part in parts {
        totals.self_cpu_ns += part.self_cpu_ns;
        totals.excluded_self_cpu_ns += part.excluded_self_cpu_ns;
        totals.self_device_ns += part.self_device_ns;
        totals.excluded_ipc_wait_ns += part.excluded_ipc_wait_ns;
        totals.excluded_ns += part.excluded_ns;
        if let Some(ipc_wait_ns) = part.ipc_wait_ns {
            *totals.ipc_wait_ns.get_or_insert(0) += ipc_wait_ns;
        }
    }
    totals
}

/// What torch calls the device in its column titles: `use_device` in capitals, which the trace only shows by its
/// categories.
pub fn device_label(store: &Store) -> &'static str {
    let has = |prefix: &str| {
        store.categories.iter().any(|&(name, _)| store.strings.get(name).starts_with(prefix))
    };
    match () {
        () if has("xpu_") => "XPU",
        () if has("mtia_") => "MTIA",
        () if has("hpu_") => "HPU",
        () => "CUDA",
    }
}

/// Sorts the profiler table of each run as asked, the largest first; rows that tie keep torch's order.
pub(super) fn sort_key_averages(rows: &mut [KeyAverageRow], sort: Option<SortKey>) {
    let has_device = rows.iter().any(KeyAverageRow::has_device_time);
    let default = if has_device { SortKey::SelfDevice } else { SortKey::SelfCpu };
    match sort.unwrap_or(default) {
        SortKey::SelfCpu => rows.sort_by_key(|row| Reverse(row.self_cpu_ns)),
        SortKey::CpuTotal => rows.sort_by_key(|row| Reverse(row.cpu_total_ns)),
        SortKey::SelfDevice => rows.sort_by_key(|row| Reverse(row.self_device_ns)),
        SortKey::DeviceTotal => rows.sort_by_key(|row| Reverse(row.device_total_ns)),
        SortKey::Count => rows.sort_by_key(|row| Reverse(row.count)),
        SortKey::CpuAverage => sort_by_average(rows, |row| row.cpu_total_ns),
        SortKey::DeviceAverage => sort_by_average(rows, |row| row.device_total_ns.unwrap_or(0)),
        SortKey::CpuMemory => rows.sort_by_key(|row| Reverse(row.cpu_bytes)),
        SortKey::SelfCpuMemory => rows.sort_by_key(|row| Reverse(row.self_cpu_bytes)),
        SortKey::DeviceMemory => rows.sort_by_key(|row| Reverse(row.device_bytes)),
        SortKey::SelfDeviceMemory => rows.sort_by_key(|row| Reverse(row.self_device_bytes)),
        SortKey::Name => rows.sort_by(|a, b| a.name.cmp(&b.name)),
    }
    rows.sort_by_key(|row| row.run);
}

fn sort_by_average(rows: &mut [KeyAverageRow], total_ns: impl Fn(&KeyAverageRow) -> i64) {
    let average = |row: &KeyAverageRow| total_ns(row) as f64 / row.count.max(1) as f64;
    rows.sort_by(|a, b| average(b).total_cmp(&average(a)));
}
