//! Figures to SVG and PNG bytes, and to a sentence.
//!
//! One layout makes a [`scene::Scene`] of rectangles, lines, dots and text in roles; plotters' two backends paint it.
//! Text is measured and drawn with the embedded font alone. An SVG names roles as CSS classes, so that a page's style
//! decides on the colours ([`css`]); a PNG has the colours of a [`Theme`].

mod alt;
mod axis;
mod bars;
mod font;
mod frame;
mod indexed;
mod lanes;
mod levels;
mod matrix;
mod offsets;
mod palette;
mod png;
mod rates;
mod roofline;
mod scene;
mod svg;

pub use alt::alt;
pub use font::{FAMILY, REGULAR, SEMI_BOLD};
pub use palette::{Theme, css};
pub use png::{PngError, PngOptions, png, png_of_all};
pub use svg::svg;

/// A name of at most so many characters, with what tells most about it; characters that could reorder text are escapes.
pub fn short_name(name: &str, max_chars: usize) -> String {
    crate::schema::short::shorten(name, max_chars as f64, |text| text.chars().count() as f64)
}

/// Where a figure stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Alone, as a file: with its margin and what it is of.
    Picture,
    /// On a page that says what it is of, in line with the page's text.
    Page,
}

/// Narrowest and widest layout, in CSS pixels.
const WIDTHS: std::ops::RangeInclusive<u32> = 320..=4_096;
