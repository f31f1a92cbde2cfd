//! What pipeline logs come to.

use super::{Line, Sentence, Tone, Verdict};
use crate::analyze::stages::{
    FlagRow, LogRow, PercentileRow, RequestRow, RequestTime, StageReport, StageRow,
};
use crate::schema::{Pointer, pointer};
use crate::table::Cell;
use crate::table::stages::StagesReport;

/// `The first output came after 99.5 ms in the median of 100 requests, after 180 ms at the 99th percentile.`
fn first_output(found: &StageReport) -> Option<Sentence> {
    let is_it = |row: &PercentileRow| row.stage.is_none() && row.time == RequestTime::FirstOutput;
    let (number, row) = found.percentiles.iter().enumerate().find(|(_, row)| is_it(row))?;
    let at = Pointer::<PercentileRow>::row(number);
    let line = Line::of_logs("The first output came after ")
        .figure(Cell::Ns(row.p50_ns), pointer!(at.p50_ns));
    if row.count == 2 {
        // A median of two would be one of them.
        let line = line.words(" and ").figure(Cell::Ns(row.max_ns), pointer!(at.max_ns));
        return Some(line.words(" in the two requests.").see::<PercentileRow>());
    }
    let line = line
        .words(" in the median of ")
        .figure(Cell::Count(row.count), pointer!(at.count))
        .words(" requests, after ")
        .figure(Cell::Ns(row.p99_ns), pointer!(at.p99_ns))
        .words(" at the 99th percentile.");
    Some(line.see::<PercentileRow>())
}

/// What logs of a server lack that tell of no request.
fn no_request(found: &StageReport) -> Option<Sentence> {
    let is_served = !found.throughput.is_empty() || !found.startup.is_empty();
    let tells_requests = !found.requests.is_empty() || !found.diffusion.is_empty();
    let words = "No line tells of a request. vLLM-Omni logs what each spends in each stage where it is started with \
                 --log-stats; vLLM itself logs throughput.";
    let line = Line::of_logs(words).tone(Tone::Caution);
    (is_served && !tells_requests).then(|| line.see::<LogRow>())
}

/// What pipeline logs come to.
pub fn verdict_of_logs(report: &StagesReport) -> Option<Verdict> {
    let found = &report.found;
    let all = [
        slowest_request(found),
        first_output(found),
        no_request(found),
        longest_stage(found),
        flagged(found),
    ];
    let sentences: Vec<Sentence> = all.into_iter().flatten().collect();
    let about = "The logs".to_owned();
    (!sentences.is_empty()).then_some(Verdict { about, input: None, sentences })
}

/// The row with the largest time, the first of equals, with its number.
fn longest<R>(rows: &[R], ns: impl Fn(&R) -> Option<i64>) -> Option<(usize, &R, i64)> {
    let timed = rows.iter().enumerate().filter_map(|(i, row)| Some((i, row, ns(row)?)));
    timed.max_by_key(|&(i, _, ns)| (ns, std::cmp::Reverse(i)))
}

/// What the time of the slowest request is made of.
fn slowest_request(found: &StageReport) -> Option<Sentence> {
    let (number, row, e2e_ns) = longest(&found.requests, |row| row.e2e_ns)?;
    let at = Pointer::<RequestRow>::row(number);
    let is_only = found.requests.iter().filter(|row| row.e2e_ns.is_some()).count() == 1;
    let mut line = Line::of_logs(if is_only { "The request " } else { "The slowest request, " });
    line = line
        .name(&row.request)
        .words(if is_only { " took " } else { ", took " })
        .figure(Cell::Ns(e2e_ns), pointer!(at.e2e_ns));
    for (ns, words, path) in [
        (row.generation_ns, " generation", pointer!(at.generation_ns)),
        (row.transfers_ns, " transfers", pointer!(at.transfers_ns)),
        (row.queue_ns, " queue", pointer!(at.queue_ns)),
        (row.next_stage_ns, " waiting for the next stage", pointer!(at.next_stage_ns)),
        (row.other_ns.filter(|&ns| ns > 0), " other", pointer!(at.other_ns)),
    ] {
        if let Some(ns) = ns {
            line = line.words(", ").share((ns, path), (e2e_ns, pointer!(at.e2e_ns))).words(words);
        }
    }
    Some(line.words(".").see::<RequestRow>())
}

/// Which of several stages generated longest.
fn longest_stage(found: &StageReport) -> Option<Sentence> {
    let (number, row, ns) = longest(&found.stages, |row| row.generation_ns)?;
    let at = Pointer::<StageRow>::row(number);
    let line = Line::of_logs("By the log, stage ")
        .figure(Cell::Count(u64::from(row.stage)), pointer!(at.stage))
        .words(" generated longest: ")
        .figure(Cell::Ns(ns), pointer!(at.generation_ns));
    (found.stages.len() > 1).then(|| line.words(" in all.").see::<StageRow>())
}

/// That printed figures are to be read with care.
fn flagged(found: &StageReport) -> Option<Sentence> {
    let n = found.flags.len();
    let word = if n == 1 { "figure" } else { "figures" };
    let root = Pointer::<StageReport>::root();
    let line = Line::of_logs("")
        .figure(Cell::Count(n as u64), pointer!(root.flags))
        .words(format!(" printed {word} of the logs should be read with care."));
    (n > 0).then(|| line.tone(Tone::Caution).see::<FlagRow>())
}
