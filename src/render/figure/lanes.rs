//! Lanes of spans on a time axis: iterations, requests through stages.

use super::axis::{ticks, time_label};
use super::frame::{Frame, label_width};
use super::scene::{Anchor, Ink, MUTED, Words};
use crate::render::human;
use crate::table::figure::{Lane, Lanes};

/// Lanes shown; the rest is counted.
const MAX_LANES: usize = 40;

/// Height of a lane.
const LANE: f64 = 20.0;

/// Words inside a span.
const INSIDE: Words = Words { em: 11.0, is_bold: false, ink: Ink::OnRole, anchor: Anchor::Start };

/// The time axis: where 0 is, how wide it is, how far it reaches.
struct Axis {
    left: f64,
    width: f64,
    most_ns: i64,
}

impl Axis {
    fn x(&self, ns: i64) -> f64 {
        self.left + self.width * (ns as f64 / self.most_ns as f64).clamp(0.0, 1.0)
    }
}

pub(super) fn draw(frame: &mut Frame, lanes: &Lanes) {
    let shown = &lanes.lanes[..lanes.lanes.len().min(MAX_LANES)];
    frame.legend(&kinds(shown));
    let labels = shown.iter().map(|lane| lane.label.as_str());
    let label =
        if frame.is_narrow() { None } else { Some(label_width(labels, frame.width() * 0.34)) };
    let values = shown.iter().map(|lane| MUTED.width(&lane_value(lane)));
    let value = values.fold(0.0, f64::max);
    let left = frame.left + label.map_or(0.0, |label| label + 10.0);
    let ends = shown
        .iter()
        .flat_map(|lane| &lane.spans)
        .map(|span| span.start_ns.saturating_add(span.dur_ns));
    let axis = Axis {
        left,
        width: (frame.right - left - value - 10.0).max(60.0),
        most_ns: ends.max().unwrap_or(0).max(1),
    };
    let top = frame.y;
    let grid_at = frame.scene.items.len();
    for lane in shown {
        draw_lane(frame, lane, &axis, label);
    }
    grid(frame, &axis, lanes.axis, top, grid_at);
    frame.more(lanes.lanes.len() - shown.len());
}

/// Kinds of spans with their roles, in order of appearance.
fn kinds(lanes: &[Lane]) -> Vec<(Ink, String)> {
    let mut kinds: Vec<(Ink, String)> = Vec::new();
    for span in lanes.iter().flat_map(|lane| &lane.spans) {
        if !kinds.iter().any(|(_, kind)| *kind == span.kind) {
            kinds.push((Ink::Role(span.role), span.kind.clone()));
        }
    }
    kinds
}

/// What stands right of a lane: how many spans there are, and how long the median one is.
fn lane_value(lane: &Lane) -> String {
    let mut durations: Vec<i64> = lane.spans.iter().map(|span| span.dur_ns).collect();
    durations.sort_unstable();
    let n = durations.len();
    match durations.as_slice() {
        [] => String::new(),
        [one] => human::duration(*one),
        all if n <= 4 => human::duration(all.iter().sum()),
        all => {
            format!("{}× · median {}", human::count(n as u64), human::duration(all[(n - 1) / 2]))
        }
    }
}

fn draw_lane(frame: &mut Frame, lane: &Lane, axis: &Axis, label: Option<f64>) {
    if label.is_none() {
        frame.label_above(&lane.label);
    }
    let baseline = frame.y + LANE / 2.0 + 4.2;
    if let Some(label) = label {
        frame.label((frame.left + label, baseline), label, &lane.label);
    }
    let mut end = f64::NEG_INFINITY;
    for span in &lane.spans {
        let from = axis.x(span.start_ns);
        let to = axis.x(span.start_ns.saturating_add(span.dur_ns)).max(from + 1.0);
        // Spans that the eye cannot tell apart are one mark: a strip of a million iterations stays small.
        if to <= end {
            continue;
        }
        end = to;
        let width = if to - from > 4.0 { to - from - 1.0 } else { to - from };
        let title = format!(
            "{}: {} at {}, {}",
            span.name,
            span.kind,
            human::duration(span.start_ns),
            human::duration(span.dur_ns)
        );
        frame
            .scene
            .rect((from, frame.y + 2.0), (width, LANE - 4.0), Ink::Role(span.role))
            .titled(title);
        let text = human::duration(span.dur_ns);
        if lane.spans.len() <= 24 && INSIDE.width(&text) + 10.0 <= width {
            frame.scene.text((from + 5.0, baseline), INSIDE, text);
        }
    }
    frame.scene.text((axis.left + axis.width + 8.0, baseline), MUTED, lane_value(lane));
    frame.y += LANE;
}

/// Lines and labels of the time axis, behind the spans.
fn grid(frame: &mut Frame, axis: &Axis, what: &str, top: f64, grid_at: usize) {
    let most_ns = axis.most_ns as f64;
    let bottom = frame.y + 3.0;
    let foreground = frame.scene.items.split_off(grid_at);
    let n = ((axis.width / 90.0) as usize).clamp(2, 8);
    for tick in ticks(most_ns, n) {
        let x = axis.left + axis.width * tick / most_ns;
        frame.scene.line((x, top), (x, bottom), Ink::Grid);
        frame.scene.text((x, bottom + 13.0), MUTED.at(Anchor::Middle), time_label(tick, most_ns));
    }
    frame.scene.items.extend(foreground);
    frame.scene.text((axis.left, bottom + 28.0), MUTED, what);
    frame.y = bottom + 32.0;
}
