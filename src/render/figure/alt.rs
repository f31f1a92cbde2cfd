//! A figure in sentences: what someone who does not see it is told.

use super::bars::share;
use super::offsets;
use crate::render::human;
use crate::table::figure::{
    BarRow, Figure, FigureKind, Lane, LevelPanel, MatrixRow, RateSeries, RoofPoint,
};

/// Rows that are told one by one; of the others it is said how many there are.
const MAX_TOLD: usize = 12;

/// The text alternative of a figure, with its figures.
pub fn alt(figure: &Figure) -> String {
    let told = match &figure.kind {
        FigureKind::Empty { because } => format!("Nothing to show, because {because}."),
        FigureKind::Bars(bars) => told(&bars.rows, bar),
        FigureKind::Lanes(lanes) => told(&lanes.lanes, lane),
        FigureKind::Matrix(matrix) => told(&matrix.rows, |row| matrix_row(row, &matrix.columns)),
        FigureKind::Rates(rates) => told(&rates.series, series),
        FigureKind::Offsets(rows) => {
            told(rows, |row| format!("{}: {}", row.label, offsets::value(row)))
        }
        FigureKind::Roofline(plot) => told(&plot.points, point),
        FigureKind::Levels(levels) => told(&levels.panels, panel),
    };
    let notes: String = figure.notes.iter().map(|note| format!(" {note}")).collect();
    format!("{} of {}. {told}{notes}", figure.title, figure.subtitle)
}

fn told<T>(rows: &[T], row: impl Fn(&T) -> String) -> String {
    let mut sentences: Vec<String> =
        rows.iter().take(MAX_TOLD).map(|one| format!("{}.", row(one))).collect();
    if rows.len() > MAX_TOLD {
        sentences.push(format!("{} more rows.", rows.len() - MAX_TOLD));
    }
    sentences.join(" ")
}

fn bar(row: &BarRow) -> String {
    let parts = row.parts.iter();
    let parts: Vec<String> = parts
        .map(|part| {
            format!("{} {}, {}", part.name, human::duration(part.ns), share(part.ns, row.whole_ns))
        })
        .collect();
    format!("{}, of {}: {}", row.label, human::duration(row.whole_ns), parts.join("; "))
}

fn lane(lane: &Lane) -> String {
    let sum_ns: i64 = lane.spans.iter().map(|span| span.dur_ns).sum();
    let n = human::count(lane.spans.len() as u64);
    format!("{}: {n} spans, {} in all", lane.label, human::duration(sum_ns))
}

fn matrix_row(row: &MatrixRow, columns: &[String]) -> String {
    let cells = row.cells_ns.iter().zip(columns).filter_map(|(ns, column)| {
        Some(format!("{column} {}, {}", human::duration((*ns)?), share((*ns)?, row.whole_ns)))
    });
    let cells: Vec<String> = cells.collect();
    format!(
        "{} waited {}; busy meanwhile: {}",
        row.label,
        human::duration(row.whole_ns),
        cells.join("; ")
    )
}

fn series(series: &RateSeries) -> String {
    let points = series.points.iter().map(|point| {
        let size = human::bytes(point.bytes.round() as u64);
        format!("{} GB/s at {size}", human::rate(point.gb_per_s))
    });
    let points: Vec<String> = points.collect();
    format!("{}: {}", series.name, points.join(", "))
}

fn point(point: &RoofPoint) -> String {
    format!(
        "{}: {} TFLOP/s at {} FLOPs a byte, {}, {} in all",
        point.name,
        human::rate(point.tflop_per_s),
        human::rate(point.intensity),
        point.bound,
        human::duration(point.device_ns)
    )
}

fn panel(panel: &LevelPanel) -> String {
    let most = |values: &mut dyn Iterator<Item = Option<i64>>| {
        let bytes = values.flatten().max().and_then(|bytes| u64::try_from(bytes).ok());
        bytes.map_or("-".to_owned(), human::bytes)
    };
    let used = most(&mut panel.steps.iter().map(|step| step.used_bytes));
    let held = most(&mut panel.steps.iter().map(|step| step.held_bytes));
    format!("{}: allocated at most {used}, reserved at most {held}", panel.label)
}
