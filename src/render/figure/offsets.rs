//! Offsets with error bars around a common zero.

use super::axis::{ticks, time_label};
use super::frame::{Frame, label_width};
use super::scene::{Anchor, Ink, MUTED};
use crate::render::human;
use crate::table::figure::{OffsetRow, Role};

/// Rows shown; the rest is counted.
const MAX_ROWS: usize = 40;

const ROW: f64 = 26.0;

pub(super) fn draw(frame: &mut Frame, rows: &[OffsetRow]) {
    let shown = &rows[..rows.len().min(MAX_ROWS)];
    let label = label_width(shown.iter().map(|row| row.label.as_str()), frame.width() * 0.34);
    let widest = shown.iter().map(|row| MUTED.width(&value(row))).fold(0.0, f64::max);
    let left = frame.left + label + 24.0;
    let width = (frame.right - left - widest - 20.0).max(60.0);
    let reach = shown
        .iter()
        .filter_map(|row| Some(row.offset_ns?.abs().saturating_add(row.error_ns.unwrap_or(0))));
    let reach = reach.max().unwrap_or(0).max(1) as f64 * 1.1;
    let place = |ns: f64| left + width * (0.5 + ns / reach / 2.0).clamp(0.0, 1.0);
    let (top, bottom) = (frame.y, frame.y + ROW * shown.len() as f64);
    for tick in ticks(reach, 3) {
        for signed in if tick == 0.0 { vec![0.0] } else { vec![-tick, tick] } {
            let x = place(signed);
            frame.scene.line(
                (x, top),
                (x, bottom),
                if tick == 0.0 { Ink::Muted } else { Ink::Grid },
            );
            frame.scene.text(
                (x, bottom + 14.0),
                MUTED.at(Anchor::Middle),
                time_label(signed, reach),
            );
        }
    }
    for row in shown {
        let (middle, baseline) = (frame.y + ROW / 2.0, frame.y + ROW / 2.0 + 4.0);
        frame.label((frame.left + label, baseline), label, &row.label);
        frame.scene.text((left + width + 16.0, baseline), MUTED, value(row));
        if let Some(offset) = row.offset_ns {
            let (offset, error) = (offset as f64, row.error_ns.unwrap_or(0) as f64);
            let (from, to) = (place(offset - error), place(offset + error));
            let ink = Ink::Role(Role::CpuOp);
            frame.scene.rect((from, middle - 1.0), ((to - from).max(1.0), 2.0), ink);
            frame.scene.rect((from, middle - 6.0), (1.5, 12.0), ink);
            frame.scene.rect((to - 1.5, middle - 6.0), (1.5, 12.0), ink);
            frame.scene.dot((place(offset), middle), 4.0, ink).titled(format!(
                "{}: {}",
                row.label,
                value(row)
            ));
        }
        frame.y += ROW;
    }
    frame.y += 22.0;
    frame.more(rows.len() - shown.len());
}

/// An offset in words.
pub(super) fn value(row: &OffsetRow) -> String {
    match (row.offset_ns, row.error_ns) {
        (Some(offset), Some(error)) => {
            format!("{} ± {} · {}", human::duration(offset), human::duration(error), row.by)
        }
        (Some(offset), None) => format!("{} · {}", human::duration(offset), row.by),
        _ => row.by.clone(),
    }
}
