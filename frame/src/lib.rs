//! SQL over the tables of omni-trace, and their export.
//!
//! An adapter: tables come from the library `omni_trace` as typed columns, polars runs SQL over them, and what comes out is
//! written. Statements are understood just as far as it takes to make only what they touch (`statement`). Nothing else of
//! omni-trace links this package: `omni-trace query` and `omni-trace export` run its program.

mod args;
pub mod catalog;
mod cli;
mod convert;
pub mod data;
mod dataset;
mod export;
mod functions;
mod interrupt;
mod prompt;
pub mod questions;
mod reading;
pub mod session;
pub mod show;
pub mod statement;
mod stored;
mod trouble;
pub mod within;

pub use cli::run;
pub use trouble::Trouble;
