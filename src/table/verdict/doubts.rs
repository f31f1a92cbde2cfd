//! What makes the figures of an input doubtful, each in a sentence with its counts.

use super::{Cell, Line, Sentence, Tone, own};
use crate::schema::{Pointer, pointer};
use crate::table::{AnalyzeReport, TrustKind, TrustRow};

/// The cautions of the panel of one input.
pub(super) fn doubts(report: &AnalyzeReport, input: usize) -> Vec<Sentence> {
    let rows = own(&report.trust, input, |row| row.input).filter(|(_, row)| row.is_doubt);
    rows.filter_map(|(number, row)| sentence(number, row)).collect()
}

/// Whether a check found something that makes a figure doubtful.
pub(super) fn is_doubted(report: &AnalyzeReport, input: usize, check: TrustKind) -> bool {
    own(&report.trust, input, |row| row.input).any(|(_, row)| row.is_doubt && row.check == check)
}

fn sentence(number: usize, row: &TrustRow) -> Option<Sentence> {
    let at = Pointer::<TrustRow>::row(number);
    let counted = |words: &str| {
        let line = Line::new("").figure(Cell::Count(row.count?), pointer!(at.count));
        Some(line.words(" of ").figure(Cell::Count(row.of?), pointer!(at.of)).words(words))
    };
    let effect = || Some((Cell::Ns(row.effect_ns?), pointer!(at.effect_ns)));
    let line: Option<Line> = match row.check {
        TrustKind::Causality => counted(
            " device activities begin before the call that started them: clocks or links are wrong, and what follows from them (causes of idle time, iterations, device times of operators) is not to be trusted.",
        ),
        TrustKind::LinkMismatch => counted(
            " device activities are linked to a call that cannot have started them: what follows from links (causes of idle time, iterations, device times of operators) is not to be trusted.",
        ),
        TrustKind::OperatorMissing => counted(
            " device activities name an operator that is not in the file: operators are missing.",
        ),
        TrustKind::LaunchesMissing => counted(
            " arrows to devices and annotations on them lead to nothing: launches and their kernels are missing from the file; idle times are upper bounds, busy times lower ones.",
        ),
        TrustKind::EventsMissing => counted(
            " numbered operators, annotations, frames and memory events are not in the file: counts and sums are lower bounds.",
        ),
        TrustKind::Duplicates => counted(
            " events stand in the file more than once: counts and sums hold them more than once.",
        ),
        TrustKind::ImpossibleThroughput => counted(
            " copies are faster than any link or memory, or shorter than any: their bytes or durations are wrong.",
        ),
        TrustKind::ActivityWithoutLaunch => counted(
            " device activities were started by no recorded call: what follows from links (causes of idle time, iterations, device times of operators) lacks them.",
        ),
        TrustKind::DeviceWorkMissing => {
            let (cell, path) = effect()?;
            let line = Line::new("The host waited for a device for ").figure(cell, path);
            Some(line.words(" while next to nothing is recorded on any: device work is missing from the file; idle times are upper bounds, busy times lower ones."))
        }
        TrustKind::StreamOverlap => {
            let (cell, path) = effect()?;
            let line = Line::new("Kernels overlap others of their stream for ").figure(cell, path);
            Some(line.words(" in all: their durations may be wrong."))
        }
        TrustKind::EmptyStart => {
            let (cell, path) = effect()?;
            let line = Line::new("Nothing is recorded in the first ").figure(cell, path);
            Some(line.words(" of the window: shares of the window are smaller for it."))
        }
        _ => None,
    };
    Some(line?.tone(Tone::Caution).see::<TrustRow>())
}
