//! Horizontal bars: parts with their names, values and shares written on or under them.

use super::frame::{Frame, label_width};
use super::scene::{Anchor, Ink, MUTED, Words};
use crate::render::human;
use crate::schema::short::shorten;
use crate::table::figure::{BarPart, BarRow, BarScale, Bars, Role};

/// Bars shown; the rest is counted.
const MAX_ROWS: usize = 32;

/// Up to so many stacked bars have their parts spelled out under them.
const MAX_SPELLED: usize = 12;

const BAR: f64 = 22.0;

/// How strong the colour of an idle part is, in hundredths: the words on it pass AA.
const IDLE_STRENGTH: u8 = 45;

/// Words inside a bar.
const INSIDE: Words = Words { em: 11.0, is_bold: false, ink: Ink::OnRole, anchor: Anchor::Start };

/// Places of a figure's columns.
struct Columns {
    /// `None` where labels stand above their bars.
    label_right: Option<f64>,
    bar_left: f64,
    bar_width: f64,
}

pub(super) fn draw(frame: &mut Frame, bars: &Bars) {
    let shown = &bars.rows[..bars.rows.len().min(MAX_ROWS)];
    let legend = inks(shown);
    frame.legend(&legend);
    let is_stacked = shown.iter().any(|row| row.parts.len() > 1);
    let is_above = frame.is_narrow();
    let is_spelled = is_stacked && shown.len() <= MAX_SPELLED && (bars.is_spelled || is_above);
    let labels = shown.iter().map(|row| row.label.as_str());
    let label =
        if is_above { 0.0 } else { label_width(labels, frame.width() * label_part(bars)) + 10.0 };
    let values = shown.iter().map(|row| MUTED.width(&row_value(row, bars.scale)));
    let value = values.fold(0.0, f64::max);
    let bar_left = frame.left + label;
    let columns = Columns {
        label_right: (!is_above).then_some(bar_left - 10.0),
        bar_left,
        bar_width: (frame.right - bar_left - value - 10.0).max(40.0),
    };
    let most_ns = match bars.scale {
        BarScale::Longest => shown.iter().map(|row| row.whole_ns).max(),
        BarScale::Largest => shown.iter().map(drawn_ns).max(),
    };
    for row in shown {
        draw_row(frame, row, &columns, (bars.scale, most_ns));
        if is_spelled {
            spell(frame, row, &columns);
        }
        frame.y += if is_spelled { 10.0 } else { 6.0 };
    }
    frame.more(bars.rows.len() - shown.len());
}

/// How much of the width labels may take: names of kernels are what their figure is about.
fn label_part(bars: &Bars) -> f64 {
    if bars.scale == BarScale::Largest { 0.46 } else { 0.3 }
}

/// What some bars are filled with and its names, in the order of [`Role::ALL`], idle parts last.
fn inks(rows: &[BarRow]) -> Vec<(Ink, String)> {
    let mut parts: Vec<&BarPart> = Vec::new();
    for part in rows.iter().flat_map(|row| &row.parts) {
        if !parts.iter().any(|other| ink(other) == ink(part) && other.name == part.name) {
            parts.push(part);
        }
    }
    let place = |part: &BarPart| Role::ALL.iter().position(|role| *role == part.role);
    parts.sort_by_key(|part| (part.is_idle, place(part)));
    parts.into_iter().map(|part| (ink(part), part.name.to_owned())).collect()
}

/// What a part is filled with.
fn ink(part: &BarPart) -> Ink {
    if part.is_idle { Ink::Faint(part.role, IDLE_STRENGTH) } else { Ink::Role(part.role) }
}

fn drawn_ns(row: &BarRow) -> i64 {
    row.parts.iter().map(|part| part.ns).sum()
}

