//! The figures of `merge`.

use super::{Figure, FigureKind, OffsetRow, empty, inputs_in_words};
use crate::table::{MergeReport, MergeRow};

/// The figures, in the order of reading.
pub fn merge_figures(report: &MergeReport) -> Vec<Figure> {
    vec![alignment(report)]
}

/// How far each clock is ahead, with its error.
fn alignment(report: &MergeReport) -> Figure {
    const TITLE: &str =
        "Clocks: how far each input's clock is ahead of its reference, by shared collectives";
    let subtitle = inputs_in_words(report.inputs.iter().map(|input| input.path.as_str()));
    if report.inputs.len() < 2 {
        return empty("alignment", TITLE, &subtitle, "there is one input");
    }
    if report.inputs.iter().all(|input| input.offset_ns.is_none()) {
        return empty("alignment", TITLE, &subtitle, "no collective is shared by two inputs");
    }
    Figure {
        key: "alignment",
        title: TITLE.to_owned(),
        subtitle,
        kind: FigureKind::Offsets(report.inputs.iter().map(|row| offset(row, report)).collect()),
        notes: report.warnings.clone(),
    }
}

fn offset(row: &MergeRow, report: &MergeReport) -> OffsetRow {
    let by = match row.reference {
        Some(reference) if reference != row.input => {
            format!("{} matched, {} dropped, against #{reference}", row.matched, row.dropped)
        }
        _ if report.inputs.iter().any(|other| other.reference == Some(row.input)) => {
            "the reference".to_owned()
        }
        _ => "no shared collective".to_owned(),
    };
    OffsetRow {
        label: format!("#{} {}", row.input, row.label),
        offset_ns: row.offset_ns,
        error_ns: row.error_ns,
        by,
    }
}
