//! Scenes as PNG bytes: plotters' bitmap backend, and the `png` encoder.

use plotters::backend::{BitMapBackend, DrawingBackend as _};
use plotters::style::{RGBColor, ShapeStyle, TextStyle};
use thiserror::Error;

use super::indexed::indexed;
use super::palette::{Rgb, Theme};
use super::scene::{Item, Scene, Shape};
use super::svg::position;
use super::{Place, WIDTHS, font, frame};
use crate::table::figure::Figure;

/// plotters puts the baseline half a line height under the top of a text.
const BITMAP_BASELINE: f64 = 0.5 * font::LINE_OF_EM;

/// Highest image in pixels; what is under it is not drawn. Nothing that `table` gives comes near.
const MAX_HEIGHT_PX: u32 = 30_000;

/// How an image is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PngOptions {
    /// Width of the layout in CSS pixels.
    pub width: u32,
    /// Pixels of the image for each of them, 1 to 4.
    pub scale: u32,
    /// Colours.
    pub theme: Theme,
}

impl Default for PngOptions {
    fn default() -> Self {
        Self { width: 960, scale: 2, theme: Theme::Light }
    }
}

/// An image that could not be made.
#[derive(Debug, Error)]
pub enum PngError {
    /// The drawing backend failed.
    #[error("cannot draw a figure: {0}")]
    Draw(String),
    /// The encoder failed.
    #[error("cannot encode a figure: {0}")]
    Encode(#[from] png::EncodingError),
}

/// A figure as a PNG file.
///
/// # Errors
///
/// The backend or the encoder failed, which no figure makes them.
pub fn png(figure: &Figure, options: &PngOptions) -> Result<Vec<u8>, PngError> {
    png_of_all(std::slice::from_ref(figure), options)
}

/// Figures under each other as one PNG file.
///
/// # Errors
///
/// The backend or the encoder failed, which no figure makes them.
pub fn png_of_all(figures: &[Figure], options: &PngOptions) -> Result<Vec<u8>, PngError> {
    let width = f64::from(options.width.clamp(*WIDTHS.start(), *WIDTHS.end()));
    let scene = stacked(figures.iter().map(|figure| frame::layout(figure, width, Place::Picture)));
    let scale = options.scale.clamp(1, 4);
    let size = (
        scene.width.ceil() as u32 * scale,
        (scene.height.ceil() as u32 * scale).clamp(1, MAX_HEIGHT_PX),
    );
    let pixels = painted(&scene, size, f64::from(scale), options.theme)?;
    let picture = indexed(&pixels);
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, size.0, size.1);
    encoder.set_color(png::ColorType::Indexed);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_palette(picture.palette);
    encoder.set_filter(png::Filter::NoFilter);
    encoder.set_compression(png::Compression::Balanced);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&picture.pixels)?;
    writer.finish()?;
    Ok(bytes)
}

/// Scenes under each other.
fn stacked(scenes: impl Iterator<Item = Scene>) -> Scene {
    let mut all = Scene::default();
    for scene in scenes {
        let down = all.height;
        all.items.extend(scene.items.into_iter().map(|item| moved(item, down)));
        all.width = all.width.max(scene.width);
        all.height += scene.height.ceil();
    }
    all
}

fn moved(mut item: Item, down: f64) -> Item {
    match &mut item.shape {
        Shape::Rect { y, .. } | Shape::Dot { y, .. } | Shape::Text { y, .. } => *y += down,
        Shape::Line { from, to } => {
            from.1 += down;
            to.1 += down;
        }
    }
    item
}

fn painted(scene: &Scene, size: (u32, u32), scale: f64, theme: Theme) -> Result<Vec<u8>, PngError> {
    let (red, green, blue) = theme.background();
    let mut pixels = [red, green, blue].repeat(size.0 as usize * size.1 as usize);
    let mut backend = BitMapBackend::with_buffer(&mut pixels, size);
    for item in &scene.items {
        paint(&mut backend, item, scale, theme.ink(item.ink))
            .map_err(|error| PngError::Draw(error.to_string()))?;
    }
    backend.present().map_err(|error| PngError::Draw(error.to_string()))?;
    drop(backend);
    Ok(pixels)
}

type Painted = Result<(), Box<dyn std::error::Error>>;

fn paint(backend: &mut BitMapBackend<'_>, item: &Item, scale: f64, (r, g, b): Rgb) -> Painted {
    let px = |value: f64| (value * scale).round() as i32;
    let color = RGBColor(r, g, b);
    match &item.shape {
        Shape::Rect { x, y, width, height } => {
            let from = (px(*x), px(*y));
            // Both corners belong to the rectangle.
            let to = ((px(x + width) - 1).max(from.0), (px(y + height) - 1).max(from.1));
            backend.draw_rect(from, to, &ShapeStyle::from(&color).filled(), true)?;
        }
        Shape::Line { from, to } => {
            let style = ShapeStyle::from(&color).stroke_width(px(1.0) as u32);
            backend.draw_line((px(from.0), px(from.1)), (px(to.0), px(to.1)), &style)?;
        }
        Shape::Dot { x, y, radius } => {
            let style = ShapeStyle::from(&color).filled();
            backend.draw_circle((px(*x), px(*y)), px(*radius) as u32, &style, true)?;
        }
        Shape::Text { x, y, anchor, em, is_bold, text } => {
            let font = font::font(em * scale, *is_bold).color(&color);
            let style: TextStyle<'_> = font.pos(position(*anchor));
            backend.draw_text(text, &style, (px(*x), px(y - BITMAP_BASELINE * em)))?;
        }
    }
    Ok(())
}
