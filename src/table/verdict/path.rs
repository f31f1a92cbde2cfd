//! What the critical path of a run comes to: what it is mostly spent on, and the findings that bring most.

use super::{Line, Sentence, Tone, Verdict};
use crate::causal::findings::{FindingKind, FindingRow};
use crate::causal::rows::{By, PathRow, ReplayRow, UnitOf};
use crate::schema::{Pointer, pointer};
use crate::table::causal::CriticalPathReport;
use crate::table::{Cell, InputRow};

/// Findings that are told.
const N_FINDINGS: usize = 3;

/// The sentences about a path.
pub fn verdict_of_path(report: &CriticalPathReport) -> Verdict {
    let mut sentences: Vec<Sentence> = mostly(report).into_iter().collect();
    let findings = report.findings.iter().enumerate().filter(|(at, row)| {
        report.findings[..*at].iter().all(|before| before.finding != row.finding)
    });
    let told = findings.take(N_FINDINGS).map(|(at, row)| finding(report, at, row));
    sentences.extend(told);
    sentences.extend(silent(report));
    let about = if report.inputs.len() == 1 { "The trace" } else { "The run" };
    Verdict { about: about.to_owned(), input: None, sentences }
}

fn line(words: impl Into<String>) -> Line {
    Line { command: "critical-path", ..Line::new(words) }
}

/// What the path is mostly spent on.
fn mostly(report: &CriticalPathReport) -> Option<Sentence> {
    let rows = report.critical_path.iter().enumerate();
    let (at, most) = rows.filter(|(_, row)| row.by == By::Class).max_by_key(|(_, row)| row.ns)?;
    let at = Pointer::<PathRow>::row(at);
    let all = Pointer::<CriticalPathReport>::root();
    let whole = (report.window_ns, pointer!(all.window_ns));
    let said = line("Of the critical path (")
        .figure(Cell::Ns(report.window_ns), whole.1.clone())
        .words(") ")
        .share((most.ns, pointer!(at.ns)), whole)
        .words(" is ")
        .name(&most.name)
        .words(", more than of any other class.");
    Some(said.see::<PathRow>())
}

/// `#1 stage 1: `, where a finding is about one of several inputs and does not name it anyway.
fn whose(report: &CriticalPathReport, row: &FindingRow) -> String {
    let input = row.input.and_then(|input| report.inputs.get(input));
    let is_named = |input: &&InputRow| row.subject.as_ref() == Some(&input.label);
    match input.filter(|input| report.inputs.len() > 1 && !is_named(input)) {
        Some(input) => format!("{}: ", input.numbered_name()),
        None => String::new(),
    }
}

/// One finding with its figures; of several inputs with the same, the first.
fn finding(report: &CriticalPathReport, at: usize, row: &FindingRow) -> Sentence {
    let at = Pointer::<FindingRow>::row(at);
    let mut said = line(format!("{}{} (", whose(report, row), head(row.finding)))
        .figure(Cell::Count(row.count), pointer!(at.count))
        .words(" times, ")
        .figure(Cell::Ns(row.ns), pointer!(at.ns));
    if let Some(subject) = &row.subject {
        said = said.words(", mostly ").name(subject);
    }
    said = said.words("): ").words(row.advice);
    let unit = match row.unit {
        UnitOf::Iteration => "a steady iteration",
        UnitOf::Window => "the window",
    };
    let changes = [
        (row.change_pct, pointer!(at.change_pct), unit),
        (row.whole_change_pct, pointer!(at.whole_change_pct), "the run"),
    ];
    let mut before = ". By replay ";
    for (pct, path, of) in changes {
        if let Some(pct) = pct {
            said = said.words(format!("{before}{of} changes by ")).figure(Cell::Percent(pct), path);
            before = ", ";
        }
    }
    said.words(".").see::<FindingRow>()
}

/// The finding in words.
fn head(kind: FindingKind) -> &'static str {
    match kind {
        FindingKind::LaunchBound => "Iterations are bound by launches",
        FindingKind::TinyKernels => "Most kernels are shorter than their launch",
        FindingKind::PageableCopies => "Copies use pageable memory",
        FindingKind::BlockingCopies => "Copies block the host",
        FindingKind::SyncInLoop => "The loop reads results back from the device",
        FindingKind::LateRank => "One rank comes late to collectives",
        FindingKind::ExposedCollectives => "Communication is not hidden",
        FindingKind::StageImbalance => "One stage holds up the others",
        FindingKind::SpinHidesBottleneck => {
            "Waiting for other processes is long and decides nothing"
        }
        FindingKind::ModuleLoading => "Device code is loaded in the window",
        FindingKind::Autotuning => "Kernels are tuned in the window",
        FindingKind::GarbageCollection => "Garbage is collected in the window",
        FindingKind::DataLoader => "The loop waits for its data",
        FindingKind::AllocationInLoop => "The loop allocates device memory",
        FindingKind::Contention => "Kernels slow each other down",
    }
}

/// That rules were silent.
fn silent(report: &CriticalPathReport) -> Option<Sentence> {
    let n = report.n_untrusted;
    let all = Pointer::<CriticalPathReport>::root();
    (n > 0).then(|| {
        line("Findings are left out where the checks of an input do not allow them: ")
            .figure(Cell::Count(n), pointer!(all.n_untrusted))
            .words(if n == 1 { " input" } else { " inputs" })
            .words("; `analyze --table trust` says why.")
            .tone(Tone::Caution)
            .see::<ReplayRow>()
    })
}
