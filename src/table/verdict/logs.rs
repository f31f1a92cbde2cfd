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
    let mut sentences = Vec::new();
    let found = &report.found;
    let timed =
        found.requests.iter().enumerate().filter_map(|(i, row)| Some((i, row, row.e2e_ns?)));
    if let Some((number, row, e2e_ns)) =
        timed.clone().max_by_key(|&(i, _, ns)| (ns, std::cmp::Reverse(i)))
    {
        let n = timed.count();
        let at = Pointer::<RequestRow>::row(number);
        let mut line = match n {
            1 => Line::of_logs("The request "),
            _ => Line::of_logs("The slowest request, "),
        };
        line =
            line.name(&row.request).words(" took ").figure(Cell::Ns(e2e_ns), pointer!(at.e2e_ns));
        for (ns, words, path) in [
            (row.generation_ns, " generation", pointer!(at.generation_ns)),
            (row.transfers_ns, " transfers", pointer!(at.transfers_ns)),
            (row.queue_ns, " queue", pointer!(at.queue_ns)),
            (row.next_stage_ns, " waiting for the next stage", pointer!(at.next_stage_ns)),
            (row.other_ns.filter(|&ns| ns > 0), " other", pointer!(at.other_ns)),
        ] {
            if let Some(ns) = ns {
                line =
                    line.words(", ").share((ns, path), (e2e_ns, pointer!(at.e2e_ns))).words(words);
            }
        }
        sentences.push(line.words(".").see::<RequestRow>());
    }
    sentences.extend(first_output(found));
    sentences.extend(no_request(found));
    if found.stages.len() > 1 {
        let sums = found
            .stages
            .iter()
            .enumerate()
            .filter_map(|(i, row)| Some((i, row, row.generation_ns?)));
        if let Some((number, row, ns)) = sums.max_by_key(|&(i, _, ns)| (ns, std::cmp::Reverse(i))) {
            let at = Pointer::<StageRow>::row(number);
            let line = Line::of_logs("By the log, stage ")
                .figure(Cell::Count(u64::from(row.stage)), pointer!(at.stage))
                .words(" generated longest: ")
                .figure(Cell::Ns(ns), pointer!(at.generation_ns));
            sentences.push(line.words(" in all.").see::<StageRow>());
        }
    }
    if !found.flags.is_empty() {
        let n = found.flags.len();
        let word = if n == 1 { "figure" } else { "figures" };
        let root = Pointer::<StageReport>::root();
        sentences.push(
            Line::of_logs("")
                .figure(Cell::Count(n as u64), pointer!(root.flags))
                .words(format!(" printed {word} of the logs should be read with care."))
                .tone(Tone::Caution)
                .see::<FlagRow>(),
        );
    }
    (!sentences.is_empty()).then(|| Verdict {
        about: "The logs".to_owned(),
        input: None,
        sentences,
    })
}
