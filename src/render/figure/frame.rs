//! What every figure has around its drawing: title, subtitle, legend, notes, time axis.

use super::scene::{Anchor, Ink, MUTED, PLAIN, Scene, Words};
use super::{Place, bars, lanes, levels, matrix, offsets, rates, roofline};
use crate::schema::short::{clean, shorten};
use crate::table::figure::{Figure, FigureKind};

/// Empty space around a figure.
const MARGIN: f64 = 16.0;

/// The same on a page: letters may reach a little over their width.
const PAGE_MARGIN: f64 = 2.0;

/// Narrower figures have labels over what they name, not beside it.
const NARROW: f64 = 480.0;

/// The title.
const TITLE: Words = Words { em: 15.0, is_bold: true, ink: Ink::Text, anchor: Anchor::Start };

/// A figure being laid out: everything above `y` is done.
pub(super) struct Frame {
    pub(super) scene: Scene,
    pub(super) left: f64,
    pub(super) right: f64,
    pub(super) y: f64,
}

/// The marks of a figure.
pub(super) fn layout(figure: &Figure, width: f64, place: Place) -> Scene {
    let scene = Scene { width, ..Scene::default() };
    let margin = if place == Place::Page { PAGE_MARGIN } else { MARGIN };
    let mut frame = Frame { scene, left: margin, right: width - margin, y: margin };
    frame.paragraph(&figure.title, TITLE, 20.0);
    if !figure.subtitle.is_empty() && place == Place::Picture {
        let fits = shorten(&figure.subtitle, frame.width(), |text| MUTED.width(text));
        frame.y += 14.0;
        frame.scene.text((frame.left, frame.y), MUTED, fits).titled(&figure.subtitle);
        frame.y += 2.0;
    }
    frame.y += 10.0;
    match &figure.kind {
        FigureKind::Empty { because } => {
            frame.paragraph(&format!("Nothing to show: {because}."), PLAIN.inked(Ink::Muted), 17.0);
        }
        FigureKind::Bars(bars) => bars::draw(&mut frame, bars),
        FigureKind::Lanes(lanes) => lanes::draw(&mut frame, lanes),
        FigureKind::Matrix(matrix) => matrix::draw(&mut frame, matrix),
        FigureKind::Rates(rates) => rates::draw(&mut frame, rates),
        FigureKind::Offsets(rows) => offsets::draw(&mut frame, rows),
        FigureKind::Roofline(plot) => roofline::draw(&mut frame, plot),
        FigureKind::Levels(levels) => levels::draw(&mut frame, levels),
    }
    frame.y += 2.0;
    for note in &figure.notes {
        frame.paragraph(note, MUTED, 15.0);
    }
    frame.scene.height = frame.y + margin;
    frame.scene
}

impl Frame {
    pub(super) fn width(&self) -> f64 {
        self.right - self.left
    }

    /// Whether labels beside the marks would leave no room for them.
    pub(super) fn is_narrow(&self) -> bool {
        self.width() < NARROW
    }

    /// A label on a line of its own, for what is drawn below it.
    pub(super) fn label_above(&mut self, text: &str) {
        let fits = shorten(text, self.width(), |text| PLAIN.width(text));
        self.y += 15.0;
        self.scene.text((self.left, self.y), PLAIN, fits).titled(text);
        self.y += 5.0;
    }

    /// Text over as many lines as it needs, with its words.
    pub(super) fn paragraph(&mut self, text: &str, words: Words, line: f64) {
        for one in wrapped(text, self.width(), words) {
            self.y += line;
            self.scene.text((self.left, self.y - line * 0.25), words, one);
        }
    }

    /// Swatches with names, over as many lines as they need.
    pub(super) fn legend(&mut self, entries: &[(Ink, String)]) {
        let mut x = self.left;
        self.y += 12.0;
        for (ink, name) in entries {
            let width = 14.0 + MUTED.width(name) + 14.0;
            if x + width > self.right && x > self.left {
                x = self.left;
                self.y += 17.0;
            }
            self.scene.rect((x, self.y - 9.0), (10.0, 10.0), *ink);
            self.scene.text((x + 14.0, self.y), MUTED, name.clone());
            x += width;
        }
        self.y += 12.0;
    }

    /// The line about rows that are not shown.
    pub(super) fn more(&mut self, n_more: usize) {
        if n_more > 0 {
            self.y += 14.0;
            self.scene.text((self.left, self.y), MUTED, format!("{n_more} more are not shown"));
            self.y += 4.0;
        }
    }

    /// A label that ends at `right`, short enough for `width`; hovering says all of it.
    pub(super) fn label(&mut self, (right, y): (f64, f64), width: f64, text: &str) {
        let fits = shorten(text, width, |text| PLAIN.width(text));
        self.scene.text((right, y), PLAIN.at(Anchor::End), fits).titled(text);
    }
}

/// How much room labels take: what the widest needs, up to a part of the figure.
pub(super) fn label_width<'a>(labels: impl Iterator<Item = &'a str>, most: f64) -> f64 {
    labels.map(|label| PLAIN.width(&clean(label))).fold(24.0, f64::max).min(most) + 1.0
}

/// Text cut into lines between words; a word that is wider than a line is shortened.
fn wrapped(text: &str, width: f64, words: Words) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let text = clean(text);
    for word in text.split_whitespace() {
        let word = shorten(word, width, |text| words.width(text));
        match lines.last_mut() {
            Some(line) if words.width(&format!("{line} {word}")) <= width => {
                line.push(' ');
                line.push_str(&word);
            }
            _ => lines.push(word),
        }
    }
    lines
}
