//! Rates over sizes on logarithmic axes, with every point's value beside it where there is room.

use super::axis::{Decades, power_label, rate_label, size_label, trimmed};
use super::frame::Frame;
use super::scene::{Anchor, Ink, MUTED, Words};
use crate::render::human;
use crate::table::figure::{RatePoint, Rates};

const HEIGHT: f64 = 280.0;

/// Room for the labels of the vertical axis.
const LEFT: f64 = 64.0;

/// Up to so many points have their value beside them.
const MAX_LABELLED: usize = 60;

/// The plot's rectangle with its axes.
struct Plot {
    left: f64,
    right: f64,
    top: f64,
    sizes: Decades,
    rates: Decades,
}

impl Plot {
    fn at(&self, point: &RatePoint) -> (f64, f64) {
        let x = self.left + (self.right - self.left) * self.sizes.place(point.bytes);
        (x, self.y(point.gb_per_s))
    }

    fn y(&self, rate: f64) -> f64 {
        self.top + HEIGHT * (1.0 - self.rates.place(rate))
    }
}

pub(super) fn draw(frame: &mut Frame, rates: &Rates) {
    let legend: Vec<(Ink, String)> =
        rates.series.iter().map(|one| (Ink::Role(one.role), one.name.clone())).collect();
    frame.legend(&legend);
    let points = || rates.series.iter().flat_map(|one| &one.points);
    let peaks = rates.peaks.iter().map(|peak| peak.1);
    frame.y += 14.0;
    frame.scene.text((frame.left, frame.y), MUTED, rates.rate_axis);
    let plot = Plot {
        left: frame.left + LEFT,
        right: frame.right - 40.0,
        top: frame.y + 10.0,
        sizes: Decades::of(points().map(|point| point.bytes)),
        rates: Decades::of(points().map(|point| point.gb_per_s).chain(peaks)),
    };
    grid(frame, &plot);
    for (name, peak) in &rates.peaks {
        let y = plot.y(*peak);
        frame.scene.line((plot.left, y), (plot.right, y), Ink::Muted);
        let text = format!("peak {name} {} GB/s", trimmed(*peak));
        frame.scene.text((plot.left + 4.0, y - 4.0), MUTED, text);
    }
    marks(frame, rates, &plot);
    frame.y = plot.top + HEIGHT + 18.0;
    let middle = f64::midpoint(plot.left, plot.right);
    frame.y += 14.0;
    frame.scene.text((middle, frame.y), MUTED.at(Anchor::Middle), rates.size_axis);
    frame.y += 6.0;
}

fn grid(frame: &mut Frame, plot: &Plot) {
    let bottom = plot.top + HEIGHT;
    for rate in plot.rates.ticks() {
        let y = plot.y(rate);
        frame.scene.line((plot.left, y), (plot.right, y), Ink::Grid);
        frame.scene.text((plot.left - 8.0, y + 4.0), MUTED.at(Anchor::End), power_label(rate));
    }
    let decade = (plot.right - plot.left) / (plot.sizes.to - plot.sizes.from);
    let every = (56.0 / decade).ceil().max(1.0) as usize;
    for (i, size) in plot.sizes.ticks().enumerate() {
        let x = plot.left + decade * i as f64;
        frame.scene.line((x, plot.top), (x, bottom), Ink::Grid);
        if i % every == 0 {
            frame.scene.text((x, bottom + 15.0), MUTED.at(Anchor::Middle), size_label(size));
        }
    }
}

/// Lines, then dots, then as many values as do not cover one another.
fn marks(frame: &mut Frame, rates: &Rates, plot: &Plot) {
    for one in &rates.series {
        for pair in one.points.windows(2) {
            frame.scene.line(plot.at(&pair[0]), plot.at(&pair[1]), Ink::Role(one.role));
        }
    }
    // Middle, height and width of what a value must not cover: the dots, then the values before it.
    let dots = rates.series.iter().flat_map(|one| &one.points).map(|point| plot.at(point));
    let mut taken: Vec<(f64, f64, f64)> = dots.map(|(x, y)| (x, y + 4.0, 8.0)).collect();
    let n_points: usize = rates.series.iter().map(|one| one.points.len()).sum();
    for one in &rates.series {
        for point in &one.points {
            let (x, y) = plot.at(point);
            let value = rate_label(point.gb_per_s);
            let title = format!(
                "{}: {} GB/s at {}, {}×",
                one.name,
                human::rate(point.gb_per_s),
                human::bytes(point.bytes.round() as u64),
                human::count(point.count)
            );
            frame.scene.dot((x, y), 4.0, Ink::Role(one.role)).titled(title);
            let words = Words { ink: Ink::Text, ..MUTED };
            let width = words.width(&value);
            let at = (x, y - 8.0);
            let is_apart = |other: &(f64, f64, f64)| {
                (other.0 - at.0).abs() > (other.2 + width) / 2.0 + 3.0
                    || (other.1 - at.1).abs() >= 11.9
            };
            if n_points <= MAX_LABELLED && taken.iter().all(is_apart) {
                frame.scene.text(at, words.at(Anchor::Middle), value);
                taken.push((at.0, at.1, width));
            }
        }
    }
}
