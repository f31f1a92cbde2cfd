//! Inputs and their reporters as rows: the part of the report that comes from reading, not from an analysis.

use crate::diag::{Reporter, Severity};
use crate::model::EventKind;
use crate::read::Input;
use crate::store::Store;
use crate::table::{InputRow, IssueRow};

/// The row of an input, without its window.
pub(super) fn input(number: usize, input: &Input) -> InputRow {
    let identity = &input.identity;
    InputRow {
        path: input.path.display().to_string(),
        stage: identity.stage,
        rank: identity.rank.or(identity.local_rank),
        world_size: identity.world_size,
        pids: host_pids(&input.store),
        bytes: input.bytes,
        json_bytes: input.json_bytes,
        events: input.store.n_events,
        base_time_ns: input.store.meta.base_time_ns,
        window_ns: None,
        truncated: input.store.meta.truncated,
        label: identity.label(),
        trust: trust(&input.diag),
        input: number,
    }
}

/// The processes that own host events, ascending.
fn host_pids(store: &Store) -> Vec<i64> {
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

/// Whether the figures of an input can be trusted, in a few words.
fn trust(diag: &Reporter) -> String {
    let count_of = |severity: Severity| {
        diag.issues().filter(|issue| issue.kind.severity() == severity).count()
    };
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
pub(super) fn issues(number: usize, diag: &Reporter) -> impl Iterator<Item = IssueRow> + '_ {
    diag.issues().map(move |issue| IssueRow {
        severity: issue.kind.severity().as_str(),
        kind: issue.kind.as_str(),
        count: issue.count,
        first_offset: issue.first_offset,
        message: issue.message(),
        input: number,
    })
}
