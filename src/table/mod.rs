//! Results as typed tables: what the columns are and what they mean, once for every output.
//!
//! Nothing here formats.

pub mod torch;
