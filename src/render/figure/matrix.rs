//! A matrix: who against whom, with the time and the share in each cell.

use super::bars::share;
use super::frame::{Frame, label_width};
use super::scene::{Anchor, Ink, MUTED, PLAIN};
use crate::render::human;
use crate::schema::short::shorten;
use crate::table::figure::{Matrix, MatrixRow, Role};

/// Rows and columns shown; the rest is counted.
const MAX_ROWS: usize = 24;
const MAX_COLUMNS: usize = 18;

const CELL: f64 = 36.0;

/// Narrower columns have no room for a shortened name that could be told from its neighbours.
const LEGIBLE: f64 = 90.0;

/// How strong the faintest and the strongest cell are, in hundredths: words pass AA on both.
const STRENGTH: (f64, f64) = (4.0, 45.0);

pub(super) fn draw(frame: &mut Frame, matrix: &Matrix) {
    let rows = &matrix.rows[..matrix.rows.len().min(MAX_ROWS)];
    // The last column is of nobody; it stays.
    let n_hidden = matrix.columns.len().saturating_sub(MAX_COLUMNS);
    let is_shown = |column: usize| {
        n_hidden == 0 || column < MAX_COLUMNS - 1 || column + 1 == matrix.columns.len()
    };
    let shown: Vec<usize> = (0..matrix.columns.len()).filter(|&column| is_shown(column)).collect();
    let label = label_width(rows.iter().map(|row| row.label.as_str()), frame.width() * 0.26);
    let left = frame.left + label + 10.0;
    let cell = ((frame.right - left) / shown.len().max(1) as f64).min(180.0);
    frame.y += 12.0;
    frame.scene.text(
        (frame.left + label, frame.y + 15.0),
        MUTED.at(Anchor::End),
        format!("{} ↓", matrix.row_axis),
    );
    frame.scene.text((left, frame.y), MUTED, format!("{} →", matrix.column_axis));
    for (place, &column) in shown.iter().enumerate() {
        let name = &matrix.columns[column];
        let fits = column_name(name, cell - 6.0);
        let x = left + cell * (place as f64 + 0.5);
        frame.scene.text((x, frame.y + 17.0), PLAIN.at(Anchor::Middle), fits).titled(name);
    }
    frame.y += 24.0;
    for row in rows {
        let baseline = frame.y + CELL / 2.0;
        frame.label((frame.left + label, baseline), label, &row.label);
        let waited = human::duration(row.whole_ns);
        frame.scene.text((frame.left + label, baseline + 14.0), MUTED.at(Anchor::End), waited);
        for (place, &column) in shown.iter().enumerate() {
            let at = (left + cell * place as f64, frame.y);
            draw_cell(
                frame,
                row,
                row.cells_ns.get(column).copied().flatten(),
                at,
                cell,
                (&matrix.columns[column], matrix.verbs),
            );
        }
        frame.y += CELL + 2.0;
    }
    frame.y += 4.0;
    frame.more((matrix.rows.len() - rows.len()).max(n_hidden));
}

/// What fits of a column's name; where that is little, its first word, the number of an input, tells more.
fn column_name(name: &str, width: f64) -> String {
    let is_too_wide = PLAIN.width(name) > width;
    let first = name.split(' ').next().filter(|_| is_too_wide && width < LEGIBLE);
    // One word may reach to the edges of its column.
    let width = if first.is_some() { width + 6.0 } else { width };
    shorten(first.unwrap_or(name), width, |text| PLAIN.width(text))
}

fn draw_cell(
    frame: &mut Frame,
    row: &MatrixRow,
    ns: Option<i64>,
    (x, y): (f64, f64),
    width: f64,
    (column, (row_verb, column_verb)): (&str, (&str, &str)),
) {
    let Some(ns) = ns else {
        frame.scene.text(
            (x + width / 2.0, y + CELL / 2.0 + 4.0),
            MUTED.at(Anchor::Middle),
            human::NOT_RECORDED,
        );
        return;
    };
    let part = (ns as f64 / row.whole_ns.max(1) as f64).clamp(0.0, 1.0);
    let strength = (STRENGTH.0 + (STRENGTH.1 - STRENGTH.0) * part).round() as u8;
    let title = format!(
        "{} {row_verb} {}; {column} {column_verb} {}",
        row.label,
        human::duration(row.whole_ns),
        human::duration(ns)
    );
    let ink = Ink::Faint(Role::IpcWait, strength);
    frame.scene.rect((x, y), (width - 2.0, CELL), ink).titled(title);
    let middle = x + width / 2.0 - 1.0;
    let (share, time) = (share(ns, row.whole_ns), human::duration(ns));
    frame.scene.text((middle, y + 16.0), PLAIN.at(Anchor::Middle), share);
    if MUTED.width(&time) + 4.0 <= width {
        frame.scene.text((middle, y + 30.0), MUTED.at(Anchor::Middle).inked(Ink::Text), time);
    }
}
