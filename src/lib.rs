//! `omni-trace`: where the time went in a GPU pipeline trace.
//!
//! Data flows in one line: bytes → blocks → chunks → [`store`] → [`analyze`] → [`table`] → [`render`] → file.
//!
//! - [`read`] opens an input, inflates it, cuts it on event boundaries and parses the pieces in parallel;
//! - [`store`] joins the pieces into columns that nothing changes afterwards;
//! - [`align`] puts several inputs on one time line: who wrote them, how far their clocks are apart;
//! - [`write`] writes their events anew: merged or slimmed, as Chrome JSON or Perfetto protobuf;
//! - [`schema`] says what a table is: one definition gives rows, typed columns and every format;
//! - [`analyze`] asks the store one question a file: windows, devices, threads, waits, the profiler table, kernels;
//! - [`table`] gives the answers names, units and an order, exact to the nanosecond;
//! - [`render`] writes them as text, CSV, Markdown or JSON;
//! - [`cli`] puts it together, and alone prints, writes files and decides exit codes.
//!
//! What was odd or lost on the way is counted in [`diag`]; the words that all rooms share are in [`model`].
//! The rooms stand here in reading order; each may import only what stands above it, as `tests/layers.rs` says.

pub mod model;

pub mod diag;

pub mod store;

pub mod read;

pub mod align;

pub mod write;

pub mod schema;

pub mod analyze;

pub mod table;

pub mod render;

pub mod cli;
