//! Bytes over time: one panel below the other, what is in use filled, what is held as a line above it.

use super::axis::{size_label, ticks, time_label};
use super::frame::Frame;
use super::scene::{Anchor, Ink, MUTED, PLAIN};
use crate::render::human;
use crate::schema::short::shorten;
use crate::table::figure::{LevelPanel, LevelStep, Levels, Role};

const HEIGHT: f64 = 110.0;

/// Room for the labels of the vertical axis.
const LEFT: f64 = 64.0;

/// What is in use.
const USED: Ink = Ink::Role(Role::Copy);

/// What is held for use.
const HELD: Ink = Ink::Muted;

/// The rectangle of a panel with its axes.
struct Plot {
    left: f64,
    right: f64,
    top: f64,
    most_ns: f64,
    most_bytes: f64,
}

impl Plot {
    fn x(&self, ns: i64) -> f64 {
        self.left + (self.right - self.left) * (ns as f64 / self.most_ns).clamp(0.0, 1.0)
    }

    fn y(&self, bytes: f64) -> f64 {
        self.top + HEIGHT * (1.0 - (bytes / self.most_bytes).clamp(0.0, 1.0))
    }
}

pub(super) fn draw(frame: &mut Frame, levels: &Levels) {
    frame.legend(&[(USED, "allocated".to_owned()), (HELD, "reserved".to_owned())]);
    let steps = || levels.panels.iter().flat_map(|panel| &panel.steps);
    let most_ns = steps().map(|step| step.start_ns.saturating_add(step.dur_ns)).max().unwrap_or(0);
    for panel in &levels.panels {
        draw_panel(frame, panel, most_ns.max(1) as f64);
    }
    frame.y += 12.0;
    frame.scene.text((frame.left + LEFT, frame.y), MUTED, levels.axis);
    frame.y += 4.0;
}

fn draw_panel(frame: &mut Frame, panel: &LevelPanel, most_ns: f64) {
    let used = || panel.steps.iter().filter_map(|step| step.used_bytes);
    let held = panel.steps.iter().filter_map(|step| step.held_bytes);
    let most = used().chain(held).max().unwrap_or(0).max(1);
    let peak = used().max().and_then(|bytes| u64::try_from(bytes).ok());
    let peak = peak.map_or(String::new(), |bytes| format!(" · at most {}", human::bytes(bytes)));
    let label = shorten(&panel.label, frame.width() - PLAIN.width(&peak), |text| PLAIN.width(text));
    frame.y += 15.0;
    frame.scene.text((frame.left, frame.y), PLAIN, format!("{label}{peak}")).titled(&panel.label);
    let most_bytes = most as f64 * 1.05;
    let (left, right) = (frame.left + LEFT, frame.right - 12.0);
    let plot = Plot { left, right, top: frame.y + 8.0, most_ns, most_bytes };
    grid(frame, &plot);
    let mut before: Option<&LevelStep> = None;
    for step in &panel.steps {
        draw_step(frame, &plot, step, before);
        before = Some(step);
    }
    frame.y = plot.top + HEIGHT + 18.0;
}

fn grid(frame: &mut Frame, plot: &Plot) {
    let bottom = plot.top + HEIGHT;
    for bytes in ticks(plot.most_bytes, 3) {
        let y = plot.y(bytes);
        frame.scene.line((plot.left, y), (plot.right, y), Ink::Grid);
        frame.scene.text((plot.left - 8.0, y + 4.0), MUTED.at(Anchor::End), size_label(bytes));
    }
    let n = (((plot.right - plot.left) / 90.0) as usize).clamp(2, 8);
    for tick in ticks(plot.most_ns, n) {
        let x = plot.left + (plot.right - plot.left) * tick / plot.most_ns;
        frame.scene.line((x, plot.top), (x, bottom), Ink::Grid);
        let label = time_label(tick, plot.most_ns);
        frame.scene.text((x, bottom + 14.0), MUTED.at(Anchor::Middle), label);
    }
}

fn draw_step(frame: &mut Frame, plot: &Plot, step: &LevelStep, before: Option<&LevelStep>) {
    let (from, to) = (plot.x(step.start_ns), plot.x(step.start_ns.saturating_add(step.dur_ns)));
    if let Some(bytes) = step.used_bytes {
        let y = plot.y(bytes as f64);
        // A little into the next one, so that no edge shows between them.
        let size = (to - from + 0.6, plot.top + HEIGHT - y);
        let said = u64::try_from(bytes).map_or("-".to_owned(), human::bytes);
        let title = format!("{said} at {}", human::duration(step.start_ns));
        frame.scene.rect((from, y), size, USED).titled(title);
    }
    if let Some(bytes) = step.held_bytes {
        let y = plot.y(bytes as f64);
        if let Some(last) = before.and_then(|step| step.held_bytes) {
            frame.scene.line((from, plot.y(last as f64)), (from, y), HELD);
        }
        frame.scene.line((from, y), (to, y), HELD);
    }
}