/// What stands right of a bar.
fn row_value(row: &BarRow, scale: BarScale) -> String {
    let count =
        row.count.filter(|&n| n > 1).map_or(String::new(), |n| format!(" · {}×", human::count(n)));
    let value = human::duration(drawn_ns(row));
    match scale {
        BarScale::Longest => human::duration(row.whole_ns),
        BarScale::Largest if drawn_ns(row) == row.whole_ns => format!("{value}{count}"),
        BarScale::Largest => format!("{value} · {}{count}", share(drawn_ns(row), row.whole_ns)),
    }
}

/// A share as figures write it.
pub(super) fn share(part_ns: i64, whole_ns: i64) -> String {
    if whole_ns == 0 {
        return human::NOT_RECORDED.to_owned();
    }
    let percent = part_ns as f64 * 100.0 / whole_ns as f64;
    if part_ns > 0 && percent < 0.1 { "< 0.1 %".to_owned() } else { format!("{percent:.1} %") }
}

/// What hovering over a part says, and what stands under a bar.
fn part_text(part: &BarPart, whole_ns: i64) -> String {
    format!("{} {} ({})", part.name, human::duration(part.ns), share(part.ns, whole_ns))
}

fn draw_row(
    frame: &mut Frame,
    row: &BarRow,
    columns: &Columns,
    (scale, most_ns): (BarScale, Option<i64>),
) {
    let whole_ns = most_ns.unwrap_or(row.whole_ns).max(1);
    if columns.label_right.is_none() {
        frame.label_above(&row.label);
    }
    let baseline = frame.y + BAR / 2.0 + 4.2;
    if let Some(right) = columns.label_right {
        frame.label((right, baseline), right - frame.left, &row.label);
    }
    let mut sum_ns = 0;
    let place = |ns: i64| {
        columns.bar_left + columns.bar_width * (ns as f64 / whole_ns as f64).clamp(0.0, 1.0)
    };
    let mut end = columns.bar_left;
    for part in &row.parts {
        let from = place(sum_ns).max(end);
        sum_ns += part.ns;
        end = place(sum_ns).max(from + 1.0);
        // A line of background between parts tells neighbours apart without their colours.
        let width = if end - from > 3.0 { end - from - 1.0 } else { end - from };
        let title = format!("{}: {}", row.label, part_text(part, row.whole_ns));
        frame.scene.rect((from, frame.y), (width, BAR), ink(part)).titled(title);
        if row.parts.len() > 1 {
            inside(frame, part, row.whole_ns, (from, width), baseline);
        }
    }
    let value_x = if most_ns.is_some() { end } else { columns.bar_left + columns.bar_width };
    frame.scene.text((value_x + 8.0, baseline), MUTED, row_value(row, scale));
    frame.y += BAR;
}

/// The fullest text that fits a part.
fn inside(frame: &mut Frame, part: &BarPart, whole_ns: i64, (x, width): (f64, f64), baseline: f64) {
    let share = share(part.ns, whole_ns);
    let texts = [
        format!("{} {} · {share}", part.name, human::duration(part.ns)),
        format!("{} {share}", part.name),
        share,
    ];
    if let Some(text) = texts.into_iter().find(|text| INSIDE.width(text) + 10.0 <= width) {
        let words = if part.is_idle { INSIDE.inked(Ink::Text) } else { INSIDE };
        frame.scene.text((x + 5.0, baseline), words, text);
    }
}

/// Every part in words under its bar, the largest first.
fn spell(frame: &mut Frame, row: &BarRow, columns: &Columns) {
    let mut parts: Vec<&BarPart> = row.parts.iter().collect();
    parts.sort_by_key(|part| std::cmp::Reverse(part.ns));
    let width = frame.right - columns.bar_left;
    let mut lines: Vec<String> = Vec::new();
    for part in parts {
        let text = part_text(part, row.whole_ns);
        match lines.last_mut() {
            Some(line) if MUTED.width(&format!("{line} · {text}")) <= width => {
                line.push_str(" · ");
                line.push_str(&text);
            }
            _ => lines.push(text),
        }
    }
    for line in lines {
        frame.y += 14.0;
        let line = shorten(&line, width, |text| MUTED.width(text));
        frame.scene.text((columns.bar_left, frame.y), MUTED, line);
    }
}
