//! The figures of `stages`.

use super::{
    BarPart, BarRow, BarScale, Bars, Figure, FigureKind, Lane, LaneSpan, Lanes, Role, empty,
    inputs_in_words,
};
use crate::analyze::stages::{SpanKind, SpanPlacement, WaterfallRow};
use crate::table::stages::StagesReport;

/// The figures, in the order of reading.
pub fn stages_figures(report: &StagesReport) -> Vec<Figure> {
    vec![waterfall(report), stages(report)]
}

fn subtitle(report: &StagesReport) -> String {
    inputs_in_words(report.logs.iter().map(|log| log.path.as_str()))
}

/// Each request in each stage over time.
fn waterfall(report: &StagesReport) -> Figure {
    const TITLE: &str = "Requests through the stages";
    let mut lanes: Vec<((usize, &str, u32), Lane)> = Vec::new();
    let is_many = report.found.runs.len() > 1;
    for row in &report.found.waterfall {
        let key = (row.run, row.request.as_str(), row.stage);
        let at = lanes.iter().position(|(other, _)| *other == key).unwrap_or_else(|| {
            let run = if is_many { format!("run {} ", row.run) } else { String::new() };
            let label = format!("{run}{} stage {}", row.request, row.stage);
            lanes.push((key, Lane { label, spans: Vec::new() }));
            lanes.len() - 1
        });
        lanes[at].1.spans.push(span(row));
    }
    if lanes.is_empty() {
        let because = "these logs time no request in a stage";
        return empty("waterfall", TITLE, &subtitle(report), because);
    }
    let is_estimate = |row: &WaterfallRow| row.placed_by == SpanPlacement::Durations;
    let mut notes = Vec::new();
    if report.found.waterfall.iter().any(is_estimate) {
        notes.push(
            "Some requests have durations but no times: their parts are laid end to end."
                .to_owned(),
        );
    }
    let lanes = lanes.into_iter().map(|(_, lane)| lane).collect();
    let axis = "since each request entered stage 0";
    Figure {
        key: "waterfall",
        title: TITLE.to_owned(),
        subtitle: subtitle(report),
        kind: FigureKind::Lanes(Lanes { lanes, axis }),
        notes,
    }
}

fn span(row: &WaterfallRow) -> LaneSpan {
    let role = match row.kind {
        SpanKind::Queue => Role::IpcWait,
        SpanKind::Transfer => Role::Comm,
        SpanKind::NextStage | SpanKind::Other => Role::Unattributed,
        SpanKind::Generation => Role::CpuOp,
    };
    LaneSpan {
        role,
        kind: row.kind.as_str().to_owned(),
        name: format!("{} of {} in stage {}", row.kind.as_str(), row.request, row.stage),
        start_ns: row.start_ns,
        dur_ns: row.dur_ns,
    }
}

/// What each stage did with its requests.
fn stages(report: &StagesReport) -> Figure {
    const TITLE: &str = "Stages: generation and queueing, sums over requests";
    let is_many = report.found.runs.len() > 1;
    let rows = report.found.stages.iter().map(|row| {
        let parts = [
            (Role::CpuOp, "generation", row.generation_ns),
            (Role::IpcWait, "queue", row.queue_ns),
        ];
        let parts = parts.into_iter().filter_map(|(role, name, ns)| {
            Some(BarPart::new(role, name, ns.filter(|&ns| ns > 0)?))
        });
        let parts: Vec<BarPart> = parts.collect();
        let run = if is_many { format!("run {} ", row.run) } else { String::new() };
        BarRow {
            label: format!("{run}stage {}", row.stage),
            whole_ns: parts.iter().map(|part| part.ns).sum(),
            parts,
            count: row.requests.and_then(|n| u64::try_from(n).ok()),
        }
    });
    let rows: Vec<BarRow> = rows.filter(|row| row.whole_ns > 0).collect();
    if rows.is_empty() {
        return empty("stages", TITLE, &subtitle(report), "these logs time no stage");
    }
    Figure {
        key: "stages",
        title: TITLE.to_owned(),
        subtitle: subtitle(report),
        kind: FigureKind::Bars(Bars { rows, scale: BarScale::Largest, is_spelled: true }),
        notes: Vec::new(),
    }
}
