//! Tables to text, CSV, Markdown, JSON and HTML.
//!
//! Everything here takes tables (or the machine output) and gives text. Nothing here sees a store, opens a file or
//! prints.

mod colour;
#[cfg(test)]
mod contrast;
pub mod csv;
pub mod figure;
pub mod html;
pub mod human;
pub mod json;
pub mod layout;
pub mod markdown;
pub mod profile;
pub mod screen;
mod share_bars;
pub mod text;
pub mod torch_table;
