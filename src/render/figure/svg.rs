//! A scene as inline SVG: plotters' SVG backend, with classes in place of colours.

use std::fmt::Write as _;

use plotters::backend::{DrawingBackend as _, SVGBackend};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{BLACK, ShapeStyle, TextStyle};

use super::palette::{Theme, hex};
use super::scene::{Anchor, Ink, Item, Scene, Shape};
use super::{Place, WIDTHS, alt, font, frame};
use crate::schema::short::clean;
use crate::table::figure::Figure;

/// Marks are placed to a quarter of a pixel: plotters counts whole ones.
const STEPS: f64 = 4.0;

/// plotters' SVG backend writes a font size of the line height over this.
const SVG_LINE_OF_EM: f64 = 1.24;

/// How far under the top of a text plotters' SVG backend puts the baseline, in em.
const SVG_BASELINE: f64 = 0.76;

/// What plotters writes for black, which every mark is drawn in.
const BLACK_FILL: &str = "fill=\"#000000\"";
const BLACK_STROKE: &str = "stroke=\"#000000\"";

/// A figure as an `svg` element for a page: no style sheet, script or font of its own. Marks have the classes
/// `fig-<role>`, which [`super::css`] and the presentation attributes that stand in for it give colours.
///
/// `id` starts the element's ids and must be unique within the page.
pub fn svg(figure: &Figure, width_px: u32, id: &str) -> String {
    let width = f64::from(width_px.clamp(*WIDTHS.start(), *WIDTHS.end()));
    let scene = frame::layout(figure, width, Place::Page);
    let id: String =
        id.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')).collect();
    let (width, height) = (scene.width.ceil(), scene.height.ceil());
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"figure\" role=\"img\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {} {}\" aria-labelledby=\"{id}-title {id}-desc\" font-family=\"'{}', system-ui, sans-serif\">\n\
         <title id=\"{id}-title\">{}</title>\n<desc id=\"{id}-desc\">{}</desc>\n",
        width * STEPS,
        height * STEPS,
        font::FAMILY,
        escaped(&clean(&figure.title)),
        escaped(&clean(&alt(figure))),
    );
    for item in &scene.items {
        match &item.title {
            Some(title) => {
                let _ = writeln!(
                    out,
                    "<g><title>{}</title>{}</g>",
                    escaped(title),
                    element(item, &scene)
                );
            }
            None => {
                out.push_str(&element(item, &scene));
                out.push('\n');
            }
        }
    }
    out.push_str("</svg>\n");
    out
}

/// One mark as an element: what plotters writes for it, in the class of its ink.
fn element(item: &Item, scene: &Scene) -> String {
    let mut buffer = String::new();
    let size = ((scene.width * STEPS) as u32, (scene.height * STEPS) as u32);
    let mut backend = SVGBackend::with_string(&mut buffer, size);
    // Writing to a string cannot fail; what was not written is missing, and the tests count marks.
    let _ = paint(&mut backend, item);
    let _ = backend.present();
    drop(backend);
    let body = buffer.split_once(">\n").map_or("", |(_, rest)| rest);
    let body = body.strip_suffix("</svg>\n").unwrap_or(body).trim_end();
    let body = body.replacen(" opacity=\"1\"", "", 1);
    let (fill, stroke) = classes(item.ink);
    match item.shape {
        Shape::Line { .. } => body.replacen(BLACK_STROKE, &stroke, 1),
        Shape::Text { is_bold, .. } => text_element(&body, &fill, is_bold, item),
        _ => body.replacen(BLACK_FILL, &fill, 1),
    }
}

/// A text's element with the width that was laid out for, so that another font cannot make it overflow.
fn text_element(body: &str, fill: &str, is_bold: bool, item: &Item) -> String {
    let Shape::Text { em, text, .. } = &item.shape else { return String::new() };
    let Some((head, content)) = body.split_once(">\n") else { return String::new() };
    let length = font::width(text, *em, is_bold) * STEPS;
    // plotters names the family and style on every text; the page's element names the family once.
    let head = head.replacen(BLACK_FILL, fill, 1);
    let head = head.replacen(&format!(" font-family=\"{}\"", font::FAMILY), "", 1);
    let weight = if is_bold { " font-weight=\"600\"" } else { "" };
    let head =
        head.replacen(" font-weight=\"bold\"", "", 1).replacen(" font-style=\"bold\"", "", 1);
    let content = content.replacen("\n</text>", "</text>", 1);
    format!("{head}{weight} textLength=\"{length:.0}\" lengthAdjust=\"spacingAndGlyphs\">{content}")
}

/// The attributes of a fill and of a stroke.
fn classes(ink: Ink) -> (String, String) {
    let (key, opacity) = match ink {
        Ink::Text => ("text", 100),
        Ink::Muted => ("muted", 100),
        Ink::Grid => ("grid", 100),
        Ink::Role(role) => (role.as_str(), 100),
        Ink::Faint(role, strength) => (role.as_str(), strength),
        Ink::OnRole => ("on", 100),
    };
    // Without a page's style the light colours show, so that the element stands alone as well.
    let opaque = if let Ink::Faint(role, _) = ink { Ink::Role(role) } else { ink };
    let of = |what: &str| {
        let faint = if opacity < 100 {
            format!(" {what}-opacity=\"0.{opacity:02}\"")
        } else {
            String::new()
        };
        let light = hex(Theme::Light.ink(opaque));
        format!("class=\"fig-{key}\" {what}=\"var(--fig-{key},{light})\"{faint}")
    };
    (of("fill"), of("stroke"))
}

type Painted = Result<(), Box<dyn std::error::Error>>;

fn paint(backend: &mut SVGBackend<'_>, item: &Item) -> Painted {
    let at = |x: f64, y: f64| ((x * STEPS).round() as i32, (y * STEPS).round() as i32);
    match &item.shape {
        Shape::Rect { x, y, width, height } => {
            let (from, to) = (at(*x, *y), at(x + width, y + height));
            backend.draw_rect(
                from,
                (to.0.max(from.0 + 1), to.1),
                &ShapeStyle::from(&BLACK).filled(),
                true,
            )?;
        }
        Shape::Line { from, to } => {
            let style = ShapeStyle::from(&BLACK).stroke_width(STEPS as u32);
            backend.draw_line(at(from.0, from.1), at(to.0, to.1), &style)?;
        }
        Shape::Dot { x, y, radius } => {
            let style = ShapeStyle::from(&BLACK).filled();
            backend.draw_circle(at(*x, *y), (radius * STEPS).round() as u32, &style, true)?;
        }
        Shape::Text { x, y, anchor, em, is_bold, text } => {
            let size = em * STEPS / font::LINE_OF_EM * SVG_LINE_OF_EM;
            let style = TextStyle::from(font::font(size, *is_bold)).pos(position(*anchor));
            backend.draw_text(text, &style, at(*x, y - SVG_BASELINE * em))?;
        }
    }
    Ok(())
}

/// plotters' anchor of a text whose top is at its point.
pub(super) fn position(anchor: Anchor) -> Pos {
    let horizontal = match anchor {
        Anchor::Start => HPos::Left,
        Anchor::Middle => HPos::Center,
        Anchor::End => HPos::Right,
    };
    Pos::new(horizontal, VPos::Top)
}

/// Text as character data and attribute values take it.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            c => out.push(c),
        }
    }
    out
}
