//! The report of `check`: what files are worth.

use super::inputs::{self, issues};
use crate::analyze::base::{TimeBase, TimeConfig};
use crate::analyze::fitness::{Evidence, Need, NeedRow};
use crate::analyze::trust::trust;
use crate::analyze::window::{WindowSource, Windows};
use crate::diag::{Issue, IssueKind, Reporter, Severity};
use crate::model::Role;
use crate::read::{Input, ReadError, events_in};
use crate::table::{CheckReport, Condition, FileRow, LossRow, SCHEMA_VERSION};

/// Kinds of issues of a file that does not hold what its format asks for. What is odd about times is for the checks of trust.
const DAMAGE: [IssueKind; 9] = [
    IssueKind::RepairedEvent,
    IssueKind::InvalidUtf8,
    IssueKind::NegativeDuration,
    IssueKind::GarbageAfterEvents,
    IssueKind::BadMetadata,
    IssueKind::TrailingBytes,
    IssueKind::Transcoded,
    IssueKind::OversizedMember,
    IssueKind::SeveralDocuments,
];

/// What files are worth, and whether they hold what is needed of them. A file of which nothing can be read is one of them.
pub fn check_report(files: &[Result<Input, ReadError>], needs: &[Need]) -> CheckReport {
    let mut report =
        CheckReport { schema_version: SCHEMA_VERSION, command: "check", ..CheckReport::default() };
    let is_rank = |file: &Result<Input, ReadError>| {
        file.as_ref().is_ok_and(|input| input.identity.role == Role::Worker)
    };
    let has_rank = files.iter().any(is_rank);
    for (number, file) in files.iter().enumerate() {
        match file {
            Ok(input) => {
                let must = |need| needs.contains(&need) && (!has_rank || is_rank(file));
                add_input(&mut report, number, input, must);
            }
            Err(error) => {
                report.files.push(unreadable(number, error));
                let row = |need| {
                    let asked = needs.contains(&need);
                    NeedRow { input: number, need, met: false, asked, count: None }
                };
                report.needs.extend(Need::ALL.map(row));
            }
        }
    }
    report
}

fn add_input(report: &mut CheckReport, number: usize, input: &Input, must: impl Fn(Need) -> bool) {
    let store = &input.store;
    let base = TimeBase::new(store, &TimeConfig::default()).numbered(number);
    let diag = inputs::with_findings(input, &base, None);
    let losses: Vec<LossRow> =
        lost(&diag).map(|issue| loss(number, input, &base.windows, issue)).collect();
    report.files.push(file(number, input, &base.windows, &diag, &losses));
    report.losses.extend(losses);
    let evidence = Evidence::of(store, &base, &diag);
    report.fit.extend(evidence.fit(number));
    report.needs.extend(Need::ALL.map(|need| {
        let (met, count) = evidence.meets(need);
        NeedRow { input: number, need, met, asked: must(need), count }
    }));
    report.trust.extend(trust(store, &base, &diag));
    report.issues.extend(issues(number, &diag));
}

fn lost(diag: &Reporter) -> impl Iterator<Item = &Issue> {
    diag.issues().filter(|issue| issue.kind.severity() >= Severity::DataLoss)
}

fn file(
    number: usize,
    input: &Input,
    windows: &Windows,
    diag: &Reporter,
    losses: &[LossRow],
) -> FileRow {
    let is_damaged = DAMAGE.iter().any(|&kind| diag.count(kind) > 0);
    let verdict = match () {
        () if !losses.is_empty() || input.store.meta.truncated => Condition::Salvaged,
        () if is_damaged => Condition::Repaired,
        () => Condition::Clean,
    };
    let odd = diag.issues().find(|issue| DAMAGE.contains(&issue.kind));
    let problem = lost(diag).next().or(odd).map(Issue::message).unwrap_or_default();
    let at_least = (!losses.is_empty()).then(|| losses.iter().map(|loss| loss.count).sum());
    let about = losses.iter().filter_map(|loss| loss.about).reduce(u64::saturating_add);
    FileRow {
        input: number,
        verdict,
        events: Some(input.store.n_events),
        lost_at_least: at_least,
        lost_about: about.map(|about| about.max(at_least.unwrap_or(0))),
        lost_bytes: lost(diag)
            .filter_map(|issue| text_bytes(input, issue))
            .reduce(u64::saturating_add),
        window_ns: (windows.source != WindowSource::Empty).then(|| windows.file.len_ns()),
        bytes: input.bytes,
        json_bytes: Some(input.json_bytes),
        path: input.path.display().to_string(),
        problem,
    }
}

fn unreadable(number: usize, error: &ReadError) -> FileRow {
    FileRow {
        input: number,
        verdict: Condition::Unreadable,
        events: None,
        lost_at_least: None,
        lost_about: None,
        lost_bytes: None,
        window_ns: None,
        bytes: None,
        json_bytes: None,
        path: error.path().display().to_string(),
        problem: error.to_string(),
    }
}

/// Whether an issue's bytes are of a compressed stream.
fn is_of_stream(issue: &Issue) -> bool {
    matches!(issue.kind, IssueKind::CorruptGzip | IssueKind::TruncatedGzip)
}

/// Bytes of text that an issue stands for; of a compressed stream about as many as it would have been.
fn text_bytes(input: &Input, issue: &Issue) -> Option<u64> {
    match issue.bytes {
        0 => None,
        bytes if is_of_stream(issue) => events_in(bytes, input.bytes?, input.json_bytes),
        bytes => Some(bytes),
    }
}

/// How many events or places are missing at least. Events behind the end were read; what stood before them is one place.
fn n_lost(issue: &Issue) -> u64 {
    if issue.kind == IssueKind::EventsBehindEnd { 1 } else { issue.count }
}

fn loss(number: usize, input: &Input, windows: &Windows, issue: &Issue) -> LossRow {
    let n_events = input.store.n_events;
    let about = match issue.bytes {
        0 => None,
        bytes if is_of_stream(issue) => input.bytes.and_then(|all| events_in(bytes, all, n_events)),
        bytes => events_in(bytes, input.json_bytes, n_events),
    };
    let is_known = windows.source == WindowSource::ProfilerSpan;
    LossRow {
        input: number,
        kind: issue.kind,
        count: n_lost(issue),
        about: about.map(|about| about.max(if is_of_stream(issue) { 0 } else { n_lost(issue) })),
        bytes: (issue.bytes > 0).then_some(issue.bytes),
        first_offset: issue.first_offset,
        not_before_ns: is_known.then_some(0),
        not_after_ns: is_known.then(|| windows.whole.len_ns()),
        meaning: issue.message(),
    }
}
