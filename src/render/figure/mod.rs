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
mod lanes;
mod matrix;
mod names;
mod offsets;
mod palette;
mod png;
mod rates;
mod scene;
mod svg;

pub use alt::alt;
pub use font::{FAMILY, REGULAR, SEMI_BOLD};
pub use palette::{Theme, css};
pub use png::{PngError, PngOptions, png, png_of_all};
pub use svg::svg;

/// Narrowest and widest layout, in CSS pixels.
const WIDTHS: std::ops::RangeInclusive<u32> = 320..=4_096;
