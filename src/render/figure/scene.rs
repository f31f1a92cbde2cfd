//! What is painted: marks in CSS pixels, with what they stand for and what hovering says.

use super::font;
use crate::schema::short::clean;
use crate::table::figure::Role;

/// What a mark is painted with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ink {
    /// Words.
    Text,
    /// Words of less weight.
    Muted,
    /// Grid lines.
    Grid,
    /// Something that a role names.
    Role(Role),
    /// The same, faint, in hundredths of its strength.
    Faint(Role, u8),
    /// Words on something that a role names.
    OnRole,
}

/// Where a text stands at its point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Shape {
    Rect {
        x: f64,
        y: f64,
        width: f64,
        height: f64,
    },
    Line {
        from: (f64, f64),
        to: (f64, f64),
    },
    Dot {
        x: f64,
        y: f64,
        radius: f64,
    },
    /// `y` is the baseline.
    Text {
        x: f64,
        y: f64,
        anchor: Anchor,
        em: f64,
        is_bold: bool,
        text: String,
    },
}

/// One mark.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Item {
    pub(super) shape: Shape,
    pub(super) ink: Ink,
    /// What hovering says.
    pub(super) title: Option<String>,
}

/// Marks from back to front.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Scene {
    pub(super) width: f64,
    pub(super) height: f64,
    pub(super) items: Vec<Item>,
}

/// How a text looks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Words {
    pub(super) em: f64,
    pub(super) is_bold: bool,
    pub(super) ink: Ink,
    pub(super) anchor: Anchor,
}

/// The usual text.
pub(super) const PLAIN: Words =
    Words { em: 12.0, is_bold: false, ink: Ink::Text, anchor: Anchor::Start };

/// Text of less weight.
pub(super) const MUTED: Words = Words { em: 11.0, ink: Ink::Muted, ..PLAIN };

impl Words {
    pub(super) fn at(self, anchor: Anchor) -> Self {
        Self { anchor, ..self }
    }

    pub(super) fn inked(self, ink: Ink) -> Self {
        Self { ink, ..self }
    }

    pub(super) fn width(self, text: &str) -> f64 {
        font::width(text, self.em, self.is_bold)
    }
}

impl Scene {
    pub(super) fn rect(
        &mut self,
        (x, y): (f64, f64),
        (width, height): (f64, f64),
        ink: Ink,
    ) -> &mut Item {
        self.push(Shape::Rect { x, y, width, height }, ink)
    }

    pub(super) fn line(&mut self, from: (f64, f64), to: (f64, f64), ink: Ink) -> &mut Item {
        self.push(Shape::Line { from, to }, ink)
    }

    pub(super) fn dot(&mut self, (x, y): (f64, f64), radius: f64, ink: Ink) -> &mut Item {
        self.push(Shape::Dot { x, y, radius }, ink)
    }

    /// A text on a baseline.
    pub(super) fn text(
        &mut self,
        (x, y): (f64, f64),
        words: Words,
        text: impl Into<String>,
    ) -> &mut Item {
        let text = clean(&text.into());
        let Words { em, is_bold, ink, anchor } = words;
        self.push(Shape::Text { x, y, anchor, em, is_bold, text }, ink)
    }

    fn push(&mut self, shape: Shape, ink: Ink) -> &mut Item {
        self.items.push(Item { shape, ink, title: None });
        let last = self.items.len() - 1;
        &mut self.items[last]
    }
}

impl Item {
    /// Adds what hovering says.
    pub(super) fn titled(&mut self, title: impl Into<String>) {
        self.title = Some(clean(&title.into()));
    }
}
