//! What pipeline logs come to.

use super::{Line, Tone, Verdict};
use crate::table::Cell;
use crate::table::stages::StagesReport;

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
        let path = |field: &str| format!("/requests/{number}/{field}");
        let mut line = match n {
            1 => Line::of_logs("The request "),
            _ => Line::of_logs("The slowest request, "),
        };
        line = line.name(&row.request).words(" took ").figure(Cell::Ns(e2e_ns), path("e2e_ns"));
        for (ns, words, field) in [
            (row.generation_ns, " generation", "generation_ns"),
            (row.transfers_ns, " transfers", "transfers_ns"),
            (row.queue_ns, " queue", "queue_ns"),
            (row.next_stage_ns, " waiting for the next stage", "next_stage_ns"),
            (row.other_ns.filter(|&ns| ns > 0), " other", "other_ns"),
        ] {
            if let Some(ns) = ns {
                line = line
                    .words(", ")
                    .share((ns, path(field)), (e2e_ns, path("e2e_ns")))
                    .words(words);
            }
        }
        sentences.push(line.words(".").see("requests"));
    }
    if found.stages.len() > 1 {
        let sums = found
            .stages
            .iter()
            .enumerate()
            .filter_map(|(i, row)| Some((i, row, row.generation_ns?)));
        if let Some((number, row, ns)) = sums.max_by_key(|&(i, _, ns)| (ns, std::cmp::Reverse(i))) {
            let line = Line::of_logs("By the log, stage ")
                .figure(Cell::Count(u64::from(row.stage)), format!("/stages/{number}/stage"))
                .words(" generated longest: ")
                .figure(Cell::Ns(ns), format!("/stages/{number}/generation_ns"));
            sentences.push(line.words(" in all.").see("stages"));
        }
    }
    if !found.flags.is_empty() {
        let n = found.flags.len();
        let word = if n == 1 { "figure" } else { "figures" };
        sentences.push(
            Line::of_logs("")
                .figure(Cell::Count(n as u64), "/flags".to_owned())
                .words(format!(" printed {word} of the logs should be read with care."))
                .tone(Tone::Caution)
                .see("flags"),
        );
    }
    (!sentences.is_empty()).then(|| Verdict {
        about: "The logs".to_owned(),
        input: None,
        sentences,
    })
}
