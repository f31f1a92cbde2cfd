//! `omni-trace`: where the time went in a GPU pipeline trace.
//!
//! Data flows in one line: bytes → blocks → chunks → [`store`] → analysis → table → render → file.
//! The rooms, in reading order; each may import only what stands above it in `tests/layers.rs`.

pub mod model;

pub mod diag;

pub mod store;

pub mod read;

pub mod analyze;

pub mod table;

pub mod render;
