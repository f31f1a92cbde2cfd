//! Operators under the roofs of a device, on logarithmic axes: dots as large as their share of the time.

use super::axis::{Decades, power_label, rate_label, trimmed};
use super::frame::Frame;
use super::scene::{Anchor, Ink, MUTED, Words};
use crate::render::human;
use crate::schema::short::shorten;
use crate::table::figure::{RoofPoint, RooflinePlot};

const HEIGHT: f64 = 320.0;

/// Room for the labels of the vertical axis.
const LEFT: f64 = 64.0;

/// The longest operators have their name beside them where there is room.
const N_LABELLED: usize = 12;

/// Widest name beside a dot.
const LABEL: f64 = 220.0;

/// Radius of a dot without time, and of one with all of it.
const RADIUS: (f64, f64) = (3.0, 14.0);

/// What stands at the axes.
const AXES: [&str; 2] = ["TFLOP/s (10^12)", "FLOPs a byte"];

/// The plot's rectangle with its axes.
struct Plot {
    left: f64,
    right: f64,
    top: f64,
    intensities: Decades,
    rates: Decades,
}

impl Plot {
    fn of(frame: &Frame, plot: &RooflinePlot) -> Self {
        let ridges = plot.compute_tflop_per_s.iter().map(|(_, peak)| ridge(plot, *peak));
        let intensities = plot.points.iter().map(|point| point.intensity).chain(ridges);
        let peaks = plot.compute_tflop_per_s.iter().map(|(_, peak)| *peak);
        let rates = plot.points.iter().map(|point| point.tflop_per_s).chain(peaks);
        Self {
            left: frame.left + LEFT,
            right: frame.right - 12.0,
            top: frame.y + 10.0,
            intensities: Decades::of(intensities),
            rates: Decades::of(rates),
        }
    }

    fn x(&self, intensity: f64) -> f64 {
        self.left + (self.right - self.left) * self.intensities.place(intensity)
    }

    fn y(&self, rate: f64) -> f64 {
        self.top + HEIGHT * (1.0 - self.rates.place(rate))
    }
}

/// The intensity from which on products and not memory limit.
fn ridge(plot: &RooflinePlot, peak: f64) -> f64 {
    peak * 1e3 / plot.memory_gb_per_s
}

pub(super) fn draw(frame: &mut Frame, plot: &RooflinePlot) {
    let mut legend: Vec<(Ink, String)> = Vec::new();
    for point in &plot.points {
        let entry = (Ink::Role(point.role), point.bound.to_owned());
        if !legend.contains(&entry) {
            legend.push(entry);
        }
    }
    frame.legend(&legend);
    frame.y += 14.0;
    frame.scene.text((frame.left, frame.y), MUTED, AXES[0]);
    let area = Plot::of(frame, plot);
    grid(frame, &area);
    let mut taken = roofs(frame, plot, &area);
    marks(frame, plot, &area, &mut taken);
    frame.y = area.top + HEIGHT + 32.0;
    let middle = f64::midpoint(area.left, area.right);
    frame.scene.text((middle, frame.y), MUTED.at(Anchor::Middle), AXES[1]);
    frame.y += 6.0;
}

fn grid(frame: &mut Frame, area: &Plot) {
    let bottom = area.top + HEIGHT;
    for rate in area.rates.ticks() {
        let y = area.y(rate);
        frame.scene.line((area.left, y), (area.right, y), Ink::Grid);
        frame.scene.text((area.left - 8.0, y + 4.0), MUTED.at(Anchor::End), power_label(rate));
    }
    for intensity in area.intensities.ticks() {
        let x = area.x(intensity);
        frame.scene.line((x, area.top), (x, bottom), Ink::Grid);
        let label = power_label(intensity);
        frame.scene.text((x, bottom + 15.0), MUTED.at(Anchor::Middle), label);
    }
}

/// A stretch that words take: left, right and baseline.
type Taken = (f64, f64, f64);

/// The roofs with their names; what the names take.
fn roofs(frame: &mut Frame, plot: &RooflinePlot, area: &Plot) -> Vec<Taken> {
    let highest = plot.compute_tflop_per_s.first().map_or(1.0, |(_, peak)| *peak);
    let rate = |intensity: f64| plot.memory_gb_per_s * intensity / 1e3;
    // The slope begins where it enters the plot, from the left or from below.
    let lowest = 10_f64.powf(area.rates.from) * 1e3 / plot.memory_gb_per_s;
    let from = 10_f64.powf(area.intensities.from).max(lowest);
    let to = ridge(plot, highest);
    let mut taken = Vec::new();
    if from < to {
        let (begin, end) = ((area.x(from), area.y(rate(from))), (area.x(to), area.y(highest)));
        frame.scene.line(begin, end, Ink::Muted);
        let text = format!("memory {} GB/s", trimmed(plot.memory_gb_per_s));
        // Above the slope, where no operator can be.
        let at = (area.left + 6.0, (begin.1 - 10.0).min(area.y(rate(from) * 3.0)));
        taken.push((at.0, at.0 + MUTED.width(&text), at.1));
        frame.scene.text(at, MUTED, text);
    }
    for (name, peak) in &plot.compute_tflop_per_s {
        let y = area.y(*peak);
        frame.scene.line((area.x(ridge(plot, *peak)), y), (area.right, y), Ink::Muted);
        let text = format!("{name} {} TFLOP/s", trimmed(*peak));
        let width = MUTED.width(&text);
        let baseline = y - 4.0;
        let is_free =
            taken.iter().all(|one| is_apart(one, (area.right - width, area.right, baseline)));
        if is_free {
            taken.push((area.right - width, area.right, baseline));
            frame.scene.text((area.right, baseline), MUTED.at(Anchor::End), text);
        }
    }
    taken
}

fn is_apart(one: &Taken, other: Taken) -> bool {
    one.1 + 4.0 < other.0 || other.1 + 4.0 < one.0 || (one.2 - other.2).abs() >= 12.0
}

/// The dots, the longest below, and the names of the longest where they cover no other.
fn marks(frame: &mut Frame, plot: &RooflinePlot, area: &Plot, taken: &mut Vec<Taken>) {
    for point in &plot.points {
        let at = (area.x(point.intensity), area.y(point.tflop_per_s));
        let dot = frame.scene.dot(at, radius(point), Ink::Role(point.role));
        dot.titled(format!(
            "{}: {} TFLOP/s at {} FLOPs a byte, {}, {}, {}×",
            point.name,
            human::rate(point.tflop_per_s),
            human::rate(point.intensity),
            point.bound,
            human::duration(point.device_ns),
            human::count(point.count)
        ));
    }
    let words = Words { ink: Ink::Text, ..MUTED };
    for point in plot.points.iter().take(N_LABELLED) {
        let name = shorten(&point.name, LABEL, |text| words.width(text));
        let text = format!("{name} {}", rate_label(point.tflop_per_s));
        let (x, y) = (area.x(point.intensity), area.y(point.tflop_per_s));
        let (width, off) = (words.width(&text), radius(point) + 4.0);
        let is_left = x + off + width > area.right;
        let from = if is_left { x - off - width } else { x + off };
        let own = (from, from + width, y + 4.0);
        if from >= area.left && taken.iter().all(|one| is_apart(one, own)) {
            frame.scene.text((from, own.2), words, text);
            taken.push(own);
        }
    }
}

/// The area of a dot is as its time.
fn radius(point: &RoofPoint) -> f64 {
    let share = point.device_ns as f64 / point.whole_ns.max(1) as f64;
    RADIUS.0 + (RADIUS.1 - RADIUS.0) * share.clamp(0.0, 1.0).sqrt()
}
