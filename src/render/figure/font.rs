//! The embedded font: how wide a text is. See `font/README.md` for where it comes from.

use std::sync::Once;

use plotters::style::{FontDesc, FontFamily, FontStyle, register_font};

/// Name of the font for plotters and for style sheets.
pub const FAMILY: &str = "omni-trace Inter";

/// The regular font, as an OpenType file.
pub const REGULAR: &[u8] = include_bytes!("font/Inter-Regular.subset.otf");

/// The font of headings, as an OpenType file.
pub const SEMI_BOLD: &[u8] = include_bytes!("font/Inter-SemiBold.subset.otf");

/// Size at which widths are measured: plotters gives whole pixels.
const MEASURE: f64 = 1_000.0;

/// plotters' size of a font is its line height; the em of this font is smaller by this.
pub(super) const LINE_OF_EM: f64 = (2_728.0 + 680.0) / 2_816.0;

/// A font of a size in em pixels.
pub(super) fn font(em: f64, is_bold: bool) -> FontDesc<'static> {
    static REGISTERED: Once = Once::new();
    REGISTERED.call_once(|| {
        // A font that cannot be read is a broken build; the tests measure with both.
        let _ = register_font(FAMILY, FontStyle::Normal, REGULAR);
        let _ = register_font(FAMILY, FontStyle::Bold, SEMI_BOLD);
    });
    let style = if is_bold { FontStyle::Bold } else { FontStyle::Normal };
    FontDesc::new(FontFamily::Name(FAMILY), em * LINE_OF_EM, style)
}

/// Width of a text in pixels.
pub(super) fn width(text: &str, em: f64, is_bold: bool) -> f64 {
    let layout = font(MEASURE, is_bold).layout_box(text);
    // plotters scales to the line height, which `font` has taken into account.
    layout.map_or(0.0, |((from, _), (to, _))| f64::from(to - from) * em / MEASURE)
}

#[cfg(test)]
mod tests {
    use super::width;

    #[test]
    fn both_fonts_measure() {
        let (regular, bold) = (width("kernel", 12.0, false), width("kernel", 12.0, true));
        assert!((30.0..45.0).contains(&regular), "{regular}");
        assert!(bold > regular, "{bold}");
    }

    #[test]
    fn what_the_font_lacks_has_a_width() {
        assert!(width("漢", 12.0, false) > 4.0);
    }
}
