//! Tables to text, CSV, Markdown and JSON.
//!
//! Everything here takes tables (or the machine output) and gives text. Nothing here sees a store, opens a file or
//! prints.

pub mod csv;
pub mod figure;
pub mod human;
pub mod json;
pub mod markdown;
pub mod text;
pub mod torch_table;
